-- Denied attempts: each leaves a record that the rollback of the attempt leaves alone.
-- denial.c writes the columns by their names.

CREATE TABLE authz.denial_log (
	LIKE authz.record INCLUDING COMMENTS,
	attempt_transaction_id	xid8,
	virtual_transaction		text NOT NULL,
	pid						integer NOT NULL,
	kind					text NOT NULL,
	reason					text NOT NULL,
	CONSTRAINT denial_log_kind_check CHECK (kind OPERATOR(pg_catalog.=) ANY (ARRAY['audit', 'check', 'maintenance', 'token', 'truncate', 'write']))
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE authz.denial_log IS 'attempts that were denied; written by the worker of authz only, and only if authz is in shared_preload_libraries';
COMMENT ON COLUMN authz.denial_log.id IS 'number of the record, in no log another has the same; of one session in the order of its attempts';
COMMENT ON COLUMN authz.denial_log.recorded_at IS 'when it was denied, by the clock; months of it, in UTC, are the partitions';
COMMENT ON COLUMN authz.denial_log.transaction_id IS 'the worker''s transaction that wrote the record';
COMMENT ON COLUMN authz.denial_log.attempt_transaction_id IS 'the transaction of the attempt; NULL if it had changed nothing yet';
COMMENT ON COLUMN authz.denial_log.virtual_transaction IS 'the same, for every transaction, as in pg_locks; unique while the server runs';
COMMENT ON COLUMN authz.denial_log.pid IS 'process of the session';
COMMENT ON COLUMN authz.denial_log.kind IS 'write: a new row or its columns; truncate; token: a token was refused; audit: an attempt on the audit itself; maintenance: policies did not filter an owner, or the owner may not ask for that; check: reserved';
COMMENT ON COLUMN authz.denial_log.action IS 'insert, update, truncate; of a token: set, or use if it could not be verified when it was set or is no longer good; of audit: the command, as drop table, or the function, as unaudit; of maintenance: begin, refuse';
COMMENT ON COLUMN authz.denial_log.reason IS 'a fixed phrase, never a value; of maintenance: the database role and the reason that it gave';

SELECT authz.finish_log('denial_log');
GRANT SELECT ON authz.denial_log TO authz_admin;

CREATE FUNCTION authz.denial_stats(OUT size integer, OUT pending integer, OUT queued bigint, OUT written bigint,
		OUT logged bigint, OUT waited bigint)
	LANGUAGE c VOLATILE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_denial_stats';
COMMENT ON FUNCTION authz.denial_stats() IS
	'the queue of denied attempts, of all databases, since the server started: places, records that are in it, and how many were '
	'queued, written to a table, written to the server''s log instead, and had to wait for room; NULL without shared_preload_libraries';

REVOKE ALL ON FUNCTION authz.denial_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.denial_stats() TO authz_admin, authz_auditor;
