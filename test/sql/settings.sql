-- Conditions and masks do not depend on settings of the session: what is refused, what is accepted, what is reported.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_authz_owner, regress_authz_user;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role('staff');
CREATE SCHEMA settings AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA settings TO regress_authz_user;
SET ROLE regress_authz_owner;
SET search_path = settings;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (n int, day date);
CREATE TABLE doc (id int PRIMARY KEY, day date, at timestamp, moment timestamptz, ratio float8, amount numeric, price money,
	raw bytea, long interval, name text, tags text[], days date[], state mood, class regclass, data jsonb, page xml, span daterange,
	both_of pair, zone text, mark point);
SELECT authz.protect('doc');
-- One line for each: what is stored, or what it depends on.
CREATE FUNCTION try(conditions text[]) RETURNS TABLE (condition text, result text) LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	FOREACH condition IN ARRAY conditions LOOP
		BEGIN
			PERFORM authz.create_policy('tried', 'doc', '{select}', condition);
			PERFORM authz.drop_policy('tried', 'doc');
			result := 'accepted';
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			result := SQLSTATE || ' ' || coalesce(nullif(detail, ''), SQLERRM);
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
\t
\pset format unaligned
-- Conversions to text.
SELECT * FROM try(ARRAY['day::text LIKE ''2026-%''', 'at::text = ''x''', 'moment::text = ''x''', 'ratio::text = ''x''', 'raw::text = ''x''', 'price::text = ''x''',
	'long::text = ''x''', 'days::text = ''x''', 'span::text = ''x''', 'both_of::text = ''x''', 'class::text = ''x''', 'mark::text = ''x''', 'ROW(id, day)::text = ''x''',
	'name || day = ''x''', 'concat(id, ratio) = ''x''', 'array_to_string(days, '','') = ''x''', 'to_jsonb(moment) = data', 'jsonb_build_object(''a'', raw) = data',
	'row_to_json(ROW(id, day))::text = ''x''', 'xmlelement(name a, raw)::text = ''x''', 'xmlforest(moment)::text = ''x''', 'quote_ident(name) = ''x''', 'format(''%s'', id) = ''x''',
	'quote_literal(day) = ''x''']);
SELECT * FROM try(ARRAY['day >= ''2026-01-01'' AND day < ''2027-01-01''', 'id::text = ''x''', 'amount::text = ''x''', 'tags::text = ''x''', 'state::text = ''x''', 'data::text = ''x''',
	'ROW(id, name)::text = ''x''', 'name || id = ''x''', 'concat(id, name) = ''x''', 'array_to_string(tags, '','') = ''x''', 'to_jsonb(id) = data', 'jsonb_build_object(''a'', name) = data',
	'encode(raw, ''hex'') = ''x''', 'xmlelement(name a, name)::text = ''x''', 'quote_literal(name) = ''x''']);
-- Conversions from text.
SELECT * FROM try(ARRAY['name::date = day', 'name::timestamptz = moment', 'name::interval = long', 'name::money = price', 'name::int[] = ARRAY[1]', 'name::regclass = class',
	'to_regclass(name) = class', 'name::xml IS DOCUMENT', 'name::daterange = span', 'name::pair = both_of', 'amount::money = price', 'to_date(name, ''DD TMMonth YYYY'') = day',
	'EXISTS (SELECT FROM xmltable(''/a'' PASSING page COLUMNS d date))', 'EXISTS (SELECT FROM jsonb_to_record(data) r(d date) WHERE d = day)']);
SELECT * FROM try(ARRAY['name::int = 1', 'name::float8 = 1', 'name::bytea = raw', 'name::mood = state', 'name::jsonb = data', 'XMLPARSE(CONTENT name) IS DOCUMENT', 'class = ''doc''::regclass',
	'to_date(name, ''YYYY-MM-DD'') = day', 'price > ''5.00''::money', 'tags = ''{a,NULL}''', 'raw = ''\x01''', 'moment > ''2026-01-01 10:00 EST''']);
-- Time zones.
SELECT * FROM try(ARRAY['day = current_date', 'localtimestamp > at', 'moment > day', 'at < moment', 'moment::date = day', 'moment = at::timestamptz', 'greatest(moment, day) = moment',
	'moment IN (SELECT d.day FROM doc d)', 'moment = ANY (days)', 'moment IS DISTINCT FROM at', 'NULLIF(moment, day) IS NULL', '(id, day) < (1, now())', 'moment > now() - interval ''30 days''',
	'moment > now() - long', 'extract(hour FROM moment) = 1', 'date_trunc(''day'', moment) = moment', 'age(moment, now()) > ''1 day''', 'age(at) > ''1 day''', 'to_char(moment, ''YYYY'') = ''2026''',
	'to_char(day, ''YYYY'') = ''2026''', '(moment AT TIME ZONE ''EST'')::date = day', '(moment AT TIME ZONE zone)::date = day', 'make_timestamptz(2026, 1, 1, 0, 0, 0) = moment',
	'jsonb_path_exists_tz(data, ''$.a'')', 'EXISTS (SELECT sum(1) OVER (ORDER BY moment RANGE BETWEEN ''1 day'' PRECEDING AND CURRENT ROW) FROM doc d)']);
SELECT * FROM try(ARRAY['day = (now() AT TIME ZONE ''UTC'')::date', 'now() AT TIME ZONE ''Europe/Berlin'' > at', 'moment > day::timestamp AT TIME ZONE ''UTC''', 'moment > now()', 'moment > CURRENT_TIMESTAMP',
	'greatest(moment, now()) = moment', 'moment IS DISTINCT FROM now()', '(id, moment) < (1, now())', 'moment > now() - interval ''720 hours''', 'moment > (now() AT TIME ZONE ''UTC'' - interval ''30 days'') AT TIME ZONE ''UTC''',
	'extract(epoch FROM moment) = 1', 'extract(hour FROM moment AT TIME ZONE ''UTC'') = 1', 'date_trunc(''day'', moment, ''UTC'') = moment', 'age(at, at) > ''1 day''', 'to_char(moment AT TIME ZONE ''UTC'', ''YYYY'') = ''2026''',
	'day + 1 > ''2026-01-01''', 'now() <@ tstzrange(moment, NULL)', 'jsonb_path_exists(data, ''$.a'')']);
-- Names, formats, text search, and settings themselves.
SELECT * FROM try(ARRAY['to_char(amount, ''9D9'') = ''x''', 'to_char(at, ''TMMonth'') = ''x''', 'to_tsvector(name) @@ to_tsquery(''english'', ''x'')', 'to_tsvector(''english'', name) @@ to_tsquery(''x'')', 'name @@ ''x''::tsquery',
	'current_setting(''app.tenant'') = name', 'current_schema = name', 'has_table_privilege(''doc'', ''select'')', 'row_security_active(''doc'')', 'EXISTS (SELECT FROM pg_settings WHERE pg_settings.name = ''x'')']);
SELECT * FROM try(ARRAY['to_char(amount, ''FM990.00'') = ''x''', 'to_char(at, ''Month'') = ''x''', 'to_tsvector(''english'', name) @@ to_tsquery(''english'', ''x'')', 'authz.attr(''tenant'') = name', 'current_user = name',
	'pg_has_role(current_user, ''pg_monitor'', ''member'')', 'has_table_privilege(class, ''select'')', 'inet_client_addr() << ''10.0.0.0/8''', 'moment > authz.attr_timestamptz(''from'')']);

-- Every STABLE function of PostgreSQL is refused, but these; so one that a new version brings is refused first.
CREATE FUNCTION call(function oid) RETURNS text LANGUAGE sql STABLE RETURN (
	SELECT format('pg_catalog.%I(%s) IS NULL', p.proname, string_agg('NULL::' || CASE t.oid::regtype::text
		WHEN '"any"' THEN 'text' WHEN 'anyelement' THEN 'text' WHEN 'anynonarray' THEN 'int' WHEN 'anyarray' THEN 'text[]' WHEN 'anyenum' THEN 'settings.mood'
		WHEN 'record' THEN 'pg_namespace' ELSE t.oid::regtype::text END, ', ' ORDER BY a.n))
	FROM pg_proc p LEFT JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY a(type, n) ON true LEFT JOIN pg_type t ON t.oid = a.type
	WHERE p.oid = call.function GROUP BY p.oid);
CREATE FUNCTION is_refused(function oid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM authz.create_policy('tried', 'doc', '{select}', call(function));
	PERFORM authz.drop_policy('tried', 'doc');
	RETURN false;
EXCEPTION WHEN invalid_object_definition THEN
	RETURN SQLERRM = 'condition must not depend on settings of the session';
END
$$;
WITH stable AS MATERIALIZED (
	SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.provolatile = 's' AND p.prokind = 'f' AND NOT p.proretset
	AND NOT EXISTS (SELECT FROM pg_type t WHERE t.oid = ANY (p.proargtypes || p.prorettype) AND t.typtype = 'p'
		AND t.typname NOT IN ('any', 'anyelement', 'anynonarray', 'anyarray', 'anyenum')))
SELECT s.oid::regprocedure FROM stable s WHERE NOT is_refused(s.oid) ORDER BY s.oid::regprocedure::text COLLATE "C";

-- Where it hides: a view, a domain's check, a default argument, a body, an operator, an aggregate.
CREATE VIEW days AS SELECT id, day::text AS day FROM doc;
CREATE DOMAIN new_year AS date CHECK (to_char(VALUE, 'MMDD') = '0101');
CREATE DOMAIN first_day AS date CHECK (extract(day FROM VALUE) = 1);
CREATE FUNCTION with_default(text DEFAULT current_date::text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 = 'x';
CREATE OPERATOR ~~~ (LEFTARG = date, RIGHTARG = timestamptz, FUNCTION = date_eq_timestamptz);
CREATE AGGREGATE last_day(date) (SFUNC = date_larger, STYPE = date, FINALFUNC = timestamptz);
SELECT * FROM try(ARRAY['EXISTS (SELECT FROM days d WHERE d.day = ''x'')', 'day::new_year = day', 'with_default()', 'day ~~~ moment',
	'(SELECT max(d.day::text) FROM doc d) = ''x''', '(SELECT last_day(d.day) FROM doc d) = moment', 'CASE WHEN id = 1 THEN day::text ELSE name END = ''x''', 'COALESCE(name, day::text) = ''x''', 'ARRAY[name, day::text] = tags',
	'id IN (SELECT d.id FROM doc d ORDER BY d.day::text LIMIT 1)', 'EXISTS (WITH w AS (SELECT d.day::text FROM doc d) SELECT FROM w)', 'EXISTS (VALUES (day::text))', 'moment IN (SELECT d.day FROM doc d UNION SELECT now())', 'moment IN (SELECT now() UNION ALL (SELECT d.day FROM doc d EXCEPT SELECT d.day FROM doc d))',
	'EXISTS (SELECT FROM doc d JOIN (SELECT now() AS day) n USING (day))',
	'EXISTS (SELECT FROM unnest(ARRAY[day::text]) u)', 'EXISTS (SELECT FROM doc d JOIN doc e ON d.day::text = e.name)']);
SELECT * FROM try(ARRAY['EXISTS (SELECT FROM doc d WHERE d.name = ''x'')', 'day::first_day = day', 'with_default(name)', 'day IN (SELECT d.day FROM doc d UNION SELECT NULL)', 'at IN (SELECT d.day FROM doc d UNION SELECT d.at FROM doc d)']);

-- Position and hint.
\set VERBOSITY default
SELECT authz.create_policy('p', 'doc', '{select}', 'id = 1 AND day::text LIKE ''2026-%''');
SELECT authz.create_policy('p', 'doc', '{insert}', 'true', check_condition => 'day = current_date');
SELECT authz.create_mask('doc', 'day', '(left(day::text, 4) || ''-01-01'')::date');
SELECT authz.create_mask('doc', 'name', 'partial(1, 1)', condition => 'current_date > day');
-- Users' functions: nobody can tell.
CREATE FUNCTION opaque(date) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1::text LIKE ''2026%''; END';
CREATE FUNCTION half(date) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS 'BEGIN RETURN $1::text LIKE ''2026%''; END';
CREATE FUNCTION reads(date) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1::text LIKE '2026%';
CREATE FUNCTION through(date) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN settings.opaque($1);
CREATE FUNCTION pinned(date) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS 'BEGIN RETURN $1::text LIKE ''2026%''; END';
CREATE FUNCTION plain(date) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 > '2026-01-01';
SELECT authz.create_policy('opaque', 'doc', '{select}', 'opaque(day)');
SELECT authz.create_policy('half', 'doc', '{select}', 'half(day)');
SELECT authz.create_policy('reads', 'doc', '{select}', 'reads(day)');
SELECT authz.create_policy('through', 'doc', '{select}', 'through(day)');
SELECT authz.create_policy('pinned', 'doc', '{select}', 'pinned(day)');
SELECT authz.create_policy('plain', 'doc', '{select}', 'plain(day)');
SELECT authz.create_policy('checked', 'doc', '{select}', 'opaque(day)', reads_settings => 'it does not');
\set VERBOSITY terse
SELECT authz.drop_policy(p.name, 'doc') FROM authz.policy p WHERE p.relation = 'doc'::regclass ORDER BY p.name;

-- Who needs it gives the reason; without it the same text is refused again.
SELECT authz.create_policy('may', 'doc', '{select}', 'day::text LIKE ''2026-%''', reads_settings => 'clients never set DateStyle');
SELECT authz.create_policy('may not', 'doc', '{select}', 'true', reads_settings => '');
SELECT authz.alter_policy('may', 'doc', reads_settings => '');
SELECT condition, reads_settings FROM authz.policy WHERE relation = 'doc'::regclass;
SELECT authz.create_mask('doc', 'name', 'day::text', reads_settings => 'clients never set DateStyle');
SELECT authz.alter_mask('doc', 'name', reads_settings => '');
SELECT mask, reads_settings FROM authz.mask WHERE relation = 'doc'::regclass;
-- Written while it may, and read back when it may not: it denies, loudly; the text is in the list.
RESET ROLE;
INSERT INTO settings.doc (id, day) VALUES (1, '2026-05-05');
GRANT SELECT ON settings.doc TO regress_authz_user;
SELECT authz.condition_reads_settings(relation, condition), authz.condition_reads_settings(relation, 'true') FROM authz.policy WHERE relation = 'settings.doc'::regclass;
SELECT authz.mask_reads_settings(relation, column_name, mask), authz.mask_reads_settings(relation, column_name, 'partial(1, 1)') FROM authz.mask WHERE relation = 'settings.doc'::regclass;
SET ROLE regress_authz_user;
BEGIN;
SELECT authz.assume('alice', '{staff}');
SELECT id FROM settings.doc;
COMMIT;
RESET ROLE;
SET session_replication_role = replica;
UPDATE authz.policy SET reads_settings = NULL WHERE relation = 'settings.doc'::regclass;
RESET session_replication_role;
SET ROLE regress_authz_user;
BEGIN;
SELECT authz.assume('alice', '{staff}');
SELECT id FROM settings.doc;
COMMIT;
RESET ROLE;
SELECT authz.drop_policy('may', 'settings.doc'), authz.drop_mask('settings.doc', 'name');

-- Literals are read and stored alike under any settings.
SET ROLE regress_authz_owner;
SET search_path = settings;
SET DateStyle = 'SQL, DMY';
SET TimeZone = 'America/New_York';
SET IntervalStyle = sql_standard;
SET bytea_output = escape;
SET lc_monetary = 'C.utf8';
SET extra_float_digits = -15;
SELECT authz.create_policy('literals', 'doc', '{select}', 'day > ''2026-02-01'' AND moment > ''2026-02-01'' AND long > ''1 day 02:00'' AND raw = ''\x01'' AND price > ''5.00'' AND ratio > 0.1::float8 AND tags = ''{NULL}''');
RESET DateStyle;
RESET TimeZone;
RESET IntervalStyle;
RESET bytea_output;
RESET lc_monetary;
RESET extra_float_digits;
SELECT condition FROM authz.policy WHERE relation = 'doc'::regclass;
SELECT authz.drop_policy('literals', 'doc');

-- What a condition reads through something else: row security of tables in sub-selects, a cast that makes JSON, a domain that text becomes.
CREATE TABLE member (name text);
ALTER TABLE member ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON member USING (name = current_setting('app.tenant', true));
CREATE TABLE plain_member (name text);
ALTER TABLE plain_member ENABLE ROW LEVEL SECURITY;
CREATE POLICY of_all ON plain_member USING (name <> 'nobody');
CREATE VIEW member_view AS SELECT * FROM member;
CREATE FUNCTION mood_json(mood) RETURNS json LANGUAGE plpgsql STABLE AS 'BEGIN RETURN to_json(current_setting(''app.mood'', true)); END';
CREATE CAST (mood AS json) WITH FUNCTION mood_json(mood);
CREATE DOMAIN chosen AS text CHECK (VALUE <> current_setting('app.x', true));
CREATE DOMAIN chosen_again AS chosen;
CREATE TYPE chosen_range AS RANGE (subtype = chosen_again);
SELECT * FROM try(ARRAY['EXISTS (SELECT FROM member m WHERE m.name = doc.name)', 'EXISTS (SELECT FROM member_view m WHERE m.name = doc.name)',
	'EXISTS (SELECT FROM plain_member m WHERE m.name = doc.name)', 'name::chosen_range IS NULL', 'name::chosen_again IS NULL',
	'jsonb_send(data) = raw', 'int4send(id) = raw', 'to_json(name)::text = name', 'to_json(state)::text = name']);
DROP CAST (mood AS json);
SELECT * FROM try(ARRAY['to_json(state)::text = name']);
-- A path is fixed if no schema of the reader's stands in it, and temporary tables come last.
CREATE FUNCTION of_user(date) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = "$user", settings, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS 'BEGIN RETURN EXISTS (SELECT FROM member); END';
CREATE FUNCTION under_temp(date) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = settings SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS 'BEGIN RETURN EXISTS (SELECT FROM member); END';
CREATE FUNCTION over_temp(date) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = settings, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS 'BEGIN RETURN EXISTS (SELECT FROM member); END';
SELECT * FROM try(ARRAY['of_user(day)', 'under_temp(day)', 'over_temp(day)']);
-- Looking into a CHECK runs nothing of it, least of all with the rights of a superuser.
CREATE FUNCTION who_checks(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET DateStyle = 'ISO' AS
	'BEGIN RAISE WARNING ''the CHECK runs, as a superuser: %'', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user); RETURN true; END';
CREATE DOMAIN checked AS int CHECK (settings.who_checks(1));
SELECT authz.create_policy('checked', 'doc', '{select}', 'id::checked > 0');
\t
\c -reuse-previous=on "options="
\t
SET client_min_messages = warning;
SET ROLE regress_authz_owner;
SET search_path = settings;
SELECT problem FROM authz.protection_status() WHERE relation = 'doc'::regclass;
ALTER TABLE doc RENAME id TO number;
ALTER TABLE doc RENAME number TO id;
SELECT authz.drop_policy('checked', 'doc');

-- Masks apply in the order of their priorities, not of the table or an index.
RESET ROLE;
UPDATE settings.doc SET name = 'hidden';
SET ROLE regress_authz_owner;
SELECT authz.create_policy('all', 'doc', '{select}');
SELECT authz.create_mask('doc', 'name', 'clear', '{*}', priority => 100);
SELECT authz.create_mask('doc', 'name', 'null', '{staff}', priority => 10);
SELECT authz.create_masked_view('doc', 'doc_view');
GRANT SELECT ON doc_view TO regress_authz_user;
\t
\c -reuse-previous=on "options=-P"
\t
SHOW ignore_system_indexes;
-- One about the index of a TOAST table, of which core has no other way.
SET client_min_messages = error;
SET ROLE regress_authz_user;
BEGIN;
SELECT authz.assume('alice', '{staff}');
SELECT id, coalesce(name, 'masked') FROM settings.doc_view;
COMMIT;
BEGIN;
SELECT authz.assume('bob', '{}');
SELECT id, coalesce(name, 'masked') FROM settings.doc_view;
COMMIT;
RESET ROLE;
\c -reuse-previous=on "options="
SET client_min_messages = error;
DROP SCHEMA settings CASCADE;
REVOKE ALL ON FUNCTION authz.assume FROM regress_authz_user;
SELECT authz.drop_role('staff');
DROP ROLE regress_authz_owner, regress_authz_user;
