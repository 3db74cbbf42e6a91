-- A reader of a masked view learns nothing that only a clear value would tell,
-- whatever he asks.  What he must not find stands in row 3; it is put together
-- from pieces, so that no line of this file, and none of its output, may hold
-- it: not the text, and not the number.  leak() tells of all it is given.
--
-- sam sees his own team's values and is to learn of none of the others' (a
-- CASE); gus sees no value (only the mask); hr sees all, hence finds.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA masks_leak AUTHORIZATION regress_authz_owner;
GRANT USAGE, CREATE ON SCHEMA masks_leak TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role(r) FROM unnest('{hr,support}'::text[]) r;

SET search_path = masks_leak;
CREATE PROCEDURE act_as(subject text, roles text[] DEFAULT '{}', attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;
\set sam 'CALL act_as(\'sam\', \'{support}\', \'{"team": 1}\');'
\set gus 'CALL act_as(\'gus\');'
\set hr 'CALL act_as(\'hr\', \'{hr}\');'

\set word 'zebra' '-' '7731'
\set sum '7731' '0042'
SET ROLE regress_authz_owner;
CREATE DOMAIN short AS text CHECK (length(VALUE) < 20);
CREATE TABLE person (id int PRIMARY KEY, team int NOT NULL, secret text UNIQUE, pay int CONSTRAINT pay_positive CHECK (pay > 0),
	code short, note text, loud text GENERATED ALWAYS AS (upper(secret)) STORED, level int NOT NULL DEFAULT 1);
INSERT INTO person VALUES (1, 1, 'ant', 100, 'c1', 'n1'), (2, 1, 'bee', 200, 'c2', NULL),
	(3, 2, :'word', :sum, :'word', :'word'), (4, 2, 'cow', 50, 'c4', NULL), (:sum, 3, 'hidden row', 1, 'c5', 'n5');
CREATE TABLE badge (secret text UNIQUE, owner text);
INSERT INTO badge VALUES ('ant', 'cow'), (:'word', :'word'), ('cow', NULL);
CREATE INDEX ON person (lower(secret));
CREATE INDEX ON person (pay);
CREATE STATISTICS person_pay_note (mcv) ON pay, note FROM person;
SELECT authz.protect('person');
SELECT authz.create_policy('all', 'person', '{select,insert,update,delete}', 'team < 3');
SELECT authz.create_mask('person', c, 'clear', '{hr}', priority => 1) FROM unnest('{secret,pay,code,note}'::name[]) c;
SELECT authz.create_mask('person', 'secret', 'constant(''masked'')', priority => 2);
SELECT authz.create_mask('person', c, 'clear', '{support}', 'team = authz.attr_bigint(''team'')', 2) FROM unnest('{pay,code,note}'::name[]) c;
SELECT authz.create_mask('person', 'code', 'constant(''c0'')', priority => 3);
SELECT authz.create_masked_view('person', 'people');
GRANT SELECT, INSERT, UPDATE, DELETE ON people TO regress_authz_user;
ANALYZE person;

SET ROLE regress_authz_user;
CREATE FUNCTION leak(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	RAISE NOTICE 'leak: %', $1;
	RETURN true;
END
$$;
CREATE FUNCTION inlined_leak(text) RETURNS boolean LANGUAGE sql COST 0.0000001 AS 'SELECT leak($1) AND $1 IS NOT NULL';
-- What he would like to find, and what there is to find.
CREATE TABLE guess (secret text, pay int);
INSERT INTO guess VALUES (:'word', :sum), ('ant', 100), ('masked', NULL);
ANALYZE guess;
:sam

--
-- What there is to see
--
SELECT * FROM people ORDER BY id;
SELECT * FROM person;
SELECT id, authz.is_masked(p, 'secret') AS secret, authz.is_masked(p, 'pay') AS pay, authz.is_masked(p, 'note') AS note,
	authz.is_masked(p, 'loud') AS loud FROM people p ORDER BY id;
:gus
SELECT * FROM people ORDER BY id;
:hr
SELECT count(*), count(DISTINCT secret), sum(pay) > :sum AS all, bool_and(loud = upper(secret)) AS loud FROM people;
SELECT id FROM people WHERE secret = :'word' AND pay = :sum AND code = :'word' AND note LIKE 'zeb%' AND lower(loud) = :'word';

--
-- WHERE
--
:sam
SELECT id FROM people WHERE secret = :'word';
SELECT id FROM people WHERE pay = :sum;
SELECT id FROM people WHERE pay > 1000;
SELECT id FROM people WHERE NOT pay < 1000;
SELECT id FROM people WHERE pay IN (:sum, 200);
SELECT id FROM people WHERE pay = 50 OR code = :'word' OR note = :'word' OR loud = upper(:'word');
SELECT id FROM people WHERE secret BETWEEN 'x' AND 'zz';
SELECT id FROM people WHERE secret <> 'masked';
SELECT id FROM people WHERE (secret, pay) = (:'word', :sum);
SELECT id FROM people WHERE pay IS DISTINCT FROM :sum ORDER BY id;
SELECT id FROM people WHERE length(code) > 2 OR octet_length(secret) <> 6 OR pg_column_size(secret) > 10;
-- A mask that reads no column is a constant in the query: as any, it may be looked at before the policies.
SELECT id FROM people WHERE leak(secret) ORDER BY id;
SELECT id FROM people WHERE leak(pay) AND leak(code) AND leak(note) AND leak(loud) ORDER BY id;
SELECT id FROM people WHERE inlined_leak(note) ORDER BY id;
SELECT id FROM people WHERE id = 3 AND 1000 / (:sum - pay) > 0;
SELECT id FROM people WHERE id = 3 AND secret::int = 1;
SELECT id FROM people WHERE id = 3 AND note::int = 1;
-- A stored NULL and a masked one look the same; what is_masked says is no value.
SELECT id FROM people WHERE note IS NULL ORDER BY id;
SELECT id FROM people WHERE note IS NOT NULL OR pay IS NOT NULL ORDER BY id;
SELECT id FROM people p WHERE note IS NULL AND NOT authz.is_masked(p, 'note');
:gus
SELECT id FROM people WHERE note IS NULL AND pay IS NULL ORDER BY id;
SELECT id FROM people WHERE secret = :'word' OR pay > 0 OR code <> 'c0' OR leak(note) AND note > '';

--
-- LIKE, regular expressions, functions; with an index on the expression
--
:sam
SET enable_seqscan = off;
SELECT id FROM people WHERE lower(secret) = :'word';
SELECT id FROM people WHERE lower(secret) = 'cow';
SELECT id FROM people WHERE pay = 50;
SELECT max(pay), min(pay) FROM people;
RESET enable_seqscan;
SELECT id FROM people WHERE secret LIKE 'z%' OR secret ILIKE 'Z%' OR secret ~ '^z' OR secret SIMILAR TO 'z%';
SELECT id FROM people WHERE note LIKE 'z%' OR code ~ '[b-z]b' OR starts_with(note, 'z') OR position('z' in note) > 0;
SELECT DISTINCT lower(secret), upper(code), length(note), left(loud, 1) FROM people ORDER BY 1, 2, 3;

--
-- Joins with guesses, by each method
--
\set inner 'SELECT id, g.pay = :sum AS found FROM people p JOIN guess g ON p.secret = g.secret OR p.pay = g.pay ORDER BY 1, 2;'
\set equal 'SELECT id, g.pay = :sum AS found FROM people p JOIN guess g USING (pay) ORDER BY 1;'
\set left 'SELECT g.pay = :sum AS guessed, id FROM guess g LEFT JOIN people p USING (pay) ORDER BY 1, 2;'
\set full 'SELECT g.pay = :sum AS guessed, id FROM guess g FULL JOIN people p USING (pay) ORDER BY 1, 2;'
\set semi 'SELECT g.pay = :sum AS guessed FROM guess g WHERE EXISTS (SELECT FROM people p WHERE p.pay = g.pay AND p.secret = g.secret) OR g.pay IN (SELECT pay FROM people) ORDER BY 1;'
\set anti 'SELECT g.pay = :sum AS guessed FROM guess g WHERE NOT EXISTS (SELECT FROM people p WHERE p.pay = g.pay) ORDER BY 1;'
:inner
:equal
:left
:full
:semi
:anti
SET enable_hashjoin = off;
:equal
:left
:full
:semi
:anti
SET enable_mergejoin = off;
:equal
:left
:semi
:anti
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT id, g.secret FROM people p RIGHT JOIN guess g ON p.secret = g.secret AND leak(p.secret || g.pay) WHERE g.pay IS NULL ORDER BY 1;
SELECT a.id, b.id FROM people a JOIN people b ON a.secret = b.secret AND a.pay < b.pay WHERE leak(a.pay) ORDER BY 1, 2;
SELECT count(*) FROM people NATURAL JOIN guess WHERE leak(secret);
SELECT p.id, p.pay, p.secret FROM generate_series(2, 5) i LEFT JOIN people p ON p.id = i ORDER BY i;
:gus
SELECT count(*), count(p.pay) FROM people p JOIN guess g ON p.pay = g.pay OR p.secret = g.secret AND leak(p.secret);
:hr
SELECT count(*) FROM people p JOIN guess g ON p.pay = g.pay AND p.secret = g.secret;

--
-- GROUP BY, HAVING, ORDER BY, windows, DISTINCT, aggregates
--
:sam
SELECT secret, count(*) FROM people GROUP BY secret;
SELECT pay, array_agg(id ORDER BY id) FROM people GROUP BY pay ORDER BY 1;
SELECT note IS NULL, count(*), count(note) FROM people GROUP BY 1 ORDER BY 1;
SELECT team, max(pay) FROM people GROUP BY team HAVING max(pay) > 1000 OR leak(max(secret));
SELECT team FROM people GROUP BY team HAVING bool_or(pay = :sum) OR count(DISTINCT code) > 1 ORDER BY 1;
SELECT id FROM people ORDER BY pay, id;
SELECT id FROM people ORDER BY pay DESC NULLS LAST, id;
SELECT id FROM people ORDER BY secret DESC, code DESC, id;
SELECT id FROM people ORDER BY pay USING >, id LIMIT 2;
SELECT id, rank() OVER (ORDER BY secret), dense_rank() OVER (ORDER BY pay), lag(pay) OVER (ORDER BY id DESC), lead(note) OVER w,
	first_value(code) OVER w, count(*) OVER (PARTITION BY note), sum(pay) OVER (ORDER BY pay RANGE BETWEEN 100 PRECEDING AND 100 FOLLOWING)
	FROM people WINDOW w AS (ORDER BY id DESC) ORDER BY id;
SELECT DISTINCT secret, note FROM people ORDER BY 2;
SELECT DISTINCT ON (pay) pay, id FROM people ORDER BY pay, id;
SELECT DISTINCT ON (secret) id, secret FROM people ORDER BY secret, pay DESC NULLS LAST;
SELECT count(secret), count(DISTINCT secret), count(pay), sum(pay), max(pay), min(secret), max(code), string_agg(note, ','), avg(length(code)),
	count(*) FILTER (WHERE pay > 1000), percentile_disc(1) WITHIN GROUP (ORDER BY pay), mode() WITHIN GROUP (ORDER BY secret), rank(60) WITHIN GROUP (ORDER BY pay)
	FROM people;
SELECT array_agg(pay ORDER BY secret, pay), jsonb_object_agg(id, code ORDER BY note), xmlagg(xmlelement(name s, secret) ORDER BY pay) FROM people;
SELECT secret, pay, count(*) FROM people GROUP BY GROUPING SETS ((secret), (pay), ()) ORDER BY 1, 2;
SELECT secret, note, grouping(secret, note), count(*) FROM people GROUP BY CUBE (secret, note) HAVING leak(note) ORDER BY 1, 2, 3;
SELECT team, sum(pay) FROM people GROUP BY ROLLUP (team) ORDER BY 1;
:gus
SELECT count(DISTINCT secret), count(pay), max(pay), max(code), string_agg(loud, '') FROM people;
SELECT secret, pay, code, grouping(secret, pay, code), count(*) FROM people GROUP BY CUBE (secret, pay, code) ORDER BY 4;
SELECT id, rank() OVER (ORDER BY pay, secret) FROM people ORDER BY pay, secret, note, id DESC;

--
-- Set operations, sub-selects, LATERAL, common table expressions
--
:sam
SELECT secret FROM people INTERSECT SELECT secret FROM guess;
SELECT pay FROM guess INTERSECT SELECT pay FROM people ORDER BY 1;
SELECT secret FROM guess WHERE secret <> :'word' EXCEPT ALL SELECT secret FROM people;
SELECT note FROM people UNION SELECT code FROM people ORDER BY 1;
SELECT count(*) FROM (SELECT secret, pay FROM guess EXCEPT SELECT secret, pay FROM people) s;
SELECT (SELECT max(pay) FROM people), ARRAY(SELECT secret FROM people WHERE id > 2), :sum IN (SELECT pay FROM people), EXISTS (SELECT FROM people WHERE note = :'word');
SELECT :sum > ANY (SELECT pay FROM people), 1000 < ALL (SELECT pay FROM people WHERE pay IS NOT NULL);
SELECT id, (SELECT count(*) FROM people b WHERE b.pay < a.pay) FROM people a ORDER BY id;
SELECT id, (SELECT a.secret || coalesce(a.note, '?')) FROM people a ORDER BY id;
SELECT id, l.* FROM people p, LATERAL (SELECT p.pay + 1 AS more, leak(p.code)) l ORDER BY id;
SELECT g.pay = :sum AS guessed, l.id FROM guess g LEFT JOIN LATERAL (SELECT id FROM people p WHERE p.pay = g.pay AND leak(p.pay)) l ON true ORDER BY 1;
SELECT x.* FROM people p, unnest(ARRAY[p.secret, p.code]) x WHERE p.id = 3;
WITH c AS MATERIALIZED (SELECT * FROM people) SELECT id FROM c WHERE pay > 1000 OR secret = :'word' OR leak(note) AND false;
WITH c AS NOT MATERIALIZED (SELECT * FROM people) SELECT id FROM c WHERE pay > 1000 OR secret = :'word' OR note = :'word';
WITH RECURSIVE c AS (
	SELECT id, pay FROM people WHERE id = 4
	UNION
	SELECT p.id, p.pay FROM people p JOIN c ON p.id = c.id - 1 AND leak(p.pay))
SELECT id FROM c WHERE pay IS NULL ORDER BY id;
SELECT id FROM (SELECT * FROM people OFFSET 0) s WHERE leak(code) AND s.code = :'word';

--
-- Whole rows, as records, JSON and XML
--
SELECT p FROM people p ORDER BY p;
SELECT leak(p) FROM people p WHERE id = 3;
SELECT row_to_json(p) FROM people p WHERE id = 3;
SELECT to_jsonb(p) - 'id' FROM people p WHERE id = 3;
SELECT xmlforest(p.secret, p.pay, p.code) FROM people p WHERE id = 3;
SELECT query_to_xml('SELECT secret, pay, note FROM people WHERE id = 3', true, true, '');
SELECT table_to_xml('people', false, true, '')::text ~ '7731' AS found;
SELECT p::text ~ '7731', (p).loud IS NULL, p IS NOT NULL FROM people p WHERE id = 3;
SELECT count(*) FROM people a JOIN people b ON a *= b WHERE a.id >= 3;
SELECT a.id, b.id FROM people a, people b WHERE (a.secret, a.pay) = (b.secret, b.pay) OR a *= b ORDER BY 1, 2;
SELECT p.id, (p = (3, 2, 'masked', NULL, 'c0', NULL, NULL, 1)::people), p = (3, 2, :'word', :sum, :'word', :'word', upper(:'word'), 1)::people FROM people p WHERE id = 3;
SELECT jsonb_path_query_array(to_jsonb(p), '$.*') FROM people p WHERE id = 3;
SELECT row_to_json(p) IS NULL AS none FROM generate_series(5, 5) i LEFT JOIN people p ON p.id = i;

--
-- Views and functions of the reader's own, over the view
--
CREATE VIEW mine AS SELECT id, lower(secret) AS secret, pay * 2 AS twice, note FROM people WHERE leak(code);
CREATE VIEW mine_barrier WITH (security_barrier, security_invoker) AS SELECT * FROM people WHERE id > 2;
SELECT * FROM mine WHERE id = 3;
SELECT id FROM mine WHERE secret = :'word' OR twice > 1000;
SELECT id FROM mine_barrier WHERE leak(note) AND leak(secret) ORDER BY id;
CREATE FUNCTION everybody() RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT * FROM masks_leak.people';
CREATE FUNCTION pay_of(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT pay FROM masks_leak.people WHERE id = $1';
CREATE FUNCTION secret_of(people) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.secret || $1.code';
CREATE FUNCTION who_has(text, int) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT id FROM masks_leak.people WHERE secret = $1 OR pay = $2 OR note = $1;
END
$$;
CREATE FUNCTION is_there(text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	found_it boolean := EXISTS (SELECT FROM masks_leak.people WHERE code = $1);
BEGIN
	RETURN found_it OR (SELECT $1 = note FROM masks_leak.people WHERE id = 3) IS TRUE;
END
$$;
SELECT * FROM everybody() ORDER BY id;
SELECT id FROM everybody() WHERE pay > 1000 OR secret = :'word' OR leak(note) AND false;
SELECT e.id, e.pay FROM guess g LEFT JOIN everybody() e ON e.pay = g.pay ORDER BY 1;
SELECT i, pay_of(i) FROM generate_series(1, 4) i;
SELECT secret_of(p), p.secret_of FROM people p WHERE id = 3;
SELECT who_has(:'word', :sum), is_there(:'word');
SELECT is_there(:'word');
-- Planned for who sees it, run for who does not, and the other way round.
:hr
SELECT who_has(:'word', :sum), is_there(:'word'), pay_of(3) = :sum;
SELECT who_has(:'word', :sum), is_there(:'word'), pay_of(3) = :sum;
:gus
SELECT is_there(:'word'), pay_of(3);
SELECT count(*) FROM who_has(:'word', :sum);
:hr
SELECT who_has(:'word', :sum), is_there(:'word'), pay_of(3) = :sum;
:sam
SELECT count(*) FROM who_has(:'word', :sum);

--
-- Prepared statements
--
PREPARE seek(text, int) AS SELECT id FROM people WHERE secret = $1 OR pay = $2 OR note = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE seek(:'word', :sum);
:hr
EXECUTE seek(:'word', :sum);
:gus
EXECUTE seek(:'word', :sum);
SET plan_cache_mode = force_custom_plan;
EXECUTE seek(:'word', :sum);
:hr
EXECUTE seek(:'word', :sum);
:sam
EXECUTE seek(:'word', :sum);
RESET plan_cache_mode;
RESET authz.token;
EXECUTE seek(:'word', :sum);

--
-- Cursors
--
:sam
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT id, secret, pay, note FROM people ORDER BY id;
FETCH LAST FROM c;
FETCH PRIOR FROM c;
FETCH ABSOLUTE 2 FROM c;
-- The rows of one identity are not for another.
:hr
ROLLBACK;
:hr
DECLARE kept CURSOR WITH HOLD FOR SELECT id, secret FROM people;
:sam

--
-- Copies
--
COPY (SELECT * FROM people WHERE id = 3) TO STDOUT;
COPY (SELECT id FROM people WHERE secret = :'word') TO STDOUT;
COPY people TO STDOUT;
COPY person TO STDOUT;
CREATE TABLE copied AS SELECT * FROM people WHERE leak(code);
SELECT * FROM copied WHERE id = 3;
SELECT secret, pay, note INTO TEMPORARY copied_too FROM people WHERE pay IS NULL;
TABLE copied_too;
CREATE MATERIALIZED VIEW kept AS SELECT id, secret, pay FROM people;
SELECT * FROM kept WHERE id = 3;
REFRESH MATERIALIZED VIEW kept;
SELECT count(*) FROM kept WHERE pay = :sum OR secret = :'word';
MERGE INTO copied USING people ON copied.id = people.id AND leak(people.secret)
	WHEN MATCHED AND people.pay IS NULL THEN UPDATE SET secret = people.secret || people.id, pay = people.pay;
SELECT id, secret, pay FROM copied ORDER BY id;
INSERT INTO guess SELECT secret, pay FROM people WHERE id = 3 RETURNING *;

--
-- EXPLAIN
--
EXPLAIN (COSTS OFF, VERBOSE) SELECT secret, pay, note, loud FROM people WHERE code = 'c9';
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) SELECT id FROM people WHERE pay > 1000 AND leak(secret);
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, VERBOSE) SELECT max(pay), count(DISTINCT note) FROM people WHERE lower(secret) = 'cow';
:gus
EXPLAIN (COSTS OFF, VERBOSE) SELECT secret, pay, code, note, loud FROM people WHERE secret = 'masked';
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) SELECT id FROM people WHERE secret = 'cow' OR pay = 50;
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) SELECT pay, count(*) FROM people GROUP BY pay;

--
-- Statistics of the table
--
:sam
SELECT count(*) FROM pg_stats WHERE tablename IN ('person', 'people');
SELECT count(*) FROM pg_stats WHERE tablename = 'guess';
SELECT count(*) FROM pg_stats_ext WHERE tablename = 'person';
SELECT count(*) FROM pg_stats_ext_exprs WHERE tablename = 'person';
SELECT stavalues1 FROM pg_statistic LIMIT 1;
SELECT stxdmcv FROM pg_statistic_ext_data LIMIT 1;
SELECT has_table_privilege('person', 'SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRIGGER, TRUNCATE') OR has_any_column_privilege('person', 'SELECT, INSERT, UPDATE') AS any;
-- An operator of his own whose selectivity is estimated by calling it over statistics.
CREATE FUNCTION leaks_less(int, int) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	RAISE NOTICE 'leaks_less: % %', $1, $2;
	RETURN $1 < $2;
END
$$;
CREATE FUNCTION leaks_equal(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	RAISE NOTICE 'leaks_equal: % %', $1, $2;
	RETURN $1 = $2;
END
$$;
CREATE OPERATOR <<< (FUNCTION = leaks_less, LEFTARG = int, RIGHTARG = int, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR =~= (FUNCTION = leaks_equal, LEFTARG = text, RIGHTARG = text, COMMUTATOR = =~=, RESTRICT = eqsel, JOIN = eqjoinsel);
EXPLAIN (COSTS OFF) SELECT id FROM people WHERE id <<< 2 AND team <<< 2 AND pay <<< 9 AND secret =~= 'ant' AND note =~= 'n1';
EXPLAIN (COSTS OFF) SELECT id FROM people p JOIN guess g ON p.secret =~= g.secret AND p.note =~= g.secret;
SELECT id FROM people WHERE id <<< 2;
SELECT id FROM people WHERE pay <<< 9 AND secret =~= 'ant';
SELECT id FROM people p JOIN guess g ON p.note =~= g.secret WHERE g.pay = 100;
CREATE AGGREGATE told(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
SELECT told(secret ORDER BY note), told(note), told(loud) FROM people;
CREATE TYPE told_text AS (t text);
CREATE FUNCTION tell(text) RETURNS told_text LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''tell: %'', $1; RETURN ROW($1); END';
CREATE CAST (text AS told_text) WITH FUNCTION tell(text) AS IMPLICIT;
SELECT secret::told_text, note::told_text FROM people WHERE id = 3;
SELECT * FROM people TABLESAMPLE system (100);
SET row_security = off;
SELECT secret FROM people;
RESET row_security;
CREATE TRIGGER mine INSTEAD OF UPDATE ON people FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();

--
-- Writes: what they return, and what their errors say
--
\set QUIET off
BEGIN;
SELECT id, secret, pay FROM people WHERE id = 3 FOR UPDATE;
SELECT id FROM people WHERE leak(pay) AND secret = :'word' FOR SHARE;
UPDATE people SET team = 2 WHERE id = 3 RETURNING *;
UPDATE people SET note = secret WHERE id = 3 RETURNING secret, note, leak(note);
UPDATE people SET pay = pay WHERE pay > 1000 OR secret = :'word' RETURNING id;
UPDATE people p SET team = p.team FROM guess g WHERE g.pay = p.pay AND leak(p.secret) RETURNING p.id, p.secret, g.secret;
UPDATE people SET team = 2 WHERE current_setting('is_superuser') = 'off' AND id = 4 RETURNING people, leak(people);
DELETE FROM people WHERE secret = :'word' RETURNING id;
DELETE FROM people USING guess WHERE guess.pay = people.pay RETURNING people.id;
INSERT INTO people (id, team, secret, pay, code) VALUES (6, 2, 'mine', 5, 'c6') RETURNING *;
INSERT INTO people (id, team, secret, pay, code) VALUES (7, 1, 'mine too', 5, 'c6') RETURNING secret, pay, code, loud, leak(loud);
COPY people (id, team, pay) FROM STDIN;
8	2	9
\.
WITH d AS (DELETE FROM people WHERE id >= 3 RETURNING *) SELECT * FROM d ORDER BY id;
ROLLBACK;
-- hr's values are all there still, and so they are after his own writes.
:hr
SELECT count(*) FROM people WHERE secret = :'word' AND pay = :sum AND note = :'word';
:sam
BEGIN;
UPDATE people SET team = 2 WHERE id = 3;
-- Only now, written by himself, and still not shown.
UPDATE people SET pay = 5 WHERE id = 3 RETURNING pay;
ROLLBACK;
INSERT INTO people (id, team) VALUES (3, 2) ON CONFLICT (id) DO UPDATE SET note = people.secret RETURNING *;
INSERT INTO people (id, team) VALUES (3, 2) ON CONFLICT DO NOTHING;
MERGE INTO people USING guess ON people.pay = guess.pay WHEN MATCHED THEN DELETE;
-- That a value is taken is told, the row with it is not.
INSERT INTO people (id, team, secret) VALUES (9, 1, 'cow');
INSERT INTO people (id, team) VALUES (3, 1);
UPDATE people SET id = 1 WHERE id = 3;
UPDATE people SET level = NULL WHERE id = 3;
INSERT INTO people (id, team, level) VALUES (9, NULL, 1);
UPDATE people SET pay = -1 WHERE id = 3;
UPDATE people SET team = 3 WHERE id = 3;
UPDATE people SET code = repeat('x', 50) WHERE id = 3;
UPDATE people SET loud = 'x' WHERE id = 3;
\set QUIET on
SET ROLE regress_authz_owner;
ALTER TABLE person ADD CONSTRAINT person_badge FOREIGN KEY (secret) REFERENCES badge (secret) NOT VALID,
	ADD CONSTRAINT note_is_no_code CHECK (note <> code) NOT VALID, ADD CONSTRAINT one_loud EXCLUDE (loud WITH =);
ALTER TABLE badge ADD CONSTRAINT owner_is_there FOREIGN KEY (owner) REFERENCES person (secret);
SET ROLE regress_authz_user;
UPDATE people SET secret = 'no badge' WHERE id = 3;
INSERT INTO people (id, team, secret) VALUES (9, 1, 'no badge');
DELETE FROM people WHERE id = 3;
UPDATE people SET note = 'c1' WHERE id = 1;
UPDATE people SET team = 1 WHERE id = 3;
SET ROLE regress_authz_owner;
ALTER TABLE badge DROP CONSTRAINT owner_is_there;
ALTER TABLE person DROP CONSTRAINT person_badge, DROP CONSTRAINT note_is_no_code, DROP CONSTRAINT person_secret_key;
SET ROLE regress_authz_user;
UPDATE people SET secret = 'cow' WHERE id = 3;

--
-- Triggers and defaults of the table run as the caller, with his rights
--
SET ROLE regress_authz_owner;
CREATE FUNCTION best_pay() RETURNS int LANGUAGE sql STABLE AS 'SELECT max(pay) FROM masks_leak.person';
ALTER TABLE person ALTER pay SET DEFAULT best_pay();
SELECT authz.alter_masked_view('people');
SET ROLE regress_authz_user;
INSERT INTO people (id, team) VALUES (9, 1);
SET ROLE regress_authz_owner;
ALTER TABLE person ALTER pay DROP DEFAULT;
SELECT authz.alter_masked_view('people');
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% sees % of the row, % elsewhere', current_user, NEW.secret <> 'masked', (SELECT count(*) FROM masks_leak.people WHERE pay > 1000);
	RETURN NEW;
END
$$;
CREATE TRIGGER look BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION look();
SET ROLE regress_authz_user;
UPDATE people SET level = 2 WHERE id = 3 RETURNING id, secret, level;

--
-- Who owns another table with a masked view gets no rights on this one by it
--
RESET ROLE;
CREATE ROLE regress_authz_other;
GRANT authz_admin TO regress_authz_other;
GRANT USAGE, CREATE ON SCHEMA masks_leak TO regress_authz_other;
SET ROLE regress_authz_other;
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other VALUES (1);
SELECT authz.protect('other');
SELECT authz.create_policy('all', 'other', '{select,insert}', 'EXISTS (SELECT FROM masks_leak.person)');
SELECT authz.create_masked_view('other', 'others');
SELECT * FROM others;
SELECT authz.alter_policy('all', 'other', condition => 'true');
CREATE POLICY peek ON other AS RESTRICTIVE USING (leak((SELECT max(secret) FROM masks_leak.person)));
SELECT * FROM others;
INSERT INTO others VALUES (2);
DROP POLICY peek ON other;
SELECT authz.create_mask('other', 'id', '(SELECT max(pay) FROM masks_leak.person)');
SELECT * FROM others;

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA masks_leak CASCADE;
DROP TABLE copied_too;
SELECT authz.drop_role(r) FROM unnest('{hr,support}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user, regress_authz_other;
