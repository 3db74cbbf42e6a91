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
COMMENT ON COLUMN authz.audit_batch.root IS 'of the Merkle tree (RFC 6962, SHA-256) of the records; of a drop: SHA-256 of the roots of the partition''s batches';
COMMENT ON COLUMN authz.audit_batch.previous IS 'hash of the batch before; empty for the first';
COMMENT ON COLUMN authz.audit_batch.hash IS 'SHA-256 of all of this but token';
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
		encode(b.root, 'hex'), encode(b.previous, 'hex'))::text, 'UTF8'));
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
	PERFORM authz.extend_logs();
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
			WHERE l.transaction_id >= pg_snapshot_xmax(pg_current_snapshot())));
		PERFORM authz.seal_records(last.after_id, border, begins, '18446744073709551615');
		begins := '0';
	ELSIF begins = '18446744073709551615' THEN
		border := (SELECT max(b.last_id) FROM authz.audit_batch b);
		begins := '0';
	END IF;
	PERFORM authz.seal_records(border, 9223372036854775807, begins, horizon);
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
	RETURN authz.audit_sign(jsonb_build_object('batch', last.batch, 'hash', encode(last.hash, 'hex')));
END
$$;
COMMENT ON FUNCTION authz.audit_digest() IS 'the end of the chain as a signed token, to be kept outside and given to authz.audit_verify';

CREATE FUNCTION authz.audit_verify(digest text DEFAULT NULL)
	RETURNS TABLE (batch bigint, ok boolean, problem text, first_bad_record bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- A token that was not made here is refused before anything is read.
	outside jsonb := authz.audit_read_digest(digest);
BEGIN
	RETURN QUERY
	WITH chain AS MATERIALIZED (
		SELECT b.batch, b.kind, b.partition, b.after_id, CASE
			WHEN b.hash <> authz.audit_batch_hash(b) THEN 'seal altered'
			WHEN b.batch <> coalesce(lag(b.batch) OVER w, 0) + 1 THEN 'seal before it missing'
			WHEN b.previous <> coalesce(lag(b.hash) OVER w, '') THEN 'seal does not follow the one before it'
			WHEN b.batch = (outside ->> 'batch')::bigint AND encode(b.hash, 'hex') <> outside ->> 'hash' THEN 'seal is another than the digest says'
			END AS problem
		FROM authz.audit_batch b WINDOW w AS (ORDER BY b.batch)),
	dropped AS (SELECT c.partition, max(c.batch) AS batch FROM chain c WHERE c.kind = 'drop' GROUP BY c.partition),
	parts AS MATERIALIZED (
		SELECT r.oid, r.name::text AS name, coalesce((SELECT d.batch FROM dropped d WHERE d.partition = r.name), 0) AS since
		FROM authz.log_partitions() r),
	-- Where transactions were counted anew, and how far each count is sealed.
	eras AS MATERIALIZED (
		SELECT e.after_id, l.to_transaction AS horizon, coalesce(lead(e.after_id) OVER (ORDER BY e.after_id),
			-- The last one is over where its end is sealed, or in another cluster.
			CASE WHEN l.to_transaction = '18446744073709551615' OR l.system_identifier <> (SELECT s.system_identifier FROM pg_control_system() s)
				THEN e.last_id ELSE 9223372036854775807 END) AS until_id
		FROM (SELECT s.after_id, max(s.last_id) AS last_id FROM authz.audit_batch s WHERE s.kind = 'seal' GROUP BY s.after_id) e,
			LATERAL (SELECT * FROM authz.audit_batch b WHERE b.after_id = e.after_id AND b.kind = 'seal' ORDER BY b.batch DESC LIMIT 1) l),
	found AS (
		SELECT 1 AS stage, c.batch, false AS ok, c.problem, NULL::bigint AS first_bad_record FROM chain c WHERE c.problem IS NOT NULL
		UNION ALL
		SELECT 2, v.batch, v.ok, v.problem, v.first_bad_record
		FROM parts p, eras e, authz.audit_verify_partition(p.oid, p.name, p.since, e.after_id, e.until_id, e.horizon) v
		UNION ALL
		SELECT 2, c.batch, d.batch IS NOT NULL, CASE WHEN d.batch IS NULL THEN 'partition missing' END, NULL
		FROM chain c LEFT JOIN parts p ON p.name = c.partition AND p.since < c.batch
			LEFT JOIN dropped d ON d.partition = c.partition AND d.batch >= c.batch
		WHERE c.kind = 'drop' OR p.name IS NULL
		UNION ALL
		SELECT 2, (outside ->> 'batch')::bigint, false, 'seal that the digest names is missing', NULL
		WHERE outside IS NOT NULL AND NOT EXISTS (SELECT FROM chain c WHERE c.batch = (outside ->> 'batch')::bigint)
		UNION ALL
		SELECT 3, NULL, false, format('table %s: %s', t.relation, authz.audit_problem(t)), NULL
		FROM authz.audited_table t WHERE t.active AND authz.audit_problem(t) IS NOT NULL
		UNION ALL
		SELECT 3, NULL, false, format('table %s: trigger "refuse_change" is missing, altered or disabled', c.oid::regclass), NULL
		FROM pg_class c
		WHERE (c.oid IN ('authz.audit_batch'::regclass, 'authz.audit_page'::regclass) OR c.oid IN (SELECT p.oid FROM parts p)
				OR c.relnamespace = 'authz'::regnamespace AND c.relname IN (SELECT l FROM authz.logs() l))
			AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'refuse_change' AND t.tgtype = 58
				AND t.tgenabled = 'A' AND t.tgfoid = 'authz.refuse_change()'::regprocedure AND t.tgqual IS NULL))
	SELECT s.batch, s.ok, s.problem, s.first_bad_record FROM (
		SELECT f.*, row_number() OVER (PARTITION BY f.batch ORDER BY f.ok, f.stage) AS n FROM found f) s
	WHERE s.n = 1 OR s.batch IS NULL
	ORDER BY s.batch NULLS LAST, s.first_bad_record, s.problem;
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
	WHERE p.log = old_partitions.log AND p.name ~ '_log_[0-9]{6}$'
		AND to_timestamp(right(p.name, 6) || '01 +00', 'YYYYMMDD TZH') + '1 month' <= clock_timestamp() - keep
		-- This month's and later ones are in use.
		AND right(p.name, 6) < to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMM')
	ORDER BY p.name;
END;
COMMENT ON FUNCTION authz.old_partitions(name, interval) IS 'months of a log that ended longer ago than this';

CREATE FUNCTION authz.audit_retain(keep interval, logs name[] DEFAULT '{access_log,audit_log,denial_log}') RETURNS bigint
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
COMMENT ON FUNCTION authz.audit_retain(interval, name[]) IS
	'drop the partitions of these logs, wholly sealed, whose month ended that long ago; leaves a signed record in authz.audit_batch; returns how many';

REVOKE ALL ON FUNCTION authz.audit_hash_records(oid, bigint, bigint, xid8, xid8, bigint),
	authz.audit_verify_partition(oid, text, bigint, bigint, bigint, xid8), authz.audit_sign(jsonb), authz.audit_read_digest(text),
	authz.audit_batch_hash(authz.audit_batch), authz.append_batch(authz.audit_batch), authz.seal_records(bigint, bigint, xid8, xid8),
	authz.audit_seal(), authz.audit_digest(), authz.audit_verify(text), authz.audit_forget_pages(bigint[]),
	authz.old_partitions(name, interval), authz.audit_retain(interval, name[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.audit_seal(), authz.audit_digest(), authz.audit_verify(text) TO authz_admin, authz_auditor;
GRANT EXECUTE ON FUNCTION authz.audit_retain(interval, name[]) TO authz_admin;

DROP TABLE authz.record;
