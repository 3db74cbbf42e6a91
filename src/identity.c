/*-------------------------------------------------------------------------
 * identity.c
 *	  Who this session acts for: the setting authz.token, its hooks, and the
 *	  cache of identities behind it.
 *
 * The setting's value is the signed token itself, so core's rules for settings
 * give transaction scope, savepoints, parallel workers and DISCARD for nothing.
 * The check hook verifies where it can read the catalog; elsewhere (start-up
 * packet, parallel worker, library just loaded) it lets the value in unverified
 * and the first use verifies.  There is no flag "verified" to go wrong: every
 * use asks the cache, which holds verified identities only, by the SHA-256 of
 * their token.
 *
 * An entry is good while the catalog's generation stands and its changes_at is
 * not reached.  Otherwise the token is verified again from its text.  Entries
 * are immutable; one that is replaced or evicted is freed in a later statement
 * or transaction, never under the feet of a caller of this one.
 *
 * A failed SET leaves the previous value, hence the previous person, in place.
 * So the hook notes the failure in a variable that no rollback restores, and
 * every use raises until a SET or RESET succeeds.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "cursor.h"
#include "denial.h"
#include "guard.h"
#include "guc.h"
#include "identity.h"
#include "redact.h"
#include "resolve.h"
#include "token.h"
#include "unknownrole.h"

/*
 * What identifies an identity: SHA-256 of its token; for none zeroes and the
 * session user, whose login may be mapped.
 */
typedef struct IdentityKey
{
	uint8		digest[SHA256_DIGEST_LENGTH];
	Oid			session_user;	/* InvalidOid with a token */
} IdentityKey;

typedef struct CacheEntry
{
	IdentityKey key;
	dlist_node	recency;		/* in cache_recency, most recent first */
	MemoryContext context;		/* holds the identity */
	const AuthzIdentity *identity;
	uint64		generation;		/* current_generation() when it was resolved */
} CacheEntry;

/* What the check hook hands to the assign hook; malloc'd, owned by guc.c. */
typedef struct TokenExtra
{
	uint8		digest[SHA256_DIGEST_LENGTH];	/* zeroes: the value is empty */
	uint64		signature;		/* of the identity; 0 if not verified yet */
	bool		from_client;	/* from the start-up packet: what RESET returns to */
	bool		fresh;			/* by a SET, not yet assigned */
} TokenExtra;

/* Why the identity is unusable although authz.token has a value. */
typedef enum Failure
{
	FAILURE_NONE = 0,
	FAILURE_SET,				/* the last SET failed */
	FAILURE_CHANGED				/* RESET under an open query */
} Failure;

static char *token_value;		/* authz.token, kept by guc.c */
static uint8 assigned_digest[SHA256_DIGEST_LENGTH]; /* of token_value */
static uint64 assigned_signature;
static Failure failure = FAILURE_NONE;
static bool defining = false;	/* within DefineCustomStringVariable */

static HTAB *cache;				/* CacheEntry by IdentityKey */
static dlist_head cache_recency = DLIST_STATIC_INIT(cache_recency);
static MemoryContext cache_context;
static MemoryContext retired_context;	/* parent of what is to be freed */
static TimestampTz retired_in;	/* statement in which something was retired last */
static uint64 role_generation;	/* moves when a database role changes */
static uint64 last_serial;

/* The identity in use, so that the next look needs no cache; all zero: ask the cache. */
static struct
{
	const AuthzIdentity *identity;
	uint64		generation;
	TimestampTz statement;		/* start of the statement that checked it last */
	Oid			session_user;
}			current;

/*
 * Syscache callback on pg_authid: a login may be gone, and row security may
 * bind a role that it did not bind.  Plans of before are of what was, and
 * PostgreSQL would not notice.
 */
static void
database_role_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	role_generation++;
	ResetPlanCache();
}

/* Both only grow, so an equal sum means that neither moved. */
static uint64
current_generation(void)
{
	return authz_catalog_identity_generation() + role_generation;
}

/* The one-call SHA256() looks its algorithm up each time, which takes longer than the hashing. */
static bool
digest_of(const char *token, uint8 *digest)
{
	static EVP_MD *algorithm = NULL;
	static EVP_MD_CTX *context = NULL;

	memset(digest, 0, SHA256_DIGEST_LENGTH);
	if (token[0] == '\0')
		return true;
	if (algorithm == NULL)
		algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (context == NULL)
		context = EVP_MD_CTX_new();
	return algorithm != NULL && context != NULL &&
		EVP_DigestInit_ex(context, algorithm, NULL) == 1 &&
		EVP_DigestUpdate(context, token, strlen(token)) == 1 &&
		EVP_DigestFinal_ex(context, digest, NULL) == 1;
}

/* Let an identity live until the next statement, or the end of the transaction. */
static void
retire(MemoryContext context)
{
	MemoryContextSetParent(context, retired_context);
	retired_in = GetCurrentStatementStartTimestamp();
}

static void
free_retired(void)
{
	if (retired_in != 0)
		MemoryContextDeleteChildren(retired_context);
	retired_in = 0;
}

/* A procedure may act for many people, with a transaction for each, in one statement. */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		free_retired();
}

static void
create_cache(void)
{
	HASHCTL		info = {0};

	cache_context = AllocSetContextCreate(TopMemoryContext, "authz identities", ALLOCSET_DEFAULT_SIZES);
	retired_context = AllocSetContextCreate(TopMemoryContext, "authz retired identities",
											ALLOCSET_SMALL_SIZES);
	info.keysize = sizeof(IdentityKey);
	info.entrysize = sizeof(CacheEntry);
	info.hcxt = cache_context;
	cache = hash_create("authz identities", 64, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
drop_entry(CacheEntry *entry)
{
	if (current.identity == entry->identity)
		memset(&current, 0, sizeof(current));
	dlist_delete(&entry->recency);
	retire(entry->context);
	(void) hash_search(cache, &entry->key, HASH_REMOVE, NULL);
}

/* A good entry, or NULL. */
static CacheEntry *
find_entry(const IdentityKey *key, TimestampTz now)
{
	CacheEntry *entry;

	if (cache == NULL)
		return NULL;
	entry = hash_search(cache, key, HASH_FIND, NULL);
	if (entry == NULL)
		return NULL;
	if (entry->generation != current_generation() || now >= entry->identity->changes_at)
	{
		drop_entry(entry);
		return NULL;
	}
	dlist_move_head(&cache_recency, &entry->recency);
	return entry;
}

/* Store an identity that lives in `context`, which the cache owns from here on. */
static void
store_entry(const IdentityKey *key, MemoryContext context, const AuthzIdentity *identity,
			uint64 generation)
{
	CacheEntry *entry;
	bool		found;

	while (hash_get_num_entries(cache) >= authz_identity_cache_size)
		drop_entry(dlist_tail_element(CacheEntry, recency, &cache_recency));

	entry = hash_search(cache, key, HASH_ENTER, &found);
	Assert(!found);				/* find_entry looked, and nothing below it stores */
	MemoryContextSetParent(context, cache_context);
	entry->context = context;
	entry->identity = identity;
	entry->generation = generation;
	dlist_push_head(&cache_recency, &entry->recency);
}

/* Verify and resolve in `scratch`; NULL with *refusal filled if the token is not good. */
static AuthzIdentity *
resolve(const char *token, Oid session_user, TimestampTz now, AuthzRefusal *refusal)
{
	AuthzToken	verified;

	/* A role that was dropped is nobody, also while its session goes on. */
	if (token[0] == '\0')
		return authz_resolve_login(SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(session_user)) ?
								   session_user : InvalidOid, now);
	if (!authz_token_verify(token, now, &verified, refusal))
		return NULL;
	return authz_resolve_token(&verified, now, refusal);
}

/*
 * The identity of a token (or, if it is empty, of the session user's login)
 * as of `now`, from the cache or anew; NULL with *refusal filled if the token
 * is not good.  Reads the catalog.  *generation is the one it was resolved
 * under; the identity lives at least as long as the statement.
 */
static const AuthzIdentity *
get_identity(const char *token, const uint8 *digest, TimestampTz now,
			 uint64 *generation, AuthzRefusal *refusal)
{
	IdentityKey key;
	CacheEntry *entry;
	MemoryContext scratch;
	MemoryContext context;
	MemoryContext old;
	AuthzIdentity *identity;

	memset(&key, 0, sizeof(key));
	memcpy(key.digest, digest, sizeof(key.digest));
	if (token[0] == '\0')
		key.session_user = GetSessionUserId();

	if (cache == NULL)
		create_cache();
	if (retired_in != GetCurrentStatementStartTimestamp())
		free_retired();
	entry = find_entry(&key, now);
	if (entry != NULL)
	{
		*generation = entry->generation;
		return entry->identity;
	}

	*generation = current_generation();
	scratch = AllocSetContextCreate(CurrentMemoryContext, "authz token", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	identity = resolve(token, key.session_user, now, refusal);
	if (identity != NULL)
	{
		context = AllocSetContextCreate(scratch, "authz identity", ALLOCSET_SMALL_SIZES);
		MemoryContextSwitchTo(context);
		identity = authz_resolve_copy(identity);
		identity->serial = ++last_serial;
		if (identity->kind == AUTHZ_IDENTITY_TOKEN)
			authz_unknownrole_count(identity->issuer, identity->unknown_roles, identity->nunknown_roles);

		/* What was read while the catalog changed is used once and not kept. */
		if (*generation == current_generation())
			store_entry(&key, context, identity, *generation);
		else
			retire(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return identity;
}

static void
raise_failure(void)
{
	if (failure == FAILURE_SET)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the last attempt to set authz.token failed"),
				 errdetail("The identity that was in force before it is not used."),
				 errhint("Set a good token, or give the identity up with RESET authz.token.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("authz.token was reset while a query was still open under its identity"),
			 errhint("Close the cursor, then set or reset authz.token again.")));
}

/*
 * A value that could not be verified when it was set, or is no longer good, is
 * refused at every use; that is recorded once for the same token and reason.
 */
static void
raise_refusal(const AuthzRefusal *refusal)
{
	static uint8 recorded_digest[SHA256_DIGEST_LENGTH];
	static const char *recorded_reason = NULL;	/* reasons are literals */

	if (recorded_reason != refusal->reason ||
		memcmp(recorded_digest, assigned_digest, sizeof(recorded_digest)) != 0)
	{
		memcpy(recorded_digest, assigned_digest, sizeof(recorded_digest));
		recorded_reason = refusal->reason;
		authz_denial_record(&(AuthzDenial) {AUTHZ_DENIAL_TOKEN, "use", InvalidOid, refusal->reason});
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("token refused: %s", refusal->reason),
			 refusal->hint ? errhint("%s", refusal->hint) : 0));
}

const AuthzIdentity *
authz_identity_get(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz statement = GetCurrentStatementStartTimestamp();
	AuthzRefusal refusal;

	if (failure != FAILURE_NONE)
		raise_failure();

	/* A statement that locks no table has not heard of revocations yet. */
	if (current.statement != statement)
		AcceptInvalidationMessages();

	if (current.identity == NULL || current.generation != current_generation() ||
		now >= current.identity->changes_at || current.session_user != GetSessionUserId())
	{
		memset(&current, 0, sizeof(current));
		current.identity = get_identity(token_value, assigned_digest, now,
										&current.generation, &refusal);
		if (current.identity == NULL)
			raise_refusal(&refusal);
		current.session_user = GetSessionUserId();
		assigned_signature = current.identity->signature;
	}
	current.statement = statement;
	return current.identity;
}

const AuthzIdentity *
authz_identity_get_in_statement(void)
{
	TimestampTz statement = GetCurrentStatementStartTimestamp();

	if (likely(failure == FAILURE_NONE && current.identity != NULL &&
			   current.statement == statement &&
			   current.generation == current_generation() &&
			   statement < current.identity->changes_at &&
			   current.session_user == GetSessionUserId()))
		return current.identity;
	return authz_identity_get();
}

uint64
authz_identity_assigned_signature(void)
{
	return assigned_signature;
}

bool
authz_identity_has_name(const char *const *names, int n, const char *name, size_t length)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			order = strncmp(name, names[middle], length);

		/* A name that only begins so sorts after the one asked for. */
		if (order == 0 && names[middle][length] == '\0')
			return true;
		if (order <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

bool
authz_identity_has_role(const AuthzIdentity *identity, const char *role, size_t length)
{
	if (length == 1 && role[0] == '*')
		return identity->kind != AUTHZ_IDENTITY_ANONYMOUS;
	if (length == 9 && memcmp(role, "anonymous", 9) == 0)
		return identity->kind == AUTHZ_IDENTITY_ANONYMOUS;
	return authz_identity_has_name(identity->roles, identity->nroles, role, length);
}

void
authz_identity_note_failure(void)
{
	failure = FAILURE_SET;
	authz_cursor_identity_ended();
}

void
authz_identity_forget_failure(void)
{
	failure = FAILURE_NONE;
}

/* Verify at SET time.  False, with guc.c's error fields filled, if the value may not be set. */
static bool
verify_now(const char *token, TokenExtra *extra)
{
	AuthzRefusal refusal = {0};
	const AuthzIdentity *identity;
	uint64		generation;

	if (memcmp(extra->digest, assigned_digest, sizeof(assigned_digest)) != 0 &&
		authz_guard_open_count() > 0)
	{
		GUC_check_errcode(ERRCODE_OBJECT_IN_USE);
		GUC_check_errmsg("authz.token cannot change while a query is open under its present value");
		GUC_check_errhint("Close cursors first, and set it in a statement of its own.");
		return false;
	}
	if (token[0] == '\0')
		return true;

	AcceptInvalidationMessages();
	identity = get_identity(token, extra->digest, GetCurrentTimestamp(), &generation, &refusal);
	if (identity == NULL)
	{
		authz_denial_record(&(AuthzDenial) {AUTHZ_DENIAL_TOKEN, "set", InvalidOid, refusal.reason});
		GUC_check_errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION);
		GUC_check_errmsg("token refused: %s", refusal.reason);
		if (refusal.hint != NULL)
			GUC_check_errhint("%s", refusal.hint);
		return false;
	}
	extra->signature = identity->signature;
	return true;
}

/*
 * Check hook.  RESET does not come here: guc.c assigns the stored reset value.
 * Always fills errcode and errmsg on failure, for the default message would
 * print the value.
 */
static bool
check_token(char **newval, void **extra, GucSource source)
{
	TokenExtra	result = {0};
	bool		by_session = source == PGC_S_SESSION && !defining && !InitializingParallelWorker;

	/* The boot value, also when a variable is made ready in a parallel worker. */
	if (source == PGC_S_DEFAULT && (*newval)[0] == '\0')
		return true;

	if (source != PGC_S_SESSION && source != PGC_S_CLIENT)
	{
		GUC_check_errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM);
		GUC_check_errmsg("authz.token can only be set by a session itself");
		GUC_check_errhint("Use SET, authz.login, or the options of the connection; "
						  "not a configuration file, ALTER ROLE, ALTER DATABASE or a function's SET clause.");
		return false;
	}

	/* From here on the session's person is in doubt until the assign hook says otherwise. */
	if (by_session)
		failure = FAILURE_SET;
	if (by_session && (*newval)[0] != '\0')
		authz_redact_token_set(*newval);

	result.from_client = source == PGC_S_CLIENT;
	result.fresh = by_session;
	if (!digest_of(*newval, result.digest))
	{
		GUC_check_errcode(ERRCODE_INTERNAL_ERROR);
		GUC_check_errmsg("could not compute SHA-256");
		return false;
	}
	if (by_session && IsTransactionState() && !verify_now(*newval, &result))
	{
		authz_cursor_identity_ended();
		return false;
	}

	*extra = malloc(sizeof(TokenExtra));
	if (*extra == NULL)
	{
		GUC_check_errcode(ERRCODE_OUT_OF_MEMORY);
		GUC_check_errmsg("out of memory");
		return false;
	}
	memcpy(*extra, &result, sizeof(TokenExtra));
	return true;
}

/*
 * Assign hook: also runs when a transaction ends and restores an older value,
 * which must not look like a success after a failed SET.
 */
static void
assign_token(const char *newval, void *extra)
{
	TokenExtra *value = extra;
	TokenExtra	none = {0};
	bool		live = IsTransactionState();	/* not while a transaction ends */
	bool		fresh;
	bool		changed;

	if (value == NULL)
		value = &none;
	fresh = value->fresh;
	value->fresh = false;
	changed = memcmp(value->digest, assigned_digest, sizeof(assigned_digest)) != 0;

	if (fresh || (live && (extra == NULL || value->from_client)))
		failure = FAILURE_NONE;

	/* The check hook refuses such a SET; RESET cannot be refused, so it closes. */
	if (live && !fresh && changed && authz_guard_open_count() > 0)
		failure = FAILURE_CHANGED;

	memcpy(assigned_digest, value->digest, sizeof(assigned_digest));
	assigned_signature = value->signature;
	memset(&current, 0, sizeof(current));
	if (changed)
		authz_guard_identity_changed();
}

static const char *
show_token(void)
{
	return token_value != NULL && token_value[0] != '\0' ? "<hidden>" : "";
}

void
authz_identity_init(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, database_role_changed, (Datum) 0);
	RegisterXactCallback(transaction_ended, NULL);

	defining = true;
	DefineCustomStringVariable("authz.token",
							   "Signed token (compact JWS) that says who this session acts for.",
							   "Verified when it is set; its value is never shown. "
							   "Empty means no token. "
							   "Only the session itself and its start-up options may set it.",
							   &token_value,
							   "",
							   PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_token,
							   assign_token,
							   show_token);
	defining = false;
}
