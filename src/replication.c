/*-------------------------------------------------------------------------
 * replication.c
 *	  What logical replication brings for the extension's own tables.
 *
 * Policies name tables by OID and records are sealed in the database that made
 * them: both mean nothing elsewhere.  So their tables take nothing from a
 * publication, whoever made it FOR ALL TABLES.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "replication/logicalworker.h"
#include "utils/rel.h"

#include "trigger.h"

PG_FUNCTION_INFO_V1(authz_ignore_replication);

/* BEFORE trigger of each row and of TRUNCATE on the extension's tables, ENABLE ALWAYS. */
Datum
authz_ignore_replication(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = authz_trigger_data(fcinfo, "ignore_replication");
	static bool told = false;

	if (!IsLogicalWorker())
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple);

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("logical replication must not truncate table \"%s\" of schema authz",
						RelationGetRelationName(trigger->tg_relation)),
				 errhint("Leave the tables of schema authz out of the publication: name its schemas with FOR TABLES IN SCHEMA.")));
	if (!told)
		ereport(WARNING,
				(errmsg("rows that logical replication brings for tables of schema authz are ignored"),
				 errdetail("The first was for table \"%s\".", RelationGetRelationName(trigger->tg_relation)),
				 errhint("Leave them out of the publication: name its schemas with FOR TABLES IN SCHEMA.")));
	told = true;
	return PointerGetDatum(NULL);
}
