-- Values and tables as large, deep, wide and composed as PostgreSQL allows: recorded as they are, or by length and SHA-256.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA regress_authz;
SET search_path = regress_authz, public;
SELECT coalesce(max(id), 0) AS before FROM authz.audit_log \gset
CREATE TABLE before AS SELECT :before::bigint AS b;
CREATE VIEW recorded AS SELECT id, relation, action, key, old_values, new_values FROM authz.audit_log WHERE id > (SELECT min(b) FROM before) ORDER BY id;
CREATE VIEW last AS SELECT * FROM recorded ORDER BY id DESC LIMIT 1;
-- What a record of a value has that did not fit.
CREATE FUNCTION digest(value text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('length', octet_length(value), 'sha256', encode(sha256(convert_to(value, 'UTF8')), 'hex')) $$;

-- Larger than a string in jsonb can be (256 MB): in characters of two bytes, beside a small one, as part of a row that is changed.
CREATE TABLE large (id int PRIMARY KEY, small text, t text);
SELECT authz.audit('large');
INSERT INTO large VALUES (1, 'small', repeat('äx', 90 * 1024 * 1024));
SELECT octet_length(t) > 268435455 AS larger FROM large;
SELECT to_jsonb(t) FROM large;
SELECT action, key, new_values - 't' AS rest, new_values -> 't' -> 'length' AS length, new_values -> 't' = digest(t) AS same FROM last, large;
UPDATE large SET small = 'changed';
SELECT action, old_values, new_values FROM last;
DELETE FROM large;
SELECT action, old_values - 't' AS rest, old_values -> 't' -> 'length' AS length FROM last;
-- Arrays, composites, domains and jsonb that are too large have a digest of what is stored: another for another value.
CREATE DOMAIN letters AS text;
CREATE TYPE pair AS (a letters, b int);
CREATE TABLE composed (id int PRIMARY KEY, p pair[], j jsonb);
SELECT authz.audit('composed');
INSERT INTO composed VALUES (1, ARRAY[ROW(repeat('x', 130 * 1024 * 1024), 1)::pair]);
SELECT new_values - 'p' AS rest, (new_values -> 'p' -> 'length')::int > 130 * 1024 * 1024 AS length, new_values -> 'p' ->> 'sha256' ~ '^[0-9a-f]{64}$' AS sha256 FROM last;
INSERT INTO composed SELECT 2, p FROM composed;
INSERT INTO composed SELECT 3, ARRAY[ROW(repeat('x', 130 * 1024 * 1024), 2)::pair];
SELECT count(*), count(DISTINCT new_values -> 'p') AS different FROM recorded WHERE relation = 'regress_authz.composed' AND action = 'insert';
DELETE FROM composed WHERE id > 1;
UPDATE composed SET p = NULL, j = jsonb_build_object('k', repeat('z', 130 * 1024 * 1024));
SELECT new_values -> 'p' AS p, (new_values -> 'j' -> 'length')::int > 130 * 1024 * 1024 AS length FROM last;

-- Deep: far deeper than anybody writes, in objects and arrays, changed at the bottom.
CREATE TABLE deep (id int PRIMARY KEY, j jsonb);
SELECT authz.audit('deep');
INSERT INTO deep VALUES (1, (repeat('[', 6000) || 1 || repeat(']', 6000))::jsonb), (2, (repeat('{"a":', 6000) || 1 || repeat('}', 6000))::jsonb);
UPDATE deep SET j = (repeat('{"a":', 6000) || 2 || repeat('}', 6000))::jsonb WHERE id = 2;
SELECT r.action, d.id, r.new_values -> 'j' = d.j AS same, r.new_values -> 'j' #>> array_fill('a'::text, ARRAY[6000]) AS bottom,
	length(r.new_values::text) > 12000 AS can_be_read
FROM recorded r JOIN deep d ON r.relation = 'regress_authz.deep' AND r.key = jsonb_build_object('id', d.id) ORDER BY r.id;

-- Composed: six dimensions, other bounds, domains over arrays over composites with domains, NULL at every place, nothing in it.
CREATE DOMAIN pairs AS pair[];
CREATE TYPE nest AS (name text, pairs pairs, more int[], one pair);
CREATE DOMAIN nests AS nest[] CHECK (cardinality(VALUE) < 10);
CREATE TYPE nothing AS ();
CREATE TABLE composite (id int PRIMARY KEY, six int[], bounds int[], empty text[], n nests, o nest, nil nothing, moods letters[], m int4multirange, v tsvector, b bytea[]);
SELECT authz.audit('composite');
INSERT INTO composite VALUES (1, '{{{{{{1,2}}}},{{{{3,NULL}}}}}}', '[5:6][-1:0]={{1,2},{3,4}}', '{}',
	ARRAY[ROW('n', ARRAY[ROW('a"\', 1)::pair, NULL, ROW(NULL, NULL)::pair]::pairs, '{1,NULL}', ROW('b', 2)::pair)::nest, NULL],
	ROW(NULL, NULL, NULL, NULL), ROW(), '{x,NULL,"NULL",""}', '{[1,3),[5,7)}', 'a:1 b:2A', '{"\\x00","\\xff"}');
SELECT e.key, e.value FROM last, jsonb_each(new_values) e ORDER BY e.key COLLATE "C";
-- The type gets another attribute meanwhile.
ALTER TYPE pair ADD ATTRIBUTE c date;
UPDATE composite SET o.one = ROW('c', 3, '2026-02-03');
SELECT old_values, new_values FROM last;
ALTER TYPE pair DROP ATTRIBUTE b;
UPDATE composite SET o.name = 'x';
SELECT old_values, new_values FROM last;

-- Wide: as many columns as a table can have; all, some, none of them, some dropped; a key of 32 columns.
\set ECHO none
SELECT format('CREATE TABLE wide (%s)', string_agg(format('c%s %s', i, (ARRAY['bool', 'int2', '"char"', 'int'])[i % 4 + 1]), ', ')) FROM generate_series(1, 1600) i \gexec
SELECT format('CREATE FUNCTION is_same(w wide, r jsonb) RETURNS boolean LANGUAGE sql AS $f$ SELECT bool_and(r -> e.key = e.value) AND count(*) = (SELECT count(*) FROM jsonb_object_keys(r)) FROM jsonb_each(to_jsonb(w)) e $f$') \gexec
SELECT format('CREATE TABLE keyed (%s, t text, PRIMARY KEY (%s))', string_agg(format('a_rather_long_name_for_a_column_of_a_primary_key_number_%s int DEFAULT %s', i, i), ', '),
	string_agg(format('a_rather_long_name_for_a_column_of_a_primary_key_number_%s', i), ', ')) FROM generate_series(1, 32) i \gexec
\set ECHO all
SELECT authz.audit('wide'), authz.audit('keyed');
INSERT INTO wide DEFAULT VALUES;
SELECT is_same(w, new_values), (SELECT count(*) FROM jsonb_each(new_values) e WHERE e.value = 'null') AS nulls FROM last, wide w;
UPDATE wide SET c1 = 7, c2 = 'x', c4 = false, c799 = 5, c1600 = false;
SELECT (SELECT count(*) FROM jsonb_object_keys(old_values)) AS old, new_values FROM last;
\set ECHO none
SELECT format('UPDATE wide SET %s', string_agg(format('c%s = %s', i, (ARRAY['true', i::text, '''y''', i::text])[i % 4 + 1]), ', ')) FROM generate_series(1, 1600) i \gexec
\set ECHO all
SELECT is_same(w, new_values), (SELECT count(*) FROM jsonb_object_keys(new_values)) AS n, new_values ->> 'c1' AS c1, new_values ->> 'c797' AS c797, new_values ->> 'c1598' AS c1598, new_values ->> 'c1600' AS c1600 FROM last, wide w;
UPDATE wide SET c1600 = c1600;
SELECT count(*) FROM recorded WHERE id > (SELECT max(id) FROM recorded WHERE new_values ->> 'c1598' = 'y');
ALTER TABLE wide DROP COLUMN c800, DROP COLUMN c1;
DELETE FROM wide;
SELECT count(*), bool_or(e.key IN ('c1', 'c800')) AS dropped FROM last, jsonb_object_keys(old_values) e(key);
INSERT INTO keyed (t) VALUES ('a');
UPDATE keyed SET t = 'b';
SELECT (SELECT count(*) FROM jsonb_object_keys(key)) AS n, key ->> 'a_rather_long_name_for_a_column_of_a_primary_key_number_32' AS last, old_values, new_values FROM last;
SELECT action, new_values ->> 't' AS t FROM authz.audit_trail('keyed', (SELECT key FROM last));

-- All of it can be sealed and verified.
SELECT authz.audit_seal() > 0 AS sealed;
SELECT * FROM authz.audit_verify() WHERE NOT ok;

RESET search_path;
DROP SCHEMA regress_authz CASCADE;
