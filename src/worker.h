/*-------------------------------------------------------------------------
 * worker.h
 *	  The background workers: a launcher, and what it starts.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_WORKER_H
#define AUTHZ_WORKER_H

#include "compat.h"

#include "postmaster/bgworker.h"

/*
 * For the launcher: start a worker for a database, which gets `extra`
 * (BGW_EXTRALEN bytes at most) and wakes the launcher when it has started or
 * ended.  NULL if there is no place for it now; to be freed by the caller.
 */
extern BackgroundWorkerHandle *authz_worker_start(const char *type, const char *function, Oid database,
												  const void *extra, Size size);

/*
 * For such a worker: connect to its database, as the bootstrap superuser and
 * with settings that neither it nor its owner has chosen.
 */
extern void authz_worker_connect(Oid database, const char *lock_timeout, const char *synchronous_commit);

/* Entry point of the launcher. */
extern PGDLLEXPORT void authz_worker_launcher_main(Datum arg);

/* After authz_guc_init; does nothing unless the library is being preloaded. */
extern void authz_worker_init(void);

#endif							/* AUTHZ_WORKER_H */
