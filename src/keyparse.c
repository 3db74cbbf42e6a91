/*-------------------------------------------------------------------------
 * keyparse.c
 *	  From a key text to a libcrypto key that fits one JWS algorithm.
 *
 * The algorithm comes first and the key has to fit it; nothing is guessed
 * from the key.  So a public key never becomes an HMAC secret, which is how
 * verifiers that go by the token's header are made to accept forgeries.
 *
 * A key text is one of
 *	  - PEM with exactly one SubjectPublicKeyInfo ("BEGIN PUBLIC KEY"),
 *	  - a JWK (RFC 7517, 7518 section 6, 8037) that starts with "{",
 *	  - for HS* anything else: the bytes of the secret.
 * Certificates are refused because nobody here would check their validity,
 * private keys because they have no business in a verifier.
 *-------------------------------------------------------------------------
 */
#include "keyparse.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "json.h"
#include "jws.h"

#define MIN_RSA_BITS		2048	/* RFC 7518 section 3.3 */
#define MAX_RSA_BITS		16384	/* libcrypto's own limit */
#define MAX_EXPONENT_BITS	64	/* libcrypto's own limit for large moduli */
#define MAX_NUMBER_BYTES	3072	/* of a JWK member: MAX_RSA_BITS and a margin */
#define MAX_COORDINATE		66	/* P-521 */

static const AuthzAlgorithm algorithms[] = {
	{"HS256", AUTHZ_KEY_HMAC, "SHA256", 32, NULL, NULL, 0},
	{"HS384", AUTHZ_KEY_HMAC, "SHA384", 48, NULL, NULL, 0},
	{"HS512", AUTHZ_KEY_HMAC, "SHA512", 64, NULL, NULL, 0},
	{"RS256", AUTHZ_KEY_RSA, "SHA256", 32, NULL, NULL, 0},
	{"RS384", AUTHZ_KEY_RSA, "SHA384", 48, NULL, NULL, 0},
	{"RS512", AUTHZ_KEY_RSA, "SHA512", 64, NULL, NULL, 0},
	{"PS256", AUTHZ_KEY_RSA_PSS, "SHA256", 32, NULL, NULL, 0},
	{"PS384", AUTHZ_KEY_RSA_PSS, "SHA384", 48, NULL, NULL, 0},
	{"PS512", AUTHZ_KEY_RSA_PSS, "SHA512", 64, NULL, NULL, 0},
	{"ES256", AUTHZ_KEY_EC, "SHA256", 32, "P-256", "prime256v1", 32},
	{"ES384", AUTHZ_KEY_EC, "SHA384", 48, "P-384", "secp384r1", 48},
	{"ES512", AUTHZ_KEY_EC, "SHA512", 64, "P-521", "secp521r1", 66},
	{"EdDSA", AUTHZ_KEY_EDDSA, NULL, 0, NULL, NULL, 0},
	{NULL, AUTHZ_KEY_HMAC, NULL, 0, NULL, NULL, 0}
};

/* The members of a JWK that matter; absent ones are AUTHZ_JSON_ABSENT. */
typedef struct Jwk
{
	AuthzJson	kty;
	AuthzJson	use;
	AuthzJson	key_ops;
	AuthzJson	alg;
	AuthzJson	crv;
	AuthzJson	n;
	AuthzJson	e;
	AuthzJson	x;
	AuthzJson	y;
	AuthzJson	k;
	bool		is_private;		/* d, p, q, dp, dq, qi or oth is there */
} Jwk;

const AuthzAlgorithm *
authz_keyparse_algorithm(const char *name)
{
	for (const AuthzAlgorithm *algorithm = algorithms; algorithm->name != NULL; algorithm++)
	{
		if (strcmp(algorithm->name, name) == 0)
			return algorithm;
	}
	return NULL;
}

static EVP_PKEY *
refuse(const char **reason, const char *phrase)
{
	*reason = phrase;
	return NULL;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static EVP_PKEY *
make_hmac(const AuthzAlgorithm *algorithm, const unsigned char *secret, size_t length,
		  const char **reason)
{
	EVP_PKEY   *pkey;

	if (length < algorithm->digest_length)
		return refuse(reason, "the secret is shorter than the algorithm's hash");
	pkey = EVP_PKEY_new_raw_private_key_ex(NULL, "HMAC", NULL, secret, length);
	return pkey != NULL ? pkey : refuse(reason, "libcrypto refused the secret");
}

/* A public key of a type from its parameters, which are consumed. */
static EVP_PKEY *
make_public(const char *type, OSSL_PARAM_BLD *build, const char **reason)
{
	OSSL_PARAM *params = build == NULL ? NULL : OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY   *pkey = NULL;

	if (params != NULL && context != NULL && EVP_PKEY_fromdata_init(context) > 0)
		EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	return pkey != NULL ? pkey : refuse(reason, "the JWK holds no valid public key");
}

/*
 * Decode a base64url member into out[MAX_NUMBER_BYTES]; its length, or 0 if
 * it is absent, empty, too long or not canonical base64url.
 */
static size_t
decode_member(const AuthzJson *member, unsigned char *out)
{
	char		text[MAX_NUMBER_BYTES * 4 / 3 + 1];
	long		length = authz_json_decode(member, text, sizeof(text));

	if (length > 0)
		length = authz_jws_decode_base64url(text, (size_t) length, out);
	OPENSSL_cleanse(text, sizeof(text));	/* "k" passes here */
	return length > 0 ? (size_t) length : 0;
}

static EVP_PKEY *
make_rsa(const Jwk *jwk, const char **reason)
{
	unsigned char n[MAX_NUMBER_BYTES];
	unsigned char e[MAX_NUMBER_BYTES];
	size_t		n_length = decode_member(&jwk->n, n);
	size_t		e_length = decode_member(&jwk->e, e);
	OSSL_PARAM_BLD *build;
	BIGNUM	   *modulus;
	BIGNUM	   *exponent;
	EVP_PKEY   *pkey;

	/* Base64urlUInt has no leading zero bytes (RFC 7518 section 2). */
	if (n_length == 0 || e_length == 0 || n[0] == 0 || e[0] == 0)
		return refuse(reason, "the JWK's n or e is missing or not canonical base64url");
	build = OSSL_PARAM_BLD_new();
	modulus = BN_bin2bn(n, (int) n_length, NULL);
	exponent = BN_bin2bn(e, (int) e_length, NULL);
	if (build == NULL || modulus == NULL || exponent == NULL ||
		!OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) ||
		!OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
	{
		OSSL_PARAM_BLD_free(build);
		build = NULL;
	}
	pkey = make_public("RSA", build, reason);
	BN_free(modulus);
	BN_free(exponent);
	return pkey;
}

/* libcrypto checks that the point is on the curve. */
static EVP_PKEY *
make_ec(const AuthzAlgorithm *algorithm, const Jwk *jwk, const char **reason)
{
	unsigned char x[MAX_NUMBER_BYTES];
	unsigned char y[MAX_NUMBER_BYTES];
	unsigned char point[1 + 2 * MAX_COORDINATE];
	size_t		length = algorithm->coordinate_length;
	OSSL_PARAM_BLD *build;

	if (!authz_json_equals(&jwk->crv, algorithm->curve))
		return refuse(reason, "the key's curve is not the algorithm's");
	if (decode_member(&jwk->x, x) != length || decode_member(&jwk->y, y) != length)
		return refuse(reason, "the JWK's x or y is missing, of a wrong length or not canonical base64url");
	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	memcpy(point + 1, x, length);
	memcpy(point + 1 + length, y, length);
	build = OSSL_PARAM_BLD_new();
	if (build != NULL &&
		(!OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, algorithm->group, 0) ||
		 !OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * length)))
	{
		OSSL_PARAM_BLD_free(build);
		build = NULL;
	}
	return make_public("EC", build, reason);
}

static EVP_PKEY *
make_okp(const Jwk *jwk, const char **reason)
{
	unsigned char x[MAX_NUMBER_BYTES];
	size_t		length = decode_member(&jwk->x, x);
	const char *type;
	EVP_PKEY   *pkey;

	if (authz_json_equals(&jwk->crv, "Ed25519"))
		type = "ED25519";
	else if (authz_json_equals(&jwk->crv, "Ed448"))
		type = "ED448";
	else
		return refuse(reason, "the key's curve is not the algorithm's");
	/* A wrong length, zero too, is refused by libcrypto. */
	pkey = EVP_PKEY_new_raw_public_key_ex(NULL, type, NULL, x, length);
	return pkey != NULL ? pkey : refuse(reason, "the JWK holds no valid public key");
}

static EVP_PKEY *
make_oct(const AuthzAlgorithm *algorithm, const Jwk *jwk, const char **reason)
{
	unsigned char k[MAX_NUMBER_BYTES];
	size_t		length = decode_member(&jwk->k, k);
	EVP_PKEY   *pkey;

	if (length == 0)
		return refuse(reason, "the JWK's k is missing, too long or not canonical base64url");
	pkey = make_hmac(algorithm, k, length, reason);
	OPENSSL_cleanse(k, sizeof(k));
	return pkey;
}

/* AuthzJsonVisitor of a JWK. */
static void
visit_jwk(void *state, const AuthzJson *name, const AuthzJson *value)
{
	static const char *const private_members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", NULL};
	Jwk		   *jwk = state;
	struct
	{
		const char *name;
		AuthzJson  *value;
	}			members[] = {
		{"kty", &jwk->kty}, {"use", &jwk->use}, {"key_ops", &jwk->key_ops}, {"alg", &jwk->alg},
		{"crv", &jwk->crv}, {"n", &jwk->n}, {"e", &jwk->e}, {"x", &jwk->x}, {"y", &jwk->y},
		{"k", &jwk->k}, {NULL, NULL}
	};

	for (int i = 0; members[i].name != NULL; i++)
	{
		if (authz_json_equals(name, members[i].name))
			*members[i].value = *value;
	}
	for (int i = 0; private_members[i] != NULL; i++)
	{
		if (authz_json_equals(name, private_members[i]))
			jwk->is_private = true;
	}
}

/* What the JWK itself says it is for; NULL, or the reason why not for this. */
static const char *
jwk_misuse(const AuthzAlgorithm *algorithm, const Jwk *jwk)
{
	static const char *const types[] = {
		[AUTHZ_KEY_HMAC] = "oct",
		[AUTHZ_KEY_RSA] = "RSA",
		[AUTHZ_KEY_RSA_PSS] = "RSA",
		[AUTHZ_KEY_EC] = "EC",
		[AUTHZ_KEY_EDDSA] = "OKP"
	};

	if (jwk->is_private || (jwk->k.type != AUTHZ_JSON_ABSENT && algorithm->family != AUTHZ_KEY_HMAC))
		return "the JWK holds a private or secret key";
	if (!authz_json_equals(&jwk->kty, types[algorithm->family]))
		return "the JWK's kty is not the algorithm's";
	if (jwk->alg.type != AUTHZ_JSON_ABSENT && !authz_json_equals(&jwk->alg, algorithm->name))
		return "the JWK is for another algorithm";
	if (jwk->use.type != AUTHZ_JSON_ABSENT && !authz_json_equals(&jwk->use, "sig"))
		return "the JWK's use is not \"sig\"";
	if (jwk->key_ops.type != AUTHZ_JSON_ABSENT && !authz_json_array_has(&jwk->key_ops, "verify"))
		return "the JWK's key_ops do not contain \"verify\"";
	return NULL;
}

static EVP_PKEY *
parse_jwk(const AuthzAlgorithm *algorithm, const char *text, const char **reason)
{
	Jwk			jwk;

	memset(&jwk, 0, sizeof(jwk));
	if (authz_json_read(text, strlen(text), visit_jwk, &jwk) != AUTHZ_JSON_OK)
		return refuse(reason, "the JWK is not one strict JSON object");
	*reason = jwk_misuse(algorithm, &jwk);
	if (*reason != NULL)
		return NULL;
	switch (algorithm->family)
	{
		case AUTHZ_KEY_HMAC:
			return make_oct(algorithm, &jwk, reason);
		case AUTHZ_KEY_RSA:
		case AUTHZ_KEY_RSA_PSS:
			return make_rsa(&jwk, reason);
		case AUTHZ_KEY_EC:
			return make_ec(algorithm, &jwk, reason);
		case AUTHZ_KEY_EDDSA:
			return make_okp(&jwk, reason);
	}
	return refuse(reason, "unknown algorithm");
}

/*
 * Text that starts with the PEM header of a public key.  PEM_read_bio and
 * d2i_PUBKEY rather than PEM_read_bio_PUBKEY, which would take encrypted PEM
 * and ask a terminal for the password, and not tell of trailing bytes.
 */
static EVP_PKEY *
parse_pem(const char *text, const char **reason)
{
	BIO		   *bio = BIO_new_mem_buf(text, -1);
	char	   *name = NULL;
	char	   *header = NULL;
	unsigned char *der = NULL;
	long		der_length = 0;
	EVP_PKEY   *pkey = NULL;
	const unsigned char *at;
	char	   *rest;
	long		rest_length;

	if (bio != NULL && PEM_read_bio(bio, &name, &header, &der, &der_length) &&
		strcmp(name, PEM_STRING_PUBLIC) == 0 && header[0] == '\0')
	{
		at = der;
		pkey = d2i_PUBKEY(NULL, &at, der_length);
		rest_length = BIO_get_mem_data(bio, &rest);
		while (rest_length > 0 && is_space(rest[rest_length - 1]))
			rest_length--;
		if (at != der + der_length || rest_length > 0)
		{
			EVP_PKEY_free(pkey);
			pkey = NULL;
		}
	}
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	return pkey != NULL ? pkey : refuse(reason, "the PEM text does not hold exactly one valid public key");
}

static EVP_PKEY *
parse_text(const AuthzAlgorithm *algorithm, const char *text, const char **reason)
{
	const char *start = text;

	while (is_space(*start))
		start++;
	if (*start == '{')
		return parse_jwk(algorithm, start, reason);
	if (algorithm->family == AUTHZ_KEY_HMAC)
	{
		if (strstr(text, "-----BEGIN") != NULL)
			return refuse(reason, "a PEM text cannot be a shared secret");
		return make_hmac(algorithm, (const unsigned char *) text, strlen(text), reason);
	}
	if (strstr(text, "PRIVATE KEY-----") != NULL)
		return refuse(reason, "the PEM text holds a private key");
	if (strstr(text, "CERTIFICATE-----") != NULL)
		return refuse(reason, "the PEM text holds a certificate, not a public key");
	if (strncmp(start, "-----BEGIN PUBLIC KEY-----", 26) != 0)
		return refuse(reason, "neither a PEM public key (BEGIN PUBLIC KEY) nor a JWK");
	return parse_pem(start, reason);
}

/* NULL, or why an RSA key is unfit. */
static const char *
rsa_weakness(const EVP_PKEY *pkey)
{
	int			bits = EVP_PKEY_get_bits(pkey);
	BIGNUM	   *n = NULL;
	BIGNUM	   *e = NULL;
	const char *weakness = NULL;

	if (!EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) ||
		!EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e))
		weakness = "the RSA key is incomplete";
	else if (bits < MIN_RSA_BITS)
		weakness = "the RSA key is shorter than 2048 bits";
	else if (bits > MAX_RSA_BITS)
		weakness = "the RSA key is longer than 16384 bits";
	else if (!BN_is_odd(n))
		weakness = "the RSA modulus is even";
	else if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > MAX_EXPONENT_BITS)
		weakness = "the RSA exponent is not an odd number from 3 to 64 bits";
	BN_free(n);
	BN_free(e);
	return weakness;
}

/* NULL, or why an EC key is unfit: a curve of the caller's own making is not a curve of that name. */
static const char *
ec_weakness(const AuthzAlgorithm *algorithm, EVP_PKEY *pkey)
{
	char		group[64];
	int			is_explicit = 0;
	EVP_PKEY_CTX *context;
	bool		is_valid;

	if (!EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) ||
		strcmp(group, algorithm->group) != 0)
		return "the key's curve is not the algorithm's";
	if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) &&
		is_explicit)
		return "the key's curve is not named";
	context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	is_valid = context != NULL && EVP_PKEY_public_check(context) == 1;
	EVP_PKEY_CTX_free(context);
	return is_valid ? NULL : "the public key is not a point of its curve";
}

/* NULL, or why a key is unfit for an algorithm; *signature_length is set. */
static const char *
unfitness(const AuthzAlgorithm *algorithm, EVP_PKEY *pkey, size_t *signature_length)
{
	switch (algorithm->family)
	{
		case AUTHZ_KEY_HMAC:
			*signature_length = algorithm->digest_length;
			return NULL;
		case AUTHZ_KEY_RSA:
		case AUTHZ_KEY_RSA_PSS:
			if (!EVP_PKEY_is_a(pkey, "RSA"))
				return "the key is not an RSA key";
			*signature_length = (size_t) EVP_PKEY_get_size(pkey);
			return rsa_weakness(pkey);
		case AUTHZ_KEY_EC:
			if (!EVP_PKEY_is_a(pkey, "EC"))
				return "the key is not an EC key";
			*signature_length = 2 * algorithm->coordinate_length;
			return ec_weakness(algorithm, pkey);
		case AUTHZ_KEY_EDDSA:
			if (!EVP_PKEY_is_a(pkey, "ED25519") && !EVP_PKEY_is_a(pkey, "ED448"))
				return "the key is not an Ed25519 or Ed448 key";
			*signature_length = (size_t) EVP_PKEY_get_size(pkey);
			return NULL;
	}
	return "unknown algorithm";
}

EVP_PKEY *
authz_keyparse(const AuthzAlgorithm *algorithm, const char *key_text,
			   size_t *signature_length, const char **reason)
{
	EVP_PKEY   *pkey = parse_text(algorithm, key_text, reason);

	if (pkey != NULL)
	{
		*reason = unfitness(algorithm, pkey, signature_length);
		if (*reason != NULL)
		{
			EVP_PKEY_free(pkey);
			pkey = NULL;
		}
	}
	ERR_clear_error();
	return pkey;
}
