/*-------------------------------------------------------------------------
 * seal.c
 *	  Seals of the logs: hashes of records, and their verification.
 *
 * A batch is what one partition holds of a range of transactions, all of which
 * had ended when it was sealed; so nobody adds to it any more, and no writer
 * is ever waited for.  The names and types of its columns, then its records in
 * the order of transaction and number,
 * are the leaves of a Merkle tree as in RFC 6962 section 2.1: SHA-256 of a 0
 * and the record, SHA-256 of a 1 and two children.  The root, with all else
 * that a row of authz.audit_batch says and the hash of the batch before, is
 * hashed again (in sql/audit_seal.sql): the chain.
 *
 * The root tells whether a batch is as it was, not what is wrong with it.  So
 * there is a list of its records, with half of each leaf's hash, in pages
 * beside it.  Nothing is believed because of a page: it serves to name the
 * record once the root does not fit.
 *
 * A log has no index in that order: each record would pay for it.  The places
 * of records are sorted, on disk if they are many, and the records fetched one
 * by one, mostly as they lie; memory depends on their length only.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/execdesc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "catalog.h"
#include "digest.h"
#include "record.h"

PG_FUNCTION_INFO_V1(authz_audit_hash_records);
PG_FUNCTION_INFO_V1(authz_audit_verify_partition);
PG_FUNCTION_INFO_V1(authz_audit_forget_pages);

#define FETCH_COUNT			1000
#define PAGE_RECORDS		1024
#define MAX_TREE_DEPTH		64

/* A record's place in the list of its batch. */
typedef struct PageEntry
{
	uint64		transaction_id; /* these two in network byte order when stored */
	uint64		id;
	uint8		hash[AUTHZ_DIGEST_LENGTH / 2];
} PageEntry;

/* A Merkle tree that grows by a leaf at a time: the roots of its complete subtrees, the largest first. */
typedef struct Tree
{
	uint64		nleaves;
	int			depth;
	uint8		hashes[MAX_TREE_DEPTH][AUTHZ_DIGEST_LENGTH];
} Tree;

/* Records of a partition, in order. */
typedef struct Records
{
	Relation	partition;
	TupleTableSlot *slot;
	Snapshot	snapshot;		/* the portal's */
	Portal		portal;			/* places */
	SPITupleTable *places;		/* fetched last */
	uint64		n;
	uint64		next;
	StringInfoData buffer;		/* of one record's bytes */
	MemoryContext scratch;

	/* the record at hand, if `valid` */
	bool		valid;
	uint64		transaction_id;
	uint64		id;
	uint8		hash[AUTHZ_DIGEST_LENGTH];
} Records;

static void
combine(uint8 *left, const uint8 *right)
{
	static const uint8 prefix = 1;

	authz_digest_begin();
	authz_digest_add(&prefix, 1);
	authz_digest_add(left, AUTHZ_DIGEST_LENGTH);
	authz_digest_add(right, AUTHZ_DIGEST_LENGTH);
	authz_digest_end(left);
}

static void
add_leaf(Tree *tree, const uint8 *hash)
{
	memcpy(tree->hashes[tree->depth++], hash, AUTHZ_DIGEST_LENGTH);
	tree->nleaves++;
	for (uint64 n = tree->nleaves; n % 2 == 0; n /= 2)
	{
		tree->depth--;
		combine(tree->hashes[tree->depth - 1], tree->hashes[tree->depth]);
	}
}

/* The first leaf of each batch: under which names records are shown. */
static void
add_columns(Tree *tree, TupleDesc descriptor)
{
	StringInfoData buffer;
	uint8		hash[AUTHZ_DIGEST_LENGTH];

	initStringInfo(&buffer);
	appendStringInfoChar(&buffer, 0);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!attribute->attisdropped)
			appendStringInfo(&buffer, "%s %u,", NameStr(attribute->attname), attribute->atttypid);
	}
	authz_digest_of(buffer.data, buffer.len, hash);
	pfree(buffer.data);
	add_leaf(tree, hash);
}

/* The root; of no leaves the hash of nothing.  Spoils the tree. */
static void
get_root(Tree *tree, uint8 *root)
{
	if (tree->depth == 0)
	{
		authz_digest_of("", 0, root);
		return;
	}
	while (tree->depth > 1)
	{
		tree->depth--;
		combine(tree->hashes[tree->depth - 1], tree->hashes[tree->depth]);
	}
	memcpy(root, tree->hashes[0], AUTHZ_DIGEST_LENGTH);
}

static void
append_int64(StringInfo buffer, int64 value)
{
	uint64		number = pg_hton64((uint64) value);

	appendBinaryStringInfo(buffer, (char *) &number, sizeof(number));
}

/* The bytes of one column: its length and value in network byte order, or that it is NULL. */
static void
append_column(StringInfo buffer, Form_pg_attribute attribute, Datum value, bool isnull)
{
	uint32		length;
	struct varlena *bytes;

	appendStringInfoChar(buffer, isnull ? 0 : 1);
	if (isnull)
		return;
	if (attribute->attlen == sizeof(uint64) && attribute->attbyval)
		append_int64(buffer, DatumGetInt64(value));
	else if (attribute->atttypid == INT4OID)
		append_int64(buffer, DatumGetInt32(value));
	else if (attribute->atttypid == INTERVALOID)
	{
		Interval   *interval = DatumGetIntervalP(value);

		append_int64(buffer, interval->month);
		append_int64(buffer, interval->day);
		append_int64(buffer, interval->time);
	}
	else if (attribute->attlen == -1)
	{
		bytes = PG_DETOAST_DATUM_PACKED(value);
		length = pg_hton32(VARSIZE_ANY_EXHDR(bytes));
		appendBinaryStringInfo(buffer, (char *) &length, sizeof(length));
		appendBinaryStringInfo(buffer, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	}
	else
		elog(ERROR, "column of type %u in a log", attribute->atttypid);
}

/* Read the record in the slot: its place in the order and the hash of its leaf. */
static void
read_record(Records *records)
{
	TupleTableSlot *slot = records->slot;
	TupleDesc	descriptor = slot->tts_tupleDescriptor;
	MemoryContext old = MemoryContextSwitchTo(records->scratch);

	slot_getallattrs(slot);
	records->transaction_id = U64FromFullTransactionId(DatumGetFullTransactionId(slot->tts_values[Anum_record_transaction_id - 1]));
	records->id = DatumGetInt64(slot->tts_values[Anum_record_id - 1]);

	resetStringInfo(&records->buffer);
	appendStringInfoChar(&records->buffer, 0);
	for (int i = 0; i < descriptor->natts; i++)
	{
		if (!TupleDescAttr(descriptor, i)->attisdropped)
			append_column(&records->buffer, TupleDescAttr(descriptor, i), slot->tts_values[i], slot->tts_isnull[i]);
	}
	authz_digest_of(records->buffer.data, records->buffer.len, records->hash);
	MemoryContextSwitchTo(old);
	MemoryContextReset(records->scratch);
}

static void
next_record(Records *records)
{
	bool		isnull;
	ItemPointer place;

	if (records->next == records->n)
	{
		CHECK_FOR_INTERRUPTS();
		SPI_freetuptable(records->places);
		SPI_cursor_fetch(records->portal, true, FETCH_COUNT);
		records->places = SPI_tuptable;
		records->n = SPI_processed;
		records->next = 0;
	}
	records->valid = records->n > 0;
	if (!records->valid)
		return;
	place = (ItemPointer) DatumGetPointer(SPI_getbinval(records->places->vals[records->next++], records->places->tupdesc, 1, &isnull));
	if (!table_tuple_fetch_row_version(records->partition, place, records->snapshot, records->slot))
		elog(ERROR, "a record of table %s is not where it was", RelationGetRelationName(records->partition));
	read_record(records);
}

static SPIPlanPtr
prepare(const char *query, int n, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(query, n, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", query);
	return plan;
}

static Portal
open_cursor(const char *query, int n, Oid *types, Datum *values, bool read_only)
{
	return SPI_cursor_open(NULL, prepare(query, n, types), values, NULL, read_only);
}

/* The first record of a partition within bounds is at hand then, if there is one. */
static void
open_records(Records *records, Oid partition, Datum after_id, Datum until_id, Datum from, Datum to, bool read_only)
{
	Oid			types[] = {INT8OID, INT8OID, XID8OID, XID8OID};
	Datum		values[] = {after_id, until_id, from, to};
	Relation	table = try_table_open(partition, AccessShareLock);
	char	   *query;

	/* Dropped since the snapshot of whoever looked for it. */
	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a partition was dropped meanwhile"),
				 errhint("Run the transaction again.")));
	if (RelationGetNumberOfAttributes(table) < Natts_record)
		elog(ERROR, "table %s is not a log", RelationGetRelationName(table));
	query = psprintf("SELECT ctid FROM ONLY %s WHERE id OPERATOR(pg_catalog.>) $1 AND id OPERATOR(pg_catalog.<=) $2"
					 " AND transaction_id OPERATOR(pg_catalog.>=) $3 AND transaction_id OPERATOR(pg_catalog.<) $4"
					 " ORDER BY transaction_id, id",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)), RelationGetRelationName(table)));

	memset(records, 0, sizeof(*records));
	records->partition = table;
	records->slot = table_slot_create(records->partition, NULL);
	records->portal = open_cursor(query, 4, types, values, read_only);
	records->snapshot = records->portal->queryDesc->snapshot;
	initStringInfo(&records->buffer);
	records->scratch = AllocSetContextCreate(CurrentMemoryContext, "authz sealed record", ALLOCSET_DEFAULT_SIZES);
	next_record(records);
}

static void
close_records(Records *records)
{
	SPI_freetuptable(records->places);
	SPI_cursor_close(records->portal);
	ExecDropSingleTupleTableSlot(records->slot);
	table_close(records->partition, NoLock);
	MemoryContextDelete(records->scratch);
	pfree(records->buffer.data);
}

static Datum
make_bytea(const void *data, Size length)
{
	bytea	   *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), data, length);
	return PointerGetDatum(result);
}

static void
write_page(SPIPlanPtr plan, Datum batch, int page, const PageEntry *entries, int n)
{
	Datum		values[3];

	values[0] = batch;
	values[1] = Int32GetDatum(page);
	values[2] = make_bytea(entries, n * sizeof(PageEntry));
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into authz.audit_page");
	pfree(DatumGetPointer(values[2]));
}

/*
 * audit_hash_records(partition oid, after_id bigint, until_id bigint, from_transaction xid8, to_transaction xid8,
 * batch bigint, OUT records bigint, OUT last_id bigint, OUT root bytea):
 * seal what a partition holds within these bounds, writing the pages of the batch.
 */
Datum
authz_audit_hash_records(PG_FUNCTION_ARGS)
{
	Oid			page_types[] = {INT8OID, INT4OID, BYTEAOID};
	TupleDesc	descriptor;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	PageEntry  *entries = palloc_array(PageEntry, PAGE_RECORDS);
	Tree	   *tree = palloc0(sizeof(Tree));
	uint8		root[AUTHZ_DIGEST_LENGTH];
	Records		records;
	SPIPlanPtr	plan;
	int			nentries = 0;
	int			page = 0;
	uint64		last_id = 0;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	plan = SPI_prepare("INSERT INTO authz.audit_page VALUES ($1, $2, $3)", 3, page_types);
	if (plan == NULL)
		elog(ERROR, "could not prepare to insert into authz.audit_page");
	open_records(&records, PG_GETARG_OID(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2),
				 PG_GETARG_DATUM(3), PG_GETARG_DATUM(4), false);
	add_columns(tree, RelationGetDescr(records.partition));
	while (records.valid)
	{
		PageEntry  *entry = &entries[nentries++];

		add_leaf(tree, records.hash);
		entry->transaction_id = pg_hton64(records.transaction_id);
		entry->id = pg_hton64(records.id);
		memcpy(entry->hash, records.hash, sizeof(entry->hash));
		last_id = Max(last_id, records.id);
		if (nentries == PAGE_RECORDS)
		{
			write_page(plan, PG_GETARG_DATUM(5), page++, entries, nentries);
			nentries = 0;
		}
		next_record(&records);
	}
	if (nentries > 0)
		write_page(plan, PG_GETARG_DATUM(5), page, entries, nentries);
	close_records(&records);
	SPI_finish();

	values[0] = Int64GetDatum(tree->nleaves - 1);
	values[1] = Int64GetDatum(last_id);
	get_root(tree, root);
	values[2] = make_bytea(root, sizeof(root));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

/* The list of a batch, through a cursor of its pages. */
typedef struct Pages
{
	Portal		portal;
	bytea	   *page;			/* in the SPI table below */
	SPITupleTable *table;
	int			next;			/* entry of the page */
	bool		valid;			/* the entry at hand */
	uint64		transaction_id;
	uint64		id;
	uint8		hash[AUTHZ_DIGEST_LENGTH / 2];
} Pages;

static void
next_entry(Pages *pages)
{
	PageEntry	entry;
	Datum		entries;
	bool		isnull;

	while (pages->page == NULL || (pages->next + 1) * sizeof(PageEntry) > VARSIZE_ANY_EXHDR(pages->page))
	{
		if (pages->table != NULL)
		{
			if (pages->page != NULL)
				pfree(pages->page);
			SPI_freetuptable(pages->table);
		}
		pages->page = NULL;
		SPI_cursor_fetch(pages->portal, true, 1);
		pages->table = SPI_tuptable;
		pages->next = 0;
		pages->valid = SPI_processed > 0;
		if (!pages->valid)
			return;
		entries = SPI_getbinval(pages->table->vals[0], pages->table->tupdesc, 1, &isnull);
		if (!isnull)
			pages->page = DatumGetByteaPCopy(entries);
	}
	memcpy(&entry, VARDATA_ANY(pages->page) + pages->next * sizeof(PageEntry), sizeof(PageEntry));
	pages->next++;
	pages->transaction_id = pg_ntoh64(entry.transaction_id);
	pages->id = pg_ntoh64(entry.id);
	memcpy(pages->hash, entry.hash, sizeof(entry.hash));
}

/* One plan for all batches: what is prepared is kept until the end. */
static SPIPlanPtr
prepare_pages(void)
{
	Oid			types[] = {INT8OID};

	return prepare("SELECT entries FROM authz.audit_page WHERE batch OPERATOR(pg_catalog.=) $1 ORDER BY page", 1, types);
}

static void
open_pages(Pages *pages, SPIPlanPtr plan, int64 batch)
{
	Datum		values[] = {Int64GetDatum(batch)};

	memset(pages, 0, sizeof(*pages));
	pages->portal = SPI_cursor_open(NULL, plan, values, NULL, true);
	next_entry(pages);
}

static void
close_pages(Pages *pages)
{
	if (pages->page != NULL)
		pfree(pages->page);
	if (pages->table != NULL)
		SPI_freetuptable(pages->table);
	SPI_cursor_close(pages->portal);
}

/* One row of the result; a negative batch or record is NULL. */
static void
report(ReturnSetInfo *result, int64 batch, const char *problem, int64 record)
{
	Datum		values[4];
	bool		nulls[4];

	values[0] = Int64GetDatum(batch);
	nulls[0] = batch < 0;
	values[1] = BoolGetDatum(problem == NULL);
	nulls[1] = false;
	values[2] = problem ? CStringGetTextDatum(problem) : (Datum) 0;
	nulls[2] = problem == NULL;
	values[3] = Int64GetDatum(record);
	nulls[3] = record < 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Where the record at hand stands to the entry at hand. */
static int
compare_places(const Records *records, const Pages *pages)
{
	if (!records->valid || !pages->valid)
		return records->valid ? -1 : 1;
	if (records->transaction_id != pages->transaction_id)
		return records->transaction_id < pages->transaction_id ? -1 : 1;
	return records->id < pages->id ? -1 : records->id > pages->id;
}

/* Compare a batch with the records from the one at hand on; the first that is not of it is at hand then. */
static void
verify_batch(ReturnSetInfo *result, Records *records, SPIPlanPtr plan, int64 batch, uint64 to, int64 nrecords, const uint8 *root)
{
	Tree	   *tree = palloc0(sizeof(Tree));
	uint8		found[AUTHZ_DIGEST_LENGTH];
	const char *problem = NULL;
	int64		record = -1;
	Pages		pages;

	open_pages(&pages, plan, batch);
	add_columns(tree, RelationGetDescr(records->partition));
	for (;;)
	{
		bool		is_record = records->valid && records->transaction_id < to;
		int			order;
		const char *difference = NULL;
		uint64		id;

		if (!is_record && !pages.valid)
			break;
		order = is_record ? compare_places(records, &pages) : 1;
		id = order <= 0 ? records->id : pages.id;
		if (order < 0)
			difference = "record added";
		else if (order > 0)
			difference = "record missing";
		else if (memcmp(records->hash, pages.hash, sizeof(pages.hash)) != 0)
			difference = "record changed";
		if (problem == NULL && difference != NULL)
		{
			problem = difference;
			record = id;
		}
		if (order >= 0)
			next_entry(&pages);
		if (order <= 0)
		{
			add_leaf(tree, records->hash);
			next_record(records);
		}
	}
	close_pages(&pages);

	if (tree->nleaves - 1 == nrecords)
	{
		get_root(tree, found);
		if (memcmp(found, root, sizeof(found)) == 0)
		{
			/* The records are as they were; then it is the list that is not. */
			report(result, batch, problem ? "list of the batch's records altered" : NULL, -1);
			pfree(tree);
			return;
		}
	}
	report(result, batch, problem ? problem : "records or names of columns do not match the seal", record);
	pfree(tree);
}

/*
 * audit_verify_partition(partition oid, partition_name text, since_batch bigint, after_id bigint, until_id bigint,
 * horizon xid8) -> setof (batch, ok, problem, first_bad_record): compare what a partition holds of
 * transactions before the horizon, with numbers within bounds, with its batches after a given one.
 */
Datum
authz_audit_verify_partition(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[] = {PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3)};
	Records		records;
	Portal		batches;
	SPIPlanPtr	pages;
	bool		added = false;
	uint64		horizon = U64FromFullTransactionId(DatumGetFullTransactionId(PG_GETARG_DATUM(5)));

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	open_records(&records, PG_GETARG_OID(0), PG_GETARG_DATUM(3), PG_GETARG_DATUM(4),
				 FullTransactionIdGetDatum(FullTransactionIdFromU64(0)),
				 PG_GETARG_DATUM(5), true);
	batches = open_cursor("SELECT batch, from_transaction, to_transaction, records, root FROM authz.audit_batch"
						  " WHERE kind OPERATOR(pg_catalog.=) 'seal' AND partition OPERATOR(pg_catalog.=) $1"
						  " AND batch OPERATOR(pg_catalog.>) $2 AND after_id OPERATOR(pg_catalog.=) $3"
						  " ORDER BY from_transaction, batch", 3, types, values, true);
	pages = prepare_pages();
	for (;;)
	{
		SPITupleTable *table;
		HeapTuple	tuple;
		uint64		from = horizon;
		bool		isnull;
		bool		found;

		SPI_cursor_fetch(batches, true, 1);
		table = SPI_tuptable;
		tuple = SPI_processed > 0 ? table->vals[0] : NULL;
		found = tuple != NULL;
		if (found)
			from = U64FromFullTransactionId(DatumGetFullTransactionId(SPI_getbinval(tuple, table->tupdesc, 2, &isnull)));

		/* Between two batches, or after the last, nothing was there. */
		while (records.valid && records.transaction_id < from)
		{
			if (!added)
				report(result, -1, "record added", records.id);
			added = true;
			next_record(&records);
		}
		if (found)
		{
			Datum		root = SPI_getbinval(tuple, table->tupdesc, 5, &isnull);
			uint8		expected[AUTHZ_DIGEST_LENGTH] = {0};	/* fits nothing */

			if (!isnull && VARSIZE_ANY_EXHDR(DatumGetByteaPP(root)) == sizeof(expected))
				memcpy(expected, VARDATA_ANY(DatumGetByteaPP(root)), sizeof(expected));
			verify_batch(result, &records, pages, DatumGetInt64(SPI_getbinval(tuple, table->tupdesc, 1, &isnull)),
						 U64FromFullTransactionId(DatumGetFullTransactionId(SPI_getbinval(tuple, table->tupdesc, 3, &isnull))),
						 DatumGetInt64(SPI_getbinval(tuple, table->tupdesc, 4, &isnull)), expected);
		}
		SPI_freetuptable(table);
		if (!found)
			break;
	}
	SPI_cursor_close(batches);
	close_records(&records);
	SPI_finish();
	return (Datum) 0;
}

/*
 * audit_forget_pages(batches bigint[]) -> void: delete rows of authz.audit_page, whose triggers refuse every
 * DELETE.  Their place is not reused before VACUUM, like any row's.
 */
Datum
authz_audit_forget_pages(PG_FUNCTION_ARGS)
{
	Relation	table = table_open(get_relname_relid("audit_page", authz_catalog_schema()), RowExclusiveLock);
	Oid			indexid = get_relname_relid("audit_page_pkey", authz_catalog_schema());
	Datum	   *batches;
	int			n;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &batches, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, batches[i]);
		scan = systable_beginscan(table, indexid, true, NULL, 1, &key);
		while ((tuple = systable_getnext(scan)) != NULL)
			simple_heap_delete(table, &tuple->t_self);
		systable_endscan(scan);
	}
	table_close(table, NoLock);
	PG_RETURN_VOID();
}
