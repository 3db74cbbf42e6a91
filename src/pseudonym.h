/*-------------------------------------------------------------------------
 * pseudonym.h
 *	  Keyed masks as masks by policy run them.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_PSEUDONYM_H
#define AUTHZ_PSEUDONYM_H

#include "compat.h"
#include "nodes/nodes.h"

/*
 * Walker: turns the calls of authz.mask_hash and authz.mask_uuid in a mask into
 * calls of authz.pseudonym that run for every reader, in place, sub-selects
 * included.  `context` is not used; returns false.  For the trees of masks only:
 * what is made of somebody's own call tests guesses for him.
 */
extern bool authz_pseudonym_replace(Node *node, void *context);

/* Is this a function whose calls it replaces? */
extern bool authz_pseudonym_replaces(Oid function);

#endif							/* AUTHZ_PSEUDONYM_H */
