/* auditmerge.h: the rows that MERGE changes reach the triggers of audited tables. */
#ifndef AUTHZ_AUDITMERGE_H
#define AUTHZ_AUDITMERGE_H

#include "compat.h"
#include "commands/trigger.h"

/*
 * Statement trigger of an audited table: it was given so many rows.  Raises if
 * what it was given may be wrong because the library saw no start of the statement.
 */
extern void authz_auditmerge_note(const TriggerData *trigger, int64 rows);

/* Before authz_guard_init, as authz_access_init. */
extern void authz_auditmerge_init(void);

#endif							/* AUTHZ_AUDITMERGE_H */
