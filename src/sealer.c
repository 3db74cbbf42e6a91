/*-------------------------------------------------------------------------
 * sealer.c
 *	  The audit log is sealed without being asked: every
 *	  authz.audit_seal_interval, in each database where something was recorded.
 *
 * Backends mark their database in shared memory when they record.  The launcher
 * (worker.c) starts a sealer for each marked one, one after the other, and says
 * in the log if one keeps the others waiting.  A sealer lives for one
 * authz.audit_seal(), some milliseconds where little is new: who drops a database,
 * or copies it, waits for it for five seconds before they fail.
 *
 * No mark is lost.  The launcher takes it away before it starts the sealer, and
 * puts it back unless that one says that it has sealed all.  That it has not if
 * it failed or was ended, or if a transaction was in progress: what that one has
 * recorded can be sealed only after its end, and it may have marked its database
 * before the mark was taken away.  Its number it had before it marked
 * (authz_record_begin_in sees to that), so the sealer's snapshot shows it.
 * Transactions of other databases look the same there; the price is a sealer
 * that finds nothing.
 *
 * What was marked before a crash or a shutdown nobody knows: all databases are
 * marked when the launcher starts, and looked after at once.  Not at the first
 * interval: by then a dump may be on its way into one of them, and records that
 * are sealed before their seals are there to be restored would take their places.
 *
 * Locking: shared->lock guards which database has which mark; marks themselves
 * are atomic.  A backend keeps the address of its mark.  It stays that of its
 * database while the backend lives, for only the launcher gives marks to other
 * databases, those of databases that are dropped.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_proc.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "guc.h"
#include "sealer.h"
#include "worker.h"

#define NAME			"authz sealer"
#define MAX_MARKS		1024
#define LOCK_TIMEOUT	"1s"	/* another sealer is at work then, or an administrator: next time */
#define LONG_TIME		10000	/* ms at work after which the log says that others wait for a sealer */
#define SEAL			"SELECT authz.audit_seal()"

typedef struct Mark
{
	Oid			database;		/* InvalidOid: free */
	pg_atomic_uint32 is_set;
} Mark;

typedef struct Shared
{
	LWLock	   *lock;
	pg_atomic_uint64 last_ticket;	/* another one for each sealer */
	pg_atomic_uint64 done;		/* ticket of the last sealer that left nothing */
	pg_atomic_uint32 others;	/* the mark of all databases that have none of their own */
	Mark		marks[MAX_MARKS];
} Shared;

/* What a sealer gets from the launcher. */
typedef struct Order
{
	uint64		ticket;
	Oid			database;
} Order;

/* In the launcher: the databases of this round, and the sealer at work. */
typedef struct Round
{
	MemoryContext context;		/* of databases */
	TimestampTz began_at;
	Oid		   *databases;
	int			n;
	int			next;
	BackgroundWorkerHandle *handle; /* NULL: none */
	Order		order;
	TimestampTz started_at;		/* of the sealer at work */
	bool		is_late;		/* it takes long, and the log says so */
	bool		is_crowded;		/* no sealer could be started, and the log says so */
} Round;

static Shared *shared = NULL;	/* NULL: not preloaded */
static Round current_round;

/* In a sealer. */
static char database_name[NAMEDATALEN];

void
authz_sealer_request_shmem(void)
{
	RequestAddinShmemSpace(sizeof(Shared));
	RequestNamedLWLockTranche(NAME, 1);
}

void
authz_sealer_start_shmem(void)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct(NAME, sizeof(Shared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(Shared));
		shared->lock = &GetNamedLWLockTranche(NAME)->lock;
		pg_atomic_init_u64(&shared->last_ticket, 0);
		pg_atomic_init_u64(&shared->done, 0);
		pg_atomic_init_u32(&shared->others, 0);
		for (int i = 0; i < MAX_MARKS; i++)
			pg_atomic_init_u32(&shared->marks[i].is_set, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Marks
 */

/* A database's own mark, or NULL.  With the lock. */
static Mark *
find_mark(Oid database)
{
	for (int i = 0; i < MAX_MARKS; i++)
	{
		if (shared->marks[i].database == database)
			return &shared->marks[i];
	}
	return NULL;
}

/* The mark of a database, which gets one if there is one. */
static pg_atomic_uint32 *
get_mark(Oid database)
{
	Mark	   *mark;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mark = find_mark(database);
	if (mark == NULL && (mark = find_mark(InvalidOid)) != NULL)
		mark->database = database;
	LWLockRelease(shared->lock);
	return mark != NULL ? &mark->is_set : &shared->others;
}

/* Take a database's own mark away. */
static void
clear_mark(Oid database)
{
	Mark	   *mark;

	LWLockAcquire(shared->lock, LW_SHARED);
	mark = find_mark(database);
	if (mark != NULL)
		(void) pg_atomic_exchange_u32(&mark->is_set, 0);	/* a full barrier */
	LWLockRelease(shared->lock);
}

void
authz_sealer_mark(void)
{
	static pg_atomic_uint32 *mark = NULL;

	if (shared == NULL)
		return;
	if (mark == NULL)
		mark = get_mark(MyDatabaseId);
	/* It is read after the transaction's number was made known: the lock for that is a barrier. */
	if (pg_atomic_read_u32(mark) == 0)
		pg_atomic_write_u32(mark, 1);
}

/*
 * Sealer
 */

/*
 * Is the extension here?  In a database whose owner is not a superuser, nobody's
 * function of that name must be taken for ours.
 */
static bool
is_installed(void)
{
	Oid			extension = get_extension_oid("authz", true);
	Oid			table;
	List	   *names;
	Oid			function;

	if (!OidIsValid(extension) || !OidIsValid(authz_catalog_schema()))
		return false;
	table = get_relname_relid("audit_batch", authz_catalog_schema());
	names = stringToQualifiedNameList("authz.audit_seal");
	function = LookupFuncName(names, 0, NULL, true);
	return OidIsValid(table) && getExtensionOfObject(RelationRelationId, table) == extension &&
		OidIsValid(function) && getExtensionOfObject(ProcedureRelationId, function) == extension;
}

/* Error context: no client's statement says what it was about. */
static void
add_context(void *arg)
{
	errcontext("sealing the audit log of database \"%s\"", database_name);
}

/* Seal what can be, in a transaction.  True if nothing is left that was recorded before. */
static bool
seal(void)
{
	ErrorContextCallback callback = {.previous = error_context_stack, .callback = add_context};
	FullTransactionId next;
	Snapshot	snapshot;
	bool		has_all;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	strlcpy(database_name, get_database_name(MyDatabaseId), sizeof(database_name));
	error_context_stack = &callback;

	/* In this order.  That a snapshot's xmin is its xmax says less: the newest transaction may be beyond both. */
	next = ReadNextFullTransactionId();
	snapshot = GetTransactionSnapshot();
	has_all = !TransactionIdPrecedes(snapshot->xmin, XidFromFullTransactionId(next));
	PushActiveSnapshot(snapshot);
	if (is_installed())
	{
		int			result;

		SPI_connect();
		result = SPI_execute(SEAL, false, 1);
		if (result != SPI_OK_SELECT)
			elog(ERROR, "sealing gave %d", result);
		SPI_finish();
	}
	else
		has_all = true;
	PopActiveSnapshot();
	CommitTransactionCommand();
	error_context_stack = callback.previous;
	return has_all;
}

/* What seal() raised, for the log.  A lock is nothing that went wrong. */
static void
report_error(void)
{
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		FlushErrorState();
		ereport(LOG,
				(errmsg("audit log of database \"%s\" is not sealed now: a table of it is locked", database_name),
				 errdetail("It will be tried again.")));
		return;
	}
	EmitErrorReport();
	FlushErrorState();
}

/* The same, and nothing raised. */
static bool
try_to_seal(void)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool has_all = false;

	PG_TRY();
	{
		has_all = seal();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		report_error();
		AbortCurrentTransaction();
		has_all = false;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return has_all;
}

void
authz_sealer_main(Datum arg)
{
	Order		order;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	pqsignal(SIGTERM, die);		/* at once: what is not committed is sealed another time */
	BackgroundWorkerUnblockSignals();

	/*
	 * It waits for no standby: one that is away would stop sealing, and keep
	 * the lock on the seals, in every database.  A seal that a standby has not
	 * got is made there again, from the same records.
	 */
	authz_worker_connect(order.database, LOCK_TIMEOUT, "local");
	pgstat_report_activity(STATE_RUNNING, SEAL);
	if (try_to_seal())
		pg_atomic_write_u64(&shared->done, order.ticket);
	proc_exit(0);
}

/*
 * In the launcher
 */

/* What there is of databases: oids of all, of those that can be connected to, and of templates. */
typedef struct Databases
{
	List	   *all;
	List	   *usable;
	List	   *templates;		/* looked after only if something was recorded there: whoever copies one waits */
} Databases;

/* Read pg_database, which the launcher can though it is connected to none. */
static Databases
read_databases(MemoryContext context)
{
	Databases	databases = {0};
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old = MemoryContextSwitchTo(context);

		databases.all = lappend_oid(databases.all, form->oid);
		if (form->datallowconn && !database_is_invalid_form(form))
			databases.usable = lappend_oid(databases.usable, form->oid);
		if (form->datistemplate)
			databases.templates = lappend_oid(databases.templates, form->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/* Copy the oids of databases that have marks of their own, set or all; in the current context. */
static void
copy_marks(List **known, List **set)
{
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_MARKS; i++)
	{
		const Mark *mark = &shared->marks[i];

		if (!OidIsValid(mark->database))
			continue;
		*known = lappend_oid(*known, mark->database);
		if (pg_atomic_read_u32(unconstify(pg_atomic_uint32 *, &mark->is_set)) != 0)
			*set = lappend_oid(*set, mark->database);
	}
	LWLockRelease(shared->lock);
}

/* Give the marks free of databases that are not there: nobody is connected to them. */
static void
free_marks(const List *known, const List *databases)
{
	ListCell   *cell;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	foreach(cell, known)
	{
		Mark	   *mark;

		if (list_member_oid(databases, lfirst_oid(cell)) || (mark = find_mark(lfirst_oid(cell))) == NULL)
			continue;
		mark->database = InvalidOid;
		pg_atomic_write_u32(&mark->is_set, 0);
	}
	LWLockRelease(shared->lock);
}

/* Find out which databases are marked. */
static void
begin_round(Round *round)
{
	MemoryContext old;
	List	   *known = NIL;
	List	   *set = NIL;
	Databases	databases;
	bool		others;
	ListCell   *cell;

	if (round->context == NULL)
		round->context = AllocSetContextCreate(TopMemoryContext, "authz sealers", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(round->context);
	old = MemoryContextSwitchTo(round->context);
	round->n = 0;
	round->next = 0;
	/* First, so that a database that is not known here and marks itself now marks the next round. */
	others = pg_atomic_exchange_u32(&shared->others, 0) != 0;
	copy_marks(&known, &set);
	if (others || set != NIL)
	{
		/* After that: a database of which a mark was known, and that is not there, is dropped. */
		databases = read_databases(round->context);
		free_marks(known, databases.all);
		round->databases = palloc_array(Oid, list_length(databases.usable) + 1);
		foreach(cell, databases.usable)
		{
			if (list_member_oid(set, lfirst_oid(cell)) || (others && !list_member_oid(known, lfirst_oid(cell)) &&
													  !list_member_oid(databases.templates, lfirst_oid(cell))))
				round->databases[round->n++] = lfirst_oid(cell);
		}
	}
	MemoryContextSwitchTo(old);
}

/* Start the next sealer; false if there is no place for it. */
static bool
start_sealer(Round *round)
{
	round->order.database = round->databases[round->next];
	round->order.ticket = pg_atomic_add_fetch_u64(&shared->last_ticket, 1);
	clear_mark(round->order.database);
	round->handle = authz_worker_start("authz audit sealer", "authz_sealer_main", round->order.database,
									   &round->order, sizeof(round->order));
	if (round->handle == NULL)
	{
		if (!round->is_crowded)
			ereport(LOG,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("no background worker is free to seal audit logs"),
					 errhint("You might need to increase max_worker_processes.")));
		round->is_crowded = true;
		return false;
	}
	round->next++;
	round->is_crowded = false;
	round->started_at = GetCurrentTimestamp();
	round->is_late = false;
	return true;
}

/* Is a sealer at work?  If it has ended, see whether it has left something. */
static bool
is_busy(Round *round)
{
	pid_t		pid;

	if (round->handle == NULL)
		return false;
	if (GetBackgroundWorkerPid(round->handle, &pid) != BGWH_STOPPED)
		return true;
	pfree(round->handle);
	round->handle = NULL;
	if (pg_atomic_read_u64(&shared->done) != round->order.ticket)
		pg_atomic_write_u32(get_mark(round->order.database), 1);
	return false;
}

/* Say if the sealer takes long.  Returns after how many ms to look again; -1: no more. */
static long
watch_sealer(Round *round, TimestampTz now)
{
	TimestampTz due = TimestampTzPlusMilliseconds(round->started_at, LONG_TIME);

	if (round->is_late)
		return -1;
	if (now < due)
		return Min(TimestampDifferenceMilliseconds(now, due), LONG_TIME);
	ereport(LOG,
			(errmsg("sealing the audit log of database with OID %u takes longer than %d seconds",
					round->order.database, LONG_TIME / 1000),
			 errdetail("Those of other databases are sealed when it has ended.")));
	round->is_late = true;
	return -1;
}

/* Those of the round that were not looked after are for the next one. */
static void
give_up_round(Round *round)
{
	while (round->next < round->n)
		pg_atomic_write_u32(get_mark(round->databases[round->next++]), 1);
}

long
authz_sealer_tend(void)
{
	Round	   *round = &current_round;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz due;

	if (is_busy(round))
		return watch_sealer(round, now);
	if (authz_audit_seal_interval == 0)
	{
		give_up_round(round);
		return -1;
	}
	due = TimestampTzPlusMilliseconds(round->began_at, authz_audit_seal_interval * INT64CONST(1000));
	/* The clock may have been set back. */
	if (round->next == round->n && (now >= due || now < round->began_at))
	{
		round->began_at = now;
		due = TimestampTzPlusMilliseconds(now, authz_audit_seal_interval * INT64CONST(1000));
		begin_round(round);
	}
	if (round->next < round->n)
	{
		if (start_sealer(round))
			return -1;
		give_up_round(round);
	}
	return TimestampDifferenceMilliseconds(now, due);
}

void
authz_sealer_open(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "authz databases", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Databases	databases = read_databases(context);
	ListCell   *cell;

	foreach(cell, databases.usable)
	{
		if (!list_member_oid(databases.templates, lfirst_oid(cell)))
			pg_atomic_write_u32(get_mark(lfirst_oid(cell)), 1);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
