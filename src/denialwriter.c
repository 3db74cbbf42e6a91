/*-------------------------------------------------------------------------
 * denialwriter.c
 *	  The processes that write queued denials (denialqueue.c) to
 *	  authz.denial_log, and how the launcher starts them.
 *
 * A background worker is bound to one database for life.  So there is a writer
 * for each database that has records queued, started when the first comes.  It
 * writes them, many in one transaction if there are many, and ends when none
 * has come for a second: no slot of max_worker_processes is held for a database
 * where nobody is denied, and none stands in the way of DROP DATABASE, which
 * waits longer than that.
 *
 * Rejected: backends that start writers themselves (nobody would be left for
 * records whose writer did not start, least of all at shutdown); one worker
 * that ends and starts again for each database in turn (the postmaster may make
 * it wait, and one locked table would hold up every database).
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "denial.h"
#include "denialqueue.h"
#include "denialwriter.h"
#include "worker.h"

#define MAX_BATCH		AUTHZ_DENIALQUEUE_MAX_BATCH
#define MAX_WRITERS		AUTHZ_DENIALQUEUE_MAX_WRITERS
#define IDLE			1000	/* ms without a record after which a writer ends */
#define DRAIN_SLICE		100		/* ms between looks whether writers have ended */
#define MAX_DELAY		10000	/* ms after which a record that got no writer is logged */

/* In the launcher: of the writer at each position, NULL if not started by this process. */
static BackgroundWorkerHandle *handles[MAX_WRITERS];

/* In a writer. */
static AuthzDenialOrder order;

/* Write records, to the log if that is not possible. */
static void
write_records(AuthzQueuedDenial **records, int n)
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
		authz_denialqueue_release(records, n);
	else
	{
		/* All that is queued: each batch might take as long to fail. */
		authz_denialqueue_log(records, n);
		authz_denialqueue_log_all(order.database);
	}
	MemoryContextSwitchTo(context);
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Exit callback */
static void
writer_ends(int code, Datum arg)
{
	authz_denialqueue_fail(&order);
}

void
authz_denialwriter_main(Datum arg)
{
	TimestampTz idle_since;
	AuthzQueuedDenial *records[MAX_BATCH];
	int			n;

	memcpy(&order, MyBgworkerEntry->bgw_extra, sizeof(order));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);	/* nothing is cut short by it */
	BackgroundWorkerUnblockSignals();
	if (!authz_denialqueue_take_up(&order))
		proc_exit(0);
	before_shmem_exit(writer_ends, (Datum) 0);

	/* After five seconds the log is better than a queue that fills; a standby that is away must not stop it. */
	authz_worker_connect(order.database, "5s", "local");

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
		if ((n = authz_denialqueue_collect(order.database, records)) > 0)
		{
			write_records(records, n);
			idle_since = GetCurrentTimestamp();
			continue;
		}
		if ((ShutdownRequestPending || TimestampDifferenceExceeds(idle_since, GetCurrentTimestamp(), IDLE)) &&
			authz_denialqueue_leave(&order))
			proc_exit(0);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, IDLE, PG_WAIT_EXTENSION);
	}
}

/*
 * In the launcher
 */

/* Start a writer; false if there is no place for it now. */
static bool
start_writer(Oid database)
{
	AuthzDenialOrder start = {0};

	if (!authz_denialqueue_order(database, &start))
		return false;
	if (handles[start.position] != NULL)
		pfree(handles[start.position]);
	handles[start.position] = authz_worker_start("authz denial writer", "authz_denialwriter_main", database,
												 &start, sizeof(start));
	if (handles[start.position] == NULL)
		authz_denialqueue_withdraw(start.position);
	return handles[start.position] != NULL;
}

/* Log what writers left that failed; returns how many writers there are still. */
static int
reap_writers(void)
{
	int			n = 0;

	for (int i = 0; i < MAX_WRITERS; i++)
	{
		Oid			database;
		pid_t		pid;
		bool		has_stopped = handles[i] != NULL &&
		GetBackgroundWorkerPid(handles[i], &pid) == BGWH_STOPPED;

		switch (authz_denialqueue_writer(i, has_stopped, &database))
		{
			case AUTHZ_DENIAL_WRITER_NONE:
				break;
			case AUTHZ_DENIAL_WRITER_THERE:
				n++;
				break;
			case AUTHZ_DENIAL_WRITER_FAILED:
				authz_denialqueue_log_all(database);
				authz_denialqueue_withdraw(i);
				break;
		}
	}
	return n;
}

bool
authz_denialwriter_tend(void)
{
	Oid			databases[MAX_WRITERS];
	TimestampTz since[MAX_WRITERS];
	bool		again;
	int			n;

	(void) reap_writers();
	n = authz_denialqueue_find(databases, since);
	again = n == MAX_WRITERS;
	for (int i = 0; i < n; i++)
	{
		if (start_writer(databases[i]))
			continue;
		again = true;
		if (TimestampDifferenceExceeds(since[i], GetCurrentTimestamp(), MAX_DELAY))
			authz_denialqueue_log_all(databases[i]);
	}
	return again;
}

void
authz_denialwriter_drain(void)
{
	Oid			databases[MAX_WRITERS];
	TimestampTz since[MAX_WRITERS];
	int			n;

	while (reap_writers() > 0)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, DRAIN_SLICE, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	while ((n = authz_denialqueue_find(databases, since)) > 0)
	{
		for (int i = 0; i < n; i++)
			authz_denialqueue_log_all(databases[i]);
	}
}
