-- What a record says of a value does not depend on the session, never fails and never calls what a user made.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA regress_authz;
SET search_path = regress_authz, public;
SELECT coalesce(max(id), 0) AS before FROM authz.audit_log \gset
CREATE TABLE before AS SELECT :before::bigint AS b;
CREATE VIEW recorded AS SELECT id, action, key, old_values, new_values FROM authz.audit_log WHERE id > (SELECT min(b) FROM before) ORDER BY id;

CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE DOMAIN smalls AS small[];
CREATE TYPE pair AS (longer_name text, x small, at timestamptz);
CREATE TABLE types (id int PRIMARY KEY, b bool, i2 int2, i8 int8, o oid, n numeric, f4 float4, f8 float8, t text, v varchar(5), c char(4),
	nm name, d date, ts timestamp, tz timestamptz, tm time, iv interval, by bytea, j json, jb jsonb, u uuid, m mood, dom small, doms smalls,
	ai int[], at text[], atz timestamptz[], p pair, ap pair[], r int4range, rz tstzrange, ip inet, x xml, ch "char", big int8, bits bit(3));
SELECT authz.audit('types');
-- Twice the same row, under settings as different as can be.
CREATE FUNCTION fill(id int) RETURNS void LANGUAGE sql AS $$ INSERT INTO types VALUES (id, true, -2, 9007199254740993, 7, 1.500, 0.1, 1e300,
	E'a"b\\\n\u00e4\U0001F600', 'abc', 'ab', 'name', '2026-02-03', '2026-02-03 04:05:06.789', '2026-02-03 04:05:06+07', '04:05', '1 mon 2 days 03:04:05',
	'\x00ff', '{"b" :1, "a":"\u0000"}', '{"b": [1, {"c": null}], "a": "x"}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'glad', 9, '{1,2}',
	'{{1,2},{3,NULL}}', '{}', '{2026-02-03 04:05:06+07}', ROW('l', 1, '2026-02-03 04:05:06+07'), ARRAY[ROW('m', NULL, NULL)::pair, NULL], '[1,5)', '[2026-02-03 04:05:06+07,)',
	'10.0.0.1/8', '<a/>', 'x', -9223372036854775808, '101') $$;
SELECT fill(1);
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SET intervalstyle = 'sql_standard';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SELECT fill(2);
SHOW timezone;
SHOW datestyle;
RESET timezone;
RESET datestyle;
RESET intervalstyle;
RESET extra_float_digits;
RESET bytea_output;
SELECT e.key, e.value FROM recorded r, jsonb_each(r.new_values) e WHERE r.id > :before AND r.key = '{"id": 1}' ORDER BY e.key COLLATE "C";
SELECT e.key, e.value FROM recorded r, jsonb_each(r.new_values) e WHERE r.id > :before AND r.key = '{"id": 2}'
EXCEPT SELECT e.key, e.value FROM recorded r, jsonb_each(r.new_values) e WHERE r.id > :before AND r.key = '{"id": 1}';
-- It is a jsonb like any other: what its text reads back as.
SELECT bool_and(new_values = new_values::text::jsonb AND jsonb_hash(new_values) = jsonb_hash(new_values::text::jsonb)
	AND pg_column_size(new_values) = pg_column_size(new_values::text::jsonb)) FROM recorded WHERE id > :before AND action = 'insert';
INSERT INTO types (id, n, f4, f8, d, ts, tz) VALUES (3, 'NaN', 'Infinity', '-Infinity', 'infinity', '-infinity', '0044-03-15 BC');
SELECT e.key, e.value FROM recorded r, jsonb_each(r.new_values) e WHERE r.key = '{"id": 3}' AND e.value <> 'null' ORDER BY 1;
UPDATE types SET b = b, i2 = -2, n = 1.5, jb = '{"a": "x", "b": [1, {"c": null}]}', f8 = 0 WHERE id = 1;
SELECT action, key, old_values, new_values FROM recorded ORDER BY id DESC LIMIT 1;
UPDATE types SET jb = '"lone"' WHERE id = 1;
UPDATE types SET jb = '17.50' WHERE id = 1;
UPDATE types SET jb = 'null', ai = NULL WHERE id = 1;
UPDATE types SET jb = 'true' WHERE id = 1;
UPDATE types SET jb = '[]' WHERE id = 1;
SELECT old_values, new_values FROM (SELECT * FROM recorded ORDER BY id DESC LIMIT 5) r ORDER BY id;

-- Casts that a user made are not called.
CREATE TABLE trap (id int PRIMARY KEY, m mood);
CREATE FUNCTION spring(mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'sprung as %', current_user; END $$;
CREATE CAST (mood AS json) WITH FUNCTION spring(mood);
SELECT to_jsonb('sad'::mood);
SELECT authz.audit('trap');
INSERT INTO trap VALUES (1, 'sad');
SELECT new_values FROM recorded ORDER BY id DESC LIMIT 1;

-- Long values that are not touched are not looked at; touched ones are.
CREATE TABLE long (id int PRIMARY KEY, n int, t text, b bytea);
ALTER TABLE long ALTER t SET STORAGE EXTERNAL;
SELECT authz.audit('long');
INSERT INTO long SELECT 1, 1, string_agg(md5(i::text), ''), '\x01' FROM generate_series(1, 3000) i;
UPDATE long SET n = 2;
SELECT old_values, new_values FROM recorded ORDER BY id DESC LIMIT 1;
UPDATE long SET t = t || '';
SELECT old_values, new_values, :before < id FROM recorded ORDER BY id DESC LIMIT 1;
UPDATE long SET t = t || 'x';
SELECT length(old_values ->> 't'), length(new_values ->> 't'), new_values ->> 't' = (SELECT t FROM long) AS same FROM recorded ORDER BY id DESC LIMIT 1;
DELETE FROM long;
SELECT length(old_values ->> 't') FROM recorded ORDER BY id DESC LIMIT 1;
-- Too long for a jsonb.
ALTER TABLE long ALTER t SET STORAGE EXTENDED;
INSERT INTO long VALUES (2, 0, repeat('x', 140 * 1024 * 1024), repeat('y', 70 * 1024 * 1024)::bytea);
SELECT new_values - 'n', new_values -> 't' ->> 'sha256' = encode(sha256(t::bytea), 'hex') AS same
FROM (SELECT * FROM recorded ORDER BY id DESC LIMIT 1) r, long;
UPDATE long SET n = 1;
SELECT old_values, new_values FROM recorded ORDER BY id DESC LIMIT 1;
UPDATE long SET t = 'short';
SELECT old_values, new_values FROM recorded ORDER BY id DESC LIMIT 1;
-- Deeply nested.
CREATE TABLE deep (id int PRIMARY KEY, j jsonb, js json);
SELECT authz.audit('deep');
INSERT INTO deep SELECT 1, (repeat('[', 2000) || repeat(']', 2000))::jsonb, (repeat('[', 2000) || repeat(']', 2000))::json;
SELECT new_values -> 'j' = (SELECT j FROM deep) AS same, new_values ->> 'js' = (SELECT js::text FROM deep) AS same FROM recorded ORDER BY id DESC LIMIT 1;
-- A thousand columns.
\set ECHO none
SELECT format('CREATE TABLE wide (id int PRIMARY KEY, %s)', string_agg(format('%I text DEFAULT %L', 'column' || i, i), ', ')) FROM generate_series(1, 1000) i \gexec
\set ECHO all
SELECT authz.audit('wide');
INSERT INTO wide (id) VALUES (1), (2);
UPDATE wide SET column500 = 'new' WHERE id = 2;
SELECT count(*), count(DISTINCT e.value) FROM (SELECT * FROM recorded ORDER BY id DESC LIMIT 1 OFFSET 1) r, jsonb_each(r.new_values) e;
SELECT new_values ->> 'column77' AS c77, new_values ->> 'column1000' AS c1000 FROM recorded ORDER BY id DESC LIMIT 1 OFFSET 1;
SELECT key, old_values, new_values FROM recorded ORDER BY id DESC LIMIT 1;
-- As many rows in a statement as do not go in one piece.
CREATE TABLE many (id int PRIMARY KEY, t text);
SELECT authz.audit('many');
INSERT INTO many SELECT i, 'x' FROM generate_series(1, 2500) i;
UPDATE many SET t = 'y' WHERE id % 2 = 0;
SELECT action, count(*), count(DISTINCT id), count(DISTINCT key), min((key ->> 'id')::int), max((key ->> 'id')::int), count(DISTINCT recorded_at)
FROM authz.audit_log WHERE relation = 'regress_authz.many' AND action <> 'audit' GROUP BY 1 ORDER BY 1;

DROP SCHEMA regress_authz CASCADE;
