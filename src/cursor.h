/*-------------------------------------------------------------------------
 * cursor.h
 *	  Rows that wait in a portal belong to the identity that read them.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_CURSOR_H
#define AUTHZ_CURSOR_H

#include "compat.h"
#include "executor/execdesc.h"
#include "utils/portal.h"

/* What was going on when a run began; see authz_cursor_begin. */
typedef struct AuthzCursorRun
{
	uint64		filtered;		/* how many filtered plans had run by then */
	uint64		identities;		/* how often the identity had changed by then */
	bool		is_filtered;	/* the plan that runs is itself a filtered one */
} AuthzCursorRun;

/* Raises if the portal that is started may not hold rows of a filtered plan: WITH HOLD. */
extern void authz_cursor_check_start(Portal portal);

/*
 * Before a plan or a utility command runs.  Raises if it is to go on with a portal
 * whose rows the present identity did not read, or to keep rows of a filtered plan
 * where no hook would see them again.  `is_filtered`: the plan is one, made for
 * `signature`.
 */
extern void authz_cursor_begin(AuthzCursorRun *run, QueryDesc *query, bool is_filtered, uint64 signature);

/* After it: note the portal if rows wait there now.  `query` is NULL for a utility command. */
extern void authz_cursor_end(const AuthzCursorRun *run, QueryDesc *query);

/* Before FETCH: raises if rows wait in the portal that the present identity did not read. */
extern void authz_cursor_check_fetch(const char *name);

/* The identity has ended, or is in doubt: rows that wait are nobody's.  Never raises, touches no catalog. */
extern void authz_cursor_identity_ended(void);

/* After authz_catalog_init. */
extern void authz_cursor_init(void);

#endif							/* AUTHZ_CURSOR_H */
