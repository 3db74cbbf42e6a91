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

/*
 * The range table entry whose tableoid the argument of a call is, in the query
 * of `root` or one around it; NULL if it is none.
 */
extern RangeTblEntry *authz_inline_find_table(PlannerInfo *root, Node *relation, Var **tableoid);

/* Raises where tables' policies read each other in a circle. */
extern void authz_inline_check_depth(int query_level, Oid relid);

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
extern bool authz_inline_place(Node *expression, const Var *row, Oid owner);

/* Fold it, and tell the planner whether it may run in parallel. */
extern Node *authz_inline_finish(PlannerInfo *root, Node *expression);

#endif							/* AUTHZ_INLINE_H */
