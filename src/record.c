/*-------------------------------------------------------------------------
 * record.c
 *	  The only writer of authz.audit_log and authz.access_log.
 *
 * It writes in other people's statements, as them.  They have no privilege on
 * the log, and none is taken on: the partition is opened and its rows are
 * inserted by the table access method, without an executor that would look at
 * privileges, triggers or row security.  Nothing here runs a function of a
 * user's.  Whatever fails aborts the statement: no change without its record.
 *
 * Locks.  A writer locks the partition of the month (as any writer does), and
 * not the partitioned table: a DROP of an old partition that waits for a
 * reader would otherwise stop every writer behind it.  So the partition is
 * found by its name, such as audit_log_YYYYMM, in UTC.  Where there is none, the
 * record goes to the default partition; as attaching a partition locks that
 * one, looking again under the lock decides.
 *
 * Indexes.  What is needed to insert into those of the partition is made once
 * and kept until the partition's relcache entry is invalidated: made for each
 * statement it is about a fifth of what recording one row costs.  Keys are computed
 * there as the executor does it, by the same functions.  Those of an
 * administrator's index may fail, and leave in what is kept of them pointers
 * into what the error frees; so nothing is kept while they run.
 *
 * Numbers come from a sequence, as nextval() takes them but for a block at a
 * time and without lastval() of the session noticing: what applications ask
 * lastval() for is the key of their own row.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "catalog.h"
#include "identity.h"
#include "record.h"
#include "sealer.h"

#define MAX_BUFFERED_RECORDS	1000
#define MAX_BUFFERED_BYTES		(1024 * 1024)
#define SEQUENCE				"record_id_seq"
#define SEQUENCE_LOG_AHEAD		32	/* numbers that one WAL record covers beyond those taken */

#define MAX_NATTS				Natts_access_log	/* of any log that is written here */

/* A log's partitions are <name>_YYYYMM and <name>_default. */
static const struct
{
	const char *name;
	int			natts;
}			logs[] =
{
	[AUTHZ_LOG_AUDIT] = {"audit_log", Natts_audit_log},
	[AUTHZ_LOG_ACCESS] = {"access_log", Natts_access_log},
};

/* How the indexes of a partition are inserted into; made once, not changed but for what the executor keeps in it. */
typedef struct Indexes
{
	Oid			partition;		/* InvalidOid: none */
	bool		valid;
	MemoryContext context;		/* of all that follows */
	EState	   *estate;
	int			n;
	Oid		   *oids;
	IndexInfo **infos;
} Indexes;

static Indexes last_indexes[lengthof(logs)];	/* of each log's partition that was written last */
static struct
{
	int			month;			/* since the year 0 */
	Oid			partition;		/* InvalidOid: look it up */
}			last_months[lengthof(logs)];
static uint64 invalidations = 0;

struct AuthzRecorder
{
	AuthzLog	log;
	MemoryContext context;		/* of the recorder */
	MemoryContext batch;		/* of buffered changes */
	Datum		values[MAX_NATTS];	/* what all records share */
	bool		isnull[MAX_NATTS];
	Relation	partition;
	Indexes		indexes;
	Relation   *index_relations;	/* opened when the first record needs them */
	int			nslots;			/* made so far */
	int			nbuffered;
	int			capacity;		/* of the array */
	TupleTableSlot **slots;
};

static void
set_text(AuthzRecorder *recorder, AttrNumber attribute, const char *value)
{
	recorder->isnull[attribute - 1] = value == NULL;
	if (value != NULL)
		recorder->values[attribute - 1] = CStringGetTextDatum(value);
}

static void
set_int64(AuthzRecorder *recorder, AttrNumber attribute, int64 value)
{
	recorder->isnull[attribute - 1] = false;
	recorder->values[attribute - 1] = Int64GetDatum(value);
}

/* The same whatever the session says of quote_all_identifiers. */
char *
authz_record_relation_name(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	bool		quote_all = quote_all_identifiers;
	char	   *result = NULL;

	if (name == NULL)
		return NULL;
	quote_all_identifiers = false;
	PG_TRY();
	{
		result = quote_qualified_identifier(schema, name);
	}
	PG_FINALLY();
	{
		quote_all_identifiers = quote_all;
	}
	PG_END_TRY();
	return result;
}

/* inet_client_addr() needs a call of its own for its NULL. */
const char *
authz_record_client_address(void)
{
	LOCAL_FCINFO(fcinfo, 0);
	Datum		address;

	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, NULL, NULL);
	address = inet_client_addr(fcinfo);
	return fcinfo->isnull ? NULL : DatumGetCString(DirectFunctionCall1(inet_out, address));
}

void
authz_record_circumstances(AuthzCircumstances *circumstances)
{
	const AuthzIdentity *identity = authz_identity_get_in_statement();

	circumstances->subject = identity->subject;
	circumstances->issuer = identity->issuer;
	circumstances->token_id = identity->token_id;
	circumstances->actor = identity->actor;
	circumstances->nroles = identity->nroles;
	circumstances->roles = identity->roles;
	circumstances->database_role = GetUserNameFromId(GetSessionUserId(), false);
	circumstances->client_address = authz_record_client_address();
	circumstances->application_name = application_name[0] != '\0' ? application_name : NULL;
	circumstances->policy_version = authz_catalog_policy_version();
	circumstances->query_id = pgstat_get_my_query_id();
	circumstances->statement_at = GetCurrentStatementStartTimestamp();
}

static void
set_roles(AuthzRecorder *recorder, const AuthzCircumstances *circumstances)
{
	Datum	   *roles = palloc_array(Datum, Max(circumstances->nroles, 1));

	for (int i = 0; i < circumstances->nroles; i++)
		roles[i] = CStringGetTextDatum(circumstances->roles[i]);
	recorder->isnull[Anum_record_roles - 1] = false;
	recorder->values[Anum_record_roles - 1] =
		PointerGetDatum(construct_array(roles, circumstances->nroles, TEXTOID, -1, false, TYPALIGN_INT));
}

static void
set_circumstances(AuthzRecorder *recorder, const AuthzCircumstances *circumstances)
{
	const char *address = circumstances->client_address;

	set_text(recorder, Anum_record_subject, circumstances->subject);
	set_text(recorder, Anum_record_issuer, circumstances->issuer);
	set_text(recorder, Anum_record_token_id, circumstances->token_id);
	set_text(recorder, Anum_record_actor, circumstances->actor);
	set_roles(recorder, circumstances);
	set_text(recorder, Anum_record_database_role, circumstances->database_role);
	recorder->isnull[Anum_record_client_address - 1] = address == NULL;
	if (address != NULL)
		recorder->values[Anum_record_client_address - 1] = DirectFunctionCall1(inet_in, CStringGetDatum(address));
	set_text(recorder, Anum_record_application_name, circumstances->application_name);
	set_int64(recorder, Anum_record_policy_version, circumstances->policy_version);
	set_int64(recorder, Anum_record_query_id, (int64) circumstances->query_id);
	recorder->isnull[Anum_record_query_id - 1] = circumstances->query_id == 0;

	set_int64(recorder, Anum_record_statement_at, circumstances->statement_at);
	set_int64(recorder, Anum_record_recorded_at, GetCurrentTimestamp());
	recorder->isnull[Anum_record_transaction_id - 1] = false;
	recorder->values[Anum_record_transaction_id - 1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
}

/* The partition of the month of `time`, locked, or NULL. */
static Relation
open_month(AuthzLog log, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char		name[NAMEDATALEN];
	Oid			relid = last_months[log].partition;
	uint64		before;
	int			month;
	Relation	partition;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		elog(ERROR, "time out of range");
	month = tm.tm_year * MONTHS_PER_YEAR + tm.tm_mon;
	if (!OidIsValid(relid) || last_months[log].month != month)
	{
		snprintf(name, sizeof(name), "%s_%04d%02d", logs[log].name, tm.tm_year, tm.tm_mon);
		relid = get_relname_relid(name, authz_catalog_schema());
	}
	before = invalidations;
	partition = OidIsValid(relid) ? try_table_open(relid, RowExclusiveLock) : NULL;
	if (partition != NULL && !partition->rd_rel->relispartition)
	{
		table_close(partition, RowExclusiveLock);
		return NULL;
	}
	last_months[log].month = month;
	last_months[log].partition = before == invalidations ? relid : InvalidOid;
	return partition;
}

static Relation
open_partition(AuthzLog log, TimestampTz time)
{
	Relation	partition = open_month(log, time);
	char		name[NAMEDATALEN];
	Oid			relid;

	if (partition == NULL)
	{
		Relation	month;

		snprintf(name, sizeof(name), "%s_default", logs[log].name);
		relid = get_relname_relid(name, authz_catalog_schema());
		if (!OidIsValid(relid))
			elog(ERROR, "table authz.%s is missing", name);
		partition = table_open(relid, RowExclusiveLock);

		/* Attached while the default was waited for? */
		month = open_month(log, time);
		if (month != NULL)
		{
			table_close(partition, NoLock);
			partition = month;
		}
	}
	if (RelationGetNumberOfAttributes(partition) != logs[log].natts)
		elog(ERROR, "table %s has %d columns", RelationGetRelationName(partition),
			 RelationGetNumberOfAttributes(partition));
	return partition;
}

/* Take `n` numbers; returns the first. */
static int64
take_numbers(int n)
{
	Oid			relid = get_relname_relid(SEQUENCE, authz_catalog_schema());
	Relation	sequence;
	Buffer		buffer;
	Page		page;
	HeapTupleData tuple;
	Form_pg_sequence_data state;
	int64		first;
	int64		last;
	int64		ahead;
	bool		log_ahead;

	if (!OidIsValid(relid))
		elog(ERROR, "sequence authz." SEQUENCE " is missing");
	sequence = relation_open(relid, RowExclusiveLock);
	if (sequence->rd_rel->relkind != RELKIND_SEQUENCE || !RelationNeedsWAL(sequence))
		elog(ERROR, "authz." SEQUENCE " is not an ordinary sequence");
	buffer = ReadBuffer(sequence, 0);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(buffer);
	tuple.t_data = (HeapTupleHeader) PageGetItem(page, PageGetItemId(page, FirstOffsetNumber));
	tuple.t_len = ItemIdGetLength(PageGetItemId(page, FirstOffsetNumber));
	state = (Form_pg_sequence_data) GETSTRUCT(&tuple);

	if (state->last_value < 1 || state->last_value > PG_INT64_MAX - n - SEQUENCE_LOG_AHEAD - 1)
		elog(ERROR, "authz." SEQUENCE " is at " INT64_FORMAT, state->last_value);
	first = state->is_called ? state->last_value + 1 : state->last_value;
	last = first + n - 1;

	/* As nextval() does: log beyond what is taken, and again after each checkpoint. */
	log_ahead = !state->is_called || state->log_cnt < n || PageGetLSN(page) <= GetRedoRecPtr();
	ahead = last + SEQUENCE_LOG_AHEAD;

	START_CRIT_SECTION();
	MarkBufferDirty(buffer);
	if (log_ahead)
	{
		xl_seq_rec	header;
		XLogRecPtr	position;

		state->last_value = ahead;
		state->is_called = true;
		state->log_cnt = 0;
		header.node = sequence->rd_node;
		XLogBeginInsert();
		XLogRegisterBuffer(0, buffer, REGBUF_WILL_INIT);
		XLogRegisterData((char *) &header, sizeof(header));
		XLogRegisterData((char *) tuple.t_data, tuple.t_len);
		position = XLogInsert(RM_SEQ_ID, XLOG_SEQ_LOG);
		PageSetLSN(page, position);
	}
	state->log_cnt = log_ahead ? SEQUENCE_LOG_AHEAD : state->log_cnt - n;
	state->last_value = last;
	state->is_called = true;
	END_CRIT_SECTION();

	UnlockReleaseBuffer(buffer);
	relation_close(sequence, NoLock);
	return first;
}

/* When a relation changed: sets flags and counts only. */
static void
relation_changed(Oid relid)
{
	invalidations++;
	for (int i = 0; i < lengthof(last_indexes); i++)
	{
		if (!OidIsValid(relid) || relid == last_indexes[i].partition)
			last_indexes[i].valid = false;
		if (!OidIsValid(relid) || relid == last_months[i].partition)
			last_months[i].partition = InvalidOid;
	}
}

static void
load_indexes(Indexes *last, Relation partition)
{
	Indexes		loaded = {.partition = RelationGetRelid(partition)};
	uint64		before = invalidations;
	List	   *oids = RelationGetIndexList(partition);
	MemoryContext old;
	ListCell   *cell;

	loaded.context = AllocSetContextCreate(CurrentMemoryContext, "authz log indexes", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(loaded.context);
	loaded.estate = CreateExecutorState();
	(void) GetPerTupleExprContext(loaded.estate);
	loaded.oids = palloc_array(Oid, list_length(oids) + 1);
	loaded.infos = palloc_array(IndexInfo *, list_length(oids) + 1);
	foreach(cell, oids)
	{
		Relation	index = index_open(lfirst_oid(cell), RowExclusiveLock);
		IndexInfo  *info = BuildIndexInfo(index);

		info->ii_ExpressionsState = ExecPrepareExprList(info->ii_Expressions, loaded.estate);
		info->ii_PredicateState = ExecPrepareQual(info->ii_Predicate, loaded.estate);
		loaded.oids[loaded.n] = lfirst_oid(cell);
		loaded.infos[loaded.n++] = info;
		index_close(index, NoLock);
	}
	MemoryContextSwitchTo(old);
	list_free(oids);
	loaded.valid = before == invalidations;

	/* Another recorder may be at work with the others. */
	if (last->context != NULL)
		MemoryContextSetParent(last->context, TopTransactionContext);
	MemoryContextSetParent(loaded.context, TopMemoryContext);
	*last = loaded;
}

static void
prepare_indexes(AuthzRecorder *recorder)
{
	Indexes    *last = &last_indexes[recorder->log];

	if (!last->valid || last->partition != RelationGetRelid(recorder->partition))
		load_indexes(last, recorder->partition);
	recorder->indexes = *last;
	recorder->index_relations = palloc0_array(Relation, last->n + 1);
}

AuthzRecorder *
authz_record_begin_in(AuthzLog log, const char *relation, int64 trail, const char *action,
					  const AuthzCircumstances *circumstances)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "authz records", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	AuthzRecorder *recorder = palloc0(sizeof(AuthzRecorder));

	recorder->log = log;
	recorder->context = context;
	recorder->capacity = 8;
	recorder->slots = palloc_array(TupleTableSlot *, recorder->capacity);
	recorder->batch = AllocSetContextCreate(context, "authz buffered records", ALLOCSET_DEFAULT_SIZES);
	set_text(recorder, Anum_record_action, action);
	set_text(recorder, Anum_record_relation, relation);
	set_int64(recorder, Anum_record_trail, trail);
	set_circumstances(recorder, circumstances);
	authz_sealer_mark();		/* the transaction has its number by now */

	recorder->partition = open_partition(log, DatumGetTimestampTz(recorder->values[Anum_record_recorded_at - 1]));
	prepare_indexes(recorder);
	MemoryContextSwitchTo(old);
	return recorder;
}

AuthzRecorder *
authz_record_begin(const char *relation, int64 trail, const char *action)
{
	AuthzCircumstances circumstances;

	authz_record_circumstances(&circumstances);
	return authz_record_begin_in(AUTHZ_LOG_AUDIT, relation, trail, action, &circumstances);
}

MemoryContext
authz_record_context(AuthzRecorder *recorder)
{
	return recorder->batch;
}

static void
insert_index_entries(AuthzRecorder *recorder, TupleTableSlot *slot)
{
	const Indexes *indexes = &recorder->indexes;
	ExprContext *context = GetPerTupleExprContext(indexes->estate);
	MemoryContext old = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);

	context->ecxt_scantuple = slot;
	for (int i = 0; i < indexes->n; i++)
	{
		IndexInfo  *info = indexes->infos[i];
		Datum		values[INDEX_MAX_KEYS];
		bool		isnull[INDEX_MAX_KEYS];

		if (!info->ii_ReadyForInserts || !ExecQual(info->ii_PredicateState, context))
			continue;
		if (recorder->index_relations[i] == NULL)
			recorder->index_relations[i] = index_open(indexes->oids[i], RowExclusiveLock);
		FormIndexDatum(info, slot, indexes->estate, values, isnull);
		index_insert(recorder->index_relations[i], values, isnull, &slot->tts_tid, recorder->partition,
					 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
	}
	MemoryContextSwitchTo(old);
	ResetExprContext(context);
}

/* Index the buffered records. */
static void
insert_into_indexes(AuthzRecorder *recorder)
{
	Indexes    *last = &last_indexes[recorder->log];
	bool		is_last = last->valid && last->context == recorder->indexes.context;
	uint64		before = invalidations;

	/* If this fails, they are made anew. */
	last->valid = false;
	for (int i = 0; i < recorder->indexes.n; i++)
	{
		/* What an access method keeps for some insertions; it may point to the relation. */
		recorder->indexes.infos[i]->ii_AmCache = NULL;
		recorder->indexes.infos[i]->ii_Context = recorder->batch;
	}
	for (int i = 0; i < recorder->nbuffered; i++)
		insert_index_entries(recorder, recorder->slots[i]);
	/* What a function did there may have loaded others. */
	if (last->context == recorder->indexes.context)
		last->valid = is_last && before == invalidations;
}

static void
flush(AuthzRecorder *recorder)
{
	int			n = recorder->nbuffered;
	MemoryContext old;
	int64		id;

	if (n == 0)
		return;
	old = MemoryContextSwitchTo(recorder->batch);
	id = take_numbers(n);
	for (int i = 0; i < n; i++)
		recorder->slots[i]->tts_values[Anum_record_id - 1] = Int64GetDatum(id + i);
	table_multi_insert(recorder->partition, recorder->slots, n, GetCurrentCommandId(true), 0, NULL);
	insert_into_indexes(recorder);
	for (int i = 0; i < n; i++)
		ExecClearTuple(recorder->slots[i]);
	recorder->nbuffered = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(recorder->batch);
}

static void
set_jsonb(TupleTableSlot *slot, AttrNumber attribute, Datum value)
{
	slot->tts_values[attribute - 1] = value;
	slot->tts_isnull[attribute - 1] = value == (Datum) 0;
}

/* A slot for the next record, with what all share. */
static TupleTableSlot *
next_slot(AuthzRecorder *recorder)
{
	TupleTableSlot *slot;

	if (recorder->nbuffered == recorder->nslots)
	{
		MemoryContext old = MemoryContextSwitchTo(recorder->context);

		if (recorder->nslots == recorder->capacity)
		{
			recorder->capacity *= 2;
			recorder->slots = repalloc(recorder->slots, recorder->capacity * sizeof(TupleTableSlot *));
		}
		recorder->slots[recorder->nslots++] =
			MakeSingleTupleTableSlot(RelationGetDescr(recorder->partition), &TTSOpsVirtual);
		MemoryContextSwitchTo(old);
	}
	slot = recorder->slots[recorder->nbuffered++];
	memcpy(slot->tts_values, recorder->values, logs[recorder->log].natts * sizeof(Datum));
	memcpy(slot->tts_isnull, recorder->isnull, logs[recorder->log].natts * sizeof(bool));
	slot->tts_isnull[Anum_record_id - 1] = false;
	return slot;
}

static void
finish_slot(AuthzRecorder *recorder, TupleTableSlot *slot)
{
	ExecStoreVirtualTuple(slot);
	if (recorder->nbuffered == MAX_BUFFERED_RECORDS ||
		MemoryContextMemAllocated(recorder->batch, false) > MAX_BUFFERED_BYTES)
		flush(recorder);
}

void
authz_record_add(AuthzRecorder *recorder, const AuthzChange *change)
{
	TupleTableSlot *slot = next_slot(recorder);

	set_jsonb(slot, Anum_audit_log_key, change->key);
	set_jsonb(slot, Anum_audit_log_old_key, change->old_key);
	set_jsonb(slot, Anum_audit_log_old_values, change->old_values);
	set_jsonb(slot, Anum_audit_log_new_values, change->new_values);
	finish_slot(recorder, slot);
}

void
authz_record_add_values(AuthzRecorder *recorder, const Datum *values)
{
	TupleTableSlot *slot = next_slot(recorder);

	for (int i = Natts_record; i < logs[recorder->log].natts; i++)
	{
		slot->tts_values[i] = values[i - Natts_record];
		slot->tts_isnull[i] = false;
	}
	finish_slot(recorder, slot);
}

void
authz_record_init(void)
{
	authz_catalog_on_relation_changed(relation_changed);
}

void
authz_record_end(AuthzRecorder *recorder)
{
	flush(recorder);
	for (int i = 0; i < recorder->nslots; i++)
		ExecDropSingleTupleTableSlot(recorder->slots[i]);
	for (int i = 0; i < recorder->indexes.n; i++)
	{
		if (recorder->index_relations[i] != NULL)
			index_close(recorder->index_relations[i], NoLock);
	}
	table_close(recorder->partition, NoLock);
	MemoryContextDelete(recorder->context);
}
