/*-------------------------------------------------------------------------
 * inline.h
 *	  What puts policies into a plan: the steps that conditions and masks share.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_INLINE_H
#define AUTHZ_INLINE_H

#include "compat.h"
#include "nodes/pathnodes.h"

#include "identity.h"
#include "policyset.h"

/* Raises where tables' policies or masks read each other in a circle; the table is named if it is known. */
extern void authz_inline_check_depth(int query_level, Oid relid);
extern void authz_inline_refuse_circle(Oid relid) pg_attribute_noreturn();

/*
 * The policies of a relation and the identity at hand.  The plan depends on
 * both from here on: it is marked for the identity's rights.
 */
extern AuthzPolicySet *authz_inline_depend(PlannerGlobal *glob, Oid relid,
										   const AuthzIdentity **identity);

/*
 * Move an expression over the relation (Vars of varno 1) to where `row`, a Var
 * of the same row, stands, in place.  Returns whether it has sub-selects, which
 * run with the rights of `owner`.
 */
extern bool authz_inline_place(PlannerGlobal *glob, Node *expression, const Var *row, Oid owner);

/*
 * What decides on an action of the current identity on a row, which `row` is a
 * Var of: placed as above, and the plan depends on it.  *has_sublinks becomes
 * true if it has any.
 */
extern Node *authz_inline_condition(PlannerGlobal *glob, Oid relid, AuthzAction action, const Bitmapset *columns,
									const Var *row, bool *has_sublinks);

/* What is done to the sub-selects besides: masked.c's, which this file is below. */
typedef void (*AuthzPrepare) (Node *node, PlannerGlobal *depends);

extern AuthzPrepare authz_inline_prepare;

/* How many planners are at work whose query masked.c's hook has seen; 0 in the statement that loads the library. */
extern int	authz_inline_hook_depth;

/*
 * Mark the calls of permits in row security, whose table is that of the query
 * at hand for sure; and let new rows be hidden where policies say so.
 */
extern void authz_inline_mark_policies(Query *query);

/*
 * Is the table of a Var, as the query of `root` has it, the one that is meant?
 * Core simplifies the WHERE of an EXISTS once more as if it were the outer
 * query's; such a Var is of the sub-select.
 */
extern bool authz_inline_is_known(PlannerInfo *root, const Var *var);

/* Fold it, and tell the planner whether it may run in parallel. */
extern Node *authz_inline_finish(PlannerInfo *root, Node *expression);

#endif							/* AUTHZ_INLINE_H */
