/*-------------------------------------------------------------------------
 * visible.c
 *	  authz.visible: in a sub-select of a condition, whether the current
 *	  identity may select a row.
 *
 * A condition's sub-selects read with the rights of the table's owner, hence
 * unfiltered.  visible(p) puts in place of itself what row security would have
 * added for a row of p: the conditions of p's policies for select.  It is done
 * by the walk over a query that masked.c makes before it is planned, which also
 * sees the sub-selects that the planner support functions put in.
 *
 * NULL is no permission, but NOT NULL would be none either: so the result is
 * never NULL.  Nor is a row visible that an outer join made up.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "inline.h"
#include "visible.h"

/* Tables whose conditions are being put in, one inside the other. */
static List *expanding = NIL;

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

/*
 * When a condition is stored
 */

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

static Oid
get_rel_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
authz_visible_report(Node *condition, Oid logical)
{
	ConditionWalk walk = {NIL};
	Oid			owner = get_rel_owner(logical);
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

/*
 * When a query is planned
 */

/* Does the query have an outer join, of which a row may be all NULL? */
static bool
has_outer_join(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, JoinExpr) && ((JoinExpr *) node)->jointype != JOIN_INNER)
		return true;
	if (!IsA(node, JoinExpr) && !IsA(node, FromExpr) && !IsA(node, List))
		return false;
	return expression_tree_walker(node, has_outer_join, context);
}

/* <condition> IS TRUE; and the row is there, if the query may have made it up. */
static Node *
make_definite(Node *condition, const Var *row, Query *query)
{
	BooleanTest *test = makeNode(BooleanTest);

	if (has_outer_join((Node *) query->jointree, NULL))
	{
		NullTest   *exists = makeNode(NullTest);

		exists->arg = (Expr *) makeVar(row->varno, TableOidAttributeNumber, OIDOID, -1, InvalidOid, row->varlevelsup);
		exists->nulltesttype = IS_NOT_NULL;
		exists->location = -1;
		condition = (Node *) makeBoolExpr(AND_EXPR, list_make2(exists, condition), -1);
	}
	test->arg = (Expr *) condition;
	test->booltesttype = IS_TRUE;
	test->location = -1;
	return (Node *) test;
}

Node *
authz_visible_condition(PlannerGlobal *glob, Oid relid, const Var *row, Query *query, bool *has_sublinks)
{
	List	   *outer = expanding;
	Node	   *condition;

	if (list_member_oid(outer, relid))
		authz_inline_refuse_circle(relid);
	expanding = lappend_oid(list_copy(outer), relid);
	PG_TRY();
	{
		condition = authz_inline_condition(glob, relid, AUTHZ_ACTION_SELECT, NULL, row, has_sublinks);
	}
	PG_FINALLY();
	{
		expanding = outer;
	}
	PG_END_TRY();
	return make_definite(condition, row, query);
}

static Node *
simplify_qual(Node *qual)
{
	if (qual == NULL)
		return NULL;
	if (IsA(qual, BooleanTest) && ((BooleanTest *) qual)->booltesttype == IS_TRUE)
		return simplify_qual((Node *) ((BooleanTest *) qual)->arg);
	if (IsA(qual, BoolExpr) && ((BoolExpr *) qual)->boolop == AND_EXPR)
	{
		ListCell   *lc;

		foreach(lc, ((BoolExpr *) qual)->args)
			lfirst(lc) = simplify_qual(lfirst(lc));
	}
	return qual;
}

static void
simplify_join(Node *join)
{
	ListCell   *lc;

	if (IsA(join, FromExpr))
	{
		foreach(lc, ((FromExpr *) join)->fromlist)
			simplify_join(lfirst(lc));
		((FromExpr *) join)->quals = simplify_qual(((FromExpr *) join)->quals);
	}
	else if (IsA(join, JoinExpr))
	{
		simplify_join(((JoinExpr *) join)->larg);
		simplify_join(((JoinExpr *) join)->rarg);
		((JoinExpr *) join)->quals = simplify_qual(((JoinExpr *) join)->quals);
	}
}

void
authz_visible_simplify(Query *query)
{
	if (query->jointree)
		simplify_join((Node *) query->jointree);
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
