/*-------------------------------------------------------------------------
 * clause.c
 *	  What a policy and a mask have in common: for whom, when, and texts over
 *	  the row of a relation.
 *
 * What cannot be read is an error that names the clause and not its reason:
 * the reason may hold a constant of the text.  It goes to the server log.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "clause.h"
#include "condition.h"
#include "masktext.h"
#include "settings.h"

void
authz_clause_refuse(const char *name, Oid relid, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s on table \"%s\" is not valid, access denied", name, get_rel_name(relid)),
			 errdetail_log("%s", why),
			 errhint("Correct or drop it.")));
}

/*
 * It names other objects than those that it was stored with.  pg_upgrade keeps
 * the OIDs of tables, types and roles, but of nothing else.
 */
static void
refuse_objects(const char *name, Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s on table \"%s\" is not valid, access denied", name, get_rel_name(relid)),
			 errdetail_log("It names other objects than when it was stored."),
			 errhint("Correct or drop it. After pg_upgrade, an administrator of authz calls authz.after_upgrade().")));
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

void
authz_clause_read(AuthzClause *clause, const char *name, Oid relid, AuthzScan *scan,
				  HeapTuple tuple, const AuthzClauseColumns *columns)
{
	bool		isnull;
	Datum		value;

	clause->name = name;
	clause->roles = authz_catalog_get_text_array(scan, tuple, columns->roles, &clause->nroles);
	if (clause->roles == NULL)
		authz_clause_refuse(name, relid, "Its roles are missing.");
	value = authz_catalog_get(scan, tuple, columns->valid_during, &isnull);
	if (isnull)
		authz_clause_refuse(name, relid, "Its validity is missing.");
	clause->valid_during = DatumGetRangeTypePCopy(value);
	value = authz_catalog_get(scan, tuple, columns->depends_on, &isnull);
	clause->objects = isnull ? NIL : read_objects(DatumGetArrayTypeP(value));
	clause->reads_settings = authz_catalog_get_text(scan, tuple, columns->reads_settings) != NULL;
}

bool
authz_clause_has_role(const AuthzClause *clause, const AuthzIdentity *identity)
{
	for (int i = 0; i < clause->nroles; i++)
	{
		if (clause->roles[i] &&
			authz_identity_has_role(identity, clause->roles[i], strlen(clause->roles[i])))
			return true;
	}
	return false;
}

bool
authz_clause_is_public(const AuthzClause *clause)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	lower,
				upper;
	bool		empty;

	range_deserialize(type, clause->valid_during, &lower, &upper, &empty);
	if (empty || !lower.infinite || !upper.infinite)
		return false;
	for (int i = 0; i < clause->nroles; i++)
	{
		if (clause->roles[i] && strcmp(clause->roles[i], "*") == 0)
			return true;
	}
	return false;
}

bool
authz_clause_ended(const AuthzClause *clause, Node **test)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	TimestampTz now = GetCurrentStatementStartTimestamp();
	RangeBound	lower,
				upper;
	bool		empty;
	Expr	   *range;
	Expr	   *clock;

	*test = NULL;
	range_deserialize(type, clause->valid_during, &lower, &upper, &empty);
	if (empty || (!upper.infinite && DatumGetTimestampTz(upper.val) < now))
		return true;
	if (upper.infinite && (lower.infinite || DatumGetTimestampTz(lower.val) < now))
		return false;

	range = (Expr *) makeConst(TSTZRANGEOID, -1, InvalidOid, -1,
							   RangeTypePGetDatum(clause->valid_during), false, false);
	clock = (Expr *) makeFuncExpr(F_STATEMENT_TIMESTAMP, TIMESTAMPTZOID, NIL, InvalidOid, InvalidOid,
								  COERCE_EXPLICIT_CALL);
	*test = (Node *) makeFuncExpr(F_ELEM_CONTAINED_BY_RANGE, BOOLOID, list_make2(clock, range),
								  InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	return false;
}

bool
authz_clause_is_transient(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION);
}

static Node *
parse_text(const AuthzClauseText *text, const char *name)
{
	MemoryContext caller = CurrentMemoryContext;
	Relation	relation = table_open(text->relid, AccessShareLock);
	int			level = authz_condition_enter_canonical();
	Node	   *tree = NULL;

	PG_TRY();
	{
		if (text->column == InvalidAttrNumber)
			tree = authz_condition_parse(relation, text->owner, text->text);
		else
			tree = authz_masktext_parse(relation, text->owner, text->column, text->text);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (authz_clause_is_transient(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		authz_clause_refuse(name, text->logical, error->message);
	}
	PG_END_TRY();

	authz_condition_leave_canonical(level);
	table_close(relation, AccessShareLock);
	return tree;
}

/* It was refused when it was stored, unless that was before the list of functions or past the triggers. */
static void
refuse_settings(Node *tree, const char *name, Oid logical)
{
	AuthzSettings settings = authz_settings_find(tree);

	if (settings.reads)
		authz_clause_refuse(name, logical, psprintf("In it %s.", settings.reads));
}

Node *
authz_clause_parse(const AuthzClause *clause, const AuthzClauseText *text)
{
	/* Parsing may run code that has the clause read anew, and freed. */
	const char *name = pstrdup(clause->name);
	List	   *objects = list_copy(clause->objects);
	bool		reads_settings = clause->reads_settings;
	Node	   *tree = parse_text(text, name);
	ListCell   *lc;

	/* The text is read by name; a function made later may fit a call better than the one that was meant. */
	foreach(lc, authz_condition_objects(tree))
	{
		if (!list_member_oid(objects, lfirst_oid(lc)))
			refuse_objects(name, text->logical);
	}
	if (!reads_settings)
		refuse_settings(tree, name, text->logical);
	return tree;
}
