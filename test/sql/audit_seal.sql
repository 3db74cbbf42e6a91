-- What is sealed cannot be changed, taken out or added to without being found, and the record is named.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_auditor;
CREATE ROLE regress_authz_admin;
CREATE ROLE regress_authz_user;
GRANT authz_auditor TO regress_authz_auditor;
GRANT authz_admin TO regress_authz_admin;
CREATE SCHEMA regress_authz;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user;
SET search_path = regress_authz, public;
-- The numbers of this test count from here; what was there before is sealed, as batch 0 or before.
CREATE TABLE doc (id int PRIMARY KEY, t text);
GRANT ALL ON doc TO regress_authz_user;
SELECT authz.audit('doc');
SET ROLE regress_authz_auditor;
SELECT authz.audit_seal() > 0 AS sealed;
RESET ROLE;
SELECT max(batch) AS base FROM authz.audit_batch \gset
CREATE TABLE base AS SELECT :base::bigint AS b, 0::bigint AS r;
CREATE VIEW problems AS SELECT CASE WHEN v.batch > base.b THEN v.batch - base.b WHEN v.batch IS NOT NULL THEN 0 END AS batch, v.problem, v.first_bad_record - base.r AS record
	FROM authz.audit_verify() v, base WHERE NOT v.ok ORDER BY v.batch, record;
SELECT authz.audit('doc', exclude_columns => '{t}'), authz.audit('doc');
UPDATE base SET r = (SELECT max(id) FROM authz.audit_log);
-- A record, then records 1 to 2500, 2501 to 2510, 2511, each in a batch.
SELECT authz.audit_seal() - b AS batch FROM base;
INSERT INTO doc SELECT i, 'x' FROM generate_series(1, 2500) i;
SELECT authz.audit_seal() - b AS batch FROM base;
SELECT authz.audit_seal() - b AS batch FROM base;
UPDATE doc SET t = 'y' WHERE id <= 10;
SELECT authz.audit_seal() - b AS batch FROM base;
-- What is not committed is not sealed yet, nor lost.
BEGIN;
DELETE FROM doc WHERE id = 11;
SELECT count(*) FROM problems;
SELECT authz.audit_seal() - b AS batch FROM base;
SELECT count(*) FROM problems;
COMMIT;
SELECT authz.audit_seal() - b AS batch FROM base;
SELECT batch - b AS batch, kind, after_id, last_id - r AS last, records, length(root), length(previous) > 0 AS follows, length(hash), token
	FROM authz.audit_batch, base WHERE batch > b ORDER BY 1;
SELECT batch - b AS batch, page, length(entries) / 32 AS n FROM authz.audit_page, base WHERE batch > b ORDER BY 1, 2;
SELECT count(*) FROM problems;
SELECT count(*) FILTER (WHERE ok) = count(*), count(*) = max(batch) AS one_each FROM authz.audit_verify();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT authz.audit_seal();
ROLLBACK;

-- Who may.
SET ROLE regress_authz_user;
SELECT authz.audit_seal();
SELECT authz.audit_digest();
SELECT authz.audit_verify();
SELECT authz.audit_retain('0');
SELECT authz.audit_sign('{"batch": 1}');
SELECT count(*) FROM authz.audit_batch;
SET ROLE regress_authz_auditor;
SELECT bool_and(ok) FROM authz.audit_verify();
SELECT count(*) > 0 AS reads FROM authz.audit_batch;
INSERT INTO authz.audit_batch SELECT * FROM authz.audit_batch;
DELETE FROM authz.audit_page;
SELECT authz.audit_retain('0');
SELECT authz.audit_sign('{"batch": 1}');
RESET ROLE;
UPDATE authz.audit_batch SET root = '';
DELETE FROM authz.audit_page;
TRUNCATE authz.audit_batch;

-- A digest says which chain it is; it is no identity, and an identity is no digest.
SELECT authz.audit_digest() AS digest \gset
SELECT bool_and(ok) FROM authz.audit_verify(:'digest');
SELECT authz.login(:'digest');
RESET authz.token;
SELECT authz.audit_verify('rubbish');
SELECT authz.audit_verify(:'digest' || 'x');
SELECT authz.audit_verify(regexp_replace(:'digest', '\.[^.]*\.', '.' || translate(encode('{"iss":"authz:internal","aud":"authz:audit","audit":{"batch":1,"hash":"00"}}', 'base64'), E'+/=\n', '-_') || '.'));
-- A token of the same key for another audience.
SELECT authz.audit_verify(encode(convert_to(h || '.' || p, 'UTF8'), 'escape') || '.' || translate(encode(hmac, 'base64'), E'+/=\n', '-_'))
FROM (SELECT translate(encode('{"alg":"HS256","kid":"internal"}', 'base64'), E'+/=\n', '-_') AS h,
	translate(encode('{"iss":"authz:internal","aud":"authz:internal","sub":"x","audit":{"batch":1,"hash":"00"}}', 'base64'), E'+/=\n', '-_') AS p) t,
	LATERAL (SELECT k.key FROM authz.key k WHERE k.issuer = 'authz:internal') k,
	LATERAL (SELECT convert_to(k.key, 'UTF8') AS key, sha256(convert_to(k.key, 'UTF8')) AS _) kk,
	LATERAL (SELECT (SELECT string_agg(set_byte('\x00', 0, (CASE WHEN i < length(kk.key) THEN get_byte(kk.key, i) ELSE 0 END) # 54), '' ORDER BY i) FROM generate_series(0, 63) i) AS ipad,
		(SELECT string_agg(set_byte('\x00', 0, (CASE WHEN i < length(kk.key) THEN get_byte(kk.key, i) ELSE 0 END) # 92), '' ORDER BY i) FROM generate_series(0, 63) i) AS opad) pads,
	LATERAL (SELECT sha256(opad || sha256(ipad || convert_to(h || '.' || p, 'UTF8'))) AS hmac) m;

-- Tampering, by a superuser who takes the triggers away.
CREATE FUNCTION tamper(command text) RETURNS SETOF problems LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		ALTER EVENT TRIGGER authz_after_ddl DISABLE;
		ALTER EVENT TRIGGER authz_audit_after_ddl DISABLE;
		ALTER EVENT TRIGGER authz_audit_forget DISABLE;
		EXECUTE (SELECT string_agg(format('ALTER TABLE %s DISABLE TRIGGER USER', t::regclass), ';') FROM authz.audit_tables() t);
		EXECUTE command;
		EXECUTE (SELECT string_agg(format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_change', t::regclass), ';') FROM authz.audit_tables() t
			WHERE EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t AND g.tgname = 'refuse_change' AND g.tgenabled = 'D'));
		ALTER EVENT TRIGGER authz_after_ddl ENABLE ALWAYS;
		ALTER EVENT TRIGGER authz_audit_after_ddl ENABLE ALWAYS;
		ALTER EVENT TRIGGER authz_audit_forget ENABLE ALWAYS;
		RETURN QUERY TABLE problems;
		RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ001';
	EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
		NULL;
	END;
END $$;
-- Changed: any column.
SELECT a.attname, p.* FROM base, pg_attribute a, LATERAL tamper(format('UPDATE authz.audit_log SET %1$I = %2$s WHERE id = %3$s', a.attname, CASE
		WHEN a.attname = 'recorded_at' THEN 'recorded_at + ''1 us'''
		WHEN a.atttypid IN ('bigint'::regtype, 'timestamptz'::regtype) THEN format('(SELECT %I FROM authz.audit_log WHERE id = %s)', a.attname, base.r)
		WHEN a.atttypid = 'xid8'::regtype THEN '''1'''
		WHEN a.atttypid = 'jsonb'::regtype THEN '''{"forged": true}'''
		WHEN a.atttypid = 'text[]'::regtype THEN '''{forged}'''
		WHEN a.atttypid = 'inet'::regtype THEN '''6.6.6.6'''
		ELSE '''forged''' END, base.r + 1500)) p
	WHERE a.attrelid = 'authz.audit_log'::regclass AND a.attnum > 0 AND a.attname NOT IN ('id', 'trail', 'policy_version') ORDER BY a.attnum;
SELECT p.* FROM base, tamper(format('UPDATE authz.audit_log SET id = 1000000000 WHERE id = %s', r + 1500)) p;
-- The jsonb stays equal, not the same.
SELECT p.* FROM base, tamper(format('UPDATE authz.audit_log SET new_values = ''{"t": "x", "id": 1500.0}'' WHERE id = %s', r + 1500)) p;
-- Taken out; the first, the last, all of a batch.
SELECT p.* FROM base, tamper(format('DELETE FROM authz.audit_log WHERE id = %s', r + 77)) p;
SELECT p.* FROM base, tamper(format('DELETE FROM authz.audit_log WHERE id IN (%s, %s)', r + 2500, r + 2501)) p;
SELECT p.* FROM base, tamper(format('DELETE FROM authz.audit_log WHERE id > %s', r)) p;
-- Added: within a batch, where no batch is; two swapped.
CREATE TEMP TABLE forged AS SELECT * FROM authz.audit_log WHERE id = (SELECT r + 2505 FROM base);
UPDATE forged SET id = (SELECT r + 3000 FROM base), subject = 'forged';
SELECT p.* FROM tamper('INSERT INTO authz.audit_log SELECT * FROM forged') p;
UPDATE forged SET transaction_id = '1', id = (SELECT r + 3001 FROM base);
SELECT p.* FROM base, tamper('INSERT INTO authz.audit_log SELECT * FROM forged') p;
UPDATE forged SET recorded_at = '1999-01-01';
SELECT p.* FROM base, tamper('INSERT INTO authz.audit_log SELECT * FROM forged') p;
SELECT p.* FROM base, tamper(format('UPDATE authz.audit_log SET id = 2 * %s + 201 - id WHERE id IN (%s, %s)', r, r + 100, r + 101)) p;
-- The seals and lists themselves.
SELECT p.* FROM base, tamper(format('UPDATE authz.audit_batch SET root = sha256(root) WHERE batch = %s', b + 2)) p;
SELECT p.* FROM base, tamper(format('UPDATE authz.audit_batch SET sealed_by = ''x'' WHERE batch = %s', b + 2)) p;
SELECT p.* FROM base, tamper(format('DELETE FROM authz.audit_batch WHERE batch = %s', b + 2)) p;
SELECT p.* FROM base, tamper(format('DELETE FROM authz.audit_page WHERE batch = %s AND page = 1', b + 2)) p;
SELECT p.* FROM base, tamper(format('UPDATE authz.audit_page SET entries = set_byte(entries, 31, 255 - get_byte(entries, 31)) WHERE batch = %s AND page = 0', b + 2)) p;
SELECT replace(p.problem, to_char(now() AT TIME ZONE 'UTC', 'YYYYMM'), 'MONTH') FROM tamper(format('DROP TABLE authz.audit_log_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYYMM'))) p WHERE p.batch = 2;
SELECT p.* FROM tamper('ALTER TABLE authz.audit_log_default ENABLE TRIGGER refuse_change; ALTER TABLE doc DISABLE TRIGGER authz_audit_update') p;
-- NULL is no way through.
SELECT p.* FROM base, tamper(format('ALTER TABLE authz.audit_batch ALTER hash DROP NOT NULL, ALTER previous DROP NOT NULL; UPDATE authz.audit_batch SET hash = NULL, previous = NULL, records = 7 WHERE batch > %s', b + 1)) p;
SELECT p.* FROM base, tamper(format('ALTER TABLE authz.audit_batch ALTER root DROP NOT NULL; UPDATE authz.audit_batch SET root = NULL WHERE batch = %s', b + 2)) p;
SELECT p.* FROM base, tamper(format('ALTER TABLE authz.audit_page ALTER entries DROP NOT NULL; UPDATE authz.audit_page SET entries = NULL WHERE batch = %s', b + 3)) p;
-- Where no seal would ever look: no number, transactions to come, a partition of a partition.
UPDATE forged SET id = 0, transaction_id = '5', recorded_at = now();
SELECT p.problem FROM tamper('INSERT INTO authz.audit_log SELECT * FROM forged') p;
SELECT p.problem FROM tamper($$ALTER TABLE authz.audit_log ALTER id DROP NOT NULL; INSERT INTO authz.audit_log SELECT (jsonb_populate_record(f, '{"id": null}')).* FROM forged f$$) p;
UPDATE forged SET id = (SELECT r + 5000 FROM base), transaction_id = (pg_current_xact_id()::text::bigint + 1000000)::text::xid8;
SELECT p.* FROM tamper('INSERT INTO authz.audit_log SELECT * FROM forged') p;
SELECT p.problem FROM tamper($$
	CREATE TABLE authz.audit_log_209901 PARTITION OF authz.audit_log FOR VALUES FROM ('2099-01-01') TO ('2099-02-01') PARTITION BY RANGE (recorded_at);
	CREATE TABLE authz.hidden PARTITION OF authz.audit_log_209901 DEFAULT$$) p;
-- What auditors see is not what was recorded: columns that swap their names, rows that are hidden or elsewhere.
SELECT p.* FROM base, tamper('ALTER TABLE authz.audit_log RENAME new_values TO x; ALTER TABLE authz.audit_log RENAME old_values TO new_values; ALTER TABLE authz.audit_log RENAME x TO old_values') p WHERE p.batch > 0;
SELECT p.* FROM tamper('ALTER TABLE authz.audit_log ENABLE ROW LEVEL SECURITY') p;
SELECT p.* FROM tamper('CREATE RULE elsewhere AS ON INSERT TO authz.denial_log DO INSTEAD NOTHING') p;
SELECT p.* FROM tamper('CREATE TRIGGER skips BEFORE INSERT ON authz.denial_log_default FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()') p;
SELECT p.* FROM tamper('ALTER TABLE authz.access_log_default SET UNLOGGED') p;
-- Nothing is recorded, or anybody may take it out, from now on.
SELECT p.* FROM tamper($$CREATE OR REPLACE FUNCTION authz.audit_statement() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'$$) p;
SELECT p.* FROM tamper('ALTER EVENT TRIGGER authz_audit_check_drop DISABLE') p;
-- Seals that were made otherwise: with bounds that leave something out, or keep all that comes from being sealed; a
-- month of now that was dropped as if it were old.
CREATE FUNCTION forge_seal(change jsonb) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT p.problem FROM tamper(format('SELECT authz.append_batch(jsonb_populate_record(b, %L)) FROM authz.audit_batch b WHERE b.kind = ''seal'' ORDER BY b.batch DESC LIMIT 1', change)) p
	WHERE p.problem LIKE 'seal%' $$;
SELECT to_transaction AS last FROM authz.audit_batch WHERE kind = 'seal' ORDER BY batch DESC LIMIT 1 \gset
SELECT forge_seal('{"after_id": 1000000000, "from_transaction": "0"}');
SELECT forge_seal('{"from_transaction": "1"}');
SELECT forge_seal(jsonb_build_object('from_transaction', :'last', 'to_transaction', '9000000000'));
SELECT replace(p.problem, to_char(now() AT TIME ZONE 'UTC', 'YYYYMM'), 'MONTH') AS problem, count(*) FROM tamper($$
	SELECT authz.append_batch(jsonb_populate_record(b, '{"kind": "drop"}')) FROM authz.audit_batch b WHERE b.partition = to_char(now() AT TIME ZONE 'UTC', '"audit_log_"YYYYMM') ORDER BY b.batch DESC LIMIT 1;
	DO 'BEGIN EXECUTE to_char(now() AT TIME ZONE ''UTC'', ''"DROP TABLE authz.audit_log_"YYYYMM''); END'$$) p GROUP BY 1;
-- Names that are no months' are no trouble.
SELECT n AS name, p.problem FROM unnest('{audit_log_999999,audit_log_202013,audit_log_000000,audit_log_,x}'::text[]) n, tamper(format($$
	SELECT authz.append_batch(jsonb_populate_record(b, '{"kind": "drop", "partition": "%s"}')) FROM authz.audit_batch b WHERE b.kind = 'seal' ORDER BY b.batch DESC LIMIT 1$$, n)) p;
-- A month's bounds are those of UTC, whoever makes it; others are found.
SELECT to_char(t, 'YYYYMM') AS month, to_char(t, 'YYYY-MM-01') AS begins, to_char(t + '1 month', 'YYYY-MM-01') AS ends
	FROM CAST(date_trunc('month', now() AT TIME ZONE 'UTC') + '3 months' AS timestamp) t \gset
BEGIN;
ALTER EVENT TRIGGER authz_audit_forget DISABLE;
\set ECHO none
SELECT format('DROP TABLE authz.%s_%s', l, :'month') FROM authz.logs() l \gexec
\set ECHO all
ALTER EVENT TRIGGER authz_audit_forget ENABLE ALWAYS;
SET LOCAL timezone = 'Asia/Kolkata';
SET LOCAL datestyle = 'SQL, DMY';
SELECT authz.extend_logs();
SELECT count(*) FROM problems;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SELECT p.log, pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES FROM (''%s 00:00:00+00'') TO (''%s 00:00:00+00'')', :'begins', :'ends') AS utc
	FROM authz.log_partitions() p JOIN pg_class c ON c.oid = p.oid WHERE p.name ~ :'month' ORDER BY p.log;
ROLLBACK;
SELECT replace(p.problem, :'month', 'MONTH') AS problem FROM tamper(format($$
	ALTER TABLE authz.audit_log DETACH PARTITION authz.audit_log_%1$s;
	ALTER TABLE authz.audit_log ATTACH PARTITION authz.audit_log_%1$s FOR VALUES FROM ('%2$s 05:30+00') TO ('%3$s 00:00+00')$$, :'month', :'begins', :'ends')) p;
-- Many batches are verified in no time that grows with their square.
BEGIN;
SELECT count(authz.append_batch(jsonb_populate_record(l.b, jsonb_build_object('from_transaction', (l.b).to_transaction)))) FROM (
	SELECT b FROM authz.audit_batch b WHERE b.kind = 'seal' ORDER BY b.batch DESC LIMIT 1) l, generate_series(1, 15000);
SET LOCAL statement_timeout = '10s';
SELECT count(*) > 15000 AS verified FROM authz.audit_verify();
ROLLBACK;
-- Retention: whole months that are sealed, with a record that is signed and part of the chain.
SELECT authz.audit_retain(NULL);
SELECT authz.audit_retain('-1 day');
SELECT authz.audit_retain('0') AS nothing_is_old;
CREATE TABLE authz.audit_log_202001 (LIKE authz.audit_log);
SELECT authz.prepare_partition('audit_log', 'authz.audit_log_202001');
ALTER TABLE authz.audit_log ATTACH PARTITION authz.audit_log_202001 FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-02-01 00:00+00');
UPDATE forged SET recorded_at = '2020-01-31 23:59:59+00', transaction_id = pg_current_xact_id(), id = (SELECT r + 4001 FROM base);
INSERT INTO authz.audit_log SELECT * FROM forged;
-- Evidence is kept.
SELECT authz.audit_seal() > 0 AS sealed;
BEGIN;
ALTER EVENT TRIGGER authz_audit_after_ddl DISABLE;
ALTER TABLE authz.audit_log_202001 DISABLE TRIGGER USER;
UPDATE authz.audit_log_202001 SET subject = 'nobody';
SELECT authz.audit_retain('1 year');
ROLLBACK;
-- What its transaction has not committed is not sealed: not dropped either.
BEGIN;
UPDATE forged SET id = id + 1, transaction_id = pg_current_xact_id();
INSERT INTO authz.audit_log SELECT * FROM forged;
SET LOCAL ROLE regress_authz_admin;
SELECT authz.audit_retain('1 year');
COMMIT;
SELECT authz.audit_retain('100 years');
SELECT authz.audit_seal() > 0 AS sealed;
SELECT count(*) FROM authz.audit_log_202001;
DROP TABLE authz.audit_log_202001;
SET ROLE regress_authz_admin;
SELECT authz.audit_retain('1 year');
SELECT authz.audit_retain('1 year');
RESET ROLE;
SELECT to_regclass('authz.audit_log_202001'), count(*) FROM authz.audit_log WHERE subject = 'forged';
SELECT kind, records, authz.audit_read_digest(token) - 'batches' - 'root' - 'by' AS signed FROM authz.audit_batch WHERE partition = 'audit_log_202001' ORDER BY batch;
SELECT count(*) FROM authz.audit_page p JOIN authz.audit_batch b USING (batch) WHERE b.partition = 'audit_log_202001';
SELECT count(*) FROM problems;
SELECT bool_and(ok) FROM authz.audit_verify(:'digest');
-- Without that record the months are missing.
SELECT p.problem FROM tamper('DELETE FROM authz.audit_batch WHERE kind = ''drop'' AND partition = ''audit_log_202001''') p ORDER BY p.batch;
SELECT authz.audit_digest() AS digest \gset
-- Dropped since the snapshot of who verifies: an error, no more.
CREATE TABLE authz.audit_log_202002 (LIKE authz.audit_log);
SELECT authz.prepare_partition('audit_log', 'authz.audit_log_202002');
ALTER TABLE authz.audit_log ATTACH PARTITION authz.audit_log_202002 FOR VALUES FROM ('2020-02-01 00:00+00') TO ('2020-03-01 00:00+00');
SELECT 'authz.audit_log_202002'::regclass::oid AS gone \gset
SELECT authz.audit_retain('1 year');
SELECT authz.audit_verify_partition(:gone, 'audit_log_202002', 0, 0, 1, '1');

-- A chain rebuilt from scratch holds together; the digest tells.
CREATE FUNCTION rebuild(digest text) RETURNS TABLE (batch bigint, problem text) LANGUAGE plpgsql AS $$
BEGIN
	ALTER EVENT TRIGGER authz_audit_after_ddl DISABLE;
	EXECUTE (SELECT string_agg(format('ALTER TABLE %s DISABLE TRIGGER USER', t::regclass), ';') FROM authz.audit_tables() t);
	DELETE FROM authz.audit_batch;
	DELETE FROM authz.audit_page;
	UPDATE authz.audit_log SET subject = 'forged' WHERE id = (SELECT r + 5 FROM regress_authz.base);
	EXECUTE (SELECT string_agg(format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_change', t::regclass), ';') FROM authz.audit_tables() t);
	ALTER EVENT TRIGGER authz_audit_after_ddl ENABLE ALWAYS;
	PERFORM authz.audit_seal();
	RETURN QUERY SELECT 0::bigint, 'without digest: ' || bool_and(v.ok)::text FROM authz.audit_verify() v;
	RETURN QUERY SELECT v.batch - base.b, v.problem FROM authz.audit_verify(digest) v, base WHERE NOT v.ok;
END $$;
BEGIN;
SELECT count(*) FILTER (WHERE problem LIKE 'without%: true') AS holds_together, count(*) FILTER (WHERE problem = 'seal that the digest names is missing') AS found FROM rebuild(:'digest');
ROLLBACK;
SELECT count(*) FROM problems;

DROP SCHEMA regress_authz CASCADE;
DROP ROLE regress_authz_auditor, regress_authz_admin, regress_authz_user;
