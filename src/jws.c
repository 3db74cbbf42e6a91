/*-------------------------------------------------------------------------
 * jws.c
 *	  Strict reader of a compact JWS that holds a JWT claims set.
 *
 * One token has one spelling here: what could be written in two ways
 * (padding, white space, unused bits, duplicate names) is refused, so that a
 * token that was signed is the only one that verifies with these claims.
 *
 * A header that brings or points to a key (jwk, jku, x5u, x5c) is
 * refused rather than ignored: an honest issuer has no use for it here, and
 * nothing is ever fetched.  So is what changes the meaning of the rest (crit,
 * b64, enc, zip).  Other unknown members are ignored, as RFC 7515 section 4
 * demands.
 *-------------------------------------------------------------------------
 */
#include "jws.h"
#include "json.h"

#include <string.h>

/* Names in a header that refuse the token, whatever their value. */
static const char *const forbidden_members[] = {
	"crit", "b64", "jwk", "jku", "x5u", "x5c", "enc", "zip", NULL
};

/* What read_header looks at. */
typedef struct Header
{
	AuthzJson	alg;
	AuthzJson	kid;
	AuthzJson	typ;
	bool		is_forbidden;	/* one of forbidden_members is there */
} Header;

/* Where the segments of a token begin and end. */
typedef struct Segments
{
	const char *header;
	size_t		header_length;
	const char *claims;
	size_t		claims_length;
	const char *signature;
	size_t		signature_length;
} Segments;

/* Value of a base64url digit, or -1. */
static int
digit_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	if (c == '_')
		return 63;
	return -1;
}

long
authz_jws_decode_base64url(const char *in, size_t length, unsigned char *out)
{
	unsigned int bits = 0;		/* read, not yet written: the low nbits */
	int			nbits = 0;
	long		n = 0;

	if (length % 4 == 1)
		return -1;
	for (size_t i = 0; i < length; i++)
	{
		int			value = digit_value((unsigned char) in[i]);

		if (value < 0)
			return -1;
		bits = (bits << 6 | (unsigned int) value) & 0xFFF;
		nbits += 6;
		if (nbits >= 8)
		{
			nbits -= 8;
			out[n++] = (unsigned char) (bits >> nbits);
		}
	}
	/* Unused bits must be zero, or one text would have several spellings. */
	if ((bits & ((1U << nbits) - 1)) != 0)
		return -1;
	return n;
}

static AuthzJwsStatus
from_json_status(AuthzJsonStatus status)
{
	switch (status)
	{
		case AUTHZ_JSON_OK:
			return AUTHZ_JWS_OK;
		case AUTHZ_JSON_DUPLICATE_NAME:
			return AUTHZ_JWS_DUPLICATE_NAME;
		case AUTHZ_JSON_TOO_DEEP:
			return AUTHZ_JWS_TOO_DEEP;
		case AUTHZ_JSON_TOO_MANY:
			return AUTHZ_JWS_TOO_MANY;
		case AUTHZ_JSON_UNREAD:
		case AUTHZ_JSON_MALFORMED:
			break;
	}
	return AUTHZ_JWS_BAD_JSON;
}

/* Exactly three segments, none of them empty. */
static AuthzJwsStatus
split(const char *token, size_t length, Segments *segments)
{
	const char *end = token + length;
	const char *first = memchr(token, '.', length);
	const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t) (end - first - 1));

	if (second == NULL || memchr(second + 1, '.', (size_t) (end - second - 1)) != NULL)
		return AUTHZ_JWS_NOT_COMPACT;
	segments->header = token;
	segments->header_length = (size_t) (first - token);
	segments->claims = first + 1;
	segments->claims_length = (size_t) (second - first - 1);
	segments->signature = second + 1;
	segments->signature_length = (size_t) (end - second - 1);
	if (segments->header_length == 0 || segments->claims_length == 0)
		return AUTHZ_JWS_NOT_COMPACT;
	if (segments->signature_length == 0)
		return AUTHZ_JWS_UNSIGNED;
	return AUTHZ_JWS_OK;
}

/* AuthzJsonVisitor of a header. */
static void
visit_header(void *state, const AuthzJson *name, const AuthzJson *value)
{
	Header	   *header = state;

	if (authz_json_equals(name, "alg"))
		header->alg = *value;
	else if (authz_json_equals(name, "kid"))
		header->kid = *value;
	else if (authz_json_equals(name, "typ"))
		header->typ = *value;
	for (int i = 0; forbidden_members[i] != NULL; i++)
	{
		if (authz_json_equals(name, forbidden_members[i]))
			header->is_forbidden = true;
	}
}

/* Equal in ASCII without regard to case? */
static bool
same_word(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
	{
		char		c = *a >= 'A' && *a <= 'Z' ? (char) (*a + 32) : *a;
		char		d = *b >= 'A' && *b <= 'Z' ? (char) (*b + 32) : *b;

		if (c != d)
			return false;
	}
	return *a == *b;
}

/* typ is a media type without regard to case; "application/" may be left out (RFC 7515 4.1.9). */
static AuthzJwsStatus
read_type(const AuthzJson *typ, AuthzJws *jws)
{
	char		type[32];

	if (typ->type == AUTHZ_JSON_ABSENT)
		return AUTHZ_JWS_OK;
	if (typ->type != AUTHZ_JSON_STRING)
		return AUTHZ_JWS_BAD_HEADER;
	if (authz_json_decode(typ, type, sizeof(type)) < 0)
		return AUTHZ_JWS_BAD_TYPE;
	jws->has_type = true;
	jws->is_access_token = same_word(type, "at+jwt") || same_word(type, "application/at+jwt");
	if (!jws->is_access_token && !same_word(type, "JWT") && !same_word(type, "application/JWT"))
		return AUTHZ_JWS_BAD_TYPE;
	return AUTHZ_JWS_OK;
}

static AuthzJwsStatus
read_header(const char *text, size_t length, AuthzJws *jws)
{
	Header		header;
	AuthzJsonStatus status;

	memset(&header, 0, sizeof(header));
	status = authz_json_read(text, length, visit_header, &header);
	if (status != AUTHZ_JSON_OK)
		return from_json_status(status);
	if (header.is_forbidden)
		return AUTHZ_JWS_FORBIDDEN_HEADER;
	if (authz_json_decode(&header.alg, jws->algorithm, sizeof(jws->algorithm)) <= 0)
		return AUTHZ_JWS_BAD_HEADER;
	jws->has_kid = header.kid.type != AUTHZ_JSON_ABSENT;
	if (jws->has_kid && authz_json_decode(&header.kid, jws->kid, sizeof(jws->kid)) <= 0)
		return AUTHZ_JWS_BAD_HEADER;
	return read_type(&header.typ, jws);
}

/*
 * Decode and read all segments into `jws`, which the caller clears if the
 * result is not AUTHZ_JWS_OK.  The buffer holds claims, NUL, signature and,
 * for the duration of this call, the header.
 */
static AuthzJwsStatus
read_segments(const Segments *segments, unsigned char *buffer, AuthzJws *jws)
{
	unsigned char *header;
	long		claims_length = authz_jws_decode_base64url(segments->claims, segments->claims_length, buffer);
	long		signature_length;
	long		header_length;
	AuthzJwsStatus status;

	if (claims_length < 0)
		return AUTHZ_JWS_BAD_BASE64URL;
	buffer[claims_length] = '\0';
	jws->claims = (const char *) buffer;
	jws->claims_length = (size_t) claims_length;
	jws->signature = buffer + claims_length + 1;
	signature_length = authz_jws_decode_base64url(segments->signature, segments->signature_length,
												  buffer + claims_length + 1);
	if (signature_length < 0)
		return AUTHZ_JWS_BAD_BASE64URL;
	jws->signature_length = (size_t) signature_length;
	header = buffer + claims_length + 1 + signature_length;
	header_length = authz_jws_decode_base64url(segments->header, segments->header_length, header);
	if (header_length < 0)
		return AUTHZ_JWS_BAD_BASE64URL;
	status = read_header((const char *) header, (size_t) header_length, jws);
	if (status != AUTHZ_JWS_OK)
		return status;
	return from_json_status(authz_json_read(jws->claims, jws->claims_length, NULL, NULL));
}

AuthzJwsStatus
authz_jws_read(const char *token, size_t length, size_t max_length,
			   unsigned char *buffer, AuthzJws *jws)
{
	Segments	segments;
	AuthzJwsStatus status;

	memset(jws, 0, sizeof(*jws));
	if (length > max_length)
		return AUTHZ_JWS_TOO_LONG;
	status = split(token, length, &segments);
	if (status != AUTHZ_JWS_OK)
		return status;
	status = read_segments(&segments, buffer, jws);
	if (status != AUTHZ_JWS_OK)
	{
		memset(jws, 0, sizeof(*jws));
		return status;
	}
	jws->signing_input = token;
	jws->signing_input_length = segments.header_length + 1 + segments.claims_length;
	return AUTHZ_JWS_OK;
}

const char *
authz_jws_reason(AuthzJwsStatus status)
{
	switch (status)
	{
		case AUTHZ_JWS_UNREAD:
			break;
		case AUTHZ_JWS_OK:
			return "well-formed";
		case AUTHZ_JWS_TOO_LONG:
			return "too long";
		case AUTHZ_JWS_NOT_COMPACT:
			return "not a compact JWS of three segments";
		case AUTHZ_JWS_UNSIGNED:
			return "no signature";
		case AUTHZ_JWS_BAD_BASE64URL:
			return "not canonical base64url";
		case AUTHZ_JWS_BAD_JSON:
			return "header or claims not a strict JSON object";
		case AUTHZ_JWS_DUPLICATE_NAME:
			return "duplicate member name";
		case AUTHZ_JWS_TOO_DEEP:
			return "nested too deeply";
		case AUTHZ_JWS_TOO_MANY:
			return "too many members";
		case AUTHZ_JWS_BAD_HEADER:
			return "header member alg, kid or typ missing or malformed";
		case AUTHZ_JWS_FORBIDDEN_HEADER:
			return "header member not allowed (crit, b64, jwk, jku, x5u, x5c, enc or zip)";
		case AUTHZ_JWS_BAD_TYPE:
			return "type is neither JWT nor at+jwt";
	}
	return "not read";
}
