/*-------------------------------------------------------------------------
 * sealer.h
 *	  The audit log is sealed without being asked.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_SEALER_H
#define AUTHZ_SEALER_H

#include "compat.h"

/*
 * For any backend that writes a record: there is something to seal in its
 * database.  To be called when the transaction has its number.  Cheap.
 */
extern void authz_sealer_mark(void);

/* For the launcher: when it starts. */
extern void authz_sealer_open(void);

/*
 * For the launcher, whenever it wakes up: start the next sealer if it is time
 * for it.  Returns after how many ms to call again, at the latest; -1: not
 * before it is woken.
 */
extern long authz_sealer_tend(void);

/* Entry point of a sealer. */
extern PGDLLEXPORT void authz_sealer_main(Datum arg);

/* For worker.c, while the server starts. */
extern void authz_sealer_request_shmem(void);
extern void authz_sealer_start_shmem(void);

#endif							/* AUTHZ_SEALER_H */
