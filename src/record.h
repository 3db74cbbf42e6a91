/*-------------------------------------------------------------------------
 * record.h
 *	  The only writer of authz.audit_log and authz.access_log.
 *-------------------------------------------------------------------------
 */
#ifndef AUTHZ_RECORD_H
#define AUTHZ_RECORD_H

#include "compat.h"
#include "datatype/timestamp.h"

/* Tables of records; names in record.c. */
typedef enum AuthzLog
{
	AUTHZ_LOG_AUDIT,
	AUTHZ_LOG_ACCESS
} AuthzLog;

/* The first columns of every log; see sql/record.sql. */
enum
{
	Anum_record_id = 1, Anum_record_statement_at, Anum_record_recorded_at, Anum_record_transaction_id,
	Anum_record_trail, Anum_record_policy_version, Anum_record_query_id, Anum_record_subject,
	Anum_record_issuer, Anum_record_token_id, Anum_record_roles, Anum_record_actor,
	Anum_record_database_role, Anum_record_client_address, Anum_record_application_name,
	Anum_record_action, Anum_record_relation,
	Natts_record = Anum_record_relation
};

/* The others of authz.audit_log; see sql/audit.sql. */
enum
{
	Anum_audit_log_key = Natts_record + 1, Anum_audit_log_old_key, Anum_audit_log_old_values,
	Anum_audit_log_new_values,
	Natts_audit_log = Anum_audit_log_new_values
};

/* The others of authz.access_log; see sql/access.sql. */
enum
{
	Anum_access_log_clear_columns = Natts_record + 1, Anum_access_log_masked_columns,
	Anum_access_log_by_row_columns, Anum_access_log_row_count, Anum_access_log_duration,
	Natts_access_log = Anum_access_log_duration
};

/* Who does it, from where, under which policies; NULL: not known. */
typedef struct AuthzCircumstances
{
	const char *subject;
	const char *issuer;
	const char *token_id;
	const char *actor;
	int			nroles;
	const char *const *roles;
	const char *database_role;	/* session user */
	const char *client_address;
	const char *application_name;
	int64		policy_version;
	uint64		query_id;		/* 0: none */
	TimestampTz statement_at;
} AuthzCircumstances;

/* Name of a relation in records: qualified, quoted only where it must be; NULL if there is none.  palloc'd. */
extern char *authz_record_relation_name(Oid relid);

/* Where the client is, as inet_out writes it; NULL for a local connection. */
extern const char *authz_record_client_address(void);

/*
 * What holds now.  Raises if the current identity's token is unusable.  Strings
 * are those of the identity and the session, or in the current memory context.
 */
extern void authz_record_circumstances(AuthzCircumstances *circumstances);

/* What was done to one row; 0 is NULL, the others are jsonb. */
typedef struct AuthzChange
{
	Datum		key;
	Datum		old_key;		/* if it was another before */
	Datum		old_values;
	Datum		new_values;
} AuthzChange;

typedef struct AuthzRecorder AuthzRecorder;

/*
 * Records of one statement, by the current identity (raises if its token is
 * unusable).  `relation` is the qualified name of the table; it and `action`
 * must outlive the recorder.  Lives in the current memory context.
 */
extern AuthzRecorder *authz_record_begin(const char *relation, int64 trail, const char *action);

/* The same for any log and other circumstances. */
extern AuthzRecorder *authz_record_begin_in(AuthzLog log, const char *relation, int64 trail, const char *action,
											const AuthzCircumstances *circumstances);

/* Where the jsonb of a change must live until it is written. */
extern MemoryContext authz_record_context(AuthzRecorder *recorder);

extern void authz_record_add(AuthzRecorder *recorder, const AuthzChange *change);

/* A record of authz.access_log: the columns after relation.  They must live until it is written. */
extern void authz_record_add_values(AuthzRecorder *recorder, const Datum *values);

/* Writes what is left. */
extern void authz_record_end(AuthzRecorder *recorder);

extern void authz_record_init(void);

#endif							/* AUTHZ_RECORD_H */
