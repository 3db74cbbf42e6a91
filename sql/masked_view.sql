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

-- Comments and defaults as the table's are.
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
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.dress_masked_view(regclass) IS 'gives a masked view the comments and defaults of its table';

-- A view shows what row security lets its owner see: all, if that does not bind him.
CREATE FUNCTION authz.bypasses_row_security(role oid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT coalesce((SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles r WHERE r.oid = role), true);
END;
COMMENT ON FUNCTION authz.bypasses_row_security(oid) IS 'does row security not bind this role?';

-- Who owns the masked views of a table: its owner, whose rights the sub-selects of its row security have then, or if row
-- security does not bind him, a role of the extension's.  That one never owns views of other people's tables: with its
-- rights they could read each other's.
CREATE FUNCTION authz.masked_view_owner(relation regclass) RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	table_owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = relation);
	role record;
BEGIN
	IF NOT pg_has_role(table_owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of table %', relation USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF NOT authz.bypasses_row_security(table_owner) THEN
		RETURN pg_get_userbyid(table_owner);
	END IF;
	IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.oid = table_owner) THEN
		RAISE EXCEPTION 'owner of table % bypasses row security', relation USING ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'Let another role own it, or take BYPASSRLS from this one.';
	END IF;
	SELECT * INTO role FROM pg_roles r WHERE r.rolname = 'authz_view';
	IF NOT FOUND OR role.rolsuper OR role.rolbypassrls OR role.rolcanlogin
		OR EXISTS (SELECT FROM pg_auth_members m WHERE role.oid IN (m.roleid, m.member)) THEN
		RAISE EXCEPTION 'role authz_view is not fit to own a masked view' USING ERRCODE = 'object_not_in_prerequisite_state',
			DETAIL = 'It must exist, be bound by row security, not log in, have no members and be none.';
	END IF;
	RETURN role.rolname;
END
$$;
COMMENT ON FUNCTION authz.masked_view_owner(regclass) IS 'who is to own masked views of the caller''s table';

CREATE FUNCTION authz.make_masked_view(relation regclass, schema name, name name, columns name[]) RETURNS regclass
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view_name text;
	view_owner name;
	shown name[];
BEGIN
	IF relation IS NULL OR name IS NULL THEN
		RAISE EXCEPTION 'table and view must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF schema IS NULL THEN
		RAISE EXCEPTION 'no schema has been selected to create in' USING ERRCODE = 'undefined_schema';
	END IF;
	view_name := format('%I.%I', schema, name);
	view_owner := authz.masked_view_owner(relation);
	IF NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = make_masked_view.relation) THEN
		RAISE EXCEPTION 'table % is not protected', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Call authz.protect(%L) first.', relation);
	END IF;
	shown := authz.resolve_columns(relation, columns, '{}');
	IF shown = '{}' THEN
		RAISE EXCEPTION 'a masked view needs a column' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	EXECUTE format('CREATE VIEW %s AS %s', view_name, authz.masked_view_query(relation, shown, shown));
	EXECUTE format($sql$
		CREATE TRIGGER authz_write INSTEAD OF INSERT OR UPDATE OR DELETE ON %s
			FOR EACH ROW EXECUTE FUNCTION authz.write_masked_view();
		$sql$, view_name);
	PERFORM authz.dress_masked_view(view_name::regclass);
	IF view_owner <> current_user THEN
		EXECUTE format('ALTER VIEW %s OWNER TO %I', view_name, view_owner);
	END IF;
	IF view_owner = 'authz_view' THEN
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO authz_view', relation);
	END IF;
	RETURN view_name;
END
$$;
COMMENT ON FUNCTION authz.make_masked_view(regclass, name, name, name[]) IS 'create_masked_view with the view''s name in parts';

-- Masked views are known by their trigger.  tgtype 93: instead of insert, update or delete, for each row.
CREATE FUNCTION authz.masked_views() RETURNS TABLE (view regclass, relation regclass)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT t.tgrelid::regclass, authz.masked_view_table(t.tgrelid)
	FROM pg_trigger t WHERE t.tgfoid = 'authz.write_masked_view'::regproc AND t.tgtype = 93;
END;
COMMENT ON FUNCTION authz.masked_views() IS 'masked views and their tables; NULL where one is not as authz made it';

CREATE FUNCTION authz.require_masked_view(view regclass) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF view IS NULL THEN
		RAISE EXCEPTION 'view must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF NOT EXISTS (SELECT FROM authz.masked_views() v WHERE v.view = require_masked_view.view AND v.relation IS NOT NULL) THEN
		RAISE EXCEPTION '% is not a masked view', view
			USING ERRCODE = 'wrong_object_type', HINT = 'authz.masked_view_status() lists them.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_masked_view(regclass) IS 'raises if it is no masked view';

-- The comfortable way.  The first sets no search_path: the view's name resolves under the path of the caller.

CREATE FUNCTION authz.create_masked_view(on_table regclass, view text, columns name[] DEFAULT NULL) RETURNS regclass
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.make_masked_view(on_table,
		CASE cardinality(n) WHEN 1 THEN current_schema() ELSE array_to_string(trim_array(n, 1), '.')::name END, n[cardinality(n)]::name, columns)
	FROM parse_ident(view) n;
END;
COMMENT ON FUNCTION authz.create_masked_view(regclass, text, name[]) IS
	'make a view of a protected table that shows each column as the caller''s identity may see it; readers are granted the view, not the table';

CREATE FUNCTION authz.alter_masked_view(view regclass, columns name[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass := authz.masked_view_table(view);
	present name[] := authz.masked_view_columns(view);
	-- A column that was renamed in the table keeps its name in the view.
	names name[] := ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = view AND a.attnum > 0 ORDER BY a.attnum);
	shown name[];
BEGIN
	PERFORM authz.require_masked_view(view);
	shown := authz.resolve_columns(relation, columns, present);
	EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', view,
				   authz.masked_view_query(relation, shown, names || shown[cardinality(names) + 1:]));
	PERFORM authz.dress_masked_view(view);
END
$$;
COMMENT ON FUNCTION authz.alter_masked_view(regclass, name[]) IS
	'let a masked view show these columns too, NULL for all that the table has; comments and defaults follow the table''s';

CREATE FUNCTION authz.drop_masked_view(view regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	shown regclass := authz.masked_view_table(view);
BEGIN
	PERFORM authz.require_masked_view(view);
	EXECUTE format('DROP VIEW %s', view);
	IF EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = shown AND pg_get_userbyid(a.grantee) = 'authz_view')
		AND NOT EXISTS (SELECT FROM authz.masked_views() v WHERE v.relation = shown) THEN
		EXECUTE format('REVOKE ALL ON %s FROM authz_view', shown);
	END IF;
END
$$;
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
			WHEN authz.bypasses_row_security(c.relowner) THEN 'its owner bypasses row security'
			WHEN c.relowner <> b.relowner AND (pg_get_userbyid(c.relowner) <> 'authz_view' OR NOT authz.bypasses_row_security(b.relowner))
				THEN 'it belongs to another role than its table'
			WHEN pg_get_userbyid(c.relowner) = 'authz_view' AND EXISTS (SELECT FROM pg_roles r WHERE r.oid = c.relowner AND r.rolcanlogin
					OR EXISTS (SELECT FROM pg_auth_members m WHERE c.relowner IN (m.roleid, m.member)))
				THEN 'role authz_view can log in, has members or is one'
			WHEN NOT has_table_privilege(c.relowner, v.relation, 'SELECT') THEN 'its owner may not read the table'
			WHEN EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = v.view AND r.rulename <> '_RETURN') THEN 'it has a rule'
			WHEN NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = v.view AND t.tgfoid = 'authz.write_masked_view'::regproc
				AND t.tgenabled IN ('O', 'A')) THEN 'its trigger is disabled'
		END
	FROM authz.masked_views() v JOIN pg_class c ON c.oid = v.view LEFT JOIN pg_class b ON b.oid = v.relation
	ORDER BY v.view::text;
END;
COMMENT ON FUNCTION authz.masked_view_status() IS
	'masked views, the columns of their tables that they do not show, and what is wrong with them (NULL: nothing)';

CREATE FUNCTION authz.is_masked(view regclass, column_name name, key jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
	results boolean[];
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
	EXECUTE format('SELECT array_agg(m) FROM (SELECT authz.is_masked(v.*, %L) FROM %s AS v, jsonb_to_record($1) AS k(%s) WHERE %s LIMIT 2) x(m)',
		column_name, view,
		(SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ') FROM pg_attribute a
			WHERE a.attrelid = view AND a.attnum > 0 AND a.attname IN (SELECT jsonb_object_keys(key))),
		(SELECT string_agg(format('v.%1$I = k.%1$I', c), ' AND ') FROM jsonb_object_keys(key) c))
		INTO results USING key;
	IF cardinality(results) > 1 THEN
		RAISE EXCEPTION 'more than one row of % has this key', view USING ERRCODE = 'cardinality_violation';
	END IF;
	RETURN results[1];
END
$$;
COMMENT ON FUNCTION authz.is_masked(regclass, name, jsonb) IS
	'does the row of a masked view with this key show anything but the value of the column? NULL if there is no such row';

REVOKE ALL ON FUNCTION
	authz.masked_view_table(oid), authz.masked_view_columns(oid), authz.write_masked_view(), authz.copy_defaults(oid),
	authz.resolve_columns(regclass, name[], name[]), authz.masked_view_query(regclass, name[], name[]),
	authz.dress_masked_view(regclass), authz.bypasses_row_security(oid), authz.masked_view_owner(regclass),
	authz.make_masked_view(regclass, name, name, name[]), authz.masked_views(), authz.require_masked_view(regclass),
	authz.create_masked_view(regclass, text, name[]), authz.alter_masked_view(regclass, name[]),
	authz.drop_masked_view(regclass), authz.masked_view_status(), authz.is_masked(regclass, name, jsonb)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	authz.masked_view_table(oid), authz.masked_view_columns(oid), authz.write_masked_view(), authz.copy_defaults(oid),
	authz.resolve_columns(regclass, name[], name[]), authz.masked_view_query(regclass, name[], name[]),
	authz.dress_masked_view(regclass), authz.bypasses_row_security(oid), authz.masked_view_owner(regclass),
	authz.make_masked_view(regclass, name, name, name[]), authz.masked_views(), authz.require_masked_view(regclass),
	authz.create_masked_view(regclass, text, name[]), authz.alter_masked_view(regclass, name[]),
	authz.drop_masked_view(regclass), authz.masked_view_status()
	TO authz_admin;
GRANT EXECUTE ON FUNCTION authz.is_masked(regclass, name, jsonb) TO PUBLIC;
