/*-------------------------------------------------------------------------
 * nullable.c
 *	  Can a condition be NULL for a row, and why?
 *
 * A forbid whose condition is NULL forbids: whoever writes
 * "deleted_at < now()" hides all rows that are not deleted.  So who stores one
 * is told.  This decides on a message, and on nothing else.
 *
 * An expression is NULL if something strict in it gets a NULL from a column, an
 * accessor or a sub-select.  Within AND and OR, what the other arguments
 * exclude is known: "x IS NOT NULL AND x < 5" is false where x is NULL.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "nullable.h"

/* What makes a condition NULL; zero is nothing. */
typedef enum AuthzNullReason
{
	AUTHZ_NULL_NEVER = 0,
	AUTHZ_NULL_COLUMN,			/* a column without NOT NULL */
	AUTHZ_NULL_IDENTITY,		/* what an identity may lack, such as an attribute */
	AUTHZ_NULL_EXPRESSION		/* something else that may have no value */
} AuthzNullReason;

typedef struct Analysis
{
	Oid			relid;
	bool		ignores_columns;	/* as if all were NOT NULL */
	AttrNumber	column;			/* that was found */
} Analysis;

static AuthzNullReason reason_of(Node *node, Bitmapset *known, Analysis *analysis);

static bool
is_not_null_column(Oid relid, AttrNumber column)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(column));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
	ReleaseSysCache(tuple);
	return result;
}

/* Columns that are not NULL where a strict expression has a value. */
static Bitmapset *
strict_columns(Node *node)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return ((Var *) node)->varlevelsup == 0 && ((Var *) node)->varattno > 0 ?
			bms_make_singleton(((Var *) node)->varattno) : NULL;
	if (IsA(node, RelabelType))
		return strict_columns((Node *) ((RelabelType *) node)->arg);
	if (IsA(node, CoerceViaIO))
		return strict_columns((Node *) ((CoerceViaIO *) node)->arg);
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == NOT_EXPR)
		return strict_columns(linitial(((BoolExpr *) node)->args));
	if ((IsA(node, OpExpr) && op_strict(((OpExpr *) node)->opno)) ||
		(IsA(node, FuncExpr) && func_strict(((FuncExpr *) node)->funcid)))
	{
		foreach(lc, IsA(node, OpExpr) ? ((OpExpr *) node)->args : ((FuncExpr *) node)->args)
			columns = bms_add_members(columns, strict_columns(lfirst(lc)));
	}
	return columns;
}

/* Columns that are not NULL in rows for which the expression is not the given value, false or true. */
static Bitmapset *
known_unless(Node *node, bool value)
{
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	if (IsA(node, NullTest) && !((NullTest *) node)->argisrow &&
		((NullTest *) node)->nulltesttype == (value ? IS_NULL : IS_NOT_NULL))
		return strict_columns((Node *) ((NullTest *) node)->arg);
	if (IsA(node, BooleanTest))
	{
		BoolTestType test = ((BooleanTest *) node)->booltesttype;

		/* What is TRUE, or FALSE, has a value. */
		if (value ? test == IS_NOT_TRUE || test == IS_NOT_FALSE || test == IS_UNKNOWN :
			test == IS_TRUE || test == IS_FALSE || test == IS_NOT_UNKNOWN)
			return strict_columns((Node *) ((BooleanTest *) node)->arg);
	}
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == NOT_EXPR)
		return known_unless(linitial(((BoolExpr *) node)->args), !value);
	if (IsA(node, BoolExpr) && ((BoolExpr *) node)->boolop == (value ? OR_EXPR : AND_EXPR))
	{
		foreach(lc, ((BoolExpr *) node)->args)
			columns = bms_add_members(columns, known_unless(lfirst(lc), value));
	}
	return columns;
}

/* AND is NULL only where none of its arguments is false, OR where none is true. */
static AuthzNullReason
reason_of_bool(BoolExpr *bool_expr, Bitmapset *known, Analysis *analysis)
{
	ListCell   *lc;

	if (bool_expr->boolop != NOT_EXPR)
	{
		known = bms_copy(known);
		foreach(lc, bool_expr->args)
			known = bms_add_members(known, known_unless(lfirst(lc), bool_expr->boolop == OR_EXPR));
	}
	foreach(lc, bool_expr->args)
	{
		AuthzNullReason reason = reason_of(lfirst(lc), known, analysis);

		if (reason != AUTHZ_NULL_NEVER)
			return reason;
	}
	return AUTHZ_NULL_NEVER;
}

static AuthzNullReason
reason_of_any(List *args, Bitmapset *known, Analysis *analysis)
{
	ListCell   *lc;

	foreach(lc, args)
	{
		AuthzNullReason reason = reason_of(lfirst(lc), known, analysis);

		if (reason != AUTHZ_NULL_NEVER)
			return reason;
	}
	return AUTHZ_NULL_NEVER;
}

/* COALESCE and the like: NULL only if every argument is. */
static AuthzNullReason
reason_of_all(List *args, Bitmapset *known, Analysis *analysis)
{
	AuthzNullReason reason = AUTHZ_NULL_NEVER;
	ListCell   *lc;

	foreach(lc, args)
	{
		reason = reason_of(lfirst(lc), known, analysis);
		if (reason == AUTHZ_NULL_NEVER)
			break;
	}
	return reason;
}

/* Functions of PostgreSQL's own that may return NULL for arguments that are not. */
static bool
may_return_null(Oid function)
{
	static const char *const names[] = {
		"array_length", "array_lower", "array_ndims", "array_position", "array_positions", "array_upper",
		"json_array_element", "json_array_element_text", "json_extract_path", "json_extract_path_text",
		"json_object_field", "json_object_field_text", "jsonb_array_element", "jsonb_array_element_text",
		"jsonb_extract_path", "jsonb_extract_path_text", "jsonb_object_field", "jsonb_object_field_text",
		"lower", "upper", "max", "min", "regexp_match", "regexp_substr", "substring", "to_regclass", "current_setting"
	};
	char	   *name = get_func_name(function);

	for (int i = 0; name && i < lengthof(names); i++)
	{
		/* lower and upper of a range, not of a text */
		if (strcmp(names[i], name) == 0 && get_func_rettype(function) == TEXTOID &&
			(strcmp(name, "lower") == 0 || strcmp(name, "upper") == 0))
			return false;
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return name == NULL;
}

/* A call: of an operator as well. */
static AuthzNullReason
reason_of_call(Oid function, List *args, Bitmapset *known, Analysis *analysis)
{
	if (get_func_namespace(function) == authz_catalog_schema())
		return get_func_rettype(function) == BOOLOID && !authz_catalog_is_function(function, "attr_boolean") ?
			AUTHZ_NULL_NEVER : AUTHZ_NULL_IDENTITY;
	if (function >= FirstNormalObjectId)
		return AUTHZ_NULL_EXPRESSION;
	if (may_return_null(function))
		return AUTHZ_NULL_EXPRESSION;
	return func_strict(function) ? reason_of_any(args, known, analysis) : AUTHZ_NULL_NEVER;
}

static AuthzNullReason
reason_of_array(ScalarArrayOpExpr *compare, Bitmapset *known, Analysis *analysis)
{
	Node	   *array = lsecond(compare->args);
	AuthzNullReason reason = reason_of(linitial(compare->args), known, analysis);

	if (reason != AUTHZ_NULL_NEVER)
		return reason;
	if (IsA(array, Const) && !((Const *) array)->constisnull)
		return array_contains_nulls(DatumGetArrayTypeP(((Const *) array)->constvalue)) ?
			AUTHZ_NULL_EXPRESSION : AUTHZ_NULL_NEVER;
	if (IsA(array, ArrayExpr))
		return reason_of_any(((ArrayExpr *) array)->elements, known, analysis);
	reason = reason_of(array, known, analysis);
	return reason != AUTHZ_NULL_NEVER ? reason : AUTHZ_NULL_EXPRESSION;	/* an element may be */
}

static AuthzNullReason
reason_of_case(CaseExpr *case_expr, Bitmapset *known, Analysis *analysis)
{
	ListCell   *lc;

	foreach(lc, case_expr->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, lc);
		Bitmapset  *then_known = bms_union(known, known_unless((Node *) when->expr, false));
		AuthzNullReason reason = reason_of((Node *) when->result, then_known, analysis);

		if (reason != AUTHZ_NULL_NEVER)
			return reason;
	}
	return case_expr->defresult ? reason_of((Node *) case_expr->defresult, known, analysis) : AUTHZ_NULL_EXPRESSION;
}

/* Does every row of a sub-select of one table have a value in its one column? */
static bool
selects_not_null(Query *query)
{
	TargetEntry *target = linitial_node(TargetEntry, query->targetList);
	RangeTblEntry *rte;

	if (query->setOperations || query->groupingSets || list_length(query->rtable) != 1 || !IsA(target->expr, Var) ||
		((Var *) target->expr)->varlevelsup != 0)
		return false;
	rte = linitial_node(RangeTblEntry, query->rtable);
	return rte->rtekind == RTE_RELATION && is_not_null_column(rte->relid, ((Var *) target->expr)->varattno);
}

static AuthzNullReason
reason_of_sublink(SubLink *sublink, Bitmapset *known, Analysis *analysis)
{
	if (sublink->subLinkType == EXISTS_SUBLINK || sublink->subLinkType == ARRAY_SUBLINK)
		return AUTHZ_NULL_NEVER;
	if (sublink->subLinkType == ANY_SUBLINK && IsA(sublink->testexpr, OpExpr) &&
		selects_not_null(castNode(Query, sublink->subselect)))
		return reason_of(linitial(((OpExpr *) sublink->testexpr)->args), known, analysis);
	return AUTHZ_NULL_EXPRESSION;
}

static AuthzNullReason
reason_of_column(Var *var, Bitmapset *known, Analysis *analysis)
{
	if (analysis->ignores_columns || var->varattno < 0 || bms_is_member(var->varattno, known) || is_not_null_column(analysis->relid, var->varattno))
		return AUTHZ_NULL_NEVER;
	analysis->column = var->varattno;
	return AUTHZ_NULL_COLUMN;
}

/* `known`: columns that are not NULL where it matters. */
static AuthzNullReason
reason_of(Node *node, Bitmapset *known, Analysis *analysis)
{
	check_stack_depth();
	if (IsA(node, Const))
		return ((Const *) node)->constisnull ? AUTHZ_NULL_EXPRESSION : AUTHZ_NULL_NEVER;
	if (IsA(node, Var))
		return reason_of_column((Var *) node, known, analysis);
	if (IsA(node, BoolExpr))
		return reason_of_bool((BoolExpr *) node, known, analysis);
	if (IsA(node, NullTest) || IsA(node, BooleanTest) || IsA(node, DistinctExpr) || IsA(node, ArrayExpr) ||
		IsA(node, RowExpr) || IsA(node, SQLValueFunction))
		return AUTHZ_NULL_NEVER;
	if (IsA(node, OpExpr) && ((OpExpr *) node)->opresulttype == BOOLOID && op_strict(((OpExpr *) node)->opno))
		return reason_of_any(((OpExpr *) node)->args, known, analysis);
	if (IsA(node, OpExpr))
		return reason_of_call(get_opcode(((OpExpr *) node)->opno), ((OpExpr *) node)->args, known, analysis);
	if (IsA(node, FuncExpr))
		return reason_of_call(((FuncExpr *) node)->funcid, ((FuncExpr *) node)->args, known, analysis);
	if (IsA(node, ScalarArrayOpExpr))
		return reason_of_array((ScalarArrayOpExpr *) node, known, analysis);
	if (IsA(node, RowCompareExpr))
		return reason_of_any(list_concat_copy(((RowCompareExpr *) node)->largs, ((RowCompareExpr *) node)->rargs), known, analysis);
	if (IsA(node, CoalesceExpr))
		return reason_of_all(((CoalesceExpr *) node)->args, known, analysis);
	if (IsA(node, MinMaxExpr))
		return reason_of_all(((MinMaxExpr *) node)->args, known, analysis);
	if (IsA(node, CaseExpr))
		return reason_of_case((CaseExpr *) node, known, analysis);
	if (IsA(node, SubLink))
		return reason_of_sublink((SubLink *) node, known, analysis);
	if (IsA(node, RelabelType))
		return reason_of((Node *) ((RelabelType *) node)->arg, known, analysis);
	if (IsA(node, CoerceViaIO))
		return reason_of((Node *) ((CoerceViaIO *) node)->arg, known, analysis);
	if (IsA(node, ArrayCoerceExpr))
		return reason_of((Node *) ((ArrayCoerceExpr *) node)->arg, known, analysis);
	if (IsA(node, CollateExpr))
		return reason_of((Node *) ((CollateExpr *) node)->arg, known, analysis);
	if (IsA(node, NamedArgExpr))
		return reason_of((Node *) ((NamedArgExpr *) node)->arg, known, analysis);
	return AUTHZ_NULL_EXPRESSION;
}

void
authz_nullable_report(const char *policy, Node *condition, Oid relid)
{
	Analysis	analysis = {relid};
	AuthzNullReason reason = reason_of(condition, NULL, &analysis);
	Analysis	identity = {relid, .ignores_columns = true};
	bool		needs_identity = reason_of(condition, NULL, &identity) == AUTHZ_NULL_IDENTITY;

	switch (reason)
	{
		case AUTHZ_NULL_NEVER:
			break;
		case AUTHZ_NULL_COLUMN:
			ereport(NOTICE,
					(errmsg("policy \"%s\" also forbids where its condition is NULL", policy),
					 needs_identity ?
					 errdetail("Column \"%s\" can be NULL, and what it asks of the identity, such as an attribute, can be missing.",
							   get_attname(relid, analysis.column, false)) :
					 errdetail("Column \"%s\" can be NULL.", get_attname(relid, analysis.column, false)),
					 needs_identity ?
					 errhint("If that is not meant, write \"coalesce(..., false)\".") :
					 errhint("If that is not meant, write \"%s IS NOT NULL AND ...\" or \"coalesce(..., false)\".",
							 quote_identifier(get_attname(relid, analysis.column, false)))));
			break;
		case AUTHZ_NULL_IDENTITY:
			ereport(NOTICE,
					(errmsg("policy \"%s\" also forbids where its condition is NULL", policy),
					 errdetail("What it asks of the identity, such as an attribute, can be missing."),
					 errhint("If that is not meant, write \"coalesce(..., false)\".")));
			break;
		case AUTHZ_NULL_EXPRESSION:
			ereport(NOTICE,
					(errmsg("policy \"%s\" also forbids where its condition is NULL", policy),
					 errdetail("A part of it can be NULL."),
					 errhint("If that is not meant, write \"coalesce(..., false)\".")));
			break;
	}
}
