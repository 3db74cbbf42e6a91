/*-------------------------------------------------------------------------
 * admin.c
 *	  Triggers and functions of the policy tables that need C: who may change
 *	  a table's policies and masks, and canonical texts.
 *
 * The condition of a policy or mask is read under the search_path of whoever stores
 * it, so nothing on the way from his statement to here may set another.  An
 * unchanged condition is canonical already and is read as such.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog.h"
#include "condition.h"
#include "masktext.h"
#include "nullable.h"
#include "settings.h"
#include "trigger.h"
#include "visible.h"

/*
 * A table that does not exist has no owner: its row may go, but nobody makes one
 * for a table that somebody else may create with that OID.  A superuser who
 * restores rows does.
 */
static void
require_owner(HeapTuple tuple, Relation table, bool is_new)
{
	bool		isnull;
	Oid			relid = DatumGetObjectId(heap_getattr(tuple, AUTHZ_POLICY_RELATION, RelationGetDescr(table), &isnull));

	if (isnull)
		return;					/* NOT NULL speaks for itself */
	if (get_rel_name(relid) == NULL)
	{
		if (is_new && !superuser())
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", relid)));
		return;
	}
	if (!pg_class_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

PG_FUNCTION_INFO_V1(authz_require_owner);

/* BEFORE row trigger on tables whose first column is a table: only its owner may. */
Datum
authz_require_owner(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "require_owner");
	HeapTuple	result = trigger->tg_trigtuple;

	require_owner(trigger->tg_trigtuple, trigger->tg_relation, TRIGGER_FIRED_BY_INSERT(trigger->tg_event));
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		require_owner(trigger->tg_newtuple, trigger->tg_relation, true);
		result = trigger->tg_newtuple;
	}
	return PointerGetDatum(result);
}

/* The text of a column, or NULL. */
static char *
get_text(HeapTuple tuple, int column, Relation table)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, RelationGetDescr(table), &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* Parse a condition or, with a column, a mask for it. */
static Node *
parse(Relation relation, AttrNumber column, const char *text)
{
	Oid			owner = relation->rd_rel->relowner;

	return column == InvalidAttrNumber ? authz_condition_parse(relation, owner, text) :
		authz_masktext_parse(relation, owner, column, text);
}

/* Parse what somebody wrote: names are theirs, values of literals everybody's. */
static Node *
parse_written(Relation relation, AttrNumber column, const char *text)
{
	int			level = authz_condition_enter_literals();
	Node	   *condition = parse(relation, column, text);

	authz_condition_leave_canonical(level);
	return condition;
}

/* Parse canonical text; the result is on the canonical path. */
static Node *
parse_canonical(Relation relation, AttrNumber column, const char *text)
{
	int			level = authz_condition_enter_canonical();
	Node	   *condition = parse(relation, column, text);

	authz_condition_leave_canonical(level);
	return condition;
}

static char *
deparse_canonical(Relation relation, Node *condition)
{
	int			level = authz_condition_enter_canonical();
	char	   *text = authz_condition_deparse(relation, condition);

	authz_condition_leave_canonical(level);
	return text;
}

/* Is it a mask that stays as it is written? */
static bool
is_short(AttrNumber column, const char *text)
{
	return column != InvalidAttrNumber && authz_masktext_is_short(text);
}

/*
 * Canonical text of a condition or mask, the tree it reads back as, and the
 * objects it names.  Reading it back must give the same text, or it would mean
 * something else tomorrow.  The short name of a mask is canonical as it is.
 * A new text, or one that could read settings of the session and may not now,
 * must read none; one that was stored before can still be disabled.
 */
static char *
canonicalise(Relation relation, AttrNumber column, char *text, const char *old_text, bool may_read_settings,
			 bool could_read_settings, Node **tree, List **objects)
{
	bool		is_canonical = old_text && strcmp(text, old_text) == 0;
	Node	   *condition = is_canonical ? parse_canonical(relation, column, text) :
		parse_written(relation, column, text);
	char	   *canonical = text;
	Node	   *again = condition;

	if (!may_read_settings && (could_read_settings || !is_canonical))
	{
		int			level = authz_condition_enter_canonical();

		authz_settings_check(condition, column == InvalidAttrNumber ? "condition" : "mask", text);
		authz_condition_leave_canonical(level);
	}

	if (!is_short(column, text))
	{
		canonical = deparse_canonical(relation, condition);
		/* The first reading back may flatten it: BETWEEN, beside AND, makes an AND of its own. */
		if (!is_short(column, canonical))
			canonical = deparse_canonical(relation, parse_canonical(relation, column, canonical));
		again = parse_canonical(relation, column, canonical);
		if (is_short(column, canonical) || strcmp(canonical, deparse_canonical(relation, again)) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s has no canonical form", column == InvalidAttrNumber ? "condition" : "mask"),
					 errdetail("It is stored as \"%s\", which does not read back the same.", canonical)));
	}
	*objects = list_concat_unique_oid(*objects, authz_condition_objects(condition));
	*objects = list_concat_unique_oid(*objects, authz_condition_objects(again));
	*tree = again;
	return canonical;
}

static Datum
oid_array(List *oids)
{
	Datum	   *elements = palloc_array(Datum, Max(list_length(oids), 1));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, oids)
		elements[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/* columns: ordinary columns of the table, each once. */
static void
check_columns(HeapTuple tuple, Relation table, Relation relation)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, AUTHZ_POLICY_COLUMNS, RelationGetDescr(table), &isnull);
	Datum	   *names;
	bool	   *nulls;
	int			n;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(value), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &names, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		const char *name = nulls[i] ? "" : NameStr(*DatumGetName(names[i]));

		if (get_attnum(RelationGetRelid(relation), name) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							name, RelationGetRelationName(relation))));
	}
}

/* A policy for TRUNCATE is decided without a row. */
static void
check_truncate(HeapTuple tuple, Relation table, Node *condition)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, AUTHZ_POLICY_ACTIONS, RelationGetDescr(table), &isnull);
	Datum	   *actions;
	bool	   *nulls;
	int			n;

	if (isnull || !authz_condition_reads_row(condition))
		return;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &actions, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i] && strcmp(TextDatumGetCString(actions[i]), "truncate") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("condition of a policy for truncate must not use columns"),
					 errhint("TRUNCATE has no rows; make a policy of its own for it.")));
	}
}

/*
 * A condition was stored, or what it does changed: tell whoever did it what it
 * may not be meant to do.  A policy that comes with its version is restored.
 */
static void
report_condition(HeapTuple old, HeapTuple new, Relation table, int column, const char *text, Node *condition)
{
	Oid			relid = DatumGetObjectId(heap_getattr(new, AUTHZ_POLICY_RELATION, RelationGetDescr(table), &(bool) {false}));
	char	   *effect = get_text(new, AUTHZ_POLICY_EFFECT, table);
	char	   *old_effect = old ? get_text(old, AUTHZ_POLICY_EFFECT, table) : NULL;
	char	   *old_text = old ? get_text(old, column, table) : NULL;
	bool		text_changed = old_text == NULL || strcmp(old_text, text) != 0;
	bool		effect_changed = old_effect == NULL || effect == NULL || strcmp(old_effect, effect) != 0;

	if (old == NULL && !heap_attisnull(new, AUTHZ_POLICY_VERSION, RelationGetDescr(table)))
		return;
	if (text_changed)
		authz_visible_report(condition, relid);
	if ((text_changed || effect_changed) && effect && strcmp(effect, "forbid") == 0)
		authz_nullable_report(get_text(new, AUTHZ_POLICY_NAME, table), condition, relid);
}

PG_FUNCTION_INFO_V1(authz_canonicalise_policy);

/* BEFORE INSERT OR UPDATE row trigger on authz.policy */
Datum
authz_canonicalise_policy(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "canonicalise_policy");
	Relation	table = trigger->tg_relation;
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	HeapTuple	old = is_update ? trigger->tg_trigtuple : NULL;
	HeapTuple	new = is_update ? trigger->tg_newtuple : trigger->tg_trigtuple;
	static const int texts[] = {AUTHZ_POLICY_CONDITION, AUTHZ_POLICY_CHECK_CONDITION};
	int			columns[] = {AUTHZ_POLICY_CONDITION, AUTHZ_POLICY_CHECK_CONDITION, AUTHZ_POLICY_DEPENDS_ON};
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};
	List	   *objects;
	Relation	relation;
	bool		isnull;
	Datum		relid = heap_getattr(new, AUTHZ_POLICY_RELATION, RelationGetDescr(table), &isnull);

	if (isnull)
		return PointerGetDatum(new);	/* NOT NULL refuses it */
	relation = table_open(DatumGetObjectId(relid), AccessShareLock);
	objects = list_make1_oid(RelationGetRelid(relation));
	check_columns(new, table, relation);

	for (int i = 0; i < lengthof(texts); i++)
	{
		char	   *text = get_text(new, texts[i], table);
		Node	   *condition;

		if (text == NULL)
			continue;
		text = canonicalise(relation, InvalidAttrNumber, text,
							old ? get_text(old, texts[i], table) : NULL,
							get_text(new, AUTHZ_POLICY_READS_SETTINGS, table) != NULL,
							old && get_text(old, AUTHZ_POLICY_READS_SETTINGS, table) != NULL, &condition, &objects);
		check_truncate(new, table, condition);
		report_condition(old, new, table, texts[i], text, condition);
		values[i] = CStringGetTextDatum(text);
		nulls[i] = false;
	}
	values[2] = oid_array(objects);
	nulls[2] = false;
	table_close(relation, AccessShareLock);
	return PointerGetDatum(heap_modify_tuple_by_cols(new, RelationGetDescr(table), 3, columns,
													 values, nulls));
}

/* A column that may have masks; raises for any other. */
static AttrNumber
mask_column(HeapTuple tuple, Relation table, Relation relation)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, AUTHZ_MASK_COLUMN_NAME, RelationGetDescr(table), &isnull);
	const char *name = isnull ? "" : NameStr(*DatumGetName(value));
	AttrNumber	column = get_attnum(RelationGetRelid(relation), name);

	if (column == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						name, RelationGetRelationName(relation))));
	if (column < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("system column \"%s\" cannot have a mask", name)));
	if (TupleDescAttr(RelationGetDescr(relation), column - 1)->attgenerated)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("generated column \"%s\" cannot have a mask", name),
				 errdetail("It is shown to who may see the columns that it is computed from.")));
	return column;
}

PG_FUNCTION_INFO_V1(authz_canonicalise_mask);

/* BEFORE INSERT OR UPDATE row trigger on authz.mask */
Datum
authz_canonicalise_mask(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "canonicalise_mask");
	Relation	table = trigger->tg_relation;
	bool		is_update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	HeapTuple	old = is_update ? trigger->tg_trigtuple : NULL;
	HeapTuple	new = is_update ? trigger->tg_newtuple : trigger->tg_trigtuple;
	int			columns[] = {AUTHZ_MASK_MASK, AUTHZ_MASK_CONDITION, AUTHZ_MASK_DEPENDS_ON};
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	char	   *mask = get_text(new, AUTHZ_MASK_MASK, table);
	char	   *condition = get_text(new, AUTHZ_MASK_CONDITION, table);
	bool		may_read = get_text(new, AUTHZ_MASK_READS_SETTINGS, table) != NULL;
	bool		could_read = old && get_text(old, AUTHZ_MASK_READS_SETTINGS, table) != NULL;
	List	   *objects;
	Relation	relation;
	AttrNumber	column;
	Node	   *tree;
	bool		isnull;
	Datum		relid = heap_getattr(new, AUTHZ_MASK_RELATION, RelationGetDescr(table), &isnull);

	if (isnull || mask == NULL || condition == NULL)
		return PointerGetDatum(new);	/* NOT NULL refuses it */
	relation = table_open(DatumGetObjectId(relid), AccessShareLock);
	objects = list_make1_oid(RelationGetRelid(relation));
	column = mask_column(new, table, relation);

	condition = canonicalise(relation, InvalidAttrNumber, condition,
							 old ? get_text(old, AUTHZ_MASK_CONDITION, table) : NULL, may_read, could_read, &tree, &objects);
	values[0] = CStringGetTextDatum(canonicalise(relation, column, mask,
												 old ? get_text(old, AUTHZ_MASK_MASK, table) : NULL,
												 may_read, could_read, &tree, &objects));
	authz_masktext_try(mask, tree);
	table_close(relation, AccessShareLock);

	values[1] = CStringGetTextDatum(condition);
	values[2] = oid_array(objects);
	return PointerGetDatum(heap_modify_tuple_by_cols(new, RelationGetDescr(table), 3, columns,
													 values, nulls));
}

PG_FUNCTION_INFO_V1(authz_is_protected);

/* is_protected(relation oid) -> boolean: by a catalog snapshot, so also what the transaction's does not see */
Datum
authz_is_protected(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(OidIsValid(authz_catalog_logical(PG_GETARG_OID(0))));
}

/* Raise if a tree names an object that the text did not name when it was stored. */
static void
require_same_objects(Node *tree, ArrayType *stored)
{
	Datum	   *oids;
	bool	   *nulls;
	int			n;
	List	   *known = NIL;
	ListCell   *lc;

	deconstruct_array(stored, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &oids, &nulls, &n);
	for (int i = 0; i < n; i++)
		known = lappend_oid(known, nulls[i] ? InvalidOid : DatumGetObjectId(oids[i]));
	foreach(lc, authz_condition_objects(tree))
	{
		if (!list_member_oid(known, lfirst_oid(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("it would call other functions or operators, or name other objects, than when it was stored")));
	}
}

/* Text that is NULL if the tree reads no setting. */
static Datum
settings_text(FunctionCallInfo fcinfo, Node *tree)
{
	int			level = authz_condition_enter_canonical();
	AuthzSettings settings = authz_settings_find(tree);

	authz_condition_leave_canonical(level);
	if (settings.reads == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(settings.reads));
}

PG_FUNCTION_INFO_V1(authz_condition_reads_settings);

/* condition_reads_settings(relation regclass, condition text) -> text: what in a stored condition does, or NULL */
Datum
authz_condition_reads_settings(PG_FUNCTION_ARGS)
{
	Relation	relation = table_open(PG_GETARG_OID(0), AccessShareLock);
	Node	   *tree = parse_canonical(relation, InvalidAttrNumber, text_to_cstring(PG_GETARG_TEXT_PP(1)));

	table_close(relation, AccessShareLock);
	return settings_text(fcinfo, tree);
}

/* A column that a stored mask is for. */
static AttrNumber
stored_mask_column(Relation relation, const char *name)
{
	AttrNumber	column = get_attnum(RelationGetRelid(relation), name);

	if (column <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist", name, RelationGetRelationName(relation))));
	return column;
}

PG_FUNCTION_INFO_V1(authz_mask_reads_settings);

/* mask_reads_settings(relation regclass, column_name name, mask text) -> text: the same of a stored mask */
Datum
authz_mask_reads_settings(PG_FUNCTION_ARGS)
{
	Relation	relation = table_open(PG_GETARG_OID(0), AccessShareLock);
	AttrNumber	column = stored_mask_column(relation, NameStr(*PG_GETARG_NAME(1)));
	Node	   *tree = parse_canonical(relation, column, text_to_cstring(PG_GETARG_TEXT_PP(2)));

	table_close(relation, AccessShareLock);
	return settings_text(fcinfo, tree);
}

PG_FUNCTION_INFO_V1(authz_check_condition);

/*
 * check_condition(relation regclass, condition text, objects oid[]) -> void: raises
 * if stored text cannot be read any more, or does not mean the same objects
 */
Datum
authz_check_condition(PG_FUNCTION_ARGS)
{
	Relation	relation = table_open(PG_GETARG_OID(0), AccessShareLock);

	require_same_objects(parse_canonical(relation, InvalidAttrNumber, text_to_cstring(PG_GETARG_TEXT_PP(1))),
						 PG_GETARG_ARRAYTYPE_P(2));
	table_close(relation, AccessShareLock);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(authz_check_mask);

/* check_mask(relation regclass, column_name name, mask text, objects oid[]) -> void: the same of a mask for the column */
Datum
authz_check_mask(PG_FUNCTION_ARGS)
{
	Relation	relation = table_open(PG_GETARG_OID(0), AccessShareLock);
	AttrNumber	column = stored_mask_column(relation, NameStr(*PG_GETARG_NAME(1)));

	require_same_objects(parse_canonical(relation, column, text_to_cstring(PG_GETARG_TEXT_PP(2))), PG_GETARG_ARRAYTYPE_P(3));
	table_close(relation, AccessShareLock);
	PG_RETURN_VOID();
}
