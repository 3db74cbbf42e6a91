-- Masks as rows: what is accepted, how it is stored, what is refused, what is shown.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_other;
CREATE ROLE regress_authz_app;
GRANT authz_admin TO regress_authz_owner, regress_authz_other;
SELECT authz.create_role('clerk'), authz.create_role('boss'), authz.create_role('chief', '{boss}');
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
CREATE SCHEMA regress_authz_evil AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_other, regress_authz_app;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_app, regress_authz_owner;
-- A type that looks like text to the parser, as citext does.
CREATE TYPE regress_authz.label;
CREATE FUNCTION regress_authz.label_in(cstring) RETURNS regress_authz.label LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION regress_authz.label_out(regress_authz.label) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE regress_authz.label (INPUT = regress_authz.label_in, OUTPUT = regress_authz.label_out, LIKE = text, CATEGORY = 'S');
CREATE CAST (regress_authz.label AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS regress_authz.label) WITHOUT FUNCTION AS ASSIGNMENT;
SET ROLE regress_authz_owner;
SET search_path = regress_authz;
CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]+$');
CREATE DOMAIN codes AS code[];
CREATE DOMAIN big AS int NOT NULL CHECK (VALUE > 10);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE addr AS (street text, city text);
CREATE TABLE kind (id int PRIMARY KEY, t text, v varchar(10), c char(8), nm name, lb label, cd code, cc text COLLATE "C",
	i2 smallint, i4 int, i8 bigint, n numeric(8,2), f4 real, f8 float8, bg big, d date, ts timestamp, tz timestamptz,
	u uuid, jb jsonb, j json, "ch" "char", b boolean, tm time, iv interval, by bytea, o oid, md mood, a int[], at text[], cs codes,
	ad addr, r int4range, sys inet, made int GENERATED ALWAYS AS (i4 * 2) STORED);
CREATE TABLE doc (id int PRIMARY KEY, tenant bigint, title varchar(20), email text, contact text, tags text[], pay int, note text,
	half int GENERATED ALWAYS AS (pay / 2) STORED);
CREATE TABLE member (tenant bigint, who text);
CREATE FUNCTION is_short(text) RETURNS boolean LANGUAGE sql STABLE RETURN length($1) < 5;
CREATE FUNCTION wrap(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN '<' || $1 || '>';
CREATE FUNCTION plain(int) RETURNS text LANGUAGE sql STABLE RETURN 'plain ' || $1;
-- What comes of a mask: its stored text, or the error.  Nothing stays.
CREATE FUNCTION try_mask(on_table regclass, "column" name, mask text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	state text;
BEGIN
	PERFORM authz.create_mask(on_table, "column", mask);
	RAISE SQLSTATE 'ZZ000' USING MESSAGE = (SELECT m.mask FROM authz.mask m WHERE (m.relation, m.column_name, m.priority) = (on_table, "column", 100));
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, state = RETURNED_SQLSTATE;
	RETURN CASE state WHEN 'ZZ000' THEN message ELSE state || ': ' || message || coalesce(' | ' || nullif(detail, ''), '') END;
END
$$;

--
-- Short names and the types that they are for
--
CREATE TABLE tried AS
	SELECT m.mask, m.n, split_part(m.mask, '(', 1) AS short, a.attnum, format_type(a.atttypid, NULL) AS type, a.attname, try_mask('kind', a.attname, m.mask) AS result
	FROM pg_attribute a, unnest('{clear,"null",constant(NULL),email,hash,hash(8),"partial(1, 1)",uuid,date(''year''),round(10),"json(''a.b'', ''c'')"}'::text[])
		WITH ORDINALITY m(mask, n)
	WHERE a.attrelid = 'kind'::regclass AND a.attnum > 0 AND a.attgenerated = '';
SELECT mask, string_agg(type, ', ' ORDER BY attnum) AS accepted FROM tried WHERE result !~ '^[0-9A-Z]{5}: ' GROUP BY mask, n HAVING count(*) < 34 ORDER BY n;
SELECT mask, count(*) AS for_every_column FROM tried WHERE result !~ '^[0-9A-Z]{5}: ' GROUP BY mask, n HAVING count(*) = 34 ORDER BY n;
-- Each other one is refused in the same words, which name the column and its type, and say which types would do.
SELECT DISTINCT short, replace(replace(result, '"' || attname || '"', '<column>'), 'of type ' || type || ' |', 'of type <type> |') AS refused
	FROM tried WHERE result ~ '^[0-9A-Z]{5}: ' ORDER BY 1, 2;
SELECT try_mask('kind', 'bg', 'email');
SELECT try_mask('kind', 'ts', 'round(1)');

-- Arguments
SELECT c AS column, m AS mask, try_mask('kind', c, m) AS result FROM (VALUES
	(1, 't'::name, 'partial(0, 0)'), (2, 't', 'partial(-1, 2)'), (3, 't', 'partial(1, -2)'), (4, 't', 'partial'), (5, 't', 'partial(1)'), (6, 't', 'partial(1, 2, 3)'),
	(7, 't', 'partial(''3'', 2)'), (8, 't', 'partial(''a'', 2)'), (9, 't', 'hash()'), (10, 't', 'hash(3)'), (11, 't', 'hash(7)'), (12, 't', 'hash(64)'), (13, 't', 'hash(65)'),
	(14, 't', 'hash(-8)'), (15, 't', 'hash(8, 9)'), (16, 'd', 'date(''MONTH'')'), (17, 'd', 'date(''fortnight'')'), (18, 'd', 'date(''hour'')'), (19, 'ts', 'date(''hour'')'),
	(20, 'tz', 'date(''fortnight'')'), (21, 'd', 'date'), (22, 'd', 'date(''month'', ''year'')'), (23, 'i4', 'round'), (24, 'i4', 'round(0)'), (25, 'i4', 'round(-5)'),
	(26, 'i4', 'round(1e12)'), (27, 'i4', 'round(0.4)'), (28, 'i2', 'round(100000)'), (29, 'n', 'round(0.05)'), (30, 'f8', 'round(''NaN'')'), (31, 'f4', 'round(''inf'')'),
	(32, 'bg', 'round(0)'), (33, 'jb', 'json'), (34, 'jb', 'json()'), (35, 'jb', 'json('''')'), (36, 'jb', 'json(''a'', ''b.c'')'), (37, 'i4', 'constant'), (38, 'i4', 'constant()'),
	(39, 'i4', 'constant(1, 2)'), (41, 'i4', 'constant(''abc'')'), (42, 'i4', 'constant(true)'), (43, 't', 'constant(v)'),
	(44, 't', 'constant(''x'' || kind.v)'), (45, 't', 'constant((SELECT v))'), (46, 't', 'constant(random()::text)'), (47, 't', 'constant(max(1)::text)'),
	(48, 'cs', 'constant(''{A}''::codes)'), (49, 'u', 'uuid(1)'), (50, 't', 'clear(1)'), (51, 't', 'email(1)')) x(n, c, m) ORDER BY n;
-- Not one of these is a mask.
SELECT m AS mask, try_mask('doc', 'note', m) AS result FROM unnest(ARRAY['', ' ', 'emial', 'emial(3)', 'regress_authz.email', 'email, email', 'email AS x', 'email FROM doc',
	'email WHERE true', 'email; DROP TABLE doc', 'DISTINCT email', 'email ORDER BY 1', 'email LIMIT 1', 'VALUES (1)', 'email(note)', 'null()', '"Email"', '*', 'doc.*'])
	WITH ORDINALITY x(m, n) ORDER BY n;
-- A condition is read in the same way.
SELECT authz.create_policy('x', 'doc', '{select}', '*');

--
-- Short names win; a column or function of that name is what a qualified name means.
--
CREATE FUNCTION email(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'function';
CREATE FUNCTION partial(int, int) RETURNS text LANGUAGE sql IMMUTABLE RETURN 'function';
SELECT m AS mask, try_mask('doc', 'contact', m) AS result FROM unnest(ARRAY['email', 'EMAIL', '(email)', '"email"', 'doc.email', 'doc.email || ''''', 'email(email)', 'partial(2, 2)',
	'regress_authz.partial(2, 2)', 'partial(id, 2)', 'hash', 'doc.contact', 'contact', 'NULL', 'NULL::text'])
	WITH ORDINALITY x(m, n) ORDER BY n;
-- pg_catalog's functions of such names mean what they did, also when the text is read back.
SELECT m AS mask, try_mask('kind', 'n', m) AS result FROM unnest(ARRAY['round(n)', 'round(n, 1)', 'round(5.5)']) WITH ORDINALITY x(m, n) ORDER BY n;
SELECT try_mask('kind', 'n', 'pg_catalog.round(5.5)') LIKE '%mask_round%' AS turned_into_the_short_name;
-- A constant is an expression as any other, and stored so.
SELECT authz.create_mask('doc', 'note', 'constant(plain(7))');
SELECT authz.create_mask('kind', 'md', 'constant(''glad''::mood)');
SELECT column_name, mask LIKE '%regress_authz.%' AS qualified FROM authz.mask WHERE column_name IN ('note', 'md') ORDER BY 1;
RESET ROLE;
SET search_path = pg_catalog;
SELECT authz.check_mask(relation, column_name, mask, depends_on) FROM authz.mask WHERE column_name IN ('note', 'md');
SET search_path = regress_authz;
SET ROLE regress_authz_owner;
DELETE FROM authz.mask WHERE column_name IN ('note', 'md');

--
-- Expressions: stored canonically, whatever search_path sees them later.
--
SELECT authz.create_mask('doc', 'title', 'left(title, 2) || wrap(note)', '{clerk}', 'is_short(title) AND tenant IN (1, 2)', 1, '[2020-01-01 00:00+00,)', 'short ones');
SELECT authz.create_mask('doc', 'tags', 'ARRAY[''t'' || id::text]', '{clerk,boss}', 'EXISTS (SELECT FROM member WHERE member.tenant = doc.tenant AND who = authz.subject())');
SELECT authz.create_mask('regress_authz.doc', 'pay', 'CASE WHEN doc.pay > 10 THEN 10 ELSE resource.pay END', '{anonymous}', priority => -5);
SELECT column_name, priority, mask, roles, condition, isempty(valid_during) AS never, lower(valid_during) = '2020-01-01 00:00+00' AS since, enabled, description
	FROM authz.mask WHERE relation = 'doc'::regclass ORDER BY column_name, priority;
CREATE FUNCTION regress_authz_evil.wrap(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1;
CREATE FUNCTION regress_authz_evil.left(text, int) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1;
CREATE FUNCTION regress_authz_evil.is_short(text) RETURNS boolean LANGUAGE sql STABLE RETURN true;
SET search_path = regress_authz_evil, pg_catalog, regress_authz;
SELECT authz.alter_mask('doc', 'title', roles => '{clerk,boss}', priority => 1);
SELECT mask, condition FROM authz.mask WHERE relation = 'doc'::regclass AND column_name = 'title';
-- Unless it is given anew: then it means what its author sees.
SELECT authz.alter_mask('doc', 'title', mask => 'left(title, 2) || wrap(note)', priority => 1);
SELECT mask, condition FROM authz.mask WHERE relation = 'doc'::regclass AND column_name = 'title';
SET search_path = regress_authz;
SELECT authz.alter_mask('doc', 'title', mask => 'left(title, 2) || wrap(note)', priority => 1);
DROP FUNCTION regress_authz_evil.wrap(text), regress_authz_evil.left(text, int), regress_authz_evil.is_short(text);

-- Refused
CREATE TEMP TABLE mine (who text);
SELECT m AS mask, try_mask('doc', 'note', m) AS result FROM unnest(ARRAY['nosuch', 'nosuch(note)', 'member.who', 'random()::text', 'clock_timestamp()::text', '(SELECT who FROM member WHERE random() < 1)',
	'max(note)', 'lag(note) OVER ()', 'unnest(tags)', 'doc', 'doc::text', 'resource::text', 'to_jsonb(doc)::text', '(SELECT doc::text)', 'ctid::text', 'tableoid::regclass::text', 'xmin::text',
	'(SELECT who FROM member FOR UPDATE)', '(SELECT who FROM mine)', '(SELECT who, tenant FROM member)', '$1', 'id', 'tags', 'tenant = 1', 'ROW(1, 2)', '(''a''::text, ''{A}''::codes)::text',
	'''{A}''::codes::text', '''{A}''::code[]::text', '''A''::code', '''(a,b)''::addr::text', 'CAST(NULL AS codes)::text', 'ROW(''a'', ''b'')::addr::text'])
	WITH ORDINALITY x(m, n) ORDER BY n;
SELECT c AS column, m AS mask, try_mask('kind', c, m) AS result FROM (VALUES (1, 'i4'::name, 'i8'), (2, 'i4', 'f8 * 2'), (3, 'i4', 't'), (4, 'i4', '''7'''), (5, 'n', 'i4'), (6, 'd', 'tz'), (7, 'd', 'i4'), (8, 'b', 'i4'),
	(9, 'bg', '5'), (10, 'cd', 't'), (11, 'cd', 'lower(cd)'), (12, 'md', '''sad'''), (13, 'md', '''angry'''), (14, 'md', 't'), (15, 'a', 'a[1:1]'), (16, 'a', 'i4'), (17, 'a', '''{1}'''), (18, 'at', 'ARRAY[t]'), (19, 'ad', 'ROW(''x'', NULL)'),
	(20, 'ad', 'ROW((ad).street, ''***'')::addr'), (21, 'ad', 'ROW(1)'), (22, 'ad', '''(x,)'''), (23, 'r', '''[1,2)'''), (24, 'jb', 'j'), (25, 'jb', 'jb - ''a'''), (26, 'j', 'jb'), (27, 'v', '''longer than ten characters'''),
	(28, 'c', 't'), (29, 'nm', 't'), (30, 'lb', 't'), (31, 'lb', 'upper(lb)'), (32, 'cs', 'cs[1:1]'), (33, 'cs', '''{A}'''), (34, 'cs', 'ARRAY[cd]'), (35, 'u', 't'), (36, 'cc', 't'), (37, 'o', 'i4')) x(n, c, m) ORDER BY n;
\set VERBOSITY default
SELECT authz.create_mask('doc', 'note', 'note || nosuch');
SELECT authz.create_mask('doc', 'note', 'left(note, ');
SELECT authz.create_mask('doc', 'note', 'left(note, 1)', condition => 'tenant + 1', priority => 3);
SELECT authz.create_mask('doc', 'pay', 'email', priority => 3);
\set VERBOSITY terse
SELECT authz.create_mask('doc', 'note', 'note', condition => 'random() < 0.5', priority => 3);
SELECT authz.create_mask('doc', 'note', 'note', condition => 'email', priority => 3);
SELECT authz.create_mask('doc', 'note', 'note', condition => '', priority => 3);

--
-- The rest of a row
--
SELECT authz.create_mask('doc', 'nosuch', 'null');
SELECT authz.create_mask('doc', '', 'null');
SELECT authz.create_mask('doc', NULL, 'null');
SELECT authz.create_mask('doc', 'half', 'null');
SELECT authz.create_mask('doc', 'ctid', 'null');
SELECT authz.create_mask('doc', 'tableoid', 'null');
SELECT authz.create_mask('nosuch', 'id', 'null');
SELECT authz.create_mask(NULL, 'id', 'null');
-- The row that fails has a number and a time in it.
CREATE FUNCTION try_row("column" name, mask text, roles text[], condition text, priority int, valid_during tstzrange) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM authz.create_mask('doc', "column", mask, roles, condition, priority, valid_during);
	RETURN 'made';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END
$$;
SELECT try_row(c, m, r, o, p, d) FROM (VALUES (1, 'id'::name, NULL, '{*}'::text[], 'true', 7, '(,)'::tstzrange), (2, 'id', 'null', NULL, 'true', 7, '(,)'), (3, 'id', 'null', '{*}', NULL, 7, '(,)'),
	(4, 'id', 'null', '{*}', 'true', NULL, '(,)'), (5, 'id', 'null', '{*}', 'true', 7, NULL), (6, 'id', 'null', '{}', 'true', 7, '(,)'), (7, 'id', 'null', '{clerk,NULL}', 'true', 7, '(,)'),
	(8, 'id', 'null', '{nosuch}', 'true', 7, '(,)'), (9, 'id', 'null', '{*}', 'true', 7, 'empty')) x(n, c, m, r, o, p, d) ORDER BY n;
SELECT authz.drop_mask('doc', 'id', name => 'id');
\set VERBOSITY default
SELECT authz.create_mask('doc', 'title', 'null', priority => 1);
\set VERBOSITY terse
UPDATE authz.mask SET priority = 2 WHERE relation = 'doc'::regclass AND column_name = 'title';
SELECT authz.create_mask('doc', 'title', 'null', priority => 1);
UPDATE authz.mask SET priority = 2 WHERE relation = 'doc'::regclass AND column_name = 'title' AND priority = 1;
SELECT authz.create_mask('doc', 'note', 'null');
UPDATE authz.mask SET column_name = 'title', priority = 2 WHERE relation = 'doc'::regclass AND column_name = 'note';
SELECT authz.drop_mask('doc', 'title', 1);
SELECT authz.drop_mask('doc', 'title', 1);
SELECT authz.drop_mask('doc', 'nosuch');
SELECT authz.alter_mask('doc', 'title', mask => 'null');
SELECT authz.alter_mask('doc', 'title', mask => 'round(1)', priority => 2);
SELECT authz.alter_mask('doc', 'title', mask => 'partial(1, 1)', roles => '{boss}', condition => 'id > 0', valid_during => '[2020-01-01 00:00+00,2030-01-01 00:00+00)', description => 'new', enabled => false, priority => 2);
SELECT mask, roles, condition, valid_during = '[2020-01-01 00:00+00,2030-01-01 00:00+00)' AS valid, description, enabled FROM authz.mask WHERE relation = 'doc'::regclass AND column_name = 'title';
SELECT authz.alter_mask('doc', 'title', description => '', enabled => true, priority => 2);
SELECT mask, description, enabled FROM authz.mask WHERE relation = 'doc'::regclass AND column_name = 'title';

-- The table is the API: the same triggers.
INSERT INTO authz.mask (relation, column_name, mask) VALUES ('doc', 'email', 'wrap(email)');
INSERT INTO authz.mask (relation, column_name, mask) VALUES ('doc', 'email', 'wrap(id)');
INSERT INTO authz.mask (relation, column_name, mask, priority, version, changed_at, changed_by, depends_on)
	VALUES ('doc', 'email', 'partial(1, 1)', 7, 0, '2000-01-01', 'somebody', '{1}');
SELECT mask, priority, version > 0 AS numbered, changed_at > '2020-01-01' AS late, changed_by = session_user AS by_me, depends_on @> ARRAY['doc'::regclass::oid] AS depends
	FROM authz.mask WHERE relation = 'doc'::regclass AND column_name = 'email' ORDER BY 2;
UPDATE authz.mask SET mask = 'wrap(note)' WHERE relation = 'doc'::regclass AND column_name = 'email' AND priority = 7;
DELETE FROM authz.mask WHERE relation = 'doc'::regclass AND column_name = 'email' AND priority = 100;
TRUNCATE authz.mask;
SELECT operation, object_type, relation, name FROM authz.policy_history WHERE relation = 'regress_authz.doc' AND name LIKE 'email%' ORDER BY version;

-- Only the owner of a table changes its masks, administrator or not.
SET ROLE regress_authz_other;
SELECT authz.create_mask('doc', 'id', 'null');
SELECT authz.alter_mask('doc', 'email', mask => 'clear', priority => 7);
SELECT authz.drop_mask('doc', 'email', 7);
UPDATE authz.mask SET enabled = false WHERE relation = 'doc'::regclass;
DELETE FROM authz.mask WHERE relation = 'doc'::regclass;
CREATE TEMP TABLE own (email text);
SELECT authz.create_mask('own', 'email', 'null');
UPDATE authz.mask SET relation = 'doc'::regclass WHERE relation = 'own'::regclass;
DROP TABLE own;
SET ROLE regress_authz_app;
SELECT authz.create_mask('doc', 'id', 'null');
SELECT count(*) FROM authz.mask;
RESET ROLE;
REVOKE authz_admin FROM regress_authz_owner;
SET ROLE regress_authz_owner;
SELECT authz.create_mask('doc', 'id', 'null');
DELETE FROM authz.mask;
RESET ROLE;
GRANT authz_admin TO regress_authz_owner;
-- A role that a mask names stays.
SELECT authz.drop_role('boss');
DELETE FROM authz.role WHERE name = 'boss';
UPDATE authz.role SET name = 'b' WHERE name = 'boss';
SET ROLE regress_authz_owner;

--
-- What is shown
--
DELETE FROM authz.mask WHERE relation IN ('doc'::regclass, 'kind'::regclass);
INSERT INTO doc (id, tenant, title, email, contact, tags, pay, note) VALUES (1, 1, 'first', 'ann@example.org', 'bob@example.com', '{a,b}', 101, 'n1'),
	(2, 2, 'second', NULL, 'nobody', NULL, 202, 'n2'), (3, 3, 'third', 'eve@example.net', NULL, '{}', NULL, 'n3');
INSERT INTO member VALUES (1, 'ann'), (2, 'eve');
SELECT authz.protect('doc'), authz.create_policy('all', 'doc', '{select}', roles => '{*,anonymous}');
SELECT authz.create_masked_view('doc', 'doc_masked');
GRANT SELECT ON doc_masked TO regress_authz_app;
-- The first by priority that applies; a condition that is NULL does not; without one, NULL.
SELECT authz.create_mask('doc', 'title', 'constant(''boss'')', '{boss}', 'tenant < 3', 1), authz.create_mask('doc', 'title', 'clear', '{boss,clerk}', 'pay < 200', 2),
	authz.create_mask('doc', 'title', 'partial(1, 1)', condition => 'contact <> ''nobody''', priority => 2147483647), authz.create_mask('doc', 'title', 'constant(''before all'')', '{anonymous}', priority => -2147483648);
-- Other columns are read as they are, and other tables with the owner's rights.
SELECT authz.create_mask('doc', 'note', '(SELECT who FROM member WHERE member.tenant = doc.tenant) || '' '' || email');
-- "email" is the short name, doc.email the column.
SELECT authz.create_mask('doc', 'contact', 'email', '{clerk}'), authz.create_mask('doc', 'contact', 'doc.email', '{boss}', priority => 101);
-- Its time has not come, is over, is now; a disabled one counts for being masked only.
SELECT authz.create_mask('doc', 'pay', 'clear', '{boss}'), authz.create_mask('doc', 'pay', 'constant(-1)', valid_during => '[2100-01-01,)', priority => 3), authz.create_mask('doc', 'pay', 'constant(-2)', valid_during => '(,2020-01-01)', priority => 4),
	authz.create_mask('doc', 'pay', 'round(100)', '{clerk}', valid_during => '[2020-01-01,2100-01-01)', priority => 5);
SELECT authz.create_mask('doc', 'tags', 'clear'), authz.alter_mask('doc', 'tags', enabled => false);
SET ROLE regress_authz_app;
SELECT authz.assume('ann', '{}');
SELECT * FROM doc_masked ORDER BY id;
SELECT authz.assume('ann', '{clerk}');
SELECT * FROM doc_masked ORDER BY id;
SELECT authz.assume('ann', '{boss}');
SELECT * FROM doc_masked ORDER BY id;
-- A role that inherits it has it.
SELECT authz.assume('ann', '{chief}');
SELECT id, title, contact, pay, half FROM doc_masked ORDER BY id;
RESET authz.token;
SELECT * FROM doc_masked ORDER BY id;
RESET ROLE;
SET ROLE regress_authz_owner;
SELECT authz.alter_mask('doc', 'tags', enabled => true), authz.drop_mask('doc', 'pay'), authz.drop_mask('doc', 'pay', 3), authz.drop_mask('doc', 'pay', 4), authz.drop_mask('doc', 'pay', 5);
SELECT authz.create_mask('doc', 'pay', 'clear', condition => 'id <> 1');
SET ROLE regress_authz_app;
SELECT authz.assume('ann', '{}');
-- What is computed from pay is seen where pay is.
SELECT id, pay, half, tags FROM doc_masked ORDER BY id;
SELECT id FROM doc_masked WHERE half = 50;
RESET ROLE;
RESET authz.token;

-- Every type, clear and masked: the view's columns are of the table's types and collations.
SET ROLE regress_authz_owner;
DROP TABLE mine;
INSERT INTO kind (id, t, v, c, nm, lb, cd, cc, i2, i4, i8, n, f4, f8, bg, d, ts, tz, u, jb, j, ch, b, tm, iv, by, o, md, a, at, cs, ad, r, sys)
	VALUES (1, 'ann@example.org', 'abcdefghij', 'abc', 'a name', 'a label', 'ABC', 'abcdef', 123, -123, 12345, 123.45, 12.5, 12.5, 77, '2020-05-17', '2020-05-17 10:11:12', '2020-05-17 10:11:12+00',
	'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": {"b": 1, "x": 2}, "c": 3, "d": 4}', '{}', 'x', true, '10:11', '1 day', '\x00', 7, 'glad', '{1,2}', '{x,y}', '{A,B}', '("High Street",York)', '[1,5)', '10.0.0.1');
SELECT authz.protect('kind'), authz.create_policy('all', 'kind', '{select}'), authz.create_masked_view('kind', 'kind_masked');
GRANT SELECT ON kind_masked TO regress_authz_app;
SELECT t.attname, t.atttypid::regtype, v.atttypid::regtype, t.attcollation::regcollation, v.attcollation::regcollation
	FROM pg_attribute t FULL JOIN pg_attribute v ON v.attrelid = 'kind_masked'::regclass AND v.attname = t.attname
	WHERE t.attrelid = 'kind'::regclass AND t.attnum > 0 AND (t.atttypid, t.attcollation) IS DISTINCT FROM (v.atttypid, v.attcollation);
SELECT authz.create_mask('kind', a.attname, 'clear', '{boss}', priority => 1), authz.create_mask('kind', a.attname, 'null', '{chief}', priority => 2)
	FROM pg_attribute a WHERE attrelid = 'kind'::regclass AND attnum > 1 AND attgenerated = '' \g /dev/null
SELECT authz.create_mask('kind', c::name, m) FROM (VALUES ('t', 'email'), ('v', 'partial(2, 2)'), ('c', 'partial(1, 1)'), ('nm', 'partial(1, 1)'), ('lb', 'partial(1, 1)'), ('cd', 'partial(1, 0)'), ('cc', 'upper(left(t, 3))'), ('i2', 'round(50)'),
	('i4', 'round(100)'), ('i8', 'round(1000)'), ('n', 'round(0.5)'), ('f4', 'round(5)'), ('f8', 'round(0.3)'), ('bg', 'round(50)'), ('d', 'date(''month'')'), ('ts', 'date(''hour'')'), ('tz', 'date(''decade'')'), ('jb', 'json(''a.b'', ''c'')'),
	('md', '''sad'''), ('a', 'a[1:1]'), ('at', 'ARRAY[left(t, 1)]'), ('cs', 'cs[2:2]'), ('ad', 'ROW(''***'', (ad).city)'), ('r', 'constant(''empty'')')) x(c, m) \g /dev/null
SET ROLE regress_authz_app;
\x on
SELECT authz.assume('ann', '{boss}') \g /dev/null
SELECT * FROM kind_masked;
SELECT authz.assume('ann', '{}') \g /dev/null
SELECT * FROM kind_masked;
-- A NULL of a domain that is NOT NULL is shown as well.
SELECT authz.assume('ann', '{clerk}') \g /dev/null
SELECT num_nulls(VARIADIC ARRAY[j::text, ch::text, b::text, tm::text, iv::text, by::text, o::text, sys::text, u::text]) AS without_mask, (ad).city, cs[1], a[1], bg + 1 AS bg FROM kind_masked;
RESET ROLE;
SET ROLE regress_authz_owner;
SELECT authz.alter_mask('kind', 't', mask => 'hash(12)'), authz.create_mask('kind', 'u', 'uuid'), authz.alter_mask('kind', 'bg', mask => 'null'), authz.alter_mask('kind', 'cd', mask => 'constant(''not a code'')') \g /dev/null
SET ROLE regress_authz_app;
SELECT bg, cd, bg IS NULL AS is_null, cd || '!' AS text, length(t) AS hash, u <> 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' AS uuid FROM kind_masked;
\x off
-- Comparisons go by the table's collation, also between a masked and a clear one.
SELECT count(*) FROM kind_masked WHERE cc < 'a' COLLATE "C";
SELECT count(*) FROM kind_masked k JOIN kind_masked l ON k.cc = l.cc;
SELECT count(*) FROM kind_masked WHERE cc = nm;
RESET ROLE;
RESET authz.token;

--
-- DDL that a mask would not survive is refused, and names the mask; it follows new names.
--
SET ROLE regress_authz_owner;
CREATE TABLE more (id int PRIMARY KEY, contact text, extra text, age int, made int GENERATED ALWAYS AS (age * 2) STORED);
INSERT INTO more (id, age) VALUES (1, 33);
SELECT authz.protect('more'), authz.create_policy('all', 'more', '{select}');
SELECT authz.create_mask('more', 'contact', 'wrap(extra)'), authz.create_mask('more', 'extra', 'email', condition => 'is_short(contact)'), authz.create_mask('more', 'age', 'round(10)', priority => 5);
\set VERBOSITY default
ALTER TABLE more DROP COLUMN age;
\set VERBOSITY terse
ALTER TABLE more DROP COLUMN age CASCADE;
ALTER TABLE more RENAME COLUMN extra TO other;
SELECT column_name, priority, mask, condition FROM authz.mask WHERE relation = 'more'::regclass ORDER BY 1;
ALTER TABLE more RENAME COLUMN other TO extra;
ALTER TABLE more ALTER COLUMN extra TYPE bytea USING NULL;
ALTER TABLE more ALTER COLUMN age TYPE bigint;
ALTER TABLE more ALTER COLUMN extra TYPE varchar(40);
DROP FUNCTION wrap(text);
ALTER FUNCTION wrap(text) RENAME TO unwrap;
ALTER FUNCTION unwrap(text) VOLATILE;
RESET ROLE;
ALTER FUNCTION is_short(text) SET SCHEMA regress_authz_evil;
SELECT column_name, priority, mask, condition FROM authz.mask WHERE relation = 'more'::regclass ORDER BY 1;
ALTER FUNCTION regress_authz_evil.is_short(text) SET SCHEMA regress_authz;
SET ROLE regress_authz_owner;
ALTER FUNCTION unwrap(text) RENAME TO wrap;
DROP FUNCTION is_short(text) CASCADE;
-- A generated column that becomes an ordinary one would keep what its sources hide.
ALTER TABLE more ALTER COLUMN made DROP EXPRESSION;
-- What breaks nothing is let through.
ALTER TABLE more RENAME TO rest;
CREATE OR REPLACE FUNCTION wrap(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN '[' || $1 || ']';
ALTER TABLE rest ADD COLUMN added int;
ALTER TABLE rest DROP COLUMN added;
BEGIN;
SELECT authz.drop_mask('rest', 'age', 5);
ALTER TABLE rest DROP COLUMN age CASCADE;
ROLLBACK;
SELECT column_name, priority, mask FROM authz.mask WHERE relation = 'rest'::regclass ORDER BY 1;
DROP TABLE rest;
-- History knows the name that it last recorded.
SELECT operation, name FROM authz.policy_history WHERE relation = 'regress_authz.more' AND object_type = 'mask' ORDER BY operation, name;

-- Under the policies of a parent, its masks hold; one of the part's own is refused.
CREATE TABLE parent (id int, v text);
CREATE TABLE child (extra text) INHERITS (parent);
INSERT INTO child VALUES (1, 'v', 'extra');
SELECT authz.protect('parent'), authz.create_policy('all', 'parent', '{select}');
SELECT authz.create_mask('parent', 'v', 'null');
SELECT try_mask('child', 'extra', 'null');
SELECT authz.create_mask('child', 'extra', 'null');
-- Nor can a table with masks become such a part.
CREATE TABLE late (id int, v text);
SELECT authz.create_mask('late', 'v', 'null');
ALTER TABLE late INHERIT parent;

RESET ROLE;
DROP SCHEMA regress_authz, regress_authz_evil CASCADE;
SELECT count(*) FROM authz.mask;
SELECT authz.drop_role('chief'), authz.drop_role('clerk'), authz.drop_role('boss');
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_app, regress_authz_owner;
DROP ROLE regress_authz_owner, regress_authz_other, regress_authz_app;
