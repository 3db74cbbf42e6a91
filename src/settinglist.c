/*-------------------------------------------------------------------------
 * settinglist.c
 *	  Which of PostgreSQL's functions read settings of the session.
 *
 * Two lists, by duty.  `accepted` are the STABLE functions that a condition may
 * call although the catalog does not call them IMMUTABLE; `known` says of others
 * what they read and what to write instead.  A STABLE function in neither list is
 * refused as well: whoever adds one to `accepted` has read its source.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "utils/fmgroids.h"

#include "settinglist.h"

/* STABLE functions that read no setting, and IMMUTABLE ones that read one only in some forms. */
static const AuthzAccepted accepted[] = {
	/* The clock: moments, not the day or hour of a zone. */
	{F_NOW},
	{F_TRANSACTION_TIMESTAMP},
	{F_STATEMENT_TIMESTAMP},

	/* Moments and what is counted in them: a day may be 23 hours long, an hour may not. */
	{F_TIMESTAMPTZ_PL_INTERVAL, AUTHZ_FIXED_INTERVAL, 1},
	{F_TIMESTAMPTZ_MI_INTERVAL, AUTHZ_FIXED_INTERVAL, 1},
	{F_INTERVAL_PL_TIMESTAMPTZ, AUTHZ_FIXED_INTERVAL, 0},
	{F_EXTRACT_TEXT_TIMESTAMPTZ, AUTHZ_EPOCH, 0},
	{F_DATE_PART_TEXT_TIMESTAMPTZ, AUTHZ_EPOCH, 0},

	/* A zone that is named, not that of the session.  Abbreviations are read by timezone_abbreviations. */
	{F_TIMEZONE_TEXT_TIMESTAMPTZ, AUTHZ_FIXED_ZONE, 0},
	{F_TIMEZONE_TEXT_TIMESTAMP, AUTHZ_FIXED_ZONE, 0},
	{F_TIMEZONE_TEXT_TIMETZ, AUTHZ_FIXED_ZONE, 0},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT, AUTHZ_FIXED_ZONE, 2},
	{F_MAKE_TIMESTAMPTZ_INT4_INT4_INT4_INT4_INT4_FLOAT8_TEXT, AUTHZ_FIXED_ZONE, 6},

	/* Formats that say everything themselves. */
	{F_TO_CHAR_TIMESTAMP_TEXT, AUTHZ_TIME_FORMAT, 1},
	{F_TO_CHAR_INTERVAL_TEXT, AUTHZ_TIME_FORMAT, 1},
	{F_TO_DATE, AUTHZ_TIME_FORMAT, 1},
	{F_TO_CHAR_INT4_TEXT, AUTHZ_NUMBER_FORMAT, 1},
	{F_TO_CHAR_INT8_TEXT, AUTHZ_NUMBER_FORMAT, 1},
	{F_TO_CHAR_NUMERIC_TEXT, AUTHZ_NUMBER_FORMAT, 1},
	{F_TO_CHAR_FLOAT4_TEXT, AUTHZ_NUMBER_FORMAT, 1},
	{F_TO_CHAR_FLOAT8_TEXT, AUTHZ_NUMBER_FORMAT, 1},
	{F_TO_NUMBER, AUTHZ_NUMBER_FORMAT, 1},

	/* Text and JSON made of values: as good as the values' own conversion. */
	{F_CONCAT, AUTHZ_PLAIN_ARGUMENTS},
	{F_CONCAT_WS, AUTHZ_PLAIN_ARGUMENTS},
	{F_TEXTANYCAT, AUTHZ_PLAIN_ARGUMENTS},
	{F_ANYTEXTCAT, AUTHZ_PLAIN_ARGUMENTS},
	{F_ARRAY_TO_STRING_ANYARRAY_TEXT, AUTHZ_PLAIN_ARGUMENTS},
	{F_ARRAY_TO_STRING_ANYARRAY_TEXT_TEXT, AUTHZ_PLAIN_ARGUMENTS},
	{F_QUOTE_LITERAL_ANYELEMENT, AUTHZ_PLAIN_ARGUMENTS},
	{F_QUOTE_NULLABLE_ANYELEMENT, AUTHZ_PLAIN_ARGUMENTS},
	{F_TO_JSON, AUTHZ_PLAIN_ARGUMENTS},
	{F_TO_JSONB, AUTHZ_PLAIN_ARGUMENTS},
	{F_ARRAY_TO_JSON_ANYARRAY, AUTHZ_PLAIN_ARGUMENTS},
	{F_ARRAY_TO_JSON_ANYARRAY_BOOL, AUTHZ_PLAIN_ARGUMENTS},
	{F_ROW_TO_JSON_RECORD, AUTHZ_PLAIN_ARGUMENTS},
	{F_ROW_TO_JSON_RECORD_BOOL, AUTHZ_PLAIN_ARGUMENTS},
	{F_JSON_BUILD_ARRAY_ANY, AUTHZ_PLAIN_ARGUMENTS},
	{F_JSON_BUILD_ARRAY_},
	{F_JSON_BUILD_OBJECT_ANY, AUTHZ_PLAIN_ARGUMENTS},
	{F_JSON_BUILD_OBJECT_},
	{F_JSONB_BUILD_ARRAY_ANY, AUTHZ_PLAIN_ARGUMENTS},
	{F_JSONB_BUILD_ARRAY_},
	{F_JSONB_BUILD_OBJECT_ANY, AUTHZ_PLAIN_ARGUMENTS},
	{F_JSONB_BUILD_OBJECT_},
	{F_JSON_AGG, AUTHZ_PLAIN_ARGUMENTS},
	{F_JSONB_AGG, AUTHZ_PLAIN_ARGUMENTS},
	{F_JSON_OBJECT_AGG, AUTHZ_PLAIN_ARGUMENTS},
	{F_JSONB_OBJECT_AGG, AUTHZ_PLAIN_ARGUMENTS},

	/* Encodings that are named, to and from that of the database. */
	{F_CONVERT},
	{F_CONVERT_FROM},
	{F_CONVERT_TO},
	{F_LENGTH_BYTEA_NAME},

	/* Values of an enum and types: the catalog says it. */
	{F_ENUM_IN},
	{F_ENUM_OUT},
	{F_ENUM_FIRST},
	{F_ENUM_LAST},
	{F_ENUM_RANGE_ANYENUM},
	{F_ENUM_RANGE_ANYENUM_ANYENUM},
	{F_PG_TYPEOF},

	/* Who asks, and from where. */
	{F_CURRENT_USER},
	{F_SESSION_USER},
	{F_GETPGUSERNAME},
	{F_CURRENT_DATABASE},
	{F_PG_GET_USERBYID},
	{F_INET_CLIENT_ADDR},
	{F_INET_CLIENT_PORT},
	{F_INET_SERVER_ADDR},
	{F_INET_SERVER_PORT},
	{F_PG_BACKEND_PID},

	/* Rights by OID, or on what has no schema: no name is looked for along search_path. */
	{F_PG_HAS_ROLE_NAME_NAME_TEXT},
	{F_PG_HAS_ROLE_NAME_OID_TEXT},
	{F_PG_HAS_ROLE_OID_NAME_TEXT},
	{F_PG_HAS_ROLE_OID_OID_TEXT},
	{F_PG_HAS_ROLE_NAME_TEXT},
	{F_PG_HAS_ROLE_OID_TEXT},
	{F_REGROLEIN},
	{F_TO_REGROLE},
	{F_REGNAMESPACEIN},
	{F_TO_REGNAMESPACE},
	{F_HAS_TABLE_PRIVILEGE_NAME_OID_TEXT},
	{F_HAS_TABLE_PRIVILEGE_OID_OID_TEXT},
	{F_HAS_TABLE_PRIVILEGE_OID_TEXT},
	{F_HAS_COLUMN_PRIVILEGE_NAME_OID_TEXT_TEXT},
	{F_HAS_COLUMN_PRIVILEGE_NAME_OID_INT2_TEXT},
	{F_HAS_COLUMN_PRIVILEGE_OID_OID_TEXT_TEXT},
	{F_HAS_COLUMN_PRIVILEGE_OID_OID_INT2_TEXT},
	{F_HAS_COLUMN_PRIVILEGE_OID_TEXT_TEXT},
	{F_HAS_COLUMN_PRIVILEGE_OID_INT2_TEXT},
	{F_HAS_DATABASE_PRIVILEGE_NAME_TEXT_TEXT},
	{F_HAS_DATABASE_PRIVILEGE_NAME_OID_TEXT},
	{F_HAS_DATABASE_PRIVILEGE_OID_TEXT_TEXT},
	{F_HAS_DATABASE_PRIVILEGE_OID_OID_TEXT},
	{F_HAS_DATABASE_PRIVILEGE_TEXT_TEXT},
	{F_HAS_DATABASE_PRIVILEGE_OID_TEXT},
	{F_HAS_SCHEMA_PRIVILEGE_NAME_TEXT_TEXT},
	{F_HAS_SCHEMA_PRIVILEGE_NAME_OID_TEXT},
	{F_HAS_SCHEMA_PRIVILEGE_OID_TEXT_TEXT},
	{F_HAS_SCHEMA_PRIVILEGE_OID_OID_TEXT},
	{F_HAS_SCHEMA_PRIVILEGE_TEXT_TEXT},
	{F_HAS_SCHEMA_PRIVILEGE_OID_TEXT},
};

#define HINT_IN_UTC		"Write it for a zone that is named, as in (now() AT TIME ZONE 'UTC')::date."
#define HINT_DAYS		"Write an interval of hours, or calculate in UTC: (... AT TIME ZONE 'UTC' - interval '30 days') AT TIME ZONE 'UTC'."
#define HINT_MOMENT		"Compare moments with moments: write the date or timestamp as ... AT TIME ZONE 'UTC'."
#define HINT_ZONE		"Write a constant that is no abbreviation, as in AT TIME ZONE 'UTC' or AT TIME ZONE 'Europe/Berlin'."
#define HINT_RANGE		"Compare values and not their text: day >= '2026-01-01' AND day < '2027-01-01' instead of day::text LIKE '2026-%'; or use extract or to_char of a timestamp."
#define HINT_FORMAT		"Write to_char for a timestamp in UTC, with a constant format that has no TM, as in to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM')."
#define HINT_NUMBER		"Write a constant format of 9, 0, point and comma, as in to_char(amount, 'FM999990.00')."
#define HINT_CONFIG		"Name the configuration, as in to_tsvector('english', body)."
#define HINT_NAME		"Write a constant, as in 'data.orders'::regclass, or compare OIDs."
#define HINT_CAST		"Store the value in a column of its type, or write it with a format, as in to_date(day, 'YYYY-MM-DD')."
#define HINT_FLOAT		"Compare numbers and not their text, or convert to numeric first."
#define HINT_ENCODE		"Write encode(value, 'hex')."
#define HINT_MONEY		"Use numeric for amounts; money is for display."
#define HINT_IDENTITY	"What a session sets anybody can set; take it from the token, as in authz.attr('tenant')."

static const AuthzKnownReader known[] = {
	/* IMMUTABLE by the catalog. */
	{F_AGE_TIMESTAMPTZ_TIMESTAMPTZ, "TimeZone", "Write age(... AT TIME ZONE 'UTC', ... AT TIME ZONE 'UTC'), or subtract."},
	{F_QUOTE_IDENT, "quote_all_identifiers", AUTHZ_SETTING_HINT},
	{F_BYTEAOUT, "bytea_output", HINT_ENCODE},
	{F_FLOAT4OUT, "extra_float_digits", HINT_FLOAT},
	{F_FLOAT8OUT, "extra_float_digits", HINT_FLOAT},
	{F_POINT_OUT, "extra_float_digits", HINT_FLOAT},
	{F_LSEG_OUT, "extra_float_digits", HINT_FLOAT},
	{F_PATH_OUT, "extra_float_digits", HINT_FLOAT},
	{F_BOX_OUT, "extra_float_digits", HINT_FLOAT},
	{F_POLY_OUT, "extra_float_digits", HINT_FLOAT},
	{F_LINE_OUT, "extra_float_digits", HINT_FLOAT},
	{F_CIRCLE_OUT, "extra_float_digits", HINT_FLOAT},
	{F_JSON_SEND, "client_encoding", AUTHZ_SETTING_HINT},
	{F_JSONB_SEND, "client_encoding", AUTHZ_SETTING_HINT},
	{F_JSONPATH_SEND, "client_encoding", AUTHZ_SETTING_HINT},
	{F_TSVECTORSEND, "client_encoding", AUTHZ_SETTING_HINT},
	{F_TSQUERYSEND, "client_encoding", AUTHZ_SETTING_HINT},
	{F_XPATH_TEXT_XML, "extra_float_digits", "Use XMLTABLE or xpath_exists."},
	{F_XPATH_TEXT_XML__TEXT, "extra_float_digits", "Use XMLTABLE or xpath_exists."},

	/* Zones. */
	{F_TIMEZONE_TEXT_TIMESTAMPTZ, "timezone_abbreviations", HINT_ZONE},
	{F_TIMEZONE_TEXT_TIMESTAMP, "timezone_abbreviations", HINT_ZONE},
	{F_TIMEZONE_TEXT_TIMETZ, "timezone_abbreviations", HINT_ZONE},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT, "timezone_abbreviations", HINT_ZONE},
	{F_MAKE_TIMESTAMPTZ_INT4_INT4_INT4_INT4_INT4_FLOAT8_TEXT, "timezone_abbreviations", HINT_ZONE},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ, "TimeZone", "Write date_trunc('day', moment, 'UTC')."},
	{F_MAKE_TIMESTAMPTZ_INT4_INT4_INT4_INT4_INT4_FLOAT8, "TimeZone", "Give the zone as the last argument."},
	{F_EXTRACT_TEXT_TIMESTAMPTZ, "TimeZone", "Write extract(... FROM moment AT TIME ZONE 'UTC')."},
	{F_DATE_PART_TEXT_TIMESTAMPTZ, "TimeZone", "Write date_part(..., moment AT TIME ZONE 'UTC')."},
	{F_DATE_TIMESTAMPTZ, "TimeZone", HINT_IN_UTC},
	{F_TIMESTAMP_TIMESTAMPTZ, "TimeZone", HINT_IN_UTC},
	{F_TIME_TIMESTAMPTZ, "TimeZone", HINT_IN_UTC},
	{F_TIMETZ_TIMESTAMPTZ, "TimeZone", HINT_IN_UTC},
	{F_TIMETZ_TIME, "TimeZone", HINT_IN_UTC},
	{F_TIMESTAMPTZ_DATE, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_TIMESTAMP, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_DATE_TIME, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_PL_INTERVAL, "TimeZone", HINT_DAYS},
	{F_TIMESTAMPTZ_MI_INTERVAL, "TimeZone", HINT_DAYS},
	{F_INTERVAL_PL_TIMESTAMPTZ, "TimeZone", HINT_DAYS},
	{F_AGE_TIMESTAMPTZ, "TimeZone", "Write age((now() AT TIME ZONE 'UTC')::date, ... AT TIME ZONE 'UTC')."},
	{F_AGE_TIMESTAMP, "TimeZone", "Write age((now() AT TIME ZONE 'UTC')::date, ...)."},
	{F_DATE_EQ_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_DATE_NE_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_DATE_LT_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_DATE_LE_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_DATE_GT_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_DATE_GE_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_EQ_DATE, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_NE_DATE, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_LT_DATE, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_LE_DATE, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_GT_DATE, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_GE_DATE, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMP_EQ_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMP_NE_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMP_LT_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMP_LE_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMP_GT_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMP_GE_TIMESTAMPTZ, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_EQ_TIMESTAMP, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_NE_TIMESTAMP, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_LT_TIMESTAMP, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_LE_TIMESTAMP, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_GT_TIMESTAMP, "TimeZone", HINT_MOMENT},
	{F_TIMESTAMPTZ_GE_TIMESTAMP, "TimeZone", HINT_MOMENT},
	{F_JSONB_PATH_EXISTS_TZ, "TimeZone", "Use the function without _tz."},
	{F_JSONB_PATH_MATCH_TZ, "TimeZone", "Use the function without _tz."},
	{F_JSONB_PATH_QUERY_FIRST_TZ, "TimeZone", "Use the function without _tz."},
	{F_JSONB_PATH_QUERY_ARRAY_TZ, "TimeZone", "Use the function without _tz."},
	{F_JSONB_PATH_QUERY_TZ, "TimeZone", "Use the function without _tz."},

	/* Conversions to text. */
	{F_DATE_OUT, "DateStyle", HINT_RANGE},
	{F_TIMESTAMP_OUT, "DateStyle", HINT_RANGE},
	{F_TIMESTAMPTZ_OUT, "DateStyle and TimeZone", HINT_RANGE},
	{F_INTERVAL_OUT, "IntervalStyle", "Compare intervals and not their text, or write extract(epoch FROM ...)."},
	{F_CASH_OUT, "lc_monetary", HINT_MONEY},
	{F_REGCLASSOUT, "search_path", HINT_NAME},
	{F_REGTYPEOUT, "search_path", HINT_NAME},
	{F_REGPROCOUT, "search_path", HINT_NAME},
	{F_REGPROCEDUREOUT, "search_path", HINT_NAME},
	{F_REGOPEROUT, "search_path", HINT_NAME},
	{F_REGOPERATOROUT, "search_path", HINT_NAME},
	{F_REGCOLLATIONOUT, "search_path", HINT_NAME},
	{F_REGCONFIGOUT, "search_path", HINT_NAME},
	{F_REGDICTIONARYOUT, "search_path", HINT_NAME},
	{F_REGROLEOUT, "quote_all_identifiers", "Write pg_get_userbyid(...)."},
	{F_REGNAMESPACEOUT, "quote_all_identifiers", HINT_NAME},
	{F_RECORD_OUT, "settings of the session", "Name the columns, and convert each."},

	/* Conversions from text. */
	{F_DATE_IN, "DateStyle", HINT_CAST},
	{F_TIMESTAMP_IN, "DateStyle", HINT_CAST},
	{F_TIMESTAMPTZ_IN, "DateStyle and TimeZone", "Store the value in a column of its type, or write (to_date(day, 'YYYY-MM-DD') AT TIME ZONE 'UTC')."},
	{F_TIME_IN, "DateStyle and TimeZone", HINT_CAST},
	{F_TIMETZ_IN, "DateStyle and TimeZone", HINT_CAST},
	{F_INTERVAL_IN, "IntervalStyle", "Store the value in a column of its type, or use make_interval."},
	{F_CASH_IN, "lc_monetary", HINT_MONEY},
	{F_REGCLASSIN, "search_path", HINT_NAME},
	{F_REGCLASS, "search_path", HINT_NAME},
	{F_TO_REGCLASS, "search_path", HINT_NAME},
	{F_TO_REGTYPE, "search_path", HINT_NAME},
	{F_TO_REGPROC, "search_path", HINT_NAME},
	{F_TO_REGPROCEDURE, "search_path", HINT_NAME},
	{F_REGTYPEIN, "search_path", HINT_NAME},
	{F_REGPROCIN, "search_path", HINT_NAME},
	{F_REGPROCEDUREIN, "search_path", HINT_NAME},
	{F_REGCONFIGIN, "search_path", HINT_CONFIG},
	{F_ARRAY_IN, "array_nulls", "Write string_to_array, or store the value in a column of its type."},
	{F_XML_IN, "xmloption", "Write XMLPARSE(DOCUMENT ...) or XMLPARSE(CONTENT ...)."},
	{F_XML, "xmloption", "Write XMLPARSE(DOCUMENT ...) or XMLPARSE(CONTENT ...)."},
	{F_XML_IS_WELL_FORMED, "xmloption", "Write xml_is_well_formed_document or xml_is_well_formed_content."},
	{F_MONEY_INT4, "lc_monetary", HINT_MONEY},
	{F_MONEY_INT8, "lc_monetary", HINT_MONEY},
	{F_MONEY_NUMERIC, "lc_monetary", HINT_MONEY},
	{F_NUMERIC_MONEY, "lc_monetary", HINT_MONEY},

	/* Formats. */
	{F_TO_CHAR_TIMESTAMPTZ_TEXT, "TimeZone", HINT_FORMAT},
	{F_TO_TIMESTAMP_TEXT_TEXT, "TimeZone", "Write to_date, or a timestamp AT TIME ZONE 'UTC'."},
	{F_TO_CHAR_TIMESTAMP_TEXT, "lc_time", HINT_FORMAT},
	{F_TO_CHAR_INTERVAL_TEXT, "lc_time", HINT_FORMAT},
	{F_TO_DATE, "lc_time", HINT_FORMAT},
	{F_TO_CHAR_INT4_TEXT, "lc_numeric and lc_monetary", HINT_NUMBER},
	{F_TO_CHAR_INT8_TEXT, "lc_numeric and lc_monetary", HINT_NUMBER},
	{F_TO_CHAR_NUMERIC_TEXT, "lc_numeric and lc_monetary", HINT_NUMBER},
	{F_TO_CHAR_FLOAT4_TEXT, "lc_numeric and lc_monetary", HINT_NUMBER},
	{F_TO_CHAR_FLOAT8_TEXT, "lc_numeric and lc_monetary", HINT_NUMBER},
	{F_TO_NUMBER, "lc_numeric", HINT_NUMBER},
	{F_FORMAT_TEXT_ANY, "settings of the session", "Write it with || or concat."},

	/* Text search. */
	{F_TO_TSVECTOR_TEXT, "default_text_search_config", HINT_CONFIG},
	{F_TO_TSVECTOR_JSON, "default_text_search_config", HINT_CONFIG},
	{F_TO_TSVECTOR_JSONB, "default_text_search_config", HINT_CONFIG},
	{F_TO_TSQUERY_TEXT, "default_text_search_config", "Name the configuration, as in to_tsquery('english', 'word')."},
	{F_PLAINTO_TSQUERY_TEXT, "default_text_search_config", "Name the configuration, as in plainto_tsquery('english', 'words')."},
	{F_PHRASETO_TSQUERY_TEXT, "default_text_search_config", "Name the configuration, as in phraseto_tsquery('english', 'words')."},
	{F_WEBSEARCH_TO_TSQUERY_TEXT, "default_text_search_config", "Name the configuration, as in websearch_to_tsquery('english', 'words')."},
	{F_TS_MATCH_TT, "default_text_search_config", HINT_CONFIG},
	{F_TS_MATCH_TQ, "default_text_search_config", HINT_CONFIG},
	{F_GET_CURRENT_TS_CONFIG, "default_text_search_config", HINT_CONFIG},

	/* The settings themselves. */
	{F_CURRENT_SETTING_TEXT, "a setting of the session", HINT_IDENTITY},
	{F_CURRENT_SETTING_TEXT_BOOL, "a setting of the session", HINT_IDENTITY},
	{F_CURRENT_SCHEMA, "search_path", AUTHZ_SETTING_HINT},
	{F_CURRENT_SCHEMAS, "search_path", AUTHZ_SETTING_HINT},
	{F_ROW_SECURITY_ACTIVE_OID, "row_security", AUTHZ_SETTING_HINT},
	{F_ROW_SECURITY_ACTIVE_TEXT, "row_security", AUTHZ_SETTING_HINT},
	{F_PG_CLIENT_ENCODING, "client_encoding", AUTHZ_SETTING_HINT},
};

const AuthzAccepted *
authz_settinglist_accepted(Oid function)
{
	for (int i = 0; i < lengthof(accepted); i++)
	{
		if (accepted[i].function == function)
			return &accepted[i];
	}
	return NULL;
}

const AuthzKnownReader *
authz_settinglist_known(Oid function)
{
	for (int i = 0; i < lengthof(known); i++)
	{
		if (known[i].function == function)
			return &known[i];
	}
	return NULL;
}
