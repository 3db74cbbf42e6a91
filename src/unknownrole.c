/*-------------------------------------------------------------------------
 * unknownrole.c
 *	  How often tokens stated roles that do not exist.
 *
 * Such a role gives nothing, silently: a name that was mistyped here or at the
 * provider looks like a person without rights.  So verified tokens are counted
 * by issuer and role.  A session counts for itself; with
 * shared_preload_libraries it adds that to shared memory when its transaction
 * ends, else its counts are all that it can show.
 *
 * Both tables hold MAX_ROLES at most, and of one token MAX_OF_TOKEN are
 * counted: tokens come from outside.  What was seen least recently makes room.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "unknownrole.h"

#define NAME			"authz unknown roles"
#define MAX_ROLES		512
#define MAX_OF_TOKEN	16
#define NAME_SIZE		256		/* no role has a longer name */
#define NCOLUMNS		4

/* Without padding: it is hashed as it is. */
typedef struct RoleKey
{
	uint64		id;				/* hash of issuer and role, in full */
	Oid			database;
	uint32		unused;			/* zero */
} RoleKey;

typedef struct UnknownRole
{
	RoleKey		key;			/* hash key */
	char		issuer[NAME_SIZE];	/* as much as fits */
	char		role[NAME_SIZE];
	uint64		verifications;
	TimestampTz last_seen_at;
} UnknownRole;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static HTAB *shared = NULL;
static LWLock *lock = NULL;		/* of the table and all that is in it */

static HTAB *own = NULL;		/* of this session; with `shared` what is to be added to it */
static bool has_pending = false;

static void
set_name(char *field, const char *name)
{
	size_t		length = strlen(name);

	if (length >= NAME_SIZE)
		length = pg_mbcliplen(name, length, NAME_SIZE - 1);
	memcpy(field, name, length);
	field[length] = '\0';
}

/* The entry that was seen least recently goes. */
static void
make_room(HTAB *table)
{
	HASH_SEQ_STATUS status;
	UnknownRole *entry;
	RoleKey		oldest = {0};
	TimestampTz oldest_at = DT_NOEND;

	hash_seq_init(&status, table);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->last_seen_at < oldest_at)
		{
			oldest = entry->key;
			oldest_at = entry->last_seen_at;
		}
	}
	(void) hash_search(table, &oldest, HASH_REMOVE, NULL);
}

/* Find or make an entry; *found as in hash_search.  NULL if there is no memory for it. */
static UnknownRole *
get_entry(HTAB *table, const RoleKey *key, bool *found)
{
	UnknownRole *entry = hash_search(table, key, HASH_FIND, found);

	if (entry != NULL)
		return entry;
	if (hash_get_num_entries(table) >= MAX_ROLES)
		make_room(table);
	return hash_search(table, key, HASH_ENTER_NULL, found);
}

void
authz_unknownrole_count(const char *issuer, const char *const *roles, int nroles)
{
	TimestampTz now = GetCurrentTimestamp();
	uint64		issuer_hash;

	if (nroles == 0)
		return;
	if (own == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(RoleKey);
		info.entrysize = sizeof(UnknownRole);
		info.hcxt = TopMemoryContext;
		own = hash_create("authz unknown roles of this session", 32, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	issuer_hash = DatumGetUInt64(hash_any_extended((const unsigned char *) issuer, strlen(issuer), 0));
	for (int i = 0; i < Min(nroles, MAX_OF_TOKEN); i++)
	{
		RoleKey		key = {0};
		UnknownRole *entry;
		bool		found;

		key.database = MyDatabaseId;
		key.id = DatumGetUInt64(hash_any_extended((const unsigned char *) roles[i], strlen(roles[i]), issuer_hash));
		entry = get_entry(own, &key, &found);
		if (entry == NULL)
			continue;
		if (!found)
		{
			set_name(entry->issuer, issuer);
			set_name(entry->role, roles[i]);
			entry->verifications = 0;
		}
		entry->verifications++;
		entry->last_seen_at = now;
		has_pending = true;
	}
}

/* Allocates nothing. */
static void
add_pending(void)
{
	HASH_SEQ_STATUS status;
	UnknownRole *mine;

	has_pending = false;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	hash_seq_init(&status, own);
	while ((mine = hash_seq_search(&status)) != NULL)
	{
		bool		found;
		UnknownRole *entry = get_entry(shared, &mine->key, &found);

		if (entry != NULL && found)
		{
			entry->verifications += mine->verifications;
			entry->last_seen_at = mine->last_seen_at;
		}
		else if (entry != NULL)
			memcpy(entry, mine, sizeof(UnknownRole));
		(void) hash_search(own, &mine->key, HASH_REMOVE, NULL);
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

/* Copies of the entries of this database; *n how many. */
static UnknownRole *
copy_entries(int *n)
{
	UnknownRole *result = palloc_array(UnknownRole, MAX_ROLES);
	HTAB	   *table = shared != NULL ? shared : own;
	HASH_SEQ_STATUS status;
	UnknownRole *entry;

	*n = 0;
	if (table == NULL)
		return result;
	if (shared != NULL)
		LWLockAcquire(lock, LW_SHARED);
	hash_seq_init(&status, table);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.database == MyDatabaseId)
			result[(*n)++] = *entry;
	}
	if (shared != NULL)
		LWLockRelease(lock);
	return result;
}

PG_FUNCTION_INFO_V1(authz_unknown_roles);

/* authz.unknown_roles() -> setof issuer, role, verifications, last_seen_at */
Datum
authz_unknown_roles(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	UnknownRole *entries;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	entries = copy_entries(&n);
	for (int i = 0; i < n; i++)
	{
		Datum		values[NCOLUMNS];
		bool		nulls[NCOLUMNS] = {0};

		values[0] = CStringGetTextDatum(entries[i].issuer);
		values[1] = CStringGetTextDatum(entries[i].role);
		values[2] = Int64GetDatum((int64) entries[i].verifications);
		values[3] = TimestampTzGetDatum(entries[i].last_seen_at);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static void
request_shmem(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(hash_estimate_size(MAX_ROLES, sizeof(UnknownRole)));
	RequestNamedLWLockTranche(NAME, 1);
}

static void
start_shmem(void)
{
	HASHCTL		info = {0};

	if (prev_shmem_startup)
		prev_shmem_startup();
	info.keysize = sizeof(RoleKey);
	info.entrysize = sizeof(UnknownRole);
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitHash(NAME, MAX_ROLES, MAX_ROLES, &info, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
	lock = &GetNamedLWLockTranche(NAME)->lock;
	LWLockRelease(AddinShmemInitLock);
}

void
authz_unknownrole_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shmem;
	RegisterXactCallback(end_transaction, NULL);
}
