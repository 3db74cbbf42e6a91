-- Plans: good ones, kept as long as they are right, and never used when they are not.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA rows_plans AUTHORIZATION regress_authz_owner;
GRANT USAGE, CREATE ON SCHEMA rows_plans TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role(r) FROM unnest('{tenant,group,auditor}'::text[]) r;

SET search_path = rows_plans;
CREATE PROCEDURE act_as(subject text, roles text[], attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;

SET ROLE regress_authz_owner;
CREATE TABLE note (id int PRIMARY KEY, tenant bigint NOT NULL, body text);
INSERT INTO note SELECT i, i % 1000, 'note ' || i FROM generate_series(1, 5000) i;
CREATE INDEX note_tenant_idx ON note (tenant);
CREATE TABLE tag (note int, text text);
INSERT INTO tag SELECT i, 'tag ' || i FROM generate_series(1, 5000) i;
CREATE INDEX tag_note_idx ON tag (note);
GRANT ALL ON note, tag TO regress_authz_user;
SELECT authz.protect('note');
SELECT authz.create_policy('own', 'note', '{select,insert,update,delete}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
SELECT authz.create_policy('of a group', 'note', '{select}', 'tenant = ANY (authz.attr_bigint_array(''tenants''))', '{group}');
SELECT authz.create_policy('all', 'note', '{select}', roles => '{auditor}');
RESET ROLE;
VACUUM ANALYZE note, tag;
SET ROLE regress_authz_user;

--
-- Each role has a plan of its own, as if written by hand.
--
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
EXPLAIN (COSTS OFF) SELECT * FROM note;
EXPLAIN (COSTS OFF) SELECT count(*) FROM note WHERE body LIKE 'x%';
EXPLAIN (COSTS OFF) SELECT * FROM note WHERE id = 7;
EXPLAIN (COSTS OFF) UPDATE note SET body = 'x';
EXPLAIN (COSTS OFF) DELETE FROM note WHERE id = 1;
EXPLAIN (COSTS OFF) INSERT INTO note VALUES (0, 0);
EXPLAIN (COSTS OFF) SELECT text FROM note JOIN tag ON note.id = tag.note;
SELECT text FROM note JOIN tag ON note.id = tag.note ORDER BY 1 LIMIT 2;
CALL act_as('gina', '{group}', '{"tenants": [1, 2, 3]}');
EXPLAIN (COSTS OFF) SELECT * FROM note;
SELECT tenant, count(*) FROM note GROUP BY 1 ORDER BY 1;
CALL act_as('anna', '{tenant,group}', '{"tenant": 9, "tenants": [1, 2, 3]}');
EXPLAIN (COSTS OFF) SELECT * FROM note;
SELECT tenant, count(*) FROM note GROUP BY 1 ORDER BY 1;
-- Whoever sees all needs no filter, whatever other roles he has.
CALL act_as('eve', '{auditor}');
EXPLAIN (COSTS OFF) SELECT * FROM note;
CALL act_as('eve', '{auditor,tenant}', '{"tenant": 1}');
EXPLAIN (COSTS OFF) SELECT * FROM note;
SELECT count(*) FROM note;
-- Whoever sees nothing reads nothing.
RESET authz.token;
EXPLAIN (COSTS OFF) SELECT * FROM note;
EXPLAIN (COSTS OFF) SELECT * FROM note JOIN tag ON note.id = tag.note;
EXPLAIN (COSTS OFF) SELECT tag.note, note.id FROM tag LEFT JOIN note ON note.id = tag.note WHERE tag.note < 3;
EXPLAIN (COSTS OFF) UPDATE note SET body = 'x';
EXPLAIN (COSTS OFF) DELETE FROM note;
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS) SELECT count(*) FROM note;

--
-- Prepared statements: the plan is kept for other tenants and made anew for other roles.
--
SET plan_cache_mode = force_generic_plan;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
PREPARE counted(int) AS SELECT count(*), min(id), min(tenant) FROM note WHERE id > $1;
EXECUTE counted(1000);
EXPLAIN (COSTS OFF) EXECUTE counted(1000);
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
EXECUTE counted(1000);
CALL act_as('carol', '{tenant}');
EXECUTE counted(1000);
CALL act_as('eve', '{auditor}');
EXECUTE counted(1000);
EXPLAIN (COSTS OFF) EXECUTE counted(1000);
CALL act_as('gina', '{group}', '{"tenants": [1, 2, 3]}');
EXECUTE counted(1000);
RESET authz.token;
EXECUTE counted(1000);
EXPLAIN (COSTS OFF) EXECUTE counted(1000);
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
EXECUTE counted(1000);
SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = 'counted';
SET plan_cache_mode = force_custom_plan;
EXECUTE counted(1000);
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
EXECUTE counted(1000);
CALL act_as('eve', '{auditor}');
EXECUTE counted(1000);
RESET authz.token;
EXECUTE counted(1000);
RESET plan_cache_mode;
-- An identity that ends with its transaction or savepoint.
BEGIN;
SELECT authz.assume('alice', '{tenant}', '{"tenant": 1}', is_local => true);
EXECUTE counted(0);
SAVEPOINT s;
CALL act_as('eve', '{auditor}');
EXECUTE counted(0);
ROLLBACK TO s;
EXECUTE counted(0);
COMMIT;
EXECUTE counted(0);
-- Writes.
PREPARE changed(int) AS UPDATE note SET body = 'changed' WHERE id = $1 RETURNING id, tenant;
PREPARE added(int, bigint) AS INSERT INTO note VALUES ($1, $2, 'added') RETURNING id;
SET plan_cache_mode = force_generic_plan;
BEGIN;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
EXECUTE changed(1);
EXECUTE changed(2);
EXECUTE added(6001, 1);
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
EXECUTE changed(1);
EXECUTE changed(2);
EXECUTE added(6002, 2);
SAVEPOINT s;
EXECUTE added(6003, 1);
ROLLBACK TO s;
CALL act_as('eve', '{auditor}');
EXECUTE changed(1);
EXECUTE added(6003, 1);
ROLLBACK;
-- A policy that changes, also in the same transaction, and one whose change is rolled back.
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
EXECUTE counted(0);
SET ROLE regress_authz_owner;
BEGIN;
SELECT authz.alter_policy('own', 'note', condition => 'tenant = authz.attr_bigint(''tenant'') AND id > 3000');
EXECUTE counted(0);
SAVEPOINT s;
SELECT authz.drop_policy('own', 'note');
EXECUTE counted(0);
ROLLBACK TO s;
EXECUTE counted(0);
ROLLBACK;
EXECUTE counted(0);
SELECT authz.disable_policy('own', 'note');
EXECUTE counted(0);
SELECT authz.enable_policy('own', 'note');
EXECUTE counted(0);
RESET plan_cache_mode;
SET ROLE regress_authz_user;
DEALLOCATE ALL;

--
-- A plan that was made before the roles changed is refused, one for the same roles is not: all statements
-- of an SQL function are planned before the first one runs.
--
CREATE FUNCTION become(subject text, role text, attributes jsonb) RETURNS bigint LANGUAGE sql AS $$
	SELECT authz.assume(subject, ARRAY[role], attributes);
	SELECT count(*) FROM rows_plans.note;
$$;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
SELECT become('bob', 'tenant', '{"tenant": 2}');
\set VERBOSITY sqlstate
SELECT become('eve', 'auditor', '{}');
\set VERBOSITY default
SELECT become('eve', 'auditor', '{}');
SELECT authz.subject(), count(*) FROM note;
CALL act_as('eve', '{auditor}');
SELECT become('eve', 'auditor', '{}');
SELECT become('alice', 'tenant', '{"tenant": 1}');
CALL act_as('eve', '{auditor}'); SELECT count(*) FROM note; CALL act_as('bob', '{tenant}', '{"tenant": 2}'); SELECT count(*) FROM note;
SELECT count(*) FROM note \; CALL act_as('eve', '{auditor}') \; SELECT count(*) FROM note;

--
-- SQL functions, inlined and not; with the rights of the caller and of the owner
--
CREATE FUNCTION inlined() RETURNS SETOF note LANGUAGE sql STABLE AS 'SELECT * FROM rows_plans.note';
CREATE FUNCTION not_inlined() RETURNS SETOF note LANGUAGE sql VOLATILE AS 'SELECT * FROM rows_plans.note';
CREATE FUNCTION parsed() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM note; END;
SET ROLE regress_authz_owner;
CREATE FUNCTION as_definer() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT count(*) FROM rows_plans.note';
SET ROLE regress_authz_user;
PREPARE by_functions AS SELECT (SELECT count(*) FROM inlined()) AS inlined, (SELECT count(*) FROM not_inlined()) AS not_inlined,
	parsed(), as_definer();
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) SELECT * FROM inlined();
EXECUTE by_functions;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
EXPLAIN (COSTS OFF) SELECT * FROM inlined();
EXECUTE by_functions;
CALL act_as('gina', '{group}', '{"tenants": [1, 2, 3]}');
EXECUTE by_functions;
RESET authz.token;
EXECUTE by_functions;
EXPLAIN (COSTS OFF) SELECT * FROM inlined();
DEALLOCATE by_functions;

--
-- PL/pgSQL: plans that a session keeps
--
CREATE FUNCTION counting() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	m bigint := 0;
	r record;
BEGIN
	SELECT count(*) INTO n FROM note;
	FOR r IN SELECT id FROM note LOOP
		m := m + 1;
	END LOOP;
	RETURN CASE WHEN n = m AND n = (SELECT count(*) FROM note) THEN n END;
END
$$;
SET plan_cache_mode = force_generic_plan;
SELECT counting();
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
SELECT counting();
CALL act_as('eve', '{auditor}');
SELECT counting();
CALL act_as('gina', '{group}', '{"tenants": [1, 2]}');
SELECT counting();
RESET authz.token;
SELECT counting();
RESET plan_cache_mode;
-- One function, several people.
DO $$
DECLARE
	n bigint;
	r record;
BEGIN
	FOR r IN VALUES ('alice', 'tenant', '{"tenant": 1}'::jsonb), ('eve', 'auditor', '{}'), ('bob', 'tenant', '{"tenant": 2}') LOOP
		PERFORM authz.assume(r.column1, ARRAY[r.column2], r.column3);
		SELECT count(*) INTO n FROM note;
		RAISE NOTICE '%: % rows', authz.subject(), n;
	END LOOP;
END
$$;
-- But not within a loop over what one of them sees.
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT id FROM note ORDER BY id LOOP
		RAISE NOTICE '% sees %', authz.subject(), r.id;
		PERFORM authz.assume('alice', '{tenant}', '{"tenant": 1}');
	END LOOP;
END
$$;
SELECT count(*) FROM note;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
SELECT id, authz.assume('alice', '{tenant}', '{"tenant": 1}') FROM note;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
SELECT id, authz.logout() FROM note;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
-- A query does not depend on what a function in it sees.
SELECT count(*) FROM note WHERE counting() = 5;

--
-- Cursors
--
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, tenant FROM note ORDER BY id;
FETCH 2 FROM c;
-- Nobody else may go on reading with it.
SAVEPOINT s;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
ROLLBACK TO s;
SET LOCAL authz.token = '';
ROLLBACK TO s;
SELECT authz.logout();
ROLLBACK TO s;
-- After a failed attempt neither does he.
FETCH 2 FROM c;
ROLLBACK TO s;
CLOSE c;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
DECLARE c CURSOR FOR SELECT id, tenant FROM note ORDER BY id;
FETCH 2 FROM c;
COMMIT;
-- A RESET cannot be refused: the cursor is not read any more, even if its plan has no filter.
CALL act_as('eve', '{auditor}');
BEGIN;
DECLARE c CURSOR FOR SELECT id, tenant FROM note ORDER BY id;
FETCH 1 FROM c;
SAVEPOINT s;
RESET authz.token;
SELECT count(*) FROM note;
ROLLBACK TO s;
FETCH 1 FROM c;
ROLLBACK;
CALL act_as('eve', '{auditor}');
BEGIN;
DECLARE c CURSOR FOR SELECT id, tenant FROM note ORDER BY id;
FETCH 1 FROM c;
RESET ALL;
SET search_path = rows_plans;
FETCH 1 FROM c;
ROLLBACK;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
-- Held over the end of its transaction, it would outlive the identity; more in cursor.sql.
DECLARE held CURSOR WITH HOLD FOR SELECT id, tenant FROM note ORDER BY id;
-- One that read nothing protected is nobody's.
DECLARE held CURSOR WITH HOLD FOR SELECT count(*) FROM tag;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
FETCH 1 FROM held;
CLOSE held;

-- WHERE CURRENT OF: what the cursor sees is not yet what may be changed.
SET ROLE regress_authz_owner;
SELECT authz.create_policy('keep', 'note', '{update,delete}', 'id < 1000', effect => 'forbid');
SET ROLE regress_authz_user;
\set QUIET off
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, tenant FROM note ORDER BY id FOR READ ONLY;
CLOSE c;
DECLARE c CURSOR FOR SELECT id, tenant FROM note WHERE tenant = 2;
FETCH 1 FROM c;
UPDATE note SET body = 'x' WHERE CURRENT OF c RETURNING id;
DELETE FROM note WHERE CURRENT OF c RETURNING id;
FETCH 1 FROM c;
UPDATE note SET body = 'x' WHERE CURRENT OF c RETURNING id;
EXPLAIN (COSTS OFF) UPDATE note SET body = 'x' WHERE CURRENT OF c;
SAVEPOINT s;
UPDATE note SET tenant = 1 WHERE CURRENT OF c;
ROLLBACK TO s;
DELETE FROM note WHERE CURRENT OF c RETURNING id;
FETCH 1 FROM c;
DELETE FROM note WHERE CURRENT OF c RETURNING id;
SELECT id FROM note ORDER BY id;
ROLLBACK;
-- An auditor's cursor changes nothing.
CALL act_as('eve', '{auditor}');
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM note WHERE id > 2000;
FETCH 1 FROM c;
UPDATE note SET body = 'x' WHERE CURRENT OF c;
DELETE FROM note WHERE CURRENT OF c;
ROLLBACK;
\set QUIET on

-- Called by hand, permits is never executed, and decides about the row at hand if it can.
SELECT authz.permits('select', 'note'::regclass);
SELECT authz.permits('select', 1259);
SELECT count(*) FROM note WHERE authz.permits('select', tableoid);
SELECT count(*) FROM tag WHERE authz.permits('select', tableoid);
SELECT count(*) FROM note WHERE authz.permits('rule', tableoid);

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA rows_plans CASCADE;
SELECT authz.drop_role(r) FROM unnest('{tenant,group,auditor}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user;
