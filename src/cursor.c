/*-------------------------------------------------------------------------
 * cursor.c
 *	  Rows that wait in a portal belong to the identity that read them.
 *
 * While an executor is open, guard.c checks each FETCH.  But rows may also wait
 * where no executor is, and core then delivers them without calling any hook:
 *
 *	- a cursor WITH HOLD after its transaction, and a PL/pgSQL loop over a query
 *	  after COMMIT.  A token may end there by itself, and nobody would notice.
 *	  So both are refused: the first when it is declared, the second at COMMIT.
 *	- what a statement with RETURNING, or a utility command, has returned and a
 *	  client or a PL/pgSQL loop reads in parts.  A change of identity fails the
 *	  portal.  So does, for a client, every change in who has which rights, since
 *	  it cannot be looked up whether that was for this identity.  A token that only
 *	  expires meanwhile is not noticed; the transaction's end is the limit.
 *	- rows of a function that reads protected tables, in a cursor over a plan that
 *	  reads none itself.  Its executor is open, and FETCH is checked here.
 *
 * Whether something filtered ran is found out by a counter: it is compared
 * before and after a run, so that whatever was called in between is seen.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "lib/ilist.h"
#include "tcop/pquery.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "catalog.h"
#include "cursor.h"
#include "identity.h"
#include "maintenance.h"

/* A portal in which rows of filtered plans wait; lives and goes with the portal. */
typedef struct FilledPortal
{
	dlist_node	node;			/* in filled_portals */
	MemoryContextCallback callback; /* takes it out of there */
	Portal		portal;
	uint64		signature;		/* of the rights that they were read with */
	uint64		generation;		/* of what makes up identities, then */
	bool		ended;			/* the identity changed meanwhile */
} FilledPortal;

static dlist_head filled_portals = DLIST_STATIC_INIT(filled_portals);
static uint64 filtered_count = 0;	/* filtered plans that ran */
static uint64 filtered_signature = 0;	/* rights of the last one */
static uint64 identity_count = 0;	/* how often an identity ended */

static FilledPortal *
find_filled(Portal portal)
{
	dlist_iter	iter;

	dlist_foreach(iter, &filled_portals)
	{
		FilledPortal *filled = dlist_container(FilledPortal, node, iter.cur);

		if (filled->portal == portal)
			return filled;
	}
	return NULL;
}

static void
portal_gone(void *arg)
{
	dlist_delete(&((FilledPortal *) arg)->node);
}

static void
remember(Portal portal, bool ended)
{
	FilledPortal *filled = find_filled(portal);

	if (filled == NULL)
	{
		filled = MemoryContextAllocZero(portal->portalContext, sizeof(FilledPortal));
		filled->portal = portal;
		filled->signature = filtered_signature;
		filled->generation = authz_catalog_identity_generation();
		filled->callback.func = portal_gone;
		filled->callback.arg = filled;
		MemoryContextRegisterResetCallback(portal->portalContext, &filled->callback);
		dlist_push_head(&filled_portals, &filled->node);
	}
	filled->ended |= ended || filled->signature != filtered_signature;
}

/* Core is moving what is left of a query to a tuplestore, at the end of its transaction. */
static bool
is_being_held(const QueryDesc *query)
{
	return ActivePortal != NULL && ActivePortal->queryDesc == query && ActivePortal->holdStore != NULL;
}

static void
refuse_hold(void)
{
	if (ActivePortal->cursorOptions & CURSOR_OPT_HOLD)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a cursor over protected tables cannot be WITH HOLD"),
				 errdetail("Its rows would outlive the identity that may see them."),
				 errhint("Declare the cursor without WITH HOLD, in a transaction that reads it to its end.")));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a transaction cannot end inside a loop over protected tables"),
			 errdetail("The loop's rows would outlive the identity that may see them."),
			 errhint("Read the keys into an array first and loop over that.")));
}

static void
check_filled(const FilledPortal *filled)
{
	if (filled->ended ||
		filled->signature != authz_maintenance_sign(authz_identity_get()->signature))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the identity that this query was opened under has been given up"),
				 errhint("Close the cursor and open it again.")));
}

void
authz_cursor_check_start(Portal portal)
{
	if (portal->cursorOptions & CURSOR_OPT_HOLD)
		refuse_hold();
}

void
authz_cursor_begin(AuthzCursorRun *run, QueryDesc *query, bool is_filtered, uint64 signature)
{
	FilledPortal *filled;

	run->filtered = filtered_count;
	run->identities = identity_count;
	run->is_filtered = is_filtered;
	if (query != NULL && ActivePortal != NULL && ActivePortal->queryDesc == query &&
		(filled = find_filled(ActivePortal)) != NULL)
	{
		check_filled(filled);
		/* What it holds goes on to where this run's rows go. */
		filtered_count++;
	}
	if (!is_filtered)
		return;
	filtered_count++;
	filtered_signature = signature;
	if (is_being_held(query))
		refuse_hold();
}

void
authz_cursor_end(const AuthzCursorRun *run, QueryDesc *query)
{
	if (run->filtered == filtered_count || ActivePortal == NULL)
		return;
	if (query != NULL && is_being_held(query))
		refuse_hold();
	/* What guard.c does not see: a tuplestore, or the executor of a plan that reads no protected table itself. */
	if (ActivePortal->holdStore != NULL ||
		(query != NULL && !run->is_filtered && ActivePortal->queryDesc == query))
		remember(ActivePortal, run->identities != identity_count);
}

void
authz_cursor_check_fetch(const char *name)
{
	Portal		portal = GetPortalByName(name);
	FilledPortal *filled = PortalIsValid(portal) ? find_filled(portal) : NULL;

	if (filled == NULL)
		return;
	check_filled(filled);
	filtered_count++;
	filtered_signature = filled->signature;
}

static bool
waits_in_store(Portal portal)
{
	return portal->holdStore != NULL && portal->status == PORTAL_READY;
}

void
authz_cursor_identity_ended(void)
{
	dlist_iter	iter;

	identity_count++;
	dlist_foreach(iter, &filled_portals)
	{
		FilledPortal *filled = dlist_container(FilledPortal, node, iter.cur);

		filled->ended = true;
		/* An open executor is told when it goes on. */
		if (waits_in_store(filled->portal))
			filled->portal->status = PORTAL_FAILED;
	}
}

/* Only clients say how rows are formatted. */
static bool
is_of_client(Portal portal)
{
	return portal->formats != NULL;
}

/* Relcache callback: catalog.c, whose callback came first, has counted if it was for a table that makes up identities. */
static void
relation_changed(Datum arg, Oid relid)
{
	dlist_iter	iter;

	dlist_foreach(iter, &filled_portals)
	{
		FilledPortal *filled = dlist_container(FilledPortal, node, iter.cur);

		if (filled->generation != authz_catalog_identity_generation() &&
			waits_in_store(filled->portal) && is_of_client(filled->portal))
			filled->portal->status = PORTAL_FAILED;
	}
}

void
authz_cursor_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}
