/*-------------------------------------------------------------------------
 * write.c
 *	  The INSTEAD OF trigger of masked views: what changed in a row of the view
 *	  is written to the table.
 *
 * What the caller read was masked: a row is written only if the view would still
 * show all of it as it did.  Other transactions cannot have changed the row, it
 * was locked before it came here (viewlock.c).  But masks or policies may have
 * changed, or a trigger or function of this statement; that is a serialization
 * failure.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "parser/parsetree.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "columns.h"
#include "masked_view.h"
#include "masking.h"
#include "trigger.h"
#include "write.h"
#include "writeplan.h"

/* Bytes of a json value up to which it is compared as jsonb; longer ones as they are. */
#define MAX_COMPARED_JSON	100000

static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static QueryDesc *running = NULL;	/* the innermost */

/* Takes the first row of a statement in the form of the view, or of what AUTHZ_WRITE_EXPLAIN returns. */
typedef struct RowReceiver
{
	DestReceiver base;
	MemoryContext context;
	TupleDesc	descriptor;		/* NULL: the statement's own */
	HeapTuple	row;
} RowReceiver;

static bool
receive_row(TupleTableSlot *slot, DestReceiver *base)
{
	RowReceiver *receiver = (RowReceiver *) base;
	MemoryContext outer;

	if (receiver->row)
		return true;
	outer = MemoryContextSwitchTo(receiver->context);
	slot_getallattrs(slot);
	if (receiver->descriptor == NULL)
		receiver->descriptor = CreateTupleDescCopy(slot->tts_tupleDescriptor);
	receiver->row = heap_form_tuple(receiver->descriptor, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(outer);
	return true;
}

static void
start_receiving(DestReceiver *base, int operation, TupleDesc type)
{
}

static void
end_receiving(DestReceiver *base)
{
}

/* Run a statement and return how many rows it wrote or read. */
static uint64
run(AuthzWrite *write, Relation view, AuthzWriteKind kind, const Bitmapset *set, RowReceiver *receiver)
{
	const AuthzStatement *statement = authz_writeplan_get(write, view, kind, set);
	QueryDesc  *query;
	uint64		processed;

	receiver->base.receiveSlot = receive_row;
	receiver->base.rStartup = start_receiving;
	receiver->base.rShutdown = end_receiving;
	receiver->base.rDestroy = end_receiving;
	receiver->base.mydest = DestNone;
	receiver->context = CurrentMemoryContext;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	query = CreateQueryDesc(statement->plan, "authz.write_masked_view", GetActiveSnapshot(), InvalidSnapshot,
							&receiver->base, write->params, NULL, 0);
	/* What comes after the table's rows are written comes after the whole statement on the view, as on a table. */
	ExecutorStart(query, EXEC_FLAG_SKIP_TRIGGERS);
	ExecutorRun(query, ForwardScanDirection, 0, true);
	processed = query->estate->es_processed;
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	PopActiveSnapshot();
	if (processed > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("more than one row of table %s has the key of the row to be written", write->table)));
	return processed;
}

static void
require_key(AuthzWrite *write, Relation view)
{
	MemoryContext outer = MemoryContextSwitchTo(write->context);

	if (write->key == NULL)
		write->key = authz_masked_view_require_key(&write->view, RelationGetRelationName(view));
	MemoryContextSwitchTo(outer);
}

/* Does a plan, or a part of it that writes by itself, return or check rows that it wrote to the view? */
static bool
returns_from(const PlannedStmt *statement, Plan *plan, Oid viewid)
{
	ModifyTable *modify = (ModifyTable *) plan;

	return plan && IsA(plan, ModifyTable) && (modify->returningLists != NIL || modify->withCheckOptionLists != NIL) &&
		rt_fetch(linitial_int(modify->resultRelations), statement->rtable)->relid == viewid;
}

/*
 * What an INSERT names, and whether it has RETURNING.  Both decide what policies
 * it needs, and a trigger is told neither.  COPY is no query: it gives all that
 * is not NULL, and gets nothing back.
 */
static void
look_at_statement(AuthzWrite *write, Relation view)
{
	const PlannedStmt *statement = running ? running->plannedstmt : NULL;
	ListCell   *lc;

	if (statement == NULL)
		return;
	foreach(lc, statement->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		int			column = -1;

		if (rte->rtekind != RTE_RELATION || rte->relid != RelationGetRelid(view))
			continue;
		while ((column = bms_next_member(rte->insertedCols, column)) >= 0)
			write->named = bms_add_member(write->named, column + FirstLowInvalidHeapAttributeNumber - 1);
	}
	write->has_returning = returns_from(statement, statement->planTree, RelationGetRelid(view));
	foreach(lc, statement->subplans)
		write->has_returning |= returns_from(statement, lfirst(lc), RelationGetRelid(view));
}

static AuthzWrite *
begin_write(TriggerData *trigger, MemoryContext context)
{
	Relation	view = trigger->tg_relation;
	TupleDesc	descriptor = RelationGetDescr(view);
	MemoryContext outer = MemoryContextSwitchTo(context);
	AuthzWrite *write = palloc0_object(AuthzWrite);

	if (!TRIGGER_FIRED_INSTEAD(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!authz_masked_view_read(view, &write->view))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" is not a masked view as authz makes them", RelationGetRelationName(view)),
				 errhint("authz.masked_view_status() says what is wrong with it.")));
	authz_masked_view_check_owner(write->view.relid, view->rd_rel->relowner);
	write->context = context;
	write->table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(write->view.relid)),
											  get_rel_name(write->view.relid));
	write->command = GetCurrentCommandId(false);
	look_at_statement(write, view);
	write->names = palloc_array(char *, write->view.ncolumns);
	write->collations = palloc_array(Oid, write->view.ncolumns);
	write->params = makeParamList(2 * write->view.ncolumns);
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		write->names[i] = pstrdup(quote_identifier(get_attname(write->view.relid, write->view.columns[i], false)));
		write->collations[i] = TupleDescAttr(descriptor, i)->attcollation;
		write->params->params[i].ptype = TupleDescAttr(descriptor, i)->atttypid;
		write->params->params[write->view.ncolumns + i].ptype = TupleDescAttr(descriptor, i)->atttypid;
	}
	MemoryContextSwitchTo(outer);
	return write;
}

/* Bind a row of the view to the parameters from `first` on. */
static void
bind_row(AuthzWrite *write, Relation view, HeapTuple row, int first)
{
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		ParamExternData *param = &write->params->params[first + i];

		param->value = heap_getattr(row, i + 1, RelationGetDescr(view), &param->isnull);
	}
}

/* Can jsonb hold it for sure?  Escapes and exponents may be too much for it. */
static bool
is_plain_json(const char *text)
{
	for (const char *at = text; *at; at++)
	{
		if (*at == '\\' || ((*at == 'e' || *at == 'E') && at > text && isdigit((unsigned char) at[-1])))
			return false;
	}
	return strlen(text) < MAX_COMPARED_JSON;
}

/* json has no equality of its own, and clients write it anew. */
static bool
is_equal_json(Datum old, Datum new)
{
	char	   *texts[] = {TextDatumGetCString(old), TextDatumGetCString(new)};

	return is_plain_json(texts[0]) && is_plain_json(texts[1]) &&
		DatumGetBool(DirectFunctionCall2(jsonb_eq,
										 DirectFunctionCall1(jsonb_in, CStringGetDatum(texts[0])),
										 DirectFunctionCall1(jsonb_in, CStringGetDatum(texts[1]))));
}

/* Equal for its type, as a client may send a value back; text is what it is byte by byte. */
static bool
is_equal(const ParamExternData *old, const ParamExternData *new)
{
	TypeCacheEntry *type = lookup_type_cache(old->ptype, TYPECACHE_EQ_OPR_FINFO);
	Oid			base = getBaseType(old->ptype);

	if (base == JSONOID)
		return is_equal_json(old->value, new->value);
	if (!OidIsValid(type->eq_opr_finfo.fn_oid) || (OidIsValid(type->typcollation) && base != BPCHAROID))
		return false;
	return DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, type->typcollation, old->value, new->value));
}

/* Columns of the view in which the new row differs from the one that was shown. */
typedef struct Changes
{
	Bitmapset  *changed;		/* another value */
	Bitmapset  *rewritten;		/* an equal value of another form */
} Changes;

static Changes
find_changes(AuthzWrite *write)
{
	Changes		changes = {NULL, NULL};

	for (int i = 0; i < write->view.ncolumns; i++)
	{
		ParamExternData *old = &write->params->params[i];
		ParamExternData *new = &write->params->params[write->view.ncolumns + i];
		int16		length;
		bool		by_value;

		get_typlenbyval(old->ptype, &length, &by_value);
		if (old->isnull && new->isnull)
			continue;
		if (old->isnull != new->isnull)
			changes.changed = bms_add_member(changes.changed, i);
		else if (datum_image_eq(old->value, new->value, by_value, length))
			continue;
		else if (is_equal(old, new))
			changes.rewritten = bms_add_member(changes.rewritten, i);
		else
			changes.changed = bms_add_member(changes.changed, i);
	}
	return changes;
}

/* Does any policy permit to set the column? */
static bool
is_covered(const AuthzWrite *write, AttrNumber column)
{
	return authz_policyset_uncovered(authz_policyset_get(write->view.relid), AUTHZ_ACTION_UPDATE, authz_identity_get(),
									 bms_make_singleton(column - FirstLowInvalidHeapAttributeNumber)) == InvalidAttrNumber;
}

/*
 * The columns of a set that this identity sees clear in every row, so that what
 * it read of them is what is there, and that it may set.
 */
static Bitmapset *
clear_columns(const AuthzWrite *write, const Bitmapset *set)
{
	Bitmapset  *clear = NULL;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
	{
		if (authz_masking_is_clear(write->view.relid, write->view.columns[i]) && is_covered(write, write->view.columns[i]))
			clear = bms_add_member(clear, i);
	}
	return clear;
}

/* Has the table values of its own for a column, whatever its default is? */
static bool
is_computed(const AuthzWrite *write, int i)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(write->view.relid),
										Int16GetDatum(write->view.columns[i]));
	Form_pg_attribute attribute = (Form_pg_attribute) GETSTRUCT(tuple);
	bool		result = attribute->attidentity || attribute->attgenerated;

	ReleaseSysCache(tuple);
	return result;
}

/* Columns of a new row that the table is not to choose: those that are named, but for DEFAULT where only the table has one. */
static Bitmapset *
given_columns(AuthzWrite *write, Relation view)
{
	Bitmapset  *given = NULL;

	for (int i = 0; i < write->view.ncolumns; i++)
	{
		bool		isnull = write->params->params[write->view.ncolumns + i].isnull;

		/* Not named, not NULL, and no default of this view: that of a view above it. */
		if (write->named && (bms_is_member(i, write->named) || TupleDescAttr(RelationGetDescr(view), i)->atthasdef) ?
			bms_is_member(i, write->named) && !(isnull && is_computed(write, i)) : !isnull)
			given = bms_add_member(given, i);
	}
	return given;
}

static bool
get_flag(const RowReceiver *receiver, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(receiver->row, column, receiver->descriptor, &isnull);

	return !isnull && DatumGetBool(value);
}

static bool
is_written_by_statement(const AuthzWrite *write, const RowReceiver *receiver)
{
	bool		isnull;
	TransactionId xmin = DatumGetTransactionId(heap_getattr(receiver->row, 2, receiver->descriptor, &isnull));
	CommandId	cmin = DatumGetCommandId(heap_getattr(receiver->row, 3, receiver->descriptor, &isnull));

	return TransactionIdIsCurrentTransactionId(xmin) && cmin >= write->command;
}

/*
 * No row was written.  Returns if there is none for this statement any more, or
 * none that may be written at all, as a statement on the table would not find
 * it, or if a trigger of the table would not have it.
 */
static void
explain_nothing(AuthzWrite *write, Relation view, Bitmapset *set)
{
	RowReceiver receiver = {0};
	int			position = -1;

	if (run(write, view, AUTHZ_WRITE_EXPLAIN, set, &receiver) == 0)
		return;
	if (!get_flag(&receiver, 1))
	{
		/* A row that the statement meets twice is written once, as on a table. */
		if (is_written_by_statement(write, &receiver))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not write to view \"%s\" because of a concurrent change of the row",
						RelationGetRelationName(view)),
				 errhint("Run the transaction again.")));
	}
	if (bms_is_empty(set) || !get_flag(&receiver, 4) || get_flag(&receiver, 5))
		return;
	for (int column = 6; (position = bms_next_member(set, position)) >= 0; column++)
	{
		if (!get_flag(&receiver, column))
			authz_columns_refuse(AUTHZ_ACTION_UPDATE, write->view.relid,
								 get_attname(write->view.relid, write->view.columns[position], false),
								 "No policy permits this identity to set it in this row.");
	}
}

static HeapTuple
insert_row(AuthzWrite *write, Relation view, HeapTuple row)
{
	TupleDesc	descriptor = RelationGetDescr(view);
	RowReceiver receiver = {.descriptor = descriptor};
	Datum	   *values;
	bool	   *nulls;

	bind_row(write, view, row, write->view.ncolumns);
	if (run(write, view, AUTHZ_WRITE_INSERT, given_columns(write, view), &receiver) == 0)
		return NULL;			/* a trigger of the table would not have it */
	if (receiver.row)
		return receiver.row;

	values = palloc0_array(Datum, write->view.ncolumns);
	nulls = palloc_array(bool, write->view.ncolumns);
	memset(nulls, true, write->view.ncolumns);
	return heap_form_tuple(descriptor, values, nulls);
}

static bool
update_columns(AuthzWrite *write, Relation view, const Bitmapset *set, RowReceiver *receiver)
{
	return run(write, view, bms_is_empty(set) ? AUTHZ_WRITE_LOCK : AUTHZ_WRITE_UPDATE, set, receiver) > 0;
}

static HeapTuple
update_row(AuthzWrite *write, Relation view, HeapTuple old, HeapTuple new)
{
	RowReceiver receiver = {.descriptor = RelationGetDescr(view)};
	Changes		changes;
	Bitmapset  *all;

	bind_row(write, view, old, 0);
	bind_row(write, view, new, write->view.ncolumns);
	require_key(write, view);

	/* 1.50 for 1.5 is written where it may be; it is no reason to refuse the rest, and no change of a mask. */
	changes = find_changes(write);
	all = bms_union(changes.changed, clear_columns(write, changes.rewritten));
	if (update_columns(write, view, all, &receiver) ||
		(!bms_equal(all, changes.changed) && update_columns(write, view, changes.changed, &receiver)))
		return receiver.row ? receiver.row : new;
	explain_nothing(write, view, changes.changed);
	return NULL;
}

static HeapTuple
delete_row(AuthzWrite *write, Relation view, HeapTuple old)
{
	RowReceiver receiver = {0};

	bind_row(write, view, old, 0);
	require_key(write, view);
	if (run(write, view, AUTHZ_WRITE_DELETE, NULL, &receiver) > 0)
		return old;
	explain_nothing(write, view, NULL);
	return NULL;
}

PG_FUNCTION_INFO_V1(authz_write_masked_view);

/* INSTEAD OF INSERT OR UPDATE OR DELETE row trigger of a masked view */
Datum
authz_write_masked_view(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "write_masked_view");
	Relation	view = trigger->tg_relation;
	AuthzWrite *write = fcinfo->flinfo->fn_extra;

	if (write == NULL)
		fcinfo->flinfo->fn_extra = write = begin_write(trigger, fcinfo->flinfo->fn_mcxt);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return PointerGetDatum(insert_row(write, view, trigger->tg_trigtuple));
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return PointerGetDatum(update_row(write, view, trigger->tg_trigtuple, trigger->tg_newtuple));
	return PointerGetDatum(delete_row(write, view, trigger->tg_trigtuple));
}

static void
write_executor_run(QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once)
{
	QueryDesc  *outer = running;

	running = query;
	PG_TRY();
	{
		if (prev_executor_run)
			prev_executor_run(query, direction, count, execute_once);
		else
			standard_ExecutorRun(query, direction, count, execute_once);
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();
}

/* A part of WITH that writes, and that nobody reads, runs here. */
static void
write_executor_finish(QueryDesc *query)
{
	QueryDesc  *outer = running;

	running = query;
	PG_TRY();
	{
		if (prev_executor_finish)
			prev_executor_finish(query);
		else
			standard_ExecutorFinish(query);
	}
	PG_FINALLY();
	{
		running = outer;
	}
	PG_END_TRY();
}

void
authz_write_init(void)
{
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = write_executor_run;
	prev_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = write_executor_finish;
}
