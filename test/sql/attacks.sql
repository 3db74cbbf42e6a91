-- Attacks that succeeded once, each against one hole.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_attacker;
CREATE ROLE regress_authz_victim;
CREATE ROLE regress_authz_user;
GRANT authz_admin TO regress_authz_attacker, regress_authz_victim;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_user;
CREATE SCHEMA regress_authz_a AUTHORIZATION regress_authz_attacker;
CREATE SCHEMA regress_authz_v AUTHORIZATION regress_authz_victim;
CREATE SCHEMA regress_authz_shared;
GRANT ALL ON SCHEMA regress_authz_shared TO PUBLIC;
GRANT USAGE ON SCHEMA regress_authz_v, regress_authz_a TO PUBLIC;

-- A literal whose input runs code, read later by an event trigger that runs as a superuser.
SET ROLE regress_authz_attacker;
CREATE FUNCTION regress_authz_a.pwn(int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'code runs as %', CASE WHEN current_setting('is_superuser')::boolean THEN 'superuser' ELSE current_user END;
	RETURN true;
END
$$;
CREATE DOMAIN regress_authz_a.dom AS int CHECK (regress_authz_a.pwn(VALUE));
CREATE TYPE regress_authz_a.pair AS (a regress_authz_a.dom, b int);
CREATE TABLE regress_authz_a.x (id int, ids regress_authz_a.dom[]);
SELECT authz.create_policy('p', 'regress_authz_a.x', '{select}', 'id = ANY (''{1}''::regress_authz_a.dom[])');
SELECT authz.create_policy('p', 'regress_authz_a.x', '{select}', '(''(1,1)''::regress_authz_a.pair).b = id');
SELECT authz.create_policy('p', 'regress_authz_a.x', '{select}', 'id IN (SELECT unnest(CAST(''{1}'' AS regress_authz_a.dom[])))');
RESET ROLE;
SET SESSION AUTHORIZATION regress_authz_attacker;
SELECT authz.create_policy('p', 'regress_authz_a.x', '{select}', 'ids = ''{1}''');
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM authz.policy WHERE relation = 'regress_authz_a.x'::regclass;

-- A view of somebody else in a condition does not shed his policies.
SET ROLE regress_authz_victim;
CREATE TABLE regress_authz_v.secret AS SELECT 'secret ' || i AS body FROM generate_series(1, 3) i;
SELECT authz.protect('regress_authz_v.secret');
CREATE VIEW regress_authz_v.v AS SELECT * FROM regress_authz_v.secret;
GRANT SELECT ON regress_authz_v.v TO regress_authz_attacker;
SET ROLE regress_authz_attacker;
SELECT count(*) FROM regress_authz_v.v;
CREATE TABLE regress_authz_a.bait AS SELECT 1 AS id;
CREATE FUNCTION regress_authz_a.leak(text) RETURNS boolean LANGUAGE plpgsql STABLE COST 0.001 AS $$ BEGIN RAISE WARNING 'leaked %', $1; RETURN true; END $$;
SELECT authz.create_policy('p', 'regress_authz_a.bait', '{select}', 'EXISTS (SELECT FROM regress_authz_v.v WHERE regress_authz_a.leak(body))', '{anonymous}');
SELECT authz.protect('regress_authz_a.bait');
SELECT count(*) FROM regress_authz_a.bait;

-- A function that fits the call better than the one that was meant.
RESET ROLE;
CREATE FUNCTION regress_authz_shared.ok(anyelement) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
SET ROLE regress_authz_victim;
CREATE TABLE regress_authz_v.doc AS SELECT 1 AS id;
SELECT authz.create_policy('p', 'regress_authz_v.doc', '{select}', 'regress_authz_shared.ok(id)', '{anonymous}');
SELECT authz.protect('regress_authz_v.doc');
GRANT SELECT ON regress_authz_v.doc TO regress_authz_user;
SET ROLE regress_authz_user;
SELECT count(*) FROM regress_authz_v.doc;
CREATE FUNCTION regress_authz_shared.ok(int) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
\c -
SET ROLE regress_authz_user;
SELECT count(*) FROM regress_authz_v.doc;
DROP FUNCTION regress_authz_shared.ok(int);
\c -
\set VERBOSITY terse
SET client_min_messages = warning;
SET ROLE regress_authz_user;
SELECT count(*) FROM regress_authz_v.doc;

-- A truncate trigger that never fires.
SET ROLE regress_authz_victim;
CREATE OR REPLACE TRIGGER authz_truncate BEFORE TRUNCATE ON regress_authz_v.doc FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION authz.guard_truncate();
CREATE OR REPLACE TRIGGER authz_truncate BEFORE DELETE ON regress_authz_v.doc FOR EACH STATEMENT EXECUTE FUNCTION authz.guard_truncate();

-- Rights that would outlive their owner, in a plan for a part that does not name the whole.
CREATE TABLE regress_authz_v.lookup AS SELECT 1 AS id;
CREATE TABLE regress_authz_v.whole (id int) PARTITION BY LIST (id);
CREATE TABLE regress_authz_v.piece PARTITION OF regress_authz_v.whole FOR VALUES IN (1);
INSERT INTO regress_authz_v.whole VALUES (1);
SELECT authz.create_policy('p', 'regress_authz_v.whole', '{select}', 'EXISTS (SELECT FROM regress_authz_v.lookup)', '{anonymous}');
SELECT authz.protect('regress_authz_v.whole');
GRANT SELECT ON regress_authz_v.piece TO regress_authz_user;
SET ROLE regress_authz_user;
SET plan_cache_mode = force_generic_plan;
PREPARE piece AS SELECT count(*) FROM regress_authz_v.piece;
EXECUTE piece;
RESET ROLE;
ALTER TABLE regress_authz_v.whole OWNER TO regress_authz_attacker;
SET ROLE regress_authz_user;
EXECUTE piece;
RESET plan_cache_mode;

-- Settings of the caller do not change what a condition says.
RESET ROLE;
CREATE TABLE regress_authz_v.note AS SELECT * FROM (VALUES (0, 'z'), (1, E'a\\b'), (2, 'x'), (3, 'y')) v(id, note);
GRANT SELECT ON regress_authz_v.note TO regress_authz_user;
SELECT authz.create_policy('all', 'regress_authz_v.note', '{select}', roles => '{anonymous}');
SELECT authz.create_policy('slash', 'regress_authz_v.note', '{select}', $$note = E'a\\b'$$, '{anonymous}', effect => 'forbid');
SELECT authz.create_policy('null', 'regress_authz_v.note', '{select}', $$note = ANY ('{x,NULL}') AND id > 1$$, '{anonymous}', effect => 'forbid');
SELECT authz.protect('regress_authz_v.note');
SET ROLE regress_authz_user;
SELECT id FROM regress_authz_v.note ORDER BY 1;
\c -
\set VERBOSITY terse
SET client_min_messages = error;
SET ROLE regress_authz_user;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET array_nulls = off;
SET DateStyle = 'German';
SELECT id FROM regress_authz_v.note ORDER BY 1;
RESET ALL;
SET client_min_messages = warning;

-- History skips no change, however one comes by the row.
RESET ROLE;
SELECT authz.create_role('x'), authz.create_role('y'), authz.create_role('z');
SET SESSION AUTHORIZATION regress_authz_attacker;
SELECT authz.policy_version() AS before \gset
INSERT INTO authz.role_inheritance (role, inherits) VALUES ('x', 'y');
UPDATE authz.role_inheritance SET inherits = 'z' WHERE role = 'x';
INSERT INTO authz.role_inheritance (role, inherits) VALUES ('x', 'y');
SELECT operation, name FROM authz.policy_history WHERE version > :before ORDER BY version;
RESET SESSION AUTHORIZATION;

-- A failing SET that never reaches the setting itself is a failing SET.
SELECT authz.assume('ann', '{x}');
SET authz.token = 'a', 'b';
SELECT authz.subject();
RESET authz.token;

DROP SCHEMA regress_authz_a, regress_authz_v, regress_authz_shared CASCADE;
DELETE FROM authz.role_inheritance WHERE role = 'x';
SELECT authz.drop_role('x'), authz.drop_role('y'), authz.drop_role('z');
REVOKE ALL ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) FROM regress_authz_user;
DROP ROLE regress_authz_attacker, regress_authz_victim, regress_authz_user;
