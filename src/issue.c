/*-------------------------------------------------------------------------
 * issue.c
 *	  Signing by libjwt, loaded on first use.
 *
 * libjwt must never be linked.  postgres exports a function json_object of
 * its own; in a libjwt that was loaded in the ordinary way it replaces the one
 * of jansson, and the first call crashes the backend.  RTLD_DEEPBIND makes
 * libjwt look into its own libraries first.  That works only for the one who
 * loads it: a copy that another module brought in is bound already, so its
 * presence refuses issuing.
 *
 * Nothing below raises between an allocation by libjwt and its free.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <dlfcn.h>
#include <jwt.h>
#include <limits.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "issue.h"
#include "json.h"
#include "jws.h"

#define MIN_SECRET_LENGTH	32	/* bytes, RFC 7518 section 3.2 */

/*
 * AddressSanitizer refuses RTLD_DEEPBIND in dlopen, but not in dlmopen.  Such
 * a build needs, as AUTHZ_LIBJWT_SONAME, an empty library that was linked with
 * "-lasan -ljwt" in this order.
 */
#ifdef __SANITIZE_ADDRESS__
#define open_library(name, flags) dlmopen(LM_ID_BASE, name, flags)
#else
#define open_library(name, flags) dlopen(name, flags)
#endif

/* The functions used of libjwt; `new` is NULL until all of them are there. */
typedef struct Library
{
	int			(*new) (jwt_t **jwt);
	void		(*free) (jwt_t *jwt);
	int			(*add_grants_json) (jwt_t *jwt, const char *json);
	int			(*add_header) (jwt_t *jwt, const char *header, const char *value);
	int			(*set_alg) (jwt_t *jwt, jwt_alg_t algorithm, const unsigned char *key, int length);
	char	   *(*encode_str) (jwt_t *jwt);
	void		(*free_string) (void *string);
} Library;

static Library library;

/*
 * Look up everything; false if a function is missing.  The string that libjwt
 * returns must go back to the allocator libjwt uses, which need not be the one
 * `free` means here (LD_PRELOAD): so the one its own libraries export.
 */
static bool
resolve(void *handle, Library *found)
{
	const struct
	{
		const char *name;
		void	   *function;
	}			symbols[] = {
		{"jwt_free", &found->free},
		{"jwt_add_grants_json", &found->add_grants_json},
		{"jwt_add_header", &found->add_header},
		{"jwt_set_alg", &found->set_alg},
		{"jwt_encode_str", &found->encode_str},
		{"free", &found->free_string},
		{"jwt_new", &found->new}
	};

	for (int i = 0; i < lengthof(symbols); i++)
	{
		void	   *address = dlsym(handle, symbols[i].name);

		if (address == NULL)
			return false;
		memcpy(symbols[i].function, &address, sizeof(address));
	}
	return true;
}

/* Load libjwt for good, or raise. */
static void
load_library(void)
{
	void	   *handle;
	Library		found = {0};

	if (library.new != NULL)
		return;
	handle = dlopen(AUTHZ_LIBJWT_SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
	if (handle != NULL)
	{
		dlclose(handle);
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot issue a token: another module has loaded \"%s\"", AUTHZ_LIBJWT_SONAME),
				 errdetail("That copy is bound to functions of the server that have the names of functions it needs."),
				 errhint("Do not use a module that is linked with libjwt in the same session.")));
	}
	handle = open_library(AUTHZ_LIBJWT_SONAME, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	if (handle == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("cannot issue a token: could not load \"%s\"", AUTHZ_LIBJWT_SONAME),
				 errdetail_internal("%s", dlerror()),
				 errhint("Install libjwt.")));
	if (!resolve(handle, &found))
	{
		dlclose(handle);
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("cannot issue a token: \"%s\" lacks a function", AUTHZ_LIBJWT_SONAME),
				 errhint("Build authz with the version of libjwt that is installed.")));
	}
	library = found;
}

/* Sign with an empty jwt of libjwt's; the result is libjwt's, NULL on failure. */
static char *
sign(jwt_t *jwt, const char *claims_json, const char *kid,
	 const unsigned char *secret, size_t secret_length)
{
	if (library.add_grants_json(jwt, claims_json) != 0 ||
		library.add_header(jwt, "kid", kid) != 0 ||
		library.set_alg(jwt, JWT_ALG_HS256, secret, (int) secret_length) != 0)
		return NULL;
	return library.encode_str(jwt);
}

/* Sign; the result is palloc'd, NULL on failure. */
static char *
make_token(const char *claims_json, const char *kid,
		   const unsigned char *secret, size_t secret_length)
{
	jwt_t	   *jwt = NULL;
	char	   *foreign = NULL;
	char	   *token = NULL;

	if (library.new(&jwt) == 0)
	{
		foreign = sign(jwt, claims_json, kid, secret, secret_length);
		library.free(jwt);
	}
	if (foreign != NULL)
	{
		size_t		size = strlen(foreign) + 1;

		if (AllocSizeIsValid(size))
			token = palloc_extended(size, MCXT_ALLOC_NO_OOM);
		if (token != NULL)
			memcpy(token, foreign, size);
		library.free_string(foreign);
	}
	return token;
}

/*
 * Does the token say what it was asked to say?  libjwt keeps a number that is
 * not an integer in a double, so 0.1 comes out as 0.10000000000000001.
 */
static bool
says(const char *token, const char *claims_json, const char *kid)
{
	size_t		length = strlen(token);
	AuthzJws	jws;
	Datum		asked;
	Datum		got;

	if (authz_jws_read(token, length, length, palloc(length + 3), &jws) != AUTHZ_JWS_OK ||
		strcmp(jws.algorithm, "HS256") != 0 || strcmp(jws.kid, kid) != 0)
		return false;
	asked = DirectFunctionCall1(jsonb_in, CStringGetDatum(claims_json));
	got = DirectFunctionCall1(jsonb_in, CStringGetDatum(jws.claims));
	return DatumGetBool(DirectFunctionCall2(jsonb_eq, asked, got));
}

char *
authz_issue_hs256(const char *claims_json, const char *kid,
				  const unsigned char *secret, size_t secret_length)
{
	char	   *token;

	if (secret_length < MIN_SECRET_LENGTH || secret_length > INT_MAX)
		elog(ERROR, "secret of %zu bytes for HS256", secret_length);
	load_library();
	token = make_token(claims_json, kid, secret, secret_length);
	if (token == NULL || !says(token, claims_json, kid))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot issue a token with these claims"),
				 errdetail("They do not come out of libjwt as they went in."),
				 errhint("State numbers that are not integers of 64 bits as strings, and do not nest deeper than %d levels.",
						 AUTHZ_JSON_MAX_DEPTH)));
	return token;
}
