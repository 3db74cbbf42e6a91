/*-------------------------------------------------------------------------
 * claims.h
 *	  Values at paths of a claims set, and lists of strings in them.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_CLAIMS_H
#define AUTHZ_CLAIMS_H

#include "compat.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/*
 * Look up a claim by a path, in one of the forms that claims.c tells.  False if
 * it is not there or null, or if the path is malformed.  *value points into
 * `claims`.
 */
extern bool authz_claims_find(Jsonb *claims, const char *path, JsonbValue *value);

/* What is wrong with a path, as the end of a sentence; NULL if nothing is. */
extern const char *authz_claims_path_problem(const char *path);

/* The same for one member of an object, of `length` bytes. */
extern bool authz_claims_member(JsonbContainer *object, const char *name, int length, JsonbValue *value);

/* palloc'd copy of a string value; NULL if it is not a string. */
extern char *authz_claims_string(const JsonbValue *value);

/*
 * The array that a value is or, for providers that state arrays as strings
 * ("[\"a\",\"b\"]"), that its text is in strict JSON.  NULL if it is neither.
 */
extern JsonbContainer *authz_claims_array(const JsonbValue *value);

/*
 * A list of palloc'd strings from an array of strings, or from a string: whole,
 * or with `split` as authz_claims_array reads it, else its words between spaces
 * (as RFC 6749 writes scopes).  False if the value is neither.
 */
extern bool authz_claims_strings(const JsonbValue *value, bool split, List **result);

#endif							/* AUTHZ_CLAIMS_H */
