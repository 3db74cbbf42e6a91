/*-------------------------------------------------------------------------
 * condition.c
 *	  A policy's condition, or the value of a mask: text -> checked tree ->
 *	  canonical text.
 *
 * It is written by an administrator under his own search_path and evaluated in
 * everybody's queries.  So it is stored canonically: every name that is not in
 * pg_catalog qualified, the row called "resource".  Canonical text is only ever
 * read with nothing but pg_catalog in the path: under a caller's path a
 * shadowed operator would decide for him.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "rewrite/rewriteDefine.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "condition.h"
#include "visible.h"

/*
 * What reading and writing canonical text depends on.  The settings of who
 * stores a condition and of who runs into it are theirs; with them a date, a
 * string with a backslash or a NULL in an array would be another for each.  Literals
 * become values when they are read, and those mean the same for everybody.
 */
static const char *const canonical_settings[][2] = {
	{"search_path", "pg_catalog, pg_temp"}, /* first: see authz_condition_enter_literals */
	{"standard_conforming_strings", "on"},
	{"array_nulls", "on"},
	{"transform_null_equals", "off"},
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"timezone_abbreviations", "Default"},
	{"extra_float_digits", "3"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"lc_numeric", "C"},
	{"lc_time", "C"},
	{"xmlbinary", "base64"},
	{"xmloption", "content"},
	{"default_text_search_config", "pg_catalog.simple"},
	{"quote_all_identifiers", "off"},
};

static int
pin_settings(int first)
{
	int			level = NewGUCNestLevel();

	for (int i = first; i < lengthof(canonical_settings); i++)
	{
		const char *name = canonical_settings[i][0];
		const char *value = canonical_settings[i][1];

		/* Some cost more to set than to look at. */
		if (strcmp(GetConfigOption(name, false, false), value) != 0)
			(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	}
	return level;
}

int
authz_condition_enter_canonical(void)
{
	return pin_settings(0);
}

int
authz_condition_enter_literals(void)
{
	return pin_settings(1);
}

void
authz_condition_leave_canonical(int level)
{
	AtEOXact_GUC(true, level);
}

/* Errors of the parser point into the condition, not into the statement that stores it. */
static void
point_into_condition(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
}

/* The one expression of the text; anything after it (FROM, ORDER BY, a second column) is refused. */
static Node *
parse_expression(const char *what, const char *text)
{
	List	   *raw = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = castNode(SelectStmt, linitial_node(RawStmt, raw)->stmt);
	ResTarget  *target;

	if (list_length(select->targetList) != 1 ||
		select->distinctClause || select->intoClause || select->fromClause || select->whereClause ||
		select->groupClause || select->havingClause || select->windowClause || select->valuesLists ||
		select->sortClause || select->limitOffset || select->limitCount || select->lockingClause ||
		select->withClause || select->op != SETOP_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be one expression", what),
				 errhint("Put a query in parentheses, as in EXISTS (SELECT ...).")));
	target = linitial_node(ResTarget, select->targetList);
	if (target->name != NULL || target->indirection != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be one expression without a column alias", what)));
	if (IsA(target->val, ColumnRef) && IsA(llast(((ColumnRef *) target->val)->fields), A_Star))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must be one expression, not a list of columns", what)));
	return target->val;
}

/*
 * The row is visible under the table's own name (in what people write) and as
 * "resource" (in canonical text); its columns need no qualifier.
 */
static ParseState *
make_row_parsestate(Relation relation, const char *text)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;
	ParseNamespaceItem *alias;

	pstate->p_sourcetext = text;
	item = addRangeTableEntryForRelation(pstate, relation, AccessShareLock, NULL, false, false);
	addNSItemToQuery(pstate, item, false, true, true);
	if (strcmp(RelationGetRelationName(relation), AUTHZ_CONDITION_ALIAS) == 0)
		return pstate;

	alias = palloc(sizeof(ParseNamespaceItem));
	*alias = *item;
	alias->p_names = makeAlias(AUTHZ_CONDITION_ALIAS, item->p_names->colnames);
	alias->p_rte = copyObject(item->p_rte);
	alias->p_rte->alias = makeAlias(AUTHZ_CONDITION_ALIAS, NIL);	/* so schema.table means the first */
	alias->p_rte->eref = alias->p_names;	/* or its whole row would be a ROW() that mistakes dropped columns */
	alias->p_rel_visible = true;
	alias->p_cols_visible = false;
	pstate->p_namespace = lappend(pstate->p_namespace, alias);
	return pstate;
}

/* What a walk over a condition looks at: references to the row at this depth. */
typedef struct RowWalk
{
	int			depth;			/* sub-select levels between here and the row */
	bool		reads_row;
	bool		whole_row;
	bool		system_column;
	Bitmapset  *columns;		/* offset by FirstLowInvalidHeapAttributeNumber */
} RowWalk;

static bool
walk_row_references(Node *node, RowWalk *walk)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varlevelsup == walk->depth)
		{
			walk->reads_row = true;
			walk->whole_row |= var->varattno == InvalidAttrNumber;
			walk->system_column |= var->varattno < 0;
			walk->columns = bms_add_member(walk->columns, var->varattno - FirstLowInvalidHeapAttributeNumber);
		}
		return false;
	}
	if (IsA(node, Query))
	{
		bool		result;

		walk->depth++;
		result = query_tree_walker((Query *) node, walk_row_references, walk, 0);
		walk->depth--;
		return result;
	}
	return expression_tree_walker(node, walk_row_references, walk);
}

bool
authz_condition_reads_row(Node *condition)
{
	RowWalk		walk = {0};

	walk_row_references(condition, &walk);
	return walk.reads_row;
}

Bitmapset *
authz_condition_columns(Node *condition)
{
	RowWalk		walk = {0};

	walk_row_references(condition, &walk);
	return walk.columns;
}

/* Raise for sub-selects that lock rows or read temporary tables; `what` they stand in. */
static bool
refuse_subselects(Node *node, char *what)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		if (query->rowMarks != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s must not lock rows", what)));
		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind == RTE_RELATION &&
				get_rel_persistence(rte->relid) == RELPERSISTENCE_TEMP)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("%s must not read a temporary table", what)));
		}
		return query_tree_walker(query, refuse_subselects, what, 0);
	}
	return expression_tree_walker(node, refuse_subselects, what);
}

/*
 * Parsing runs a literal's input function.  That of a domain, or of what holds
 * one, runs the domain's CHECK, which is anybody's code; a composite may come to
 * hold one later.
 */
static bool
input_runs_code(Oid type)
{
	Oid			inner;

	check_stack_depth();
	if (get_typtype(type) == TYPTYPE_DOMAIN || get_typtype(type) == TYPTYPE_COMPOSITE)
		return true;
	if (OidIsValid(inner = get_element_type(type)) ||
		OidIsValid(inner = get_range_subtype(type)) ||
		OidIsValid(inner = get_multirange_range(type)))
		return input_runs_code(inner);
	return false;
}

static void
refuse_literal(Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a condition or mask must not hold a literal of type %s", format_type_be(type)),
			 errhint("Literals of composite types, and of arrays or ranges of domains, are not possible; "
					 "write ROW(...) or ARRAY[...].")));
}

/* The same in what has not been analysed, which is when the input function runs. */
static bool
refuse_raw_literals(Node *node, ParseState *pstate)
{
	if (node == NULL)
		return false;
	if (IsA(node, TypeCast) &&
		(IsA(((TypeCast *) node)->arg, A_Const) || IsA(((TypeCast *) node)->arg, A_ArrayExpr)))
	{
		Oid			type;
		int32		typmod;

		typenameTypeIdAndMod(pstate, ((TypeCast *) node)->typeName, &type, &typmod);
		if (input_runs_code(getBaseType(type)))
			refuse_literal(type);
	}
	return raw_expression_tree_walker(node, refuse_raw_literals, pstate);
}

static bool
refuse_literals(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const) && !((Const *) node)->constisnull &&
		input_runs_code(getBaseType(((Const *) node)->consttype)))
		refuse_literal(((Const *) node)->consttype);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, refuse_literals, context, 0);
	return expression_tree_walker(node, refuse_literals, context);
}

static bool
is_volatile(Oid function, void *volatile_function)
{
	if (func_volatile(function) != PROVOLATILE_VOLATILE)
		return false;
	*(Oid *) volatile_function = function;
	return true;
}

/* Raise for the first volatile function, at its place. */
static bool
refuse_volatile(Node *node, ParseState *pstate)
{
	Oid			function;

	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_volatile, &function))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("a condition or mask must not call the volatile function %s", format_procedure(function)),
				 errdetail("A decision must not change within a statement."),
				 function < FirstNormalObjectId ? 0 :
				 errhint("If the function only reads, mark it STABLE: ALTER FUNCTION %s STABLE.", format_procedure(function)),
				 parser_errposition(pstate, exprLocation(node))));
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, refuse_volatile, pstate, 0);
	return expression_tree_walker(node, refuse_volatile, pstate);
}

static void
check_expression(const char *what, Node *condition, ParseState *pstate)
{
	RowWalk		walk = {0};

	refuse_volatile(condition, pstate);
	authz_visible_check(condition);
	walk_row_references(condition, &walk);
	if (walk.whole_row)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not use the whole row", what),
				 errhint("Name the columns that it needs.")));
	if (walk.system_column)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not use a system column", what)));
	refuse_subselects(condition, unconstify(char *, what));
	refuse_literals(condition, NULL);
}

/* The value of a mask takes the place of a column, as in an UPDATE that sets it. */
static Node *
coerce_to_column(ParseState *pstate, Node *value, Relation relation, AttrNumber attribute)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), attribute - 1);
	Oid			type = getBaseType(column->atttypid);	/* no domain's CHECK runs, nor its NOT NULL */
	Node	   *coerced = coerce_to_target_type(pstate, value, exprType(value), type, -1,
												COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);

	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("mask is of type %s, but column \"%s\" is of type %s",
						format_type_be(exprType(value)), NameStr(column->attname),
						format_type_be(column->atttypid)),
				 errhint("Write a mask of type %s, or cast it.", format_type_be(type))));
	return coerced;
}

/* Text -> tree of a condition or, with a hook, of a mask's value. */
static Node *
parse(Relation relation, Oid owner, const char *text, const AuthzMaskSpec *mask)
{
	const char *what = mask ? "mask" : "condition";
	ErrorContextCallback callback;
	ParseState *pstate;
	Node	   *result;
	Oid			user;
	int			context;

	/*
	 * Whoever reads the text, it is the owner's: his rights find the names, and
	 * code that parsing might run gets no other rights.  Not where a dump is
	 * restored: the owner may not have his rights back yet.
	 */
	GetUserIdAndSecContext(&user, &context);
	if (!superuser() || !superuser_arg(GetSessionUserId()))
		SetUserIdAndSecContext(owner,
							   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);

	callback.callback = point_into_condition;
	callback.arg = unconstify(char *, text);
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	result = parse_expression(what, text);
	if (mask)
		result = mask->expand(result, mask->context);
	pstate = make_row_parsestate(relation, text);
	refuse_raw_literals(result, pstate);
	result = transformExpr(pstate, result, EXPR_KIND_POLICY);
	if (mask)
		result = coerce_to_column(pstate, result, relation, mask->column);
	else
		result = coerce_to_boolean(pstate, result, "POLICY");
	assign_expr_collations(pstate, result);
	check_expression(what, result, pstate);
	free_parsestate(pstate);

	error_context_stack = callback.previous;
	SetUserIdAndSecContext(user, context);
	return result;
}

Node *
authz_condition_parse(Relation relation, Oid owner, const char *text)
{
	return parse(relation, owner, text, NULL);
}

Node *
authz_condition_parse_mask(Relation relation, Oid owner, const char *text, const AuthzMaskSpec *mask)
{
	return parse(relation, owner, text, mask);
}

char *
authz_condition_deparse(Relation relation, Node *condition)
{
	return deparse_expression(condition,
							  deparse_context_for(AUTHZ_CONDITION_ALIAS, RelationGetRelid(relation)),
							  true, false);
}

static bool
collect_relations(Node *node, List **relations)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION)
			*relations = list_append_unique_oid(*relations, rte->relid);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, collect_relations, relations, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, collect_relations, relations);
}

List *
authz_condition_relations(Node *condition)
{
	List	   *relations = NIL;

	collect_relations(condition, &relations);
	return relations;
}

/* Add an object that is not part of PostgreSQL itself, and its schema. */
static void
add_object(List **objects, Oid object, Oid schema)
{
	if (object < FirstNormalObjectId)
		return;
	*objects = list_append_unique_oid(*objects, object);
	if (schema >= FirstNormalObjectId)
		*objects = list_append_unique_oid(*objects, schema);
}

static bool
add_function(Oid function, void *objects)
{
	add_object(objects, function, get_func_namespace(function));
	return false;
}

static void
add_operator(List **objects, Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));

	if (!HeapTupleIsValid(tuple))
		return;
	add_object(objects, operator, ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace);
	ReleaseSysCache(tuple);
}

static void
add_type(List **objects, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));

	if (!HeapTupleIsValid(tuple))
		return;
	add_object(objects, type, ((Form_pg_type) GETSTRUCT(tuple))->typnamespace);
	ReleaseSysCache(tuple);
}

static void
add_collation(List **objects, Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));

	if (!HeapTupleIsValid(tuple))
		return;
	add_object(objects, collation, ((Form_pg_collation) GETSTRUCT(tuple))->collnamespace);
	ReleaseSysCache(tuple);
}

/* An object that only a literal such as 'name'::regconfig names. */
static void
add_address(List **objects, Oid class, Oid object)
{
	ObjectAddress address;

	ObjectAddressSet(address, class, object);
	if (SearchSysCacheExists1(get_object_catcache_oid(class), ObjectIdGetDatum(object)))
		add_object(objects, object, get_object_namespace(&address));
}

/* The value of a literal may be an object. */
static void
add_literal(List **objects, const Const *literal)
{
	Oid			object;

	add_type(objects, literal->consttype);
	add_collation(objects, literal->constcollid);
	if (literal->constisnull)
		return;
	object = DatumGetObjectId(literal->constvalue);
	switch (literal->consttype)
	{
		case REGCLASSOID:
			add_address(objects, RelationRelationId, object);
			break;
		case REGPROCOID:
		case REGPROCEDUREOID:
			add_address(objects, ProcedureRelationId, object);
			break;
		case REGOPEROID:
		case REGOPERATOROID:
			add_address(objects, OperatorRelationId, object);
			break;
		case REGTYPEOID:
			add_type(objects, object);
			break;
		case REGCOLLATIONOID:
			add_collation(objects, object);
			break;
		case REGCONFIGOID:
			add_address(objects, TSConfigRelationId, object);
			break;
		case REGDICTIONARYOID:
			add_address(objects, TSDictionaryRelationId, object);
			break;
		case REGNAMESPACEOID:
			add_object(objects, object, InvalidOid);
			break;
		default:
			break;
	}
}

static bool collect_objects(Node *node, List **objects);

/* What a range table entry names besides its expressions. */
static void
add_entry(List **objects, const RangeTblEntry *rte)
{
	ListCell   *lc;
	ListCell   *type;

	if (rte->rtekind == RTE_RELATION)
		add_object(objects, rte->relid, get_rel_namespace(rte->relid));
	foreach(lc, rte->functions)
	{
		foreach(type, lfirst_node(RangeTblFunction, lc)->funccoltypes)
			add_type(objects, lfirst_oid(type));
	}
	if (rte->tablefunc)
	{
		foreach(type, rte->tablefunc->coltypes)
			add_type(objects, lfirst_oid(type));
	}
	if (rte->tablesample)
		add_object(objects, rte->tablesample->tsmhandler, get_func_namespace(rte->tablesample->tsmhandler));
}

static bool
collect_objects(Node *node, List **objects)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		add_entry(objects, (RangeTblEntry *) node);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, collect_objects, objects,
								 QTW_EXAMINE_RTES_BEFORE | QTW_EXAMINE_SORTGROUP);

	check_functions_in_node(node, add_function, objects);
	if (IsA(node, OpExpr) || IsA(node, DistinctExpr) || IsA(node, NullIfExpr))
		add_operator(objects, ((OpExpr *) node)->opno);
	else if (IsA(node, ScalarArrayOpExpr))
		add_operator(objects, ((ScalarArrayOpExpr *) node)->opno);
	else if (IsA(node, RowCompareExpr))
	{
		foreach(lc, ((RowCompareExpr *) node)->opnos)
			add_operator(objects, lfirst_oid(lc));
	}
	else if (IsA(node, SortGroupClause))
	{
		/* ORDER BY ... USING; equality operators have no name in the text */
		add_operator(objects, ((SortGroupClause *) node)->sortop);
	}
	else if (IsA(node, Const))
		add_literal(objects, (Const *) node);
	else if (IsA(node, CollateExpr))
		add_collation(objects, ((CollateExpr *) node)->collOid);
	else if (IsA(node, FieldSelect))
		add_type(objects, exprType((Node *) ((FieldSelect *) node)->arg));
	else if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcformat != COERCE_EXPLICIT_CALL)
		add_type(objects, exprType(node));	/* a cast */
	else if (IsA(node, RelabelType) || IsA(node, CoerceViaIO) ||
			 IsA(node, CoerceToDomain) || IsA(node, ArrayCoerceExpr) || IsA(node, RowExpr) ||
			 IsA(node, ConvertRowtypeExpr) || IsA(node, ArrayExpr))
		add_type(objects, exprType(node));
	return expression_tree_walker(node, collect_objects, objects);
}

List *
authz_condition_objects(Node *condition)
{
	List	   *objects = NIL;

	collect_objects(condition, &objects);
	return objects;
}

typedef struct RewriteWalk
{
	Oid			owner;
	bool		found;
} RewriteWalk;

typedef struct ViewWalk
{
	Oid			owner;
	Oid			view;			/* whose query this is; it names itself as OLD and NEW */
} ViewWalk;

/*
 * Views bring tables in with their owners' rights.  What another owner's view
 * reads is filtered as it is in any query of the view.
 */
static bool
reads_foreign_view(Node *node, ViewWalk *walk)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		ViewWalk	inner = {walk->owner, rte->relid};
		Relation	view;
		bool		result;

		if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_VIEW || rte->relid == walk->view)
			return false;
		check_stack_depth();
		view = table_open(rte->relid, AccessShareLock);
		result = view->rd_rel->relowner != walk->owner ||
			reads_foreign_view((Node *) get_view_query(view), &inner);
		table_close(view, NoLock);
		return result;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, reads_foreign_view, walk, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, reads_foreign_view, walk);
}

/*
 * Only the outermost sub-selects are visited: the rewriter goes down itself.
 * SECURITY_NOFORCE_RLS holds just while it runs, and decides what it adds to
 * the owner's own tables: nothing.
 */
static bool
rewrite_subselects(Node *node, RewriteWalk *walk)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
	{
		SubLink    *sublink = (SubLink *) node;
		Query	   *query = castNode(Query, sublink->subselect);
		ViewWalk	views = {walk->owner, InvalidOid};
		Oid			user;
		int			context;

		walk->found = true;
		AcquireRewriteLocks(query, true, false);
		setRuleCheckAsUser((Node *) query, walk->owner);
		GetUserIdAndSecContext(&user, &context);
		if (!reads_foreign_view((Node *) query, &views))
			SetUserIdAndSecContext(user, context | SECURITY_NOFORCE_RLS);
		query = linitial_node(Query, QueryRewrite(query));
		SetUserIdAndSecContext(user, context);
		query->canSetTag = false;
		sublink->subselect = (Node *) query;
		return rewrite_subselects(sublink->testexpr, walk);
	}
	return expression_tree_walker(node, rewrite_subselects, walk);
}

bool
authz_condition_rewrite_subselects(Node *condition, Oid owner)
{
	RewriteWalk walk = {owner, false};

	rewrite_subselects(condition, &walk);
	return walk.found;
}
