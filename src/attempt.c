/*-------------------------------------------------------------------------
 * attempt.c
 *	  Denied attempts on the audit itself are on record: to change or read its
 *	  tables, to switch it off.
 *
 * Where the extension refuses, it calls authz.refuse_audit, which records and
 * raises in one.  Everybody may call that: he gets an error, and a record of
 * what he said that he attempted, under his own name.  Action and reason are of
 * closed lists and the table's name comes from the catalog, so that no text of
 * his gets into the log.
 *
 * Where PostgreSQL refuses before any trigger could, hooks see the error pass
 * by.  It is looked at only if it is core's own answer to a lack of privileges,
 * told by its code and the file that raised it: what a function raises with the
 * same code is none, and refuse_audit has recorded already.  Core raises those
 * with no page locked, so the catalog may be read in PG_CATCH; what a user's
 * function raises might come from within an index.  The error goes on
 * unchanged, whatever becomes of the record (authz_denial_record raises
 * nothing).  Views are no tables of the audit: that authz.activity may not be
 * read is found out by the planner already.
 *
 * A session that has not loaded the library has no hooks.
 *
 * A statement that is not refused pays for PG_TRY, some nanoseconds; commands
 * that name a table of the audit, or alter or drop one that is audited, for
 * looking that up.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "parser/parsetree.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"

#include "attempt.h"
#include "catalog.h"
#include "denial.h"

/* Why authz refuses; phrases of authz.denial_log.reason. */
typedef struct Refusal
{
	const char *reason;
	int			sqlstate;
} Refusal;

static const Refusal refusals[] = {
	{"records are insert-only", ERRCODE_INSUFFICIENT_PRIVILEGE},
	{"what guards records must stay", ERRCODE_INSUFFICIENT_PRIVILEGE},
	{"only an administrator of authz may", ERRCODE_INSUFFICIENT_PRIVILEGE},
	{"changes would go unrecorded", ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE},
};

/* What is attempted by other means than a command: functions, and what records call otherwise than its tag. */
static const char *const other_actions[] = {
	"audit", "audit_retain", "audit_schema", "truncate", "unaudit", "unaudit_schema"
};

/* A command's object, if it is of the audit. */
typedef struct Target
{
	bool		found;
	Oid			relation;		/* InvalidOid: the schema, the extension or an event trigger */
} Target;

static ExecutorStart_hook_type prev_executor_start = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* Is it a table, or an index or sequence of one, that holds records or says what is recorded? */
static bool
is_of_audit(Oid relid)
{
	static const char *const prefixes[] = {"audit", "access_log", "denial_log", "record_id_seq"};
	char	   *name;

	if (!OidIsValid(relid) || !OidIsValid(authz_catalog_schema()) ||
		get_rel_namespace(relid) != authz_catalog_schema() || (name = get_rel_name(relid)) == NULL)
		return false;
	for (int i = 0; i < lengthof(prefixes); i++)
	{
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

static void
record(const char *action, Oid relation, const char *gone, const char *reason)
{
	authz_denial_record(&(AuthzDenial) {AUTHZ_DENIAL_AUDIT, action, relation, reason, gone});
}

/*
 * What authz itself refuses.
 */

/* A command tag as actions are written, or one of the others; raises for anything else. */
static const char *
known_action(const char *given)
{
	CommandTag	tag = GetCommandTagEnum(given);

	for (int i = 0; i < lengthof(other_actions); i++)
	{
		if (strcmp(given, other_actions[i]) == 0)
			return other_actions[i];
	}
	if (tag == CMDTAG_UNKNOWN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown action \"%s\"", given)));
	return asc_tolower(GetCommandTagName(tag), strlen(GetCommandTagName(tag)));
}

static const Refusal *
known_refusal(const char *reason)
{
	for (int i = 0; i < lengthof(refusals); i++)
	{
		if (strcmp(reason, refusals[i].reason) == 0)
			return &refusals[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown reason \"%s\"", reason)));
	return NULL;
}

/* The name of a table that the command at hand has dropped; NULL: it has not.  Raises outside of a sql_drop trigger. */
static char *
dropped_name(Oid relid)
{
	static const char *const query =
		"SELECT o.object_identity FROM pg_catalog.pg_event_trigger_dropped_objects() o "
		"WHERE o.classid OPERATOR(pg_catalog.=) 1259 AND o.objsubid OPERATOR(pg_catalog.=) 0 AND o.objid OPERATOR(pg_catalog.=) $1";
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(relid)};
	MemoryContext outer = CurrentMemoryContext;
	char	   *name = NULL;

	SPI_connect();
	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 1) == SPI_OK_SELECT && SPI_processed == 1)
		name = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (name != NULL)
		name = MemoryContextStrdup(outer, name);
	SPI_finish();
	return name;
}

static char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

PG_FUNCTION_INFO_V1(authz_refuse_audit);

/*
 * refuse_audit(action text, relation oid, reason text, message text, detail
 * text, hint text) -> void: records a denied attempt and raises; the reason
 * decides with which code.
 */
Datum
authz_refuse_audit(PG_FUNCTION_ARGS)
{
	char	   *action = text_argument(fcinfo, 0);
	Oid			relation = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	char	   *reason = text_argument(fcinfo, 2);
	char	   *message = text_argument(fcinfo, 3);
	char	   *detail = text_argument(fcinfo, 4);
	char	   *hint = text_argument(fcinfo, 5);
	const Refusal *refusal;

	if (action == NULL || reason == NULL || message == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("action, reason and message must not be null")));
	refusal = known_refusal(reason);
	record(known_action(action), relation,
		   OidIsValid(relation) && get_rel_name(relation) == NULL ? dropped_name(relation) : NULL, refusal->reason);
	ereport(ERROR,
			(errcode(refusal->sqlstate),
			 errmsg("%s", message),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}

/*
 * What PostgreSQL refuses.
 */

/*
 * In PG_CATCH: the error, off the stack, if core raised it for lack of a
 * privilege; else NULL, and the stack is as it was.
 */
static ErrorData *
take_refusal(MemoryContext context)
{
	static const char *const files[] = {"aclchk.c", "copy.c", "trigger.c"};
	ErrorData  *error;

	if (geterrcode() != ERRCODE_INSUFFICIENT_PRIVILEGE)
		return NULL;
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	for (int i = 0; i < lengthof(files); i++)
	{
		if (error->filename != NULL && strcmp(error->filename, files[i]) == 0)
		{
			FlushErrorState();
			return error;
		}
	}
	FreeErrorData(error);
	return NULL;
}

/* What a query does to a table; `index` is its place in the range table. */
static const char *
query_action(const PlannedStmt *plan, int index)
{
	AclMode		mode = rt_fetch(index, plan->rtable)->requiredPerms;

	if (plan->commandType == CMD_MERGE && (mode & (ACL_INSERT | ACL_UPDATE | ACL_DELETE)))
		return "merge";
	if (mode & ACL_INSERT)
		return "insert";
	if (mode & ACL_DELETE)
		return "delete";
	/* SELECT ... FOR UPDATE needs the same privilege. */
	if ((mode & ACL_UPDATE) && list_member_int(plan->resultRelations, index))
		return "update";
	return "select";
}

/* Record a query that was refused, if it was for a table of the audit: the first one that may not be used so. */
static void
record_query(const PlannedStmt *plan)
{
	for (int index = 1; index <= list_length(plan->rtable); index++)
	{
		RangeTblEntry *entry = rt_fetch(index, plan->rtable);

		if (entry->rtekind != RTE_RELATION || entry->requiredPerms == 0 || ExecCheckRTPerms(list_make1(entry), false))
			continue;
		if (is_of_audit(entry->relid))
			record(query_action(plan, index), entry->relid, NULL, "no privilege");
		return;
	}
}

static void
attempt_executor_start(QueryDesc *query, int eflags)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		if (prev_executor_start)
			prev_executor_start(query, eflags);
		else
			standard_ExecutorStart(query, eflags);
	}
	PG_CATCH();
	{
		ErrorData  *error = take_refusal(context);

		if (error == NULL)
			PG_RE_THROW();
		record_query(query->plannedstmt);
		ReThrowError(error);
	}
	PG_END_TRY();
}

/* OID of a table as a command names it, without a lock, or InvalidOid; never raises. */
static Oid
find_relation(const char *schema, const char *name)
{
	Oid			namespace;

	if (schema == NULL)
		return RelnameGetRelid(name);
	namespace = get_namespace_oid(schema, true);
	return OidIsValid(namespace) ? get_relname_relid(name, namespace) : InvalidOid;
}

/* Note a table if it is of the audit, or may_be_audited and it is; the first one stays. */
static void
note_relation(Target *target, Oid relid, bool may_be_audited)
{
	AuthzAudited audited;

	if (target->found || !OidIsValid(relid))
		return;
	/* While the extension is being created there is no such table yet. */
	if (OidIsValid(authz_catalog_table(AUTHZ_TABLE_AUDITED_TABLE)))
		target->found = is_of_audit(relid) || (may_be_audited && authz_catalog_audited(relid, &audited));
	target->relation = relid;
}

static void
note_range(Target *target, const RangeVar *range, bool may_be_audited)
{
	if (range != NULL)
		note_relation(target, find_relation(range->schemaname, range->relname), may_be_audited);
}

static void
note_ranges(Target *target, List *ranges, bool may_be_audited)
{
	ListCell   *lc;

	foreach(lc, ranges)
		note_range(target, lfirst(lc), may_be_audited);
}

/* A qualified name of which the last `n` parts are of something of the table's. */
static void
note_names(Target *target, List *names, int n)
{
	int			last = list_length(names) - 1 - n;

	if (last >= 0)
		note_relation(target, find_relation(last > 0 ? strVal(list_nth(names, last - 1)) : NULL, strVal(list_nth(names, last))), true);
}

/* The schema, the extension, or one of its event triggers. */
static void
note_name(Target *target, ObjectType type, const char *name)
{
	if (target->found || name == NULL)
		return;
	if (type == OBJECT_SCHEMA || type == OBJECT_EXTENSION)
		target->found = strcmp(name, "authz") == 0;
	else if (type == OBJECT_EVENT_TRIGGER)
		target->found = strncmp(name, "authz_", strlen("authz_")) == 0;
}

/* The same of a name that may be one of other kinds as well. */
static void
note_node(Target *target, ObjectType type, Node *name)
{
	if (name != NULL && IsA(name, String))
		note_name(target, type, strVal(name));
}

static void
note_dropped(Target *target, const DropStmt *drop)
{
	ListCell   *lc;

	foreach(lc, drop->objects)
	{
		switch (drop->removeType)
		{
			case OBJECT_TABLE:
			case OBJECT_INDEX:
			case OBJECT_SEQUENCE:
			case OBJECT_VIEW:
				note_names(target, lfirst(lc), 0);
				break;
			case OBJECT_TRIGGER:
			case OBJECT_RULE:
			case OBJECT_POLICY:
				note_names(target, lfirst(lc), 1);
				break;
			case OBJECT_SCHEMA:
			case OBJECT_EXTENSION:
			case OBJECT_EVENT_TRIGGER:
				note_node(target, drop->removeType, lfirst(lc));
				break;
			default:
				return;
		}
	}
}

/* Also the tables that are to be a parent or part of this one. */
static void
note_altered(Target *target, const AlterTableStmt *alter)
{
	ListCell   *lc;

	note_range(target, alter->relation, true);
	foreach(lc, alter->cmds)
	{
		Node	   *definition = lfirst_node(AlterTableCmd, lc)->def;

		if (definition != NULL && IsA(definition, RangeVar))
			note_range(target, (RangeVar *) definition, true);
		else if (definition != NULL && IsA(definition, PartitionCmd))
			note_range(target, ((PartitionCmd *) definition)->name, true);
	}
}

/* What a command is about, if that is of the audit.  Locks nothing. */
static Target
find_target(Node *statement)
{
	Target		target = {0};

	switch (nodeTag(statement))
	{
			/* What could switch the audit of a table off. */
		case T_AlterTableStmt:
			note_altered(&target, (AlterTableStmt *) statement);
			break;
		case T_RenameStmt:
			note_range(&target, ((RenameStmt *) statement)->relation, true);
			note_name(&target, ((RenameStmt *) statement)->renameType, ((RenameStmt *) statement)->subname);
			note_node(&target, ((RenameStmt *) statement)->renameType, ((RenameStmt *) statement)->object);
			break;
		case T_AlterObjectSchemaStmt:
			note_range(&target, ((AlterObjectSchemaStmt *) statement)->relation, true);
			break;
		case T_DropStmt:
			note_dropped(&target, (DropStmt *) statement);
			break;
		case T_CreateTrigStmt:
			note_range(&target, ((CreateTrigStmt *) statement)->relation, true);
			break;
		case T_RuleStmt:
			note_range(&target, ((RuleStmt *) statement)->relation, true);
			break;
		case T_CreateStmt:
			note_ranges(&target, ((CreateStmt *) statement)->inhRelations, true);
			break;
		case T_AlterOwnerStmt:
			note_node(&target, ((AlterOwnerStmt *) statement)->objectType, ((AlterOwnerStmt *) statement)->object);
			break;
		case T_AlterEventTrigStmt:
			note_name(&target, OBJECT_EVENT_TRIGGER, ((AlterEventTrigStmt *) statement)->trigname);
			break;
		case T_AlterExtensionStmt:
			note_name(&target, OBJECT_EXTENSION, ((AlterExtensionStmt *) statement)->extname);
			break;
		case T_AlterExtensionContentsStmt:
			note_name(&target, OBJECT_EXTENSION, ((AlterExtensionContentsStmt *) statement)->extname);
			break;

			/* On its own tables also whatever else changes or reads them. */
		case T_TruncateStmt:
			note_ranges(&target, ((TruncateStmt *) statement)->relations, false);
			break;
		case T_CopyStmt:
			note_range(&target, ((CopyStmt *) statement)->relation, false);
			break;
		case T_LockStmt:
			note_ranges(&target, ((LockStmt *) statement)->relations, false);
			break;
		case T_GrantStmt:
			if (((GrantStmt *) statement)->targtype == ACL_TARGET_OBJECT && ((GrantStmt *) statement)->objtype == OBJECT_TABLE)
				note_ranges(&target, ((GrantStmt *) statement)->objects, false);
			break;
		case T_IndexStmt:
			note_range(&target, ((IndexStmt *) statement)->relation, false);
			break;
		case T_CreatePolicyStmt:
			note_range(&target, ((CreatePolicyStmt *) statement)->table, false);
			break;
		case T_AlterPolicyStmt:
			note_range(&target, ((AlterPolicyStmt *) statement)->table, false);
			break;
		case T_AlterSeqStmt:
			note_range(&target, ((AlterSeqStmt *) statement)->sequence, false);
			break;
		default:
			break;
	}
	return target;
}

static const char *
command_action(Node *statement)
{
	if (IsA(statement, TruncateStmt))
		return "truncate";
	if (IsA(statement, CopyStmt))
		return ((CopyStmt *) statement)->is_from ? "copy from" : "copy";
	return known_action(CreateCommandName(statement));
}

static void
call_process_utility(PlannedStmt *plan, const char *source, bool read_only_tree,
					 ProcessUtilityContext context, ParamListInfo params,
					 QueryEnvironment *environment, DestReceiver *receiver,
					 QueryCompletion *completion)
{
	if (prev_process_utility)
		prev_process_utility(plan, source, read_only_tree, context, params, environment, receiver, completion);
	else
		standard_ProcessUtility(plan, source, read_only_tree, context, params, environment, receiver, completion);
}

static void
attempt_process_utility(PlannedStmt *plan, const char *source, bool read_only_tree,
						ProcessUtilityContext utility_context, ParamListInfo params,
						QueryEnvironment *environment, DestReceiver *receiver,
						QueryCompletion *completion)
{
	MemoryContext context = CurrentMemoryContext;
	const char *action;
	Target		target = find_target(plan->utilityStmt);

	if (!target.found)
	{
		call_process_utility(plan, source, read_only_tree, utility_context, params, environment, receiver, completion);
		return;
	}
	/* The tree may be another afterwards. */
	action = command_action(plan->utilityStmt);
	PG_TRY();
	{
		call_process_utility(plan, source, read_only_tree, utility_context, params, environment, receiver, completion);
	}
	PG_CATCH();
	{
		ErrorData  *error = take_refusal(context);

		if (error == NULL)
			PG_RE_THROW();
		record(action, target.relation, NULL, "no privilege");
		ReThrowError(error);
	}
	PG_END_TRY();
}

void
authz_attempt_init(void)
{
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = attempt_executor_start;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = attempt_process_utility;
}
