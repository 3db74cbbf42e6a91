/*-------------------------------------------------------------------------
 * jws_fuzz.c
 *	  libFuzzer target for jws.c and json.c.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *		-Isrc -o jws_fuzz test/unit/jws_fuzz.c src/jws.c src/json.c
 *	./jws_fuzz -max_len=4096 -max_total_time=60 new-corpus test/unit/corpus
 *
 * The first byte of an input says what the rest is: 'T' a token, 'P' the
 * header, a newline and the claims, which are encoded here so that the fuzzer
 * need not find base64url by itself, 'J' a JSON object.  Every input is a copy
 * of exactly its size, so that a read past its end is seen.
 *-------------------------------------------------------------------------
 */
#include "jws.h"
#include "json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Canonical base64url of RFC 7515; the length. */
static size_t
encode(const unsigned char *in, size_t length, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t		n = 0;

	for (size_t i = 0; i < length; i += 3)
	{
		size_t		left = length - i;
		uint32_t	bits = (uint32_t) in[i] << 16;

		bits |= left > 1 ? (uint32_t) in[i + 1] << 8 : 0;
		bits |= left > 2 ? (uint32_t) in[i + 2] : 0;
		out[n++] = digits[bits >> 18];
		out[n++] = digits[bits >> 12 & 63];
		if (left > 1)
			out[n++] = digits[bits >> 6 & 63];
		if (left > 2)
			out[n++] = digits[bits & 63];
	}
	return n;
}

/* Bytes that encode to exactly this text? */
static void
check_segment(const unsigned char *bytes, size_t length, const char *text, size_t text_length)
{
	char	   *again = malloc(length * 4 / 3 + 4);

	CHECK(encode(bytes, length, again) == text_length);
	CHECK(memcmp(again, text, text_length) == 0);
	free(again);
}

/* UTF-8 by another way than json.c's: RFC 3629 section 4, byte ranges. */
static void
check_utf8(const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + length;

	while (p < end)
	{
		unsigned char c = *p++;
		unsigned char low = 0x80;
		unsigned char high = 0xBF;
		int			more = c < 0x80 ? 0 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;

		CHECK(c < 0x80 || (c >= 0xC2 && c <= 0xF4));
		CHECK(c != 0);
		if (c == 0xE0)
			low = 0xA0;
		if (c == 0xED)
			high = 0x9F;
		if (c == 0xF0)
			low = 0x90;
		if (c == 0xF4)
			high = 0x8F;
		for (; more > 0; more--)
		{
			CHECK(p < end && *p >= low && *p <= high);
			p++;
			low = 0x80;
			high = 0xBF;
		}
	}
}

/* What visit_member has seen. */
typedef struct Seen
{
	const char *text;
	size_t		length;
	size_t		members;
} Seen;

static void
visit_member(void *state, const AuthzJson *name, const AuthzJson *value)
{
	Seen	   *seen = state;
	size_t		size = name->length + 1;	/* no escape is shorter than what it stands for */
	char	   *decoded = malloc(size);
	long		length = authz_json_decode(name, decoded, size);

	CHECK(name->type == AUTHZ_JSON_STRING && value->type != AUTHZ_JSON_ABSENT);
	CHECK(name->text > seen->text && name->text + name->length < value->text);
	CHECK(value->text + value->length <= seen->text + seen->length);
	CHECK(length >= 0 && strlen(decoded) == (size_t) length);
	check_utf8(decoded, (size_t) length);
	CHECK(length == 0 || authz_json_decode(name, decoded, (size_t) length) == -1);
	authz_json_array_has(value, "verify");
	authz_json_equals(value, "JWT");
	seen->members++;
	free(decoded);
}

/* Brackets outside strings: balanced, and no deeper than allowed. */
static void
check_depth(const char *text, size_t length)
{
	int			depth = 0;
	int			is_string = 0;

	for (size_t i = 0; i < length; i++)
	{
		if (is_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			is_string = !is_string;
		else if (!is_string && (text[i] == '{' || text[i] == '['))
			CHECK(++depth <= AUTHZ_JSON_MAX_DEPTH);
		else if (!is_string && (text[i] == '}' || text[i] == ']'))
			CHECK(--depth >= 0);
	}
	CHECK(depth == 0 && !is_string);
}

static AuthzJsonStatus
try_json(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size);
	Seen		seen = {text, size, 0};
	AuthzJsonStatus status;

	if (size > 0)
		memcpy(text, data, size);
	status = authz_json_read(text, size, visit_member, &seen);
	CHECK(status != AUTHZ_JSON_UNREAD);
	CHECK(seen.members <= AUTHZ_JSON_MAX_MEMBERS);
	if (status == AUTHZ_JSON_OK)
	{
		check_utf8(text, size);
		check_depth(text, size);
		/* A proper prefix is never an object, unless only white space is missing. */
		CHECK(strchr(" \t\r\n", text[size - 1]) != NULL ||
			  authz_json_read(text, size - 1, NULL, NULL) != AUTHZ_JSON_OK);
	}
	free(text);
	return status;
}

static void
check_accepted(const char *token, size_t size, const AuthzJws *jws)
{
	const char *first = memchr(token, '.', size);
	size_t		header_length = (size_t) (first - token);
	unsigned char *header = malloc(size);
	long		length = authz_jws_decode_base64url(token, header_length, header);

	CHECK(jws->signing_input == token && jws->signing_input_length < size);
	CHECK(token[jws->signing_input_length] == '.');
	CHECK(length > 0 && jws->claims_length > 0 && jws->signature_length > 0);
	check_segment(header, (size_t) length, token, header_length);
	check_segment((const unsigned char *) jws->claims, jws->claims_length,
				  first + 1, jws->signing_input_length - header_length - 1);
	check_segment(jws->signature, jws->signature_length,
				  token + jws->signing_input_length + 1, size - jws->signing_input_length - 1);
	CHECK(strlen(jws->claims) == jws->claims_length);
	CHECK(try_json(header, (size_t) length) == AUTHZ_JSON_OK);
	CHECK(try_json((const uint8_t *) jws->claims, jws->claims_length) == AUTHZ_JSON_OK);
	CHECK(jws->algorithm[0] != '\0' && strlen(jws->algorithm) <= AUTHZ_JWS_MAX_ALG);
	CHECK(jws->has_kid == (jws->kid[0] != '\0') && strlen(jws->kid) <= AUTHZ_JWS_MAX_KID);
	CHECK(jws->has_type || !jws->is_access_token);
	free(header);
}

static void
try_token(const char *data, size_t size)
{
	static const AuthzJws nothing;
	char	   *token = malloc(size);
	unsigned char *buffer = malloc(size + 3);
	AuthzJws	jws;
	AuthzJwsStatus status;

	if (size > 0)
		memcpy(token, data, size);
	status = authz_jws_read(token, size, size, buffer, &jws);
	CHECK(status != AUTHZ_JWS_UNREAD && authz_jws_reason(status) != NULL);
	if (status == AUTHZ_JWS_OK)
		check_accepted(token, size, &jws);
	else
		CHECK(memcmp(&jws, &nothing, sizeof(jws)) == 0);
	if (size > 0)
		CHECK(authz_jws_read(token, size, size - 1, buffer, &jws) == AUTHZ_JWS_TOO_LONG);
	free(token);
	free(buffer);
}

/* header, newline, claims: encode and sign with a byte. */
static void
try_parts(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);
	size_t		header_length;
	size_t		n;
	char	   *token;

	if (newline == NULL)
		return;
	header_length = (size_t) (newline - data);
	token = malloc(size * 4 / 3 + 16);
	n = encode(data, header_length, token);
	token[n++] = '.';
	n += encode(newline + 1, size - header_length - 1, token + n);
	memcpy(token + n, ".AA", 3);
	try_token(token, n + 3);
	free(token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 'T')
		try_token((const char *) data + 1, size - 1);
	else if (data[0] == 'P')
		try_parts(data + 1, size - 1);
	else if (data[0] == 'J')
		try_json(data + 1, size - 1);
	return 0;
}
