/*-------------------------------------------------------------------------
 * policyset.c
 *	  Backend-local cache of the policies and masks of one relation.
 *
 * A set holds every policy and mask of its relation; which of them apply is
 * decided per identity, so that another identity costs a filter and not a load.
 * Conditions are parsed on first need and kept as trees.
 *
 * Invalidation: triggers on authz.policy, authz.mask and authz.protected_table
 * invalidate the relcache entry of the table (and its children) in the changing
 * transaction; the callback below marks the set stale and moves a counter.
 * It frees nothing: authz_policyset_get does, for the set it is asked for.  A
 * set read while the counter moved is used once and read again next time.
 * Relations that conditions read, and parents whose policies and owner hold for
 * a child, are remembered as well: when one of them changes, every set is stale.
 * Between transactions, when nobody holds a set, all are forgotten if there are
 * more than MAX_KEPT: a session may see any number of temporary tables.
 *
 * Combining policies is not done here but by inline.c (one expression) and
 * evaluate.c (values): two writings of one rule, which the tests hold against
 * each other.  masked.c puts masks together.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "catalog.h"
#include "clause.h"
#include "condition.h"
#include "masking.h"
#include "policyset.h"
#include "recursion.h"
#include "stats.h"

#define MAX_KEPT	500				/* sets and references, each */

/* A text of a clause and its tree, NULL until it is needed. */
typedef struct Parsed
{
	char	   *text;
	Node	   *tree;
} Parsed;

typedef struct AuthzPolicy
{
	AuthzClause clause;
	uint64		stats_id;		/* see stats.h */
	AuthzEffect effect;
	uint32		actions;		/* bit per AuthzAction */
	Parsed		condition;
	Parsed		check_condition;	/* text NULL: the condition */
	bool		has_columns;
	bool		may_hide;
	Bitmapset  *columns;		/* offset by FirstLowInvalidHeapAttributeNumber */
} AuthzPolicy;

/* Zeroed it is disabled. */
typedef struct AuthzMask
{
	AuthzClause clause;
	AttrNumber	column;
	int32		priority;
	bool		enabled;
	Parsed		condition;
	Parsed		value;
} AuthzMask;

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
	int			nmasks;
	AuthzMask  *masks;			/* by column and priority, the disabled ones too */
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
	[AUTHZ_ACTION_UPDATE_HIDE] = "update_hide",
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

/* When a relation changed: marks and counts, nothing else. */
static void
relation_changed(Oid relid)
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

static uint32
read_actions(char **names, int n)
{
	uint32		actions = 0;

	for (int i = 0; i < n; i++)
	{
		AuthzAction action = names[i] ? authz_policyset_action(names[i]) : AUTHZ_ACTION_NONE;

		if (action == AUTHZ_ACTION_NONE || action == AUTHZ_ACTION_UPDATE_CHECK || action == AUTHZ_ACTION_UPDATE_HIDE)
			return 0;
		actions |= 1 << action;
		if (action == AUTHZ_ACTION_UPDATE)
			actions |= 1 << AUTHZ_ACTION_UPDATE_CHECK | 1 << AUTHZ_ACTION_UPDATE_HIDE;
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
			authz_clause_refuse(policy->clause.name, set->logical, "It names a column that does not exist.");
		policy->columns = bms_add_member(policy->columns, attribute - FirstLowInvalidHeapAttributeNumber);
	}
}

/* One row of authz.policy; memory is the current context. */
static void
read_policy(AuthzPolicySet *set, AuthzScan *scan, HeapTuple tuple, AuthzPolicy *policy)
{
	static const AuthzClauseColumns columns = {
		AUTHZ_POLICY_ROLES, AUTHZ_POLICY_VALID_DURING, AUTHZ_POLICY_DEPENDS_ON, AUTHZ_POLICY_READS_SETTINGS
	};
	char	   *policy_name = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_NAME);
	char	   *name = psprintf("policy \"%s\"", policy_name);
	char	   *effect = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_EFFECT);
	char	  **actions;
	int			nactions;
	bool		isnull;
	Datum		value;

	memset(policy, 0, sizeof(*policy));
	policy->stats_id = authz_stats_id(policy_name);
	authz_clause_read(&policy->clause, name, set->logical, scan, tuple, &columns);
	policy->condition.text = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_CONDITION);
	policy->check_condition.text = authz_catalog_get_text(scan, tuple, AUTHZ_POLICY_CHECK_CONDITION);
	actions = authz_catalog_get_text_array(scan, tuple, AUTHZ_POLICY_ACTIONS, &nactions);
	policy->actions = read_actions(actions, nactions);

	if (effect && strcmp(effect, "permit") == 0)
		policy->effect = AUTHZ_PERMIT;
	else if (!effect || strcmp(effect, "forbid") != 0)
		authz_clause_refuse(name, set->logical, "Its effect is neither permit nor forbid.");
	if (policy->actions == 0 || policy->condition.text == NULL)
		authz_clause_refuse(name, set->logical, "Its actions or condition are missing or unknown.");

	value = authz_catalog_get(scan, tuple, AUTHZ_POLICY_MAY_HIDE, &isnull);
	policy->may_hide = !isnull && DatumGetBool(value);
	value = authz_catalog_get(scan, tuple, AUTHZ_POLICY_COLUMNS, &isnull);
	if (!isnull)
		read_columns(set, policy, DatumGetArrayTypeP(value));
}

/* No policy wins by its place, but all sessions have them in one order. */
static int
compare_policies(const void *a, const void *b)
{
	return strcmp(((const AuthzPolicy *) a)->clause.name, ((const AuthzPolicy *) b)->clause.name);
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
	qsort(set->policies, set->npolicies, sizeof(AuthzPolicy), compare_policies);
}

/* One row of authz.mask; memory is the current context. */
static void
read_mask(AuthzPolicySet *set, AuthzScan *scan, HeapTuple tuple, AuthzMask *mask)
{
	static const AuthzClauseColumns columns = {
		AUTHZ_MASK_ROLES, AUTHZ_MASK_VALID_DURING, AUTHZ_MASK_DEPENDS_ON, AUTHZ_MASK_READS_SETTINGS
	};
	bool		isnull;
	NameData   *column = DatumGetName(authz_catalog_get(scan, tuple, AUTHZ_MASK_COLUMN_NAME, &isnull));
	int32		priority = DatumGetInt32(authz_catalog_get(scan, tuple, AUTHZ_MASK_PRIORITY, &isnull));
	char	   *name = psprintf("mask %d of column \"%s\"", priority, NameStr(*column));
	Datum		value;

	memset(mask, 0, sizeof(*mask));
	authz_clause_read(&mask->clause, name, set->logical, scan, tuple, &columns);
	mask->column = get_attnum(set->relid, NameStr(*column));
	mask->priority = priority;
	mask->condition.text = authz_catalog_get_text(scan, tuple, AUTHZ_MASK_CONDITION);
	mask->value.text = authz_catalog_get_text(scan, tuple, AUTHZ_MASK_MASK);
	value = authz_catalog_get(scan, tuple, AUTHZ_MASK_ENABLED, &isnull);
	mask->enabled = !isnull && DatumGetBool(value);
	if (mask->column <= 0)
		authz_clause_refuse(name, set->logical, "Its column does not exist.");
	if (mask->condition.text == NULL || mask->value.text == NULL)
		authz_clause_refuse(name, set->logical, "Its condition or mask is missing.");
}

/* The first mask that applies decides, so their order is made here: a scan's order is the session's choice. */
static int
compare_masks(const void *a, const void *b)
{
	const AuthzMask *left = a;
	const AuthzMask *right = b;

	if (left->column != right->column)
		return left->column < right->column ? -1 : 1;
	if (left->priority != right->priority)
		return left->priority < right->priority ? -1 : 1;
	return 0;
}

static void
read_masks(AuthzPolicySet *set)
{
	AuthzScan	scan;
	ScanKeyData key;
	HeapTuple	tuple;
	int			allocated = 8;

	set->masks = palloc_array(AuthzMask, allocated);
	authz_catalog_oid_key(&key, AUTHZ_MASK_RELATION, set->logical);
	authz_catalog_begin(&scan, AUTHZ_TABLE_MASK, "mask_pkey", &key, 1);
	while ((tuple = authz_catalog_next(&scan)) != NULL)
	{
		if (set->nmasks == allocated)
		{
			allocated *= 2;
			set->masks = repalloc_array(set->masks, AuthzMask, allocated);
		}
		read_mask(set, &scan, tuple, &set->masks[set->nmasks++]);
	}
	authz_catalog_end(&scan);
	qsort(set->masks, set->nmasks, sizeof(AuthzMask), compare_masks);
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
		set->owner = authz_catalog_owner(set->logical);
		if (!OidIsValid(set->owner))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("the protected table that \"%s\" belongs to does not exist, access denied",
							get_rel_name(set->relid))));
		read_policies(set);
		read_masks(set);
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

Oid
authz_policyset_relation(const AuthzPolicySet *set)
{
	return set->relid;
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

/* A copy of the tree of a clause's text: a mask's value if there is a column, else a condition. */
static Node *
get_tree(AuthzPolicySet *set, const AuthzClause *clause, AttrNumber column, Parsed *parsed)
{
	AuthzClauseText text = {set->relid, set->logical, set->owner, column, NULL};
	uint64		before = invalidations;
	uint64		serial = set->serial;
	Node	   *tree;

	if (parsed->tree)
		return copyObject(parsed->tree);

	/* Parsing may run code that has the set read anew; nothing of it is used then. */
	text.text = pstrdup(parsed->text);
	tree = authz_clause_parse(clause, &text);
	if (set->serial != serial)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("policies of table \"%s\" changed while they were read", get_rel_name(set->relid)),
				 errhint("Run the statement again.")));
	authz_recursion_mark(tree, clause->name, set->logical);
	if (before == invalidations)
	{
		MemoryContext outer = MemoryContextSwitchTo(set->context);

		remember_references(tree);
		parsed->tree = copyObject(tree);
		MemoryContextSwitchTo(outer);
	}
	return tree;
}

/* The condition together with the test of its time, if it needs one. */
static Node *
add_time(Node *time, Node *condition)
{
	return time ? (Node *) makeBoolExpr(AND_EXPR, list_make2(time, condition), -1) : condition;
}

static bool
sets_columns(AuthzAction action)
{
	return action == AUTHZ_ACTION_INSERT || action == AUTHZ_ACTION_UPDATE ||
		action == AUTHZ_ACTION_UPDATE_CHECK || action == AUTHZ_ACTION_UPDATE_HIDE;
}

/* Is it about any of the columns that are set?  If none is set, every permit is, and no forbid. */
static bool
columns_apply(const AuthzPolicy *policy, AuthzAction action, const Bitmapset *columns)
{
	if (!policy->has_columns || !sets_columns(action))
		return true;
	if (policy->effect == AUTHZ_PERMIT && bms_is_empty(columns))
		return true;
	return bms_overlap(columns, policy->columns);
}

/* `time` as authz_clause_ended has it. */
static bool
applies(const AuthzPolicy *policy, AuthzAction action, const AuthzIdentity *identity, Node **time)
{
	return (policy->actions & (1 << action)) && authz_clause_has_role(&policy->clause, identity) &&
		!authz_clause_ended(&policy->clause, time);
}

static AuthzRule *
make_rule(const AuthzPolicy *policy, AuthzAction action, Node *condition)
{
	AuthzRule  *rule = palloc0_object(AuthzRule);

	rule->effect = policy->effect;
	rule->stats_id = policy->stats_id;
	rule->condition = condition;
	if (policy->has_columns && sets_columns(action))
		rule->columns = bms_copy(policy->columns);
	return rule;
}

static Node *
get_condition(AuthzPolicySet *set, AuthzPolicy *policy, bool checks)
{
	return get_tree(set, &policy->clause, InvalidAttrNumber,
					checks && policy->check_condition.text ? &policy->check_condition : &policy->condition);
}

/* Could a permit that does not let it hide have permitted the old row of an UPDATE of these columns? */
static bool
has_visible_permit(const AuthzPolicySet *set, const AuthzIdentity *identity, const Bitmapset *columns)
{
	for (int i = 0; i < set->npolicies; i++)
	{
		const AuthzPolicy *policy = &set->policies[i];
		Node	   *time;

		if (policy->effect == AUTHZ_PERMIT && !policy->may_hide &&
			columns_apply(policy, AUTHZ_ACTION_UPDATE, columns) &&
			applies(policy, AUTHZ_ACTION_UPDATE, identity, &time))
			return true;
	}
	return false;
}

/* Does a condition read any of the columns that are set, or one that is generated from them? */
static bool
reads_any(const AuthzPolicySet *set, Node *condition, const Bitmapset *columns)
{
	Bitmapset  *read = authz_condition_columns(condition);
	int			i = -1;

	while ((i = bms_next_member(read, i)) >= 0)
	{
		AttrNumber	column = i + FirstLowInvalidHeapAttributeNumber;

		if (bms_is_member(i, columns) ||
			(column > 0 && bms_overlap(authz_masking_sources(set->relid, column), columns)))
			return true;
	}
	return false;
}

/*
 * The permits by which the new row of an UPDATE need not be visible.  Only the
 * new row is at hand where that is decided.  If another permit may have
 * permitted the old one, the condition of this has to hold as well; it is
 * looked at in the new row, which says the same of the old one if the statement
 * sets none of the columns that it reads.
 */
static List *
hiding_rules(AuthzPolicySet *set, const AuthzIdentity *identity, const Bitmapset *columns)
{
	bool		needs_condition = has_visible_permit(set, identity, columns);
	List	   *rules = NIL;

	for (int i = 0; i < set->npolicies; i++)
	{
		AuthzPolicy *policy = &set->policies[i];
		Node	   *time;
		Node	   *condition;

		if (policy->effect != AUTHZ_PERMIT || !policy->may_hide ||
			!columns_apply(policy, AUTHZ_ACTION_UPDATE_HIDE, columns) ||
			!applies(policy, AUTHZ_ACTION_UPDATE_HIDE, identity, &time))
			continue;
		condition = get_condition(set, policy, true);
		if (needs_condition)
		{
			Node	   *old = get_condition(set, policy, false);

			if (reads_any(set, old, columns))
				continue;
			condition = (Node *) makeBoolExpr(AND_EXPR, list_make2(old, condition), -1);
		}
		rules = lappend(rules, make_rule(policy, AUTHZ_ACTION_UPDATE_HIDE, add_time(time, condition)));
	}
	return rules;
}

List *
authz_policyset_rules(AuthzPolicySet *set, AuthzAction action,
					  const AuthzIdentity *identity, const Bitmapset *columns)
{
	bool		checks = action == AUTHZ_ACTION_INSERT || action == AUTHZ_ACTION_UPDATE_CHECK;
	List	   *rules = NIL;

	if (action == AUTHZ_ACTION_UPDATE_HIDE)
		return hiding_rules(set, identity, columns);
	for (int i = 0; i < set->npolicies; i++)
	{
		AuthzPolicy *policy = &set->policies[i];
		Node	   *time;

		if (!columns_apply(policy, action, columns) || !applies(policy, action, identity, &time))
			continue;
		rules = lappend(rules, make_rule(policy, action, add_time(time, get_condition(set, policy, checks))));
	}
	return rules;
}

AttrNumber
authz_policyset_uncovered(const AuthzPolicySet *set, AuthzAction action,
						  const AuthzIdentity *identity, const Bitmapset *columns)
{
	Bitmapset  *left = bms_copy(columns);
	bool		has_permit = false;

	for (int i = 0; i < set->npolicies; i++)
	{
		const AuthzPolicy *policy = &set->policies[i];
		Node	   *time;

		if (policy->effect != AUTHZ_PERMIT || !applies(policy, action, identity, &time))
			continue;
		if (!policy->has_columns)
			return InvalidAttrNumber;
		has_permit = true;
		left = bms_del_members(left, policy->columns);
	}
	return has_permit && !bms_is_empty(left) ?
		bms_next_member(left, -1) + FirstLowInvalidHeapAttributeNumber : InvalidAttrNumber;
}

bool
authz_policyset_is_masked(const AuthzPolicySet *set, AttrNumber column)
{
	for (int i = 0; i < set->nmasks; i++)
	{
		if (set->masks[i].column == column)
			return true;
	}
	return false;
}

List *
authz_policyset_masks(AuthzPolicySet *set, AttrNumber column, const AuthzIdentity *identity)
{
	List	   *rules = NIL;

	for (int i = 0; i < set->nmasks; i++)
	{
		AuthzMask  *mask = &set->masks[i];
		AuthzMaskRule *rule;
		Node	   *time = NULL;

		if (mask->column != column || !mask->enabled)
			continue;
		if (identity == NULL ? !authz_clause_is_public(&mask->clause) :
			!authz_clause_has_role(&mask->clause, identity) || authz_clause_ended(&mask->clause, &time))
			continue;
		rule = palloc0_object(AuthzMaskRule);
		rule->condition = add_time(time, get_tree(set, &mask->clause, InvalidAttrNumber, &mask->condition));
		rule->value = get_tree(set, &mask->clause, column, &mask->value);
		rules = lappend(rules, rule);
	}
	return rules;
}

uint64
authz_policyset_invalidations(void)
{
	return invalidations;
}

/* Forget everything. */
static void
forget_sets(void)
{
	HASH_SEQ_STATUS status;
	AuthzPolicySet *set;
	Reference  *reference;

	hash_seq_init(&status, sets);
	while ((set = hash_seq_search(&status)) != NULL)
	{
		MemoryContextDelete(set->context);
		(void) hash_search(sets, &set->relid, HASH_REMOVE, NULL);
	}
	hash_seq_init(&status, references);
	while ((reference = hash_seq_search(&status)) != NULL)
		(void) hash_search(references, &reference->relid, HASH_REMOVE, NULL);
}

static void
end_transaction(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) && sets != NULL &&
		(hash_get_num_entries(sets) > MAX_KEPT || hash_get_num_entries(references) > MAX_KEPT))
		forget_sets();
}

void
authz_policyset_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	authz_catalog_on_relation_changed(relation_changed);
}
