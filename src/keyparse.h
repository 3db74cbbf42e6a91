/*-------------------------------------------------------------------------
 * keyparse.h
 *	  From a key text to a libcrypto key that fits one JWS algorithm.  Pure C
 *	  over libcrypto: no postgres.h, so nothing in it can raise.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_KEYPARSE_H
#define AUTHZ_KEYPARSE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>

typedef enum AuthzKeyFamily
{
	AUTHZ_KEY_HMAC,
	AUTHZ_KEY_RSA,				/* RSASSA-PKCS1-v1_5 */
	AUTHZ_KEY_RSA_PSS,
	AUTHZ_KEY_EC,
	AUTHZ_KEY_EDDSA
} AuthzKeyFamily;

/* A JWS algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1). */
typedef struct AuthzAlgorithm
{
	const char *name;			/* alg */
	AuthzKeyFamily family;
	const char *digest;			/* libcrypto's name; NULL for EdDSA */
	size_t		digest_length;	/* bytes */
	const char *curve;			/* JWK crv, for ES* only */
	const char *group;			/* libcrypto's name of that curve */
	size_t		coordinate_length;	/* bytes of x, y, r and s */
} AuthzAlgorithm;

/* NULL for a name that is not one of ours: "none" and every other spelling of it. */
extern const AuthzAlgorithm *authz_keyparse_algorithm(const char *name);

/*
 * A key of the caller's, to be freed by EVP_PKEY_free, and the exact length
 * of its signatures in bytes; or NULL and a fixed English phrase.  Leaves
 * libcrypto's error queue empty.  Some 34 kB of stack.
 */
extern EVP_PKEY *authz_keyparse(const AuthzAlgorithm *algorithm, const char *key_text,
								size_t *signature_length, const char **reason);

#endif							/* AUTHZ_KEYPARSE_H */
