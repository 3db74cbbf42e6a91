/*-------------------------------------------------------------------------
 * worker.c
 *	  From any backend to authz.denial_log outside of its transaction: a
 *	  queue in shared memory, and the processes that empty it.
 *
 * A background worker is bound to one database for life, and a cluster has any
 * number of them.  So there are two kinds:
 *
 * - One launcher for the cluster, from the end of recovery to shutdown.  It
 *   starts writers, and puts into the server's log what no writer could take.
 * - A writer for each database that has records queued, started when the first
 *   comes.  It writes them, many in one transaction if there are many, and ends
 *   when none has come for a second: no slot of max_worker_processes is held for
 *   a database where nobody is denied, and none stands in the way of DROP
 *   DATABASE, which waits longer than that.
 *
 * Rejected: backends that start writers themselves (nobody would be left for
 * records whose writer did not start, least of all at shutdown); one worker
 * that ends and starts again for each database in turn (the postmaster may make
 * it wait, and one locked table would hold up every database).
 *
 * A record stays in the queue until it is committed (locally: a writer waits
 * for no standby) or logged, and only then gives its place free; so it survives
 * the end of its writer, whatever ended that; twice it could only be written if
 * that happened between the two.  A crash of the server loses what is queued,
 * which is some milliseconds' worth unless the table is locked.
 *
 * Shutdown, fast or smart: the launcher closes the queue (what is denied from
 * then on goes to the server's log), writers finish what is theirs, and the
 * launcher, last, logs what is left.
 *
 * Locking: queue->lock guards everything but the counters.  The content of a
 * queued record does not change; it is read without the lock by the one process
 * that may remove it: the writer of its database, or the launcher if there is
 * none.  Which it is, queue->writers says.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "denial.h"
#include "guc.h"
#include "worker.h"

#define NAME			"authz denials"
#define MAX_WRITERS		8		/* at once */
#define MAX_BATCH		256		/* records in one transaction */
#define MAX_WAIT		1000	/* ms that a backend waits for room */
#define WAIT_SLICE		100		/* ms between its looks for an interrupt */
#define WRITER_IDLE		1000	/* ms without a record after which a writer ends */
#define RETRY_INTERVAL	1000	/* ms between attempts to start a writer */
#define MAX_DELAY		10000	/* ms after which a record that got no writer is logged */

/* A place in the queue. */
typedef struct Record
{
	dlist_node	node;			/* in queue->free or queue->pending */
	Oid			database;
	TimestampTz queued_at;
	int			length;			/* of line, without its NUL */
	char		line[AUTHZ_WORKER_MAX_LINE + 1];
} Record;

/* A writer, from the decision to start it to its end. */
typedef struct Writer
{
	uint64		ticket;			/* another one for each writer; 0: none here */
	Oid			database;
	PGPROC	   *proc;			/* to be woken; NULL while it starts */
	bool		failed;			/* it ended and left its records */
} Writer;

typedef struct Queue
{
	LWLock	   *lock;
	ConditionVariable room;		/* woken when a place gets free */
	bool		is_open;		/* a launcher sees to what comes in */
	PGPROC	   *launcher;
	int			size;			/* in records */
	int			npending;
	dlist_head	pending;		/* oldest first */
	dlist_head	free;
	uint64		last_ticket;
	Writer		writers[MAX_WRITERS];

	/* Since the server started. */
	pg_atomic_uint64 queued;
	pg_atomic_uint64 written;	/* to a table, and committed */
	pg_atomic_uint64 logged;	/* to the server's log instead, queued before or not */
	pg_atomic_uint64 waited;	/* for room, in vain or not */

	Record		records[FLEXIBLE_ARRAY_MEMBER];
} Queue;

/* What a writer gets from the launcher, in bgw_extra. */
typedef struct Order
{
	int			position;		/* in queue->writers */
	uint64		ticket;
	Oid			database;
} Order;

typedef enum Outcome
{
	OUTCOME_CLOSED = 0,
	OUTCOME_FULL,
	OUTCOME_QUEUED
} Outcome;

PGDLLEXPORT void authz_worker_launcher_main(Datum arg);
PGDLLEXPORT void authz_worker_writer_main(Datum arg);

static Queue *queue = NULL;		/* NULL: not preloaded, or of size 0 */
static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

/* In the launcher: of the writer at each position, NULL if not started by this process. */
static BackgroundWorkerHandle *handles[MAX_WRITERS];

/* In a writer. */
static Order order;

static Size
queue_bytes(void)
{
	return add_size(offsetof(Queue, records), mul_size(authz_denial_queue_size, sizeof(Record)));
}

static void
request_shmem(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	RequestAddinShmemSpace(queue_bytes());
	RequestNamedLWLockTranche(NAME, 1);
}

static void
start_shmem(void)
{
	bool		found;

	if (prev_shmem_startup)
		prev_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	queue = ShmemInitStruct(NAME, queue_bytes(), &found);
	if (!found)
	{
		memset(queue, 0, queue_bytes());
		queue->lock = &GetNamedLWLockTranche(NAME)->lock;
		ConditionVariableInit(&queue->room);
		queue->size = authz_denial_queue_size;
		dlist_init(&queue->pending);
		dlist_init(&queue->free);
		for (int i = 0; i < queue->size; i++)
			dlist_push_tail(&queue->free, &queue->records[i].node);
		pg_atomic_init_u64(&queue->queued, 0);
		pg_atomic_init_u64(&queue->written, 0);
		pg_atomic_init_u64(&queue->logged, 0);
		pg_atomic_init_u64(&queue->waited, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

/* The writer of a database, starting or running or failed, or NULL.  With the lock. */
static Writer *
find_writer(Oid database)
{
	for (int i = 0; i < MAX_WRITERS; i++)
	{
		if (queue->writers[i].ticket != 0 && queue->writers[i].database == database)
			return &queue->writers[i];
	}
	return NULL;
}

/* Put a record into the queue if it is open and has room. */
static Outcome
put(const char *line, int length)
{
	PGPROC	   *wake = NULL;
	Outcome		outcome = OUTCOME_CLOSED;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	if (queue->is_open && dlist_is_empty(&queue->free))
		outcome = OUTCOME_FULL;
	else if (queue->is_open)
	{
		Record	   *record = dlist_container(Record, node, dlist_pop_head_node(&queue->free));
		Writer	   *writer = find_writer(MyDatabaseId);

		record->database = MyDatabaseId;
		record->queued_at = GetCurrentTimestamp();
		record->length = length;
		memcpy(record->line, line, length);
		record->line[length] = '\0';
		dlist_push_tail(&queue->pending, &record->node);
		queue->npending++;
		pg_atomic_fetch_add_u64(&queue->queued, 1);
		wake = writer ? writer->proc : queue->launcher;
		outcome = OUTCOME_QUEUED;
	}
	LWLockRelease(queue->lock);

	/* A PGPROC is never freed; if it has another process by now, that looks up once for nothing. */
	if (wake != NULL)
		SetLatch(&wake->procLatch);
	return outcome;
}

/*
 * The same, and wait for room if there is none.  The caller holds interrupts:
 * who cancels the statement or ends the session ends the waiting, no more.
 */
static Outcome
put_and_wait(const char *line, int length)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), MAX_WAIT);
	Outcome		outcome;

	pg_atomic_fetch_add_u64(&queue->waited, 1);
	ConditionVariablePrepareToSleep(&queue->room);
	while ((outcome = put(line, length)) == OUTCOME_FULL && !QueryCancelPending && !ProcDiePending &&
		   GetCurrentTimestamp() < until)
		(void) ConditionVariableTimedSleep(&queue->room, WAIT_SLICE, PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
	return outcome;
}

bool
authz_worker_queue(const char *line, int length, bool has_table)
{
	Outcome		outcome = OUTCOME_CLOSED;

	if (queue == NULL)
		return false;
	if (has_table && length <= AUTHZ_WORKER_MAX_LINE)
		outcome = put(line, length);
	if (outcome == OUTCOME_FULL && authz_denial_queue_full == AUTHZ_DENIAL_QUEUE_FULL_WAIT)
		outcome = put_and_wait(line, length);
	if (outcome != OUTCOME_QUEUED)
		pg_atomic_fetch_add_u64(&queue->logged, 1);
	return outcome == OUTCOME_QUEUED;
}

/* The oldest records of a database, MAX_BATCH at most, for the process that may remove them. */
static int
collect(Oid database, Record **records)
{
	dlist_iter	iter;
	int			n = 0;

	LWLockAcquire(queue->lock, LW_SHARED);
	dlist_foreach(iter, &queue->pending)
	{
		Record	   *record = dlist_container(Record, node, iter.cur);

		if (record->database != database)
			continue;
		records[n++] = record;
		if (n == MAX_BATCH)
			break;
	}
	LWLockRelease(queue->lock);
	return n;
}

/* Give the places of records free that have been written or logged, as `counter` says. */
static void
release(Record **records, int n, pg_atomic_uint64 *counter)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < n; i++)
	{
		dlist_delete(&records[i]->node);
		dlist_push_tail(&queue->free, &records[i]->node);
	}
	queue->npending -= n;
	LWLockRelease(queue->lock);
	pg_atomic_fetch_add_u64(counter, n);
	ConditionVariableBroadcast(&queue->room);
}

static void
log_records(Record **records, int n)
{
	for (int i = 0; i < n; i++)
		authz_denial_log(records[i]->line);
	release(records, n, &queue->logged);
}

/* Log what is queued for a database that has no writer. */
static void
log_database(Oid database)
{
	Record	   *records[MAX_BATCH];
	int			n;

	while ((n = collect(database, records)) > 0)
		log_records(records, n);
}

/*
 * Writer
 */

/* Write records, to the log if that is not possible. */
static void
write_records(Record **records, int n)
{
	MemoryContext context = CurrentMemoryContext;
	const char *lines[MAX_BATCH];
	volatile bool written = false;

	for (int i = 0; i < n; i++)
		lines[i] = records[i]->line;

	pgstat_report_activity(STATE_RUNNING, "writing authz.denial_log");
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		written = authz_denial_insert(lines, n);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		written = false;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();

	if (written)
		release(records, n, &queue->written);
	else
	{
		/* All that is queued: each batch might take as long to fail. */
		log_records(records, n);
		log_database(order.database);
	}
	MemoryContextSwitchTo(context);
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Is this process the writer that the launcher is waiting for?  Then be it. */
static bool
take_up(void)
{
	Writer	   *writer = &queue->writers[order.position];
	bool		is_mine;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	is_mine = writer->ticket == order.ticket;
	if (is_mine)
		writer->proc = MyProc;
	LWLockRelease(queue->lock);
	return is_mine;
}

/* End, but not if a record is left: who queues the next will find no writer. */
static bool
leave_if_done(void)
{
	Writer	   *writer = &queue->writers[order.position];
	dlist_iter	iter;
	bool		is_done = true;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	dlist_foreach(iter, &queue->pending)
	{
		if (dlist_container(Record, node, iter.cur)->database == order.database)
			is_done = false;
	}
	if (is_done && writer->ticket == order.ticket)
		memset(writer, 0, sizeof(*writer));
	LWLockRelease(queue->lock);
	return is_done;
}

/* Exit callback: if this was not the end that leave_if_done makes, the launcher takes over. */
static void
writer_ends(int code, Datum arg)
{
	Writer	   *writer = &queue->writers[order.position];
	PGPROC	   *launcher;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	if (writer->ticket == order.ticket)
	{
		writer->proc = NULL;
		writer->failed = true;
	}
	launcher = queue->launcher;
	LWLockRelease(queue->lock);
	if (launcher != NULL)
		SetLatch(&launcher->procLatch);
}

/* Whatever the database or its owner has set. */
static void
set_options(void)
{
	static const char *const options[][2] = {
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
		{"session_replication_role", "origin"},
		{"statement_timeout", "0"},
		{"lock_timeout", "5s"},	/* then the log is better than a queue that fills */
		{"synchronous_commit", "local"},	/* a standby that is away must not stop it */
		{"search_path", "pg_catalog, pg_temp"},
	};

	for (int i = 0; i < lengthof(options); i++)
		SetConfigOption(options[i][0], options[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* Entry point of a writer. */
void
authz_worker_writer_main(Datum arg)
{
	TimestampTz idle_since;
	Record	   *records[MAX_BATCH];
	int			n;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);	/* nothing is cut short by it */
	BackgroundWorkerUnblockSignals();
	if (queue == NULL || !take_up())
		proc_exit(0);
	before_shmem_exit(writer_ends, (Datum) 0);
	BackgroundWorkerInitializeConnectionByOid(order.database, InvalidOid, 0);
	set_options();

	idle_since = GetCurrentTimestamp();
	for (;;)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if ((n = collect(order.database, records)) > 0)
		{
			write_records(records, n);
			idle_since = GetCurrentTimestamp();
			continue;
		}
		if ((ShutdownRequestPending ||
			 TimestampDifferenceExceeds(idle_since, GetCurrentTimestamp(), WRITER_IDLE)) &&
			leave_if_done())
			proc_exit(0);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 WRITER_IDLE, PG_WAIT_EXTENSION);
	}
}

/*
 * Launcher
 */

/* Start a writer; false if there is no place for it now. */
static bool
start_writer(Oid database)
{
	BackgroundWorker worker = {0};
	Writer	   *writer = NULL;
	Order		start = {0};

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WRITERS && writer == NULL; i++)
	{
		if (queue->writers[i].ticket != 0)
			continue;
		writer = &queue->writers[i];
		memset(writer, 0, sizeof(*writer));
		writer->ticket = ++queue->last_ticket;
		writer->database = database;
		start.position = i;
		start.ticket = writer->ticket;
		start.database = database;
	}
	LWLockRelease(queue->lock);
	if (writer == NULL)
		return false;

	snprintf(worker.bgw_name, BGW_MAXLEN, "authz denial writer for database %u", database);
	snprintf(worker.bgw_type, BGW_MAXLEN, "authz denial writer");
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "authz");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "authz_worker_writer_main");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	StaticAssertStmt(sizeof(Order) <= BGW_EXTRALEN, "Order does not fit");
	memcpy(worker.bgw_extra, &start, sizeof(start));

	if (handles[start.position] != NULL)
		pfree(handles[start.position]);
	handles[start.position] = NULL;
	if (RegisterDynamicBackgroundWorker(&worker, &handles[start.position]))
		return true;
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	memset(writer, 0, sizeof(*writer));
	LWLockRelease(queue->lock);
	return false;
}

/* Databases with records and no writer, MAX_WRITERS at most, and since when. */
static int
find_databases(Oid *databases, TimestampTz *since)
{
	dlist_iter	iter;
	int			n = 0;

	LWLockAcquire(queue->lock, LW_SHARED);
	dlist_foreach(iter, &queue->pending)
	{
		Record	   *record = dlist_container(Record, node, iter.cur);
		bool		is_known = find_writer(record->database) != NULL;

		for (int i = 0; i < n && !is_known; i++)
			is_known = databases[i] == record->database;
		if (is_known || n == MAX_WRITERS)
			continue;
		databases[n] = record->database;
		since[n++] = record->queued_at;
	}
	LWLockRelease(queue->lock);
	return n;
}

/* Start what writers are wanted; true if some are to be tried again. */
static bool
start_writers(void)
{
	Oid			databases[MAX_WRITERS];
	TimestampTz since[MAX_WRITERS];
	int			n = find_databases(databases, since);
	bool		again = n == MAX_WRITERS;

	for (int i = 0; i < n; i++)
	{
		if (start_writer(databases[i]))
			continue;
		again = true;
		if (TimestampDifferenceExceeds(since[i], GetCurrentTimestamp(), MAX_DELAY))
			log_database(databases[i]);
	}
	return again;
}

/* Log what writers left that failed; returns how many writers there are still. */
static int
reap_writers(void)
{
	int			n = 0;

	for (int i = 0; i < MAX_WRITERS; i++)
	{
		Writer	   *writer = &queue->writers[i];
		Oid			database;
		bool		exists;
		bool		failed;
		pid_t		pid;
		bool		has_stopped = handles[i] != NULL &&
		GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED;

		/* After it has stopped nothing of this changes but by this process. */
		LWLockAcquire(queue->lock, LW_SHARED);
		exists = writer->ticket != 0;
		database = writer->database;
		failed = exists && (has_stopped || writer->failed);
		LWLockRelease(queue->lock);
		if (exists && !failed)
			n++;
		if (!failed)
			continue;
		log_database(database);
		LWLockAcquire(queue->lock, LW_EXCLUSIVE);
		memset(writer, 0, sizeof(*writer));
		LWLockRelease(queue->lock);
	}
	return n;
}

/* Exit callback */
static void
close_queue(int code, Datum arg)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->is_open = false;
	queue->launcher = NULL;
	LWLockRelease(queue->lock);
	ConditionVariableBroadcast(&queue->room);
}

static void
open_queue(void)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WRITERS; i++)
	{
		/* An earlier launcher's that has not begun: whether it ever will, nobody can tell. */
		if (queue->writers[i].proc == NULL && !queue->writers[i].failed)
			memset(&queue->writers[i], 0, sizeof(Writer));
	}
	queue->launcher = MyProc;
	queue->is_open = true;
	LWLockRelease(queue->lock);
}

/* Nothing comes in any more: wait for writers to finish, then log what has none. */
static void
drain_queue(void)
{
	Oid			databases[MAX_WRITERS];
	TimestampTz since[MAX_WRITERS];
	int			n;

	while (reap_writers() > 0)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 WAIT_SLICE, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	while ((n = find_databases(databases, since)) > 0)
	{
		for (int i = 0; i < n; i++)
			log_database(databases[i]);
	}
}

/* Entry point of the launcher. */
void
authz_worker_launcher_main(Datum arg)
{
	bool		again;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();

	/* To no database: so that pg_stat_activity shows it. */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(close_queue, (Datum) 0);
	open_queue();

	while (!ShutdownRequestPending)
	{
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		(void) reap_writers();
		again = start_writers();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (again ? WL_TIMEOUT : 0),
						 again ? RETRY_INTERVAL : -1L, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	close_queue(0, (Datum) 0);
	drain_queue();
	proc_exit(1);				/* 0 would mean: never again */
}

PG_FUNCTION_INFO_V1(authz_denial_stats);

/* denial_stats() -> one row; all NULL without a queue */
Datum
authz_denial_stats(PG_FUNCTION_ARGS)
{
	TupleDesc	descriptor;
	Datum		values[6] = {0};
	bool		nulls[6] = {true, true, true, true, true, true};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (queue != NULL)
	{
		LWLockAcquire(queue->lock, LW_SHARED);
		values[0] = Int32GetDatum(queue->size);
		values[1] = Int32GetDatum(queue->npending);
		LWLockRelease(queue->lock);
		values[2] = Int64GetDatum(pg_atomic_read_u64(&queue->queued));
		values[3] = Int64GetDatum(pg_atomic_read_u64(&queue->written));
		values[4] = Int64GetDatum(pg_atomic_read_u64(&queue->logged));
		values[5] = Int64GetDatum(pg_atomic_read_u64(&queue->waited));
		memset(nulls, false, sizeof(nulls));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

void
authz_worker_init(void)
{
	BackgroundWorker worker = {0};

	if (!process_shared_preload_libraries_in_progress || authz_denial_queue_size == 0)
		return;
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shmem;

	snprintf(worker.bgw_name, BGW_MAXLEN, "authz denial launcher");
	snprintf(worker.bgw_type, BGW_MAXLEN, "authz denial launcher");
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "authz");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "authz_worker_launcher_main");
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	RegisterBackgroundWorker(&worker);
}
