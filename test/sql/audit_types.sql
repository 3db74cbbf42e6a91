-- DDL on a type changes values in tables that it does not name: each audited one says on its trail that there was some.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA regress_authz;
SET search_path = regress_authz;
CREATE SEQUENCE seen;
SELECT setval('seen', (SELECT coalesce(max(id), 0) FROM authz.audit_log) + 1, false) > 0 AS ready;
-- What was recorded since the last look: of DDL, tables and how often.
CREATE FUNCTION since() RETURNS TABLE (action text, relations text) LANGUAGE plpgsql AS $$
DECLARE
	last bigint := (SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - 1 END FROM regress_authz.seen s);
BEGIN
	RETURN QUERY SELECT r.action, string_agg(r.name, ' ' ORDER BY r.name COLLATE "C") FROM (
			SELECT l.action, replace(l.relation, 'regress_authz.', '') || CASE WHEN count(*) > 1 THEN ' x ' || count(*) ELSE '' END AS name
			FROM authz.audit_log l WHERE l.id > last GROUP BY l.action, l.relation) r
		GROUP BY r.action ORDER BY r.action COLLATE "C";
	PERFORM setval('regress_authz.seen', greatest(last, (SELECT max(l.id) FROM authz.audit_log l)));
END $$;

CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN feeling AS mood;
CREATE TYPE moods AS RANGE (subtype = mood);
CREATE TYPE pair AS (a int, b text, m mood);
CREATE DOMAIN pair_of AS pair CHECK ((VALUE).a > 0);
CREATE TYPE wide AS (p pair, q int);
CREATE TABLE source (a int, b text);
CREATE VIEW source_view AS SELECT a, b FROM source;
CREATE SCHEMA regress_authz_types;
CREATE TYPE regress_authz_types.far AS ENUM ('here', 'there');
-- What is made of a mood, of a pair, of a row of a table or of a view, of none of them.
CREATE TABLE moody (id int PRIMARY KEY, m mood);
CREATE TABLE moody_array (id int PRIMARY KEY, m mood[]);
CREATE TABLE moody_domain (id int PRIMARY KEY, m feeling);
CREATE TABLE moody_domains (id int PRIMARY KEY, m feeling[]);
CREATE TABLE moody_range (id int PRIMARY KEY, m moods);
CREATE TABLE paired (id int PRIMARY KEY, p pair);
CREATE TABLE paired_array (id int PRIMARY KEY, p pair[]);
CREATE TABLE paired_domain (id int PRIMARY KEY, p pair_of);
CREATE TABLE paired_wide (id int PRIMARY KEY, p wide);
CREATE TABLE rows_of_table (id int PRIMARY KEY, r source);
CREATE TABLE rows_of_view (id int PRIMARY KEY, r source_view[]);
CREATE TABLE parted (id int PRIMARY KEY, m mood) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE TABLE farther (id int PRIMARY KEY, f regress_authz_types.far);
CREATE TABLE plain (id int PRIMARY KEY, t text, n int[]);
CREATE TABLE unaudited (id int PRIMARY KEY, m mood, p pair, r source);
SELECT count(authz.audit(c.oid)) FROM pg_class c
	WHERE c.relnamespace = 'regress_authz'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT IN ('source', 'unaudited');
SELECT * FROM since();

-- A value by another name.
INSERT INTO moody VALUES (1, 'bad');
ALTER TYPE mood RENAME VALUE 'bad' TO 'sad';
UPDATE moody SET m = 'good';
SELECT * FROM since();
-- Why it was bad when it came and sad when it went is on the trails, as table "moody" was altered between.
SELECT action, old_values, new_values FROM authz.audit_trail('moody', '{"id": 1}');
-- Attributes by another name, gone, new.
ALTER TYPE pair RENAME ATTRIBUTE b TO bb;
SELECT * FROM since();
ALTER TYPE pair DROP ATTRIBUTE bb;
SELECT * FROM since();
ALTER TYPE wide ADD ATTRIBUTE r int;
SELECT * FROM since();
-- The row type of a table that is not audited itself; of a view.
ALTER TABLE source ADD COLUMN c int;
SELECT * FROM since();
ALTER TABLE source RENAME c TO cc;
SELECT * FROM since();
ALTER TABLE source DROP COLUMN cc;
SELECT * FROM since();
ALTER VIEW source_view RENAME COLUMN b TO bb;
SELECT * FROM since();
-- What changes no value of a table with records: other types, domains' rules.
CREATE TYPE idle AS ENUM ('a');
ALTER TYPE idle RENAME VALUE 'a' TO 'b';
ALTER DOMAIN pair_of DROP CONSTRAINT pair_of_check;
ALTER TABLE unaudited ADD COLUMN x int;
SELECT * FROM since();
-- Rolled back: it was not.
BEGIN;
ALTER TYPE mood RENAME VALUE 'sad' TO 'bad';
ROLLBACK;
SELECT * FROM since();

-- Columns that go with their type; attributes that do, of a type that stays (paired_wide).
DROP DOMAIN feeling CASCADE;
SELECT * FROM since();
DROP TYPE pair CASCADE;
SELECT * FROM since();
DROP TYPE mood CASCADE;
SELECT * FROM since();
DROP SCHEMA regress_authz_types CASCADE;
SELECT * FROM since();
DROP TABLE source CASCADE;
SELECT * FROM since();
-- They are audited as before.
INSERT INTO moody VALUES (2);
INSERT INTO paired VALUES (2);
INSERT INTO parted VALUES (2);
SELECT * FROM since();
SELECT count(*) FILTER (WHERE complete) = count(*) AS all_complete, count(*) FROM authz.audited_table WHERE active;
-- What needs a column refuses that its type goes; tables that go with it leave one record each.
CREATE TYPE level AS ENUM ('secret');
CREATE TABLE kept (id int PRIMARY KEY, l level);
SELECT authz.audit('kept', exclude_columns => '{l}');
DROP TYPE level CASCADE;
ALTER TYPE level RENAME VALUE 'secret' TO 'known';
SELECT * FROM since();
DROP SCHEMA regress_authz CASCADE;
SELECT action, count(*), count(DISTINCT relation) FROM authz.audit_log
	WHERE transaction_id = (SELECT transaction_id FROM authz.audit_log ORDER BY id DESC LIMIT 1) GROUP BY action;
RESET search_path;
