/*-------------------------------------------------------------------------
 * catalog.c
 *	  The only reader of the tables of schema authz: tuples to structs.
 *
 * Reads use a catalog snapshot (systable_beginscan with a NULL snapshot), so
 * that a revocation or a changed policy also binds the next statement of a
 * REPEATABLE READ transaction.
 *
 * The tables are ordinary ones, so core does not tell anybody of a change to
 * their rows.  Triggers do, in the changing transaction, by invalidating the
 * relcache entry of the changed table: at commit every backend's callback
 * below moves a counter.  The callback reads nothing.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "catalog.h"

static const char *const table_names[AUTHZ_TABLE_COUNT] = {
	[AUTHZ_TABLE_AUDITED_TABLE] = "audited_table",
	[AUTHZ_TABLE_ISSUER] = "issuer",
	[AUTHZ_TABLE_KEY] = "key",
	[AUTHZ_TABLE_LOGIN_MAP] = "login_map",
	[AUTHZ_TABLE_MASK_KEY] = "mask_key",
	[AUTHZ_TABLE_REVOKED_SESSION] = "revoked_session",
	[AUTHZ_TABLE_REVOKED_SUBJECT] = "revoked_subject",
	[AUTHZ_TABLE_REVOKED_TOKEN] = "revoked_token",
	[AUTHZ_TABLE_ROLE] = "role",
	[AUTHZ_TABLE_ROLE_GRANT] = "role_grant",
	[AUTHZ_TABLE_ROLE_INHERITANCE] = "role_inheritance",
	[AUTHZ_TABLE_POLICY] = "policy",
	[AUTHZ_TABLE_MASK] = "mask",
	[AUTHZ_TABLE_POLICY_HISTORY] = "policy_history",
	[AUTHZ_TABLE_PROTECTED_TABLE] = "protected_table",
};

/* OIDs of the extension's tables, good until one of them is invalidated. */
static struct
{
	bool		valid;
	Oid			schema;
	Oid			tables[AUTHZ_TABLE_COUNT];
}			oids;

/* Moves with whatever could make them wrong. */
static uint64 oids_invalidations = 0;

/* Start at 1, so that a zeroed cache entry is never current. */
static uint64 identity_generation = 1;
static uint64 mask_key_generation = 1;

/* What authz_catalog_policy_version read last; below 0: read it. */
static int64 policy_version = -1;

/*
 * Whoever else in this library wants to know of changed relations.  PostgreSQL
 * has ten places for relcache callbacks, for all modules of a backend.
 */
static AuthzRelationChanged listeners[8];
static int	nlisteners = 0;

void
authz_catalog_on_relation_changed(AuthzRelationChanged listener)
{
	if (nlisteners == lengthof(listeners))
		elog(ERROR, "too many listeners to changes of relations");
	listeners[nlisteners++] = listener;
}

/* Relcache callback: moves counters, and so do the listeners, nothing else. */
static void
relation_changed(Datum arg, Oid relid)
{
	bool		forget = relid == InvalidOid || !oids.valid;

	for (int i = 0; i < nlisteners; i++)
		listeners[i] (relid);

	oids_invalidations++;

	for (int i = 0; i < AUTHZ_TABLE_COUNT && !forget; i++)
		forget = oids.tables[i] == relid;
	if (!forget)
		return;

	if (relid == InvalidOid || !oids.valid || relid == oids.tables[AUTHZ_TABLE_MASK_KEY])
		mask_key_generation++;
	if (relid == InvalidOid || !oids.valid || relid == oids.tables[AUTHZ_TABLE_POLICY_HISTORY])
		policy_version = -1;
	if (relid == InvalidOid || !oids.valid ||
		(relid != oids.tables[AUTHZ_TABLE_POLICY] &&
		 relid != oids.tables[AUTHZ_TABLE_MASK] &&
		 relid != oids.tables[AUTHZ_TABLE_POLICY_HISTORY] &&
		 relid != oids.tables[AUTHZ_TABLE_AUDITED_TABLE] &&
		 relid != oids.tables[AUTHZ_TABLE_MASK_KEY] &&
		 relid != oids.tables[AUTHZ_TABLE_PROTECTED_TABLE]))
		identity_generation++;
	oids.valid = false;
}

/* Syscache callback on pg_namespace: the schema may have been renamed, dropped or made. */
static void
namespace_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	oids_invalidations++;
	oids.valid = false;
}

static void
load_oids(void)
{
	Oid			extension;
	uint64		before = oids_invalidations;

	if (oids.valid)
		return;

	memset(&oids, 0, sizeof(oids));
	extension = get_extension_oid("authz", true);
	if (!OidIsValid(extension))
		return;
	oids.schema = get_namespace_oid("authz", true);
	if (!OidIsValid(oids.schema))
		return;
	for (int i = 0; i < AUTHZ_TABLE_COUNT; i++)
		oids.tables[i] = get_relname_relid(table_names[i], oids.schema);
	/* Used once if something changed meanwhile. */
	oids.valid = before == oids_invalidations;
}

Oid
authz_catalog_table(AuthzTable table)
{
	load_oids();
	return oids.tables[table];
}

Oid
authz_catalog_schema(void)
{
	load_oids();
	return oids.schema;
}

Oid
authz_catalog_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

bool
authz_catalog_is_function(Oid function, const char *name)
{
	Oid			schema = authz_catalog_schema();
	char	   *found;

	if (!OidIsValid(schema) || get_func_namespace(function) != schema)
		return false;
	found = get_func_name(function);
	return found && strcmp(found, name) == 0;
}

uint64
authz_catalog_identity_generation(void)
{
	return identity_generation;
}

uint64
authz_catalog_mask_key_generation(void)
{
	return mask_key_generation;
}

List *
authz_catalog_role_tables(void)
{
	static const AuthzTable role_tables[] = {
		AUTHZ_TABLE_ISSUER, AUTHZ_TABLE_LOGIN_MAP, AUTHZ_TABLE_ROLE,
		AUTHZ_TABLE_ROLE_GRANT, AUTHZ_TABLE_ROLE_INHERITANCE
	};
	List	   *result = NIL;

	for (int i = 0; i < lengthof(role_tables); i++)
		result = lappend_oid(result, authz_catalog_table(role_tables[i]));
	return result;
}

void
authz_catalog_begin(AuthzScan *scan, AuthzTable table, const char *index,
					ScanKey keys, int nkeys)
{
	Oid			relid = authz_catalog_table(table);
	Oid			indexid;

	memset(scan, 0, sizeof(*scan));
	if (!OidIsValid(authz_catalog_schema()))
		return;
	if (!OidIsValid(relid))		/* not the same as empty: a revocation may be in it */
		elog(ERROR, "table authz.%s is missing", table_names[table]);
	indexid = get_relname_relid(index, authz_catalog_schema());
	scan->relation = table_open(relid, AccessShareLock);
	scan->scan = systable_beginscan(scan->relation, indexid, OidIsValid(indexid), NULL, nkeys, keys);
}

HeapTuple
authz_catalog_next(AuthzScan *scan)
{
	return scan->relation ? systable_getnext(scan->scan) : NULL;
}

void
authz_catalog_end(AuthzScan *scan)
{
	if (scan->relation == NULL)
		return;
	systable_endscan(scan->scan);
	table_close(scan->relation, AccessShareLock);
	memset(scan, 0, sizeof(*scan));
}

void
authz_catalog_text_key(ScanKey key, AttrNumber attribute, const char *value)
{
	ScanKeyEntryInitialize(key, 0, attribute, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID,
						   F_TEXTEQ, CStringGetTextDatum(value));
}

void
authz_catalog_oid_key(ScanKey key, AttrNumber attribute, Oid value)
{
	ScanKeyInit(key, attribute, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
}

Datum
authz_catalog_get(AuthzScan *scan, HeapTuple tuple, AttrNumber attribute, bool *isnull)
{
	return heap_getattr(tuple, attribute, RelationGetDescr(scan->relation), isnull);
}

char *
authz_catalog_get_text(AuthzScan *scan, HeapTuple tuple, AttrNumber attribute)
{
	bool		isnull;
	Datum		value = authz_catalog_get(scan, tuple, attribute, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

char	  **
authz_catalog_get_text_array(AuthzScan *scan, HeapTuple tuple, AttrNumber attribute, int *n)
{
	bool		isnull;
	Datum		value = authz_catalog_get(scan, tuple, attribute, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	char	  **result;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, n);
	result = palloc_array(char *, Max(*n, 1));
	for (int i = 0; i < *n; i++)
		result[i] = nulls[i] ? NULL : TextDatumGetCString(elements[i]);
	return result;
}

Oid
authz_catalog_logical(Oid relid)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	Oid			logical = InvalidOid;

	authz_catalog_oid_key(&key, AUTHZ_PROTECTED_RELATION, relid);
	authz_catalog_begin(&scan, AUTHZ_TABLE_PROTECTED_TABLE, "protected_table_pkey", &key, 1);
	if ((tuple = authz_catalog_next(&scan)) != NULL)
	{
		bool		isnull;

		logical = DatumGetObjectId(authz_catalog_get(&scan, tuple, AUTHZ_PROTECTED_LOGICAL, &isnull));
		if (isnull)
			logical = InvalidOid;
	}
	authz_catalog_end(&scan);
	return logical;
}

void
authz_catalog_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, namespace_changed, (Datum) 0);
}

/*
 * Identity tables: issuer, key, revoked_*, login_map, role*.  The column
 * numbers are those of sql/issuer.sql, revocation.sql, identity.sql, role.sql.
 */

enum
{
	Anum_issuer_issuer = 1, Anum_issuer_audience, Anum_issuer_roles_claim,
	Anum_issuer_scopes_claim, Anum_issuer_subject_claim, Anum_issuer_attributes,
	Anum_issuer_clock_skew, Anum_issuer_token_type
};

enum
{
	Anum_key_issuer = 1, Anum_key_kid, Anum_key_algorithm, Anum_key_key, Anum_key_valid_during
};

enum
{
	Anum_role_grant_id = 1, Anum_role_grant_subject, Anum_role_grant_issuer,
	Anum_role_grant_role, Anum_role_grant_valid_during
};

/* Is `now` within a tstzrange?  Lowers *changes_at to its next bound. NULL is never. */
static bool
is_within(AuthzScan *scan, HeapTuple tuple, AttrNumber attribute,
		  TimestampTz now, TimestampTz *changes_at)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	lower;
	RangeBound	upper;
	TimestampTz from;
	TimestampTz until;
	bool		empty;
	bool		isnull;
	Datum		value = authz_catalog_get(scan, tuple, attribute, &isnull);

	if (isnull)
		return false;
	range_deserialize(type, DatumGetRangeTypeP(value), &lower, &upper, &empty);
	if (empty)
		return false;

	/* Whole microseconds, so a closed bound is an open one the next microsecond. */
	from = lower.infinite ? DT_NOBEGIN : DatumGetTimestampTz(lower.val);
	if (!TIMESTAMP_NOT_FINITE(from) && !lower.inclusive)
		from++;
	until = upper.infinite ? DT_NOEND : DatumGetTimestampTz(upper.val);
	if (!TIMESTAMP_NOT_FINITE(until) && upper.inclusive)
		until++;

	if (now < from)
		*changes_at = Min(*changes_at, from);
	else if (now < until)
		*changes_at = Min(*changes_at, until);
	return from <= now && now < until;
}

/* Is there a row whose first one or two columns, of type text, have these values? */
static bool
text_row_exists(AuthzTable table, const char *index, const char *first, const char *second)
{
	AuthzScan	scan;
	ScanKeyData keys[2];
	bool		found;

	authz_catalog_text_key(&keys[0], 1, first);
	if (second != NULL)
		authz_catalog_text_key(&keys[1], 2, second);
	authz_catalog_begin(&scan, table, index, keys, second != NULL ? 2 : 1);
	found = HeapTupleIsValid(authz_catalog_next(&scan));
	authz_catalog_end(&scan);
	return found;
}

AuthzIssuer *
authz_catalog_issuer(const char *issuer)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	AuthzIssuer *result = NULL;

	authz_catalog_text_key(&key, Anum_issuer_issuer, issuer);
	authz_catalog_begin(&scan, AUTHZ_TABLE_ISSUER, "issuer_pkey", &key, 1);
	tuple = authz_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value;

		result = palloc0(sizeof(AuthzIssuer));
		result->audience = authz_catalog_get_text_array(&scan, tuple, Anum_issuer_audience, &result->naudience);
		result->roles_claim = authz_catalog_get_text(&scan, tuple, Anum_issuer_roles_claim);
		result->scopes_claim = authz_catalog_get_text(&scan, tuple, Anum_issuer_scopes_claim);
		result->subject_claim = authz_catalog_get_text(&scan, tuple, Anum_issuer_subject_claim);
		result->token_type = authz_catalog_get_text(&scan, tuple, Anum_issuer_token_type);
		value = authz_catalog_get(&scan, tuple, Anum_issuer_attributes, &isnull);
		if (!isnull)
			result->attributes = DatumGetJsonbPCopy(value);
		value = authz_catalog_get(&scan, tuple, Anum_issuer_clock_skew, &isnull);
		if (!isnull)
			result->clock_skew = DatumGetIntervalP(value)->time;
	}
	authz_catalog_end(&scan);
	return result;
}

List *
authz_catalog_issuer_keys(const char *issuer, const char *kid, const char *algorithm,
						  TimestampTz now, TimestampTz *changes_at)
{
	AuthzScan	scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	List	   *result = NIL;

	authz_catalog_text_key(&keys[0], Anum_key_issuer, issuer);
	if (kid != NULL)
		authz_catalog_text_key(&keys[1], Anum_key_kid, kid);
	authz_catalog_begin(&scan, AUTHZ_TABLE_KEY, "key_pkey", keys, kid != NULL ? 2 : 1);
	while (HeapTupleIsValid(tuple = authz_catalog_next(&scan)))
	{
		AuthzIssuerKey *key = palloc0(sizeof(AuthzIssuerKey));

		key->kid = authz_catalog_get_text(&scan, tuple, Anum_key_kid);
		key->algorithm = authz_catalog_get_text(&scan, tuple, Anum_key_algorithm);
		if (kid == NULL && strcmp(key->algorithm, algorithm) != 0)
			continue;
		if (!is_within(&scan, tuple, Anum_key_valid_during, now, changes_at))
			continue;
		key->key = authz_catalog_get_text(&scan, tuple, Anum_key_key);
		result = lappend(result, key);
	}
	authz_catalog_end(&scan);
	return result;
}

bool
authz_catalog_is_token_revoked(const char *issuer, const char *token_id)
{
	return text_row_exists(AUTHZ_TABLE_REVOKED_TOKEN, "revoked_token_pkey", issuer, token_id);
}

bool
authz_catalog_is_session_revoked(const char *issuer, const char *session_id)
{
	return text_row_exists(AUTHZ_TABLE_REVOKED_SESSION, "revoked_session_pkey", issuer, session_id);
}

TimestampTz
authz_catalog_subject_revoked_before(const char *issuer, const char *subject, int64 *clock_skew)
{
	AuthzScan	scan;
	ScanKeyData keys[2];
	HeapTuple	tuple;
	TimestampTz result = DT_NOBEGIN;

	*clock_skew = 0;
	authz_catalog_text_key(&keys[0], 1, issuer);
	authz_catalog_text_key(&keys[1], 2, subject);
	authz_catalog_begin(&scan, AUTHZ_TABLE_REVOKED_SUBJECT, "revoked_subject_pkey", keys, 2);
	tuple = authz_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = authz_catalog_get(&scan, tuple, 3, &isnull);

		result = isnull ? DT_NOEND : DatumGetTimestampTz(value);
		value = authz_catalog_get(&scan, tuple, 4, &isnull);
		if (!isnull)
			*clock_skew = DatumGetIntervalP(value)->time;
	}
	authz_catalog_end(&scan);
	return result;
}

char *
authz_catalog_login_subject(Oid database_role)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	char	   *result = NULL;

	authz_catalog_oid_key(&key, 1, database_role);
	authz_catalog_begin(&scan, AUTHZ_TABLE_LOGIN_MAP, "login_map_pkey", &key, 1);
	tuple = authz_catalog_next(&scan);
	if (HeapTupleIsValid(tuple))
		result = authz_catalog_get_text(&scan, tuple, 2);
	authz_catalog_end(&scan);
	return result;
}

bool
authz_catalog_role_exists(const char *role)
{
	return text_row_exists(AUTHZ_TABLE_ROLE, "role_pkey", role, NULL);
}

List *
authz_catalog_inherited_roles(const char *role)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	List	   *result = NIL;

	authz_catalog_text_key(&key, 1, role);
	authz_catalog_begin(&scan, AUTHZ_TABLE_ROLE_INHERITANCE, "role_inheritance_pkey", &key, 1);
	while (HeapTupleIsValid(tuple = authz_catalog_next(&scan)))
		result = lappend(result, authz_catalog_get_text(&scan, tuple, 2));
	authz_catalog_end(&scan);
	return result;
}

List *
authz_catalog_granted_roles(const char *subject, const char *issuer,
							TimestampTz now, TimestampTz *changes_at)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	List	   *result = NIL;

	authz_catalog_text_key(&key, Anum_role_grant_subject, subject);
	authz_catalog_begin(&scan, AUTHZ_TABLE_ROLE_GRANT, "role_grant_subject_idx", &key, 1);
	while (HeapTupleIsValid(tuple = authz_catalog_next(&scan)))
	{
		char	   *of_issuer = authz_catalog_get_text(&scan, tuple, Anum_role_grant_issuer);

		if (of_issuer != NULL && (issuer == NULL || strcmp(of_issuer, issuer) != 0))
			continue;
		if (is_within(&scan, tuple, Anum_role_grant_valid_during, now, changes_at))
			result = lappend(result, authz_catalog_get_text(&scan, tuple, Anum_role_grant_role));
	}
	authz_catalog_end(&scan);
	return result;
}

/* The key of pseudonyms; its columns are those of sql/mask_function.sql. */

bytea *
authz_catalog_mask_key(void)
{
	AuthzScan	scan;
	HeapTuple	tuple;
	int64		newest = 0;
	bytea	   *result = NULL;

	/* One row, unless triggers were off when another was restored. */
	authz_catalog_begin(&scan, AUTHZ_TABLE_MASK_KEY, "mask_key_pkey", NULL, 0);
	while (HeapTupleIsValid(tuple = authz_catalog_next(&scan)))
	{
		bool		isnull;
		int64		id = DatumGetInt64(authz_catalog_get(&scan, tuple, 1, &isnull));

		if (result == NULL || id > newest)
		{
			newest = id;
			result = DatumGetByteaPCopy(authz_catalog_get(&scan, tuple, 2, &isnull));
		}
	}
	authz_catalog_end(&scan);
	return result;
}

/* Audited tables. */

static char **
get_names(AuthzScan *scan, HeapTuple tuple, AttrNumber attribute, int *n)
{
	bool		isnull;
	Datum		value = authz_catalog_get(scan, tuple, attribute, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	char	  **result;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(value), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &elements, &nulls, n);
	result = palloc_array(char *, Max(*n, 1));
	for (int i = 0; i < *n; i++)
		result[i] = nulls[i] ? "" : pstrdup(NameStr(*DatumGetName(elements[i])));
	return result;
}

bool
authz_catalog_audited(Oid relid, AuthzAudited *audited)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	bool		found = false;

	memset(audited, 0, sizeof(*audited));
	authz_catalog_oid_key(&key, AUTHZ_AUDITED_RELATION, relid);
	authz_catalog_begin(&scan, AUTHZ_TABLE_AUDITED_TABLE, "audited_table_pkey", &key, 1);
	if ((tuple = authz_catalog_next(&scan)) != NULL)
	{
		bool		isnull;

		found = DatumGetBool(authz_catalog_get(&scan, tuple, AUTHZ_AUDITED_ACTIVE, &isnull)) && !isnull;
		audited->trail = DatumGetInt64(authz_catalog_get(&scan, tuple, AUTHZ_AUDITED_TRAIL, &isnull));
		audited->reads = DatumGetBool(authz_catalog_get(&scan, tuple, AUTHZ_AUDITED_READS, &isnull)) && !isnull;
		audited->excluded = get_names(&scan, tuple, AUTHZ_AUDITED_EXCLUDE_COLUMNS, &audited->nexcluded);
		audited->clear = get_names(&scan, tuple, AUTHZ_AUDITED_CLEAR_COLUMNS, &audited->nclear);
	}
	authz_catalog_end(&scan);
	return found;
}

List *
authz_catalog_masked_columns(Oid relid)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	List	   *result = NIL;
	Oid			logical = authz_catalog_logical(relid);

	if (!OidIsValid(logical))
		logical = relid;
	authz_catalog_oid_key(&key, AUTHZ_MASK_RELATION, logical);
	authz_catalog_begin(&scan, AUTHZ_TABLE_MASK, "mask_pkey", &key, 1);
	while ((tuple = authz_catalog_next(&scan)) != NULL)
	{
		bool		isnull;
		Datum		name = authz_catalog_get(&scan, tuple, AUTHZ_MASK_COLUMN_NAME, &isnull);

		if (!isnull)
			result = lappend(result, pstrdup(NameStr(*DatumGetName(name))));
	}
	authz_catalog_end(&scan);
	return result;
}

int64
authz_catalog_policy_version(void)
{
	uint64		before;
	Oid			relid = authz_catalog_table(AUTHZ_TABLE_POLICY_HISTORY);
	Relation	table;
	Relation	index;
	SysScanDesc scan;
	HeapTuple	tuple;
	int64		version = 0;

	if (policy_version >= 0)
		return policy_version;
	if (!OidIsValid(relid))
		elog(ERROR, "table authz.policy_history is missing");
	before = oids_invalidations;
	table = table_open(relid, AccessShareLock);
	index = index_open(get_relname_relid("policy_history_pkey", authz_catalog_schema()), AccessShareLock);
	scan = systable_beginscan_ordered(table, index, NULL, 0, NULL);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;

		version = DatumGetInt64(heap_getattr(tuple, 1, RelationGetDescr(table), &isnull));
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(table, AccessShareLock);

	/* Kept only if nothing changed meanwhile. */
	if (before == oids_invalidations)
		policy_version = version;
	return version;
}
