/*-------------------------------------------------------------------------
 * access.c
 *	  Statements that read audited tables leave a record: in authz.access_log,
 *	  or where that cannot be written, a line of JSON in the server's log.
 *
 * What a statement is about to read, and who reads, is noted when its executor
 * starts: a cursor may be closed by somebody else.  The record is written when
 * the executor ends, in the statement's own transaction, and an error then
 * fails the statement.  But its rows may have been sent by then, and whoever
 * rolls back has seen them.  So what the transaction has recorded is kept in
 * memory until it commits, and if it does not, or only a savepoint is rolled
 * back to, goes to the server's log: no read by an aborted transaction is
 * lost.  A statement that fails is logged likewise.  What is kept is bounded: at
 * MAX_KEPT records all are logged, which may then be in both places.
 *
 * The server's log it is too in a read-only transaction, on a standby, and in a
 * function that a parallel query calls.  Before PREPARE TRANSACTION all records
 * of the transaction are logged as well: nobody is there when it is rolled back.
 *
 * Whoever ends the recording of a table, reads it and rolls back would leave
 * no trace: that it was ended is kept likewise.
 *
 * Not recorded: queries that no client or function asked for, as those of
 * foreign keys.  The part of a parallel query that a worker runs is the leader's.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/parallel.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "access.h"
#include "accessrecord.h"
#include "readaudit.h"
#include "reading.h"
#include "record.h"
#include "trigger.h"

#define MAX_KEPT	1000

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static ExecutorEnd_hook_type prev_executor_end = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* Both in the order of subtransactions: those of the current one are at the tail. */
static dlist_head open_accesses = DLIST_STATIC_INIT(open_accesses);
static dlist_head kept_accesses = DLIST_STATIC_INIT(kept_accesses);
static int	nkept = 0;

static bool
names_audited(const PlannedStmt *statement)
{
	ListCell   *lc;

	/* Rows that are inserted through a masked view and returned: the plan has no other trace of the table. */
	foreach(lc, statement->resultRelations)
	{
		if (OidIsValid(authz_reading_returned(statement, lfirst_int(lc))))
			return true;
	}

	foreach(lc, statement->rtable)
	{
		const RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_VIEW && authz_readaudit_recorded(rte->relid, NULL))
			return true;
	}
	return false;
}

/*
 * Making one.
 */

static const char *
copy_string(const char *value)
{
	return value != NULL ? pstrdup(value) : NULL;
}

/* What holds now, in the current memory context. */
static void
copy_circumstances(AuthzCircumstances *to)
{
	const char **roles;

	authz_record_circumstances(to);
	to->subject = copy_string(to->subject);
	to->issuer = copy_string(to->issuer);
	to->token_id = copy_string(to->token_id);
	to->actor = copy_string(to->actor);
	to->application_name = copy_string(to->application_name);
	roles = palloc_array(const char *, Max(to->nroles, 1));
	for (int i = 0; i < to->nroles; i++)
		roles[i] = pstrdup(to->roles[i]);
	to->roles = roles;
}

static AuthzAccess *
begin_access(const char *action)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "authz access", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	AuthzAccess *access = palloc0_object(AuthzAccess);

	access->context = context;
	access->action = action;
	access->subid = GetCurrentSubTransactionId();
	access->database = get_database_name(MyDatabaseId);
	copy_circumstances(&access->circumstances);
	MemoryContextSwitchTo(old);
	return access;
}

/* The table, made for its first column. */
static AuthzAccessTable *
find_table(AuthzAccess *access, Oid relid)
{
	AuthzAccessTable *table;
	ListCell   *lc;

	foreach(lc, access->tables)
	{
		table = lfirst(lc);
		if (table->relid == relid)
			return table;
	}
	table = palloc0_object(AuthzAccessTable);
	table->relid = relid;
	(void) authz_readaudit_recorded(relid, &table->trail);
	table->name = authz_record_relation_name(relid);
	table->natts = authz_reading_column_count(relid);
	table->names = palloc0_array(char *, table->natts + 1);
	access->tables = lappend(access->tables, table);
	return table;
}

static void
name_columns(AuthzAccessTable *table, const Bitmapset *columns)
{
	int			column = -1;

	while ((column = bms_next_member(columns, column)) >= 0)
	{
		if (table->names[column] == NULL)
			table->names[column] = get_attname(table->relid, column, false);
	}
}

static const char *
action_of(const PlannedStmt *statement)
{
	switch (statement->commandType)
	{
		case CMD_INSERT:
			return "insert";
		case CMD_UPDATE:
			return "update";
		case CMD_DELETE:
			return "delete";
		case CMD_MERGE:
			return "merge";
		default:
			return "select";
	}
}

static AuthzAccess *
find_access(const QueryDesc *query)
{
	dlist_iter	iter;

	dlist_reverse_foreach(iter, &open_accesses)
	{
		AuthzAccess *access = dlist_container(AuthzAccess, node, iter.cur);

		if (access->query == query)
			return access;
	}
	return NULL;
}

/*
 * Memory callback: the executor goes.  That may be long after the transaction,
 * where a function's state is kept with an index's; so the pointer is a name only.
 */
static void
executor_gone(void *query)
{
	AuthzAccess *access = find_access(query);

	if (access != NULL)
		access->query = NULL;
}

/* Note what a started statement is about to read, if that is anything. */
static void
open_access(QueryDesc *query)
{
	List	   *readings = authz_reading_find(query->plannedstmt);
	AuthzAccess *access;
	MemoryContextCallback *callback;
	MemoryContext old;
	ListCell   *lc;

	if (readings == NIL)
		return;
	access = begin_access(action_of(query->plannedstmt));
	old = MemoryContextSwitchTo(access->context);
	foreach(lc, readings)
	{
		AuthzReading *reading = palloc0_object(AuthzReading);
		AuthzAccessTable *table;

		*reading = *(AuthzReading *) lfirst(lc);
		reading->columns.clear = bms_copy(reading->columns.clear);
		reading->columns.masked = bms_copy(reading->columns.masked);
		reading->columns.by_row = bms_copy(reading->columns.by_row);
		access->readings = lappend(access->readings, reading);
		table = find_table(access, reading->relid);
		name_columns(table, reading->columns.clear);
		name_columns(table, reading->columns.masked);
		name_columns(table, reading->columns.by_row);
	}
	MemoryContextSwitchTo(old);
	access->query = query;
	dlist_push_tail(&open_accesses, &access->node);

	callback = MemoryContextAllocZero(query->estate->es_query_cxt, sizeof(MemoryContextCallback));
	callback->func = executor_gone;
	callback->arg = query;
	MemoryContextRegisterResetCallback(query->estate->es_query_cxt, callback);
}

/* What was read of each table: by the nodes that were executed, or by all where that is not known (`executed` NULL). */
static void
finish_tables(AuthzAccess *access, Bitmapset *const *executed)
{
	MemoryContext old = MemoryContextSwitchTo(access->context);
	ListCell   *lc;

	foreach(lc, access->readings)
	{
		AuthzReading *reading = lfirst(lc);
		AuthzAccessTable *table;

		if (executed != NULL && !bms_is_member(reading->rti, *executed))
			continue;
		table = find_table(access, reading->relid);
		table->was_read = true;
		table->columns.clear = bms_add_members(table->columns.clear, reading->columns.clear);
		table->columns.masked = bms_add_members(table->columns.masked, reading->columns.masked);
		table->columns.by_row = bms_add_members(table->columns.by_row, reading->columns.by_row);
	}
	/* Read in two ways: the more is said. */
	foreach(lc, access->tables)
	{
		AuthzColumns *columns = &((AuthzAccessTable *) lfirst(lc))->columns;

		columns->by_row = bms_del_members(columns->by_row, columns->clear);
		columns->masked = bms_del_members(bms_del_members(columns->masked, columns->clear), columns->by_row);
	}
	access->readings = NIL;
	MemoryContextSwitchTo(old);
}

static void
forget_access(AuthzAccess *access)
{
	dlist_delete(&access->node);
	MemoryContextDelete(access->context);
}

/* One whose executor has not ended and never will. */
static void
log_open(AuthzAccess *access)
{
	access->recorded_at = GetCurrentTimestamp();
	access->transaction = GetTopFullTransactionIdIfAny();
	finish_tables(access, NULL);
	authz_accessrecord_log(access, "aborted");
}

/* Log and forget all kept ones of the current transaction. */
static void
log_kept(const char *cause)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &kept_accesses)
	{
		AuthzAccess *access = dlist_container(AuthzAccess, node, iter.cur);

		authz_accessrecord_log(access, cause);
		forget_access(access);
	}
	nkept = 0;
}

/* Why the table cannot be written now; NULL: it can. */
static const char *
cause_to_log(void)
{
	if (RecoveryInProgress())
		return "standby";
	if (IsInParallelMode())
		return "parallel";
	if (XactReadOnly)
		return "read_only";
	return NULL;
}

/* Until the transaction ends. */
static void
keep_access(AuthzAccess *access)
{
	access->transaction = GetTopFullTransactionIdIfAny();
	access->subid = GetCurrentSubTransactionId();
	dlist_push_tail(&kept_accesses, &access->node);
	if (++nkept >= MAX_KEPT)
		log_kept("many");
}

/* Record a statement that has ended; it is kept, or logged and forgotten. */
static void
close_access(AuthzAccess *access, Bitmapset *const *executed)
{
	const char *cause = cause_to_log();

	finish_tables(access, executed);
	access->query = NULL;
	access->recorded_at = GetCurrentTimestamp();
	if (cause != NULL)
	{
		access->transaction = GetTopFullTransactionIdIfAny();
		authz_accessrecord_log(access, cause);
		forget_access(access);
		return;
	}
	authz_accessrecord_insert(access);
	dlist_delete(&access->node);
	keep_access(access);
}

PG_FUNCTION_INFO_V1(authz_reads_ended);

/* Row trigger on authz.audited_table, after UPDATE or DELETE: reads of a table go unrecorded from now on. */
Datum
authz_reads_ended(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "reads_ended");
	bool		isnull;
	Oid			relid = DatumGetObjectId(heap_getattr(trigger->tg_trigtuple, 1, RelationGetDescr(trigger->tg_relation), &isnull));
	AuthzAccess *access;
	MemoryContext old;

	/* A table that has been dropped is not read. */
	if (isnull || !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return PointerGetDatum(NULL);
	access = begin_access("unaudit");
	old = MemoryContextSwitchTo(access->context);
	find_table(access, relid)->was_read = true;
	MemoryContextSwitchTo(old);
	access->recorded_at = GetCurrentTimestamp();
	keep_access(access);
	return PointerGetDatum(NULL);
}

/*
 * Hooks.
 */

static bool
is_recorded(const QueryDesc *query, int eflags)
{
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return false;
	/* For a foreign key, or what a masked view's trigger writes for a statement that is recorded.  SQL functions have the flag too. */
	if ((eflags & EXEC_FLAG_SKIP_TRIGGERS) && query->dest->mydest != DestSQLFunction)
		return false;
	/* A part of the leader's; but not what functions in it ask for, or those of an index that workers build. */
	if (IsParallelWorker() && query->dest->mydest == DestTupleQueue)
		return false;
	return names_audited(query->plannedstmt);
}

static void
access_executor_start(QueryDesc *query, int eflags)
{
	bool		recorded = is_recorded(query, eflags);

	/* What the plan did not execute was not read. */
	if (recorded)
		query->instrument_options |= INSTRUMENT_ROWS;
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (recorded)
		open_access(query);
}

static void
call_executor_run(QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once)
{
	if (prev_executor_run)
		prev_executor_run(query, direction, count, execute_once);
	else
		standard_ExecutorRun(query, direction, count, execute_once);
}

static void
add_time(AuthzAccess *access, instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_ACCUM_DIFF(access->duration, now, start);
}

/* Rows and time of one run, however it ended. */
static void
note_run(const QueryDesc *query)
{
	AuthzAccess *access = find_access(query);

	if (access == NULL)
		return;
	access->row_count += query->estate->es_processed;
	add_time(access, access->resumed);
}

static void
measure_executor_run(QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once)
{
	PG_TRY();
	{
		call_executor_run(query, direction, count, execute_once);
	}
	PG_CATCH();
	{
		note_run(query);
		PG_RE_THROW();
	}
	PG_END_TRY();
	note_run(query);
}

static void
access_executor_run(QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once)
{
	AuthzAccess *access = find_access(query);

	if (access == NULL)
	{
		call_executor_run(query, direction, count, execute_once);
		return;
	}
	INSTR_TIME_SET_CURRENT(access->resumed);
	measure_executor_run(query, direction, count, execute_once);
}

/* AFTER triggers, and parts of WITH that nobody reads. */
static void
access_executor_finish(QueryDesc *query)
{
	AuthzAccess *access = find_access(query);
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	if (prev_executor_finish)
		prev_executor_finish(query);
	else
		standard_ExecutorFinish(query);
	if (access != NULL)
		add_time(access, start);
}

static void
access_executor_end(QueryDesc *query)
{
	AuthzAccess *access = find_access(query);
	Bitmapset  *executed = NULL;
	bool		is_known = false;

	if (access != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(access->context);

		is_known = authz_reading_executed(query->planstate, &executed);
		MemoryContextSwitchTo(old);
	}
	if (prev_executor_end)
		prev_executor_end(query);
	else
		standard_ExecutorEnd(query);
	if (access != NULL)
		close_access(access, is_known ? &executed : NULL);
}

static bool
may_copy(Oid relid, const Bitmapset *columns)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	int			column = -1;

	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = RELKIND_RELATION;
	rte->requiredPerms = ACL_SELECT;
	while ((column = bms_next_member(columns, column)) >= 0)
		rte->selectedCols = bms_add_member(rte->selectedCols, column - FirstLowInvalidHeapAttributeNumber);
	return ExecCheckRTPerms(list_make1(rte), false);
}

/*
 * COPY of a table that row security does not filter reads it without an executor: note that, if it is audited.
 * One that fails for want of a right has read nothing.
 */
static AuthzAccess *
open_copy(const CopyStmt *copy)
{
	Oid			relid = RangeVarGetRelid(copy->relation, AccessShareLock, true);
	AuthzAccess *access;
	AuthzAccessTable *table;
	MemoryContext old;
	ListCell   *lc;

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_RELATION || !authz_readaudit_recorded(relid, NULL) ||
		check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		return NULL;
	access = begin_access("copy");
	old = MemoryContextSwitchTo(access->context);
	table = find_table(access, relid);
	table->was_read = true;
	foreach(lc, copy->attlist)
	{
		AttrNumber	column = get_attnum(relid, strVal(lfirst(lc)));

		if (column > 0)
			table->columns.clear = bms_add_member(table->columns.clear, column);
	}
	for (AttrNumber column = 1; copy->attlist == NIL && column <= table->natts; column++)
	{
		if (authz_reading_is_column(relid, column) && get_attgenerated(relid, column) == '\0')
			table->columns.clear = bms_add_member(table->columns.clear, column);
	}
	name_columns(table, table->columns.clear);
	MemoryContextSwitchTo(old);
	if (!may_copy(relid, table->columns.clear))
	{
		MemoryContextDelete(access->context);
		return NULL;
	}
	dlist_push_tail(&open_accesses, &access->node);
	return access;
}

static void
access_process_utility(PlannedStmt *plan, const char *source, bool read_only_tree,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *environment, DestReceiver *receiver,
					   QueryCompletion *completion)
{
	CopyStmt   *copy = IsA(plan->utilityStmt, CopyStmt) ? (CopyStmt *) plan->utilityStmt : NULL;
	AuthzAccess *access = copy && copy->relation && !copy->is_from ? open_copy(copy) : NULL;
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	if (prev_process_utility)
		prev_process_utility(plan, source, read_only_tree, context, params, environment, receiver, completion);
	else
		standard_ProcessUtility(plan, source, read_only_tree, context, params, environment, receiver, completion);
	if (access != NULL)
	{
		add_time(access, start);
		access->row_count = completion ? completion->nprocessed : 0;
		close_access(access, NULL);
	}
}

/*
 * Ends of transactions.
 */

static void
end_transaction(XactEvent event, void *arg)
{
	dlist_mutable_iter iter;

	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			log_kept("prepared");
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			log_kept("aborted");
			/* FALLTHROUGH */
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_PARALLEL_COMMIT:
			/* At commit: cursors that failed within a savepoint. */
			dlist_foreach_modify(iter, &open_accesses)
			{
				AuthzAccess *access = dlist_container(AuthzAccess, node, iter.cur);

				log_open(access);
				dlist_delete(&access->node);
			}
			/* Their memory goes with the transaction's. */
			dlist_init(&open_accesses);
			dlist_init(&kept_accesses);
			nkept = 0;
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
			break;
	}
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	dlist_head *lists[] = {&kept_accesses, &open_accesses};

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = 0; i < lengthof(lists); i++)
	{
		dlist_node *node = dlist_is_empty(lists[i]) ? NULL : dlist_tail_node(lists[i]);

		while (node != NULL)
		{
			AuthzAccess *access = dlist_container(AuthzAccess, node, node);

			/* Later ones are of subtransactions of this one. */
			if (access->subid < subid)
				break;
			node = dlist_has_prev(lists[i], node) ? dlist_prev_node(lists[i], node) : NULL;
			if (event == SUBXACT_EVENT_COMMIT_SUB)
			{
				access->subid = parent;
				continue;
			}
			if (lists[i] == &kept_accesses)
			{
				authz_accessrecord_log(access, "aborted");
				forget_access(access);
				nkept--;
				continue;
			}
			/* The executor may outlive this for a moment; then it is one that is not recorded. */
			log_open(access);
			forget_access(access);
		}
	}
}

void
authz_access_init(void)
{
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = access_executor_start;
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = access_executor_run;
	prev_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = access_executor_finish;
	prev_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = access_executor_end;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = access_process_utility;
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}
