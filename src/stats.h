/*-------------------------------------------------------------------------
 * stats.h
 *	  How often each policy had a say, since the server started.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_STATS_H
#define AUTHZ_STATS_H

#include "compat.h"

typedef enum AuthzStatsKind
{
	AUTHZ_STATS_PLAN = 0,		/* it applied to the identity that a statement was planned for */
	AUTHZ_STATS_CHECK			/* its condition decided about a row, or about none */
} AuthzStatsKind;

/* What a policy goes by: its name's hash. */
extern uint64 authz_stats_id(const char *name);

/* Count; `relation` is the table that the policy is of.  Cheap, and does nothing unless the library was preloaded. */
extern void authz_stats_count(Oid relation, uint64 id, AuthzStatsKind kind);

/* After authz_guc_init; does nothing unless the library is being preloaded. */
extern void authz_stats_init(void);

#endif							/* AUTHZ_STATS_H */
