/*-------------------------------------------------------------------------
 * accessors.c
 *	  The current identity as SQL functions, for conditions.
 *
 * They run once a row where an index cannot serve.  What is missing or has
 * another form than asked for is NULL, hence no match; they raise only if the
 * token itself is unusable.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "attribute.h"
#include "claims.h"
#include "identity.h"

PG_FUNCTION_INFO_V1(authz_subject);
PG_FUNCTION_INFO_V1(authz_issuer);
PG_FUNCTION_INFO_V1(authz_token_id);
PG_FUNCTION_INFO_V1(authz_has_role);
PG_FUNCTION_INFO_V1(authz_has_scope);
PG_FUNCTION_INFO_V1(authz_attr);
PG_FUNCTION_INFO_V1(authz_attr_bigint);
PG_FUNCTION_INFO_V1(authz_attr_boolean);
PG_FUNCTION_INFO_V1(authz_attr_uuid);
PG_FUNCTION_INFO_V1(authz_attr_timestamptz);
PG_FUNCTION_INFO_V1(authz_attr_jsonb);
PG_FUNCTION_INFO_V1(authz_attr_text_array);
PG_FUNCTION_INFO_V1(authz_attr_bigint_array);
PG_FUNCTION_INFO_V1(authz_attr_uuid_array);
PG_FUNCTION_INFO_V1(authz_identity);

#define MEMO_NAME_SIZE 64

/*
 * The last answer of one call site whose argument stands while the plan runs.
 * What it points to is given out without a copy.
 */
typedef struct AttributeMemo
{
	bool		usable;			/* the argument does not come from the row */
	uint64		serial;			/* of the identity; 0: nothing yet */
	int			length;
	char		name[MEMO_NAME_SIZE];
	bool		found;
	Datum		result;
} AttributeMemo;

static bool
find_attribute(const AuthzIdentity *identity, text *name, const AuthzAttributeType *type, Datum *result)
{
	JsonbValue	value;

	return authz_claims_member(&identity->attributes->root, VARDATA_ANY(name),
							   VARSIZE_ANY_EXHDR(name), &value) &&
		type->convert(&value, result);
}

/* The call site's memo; NULL if it cannot have one. */
static AttributeMemo *
get_memo(FmgrInfo *flinfo)
{
	AttributeMemo *memo;

	if (flinfo == NULL)
		return NULL;
	memo = flinfo->fn_extra;
	if (memo == NULL)
	{
		memo = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(AttributeMemo));
		memo->usable = get_fn_expr_arg_stable(flinfo, 0);
		flinfo->fn_extra = memo;
	}
	return memo->usable ? memo : NULL;
}

static void
fill_memo(AttributeMemo *memo, FmgrInfo *flinfo, const AuthzIdentity *identity,
		  text *name, const AuthzAttributeType *type)
{
	Datum		result;
	MemoryContext old;

	/*
	 * Another name comes when PL/pgSQL evaluates an expression anew; then the
	 * last result is not in use any more.  It may be if the identity changed
	 * within a running plan, so that one is left to the context.
	 */
	if (memo->serial == identity->serial && memo->found && !type->by_value)
		pfree(DatumGetPointer(memo->result));

	memo->serial = 0;
	memo->found = find_attribute(identity, name, type, &result);
	if (memo->found)
	{
		old = MemoryContextSwitchTo(flinfo->fn_mcxt);
		memo->result = datumCopy(result, type->by_value, type->length);
		MemoryContextSwitchTo(old);
	}
	memo->length = VARSIZE_ANY_EXHDR(name);
	memcpy(memo->name, VARDATA_ANY(name), memo->length);
	memo->serial = identity->serial;
}

/* The attribute that the first argument names, converted; NULL if it cannot be. */
static Datum
attribute(FunctionCallInfo fcinfo, const AuthzAttributeType *type)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();
	text	   *name = PG_GETARG_TEXT_PP(0);
	int			length = VARSIZE_ANY_EXHDR(name);
	AttributeMemo *memo = get_memo(fcinfo->flinfo);
	Datum		result;

	if (memo == NULL || length > MEMO_NAME_SIZE)
	{
		if (!find_attribute(identity, name, type, &result))
			PG_RETURN_NULL();
		return result;
	}
	if (memo->serial != identity->serial || memo->length != length ||
		memcmp(memo->name, VARDATA_ANY(name), length) != 0)
		fill_memo(memo, fcinfo->flinfo, identity, name, type);
	if (!memo->found)
		PG_RETURN_NULL();
	return memo->result;
}

/* authz.subject() -> text */
Datum
authz_subject(PG_FUNCTION_ARGS)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();

	if (identity->subject == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(identity->subject));
}

/* authz.issuer() -> text */
Datum
authz_issuer(PG_FUNCTION_ARGS)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();

	if (identity->issuer == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(identity->issuer));
}

/* authz.token_id() -> text */
Datum
authz_token_id(PG_FUNCTION_ARGS)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();

	if (identity->token_id == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(identity->token_id));
}

/* authz.has_role(role text) -> boolean */
Datum
authz_has_role(PG_FUNCTION_ARGS)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();
	text	   *role = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(authz_identity_has_role(identity, VARDATA_ANY(role), VARSIZE_ANY_EXHDR(role)));
}

/* authz.has_scope(scope text) -> boolean */
Datum
authz_has_scope(PG_FUNCTION_ARGS)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();
	text	   *scope = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(authz_identity_has_name(identity->scopes, identity->nscopes,
										   VARDATA_ANY(scope), VARSIZE_ANY_EXHDR(scope)));
}

/* authz.attr(name text) -> text: a string, or the text of a number or boolean */
Datum
authz_attr(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_text);
}

/* authz.attr_bigint(name text) -> bigint */
Datum
authz_attr_bigint(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_bigint);
}

/* authz.attr_boolean(name text) -> boolean */
Datum
authz_attr_boolean(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_boolean);
}

/* authz.attr_uuid(name text) -> uuid */
Datum
authz_attr_uuid(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_uuid);
}

/* authz.attr_timestamptz(name text) -> timestamptz */
Datum
authz_attr_timestamptz(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_timestamptz);
}

/* authz.attr_jsonb(name text) -> jsonb */
Datum
authz_attr_jsonb(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_jsonb);
}

/* authz.attr_text_array(name text) -> text[] */
Datum
authz_attr_text_array(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_text_array);
}

/* authz.attr_bigint_array(name text) -> bigint[] */
Datum
authz_attr_bigint_array(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_bigint_array);
}

/* authz.attr_uuid_array(name text) -> uuid[] */
Datum
authz_attr_uuid_array(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, &authz_attribute_uuid_array);
}

static void
push_name(JsonbParseState **state, const char *name)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, name);
	value.val.string.len = strlen(name);
	pushJsonbValue(state, WJB_KEY, &value);
}

static void
push_string(JsonbParseState **state, const char *name, const char *string)
{
	JsonbValue	value;

	push_name(state, name);
	value.type = string != NULL ? jbvString : jbvNull;
	if (string != NULL)
	{
		value.val.string.val = unconstify(char *, string);
		value.val.string.len = strlen(string);
	}
	pushJsonbValue(state, WJB_VALUE, &value);
}

static void
push_strings(JsonbParseState **state, const char *name, const char *const *strings, int n)
{
	push_name(state, name);
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		JsonbValue	value;

		value.type = jbvString;
		value.val.string.val = unconstify(char *, strings[i]);
		value.val.string.len = strlen(strings[i]);
		pushJsonbValue(state, WJB_ELEM, &value);
	}
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

static void
push_time(JsonbParseState **state, const char *name, TimestampTz time)
{
	char		buffer[MAXDATELEN + 1];

	JsonEncodeDateTime(buffer, TimestampTzGetDatum(time), TIMESTAMPTZOID, NULL);
	push_string(state, name, buffer[0] != '\0' ? pstrdup(buffer) : NULL);
}

/* authz.identity() -> jsonb: all of it, for people to read */
Datum
authz_identity(PG_FUNCTION_ARGS)
{
	static const char *const kinds[] = {
		[AUTHZ_IDENTITY_ANONYMOUS] = "anonymous",
		[AUTHZ_IDENTITY_TOKEN] = "token",
		[AUTHZ_IDENTITY_LOGIN] = "login",
	};
	const AuthzIdentity *identity = authz_identity_get_in_statement();
	JsonbParseState *state = NULL;
	JsonbValue	attributes;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, "kind", kinds[identity->kind]);
	push_string(&state, "subject", identity->subject);
	push_strings(&state, "roles", identity->roles, identity->nroles);
	if (identity->kind == AUTHZ_IDENTITY_TOKEN)
	{
		push_string(&state, "issuer", identity->issuer);
		push_string(&state, "token_id", identity->token_id);
		push_strings(&state, "scopes", identity->scopes, identity->nscopes);
		push_strings(&state, "unknown_roles", identity->unknown_roles, identity->nunknown_roles);
		push_strings(&state, "missing_claims", identity->missing_claims, identity->nmissing_claims);
		if (identity->issued_at != 0)
			push_time(&state, "issued_at", identity->issued_at);
		push_time(&state, "expires_at", identity->expires_at);
		push_name(&state, "attributes");
		attributes.type = jbvBinary;
		attributes.val.binary.data = &identity->attributes->root;
		attributes.val.binary.len = VARSIZE(identity->attributes) - VARHDRSZ;
		pushJsonbValue(&state, WJB_VALUE, &attributes);
	}
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}
