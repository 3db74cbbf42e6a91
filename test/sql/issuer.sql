-- Issuers and keys.
\set SHOW_CONTEXT never
LOAD 'authz';
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/test/sql/include/token.sql'
\set vectors :srcdir '/test/sql/include/vectors.sql'
\set ECHO none
\i :include
\i :vectors
\set ECHO all
\set issuer 'https://idp.example'

-- An issuer needs an audience.
SELECT authz.create_issuer(:'issuer', NULL);
SELECT authz.create_issuer(:'issuer', '{}');
SELECT audience, pg_temp.attempt(format('SELECT authz.create_issuer(%L, %L)', :'issuer', audience))
FROM (VALUES ('{NULL}'), ('{api,""}'), ('{""}')) AS a (audience);

-- And must make sense otherwise.
SELECT arguments, pg_temp.attempt(format('SELECT authz.create_issuer(%s)', arguments)) FROM (VALUES
	($$'', '{api}'$$),
	($$NULL, '{api}'$$),
	($$E'a\tb', '{api}'$$),
	($$'https://idp.example', '{api}', roles_claim => ''$$),
	($$'https://idp.example', '{api}', scopes_claim => ''$$),
	($$'https://idp.example', '{api}', subject_claim => ''$$),
	($$'https://idp.example', '{api}', subject_claim => NULL$$),
	($$'https://idp.example', '{api}', attributes => '[]'$$),
	($$'https://idp.example', '{api}', attributes => '{"tenant": 1}'$$),
	($$'https://idp.example', '{api}', attributes => '{"tenant": ""}'$$),
	($$'https://idp.example', '{api}', attributes => NULL$$),
	($$'https://idp.example', '{api}', clock_skew => '-1 s'$$),
	($$'https://idp.example', '{api}', clock_skew => '301 s'$$),
	($$'https://idp.example', '{api}', clock_skew => NULL$$)
) AS a (arguments);

-- Malformed paths: which, and what is wrong.
SELECT authz.create_issuer(:'issuer', '{api}', roles_claim => '["a",1]');
SELECT authz.create_issuer(:'issuer', '{api}', attributes => '{"a": "x", "b": ["c", ""], "d": "/~2"}');
SELECT path, authz.claim_path_problem(path) AS problem, pg_temp.attempt(format('SELECT authz.create_issuer(%L, ''{api}'', %s => %L)', :'issuer', field, value))
FROM (VALUES ('[]'), ('["a"'), ('[a]'), ('["a",]'), ('["a"] '), ('["a"],"b":["c"]'), ('["a"]}'), ('[["a"]]'), ('[null]'), ('["a",{"b":1}]'), ('[""]'), ('["\u0000"]'),
	('/'), ('//a'), ('/a/'), ('/~'), ('/a~2b'), ('/a~'), ('.a'), ('a.'), ('a..b'), ('.'), (' a'), ('a '), (repeat('a', 1025)), ('/' || repeat('a/', 16) || 'a'), ('["' || repeat('a","', 16) || 'a"]')) AS p (value)
	CROSS JOIN LATERAL (SELECT left(value, 20)) AS l (path) CROSS JOIN unnest('{subject_claim}'::text[]) AS field;
SELECT path, authz.claim_path_problem(path) AS problem FROM unnest(ARRAY['roles', 'a.b.c', 'https://idp.example/roles', 'a b', 'a/b', 'a[0]', '$.a',
	'["a"]', '["a.b","/c","[d]"]', '["é"]', '[ "a" , "b" ]', '/a', '/a~0b/~1/0', '/é', repeat('a', 1024)]) AS path WHERE authz.claim_path_problem(path) IS NOT NULL OR length(path) < 100;
SELECT field, pg_temp.attempt(format('SELECT authz.create_issuer(%L, ''{api}'', %s => %L)', :'issuer', field, value)) FROM (VALUES
	('roles_claim', '["a"'), ('scopes_claim', '/~'), ('subject_claim', 'a..b'), ('attributes', '{"t": "[]"}'), ('attributes', '{"t": []}'), ('attributes', '{"*": "/"}'),
	('attributes', '{"t": [["a"]]}'), ('attributes', '{"t": {"a": 1}}')) AS f (field, value);
SELECT count(*) FROM authz.issuer WHERE issuer = :'issuer';

SELECT authz.create_issuer(:'issuer', '{api,other}');
SELECT authz.create_issuer(:'issuer', '{api}');
SELECT authz.alter_issuer(:'issuer', roles_claim => 'groups', scopes_claim => '', attributes => '{"tenant": "t.id"}',
	clock_skew => '5 min', token_type => 'at+jwt');
SELECT * FROM authz.issuer WHERE issuer = :'issuer' \gx
SELECT authz.alter_issuer(:'issuer', token_type => 'JWE');
SELECT authz.alter_issuer(:'issuer', audience => '{}');
SELECT authz.alter_issuer(:'issuer', roles_claim => '["a"');
SELECT authz.alter_issuer('https://nobody.example', audience => '{api}');
SELECT authz.alter_issuer(:'issuer', audience => '{api}', roles_claim => 'roles', scopes_claim => 'scope', token_type => '');
SELECT audience, roles_claim, scopes_claim, token_type FROM authz.issuer WHERE issuer = :'issuer';

-- Keys that fit their algorithm, PEM and JWK.
SELECT authz.add_key(:'issuer', 'hs256', 'HS256', repeat('s', 32));
SELECT authz.add_key(:'issuer', 'hs384', 'HS384', repeat('test secret for the longer hashes ', 2));
SELECT authz.add_key(:'issuer', 'hs512', 'HS512', repeat('test secret for the longer hashes ', 2));
SELECT authz.add_key(:'issuer', 'oct', 'HS256', '{"kty":"oct","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}');
SELECT authz.add_key(:'issuer', lower(algorithm), algorithm, :'rsa_pem')
FROM unnest('{RS256,RS384,RS512,PS256,PS384,PS512}'::text[]) AS algorithm;
SELECT authz.add_key(:'issuer', 'es256', 'ES256', :'es256_jwk');
SELECT authz.add_key(:'issuer', 'es384', 'ES384', :'es384_jwk');
SELECT authz.add_key(:'issuer', 'es512', 'ES512', :'es512_jwk');
SELECT authz.add_key(:'issuer', 'eddsa', 'EdDSA', :'eddsa_jwk');

-- Every algorithm verifies; a changed signature does not.
\set ECHO none
CREATE TEMP TABLE vector (algorithm text, token text);
INSERT INTO vector VALUES ('HS384', :'hs384_token'), ('HS512', :'hs512_token'),
	('RS256', :'rs256_token'), ('RS384', :'rs384_token'), ('RS512', :'rs512_token'),
	('PS256', :'ps256_token'), ('PS384', :'ps384_token'), ('PS512', :'ps512_token'),
	('ES256', :'es256_token'), ('ES384', :'es384_token'), ('ES512', :'es512_token'), ('EdDSA', :'eddsa_token');
\set ECHO all
SELECT algorithm, pg_temp.verdict(token) FROM vector ORDER BY algorithm COLLATE "C";
SELECT algorithm, pg_temp.verdict(overlay(token PLACING translate(substr(token, length(token) - 40, 1), 'AaBb_', 'aAbB-') || 'x'
	FROM length(token) - 40 FOR 2)) FROM vector ORDER BY algorithm COLLATE "C";

-- A signature of another key, algorithm or length.
SELECT a.algorithm, b.algorithm AS signature_by,
	pg_temp.verdict(substring(a.token FROM '^[^.]*\.[^.]*\.') || substring(b.token FROM '[^.]*$'))
FROM vector AS a CROSS JOIN vector AS b
WHERE (a.algorithm, b.algorithm) IN (('RS256', 'PS256'), ('PS256', 'RS256'), ('ES256', 'ES384'), ('EdDSA', 'ES256'), ('HS384', 'HS512'))
ORDER BY a.algorithm COLLATE "C";

-- The algorithm is the key's: not the header's, nor that of another key of the issuer.
SELECT authz.drop_key(:'issuer', 'rs256');
SELECT authz.add_key(:'issuer', 'rs256', 'PS256', :'rsa_pem');
SELECT pg_temp.verdict(token) FROM vector WHERE algorithm = 'RS256';
-- RS256 turned into HS256 with the public key as its secret (CVE-2015-9235).
SELECT pg_temp.verdict(pg_temp.sign('{"alg":"HS256","kid":"rs384"}', pg_temp.claims()::text, :'rsa_pem'));

-- Refused keys.
\set ECHO none
SELECT format('SELECT authz.add_key(%L, ''bad'', %%L, %%L)', :'issuer') AS add_key \gset
\set ECHO all
SELECT what, pg_temp.attempt(format(:'add_key', algorithm, key)) FROM (VALUES
	(1, 'no algorithm', NULL, :'rsa_pem'),
	(2, 'none', 'none', ''),
	(3, 'none, spelled otherwise', 'nOnE', 'x'),
	(4, 'unknown algorithm', 'RS1', :'rsa_pem'),
	(5, 'lower case', 'rs256', :'rsa_pem'),
	(6, 'no key', 'RS256', NULL),
	(7, 'empty key', 'HS256', ''),
	(8, 'short for HS256', 'HS256', repeat('s', 31)),
	(9, 'short for HS384', 'HS384', repeat('s', 47)),
	(10, 'short for HS512', 'HS512', repeat('s', 63)),
	(11, 'short oct JWK', 'HS256', '{"kty":"oct","k":"c3Nz"}'),
	(12, 'RSA key as a secret', 'HS256', :'rsa_pem'),
	(13, 'RSA JWK as a secret', 'HS256', :'rsa_jwk'),
	(14, 'secret for RSA', 'RS256', repeat('s', 64)),
	(15, 'RSA of 1024 bits', 'RS256', :'rsa_1024_pem'),
	(16, 'RSA JWK for another algorithm', 'RS512', :'rsa_jwk'),
	(17, 'RSA for ES256', 'ES256', :'rsa_pem'),
	(18, 'P-384 for ES256', 'ES256', :'es384_jwk'),
	(19, 'P-256 for ES512', 'ES512', :'es256_jwk'),
	(20, 'secp256k1 for ES256', 'ES256', :'secp256k1_pem'),
	(21, 'Ed25519 for ES256', 'ES256', :'eddsa_jwk'),
	(22, 'P-256 for EdDSA', 'EdDSA', :'es256_jwk'),
	(23, 'not on the curve', 'ES256', (:'es256_jwk'::jsonb || jsonb_build_object('y', :'es256_jwk'::jsonb -> 'x'))::text),
	(24, 'use enc', 'RS256', (:'rsa_jwk'::jsonb || '{"use":"enc"}')::text),
	(25, 'key_ops without verify', 'ES256', (:'es256_jwk'::jsonb || '{"key_ops":["sign"]}')::text),
	(26, 'key_ops no array', 'ES256', (:'es256_jwk'::jsonb || '{"key_ops":"verify"}')::text),
	(27, 'private member', 'ES256', (:'es256_jwk'::jsonb || '{"d":"AAAA"}')::text),
	(28, 'private PEM', 'RS256', E'-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----'),
	(29, 'member twice', 'HS256', '{"kty":"oct","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M","kty":"oct"}'),
	(30, 'rubbish', 'RS256', 'rubbish')
) AS k (i, what, algorithm, key) ORDER BY i;
SELECT left(kid, 5) AS kid, pg_temp.attempt(format('SELECT authz.add_key(%L, %L, ''HS256'', %L)', :'issuer', kid, repeat('s', 32)))
FROM (VALUES (''), (NULL), (repeat('k', 256)), (E'a\nb'), ('hs256')) AS k (kid);
SELECT authz.add_key('https://nobody.example', 'k', 'HS256', repeat('s', 32));
SELECT pg_temp.attempt(format('SELECT authz.add_key(%L, ''bad'', ''HS256'', %L, ''empty'')', :'issuer', repeat('s', 32)));
SELECT authz.drop_key(:'issuer', 'bad');
SELECT count(*) FROM authz.key WHERE kid = 'bad';

-- A key with use sig and key_ops verify is good.
SELECT authz.add_key(:'issuer', 'full', 'ES256', (:'es256_jwk'::jsonb || '{"use":"sig","key_ops":["verify"],"alg":"ES256"}')::text);

-- Validity.
UPDATE authz.key SET valid_during = tstzrange(NULL, now() - interval '1 s') WHERE issuer = :'issuer' AND kid = 'es256';
SELECT pg_temp.verdict(token) FROM vector WHERE algorithm = 'ES256';
UPDATE authz.key SET valid_during = tstzrange(now() + '1 hour', NULL) WHERE issuer = :'issuer' AND kid = 'es256';
SELECT pg_temp.verdict(token) FROM vector WHERE algorithm = 'ES256';
UPDATE authz.key SET valid_during = tstzrange(now() - interval '1 s', now() + '1 hour') WHERE issuer = :'issuer' AND kid = 'es256';
SELECT pg_temp.verdict(token) FROM vector WHERE algorithm = 'ES256';

-- JWKS: exactly its keys, whatever was there; those for other uses are left out.
SELECT authz.set_jwks(:'issuer', jsonb_build_object('keys', jsonb_build_array(
	:'rsa_jwk'::jsonb, :'es256_jwk'::jsonb, :'es384_jwk'::jsonb,
	:'rsa_jwk'::jsonb || '{"kid":"enc","use":"enc","alg":"RSA-OAEP"}',
	:'rsa_jwk'::jsonb || '{"kid":"wrap","key_ops":["wrapKey"]}',
	:'rsa_jwk'::jsonb || '{"kid":"odd","alg":"RS1"}')));
SELECT kid, algorithm, valid_during = '(,)' AS always FROM authz.key WHERE issuer = :'issuer' ORDER BY kid;
SELECT algorithm, pg_temp.verdict(token) FROM vector WHERE algorithm IN ('ES256', 'ES384', 'ES512') ORDER BY algorithm;

-- All or nothing.
SELECT authz.set_jwks(:'issuer', jsonb_build_object('keys', jsonb_build_array(:'es512_jwk'::jsonb, :'es512_jwk'::jsonb)));
SELECT authz.set_jwks(:'issuer', jsonb_build_object('keys', jsonb_build_array(:'es512_jwk'::jsonb, :'es384_jwk'::jsonb || '{"d":"AAAA"}')));
SELECT authz.set_jwks(:'issuer', jsonb_build_object('keys', jsonb_build_array(:'es512_jwk'::jsonb, :'es384_jwk'::jsonb || '{"alg":"ES256"}')));
SELECT jwks, pg_temp.attempt(format('SELECT authz.set_jwks(%L, %L)', :'issuer', jwks)) FROM (VALUES
	(NULL), ('[]'), ('{}'), ('{"keys":{}}'), ('{"keys":["k"]}')) AS j (jwks);
SELECT authz.set_jwks('https://nobody.example', '{"keys":[]}');
SELECT kid, algorithm FROM authz.key WHERE issuer = :'issuer' ORDER BY kid;

-- A set that mixes symmetric and public keys is refused, whatever the secret is said to be for and however it is spelt.
SELECT authz.set_jwks(:'issuer', jsonb_build_object('keys', jsonb_build_array(:'es512_jwk'::jsonb, '{"kty":"oct","alg":"HS256","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}'::jsonb)));
SELECT secret, pg_temp.attempt(format('SELECT authz.set_jwks(%L, %L)', :'issuer', jsonb_build_object('keys', jsonb_build_array(secret, :'es512_jwk'::jsonb))))
FROM unnest('{"{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"AAAA\"}","{\"kty\":\"OCT\",\"alg\":\"HS256\"}","{\"k\":\"AAAA\"}","{\"kty\":\"EC\",\"k\":null}","{\"kty\":\"oct\",\"alg\":\"dir\"}"}'::jsonb[]) AS secret;
SELECT pg_temp.attempt(format('SELECT authz.set_jwks(%L, %L)', :'issuer', '{"keys":[1]}'));
SELECT kid, algorithm FROM authz.key WHERE issuer = :'issuer' ORDER BY kid;

-- A key without kid is known by its thumbprint (RFC 7638 section 3.1) and serves tokens without one.
SELECT authz.jwk_thumbprint('{"kty":"RSA","alg":"RS256","kid":"2011-04-29","e":"AQAB",
	"n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}');
SELECT authz.set_jwks(:'issuer', '{"keys":[{"kty":"oct","alg":"HS256","k":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M"}]}');
SELECT kid, algorithm FROM authz.key WHERE issuer = :'issuer';
SELECT pg_temp.verdict(pg_temp.sign('{"alg":"HS256"}', pg_temp.claims()::text, repeat('s', 32)));

-- An empty set withdraws every key.
SELECT authz.set_jwks(:'issuer', '{"keys":[]}');
SELECT count(*) FROM authz.key WHERE issuer = :'issuer';
SELECT algorithm, pg_temp.verdict(token) FROM vector WHERE algorithm = 'ES256';

-- The internal issuer is the extension's own.
SELECT statement, pg_temp.attempt(statement) FROM (VALUES
	($$SELECT authz.create_issuer('authz:internal', '{api}')$$),
	($$SELECT authz.alter_issuer('authz:internal', audience => '{api}')$$),
	($$SELECT authz.drop_issuer('authz:internal')$$),
	($$SELECT authz.add_key('authz:internal', 'mine', 'HS256', repeat('s', 32))$$),
	($$SELECT authz.drop_key('authz:internal', 'internal')$$),
	($$SELECT authz.set_jwks('authz:internal', '{"keys":[]}')$$),
	($$UPDATE authz.key SET key = repeat('s', 32) WHERE issuer = 'authz:internal'$$),
	($$UPDATE authz.issuer SET issuer = 'mine' WHERE internal$$),
	($$UPDATE authz.issuer SET internal = true WHERE issuer = 'https://idp.example'$$),
	($$DELETE FROM authz.issuer WHERE internal$$)
) AS s (statement);

-- Dropping an issuer drops its keys and its grants.
RESET authz.token;
SELECT authz.create_role('regress_reader');
SELECT authz.add_key(:'issuer', 'k1', 'HS256', pg_temp.secret());
SELECT authz.grant_role('alice', 'regress_reader', issuer => :'issuer');
SELECT pg_temp.verdict(pg_temp.token());
SELECT authz.has_role('regress_reader');
SELECT authz.drop_issuer(:'issuer');
SELECT authz.subject();
SELECT count(*) FROM authz.key WHERE issuer = :'issuer';
SELECT count(*) FROM authz.role_grant WHERE issuer = :'issuer';
SELECT authz.drop_issuer(:'issuer');
RESET authz.token;

-- Rights.  Secrets can be written but not read by the administrator.
CREATE ROLE regress_authz_admin;
GRANT authz_admin TO regress_authz_admin;
CREATE ROLE regress_authz_user;
SET ROLE regress_authz_admin;
SELECT authz.create_issuer('https://regress.example', '{api}');
SELECT authz.alter_issuer('https://regress.example', clock_skew => '0 s');
SELECT authz.add_key('https://regress.example', 'k1', 'HS256', repeat('s', 32));
SELECT authz.set_jwks('https://regress.example', jsonb_build_object('keys', jsonb_build_array(:'es256_jwk'::jsonb)));
SELECT authz.set_jwks('https://regress.example', jsonb_build_object('keys', jsonb_build_array(:'es256_jwk'::jsonb, :'es384_jwk'::jsonb)));
SELECT issuer, kid, algorithm, valid_during FROM authz.key WHERE issuer = 'https://regress.example' ORDER BY kid;
SELECT key FROM authz.key;
SELECT authz.drop_key('https://regress.example', 'es256');
SELECT authz.drop_issuer('https://regress.example');
SET ROLE regress_authz_user;
SELECT statement, pg_temp.attempt(statement) FROM (VALUES
	($$SELECT authz.create_issuer('https://regress.example', '{api}')$$),
	($$SELECT authz.alter_issuer('authz:internal')$$),
	($$SELECT authz.drop_issuer('authz:internal')$$),
	($$SELECT authz.add_key('authz:internal', 'k1', 'HS256', repeat('s', 32))$$),
	($$SELECT authz.drop_key('authz:internal', 'internal')$$),
	($$SELECT authz.set_jwks('authz:internal', '{"keys":[]}')$$),
	($$SELECT authz.require_issuer('authz:internal')$$),
	($$SELECT authz.key_problem('HS256', 's')$$),
	($$SELECT authz.claim_path_problem('a')$$),
	($$SELECT FROM authz.issuer$$),
	($$SELECT kid FROM authz.key$$)
) AS s (statement);
RESET ROLE;
SELECT authz.drop_role('regress_reader');
DROP ROLE regress_authz_admin, regress_authz_user;
