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

/* What is done to the sub-selects besides: masked.c's, which this file is below. */
typedef void (*AuthzPrepare) (Node *node, PlannerGlobal *depends);

extern AuthzPrepare authz_inline_prepare;

/* Fold it, and tell the planner whether it may run in parallel. */
extern Node *authz_inline_finish(PlannerInfo *root, Node *expression);

#endif							/* AUTHZ_INLINE_H */
