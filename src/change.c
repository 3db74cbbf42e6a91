/*-------------------------------------------------------------------------
 * change.c
 *	  Tells every backend that policies or identities changed.
 *
 * Triggers on the tables of schema authz invalidate relcache entries, of the
 * changed table (catalog.c counts) and, for policies, of the tables that they
 * protect (policyset.c and the plan cache listen).  An invalidation takes no
 * lock, is sent at commit, and is taken back with the transaction.
 *
 * A backend that is idle inside a transaction reads its invalidations only
 * when it locks something new.  So after a commit that carried a change those
 * backends of this database that are in a transaction are asked, by the signal
 * that core uses for backends that fall behind, to read theirs now.  Nobody
 * waits for it.
 *
 * A backend outside of a transaction needs no signal: it reads when it begins
 * the next one, before it looks at any plan.  One that begins it right now shows
 * so (lxid) before it reads; should it be seen too late, it still reads when it
 * takes the first lock of its transaction.  With a pool of idle connections
 * that is nearly all of them, for each of thousands of revocations.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "storage/sinvaladt.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "change.h"
#include "trigger.h"

static bool change_pending = false; /* this transaction changed something */

static void
wake_backends(void)
{
	int			n = 0;

	/* What was sent is there to be read before anybody is looked at. */
	pg_memory_barrier();
	for (int i = 1; i <= MaxBackends; i++)
	{
		PGPROC	   *proc = BackendIdGetProc(i);

		if (proc && proc->databaseId == MyDatabaseId && proc->pid != MyProcPid && LocalTransactionIdIsValid(proc->lxid) &&
			SendProcSignal(proc->pid, PROCSIG_CATCHUP_INTERRUPT, i) == 0)
			n++;
	}
	elog(DEBUG2, "asked %d sessions to read a change", n);
}

/* Runs after the invalidations of a commit have been sent; never raises. */
static void
transaction_ends(ResourceReleasePhase phase, bool is_commit, bool is_top_level, void *arg)
{
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !is_top_level || !change_pending)
		return;
	change_pending = false;
	if (is_commit)
		wake_backends();
}

static void
invalidate(Oid relid)
{
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
}

/* The table and everything that is read under its policies. */
static void
invalidate_protected(Oid relid)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;

	invalidate(relid);
	authz_catalog_oid_key(&key, AUTHZ_PROTECTED_LOGICAL, relid);
	authz_catalog_begin(&scan, AUTHZ_TABLE_PROTECTED_TABLE, "protected_table_logical_idx", &key, 1);
	while ((tuple = authz_catalog_next(&scan)) != NULL)
	{
		bool		isnull;
		Oid			member = DatumGetObjectId(authz_catalog_get(&scan, tuple, AUTHZ_PROTECTED_RELATION, &isnull));

		if (!isnull)
			invalidate(member);
	}
	authz_catalog_end(&scan);
}

static void
invalidate_named(HeapTuple tuple, Relation relation)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, AUTHZ_POLICY_RELATION, RelationGetDescr(relation), &isnull);

	if (!isnull)
		invalidate_protected(DatumGetObjectId(value));
}

PG_FUNCTION_INFO_V1(authz_table_changed);

/* Row trigger on authz.policy and authz.protected_table. */
Datum
authz_table_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "table_changed");

	invalidate_named(trigger->tg_trigtuple, trigger->tg_relation);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		invalidate_named(trigger->tg_newtuple, trigger->tg_relation);
	CacheInvalidateRelcache(trigger->tg_relation);
	change_pending = true;
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(authz_identity_changed);

/* Statement trigger on the tables that make up identities. */
Datum
authz_identity_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "identity_changed");

	CacheInvalidateRelcache(trigger->tg_relation);
	change_pending = true;
	return PointerGetDatum(NULL);
}

void
authz_change_init(void)
{
	RegisterResourceReleaseCallback(transaction_ends, NULL);
}
