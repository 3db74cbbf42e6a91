-- Audited schemas: every table in them is audited, a new one from its creation on.

-- Schemas by name: event triggers follow a rename (sql/taken_name.sql).
CREATE TABLE authz.audited_schema (
	schema		name PRIMARY KEY,
	actions		text[] NOT NULL,
	reads		boolean NOT NULL,
	audited_at	timestamptz NOT NULL DEFAULT now(),
	audited_by	name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE authz.audited_schema IS 'schemas in which every table is audited from its creation on; filled by authz.audit_schema';
COMMENT ON COLUMN authz.audited_schema.schema IS 'name of the schema';
COMMENT ON COLUMN authz.audited_schema.actions IS 'of insert, update, delete, truncate: for tables that are not audited yet';
COMMENT ON COLUMN authz.audited_schema.reads IS 'also statements that read them are recorded';
COMMENT ON COLUMN authz.audited_schema.audited_at IS 'since when';
COMMENT ON COLUMN authz.audited_schema.audited_by IS 'session user who did it';

SELECT pg_catalog.pg_extension_config_dump('authz.audited_schema', '');

-- Audit those of these relations that are in an audited schema and not audited.
CREATE FUNCTION authz.audit_in_schema(relations oid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tab record;
	extension name;
BEGIN
	FOR tab IN
		SELECT c.oid::regclass AS relation, c.relkind, s.actions, s.reads
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN authz.audited_schema s ON s.schema = n.nspname
		WHERE c.oid = ANY (relations) AND c.relkind IN ('r', 'p', 'f') AND NOT authz.is_audited(c.oid)
		ORDER BY c.relispartition, c.oid
	LOOP
		extension := authz.extension_of(tab.relation);
		IF extension IS NOT NULL THEN
			RAISE NOTICE 'table % is not audited: it belongs to extension "%"', tab.relation, extension;
		ELSIF tab.relkind = 'f' THEN
			RAISE WARNING 'foreign table % is not audited', tab.relation
				USING DETAIL = 'Changes of its rows are made where they are.';
		ELSE
			-- A partition may have been audited with its parent meanwhile.
			PERFORM authz.do_audit(tab.relation, tab.actions, tab.reads, '{}', '{}') WHERE NOT authz.is_audited(tab.relation);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.audit_in_schema(oid[]) IS 'audits these tables if their schema is audited and they are not';

CREATE FUNCTION authz.do_audit_schema(schema regnamespace, actions text[], reads boolean) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
BEGIN
	IF schema IS NULL OR actions IS NULL OR reads IS NULL OR array_position(actions, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'arguments of authz.audit_schema must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT a INTO unknown FROM unnest(actions) a WHERE a NOT IN ('insert', 'update', 'delete', 'truncate');
	IF FOUND OR cardinality(actions) = 0 AND NOT reads THEN
		RAISE EXCEPTION 'unknown action "%"', coalesce(unknown, '')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Actions are insert, update, delete and truncate.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = schema AND n.nspname NOT IN ('authz', 'information_schema') AND NOT n.nspname ^@ 'pg_') THEN
		RAISE EXCEPTION 'schema % cannot be audited', schema USING ERRCODE = 'wrong_object_type';
	END IF;
	IF reads THEN
		PERFORM authz.require_loaded();
	END IF;
	INSERT INTO authz.audited_schema AS s (schema, actions, reads)
		SELECT n.nspname, do_audit_schema.actions, do_audit_schema.reads FROM pg_namespace n WHERE n.oid = do_audit_schema.schema
		ON CONFLICT ON CONSTRAINT audited_schema_pkey DO UPDATE
			SET actions = excluded.actions, reads = excluded.reads, audited_at = excluded.audited_at, audited_by = excluded.audited_by;
	PERFORM authz.audit_in_schema(ARRAY(SELECT c.oid FROM pg_class c WHERE c.relnamespace = schema));
END
$$;
COMMENT ON FUNCTION authz.do_audit_schema(regnamespace, text[], boolean) IS 'authz.audit_schema, for administrators';

CREATE FUNCTION authz.audit_schema(schema regnamespace, actions text[] DEFAULT '{insert,update,delete,truncate}', reads boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_admin('audit_schema');
	PERFORM authz.do_audit_schema(schema, actions, reads);
END
$$;
COMMENT ON FUNCTION authz.audit_schema(regnamespace, text[], boolean) IS
	'audit every table of a schema, and each one that is created or moved there later; those that are audited already stay as they are';

CREATE FUNCTION authz.do_unaudit_schema(schema regnamespace) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM authz.audited_schema s USING pg_namespace n WHERE n.oid = do_unaudit_schema.schema AND s.schema = n.nspname;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'schema % is not audited', schema USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.do_unaudit_schema(regnamespace) IS 'authz.unaudit_schema, for administrators';

CREATE FUNCTION authz.unaudit_schema(schema regnamespace) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_admin('unaudit_schema');
	PERFORM authz.do_unaudit_schema(schema);
END
$$;
COMMENT ON FUNCTION authz.unaudit_schema(regnamespace) IS
	'tables created in the schema from now on are not audited; those that are stay so';

CREATE FUNCTION authz.audit_new_tables() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM authz.audited_schema) THEN
		RETURN;
	ELSIF TG_TAG = 'ALTER EXTENSION' THEN
		-- ALTER EXTENSION ... DROP names no table.
		PERFORM authz.audit_in_schema(ARRAY(SELECT c.oid FROM authz.audited_schema s JOIN pg_namespace n ON n.nspname = s.schema
			JOIN pg_class c ON c.relnamespace = n.oid WHERE c.relkind IN ('r', 'p')));
	ELSE
		PERFORM authz.audit_in_schema(ARRAY(SELECT d.objid FROM pg_event_trigger_ddl_commands() d WHERE d.classid = 'pg_class'::regclass));
	END IF;
END
$$;
COMMENT ON FUNCTION authz.audit_new_tables() IS 'event trigger: audits new tables of audited schemas';

-- EXPLAIN ANALYZE CREATE TABLE ... AS fires no event trigger; the library calls this before it.
CREATE FUNCTION authz.refuse_unseen_table(schema oid) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF schema IN (SELECT authz.protected_schemas())
		OR EXISTS (SELECT FROM authz.audited_schema a JOIN pg_namespace n ON n.nspname = a.schema WHERE n.oid = refuse_unseen_table.schema) THEN
		RAISE EXCEPTION 'schema % is protected or audited by authz', schema::regnamespace
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'A table that EXPLAIN ANALYZE makes would be open and unrecorded.',
				HINT = 'Use EXPLAIN without ANALYZE, or CREATE TABLE AS without EXPLAIN.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.refuse_unseen_table(oid) IS 'raises if a table in this schema must not be made without event triggers';

REVOKE ALL ON FUNCTION authz.audit_in_schema(oid[]), authz.do_audit_schema(regnamespace, text[], boolean), authz.audit_schema(regnamespace, text[], boolean),
	authz.do_unaudit_schema(regnamespace), authz.unaudit_schema(regnamespace), authz.audit_new_tables(),
	authz.refuse_unseen_table(oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.do_audit_schema(regnamespace, text[], boolean), authz.do_unaudit_schema(regnamespace) TO authz_admin;
GRANT EXECUTE ON FUNCTION authz.audit_schema(regnamespace, text[], boolean), authz.unaudit_schema(regnamespace) TO PUBLIC;
REVOKE ALL ON TABLE authz.audited_schema FROM PUBLIC;
GRANT SELECT ON TABLE authz.audited_schema TO authz_admin, authz_auditor;

CREATE EVENT TRIGGER authz_audit_schema ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'CREATE SCHEMA', 'IMPORT FOREIGN SCHEMA', 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER EXTENSION')
	EXECUTE FUNCTION authz.audit_new_tables();
ALTER EVENT TRIGGER authz_audit_schema ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER authz_audit_schema IS 'authz: new tables of audited schemas are audited';
