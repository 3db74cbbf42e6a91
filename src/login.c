/*-------------------------------------------------------------------------
 * login.c
 *	  Ways to set authz.token by function: login, logout, assume.
 *
 * They end in the same setting as SET does.  What they add: the token as a
 * bind parameter, out of statement texts; and for a trusted database role an
 * identity of its own making, signed by the extension's internal issuer.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "catalog.h"
#include "identity.h"
#include "issue.h"
#include "resolve.h"
#include "token.h"

PG_FUNCTION_INFO_V1(authz_login);
PG_FUNCTION_INFO_V1(authz_logout);
PG_FUNCTION_INFO_V1(authz_assume);

#define INTERNAL_ISSUER "authz:internal"

/* Error context callback: a token may stand in the statement's text. */
static void
hide_statement(void *arg)
{
	errhidestmt(true);
	errhidecontext(true);
}

static void
set_token(const char *token, bool is_local)
{
	ErrorContextCallback callback = {0};

	callback.callback = hide_statement;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	(void) set_config_option("authz.token", token,
							 superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION,
							 is_local ? GUC_ACTION_LOCAL : GUC_ACTION_SET, true, 0, false);
	error_context_stack = callback.previous;

	/* As SET LOCAL does; in a function called outside a block the rest of it is served. */
	if (is_local && !IsTransactionBlock() && GetCurrentTransactionNestLevel() == 1)
		ereport(WARNING,
				(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				 errmsg("the identity is set for this statement only"),
				 errhint("Begin a transaction first, or give is_local => false.")));
}

/* The subject from now on: something for drivers that have no use for void. */
static Datum
present_subject(FunctionCallInfo fcinfo)
{
	const AuthzIdentity *identity = authz_identity_get();

	if (identity->subject == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(identity->subject));
}

/*
 * authz.login(token text, is_local boolean) -> text, the subject.  Not STRICT: a NULL token
 * must not leave the previous person in force without a word.
 */
Datum
authz_login(PG_FUNCTION_ARGS)
{
	char	   *token;

	authz_identity_note_failure();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("token and is_local must not be null"),
				 errhint("Use authz.logout() to give an identity up.")));
	token = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (token[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("token refused: it is empty"),
				 errhint("Use authz.logout() to give an identity up.")));
	set_token(token, PG_GETARG_BOOL(1));
	return present_subject(fcinfo);
}

/*
 * authz.logout() -> text, the subject of a mapped login.  For the session, which ends a SET LOCAL of the same
 * transaction too.
 */
Datum
authz_logout(PG_FUNCTION_ARGS)
{
	set_token("", false);
	return present_subject(fcinfo);
}

/* The internal issuer's key that is valid now. */
static AuthzIssuerKey *
internal_key(TimestampTz now)
{
	TimestampTz changes_at = DT_NOEND;
	List	   *keys = authz_catalog_issuer_keys(INTERNAL_ISSUER, NULL, "HS256", now, &changes_at);

	if (list_length(keys) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the issuer \"%s\" has no usable key", INTERNAL_ISSUER),
				 errhint("The extension makes it when it is created.")));
	return linitial(keys);
}

/* Append the roles as a JSON array; raises if one does not exist. */
static void
append_roles(StringInfo claims, ArrayType *roles)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(roles, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	appendStringInfoChar(claims, '[');
	for (int i = 0; i < n; i++)
	{
		char	   *role;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a role must not be null")));
		role = TextDatumGetCString(elements[i]);
		if (authz_resolve_is_reserved(role))
			ereport(ERROR,
					(errcode(ERRCODE_RESERVED_NAME), errmsg("role name \"%s\" is reserved", role)));
		if (!authz_catalog_role_exists(role))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("role \"%s\" does not exist", role),
					 errhint("Create it with authz.create_role.")));
		if (i > 0)
			appendStringInfoChar(claims, ',');
		escape_json(claims, role);
	}
	appendStringInfoChar(claims, ']');
}

/* `now` plus the time to live; raises unless that is more than nothing and at most a day. */
static TimestampTz
expiry(TimestampTz now, Interval *ttl)
{
	TimestampTz result;

	if (ttl->month == 0 && ttl->day >= 0 && ttl->day <= 1 &&
		ttl->time >= -USECS_PER_DAY && ttl->time <= USECS_PER_DAY)
	{
		result = now + ttl->day * USECS_PER_DAY + ttl->time;
		if (result > now && result <= now + USECS_PER_DAY)
			return result;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("ttl must be more than zero and at most one day")));
}

static int64
unix_seconds(TimestampTz time)
{
	return time / USECS_PER_SEC + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
}

/* The claims set of an assumed identity, as UTF-8 JSON. */
static char *
assumed_claims(const char *subject, ArrayType *roles, Jsonb *attributes, TimestampTz now, TimestampTz expires_at)
{
	StringInfoData claims;
	Datum		token_id = DirectFunctionCall1(gen_random_uuid, (Datum) 0);

	initStringInfo(&claims);
	appendStringInfo(&claims, "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":", INTERNAL_ISSUER, INTERNAL_ISSUER);
	escape_json(&claims, subject);

	/* Whole seconds: issued not after now, good for the ttl at least. */
	appendStringInfo(&claims, ",\"iat\":" INT64_FORMAT ",\"exp\":" INT64_FORMAT ",\"jti\":\"%s\",\"roles\":",
					 unix_seconds(now), unix_seconds(expires_at + USECS_PER_SEC - 1),
					 DatumGetCString(DirectFunctionCall1(uuid_out, token_id)));
	append_roles(&claims, roles);
	appendStringInfoString(&claims, ",\"attributes\":");
	(void) JsonbToCString(&claims, &attributes->root, VARSIZE(attributes));

	/* RFC 8693 section 4.1: who acts for the subject */
	appendStringInfoString(&claims, ",\"act\":{\"sub\":");
	escape_json(&claims, GetUserNameFromId(GetSessionUserId(), false));
	appendStringInfoString(&claims, "}}");
	return pg_server_to_any(claims.data, claims.len, PG_UTF8);
}

/*
 * authz.assume(subject text, roles text[], attributes jsonb, ttl interval,
 * is_local boolean) -> text, the subject.  Not STRICT, for the reason given at
 * login.
 */
Datum
authz_assume(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	char	   *subject;
	Jsonb	   *attributes;
	AuthzIssuerKey *key;
	char	   *token;

	authz_identity_note_failure();
	for (int i = 0; i < 5; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("arguments of authz.assume must not be null")));
	}
	subject = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (subject[0] == '\0' || strlen(subject) > AUTHZ_TOKEN_MAX_SUBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("subject must have 1 to %d bytes", AUTHZ_TOKEN_MAX_SUBJECT)));
	attributes = PG_GETARG_JSONB_P(2);
	if (!JB_ROOT_IS_OBJECT(attributes))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("attributes must be a JSON object")));

	key = internal_key(now);
	token = authz_issue_hs256(assumed_claims(subject, PG_GETARG_ARRAYTYPE_P(1), attributes, now,
											 expiry(now, PG_GETARG_INTERVAL_P(3))),
							  key->kid, (unsigned char *) key->key, strlen(key->key));
	explicit_bzero(key->key, strlen(key->key));
	set_token(token, PG_GETARG_BOOL(4));
	explicit_bzero(token, strlen(token));
	return present_subject(fcinfo);
}
