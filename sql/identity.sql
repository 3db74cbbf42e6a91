-- The current identity: ways to take one on, and accessors for conditions.

-- By OID: the mapping follows a rename and ends with the role.  A role that was
-- dropped leaves a row behind, since no trigger hears of it; its OID is nobody's
-- session_user, and the row is not dumped.
CREATE TABLE authz.login_map (
	database_role regrole NOT NULL,
	subject text COLLATE "C" NOT NULL,
	CONSTRAINT login_map_pkey PRIMARY KEY (database_role),
	CONSTRAINT login_map_subject_check CHECK (subject OPERATOR(pg_catalog.<>) ''
		AND pg_catalog.octet_length(subject) OPERATOR(pg_catalog.<=) 1024)
);
COMMENT ON TABLE authz.login_map IS
	'subjects that database logins (session_user) stand for while no token is set; their roles are the grants without issuer';
COMMENT ON COLUMN authz.login_map.database_role IS 'the login, whatever its name; a number: it was dropped, and the row has no effect';
COMMENT ON COLUMN authz.login_map.subject IS 'whom it stands for';

CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.login_map
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.login_map ENABLE ALWAYS TRIGGER identity_changed;

CREATE FUNCTION authz.map_login(database_role name, subject text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = map_login.database_role) THEN
		RAISE EXCEPTION 'database role "%" does not exist', database_role USING ERRCODE = 'undefined_object';
	END IF;
	DELETE FROM authz.login_map AS m WHERE NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = m.database_role);
	INSERT INTO authz.login_map
	SELECT r.oid, map_login.subject FROM pg_roles AS r WHERE r.rolname = map_login.database_role
	ON CONFLICT ON CONSTRAINT login_map_pkey DO UPDATE SET subject = excluded.subject;
END
$$;
COMMENT ON FUNCTION authz.map_login(name, text) IS
	'let a database login stand for a subject while no token is set; replaces its mapping';

CREATE FUNCTION authz.unmap_login(database_role name) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM authz.login_map AS m USING pg_roles AS r
	WHERE r.oid = m.database_role AND r.rolname = unmap_login.database_role;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'database role "%" is not mapped', database_role USING ERRCODE = 'undefined_object';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.unmap_login(name) IS 'undo map_login';

-- The internal issuer, for authz.assume.  Its key is made here, never dumped.
ALTER TABLE authz.issuer DISABLE TRIGGER check_issuer;
INSERT INTO authz.issuer (issuer, audience, attributes, clock_skew, internal)
VALUES ('authz:internal', '{authz:internal}', '{"*": "attributes"}', '0 s', true);
ALTER TABLE authz.issuer ENABLE TRIGGER check_issuer;
ALTER TABLE authz.key DISABLE TRIGGER check_key;
INSERT INTO authz.key (issuer, kid, algorithm, key)
VALUES ('authz:internal', 'internal', 'HS256', pg_catalog.encode(pg_catalog.sha256(
	pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) OPERATOR(pg_catalog.||)
	pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) OPERATOR(pg_catalog.||)
	pg_catalog.uuid_send(pg_catalog.gen_random_uuid())), 'hex'));
ALTER TABLE authz.key ENABLE TRIGGER check_key;

CREATE FUNCTION authz.keep_internal_issuer() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'the internal issuer and its key cannot be deleted' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION authz.keep_internal_issuer() IS 'trigger: refuses to delete what authz.assume needs';
REVOKE ALL ON FUNCTION authz.keep_internal_issuer() FROM PUBLIC;
CREATE TRIGGER keep_internal_issuer BEFORE DELETE ON authz.issuer
	FOR EACH ROW WHEN (old.internal) EXECUTE FUNCTION authz.keep_internal_issuer();
CREATE TRIGGER keep_internal_issuer BEFORE DELETE ON authz.key
	FOR EACH ROW WHEN (old.issuer OPERATOR(pg_catalog.=) 'authz:internal') EXECUTE FUNCTION authz.keep_internal_issuer();

CREATE FUNCTION authz.login(token text, is_local boolean = true) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'authz_login';
COMMENT ON FUNCTION authz.login(text, boolean) IS
	'verify a token and act for its subject, until the end of the transaction or (is_local false) of the session; '
	'the same as SET [LOCAL] authz.token, but the token can be a bind parameter; returns the subject';

CREATE FUNCTION authz.logout() RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'authz_logout';
COMMENT ON FUNCTION authz.logout() IS 'act for no token''s subject any more, also not for one of the start-up options; '
	'returns the subject from now on: of a mapped login, else null';

CREATE FUNCTION authz.assume(subject text, roles text[], attributes jsonb = '{}', ttl interval = '5 min',
							 is_local boolean = false) RETURNS text
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'authz_assume';
COMMENT ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) IS
	'act for a subject without an issuer''s token, for at most a day, and return it; '
	'for trusted database roles only: whoever may execute it may be anybody';

CREATE FUNCTION authz.subject() RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_subject';
COMMENT ON FUNCTION authz.subject() IS 'who this session acts for; null: nobody known';

CREATE FUNCTION authz.issuer() RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_issuer';
COMMENT ON FUNCTION authz.issuer() IS 'who issued the token; null without one';

CREATE FUNCTION authz.token_id() RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_token_id';
COMMENT ON FUNCTION authz.token_id() IS 'the token''s claim jti; null if it has none';

CREATE FUNCTION authz.has_role(role text) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_has_role';
COMMENT ON FUNCTION authz.has_role(text) IS 'is the role effective, by token, grant or inheritance; * is any identity''s, anonymous nobody''s';

CREATE FUNCTION authz.has_scope(scope text) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_has_scope';
COMMENT ON FUNCTION authz.has_scope(text) IS 'does the token have the scope';

CREATE FUNCTION authz.attr(name text) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr';
COMMENT ON FUNCTION authz.attr(text) IS 'an attribute''s string, or the text of its number or boolean; else null';

CREATE FUNCTION authz.attr_bigint(name text) RETURNS bigint
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr_bigint';
COMMENT ON FUNCTION authz.attr_bigint(text) IS 'an attribute that is a whole number, or a string that is one in its only spelling ("9", not "09" or "+9"); else null';

CREATE FUNCTION authz.attr_boolean(name text) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr_boolean';
COMMENT ON FUNCTION authz.attr_boolean(text) IS 'an attribute that is true or false, or one of these as a string; else null';

CREATE FUNCTION authz.attr_uuid(name text) RETURNS uuid
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr_uuid';
COMMENT ON FUNCTION authz.attr_uuid(text) IS 'an attribute that is a UUID as RFC 4122 writes it; else null';

CREATE FUNCTION authz.attr_timestamptz(name text) RETURNS timestamptz
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr_timestamptz';
COMMENT ON FUNCTION authz.attr_timestamptz(text) IS
	'an attribute that is a number of seconds since 1970, or a time with its offset as RFC 3339 writes it; else null';

CREATE FUNCTION authz.attr_jsonb(name text) RETURNS jsonb
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr_jsonb';
COMMENT ON FUNCTION authz.attr_jsonb(text) IS 'an attribute of whatever form; null if it is not there';

CREATE FUNCTION authz.attr_text_array(name text) RETURNS text[]
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr_text_array';
COMMENT ON FUNCTION authz.attr_text_array(text) IS 'an attribute that is an array, or a string that is one in JSON, of what attr accepts; else null';

CREATE FUNCTION authz.attr_bigint_array(name text) RETURNS bigint[]
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr_bigint_array';
COMMENT ON FUNCTION authz.attr_bigint_array(text) IS 'an attribute that is an array, or a string that is one in JSON, of what attr_bigint accepts; else null';

CREATE FUNCTION authz.attr_uuid_array(name text) RETURNS uuid[]
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_attr_uuid_array';
COMMENT ON FUNCTION authz.attr_uuid_array(text) IS 'an attribute that is an array, or a string that is one in JSON, of what attr_uuid accepts; else null';

CREATE FUNCTION authz.identity() RETURNS jsonb
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'authz_identity';
COMMENT ON FUNCTION authz.identity() IS
	'the current identity, for people to read; of a token also unknown_roles, which it states but do not exist, '
	'and missing_claims, the issuer''s paths that found nothing in it';

-- Counters are in shared memory: of all sessions since the server started, if the library is preloaded.
CREATE FUNCTION authz.unknown_roles(OUT issuer text, OUT role text, OUT verifications bigint, OUT last_seen_at timestamptz)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'authz_unknown_roles';
COMMENT ON FUNCTION authz.unknown_roles() IS
	'roles that verified tokens stated and that did not exist, the last 512 of them; without shared_preload_libraries of this session only';

CREATE VIEW authz.stat_unknown_role AS
	SELECT u.issuer, u.role, u.verifications, u.last_seen_at
	FROM authz.unknown_roles() AS u
	WHERE NOT EXISTS (SELECT FROM authz.role AS r WHERE r.name OPERATOR(pg_catalog.=) u.role);
COMMENT ON VIEW authz.stat_unknown_role IS
	'roles that tokens state and that do not exist, since the server started; without shared_preload_libraries in this session';
COMMENT ON COLUMN authz.stat_unknown_role.issuer IS 'who issued the tokens; the first 255 bytes';
COMMENT ON COLUMN authz.stat_unknown_role.role IS 'the role; the first 255 bytes, for no role has more';
COMMENT ON COLUMN authz.stat_unknown_role.verifications IS
	'how often a token with it was verified; one that is in a session''s cache is not verified again. Of one token 16 unknown roles count';
COMMENT ON COLUMN authz.stat_unknown_role.last_seen_at IS 'the last time';

REVOKE ALL ON authz.login_map, authz.stat_unknown_role FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON authz.login_map TO authz_admin;
REVOKE ALL ON FUNCTION authz.unknown_roles() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.unknown_roles() TO authz_admin;
GRANT SELECT ON authz.stat_unknown_role TO authz_admin;
REVOKE ALL ON FUNCTION authz.map_login(name, text), authz.unmap_login(name),
	authz.assume(text, text[], jsonb, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.map_login(name, text), authz.unmap_login(name) TO authz_admin;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO authz_admin WITH GRANT OPTION;
-- Everybody: they tell a session about itself, and take no token on that is not signed.
REVOKE ALL ON FUNCTION authz.login(text, boolean), authz.logout(), authz.subject(), authz.issuer(), authz.token_id(),
	authz.has_role(text), authz.has_scope(text), authz.attr(text), authz.attr_bigint(text), authz.attr_boolean(text),
	authz.attr_uuid(text), authz.attr_timestamptz(text), authz.attr_jsonb(text), authz.attr_text_array(text),
	authz.attr_bigint_array(text), authz.attr_uuid_array(text), authz.identity() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.login(text, boolean), authz.logout(), authz.subject(), authz.issuer(), authz.token_id(),
	authz.has_role(text), authz.has_scope(text), authz.attr(text), authz.attr_bigint(text), authz.attr_boolean(text),
	authz.attr_uuid(text), authz.attr_timestamptz(text), authz.attr_jsonb(text), authz.attr_text_array(text),
	authz.attr_bigint_array(text), authz.attr_uuid_array(text), authz.identity() TO PUBLIC;

-- A number is a dropped role, and would be another one elsewhere.  The text is asked for, not pg_roles: that one is seen
-- as it was when the dump began, and a role may be dropped since.
SELECT pg_catalog.pg_extension_config_dump('authz.login_map', $$WHERE database_role::pg_catalog.text OPERATOR(pg_catalog.!~) '^[0-9]+$'$$);
