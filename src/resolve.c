/*-------------------------------------------------------------------------
 * resolve.c
 *	  From a verified token, or a mapped login, to an identity: effective
 *	  roles, scopes, attributes, signature.
 *
 * The signature stands for what plans depend on: kind, roles and scopes, not
 * subject or attributes.  Equal sets must give equal signatures whatever order
 * a token lists them in, hence sorted and unique.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <openssl/sha.h>

#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "claims.h"
#include "resolve.h"

bool
authz_resolve_is_reserved(const char *role)
{
	return strcmp(role, "*") == 0 || strcmp(role, "anonymous") == 0;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* A sorted array of a list's distinct names. */
static const char *const *
sorted_names(List *names, int *n)
{
	const char **result = palloc(sizeof(char *) * Max(list_length(names), 1));
	ListCell   *cell;
	int			count = 0;
	int			unique = 0;

	foreach(cell, names)
		result[count++] = lfirst(cell);
	qsort(result, count, sizeof(char *), compare_names);
	for (int i = 0; i < count; i++)
	{
		if (unique == 0 || strcmp(result[unique - 1], result[i]) != 0)
			result[unique++] = result[i];
	}
	*n = unique;
	return result;
}

static bool
has_name(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/* The roles and all that they inherit.  Ends on a cycle too, should one have got past the trigger. */
static List *
close_over_inheritance(List *pending)
{
	List	   *result = NIL;

	/* lappend to `pending` while walking it by index: it is the queue */
	for (int i = 0; i < list_length(pending); i++)
	{
		char	   *role = list_nth(pending, i);

		CHECK_FOR_INTERRUPTS();
		if (authz_resolve_is_reserved(role) || has_name(result, role))
			continue;
		result = lappend(result, role);
		pending = list_concat(pending, authz_catalog_inherited_roles(role));
	}
	return result;
}

static void
append_names(StringInfo buffer, const char *const *names, int n)
{
	uint32		count = pg_hton32(n);

	appendBinaryStringInfo(buffer, (char *) &count, sizeof(count));
	for (int i = 0; i < n; i++)
	{
		uint32		length = pg_hton32(strlen(names[i]));

		appendBinaryStringInfo(buffer, (char *) &length, sizeof(length));
		appendStringInfoString(buffer, names[i]);
	}
}

/* The first 64 bits of SHA-256 over kind, roles, scopes, each with its length; never 0. */
static uint64
signature_of(const AuthzIdentity *identity)
{
	StringInfoData buffer;
	unsigned char digest[SHA256_DIGEST_LENGTH];
	uint64		result;

	initStringInfo(&buffer);
	appendStringInfoChar(&buffer, identity->kind);
	append_names(&buffer, identity->roles, identity->nroles);
	append_names(&buffer, identity->scopes, identity->nscopes);
	if (SHA256((unsigned char *) buffer.data, buffer.len, digest) == NULL)
		elog(ERROR, "could not compute SHA-256");
	memcpy(&result, digest, sizeof(result));
	pfree(buffer.data);
	return result == 0 ? 1 : result;
}

static Jsonb *
empty_object(void)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
push_member(JsonbParseState **state, JsonbValue *name, JsonbValue *value)
{
	pushJsonbValue(state, WJB_KEY, name);
	pushJsonbValue(state, WJB_VALUE, value);
}

/* Push every member of an object that is not null. */
static void
push_all_members(JsonbParseState **state, JsonbContainer *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &name, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		if (value.type != jbvNull)
			push_member(state, &name, &value);
	}
}

/* Look up a claim; a path that finds nothing is put on the list, which people see by authz.identity(). */
static bool
find_claim(Jsonb *claims, const char *path, JsonbValue *value, List **missing)
{
	if (path == NULL)
		return false;
	if (authz_claims_find(claims, path, value))
		return true;
	*missing = lappend(*missing, pstrdup(path));
	return false;
}

/* The path of an attribute: a string, or an array of names.  NULL if it is neither. */
static const char *
path_of(const JsonbValue *value)
{
	if (value->type != jbvBinary)
		return authz_claims_string(value);
	return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
}

/*
 * The attributes that the issuer's mapping finds in the claims.  Nothing is
 * mapped that the mapping does not name; "*" names all members of an object.
 */
static Jsonb *
map_attributes(Jsonb *mapping, Jsonb *claims, List **missing)
{
	JsonbParseState *state = NULL;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	path;
	JsonbValue	value;

	if (mapping == NULL || !JB_ROOT_IS_OBJECT(mapping))
		return empty_object();

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);

	/* First "*": of two members of the same name jsonb keeps the last. */
	if (authz_claims_member(&mapping->root, "*", 1, &path) &&
		find_claim(claims, path_of(&path), &value, missing) &&
		value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data))
		push_all_members(&state, value.val.binary.data);

	iterator = JsonbIteratorInit(&mapping->root);
	while ((token = JsonbIteratorNext(&iterator, &name, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &path, true);
		if (name.val.string.len == 1 && name.val.string.val[0] == '*')
			continue;
		if (find_claim(claims, path_of(&path), &value, missing))
			push_member(&state, &name, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The roles that a token states: those that exist here, and the others. */
static bool
roles_in_token(const AuthzToken *token, List **roles, List **unknown, List **missing)
{
	JsonbValue	value;
	List	   *stated;
	ListCell   *cell;

	if (!find_claim(token->claims, token->settings->roles_claim, &value, missing))
		return true;
	if (!authz_claims_strings(&value, true, &stated))
		return false;
	foreach(cell, stated)
	{
		if (authz_catalog_role_exists(lfirst(cell)))
			*roles = lappend(*roles, lfirst(cell));
		else
			*unknown = lappend(*unknown, lfirst(cell));
	}
	return true;
}

AuthzIdentity *
authz_resolve_token(const AuthzToken *token, TimestampTz now, AuthzRefusal *refusal)
{
	AuthzIdentity *result = palloc0(sizeof(AuthzIdentity));
	JsonbValue	value;
	List	   *roles = NIL;
	List	   *unknown_roles = NIL;
	List	   *scopes = NIL;
	List	   *missing = NIL;

	result->kind = AUTHZ_IDENTITY_TOKEN;
	result->subject = token->subject;
	result->issuer = token->issuer;
	result->token_id = token->token_id;
	result->issued_at = token->issued_at;
	result->expires_at = token->expires_at;
	result->changes_at = token->changes_at;
	if (authz_claims_find(token->claims, "act", &value) && value.type == jbvBinary &&
		JsonContainerIsObject(value.val.binary.data) &&
		authz_claims_member(value.val.binary.data, "sub", 3, &value))
		result->actor = authz_claims_string(&value);

	if (!roles_in_token(token, &roles, &unknown_roles, &missing))
	{
		refusal->reason = "its roles are neither a string nor an array of strings";
		refusal->hint = "Check the roles_claim of the issuer.";
		return NULL;
	}
	roles = list_concat(roles, authz_catalog_granted_roles(token->subject, token->issuer,
														   now, &result->changes_at));
	result->roles = sorted_names(close_over_inheritance(roles), &result->nroles);

	if (find_claim(token->claims, token->settings->scopes_claim, &value, &missing) &&
		!authz_claims_strings(&value, true, &scopes))
	{
		refusal->reason = "its scopes are neither a string nor an array of strings";
		refusal->hint = "Check the scopes_claim of the issuer.";
		return NULL;
	}
	result->scopes = sorted_names(scopes, &result->nscopes);
	result->attributes = map_attributes(token->settings->attributes, token->claims, &missing);
	result->unknown_roles = sorted_names(unknown_roles, &result->nunknown_roles);
	result->missing_claims = sorted_names(missing, &result->nmissing_claims);
	result->signature = signature_of(result);
	return result;
}

AuthzIdentity *
authz_resolve_login(Oid database_role, TimestampTz now)
{
	AuthzIdentity *result = palloc0(sizeof(AuthzIdentity));
	List	   *roles = NIL;

	result->expires_at = DT_NOEND;
	result->changes_at = DT_NOEND;
	result->subject = authz_catalog_login_subject(database_role);
	if (result->subject != NULL)
	{
		result->kind = AUTHZ_IDENTITY_LOGIN;
		roles = authz_catalog_granted_roles(result->subject, NULL, now, &result->changes_at);
	}
	result->roles = sorted_names(close_over_inheritance(roles), &result->nroles);
	result->scopes = sorted_names(NIL, &result->nscopes);
	result->attributes = empty_object();
	result->signature = signature_of(result);
	return result;
}

static const char *
copy_string(const char *string)
{
	return string != NULL ? pstrdup(string) : NULL;
}

static const char *const *
copy_names(const char *const *names, int n)
{
	const char **result = palloc(sizeof(char *) * Max(n, 1));

	for (int i = 0; i < n; i++)
		result[i] = pstrdup(names[i]);
	return result;
}

AuthzIdentity *
authz_resolve_copy(const AuthzIdentity *identity)
{
	AuthzIdentity *result = palloc(sizeof(AuthzIdentity));

	*result = *identity;
	result->subject = copy_string(identity->subject);
	result->issuer = copy_string(identity->issuer);
	result->token_id = copy_string(identity->token_id);
	result->actor = copy_string(identity->actor);
	result->roles = copy_names(identity->roles, identity->nroles);
	result->scopes = copy_names(identity->scopes, identity->nscopes);
	result->unknown_roles = copy_names(identity->unknown_roles, identity->nunknown_roles);
	result->missing_claims = copy_names(identity->missing_claims, identity->nmissing_claims);
	result->attributes = palloc(VARSIZE(identity->attributes));
	memcpy(result->attributes, identity->attributes, VARSIZE(identity->attributes));
	return result;
}
