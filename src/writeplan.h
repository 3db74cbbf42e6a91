/*-------------------------------------------------------------------------
 * writeplan.h
 *	  The statements on a table that writes to a masked view become, planned.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_WRITEPLAN_H
#define AUTHZ_WRITEPLAN_H

#include "compat.h"
#include "nodes/bitmapset.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "utils/rel.h"

#include "masked_view.h"

/* One statement on a masked view, and what its rows are written with. */
typedef struct AuthzWrite
{
	AuthzMaskedView view;
	char	   *table;			/* qualified and quoted */
	char	  **names;			/* of the table's columns by position in the view, quoted */
	Oid		   *collations;		/* of the view's columns */
	Bitmapset  *named;			/* columns that an INSERT names, from 0 */
	bool		has_returning;	/* does anybody want to see what became of the rows? */
	CommandId	command;		/* of the statement on the view */
	Bitmapset  *key;			/* columns of the view that tell a row; NULL if not looked for */
	List	   *statements;		/* AuthzStatement * that were needed so far */
	ParamListInfo params;		/* $1.. the row as it was shown, then the row as it is to be */
	MemoryContext context;		/* holds all this */
} AuthzWrite;

typedef enum AuthzWriteKind
{
	AUTHZ_WRITE_INSERT,			/* of the set; returns the row as the view shows it, if somebody wants it and may see rows */
	AUTHZ_WRITE_UPDATE,			/* of the set, if the row is as it was shown; returns it as the view shows it, if somebody wants it */
	AUTHZ_WRITE_LOCK,			/* an UPDATE of nothing */
	AUTHZ_WRITE_DELETE,			/* if the row is as it was shown */
	AUTHZ_WRITE_EXPLAIN			/* why an UPDATE or DELETE did not find its row; see authz_writeplan_get */
} AuthzWriteKind;

/* A statement, planned for an identity and the policies of a moment. */
typedef struct AuthzStatement
{
	AuthzWriteKind kind;
	Bitmapset  *set;			/* columns of the view, from 0 */
	uint64		signature;		/* of the identity */
	uint64		serial;			/* of the policies */
	PlannedStmt *plan;
	MemoryContext context;		/* holds this struct */
} AuthzStatement;

/*
 * The statement of a kind that sets (EXPLAIN: would have set) these columns, for
 * the identity and the policies of now.  Valid until the next call.  EXPLAIN
 * returns: is the row as it was shown; xmin; cmin; may it be updated at all; may
 * the set be; then for each column of the set, may it be.
 */
extern const AuthzStatement *authz_writeplan_get(AuthzWrite *write, Relation view,
												 AuthzWriteKind kind, const Bitmapset *set);

extern void authz_writeplan_init(void);

#endif							/* AUTHZ_WRITEPLAN_H */
