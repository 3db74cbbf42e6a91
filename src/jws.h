/*-------------------------------------------------------------------------
 * jws.h
 *	  Strict reader of a compact JWS (RFC 7515 section 7.1) that holds a JWT
 *	  claims set (RFC 7519).  Pure C: no postgres.h, so that it can be fuzzed
 *	  alone.
 *
 * Reads and judges the form only.  It never verifies a signature and never
 * looks at a claim's meaning: keyring.c and token.c do.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_JWS_H
#define AUTHZ_JWS_H

#include <stdbool.h>
#include <stddef.h>

/* Zero is a failure: a struct that nobody filled is not a token. */
typedef enum AuthzJwsStatus
{
	AUTHZ_JWS_UNREAD = 0,
	AUTHZ_JWS_OK,
	AUTHZ_JWS_TOO_LONG,			/* longer than the caller's limit */
	AUTHZ_JWS_NOT_COMPACT,		/* not three segments: JWE, JSON serialisation, rubbish */
	AUTHZ_JWS_UNSIGNED,			/* third segment empty: what alg "none" looks like */
	AUTHZ_JWS_BAD_BASE64URL,	/* a byte outside the alphabet, padding, non-canonical end */
	AUTHZ_JWS_BAD_JSON,			/* header or claims: not one strict UTF-8 JSON object */
	AUTHZ_JWS_DUPLICATE_NAME,	/* a member name twice in one object */
	AUTHZ_JWS_TOO_DEEP,			/* nested deeper than AUTHZ_JSON_MAX_DEPTH */
	AUTHZ_JWS_TOO_MANY,			/* more members than json.h allows */
	AUTHZ_JWS_BAD_HEADER,		/* alg missing; alg, kid or typ empty, too long or not a string */
	AUTHZ_JWS_FORBIDDEN_HEADER, /* crit, b64, jwk, jku, x5u, x5c, enc, zip */
	AUTHZ_JWS_BAD_TYPE			/* typ is neither JWT nor at+jwt */
} AuthzJwsStatus;

#define AUTHZ_JWS_MAX_KID		255 /* bytes */
#define AUTHZ_JWS_MAX_ALG		15	/* bytes */

typedef struct AuthzJws
{
	const char *signing_input;	/* points into the token: header.claims */
	size_t		signing_input_length;
	const char *claims;			/* decoded JSON text, NUL-terminated, in the caller's buffer */
	size_t		claims_length;
	const unsigned char *signature; /* in the caller's buffer */
	size_t		signature_length;
	char		algorithm[AUTHZ_JWS_MAX_ALG + 1];	/* what the header says, "none" too: compare it with the key's */
	char		kid[AUTHZ_JWS_MAX_KID + 1];	/* not empty if has_kid */
	bool		has_kid;
	bool		is_access_token;	/* typ was at+jwt (RFC 9068) */
	bool		has_type;			/* typ was there */
} AuthzJws;

/*
 * Read a token of `length` bytes (need not be NUL-terminated).  `buffer` has
 * at least `length + 3` bytes and receives the decoded segments; it and the
 * token must outlive `jws`.  Returns AUTHZ_JWS_OK, or the first thing that is
 * wrong, and then `jws` is all zeroes.  Some 33 kB of stack.
 */
extern AuthzJwsStatus authz_jws_read(const char *token, size_t length, size_t max_length,
									 unsigned char *buffer, AuthzJws *jws);

/* A fixed lower-case English phrase for a status; never any of the input. */
extern const char *authz_jws_reason(AuthzJwsStatus status);

/*
 * Decode canonical base64url without padding (RFC 7515 section 2); the number
 * of bytes, or -1 if it is not.  `out` has at least length * 3 / 4 bytes.
 */
extern long authz_jws_decode_base64url(const char *in, size_t length, unsigned char *out);

#endif							/* AUTHZ_JWS_H */
