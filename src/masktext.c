/*-------------------------------------------------------------------------
 * masktext.c
 *	  The text of a mask: a short name such as partial(2, 2), or an SQL
 *	  expression over the row.
 *
 * A short name becomes the call of a mask function before the text is analysed.
 * It wins over a column or function of that name.  The canonical text of an
 * expression is hardly ever one: there columns are qualified, functions outside
 * pg_catalog too, and pg_catalog has none of these names that takes constants
 * only, but round and date.  Where it would be one, the mask is refused.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "condition.h"
#include "masktext.h"

#define PAD "***"				/* between what partial(n, n) shows */

/* Which columns a short name is for. */
typedef enum ColumnTypes
{
	TYPES_ANY,
	TYPES_STRING,
	TYPES_TIME,
	TYPES_NUMBER,
	TYPES_JSONB,
	TYPES_UUID
} ColumnTypes;

static const struct
{
	Oid			oids[7];
	const char *names;
}			column_types[] = {
	[TYPES_STRING] = {{0}, "text, varchar, char and other string types"},
	[TYPES_TIME] = {{DATEOID, TIMESTAMPOID, TIMESTAMPTZOID}, "date, timestamp and timestamptz"},
	[TYPES_NUMBER] = {{INT2OID, INT4OID, INT8OID, NUMERICOID, FLOAT4OID, FLOAT8OID},
	"smallint, integer, bigint, numeric, real and double precision"},
	[TYPES_JSONB] = {{JSONBOID}, "jsonb"},
	[TYPES_UUID] = {{UUIDOID}, "uuid"},
};

typedef struct ShortName
{
	const char *name;
	const char *usage;
	int			min_args;
	int			max_args;
	ColumnTypes types;
	const char *function;		/* in schema authz; NULL: none is called */
} ShortName;

static const ShortName short_names[] = {
	{"clear", "clear", 0, 0, TYPES_ANY, NULL},
	{"null", "null", 0, 0, TYPES_ANY, NULL},
	{"constant", "constant('hidden')", 1, 1, TYPES_ANY, NULL},
	{"email", "email", 0, 0, TYPES_STRING, "mask_email"},
	{"hash", "hash or hash(16)", 0, 1, TYPES_STRING, "mask_hash"},
	{"uuid", "uuid", 0, 0, TYPES_UUID, "mask_uuid"},
	{"partial", "partial(2, 2)", 2, 2, TYPES_STRING, "mask_partial"},
	{"date", "date('month')", 1, 1, TYPES_TIME, "mask_date"},
	{"round", "round(1000)", 1, 1, TYPES_NUMBER, "mask_round"},
	{"json", "json('path.to', 'another')", 1, FUNC_MAX_ARGS, TYPES_JSONB, "mask_json"},
};

/* What the expansion of one text goes by. */
typedef struct Expansion
{
	Relation	relation;
	Form_pg_attribute column;
	Oid			type;			/* the column's, below its domain */
} Expansion;

static bool
is_constant(Node *node)
{
	if (IsA(node, A_Expr) && ((A_Expr *) node)->kind == AEXPR_OP && ((A_Expr *) node)->lexpr == NULL &&
		list_length(((A_Expr *) node)->name) == 1 && strcmp(strVal(linitial(((A_Expr *) node)->name)), "-") == 0)
		node = ((A_Expr *) node)->rexpr;	/* -5 */
	return IsA(node, A_Const) && !((A_Const *) node)->isnull;
}

/* The short name that a raw tree is, and its arguments; NULL if it is an expression. */
static const ShortName *
find_short_name(Node *raw, List **args)
{
	const char *name = NULL;
	bool		constants = true;
	ListCell   *lc;

	*args = NIL;
	if (IsA(raw, A_Const) && ((A_Const *) raw)->isnull)
		name = "null";
	else if (IsA(raw, ColumnRef) && list_length(((ColumnRef *) raw)->fields) == 1 &&
			 IsA(linitial(((ColumnRef *) raw)->fields), String))
		name = strVal(linitial(((ColumnRef *) raw)->fields));
	else if (IsA(raw, FuncCall) && list_length(((FuncCall *) raw)->funcname) == 1 &&
			 !((FuncCall *) raw)->agg_star && !((FuncCall *) raw)->over && !((FuncCall *) raw)->agg_filter &&
			 !((FuncCall *) raw)->agg_order && !((FuncCall *) raw)->agg_distinct && !((FuncCall *) raw)->func_variadic)
	{
		name = strVal(linitial(((FuncCall *) raw)->funcname));
		*args = ((FuncCall *) raw)->args;
	}
	foreach(lc, *args)
		constants &= is_constant(lfirst(lc));

	for (int i = 0; name && i < lengthof(short_names); i++)
	{
		if (strcmp(name, short_names[i].name) == 0 &&
			(constants || strcmp(name, "constant") == 0))
			return &short_names[i];
	}
	return NULL;
}

static bool
is_for_type(const ShortName *mask, Oid type)
{
	char		category;
	bool		preferred;

	if (mask->types == TYPES_ANY)
		return true;
	if (mask->types == TYPES_STRING)
	{
		get_type_category_preferred(type, &category, &preferred);
		return category == TYPCATEGORY_STRING;
	}
	for (int i = 0; i < lengthof(column_types[0].oids); i++)
	{
		if (OidIsValid(type) && column_types[mask->types].oids[i] == type)
			return true;
	}
	return false;
}

static void
check_use(const ShortName *mask, List *args, const Expansion *expansion)
{
	if (list_length(args) < mask->min_args || list_length(args) > mask->max_args)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("wrong number of arguments for mask \"%s\"", mask->name),
				 errhint("It is used as in %s.", mask->usage)));
	if (!is_for_type(mask, expansion->type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("mask \"%s\" cannot be used for column \"%s\" of type %s",
						mask->name, NameStr(expansion->column->attname),
						format_type_be(expansion->column->atttypid)),
				 errdetail("It is for columns of type %s.", column_types[mask->types].names)));
}

static Node *
cast_to(Node *arg, Oid type)
{
	TypeCast   *cast = makeNode(TypeCast);

	cast->arg = arg;
	cast->typeName = makeTypeNameFromOid(type, -1);
	cast->location = -1;
	return (Node *) cast;
}

/* The arguments of the function behind the column's value. */
static List *
function_args(const ShortName *mask, List *args, const Expansion *expansion)
{
	A_ArrayExpr *array;

	if (strcmp(mask->name, "partial") == 0)
	{
		A_Const    *pad = makeNode(A_Const);

		pad->val.sval = *makeString(PAD);
		pad->location = -1;
		return list_make3(linitial(args), pad, lsecond(args));
	}
	if (strcmp(mask->name, "round") == 0)
		return list_make1(cast_to(linitial(args), expansion->type));
	if (strcmp(mask->name, "json") == 0)
	{
		array = makeNode(A_ArrayExpr);
		array->elements = args;
		array->location = -1;
		return list_make1(cast_to((Node *) array, TEXTARRAYOID));
	}
	return args;
}

/* AuthzMaskSpec's hook. */
static Node *
expand(Node *raw, void *context)
{
	Expansion  *expansion = context;
	List	   *args;
	const ShortName *mask = find_short_name(raw, &args);
	ColumnRef  *column;

	if (mask == NULL)
		return raw;
	check_use(mask, args, expansion);
	if (strcmp(mask->name, "null") == 0)
	{
		A_Const    *null = makeNode(A_Const);

		null->isnull = true;
		null->location = -1;
		return (Node *) null;
	}
	if (strcmp(mask->name, "constant") == 0)
		return linitial(args);

	/* Without a qualifier: whatever the table is called, its columns are what names mean first. */
	column = makeNode(ColumnRef);
	column->fields = list_make1(makeString(pstrdup(NameStr(expansion->column->attname))));
	column->location = -1;
	if (mask->function == NULL)
		return (Node *) column;
	return (Node *) makeFuncCall(list_make2(makeString("authz"), makeString(pstrdup(mask->function))),
								 lcons(column, function_args(mask, args, expansion)),
								 COERCE_EXPLICIT_CALL, -1);
}

/* The text's one expression, unless it is none. */
static Node *
raw_expression(const char *text)
{
	List	   *raw = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = castNode(SelectStmt, linitial_node(RawStmt, raw)->stmt);

	return list_length(select->targetList) == 1 ? linitial_node(ResTarget, select->targetList)->val : NULL;
}

bool
authz_masktext_is_short(const char *text)
{
	Node	   *raw = raw_expression(text);
	List	   *args;
	const ShortName *mask = raw ? find_short_name(raw, &args) : NULL;

	return mask && strcmp(mask->name, "constant") != 0;
}

Node *
authz_masktext_parse(Relation relation, Oid owner, AttrNumber column, const char *text)
{
	Expansion	expansion = {relation, TupleDescAttr(RelationGetDescr(relation), column - 1)};
	AuthzMaskSpec spec = {column, expand, &expansion};

	expansion.type = getBaseType(expansion.column->atttypid);
	return authz_condition_parse_mask(relation, owner, text, &spec);
}

/* Some value of the type; NULL if there is no saying. */
static Const *
sample(Oid type, Oid collation)
{
	int16		length;
	bool		by_value;
	Datum		value;
	char		category;
	bool		preferred;

	get_type_category_preferred(type, &category, &preferred);
	get_typlenbyval(type, &length, &by_value);
	if (type == JSONBOID)
		value = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	else if (type == UUIDOID)
		value = DirectFunctionCall1(uuid_in, CStringGetDatum("00000000-0000-0000-0000-000000000000"));
	else if (type == NUMERICOID)
		value = NumericGetDatum(int64_to_numeric(1));
	else if (type == NAMEOID)
		value = DirectFunctionCall1(namein, CStringGetDatum("sample"));
	else if (category == TYPCATEGORY_STRING && length == -1)
		value = CStringGetTextDatum("sample");
	else if (by_value && (category == TYPCATEGORY_NUMERIC || category == TYPCATEGORY_DATETIME))
		value = (Datum) 0;
	else
		return makeNullConst(type, -1, collation);
	return makeConst(type, -1, collation, length, value, false, by_value);
}

static Node *
replace_column(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return (Node *) sample(getBaseType(((Var *) node)->vartype), ((Var *) node)->varcollid);
	return expression_tree_mutator(node, replace_column, context);
}

/* An expression is not tried: it is its author's code, and a dump is restored by superusers. */
void
authz_masktext_try(const char *text, Node *value)
{
	List	   *args;
	Node	   *raw = raw_expression(text);
	const ShortName *mask = raw ? find_short_name(raw, &args) : NULL;

	if (mask == NULL)
		return;
	if (strcmp(mask->name, "constant") == 0 && authz_condition_reads_row(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("a constant mask must not use columns"),
				 errhint("Write the expression without constant().")));
	if (mask->function)
		(void) evaluate_expr((Expr *) eval_const_expressions(NULL, replace_column(value, NULL)),
							 exprType(value), exprTypmod(value), exprCollation(value));
}
