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
SELECT pg_temp.verdict(pg_temp.token('{"sub":"bob"}'));
-- An earlier time takes nothing back.
SELECT authz.revoke_subject('https://idp.example', 'alice', now() - interval '2 hours');
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('iat', pg_temp.seconds(now() - interval '1 hour'))));
SELECT authz.revoke_subject('https://idp.example', 'bob', 'infinity');
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('sub', 'bob', 'iat', pg_temp.seconds(now()))));

-- The provider's clock may be ahead by clock_skew: such a token was there before the revocation, and ends with it.
SELECT authz.create_issuer('https://ahead.example', '{api}', clock_skew => '30 s');
SELECT authz.add_key('https://ahead.example', 'k1', 'HS256', pg_temp.secret());
CREATE FUNCTION pg_temp.ahead(subject text, seconds integer) RETURNS text LANGUAGE sql
	RETURN pg_temp.token(jsonb_build_object('iss', 'https://ahead.example', 'sub', subject, 'jti', 'j', 'sid', 's', 'iat', pg_temp.seconds(clock_timestamp()) + seconds));
SELECT ahead, pg_temp.verdict(pg_temp.ahead('mallory', ahead)) FROM unnest('{-3600,-31,0,20,28,33}'::integer[]) AS ahead;
SELECT pg_temp.ahead('mallory', 20) AS mallory, pg_temp.ahead('mallory', 28) AS mallory_too, pg_temp.ahead('mallory', -3600) AS mallory_old,
	pg_temp.ahead('nina', 20) AS nina \gset
\set ECHO none
CREATE TEMP TABLE ahead AS SELECT * FROM (VALUES (1, :'mallory'), (2, :'mallory_too'), (3, :'mallory_old'), (4, :'nina')) AS t (i, token);
\set ECHO all
SELECT pg_temp.verdict(token) FROM ahead WHERE i = 1;
SELECT authz.revoke_subject('https://ahead.example', 'mallory');
SELECT authz.subject();
SELECT i, pg_temp.verdict(token) FROM ahead ORDER BY i;
-- Also if the tolerance shrinks afterwards, in the issuer or in one made anew.
SELECT authz.alter_issuer('https://ahead.example', clock_skew => '0 s');
SELECT clock_skew FROM authz.revoked_subject WHERE issuer = 'https://ahead.example';
UPDATE authz.revoked_subject SET issued_before = issued_before - interval '25 s' WHERE issuer = 'https://ahead.example';
SELECT pg_temp.verdict(pg_temp.ahead('mallory', 0)) AS within, pg_temp.verdict(pg_temp.ahead('nina', 0)) AS another;
SELECT authz.revoke_subject('https://ahead.example', 'mallory', now() - interval '1 hour');
SELECT pg_temp.verdict(pg_temp.ahead('mallory', 0)) AS within;
UPDATE authz.revoked_subject SET issued_before = issued_before - interval '7 s' WHERE issuer = 'https://ahead.example';
SELECT pg_temp.verdict(pg_temp.ahead('mallory', 0)) AS past;
-- If it grows, revocations of before reach as far as tokens now may.
SELECT authz.alter_issuer('https://ahead.example', clock_skew => '60 s');
SELECT pg_temp.verdict(pg_temp.ahead('mallory', 0)) AS within, pg_temp.verdict(pg_temp.ahead('mallory', 40)) AS past;
-- A row that does not say takes the largest tolerance that there is.
INSERT INTO authz.revoked_subject VALUES ('https://ahead.example', 'olga', now() - interval '200 s');
SELECT pg_temp.verdict(pg_temp.ahead('olga', 0)) AS within, pg_temp.verdict(pg_temp.ahead('olga', -60)) AS within;
-- As of the call, not of the start of its transaction.
SELECT authz.alter_issuer('https://ahead.example', clock_skew => '0 s');
BEGIN;
SELECT pg_sleep(1.1);
SELECT pg_temp.ahead('peter', 0) AS peter \gset
SELECT pg_sleep(1.1);
SELECT authz.revoke_subject('https://ahead.example', 'peter');
COMMIT;
\set ECHO none
UPDATE ahead SET token = :'peter' WHERE i = 4;
\set ECHO all
SELECT pg_temp.verdict(token) FROM ahead WHERE i = 4;
-- Ids are refused whatever the clocks say.
SELECT authz.revoke_session('https://ahead.example', 's');
SELECT pg_temp.verdict(pg_temp.ahead('nina', 0));
DELETE FROM authz.revoked_session WHERE issuer = 'https://ahead.example';
SELECT authz.revoke_token('https://ahead.example', 'j');
SELECT pg_temp.verdict(pg_temp.ahead('nina', 0));
-- The key's validity is of our clock: exact.
DELETE FROM authz.revoked_token WHERE issuer = 'https://ahead.example';
SELECT authz.alter_issuer('https://ahead.example', clock_skew => '300 s');
UPDATE authz.key SET valid_during = tstzrange(NULL, clock_timestamp()) WHERE issuer = 'https://ahead.example';
SELECT pg_temp.verdict(pg_temp.ahead('nina', 0)), pg_temp.verdict(pg_temp.ahead('nina', -60));
UPDATE authz.key SET valid_during = tstzrange(clock_timestamp() + interval '10 s', NULL) WHERE issuer = 'https://ahead.example';
SELECT pg_temp.verdict(pg_temp.ahead('nina', 0)), pg_temp.verdict(pg_temp.ahead('nina', 60));

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
SELECT authz.drop_issuer(issuer) FROM (VALUES ('https://idp.example'), ('https://other.example'), ('https://ahead.example')) AS i (issuer);
DROP ROLE regress_authz_admin, regress_authz_user;
