-- Policies as rows: what is accepted, how it is stored, what is refused.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_other;
GRANT authz_admin TO regress_authz_owner, regress_authz_other;
SELECT authz.create_role('clerk'), authz.create_role('auditor');
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_other;
SET ROLE regress_authz_owner;
SET search_path = regress_authz;
CREATE TABLE doc (id int PRIMARY KEY, tenant bigint, title varchar(20), tags text[], made timestamptz);
CREATE TABLE member (tenant bigint, who text);
CREATE FUNCTION is_short(text) RETURNS boolean LANGUAGE sql STABLE RETURN length($1) < 5;
CREATE FUNCTION equal_or_both(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 IS NOT DISTINCT FROM $2;
CREATE OPERATOR === (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = equal_or_both);

-- Stored canonically: names qualified, the row called resource.
SELECT authz.create_policy('a', 'doc', '{select}');
SELECT authz.create_policy('b', 'doc', '{select,update}', 'tenant = 1 AND doc.title LIKE ''x%''', check_condition => 'tenant IN (1, 2)');
SELECT authz.create_policy('c', 'doc', '{insert}', 'is_short(title) AND tenant === 3', '{clerk,auditor}');
SELECT authz.create_policy('d', 'doc', '{delete}', 'EXISTS (SELECT FROM member WHERE member.tenant = doc.tenant AND who = authz.subject())',
	effect => 'forbid', description => 'no members');
SELECT authz.create_policy('e', 'regress_authz.doc', '{update}', 'resource.tenant = authz.attr_bigint(''tenant'')', '{clerk}', columns => '{title,tags}',
	valid_during => '[2020-01-01 00:00+00,)');
SELECT authz.create_policy('f', 'doc', '{select}', '''a'' = ANY (tags) AND made BETWEEN now() - interval ''24 hours'' AND now()');
SELECT name, effect, actions, roles, condition, check_condition, columns, isempty(valid_during) AS never, enabled, description
	FROM authz.policy WHERE relation = 'doc'::regclass ORDER BY name;

-- The meaning does not follow the search_path of whoever looks, or of who alters something else.
RESET ROLE;
CREATE SCHEMA regress_authz_evil AUTHORIZATION regress_authz_owner;
SET ROLE regress_authz_owner;
CREATE FUNCTION regress_authz_evil.is_short(text) RETURNS boolean LANGUAGE sql STABLE RETURN true;
SET search_path = regress_authz_evil, regress_authz;
SELECT authz.alter_policy('c', 'doc', roles => '{clerk}');
SELECT condition, roles FROM authz.policy WHERE relation = 'doc'::regclass AND name = 'c';
SET search_path = regress_authz;
DROP FUNCTION regress_authz_evil.is_short(text);
DROP SCHEMA regress_authz_evil;

-- alter_policy changes what is given only; an empty value takes away.
SELECT authz.alter_policy('e', 'doc', description => 'tags and titles');
SELECT condition, check_condition, columns, description FROM authz.policy WHERE relation = 'doc'::regclass AND name = 'e';
SELECT authz.alter_policy('e', 'doc', columns => '{}', description => '');
SELECT authz.alter_policy('b', 'doc', check_condition => '');
SELECT name, condition, check_condition, columns, description FROM authz.policy WHERE relation = 'doc'::regclass AND name IN ('b', 'e') ORDER BY name;
SELECT authz.disable_policy('b', 'doc');
SELECT authz.disable_policy('b', 'doc');
SELECT enabled FROM authz.policy WHERE relation = 'doc'::regclass AND name = 'b';
SELECT authz.enable_policy('b', 'doc');
SELECT enabled FROM authz.policy WHERE relation = 'doc'::regclass AND name = 'b';
SELECT authz.drop_policy('a', 'doc');
SELECT authz.drop_policy('a', 'doc');
SELECT authz.alter_policy('a', 'doc', condition => 'true');
SELECT authz.enable_policy('a', 'doc');
SELECT authz.create_policy('b', 'doc', '{select}');

-- Bad conditions, with the place of the error.
\set VERBOSITY default
SELECT authz.create_policy('x', 'doc', '{select}', 'tenant = ');
SELECT authz.create_policy('x', 'doc', '{select}', 'tenant = 1 AND nosuch = 2');
SELECT authz.create_policy('x', 'doc', '{update}', 'true', check_condition => 'tenant + 1');
SELECT authz.create_policy('x', 'doc', '{select}', 'member.tenant = 1');
SELECT authz.create_policy('x', 'doc', '{select}', 'nosuch(tenant)');
\set VERBOSITY terse
SELECT authz.create_policy('x', 'doc', '{select}', '');
SELECT authz.create_policy('x', 'doc', '{select}', 'true; DROP TABLE doc');
SELECT authz.create_policy('x', 'doc', '{select}', 'true FROM member');
SELECT authz.create_policy('x', 'doc', '{select}', 'true, false');
SELECT authz.create_policy('x', 'doc', '{select}', 'true AS yes');
SELECT authz.create_policy('x', 'doc', '{select}', 'true ORDER BY 1');
SELECT authz.create_policy('x', 'doc', '{select}', 'true UNION SELECT true');
SELECT authz.create_policy('x', 'doc', '{select}', 'random() < 0.5');
SELECT authz.create_policy('x', 'doc', '{select}', 'EXISTS (SELECT FROM member WHERE random() < 0.5)');
SELECT authz.create_policy('x', 'doc', '{select}', 'max(tenant) = 1');
SELECT authz.create_policy('x', 'doc', '{select}', 'row_number() OVER () = 1');
SELECT authz.create_policy('x', 'doc', '{select}', 'unnest(tags) = ''a''');
SELECT authz.create_policy('x', 'doc', '{select}', 'doc IS NOT NULL');
SELECT authz.create_policy('x', 'doc', '{select}', 'doc.* IS NOT NULL');
SELECT authz.create_policy('x', 'doc', '{select}', 'EXISTS (SELECT doc)');
SELECT authz.create_policy('x', 'doc', '{select}', 'resource IS NOT NULL');
SELECT authz.create_policy('y', 'doc', '{select}', '(resource).tenant = 1');
SELECT condition FROM authz.policy WHERE relation = 'doc'::regclass AND name = 'y';
SELECT authz.drop_policy('y', 'doc');
SELECT authz.create_policy('x', 'doc', '{select}', 'resource.nosuch = 1');
SELECT authz.create_policy('x', 'doc', '{select}', 'ctid IS NOT NULL');
SELECT authz.create_policy('x', 'doc', '{select}', 'tenant = $1');
SELECT authz.create_policy('x', 'doc', '{select}', 'EXISTS (SELECT FROM member FOR UPDATE)');
CREATE TEMP TABLE mine (tenant bigint);
SELECT authz.create_policy('x', 'doc', '{select}', 'EXISTS (SELECT FROM mine)');
DROP TABLE mine;

-- Bad rest.
SELECT authz.create_policy('x', 'doc', '{read}');
SELECT authz.create_policy('x', 'doc', '{update_check}');
SELECT authz.create_policy('x', 'doc', '{}');
SELECT authz.create_policy('x', 'doc', NULL);
SELECT authz.create_policy('x', 'doc', '{select}', NULL);
SELECT authz.create_policy('x', 'doc', '{select}', roles => '{nosuch}');
SELECT authz.create_policy('x', 'doc', '{select}', roles => '{}');
SELECT authz.create_policy('x', 'doc', '{select}', roles => '{clerk,NULL}');
SELECT authz.create_policy('x', 'doc', '{select}', effect => 'allow');
SELECT authz.create_policy('x', 'doc', '{select}', check_condition => 'true');
SELECT authz.create_policy('x', 'doc', '{select}', columns => '{title}');
SELECT authz.create_policy('x', 'doc', '{update}', columns => '{nosuch}');
SELECT authz.create_policy('x', 'doc', '{update}', columns => '{ctid}');
SELECT authz.create_policy('x', 'doc', '{select}', valid_during => 'empty');
SELECT authz.create_policy('', 'doc', '{select}');
SELECT authz.create_policy('x', 'doc', '{truncate}', 'tenant = 1');
SELECT authz.create_policy('x', 'nosuch', '{select}');
SELECT count(*) FROM authz.policy WHERE name = 'x';

-- The table is the API: the same triggers.
INSERT INTO authz.policy (relation, name, actions, condition) VALUES ('doc', 'g', '{select}', 'is_short(title)');
INSERT INTO authz.policy (relation, name, actions, condition) VALUES ('doc', 'h', '{select}', 'is_short(id)');
-- An administrator does not choose the number or the author.
INSERT INTO authz.policy (relation, name, actions, version, changed_at, changed_by)
	VALUES ('doc', 'i', '{select}', 0, '2000-01-01', 'somebody');
SELECT name, condition, version > 0 AS numbered, changed_at = now() AS late, changed_by = session_user AS by_me
	FROM authz.policy WHERE relation = 'doc'::regclass AND name IN ('g', 'i') ORDER BY 1;
TRUNCATE authz.policy;

-- Only the owner of a table changes its policies, administrator or not.
SET ROLE regress_authz_other;
SELECT authz.create_policy('x', 'doc', '{select}');
SELECT authz.alter_policy('b', 'doc', condition => 'true');
SELECT authz.drop_policy('b', 'doc');
UPDATE authz.policy SET enabled = false WHERE relation = 'doc'::regclass;
DELETE FROM authz.policy WHERE relation = 'doc'::regclass;
RESET ROLE;
REVOKE authz_admin FROM regress_authz_owner;
SET ROLE regress_authz_owner;
SELECT authz.create_policy('x', 'doc', '{select}');
SELECT count(*) FROM authz.policy;
RESET ROLE;

-- Nothing of the administration is for everybody.
SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace = 'authz'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT c.oid::regclass FROM pg_class c
	WHERE c.relnamespace = 'authz'::regnamespace AND c.relkind IN ('r', 'v', 'S') AND
		(SELECT bool_or(a.grantee = 0) FROM aclexplode(c.relacl) a);

DROP SCHEMA regress_authz CASCADE;
SELECT count(*) FROM authz.policy;
SELECT authz.drop_role('clerk'), authz.drop_role('auditor');
DROP ROLE regress_authz_owner, regress_authz_other;
