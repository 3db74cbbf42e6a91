/*-------------------------------------------------------------------------
 * claims.c
 *	  Values at dotted paths of a claims set, and lists of strings in them.
 *
 * What has another shape than asked for is reported as such, never guessed at:
 * whoever asks decides whether that refuses the token or means "missing".
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "claims.h"

bool
authz_claims_member(JsonbContainer *object, const char *name, int length, JsonbValue *value)
{
	if (!JsonContainerIsObject(object))
		return false;
	return getKeyJsonValueFromContainer(object, name, length, value) != NULL &&
		value->type != jbvNull;
}

bool
authz_claims_find(Jsonb *claims, const char *path, JsonbValue *value)
{
	JsonbContainer *object = &claims->root;

	if (authz_claims_member(object, path, strlen(path), value))
		return true;

	for (;;)
	{
		const char *dot = strchr(path, '.');

		if (dot == NULL)
			return authz_claims_member(object, path, strlen(path), value);
		if (!authz_claims_member(object, path, dot - path, value) || value->type != jbvBinary)
			return false;
		object = value->val.binary.data;
		path = dot + 1;
	}
}

char *
authz_claims_string(const JsonbValue *value)
{
	if (value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static List *
split_words(const JsonbValue *value)
{
	const char *next = value->val.string.val;
	const char *end = next + value->val.string.len;
	List	   *result = NIL;

	while (next < end)
	{
		const char *space = memchr(next, ' ', end - next);

		if (space == NULL)
			space = end;
		if (space > next)
			result = lappend(result, pnstrdup(next, space - next));
		next = space + 1;
	}
	return result;
}

bool
authz_claims_strings(const JsonbValue *value, bool split, List **result)
{
	JsonbIterator *iterator;
	JsonbValue	element;
	JsonbIteratorToken token;

	*result = NIL;
	if (value->type == jbvString)
	{
		*result = split ? split_words(value) : list_make1(authz_claims_string(value));
		return true;
	}
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		return false;

	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvString)
			return false;
		*result = lappend(*result, authz_claims_string(&element));
	}
	return true;
}
