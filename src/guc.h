/* guc.h: parameters of the extension, defined by guc.c. */
#ifndef AUTHZ_GUC_H
#define AUTHZ_GUC_H

#include "compat.h"

/* What an attempt does that finds no room in the queue. */
typedef enum AuthzDenialQueueFull
{
	AUTHZ_DENIAL_QUEUE_FULL_WAIT = 0,	/* a second at most, then the log */
	AUTHZ_DENIAL_QUEUE_FULL_LOG
} AuthzDenialQueueFull;

extern bool authz_allow_maintenance;
extern int	authz_audit_seal_interval;	/* seconds, 0: never; meant only when preloaded */
extern int	authz_denial_queue_full;	/* AuthzDenialQueueFull */
extern int	authz_denial_queue_size;	/* records; meant only when preloaded */
extern int	authz_identity_cache_size;	/* entries */
extern int	authz_token_max_size;	/* bytes */

extern void authz_guc_init(void);

#endif							/* AUTHZ_GUC_H */
