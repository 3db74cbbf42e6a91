-- Tokens that are refused, each for its reason, at SET time.
\set SHOW_CONTEXT never
LOAD 'authz';
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/test/sql/include/token.sql'
\set ECHO none
\i :include
\set ECHO all
SELECT authz.create_issuer('https://idp.example', '{api,api2}', clock_skew => '10 s');
SELECT authz.add_key('https://idp.example', 'k1', 'HS256', pg_temp.secret());

-- A good one, as SET and as function.
SELECT pg_temp.token() AS token \gset
\set ECHO none
SET authz.token = :'token';
\set ECHO all
SELECT authz.subject(), authz.issuer(), authz.has_role('*');
SELECT pg_temp.verdict(pg_temp.token('{"sub":"bob"}'));

-- Algorithm: none in any spelling, another one, none at all.
SELECT alg, pg_temp.verdict(pg_temp.sign(format('{"alg":%s,"kid":"k1"}', alg), pg_temp.claims()::text)) FROM (VALUES
	('"none"'), ('"None"'), ('"NONE"'), ('"nOnE"'), ('"none "'), ('"n\u006fne"'), ('""'), ('null'), ('1'), ('["HS256"]'),
	('"HS512"'), ('"hs256"'), ('"HS256 "'), ('"RS256"'), ('"ES256"'), ('"HS256HS256HS256HS256"')) AS a (alg);
SELECT pg_temp.verdict(pg_temp.sign('{"kid":"k1"}', pg_temp.claims()::text));
SELECT pg_temp.verdict(pg_temp.base64url('{"alg":"none"}') || '.' || pg_temp.base64url(pg_temp.claims()::text::bytea) || '.');
SELECT pg_temp.verdict(pg_temp.base64url('{"alg":"HS256","kid":"k1"}') || '.' || pg_temp.base64url(pg_temp.claims()::text::bytea) || '.');

-- Key id: unknown, of a wrong type; without one only if a single key could serve.
SELECT left(kid, 12) AS kid, pg_temp.verdict(pg_temp.sign(format('{"alg":"HS256","kid":%s}', kid), pg_temp.claims()::text)) FROM (VALUES
	('"k1"'), ('"\u006b1"'), ('"k2"'), ('"K1"'), ('"k1 "'), ('""'), ('null'), ('1'), ('"../../k1"'), (to_jsonb(repeat('k', 300))::text)) AS k (kid);
SELECT pg_temp.verdict(pg_temp.sign('{"alg":"HS256"}', pg_temp.claims()::text));
SELECT authz.add_key('https://idp.example', 'k2', 'HS256', repeat('another secret ', 3));
SELECT pg_temp.verdict(pg_temp.sign('{"alg":"HS256"}', pg_temp.claims()::text));
SELECT pg_temp.verdict(pg_temp.sign('{"alg":"HS256","kid":"k2"}', pg_temp.claims()::text));
SELECT pg_temp.verdict(pg_temp.sign('{"alg":"HS256","kid":"k2"}', pg_temp.claims()::text, repeat('another secret ', 3)));
UPDATE authz.key SET valid_during = tstzrange(NULL, now() - interval '1 s') WHERE kid = 'k2';
SELECT pg_temp.verdict(pg_temp.sign('{"alg":"HS256"}', pg_temp.claims()::text));
SELECT authz.drop_key('https://idp.example', 'k2');

-- Signature: another secret, another input, missing, cut off.
SELECT pg_temp.verdict(pg_temp.sign(pg_temp.header(), pg_temp.claims()::text, 'wrong'));
SELECT pg_temp.verdict(pg_temp.sign(pg_temp.header(), pg_temp.claims()::text, ''));
SELECT pg_temp.verdict(regexp_replace(pg_temp.token('{"sub":"mallory"}'), '[^.]*$', '') || substring(pg_temp.token() FROM '[^.]*$'));
SELECT pg_temp.verdict(regexp_replace(pg_temp.token(), '[^.]*$', ''));
SELECT pg_temp.verdict(left(pg_temp.token(), -3));

-- Headers that bring a key along, or ask for what is not understood.
SELECT header, pg_temp.verdict(pg_temp.sign(format('{"alg":"HS256","kid":"k1",%s}', header), pg_temp.claims()::text)) FROM (VALUES
	('"jwk":{"kty":"oct","k":"AAAA"}'), ('"jku":"https://idp.example/jwks"'), ('"x5u":"https://idp.example/x5"'), ('"x5c":["AAAA"]'),
	('"x5t":"AAAA"'), ('"crit":["exp"]'), ('"crit":[]'), ('"b64":false'), ('"b64":true'), ('"enc":"A128GCM"'), ('"zip":"DEF"'),
	('"typ":"JWE"'), ('"typ":"secevent+jwt"'), ('"typ":1'), ('"typ":"at+jwt"'), ('"typ":"JWT"'), ('"typ":"application/at+jwt"'),
	('"alg":"HS256"'), ('"a\u006cg":"HS256"'), ('"unknown":1')) AS h (header);

-- Form: segments, serialisations, bytes.
SELECT what, pg_temp.verdict(token) FROM (
	SELECT row_number() OVER () AS i, v.* FROM (SELECT pg_temp.token() AS t) AS g CROSS JOIN LATERAL (VALUES
		('rubbish', 'rubbish'),
		('one segment', split_part(t, '.', 1)),
		('two segments', split_part(t, '.', 1) || '.' || split_part(t, '.', 2)),
		('four segments', t || '.AAAA'),
		('five segments: JWE', t || '.AAAA.AAAA'),
		('dots', '..'),
		('JSON serialisation', format('{"protected":"%s","payload":"%s","signature":"%s"}', split_part(t, '.', 1), split_part(t, '.', 2), split_part(t, '.', 3))),
		('JSON array', '[' || t || ']'),
		('space before', ' ' || t),
		('space after', t || ' '),
		('line feed after', t || E'\n'),
		('space within', replace(t, '.', ' .')),
		('Bearer', 'Bearer ' || t),
		('quotes', '"' || t || '"'),
		('padding', t || '='),
		('padded header', replace(encode(pg_temp.header()::bytea, 'base64'), E'\n', '') || '=' || '.' || split_part(t, '.', 2) || '.' || split_part(t, '.', 3)),
		('base64, not base64url', overlay(t PLACING '+/' FROM length(t) - 5 FOR 2)),
		('not ASCII', overlay(t PLACING 'é' FROM length(t) - 5 FOR 2)),
		('percent', overlay(t PLACING '%2' FROM length(t) - 5 FOR 2)),
		('impossible length', t || 'AA'),
		('unused bits set', left(t, -1) || chr(ascii(right(t, 1)) + 1))
	) AS v (what, token)
) AS f ORDER BY i;

-- JSON: strict, one object, no name twice, no NUL, UTF-8, bounded.
SELECT what, pg_temp.verdict(pg_temp.sign(pg_temp.header(), claims)) FROM (
	SELECT row_number() OVER () AS i, v.* FROM (SELECT rtrim(pg_temp.claims()::text, '}') AS c) AS g CROSS JOIN LATERAL (VALUES
		('no JSON', 'rubbish'),
		('empty', ''),
		('array', '[]'),
		('string', '"x"'),
		('trailing comma', c || ',}'),
		('trailing bytes', c || '} x'),
		('two objects', c || '}{}'),
		('comment', c || '/* */}'),
		('single quotes', c || ', ''a'': 1}'),
		('NaN', c || ', "a": NaN}'),
		('leading zero', c || ', "a": 01}'),
		('member twice', c || ', "sub": "mallory"}'),
		('member twice by escape', c || ', "s\u0075b": "mallory"}'),
		('member twice further down', c || ', "a": {"b": {"c": 1, "c": 2}}}'),
		('NUL', c || ', "a": "x\u0000y"}'),
		('NUL in a name', c || ', "a\u0000b": 1}'),
		('lone surrogate', c || ', "a": "\ud800"}'),
		('control character', c || E', "a": "x\ty"}'),
		('depth 16', c || ', "a": ' || repeat('[', 15) || repeat(']', 15) || '}'),
		('depth 17', c || ', "a": ' || repeat('[', 16) || repeat(']', 16) || '}'),
		('depth 5000', c || ', "a": ' || repeat('[', 5000) || repeat(']', 5000) || '}'),
		('huge number', c || ', "a": 1e99999}'),
		('number of 200 digits', c || ', "a": ' || repeat('9', 200) || '}'),
		('white space', E' \n' || c || E'\n}\n')
	) AS v (what, claims)
) AS j ORDER BY i;
SELECT what, pg_temp.verdict(pg_temp.sign_bytes(pg_temp.header()::bytea,
	convert_to(rtrim(pg_temp.claims('{"exp":99999999999}')::text, '}') || ', "a": "', 'UTF8') || bytes || '"}')) FROM (VALUES
	('UTF-8', '\xc3a9'::bytea), ('Latin-1', '\xe9'), ('overlong', '\xc080'), ('surrogate', '\xeda080'), ('beyond Unicode', '\xf4908080'),
	('NUL byte', '\x00')) AS b (what, bytes);
SELECT pg_temp.verdict(pg_temp.sign_bytes('\xefbbbf' || pg_temp.header()::bytea, pg_temp.claims()::text::bytea)) AS byte_order_mark;
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('a', repeat('x', 11000)))) AS below_the_limit;
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('a', repeat('x', 13000)))) AS over_the_limit;
SET authz.token_max_size = '20kB';
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('a', repeat('x', 13000)))) AS below_a_raised_limit;
RESET authz.token_max_size;

-- Times: whole seconds in a sane range.
SELECT exp, pg_temp.verdict(pg_temp.sign(pg_temp.header(), format('{"iss":"https://idp.example","aud":"api","sub":"alice","exp":%s}', exp))) FROM (VALUES
	('99999999999'), ('253402300799'), ('253402300800'), ('1e3'), ('1e11'), ('99999999999.0'), ('99999999999.5'), ('-1'), ('0'),
	('9223372036854775807'), ('18446744073709551616'), ('"99999999999"'), ('null'), ('true'), ('[]'), ('{}')) AS e (exp);
SELECT claim, value, pg_temp.verdict(pg_temp.sign(pg_temp.header(),
	format('{"iss":"https://idp.example","aud":"api","sub":"alice","exp":99999999999,"%s":%s}', claim, value)))
FROM unnest('{nbf,iat}'::text[]) AS claim CROSS JOIN unnest('{0,1000,1000.0,1e3,-1,"\"1000\"","null",99999999999}'::text[]) AS value;
SELECT pg_temp.verdict(pg_temp.token('{"exp":null}')) AS without_exp;

-- Times against the clock, with 10 seconds of skew.
SELECT claim, ago, pg_temp.verdict(pg_temp.token(jsonb_build_object(claim, pg_temp.seconds(now() - ago)))) FROM (VALUES
	('exp', interval '15 s'), ('exp', '5 s'), ('exp', '-1 s'),
	('nbf', '-15 s'), ('nbf', '-5 s'), ('nbf', '1 s'),
	('iat', '-15 s'), ('iat', '-5 s'), ('iat', '1 s')) AS t (claim, ago);

-- Issuer, audience, subject, ids.
SELECT changes, pg_temp.verdict(pg_temp.token(changes)) FROM (
	SELECT row_number() OVER () AS i, c.changes::jsonb FROM (VALUES
		('{"iss":null}'), ('{"iss":""}'), ('{"iss":1}'), ('{"iss":["https://idp.example"]}'), ('{"iss":"https://idp.example/"}'),
		('{"iss":"https://IDP.example"}'), ('{"iss":"https://evil.example"}'), ('{"iss":"authz:internal","aud":"authz:internal"}'),
		('{"aud":null}'), ('{"aud":""}'), ('{"aud":[]}'), ('{"aud":1}'), ('{"aud":{"api":1}}'), ('{"aud":"API"}'), ('{"aud":"api api2"}'),
		('{"aud":"other"}'), ('{"aud":["other"]}'), ('{"aud":["other",1]}'), ('{"aud":["other","api2"]}'), ('{"aud":["api"]}'),
		('{"sub":null}'), ('{"sub":""}'), ('{"sub":1}'), ('{"sub":["alice"]}'),
		('{"jti":"x"}'), ('{"jti":1}'), ('{"jti":""}'), ('{"sid":"x"}'), ('{"sid":1}'),
		('{"roles":"a b"}'), ('{"roles":["a"]}'), ('{"roles":[]}'), ('{"roles":1}'), ('{"roles":{"a":1}}'), ('{"roles":["a",1]}'), ('{"roles":true}'),
		('{"scope":"a b"}'), ('{"scope":["a"]}'), ('{"scope":1}'), ('{"scope":["a",["b"]]}')
	) AS c (changes)
) AS c ORDER BY i;
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('sub', repeat('s', 1024)))) = 'good: ' || repeat('s', 1024) AS longest_subject;
SELECT pg_temp.verdict(pg_temp.token(jsonb_build_object('sub', repeat('s', 1025)))) AS longer_subject;

-- at+jwt if the issuer says so.
SELECT authz.alter_issuer('https://idp.example', token_type => 'at+jwt');
SELECT header, pg_temp.verdict(pg_temp.sign(header, pg_temp.claims()::text)) FROM (VALUES
	('{"alg":"HS256","kid":"k1"}'), ('{"alg":"HS256","kid":"k1","typ":"JWT"}'), ('{"alg":"HS256","kid":"k1","typ":"at+jwt"}')) AS h (header);
SELECT authz.alter_issuer('https://idp.example', token_type => '');

-- An issuer that got past the triggers without an audience accepts nothing.
SET session_replication_role = replica;
UPDATE authz.issuer SET audience = '{}' WHERE issuer = 'https://idp.example';
SELECT pg_temp.verdict(pg_temp.token()), pg_temp.verdict(pg_temp.token('{"aud":""}'));
UPDATE authz.issuer SET audience = '{NULL,""}' WHERE issuer = 'https://idp.example';
SELECT pg_temp.verdict(pg_temp.token()), pg_temp.verdict(pg_temp.token('{"aud":""}'));
UPDATE authz.issuer SET audience = '{api}' WHERE issuer = 'https://idp.example';
-- So does a key that got past them and is not fit for use.
UPDATE authz.key SET key = 'short' WHERE issuer = 'https://idp.example';
SELECT pg_temp.verdict(pg_temp.sign(pg_temp.header(), pg_temp.claims()::text, 'short'));
UPDATE authz.key SET key = '' WHERE issuer = 'https://idp.example';
SELECT pg_temp.verdict(pg_temp.sign(pg_temp.header(), pg_temp.claims()::text, ''));
UPDATE authz.key SET algorithm = 'none' WHERE issuer = 'https://idp.example';
SELECT pg_temp.verdict(pg_temp.sign('{"alg":"none","kid":"k1"}', pg_temp.claims()::text, ''));
RESET session_replication_role;

RESET authz.token;
SELECT authz.drop_issuer('https://idp.example');
