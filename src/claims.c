/*-------------------------------------------------------------------------
 * claims.c
 *	  Values at paths of a claims set, and lists of strings in them.
 *
 * A path is one of
 *	  - ["a","b"]	a JSON array of names: member b of object a, exactly;
 *	  - /a/b		a JSON Pointer (RFC 6901), which also counts in arrays;
 *	  - a.b			names with dots between.  Names have dots themselves
 *					(https://example.com/roles), so in each object the whole rest
 *					is tried as a name first, then what is before its last dot,
 *					and so on to the first.
 *
 * What has another shape than asked for is reported as such, never guessed at:
 * whoever asks decides whether that refuses the token or means "missing".
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "claims.h"
#include "json.h"

PG_FUNCTION_INFO_V1(authz_claim_path_problem);

#define MAX_PATH_LENGTH		1024	/* bytes */

/* What authz_json_read found in the object that spelt_array puts round a text. */
typedef struct Wrapped
{
	int			count;
	AuthzJson	value;
} Wrapped;

bool
authz_claims_member(JsonbContainer *object, const char *name, int length, JsonbValue *value)
{
	if (!JsonContainerIsObject(object))
		return false;
	return getKeyJsonValueFromContainer(object, name, length, value) != NULL &&
		value->type != jbvNull;
}

/* authz_json_read's visitor. */
static void
note_wrapped(void *state, const AuthzJson *name, const AuthzJson *value)
{
	Wrapped    *wrapped = state;

	wrapped->count++;
	wrapped->value = *value;
}

/*
 * The array that a text is, from end to end, or NULL.  Only the strict reader
 * decides, so that jsonb's input never sees what it would raise an error for;
 * where the database's encoding is another one, it would for what is not ASCII.
 */
static Jsonb *
spelt_array(const char *text, size_t length)
{
	static const char before[] = "{\"a\":";
	size_t		offset = sizeof(before) - 1;
	char	   *object;
	Wrapped		wrapped = {0};

	if (length < 2 || text[0] != '[' || text[length - 1] != ']')
		return NULL;
	for (size_t i = 0; i < length && GetDatabaseEncoding() != PG_UTF8; i++)
	{
		if (IS_HIGHBIT_SET(text[i]) || text[i] == '\\')
			return NULL;
	}
	check_stack_depth();
	object = palloc(offset + length + 2);
	memcpy(object, before, offset);
	memcpy(object + offset, text, length);
	strcpy(object + offset + length, "}");
	if (authz_json_read(object, offset + length + 1, note_wrapped, &wrapped) != AUTHZ_JSON_OK ||
		wrapped.count != 1 || wrapped.value.type != AUTHZ_JSON_ARRAY || wrapped.value.length != length)
		return NULL;
	object[offset + length] = '\0';
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(object + offset)));
}

JsonbContainer *
authz_claims_array(const JsonbValue *value)
{
	Jsonb	   *array;

	if (value->type == jbvBinary)
		return JsonContainerIsArray(value->val.binary.data) ? value->val.binary.data : NULL;
	if (value->type != jbvString)
		return NULL;
	array = spelt_array(value->val.string.val, value->val.string.len);
	return array != NULL ? &array->root : NULL;
}

/* The container below a value, for the next name of a path; NULL if it has none. */
static JsonbContainer *
below(const JsonbValue *value)
{
	return value->type == jbvBinary ? value->val.binary.data : NULL;
}

static bool
find_dotted(JsonbContainer *object, const char *path, JsonbValue *value)
{
	const char *end = path + strlen(path);

	if (authz_claims_member(object, path, end - path, value))
		return true;
	while (end > path)
	{
		end--;
		if (*end == '.' && authz_claims_member(object, path, end - path, value) &&
			below(value) != NULL && find_dotted(below(value), end + 1, value))
			return true;
	}
	return false;
}

static bool
find_names(JsonbContainer *object, Jsonb *names, JsonbValue *value)
{
	uint32		n = JsonContainerSize(&names->root);

	for (uint32 i = 0; i < n; i++)
	{
		JsonbValue *name = getIthJsonbValueFromContainer(&names->root, i);

		if (object == NULL || name->type != jbvString ||
			!authz_claims_member(object, name->val.string.val, name->val.string.len, value))
			return false;
		object = below(value);
	}
	return n > 0;
}

/* An element of an array by its index: decimal digits without leading zeros. */
static bool
find_element(JsonbContainer *array, const char *index, JsonbValue *value)
{
	size_t		length = strlen(index);
	JsonbValue *element;

	if (length == 0 || length > 6 || strspn(index, "0123456789") != length ||
		(index[0] == '0' && length > 1))
		return false;
	element = getIthJsonbValueFromContainer(array, atoi(index));
	if (element == NULL || element->type == jbvNull)
		return false;
	*value = *element;
	return true;
}

/* Take the next name of a JSON Pointer off *pointer; palloc'd, or NULL if it is malformed. */
static char *
next_name(const char **pointer)
{
	const char *next = *pointer + 1;	/* after the slash */
	char	   *name = palloc(strlen(next) + 1);
	char	   *end = name;

	for (; *next != '\0' && *next != '/'; next++)
	{
		if (*next != '~')
			*end++ = *next;
		else if (next[1] == '0' || next[1] == '1')
			*end++ = *++next == '0' ? '~' : '/';
		else
			return NULL;
	}
	*end = '\0';
	*pointer = next;
	return name;
}

static bool
find_pointer(JsonbContainer *container, const char *pointer, JsonbValue *value)
{
	while (*pointer == '/')
	{
		char	   *name = next_name(&pointer);

		if (name == NULL || container == NULL)
			return false;
		if (JsonContainerIsArray(container) ? !find_element(container, name, value) :
			!authz_claims_member(container, name, strlen(name), value))
			return false;
		container = below(value);
	}
	return true;
}

bool
authz_claims_find(Jsonb *claims, const char *path, JsonbValue *value)
{
	if (path[0] == '/')
		return find_pointer(&claims->root, path, value);
	if (path[0] == '[')
	{
		Jsonb	   *names = spelt_array(path, strlen(path));

		return names != NULL && find_names(&claims->root, names, value);
	}
	return find_dotted(&claims->root, path, value);
}

static const char *
array_problem(const char *path)
{
	Jsonb	   *names = spelt_array(path, strlen(path));

	if (names == NULL)
		return "it begins with [ but is not a JSON array";
	if (JsonContainerSize(&names->root) == 0)
		return "it names nothing";
	if (JsonContainerSize(&names->root) > AUTHZ_JSON_MAX_DEPTH)
		return "it goes deeper than tokens may";
	for (uint32 i = 0; i < JsonContainerSize(&names->root); i++)
	{
		JsonbValue *name = getIthJsonbValueFromContainer(&names->root, i);

		if (name->type != jbvString)
			return "an element of it is not a string";
		if (name->val.string.len == 0)
			return "an element of it is empty";
	}
	return NULL;
}

static const char *
pointer_problem(const char *path)
{
	int			n = 0;

	while (*path == '/')
	{
		char	   *name = next_name(&path);

		if (name == NULL)
			return "a ~ in it is not followed by 0 or 1";
		if (name[0] == '\0')
			return "a name in it is empty";
		n++;
	}
	return n > AUTHZ_JSON_MAX_DEPTH ? "it goes deeper than tokens may" : NULL;
}

const char *
authz_claims_path_problem(const char *path)
{
	size_t		length = strlen(path);

	if (length == 0)
		return "it is empty";
	if (length > MAX_PATH_LENGTH)
		return "it is longer than 1024 bytes";
	if (path[0] == '[')
		return array_problem(path);
	if (path[0] == '/')
		return pointer_problem(path);
	if (path[0] == ' ' || path[length - 1] == ' ')
		return "it begins or ends with a space";
	if (path[0] == '.' || path[length - 1] == '.' || strstr(path, "..") != NULL)
		return "a name in it is empty";
	return NULL;
}

/* authz.claim_path_problem(path text) returns text: what is wrong with it, or NULL */
Datum
authz_claim_path_problem(PG_FUNCTION_ARGS)
{
	const char *problem = authz_claims_path_problem(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
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
	JsonbContainer *array = NULL;
	JsonbIterator *iterator;
	JsonbValue	element;
	JsonbIteratorToken token;

	*result = NIL;
	if (split || value->type != jbvString)
		array = authz_claims_array(value);
	if (array == NULL && value->type == jbvString)
	{
		*result = split ? split_words(value) : list_make1(authz_claims_string(value));
		return true;
	}
	if (array == NULL)
		return false;

	iterator = JsonbIteratorInit(array);
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
