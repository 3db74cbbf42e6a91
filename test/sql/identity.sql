-- The current identity: the setting and its scope, failure, ways in, accessors.
\set SHOW_CONTEXT never
LOAD 'authz';
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/test/sql/include/token.sql'
\set ECHO none
\i :include
\set ECHO all
\set me :USER
SELECT authz.create_issuer('https://idp.example', '{api}', attributes => '{"tenant": "app.tenant"}');
SELECT authz.add_key('https://idp.example', 'k1', 'HS256', pg_temp.secret());
SELECT pg_temp.token('{"sub":"alice"}') AS alice, pg_temp.token('{"sub":"bob"}') AS bob \gset
\set ECHO none
CREATE TEMP TABLE person AS SELECT :'alice' AS alice, :'bob' AS bob;
\set ECHO all
CREATE ROLE regress_authz_user;
CREATE ROLE regress_authz_trusted;

-- Nobody.
SELECT authz.subject(), authz.issuer(), authz.token_id(), authz.has_role('*') AS anyone, authz.has_role('anonymous') AS nobody,
	authz.has_scope('x') AS scope, authz.attr('x');
SELECT authz.identity();

-- The setting shows its value to nobody.
SELECT set_config('authz.token', alice, false) FROM person;
SHOW authz.token;
SELECT current_setting('authz.token');
SELECT name, setting FROM pg_settings WHERE name = 'authz.token';
SELECT name, setting FROM pg_show_all_settings() WHERE setting LIKE 'eyJ%';

-- Scope: transaction, savepoint, session.
RESET authz.token;
BEGIN;
SELECT set_config('authz.token', alice, true) FROM person;
SELECT authz.subject();
SAVEPOINT s;
SELECT set_config('authz.token', bob, true) FROM person;
SELECT authz.subject();
ROLLBACK TO s;
SELECT authz.subject();
SAVEPOINT s;
SELECT set_config('authz.token', bob, true) FROM person;
RELEASE s;
SELECT authz.subject();
COMMIT;
SELECT authz.subject();
BEGIN;
SELECT set_config('authz.token', alice, false) FROM person;
ROLLBACK;
SELECT authz.subject();
BEGIN;
SELECT set_config('authz.token', alice, false) FROM person;
SELECT set_config('authz.token', bob, true) FROM person;
SELECT authz.subject();
COMMIT;
SELECT authz.subject();

-- Giving it up: RESET, empty, null, default, RESET ALL, logout (DISCARD ALL: below).
RESET authz.token;
SELECT authz.subject();
SELECT pg_temp.verdict(alice) FROM person;
SET authz.token = '';
SELECT authz.subject();
SELECT pg_temp.verdict(alice) FROM person;
SELECT set_config('authz.token', NULL, false);
SELECT authz.subject();
SELECT pg_temp.verdict(alice) FROM person;
SET authz.token TO DEFAULT;
SELECT authz.subject();
SELECT pg_temp.verdict(alice) FROM person;
RESET ALL;
SELECT authz.subject();
SELECT pg_temp.verdict(alice) FROM person;
SELECT authz.logout();
SELECT authz.subject();

-- A failed SET closes everything until a successful one.
SELECT pg_temp.verdict(alice) FROM person;
SET authz.token = 'rubbish';
SELECT authz.subject();
SELECT authz.issuer();
SELECT authz.token_id();
SELECT authz.has_role('*');
SELECT authz.has_role('anonymous');
SELECT authz.has_scope('x');
SELECT authz.attr('x');
SELECT authz.attr_bigint('x');
SELECT authz.identity();
SELECT set_config('authz.token', bob, false) FROM person;
SELECT authz.subject();

-- In a transaction: neither ROLLBACK TO nor ROLLBACK nor COMMIT opens it again.
BEGIN;
SAVEPOINT s;
SET LOCAL authz.token = 'rubbish';
ROLLBACK TO s;
SELECT authz.subject();
ROLLBACK;
SELECT authz.subject();
BEGIN;
COMMIT;
SELECT authz.subject();
RESET authz.token;
SELECT authz.subject(), authz.has_role('anonymous') AS nobody;

-- In a function that catches the error.
SELECT pg_temp.verdict(alice) FROM person;
DO $$
BEGIN
	BEGIN
		PERFORM set_config('authz.token', 'rubbish', true);
	EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE 'caught: %', SQLERRM;
	END;
	RAISE NOTICE 'still %', authz.subject();
END
$$;
SELECT authz.subject();
SELECT set_config('authz.token', alice, false) FROM person;
-- A transaction-local success counts, and outlives its transaction as such.
SET authz.token = 'rubbish';
BEGIN;
SELECT set_config('authz.token', bob, true) FROM person;
SELECT authz.subject();
COMMIT;
SELECT authz.subject();

-- RESET ALL, logout and setting null forget a failure, also when there was no token before.
RESET authz.token;
SET authz.token = 'rubbish';
RESET ALL;
SELECT authz.subject(), authz.has_role('anonymous') AS nobody;
SET authz.token = 'rubbish';
SELECT authz.subject();
SELECT authz.logout();
SELECT authz.subject();
SET authz.token = 'rubbish';
SELECT set_config('authz.token', NULL, true);
SELECT authz.subject();

-- Nobody but the session sets it.
ALTER ROLE regress_authz_user SET authz.token = 'rubbish';
ALTER ROLE regress_authz_user SET authz.token = '';
SELECT pg_temp.attempt(format('ALTER DATABASE %I SET authz.token = %L', current_database(), alice)) FROM person;
SELECT pg_temp.attempt(format('CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET authz.token = %L RETURN authz.subject()', alice)) FROM person;
SELECT pg_temp.attempt($$CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET authz.token FROM CURRENT RETURN authz.subject()$$);
ALTER SYSTEM SET authz.token = 'rubbish';
SET authz.tokens = 'x';
SET authz.no_such_parameter = 'x';

-- Sizes are the administrator's.
SET ROLE regress_authz_user;
SET authz.token_max_size = '1MB';
SET authz.identity_cache_size = 1;
RESET ROLE;

-- login and logout.
BEGIN;
SELECT authz.login(alice) FROM person;
SELECT authz.subject();
SELECT authz.logout();
SELECT authz.subject(), authz.has_role('anonymous') AS nobody;
COMMIT;
SELECT authz.subject();
SELECT authz.login(alice, is_local => false) FROM person;
SELECT authz.subject();
SELECT authz.login(bob) FROM person;
SELECT authz.subject();
SELECT authz.login(NULL);
SELECT authz.subject();
SELECT authz.login(alice, is_local => false) FROM person;
SELECT authz.login('');
SELECT authz.subject();
SELECT authz.login(alice, is_local => false) FROM person;
SELECT authz.login('rubbish', false);
SELECT authz.subject();
SELECT authz.login(alice, NULL) FROM person;
SELECT authz.logout();
SELECT authz.subject();

-- assume: for whom it was granted to.
SELECT authz.create_role('regress_reader');
SET ROLE regress_authz_user;
SELECT authz.assume('carol', '{}');
RESET ROLE;
SET ROLE authz_admin;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_trusted;
RESET ROLE;
SET ROLE regress_authz_trusted;
SELECT authz.assume('carol', '{regress_reader}', '{"tenant": 7, "label": "blue \"é\""}');
SELECT authz.subject(), authz.issuer(), authz.has_role('regress_reader') AS reader, authz.attr_bigint('tenant') AS tenant, authz.attr('label') AS label;
SELECT authz.identity() - 'token_id' - 'issued_at' - 'expires_at' AS identity;
SELECT authz.token_id() ~ '^[0-9a-f-]{36}$' AS token_id;
RESET ROLE;
SELECT authz.subject();
BEGIN;
SELECT authz.assume('dan', '{}', is_local => true);
SELECT authz.subject();
COMMIT;
SELECT authz.subject();
SELECT pg_temp.attempt($$SELECT authz.assume('erin', '{}', ttl => '1 day')$$);
SELECT (authz.identity() ->> 'expires_at')::timestamptz - now() BETWEEN '23:59:50' AND '24:00:02' AS a_day;
SELECT authz.assume('frank', '{}', ttl => '1 s');
SELECT pg_sleep(2.1);
SELECT authz.subject();
SELECT arguments, pg_temp.attempt(format('SELECT authz.assume(%s)', arguments)) FROM (VALUES
	($$'', '{}'$$),
	($$NULL, '{}'$$),
	($$repeat('s', 1025), '{}'$$),
	($$'carol', NULL$$),
	($$'carol', '{regress_nobody}'$$),
	($$'carol', '{NULL}'$$),
	($$'carol', '{*}'$$),
	($$'carol', '{anonymous}'$$),
	($$'carol', '{}', '[]'$$),
	($$'carol', '{}', NULL$$),
	($$'carol', '{}', jsonb_build_object('a', repeat('x', 20000))$$),
	($$'carol', '{}', ttl => '0 s'$$),
	($$'carol', '{}', ttl => '-1 s'$$),
	($$'carol', '{}', ttl => '1 day 1 s'$$),
	($$'carol', '{}', ttl => '1 month -30 days'$$),
	($$'carol', '{}', ttl => NULL$$),
	($$'carol', '{}', is_local => NULL$$)
) AS a (arguments);
SELECT authz.subject();
SELECT authz.logout();

-- The internal issuer's tokens are no better than others': a mapped "*" is its doing only.
SELECT pg_temp.verdict(pg_temp.token('{"attributes": {"tenant": 1}, "tenant": 2, "app": {"tenant": 3}}'));
SELECT authz.attr_bigint('tenant') AS tenant, authz.attr('attributes') AS unmapped;

-- A mapped login, while no token is set.
SELECT authz.grant_role('erin', 'regress_reader');
SELECT authz.create_role('regress_other');
SELECT authz.grant_role('erin', 'regress_other', issuer => 'https://idp.example');
SELECT authz.map_login('regress_authz_user', 'erin');
SET SESSION AUTHORIZATION regress_authz_user;
SELECT authz.subject();
RESET authz.token;
SELECT authz.subject(), authz.issuer(), authz.has_role('*') AS anyone, authz.has_role('anonymous') AS nobody,
	authz.has_role('regress_reader') AS reader, authz.has_role('regress_other') AS other;
SELECT authz.identity();
SELECT set_config('authz.token', 'rubbish', false);
SELECT authz.subject();
RESET authz.token;
SELECT authz.subject();
RESET SESSION AUTHORIZATION;
SELECT authz.subject();
SET ROLE regress_authz_user;
SELECT authz.subject();
RESET ROLE;
-- It follows a rename; whoever gets the old name is nobody.
ALTER ROLE regress_authz_user RENAME TO regress_authz_renamed;
CREATE ROLE regress_authz_user;
SELECT * FROM authz.login_map;
SET SESSION AUTHORIZATION regress_authz_renamed;
SELECT authz.subject(), authz.has_role('regress_reader') AS reader;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_authz_user;
SELECT authz.subject(), authz.has_role('regress_reader') AS reader;
RESET SESSION AUTHORIZATION;
SELECT pg_temp.attempt($$SELECT authz.unmap_login('regress_authz_user')$$);
-- Names swapped: each stays who they are.
SELECT authz.map_login('regress_authz_user', 'ursula');
ALTER ROLE regress_authz_user RENAME TO regress_authz_third;
ALTER ROLE regress_authz_renamed RENAME TO regress_authz_user;
ALTER ROLE regress_authz_third RENAME TO regress_authz_renamed;
SET SESSION AUTHORIZATION regress_authz_renamed;
SELECT authz.subject();
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_authz_user;
SELECT authz.subject();
RESET SESSION AUTHORIZATION;
-- A role that is dropped and made again is nobody.  Its row has no effect, is not what a dump takes, and goes with the next map_login.
DROP ROLE regress_authz_renamed;
CREATE ROLE regress_authz_renamed;
SET SESSION AUTHORIZATION regress_authz_renamed;
SELECT authz.subject(), authz.has_role('*') AS anyone;
RESET SESSION AUTHORIZATION;
SELECT pg_temp.attempt($$SELECT authz.unmap_login('regress_authz_renamed')$$);
SELECT database_role::text ~ '^[0-9]+$' AS dead, subject FROM authz.login_map ORDER BY subject;
SELECT c AS condition FROM pg_extension AS e, unnest(e.extconfig, e.extcondition) AS u (t, c)
WHERE e.extname = 'authz' AND t = 'authz.login_map'::regclass \gset
SELECT * FROM authz.login_map :condition;
-- A role whose name is a number is no dead one.
CREATE ROLE "regress_authz_1";
ALTER ROLE "regress_authz_1" RENAME TO "4711";
SELECT authz.map_login('4711', 'numbered');
SELECT * FROM authz.login_map :condition ORDER BY subject;
SELECT count(*) AS dead FROM authz.login_map WHERE subject = 'ursula';
SELECT authz.unmap_login('4711');
DROP ROLE "4711", regress_authz_renamed;
SELECT authz.map_login('regress_authz_user', 'frank');
SET SESSION AUTHORIZATION regress_authz_user;
SELECT authz.subject(), authz.has_role('regress_reader') AS reader;
RESET SESSION AUTHORIZATION;
SELECT authz.unmap_login('regress_authz_user');
SELECT authz.unmap_login('regress_authz_user');
SELECT authz.map_login('regress_authz_nobody', 'frank');
SELECT pg_temp.attempt($$SELECT authz.map_login('regress_authz_user', '')$$);
SET SESSION AUTHORIZATION regress_authz_user;
SELECT authz.subject();
RESET SESSION AUTHORIZATION;
SET ROLE regress_authz_user;
SELECT statement, pg_temp.attempt(statement) FROM (VALUES
	($$SELECT authz.map_login('regress_authz_user', 'erin')$$),
	($$SELECT authz.unmap_login('regress_authz_user')$$),
	($$SELECT FROM authz.login_map$$),
	($$SELECT authz.subject(), authz.identity(), authz.logout()$$)
) AS s (statement);
RESET ROLE;

-- Where in the claims roles, scopes, subject and attributes are.
SELECT authz.alter_issuer('https://idp.example', roles_claim => 'realm.access.roles', scopes_claim => 'https://x.example/scopes',
	subject_claim => 'user.name', attributes => '{"tenant": "app.tenant", "whole": "app", "deep": "a.b.c", "url": "https://x.example/y"}');
SELECT pg_temp.verdict(pg_temp.token('{"user": {"name": "gina"}, "realm": {"access": {"roles": ["regress_reader", "regress_nobody", "*", "anonymous"]}},
	"https://x.example/scopes": "b a  b", "https://x.example/y": "yes", "app": {"tenant": 7}, "a": {"b": 1}, "roles": ["regress_other"]}'));
SELECT authz.identity() - 'expires_at' AS identity;
SELECT authz.has_scope('a') AS a, authz.has_scope('b') AS b, authz.has_scope('a b') AS both, authz.has_scope('') AS empty,
	authz.has_role('regress_nobody') AS unknown, authz.has_role('regress_rea') AS prefix, authz.has_role('regress_readers') AS longer;
-- A whole name comes before a path.
SELECT pg_temp.verdict(pg_temp.token('{"user.name": "holly", "user": {"name": "gina"}}'));
SELECT pg_temp.verdict(pg_temp.token('{"user": "gina"}'));
SELECT pg_temp.verdict(pg_temp.token('{"user": ["gina"]}'));
SELECT pg_temp.verdict(pg_temp.token('{"user": {"name": "gina"}, "realm": {"access": {"roles": {"regress_reader": true}}}}'));
-- A name with dots on the way to another: the longest that leads there.
SELECT authz.alter_issuer('https://idp.example', roles_claim => 'https://hasura.io/jwt/claims.x-hasura-allowed-roles', scopes_claim => 's', subject_claim => 'sub',
	attributes => '{"tenant": "https://hasura.io/jwt/claims.x-hasura-org.id", "tie": "a.b.c"}');
SELECT claims, pg_temp.verdict(pg_temp.token(claims)) AS verdict, authz.identity() -> 'roles' AS roles, authz.identity() -> 'attributes' AS attributes,
	authz.identity() -> 'missing_claims' AS missing
FROM (VALUES
	('{"https://hasura.io/jwt/claims": {"x-hasura-allowed-roles": ["regress_reader"], "x-hasura-org.id": "7"}}'::jsonb),
	('{"https://hasura.io/jwt/claims": {"x-hasura-org": {"id": "8"}}}'),
	('{"https://hasura": {"io/jwt/claims": {"x-hasura-allowed-roles": "regress_reader"}}}'),
	('{"https://hasura.io/jwt/claims": ["x-hasura-allowed-roles"], "https://hasura.io/jwt/claims.x-hasura-org": {"id": null}}'),
	('{"a.b": {"c": "longer"}, "a": {"b.c": "shorter", "b": {"c": "shortest"}}}'),
	('{"a.b": {"d": "dead end"}, "a": {"b": {"c": "shortest"}}}'),
	('{"a.b": "no object", "a": {"b": {"c": "shortest"}}}'),
	('{"a.b.c": "whole", "a.b": {"c": "longer"}}')) AS c (claims);

-- Arrays of names and JSON Pointers (RFC 6901) are exact; attributes may be given as arrays.
SELECT authz.alter_issuer('https://idp.example', roles_claim => '["https://hasura.io/jwt/claims", "x-hasura-allowed-roles"]', scopes_claim => '/https:~1~1hasura.io~1jwt~1claims/scopes/1',
	subject_claim => '/user/0/a~0b~1c', attributes => '{"tenant": ["https://hasura.io/jwt/claims", "x-hasura-tenant"], "text": "[\"a.b\", \"c\"]", "first": "/list/0", "tenth": "/list/09", "last": "/list/-", "*": "/more/1"}');
SELECT pg_temp.verdict(pg_temp.token('{"https://hasura.io/jwt/claims": {"x-hasura-allowed-roles": ["regress_reader", "regress_reade"], "x-hasura-tenant": 9, "scopes": ["not this", "a b"]},
	"user": [{"a~b/c": "pia"}], "a": {"b": {"c": "not this"}}, "a.b": {"c": "this"}, "list": ["one", 2], "more": [{}, {"m1": 1, "m2": [2]}]}'));
SELECT authz.identity() - 'expires_at' AS identity;
SELECT claims, pg_temp.verdict(pg_temp.token(claims)) FROM (VALUES
	('{"user": {"0": {"a~b/c": "an object, not an array"}}}'::jsonb), ('{"user": {"0.a~b/c": "x"}}'), ('{"/user/0/a~0b~1c": "a whole name"}'), ('{"user": [{"a~b/c": null}]}'),
	('{"user": []}'), ('{"user": ["x"]}'), ('{"user": "x"}'), ('{}')) AS c (claims);

-- Arrays that providers state as strings (Cognito).  What is not one in strict JSON is words, as before.
SELECT authz.alter_issuer('https://idp.example', roles_claim => 'custom:roles', scopes_claim => 'custom:scopes', subject_claim => 'sub', attributes => '{"tenants": "custom:tenants"}');
SELECT text, pg_temp.verdict(pg_temp.token(jsonb_build_object('custom:roles', text, 'custom:scopes', text, 'custom:tenants', text))) AS verdict,
	authz.identity() -> 'roles' AS roles, authz.identity() -> 'unknown_roles' AS unknown, authz.identity() -> 'scopes' AS scopes,
	authz.attr_text_array('tenants') AS texts, authz.attr_bigint_array('tenants') AS numbers, authz.attr('tenants') = text AS text_itself
FROM unnest(ARRAY['["regress_reader","b c"]', '[]', '["regress_reader"', '["regress_reader"] ', '["regress_reader"],["b"]', '["regress_reader"],"a":["b"]', '[regress_reader]',
	'regress_reader b', '["1", "2"]', '["1", "02"]', '["\u0072egress_reader", "é"]', '["a\u0000"]', '{"a":["b"]}', '[[[[[[[[[[[[[[[[[[[["a"]]]]]]]]]]]]]]]]]]]]']) AS text;
SELECT text, pg_temp.verdict(pg_temp.token(jsonb_build_object('custom:roles', text))) FROM unnest(ARRAY['["regress_reader",1]', '[null]', '[["regress_reader"]]']) AS text;
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('aud', '["api"]'))) AS audience_is_no_list;

-- Roles that do not exist: listed, and counted for administrators; not those that exist by now.
SELECT pg_temp.verdict(pg_temp.token('{"custom:roles": ["regress_reader", "regress_nobody", "*", "anonymous", "regress_late"]}'));
SELECT authz.identity() -> 'roles' AS roles, authz.identity() -> 'unknown_roles' AS unknown, authz.has_role('regress_nobody') AS has_it;
SELECT pg_temp.verdict(pg_temp.token('{"sub": "bob", "custom:roles": ["regress_nobody", "regress_late"]}'));
SELECT pg_temp.verdict(pg_temp.sign(pg_temp.header(), pg_temp.claims('{"custom:roles": ["regress_forged"]}')::text, 'forged'));
SELECT issuer, role, verifications > 0 AS counted, last_seen_at BETWEEN now() - interval '1 min' AND clock_timestamp() AS just_now
FROM authz.stat_unknown_role WHERE role ~ '^(regress_|[*]|anon)' ORDER BY role COLLATE "C";
RESET authz.token;
SELECT authz.create_role('regress_late');
SELECT role FROM authz.stat_unknown_role WHERE role ~ '^regress_' ORDER BY role COLLATE "C";
SELECT authz.drop_role('regress_late');
-- Bounded: 16 of one token, 512 in all, cut at the length that roles may have.
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('custom:roles', (SELECT jsonb_agg(format('regress_many_%s_%s', pg_backend_pid(), g)) FROM generate_series(1, 100) AS g))));
SELECT jsonb_array_length(authz.identity() -> 'unknown_roles') AS listed;
SELECT count(*) FROM authz.stat_unknown_role WHERE role LIKE format('regress_many_%s%%', pg_backend_pid());
SELECT count(pg_temp.verdict(pg_temp.token(jsonb_build_object('custom:roles', (SELECT jsonb_agg('regress_many_' || g || '_' || h || repeat('é', 200)) FROM generate_series(1, 10) AS g)))))
FROM generate_series(1, 60) AS h;
SELECT count(*) <= 512 AS bounded, count(*) > 400 AS counted, max(octet_length(role)) AS longest FROM authz.stat_unknown_role;
RESET authz.token;
SET ROLE regress_authz_user;
SELECT statement, pg_temp.attempt(statement) FROM (VALUES
	($$SELECT FROM authz.stat_unknown_role$$),
	($$SELECT authz.unknown_roles()$$)
) AS s (statement);
RESET ROLE;
SET ROLE authz_admin;
SELECT count(*) > 0 AS read FROM authz.stat_unknown_role;
RESET ROLE;

SELECT authz.alter_issuer('https://idp.example', roles_claim => '', scopes_claim => '', subject_claim => 'sub', attributes => '{"*": "app", "one": "other"}');
SELECT pg_temp.verdict(pg_temp.token('{"roles": ["regress_reader"], "scope": "a", "app": {"one": 1, "two": null, "three": 3}, "other": "1 too"}'));
SELECT authz.identity() - 'expires_at' AS identity;
SELECT pg_temp.verdict(pg_temp.token('{"app": "no object"}'));
SELECT authz.identity() -> 'attributes' AS attributes;

SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

-- Accessors: the value if it has exactly the form asked for, else null.
CREATE TEMP TABLE value (i integer GENERATED ALWAYS AS IDENTITY, value text);
INSERT INTO value (value) VALUES ('"text"'), ('""'), ('"é"'), ('null'), ('true'), ('false'), ('"true"'), ('"TRUE"'), ('"t"'),
	('7'), ('-7'), ('"7"'), ('"+7"'), ('" 7"'), ('"7 "'), ('7.0'), ('7.5'), ('70e-1'), ('"0x7"'), ('"7e1"'),
	('"-7"'), ('"007"'), ('"-07"'), ('"7.0"'), ('0'), ('-0'), ('"0"'), ('"-0"'), ('"00"'), ('"-"'), ('"--7"'), ('"7\u0661"'), ('1e3'),
	('"9223372036854775807"'), ('"-9223372036854775808"'), ('"-9223372036854775809"'),
	('9223372036854775807'), ('9223372036854775808'), ('-9223372036854775808'), ('-9223372036854775809'), ('1e20'),
	('"9223372036854775808"'), ('"123456789012345678901234567890"'),
	('"0b7f0b4e-3c6c-4d0f-9d5e-0123456789AB"'), ('"{0b7f0b4e-3c6c-4d0f-9d5e-0123456789ab}"'), ('"0b7f0b4e3c6c4d0f9d5e0123456789ab"'),
	('"0b7f0b4e-3c6c-4d0f-9d5e-0123456789ag"'), ('"0b7f0b4e-3c6c-4d0f-9d5e-0123456789a"'), ('"0b7f0b4e-3c6c-4d0f-9d5e_0123456789ab"'),
	('"2026-02-03T04:05:06Z"'), ('"2026-02-03T04:05:06.789+01:00"'), ('"2026-02-03 04:05:06-05:30"'), ('"2024-02-29T00:00:00Z"'),
	('"2026-02-29T00:00:00Z"'), ('"2026-13-01T00:00:00Z"'), ('"2026-02-03T24:00:00Z"'), ('"2026-02-03T04:05:06"'), ('"2026-02-03"'),
	('"2026-02-03T04:05:06.Z"'), ('"2026-02-03T04:05:06Zx"'), ('"0000-02-03T04:05:06Z"'), ('"now"'), ('"infinity"'), ('"today"'),
	('253402300799'), ('253402300800'), ('-62135596801'), ('"1700000000"'), ('"2026-02-03t04:05:06z"'),
	('[]'), ('{}'), ('{"a": [1, null]}'), ('["a", "b"]'), ('["a", 1, true]'), ('["a", null]'), ('["a", ["b"]]'), ('["a", {}]'),
	('[1, 2]'), ('[1, "2"]'), ('[1, "02"]'), ('[1, "x"]'), ('[1, 2.5]'), ('["0b7f0b4e-3c6c-4d0f-9d5e-0123456789ab"]'), ('["0b7f0b4e-3c6c-4d0f-9d5e-0123456789ab", 1]');
SELECT set_config('authz.token', pg_temp.token(jsonb_build_object('app', jsonb_object_agg('a' || i, value::jsonb))), false) FROM value;
SELECT value, authz.attr(name), authz.attr_bigint(name) AS bigint, authz.attr_boolean(name) AS boolean FROM value, LATERAL concat('a', i) AS name ORDER BY i;
SELECT value, authz.attr_uuid(name) AS uuid, authz.attr_timestamptz(name) AS timestamptz FROM value, LATERAL concat('a', i) AS name
WHERE authz.attr_uuid(name) IS NOT NULL OR authz.attr_timestamptz(name) IS NOT NULL OR value ~ '^"(20|0b|17)|inf|now' ORDER BY i;
SELECT value, authz.attr_jsonb(name) AS jsonb, authz.attr_text_array(name) AS text_array, authz.attr_bigint_array(name) AS bigint_array,
	authz.attr_uuid_array(name) AS uuid_array FROM value, LATERAL concat('a', i) AS name WHERE value ~ '^[[{n]' OR i = 1 ORDER BY i;
SELECT authz.attr('no such'), authz.attr_bigint('no such'), authz.attr_boolean(''), authz.attr_jsonb('*'), authz.attr_text_array('no such'),
	authz.attr_bigint(repeat('n', 200)), authz.attr(NULL), authz.has_role(NULL);
-- They do not depend on settings of the caller.
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'SQL, DMY';
SELECT value, authz.attr_timestamptz(concat('a', i)) = '2026-02-03 04:05:06 UTC'::timestamptz AS same FROM value WHERE value ~ '^"2026-02-03T04:05:06(Z|)"$' ORDER BY i;
RESET TimeZone;
RESET DateStyle;

-- Conditions in a scan, in one plan for two people.
CREATE TEMP TABLE thing AS SELECT g AS id, g % 3 AS tenant FROM generate_series(1, 9) AS g;
PREPARE mine AS SELECT array_agg(id ORDER BY id) FROM thing WHERE tenant = authz.attr_bigint('tenant') AND authz.has_role('*');
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.verdict(pg_temp.token('{"app": {"tenant": 1}}'));
EXECUTE mine;
SELECT pg_temp.verdict(pg_temp.token('{"app": {"tenant": 2}}'));
EXECUTE mine;
SELECT pg_temp.verdict(pg_temp.token('{"app": {"tenant": "2x"}}'));
EXECUTE mine;
RESET authz.token;
EXECUTE mine;
RESET plan_cache_mode;

-- Within one plan the identity may change between calls, as long as nothing filtered is open.
SELECT i, (CASE i WHEN 1 THEN set_config('authz.token', alice, false) WHEN 3 THEN set_config('authz.token', bob, false) END) AS set, authz.subject()
FROM person, generate_series(1, 4) AS i;

-- A cache of one entry is enough.
SET authz.identity_cache_size = 1;
SELECT i, pg_temp.verdict(CASE i % 2 WHEN 0 THEN alice ELSE bob END) FROM person, generate_series(1, 4) AS i;
RESET authz.identity_cache_size;

-- Parallel workers act for the same person.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
CREATE TABLE regress_authz_thing AS SELECT g AS id FROM generate_series(1, 20000) AS g;
ANALYZE regress_authz_thing;
EXPLAIN (COSTS OFF) SELECT count(*) FROM regress_authz_thing WHERE authz.subject() || id <> '';
SET parallel_leader_participation = off;
SELECT pg_temp.verdict(alice) FROM person;
SELECT authz.subject(), count(*) FROM regress_authz_thing WHERE authz.subject() || id LIKE 'alice%';
SELECT pg_temp.verdict(bob) FROM person;
SELECT authz.subject(), count(*) FROM regress_authz_thing WHERE authz.subject() || id LIKE 'alice%';
RESET authz.token;
SELECT authz.subject(), count(*) FROM regress_authz_thing WHERE authz.subject() || id LIKE 'alice%';
DROP TABLE regress_authz_thing;

-- The identity does not change while a query filtered under it is open.
CREATE TABLE regress_authz_thing AS SELECT g AS id, 1 AS tenant FROM generate_series(1, 9) AS g;
GRANT SELECT ON regress_authz_thing TO regress_authz_user;
SELECT authz.protect('regress_authz_thing');
SELECT authz.create_policy('mine', 'regress_authz_thing', '{select}', 'tenant = authz.attr_bigint(''tenant'')');
SELECT authz.alter_issuer('https://idp.example', attributes => '{"tenant": "app.tenant"}');
SELECT pg_temp.token('{"sub": "ann", "app": {"tenant": 1}}') AS ann, pg_temp.token('{"sub": "ben", "app": {"tenant": 1}}') AS ben \gset
\set ECHO none
UPDATE person SET alice = :'ann', bob = :'ben';
\set ECHO all
GRANT SELECT ON person TO regress_authz_user;
SET ROLE regress_authz_user;
BEGIN;
SELECT authz.login(alice) FROM person;
DECLARE c CURSOR FOR SELECT id FROM regress_authz_thing;
FETCH 1 FROM c;
SELECT authz.login(alice) FROM person;
FETCH 1 FROM c;
SAVEPOINT s;
SELECT authz.login(bob) FROM person;
ROLLBACK TO s;
FETCH 1 FROM c;
ROLLBACK;
-- RESET cannot be refused: it closes everything instead.
BEGIN;
SELECT authz.login(alice) FROM person;
DECLARE c CURSOR FOR SELECT id FROM regress_authz_thing;
FETCH 1 FROM c;
RESET authz.token;
FETCH 1 FROM c;
ROLLBACK;
SELECT authz.subject();
RESET authz.token;
-- Closed, it may change.
BEGIN;
SELECT authz.login(alice) FROM person;
DECLARE c CURSOR FOR SELECT id FROM regress_authz_thing;
FETCH 1 FROM c;
CLOSE c;
SELECT authz.login(bob) FROM person;
SELECT authz.subject(), count(*) FROM regress_authz_thing;
COMMIT;
-- Nor does it change from within.
BEGIN;
SELECT authz.login(alice) FROM person;
SELECT set_config('authz.token', bob, true) FROM person, regress_authz_thing;
ROLLBACK;
RESET ROLE;
RESET authz.token;
DROP TABLE regress_authz_thing;

-- Start-up options: verified at the first use, with the library loaded before it or by it; RESET returns to them.
\c -reuse-previous=on "options='-c authz.token=rubbish'"
SELECT authz.subject();
SELECT authz.has_role('anonymous');
RESET authz.token;
SELECT authz.subject();
SET authz.token = '';
SELECT authz.subject(), authz.has_role('anonymous') AS nobody;
\c -reuse-previous=on "options='-c session_preload_libraries=authz -c authz.token=rubbish'"
SELECT authz.subject();
SELECT authz.subject();
\set ECHO none
\set options 'options=''-c authz.token=' :alice ''''
\c -reuse-previous=on :options
\set ECHO all
SELECT authz.subject();
SET authz.token = 'rubbish';
SELECT authz.subject();
RESET authz.token;
SELECT authz.subject();
SELECT authz.logout();
SELECT authz.subject();
DISCARD ALL;
SELECT authz.subject();
SET authz.token = 'rubbish';
DISCARD ALL;
SELECT authz.subject();
\set ECHO none
\set options 'options=''-c session_preload_libraries=authz -c authz.token=' :alice ''''
\c -reuse-previous=on :options
\set ECHO all
SELECT authz.subject();
SET authz.token = '';
SELECT authz.subject();
RESET ALL;
SELECT authz.subject();
\c -reuse-previous=on "options=''"

-- DISCARD ALL, with and without a token or a failure.
\set ECHO none
SELECT authz.login(:'alice', is_local => false);
\set ECHO all
SELECT authz.subject();
DISCARD ALL;
SELECT authz.subject();
SET authz.token = 'rubbish';
DISCARD ALL;
SELECT authz.subject(), authz.has_role('anonymous') AS nobody;

-- A SET before the library is loaded is verified at the first use as well.
\c -
SET authz.token = 'rubbish';
SELECT authz.subject();
SELECT authz.has_role('*');
RESET authz.token;
SELECT authz.subject();
\c -
\set ECHO none
SET authz.token = :'alice';
\set ECHO all
SELECT authz.subject();
\c -
BEGIN;
\set ECHO none
SET LOCAL authz.token = :'alice';
\set ECHO all
SAVEPOINT s;
SET LOCAL authz.token = 'rubbish';
SELECT authz.subject();
ROLLBACK TO s;
SELECT authz.subject();
COMMIT;
SELECT authz.subject();

-- What a role was given before the library was loaded is not taken on.
\c -
ALTER ROLE regress_authz_user LOGIN;
ALTER ROLE regress_authz_user SET authz.token = 'rubbish';
\c - regress_authz_user
SELECT authz.subject(), authz.has_role('anonymous') AS nobody;
\c - :me

SELECT authz.revoke_role('erin', 'regress_reader'), authz.revoke_role('erin', 'regress_other');
SELECT authz.drop_issuer('https://idp.example');
SELECT authz.drop_role('regress_reader'), authz.drop_role('regress_other');
SET ROLE authz_admin;
REVOKE EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) FROM regress_authz_trusted;
RESET ROLE;
DROP ROLE regress_authz_user, regress_authz_trusted;
