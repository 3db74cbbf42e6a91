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

-- Names of objects do not depend on search_path and quoting, nor does the name of the table; money not on the locale, a byte not on the encoding.
CREATE SCHEMA "regress_authz Odd";
CREATE TYPE "regress_authz Odd".mood AS ENUM ('a');
CREATE FUNCTION "regress_authz Odd".f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE classes AS RANGE (subtype = regclass);
CREATE TABLE names (id int PRIMARY KEY, c regclass, ac regclass[], cr classes, t regtype, p regprocedure, f regproc, n regnamespace, r regrole,
	cf regconfig, m money, am money[], ch "char", ach "char"[], pt point);
SELECT authz.audit('names');
CREATE FUNCTION name(id int) RETURNS void LANGUAGE sql SET search_path = regress_authz, public AS $$ INSERT INTO names VALUES (id, 'names', '{names,pg_class}',
	classes('pg_class', 'names'), '"regress_authz Odd".mood', '"regress_authz Odd".f(int)', '"regress_authz Odd".f', '"regress_authz Odd"', 'pg_read_all_data',
	'english', 1234.5::numeric::money, '{7}', (-128)::"char", ARRAY[65::"char", (-1)::"char"], '(0.1,2)') $$;
SELECT name(1);
SET search_path = "regress_authz Odd", regress_authz;
SET quote_all_identifiers = on;
SET extra_float_digits = -15;
SELECT regress_authz.name(2);
CREATE TABLE regress_authz.dropped ();
SELECT authz.audit('dropped');
DROP TABLE dropped;
-- What the session had is there again.
SELECT 'names'::regclass, '"regress_authz Odd".mood'::regtype, 0.1::float8 + 0.2;
RESET quote_all_identifiers;
RESET extra_float_digits;
SET search_path = regress_authz, public;
SELECT e.key, e.value FROM recorded r, jsonb_each(r.new_values) e WHERE r.key = '{"id": 1}' AND r.new_values ? 'ach' ORDER BY e.key COLLATE "C";
SELECT e.key, e.value FROM recorded r, jsonb_each(r.new_values) e WHERE r.key = '{"id": 2}' AND r.new_values ? 'ach'
EXCEPT SELECT e.key, e.value FROM recorded r, jsonb_each(r.new_values) e WHERE r.key = '{"id": 1}' AND r.new_values ? 'ach';
SELECT action, relation FROM authz.audit_log WHERE (new_values ? 'ach' OR relation ~ 'dropped') AND id > :before ORDER BY id;

-- What is generated from an excluded column says what that holds, and is excluded too; also one that is added.
CREATE TABLE secrets (id int PRIMARY KEY, secret text, n int, up text GENERATED ALWAYS AS (upper(secret)) STORED, twice int GENERATED ALWAYS AS (n * 2) STORED);
SELECT authz.audit('secrets', exclude_columns => '{secret}');
INSERT INTO secrets VALUES (1, 'hidden', 4);
ALTER TABLE secrets ADD COLUMN len int GENERATED ALWAYS AS (length(secret)) STORED;
UPDATE secrets SET secret = 'other';
UPDATE secrets SET n = 5;
DELETE FROM secrets;
SELECT action, key, old_values, new_values FROM recorded WHERE action <> 'audit' ORDER BY id DESC LIMIT 5;
-- A key cannot lack it.
BEGIN;
ALTER TABLE secrets DROP CONSTRAINT secrets_pkey, ADD PRIMARY KEY (up);
ROLLBACK;
ALTER TABLE secrets ADD UNIQUE (up), DROP CONSTRAINT secrets_pkey;
CREATE TABLE secret_key (secret text, up text GENERATED ALWAYS AS (upper(secret)) STORED PRIMARY KEY);
SELECT authz.audit('secret_key', exclude_columns => '{secret}');
SELECT authz.audit('secret_key');

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
-- Whatever the length, a record can be read, up to the last value that fits and from the first that does not.  How long a
-- record's text gets is what counts; 1,790 of the longest numbers leave some 8,200 bytes without taking memory.
-- (Rolled back: who looks at the whole log as text would have 200 MB of each.)
BEGIN;
CREATE TYPE holder AS (t text, n int);
CREATE DOMAIN sentence AS text;
CREATE DOMAIN sentences AS sentence[];
CREATE TABLE edge (id int PRIMARY KEY, a numeric[] DEFAULT array_fill(1e131071, '{1790}'), t text, b bytea, jb jsonb, js json, ta text[], h holder, ah holder[],
	d sentence, ad sentences, n numeric, r int4range[], last int DEFAULT 7);
SELECT authz.audit('edge');
INSERT INTO edge (id, t) SELECT 10000 + i, repeat('x', i) FROM generate_series(8100, 8180) i;
INSERT INTO edge (id, b) SELECT 20000 + i, repeat('x', i)::bytea FROM generate_series(4040, 4100) i;
INSERT INTO edge (id, jb) SELECT 30000 + i, jsonb_build_array(repeat('x', i), 1.5) FROM generate_series(8070, 8150) i;
INSERT INTO edge (id, jb) SELECT 40000 + i, to_jsonb(repeat('x', i)) FROM generate_series(8100, 8180) i;
INSERT INTO edge (id, js) SELECT 50000 + i, to_json(repeat('x', i)) FROM generate_series(8100, 8180) i;
INSERT INTO edge (id, ta) SELECT 60000 + i, ARRAY[repeat('x', i), NULL, ''] FROM generate_series(8080, 8160) i;
INSERT INTO edge (id, h) SELECT 70000 + i, ROW(repeat('x', i), 17)::holder FROM generate_series(8060, 8140) i;
INSERT INTO edge (id, ah) SELECT 80000 + i, ARRAY[ROW(repeat('x', i), 17)::holder, ROW('y', NULL)::holder, NULL] FROM generate_series(8000, 8120) i;
INSERT INTO edge (id, d) SELECT 90000 + i, repeat('x', i)::sentence FROM generate_series(8100, 8180) i;
INSERT INTO edge (id, ad) SELECT 100000 + i, ARRAY[[repeat('x', i)], ['y']]::sentences FROM generate_series(8060, 8150) i;
INSERT INTO edge (id, n) SELECT 200000 + i, ('1e' || i)::numeric FROM generate_series(56000, 58000, 25) i;
INSERT INTO edge (id, r) SELECT 300000 + i, array_fill(int4range(1, 9), ARRAY[i]) FROM generate_series(850, 930) i;
WITH r AS (SELECT e.id, l.new_values - 'a' AS v FROM edge e JOIN recorded l ON l.key = jsonb_build_object('id', e.id) AND l.new_values ? 'ah')
SELECT r.id / 10000 AS series, j.key, count(*), bool_and(v = v::text::jsonb AND v ->> 'last' = '7' AND (v ->> 'id')::int = r.id) AS reads,
	sum((jsonb_typeof(j.value) = 'object' AND j.value ? 'sha256')::int) BETWEEN 1 AND count(*) - 1 AS both,
	min(r.id) FILTER (WHERE j.value ? 'sha256') > max(r.id) FILTER (WHERE NOT j.value ? 'sha256') AS at_one_length
FROM r, jsonb_each(v) j WHERE j.value <> 'null' AND j.key NOT IN ('id', 'last') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT bool_and(CASE WHEN v ? 'sha256' THEN v ->> 'sha256' = encode(sha256(t::bytea), 'hex') AND v ->> 'length' = length(t)::text ELSE v = to_jsonb(t) END)
FROM edge e JOIN recorded l ON l.key = jsonb_build_object('id', e.id), LATERAL (SELECT l.new_values -> 't' AS v) v WHERE t IS NOT NULL;
-- So it is when many values do not fit: each has the room of its digest, and a small one needs none.
CREATE TABLE full_up (a numeric[] DEFAULT array_fill(1e131071, '{1789}'));
\set ECHO none
SELECT format('ALTER TABLE full_up %s', string_agg(format('ADD c%s text, ADD i%1$s int DEFAULT %1$s', i), ', ')) FROM generate_series(1, 200) i \gexec
SELECT format('INSERT INTO full_up (%s) SELECT %s FROM generate_series(1, 60) i', string_agg('c' || i, ', '), string_agg('repeat(''x'', 90 + 3 * i)', ', ')) FROM generate_series(1, 200) i \gset full_
\set ECHO all
SELECT authz.audit('full_up');
:full_format;
SELECT count(*), bool_and(v = v::text::jsonb), bool_and(v ->> 'i200' = '200'), count(DISTINCT digests) > 20 AS different
FROM (SELECT new_values - 'a' AS v, (SELECT count(*) FROM jsonb_each(new_values) j WHERE jsonb_typeof(j.value) = 'object') AS digests
	FROM recorded WHERE new_values ? 'c200') r;
ROLLBACK;
-- Arrays of composites: names, headers and offsets count; a type that is altered meanwhile is seen.
\set ECHO none
SELECT format('CREATE TYPE wide_pair AS (s text, %s)', string_agg(format('%I bool', rpad('c' || i, 63, 'x')), ', ')) FROM generate_series(1, 20) i \gexec
\set ECHO all
CREATE TABLE pairs (id int PRIMARY KEY, a wide_pair[]);
SELECT authz.audit('pairs');
INSERT INTO pairs SELECT i, array_fill(jsonb_populate_record(NULL::wide_pair, '{}'), ARRAY[CASE i WHEN 1 THEN 186500 ELSE 1000 END]) FROM generate_series(1, 2) i;
ALTER TYPE wide_pair RENAME ATTRIBUTE s TO renamed;
ALTER TYPE wide_pair ADD ATTRIBUTE added int;
INSERT INTO pairs SELECT 3, ARRAY[jsonb_populate_record(NULL::wide_pair, '{"renamed": "x", "added": 3}')];
SELECT key, CASE WHEN jsonb_typeof(a) = 'array' THEN jsonb_array_length(a) END AS n, a -> -1 -> 's' AS s, a -> -1 -> 'renamed' AS renamed, a -> -1 -> 'added' AS added,
	a -> 'length' AS length, new_values = new_values::text::jsonb AS reads
FROM (SELECT *, new_values -> 'a' AS a FROM recorded WHERE action = 'insert' ORDER BY id DESC LIMIT 3) r ORDER BY key;
-- Many elements cost no memory before they are refused.
CREATE TABLE flags (id int PRIMARY KEY, f bool[], c "char"[]);
SELECT authz.audit('flags');
INSERT INTO flags VALUES (1, array_fill(true, '{9000000}'), array_fill('x'::"char", '{9000000}'));
SELECT new_values -> 'f' ? 'sha256' AS f, new_values -> 'c' ? 'sha256' AS c FROM recorded ORDER BY id DESC LIMIT 1;
-- Deeply nested.
CREATE TABLE deep (id int PRIMARY KEY, j jsonb, js json);
SELECT authz.audit('deep');
INSERT INTO deep SELECT 1, (repeat('[', 2000) || repeat(']', 2000))::jsonb, (repeat('[', 2000) || repeat(']', 2000))::json;
SELECT new_values -> 'j' = (SELECT j FROM deep) AS same, new_values ->> 'js' = (SELECT js::text FROM deep) AS same FROM recorded ORDER BY id DESC LIMIT 1;
-- So deep that its record could not be read from a dump by a smaller stack.
INSERT INTO deep SELECT d, (repeat('[', d) || repeat(']', d))::jsonb FROM unnest('{6499,6500}'::int[]) d;
SELECT key, jsonb_typeof(new_values -> 'j'), new_values -> 'j' = (SELECT j FROM deep WHERE id = (key ->> 'id')::int) AS same FROM recorded ORDER BY id DESC LIMIT 2;
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

DROP SCHEMA regress_authz, "regress_authz Odd" CASCADE;
