/*-------------------------------------------------------------------------
 * denialqueue.h
 *	  Denied attempts on their way to authz.denial_log, in shared memory.
 *
 * Without the queue (not preloaded, or of size 0) there is nothing to do for
 * any of these, and they do that.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_DENIALQUEUE_H
#define AUTHZ_DENIALQUEUE_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"

#define AUTHZ_DENIALQUEUE_MAX_LINE		2000	/* longest record that it takes, in bytes */
#define AUTHZ_DENIALQUEUE_MAX_BATCH		256 /* records that are collected at a time */
#define AUTHZ_DENIALQUEUE_MAX_WRITERS	8	/* at once */

/* A place in the queue. */
typedef struct AuthzQueuedDenial
{
	dlist_node	node;			/* in the queue's list of free or of pending ones */
	Oid			database;
	TimestampTz queued_at;
	char		line[AUTHZ_DENIALQUEUE_MAX_LINE + 1];
} AuthzQueuedDenial;

/* What a writer is started with. */
typedef struct AuthzDenialOrder
{
	int			position;		/* among the queue's writers */
	uint64		ticket;			/* another one for each writer */
	Oid			database;
} AuthzDenialOrder;

typedef enum AuthzDenialWriterState
{
	AUTHZ_DENIAL_WRITER_NONE = 0,
	AUTHZ_DENIAL_WRITER_THERE,	/* or starting */
	AUTHZ_DENIAL_WRITER_FAILED	/* gone, and left its records */
} AuthzDenialWriterState;

/*
 * For any backend: queue a record for this database's log.  True: it will be
 * written there, or to the server's log if that fails.  False: the caller must
 * write it to the server's log, because nothing takes it now, or it has no
 * table to go to.  Never raises.  May wait for room, for a second at most, with
 * interrupts held by the caller.
 */
extern bool authz_denialqueue_put(const char *line, int length, bool has_table);

/* For any backend: it has written a record to the server's log without asking the queue. */
extern void authz_denialqueue_count_logged(void);

/* For the one process that may remove a database's records: its writer, or the launcher if it has none. */
extern int	authz_denialqueue_collect(Oid database, AuthzQueuedDenial **records);
extern void authz_denialqueue_release(AuthzQueuedDenial **records, int n);	/* they are in the table */
extern void authz_denialqueue_log(AuthzQueuedDenial **records, int n);	/* and release them */
extern void authz_denialqueue_log_all(Oid database);

/* For a writer: to begin (false: it is not wanted); to end (false: records are left); at any other end. */
extern bool authz_denialqueue_take_up(const AuthzDenialOrder *order);
extern bool authz_denialqueue_leave(const AuthzDenialOrder *order);
extern void authz_denialqueue_fail(const AuthzDenialOrder *order);

/* For the launcher: databases with records and no writer, MAX_WRITERS at most, and since when. */
extern int	authz_denialqueue_find(Oid *databases, TimestampTz *since);

/* For the launcher: a writer's place (false: none is free), to be given back if it does not start, and how it does. */
extern bool authz_denialqueue_order(Oid database, AuthzDenialOrder *order);
extern void authz_denialqueue_withdraw(int position);
extern AuthzDenialWriterState authz_denialqueue_writer(int position, bool has_stopped, Oid *database);

/* For the launcher: when it starts, and when it ends. */
extern void authz_denialqueue_open(void);
extern void authz_denialqueue_close(void);

/* For worker.c, while the server starts. */
extern void authz_denialqueue_request_shmem(void);
extern void authz_denialqueue_start_shmem(void);

#endif							/* AUTHZ_DENIALQUEUE_H */
