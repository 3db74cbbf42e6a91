-- Roles, what they inherit, and who was granted which.

-- Tells every session that a table of identities changed.
CREATE FUNCTION authz.identity_changed() RETURNS trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'authz_identity_changed';
COMMENT ON FUNCTION authz.identity_changed() IS 'trigger: makes every session resolve its identity again';
REVOKE ALL ON FUNCTION authz.identity_changed() FROM PUBLIC;

CREATE TABLE authz.role (
	name text COLLATE "C" NOT NULL,
	description text,
	CONSTRAINT role_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE authz.role IS 'roles that policies speak of; not database roles';
COMMENT ON COLUMN authz.role.name IS '1 to 255 bytes without control characters; * and anonymous are reserved';

CREATE TABLE authz.role_inheritance (
	role text COLLATE "C" NOT NULL,
	inherits text COLLATE "C" NOT NULL,
	CONSTRAINT role_inheritance_pkey PRIMARY KEY (role, inherits),
	CONSTRAINT role_inheritance_role_fkey FOREIGN KEY (role) REFERENCES authz.role (name),
	CONSTRAINT role_inheritance_inherits_fkey FOREIGN KEY (inherits) REFERENCES authz.role (name)
);
COMMENT ON TABLE authz.role_inheritance IS 'who has the role has what it inherits too';
CREATE INDEX role_inheritance_inherits_idx ON authz.role_inheritance (inherits);

-- issuer refers to authz.issuer, once that exists (sql/issuer.sql).
CREATE TABLE authz.role_grant (
	id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
	subject text COLLATE "C" NOT NULL,
	issuer text COLLATE "C",
	role text COLLATE "C" NOT NULL,
	valid_during tstzrange NOT NULL DEFAULT '(,)',
	reason text,
	granted_by text NOT NULL DEFAULT SESSION_USER,
	granted_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT role_grant_pkey PRIMARY KEY (id),
	CONSTRAINT role_grant_key UNIQUE NULLS NOT DISTINCT (subject, role, issuer, valid_during),
	CONSTRAINT role_grant_role_fkey FOREIGN KEY (role) REFERENCES authz.role (name),
	CONSTRAINT role_grant_subject_check CHECK (subject OPERATOR(pg_catalog.<>) ''
		AND pg_catalog.octet_length(subject) OPERATOR(pg_catalog.<=) 1024),
	CONSTRAINT role_grant_valid_during_check CHECK (NOT pg_catalog.isempty(valid_during))
);
COMMENT ON TABLE authz.role_grant IS 'roles of subjects beyond those their tokens state';
COMMENT ON SEQUENCE authz.role_grant_id_seq IS 'ids of grants';
COMMENT ON COLUMN authz.role_grant.subject IS 'who has the role: the subject of a token or of a mapped login';
COMMENT ON COLUMN authz.role_grant.role IS 'the role he has';
COMMENT ON COLUMN authz.role_grant.reason IS 'for people';
COMMENT ON COLUMN authz.role_grant.granted_by IS 'session user who granted it';
COMMENT ON COLUMN authz.role_grant.granted_at IS 'start of the transaction that granted it';
COMMENT ON COLUMN authz.role_grant.issuer IS 'whose subject; null: the subject of any issuer, and of authz.login_map';
COMMENT ON COLUMN authz.role_grant.valid_during IS 'the grant holds at these times only';
CREATE INDEX role_grant_subject_idx ON authz.role_grant (subject);
CREATE INDEX role_grant_role_idx ON authz.role_grant (role);

CREATE FUNCTION authz.check_role() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF new.name IN ('*', 'anonymous') THEN
		RAISE EXCEPTION 'role name "%" is reserved', new.name
			USING ERRCODE = 'reserved_name',
				HINT = 'Policies write * for every identity and anonymous for none.';
	END IF;
	IF new.name = '' OR octet_length(new.name) > 255 OR new.name ~ '[[:cntrl:]]' THEN
		RAISE EXCEPTION 'a role name must have 1 to 255 bytes and no control characters'
			USING ERRCODE = 'invalid_name';
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION authz.check_role() IS 'trigger: refuses bad role names';
REVOKE ALL ON FUNCTION authz.check_role() FROM PUBLIC;

CREATE TRIGGER check_role BEFORE INSERT OR UPDATE ON authz.role
	FOR EACH ROW EXECUTE FUNCTION authz.check_role();

-- Foreign keys see to grants and inheritance; a forbid must not lose its role either.
CREATE FUNCTION authz.keep_role_of_policy() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	uses text;
BEGIN
	SELECT string_agg(u, E'\n' ORDER BY u) INTO uses FROM (
		SELECT format('policy "%s" on %s', p.name, p.relation)
		FROM authz.policy AS p WHERE old.name = ANY (p.roles)
		UNION ALL
		SELECT format('mask "%s" of column "%s" on %s', m.name, m.column_name, m.relation)
		FROM authz.mask AS m WHERE old.name = ANY (m.roles)) AS x(u);
	IF uses IS NOT NULL THEN
		RAISE EXCEPTION 'role "%" cannot be dropped or renamed because a policy or mask names it', old.name
			USING ERRCODE = 'dependent_objects_still_exist', DETAIL = uses;
	END IF;
	RETURN CASE tg_op WHEN 'DELETE' THEN old ELSE new END;
END
$$;
COMMENT ON FUNCTION authz.keep_role_of_policy() IS 'trigger: refuses to take away a role that a policy or mask names';
REVOKE ALL ON FUNCTION authz.keep_role_of_policy() FROM PUBLIC;

CREATE TRIGGER keep_role_of_policy BEFORE DELETE ON authz.role
	FOR EACH ROW EXECUTE FUNCTION authz.keep_role_of_policy();
CREATE TRIGGER keep_renamed_role_of_policy BEFORE UPDATE ON authz.role
	FOR EACH ROW WHEN (new.name OPERATOR(pg_catalog.<>) old.name) EXECUTE FUNCTION authz.keep_role_of_policy();

-- The lock is for two sessions that would each add half of a cycle.
CREATE FUNCTION authz.check_role_inheritance() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(tg_relid::integer, 0);
	IF EXISTS (
		WITH RECURSIVE reached (name) AS (
			SELECT new.inherits
			UNION
			SELECT i.inherits FROM authz.role_inheritance AS i JOIN reached AS r ON i.role = r.name
		)
		SELECT FROM reached WHERE name = new.role
	) THEN
		RAISE EXCEPTION 'role "%" cannot inherit "%": it would inherit itself', new.role, new.inherits
			USING ERRCODE = 'invalid_grant_operation';
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION authz.check_role_inheritance() IS 'trigger: refuses cycles';
REVOKE ALL ON FUNCTION authz.check_role_inheritance() FROM PUBLIC;

CREATE TRIGGER check_role_inheritance AFTER INSERT OR UPDATE ON authz.role_inheritance
	FOR EACH ROW EXECUTE FUNCTION authz.check_role_inheritance();

CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.role
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.role ENABLE ALWAYS TRIGGER identity_changed;
CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.role_inheritance
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.role_inheritance ENABLE ALWAYS TRIGGER identity_changed;
CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.role_grant
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.role_grant ENABLE ALWAYS TRIGGER identity_changed;

CREATE FUNCTION authz.require_role(name text) RETURNS void
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM authz.role AS r WHERE r.name = require_role.name) THEN
		RAISE EXCEPTION 'role "%" does not exist', coalesce(name, '')
			USING ERRCODE = 'undefined_object', HINT = 'Create it with authz.create_role.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_role(text) IS 'raises undefined_object if there is no such role';

CREATE FUNCTION authz.create_role(name text, inherits text[] = '{}', description text = NULL, replace boolean = false) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO authz.role AS r (name, description) VALUES (create_role.name, create_role.description)
	ON CONFLICT (name) DO UPDATE SET description = excluded.description
	WHERE CASE WHEN authz.require_replace(create_role.replace, format('role "%s" already exists', r.name)) THEN
		r.description IS DISTINCT FROM excluded.description END;
	DELETE FROM authz.role_inheritance AS i
	WHERE i.role = create_role.name AND i.inherits <> ALL (create_role.inherits);
	PERFORM authz.add_inheritance(create_role.name, i) FROM unnest(create_role.inherits) AS i;
END
$$;
COMMENT ON FUNCTION authz.create_role(text, text[], text, boolean) IS
	'make a role; who has it has the roles it inherits too; replace: a role of this name gets this description and inherits just these';

CREATE FUNCTION authz.drop_role(name text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	uses text;
BEGIN
	PERFORM authz.require_role(drop_role.name);
	SELECT string_agg(u.what, E'\n') INTO uses
	FROM (
		SELECT format('grants of it: %s', count(*))
		FROM authz.role_grant AS g WHERE g.role = drop_role.name HAVING count(*) > 0
		UNION ALL
		SELECT format('inherited by role "%s"', i.role)
		FROM authz.role_inheritance AS i WHERE i.inherits = drop_role.name
	) AS u (what);
	IF uses IS NOT NULL THEN
		RAISE EXCEPTION 'role "%" cannot be dropped because it is in use', name
			USING ERRCODE = 'dependent_objects_still_exist', DETAIL = uses,
				HINT = 'Revoke the grants and drop the inheritance first.';
	END IF;
	DELETE FROM authz.role_inheritance AS i WHERE i.role = drop_role.name;
	DELETE FROM authz.role AS r WHERE r.name = drop_role.name;
END
$$;
COMMENT ON FUNCTION authz.drop_role(text) IS 'drop a role that is neither granted nor inherited';

CREATE FUNCTION authz.add_inheritance(role text, inherits text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_role(add_inheritance.role), authz.require_role(add_inheritance.inherits);
	INSERT INTO authz.role_inheritance VALUES (add_inheritance.role, add_inheritance.inherits)
	ON CONFLICT ON CONSTRAINT role_inheritance_pkey DO NOTHING;
END
$$;
COMMENT ON FUNCTION authz.add_inheritance(text, text) IS
	'from now on who has the role has the inherited one too; refused if a role would inherit itself';

CREATE FUNCTION authz.drop_inheritance(role text, inherits text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM authz.role_inheritance AS i
	WHERE i.role = drop_inheritance.role AND i.inherits = drop_inheritance.inherits;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role "%" does not inherit "%"', role, inherits USING ERRCODE = 'undefined_object';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.drop_inheritance(text, text) IS 'undo add_inheritance';

CREATE FUNCTION authz.grant_role(subject text, role text, valid_during tstzrange = '(,)',
								 reason text = NULL, issuer text = NULL) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_role(grant_role.role);
	PERFORM authz.require_issuer(grant_role.issuer) WHERE grant_role.issuer IS NOT NULL;
	INSERT INTO authz.role_grant (subject, issuer, role, valid_during, reason)
	VALUES (grant_role.subject, grant_role.issuer, grant_role.role, grant_role.valid_during, grant_role.reason)
	ON CONFLICT ON CONSTRAINT role_grant_key
	DO UPDATE SET reason = excluded.reason, granted_by = excluded.granted_by, granted_at = excluded.granted_at;
END
$$;
COMMENT ON FUNCTION authz.grant_role(text, text, tstzrange, text, text) IS
	'grant a role to a subject of one issuer, or (null) of any, at the given times; '
	'the same grant again renews its reason, author and time';

CREATE FUNCTION authz.revoke_role(subject text, role text, issuer text = NULL) RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	WITH revoked AS (
		DELETE FROM authz.role_grant AS g
		WHERE g.subject OPERATOR(pg_catalog.=) revoke_role.subject
			AND g.role OPERATOR(pg_catalog.=) revoke_role.role
			AND (revoke_role.issuer IS NULL OR g.issuer OPERATOR(pg_catalog.=) revoke_role.issuer)
		RETURNING 1
	)
	SELECT pg_catalog.count(*) FROM revoked;
END;
COMMENT ON FUNCTION authz.revoke_role(text, text, text) IS
	'take back every grant of the role to the subject, or only those for the given issuer; returns how many there were';

REVOKE ALL ON authz.role, authz.role_inheritance, authz.role_grant FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON authz.role, authz.role_inheritance, authz.role_grant TO authz_admin;
REVOKE ALL ON FUNCTION authz.require_role(text), authz.create_role(text, text[], text, boolean), authz.drop_role(text),
	authz.add_inheritance(text, text), authz.drop_inheritance(text, text),
	authz.grant_role(text, text, tstzrange, text, text), authz.revoke_role(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.require_role(text), authz.create_role(text, text[], text, boolean), authz.drop_role(text),
	authz.add_inheritance(text, text), authz.drop_inheritance(text, text),
	authz.grant_role(text, text, tstzrange, text, text), authz.revoke_role(text, text, text) TO authz_admin;

SELECT pg_catalog.pg_extension_config_dump('authz.role', '');
SELECT pg_catalog.pg_extension_config_dump('authz.role_inheritance', '');
SELECT pg_catalog.pg_extension_config_dump('authz.role_grant', '');
SELECT pg_catalog.pg_extension_config_dump('authz.role_grant_id_seq', '');
