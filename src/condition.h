/*-------------------------------------------------------------------------
 * condition.h
 *	  A policy's condition, or the value of a mask: text -> checked tree ->
 *	  canonical text.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_CONDITION_H
#define AUTHZ_CONDITION_H

#include "compat.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
#include "utils/rel.h"

/* The name by which canonical text calls the row: it survives a rename of the table. */
#define AUTHZ_CONDITION_ALIAS "resource"

/*
 * Between enter and leave, text is read and written canonically: names resolve
 * in pg_catalog only, and nobody's settings matter.  Enter returns a nest level
 * for leave; an error in between needs no cleaning up.
 */
extern int	authz_condition_enter_canonical(void);
extern void authz_condition_leave_canonical(int level);

/* The same, but names resolve in the search_path in force; leave is the same too. */
extern int	authz_condition_enter_literals(void);

/*
 * Parse a condition over the columns of a relation under the search_path in
 * force.  The tree's Vars have varno 1, level 0; sub-selects are analysed but
 * not rewritten.  Raises if it is not an acceptable condition, with the
 * position of the error in the text.  The caller holds a lock on the relation.
 * `owner` is that of the table whose policies hold: a child's may be another.
 */
extern Node *authz_condition_parse(Relation relation, Oid owner, const char *text);

/* The text of a mask: of which column's type its value is, and what its raw tree is to become before analysis. */
typedef struct AuthzMaskSpec
{
	AttrNumber	column;
	Node	   *(*expand) (Node *raw, void *context);
	void	   *context;
} AuthzMaskSpec;

/* The same for the value of a mask; its type is the column's, or the base type of its domain. */
extern Node *authz_condition_parse_mask(Relation relation, Oid owner, const char *text,
										const AuthzMaskSpec *mask);

/* Canonical text of a tree that one of these returned; to be called between enter and leave. */
extern char *authz_condition_deparse(Relation relation, Node *condition);

/* Does a condition read the row at all? */
extern bool authz_condition_reads_row(Node *condition);

/* The row's columns that it reads, offset by FirstLowInvalidHeapAttributeNumber. */
extern Bitmapset *authz_condition_columns(Node *condition);

/* OIDs of relations its sub-selects read; OIDs of every object that it names, with their schemas. */
extern List *authz_condition_relations(Node *condition);
extern List *authz_condition_objects(Node *condition);

/*
 * Make the sub-selects of a condition ready for planning, in place: rewritten
 * with the rights of `owner` and, for his own tables, unfiltered.  Returns
 * whether there are any.
 */
extern bool authz_condition_rewrite_subselects(Node *condition, Oid owner);

#endif							/* AUTHZ_CONDITION_H */
