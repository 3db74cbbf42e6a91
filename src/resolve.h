/*-------------------------------------------------------------------------
 * resolve.h
 *	  From a verified token, or a mapped login, to an identity: effective
 *	  roles, scopes, attributes, signature.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_RESOLVE_H
#define AUTHZ_RESOLVE_H

#include "compat.h"
#include "identity.h"
#include "token.h"

/*
 * What a token stands for now.  NULL with *refusal filled if its roles or
 * scopes have a shape that cannot be understood.  Everything lives in the
 * current memory context or belongs to `token`: copy it to keep it.
 */
extern AuthzIdentity *authz_resolve_token(const AuthzToken *token, TimestampTz now, AuthzRefusal *refusal);

/* What a database role that exists stands for without a token: its mapped subject, or anonymous; InvalidOid: anonymous. */
extern AuthzIdentity *authz_resolve_login(Oid database_role, TimestampTz now);

/* Deep copy into the current memory context. */
extern AuthzIdentity *authz_resolve_copy(const AuthzIdentity *identity);

/* Names that no role can have: what policies write for "everybody" and "nobody". */
extern bool authz_resolve_is_reserved(const char *role);

#endif							/* AUTHZ_RESOLVE_H */
