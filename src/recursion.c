/*-------------------------------------------------------------------------
 * recursion.c
 *	  Policies and masks that lead back to themselves through a function.
 *
 * A condition may call a function that reads the table whose condition it is,
 * and that query is filtered by the condition again.  Each round nests a planner
 * or an executor, until PostgreSQL's stack is at its end.  Here it ends sooner.
 *
 * Calls that stand in conditions and masks are marked in their place in the
 * source text, which no later step looks at if it is negative.  So a marked call
 * is told from one that a user wrote, who may well nest the same function.  Where
 * the planner calls a function to estimate, it takes a call without a place for
 * that; of such calls it is not known who wrote them, and they count.  The function
 * manager's hook counts how deep the calls of each function are nested.
 *
 * Only functions that can be on the way to a table are watched: of a language
 * other than C, and none that the planner could put in place of its call.  It does
 * not do that with watched ones, so a watched function of SQL must be one that it
 * would not do that with anyway.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "inline.h"
#include "recursion.h"

/* A function that ends by itself may be nested so often. */
#define MAX_DEPTH	16

/* A marked call's place is this less the number of its origin. */
#define FIRST_PLACE (-7301)

/* A policy or mask that has marked calls; never dropped, since plans name them by number. */
typedef struct Origin
{
	const char *name;
	Oid			relid;
} Origin;

typedef struct WatchedFunction
{
	Oid			function;		/* key */
	int			depth;			/* marked calls of it that have not returned */
	int			origin;			/* number of the one that called for it last */
} WatchedFunction;

static needs_fmgr_hook_type prev_needs_fmgr_hook = NULL;
static fmgr_hook_type prev_fmgr_hook = NULL;

static List *origins = NIL;		/* of Origin *, in TopMemoryContext */
static HTAB *watched = NULL;	/* WatchedFunction by OID */

static int
origin_number(const char *name, Oid relid)
{
	MemoryContext outer;
	Origin	   *origin;
	ListCell   *lc;

	foreach(lc, origins)
	{
		origin = lfirst(lc);
		if (origin->relid == relid && strcmp(origin->name, name) == 0)
			return foreach_current_index(lc);
	}
	outer = MemoryContextSwitchTo(TopMemoryContext);
	origin = palloc_object(Origin);
	origin->name = pstrdup(name);
	origin->relid = relid;
	origins = lappend(origins, origin);
	MemoryContextSwitchTo(outer);
	return list_length(origins) - 1;
}

static bool
has_sublink(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
		return true;
	return raw_expression_tree_walker(node, has_sublink, context);
}

/* Is the text one SELECT without FROM and sub-selects?  The planner may put only such a one in place of its call. */
static bool
is_expression(const char *text)
{
	List	   *statements = raw_parser(text, RAW_PARSE_DEFAULT);
	SelectStmt *select = list_length(statements) == 1 ?
		(SelectStmt *) linitial_node(RawStmt, statements)->stmt : NULL;

	return select != NULL && IsA(select, SelectStmt) && select->fromClause == NIL &&
		!has_sublink((Node *) select, NULL);
}

/* The same of a body that was parsed when it was created. */
static bool
is_parsed_expression(const char *body)
{
	Node	   *node = stringToNode(body);
	List	   *statements = IsA(node, List) ? linitial_node(List, (List *) node) : list_make1(node);
	Query	   *query = list_length(statements) == 1 ? linitial_node(Query, statements) : NULL;

	return query != NULL && query->commandType == CMD_SELECT && query->rtable == NIL && !query->hasSubLinks;
}

static bool
may_be_inlined(HeapTuple tuple)
{
	Form_pg_proc function = (Form_pg_proc) GETSTRUCT(tuple);
	bool		isnull;
	Datum		body;

	if (function->prolang != SQLlanguageId || function->prosecdef ||
		!heap_attisnull(tuple, Anum_pg_proc_proconfig, NULL))
		return false;
	if (function->proretset)
		return true;
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (!isnull)
		return is_parsed_expression(TextDatumGetCString(body));
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	return !isnull && is_expression(TextDatumGetCString(body));
}

static bool
may_read(Oid function)
{
	HeapTuple	tuple;
	Oid			language;
	bool		result;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	result = language != INTERNALlanguageId && language != ClanguageId && !may_be_inlined(tuple);
	ReleaseSysCache(tuple);
	return result;
}

static void
watch(Oid function, int origin)
{
	WatchedFunction *entry;
	bool		found;

	if (watched == NULL)
	{
		HASHCTL		info = {.keysize = sizeof(Oid),.entrysize = sizeof(WatchedFunction)};

		watched = hash_create("authz functions of policies", 32, &info, HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(watched, &function, HASH_ENTER, &found);
	if (!found)
		entry->depth = 0;
	entry->origin = origin;
}

/* Where a node that calls a function keeps its place in the source text; NULL if it is no such node. */
static int *
place_of(Node *node, Oid *function)
{
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			*function = ((FuncExpr *) node)->funcid;
			return &((FuncExpr *) node)->location;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			*function = get_opcode(((OpExpr *) node)->opno);
			return &((OpExpr *) node)->location;
		case T_ScalarArrayOpExpr:
			*function = get_opcode(((ScalarArrayOpExpr *) node)->opno);
			return &((ScalarArrayOpExpr *) node)->location;
		default:
			return NULL;
	}
}

static bool
mark(Node *node, const Origin *origin)
{
	Oid			function;
	int		   *place;

	if (node == NULL)
		return false;
	place = place_of(node, &function);
	if (place != NULL && *place > FIRST_PLACE && may_read(function))
	{
		int			number = origin_number(origin->name, origin->relid);

		watch(function, number);
		*place = FIRST_PLACE - number;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, mark, unconstify(Origin *, origin), 0);
	return expression_tree_walker(node, mark, unconstify(Origin *, origin));
}

void
authz_recursion_mark(Node *text, const char *name, Oid relid)
{
	Origin		origin = {name, relid};

	mark(text, &origin);
}

static WatchedFunction *
find_watched(Oid function)
{
	return watched ? hash_search(watched, &function, HASH_FIND, NULL) : NULL;
}

static bool
recursion_needs_fmgr_hook(Oid function)
{
	return find_watched(function) != NULL || (prev_needs_fmgr_hook && prev_needs_fmgr_hook(function));
}

/* What the errors of all the rounds would say of where they are is not worth reading. */
static void
refuse_recursion(Oid function, const Origin *origin)
{
	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s of table \"%s\" leads back to itself through function %s",
					origin->name, get_rel_name(origin->relid), format_procedure(function)),
			 errdetail("The function reads a table whose policies or masks call the function again."),
			 errhint("Read the table in the condition itself, as in EXISTS (SELECT ...): there it is not filtered. "
					 "Or let the function belong to a role with BYPASSRLS.")));
}

/* Number of the policy or mask that a call of a watched function stands in; -1: a user's. */
static int
origin_of(const FmgrInfo *flinfo, const WatchedFunction *entry)
{
	Oid			function;
	int		   *place = flinfo->fn_expr ? place_of(flinfo->fn_expr, &function) : NULL;

	if (place == NULL)
		return -1;
	if (*place <= FIRST_PLACE)
		return FIRST_PLACE - *place;
	return *place < 0 && authz_inline_hook_depth > 0 ? entry->origin : -1;
}

static void
recursion_fmgr_hook(FmgrHookEventType event, FmgrInfo *flinfo, Datum *private)
{
	WatchedFunction *entry = find_watched(flinfo->fn_oid);
	int			origin = entry ? origin_of(flinfo, entry) : -1;

	if (prev_fmgr_hook)
		prev_fmgr_hook(event, flinfo, private);
	if (origin < 0)
		return;
	switch (event)
	{
		case FHET_START:
			if (entry->depth >= MAX_DEPTH)
				refuse_recursion(flinfo->fn_oid, list_nth(origins, origin));
			entry->depth++;
			break;
		case FHET_END:
		case FHET_ABORT:
			entry->depth--;
			break;
	}
}

void
authz_recursion_init(void)
{
	prev_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = recursion_needs_fmgr_hook;
	prev_fmgr_hook = fmgr_hook;
	fmgr_hook = recursion_fmgr_hook;
}
