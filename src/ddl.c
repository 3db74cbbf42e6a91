/*-------------------------------------------------------------------------
 * ddl.c
 *	  What event triggers have to know of DDL that only C can see; sql/ddl.sql has
 *	  the rest.
 *
 * A generated column is masked as the columns that it is computed from are.
 * Afterwards nobody can tell that a column was generated.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/namespace.h"
#include "commands/event_trigger.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "tcop/deparse_utility.h"
#include "utils/lsyscache.h"

#include "masking.h"

/* Raise for ALTER COLUMN ... DROP EXPRESSION of a column that is masked because its sources are. */
static void
refuse_drop_expression(const AlterTableStmt *statement)
{
	ListCell   *lc;

	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, lc);
		Oid			relid;
		AttrNumber	column;

		if (command->subtype != AT_DropExpression)
			continue;
		relid = RangeVarGetRelid(statement->relation, NoLock, true);
		column = OidIsValid(relid) ? get_attnum(relid, command->name) : InvalidAttrNumber;
		if (column > 0 && authz_masking_is_computed(relid, column))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("column \"%s\" of table \"%s\" is computed from columns with masks",
							command->name, get_rel_name(relid)),
					 errdetail("Without its expression it would be shown to everybody."),
					 errhint("Drop the column, or the masks first, and mask it afterwards.")));
	}
}

PG_FUNCTION_INFO_V1(authz_before_ddl);

/* Event trigger on ddl_command_start. */
Datum
authz_before_ddl(PG_FUNCTION_ARGS)
{
	EventTriggerData *trigger = (EventTriggerData *) fcinfo->context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("authz.before_ddl is an event trigger function")));
	if (IsA(trigger->parsetree, AlterTableStmt))
		refuse_drop_expression((AlterTableStmt *) trigger->parsetree);
	PG_RETURN_NULL();
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
