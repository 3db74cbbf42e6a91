/*-------------------------------------------------------------------------
 * nothing.c
 *	  A table of which nothing is permitted is not read.
 *
 * Core finds that a table yields nothing only if FALSE is its one restriction.
 * Row security is kept apart from what the caller asks for, so with a WHERE of
 * his own it would be read in full, row by row against FALSE.
 *
 * Nor is one of which a statement sets a column that no policy permits to set:
 * that is an error whatever the rows are.  Decided on row by row, it would tell
 * of rows that are not visible.
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "nodes/pathnodes.h"
#include "optimizer/paths.h"

#include "columns.h"
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
		RestrictInfo *restriction = lfirst_node(RestrictInfo, lc);

		if (is_never_true(restriction->clause))
		{
			mark_dummy_rel(rel);
			return;
		}
		/* Core makes no one-time filter of row security. */
		if (authz_columns_is_denied((Node *) restriction->clause))
			restriction->pseudoconstant = root->hasPseudoConstantQuals = true;
	}
}

void
authz_nothing_init(void)
{
	prev_set_rel_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = nothing_set_rel_pathlist;
}
