/*-------------------------------------------------------------------------
 * denial.h
 *	  Denied attempts: a record of each that the rollback it causes leaves alone.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_DENIAL_H
#define AUTHZ_DENIAL_H

#include "compat.h"

/* Names in denial.c and in a constraint of authz.denial_log. */
typedef enum AuthzDenialKind
{
	AUTHZ_DENIAL_AUDIT = 0,		/* of the audit itself */
	AUTHZ_DENIAL_CHECK,			/* a resource that is no table: reserved */
	AUTHZ_DENIAL_MAINTENANCE,	/* an owner is not filtered; no denial, but to be kept the same way */
	AUTHZ_DENIAL_TOKEN,			/* a token was refused */
	AUTHZ_DENIAL_TRUNCATE,
	AUTHZ_DENIAL_WRITE			/* no policy permits a new row, or a column of it */
} AuthzDenialKind;

/* Who and from where is found out by authz_denial_record. */
typedef struct AuthzDenial
{
	AuthzDenialKind kind;
	const char *action;			/* what was attempted */
	Oid			relation;		/* on which table, or InvalidOid */
	const char *reason;			/* a fixed phrase: no value of a row, no claim; of maintenance what its caller says */
	const char *gone;			/* name of a relation that is no more, qualified, or NULL */
} AuthzDenial;

/*
 * To be called just before the error that refuses the attempt.  Never raises,
 * whatever goes wrong, so that nothing but that error comes next; may
 * wait for a moment if authz.denial_queue_full says so.
 */
extern void authz_denial_record(const AuthzDenial *denial);

/* Write a record, a JSON object, to the server's log. */
extern void authz_denial_log(const char *line);

/*
 * Insert records into authz.denial_log, in the caller's transaction.  False if
 * this database has no such table of the extension; raises what inserting raises.
 */
extern bool authz_denial_insert(const char *const *lines, int n);

#endif							/* AUTHZ_DENIAL_H */
