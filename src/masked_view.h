/*-------------------------------------------------------------------------
 * masked_view.h
 *	  Masked views: which table and columns they show.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_MASKED_VIEW_H
#define AUTHZ_MASKED_VIEW_H

#include "compat.h"
#include "utils/rel.h"

/* The role that owns masked views; sql/schema.sql makes it. */
#define AUTHZ_MASKED_VIEW_OWNER "authz_view"

typedef struct AuthzMaskedView
{
	Oid			relid;			/* the table */
	int			ncolumns;
	AttrNumber *columns;		/* of the table, by position in the view; palloc'd */
} AuthzMaskedView;

/* False if it is no masked view as authz.create_masked_view makes them. */
extern bool authz_masked_view_read(Relation view, AuthzMaskedView *result);

#endif							/* AUTHZ_MASKED_VIEW_H */
