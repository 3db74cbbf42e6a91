-- Tokens made in SQL, for tests: HMAC-SHA256 by RFC 2104, no extension needed.

CREATE FUNCTION pg_temp.hmac_sha256(secret bytea, message bytea) RETURNS bytea
	LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
DECLARE
	inner_pad bytea = '';
	outer_pad bytea = '';
	byte integer;
BEGIN
	IF length(secret) > 64 THEN
		secret := sha256(secret);
	END IF;
	FOR i IN 0..63 LOOP
		byte := CASE WHEN i < length(secret) THEN get_byte(secret, i) ELSE 0 END;
		inner_pad := inner_pad || set_byte('\x00', 0, byte # 54);
		outer_pad := outer_pad || set_byte('\x00', 0, byte # 92);
	END LOOP;
	RETURN sha256(outer_pad || sha256(inner_pad || message));
END
$$;

CREATE FUNCTION pg_temp.base64url(bytes bytea) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT
	RETURN rtrim(translate(encode(bytes, 'base64'), E'+/\n', '-_'), '=');

CREATE FUNCTION pg_temp.secret() RETURNS text LANGUAGE sql IMMUTABLE RETURN repeat('test secret ', 3);

-- A compact JWS over bytes that need not be JSON.
CREATE FUNCTION pg_temp.sign_bytes(header bytea, claims bytea, secret text = pg_temp.secret()) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT
	RETURN pg_temp.base64url(header) || '.' || pg_temp.base64url(claims) || '.' ||
		pg_temp.base64url(pg_temp.hmac_sha256(secret::bytea,
			(pg_temp.base64url(header) || '.' || pg_temp.base64url(claims))::bytea));

-- The same over texts.
CREATE FUNCTION pg_temp.sign(header text, claims text, secret text = pg_temp.secret()) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT
	RETURN pg_temp.sign_bytes(convert_to(header, 'UTF8'), convert_to(claims, 'UTF8'), secret);

CREATE FUNCTION pg_temp.header() RETURNS text
	LANGUAGE sql IMMUTABLE RETURN '{"alg":"HS256","kid":"k1","typ":"JWT"}';

CREATE FUNCTION pg_temp.seconds(moment timestamptz) RETURNS bigint
	LANGUAGE sql STABLE STRICT RETURN floor(extract(epoch FROM moment))::bigint;

-- Good claims; members of `changes` replace theirs, null ones take them away.
CREATE FUNCTION pg_temp.claims(changes jsonb = '{}') RETURNS jsonb
	LANGUAGE sql STABLE STRICT
	RETURN jsonb_strip_nulls(jsonb_build_object('iss', 'https://idp.example', 'aud', 'api', 'sub', 'alice',
		'exp', pg_temp.seconds(now()) + 3600) || changes);

-- A good token but for the changes.
CREATE FUNCTION pg_temp.token(changes jsonb = '{}') RETURNS text
	LANGUAGE sql STABLE STRICT RETURN pg_temp.sign(pg_temp.header(), pg_temp.claims(changes)::text);

-- Set a token; say whose it is, or why it was refused.
CREATE FUNCTION pg_temp.verdict(token text) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	message text;
	state text;
BEGIN
	PERFORM set_config('authz.token', token, false);
	RETURN 'good: ' || authz.subject();
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
	RETURN state || ' ' || message;
END
$$;

-- Run a statement; say how it failed, or that it did not.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text
	LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	message text;
	state text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
	RETURN state || ' ' || message;
END
$$;
