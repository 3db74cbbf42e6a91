-- Attacks on how masked views come into plans: SQL functions that are inlined,
-- calls of the extension's own functions by hand where core simplifies a query
-- as if it were another, is_masked in odd places, masks that are other columns,
-- views above masked views, plans that outlive what they were made for.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user LOGIN;
CREATE ROLE regress_authz_other;
CREATE SCHEMA masks_attacks AUTHORIZATION regress_authz_owner;
GRANT USAGE, CREATE ON SCHEMA masks_attacks TO regress_authz_user, regress_authz_other;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user, regress_authz_other;
SELECT authz.create_role(r) FROM unnest('{hr,lead,clerk}'::text[]) r;

SET search_path = masks_attacks;
CREATE PROCEDURE act_as(subject text, roles text[] DEFAULT '{}', attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;
-- hr sees all, lena her own department's, carl no value but what masks leave of it.
\set hr 'CALL act_as(\'hr\', \'{hr}\');'
\set lena 'CALL act_as(\'lena\', \'{lead}\', \'{"dept": 1}\');'
\set carl 'CALL act_as(\'carl\', \'{clerk}\');'

SET ROLE regress_authz_owner;
CREATE TABLE staff (id int PRIMARY KEY, dept int NOT NULL, email text, salary int, twice int GENERATED ALWAYS AS (salary * 2) STORED);
INSERT INTO staff SELECT i, i % 3, 'person' || i || '@example.org', i * 10 FROM generate_series(1, 6) i;
SELECT authz.protect('staff');
SELECT authz.create_policy('all', 'staff', '{select,insert,delete}');
SELECT authz.create_policy('update', 'staff', '{update}', columns => '{dept,email}');
SELECT authz.create_mask('staff', c, 'clear', '{hr}', priority => 1) FROM unnest('{email,salary}'::name[]) c;
SELECT authz.create_mask('staff', c, 'clear', '{lead}', 'dept = authz.attr_bigint(''dept'')', 2) FROM unnest('{email,salary}'::name[]) c;
SELECT authz.create_mask('staff', 'email', 'email', '{clerk}', priority => 3);
SELECT authz.create_masked_view('staff', 'people');
GRANT SELECT, INSERT, UPDATE, DELETE ON people TO regress_authz_user, regress_authz_other;
-- One with many columns, which nobody may read; and one with one column, which all may.
DO $$
BEGIN
	EXECUTE format('CREATE TABLE wide (%s)', (SELECT string_agg(format('c%s boolean', i), ', ') FROM generate_series(1, 300) i));
END
$$;
CREATE TABLE narrow (id int);
INSERT INTO narrow VALUES (1), (2);
SELECT authz.protect(t) FROM unnest('{wide,narrow}'::regclass[]) t;
SELECT authz.create_policy('some', 'wide', '{select}', 'c10 AND c40 AND c300');
SELECT authz.create_policy('all', 'narrow', '{select}');
GRANT SELECT ON narrow TO regress_authz_user;
SET ROLE regress_authz_user;

--
-- Functions in FROM
--
:lena
CREATE FUNCTION echo(boolean) RETURNS TABLE (value boolean) LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION echo(int) RETURNS TABLE (value int) LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION twice_of(anyelement) RETURNS TABLE (a anyelement, b anyelement) LANGUAGE sql STABLE AS 'SELECT $1, $1';
CREATE FUNCTION all_people() RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT * FROM masks_attacks.people';
CREATE FUNCTION person_of(int) RETURNS SETOF people LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT p.* FROM people p WHERE p.id = $1 AND authz.is_masked(p, 'salary');
END;
SELECT p.id, e.value FROM people p, LATERAL echo(authz.is_masked(p, 'salary')) e WHERE id < 4 ORDER BY 1;
SELECT p.id, e.value, g FROM people p, LATERAL echo(p.salary) e, LATERAL generate_series(1, authz.is_masked(p, 'salary')::int) g ORDER BY 1;
SELECT p.id, t.a, t.b FROM people p, LATERAL twice_of(p.salary) t WHERE id < 4 ORDER BY 1;
SELECT (t.a).salary, (t.b).email FROM people p, LATERAL twice_of(p) t ORDER BY 1;
SELECT f.id, f.salary, authz.is_masked(f, 'salary') FROM all_people() f WHERE id < 4 ORDER BY 1;
SELECT f, authz.is_masked(f, 'salary') FROM all_people() f WHERE id < 3 ORDER BY id;
SELECT a, b, c, authz.is_masked(f, 'd') FROM all_people() WITH ORDINALITY f(a, b, c, d) WHERE a < 3 ORDER BY 1;
SELECT r.id, r.salary, r.n FROM ROWS FROM (all_people(), generate_series(1, 2)) r(id, dept, email, salary, twice, n) WHERE id < 3 ORDER BY 1;
SELECT w.id, f.id AS found, f.dept, f.salary FROM generate_series(1, 4) w(id) LEFT JOIN LATERAL person_of(w.id) f ON true ORDER BY 1;
SELECT id, (SELECT f.salary FROM person_of(p.id) f), (SELECT max(e.value) FROM echo(p.salary) e) FROM people p WHERE id < 4 ORDER BY 1;
PREPARE by_function(int) AS SELECT f.id, f.salary, authz.is_masked(f, 'salary') FROM all_people() f WHERE f.id <= $1 ORDER BY 1;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_function(2);
:carl
EXECUTE by_function(2);
CREATE OR REPLACE FUNCTION all_people() RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT p.* FROM masks_attacks.people p ORDER BY id DESC LIMIT 1';
EXECUTE by_function(6);
:hr
EXECUTE by_function(6);
DROP FUNCTION all_people();
EXECUTE by_function(6);
CREATE FUNCTION all_people() RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT * FROM masks_attacks.people';
-- One that calls itself is refused as ever; so is one that its caller may not execute.
CREATE FUNCTION endless(int) RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE OR REPLACE FUNCTION endless(int) RETURNS SETOF int LANGUAGE sql STABLE AS 'SELECT e FROM masks_attacks.endless($1 + 1) e';
\set VERBOSITY sqlstate
SELECT * FROM endless(1);
\set VERBOSITY default
REVOKE EXECUTE ON FUNCTION all_people() FROM PUBLIC;
SET ROLE regress_authz_other;
SELECT count(*) FROM all_people();
SET ROLE regress_authz_user;
-- One that changes the identity under the query that reads it is refused, and leaves no identity behind.
CREATE FUNCTION as_hr() RETURNS SETOF people LANGUAGE sql VOLATILE AS 'SELECT authz.assume(''hr'', ''{hr}''); SELECT * FROM masks_attacks.people';
:carl
SELECT a.salary, b.salary FROM people a JOIN as_hr() b USING (id) WHERE id = 1;
SELECT authz.subject();
:lena

--
-- is_masked: twice in one query it is one thing
--
SELECT authz.is_masked(p, 'salary') AS a, coalesce(authz.is_masked(p, 'salary')::text, 'all') AS b, count(*)
	FROM people p GROUP BY ROLLUP (authz.is_masked(p, 'salary')) ORDER BY 1;
SELECT authz.is_masked(p, 'salary'), count(*) FROM people p GROUP BY CUBE (authz.is_masked(p, 'salary')) HAVING authz.is_masked(p, 'salary') IS NULL;
SELECT authz.is_masked(p, 'salary'), grouping(authz.is_masked(p, 'salary')), count(*) FROM (SELECT * FROM people OFFSET 0) p
	GROUP BY GROUPING SETS ((authz.is_masked(p, 'salary')), ()) ORDER BY 2, 1;
SELECT DISTINCT ON (authz.is_masked(p, 'salary')) id, p FROM people p ORDER BY authz.is_masked(p, 'salary'), id;
SELECT id, m FROM people p, LATERAL (VALUES (authz.is_masked(p, 'salary')), (authz.is_masked(p, 'email'))) v(m) WHERE id < 3 ORDER BY 1, 2;
SELECT id, count(*) FILTER (WHERE authz.is_masked(p, 'salary')) OVER (PARTITION BY authz.is_masked(p, 'salary')) FROM people p ORDER BY 1;
CREATE TABLE seen (id int PRIMARY KEY, salary int, masked boolean);
INSERT INTO seen SELECT id, salary, authz.is_masked(p, 'salary') FROM people p WHERE id < 3
	ON CONFLICT (id) DO UPDATE SET salary = (SELECT max(salary) FROM people) RETURNING *;
INSERT INTO seen VALUES (1), (3) ON CONFLICT (id) DO UPDATE SET salary = (SELECT max(q.salary) FROM people q WHERE authz.is_masked(q, 'salary')) RETURNING *;
MERGE INTO seen s USING people p ON s.id = p.id WHEN MATCHED AND authz.is_masked(p, 'salary') THEN UPDATE SET salary = p.salary, masked = authz.is_masked(p, 'salary')
	WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (p.id, p.salary, authz.is_masked(p, 'salary'));
SELECT * FROM seen ORDER BY id;
UPDATE seen SET salary = p.salary FROM people p WHERE p.id = seen.id AND NOT authz.is_masked(p, 'salary') RETURNING seen.id, seen.salary, p.email, authz.is_masked(p, 'email');
CREATE RULE log AS ON DELETE TO seen DO ALSO INSERT INTO seen SELECT OLD.id + 100, p.salary, authz.is_masked(p, 'salary') FROM people p WHERE p.id = OLD.id;
DELETE FROM seen USING people p WHERE p.id = seen.id AND authz.is_masked(p, 'salary') AND p.id = 2;
SELECT * FROM seen ORDER BY id;

--
-- By hand: where core simplifies a sub-select as if it were the query around it
--
EXPLAIN (COSTS OFF) SELECT FROM narrow x WHERE EXISTS (SELECT FROM pg_am a, pg_am b, narrow t WHERE authz.masked(t.id, 'id', t.tableoid) = x.id) OR x.id = 2;
EXPLAIN (COSTS OFF) SELECT FROM wide x WHERE EXISTS (SELECT FROM narrow t, pg_am a WHERE (authz.permits('select', t.tableoid) OR a.oid = 1) AND t.id = x.c1::int) OR x.c1;
CREATE FUNCTION asked(oid) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT authz.permits(''select'', $1)';
CREATE FUNCTION shown(int, oid) RETURNS int LANGUAGE sql STABLE AS 'SELECT authz.masked($1, ''id'', $2)';
EXPLAIN (COSTS OFF) SELECT FROM wide x WHERE EXISTS (SELECT FROM narrow t, pg_am a WHERE (asked(t.tableoid) OR a.oid = 1) AND t.id = x.c1::int) OR x.c1;
EXPLAIN (COSTS OFF) SELECT FROM pg_am x WHERE EXISTS (SELECT FROM pg_am a, pg_am b, pg_am c, staff t WHERE shown(t.salary, t.tableoid) = x.oid::int) OR x.oid = 1;
-- The same as a session's first statement: there the library is loaded while it is planned.
SELECT session_user AS superuser \gset
\c - regress_authz_user
SELECT count(*) FROM masks_attacks.narrow x WHERE EXISTS (SELECT FROM pg_am a, pg_am b, pg_am c, pg_am d, masks_attacks.narrow t WHERE authz.masked(t.id, 'id', t.tableoid) = x.id) OR x.id = 2;
\c - regress_authz_user
EXPLAIN (COSTS OFF) SELECT FROM pg_am x WHERE EXISTS (SELECT FROM pg_am a, pg_am b, masks_attacks.staff t WHERE authz.masked(t.id, 'id', t.tableoid) = x.oid::int) OR x.oid = 1;
\c - regress_authz_user
EXPLAIN (COSTS OFF) SELECT FROM masks_attacks.wide x WHERE EXISTS (SELECT FROM masks_attacks.narrow t, pg_am a WHERE (authz.permits('select', t.tableoid) OR a.oid = 1) AND t.id = x.c1::int) OR x.c1;
\c - :superuser
SET search_path = masks_attacks;
SET ROLE regress_authz_user;

--
-- A mask that is another column is no clear key: one row would be written for another
--
SET ROLE regress_authz_owner;
CREATE TABLE swapped (id int PRIMARY KEY, alias int NOT NULL UNIQUE, note text);
INSERT INTO swapped VALUES (1, 2, 'same'), (2, 1, 'same');
SELECT authz.protect('swapped');
SELECT authz.create_policy('all', 'swapped', '{select,update,delete}');
SELECT authz.create_mask('swapped', 'id', 'swapped.alias');
SELECT authz.create_masked_view('swapped', 'swapped_ids', '{id,note}'), authz.create_masked_view('swapped', 'swapped_all');
GRANT SELECT, UPDATE, DELETE ON swapped_ids, swapped_all TO regress_authz_user;
SET ROLE regress_authz_user;
:carl
SELECT id, note, authz.is_masked(s, 'id') FROM swapped_ids s ORDER BY 1;
UPDATE swapped_ids SET note = 'of 1' WHERE id = 1;
DELETE FROM swapped_ids WHERE id = 1;
-- By the other unique column it is known.
UPDATE swapped_all SET note = 'of 1' WHERE id = 1 RETURNING *;

--
-- Views above a masked view: their checks and defaults
--
:hr
CREATE VIEW first_dept AS SELECT id, dept, email, salary FROM people WHERE dept = 1 WITH LOCAL CHECK OPTION;
ALTER VIEW first_dept ALTER salary SET DEFAULT 99;
INSERT INTO first_dept VALUES (10, 1, 'ten@example.org', 100);
INSERT INTO first_dept (id, dept) VALUES (11, 1) RETURNING *;
INSERT INTO first_dept (id, dept) VALUES (12, 2);
WITH w AS (INSERT INTO first_dept VALUES (13, 2)) SELECT;
UPDATE first_dept SET dept = 2 WHERE id = 10;
UPDATE first_dept SET salary = 1 WHERE id = 10;
SELECT id, dept, email, salary FROM people WHERE id > 6 ORDER BY id;
DELETE FROM first_dept WHERE id > 9;

--
-- The plans of writes: one for each user and rights, whatever is alike
--
CREATE PROCEDURE send_back(ids int[]) LANGUAGE plpgsql AS $$
DECLARE
	n int;
BEGIN
	UPDATE masks_attacks.people SET email = email, salary = salary, dept = dept WHERE id = ANY (ids);
	GET DIAGNOSTICS n = ROW_COUNT;
	UPDATE masks_attacks.people SET email = 'e' || id WHERE id = ANY (ids);
	RAISE NOTICE '% and % rows', n, (SELECT count(*) FROM masks_attacks.people p WHERE p.id = ANY (ids) AND p.email = 'e' || p.id);
	UPDATE masks_attacks.people SET salary = 1 WHERE id = ANY (ids);
EXCEPTION WHEN insufficient_privilege THEN
	RAISE NOTICE '%', SQLERRM;
END
$$;
CALL send_back('{1,2}');
:lena
CALL send_back('{1,2}');
:carl
CALL send_back('{1,2}');
CALL act_as('nobody');
CALL send_back('{1,2}');
SET ROLE regress_authz_other;
CALL send_back('{1,2}');
:hr
CALL send_back('{1,2}');
SET ROLE regress_authz_owner;
REVOKE UPDATE ON people FROM regress_authz_other;
SET ROLE regress_authz_other;
CALL send_back('{1,2}');
RESET ROLE;
SELECT * FROM staff WHERE id < 3 ORDER BY id;

-- Triggers of the table that keep the rows of a statement.
SET ROLE regress_authz_owner;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% of % rows', TG_OP, (SELECT count(*) FROM affected);
	RETURN NULL;
END
$$;
CREATE TRIGGER tell AFTER UPDATE ON staff REFERENCING NEW TABLE AS affected FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER tell_of_new AFTER INSERT ON staff REFERENCING NEW TABLE AS affected FOR EACH STATEMENT EXECUTE FUNCTION tell();
SET ROLE regress_authz_user;
:hr
UPDATE people SET email = 'x' WHERE id < 4;
WITH a AS (INSERT INTO people (id, dept) VALUES (20, 1), (21, 1)), b AS (UPDATE people SET dept = 2 WHERE id = 3) SELECT;
COPY people (id, dept) FROM STDIN;
30	1
31	1
\.
SELECT count(*) FROM people WHERE id > 6;

-- A security barrier view above a masked view: its condition decides which rows are written, before any function sees them.
SET ROLE regress_authz_owner;
DROP TRIGGER tell ON staff;
GRANT SELECT, UPDATE, DELETE ON people TO regress_authz_other;
SET ROLE regress_authz_other;
CREATE VIEW above WITH (security_barrier) AS SELECT id, dept FROM people WHERE id <> 1 AND dept = 1;
CREATE VIEW above_twice WITH (security_barrier) AS SELECT * FROM above WHERE id <> 4;
GRANT SELECT, UPDATE, DELETE ON above, above_twice TO regress_authz_user;
SET ROLE regress_authz_user;
:carl
CREATE FUNCTION peek(id int) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	RAISE NOTICE 'sees %', id;
	RETURN true;
END
$$;
SELECT id, dept FROM people ORDER BY id;
BEGIN;
UPDATE above SET dept = 9 WHERE peek(id) RETURNING id;
SELECT id FROM people WHERE dept = 9;
ROLLBACK;
BEGIN;
PREPARE above_by_id AS UPDATE above_twice SET dept = 9 WHERE id < $1;
EXECUTE above_by_id (5);
DELETE FROM above_twice a USING people p WHERE peek(a.id) AND p.id = a.id RETURNING a.id;
SELECT id FROM people WHERE dept = 9;
ROLLBACK;
-- In the first statement of a session too.
\c -
SET search_path = masks_attacks;
SET ROLE regress_authz_user;
UPDATE above SET dept = 9 WHERE id = 1;
UPDATE above SET dept = 9 WHERE id = 1;

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA masks_attacks CASCADE;
SELECT authz.drop_role(r) FROM unnest('{hr,lead,clerk}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user, regress_authz_other;
REVOKE authz_admin FROM regress_authz_owner;
DROP ROLE regress_authz_owner, regress_authz_user, regress_authz_other;
