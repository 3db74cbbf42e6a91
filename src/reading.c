/*-------------------------------------------------------------------------
 * reading.c
 *	  Which columns of audited tables a plan reads, and how they are shown.
 *
 * A column counts as read if the query names it and the plan uses it.  What is
 * named is in the range table: of the table where the query names that, of the
 * view where it is a masked one.  For another view that is all columns of its
 * definition; what the plan does with them tells which are needed.  What only
 * the plan uses is read for policies; but the OLD of a rule stands for the
 * target of another statement, which does not name what the rule takes from it.
 * A plan without the table, for policies permit nothing or the planner could do
 * without it, does not read it.
 *
 * What is needed is followed down the plan, since the planner lets scans below
 * joins and aggregates return all columns.  Nodes not known here need all that
 * the nodes below return: an error on the side of saying too much.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "identity.h"
#include "masked_view.h"
#include "masking.h"
#include "policyset.h"
#include "readaudit.h"
#include "reading.h"

/* Column numbers in sets are offset by this, as whole rows (0) and system columns are among them. */
#define OFFSET FirstLowInvalidHeapAttributeNumber

typedef struct Walk
{
	const PlannedStmt *statement;
	Bitmapset **used;			/* by range table index: columns that the plan uses */
	Bitmapset  *scanned;		/* range table entries */
	AppendRelInfo **parents;	/* by range table index of the part */
} Walk;

/* What one node needs. */
typedef struct Demand
{
	Walk	   *walk;
	List	   *index;			/* target list that INDEX_VAR is about */
	Bitmapset  *outer;			/* positions in the target list of the node below */
	Bitmapset  *inner;
} Demand;

static bool
collect(Node *node, Demand *demand)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		TargetEntry *target;

		switch (var->varno)
		{
			case OUTER_VAR:
				demand->outer = bms_add_member(demand->outer, var->varattno);
				break;
			case INNER_VAR:
				demand->inner = bms_add_member(demand->inner, var->varattno);
				break;
			case INDEX_VAR:
				target = get_tle_by_resno(demand->index, var->varattno);
				return target != NULL && collect((Node *) target->expr, demand);
			default:
				if (var->varno > 0 && var->varno <= list_length(demand->walk->statement->rtable))
					demand->walk->used[var->varno] =
						bms_add_member(demand->walk->used[var->varno], var->varattno - OFFSET);
		}
		return false;
	}
	return expression_tree_walker(node, collect, demand);
}

static void
collect_all(List *expressions, Demand *demand)
{
	(void) collect((Node *) expressions, demand);
}

/* Positions of the target list of the node below that a node sorts or groups by. */
static void
collect_positions(const AttrNumber *positions, int n, Demand *demand)
{
	for (int i = 0; i < n; i++)
		demand->outer = bms_add_member(demand->outer, positions[i]);
}

/* What a partial index ensures is no condition of the plan any more. */
static void
collect_predicate(Index rti, Oid indexid, Demand *demand)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Datum		predicate;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	predicate = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred, &isnull);
	if (!isnull)
		pull_varattnos(stringToNode(TextDatumGetCString(predicate)), 1, &demand->walk->used[rti]);
	ReleaseSysCache(tuple);
}

/* Expressions that are this kind of node's own, besides target list and qual. */
static void
collect_own(Plan *plan, Demand *demand)
{
	ListCell   *lc;

	switch (nodeTag(plan))
	{
		case T_Result:
			(void) collect(((Result *) plan)->resconstantqual, demand);
			break;
		case T_ModifyTable:
			collect_all(((ModifyTable *) plan)->returningLists, demand);
			collect_all(((ModifyTable *) plan)->onConflictSet, demand);
			(void) collect(((ModifyTable *) plan)->onConflictWhere, demand);
			collect_all(((ModifyTable *) plan)->mergeActionLists, demand);
			break;
		case T_SampleScan:
			(void) collect((Node *) ((SampleScan *) plan)->tablesample, demand);
			break;
		case T_IndexScan:
			collect_all(((IndexScan *) plan)->indexqualorig, demand);
			collect_all(((IndexScan *) plan)->indexorderbyorig, demand);
			collect_predicate(((Scan *) plan)->scanrelid, ((IndexScan *) plan)->indexid, demand);
			break;
		case T_IndexOnlyScan:
			collect_all(((IndexOnlyScan *) plan)->indexqual, demand);
			collect_all(((IndexOnlyScan *) plan)->indexorderby, demand);
			collect_predicate(((Scan *) plan)->scanrelid, ((IndexOnlyScan *) plan)->indexid, demand);
			break;
		case T_BitmapHeapScan:
			collect_all(((BitmapHeapScan *) plan)->bitmapqualorig, demand);
			break;
		case T_TidScan:
			collect_all(((TidScan *) plan)->tidquals, demand);
			break;
		case T_TidRangeScan:
			collect_all(((TidRangeScan *) plan)->tidrangequals, demand);
			break;
		case T_NestLoop:
			collect_all(((Join *) plan)->joinqual, demand);
			foreach(lc, ((NestLoop *) plan)->nestParams)
				(void) collect((Node *) lfirst_node(NestLoopParam, lc)->paramval, demand);
			break;
		case T_MergeJoin:
			collect_all(((Join *) plan)->joinqual, demand);
			collect_all(((MergeJoin *) plan)->mergeclauses, demand);
			break;
		case T_HashJoin:
			collect_all(((Join *) plan)->joinqual, demand);
			collect_all(((HashJoin *) plan)->hashclauses, demand);
			collect_all(((HashJoin *) plan)->hashkeys, demand);
			break;
		case T_Agg:
			collect_positions(((Agg *) plan)->grpColIdx, ((Agg *) plan)->numCols, demand);
			foreach(lc, ((Agg *) plan)->chain)
				collect_positions(lfirst_node(Agg, lc)->grpColIdx, lfirst_node(Agg, lc)->numCols, demand);
			break;
		case T_Group:
			collect_positions(((Group *) plan)->grpColIdx, ((Group *) plan)->numCols, demand);
			break;
		default:
			/* Functions, VALUES and the like have no columns of a table but by parameters. */
			break;
	}
}

/* The range table entry that a node scans; 0: none. */
static Index
scanned_entry(const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_CustomScan:
			return ((const Scan *) plan)->scanrelid;
		default:
			return 0;
	}
}

/* Does what a node needs of the nodes below show in its own expressions? */
static bool
names_its_needs(const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
		case T_Agg:
		case T_Group:
		case T_Result:
		case T_ProjectSet:
			return true;
		default:
			return false;
	}
}

static void visit(Walk *walk, Plan *plan, const Bitmapset *needed, bool all);

static void
visit_list(Walk *walk, List *plans)
{
	ListCell   *lc;

	foreach(lc, plans)
		visit(walk, lfirst(lc), NULL, true);
}

/* Plans below that are no outer or inner one. */
static void
visit_others(Walk *walk, Plan *plan)
{
	if (IsA(plan, Append))
		visit_list(walk, ((Append *) plan)->appendplans);
	else if (IsA(plan, MergeAppend))
		visit_list(walk, ((MergeAppend *) plan)->mergeplans);
	else if (IsA(plan, BitmapAnd))
		visit_list(walk, ((BitmapAnd *) plan)->bitmapplans);
	else if (IsA(plan, BitmapOr))
		visit_list(walk, ((BitmapOr *) plan)->bitmapplans);
	else if (IsA(plan, CustomScan))
		visit_list(walk, ((CustomScan *) plan)->custom_plans);
	else if (IsA(plan, SubqueryScan))
	{
		Bitmapset  *used = walk->used[((Scan *) plan)->scanrelid];
		Bitmapset  *needed = NULL;
		int			column = -1;

		while ((column = bms_next_member(used, column)) >= 0)
		{
			if (column + OFFSET > 0)
				needed = bms_add_member(needed, column + OFFSET);
		}
		visit(walk, ((SubqueryScan *) plan)->subplan, needed, bms_is_member(-OFFSET, used));
	}
}

/* `needed`: positions in the target list; or all of it. */
static void
visit(Walk *walk, Plan *plan, const Bitmapset *needed, bool all)
{
	Demand		demand = {walk};
	ListCell   *lc;
	bool		below_all;

	if (plan == NULL)
		return;
	check_stack_depth();
	if (IsA(plan, IndexOnlyScan))
		demand.index = ((IndexOnlyScan *) plan)->indextlist;
	else if (IsA(plan, ForeignScan))
		demand.index = ((ForeignScan *) plan)->fdw_scan_tlist;
	else if (IsA(plan, CustomScan))
		demand.index = ((CustomScan *) plan)->custom_scan_tlist;
	foreach(lc, plan->targetlist)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		/* What is sorted by, though an index saves the sort. */
		if (all || target->resjunk || bms_is_member(target->resno, needed))
			(void) collect((Node *) target->expr, &demand);
	}
	collect_all(plan->qual, &demand);
	collect_own(plan, &demand);

	if (scanned_entry(plan) > 0)
		walk->scanned = bms_add_member(walk->scanned, scanned_entry(plan));
	else if (IsA(plan, CustomScan))
		walk->scanned = bms_add_members(walk->scanned, ((CustomScan *) plan)->custom_relids);
	else if (IsA(plan, ModifyTable))
	{
		foreach(lc, ((ModifyTable *) plan)->resultRelations)
			walk->scanned = bms_add_member(walk->scanned, lfirst_int(lc));
	}
	below_all = !names_its_needs(plan);
	visit(walk, plan->lefttree, demand.outer, below_all);
	visit(walk, plan->righttree, demand.inner, below_all);
	visit_others(walk, plan);
}

/* The table that an entry is a part of. */
static AppendRelInfo *
parent_of(const Walk *walk, Index rti)
{
	AppendRelInfo *info = walk->parents[rti];

	return info && rt_fetch(info->parent_relid, walk->statement->rtable)->rtekind == RTE_RELATION ? info : NULL;
}

/* Columns of a part as the parent's. */
static Bitmapset *
to_parent(const AppendRelInfo *info, const Bitmapset *columns)
{
	Bitmapset  *result = NULL;
	int			i = -1;

	while ((i = bms_next_member(columns, i)) >= 0)
	{
		AttrNumber	column = i + OFFSET;

		if (column <= 0)
			result = bms_add_member(result, i);
		else if (column <= info->num_child_cols && info->parent_colnos[column - 1] > 0)
			result = bms_add_member(result, info->parent_colnos[column - 1] - OFFSET);
	}
	return result;
}

static bool
names_column(const Bitmapset *columns, AttrNumber column)
{
	return bms_is_member(column - OFFSET, columns) || bms_is_member(-OFFSET, columns);
}

/* Columns of the parent as a part's. */
static Bitmapset *
to_part(const AppendRelInfo *info, const Bitmapset *columns)
{
	Bitmapset  *result = NULL;

	for (int i = 0; i < info->num_child_cols; i++)
	{
		if (info->parent_colnos[i] > 0 && names_column(columns, info->parent_colnos[i]))
			result = bms_add_member(result, i + 1 - OFFSET);
	}
	return result;
}

/*
 * What the query names of a view: a rule's OLD has it, or for rows of the view
 * that are written, the entry that is written to.  NULL if the entry is not
 * below that view.
 */
static const RangeTblEntry *
view_above(const Walk *walk, Index rti, AuthzMaskedView *view)
{
	List	   *rtable = walk->statement->rtable;
	RangeTblEntry *old;
	Relation	relation;
	bool		is_masked;
	ListCell   *lc;

	/* A view's query has OLD, NEW and its tables one after the other; a masked view has one table. */
	if (rti < 3)
		return NULL;
	old = rt_fetch(rti - 2, rtable);
	if (old->rtekind != RTE_RELATION || old->relkind != RELKIND_VIEW || rt_fetch(rti - 1, rtable)->relid != old->relid)
		return NULL;
	relation = try_relation_open(old->relid, AccessShareLock);
	if (relation == NULL)
		return NULL;
	is_masked = authz_masked_view_read(relation, view) && view->relid == rt_fetch(rti, rtable)->relid;
	relation_close(relation, NoLock);
	if (!is_masked)
		return NULL;
	if (old->requiredPerms == 0)
	{
		foreach(lc, walk->statement->resultRelations)
		{
			if (rt_fetch(lfirst_int(lc), rtable)->relid == old->relid)
				return rt_fetch(lfirst_int(lc), rtable);
		}
	}
	return old;
}

/* One column of a masked view that the query names. */
static void
add_masked(AuthzColumns *columns, Oid relid, AttrNumber column, bool is_used)
{
	AuthzPolicySet *set = authz_policyset_get(relid);
	Oid			type;
	int32		typmod;
	Oid			collation;
	Var		   *var;
	Node	   *is_masked;
	Bitmapset  *sources = NULL;

	get_atttypetypmodcoll(relid, column, &type, &typmod, &collation);
	var = makeVar(1, column, type, typmod, collation, 0);
	is_masked = authz_masking_is_masked(set, var, authz_identity_get_in_statement());
	if (!IsA(is_masked, Const))
	{
		if (is_used)
			columns->by_row = bms_add_member(columns->by_row, column - OFFSET);
	}
	else if (!DatumGetBool(((Const *) is_masked)->constvalue))
	{
		if (is_used)
			columns->clear = bms_add_member(columns->clear, column - OFFSET);
	}
	else
	{
		/* A mask that does not read the column may be shown all the same. */
		if (!is_used)
			pull_varattnos(authz_masking_value(set, var, authz_identity_get_in_statement()), 1, &sources);
		if (!bms_is_member(column - OFFSET, sources))
			columns->masked = bms_add_member(columns->masked, column - OFFSET);
	}
}

Oid
authz_reading_returned(const PlannedStmt *statement, Index rti)
{
	const RangeTblEntry *rte = rt_fetch(rti, statement->rtable);
	AuthzMaskedView view;
	Relation	relation;
	bool		is_masked;

	/* UPDATE and DELETE scan the table. */
	if (rte->relkind != RELKIND_VIEW || (rte->requiredPerms & ACL_INSERT) == 0 || (rte->requiredPerms & ACL_SELECT) == 0)
		return InvalidOid;
	relation = relation_open(rte->relid, AccessShareLock);
	is_masked = authz_masked_view_read(relation, &view);
	relation_close(relation, NoLock);
	return is_masked && authz_readaudit_recorded(view.relid, NULL) ? view.relid : InvalidOid;
}

/* A masked view that is inserted into; NULL if it returns nothing, or is not of an audited table. */
static AuthzReading *
make_returned(const Walk *walk, Index rti)
{
	const RangeTblEntry *rte = rt_fetch(rti, walk->statement->rtable);
	AuthzReading *reading = palloc0_object(AuthzReading);
	AuthzMaskedView view;
	Relation	relation;

	reading->rti = rti;
	reading->relid = authz_reading_returned(walk->statement, rti);
	if (!OidIsValid(reading->relid))
		return NULL;
	relation = relation_open(rte->relid, NoLock);
	(void) authz_masked_view_read(relation, &view);
	relation_close(relation, NoLock);
	for (int position = 1; position <= view.ncolumns; position++)
	{
		if (names_column(rte->selectedCols, position))
			add_masked(&reading->columns, reading->relid, view.columns[position - 1], true);
	}
	return reading;
}

/* Is an entry, or the part of it that is scanned, a rule's OLD: the target of a statement that the rule added this one to? */
static bool
is_old(const Walk *walk, Index rti, Index scanned)
{
	ListCell   *lc;

	if ((rt_fetch(rti, walk->statement->rtable)->requiredPerms & (ACL_UPDATE | ACL_DELETE)) == 0 ||
		list_member_int(walk->statement->resultRelations, scanned))
		return false;
	foreach(lc, walk->statement->rowMarks)
	{
		const PlanRowMark *mark = lfirst_node(PlanRowMark, lc);

		/* FOR UPDATE */
		if (mark->rti == rti && mark->strength != LCS_NONE)
			return false;
	}
	return true;
}

/* Columns of the table that an entry is of, which is scanned itself or by its part; false if the query does not read it. */
static bool
find_columns(const Walk *walk, Index rti, Index scanned, const Bitmapset *used, AuthzColumns *columns)
{
	const RangeTblEntry *rte = rt_fetch(rti, walk->statement->rtable);
	AuthzMaskedView view;
	const RangeTblEntry *named = view_above(walk, rti, &view);
	int			i = -1;

	if (named != NULL)
	{
		for (int position = 1; position <= view.ncolumns; position++)
		{
			AttrNumber	column = view.columns[position - 1];

			if (names_column(named->selectedCols, position))
				add_masked(columns, rte->relid, column, names_column(used, column));
		}
		return (named->requiredPerms & ACL_SELECT) != 0;
	}
	if (is_old(walk, rti, scanned))
	{
		columns->clear = bms_copy(used);
		return true;
	}
	if ((rte->requiredPerms & ACL_SELECT) == 0)
		return false;
	if (bms_is_member(-OFFSET, used))
		columns->clear = bms_copy(rte->selectedCols);
	else
	{
		while ((i = bms_next_member(used, i)) >= 0)
		{
			if (names_column(rte->selectedCols, i + OFFSET))
				columns->clear = bms_add_member(columns->clear, i);
		}
	}
	return true;
}

/* A node that reads a table or a part of one; NULL if that is not audited, or not read. */
static AuthzReading *
make_reading(const Walk *walk, Index rti)
{
	AuthzReading *reading = palloc0_object(AuthzReading);
	List	   *path = NIL;		/* of AppendRelInfo, down to the audited one */
	Bitmapset  *used = walk->used[rti];
	Index		top = rti;
	bool		is_audited = false;
	AppendRelInfo *info;
	ListCell   *lc;

	for (;;)
	{
		Oid			relid = rt_fetch(top, walk->statement->rtable)->relid;

		if (authz_readaudit_recorded(relid, NULL))
		{
			is_audited = true;
			reading->relid = relid;
			path = NIL;
		}
		info = parent_of(walk, top);
		if (info == NULL)
			break;
		path = lcons(info, path);
		used = to_parent(info, used);
		top = info->parent_relid;
	}
	reading->rti = rti;
	if (!is_audited || !find_columns(walk, top, rti, used, &reading->columns))
		return NULL;
	foreach(lc, path)
	{
		reading->columns.clear = to_part(lfirst(lc), reading->columns.clear);
		reading->columns.masked = to_part(lfirst(lc), reading->columns.masked);
		reading->columns.by_row = to_part(lfirst(lc), reading->columns.by_row);
	}
	return reading;
}

int
authz_reading_column_count(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			n;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	n = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
	ReleaseSysCache(tuple);
	return n;
}

bool
authz_reading_is_column(Oid relid, AttrNumber column)
{
	HeapTuple	tuple = SearchSysCacheAttNum(relid, column);

	if (!HeapTupleIsValid(tuple))
		return false;
	ReleaseSysCache(tuple);
	return true;
}

/* Attribute numbers instead of offset ones; a whole row is all columns, a system column none. */
static Bitmapset *
finish_columns(Oid relid, Bitmapset *columns)
{
	Bitmapset  *result = NULL;
	int			natts = authz_reading_column_count(relid);

	for (AttrNumber column = 1; column <= natts; column++)
	{
		if (names_column(columns, column) && authz_reading_is_column(relid, column))
			result = bms_add_member(result, column);
	}
	return result;
}

List *
authz_reading_find(const PlannedStmt *statement)
{
	int			n = list_length(statement->rtable);
	Walk		walk = {statement};
	List	   *result = NIL;
	ListCell   *lc;
	int			rti = -1;

	walk.used = palloc0_array(Bitmapset *, n + 1);
	walk.parents = palloc0_array(AppendRelInfo *, n + 1);
	foreach(lc, statement->appendRelations)
		walk.parents[lfirst_node(AppendRelInfo, lc)->child_relid] = lfirst(lc);
	visit(&walk, statement->planTree, NULL, true);
	visit_list(&walk, statement->subplans);

	while ((rti = bms_next_member(walk.scanned, rti)) >= 0)
	{
		AuthzReading *reading;

		if (rt_fetch(rti, statement->rtable)->rtekind != RTE_RELATION)
			continue;
		reading = rt_fetch(rti, statement->rtable)->relkind == RELKIND_VIEW ? make_returned(&walk, rti) : make_reading(&walk, rti);
		if (reading == NULL)
			continue;
		reading->columns.clear = finish_columns(reading->relid, reading->columns.clear);
		reading->columns.masked = finish_columns(reading->relid, reading->columns.masked);
		reading->columns.by_row = finish_columns(reading->relid, reading->columns.by_row);
		result = lappend(result, reading);
	}
	return result;
}

typedef struct Executed
{
	Bitmapset  *entries;
	bool		is_known;
} Executed;

static bool
find_executed(PlanState *state, Executed *executed)
{
	Index		rti = scanned_entry(state->plan);
	bool		is_scan = rti > 0 || IsA(state->plan, ModifyTable);
	ListCell   *lc;

	if (is_scan && state->instrument == NULL)
		executed->is_known = false;
	else if (is_scan && (state->instrument->running || state->instrument->nloops > 0))
	{
		if (rti > 0)
			executed->entries = bms_add_member(executed->entries, rti);
		else
		{
			foreach(lc, ((ModifyTable *) state->plan)->resultRelations)
				executed->entries = bms_add_member(executed->entries, lfirst_int(lc));
		}
	}
	if (IsA(state->plan, CustomScan) && rti == 0)
		executed->is_known = false;
	return planstate_tree_walker(state, find_executed, executed);
}

bool
authz_reading_executed(PlanState *state, Bitmapset **result)
{
	Executed	executed = {NULL, true};

	(void) find_executed(state, &executed);
	*result = executed.entries;
	return executed.is_known;
}
