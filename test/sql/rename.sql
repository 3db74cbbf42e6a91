-- Policies, masks and views follow a new name, whoever gives it and by whatever command; their text does, their meaning stays.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_other;
CREATE ROLE regress_authz_app;
CREATE SCHEMA regress_authz;
CREATE SCHEMA regress_authz_more;
GRANT ALL ON SCHEMA regress_authz, regress_authz_more TO regress_authz_owner, regress_authz_other;
GRANT USAGE ON SCHEMA regress_authz, regress_authz_more TO regress_authz_app;
GRANT authz_admin TO regress_authz_owner;
SELECT authz.create_role('clerk');
SET search_path = regress_authz;
SET ROLE regress_authz_other;
CREATE TABLE regress_authz_more.member (tenant int, who text);
INSERT INTO regress_authz_more.member VALUES (1, 'ann'), (2, 'bob');
GRANT SELECT ON regress_authz_more.member TO regress_authz_owner;
CREATE VIEW regress_authz_more.boss AS SELECT who AS name FROM regress_authz_more.member WHERE tenant = 2;
GRANT SELECT ON regress_authz_more.boss TO regress_authz_owner;
CREATE FUNCTION good(n int, at_least int DEFAULT 0) RETURNS boolean LANGUAGE sql STABLE RETURN n > at_least;
CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 = $2;
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN level AS int;
CREATE TYPE place AS (town text, street text);
CREATE FUNCTION place_of(int) RETURNS place LANGUAGE sql STABLE RETURN ROW('town ' || $1, 'street'::text)::place;
CREATE COLLATION plain (provider = libc, locale = 'C');
CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.simple);
RESET ROLE;
ALTER TEXT SEARCH CONFIGURATION words OWNER TO regress_authz_other;
SET ROLE regress_authz_owner;
CREATE TABLE doc (id int PRIMARY KEY, tenant int, title text, mood mood, at place);
INSERT INTO doc SELECT i, i % 3, 'title ' || i, CASE i % 2 WHEN 0 THEN 'happy' ELSE 'sad' END::mood, ROW('town ' || i, 's'::text)::place FROM generate_series(1, 6) i;
GRANT ALL ON doc TO regress_authz_app;
SELECT authz.protect('doc');
SELECT authz.create_policy('01 column', 'doc', '{select}', 'tenant = 1 AND title LIKE ''title %''');
SELECT authz.create_policy('02 lookup', 'doc', '{select}',
	'EXISTS (SELECT FROM regress_authz_more.member JOIN regress_authz_more.member m USING (tenant) WHERE member.tenant = doc.tenant AND m.who = authz.subject())');
SELECT authz.create_policy('03 view', 'doc', '{select}', '''bob'' IN (SELECT b.name FROM regress_authz_more.boss b ORDER BY b.name) AND id = 3');
SELECT authz.create_policy('04 function', 'doc', '{select}', 'good(id, at_least => 5)');
SELECT authz.create_policy('05 operator', 'doc', '{update}', 'true', check_condition => 'id === 1', columns => '{title,mood}');
SELECT authz.create_policy('06 type', 'doc', '{select}', 'mood = ''happy''::mood AND mood = ANY (ARRAY[''happy'']::mood[]) AND id = 2');
SELECT authz.create_policy('07 domain', 'doc', '{select}', 'id::level = 4::level AND tenant IS NULL');
SELECT authz.create_policy('08 attribute', 'doc', '{select}', '(at).town = ''nowhere'' OR (place_of(id)).town = ''nowhere''');
SELECT authz.create_policy('09 collation', 'doc', '{select}', 'title COLLATE plain < ''a''');
SELECT authz.create_policy('10 literals', 'doc', '{select}', 'to_tsvector(''words''::regconfig, title) @@ ''zebra''::tsquery OR ''good''::regproc IS NULL OR ''mood''::regtype IS NULL
	OR ''regress_authz_more.member''::regclass IS NULL OR ''regress_authz_more''::regnamespace IS NULL OR ''plain''::regcollation IS NULL');
SELECT authz.create_policy('11 columns', 'doc', '{select}', 'EXISTS (SELECT FROM json_to_recordset(''[]'') AS x(a mood) WHERE x.a IS NULL)', reads_settings => 'json_to_recordset');
SELECT authz.create_mask('doc', 'title', 'upper(title) || (at).town', condition => 'good(id)', priority => 1), authz.create_mask('doc', 'title', 'null', priority => 2);
SELECT authz.create_masked_view('doc', 'regress_authz_more.shown');
RESET ROLE;
GRANT SELECT ON regress_authz_more.shown TO regress_authz_app;
CREATE VIEW texts AS SELECT p.name, p.condition, p.check_condition, p.columns FROM authz.policy p WHERE p.relation = 'doc'::regclass ORDER BY p.name;
CREATE FUNCTION answers() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	SET LOCAL ROLE regress_authz_app;
	PERFORM authz.assume('ann', '{clerk}');
	SELECT string_agg(concat_ws(' ', s, '|'), ' ' ORDER BY s::text) INTO answer FROM regress_authz_more.shown s;
	RESET authz.token;
	RESET ROLE;
	RETURN answer;
END
$$;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_app;
CREATE TEMP TABLE before AS SELECT answers() AS answer, authz.policy_version() AS version, (SELECT count(*) FROM authz.policy_history) AS changes;
TABLE before;

-- By somebody else than who owns the policies.
SET ROLE regress_authz_other;
ALTER TABLE regress_authz_more.member RENAME TO members;
ALTER TABLE regress_authz_more.members RENAME COLUMN who TO person;
ALTER VIEW regress_authz_more.boss RENAME COLUMN name TO who;
ALTER TABLE regress_authz_more.boss RENAME TO bosses;
ALTER VIEW regress_authz_more.bosses SET SCHEMA regress_authz;
ALTER FUNCTION good RENAME TO better;
ALTER ROUTINE better SET SCHEMA regress_authz_more;
ALTER OPERATOR === (int, int) SET SCHEMA regress_authz_more;
ALTER TYPE mood RENAME TO humour;
ALTER TYPE humour RENAME VALUE 'happy' TO 'glad';
ALTER DOMAIN level RENAME TO height;
ALTER DOMAIN height SET SCHEMA regress_authz_more;
ALTER TYPE place RENAME ATTRIBUTE town TO city;
ALTER TYPE place SET SCHEMA regress_authz_more;
ALTER COLLATION plain RENAME TO simple;
ALTER TEXT SEARCH CONFIGURATION words RENAME TO terms;
SET ROLE regress_authz_owner;
ALTER TABLE doc RENAME COLUMN tenant TO customer;
ALTER TABLE doc RENAME COLUMN title TO name;
ALTER TABLE doc RENAME COLUMN at TO location;
ALTER TABLE doc RENAME COLUMN mood TO feeling;
RESET ROLE;
ALTER SCHEMA regress_authz_more RENAME TO regress_authz_less;
SELECT name, condition FROM texts;
SELECT name, check_condition, columns FROM texts WHERE columns IS NOT NULL;
SELECT column_name, priority, mask, condition FROM authz.mask WHERE relation = 'doc'::regclass ORDER BY priority;
SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'regress_authz_less.shown'::regclass AND attnum > 0;
ALTER SCHEMA regress_authz_less RENAME TO regress_authz_more;
SELECT answers() = replace(answer, 'happy', 'glad') AS same, authz.policy_version() > version AS moved FROM before;
-- Every change is on record, with the text that it made.
SELECT h.changed_by = session_user AS by_session_user, h.new ->> 'condition' AS condition FROM authz.policy_history h
	WHERE h.object_type = 'policy' AND h.name = '04 function' ORDER BY h.version;

-- The table itself: no text calls it by its name.  Another one of its name is another.
SELECT authz.policy_version() AS version \gset
ALTER TABLE doc RENAME TO document;
CREATE TABLE doc (id int, customer int);
ALTER TABLE document SET SCHEMA regress_authz_more;
SELECT authz.policy_version() = :version AS same_version, count(*) FROM authz.policy WHERE relation = 'regress_authz_more.document'::regclass;
DROP TABLE doc;
ALTER TABLE regress_authz_more.document SET SCHEMA regress_authz;
ALTER TABLE document RENAME TO doc;
-- One that a condition reads, and another takes its name: the one that was meant is still read.
BEGIN;
ALTER TABLE regress_authz_more.members RENAME TO former;
CREATE TABLE regress_authz_more.members (LIKE regress_authz_more.former);
INSERT INTO regress_authz_more.members VALUES (0, 'ann'), (1, 'ann'), (2, 'ann');
SELECT condition FROM texts WHERE name = '02 lookup';
SELECT answers() = replace(answer, 'happy', 'glad') AS same FROM before;
ROLLBACK;
SELECT condition FROM texts WHERE name = '02 lookup';

-- Several in a transaction: columns that change names, in functions, one undone.
BEGIN;
SELECT answer FROM before \g /dev/null
DO $$
BEGIN
	EXECUTE 'ALTER TABLE doc RENAME COLUMN id TO tmp';
	EXECUTE 'ALTER TABLE doc RENAME COLUMN customer TO id';
	EXECUTE 'ALTER TABLE doc RENAME COLUMN tmp TO customer';
	BEGIN
		EXECUTE 'ALTER TABLE doc RENAME COLUMN name TO undone';
		RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ001';
	EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
		NULL;
	END;
	BEGIN
		EXECUTE 'ALTER TABLE doc RENAME COLUMN name TO id';
	EXCEPTION WHEN duplicate_column THEN
		NULL;
	END;
	EXECUTE 'ALTER TABLE doc RENAME COLUMN feeling TO mood';
END
$$;
SELECT name, condition, columns FROM texts WHERE name IN ('01 column', '04 function', '05 operator');
SELECT answers() = replace(answer, 'happy', 'glad') AS same FROM before;
ROLLBACK;
SELECT name, condition, columns FROM texts WHERE name IN ('01 column', '05 operator');

-- DDL inside of DDL: others' event triggers that rename as well, before and after ours.
CREATE FUNCTION more_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('regress.nested', true) = 'on' THEN
		SET LOCAL regress.nested = 'off';
		EXECUTE CASE TG_EVENT WHEN 'ddl_command_end' THEN 'ALTER FUNCTION regress_authz_more.better RENAME TO best' ELSE 'ALTER TABLE regress_authz.doc RENAME COLUMN customer TO client' END;
	END IF;
END
$$;
CREATE EVENT TRIGGER aaa_more ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION more_ddl();
BEGIN;
SET LOCAL regress.nested = 'on';
ALTER TABLE doc RENAME COLUMN name TO called;
SELECT name, condition FROM texts WHERE name IN ('01 column', '04 function');
SELECT column_name, mask, condition FROM authz.mask WHERE relation = 'doc'::regclass ORDER BY priority;
SELECT answers() = replace(answer, 'happy', 'glad') AS same FROM before;
ROLLBACK;
DROP EVENT TRIGGER aaa_more;
CREATE EVENT TRIGGER zzz_more ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION more_ddl();
BEGIN;
SET LOCAL regress.nested = 'on';
ALTER TABLE doc RENAME COLUMN name TO called;
SELECT name, condition FROM texts WHERE name IN ('01 column', '04 function');
SELECT answers() = replace(answer, 'happy', 'glad') AS same FROM before;
ROLLBACK;
DROP EVENT TRIGGER zzz_more;

-- Settings of who renames change nothing.
BEGIN;
SELECT authz.create_policy('12 settings', 'doc', '{select}', 'name <> E''a\\b'' AND ''2026-02-03''::date < (now() AT TIME ZONE ''UTC'')::date AND interval ''1 month -2 days'' < interval ''1 year'' AND ARRAY[NULL, 1.1::float8] IS NOT NULL');
SELECT condition FROM texts WHERE name = '12 settings';
SET LOCAL standard_conforming_strings = off;
SET LOCAL escape_string_warning = off;
SET LOCAL DateStyle = 'SQL, DMY';
SET LOCAL IntervalStyle = 'sql_standard';
SET LOCAL quote_all_identifiers = on;
SET LOCAL extra_float_digits = -15;
SET LOCAL array_nulls = off;
ALTER TABLE doc RENAME COLUMN name TO called;
RESET standard_conforming_strings; RESET DateStyle; RESET IntervalStyle; RESET quote_all_identifiers; RESET extra_float_digits; RESET array_nulls;
SELECT condition FROM texts WHERE name = '12 settings';
ROLLBACK;

-- Parts and children; a name that is a word of the language; resource, as canonical text calls the row.
CREATE TABLE parent (id int, v text);
CREATE TABLE child () INHERITS (parent);
SELECT authz.protect('child'), authz.protect('parent');
SELECT authz.create_policy('p', 'parent', '{select}', 'v = ''x'''), authz.create_policy('c', 'child', '{select}', 'v = ''x'' AND EXISTS (SELECT FROM parent WHERE parent.v = child.v)');
ALTER TABLE parent RENAME COLUMN v TO "select";
SELECT relation, condition FROM authz.policy WHERE name IN ('p', 'c') ORDER BY name DESC;
ALTER TABLE parent RENAME COLUMN "select" TO resource;
ALTER TABLE parent RENAME TO resource;
SELECT relation, condition FROM authz.policy WHERE name IN ('p', 'c') ORDER BY name DESC;
ALTER TABLE child RENAME TO "Child "" of";
ALTER TABLE resource RENAME COLUMN id TO "Id";
SELECT relation, condition FROM authz.policy WHERE name IN ('p', 'c') ORDER BY name DESC;
DROP TABLE resource CASCADE;

-- A function of the name that is taken away in the same breath is not what is called then.
CREATE FUNCTION other(n int, at_least int DEFAULT 0) RETURNS boolean LANGUAGE sql STABLE RETURN true;
BEGIN;
ALTER FUNCTION regress_authz_more.better SET SCHEMA regress_authz;
ALTER FUNCTION better RENAME TO former;
ALTER FUNCTION other RENAME TO better;
SELECT condition FROM texts WHERE name = '04 function';
SELECT answers() = replace(answer, 'happy', 'glad') AS same FROM before;
ROLLBACK;
-- One that would fit better takes the name's place: the rename is refused, not the reading later.
BEGIN;
CREATE FUNCTION regress_authz_more.preferred(n int) RETURNS boolean LANGUAGE sql STABLE RETURN true;
\set VERBOSITY default
SAVEPOINT s;
ALTER FUNCTION regress_authz_more.better(int, int) RENAME TO preferred;
ROLLBACK TO s;
SELECT authz.drop_policy('10 literals', 'doc');
ALTER FUNCTION regress_authz_more.better(int, int) RENAME TO preferred;
ROLLBACK TO s;
CREATE FUNCTION any_of(VARIADIC int[]) RETURNS boolean LANGUAGE sql STABLE RETURN false;
CREATE FUNCTION any_pair(int, int) RETURNS boolean LANGUAGE sql STABLE RETURN true;
SELECT authz.create_policy('13 variadic', 'doc', '{select}', 'any_of(id, id)');
ALTER FUNCTION any_of RENAME TO any_pair;
SELECT condition FROM texts WHERE name = '13 variadic';
\set VERBOSITY terse
ROLLBACK;

-- Who may not is told so by PostgreSQL, and locks nothing.
SET ROLE regress_authz_app;
ALTER TABLE doc RENAME COLUMN name TO mine;
ALTER TABLE doc ALTER COLUMN name DROP EXPRESSION;
ALTER FUNCTION regress_authz_more.better RENAME TO mine;
ALTER TYPE humour RENAME TO mine;
ALTER SCHEMA regress_authz RENAME TO mine;
ALTER TABLE IF EXISTS nosuch RENAME TO mine;
RESET ROLE;
SELECT answers() = replace(answer, 'happy', 'glad') AS same FROM before;

-- Types change where the condition holds; not where it would call something else.
CREATE FUNCTION size(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN 1;
CREATE FUNCTION size(bigint) RETURNS int LANGUAGE sql IMMUTABLE RETURN 2;
CREATE TABLE sized (a int, b int, c text);
SELECT authz.protect('sized'), authz.create_policy('s', 'sized', '{select}', 'size(a) = 1 AND b > 0 AND c <> ''''');
ALTER TABLE sized ALTER COLUMN b TYPE bigint, ALTER COLUMN c TYPE varchar(20);
\set VERBOSITY default
ALTER TABLE sized ALTER COLUMN a TYPE bigint;
ALTER TABLE sized ALTER COLUMN b TYPE text;
\set VERBOSITY terse
DROP TABLE sized;

-- The extension's own objects stay as they are.
ALTER TABLE authz.role_grant DROP CONSTRAINT role_grant_role_fkey;
ALTER TABLE authz.policy ADD COLUMN more int;
ALTER TABLE authz.policy DISABLE TRIGGER USER;
ALTER TABLE authz.mask ALTER COLUMN mask DROP NOT NULL;
ALTER TABLE authz.role OWNER TO regress_authz_other;
DROP TRIGGER record ON authz.policy;
DROP INDEX authz.role_grant_subject_idx;
ALTER INDEX authz.policy_pkey RENAME TO other;
CREATE INDEX ON authz.policy (name);
CREATE TRIGGER mine BEFORE INSERT ON authz.policy FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE POLICY mine ON authz.policy USING (false);
CREATE RULE mine AS ON DELETE TO authz.policy DO INSTEAD NOTHING;
CREATE STATISTICS regress_authz.mine ON name, effect FROM authz.policy;
CREATE TABLE mine () INHERITS (authz.policy);
ALTER FUNCTION authz.permits(text, oid) COST 1;
CREATE OR REPLACE FUNCTION authz.policy_version() RETURNS bigint LANGUAGE sql STABLE RETURN 1;
ALTER SEQUENCE authz.version_seq RESTART;
ALTER SCHEMA authz RENAME TO other;
ALTER VIEW authz.policy RENAME COLUMN name TO other;
ALTER TABLE authz.policy SET SCHEMA regress_authz;
\set VERBOSITY default
ALTER FUNCTION authz.subject() OWNER TO regress_authz_other;
\set VERBOSITY terse
-- What does no harm.
BEGIN;
COMMENT ON TABLE authz.policy IS 'ours';
GRANT SELECT ON authz.policy TO regress_authz_app;
GRANT EXECUTE ON FUNCTION authz.protect(regclass, boolean) TO regress_authz_app;
CREATE TABLE refers (role text COLLATE "C" REFERENCES authz.role);
ANALYZE authz.policy;
REINDEX TABLE authz.policy;
ROLLBACK;

RESET search_path;
SET client_min_messages = error;
DROP SCHEMA regress_authz, regress_authz_more CASCADE;
DROP OWNED BY regress_authz_app, regress_authz_owner, regress_authz_other;
DROP ROLE regress_authz_owner, regress_authz_other, regress_authz_app;
SELECT count(*) FROM authz.policy;
SELECT authz.drop_role('clerk');
