/*-------------------------------------------------------------------------
 * digest.c
 *	  SHA-256, over pieces.
 *
 * The algorithm is looked up once and the context is used again: the one-call
 * SHA256() looks up each time, which takes longer than hashing a record.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <openssl/evp.h>

#include "digest.h"

static EVP_MD *algorithm = NULL;
static EVP_MD_CTX *context = NULL;

static void
require(bool done)
{
	if (!done)
		elog(ERROR, "could not compute SHA-256");
}

void
authz_digest_begin(void)
{
	if (algorithm == NULL)
		algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (context == NULL)
		context = EVP_MD_CTX_new();
	require(algorithm != NULL && context != NULL &&
			EVP_DigestInit_ex(context, algorithm, NULL) == 1);
}

void
authz_digest_add(const void *data, size_t length)
{
	require(EVP_DigestUpdate(context, data, length) == 1);
}

void
authz_digest_end(uint8 *digest)
{
	require(EVP_DigestFinal_ex(context, digest, NULL) == 1);
}

void
authz_digest_of(const void *data, size_t length, uint8 *digest)
{
	authz_digest_begin();
	authz_digest_add(data, length);
	authz_digest_end(digest);
}

void
authz_digest_to_hex(const uint8 *digest, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < AUTHZ_DIGEST_LENGTH; i++)
	{
		*hex++ = digits[digest[i] >> 4];
		*hex++ = digits[digest[i] & 15];
	}
}
