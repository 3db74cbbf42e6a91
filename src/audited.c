/*-------------------------------------------------------------------------
 * audited.c
 *	  Backend-local cache of what the records of an audited table hold.
 *
 * An entry is good until the relcache entry of its table is invalidated, which
 * a change of its row in authz.audited_table or of its masks does as well as
 * DDL.  The callback sets a flag and moves a counter; the entry is made anew
 * when it is looked up.  A statement at work has a copy of the entry, and what
 * that points to lives until the transaction ends: a mask may call a function
 * that changes the same table.  All entries are forgotten when there are
 * MAX_TABLES.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/sysattr.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_index.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "audited.h"
#include "catalog.h"
#include "masking.h"
#include "policyset.h"

#define MAX_TABLES	200

static HTAB *tables = NULL;
static MemoryContext tables_context = NULL;
static uint64 invalidations = 0;

/* When a relation changed: sets flags and counts only. */
static void
relation_changed(Oid relid)
{
	HASH_SEQ_STATUS status;
	AuthzAuditedTable *table;

	invalidations++;
	if (tables == NULL)
		return;
	if (OidIsValid(relid))
	{
		table = hash_search(tables, &relid, HASH_FIND, NULL);
		if (table != NULL)
			table->valid = false;
		return;
	}
	hash_seq_init(&status, tables);
	while ((table = hash_seq_search(&status)) != NULL)
		table->valid = false;
}

static bool
has_name(char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static bool
is_excluded(Relation relation, const AuthzAudited *audited, const AuthzImageColumn *column, Bitmapset *excluded)
{
	return has_name(audited->excluded, audited->nexcluded, column->name) ||
		(excluded != NULL && bms_overlap(authz_masking_sources(RelationGetRelid(relation), column->index + 1), excluded));
}

/* A name that no column has any more means that one under another name would be recorded: no. */
static void
require_columns(Relation relation, char *const *names, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (get_attnum(RelationGetRelid(relation), names[i]) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\", which its audit excludes, does not exist",
							names[i], RelationGetRelationName(relation)),
					 errhint("Call authz.audit for the table with the columns as they are now.")));
	}
}

/* Attribute numbers of the primary key, deferrable or not. */
static Bitmapset *
primary_key(Relation relation)
{
	List	   *indexes = RelationGetIndexList(relation);
	Bitmapset  *result = NULL;
	ListCell   *cell;

	foreach(cell, indexes)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for index %u", lfirst_oid(cell));
		index = (Form_pg_index) GETSTRUCT(tuple);
		for (int i = 0; index->indisprimary && i < index->indnkeyatts; i++)
			result = bms_add_member(result, index->indkey.values[i]);
		ReleaseSysCache(tuple);
	}
	list_free(indexes);
	return result;
}

/* Columns that have masks, as in primary_key but offset by FirstLowInvalidHeapAttributeNumber. */
static Bitmapset *
masked_columns(Oid relid)
{
	Bitmapset  *result = NULL;
	ListCell   *cell;

	foreach(cell, authz_catalog_masked_columns(relid))
		result = bms_add_member(result, get_attnum(relid, lfirst(cell)) - FirstLowInvalidHeapAttributeNumber);
	return result;
}

static void
set_mask(AuthzAuditedTable *table, const AuthzImageColumn *column, Node *expression)
{
	if (table->masks == NULL)
		table->masks = palloc0(table->natts * sizeof(Node *));
	table->masks[column->index] = expression;
}

/* Have a column recorded by what everybody may see of it.  The mask of a table that is not protected holds for nobody. */
static void
mask_column(AuthzAuditedTable *table, Relation relation, AuthzImageColumn *column)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), column->index);
	AuthzPolicySet *set = authz_policyset_get(RelationGetRelid(relation));
	Node	   *mask = authz_masking_public(set, makeVar(1, attribute->attnum, attribute->atttypid, attribute->atttypmod,
														 attribute->attcollation, 0));

	if (mask == NULL)
	{
		column->hidden = true;
		return;
	}
	set_mask(table, column, mask);
}

/*
 * Of a row that is routed to a partition of another layout, the transition table
 * of an INSERT has no generated columns: the executor notes it before it computes
 * them.  So they are computed once more.
 */
static void
generate_columns(AuthzAuditedTable *table, Relation relation, const AuthzImageColumn *columns, int n)
{
	if (relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	for (int i = 0; i < n; i++)
	{
		if (TupleDescAttr(RelationGetDescr(relation), columns[i].index)->attgenerated == ATTRIBUTE_GENERATED_STORED &&
			!columns[i].hidden && (table->masks == NULL || table->masks[columns[i].index] == NULL))
			set_mask(table, &columns[i], build_column_default(relation, columns[i].index + 1));
	}
}

static void
mask_columns(AuthzAuditedTable *table, Relation relation, const AuthzAudited *audited, AuthzImageColumn *columns, int n)
{
	Oid			relid = RelationGetRelid(relation);
	Bitmapset  *masked = masked_columns(relid);

	for (int i = 0; i < n && masked != NULL; i++)
	{
		AttrNumber	attribute = columns[i].index + 1;

		if (!has_name(audited->clear, audited->nclear, columns[i].name) &&
			(bms_is_member(attribute - FirstLowInvalidHeapAttributeNumber, masked) ||
			 bms_overlap(authz_masking_sources(relid, attribute), masked)))
			mask_column(table, relation, &columns[i]);
	}
}

static void
fill_table(AuthzAuditedTable *table, Relation relation)
{
	AuthzAudited audited;
	AuthzImageColumn *columns;
	Bitmapset  *key;
	Bitmapset  *excluded = NULL;	/* those that are named */
	int			n;

	if (!authz_catalog_audited(RelationGetRelid(relation), &audited))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has the triggers of an audited table, but is none", RelationGetRelationName(relation)),
				 errhint("Call authz.audit for the table, or drop its triggers authz_audit_*.")));
	require_columns(relation, audited.excluded, audited.nexcluded);
	for (int i = 0; i < audited.nexcluded; i++)
		excluded = bms_add_member(excluded, get_attnum(RelationGetRelid(relation), audited.excluded[i]) -
								  FirstLowInvalidHeapAttributeNumber);

	columns = authz_imagetype_columns(RelationGetDescr(relation), &n);
	key = primary_key(relation);
	table->trail = audited.trail;
	table->natts = RelationGetNumberOfAttributes(relation);
	mask_columns(table, relation, &audited, columns, n);
	generate_columns(table, relation, columns, n);
	table->columns = palloc_array(const AuthzImageColumn *, n + 1);
	table->keys = palloc_array(const AuthzImageColumn *, n + 1);
	table->excluded = palloc_array(const AuthzImageColumn *, n + 1);
	for (int i = 0; i < n; i++)
	{
		if (is_excluded(relation, &audited, &columns[i], excluded))
		{
			table->excluded[table->nexcluded++] = &columns[i];
			continue;
		}
		table->columns[table->ncolumns++] = &columns[i];
		if (bms_is_member(columns[i].index + 1, key))
			table->keys[table->nkeys++] = &columns[i];
	}
	/* A key that lacks a column tells no row. */
	if (table->nkeys != bms_num_members(key))
		table->nkeys = 0;
	table->needs_settings = authz_imagetype_need_settings(columns, n);
}

static void
make_tables(void)
{
	HASHCTL		info = {0};

	tables_context = AllocSetContextCreate(TopMemoryContext, "authz audited tables", ALLOCSET_DEFAULT_SIZES);
	info.keysize = sizeof(Oid);
	info.entrysize = sizeof(AuthzAuditedTable);
	info.hcxt = tables_context;
	tables = hash_create("authz audited tables", 16, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Forget all tables; what statements at work use of them lives on until the transaction ends. */
static void
forget_tables(void)
{
	HASH_SEQ_STATUS status;
	AuthzAuditedTable *table;

	hash_seq_init(&status, tables);
	while ((table = hash_seq_search(&status)) != NULL)
	{
		MemoryContextSetParent(table->context, TopTransactionContext);
		(void) hash_search(tables, &table->relid, HASH_REMOVE, NULL);
	}
}

AuthzAuditedTable
authz_audited_get(Relation relation)
{
	AuthzAuditedTable loaded = {.relid = RelationGetRelid(relation)};
	uint64		before = invalidations;
	AuthzAuditedTable *table;
	MemoryContext old;
	bool		found;

	if (tables == NULL)
		make_tables();
	table = hash_search(tables, &loaded.relid, HASH_FIND, NULL);
	if (table != NULL && table->valid)
		return *table;

	loaded.context = AllocSetContextCreate(CurrentMemoryContext, "authz audited table", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(loaded.context);
	fill_table(&loaded, relation);
	MemoryContextSwitchTo(old);
	/* What was invalidated while it was read is read again next time. */
	loaded.valid = before == invalidations;

	if (hash_get_num_entries(tables) >= MAX_TABLES)
		forget_tables();
	table = hash_search(tables, &loaded.relid, HASH_ENTER, &found);
	if (found)
		MemoryContextSetParent(table->context, TopTransactionContext);
	*table = loaded;
	MemoryContextSetParent(loaded.context, tables_context);
	return loaded;
}

void
authz_audited_init(void)
{
	authz_catalog_on_relation_changed(relation_changed);
}
