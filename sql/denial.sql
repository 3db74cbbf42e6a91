-- Denied attempts: each leaves a record that the rollback of the attempt leaves alone.
-- denial.c writes the columns by their names.

CREATE TABLE authz.denial_log (
	id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
	recorded_at timestamptz NOT NULL,
	transaction_id xid8,
	virtual_transaction text NOT NULL,
	pid integer NOT NULL,
	database_role text,
	subject text,
	issuer text,
	token_id text,
	roles text[],
	client_address inet,
	application_name text,
	kind text NOT NULL,
	action text NOT NULL,
	relation text,
	reason text NOT NULL,
	query_id bigint,
	CONSTRAINT denial_log_pkey PRIMARY KEY (id),
	CONSTRAINT denial_log_kind_check CHECK (kind IN ('check', 'token', 'truncate', 'write'))
);
CREATE INDEX denial_log_recorded_at_idx ON authz.denial_log (recorded_at);
COMMENT ON TABLE authz.denial_log IS 'attempts that were denied; written by the worker of authz only, and only if authz is in shared_preload_libraries';
COMMENT ON SEQUENCE authz.denial_log_id_seq IS 'numbers of denied attempts';
COMMENT ON COLUMN authz.denial_log.id IS 'in the order of writing; of one session, the order of its attempts';
COMMENT ON COLUMN authz.denial_log.recorded_at IS 'when it was denied, by the clock';
COMMENT ON COLUMN authz.denial_log.transaction_id IS 'the transaction of the attempt; NULL if it had changed nothing yet';
COMMENT ON COLUMN authz.denial_log.virtual_transaction IS 'the same, for every transaction, as in pg_locks; unique while the server runs';
COMMENT ON COLUMN authz.denial_log.pid IS 'process of the session';
COMMENT ON COLUMN authz.denial_log.database_role IS 'session user';
COMMENT ON COLUMN authz.denial_log.subject IS 'authz.subject(): who; NULL: nobody known, as with every refused token';
COMMENT ON COLUMN authz.denial_log.issuer IS 'who issued the token';
COMMENT ON COLUMN authz.denial_log.token_id IS 'the token''s claim jti';
COMMENT ON COLUMN authz.denial_log.roles IS 'roles that were effective; NULL with a refused token';
COMMENT ON COLUMN authz.denial_log.client_address IS 'NULL for a local connection';
COMMENT ON COLUMN authz.denial_log.application_name IS 'what the client calls itself; not to be trusted';
COMMENT ON COLUMN authz.denial_log.kind IS 'write: a new row or its columns; truncate; token: a token was refused; check: reserved';
COMMENT ON COLUMN authz.denial_log.action IS 'insert, update, truncate; of a token: set, or use if it could not be verified when it was set or is no longer good';
COMMENT ON COLUMN authz.denial_log.relation IS 'the table, qualified, as it was called then';
COMMENT ON COLUMN authz.denial_log.reason IS 'a fixed phrase, never a value';
COMMENT ON COLUMN authz.denial_log.query_id IS 'of the client''s statement, as in pg_stat_statements; NULL unless compute_query_id is on';

CREATE FUNCTION authz.refuse_denial_change() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'records of table % cannot be changed or deleted', TG_RELID::regclass
		USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION authz.refuse_denial_change() IS 'trigger: the log of denied attempts is insert-only';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON authz.denial_log
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_denial_change();
ALTER TABLE authz.denial_log ENABLE ALWAYS TRIGGER refuse_change;

CREATE FUNCTION authz.denial_stats(OUT size integer, OUT pending integer, OUT queued bigint, OUT written bigint,
		OUT logged bigint, OUT waited bigint)
	LANGUAGE c VOLATILE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_denial_stats';
COMMENT ON FUNCTION authz.denial_stats() IS
	'the queue of denied attempts, of all databases, since the server started: places, records that are in it, and how many were '
	'queued, written to a table, written to the server''s log instead, and had to wait for room; NULL without shared_preload_libraries';

REVOKE ALL ON authz.denial_log FROM PUBLIC;
REVOKE ALL ON SEQUENCE authz.denial_log_id_seq FROM PUBLIC;
GRANT SELECT ON authz.denial_log TO authz_admin, authz_auditor;
REVOKE ALL ON FUNCTION authz.refuse_denial_change(), authz.denial_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.denial_stats() TO authz_admin, authz_auditor;

SELECT pg_catalog.pg_extension_config_dump('authz.denial_log', '');
SELECT pg_catalog.pg_extension_config_dump('authz.denial_log_id_seq', '');
