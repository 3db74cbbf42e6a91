/*-------------------------------------------------------------------------
 * visible.h
 *	  authz.visible: in a sub-select of a condition, whether the current
 *	  identity may select a row.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_VISIBLE_H
#define AUTHZ_VISIBLE_H

#include "compat.h"
#include "nodes/primnodes.h"

/* The row that a call of authz.visible is about, a whole-row Var; NULL if the node is no such call. */
extern Var *authz_visible_row(Node *node);

/* Raise if a condition or mask calls it for anything but a row of a table that a sub-select reads. */
extern void authz_visible_check(Node *condition);

/*
 * Tell who stores a condition for the policies of `logical` what it reads
 * unfiltered, and where authz.visible finds no policies.
 */
extern void authz_visible_report(Node *condition, Oid logical);

#endif							/* AUTHZ_VISIBLE_H */
