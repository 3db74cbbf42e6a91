/*-------------------------------------------------------------------------
 * auditmerge.c
 *	  The rows that MERGE changes reach the triggers of audited tables.
 *
 * Two things that PostgreSQL 15 does in a MERGE into a partitioned table would
 * have them record nothing, or wrongly:
 *
 * - A row that an UPDATE action moves to another partition goes into the
 *	 transition tables of DELETE and INSERT, but only the statement triggers of the
 *	 actions named are fired.  So ours for the other two are queued when the
 *	 statement starts, ours alone: other people's see what they always saw.
 *
 * - Where a row was routed, the tuple is noted for the transition table in the
 *	 partitioned table's form, and stays noted: the next UPDATE action puts that one
 *	 into its transition table in place of its own new row.  So it is forgotten
 *	 before each row of the source.
 *
 * What is hoped for is also verified, as far as it can be: when the statement
 * ends, the triggers must have fired, and for no fewer rows than it says it has
 * changed.  If UPDATE is audited and one of the others is not, there is no
 * trigger for a row that moved, and the statement fails.
 *
 * To which statement a trigger belongs is told by memory: its context's parent
 * is the executor's, and of no other statement.  (Cascades of foreign keys fire
 * in that of the statement that caused them, and share its transition tables.)
 *
 * A session whose library is loaded by the trigger itself, in the middle of the
 * statement, has done none of this.  If it is for UPDATE of a table with
 * partitions, and the statement may be a MERGE, that fails, once: the next one
 * finds the library there.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "replication/logicalworker.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "auditmerge.h"
#include "catalog.h"

/* Actions; those of a set are bits as in ModifyTableState. */
enum
{
	INSERT_ACTION,
	UPDATE_ACTION,
	DELETE_ACTION,
	ACTIONS
};
StaticAssertDecl(MERGE_INSERT == 1 << INSERT_ACTION && MERGE_UPDATE == 1 << UPDATE_ACTION &&
				 MERGE_DELETE == 1 << DELETE_ACTION, "actions have the bits of MERGE");

#define MOVE	(MERGE_INSERT | MERGE_DELETE)

/* A statement that has started and not ended; in its executor's memory. */
typedef struct Statement
{
	struct Statement *next;		/* of those started before */
	const QueryDesc *query;		/* a name only */
	MemoryContext executor;		/* the same */
	SubTransactionId subid;		/* that it started in */
	ModifyTableState *merge;	/* what follows is for MERGE into an audited table; else NULL */
	PlanState  *source;			/* gives it rows */
	ExecProcNodeMtd next_row;	/* what did so before next_source_row came between */
	Oid			relid;
	int			audited;		/* a set: the table has our triggers for them */
	int			fired;			/* a set: those have been called */
	int64		rows[ACTIONS];	/* that they were given; may be more than the statement's */
	bool		may_move;		/* its UPDATE action is audited, of a table with partitions */
} Statement;

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;

static Statement *started = NULL;

/* Was the library loaded by a statement, and which? */
static bool loaded_by_statement = false;
static TimestampTz loaded_at;

/*
 * Might statements be at work whose start the library has not seen?  They are
 * of one message of the client, and of one transaction.
 */
static bool
may_have_missed(void)
{
	return loaded_by_statement && GetCurrentStatementStartTimestamp() == loaded_at;
}

static void
forget(const Statement *statement)
{
	for (Statement **link = &started; *link != NULL; link = &(*link)->next)
	{
		if (*link == statement)
		{
			*link = statement->next;
			return;
		}
	}
}

/* Memory callback: the executor goes; it may have been forgotten long ago. */
static void
executor_gone(void *statement)
{
	forget(statement);
}

/* Our triggers of a table that a statement names, without those of others, for the actions of a set. */
static TriggerDesc *
pick_triggers(const TriggerDesc *all, int actions, int *found)
{
	static const int16 types[ACTIONS] = {TRIGGER_TYPE_INSERT, TRIGGER_TYPE_UPDATE, TRIGGER_TYPE_DELETE};
	TriggerDesc *picked = palloc0_object(TriggerDesc);

	*found = 0;
	if (all == NULL)
		return picked;
	picked->triggers = palloc_array(Trigger, all->numtriggers);
	for (int i = 0; i < all->numtriggers; i++)
	{
		const Trigger *trigger = &all->triggers[i];

		if (trigger->tgenabled != TRIGGER_FIRES_ALWAYS || !authz_catalog_is_function(trigger->tgfoid, "audit_statement"))
			continue;
		for (int action = 0; action < ACTIONS; action++)
		{
			if ((actions & 1 << action) && TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_STATEMENT, TRIGGER_TYPE_AFTER, types[action]))
			{
				picked->triggers[picked->numtriggers++] = *trigger;
				*found |= 1 << action;
			}
		}
	}
	picked->trig_insert_after_statement = (*found & MERGE_INSERT) != 0;
	picked->trig_delete_after_statement = (*found & MERGE_DELETE) != 0;
	return picked;
}

/*
 * Queue our triggers for rows that move, unless the statement fires them itself.
 * Now, not when it ends: if a part of WITH deletes or inserts as well, it then
 * queues all triggers of the table in their place, for the same transition tables.
 */
static void
queue_triggers(const Statement *statement, EState *estate)
{
	ResultRelInfo root = *statement->merge->rootResultRelInfo;
	int			found;

	root.ri_TrigDesc = pick_triggers(root.ri_TrigDesc, MOVE & ~statement->merge->mt_merge_subcommands, &found);
	ExecASDeleteTriggers(estate, &root, statement->merge->mt_transition_capture);
	ExecASInsertTriggers(estate, &root, statement->merge->mt_transition_capture);
}

/* ExecProcNode of a MERGE's source. */
static TupleTableSlot *
next_source_row(PlanState *source)
{
	for (Statement *statement = started; statement != NULL; statement = statement->next)
	{
		if (statement->source != source)
			continue;
		if (statement->merge->mt_transition_capture != NULL)
			statement->merge->mt_transition_capture->tcs_original_insert_tuple = NULL;
		return statement->next_row(source);
	}
	elog(ERROR, "source of an unknown MERGE");
}

static void
refuse(const Statement *statement, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("MERGE cannot change audited table \"%s\" unrecorded",
					RelationGetRelationName(statement->merge->rootResultRelInfo->ri_RelationDesc)),
			 errdetail_internal("%s", detail),
			 errhint("Use INSERT, UPDATE and DELETE, or have authz.audit record all three.")));
}

/* Does the triggers' count of updated rows tell which rows moved?  Not if others of the same statement are in it. */
static void
require_counted(const Statement *statement, EState *estate)
{
	ListCell   *cell;

	foreach(cell, estate->es_auxmodifytables)
	{
		const ModifyTableState *other = lfirst(cell);

		if (RelationGetRelid(other->rootResultRelInfo->ri_RelationDesc) == statement->relid)
			refuse(statement, "Its WITH clause changes the table too, of which not all actions are audited.");
	}
}

/* A statement that has no triggers of its own, as those of foreign keys, updates what an open MERGE does: the same. */
static void
refuse_uncounted(const PlannedStmt *plan)
{
	ListCell   *cell;

	foreach(cell, plan->resultRelations)
	{
		Oid			relid = rt_fetch(lfirst_int(cell), plan->rtable)->relid;

		for (Statement *statement = started; statement != NULL; statement = statement->next)
		{
			if (statement->merge != NULL && statement->relid == relid && statement->may_move && (statement->audited & MOVE) != MOVE)
				refuse(statement, "A foreign key or view updates the table too, of which not all actions are audited.");
		}
	}
}

static bool
begin_merge(Statement *statement, QueryDesc *query)
{
	ModifyTableState *merge = castNode(ModifyTableState, query->planstate);
	Relation	root = merge->rootResultRelInfo->ri_RelationDesc;

	(void) pick_triggers(merge->rootResultRelInfo->ri_TrigDesc, MERGE_INSERT | MERGE_UPDATE | MERGE_DELETE, &statement->audited);
	if (statement->audited == 0)
		return false;
	statement->merge = merge;
	statement->relid = RelationGetRelid(root);
	statement->may_move = root->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		(merge->mt_merge_subcommands & statement->audited & MERGE_UPDATE);
	if (statement->may_move && (statement->audited & MOVE) != MOVE)
		require_counted(statement, query->estate);
	else if (statement->may_move)
		queue_triggers(statement, query->estate);
	statement->source = outerPlanState(merge);
	statement->next_row = statement->source->ExecProcNodeReal;
	ExecSetExecProcNode(statement->source, next_source_row);
	return true;
}

static void
begin_statement(QueryDesc *query)
{
	MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);
	Statement  *statement = palloc0_object(Statement);
	MemoryContextCallback *callback = palloc0_object(MemoryContextCallback);
	bool		is_merge;

	statement->query = query;
	statement->executor = query->estate->es_query_cxt;
	statement->subid = GetCurrentSubTransactionId();
	is_merge = query->plannedstmt->commandType == CMD_MERGE && begin_merge(statement, query);
	MemoryContextSwitchTo(old);
	if (!is_merge && !may_have_missed())
		return;
	statement->next = started;
	started = statement;
	callback->func = executor_gone;
	callback->arg = statement;
	MemoryContextRegisterResetCallback(statement->executor, callback);
}

static void
merge_executor_start(QueryDesc *query, int eflags)
{
	if (started != NULL && (eflags & EXEC_FLAG_SKIP_TRIGGERS) && query->plannedstmt->commandType == CMD_UPDATE)
		refuse_uncounted(query->plannedstmt);
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	/* In a worker of logical replication the row triggers record, also what a function of its does. */
	if ((query->plannedstmt->commandType == CMD_MERGE || may_have_missed()) &&
		!(eflags & EXEC_FLAG_EXPLAIN_ONLY) && !IsLogicalWorker())
		begin_statement(query);
}

/* Did the triggers see what the statement says it did? */
static void
verify_merge(const Statement *statement)
{
	const ModifyTableState *merge = statement->merge;
	int			expected = merge->mt_merge_subcommands & statement->audited;
	bool		move_seen = statement->may_move && (statement->fired & MOVE) == MOVE;

	/* Where a row's move was given up by a BEFORE trigger, it counts as updated: with triggers for moves that is no matter. */
	if ((statement->audited & MERGE_UPDATE) && !move_seen && statement->rows[UPDATE_ACTION] < merge->mt_merge_updated)
		refuse(statement, "It moved a row to another partition, of which not all actions are audited.");
	if ((expected & ~statement->fired) ||
		((statement->audited & MERGE_DELETE) && statement->rows[DELETE_ACTION] < merge->mt_merge_deleted))
		refuse(statement, "Not all of its changes reached the triggers.");
}

static void
merge_executor_finish(QueryDesc *query)
{
	Statement  *statement = started;

	while (statement != NULL && statement->query != query)
		statement = statement->next;
	if (prev_executor_finish)
		prev_executor_finish(query);
	else
		standard_ExecutorFinish(query);
	if (statement == NULL)
		return;
	forget(statement);
	if (statement->merge != NULL)
		verify_merge(statement);
}

/*
 * Is the statement that a trigger was fired by, whose start was not seen, one of
 * the client's and no MERGE?  What a function executes, or EXPLAIN, cannot be told.
 */
static bool
is_harmless(MemoryContext executor)
{
	ListCell   *cell;

	if (ActivePortal == NULL)
		return false;
	/* COPY has no executor. */
	if (executor == ActivePortal->portalContext)
		return true;
	if (MemoryContextGetParent(executor) != ActivePortal->portalContext)
		return false;
	foreach(cell, ActivePortal->stmts)
	{
		CmdType		command = lfirst_node(PlannedStmt, cell)->commandType;

		if (command == CMD_MERGE || command == CMD_UTILITY)
			return false;
	}
	return true;
}

void
authz_auditmerge_note(const TriggerData *trigger, int64 rows)
{
	MemoryContext executor = MemoryContextGetParent(CurrentMemoryContext);
	Statement  *statement = started;
	int			action = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? INSERT_ACTION :
		TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? UPDATE_ACTION : DELETE_ACTION;

	while (statement != NULL && statement->executor != executor)
		statement = statement->next;
	if (statement == NULL)
	{
		if (action == UPDATE_ACTION && trigger->tg_relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
			may_have_missed() && !is_harmless(executor))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not record changes of table \"%s\" because authz was loaded by the same statement",
							RelationGetRelationName(trigger->tg_relation)),
					 errdetail("If it is a MERGE, what it changed is not known for certain."),
					 errhint("Run the transaction again, or have sessions load authz when they start.")));
	}
	else if (statement->merge != NULL && statement->relid == RelationGetRelid(trigger->tg_relation))
	{
		statement->fired |= 1 << action;
		statement->rows[action] += rows;
	}
}

static void
end_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	/* The memory may stay a while, and tells when it goes. */
	started = NULL;
	loaded_by_statement = false;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	while (event == SUBXACT_EVENT_ABORT_SUB && started != NULL && started->subid >= subid)
		started = started->next;
}

void
authz_auditmerge_init(void)
{
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = merge_executor_start;
	prev_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = merge_executor_finish;
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
	loaded_by_statement = !process_shared_preload_libraries_in_progress && IsTransactionState();
	loaded_at = GetCurrentStatementStartTimestamp();
}
