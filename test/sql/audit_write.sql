-- Every change of an audited table leaves a record: who, what, which row, which columns.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_admin;
CREATE ROLE regress_authz_user;
GRANT authz_admin TO regress_authz_admin;
SELECT authz.create_role('clerk');
SELECT coalesce(max(id), 0) AS before FROM authz.audit_log \gset
CREATE SCHEMA regress_authz;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user, regress_authz_admin;
SET search_path = regress_authz, public;
-- What was recorded since the last look.
CREATE SEQUENCE seen;
SELECT setval('seen', :before + 1, false) > 0 AS ready;
CREATE FUNCTION since() RETURNS TABLE (action text, relation text, key jsonb, old_key jsonb, old_values jsonb, new_values jsonb)
LANGUAGE plpgsql AS $$
DECLARE
	last bigint := (SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - 1 END FROM regress_authz.seen s);
BEGIN
	RETURN QUERY SELECT l.action, replace(l.relation, 'regress_authz.', ''), l.key, l.old_key, l.old_values, l.new_values
		FROM authz.audit_log l WHERE l.id > last ORDER BY l.id;
	PERFORM setval('regress_authz.seen', (SELECT max(l.id) FROM authz.audit_log l));
END $$;

-- As an ordinary user, who has no right on the log.
CREATE TABLE doc (id int PRIMARY KEY, title text, secret text, amount numeric(10, 2) DEFAULT 1.50, doubled numeric GENERATED ALWAYS AS (amount * 2) STORED);
GRANT ALL ON doc TO regress_authz_user;
SET ROLE regress_authz_admin;
SELECT authz.audit('regress_authz.doc', exclude_columns => '{secret}');
RESET ROLE;
SELECT * FROM since();
SET ROLE regress_authz_user;
SELECT count(*) FROM authz.audit_log;
INSERT INTO doc (id, title, secret) VALUES (1, 'one', 's1'), (2, 'two', 's2');
UPDATE doc SET title = title;
UPDATE doc SET title = 'ONE', secret = 's3' WHERE id = 1;
UPDATE doc SET secret = 's4' WHERE id = 1;
UPDATE doc SET amount = 3 WHERE id = 2;
UPDATE doc SET id = id + 10;
DELETE FROM doc WHERE id = 11;
DELETE FROM doc WHERE id = 999;
INSERT INTO doc (id, title) VALUES (12, 'x'), (13, 'y') ON CONFLICT (id) DO UPDATE SET title = excluded.title;
INSERT INTO doc (id, title) VALUES (12, 'z') ON CONFLICT DO NOTHING;
MERGE INTO doc d USING (VALUES (12, 'a'), (13, 'b'), (14, 'c')) v(id, title) ON d.id = v.id
	WHEN MATCHED AND v.id = 12 THEN DELETE WHEN MATCHED THEN UPDATE SET title = v.title
	WHEN NOT MATCHED THEN INSERT (id, title) VALUES (v.id, v.title);
COPY doc (id, title) FROM stdin;
20	from copy
\.
WITH gone AS (DELETE FROM doc WHERE id = 20 RETURNING *) INSERT INTO doc (id, title) SELECT 21, title FROM gone;
TRUNCATE doc;
RESET ROLE;
SELECT * FROM since();
SELECT count(*) AS secrets FROM authz.audit_log l WHERE l.id > :before AND l::text ~ 's[1-4]"';

-- What is rolled back was not; what fails leaves nothing.
BEGIN;
INSERT INTO doc (id) VALUES (30);
SAVEPOINT a;
INSERT INTO doc (id) VALUES (31);
ROLLBACK TO a;
SELECT action, key FROM since();
ROLLBACK;
INSERT INTO doc (id) VALUES (30), (30);
SELECT action, key FROM since();
-- The session's own sequences are not touched.
CREATE TABLE with_serial (id serial PRIMARY KEY, t text);
SELECT authz.audit('with_serial');
INSERT INTO with_serial (t) VALUES ('a');
SELECT lastval();

-- Who: nobody, a mapped login, an assumed identity, a revoked one.
SELECT authz.unmap_login(session_user::name) FROM authz.login_map;
CREATE VIEW who AS SELECT action, subject, issuer, token_id IS NOT NULL AS has_token_id, roles, actor = session_user AS by_me,
		database_role = session_user AS me, application_name, policy_version = authz.policy_version() AS current,
		transaction_id = pg_current_xact_id_if_assigned() AS this, statement_at <= recorded_at AS in_order, query_id IS NOT NULL AS has_query_id
	FROM authz.audit_log ORDER BY id DESC LIMIT 1;
BEGIN;
INSERT INTO doc (id) VALUES (40);
TABLE who;
SELECT authz.map_login(session_user::name, 'the boss');
UPDATE doc SET title = 'boss' WHERE id = 40;
TABLE who;
SELECT authz.assume('ann', '{clerk}');
SET LOCAL application_name = 'till';
SET LOCAL compute_query_id = on;
UPDATE doc SET title = 'ann' WHERE id = 40;
TABLE who;
SELECT authz.create_role('later');
UPDATE doc SET title = 'later' WHERE id = 40;
TABLE who;
ROLLBACK;
SET authz.token = 'rubbish';
INSERT INTO doc (id) VALUES (40);
RESET authz.token;
SELECT count(*) FROM doc;
SELECT * FROM since();

-- Keys: of more than one column, none, deferrable, gone.
CREATE TABLE two (b text, a int, c int, PRIMARY KEY (a, b));
CREATE TABLE none (a int, b text);
CREATE TABLE late (a int PRIMARY KEY DEFERRABLE, b text);
SELECT authz.audit('two'), authz.audit('none'), authz.audit('late');
SELECT count(*) FROM since();
INSERT INTO two VALUES ('x', 1, 1);
UPDATE two SET c = 2;
UPDATE two SET a = 2;
INSERT INTO none VALUES (1, 'x'), (1, 'x');
UPDATE none SET b = 'y' WHERE ctid = '(0,1)';
DELETE FROM none;
INSERT INTO late VALUES (1, 'x');
UPDATE late SET b = 'y';
ALTER TABLE late DROP CONSTRAINT late_pkey;
UPDATE late SET b = 'z';
SELECT * FROM since();

-- Columns that come and go; that they do is on record.
ALTER TABLE two DROP COLUMN c, ADD COLUMN d date DEFAULT '2026-02-03';
ALTER TABLE two RENAME b TO bb;
UPDATE two SET d = '2026-02-04';
SELECT * FROM since();
-- The excluded one stays so under another name.
ALTER TABLE doc RENAME secret TO no_secret;
SELECT exclude_columns FROM authz.audited_table WHERE relation = 'doc'::regclass;
ALTER TABLE doc RENAME no_secret TO secret;
ALTER TABLE doc DROP COLUMN secret;
SELECT authz.audit('doc', exclude_columns => '{secret,nosuch}');
SELECT authz.audit('doc', exclude_columns => '{id}');
SELECT authz.audit('doc', clear_columns => '{nosuch}');
ALTER TABLE doc ADD COLUMN harmless int;
ALTER TABLE none ADD PRIMARY KEY (a);
SELECT authz.audit('none', exclude_columns => '{b}');
ALTER TABLE none DROP CONSTRAINT none_pkey, ADD PRIMARY KEY (b);
SELECT action, old_values, new_values FROM since();

-- Cascades.
CREATE TABLE part_of (id int PRIMARY KEY, doc int REFERENCES doc ON DELETE CASCADE ON UPDATE SET NULL);
SELECT authz.audit('part_of');
INSERT INTO doc (id) VALUES (1), (2);
INSERT INTO part_of VALUES (1, 1), (2, 2), (3, 2);
SELECT count(*) FROM since();
DELETE FROM doc WHERE id = 2;
UPDATE doc SET id = 3 WHERE id = 1;
SELECT action, relation, key, old_key FROM since();
TRUNCATE doc CASCADE;
SELECT action, relation, key FROM since();
DROP TABLE part_of;
SELECT action, relation, key FROM since();

-- Where triggers are commonly off.
SET session_replication_role = replica;
INSERT INTO doc (id) VALUES (1);
UPDATE doc SET title = 'r';
DELETE FROM doc;
TRUNCATE doc;
RESET session_replication_role;
SELECT action, relation, key FROM since();

-- By triggers of others: BEFORE may change or skip, transition tables are theirs too.
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.id = 2 THEN RETURN NULL; END IF; NEW.title := 'made ' || NEW.id; RETURN NEW; END $$;
CREATE TRIGGER skip BEFORE INSERT ON doc FOR EACH ROW EXECUTE FUNCTION skip();
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	RAISE WARNING 'rows: %', (SELECT count(*) FROM n); RETURN NULL; END $$;
CREATE TRIGGER aaa AFTER INSERT ON doc REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION look();
CREATE TRIGGER zzz AFTER INSERT ON doc REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION look();
INSERT INTO doc (id) VALUES (1), (2), (3);
SELECT action, key, new_values -> 'title' AS title FROM since();
DROP TRIGGER skip ON doc;
DROP TRIGGER aaa ON doc;
DROP TRIGGER zzz ON doc;

-- Only some actions.
SELECT authz.audit('doc', '{delete}');
INSERT INTO doc (id) VALUES (7);
UPDATE doc SET title = 'x' WHERE id = 7;
DELETE FROM doc WHERE id = 7;
TRUNCATE doc;
SELECT action, key FROM since();

-- The history of a row, through changes of its key and of the table's name.
CREATE TABLE acc (id bigint PRIMARY KEY, v text);
SELECT authz.audit('acc');
INSERT INTO acc VALUES (1, 'a'), (2, 'other');
UPDATE acc SET v = 'b' WHERE id = 1;
UPDATE acc SET id = 5 WHERE id = 1;
INSERT INTO acc VALUES (1, 'a new one');
ALTER TABLE acc RENAME TO account;
UPDATE account SET v = 'c' WHERE id = 5;
UPDATE account SET v = 'd' WHERE id = 2;
SELECT action, relation, key, old_key, old_values, new_values FROM authz.audit_trail('account', '{"id": 5}');
SELECT action, relation, key, old_key, old_values, new_values FROM authz.audit_trail('account', '{"id": 2.0}');
TRUNCATE account;
SELECT action, relation, key FROM authz.audit_trail('account', '{"id": 2}');
SELECT count(*) FROM authz.audit_trail('account', '{"id": 77}');
SELECT count(*) FROM authz.audit_trail('pg_class', '{"id": 5}');
-- It goes on after a time without audit.
SELECT authz.unaudit('account');
INSERT INTO account VALUES (2, 'unseen');
SELECT authz.audit('account');
UPDATE account SET v = 'seen' WHERE id = 2;
SELECT action, new_values FROM authz.audit_trail('account', '{"id": 2}');
SELECT action, relation, old_values, new_values FROM since() WHERE action LIKE '%audit';

-- A trail is one row's, wherever its key went: reuse of a key, chains, a swap by way of a third key, deletes.
CREATE TABLE seat (id int PRIMARY KEY, v text);
SELECT authz.audit('seat');
CREATE FUNCTION trail(relation regclass, k jsonb) RETURNS TABLE (line text) LANGUAGE sql AS $$
	SELECT format('%s %s%s%s', l.action, coalesce((SELECT string_agg(value, '/') FROM jsonb_each_text(l.old_key)) || ' -> ', ''),
		(SELECT string_agg(value, '/') FROM jsonb_each_text(l.key)), ' ' || coalesce(l.new_values ->> 'v', l.old_values ->> 'v'))
	FROM authz.audit_trail(relation, k) l $$;
INSERT INTO seat VALUES (1, 'gone');
UPDATE seat SET id = 9;
DELETE FROM seat;
INSERT INTO seat VALUES (1, 'a'), (2, 'b');
UPDATE seat SET id = -1 WHERE id = 1;
UPDATE seat SET id = 1 WHERE id = 2;
UPDATE seat SET id = 2 WHERE id = -1;
UPDATE seat SET v = 'B' WHERE id = 1;
UPDATE seat SET v = 'A' WHERE id = 2;
UPDATE seat SET id = 30 WHERE id = 2;
UPDATE seat SET id = 31 WHERE id = 30;
INSERT INTO seat VALUES (30, 'other'), (2, 'another');
DELETE FROM seat WHERE id = 31;
INSERT INTO seat VALUES (31, 'last');
-- All of key 1, and where the rows that had it came from and went.
SELECT * FROM trail('seat', '{"id": 1}');
SELECT * FROM trail('seat', '{"id": -1}');
SELECT * FROM trail('seat', '{"id": 30}');
SELECT * FROM trail('seat', '{"id": 9}');
-- To and fro: each record once, in no more time than that takes.
CREATE TABLE toggle (id int PRIMARY KEY);
SELECT authz.audit('toggle');
INSERT INTO toggle VALUES (1);
DO $$ BEGIN FOR i IN 1..1000 LOOP UPDATE toggle SET id = id % 3 + 1; END LOOP; UPDATE toggle SET id = 7; END $$;
SET statement_timeout = '20s';
SELECT count(*), count(DISTINCT id), min(action) FROM authz.audit_trail('toggle', '{"id": 2}');
SELECT count(*), count(DISTINCT id), min(action) FROM authz.audit_trail('toggle', '{"id": 7}');
RESET statement_timeout;
-- Keys of more columns; a key that one statement takes and gives.
CREATE TABLE pair (a int, b text, v text, PRIMARY KEY (a, b) DEFERRABLE);
SELECT authz.audit('pair');
INSERT INTO pair VALUES (1, 'x', 'one'), (2, 'x', 'two');
UPDATE pair SET a = 3 - a;
UPDATE pair SET v = 'TWO' WHERE a = 1;
UPDATE pair SET b = 'y' WHERE a = 1;
DELETE FROM pair WHERE a = 2;
SELECT * FROM trail('pair', '{"b": "y", "a": 1.0}');
SELECT * FROM trail('pair', '{"b": "x", "a": 2}');

RESET search_path;
DROP SCHEMA regress_authz CASCADE;
SELECT action, relation FROM authz.audit_log WHERE action = 'drop' AND id > :before ORDER BY relation COLLATE "C";
SELECT count(*) FROM authz.audited_table;
SELECT authz.drop_role('clerk');
DROP ROLE regress_authz_admin, regress_authz_user;
