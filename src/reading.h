/*-------------------------------------------------------------------------
 * reading.h
 *	  Which columns of audited tables a plan reads, and how they are shown.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_READING_H
#define AUTHZ_READING_H

#include "compat.h"
#include "nodes/bitmapset.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"

/* Attribute numbers of a table, by how the current identity is shown them. */
typedef struct AuthzColumns
{
	Bitmapset  *clear;
	Bitmapset  *masked;			/* in every row */
	Bitmapset  *by_row;
} AuthzColumns;

/* One node of a plan that reads an audited table. */
typedef struct AuthzReading
{
	Index		rti;			/* what the node scans, or writes and returns */
	Oid			relid;			/* the table; if that is a part, the audited table that was read as a whole */
	AuthzColumns columns;
} AuthzReading;

/* List of AuthzReading *, in the current memory context. */
extern List *authz_reading_find(const PlannedStmt *statement);

/* Which range table entries have been scanned or written, in the current memory context; false: that is not known. */
extern bool authz_reading_executed(PlanState *state, Bitmapset **executed);

/* The audited table of which an INSERT into this entry, a masked view, returns columns; InvalidOid: none. */
extern Oid	authz_reading_returned(const PlannedStmt *statement, Index rti);

/* The highest attribute number of a relation, dropped ones included. */
extern int	authz_reading_column_count(Oid relid);

/* Has a relation a column of that number that has not been dropped? */
extern bool authz_reading_is_column(Oid relid, AttrNumber column);

#endif							/* AUTHZ_READING_H */
