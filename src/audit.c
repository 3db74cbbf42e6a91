/*-------------------------------------------------------------------------
 * audit.c
 *	  Triggers that record changes of audited tables.
 *
 * For each audited table there are statement triggers with transition tables,
 * ENABLE ALWAYS, which read those from the executor's tuplestores: old and new
 * rows of an UPDATE come in the same order, so no join is needed.  Only one
 * thing breaks the order: a row that moves to another partition, whose BEFORE
 * INSERT trigger then discards it.  There are fewer new rows than old ones
 * then; which old row lost its new one is not known, so all are recorded,
 * unpaired.  What MERGE needs besides is in auditmerge.c.
 *
 * Logical replication applies rows without statements and fires row triggers
 * only.  So there is a row trigger too, ENABLE REPLICA, which costs nothing
 * elsewhere; in a worker of logical replication it alone records, elsewhere
 * the others do.  TRUNCATE is a statement everywhere.
 *
 * Masked columns are recorded as everybody may see them, whoever made the
 * change: who reads the log need not be who may read the column.  Whether a
 * column changed is decided by its value; so that it changed is told.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "audited.h"
#include "auditmerge.h"
#include "catalog.h"
#include "image.h"
#include "record.h"
#include "trigger.h"

PG_FUNCTION_INFO_V1(authz_audit_statement);
PG_FUNCTION_INFO_V1(authz_audit_row);
PG_FUNCTION_INFO_V1(authz_audit_event);
PG_FUNCTION_INFO_V1(authz_is_audited);
PG_FUNCTION_INFO_V1(authz_audit_key_order);

/* One statement at work. */
typedef struct Statement
{
	AuthzAuditedTable table;
	Relation	relation;
	const char *action;
	AuthzRecorder *recorder;	/* made for the first record */
	AuthzImage	image;
	int			settings_level;
	MemoryContext context;		/* of the recorder and of what follows */
	MemoryContext scratch;		/* reset after each row */
	const AuthzImageColumn **changed;	/* room for all columns */
	EState	   *estate;			/* if there are masks, it and what follows; all by the column's index */
	ExprState **masks;
	Datum	   *values;
	bool	   *isnull;
} Statement;

static void
prepare_masks(Statement *statement)
{
	int			natts = statement->table.natts;

	statement->estate = CreateExecutorState();
	statement->masks = palloc0(natts * sizeof(ExprState *));
	statement->values = palloc_array(Datum, natts);
	statement->isnull = palloc_array(bool, natts);
	for (int i = 0; i < natts; i++)
	{
		if (statement->table.masks[i] != NULL)
			statement->masks[i] = ExecPrepareExpr((Expr *) statement->table.masks[i], statement->estate);
	}
}

static void
begin_statement(Statement *statement, Relation relation, const char *action)
{
	statement->table = authz_audited_get(relation);
	statement->relation = relation;
	statement->action = action;
	statement->recorder = NULL;
	authz_image_init(&statement->image);
	statement->settings_level = statement->table.needs_settings ? authz_image_enter_settings() : -1;
	statement->context = CurrentMemoryContext;
	statement->scratch = AllocSetContextCreate(CurrentMemoryContext, "authz audited row", ALLOCSET_DEFAULT_SIZES);
	statement->changed = palloc_array(const AuthzImageColumn *, statement->table.ncolumns + 1);
	statement->masks = NULL;
	if (statement->table.masks != NULL)
		prepare_masks(statement);
}

static AuthzRecorder *
get_recorder(Statement *statement)
{
	if (statement->recorder == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(statement->context);

		statement->recorder = authz_record_begin(authz_record_relation_name(RelationGetRelid(statement->relation)),
												 statement->table.trail, statement->action);
		MemoryContextSwitchTo(old);
	}
	return statement->recorder;
}

static void
end_statement(Statement *statement)
{
	if (statement->settings_level >= 0)
		authz_image_leave_settings(statement->settings_level);
	if (statement->recorder != NULL)
		authz_record_end(statement->recorder);
	if (statement->masks != NULL)
		FreeExecutorState(statement->estate);
	MemoryContextDelete(statement->scratch);
}

/* The values of a row as they are recorded, into statement->values; good until the next call. */
static void
mask_row(Statement *statement, TupleTableSlot *row, const AuthzImageColumn *const *columns, int n)
{
	ExprContext *context = GetPerTupleExprContext(statement->estate);

	ResetExprContext(context);
	context->ecxt_scantuple = row;
	for (int i = 0; i < n; i++)
	{
		int			index = columns[i]->index;

		statement->values[index] = row->tts_values[index];
		statement->isnull[index] = row->tts_isnull[index];
		if (statement->masks[index] != NULL)
			statement->values[index] = ExecEvalExprSwitchContext(statement->masks[index], context,
																 &statement->isnull[index]);
	}
}

/* Columns of a row as jsonb.  Every value that goes into a record passes here. */
static Datum
make_image(Statement *statement, TupleTableSlot *row, const AuthzImageColumn *const *columns, int n)
{
	const Datum *values = row->tts_values;
	const bool *isnull = row->tts_isnull;

	if (statement->masks != NULL)
	{
		mask_row(statement, row, columns, n);
		values = statement->values;
		isnull = statement->isnull;
	}
	return authz_image_build(&statement->image, columns, n, values, isnull,
							 authz_record_context(get_recorder(statement)));
}

static Datum
make_key(Statement *statement, TupleTableSlot *row)
{
	return statement->table.nkeys > 0 ?
		make_image(statement, row, statement->table.keys, statement->table.nkeys) : (Datum) 0;
}

/* Which of the columns differ: *n of them in `result`. */
static bool
find_changed(const AuthzImageColumn *const *columns, int ncolumns, TupleTableSlot *old_row, TupleTableSlot *new_row,
			 const AuthzImageColumn **result, int *n)
{
	*n = 0;
	for (int i = 0; i < ncolumns; i++)
	{
		int			index = columns[i]->index;

		if (!authz_image_equal(columns[i], old_row->tts_values[index], old_row->tts_isnull[index],
							   new_row->tts_values[index], new_row->tts_isnull[index]))
			result[(*n)++] = columns[i];
	}
	return *n > 0;
}

/*
 * Record what became of one row; either may be NULL.  Of an updated row only
 * the changed columns, but all old ones where no key tells which row it was.
 */
static void
record_row(Statement *statement, TupleTableSlot *old_row, TupleTableSlot *new_row)
{
	const AuthzAuditedTable *table = &statement->table;
	AuthzChange change = {0};
	MemoryContext old;
	int			n;

	old = MemoryContextSwitchTo(statement->scratch);
	if (old_row != NULL)
		slot_getallattrs(old_row);
	if (new_row != NULL)
		slot_getallattrs(new_row);

	if (old_row != NULL && new_row != NULL)
	{
		const AuthzImageColumn **rest = palloc_array(const AuthzImageColumn *, Max(table->nexcluded, table->nkeys) + 1);
		int			nrest;

		/* Also a change of excluded columns only is a change, of which no value is told. */
		if (find_changed(table->columns, table->ncolumns, old_row, new_row, statement->changed, &n) ||
			find_changed(table->excluded, table->nexcluded, old_row, new_row, rest, &nrest))
		{
			change.key = make_key(statement, new_row);
			if (find_changed(table->keys, table->nkeys, old_row, new_row, rest, &nrest))
				change.old_key = make_key(statement, old_row);
			change.old_values = table->nkeys > 0 ?
				make_image(statement, old_row, statement->changed, n) :
				make_image(statement, old_row, table->columns, table->ncolumns);
			change.new_values = make_image(statement, new_row, statement->changed, n);
			authz_record_add(get_recorder(statement), &change);
		}
	}
	else
	{
		change.key = make_key(statement, new_row != NULL ? new_row : old_row);
		if (old_row != NULL)
			change.old_values = make_image(statement, old_row, table->columns, table->ncolumns);
		else
			change.new_values = make_image(statement, new_row, table->columns, table->ncolumns);
		authz_record_add(get_recorder(statement), &change);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(statement->scratch);
}

/*
 * The next row of a transition table.  Read pointer 0 is nobody's: queries that
 * read it by name make their own.
 */
static bool
next_row(Tuplestorestate *store, TupleTableSlot *slot)
{
	tuplestore_select_read_pointer(store, 0);
	return tuplestore_gettupleslot(store, true, false, slot);
}

static void
rewind_rows(Tuplestorestate *store)
{
	tuplestore_select_read_pointer(store, 0);
	tuplestore_rescan(store);
}

static void
record_rows(Statement *statement, Tuplestorestate *store, bool is_new)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(statement->relation), &TTSOpsMinimalTuple);

	rewind_rows(store);
	while (next_row(store, slot))
	{
		CHECK_FOR_INTERRUPTS();
		record_row(statement, is_new ? NULL : slot, is_new ? slot : NULL);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
record_pairs(Statement *statement, Tuplestorestate *old_store, Tuplestorestate *new_store)
{
	TupleTableSlot *old_slot;
	TupleTableSlot *new_slot;

	if (tuplestore_tuple_count(old_store) != tuplestore_tuple_count(new_store))
	{
		record_rows(statement, old_store, false);
		record_rows(statement, new_store, true);
		return;
	}
	old_slot = MakeSingleTupleTableSlot(RelationGetDescr(statement->relation), &TTSOpsMinimalTuple);
	new_slot = MakeSingleTupleTableSlot(RelationGetDescr(statement->relation), &TTSOpsMinimalTuple);
	rewind_rows(old_store);
	rewind_rows(new_store);
	while (next_row(old_store, old_slot) && next_row(new_store, new_slot))
	{
		CHECK_FOR_INTERRUPTS();
		record_row(statement, old_slot, new_slot);
	}
	ExecDropSingleTupleTableSlot(old_slot);
	ExecDropSingleTupleTableSlot(new_slot);
}

/* A trigger that was made otherwise than authz.audit does would record nothing, or wrongly. */
static void
require_after(TriggerData *trigger, bool is_statement, bool is_complete)
{
	if (!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		is_statement != (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) != 0) || !is_complete)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" of table \"%s\" is not as authz.audit makes it",
						trigger->tg_trigger->tgname, RelationGetRelationName(trigger->tg_relation)),
				 errhint("Drop it, and call authz.audit for the table.")));
}

/* AFTER statement trigger of audited tables. */
Datum
authz_audit_statement(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "audit_statement");
	Relation	relation = trigger->tg_relation;
	Statement	statement;
	int64		rows;

	require_after(trigger, true,
				  TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) ||
				  ((TRIGGER_FIRED_BY_INSERT(trigger->tg_event) || trigger->tg_oldtable != NULL) &&
				   (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) || trigger->tg_newtable != NULL)));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		AuthzChange change = {0};

		begin_statement(&statement, relation, "truncate");
		authz_record_add(get_recorder(&statement), &change);
		end_statement(&statement);
		return PointerGetDatum(NULL);
	}
	if (IsLogicalWorker())
		return PointerGetDatum(NULL);
	rows = tuplestore_tuple_count(trigger->tg_oldtable ? trigger->tg_oldtable : trigger->tg_newtable);
	authz_auditmerge_note(trigger, rows);
	if (rows == 0)
		return PointerGetDatum(NULL);

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		begin_statement(&statement, relation, "insert");
		record_rows(&statement, trigger->tg_newtable, true);
	}
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		begin_statement(&statement, relation, "delete");
		record_rows(&statement, trigger->tg_oldtable, false);
	}
	else
	{
		begin_statement(&statement, relation, "update");
		record_pairs(&statement, trigger->tg_oldtable, trigger->tg_newtable);
	}
	end_statement(&statement);
	return PointerGetDatum(NULL);
}

/* AFTER row trigger of audited tables, for workers of logical replication. */
Datum
authz_audit_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "audit_row");
	Statement	statement;

	require_after(trigger, false, true);
	if (!IsLogicalWorker())
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		begin_statement(&statement, trigger->tg_relation, "insert");
		record_row(&statement, NULL, trigger->tg_trigslot);
	}
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		begin_statement(&statement, trigger->tg_relation, "delete");
		record_row(&statement, trigger->tg_trigslot, NULL);
	}
	else
	{
		begin_statement(&statement, trigger->tg_relation, "update");
		record_row(&statement, trigger->tg_trigslot, trigger->tg_newslot);
	}
	end_statement(&statement);
	return PointerGetDatum(NULL);
}

/*
 * audit_event(relation text, trail bigint, action text, old_values jsonb,
 * new_values jsonb) -> void: a record of what is done to the audit itself.
 */
Datum
authz_audit_event(PG_FUNCTION_ARGS)
{
	AuthzRecorder *recorder;
	AuthzChange change = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		elog(ERROR, "event without a name");
	recorder = authz_record_begin(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1),
								  text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (!PG_ARGISNULL(3))
		change.old_values = JsonbPGetDatum(PG_GETARG_JSONB_P(3));
	if (!PG_ARGISNULL(4))
		change.new_values = JsonbPGetDatum(PG_GETARG_JSONB_P(4));
	authz_record_add(recorder, &change);
	authz_record_end(recorder);
	PG_RETURN_VOID();
}

/* is_audited(relation oid) -> boolean: by a catalog snapshot, so also what the transaction's does not see */
Datum
authz_is_audited(PG_FUNCTION_ARGS)
{
	AuthzAudited audited;

	PG_RETURN_BOOL(authz_catalog_audited(PG_GETARG_OID(0), &audited));
}

/*
 * audit_key_order(key jsonb) -> bigint, immutable: where an index has a key.
 * Equal keys have the same.  A key that is one number stands where the number
 * does, so that rows made one after the other are indexed side by side, which
 * halves the time of a bulk load; other keys by their hash.
 */
Datum
authz_audit_key_order(PG_FUNCTION_ARGS)
{
	Jsonb	   *key = PG_GETARG_JSONB_P(0);
	JsonbIterator *iterator = JsonbIteratorInit(&key->root);
	JsonbValue	value;

	if (JB_ROOT_IS_OBJECT(key) && JB_ROOT_COUNT(key) == 1 &&
		JsonbIteratorNext(&iterator, &value, true) == WJB_BEGIN_OBJECT &&
		JsonbIteratorNext(&iterator, &value, true) == WJB_KEY &&
		JsonbIteratorNext(&iterator, &value, true) == WJB_VALUE &&
		value.type == jbvNumeric)
	{
		char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));

		if (strcspn(text, ".") <= 18)
			PG_RETURN_INT64(strtoll(text, NULL, 10));
	}
	PG_RETURN_DATUM(DirectFunctionCall2(jsonb_hash_extended, JsonbPGetDatum(key), Int64GetDatum(0)));
}
