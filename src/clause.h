/*-------------------------------------------------------------------------
 * clause.h
 *	  What a policy and a mask have in common: for whom, when, and texts over
 *	  the row of a relation.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_CLAUSE_H
#define AUTHZ_CLAUSE_H

#include "compat.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
#include "utils/rangetypes.h"

#include "catalog.h"
#include "identity.h"

/* Zeroed it applies to nobody. */
typedef struct AuthzClause
{
	const char *name;			/* for messages: policy "x", mask 100 of column "y" */
	int			nroles;
	char	  **roles;
	RangeType  *valid_during;	/* tstzrange */
	List	   *objects;		/* OIDs that its texts named when they were stored */
	bool		reads_settings; /* may its texts read settings of the session? */
} AuthzClause;

/* Positions of a clause's columns in its table. */
typedef struct AuthzClauseColumns
{
	AttrNumber	roles;
	AttrNumber	valid_during;
	AttrNumber	depends_on;
	AttrNumber	reads_settings;
} AuthzClauseColumns;

/* Read what is common, into the current memory context; raises if it is not there. */
extern void authz_clause_read(AuthzClause *clause, const char *name, Oid relid, AuthzScan *scan,
							  HeapTuple tuple, const AuthzClauseColumns *columns);

/* Does the identity have one of its roles? */
extern bool authz_clause_has_role(const AuthzClause *clause, const AuthzIdentity *identity);

/* Does it hold for everybody, whoever it is, at any time? */
extern bool authz_clause_is_public(const AuthzClause *clause);

/*
 * Has its time ended for good?  If not, *test is the test of the time that a
 * statement has to make, or NULL if it holds from now on.
 */
extern bool authz_clause_ended(const AuthzClause *clause, Node **test);

/* A row that no trigger would have let in: somebody went behind them.  Denies, loudly. */
extern void authz_clause_refuse(const char *name, Oid relid, const char *why) pg_attribute_noreturn();

/* Is an error the moment's fault (a cancel, a lock timeout, a deadlock, no memory) and not the text's? */
extern bool authz_clause_is_transient(int sqlerrcode);

/* The relation whose row a text is over, and what the text is of. */
typedef struct AuthzClauseText
{
	Oid			relid;
	Oid			logical;		/* table whose policies hold */
	Oid			owner;			/* of that one */
	AttrNumber	column;			/* of a mask's value; InvalidAttrNumber: a condition */
	const char *text;
} AuthzClauseText;

/* Tree of a canonical text; refused under the clause's name if it cannot be read, means other objects now, or reads settings. */
extern Node *authz_clause_parse(const AuthzClause *clause, const AuthzClauseText *text);

#endif							/* AUTHZ_CLAUSE_H */
