/*-------------------------------------------------------------------------
 * identity.h
 *	  Who this session acts for: the verified identity behind authz.token.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_IDENTITY_H
#define AUTHZ_IDENTITY_H

#include "compat.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"

/* Zero means nobody. */
typedef enum AuthzIdentityKind
{
	AUTHZ_IDENTITY_ANONYMOUS = 0,	/* no token, no login mapping */
	AUTHZ_IDENTITY_TOKEN,			/* a verified token */
	AUTHZ_IDENTITY_LOGIN			/* authz.login_map for the session user */
} AuthzIdentityKind;

/*
 * Immutable once built.  Lives in the identity cache; valid until the end of
 * the current call into authz (do not keep it across catalog access that may
 * process invalidations: copy what you need).
 */
typedef struct AuthzIdentity
{
	AuthzIdentityKind kind;
	const char *subject;		/* NULL for anonymous */
	const char *issuer;			/* NULL unless from a token */
	const char *token_id;		/* jti, or NULL */
	int			nroles;
	const char *const *roles;	/* effective roles, closed over the hierarchy, sorted, unique */
	int			nscopes;
	const char *const *scopes;	/* sorted, unique */
	Jsonb	   *attributes;		/* object, never NULL */
	TimestampTz issued_at;		/* iat, or 0 */
	TimestampTz expires_at;		/* exp plus skew; DT_NOEND without a token */
	TimestampTz changes_at;		/* resolve again from here on: a role, key or token starts or ends */
	uint64		signature;		/* of kind, roles and scopes; never 0 */
} AuthzIdentity;

/*
 * The current identity, checked against the clock (GetCurrentTimestamp) and
 * the catalog's generation.  Raises 28000 if the token is unusable (expired,
 * revoked, deferred verification failed, last SET failed): an unusable token
 * is never anonymous.  Needs a transaction.
 */
extern const AuthzIdentity *authz_identity_get(void);

/* Is `role` effective?  '*' holds for every identity but anonymous, 'anonymous' for that only. */
extern bool authz_identity_has_role(const AuthzIdentity *identity, const char *role);

extern void authz_identity_init(void);

#endif							/* AUTHZ_IDENTITY_H */
