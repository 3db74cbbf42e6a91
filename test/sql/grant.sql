-- A GRANT that goes round masks is warned of, naming table and columns; so is a mask that comes too late.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP SCHEMA IF EXISTS regress_authz CASCADE;
DROP ROLE IF EXISTS regress_authz_owner, regress_authz_user, regress_authz_other, regress_authz_root;
RESET client_min_messages;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE ROLE regress_authz_other;
CREATE ROLE regress_authz_root SUPERUSER;
GRANT authz_admin TO regress_authz_owner;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA regress_authz TO PUBLIC;
SET search_path = regress_authz;
SET ROLE regress_authz_owner;
CREATE TABLE person (id int, "Name" text, pay int, tax int GENERATED ALWAYS AS (pay / 2) STORED);
CREATE TABLE free (id int);
CREATE TABLE area (id int, secret text) PARTITION BY LIST (id);
CREATE TABLE area_1 PARTITION OF area FOR VALUES IN (1);
SELECT authz.protect('person'), authz.protect('area');
-- Nothing to say yet.
GRANT SELECT ON person TO regress_authz_user;
REVOKE SELECT ON person FROM regress_authz_user;
SELECT authz.create_mask('person', 'pay', 'null'), authz.create_mask('person', 'Name', 'null'), authz.create_mask('area', 'secret', 'null');
SELECT authz.create_masked_view('person', 'regress_authz.people');

\set VERBOSITY default
GRANT SELECT ON ALL TABLES IN SCHEMA regress_authz TO regress_authz_user;
\set VERBOSITY terse
REVOKE ALL ON ALL TABLES IN SCHEMA regress_authz FROM regress_authz_user;
GRANT SELECT ON person TO regress_authz_user, PUBLIC;
REVOKE ALL ON person FROM regress_authz_user, PUBLIC;
GRANT ALL ON person TO regress_authz_other WITH GRANT OPTION;
-- Whoever grants.
SET ROLE regress_authz_other;
GRANT SELECT ON regress_authz.person TO regress_authz_user;
SET ROLE regress_authz_owner;
REVOKE ALL ON person FROM regress_authz_other CASCADE;
GRANT ALL PRIVILEGES (id, tax) ON person TO regress_authz_user;
REVOKE ALL (id, tax) ON person FROM regress_authz_user;
GRANT SELECT ("Name"), UPDATE (pay) ON person TO regress_authz_user;
-- What is granted beside that is not warned of again, nor is what reads nothing that is masked.
GRANT INSERT ON person TO regress_authz_user;
REVOKE ALL ON person FROM regress_authz_user;
REVOKE ALL ("Name", pay) ON person FROM regress_authz_user;
GRANT SELECT (id), INSERT, UPDATE, DELETE ON person TO regress_authz_user;
GRANT SELECT ON people, free TO regress_authz_user;
GRANT SELECT ON person TO regress_authz_owner, regress_authz_root;
-- A part is read past the masks of its table.
GRANT SELECT ON area_1 TO regress_authz_user;
DO $$ BEGIN EXECUTE 'GRANT SELECT ON area TO regress_authz_user'; END $$;
REVOKE ALL ON area, area_1 FROM regress_authz_user;

-- Granted before the mask, by default privileges, too.
ALTER DEFAULT PRIVILEGES IN SCHEMA regress_authz GRANT SELECT ON TABLES TO regress_authz_other;
CREATE TABLE later (id int, x text, y text) PARTITION BY LIST (id);
CREATE TABLE later_1 PARTITION OF later FOR VALUES IN (1);
GRANT SELECT (y) ON later TO PUBLIC;
SELECT authz.protect('later');
SELECT authz.create_mask('later', 'x', 'null');
SELECT authz.create_mask('later', 'x', 'clear', priority => 50);
SELECT authz.create_mask('later', 'y', 'null');
ALTER DEFAULT PRIVILEGES IN SCHEMA regress_authz REVOKE SELECT ON TABLES FROM regress_authz_other;

RESET ROLE;
-- Inside of CREATE SCHEMA.
CREATE SCHEMA regress_authz_granted GRANT SELECT ON regress_authz.person TO regress_authz_user;
REVOKE SELECT ON person FROM regress_authz_user;
CREATE SCHEMA regress_authz_granted_2 GRANT SELECT ON regress_authz.free TO regress_authz_user;
SET client_min_messages = error;
DROP SCHEMA regress_authz_granted, regress_authz_granted_2;
DROP SCHEMA regress_authz CASCADE;
DROP ROLE regress_authz_owner, regress_authz_user, regress_authz_other, regress_authz_root;
