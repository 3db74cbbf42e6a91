/* guc.h: parameters of the extension, defined by guc.c. */
#ifndef AUTHZ_GUC_H
#define AUTHZ_GUC_H

#include "compat.h"

extern int	authz_identity_cache_size;	/* entries */
extern int	authz_token_max_size;	/* bytes */

extern void authz_guc_init(void);

#endif							/* AUTHZ_GUC_H */
