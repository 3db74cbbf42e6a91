/*-------------------------------------------------------------------------
 * jws_test.c
 *	  Unit test of jws.c and json.c: TAP on standard output, exit status 1 if a
 *	  case fails.
 *
 *	cc -Isrc -o jws_test test/unit/jws_test.c src/jws.c src/json.c && ./jws_test
 *
 * Each refusal stands next to the nearest thing that is accepted.  Everything
 * is read from a heap copy of exact size, so that a sanitizer sees a read too
 * far.
 *-------------------------------------------------------------------------
 */
#include "jws.h"
#include "json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD_HEADER		"{\"alg\":\"HS256\"}"
#define MAX_TOKEN		16384

static int	ntests = 0;
static int	nfailed = 0;

/* A header and the status of a token that has it. */
typedef struct HeaderCase
{
	AuthzJwsStatus status;
	const char *title;
	const char *header;
} HeaderCase;

/* A claims set; `length` is 0 for a C string. */
typedef struct ClaimsCase
{
	AuthzJwsStatus status;
	const char *title;
	const char *claims;
	size_t		length;
} ClaimsCase;

/* A whole token. */
typedef struct TokenCase
{
	AuthzJwsStatus status;
	const char *title;
	const char *token;
	size_t		length;			/* 0 for a C string */
} TokenCase;

static void
ok(bool passed, const char *group, const char *title)
{
	ntests++;
	if (!passed)
		nfailed++;
	printf("%sok %d - %s: %s\n", passed ? "" : "not ", ntests, group, title);
}

/* Canonical base64url; the length. */
static size_t
encode(const char *in, size_t length, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *bytes = (const unsigned char *) in;
	size_t		n = 0;

	for (size_t i = 0; i < length; i += 3)
	{
		size_t		left = length - i;
		uint32_t	bits = (uint32_t) bytes[i] << 16;

		bits |= left > 1 ? (uint32_t) bytes[i + 1] << 8 : 0;
		bits |= left > 2 ? (uint32_t) bytes[i + 2] : 0;
		out[n++] = digits[bits >> 18];
		out[n++] = digits[bits >> 12 & 63];
		if (left > 1)
			out[n++] = digits[bits >> 6 & 63];
		if (left > 2)
			out[n++] = digits[bits & 63];
	}
	return n;
}

/* Read; a failed read must leave all zeroes.  *jws points into memory that the next call frees. */
static AuthzJwsStatus
read_token(const char *token, size_t length, size_t max_length, AuthzJws *jws)
{
	static const AuthzJws nothing;
	static char *copy = NULL;
	static unsigned char *buffer = NULL;
	AuthzJwsStatus status;

	free(copy);
	free(buffer);
	copy = malloc(length > 0 ? length : 1);
	buffer = malloc(length + 3);
	memcpy(copy, token, length);
	memset(jws, 0x55, sizeof(*jws));
	status = authz_jws_read(copy, length, max_length, buffer, jws);
	if (status != AUTHZ_JWS_OK && memcmp(jws, &nothing, sizeof(nothing)) != 0)
	{
		printf("# a refused token left something behind\n");
		return AUTHZ_JWS_UNREAD;
	}
	return status;
}

static AuthzJwsStatus
read_parts(const char *header, const char *claims, size_t claims_length, AuthzJws *jws)
{
	char	   *token = malloc((strlen(header) + claims_length) * 4 / 3 + 32);
	size_t		n = encode(header, strlen(header), token);
	AuthzJwsStatus status;

	token[n++] = '.';
	n += encode(claims, claims_length, token + n);
	memcpy(token + n, ".c2ln", 5);
	n += 5;
	status = read_token(token, n, n, jws);
	free(token);
	return status;
}

static void
check_status(AuthzJwsStatus got, AuthzJwsStatus expected, const char *group, const char *title)
{
	ok(got == expected, group, title);
	if (got != expected)
		printf("# got \"%s\", expected \"%s\"\n", authz_jws_reason(got), authz_jws_reason(expected));
}

static void
test_tokens(void)
{
	/* eyJhbGciOiJIUzI1NiJ9 is GOOD_HEADER, e30 is {}, c2ln is "sig". */
	static const TokenCase cases[] = {
		{AUTHZ_JWS_OK, "three segments", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", 0},
		{AUTHZ_JWS_OK, "a signature of one byte", "eyJhbGciOiJIUzI1NiJ9.e30.AA", 0},
		{AUTHZ_JWS_NOT_COMPACT, "the empty string", "", 0},
		{AUTHZ_JWS_NOT_COMPACT, "one segment", "eyJhbGciOiJIUzI1NiJ9", 0},
		{AUTHZ_JWS_NOT_COMPACT, "two segments", "eyJhbGciOiJIUzI1NiJ9.e30", 0},
		{AUTHZ_JWS_NOT_COMPACT, "four segments", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln.", 0},
		{AUTHZ_JWS_NOT_COMPACT, "five segments of a JWE", "eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA", 0},
		{AUTHZ_JWS_NOT_COMPACT, "JSON serialisation, flattened",
		"{\"protected\":\"eyJhbGciOiJIUzI1NiJ9\",\"payload\":\"e30\",\"signature\":\"c2ln\"}", 0},
		{AUTHZ_JWS_NOT_COMPACT, "JSON serialisation, general",
		"{\"payload\":\"e30\",\"signatures\":[{\"protected\":\"eyJhbGciOiJIUzI1NiJ9\",\"signature\":\"c2ln\"}]}", 0},
		{AUTHZ_JWS_NOT_COMPACT, "dots only", "..", 0},
		{AUTHZ_JWS_NOT_COMPACT, "empty header", ".e30.c2ln", 0},
		{AUTHZ_JWS_NOT_COMPACT, "empty claims (detached payload)", "eyJhbGciOiJIUzI1NiJ9..c2ln", 0},
		{AUTHZ_JWS_UNSIGNED, "empty signature", "eyJhbGciOiJIUzI1NiJ9.e30.", 0},
		{AUTHZ_JWS_UNSIGNED, "alg none as RFC 7519 section 6.1 has it", "eyJhbGciOiJub25lIn0.e30.", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "padding in the claims", "eyJhbGciOiJIUzI1NiJ9.e30=.c2ln", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "padding in the signature", "eyJhbGciOiJIUzI1NiJ9.e30.AA==", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "unused bits set in the header", "eyJhbGciOiJub25lIn1.e30.c2ln", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "unused bits set in the claims", "eyJhbGciOiJIUzI1NiJ9.e31.c2ln", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "unused bits set in the signature", "eyJhbGciOiJIUzI1NiJ9.e30.AB", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "a digit too many", "eyJhbGciOiJIUzI1NiJ9.e30.c2lnA", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "plus of base64", "eyJhbGciOiJIUzI1NiJ9.e30.+AAA", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "slash of base64", "eyJhbGciOiJIUzI1NiJ9.e30./AAA", 0},
		{AUTHZ_JWS_OK, "minus and underscore of base64url", "eyJhbGciOiJIUzI1NiJ9.e30.-_AA", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "space before", " eyJhbGciOiJIUzI1NiJ9.e30.c2ln", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "newline after", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln\n", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "space inside", "eyJhbGciOiJIUzI1NiJ9.e 30.c2ln", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "NUL inside", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln\0AAA", 33},
		{AUTHZ_JWS_BAD_BASE64URL, "a byte above 127", "eyJhbGciOiJIUzI1NiJ9.e30.c2l\xc3\xa9", 0},
		{AUTHZ_JWS_BAD_BASE64URL, "Bearer in front", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln", 0}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		size_t		length = cases[i].length > 0 ? cases[i].length : strlen(cases[i].token);
		AuthzJws	jws;

		check_status(read_token(cases[i].token, length, MAX_TOKEN, &jws), cases[i].status,
					 "token", cases[i].title);
	}
}

static void
test_headers(void)
{
	static const HeaderCase cases[] = {
		{AUTHZ_JWS_OK, "alg alone", GOOD_HEADER},
		{AUTHZ_JWS_OK, "white space around", " \t\r\n{ \"alg\" : \"HS256\" }\n"},
		{AUTHZ_JWS_OK, "none is a name like others: no key has it", "{\"alg\":\"none\"}"},
		{AUTHZ_JWS_BAD_HEADER, "no alg", "{\"typ\":\"JWT\"}"},
		{AUTHZ_JWS_BAD_HEADER, "alg in capitals is not alg", "{\"ALG\":\"HS256\"}"},
		{AUTHZ_JWS_BAD_HEADER, "alg null", "{\"alg\":null}"},
		{AUTHZ_JWS_BAD_HEADER, "alg a number", "{\"alg\":256}"},
		{AUTHZ_JWS_BAD_HEADER, "alg an array", "{\"alg\":[\"HS256\"]}"},
		{AUTHZ_JWS_BAD_HEADER, "alg empty", "{\"alg\":\"\"}"},
		{AUTHZ_JWS_OK, "alg of 15 bytes", "{\"alg\":\"HS2567890123456\"}"},
		{AUTHZ_JWS_BAD_HEADER, "alg of 16 bytes", "{\"alg\":\"HS25678901234567\"}"},
		{AUTHZ_JWS_OK, "kid", "{\"alg\":\"HS256\",\"kid\":\"k\"}"},
		{AUTHZ_JWS_BAD_HEADER, "kid empty", "{\"alg\":\"HS256\",\"kid\":\"\"}"},
		{AUTHZ_JWS_BAD_HEADER, "kid null", "{\"alg\":\"HS256\",\"kid\":null}"},
		{AUTHZ_JWS_BAD_HEADER, "kid a number", "{\"alg\":\"HS256\",\"kid\":1}"},
		{AUTHZ_JWS_BAD_HEADER, "kid an object", "{\"alg\":\"HS256\",\"kid\":{}}"},
		{AUTHZ_JWS_BAD_JSON, "kid with a NUL", "{\"alg\":\"HS256\",\"kid\":\"k\\u0000\"}"},
		{AUTHZ_JWS_OK, "typ JWT", "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"},
		{AUTHZ_JWS_OK, "typ jwt", "{\"alg\":\"HS256\",\"typ\":\"jwt\"}"},
		{AUTHZ_JWS_OK, "typ application/jwt", "{\"alg\":\"HS256\",\"typ\":\"application/jwt\"}"},
		{AUTHZ_JWS_OK, "typ AT+JWT", "{\"alg\":\"HS256\",\"typ\":\"AT+JWT\"}"},
		{AUTHZ_JWS_OK, "typ application/at+jwt", "{\"alg\":\"HS256\",\"typ\":\"Application\\/at+jwt\"}"},
		{AUTHZ_JWS_BAD_TYPE, "typ empty", "{\"alg\":\"HS256\",\"typ\":\"\"}"},
		{AUTHZ_JWS_BAD_TYPE, "typ JOSE", "{\"alg\":\"HS256\",\"typ\":\"JOSE\"}"},
		{AUTHZ_JWS_BAD_TYPE, "typ logout+jwt", "{\"alg\":\"HS256\",\"typ\":\"logout+jwt\"}"},
		{AUTHZ_JWS_BAD_TYPE, "typ JWT and a space", "{\"alg\":\"HS256\",\"typ\":\"JWT \"}"},
		{AUTHZ_JWS_BAD_TYPE, "typ JW", "{\"alg\":\"HS256\",\"typ\":\"JW\"}"},
		{AUTHZ_JWS_BAD_TYPE, "typ too long", "{\"alg\":\"HS256\",\"typ\":\"application/application/application/jwt\"}"},
		{AUTHZ_JWS_BAD_HEADER, "typ null", "{\"alg\":\"HS256\",\"typ\":null}"},
		{AUTHZ_JWS_BAD_HEADER, "typ an array", "{\"alg\":\"HS256\",\"typ\":[\"JWT\"]}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "crit", "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "crit empty", "{\"alg\":\"HS256\",\"crit\":[]}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "crit null", "{\"alg\":\"HS256\",\"crit\":null}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "crit with an escape in its name", "{\"alg\":\"HS256\",\"cr\\u0069t\":[]}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "b64 false", "{\"alg\":\"HS256\",\"b64\":false}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "b64 true", "{\"alg\":\"HS256\",\"b64\":true}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "jwk", "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "jku", "{\"alg\":\"HS256\",\"jku\":\"https://a.example/\"}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "x5u", "{\"alg\":\"HS256\",\"x5u\":\"https://a.example/\"}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "x5c", "{\"alg\":\"HS256\",\"x5c\":[\"AA==\"]}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "enc", "{\"alg\":\"dir\",\"enc\":\"A128GCM\"}"},
		{AUTHZ_JWS_FORBIDDEN_HEADER, "zip", "{\"alg\":\"HS256\",\"zip\":\"DEF\"}"},
		{AUTHZ_JWS_OK, "what is unknown is ignored", "{\"alg\":\"HS256\",\"x\":{\"crit\":[],\"jwk\":1},\"JKU\":\"\"}"},
		{AUTHZ_JWS_DUPLICATE_NAME, "alg twice", "{\"alg\":\"none\",\"alg\":\"HS256\"}"},
		{AUTHZ_JWS_DUPLICATE_NAME, "alg twice, once with an escape", "{\"\\u0061lg\":\"none\",\"alg\":\"HS256\"}"},
		{AUTHZ_JWS_BAD_JSON, "an array", "[\"alg\",\"HS256\"]"},
		{AUTHZ_JWS_BAD_JSON, "a string", "\"HS256\""},
		{AUTHZ_JWS_BAD_JSON, "two objects", "{\"alg\":\"HS256\"}{}"}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		AuthzJws	jws;

		check_status(read_parts(cases[i].header, "{}", 2, &jws), cases[i].status,
					 "header", cases[i].title);
	}
}

static void
test_claims(void)
{
	static const ClaimsCase cases[] = {
		{AUTHZ_JWS_OK, "empty object", "{}", 0},
		{AUTHZ_JWS_OK, "every kind of value", "{\"a\":[1,\"b\",true,false,null,{},[]]}", 0},
		{AUTHZ_JWS_BAD_JSON, "nothing but a space", " ", 0},
		{AUTHZ_JWS_BAD_JSON, "null", "null", 0},
		{AUTHZ_JWS_BAD_JSON, "an array", "[]", 0},
		{AUTHZ_JWS_BAD_JSON, "a nested JWT", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", 0},
		{AUTHZ_JWS_BAD_JSON, "bytes after the object", "{}x", 0},
		{AUTHZ_JWS_OK, "white space after the object", "{} \n", 0},
		{AUTHZ_JWS_BAD_JSON, "NUL after the object", "{}\0", 3},
		{AUTHZ_JWS_BAD_JSON, "NUL between tokens", "{\0}", 3},
		{AUTHZ_JWS_BAD_JSON, "NUL in a string", "{\"a\":\"\0\"}", 9},
		{AUTHZ_JWS_BAD_JSON, "vertical tab as white space", "{\v}", 0},
		{AUTHZ_JWS_BAD_JSON, "no-break space as white space", "{\xc2\xa0}", 0},
		{AUTHZ_JWS_BAD_JSON, "byte order mark", "\xef\xbb\xbf{}", 0},
		{AUTHZ_JWS_BAD_JSON, "UTF-16", "{\0}\0", 4},
		{AUTHZ_JWS_BAD_JSON, "open object", "{", 0},
		{AUTHZ_JWS_BAD_JSON, "open array", "{\"a\":[1", 0},
		{AUTHZ_JWS_BAD_JSON, "open string", "{\"a", 0},
		{AUTHZ_JWS_BAD_JSON, "wrong bracket", "{\"a\":[1}}", 0},
		{AUTHZ_JWS_BAD_JSON, "comma before the end", "{\"a\":1,}", 0},
		{AUTHZ_JWS_BAD_JSON, "comma before the end of an array", "{\"a\":[1,]}", 0},
		{AUTHZ_JWS_BAD_JSON, "two commas", "{\"a\":[1,,2]}", 0},
		{AUTHZ_JWS_BAD_JSON, "no comma", "{\"a\":1 \"b\":2}", 0},
		{AUTHZ_JWS_BAD_JSON, "no colon", "{\"a\" 1}", 0},
		{AUTHZ_JWS_BAD_JSON, "no value", "{\"a\":}", 0},
		{AUTHZ_JWS_BAD_JSON, "name without quotes", "{a:1}", 0},
		{AUTHZ_JWS_BAD_JSON, "name in single quotes", "{'a':1}", 0},
		{AUTHZ_JWS_BAD_JSON, "a number as name", "{1:1}", 0},
		{AUTHZ_JWS_BAD_JSON, "comment", "{/**/}", 0},
		{AUTHZ_JWS_BAD_JSON, "True", "{\"a\":True}", 0},
		{AUTHZ_JWS_BAD_JSON, "nul", "{\"a\":nul}", 0},
		{AUTHZ_JWS_BAD_JSON, "nullx", "{\"a\":nullx}", 0}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		size_t		length = cases[i].length > 0 ? cases[i].length : strlen(cases[i].claims);
		AuthzJws	jws;

		check_status(read_parts(GOOD_HEADER, cases[i].claims, length, &jws), cases[i].status,
					 "claims", cases[i].title);
	}
}

static void
test_strings(void)
{
	static const ClaimsCase cases[] = {
		{AUTHZ_JWS_OK, "every escape", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "unknown escape", "{\"a\":\"\\x\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "escape of NUL byte", "{\"a\":\"\\\0\"}", 10},
		{AUTHZ_JWS_BAD_JSON, "\\u of three digits", "{\"a\":\"\\u041\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "\\u at the end", "{\"a\":\"\\u00", 0},
		{AUTHZ_JWS_BAD_JSON, "\\U", "{\"a\":\"\\U0041\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "\\u0000", "{\"a\":\"\\u0000\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "\\u0000 in a name", "{\"a\\u0000b\":1}", 0},
		{AUTHZ_JWS_OK, "\\u0001", "{\"a\":\"\\u0001\"}", 0},
		{AUTHZ_JWS_OK, "surrogate pair", "{\"a\":\"\\uD83D\\ude00\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "lone high surrogate", "{\"a\":\"\\ud83d\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "lone low surrogate", "{\"a\":\"\\ude00\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "high surrogate, then a letter", "{\"a\":\"\\ud83d\\u0041\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "two high surrogates", "{\"a\":\"\\ud83d\\ud83d\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "lone surrogate in a name", "{\"\\udc00\":1}", 0},
		{AUTHZ_JWS_BAD_JSON, "newline in a string", "{\"a\":\"\n\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "tab in a string", "{\"a\":\"\t\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "control character in a string", "{\"a\":\"\x1f\"}", 0},
		{AUTHZ_JWS_OK, "U+007F", "{\"a\":\"\x7f\"}", 0},
		{AUTHZ_JWS_OK, "two, three, four bytes", "{\"a\":\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "overlong slash, two bytes", "{\"a\":\"\xc0\xaf\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "overlong, three bytes", "{\"a\":\"\xe0\x9f\xbf\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "overlong, four bytes", "{\"a\":\"\xf0\x8f\xbf\xbf\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "NUL as two bytes", "{\"a\":\"\xc0\x80\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", 0},
		{AUTHZ_JWS_OK, "last before the surrogates", "{\"a\":\"\xed\x9f\xbf\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "above U+10FFFF", "{\"a\":\"\xf4\x90\x80\x80\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "five bytes", "{\"a\":\"\xf8\x88\x80\x80\x80\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "continuation alone", "{\"a\":\"\x80\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "continuation missing", "{\"a\":\"\xc3\"}", 0},
		{AUTHZ_JWS_BAD_JSON, "continuation missing at the very end", "{\"a\":\"\xe2\x82", 0},
		{AUTHZ_JWS_BAD_JSON, "Latin-1", "{\"a\":\"\xe9\"}", 0}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		size_t		length = cases[i].length > 0 ? cases[i].length : strlen(cases[i].claims);
		AuthzJws	jws;

		check_status(read_parts(GOOD_HEADER, cases[i].claims, length, &jws), cases[i].status,
					 "string", cases[i].title);
	}
}

static void
test_numbers(void)
{
	static const struct
	{
		AuthzJwsStatus status;
		const char *number;
	}			cases[] = {
		{AUTHZ_JWS_OK, "0"}, {AUTHZ_JWS_OK, "-0"}, {AUTHZ_JWS_OK, "10"}, {AUTHZ_JWS_OK, "0.05"},
		{AUTHZ_JWS_OK, "-1.5e+10"}, {AUTHZ_JWS_OK, "1E-2"}, {AUTHZ_JWS_OK, "1e999"},
		{AUTHZ_JWS_OK, "1234567890123456789012345678901234567890123456789012345678901234"},
		{AUTHZ_JWS_BAD_JSON, "12345678901234567890123456789012345678901234567890123456789012345"},
		{AUTHZ_JWS_BAD_JSON, "1e1000"}, {AUTHZ_JWS_BAD_JSON, "1e-1000"}, {AUTHZ_JWS_BAD_JSON, "1e999999999"},
		{AUTHZ_JWS_BAD_JSON, "01"}, {AUTHZ_JWS_BAD_JSON, "-01"}, {AUTHZ_JWS_BAD_JSON, "00"},
		{AUTHZ_JWS_BAD_JSON, "+1"}, {AUTHZ_JWS_BAD_JSON, "-"}, {AUTHZ_JWS_BAD_JSON, ".5"},
		{AUTHZ_JWS_BAD_JSON, "5."}, {AUTHZ_JWS_BAD_JSON, "1e"}, {AUTHZ_JWS_BAD_JSON, "1e+"},
		{AUTHZ_JWS_BAD_JSON, "1e+-1"}, {AUTHZ_JWS_BAD_JSON, "1.e1"}, {AUTHZ_JWS_BAD_JSON, "0x10"},
		{AUTHZ_JWS_BAD_JSON, "NaN"}, {AUTHZ_JWS_BAD_JSON, "Infinity"}, {AUTHZ_JWS_BAD_JSON, "-Infinity"},
		{AUTHZ_JWS_BAD_JSON, "1_000"}, {AUTHZ_JWS_BAD_JSON, "1 0"}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		claims[128];
		AuthzJws	jws;

		snprintf(claims, sizeof(claims), "{\"exp\":%s}", cases[i].number);
		check_status(read_parts(GOOD_HEADER, claims, strlen(claims), &jws), cases[i].status,
					 "number", cases[i].number);
	}
}

static void
test_names(void)
{
	static const ClaimsCase cases[] = {
		{AUTHZ_JWS_DUPLICATE_NAME, "twice", "{\"sub\":\"a\",\"sub\":\"b\"}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "twice with the same value", "{\"sub\":\"a\",\"sub\":\"a\"}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "twice, not in succession", "{\"a\":1,\"b\":{},\"c\":[],\"a\":2}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "twice the empty name", "{\"\":1,\"\":2}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "once with an escape", "{\"sub\":1,\"s\\u0075b\":2}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "two spellings of an escape", "{\"a\\/\":1,\"a\\u002f\":2}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "hexadecimal digits in capitals", "{\"\\u00e9\":1,\"\\u00E9\":2}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "UTF-8 and escape", "{\"\xc3\xa9\":1,\"\\u00e9\":2}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "UTF-8 and surrogate pair", "{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "in an object inside", "{\"a\":{\"b\":1,\"b\":2}}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "in an object in an array", "{\"a\":[0,{\"b\":1,\"\\u0062\":2}]}", 0},
		{AUTHZ_JWS_DUPLICATE_NAME, "after an object with the same names", "{\"a\":{\"b\":1},\"b\":1,\"a\":2}", 0},
		{AUTHZ_JWS_OK, "the same name in other objects", "{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]},\"b\":{\"a\":1}}", 0},
		{AUTHZ_JWS_OK, "another case", "{\"sub\":1,\"Sub\":2,\"SUB\":3}", 0},
		{AUTHZ_JWS_OK, "a prefix", "{\"su\":1,\"sub\":2,\"s\":3}", 0},
		{AUTHZ_JWS_OK, "composed and decomposed", "{\"\xc3\xa9\":1,\"e\xcc\x81\":2}", 0}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		AuthzJws	jws;

		check_status(read_parts(GOOD_HEADER, cases[i].claims, strlen(cases[i].claims), &jws),
					 cases[i].status, "name", cases[i].title);
	}
}

/* An object of `members` members inside `depth` - 1 others, each with `around` members of its own before. */
static AuthzJwsStatus
read_nested(int depth, int around, int members)
{
	char	   *claims = malloc((size_t) (depth * around + members + depth) * 16 + 16);
	char	   *at = claims;
	AuthzJws	jws;
	AuthzJwsStatus status;

	for (int level = 1; level < depth; level++)
	{
		at += sprintf(at, "{");
		for (int i = 0; i < around - 1; i++)
			at += sprintf(at, "\"m%d\":1,", i);
		at += sprintf(at, "\"n\":");
	}
	at += sprintf(at, "{");
	for (int i = 0; i < members; i++)
		at += sprintf(at, "%s\"m%d\":1", i > 0 ? "," : "", i);
	for (int level = 0; level < depth; level++)
		at += sprintf(at, "}");
	status = read_parts(GOOD_HEADER, claims, (size_t) (at - claims), &jws);
	free(claims);
	return status;
}

static void
test_limits(void)
{
	static const char token[] = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln";
	char		header[512];
	char		deep[64];
	AuthzJws	jws;

	check_status(read_nested(16, 1, 0), AUTHZ_JWS_OK, "limit", "depth 16");
	check_status(read_nested(17, 1, 0), AUTHZ_JWS_TOO_DEEP, "limit", "depth 17");
	strcpy(deep, "{\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}");
	check_status(read_parts(GOOD_HEADER, deep, strlen(deep), &jws), AUTHZ_JWS_OK, "limit", "depth 16 by arrays");
	strcpy(deep, "{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}");
	check_status(read_parts(GOOD_HEADER, deep, strlen(deep), &jws), AUTHZ_JWS_TOO_DEEP, "limit", "depth 17 by arrays");
	check_status(read_nested(1, 1, 256), AUTHZ_JWS_OK, "limit", "256 members");
	check_status(read_nested(1, 1, 257), AUTHZ_JWS_TOO_MANY, "limit", "257 members");
	check_status(read_nested(5, 200, 200), AUTHZ_JWS_OK, "limit", "1000 members of open objects");
	check_status(read_nested(6, 200, 200), AUTHZ_JWS_TOO_MANY, "limit", "1200 members of open objects");
	check_status(read_token(token, strlen(token), strlen(token), &jws), AUTHZ_JWS_OK, "limit", "just as long as allowed");
	check_status(read_token(token, strlen(token), strlen(token) - 1, &jws), AUTHZ_JWS_TOO_LONG, "limit", "a byte too long");
	sprintf(header, "{\"alg\":\"HS256\",\"kid\":\"%0255d\"}", 7);
	check_status(read_parts(header, "{}", 2, &jws), AUTHZ_JWS_OK, "limit", "kid of 255 bytes");
	sprintf(header, "{\"alg\":\"HS256\",\"kid\":\"%0256d\"}", 7);
	check_status(read_parts(header, "{}", 2, &jws), AUTHZ_JWS_BAD_HEADER, "limit", "kid of 256 bytes");
}

static void
test_results(void)
{
	AuthzJws	jws;

	check_status(read_parts("{\"alg\":\"E\\u0053256\",\"kid\":\"\\u00fc/\\/\",\"typ\":\"at+jwt\"}",
							"{\"a\" : 1}", 9, &jws), AUTHZ_JWS_OK, "result", "read");
	ok(strcmp(jws.algorithm, "ES256") == 0, "result", "algorithm, its escape resolved");
	ok(jws.has_kid && strcmp(jws.kid, "\xc3\xbc//") == 0, "result", "kid, its escapes resolved");
	ok(jws.has_type && jws.is_access_token, "result", "at+jwt is an access token");
	ok(jws.claims_length == 9 && strcmp(jws.claims, "{\"a\" : 1}") == 0, "result", "claims as they were signed");
	ok(jws.signature_length == 3 && memcmp(jws.signature, "sig", 3) == 0, "result", "signature");
	ok(jws.signing_input[jws.signing_input_length] == '.' &&
	   strncmp(jws.signing_input + jws.signing_input_length, ".c2ln", 5) == 0, "result", "signing input ends before the signature");
	check_status(read_parts("{\"alg\":\"RS256\",\"typ\":\"JWT\"}", "{}", 2, &jws), AUTHZ_JWS_OK, "result", "read");
	ok(jws.has_type && !jws.is_access_token, "result", "JWT is no access token");
	ok(!jws.has_kid && jws.kid[0] == '\0', "result", "no kid");
	check_status(read_parts(GOOD_HEADER, "{}", 2, &jws), AUTHZ_JWS_OK, "result", "read");
	ok(!jws.has_type && !jws.is_access_token, "result", "no typ");
}

static void
test_base64url(void)
{
	static const struct
	{
		const char *text;
		long		length;
		const char *bytes;
	}			cases[] = {
		{"", 0, ""}, {"Zg", 1, "f"}, {"Zm8", 2, "fo"}, {"Zm9v", 3, "foo"}, {"Zm9vYg", 4, "foob"},
		{"_-8", 2, "\xff\xef"},
		{"Z", -1, ""}, {"Zh", -1, ""}, {"Zm9", -1, ""}, {"Zm9vY", -1, ""}, {"Zg==", -1, ""},
		{"Zm 9v", -1, ""}, {"Zm9v\n", -1, ""}, {"Zm+v", -1, ""}
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		unsigned char out[16];
		long		length = authz_jws_decode_base64url(cases[i].text, strlen(cases[i].text), out);

		ok(length == cases[i].length &&
		   (length <= 0 || memcmp(out, cases[i].bytes, (size_t) length) == 0), "base64url", cases[i].text[0] == '\0' ? "nothing" : "case");
	}
}

/* AuthzJsonVisitor: keep the member "v". */
static void
keep_v(void *state, const AuthzJson *name, const AuthzJson *value)
{
	if (authz_json_equals(name, "v"))
		*(AuthzJson *) state = *value;
}

static void
test_json(void)
{
	static const char with[] = "{\"v\":[\"sign\", {\"a\":[\"verify\"]}, \"verif\\u0079\" ]}";
	static const char without[] = "{\"v\":[ \"sign\",[\"verify\"],\"verify \",1]}";
	static const char empty[] = "{\"v\":[]}";
	AuthzJson	value = {AUTHZ_JSON_ABSENT, NULL, 0};
	char		out[8];

	ok(!authz_json_equals(&value, "") && authz_json_decode(&value, out, sizeof(out)) == -1 &&
	   !authz_json_array_has(&value, ""), "json", "an absent member is nothing");
	authz_json_read(with, strlen(with), keep_v, &value);
	ok(authz_json_array_has(&value, "verify"), "json", "array has the string");
	authz_json_read(without, strlen(without), keep_v, &value);
	ok(!authz_json_array_has(&value, "verify"), "json", "array has it only inside another");
	authz_json_read(empty, strlen(empty), keep_v, &value);
	ok(!authz_json_array_has(&value, "verify"), "json", "empty array has nothing");
	authz_json_read("{\"v\":\"1234567\"}", 15, keep_v, &value);
	ok(authz_json_decode(&value, out, sizeof(out)) == 7 && strcmp(out, "1234567") == 0, "json", "a string that just fits");
	authz_json_read("{\"v\":\"12345678\"}", 16, keep_v, &value);
	ok(authz_json_decode(&value, out, sizeof(out)) == -1, "json", "a string that does not fit");
}

int
main(void)
{
	test_tokens();
	test_headers();
	test_claims();
	test_strings();
	test_numbers();
	test_names();
	test_limits();
	test_results();
	test_base64url();
	test_json();
	printf("1..%d\n", ntests);
	return nfailed == 0 ? 0 : 1;
}
