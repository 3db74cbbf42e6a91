/*-------------------------------------------------------------------------
 * settings.c
 *	  Does a condition or mask decide by settings of the session?
 *
 * Conditions and masks are inlined, so they run under the settings of whoever
 * reads.  One that reads DateStyle, TimeZone or search_path would let the reader
 * choose the answer.  Settings cannot be pinned in the middle of a plan, so such
 * a tree is refused: when it is stored, and when a stored one is read back.
 *
 * A STABLE function of PostgreSQL is refused unless it is in the list `accepted`:
 * one that a new version brings is refused until somebody has looked at it.  An
 * IMMUTABLE one is accepted unless it is in the list `known`: these read a
 * setting in truth.  Both lists are in settinglist.c.  Of functions that users made, bodies written with BEGIN
 * ATOMIC are looked into; others are reported, because nobody can tell.
 *
 * The tree has no default arguments yet, and names views and domains.  All of
 * these run later and are looked at as well.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteSupport.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "catalog.h"
#include "settinglist.h"
#include "settings.h"

/* A walk over a tree and all that runs with it. */
typedef struct SettingsWalk
{
	AuthzSettings found;
	List	   *functions;		/* OIDs of users' functions that have been looked into */
	List	   *views;			/* the same of views and tables */
	List	   *domains;		/* the same of domains */
	int			anchor;			/* in what the text does not hold: location of what brought it; else -1 */
} SettingsWalk;

static bool walk_settings(Node *node, SettingsWalk *walk);

/* Note the first thing that reads a setting; it ends the walk. */
static bool
found(SettingsWalk *walk, Node *node, const char *thing, const char *reads, const char *hint)
{
	walk->found.reads = psprintf("%s depends on %s", thing, reads);
	walk->found.hint = hint;
	walk->found.location = walk->anchor >= 0 ? walk->anchor : exprLocation(node);
	return true;
}

/* Is it seen for the first time? */
static bool
visit(List **visited, Oid object)
{
	if (list_member_oid(*visited, object))
		return false;
	*visited = lappend_oid(*visited, object);
	return true;
}

/* Walk a tree whose locations are in another text. */
static bool
walk_apart(Node *tree, Node *node, SettingsWalk *walk)
{
	int			anchor = walk->anchor;
	bool		result;

	if (anchor < 0)
		walk->anchor = Max(exprLocation(node), 0);
	result = walk_settings(tree, walk);
	walk->anchor = anchor;
	return result;
}

/*
 * Functions that users made.
 */

/*
 * A path that means the same for everybody: without the reader's own schema, and
 * with temporary tables last, or one of the reader's hides a table of the path.
 */
static bool
is_fixed_path(char *path)
{
	List	   *schemas;
	ListCell   *lc;

	if (!SplitIdentifierString(path, ',', &schemas) || schemas == NIL)
		return false;
	foreach(lc, schemas)
	{
		if (strcmp(lfirst(lc), "$user") == 0)
			return false;
	}
	return strcmp(llast(schemas), "pg_temp") == 0;
}

/* Does it set what most answers depend on, so that the caller's settings do not matter? */
static bool
pins_settings(ArrayType *config)
{
	static const char *const pins[] = {"search_path=", "timezone=", "datestyle="};
	Datum	   *elements;
	int			n;
	int			pinned = 0;

	deconstruct_array(config, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < lengthof(pins); i++)
	{
		for (int j = 0; j < n; j++)
		{
			char	   *element = TextDatumGetCString(elements[j]);

			if (pg_strncasecmp(element, pins[i], strlen(pins[i])) == 0)
			{
				if (i > 0 || is_fixed_path(element + strlen(pins[i])))
					pinned++;
				break;
			}
		}
	}
	return pinned == lengthof(pins);
}

/* Is it known to read no setting?  What it calls is noted as well. */
static bool
is_steady(HeapTuple tuple, Node *node, SettingsWalk *walk)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	SettingsWalk body = *walk;
	bool		isnull;
	Datum		value;

	value = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (!isnull && pins_settings(DatumGetArrayTypeP(value)))
		return true;
	value = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (!isnull)
	{
		bool		reads = walk_apart(stringToNode(TextDatumGetCString(value)), node, &body);

		body.found.reads = NULL;
		body.anchor = walk->anchor;
		*walk = body;
		return !reads;
	}
	return (proc->prolang == ClanguageId || proc->prolang == INTERNALlanguageId) &&
		proc->provolatile == PROVOLATILE_IMMUTABLE;
}

static bool check_function(Oid function, List *args, Node *node, SettingsWalk *walk);

/* The functions that make up an aggregate. */
static bool
check_aggregate(Oid function, Node *node, SettingsWalk *walk)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
	Form_pg_aggregate aggregate;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", function);
	aggregate = (Form_pg_aggregate) GETSTRUCT(tuple);
	result = check_function(aggregate->aggtransfn, NIL, node, walk) ||
		(OidIsValid(aggregate->aggfinalfn) && check_function(aggregate->aggfinalfn, NIL, node, walk)) ||
		(OidIsValid(aggregate->aggmtransfn) && check_function(aggregate->aggmtransfn, NIL, node, walk)) ||
		(OidIsValid(aggregate->aggmfinalfn) && check_function(aggregate->aggmfinalfn, NIL, node, walk));
	ReleaseSysCache(tuple);
	return result;
}

/* The arguments that a call leaves to the function are still to come: any of its defaults, perhaps. */
static bool
check_default_arguments(HeapTuple tuple, List *args, Node *node, SettingsWalk *walk)
{
	bool		isnull;
	Datum		value;

	if (list_length(args) >= ((Form_pg_proc) GETSTRUCT(tuple))->pronargs)
		return false;
	value = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proargdefaults, &isnull);
	return !isnull && walk_apart(stringToNode(TextDatumGetCString(value)), node, walk);
}

static bool
check_users_function(Oid function, List *args, Node *node, SettingsWalk *walk)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		first = visit(&walk->functions, function);
	bool		result = false;

	check_stack_depth();
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	if (first && ((Form_pg_proc) GETSTRUCT(tuple))->prokind == PROKIND_AGGREGATE)
		result = check_aggregate(function, node, walk);
	else if (first && !is_steady(tuple, node, walk))
		walk->found.functions = list_append_unique_oid(walk->found.functions, function);
	result = result || check_default_arguments(tuple, args, node, walk);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Domains.
 */

/* As the catalog has it: what the type cache keeps is planned, and planning runs the functions of the CHECK with the rights of whoever asks. */
static bool
check_constraints(Oid domain, Node *node, SettingsWalk *walk)
{
	Relation	constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		result = false;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(constraints, ConstraintTypidIndexId, true, NULL, 1, &key);
	while (!result && (tuple = systable_getnext(scan)) != NULL)
	{
		bool		isnull;
		Datum		check = heap_getattr(tuple, Anum_pg_constraint_conbin, RelationGetDescr(constraints), &isnull);

		result = !isnull && walk_apart(stringToNode(TextDatumGetCString(check)), node, walk);
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return result;
}

static Oid
type_below(Oid domain)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", domain);
	result = ((Form_pg_type) GETSTRUCT(tuple))->typbasetype;
	ReleaseSysCache(tuple);
	return result;
}

/* The CHECKs of a domain, and of the domains that it is over; other types have none. */
static bool
check_domain(Oid type, Node *node, SettingsWalk *walk)
{
	check_stack_depth();
	return get_typtype(type) == TYPTYPE_DOMAIN && visit(&walk->domains, type) &&
		(check_constraints(type, node, walk) || check_domain(type_below(type), node, walk));
}

/*
 * Conversions to and from text.
 */

/* Functions that make JSON call a user's cast to json, if the type has one. */
static bool
check_json_cast(Oid type, Node *node, SettingsWalk *walk)
{
	Oid			function;

	return type >= FirstNormalObjectId &&
		find_coercion_pathway(JSONOID, type, COERCION_EXPLICIT, &function) == COERCION_PATH_FUNC &&
		check_function(function, NIL, node, walk);
}

static bool
check_conversion(Oid type, bool input, Node *node, SettingsWalk *walk)
{
	Oid			base = getBaseType(type);
	Oid			inner;
	Oid			function;
	Oid			parameter;
	bool		is_varlena;

	check_stack_depth();
	if (input && check_domain(type, node, walk))
		return true;
	if (!input && check_json_cast(base, node, walk))
		return true;
	if (input)
		getTypeInputInfo(base, &function, &parameter);
	else
		getTypeOutputInfo(base, &function, &is_varlena);

	if (input && type_is_array(base))
		return check_function(F_ARRAY_IN, NIL, node, walk);
	if (OidIsValid(inner = get_element_type(base)) ||
		OidIsValid(inner = get_range_subtype(base)) ||
		OidIsValid(inner = get_multirange_range(base)))
		return check_conversion(inner, input, node, walk);
	if (!input && IsA(node, RowExpr) && base == RECORDOID)
	{
		ListCell   *lc;

		foreach(lc, ((RowExpr *) node)->args)
		{
			if (check_conversion(exprType(lfirst(lc)), input, lfirst(lc), walk))
				return true;
		}
		return false;
	}
	if (!input && get_typtype(base) == TYPTYPE_COMPOSITE)
	{
		TupleDesc	descriptor = lookup_rowtype_tupdesc_copy(base, -1);

		for (int i = 0; i < descriptor->natts; i++)
		{
			if (!TupleDescAttr(descriptor, i)->attisdropped &&
				check_conversion(TupleDescAttr(descriptor, i)->atttypid, input, node, walk))
				return true;
		}
		return false;
	}
	return check_function(function, NIL, node, walk);
}

static bool
check_arguments_conversion(List *args, SettingsWalk *walk)
{
	ListCell   *lc;

	foreach(lc, args)
	{
		Node	   *arg = lfirst(lc);

		if (IsA(arg, TargetEntry))
			arg = (Node *) ((TargetEntry *) arg)->expr;
		if (check_conversion(exprType(arg), false, arg, walk))
			return true;
	}
	return false;
}

/*
 * PostgreSQL's functions.
 */

/* The constant that an argument is, as text; NULL if it is none or of another type. */
static char *
constant_text(Node *arg)
{
	while (arg && IsA(arg, RelabelType))
		arg = (Node *) ((RelabelType *) arg)->arg;
	if (arg == NULL || !IsA(arg, Const) || ((Const *) arg)->constisnull ||
		(((Const *) arg)->consttype != TEXTOID && ((Const *) arg)->consttype != VARCHAROID))
		return NULL;
	return TextDatumGetCString(((Const *) arg)->constvalue);
}

/* UTC and GMT mean the same in every set of abbreviations; others are none if they have what abbreviations have not. */
static bool
is_fixed_zone(const char *zone)
{
	return pg_strcasecmp(zone, "UTC") == 0 || pg_strcasecmp(zone, "GMT") == 0 ||
		strpbrk(zone, "/0123456789") != NULL;
}

static bool
is_fixed_interval(Node *arg)
{
	Interval   *interval;

	if (!IsA(arg, Const) || ((Const *) arg)->constisnull || ((Const *) arg)->consttype != INTERVALOID)
		return false;
	interval = DatumGetIntervalP(((Const *) arg)->constvalue);
	return interval->day == 0 && interval->month == 0;
}

static bool
has_language(const char *format)
{
	for (; *format; format++)
	{
		if (pg_strncasecmp(format, "TM", 2) == 0)
			return true;
	}
	return false;
}

static bool
is_accepted_form(const AuthzAccepted *form, List *args)
{
	Node	   *arg = form->arg < list_length(args) ? list_nth(args, form->arg) : NULL;
	char	   *text;

	switch (form->rule)
	{
		case AUTHZ_ALWAYS:
		case AUTHZ_PLAIN_ARGUMENTS:
			return true;
		case AUTHZ_FIXED_INTERVAL:
			return arg && is_fixed_interval(arg);
		case AUTHZ_FIXED_ZONE:
			text = constant_text(arg);
			return text && is_fixed_zone(text);
		case AUTHZ_EPOCH:
			text = constant_text(arg);
			return text && pg_strcasecmp(text, "epoch") == 0;
		case AUTHZ_TIME_FORMAT:
			text = constant_text(arg);
			return text && !has_language(text);
		case AUTHZ_NUMBER_FORMAT:
			text = constant_text(arg);
			return text && strspn(text, "09.,FMfm ") == strlen(text);
	}
	return false;
}

/* What stands in the text for a call of the function. */
static char *
name_of(Oid function, Node *node)
{
	switch (nodeTag(node))
	{
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			return psprintf("operator %s", format_operator(((OpExpr *) node)->opno));
		case T_ScalarArrayOpExpr:
			return psprintf("operator %s", format_operator(((ScalarArrayOpExpr *) node)->opno));
		case T_CoerceViaIO:
			return psprintf("the conversion of type %s to type %s",
							format_type_be(exprType((Node *) ((CoerceViaIO *) node)->arg)),
							format_type_be(exprType(node)));
		case T_FuncExpr:
			if (((FuncExpr *) node)->funcid == function && ((FuncExpr *) node)->args != NIL &&
				(((FuncExpr *) node)->funcformat == COERCE_EXPLICIT_CAST || ((FuncExpr *) node)->funcformat == COERCE_IMPLICIT_CAST))
				return psprintf("the conversion of type %s to type %s",
								format_type_be(exprType(linitial(((FuncExpr *) node)->args))),
								format_type_be(exprType(node)));
			/* FALLTHROUGH */
		default:
			return psprintf("function %s", format_procedure(function));
	}
}

/* `args` are those of the call, if they are known. */
static bool
check_function(Oid function, List *args, Node *node, SettingsWalk *walk)
{
	const AuthzAccepted *form;
	const AuthzKnownReader *reading;

	if (function >= FirstNormalObjectId)
		return get_func_namespace(function) != authz_catalog_schema() && check_users_function(function, args, node, walk);

	form = authz_settinglist_accepted(function);
	if (form && form->rule == AUTHZ_PLAIN_ARGUMENTS)
		return check_arguments_conversion(args, walk);
	if (form && is_accepted_form(form, args))
		return false;
	reading = authz_settinglist_known(function);
	if (reading)
		return found(walk, node, name_of(function, node), reading->reads, reading->hint);
	if (func_volatile(function) != PROVOLATILE_STABLE)
		return false;
	return found(walk, node, name_of(function, node), "settings or the state of the session", AUTHZ_SETTING_HINT);
}

/*
 * The walk.
 */

typedef struct NodeFunctions
{
	SettingsWalk *walk;
	Node	   *node;
	List	   *args;
} NodeFunctions;

static bool
check_node_function(Oid function, void *context)
{
	NodeFunctions *of = context;

	return check_function(function, of->args, of->node, of->walk);
}

static List *
args_of(Node *node)
{
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			return ((FuncExpr *) node)->args;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			return ((OpExpr *) node)->args;
		case T_ScalarArrayOpExpr:
			return ((ScalarArrayOpExpr *) node)->args;
		case T_Aggref:
			return ((Aggref *) node)->args;
		case T_WindowFunc:
			return ((WindowFunc *) node)->args;
		default:
			return NIL;
	}
}

static bool
check_value_function(SQLValueFunction *function, SettingsWalk *walk)
{
	Node	   *node = (Node *) function;

	switch (function->op)
	{
		case SVFOP_CURRENT_DATE:
			return found(walk, node, "current_date", "TimeZone", "Write (now() AT TIME ZONE 'UTC')::date.");
		case SVFOP_CURRENT_TIME:
		case SVFOP_CURRENT_TIME_N:
			return found(walk, node, "current_time", "TimeZone", "Write (now() AT TIME ZONE 'UTC')::time.");
		case SVFOP_LOCALTIME:
		case SVFOP_LOCALTIME_N:
			return found(walk, node, "localtime", "TimeZone", "Write (now() AT TIME ZONE 'UTC')::time.");
		case SVFOP_LOCALTIMESTAMP:
		case SVFOP_LOCALTIMESTAMP_N:
			return found(walk, node, "localtimestamp", "TimeZone", "Write now() AT TIME ZONE 'UTC'.");
		case SVFOP_CURRENT_SCHEMA:
			return found(walk, node, "current_schema", "search_path", AUTHZ_SETTING_HINT);
		case SVFOP_CURRENT_TIMESTAMP:
		case SVFOP_CURRENT_TIMESTAMP_N:
		case SVFOP_CURRENT_ROLE:
		case SVFOP_CURRENT_USER:
		case SVFOP_USER:
		case SVFOP_SESSION_USER:
		case SVFOP_CURRENT_CATALOG:
			return false;
	}
	return found(walk, node, "this value", "settings of the session", AUTHZ_SETTING_HINT);
}

/* What a view's query reads it reads under the same settings. */
static bool
check_view(Oid relid, SettingsWalk *walk)
{
	Relation	view;
	Query	   *query;
	int			anchor = walk->anchor;
	bool		result;

	if (!visit(&walk->views, relid))
		return false;
	check_stack_depth();
	view = table_open(relid, AccessShareLock);
	query = copyObject(get_view_query(view));
	table_close(view, NoLock);
	walk->anchor = Max(anchor, 0);
	result = walk_settings((Node *) query, walk);
	walk->anchor = anchor;
	return result;
}

/* Row security of a table that a sub-select reads decides with it. */
static bool
check_row_security(Oid relid, SettingsWalk *walk)
{
	Relation	relation;
	ListCell   *lc;
	int			anchor = walk->anchor;
	bool		result = false;

	if (!visit(&walk->views, relid))
		return false;
	relation = table_open(relid, AccessShareLock);
	walk->anchor = Max(anchor, 0);
	if (relation->rd_rsdesc != NULL)
	{
		foreach(lc, relation->rd_rsdesc->policies)
		{
			/* A copy: what is found lives on, and the relation's own goes with its entry in the cache. */
			result = result || walk_settings((Node *) copyObject(((RowSecurityPolicy *) lfirst(lc))->qual), walk);
		}
	}
	walk->anchor = anchor;
	table_close(relation, NoLock);
	return result;
}

/* Values that XML's functions and XMLTABLE convert. */
static bool
check_types_conversion(List *types, bool input, Node *node, SettingsWalk *walk)
{
	ListCell   *lc;

	foreach(lc, types)
	{
		if (check_conversion(lfirst_oid(lc), input, node, walk))
			return true;
	}
	return false;
}

static bool
check_xml(XmlExpr *xml, SettingsWalk *walk)
{
	return (xml->op == IS_XMLELEMENT || xml->op == IS_XMLFOREST) &&
		(check_arguments_conversion(xml->named_args, walk) || check_arguments_conversion(xml->args, walk));
}

static bool
check_min_max(MinMaxExpr *expression, SettingsWalk *walk)
{
	TypeCacheEntry *type = lookup_type_cache(expression->minmaxtype, TYPECACHE_CMP_PROC);

	return OidIsValid(type->cmp_proc) && check_function(type->cmp_proc, NIL, (Node *) expression, walk);
}

static bool
check_sort(SortGroupClause *sort, SettingsWalk *walk)
{
	return (OidIsValid(sort->eqop) && check_function(get_opcode(sort->eqop), NIL, (Node *) sort, walk)) ||
		(OidIsValid(sort->sortop) && check_function(get_opcode(sort->sortop), NIL, (Node *) sort, walk));
}

/* The offset of a frame is added to values. */
static bool
check_window(WindowClause *window, SettingsWalk *walk)
{
	Node	   *node = window->startOffset ? window->startOffset : window->endOffset;

	return (OidIsValid(window->startInRangeFunc) && check_function(window->startInRangeFunc, NIL, node, walk)) ||
		(OidIsValid(window->endInRangeFunc) && check_function(window->endInRangeFunc, NIL, node, walk));
}

static bool
check_cast(CoerceViaIO *cast, SettingsWalk *walk)
{
	Node	   *arg = (Node *) cast->arg;

	return check_conversion(exprType(arg), false, IsA(arg, RowExpr) ? arg : (Node *) cast, walk) ||
		check_conversion(cast->resulttype, true, (Node *) cast, walk);
}

/* The planner brings columns of a UNION to their common type, which the tree does not show. */
static bool
check_set_column(Node *column, Oid type, SettingsWalk *walk)
{
	Oid			from = exprType(column);
	Oid			function;

	switch (from == type ? COERCION_PATH_NONE : find_coercion_pathway(type, from, COERCION_IMPLICIT, &function))
	{
		case COERCION_PATH_FUNC:
			return check_function(function, list_make1(column), column, walk);
		case COERCION_PATH_COERCEVIAIO:
			return check_conversion(from, false, column, walk) || check_conversion(type, true, column, walk);
		case COERCION_PATH_ARRAYCOERCE:
			return found(walk, column, "the common type of a set operation", "settings or the state of the session", AUTHZ_SETTING_HINT);
		case COERCION_PATH_NONE:
		case COERCION_PATH_RELABELTYPE:
			return false;
	}
	return false;
}

/* `types` are those that the columns become further up. */
static bool
check_set_operation(Node *node, List *types, Query *query, SettingsWalk *walk)
{
	SetOperationStmt *operation;
	ListCell   *column;
	ListCell   *type;

	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(((RangeTblRef *) node)->rtindex, query->rtable);

		type = list_head(types);
		foreach(column, rte->subquery->targetList)
		{
			TargetEntry *entry = lfirst_node(TargetEntry, column);

			if (entry->resjunk)
				continue;
			if (check_set_column((Node *) entry->expr, lfirst_oid(type), walk))
				return true;
			type = lnext(types, type);
		}
		return false;
	}
	check_stack_depth();
	operation = castNode(SetOperationStmt, node);
	forboth(column, operation->colTypes, type, types)
	{
		CaseTestExpr value = {.xpr.type = T_CaseTestExpr, .typeId = lfirst_oid(column)};

		if (check_set_column((Node *) &value, lfirst_oid(type), walk))
			return true;
	}
	return check_set_operation(operation->larg, operation->colTypes, query, walk) ||
		check_set_operation(operation->rarg, operation->colTypes, query, walk);
}

/* What is special about the node itself. */
static bool
check_node(Node *node, SettingsWalk *walk)
{
	NodeFunctions functions = {walk, node, args_of(node)};

	switch (nodeTag(node))
	{
		case T_Query:
			return ((Query *) node)->setOperations != NULL &&
				check_set_operation(((Query *) node)->setOperations,
									((SetOperationStmt *) ((Query *) node)->setOperations)->colTypes, (Query *) node, walk);
		case T_CoerceViaIO:
			return check_cast((CoerceViaIO *) node, walk);
		case T_SQLValueFunction:
			return check_value_function((SQLValueFunction *) node, walk);
		case T_CoerceToDomain:
			return check_domain(((CoerceToDomain *) node)->resulttype, node, walk);
		case T_MinMaxExpr:
			return check_min_max((MinMaxExpr *) node, walk);
		case T_XmlExpr:
			return check_xml((XmlExpr *) node, walk);
		case T_TableFunc:
			return check_types_conversion(((TableFunc *) node)->coltypes, true, node, walk);
		case T_SortGroupClause:
			return check_sort((SortGroupClause *) node, walk);
		case T_WindowClause:
			return check_window((WindowClause *) node, walk);
		case T_RangeTblEntry:
			if (((RangeTblEntry *) node)->rtekind != RTE_RELATION)
				return false;
			return ((RangeTblEntry *) node)->relkind == RELKIND_VIEW ?
				check_view(((RangeTblEntry *) node)->relid, walk) :
				check_row_security(((RangeTblEntry *) node)->relid, walk);
		default:
			return check_functions_in_node(node, check_node_function, &functions);
	}
}

static bool
walk_settings(Node *node, SettingsWalk *walk)
{
	if (node == NULL)
		return false;
	if (check_node(node, walk))
		return true;
	if (IsA(node, RangeTblEntry))
		return false;			/* the walk over its query goes into it */
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, walk_settings, walk,
								 QTW_EXAMINE_RTES_BEFORE | QTW_EXAMINE_SORTGROUP);
	return expression_tree_walker(node, walk_settings, walk);
}

AuthzSettings
authz_settings_find(Node *tree)
{
	SettingsWalk walk = {.anchor = -1};

	walk.found.location = -1;
	(void) walk_settings(tree, &walk);
	return walk.found;
}

void
authz_settings_check(Node *tree, const char *what, const char *text)
{
	AuthzSettings settings = authz_settings_find(tree);
	ListCell   *lc;

	if (settings.reads)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("%s must not depend on settings of the session", what),
				 errdetail("Here %s.", settings.reads),
				 errhint("%s", settings.hint),
				 settings.location < 0 ? 0 :
				 (internalerrposition(pg_mbstrlen_with_len(text, settings.location) + 1), internalerrquery(text))));
	foreach(lc, settings.functions)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("%s may depend on settings of the session through function %s",
						what, format_procedure(lfirst_oid(lc))),
				 errdetail("It runs under the settings of every reader."),
				 errhint("Set search_path (pg_temp last), TimeZone and DateStyle with the function, write its body with BEGIN ATOMIC, "
						 "or give the reason in reads_settings why it may.")));
}
