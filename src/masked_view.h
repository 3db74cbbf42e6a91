/*-------------------------------------------------------------------------
 * masked_view.h
 *	  Masked views: which table and columns they show.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_MASKED_VIEW_H
#define AUTHZ_MASKED_VIEW_H

#include "compat.h"
#include "nodes/bitmapset.h"
#include "nodes/primnodes.h"
#include "utils/rel.h"

typedef struct AuthzMaskedView
{
	Oid			relid;			/* the table */
	int			ncolumns;
	AttrNumber *columns;		/* of the table, by position in the view; palloc'd */
} AuthzMaskedView;

/* False if its query is not that of a masked view, or is run with the caller's rights on the table. */
extern bool authz_masked_view_read(Relation view, AuthzMaskedView *result);

/*
 * Raises if a view of that owner would show or write rows of the table that
 * row security is not asked about, or with rights that its row security must
 * not have: after a change of owner, or a careless restore.
 */
extern void authz_masked_view_check_owner(Oid relid, Oid view_owner);

/*
 * Positions in the view (from 0) of the primary key, or else of a unique index
 * on NOT NULL columns, all of which the current identity sees clear in every
 * row.  Raises if there is none: rows of the view could not be written.
 */
extern Bitmapset *authz_masked_view_require_key(const AuthzMaskedView *view, const char *name);

/* The column in a call masked(<column>, <name>, <its row's tableoid>); NULL if it is none of that form. */
extern Var *authz_masked_view_column(Node *call);

#endif							/* AUTHZ_MASKED_VIEW_H */
