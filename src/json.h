/*-------------------------------------------------------------------------
 * json.h
 *	  Strict reader of one JSON object (RFC 8259) for what comes from outside:
 *	  token headers, claims, JWKs.  Pure C: no postgres.h, no allocation.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_JSON_H
#define AUTHZ_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Zero is a failure. */
typedef enum AuthzJsonStatus
{
	AUTHZ_JSON_UNREAD = 0,
	AUTHZ_JSON_OK,
	AUTHZ_JSON_MALFORMED,		/* not one JSON object in UTF-8 */
	AUTHZ_JSON_DUPLICATE_NAME,	/* a member name twice in one object */
	AUTHZ_JSON_TOO_DEEP,
	AUTHZ_JSON_TOO_MANY			/* members of one object, or of all open ones */
} AuthzJsonStatus;

#define AUTHZ_JSON_MAX_DEPTH		16	/* the outermost object is depth 1 */
#define AUTHZ_JSON_MAX_MEMBERS		256 /* in one object */
#define AUTHZ_JSON_MAX_OPEN_MEMBERS	1024	/* in an object and all around it */
#define AUTHZ_JSON_MAX_NUMBER		64	/* bytes of a number */
#define AUTHZ_JSON_MAX_EXPONENT		3	/* digits of its exponent */

typedef enum AuthzJsonType
{
	AUTHZ_JSON_ABSENT = 0,
	AUTHZ_JSON_STRING,
	AUTHZ_JSON_NUMBER,
	AUTHZ_JSON_TRUE,
	AUTHZ_JSON_FALSE,
	AUTHZ_JSON_NULL,
	AUTHZ_JSON_OBJECT,
	AUTHZ_JSON_ARRAY
} AuthzJsonType;

/* A value as it stands in the text; a string without its quotes, escapes unresolved. */
typedef struct AuthzJson
{
	AuthzJsonType type;
	const char *text;			/* not NUL-terminated */
	size_t		length;
} AuthzJson;

/* Called for each member of the outermost object, in order, also if a later one is wrong. */
typedef void (*AuthzJsonVisitor) (void *state, const AuthzJson *name, const AuthzJson *value);

/*
 * Read an object, surrounded by white space at most; `visit` may be NULL.
 * What passes here passes PostgreSQL's jsonb input in a UTF-8 database too.
 * Uses some 33 kB of stack.
 */
extern AuthzJsonStatus authz_json_read(const char *text, size_t length,
									   AuthzJsonVisitor visit, void *state);

/* The functions below take values that authz_json_read has accepted. */

/* Is it a string, and this one? */
extern bool authz_json_equals(const AuthzJson *value, const char *string);

/* Resolve a string's escapes into out[size], NUL-terminated; its length, or -1 if it does not fit. */
extern long authz_json_decode(const AuthzJson *value, char *out, size_t size);

/* Is it an array, and this string one of its elements? */
extern bool authz_json_array_has(const AuthzJson *value, const char *string);

#endif							/* AUTHZ_JSON_H */
