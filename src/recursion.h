/*-------------------------------------------------------------------------
 * recursion.h
 *	  Policies and masks that lead back to themselves through a function.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_RECURSION_H
#define AUTHZ_RECURSION_H

#include "compat.h"
#include "nodes/nodes.h"

/*
 * Mark, in place, the calls in a policy's or mask's text of functions that may
 * read tables.  `name` is of the policy or mask, for messages; `relid` its table.
 * What is marked already stays so.
 */
extern void authz_recursion_mark(Node *text, const char *name, Oid relid);

extern void authz_recursion_init(void);

#endif							/* AUTHZ_RECURSION_H */
