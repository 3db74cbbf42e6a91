/*-------------------------------------------------------------------------
 * pseudonym.c
 *	  Keyed masks: the same input has the same pseudonym, for joins, and
 *	  nobody can compute it, or test a guess, outside this database.  Inside
 *	  it, whoever may execute the functions can test guesses.
 *
 * The key is a row of authz.mask_key.  What is kept of it is a libcrypto MAC
 * that has been keyed; it is good while catalog.c's counter for that table
 * stands.  Without a key there is no pseudonym, but an error.
 *
 * libcrypto's memory belongs to no memory context.  Nothing below raises
 * between an allocation by libcrypto and its free or its being kept.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "catalog.h"

#define MAC_LENGTH			32	/* bytes of an HMAC-SHA-256 */
#define MIN_HASH_LENGTH		8	/* hexadecimal digits */
#define MAX_HASH_LENGTH		(2 * MAC_LENGTH)

/*
 * First byte of what is hashed: a text and a UUID of the same bytes are
 * unrelated.  Pseudonyms that are stored somewhere depend on these.
 */
#define DOMAIN_TEXT			't'
#define DOMAIN_UUID			'u'

/* The keyed MAC of this backend. */
static struct
{
	EVP_MAC_CTX *mac;			/* NULL: none yet */
	uint64		generation;		/* catalog.c's counter before the key was read */
}			current;

PG_FUNCTION_INFO_V1(authz_mask_hash);
PG_FUNCTION_INFO_V1(authz_mask_uuid);

/* HMAC-SHA-256 (RFC 2104) with this key, NULL on failure; the caller owns it. */
static EVP_MAC_CTX *
make_mac(const unsigned char *secret, size_t length)
{
	char		digest[] = "SHA256";
	OSSL_PARAM	parameters[2];
	EVP_MAC    *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *mac = algorithm == NULL ? NULL : EVP_MAC_CTX_new(algorithm);

	EVP_MAC_free(algorithm);
	parameters[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	parameters[1] = OSSL_PARAM_construct_end();
	if (mac != NULL && EVP_MAC_init(mac, secret, length, parameters) == 1)
		return mac;
	EVP_MAC_CTX_free(mac);
	ERR_clear_error();
	return NULL;
}

/* The MAC with the present key; raises if there is no key. */
static EVP_MAC_CTX *
get_mac(void)
{
	uint64		generation = authz_catalog_mask_key_generation();
	bytea	   *secret;
	EVP_MAC_CTX *mac;

	if (current.mac != NULL && current.generation == generation)
		return current.mac;

	secret = authz_catalog_mask_key();
	if (secret == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no key for pseudonyms"),
				 errhint("Have an administrator call authz.rotate_mask_key.")));
	mac = make_mac((unsigned char *) VARDATA(secret), VARSIZE(secret) - VARHDRSZ);
	explicit_bzero(VARDATA(secret), VARSIZE(secret) - VARHDRSZ);
	if (mac == NULL)
		elog(ERROR, "HMAC-SHA-256 is not available");

	/* If the counter moved meanwhile, this is used once. */
	EVP_MAC_CTX_free(current.mac);
	current.mac = mac;
	current.generation = generation;
	return mac;
}

static void
compute_mac(unsigned char domain, const void *input, size_t length, unsigned char result[MAC_LENGTH])
{
	EVP_MAC_CTX *mac = get_mac();
	size_t		written = 0;

	/* Without a key: start again with the one it has. */
	if (EVP_MAC_init(mac, NULL, 0, NULL) != 1 ||
		EVP_MAC_update(mac, &domain, 1) != 1 ||
		EVP_MAC_update(mac, input, length) != 1 ||
		EVP_MAC_final(mac, result, &written, MAC_LENGTH) != 1 ||
		written != MAC_LENGTH)
	{
		ERR_clear_error();
		elog(ERROR, "could not compute an HMAC-SHA-256");
	}
}

/*
 * authz.mask_hash(value text, length integer) returns text: the first `length`
 * hexadecimal digits of the HMAC of the value's bytes in the database's
 * encoding.  Among n values of d digits about n * n / 2 / 16^d pairs share one.
 */
Datum
authz_mask_hash(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	int32		length = PG_GETARG_INT32(1);
	unsigned char mac[MAC_LENGTH];
	char		digits[MAX_HASH_LENGTH];

	if (length < MIN_HASH_LENGTH || length > MAX_HASH_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the length of a hash mask must be between %d and %d", MIN_HASH_LENGTH, MAX_HASH_LENGTH),
				 errhint("Different values must not often share a hash: with 16 digits, some thousand million values can be told apart.")));
	compute_mac(DOMAIN_TEXT, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), mac);
	hex_encode((char *) mac, MAC_LENGTH, digits);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(digits, length));
}

/*
 * authz.mask_uuid(value uuid) returns uuid: the first 16 bytes of the HMAC of
 * the UUID's, marked as version 8 (RFC 9562 section 5.8).
 */
Datum
authz_mask_uuid(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *value = PG_GETARG_UUID_P(0);
	unsigned char mac[MAC_LENGTH];
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	compute_mac(DOMAIN_UUID, value->data, UUID_LEN, mac);
	memcpy(result->data, mac, UUID_LEN);
	result->data[6] = (result->data[6] & 0x0F) | 0x80;
	result->data[8] = (result->data[8] & 0x3F) | 0x80;
	PG_RETURN_UUID_P(result);
}
