/*-------------------------------------------------------------------------
 * guard.c
 *	  A plan is executed only under the identity it was made for, and the
 *	  identity does not change under an open one.
 *
 * The planner support function leaves the identity's signature in the plan,
 * as two PlanInvalItems whose cacheId no system cache has (core compares
 * cacheIds and skips them; they are copied with the plan and dropped for
 * parallel workers, whose leader was checked).  ExecutorStart compares.  So a
 * stale plan fails closed, and the check costs a statement some nanoseconds
 * and a row nothing; a guard expression would have to be an InitPlan, which
 * is no longer free in the inner side of a nested loop and shows in EXPLAIN.
 *
 * When the signature changes, this backend's dependent plans are marked stale
 * through a dependency of theirs, as if some function had changed.
 * Not when a transaction ends: with a pooler every transaction sets an identity
 * and its end takes it back, and the next one most likely has the same roles.
 * Then the change is only noted, and decided on before the next statement that
 * could use a cached plan.  A procedure may have one right after its COMMIT, so
 * all are marked then.
 *
 * That is too late for one: a client's prepared statement chooses its plan
 * before any hook runs.  The same holds for a policy that changed while the
 * transaction was idle, since a statement that takes no new lock accepts no
 * invalidations (change.c wakes idle backends, so that is a matter of
 * microseconds).  ExecutorStart then plans such a statement again.  Where it
 * cannot, deep inside a function, it raises 40001.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "commands/prepare.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "optimizer/planner.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/syscache.h"

#include "cursor.h"
#include "guard.h"
#include "identity.h"
#include "maintenance.h"
#include "redact.h"

/* cacheIds of the two halves of a signature. */
#define MARK_HIGH	(-7301)
#define MARK_LOW	(-7302)

/* Every marked plan depends on this "function", whatever it reads; a real one of the same hash does no harm. */
#define MARK_HASH	0x7301a072

/* The SQL EXECUTE at hand, and that around it; see replan. */
typedef struct Execute
{
	struct Execute *outer;
	const char *name;
} Execute;

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static planner_hook_type prev_planner = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

static int	open_count = 0;
static bool go_serial = false;	/* what is being planned must not enter parallel mode */
static bool identity_left_open = false; /* the identity changed while open_count was not 0 */
static bool change_noted = false;	/* the identity changed; planned_signature not compared yet */
static bool has_planned = false;	/* there may be marked plans */
static uint64 planned_signature = 0;	/* of the plans that are not stale */
static Execute *executing = NULL;

int
authz_guard_open_count(void)
{
	return open_count;
}

static void
mark_plans_stale(void)
{
	if (has_planned)
		CallSyscacheCallbacks(PROCOID, MARK_HASH);
}

static PlanInvalItem *
make_mark(int id, uint32 half)
{
	PlanInvalItem *mark = makeNode(PlanInvalItem);

	mark->cacheId = id;
	mark->hashValue = half;
	return mark;
}

void
authz_guard_mark_plan(PlannerGlobal *glob, uint64 signature)
{
	uint32		high = (uint32) (signature >> 32);
	uint32		low = (uint32) signature;
	ListCell   *lc;
	PlanInvalItem *previous = NULL;

	/* Plans for the signature before are no longer right, nor is a noted change of interest. */
	if (signature != planned_signature)
		mark_plans_stale();
	planned_signature = signature;
	change_noted = false;
	has_planned = true;
	foreach(lc, glob->invalItems)
	{
		PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);

		if (item->cacheId == MARK_LOW && item->hashValue == low &&
			previous && previous->cacheId == MARK_HIGH && previous->hashValue == high)
			return;
		previous = item;
	}
	glob->invalItems = lappend(glob->invalItems, make_mark(PROCOID, MARK_HASH));
	glob->invalItems = lappend(glob->invalItems, make_mark(MARK_HIGH, high));
	glob->invalItems = lappend(glob->invalItems, make_mark(MARK_LOW, low));
}

/* For no signature that is here now. */
void
authz_guard_mark_stale(PlannerGlobal *glob, uint64 signature)
{
	glob->invalItems = lappend(glob->invalItems, make_mark(PROCOID, MARK_HASH));
	glob->invalItems = lappend(glob->invalItems, make_mark(MARK_HIGH, ~(uint32) (signature >> 32)));
	glob->invalItems = lappend(glob->invalItems, make_mark(MARK_LOW, ~(uint32) signature));
	has_planned = true;
}

void
authz_guard_go_serial(PlannerGlobal *glob)
{
	glob->maxParallelHazard = PROPARALLEL_UNSAFE;
	glob->parallelModeOK = false;
	go_serial = true;
}

/*
 * Planner hook.  A sub-query is planned when other parts of the statement may
 * have got a Gather already.  Without parallel mode that one runs its plan
 * itself, so nothing needs to be planned again.
 */
static PlannedStmt *
guard_planner(Query *query, const char *source, int options, ParamListInfo params)
{
	bool		outer = go_serial;
	PlannedStmt *plan;

	go_serial = false;
	PG_TRY();
	{
		if (prev_planner)
			plan = prev_planner(query, source, options, params);
		else
			plan = standard_planner(query, source, options, params);
		if (go_serial)
			plan->parallelModeNeeded = false;
	}
	PG_FINALLY();
	{
		go_serial = outer;
	}
	PG_END_TRY();
	return plan;
}

static bool
is_marked(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->invalItems)
	{
		if (lfirst_node(PlanInvalItem, lc)->cacheId == MARK_HIGH)
			return true;
	}
	return false;
}

static bool
is_made_for(const PlannedStmt *plan, uint64 signature)
{
	ListCell   *lc;

	foreach(lc, plan->invalItems)
	{
		PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);

		if ((item->cacheId == MARK_HIGH && item->hashValue != (uint32) (signature >> 32)) ||
			(item->cacheId == MARK_LOW && item->hashValue != (uint32) signature))
			return false;
	}
	return true;
}

static void
refuse_stale_plan(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not use a plan made for other rights"),
			 errdetail("The roles of the identity, or a policy, changed after the statement was planned."),
			 errhint("Run the statement again.")));
}

static void
executor_closed(void *arg)
{
	if (--open_count == 0)
		identity_left_open = false;
}

/* Count the executor until its memory goes, however it ends. */
static void
count_open(EState *estate)
{
	MemoryContextCallback *callback = MemoryContextAlloc(estate->es_query_cxt,
														 sizeof(MemoryContextCallback));

	callback->func = executor_closed;
	callback->arg = NULL;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
	open_count++;
}

/* What plans are made for: the identity's rights, and whether an owner is at maintenance. */
static uint64
current_signature(void)
{
	return authz_maintenance_sign(authz_identity_get()->signature);
}

/* Another subject with the same roles and scopes keeps the plans. */
static void
decide_on_change(void)
{
	if (change_noted && authz_maintenance_sign(authz_identity_assigned_signature()) != planned_signature)
		mark_plans_stale();
	change_noted = false;
}

void
authz_guard_rights_changed(void)
{
	/* A function may change the identity and go on with cached plans of its own. */
	change_noted = true;
	/* Also when a subtransaction has failed: what goes on may be a function that caught its error. */
	if (IsTransactionState() || GetCurrentTransactionNestLevel() > 1)
		decide_on_change();
	else if (SPI_inside_nonatomic_context())
		mark_plans_stale();		/* a procedure goes on after COMMIT or ROLLBACK */
}

void
authz_guard_identity_changed(void)
{
	authz_guard_rights_changed();
	if (open_count > 0)
		identity_left_open = true;
	authz_cursor_identity_ended();
}

static bool
has_interpreted_function(Oid function, void *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			language;

	if (!HeapTupleIsValid(tuple))
		return true;
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	return language != INTERNALlanguageId && language != ClanguageId;
}

static bool
find_interpreted_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, has_interpreted_function, context))
		return true;
	return expression_tree_walker(node, find_interpreted_function, context);
}

/*
 * Can a plan call nothing that has cached plans of its own?  True for a SELECT
 * without FROM of functions in C, such as authz.login and set_config.
 */
static bool
runs_no_cached_plan(const PlannedStmt *plan)
{
	return plan->commandType == CMD_SELECT && IsA(plan->planTree, Result) &&
		plan->planTree->lefttree == NULL && plan->subplans == NIL && plan->relationOids == NIL &&
		!find_interpreted_function((Node *) plan->planTree->targetlist, NULL);
}

static bool
is_top_level(const PlannedStmt *plan)
{
	return ActivePortal != NULL && list_member_ptr(ActivePortal->stmts, plan);
}

/*
 * The prepared statement that the plan is of, and the plan's place in it; NULL if
 * that is not known.  A client's names it in its portal.  SQL's EXECUTE is known by
 * name while it runs, and its generic plan is kept with the statement.  Its custom
 * plan is not; that one is in a portal of EXECUTE's own, which is not visible.
 */
static PreparedStatement *
find_statement(const QueryDesc *query, bool top_level, int *place)
{
	const char *client_name = top_level ? ActivePortal->prepStmtName : NULL;
	const char *name = client_name ? client_name : executing ? executing->name : NULL;
	PreparedStatement *statement = name ? FetchPreparedStatement(name, false) : NULL;
	List	   *plans = NIL;

	/* The name may stand for another statement by now. */
	if (statement == NULL)
		return NULL;
	if (statement->plansource->gplan && list_member_ptr(statement->plansource->gplan->stmt_list, query->plannedstmt))
		plans = statement->plansource->gplan->stmt_list;
	else if (client_name == NULL && top_level && ActivePortal->cplan && !ActivePortal->visible &&
			 strcmp(ActivePortal->sourceText, statement->plansource->query_string) == 0)
		plans = ActivePortal->stmts;
	else
		return NULL;
	for (*place = 0; list_nth(plans, *place) != query->plannedstmt; (*place)++)
		;
	return statement;
}

/*
 * Plan a prepared statement again and put the plan in place of the stale one;
 * false if the plan is not of one.  The new plan is a copy in the present memory
 * context, which is the portal's or the command's, so nothing has to be released.
 */
static bool
replan(QueryDesc *query, bool top_level)
{
	int			place;
	PreparedStatement *statement = find_statement(query, top_level, &place);
	CachedPlan *cached;
	PlannedStmt *plan = NULL;

	if (statement == NULL)
		return false;
	cached = GetCachedPlan(statement->plansource, query->params, NULL, query->queryEnv);
	if (place < list_length(cached->stmt_list))
		plan = copyObject(list_nth_node(PlannedStmt, cached->stmt_list, place));
	ReleaseCachedPlan(cached, NULL);
	if (plan == NULL || plan->commandType != query->operation ||
		!is_made_for(plan, current_signature()))
		return false;
	query->plannedstmt = plan;
	return true;
}

/* See to it that the plan is of now; `top_level` as is_top_level said. */
static void
check_plan(QueryDesc *query, bool top_level)
{
	bool		is_current;

	/* Not only at the top: a loop in a function would go on under rights taken back long ago. */
	AcceptInvalidationMessages();
	if (top_level && change_noted && !runs_no_cached_plan(query->plannedstmt))
		decide_on_change();
	if (!is_marked(query->plannedstmt))
		return;
	is_current = is_made_for(query->plannedstmt, current_signature());
	if (!is_current)
		mark_plans_stale();
	else if (!top_level || ActivePortal->cplan == NULL || ActivePortal->cplan->is_valid)
		return;
	if (!replan(query, top_level))
		refuse_stale_plan();
}

static void
guard_executor_start(QueryDesc *query, int eflags)
{
	bool		top_level = is_top_level(query->plannedstmt);

	check_plan(query, top_level);
	if (top_level && is_marked(query->plannedstmt))
		authz_cursor_check_start(ActivePortal);

	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);

	if (is_marked(query->plannedstmt) && !(eflags & EXEC_FLAG_EXPLAIN_ONLY))
	{
		/* Partition pruning has called functions, and they may have changed the identity. */
		if (!is_made_for(query->plannedstmt, current_signature()))
			refuse_stale_plan();
		count_open(query->estate);
	}
}

/*
 * Each FETCH from a cursor comes here.  Its identity may have been revoked
 * since the cursor was opened, or given up by a RESET, which cannot be refused.
 * Policies are those of then, as the rows are.
 */
static void
guard_executor_run(QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once)
{
	bool		is_filtered = is_marked(query->plannedstmt);
	uint64		signature = 0;
	AuthzCursorRun run;

	if (is_filtered)
	{
		if (identity_left_open)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the identity that this query was opened under has been given up"),
					 errhint("Close the cursor and open it again.")));
		signature = current_signature();
		if (!is_made_for(query->plannedstmt, signature))
			refuse_stale_plan();
	}
	authz_cursor_begin(&run, query, is_filtered, signature);
	if (prev_executor_run)
		prev_executor_run(query, direction, count, execute_once);
	else
		standard_ExecutorRun(query, direction, count, execute_once);
	authz_cursor_end(&run, query);
}

/* A statement in front of the one that matters: BEGIN, or the setting of the identity itself. */
static bool
is_preamble(Node *statement)
{
	if (IsA(statement, TransactionStmt))
		return ((TransactionStmt *) statement)->kind <= TRANS_STMT_START;
	return IsA(statement, VariableSetStmt);
}

/* Does the statement forget every setting, authz.token included? */
static bool
resets_all(Node *statement)
{
	if (IsA(statement, DiscardStmt))
		return ((DiscardStmt *) statement)->target == DISCARD_ALL;
	return IsA(statement, VariableSetStmt) && ((VariableSetStmt *) statement)->kind == VAR_RESET_ALL;
}

/* Error context callback: a token stands in the statement's text, which core would log. */
static void
hide_statement(void *arg)
{
	errhidestmt(true);
}

/* Name of the prepared statement that a command executes: EXECUTE, CREATE TABLE AS EXECUTE, EXPLAIN EXECUTE; or NULL. */
static const char *
executed_name(Node *statement)
{
	if (IsA(statement, ExplainStmt))
		statement = ((ExplainStmt *) statement)->query;
	if (IsA(statement, Query))
		statement = ((Query *) statement)->utilityStmt;
	if (statement && IsA(statement, CreateTableAsStmt))
		statement = ((CreateTableAsStmt *) statement)->query;
	if (statement && IsA(statement, Query))
		statement = ((Query *) statement)->utilityStmt;
	return statement && IsA(statement, ExecuteStmt) ? ((ExecuteStmt *) statement)->name : NULL;
}

static bool
sets_token(Node *statement)
{
	return IsA(statement, VariableSetStmt) && ((VariableSetStmt *) statement)->name &&
		pg_strcasecmp(((VariableSetStmt *) statement)->name, "authz.token") == 0;
}

static void
call_process_utility(PlannedStmt *plan, const char *source, bool read_only_tree,
					 ProcessUtilityContext context, ParamListInfo params,
					 QueryEnvironment *environment, DestReceiver *receiver,
					 QueryCompletion *completion)
{
	if (prev_process_utility)
		prev_process_utility(plan, source, read_only_tree, context, params, environment,
							 receiver, completion);
	else
		standard_ProcessUtility(plan, source, read_only_tree, context, params, environment,
								receiver, completion);
}

/* Whatever is asked of the statement is found out before it runs: its tree may be gone afterwards. */
static void
guard_process_utility(PlannedStmt *plan, const char *source, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *receiver,
					  QueryCompletion *completion)
{
	ErrorContextCallback callback = {error_context_stack, hide_statement, NULL};
	bool		has_token = sets_token(plan->utilityStmt);
	bool		forgets = resets_all(plan->utilityStmt);
	Execute		execute = {executing, executed_name(plan->utilityStmt)};
	AuthzCursorRun run;

	if (has_token)
	{
		/* Other sessions of the same database role see its statements in pg_stat_activity. */
		authz_redact_token_set(NULL);
		/* It may fail before it gets as far as the check hook. */
		authz_identity_note_failure();
	}
	if (IsTransactionState())
	{
		AcceptInvalidationMessages();
		if (!is_preamble(plan->utilityStmt))
			decide_on_change();
	}
	authz_cursor_begin(&run, NULL, false, 0);
	if (IsA(plan->utilityStmt, FetchStmt))
		authz_cursor_check_fetch(((FetchStmt *) plan->utilityStmt)->portalname);

	if (has_token)
		error_context_stack = &callback;
	executing = &execute;
	PG_TRY();
	{
		call_process_utility(plan, source, read_only_tree, context, params, environment, receiver, completion);
	}
	PG_FINALLY();
	{
		executing = execute.outer;
	}
	PG_END_TRY();
	if (error_context_stack == &callback)
		error_context_stack = callback.previous;

	authz_cursor_end(&run, NULL);
	if (forgets)
		authz_identity_forget_failure();
}

void
authz_guard_init(void)
{
	prev_planner = planner_hook;
	planner_hook = guard_planner;
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = guard_executor_start;
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = guard_executor_run;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = guard_process_utility;
}
