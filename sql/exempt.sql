-- What stays open although it is reached from what is protected: exempt tables of protected schemas,
-- tables of extensions, foreign tables whose server decides itself.

-- Tables of protected schemas that are not protected.  Schemas by name: event triggers follow a rename (sql/taken_name.sql).
CREATE TABLE authz.exempt_table (
	schema		name NOT NULL,
	relation	regclass UNIQUE,
	waits_for	name,
	exempted_at	timestamptz NOT NULL DEFAULT now(),
	exempted_by	name NOT NULL DEFAULT session_user,
	CONSTRAINT exempt_table_waits_once UNIQUE (schema, waits_for),
	CONSTRAINT exempt_table_is_or_waits CHECK ((relation IS NULL) OPERATOR(pg_catalog.<>) (waits_for IS NULL))
);
COMMENT ON TABLE authz.exempt_table IS 'tables that authz.protect_schema leaves open';
COMMENT ON COLUMN authz.exempt_table.schema IS 'the protected schema';
COMMENT ON COLUMN authz.exempt_table.relation IS 'the table, whatever its name; NULL: it does not exist yet';
COMMENT ON COLUMN authz.exempt_table.waits_for IS 'name of a table that is exempt once the owner of the schema creates it';
COMMENT ON COLUMN authz.exempt_table.exempted_at IS 'since when';
COMMENT ON COLUMN authz.exempt_table.exempted_by IS 'session user who did it';

-- Foreign tables that may be parts of protected tables, or in protected schemas.
CREATE TABLE authz.allowed_foreign_table (
	relation	regclass PRIMARY KEY,
	reason		text NOT NULL CONSTRAINT allowed_foreign_table_reason_given CHECK (reason OPERATOR(pg_catalog.<>) ''),
	allowed_at	timestamptz NOT NULL DEFAULT now(),
	allowed_by	name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE authz.allowed_foreign_table IS 'foreign tables that may be parts of protected tables, or in protected schemas, although nothing here filters them';
COMMENT ON COLUMN authz.allowed_foreign_table.relation IS 'a foreign table';
COMMENT ON COLUMN authz.allowed_foreign_table.reason IS 'why that is right: what decides about its rows instead';
COMMENT ON COLUMN authz.allowed_foreign_table.allowed_at IS 'since when';
COMMENT ON COLUMN authz.allowed_foreign_table.allowed_by IS 'session user who did it';

SELECT pg_catalog.pg_extension_config_dump('authz.exempt_table', '');
SELECT pg_catalog.pg_extension_config_dump('authz.allowed_foreign_table', '');

CREATE TRIGGER a_require_owner BEFORE INSERT OR UPDATE OR DELETE ON authz.allowed_foreign_table
	FOR EACH ROW EXECUTE FUNCTION authz.require_owner();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.allowed_foreign_table
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.exempt_table
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();

CREATE FUNCTION authz.require_owner_of_exempt() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item authz.exempt_table := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
	-- Of the schema: exempt tables are open.  Only to take the exemption away, the table's owner will do.
	IF EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = item.schema AND NOT pg_has_role(n.nspowner, 'USAGE'))
		AND NOT (TG_OP = 'DELETE' AND EXISTS (SELECT FROM pg_class c WHERE c.oid = item.relation AND pg_has_role(c.relowner, 'USAGE'))) THEN
		RAISE EXCEPTION 'must be owner of schema %', item.schema USING ERRCODE = 'insufficient_privilege';
	END IF;
	-- Nor may anybody do so before there is a schema, and an owner of it.
	IF TG_OP <> 'DELETE' AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = item.schema)
		AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND r.rolsuper) THEN
		RAISE EXCEPTION 'schema "%" does not exist', item.schema USING ERRCODE = 'invalid_schema_name';
	END IF;
	IF TG_OP <> 'DELETE' AND item.relation IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.oid = item.relation AND n.nspname = item.schema) THEN
		RAISE EXCEPTION 'table % is not in schema %', item.relation, item.schema USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN item;
END
$$;
COMMENT ON FUNCTION authz.require_owner_of_exempt() IS 'trigger: only the owner of a protected schema may exempt tables from that';
CREATE TRIGGER a_require_owner BEFORE INSERT OR UPDATE OR DELETE ON authz.exempt_table
	FOR EACH ROW EXECUTE FUNCTION authz.require_owner_of_exempt();

CREATE FUNCTION authz.is_exempt(relation oid) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- PL/pgSQL keeps the plan, for this runs for every DDL command.
	-- Parts of an exempt table are exempt with it, unless another parent is protected.
	RETURN (WITH RECURSIVE up(oid) AS (
		SELECT is_exempt.relation
		UNION
		SELECT i.inhparent FROM up JOIN pg_inherits i ON i.inhrelid = up.oid)
	SELECT EXISTS (SELECT FROM up JOIN pg_class c ON c.oid = up.oid JOIN pg_namespace n ON n.oid = c.relnamespace
			JOIN authz.exempt_table e ON e.relation = c.oid AND e.schema = n.nspname)
		AND NOT EXISTS (SELECT FROM pg_inherits i JOIN authz.protected_table t ON t.relation = i.inhparent WHERE i.inhrelid = is_exempt.relation));
END
$$;
COMMENT ON FUNCTION authz.is_exempt(oid) IS 'is the table, or one that it is a part of, exempt from the protection of its schema?';

CREATE FUNCTION authz.extension_of(relation oid) RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.classid = 'pg_class'::regclass AND d.objid = relation AND d.objsubid = 0
		AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';
END;
COMMENT ON FUNCTION authz.extension_of(oid) IS 'the extension that a table belongs to, if any';

CREATE FUNCTION authz.refuse_extension_member(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	extension name := authz.extension_of(relation);
BEGIN
	-- Those of authz are refused by themselves, for another reason.
	IF extension <> 'authz' THEN
		RAISE EXCEPTION 'table % belongs to extension "%"', relation, extension
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'A dump brings back the tables of extensions without their row security, policies and triggers: open, and not audited.',
				HINT = 'To insist, pass extension_member => true, and call authz.repair_protection for the table after every restore.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.refuse_extension_member(regclass) IS 'raises if the table belongs to an extension';

CREATE FUNCTION authz.warn_extension_members(extensions oid[]) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	member record;
BEGIN
	FOR member IN
		SELECT d.objid::regclass AS relation, e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
		WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = ANY (extensions) AND d.deptype = 'e'
			AND (authz.is_protected(d.objid) OR authz.is_audited(d.objid))
		ORDER BY 1
	LOOP
		RAISE WARNING 'table % belongs to extension "%": a dump does not bring back its protection and audit', member.relation, member.extname
			USING HINT = format('After a restore: SELECT authz.repair_protection(%L).', member.relation);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.warn_extension_members(oid[]) IS 'warns of protected and audited tables that belong to these extensions';

CREATE FUNCTION authz.require_allowed_foreign_table(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM authz.allowed_foreign_table a WHERE a.relation = require_allowed_foreign_table.relation) THEN
		RAISE EXCEPTION 'foreign table % cannot be protected', relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Row security does not filter it: who may read it directly reads all of it.',
				HINT = 'If its server decides about rows itself, call authz.allow_foreign_table with that reason first.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_allowed_foreign_table(regclass) IS 'raises unless somebody gave a reason why the foreign table may be where protected tables are';

CREATE FUNCTION authz.allow_foreign_table(relation regclass, reason text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF relation IS NULL OR coalesce(btrim(reason), '') = '' THEN
		RAISE EXCEPTION 'allow_foreign_table needs a foreign table and a reason'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Say what decides about its rows, as in ''row security of the remote table''.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind = 'f') THEN
		RAISE EXCEPTION '% is not a foreign table', relation USING ERRCODE = 'wrong_object_type';
	END IF;
	INSERT INTO authz.allowed_foreign_table AS a (relation, reason) VALUES (allow_foreign_table.relation, allow_foreign_table.reason)
		ON CONFLICT ON CONSTRAINT allowed_foreign_table_pkey DO UPDATE
			SET reason = excluded.reason, allowed_at = excluded.allowed_at, allowed_by = excluded.allowed_by;
END
$$;
COMMENT ON FUNCTION authz.allow_foreign_table(regclass, text) IS
	'let a foreign table be a part of a protected table, or in a protected schema; nothing here filters who reads it directly';

CREATE FUNCTION authz.disallow_foreign_table(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_inherits i JOIN authz.protected_table t ON t.relation = i.inhparent WHERE i.inhrelid = disallow_foreign_table.relation)
		OR EXISTS (SELECT FROM pg_class c WHERE c.oid = disallow_foreign_table.relation AND c.relnamespace IN (SELECT authz.protected_schemas())) THEN
		RAISE EXCEPTION 'foreign table % is still a part of a protected table, or in a protected schema', relation
			USING ERRCODE = 'dependent_objects_still_exist', HINT = 'Detach it, or move it to another schema first.';
	END IF;
	DELETE FROM authz.allowed_foreign_table a WHERE a.relation = disallow_foreign_table.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'foreign table % is not allowed', relation USING ERRCODE = 'undefined_object';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.disallow_foreign_table(regclass) IS 'undo authz.allow_foreign_table';

-- One relation of a protected schema, which is neither protected nor exempt.
CREATE FUNCTION authz.protect_in_schema(relation regclass, kind "char", extension name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF extension IS NOT NULL THEN
		RAISE NOTICE 'table % is not protected: it belongs to extension "%"', relation, extension;
	ELSIF kind = 'f' THEN
		PERFORM authz.require_allowed_foreign_table(relation);
	ELSIF kind = 'm' THEN
		RAISE EXCEPTION 'materialized view % cannot be in a protected schema', relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'It holds rows as its owner saw them, and row security does not filter it.',
				HINT = 'Put it into another schema and grant it with care, or name it in authz.protect_schema(schema, exempt => ...).';
	ELSE
		-- A partition may have been protected with its parent meanwhile.
		PERFORM authz.protect(relation)
			WHERE NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = protect_in_schema.relation);
	END IF;
END
$$;
COMMENT ON FUNCTION authz.protect_in_schema(regclass, "char", name) IS 'protects a relation of a protected schema, or says why that cannot be';

CREATE FUNCTION authz.exempt_tables(schema regnamespace, tables name[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	schema_name name := (SELECT n.nspname FROM pg_namespace n WHERE n.oid = schema);
	item name;
	tab record;
BEGIN
	IF tables IS NULL OR array_position(tables, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'names of exempt tables must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	FOREACH item IN ARRAY tables LOOP
		SELECT c.oid::regclass AS relation, c.relkind, t.logical INTO tab
			FROM pg_class c LEFT JOIN authz.protected_table t ON t.relation = c.oid
			WHERE c.relnamespace = schema AND c.relname = item;
		IF tab.relation IS NULL THEN
			INSERT INTO authz.exempt_table (schema, waits_for) VALUES (schema_name, item) ON CONFLICT DO NOTHING;
			RAISE NOTICE 'table "%" is exempt when the owner of schema "%" creates it', item, schema_name;
		ELSIF tab.relkind NOT IN ('r', 'p', 'f', 'm') THEN
			RAISE EXCEPTION '% is not a table', tab.relation USING ERRCODE = 'wrong_object_type';
		ELSIF tab.logical <> tab.relation THEN
			RAISE EXCEPTION 'table % is protected as a part of table %', tab.relation, tab.logical
				USING ERRCODE = 'object_not_in_prerequisite_state';
		ELSE
			INSERT INTO authz.exempt_table (schema, relation) VALUES (schema_name, tab.relation) ON CONFLICT DO NOTHING;
			IF tab.logical IS NOT NULL THEN
				RAISE NOTICE 'table % stays protected until authz.unprotect is called for it', tab.relation;
			END IF;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.exempt_tables(regnamespace, name[]) IS 'names tables of a protected schema, also future ones, that stay open';

-- For event triggers: a name that was waited for is taken by a new table of the schema's owner, by no other.
CREATE FUNCTION authz.bind_exempt_tables() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM authz.exempt_table e WHERE e.waits_for IS NOT NULL) THEN
		UPDATE authz.exempt_table e SET relation = c.oid, waits_for = NULL
			FROM pg_event_trigger_ddl_commands() d, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND d.objsubid = 0 AND c.relkind IN ('r', 'p', 'f', 'm')
				AND (d.command_tag LIKE 'CREATE %' OR d.command_tag = 'SELECT INTO')
				AND e.schema = n.nspname AND e.waits_for = c.relname AND c.relowner = n.nspowner;
	END IF;
END
$$;
COMMENT ON FUNCTION authz.bind_exempt_tables() IS 'binds exempt names to the tables that a DDL command has created';

REVOKE ALL ON FUNCTION authz.require_owner_of_exempt(), authz.warn_extension_members(oid[]), authz.is_exempt(oid), authz.extension_of(oid), authz.refuse_extension_member(regclass),
	authz.require_allowed_foreign_table(regclass), authz.allow_foreign_table(regclass, text), authz.disallow_foreign_table(regclass),
	authz.protect_in_schema(regclass, "char", name), authz.exempt_tables(regnamespace, name[]), authz.bind_exempt_tables() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.is_exempt(oid), authz.extension_of(oid), authz.refuse_extension_member(regclass),
	authz.require_allowed_foreign_table(regclass), authz.allow_foreign_table(regclass, text), authz.disallow_foreign_table(regclass),
	authz.protect_in_schema(regclass, "char", name), authz.exempt_tables(regnamespace, name[]) TO authz_admin;
REVOKE ALL ON TABLE authz.exempt_table, authz.allowed_foreign_table FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE authz.allowed_foreign_table TO authz_admin;
GRANT SELECT, INSERT, DELETE ON TABLE authz.exempt_table TO authz_admin;
