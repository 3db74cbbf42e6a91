-- Tokens, subjects and sessions refused before they expire.
\set SHOW_CONTEXT never
LOAD 'authz';
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/test/sql/include/token.sql'
\set ECHO none
\i :include
\set ECHO all
SELECT authz.create_issuer('https://idp.example', '{api}');
SELECT authz.add_key('https://idp.example', 'k1', 'HS256', pg_temp.secret());
SELECT authz.create_issuer('https://other.example', '{api}');

-- By id: the token in use is refused from the next statement on, others are not.
SELECT pg_temp.verdict(pg_temp.token('{"jti":"t1"}'));
SELECT authz.revoke_token('https://other.example', 't1');
SELECT authz.revoke_token('https://idp.example', 't2');
SELECT authz.subject(), authz.token_id();
SELECT authz.revoke_token('https://idp.example', 't1');
SELECT authz.subject();
SELECT authz.has_role('*');
SELECT authz.attr('x');
SELECT authz.identity();
SELECT pg_temp.verdict(pg_temp.token('{"jti":"t1","sub":"bob"}'));
SELECT pg_temp.verdict(pg_temp.token('{"jti":"t3"}'));
SELECT pg_temp.verdict(pg_temp.token());
SELECT authz.revoke_token('https://idp.example', 't1');

-- Within a transaction, also one with an old snapshot; taken back with it.
SELECT pg_temp.verdict(pg_temp.token('{"jti":"t4"}'));
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT authz.subject();
SELECT authz.revoke_token('https://idp.example', 't4');
SAVEPOINT s;
SELECT authz.subject();
ROLLBACK;
SELECT authz.subject();

-- By subject and time of issue.
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('iat', pg_temp.seconds(now() - interval '1 hour'))));
SELECT authz.revoke_subject('https://idp.example', 'alice', now() - interval '2 hours');
SELECT authz.subject();
SELECT pg_temp.verdict(pg_temp.token());
SELECT authz.revoke_subject('https://idp.example', 'alice');
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('iat', pg_temp.seconds(now() - interval '1 hour'))));
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('iat', pg_temp.seconds(now()) + 2)));
SELECT pg_temp.verdict(pg_temp.token('{"sub":"bob"}'));
-- An earlier time takes nothing back.
SELECT authz.revoke_subject('https://idp.example', 'alice', now() - interval '2 hours');
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('iat', pg_temp.seconds(now() - interval '1 hour'))));
SELECT authz.revoke_subject('https://idp.example', 'bob', 'infinity');
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('sub', 'bob', 'iat', pg_temp.seconds(now()))));

-- By session.
SELECT pg_temp.verdict(pg_temp.token('{"sub":"carol","sid":"s1"}'));
SELECT authz.revoke_session('https://idp.example', 's1');
SELECT authz.subject();
SELECT pg_temp.verdict(pg_temp.token('{"sub":"carol","sid":"s1"}'));
SELECT pg_temp.verdict(pg_temp.token('{"sub":"carol","sid":"s2"}'));

-- A key that is dropped, an issuer that no longer is for us, roles that change: the same.
SELECT pg_temp.verdict(pg_temp.token('{"sub":"dan"}'));
BEGIN;
SELECT authz.drop_key('https://idp.example', 'k1');
SELECT authz.subject();
ROLLBACK;
BEGIN;
SELECT authz.alter_issuer('https://idp.example', audience => '{other}');
SELECT authz.subject();
ROLLBACK;
SELECT authz.subject();

-- What expires while it is in use.
SELECT authz.alter_issuer('https://idp.example', clock_skew => '0 s');
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('sub', 'dan', 'exp', pg_temp.seconds(now()) + 1)));
SELECT pg_sleep(1.1);
SELECT authz.subject();

-- The revocations of an issuer outlive it.
SELECT authz.drop_issuer('https://idp.example');
SELECT authz.create_issuer('https://idp.example', '{api}');
SELECT authz.add_key('https://idp.example', 'k1', 'HS256', pg_temp.secret());
SELECT pg_temp.verdict(pg_temp.token('{"jti":"t1","sub":"dan"}'));
SELECT pg_temp.verdict(pg_temp.token('{"jti":"t9","sub":"dan"}'));

-- Refused: unknown issuers, nothing to revoke.
SELECT authz.revoke_token('https://nobody.example', 't1');
SELECT authz.revoke_subject('https://nobody.example', 'alice');
SELECT authz.revoke_session('https://nobody.example', 's1');
SELECT pg_temp.attempt($$SELECT authz.revoke_token('https://idp.example', NULL)$$);

-- Rights.
CREATE ROLE regress_authz_admin;
GRANT authz_admin TO regress_authz_admin;
CREATE ROLE regress_authz_user;
SET ROLE regress_authz_admin;
SELECT authz.revoke_token('https://idp.example', 't5'), authz.revoke_subject('https://idp.example', 'erin'),
	authz.revoke_session('https://idp.example', 's5');
SET ROLE regress_authz_user;
SELECT statement, pg_temp.attempt(statement) FROM (VALUES
	($$SELECT authz.revoke_token('https://idp.example', 't5')$$),
	($$SELECT authz.revoke_subject('https://idp.example', 'erin')$$),
	($$SELECT authz.revoke_session('https://idp.example', 's5')$$),
	($$DELETE FROM authz.revoked_token$$),
	($$SELECT FROM authz.revoked_token$$),
	($$SELECT FROM authz.revoked_subject$$),
	($$SELECT FROM authz.revoked_session$$)
) AS s (statement);
RESET ROLE;

RESET authz.token;
DELETE FROM authz.revoked_token WHERE issuer LIKE 'https://%.example';
DELETE FROM authz.revoked_subject WHERE issuer LIKE 'https://%.example';
DELETE FROM authz.revoked_session WHERE issuer LIKE 'https://%.example';
SELECT authz.drop_issuer(issuer) FROM (VALUES ('https://idp.example'), ('https://other.example')) AS i (issuer);
DROP ROLE regress_authz_admin, regress_authz_user;
