/*-------------------------------------------------------------------------
 * evaluate.h
 *	  The same decision at run time, where there is a row but no plan.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_EVALUATE_H
#define AUTHZ_EVALUATE_H

#include "compat.h"

#include "policyset.h"

/* What is decided on; zero is nothing. */
typedef struct AuthzQuestion
{
	Oid			relid;
	AuthzAction action;
	const Bitmapset *columns;	/* that the statement sets, as in a range table entry */
	Datum	   *values;			/* of the row by attribute; NULL when the action has no row */
	bool	   *nulls;
} AuthzQuestion;

/* A prepared question, kept between calls; zero is none. */
typedef struct AuthzEvaluation AuthzEvaluation;

/*
 * Does a policy permit it to the current identity, and none forbid?
 * *evaluation is NULL or what an earlier call left there; it lives in
 * `context`.
 */
extern bool authz_evaluate(const AuthzQuestion *question, MemoryContext context,
						   AuthzEvaluation **evaluation);

#endif							/* AUTHZ_EVALUATE_H */
