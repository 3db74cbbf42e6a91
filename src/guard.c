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
 * through their dependency on authz.permits, as if that function had changed.
 *
 * A statement that takes no new lock accepts no invalidations: a prepared
 * statement in an open transaction would not see a changed policy.  So a
 * top-level statement accepts them before it starts; if its own cached plan
 * turns out stale then, it fails with 40001 (it was chosen already and cannot
 * be chosen again).  change.c wakes idle backends at commit of a change, so
 * that this is a matter of microseconds.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "optimizer/planmain.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/syscache.h"

#include "guard.h"
#include "identity.h"

/* cacheIds of the two halves of a signature. */
#define MARK_HIGH	(-7301)
#define MARK_LOW	(-7302)

/* A holdable cursor that a filtered plan fills, until the identity changes. */
typedef struct HeldCursor
{
	char		name[NAMEDATALEN];
	TimestampTz created;
} HeldCursor;

static ExecutorStart_hook_type prev_executor_start = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

static int	open_count = 0;
static uint32 permits_hash = 0; /* of authz.permits in PROCOID; 0 until something was planned */
static uint64 planned_signature = 0;	/* of the plans that are not stale */
static List *held_cursors = NIL;	/* of HeldCursor *, in TopMemoryContext */

int
authz_guard_open_count(void)
{
	return open_count;
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
authz_guard_mark_plan(PlannerInfo *root, Oid function, uint64 signature)
{
	PlannerGlobal *glob = root->glob;
	uint32		high = (uint32) (signature >> 32);
	uint32		low = (uint32) signature;
	ListCell   *lc;
	PlanInvalItem *previous = NULL;

	planned_signature = signature;
	permits_hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
	foreach(lc, glob->invalItems)
	{
		PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);

		if (item->cacheId == MARK_LOW && item->hashValue == low &&
			previous && previous->cacheId == MARK_HIGH && previous->hashValue == high)
			return;
		previous = item;
	}
	record_plan_function_dependency(root, function);
	glob->invalItems = lappend(glob->invalItems, make_mark(MARK_HIGH, high));
	glob->invalItems = lappend(glob->invalItems, make_mark(MARK_LOW, low));
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
mark_plans_stale(void)
{
	if (permits_hash != 0)
		CallSyscacheCallbacks(PROCOID, permits_hash);
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
	open_count--;
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

/* The portal, if it is still there. */
static Portal
find_portal(const HeldCursor *cursor)
{
	Portal		portal = GetPortalByName(cursor->name);

	return PortalIsValid(portal) && portal->creation_time == cursor->created ? portal : NULL;
}

static void
remember_held_cursor(Portal portal)
{
	MemoryContext outer = MemoryContextSwitchTo(TopMemoryContext);
	HeldCursor *cursor = palloc0_object(HeldCursor);
	ListCell   *lc;

	foreach(lc, held_cursors)
	{
		if (find_portal(lfirst(lc)) == NULL)
		{
			pfree(lfirst(lc));
			held_cursors = foreach_delete_current(held_cursors, lc);
		}
	}
	strlcpy(cursor->name, portal->name, NAMEDATALEN);
	cursor->created = portal->creation_time;
	held_cursors = lappend(held_cursors, cursor);
	MemoryContextSwitchTo(outer);
}

void
authz_guard_identity_changed(void)
{
	ListCell   *lc;

	/* Another subject with the same roles and scopes keeps the plans. */
	if (authz_identity_assigned_signature() != planned_signature)
		mark_plans_stale();
	foreach(lc, held_cursors)
	{
		Portal		portal = find_portal(lfirst(lc));

		if (portal && portal->status == PORTAL_READY)
			portal->status = PORTAL_FAILED;
	}
	list_free_deep(held_cursors);
	held_cursors = NIL;
}

static bool
is_top_level(const PlannedStmt *plan)
{
	return ActivePortal != NULL && list_member_ptr(ActivePortal->stmts, plan);
}

static void
guard_executor_start(QueryDesc *query, int eflags)
{
	bool		top_level = is_top_level(query->plannedstmt);
	bool		marked = is_marked(query->plannedstmt);

	if (top_level)
		AcceptInvalidationMessages();
	if (marked)
	{
		if (!is_made_for(query->plannedstmt, authz_identity_get()->signature))
		{
			mark_plans_stale();
			refuse_stale_plan();
		}
		if (top_level && ActivePortal->cplan && !ActivePortal->cplan->is_valid)
			refuse_stale_plan();
	}

	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);

	if (marked && !(eflags & EXEC_FLAG_EXPLAIN_ONLY))
	{
		count_open(query->estate);
		if (top_level && (ActivePortal->cursorOptions & CURSOR_OPT_HOLD))
			remember_held_cursor(ActivePortal);
	}
}

/* Does the statement forget every setting, authz.token included? */
static bool
resets_all(Node *statement)
{
	if (IsA(statement, DiscardStmt))
		return ((DiscardStmt *) statement)->target == DISCARD_ALL;
	return IsA(statement, VariableSetStmt) && ((VariableSetStmt *) statement)->kind == VAR_RESET_ALL;
}

static void
guard_process_utility(PlannedStmt *plan, const char *source, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *receiver,
					  QueryCompletion *completion)
{
	if (IsTransactionState())
		AcceptInvalidationMessages();

	if (prev_process_utility)
		prev_process_utility(plan, source, read_only_tree, context, params, environment,
							 receiver, completion);
	else
		standard_ProcessUtility(plan, source, read_only_tree, context, params, environment,
								receiver, completion);

	if (resets_all(plan->utilityStmt))
		authz_identity_forget_failure();
}

void
authz_guard_init(void)
{
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = guard_executor_start;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = guard_process_utility;
}
