/*-------------------------------------------------------------------------
 * denialqueue.c
 *	  From any backend to authz.denial_log outside of its transaction: the
 *	  queue in shared memory.  Writers (denialwriter.c) empty it; the launcher
 *	  (worker.c) starts them.
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
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "denial.h"
#include "denialqueue.h"
#include "guc.h"

#define NAME			"authz denials"
#define MAX_BATCH		AUTHZ_DENIALQUEUE_MAX_BATCH
#define MAX_WRITERS		AUTHZ_DENIALQUEUE_MAX_WRITERS
#define MAX_WAIT		1000	/* ms that a backend waits for room */
#define WAIT_SLICE		100		/* ms between its looks for an interrupt */

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

	AuthzQueuedDenial records[FLEXIBLE_ARRAY_MEMBER];
} Queue;

typedef enum Outcome
{
	OUTCOME_CLOSED = 0,
	OUTCOME_FULL,
	OUTCOME_QUEUED
} Outcome;

static Queue *queue = NULL;		/* NULL: not preloaded, or of size 0 */

static Size
queue_bytes(void)
{
	return add_size(offsetof(Queue, records), mul_size(authz_denial_queue_size, sizeof(AuthzQueuedDenial)));
}

void
authz_denialqueue_request_shmem(void)
{
	if (authz_denial_queue_size == 0)
		return;
	RequestAddinShmemSpace(queue_bytes());
	RequestNamedLWLockTranche(NAME, 1);
}

void
authz_denialqueue_start_shmem(void)
{
	bool		found;

	if (authz_denial_queue_size == 0)
		return;
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

/*
 * For backends
 */

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
		AuthzQueuedDenial *record = dlist_container(AuthzQueuedDenial, node, dlist_pop_head_node(&queue->free));
		Writer	   *writer = find_writer(MyDatabaseId);

		record->database = MyDatabaseId;
		record->queued_at = GetCurrentTimestamp();
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
authz_denialqueue_put(const char *line, int length, bool has_table)
{
	Outcome		outcome = OUTCOME_CLOSED;

	if (queue == NULL)
		return false;
	if (has_table && length <= AUTHZ_DENIALQUEUE_MAX_LINE)
		outcome = put(line, length);
	if (outcome == OUTCOME_FULL && authz_denial_queue_full == AUTHZ_DENIAL_QUEUE_FULL_WAIT)
		outcome = put_and_wait(line, length);
	if (outcome != OUTCOME_QUEUED)
		pg_atomic_fetch_add_u64(&queue->logged, 1);
	return outcome == OUTCOME_QUEUED;
}

void
authz_denialqueue_count_logged(void)
{
	if (queue != NULL)
		pg_atomic_fetch_add_u64(&queue->logged, 1);
}

/*
 * For who removes records
 */

/* The oldest records of a database, MAX_BATCH at most. */
int
authz_denialqueue_collect(Oid database, AuthzQueuedDenial **records)
{
	dlist_iter	iter;
	int			n = 0;

	LWLockAcquire(queue->lock, LW_SHARED);
	dlist_foreach(iter, &queue->pending)
	{
		AuthzQueuedDenial *record = dlist_container(AuthzQueuedDenial, node, iter.cur);

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
release(AuthzQueuedDenial **records, int n, pg_atomic_uint64 *counter)
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

void
authz_denialqueue_release(AuthzQueuedDenial **records, int n)
{
	release(records, n, &queue->written);
}

void
authz_denialqueue_log(AuthzQueuedDenial **records, int n)
{
	for (int i = 0; i < n; i++)
		authz_denial_log(records[i]->line);
	release(records, n, &queue->logged);
}

void
authz_denialqueue_log_all(Oid database)
{
	AuthzQueuedDenial *records[MAX_BATCH];
	int			n;

	while ((n = authz_denialqueue_collect(database, records)) > 0)
		authz_denialqueue_log(records, n);
}

/*
 * For writers
 */

bool
authz_denialqueue_take_up(const AuthzDenialOrder *order)
{
	Writer	   *writer;
	bool		is_mine;

	if (queue == NULL)
		return false;
	writer = &queue->writers[order->position];
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	is_mine = writer->ticket == order->ticket;
	if (is_mine)
		writer->proc = MyProc;
	LWLockRelease(queue->lock);
	return is_mine;
}

/* Not if a record is left: who queues the next will find no writer. */
bool
authz_denialqueue_leave(const AuthzDenialOrder *order)
{
	Writer	   *writer = &queue->writers[order->position];
	dlist_iter	iter;
	bool		is_done = true;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	dlist_foreach(iter, &queue->pending)
	{
		if (dlist_container(AuthzQueuedDenial, node, iter.cur)->database == order->database)
			is_done = false;
	}
	if (is_done && writer->ticket == order->ticket)
		memset(writer, 0, sizeof(*writer));
	LWLockRelease(queue->lock);
	return is_done;
}

/* If it has not left, the launcher takes over. */
void
authz_denialqueue_fail(const AuthzDenialOrder *order)
{
	Writer	   *writer = &queue->writers[order->position];
	PGPROC	   *launcher;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	if (writer->ticket == order->ticket)
	{
		writer->proc = NULL;
		writer->failed = true;
	}
	launcher = queue->launcher;
	LWLockRelease(queue->lock);
	if (launcher != NULL)
		SetLatch(&launcher->procLatch);
}

/*
 * For the launcher
 */

int
authz_denialqueue_find(Oid *databases, TimestampTz *since)
{
	dlist_iter	iter;
	int			n = 0;

	if (queue == NULL)
		return 0;
	LWLockAcquire(queue->lock, LW_SHARED);
	dlist_foreach(iter, &queue->pending)
	{
		AuthzQueuedDenial *record = dlist_container(AuthzQueuedDenial, node, iter.cur);
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

bool
authz_denialqueue_order(Oid database, AuthzDenialOrder *order)
{
	bool		found = false;

	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_WRITERS && !found; i++)
	{
		Writer	   *writer = &queue->writers[i];

		if (writer->ticket != 0)
			continue;
		memset(writer, 0, sizeof(*writer));
		writer->ticket = ++queue->last_ticket;
		writer->database = database;
		order->position = i;
		order->ticket = writer->ticket;
		order->database = database;
		found = true;
	}
	LWLockRelease(queue->lock);
	return found;
}

void
authz_denialqueue_withdraw(int position)
{
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	memset(&queue->writers[position], 0, sizeof(Writer));
	LWLockRelease(queue->lock);
}

/* After its process has stopped nothing of this changes but by the launcher. */
AuthzDenialWriterState
authz_denialqueue_writer(int position, bool has_stopped, Oid *database)
{
	AuthzDenialWriterState state = AUTHZ_DENIAL_WRITER_NONE;
	const Writer *writer;

	if (queue == NULL)
		return state;
	writer = &queue->writers[position];
	LWLockAcquire(queue->lock, LW_SHARED);
	*database = writer->database;
	if (writer->ticket != 0)
		state = has_stopped || writer->failed ? AUTHZ_DENIAL_WRITER_FAILED : AUTHZ_DENIAL_WRITER_THERE;
	LWLockRelease(queue->lock);
	return state;
}

void
authz_denialqueue_open(void)
{
	if (queue == NULL)
		return;
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

void
authz_denialqueue_close(void)
{
	if (queue == NULL)
		return;
	LWLockAcquire(queue->lock, LW_EXCLUSIVE);
	queue->is_open = false;
	queue->launcher = NULL;
	LWLockRelease(queue->lock);
	ConditionVariableBroadcast(&queue->room);
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
