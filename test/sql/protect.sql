-- Which tables are protected; protection follows partitions, children and schemas, and is undone exactly.
\set VERBOSITY terse
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
SELECT authz.create_role('clerk');
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_user;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user;
CREATE VIEW protection AS
	SELECT c.relname, t.logical::regclass, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced,
		(SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies, t.complete
	FROM pg_class c LEFT JOIN authz.protected_table t ON t.relation = c.oid
	WHERE c.relnamespace = 'regress_authz'::regnamespace AND c.relkind IN ('r', 'p', 'f') ORDER BY 1;
SET search_path = regress_authz, public;
SET ROLE regress_authz_owner;

-- Default deny from the first moment; nothing in the way of the owner's DDL.
CREATE TABLE plain AS SELECT i AS id FROM generate_series(1, 5) i;
GRANT ALL ON plain TO regress_authz_user;
SELECT count(*) FROM plain;
SELECT authz.protect('plain');
SELECT count(*) AS of_owner FROM plain;
SET ROLE regress_authz_user;
SELECT count(*) AS of_user FROM plain;
INSERT INTO plain VALUES (6);
UPDATE plain SET id = 7;
DELETE FROM plain;
TRUNCATE plain;
SET ROLE regress_authz_owner;
TRUNCATE plain;
SELECT authz.protect('plain');
RESET ROLE;
SELECT count(*) AS of_superuser FROM plain;
SELECT * FROM protection;

-- TRUNCATE by policy.
SELECT authz.create_policy('empty', 'plain', '{truncate}', 'authz.attr_boolean(''may_empty'')', '{clerk}');
SET ROLE regress_authz_user;
SELECT authz.assume('ann', '{clerk}');
TRUNCATE plain;
SELECT authz.assume('ann', '{clerk}', '{"may_empty": true}');
TRUNCATE plain;
RESET ROLE;
SELECT count(*) FROM plain;
RESET authz.token;
SELECT authz.drop_policy('empty', 'plain');

-- unprotect gives back what was there before.
SELECT authz.unprotect('plain');
SELECT authz.unprotect('plain');
CREATE TABLE had (id int);
ALTER TABLE had ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON had AS RESTRICTIVE USING (id > 1);
SELECT authz.protect('had');
SELECT * FROM protection;
SELECT authz.unprotect('had');
SELECT * FROM protection;
DROP TABLE had;

-- What cannot be protected.
CREATE VIEW a_view AS SELECT 1 AS id;
SELECT authz.protect('a_view');
SELECT authz.protect('authz.policy');
SELECT authz.protect('pg_class');
CREATE TABLE open_door (id int);
CREATE POLICY anybody ON open_door USING (true);
SELECT authz.protect('open_door');
SET ROLE regress_authz_user;
SELECT authz.protect('plain');
RESET ROLE;
GRANT authz_admin TO regress_authz_user;
SET ROLE regress_authz_user;
SELECT authz.protect('plain');
SELECT authz.unprotect('plain');
RESET ROLE;
REVOKE authz_admin FROM regress_authz_user;
DROP VIEW a_view;
DROP TABLE open_door;

-- Partitions: there, created, attached, nested, detached.
SET ROLE regress_authz_owner;
CREATE TABLE part (id int, region text) PARTITION BY LIST (region);
CREATE TABLE part_n PARTITION OF part FOR VALUES IN ('n');
CREATE TABLE part_s PARTITION OF part FOR VALUES IN ('s') PARTITION BY RANGE (id);
CREATE TABLE part_s1 PARTITION OF part_s FOR VALUES FROM (0) TO (10);
SELECT authz.protect('part');
CREATE TABLE part_s2 PARTITION OF part_s FOR VALUES FROM (10) TO (20);
CREATE TABLE part_w (region text, id int);
ALTER TABLE part ATTACH PARTITION part_w FOR VALUES IN ('w');
SELECT authz.create_policy('region', 'part', '{select,insert,update}', 'region = authz.attr(''region'')');
INSERT INTO part VALUES (1, 'w');
RESET ROLE;
INSERT INTO part VALUES (1, 'n'), (2, 's'), (12, 's'), (3, 'w');
SELECT * FROM protection WHERE relname LIKE 'part%';
GRANT SELECT ON part, part_n, part_s, part_s2, part_w TO regress_authz_user;
SET ROLE regress_authz_user;
SELECT authz.assume('ann', '{}', '{"region": "s"}');
SELECT tableoid::regclass, * FROM part ORDER BY 2, 1;
SELECT * FROM part_s2;
SELECT * FROM part_w;
SELECT authz.assume('ann', '{}', '{"region": "w"}');
SELECT * FROM part;
SELECT * FROM part_w;
RESET ROLE;
RESET authz.token;
-- A partition is not unprotected alone; a detached one stays closed as it was.
SELECT authz.unprotect('part_w');
ALTER TABLE part DETACH PARTITION part_w;
SELECT * FROM protection WHERE relname = 'part_w';
SELECT authz.unprotect('part');
SELECT * FROM protection WHERE relname LIKE 'part%';
DROP TABLE part, part_w;

-- A part in the middle with policies of its own takes its own parts along, and gives them back.
CREATE TABLE part (id int) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1) PARTITION BY LIST (id);
CREATE TABLE part_11 PARTITION OF part_1 FOR VALUES IN (1);
SELECT authz.protect('part');
SELECT authz.protect('part_1');
SELECT * FROM protection WHERE relname LIKE 'part%';
SELECT authz.unprotect('part_1');
SELECT * FROM protection WHERE relname LIKE 'part%';
DROP TABLE part;

-- A parent that is not protected would show what its child hides.
CREATE TABLE child (id int);
CREATE TABLE parent (id int);
SELECT authz.protect('child');
ALTER TABLE child INHERIT parent;
SELECT authz.protect('parent');
ALTER TABLE child INHERIT parent;
SELECT authz.unprotect('child');
SELECT authz.unprotect('parent');
SELECT authz.unprotect('child');
SELECT authz.unprotect('parent');
DROP TABLE parent CASCADE;

-- The record is not for everybody's pen.
SET ROLE regress_authz_owner;
CREATE TABLE mine (id int);
INSERT INTO authz.protected_table (relation, logical, had_row_security, had_force) VALUES ('mine', 'pg_class', false, false);
INSERT INTO authz.protected_schema (schema) VALUES ('public'::regnamespace);
INSERT INTO authz.protected_schema (schema) VALUES ('authz'::regnamespace);
SELECT authz.protect('mine');
UPDATE authz.protected_table SET logical = 'pg_class' WHERE relation = 'mine'::regclass;
UPDATE authz.protected_table SET complete = true WHERE relation = 'mine'::regclass;
DROP TRIGGER authz_truncate ON mine;
ALTER TABLE mine DISABLE TRIGGER authz_truncate;
CREATE TEMP TABLE passing (id int);
SELECT authz.protect('passing');
RESET ROLE;
DROP TABLE mine, passing;

-- Inheritance: one child of two protected tables is refused, a child protected by itself keeps its own.
CREATE TABLE a (id int);
CREATE TABLE b (id int);
CREATE TABLE both_of_them () INHERITS (a, b);
SELECT authz.protect('a');
SELECT authz.protect('b');
SELECT * FROM protection WHERE relname IN ('a', 'b', 'both_of_them');
SELECT authz.protect('both_of_them');
-- No parent stays open: all of them together.
BEGIN;
SELECT authz.protect('both_of_them');
SELECT authz.protect('a');
COMMIT;
BEGIN;
SELECT authz.protect('both_of_them');
SELECT authz.protect('a');
SELECT authz.protect('b');
COMMIT;
SELECT * FROM protection WHERE relname IN ('a', 'b', 'both_of_them');
SELECT relation, open_parents FROM authz.protected_table WHERE relation = 'both_of_them'::regclass;
-- Nor is one opened again.
SELECT authz.unprotect('b');
CREATE TABLE open_parent (id int);
CREATE TABLE child_of_open () INHERITS (a, open_parent);
CREATE TABLE alone (id int) PARTITION BY LIST (id);
CREATE TABLE alone_1 PARTITION OF alone FOR VALUES IN (1);
SELECT authz.protect('alone_1');
DROP TABLE open_parent, alone;
DROP TABLE a, b CASCADE;
SELECT count(*) FROM authz.protected_table;

-- A schema: what is there, what comes by whatever way.
RESET client_min_messages;
SELECT authz.protect_schema('regress_authz');
SELECT authz.protect_schema('regress_authz');
CREATE TABLE later (id int);
CREATE TABLE later_as AS SELECT 1 AS id;
SELECT 2 AS id INTO later_into;
CREATE TABLE public.regress_authz_moved (id int);
ALTER TABLE public.regress_authz_moved SET SCHEMA regress_authz;
SELECT * FROM protection;
SELECT authz.unprotect('later');
SET ROLE regress_authz_user;
SELECT authz.unprotect_schema('regress_authz');
RESET ROLE;
SELECT authz.unprotect_schema('regress_authz');
SELECT authz.unprotect_schema('regress_authz');
CREATE TABLE even_later (id int);
SELECT * FROM protection WHERE relname = 'even_later';
SELECT authz.protect_schema('pg_catalog');
SELECT authz.protect_schema('authz');

SET client_min_messages = warning;
DROP VIEW protection;
DROP SCHEMA regress_authz CASCADE;
SELECT count(*) FROM authz.protected_table;
SELECT count(*) FROM authz.protected_schema;
SELECT authz.drop_role('clerk');
REVOKE ALL ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user;
