/*-------------------------------------------------------------------------
 * policyset.h
 *	  The policies and masks of one relation, and those of them that apply to
 *	  an identity.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_POLICYSET_H
#define AUTHZ_POLICYSET_H

#include "compat.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

#include "identity.h"

/* Zero is no action: nothing permits it. */
typedef enum AuthzAction
{
	AUTHZ_ACTION_NONE = 0,
	AUTHZ_ACTION_SELECT,
	AUTHZ_ACTION_INSERT,
	AUTHZ_ACTION_UPDATE,		/* the old row of an UPDATE */
	AUTHZ_ACTION_UPDATE_CHECK,	/* the new row of an UPDATE */
	AUTHZ_ACTION_DELETE,
	AUTHZ_ACTION_TRUNCATE,		/* no row */
	AUTHZ_ACTION_UPDATE_HIDE	/* the new row of an UPDATE, where it is not visible; see may_hide */
} AuthzAction;

/* Zero denies. */
typedef enum AuthzEffect
{
	AUTHZ_FORBID = 0,
	AUTHZ_PERMIT
} AuthzEffect;

typedef struct AuthzPolicySet AuthzPolicySet;

/* One policy that applies: a copy for the caller. */
typedef struct AuthzRule
{
	AuthzEffect effect;
	uint64		stats_id;		/* see stats.h */
	Node	   *condition;		/* Vars of varno 1; validity in time is part of it; sub-selects not rewritten */
	Bitmapset  *columns;		/* that a permit covers, offset as in a range table entry; NULL: all */
} AuthzRule;

/* One mask that applies, if no mask before it does: a copy for the caller, both as above. */
typedef struct AuthzMaskRule
{
	Node	   *condition;
	Node	   *value;			/* a Var of the column itself: shown clear */
} AuthzMaskRule;

/* AUTHZ_ACTION_NONE if there is no such action. */
extern AuthzAction authz_policyset_action(const char *name);

/*
 * The set of a relation, or of the protected table that it is a partition or
 * child of.  Valid until the next call.  A relation without policies has an
 * empty set, which permits nothing.
 */
extern AuthzPolicySet *authz_policyset_get(Oid relid);

/* The relation that it is of. */
extern Oid	authz_policyset_relation(const AuthzPolicySet *set);

/* Is the relation protected, itself or as somebody's child? */
extern bool authz_policyset_is_protected(const AuthzPolicySet *set);

/* The table whose policies hold: the relation itself, or what it is a part of; InvalidOid if not protected. */
extern Oid	authz_policyset_logical(const AuthzPolicySet *set);

/* Owner of the table whose policies hold: sub-selects run with his rights. */
extern Oid	authz_policyset_owner(const AuthzPolicySet *set);

/* Changes whenever the set was read anew. */
extern uint64 authz_policyset_serial(const AuthzPolicySet *set);

/*
 * List of AuthzRule * that apply to an identity and an action.  `columns` are
 * the columns that the statement sets, offset by
 * FirstLowInvalidHeapAttributeNumber as in a range table entry.  Raises if a
 * policy that applies cannot be read (an invalid one denies, loudly).  How the
 * permits among them add up to the columns: see columns.h.
 */
extern List *authz_policyset_rules(AuthzPolicySet *set, AuthzAction action,
								   const AuthzIdentity *identity, const Bitmapset *columns);

/*
 * The first of these columns that no permit of this identity for the action
 * covers; InvalidAttrNumber if there is none, or no permit at all.
 */
extern AttrNumber authz_policyset_uncovered(const AuthzPolicySet *set, AuthzAction action,
											const AuthzIdentity *identity, const Bitmapset *columns);

/* Has the column a mask, whoever for and whether enabled or not?  If so it shows nothing unless one applies. */
extern bool authz_policyset_is_masked(const AuthzPolicySet *set, AttrNumber column);

/*
 * List of AuthzMaskRule * of a column that may apply to an identity, in the
 * order in which they do; identity NULL: that hold for everybody at any time.
 * Raises as rules does.
 */
extern List *authz_policyset_masks(AuthzPolicySet *set, AttrNumber column, const AuthzIdentity *identity);

/* How many invalidations of relations this backend has accepted. */
extern uint64 authz_policyset_invalidations(void);

extern void authz_policyset_init(void);

#endif							/* AUTHZ_POLICYSET_H */
