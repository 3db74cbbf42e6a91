/*-------------------------------------------------------------------------
 * masked.c
 *	  authz.masked and authz.is_masked: their calls become what the current
 *	  identity sees of the column.  authz.visible (visibleplan.c) is replaced here too.
 *
 * The planner hook replaces the calls, before the planner looks at the query:
 * what an identity sees clear is a plain column to the planner, also below an
 * outer join, where it would wrap a call.  SQL functions that the planner would
 * inline are inlined for that.  The sub-selects of conditions and masks come
 * later, and are prepared when they are put in their place.
 *
 * In the first statement of a session, which loads this library, the hook is
 * too late.  The planner support function replaces masked() then, but for a row
 * of a query further out: core simplifies EXISTS before it is a query of its
 * own, so the support function cannot know which one is meant.  And is_masked
 * needs the hook: the sub-query that its row is of gets a column more, which
 * tells.  Such a plan is marked stale, so that a prepared statement is planned
 * again and any other fails with 40001.
 *
 * A call that is not about a column of a table reaches the executor and raises.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "guard.h"
#include "inline.h"
#include "masked.h"
#include "masked_view.h"
#include "masking.h"
#include "viewlock.h"
#include "visible.h"
#include "visibleplan.h"

static planner_hook_type prev_planner = NULL;

/* A call is_masked(<row>, '<column>'). */
typedef struct IsMaskedCall
{
	Var		   *row;
	const char *column;
} IsMaskedCall;

/* False if the node is no call of that form. */
static bool
read_is_masked(Node *node, IsMaskedCall *call)
{
	Node	   *args[2] = {NULL, NULL};
	int			n = 0;
	ListCell   *lc;

	if (!IsA(node, FuncExpr) || list_length(((FuncExpr *) node)->args) != 2)
		return false;
	foreach(lc, ((FuncExpr *) node)->args)
	{
		NamedArgExpr *named = IsA(lfirst(lc), NamedArgExpr) ? lfirst(lc) : NULL;

		if (named && named->argnumber > 1)
			return false;
		args[named ? named->argnumber : n++] = named ? (Node *) named->arg : lfirst(lc);
	}
	if (args[0] == NULL || !IsA(args[0], Var) || ((Var *) args[0])->varattno != InvalidAttrNumber ||
		args[1] == NULL || !IsA(args[1], Const) || ((Const *) args[1])->consttype != NAMEOID ||
		((Const *) args[1])->constisnull || !authz_catalog_is_function(((FuncExpr *) node)->funcid, "is_masked"))
		return false;
	call->row = (Var *) args[0];
	call->column = NameStr(*DatumGetName(((Const *) args[1])->constvalue));
	return true;
}

typedef Node *(*WhatOfColumn) (AuthzPolicySet *set, const Var *column, const AuthzIdentity *identity);

/* What there is to know of a column of a table; *has_sublinks becomes true if it holds any. */
static Node *
look_at_column(PlannerGlobal *glob, const RangeTblEntry *rte, const Var *column, WhatOfColumn what,
			   bool *has_sublinks)
{
	const AuthzIdentity *identity;
	AuthzPolicySet *set;
	Oid			owner;
	Node	   *result;

	if (OidIsValid(rte->checkAsUser))
		authz_masked_view_check_owner(rte->relid, rte->checkAsUser);
	set = authz_inline_depend(glob, rte->relid, &identity);
	owner = authz_policyset_owner(set);
	result = what(set, column, identity);

	*has_sublinks |= authz_inline_place(glob, result, column, owner);
	return result;
}

/*
 * The planner hook's way.
 */

/* A sub-query that has got more columns than its row has. */
typedef struct Extended
{
	Query	   *query;
	int			ncolumns;		/* of its row */
	List	   *asked;			/* columns that is_masked was asked for */
	List	   *answers;		/* the columns that tell, in the same order */
	AttrNumber	row;			/* the column that is its row, once something needs it */
} Extended;

/* What the walks below go by. */
typedef struct Preparation
{
	PlannerGlobal *depends;		/* collects what the plan will depend on */
	List	   *queries;		/* Query *, from the innermost outwards */
	List	   *extended;		/* Extended * */
	bool		has_masked;
	bool		has_is_masked;
	bool		has_visible;
} Preparation;

/* The query that a Var of a query in the walk belongs to, and its entry there; NULL if it is around all that is prepared. */
static RangeTblEntry *
entry_of(const Preparation *preparation, const Var *var)
{
	if (var->varlevelsup >= list_length(preparation->queries))
		return NULL;
	return rt_fetch(var->varno, list_nth_node(Query, preparation->queries, var->varlevelsup)->rtable);
}

/*
 * Rows of a view are written by the key that was read.  Masks may change before
 * they are, so the key has to be clear in the plan that reads.
 */
static void
require_key(Query *query)
{
	RangeTblEntry *rte;
	Relation	relation;
	AuthzMaskedView view;

	if (query->commandType != CMD_UPDATE && query->commandType != CMD_DELETE)
		return;
	rte = rt_fetch(query->resultRelation, query->rtable);
	if (rte->relkind != RELKIND_VIEW)
		return;
	relation = relation_open(rte->relid, NoLock);
	if (authz_masked_view_read(relation, &view))
		(void) authz_masked_view_require_key(&view, RelationGetRelationName(relation));
	relation_close(relation, NoLock);
}

static bool
is_sql_function(Node *call)
{
	HeapTuple	tuple;
	bool		result;

	if (!IsA(call, FuncExpr))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(((FuncExpr *) call)->funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == SQLlanguageId;
	ReleaseSysCache(tuple);
	return result;
}

/* SQL functions in FROM become sub-queries, as the planner would make them a moment later. */
static void
inline_functions(Query *query, PlannerGlobal *depends)
{
	PlannerInfo *root;
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_FUNCTION && list_length(rte->functions) == 1 &&
			is_sql_function(linitial_node(RangeTblFunction, rte->functions)->funcexpr))
			break;
	}
	if (lc == NULL)
		return;
	root = makeNode(PlannerInfo);
	root->parse = query;
	root->glob = depends;
	root->planner_cxt = CurrentMemoryContext;
	preprocess_function_rtes(root);
}

/* A walker: make queries whole, and see whether there are any calls to replace. */
static bool
find_calls(Node *node, Preparation *preparation)
{
	IsMaskedCall call;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr))
	{
		preparation->has_masked |= authz_masked_view_column(node) != NULL;
		preparation->has_is_masked |= read_is_masked(node, &call);
		preparation->has_visible |= authz_visible_row(node) != NULL;
	}
	if (IsA(node, Query))
	{
		authz_viewlock_add((Query *) node);
		authz_inline_mark_policies((Query *) node);
		inline_functions((Query *) node, preparation->depends);
		return query_tree_walker((Query *) node, find_calls, preparation, 0);
	}
	return expression_tree_walker(node, find_calls, preparation);
}

/* A mutator: masked(<column>, ...) becomes what is seen of the column. */
static Node *
replace_masked(Node *node, Preparation *preparation)
{
	Var		   *column;
	RangeTblEntry *rte;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		require_key((Query *) node);
		preparation->queries = lcons(node, preparation->queries);
		query_tree_mutator((Query *) node, replace_masked, preparation, QTW_DONT_COPY_QUERY);
		preparation->queries = list_delete_first(preparation->queries);
		return node;
	}
	column = authz_masked_view_column(node);
	rte = column ? entry_of(preparation, column) : NULL;
	if (rte && rte->rtekind == RTE_RELATION)
		return look_at_column(preparation->depends, rte, column, authz_masking_value,
							  &linitial_node(Query, preparation->queries)->hasSubLinks);
	return expression_tree_mutator(node, replace_masked, preparation);
}

/* A mutator: visible(<row of a table>) becomes what decides on it. */
static Node *
replace_visible(Node *node, Preparation *preparation)
{
	Var		   *row;
	RangeTblEntry *rte;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		preparation->queries = lcons(node, preparation->queries);
		query_tree_mutator((Query *) node, replace_visible, preparation, QTW_DONT_COPY_QUERY);
		preparation->queries = list_delete_first(preparation->queries);
		authz_visibleplan_simplify((Query *) node);
		return node;
	}
	row = authz_visible_row(node);
	rte = row ? entry_of(preparation, row) : NULL;
	if (rte && rte->rtekind == RTE_RELATION)
		return authz_visibleplan_condition(preparation->depends, rte->relid, row,
									   list_nth_node(Query, preparation->queries, row->varlevelsup),
									   &linitial_node(Query, preparation->queries)->hasSubLinks);
	return expression_tree_mutator(node, replace_visible, preparation);
}

/* The table that a column of a query is of; NULL if it is of none. */
static RangeTblEntry *
table_of(Query *query, const Var *column)
{
	RangeTblEntry *rte = rt_fetch(column->varno, query->rtable);

	return column->varlevelsup == 0 && rte->rtekind == RTE_RELATION ? rte : NULL;
}

static Extended *
find_extended(const Preparation *preparation, const Query *query)
{
	ListCell   *lc;

	foreach(lc, preparation->extended)
	{
		if (((Extended *) lfirst(lc))->query == query)
			return lfirst(lc);
	}
	return NULL;
}

/* The column of a sub-query that tells whether one is masked already; InvalidAttrNumber if none does. */
static AttrNumber
find_answer(const Preparation *preparation, const Query *query, AttrNumber position)
{
	Extended   *extended = find_extended(preparation, query);
	ListCell   *asked;
	ListCell   *answer;

	if (extended == NULL)
		return InvalidAttrNumber;
	forboth(asked, extended->asked, answer, extended->answers)
	{
		if (lfirst_int(asked) == position)
			return lfirst_int(answer);
	}
	return InvalidAttrNumber;
}

/* Asked twice it must be the same column: GROUP BY goes by that. */
static AttrNumber
remember_answer(const Preparation *preparation, const Query *query, AttrNumber position, AttrNumber answer)
{
	Extended   *extended = find_extended(preparation, query);

	extended->asked = lappend_int(extended->asked, position);
	extended->answers = lappend_int(extended->answers, answer);
	return answer;
}

/* A column more in a sub-query that has one row for each of its rows, before those that only it sees. */
static AttrNumber
add_column(Preparation *preparation, RangeTblEntry *rte, Node *value, char *name)
{
	Query	   *query = rte->subquery;
	int			ncolumns = list_length(rte->eref->colnames);
	ListCell   *lc;
	int			position = 0;

	if (find_extended(preparation, query) == NULL)
	{
		Extended   *extended = palloc0_object(Extended);

		extended->query = query;
		extended->ncolumns = ncolumns;
		preparation->extended = lappend(preparation->extended, extended);
	}
	query->targetList = list_insert_nth(query->targetList, ncolumns,
										makeTargetEntry((Expr *) value, 0, name, false));
	foreach(lc, query->targetList)
		lfirst_node(TargetEntry, lc)->resno = ++position;
	rte->eref->colnames = lappend(rte->eref->colnames, makeString(name));
	return ncolumns + 1;
}

/*
 * Have a sub-query tell whether one of its columns is masked; the position of
 * the column that does, or InvalidAttrNumber if it is no column of a masked view.
 */
static AttrNumber
add_is_masked(Preparation *preparation, RangeTblEntry *rte, AttrNumber position)
{
	Query	   *query = rte->subquery;
	Expr	   *value;
	Var		   *column;
	AttrNumber	answer = InvalidAttrNumber;

	check_stack_depth();
	if (rte->rtekind != RTE_SUBQUERY || query->setOperations || query->distinctClause ||
		query->groupClause || query->groupingSets || query->hasAggs || query->hasTargetSRFs)
		return InvalidAttrNumber;

	answer = find_answer(preparation, query, position);
	if (answer != InvalidAttrNumber)
		return answer;
	value = get_tle_by_resno(query->targetList, position)->expr;
	column = authz_masked_view_column((Node *) value);
	if (column && table_of(query, column))
		answer = add_column(preparation, rte,
							look_at_column(preparation->depends, table_of(query, column), column,
										   authz_masking_is_masked, &query->hasSubLinks), "is_masked");
	column = (Var *) value;
	if (IsA(column, Var) && column->varlevelsup == 0 && column->varattno > 0)
	{
		AttrNumber	inner = add_is_masked(preparation, rt_fetch(column->varno, query->rtable), column->varattno);

		if (inner != InvalidAttrNumber)
			answer = add_column(preparation, rte,
								(Node *) makeVar(column->varno, inner, BOOLOID, -1, InvalidOid, 0), "is_masked");
	}
	return answer == InvalidAttrNumber ? answer : remember_answer(preparation, query, position, answer);
}

static AttrNumber
find_column(const RangeTblEntry *rte, const char *name)
{
	AttrNumber	position = 0;
	ListCell   *lc;

	foreach(lc, rte->eref->colnames)
	{
		position++;
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return position;
	}
	return InvalidAttrNumber;
}

/* A mutator: is_masked(<row of a sub-query>, <name>) becomes a column of that sub-query. */
static Node *
replace_is_masked(Node *node, Preparation *preparation)
{
	IsMaskedCall call;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		preparation->queries = lcons(node, preparation->queries);
		query_tree_mutator((Query *) node, replace_is_masked, preparation, QTW_DONT_COPY_QUERY);
		preparation->queries = list_delete_first(preparation->queries);
		return node;
	}
	if (read_is_masked(node, &call))
	{
		RangeTblEntry *rte = entry_of(preparation, call.row);
		AttrNumber	position = rte ? find_column(rte, call.column) : InvalidAttrNumber;

		if (position != InvalidAttrNumber)
			position = add_is_masked(preparation, rte, position);
		if (position != InvalidAttrNumber)
			return (Node *) makeVar(call.row->varno, position, BOOLOID, -1, InvalidOid, call.row->varlevelsup);
	}
	return expression_tree_mutator(node, replace_is_masked, preparation);
}

/* The row of a sub-query as it was before it got more columns. */
static Node *
original_row(Extended *extended, const RangeTblEntry *rte, Oid type)
{
	RowExpr    *row = makeNode(RowExpr);

	if (contain_volatile_functions((Node *) extended->query->targetList))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("authz.is_masked cannot be used together with the whole row of a sub-query with volatile functions"),
				 errhint("Name the columns that are needed.")));
	for (int i = 0; i < extended->ncolumns; i++)
		row->args = lappend(row->args, copyObject(list_nth_node(TargetEntry, extended->query->targetList, i)->expr));
	row->row_typeid = type;
	row->row_format = COERCE_IMPLICIT_CAST;
	row->colnames = list_copy_head(rte->eref->colnames, extended->ncolumns);
	row->location = -1;
	return (Node *) row;
}

/* A mutator: the whole row of a sub-query with more columns becomes a column too. */
static Node *
replace_whole_rows(Node *node, Preparation *preparation)
{
	Var		   *var = (Var *) node;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		preparation->queries = lcons(node, preparation->queries);
		query_tree_mutator((Query *) node, replace_whole_rows, preparation, QTW_DONT_COPY_QUERY);
		preparation->queries = list_delete_first(preparation->queries);
		return node;
	}
	if (IsA(node, Var) && var->varattno == InvalidAttrNumber)
	{
		RangeTblEntry *rte = entry_of(preparation, var);
		Extended   *extended = rte && rte->rtekind == RTE_SUBQUERY ? find_extended(preparation, rte->subquery) : NULL;

		if (extended == NULL)
			return copyObject(node);
		if (extended->row == InvalidAttrNumber)
			extended->row = add_column(preparation, rte, original_row(extended, rte, var->vartype), "row");
		return (Node *) makeVar(var->varno, extended->row, var->vartype, -1, InvalidOid, var->varlevelsup);
	}
	return expression_tree_mutator(node, replace_whole_rows, preparation);
}

/*
 * AuthzPrepare: have the queries in a tree, or a query, ready for planning.
 * Masks and conditions that read masked views come back here.
 */
static void
prepare(Node *node, PlannerGlobal *depends)
{
	static int	depth = 0;
	Preparation preparation = {depends};

	depth++;
	PG_TRY();
	{
		authz_inline_check_depth(depth, InvalidOid);
		find_calls(node, &preparation);
		if (preparation.has_is_masked)
			replace_is_masked(node, &preparation);
		if (preparation.extended)
			replace_whole_rows(node, &preparation);
		if (preparation.has_masked)
			replace_masked(node, &preparation);
		if (preparation.has_visible)
			replace_visible(node, &preparation);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}

static PlannedStmt *
masked_planner(Query *query, const char *source, int options, ParamListInfo params)
{
	PlannerGlobal *depends = makeNode(PlannerGlobal);
	PlannedStmt *plan;

	depends->boundParams = params;
	/* From here on: to inline a function is to simplify its arguments. */
	authz_inline_hook_depth++;
	PG_TRY();
	{
		prepare((Node *) query, depends);
		if (prev_planner)
			plan = prev_planner(query, source, options, params);
		else
			plan = standard_planner(query, source, options, params);
	}
	PG_FINALLY();
	{
		authz_inline_hook_depth--;
	}
	PG_END_TRY();

	plan->invalItems = list_concat(plan->invalItems, depends->invalItems);
	plan->relationOids = list_concat_unique_oid(plan->relationOids, depends->relationOids);
	plan->dependsOnRole |= depends->dependsOnRole;
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
	RangeTblEntry *rte;
	Node	   *value;

	if (!IsA(request, SupportRequestSimplify) || request->root == NULL ||
		(column = authz_masked_view_column((Node *) request->fcall)) == NULL)
		PG_RETURN_POINTER(NULL);
	root = request->root;
	/* The hook has replaced what there was; one that comes later may be of another query than this. */
	if (authz_inline_hook_depth > 0)
		PG_RETURN_POINTER(NULL);
	if (column->varlevelsup > 0 || !authz_inline_is_known(root, column) || authz_viewlock_is_lost(root->parse))
	{
		authz_guard_mark_stale(root->glob, authz_identity_get()->signature);
		PG_RETURN_POINTER(NULL);
	}
	rte = rt_fetch(column->varno, root->parse->rtable);
	if (rte->rtekind != RTE_RELATION)
		PG_RETURN_POINTER(NULL);
	value = look_at_column(root->glob, rte, column, authz_masking_value, &root->parse->hasSubLinks);
	PG_RETURN_POINTER(authz_inline_finish(root, value));
}

PG_FUNCTION_INFO_V1(authz_is_masked_support);

/* is_masked_support(internal) -> internal: a plan that the hook has not seen is not to be used */
Datum
authz_is_masked_support(PG_FUNCTION_ARGS)
{
	SupportRequestSimplify *request = (SupportRequestSimplify *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSimplify) && request->root && authz_inline_hook_depth == 0)
		authz_guard_mark_stale(request->root->glob, authz_identity_get()->signature);
	PG_RETURN_POINTER(NULL);
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
	authz_inline_prepare = prepare;
	prev_planner = planner_hook;
	planner_hook = masked_planner;
}
