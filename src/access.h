/* access.h: statements that read audited tables are recorded. */
#ifndef AUTHZ_ACCESS_H
#define AUTHZ_ACCESS_H

#include "compat.h"

/* Before authz_guard_init: it is to see the plans that the guard lets pass. */
extern void authz_access_init(void);

#endif							/* AUTHZ_ACCESS_H */
