/*-------------------------------------------------------------------------
 * keyring.c
 *	  Parsed keys of this backend, and signature verification.
 *
 * Parsing a key costs more than using it, so a parsed key is kept, found by
 * its algorithm and the SHA-256 of its text.  An entry never goes stale: a
 * changed text is another entry.  Whether a key may still be used is not
 * asked here; the caller read its text from the catalog just now.  When
 * KEYRING_SIZE entries are there, the one not used for longest goes.
 *
 * libcrypto's memory belongs to no memory context.  Nothing below raises
 * between an allocation by libcrypto and its free, except that a kept key
 * lives in its entry, which is there before the key is.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "fmgr.h"
#include "lib/ilist.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "keyparse.h"
#include "keyring.h"

#define KEYRING_SIZE			256 /* entries */
#define MAX_ECDSA_DER_LENGTH	160 /* bytes; P-521 needs 139 */

/* What an entry is found by; compared as bytes. */
typedef struct KeyId
{
	unsigned char digest[32];	/* SHA-256 of the key text */
	const AuthzAlgorithm *algorithm;
} KeyId;

struct AuthzKey
{
	KeyId		id;				/* hash key, must be first */
	dlist_node	node;			/* in `by_use` */
	EVP_PKEY   *pkey;			/* owned by this entry */
	size_t		signature_length;	/* bytes of every valid signature */
};

/* Both NULL or empty until the first key. */
static HTAB *keyring = NULL;
static dlist_head by_use = DLIST_STATIC_INIT(by_use);	/* last used first */

PG_FUNCTION_INFO_V1(authz_key_problem);
PG_FUNCTION_INFO_V1(authz_jwk_algorithm);

static void
create_keyring(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(KeyId);
	control.entrysize = sizeof(AuthzKey);
	control.hcxt = AllocSetContextCreate(TopMemoryContext, "authz keyring", ALLOCSET_DEFAULT_SIZES);
	keyring = hash_create("authz keyring", KEYRING_SIZE, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
remove_key(AuthzKey *key)
{
	EVP_PKEY_free(key->pkey);
	dlist_delete(&key->node);
	hash_search(keyring, &key->id, HASH_REMOVE, NULL);
}

static void
make_id(KeyId *id, const AuthzAlgorithm *algorithm, const char *key_text)
{
	unsigned int length;

	memset(id, 0, sizeof(*id));
	id->algorithm = algorithm;
	if (!EVP_Digest(key_text, strlen(key_text), id->digest, &length, EVP_sha256(), NULL) ||
		length != sizeof(id->digest))
	{
		ERR_clear_error();
		elog(ERROR, "SHA-256 is not available");
	}
}

const AuthzKey *
authz_keyring_get(const char *algorithm, const char *key_text, const char **reason)
{
	const AuthzAlgorithm *bound = authz_keyparse_algorithm(algorithm);
	KeyId		id;
	AuthzKey   *key;
	bool		found;

	*reason = NULL;
	if (bound == NULL)
	{
		*reason = "unknown algorithm";
		return NULL;
	}
	if (keyring == NULL)
		create_keyring();
	make_id(&id, bound, key_text);
	key = hash_search(keyring, &id, HASH_ENTER, &found);
	if (found)
	{
		dlist_move_head(&by_use, &key->node);
		return key;
	}
	dlist_push_head(&by_use, &key->node);
	key->signature_length = 0;
	key->pkey = authz_keyparse(bound, key_text, &key->signature_length, reason);
	if (key->pkey == NULL)
	{
		remove_key(key);
		return NULL;
	}
	if (hash_get_num_entries(keyring) > KEYRING_SIZE)
		remove_key(dlist_tail_element(AuthzKey, node, &by_use));
	return key;
}

/* HMAC (RFC 2104): make ours and compare in constant time. */
static bool
verify_hmac(const AuthzKey *key, EVP_MD_CTX *context, const char *input, size_t input_length,
			const unsigned char *signature)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t		length = sizeof(mac);
	bool		holds;

	holds = EVP_DigestSignInit_ex(context, NULL, key->id.algorithm->digest, NULL, NULL,
								  key->pkey, NULL) == 1 &&
		EVP_DigestSign(context, mac, &length, (const unsigned char *) input, input_length) == 1 &&
		length == key->signature_length &&
		CRYPTO_memcmp(mac, signature, length) == 0;
	OPENSSL_cleanse(mac, sizeof(mac));
	return holds;
}

/*
 * r || s of RFC 7518 section 3.4 to the DER that libcrypto wants; its length,
 * or 0.  That 0 < r, s < n is for libcrypto to check.
 */
static size_t
encode_ecdsa(const AuthzKey *key, const unsigned char *signature,
			 unsigned char der[MAX_ECDSA_DER_LENGTH])
{
	int			half = (int) key->id.algorithm->coordinate_length;
	ECDSA_SIG  *pair = ECDSA_SIG_new();
	BIGNUM	   *r = BN_bin2bn(signature, half, NULL);
	BIGNUM	   *s = BN_bin2bn(signature + half, half, NULL);
	unsigned char *at = der;
	int			length = 0;

	if (pair == NULL || r == NULL || s == NULL || !ECDSA_SIG_set0(pair, r, s))
	{
		BN_free(r);
		BN_free(s);
	}
	else if (i2d_ECDSA_SIG(pair, NULL) <= MAX_ECDSA_DER_LENGTH)
		length = i2d_ECDSA_SIG(pair, &at);
	ECDSA_SIG_free(pair);
	return length > 0 ? (size_t) length : 0;
}

/* All that has a public key. */
static bool
verify_public(const AuthzKey *key, EVP_MD_CTX *context, const char *input, size_t input_length,
			  const unsigned char *signature, size_t signature_length)
{
	AuthzKeyFamily family = key->id.algorithm->family;
	EVP_PKEY_CTX *key_context;
	unsigned char der[MAX_ECDSA_DER_LENGTH];

	if (EVP_DigestVerifyInit_ex(context, &key_context, key->id.algorithm->digest, NULL, NULL,
								key->pkey, NULL) != 1)
		return false;
	/* The salt is as long as the hash, MGF1 uses the same hash (RFC 7518 section 3.5). */
	if (family == AUTHZ_KEY_RSA_PSS &&
		(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) != 1 ||
		 EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) != 1))
		return false;
	if (family == AUTHZ_KEY_EC)
	{
		signature_length = encode_ecdsa(key, signature, der);
		signature = der;
	}
	return signature_length > 0 &&
		EVP_DigestVerify(context, signature, signature_length,
						 (const unsigned char *) input, input_length) == 1;
}

bool
authz_keyring_verify(const AuthzKey *key, const char *input, size_t input_length,
					 const unsigned char *signature, size_t signature_length)
{
	EVP_MD_CTX *context;
	bool		holds = false;

	/* RFC 7518 knows one length for each key; libcrypto would forgive some others. */
	if (signature_length != key->signature_length)
		return false;
	context = EVP_MD_CTX_new();
	if (context != NULL)
		holds = key->id.algorithm->family == AUTHZ_KEY_HMAC ?
			verify_hmac(key, context, input, input_length, signature) :
			verify_public(key, context, input, input_length, signature, signature_length);
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return holds;
}

/*
 * authz.key_problem(algorithm text, key text) returns text: NULL if the key is
 * fit for the algorithm, else why not.  Nothing of the key is in the answer.
 */
Datum
authz_key_problem(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *key_text = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const AuthzAlgorithm *algorithm = authz_keyparse_algorithm(name);
	const char *reason = "unknown algorithm";
	size_t		signature_length;

	if (algorithm != NULL)
		EVP_PKEY_free(authz_keyparse(algorithm, key_text, &signature_length, &reason));
	OPENSSL_cleanse(key_text, strlen(key_text));
	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}

/* A string member of an object, palloc'd; NULL if it is absent or no string. */
static char *
get_string(Jsonb *object, const char *name)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&object->root, name, strlen(name), &value) == NULL ||
		value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/*
 * authz.jwk_algorithm(jwk jsonb) returns text: the JWS algorithm to bind a key
 * of a JWKS to, as `alg` says or, for want of it, as the key's type suggests
 * (RS256 for RSA, what Ed25519, Ed448 and the NIST curves are for).  NULL if
 * nothing follows: a shared secret without `alg`, an algorithm that is not for
 * signatures or not known here.
 */
Datum
authz_jwk_algorithm(PG_FUNCTION_ARGS)
{
	static const char *const defaults[][3] = {
		/* kty, crv, alg */
		{"RSA", NULL, "RS256"},
		{"EC", "P-256", "ES256"},
		{"EC", "P-384", "ES384"},
		{"EC", "P-521", "ES512"},
		{"OKP", "Ed25519", "EdDSA"},
		{"OKP", "Ed448", "EdDSA"}
	};
	Jsonb	   *jwk = PG_GETARG_JSONB_P(0);
	JsonbValue	value;
	char	   *alg;
	char	   *kty;
	char	   *crv;

	if (!JB_ROOT_IS_OBJECT(jwk))
		PG_RETURN_NULL();
	alg = get_string(jwk, "alg");
	if (alg != NULL && authz_keyparse_algorithm(alg) != NULL)
		PG_RETURN_TEXT_P(cstring_to_text(alg));
	if (getKeyJsonValueFromContainer(&jwk->root, "alg", 3, &value) != NULL)
		PG_RETURN_NULL();
	kty = get_string(jwk, "kty");
	crv = get_string(jwk, "crv");
	for (int i = 0; kty != NULL && i < lengthof(defaults); i++)
	{
		if (strcmp(kty, defaults[i][0]) == 0 &&
			(defaults[i][1] == NULL || (crv != NULL && strcmp(crv, defaults[i][1]) == 0)))
			PG_RETURN_TEXT_P(cstring_to_text(defaults[i][2]));
	}
	PG_RETURN_NULL();
}
