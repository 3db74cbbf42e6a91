-- Seals of the logs: what was recorded cannot be changed, taken out or added to without being found.
-- C code (seal.c) reads these tables by the names of their columns.

CREATE TABLE authz.audit_batch (
	batch				bigint PRIMARY KEY,
	kind				text NOT NULL CHECK (kind OPERATOR(pg_catalog.=) ANY (ARRAY['seal', 'drop'])),
	sealed_at			timestamptz NOT NULL,
	sealed_by			text NOT NULL,
	partition			text NOT NULL,
	system_identifier	bigint NOT NULL,
	after_id			bigint NOT NULL,
	last_id				bigint NOT NULL,
	from_transaction	xid8 NOT NULL,
	to_transaction		xid8 NOT NULL,
	records				bigint NOT NULL,
	root				bytea NOT NULL,
	previous			bytea NOT NULL,
	hash				bytea NOT NULL,
	token				text
);
CREATE INDEX audit_batch_partition_idx ON authz.audit_batch (partition, after_id, from_transaction);
COMMENT ON TABLE authz.audit_batch IS 'seals of batches of records, each with the hash of the one before; made by authz.audit_seal';
COMMENT ON COLUMN authz.audit_batch.batch IS '1, 2, 3 and so on, without gaps';
COMMENT ON COLUMN authz.audit_batch.kind IS 'seal; drop: the partition was dropped by authz.audit_retain, all of it was sealed';
COMMENT ON COLUMN authz.audit_batch.sealed_at IS 'when, by the clock';
COMMENT ON COLUMN authz.audit_batch.sealed_by IS 'session user';
COMMENT ON COLUMN authz.audit_batch.partition IS 'which partition of which log the records are in';
COMMENT ON COLUMN authz.audit_batch.system_identifier IS 'of the cluster; in another one, where a dump was restored, transactions are counted anew';
COMMENT ON COLUMN authz.audit_batch.after_id IS 'its records have higher numbers: those up to here came with a dump; 0: none did';
COMMENT ON COLUMN authz.audit_batch.last_id IS 'highest number of a record in it';
COMMENT ON COLUMN authz.audit_batch.from_transaction IS 'records of this transaction and later ones';
COMMENT ON COLUMN authz.audit_batch.to_transaction IS 'and before this one; all of these had ended';
COMMENT ON COLUMN authz.audit_batch.records IS 'how many';
COMMENT ON COLUMN authz.audit_batch.root IS 'of the Merkle tree (RFC 6962, SHA-256) of the columns'' names and types and the records; of a drop: SHA-256 of the roots of the partition''s batches';
COMMENT ON COLUMN authz.audit_batch.previous IS 'hash of the batch before; empty for the first';
COMMENT ON COLUMN authz.audit_batch.hash IS 'SHA-256 of all of this';
COMMENT ON COLUMN authz.audit_batch.token IS 'of a drop: what was dropped, signed';

CREATE TABLE authz.audit_page (
	batch	bigint NOT NULL,
	page	int NOT NULL,
	entries	bytea NOT NULL,
	CONSTRAINT audit_page_pkey PRIMARY KEY (batch, page)
);
ALTER TABLE authz.audit_page ALTER entries SET STORAGE EXTERNAL;
COMMENT ON TABLE authz.audit_page IS 'lists of the records of batches, to name the one that does not fit';
COMMENT ON COLUMN authz.audit_page.batch IS 'the batch';
COMMENT ON COLUMN authz.audit_page.page IS '0, 1, 2 and so on';
COMMENT ON COLUMN authz.audit_page.entries IS 'up to 1024 times 32 bytes: transaction, number, half the hash of the record';

SELECT authz.seal_off('authz.audit_batch'), authz.seal_off('authz.audit_page');
SELECT pg_catalog.pg_extension_config_dump('authz.audit_batch', '');
SELECT pg_catalog.pg_extension_config_dump('authz.audit_page', '');

CREATE FUNCTION authz.audit_hash_records(partition oid, after_id bigint, until_id bigint, from_transaction xid8, to_transaction xid8,
	batch bigint, OUT records bigint, OUT last_id bigint, OUT root bytea)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_audit_hash_records';
COMMENT ON FUNCTION authz.audit_hash_records(oid, bigint, bigint, xid8, xid8, bigint) IS 'root of the records of a partition within bounds; writes their list';

CREATE FUNCTION authz.audit_verify_partition(partition oid, partition_name text, since_batch bigint, after_id bigint, until_id bigint, horizon xid8,
	OUT batch bigint, OUT ok boolean, OUT problem text, OUT first_bad_record bigint) RETURNS SETOF record
LANGUAGE c STRICT STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_audit_verify_partition';
COMMENT ON FUNCTION authz.audit_verify_partition(oid, text, bigint, bigint, bigint, xid8) IS 'compares the records of a partition with its batches';

CREATE FUNCTION authz.audit_sign(content jsonb) RETURNS text
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_audit_sign';
COMMENT ON FUNCTION authz.audit_sign(jsonb) IS 'a token, signed by the internal issuer, that is good for audit_read_digest only';

CREATE FUNCTION authz.audit_read_digest(token text) RETURNS jsonb
LANGUAGE c STRICT STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_audit_read_digest';
COMMENT ON FUNCTION authz.audit_read_digest(text) IS 'what audit_sign signed; raises if it did not';

CREATE FUNCTION authz.audit_batch_hash(b authz.audit_batch) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	-- jsonb has one text for one content; times as numbers, which no parameter writes otherwise.
	SELECT sha256(convert_to(jsonb_build_array(1, b.batch, b.kind, extract(epoch FROM b.sealed_at), b.sealed_by, b.partition,
		b.system_identifier, b.after_id, b.last_id, b.from_transaction::text, b.to_transaction::text, b.records,
		encode(b.root, 'hex'), encode(b.previous, 'hex'), b.token)::text, 'UTF8'));
END;
COMMENT ON FUNCTION authz.audit_batch_hash(authz.audit_batch) IS 'hash that a batch must have';

-- Add to the chain.  The caller has locked the table.
CREATE FUNCTION authz.append_batch(b authz.audit_batch) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	last authz.audit_batch;
BEGIN
	SELECT * INTO last FROM authz.audit_batch l ORDER BY l.batch DESC LIMIT 1;
	b.batch := coalesce(last.batch, 0) + 1;
	b.previous := coalesce(last.hash, '');
	b.sealed_at := clock_timestamp();
	b.sealed_by := session_user;
	b.system_identifier := (SELECT s.system_identifier FROM pg_control_system() s);
	b.hash := authz.audit_batch_hash(b);
	INSERT INTO authz.audit_batch SELECT b.*;
	RETURN b.batch;
END
$$;
COMMENT ON FUNCTION authz.append_batch(authz.audit_batch) IS 'adds a batch to the chain';

-- Seal what partitions hold within bounds.
CREATE FUNCTION authz.seal_records(after_id bigint, until_id bigint, from_transaction xid8, to_transaction xid8) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part record;
	hashed record;
	sealed authz.audit_batch;
BEGIN
	FOR part IN
		SELECT p.oid, p.name FROM authz.log_partitions() p ORDER BY p.name
	LOOP
		SELECT * INTO hashed FROM authz.audit_hash_records(part.oid, seal_records.after_id, until_id, seal_records.from_transaction,
			seal_records.to_transaction, (SELECT coalesce(max(b.batch), 0) + 1 FROM authz.audit_batch b));
		CONTINUE WHEN hashed.records = 0;
		sealed.kind := 'seal';
		sealed.partition := part.name;
		sealed.after_id := seal_records.after_id;
		sealed.last_id := hashed.last_id;
		sealed.from_transaction := seal_records.from_transaction;
		sealed.to_transaction := seal_records.to_transaction;
		sealed.records := hashed.records;
		sealed.root := hashed.root;
		PERFORM authz.append_batch(sealed);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.seal_records(bigint, bigint, xid8, xid8) IS 'seals what is within bounds, a batch for each partition that holds some of it';

-- Whoever keeps one open, in whatever database, keeps what is recorded after it from being sealed.
CREATE FUNCTION authz.warn_of_open_transaction() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	open record;
BEGIN
	SELECT * INTO open FROM (
		SELECT a.xact_start, format('process %s', a.pid) AS owner FROM pg_stat_activity a WHERE a.backend_xid IS NOT NULL
		UNION ALL
		SELECT x.prepared, format('prepared transaction %L', x.gid) FROM pg_prepared_xacts x) o(begun, owner)
	ORDER BY o.begun LIMIT 1;
	IF open.begun < clock_timestamp() - '10 minutes'::interval THEN
		RAISE WARNING 'what was recorded since % cannot be sealed yet', date_trunc('second', open.begun)
			USING DETAIL = format('The transaction of %s is open since then.', open.owner);
	END IF;
END
$$;
COMMENT ON FUNCTION authz.warn_of_open_transaction() IS 'warns if a transaction has been in the way of sealing for more than ten minutes';

CREATE FUNCTION authz.audit_seal() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	last authz.audit_batch;
	horizon xid8;
	begins xid8;
	border bigint;
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'authz.audit_seal needs a transaction of isolation level READ COMMITTED'
			USING ERRCODE = 'active_sql_transaction', DETAIL = 'Another would not see what was sealed meanwhile.';
	END IF;
	-- One sealer after the other; each statement below sees what the one before has sealed.  Writers do not come here.
	LOCK TABLE authz.audit_batch IN SHARE ROW EXCLUSIVE MODE;
	SELECT * INTO last FROM authz.audit_batch b WHERE b.kind = 'seal' ORDER BY b.batch DESC LIMIT 1;
	begins := coalesce(last.to_transaction, '0');
	border := coalesce(last.after_id, 0);
	-- Every transaction before it has ended, prepared ones too: what these recorded is there to be seen, for good.
	horizon := pg_snapshot_xmin(pg_current_snapshot());
	-- Restored here from a dump: this cluster counts transactions from another number on.  Numbers of records go
	-- on, so they tell what came along.  What of it is not sealed yet, is now, and ends the old count.
	IF last.system_identifier <> (SELECT s.system_identifier FROM pg_control_system() s) THEN
		border := greatest((SELECT max(b.last_id) FROM authz.audit_batch b), (
			SELECT max(l.id) FROM (
				SELECT id, transaction_id FROM authz.audit_log
				UNION ALL SELECT id, transaction_id FROM authz.access_log
				UNION ALL SELECT id, transaction_id FROM authz.denial_log) l
			WHERE l.transaction_id >= pg_snapshot_xmax(pg_current_snapshot()) AND l.transaction_id IS DISTINCT FROM pg_current_xact_id_if_assigned()));
		PERFORM authz.seal_records(last.after_id, border, begins, '18446744073709551615');
		begins := '0';
	ELSIF begins = '18446744073709551615' THEN
		border := (SELECT max(b.last_id) FROM authz.audit_batch b);
		begins := '0';
	END IF;
	PERFORM authz.seal_records(border, 9223372036854775807, begins, horizon);
	PERFORM authz.warn_of_open_transaction();
	-- Last, since it locks out writers to the default partition until the transaction ends.  Not for an auditor, who might
	-- keep their transaction open, and with it the locks.
	IF pg_has_role(session_user, 'authz_admin', 'USAGE') THEN
		PERFORM authz.extend_logs();
	END IF;
	RETURN (SELECT max(b.batch) FROM authz.audit_batch b);
END
$$;
COMMENT ON FUNCTION authz.audit_seal() IS
	'seal what ended transactions have recorded since the last seal; returns the number of the last batch, NULL before the first';

CREATE FUNCTION authz.audit_digest() RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	last authz.audit_batch;
BEGIN
	SELECT * INTO last FROM authz.audit_batch b ORDER BY b.batch DESC LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'nothing is sealed yet'
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call authz.audit_seal first.';
	END IF;
	-- Sealers wait for no standby.  Who gets a digest does: the commit of this message comes after that of the seal.
	IF NOT pg_is_in_recovery() THEN
		PERFORM pg_logical_emit_message(true, 'authz', 'digest');
	END IF;
	RETURN authz.audit_sign(jsonb_build_object('batch', last.batch, 'hash', encode(last.hash, 'hex')));
END
$$;
COMMENT ON FUNCTION authz.audit_digest() IS 'the end of the chain as a signed token, to be kept outside and given to authz.audit_verify; waits for synchronous standbys';

-- The chain alone: each seal as it was made, after the one before it, going on where that ended.
CREATE FUNCTION authz.verify_chain(outside jsonb) RETURNS TABLE (batch bigint, problem text)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH chain AS (
		SELECT b AS b, lag(b.batch) OVER w AS batch_before, lag(b.hash) OVER w AS hash_before
		FROM authz.audit_batch b WINDOW w AS (ORDER BY b.batch)),
	-- A seal goes on from the one before; or is of the same call; or counts transactions anew, in another cluster.
	seals AS (
		SELECT s.batch, (s.after_id, s.from_transaction, s.to_transaction) IS NOT DISTINCT FROM (lag(s.after_id) OVER w, lag(s.from_transaction) OVER w, lag(s.to_transaction) OVER w)
				OR s.from_transaction < s.to_transaction AND s.after_id = coalesce(lag(s.after_id) OVER w, 0) AND s.from_transaction = coalesce(lag(s.to_transaction) OVER w, '0')
				OR s.from_transaction = '0' AND s.after_id BETWEEN lag(s.after_id) OVER w AND max(s.last_id) OVER (ORDER BY s.batch ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
				AS goes_on
		FROM authz.audit_batch s WHERE s.kind = 'seal' WINDOW w AS (ORDER BY s.batch)),
	drops AS (
		SELECT d.batch, d.sealed_at AT TIME ZONE 'UTC' >= authz.partition_month(d.partition) + '1 month'::interval
				AND (d.records, d.root) = (coalesce(sum(s.records), 0), sha256(coalesce(string_agg(s.root, '' ORDER BY s.batch), '')))
				AS fits
		FROM (SELECT e.batch, e.partition, e.sealed_at, e.records, e.root, lag(e.batch, 1, 0::bigint) OVER (PARTITION BY e.partition ORDER BY e.batch) AS after
				FROM authz.audit_batch e WHERE e.kind = 'drop') d
			LEFT JOIN authz.audit_batch s ON s.partition = d.partition AND s.kind = 'seal' AND s.batch < d.batch AND s.batch > d.after
		GROUP BY d.batch, d.partition, d.sealed_at, d.records, d.root)
	SELECT f.batch, f.problem FROM (
		SELECT (c.b).batch, CASE
			WHEN (c.b).hash IS NULL OR (c.b).hash IS DISTINCT FROM authz.audit_batch_hash(c.b) THEN 'seal altered'
			WHEN (c.b).batch IS DISTINCT FROM coalesce(c.batch_before, 0) + 1 THEN 'seal before it missing'
			WHEN (c.b).previous IS DISTINCT FROM coalesce(c.hash_before, '') THEN 'seal does not follow the one before it'
			WHEN (c.b).batch = (outside ->> 'batch')::bigint AND encode((c.b).hash, 'hex') IS DISTINCT FROM outside ->> 'hash'
				THEN 'seal is another than the digest says'
			WHEN (c.b).kind = 'seal' AND s.goes_on IS NOT TRUE THEN 'seal does not go on where the one before it ended'
			WHEN (c.b).kind = 'seal' AND (c.b).to_transaction > pg_snapshot_xmax(pg_current_snapshot()) AND (c.b).to_transaction <> '18446744073709551615'
				AND (c.b).system_identifier = (SELECT i.system_identifier FROM pg_control_system() i) THEN 'seal of transactions to come'
			WHEN (c.b).kind IS DISTINCT FROM 'seal' AND d.fits IS NOT TRUE THEN 'partition dropped otherwise than by authz.audit_retain'
			END AS problem
		FROM chain c LEFT JOIN seals s ON s.batch = (c.b).batch LEFT JOIN drops d ON d.batch = (c.b).batch) f
	WHERE f.problem IS NOT NULL;
END;
COMMENT ON FUNCTION authz.verify_chain(jsonb) IS 'seals that are not as they were made; the digest says which one must be there';

CREATE FUNCTION authz.stray_record(partition oid) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- After it, transactions of this cluster are counted.
	border bigint := (SELECT CASE WHEN b.system_identifier <> (SELECT s.system_identifier FROM pg_control_system() s) THEN NULL
							WHEN b.to_transaction = '18446744073709551615' THEN (SELECT max(m.last_id) FROM authz.audit_batch m)
							ELSE b.after_id END
					  FROM authz.audit_batch b WHERE b.kind = 'seal' ORDER BY b.batch DESC LIMIT 1);
	result bigint;
BEGIN
	EXECUTE format('SELECT min(coalesce(l.id, 0)) FROM ONLY %s l WHERE l.id IS NULL OR l.id < 1 OR l.transaction_id IS NULL OR l.id > $1 AND l.transaction_id >= $2 AND l.transaction_id IS DISTINCT FROM $3',
				   partition::regclass)
		INTO result USING coalesce(border, 9223372036854775807), pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id_if_assigned();
	RETURN result;
END
$$;
COMMENT ON FUNCTION authz.stray_record(oid) IS 'a record that no seal would ever hold: without a number or of a transaction to come; NULL: none';

-- What one partition holds.
CREATE FUNCTION authz.verify_partition(partition oid, partition_name name)
	RETURNS TABLE (batch bigint, ok boolean, problem text, first_bad_record bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	-- Where transactions were counted anew, and how far each count is sealed.
	WITH eras AS MATERIALIZED (
		SELECT e.after_id, l.to_transaction AS horizon, coalesce(lead(e.after_id) OVER (ORDER BY e.after_id),
			-- The last one is over where its end is sealed, or in another cluster.
			CASE WHEN l.to_transaction = '18446744073709551615' OR l.system_identifier <> (SELECT s.system_identifier FROM pg_control_system() s)
				THEN e.last_id ELSE 9223372036854775807 END) AS until_id
		FROM (SELECT s.after_id, max(s.last_id) AS last_id FROM authz.audit_batch s WHERE s.kind = 'seal' GROUP BY s.after_id) e,
			LATERAL (SELECT * FROM authz.audit_batch b WHERE b.after_id = e.after_id AND b.kind = 'seal' ORDER BY b.batch DESC LIMIT 1) l)
	SELECT v.batch, v.ok, v.problem, v.first_bad_record
	FROM eras e, authz.audit_verify_partition(verify_partition.partition, partition_name::text,
		coalesce((SELECT max(d.batch) FROM authz.audit_batch d WHERE d.partition = partition_name AND d.kind = 'drop'), 0),
		e.after_id, e.until_id, e.horizon) v
	UNION ALL
	SELECT NULL, false, 'record that no seal can hold', r FROM authz.stray_record(verify_partition.partition) r WHERE r IS NOT NULL;
END;
COMMENT ON FUNCTION authz.verify_partition(oid, name) IS 'compare what a partition holds with its seals';

CREATE FUNCTION authz.verify_objects() RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT format('table %s: %s', t.relation, authz.audit_problem(t))
	FROM authz.audited_table t WHERE t.active AND authz.audit_problem(t) IS NOT NULL
	UNION ALL
	SELECT format('table %s: %s', t::regclass, authz.log_problem(t)) FROM authz.audit_tables() t WHERE authz.log_problem(t) IS NOT NULL
	UNION ALL
	SELECT format('event trigger "%s" is missing, altered or disabled', e.name)
	FROM (VALUES ('authz_audit_after_ddl', 'audit_after_ddl'), ('authz_audit_check_drop', 'audit_check_drop'), ('authz_audit_forget', 'audit_forget')) e(name, function)
	WHERE NOT EXISTS (SELECT FROM pg_event_trigger t WHERE t.evtname = e.name AND t.evtenabled = 'A' AND t.evtfoid = to_regprocedure(format('authz.%s()', e.function)))
	UNION ALL
	SELECT format('function %s is missing or replaced', f.signature)
	FROM (VALUES ('audit_statement', 'authz.audit_statement()'), ('audit_row', 'authz.audit_row()'), ('audit_event', 'authz.audit_event(text,bigint,text,jsonb,jsonb)'),
		('refuse_audit', 'authz.refuse_audit(text,oid,text,text,text,text)')) f(name, signature)
	WHERE NOT EXISTS (SELECT FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
		WHERE p.oid = to_regprocedure(f.signature) AND l.lanname = 'c' AND p.prosrc = 'authz_' || f.name AND p.probin = 'MODULE_PATHNAME');
END;
COMMENT ON FUNCTION authz.verify_objects() IS 'tables, triggers and functions of the audit that are not as they were made';

CREATE FUNCTION authz.audit_verify(digest text DEFAULT NULL)
	RETURNS TABLE (batch bigint, ok boolean, problem text, first_bad_record bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- A token that was not made here is refused before anything is read.
	outside jsonb := authz.audit_read_digest(digest);
	began timestamptz := clock_timestamp();
	seconds numeric;
	megabytes numeric;
BEGIN
	RETURN QUERY
	WITH parts AS MATERIALIZED (SELECT p.oid, p.name FROM authz.log_partitions() p JOIN pg_class c ON c.oid = p.oid AND c.relkind = 'r'),
	-- Few: looked for among all batches for each of them, they would cost the square of these.
	dropped AS MATERIALIZED (SELECT e.partition, e.batch FROM authz.audit_batch e WHERE e.kind = 'drop'),
	found AS (
		SELECT 1 AS stage, c.batch, false AS ok, c.problem, NULL::bigint AS first_bad_record FROM authz.verify_chain(outside) c
		UNION ALL
		SELECT 2, v.batch, v.ok, v.problem, v.first_bad_record FROM parts p, authz.verify_partition(p.oid, p.name) v
		UNION ALL
		-- Batches of partitions that are not there, and what says that they were dropped.
		SELECT 2, b.batch, d.batch IS NOT NULL, CASE WHEN d.batch IS NULL THEN 'partition missing' END, NULL
		FROM authz.audit_batch b LEFT JOIN LATERAL (
				SELECT max(e.batch) AS batch FROM dropped e WHERE e.partition = b.partition AND e.batch >= b.batch HAVING count(*) > 0) d ON true
		WHERE d.batch IS NOT NULL OR b.partition NOT IN (SELECT p.name FROM parts p)
		UNION ALL
		SELECT 2, (outside ->> 'batch')::bigint, false, 'seal that the digest names is missing', NULL
		WHERE outside IS NOT NULL AND NOT EXISTS (SELECT FROM authz.audit_batch b WHERE b.batch = (outside ->> 'batch')::bigint)
		UNION ALL
		SELECT 3, NULL, false, o, NULL FROM authz.verify_objects() o)
	SELECT s.batch, s.ok, s.problem, s.first_bad_record FROM (
		SELECT f.*, row_number() OVER (PARTITION BY f.batch ORDER BY f.ok, f.stage) AS n FROM found f) s
	WHERE s.n = 1 OR s.batch IS NULL
	ORDER BY s.batch NULLS LAST, s.first_bad_record, s.problem;
	-- Who has waited would like to know for what.
	seconds := extract(epoch FROM clock_timestamp() - began);
	IF seconds > 10 THEN
		megabytes := (SELECT sum(pg_table_size(p.oid)) / 1e6 FROM authz.log_partitions() p);
		RAISE NOTICE '% MB verified in % s: % MB/s', round(megabytes), round(seconds), round(megabytes / seconds);
	END IF;
END
$$;
COMMENT ON FUNCTION authz.audit_verify(text) IS
	'compare all logs with their seals: a row for each batch, and for each problem outside of batches; '
	'a digest of earlier (authz.audit_digest) shows also whether the seals themselves were made anew';

-- The lists of dropped records go too; only here, past the triggers.
CREATE FUNCTION authz.audit_forget_pages(batches bigint[]) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_audit_forget_pages';
COMMENT ON FUNCTION authz.audit_forget_pages(bigint[]) IS 'deletes the lists of batches whose records were dropped';

-- Partitions by month of a log that ended so long ago.
CREATE FUNCTION authz.old_partitions(log name, keep interval) RETURNS SETOF name
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT p.name FROM authz.log_partitions() p
	WHERE p.log = old_partitions.log AND authz.partition_month(p.name) + '1 month'::interval <= (clock_timestamp() AT TIME ZONE 'UTC') - keep
		-- This month's and later ones are in use.
		AND authz.partition_month(p.name) < date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')
	ORDER BY p.name;
END;
COMMENT ON FUNCTION authz.old_partitions(name, interval) IS 'months of a log that ended longer ago than this';

CREATE FUNCTION authz.do_audit_retain(keep interval, logs name[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part record;
	summary record;
	dropped authz.audit_batch;
	there bigint;
	result bigint := 0;
BEGIN
	IF keep IS NULL OR keep < '0' THEN
		RAISE EXCEPTION 'the time to keep records must be zero or more' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF logs IS NULL OR NOT logs <@ ARRAY(SELECT authz.logs()) THEN
		RAISE EXCEPTION 'unknown log' USING ERRCODE = 'invalid_parameter_value', HINT = 'Logs are access_log, audit_log and denial_log.';
	END IF;
	PERFORM authz.audit_seal();
	FOR part IN SELECT l.log, o.name FROM authz.logs() l(log), authz.old_partitions(l.log, keep) o(name) WHERE l.log = ANY (logs)
	LOOP
		-- In this order, as readers do; writers lock their partition only.
		EXECUTE format('LOCK TABLE ONLY authz.%I IN ACCESS EXCLUSIVE MODE', part.log);
		EXECUTE format('LOCK TABLE authz.%I IN ACCESS EXCLUSIVE MODE', part.name);
		EXECUTE format('SELECT count(*) FROM ONLY authz.%I', part.name) INTO there;
		SELECT coalesce(array_agg(b.batch ORDER BY b.batch), '{}') AS batches, coalesce(sum(b.records), 0)::bigint AS records,
				coalesce(max(b.last_id), 0) AS last_id, coalesce(max(b.after_id), 0) AS after_id,
				sha256(coalesce(string_agg(b.root, '' ORDER BY b.batch), '')) AS root
			INTO summary FROM authz.audit_batch b
			WHERE b.partition = part.name AND b.kind = 'seal'
				AND b.batch > coalesce((SELECT max(d.batch) FROM authz.audit_batch d WHERE d.partition = part.name AND d.kind = 'drop'), 0);
		IF there <> summary.records THEN
			RAISE WARNING 'partition % is kept: it holds % records, of which % are sealed', part.name, there, summary.records
				USING HINT = 'Call authz.audit_verify; or records of transactions that have not ended are in it.';
			CONTINUE;
		END IF;
		-- What was tampered with is evidence.
		IF EXISTS (SELECT FROM authz.verify_partition(to_regclass('authz.' || part.name), part.name) v WHERE NOT v.ok) THEN
			RAISE WARNING 'partition % is kept: its records are not as they were sealed', part.name USING HINT = 'Call authz.audit_verify.';
			CONTINUE;
		END IF;
		dropped.kind := 'drop';
		dropped.partition := part.name;
		dropped.after_id := summary.after_id;
		dropped.last_id := summary.last_id;
		dropped.from_transaction := '0';
		dropped.to_transaction := '0';
		dropped.records := summary.records;
		dropped.root := summary.root;
		dropped.token := authz.audit_sign(jsonb_build_object('dropped', part.name, 'batches', summary.batches, 'records', summary.records,
			'root', encode(summary.root, 'hex'), 'by', session_user, 'keep', keep));
		PERFORM authz.append_batch(dropped);
		PERFORM authz.audit_forget_pages(summary.batches);
		EXECUTE format('DROP TABLE authz.%I', part.name);
		result := result + 1;
	END LOOP;
	RETURN result;
END
$$;
COMMENT ON FUNCTION authz.do_audit_retain(interval, name[]) IS 'authz.audit_retain, for administrators';

CREATE FUNCTION authz.audit_retain(keep interval, logs name[] DEFAULT '{access_log,audit_log,denial_log}') RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_admin('audit_retain', 'authz.audit_log'::regclass);
	RETURN authz.do_audit_retain(keep, logs);
END
$$;
COMMENT ON FUNCTION authz.audit_retain(interval, name[]) IS
	'drop the partitions of these logs, wholly sealed, whose month ended that long ago; leaves a signed record in authz.audit_batch; returns how many';

REVOKE ALL ON FUNCTION authz.audit_hash_records(oid, bigint, bigint, xid8, xid8, bigint),
	authz.audit_verify_partition(oid, text, bigint, bigint, bigint, xid8), authz.audit_sign(jsonb), authz.audit_read_digest(text),
	authz.warn_of_open_transaction(), authz.verify_chain(jsonb), authz.stray_record(oid), authz.verify_partition(oid, name),
	authz.verify_objects(), authz.audit_batch_hash(authz.audit_batch), authz.append_batch(authz.audit_batch), authz.seal_records(bigint, bigint, xid8, xid8),
	authz.audit_seal(), authz.audit_digest(), authz.audit_verify(text), authz.audit_forget_pages(bigint[]),
	authz.old_partitions(name, interval), authz.do_audit_retain(interval, name[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.audit_seal(), authz.audit_digest(), authz.audit_verify(text) TO authz_admin, authz_auditor;
GRANT EXECUTE ON FUNCTION authz.do_audit_retain(interval, name[]) TO authz_admin;

DROP FUNCTION authz.finish_log(name);
DROP TABLE authz.record;
