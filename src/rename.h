/*-------------------------------------------------------------------------
 * rename.h
 *	  Conditions, masks and lists of columns follow a rename.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_RENAME_H
#define AUTHZ_RENAME_H

#include "compat.h"
#include "nodes/nodes.h"
#include "nodes/pg_list.h"

/*
 * Before a command that renames or moves these objects: read what names them
 * into trees, for this statement.  Raises if a policy or mask among it cannot be read.  The caller
 * holds the locks that the command takes.
 */
extern void authz_rename_hold(const Node *statement, List *objects);

#endif							/* AUTHZ_RENAME_H */
