/* change.h: tells every backend that a table of schema authz changed. */
#ifndef AUTHZ_CHANGE_H
#define AUTHZ_CHANGE_H

#include "compat.h"

extern void authz_change_init(void);

#endif							/* AUTHZ_CHANGE_H */
