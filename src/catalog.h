/*-------------------------------------------------------------------------
 * catalog.h
 *	  The only reader of the tables of schema authz: tuples to structs.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_CATALOG_H
#define AUTHZ_CATALOG_H

#include "compat.h"
#include "access/genam.h"
#include "access/skey.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/rel.h"

/* Order and names as in catalog.c's table of relations. */
typedef enum AuthzTable
{
	AUTHZ_TABLE_AUDITED_TABLE,
	AUTHZ_TABLE_ISSUER,
	AUTHZ_TABLE_KEY,
	AUTHZ_TABLE_LOGIN_MAP,
	AUTHZ_TABLE_MASK_KEY,
	AUTHZ_TABLE_REVOKED_SESSION,
	AUTHZ_TABLE_REVOKED_SUBJECT,
	AUTHZ_TABLE_REVOKED_TOKEN,
	AUTHZ_TABLE_ROLE,
	AUTHZ_TABLE_ROLE_GRANT,
	AUTHZ_TABLE_ROLE_INHERITANCE,
	AUTHZ_TABLE_POLICY,
	AUTHZ_TABLE_MASK,
	AUTHZ_TABLE_POLICY_HISTORY,
	AUTHZ_TABLE_PROTECTED_TABLE,
	AUTHZ_TABLE_COUNT
} AuthzTable;

/* Columns of authz.policy that C reads, by position; see sql/policy.sql. */
typedef enum AuthzPolicyColumn
{
	AUTHZ_POLICY_RELATION = 1,
	AUTHZ_POLICY_NAME,
	AUTHZ_POLICY_EFFECT,
	AUTHZ_POLICY_ACTIONS,
	AUTHZ_POLICY_ROLES,
	AUTHZ_POLICY_CONDITION,
	AUTHZ_POLICY_CHECK_CONDITION,
	AUTHZ_POLICY_COLUMNS,
	AUTHZ_POLICY_VALID_DURING,
	AUTHZ_POLICY_ENABLED,
	AUTHZ_POLICY_VERSION = 12,
	AUTHZ_POLICY_DEPENDS_ON = 15,
	AUTHZ_POLICY_MAY_HIDE,
	AUTHZ_POLICY_READS_SETTINGS
} AuthzPolicyColumn;

/* The same of authz.mask; see sql/mask.sql. */
typedef enum AuthzMaskColumn
{
	AUTHZ_MASK_RELATION = AUTHZ_POLICY_RELATION,
	AUTHZ_MASK_COLUMN_NAME,
	AUTHZ_MASK_PRIORITY,
	AUTHZ_MASK_MASK,
	AUTHZ_MASK_ROLES,
	AUTHZ_MASK_CONDITION,
	AUTHZ_MASK_VALID_DURING,
	AUTHZ_MASK_ENABLED,
	AUTHZ_MASK_DEPENDS_ON = 13,
	AUTHZ_MASK_READS_SETTINGS = 15
} AuthzMaskColumn;

/* The same of authz.protected_table, whose first column is a table as well; see sql/protect.sql. */
typedef enum AuthzProtectedColumn
{
	AUTHZ_PROTECTED_RELATION = AUTHZ_POLICY_RELATION,
	AUTHZ_PROTECTED_LOGICAL
} AuthzProtectedColumn;

/* The same of authz.audited_table; see sql/audit.sql. */
typedef enum AuthzAuditedColumn
{
	AUTHZ_AUDITED_RELATION = AUTHZ_POLICY_RELATION,
	AUTHZ_AUDITED_TRAIL,
	AUTHZ_AUDITED_ACTIVE,
	AUTHZ_AUDITED_EXCLUDE_COLUMNS,
	AUTHZ_AUDITED_CLEAR_COLUMNS,
	AUTHZ_AUDITED_READS = 11
} AuthzAuditedColumn;

/* OID of a table of the extension; InvalidOid if the extension is not there. */
extern Oid	authz_catalog_table(AuthzTable table);

/* The schema of the extension, or InvalidOid. */
extern Oid	authz_catalog_schema(void);

/* Owner of a relation; InvalidOid if it is gone. */
extern Oid	authz_catalog_owner(Oid relid);

/* Is it a function of the extension's with that name? */
extern bool authz_catalog_is_function(Oid function, const char *name);

/*
 * A counter that moves when a table that makes up identities changed (as far as
 * this backend has accepted invalidations).  Cached data is good while it stands.
 */
extern uint64 authz_catalog_identity_generation(void);

/* The same for authz.mask_key. */
extern uint64 authz_catalog_mask_key_generation(void);

/* OIDs of the tables that decide an identity's roles, for plans to depend on. */
extern List *authz_catalog_role_tables(void);

/*
 * One scan of a table by its index, with a catalog snapshot: sees what is
 * committed now, also inside a REPEATABLE READ transaction.
 */
typedef struct AuthzScan
{
	Relation	relation;		/* NULL if the extension is not there */
	SysScanDesc scan;
} AuthzScan;

/* `index` is the index's name in schema authz; keys are attributes 1..n of it. */
extern void authz_catalog_begin(AuthzScan *scan, AuthzTable table, const char *index,
								ScanKey keys, int nkeys);
extern HeapTuple authz_catalog_next(AuthzScan *scan);
extern void authz_catalog_end(AuthzScan *scan);

/* Equality key on a text column with collation "C"; on an oid column. */
extern void authz_catalog_text_key(ScanKey key, AttrNumber attribute, const char *value);
extern void authz_catalog_oid_key(ScanKey key, AttrNumber attribute, Oid value);

/* Text, text[], oid, boolean values of a tuple; *isnull as in heap_getattr. palloc'd. */
extern char *authz_catalog_get_text(AuthzScan *scan, HeapTuple tuple, AttrNumber attribute);
extern char **authz_catalog_get_text_array(AuthzScan *scan, HeapTuple tuple, AttrNumber attribute, int *n);
extern Datum authz_catalog_get(AuthzScan *scan, HeapTuple tuple, AttrNumber attribute, bool *isnull);

/* The seam: the table whose policies hold for a relation; InvalidOid if it is not protected. */
extern Oid	authz_catalog_logical(Oid relid);

/* Have a function called when the relcache entry of a relation, or (InvalidOid) of any, is invalidated; it sets flags only. */
typedef void (*AuthzRelationChanged) (Oid relid);

extern void authz_catalog_on_relation_changed(AuthzRelationChanged listener);

extern void authz_catalog_init(void);

/*
 * Identity tables.  Results are palloc'd in the current memory context.  What
 * holds for a time only lowers *changes_at to the next moment at which the
 * answer would be another.
 */

typedef struct AuthzIssuer
{
	int			naudience;
	char	  **audience;		/* elements may be NULL if triggers were off */
	char	   *roles_claim;
	char	   *scopes_claim;
	char	   *subject_claim;
	Jsonb	   *attributes;		/* object: attribute name -> claim path, or array of names */
	int64		clock_skew;		/* microseconds */
	char	   *token_type;		/* NULL: any that jws.c lets pass */
} AuthzIssuer;

typedef struct AuthzIssuerKey
{
	char	   *kid;
	char	   *algorithm;
	char	   *key;			/* what authz_keyring_get reads */
} AuthzIssuerKey;

/* NULL if there is no such issuer. */
extern AuthzIssuer *authz_catalog_issuer(const char *issuer);

/*
 * The issuer's keys that are valid at `now`: AuthzIssuerKey.  With a kid at most
 * one; without (NULL) all of the algorithm.
 */
extern List *authz_catalog_issuer_keys(const char *issuer, const char *kid, const char *algorithm,
									   TimestampTz now, TimestampTz *changes_at);

extern bool authz_catalog_is_token_revoked(const char *issuer, const char *token_id);
extern bool authz_catalog_is_session_revoked(const char *issuer, const char *session_id);

/*
 * Tokens of the subject issued before this are revoked; DT_NOBEGIN: none.
 * *clock_skew: the issuer's when they were revoked, in microseconds.
 */
extern TimestampTz authz_catalog_subject_revoked_before(const char *issuer, const char *subject, int64 *clock_skew);

/* The subject that a database role stands for without a token, or NULL. */
extern char *authz_catalog_login_subject(Oid database_role);

extern bool authz_catalog_role_exists(const char *role);

/* Names of the roles that a role inherits directly. */
extern List *authz_catalog_inherited_roles(const char *role);

/* Names of the roles granted at `now` to a subject of this issuer or of any; issuer NULL: of any only. */
extern List *authz_catalog_granted_roles(const char *subject, const char *issuer,
										 TimestampTz now, TimestampTz *changes_at);

/* How the changes of a table are recorded: a row of authz.audited_table. */
typedef struct AuthzAudited
{
	int64		trail;			/* what its records are found by, whatever its name */
	bool		reads;			/* are reads recorded? */
	int			nexcluded;
	char	  **excluded;		/* columns that no record holds */
	int			nclear;
	char	  **clear;			/* columns that are recorded in clear although they have a mask */
} AuthzAudited;

/* False if the table is not audited.  palloc'd in the current context. */
extern bool authz_catalog_audited(Oid relid, AuthzAudited *audited);

/* Names of the columns of a relation that have a mask, enabled or not, whomever it is for; palloc'd. */
extern List *authz_catalog_masked_columns(Oid relid);

/* Number of the last change of a policy or role, as authz.policy_version() says; 0 before the first. */
extern int64 authz_catalog_policy_version(void);

/* The secret of authz.mask_key in the current memory context, never toasted; NULL if there is none. */
extern bytea *authz_catalog_mask_key(void);

#endif							/* AUTHZ_CATALOG_H */
