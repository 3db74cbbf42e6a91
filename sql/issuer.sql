-- Issuers of tokens and their keys.

CREATE TABLE authz.issuer (
	issuer text COLLATE "C" NOT NULL,
	audience text[] COLLATE "C" NOT NULL,
	roles_claim text DEFAULT 'roles',
	scopes_claim text DEFAULT 'scope',
	subject_claim text NOT NULL DEFAULT 'sub',
	attributes jsonb NOT NULL DEFAULT '{}',
	clock_skew interval NOT NULL DEFAULT '30 s',
	token_type text,
	internal boolean NOT NULL DEFAULT false,
	CONSTRAINT issuer_pkey PRIMARY KEY (issuer)
);
COMMENT ON TABLE authz.issuer IS 'who may issue tokens, and where in their claims is what';
COMMENT ON COLUMN authz.issuer.issuer IS 'the claim iss, exactly';
COMMENT ON COLUMN authz.issuer.audience IS 'a token is accepted if its aud names one of these';
COMMENT ON COLUMN authz.issuer.roles_claim IS
	'path of the roles (array, its JSON in a string, or words in a string); null: none. A path is a member''s name, names of nested members '
	'with dots between, a JSON array of names (["a","b"]) or a JSON Pointer (/a/b, RFC 6901)';
COMMENT ON COLUMN authz.issuer.scopes_claim IS 'path of the scopes, likewise';
COMMENT ON COLUMN authz.issuer.subject_claim IS 'path of the subject';
COMMENT ON COLUMN authz.issuer.attributes IS
	'attribute name -> path of its value, as above or as an array; "*" -> path of an object each member of which becomes an attribute';
COMMENT ON COLUMN authz.issuer.clock_skew IS 'how far its clock may be off, at most 300 seconds: exp, nbf and iat are accepted that much late or early, revoke_subject reaches that much further';
COMMENT ON COLUMN authz.issuer.token_type IS 'null: typ is JWT, at+jwt or absent; at+jwt (RFC 9068): must be that';
COMMENT ON COLUMN authz.issuer.internal IS 'the issuer of authz.assume, made by the extension';

CREATE TABLE authz.key (
	issuer text COLLATE "C" NOT NULL,
	kid text COLLATE "C" NOT NULL,
	algorithm text COLLATE "C" NOT NULL,
	key text NOT NULL,
	valid_during tstzrange NOT NULL DEFAULT '(,)',
	CONSTRAINT key_pkey PRIMARY KEY (issuer, kid),
	CONSTRAINT key_issuer_fkey FOREIGN KEY (issuer) REFERENCES authz.issuer (issuer) ON DELETE CASCADE,
	CONSTRAINT key_valid_during_check CHECK (NOT pg_catalog.isempty(valid_during))
);
COMMENT ON TABLE authz.key IS 'keys that verify the tokens of an issuer';
COMMENT ON COLUMN authz.key.kid IS 'the header parameter kid, exactly';
COMMENT ON COLUMN authz.key.algorithm IS 'the only JWS algorithm this key verifies';
COMMENT ON COLUMN authz.key.key IS 'PEM or JWK of the public key; for HS* the shared secret or its JWK';
COMMENT ON COLUMN authz.key.valid_during IS 'the key verifies at these times only';

ALTER TABLE authz.role_grant ADD CONSTRAINT role_grant_issuer_fkey
	FOREIGN KEY (issuer) REFERENCES authz.issuer (issuer) ON DELETE CASCADE;
CREATE INDEX role_grant_issuer_idx ON authz.role_grant (issuer);

CREATE FUNCTION authz.key_problem(algorithm text, key text) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_key_problem';
COMMENT ON FUNCTION authz.key_problem(text, text) IS
	'what keeps a key from verifying by an algorithm, or null if nothing does';

CREATE FUNCTION authz.claim_path_problem(path text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_claim_path_problem';
COMMENT ON FUNCTION authz.claim_path_problem(text) IS 'what keeps a text from being the path of a claim, or null if nothing does';

CREATE FUNCTION authz.check_issuer() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	path record;
BEGIN
	IF new.internal OR (tg_op = 'UPDATE' AND old.internal) THEN
		RAISE EXCEPTION 'the internal issuer cannot be changed' USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF coalesce(new.issuer, '') = '' OR new.issuer ~ '[[:cntrl:]]' OR octet_length(new.issuer) > 1024 THEN
		RAISE EXCEPTION 'an issuer must have 1 to 1024 bytes and no control characters'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF coalesce(cardinality(new.audience), 0) = 0 OR array_position(new.audience, NULL) IS NOT NULL
		OR '' = ANY (new.audience) THEN
		RAISE EXCEPTION 'issuer "%" needs an audience', new.issuer
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'Without one, tokens that were issued for other services would be accepted.',
				HINT = 'Give the values of the claim "aud" that name this database.';
	END IF;
	IF coalesce(new.subject_claim, '') = '' OR new.roles_claim = '' OR new.scopes_claim = '' THEN
		RAISE EXCEPTION 'a claim path must not be empty'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'For no roles or scopes give NULL.';
	END IF;
	IF jsonb_typeof(new.attributes) IS DISTINCT FROM 'object' OR EXISTS (
		SELECT FROM jsonb_each(new.attributes) AS a
		WHERE a.key = '' OR jsonb_typeof(a.value) NOT IN ('string', 'array') OR a.value = '""'
	) THEN
		RAISE EXCEPTION 'attributes must be an object of attribute names and claim paths'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'For example {"tenant": "app_metadata.tenant_id"}.';
	END IF;
	FOR path IN
		SELECT p.field, p.value, authz.claim_path_problem(p.value) AS problem FROM (
			VALUES (1, 'roles_claim', new.roles_claim), (2, 'scopes_claim', new.scopes_claim), (3, 'subject_claim', new.subject_claim)
			UNION ALL
			SELECT 4, format('attribute "%s"', a.key), a.value #>> '{}' FROM jsonb_each(new.attributes) AS a
		) AS p (i, field, value) ORDER BY p.i, p.field COLLATE "C"
	LOOP
		IF path.problem IS NOT NULL THEN
			RAISE EXCEPTION 'the claim path of % cannot be used: %', path.field, path.problem
				USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The path is: %s', path.value),
					HINT = 'A path is a claim''s name, names with dots between, a JSON array of names, or a JSON Pointer (RFC 6901).';
		END IF;
	END LOOP;
	IF new.clock_skew IS NULL OR new.clock_skew < '0 s' OR new.clock_skew > '300 s' THEN
		RAISE EXCEPTION 'clock_skew must be between 0 and 300 seconds' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF new.token_type <> 'at+jwt' THEN
		RAISE EXCEPTION 'token_type must be NULL or "at+jwt"' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	new.clock_skew := make_interval(secs => extract(epoch FROM new.clock_skew)::double precision);
	RETURN new;
END
$$;
COMMENT ON FUNCTION authz.check_issuer() IS 'trigger: refuses an issuer that would accept too much';
REVOKE ALL ON FUNCTION authz.check_issuer() FROM PUBLIC;

CREATE TRIGGER check_issuer BEFORE INSERT OR UPDATE ON authz.issuer
	FOR EACH ROW EXECUTE FUNCTION authz.check_issuer();

-- Errors name the key by its kid, never by its text: it may be a secret.
CREATE FUNCTION authz.check_key() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem text;
BEGIN
	IF new.issuer = 'authz:internal' OR (tg_op = 'UPDATE' AND old.issuer = 'authz:internal') THEN
		RAISE EXCEPTION 'the internal issuer''s key cannot be changed' USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF coalesce(new.kid, '') = '' OR new.kid ~ '[[:cntrl:]]' OR octet_length(new.kid) > 255 THEN
		RAISE EXCEPTION 'a key id must have 1 to 255 bytes and no control characters'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	problem := CASE
		WHEN new.algorithm IS NULL THEN 'it has no algorithm'
		WHEN new.key IS NULL THEN 'it is null'
		WHEN new.valid_during IS NULL THEN 'it has no validity range'
		ELSE authz.key_problem(new.algorithm, new.key)
	END;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'key "%" cannot be used: %', new.kid, problem USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION authz.check_key() IS 'trigger: refuses a key that does not fit its algorithm';
REVOKE ALL ON FUNCTION authz.check_key() FROM PUBLIC;

CREATE TRIGGER check_key BEFORE INSERT OR UPDATE ON authz.key
	FOR EACH ROW EXECUTE FUNCTION authz.check_key();

CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.issuer
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.issuer ENABLE ALWAYS TRIGGER identity_changed;
CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.key
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.key ENABLE ALWAYS TRIGGER identity_changed;

CREATE FUNCTION authz.require_issuer(issuer text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM authz.issuer AS i WHERE i.issuer = require_issuer.issuer) THEN
		RAISE EXCEPTION 'issuer "%" does not exist', coalesce(issuer, '')
			USING ERRCODE = 'undefined_object', HINT = 'Make it known with authz.create_issuer.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_issuer(text) IS 'raises undefined_object if there is no such issuer';

CREATE FUNCTION authz.create_issuer(issuer text, audience text[], roles_claim text = 'roles',
									scopes_claim text = 'scope', subject_claim text = 'sub',
									attributes jsonb = '{}', clock_skew interval = '30 s', replace boolean = false) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO authz.issuer AS i (issuer, audience, roles_claim, scopes_claim, subject_claim, attributes, clock_skew)
	VALUES (create_issuer.issuer, create_issuer.audience, create_issuer.roles_claim, create_issuer.scopes_claim,
			create_issuer.subject_claim, create_issuer.attributes, create_issuer.clock_skew)
	ON CONFLICT (issuer) DO UPDATE SET
		audience = excluded.audience, roles_claim = excluded.roles_claim, scopes_claim = excluded.scopes_claim,
		subject_claim = excluded.subject_claim, attributes = excluded.attributes, clock_skew = excluded.clock_skew
	WHERE CASE WHEN authz.require_replace(create_issuer.replace, format('issuer "%s" already exists', i.issuer)) THEN
		(i.audience, i.roles_claim, i.scopes_claim, i.subject_claim, i.attributes, i.clock_skew) IS DISTINCT FROM
		(excluded.audience, excluded.roles_claim, excluded.scopes_claim, excluded.subject_claim, excluded.attributes,
		 excluded.clock_skew) END;
END
$$;
COMMENT ON FUNCTION authz.create_issuer(text, text[], text, text, text, jsonb, interval, boolean) IS
	'accept tokens of an issuer (claim iss) for the given audiences (claim aud), once it has a key; replace: one that is known becomes as given, its keys and token_type stay';

CREATE FUNCTION authz.alter_issuer(issuer text, audience text[] = NULL, roles_claim text = NULL,
								   scopes_claim text = NULL, subject_claim text = NULL, attributes jsonb = NULL,
								   clock_skew interval = NULL, token_type text = NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_issuer(alter_issuer.issuer);
	UPDATE authz.issuer AS i
	SET audience = coalesce(alter_issuer.audience, i.audience),
		roles_claim = nullif(coalesce(alter_issuer.roles_claim, i.roles_claim), ''),
		scopes_claim = nullif(coalesce(alter_issuer.scopes_claim, i.scopes_claim), ''),
		subject_claim = coalesce(alter_issuer.subject_claim, i.subject_claim),
		attributes = coalesce(alter_issuer.attributes, i.attributes),
		clock_skew = coalesce(alter_issuer.clock_skew, i.clock_skew),
		token_type = nullif(coalesce(alter_issuer.token_type, i.token_type), '')
	WHERE i.issuer = alter_issuer.issuer;
END
$$;
COMMENT ON FUNCTION authz.alter_issuer(text, text[], text, text, text, jsonb, interval, text) IS
	'change what is given (not null); an empty roles_claim, scopes_claim or token_type takes it away';

CREATE FUNCTION authz.drop_issuer(issuer text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_issuer(drop_issuer.issuer);
	IF EXISTS (SELECT FROM authz.issuer AS i WHERE i.issuer = drop_issuer.issuer AND i.internal) THEN
		RAISE EXCEPTION 'the internal issuer cannot be dropped' USING ERRCODE = 'insufficient_privilege';
	END IF;
	DELETE FROM authz.issuer AS i WHERE i.issuer = drop_issuer.issuer;
END
$$;
COMMENT ON FUNCTION authz.drop_issuer(text) IS
	'accept an issuer''s tokens no more: drops it, its keys and the grants for it; revocations stay';

CREATE FUNCTION authz.add_key(issuer text, kid text, algorithm text, key text,
							  valid_during tstzrange = '(,)') RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_issuer(add_key.issuer);
	IF EXISTS (SELECT FROM authz.key AS k WHERE k.issuer = add_key.issuer AND k.kid = add_key.kid) THEN
		RAISE EXCEPTION 'issuer "%" already has a key "%"', issuer, kid
			USING ERRCODE = 'duplicate_object', HINT = 'Drop it first by authz.drop_key.';
	END IF;
	INSERT INTO authz.key VALUES (add_key.issuer, add_key.kid, add_key.algorithm, add_key.key, add_key.valid_during);
END
$$;
COMMENT ON FUNCTION authz.add_key(text, text, text, text, tstzrange) IS
	'give an issuer a key: PEM or JWK of a public key (RS*, PS*, ES*, EdDSA), secret or oct JWK (HS*)';

CREATE FUNCTION authz.drop_key(issuer text, kid text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF issuer = 'authz:internal' THEN
		RAISE EXCEPTION 'the internal issuer''s key cannot be changed' USING ERRCODE = 'insufficient_privilege';
	END IF;
	DELETE FROM authz.key AS k WHERE k.issuer = drop_key.issuer AND k.kid = drop_key.kid;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'issuer "%" has no key "%"', issuer, kid USING ERRCODE = 'undefined_object';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.drop_key(text, text) IS 'what this key signed is refused from the next statement on';

-- RFC 7638, for keys without a kid; such a key serves tokens without one.
CREATE FUNCTION authz.jwk_thumbprint(jwk jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT pg_catalog.rtrim(pg_catalog.translate(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
		'{' OPERATOR(pg_catalog.||) pg_catalog.string_agg(
			pg_catalog.format('"%s":%s', m.name, jwk OPERATOR(pg_catalog.->) m.name), ',' ORDER BY m.name)
		OPERATOR(pg_catalog.||) '}', 'UTF8')), 'base64'), '+/', '-_'), '=')
	FROM (VALUES ('crv'), ('e'), ('k'), ('kty'), ('n'), ('x'), ('y')) AS m (name)
	WHERE jwk OPERATOR(pg_catalog.?) m.name;
END;
COMMENT ON FUNCTION authz.jwk_thumbprint(jsonb) IS 'RFC 7638 thumbprint of a JWK';

CREATE FUNCTION authz.jwk_algorithm(jwk jsonb) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_jwk_algorithm';
COMMENT ON FUNCTION authz.jwk_algorithm(jsonb) IS
	'the algorithm to bind a JWK to: its member alg, else by its type (RSA: RS256); null if none is known';

CREATE FUNCTION authz.set_jwks(issuer text, jwks jsonb) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	jwk jsonb;
	key_id text;
	key_ids text[] = '{}';
BEGIN
	PERFORM authz.require_issuer(set_jwks.issuer);
	IF jwks IS NULL OR jsonb_typeof(jwks -> 'keys') IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION 'a JWKS is an object with an array "keys"' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF (SELECT bool_or(s.is_secret) AND NOT bool_and(s.is_secret) FROM jsonb_array_elements(jwks -> 'keys') AS k,
			LATERAL (SELECT coalesce(lower(k ->> 'kty') = 'oct', false) OR k ? 'k') AS s (is_secret)) THEN
		RAISE EXCEPTION 'the JWKS mixes symmetric and public keys'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'A set with public keys is published, and so is the secret in it.',
				HINT = 'Treat the secret as stolen. Import the public keys as a set, and shared secrets by authz.add_key.';
	END IF;
	FOR jwk IN SELECT k FROM jsonb_array_elements(jwks -> 'keys') AS k LOOP
		IF jsonb_typeof(jwk) <> 'object' THEN
			RAISE EXCEPTION 'a key of a JWKS is an object' USING ERRCODE = 'invalid_parameter_value';
		END IF;
		key_id := coalesce(jwk ->> 'kid', authz.jwk_thumbprint(jwk));
		IF jwk ?| '{d,p,q,dp,dq,qi,oth}' THEN
			RAISE EXCEPTION 'key "%" is a private key', key_id
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'Treat it as stolen, and import the public JWKS.';
		END IF;
		-- Identity providers publish keys for other uses in the same set.
		IF coalesce(jwk ->> 'use', 'sig') <> 'sig' OR NOT coalesce(jwk -> 'key_ops', '["verify"]') ? 'verify'
			OR authz.jwk_algorithm(jwk) IS NULL THEN
			RAISE NOTICE 'key "%" is left out: it is not for verifying signatures by an algorithm known here', key_id;
			CONTINUE;
		END IF;
		IF key_id = ANY (key_ids) THEN
			RAISE EXCEPTION 'key id "%" occurs more than once', key_id USING ERRCODE = 'invalid_parameter_value';
		END IF;
		key_ids := key_ids || key_id;
		-- The validity range of a known key stays: what was ended here is not revived there.
		UPDATE authz.key AS k SET algorithm = authz.jwk_algorithm(jwk), key = jwk::text
		WHERE k.issuer = set_jwks.issuer AND k.kid = key_id;
		IF NOT FOUND THEN
			INSERT INTO authz.key VALUES (set_jwks.issuer, key_id, authz.jwk_algorithm(jwk), jwk::text);
		END IF;
	END LOOP;
	DELETE FROM authz.key AS k WHERE k.issuer = set_jwks.issuer AND k.kid <> ALL (key_ids);
END
$$;
COMMENT ON FUNCTION authz.set_jwks(text, jsonb) IS
	'make an issuer''s keys those of a JWK set (RFC 7517): adds, replaces, and drops what is not in it; '
	'keys for encryption or of unknown algorithms are left out; a known key keeps its valid_during; '
	'a set of symmetric and public keys is refused';

REVOKE ALL ON authz.issuer, authz.key FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON authz.issuer TO authz_admin;
-- Not the column key: a secret can be replaced, but needs no reader.
GRANT SELECT (issuer, kid, algorithm, valid_during), INSERT, UPDATE, DELETE ON authz.key TO authz_admin;
REVOKE ALL ON FUNCTION authz.claim_path_problem(text), authz.key_problem(text, text), authz.require_issuer(text),
	authz.create_issuer(text, text[], text, text, text, jsonb, interval, boolean),
	authz.alter_issuer(text, text[], text, text, text, jsonb, interval, text),
	authz.drop_issuer(text), authz.add_key(text, text, text, text, tstzrange), authz.drop_key(text, text),
	authz.jwk_thumbprint(jsonb), authz.jwk_algorithm(jsonb), authz.set_jwks(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.claim_path_problem(text), authz.key_problem(text, text), authz.require_issuer(text),
	authz.create_issuer(text, text[], text, text, text, jsonb, interval, boolean),
	authz.alter_issuer(text, text[], text, text, text, jsonb, interval, text),
	authz.drop_issuer(text), authz.add_key(text, text, text, text, tstzrange), authz.drop_key(text, text),
	authz.jwk_thumbprint(jsonb), authz.jwk_algorithm(jsonb), authz.set_jwks(text, jsonb) TO authz_admin;

SELECT pg_catalog.pg_extension_config_dump('authz.issuer', 'WHERE NOT internal');
SELECT pg_catalog.pg_extension_config_dump('authz.key', $$WHERE issuer <> 'authz:internal'$$);
