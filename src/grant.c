/*-------------------------------------------------------------------------
 * grant.c
 *	  Which tables a GRANT names, for sql/grant.sql: SQL gets no OIDs of a GRANT from
 *	  pg_event_trigger_ddl_commands().
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "tcop/deparse_utility.h"
#include "utils/acl.h"
#include "utils/aclchk_internal.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* Does it let columns be read? */
static bool
grants_select(const InternalGrant *grant)
{
	ListCell   *lc;

	if (grant->all_privs || (grant->privileges & ACL_SELECT) != 0)
		return true;
	foreach(lc, grant->col_privs)
	{
		const AccessPriv *privilege = lfirst_node(AccessPriv, lc);

		if (privilege->priv_name == NULL || strcmp(privilege->priv_name, "select") == 0)
			return true;
	}
	return false;
}

static ArrayType *
oid_array(const List *oids)
{
	Datum	   *items = palloc(sizeof(Datum) * (list_length(oids) + 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, oids)
		items[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return construct_array(items, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
}

/* The command's grant of SELECT on tables or columns, or NULL if it is something else. */
static const InternalGrant *
select_grant(const CollectedCommand *command)
{
	const InternalGrant *grant;

	if (command->type != SCT_Grant)
		return NULL;
	grant = command->d.grant.istmt;
	return grant->is_grant && grant->objtype == OBJECT_TABLE && grants_select(grant) ? grant : NULL;
}

PG_FUNCTION_INFO_V1(authz_granted_tables);

/* granted_tables(command pg_ddl_command) -> oid[]: tables of which the command grants something to read, or NULL. */
Datum
authz_granted_tables(PG_FUNCTION_ARGS)
{
	const InternalGrant *grant = select_grant((CollectedCommand *) PG_GETARG_POINTER(0));

	if (grant == NULL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(oid_array(grant->objects));
}

PG_FUNCTION_INFO_V1(authz_granted_roles);

/* granted_roles(command pg_ddl_command) -> oid[]: to whom; 0 is PUBLIC. */
Datum
authz_granted_roles(PG_FUNCTION_ARGS)
{
	const InternalGrant *grant = select_grant((CollectedCommand *) PG_GETARG_POINTER(0));

	if (grant == NULL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(oid_array(grant->grantees));
}
