/* masked.h: masks come into plans. */
#ifndef AUTHZ_MASKED_H
#define AUTHZ_MASKED_H

#include "compat.h"
#include "nodes/primnodes.h"

/* The column in a call masked(<column>, <name>, <its row's tableoid>); NULL if it is none of that form. */
extern Var *authz_masked_column(Node *call);

extern void authz_masked_init(void);

#endif							/* AUTHZ_MASKED_H */
