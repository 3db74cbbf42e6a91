/*-------------------------------------------------------------------------
 * inline.c
 *	  Planner support function of authz.permits: the call becomes the
 *	  conditions of the policies that apply to the current identity.
 *
 * This is enforcement.  It puts conditions into the plan, never an identity:
 * attributes stay calls of STABLE accessors, so that another identity with the
 * same roles may use the plan, and guard.c sees to it that no other does.
 *
 * A call that is not replaced (no planner root, as in an index predicate; an
 * argument that is no column of a table) reaches the executor and raises.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/sysattr.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "columns.h"
#include "condition.h"
#include "denial.h"
#include "guard.h"
#include "inline.h"
#include "maintenance.h"
#include "policyset.h"
#include "recursion.h"
#include "stats.h"

/* Tables whose policies read each other nest planners; deeper than this is a circle. */
#define MAX_QUERY_LEVEL 64

/*
 * What a call of permits in row security has for its input collation once the
 * planner hook has seen it: of pg_policy, so no collation has it, and the parser
 * cannot make such a call.
 */
#define COLLATION_OF_POLICY PolicyRelationId

/* A call that can be replaced. */
typedef struct PermitsCall
{
	AuthzAction action;
	Var		   *tableoid;		/* the protected table's, in the query at hand */
	RangeTblEntry *rte;
} PermitsCall;

AuthzPrepare authz_inline_prepare = NULL;
int			authz_inline_hook_depth = 0;

/*
 * The range table entry whose tableoid the argument of a call is, in the query
 * of `root` or one around it; NULL if it is none.
 */
static RangeTblEntry *
find_table(PlannerInfo *root, Node *relation, Var **tableoid)
{
	while (IsA(relation, RelabelType))
		relation = (Node *) ((RelabelType *) relation)->arg;
	if (!IsA(relation, Var) || ((Var *) relation)->varattno != TableOidAttributeNumber)
		return NULL;
	*tableoid = (Var *) relation;
	for (Index up = (*tableoid)->varlevelsup; up > 0 && root; up--)
		root = root->parent_root;
	if (root == NULL || (*tableoid)->varno > list_length(root->parse->rtable))
		return NULL;
	return rt_fetch((*tableoid)->varno, root->parse->rtable);
}

/* Find what the call is about; false if it cannot be replaced. */
static bool
read_call(SupportRequestSimplify *request, PermitsCall *call)
{
	Const	   *action;

	if (request->root == NULL || list_length(request->fcall->args) != 2)
		return false;
	action = linitial(request->fcall->args);
	if (!IsA(action, Const) || action->constisnull || action->consttype != TEXTOID)
		return false;
	call->action = authz_policyset_action(TextDatumGetCString(action->constvalue));
	call->rte = find_table(request->root, lsecond(request->fcall->args), &call->tableoid);
	return call->action != AUTHZ_ACTION_NONE && call->rte && call->rte->rtekind == RTE_RELATION;
}

/* The columns that the statement sets, as SQL's column privileges see them. */
static Bitmapset *
columns_set(const PermitsCall *call)
{
	if (call->action == AUTHZ_ACTION_INSERT)
		return call->rte->insertedCols;
	return call->rte->updatedCols;
}

/* permit OR permit ... of one group.  Copies what stands in other groups too. */
static Node *
any_of(List *rules, const Bitmapset *group, bool copy)
{
	List	   *permits = NIL;
	int			n = -1;

	while ((n = bms_next_member(group, n)) >= 0)
	{
		Node	   *condition = ((AuthzRule *) list_nth(rules, n))->condition;

		permits = lappend(permits, copy ? copyObject(condition) : condition);
	}
	return list_length(permits) == 1 ? linitial(permits) : (Node *) makeBoolExpr(OR_EXPR, permits, -1);
}

/* (permit OR permit ...) AND ... AND (forbid) IS FALSE ...; the groups of permits are those of columns.h.  An empty group is false. */
static Node *
combine(List *rules, const Bitmapset *columns)
{
	List	   *groups = authz_columns_groups(rules, columns);
	List	   *terms = NIL;
	ListCell   *lc;

	foreach(lc, groups)
	{
		if (bms_is_empty(lfirst(lc)))
			return makeBoolConst(false, false);
		terms = lappend(terms, any_of(rules, lfirst(lc), list_length(groups) > 1));
	}
	foreach(lc, rules)
	{
		AuthzRule  *rule = lfirst(lc);
		BooleanTest *not_forbidden;

		if (rule->effect == AUTHZ_PERMIT)
			continue;
		not_forbidden = makeNode(BooleanTest);
		not_forbidden->arg = (Expr *) rule->condition;
		not_forbidden->booltesttype = IS_FALSE;
		not_forbidden->location = -1;
		terms = lappend(terms, not_forbidden);
	}
	return list_length(terms) == 1 ? linitial(terms) :
		(Node *) makeBoolExpr(AND_EXPR, terms, -1);
}

/* <condition> OR authz.denied(<action>, <table>), so that a refusal is ours. */
static Node *
add_denied(Node *condition, SupportRequestSimplify *request, const PermitsCall *call)
{
	Oid			types[2] = {TEXTOID, OIDOID};
	Oid			denied = LookupFuncName(list_make2(makeString("authz"), makeString("denied")),
										2, types, false);
	Const	   *table = makeConst(OIDOID, -1, InvalidOid, sizeof(Oid),
								  ObjectIdGetDatum(call->rte->relid), false, true);
	List	   *args = list_make2(copyObject(linitial(request->fcall->args)), table);
	FuncExpr   *refusal = makeFuncExpr(denied, BOOLOID, args, InvalidOid, InvalidOid,
									   COERCE_EXPLICIT_CALL);

	return (Node *) makeBoolExpr(OR_EXPR, list_make2(condition, refusal), -1);
}

/*
 * permits() and masked() are PARALLEL SAFE, or every protected query would go
 * serial; so the planner may have stopped looking.  Tell it what came in their place.
 */
static void
note_parallel_hazard(PlannerGlobal *glob, Node *condition)
{
	Query	   *query = makeNode(Query);

	query->commandType = CMD_SELECT;
	query->jointree = makeFromExpr(NIL, condition);
	switch (max_parallel_hazard(query))
	{
		case PROPARALLEL_SAFE:
			break;
		case PROPARALLEL_RESTRICTED:
			if (glob->maxParallelHazard == PROPARALLEL_SAFE)
				glob->maxParallelHazard = PROPARALLEL_RESTRICTED;
			break;
		default:
			authz_guard_go_serial(glob);
			break;
	}
}

AuthzPolicySet *
authz_inline_depend(PlannerGlobal *glob, Oid relid, const AuthzIdentity **identity)
{
	AuthzPolicySet *set;

	/* A statement whose tables were locked earlier in the transaction has accepted nothing yet. */
	AcceptInvalidationMessages();

	*identity = authz_identity_get();
	authz_guard_mark_plan(glob, authz_maintenance_sign((*identity)->signature));
	glob->relationOids = list_concat_unique_oid(glob->relationOids, authz_catalog_role_tables());
	glob->dependsOnRole = true;

	set = authz_policyset_get(relid);
	/* Its owner's rights are in the plan; a child that is read directly does not name it. */
	if (authz_policyset_logical(set) != relid)
		glob->relationOids = list_append_unique_oid(glob->relationOids, authz_policyset_logical(set));
	return set;
}

bool
authz_inline_place(PlannerGlobal *glob, Node *expression, const Var *row, Oid owner)
{
	bool		has_sublinks;

	ChangeVarNodes(expression, 1, row->varno, 0);
	if (row->varlevelsup > 0)
		IncrementVarSublevelsUp(expression, row->varlevelsup, 0);
	has_sublinks = authz_condition_rewrite_subselects(expression, owner);
	if (has_sublinks)
		authz_inline_prepare(expression, glob);
	return has_sublinks;
}

Node *
authz_inline_finish(PlannerInfo *root, Node *expression)
{
	expression = eval_const_expressions(root, expression);
	note_parallel_hazard(root->glob, expression);
	return expression;
}

void
authz_inline_refuse_circle(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 OidIsValid(relid) ? errmsg("policies of table \"%s\" lead back to it", get_rel_name(relid)) :
			 errmsg("masks or policies lead back to the table that they are of")));
}

void
authz_inline_check_depth(int query_level, Oid relid)
{
	if (query_level > MAX_QUERY_LEVEL)
		authz_inline_refuse_circle(relid);
}

static bool
mark_policy(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && authz_catalog_is_function(((FuncExpr *) node)->funcid, "permits"))
		((FuncExpr *) node)->inputcollid = COLLATION_OF_POLICY;
	return expression_tree_walker(node, mark_policy, context);
}

/* Is it authz.permits(<action>, ...) as row security calls it? */
static bool
is_permits(Node *node, const char *action)
{
	FuncExpr   *call = (FuncExpr *) node;
	Const	   *argument;

	if (!IsA(node, FuncExpr) || list_length(call->args) != 2 || !authz_catalog_is_function(call->funcid, "permits"))
		return false;
	argument = linitial(call->args);
	return IsA(argument, Const) && argument->consttype == TEXTOID && !argument->constisnull &&
		strcmp(TextDatumGetCString(argument->constvalue), action) == 0;
}

/*
 * Core wants the new row of an UPDATE that reads the table to be visible.  If
 * nothing is returned, a permit with may_hide does as well.
 */
static void
let_hide(Query *query)
{
	ListCell   *lc;

	if (query->returningList != NIL)
		return;
	foreach(lc, query->withCheckOptions)
	{
		WithCheckOption *check = lfirst_node(WithCheckOption, lc);
		FuncExpr   *hide;

		if (check->kind != WCO_RLS_UPDATE_CHECK || check->qual == NULL || !is_permits(check->qual, "select"))
			continue;
		hide = copyObject((FuncExpr *) check->qual);
		linitial(hide->args) = makeConst(TEXTOID, -1, InvalidOid, -1, CStringGetTextDatum("update_hide"), false, false);
		check->qual = (Node *) makeBoolExpr(OR_EXPR, list_make2(check->qual, hide), -1);
	}
}

void
authz_inline_mark_policies(Query *query)
{
	ListCell   *lc;

	let_hide(query);
	mark_policy((Node *) query->withCheckOptions, NULL);
	foreach(lc, query->rtable)
		mark_policy((Node *) lfirst_node(RangeTblEntry, lc)->securityQuals, NULL);
}

bool
authz_inline_is_known(PlannerInfo *root, const Var *var)
{
	List	   *rtable;
	ListCell   *lc;

	for (Index up = var->varlevelsup; up > 0 && root; up--)
		root = root->parent_root;
	if (root == NULL || var->varno > list_length(root->parse->rtable))
		return false;
	foreach(lc, root->glob->subroots)
	{
		PlannerInfo *inner = lfirst(lc);

		if (inner->parent_root != root || var->varno > list_length(inner->parse->rtable))
			continue;
		rtable = inner->parse->rtable;
		if (rt_fetch(var->varno, rtable)->rtekind == RTE_RELATION &&
			rt_fetch(var->varno, rtable)->relid != rt_fetch(var->varno, root->parse->rtable)->relid)
			return false;
	}
	return true;
}

Node *
authz_inline_condition(PlannerGlobal *glob, Oid relid, AuthzAction action, const Bitmapset *columns,
					   const Var *row, bool *has_sublinks)
{
	const AuthzIdentity *identity;
	AuthzPolicySet *set = authz_inline_depend(glob, relid, &identity);
	Oid			owner = authz_policyset_owner(set);
	bool		is_write = action == AUTHZ_ACTION_INSERT || action == AUTHZ_ACTION_UPDATE ||
		action == AUTHZ_ACTION_UPDATE_CHECK;
	AttrNumber	uncovered = is_write ? authz_policyset_uncovered(set, action, identity, columns) : InvalidAttrNumber;
	List	   *rules;
	Node	   *condition;
	ListCell   *lc;

	if (uncovered != InvalidAttrNumber)
		return authz_columns_denied(action, relid, uncovered);
	rules = authz_policyset_rules(set, action, identity, columns);
	condition = combine(rules, columns);
	/* A new row that may be hidden has been counted as one that may be. */
	foreach(lc, action == AUTHZ_ACTION_UPDATE_HIDE ? NIL : rules)
		authz_stats_count(authz_policyset_logical(set), ((AuthzRule *) lfirst(lc))->stats_id, AUTHZ_STATS_PLAN);
	*has_sublinks |= authz_inline_place(glob, condition, row, owner);
	return condition;
}

static Node *
replace_call(SupportRequestSimplify *request, const PermitsCall *call)
{
	PlannerInfo *root = request->root;
	const AuthzIdentity *identity;
	AuthzPolicySet *set = authz_inline_depend(root->glob, call->rte->relid, &identity);
	Node	   *condition;

	if (authz_maintenance_covers(identity, call->rte->relid, authz_policyset_owner(set), call->rte->checkAsUser))
		return makeBoolConst(true, false);
	condition = authz_inline_condition(root->glob, call->rte->relid, call->action, columns_set(call),
									   call->tableoid, &root->parse->hasSubLinks);
	if (IsA(condition, Const) && !DatumGetBool(((Const *) condition)->constvalue))
		authz_maintenance_warn(identity, call->rte->relid, call->rte->checkAsUser);
	if (call->action == AUTHZ_ACTION_INSERT || call->action == AUTHZ_ACTION_UPDATE_CHECK)
		condition = add_denied(condition, request, call);
	condition = authz_inline_finish(root, condition);
	/* Calls that came with the bodies of inlined functions; whose condition had them is not known any more. */
	authz_recursion_mark(condition, "a policy", authz_policyset_logical(set));
	return condition;
}

PG_FUNCTION_INFO_V1(authz_permits_support);

/* permits_support(internal) -> internal: see supportnodes.h */
Datum
authz_permits_support(PG_FUNCTION_ARGS)
{
	Node	   *node = (Node *) PG_GETARG_POINTER(0);
	PermitsCall call;

	if (!IsA(node, SupportRequestSimplify) ||
		!read_call((SupportRequestSimplify *) node, &call))
		PG_RETURN_POINTER(NULL);
	authz_inline_check_depth(((SupportRequestSimplify *) node)->root->query_level, call.rte->relid);
	if (((SupportRequestSimplify *) node)->fcall->inputcollid != COLLATION_OF_POLICY &&
		!authz_inline_is_known(((SupportRequestSimplify *) node)->root, call.tableoid))
	{
		/* Row security's own, which has to be replaced, if the hook has not been there. */
		if (authz_inline_hook_depth == 0)
			authz_guard_mark_stale(((SupportRequestSimplify *) node)->root->glob, authz_identity_get()->signature);
		PG_RETURN_POINTER(NULL);
	}
	/* The hook has not been there.  The check of the new row comes first; that the row is visible is looked at after it. */
	if (authz_inline_hook_depth == 0 && call.action == AUTHZ_ACTION_UPDATE_CHECK)
		let_hide(((SupportRequestSimplify *) node)->root->parse);
	PG_RETURN_POINTER(replace_call((SupportRequestSimplify *) node, &call));
}

PG_FUNCTION_INFO_V1(authz_permits);

/* permits(action text, relation oid) -> boolean: only ever planned away */
Datum
authz_permits(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("authz.permits is for row security policies of protected tables"),
			 errhint("Use authz.permits_row to ask for a decision on a row.")));
	PG_RETURN_BOOL(false);
}

PG_FUNCTION_INFO_V1(authz_denied);

/* denied(action text, relation oid) -> boolean: refuses a write that no policy permits */
Datum
authz_denied(PG_FUNCTION_ARGS)
{
	AuthzAction action = authz_policyset_action(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	char	   *table = get_rel_name(PG_GETARG_OID(1));

	authz_denial_record(&(AuthzDenial) {AUTHZ_DENIAL_WRITE, action == AUTHZ_ACTION_INSERT ? "insert" : "update",
										PG_GETARG_OID(1), "no policy permits the new row"});
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to %s row in table \"%s\"",
					action == AUTHZ_ACTION_INSERT ? "insert" : "update", table ? table : ""),
			 errdetail("No policy permits the new row to this identity."),
			 errhint("authz.identity() shows the identity; the table's policies for the action and its roles decide.")));
	PG_RETURN_BOOL(false);
}
