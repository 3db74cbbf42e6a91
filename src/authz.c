/*-------------------------------------------------------------------------
 * authz.c
 *	  Module magic and _PG_init: one call per module, nothing else.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"

#include "access.h"
#include "attempt.h"
#include "auditmerge.h"
#include "audited.h"
#include "catalog.h"
#include "change.h"
#include "copyhint.h"
#include "cursor.h"
#include "guard.h"
#include "guc.h"
#include "identity.h"
#include "maintenance.h"
#include "masked.h"
#include "nothing.h"
#include "policyset.h"
#include "readaudit.h"
#include "record.h"
#include "recursion.h"
#include "redact.h"
#include "stats.h"
#include "unknownrole.h"
#include "unseen.h"
#include "worker.h"
#include "write.h"
#include "writeplan.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	authz_redact_init();
	authz_catalog_init();
	authz_policyset_init();
	authz_change_init();
	authz_cursor_init();
	authz_attempt_init();
	authz_copyhint_init();
	authz_access_init();
	authz_auditmerge_init();
	authz_guard_init();
	authz_masked_init();
	authz_nothing_init();
	authz_write_init();
	authz_writeplan_init();
	authz_identity_init();
	authz_maintenance_init();
	authz_guc_init();
	authz_audited_init();
	authz_record_init();
	authz_readaudit_init();
	authz_recursion_init();
	authz_worker_init();
	authz_stats_init();
	authz_unknownrole_init();
	authz_unseen_init();
}
