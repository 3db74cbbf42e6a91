/*-------------------------------------------------------------------------
 * ddl.c
 *	  What event triggers have to know of DDL that only C can see; sql/ddl.sql has
 *	  the rest.
 *
 * Before a command: which objects it renames or moves (rename.c holds what names
 * them), and what it would do that nobody can tell afterwards.  A generated
 * column is masked as the columns that it is computed from are; afterwards
 * nobody can tell that a column was generated.
 *
 * A name is resolved here under the lock that the command itself takes, after
 * the same check that the caller owns the table.  So the name cannot come to
 * mean another object before the command resolves it, and nobody can lock what
 * is not theirs.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "tcop/deparse_utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog.h"
#include "masking.h"
#include "rename.h"

/* The table of a command that locks it exclusively; InvalidOid if there is none.  Raises if it is not the caller's. */
static Oid
lock_table(const RangeVar *relation)
{
	return RangeVarGetRelidExtended(relation, AccessExclusiveLock, RVR_MISSING_OK, RangeVarCallbackOwnsRelation, NULL);
}

/* The table of a command with its children, if it is for them too. */
static List *
lock_tables(const RangeVar *relation)
{
	Oid			relid = lock_table(relation);

	if (!OidIsValid(relid))
		return NIL;
	return relation->inh ? find_all_inheritors(relid, AccessExclusiveLock, NULL) : list_make1_oid(relid);
}

/* Raise for ALTER COLUMN ... DROP EXPRESSION of a column that is masked because its sources are. */
static void
refuse_drop_expression(Oid relid, const char *name)
{
	AttrNumber	column = get_attnum(relid, name);

	if (column > 0 && authz_masking_is_computed(relid, column))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("column \"%s\" of table \"%s\" is computed from columns with masks",
						name, get_rel_name(relid)),
				 errdetail("Without its expression it would be shown to everybody."),
				 errhint("Drop the column, or the masks first, and mask it afterwards.")));
}

/* Raise for what core would refuse because a masked view shows the column; its hint would be CASCADE. */
static void
refuse_shown(Oid relid, const char *name)
{
	Oid			types[2] = {OIDOID, NAMEOID};
	Oid			function = LookupFuncName(list_make2(makeString("authz"), makeString("shown_by")), 2, types, true);
	NameData	column;
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo	flinfo;
	char	   *view;
	Datum		value;

	if (!OidIsValid(function) || get_attnum(relid, name) <= 0)
		return;
	namestrcpy(&column, name);
	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(relid);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = NameGetDatum(&column);
	fcinfo->args[1].isnull = false;
	value = FunctionCallInvoke(fcinfo);
	if (fcinfo->isnull)
		return;
	view = TextDatumGetCString(value);
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("masked view %s shows column \"%s\" of table \"%s\"", view, name, get_rel_name(relid)),
			 errhint("Take the column out of the view with authz.alter_masked_view, and put it back afterwards.")));
}

static void
check_alter_table(const AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		bool		shows_it = command->subtype == AT_AlterColumnType ||
			(command->subtype == AT_DropColumn && command->behavior == DROP_RESTRICT);
		ListCell   *table;

		if (!shows_it && command->subtype != AT_DropExpression)
			continue;
		foreach(table, lock_tables(statement->relation))
		{
			if (shows_it)
				refuse_shown(lfirst_oid(table), command->name);
			else
				refuse_drop_expression(lfirst_oid(table), command->name);
		}
	}
}

static Oid
find_type(List *names, bool missing_ok)
{
	return LookupTypeNameOid(NULL, makeTypeNameFromNameList(names), missing_ok);
}

/*
 * The object that a command renames or moves, locked as the command locks it;
 * InvalidOid if there is none, or of a kind that no condition can name.
 */
static Oid
find_object(ObjectType type, RangeVar *relation, Node *object)
{
	Relation	opened = NULL;

	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_SEQUENCE:
		case OBJECT_COLUMN:
		case OBJECT_ATTRIBUTE:
			return lock_table(relation);
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			return find_type(castNode(List, object), true);
		case OBJECT_EXTENSION:
			return get_extension_oid(strVal(object), true);
		case OBJECT_AGGREGATE:
		case OBJECT_COLLATION:
		case OBJECT_FUNCTION:
		case OBJECT_OPERATOR:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
		case OBJECT_TSCONFIGURATION:
		case OBJECT_TSDICTIONARY:
			return get_object_address(type, object, &opened, AccessExclusiveLock, true).objectId;
		default:
			return InvalidOid;
	}
}

/* The object that a statement gives another name, or holds one that gets another name. */
static Oid
find_renamed(Node *statement)
{
	if (IsA(statement, RenameStmt))
	{
		RenameStmt *rename = (RenameStmt *) statement;

		if (rename->renameType == OBJECT_SCHEMA)
			return get_namespace_oid(rename->subname, true);
		return find_object(rename->renameType, rename->relation, rename->object);
	}
	if (IsA(statement, AlterObjectSchemaStmt))
	{
		AlterObjectSchemaStmt *move = (AlterObjectSchemaStmt *) statement;

		return find_object(move->objectType, move->relation, move->object);
	}
	if (IsA(statement, AlterEnumStmt) && ((AlterEnumStmt *) statement)->oldVal)
		return find_type(((AlterEnumStmt *) statement)->typeName, true);
	return InvalidOid;
}

/* Afterwards nothing of the extension's would find anything; so not in sql/ddl.sql. */
static void
refuse_own_schema(Oid renamed)
{
	if (renamed == authz_catalog_schema() && pg_namespace_ownercheck(renamed, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("schema authz belongs to authz"),
				 errdetail("What the extension made stays as it made it.")));
}

PG_FUNCTION_INFO_V1(authz_before_ddl);

/* Event trigger on ddl_command_start. */
Datum
authz_before_ddl(PG_FUNCTION_ARGS)
{
	EventTriggerData *trigger = (EventTriggerData *) fcinfo->context;
	Oid			renamed;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("authz.before_ddl is an event trigger function")));
	if (IsA(trigger->parsetree, AlterTableStmt))
		check_alter_table((AlterTableStmt *) trigger->parsetree);
	renamed = find_renamed(trigger->parsetree);
	if (OidIsValid(renamed))
	{
		refuse_own_schema(renamed);
		authz_rename_hold(trigger->parsetree, list_make1_oid(renamed));
	}
	PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(authz_refuse_ddl);

/*
 * refuse_ddl(message, detail, hint text) -> void: raises
 * dependent_objects_still_exist.  Without context: where in our own code it was
 * found does not help anybody.
 */
Datum
authz_refuse_ddl(PG_FUNCTION_ARGS)
{
	char	   *message = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *detail = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *hint = text_to_cstring(PG_GETARG_TEXT_PP(2));

	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("%s", message), errdetail("%s", detail), errhint("%s", hint)));
}

PG_FUNCTION_INFO_V1(authz_in_own_script);

/* in_own_script() -> boolean: does CREATE or ALTER EXTENSION authz run its script? */
Datum
authz_in_own_script(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(creating_extension && CurrentExtensionObject == get_extension_oid("authz", true));
}

PG_FUNCTION_INFO_V1(authz_may_break);

/*
 * may_break(command pg_ddl_command) -> boolean: can the command break a condition?
 *
 * What changes no name and no type cannot.  To look at conditions all the same
 * would lock the tables that they read, and the workers of pg_restore -j, which
 * add constraints and enable row security, would wait for each other.
 */
Datum
authz_may_break(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	ListCell   *lc;

	if (command->type != SCT_AlterTable)
		PG_RETURN_BOOL(true);
	foreach(lc, command->d.alterTable.subcmds)
	{
		Node	   *part = ((CollectedATSubcmd *) lfirst(lc))->parsetree;

		if (!IsA(part, AlterTableCmd))
			PG_RETURN_BOOL(true);
		switch (((AlterTableCmd *) part)->subtype)
		{
			case AT_AddConstraint:
			case AT_AddIndex:
			case AT_AddIndexConstraint:
			case AT_SetNotNull:
			case AT_ClusterOn:
			case AT_ReplicaIdentity:
			case AT_EnableRowSecurity:
			case AT_DisableRowSecurity:
			case AT_ForceRowSecurity:
			case AT_NoForceRowSecurity:
				break;
			default:
				PG_RETURN_BOOL(true);
		}
	}
	PG_RETURN_BOOL(false);
}
