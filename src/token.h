/*-------------------------------------------------------------------------
 * token.h
 *	  From a token's text to claims that hold now.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_TOKEN_H
#define AUTHZ_TOKEN_H

#include "compat.h"
#include "catalog.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#define AUTHZ_TOKEN_MAX_SUBJECT 1024	/* bytes */

/* Why a token is refused: fixed English, nothing of the token in it. */
typedef struct AuthzRefusal
{
	const char *reason;			/* "token refused: " goes before it */
	const char *hint;			/* a sentence, or NULL */
} AuthzRefusal;

/* A token whose signature and claims were checked. */
typedef struct AuthzToken
{
	char	   *issuer;
	char	   *subject;
	char	   *token_id;		/* jti, or NULL */
	TimestampTz issued_at;		/* iat, or 0 */
	TimestampTz expires_at;		/* exp plus the issuer's skew */
	TimestampTz changes_at;		/* verify again from here on: it expires, a key starts or ends */
	Jsonb	   *claims;
	AuthzIssuer *settings;		/* where in the claims to find what */
} AuthzToken;

/*
 * Verify everything about a token as of `now`.  False with *refusal filled if
 * it is not good.  Reads the catalog; palloc's in the current context.
 */
extern bool authz_token_verify(const char *text, TimestampTz now, AuthzToken *token, AuthzRefusal *refusal);

#endif							/* AUTHZ_TOKEN_H */
