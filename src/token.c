/*-------------------------------------------------------------------------
 * token.c
 *	  From a token's text to claims that hold now.
 *
 * The order is: form, issuer, key, signature, and only then what the claims
 * say.  Until the signature has been verified nothing of the claims but "iss"
 * is used, and that only to look up rows.  No text that leaves this file holds
 * any part of a token: the reasons are fixed phrases.
 *
 * The provider's clock may be ahead of ours or behind by the issuer's
 * clock_skew.  A comparison that would refuse honest tokens of such a provider
 * gives way by that much; one that takes rights back takes more by that much.
 * Times of one clock are compared as they are:
 *
 *	  what			compared with				a doubt is decided
 *	  exp			now							accepted: good until exp + skew
 *	  nbf, iat		now							accepted: good from nbf - skew, iat - skew on
 *	  iat			issued_before of a			refused: revoked if iat < issued_before + skew,
 *					revoked subject				or without iat; the larger of the skew now and
 *												the skew when it was revoked
 *	  jti, sid		revoked_token,				no time is compared: revoked for good
 *					revoked_session
 *	  keys, grants	now, by valid_during		both of our clock: exact, [from, until)
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "claims.h"
#include "guc.h"
#include "json.h"
#include "jws.h"
#include "keyring.h"
#include "token.h"

#define MAX_TIME	INT64CONST(253402300799)	/* 9999-12-31 23:59:59, as RFC 3339 can write */

/*
 * The claims that are times, as they stand in the text: jsonb would not tell
 * 1e3 from 1000.
 */
typedef struct TimeClaims
{
	AuthzJson	exp;
	AuthzJson	nbf;
	AuthzJson	iat;
} TimeClaims;

static bool
refuse(AuthzRefusal *refusal, const char *reason)
{
	refusal->reason = reason;
	refusal->hint = NULL;
	return false;
}

static bool
refuse_with_hint(AuthzRefusal *refusal, const char *reason, const char *hint)
{
	refusal->reason = reason;
	refusal->hint = hint;
	return false;
}

static bool
read_form(const char *text, AuthzJws *jws, AuthzRefusal *refusal)
{
	size_t		length = strlen(text);
	AuthzJwsStatus status;

	/* The limit comes before anything is allocated for the token. */
	if (length > authz_token_max_size)
		return refuse_with_hint(refusal, authz_jws_reason(AUTHZ_JWS_TOO_LONG),
								"The limit is the parameter \"authz.token_max_size\".");
	check_stack_depth();
	status = authz_jws_read(text, length, authz_token_max_size, palloc(length + 3), jws);
	if (status != AUTHZ_JWS_OK)
		return refuse(refusal, authz_jws_reason(status));
	return true;
}

/*
 * Claims are UTF-8.  In a database of another encoding raw characters are
 * converted if they can be; escaped ones are refused, because there jsonb's
 * input would raise, with the claims in the error's context.
 */
static char *
to_database_encoding(const char *text, size_t length)
{
	int			encoding = GetDatabaseEncoding();
	Oid			conversion;
	char	   *result;
	int			converted;

	if (encoding == PG_UTF8)
		return pstrdup(text);
	if (strstr(text, "\\u") != NULL)
		return NULL;
	if (encoding == PG_SQL_ASCII)
		return pstrdup(text);
	conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(conversion))
		return NULL;
	result = palloc(length * MAX_CONVERSION_GROWTH + 1);
	converted = pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding,
											  (unsigned char *) text, length,
											  (unsigned char *) result,
											  length * MAX_CONVERSION_GROWTH + 1, true);
	return converted == length ? result : NULL;
}

/* authz_json_read's visitor. */
static void
note_time_claim(void *state, const AuthzJson *name, const AuthzJson *value)
{
	TimeClaims *times = state;

	if (authz_json_equals(name, "exp"))
		times->exp = *value;
	else if (authz_json_equals(name, "nbf"))
		times->nbf = *value;
	else if (authz_json_equals(name, "iat"))
		times->iat = *value;
}

static bool
read_claims(const AuthzJws *jws, TimeClaims *times, Jsonb **claims, AuthzRefusal *refusal)
{
	char	   *text;

	memset(times, 0, sizeof(*times));
	if (authz_json_read(jws->claims, jws->claims_length, note_time_claim, times) != AUTHZ_JSON_OK)
		return refuse(refusal, authz_jws_reason(AUTHZ_JWS_BAD_JSON));
	text = to_database_encoding(jws->claims, jws->claims_length);
	if (text == NULL)
		return refuse(refusal, "its claims hold characters that the database's encoding lacks");
	*claims = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	return true;
}

static bool
find_issuer(AuthzToken *token, AuthzRefusal *refusal)
{
	JsonbValue	value;

	if (!OidIsValid(authz_catalog_schema()))
		return refuse(refusal, "the extension authz is not installed in this database");
	if (!authz_claims_member(&token->claims->root, "iss", 3, &value))
		return refuse(refusal, "it names no issuer");
	token->issuer = authz_claims_string(&value);
	if (token->issuer == NULL || token->issuer[0] == '\0')
		return refuse(refusal, "its issuer is not a string");
	token->settings = authz_catalog_issuer(token->issuer);
	if (token->settings == NULL)
		return refuse_with_hint(refusal, "its issuer is not known",
								"Issuers are made known with authz.create_issuer.");
	if (token->settings->naudience == 0)
		return refuse_with_hint(refusal, "its issuer is configured without an audience",
								"Set the issuer's audience by authz.alter_issuer.");
	return true;
}

/* One key serves a token: the one it names, or the only one of its algorithm. */
static bool
verify_signature(const AuthzJws *jws, AuthzToken *token, TimestampTz now, AuthzRefusal *refusal)
{
	List	   *keys = authz_catalog_issuer_keys(token->issuer, jws->has_kid ? jws->kid : NULL,
												 jws->algorithm, now, &token->changes_at);
	const AuthzIssuerKey *row;
	const AuthzKey *key;
	const char *reason = NULL;

	if (keys == NIL)
		return refuse(refusal, jws->has_kid ?
					  "its issuer has no valid key with its key id" :
					  "its issuer has no valid key for its algorithm");
	if (list_length(keys) > 1)
		return refuse(refusal, "it names no key id, and more than one key could serve");

	row = linitial(keys);
	/* The algorithm is the key's: a token that says another one chooses nothing. */
	if (strcmp(row->algorithm, jws->algorithm) != 0)
		return refuse(refusal, "its algorithm is not the one of its key");
	key = authz_keyring_get(row->algorithm, row->key, &reason);
	explicit_bzero(row->key, strlen(row->key));
	if (key == NULL)
		return refuse_with_hint(refusal, "its issuer's key cannot be used",
								"Replace the key by authz.drop_key and authz.add_key.");
	if (!authz_keyring_verify(key, jws->signing_input, jws->signing_input_length,
							  jws->signature, jws->signature_length))
		return refuse(refusal, "its signature does not hold");
	return true;
}

static bool
check_type(const AuthzJws *jws, const AuthzToken *token, AuthzRefusal *refusal)
{
	if (token->settings->token_type != NULL && !jws->is_access_token)
		return refuse(refusal, "its type is not at+jwt, which its issuer's tokens must have");
	return true;
}

static bool
check_audience(const AuthzToken *token, AuthzRefusal *refusal)
{
	const AuthzIssuer *settings = token->settings;
	JsonbValue	value;
	List	   *audience;
	ListCell   *cell;

	if (!authz_claims_member(&token->claims->root, "aud", 3, &value))
		return refuse(refusal, "it names no audience");
	if (!authz_claims_strings(&value, false, &audience))
		return refuse(refusal, "its audience is neither a string nor an array of strings");
	foreach(cell, audience)
	{
		for (int i = 0; i < settings->naudience; i++)
		{
			if (settings->audience[i] != NULL && settings->audience[i][0] != '\0' &&
				strcmp(lfirst(cell), settings->audience[i]) == 0)
				return true;
		}
	}
	return refuse(refusal, "it is for another audience");
}

/* Whole seconds since 1970, written as nothing but digits. */
static bool
read_time(const AuthzJson *claim, TimestampTz *result)
{
	int64		seconds = 0;

	if (claim->type != AUTHZ_JSON_NUMBER || claim->length > 12)
		return false;
	for (size_t i = 0; i < claim->length; i++)
	{
		if (claim->text[i] < '0' || claim->text[i] > '9')
			return false;
		seconds = seconds * 10 + (claim->text[i] - '0');
	}
	if (seconds > MAX_TIME)
		return false;
	*result = (seconds - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400)) * USECS_PER_SEC;
	return true;
}

static bool
check_times(const TimeClaims *times, AuthzToken *token, TimestampTz now, AuthzRefusal *refusal)
{
	int64		skew = token->settings->clock_skew;
	TimestampTz not_before;

	if (times->exp.type == AUTHZ_JSON_ABSENT)
		return refuse(refusal, "it has no expiry time");
	if (!read_time(&times->exp, &token->expires_at))
		return refuse(refusal, "its expiry time is not a whole number of seconds");
	token->expires_at += skew;
	if (token->expires_at <= now)
		return refuse(refusal, "it has expired");
	token->changes_at = Min(token->changes_at, token->expires_at);

	if (times->nbf.type != AUTHZ_JSON_ABSENT)
	{
		if (!read_time(&times->nbf, &not_before))
			return refuse(refusal, "its not-before time is not a whole number of seconds");
		if (not_before - skew > now)
			return refuse(refusal, "it is not valid yet");
	}
	if (times->iat.type != AUTHZ_JSON_ABSENT)
	{
		if (!read_time(&times->iat, &token->issued_at))
			return refuse(refusal, "its issue time is not a whole number of seconds");
		if (token->issued_at - skew > now)
			return refuse(refusal, "its issue time is in the future");
	}
	return true;
}

/* An optional claim that must be a non-empty string if it is there. */
static bool
read_optional_string(const AuthzToken *token, const char *name, char **result)
{
	JsonbValue	value;

	*result = NULL;
	if (!authz_claims_member(&token->claims->root, name, strlen(name), &value))
		return true;
	*result = authz_claims_string(&value);
	return *result != NULL && (*result)[0] != '\0';
}

static bool
read_subject(AuthzToken *token, AuthzRefusal *refusal)
{
	JsonbValue	value;

	if (token->settings->subject_claim == NULL ||
		!authz_claims_find(token->claims, token->settings->subject_claim, &value))
		return refuse_with_hint(refusal, "it names no subject", "Check the subject_claim of the issuer.");
	token->subject = authz_claims_string(&value);
	if (token->subject == NULL || token->subject[0] == '\0' ||
		strlen(token->subject) > AUTHZ_TOKEN_MAX_SUBJECT)
		return refuse(refusal, "its subject is not a string of 1 to 1024 bytes");
	return true;
}

static bool
check_revocation(AuthzToken *token, bool has_issue_time, AuthzRefusal *refusal)
{
	char	   *session_id;
	TimestampTz before;
	int64		skew;

	if (!read_optional_string(token, "jti", &token->token_id))
		return refuse(refusal, "its token id is not a string");
	if (!read_optional_string(token, "sid", &session_id))
		return refuse(refusal, "its session id is not a string");

	if (token->token_id != NULL && authz_catalog_is_token_revoked(token->issuer, token->token_id))
		return refuse(refusal, "it has been revoked");
	if (session_id != NULL && authz_catalog_is_session_revoked(token->issuer, session_id))
		return refuse(refusal, "its session has been revoked");
	before = authz_catalog_subject_revoked_before(token->issuer, token->subject, &skew);
	skew = Max(skew, token->settings->clock_skew);
	if (before != DT_NOBEGIN && (!has_issue_time || token->issued_at - skew < before))
		return refuse(refusal, "tokens of its subject have been revoked");
	return true;
}

bool
authz_token_verify(const char *text, TimestampTz now, AuthzToken *token, AuthzRefusal *refusal)
{
	AuthzJws	jws;
	TimeClaims	times;

	memset(token, 0, sizeof(*token));
	memset(refusal, 0, sizeof(*refusal));
	token->changes_at = DT_NOEND;

	return read_form(text, &jws, refusal) &&
		read_claims(&jws, &times, &token->claims, refusal) &&
		find_issuer(token, refusal) &&
		verify_signature(&jws, token, now, refusal) &&
		check_type(&jws, token, refusal) &&
		check_audience(token, refusal) &&
		check_times(&times, token, now, refusal) &&
		read_subject(token, refusal) &&
		check_revocation(token, times.iat.type != AUTHZ_JSON_ABSENT, refusal);
}
