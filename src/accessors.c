/*-------------------------------------------------------------------------
 * accessors.c
 *	  The current identity as SQL functions, for conditions.
 *
 * They run once a row where an index cannot serve.  What is missing or has
 * another form than asked for is NULL, hence no match; they raise only if the
 * token itself is unusable.  So no value reaches an input function that might
 * raise: each is parsed here, strictly, and nothing depends on a setting that
 * the caller controls (DateStyle, TimeZone).
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

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

/* From a JSON value to a datum; false if the value has not exactly this form. */
typedef bool (*Converter) (const JsonbValue *value, Datum *result);

#define MEMO_NAME_SIZE 64

/* The last answer of one call site, if it is passed by value. */
typedef struct AttributeMemo
{
	uint64		serial;			/* of the identity; 0: nothing yet */
	int			length;
	char		name[MEMO_NAME_SIZE];
	bool		found;
	Datum		result;
} AttributeMemo;

static bool
convert_text(const JsonbValue *value, Datum *result)
{
	switch (value->type)
	{
		case jbvString:
			*result = PointerGetDatum(cstring_to_text_with_len(value->val.string.val,
															   value->val.string.len));
			return true;
		case jbvNumeric:
			*result = CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(numeric_out,
																			  NumericGetDatum(value->val.numeric))));
			return true;
		case jbvBool:
			*result = CStringGetTextDatum(value->val.boolean ? "true" : "false");
			return true;
		default:				/* null, arrays and objects have no text */
			return false;
	}
}

/* A copy of a number's or string's text in buffer[size]; false if it is neither or too long. */
static bool
scalar_text(const JsonbValue *value, char *buffer, size_t size)
{
	if (value->type == jbvNumeric)
	{
		char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
															   NumericGetDatum(value->val.numeric)));

		return strlcpy(buffer, text, size) < size;
	}
	if (value->type != jbvString || value->val.string.len >= size)
		return false;
	memcpy(buffer, value->val.string.val, value->val.string.len);
	buffer[value->val.string.len] = '\0';
	return true;
}

/* A whole number in decimal digits, as a JSON number or as a string. */
static bool
convert_bigint(const JsonbValue *value, Datum *result)
{
	char		text[24];
	char	   *digits = text;
	char	   *end;
	int64		number;

	if (!scalar_text(value, text, sizeof(text)))
		return false;
	if (*digits == '-')
		digits++;
	if (*digits < '0' || *digits > '9')
		return false;			/* strtoi64 would skip spaces and take a plus */
	errno = 0;
	number = strtoi64(text, &end, 10);
	if (errno != 0 || *end != '\0')
		return false;
	*result = Int64GetDatum(number);
	return true;
}

static bool
convert_boolean(const JsonbValue *value, Datum *result)
{
	char		text[8];

	if (value->type == jbvBool)
	{
		*result = BoolGetDatum(value->val.boolean);
		return true;
	}
	if (value->type != jbvString || !scalar_text(value, text, sizeof(text)))
		return false;
	*result = BoolGetDatum(strcmp(text, "true") == 0);
	return DatumGetBool(*result) || strcmp(text, "false") == 0;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* RFC 4122 section 3: 8-4-4-4-12 hexadecimal digits, nothing else. */
static bool
convert_uuid(const JsonbValue *value, Datum *result)
{
	char		text[37];
	const char *next = text;
	pg_uuid_t  *uuid;

	if (value->type != jbvString || value->val.string.len != 36 ||
		!scalar_text(value, text, sizeof(text)))
		return false;
	uuid = palloc(sizeof(pg_uuid_t));
	for (int i = 0; i < UUID_LEN; i++)
	{
		int			high;
		int			low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *next++ != '-')
			return false;
		high = hex_digit(next[0]);
		low = high < 0 ? -1 : hex_digit(next[1]);
		if (low < 0)
			return false;
		uuid->data[i] = (high << 4) | low;
		next += 2;
	}
	*result = UUIDPGetDatum(uuid);
	return true;
}

/* Read exactly n digits; false if they are not there. */
static bool
read_digits(const char **text, int n, int *result)
{
	*result = 0;
	for (int i = 0; i < n; i++, (*text)++)
	{
		if (**text < '0' || **text > '9')
			return false;
		*result = *result * 10 + (**text - '0');
	}
	return true;
}

static bool
read_byte(const char **text, char byte)
{
	if (**text != byte)
		return false;
	(*text)++;
	return true;
}

/* The fraction of a second in microseconds; further digits are cut off. */
static bool
read_fraction(const char **text, int *microseconds)
{
	int			unit = 100000;

	*microseconds = 0;
	if (**text != '.')
		return true;
	(*text)++;
	if (**text < '0' || **text > '9')
		return false;
	for (; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
		*microseconds += (**text - '0') * unit;
	return true;
}

/* Z or +hh:mm, in seconds east of UTC.  Required: without it the session's TimeZone would decide. */
static bool
read_offset(const char **text, int *offset)
{
	int			sign = **text == '-' ? -1 : 1;
	int			hours;
	int			minutes;

	*offset = 0;
	if (**text == 'Z')
		return read_byte(text, 'Z');
	if (**text != '+' && **text != '-')
		return false;
	(*text)++;
	if (!read_digits(text, 2, &hours) || !read_byte(text, ':') || !read_digits(text, 2, &minutes) ||
		hours > 23 || minutes > 59)
		return false;
	*offset = sign * (hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE);
	return true;
}

/* RFC 3339 date-time. */
static bool
read_date_time(const char *text, TimestampTz *result)
{
	int			year, month, day, hour, minute, second, microseconds, offset;
	int64		seconds;

	if (!read_digits(&text, 4, &year) || !read_byte(&text, '-') ||
		!read_digits(&text, 2, &month) || !read_byte(&text, '-') ||
		!read_digits(&text, 2, &day) || !(read_byte(&text, 'T') || read_byte(&text, ' ')) ||
		!read_digits(&text, 2, &hour) || !read_byte(&text, ':') ||
		!read_digits(&text, 2, &minute) || !read_byte(&text, ':') ||
		!read_digits(&text, 2, &second) || !read_fraction(&text, &microseconds) ||
		!read_offset(&text, &offset) || *text != '\0')
		return false;
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > day_tab[isleap(year)][month - 1] ||
		hour > 23 || minute > 59 || second > 60)
		return false;
	seconds = (int64) (date2j(year, month, day) - POSTGRES_EPOCH_JDATE) * SECS_PER_DAY +
		hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE + second - offset;
	*result = seconds * USECS_PER_SEC + microseconds;
	return true;
}

/* A JSON number: seconds since 1970, as token times are; or an RFC 3339 string. */
static bool
convert_timestamptz(const JsonbValue *value, Datum *result)
{
	char		text[64];
	TimestampTz timestamp;

	if (value->type == jbvNumeric)
	{
		Datum		number;
		int64		seconds;

		if (!convert_bigint(value, &number))
			return false;
		seconds = DatumGetInt64(number);
		if (seconds < INT64CONST(-62135596800) || seconds > INT64CONST(253402300799))
			return false;		/* outside the years 1 to 9999 */
		timestamp = (seconds - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY) * USECS_PER_SEC;
	}
	else if (!scalar_text(value, text, sizeof(text)) || !read_date_time(text, &timestamp))
		return false;
	*result = TimestampTzGetDatum(timestamp);
	return true;
}

static bool
convert_jsonb(const JsonbValue *value, Datum *result)
{
	JsonbValue	copy = *value;

	*result = JsonbPGetDatum(JsonbValueToJsonb(&copy));
	return true;
}

/* An array whose every element converts; anything else, a lone scalar too, does not. */
static bool
convert_array(const JsonbValue *value, Converter convert, Oid type, Datum *result)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	element;
	Datum	   *elements;
	int			n = 0;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		return false;
	elements = palloc(sizeof(Datum) * Max(JsonContainerSize(value->val.binary.data), 1));
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM && !convert(&element, &elements[n++]))
			return false;
	}
	if (type == TEXTOID)
		*result = PointerGetDatum(construct_array(elements, n, type, -1, false, TYPALIGN_INT));
	else if (type == INT8OID)
		*result = PointerGetDatum(construct_array(elements, n, type, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	else
		*result = PointerGetDatum(construct_array(elements, n, type, UUID_LEN, false, TYPALIGN_CHAR));
	return true;
}

static bool
convert_text_array(const JsonbValue *value, Datum *result)
{
	return convert_array(value, convert_text, TEXTOID, result);
}

static bool
convert_bigint_array(const JsonbValue *value, Datum *result)
{
	return convert_array(value, convert_bigint, INT8OID, result);
}

static bool
convert_uuid_array(const JsonbValue *value, Datum *result)
{
	return convert_array(value, convert_uuid, UUIDOID, result);
}

/* The attribute that the first argument names, converted; NULL if it cannot be. */
static Datum
attribute(FunctionCallInfo fcinfo, Converter convert)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();
	text	   *name = PG_GETARG_TEXT_PP(0);
	JsonbValue	value;
	Datum		result;

	if (!authz_claims_member(&identity->attributes->root, VARDATA_ANY(name),
							 VARSIZE_ANY_EXHDR(name), &value) ||
		!convert(&value, &result))
		PG_RETURN_NULL();
	return result;
}

/* The same for types passed by value, with the call site's last answer kept. */
static Datum
attribute_by_value(FunctionCallInfo fcinfo, Converter convert)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();
	text	   *name = PG_GETARG_TEXT_PP(0);
	int			length = VARSIZE_ANY_EXHDR(name);
	AttributeMemo *memo;
	JsonbValue	value;

	if (fcinfo->flinfo == NULL || length > MEMO_NAME_SIZE)
		return attribute(fcinfo, convert);

	memo = fcinfo->flinfo->fn_extra;
	if (memo == NULL)
	{
		memo = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(AttributeMemo));
		fcinfo->flinfo->fn_extra = memo;
	}
	if (memo->serial != identity->serial || memo->length != length ||
		memcmp(memo->name, VARDATA_ANY(name), length) != 0)
	{
		memo->serial = 0;
		memo->found = authz_claims_member(&identity->attributes->root, VARDATA_ANY(name), length, &value) &&
			convert(&value, &memo->result);
		memo->length = length;
		memcpy(memo->name, VARDATA_ANY(name), length);
		memo->serial = identity->serial;
	}
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
	const char *name = VARDATA_ANY(role);
	size_t		length = VARSIZE_ANY_EXHDR(role);

	if (length == 1 && name[0] == '*')
		PG_RETURN_BOOL(identity->kind != AUTHZ_IDENTITY_ANONYMOUS);
	if (length == 9 && memcmp(name, "anonymous", 9) == 0)
		PG_RETURN_BOOL(identity->kind == AUTHZ_IDENTITY_ANONYMOUS);
	PG_RETURN_BOOL(authz_identity_has_name(identity->roles, identity->nroles, name, length));
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
	return attribute(fcinfo, convert_text);
}

/* authz.attr_bigint(name text) -> bigint */
Datum
authz_attr_bigint(PG_FUNCTION_ARGS)
{
	return attribute_by_value(fcinfo, convert_bigint);
}

/* authz.attr_boolean(name text) -> boolean */
Datum
authz_attr_boolean(PG_FUNCTION_ARGS)
{
	return attribute_by_value(fcinfo, convert_boolean);
}

/* authz.attr_uuid(name text) -> uuid */
Datum
authz_attr_uuid(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, convert_uuid);
}

/* authz.attr_timestamptz(name text) -> timestamptz */
Datum
authz_attr_timestamptz(PG_FUNCTION_ARGS)
{
	return attribute_by_value(fcinfo, convert_timestamptz);
}

/* authz.attr_jsonb(name text) -> jsonb */
Datum
authz_attr_jsonb(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, convert_jsonb);
}

/* authz.attr_text_array(name text) -> text[] */
Datum
authz_attr_text_array(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, convert_text_array);
}

/* authz.attr_bigint_array(name text) -> bigint[] */
Datum
authz_attr_bigint_array(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, convert_bigint_array);
}

/* authz.attr_uuid_array(name text) -> uuid[] */
Datum
authz_attr_uuid_array(PG_FUNCTION_ARGS)
{
	return attribute(fcinfo, convert_uuid_array);
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
