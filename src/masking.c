/*-------------------------------------------------------------------------
 * masking.c
 *	  What an identity sees of a column: an expression over the row.
 *
 * The masks that may apply become the branches of a CASE in their order; a
 * condition that is just true ends it.  A column that has masks and none that
 * applies is NULL.  So is one that the table computes from columns with masks,
 * unless it may see all of these.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "masking.h"
#include "pseudonym.h"
#include "settings.h"

/* One branch: what is shown where the condition is true. */
typedef Node *(*ShowMask) (const AuthzMaskRule *rule, const Var *column);

static Var *
row_column(const Var *column)
{
	return makeVar(1, column->varattno, column->vartype, column->vartypmod, column->varcollid, 0);
}

/* A column of a domain is read as of the domain's base type. */
static bool
is_column(const Node *value, AttrNumber column)
{
	while (IsA(value, RelabelType))
		value = (const Node *) ((const RelabelType *) value)->arg;
	return IsA(value, Var) && ((const Var *) value)->varattno == column;
}

/* The mask's value is of the base type of a domain, and may have another collation. */
static Node *
show_value(const AuthzMaskRule *rule, const Var *column)
{
	Node	   *value = rule->value;

	if (is_column(value, column->varattno))
		return (Node *) row_column(column);
	(void) authz_pseudonym_replace(value, NULL);
	if (exprType(value) == column->vartype && exprCollation(value) == column->varcollid)
		return value;
	return applyRelabelType(value, column->vartype, -1, column->varcollid, COERCE_IMPLICIT_CAST, -1, false);
}

static Node *
show_is_masked(const AuthzMaskRule *rule, const Var *column)
{
	return makeBoolConst(!is_column(rule->value, column->varattno), false);
}

static bool
is_true(const Node *condition)
{
	return IsA(condition, Const) && !((const Const *) condition)->constisnull &&
		DatumGetBool(((const Const *) condition)->constvalue);
}

/* CASE WHEN <condition> THEN <what the mask shows> ... ELSE <otherwise>, or less where less will do. */
static Node *
choose(List *rules, const Var *column, ShowMask show, Node *otherwise)
{
	CaseExpr   *choice = makeNode(CaseExpr);
	ListCell   *lc;

	foreach(lc, rules)
	{
		AuthzMaskRule *rule = lfirst(lc);
		CaseWhen   *branch;

		if (is_true(rule->condition))
		{
			otherwise = show(rule, column);
			break;
		}
		branch = makeNode(CaseWhen);
		branch->expr = (Expr *) rule->condition;
		branch->result = (Expr *) show(rule, column);
		branch->location = -1;
		choice->args = lappend(choice->args, branch);
	}
	foreach(lc, choice->args)
	{
		if (!equal(lfirst_node(CaseWhen, lc)->result, otherwise))
			break;
	}
	if (lc == NULL)
		return otherwise;		/* in any case, or there is none */
	choice->casetype = exprType(otherwise);
	choice->casecollid = exprCollation(otherwise);
	choice->defresult = (Expr *) otherwise;
	choice->location = -1;
	return (Node *) choice;
}

Bitmapset *
authz_masking_sources(Oid relid, AttrNumber column)
{
	Relation	relation = table_open(relid, AccessShareLock);
	Bitmapset  *sources = NULL;

	if (TupleDescAttr(RelationGetDescr(relation), column - 1)->attgenerated)
		pull_varattnos(build_column_default(relation, column), 1, &sources);
	table_close(relation, AccessShareLock);
	return sources;
}

/* Is one of the columns masked that a generated one is computed from? */
static Node *
any_source_is_masked(AuthzPolicySet *set, Oid relid, Bitmapset *sources, const AuthzIdentity *identity)
{
	List	   *terms = NIL;
	int			i = -1;
	Node	   *term;

	while ((i = bms_next_member(sources, i)) >= 0)
	{
		AttrNumber	source = i + FirstLowInvalidHeapAttributeNumber;
		Oid			type;
		int32		typmod;
		Oid			collation;

		if (source <= 0 || !authz_policyset_is_masked(set, source))
			continue;
		get_atttypetypmodcoll(relid, source, &type, &typmod, &collation);
		term = authz_masking_is_masked(set, makeVar(1, source, type, typmod, collation, 0), identity);
		if (is_true(term))
			return term;
		if (!IsA(term, Const))
			terms = lappend(terms, term);
	}
	if (terms == NIL)
		return makeBoolConst(false, false);
	return list_length(terms) == 1 ? linitial(terms) : (Node *) makeBoolExpr(OR_EXPR, terms, -1);
}

static void
require_protection(const AuthzPolicySet *set)
{
	if (!authz_policyset_is_protected(set))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not protected", get_rel_name(authz_policyset_relation(set))),
				 errhint("Call authz.protect for it first.")));
}

Node *
authz_masking_is_masked(AuthzPolicySet *set, const Var *column, const AuthzIdentity *identity)
{
	Oid			relid = authz_policyset_relation(set);
	Bitmapset  *sources;

	require_protection(set);
	if (authz_policyset_is_masked(set, column->varattno))
		return choose(authz_policyset_masks(set, column->varattno, identity), column, show_is_masked,
					  makeBoolConst(true, false));
	sources = authz_masking_sources(relid, column->varattno);
	return any_source_is_masked(set, relid, sources, identity);
}

Node *
authz_masking_value(AuthzPolicySet *set, const Var *column, const AuthzIdentity *identity)
{
	Node	   *nothing = (Node *) makeNullConst(column->vartype, -1, column->varcollid);
	AuthzMaskRule computed;
	Node	   *masked;

	require_protection(set);
	if (authz_policyset_is_masked(set, column->varattno))
		return choose(authz_policyset_masks(set, column->varattno, identity), column, show_value, nothing);

	masked = authz_masking_is_masked(set, column, identity);
	if (IsA(masked, Const))
		return is_true(masked) ? nothing : (Node *) row_column(column);
	computed.condition = (Node *) makeBoolExpr(NOT_EXPR, list_make1(masked), -1);
	computed.value = (Node *) row_column(column);
	return choose(list_make1(&computed), column, show_value, nothing);
}

/* Functions that give the same for the same row, whoever calls and when. */
static bool
is_unsteady_function(Oid function, void *context)
{
	return func_volatile(function) != PROVOLATILE_IMMUTABLE && !authz_pseudonym_replaces(function);
}

static bool
depends_on_session(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_unsteady_function, NULL) ||
		IsA(node, SQLValueFunction) || IsA(node, NextValueExpr) || IsA(node, SubLink))
		return true;
	return expression_tree_walker(node, depends_on_session, context);
}

/* What follows a mask that holds for everybody is nobody's to see. */
Node *
authz_masking_public(AuthzPolicySet *set, const Var *column)
{
	ListCell   *lc;

	foreach(lc, authz_policyset_masks(set, column->varattno, NULL))
	{
		AuthzMaskRule *rule = lfirst(lc);

		if (!is_true(rule->condition))
			continue;
		if (is_column(rule->value, column->varattno) || depends_on_session(rule->value, NULL) ||
			authz_settings_find(rule->value).reads)
			return NULL;
		return show_value(rule, column);
	}
	return NULL;
}

/* For the current identity. */
static Node *
value_of_column(Oid relid, AttrNumber column)
{
	AuthzPolicySet *set = authz_policyset_get(relid);
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, column, &type, &typmod, &collation);
	return authz_masking_value(set, makeVar(1, column, type, typmod, collation, 0), authz_identity_get());
}

bool
authz_masking_is_clear(Oid relid, AttrNumber column)
{
	return is_column(value_of_column(relid, column), column);
}

bool
authz_masking_reads_others(Oid relid, AttrNumber column)
{
	return checkExprHasSubLink(value_of_column(relid, column));
}

bool
authz_masking_is_computed(Oid relid, AttrNumber column)
{
	AuthzPolicySet *set = authz_policyset_get(relid);
	Bitmapset  *sources = authz_masking_sources(relid, column);
	int			i = -1;

	while ((i = bms_next_member(sources, i)) >= 0)
	{
		if (authz_policyset_is_masked(set, i + FirstLowInvalidHeapAttributeNumber))
			return true;
	}
	return false;
}
