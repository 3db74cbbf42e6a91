/*-------------------------------------------------------------------------
 * nothing.c
 *	  A table of which nothing is permitted is not read.
 *
 * Core finds that a table yields nothing only if FALSE is its one restriction.
 * Row security is kept apart from what the caller asks for, so with a WHERE of
 * his own it would be read in full, row by row against FALSE.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "nodes/pathnodes.h"
#include "optimizer/paths.h"

#include "nothing.h"

static set_rel_pathlist_hook_type prev_set_rel_pathlist = NULL;

static bool
is_never_true(Expr *clause)
{
	return IsA(clause, Const) && (((Const *) clause)->constisnull || !DatumGetBool(((Const *) clause)->constvalue));
}

static void
nothing_set_rel_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	ListCell   *lc;

	if (prev_set_rel_pathlist)
		prev_set_rel_pathlist(root, rel, rti, rte);
	if (rte->rtekind != RTE_RELATION)
		return;
	foreach(lc, rel->baserestrictinfo)
	{
		if (is_never_true(lfirst_node(RestrictInfo, lc)->clause))
		{
			mark_dummy_rel(rel);
			return;
		}
	}
}

void
authz_nothing_init(void)
{
	prev_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = nothing_set_rel_pathlist;
}
