/*-------------------------------------------------------------------------
 * nullable.h
 *	  Can a condition be NULL for a row, and why?
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_NULLABLE_H
#define AUTHZ_NULLABLE_H

#include "compat.h"
#include "nodes/primnodes.h"

/*
 * Tell who stores a policy that forbids that its condition can be NULL, and
 * then forbids, if it can.  `condition` is a tree over the rows of a relation
 * that authz_condition_parse returned.
 */
extern void authz_nullable_report(const char *policy, Node *condition, Oid relid);

#endif							/* AUTHZ_NULLABLE_H */
