-- DDL that would break a policy or the protection of a table is refused, and says why.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT authz.create_role('clerk');
CREATE SCHEMA regress_authz;
CREATE SCHEMA regress_authz_more;
SET search_path = regress_authz;
CREATE TABLE doc (id int, tenant int, title text);
CREATE TABLE regress_authz_more.member (tenant int, who text, since date);
CREATE VIEW boss AS SELECT 'ann'::text AS who;
CREATE FUNCTION good(int) RETURNS boolean LANGUAGE sql STABLE RETURN $1 > 0;
CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 = $2;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same);
CREATE TYPE mood AS ENUM ('sad', 'happy');
SELECT authz.protect('doc');
SELECT authz.create_policy('column', 'doc', '{select}', 'tenant = 1');
SELECT authz.create_policy('lookup', 'doc', '{select}', 'EXISTS (SELECT FROM regress_authz_more.member m WHERE m.tenant = doc.tenant AND m.who = ''x'')');
SELECT authz.create_policy('view', 'doc', '{select}', '''bob'' IN (SELECT who FROM boss)');
SELECT authz.create_policy('function', 'doc', '{select}', 'good(id)');
SELECT authz.create_policy('operator', 'doc', '{update}', 'true', check_condition => 'id === 1');
SELECT authz.create_policy('type', 'doc', '{select}', '''happy''::mood = ''happy''');
SELECT authz.create_policy('limit', 'doc', '{update}', columns => '{title}');

\set VERBOSITY default
ALTER TABLE doc DROP COLUMN tenant;
\set VERBOSITY terse
ALTER TABLE doc ALTER COLUMN tenant TYPE text;
ALTER TABLE doc DROP COLUMN title;
DROP TABLE regress_authz_more.member;
ALTER TABLE regress_authz_more.member DROP COLUMN who;
DROP SCHEMA regress_authz_more CASCADE;
DROP VIEW boss;
DROP FUNCTION good(int);
ALTER FUNCTION good(int) VOLATILE;
CREATE OR REPLACE FUNCTION good(int) RETURNS boolean LANGUAGE sql VOLATILE RETURN random() > 0;
DROP OPERATOR === (int, int);
DROP FUNCTION same(int, int) CASCADE;

-- What breaks nothing is let through.
ALTER TABLE doc ADD COLUMN extra int;
ALTER TABLE doc RENAME COLUMN extra TO more;
ALTER TABLE doc DROP COLUMN more;
ALTER TABLE doc ALTER COLUMN tenant TYPE bigint;
ALTER TABLE regress_authz_more.member RENAME COLUMN since TO first_day;
ALTER TABLE doc RENAME TO document;
ALTER TABLE document SET SCHEMA regress_authz_more;
ALTER TABLE regress_authz_more.document SET SCHEMA regress_authz;
ALTER TABLE document RENAME TO doc;
CREATE INDEX ON doc (tenant);
CREATE OR REPLACE FUNCTION good(int) RETURNS boolean LANGUAGE sql STABLE RETURN $1 > 1;
SELECT count(*) FROM authz.policy WHERE relation = 'doc'::regclass;

-- Columns of a table change with those of its type or parent, and what a column holds with the type of that.
CREATE TYPE shape AS (secret text, other text);
CREATE TABLE typed OF shape;
CREATE TABLE parent (secret text, other text);
CREATE TABLE middle () INHERITS (parent);
CREATE TABLE child () INHERITS (middle);
CREATE TABLE holder (id int, shapes shape[]);
SET client_min_messages = error;
SELECT authz.protect('typed'), authz.protect('parent'), authz.protect('child'), authz.protect('holder');
SET client_min_messages = warning;
SELECT authz.create_mask('typed', 'secret', 'null'), authz.create_mask('child', 'secret', 'null');
SELECT authz.create_policy('other', 'child', '{select}', 'other = ''a''');
ALTER TYPE shape DROP ATTRIBUTE secret CASCADE;
ALTER TABLE parent ALTER COLUMN other TYPE int USING 1;
ALTER TYPE shape RENAME ATTRIBUTE other TO known CASCADE;
SELECT authz.create_policy('shape', 'holder', '{select}', '(shapes[1]).known = ''a''');
ALTER TYPE shape ADD ATTRIBUTE more int CASCADE;
DROP TABLE typed, child, middle, parent, holder;
DROP TYPE shape;

-- Row security stays as authz.protect made it, whoever asks.
ALTER TABLE doc DISABLE ROW LEVEL SECURITY;
ALTER TABLE doc NO FORCE ROW LEVEL SECURITY;
CREATE POLICY anybody ON doc USING (true);
ALTER POLICY authz_select ON doc USING (true);
ALTER POLICY authz_select ON doc TO CURRENT_USER;
ALTER POLICY authz_select ON doc RENAME TO other;
DROP POLICY authz_delete ON doc;
SET session_replication_role = replica;
ALTER TABLE doc DISABLE ROW LEVEL SECURITY;
RESET session_replication_role;
-- A restrictive policy takes away only.
CREATE POLICY less ON doc AS RESTRICTIVE USING (id < 10);
DROP POLICY less ON doc;

-- An open door cannot be attached either.
CREATE TABLE part (id int) PARTITION BY LIST (id);
SELECT authz.protect('part');
CREATE TABLE part_1 (id int);
CREATE POLICY anybody ON part_1 USING (true);
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES IN (1);

-- A policy dropped in the same transaction is in nobody's way.
BEGIN;
SELECT authz.drop_policy('function', 'doc');
DROP FUNCTION good(int);
ROLLBACK;
BEGIN;
SELECT authz.alter_policy('column', 'doc', condition => 'id = 1');
SELECT authz.drop_policy('lookup', 'doc');
ALTER TABLE doc DROP COLUMN tenant;
ROLLBACK;

-- A dropped table takes its policies along, and history knows its name.
DROP TABLE doc;
SELECT operation, relation, name FROM authz.policy_history WHERE relation = 'regress_authz.doc' AND operation = 'drop' ORDER BY version DESC LIMIT 8;
SELECT count(*) FROM authz.policy;
DROP SCHEMA regress_authz, regress_authz_more CASCADE;
SELECT count(*) FROM authz.protected_table;
SELECT authz.drop_role('clerk');
