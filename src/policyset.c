/*-------------------------------------------------------------------------
 * policyset.c
 *	  Backend-local cache of the policies of one relation.
 *
 * A set holds every policy of its relation; which of them apply is decided
 * per identity, so that another identity costs a filter and not a load.
 * Conditions are parsed on first need and kept as trees.
 *
 * Invalidation: triggers on authz.policy and authz.protected_table invalidate
 * the relcache entry of the table (and its children) in the changing
 * transaction; the callback below marks the set stale and moves a counter.
 * It frees nothing: authz_policyset_get does, for the set it is asked for.  A
 * set read while the counter moved is used once and read again next time.
 * Relations that conditions read, and parents whose policies and owner hold for
 * a child, are remembered as well: when one of them changes, every set is stale.
 *
 * Combining is not done here but by inline.c (one expression) and evaluate.c
 * (values): two writings of one rule, which the tests hold against each other.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "catalog.h"
#include "condition.h"
#include "policyset.h"

typedef struct AuthzPolicy
{
	char	   *name;
	AuthzEffect effect;
	uint32		actions;		/* bit per AuthzAction */
	int			nroles;
	char	  **roles;
	char	   *condition;		/* canonical text */
	char	   *check_condition;	/* canonical text, or NULL: the condition */
	Node	   *condition_tree; /* NULL until needed */
	Node	   *check_tree;
	bool		has_columns;
	Bitmapset  *columns;		/* offset by FirstLowInvalidHeapAttributeNumber */
	RangeType  *valid_during;	/* tstzrange */
	List	   *objects;		/* OIDs that the conditions named when they were stored */
} AuthzPolicy;

struct AuthzPolicySet
{
	Oid			relid;			/* hash key */
	Oid			logical;		/* table whose policies hold, or InvalidOid */
	Oid			owner;			/* of the logical table */
	uint64		serial;
	bool		stale;
	MemoryContext context;		/* holds everything below */
	int			npolicies;
	AuthzPolicy *policies;
};

typedef struct Reference
{
	Oid			relid;
} Reference;

static HTAB *sets = NULL;
static HTAB *references = NULL; /* other relations that sets depend on */
static uint64 invalidations = 0;
static uint64 last_serial = 0;

static const char *const action_names[] = {
	[AUTHZ_ACTION_SELECT] = "select",
	[AUTHZ_ACTION_INSERT] = "insert",
	[AUTHZ_ACTION_UPDATE] = "update",
	[AUTHZ_ACTION_UPDATE_CHECK] = "update_check",
	[AUTHZ_ACTION_DELETE] = "delete",
	[AUTHZ_ACTION_TRUNCATE] = "truncate",
};

AuthzAction
authz_policyset_action(const char *name)
{
	for (int i = AUTHZ_ACTION_SELECT; i < lengthof(action_names); i++)
	{
		if (strcmp(name, action_names[i]) == 0)
			return i;
	}
	return AUTHZ_ACTION_NONE;
}

/* Relcache callback: marks and counts, nothing else. */
static void
relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	AuthzPolicySet *set;

	invalidations++;
	if (sets == NULL)
		return;
	if (OidIsValid(relid) && !hash_search(references, &relid, HASH_FIND, NULL))
	{
		set = hash_search(sets, &relid, HASH_FIND, NULL);
		if (set)
			set->stale = true;
		return;
	}
	hash_seq_init(&status, sets);
	while ((set = hash_seq_search(&status)) != NULL)
		set->stale = true;
}

static void
make_caches(void)
{
	HASHCTL		control = {0};

	control.hcxt = CacheMemoryContext;
	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Reference);
	references = hash_create("authz policy references", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.entrysize = sizeof(AuthzPolicySet);
	sets = hash_create("authz policy sets", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* A row that no trigger would have let in: somebody went behind them.  Deny loudly. */
static void
refuse_policy(Oid relid, const char *name, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("policy \"%s\" on table \"%s\" is not valid, access denied",
					name ? name : "", get_rel_name(relid)),
			 errdetail_log("%s", why),
			 errhint("Correct it with authz.alter_policy or remove it with authz.drop_policy.")));
}

static uint32
read_actions(char **names, int n)
{
	uint32		actions = 0;

	for (int i = 0; i < n; i++)
	{
		AuthzAction action = names[i] ? authz_policyset_action(names[i]) : AUTHZ_ACTION_NONE;

		if (action == AUTHZ_ACTION_NONE || action == AUTHZ_ACTION_UPDATE_CHECK)
			return 0;
		actions |= 1 << action;
		if (action == AUTHZ_ACTION_UPDATE)
			actions |= 1 << AUTHZ_ACTION_UPDATE_CHECK;
	}
	return actions;
}

static void
read_columns(AuthzPolicySet *set, AuthzPolicy *policy, ArrayType *array)
{
	Datum	   *names;
	bool	   *nulls;
	int			n;

	policy->has_columns = true;
	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		AttrNumber	attribute = nulls[i] ? InvalidAttrNumber :
			get_attnum(set->relid, NameStr(*DatumGetName(names[i])));

		if (attribute == InvalidAttrNumber)
			refuse_policy(set->logical, policy->name, "It names a column that does not exist.");
		policy->columns = bms_add_member(policy->columns, attribute - FirstLowInvalidHeapAttributeNumber);
	}
}

static List *
read_objects(ArrayType *array)
{
	Datum	   *oids;
	bool	   *nulls;
	int			n;
	List	   *result = NIL;

	deconstruct_array(array, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &oids, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			result = lappend_oid(result, DatumGetObjectId(oids[i]));
	}
	return result;
}

/* One row of authz.policy; memory is the current context. */
static void
read_policy(AuthzPolicySet *set, AuthzScan *scan, HeapTuple tuple, AuthzPolicy *policy)
{
	char	   *effect = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_EFFECT);
	char	  **actions;
	int			nactions;
	bool		isnull;
	Datum		value;

	memset(policy, 0, sizeof(*policy));
	policy->name = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_NAME);
	policy->condition = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_CONDITION);
	policy->check_condition = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_CHECK_CONDITION);
	actions = authz_catalog_get_text_array(scan, tuple, AUTHZ_POLICY_ACTIONS, &nactions);
	policy->actions = read_actions(actions, nactions);
	policy->roles = authz_catalog_get_text_array(scan, tuple, AUTHZ_POLICY_ROLES, &policy->nroles);

	if (effect && strcmp(effect, "permit") == 0)
		policy->effect = AUTHZ_PERMIT;
	else if (!effect || strcmp(effect, "forbid") != 0)
		refuse_policy(set->logical, policy->name, "Its effect is neither permit nor forbid.");
	if (policy->actions == 0 || policy->roles == NULL || policy->condition == NULL)
		refuse_policy(set->logical, policy->name, "Its actions, roles or condition are missing or unknown.");

	value = authz_catalog_get(scan, tuple, AUTHZ_POLICY_COLUMNS, &isnull);
	if (!isnull)
		read_columns(set, policy, DatumGetArrayTypeP(value));
	value = authz_catalog_get(scan, tuple, AUTHZ_POLICY_VALID_DURING, &isnull);
	if (isnull)
		refuse_policy(set->logical, policy->name, "Its validity is missing.");
	policy->valid_during = DatumGetRangeTypePCopy(value);
	value = authz_catalog_get(scan, tuple, AUTHZ_POLICY_DEPENDS_ON, &isnull);
	if (!isnull)
		policy->objects = read_objects(DatumGetArrayTypeP(value));
}

static void
read_policies(AuthzPolicySet *set)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	int			allocated = 8;

	set->policies = palloc_array(AuthzPolicy, allocated);
	authz_catalog_oid_key(&key, AUTHZ_POLICY_RELATION, set->logical);
	authz_catalog_begin(&scan, AUTHZ_TABLE_POLICY, "policy_pkey", &key, 1);
	while ((tuple = authz_catalog_next(&scan)) != NULL)
	{
		bool		isnull;

		if (!DatumGetBool(authz_catalog_get(&scan, tuple, AUTHZ_POLICY_ENABLED, &isnull)) || isnull)
			continue;
		if (set->npolicies == allocated)
		{
			allocated *= 2;
			set->policies = repalloc_array(set->policies, AuthzPolicy, allocated);
		}
		read_policy(set, &scan, tuple, &set->policies[set->npolicies++]);
	}
	authz_catalog_end(&scan);
}

/* Read a set into a context of its own below the current one. */
static void
load_set(AuthzPolicySet *set)
{
	MemoryContext outer;

	set->context = AllocSetContextCreate(CurrentMemoryContext, "authz policy set",
										 ALLOCSET_SMALL_SIZES);
	outer = MemoryContextSwitchTo(set->context);
	set->logical = authz_catalog_logical(set->relid);
	if (OidIsValid(set->logical) && set->logical != set->relid)
		hash_search(references, &set->logical, HASH_ENTER, NULL);
	if (OidIsValid(set->logical))
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(set->logical));

		if (!HeapTupleIsValid(tuple))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("the protected table that \"%s\" belongs to does not exist, access denied",
							get_rel_name(set->relid))));
		set->owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
		read_policies(set);
	}
	MemoryContextSwitchTo(outer);
}

AuthzPolicySet *
authz_policyset_get(Oid relid)
{
	AuthzPolicySet loaded = {.relid = relid};
	AuthzPolicySet *set;
	uint64		before;
	bool		found;

	if (sets == NULL)
		make_caches();
	set = hash_search(sets, &relid, HASH_FIND, NULL);
	if (set && !set->stale)
		return set;

	before = invalidations;
	load_set(&loaded);
	loaded.serial = ++last_serial;
	loaded.stale = before != invalidations;

	set = hash_search(sets, &relid, HASH_ENTER, &found);
	if (found)
		MemoryContextDelete(set->context);
	*set = loaded;
	MemoryContextSetParent(set->context, CacheMemoryContext);
	return set;
}

bool
authz_policyset_is_protected(const AuthzPolicySet *set)
{
	return OidIsValid(set->logical);
}

Oid
authz_policyset_logical(const AuthzPolicySet *set)
{
	return set->logical;
}

Oid
authz_policyset_owner(const AuthzPolicySet *set)
{
	return set->owner;
}

uint64
authz_policyset_serial(const AuthzPolicySet *set)
{
	return set->serial;
}

/* Is it the moment's fault (a cancel, a lock timeout, a deadlock, no memory) and not the text's? */
static bool
is_transient(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION);
}

/* Parse canonical text over a relation; what cannot be read is refused under the policy's name. */
static Node *
parse_condition(const AuthzPolicySet *set, const char *policy, const char *text)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			logical = set->logical;
	Oid			owner = set->owner;
	Relation	relation = table_open(set->relid, AccessShareLock);
	int			level = authz_condition_enter_canonical();
	Node	   *condition = NULL;

	PG_TRY();
	{
		condition = authz_condition_parse(relation, owner, text);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (is_transient(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		refuse_policy(logical, policy, error->message);
	}
	PG_END_TRY();

	authz_condition_leave_canonical(level);
	table_close(relation, AccessShareLock);
	return condition;
}

static void
remember_references(Node *condition)
{
	ListCell   *lc;

	foreach(lc, authz_condition_relations(condition))
	{
		Oid			relid = lfirst_oid(lc);

		hash_search(references, &relid, HASH_ENTER, NULL);
	}
}

/* A copy of the tree of one of a policy's conditions. */
static Node *
get_condition(AuthzPolicySet *set, AuthzPolicy *policy, bool check)
{
	Node	  **kept = check ? &policy->check_tree : &policy->condition_tree;
	Node	   *condition;
	uint64		before = invalidations;
	uint64		serial;
	char	   *name;
	ListCell   *lc;

	if (*kept)
		return copyObject(*kept);

	/* Parsing may run code that has the set read anew; nothing of it is used then. */
	serial = set->serial;
	name = pstrdup(policy->name);
	condition = parse_condition(set, name,
								pstrdup(check ? policy->check_condition : policy->condition));
	if (set->serial != serial)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("policies of table \"%s\" changed while they were read", get_rel_name(set->relid)),
				 errhint("Run the statement again.")));

	/* The text is read by name; a function made later may fit a call better than the one that was meant. */
	foreach(lc, authz_condition_objects(condition))
	{
		if (!list_member_oid(policy->objects, lfirst_oid(lc)))
			refuse_policy(set->logical, name, "Its condition names other objects than when it was stored.");
	}
	if (before == invalidations)
	{
		MemoryContext outer = MemoryContextSwitchTo(set->context);

		remember_references(condition);
		*kept = copyObject(condition);
		MemoryContextSwitchTo(outer);
	}
	return condition;
}

/* statement_timestamp() <@ valid_during; NULL if that always holds from now on. */
static Node *
make_validity_test(const AuthzPolicy *policy, TimestampTz now, bool *ended)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	lower,
				upper;
	bool		empty;
	Expr	   *range;
	Expr	   *clock;

	range_deserialize(type, policy->valid_during, &lower, &upper, &empty);
	*ended = empty || (!upper.infinite && DatumGetTimestampTz(upper.val) < now);
	if (*ended || (upper.infinite && (lower.infinite || DatumGetTimestampTz(lower.val) < now)))
		return NULL;

	range = (Expr *) makeConst(TSTZRANGEOID, -1, InvalidOid, -1,
							   RangeTypePGetDatum(policy->valid_during), false, false);
	clock = (Expr *) makeFuncExpr(F_STATEMENT_TIMESTAMP, TIMESTAMPTZOID, NIL, InvalidOid, InvalidOid,
								  COERCE_EXPLICIT_CALL);
	return (Node *) makeFuncExpr(F_ELEM_CONTAINED_BY_RANGE, BOOLOID,
								 list_make2(clock, range), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/* A permit with columns needs all that are set to be among them; a forbid, any. */
static bool
columns_apply(const AuthzPolicy *policy, AuthzAction action, const Bitmapset *columns)
{
	if (!policy->has_columns)
		return true;
	if (action != AUTHZ_ACTION_INSERT && action != AUTHZ_ACTION_UPDATE && action != AUTHZ_ACTION_UPDATE_CHECK)
		return true;
	if (policy->effect == AUTHZ_PERMIT)
		return bms_is_subset(columns, policy->columns);
	return bms_overlap(columns, policy->columns);
}

static bool
roles_apply(const AuthzPolicy *policy, const AuthzIdentity *identity)
{
	for (int i = 0; i < policy->nroles; i++)
	{
		if (policy->roles[i] && authz_identity_has_role(identity, policy->roles[i], strlen(policy->roles[i])))
			return true;
	}
	return false;
}

List *
authz_policyset_rules(AuthzPolicySet *set, AuthzAction action,
					  const AuthzIdentity *identity, const Bitmapset *columns)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();
	bool		checks = action == AUTHZ_ACTION_INSERT || action == AUTHZ_ACTION_UPDATE_CHECK;
	List	   *rules = NIL;

	for (int i = 0; i < set->npolicies; i++)
	{
		AuthzPolicy *policy = &set->policies[i];
		AuthzRule  *rule;
		Node	   *validity;
		bool		ended;

		if (!(policy->actions & (1 << action)) ||
			!roles_apply(policy, identity) || !columns_apply(policy, action, columns))
			continue;
		validity = make_validity_test(policy, now, &ended);
		if (ended)
			continue;

		rule = palloc0_object(AuthzRule);
		rule->effect = policy->effect;
		rule->condition = get_condition(set, policy, checks && policy->check_condition);
		if (validity)
			rule->condition = (Node *) makeBoolExpr(AND_EXPR, list_make2(validity, rule->condition), -1);
		rules = lappend(rules, rule);
	}
	return rules;
}

void
authz_policyset_init(void)
{
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
}
