-- Records: what the three logs have in common, which are authz.audit_log (changes), authz.access_log (reads) and
-- authz.denial_log (denied attempts).  All are insert-only, partitioned by month and sealed (audit_seal.sql).
-- C code writes columns by their position: record.h.

-- The first columns of every log; dropped when the logs are made (audit_seal.sql).
CREATE TABLE authz.record (
	id					bigint NOT NULL,
	statement_at		timestamptz NOT NULL,
	recorded_at			timestamptz NOT NULL,
	transaction_id		xid8 NOT NULL,
	trail				bigint,
	policy_version		bigint,
	query_id			bigint,
	subject				text,
	issuer				text,
	token_id			text,
	roles				text[],
	actor				text,
	database_role		text,
	client_address		inet,
	application_name	text,
	action				text NOT NULL,
	relation			text
);
COMMENT ON COLUMN authz.record.id IS 'number of the record, in no log another has the same; two records of one row are in the order of what was done';
COMMENT ON COLUMN authz.record.statement_at IS 'when the client''s statement began; of a cursor that was read, the one that opened it';
COMMENT ON COLUMN authz.record.recorded_at IS 'when it was recorded, by the clock; months of it, in UTC, are the partitions';
COMMENT ON COLUMN authz.record.transaction_id IS 'the transaction that recorded it: of a change or a read its own';
COMMENT ON COLUMN authz.record.trail IS 'which table, whatever its name was: authz.audited_table';
COMMENT ON COLUMN authz.record.policy_version IS 'authz.policy_version() that the session knew';
COMMENT ON COLUMN authz.record.query_id IS 'of the client''s statement, as in pg_stat_statements; NULL unless compute_query_id is on';
COMMENT ON COLUMN authz.record.subject IS 'authz.subject(): who; NULL: nobody known, as with every refused token';
COMMENT ON COLUMN authz.record.issuer IS 'who issued the token';
COMMENT ON COLUMN authz.record.token_id IS 'the token''s claim jti';
COMMENT ON COLUMN authz.record.roles IS 'roles that were effective; NULL with a refused token';
COMMENT ON COLUMN authz.record.actor IS 'who acted for the subject: the token''s claim act.sub, for authz.assume the database role';
COMMENT ON COLUMN authz.record.database_role IS 'session user';
COMMENT ON COLUMN authz.record.client_address IS 'NULL for a local connection';
COMMENT ON COLUMN authz.record.application_name IS 'what the client calls itself; not to be trusted';
COMMENT ON COLUMN authz.record.action IS 'what was done, or attempted';
COMMENT ON COLUMN authz.record.relation IS 'the table, qualified, as it was called then';

CREATE SEQUENCE authz.record_id_seq;
COMMENT ON SEQUENCE authz.record_id_seq IS 'numbers of records';
REVOKE ALL ON SEQUENCE authz.record_id_seq FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('authz.record_id_seq', '');

CREATE FUNCTION authz.refuse_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.refuse_audit(lower(TG_OP), TG_RELID, 'records are insert-only',
		format('records of table %s cannot be changed or deleted', TG_RELID::regclass), hint => 'Old ones go with authz.audit_retain.');
END
$$;
COMMENT ON FUNCTION authz.refuse_change() IS 'trigger: the logs are insert-only';

-- Statement triggers: also who names a partition is refused.
CREATE FUNCTION authz.seal_off(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format($sql$
		CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %1$s
			FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_change();
		ALTER TABLE %1$s ENABLE ALWAYS TRIGGER refuse_change;
		REVOKE ALL ON %1$s FROM PUBLIC;
		GRANT SELECT ON %1$s TO authz_auditor;
		$sql$, relation);
END
$$;
COMMENT ON FUNCTION authz.seal_off(regclass) IS 'make a table of the audit insert-only, for auditors to read';

CREATE FUNCTION authz.audit_key_order(key jsonb) RETURNS bigint
LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_audit_key_order';
COMMENT ON FUNCTION authz.audit_key_order(jsonb) IS 'where indexes of authz.audit_log have a key: its number, or its hash';

-- PostgreSQL has none for this type.
CREATE OPERATOR CLASS authz.xid8_minmax_ops FOR TYPE xid8 USING brin AS
	OPERATOR 1 pg_catalog.<, OPERATOR 2 pg_catalog.<=, OPERATOR 3 pg_catalog.=, OPERATOR 4 pg_catalog.>=, OPERATOR 5 pg_catalog.>,
	FUNCTION 1 brin_minmax_opcinfo(internal), FUNCTION 2 brin_minmax_add_value(internal, internal, internal, internal),
	FUNCTION 3 brin_minmax_consistent(internal, internal, internal), FUNCTION 4 brin_minmax_union(internal, internal, internal);
COMMENT ON OPERATOR CLASS authz.xid8_minmax_ops USING brin IS 'least and greatest transaction id of a range of pages';
COMMENT ON OPERATOR FAMILY authz.xid8_minmax_ops USING brin IS 'least and greatest transaction id of a range of pages';

-- What a partition needs that it does not inherit.  Indexes, few and small because every record pays for them:
-- were they the partitioned table's, a restored partition would get them twice.
CREATE FUNCTION authz.prepare_partition(log name, relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.seal_off(relation);
	EXECUTE format($sql$
		CREATE INDEX ON %1$s USING brin (transaction_id authz.xid8_minmax_ops, recorded_at) WITH (autosummarize);
		$sql$, relation);
	IF log = 'audit_log' THEN
		EXECUTE format($sql$
			CREATE INDEX ON %1$s (trail, authz.audit_key_order(key));
			CREATE INDEX ON %1$s (trail, authz.audit_key_order(old_key)) WHERE old_key IS NOT NULL;
			$sql$, relation);
	END IF;
END
$$;
COMMENT ON FUNCTION authz.prepare_partition(name, regclass) IS 'what a partition of a log needs of its own';

-- For months that have no partition of their own.  Dropped with authz.record: the extension's script alone makes logs.
CREATE FUNCTION authz.finish_log(log name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part text := format('authz.%I', log || '_default');
BEGIN
	EXECUTE format('CREATE TABLE %s PARTITION OF authz.%I DEFAULT', part, log);
	EXECUTE format('COMMENT ON TABLE %s IS %L', part, format('partition of authz.%I for records of months that have none of their own', log));
	PERFORM authz.seal_off(format('authz.%I', log)::regclass), authz.prepare_partition(log, part::regclass);
	PERFORM pg_extension_config_dump(part::regclass, '');
END
$$;

CREATE FUNCTION authz.logs() RETURNS SETOF name
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT unnest(ARRAY['access_log', 'audit_log', 'denial_log']::name[]);
END;
COMMENT ON FUNCTION authz.logs() IS 'names of the logs';

CREATE FUNCTION authz.partition_month(partition text) RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT CASE WHEN partition ~ '_log_[0-9]{4}(0[1-9]|1[0-2])$' THEN to_date(right(partition, 6), 'YYYYMM') END;
END;
COMMENT ON FUNCTION authz.partition_month(text) IS 'first day, in UTC, of the month that a partition of a log is named after; NULL: it is named after none';

CREATE FUNCTION authz.log_partitions(OUT log name, OUT oid oid, OUT name name) RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT l.log, c.oid, c.relname
	FROM authz.logs() l(log) JOIN pg_class p ON p.relname = l.log AND p.relnamespace = 'authz'::regnamespace
		JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
	ORDER BY c.relname;
END;
COMMENT ON FUNCTION authz.log_partitions() IS 'partitions of all logs';

-- A table must be as it was made.
CREATE FUNCTION authz.log_problem(relation oid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
BEGIN ATOMIC
	SELECT CASE
		WHEN c.relkind <> CASE WHEN c.relname IN (SELECT l FROM authz.logs() l) THEN 'p' ELSE 'r' END THEN 'it is no ordinary table'
		WHEN c.relpersistence <> 'p' THEN 'it is not logged'
		WHEN c.relrowsecurity THEN 'row security hides records'
		WHEN EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid) THEN 'it has rules'
		WHEN NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_change' AND t.tgtype = 58
			AND t.tgenabled = 'A' AND t.tgfoid = 'authz.refuse_change()'::regprocedure AND t.tgqual IS NULL)
			THEN 'trigger "refuse_change" is missing, altered or disabled'
		WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname <> 'refuse_change'
			AND t.tgfoid <> to_regprocedure('authz.ignore_replication()')) THEN 'it has another trigger'
		-- Writers go by its name, readers by its bounds.
		WHEN c.relispartition AND m.month IS NOT NULL AND pg_get_expr(c.relpartbound, c.oid) IS DISTINCT FROM
			format('FOR VALUES FROM (''%s 00:00:00+00'') TO (''%s 00:00:00+00'')', m.month, (m.month + '1 month'::interval)::date)
			THEN 'its bounds are not those of its month'
		END
	FROM pg_class c, authz.partition_month(c.relname) m(month) WHERE c.oid = log_problem.relation;
END;
COMMENT ON FUNCTION authz.log_problem(oid) IS 'what is wrong with a table of the audit; NULL: nothing';

CREATE FUNCTION authz.audit_tables() RETURNS SETOF oid
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'authz'::regnamespace
		AND (c.relname IN ('audit_batch', 'audit_page') OR c.relname IN (SELECT l FROM authz.logs() l))
	UNION
	SELECT p.oid FROM authz.log_partitions() p;
END;
COMMENT ON FUNCTION authz.audit_tables() IS 'logs, their partitions and the tables of seals';

-- Partitions are made ahead, this month and three more, by whatever is called of the audit now and then
-- (audit, audit_seal, audit_retain).  Attaching one locks neither readers nor writers of the others out;
-- creating it in place, or in the statement of a writer, would.  (Only the default partition is locked, and never waited
-- for: writers would queue up behind who waits.  If it is in use, the next call tries again.)
-- Whoever calls none of these for months has his records in the default partition, sealed and found as all others.
-- Times are written and read by these settings: others shift the bounds.  What a database's owner has set for tables
-- must not stop the sealer, which has it too.
CREATE FUNCTION authz.extend_logs() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET datestyle = 'ISO' SET timezone = 'UTC' SET default_tablespace = '' SET default_table_access_method = heap
AS $$
DECLARE
	this_month timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
	begins timestamptz;
	ends timestamptz;
	log name;
	i int;
	partition text;
	is_used boolean;
	is_locked boolean;
BEGIN
	FOR log, i IN SELECT l, n FROM authz.logs() l, generate_series(0, 3) n ORDER BY l, n LOOP
		begins := (this_month + make_interval(months => i)) AT TIME ZONE 'UTC';
		ends := (this_month + make_interval(months => i + 1)) AT TIME ZONE 'UTC';
		partition := format('authz.%s_', log) || to_char(this_month + make_interval(months => i), 'YYYYMM');
		CONTINUE WHEN to_regclass(partition) IS NOT NULL;
		-- One at a time; to_regclass looks again at what was committed meanwhile.
		LOCK TABLE authz.audited_table IN SHARE UPDATE EXCLUSIVE MODE;
		CONTINUE WHEN to_regclass(partition) IS NOT NULL;
		EXECUTE format('SELECT EXISTS (SELECT FROM authz.%s_default l WHERE l.recorded_at >= $1 AND l.recorded_at < $2)', log)
			INTO is_used USING begins, ends;
		CONTINUE WHEN is_used;
		-- Attaching locks the default partition.  This month's records may be on their way into it: that takes moments.
		FOR attempt IN 1..CASE WHEN i = 0 THEN 20 ELSE 1 END LOOP
			BEGIN
				EXECUTE format('LOCK TABLE authz.%s_default IN ACCESS EXCLUSIVE MODE NOWAIT', log);
				is_locked := true;
				EXIT;
			EXCEPTION WHEN lock_not_available THEN
				is_locked := false;
				PERFORM pg_sleep(0.005) WHERE i = 0;
			END;
		END LOOP;
		CONTINUE WHEN NOT is_locked;
		EXECUTE format('CREATE TABLE %s (LIKE authz.%s INCLUDING CONSTRAINTS)', partition, log);
		PERFORM authz.prepare_partition(log, partition::regclass);
		EXECUTE format('ALTER TABLE authz.%s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
					   log, partition, begins, ends);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.extend_logs() IS 'make partitions of the logs for this month and the next three';

REVOKE ALL ON FUNCTION authz.refuse_change(), authz.seal_off(regclass), authz.prepare_partition(name, regclass), authz.logs(), authz.partition_month(text),
	authz.log_partitions(), authz.log_problem(oid), authz.audit_tables(), authz.extend_logs() FROM PUBLIC;
-- Who writes to an audited table runs the index's.
REVOKE ALL ON FUNCTION authz.audit_key_order(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.audit_key_order(jsonb) TO PUBLIC;
