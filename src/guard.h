/*-------------------------------------------------------------------------
 * guard.h
 *	  A plan is executed only under the identity it was made for, and the
 *	  identity does not change under an open one.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_GUARD_H
#define AUTHZ_GUARD_H

#include "compat.h"
#include "nodes/pathnodes.h"

/* Planner: note in the plan that it was made for the signature; once per statement is enough. */
extern void authz_guard_mark_plan(PlannerGlobal *glob, uint64 signature);

/* Planner: note that the plan is not good as it is, and has to be made again before it is executed. */
extern void authz_guard_mark_stale(PlannerGlobal *glob, uint64 signature);

/* Planner: this statement holds what must not run in parallel mode, whatever was planned so far. */
extern void authz_guard_go_serial(PlannerGlobal *glob);

/* Number of open executors of this backend that were filtered under the current identity. */
extern int	authz_guard_open_count(void);

/*
 * Assign hook of authz.token: the identity is another one from here on.  Marks
 * this backend's filtered plans stale if its rights are others, or notes that
 * this is to be found out, and fails portals where rows of the old identity wait.  Never raises, touches no catalog.
 */
extern void authz_guard_identity_changed(void);

/* The same where the identity stays and its rights are others: maintenance begins or ends. */
extern void authz_guard_rights_changed(void);

extern void authz_guard_init(void);

#endif							/* AUTHZ_GUARD_H */
