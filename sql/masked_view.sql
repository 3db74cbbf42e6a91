-- Views that show a table's columns through its masks.

CREATE FUNCTION authz.masked_view_table(view oid) RETURNS regclass
LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_masked_view_table';
COMMENT ON FUNCTION authz.masked_view_table(oid) IS 'the table that a masked view shows; NULL if it is no masked view';

CREATE FUNCTION authz.masked_view_columns(view oid) RETURNS name[]
LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_masked_view_columns';
COMMENT ON FUNCTION authz.masked_view_columns(oid) IS
	'the columns of the table that a masked view shows, in its order; NULL if it is no masked view';

CREATE FUNCTION authz.write_masked_view() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_write_masked_view';
COMMENT ON FUNCTION authz.write_masked_view() IS
	'trigger: writes to the table what changed in a row of a masked view';

-- Columns of a table that a view is to show after those that it has; NULL is all.  Raises for unknown ones.
CREATE FUNCTION authz.resolve_columns(relation regclass, columns name[], present name[]) RETURNS name[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown name;
BEGIN
	IF columns IS NULL THEN
		RETURN present || ARRAY(SELECT a.attname FROM pg_attribute a
			WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (present)
			ORDER BY a.attnum);
	END IF;
	SELECT c INTO unknown FROM unnest(columns) c WHERE NOT EXISTS (
		SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = c AND a.attnum > 0);
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of relation "%" does not exist', unknown, (SELECT c.relname FROM pg_class c WHERE c.oid = relation)
			USING ERRCODE = 'undefined_column';
	END IF;
	RETURN present || ARRAY(SELECT c.name FROM unnest(columns) WITH ORDINALITY c(name, position)
							WHERE c.name <> ALL (present) ORDER BY c.position);
END
$$;
COMMENT ON FUNCTION authz.resolve_columns(regclass, name[], name[]) IS 'the columns that a view is to show';

-- The query of a masked view.  `names` are the columns' in the view.
CREATE FUNCTION authz.masked_view_query(relation regclass, columns name[], names name[]) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT format('SELECT %s FROM %s AS t',
		string_agg(format('authz.masked(t.%I, %L, t.tableoid) AS %I', c.name, c.name, c.name_in_view), ', ' ORDER BY c.position),
		relation)
	FROM ROWS FROM (unnest(columns), unnest(names)) WITH ORDINALITY c(name, name_in_view, position);
END;
COMMENT ON FUNCTION authz.masked_view_query(regclass, name[], name[]) IS 'text of a masked view''s query';

CREATE FUNCTION authz.copy_defaults(view oid) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_copy_defaults';
COMMENT ON FUNCTION authz.copy_defaults(oid) IS 'gives the columns of a masked view the defaults of the table''s';

-- Comments, defaults and rights as the table's are.  Runs as the superuser, so nothing here reads an expression of the owner's.
CREATE FUNCTION authz.dress_masked_view(view regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass := authz.masked_view_table(view);
	command text;
BEGIN
	PERFORM authz.copy_defaults(view);
	FOR command IN
		SELECT format('COMMENT ON VIEW %s IS %L', view, obj_description(relation, 'pg_class'))
			WHERE obj_description(relation, 'pg_class') IS DISTINCT FROM obj_description(view, 'pg_class')
		UNION ALL
		SELECT format('COMMENT ON COLUMN %s.%I IS %L', view, v.attname, col_description(relation, a.attnum))
		FROM unnest(authz.masked_view_columns(view)) WITH ORDINALITY c(name, position)
			JOIN pg_attribute a ON a.attrelid = relation AND a.attname = c.name
			JOIN pg_attribute v ON v.attrelid = view AND v.attnum = c.position
		WHERE col_description(relation, a.attnum) IS DISTINCT FROM col_description(view, v.attnum)
		UNION ALL
		SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO authz_view', relation)
		UNION ALL
		SELECT format('GRANT ALL ON %s TO %I WITH GRANT OPTION', view, pg_get_userbyid(c.relowner)) FROM pg_class c WHERE c.oid = relation
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.dress_masked_view(regclass) IS
	'gives a masked view the comments and defaults of its table, its owner the view, and authz_view the table';

-- What would let authz_view, hence masked views, see more than they should; NULL if nothing does.
CREATE FUNCTION authz.view_owner_problem() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT CASE
		WHEN r.oid IS NULL THEN 'role authz_view does not exist'
		WHEN r.rolsuper OR r.rolbypassrls THEN 'role authz_view bypasses row security'
		WHEN r.rolcanlogin THEN 'role authz_view can log in'
		WHEN EXISTS (SELECT FROM pg_auth_members m WHERE r.oid IN (m.roleid, m.member)) THEN 'role authz_view has members or is one'
	END
	FROM (SELECT) one LEFT JOIN pg_roles r ON r.rolname = 'authz_view';
END;
COMMENT ON FUNCTION authz.view_owner_problem() IS 'why masked views cannot be owned by authz_view; NULL if they can';

-- create_masked_view has seen that the caller owns the table and may create in the schema.
CREATE FUNCTION authz.make_masked_view(relation regclass, schema oid, name name, columns name[]) RETURNS regclass
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view_name text := format('%I.%I', (SELECT n.nspname FROM pg_namespace n WHERE n.oid = schema), name);
	shown name[];
BEGIN
	IF NOT authz.is_protected(relation) THEN
		RAISE EXCEPTION 'table % is not protected', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Call authz.protect(%L) first.', relation);
	END IF;
	IF authz.view_owner_problem() IS NOT NULL THEN
		RAISE EXCEPTION 'masked views have no safe owner' USING ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = authz.view_owner_problem() || '.', HINT = 'It must be a role that nobody can become and that row security binds.';
	END IF;
	shown := authz.resolve_columns(relation, columns, '{}');
	IF shown = '{}' THEN
		RAISE EXCEPTION 'a masked view needs a column' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	EXECUTE format('CREATE VIEW %s AS %s', view_name, authz.masked_view_query(relation, shown, shown));
	EXECUTE format($sql$
		ALTER VIEW %1$s OWNER TO authz_view;
		CREATE TRIGGER authz_write INSTEAD OF INSERT OR UPDATE OR DELETE ON %1$s
			FOR EACH ROW EXECUTE FUNCTION authz.write_masked_view();
		$sql$, view_name);
	PERFORM authz.dress_masked_view(view_name::regclass);
	RETURN view_name;
END
$$;
COMMENT ON FUNCTION authz.make_masked_view(regclass, oid, name, name[]) IS 'what create_masked_view does as the superuser';

CREATE FUNCTION authz.extend_masked_view(view regclass, columns name[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass := authz.masked_view_table(view);
	present name[] := authz.masked_view_columns(view);
	shown name[] := authz.resolve_columns(relation, columns, present);
	-- A column that was renamed in the table keeps its name in the view.
	names name[] := ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = view AND a.attnum > 0 ORDER BY a.attnum);
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', view,
				   authz.masked_view_query(relation, shown, names || shown[cardinality(names) + 1:]));
	PERFORM authz.dress_masked_view(view);
END
$$;
COMMENT ON FUNCTION authz.extend_masked_view(regclass, name[]) IS 'what alter_masked_view does as the superuser';

CREATE FUNCTION authz.masked_views() RETURNS TABLE (view regclass, relation regclass)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT c.oid::regclass, authz.masked_view_table(c.oid)
	FROM pg_class c WHERE c.relkind = 'v' AND c.relowner = (SELECT r.oid FROM pg_roles r WHERE r.rolname = 'authz_view');
END;
COMMENT ON FUNCTION authz.masked_views() IS 'masked views and their tables; NULL where one is not as authz made it';

CREATE FUNCTION authz.remove_masked_view(view regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass := authz.masked_view_table(view);
BEGIN
	EXECUTE format('DROP VIEW %s', view);
	IF NOT EXISTS (SELECT FROM authz.masked_views() v WHERE v.relation = remove_masked_view.relation) THEN
		EXECUTE format('REVOKE ALL ON %s FROM authz_view', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION authz.remove_masked_view(regclass) IS 'what drop_masked_view does as the superuser';

-- The comfortable way.  These set no search_path: the view's name resolves under the path of the caller.

CREATE FUNCTION authz.create_masked_view(on_table regclass, view text, columns name[] DEFAULT NULL) RETURNS regclass
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_create_masked_view';
COMMENT ON FUNCTION authz.create_masked_view(regclass, text, name[]) IS
	'make a view of a protected table that shows each column as the caller''s identity may see it; readers are granted the view, not the table';

CREATE FUNCTION authz.alter_masked_view(view regclass, columns name[] DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_alter_masked_view';
COMMENT ON FUNCTION authz.alter_masked_view(regclass, name[]) IS
	'let a masked view show these columns too, NULL for all that the table has; comments and defaults follow the table''s';

CREATE FUNCTION authz.drop_masked_view(view regclass) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_drop_masked_view';
COMMENT ON FUNCTION authz.drop_masked_view(regclass) IS 'drop a masked view';

CREATE FUNCTION authz.masked_view_status()
RETURNS TABLE (view regclass, relation regclass, missing_columns name[], problem text)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT v.view, v.relation,
		ARRAY(SELECT a.attname FROM pg_attribute a
			  WHERE a.attrelid = v.relation AND a.attnum > 0 AND NOT a.attisdropped
				AND a.attname <> ALL (authz.masked_view_columns(v.view)) ORDER BY a.attnum),
		CASE
			WHEN v.relation IS NULL THEN 'it is not as authz.create_masked_view made it'
			WHEN NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = v.relation) THEN 'its table is not protected'
			WHEN authz.view_owner_problem() IS NOT NULL THEN authz.view_owner_problem()
			WHEN NOT has_table_privilege('authz_view', v.relation, 'SELECT') THEN 'role authz_view may not read the table'
			-- tgtype 93: instead of insert, update or delete, for each row
			WHEN EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = v.view AND r.rulename <> '_RETURN') THEN 'it has a rule'
			WHEN NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = v.view AND t.tgname = 'authz_write' AND t.tgtype = 93
				AND t.tgfoid = 'authz.write_masked_view'::regproc AND t.tgenabled IN ('O', 'A'))
				THEN 'trigger "authz_write" is missing, altered or disabled'
		END
	FROM authz.masked_views() v ORDER BY 1;
END;
COMMENT ON FUNCTION authz.masked_view_status() IS
	'masked views, the columns of their tables that they do not show, and what is wrong with them (NULL: nothing)';

CREATE FUNCTION authz.is_masked(view regclass, column_name name, key jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
	found boolean[];
BEGIN
	IF view IS NULL OR column_name IS NULL OR key IS NULL OR jsonb_typeof(key) <> 'object' OR key = '{}' THEN
		RAISE EXCEPTION 'is_masked needs a view, a column and a key'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'The key is an object of columns and their values, as in {"id": 7}.';
	END IF;
	SELECT c INTO unknown FROM (SELECT column_name::text UNION ALL SELECT jsonb_object_keys(key)) x(c)
		WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = view AND a.attname = c AND a.attnum > 0);
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of relation "%" does not exist', unknown, view USING ERRCODE = 'undefined_column';
	END IF;
	EXECUTE format('SELECT array_agg(m) FROM (SELECT authz.is_masked(v, %L) FROM %s AS v, jsonb_populate_record(NULL::%s, $1) AS k WHERE %s LIMIT 2) x(m)',
		column_name, view, view, (SELECT string_agg(format('v.%1$I = k.%1$I', c), ' AND ') FROM jsonb_object_keys(key) c))
		INTO found USING key;
	IF cardinality(found) > 1 THEN
		RAISE EXCEPTION 'more than one row of % has this key', view USING ERRCODE = 'cardinality_violation';
	END IF;
	RETURN found[1];
END
$$;
COMMENT ON FUNCTION authz.is_masked(regclass, name, jsonb) IS
	'does the row of a masked view with this key show anything but the value of the column? NULL if there is no such row';

REVOKE ALL ON FUNCTION
	authz.masked_view_table(oid), authz.masked_view_columns(oid), authz.write_masked_view(),
	authz.resolve_columns(regclass, name[], name[]), authz.masked_view_query(regclass, name[], name[]),
	authz.copy_defaults(oid), authz.dress_masked_view(regclass), authz.view_owner_problem(), authz.make_masked_view(regclass, oid, name, name[]),
	authz.extend_masked_view(regclass, name[]), authz.remove_masked_view(regclass), authz.masked_views(),
	authz.create_masked_view(regclass, text, name[]), authz.alter_masked_view(regclass, name[]),
	authz.drop_masked_view(regclass), authz.masked_view_status(), authz.is_masked(regclass, name, jsonb)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	authz.masked_view_table(oid), authz.masked_view_columns(oid), authz.masked_views(),
	authz.create_masked_view(regclass, text, name[]), authz.alter_masked_view(regclass, name[]),
	authz.drop_masked_view(regclass), authz.masked_view_status()
	TO authz_admin;
GRANT EXECUTE ON FUNCTION authz.is_masked(regclass, name, jsonb) TO PUBLIC;
