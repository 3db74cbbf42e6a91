-- Every table of an audited schema is audited, a new one from its creation on.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP SCHEMA IF EXISTS regress_authz, regress_authz_outside CASCADE;
DROP FOREIGN DATA WRAPPER IF EXISTS regress_authz_fdw CASCADE;
DROP ROLE IF EXISTS regress_authz_owner;
RESET client_min_messages;
CREATE ROLE regress_authz_owner;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
CREATE SCHEMA regress_authz_outside AUTHORIZATION regress_authz_owner;
SET search_path = regress_authz;
CREATE VIEW regress_authz_outside.state AS
	SELECT c.relname, a.actions, a.logical::regclass, a.complete FROM pg_class c LEFT JOIN authz.audited_table a ON a.relation = c.oid AND a.active
	WHERE c.relnamespace = 'regress_authz'::regnamespace AND c.relkind IN ('r', 'p', 'f') ORDER BY c.relname COLLATE "C";
SET ROLE regress_authz_owner;
CREATE TABLE early (id int PRIMARY KEY);
CREATE TABLE a_few (id int);
CREATE TABLE part (id int) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
SELECT authz.audit_schema('regress_authz');
RESET ROLE;
SELECT authz.audit('a_few', '{insert}');
SELECT authz.audit_schema('regress_authz', '{insert,eat}');
SELECT authz.audit_schema('regress_authz', '{}');
SELECT authz.audit_schema('regress_authz', NULL);
SELECT authz.audit_schema('pg_catalog');
SELECT authz.audit_schema('authz');
SELECT authz.audit_schema('regress_authz', '{insert,delete}');
SELECT * FROM regress_authz_outside.state;
-- Whoever makes a table, however.
SET ROLE regress_authz_owner;
CREATE TABLE plain (id int PRIMARY KEY, t text);
INSERT INTO plain VALUES (1, 'a');
UPDATE plain SET t = 'b';
DELETE FROM plain;
CREATE TABLE made AS SELECT 1 AS id;
SELECT 1 AS id INTO made_into;
CREATE TABLE regress_authz_outside.moved (id int);
ALTER TABLE regress_authz_outside.moved SET SCHEMA regress_authz;
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
CREATE TEMP TABLE passing (id int);
DROP TABLE passing;
CREATE VIEW a_view AS SELECT 1 AS id;
CREATE TABLE regress_authz_outside.free (id int);
SELECT authz.is_audited('regress_authz_outside.free'::regclass);
RESET ROLE;
SELECT * FROM regress_authz_outside.state;
SELECT relation, action, key, new_values FROM authz.audit_log WHERE relation = 'regress_authz.plain' ORDER BY id;
-- Event triggers do not see what EXPLAIN makes.
EXPLAIN ANALYZE CREATE TABLE unseen AS SELECT 1 AS id;
EXPLAIN (ANALYZE false, ANALYZE) CREATE TABLE unseen AS SELECT 1 AS id;
DO $$ BEGIN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF) CREATE MATERIALIZED VIEW unseen AS SELECT 1 AS id'; END $$;
EXPLAIN (COSTS OFF) CREATE TABLE unseen AS SELECT 1 AS id;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) CREATE TEMP TABLE unseen AS SELECT 1 AS id;
DROP TABLE unseen;
-- What cannot be audited.
CREATE FOREIGN DATA WRAPPER regress_authz_fdw;
CREATE SERVER regress_authz_server FOREIGN DATA WRAPPER regress_authz_fdw;
CREATE FOREIGN TABLE far (id int) SERVER regress_authz_server;
CREATE TABLE member (id int);
SELECT authz.unaudit('member');
BEGIN;
SELECT authz.unaudit_schema('regress_authz');
SELECT authz.unaudit('member');
ALTER EXTENSION plpgsql ADD TABLE member;
SELECT authz.audit_schema('regress_authz');
COMMIT;
SELECT authz.is_audited('member'::regclass);
ALTER EXTENSION plpgsql DROP TABLE member;
SELECT authz.is_audited('member'::regclass);
-- Again: with other settings, for those that come.
SELECT authz.audit_schema('regress_authz', '{update}');
CREATE TABLE latest (id int);
SELECT * FROM regress_authz_outside.state WHERE relname IN ('early', 'latest', 'a_few');
-- It follows a rename, and ends with the schema.
ALTER SCHEMA regress_authz RENAME TO regress_authz_2;
CREATE TABLE regress_authz_2.more (id int);
CREATE SCHEMA regress_authz;
CREATE TABLE regress_authz.more (id int);
SELECT schema, actions, reads FROM authz.audited_schema;
SELECT authz.is_audited('regress_authz_2.more'::regclass), authz.is_audited('regress_authz.more'::regclass);
DROP SCHEMA regress_authz CASCADE;
ALTER SCHEMA regress_authz_2 RENAME TO regress_authz;
SET ROLE regress_authz_owner;
SELECT authz.unaudit_schema('regress_authz');
RESET ROLE;
SELECT authz.unaudit_schema('regress_authz');
SELECT authz.unaudit_schema('regress_authz');
CREATE TABLE even_later (id int);
SELECT * FROM regress_authz_outside.state WHERE relname IN ('early', 'even_later');
SELECT authz.audit_schema('regress_authz');
SET client_min_messages = error;
DROP SCHEMA regress_authz, regress_authz_outside CASCADE;
SELECT count(*) FROM authz.audited_schema;
DROP FOREIGN DATA WRAPPER regress_authz_fdw CASCADE;
DROP ROLE regress_authz_owner;
