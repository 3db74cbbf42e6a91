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
 * Immutable once built.  Lives in the identity cache, at least until the end
 * of the statement or transaction that got it, whichever comes first; what it
 * says may be overtaken sooner.
 */
typedef struct AuthzIdentity
{
	AuthzIdentityKind kind;
	const char *subject;		/* NULL for anonymous */
	const char *issuer;			/* NULL unless from a token */
	const char *token_id;		/* jti, or NULL */
	const char *actor;			/* who acts for the subject (RFC 8693: act.sub), or NULL */
	int			nroles;
	const char *const *roles;	/* effective roles, closed over the hierarchy, sorted, unique */
	int			nscopes;
	const char *const *scopes;	/* sorted, unique */
	int			nunknown_roles;
	const char *const *unknown_roles;	/* that the token states and that do not exist: of no effect; sorted, unique */
	int			nmissing_claims;
	const char *const *missing_claims;	/* the issuer's paths that found nothing in the token; sorted, unique */
	Jsonb	   *attributes;		/* object, never NULL */
	TimestampTz issued_at;		/* iat, or 0 */
	TimestampTz expires_at;		/* exp plus skew; DT_NOEND without a token */
	TimestampTz changes_at;		/* resolve again from here on: a role, key or token starts or ends */
	uint64		signature;		/* of kind, roles and scopes; never 0 */
	uint64		serial;			/* another one for each resolution in this backend */
} AuthzIdentity;

/*
 * The current identity, checked against the clock (GetCurrentTimestamp) and
 * the catalog's generation.  Raises 28000 if the token is unusable (expired,
 * revoked, deferred verification failed, last SET failed): an unusable token
 * is never anonymous.  Needs a transaction; may accept invalidations.
 */
extern const AuthzIdentity *authz_identity_get(void);

/*
 * The same for what runs once a row: trusts a check made earlier in the same
 * statement, as long as the catalog's generation stands.
 */
extern const AuthzIdentity *authz_identity_get_in_statement(void);

/*
 * Is a role effective, its name of `length` bytes (need not be NUL-terminated)?
 * '*' holds for every identity but anonymous, 'anonymous' for that only.
 */
extern bool authz_identity_has_role(const AuthzIdentity *identity, const char *role, size_t length);

/* Is a name of `length` bytes (need not be NUL-terminated) in a sorted array? */
extern bool authz_identity_has_name(const char *const *names, int n, const char *name, size_t length);

/*
 * Signature of the identity behind the present value of authz.token; 0 if that
 * value has not been resolved yet.  For authz_guard_identity_changed: reads no
 * catalog and never raises.
 */
extern uint64 authz_identity_assigned_signature(void);

/*
 * A failed SET is remembered until the next successful SET or RESET; meanwhile
 * authz_identity_get raises.  note: an attempt failed before it got as far as
 * the check hook.  forget: RESET ALL and DISCARD ALL do, as RESET authz.token does.
 */
extern void authz_identity_note_failure(void);
extern void authz_identity_forget_failure(void);

extern void authz_identity_init(void);

#endif							/* AUTHZ_IDENTITY_H */
