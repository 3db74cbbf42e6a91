/*-------------------------------------------------------------------------
 * masked_view.c
 *	  Making, changing and dropping masked views, and reading their form.
 *
 * A masked view must not be its maker's: one that a superuser owns is not
 * filtered, and an owner could take the masks out of it.  So it belongs to a
 * role of its own, which nobody is a member of.  The functions here check that
 * the caller owns the table, then have SQL functions that nobody else may
 * execute do the rest as the superuser (sql/masked_view.sql).
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "masked.h"
#include "masked_view.h"

/* Is it SELECT masked(...), ... FROM <one table> and nothing else? */
static bool
read_query(Query *query, AuthzMaskedView *result)
{
	RangeTblRef *from;
	ListCell   *lc;

	/* OLD and NEW stand in the range table too. */
	if (list_length(query->jointree->fromlist) != 1 || !IsA(linitial(query->jointree->fromlist), RangeTblRef) ||
		query->jointree->quals || query->distinctClause || query->groupClause || query->groupingSets ||
		query->havingQual || query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs ||
		query->hasSubLinks || query->cteList || query->limitCount || query->limitOffset || query->setOperations)
		return false;
	from = linitial(query->jointree->fromlist);
	if (rt_fetch(from->rtindex, query->rtable)->rtekind != RTE_RELATION)
		return false;
	result->relid = rt_fetch(from->rtindex, query->rtable)->relid;
	result->ncolumns = 0;
	result->columns = palloc_array(AttrNumber, Max(list_length(query->targetList), 1));
	foreach(lc, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);
		Var		   *column = authz_masked_column((Node *) target->expr);

		if (target->resjunk || column == NULL || column->varno != from->rtindex || column->varlevelsup != 0)
			return false;
		result->columns[result->ncolumns++] = column->varattno;
	}
	return true;
}

bool
authz_masked_view_read(Relation view, AuthzMaskedView *result)
{
	return view->rd_rel->relkind == RELKIND_VIEW && !RelationHasSecurityInvoker(view) &&
		view->rd_rel->relowner == get_role_oid(AUTHZ_MASKED_VIEW_OWNER, true) &&
		read_query(get_view_query(view), result);
}

/* The same for an OID; false if there is no such relation either. */
static bool
read_view(Oid viewid, AuthzMaskedView *result)
{
	Relation	view = try_relation_open(viewid, AccessShareLock);
	bool		found;

	if (view == NULL)
		return false;
	found = authz_masked_view_read(view, result);
	relation_close(view, AccessShareLock);
	return found;
}

PG_FUNCTION_INFO_V1(authz_masked_view_table);

/* masked_view_table(view oid) -> regclass: the table that a masked view shows; NULL if it is none */
Datum
authz_masked_view_table(PG_FUNCTION_ARGS)
{
	AuthzMaskedView view;

	if (!read_view(PG_GETARG_OID(0), &view))
		PG_RETURN_NULL();
	PG_RETURN_OID(view.relid);
}

PG_FUNCTION_INFO_V1(authz_masked_view_columns);

/* masked_view_columns(view oid) -> name[]: the table's names of its columns, in the view's order; NULL as above */
Datum
authz_masked_view_columns(PG_FUNCTION_ARGS)
{
	AuthzMaskedView view;
	Datum	   *names;

	if (!read_view(PG_GETARG_OID(0), &view))
		PG_RETURN_NULL();
	names = palloc_array(Datum, Max(view.ncolumns, 1));
	for (int i = 0; i < view.ncolumns; i++)
		names[i] = DirectFunctionCall1(namein, CStringGetDatum(get_attname(view.relid, view.columns[i], false)));
	PG_RETURN_ARRAYTYPE_P(construct_array(names, view.ncolumns, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

/* The default that the table gives a column, as a tree over nothing; NULL if it has none. */
static Node *
column_default(Relation table, AttrNumber column)
{
	Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), column - 1);
	TupleConstr *constraints = RelationGetDescr(table)->constr;

	if (!attribute->atthasdef || attribute->attgenerated)
		return NULL;
	for (int i = 0; i < constraints->num_defval; i++)
	{
		if (constraints->defval[i].adnum == column)
			return stringToNode(constraints->defval[i].adbin);
	}
	return NULL;
}

PG_FUNCTION_INFO_V1(authz_copy_defaults);

/*
 * copy_defaults(view oid) -> void: a masked view's columns get the table's
 * defaults.  As trees: reading their text again, as the superuser, would run
 * the input functions of its literals, which may be a domain's CHECK.
 */
Datum
authz_copy_defaults(PG_FUNCTION_ARGS)
{
	Relation	view = relation_open(PG_GETARG_OID(0), AccessExclusiveLock);
	AuthzMaskedView shown;
	Relation	table;

	if (!authz_masked_view_read(view, &shown))
		elog(ERROR, "relation %u is not a masked view", RelationGetRelid(view));
	table = relation_open(shown.relid, AccessShareLock);
	for (int i = 0; i < shown.ncolumns; i++)
	{
		Node	   *expression = column_default(table, shown.columns[i]);

		RemoveAttrDefault(RelationGetRelid(view), i + 1, DROP_RESTRICT, false, true);
		if (expression)
			(void) StoreAttrDefault(view, i + 1, expression, true, false);
	}
	relation_close(table, NoLock);
	relation_close(view, NoLock);
	PG_RETURN_VOID();
}

static void
require_table_owner(Oid relid)
{
	if (!pg_class_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/* Run one of the extension's own SQL functions as the superuser; its result, or 0 for void and NULL. */
static Datum
call_as_superuser(const char *command, int nargs, Oid *types, Datum *values, const char *nulls)
{
	Datum		result = (Datum) 0;
	bool		isnull;
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	if (SPI_execute_with_args(command, nargs, types, values, nulls, false, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not run \"%s\"", command);
	if (SPI_gettypeid(SPI_tuptable->tupdesc, 1) == REGCLASSOID)
		result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	return result;
}

static void
refuse_null(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s must not be null", what)));
}

PG_FUNCTION_INFO_V1(authz_create_masked_view);

/* create_masked_view(on_table regclass, view text, columns name[]) -> regclass */
Datum
authz_create_masked_view(PG_FUNCTION_ARGS)
{
	Oid			types[] = {REGCLASSOID, OIDOID, NAMEOID, NAMEARRAYOID};
	Datum		values[4];
	char		nulls[4] = {' ', ' ', ' ', ' '};
	RangeVar   *name;
	Oid			schema;
	AclResult	aclresult;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		refuse_null(PG_ARGISNULL(0) ? "table" : "view");
	require_table_owner(PG_GETARG_OID(0));
	name = makeRangeVarFromNameList(stringToQualifiedNameList(text_to_cstring(PG_GETARG_TEXT_PP(1))));
	schema = RangeVarGetCreationNamespace(name);
	aclresult = pg_namespace_aclcheck(schema, GetUserId(), ACL_CREATE);
	if (aclresult != ACLCHECK_OK)
		aclcheck_error(aclresult, OBJECT_SCHEMA, get_namespace_name(schema));

	values[0] = PG_GETARG_DATUM(0);
	values[1] = ObjectIdGetDatum(schema);
	values[2] = DirectFunctionCall1(namein, CStringGetDatum(name->relname));
	values[3] = PG_GETARG_DATUM(2);
	nulls[3] = PG_ARGISNULL(2) ? 'n' : ' ';
	PG_RETURN_DATUM(call_as_superuser("SELECT authz.make_masked_view($1, $2, $3, $4)", 4, types, values, nulls));
}

/* The masked view that is argument 0, of a table of the caller's. */
static void
require_view(FunctionCallInfo fcinfo)
{
	AuthzMaskedView view;

	if (PG_ARGISNULL(0))
		refuse_null("view");
	if (!read_view(PG_GETARG_OID(0), &view))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a masked view",
						get_rel_name(PG_GETARG_OID(0)) ? get_rel_name(PG_GETARG_OID(0)) : ""),
				 errhint("authz.masked_view_status() lists them.")));
	require_table_owner(view.relid);
}

PG_FUNCTION_INFO_V1(authz_alter_masked_view);

/* alter_masked_view(view regclass, columns name[]) -> void */
Datum
authz_alter_masked_view(PG_FUNCTION_ARGS)
{
	Oid			types[] = {REGCLASSOID, NAMEARRAYOID};
	Datum		values[2];
	char		nulls[2] = {' ', ' '};

	require_view(fcinfo);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	nulls[1] = PG_ARGISNULL(1) ? 'n' : ' ';
	(void) call_as_superuser("SELECT authz.extend_masked_view($1, $2)", 2, types, values, nulls);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(authz_drop_masked_view);

/* drop_masked_view(view regclass) -> void */
Datum
authz_drop_masked_view(PG_FUNCTION_ARGS)
{
	Oid			type = REGCLASSOID;
	Datum		value;

	require_view(fcinfo);
	value = PG_GETARG_DATUM(0);
	(void) call_as_superuser("SELECT authz.remove_masked_view($1)", 1, &type, &value, NULL);
	PG_RETURN_VOID();
}
