/*-------------------------------------------------------------------------
 * readaudit.c
 *	  Which tables are audited for reads: asked for every table of every query.
 *
 * Kept by OID until the relcache entry is invalidated, which a change in
 * authz.audited_table does.  The callback sets flags; entries are never removed.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/transam.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "readaudit.h"
#include "catalog.h"

/* Is a table audited for reads? */
typedef struct TableState
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		reads;
	int64		trail;
} TableState;

static HTAB *states = NULL;

/* When a relation changed: sets flags only. */
static void
relation_changed(Oid relid)
{
	HASH_SEQ_STATUS status;
	TableState *state;

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

static const TableState *
find_state(Oid relid)
{
	TableState *state;
	AuthzAudited audited;
	bool		found;

	if (states == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(Oid);
		info.entrysize = sizeof(TableState);
		info.hcxt = TopMemoryContext;
		states = hash_create("authz tables audited for reads", 64, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	state = hash_search(states, &relid, HASH_ENTER, &found);
	if (found && state->valid)
		return state;
	/* Valid first: what is invalidated while it is read is read again next time. */
	state->reads = false;
	state->valid = true;
	PG_TRY();
	{
		found = authz_catalog_audited(relid, &audited);
	}
	PG_CATCH();
	{
		/* Nothing is removed meanwhile: the entry stays where it is. */
		state->valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	state->reads = found && audited.reads;
	state->trail = audited.trail;
	return state;
}

bool
authz_readaudit_recorded(Oid relid, int64 *trail)
{
	const TableState *state;

	/* Without the table nothing is: the extension is being created, or not here. */
	if (relid < FirstNormalObjectId || !OidIsValid(authz_catalog_table(AUTHZ_TABLE_AUDITED_TABLE)))
		return false;
	state = find_state(relid);
	if (trail != NULL)
		*trail = state->trail;
	return state->reads;
}

void
authz_readaudit_init(void)
{
	authz_catalog_on_relation_changed(relation_changed);
}
