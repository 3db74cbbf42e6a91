/*-------------------------------------------------------------------------
 * write.c
 *	  The INSTEAD OF trigger of masked views: what changed in a row of the view
 *	  is written to the table.
 *
 * The statements on the table are made as the rewriter makes them of an
 * updatable view: permissions and row security are those of the view's owner,
 * everything else (triggers of the table, functions, current_user) is the
 * caller's.  So policies decide, by the columns that really change.
 *
 * What the caller read was masked, and may be old: a row is written only if the
 * view would still show all of it as it did.  With an ordinary view a
 * concurrent change would have the statement's WHERE looked at again; from here
 * nobody can, so that is a serialization failure.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "rewrite/rewriteDefine.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "condition.h"
#include "masked_view.h"
#include "masking.h"
#include "trigger.h"

/* A statement on the table, planned for an identity and the policies of a moment. */
typedef struct Statement
{
	CmdType		command;		/* CMD_SELECT: why a row was not written; an UPDATE that sets nothing: lock it */
	Bitmapset  *set;			/* columns of the view that it sets, from 0 */
	uint64		signature;		/* of the identity */
	uint64		serial;			/* of the policies */
	PlannedStmt *plan;
	MemoryContext context;		/* holds this struct */
} Statement;

/* What is kept for one statement on the view. */
typedef struct Write
{
	AuthzMaskedView view;
	char	   *table;			/* qualified and quoted */
	char	  **names;			/* of the table's columns by position in the view, quoted */
	Bitmapset  *key;			/* columns of the view that tell a row; NULL if not looked for or none */
	List	   *statements;		/* of Statement * */
	ParamListInfo params;		/* $1.. the row as it was shown, then the row as it is to be */
	MemoryContext context;
} Write;

/* Takes the first row of a statement in the form of the view, or of what CMD_SELECT returns. */
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
run(Write *write, const Statement *statement, RowReceiver *receiver)
{
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
	ExecutorStart(query, 0);
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

/* authz.masked(t.<column>, ...): what the view shows of a column */
static void
append_shown(StringInfo text, const Write *write, int i)
{
	appendStringInfo(text, "authz.masked(t.%s, %s, t.tableoid)", write->names[i],
					 quote_literal_cstr(get_attname(write->view.relid, write->view.columns[i], false)));
}

/* OPERATOR(<schema>.=) of a column's type, or NULL if it has none. */
static char *
equality(const Write *write, int i)
{
	TypeCacheEntry *type = lookup_type_cache(write->params->params[i].ptype, TYPECACHE_EQ_OPR);
	HeapTuple	tuple;
	Form_pg_operator operator;
	char	   *result;

	if (!OidIsValid(type->eq_opr))
		return NULL;
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(type->eq_opr));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", type->eq_opr);
	operator = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(operator->oprnamespace)),
					  NameStr(operator->oprname));
	ReleaseSysCache(tuple);
	return result;
}

static void
append_key(StringInfo text, const Write *write)
{
	int			i = -1;
	const char *separator = "";

	while ((i = bms_next_member(write->key, i)) >= 0)
	{
		appendStringInfo(text, "%st.%s %s $%d", separator, write->names[i], equality(write, i), i + 1);
		separator = " AND ";
	}
}

/* Would the view show the row as it did?  Columns whose type has no equality are not looked at. */
static void
append_unchanged(StringInfo text, const Write *write)
{
	appendStringInfoString(text, "true");
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		char	   *operator = equality(write, i);

		if (operator == NULL || bms_is_member(i, write->key))
			continue;
		appendStringInfoString(text, " AND (");
		append_shown(text, write, i);
		appendStringInfo(text, " %s $%d OR (", operator, i + 1);
		append_shown(text, write, i);
		appendStringInfo(text, " IS NULL AND $%d IS NULL))", i + 1);
	}
}

static void
append_returning(StringInfo text, const Write *write)
{
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		appendStringInfoString(text, i == 0 ? " RETURNING " : ", ");
		append_shown(text, write, i);
	}
}

/* One RETURNING row needs a policy for select: an identity without any may still insert. */
static bool
may_select(Oid relid)
{
	List	   *rules = authz_policyset_rules(authz_policyset_get(relid), AUTHZ_ACTION_SELECT,
											  authz_identity_get(), NULL);
	ListCell   *lc;

	foreach(lc, rules)
	{
		if (((AuthzRule *) lfirst(lc))->effect == AUTHZ_PERMIT)
			return true;
	}
	return false;
}

static char *
insert_text(const Write *write, Bitmapset *set)
{
	StringInfoData text;
	int			i = -1;

	initStringInfo(&text);
	appendStringInfo(&text, "INSERT INTO %s AS t", write->table);
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, "%s%s", bms_next_member(set, -1) == i ? " (" : ", ", write->names[i]);
	i = -1;
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, "%s$%d", bms_next_member(set, -1) == i ? ") VALUES (" : ", ",
						 write->view.ncolumns + i + 1);
	appendStringInfoString(&text, bms_is_empty(set) ? " DEFAULT VALUES" : ")");
	if (may_select(write->view.relid))
		append_returning(&text, write);
	return text.data;
}

static char *
update_text(const Write *write, Bitmapset *set)
{
	StringInfoData text;
	int			i = -1;

	initStringInfo(&text);
	appendStringInfo(&text, "UPDATE %s AS t SET", write->table);
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, "%s %s = $%d", bms_next_member(set, -1) == i ? "" : ",",
						 write->names[i], write->view.ncolumns + i + 1);
	appendStringInfoString(&text, " WHERE ");
	append_key(&text, write);
	appendStringInfoString(&text, " AND ");
	append_unchanged(&text, write);
	append_returning(&text, write);
	return text.data;
}

/* May the row be updated, and would the view show it as it did?  Then it is locked, as an UPDATE would. */
static char *
lock_text(const Write *write)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		appendStringInfoString(&text, i == 0 ? "SELECT " : ", ");
		append_shown(&text, write, i);
	}
	appendStringInfo(&text, " FROM %s AS t WHERE ", write->table);
	append_key(&text, write);
	appendStringInfoString(&text, " AND ");
	append_unchanged(&text, write);
	appendStringInfoString(&text, " FOR NO KEY UPDATE OF t");
	return text.data;
}

static char *
delete_text(const Write *write)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "DELETE FROM %s AS t WHERE ", write->table);
	append_key(&text, write);
	appendStringInfoString(&text, " AND ");
	append_unchanged(&text, write);
	return text.data;
}

/*
 * Why was a row not written?  Columns: is it as it was shown; was it written by
 * this transaction; may it be updated at all; then for each column of the set,
 * may it be.
 */
static char *
reason_text(const Write *write, Bitmapset *set)
{
	StringInfoData text;
	int			i = -1;

	initStringInfo(&text);
	appendStringInfoString(&text, "SELECT ");
	append_unchanged(&text, write);
	appendStringInfoString(&text, ", t.xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid, authz.permits_row('update', t, '{}')");
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, ", authz.permits_row('update', t, ARRAY[%s]::name[])",
						 quote_literal_cstr(get_attname(write->view.relid, write->view.columns[i], false)));
	appendStringInfo(&text, " FROM %s AS t WHERE ", write->table);
	append_key(&text, write);
	return text.data;
}

static char *
statement_text(const Write *write, CmdType command, Bitmapset *set)
{
	if (command == CMD_INSERT)
		return insert_text(write, set);
	if (command == CMD_UPDATE)
		return bms_is_empty(set) ? lock_text(write) : update_text(write, set);
	if (command == CMD_DELETE)
		return delete_text(write);
	return reason_text(write, set);
}

/*
 * The caller need not be able to name the table, hence the superuser for the
 * analysis: it resolves names and runs nothing.  Rewriting and planning are his again.
 */
static Query *
analyse(const Write *write, const char *text, Oid view_owner)
{
	Oid			types[2 * MaxHeapAttributeNumber];
	Query	   *query;
	Oid			user;
	int			context;
	int			level = authz_condition_enter_canonical();

	for (int i = 0; i < write->params->numParams; i++)
		types[i] = write->params->params[i].ptype;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	query = parse_analyze_fixedparams(linitial_node(RawStmt, raw_parser(text, RAW_PARSE_DEFAULT)), text,
									  types, write->params->numParams, NULL);
	SetUserIdAndSecContext(user, context);
	authz_condition_leave_canonical(level);

	setRuleCheckAsUser((Node *) query, view_owner);
	return linitial_node(Query, QueryRewrite(query));
}

static bool
is_current(const Statement *statement, const Write *write)
{
	return statement->signature == authz_identity_get()->signature &&
		statement->serial == authz_policyset_serial(authz_policyset_get(write->view.relid));
}

/* The statement that does something with a row, planned if it is not yet. */
static Statement *
get_statement(Write *write, Relation view, CmdType command, Bitmapset *set)
{
	MemoryContext context;
	MemoryContext outer;
	Statement  *statement;
	ListCell   *lc;

	foreach(lc, write->statements)
	{
		statement = lfirst(lc);
		if (statement->command != command || !bms_equal(statement->set, set))
			continue;
		if (is_current(statement, write))
			return statement;
		write->statements = foreach_delete_current(write->statements, lc);
		MemoryContextDelete(statement->context);
	}

	context = AllocSetContextCreate(write->context, "authz view write", ALLOCSET_SMALL_SIZES);
	outer = MemoryContextSwitchTo(context);
	statement = palloc0_object(Statement);
	statement->context = context;
	statement->command = command;
	statement->set = bms_copy(set);
	statement->signature = authz_identity_get()->signature;
	statement->serial = authz_policyset_serial(authz_policyset_get(write->view.relid));
	statement->plan = pg_plan_query(analyse(write, statement_text(write, command, set), view->rd_rel->relowner),
									"authz.write_masked_view", 0, NULL);
	MemoryContextSwitchTo(write->context);
	write->statements = lappend(write->statements, statement);
	MemoryContextSwitchTo(outer);
	return statement;
}

/* The position of a table's column in the view, or -1. */
static int
position_in_view(const Write *write, AttrNumber column)
{
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		if (write->view.columns[i] == column)
			return i;
	}
	return -1;
}

/* The columns of an index if they tell a row of the view apart: known, never NULL, and as they are. */
static Bitmapset *
key_of_index(const Write *write, Relation table, Form_pg_index index)
{
	Bitmapset  *key = NULL;

	for (int i = 0; i < index->indnkeyatts; i++)
	{
		AttrNumber	column = index->indkey.values[i];
		int			position = column > 0 ? position_in_view(write, column) : -1;

		if (position < 0 || !TupleDescAttr(RelationGetDescr(table), column - 1)->attnotnull ||
			!authz_masking_is_clear(write->view.relid, column))
			return NULL;
		key = bms_add_member(key, position);
	}
	return key;
}

/* The primary key, or else a unique index. */
static Bitmapset *
find_key(const Write *write)
{
	Relation	table = table_open(write->view.relid, AccessShareLock);
	Bitmapset  *key = NULL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(table))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

		if (index->indisunique && index->indimmediate && index->indisvalid && (key == NULL || index->indisprimary) &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL) && heap_attisnull(tuple, Anum_pg_index_indexprs, NULL))
		{
			Bitmapset  *found = key_of_index(write, table, index);

			key = found ? found : key;
		}
		ReleaseSysCache(tuple);
	}
	table_close(table, AccessShareLock);
	return key;
}

static void
require_key(Write *write, Relation view)
{
	MemoryContext outer = MemoryContextSwitchTo(write->context);

	write->key = find_key(write);
	MemoryContextSwitchTo(outer);
	if (write->key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of view \"%s\" cannot be told apart to be written", RelationGetRelationName(view)),
				 errdetail("It would need a primary key, or a unique index on columns that are NOT NULL, "
						   "that the view has and this identity sees unmasked in every row.")));
}

static Write *
begin_write(TriggerData *trigger, MemoryContext context)
{
	Relation	view = trigger->tg_relation;
	TupleDesc	descriptor = RelationGetDescr(view);
	MemoryContext outer = MemoryContextSwitchTo(context);
	Write	   *write = palloc0_object(Write);

	if (!TRIGGER_FIRED_INSTEAD(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!authz_masked_view_read(view, &write->view))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" is not a masked view as authz makes them", RelationGetRelationName(view)),
				 errhint("authz.masked_view_status() says what is wrong with it.")));
	write->context = context;
	write->table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(write->view.relid)),
											  get_rel_name(write->view.relid));
	write->names = palloc_array(char *, write->view.ncolumns);
	write->params = makeParamList(2 * write->view.ncolumns);
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		write->names[i] = pstrdup(quote_identifier(get_attname(write->view.relid, write->view.columns[i], false)));
		write->params->params[i].ptype = TupleDescAttr(descriptor, i)->atttypid;
		write->params->params[write->view.ncolumns + i].ptype = TupleDescAttr(descriptor, i)->atttypid;
	}
	MemoryContextSwitchTo(outer);
	return write;
}

/* Bind a row of the view to the parameters from `first` on. */
static void
bind_row(Write *write, Relation view, HeapTuple row, int first)
{
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		ParamExternData *param = &write->params->params[first + i];

		param->value = heap_getattr(row, i + 1, RelationGetDescr(view), &param->isnull);
	}
}

/* json has no equality of its own, and clients write it anew.  With escapes it may be no jsonb. */
static bool
is_equal_json(Datum old, Datum new)
{
	char	   *texts[] = {TextDatumGetCString(old), TextDatumGetCString(new)};

	if (strstr(texts[0], "\\u") || strstr(texts[1], "\\u"))
		return false;
	return DatumGetBool(DirectFunctionCall2(jsonb_eq,
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
find_changes(Write *write)
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

/* The columns of a set that this identity sees clear in every row: what it read of them is what is there. */
static Bitmapset *
clear_columns(const Write *write, const Bitmapset *set)
{
	Bitmapset  *clear = NULL;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
	{
		if (authz_masking_is_clear(write->view.relid, write->view.columns[i]))
			clear = bms_add_member(clear, i);
	}
	return clear;
}

/* Columns of a new row: those given or with a default that NULL is to override. */
static Bitmapset *
given_columns(Write *write, TupleDesc descriptor)
{
	Bitmapset  *given = NULL;

	for (int i = 0; i < write->view.ncolumns; i++)
	{
		if (!write->params->params[write->view.ncolumns + i].isnull || TupleDescAttr(descriptor, i)->atthasdef)
			given = bms_add_member(given, i);
	}
	return given;
}

static void
refuse_column(const Write *write, int position, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to update column \"%s\" of table \"%s\"",
					get_attname(write->view.relid, write->view.columns[position], false),
					get_rel_name(write->view.relid)),
			 errdetail("%s", detail),
			 errhint("authz.identity() shows the identity; the table's policies for update and their columns decide.")));
}

/*
 * No row was written.  Returns if there is none for this statement any more, or
 * none that may be written at all, as a statement on the table would not find it.
 */
static void
explain_nothing(Write *write, Relation view, Bitmapset *set)
{
	RowReceiver receiver = {0};
	bool		isnull;
	int			position = -1;

	if (run(write, get_statement(write, view, CMD_SELECT, set), &receiver) == 0)
		return;
	if (!DatumGetBool(heap_getattr(receiver.row, 1, receiver.descriptor, &isnull)) || isnull)
	{
		/* A row that the statement meets twice is written once, as on a table. */
		if (DatumGetBool(heap_getattr(receiver.row, 2, receiver.descriptor, &isnull)))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not write to view \"%s\" because of a concurrent change of the row",
						RelationGetRelationName(view)),
				 errhint("Run the transaction again.")));
	}
	if (bms_is_empty(set) || !DatumGetBool(heap_getattr(receiver.row, 3, receiver.descriptor, &isnull)))
		return;
	for (int column = 4; (position = bms_next_member(set, position)) >= 0; column++)
	{
		if (!DatumGetBool(heap_getattr(receiver.row, column, receiver.descriptor, &isnull)))
			refuse_column(write, position, "No policy permits this identity to set it in this row.");
	}
	refuse_column(write, bms_next_member(set, -1),
				  "No policy permits this identity to set it together with the other columns that change.");
}

static HeapTuple
insert_row(Write *write, Relation view, HeapTuple row)
{
	TupleDesc	descriptor = RelationGetDescr(view);
	RowReceiver receiver = {.descriptor = descriptor};
	Datum	   *values;
	bool	   *nulls;

	bind_row(write, view, row, write->view.ncolumns);
	if (run(write, get_statement(write, view, CMD_INSERT, given_columns(write, descriptor)), &receiver) == 0)
		return NULL;			/* a trigger of the table would not have it */
	if (receiver.row)
		return receiver.row;

	values = palloc0_array(Datum, write->view.ncolumns);
	nulls = palloc_array(bool, write->view.ncolumns);
	memset(nulls, true, write->view.ncolumns);
	return heap_form_tuple(descriptor, values, nulls);
}

static HeapTuple
update_row(Write *write, Relation view, HeapTuple old, HeapTuple new)
{
	RowReceiver receiver = {.descriptor = RelationGetDescr(view)};
	Changes		changes;
	Bitmapset  *all;

	bind_row(write, view, old, 0);
	bind_row(write, view, new, write->view.ncolumns);
	if (write->key == NULL)
		require_key(write, view);

	/* 1.50 for 1.5 is written where it may be; it is no reason to refuse the rest, and no change of a mask. */
	changes = find_changes(write);
	all = bms_union(changes.changed, clear_columns(write, changes.rewritten));
	if (run(write, get_statement(write, view, CMD_UPDATE, all), &receiver) > 0)
		return receiver.row;
	if (!bms_equal(all, changes.changed) &&
		run(write, get_statement(write, view, CMD_UPDATE, changes.changed), &receiver) > 0)
		return receiver.row;
	explain_nothing(write, view, changes.changed);
	return NULL;
}

static HeapTuple
delete_row(Write *write, Relation view, HeapTuple old)
{
	RowReceiver receiver = {0};

	bind_row(write, view, old, 0);
	if (write->key == NULL)
		require_key(write, view);
	if (run(write, get_statement(write, view, CMD_DELETE, NULL), &receiver) > 0)
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
	Write	   *write = fcinfo->flinfo->fn_extra;

	if (write == NULL)
		fcinfo->flinfo->fn_extra = write = begin_write(trigger, fcinfo->flinfo->fn_mcxt);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return PointerGetDatum(insert_row(write, view, trigger->tg_trigtuple));
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return PointerGetDatum(update_row(write, view, trigger->tg_trigtuple, trigger->tg_newtuple));
	return PointerGetDatum(delete_row(write, view, trigger->tg_trigtuple));
}
