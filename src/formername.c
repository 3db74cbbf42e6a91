/*-------------------------------------------------------------------------
 * formername.c
 *	  Names that tables which are protected or audited had, for sql/taken_name.sql: a
 *	  table that takes such a name is probably meant to be so, too.
 *
 * They are kept in this session's memory: those of dropped tables until the
 * transaction ends, others until the session does.  Names of an aborted
 * transaction do no harm, because the table itself has that name again.  Only
 * warnings depend on them, so if there are too many, no more are kept.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "tcop/deparse_utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"

#define MAX_NAMES	10000

typedef struct FormerNameKey
{
	NameData	schema;
	NameData	name;
} FormerNameKey;

typedef struct FormerName
{
	FormerNameKey key;			/* must be first */
	bool		is_protected;	/* the table that had it is or was protected */
	bool		is_audited;		/* likewise audited */
	bool		until_end;		/* forget it when the transaction ends */
} FormerName;

static HTAB *names = NULL;
static bool has_until_end = false;

static void
set_key(FormerNameKey *key, Name schema, Name name)
{
	/* Hashed whole: NameData is padded with zeros, but only if it is copied so. */
	memset(key, 0, sizeof(*key));
	namestrcpy(&key->schema, NameStr(*schema));
	namestrcpy(&key->name, NameStr(*name));
}

static void
transaction_ended(XactEvent event, void *argument)
{
	HASH_SEQ_STATUS status;
	FormerName *former;

	if (!has_until_end || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	has_until_end = false;
	hash_seq_init(&status, names);
	while ((former = hash_seq_search(&status)) != NULL)
	{
		if (former->until_end)
			hash_search(names, &former->key, HASH_REMOVE, NULL);
	}
}

PG_FUNCTION_INFO_V1(authz_note_former_name);

/* note_former_name(schema name, name name, is_protected boolean, is_audited boolean, until_end boolean) */
Datum
authz_note_former_name(PG_FUNCTION_ARGS)
{
	FormerNameKey key;
	FormerName *former;
	bool		found;

	if (names == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(FormerNameKey), .entrysize = sizeof(FormerName)};

		names = hash_create("authz former names", 64, &control, HASH_ELEM | HASH_BLOBS);
		RegisterXactCallback(transaction_ended, NULL);
	}
	set_key(&key, PG_GETARG_NAME(0), PG_GETARG_NAME(1));
	if (hash_get_num_entries(names) >= MAX_NAMES)
		PG_RETURN_VOID();
	former = hash_search(names, &key, HASH_ENTER, &found);
	former->is_protected = (found && former->is_protected) || PG_GETARG_BOOL(2);
	former->is_audited = (found && former->is_audited) || PG_GETARG_BOOL(3);
	former->until_end = (!found || former->until_end) && PG_GETARG_BOOL(4);
	has_until_end = has_until_end || former->until_end;
	PG_RETURN_VOID();
}

static const FormerName *
find(Name schema, Name name)
{
	FormerNameKey key;

	if (names == NULL)
		return NULL;
	set_key(&key, schema, name);
	return hash_search(names, &key, HASH_FIND, NULL);
}

PG_FUNCTION_INFO_V1(authz_has_former_names);

/* has_former_names() -> boolean: is there anything to look for? */
Datum
authz_has_former_names(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(names != NULL && hash_get_num_entries(names) > 0);
}

PG_FUNCTION_INFO_V1(authz_was_protected);

/* was_protected(schema name, name name) -> boolean: had a protected table this name? */
Datum
authz_was_protected(PG_FUNCTION_ARGS)
{
	const FormerName *former = find(PG_GETARG_NAME(0), PG_GETARG_NAME(1));

	PG_RETURN_BOOL(former != NULL && former->is_protected);
}

PG_FUNCTION_INFO_V1(authz_was_audited);

/* was_audited(schema name, name name) -> boolean: had an audited table this name? */
Datum
authz_was_audited(PG_FUNCTION_ARGS)
{
	const FormerName *former = find(PG_GETARG_NAME(0), PG_GETARG_NAME(1));

	PG_RETURN_BOOL(former != NULL && former->is_audited);
}

/* An array of one or two names; NULL is left out. */
static ArrayType *
name_array(const char *first, const char *second)
{
	Datum		items[2];
	int			n = 0;

	items[n++] = DirectFunctionCall1(namein, CStringGetDatum(first));
	if (second != NULL)
		items[n++] = DirectFunctionCall1(namein, CStringGetDatum(second));
	return construct_array(items, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR);
}

/* What a RENAME says of the name before. */
static ArrayType *
before_rename(const RenameStmt *statement, ObjectAddress address)
{
	if (statement->renameType == OBJECT_SCHEMA)
		return name_array(statement->subname, NULL);
	if (address.classId == RelationRelationId && address.objectSubId == 0 && statement->relation != NULL &&
		OidIsValid(get_rel_namespace(address.objectId)))
		return name_array(get_namespace_name(get_rel_namespace(address.objectId)), statement->relation->relname);
	return NULL;
}

PG_FUNCTION_INFO_V1(authz_renamed_from);

/*
 * renamed_from(command pg_ddl_command) -> name[]: schema and name that a table
 * had before RENAME or SET SCHEMA, only the name of a schema, NULL for other commands.
 */
Datum
authz_renamed_from(PG_FUNCTION_ARGS)
{
	CollectedCommand *command = (CollectedCommand *) PG_GETARG_POINTER(0);
	ObjectAddress address = command->d.simple.address;
	ArrayType  *result = NULL;

	if (command->type != SCT_Simple || command->parsetree == NULL)
		PG_RETURN_NULL();
	if (IsA(command->parsetree, RenameStmt))
		result = before_rename((RenameStmt *) command->parsetree, address);
	else if (IsA(command->parsetree, AlterObjectSchemaStmt) && address.classId == RelationRelationId)
	{
		char	   *schema = get_namespace_name(command->d.simple.secondaryObject.objectId);

		if (schema != NULL && get_rel_name(address.objectId) != NULL)
			result = name_array(schema, get_rel_name(address.objectId));
	}
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(result);
}
