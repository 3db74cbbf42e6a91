/* viewlock.h: UPDATE and DELETE of a masked view lock the table's row before they decide on it. */
#ifndef AUTHZ_VIEWLOCK_H
#define AUTHZ_VIEWLOCK_H

#include "compat.h"
#include "nodes/parsenodes.h"

/* For the planner hook: mark the table's rows in a query, if that is one that writes to a masked view.  Changes the query. */
extern void authz_viewlock_add(Query *query);

/* Of a query that the hook has not seen: may a condition of a security barrier view be lost in it? */
extern bool authz_viewlock_is_lost(const Query *query);

#endif							/* AUTHZ_VIEWLOCK_H */
