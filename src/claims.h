/*-------------------------------------------------------------------------
 * claims.h
 *	  Values at dotted paths of a claims set, and lists of strings in them.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_CLAIMS_H
#define AUTHZ_CLAIMS_H

#include "compat.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/*
 * Look up a claim: first a member whose whole name is `path` (names like
 * https://example.com/roles hold dots), then, member by member, nested objects.
 * False if it is not there or null.  *value points into `claims`.
 */
extern bool authz_claims_find(Jsonb *claims, const char *path, JsonbValue *value);

/* The same for one member of an object, of `length` bytes. */
extern bool authz_claims_member(JsonbContainer *object, const char *name, int length, JsonbValue *value);

/* palloc'd copy of a string value; NULL if it is not a string. */
extern char *authz_claims_string(const JsonbValue *value);

/*
 * A list of palloc'd strings from an array of strings, or from a string: whole,
 * or with `split` its words between spaces (as RFC 6749 writes scopes).  False
 * if the value is neither.
 */
extern bool authz_claims_strings(const JsonbValue *value, bool split, List **result);

#endif							/* AUTHZ_CLAIMS_H */
