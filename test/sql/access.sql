-- Every statement that reads a table audited with reads leaves a record: who, which columns, how they were shown, how many rows.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA regress_authz;
CREATE TABLE regress_authz.item (id int PRIMARY KEY, name text, gone int, price numeric, note text, doubled numeric GENERATED ALWAYS AS (price * 2) STORED);
-- Sessions that may run without the library would read unseen.
SELECT authz.audit('regress_authz.item', reads => true);
SELECT format('ALTER DATABASE %I SET session_preload_libraries = ''authz''', current_database()) AS preload \gexec
\c
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_user;
CREATE ROLE regress_authz_auditor IN ROLE authz_auditor;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user;
SET search_path = regress_authz, public;
SELECT coalesce(max(id), 0) AS before FROM authz.access_log \gset
CREATE TABLE seen (id bigint);
INSERT INTO seen VALUES (:before);
-- What was recorded since the last look: columns shown clear, masked, by row.
CREATE FUNCTION since() RETURNS TABLE (action text, relation text, clear text, masked text, by_row text, row_count bigint)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT l.action, replace(l.relation, 'regress_authz.', ''), array_to_string(l.clear_columns, ' '),
		array_to_string(l.masked_columns, ' '), array_to_string(l.by_row_columns, ' '), l.row_count
		FROM authz.access_log l WHERE l.id > (SELECT s.id FROM regress_authz.seen s) ORDER BY l.id;
	UPDATE regress_authz.seen s SET id = coalesce((SELECT max(l.id) FROM authz.access_log l), 0);
END $$;
ALTER TABLE item DROP COLUMN gone;
INSERT INTO item SELECT g, 'n' || g, g, 'secret' FROM generate_series(1, 10) g;
CREATE TABLE other (id int PRIMARY KEY, item_id int, label text);
INSERT INTO other SELECT g, g, 'l' || g FROM generate_series(1, 5) g;
GRANT ALL ON item, other TO regress_authz_user;
SELECT authz.audit('item', '{}');
SELECT authz.audit('item', '{}', reads => true);
SELECT relation, active, actions, reads FROM authz.audited_table WHERE relation = 'item'::regclass;
SELECT action, relation, old_values, new_values FROM authz.audit_log ORDER BY id DESC LIMIT 1;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'item'::regclass;

-- Columns: what the query names and the plan uses.
SET ROLE regress_authz_user;
SELECT name FROM item WHERE id = 1;
SELECT count(*) FROM item;
SELECT * FROM item WHERE id = 2;
SELECT i FROM item i WHERE id = 3;
SELECT i.* IS NULL AS none FROM item i WHERE id = 3;
SELECT id FROM item ORDER BY price DESC LIMIT 1;
SELECT ctid IS NULL FROM item WHERE id = 4;
SELECT doubled FROM item WHERE id = 4;
SELECT o.label, i.name FROM other o JOIN item i ON i.id = o.item_id WHERE o.id < 3;
SELECT label FROM other WHERE id = (SELECT max(id) - 5 FROM item);
SELECT count(*) FROM other o WHERE EXISTS (SELECT FROM item i WHERE i.id = o.id AND i.price > 3);
WITH c AS MATERIALIZED (SELECT id, name FROM item) SELECT count(*) FROM c WHERE id < 3;
SELECT name FROM item WHERE id = 1 UNION ALL SELECT label FROM other WHERE id = 1;
SELECT id, sum(price) OVER (ORDER BY id) FROM item WHERE id < 3;
SELECT id FROM item WHERE id < 0;
SELECT count(*) FROM other;
RESET ROLE;
SELECT * FROM since();

-- Views: what is needed of them, through joins and aggregates too.
CREATE VIEW item_view AS SELECT id, name, price, note FROM item;
CREATE VIEW item_names AS SELECT id, name FROM item_view;
GRANT SELECT ON item_view, item_names TO regress_authz_user;
SET ROLE regress_authz_user;
SELECT name FROM item_view WHERE id = 1;
SELECT count(price) FROM item_view;
SELECT count(*) FROM item_view;
SELECT name FROM item_names WHERE id = 2;
SELECT v.name, count(w.price) FROM item_names v LEFT JOIN item_view w ON w.id = v.id + 9 GROUP BY v.name ORDER BY 2 DESC LIMIT 1;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
SELECT count(*) FROM other o JOIN item_view v ON v.price = o.id;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material;
SELECT max(name) FROM (SELECT name, note FROM item_view OFFSET 0) s;
RESET ROLE;
SELECT * FROM since();

-- What was not executed was not read.
SET ROLE regress_authz_user;
EXPLAIN (COSTS OFF) SELECT * FROM item;
SELECT name FROM item WHERE false;
SELECT count(*) FROM other o WHERE o.id < 0 AND EXISTS (SELECT FROM item i WHERE i.name = o.label);
SELECT CASE WHEN o.id < 0 THEN (SELECT max(note) FROM item) END FROM other o WHERE o.id = 1;
SELECT o.label FROM other o LEFT JOIN item i ON i.id = o.item_id WHERE o.id = 1;
SELECT name FROM item WHERE current_setting('work_mem') = '';
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT count(price) FROM item;
RESET ROLE;
SELECT * FROM since();

-- Functions, triggers, prepared statements.
CREATE FUNCTION item_name(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT name FROM regress_authz.item WHERE id = $1';
CREATE FUNCTION item_inlined(int) RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT note FROM regress_authz.item WHERE id = $1';
CREATE FUNCTION item_loop() RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	total numeric := 0;
	row record;
BEGIN
	FOR row IN SELECT price FROM regress_authz.item LOOP
		total := total + row.price;
		EXIT WHEN total > 5;
	END LOOP;
	RETURN total + (SELECT count(*) FROM regress_authz.item_view WHERE note = 'x');
END $$;
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM name FROM regress_authz.item WHERE id = NEW.item_id; RETURN NEW; END $$;
CREATE TRIGGER look BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION look();
SET ROLE regress_authz_user;
SELECT item_name(1);
SELECT item_inlined(1);
SELECT * FROM item_inlined(2);
SELECT item_loop();
INSERT INTO other VALUES (6, 7, 'l6');
PREPARE q AS SELECT name FROM item WHERE id = $1;
EXECUTE q(1); EXECUTE q(2);
DO 'BEGIN PERFORM price FROM regress_authz.item; END';
RESET ROLE;
SELECT * FROM since();

-- Cursors: once, when they are closed, whoever does it.
SELECT authz.create_role('clerk');
SELECT authz.assume('alice', '{clerk}', '{}');
BEGIN;
DECLARE c CURSOR FOR SELECT name FROM item ORDER BY id;
FETCH 2 FROM c;
MOVE 1 FROM c;
FETCH 1 FROM c;
SELECT * FROM since();
SET LOCAL authz.token = '';
CLOSE c;
SELECT * FROM since();
DECLARE d CURSOR FOR SELECT price FROM item;
FETCH 1 FROM d;
COMMIT;
SELECT subject, clear_columns FROM authz.access_log WHERE id > :before ORDER BY id DESC LIMIT 2;
SELECT * FROM since();

-- What writes and reads; foreign keys do not count.
ALTER TABLE other ADD FOREIGN KEY (item_id) REFERENCES item;
SELECT * FROM since();
SET ROLE regress_authz_user;
INSERT INTO item (id, name, price) VALUES (11, 'n11', 11);
INSERT INTO item (id, name, price) VALUES (12, 'n12', 12) RETURNING id, doubled;
INSERT INTO item (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING note;
UPDATE item SET note = 'all';
UPDATE item SET note = 'one' WHERE price = 12;
UPDATE item SET note = 'two' WHERE id = 11 RETURNING note, name;
DELETE FROM item USING other WHERE item.id = 12 AND other.label = 'l1';
MERGE INTO item i USING (VALUES (11)) v(id) ON i.id = v.id WHEN MATCHED THEN UPDATE SET note = i.name || 'm';
INSERT INTO other SELECT 7, 1, max(name) FROM item;
INSERT INTO other VALUES (8, 2, 'fk');
COPY (SELECT name FROM item WHERE id = 1) TO stdout;
COPY item (id) TO stdout;
CREATE TEMP TABLE copied AS SELECT id FROM item WITH NO DATA;
CREATE TEMP TABLE copied_too AS SELECT id FROM item;
RESET ROLE;
SELECT * FROM since();

-- Row security and masks, as this identity sees them.
CREATE TABLE staff (id int PRIMARY KEY, name text, email text, salary numeric, code text, dept int, tenant int);
INSERT INTO staff SELECT g, 'n' || g, 'e' || g || '@x.org', g * 100, 'c', g % 3, g % 2 FROM generate_series(1, 12) g;
SELECT authz.create_role(r) FROM unnest('{boss,mixed}'::text[]) r;
SELECT authz.protect('staff');
SELECT authz.create_policy('tenant', 'staff', '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{clerk,mixed}');
SELECT authz.create_policy('all', 'staff', '{select,update}', 'true', '{boss}');
SELECT authz.create_mask('staff', 'email', 'clear', '{boss}', priority => 10), authz.create_mask('staff', 'email', 'email');
SELECT authz.create_mask('staff', 'salary', 'clear', '{boss}', priority => 10), authz.create_mask('staff', 'salary', 'clear', '{mixed}', 'dept = 1', 20);
SELECT authz.create_mask('staff', 'code', 'constant(''-'')');
SELECT authz.create_masked_view('staff', 'people');
CREATE VIEW people_view AS SELECT * FROM people;
GRANT SELECT ON staff, people, people_view TO regress_authz_user;
GRANT UPDATE ON people TO regress_authz_user;
SELECT authz.audit('staff', reads => true);
CREATE FUNCTION become(subject text, role text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ SELECT authz.assume(subject, ARRAY[role], '{"tenant": 1}') $$;
SET ROLE regress_authz_user;
SELECT become('alice', 'clerk');
SELECT name FROM staff WHERE salary > 1000;
SELECT * FROM people WHERE id = 1;
SELECT count(email), count(*) FROM people;
SELECT salary, code FROM people WHERE id = 1;
SELECT v.email, s.salary FROM people_view v JOIN staff s USING (id) WHERE id = 3;
SELECT authz.is_masked(p, 'salary') FROM people p WHERE id = 5;
SELECT become('mia', 'mixed');
SELECT id, email, salary FROM people WHERE id < 5;
SELECT become('bob', 'boss');
SELECT email, salary FROM people WHERE id = 2;
UPDATE people SET salary = salary + 1 WHERE id = 2;
UPDATE people SET name = 'new' WHERE email = 'e2@x.org' RETURNING code;
-- Nobody: policies permit nothing, and nothing is read.
RESET ROLE;
SELECT authz.assume('eve', '{}', '{}');
SET ROLE regress_authz_user;
SELECT count(*) FROM staff;
SELECT count(*) FROM people;
RESET ROLE;
SELECT DISTINCT subject, roles, database_role = session_user, client_address IS NULL, application_name = current_setting('application_name'), duration > '0', policy_version > 0
	FROM authz.access_log WHERE relation = 'regress_authz.staff' ORDER BY 1;
SELECT * FROM since();
RESET authz.token;

-- Parts: by the table that was named, with its columns; audited by themselves, by their own.
CREATE TABLE part (id int, kind int, text text, more text) PARTITION BY LIST (kind);
CREATE TABLE part_0 (more text, kind int, gone int, id int, text text);
ALTER TABLE part_0 DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part_0 FOR VALUES IN (0);
SELECT authz.audit('part', '{}', reads => true);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
INSERT INTO part SELECT g, g % 2, 't', 'm' FROM generate_series(1, 6) g;
SELECT relation, logical, reads FROM authz.audited_table WHERE logical = 'part'::regclass ORDER BY 1;
SELECT text FROM part WHERE kind = 0;
SELECT count(more) FROM part;
SELECT more FROM part_0 WHERE id = 2;
SET plan_cache_mode = force_generic_plan;
PREPARE p AS SELECT id FROM part WHERE kind = $1;
EXECUTE p(1); EXECUTE p(7);
RESET plan_cache_mode;
SELECT * FROM since();
CREATE TABLE parent (id int, a text, b text);
CREATE TABLE child (c text) INHERITS (parent);
CREATE TABLE grandchild (d text) INHERITS (child);
INSERT INTO grandchild VALUES (1, 'a', 'b', 'c', 'd');
SELECT authz.audit('child', '{}', reads => true);
SELECT a FROM parent;
SELECT b FROM ONLY parent;
SELECT c FROM child;
SELECT * FROM grandchild;
SELECT * FROM since();

-- Renamed: the trail is the same.
ALTER TABLE child RENAME TO kid;
ALTER TABLE kid RENAME c TO cc;
SELECT cc FROM kid;
SELECT count(DISTINCT trail) FROM authz.access_log WHERE relation IN ('regress_authz.child', 'regress_authz.kid');
SELECT * FROM since();

-- What is rolled back leaves no row: it is in the server's log, of which 051_access.pl reads.
BEGIN; SELECT price FROM item WHERE id = 1; SAVEPOINT a; SELECT name FROM item WHERE id = 1; ROLLBACK TO a; COMMIT;
BEGIN; SELECT note FROM item WHERE id = 1; ROLLBACK;
BEGIN READ ONLY; SELECT doubled FROM item WHERE id = 1; COMMIT;
SELECT 1 / (id - 3) FROM item WHERE id < 4;
SELECT * FROM since();

-- Nobody writes it, and nothing in it changes.
SET ROLE regress_authz_user;
SELECT count(*) FROM authz.access_log;
INSERT INTO authz.access_log SELECT * FROM authz.access_log;
SELECT authz.audit_retain('1 year', '{access_log}');
RESET ROLE;
SET ROLE regress_authz_auditor;
SELECT count(*) > 0 AS reads FROM authz.access_log;
DELETE FROM authz.access_log;
RESET ROLE;
UPDATE authz.access_log SET subject = 'nobody';
DELETE FROM authz.access_log;
TRUNCATE authz.access_log;
DELETE FROM authz.access_log_default;
TRUNCATE authz.access_log_default;
SET session_replication_role = replica;
DELETE FROM authz.access_log;
RESET session_replication_role;
DROP TRIGGER refuse_change ON authz.access_log_default;

-- No read without its record.
BEGIN;
ALTER EVENT TRIGGER authz_after_ddl DISABLE;
ALTER SEQUENCE authz.record_id_seq RENAME TO broken;
SELECT name FROM item WHERE id = 1;
ROLLBACK;
SELECT authz.login('x.y.z');
SET authz.token = 'x.y.z';
SELECT name FROM item WHERE id = 1;
RESET authz.token;
SELECT * FROM since();

-- Sealed as changes are; old months go when they are sealed, and that they went is recorded.
CREATE TABLE authz.access_log_202001 (LIKE authz.access_log);
SELECT authz.prepare_partition('access_log', 'authz.access_log_202001');
ALTER TABLE authz.access_log ATTACH PARTITION authz.access_log_202001 FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-02-01 00:00+00');
INSERT INTO authz.access_log_202001 SELECT id, statement_at, '2020-01-02', transaction_id, trail, policy_version, query_id, subject, issuer, token_id, roles, actor,
	database_role, client_address, application_name, action, relation, clear_columns, masked_columns, by_row_columns, row_count, duration FROM authz.access_log ORDER BY id LIMIT 3;
SELECT authz.audit_seal() > 0 AS sealed;
SELECT bool_and(ok) AS ok FROM authz.audit_verify();
SELECT sum(records) = (SELECT count(*) FROM authz.access_log) AS every_read FROM authz.audit_batch WHERE partition LIKE 'access\_log%';
BEGIN;
ALTER TABLE authz.access_log_202001 DISABLE TRIGGER USER;
ROLLBACK;
BEGIN;
SET LOCAL client_min_messages = error;
DO $$ BEGIN
	DELETE FROM pg_trigger WHERE tgrelid = 'authz.access_log_202001'::regclass;
	UPDATE pg_class SET relhastriggers = false WHERE oid = 'authz.access_log_202001'::regclass;
END $$;
UPDATE authz.access_log_202001 SET duration = '1 day' WHERE id = (SELECT min(id) FROM authz.access_log_202001);
SELECT partition, problem, first_bad_record = (SELECT min(id) FROM authz.access_log_202001) AS which
	FROM authz.audit_verify() v JOIN authz.audit_batch b USING (batch) WHERE NOT ok;
ROLLBACK;
SELECT authz.audit_retain(NULL);
SELECT authz.audit_retain('1 year', '{audit_log,pg_class}');
SELECT authz.audit_retain('10 years') AS old_enough;
SELECT authz.audit_retain('1 year', '{audit_log,denial_log}') AS of_others;
SELECT authz.audit_retain('1 year');
SELECT kind, partition, records FROM authz.audit_batch ORDER BY batch DESC LIMIT 1;
SELECT to_regclass('authz.access_log_202001');
SELECT bool_and(ok) AS ok FROM authz.audit_verify();

-- Who did what.
SELECT subject, relation, action, allowed, denied FROM authz.activity
	WHERE relation IN ('regress_authz.staff', 'regress_authz.kid') ORDER BY 1, 2, 3;
SET ROLE regress_authz_user;
SELECT * FROM authz.activity;
RESET ROLE;
SET ROLE regress_authz_auditor;
SELECT count(*) > 0 AS reads FROM authz.activity;
RESET ROLE;

-- Counted is only with shared_preload_libraries.
SELECT * FROM authz.stat_policy WHERE relation = 'staff'::regclass ORDER BY name;
SET ROLE regress_authz_user;
SELECT * FROM authz.stat_policy;
SELECT authz.policy_usage('staff'::regclass, 'all');
RESET ROLE;

-- It ends.
SELECT authz.audit('staff');
SELECT name FROM staff WHERE id = 1;
SELECT authz.unaudit('item');
SELECT name FROM item WHERE id = 1;
SELECT * FROM since();
SELECT action, relation, old_values->'reads' AS before, new_values->'reads' AS after FROM authz.audit_log
	WHERE action IN ('audit', 'unaudit') ORDER BY id DESC LIMIT 2;

SELECT authz.unaudit('staff'), authz.unaudit('part'), authz.unaudit('kid');
SET client_min_messages = error;
DROP TABLE copied, copied_too;
DROP SCHEMA regress_authz CASCADE;
SELECT authz.drop_role(r) FROM unnest('{clerk,boss,mixed}'::text[]) r;
DROP ROLE regress_authz_user, regress_authz_auditor;
SELECT format('ALTER DATABASE %I RESET session_preload_libraries', current_database()) AS preload \gexec
