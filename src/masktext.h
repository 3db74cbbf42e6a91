/*-------------------------------------------------------------------------
 * masktext.h
 *	  The text of a mask: a short name such as partial(2, 2), or an SQL
 *	  expression over the row.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_MASKTEXT_H
#define AUTHZ_MASKTEXT_H

#include "compat.h"
#include "nodes/primnodes.h"
#include "utils/rel.h"

/*
 * The value that takes a column's place, under the search_path in force; as
 * authz_condition_parse otherwise.  Clear gives a Var of the column itself.
 */
extern Node *authz_masktext_parse(Relation relation, Oid owner, AttrNumber column, const char *text);

/* Is it a short name whose text means the same under every search_path?  All are but constant(..). */
extern bool authz_masktext_is_short(const char *text);

/* Raises if a short name's mask fails on a value of the column's type; does nothing for an expression. */
extern void authz_masktext_try(const char *text, Node *value);

#endif							/* AUTHZ_MASKTEXT_H */
