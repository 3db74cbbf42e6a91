/*-------------------------------------------------------------------------
 * maintenance.c
 *	  An owner at maintenance: until the end of the transaction or savepoint, row
 *	  security does not filter them on the tables that they own.
 *
 * For migrations and jobs.  Applications often own their tables, and this must
 * not become their way round the policies.  So a superuser has to allow it first
 * (authz.allow_maintenance, off by default), no identity may be in force, and no
 * function with somebody else's rights may call it.
 *
 * Which role is at maintenance is the value of a setting, authz.maintenance: that
 * gives savepoints, the end of the transaction and parallel workers for nothing.
 * Its check hook lets only this file set it.  It counts for statements of just
 * that database role: a function with another owner's rights is filtered as ever.
 * Plans are marked with it (authz_maintenance_sign), so none of them is used
 * before, after or by anybody else.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/parallel.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "denial.h"
#include "guard.h"
#include "guc.h"
#include "maintenance.h"

static char *setting;			/* authz.maintenance, kept by guc.c: digits of an OID, or empty */
static Oid	role_at_maintenance = InvalidOid;
static bool setting_now = false;	/* the check hook is called by this file */

uint64
authz_maintenance_sign(uint64 signature)
{
	if (!OidIsValid(role_at_maintenance) || role_at_maintenance != GetUserId())
		return signature;
	return hash_combine64(signature, role_at_maintenance);
}

/* Is the table the present role's, read under their own rights and not through a view of somebody else's? */
static bool
is_own(Oid relid, Oid check_as_user)
{
	return (!OidIsValid(check_as_user) || check_as_user == GetUserId()) && authz_catalog_owner(relid) == GetUserId();
}

bool
authz_maintenance_covers(const AuthzIdentity *identity, Oid relid, Oid owner, Oid check_as_user)
{
	return OidIsValid(role_at_maintenance) && role_at_maintenance == GetUserId() &&
		owner == role_at_maintenance && identity->kind == AUTHZ_IDENTITY_ANONYMOUS && is_own(relid, check_as_user);
}

void
authz_maintenance_warn(const AuthzIdentity *identity, Oid relid, Oid check_as_user)
{
	static bool warned = false;

	if (warned || identity->kind != AUTHZ_IDENTITY_ANONYMOUS || !is_own(relid, check_as_user))
		return;
	warned = true;
	ereport(WARNING,
			(errmsg("policies hide every row of table \"%s\" from its owner", get_rel_name(relid)),
			 errdetail("Nobody is logged in, and no policy permits anything without an identity. "
					   "This is said once in a session."),
			 errhint("For a migration or a job, call authz.maintenance(reason) in the same transaction.")));
}

static bool
check_setting(char **newval, void **extra, GucSource source)
{
	if (setting_now || InitializingParallelWorker || (source == PGC_S_DEFAULT && (*newval)[0] == '\0'))
		return true;
	GUC_check_errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM);
	GUC_check_errmsg("authz.maintenance is not for setting");
	GUC_check_errhint("Call the function authz.maintenance(reason).");
	return false;
}

static void
assign_setting(const char *newval, void *extra)
{
	Oid			role = newval ? (Oid) strtoul(newval, NULL, 10) : InvalidOid;

	if (role == role_at_maintenance)
		return;
	role_at_maintenance = role;
	authz_guard_rights_changed();
}

/* Raises if the call is not for this session, or not from here. */
static void
check_call(void)
{
	Oid			user;
	int			context;

	if (!authz_allow_maintenance)
	{
		authz_denial_record(&(AuthzDenial) {AUTHZ_DENIAL_MAINTENANCE, "refuse", InvalidOid, "not allowed to this login"});
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for authz.maintenance"),
				 errhint("A superuser allows it to a login with ALTER ROLE ... SET authz.allow_maintenance = on.")));
	}
	GetUserIdAndSecContext(&user, &context);
	if (context & (SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("authz.maintenance cannot be called in a function with somebody else's rights"),
				 errhint("Call it outside of functions that are SECURITY DEFINER.")));
	if (authz_identity_get()->kind != AUTHZ_IDENTITY_ANONYMOUS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("authz.maintenance cannot be called while an identity is in force"),
				 errhint("Call authz.logout() first; a login that is mapped to a subject is not for maintenance.")));
}

PG_FUNCTION_INFO_V1(authz_maintenance);

/*
 * maintenance(reason text) -> void: until the end of the transaction or savepoint
 * policies do not filter the current database role on the tables that it owns.
 */
Datum
authz_maintenance(PG_FUNCTION_ARGS)
{
	char	   *reason = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char		value[16];

	check_call();
	if (strspn(reason, " \t\r\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("authz.maintenance needs a reason"),
				 errhint("Say for whoever reads the log why policies were not applied.")));

	authz_denial_record(&(AuthzDenial) {AUTHZ_DENIAL_MAINTENANCE, "begin", InvalidOid,
										psprintf("as %s: %s", GetUserNameFromId(GetUserId(), false), reason)});
	snprintf(value, sizeof(value), "%u", GetUserId());
	setting_now = true;
	PG_TRY();
	{
		(void) set_config_option("authz.maintenance", value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	}
	PG_FINALLY();
	{
		setting_now = false;
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

void
authz_maintenance_init(void)
{
	DefineCustomStringVariable("authz.maintenance",
							   "OID of the database role that policies do not filter on its own tables.",
							   "Only the function authz.maintenance sets it, for the transaction at hand.",
							   &setting,
							   "",
							   PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_setting,
							   assign_setting,
							   NULL);
}
