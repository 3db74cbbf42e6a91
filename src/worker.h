/*-------------------------------------------------------------------------
 * worker.h
 *	  From any backend to authz.denial_log outside of its transaction.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_WORKER_H
#define AUTHZ_WORKER_H

#include "compat.h"

/* Longest record that the queue takes, in bytes. */
#define AUTHZ_WORKER_MAX_LINE	2000

/*
 * Queue a record for this database's log.  True: it will be written there, or
 * to the server's log if that fails.  False: the caller must write it to the
 * server's log, because nothing takes it now, or it has no table to go to.
 * Never raises.  May wait for room, for a second at most, with interrupts held
 * by the caller.
 */
extern bool authz_worker_queue(const char *line, int length, bool has_table);

/* After authz_guc_init; does nothing unless the library is being preloaded. */
extern void authz_worker_init(void);

#endif							/* AUTHZ_WORKER_H */
