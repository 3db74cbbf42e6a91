-- Reads of audited tables: a statement leaves a record in authz.access_log for each table that it read.
-- C code writes columns by their position: record.h.

CREATE TABLE authz.access_log (
	LIKE authz.record INCLUDING COMMENTS,
	clear_columns	text[] NOT NULL,
	masked_columns	text[] NOT NULL,
	by_row_columns	text[] NOT NULL,
	row_count		bigint NOT NULL,
	duration		interval NOT NULL
) PARTITION BY RANGE (recorded_at);
ALTER TABLE authz.access_log ALTER trail SET NOT NULL, ALTER policy_version SET NOT NULL, ALTER roles SET NOT NULL,
	ALTER database_role SET NOT NULL, ALTER relation SET NOT NULL;
COMMENT ON TABLE authz.access_log IS 'what was read of tables that are audited with reads, by whom; written by the library only';
COMMENT ON COLUMN authz.access_log.recorded_at IS 'when it ended or the cursor was closed, by the clock; months of it, in UTC, are the partitions';
COMMENT ON COLUMN authz.access_log.action IS 'the statement: select, or what else read it: insert, update, delete, merge, copy';
COMMENT ON COLUMN authz.access_log.relation IS 'the table, qualified, as it was called then; parts of a table that was read go by its name';
COMMENT ON COLUMN authz.access_log.clear_columns IS 'columns that were read and shown as they are';
COMMENT ON COLUMN authz.access_log.masked_columns IS 'columns of a masked view that were shown by a mask, or as NULL, in every row';
COMMENT ON COLUMN authz.access_log.by_row_columns IS 'columns of a masked view that were shown clear in some rows and masked in others';
COMMENT ON COLUMN authz.access_log.row_count IS 'rows that the statement returned or wrote';
COMMENT ON COLUMN authz.access_log.duration IS 'time that it ran, without pauses between fetches';

SELECT authz.finish_log('access_log');

-- Who ends the recording, reads and rolls back leaves no row of either: the server's log has it.
CREATE FUNCTION authz.reads_ended() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_reads_ended';
COMMENT ON FUNCTION authz.reads_ended() IS 'trigger: notes that reads of a table are no longer recorded, for the case that the transaction rolls back';
REVOKE ALL ON FUNCTION authz.reads_ended() FROM PUBLIC;
CREATE TRIGGER reads_changed AFTER UPDATE ON authz.audited_table
	FOR EACH ROW WHEN (old.active AND old.reads AND NOT (new.active AND new.reads)) EXECUTE FUNCTION authz.reads_ended();
CREATE TRIGGER reads_removed AFTER DELETE ON authz.audited_table
	FOR EACH ROW WHEN (old.active AND old.reads) EXECUTE FUNCTION authz.reads_ended();
ALTER TABLE authz.audited_table ENABLE ALWAYS TRIGGER reads_changed;
ALTER TABLE authz.audited_table ENABLE ALWAYS TRIGGER reads_removed;

-- A view for people: it counts statements, and reads the logs of the last hour for it.
CREATE VIEW authz.activity AS
	SELECT a.subject, a.relation, a.action, sum(a.allowed)::bigint AS allowed, sum(a.denied)::bigint AS denied, max(a.last_at) AS last_at
	FROM (
		SELECT l.subject, l.relation, l.action, count(DISTINCT (l.transaction_id, l.statement_at)), 0, max(l.recorded_at)
		FROM authz.audit_log l WHERE l.recorded_at > now() - '1 hour'::interval GROUP BY 1, 2, 3
		UNION ALL
		-- An UPDATE that reads is in both logs.
		SELECT l.subject, l.relation, l.action, count(*), 0, max(l.recorded_at)
		FROM authz.access_log l WHERE l.recorded_at > now() - '1 hour'::interval AND l.action IN ('select', 'copy') GROUP BY 1, 2, 3
		UNION ALL
		SELECT l.subject, l.relation, l.action, 0, count(*), max(l.recorded_at)
		FROM authz.denial_log l WHERE l.recorded_at > now() - '1 hour'::interval GROUP BY 1, 2, 3
	) a(subject, relation, action, allowed, denied, last_at)
	GROUP BY 1, 2, 3;
COMMENT ON VIEW authz.activity IS 'who did what in the last hour, as far as it is audited';
COMMENT ON COLUMN authz.activity.subject IS 'authz.subject(): who; NULL: nobody known, or the token was refused';
COMMENT ON COLUMN authz.activity.relation IS 'the table, qualified; NULL for refused tokens';
COMMENT ON COLUMN authz.activity.action IS 'as in authz.audit_log, authz.access_log and authz.denial_log';
COMMENT ON COLUMN authz.activity.allowed IS 'statements, committed, that changed or read the table';
COMMENT ON COLUMN authz.activity.denied IS 'attempts that were denied';
COMMENT ON COLUMN authz.activity.last_at IS 'the last of both';

-- Counters are in shared memory: of all sessions since the server started, if the library is preloaded.
CREATE FUNCTION authz.policy_usage(relation oid, name text, OUT plans bigint, OUT checks bigint, OUT last_used_at timestamptz)
LANGUAGE c STRICT VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_policy_usage';
COMMENT ON FUNCTION authz.policy_usage(oid, text) IS
	'how often a policy had a say since the server started; NULL without shared_preload_libraries';

CREATE VIEW authz.stat_policy AS
	SELECT p.relation, p.name, p.effect, u.plans, u.checks, u.last_used_at
	FROM authz.policy p, LATERAL authz.policy_usage(p.relation, p.name) u;
COMMENT ON VIEW authz.stat_policy IS 'how often each policy permitted or, if it forbids, denied, since the server started; which it does says effect';
COMMENT ON COLUMN authz.stat_policy.relation IS 'protected table';
COMMENT ON COLUMN authz.stat_policy.name IS 'the policy';
COMMENT ON COLUMN authz.stat_policy.effect IS 'permit or forbid';
COMMENT ON COLUMN authz.stat_policy.plans IS 'plans that it went into because it applied to the identity; one that is used again counts once';
COMMENT ON COLUMN authz.stat_policy.checks IS 'checks, as authz.permits_row makes, in which its condition was true; a forbid''s also if it was NULL';
COMMENT ON COLUMN authz.stat_policy.last_used_at IS 'when a transaction ended in which it was counted; NULL: it was not';

REVOKE ALL ON authz.stat_policy FROM PUBLIC;
GRANT SELECT ON authz.stat_policy TO authz_admin, authz_auditor;
REVOKE ALL ON FUNCTION authz.policy_usage(oid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.policy_usage(oid, text) TO authz_admin, authz_auditor;
REVOKE ALL ON authz.activity FROM PUBLIC;
GRANT SELECT ON authz.activity TO authz_admin, authz_auditor;
