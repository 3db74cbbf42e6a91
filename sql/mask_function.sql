-- Mask functions, and the key of pseudonyms.

CREATE TABLE authz.mask_key (
	id bigint NOT NULL,
	secret bytea NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT mask_key_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE authz.mask_key IS
	'the key of the pseudonyms that mask_hash and mask_uuid make, one row; dumped, so that pseudonyms stay';
COMMENT ON COLUMN authz.mask_key.id IS 'how many keys there have been';
COMMENT ON COLUMN authz.mask_key.secret IS 'nobody but superusers may read it; who has it can test guesses';

-- A restored key takes the place of the one that CREATE EXTENSION made.  No constraint
-- checks the secret, because the error of a constraint shows the row.
CREATE FUNCTION authz.replace_mask_key() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF coalesce(octet_length(new.secret), 0) < 32 THEN
		RAISE EXCEPTION 'the key of pseudonyms must have at least 32 bytes'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'authz.rotate_mask_key makes one.';
	END IF;
	IF tg_op = 'INSERT' THEN
		DELETE FROM authz.mask_key;
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION authz.replace_mask_key() IS 'trigger: there is one key, and it is long enough';

CREATE TRIGGER replace_mask_key BEFORE INSERT OR UPDATE ON authz.mask_key
	FOR EACH ROW EXECUTE FUNCTION authz.replace_mask_key();
ALTER TABLE authz.mask_key ENABLE ALWAYS TRIGGER replace_mask_key;
CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.mask_key
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.mask_key ENABLE ALWAYS TRIGGER identity_changed;

-- SECURITY DEFINER: the administrator can replace the key, but needs no right to the table.
CREATE FUNCTION authz.rotate_mask_key() RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	LOCK TABLE authz.mask_key IN SHARE ROW EXCLUSIVE MODE;
	INSERT INTO authz.mask_key (id, secret)
	SELECT coalesce(max(k.id), 0) + 1,
		sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
	FROM authz.mask_key AS k;
END
$$;
COMMENT ON FUNCTION authz.rotate_mask_key() IS
	'replace the key of the pseudonyms: all of them change, and nothing relates them to the earlier ones';
SELECT authz.rotate_mask_key();

CREATE FUNCTION authz.mask_null(value anyelement) RETURNS anyelement
	LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_null';
COMMENT ON FUNCTION authz.mask_null(anyelement) IS 'NULL';

CREATE FUNCTION authz.mask_constant(value anyelement, constant anyelement) RETURNS anyelement
	LANGUAGE c IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_constant';
COMMENT ON FUNCTION authz.mask_constant(anyelement, anyelement) IS 'the constant, also where there is no value';

CREATE FUNCTION authz.mask_partial(value text, prefix integer, pad text, suffix integer) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_partial';
COMMENT ON FUNCTION authz.mask_partial(text, integer, text, integer) IS
	'the first and the last characters, and pad once between them; pad alone if there are not more characters than these';

CREATE FUNCTION authz.mask_email(value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_email';
COMMENT ON FUNCTION authz.mask_email(text) IS
	'a***@e***.org for alice@example.org; *** for what is not an address at a domain';

CREATE FUNCTION authz.mask_hash(value text, length integer = 16) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'authz_mask_hash';
COMMENT ON FUNCTION authz.mask_hash(text, integer) IS
	'a pseudonym: the first 8 to 64 hexadecimal digits of HMAC-SHA-256 with the key of authz.mask_key';

CREATE FUNCTION authz.mask_uuid(value uuid) RETURNS uuid
	LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'authz_mask_uuid';
COMMENT ON FUNCTION authz.mask_uuid(uuid) IS
	'a pseudonym: HMAC-SHA-256 with the key of authz.mask_key as a UUID of version 8 (RFC 9562)';

-- What masks by policy call in the place of those two: everybody may, but only there.
CREATE FUNCTION authz.pseudonym(value text, length integer) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'authz_pseudonym';
COMMENT ON FUNCTION authz.pseudonym(text, integer) IS
	'mask_hash as a mask by policy runs it for every reader; refuses to be called in any other way';

CREATE FUNCTION authz.pseudonym(value uuid) RETURNS uuid
	LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'authz_pseudonym_uuid';
COMMENT ON FUNCTION authz.pseudonym(uuid) IS
	'mask_uuid as a mask by policy runs it for every reader; refuses to be called in any other way';

CREATE FUNCTION authz.mask_date(value date, unit text) RETURNS date
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_date';
COMMENT ON FUNCTION authz.mask_date(date, text) IS
	'the first day of its week (Monday), month, quarter, year, decade, century or millennium; '
	'-infinity if that is before all dates';

CREATE FUNCTION authz.mask_date(value timestamp, unit text) RETURNS timestamp
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_date_timestamp';
COMMENT ON FUNCTION authz.mask_date(timestamp, text) IS
	'the first moment of its second, minute, hour, day, week (Monday), month, quarter, year, decade, century or millennium; '
	'-infinity if that is before all times';

CREATE FUNCTION authz.mask_date(value timestamptz, unit text) RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_date_timestamp';
COMMENT ON FUNCTION authz.mask_date(timestamptz, text) IS
	'the same by the clock of UTC, whatever the parameter TimeZone is';

CREATE FUNCTION authz.mask_round(value smallint, step smallint) RETURNS smallint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_round_smallint';
COMMENT ON FUNCTION authz.mask_round(smallint, smallint) IS
	'the largest multiple of step that is not greater; the lowest smallint if there is none';

CREATE FUNCTION authz.mask_round(value integer, step integer) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_round_integer';
COMMENT ON FUNCTION authz.mask_round(integer, integer) IS
	'the largest multiple of step that is not greater; the lowest integer if there is none';

CREATE FUNCTION authz.mask_round(value bigint, step bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_round_bigint';
COMMENT ON FUNCTION authz.mask_round(bigint, bigint) IS
	'the largest multiple of step that is not greater; the lowest bigint if there is none';

CREATE FUNCTION authz.mask_round(value numeric, step numeric) RETURNS numeric
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_round_numeric';
COMMENT ON FUNCTION authz.mask_round(numeric, numeric) IS
	'the largest multiple of step that is not greater, with the scale of step; NaN and infinities stay';

CREATE FUNCTION authz.mask_round(value double precision, step double precision) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_round_double';
COMMENT ON FUNCTION authz.mask_round(double precision, double precision) IS
	'the largest multiple of step that is not greater; NaN and infinities stay';

CREATE FUNCTION authz.mask_round(value real, step real) RETURNS real
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_mask_round_real';
COMMENT ON FUNCTION authz.mask_round(real, real) IS
	'the largest multiple of step that is not greater; NaN and infinities stay';

CREATE FUNCTION authz.mask_json(value jsonb, paths text[]) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'authz_mask_json';
COMMENT ON FUNCTION authz.mask_json(jsonb, text[]) IS
	'null in the place of the values at the paths (names of members with dots between), in every element of an array on the way';

REVOKE ALL ON authz.mask_key FROM PUBLIC;
REVOKE ALL ON FUNCTION authz.replace_mask_key(), authz.rotate_mask_key() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.rotate_mask_key() TO authz_admin;
-- Whoever reads a view that uses them calls them.
REVOKE ALL ON FUNCTION authz.mask_null(anyelement), authz.mask_constant(anyelement, anyelement),
	authz.mask_partial(text, integer, text, integer), authz.mask_email(text), authz.pseudonym(text, integer), authz.pseudonym(uuid),
	authz.mask_date(date, text), authz.mask_date(timestamp, text), authz.mask_date(timestamptz, text),
	authz.mask_round(smallint, smallint), authz.mask_round(integer, integer), authz.mask_round(bigint, bigint),
	authz.mask_round(numeric, numeric), authz.mask_round(real, real), authz.mask_round(double precision, double precision),
	authz.mask_json(jsonb, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.mask_null(anyelement), authz.mask_constant(anyelement, anyelement),
	authz.mask_partial(text, integer, text, integer), authz.mask_email(text), authz.pseudonym(text, integer), authz.pseudonym(uuid),
	authz.mask_date(date, text), authz.mask_date(timestamp, text), authz.mask_date(timestamptz, text),
	authz.mask_round(smallint, smallint), authz.mask_round(integer, integer), authz.mask_round(bigint, bigint),
	authz.mask_round(numeric, numeric), authz.mask_round(real, real), authz.mask_round(double precision, double precision),
	authz.mask_json(jsonb, text[]) TO PUBLIC;
-- Who may execute these can test guesses.
REVOKE ALL ON FUNCTION authz.mask_hash(text, integer), authz.mask_uuid(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.mask_hash(text, integer), authz.mask_uuid(uuid) TO authz_admin WITH GRANT OPTION;

SELECT pg_catalog.pg_extension_config_dump('authz.mask_key', '');
