/*-------------------------------------------------------------------------
 * visible.h
 *	  authz.visible: in a sub-select of a condition, whether the current
 *	  identity may select a row.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_VISIBLE_H
#define AUTHZ_VISIBLE_H

#include "compat.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"

/* The row that a call of authz.visible is about, a whole-row Var; NULL if the node is no such call. */
extern Var *authz_visible_row(Node *node);

/* Raise if a condition or mask calls it for anything but a row of a table that a sub-select reads. */
extern void authz_visible_check(Node *condition);

/*
 * Tell who stores a condition for the policies of `logical` what it reads
 * unfiltered, and where authz.visible finds no policies.
 */
extern void authz_visible_report(Node *condition, Oid logical);

/*
 * What takes the place of a call: the conditions of the policies for select of
 * the table, never NULL.  `query` is the one that the row is of; *has_sublinks
 * becomes true if it holds any.  Raises if policies lead back to themselves.
 */
extern Node *authz_visible_condition(PlannerGlobal *glob, Oid relid, const Var *row,
									 Query *query, bool *has_sublinks);

/* Where a WHERE or ON takes NULL for false anyway, take away the test for it, or no index would serve. */
extern void authz_visible_simplify(Query *query);

#endif							/* AUTHZ_VISIBLE_H */
