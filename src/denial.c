/*-------------------------------------------------------------------------
 * denial.c
 *	  Denied attempts: what is recorded of each, and where it goes.
 *
 * A record is one JSON object, made where the attempt is refused.  Its members
 * are the columns of authz.denial_log, so the same text serves both ways that
 * it may go: into the table, by a worker whose transaction is not the one that
 * is about to be rolled back (denialwriter.c), or to the server's log, one line,
 * where there is no such worker: without shared_preload_libraries, on a
 * standby, in a database without the table.
 *
 * Nothing here may get between a refusal and its error.  Whatever is raised on
 * the way is caught, and a subtransaction gives back what was held by then: the
 * next step may wait, and nobody must wait for it on account of a lock that was
 * forgotten.  Looking up names and the identity comes first and may fail; the
 * record then goes without them.  Where there can be no subtransaction (parallel
 * mode) a failure ends all but a line in the server's log; nor is anything but
 * that line done for a caller who holds an LWLock, a page's for instance: a
 * function that an index calls may be refused something too.
 *
 * No part of a token, no claim of one that was refused and no value of a row
 * comes here: callers give fixed phrases.  The subject, its issuer, token id
 * and roles are those of a verified identity.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "denial.h"
#include "denialqueue.h"
#include "identity.h"
#include "record.h"
#include "sealer.h"

#define MAX_VALUE	1024		/* bytes; less if the record would not fit */
#define MIN_VALUE	8			/* with all values of this size it fits, however they are escaped */

static const char *const kind_names[] = {
	[AUTHZ_DENIAL_AUDIT] = "audit",
	[AUTHZ_DENIAL_CHECK] = "check",
	[AUTHZ_DENIAL_MAINTENANCE] = "maintenance",
	[AUTHZ_DENIAL_TOKEN] = "token",
	[AUTHZ_DENIAL_TRUNCATE] = "truncate",
	[AUTHZ_DENIAL_WRITE] = "write",
};

/* A denial and its circumstances; NULL: not known. */
typedef struct Attempt
{
	const AuthzDenial *denial;
	TimestampTz recorded_at;
	int64		trail;			/* 0: the table is not audited */
	int64		policy_version; /* -1: not known */
	bool		has_table;		/* authz.denial_log may exist here */
	const char *database;
	const char *database_role;	/* session user */
	const char *client_address;
	const char *relation;		/* qualified */
	const AuthzIdentity *identity;
} Attempt;

/* Fill what the catalog is asked for; may raise, and what it has found till then is good. */
static void
look_up(Attempt *attempt)
{
	Oid			relation = attempt->denial->relation;

	attempt->database = get_database_name(MyDatabaseId);
	attempt->database_role = GetUserNameFromId(GetSessionUserId(), true);
	attempt->client_address = authz_record_client_address();
	attempt->has_table = OidIsValid(authz_catalog_schema());
	attempt->relation = attempt->denial->gone;
	if (OidIsValid(relation) && get_rel_name(relation) != NULL)
		attempt->relation = authz_record_relation_name(relation);
	/* With a refused token nobody is known. */
	if (attempt->denial->kind != AUTHZ_DENIAL_TOKEN)
		attempt->identity = authz_identity_get_in_statement();
	if (attempt->has_table)
	{
		AuthzAudited audited;

		attempt->policy_version = authz_catalog_policy_version();
		if (OidIsValid(relation) && authz_catalog_audited(relation, &audited))
			attempt->trail = audited.trail;
	}
}

/* Append a string of at most `limit` bytes. */
static void
append_string(StringInfo line, const char *value, int limit)
{
	int			length = strlen(value);
	char	   *clipped;

	if (length <= limit)
	{
		escape_json(line, value);
		return;
	}
	length = pg_mbcliplen(value, length, limit - 3);
	clipped = psprintf("%.*s...", length, value);
	escape_json(line, clipped);
}

static void
append_member(StringInfo line, const char *name, const char *value, int limit)
{
	if (value == NULL || value[0] == '\0')
		return;
	appendStringInfo(line, ", \"%s\": ", name);
	append_string(line, value, limit);
}

static void
append_roles(StringInfo line, const AuthzIdentity *identity, int limit)
{
	int			start;

	appendStringInfoString(line, ", \"roles\": [");
	start = line->len;
	for (int i = 0; i < identity->nroles; i++)
	{
		if (i > 0)
			appendStringInfoString(line, ", ");
		if (line->len - start >= limit)
		{
			appendStringInfoString(line, "\"...\"");
			break;
		}
		append_string(line, identity->roles[i], limit);
	}
	appendStringInfoChar(line, ']');
}

/* The record with values of at most `limit` bytes; the order is that of the table's columns. */
static void
write_line(StringInfo line, const Attempt *attempt, int limit)
{
	const int	utc = 0;
	const AuthzIdentity *identity = attempt->identity;
	uint64		query_id = pgstat_get_my_query_id();
	FullTransactionId xid = GetTopFullTransactionIdIfAny();
	char		time[MAXDATELEN + 1];

	resetStringInfo(line);
	appendStringInfo(line, "{\"statement_at\": \"%s\"",
					 JsonEncodeDateTime(time, TimestampTzGetDatum(GetCurrentStatementStartTimestamp()), TIMESTAMPTZOID, &utc));
	appendStringInfo(line, ", \"recorded_at\": \"%s\"",
					 JsonEncodeDateTime(time, TimestampTzGetDatum(attempt->recorded_at), TIMESTAMPTZOID, &utc));
	append_member(line, "database", attempt->database, limit);
	if (attempt->trail != 0)
		appendStringInfo(line, ", \"trail\": " INT64_FORMAT, attempt->trail);
	if (attempt->policy_version >= 0)
		appendStringInfo(line, ", \"policy_version\": " INT64_FORMAT, attempt->policy_version);
	if (query_id != 0)
		appendStringInfo(line, ", \"query_id\": " INT64_FORMAT, (int64) query_id);
	if (identity != NULL)
	{
		append_member(line, "subject", identity->subject, limit);
		append_member(line, "issuer", identity->issuer, limit);
		append_member(line, "token_id", identity->token_id, limit);
		append_roles(line, identity, limit);
		append_member(line, "actor", identity->actor, limit);
	}
	append_member(line, "database_role", attempt->database_role, limit);
	append_member(line, "client_address", attempt->client_address, limit);
	append_member(line, "application_name", application_name, limit);
	append_member(line, "action", attempt->denial->action, limit);
	append_member(line, "relation", attempt->relation, limit);
	if (FullTransactionIdIsValid(xid))
		appendStringInfo(line, ", \"attempt_transaction_id\": \"" UINT64_FORMAT "\"", U64FromFullTransactionId(xid));
	appendStringInfo(line, ", \"virtual_transaction\": \"%d/%u\", \"pid\": %d",
					 MyProc->backendId, MyProc->lxid, MyProcPid);
	append_member(line, "kind", kind_names[attempt->denial->kind], limit);
	append_member(line, "reason", attempt->denial->reason, limit);
	appendStringInfoChar(line, '}');
}

/* To the queue if it takes it, else to the server's log. */
static void
hand_over(Attempt *attempt)
{
	StringInfoData line;
	int			limit = MAX_VALUE;

	initStringInfo(&line);
	write_line(&line, attempt, limit);
	while (line.len > AUTHZ_DENIALQUEUE_MAX_LINE && limit > MIN_VALUE)
		write_line(&line, attempt, limit /= 2);
	if (!authz_denialqueue_put(line.data, line.len, attempt->has_table))
		authz_denial_log(line.data);
}

/* To the server's log. */
static void
log_line(Attempt *attempt)
{
	StringInfoData line;

	initStringInfo(&line);
	write_line(&line, attempt, MAX_VALUE);
	authz_denial_log(line.data);
	authz_denialqueue_count_logged();
}

static void
note_lock(LWLock *lock, LWLockMode mode, void *held)
{
	*(bool *) held = true;
}

/* Does this process hold one?  Then it must neither wait nor read the catalog. */
static bool
holds_lwlock(void)
{
	bool		held = false;

	ForEachLWLockHeldByMe(note_lock, &held);
	return held;
}

/*
 * Take a step that may raise; false if it did, and then nothing that it held is
 * held any more, provided that subtransactions are possible.  Raising lets go of
 * held interrupts.
 */
static bool
try_step(void (*step) (Attempt *), Attempt *attempt, bool subtransaction)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	uint32		held = InterruptHoldoffCount;
	volatile bool done = false;

	if (subtransaction)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(context);
	}
	PG_TRY();
	{
		step(attempt);
		if (subtransaction)
			ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		/* An error must not stand in for the refusal. */
		MemoryContextSwitchTo(context);
		FlushErrorState();
		InterruptHoldoffCount = held;
		if (subtransaction)
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return done;
}

void
authz_denial_record(const AuthzDenial *denial)
{
	Attempt		attempt = {.denial = denial, .recorded_at = GetCurrentTimestamp(), .policy_version = -1};
	bool		subtransaction = IsTransactionState() && !IsInParallelMode() && !IsParallelWorker();
	bool		only_log = holds_lwlock();

	/* Who ends their own session in time is on record all the same: FATAL could not be caught. */
	HOLD_INTERRUPTS();
	if (!only_log && !try_step(look_up, &attempt, subtransaction))
		only_log = !subtransaction;
	if (!try_step(only_log ? log_line : hand_over, &attempt, subtransaction && !only_log))
		ereport(LOG_SERVER_ONLY,
				(errmsg("could not record a denied attempt"), errhidestmt(true), errhidecontext(true)));
	RESUME_INTERRUPTS();
}

void
authz_denial_log(const char *line)
{
	/* The statement may hold what the record must not, and client_min_messages is the client's. */
	ereport(LOG_SERVER_ONLY,
			(errmsg_internal("authz denial: %s", line), errhidestmt(true), errhidecontext(true)));
}

/*
 * The table, locked, or NULL.  The worker is a superuser; in a database whose
 * owner is not, anybody's table of that name must not be mistaken for ours.
 */
static Relation
open_table(void)
{
	Oid			extension = get_extension_oid("authz", true);
	Oid			relid = OidIsValid(authz_catalog_schema()) ?
	get_relname_relid("denial_log", authz_catalog_schema()) : InvalidOid;
	Relation	table = OidIsValid(relid) ? try_table_open(relid, RowExclusiveLock) : NULL;

	if (table != NULL && (table->rd_rel->relkind != RELKIND_PARTITIONED_TABLE ||
						  getExtensionOfObject(RelationRelationId, relid) != extension))
	{
		table_close(table, RowExclusiveLock);
		return NULL;
	}
	return table;
}

bool
authz_denial_insert(const char *const *lines, int n)
{
	static const char *const insert =
		"INSERT INTO authz.denial_log (id, statement_at, recorded_at, transaction_id, trail, policy_version, query_id, subject, issuer, "
		"token_id, roles, actor, database_role, client_address, application_name, action, relation, attempt_transaction_id, "
		"virtual_transaction, pid, kind, reason) "
		"SELECT pg_catalog.nextval('authz.record_id_seq'), r.statement_at, r.recorded_at, pg_catalog.pg_current_xact_id(), r.trail, "
		"r.policy_version, r.query_id, r.subject, r.issuer, r.token_id, r.roles, r.actor, r.database_role, r.client_address, "
		"r.application_name, r.action, r.relation, r.attempt_transaction_id, r.virtual_transaction, r.pid, r.kind, r.reason "
		"FROM pg_catalog.json_populate_recordset(NULL::authz.denial_log, $1::pg_catalog.json) r";
	Relation	table = open_table();
	StringInfoData array;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	Oid			user;
	int			context;
	int			result;

	if (table == NULL)
		return false;
	initStringInfo(&array);
	for (int i = 0; i < n; i++)
		appendStringInfo(&array, "%c%s", i == 0 ? '[' : ',', lines[i]);
	appendStringInfoChar(&array, ']');
	values[0] = CStringGetTextDatum(array.data);

	/* Whatever hangs on the table runs as its owner. */
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(table->rd_rel->relowner, context | SECURITY_RESTRICTED_OPERATION);
	SPI_connect();
	result = SPI_execute_with_args(insert, 1, types, values, NULL, false, 0);
	if (result != SPI_OK_INSERT || SPI_processed != n)
		elog(ERROR, "inserting %d denials gave %d, %d rows", n, result, (int) SPI_processed);
	SPI_finish();
	authz_sealer_mark();
	SetUserIdAndSecContext(user, context);
	table_close(table, NoLock);
	return true;
}
