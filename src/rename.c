/*-------------------------------------------------------------------------
 * rename.c
 *	  Conditions, masks and lists of columns follow a rename.
 *
 * They are stored by name.  Before a command that renames something they are
 * read into trees, which hold OIDs and column numbers.  After it the trees are
 * written as text again, now with the new names, and stored.  No tree is
 * stored: it would be of one version of the server and of one cluster.
 *
 * What is held lives in the subtransaction of the command, so an error takes it
 * away.  DDL inside of DDL (another event trigger runs it) adds what it renames
 * itself and is not held yet.  Every end of a command writes everything, with the
 * names that hold by then; what the command itself held is forgotten then.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "catalog.h"
#include "clause.h"
#include "condition.h"
#include "masktext.h"
#include "rename.h"

/* A stored text; the tree is NULL if there is none, or it names nothing. */
typedef struct HeldText
{
	char	   *text;
	Node	   *tree;
} HeldText;

/* Stored names of columns; a number is invalid where there is no such column. */
typedef struct HeldColumns
{
	bool		isnull;
	int			n;
	NameData   *names;
	AttrNumber *numbers;
} HeldColumns;

/* A row of authz.policy, authz.mask or authz.audited_table. */
typedef struct Held
{
	const Node *statement;		/* that it is held for; only compared */
	AuthzTable	table;
	Oid			relid;
	char	   *name;			/* of a policy */
	int32		priority;		/* of a mask */
	AuthzClause clause;			/* of a policy or mask */
	HeldText	condition;
	HeldText	other;			/* check_condition of a policy, value of a mask */
	HeldColumns columns;		/* of a policy; the one of a mask; those that an audit excludes */
	HeldColumns clear;			/* those that an audit clears */
} Held;

/* Everything held, and the context that holds it; NULL when there is nothing. */
static MemoryContext context = NULL;
static List *held = NIL;

static void
forget(void *arg)
{
	context = NULL;
	held = NIL;
}

static void
make_context(void)
{
	MemoryContextCallback *callback;

	if (context != NULL)
		return;
	context = AllocSetContextCreate(CurTransactionContext, "authz rename", ALLOCSET_SMALL_SIZES);
	callback = MemoryContextAllocZero(context, sizeof(MemoryContextCallback));
	callback->func = forget;
	MemoryContextRegisterResetCallback(context, callback);
}

/* The objects, and all that is renamed or moved with them. */
static List *
add_altered(List *objects)
{
	Oid			types[1] = {OIDARRAYOID};
	Oid			function = LookupFuncName(list_make2(makeString("authz"), makeString("altered_with")), 1, types, false);
	Datum	   *oids = palloc_array(Datum, list_length(objects));
	bool	   *nulls;
	int			n = 0;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, objects)
		oids[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	deconstruct_array(DatumGetArrayTypeP(OidFunctionCall1(function,
														  PointerGetDatum(construct_array(oids, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT)))),
					  OIDOID, sizeof(Oid), true, TYPALIGN_INT, &oids, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			result = lappend_oid(result, DatumGetObjectId(oids[i]));
	}
	return result;
}

static void
read_columns(HeldColumns *columns, AuthzScan *scan, HeapTuple tuple, AttrNumber attribute, Oid relid)
{
	Datum		value = authz_catalog_get(scan, tuple, attribute, &columns->isnull);
	Datum	   *names;
	bool	   *nulls;

	if (columns->isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(value), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &columns->n);
	columns->names = palloc_array(NameData, columns->n + 1);
	columns->numbers = palloc_array(AttrNumber, columns->n + 1);
	for (int i = 0; i < columns->n; i++)
	{
		namestrcpy(&columns->names[i], nulls[i] ? "" : NameStr(*DatumGetName(names[i])));
		columns->numbers[i] = get_attnum(relid, NameStr(columns->names[i]));
	}
}

/* The column of a mask, as a list of one. */
static void
read_mask_column(HeldColumns *columns, AuthzScan *scan, HeapTuple tuple, Oid relid)
{
	bool		isnull;

	columns->n = 1;
	columns->names = palloc_array(NameData, 1);
	columns->numbers = palloc_array(AttrNumber, 1);
	columns->names[0] = *DatumGetName(authz_catalog_get(scan, tuple, AUTHZ_MASK_COLUMN_NAME, &isnull));
	columns->numbers[0] = get_attnum(relid, NameStr(columns->names[0]));
}

static void
read_row(Held *row, AuthzScan *scan, HeapTuple tuple)
{
	static const AuthzClauseColumns of_policy = {AUTHZ_POLICY_ROLES, AUTHZ_POLICY_VALID_DURING, AUTHZ_POLICY_DEPENDS_ON,
		AUTHZ_POLICY_READS_SETTINGS};
	static const AuthzClauseColumns of_mask = {AUTHZ_MASK_ROLES, AUTHZ_MASK_VALID_DURING, AUTHZ_MASK_DEPENDS_ON,
		AUTHZ_MASK_READS_SETTINGS};
	bool		isnull;

	switch (row->table)
	{
		case AUTHZ_TABLE_POLICY:
			row->name = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_NAME);
			authz_clause_read(&row->clause, psprintf("policy \"%s\"", row->name), row->relid, scan, tuple, &of_policy);
			row->condition.text = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_CONDITION);
			row->other.text = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_CHECK_CONDITION);
			read_columns(&row->columns, scan, tuple, AUTHZ_POLICY_COLUMNS, row->relid);
			break;
		case AUTHZ_TABLE_MASK:
			row->priority = DatumGetInt32(authz_catalog_get(scan, tuple, AUTHZ_MASK_PRIORITY, &isnull));
			read_mask_column(&row->columns, scan, tuple, row->relid);
			authz_clause_read(&row->clause, psprintf("mask %d of column \"%s\"", row->priority, NameStr(row->columns.names[0])),
							  row->relid, scan, tuple, &of_mask);
			row->condition.text = authz_catalog_get_text(scan, tuple, AUTHZ_MASK_CONDITION);
			row->other.text = authz_catalog_get_text(scan, tuple, AUTHZ_MASK_MASK);
			break;
		default:
			read_columns(&row->columns, scan, tuple, AUTHZ_AUDITED_EXCLUDE_COLUMNS, row->relid);
			read_columns(&row->clear, scan, tuple, AUTHZ_AUDITED_CLEAR_COLUMNS, row->relid);
			break;
	}
}

static bool
is_held(const Held *row)
{
	ListCell   *lc;

	foreach(lc, held)
	{
		Held	   *other = lfirst(lc);

		if (other->table == row->table && other->relid == row->relid && other->priority == row->priority &&
			(row->name == NULL || strcmp(row->name, other->name) == 0) &&
			(row->table != AUTHZ_TABLE_MASK || strcmp(NameStr(row->columns.names[0]), NameStr(other->columns.names[0])) == 0))
			return true;
	}
	return false;
}

/* Does the row name one of the objects?  An audit names columns of its table. */
static bool
names_any(const Held *row, const List *objects)
{
	ListCell   *lc;

	if (list_member_oid(objects, row->relid))
		return true;
	foreach(lc, row->clause.objects)
	{
		if (list_member_oid(objects, lfirst_oid(lc)))
			return true;
	}
	return false;
}

/* Rows of a table that name one of the objects and are not held yet, in the current context. */
static List *
find_rows(AuthzTable table, const char *index, List *objects)
{
	AuthzScan	scan;
	HeapTuple	tuple;
	List	   *rows = NIL;

	authz_catalog_begin(&scan, table, index, NULL, 0);
	while ((tuple = authz_catalog_next(&scan)) != NULL)
	{
		Held	   *row = palloc0_object(Held);
		bool		isnull;

		row->table = table;
		/* The first column of each is the table. */
		row->relid = DatumGetObjectId(authz_catalog_get(&scan, tuple, AUTHZ_POLICY_RELATION, &isnull));
		if (get_rel_name(row->relid) == NULL)
			continue;
		read_row(row, &scan, tuple);
		if (names_any(row, objects) && !is_held(row))
			rows = lappend(rows, row);
	}
	authz_catalog_end(&scan);
	return rows;
}

static void
hold_text(const Held *row, HeldText *text, Relation relation, AttrNumber column)
{
	AuthzClauseText source = {row->relid, row->relid, relation->rd_rel->relowner, column, text->text};

	if (text->text == NULL || (column != InvalidAttrNumber && authz_masktext_is_short(text->text)))
		return;
	text->tree = authz_clause_parse(&row->clause, &source);
}

/* Read the texts of a row.  Its table stays locked: another rename would have to hold it too. */
static void
hold_row(Held *row)
{
	Relation	relation = table_open(row->relid, AccessShareLock);

	if (row->table != AUTHZ_TABLE_AUDITED_TABLE)
		hold_text(row, &row->condition, relation, InvalidAttrNumber);
	if (row->table == AUTHZ_TABLE_POLICY)
		hold_text(row, &row->other, relation, InvalidAttrNumber);
	else if (row->table == AUTHZ_TABLE_MASK)
	{
		if (row->columns.numbers[0] <= 0)
			authz_clause_refuse(row->clause.name, row->relid, "Its column does not exist.");
		hold_text(row, &row->other, relation, row->columns.numbers[0]);
	}
	table_close(relation, NoLock);
}

void
authz_rename_hold(const Node *statement, List *objects)
{
	MemoryContext outer;
	List	   *rows;
	ListCell   *lc;

	if (!OidIsValid(authz_catalog_schema()))
		return;
	objects = add_altered(objects);
	make_context();
	outer = MemoryContextSwitchTo(context);
	rows = find_rows(AUTHZ_TABLE_POLICY, "policy_pkey", objects);
	rows = list_concat(rows, find_rows(AUTHZ_TABLE_MASK, "mask_pkey", objects));
	rows = list_concat(rows, find_rows(AUTHZ_TABLE_AUDITED_TABLE, "audited_table_pkey", objects));
	foreach(lc, rows)
	{
		Held	   *row = lfirst(lc);

		row->statement = statement;
		hold_row(row);
	}
	held = list_concat(held, rows);
	MemoryContextSwitchTo(outer);
}

/* A copy is written: locking what sub-selects read puts memory of the moment into their joins. */
static char *
deparse(Relation relation, const Node *tree)
{
	return authz_condition_deparse(relation, copyObject(unconstify(Node *, tree)));
}

/* Under its new name a function may stand beside another one that fits the call better. */
static void
require_same_objects(Relation relation, AttrNumber column, const char *text, Node *tree)
{
	Oid			owner = relation->rd_rel->relowner;
	Node	   *again = column == InvalidAttrNumber ? authz_condition_parse(relation, owner, text) :
		authz_masktext_parse(relation, owner, column, text);

	if (list_difference_oid(authz_condition_objects(again), authz_condition_objects(tree)) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_FUNCTION),
				 errmsg("it would call another function or operator, or name another object")));
}

/*
 * The text of a tree with the names that hold now.  *changed becomes true if it
 * is another, or names something else: the schema that a type was moved to.
 */
static Datum
write_text(const Held *row, const HeldText *text, AttrNumber column, Relation relation, char *isnull, bool *changed)
{
	char	   *now = text->tree ? deparse(relation, text->tree) : text->text;

	*isnull = now ? ' ' : 'n';
	if (now == NULL)
		return (Datum) 0;
	if (text->tree && strcmp(now, text->text) != 0)
		require_same_objects(relation, column, now, text->tree);
	*changed |= strcmp(now, text->text) != 0;
	if (text->tree)
		*changed |= list_difference_oid(authz_condition_objects(text->tree), row->clause.objects) != NIL;
	return CStringGetTextDatum(now);
}

static const char *
column_now(Oid relid, const HeldColumns *columns, int i, bool *changed)
{
	const char *now = columns->numbers[i] > 0 ? get_attname(relid, columns->numbers[i], true) : NULL;

	if (now == NULL)
		return NameStr(columns->names[i]);
	*changed |= strcmp(now, NameStr(columns->names[i])) != 0;
	return now;
}

static Datum
name_array(Oid relid, const HeldColumns *columns, bool now, bool *changed)
{
	Datum	   *names = palloc_array(Datum, columns->n + 1);

	for (int i = 0; i < columns->n; i++)
		names[i] = DirectFunctionCall1(namein, CStringGetDatum(now ? column_now(relid, columns, i, changed) :
															   NameStr(columns->names[i])));
	return PointerGetDatum(construct_array(names, columns->n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

/* Run an UPDATE of one row. */
static void
update_row(const Held *row, const char *command, int nargs, Oid *types, Datum *values, const char *nulls)
{
	if (SPI_execute_with_args(command, nargs, types, values, nulls, false, 0) < 0)
		elog(ERROR, "could not store what follows a rename");
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("what depends on table \"%s\" was changed after this transaction began", get_rel_name(row->relid)),
				 errhint("Run the transaction again.")));
}

static void
write_policy(const Held *row, Relation relation)
{
	Oid			types[] = {OIDOID, TEXTOID, TEXTOID, TEXTOID, NAMEARRAYOID};
	Datum		values[5] = {ObjectIdGetDatum(row->relid), CStringGetTextDatum(row->name)};
	char		nulls[6] = "     ";
	bool		changed = false;

	values[2] = write_text(row, &row->condition, InvalidAttrNumber, relation, &nulls[2], &changed);
	values[3] = write_text(row, &row->other, InvalidAttrNumber, relation, &nulls[3], &changed);
	nulls[4] = row->columns.isnull ? 'n' : ' ';
	if (!row->columns.isnull)
		values[4] = name_array(row->relid, &row->columns, true, &changed);
	if (changed)
		update_row(row, "UPDATE authz.policy SET condition = $3, check_condition = $4, columns = $5 WHERE relation = $1 AND name = $2",
				   5, types, values, nulls);
}

static void
write_mask(const Held *row, Relation relation)
{
	Oid			types[] = {OIDOID, NAMEOID, INT4OID, TEXTOID, TEXTOID, NAMEOID};
	Datum		values[6] = {ObjectIdGetDatum(row->relid), NameGetDatum(&row->columns.names[0]), Int32GetDatum(row->priority)};
	char		nulls[7] = "      ";
	bool		changed = false;

	values[3] = write_text(row, &row->condition, InvalidAttrNumber, relation, &nulls[3], &changed);
	values[4] = write_text(row, &row->other, row->columns.numbers[0], relation, &nulls[4], &changed);
	values[5] = DirectFunctionCall1(namein, CStringGetDatum(column_now(row->relid, &row->columns, 0, &changed)));
	if (changed)
		update_row(row, "UPDATE authz.mask SET condition = $4, mask = $5, column_name = $6"
				   " WHERE relation = $1 AND column_name = $2 AND priority = $3",
				   6, types, values, nulls);
}

/* The change of an audit is on record, as every other one is. */
static void
write_audit(const Held *row)
{
	Oid			types[] = {OIDOID, NAMEARRAYOID, NAMEARRAYOID, NAMEARRAYOID, NAMEARRAYOID};
	Datum		values[5] = {ObjectIdGetDatum(row->relid)};
	bool		changed = false;

	values[1] = name_array(row->relid, &row->columns, true, &changed);
	values[2] = name_array(row->relid, &row->clear, true, &changed);
	values[3] = name_array(row->relid, &row->columns, false, &changed);
	values[4] = name_array(row->relid, &row->clear, false, &changed);
	if (changed)
		update_row(row, "WITH changed AS (UPDATE authz.audited_table SET exclude_columns = $2, clear_columns = $3 WHERE relation = $1 RETURNING *)"
				   " SELECT CASE WHEN active THEN authz.audit_event(authz.qualified_name(relation), trail, 'audit',"
				   " jsonb_build_object('actions', actions, 'exclude_columns', $4, 'clear_columns', $5),"
				   " jsonb_build_object('actions', actions, 'exclude_columns', $2, 'clear_columns', $3)) END FROM changed",
				   5, types, values, NULL);
}

/* What could not follow would deny from now on; so the rename is refused, and says by what. */
static void
refuse(const Held *row, ErrorData *error)
{
	error_context_stack = NULL;	/* where in our own code does not help anybody */
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 row->name ? errmsg("policy \"%s\" on table \"%s\" cannot follow the new name", row->name, get_rel_name(row->relid)) :
			 errmsg("mask %d of column \"%s\" on table \"%s\" cannot follow the new name",
					row->priority, NameStr(row->columns.names[0]), get_rel_name(row->relid)),
			 errdetail("With the new name: %s.", error->message),
			 errhint("Choose another name, or change or drop it first, in the same transaction if need be.")));
}

static void
write_row(const Held *row)
{
	MemoryContext caller = CurrentMemoryContext;
	Relation	relation;

	if (get_rel_name(row->relid) == NULL)
		return;
	relation = table_open(row->relid, AccessShareLock);
	PG_TRY();
	{
		if (row->table == AUTHZ_TABLE_POLICY)
			write_policy(row, relation);
		else if (row->table == AUTHZ_TABLE_MASK)
			write_mask(row, relation);
		else
			write_audit(row);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (row->table == AUTHZ_TABLE_AUDITED_TABLE || authz_clause_is_transient(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		refuse(row, error);
	}
	PG_END_TRY();
	table_close(relation, NoLock);
}

/* What is held for a command that goes on is from now on known by the names that were written. */
static void
note_names(Held *row, HeldColumns *columns)
{
	bool		changed;

	for (int i = 0; i < columns->n; i++)
		namestrcpy(&columns->names[i], column_now(row->relid, columns, i, &changed));
}

static void
note_text(Relation relation, HeldText *text)
{
	if (text->tree)
		text->text = deparse(relation, text->tree);
}

static void
note_written(Held *row)
{
	Relation	relation;

	if (get_rel_name(row->relid) == NULL)
		return;
	relation = table_open(row->relid, AccessShareLock);
	note_names(row, &row->columns);
	note_names(row, &row->clear);
	note_text(relation, &row->condition);
	note_text(relation, &row->other);
	row->clause.objects = list_concat_unique_oid(row->clause.objects, authz_condition_objects(row->condition.tree));
	row->clause.objects = list_concat_unique_oid(row->clause.objects, authz_condition_objects(row->other.tree));
	table_close(relation, NoLock);
}

/* Store everything that is held.  With the caller's rights, which are those of the extension's owner. */
static void
write_all(void)
{
	ListCell   *lc;
	int			level;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* The texts are canonical, and are to be read so by the triggers that store them. */
	level = authz_condition_enter_canonical();
	foreach(lc, held)
		write_row(lfirst(lc));
	authz_condition_leave_canonical(level);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

/* Forget what is held for a statement that ends. */
static void
release(const Node *statement)
{
	MemoryContext outer = MemoryContextSwitchTo(context);
	int			level = authz_condition_enter_canonical();
	ListCell   *lc;

	foreach(lc, held)
	{
		Held	   *row = lfirst(lc);

		if (row->statement == statement)
			held = foreach_delete_current(held, lc);
		else
			note_written(row);
	}
	authz_condition_leave_canonical(level);
	MemoryContextSwitchTo(outer);
	if (held == NIL)
		MemoryContextDelete(context);
}

PG_FUNCTION_INFO_V1(authz_adopt_names);

/* Event trigger on ddl_command_end: what was held before adopts the names that hold now. */
Datum
authz_adopt_names(PG_FUNCTION_ARGS)
{
	EventTriggerData *trigger = (EventTriggerData *) fcinfo->context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("authz.adopt_names is an event trigger function")));
	if (context != NULL)
	{
		write_all();
		release(trigger->parsetree);
	}
	PG_RETURN_NULL();
}
