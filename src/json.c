/*-------------------------------------------------------------------------
 * json.c
 *	  Strict reader of one JSON object (RFC 8259).
 *
 * Stricter than the grammar where two readers could understand the same bytes
 * differently, for then the signer and the verifier would not mean the same
 * claims: UTF-8 only (no byte order mark, overlong form or surrogate), no
 * U+0000 and no lone surrogate in any spelling, member names unique after
 * their escapes are resolved, and bounds on depth, members and numbers.
 *
 * The names of all open objects stand in one array, those of the innermost
 * object last; a name is compared with its object's names by hash first.  That
 * is at most AUTHZ_JSON_MAX_MEMBERS comparisons a member, so the whole is
 * linear in the length of the text.
 *-------------------------------------------------------------------------
 */
#include "json.h"

#include <stdint.h>
#include <string.h>

/* A member name of an object that is still open. */
typedef struct OpenName
{
	uint64_t	hash;			/* of the code points */
	AuthzJson	name;
} OpenName;

typedef struct Reader
{
	const char *at;
	const char *end;
	int			depth;			/* objects and arrays around `at` */
	int			nnames;
	AuthzJsonStatus status;		/* why a read_ function returned false */
	AuthzJsonVisitor visit;
	void	   *state;
	OpenName	names[AUTHZ_JSON_MAX_OPEN_MEMBERS];
} Reader;

static bool read_value(Reader *reader, AuthzJson *value);

static bool
refuse(Reader *reader, AuthzJsonStatus status)
{
	reader->status = status;
	return false;
}

/* Four hexadecimal digits; NULL if they are not. */
static const char *
read_hex4(const char *at, const char *end, uint32_t *code)
{
	*code = 0;
	if (end - at < 4)
		return NULL;
	for (int i = 0; i < 4; i++)
	{
		char		c = at[i];

		if (c >= '0' && c <= '9')
			*code = *code << 4 | (uint32_t) (c - '0');
		else if (c >= 'a' && c <= 'f')
			*code = *code << 4 | (uint32_t) (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			*code = *code << 4 | (uint32_t) (c - 'A' + 10);
		else
			return NULL;
	}
	return at + 4;
}

/* An escape, `at` behind its backslash. */
static const char *
read_escape(const char *at, const char *end, uint32_t *code)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	uint32_t	low;

	if (at == end || *at == '\0')
		return NULL;
	if (*at != 'u')
	{
		letter = strchr(letters, *at);
		if (letter == NULL)
			return NULL;
		*code = (unsigned char) meanings[letter - letters];
		return at + 1;
	}
	at = read_hex4(at + 1, end, code);
	if (at == NULL || *code == 0 || (*code >= 0xDC00 && *code <= 0xDFFF))
		return NULL;
	if (*code < 0xD800 || *code > 0xDBFF)
		return at;
	if (end - at < 2 || at[0] != '\\' || at[1] != 'u')
		return NULL;
	at = read_hex4(at + 2, end, &low);
	if (at == NULL || low < 0xDC00 || low > 0xDFFF)
		return NULL;
	*code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
	return at;
}

/* A character of two to four bytes (RFC 3629). */
static const char *
read_utf8(const char *at, const char *end, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char) *at;
	int			more;			/* bytes after the first */

	if (first >= 0xC2 && first <= 0xDF)
		more = 1;
	else if (first >= 0xE0 && first <= 0xEF)
		more = 2;
	else if (first >= 0xF0 && first <= 0xF4)
		more = 3;
	else
		return NULL;
	if (end - at <= more)
		return NULL;
	*code = first & (0x3F >> more);
	for (int i = 1; i <= more; i++)
	{
		if (((unsigned char) at[i] & 0xC0) != 0x80)
			return NULL;
		*code = *code << 6 | ((unsigned char) at[i] & 0x3F);
	}
	if (*code < smallest[more] || *code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF))
		return NULL;
	return at + more + 1;
}

/*
 * One character inside a string, however it is spelled.  Returns what follows
 * it, or NULL if it is malformed or the closing quote.  Needs at < end.
 */
static const char *
read_character(const char *at, const char *end, uint32_t *code)
{
	unsigned char c = (unsigned char) *at;

	if (c < 0x20 || c == '"')
		return NULL;
	if (c == '\\')
		return read_escape(at + 1, end, code);
	if (c >= 0x80)
		return read_utf8(at, end, code);
	*code = c;
	return at + 1;
}

/* A string, `at` on its opening quote; `hash` is over its code points (FNV-1a). */
static bool
read_string(Reader *reader, AuthzJson *value, uint64_t *hash)
{
	const char *at = reader->at + 1;
	uint32_t	code;

	value->type = AUTHZ_JSON_STRING;
	value->text = at;
	*hash = UINT64_C(0xcbf29ce484222325);
	while (at != NULL && at != reader->end && *at != '"')
	{
		at = read_character(at, reader->end, &code);
		*hash = (*hash ^ code) * UINT64_C(0x100000001b3);
	}
	if (at == NULL || at == reader->end)
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	value->length = (size_t) (at - value->text);
	reader->at = at + 1;
	return true;
}

/* Step over digits; how many. */
static size_t
skip_digits(Reader *reader)
{
	const char *start = reader->at;

	while (reader->at != reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return (size_t) (reader->at - start);
}

static bool
skip_byte(Reader *reader, char byte)
{
	if (reader->at == reader->end || *reader->at != byte)
		return false;
	reader->at++;
	return true;
}

/*
 * A number.  Its length and exponent are bounded: "1e999999999" is a short
 * text for what no reader behind us can hold.
 */
static bool
read_number(Reader *reader, AuthzJson *value)
{
	size_t		digits;

	value->type = AUTHZ_JSON_NUMBER;
	value->text = reader->at;
	skip_byte(reader, '-');
	if (!skip_byte(reader, '0') && skip_digits(reader) == 0)
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	if (skip_byte(reader, '.') && skip_digits(reader) == 0)
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	if (skip_byte(reader, 'e') || skip_byte(reader, 'E'))
	{
		if (!skip_byte(reader, '-'))
			skip_byte(reader, '+');
		digits = skip_digits(reader);
		if (digits == 0 || digits > AUTHZ_JSON_MAX_EXPONENT)
			return refuse(reader, AUTHZ_JSON_MALFORMED);
	}
	value->length = (size_t) (reader->at - value->text);
	if (value->length > AUTHZ_JSON_MAX_NUMBER)
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	return true;
}

static bool
read_literal(Reader *reader, AuthzJson *value, AuthzJsonType type, const char *literal)
{
	size_t		length = strlen(literal);

	if ((size_t) (reader->end - reader->at) < length ||
		memcmp(reader->at, literal, length) != 0)
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	value->type = type;
	value->text = reader->at;
	value->length = length;
	reader->at += length;
	return true;
}

static void
skip_space(Reader *reader)
{
	while (reader->at != reader->end &&
		   (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r'))
		reader->at++;
}

/* Two accepted strings with the same characters? */
static bool
same_string(const AuthzJson *a, const AuthzJson *b)
{
	const char *p = a->text;
	const char *q = b->text;
	const char *p_end = p + a->length;
	const char *q_end = q + b->length;
	uint32_t	c = 0;
	uint32_t	d = 0;

	while (p != p_end && q != q_end)
	{
		p = read_character(p, p_end, &c);
		q = read_character(q, q_end, &d);
		if (p == NULL || q == NULL || c != d)
			return false;
	}
	return p == p_end && q == q_end;
}

/* Enter a member name; `first` is where the names of its object begin. */
static bool
add_name(Reader *reader, int first, const AuthzJson *name, uint64_t hash)
{
	OpenName   *open = reader->names;

	for (int i = first; i < reader->nnames; i++)
	{
		if (open[i].hash == hash && same_string(&open[i].name, name))
			return refuse(reader, AUTHZ_JSON_DUPLICATE_NAME);
	}
	if (reader->nnames - first >= AUTHZ_JSON_MAX_MEMBERS ||
		reader->nnames >= AUTHZ_JSON_MAX_OPEN_MEMBERS)
		return refuse(reader, AUTHZ_JSON_TOO_MANY);
	open[reader->nnames].hash = hash;
	open[reader->nnames].name = *name;
	reader->nnames++;
	return true;
}

/* "name": value, with the white space around it. */
static bool
read_member(Reader *reader, int first)
{
	AuthzJson	name;
	AuthzJson	value;
	uint64_t	hash;

	skip_space(reader);
	if (reader->at == reader->end || *reader->at != '"')
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	if (!read_string(reader, &name, &hash) || !add_name(reader, first, &name, hash))
		return false;
	skip_space(reader);
	if (!skip_byte(reader, ':'))
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	if (!read_value(reader, &value))
		return false;
	if (reader->depth == 1 && reader->visit != NULL)
		reader->visit(reader->state, &name, &value);
	return true;
}

/* The inside of an object or array, `at` behind the opening bracket. */
static bool
read_members(Reader *reader, bool is_object)
{
	char		closing = is_object ? '}' : ']';
	int			first = reader->nnames;
	AuthzJson	element;

	skip_space(reader);
	if (skip_byte(reader, closing))
		return true;
	do
	{
		if (!(is_object ? read_member(reader, first) : read_value(reader, &element)))
			return false;
		skip_space(reader);
	} while (skip_byte(reader, ','));
	if (!skip_byte(reader, closing))
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	reader->nnames = first;
	return true;
}

/* An object or array; recursion ends at AUTHZ_JSON_MAX_DEPTH. */
static bool
read_container(Reader *reader, AuthzJson *value)
{
	bool		is_object = *reader->at == '{';

	if (reader->depth >= AUTHZ_JSON_MAX_DEPTH)
		return refuse(reader, AUTHZ_JSON_TOO_DEEP);
	value->type = is_object ? AUTHZ_JSON_OBJECT : AUTHZ_JSON_ARRAY;
	value->text = reader->at++;
	reader->depth++;
	if (!read_members(reader, is_object))
		return false;
	reader->depth--;
	value->length = (size_t) (reader->at - value->text);
	return true;
}

/* Any value, with white space before it. */
static bool
read_value(Reader *reader, AuthzJson *value)
{
	uint64_t	hash;

	skip_space(reader);
	if (reader->at == reader->end)
		return refuse(reader, AUTHZ_JSON_MALFORMED);
	switch (*reader->at)
	{
		case '"':
			return read_string(reader, value, &hash);
		case '{':
		case '[':
			return read_container(reader, value);
		case 't':
			return read_literal(reader, value, AUTHZ_JSON_TRUE, "true");
		case 'f':
			return read_literal(reader, value, AUTHZ_JSON_FALSE, "false");
		case 'n':
			return read_literal(reader, value, AUTHZ_JSON_NULL, "null");
		default:
			return read_number(reader, value);
	}
}

/* `names` stays uninitialized: only the first `nnames` are ever read. */
static void
init_reader(Reader *reader, const char *text, size_t length)
{
	reader->at = text;
	reader->end = text + length;
	reader->depth = 0;
	reader->nnames = 0;
	reader->status = AUTHZ_JSON_UNREAD;
	reader->visit = NULL;
	reader->state = NULL;
}

AuthzJsonStatus
authz_json_read(const char *text, size_t length, AuthzJsonVisitor visit, void *state)
{
	Reader		reader;
	AuthzJson	value;

	init_reader(&reader, text, length);
	reader.visit = visit;
	reader.state = state;
	skip_space(&reader);
	if (reader.at == reader.end || *reader.at != '{')
		return AUTHZ_JSON_MALFORMED;
	if (!read_container(&reader, &value))
		return reader.status;
	skip_space(&reader);
	return reader.at == reader.end ? AUTHZ_JSON_OK : AUTHZ_JSON_MALFORMED;
}

bool
authz_json_equals(const AuthzJson *value, const char *string)
{
	const char *at = value->text;
	const char *end;
	uint32_t	code;

	if (value->type != AUTHZ_JSON_STRING)
		return false;
	end = at + value->length;
	/* `string` is ASCII, so a character is a byte of it. */
	for (; at != end; string++)
	{
		at = read_character(at, end, &code);
		if (at == NULL || code != (unsigned char) *string)
			return false;
	}
	return *string == '\0';
}

static size_t
write_utf8(uint32_t code, char *out)
{
	if (code < 0x80)
	{
		out[0] = (char) code;
		return 1;
	}
	if (code < 0x800)
	{
		out[0] = (char) (0xC0 | code >> 6);
		out[1] = (char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		out[0] = (char) (0xE0 | code >> 12);
		out[1] = (char) (0x80 | (code >> 6 & 0x3F));
		out[2] = (char) (0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (char) (0xF0 | code >> 18);
	out[1] = (char) (0x80 | (code >> 12 & 0x3F));
	out[2] = (char) (0x80 | (code >> 6 & 0x3F));
	out[3] = (char) (0x80 | (code & 0x3F));
	return 4;
}

long
authz_json_decode(const AuthzJson *value, char *out, size_t size)
{
	const char *at = value->text;
	const char *end;
	size_t		used = 0;

	if (value->type != AUTHZ_JSON_STRING)
		return -1;
	end = at + value->length;
	while (at != end)
	{
		char		character[4];
		uint32_t	code;
		size_t		n;

		at = read_character(at, end, &code);
		if (at == NULL)
			return -1;
		n = write_utf8(code, character);
		if (used + n >= size)
			return -1;
		memcpy(out + used, character, n);
		used += n;
	}
	if (used >= size)
		return -1;
	out[used] = '\0';
	return (long) used;
}

bool
authz_json_array_has(const AuthzJson *value, const char *string)
{
	Reader		reader;
	AuthzJson	element;

	if (value->type != AUTHZ_JSON_ARRAY)
		return false;
	init_reader(&reader, value->text + 1, value->length - 1);
	do
	{
		if (!read_value(&reader, &element))
			return false;		/* the closing bracket of an empty array */
		if (authz_json_equals(&element, string))
			return true;
		skip_space(&reader);
	} while (skip_byte(&reader, ','));
	return false;
}
