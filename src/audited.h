/*-------------------------------------------------------------------------
 * audited.h
 *	  What the records of an audited table hold.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_AUDITED_H
#define AUTHZ_AUDITED_H

#include "compat.h"
#include "nodes/nodes.h"
#include "utils/rel.h"

#include "image.h"

/* Lists of columns are in jsonb's order. */
typedef struct AuthzAuditedTable
{
	Oid			relid;			/* hash key */
	bool		valid;
	MemoryContext context;		/* of all that follows */
	int64		trail;			/* as in authz.audited_table */
	int			ncolumns;		/* all that are recorded */
	const AuthzImageColumn **columns;
	int			nkeys;			/* of the primary key; 0: none, or part of it is not recorded */
	const AuthzImageColumn **keys;
	int			nexcluded;		/* never recorded, but a change of them is one */
	const AuthzImageColumn **excluded;
	int			natts;			/* of the table, dropped ones too */
	Node	  **masks;			/* by the column's index: what is recorded in its place, or NULL; NULL if none is */
	bool		needs_settings; /* see image.h */
} AuthzAuditedTable;

/*
 * How a table is audited; what it points to is good until the transaction ends.
 * Raises if it is not audited, or one of its masks cannot be read.
 */
extern AuthzAuditedTable authz_audited_get(Relation relation);

extern void authz_audited_init(void);

#endif							/* AUTHZ_AUDITED_H */
