/*-------------------------------------------------------------------------
 * worker.c
 *	  The launcher: one background worker for the cluster, from the end of
 *	  recovery to shutdown, that starts those that are bound to a database:
 *
 * - writers of denied attempts (denialwriter.c), whenever there are some;
 * - sealers of the audit log (sealer.c), one after the other at each interval.
 *
 * It never waits for one of them, so that none holds up another.  If it ends
 * by an error or by who terminates it, the postmaster starts it again after
 * some seconds.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"

#include "denialqueue.h"
#include "denialwriter.h"
#include "sealer.h"
#include "worker.h"

#define RETRY_INTERVAL	1000	/* ms between attempts to start a writer */
#define RESTART			5		/* s after which another launcher comes */

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static void
request_shmem(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	authz_denialqueue_request_shmem();
	authz_sealer_request_shmem();
}

static void
start_shmem(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();
	authz_denialqueue_start_shmem();
	authz_sealer_start_shmem();
}

/* What all our workers have in common. */
static void
describe(BackgroundWorker *worker, const char *type, const char *function)
{
	snprintf(worker->bgw_name, BGW_MAXLEN, "%s", type);
	snprintf(worker->bgw_type, BGW_MAXLEN, "%s", type);
	snprintf(worker->bgw_library_name, BGW_MAXLEN, "authz");
	snprintf(worker->bgw_function_name, BGW_MAXLEN, "%s", function);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
}

BackgroundWorkerHandle *
authz_worker_start(const char *type, const char *function, Oid database, const void *extra, Size size)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle = NULL;

	if (size > BGW_EXTRALEN)
		elog(ERROR, "%zu bytes do not fit", size);
	describe(&worker, type, function);
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s for database %u", type, database);
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, extra, size);
	return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

void
authz_worker_connect(Oid database, const char *lock_timeout, const char *synchronous_commit)
{
	/* Whatever the database or its owner has set. */
	const char *const options[][2] = {
		{"role", "none"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
		{"session_replication_role", "origin"},
		{"statement_timeout", "0"},
		{"lock_timeout", lock_timeout},
		{"synchronous_commit", synchronous_commit},
		{"search_path", "pg_catalog, pg_temp"},
	};

	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);

	/* Who it runs as is a setting as well; it is looked up, hence the transaction. */
	StartTransactionCommand();
	SetConfigOption("session_authorization", GetUserNameFromId(BOOTSTRAP_SUPERUSERID, false), PGC_SUSET, PGC_S_OVERRIDE);
	CommitTransactionCommand();
	for (int i = 0; i < lengthof(options); i++)
		SetConfigOption(options[i][0], options[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* Exit callback */
static void
launcher_ends(int code, Datum arg)
{
	authz_denialqueue_close();
}

void
authz_worker_launcher_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();

	/* To no database: so that pg_stat_activity shows it, and it can read which there are. */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(launcher_ends, (Datum) 0);
	authz_denialqueue_open();
	authz_sealer_open();

	while (!ShutdownRequestPending)
	{
		long		timeout;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		timeout = authz_sealer_tend();
		if (authz_denialwriter_tend() && (timeout < 0 || timeout > RETRY_INTERVAL))
			timeout = RETRY_INTERVAL;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
						 timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	authz_denialqueue_close();
	authz_denialwriter_drain();
	proc_exit(1);				/* 0 would mean: never again */
}

void
authz_worker_init(void)
{
	BackgroundWorker worker = {0};

	/* pg_upgrade fills a cluster that is not ours to write to yet. */
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shmem;

	describe(&worker, "authz launcher", "authz_worker_launcher_main");
	worker.bgw_restart_time = RESTART;
	RegisterBackgroundWorker(&worker);
}
