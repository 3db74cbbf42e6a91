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
 * Masks by policy call authz.pseudonym instead, for readers who may not execute
 * those.  Everybody may execute it, but it runs only where
 * authz_pseudonym_replace put it: a reader's own call would test guesses.
 *
 * libcrypto's memory belongs to no memory context.  Nothing below raises
 * between an allocation by libcrypto and its free or its being kept.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "catalog.h"
#include "pseudonym.h"

#define MAC_LENGTH			32	/* bytes of an HMAC-SHA-256 */
#define MIN_HASH_LENGTH		8	/* hexadecimal digits */
#define MAX_HASH_LENGTH		(2 * MAC_LENGTH)

/*
 * First byte of what is hashed: a text and a UUID of the same bytes are
 * unrelated.  Pseudonyms that are stored somewhere depend on these.
 */
#define DOMAIN_TEXT			't'
#define DOMAIN_UUID			'u'

/*
 * What a call that authz_pseudonym_replace made has for its input collation:
 * built-in, but of pg_class, so no collation has it and the parser cannot make
 * such a call.  Copies of the call keep it, parallel workers', and the one that
 * the planner runs for an estimate, where funcformat would be lost; equal()
 * looks at it.  The functions use no collation.
 */
#define COLLATION_OF_MASK	ProcedureRelationId

/* The keyed MAC of this backend. */
static struct
{
	EVP_MAC_CTX *mac;			/* NULL: none yet */
	uint64		generation;		/* catalog.c's counter before the key was read */
}			current;

PG_FUNCTION_INFO_V1(authz_mask_hash);
PG_FUNCTION_INFO_V1(authz_mask_uuid);
PG_FUNCTION_INFO_V1(authz_pseudonym);
PG_FUNCTION_INFO_V1(authz_pseudonym_uuid);

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
 * The first `length` hexadecimal digits of the HMAC of the value's bytes in the
 * database's encoding.  Among n values of d digits about n * n / 2 / 16^d pairs
 * share one.
 */
static text *
hash_text(text *value, int32 length)
{
	unsigned char mac[MAC_LENGTH];
	char		digits[MAX_HASH_LENGTH];

	if (length < MIN_HASH_LENGTH || length > MAX_HASH_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the length of a hash mask must be between %d and %d", MIN_HASH_LENGTH, MAX_HASH_LENGTH),
				 errhint("Different values must not often share a hash: with 16 digits, some thousand million values can be told apart.")));
	compute_mac(DOMAIN_TEXT, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), mac);
	hex_encode((char *) mac, MAC_LENGTH, digits);
	return cstring_to_text_with_len(digits, length);
}

/* The first 16 bytes of the HMAC of the UUID's, marked as version 8 (RFC 9562 section 5.8). */
static pg_uuid_t *
hash_uuid(const pg_uuid_t *value)
{
	unsigned char mac[MAC_LENGTH];
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));

	compute_mac(DOMAIN_UUID, value->data, UUID_LEN, mac);
	memcpy(result->data, mac, UUID_LEN);
	result->data[6] = (result->data[6] & 0x0F) | 0x80;
	result->data[8] = (result->data[8] & 0x3F) | 0x80;
	return result;
}

/* authz.mask_hash(value text, length integer) returns text */
Datum
authz_mask_hash(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(hash_text(PG_GETARG_TEXT_PP(0), PG_GETARG_INT32(1)));
}

/* authz.mask_uuid(value uuid) returns uuid */
Datum
authz_mask_uuid(PG_FUNCTION_ARGS)
{
	PG_RETURN_UUID_P(hash_uuid(PG_GETARG_UUID_P(0)));
}

/* The function of schema authz that does for a mask what this one does, or InvalidOid. */
static Oid
find_pseudonym(Oid function)
{
	Oid		   *types;
	int			n;

	if (!authz_catalog_is_function(function, "mask_hash") && !authz_catalog_is_function(function, "mask_uuid"))
		return InvalidOid;
	(void) get_func_signature(function, &types, &n);
	return LookupFuncName(list_make2(makeString("authz"), makeString("pseudonym")), n, types, true);
}

bool
authz_pseudonym_replaces(Oid function)
{
	return OidIsValid(find_pseudonym(function));
}

static void
replace_call(FuncExpr *call)
{
	Oid			function = find_pseudonym(call->funcid);
	HeapTuple	tuple;

	if (!OidIsValid(function))
		return;
	/* Names and defaults of arguments are those of the function that was meant. */
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", call->funcid);
	call->args = expand_function_arguments(call->args, false, call->funcresulttype, tuple);
	ReleaseSysCache(tuple);
	call->funcid = function;
	call->inputcollid = COLLATION_OF_MASK;
}

bool
authz_pseudonym_replace(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, authz_pseudonym_replace, context, 0);
	if (IsA(node, FuncExpr))
		replace_call((FuncExpr *) node);
	return expression_tree_walker(node, authz_pseudonym_replace, context);
}

/* Raise unless authz_pseudonym_replace made this call. */
static void
require_mask(FunctionCallInfo fcinfo)
{
	Node	   *call = fcinfo->flinfo ? fcinfo->flinfo->fn_expr : NULL;

	if (call != NULL && IsA(call, FuncExpr) && ((FuncExpr *) call)->inputcollid == COLLATION_OF_MASK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for function pseudonym"),
			 errhint("It is for masks by policy; authz.mask_hash is for whoever was granted it.")));
}

/* authz.pseudonym(value text, length integer) returns text: mask_hash, in a mask only */
Datum
authz_pseudonym(PG_FUNCTION_ARGS)
{
	require_mask(fcinfo);
	PG_RETURN_TEXT_P(hash_text(PG_GETARG_TEXT_PP(0), PG_GETARG_INT32(1)));
}

/* authz.pseudonym(value uuid) returns uuid: mask_uuid, in a mask only */
Datum
authz_pseudonym_uuid(PG_FUNCTION_ARGS)
{
	require_mask(fcinfo);
	PG_RETURN_UUID_P(hash_uuid(PG_GETARG_UUID_P(0)));
}
