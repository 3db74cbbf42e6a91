/*-------------------------------------------------------------------------
 * auditdigest.c
 *	  What the audit signs: digests of its chain of seals, to be kept outside,
 *	  and what was dropped.
 *
 * A token of the internal issuer (compact JWS, HS256).  It holds the content as
 * its claim "audit", and another audience than identities have: it is no token
 * to act with, and none of those is a digest.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "claims.h"
#include "guc.h"
#include "issue.h"
#include "jws.h"
#include "keyring.h"

PG_FUNCTION_INFO_V1(authz_audit_sign);
PG_FUNCTION_INFO_V1(authz_audit_read_digest);

#define INTERNAL_ISSUER		"authz:internal"
#define DIGEST_AUDIENCE		"authz:audit"

static AuthzIssuerKey *
internal_key(const char *kid)
{
	TimestampTz changes_at = DT_NOEND;
	List	   *keys = authz_catalog_issuer_keys(INTERNAL_ISSUER, kid, "HS256", GetCurrentTimestamp(), &changes_at);

	return list_length(keys) == 1 ? linitial(keys) : NULL;
}

/*
 * audit_sign(content jsonb) -> text: a token signed by the internal issuer that
 * holds `content` as its claim "audit".  Its audience is not that of identities.
 */
Datum
authz_audit_sign(PG_FUNCTION_ARGS)
{
	Jsonb	   *content = PG_GETARG_JSONB_P(0);
	AuthzIssuerKey *key = internal_key(NULL);
	StringInfoData claims;
	char	   *token;

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the issuer \"%s\" has no usable key", INTERNAL_ISSUER),
				 errhint("The extension makes it when it is created.")));
	initStringInfo(&claims);
	appendStringInfo(&claims, "{\"iss\":\"%s\",\"aud\":\"%s\",\"iat\":" INT64_FORMAT ",\"audit\":", INTERNAL_ISSUER, DIGEST_AUDIENCE,
					 GetCurrentTimestamp() / USECS_PER_SEC + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY);
	(void) JsonbToCString(&claims, &content->root, VARSIZE(content));
	appendStringInfoChar(&claims, '}');
	token = authz_issue_hs256(pg_server_to_any(claims.data, claims.len, PG_UTF8),
							  key->kid, (unsigned char *) key->key, strlen(key->key));
	explicit_bzero(key->key, strlen(key->key));
	PG_RETURN_TEXT_P(cstring_to_text(token));
}

static void
refuse_digest(const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("digest refused: %s", reason),
			 errhint("Give what authz.audit_digest() of this database returned, unchanged.")));
}

/* audit_read_digest(token text) -> jsonb: what audit_sign was given; raises if it did not make the token. */
Datum
authz_audit_read_digest(PG_FUNCTION_ARGS)
{
	char	   *token = text_to_cstring(PG_GETARG_TEXT_PP(0));
	size_t		length = strlen(token);
	AuthzJws	jws;
	AuthzJwsStatus status;
	AuthzIssuerKey *stored;
	const AuthzKey *key;
	const char *reason;
	bool		verified;
	Jsonb	   *claims;
	JsonbValue	value;
	char	   *audience;

	if (length > authz_token_max_size)
		refuse_digest(authz_jws_reason(AUTHZ_JWS_TOO_LONG));
	check_stack_depth();
	status = authz_jws_read(token, length, authz_token_max_size, palloc(length + 3), &jws);
	if (status != AUTHZ_JWS_OK)
		refuse_digest(authz_jws_reason(status));
	stored = jws.has_kid && strcmp(jws.algorithm, "HS256") == 0 ? internal_key(jws.kid) : NULL;
	if (stored == NULL)
		refuse_digest("it was not signed by this database");
	key = authz_keyring_get("HS256", stored->key, &reason);
	explicit_bzero(stored->key, strlen(stored->key));
	verified = key != NULL && authz_keyring_verify(key, jws.signing_input, jws.signing_input_length,
												   jws.signature, jws.signature_length);
	if (!verified)
		refuse_digest("it was not signed by this database");

	/* Signed here, so it reads as it was written. */
	claims = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(pg_any_to_server(jws.claims, jws.claims_length, PG_UTF8))));
	audience = authz_claims_member(&claims->root, "aud", 3, &value) ? authz_claims_string(&value) : NULL;
	if (audience == NULL || strcmp(audience, DIGEST_AUDIENCE) != 0 || !authz_claims_member(&claims->root, "audit", 5, &value))
		refuse_digest("it is another kind of token");
	PG_RETURN_JSONB_P(JsonbValueToJsonb(&value));
}
