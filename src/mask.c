/*-------------------------------------------------------------------------
 * mask.c
 *	  What takes the place of a value that may not be seen.
 *
 * A mask runs once a row of other people's queries.  So it raises for wrong
 * arguments only, never because of the value: an error would stop everybody's
 * query, and tell that there is such a value.  Nor does anything else of the
 * value show but what the mask is for: not its length (partial), not its
 * number of decimals (round), not the caller's time zone in it (date).  No
 * message holds an argument, because an argument may be a column.
 *
 * What a mask cannot make sense of is hidden whole.  Arguments that would hide
 * nothing are refused.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#define HIDDEN					"***"
#define MAX_LOCAL_PART_LENGTH	64	/* bytes, RFC 5321 section 4.5.3.1.1 */
#define MAX_DOMAIN_LENGTH		255 /* bytes, section 4.5.3.1.2 */
#define MAX_LABEL_LENGTH		63	/* bytes, RFC 1035 section 2.3.4 */

PG_FUNCTION_INFO_V1(authz_mask_null);
PG_FUNCTION_INFO_V1(authz_mask_constant);
PG_FUNCTION_INFO_V1(authz_mask_partial);
PG_FUNCTION_INFO_V1(authz_mask_email);
PG_FUNCTION_INFO_V1(authz_mask_date);
PG_FUNCTION_INFO_V1(authz_mask_date_timestamp);
PG_FUNCTION_INFO_V1(authz_mask_round_smallint);
PG_FUNCTION_INFO_V1(authz_mask_round_integer);
PG_FUNCTION_INFO_V1(authz_mask_round_bigint);
PG_FUNCTION_INFO_V1(authz_mask_round_numeric);
PG_FUNCTION_INFO_V1(authz_mask_round_double);
PG_FUNCTION_INFO_V1(authz_mask_round_real);
PG_FUNCTION_INFO_V1(authz_mask_json);

/* authz.mask_null(value anyelement) returns anyelement: NULL of the value's type. */
Datum
authz_mask_null(PG_FUNCTION_ARGS)
{
	PG_RETURN_NULL();
}

/*
 * authz.mask_constant(value anyelement, constant anyelement) returns
 * anyelement: the constant.  Not strict: that there is no value would show.
 */
Datum
authz_mask_constant(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}

static char *
append(char *at, const char *bytes, int length)
{
	memcpy(at, bytes, length);
	return at + length;
}

/*
 * authz.mask_partial(value text, prefix integer, pad text, suffix integer)
 * returns text: the first and last characters with `pad`, once, between them;
 * `pad` alone if the value has no character more than these.
 */
Datum
authz_mask_partial(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	int32		prefix = PG_GETARG_INT32(1);
	text	   *pad = PG_GETARG_TEXT_PP(2);
	int32		suffix = PG_GETARG_INT32(3);
	const char *bytes = VARDATA_ANY(value);
	int			length = VARSIZE_ANY_EXHDR(value);
	int			characters;
	int			head;
	int			tail;				/* bytes, as head */
	text	   *result;
	char	   *at;

	if (prefix < 0 || suffix < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a partial mask must not show a negative number of characters"),
				 errhint("Give the numbers of characters to show at the start and at the end, 0 for none.")));
	characters = pg_mbstrlen_with_len(bytes, length);
	if (characters <= (int64) prefix + suffix)
		PG_RETURN_TEXT_P(pad);

	head = pg_mbcharcliplen(bytes, length, prefix);
	tail = length - pg_mbcharcliplen(bytes, length, characters - suffix);
	result = palloc((Size) VARHDRSZ + head + VARSIZE_ANY_EXHDR(pad) + tail);
	at = append(VARDATA(result), bytes, head);
	at = append(at, VARDATA_ANY(pad), VARSIZE_ANY_EXHDR(pad));
	at = append(at, bytes + length - tail, tail);
	SET_VARSIZE(result, at - (char *) result);
	PG_RETURN_TEXT_P(result);
}

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IS_HIGHBIT_SET(c);
}

/*
 * Where the last label of a domain begins, or NULL if this is not a domain of
 * two labels or more.  The last label is shown, so it must be one: not a
 * number (as in an IP address), not a sentence after a full stop.
 */
static const char *
last_label(const char *domain, const char *end)
{
	const char *label = domain;
	bool		has_letter = false;

	if (end - domain > MAX_DOMAIN_LENGTH)
		return NULL;
	for (const char *at = domain; at < end; at++)
	{
		if (*at == '.')
		{
			if (at == label || at - label > MAX_LABEL_LENGTH)
				return NULL;
			label = at + 1;
			has_letter = false;
		}
		else if (is_letter((unsigned char) *at))
			has_letter = true;
		else if (*at != '-' && !is_digit((unsigned char) *at))
			return NULL;
	}
	if (label == domain || label == end || end - label > MAX_LABEL_LENGTH || !has_letter)
		return NULL;
	return label;
}

/* No white space and no control characters, and of a length that is allowed? */
static bool
is_local_part(const char *start, const char *end)
{
	if (end <= start || end - start > MAX_LOCAL_PART_LENGTH)
		return false;
	for (const char *at = start; at < end; at++)
	{
		if ((unsigned char) *at <= ' ' || *at == 0x7F)
			return false;
	}
	return true;
}

/*
 * authz.mask_email(value text) returns text: a***@e***.org for
 * alice@example.org, *** for what is not an address.
 */
Datum
authz_mask_email(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	const char *start = VARDATA_ANY(value);
	const char *end = start + VARSIZE_ANY_EXHDR(value);
	const char *at_sign = end - 1;
	const char *label;
	char		result[2 * MAX_MULTIBYTE_CHAR_LEN + sizeof(HIDDEN "@" HIDDEN ".") + MAX_LABEL_LENGTH];
	char	   *at;

	/* The last one: a quoted local part may have others. */
	while (at_sign >= start && *at_sign != '@')
		at_sign--;
	if (!is_local_part(start, at_sign))
		PG_RETURN_TEXT_P(cstring_to_text(HIDDEN));
	label = last_label(at_sign + 1, end);
	if (label == NULL)
		PG_RETURN_TEXT_P(cstring_to_text(HIDDEN));

	at = append(result, start, pg_mblen(start));
	at = append(at, HIDDEN "@", strlen(HIDDEN "@"));
	at = append(at, at_sign + 1, pg_mblen(at_sign + 1));
	at = append(at, HIDDEN ".", strlen(HIDDEN "."));
	at = append(at, label, end - label);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(result, at - result));
}

/*
 * Dates and times.  Not by date_trunc: that raises at the ends of the range,
 * cannot take every date, and goes by the time zone of the caller.
 */

typedef enum DateUnit
{
	UNIT_UNKNOWN = 0,
	UNIT_SECOND,
	UNIT_MINUTE,
	UNIT_HOUR,
	UNIT_DAY,
	UNIT_WEEK,
	UNIT_MONTH,
	UNIT_QUARTER,
	UNIT_YEAR,
	UNIT_DECADE,
	UNIT_CENTURY,
	UNIT_MILLENNIUM
} DateUnit;

static const char *const unit_names[] = {
	[UNIT_SECOND] = "second",
	[UNIT_MINUTE] = "minute",
	[UNIT_HOUR] = "hour",
	[UNIT_DAY] = "day",
	[UNIT_WEEK] = "week",
	[UNIT_MONTH] = "month",
	[UNIT_QUARTER] = "quarter",
	[UNIT_YEAR] = "year",
	[UNIT_DECADE] = "decade",
	[UNIT_CENTURY] = "century",
	[UNIT_MILLENNIUM] = "millennium",
};

/* The unit of this name, without regard to case; raises if it is not at least `smallest`. */
static DateUnit
get_unit(text *name, DateUnit smallest)
{
	int			length = VARSIZE_ANY_EXHDR(name);

	for (int unit = UNIT_SECOND; unit < lengthof(unit_names); unit++)
	{
		if (strlen(unit_names[unit]) != length || pg_strncasecmp(VARDATA_ANY(name), unit_names[unit], length) != 0)
			continue;
		if (unit < smallest)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the unit of this date mask would hide nothing of a date"),
					 errhint("Use week, month, quarter, year, decade, century or millennium.")));
		return unit;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the unit of a date mask is not known"),
			 smallest > UNIT_DAY ?
			 errhint("Use week, month, quarter, year, decade, century or millennium.") :
			 errhint("Use second, minute, hour, day, week, month, quarter, year, decade, century or millennium.")));
}

/* The first year of its period, as date_trunc has it; year 0 is 1 BC. */
static int
truncate_year(int year, DateUnit unit)
{
	int			span = unit == UNIT_DECADE ? 10 : unit == UNIT_CENTURY ? 100 : unit == UNIT_MILLENNIUM ? 1000 : 1;
	int			first = unit == UNIT_CENTURY || unit == UNIT_MILLENNIUM ? 1 : 0;	/* 2001, but 2000s */
	int			past = (year - first) % span;

	return year - (past < 0 ? past + span : past);
}

/* First day (Julian) of the period of a day; may be before the first valid one. */
static int
truncate_day(int day, DateUnit unit)
{
	int			year;
	int			month;
	int			day_of_month;

	if (unit <= UNIT_DAY)
		return day;
	if (unit == UNIT_WEEK)
		return day - (j2day(day) + 6) % 7;	/* j2day counts from Sunday */
	j2date(day, &year, &month, &day_of_month);
	if (unit == UNIT_MONTH)
		return date2j(year, month, 1);
	if (unit == UNIT_QUARTER)
		return date2j(year, (month - 1) / 3 * 3 + 1, 1);
	/* The first valid day is late in 4714 BC; date2j would do no good before. */
	year = truncate_year(year, unit);
	return year <= JULIAN_MINYEAR ? -1 : date2j(year, 1, 1);
}

/*
 * authz.mask_date(value date, unit text) returns date: the first day of the
 * period; -infinity if that is before the first date there is.
 */
Datum
authz_mask_date(PG_FUNCTION_ARGS)
{
	DateADT		value = PG_GETARG_DATEADT(0);
	DateUnit	unit = get_unit(PG_GETARG_TEXT_PP(1), UNIT_WEEK);
	int			day;

	if (DATE_NOT_FINITE(value))
		PG_RETURN_DATEADT(value);
	day = truncate_day(value + POSTGRES_EPOCH_JDATE, unit);
	if (day < 0)
		PG_RETURN_DATEADT(DATEVAL_NOBEGIN);
	PG_RETURN_DATEADT(day - POSTGRES_EPOCH_JDATE);
}

/* Largest multiple of `step` that is not greater, or INT64_MIN if there is none. */
static int64
floor_to(int64 value, int64 step)
{
	int64		rest = value % step;
	int64		result;

	if (rest < 0)
		rest += step;
	return pg_sub_s64_overflow(value, rest, &result) ? PG_INT64_MIN : result;
}

/*
 * authz.mask_date(value timestamp, unit text) returns timestamp, and the same
 * of timestamptz: the first moment of the period, for timestamptz of the
 * period in UTC; -infinity if there is none.
 */
Datum
authz_mask_date_timestamp(PG_FUNCTION_ARGS)
{
	Timestamp	value = PG_GETARG_TIMESTAMP(0);
	DateUnit	unit = get_unit(PG_GETARG_TEXT_PP(1), UNIT_SECOND);
	int			day;

	if (TIMESTAMP_NOT_FINITE(value))
		PG_RETURN_TIMESTAMP(value);
	if (unit < UNIT_DAY)
		PG_RETURN_TIMESTAMP(floor_to(value, unit == UNIT_SECOND ? USECS_PER_SEC :
									 unit == UNIT_MINUTE ? USECS_PER_MINUTE : USECS_PER_HOUR));
	day = truncate_day((int) (floor_to(value, USECS_PER_DAY) / USECS_PER_DAY) + POSTGRES_EPOCH_JDATE, unit);
	if (day < 0)
		PG_RETURN_TIMESTAMP(DT_NOBEGIN);
	PG_RETURN_TIMESTAMP((day - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY);
}

/*
 * Numbers: the lower edge of the bucket, that is the largest multiple of
 * `step` that is not greater than the value.
 */

static void
refuse_step(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the step of a rounding mask must be positive and finite"),
			 errhint("Give the width of the ranges in which numbers are shown, for example 1000.")));
}

/*
 * authz.mask_round(value smallint, step smallint) returns smallint.  The lowest
 * range begins with the lowest smallint.
 */
Datum
authz_mask_round_smallint(PG_FUNCTION_ARGS)
{
	int16		step = PG_GETARG_INT16(1);

	if (step <= 0)
		refuse_step();
	PG_RETURN_INT16((int16) Max(floor_to(PG_GETARG_INT16(0), step), PG_INT16_MIN));
}

/* authz.mask_round(value integer, step integer) returns integer, likewise. */
Datum
authz_mask_round_integer(PG_FUNCTION_ARGS)
{
	int32		step = PG_GETARG_INT32(1);

	if (step <= 0)
		refuse_step();
	PG_RETURN_INT32((int32) Max(floor_to(PG_GETARG_INT32(0), step), PG_INT32_MIN));
}

/* authz.mask_round(value bigint, step bigint) returns bigint, likewise. */
Datum
authz_mask_round_bigint(PG_FUNCTION_ARGS)
{
	int64		step = PG_GETARG_INT64(1);

	if (step <= 0)
		refuse_step();
	PG_RETURN_INT64(floor_to(PG_GETARG_INT64(0), step));
}

static int
compare_numeric(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a), NumericGetDatum(b)));
}

/* The lowest range of numeric begins with -Infinity. */
static Numeric
minus_infinity(void)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum("-Infinity"),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/*
 * authz.mask_round(value numeric, step numeric) returns numeric.  By mod, which
 * is exact, where a quotient is rounded.  The result has the scale of the
 * step: that of the value would tell how many decimals it had.
 */
Datum
authz_mask_round_numeric(PG_FUNCTION_ARGS)
{
	Numeric		value = PG_GETARG_NUMERIC(0);
	Numeric		step = PG_GETARG_NUMERIC(1);
	Numeric		zero = int64_to_numeric(0);
	bool		overflow = false;
	Numeric		rest;

	if (numeric_is_nan(step) || numeric_is_inf(step) || compare_numeric(step, zero) <= 0)
		refuse_step();
	if (numeric_is_nan(value) || numeric_is_inf(value))
		PG_RETURN_NUMERIC(value);

	rest = numeric_mod_opt_error(value, step, &overflow);
	if (!overflow)
		value = numeric_sub_opt_error(value, rest, &overflow);
	if (!overflow && compare_numeric(rest, zero) < 0)
		value = numeric_sub_opt_error(value, step, &overflow);
	if (overflow)
		PG_RETURN_NUMERIC(minus_infinity());
	PG_RETURN_DATUM(DirectFunctionCall2(numeric_trunc, NumericGetDatum(value),
										DirectFunctionCall1(numeric_scale, NumericGetDatum(step))));
}

/*
 * The rest is not made positive first: rounding that sum would give different
 * results to numbers of one range.
 */
static float8
round_float(float8 value, float8 step)
{
	float8		rest;

	if (!(step > 0) || isinf(step))
		refuse_step();
	if (isnan(value) || isinf(value))
		return value;
	rest = fmod(value, step);
	value -= rest;
	return rest < 0 ? value - step : value;
}

/* authz.mask_round(value double precision, step double precision) returns double precision. */
Datum
authz_mask_round_double(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(round_float(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1)));
}

/*
 * authz.mask_round(value real, step real) returns real.  In double precision,
 * where multiples of a real are exact; it is rounded once, so never above the value.
 */
Datum
authz_mask_round_real(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT4((float4) round_float(PG_GETARG_FLOAT4(0), PG_GETARG_FLOAT4(1)));
}

/* The string is not ours and not NUL-terminated. */
typedef struct JsonPath
{
	const char *text;
	int			length;			/* bytes */
} JsonPath;

/* What remains of the paths that led to a container. */
typedef struct JsonPaths
{
	int			n;
	JsonPath	path[FLEXIBLE_ARRAY_MEMBER];
} JsonPaths;

/* Room for n paths, of which none is there yet. */
static JsonPaths *
make_paths(int n)
{
	JsonPaths  *result = palloc(offsetof(JsonPaths, path) + n * sizeof(JsonPath));

	result->n = 0;
	return result;
}

static JsonPaths *
read_paths(ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	JsonPaths  *result;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	result = make_paths(n);
	for (int i = 0; i < n; i++)
	{
		text	   *path = nulls[i] ? NULL : DatumGetTextPP(elements[i]);

		if (path == NULL || VARSIZE_ANY_EXHDR(path) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a path of a JSON mask must not be null or empty"),
					 errhint("Give names of members with dots between, for example address.street.")));
		result->path[result->n].text = VARDATA_ANY(path);
		result->path[result->n].length = VARSIZE_ANY_EXHDR(path);
		result->n++;
	}
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a JSON mask needs a path"),
				 errhint("Give names of members with dots between, for example address.street.")));
	return result;
}

/* Does a path begin with a member of this name?  Then *rest is what comes behind, empty if nothing does. */
static bool
begins_with(const JsonPath *path, const JsonbValue *name, JsonPath *rest)
{
	int			length = name->val.string.len;

	if (path->length < length || memcmp(path->text, name->val.string.val, length) != 0 ||
		(path->length > length && path->text[length] != '.'))
		return false;
	rest->text = path->text + Min(length + 1, path->length);
	rest->length = Max(path->length - length - 1, 0);
	return true;
}

/*
 * Where the paths lead behind a member of this name: true if one ends here,
 * else *behind gets the rest of those that go on, NULL if none does.  A name
 * with dots in it is found as well.
 */
static bool
follow_member(const JsonPaths *paths, const JsonbValue *name, JsonPaths **behind)
{
	JsonPath	rest;
	int			n = 0;

	*behind = NULL;
	for (int i = 0; i < paths->n; i++)
	{
		if (!begins_with(&paths->path[i], name, &rest))
			continue;
		if (paths->path[i].length == name->val.string.len)
			return true;
		n++;
	}
	if (n == 0)
		return false;
	*behind = make_paths(n);
	for (int i = 0; i < paths->n; i++)
	{
		if (begins_with(&paths->path[i], name, &rest))
			(*behind)->path[(*behind)->n++] = rest;
	}
	return false;
}

/*
 * authz.mask_json(value jsonb, paths text[]) returns jsonb: the same with null
 * in the place of the values at the paths, through arrays as if they were not
 * there.  Paths that lead nowhere change nothing.
 */
Datum
authz_mask_json(PG_FUNCTION_ARGS)
{
	Jsonb	   *value = PG_GETARG_JSONB_P(0);
	JsonPaths  *paths = read_paths(PG_GETARG_ARRAYTYPE_P(1));	/* for what comes next */
	List	   *containers = NIL;	/* JsonPaths of those around, innermost last */
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbParseState *state = NULL;
	JsonbValue	item;
	JsonbValue	null = {.type = jbvNull};
	JsonbValue *result = NULL;
	bool		changed = false;

	if (JB_ROOT_IS_SCALAR(value) || JB_ROOT_COUNT(value) == 0)
		PG_RETURN_JSONB_P(value);

	iterator = JsonbIteratorInit(&value->root);
	/* A container that no path leads into comes, and goes, in one piece. */
	while ((token = JsonbIteratorNext(&iterator, &item, paths == NULL)) != WJB_DONE)
	{
		switch (token)
		{
			case WJB_KEY:
				(void) pushJsonbValue(&state, token, &item);
				if (!follow_member(llast(containers), &item, &paths))
					break;
				(void) JsonbIteratorNext(&iterator, &item, true);
				(void) pushJsonbValue(&state, WJB_VALUE, &null);
				changed = true;
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				(void) pushJsonbValue(&state, token, &item);
				break;
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				(void) pushJsonbValue(&state, token, NULL);
				containers = lappend(containers, paths);
				break;
			case WJB_END_ARRAY:
			case WJB_END_OBJECT:
				result = pushJsonbValue(&state, token, NULL);
				containers = list_delete_last(containers);
				/* If this was an element, the next one is looked at in the same way. */
				paths = containers == NIL ? NULL : llast(containers);
				break;
			case WJB_DONE:
				break;
		}
	}
	PG_RETURN_JSONB_P(changed ? JsonbValueToJsonb(result) : value);
}
