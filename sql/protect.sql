-- Which tables are protected, and how a table becomes so.
-- C code reads columns by their position: catalog.h.

CREATE TABLE authz.protected_table (
	relation			regclass PRIMARY KEY,
	logical				regclass NOT NULL,
	had_row_security	boolean NOT NULL,
	had_force			boolean NOT NULL,
	complete			boolean NOT NULL DEFAULT false,
	protected_at		timestamptz NOT NULL DEFAULT now(),
	protected_by		name NOT NULL DEFAULT session_user,
	open_parents		oid[] NOT NULL DEFAULT '{}'
);
CREATE INDEX protected_table_logical_idx ON authz.protected_table (logical);
COMMENT ON TABLE authz.protected_table IS 'tables that authz protects, with their partitions and children';
COMMENT ON COLUMN authz.protected_table.relation IS 'an ordinary or partitioned table';
COMMENT ON COLUMN authz.protected_table.protected_at IS 'since when';
COMMENT ON COLUMN authz.protected_table.protected_by IS 'session user who did it';
COMMENT ON COLUMN authz.protected_table.logical IS 'table whose policies hold: itself, or the parent it is a part of';
COMMENT ON COLUMN authz.protected_table.had_row_security IS 'row security was enabled before';
COMMENT ON COLUMN authz.protected_table.had_force IS 'row security was forced before';
COMMENT ON COLUMN authz.protected_table.open_parents IS
	'parents that were not protected yet when it was: they must be by the end of that transaction';
COMMENT ON COLUMN authz.protected_table.complete IS 'row security has been seen in place, and must stay so';

CREATE TABLE authz.protected_schema (
	schema			oid PRIMARY KEY,
	protected_at	timestamptz NOT NULL DEFAULT now(),
	protected_by	name NOT NULL DEFAULT session_user,
	name			name NOT NULL UNIQUE
);
COMMENT ON COLUMN authz.protected_schema.schema IS 'OID of the schema; pg_upgrade keeps none, and a dump means another: the name holds then';
COMMENT ON COLUMN authz.protected_schema.name IS 'name of the schema; follows a rename';
COMMENT ON COLUMN authz.protected_schema.protected_at IS 'since when';
COMMENT ON COLUMN authz.protected_schema.protected_by IS 'session user who did it';
COMMENT ON TABLE authz.protected_schema IS 'schemas in which every table is protected from its creation on';

SELECT pg_catalog.pg_extension_config_dump('authz.protected_table', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation)');
SELECT pg_catalog.pg_extension_config_dump('authz.protected_schema', '');

CREATE TRIGGER a_require_owner BEFORE INSERT OR UPDATE OR DELETE ON authz.protected_table
	FOR EACH ROW EXECUTE FUNCTION authz.require_owner();
-- A dump brings the rows before the row security of their tables.
CREATE FUNCTION authz.begin_protection() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		NEW.complete := false;
		-- Until the end of the transaction: see require_closed_parents.
		NEW.open_parents := ARRAY(SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = NEW.relation
			AND NOT EXISTS (SELECT FROM authz.protected_table p WHERE p.relation = i.inhparent));
	ELSIF (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RETURN NEW;
	ELSE
		-- Only what holds may be called so: it would refuse everybody's DDL.
		NEW.complete := NEW.complete AND OLD.complete;
		NEW.open_parents := OLD.open_parents;
	END IF;
	IF NEW.logical <> NEW.relation AND (TG_OP = 'INSERT' OR NEW.logical <> OLD.logical)
		AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)
		AND NEW.relation NOT IN (SELECT d FROM authz.descendants(NEW.logical) d) THEN
		RAISE EXCEPTION 'table % is no part of table %', NEW.relation, NEW.logical
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION authz.begin_protection() IS
	'trigger: a new protection is complete when check_protection has seen it, and under the policies of itself or a parent';
CREATE TRIGGER begin BEFORE INSERT OR UPDATE ON authz.protected_table
	FOR EACH ROW EXECUTE FUNCTION authz.begin_protection();

-- At commit: parents and children of several protected tables can only be protected one after the other.
CREATE FUNCTION authz.require_closed_parents() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parent regclass;
BEGIN
	SELECT i.inhparent::regclass INTO parent FROM pg_inherits i
		WHERE i.inhrelid = NEW.relation
			AND EXISTS (SELECT FROM authz.protected_table p WHERE p.relation = NEW.relation)
			AND NOT EXISTS (SELECT FROM authz.protected_table p WHERE p.relation = i.inhparent)
		ORDER BY i.inhseqno LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table % could be read unfiltered through its parent %', NEW.relation, parent
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The parent is not protected.',
				HINT = format('Protect the parent, too, in the same transaction: SELECT authz.protect(%L).', parent);
	END IF;
	-- From now on check_protection keeps them protected.
	UPDATE authz.protected_table t SET open_parents = '{}' WHERE t.relation = NEW.relation;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION authz.require_closed_parents() IS 'trigger at commit: all parents of a protected table are protected, too';
REVOKE ALL ON FUNCTION authz.require_closed_parents() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER closed_parents AFTER INSERT ON authz.protected_table DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (new.open_parents <> '{}') EXECUTE FUNCTION authz.require_closed_parents();

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON authz.protected_table
	FOR EACH ROW EXECUTE FUNCTION authz.table_changed();
ALTER TABLE authz.protected_table ENABLE ALWAYS TRIGGER changed;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.protected_table
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();

-- By OID or by name: after pg_upgrade only the name is right.
CREATE FUNCTION authz.protected_schemas() RETURNS SETOF oid
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT n.oid FROM pg_namespace n WHERE EXISTS (SELECT FROM authz.protected_schema s WHERE s.schema = n.oid OR s.name = n.nspname);
END;
COMMENT ON FUNCTION authz.protected_schemas() IS 'OIDs of the schemas in which new tables are protected';

-- The event trigger acts on these rows with all rights.
CREATE FUNCTION authz.require_schema_owner() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item authz.protected_schema := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
	-- A name that comes along is from a dump, and the number beside it of another cluster.
	IF TG_OP <> 'DELETE' AND item.name IS NOT NULL THEN
		item.schema := quote_ident(item.name)::regnamespace;
	ELSIF TG_OP <> 'DELETE' THEN
		item.name := (SELECT n.nspname FROM pg_namespace n WHERE n.oid = item.schema);
	END IF;
	IF TG_OP <> 'DELETE' AND (item.schema IN ('authz'::regnamespace, 'information_schema'::regnamespace)
		OR EXISTS (SELECT FROM pg_namespace n WHERE n.oid = item.schema AND n.nspname ^@ 'pg_')) THEN
		RAISE EXCEPTION 'schema % cannot be protected', quote_ident(item.name) USING ERRCODE = 'wrong_object_type';
	END IF;
	IF EXISTS (SELECT FROM pg_namespace n WHERE n.oid = item.schema AND NOT pg_has_role(n.nspowner, 'USAGE')) THEN
		RAISE EXCEPTION 'must be owner of schema %', quote_ident(item.name) USING ERRCODE = 'insufficient_privilege';
	END IF;
	RETURN item;
END
$$;
COMMENT ON FUNCTION authz.require_schema_owner() IS 'trigger: only the owner of a schema may protect it or end that';
REVOKE ALL ON FUNCTION authz.require_schema_owner() FROM PUBLIC;
CREATE TRIGGER require_owner BEFORE INSERT OR DELETE ON authz.protected_schema
	FOR EACH ROW EXECUTE FUNCTION authz.require_schema_owner();

CREATE FUNCTION authz.guard_truncate() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_guard_truncate';
COMMENT ON FUNCTION authz.guard_truncate() IS 'trigger: TRUNCATE of a protected table needs a policy that permits it';

CREATE FUNCTION authz.native_policy_problem(relation oid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH wanted(name, command, filter, new_row) AS (VALUES
		('authz_select'::name, 'r'::"char", 'authz.permits(''select''::text, tableoid)', ''),
		('authz_insert', 'a', '', 'authz.permits(''insert''::text, tableoid)'),
		('authz_update', 'w', 'authz.permits(''update''::text, tableoid)', 'authz.permits(''update_check''::text, tableoid)'),
		('authz_delete', 'd', 'authz.permits(''delete''::text, tableoid)', '')),
	found AS (
		SELECT p.polname AS name, p.polcmd AS command,
			coalesce(pg_get_expr(p.polqual, p.polrelid), '') AS filter,
			coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') AS new_row,
			p.polroles = '{0}' AS for_all
		FROM pg_policy p WHERE p.polrelid = relation AND p.polpermissive)
	SELECT coalesce(
		(SELECT format('row security policy "%s" is missing or altered', w.name) FROM wanted w
			WHERE NOT EXISTS (SELECT FROM found f WHERE f.for_all AND
				(f.name, f.command, f.filter, f.new_row) = (w.name, w.command, w.filter, w.new_row))
			ORDER BY w.name LIMIT 1),
		-- tgtype 34: before truncate, for each statement
		(SELECT 'trigger "authz_truncate" is missing, altered or disabled' WHERE NOT EXISTS (
			SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = 'authz_truncate' AND t.tgtype = 34
				AND t.tgqual IS NULL AND t.tgfoid = 'authz.guard_truncate'::regproc AND t.tgenabled = 'A')),
		(SELECT format('permissive row security policy "%s" would permit what no authz policy does', f.name) FROM found f
			WHERE f.name NOT IN (SELECT w.name FROM wanted w) ORDER BY f.name LIMIT 1));
END;
COMMENT ON FUNCTION authz.native_policy_problem(oid) IS 'what is wrong with a protected table''s row security policies; NULL if nothing';

-- Row security and trigger of one table; whatever is there already stays or is made right.
CREATE FUNCTION authz.install_protection(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	foreign_policy name;
	command text;
BEGIN
	SELECT p.polname INTO foreign_policy FROM pg_policy p
		WHERE p.polrelid = relation AND p.polpermissive
			AND p.polname NOT IN ('authz_select', 'authz_insert', 'authz_update', 'authz_delete')
		ORDER BY 1 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table % has a permissive row security policy "%" of its own', relation, foreign_policy
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'It would permit what no authz policy does.',
				HINT = 'Drop it, or make it AS RESTRICTIVE, then protect the table.';
	END IF;
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relrowsecurity AND c.relforcerowsecurity)
		AND authz.native_policy_problem(relation) IS NULL THEN
		RETURN;
	END IF;
	-- The trigger goes first and comes last: meanwhile the event trigger does not take the protection for complete.
	IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = 'authz_truncate') THEN
		EXECUTE format('DROP TRIGGER authz_truncate ON %s', relation);
	END IF;
	EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
	FOR command IN
		SELECT format('DROP POLICY %I ON %s', p.polname, relation)
		FROM pg_policy p WHERE p.polrelid = relation AND p.polpermissive
	LOOP
		EXECUTE command;
	END LOOP;
	EXECUTE format($sql$
		CREATE POLICY authz_select ON %1$s FOR SELECT USING (authz.permits('select', tableoid));
		CREATE POLICY authz_insert ON %1$s FOR INSERT WITH CHECK (authz.permits('insert', tableoid));
		CREATE POLICY authz_update ON %1$s FOR UPDATE USING (authz.permits('update', tableoid))
			WITH CHECK (authz.permits('update_check', tableoid));
		CREATE POLICY authz_delete ON %1$s FOR DELETE USING (authz.permits('delete', tableoid));
		CREATE TRIGGER authz_truncate BEFORE TRUNCATE ON %1$s
			FOR EACH STATEMENT EXECUTE FUNCTION authz.guard_truncate();
		ALTER TABLE %1$s ENABLE ALWAYS TRIGGER authz_truncate;
		$sql$, relation);
END
$$;
COMMENT ON FUNCTION authz.install_protection(regclass) IS 'row security, native policies and truncate trigger of one table';

-- Partitions and children, at any depth.
CREATE FUNCTION authz.descendants(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH RECURSIVE d(relid) AS (
		SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = relation
		UNION
		SELECT i.inhrelid FROM d JOIN pg_inherits i ON i.inhparent = d.relid)
	SELECT d.relid::regclass FROM d;
END;
COMMENT ON FUNCTION authz.descendants(regclass) IS 'partitions and inheritance children of a table, at any depth';

-- Protect one table under the policies of `logical`.
CREATE FUNCTION authz.protect_as(relation regclass, logical regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	before record;
	other regclass;
BEGIN
	SELECT c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relnamespace, c.relpersistence INTO before
		FROM pg_class c WHERE c.oid = relation;
	IF before.relkind = 'f' AND relation <> logical THEN
		PERFORM authz.require_allowed_foreign_table(relation);
		RETURN;
	END IF;
	IF before.relnamespace = 'authz'::regnamespace THEN
		RAISE EXCEPTION 'table % belongs to authz', relation
			USING ERRCODE = 'wrong_object_type', DETAIL = 'Who may read and change it is fixed; changes of policies are in authz.policy_history.';
	END IF;
	IF before.relpersistence = 't' THEN
		RAISE EXCEPTION 'temporary table % cannot be protected', relation USING ERRCODE = 'wrong_object_type';
	END IF;
	IF before.relkind NOT IN ('r', 'p') OR before.relnamespace = 'pg_catalog'::regnamespace THEN
		RAISE EXCEPTION '% is not an ordinary or partitioned table', relation
			USING ERRCODE = 'wrong_object_type', HINT = 'Protect the tables that it reads.';
	END IF;
	IF relation <> logical AND NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = protect_as.relation) THEN
		PERFORM authz.refuse_extension_member(relation);
	END IF;
	SELECT t.logical INTO other FROM authz.protected_table t
		WHERE t.relation = protect_as.relation AND t.logical NOT IN (protect_as.logical, t.relation);
	IF FOUND AND relation <> logical THEN
		RAISE EXCEPTION 'table % would be part of two protected tables, % and %', relation, other, logical
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Protect the table itself first: its own policies hold then.';
	END IF;
	IF relation <> logical AND EXISTS (SELECT FROM authz.mask m WHERE m.relation = protect_as.relation)
		AND NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = protect_as.relation AND t.logical = t.relation) THEN
		RAISE EXCEPTION 'table % has masks of its own, which would not hold as a part of table %', relation, logical
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Drop them, or protect the table itself first.';
	END IF;
	-- The row comes first: the event trigger sees the commands below and must know of it.
	INSERT INTO authz.protected_table AS t (relation, logical, had_row_security, had_force)
		VALUES (protect_as.relation, protect_as.logical, before.relrowsecurity, before.relforcerowsecurity)
		ON CONFLICT ON CONSTRAINT protected_table_pkey DO UPDATE
			SET logical = CASE WHEN excluded.relation = excluded.logical THEN excluded.logical ELSE t.logical END,
				-- What is to be repaired may be touched.
				complete = t.complete AND before.relrowsecurity AND before.relforcerowsecurity
					AND authz.native_policy_problem(t.relation) IS NULL;
	-- Its own parts follow it, away from the table that they all were part of.
	UPDATE authz.protected_table t SET logical = protect_as.relation
		WHERE t.logical = other AND t.relation IN (SELECT d FROM authz.descendants(protect_as.relation) d);
	PERFORM authz.install_protection(relation);
END
$$;
COMMENT ON FUNCTION authz.protect_as(regclass, regclass) IS 'protect one table under the policies of another or its own';

CREATE FUNCTION authz.protect(relation regclass, extension_member boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	child regclass;
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'table must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = protect.relation AND t.logical = t.relation) THEN
		RAISE NOTICE 'table % is protected already', relation;
	ELSIF extension_member IS NOT TRUE THEN
		PERFORM authz.refuse_extension_member(relation);
	END IF;
	DELETE FROM authz.exempt_table e WHERE e.relation = protect.relation;
	PERFORM authz.protect_as(relation, relation);
	-- The event trigger has protected its partitions and children; this is for where it is disabled.
	FOR child IN SELECT d FROM authz.descendants(relation) d LOOP
		PERFORM authz.protect_as(child, relation)
			WHERE NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = child);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.protect(regclass, boolean) IS
	'protect a table with its partitions and children: from now on nothing is permitted but by policy; '
	'extension_member: also if it belongs to an extension, whose tables a dump restores without protection';

-- Undo protect for one table, as its row in protected_table said.
CREATE FUNCTION authz.remove_protection(before authz.protected_table) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format($sql$
		DROP POLICY IF EXISTS authz_select ON %1$s;
		DROP POLICY IF EXISTS authz_insert ON %1$s;
		DROP POLICY IF EXISTS authz_update ON %1$s;
		DROP POLICY IF EXISTS authz_delete ON %1$s;
		DROP TRIGGER IF EXISTS authz_truncate ON %1$s;
		ALTER TABLE %1$s %2$s ROW LEVEL SECURITY, %3$s ROW LEVEL SECURITY;
		$sql$, before.relation,
		CASE WHEN before.had_row_security THEN 'ENABLE' ELSE 'DISABLE' END,
		CASE WHEN before.had_force THEN 'FORCE' ELSE 'NO FORCE' END);
END
$$;
COMMENT ON FUNCTION authz.remove_protection(authz.protected_table) IS 'undo protect for one table';

CREATE FUNCTION authz.unprotect(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	removed authz.protected_table[];
	part authz.protected_table;
	parent regclass;
	view regclass;
BEGIN
	IF NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = unprotect.relation AND t.logical = t.relation) THEN
		RAISE EXCEPTION 'table % is not protected by itself', relation
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'A partition or child is unprotected with its parent.';
	END IF;
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relnamespace IN (SELECT authz.protected_schemas())) AND NOT EXISTS (SELECT FROM authz.exempt_table e WHERE e.relation = unprotect.relation) THEN
		RAISE EXCEPTION 'schema of table % is protected', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Name the table in authz.protect_schema(schema, exempt => ...), or call authz.unprotect_schema first.';
	END IF;
	SELECT v.view INTO view FROM authz.masked_views() v JOIN authz.protected_table t ON t.relation = v.relation
		WHERE t.logical = unprotect.relation ORDER BY v.view::text LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'masked view % shows table %', view, authz.masked_view_table(view)
			USING ERRCODE = 'dependent_objects_still_exist', HINT = 'Call authz.drop_masked_view first.';
	END IF;
	-- What was detached from it meanwhile stays closed, on its own.
	FOR part IN
		UPDATE authz.protected_table t SET logical = t.relation
		WHERE t.logical = unprotect.relation AND t.relation <> t.logical
			AND t.relation NOT IN (SELECT d FROM authz.descendants(unprotect.relation) d)
		RETURNING t.*
	LOOP
		RAISE NOTICE 'table %, which was detached, stays protected', part.relation;
	END LOOP;
	-- A part of a protected table goes back under that table's policies, with its own parts.
	SELECT t.logical INTO parent FROM pg_inherits i JOIN authz.protected_table t ON t.relation = i.inhparent
		WHERE i.inhrelid = unprotect.relation ORDER BY i.inhseqno LIMIT 1;
	IF FOUND THEN
		UPDATE authz.protected_table t SET logical = parent WHERE t.logical = unprotect.relation;
		RETURN;
	END IF;
	-- All rows first: the event trigger protects the children of what is protected.
	WITH gone AS (DELETE FROM authz.protected_table t WHERE t.logical = unprotect.relation RETURNING t)
		SELECT array_agg(gone.t) INTO removed FROM gone;
	FOREACH part IN ARRAY removed LOOP
		PERFORM authz.remove_protection(part);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.unprotect(regclass) IS 'undo authz.protect; its policies stay, without effect';

CREATE FUNCTION authz.protect_schema(schema regnamespace, exempt name[] DEFAULT '{}') RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tab record;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = schema AND pg_has_role(n.nspowner, 'USAGE')) THEN
		RAISE EXCEPTION 'must be owner of schema %', schema USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF schema IN ('authz'::regnamespace, 'pg_catalog'::regnamespace, 'information_schema'::regnamespace) THEN
		RAISE EXCEPTION 'schema % cannot be protected', schema USING ERRCODE = 'wrong_object_type';
	END IF;
	PERFORM authz.exempt_tables(schema, exempt);
	FOR tab IN
		SELECT c.oid::regclass AS relation, c.relkind AS kind, authz.extension_of(c.oid) AS extension
		FROM pg_class c
		WHERE c.relnamespace = schema AND c.relkind IN ('r', 'p', 'f', 'm')
			AND NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = c.oid)
			AND NOT authz.is_exempt(c.oid)
		ORDER BY c.relispartition, c.oid
	LOOP
		PERFORM authz.protect_in_schema(tab.relation, tab.kind, tab.extension);
	END LOOP;
	INSERT INTO authz.protected_schema (schema) VALUES (protect_schema.schema) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION authz.protect_schema(regnamespace, name[]) IS
	'protect every table of a schema, and each one that is created or moved there later, but those that are exempt';

CREATE FUNCTION authz.unprotect_schema(schema regnamespace) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = schema AND pg_has_role(n.nspowner, 'USAGE')) THEN
		RAISE EXCEPTION 'must be owner of schema %', schema USING ERRCODE = 'insufficient_privilege';
	END IF;
	DELETE FROM authz.protected_schema p WHERE p.schema = unprotect_schema.schema
		OR p.name = (SELECT n.nspname FROM pg_namespace n WHERE n.oid = unprotect_schema.schema);
	IF NOT FOUND THEN
		RAISE EXCEPTION 'schema % is not protected', schema USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	DELETE FROM authz.exempt_table e USING pg_namespace n WHERE n.oid = unprotect_schema.schema AND e.schema = n.nspname;
END
$$;
COMMENT ON FUNCTION authz.unprotect_schema(regnamespace) IS
	'tables created in the schema from now on are not protected; those that are stay so';

REVOKE ALL ON FUNCTION authz.protected_schemas(), authz.guard_truncate(), authz.begin_protection(), authz.native_policy_problem(oid), authz.install_protection(regclass),
	authz.descendants(regclass), authz.protect_as(regclass, regclass), authz.protect(regclass, boolean),
	authz.remove_protection(authz.protected_table), authz.unprotect(regclass),
	authz.protect_schema(regnamespace, name[]), authz.unprotect_schema(regnamespace) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.protected_schemas(), authz.guard_truncate(), authz.native_policy_problem(oid), authz.install_protection(regclass),
	authz.descendants(regclass), authz.protect_as(regclass, regclass), authz.protect(regclass, boolean),
	authz.remove_protection(authz.protected_table), authz.unprotect(regclass),
	authz.protect_schema(regnamespace, name[]), authz.unprotect_schema(regnamespace) TO authz_admin;
REVOKE ALL ON TABLE authz.protected_table, authz.protected_schema FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE authz.protected_table TO authz_admin;
GRANT SELECT, INSERT, DELETE ON TABLE authz.protected_schema TO authz_admin;
