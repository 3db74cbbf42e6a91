/*-------------------------------------------------------------------------
 * guc.c
 *	  Parameters of the extension, alphabetical, but for authz.token, which
 *	  lives with its hooks in identity.c.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "guc.h"

bool		authz_allow_maintenance = false;
int			authz_audit_seal_interval = 60;
int			authz_denial_queue_full = AUTHZ_DENIAL_QUEUE_FULL_WAIT;
int			authz_denial_queue_size = 1024;
int			authz_identity_cache_size = 256;
int			authz_token_max_size = 16384;

static const struct config_enum_entry denial_queue_full_options[] = {
	{"wait", AUTHZ_DENIAL_QUEUE_FULL_WAIT, false},
	{"log", AUTHZ_DENIAL_QUEUE_FULL_LOG, false},
	{NULL, 0, false}
};

void
authz_guc_init(void)
{
	DefineCustomBoolVariable("authz.allow_maintenance",
							 "Allows a session to call authz.maintenance.",
							 "Policies then do not filter the session's database role on the tables that it owns, "
							 "for a transaction. Meant for ALTER ROLE ... SET, by a superuser, for logins that run migrations; "
							 "not for logins of applications.",
							 &authz_allow_maintenance,
							 false,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	/* Nothing seals otherwise. */
	if (process_shared_preload_libraries_in_progress)
		DefineCustomIntVariable("authz.audit_seal_interval",
								"Time between automatic seals of the audit log.",
								"At each interval a background worker calls authz.audit_seal() in every database "
								"where something was recorded. "
								"With 0 nothing is sealed unless somebody calls it.",
								&authz_audit_seal_interval,
								60, 0, 86400,
								PGC_SIGHUP, GUC_UNIT_S,
								NULL, NULL, NULL);

	DefineCustomEnumVariable("authz.denial_queue_full",
							 "What becomes of a denied attempt when the queue to authz.denial_log is full.",
							 "\"wait\" lets the attempt wait for room, for a second at most; after that, "
							 "and with \"log\" at once, its record goes to the server's log. "
							 "Without authz in shared_preload_libraries all go there.",
							 &authz_denial_queue_full,
							 AUTHZ_DENIAL_QUEUE_FULL_WAIT, denial_queue_full_options,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	/* There is no queue otherwise. */
	if (process_shared_preload_libraries_in_progress)
		DefineCustomIntVariable("authz.denial_queue_size",
								"Number of denied attempts that can be on their way to authz.denial_log.",
								"Each takes some 2 kB of shared memory. "
								"With 0 there is neither queue nor writer, and all go to the server's log.",
								&authz_denial_queue_size,
								1024, 0, 1000000,
								PGC_POSTMASTER, 0,
								NULL, NULL, NULL);

	DefineCustomIntVariable("authz.identity_cache_size",
							"Number of verified identities that each session keeps.",
							"A token that is not among them is verified from the start, "
							"at some 10 to 100 microseconds for its signature. "
							"The least recently used one is dropped.",
							&authz_identity_cache_size,
							256, 1, 100000,
							PGC_SUSET, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("authz.token_max_size",
							"Longest token that is read.",
							"A longer one is refused before anything of it is looked at.",
							&authz_token_max_size,
							16384, 64, 1024 * 1024,
							PGC_SUSET, GUC_UNIT_BYTE,
							NULL, NULL, NULL);

	/* Nothing else may be set under the prefix: a typing error must not pass silently. */
	MarkGUCPrefixReserved("authz");
}
