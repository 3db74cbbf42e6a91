/*-------------------------------------------------------------------------
 * columns.c
 *	  Permits of columns add up, as SQL's column privileges do.
 *
 * Each column that a statement sets needs, by itself, a permit that covers it
 * and holds.  So the permits make one group for each column, and of each group
 * one has to hold.  A group that contains another one adds nothing and is left
 * out: what remains is mostly a single group, as if there were no columns.
 *
 * inline.c writes groups into a plan, evaluate.c counts them for a row.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "columns.h"
#include "denial.h"

/* Add a group unless it contains one that is there; take out those that contain it. */
static List *
add_group(List *groups, Bitmapset *group)
{
	ListCell   *lc;

	foreach(lc, groups)
	{
		if (bms_is_subset(lfirst(lc), group))
			return groups;
		if (bms_is_subset(group, lfirst(lc)))
			groups = foreach_delete_current(groups, lc);
	}
	return lappend(groups, group);
}

/* The permits that cover a column; all if it is 0, which no column is offset to. */
static Bitmapset *
covering(const List *rules, int column)
{
	Bitmapset  *group = NULL;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, rules)
	{
		const AuthzRule *rule = lfirst(lc);

		if (rule->effect == AUTHZ_PERMIT &&
			(column == 0 || rule->columns == NULL || bms_is_member(column, rule->columns)))
			group = bms_add_member(group, n);
		n++;
	}
	return group;
}

List *
authz_columns_groups(const List *rules, const Bitmapset *columns)
{
	List	   *groups = NIL;
	int			column = -1;

	while ((column = bms_next_member(columns, column)) >= 0)
		groups = add_group(groups, covering(rules, column));
	return groups ? groups : list_make1(covering(rules, 0));
}

Node *
authz_columns_denied(AuthzAction action, Oid relid, AttrNumber column)
{
	Oid			types[3] = {TEXTOID, OIDOID, NAMEOID};
	Oid			denied = LookupFuncName(list_make2(makeString("authz"), makeString("denied_column")), 3, types, false);
	NameData   *name = palloc0_object(NameData);
	List	   *args;

	namestrcpy(name, get_attname(relid, column, false));
	args = list_make3(makeConst(TEXTOID, -1, InvalidOid, -1,
								CStringGetTextDatum(action == AUTHZ_ACTION_INSERT ? "insert" : "update"), false, false),
					  makeConst(OIDOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(relid), false, true),
					  makeConst(NAMEOID, -1, InvalidOid, NAMEDATALEN, NameGetDatum(name), false, false));
	return (Node *) makeFuncExpr(denied, BOOLOID, args, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

bool
authz_columns_is_denied(Node *node)
{
	return IsA(node, FuncExpr) && list_length(((FuncExpr *) node)->args) == 3 &&
		authz_catalog_is_function(((FuncExpr *) node)->funcid, "denied_column");
}

void
authz_columns_refuse(AuthzAction action, Oid relid, const char *column, const char *detail)
{
	bool		is_insert = action == AUTHZ_ACTION_INSERT;
	const char *table = get_rel_name(relid);

	authz_denial_record(&(AuthzDenial) {AUTHZ_DENIAL_WRITE, is_insert ? "insert" : "update", relid,
										"no policy permits the columns that change"});
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 is_insert ?
			 errmsg("permission denied to insert into column \"%s\" of table \"%s\"", column, table ? table : "") :
			 errmsg("permission denied to update column \"%s\" of table \"%s\"", column, table ? table : ""),
			 errdetail("%s", detail),
			 is_insert ?
			 errhint("authz.identity() shows the identity; the table's policies for insert and their columns decide.") :
			 errhint("authz.identity() shows the identity; the table's policies for update and their columns decide.")));
}

PG_FUNCTION_INFO_V1(authz_denied_column);

/* denied_column(action text, relation oid, column_name name) -> boolean: refuses to set it */
Datum
authz_denied_column(PG_FUNCTION_ARGS)
{
	authz_columns_refuse(authz_policyset_action(text_to_cstring(PG_GETARG_TEXT_PP(0))), PG_GETARG_OID(1),
						 NameStr(*PG_GETARG_NAME(2)), "No policy permits this identity to set it.");
	PG_RETURN_BOOL(false);
}
