-- A table that takes the name of one that is protected or audited is neither: said at once.
-- What is kept by the name of a schema follows a rename.

CREATE FUNCTION authz.renamed_from(command pg_ddl_command) RETURNS name[]
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_renamed_from';
COMMENT ON FUNCTION authz.renamed_from(pg_ddl_command) IS 'schema and name of a table before it was renamed or moved, name of a schema before that was renamed';

CREATE FUNCTION authz.note_former_name(schema name, name name, is_protected boolean, is_audited boolean, until_end boolean) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_note_former_name';
COMMENT ON FUNCTION authz.note_former_name(name, name, boolean, boolean, boolean) IS
	'keeps a name that a protected or audited table had, in this session, or until the end of the transaction';

CREATE FUNCTION authz.has_former_names() RETURNS boolean
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_has_former_names';
COMMENT ON FUNCTION authz.has_former_names() IS 'has note_former_name kept any?';

CREATE FUNCTION authz.was_protected(schema name, name name) RETURNS boolean
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_was_protected';
COMMENT ON FUNCTION authz.was_protected(name, name) IS 'had a protected table this name, in this session?';

CREATE FUNCTION authz.was_audited(schema name, name name) RETURNS boolean
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_was_audited';
COMMENT ON FUNCTION authz.was_audited(name, name) IS 'had an audited table this name, in this session?';

CREATE FUNCTION authz.follow_rename(schema_before name, schema regnamespace) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	schema_now name := (SELECT n.nspname FROM pg_namespace n WHERE n.oid = schema);
BEGIN
	UPDATE authz.exempt_table e SET schema = schema_now WHERE e.schema = schema_before;
	UPDATE authz.audited_schema s SET schema = schema_now WHERE s.schema = schema_before;
	PERFORM authz.note_former_name(schema_before, c.relname, t.protected, t.audited, false)
		FROM pg_class c, LATERAL (SELECT EXISTS (SELECT FROM authz.protected_table p WHERE p.relation = c.oid),
			EXISTS (SELECT FROM authz.audited_table a WHERE a.relation = c.oid AND a.active)) t(protected, audited)
		WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p') AND (t.protected OR t.audited);
END
$$;
COMMENT ON FUNCTION authz.follow_rename(name, regnamespace) IS 'follows the rename of a schema';

CREATE FUNCTION authz.after_rename() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command record;
	tab record;
BEGIN
	FOR command IN
		SELECT d.classid, d.objid, authz.renamed_from(d.command) AS before FROM pg_event_trigger_ddl_commands() d
	LOOP
		IF command.before IS NULL THEN
			CONTINUE;
		ELSIF command.classid = 'pg_namespace'::regclass THEN
			PERFORM authz.follow_rename(command.before[1], command.objid::regnamespace);
		ELSIF authz.is_protected(command.objid) OR authz.is_audited(command.objid) THEN
			PERFORM authz.note_former_name(command.before[1], command.before[2],
				authz.is_protected(command.objid), authz.is_audited(command.objid), false);
		END IF;
	END LOOP;
	IF NOT authz.has_former_names() THEN
		RETURN;
	END IF;
	FOR tab IN
		SELECT DISTINCT c.oid::regclass AS relation, authz.was_protected(n.nspname, c.relname) AND NOT authz.is_protected(c.oid) AND NOT authz.is_exempt(c.oid) AS is_open,
			authz.was_audited(n.nspname, c.relname) AND NOT authz.is_audited(c.oid) AS is_unrecorded
		FROM pg_event_trigger_ddl_commands() d
			JOIN pg_class c ON d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND c.oid = d.objid
				OR d.classid = 'pg_namespace'::regclass AND c.relnamespace = d.objid
			JOIN pg_namespace n ON n.oid = c.relnamespace
		-- Only commands that give a name.
		WHERE c.relkind IN ('r', 'p', 'f', 'm')
			AND (d.command_tag = 'SELECT INTO' OR d.command_tag LIKE 'CREATE %' AND d.classid = 'pg_class'::regclass OR authz.renamed_from(d.command) IS NOT NULL)
		ORDER BY 1
	LOOP
		IF tab.is_open THEN
			RAISE WARNING 'table % has the name of a protected table, and is not protected', tab.relation
				USING DETAIL = 'Policies, masks and protection stay with the table that had the name before.',
					HINT = format('SELECT authz.protect(%L), and create its policies and masks.', tab.relation);
		END IF;
		IF tab.is_unrecorded THEN
			RAISE WARNING 'table % has the name of an audited table, and is not audited', tab.relation
				USING DETAIL = 'The audit stays with the table that had the name before.', HINT = format('SELECT authz.audit(%L).', tab.relation);
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.after_rename() IS 'event trigger: warns of a table that takes the name of a protected or audited one';

CREATE FUNCTION authz.note_dropped() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.note_former_name(o.schema_name::name, o.object_name::name, t.protected, t.audited, true)
		FROM pg_event_trigger_dropped_objects() o, LATERAL (SELECT authz.is_protected(o.objid), authz.is_audited(o.objid)) t(protected, audited)
		WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND o.object_type = 'table' AND NOT o.is_temporary
			AND (t.protected OR t.audited);
	IF NOT (EXISTS (SELECT FROM authz.exempt_table) OR EXISTS (SELECT FROM authz.allowed_foreign_table) OR EXISTS (SELECT FROM authz.audited_schema)) THEN
		RETURN;
	END IF;
	DELETE FROM authz.exempt_table e USING pg_event_trigger_dropped_objects() o
		WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND e.relation = o.objid
			OR o.classid = 'pg_namespace'::regclass AND e.schema = o.object_name::name;
	DELETE FROM authz.allowed_foreign_table a USING pg_event_trigger_dropped_objects() o
		WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND a.relation = o.objid;
	DELETE FROM authz.audited_schema s USING pg_event_trigger_dropped_objects() o
		WHERE o.classid = 'pg_namespace'::regclass AND s.schema = o.object_name::name;
END
$$;
COMMENT ON FUNCTION authz.note_dropped() IS 'event trigger: keeps the names of dropped tables until the transaction ends, forgets what was about dropped ones';

REVOKE ALL ON FUNCTION authz.renamed_from(pg_ddl_command), authz.note_former_name(name, name, boolean, boolean, boolean), authz.has_former_names(),
	authz.was_protected(name, name), authz.was_audited(name, name), authz.follow_rename(name, regnamespace), authz.after_rename(), authz.note_dropped() FROM PUBLIC;

-- Event triggers fire in the order of their names: this one when new tables have been protected and audited,
-- the other one before the rows of dropped tables are gone.
CREATE EVENT TRIGGER authz_warn_rename ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'ALTER INDEX', 'ALTER VIEW', 'ALTER SCHEMA', 'ALTER FOREIGN TABLE', 'ALTER MATERIALIZED VIEW', 'CREATE TABLE', 'CREATE TABLE AS',
		'SELECT INTO', 'CREATE FOREIGN TABLE', 'CREATE MATERIALIZED VIEW', 'CREATE SCHEMA', 'IMPORT FOREIGN SCHEMA')
	EXECUTE FUNCTION authz.after_rename();
CREATE EVENT TRIGGER authz_a_note_dropped ON sql_drop EXECUTE FUNCTION authz.note_dropped();
ALTER EVENT TRIGGER authz_warn_rename ENABLE ALWAYS;
ALTER EVENT TRIGGER authz_a_note_dropped ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER authz_warn_rename IS 'authz: warns of a table that takes the name of a protected or audited one';
COMMENT ON EVENT TRIGGER authz_a_note_dropped IS 'authz: keeps the names of dropped tables until the transaction ends';
