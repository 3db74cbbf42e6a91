/*-------------------------------------------------------------------------
 * settings.h
 *	  Does a condition or mask decide by settings of the session?
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_SETTINGS_H
#define AUTHZ_SETTINGS_H

#include "compat.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/* What was found in a tree.  Zeroed: nothing. */
typedef struct AuthzSettings
{
	const char *reads;			/* the first node that reads a setting, and which; NULL: none does */
	const char *hint;			/* what to write instead */
	int			location;		/* of the node in the text; -1: unknown */
	List	   *functions;		/* OIDs of functions that may read settings: nobody can tell */
} AuthzSettings;

/* Look at the tree of a condition or mask, before it is rewritten or planned; strings are palloc'd. */
extern AuthzSettings authz_settings_find(Node *tree);

/*
 * Raise if the tree, just parsed from the text, reads settings; warn of the
 * functions that may.  `what` is "condition" or "mask".
 */
extern void authz_settings_check(Node *tree, const char *what, const char *text);

#endif							/* AUTHZ_SETTINGS_H */
