/*-------------------------------------------------------------------------
 * masking.h
 *	  What an identity sees of a column: an expression over the row.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_MASKING_H
#define AUTHZ_MASKING_H

#include "compat.h"
#include "nodes/primnodes.h"

#include "identity.h"
#include "policyset.h"

/*
 * The value in the column's place, of type and collation as `column`, a Var of
 * the set's relation.  Vars have varno 1, level 0; sub-selects are not rewritten.
 * It is a Var itself where the column is shown clear in every row.  Raises if
 * the relation is not protected, or a mask that applies cannot be read.
 */
extern Node *authz_masking_value(AuthzPolicySet *set, const Var *column, const AuthzIdentity *identity);

/* Boolean, never NULL: is it anything but the column as it is?  A Const where that does not depend on the row. */
extern Node *authz_masking_is_masked(AuthzPolicySet *set, const Var *column, const AuthzIdentity *identity);

/* Of a column of a relation, for the current identity: is it shown clear in every row? */
extern bool authz_masking_is_clear(Oid relid, AttrNumber column);

/* The same of a column: has what is shown of it a sub-select? */
extern bool authz_masking_reads_others(Oid relid, AttrNumber column);

/*
 * What everybody may see of a column of the set's relation, whoever it is and
 * when: an expression as above, that depends on the row alone.  The first mask
 * that holds for everybody decides; NULL if there is none, or it shows the
 * column itself, reads other tables or depends on more than the row.
 */
extern Node *authz_masking_public(AuthzPolicySet *set, const Var *column);

/* Columns that a generated column is computed from, offset by FirstLowInvalidHeapAttributeNumber; NULL: it is not generated. */
extern Bitmapset *authz_masking_sources(Oid relid, AttrNumber column);

/* Is a column without masks computed from columns that have some, whoever for? */
extern bool authz_masking_is_computed(Oid relid, AttrNumber column);

#endif							/* AUTHZ_MASKING_H */
