/*-------------------------------------------------------------------------
 * guc.c
 *	  Parameters of the extension, alphabetical, but for authz.token, which
 *	  lives with its hooks in identity.c.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <limits.h>

#include "utils/guc.h"

#include "guc.h"

int			authz_identity_cache_size = 256;
int			authz_token_max_size = 16384;

void
authz_guc_init(void)
{
	DefineCustomIntVariable("authz.identity_cache_size",
							"Number of verified identities that each session keeps.",
							"A token that is not among them is verified from the start, "
							"at some 10 to 100 microseconds for its signature. "
							"The least recently used one is dropped.",
							&authz_identity_cache_size,
							256, 1, 100000,
							PGC_SUSET, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("authz.token_max_size",
							"Longest token that is read.",
							"A longer one is refused before anything of it is looked at.",
							&authz_token_max_size,
							16384, 64, 1024 * 1024,
							PGC_SUSET, GUC_UNIT_BYTE,
							NULL, NULL, NULL);

	/* Nothing else may be set under the prefix: a typing error must not pass silently. */
	MarkGUCPrefixReserved("authz");
}
