/*-------------------------------------------------------------------------
 * readaudit.c
 *	  Which tables are audited for reads: asked for every table of every query.
 *
 * Kept by OID until the relcache entry is invalidated, which a change in
 * authz.audited_table does.  The callback sets flags.  All entries are forgotten
 * when there are MAX_STATES: a session may see any number of temporary tables.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/transam.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "readaudit.h"
#include "catalog.h"

#define MAX_STATES	1000

/* Is a table audited for reads? */
typedef struct TableState
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		reads;
	int64		trail;
} TableState;

static HTAB *states = NULL;
static uint64 invalidations = 0;

/* When a relation changed: sets flags only. */
static void
relation_changed(Oid relid)
{
	HASH_SEQ_STATUS status;
	TableState *state;

	invalidations++;
	if (states == NULL)
		return;
	if (OidIsValid(relid))
	{
		state = hash_search(states, &relid, HASH_FIND, NULL);
		if (state != NULL)
			state->valid = false;
		return;
	}
	hash_seq_init(&status, states);
	while ((state = hash_seq_search(&status)) != NULL)
		state->valid = false;
}

static void
make_states(void)
{
	HASHCTL		info = {0};

	info.keysize = sizeof(Oid);
	info.entrysize = sizeof(TableState);
	info.hcxt = TopMemoryContext;
	states = hash_create("authz tables audited for reads", 64, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Forget all; their memory serves those that come. */
static void
forget_states(void)
{
	HASH_SEQ_STATUS status;
	TableState *state;

	hash_seq_init(&status, states);
	while ((state = hash_seq_search(&status)) != NULL)
		(void) hash_search(states, &state->relid, HASH_REMOVE, NULL);
}

static TableState
get_state(Oid relid)
{
	TableState	loaded = {.relid = relid};
	TableState *state;
	AuthzAudited audited;
	uint64		before = invalidations;

	if (states == NULL)
		make_states();
	state = hash_search(states, &relid, HASH_FIND, NULL);
	if (state != NULL && state->valid)
		return *state;
	if (authz_catalog_audited(relid, &audited))
	{
		loaded.reads = audited.reads;
		loaded.trail = audited.trail;
	}
	/* What was invalidated while it was read is read again next time. */
	loaded.valid = before == invalidations;
	if (hash_get_num_entries(states) >= MAX_STATES)
		forget_states();
	state = hash_search(states, &relid, HASH_ENTER, NULL);
	*state = loaded;
	return loaded;
}

bool
authz_readaudit_recorded(Oid relid, int64 *trail)
{
	TableState	state;

	/* Without the table nothing is: the extension is being created, or not here. */
	if (relid < FirstNormalObjectId || !OidIsValid(authz_catalog_table(AUTHZ_TABLE_AUDITED_TABLE)))
		return false;
	state = get_state(relid);
	if (trail != NULL)
		*trail = state.trail;
	return state.reads;
}

void
authz_readaudit_init(void)
{
	authz_catalog_on_relation_changed(relation_changed);
}
