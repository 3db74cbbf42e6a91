-- Agreement: for sets of policies and several identities, the rows by filtering
-- are the rows by permits_row are the rows of the WHERE that one would write by
-- hand, whose attributes are constants.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA rows_agree AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA rows_agree TO regress_authz_user;
SELECT authz.create_role(r) FROM unnest('{member,clerk}'::text[]) r;
SET search_path = rows_agree;

CREATE TABLE thing (
	id int PRIMARY KEY, tenant bigint, owner text, tags text[], secret boolean,
	created timestamptz, price numeric, ref uuid, data jsonb);
INSERT INTO thing
SELECT i,
	CASE WHEN i % 7 > 0 THEN i % 4 END,
	CASE WHEN i % 5 > 0 THEN (ARRAY['alice', 'bob', 'carol'])[1 + i % 3] END,
	CASE WHEN i % 6 > 0 THEN ARRAY['t' || i % 4, 't' || i % 5] END,
	CASE WHEN i % 4 > 0 THEN i % 3 = 0 END,
	CASE WHEN i % 9 > 0 THEN timestamptz '2020-01-01 00:00+00' + i * interval '30 days' END,
	CASE WHEN i % 8 > 0 THEN i * 3.5 END,
	CASE WHEN i % 3 > 0 THEN ('00000000-0000-0000-0000-00000000000' || i % 4)::uuid END,
	CASE WHEN i % 5 > 1 THEN jsonb_build_object('level', 't' || i % 3, 'tenant', i % 4) END
FROM generate_series(1, 30) i;
CREATE TABLE team (tenant bigint, who text);
INSERT INTO team VALUES (1, 'alice'), (2, 'alice'), (2, 'bob'), (0, 'dave'), (NULL, 'carol');
CREATE FUNCTION is_dear(numeric) RETURNS boolean LANGUAGE plpgsql STABLE
	SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS 'BEGIN RETURN $1 > 50; END';
CREATE TABLE part (LIKE thing) PARTITION BY LIST (tenant);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_rest PARTITION OF part DEFAULT;
INSERT INTO part SELECT * FROM thing;
GRANT ALL ON thing, part, part_1, part_rest TO regress_authz_user;
-- All rows for everybody: these views belong to a superuser.
CREATE VIEW every_thing AS SELECT thing AS "row" FROM thing;
GRANT SELECT ON every_thing TO regress_authz_user;
SELECT authz.protect('thing'), authz.protect('part');

-- Conditions, with {names} for what the identity gives.
CREATE TABLE condition (n int GENERATED ALWAYS AS IDENTITY, text text);
INSERT INTO condition (text) VALUES
	('true'),
	('false'),
	('NULL'),
	('tenant = {tenant}'),
	('tenant IS DISTINCT FROM {tenant}'),
	('owner = {subject}'),
	('owner = {subject} OR tenant = {tenant}'),
	('NOT (secret AND tenant <> {tenant})'),
	('tags && {tags}'),
	('{name} = ANY (tags)'),
	('created < {since}'),
	('ref = {ref}'),
	('secret = {flag}'),
	('{flag}'),
	('secret'),
	('secret IS NOT TRUE'),
	('tenant = ANY ({tenants})'),
	('price BETWEEN 10 AND {tenant} * 40'),
	('CASE WHEN secret THEN owner = {subject} ELSE true END'),
	('coalesce(tenant, 0) = coalesce({tenant}, 0)'),
	('data->>''level'' = {name}'),
	('data @> jsonb_build_object(''tenant'', {tenant})'),
	('owner LIKE left({name}, 1) || ''%'''),
	('EXISTS (SELECT FROM team t WHERE t.tenant = thing.tenant AND t.who = {subject})'),
	('tenant IN (SELECT t.tenant FROM team t WHERE t.who = {subject})'),
	('tenant NOT IN (SELECT t.tenant FROM team t WHERE t.who = {subject})'),
	('price > (SELECT avg(x.price) FROM thing x WHERE x.tenant = thing.tenant)'),
	('(SELECT count(*) FROM team t WHERE t.who = {subject}) > 1'),
	('{clerk}'),
	('(tenant, owner) = ({tenant}, {subject})'),
	('lower(owner) COLLATE "C" < ''b'''),
	('price / nullif(tenant, 0) > 10'),
	('is_dear(price)'),
	('owner IN (''alice'', {subject}) AND secret IS NOT NULL'),
	('tenant > 0 AND tenant < {tenant}');

-- How a name reads in a policy, and who gives it which value.
CREATE TABLE placeholder (name text PRIMARY KEY, accessor text);
INSERT INTO placeholder VALUES
	('tenant', 'authz.attr_bigint(''tenant'')'), ('subject', 'authz.subject()'), ('tags', 'authz.attr_text_array(''tags'')'),
	('name', 'authz.attr(''name'')'), ('since', 'authz.attr_timestamptz(''since'')'), ('ref', 'authz.attr_uuid(''ref'')'),
	('flag', 'authz.attr_boolean(''flag'')'), ('tenants', 'authz.attr_bigint_array(''tenants'')'),
	('clerk', 'authz.has_role(''clerk'')');
CREATE TABLE identity (
	subject text, roles text[], attributes jsonb, tenant bigint, tags text[], name text, since timestamptz, ref uuid,
	flag boolean, tenants bigint[]);
INSERT INTO identity VALUES
	(NULL, '{anonymous}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('alice', '{*,member}', '{"tenant": 1, "tags": ["t1", "t2"], "name": "t1", "since": "2021-01-01T00:00:00Z",
		"ref": "00000000-0000-0000-0000-000000000001", "flag": true, "tenants": [1, 3]}',
		1, '{t1,t2}', 't1', '2021-01-01 00:00+00', '00000000-0000-0000-0000-000000000001', true, '{1,3}'),
	('bob', '{*,member,clerk}', '{"tenant": "2", "tags": ["t9"], "name": "bo", "since": 1600000000, "flag": "false", "tenants": []}',
		2, '{t9}', 'bo', to_timestamp(1600000000), NULL, false, '{}'),
	('carol', '{*,clerk}', '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	('dave', '{*}', '{"tenant": 3, "tenants": [2], "name": "t2"}', 3, NULL, 't2', NULL, NULL, NULL, '{2}'),
	-- Nothing of what eve has is of the form that is asked for.
	('eve', '{*,member}', '{"tenant": "1x", "tags": "t1", "name": ["t1"], "since": "soon", "ref": "00", "flag": 1, "tenants": ["x"]}',
		NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE FUNCTION in_policy(template text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n placeholder;
BEGIN
	FOR n IN SELECT * FROM placeholder LOOP
		template := replace(template, '{' || n.name || '}', n.accessor);
	END LOOP;
	RETURN template;
END
$$;
CREATE FUNCTION by_hand(template text, who identity) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	template := replace(template, '{tenant}', format('%L::bigint', who.tenant));
	template := replace(template, '{subject}', format('%L::text', who.subject));
	template := replace(template, '{tags}', format('%L::text[]', who.tags));
	template := replace(template, '{name}', format('%L::text', who.name));
	template := replace(template, '{since}', format('%L::timestamptz', who.since));
	template := replace(template, '{ref}', format('%L::uuid', who.ref));
	template := replace(template, '{flag}', format('%L::boolean', who.flag));
	template := replace(template, '{tenants}', format('%L::bigint[]', who.tenants));
	RETURN replace(template, '{clerk}', format('%L::boolean', 'clerk' = ANY (who.roles)));
END
$$;

-- Sets of policies: each condition as a permit, as a forbid, and three of them together for different roles.
CREATE TABLE rule (set text, name text, effect text, roles text[], template text);
INSERT INTO rule SELECT 'permit ' || n, 'p', 'permit', '{*,anonymous}', text FROM condition;
INSERT INTO rule SELECT 'forbid ' || n, 'p', 'permit', '{*,anonymous}', 'true' FROM condition;
INSERT INTO rule SELECT 'forbid ' || n, 'f', 'forbid', '{*}', text FROM condition;
INSERT INTO rule
SELECT 'mixed ' || c.n, 'r' || i,
	CASE WHEN i = 2 THEN 'forbid' ELSE 'permit' END,
	CASE (c.n + i) % 4 WHEN 0 THEN '{*}' WHEN 1 THEN '{member}' WHEN 2 THEN '{clerk,anonymous}' ELSE '{clerk,member}' END::text[],
	d.text
FROM condition c, generate_series(0, 3) i JOIN LATERAL (SELECT count(*) AS n FROM condition) k ON true,
	LATERAL (SELECT text FROM condition d WHERE d.n = 1 + (c.n * 5 + i * 11) % k.n) d;

CREATE TABLE result (set text, subject text, way text, ids int[]);

-- The ids of the rows that the action touches under the current identity; nothing is left changed.
CREATE FUNCTION touched(command text) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	ids int[];
BEGIN
	BEGIN
		EXECUTE format('WITH t AS (%s) SELECT array_agg(id ORDER BY id) FROM t', command) INTO ids;
		RAISE EXCEPTION USING ERRCODE = 'AGREE';
	EXCEPTION WHEN SQLSTATE 'AGREE' THEN
		RETURN ids;
	END;
END
$$;
CREATE FUNCTION insertable() RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	ids int[];
	r thing;
BEGIN
	FOR r IN SELECT ("row").* FROM every_thing ORDER BY ("row").id LOOP
		BEGIN
			r.id := r.id + 1000;
			INSERT INTO thing SELECT r.*;
			ids := ids || r.id - 1000;
			RAISE EXCEPTION USING ERRCODE = 'AGREE';
		EXCEPTION WHEN insufficient_privilege OR SQLSTATE 'AGREE' THEN
		END;
	END LOOP;
	RETURN ids;
END
$$;
-- By filtering and by permits_row, as the user.
CREATE PROCEDURE ask(set_name text, who identity, with_inserts boolean) LANGUAGE plpgsql AS $$
DECLARE
	static int[];
	found jsonb := '{}';
	a text;
	ids int[];
BEGIN
	IF who.subject IS NULL THEN
		PERFORM authz.logout();
	ELSE
		PERFORM authz.assume(who.subject, array_remove(who.roles, '*'), who.attributes);
	END IF;
	SET LOCAL ROLE regress_authz_user;
	SELECT array_agg(id ORDER BY id) INTO static FROM thing;
	found := jsonb_build_object(
		'select', touched('SELECT id FROM thing'),
		'select by a kept plan', static,
		'select of partitions', touched('SELECT id FROM part'),
		'update', touched('UPDATE thing SET price = price RETURNING id'),
		'delete', touched('DELETE FROM thing RETURNING id'),
		'lock', touched('SELECT id FROM (SELECT id FROM thing FOR UPDATE) t'));
	IF with_inserts THEN
		found := found || jsonb_build_object('insert', insertable());
	END IF;
	FOREACH a IN ARRAY '{select,insert,update,update_check,delete}'::text[] LOOP
		SELECT array_agg(("row").id ORDER BY ("row").id) INTO ids FROM every_thing WHERE authz.permits_row(a, "row");
		found := found || jsonb_build_object('permits_row ' || a, ids);
	END LOOP;
	RESET ROLE;
	INSERT INTO result
		SELECT set_name, who.subject, f.key, (SELECT array_agg(e::int) FROM jsonb_array_elements_text(nullif(f.value, 'null')) e)
		FROM jsonb_each(found) f;
END
$$;
-- By hand, as a superuser.
CREATE FUNCTION expected(set_name text, who identity) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	permits text;
	forbids text;
	ids int[];
BEGIN
	SELECT string_agg('(' || by_hand(r.template, who) || ')', ' OR ') FILTER (WHERE r.effect = 'permit'),
		string_agg('(' || by_hand(r.template, who) || ') IS FALSE', ' AND ') FILTER (WHERE r.effect = 'forbid')
		INTO permits, forbids
		FROM rule r WHERE r.set = set_name AND r.roles && who.roles;
	EXECUTE format('SELECT array_agg(id ORDER BY id) FROM thing WHERE (%s) AND %s',
				   coalesce(permits, 'false'), coalesce(forbids, 'true')) INTO ids;
	RETURN ids;
END
$$;

CREATE PROCEDURE compare(set_name text, with_inserts boolean) LANGUAGE plpgsql AS $$
DECLARE
	who identity;
BEGIN
	DELETE FROM authz.policy WHERE relation IN ('thing'::regclass, 'part'::regclass);
	PERFORM authz.create_policy(r.name, 'thing', '{select,insert,update,delete}', in_policy(r.template), r.roles, effect => r.effect)
		FROM rule r WHERE r.set = set_name;
	PERFORM authz.create_policy(r.name, 'part', '{select}', in_policy(replace(r.template, 'thing.tenant', 'part.tenant')),
								r.roles, effect => r.effect)
		FROM rule r WHERE r.set = set_name;
	FOR who IN SELECT * FROM identity LOOP
		CALL ask(set_name, who, with_inserts);
		INSERT INTO result VALUES (set_name, who.subject, 'by hand', expected(set_name, who));
	END LOOP;
END
$$;
\set ECHO none
SET client_min_messages = warning;
SELECT format('CALL compare(%L, %L)', set, row_number() OVER (ORDER BY set COLLATE "C") % 3 = 0), 'VACUUM thing' FROM rule GROUP BY set ORDER BY set COLLATE "C" \gexec
\set ECHO all

-- Every way must give what the hand-written WHERE gives: no row here.
SELECT r.set, r.subject, r.way, r.ids, h.ids AS by_hand
FROM result r JOIN result h ON h.set = r.set AND h.subject IS NOT DISTINCT FROM r.subject AND h.way = 'by hand'
WHERE r.ids IS DISTINCT FROM h.ids
ORDER BY 1, 2, 3 LIMIT 20;
-- How much was compared, and that it is not all or nothing.
SELECT way, count(*) AS cases, count(ids) AS with_rows, count(*) FILTER (WHERE cardinality(ids) BETWEEN 1 AND 29) AS with_some,
	sum(cardinality(ids)) AS rows
FROM result GROUP BY way ORDER BY way COLLATE "C";

RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA rows_agree CASCADE;
SELECT authz.drop_role(r) FROM unnest('{member,clerk}'::text[]) r;
DROP ROLE regress_authz_owner, regress_authz_user;
