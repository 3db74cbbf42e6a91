/*-------------------------------------------------------------------------
 * writeplan.c
 *	  The statements on a table that writes to a masked view become, planned.
 *
 * They are made as the rewriter makes them of an updatable view: permissions and
 * row security are those of the view's owner, everything else (triggers of the
 * table, functions, current_user) is the caller's.  So policies decide, by the
 * columns that really change.
 *
 * To analyse and plan one takes ten times as long as to write one row, so plans
 * are kept for the session: as copies that nobody works with, all of them
 * forgotten on whatever invalidation there is.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_operator.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteDefine.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "condition.h"
#include "maintenance.h"
#include "masking.h"
#include "policyset.h"
#include "writeplan.h"

/* Plans that a session keeps; at more, all are forgotten. */
#define MAX_KEPT	100

/* A plan that may serve again, for whom and what. */
typedef struct KeptPlan
{
	Oid			viewid;
	Oid			user;
	bool		has_returning;
	AuthzWriteKind kind;
	Bitmapset  *set;
	Bitmapset  *key;
	uint64		signature;
	uint64		serial;
	PlannedStmt *plan;
} KeptPlan;

static MemoryContext kept_context = NULL;
static List *kept = NIL;		/* of KeptPlan *, in kept_context */
static uint64 kept_at = 0;		/* number of invalidations when the first was kept */
static uint64 other_invalidations = 0;	/* of what is no relation */

/* authz.masked(t.<column>, ...): what the view shows of a column */
static char *
shown(const AuthzWrite *write, int i)
{
	return psprintf("authz.masked(t.%s, %s, t.tableoid)", write->names[i],
					quote_literal_cstr(get_attname(write->view.relid, write->view.columns[i], false)));
}

/* <left> = $i for a column's type; its text where it has no equality. */
static void
append_equal(StringInfo text, const AuthzWrite *write, int i, const char *left)
{
	Oid			type = write->params->params[i].ptype;
	TypeCacheEntry *cached = lookup_type_cache(type, TYPECACHE_EQ_OPR);
	Oid			collation = write->collations[i];
	HeapTuple	tuple;
	Form_pg_operator operator;

	if (!OidIsValid(cached->eq_opr))
	{
		appendStringInfo(text, "(%s)::text COLLATE \"C\" OPERATOR(pg_catalog.=) $%d::text", left, i + 1);
		return;
	}
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(cached->eq_opr));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", cached->eq_opr);
	operator = (Form_pg_operator) GETSTRUCT(tuple);
	appendStringInfo(text, "%s OPERATOR(%s.%s) $%d", left, quote_identifier(get_namespace_name(operator->oprnamespace)),
					 NameStr(operator->oprname), i + 1);
	ReleaseSysCache(tuple);
	/* A column of a domain may have another collation than the domain. */
	if (OidIsValid(collation) && collation != get_typcollation(type))
		appendStringInfo(text, " COLLATE %s", generate_collation_name(collation));
}

static void
append_key(StringInfo text, const AuthzWrite *write)
{
	int			i = -1;

	while ((i = bms_next_member(write->key, i)) >= 0)
	{
		if (i != bms_next_member(write->key, -1))
			appendStringInfoString(text, " AND ");
		append_equal(text, write, i, psprintf("t.%s", write->names[i]));
	}
}

/*
 * Would the view show the row as it did?  A mask that reads other rows is not
 * looked at: the statement may have changed those.
 */
static void
append_unchanged(StringInfo text, const AuthzWrite *write)
{
	appendStringInfoString(text, "true");
	for (int i = 0; i < write->view.ncolumns; i++)
	{
		char	   *value;

		if (bms_is_member(i, write->key) || authz_masking_reads_others(write->view.relid, write->view.columns[i]))
			continue;
		value = shown(write, i);
		appendStringInfoString(text, " AND (");
		append_equal(text, write, i, value);
		appendStringInfo(text, " OR (%s IS NULL AND $%d IS NULL))", value, i + 1);
	}
}

static void
append_returning(StringInfo text, const AuthzWrite *write)
{
	for (int i = 0; i < write->view.ncolumns; i++)
		appendStringInfo(text, "%s%s", i == 0 ? " RETURNING " : ", ", shown(write, i));
}

/* One RETURNING row needs a policy for select: an identity without any may still insert. */
static bool
may_select(Oid relid)
{
	const AuthzIdentity *identity = authz_identity_get();
	AuthzPolicySet *set = authz_policyset_get(relid);
	List	   *rules = authz_policyset_rules(set, AUTHZ_ACTION_SELECT, identity, NULL);
	Oid			owner = authz_policyset_owner(set);
	ListCell   *lc;

	/* The view's owner is the table's, and reads it under their own rights. */
	if (authz_maintenance_covers(identity, relid, owner, owner))
		return true;
	foreach(lc, rules)
	{
		if (((AuthzRule *) lfirst(lc))->effect == AUTHZ_PERMIT)
			return true;
	}
	return false;
}

static char *
insert_text(const AuthzWrite *write, const Bitmapset *set)
{
	StringInfoData text;
	int			i = -1;

	initStringInfo(&text);
	appendStringInfo(&text, "INSERT INTO %s AS t", write->table);
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, "%s%s", bms_next_member(set, -1) == i ? " (" : ", ", write->names[i]);
	i = -1;
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, "%s$%d", bms_next_member(set, -1) == i ? ") VALUES (" : ", ",
						 write->view.ncolumns + i + 1);
	appendStringInfoString(&text, bms_is_empty(set) ? " DEFAULT VALUES" : ")");
	if (write->has_returning && may_select(write->view.relid))
		append_returning(&text, write);
	return text.data;
}

static char *
update_text(const AuthzWrite *write, const Bitmapset *set)
{
	StringInfoData text;
	int			i = -1;

	initStringInfo(&text);
	appendStringInfo(&text, "UPDATE %s AS t SET", write->table);
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, "%s %s = $%d", bms_next_member(set, -1) == i ? "" : ",",
						 write->names[i], write->view.ncolumns + i + 1);
	appendStringInfoString(&text, " WHERE ");
	append_key(&text, write);
	appendStringInfoString(&text, " AND ");
	append_unchanged(&text, write);
	/* What is returned has to be visible; who wants nothing may hide the row. */
	if (write->has_returning)
		append_returning(&text, write);
	return text.data;
}

/* May the row be updated, and would the view show it as it did?  Then it is locked, as an UPDATE would. */
static char *
lock_text(const AuthzWrite *write)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < write->view.ncolumns; i++)
		appendStringInfo(&text, "%s%s", i == 0 ? "SELECT " : ", ", shown(write, i));
	appendStringInfo(&text, " FROM %s AS t WHERE ", write->table);
	append_key(&text, write);
	appendStringInfoString(&text, " AND ");
	append_unchanged(&text, write);
	appendStringInfoString(&text, " FOR NO KEY UPDATE OF t");
	return text.data;
}

static char *
delete_text(const AuthzWrite *write)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "DELETE FROM %s AS t WHERE ", write->table);
	append_key(&text, write);
	appendStringInfoString(&text, " AND ");
	append_unchanged(&text, write);
	return text.data;
}

/* Why was a row not written? */
static char *
reason_text(const AuthzWrite *write, const Bitmapset *set)
{
	StringInfoData text;
	int			i = -1;

	initStringInfo(&text);
	appendStringInfoString(&text, "SELECT ");
	append_unchanged(&text, write);
	appendStringInfoString(&text, ", t.xmin, t.cmin, authz.permits_row('update', t.*, '{}')");
	appendStringInfoString(&text, ", authz.permits_row('update', t.*, ARRAY[");
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, "%s%s", i == bms_next_member(set, -1) ? "" : ", ",
						 quote_literal_cstr(get_attname(write->view.relid, write->view.columns[i], false)));
	appendStringInfoString(&text, "]::name[])");
	i = -1;
	while ((i = bms_next_member(set, i)) >= 0)
		appendStringInfo(&text, ", authz.permits_row('update', t.*, ARRAY[%s]::name[])",
						 quote_literal_cstr(get_attname(write->view.relid, write->view.columns[i], false)));
	appendStringInfo(&text, " FROM %s AS t WHERE ", write->table);
	append_key(&text, write);
	return text.data;
}

static char *
statement_text(const AuthzWrite *write, AuthzWriteKind kind, const Bitmapset *set)
{
	switch (kind)
	{
		case AUTHZ_WRITE_INSERT:
			return insert_text(write, set);
		case AUTHZ_WRITE_UPDATE:
			return update_text(write, set);
		case AUTHZ_WRITE_LOCK:
			return lock_text(write);
		case AUTHZ_WRITE_DELETE:
			return delete_text(write);
		case AUTHZ_WRITE_EXPLAIN:
			return reason_text(write, set);
	}
	return NULL;
}

/*
 * The caller need not be able to name the table, hence the superuser for the
 * analysis: it resolves names and runs nothing.  Rewriting and planning are his again.
 */
static Query *
analyse(const AuthzWrite *write, const char *text, Oid view_owner)
{
	Oid			types[2 * MaxHeapAttributeNumber];
	Query	   *query;
	List	   *rewritten;
	Oid			user;
	int			context;
	int			level = authz_condition_enter_canonical();

	for (int i = 0; i < write->params->numParams; i++)
		types[i] = write->params->params[i].ptype;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	query = parse_analyze_fixedparams(linitial_node(RawStmt, raw_parser(text, RAW_PARSE_DEFAULT)), text,
									  types, write->params->numParams, NULL);
	SetUserIdAndSecContext(user, context);
	authz_condition_leave_canonical(level);

	setRuleCheckAsUser((Node *) query, view_owner);
	rewritten = QueryRewrite(query);
	if (list_length(rewritten) != 1 || linitial_node(Query, rewritten)->commandType != query->commandType)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write through a masked view to table %s, which has rules", write->table),
				 errhint("Make them triggers.")));
	return linitial_node(Query, rewritten);
}

/* A plan is good as long as this stands. */
static uint64
count_invalidations(void)
{
	return authz_policyset_invalidations() + other_invalidations;
}

/* Syscache callback: moves the counter only. */
static void
object_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	other_invalidations++;
}

static KeptPlan
describe(const AuthzWrite *write, Relation view, const AuthzStatement *statement)
{
	KeptPlan	result = {
		.viewid = RelationGetRelid(view),
		.user = GetUserId(),
		.has_returning = write->has_returning,
		.kind = statement->kind,
		.set = statement->set,
		.key = write->key,
		.signature = statement->signature,
		.serial = statement->serial,
	};

	return result;
}

/* A plan that was kept; NULL if there is none for this. */
static const PlannedStmt *
find_kept(const KeptPlan *wanted)
{
	ListCell   *lc;

	if (kept_at != count_invalidations())
		return NULL;
	foreach(lc, kept)
	{
		KeptPlan   *found = lfirst(lc);

		if (found->viewid == wanted->viewid && found->user == wanted->user && found->kind == wanted->kind &&
			found->has_returning == wanted->has_returning && found->signature == wanted->signature &&
			found->serial == wanted->serial && bms_equal(found->set, wanted->set) && bms_equal(found->key, wanted->key))
			return found->plan;
	}
	return NULL;
}

static void
keep(const KeptPlan *plan)
{
	MemoryContext outer;
	KeptPlan   *copy;

	if (kept_at != count_invalidations() || list_length(kept) >= MAX_KEPT)
	{
		kept = NIL;
		if (kept_context)
			MemoryContextReset(kept_context);
		kept_at = count_invalidations();
	}
	if (kept_context == NULL)
		kept_context = AllocSetContextCreate(CacheMemoryContext, "authz view write plans", ALLOCSET_SMALL_SIZES);
	outer = MemoryContextSwitchTo(kept_context);
	copy = palloc_object(KeptPlan);
	*copy = *plan;
	copy->set = bms_copy(plan->set);
	copy->key = bms_copy(plan->key);
	copy->plan = copyObject(plan->plan);
	kept = lappend(kept, copy);
	MemoryContextSwitchTo(outer);
}

/* Lock what a plan uses, as the plan cache does; false if that brought news. */
static bool
lock_relations(const PlannedStmt *plan)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION)
			LockRelationOid(rte->relid, rte->rellockmode);
	}
	return kept_at == count_invalidations();
}

/* With row_security off the rewriter has to raise, each time. */
static PlannedStmt *
get_plan(const AuthzWrite *write, Relation view, const AuthzStatement *statement)
{
	KeptPlan	wanted = describe(write, view, statement);
	const PlannedStmt *found = row_security ? find_kept(&wanted) : NULL;
	uint64		before;
	PlannedStmt *plan = found ? copyObject(unconstify(PlannedStmt *, found)) : NULL;

	if (plan && lock_relations(plan))
		return plan;
	before = count_invalidations();
	plan = pg_plan_query(analyse(write, statement_text(write, statement->kind, statement->set), view->rd_rel->relowner),
						 "authz.write_masked_view", 0, NULL);
	wanted.plan = plan;
	if (before == count_invalidations())
		keep(&wanted);
	return plan;
}

const AuthzStatement *
authz_writeplan_get(AuthzWrite *write, Relation view, AuthzWriteKind kind, const Bitmapset *set)
{
	uint64		signature = authz_maintenance_sign(authz_identity_get()->signature);
	uint64		serial = authz_policyset_serial(authz_policyset_get(write->view.relid));
	MemoryContext context;
	MemoryContext outer;
	AuthzStatement *statement;
	ListCell   *lc;

	foreach(lc, write->statements)
	{
		statement = lfirst(lc);
		if (statement->kind != kind || !bms_equal(statement->set, set))
			continue;
		if (statement->signature == signature && statement->serial == serial)
			return statement;
		write->statements = foreach_delete_current(write->statements, lc);
		MemoryContextDelete(statement->context);
	}

	context = AllocSetContextCreate(write->context, "authz view write", ALLOCSET_SMALL_SIZES);
	outer = MemoryContextSwitchTo(context);
	statement = palloc0_object(AuthzStatement);
	statement->context = context;
	statement->kind = kind;
	statement->set = bms_copy(set);
	statement->signature = signature;
	statement->serial = serial;
	statement->plan = get_plan(write, view, statement);
	MemoryContextSwitchTo(write->context);
	write->statements = lappend(write->statements, statement);
	MemoryContextSwitchTo(outer);
	return statement;
}

void
authz_writeplan_init(void)
{
	static const int caches[] = {PROCOID, OPEROID, TYPEOID, NAMESPACEOID, AUTHOID};

	for (int i = 0; i < lengthof(caches); i++)
		CacheRegisterSyscacheCallback(caches[i], object_changed, (Datum) 0);
}
