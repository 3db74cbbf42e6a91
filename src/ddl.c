/*-------------------------------------------------------------------------
 * ddl.c
 *	  DDL that would show what is masked, as it begins (sql/ddl.sql has the rest).
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
