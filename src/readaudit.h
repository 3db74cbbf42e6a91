/* readaudit.h: which tables are audited for reads. */
#ifndef AUTHZ_READAUDIT_H
#define AUTHZ_READAUDIT_H

#include "compat.h"

/* Are reads of a relation recorded?  Cheap when asked again.  Its trail in *trail, unless that is NULL. */
extern bool authz_readaudit_recorded(Oid relid, int64 *trail);

extern void authz_readaudit_init(void);

#endif							/* AUTHZ_READAUDIT_H */
