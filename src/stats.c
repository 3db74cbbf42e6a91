/*-------------------------------------------------------------------------
 * stats.c
 *	  How often each policy had a say, since the server started.
 *
 * A backend counts for itself and adds that to the counters in shared memory
 * when its transaction ends, however it does.  So checks of many rows cost one
 * lock.  Without shared_preload_libraries there is no shared memory, and
 * nothing is counted.
 *
 * Shared memory holds MAX_POLICIES policies of all databases.  When it is full,
 * what was used least recently makes room: those of dropped policies and
 * databases in the end.
 *
 * A policy goes by the hash of its name, since names have no limit.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "stats.h"

#define NAME			"authz policies"
#define MAX_POLICIES	4096
#define NKINDS			(AUTHZ_STATS_CHECK + 1)

/* Without padding: it is hashed as it is. */
typedef struct PolicyKey
{
	Oid			database;
	Oid			relation;
	uint64		id;
} PolicyKey;

typedef struct Counters
{
	PolicyKey	key;			/* hash key */
	uint64		counts[NKINDS];
	TimestampTz last_used_at;
} Counters;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static HTAB *shared = NULL;
static LWLock *lock = NULL;		/* of the table and all that is in it */

static HTAB *pending = NULL;	/* this backend's, of Counters */
static bool has_pending = false;

uint64
authz_stats_id(const char *name)
{
	return DatumGetUInt64(hash_any_extended((const unsigned char *) name, strlen(name), 0));
}

void
authz_stats_count(Oid relation, uint64 id, AuthzStatsKind kind)
{
	PolicyKey	key = {MyDatabaseId, relation, id};
	Counters   *counters;
	bool		found;

	if (shared == NULL)
		return;
	if (pending == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(PolicyKey);
		info.entrysize = sizeof(Counters);
		info.hcxt = TopMemoryContext;
		pending = hash_create("authz pending policy counters", 32, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	counters = hash_search(pending, &key, HASH_ENTER, &found);
	if (!found)
		memset(counters->counts, 0, sizeof(counters->counts));
	counters->counts[kind]++;
	has_pending = true;
}

/* With the lock: the entry that was used least recently goes. */
static void
make_room(void)
{
	HASH_SEQ_STATUS status;
	Counters   *counters;
	PolicyKey	oldest = {0};
	TimestampTz oldest_at = DT_NOEND;

	hash_seq_init(&status, shared);
	while ((counters = hash_seq_search(&status)) != NULL)
	{
		if (counters->last_used_at < oldest_at)
		{
			oldest = counters->key;
			oldest_at = counters->last_used_at;
		}
	}
	(void) hash_search(shared, &oldest, HASH_REMOVE, NULL);
}

/* Allocates nothing. */
static void
add_pending(void)
{
	TimestampTz now = GetCurrentTimestamp();
	HASH_SEQ_STATUS status;
	Counters   *mine;

	has_pending = false;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	hash_seq_init(&status, pending);
	while ((mine = hash_seq_search(&status)) != NULL)
	{
		Counters   *counters;
		bool		found = hash_search(shared, &mine->key, HASH_FIND, NULL) != NULL;

		if (!found && hash_get_num_entries(shared) >= MAX_POLICIES)
			make_room();
		counters = hash_search(shared, &mine->key, HASH_ENTER_NULL, &found);
		if (counters != NULL)
		{
			if (!found)
				memset(counters->counts, 0, sizeof(counters->counts));
			for (int i = 0; i < NKINDS; i++)
				counters->counts[i] += mine->counts[i];
			counters->last_used_at = now;
		}
		(void) hash_search(pending, &mine->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(lock);
}

static void
end_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			if (has_pending)
				add_pending();
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

PG_FUNCTION_INFO_V1(authz_policy_usage);

/* policy_usage(relation oid, name text) -> plans, checks, last_used_at; all NULL where nothing is counted */
Datum
authz_policy_usage(PG_FUNCTION_ARGS)
{
	PolicyKey	key = {MyDatabaseId, PG_GETARG_OID(0), authz_stats_id(text_to_cstring(PG_GETARG_TEXT_PP(1)))};
	TupleDesc	descriptor;
	Datum		values[NKINDS + 1] = {0};
	bool		nulls[NKINDS + 1] = {true, true, true};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (shared != NULL)
	{
		Counters   *counters;

		LWLockAcquire(lock, LW_SHARED);
		counters = hash_search(shared, &key, HASH_FIND, NULL);
		for (int i = 0; i < NKINDS; i++)
		{
			values[i] = Int64GetDatum(counters ? (int64) counters->counts[i] : 0);
			nulls[i] = false;
		}
		if (counters != NULL)
			values[NKINDS] = TimestampTzGetDatum(counters->last_used_at);
		nulls[NKINDS] = counters == NULL;
		LWLockRelease(lock);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

static void
request_shmem(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(hash_estimate_size(MAX_POLICIES, sizeof(Counters)));
	RequestNamedLWLockTranche(NAME, 1);
}

static void
start_shmem(void)
{
	HASHCTL		info = {0};

	if (prev_shmem_startup)
		prev_shmem_startup();
	info.keysize = sizeof(PolicyKey);
	info.entrysize = sizeof(Counters);
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitHash(NAME, MAX_POLICIES, MAX_POLICIES, &info, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	lock = &GetNamedLWLockTranche(NAME)->lock;
	LWLockRelease(AddinShmemInitLock);
}

void
authz_stats_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shmem;
	RegisterXactCallback(end_transaction, NULL);
}
