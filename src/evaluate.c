/*-------------------------------------------------------------------------
 * evaluate.c
 *	  The same decision at run time, where there is a row but no plan.
 *
 * The conditions that apply become the target list of one query without a
 * FROM, the row's columns its parameters; combining is done here in C, value
 * by value, and not by inline.c's expression: the two are held against each
 * other by test.
 *
 * The plan is kept as long as the policy set it was made from and the
 * identity's signature are the same.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteManip.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "columns.h"
#include "condition.h"
#include "denial.h"
#include "evaluate.h"
#include "maintenance.h"
#include "stats.h"
#include "trigger.h"

struct AuthzEvaluation
{
	MemoryContext context;		/* holds this struct */
	Oid			relid;
	AuthzAction action;
	uint64		serial;			/* of the policy set */
	uint64		signature;		/* of the identity */
	Bitmapset  *columns;
	int			nrules;
	AuthzEffect *effects;		/* of each rule */
	List	   *groups;			/* of permits: see columns.h */
	Oid			logical;		/* table that the rules' policies are of */
	uint64	   *stats_ids;		/* of each rule */
	PlannedStmt *plan;			/* one column per rule; NULL without rules */
	ParamListInfo params;		/* one per attribute */
};

/* A Var of the row, at whatever depth, becomes the parameter of its attribute. */
static Node *
replace_row(Node *node, int *depth)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == *depth)
	{
		Var		   *var = (Var *) node;
		Param	   *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = var->varattno;
		param->paramtype = var->vartype;
		param->paramtypmod = var->vartypmod;
		param->paramcollid = var->varcollid;
		param->location = -1;
		return (Node *) param;
	}
	if (IsA(node, Query))
	{
		Query	   *query;

		(*depth)++;
		query = query_tree_mutator((Query *) node, replace_row, depth, 0);
		(*depth)--;
		return (Node *) query;
	}
	return expression_tree_mutator(node, replace_row, depth);
}

static PlannedStmt *
plan_rules(List *rules, Oid owner)
{
	Query	   *query = makeNode(Query);
	ListCell   *lc;

	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, NULL);
	foreach(lc, rules)
	{
		AuthzRule  *rule = lfirst(lc);
		int			depth = 0;
		Node	   *condition = replace_row(rule->condition, &depth);

		query->hasSubLinks |= authz_condition_rewrite_subselects(condition, owner);
		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) condition,
													list_length(query->targetList) + 1, "rule", false));
	}
	return pg_plan_query(query, "authz.permits_row", 0, NULL);
}

static ParamListInfo
make_params(Oid relid)
{
	Relation	relation = table_open(relid, AccessShareLock);
	TupleDesc	descriptor = RelationGetDescr(relation);
	ParamListInfo params = makeParamList(descriptor->natts);

	for (int i = 0; i < descriptor->natts; i++)
		params->params[i].ptype = TupleDescAttr(descriptor, i)->atttypid;
	table_close(relation, AccessShareLock);
	return params;
}

/* Build into a context of its own below the current one. */
static AuthzEvaluation *
prepare(const AuthzQuestion *question, AuthzPolicySet *set, const AuthzIdentity *identity)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "authz evaluation",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(context);
	AuthzEvaluation *evaluation = palloc0_object(AuthzEvaluation);
	Oid			owner = authz_policyset_owner(set);
	List	   *rules;

	evaluation->context = context;
	evaluation->relid = question->relid;
	evaluation->action = question->action;
	evaluation->serial = authz_policyset_serial(set);
	evaluation->signature = identity->signature;
	evaluation->columns = bms_copy(question->columns);

	rules = authz_policyset_rules(set, question->action, identity, question->columns);
	evaluation->nrules = list_length(rules);
	evaluation->groups = authz_columns_groups(rules, question->columns);
	evaluation->effects = palloc_array(AuthzEffect, Max(evaluation->nrules, 1));
	evaluation->logical = authz_policyset_logical(set);
	evaluation->stats_ids = palloc_array(uint64, Max(evaluation->nrules, 1));
	for (int i = 0; i < evaluation->nrules; i++)
	{
		evaluation->effects[i] = ((AuthzRule *) list_nth(rules, i))->effect;
		evaluation->stats_ids[i] = ((AuthzRule *) list_nth(rules, i))->stats_id;
	}
	if (evaluation->nrules > 0)
	{
		evaluation->plan = plan_rules(rules, owner);
		evaluation->params = make_params(question->relid);
	}
	MemoryContextSwitchTo(outer);
	return evaluation;
}

static bool
is_current(const AuthzEvaluation *evaluation, const AuthzQuestion *question,
		   const AuthzPolicySet *set, const AuthzIdentity *identity)
{
	return evaluation->relid == question->relid &&
		evaluation->action == question->action &&
		evaluation->serial == authz_policyset_serial(set) &&
		evaluation->signature == identity->signature &&
		bms_equal(evaluation->columns, question->columns);
}

/* One permit of each group that is true, and every forbid false.  NULL from a forbid forbids. */
static bool
combine(const AuthzEvaluation *evaluation, const TupleTableSlot *slot)
{
	Bitmapset  *held = NULL;	/* permits that are true */
	ListCell   *lc;

	for (int i = 0; i < evaluation->nrules; i++)
	{
		bool		isnull = slot->tts_isnull[i];
		bool		value = !isnull && DatumGetBool(slot->tts_values[i]);

		if (value || (isnull && evaluation->effects[i] == AUTHZ_FORBID))
			authz_stats_count(evaluation->logical, evaluation->stats_ids[i], AUTHZ_STATS_CHECK);
		if (evaluation->effects[i] == AUTHZ_FORBID && (isnull || value))
			return false;
		if (evaluation->effects[i] == AUTHZ_PERMIT && value)
			held = bms_add_member(held, i);
	}
	foreach(lc, evaluation->groups)
	{
		if (!bms_overlap(lfirst(lc), held))
			return false;
	}
	return held != NULL;
}

static void
bind_row(AuthzEvaluation *evaluation, const AuthzQuestion *question)
{
	for (int i = 0; i < evaluation->params->numParams; i++)
	{
		evaluation->params->params[i].value = question->values ? question->values[i] : (Datum) 0;
		evaluation->params->params[i].isnull = question->values ? question->nulls[i] : true;
	}
}

static bool
run(AuthzEvaluation *evaluation, const AuthzQuestion *question)
{
	QueryDesc  *query;
	TupleTableSlot *slot;
	MemoryContext outer;
	bool		permitted;

	bind_row(evaluation, question);
	query = CreateQueryDesc(evaluation->plan, "authz.permits_row", GetActiveSnapshot(),
							InvalidSnapshot, None_Receiver, evaluation->params, NULL, 0);
	ExecutorStart(query, 0);
	outer = MemoryContextSwitchTo(query->estate->es_query_cxt);
	slot = ExecProcNode(query->planstate);
	slot_getallattrs(slot);
	permitted = combine(evaluation, slot);
	MemoryContextSwitchTo(outer);
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	return permitted;
}

bool
authz_evaluate(const AuthzQuestion *question, MemoryContext context, AuthzEvaluation **evaluation)
{
	const AuthzIdentity *identity = authz_identity_get();
	AuthzPolicySet *set = authz_policyset_get(question->relid);

	if (!authz_policyset_is_protected(set))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not protected", get_rel_name(question->relid)),
				 errhint("Call authz.protect for it first.")));

	if (authz_maintenance_covers(identity, question->relid, authz_policyset_owner(set), InvalidOid))
		return true;

	if (*evaluation == NULL || !is_current(*evaluation, question, set, identity))
	{
		AuthzEvaluation *prepared = prepare(question, set, identity);

		if (*evaluation)
			MemoryContextDelete((*evaluation)->context);
		*evaluation = NULL;
		MemoryContextSetParent(prepared->context, context);
		*evaluation = prepared;
	}
	return (*evaluation)->plan != NULL && run(*evaluation, question);
}

/* The columns that an INSERT or UPDATE is said to set: all without a list. */
static Bitmapset *
named_columns(Oid relid, TupleDesc descriptor, ArrayType *names)
{
	Bitmapset  *columns = NULL;
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	for (int i = 0; i < descriptor->natts && names == NULL; i++)
	{
		if (!TupleDescAttr(descriptor, i)->attisdropped)
			columns = bms_add_member(columns, i + 1 - FirstLowInvalidHeapAttributeNumber);
	}
	if (names == NULL)
		return columns;

	deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		const char *name = nulls[i] ? "" : NameStr(*DatumGetName(elements[i]));
		AttrNumber	attribute = get_attnum(relid, name);

		if (attribute <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist",
							name, get_rel_name(relid))));
		columns = bms_add_member(columns, attribute - FirstLowInvalidHeapAttributeNumber);
	}
	return columns;
}

static AuthzAction
row_action(text *name)
{
	char	   *string = text_to_cstring(name);
	AuthzAction action = authz_policyset_action(string);

	if (action == AUTHZ_ACTION_NONE || action == AUTHZ_ACTION_TRUNCATE || action == AUTHZ_ACTION_UPDATE_HIDE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown action \"%s\" for a row", string),
				 errhint("Actions are select, insert, update, update_check and delete.")));
	return action;
}

/* Relation whose row type it is. */
static Oid
row_relation(HeapTupleHeader row)
{
	Oid			relid = get_typ_typrelid(getBaseType(HeapTupleHeaderGetTypeId(row)));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("row must be of a protected table"),
				 errhint("Pass the table's row, as in SELECT authz.permits_row('select', t) FROM t.")));
	return relid;
}

/* What permits_row asks, kept between its calls. */
typedef struct RowEvaluations
{
	AuthzEvaluation *action;
	AuthzEvaluation *select;
	AuthzEvaluation *hide;
} RowEvaluations;

static bool
evaluate_as(AuthzQuestion question, AuthzAction action, MemoryContext context, AuthzEvaluation **evaluation)
{
	question.action = action;
	return authz_evaluate(&question, context, evaluation);
}

/*
 * What row security asks besides of a statement that looks for its rows, as one
 * with WHERE does: they have to be visible, after an UPDATE too, unless a policy
 * lets it hide them.
 */
static bool
permits_statement(const AuthzQuestion *question, MemoryContext context, RowEvaluations *evaluations)
{
	if (question->action == AUTHZ_ACTION_INSERT)
		return true;
	return evaluate_as(*question, AUTHZ_ACTION_SELECT, context, &evaluations->select) ||
		(question->action == AUTHZ_ACTION_UPDATE_CHECK &&
		 evaluate_as(*question, AUTHZ_ACTION_UPDATE_HIDE, context, &evaluations->hide));
}

PG_FUNCTION_INFO_V1(authz_permits_row);

/*
 * permits_row(action text, row record, columns name[], statement boolean) ->
 * boolean, for the current identity.  A missing row is not permitted.
 */
Datum
authz_permits_row(PG_FUNCTION_ARGS)
{
	AuthzQuestion question = {0};
	HeapTupleHeader row;
	HeapTupleData tuple;
	TupleDesc	descriptor;
	RowEvaluations *evaluations = fcinfo->flinfo->fn_extra;
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	bool		permitted;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		PG_RETURN_BOOL(false);
	if (evaluations == NULL)
		fcinfo->flinfo->fn_extra = evaluations = MemoryContextAllocZero(context, sizeof(RowEvaluations));
	question.action = row_action(PG_GETARG_TEXT_PP(0));
	row = PG_GETARG_HEAPTUPLEHEADER(1);
	question.relid = row_relation(row);
	descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
	question.columns = named_columns(question.relid, descriptor,
									 PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2));
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	question.values = palloc_array(Datum, Max(descriptor->natts, 1));
	question.nulls = palloc_array(bool, Max(descriptor->natts, 1));
	heap_deform_tuple(&tuple, descriptor, question.values, question.nulls);

	permitted = authz_evaluate(&question, context, &evaluations->action) &&
		(!PG_GETARG_BOOL(3) || permits_statement(&question, context, evaluations));
	ReleaseTupleDesc(descriptor);
	PG_RETURN_BOOL(permitted);
}

PG_FUNCTION_INFO_V1(authz_guard_truncate);

/*
 * BEFORE TRUNCATE statement trigger on every protected table: row security
 * knows no TRUNCATE, so a policy must permit it.  Whom row security does not
 * bind (superusers, BYPASSRLS) this does not bind either.
 */
Datum
authz_guard_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "guard_truncate");
	AuthzQuestion question = {.action = AUTHZ_ACTION_TRUNCATE};
	AuthzEvaluation *evaluation = NULL;

	question.relid = RelationGetRelid(trigger->tg_relation);
	if (check_enable_rls(question.relid, InvalidOid, false) == RLS_ENABLED &&
		!authz_evaluate(&question, CurrentMemoryContext, &evaluation))
	{
		authz_denial_record(&(AuthzDenial) {AUTHZ_DENIAL_TRUNCATE, "truncate", question.relid,
											"no policy for truncate permits it"});
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to truncate table \"%s\"",
						RelationGetRelationName(trigger->tg_relation)),
				 errdetail("No policy for truncate permits it to this identity.")));
	}
	return PointerGetDatum(NULL);
}
