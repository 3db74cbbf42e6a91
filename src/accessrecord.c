/*-------------------------------------------------------------------------
 * accessrecord.c
 *	  What is recorded of a statement that read audited tables: a row of
 *	  authz.access_log, or a line of JSON in the server's log.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "accessrecord.h"

static void
append_member(StringInfo line, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(line, ", \"%s\": ", name);
	escape_json(line, value);
}

static void
append_columns(StringInfo line, const char *name, const AuthzAccessTable *table, const Bitmapset *columns)
{
	const char *separator = "";
	int			column = -1;

	appendStringInfo(line, ", \"%s\": [", name);
	while ((column = bms_next_member(columns, column)) >= 0)
	{
		appendStringInfoString(line, separator);
		escape_json(line, table->names[column]);
		separator = ", ";
	}
	appendStringInfoChar(line, ']');
}

static void
append_time(StringInfo line, const char *name, TimestampTz time)
{
	const int	utc = 0;
	char		text[MAXDATELEN + 1];

	appendStringInfo(line, "\"%s\": \"%s\"", name, JsonEncodeDateTime(text, TimestampTzGetDatum(time), TIMESTAMPTZOID, &utc));
}

/* One object, its members those of the log of denied attempts and the columns of authz.access_log. */
static void
write_line(StringInfo line, const AuthzAccess *access, const AuthzAccessTable *table, const char *cause)
{
	const AuthzCircumstances *who = &access->circumstances;

	appendStringInfoChar(line, '{');
	append_time(line, "recorded_at", access->recorded_at);
	appendStringInfoString(line, ", ");
	append_time(line, "statement_at", who->statement_at);
	append_member(line, "cause", cause);
	append_member(line, "database", access->database);
	if (FullTransactionIdIsValid(access->transaction))
		appendStringInfo(line, ", \"transaction_id\": \"" UINT64_FORMAT "\"", U64FromFullTransactionId(access->transaction));
	appendStringInfo(line, ", \"pid\": %d", MyProcPid);
	append_member(line, "database_role", who->database_role);
	append_member(line, "subject", who->subject);
	append_member(line, "issuer", who->issuer);
	append_member(line, "token_id", who->token_id);
	appendStringInfoString(line, ", \"roles\": [");
	for (int i = 0; i < who->nroles; i++)
	{
		if (i > 0)
			appendStringInfoString(line, ", ");
		escape_json(line, who->roles[i]);
	}
	appendStringInfoChar(line, ']');
	append_member(line, "actor", who->actor);
	append_member(line, "client_address", who->client_address);
	append_member(line, "application_name", who->application_name);
	append_member(line, "action", access->action);
	append_member(line, "relation", table->name);
	appendStringInfo(line, ", \"trail\": " INT64_FORMAT, table->trail);
	append_columns(line, "clear_columns", table, table->columns.clear);
	append_columns(line, "masked_columns", table, table->columns.masked);
	append_columns(line, "by_row_columns", table, table->columns.by_row);
	appendStringInfo(line, ", \"row_count\": " UINT64_FORMAT ", \"milliseconds\": %.3f, \"policy_version\": " INT64_FORMAT,
					 access->row_count, INSTR_TIME_GET_MILLISEC(access->duration), who->policy_version);
	if (who->query_id != 0)
		appendStringInfo(line, ", \"query_id\": " INT64_FORMAT, (int64) who->query_id);
	appendStringInfoChar(line, '}');
}

void
authz_accessrecord_log(const AuthzAccess *access, const char *cause)
{
	ListCell   *lc;

	foreach(lc, access->tables)
	{
		const AuthzAccessTable *table = lfirst(lc);
		StringInfoData line;

		if (!table->was_read)
			continue;
		initStringInfo(&line);
		write_line(&line, access, table, cause);
		/* The statement may hold what the record must not, and client_min_messages is the client's. */
		ereport(LOG_SERVER_ONLY,
				(errmsg_internal("authz access: %s", line.data), errhidestmt(true), errhidecontext(true)));
		pfree(line.data);
	}
}

static Datum
make_names(const AuthzAccessTable *table, const Bitmapset *columns)
{
	Datum	   *names = palloc_array(Datum, bms_num_members(columns) + 1);
	int			n = 0;
	int			column = -1;

	while ((column = bms_next_member(columns, column)) >= 0)
		names[n++] = CStringGetTextDatum(table->names[column]);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
insert_record(const AuthzAccess *access, const AuthzAccessTable *table)
{
	AuthzRecorder *recorder = authz_record_begin_in(AUTHZ_LOG_ACCESS, table->name, table->trail, access->action,
													&access->circumstances);
	MemoryContext old = MemoryContextSwitchTo(authz_record_context(recorder));
	Interval   *duration = palloc0_object(Interval);
	Datum		values[] = {
		make_names(table, table->columns.clear),
		make_names(table, table->columns.masked),
		make_names(table, table->columns.by_row),
		Int64GetDatum(access->row_count),
		IntervalPGetDatum(duration),
	};

	StaticAssertStmt(lengthof(values) == Natts_access_log - Natts_record, "values are not the columns");
	duration->time = INSTR_TIME_GET_MICROSEC(access->duration);
	authz_record_add_values(recorder, values);
	MemoryContextSwitchTo(old);
	authz_record_end(recorder);
}

void
authz_accessrecord_insert(const AuthzAccess *access)
{
	ListCell   *lc;

	foreach(lc, access->tables)
	{
		if (((AuthzAccessTable *) lfirst(lc))->was_read)
			insert_record(access, lfirst(lc));
	}
}
