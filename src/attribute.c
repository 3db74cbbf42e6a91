/*-------------------------------------------------------------------------
 * attribute.c
 *	  Values of attributes as SQL types.
 *
 * Conditions ask for attributes while they scan, so a value of another form
 * than asked for must not raise: it is no value.  Hence no value reaches an
 * input function of core's; each is parsed here, strictly, and nothing depends
 * on a setting that the caller controls (DateStyle, TimeZone).
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "attribute.h"
#include "claims.h"

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

/* A whole number, as a JSON number or as a string in the one canonical spelling: "9", not "09", "+9", "-0", "9.0". */
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
	if (*digits == '0' && (digits[1] != '\0' || digits != text))
		return false;
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

/* An array, or a string that spells one, whose every element converts; anything else, a lone scalar too, does not. */
static bool
convert_array(const JsonbValue *value, AuthzAttributeConverter convert, Oid type, Datum *result)
{
	JsonbContainer *array = authz_claims_array(value);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	element;
	Datum	   *elements;
	int			n = 0;

	if (array == NULL)
		return false;
	elements = palloc(sizeof(Datum) * Max(JsonContainerSize(array), 1));
	iterator = JsonbIteratorInit(array);
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

const AuthzAttributeType authz_attribute_text = {convert_text, false, -1};
const AuthzAttributeType authz_attribute_bigint = {convert_bigint, FLOAT8PASSBYVAL, 8};
const AuthzAttributeType authz_attribute_boolean = {convert_boolean, true, 1};
const AuthzAttributeType authz_attribute_uuid = {convert_uuid, false, UUID_LEN};
const AuthzAttributeType authz_attribute_timestamptz = {convert_timestamptz, FLOAT8PASSBYVAL, 8};
const AuthzAttributeType authz_attribute_jsonb = {convert_jsonb, false, -1};
const AuthzAttributeType authz_attribute_text_array = {convert_text_array, false, -1};
const AuthzAttributeType authz_attribute_bigint_array = {convert_bigint_array, false, -1};
const AuthzAttributeType authz_attribute_uuid_array = {convert_uuid_array, false, -1};
