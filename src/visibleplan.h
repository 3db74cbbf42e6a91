/*-------------------------------------------------------------------------
 * visibleplan.h
 *	  What takes the place of authz.visible in a query.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_VISIBLEPLAN_H
#define AUTHZ_VISIBLEPLAN_H

#include "compat.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"

/*
 * What takes the place of a call: the conditions of the policies for select of
 * the table, never NULL.  `query` is the one that the row is of; *has_sublinks
 * becomes true if it holds any.  Raises if policies lead back to themselves.
 */
extern Node *authz_visibleplan_condition(PlannerGlobal *glob, Oid relid, const Var *row,
									 Query *query, bool *has_sublinks);

/* Where a WHERE or ON takes NULL for false anyway, take away the test for it, or no index would serve. */
extern void authz_visibleplan_simplify(Query *query);

#endif							/* AUTHZ_VISIBLEPLAN_H */
