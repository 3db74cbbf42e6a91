-- Partitions, children, and what DDL may and may not do to an audited table.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_owner;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
SET search_path = regress_authz, public;
SELECT coalesce(max(id), 0) AS before FROM authz.audit_log \gset
CREATE SEQUENCE seen;
SELECT setval('seen', :before + 1, false) > 0 AS ready;
CREATE FUNCTION since() RETURNS TABLE (action text, relation text, key jsonb, old_values jsonb, new_values jsonb)
LANGUAGE plpgsql AS $$
DECLARE
	last bigint := (SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - 1 END FROM regress_authz.seen s);
BEGIN
	RETURN QUERY SELECT l.action, replace(l.relation, 'regress_authz.', ''), l.key, l.old_values, l.new_values
		FROM authz.audit_log l WHERE l.id > last ORDER BY l.id;
	PERFORM setval('regress_authz.seen', (SELECT max(l.id) FROM authz.audit_log l));
END $$;
CREATE VIEW audits AS SELECT c.relname, t.logical::regclass, t.trail = p.trail AS same_trail, t.active, t.complete, t.exclude_columns, t.actions,
		(SELECT count(*) FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname LIKE 'authz_audit%') AS triggers
	FROM pg_class c LEFT JOIN authz.audited_table t ON t.relation = c.oid LEFT JOIN authz.audited_table p ON p.relation = t.logical
	WHERE c.relnamespace = 'regress_authz'::regnamespace AND c.relkind IN ('r', 'p', 'f') ORDER BY 1;

-- What cannot be audited, and who may not.
CREATE VIEW a_view AS SELECT 1 AS id;
CREATE TEMP TABLE passing (id int);
CREATE FOREIGN DATA WRAPPER regress_authz_fdw;
CREATE SERVER regress_authz_server FOREIGN DATA WRAPPER regress_authz_fdw;
CREATE FOREIGN TABLE far (id int) SERVER regress_authz_server;
SELECT authz.audit('a_view');
SELECT authz.audit('passing');
SELECT authz.audit('far');
SELECT authz.audit('pg_class');
SELECT authz.audit('authz.policy');
SELECT authz.audit('authz.audit_log');
SELECT authz.audit(NULL);
SELECT authz.audit(0);
CREATE TABLE doc (id int PRIMARY KEY, t text);
ALTER TABLE doc OWNER TO regress_authz_owner;
SELECT authz.audit('doc', '{select}');
SELECT authz.audit('doc', '{}');
SELECT authz.audit('doc', '{insert,NULL}');
SELECT authz.audit('doc', reads => true);
SET ROLE regress_authz_owner;
SELECT authz.audit('doc');
SELECT authz.unaudit('doc');
RESET ROLE;
SELECT authz.unaudit('doc');
SET client_min_messages = notice;
SELECT authz.audit('doc');
SELECT authz.audit('doc');
SET client_min_messages = warning;
DROP VIEW a_view;
DROP TABLE passing;

-- The owner of a table does not switch its audit off, nor does anybody by accident.
SET ROLE regress_authz_owner;
SELECT authz.unaudit('doc');
DROP TRIGGER authz_audit_insert ON doc;
ALTER TABLE doc DISABLE TRIGGER authz_audit_insert;
ALTER TABLE doc DISABLE TRIGGER ALL;
ALTER TABLE doc DISABLE TRIGGER USER;
ALTER TABLE doc ENABLE TRIGGER authz_audit_insert;
ALTER TABLE doc ENABLE REPLICA TRIGGER authz_audit_delete;
ALTER TABLE doc DISABLE TRIGGER authz_audit_row;
ALTER TRIGGER authz_audit_insert ON doc RENAME TO something;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE OR REPLACE TRIGGER authz_audit_insert AFTER INSERT ON doc FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE TRIGGER mine AFTER INSERT ON doc FOR EACH STATEMENT EXECUTE FUNCTION authz.audit_statement();
DROP TABLE doc;
DROP SCHEMA regress_authz CASCADE;
ALTER TABLE doc ADD COLUMN more int;
CREATE TRIGGER other AFTER INSERT ON doc FOR EACH STATEMENT EXECUTE FUNCTION nothing();
DROP TRIGGER other ON doc;
CREATE TABLE other_parent (id int, t text, more int);
ALTER TABLE doc INHERIT other_parent;
RESET ROLE;
DROP TRIGGER authz_audit_insert ON doc;
SELECT * FROM audits WHERE relname = 'doc';
SELECT count(*) > 0 AS noisy FROM since();
INSERT INTO doc VALUES (1);
SELECT * FROM since();
-- Triggers of ours that authz.audit did not make record nothing wrong.
CREATE TABLE odd (id int);
CREATE TRIGGER a AFTER INSERT ON odd FOR EACH STATEMENT EXECUTE FUNCTION authz.audit_statement();
INSERT INTO odd VALUES (1);
DROP TRIGGER a ON odd;
CREATE TRIGGER a AFTER INSERT ON odd REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION authz.audit_statement();
INSERT INTO odd VALUES (1);
DROP TRIGGER a ON odd;
CREATE TRIGGER a BEFORE INSERT ON odd FOR EACH ROW EXECUTE FUNCTION authz.audit_row();
INSERT INTO odd VALUES (1);
SELECT authz.audit_statement();
SELECT count(*) FROM odd;
DROP TABLE odd, other_parent;

-- Partitions: there, created, attached, nested, detached; through the root and named themselves.
CREATE TABLE part (id int, region text, secret text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_n PARTITION OF part FOR VALUES IN ('n');
CREATE TABLE part_s PARTITION OF part FOR VALUES IN ('s') PARTITION BY RANGE (id);
CREATE TABLE part_s1 PARTITION OF part_s FOR VALUES FROM (0) TO (10);
SELECT authz.audit('part_n');
SELECT authz.audit('part', exclude_columns => '{secret}');
CREATE TABLE part_s2 PARTITION OF part_s FOR VALUES FROM (10) TO (20);
CREATE TABLE part_w (secret text, gone int, region text NOT NULL, id int NOT NULL);
ALTER TABLE part_w DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part_w FOR VALUES IN ('w');
SELECT * FROM audits WHERE relname LIKE 'part%';
SELECT count(*) FROM since();
INSERT INTO part VALUES (1, 'n', 'x'), (2, 's', 'x'), (12, 's', 'x'), (3, 'w', 'x');
UPDATE part SET secret = 'y' WHERE id = 3;
UPDATE part SET region = 'w' WHERE id = 1;
INSERT INTO part_w (id, region, secret) VALUES (4, 'w', 'x');
UPDATE part_w SET id = 5 WHERE id = 4;
UPDATE part_s SET id = 13 WHERE id = 2;
DELETE FROM part_s2;
COPY part FROM stdin;
6	n	x
\.
TRUNCATE part_n;
SELECT * FROM since();
SELECT count(*) AS secrets FROM authz.audit_log l WHERE l.id > :before AND l::text LIKE '%"x"%';
SELECT action, relation, key FROM authz.audit_trail('part', '{"id": 5, "region": "w"}');
SELECT action, relation, key FROM authz.audit_trail('part_n', '{"id": 1, "region": "w"}');
SELECT action, relation, key, old_key FROM authz.audit_trail('part', '{"id": 1, "region": "n"}');
-- Fewer actions, and all again: of all parts.
SELECT authz.audit('part', '{update}', exclude_columns => '{secret}');
SELECT relname, actions FROM audits WHERE relname LIKE 'part%';
SELECT authz.audit('part', exclude_columns => '{secret}');
SELECT action, relation, old_values -> 'actions' AS before, new_values -> 'actions' AS now FROM since();
-- Generated columns, in a partition that has them elsewhere.
CREATE TABLE gen (id int, r int, twice int GENERATED ALWAYS AS (id * 2) STORED, name text, up text GENERATED ALWAYS AS (upper(name)) STORED) PARTITION BY LIST (r);
CREATE TABLE gen_1 (name text, gone int, r int, up text GENERATED ALWAYS AS (upper(name)) STORED, twice int GENERATED ALWAYS AS (id * 2) STORED, id int);
ALTER TABLE gen_1 DROP COLUMN gone;
ALTER TABLE gen ATTACH PARTITION gen_1 FOR VALUES IN (1);
CREATE TABLE gen_2 PARTITION OF gen FOR VALUES IN (2);
SELECT authz.audit('gen', exclude_columns => '{name}');
SELECT count(*) FROM since();
INSERT INTO gen VALUES (1, 1, DEFAULT, 'a'), (2, 2, DEFAULT, 'b');
UPDATE gen SET id = 3 WHERE id = 1;
SELECT action, old_values, new_values FROM since();
SELECT authz.unaudit('gen');
DROP TABLE gen;
SELECT count(*) FROM since();
-- A row that moves into nowhere: what is known is recorded.
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN NEW.id <> 3 THEN NEW END; END $$;
CREATE TRIGGER swallow BEFORE INSERT ON part_n FOR EACH ROW EXECUTE FUNCTION swallow();
UPDATE part SET region = 'n';
SELECT action, key, old_values, new_values FROM since();
DROP TRIGGER swallow ON part_n;
-- Not: a foreign partition, audit of a part ended alone, a part's trigger dropped.
CREATE TABLE wide_area (id int) PARTITION BY LIST (id);
SELECT authz.audit('wide_area');
CREATE FOREIGN TABLE part_f PARTITION OF wide_area FOR VALUES IN (1) SERVER regress_authz_server;
ALTER TABLE wide_area ATTACH PARTITION far FOR VALUES IN (1);
SELECT authz.unaudit('wide_area');
ALTER TABLE wide_area ATTACH PARTITION far FOR VALUES IN (1);
SELECT authz.audit('wide_area');
DROP TABLE wide_area;
SELECT count(*) FROM since();
SELECT authz.unaudit('part_w');
ALTER TABLE part_w DISABLE TRIGGER authz_audit_row;
ALTER TABLE part_w DISABLE TRIGGER authz_audit_update;
ALTER TABLE ONLY part DISABLE TRIGGER ALL;
-- What was detached is audited as before, on its own; what is attached elsewhere is not.
ALTER TABLE part DETACH PARTITION part_s;
SELECT * FROM audits WHERE relname LIKE 'part%';
INSERT INTO part_s VALUES (7, 's', 'x');
INSERT INTO part_s1 VALUES (8, 's', 'x');
SELECT action, relation, key, new_values FROM since();
CREATE TABLE open (id int, region text, secret text) PARTITION BY LIST (region);
ALTER TABLE open ATTACH PARTITION part_s FOR VALUES IN ('s');
ALTER TABLE part ATTACH PARTITION part_s FOR VALUES IN ('s');
SELECT * FROM audits WHERE relname LIKE 'part%';
ALTER TABLE part DETACH PARTITION part_w;
SELECT authz.unaudit('part');
SELECT * FROM audits WHERE relname LIKE 'part%';
SELECT authz.unaudit('part_w');
SELECT action, relation FROM since();
DROP TABLE part, part_w, open;
SELECT count(*) FROM since();

-- Inheritance: a statement leaves its records under the table that it names.
CREATE TABLE base (id int PRIMARY KEY, t text);
CREATE TABLE child (extra int, PRIMARY KEY (id)) INHERITS (base);
INSERT INTO child VALUES (1, 'a', 1);
SELECT authz.audit('child');
SELECT authz.audit('base', '{insert,update,delete}');
CREATE TABLE grandchild () INHERITS (child);
SELECT * FROM audits WHERE relname IN ('base', 'child', 'grandchild');
SELECT count(*) FROM since();
UPDATE base SET t = 'b';
UPDATE child SET extra = 2;
INSERT INTO grandchild VALUES (2, 'g', 3);
DELETE FROM base;
SELECT * FROM since();
-- Two audited parents: what either asks for.
CREATE TABLE base2 (id int, t text);
SELECT authz.audit('base2', '{truncate,insert}', exclude_columns => '{t}');
ALTER TABLE child INHERIT base2; -- which is not audited for updates
SELECT authz.audit('base2', exclude_columns => '{t}');
ALTER TABLE child INHERIT base2;
SELECT * FROM audits WHERE relname IN ('base', 'base2', 'child', 'grandchild');
ALTER TABLE child NO INHERIT base2;
ALTER TABLE child NO INHERIT base;
SELECT * FROM audits WHERE relname IN ('base', 'base2', 'child', 'grandchild');
SELECT authz.unaudit('base'), authz.unaudit('base2'), authz.unaudit('child');
DROP TABLE base, base2, child CASCADE;

-- A temporary child goes without a trace when the transaction ends: refused, at any depth, whichever is first.
CREATE TABLE base (id int, t text);
CREATE TABLE child () INHERITS (base);
CREATE TEMP TABLE passing () INHERITS (child);
SELECT authz.audit('base');
SELECT count(*) FROM authz.audited_table;
DROP TABLE passing;
SELECT authz.audit('base');
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE TEMP TABLE passing () INHERITS (child) ON COMMIT DROP;
\set VERBOSITY terse
CREATE TEMP TABLE passing (id int, t text);
ALTER TABLE passing INHERIT base;
DROP TABLE passing;
ALTER TABLE base ADD COLUMN more int;
SELECT count(*) FROM authz.audit_verify() WHERE NOT ok;
-- One that was dropped past the event triggers is told, is in nobody's way, and ends with its parent.
BEGIN;
ALTER EVENT TRIGGER authz_audit_forget DISABLE;
DROP TABLE child;
ALTER EVENT TRIGGER authz_audit_forget ENABLE ALWAYS;
COMMIT;
SELECT regexp_replace(problem, '\d+', 'N') AS problem FROM authz.audit_verify() WHERE NOT ok;
ALTER TABLE base ADD COLUMN again int;
CREATE TABLE child2 () INHERITS (base);
SELECT count(*) FROM since();
SELECT authz.unaudit('base');
SELECT action, regexp_replace(relation, '^\d+$', 'N') AS relation FROM since();
SELECT problem FROM authz.audit_verify() WHERE NOT ok;
DROP TABLE base, child2;

-- Columns are renamed by other commands too: the excluded one stays so under another name.
CREATE TYPE shape AS (secret text, other text, more int);
CREATE TABLE typed OF shape;
CREATE TABLE typed_child () INHERITS (typed);
CREATE TABLE typed_grandchild () INHERITS (typed_child);
SELECT authz.audit('typed', exclude_columns => '{more}');
SELECT authz.audit('typed_grandchild', exclude_columns => '{more,secret}');
SELECT count(*) FROM since();
ALTER TYPE shape RENAME ATTRIBUTE secret TO hidden CASCADE;
ALTER TYPE shape RENAME ATTRIBUTE more TO tmp CASCADE;
ALTER TYPE shape DROP ATTRIBUTE hidden CASCADE;
ALTER VIEW typed_child RENAME COLUMN hidden TO tmp;
SELECT relation, exclude_columns FROM authz.audited_table WHERE relation::text ~ '^typed' AND active ORDER BY relation::text;
ALTER VIEW doc RENAME COLUMN t TO tt;
SELECT authz.audit('doc', exclude_columns => '{tt}');
ALTER VIEW doc RENAME COLUMN tt TO x;
ALTER MATERIALIZED VIEW doc RENAME COLUMN x TO y;
ALTER FOREIGN TABLE doc RENAME COLUMN y TO z;
SELECT exclude_columns FROM authz.audited_table WHERE relation = 'doc'::regclass;
ALTER TYPE shape RENAME ATTRIBUTE other TO known CASCADE;
ALTER TYPE shape ADD ATTRIBUTE last int CASCADE;
SELECT action, relation FROM since();
INSERT INTO typed_grandchild VALUES ('x', 'y', 1, 2);
INSERT INTO typed_child VALUES ('x', 'y', 1, 2);
SELECT action, relation, new_values FROM since();
DROP TABLE typed, typed_child, typed_grandchild;
DROP TYPE shape;

DROP SCHEMA regress_authz CASCADE;
DROP FOREIGN DATA WRAPPER regress_authz_fdw CASCADE;
DROP ROLE regress_authz_owner;
SELECT count(*) FROM authz.audited_table;
