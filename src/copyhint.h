/* copyhint.h: what COPY into a protected table is told. */
#ifndef AUTHZ_COPYHINT_H
#define AUTHZ_COPYHINT_H

#include "compat.h"

extern void authz_copyhint_init(void);

#endif							/* AUTHZ_COPYHINT_H */
