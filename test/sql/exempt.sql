-- Nothing that holds rows is open in a protected schema or below a protected table, unless somebody said so.
\set VERBOSITY terse
SET client_min_messages = error;
DROP SCHEMA IF EXISTS regress_authz, regress_authz_outside CASCADE;
DROP FOREIGN DATA WRAPPER IF EXISTS regress_authz_fdw CASCADE;
DROP ROLE IF EXISTS regress_authz_owner, regress_authz_user;
RESET client_min_messages;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
CREATE SCHEMA regress_authz_outside AUTHORIZATION regress_authz_owner;
GRANT ALL ON SCHEMA regress_authz, regress_authz_outside TO regress_authz_user;
CREATE FOREIGN DATA WRAPPER regress_authz_fdw;
CREATE SERVER regress_authz_server FOREIGN DATA WRAPPER regress_authz_fdw;
GRANT USAGE ON FOREIGN SERVER regress_authz_server TO regress_authz_owner;
SET search_path = regress_authz, regress_authz_outside;
CREATE VIEW regress_authz_outside.state AS
	SELECT c.relname, c.relkind, EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = c.oid) AS protected, authz.is_exempt(c.oid) AS exempt
	FROM pg_class c WHERE c.relnamespace IN ('regress_authz'::regnamespace) AND c.relkind IN ('r', 'p', 'f', 'm') ORDER BY c.relname COLLATE "C";
GRANT SELECT ON state TO PUBLIC;

-- Foreign tables as parts: made so, attached, inherited; there before the protection.
SET ROLE regress_authz_owner;
CREATE TABLE area (id int) PARTITION BY LIST (id);
SELECT authz.protect('area');
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE FOREIGN TABLE area_1 PARTITION OF area FOR VALUES IN (1) SERVER regress_authz_server;
\set VERBOSITY terse
CREATE FOREIGN TABLE far (id int) SERVER regress_authz_server;
ALTER TABLE area ATTACH PARTITION far FOR VALUES IN (1);
CREATE TABLE plain (id int);
SELECT authz.protect('plain');
ALTER FOREIGN TABLE far INHERIT plain;
ALTER TABLE far INHERIT plain;
CREATE FOREIGN TABLE far_2 () INHERITS (plain) SERVER regress_authz_server;
-- Below a part, too.
CREATE TABLE area_2 PARTITION OF area FOR VALUES IN (2, 3) PARTITION BY LIST (id);
CREATE FOREIGN TABLE area_22 PARTITION OF area_2 FOR VALUES IN (2) SERVER regress_authz_server;
CREATE TABLE old (id int);
ALTER FOREIGN TABLE far INHERIT old;
SELECT authz.protect('old');
-- A foreign parent shows what its protected child hides.
CREATE FOREIGN TABLE far_parent (id int) SERVER regress_authz_server;
ALTER TABLE plain INHERIT far_parent;
-- With a reason it may.
SELECT authz.allow_foreign_table('far', ' ');
SELECT authz.allow_foreign_table('far', NULL);
SELECT authz.allow_foreign_table('plain', 'x');
RESET ROLE;
SET ROLE regress_authz_user;
SELECT authz.allow_foreign_table('far', 'x');
RESET ROLE;
GRANT authz_admin TO regress_authz_user;
SET ROLE regress_authz_user;
SELECT authz.allow_foreign_table('far', 'x');
RESET ROLE;
REVOKE authz_admin FROM regress_authz_user;
SET ROLE regress_authz_owner;
SELECT authz.allow_foreign_table('far', 'the other server has row security');
SELECT authz.protect('old');
SELECT relname, protected, exempt FROM state;
SELECT relation, ok, problem, fix FROM authz.protection_status() WHERE relation = 'far'::regclass;
SELECT authz.disallow_foreign_table('far');
ALTER TABLE far NO INHERIT old;
ALTER TABLE area ATTACH PARTITION far FOR VALUES IN (1);
ALTER TABLE area DETACH PARTITION far;
SELECT authz.disallow_foreign_table('far');
SELECT authz.disallow_foreign_table('far');
ALTER TABLE area ATTACH PARTITION far FOR VALUES IN (1);
SELECT authz.allow_foreign_table('far', 'it goes');
DROP FOREIGN TABLE far;
SELECT count(*) FROM authz.allowed_foreign_table;
DROP TABLE area, plain, old;
DROP FOREIGN TABLE far_parent;

-- In a protected schema: what is there already.
CREATE TABLE person (id int);
CREATE MATERIALIZED VIEW copied AS SELECT * FROM person;
CREATE FOREIGN TABLE far (id int) SERVER regress_authz_server;
SELECT authz.protect_schema('regress_authz');
SELECT authz.protect_schema('regress_authz', exempt => '{copied}');
SELECT authz.protect_schema('regress_authz', exempt => NULL);
SELECT authz.protect_schema('regress_authz', exempt => '{copied,NULL}');
SELECT authz.protect_schema('regress_authz', exempt => '{copied,far,migration,"Late One"}');
SELECT * FROM state;
SELECT count(*) FROM person;
-- What comes, by whatever way.
CREATE MATERIALIZED VIEW m AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW regress_authz_outside.m AS SELECT 1 AS id;
ALTER MATERIALIZED VIEW regress_authz_outside.m SET SCHEMA regress_authz;
ALTER TABLE regress_authz_outside.m SET SCHEMA regress_authz;
CREATE FOREIGN TABLE f (id int) SERVER regress_authz_server;
CREATE FOREIGN TABLE regress_authz_outside.f (id int) SERVER regress_authz_server;
ALTER FOREIGN TABLE regress_authz_outside.f SET SCHEMA regress_authz;
ALTER TABLE regress_authz_outside.f SET SCHEMA regress_authz;
CREATE TABLE t AS SELECT 1 AS id;
SELECT 1 AS id INTO t_into;
CREATE TABLE t_like (LIKE t);
CREATE UNLOGGED TABLE t_unlogged (id int);
CREATE TABLE regress_authz_outside.moved (id int) PARTITION BY LIST (id);
ALTER TABLE regress_authz_outside.moved SET SCHEMA regress_authz;
CREATE TEMP TABLE passing () INHERITS (person);
CREATE TABLE t_of_copied (LIKE copied);
EXPLAIN ANALYZE CREATE TABLE unseen AS SELECT 1 AS id;
EXPLAIN ANALYZE SELECT 1 AS id INTO unseen;
SELECT * FROM state;
SELECT authz.unprotect('t');

-- A name that is waited for is taken by a new table of the schema's owner only.
RESET ROLE;
CREATE TABLE migration (id int);
SELECT relname, protected, exempt FROM state WHERE relname = 'migration';
DROP TABLE migration;
SET ROLE regress_authz_user;
CREATE TABLE "Late One" (id int);
SET ROLE regress_authz_owner;
ALTER TABLE t RENAME TO migration;
SELECT relname, protected, exempt FROM state WHERE relname IN ('migration', 'Late One');
ALTER TABLE migration RENAME TO t;
CREATE TABLE migration (id int) PARTITION BY LIST (id);
INSERT INTO migration DEFAULT VALUES;
CREATE TABLE migration_1 PARTITION OF migration FOR VALUES IN (1);
INSERT INTO migration VALUES (1);
SELECT count(*) FROM migration;
-- It is exempt, not its name, and not in another schema.
ALTER TABLE migration RENAME TO migration_new;
CREATE TABLE migration (id int);
SELECT relname, protected, exempt FROM state WHERE relname ^@ 'migration';
SELECT problem FROM authz.protection_status() WHERE relation IS NULL AND problem LIKE 'table regress_authz.%';
-- A child of two protected tables cannot be, nor one of a protected and an exempt table.
CREATE TABLE between () INHERITS (person, migration);
DROP TABLE migration;
-- One that is protected already.
SELECT authz.protect_schema('regress_authz', exempt => '{t_into}');
SELECT relname, protected, exempt FROM state WHERE relname = 't_into';
SELECT authz.unprotect('t_into');
SELECT relname, protected, exempt FROM state WHERE relname = 't_into';
CREATE TABLE between () INHERITS (person, t_into);
SELECT authz.protect('t_into');
SELECT relname, protected, exempt FROM state WHERE relname = 't_into';
SELECT authz.unprotect('t_into');
SELECT authz.protect_schema('regress_authz', exempt => '{migration_1}');
-- Not for everybody's pen.
RESET ROLE;
GRANT authz_admin TO regress_authz_user;
SET ROLE regress_authz_user;
INSERT INTO authz.exempt_table (schema, relation) VALUES ('regress_authz', 'person');
INSERT INTO authz.exempt_table (schema, waits_for) VALUES ('regress_authz', 'x');
DELETE FROM authz.exempt_table WHERE relation = 'copied'::regclass;
SELECT authz.protect_schema('regress_authz', exempt => '{person}');
RESET ROLE;
REVOKE authz_admin FROM regress_authz_user;
SET ROLE regress_authz_owner;
INSERT INTO authz.exempt_table (schema, relation) VALUES ('regress_authz', 'regress_authz_outside.m');
-- It follows the rename of the schema, and ends with the table.
RESET ROLE;
ALTER SCHEMA regress_authz RENAME TO regress_authz_2;
SELECT schema, relation, waits_for FROM authz.exempt_table ORDER BY relation::text, waits_for;
CREATE TABLE regress_authz_2.more (id int);
SELECT authz.is_protected('regress_authz_2.more'::regclass);
ALTER SCHEMA regress_authz_2 RENAME TO regress_authz;
SET ROLE regress_authz_owner;
DROP TABLE migration_new;
SELECT schema, relation, waits_for FROM authz.exempt_table ORDER BY relation::text, waits_for;
SELECT authz.unprotect_schema('regress_authz');
SELECT count(*) FROM authz.exempt_table;
RESET ROLE;

-- Not for what does not exist yet: it may become somebody else's.
SET ROLE regress_authz_owner;
INSERT INTO authz.exempt_table (schema, waits_for) VALUES ('regress_authz_later', 'waited_for');
INSERT INTO authz.allowed_foreign_table (relation, reason) VALUES (4000000000, 'none');
INSERT INTO authz.protected_table (relation, logical, had_row_security, had_force) VALUES (4000000000, 4000000000, false, false);
SELECT count(*) FROM authz.exempt_table WHERE schema = 'regress_authz_later';
RESET ROLE;

-- Tables of extensions.
CREATE TABLE member (id int);
CREATE TABLE ordinary (id int);
ALTER EXTENSION plpgsql ADD TABLE member;
\set VERBOSITY default
SELECT authz.protect('member');
SELECT authz.audit('member');
\set VERBOSITY terse
DROP FOREIGN TABLE far;
DROP MATERIALIZED VIEW copied;
SELECT authz.protect_schema('regress_authz');
SELECT authz.is_protected('member'::regclass), authz.is_protected('ordinary'::regclass);
SELECT authz.unprotect_schema('regress_authz');
SELECT authz.protect('member', extension_member => true);
SELECT authz.audit('member', extension_member => true);
SELECT authz.is_protected('member'::regclass), authz.is_audited('member'::regclass);
SELECT relation, ok, problem, fix FROM authz.protection_status() WHERE relation = 'member'::regclass;
SELECT authz.unaudit('member');
SELECT authz.unprotect('member');
-- One that is a part, and one that stops to be a member.
CREATE TABLE parent_of_member (id int);
SELECT authz.protect('parent_of_member');
ALTER TABLE member INHERIT parent_of_member;
SELECT authz.protect('member', true);
ALTER TABLE member INHERIT parent_of_member;
ALTER TABLE member NO INHERIT parent_of_member;
SELECT authz.unprotect('member');
SELECT authz.protect_schema('regress_authz');
ALTER EXTENSION plpgsql DROP TABLE member;
SELECT authz.is_protected('member'::regclass);
ALTER EXTENSION plpgsql ADD TABLE member;
ALTER EXTENSION plpgsql DROP TABLE member;

SET client_min_messages = error;
DROP SCHEMA regress_authz, regress_authz_outside CASCADE;
DROP FOREIGN DATA WRAPPER regress_authz_fdw CASCADE;
SELECT count(*) FROM authz.protected_schema;
DROP ROLE regress_authz_owner, regress_authz_user;
