/* denialwriter.h: the processes that empty the queue of denied attempts; for the launcher (worker.c) only. */
#ifndef AUTHZ_DENIALWRITER_H
#define AUTHZ_DENIALWRITER_H

#include "compat.h"

/* Start what writers are wanted; true if it is to be called again soon. */
extern bool authz_denialwriter_tend(void);

/* When the queue is closed: wait for writers to finish, then log what has none. */
extern void authz_denialwriter_drain(void);

/* Entry point of a writer. */
extern PGDLLEXPORT void authz_denialwriter_main(Datum arg);

#endif							/* AUTHZ_DENIALWRITER_H */
