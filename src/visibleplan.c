/*-------------------------------------------------------------------------
 * visibleplan.c
 *	  What takes the place of authz.visible in a query: the conditions of the
 *	  row's own policies for select.
 *
 * It is done by the walk over a query that masked.c makes before it is planned,
 * which also sees the sub-selects that the planner support functions put in.
 *
 * NULL is no permission, but NOT NULL would be none either: so the result is
 * never NULL.  Nor is a row visible that an outer join made up.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "inline.h"
#include "visibleplan.h"

/* Tables whose conditions are being put in, one inside the other. */
static List *expanding = NIL;

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
authz_visibleplan_condition(PlannerGlobal *glob, Oid relid, const Var *row, Query *query, bool *has_sublinks)
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
authz_visibleplan_simplify(Query *query)
{
	if (query->jointree)
		simplify_join((Node *) query->jointree);
}
