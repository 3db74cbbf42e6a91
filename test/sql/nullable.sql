-- A forbid whose condition is NULL forbids: who stores one that can be NULL is told.

\set SHOW_CONTEXT never
SELECT authz.create_role('clerk');
CREATE SCHEMA nullable;
SET search_path = nullable;
CREATE TABLE item (id int PRIMARY KEY, n int, m int, at timestamptz, done boolean, sure boolean NOT NULL, name text NOT NULL, tags text[], data jsonb);
CREATE TABLE other (id int PRIMARY KEY, n int);
CREATE FUNCTION maybe(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN $1 > 1 THEN true END';
SELECT authz.protect('item');
INSERT INTO item SELECT i, nullif(i % 5, 0), nullif(i % 3, 0), CASE WHEN i % 4 > 0 THEN timestamptz '2020-01-01' + i * interval '1 year' END,
	CASE WHEN i % 7 < 5 THEN i % 7 > 2 END, i % 2 = 0, 'n' || i, CASE WHEN i % 3 > 0 THEN ARRAY['a', CASE WHEN i % 2 > 0 THEN 'b' END] END,
	CASE WHEN i % 5 > 0 THEN jsonb_build_object('k', nullif(i % 5, 1)) END
FROM generate_series(1, 60) i;
INSERT INTO other SELECT i, nullif(i % 4, 0) FROM generate_series(1, 30) i;

-- Each condition: whether it is told, and whether it is NULL for a row.  What is not told must not be.
CREATE TABLE condition (n int GENERATED ALWAYS AS IDENTITY, text text);
INSERT INTO condition (text) VALUES
	('at < now()'),
	('at IS NOT NULL AND at < now()'),
	('at < now() AND at IS NOT NULL'),
	('coalesce(at < now(), false)'),
	('(at < now()) IS TRUE'),
	('(at < now()) IS NOT UNKNOWN'),
	('at IS NULL OR at < now()'),
	('NOT (at IS NOT NULL AND at < now())'),
	('NOT (at IS NULL OR at < now())'),
	('at IS NULL AND at < now()'),
	('at IS NOT NULL OR at < now()'),
	('coalesce(at, ''infinity'') < now()'),
	('at IS DISTINCT FROM now()'),
	('id = 5'),
	('name = ''n1'' AND sure'),
	('sure'),
	('done'),
	('NOT done'),
	('done IS NOT FALSE'),
	('id = 5 OR done'),
	('(n > 1) IS TRUE AND n < 4'),
	('(n + m > 1) IS FALSE AND n < m'),
	('n + m IS NOT NULL AND n < 4 AND m > 0'),
	('n IS NOT NULL AND (m IS NULL OR n < m)'),
	('n IS NOT NULL AND n < m'),
	('n IN (1, 2)'),
	('id IN (1, 2)'),
	('id IN (1, NULL)'),
	('id = ANY (ARRAY[1, n])'),
	('id <> ALL (''{1,NULL}'')'),
	('name = ANY (tags)'),
	('tags && ''{a}'''),
	('CASE WHEN at IS NOT NULL THEN at < now() ELSE false END'),
	('CASE WHEN at IS NOT NULL THEN at < now() END'),
	('CASE WHEN sure THEN done ELSE true END'),
	('CASE n WHEN 1 THEN sure ELSE false END'),
	('nullif(id, 3) = 4'),
	('greatest(n, id) > 4'),
	('greatest(n, m) > 4'),
	('(id, n) = (1, 2)'),
	('(id, length(name)) < (1, 2)'),
	('n::bigint = 5'),
	('n::text LIKE ''1%'''),
	('lower(name) = ''n1'''),
	('data ->> ''k'' = ''2'''),
	('data IS NOT NULL AND data ->> ''k'' = ''2'''),
	('data IS NOT NULL AND data ? ''k'''),
	('array_length(''{}''::int[], 1) = id'),
	('NULL'),
	('true'),
	('maybe(id)'),
	('EXISTS (SELECT FROM other o WHERE o.n = item.n)'),
	('NOT EXISTS (SELECT FROM other o WHERE o.n = item.n)'),
	('id IN (SELECT o.id FROM other o)'),
	('id NOT IN (SELECT o.n FROM other o)'),
	('n NOT IN (SELECT o.id FROM other o)'),
	('id NOT IN (SELECT o.id FROM other x LEFT JOIN other o ON o.id = x.id AND x.id < 3)'),
	('id > (SELECT max(o.id) FROM other o WHERE o.id > 1000)'),
	('id > ALL (SELECT o.n FROM other o)'),
	('ARRAY(SELECT o.id FROM other o) @> ARRAY[id]'),
	('authz.has_role(''clerk'') AND id > 3'),
	('id = authz.attr_bigint(''blocked'')'),
	('n = authz.attr_bigint(''blocked'')'),
	('coalesce(id = authz.attr_bigint(''blocked''), false)'),
	('authz.attr_boolean(''blocked'')'),
	('name = authz.subject()');

CREATE FUNCTION told(condition text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM authz.create_policy('f', 'item', '{select}', condition, effect => 'forbid');
	PERFORM authz.drop_policy('f', 'item');
	RETURN NULL;
END
$$;
CREATE FUNCTION nulls(condition text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM item WHERE (%s) IS NULL', condition) INTO n;
	RETURN n;
END
$$;
\set ECHO none
SELECT format('SELECT %L AS condition, nulls(%L) AS nulls, told(%L)', text, text, text) FROM condition ORDER BY n \gexec
\set ECHO all

-- A permit is not meant; a policy that becomes a forbid is; one that stays what it is, is not said again.
SELECT authz.create_policy('p', 'item', '{select,update}', 'at < now()');
SELECT authz.alter_policy('p', 'item', effect => 'forbid');
SELECT authz.alter_policy('p', 'item', description => 'as it is');
SELECT authz.alter_policy('p', 'item', check_condition => 'done');
SELECT authz.alter_policy('p', 'item', condition => 'sure');
SELECT authz.disable_policy('p', 'item');
UPDATE authz.policy SET check_condition = 'n = 1' WHERE relation = 'item'::regclass AND name = 'p';
-- Nor when a dump brings it.
SELECT authz.drop_policy('p', 'item');
INSERT INTO authz.policy (relation, name, effect, actions, condition, version, changed_at, changed_by, depends_on)
	VALUES ('item', 'restored', 'forbid', '{select}', 'at < now()', 1, '2020-01-01', 'postgres', '{}');

SET client_min_messages = warning;
DROP SCHEMA nullable CASCADE;
SELECT authz.drop_role('clerk');
