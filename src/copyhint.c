/*-------------------------------------------------------------------------
 * copyhint.c
 *	  COPY FROM a file into a protected table: core refuses it and knows of
 *	  INSERT only; the hint tells of masked views, which take it.
 *
 * The error stays core's, after core's look at privileges.  Only its hint
 * changes, by an error context callback: with row security on the table,
 * nothing else that COPY FROM says has that code.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/namespace.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/rls.h"

#include "catalog.h"
#include "copyhint.h"

static ProcessUtility_hook_type prev_process_utility = NULL;

/* Error context callback */
static void
change_hint(void *arg)
{
	if (geterrcode() == ERRCODE_FEATURE_NOT_SUPPORTED)
		errhint("Use INSERT statements, or COPY into a masked view of the table, which authz.create_masked_view makes.");
}

/* Does a command copy into a protected table whose row security binds the caller? */
static bool
copies_into_protected(Node *statement)
{
	CopyStmt   *copy = (CopyStmt *) statement;
	Oid			relid;

	if (!IsA(statement, CopyStmt) || !copy->is_from || copy->relation == NULL)
		return false;
	relid = RangeVarGetRelid(copy->relation, NoLock, true);
	return OidIsValid(relid) && OidIsValid(authz_catalog_logical(relid)) &&
		check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED;
}

static void
copyhint_process_utility(PlannedStmt *plan, const char *source, bool read_only_tree,
						 ProcessUtilityContext context, ParamListInfo params,
						 QueryEnvironment *environment, DestReceiver *receiver,
						 QueryCompletion *completion)
{
	ErrorContextCallback callback = {error_context_stack, change_hint, NULL};

	if (copies_into_protected(plan->utilityStmt))
		error_context_stack = &callback;
	if (prev_process_utility)
		prev_process_utility(plan, source, read_only_tree, context, params, environment, receiver, completion);
	else
		standard_ProcessUtility(plan, source, read_only_tree, context, params, environment, receiver, completion);
	if (error_context_stack == &callback)
		error_context_stack = callback.previous;
}

void
authz_copyhint_init(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = copyhint_process_utility;
}
