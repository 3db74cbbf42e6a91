/*-------------------------------------------------------------------------
 * accessrecord.h
 *	  What is recorded of a statement that read audited tables.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_ACCESSRECORD_H
#define AUTHZ_ACCESSRECORD_H

#include "compat.h"
#include "access/transam.h"
#include "executor/execdesc.h"
#include "lib/ilist.h"
#include "portability/instr_time.h"

#include "reading.h"
#include "record.h"

/* An audited table that a statement reads. */
typedef struct AuthzAccessTable
{
	Oid			relid;
	int64		trail;
	char	   *name;			/* qualified */
	int			natts;
	char	  **names;			/* of the columns that are read, by attribute number; else NULL */
	bool		was_read;
	AuthzColumns columns;		/* that were, when it has ended */
} AuthzAccessTable;

/* A statement, from the start of its executor until the end of its transaction. */
typedef struct AuthzAccess
{
	dlist_node	node;			/* of a list of access.c */
	MemoryContext context;		/* of this and all that follows */
	QueryDesc  *query;			/* NULL when the executor has gone */
	SubTransactionId subid;		/* which it is lost with: where it began, or where its record was written */
	AuthzCircumstances circumstances;
	const char *database;
	const char *action;
	List	   *tables;			/* of AuthzAccessTable * */
	List	   *readings;		/* of AuthzReading * */
	uint64		row_count;
	instr_time	duration;		/* of runs that have ended */
	instr_time	resumed;		/* when the present one began */
	TimestampTz recorded_at;
	FullTransactionId transaction;
} AuthzAccess;

/*
 * One line of JSON in the server's log for each table that was read; `cause` says why
 * it is there.  Reads no catalog: also for transactions that abort.
 */
extern void authz_accessrecord_log(const AuthzAccess *access, const char *cause);

/* One row of authz.access_log for each; raises if that cannot be. */
extern void authz_accessrecord_insert(const AuthzAccess *access);

#endif							/* AUTHZ_ACCESSRECORD_H */
