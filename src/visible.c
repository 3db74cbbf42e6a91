/*-------------------------------------------------------------------------
 * visible.c
 *	  authz.visible: in a sub-select of a condition, whether the current
 *	  identity may select a row.
 *
 * A condition's sub-selects read with the rights of the table's owner, hence
 * unfiltered.  visible(p) is what row security would have added for a row of p.
 * Here it is told what is such a call, and who stores a condition is told what
 * they may have forgotten; visibleplan.c puts the policies in its place.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "visible.h"

static bool
is_call(Node *node)
{
	return IsA(node, FuncExpr) && list_length(((FuncExpr *) node)->args) == 1 &&
		authz_catalog_is_function(((FuncExpr *) node)->funcid, "visible");
}

Var *
authz_visible_row(Node *node)
{
	Node	   *argument;

	if (!IsA(node, FuncExpr) || list_length(((FuncExpr *) node)->args) != 1)
		return NULL;
	argument = linitial(((FuncExpr *) node)->args);
	if (IsA(argument, NamedArgExpr))
		argument = (Node *) ((NamedArgExpr *) argument)->arg;
	if (!IsA(argument, Var) || ((Var *) argument)->varattno != InvalidAttrNumber || !is_call(node))
		return NULL;
	return (Var *) argument;
}

/* A walk over a condition. */
typedef struct ConditionWalk
{
	List	   *queries;		/* Query *, from the innermost outwards */
	List	   *tables;			/* RangeTblEntry * that sub-selects read */
	List	   *filtered;		/* those of them that a call is about */
} ConditionWalk;

static void
refuse_row(Var *row)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("authz.visible must be given the row of a table that a sub-select reads"),
			 row ? errdetail("The row of a view, join, function or sub-query has no policies, nor has ROW().") :
			 errdetail("The row that the condition itself decides on is not one of them."),
			 errhint("Write it as in EXISTS (SELECT FROM project p WHERE p.id = issue.project_id AND authz.visible(p)).")));
}

static void
check_call(Node *call, ConditionWalk *walk)
{
	Var		   *row = authz_visible_row(call);
	RangeTblEntry *rte;

	if (row && row->varlevelsup >= list_length(walk->queries))
		refuse_row(NULL);
	rte = row ? rt_fetch(row->varno, list_nth_node(Query, walk->queries, row->varlevelsup)->rtable) : NULL;
	if (rte == NULL || rte->rtekind != RTE_RELATION ||
		(rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_PARTITIONED_TABLE))
		refuse_row((Var *) linitial(((FuncExpr *) call)->args));
	walk->filtered = list_append_unique_ptr(walk->filtered, rte);
}

static bool
walk_condition(Node *node, ConditionWalk *walk)
{
	if (node == NULL)
		return false;
	if (is_call(node))
		check_call(node, walk);
	if (IsA(node, RangeTblEntry))
	{
		if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
			walk->tables = lappend(walk->tables, node);
		return false;
	}
	if (IsA(node, Query))
	{
		walk->queries = lcons(node, walk->queries);
		query_tree_walker((Query *) node, walk_condition, walk, QTW_EXAMINE_RTES_BEFORE);
		walk->queries = list_delete_first(walk->queries);
		return false;
	}
	return expression_tree_walker(node, walk_condition, walk);
}

void
authz_visible_check(Node *condition)
{
	ConditionWalk walk = {NIL};

	walk_condition(condition, &walk);
}

void
authz_visible_report(Node *condition, Oid logical)
{
	ConditionWalk walk = {NIL};
	Oid			owner = authz_catalog_owner(logical);
	List	   *reported = NIL;
	ListCell   *lc;

	walk_condition(condition, &walk);
	foreach(lc, walk.tables)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		Oid			policies_of = authz_catalog_logical(rte->relid);
		bool		is_filtered = list_member_ptr(walk.filtered, rte);

		if (is_filtered == OidIsValid(policies_of) || list_member_oid(reported, rte->relid))
			continue;
		/* It would lead back to where it stands; and row security holds for whom it is not the own table. */
		if (policies_of == logical ||
			(!is_filtered && !pg_class_ownercheck(rte->relid, owner) && !superuser_arg(owner)))
			continue;
		reported = lappend_oid(reported, rte->relid);
		if (is_filtered)
			ereport(WARNING,
					(errmsg("authz.visible is false for every row of table \"%s\", which is not protected", get_rel_name(rte->relid)),
					 errhint("Call authz.protect for it.")));
		else
			ereport(NOTICE,
					(errmsg("the condition reads all rows of protected table \"%s\"", get_rel_name(rte->relid)),
					 errdetail("A sub-select reads with the rights of the table's owner, and is not filtered."),
					 errhint("To have it read only rows that the identity may select, add: AND authz.visible(%s)",
							 quote_identifier(rte->eref->aliasname))));
	}
}

PG_FUNCTION_INFO_V1(authz_visible);

/* visible(row record) -> boolean: only ever planned away */
Datum
authz_visible(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("authz.visible is for the rows of tables that a sub-select of a condition reads"),
			 errhint("Use authz.permits_row to ask for a decision on a row.")));
	PG_RETURN_BOOL(false);
}
