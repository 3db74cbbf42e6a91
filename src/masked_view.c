/*-------------------------------------------------------------------------
 * masked_view.c
 *	  The form of a masked view, and what tells its rows apart.
 *	  sql/masked_view.sql makes them.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog.h"
#include "masked_view.h"
#include "masking.h"

Var *
authz_masked_view_column(Node *call)
{
	Var		   *column;
	Var		   *tableoid;

	if (!IsA(call, FuncExpr) || list_length(((FuncExpr *) call)->args) != 3 ||
		!IsA(linitial(((FuncExpr *) call)->args), Var) || !IsA(lthird(((FuncExpr *) call)->args), Var))
		return NULL;
	column = linitial(((FuncExpr *) call)->args);
	tableoid = lthird(((FuncExpr *) call)->args);
	if (column->varattno <= 0 || tableoid->varattno != TableOidAttributeNumber ||
		column->varno != tableoid->varno || column->varlevelsup != tableoid->varlevelsup ||
		!authz_catalog_is_function(((FuncExpr *) call)->funcid, "masked"))
		return NULL;
	return column;
}

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
		Var		   *column = authz_masked_view_column((Node *) target->expr);

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

PG_FUNCTION_INFO_V1(authz_masked_view_names);

/*
 * masked_view_names(view oid) -> name[]: the same columns by the names in the
 * calls of masked, which are those that they had when the view was written
 */
Datum
authz_masked_view_names(PG_FUNCTION_ARGS)
{
	Relation	view = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	AuthzMaskedView shown;
	Datum	   *names;
	ListCell   *lc;
	int			n = 0;

	if (view == NULL)
		PG_RETURN_NULL();
	if (!authz_masked_view_read(view, &shown))
	{
		relation_close(view, AccessShareLock);
		PG_RETURN_NULL();
	}
	names = palloc_array(Datum, Max(shown.ncolumns, 1));
	foreach(lc, get_view_query(view)->targetList)
	{
		FuncExpr   *call = castNode(FuncExpr, lfirst_node(TargetEntry, lc)->expr);
		Const	   *name = lsecond(call->args);
		bool		is_name = IsA(name, Const) && name->consttype == TEXTOID && !name->constisnull;

		names[n++] = DirectFunctionCall1(namein, CStringGetDatum(is_name ? TextDatumGetCString(name->constvalue) : ""));
	}
	relation_close(view, AccessShareLock);
	PG_RETURN_ARRAYTYPE_P(construct_array(names, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

void
authz_masked_view_check_owner(Oid relid, Oid view_owner)
{
	if (has_bypassrls_privilege(view_owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("masked view of table \"%s\" belongs to a role that bypasses row security",
						get_rel_name(relid)),
				 errdetail("Its rows would not be filtered."),
				 errhint("authz.create_masked_view makes one that belongs to the right role.")));
	/* It may read all tables of superusers that have masked views; others' row security must not have that right. */
	if (view_owner == get_role_oid("authz_view", true) && !superuser_arg(authz_catalog_owner(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("masked view of table \"%s\" belongs to role authz_view, but the table to no superuser",
						get_rel_name(relid)),
				 errhint("Let the owner of the table own the view.")));
}

/* The position of a table's column in the view, or -1. */
static int
position_in_view(const AuthzMaskedView *view, AttrNumber column)
{
	for (int i = 0; i < view->ncolumns; i++)
	{
		if (view->columns[i] == column)
			return i;
	}
	return -1;
}

/* The columns of an index if they tell a row of the view apart: known, never NULL, and as they are. */
static Bitmapset *
key_of_index(const AuthzMaskedView *view, Relation table, Form_pg_index index)
{
	Bitmapset  *key = NULL;

	for (int i = 0; i < index->indnkeyatts; i++)
	{
		AttrNumber	column = index->indkey.values[i];
		int			position = column > 0 ? position_in_view(view, column) : -1;

		if (position < 0 || !TupleDescAttr(RelationGetDescr(table), column - 1)->attnotnull ||
			!authz_masking_is_clear(view->relid, column))
			return NULL;
		key = bms_add_member(key, position);
	}
	return key;
}

/* Positions of the primary key, or else of a unique index, if it is known, never NULL and clear; else NULL. */
static Bitmapset *
find_key(const AuthzMaskedView *view)
{
	Relation	table = relation_open(view->relid, AccessShareLock);
	Bitmapset  *key = NULL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(table))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);

		if (index->indisunique && index->indimmediate && index->indisvalid && (key == NULL || index->indisprimary) &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL) && heap_attisnull(tuple, Anum_pg_index_indexprs, NULL))
		{
			Bitmapset  *found = key_of_index(view, table, index);

			key = found ? found : key;
		}
		ReleaseSysCache(tuple);
	}
	relation_close(table, AccessShareLock);
	return key;
}

Bitmapset *
authz_masked_view_require_key(const AuthzMaskedView *view, const char *name)
{
	Bitmapset  *key = find_key(view);

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of view \"%s\" cannot be told apart to be written", name),
				 errdetail("It would need a primary key, or a unique index on columns that are NOT NULL, not deferrable, "
						   "that the view has and this identity sees unmasked in every row.")));
	return key;
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
 * defaults.  As trees: reading their text again would run the input functions
 * of its literals, which may be a domain's CHECK, as the caller.
 */
Datum
authz_copy_defaults(PG_FUNCTION_ARGS)
{
	Relation	view = relation_open(PG_GETARG_OID(0), AccessExclusiveLock);
	AuthzMaskedView shown;
	Relation	table;

	if (!pg_class_ownercheck(RelationGetRelid(view), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(view->rd_rel->relkind), RelationGetRelationName(view));
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
