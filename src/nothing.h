/* nothing.h: a table of which nothing is permitted is not read. */
#ifndef AUTHZ_NOTHING_H
#define AUTHZ_NOTHING_H

#include "compat.h"

extern void authz_nothing_init(void);

#endif							/* AUTHZ_NOTHING_H */
