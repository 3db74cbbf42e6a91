/*-------------------------------------------------------------------------
 * viewlock.c
 *	  UPDATE and DELETE of a masked view lock the table's row before they decide
 *	  on it, as they would on the table.
 *
 * An INSTEAD OF trigger gets rows that were read and not locked.  When another
 * transaction has changed one meanwhile, the trigger can neither look at the
 * statement's WHERE again nor compute the new values from the newest row.  So
 * the planner hook marks the table for locking, as FOR UPDATE on the view
 * would.  The executor then waits for the other transaction, takes the newest
 * version of the row, evaluates WHERE, policies, masks and new values for it
 * again, and the trigger gets a row that nobody else can change any more.
 *
 * The lock must be on top of the whole statement: below a join or a WHERE it
 * would lock rows that the statement does not write.  A sub-query with a mark
 * that is "pushed down" is pulled up into the statement, mark and all, unless
 * it is a security barrier.  This one need not be: rows are hidden by the row
 * security of the table, which comes along and which the planner evaluates
 * first, and whatever is pulled up reads columns through their masks only.
 *
 * A row that this identity may not update (or delete) at all is not locked
 * either: the condition for that is added to the row security of the table.
 * Which columns may be written the statements of writeplan.c decide, as before.
 *
 * A security barrier view above may have a condition of its own.  PostgreSQL's
 * planner loses it when it pulls the sub-query up, so that one stays a barrier.
 * Then rows are not locked, and a concurrent change is a serialization failure.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

#include "catalog.h"
#include "masked_view.h"
#include "viewlock.h"

/* The table of a masked view; InvalidOid if the relation is none. */
static Oid
table_of_view(Oid relid)
{
	Relation	relation = relation_open(relid, NoLock);
	AuthzMaskedView view;
	Oid			result = authz_masked_view_read(relation, &view) ? view.relid : InvalidOid;

	relation_close(relation, NoLock);
	return result;
}

/* The sub-query that gives the rows of the view: the one whose whole row the rewriter has added for the trigger. */
static RangeTblEntry *
find_source(const Query *query)
{
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		Var		   *row = (Var *) entry->expr;

		if (entry->resjunk && entry->resname && strcmp(entry->resname, "wholerow") == 0 && IsA(row, Var) &&
			row->varattno == InvalidAttrNumber && row->varlevelsup == 0)
			return rt_fetch(row->varno, query->rtable);
	}
	return NULL;
}

/* A walker: find a call of permits. */
static bool
find_permits(Node *node, FuncExpr **call)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && list_length(((FuncExpr *) node)->args) == 2 &&
		authz_catalog_is_function(((FuncExpr *) node)->funcid, "permits"))
	{
		*call = (FuncExpr *) node;
		return true;
	}
	return expression_tree_walker(node, find_permits, call);
}

/* Add that a row may be updated, or deleted, to the row security of a table, if it asks for permission to select it. */
static void
add_permission(RangeTblEntry *table, CmdType command)
{
	FuncExpr   *call = NULL;

	if (!find_permits((Node *) table->securityQuals, &call))
		return;
	call = copyObject(call);
	linitial(call->args) = makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
									 CStringGetTextDatum(command == CMD_UPDATE ? "update" : "delete"), false, false);
	table->securityQuals = lappend(table->securityQuals, call);
}

void
authz_viewlock_add(Query *query)
{
	RangeTblEntry *target;
	RangeTblEntry *source;
	RangeTblEntry *table;
	Oid			relid;
	int			index;

	if (query->commandType != CMD_UPDATE && query->commandType != CMD_DELETE)
		return;
	target = rt_fetch(query->resultRelation, query->rtable);
	if (target->relkind != RELKIND_VIEW || !OidIsValid(relid = table_of_view(target->relid)))
		return;
	source = find_source(query);
	if (source == NULL || source->rtekind != RTE_SUBQUERY || list_length(source->subquery->jointree->fromlist) != 1 ||
		!IsA(linitial(source->subquery->jointree->fromlist), RangeTblRef))
		elog(ERROR, "rows of the masked view of table %u come from nowhere", relid);
	index = linitial_node(RangeTblRef, source->subquery->jointree->fromlist)->rtindex;
	table = rt_fetch(index, source->subquery->rtable);
	if (table->rtekind != RTE_RELATION || table->relid != relid)
		elog(ERROR, "rows of the masked view of table %u come from another one", relid);
	if (source->subquery->rowMarks != NIL)
		return;
	if (source->securityQuals != NIL)
	{
		source->security_barrier = true;
		return;
	}

	LockRelationOid(relid, RowShareLock);
	table->rellockmode = RowShareLock;
	applyLockingClause(source->subquery, index, query->commandType == CMD_UPDATE ? LCS_FORNOKEYUPDATE : LCS_FORUPDATE,
					   LockWaitBlock, true);
	add_permission(table, query->commandType);
	source->security_barrier = false;
}

bool
authz_viewlock_is_lost(const Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY && rte->securityQuals != NIL)
			return true;
	}
	return false;
}
