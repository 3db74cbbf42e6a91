/*-------------------------------------------------------------------------
 * masked.c
 *	  authz.masked and authz.is_masked: their calls become what the current
 *	  identity sees of the column.
 *
 * The planner hook replaces the calls in the target lists of views, before the
 * planner looks at them: what an identity sees clear is a plain column to the
 * planner, also below an outer join, where it would wrap a call.  The rest
 * (views in functions that the planner inlines, and in conditions of policies)
 * is left to the planner support function.  Both do the same.
 *
 * A call that neither replaces, because it is not about a column of a table,
 * reaches the executor and raises.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "inline.h"
#include "masked.h"
#include "masking.h"

static planner_hook_type prev_planner = NULL;

/* Is it the extension's function of that name?  The callers look at the arguments first: that is cheap. */
static bool
is_call_of(Node *node, const char *name)
{
	FuncExpr   *call = (FuncExpr *) node;

	return get_func_namespace(call->funcid) == authz_catalog_schema() &&
		strcmp(get_func_name(call->funcid), name) == 0;
}

Var *
authz_masked_column(Node *call)
{
	Var		   *column;
	Var		   *tableoid;

	if (!IsA(call, FuncExpr) || list_length(((FuncExpr *) call)->args) != 3 ||
		!IsA(linitial(((FuncExpr *) call)->args), Var) || !IsA(lthird(((FuncExpr *) call)->args), Var))
		return NULL;
	column = linitial(((FuncExpr *) call)->args);
	tableoid = lthird(((FuncExpr *) call)->args);
	if (column->varattno <= 0 || tableoid->varattno != TableOidAttributeNumber ||
		column->varno != tableoid->varno || column->varlevelsup != tableoid->varlevelsup ||
		!is_call_of(call, "masked"))
		return NULL;
	return column;
}

/* The row in a call is_masked(<row>, '<name>'); NULL if it is none of that form. */
static Var *
row_asked_about(Node *call)
{
	Var		   *row;
	Const	   *name;

	if (!IsA(call, FuncExpr) || list_length(((FuncExpr *) call)->args) != 2 ||
		!IsA(linitial(((FuncExpr *) call)->args), Var) || !IsA(lsecond(((FuncExpr *) call)->args), Const))
		return NULL;
	row = linitial(((FuncExpr *) call)->args);
	name = lsecond(((FuncExpr *) call)->args);
	if (row->varattno != InvalidAttrNumber || name->consttype != NAMEOID || name->constisnull ||
		!is_call_of(call, "is_masked"))
		return NULL;
	return row;
}

typedef Node *(*WhatOfColumn) (AuthzPolicySet *set, const Var *column, const AuthzIdentity *identity);

/* What there is to know of a column of a table; *has_sublinks becomes true if it holds any. */
static Node *
look_at_column(PlannerGlobal *glob, Oid relid, const Var *column, WhatOfColumn what, bool *has_sublinks)
{
	const AuthzIdentity *identity;
	AuthzPolicySet *set = authz_inline_depend(glob, relid, &identity);
	Oid			owner = authz_policyset_owner(set);
	Node	   *result = what(set, column, identity);

	*has_sublinks |= authz_inline_place(result, column, owner);
	return result;
}

/*
 * The planner hook's way.
 */

/* What the walks below go by. */
typedef struct Preparation
{
	PlannerGlobal *depends;		/* collects what the plan will depend on */
	List	   *queries;		/* from the innermost outwards, while calls of is_masked are replaced */
	bool		has_masked;
	bool		has_is_masked;
} Preparation;

/* Are there any calls to replace? */
static bool
find_calls(Node *node, Preparation *preparation)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr))
	{
		preparation->has_masked |= authz_masked_column(node) != NULL;
		preparation->has_is_masked |= row_asked_about(node) != NULL;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_calls, preparation, 0);
	return expression_tree_walker(node, find_calls, preparation);
}

static Oid
table_of(Query *query, const Var *column)
{
	RangeTblEntry *rte = rt_fetch(column->varno, query->rtable);

	return column->varlevelsup == 0 && rte->rtekind == RTE_RELATION ? rte->relid : InvalidOid;
}

/* A walker: columns of views, in place. */
static bool
replace_masked(Node *node, Preparation *preparation)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		foreach(lc, query->targetList)
		{
			TargetEntry *target = lfirst_node(TargetEntry, lc);
			Var		   *column = authz_masked_column((Node *) target->expr);

			if (column && OidIsValid(table_of(query, column)))
				target->expr = (Expr *) look_at_column(preparation->depends, table_of(query, column), column,
													   authz_masking_value, &query->hasSubLinks);
		}
		return query_tree_walker(query, replace_masked, preparation, 0);
	}
	return expression_tree_walker(node, replace_masked, preparation);
}

/* A column more in a sub-query that is one row for each of its rows. */
static AttrNumber
add_column(RangeTblEntry *rte, Node *value)
{
	Query	   *query = rte->subquery;
	AttrNumber	position = list_length(query->targetList) + 1;

	query->targetList = lappend(query->targetList,
								makeTargetEntry((Expr *) value, position, pstrdup("is_masked"), false));
	rte->eref->colnames = lappend(rte->eref->colnames, makeString(pstrdup("is_masked")));
	return position;
}

static TargetEntry *
find_target(Query *query, const char *name)
{
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (!target->resjunk && target->resname && strcmp(target->resname, name) == 0)
			return target;
	}
	return NULL;
}

/*
 * Have a sub-query tell whether one of its columns is masked; the position of
 * the column that does, or InvalidAttrNumber if it is no column of a masked view.
 */
static AttrNumber
add_is_masked(Preparation *preparation, RangeTblEntry *rte, const char *name)
{
	Query	   *query = rte->subquery;
	TargetEntry *target;
	Var		   *column;

	check_stack_depth();
	if (rte->rtekind != RTE_SUBQUERY || query->setOperations || query->distinctClause ||
		query->groupClause || query->groupingSets || query->hasAggs || query->hasTargetSRFs)
		return InvalidAttrNumber;
	target = find_target(query, name);
	if (target == NULL)
		return InvalidAttrNumber;

	column = authz_masked_column((Node *) target->expr);
	if (column && OidIsValid(table_of(query, column)))
		return add_column(rte, look_at_column(preparation->depends, table_of(query, column), column,
											  authz_masking_is_masked, &query->hasSubLinks));
	if (IsA(target->expr, Var) && ((Var *) target->expr)->varlevelsup == 0 &&
		((Var *) target->expr)->varattno > 0)
	{
		Var		   *var = (Var *) target->expr;
		RangeTblEntry *inner = rt_fetch(var->varno, query->rtable);
		AttrNumber	position;

		if (inner->rtekind != RTE_SUBQUERY)
			return InvalidAttrNumber;
		position = add_is_masked(preparation, inner,
								 get_tle_by_resno(inner->subquery->targetList, var->varattno)->resname);
		if (position != InvalidAttrNumber)
			return add_column(rte, (Node *) makeVar(var->varno, position, BOOLOID, -1, InvalidOid, 0));
	}
	return InvalidAttrNumber;
}

/* A mutator: is_masked(<row of a sub-query>, <name>) becomes a column of that sub-query. */
static Node *
replace_is_masked(Node *node, Preparation *preparation)
{
	Var		   *row;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		preparation->queries = lcons(node, preparation->queries);
		query_tree_mutator((Query *) node, replace_is_masked, preparation, QTW_DONT_COPY_QUERY);
		preparation->queries = list_delete_first(preparation->queries);
		return node;
	}
	row = row_asked_about(node);
	if (row && row->varlevelsup < list_length(preparation->queries))
	{
		Query	   *query = list_nth_node(Query, preparation->queries, row->varlevelsup);
		Const	   *name = lsecond(((FuncExpr *) node)->args);
		AttrNumber	position = add_is_masked(preparation, rt_fetch(row->varno, query->rtable),
											 NameStr(*DatumGetName(name->constvalue)));

		if (position != InvalidAttrNumber)
			return (Node *) makeVar(row->varno, position, BOOLOID, -1, InvalidOid, row->varlevelsup);
	}
	return expression_tree_mutator(node, replace_is_masked, preparation);
}

static PlannedStmt *
masked_planner(Query *query, const char *source, int options, ParamListInfo params)
{
	Preparation preparation = {0};
	PlannedStmt *plan;

	preparation.depends = makeNode(PlannerGlobal);
	find_calls((Node *) query, &preparation);
	if (preparation.has_is_masked)
		replace_is_masked((Node *) query, &preparation);
	if (preparation.has_masked)
		replace_masked((Node *) query, &preparation);

	if (prev_planner)
		plan = prev_planner(query, source, options, params);
	else
		plan = standard_planner(query, source, options, params);

	plan->invalItems = list_concat(plan->invalItems, preparation.depends->invalItems);
	plan->relationOids = list_concat_unique_oid(plan->relationOids, preparation.depends->relationOids);
	plan->dependsOnRole |= preparation.depends->dependsOnRole;
	return plan;
}

/*
 * The support function's way.
 */

PG_FUNCTION_INFO_V1(authz_masked_support);

/* masked_support(internal) -> internal: see supportnodes.h */
Datum
authz_masked_support(PG_FUNCTION_ARGS)
{
	SupportRequestSimplify *request = (SupportRequestSimplify *) PG_GETARG_POINTER(0);
	PlannerInfo *root;
	Var		   *column;
	Var		   *tableoid;
	RangeTblEntry *rte;
	Node	   *value;

	if (!IsA(request, SupportRequestSimplify) || request->root == NULL ||
		(column = authz_masked_column((Node *) request->fcall)) == NULL)
		PG_RETURN_POINTER(NULL);
	root = request->root;
	rte = authz_inline_find_table(root, lthird(request->fcall->args), &tableoid);
	if (rte == NULL || rte->rtekind != RTE_RELATION)
		PG_RETURN_POINTER(NULL);
	authz_inline_check_depth(root, rte->relid);
	value = look_at_column(root->glob, rte->relid, column, authz_masking_value, &root->parse->hasSubLinks);
	PG_RETURN_POINTER(authz_inline_finish(root, value));
}

PG_FUNCTION_INFO_V1(authz_masked);

/* masked(value anyelement, column_name text, relation oid) -> anyelement: only ever planned away */
Datum
authz_masked(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("authz.masked is for the columns of masked views"),
			 errhint("authz.create_masked_view makes one.")));
	PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(authz_is_masked);

/* is_masked(row record, column_name name) -> boolean: only ever planned away */
Datum
authz_is_masked(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("authz.is_masked is for a row of a masked view and the name of one of its columns"),
			 errhint("Write it as in SELECT authz.is_masked(v, 'salary') FROM app.staff AS v.")));
	PG_RETURN_NULL();
}

void
authz_masked_init(void)
{
	prev_planner = planner_hook;
	planner_hook = masked_planner;
}
