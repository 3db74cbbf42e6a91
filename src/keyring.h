/*-------------------------------------------------------------------------
 * keyring.h
 *	  Public keys and shared secrets, each parsed once and kept; signature
 *	  verification by libcrypto.  keyring.c and keyparse.c alone touch it.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_KEYRING_H
#define AUTHZ_KEYRING_H

#include "compat.h"

typedef struct AuthzKey AuthzKey;

/*
 * The parsed key for a key text (PEM SubjectPublicKeyInfo, JWK JSON object
 * (RFC 7517), or for HS* the raw secret), bound to one JWS algorithm (RFC
 * 7518, RFC 8037).  Content-addressed and kept in a bounded cache.  Returns
 * NULL and sets *reason (fixed English phrase, no part of the key) if the key
 * does not fit the algorithm.  The result is valid until the next call.
 */
extern const AuthzKey *authz_keyring_get(const char *algorithm, const char *key_text,
										 const char **reason);

/* Does the signature hold?  Any error inside libcrypto is false. */
extern bool authz_keyring_verify(const AuthzKey *key, const char *input, size_t input_length,
								 const unsigned char *signature, size_t signature_length);

#endif							/* AUTHZ_KEYRING_H */
