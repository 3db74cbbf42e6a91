-- What the planner makes of a masked column: the column, the mask, or a CASE;
-- and that a plan is never used for whom, or for which masks, it was not made.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA masks_plans AUTHORIZATION regress_authz_owner;
GRANT USAGE, CREATE ON SCHEMA masks_plans TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role(r) FROM unnest('{hr,lead,clerk}'::text[]) r;

SET search_path = masks_plans;
CREATE PROCEDURE act_as(subject text, roles text[] DEFAULT '{}', attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;
-- hr sees all, lena her own department's, carl no value but what masks leave of it.
\set hr 'CALL act_as(\'hr\', \'{hr}\');'
\set lena 'CALL act_as(\'lena\', \'{lead}\', \'{"dept": 1}\');'
\set carl 'CALL act_as(\'carl\', \'{clerk}\', \'{"dept": 2}\');'

SET ROLE regress_authz_owner;
CREATE FUNCTION first_of(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT pg_catalog.left($1, 1)';
CREATE FUNCTION slow_first_of(text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS 'BEGIN RETURN left($1, 1); END';
CREATE TABLE staff (id int PRIMARY KEY, dept int NOT NULL, email text, salary int, code uuid, note text, twice int GENERATED ALWAYS AS (salary * 2) STORED);
INSERT INTO staff SELECT i, i % 10, 'person' || i || '@example.org', i * 10, md5(i::text)::uuid, 'note ' || i FROM generate_series(1, 2000) i;
CREATE INDEX staff_email ON staff (email);
CREATE INDEX staff_salary ON staff (salary);
CREATE INDEX staff_twice ON staff (twice);
CREATE TABLE visit (staff int, day int);
INSERT INTO visit SELECT i, i FROM generate_series(1990, 2009) i;
GRANT SELECT ON visit TO regress_authz_user;
SELECT authz.protect('staff');
SELECT authz.create_policy('all', 'staff', '{select,update}');
SELECT authz.create_mask('staff', c, 'clear', '{hr}', priority => 1) FROM unnest('{email,salary,code,note}'::name[]) c;
SELECT authz.create_mask('staff', c, 'clear', '{lead}', 'dept = authz.attr_bigint(''dept'')', 2) FROM unnest('{email,salary,note}'::name[]) c;
SELECT authz.create_mask('staff', 'email', 'email', '{lead}', priority => 3);
SELECT authz.create_mask('staff', 'email', 'hash', '{clerk}', priority => 4);
SELECT authz.create_mask('staff', 'salary', 'round(5000)', '{clerk}', priority => 4);
SELECT authz.create_mask('staff', 'code', 'uuid', '{clerk}', priority => 4);
SELECT authz.create_mask('staff', 'note', 'first_of(note)', '{clerk}', priority => 4);
SELECT authz.create_masked_view('staff', 'people');
GRANT SELECT, UPDATE ON people TO regress_authz_user;
RESET ROLE;
VACUUM ANALYZE staff, visit;
SET ROLE regress_authz_user;

--
-- Clear: the view's column is the column.
--
:hr
EXPLAIN (COSTS OFF) SELECT * FROM people WHERE email = 'person7@example.org';
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE salary BETWEEN 10 AND 20 AND note LIKE 'n%';
EXPLAIN (COSTS OFF) SELECT day, email FROM visit v JOIN people p ON p.id = v.staff;
EXPLAIN (COSTS OFF) SELECT day, email, salary FROM visit v LEFT JOIN people p ON p.salary = v.day WHERE v.staff = 2000;
EXPLAIN (COSTS OFF) SELECT day FROM visit v LEFT JOIN people p ON p.email = 'person' || v.day || '@example.org' AND p.salary > 10 WHERE v.staff = 2000;
EXPLAIN (COSTS OFF) SELECT id FROM people ORDER BY email LIMIT 3;
EXPLAIN (COSTS OFF) SELECT min(salary), max(twice) FROM people;
EXPLAIN (COSTS OFF) SELECT count(*) FROM people WHERE salary > 19900;
-- A join with what nobody asks for is none.
EXPLAIN (COSTS OFF) SELECT day FROM visit v LEFT JOIN people p ON p.id = v.staff;

--
-- Never: only the mask; the column is read for what it needs.
--
:carl
EXPLAIN (COSTS OFF, VERBOSE) SELECT email, salary, code, note, twice FROM people;
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE salary = 5000;
EXPLAIN (COSTS OFF) SELECT day, salary FROM visit v LEFT JOIN people p ON p.id = v.staff;
EXPLAIN (COSTS OFF) SELECT min(salary) FROM people;
CALL act_as('nobody');
EXPLAIN (COSTS OFF, VERBOSE) SELECT id, email, salary FROM people ORDER BY email;
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE email = 'x';
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE email IS NULL;
RESET authz.token;
EXPLAIN (COSTS OFF) SELECT id, email FROM people;

--
-- By row: a CASE.
--
:lena
EXPLAIN (COSTS OFF, VERBOSE) SELECT email, salary, twice, code FROM people;
EXPLAIN (COSTS OFF) SELECT email FROM people WHERE salary > 100 AND id < 10;
EXPLAIN (COSTS OFF, VERBOSE) SELECT day, salary FROM visit v LEFT JOIN people p ON p.id = v.staff;
SELECT day, id, salary, email FROM visit v LEFT JOIN people p ON p.id = v.staff WHERE day IN (1990, 1991, 2001) ORDER BY 1;
-- Who has more roles sees the better of both.
CALL act_as('both', '{lead,hr}', '{"dept": 1}');
EXPLAIN (COSTS OFF) SELECT email FROM people WHERE salary = 10;
CALL act_as('both', '{lead,clerk}', '{"dept": 1}');
EXPLAIN (COSTS OFF, VERBOSE) SELECT email, salary FROM people;

--
-- What is constant is folded; what is stable is not; what is volatile, of the reader's, runs for each row.
--
SET ROLE regress_authz_owner;
SELECT authz.create_mask('staff', 'dept', 'constant(1 + 1)', '{clerk}');
SELECT authz.create_mask('staff', 'dept', 'clear', priority => 200);
SELECT authz.alter_mask('staff', 'salary', 'authz.attr_bigint(''dept'')::int * 100', priority => 4);
SET ROLE regress_authz_user;
:carl
EXPLAIN (COSTS OFF, VERBOSE) SELECT dept, salary FROM people WHERE dept = 2;
EXPLAIN (COSTS OFF) SELECT * FROM people WHERE dept = 3;
PREPARE stable_mask AS SELECT dept, salary, count(*) FROM people GROUP BY 1, 2;
SET plan_cache_mode = force_generic_plan;
EXECUTE stable_mask;
CALL act_as('cora', '{clerk}', '{"dept": 7}');
EXECUTE stable_mask;
SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = 'stable_mask';
RESET plan_cache_mode;
CREATE SEQUENCE calls;
SELECT count(*) FROM people WHERE dept + nextval('calls') > 0 AND id <= 10;
SELECT count(DISTINCT dept + nextval('calls')) FROM people WHERE id <= 10;
SET ROLE regress_authz_owner;
SELECT authz.drop_mask('staff', 'dept'), authz.drop_mask('staff', 'dept', 200);
SELECT authz.alter_mask('staff', 'salary', 'round(5000)', priority => 4);
SET ROLE regress_authz_user;

--
-- Pseudonyms: in plans for everybody, by hand for nobody.
--
:carl
EXPLAIN (COSTS OFF, VERBOSE) SELECT email, code FROM people WHERE email = 'x';
SELECT count(DISTINCT email), count(DISTINCT code), bool_and(email ~ '^[0-9a-f]{16}$'), bool_or(email = 'person1@example.org') FROM people;
SELECT count(*) FROM people a JOIN people b USING (email);
SELECT authz.pseudonym('person1@example.org', 16);
SELECT authz.pseudonym(email, 16) FROM people LIMIT 1;
SELECT authz.pseudonym('00000000-0000-0000-0000-000000000000');
SELECT authz.mask_hash('person1@example.org');
CREATE OPERATOR ### (FUNCTION = authz.pseudonym, LEFTARG = text, RIGHTARG = int);
SELECT 'person1@example.org' ### 16;
CREATE AGGREGATE pseudonym_of(int) (SFUNC = authz.pseudonym, STYPE = text, INITCOND = 'person1@example.org');
SELECT pseudonym_of(16);
SELECT pseudonym_of(i) FROM generate_series(16, 16) i;
CREATE FUNCTION my_pseudonym(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT authz.pseudonym($1, 16)';
SELECT my_pseudonym('person1@example.org') = email FROM people WHERE id = 1;
SELECT count(*) FROM people WHERE authz.pseudonym('person' || id || '@example.org', 16) = email;

--
-- Masks that call functions: inlined ones, and ones that no parallel worker may run.
--
EXPLAIN (COSTS OFF, VERBOSE) SELECT note FROM people WHERE note = 'n';
EXPLAIN (COSTS OFF) SELECT note, count(*) FROM people GROUP BY note;

--
-- Parallel plans
--
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
\set digest 'SELECT md5(string_agg(p::text, \',\' ORDER BY id)) AS digest FROM people p'
:hr
:digest \gset hr_
:lena
:digest \gset lena_
:carl
:digest \gset carl_
EXPLAIN (COSTS OFF) SELECT count(DISTINCT email), max(salary), min(note), count(*) FROM people WHERE salary >= 0;
:lena
EXPLAIN (COSTS OFF) SELECT salary, count(*) FROM people WHERE email LIKE 'p%' GROUP BY salary HAVING count(*) > 7;
SET force_parallel_mode = on;
SELECT count(*), count(salary), sum(salary), count(DISTINCT email) FROM people WHERE email LIKE 'p%';
SELECT count(*) FROM people p WHERE authz.is_masked(p, 'salary');
:digest \gset parallel_lena_
:hr
:digest \gset parallel_hr_
SELECT count(*), count(salary), sum(salary), count(DISTINCT email) FROM people WHERE email LIKE 'p%';
:carl
:digest \gset parallel_carl_
SELECT count(*), count(salary), sum(salary), count(DISTINCT email) FROM people;
SELECT :'hr_digest' = :'parallel_hr_digest' AS hr, :'lena_digest' = :'parallel_lena_digest' AS lena, :'carl_digest' = :'parallel_carl_digest' AS carl,
	:'hr_digest' <> :'lena_digest' AND :'lena_digest' <> :'carl_digest' AND :'hr_digest' <> :'carl_digest' AS differ;
RESET force_parallel_mode;
SET ROLE regress_authz_owner;
SELECT authz.alter_mask('staff', 'note', 'slow_first_of(note)', priority => 4);
SET ROLE regress_authz_user;
EXPLAIN (COSTS OFF, VERBOSE) SELECT note FROM people WHERE salary >= 0;
SELECT DISTINCT note FROM people;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

--
-- Partitions: pruned by a key that is clear; the masks are those of the whole, whatever the order of columns.
--
SET ROLE regress_authz_owner;
CREATE TABLE event (id int, dept int, text text, cost int) PARTITION BY LIST (dept);
CREATE TABLE event_1 (dropped int, cost int, text text, dept int, id int);
ALTER TABLE event_1 DROP COLUMN dropped;
ALTER TABLE event ATTACH PARTITION event_1 FOR VALUES IN (1);
CREATE TABLE event_2 PARTITION OF event FOR VALUES IN (2);
INSERT INTO event VALUES (1, 1, 'one', 10), (2, 2, 'two', 20);
SELECT authz.protect('event');
SELECT authz.create_policy('all', 'event', '{select}');
SELECT authz.create_mask('event', 'text', 'clear', '{hr}', priority => 1);
SELECT authz.create_mask('event', 'text', 'partial(1, 0)', priority => 2);
SELECT authz.create_mask('event', 'cost', 'clear', '{lead}', 'dept = authz.attr_bigint(''dept'')');
SELECT authz.create_mask('event', 'dept', 'clear', '{hr,lead}');
SELECT authz.create_masked_view('event', 'events'), authz.create_masked_view('event_1', 'events_1');
GRANT SELECT ON events, events_1 TO regress_authz_user;
SET ROLE regress_authz_user;
:lena
EXPLAIN (COSTS OFF) SELECT * FROM events WHERE dept = 2;
SELECT * FROM events ORDER BY id;
SELECT *, authz.is_masked(e, 'cost'), authz.is_masked(e, 'text') FROM events_1 e;
CALL act_as('lars', '{lead}', '{"dept": 2}');
SELECT * FROM events ORDER BY id;
SELECT * FROM events_1;
:carl
EXPLAIN (COSTS OFF) SELECT * FROM events WHERE dept = 2;
EXPLAIN (COSTS OFF) SELECT id, dept FROM events ORDER BY dept;
SELECT * FROM events ORDER BY id;

--
-- is_masked: of rows of a masked view, however they come
--
:lena
CREATE TABLE wanted (id int, name text);
INSERT INTO wanted VALUES (1, 'own'), (2, 'not own'), (0, 'nobody');
CREATE VIEW nested AS SELECT id, salary AS pay, email FROM people;
CREATE VIEW nested_twice WITH (security_barrier) AS SELECT n.pay, n.id, 'x' AS salary, lower(email) AS email FROM nested n;
SELECT w.name, p.id, authz.is_masked(p, 'salary') FROM wanted w JOIN people p USING (id) ORDER BY 2;
SELECT w.name, authz.is_masked(p, 'salary') FROM wanted w LEFT JOIN people p USING (id) ORDER BY w.id;
SELECT w.name, authz.is_masked(p, 'code') FROM people p RIGHT JOIN wanted w ON w.id = p.id ORDER BY w.id;
SELECT w.name, authz.is_masked(p, 'id') FROM (SELECT * FROM people WHERE id < 3) p FULL JOIN wanted w ON w.id = p.id ORDER BY w.id;
SELECT a.id, authz.is_masked(a, 'salary') AS a, authz.is_masked(b, 'salary') AS b FROM people a JOIN people b ON b.id = a.id + 1 WHERE a.id < 3 ORDER BY 1;
SELECT authz.is_masked(p, 'salary'), authz.is_masked(p, 'twice'), count(*), count(salary) FROM people p GROUP BY 1, 2 ORDER BY 1;
SELECT count(*) FILTER (WHERE authz.is_masked(p, 'salary')), bool_or(authz.is_masked(p, 'id')) FROM people p;
SELECT DISTINCT authz.is_masked(n, 'pay') FROM nested n ORDER BY 1;
SELECT DISTINCT authz.is_masked(n, 'pay') FROM nested_twice n ORDER BY 1;
SELECT authz.is_masked(s, 'salary') FROM (SELECT salary FROM people WHERE id = 2 OFFSET 0) s;
SELECT (SELECT authz.is_masked(p, 'salary')) FROM people p WHERE id = 2;
SELECT name FROM wanted w WHERE EXISTS (SELECT FROM people p WHERE p.id = w.id AND authz.is_masked(p, 'salary'));
SELECT w.id, l.masked FROM wanted w, LATERAL (SELECT authz.is_masked(p, 'salary') AS masked FROM people p WHERE p.id = w.id) l ORDER BY 1;
SELECT id FROM people p WHERE id < 5 ORDER BY authz.is_masked(p, 'salary'), id;
SELECT id, rank() OVER (ORDER BY authz.is_masked(p, 'salary')) FROM people p WHERE id < 4 ORDER BY id;
WITH c AS (SELECT id, authz.is_masked(p, 'salary') AS masked FROM people p WHERE id < 3) SELECT * FROM c ORDER BY id;
SELECT id, authz.is_masked(p, 'salary') FROM people p WHERE id < 3 UNION ALL SELECT 0, NULL ORDER BY id;
EXPLAIN (COSTS OFF, VERBOSE) SELECT id, authz.is_masked(p, 'salary') FROM people p;
:hr
EXPLAIN (COSTS OFF, VERBOSE) SELECT id, authz.is_masked(p, 'salary') FROM people p;
:lena
SELECT authz.is_masked('people', 'salary', '{"id": 1}'), authz.is_masked('people', 'salary', '{"id": 2}'), authz.is_masked('people', 'salary', '{"id": 0}');
-- The row itself, beside the answer about it.
SELECT p, authz.is_masked(p, 'salary') FROM people p WHERE id = 2;
SELECT to_jsonb(p) ->> 'id' AS id, (SELECT count(*) FROM jsonb_object_keys(to_jsonb(p))) AS columns FROM (SELECT * FROM people OFFSET 0) p
	WHERE authz.is_masked(p, 'salary') AND id < 4 ORDER BY 1;
SELECT w.name, p IS NULL AS none, authz.is_masked(p, 'salary') FROM wanted w LEFT JOIN people p USING (id) ORDER BY w.id;
BEGIN;
UPDATE people p SET dept = 1 WHERE authz.is_masked(p, 'salary') AND id = 2 RETURNING id, dept, salary;
ROLLBACK;
-- A column is called as the query calls it.
SELECT s.b, authz.is_masked(s, 'id'), authz.is_masked(s, 'b') FROM (SELECT id, salary FROM people WHERE id < 3) s(b, id) ORDER BY 1;
SELECT DISTINCT authz.is_masked(t, 'b') FROM (SELECT s.b FROM (SELECT id AS salary, salary FROM people) s(a, b)) t ORDER BY 1;
-- In a function that is inlined.
CREATE FUNCTION masked_ids() RETURNS TABLE (id int, masked boolean) LANGUAGE sql STABLE AS
	'SELECT p.id, authz.is_masked(p, ''salary'') FROM masks_plans.people p';
SELECT * FROM masked_ids() WHERE id < 3 ORDER BY id;
-- Where no row of a masked view is in reach, it is refused rather than guessed.
SELECT authz.is_masked(u, 'salary') FROM (SELECT salary FROM people UNION SELECT 1) u;
WITH c AS (SELECT * FROM people) SELECT authz.is_masked(c, 'salary') FROM c LIMIT 1;
SELECT authz.is_masked(s, 'salary') FROM (SELECT DISTINCT salary FROM people) s;
SELECT authz.is_masked(s, 'salary') FROM (SELECT max(salary) AS salary FROM people) s;
SELECT authz.is_masked(n, 'email') FROM nested_twice n LIMIT 1;
SELECT authz.is_masked(p, 'nothing') FROM people p LIMIT 1;
SELECT authz.is_masked(w, 'id') FROM wanted w LIMIT 1;
SELECT authz.is_masked(ROW(1), 'f1');
SELECT authz.is_masked(p, w.name) FROM people p, wanted w;
SELECT authz.masked(id, 'id', tableoid) FROM wanted;
SELECT authz.masked(1, 'id', 1259);
UPDATE people p SET dept = dept WHERE id = 1 RETURNING authz.is_masked(p, 'salary');

--
-- Prepared statements are planned again when a mask changes, also in this transaction.
--
PREPARE look(int) AS SELECT id, salary, authz.is_masked(p, 'salary') AS masked FROM people p WHERE id <= $1 ORDER BY id;
CREATE FUNCTION look_of(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT salary FROM masks_plans.people WHERE id = $1); END';
SET plan_cache_mode = force_generic_plan;
EXECUTE look(2);
SELECT look_of(1), look_of(2);
BEGIN;
SET ROLE regress_authz_owner;
SELECT authz.alter_mask('staff', 'salary', 'constant(1)', priority => 2);
SET ROLE regress_authz_user;
EXECUTE look(2);
SELECT look_of(1), look_of(2);
SET ROLE regress_authz_owner;
SELECT authz.alter_mask('staff', 'salary', enabled => false, priority => 2);
SET ROLE regress_authz_user;
EXECUTE look(2);
SELECT look_of(1), look_of(2);
SAVEPOINT s;
SET ROLE regress_authz_owner;
SELECT authz.drop_mask('staff', 'salary', p) FROM unnest('{1,2,4}'::int[]) p;
SET ROLE regress_authz_user;
EXECUTE look(2);
ROLLBACK TO s;
EXECUTE look(2);
ROLLBACK;
EXECUTE look(2);
SELECT look_of(1), look_of(2);
:hr
EXECUTE look(1);
EXPLAIN (COSTS OFF) EXECUTE look(1);
RESET authz.token;
EXECUTE look(1);
RESET plan_cache_mode;

--
-- The first statement of a session, which is what loads the library, over a masked view
--
RESET ROLE;
SELECT authz.map_login('regress_authz_user', 'logged in'), authz.grant_role('logged in', 'clerk');
GRANT CREATE ON SCHEMA masks_plans TO regress_authz_user;
SET ROLE regress_authz_user;
CREATE FUNCTION everybody() RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT * FROM masks_plans.people UNION ALL SELECT * FROM masks_plans.people';
\c -
SET SESSION AUTHORIZATION regress_authz_user;
SELECT salary, note, twice FROM masks_plans.people WHERE salary = 15000 AND note = 'n' AND id = 1500;
\c -
SET SESSION AUTHORIZATION regress_authz_user;
SELECT v.day, p.salary FROM masks_plans.visit v LEFT JOIN masks_plans.people p ON p.id = v.staff WHERE v.day IN (2000, 2001) ORDER BY 1;
\c -
SET SESSION AUTHORIZATION regress_authz_user;
SELECT salary, count(*) FROM masks_plans.everybody() WHERE note = 'n' GROUP BY salary ORDER BY 1;
\c -
SET SESSION AUTHORIZATION regress_authz_user;
-- is_masked needs the library before it is planned: 40001, and it works when it is run again.
SELECT id, authz.is_masked(p, 'salary'), authz.is_masked(p, 'id') AS id FROM masks_plans.people p WHERE id = 1;
SELECT id, authz.is_masked(p, 'salary'), authz.is_masked(p, 'id') AS id FROM masks_plans.people p WHERE id = 1;
\c -
SET SESSION AUTHORIZATION regress_authz_user;
PREPARE q AS SELECT id, authz.is_masked(p, 'salary') FROM masks_plans.people p WHERE id = 1;
EXECUTE q;
EXECUTE q;
\c -
SET SESSION AUTHORIZATION regress_authz_user;
SELECT authz.is_masked('masks_plans.people', 'salary', '{"id": 1}');
SELECT authz.is_masked('masks_plans.people', 'salary', '{"id": 1}');
\c -
SET SESSION AUTHORIZATION regress_authz_user;
UPDATE masks_plans.people SET salary = salary WHERE id = 1 RETURNING id, salary;
\c -

SET client_min_messages = warning;
SELECT authz.unmap_login('regress_authz_user'), authz.revoke_role('logged in', 'clerk');
DROP SCHEMA masks_plans CASCADE;
SELECT authz.drop_role(r) FROM unnest('{hr,lead,clerk}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user;
