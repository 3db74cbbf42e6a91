/*-------------------------------------------------------------------------
 * unseen.c
 *	  EXPLAIN ANALYZE CREATE TABLE ... AS makes the table, and no event trigger fires:
 *	  in a protected schema it would be open, in an audited one unrecorded.  It is
 *	  refused there.
 *
 * In a session that has not loaded the library this does not run;
 * authz.protection_status() lists such a table.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "catalog.h"
#include "unseen.h"

static ProcessUtility_hook_type prev_process_utility = NULL;

/* Is the statement executed, not only planned? */
static bool
is_analyze(const ExplainStmt *statement)
{
	bool		analyze = false;
	ListCell   *lc;

	foreach(lc, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		/* The last one decides. */
		if (strcmp(option->defname, "analyze") == 0)
			analyze = defGetBoolean(option);
	}
	return analyze;
}

/* The table or materialized view that the statement makes unseen, or NULL. */
static const RangeVar *
unseen_table(Node *statement)
{
	Query	   *query;

	if (!IsA(statement, ExplainStmt) || !is_analyze((ExplainStmt *) statement))
		return NULL;
	query = (Query *) ((ExplainStmt *) statement)->query;
	if (query == NULL || !IsA(query, Query) || query->utilityStmt == NULL || !IsA(query->utilityStmt, CreateTableAsStmt))
		return NULL;
	return ((CreateTableAsStmt *) query->utilityStmt)->into->rel;
}

static void
unseen_process_utility(PlannedStmt *plan, const char *source, bool read_only_tree,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *environment, DestReceiver *receiver,
					   QueryCompletion *completion)
{
	const RangeVar *table = unseen_table(plan->utilityStmt);

	if (table != NULL && OidIsValid(authz_catalog_schema()))
	{
		Oid			argument = OIDOID;
		List	   *name = list_make2(makeString("authz"), makeString("refuse_unseen_table"));

		OidFunctionCall1(LookupFuncName(name, 1, &argument, false),
						 ObjectIdGetDatum(RangeVarGetCreationNamespace(table)));
	}
	if (prev_process_utility)
		prev_process_utility(plan, source, read_only_tree, context, params, environment, receiver, completion);
	else
		standard_ProcessUtility(plan, source, read_only_tree, context, params, environment, receiver, completion);
}

void
authz_unseen_init(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = unseen_process_utility;
}
