-- MERGE into audited tables with partitions: every row that it changes is on record, as it is afterwards.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_user AS administrator \gset
CREATE ROLE regress_authz_app LOGIN;
CREATE SCHEMA regress_authz;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_app;
SET search_path = regress_authz, public;
-- The source's order is the order of actions.
SET enable_hashjoin = off; SET enable_mergejoin = off;
SELECT coalesce(max(id), 0) AS before FROM authz.audit_log \gset
CREATE SEQUENCE seen;
SELECT setval('seen', :before + 1, false) > 0 AS ready;
CREATE FUNCTION since() RETURNS TABLE (action text, relation text, old_values jsonb, new_values jsonb)
LANGUAGE plpgsql AS $$
DECLARE
	last bigint := (SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - 1 END FROM regress_authz.seen s);
BEGIN
	RETURN QUERY SELECT l.action, replace(l.relation, 'regress_authz.', ''), l.old_values, l.new_values
		FROM authz.audit_log l WHERE l.id > last AND l.action NOT IN ('audit', 'unaudit', 'alter') ORDER BY l.id;
	PERFORM setval('regress_authz.seen', (SELECT max(l.id) FROM authz.audit_log l));
END $$;
CREATE TABLE acc (id int, bal int, region int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE acc1 PARTITION OF acc FOR VALUES IN (1);
-- Another form than the root's, and partitions of its own.
CREATE TABLE acc2 (gone int, region int NOT NULL, bal int, id int NOT NULL) PARTITION BY RANGE (id);
ALTER TABLE acc2 DROP COLUMN gone;
ALTER TABLE acc ATTACH PARTITION acc2 FOR VALUES IN (2);
CREATE TABLE acc2_low PARTITION OF acc2 FOR VALUES FROM (0) TO (100);
CREATE TABLE acc2_high PARTITION OF acc2 FOR VALUES FROM (100) TO (1000);
SELECT authz.audit('acc');
INSERT INTO acc VALUES (1, 100, 1), (2, 200, 1), (3, 300, 1), (4, 400, 2);
SELECT count(*) FROM since();

-- A row that moves is recorded as deleted and inserted; one that stays, as updated.
MERGE INTO acc USING (VALUES (1)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2, bal = 1000000;
SELECT * FROM since();
MERGE INTO acc USING (VALUES (1), (2)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1, bal = acc.bal + 1;
SELECT * FROM since();
MERGE INTO acc USING (VALUES (1), (2)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
SELECT * FROM since();
MERGE INTO acc USING (VALUES (1)) s(id) ON false WHEN MATCHED THEN UPDATE SET region = 2;
MERGE INTO acc USING (VALUES (1)) s(id) ON acc.id = s.id WHEN MATCHED AND false THEN UPDATE SET region = 2 WHEN MATCHED THEN DO NOTHING;
SELECT * FROM since();
-- All actions in one; what was routed before does not get into the record of what is updated then.
MERGE INTO acc USING (VALUES (10, 2), (1, 1), (11, 1), (2, 2), (3, 0), (12, 2), (4, 2)) s(id, region) ON acc.id = s.id
	WHEN MATCHED AND s.region = 0 THEN DELETE
	WHEN MATCHED THEN UPDATE SET region = s.region, bal = s.id
	WHEN NOT MATCHED THEN INSERT VALUES (s.id, -1, s.region);
SELECT * FROM since();
TABLE acc ORDER BY id;
MERGE INTO acc USING (VALUES (12), (10), (11)) s(id) ON acc.id = s.id
	WHEN MATCHED AND s.id = 10 THEN UPDATE SET id = 110 WHEN MATCHED THEN DELETE;
SELECT * FROM since();
-- Nor without a key, where a decoy made it look as if nothing had changed.
CREATE TABLE loose (v text, r int) PARTITION BY LIST (r);
CREATE TABLE loose1 PARTITION OF loose FOR VALUES IN (1);
SELECT authz.audit('loose');
INSERT INTO loose VALUES ('old', 1);
MERGE INTO loose USING (VALUES (0, 'decoy'), (1, 'old')) s(i, v) ON loose.v = s.v
	WHEN MATCHED THEN UPDATE SET v = 'new' WHEN NOT MATCHED THEN INSERT VALUES ('old', 1);
SELECT * FROM since();
-- Partitions named themselves.
MERGE INTO acc2 USING (VALUES (4)) s(id) ON acc2.id = s.id WHEN MATCHED THEN UPDATE SET id = 104;
MERGE INTO acc2_high USING (VALUES (104)) s(id) ON acc2_high.id = s.id WHEN MATCHED THEN UPDATE SET bal = 44;
MERGE INTO acc2_high USING (VALUES (104)) s(id) ON acc2_high.id = s.id WHEN MATCHED THEN UPDATE SET id = 4;
SELECT * FROM since();

-- BEFORE triggers that give up an update, either half of a move, an insert.
CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER give_up BEFORE UPDATE ON acc1 FOR EACH ROW EXECUTE FUNCTION give_up();
MERGE INTO acc USING (VALUES (1)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
DROP TRIGGER give_up ON acc1;
CREATE TRIGGER give_up BEFORE DELETE ON acc1 FOR EACH ROW EXECUTE FUNCTION give_up();
MERGE INTO acc USING (VALUES (1)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
MERGE INTO acc USING (VALUES (1)) s(id) ON acc.id = s.id WHEN MATCHED THEN DELETE;
DROP TRIGGER give_up ON acc1;
SELECT * FROM since();
CREATE TRIGGER give_up BEFORE INSERT ON acc2_low FOR EACH ROW EXECUTE FUNCTION give_up();
MERGE INTO acc USING (VALUES (1), (20)) s(id) ON acc.id = s.id
	WHEN MATCHED THEN UPDATE SET region = 2 WHEN NOT MATCHED THEN INSERT VALUES (20, 20, 2);
DROP TRIGGER give_up ON acc2_low;
SELECT * FROM since();
TABLE acc ORDER BY id;

-- Triggers of others fire for the actions named, as without the audit; and a part of WITH leaves its records too.
DELETE FROM acc;
INSERT INTO acc SELECT i, i, 1 FROM generate_series(1, 9) i;
SELECT count(*) FROM since();
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING '% %', TG_WHEN, TG_OP; RETURN NULL; END $$;
CREATE TRIGGER tell_before BEFORE INSERT OR UPDATE OR DELETE ON acc FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_after AFTER INSERT OR UPDATE OR DELETE ON acc FOR EACH STATEMENT EXECUTE FUNCTION tell();
MERGE INTO acc USING (VALUES (1)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
SELECT * FROM since();
WITH d AS (DELETE FROM acc WHERE id = 1 RETURNING id)
	MERGE INTO acc USING (SELECT id + 1 FROM d) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
SELECT * FROM since();
WITH d AS (DELETE FROM acc WHERE id = 2), i AS (INSERT INTO acc VALUES (50, 50, 2)), u AS (UPDATE acc SET region = 2 WHERE id = 4)
	MERGE INTO acc USING (VALUES (3)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
SELECT * FROM since();
DROP TRIGGER tell_before ON acc;
DROP TRIGGER tell_after ON acc;

-- Nested, in functions, after errors that were caught, explained, as a replica.
CREATE FUNCTION move(which int, target int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	MERGE INTO acc USING (VALUES (which)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = target, bal = acc.bal + 1;
	RETURN which + 1;
END $$;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
MERGE INTO acc USING (VALUES (move(5, 2)), (7)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
SELECT * FROM since();
CREATE TRIGGER fail AFTER INSERT ON acc1 FOR EACH ROW EXECUTE FUNCTION fail();
DO $$
BEGIN
	PERFORM move(5, 1);
EXCEPTION WHEN raise_exception THEN
	PERFORM move(8, 2);
END $$;
BEGIN;
SAVEPOINT s;
SELECT move(6, 1);
ROLLBACK TO s;
SELECT move(9, 2);
COMMIT;
DROP TRIGGER fail ON acc1;
CREATE FUNCTION move_sql(int, int) RETURNS void LANGUAGE sql AS
	'MERGE INTO acc USING (VALUES ($1)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = $2';
SELECT move_sql(9, 1);
SELECT * FROM since();
DO $$ BEGIN EXECUTE 'EXPLAIN MERGE INTO acc USING (VALUES (5)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1'; END $$;
SELECT * FROM since();
DO $$ BEGIN EXECUTE 'EXPLAIN (ANALYZE) MERGE INTO acc USING (VALUES (5)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1'; END $$;
PREPARE p(int) AS MERGE INTO acc USING (VALUES (6)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE p(1);
EXECUTE p(2);
RESET plan_cache_mode;
SET session_replication_role = replica;
MERGE INTO acc USING (VALUES (7)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
RESET session_replication_role;
SELECT * FROM since();
-- ON CONFLICT does not move; UPDATE does, and is recorded as one.
INSERT INTO acc VALUES (7, 0, 1) ON CONFLICT (id, region) DO UPDATE SET region = 2;
INSERT INTO acc VALUES (60, 60, 2), (7, 0, 1) ON CONFLICT (id, region) DO UPDATE SET bal = 77;
UPDATE acc SET region = 2 WHERE id = 7;
SELECT * FROM since();

-- Foreign keys of the table to itself, whose cascades are of the same statement.
CREATE TABLE tree (id int, r int, up int, PRIMARY KEY (id, r), FOREIGN KEY (up, r) REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE) PARTITION BY LIST (r);
CREATE TABLE tree1 PARTITION OF tree FOR VALUES IN (1);
CREATE TABLE tree2 PARTITION OF tree FOR VALUES IN (2);
SELECT authz.audit('tree');
INSERT INTO tree VALUES (1, 1, NULL), (2, 1, 1), (3, 1, 2), (4, 1, NULL);
MERGE INTO tree USING (VALUES (4)) s(id) ON tree.id = s.id WHEN MATCHED THEN UPDATE SET r = 2;
SELECT count(*) FROM since();
MERGE INTO tree USING (VALUES (2), (4)) s(id) ON tree.id = s.id WHEN MATCHED AND s.id = 4 THEN UPDATE SET r = 1 WHEN MATCHED THEN DELETE;
SELECT * FROM since();
-- A move that the foreign key follows.
INSERT INTO tree VALUES (5, 1, 1), (6, 1, NULL);
MERGE INTO tree USING (VALUES (1)) s(id) ON tree.id = s.id WHEN MATCHED THEN UPDATE SET id = 9, r = 2;
SELECT * FROM since();
TABLE tree ORDER BY id;

-- Without the triggers for DELETE and INSERT a move cannot be recorded: it fails, and nothing else does.
SELECT authz.unaudit('acc');
SELECT authz.audit('acc', '{update}');
SELECT count(*) FROM since();
MERGE INTO acc USING (VALUES (70), (3), (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET bal = 33 WHEN NOT MATCHED THEN INSERT VALUES (70, 70, 1);
MERGE INTO acc USING (VALUES (3)) s(id) ON acc.id = s.id WHEN MATCHED THEN DELETE;
MERGE INTO acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
MERGE INTO acc USING (VALUES (4), (5), (71)) s(id) ON acc.id = s.id
	WHEN MATCHED THEN UPDATE SET region = 1 WHEN NOT MATCHED THEN INSERT VALUES (71, 71, 1);
SELECT move(4, 1);
DO $$
BEGIN
	PERFORM move(4, 1);
EXCEPTION WHEN feature_not_supported THEN
	PERFORM move(4, 2);
END $$;
CREATE TRIGGER give_up BEFORE UPDATE ON acc2_low FOR EACH ROW EXECUTE FUNCTION give_up();
MERGE INTO acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
DROP TRIGGER give_up ON acc2_low;
-- Other updates of the table in the same statement would hide it from the count.
\set VERBOSITY default
WITH u AS (UPDATE acc SET bal = bal) MERGE INTO acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
SELECT authz.audit('tree', '{insert,update}');
MERGE INTO tree USING (VALUES (9)) s(id) ON tree.id = s.id WHEN MATCHED THEN UPDATE SET id = 10;
MERGE INTO tree USING (VALUES (9)) s(id) ON tree.id = s.id WHEN MATCHED THEN UPDATE SET up = NULL;
MERGE INTO acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
\set VERBOSITY terse
TABLE acc ORDER BY id;
SELECT * FROM since();
-- Where updates are not audited, a move is no update either.
SELECT authz.unaudit('acc');
SELECT authz.audit('acc', '{insert}');
MERGE INTO acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
SELECT * FROM since();
SELECT authz.unaudit('acc');
MERGE INTO acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
SELECT count(*) FROM since();

-- A session that loads the library with the trigger: what may be such a MERGE fails, once.
SELECT authz.audit('acc');
CREATE FUNCTION load() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM authz.subject();
	RETURN (SELECT 4);
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON acc TO regress_authz_app;
SELECT count(*) FROM since();
\c - regress_authz_app
\set VERBOSITY default
MERGE INTO regress_authz.acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
\set VERBOSITY terse
MERGE INTO regress_authz.acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
\c - :administrator
DO $$ BEGIN MERGE INTO regress_authz.acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2; END $$;
\c
DO $$
BEGIN
	BEGIN
		MERGE INTO regress_authz.acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
	EXCEPTION WHEN serialization_failure THEN
	END;
	MERGE INTO regress_authz.acc USING (VALUES (4)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
END $$;
-- Loaded by the source, whose function runs statements of its own then.
\c
MERGE INTO regress_authz.acc USING (VALUES (regress_authz.load())) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 1;
-- Not: statements of the client that are no MERGE, what started later, other tables.
\c
UPDATE regress_authz.acc SET bal = 0 WHERE id = 4;
\c
WITH u AS (UPDATE regress_authz.acc SET bal = 1 WHERE id = 4 RETURNING id) SELECT * FROM u;
\c
PREPARE p AS UPDATE regress_authz.acc SET bal = 2 WHERE id = 4;
EXECUTE p;
\c
COPY regress_authz.acc FROM stdin;
80	80	1
\.
\c
DO $$ BEGIN PERFORM authz.subject(); UPDATE regress_authz.acc SET bal = 3 WHERE id = 4; END $$;
\c
DO $$ BEGIN INSERT INTO regress_authz.acc VALUES (81, 81, 1); UPDATE regress_authz.acc1 SET bal = 82 WHERE id = 81; END $$;
\c
BEGIN;
SELECT authz.subject();
MERGE INTO regress_authz.acc USING (VALUES (80)) s(id) ON acc.id = s.id WHEN MATCHED THEN UPDATE SET region = 2;
COMMIT;
SELECT * FROM regress_authz.since();

SELECT authz.audit_seal() IS NOT NULL AS sealed;
SELECT bool_and(ok) FROM authz.audit_verify();
SET client_min_messages = warning;
SELECT authz.unaudit('regress_authz.acc'), authz.unaudit('regress_authz.loose'), authz.unaudit('regress_authz.tree');
DROP SCHEMA regress_authz CASCADE;
DROP ROLE regress_authz_app;
