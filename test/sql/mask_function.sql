-- Mask functions: what they show, what they hide whole, what they refuse.
\set SHOW_CONTEXT never
LOAD 'authz';
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/test/sql/include/token.sql'
\set ECHO none
\i :include
\set ECHO all
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'ISO';

-- The message, hint and code of what a statement raises, or what it returns.
CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	code text;
	message text;
	hint text;
BEGIN
	EXECUTE 'SELECT (' || statement || ')::text' INTO result;
	RETURN coalesce(result, '(null)');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN code || ': ' || message || ' / ' || hint;
END
$$;

-- All are parallel safe, strict unless they give the same to NULL, and everybody's but for those that test guesses.
SELECT oid::regprocedure AS function, provolatile, proisstrict, proparallel, proleakproof,
	has_function_privilege('public', oid, 'EXECUTE') AS everybody
FROM pg_proc WHERE pronamespace = 'authz'::regnamespace AND proname ~ '^(mask_|pseudonym$)' AND prorettype <> 'trigger'::regtype
ORDER BY oid::regprocedure::text COLLATE "C";

-- null, constant: whatever the value is.
SELECT authz.mask_null(value) AS masked, authz.mask_null(value) IS NULL AS is_null, pg_typeof(authz.mask_null(value)) AS type FROM (VALUES ('secret'::text), (''), (NULL)) AS v (value);
SELECT pg_typeof(authz.mask_null(7::smallint)) AS smallint, pg_typeof(authz.mask_null('{1,2}'::integer[])) AS array, pg_typeof(authz.mask_null(current_date)) AS date,
	authz.mask_null(ROW(1, 'secret')) IS NULL AS row_is_null, authz.mask_null('{"a": 1}'::jsonb) IS NULL AS jsonb_is_null;
SELECT value, authz.mask_constant(value, 0) AS constant, authz.mask_constant(value, NULL) AS null_constant, authz.mask_constant(value, -2147483648) AS lowest
FROM unnest('{1,0,2147483647,NULL}'::integer[]) AS value;
SELECT authz.mask_constant('secret'::text, 'hidden') AS text, authz.mask_constant(NULL::text, 'hidden') AS no_text, authz.mask_constant('secret'::text, '') = '' AS empty,
	authz.mask_constant('{1,2}'::integer[], '{}') AS array, authz.mask_constant('{"a": 1}'::jsonb, 'null') AS jsonb,
	authz.mask_constant('123e4567-e89b-12d3-a456-426614174000'::uuid, '00000000-0000-0000-0000-000000000000') AS uuid, authz.mask_constant(1.25, 7::numeric) AS numeric;
SELECT length(authz.mask_constant('secret', repeat('x', 1000000))) AS long;
SELECT call, pg_temp.outcome(call) FROM (VALUES
	($$authz.mask_constant(1, 'hidden')$$), ($$authz.mask_constant(1, 'hidden'::text)$$), ($$authz.mask_constant(1.25, 7)$$), ($$authz.mask_constant(1)$$), ($$authz.mask_null()$$), ($$authz.mask_null('unknown')$$)
) AS c (call);

-- partial: characters, not bytes; a value that is too short is hidden whole.
SELECT value, prefix, suffix, authz.mask_partial(value, prefix, '***', suffix) FROM (VALUES
	('4111111111111111', 2, 2), ('4111111111111111', 0, 4), ('4111111111111111', 4, 0), ('4111111111111111', 0, 0),
	('12345', 2, 2), ('1234', 2, 2), ('123', 2, 2), ('1', 2, 2), ('', 2, 2), ('', 0, 0), ('1', 0, 0),
	('Grüße aus Köln', 3, 2), ('日本語テキスト', 2, 1), ('日本', 1, 1), ('日本語', 1, 1), ('😀😁😂', 1, 1), ('éé', 1, 1),
	('12345', 2147483647, 2147483647), ('12345', 2147483647, 0), ('12345', 0, 2147483647), (NULL, 2, 2), ('12345', NULL, 2)
) AS v (value, prefix, suffix);
SELECT authz.mask_partial('12345', 1, '', 1) AS no_pad, authz.mask_partial('12345', 1, '…', 1) AS wide_pad,
	authz.mask_partial('12', 1, '', 1) AS too_short, authz.mask_partial('12345', 1, NULL, 1) AS null_pad;
-- The length does not show, also not of a long (toasted) value.
SELECT authz.mask_partial(repeat('ä', 100000), 1, '***', 1) = authz.mask_partial('äöä', 1, '***', 1) AS same;
CREATE TEMP TABLE toasted AS SELECT string_agg(md5(i::text), '') || 'ü' AS value FROM generate_series(1, 4000) AS i;
SELECT authz.mask_partial(value, 4, '***', 2) FROM toasted;
SELECT pg_temp.outcome($$authz.mask_partial('secret', -1, '***', 2)$$);
SELECT pg_temp.outcome($$authz.mask_partial('secret', 2, '***', -2147483648)$$);
SELECT pg_temp.outcome($$authz.mask_partial('secret', 2, '***')$$);

-- email
SELECT left(value, 40) AS value, authz.mask_email(value) FROM (VALUES
	('alice@example.org'), ('A.B+tag@Mail.Example.CO.UK'), ('a@b.cd'), ('"a@b"@example.org'), ('büro@münchen.example'), ('üwe@österreich.例え'),
	('用户@例子.公司'), ('x@xn--fsq.xn--p1ai'),
	(''), ('@'), ('alice'), ('alice@'), ('@example.org'), ('alice@localhost'), ('alice@.org'), ('alice@example.'), ('alice@example..org'),
	('alice@10.0.0.17'), ('alice@[10.0.0.17]'), ('a b@example.org'), (E'a\tb@example.org'), ('card@x.4111111111111111'),
	('alice@example.my secret'), ('alice@example.org, bob@example.org'), ('Alice <alice@example.org>'), ('alice@exa_mple.org'),
	('alice@example.' || repeat('a', 64)), (repeat('a', 65) || '@example.org'), ('a@' || repeat('abcdefg.', 32) || 'org'), (NULL)
) AS v (value);
SELECT authz.mask_email(repeat('a', 64) || '@' || repeat('b', 63) || '.' || repeat('c', 63));

-- hash: keyed, stable, of the length asked for.
SELECT authz.mask_hash('alice') = authz.mask_hash('alice') AS same, authz.mask_hash('alice') <> authz.mask_hash('bob') AS other,
	authz.mask_hash('alice', 64) ~ '^[0-9a-f]{64}$' AS hexadecimal, length(authz.mask_hash('alice')) AS by_default,
	left(authz.mask_hash('alice', 64), 8) = authz.mask_hash('alice', 8) AS prefix, length(authz.mask_hash('')) AS of_empty;
SELECT authz.mask_hash(NULL) IS NULL AND authz.mask_hash('alice', NULL) IS NULL AND authz.mask_uuid(NULL) IS NULL AS null_stays;
SELECT length, pg_temp.outcome(format('authz.mask_hash(%L, %s)', 'secret', length))
FROM unnest('{-2147483648,-1,0,7,65,2147483647}'::integer[]) AS length;
-- It is the HMAC-SHA-256 that RFC 2104 says; what restores a key this way replaces the present one.
INSERT INTO authz.mask_key (id, secret, created_at) VALUES (1, sha256('regress'), '2020-01-01');
SELECT id, secret = sha256('regress') AS is_restored FROM authz.mask_key;
SELECT value, length, authz.mask_hash(value, length) AS hash,
	authz.mask_hash(value, length) = left(encode(pg_temp.hmac_sha256(sha256('regress'), ('t' || value)::bytea), 'hex'), length) AS is_hmac
FROM (VALUES ('alice', 8), ('alice', 16), ('', 64), ('Grüße', 64), ('alice@example.org', 63)) AS v (value, length);
SELECT bool_and(authz.mask_hash(repeat('x', n), 64) = encode(pg_temp.hmac_sha256(sha256('regress'), ('t' || repeat('x', n))::bytea), 'hex')) AS is_hmac
FROM generate_series(0, 200, 7) AS n;

-- uuid: a version 8 of variant 2, from another domain than texts.
SELECT value, authz.mask_uuid(value) AS uuid, authz.mask_uuid(value)::text ~ '^.{8}-.{4}-8.{3}-[89ab].{3}-.{12}$' AS is_version_8
FROM (VALUES ('00000000-0000-0000-0000-000000000000'::uuid), ('ffffffff-ffff-ffff-ffff-ffffffffffff'), ('123e4567-e89b-12d3-a456-426614174000')) AS v (value);
WITH v AS (SELECT '31323334-3536-3738-3930-313233343536'::uuid AS value),
	mac AS (SELECT encode(pg_temp.hmac_sha256(sha256('regress'), 'u'::bytea || uuid_send(value)), 'hex') AS digits FROM v)
SELECT authz.mask_uuid(value) = overlay(overlay(left(digits, 32) PLACING '8' FROM 13)
		PLACING substr('89ab89ab89ab89ab', ('x' || substr(digits, 17, 1))::bit(4)::integer + 1, 1) FROM 17)::uuid AS is_hmac,
	left(replace(authz.mask_uuid(value)::text, '-', ''), 12) <> authz.mask_hash('1234567890123456', 12) AS is_another_domain
FROM v, mac;
SELECT count(DISTINCT authz.mask_uuid(md5(i::text)::uuid)), count(DISTINCT authz.mask_hash(i::text)) FROM generate_series(1, 10000) AS i;

-- Rotation: all pseudonyms change, also in this transaction, and are back if it is.
SELECT authz.mask_hash('alice') AS before, authz.mask_uuid('123e4567-e89b-12d3-a456-426614174000') AS uuid_before \gset
BEGIN;
SELECT authz.rotate_mask_key();
SELECT authz.mask_hash('alice') <> :'before' AS changed, authz.mask_uuid('123e4567-e89b-12d3-a456-426614174000') <> :'uuid_before' AS uuid_changed;
SELECT id, octet_length(secret), created_at = now() AS now FROM authz.mask_key;
SAVEPOINT s;
DELETE FROM authz.mask_key;
SELECT pg_temp.outcome($$authz.mask_hash('alice')$$);
SELECT pg_temp.outcome($$authz.mask_uuid('123e4567-e89b-12d3-a456-426614174000')$$);
SELECT authz.rotate_mask_key();
SELECT id, length(authz.mask_hash('alice')) FROM authz.mask_key;
ROLLBACK TO s;
SELECT authz.mask_hash('alice') <> :'before' AS changed;
ROLLBACK;
SELECT authz.mask_hash('alice') = :'before' AS as_before, authz.mask_uuid('123e4567-e89b-12d3-a456-426614174000') = :'uuid_before' AS uuid_as_before;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT authz.mask_hash('alice') = :'before' AS as_before;
COMMIT;
-- A short secret is refused; a key restored by a replica's or pg_restore's session replaces as well.
INSERT INTO authz.mask_key (id, secret) VALUES (7, 'hunter2');
INSERT INTO authz.mask_key (id, secret) VALUES (7, NULL);
UPDATE authz.mask_key SET secret = 'hunter2';
SET session_replication_role = replica;
INSERT INTO authz.mask_key (id, secret) VALUES (1, sha256('other')), (1, sha256('third'));
RESET session_replication_role;
SELECT id, secret = sha256('third') AS is_last FROM authz.mask_key;
SELECT authz.mask_hash('alice', 64) = encode(pg_temp.hmac_sha256(sha256('third'), 'talice'), 'hex') AS is_in_use;
-- Where triggers were off, the one with the highest number is in use, and the next one replaces both.
ALTER EVENT TRIGGER authz_after_ddl DISABLE;
ALTER TABLE authz.mask_key DISABLE TRIGGER replace_mask_key;
INSERT INTO authz.mask_key (id, secret) VALUES (3, sha256('fourth')), (2, sha256('fifth'));
SELECT authz.mask_hash('alice', 64) = encode(pg_temp.hmac_sha256(sha256('fourth'), 'talice'), 'hex') AS is_in_use;
ALTER TABLE authz.mask_key ENABLE ALWAYS TRIGGER replace_mask_key;
ALTER EVENT TRIGGER authz_after_ddl ENABLE ALWAYS;
SELECT authz.rotate_mask_key();
SELECT id FROM authz.mask_key;
-- Dumped.
SELECT 'authz.mask_key'::regclass = ANY (extconfig) AS dumped FROM pg_extension WHERE extname = 'authz';

-- Nobody reads the key; the administrator replaces it.
CREATE ROLE regress_authz_admin;
GRANT authz_admin TO regress_authz_admin;
CREATE ROLE regress_authz_user;
SELECT secret AS secret_before FROM authz.mask_key \gset
SET ROLE regress_authz_user;
SELECT authz.mask_email('alice@example.org'), authz.mask_null(1), authz.mask_constant(1, 0), authz.mask_partial('alice', 1, '***', 1),
	authz.mask_date('2024-08-29'::date, 'year'), authz.mask_round(1234, 1000), authz.mask_json('{"a": 1}', '{a}');
SELECT pg_temp.outcome($$authz.mask_hash('alice')$$), pg_temp.outcome($$authz.mask_uuid('123e4567-e89b-12d3-a456-426614174000')$$);
SET ROLE regress_authz_admin;
GRANT EXECUTE ON FUNCTION authz.mask_hash(text, integer) TO regress_authz_user;
SET ROLE regress_authz_user;
SELECT secret FROM authz.mask_key;
SELECT id FROM authz.mask_key;
SELECT pg_temp.outcome('authz.rotate_mask_key()');
INSERT INTO authz.mask_key (id, secret) VALUES (9, sha256('mine'));
UPDATE authz.mask_key SET secret = sha256('mine');
DELETE FROM authz.mask_key;
SELECT length(authz.mask_hash('alice'));
SET ROLE regress_authz_admin;
SELECT secret FROM authz.mask_key;
UPDATE authz.mask_key SET secret = sha256('mine');
SELECT authz.rotate_mask_key();
REVOKE EXECUTE ON FUNCTION authz.mask_hash(text, integer) FROM regress_authz_user;
RESET ROLE;
SELECT id, secret <> :'secret_before' AS changed FROM authz.mask_key;
DROP ROLE regress_authz_admin, regress_authz_user;

-- What a mask calls for every reader runs for nobody who calls it himself, a superuser included.
SELECT call, pg_temp.outcome(call) FROM (VALUES
	($$authz.pseudonym('alice', 16)$$), ($$authz.pseudonym('alice', 7)$$), ($$authz.pseudonym('123e4567-e89b-12d3-a456-426614174000')$$),
	($$authz.pseudonym(length => 16, value => 'alice')$$), ($$authz.pseudonym('alice' COLLATE "C", 16)$$), ($$authz.pseudonym('alice')$$),
	($$authz.pseudonym('alice', VARIADIC 16)$$), ($$authz.pseudonym(NULL, 16)$$), ($$authz.pseudonym('alice', NULL)$$), ($$authz.pseudonym(NULL::uuid)$$)
) AS c (call);
CREATE SCHEMA regress_pseudonym;
CREATE TABLE regress_pseudonym.guess AS SELECT i::text AS value, md5(i::text)::uuid AS id FROM generate_series(1, 20000) AS i;
ANALYZE regress_pseudonym.guess;
CREATE ROLE regress_authz_user;
GRANT ALL ON SCHEMA regress_pseudonym TO regress_authz_user;
GRANT ALL ON regress_pseudonym.guess TO regress_authz_user;
SET ROLE regress_authz_user;
SET search_path = regress_pseudonym;
SELECT authz.pseudonym(value, 16) FROM guess LIMIT 1;
SELECT authz.pseudonym(id) FROM guess LIMIT 1;
-- Where the planner would run it for an estimate.
EXPLAIN SELECT FROM guess WHERE value = authz.pseudonym('alice', 16);
PREPARE guess (text) AS SELECT authz.pseudonym($1, 16);
EXECUTE guess ('alice');
SET plan_cache_mode = force_generic_plan;
EXECUTE guess ('alice');
RESET plan_cache_mode;
DEALLOCATE guess;
CREATE VIEW guesses AS SELECT authz.pseudonym(value, 16) AS pseudonym, authz.pseudonym(id) AS id FROM guess;
SELECT pseudonym FROM guesses LIMIT 1;
SELECT id FROM guesses LIMIT 1;
RESET ROLE;
SELECT pseudonym FROM guesses LIMIT 1;
SET ROLE regress_authz_user;
CREATE FUNCTION by_sql(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT authz.pseudonym($1, 16)';
CREATE FUNCTION by_standard_sql(text) RETURNS text LANGUAGE sql VOLATILE SECURITY DEFINER RETURN authz.pseudonym($1, 16);
CREATE FUNCTION by_plpgsql(uuid) RETURNS uuid LANGUAGE plpgsql AS 'BEGIN RETURN authz.pseudonym($1); END';
CREATE FUNCTION by_execute(text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT authz.pseudonym(%L, 16)', $1) INTO result;
	RETURN result;
END
$$;
SELECT by_sql(value) FROM guess LIMIT 1;
SELECT by_standard_sql('alice');
SELECT by_plpgsql(id) FROM guess LIMIT 1;
SELECT by_execute('alice');
SELECT * FROM authz.pseudonym('alice', 16);
SELECT g.* FROM guess, LATERAL authz.pseudonym(id) AS g LIMIT 1;
-- As something else than a call.
CREATE OPERATOR ~~~ (FUNCTION = authz.pseudonym, LEFTARG = text, RIGHTARG = integer);
SELECT 'alice' OPERATOR(regress_pseudonym.~~~) 16;
SELECT FROM guess WHERE value = 'alice' OPERATOR(regress_pseudonym.~~~) 16;
CREATE AGGREGATE guessed (integer) (SFUNC = authz.pseudonym, STYPE = text, INITCOND = 'alice');
SELECT guessed(16);
SELECT guessed(16) OVER ();
CREATE FUNCTION latest(uuid, uuid) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN $2;
CREATE AGGREGATE guessed_at_last (uuid) (SFUNC = latest, STYPE = uuid, FINALFUNC = authz.pseudonym);
SELECT guessed_at_last(id) FROM guess;
CREATE DOMAIN guess_domain AS text CHECK (authz.pseudonym(VALUE, 16) <> '');
SELECT 'alice'::guess_domain;
CREATE TABLE written (value text DEFAULT authz.pseudonym('alice', 16), CHECK (authz.pseudonym(value, 16) <> ''));
INSERT INTO written DEFAULT VALUES;
INSERT INTO written VALUES ('alice');
INSERT INTO written VALUES (NULL);
DROP TABLE written;
-- In a worker.
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM guess WHERE authz.pseudonym(value, 16) < '8';
SELECT count(*) FROM guess WHERE authz.pseudonym(value, 16) < '8';
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET ROLE;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA regress_pseudonym CASCADE;
RESET client_min_messages;
DROP ROLE regress_authz_user;

-- Workers have the same key.
CREATE TABLE regress_pseudonym AS SELECT i::text AS value FROM generate_series(1, 20000) AS i;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM regress_pseudonym WHERE authz.mask_hash(value) < '8';
SELECT md5(string_agg(authz.mask_hash(value), ',' ORDER BY value)) AS alone FROM regress_pseudonym \gset
CREATE TEMP TABLE by_workers AS SELECT value, authz.mask_hash(value) AS hash FROM regress_pseudonym;
SELECT md5(string_agg(hash, ',' ORDER BY value)) = :'alone' AS same FROM by_workers;
SELECT count(*) FROM regress_pseudonym AS a JOIN by_workers AS b ON authz.mask_hash(a.value) = b.hash AND a.value = b.value;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
DROP TABLE regress_pseudonym;

-- date
SELECT unit, authz.mask_date('2024-08-29'::date, unit) AS date, authz.mask_date('0044-03-15 BC'::date, unit) AS bc,
	authz.mask_date('infinity'::date, unit) AS infinity, authz.mask_date('-infinity'::date, unit) AS minus,
	authz.mask_date('4714-11-24 BC'::date, unit) AS first, authz.mask_date('5874897-12-31'::date, unit) AS last
FROM unnest('{week,month,quarter,year,decade,century,millennium}'::text[]) AS unit;
SELECT unit, authz.mask_date('2024-08-29 13:14:15.678901'::timestamp, unit) AS timestamp, authz.mask_date('0044-03-15 23:59:59.999999 BC'::timestamp, unit) AS bc,
	authz.mask_date('infinity'::timestamp, unit) AS infinity, authz.mask_date('-infinity'::timestamp, unit) AS minus,
	authz.mask_date('4714-11-24 00:00:00 BC'::timestamp, unit) AS first, authz.mask_date('294276-12-31 23:59:59.999999'::timestamp, unit) AS last
FROM unnest('{second,minute,hour,day,week,month,quarter,year,decade,century,millennium}'::text[]) AS unit \x\g
\x off
-- timestamptz: by the clock of UTC, whatever TimeZone is.
SELECT unit, authz.mask_date('2024-01-01 02:00:00+05:30'::timestamptz, unit) AT TIME ZONE 'UTC' AS utc,
	authz.mask_date('infinity'::timestamptz, unit) AS infinity
FROM unnest('{second,minute,hour,day,week,month,quarter,year,decade,century,millennium}'::text[]) AS unit;
SET TimeZone = 'America/New_York';
SELECT authz.mask_date('2024-01-01 02:00:00+05:30'::timestamptz, 'day') AT TIME ZONE 'UTC' AS utc;
SET TimeZone = 'UTC';
-- As date_trunc, where that has an answer.
SELECT count(*) AS tried,
	count(*) FILTER (WHERE authz.mask_date(t, unit) IS DISTINCT FROM date_trunc(unit, t)) AS timestamp_differs,
	count(*) FILTER (WHERE authz.mask_date(t::timestamptz, unit) IS DISTINCT FROM date_trunc(unit, t::timestamptz)) AS timestamptz_differs,
	count(*) FILTER (WHERE unit NOT IN ('second', 'minute', 'hour', 'day')
		AND CASE WHEN unit IN ('second', 'minute', 'hour', 'day') THEN NULL ELSE authz.mask_date(t::date, unit) END
			IS DISTINCT FROM date_trunc(unit, t::date::timestamp)::date) AS date_differs
FROM unnest('{second,minute,hour,day,week,month,quarter,year,decade,century,millennium}'::text[]) AS unit,
	(SELECT '0001-01-01'::timestamp + i * interval '17 days 3 hours 7 minutes 11.123457 seconds' FROM generate_series(-60000, 60000, 7) AS i
	 UNION ALL SELECT y * interval '1 year' + '0001-01-01'::timestamp + e FROM generate_series(-2010, 2010) AS y,
		unnest('{0 s,-0.000001 s}'::interval[]) AS e) AS s (t);
SELECT call, pg_temp.outcome(call) FROM (VALUES
	($$authz.mask_date('2024-08-29'::date, 'day')$$), ($$authz.mask_date('2024-08-29'::date, 'hour')$$),
	($$authz.mask_date('2024-08-29'::date, 'fortnight')$$), ($$authz.mask_date('2024-08-29'::date, '')$$),
	($$authz.mask_date('2024-08-29'::date, 'Year')$$), ($$authz.mask_date('2024-08-29'::date, NULL)$$), ($$authz.mask_date(NULL::date, 'year')$$),
	($$authz.mask_date('2024-08-29'::timestamp, 'microseconds')$$), ($$authz.mask_date('2024-08-29'::timestamp, 'yea')$$),
	($$authz.mask_date('2024-08-29'::timestamptz, 'years')$$), ($$authz.mask_date('infinity'::timestamptz, 'nothing')$$)
) AS c (call);

-- round
SELECT value, authz.mask_round(value, 1000::bigint) AS by_1000, authz.mask_round(value, 9223372036854775807) AS by_largest, authz.mask_round(value, 1::bigint) AS by_1
FROM unnest('{0,1,999,1000,-1,-999,-1000,-1001,9223372036854775807,-9223372036854775807,-9223372036854775808}'::bigint[]) AS value;
SELECT value, authz.mask_round(value, 1000) AS by_1000, authz.mask_round(value, 2147483647) AS by_largest, pg_typeof(authz.mask_round(value, 1000))
FROM unnest('{0,-1,999,1000,2147483647,-2147483647,-2147483648}'::integer[]) AS value;
SELECT value, authz.mask_round(value, 1000::smallint) AS by_1000, authz.mask_round(value, 32767::smallint) AS by_largest, authz.mask_round(value, 1::smallint) AS by_1,
	pg_typeof(authz.mask_round(value, 1000::smallint))
FROM unnest('{0,-1,999,1000,-1000,-1001,32767,-32000,-32001,-32767,-32768,NULL}'::smallint[]) AS value;
SELECT value, authz.mask_round(value, 10) AS by_10, authz.mask_round(value, 0.25) AS by_quarter, authz.mask_round(value, 1e-3) AS by_thousandth, authz.mask_round(value, 1e10) AS by_1e10
FROM unnest('{0,0.1,0.249,0.25,9.99999,10,-0.0001,-0.25,-10,-10.5,123456789012345678901234567890.123456,NaN,Infinity,-Infinity}'::numeric[]) AS value;
-- The number of decimals does not show; a quotient would round up here.
SELECT authz.mask_round(12.3, 10)::text = authz.mask_round(12.345678, 10)::text AS same_scale,
	authz.mask_round(0.99999999999999999999999999999999999999999999999999::numeric, 1) AS below_one,
	authz.mask_round(2.9999999999999999999999999999999999::numeric, 3) AS below_three;
-- Below the lowest number that numeric has.
SELECT authz.mask_round(('-' || repeat('9', 131072))::numeric, ('1' || repeat('0', 131071))::numeric) AS lowest,
	length(authz.mask_round(repeat('9', 131072)::numeric, ('1' || repeat('0', 131071))::numeric)::text) AS highest;
SELECT value, authz.mask_round(value, 10::double precision) AS by_10, authz.mask_round(value, 0.25::double precision) AS by_quarter,
	authz.mask_round(value, 1e308::double precision) AS by_1e308, authz.mask_round(value, 5e-324::double precision) = value AS by_least
FROM unnest('{0,-0,0.1,0.25,9.99999,-0.0001,-10,-10.5,1.7976931348623157e308,-1.7976931348623157e308,5e-324,-5e-324,NaN,Infinity,-Infinity}'::double precision[]) AS value;
SELECT value, authz.mask_round(value, 10::real) AS by_10, authz.mask_round(value, 0.25::real) AS by_quarter, authz.mask_round(value, 0.1::real) AS by_tenth,
	authz.mask_round(value, 1e38::real) AS by_1e38, authz.mask_round(value, 1e-45::real) = value AS by_least
FROM unnest('{0,-0,0.1,0.25,0.3,0.7,9.99999,-0.0001,-10,-10.5,16777216,-16777216,3.4028235e38,-3.4028235e38,1e-45,-1e-45,NaN,Infinity,-Infinity,NULL}'::real[]) AS value;
-- Never above the value, and never a step or more below (but for the precision of a real).
SELECT count(*) AS tried, count(*) FILTER (WHERE edge > value) AS above, count(*) FILTER (WHERE value::float8 - edge::float8 >= step::float8 + 0.001) AS far
FROM (SELECT value, step, authz.mask_round(value, step) AS edge
	FROM (SELECT (i * 0.37 - 12345)::real FROM generate_series(0, 60000, 7) AS i) AS v (value), unnest('{0.1,0.3,1,7,1000,1234.5}'::real[]) AS step) AS e;
-- Numbers of one range have one result.
SELECT count(*) AS tried, count(DISTINCT edge) AS edges FROM (
	SELECT authz.mask_round(-0.7::double precision + i * 1e-5::double precision, 0.1) AS edge FROM generate_series(1, 9998) AS i) AS e;
SELECT count(*) AS tried, count(DISTINCT edge) AS edges FROM (
	SELECT authz.mask_round((-0.7 + i * 1e-5)::real, 0.1::real) AS edge FROM generate_series(1, 9998) AS i) AS e;
-- Columns of every kind have a function of their kind.
SELECT pg_typeof(authz.mask_round(1::smallint, 10::smallint)) AS smallint, pg_typeof(authz.mask_round(1::smallint, 10)) AS by_integer, pg_typeof(authz.mask_round(1, 10)) AS integer, pg_typeof(authz.mask_round(1::bigint, 10)) AS bigint,
	pg_typeof(authz.mask_round(1::numeric(8, 2), 10)) AS numeric, pg_typeof(authz.mask_round(1::real, 10)) AS real, pg_typeof(authz.mask_round(1::double precision, 0.5)) AS double;
SELECT call, pg_temp.outcome(call) FROM (VALUES
	('authz.mask_round(5::bigint, 0)'), ('authz.mask_round(5::bigint, -9223372036854775808)'), ('authz.mask_round(5, 0)'), ('authz.mask_round(5, -2147483648)'),
	('authz.mask_round(5::numeric, 0)'), ('authz.mask_round(5::numeric, -0.1)'), ($$authz.mask_round(5::numeric, 'NaN')$$),
	($$authz.mask_round('NaN'::numeric, 'Infinity')$$), ($$authz.mask_round(5::numeric, '-Infinity')$$),
	($$authz.mask_round(5::float8, '0'::float8)$$), ($$authz.mask_round(5::float8, '-1'::float8)$$), ($$authz.mask_round(5::float8, 'NaN'::float8)$$),
	('authz.mask_round(5::smallint, 0::smallint)'), ($$authz.mask_round(5::smallint, '-32768'::smallint)$$), ('authz.mask_round(5::smallint, NULL::smallint)'),
	($$authz.mask_round(5::real, 0::real)$$), ($$authz.mask_round(5::real, -1::real)$$), ($$authz.mask_round(5::real, 'NaN'::real)$$),
	($$authz.mask_round('NaN'::real, 'Infinity'::real)$$), ('authz.mask_round(NULL::real, 5::real)'),
	($$authz.mask_round('NaN'::float8, 'Infinity'::float8)$$), ('authz.mask_round(5::numeric, NULL)'), ('authz.mask_round(NULL::numeric, 5)')
) AS c (call);

-- json
SELECT value, paths, authz.mask_json(value, paths) FROM (VALUES
	('{"a": 1, "b": 2}'::jsonb, '{a}'::text[]),
	('{"a": {"b": 1, "c": 2}, "b": 3}', '{a.b}'),
	('{"a": {"b": 1, "c": 2}, "b": 3}', '{a.b,b}'),
	('{"a": {"b": 1, "c": 2}, "b": 3}', '{a,a.b}'),
	('{"a": {"b": 1, "c": 2}, "b": 3}', '{a.b,a}'),
	('{"a": {"b": 1, "c": 2}, "b": 3}', '{x,a.x,a.b.x,b.c,a.,.a}'),
	('{"a": [{"b": 1, "c": 2}, {"b": [3]}, 4, [{"b": 5}], {"c": {"b": 6}}]}', '{a.b}'),
	('{"a": [{"b": 1}, 2]}', '{a}'),
	('[{"a": 1}, {"a": {"b": 2}}, [{"a": 3, "b": {"a": 4}}], "a", null]', '{a}'),
	('{"a.b": 1, "a": {"b": 2, "b.c": 3, "b2": 4}}', '{a.b}'),
	('{"a.b": {"c": 1, "d": 2}, "a": {"b": {"c": 3}, "b.c": 4}}', '{a.b.c}'),
	('{"größe": {"日本": 1, "日": 2}}', '{größe.日本}'),
	('{"": 1, "a": {"": 2}}', '{a.}'),
	('{"a": null, "b": {}, "c": []}', '{a,b.x,c.x}'),
	('{"ab": 1, "a": 2}', '{ab}'),
	('{"0": 1, "a": [1, 2]}', '{0,a.0}'),
	('{}', '{a}'), ('[]', '{a}'), ('1', '{a}'), ('"a"', '{a}'), ('null', '{a}'), (NULL, '{a}'), ('{"a": 1}', NULL)
) AS v (value, paths);
SELECT authz.mask_json('{"a": {"b": 1, "c": {"d": [1, {"e": 2, "f": "x"}, 1.50]}}, "g": [[], {}, [{"b": true}]]}', '{{a.b,a.c.d.e},{g.b,a.c.x}}');
-- Deep.
SELECT authz.mask_json((repeat('{"a":', 1000) || '{"b":1,"c":2}' || repeat('}', 1000))::jsonb, ARRAY[repeat('a.', 1000) || 'b'])
	= (repeat('{"a":', 1000) || '{"b":null,"c":2}' || repeat('}', 1000))::jsonb AS deep_object,
	authz.mask_json((repeat('[', 1000) || '{"b":1,"c":2}' || repeat(']', 1000))::jsonb, '{b}')
	= (repeat('[', 1000) || '{"b":null,"c":2}' || repeat(']', 1000))::jsonb AS deep_array;
-- Wide, and toasted.
CREATE TEMP TABLE wide AS SELECT jsonb_object_agg('key' || i, jsonb_build_object('secret', md5(i::text), 'id', i)) AS value FROM generate_series(1, 5000) AS i;
SELECT count(*), count(*) FILTER (WHERE m.value = jsonb_build_object('secret', NULL, 'id', substr(m.key, 4)::integer)) AS masked
FROM wide, jsonb_each(authz.mask_json(wide.value, (SELECT array_agg('key' || i || '.secret') FROM generate_series(1, 5000) AS i))) AS m;
-- The same as jsonb_set where that can say it.
SELECT bool_and(authz.mask_json(v, '{a.b}') = jsonb_set(v, '{a,b}', 'null', false)) AS same
FROM (SELECT jsonb_build_object('a', jsonb_build_object('b', jsonb_build_array(i, jsonb_build_object('x', i)), 'c', i), 'b', i) FROM generate_series(1, 100) AS i) AS s (v);
SELECT call, pg_temp.outcome(call) FROM (VALUES
	($$authz.mask_json('{"a": 1}', '{}')$$), ($$authz.mask_json('{"a": 1}', '{NULL}')$$), ($$authz.mask_json('{"a": 1}', '{a,""}')$$), ($$authz.mask_json('1', '{}')$$)
) AS c (call);

-- No message holds an argument: it may be a column.
SELECT count(*) AS refused, count(*) FILTER (WHERE outcome ~ '^22023' AND outcome !~ 'hunter2|777') AS tells_nothing FROM (
	SELECT pg_temp.outcome(call) AS outcome FROM (VALUES
		($$authz.mask_partial('hunter2', -777, 'hunter2', 1)$$), ($$authz.mask_hash('hunter2', 777)$$), ($$authz.mask_date('2024-08-29'::date, 'hunter2')$$),
		($$authz.mask_round(777::bigint, -777)$$), ($$authz.mask_round(777.777, -777.777)$$), ($$authz.mask_json('{"hunter2": 777}', '{hunter2,""}')$$)
	) AS c (call)) AS o;

-- Another key for what runs after this.
SELECT authz.rotate_mask_key();
