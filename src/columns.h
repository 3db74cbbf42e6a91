/*-------------------------------------------------------------------------
 * columns.h
 *	  Permits of columns add up, as SQL's column privileges do.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_COLUMNS_H
#define AUTHZ_COLUMNS_H

#include "compat.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

#include "policyset.h"

/*
 * Groups of the permits among some rules, for a statement that sets these
 * columns: of each group one permit has to hold.  A group is a Bitmapset of
 * positions in the list; an empty one (NULL), in which nothing can hold, is
 * there if a column has no permit.  If no column is set, or no permit is limited
 * to columns, there is one group of all permits.
 */
extern List *authz_columns_groups(const List *rules, const Bitmapset *columns);

/* A call that raises, when it is executed, because no policy permits to set the column. */
extern Node *authz_columns_denied(AuthzAction action, Oid relid, AttrNumber column);

/* Is it such a call? */
extern bool authz_columns_is_denied(Node *node);

/* Refuse to set a column, and have it recorded; `detail` is a whole sentence. */
extern void authz_columns_refuse(AuthzAction action, Oid relid, const char *column,
								 const char *detail) pg_attribute_noreturn();

#endif							/* AUTHZ_COLUMNS_H */
