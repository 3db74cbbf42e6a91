-- Views that show a table's columns through its masks.

CREATE FUNCTION authz.masked_view_table(view oid) RETURNS regclass
LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_masked_view_table';
COMMENT ON FUNCTION authz.masked_view_table(oid) IS 'the table that a masked view shows; NULL if it is no masked view';

CREATE FUNCTION authz.masked_view_columns(view oid) RETURNS name[]
LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_masked_view_columns';
COMMENT ON FUNCTION authz.masked_view_columns(oid) IS
	'the columns of the table that a masked view shows, in its order; NULL if it is no masked view';

CREATE FUNCTION authz.masked_view_names(view oid) RETURNS name[]
LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_masked_view_names';
COMMENT ON FUNCTION authz.masked_view_names(oid) IS
	'the names of these columns when the view was written; another than now where the column was renamed since';

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

-- Comments of the table's where the view has none, and its defaults.
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
			WHERE obj_description(relation, 'pg_class') IS NOT NULL AND obj_description(view, 'pg_class') IS NULL
		UNION ALL
		SELECT format('COMMENT ON COLUMN %s.%I IS %L', view, v.attname, col_description(relation, a.attnum))
		FROM unnest(authz.masked_view_columns(view)) WITH ORDINALITY c(name, position)
			JOIN pg_attribute a ON a.attrelid = relation AND a.attname = c.name
			JOIN pg_attribute v ON v.attrelid = view AND v.attnum = c.position
		WHERE col_description(relation, a.attnum) IS NOT NULL AND col_description(view, v.attnum) IS NULL
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.dress_masked_view(regclass) IS 'gives a masked view the defaults of its table, and comments where it has none';

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

CREATE FUNCTION authz.build_masked_view(view_name text, view_owner name, options text, query text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('CREATE VIEW %s %s AS %s', view_name, options, query);
	EXECUTE format($sql$
		CREATE TRIGGER authz_write INSTEAD OF INSERT OR UPDATE OR DELETE ON %s
			FOR EACH ROW EXECUTE FUNCTION authz.write_masked_view();
		$sql$, view_name);
	PERFORM authz.dress_masked_view(view_name::regclass);
	IF view_owner <> current_user THEN
		EXECUTE format('ALTER VIEW %s OWNER TO %I', view_name, view_owner);
	END IF;
END
$$;
COMMENT ON FUNCTION authz.build_masked_view(text, name, text, text) IS 'make a masked view of this query, with its trigger, comments and defaults';

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
	PERFORM authz.build_masked_view(view_name, view_owner, '', authz.masked_view_query(relation, shown, shown));
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

-- Commands that give a view the options, grants and comments that this one has.  Columns go by their names.
CREATE FUNCTION authz.view_options(view regclass) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT coalesce('WITH (' || array_to_string(c.reloptions, ', ') || ')', '') FROM pg_class c WHERE c.oid = view;
END;
COMMENT ON FUNCTION authz.view_options(regclass) IS 'the options of a view, as CREATE VIEW takes them';

CREATE FUNCTION authz.view_revokes(view regclass) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT DISTINCT format('REVOKE ALL ON %s FROM %s CASCADE', view, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
	FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a WHERE c.oid = view;
END;
COMMENT ON FUNCTION authz.view_revokes(regclass) IS 'commands that take back all rights on a view';

CREATE FUNCTION authz.view_properties(view regclass, kept name[]) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT format('GRANT %s%s ON %s TO %s%s', a.privilege_type, '(' || quote_ident(a.attname) || ')', view,
		CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
	FROM (
		SELECT NULL::name AS attname, x.* FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x WHERE c.oid = view
		UNION ALL
		SELECT t.attname, x.* FROM pg_attribute t, aclexplode(t.attacl) x WHERE t.attrelid = view AND t.attname = ANY (kept)) a
	UNION ALL
	SELECT format('COMMENT ON VIEW %s IS %L', view, obj_description(view, 'pg_class')) WHERE obj_description(view, 'pg_class') IS NOT NULL
	UNION ALL
	SELECT format('COMMENT ON COLUMN %s.%I IS %L', view, t.attname, col_description(view, t.attnum))
		FROM pg_attribute t WHERE t.attrelid = view AND t.attname = ANY (kept) AND col_description(view, t.attnum) IS NOT NULL;
END;
COMMENT ON FUNCTION authz.view_properties(regclass, name[]) IS 'commands that give a view the grants and comments that it has, of these columns';

-- For what CREATE OR REPLACE VIEW cannot do: a column less, or at another place.
CREATE FUNCTION authz.replace_masked_view(view regclass, query text, kept name[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view_name text := view::text;
	view_owner name := (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = view);
	options text := authz.view_options(view);
	properties text[] := ARRAY(SELECT authz.view_properties(view, kept));
	command text;
	message text;
	detail text;
BEGIN
	IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = view AND t.tgfoid <> 'authz.write_masked_view'::regproc)
		OR EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = view AND r.rulename <> '_RETURN') THEN
		PERFORM authz.refuse_ddl(format('masked view %s has triggers or rules of its own', view), 'It has to be made anew to lose or move a column.',
			'Drop them first and make them again afterwards; a new column at the end needs none of this.');
	END IF;
	BEGIN
		EXECUTE format('DROP VIEW %s', view_name);
	EXCEPTION WHEN dependent_objects_still_exist THEN
		GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
		PERFORM authz.refuse_ddl(format('masked view %s has to be made anew to lose or move a column, and other objects depend on it', view_name),
			concat_ws(E'\n', message, detail), 'Drop them first and make them again afterwards; a new column at the end needs none of this.');
	END;
	PERFORM authz.build_masked_view(view_name, view_owner, options, query);
	-- Whoever makes it may have default privileges.
	FOR command IN SELECT r FROM authz.view_revokes(view_name::regclass) r UNION ALL SELECT p FROM unnest(properties) p LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.replace_masked_view(regclass, text, name[]) IS 'make a masked view anew, with its options, owner, grants and comments';

-- `shown` and `names`: its columns in the table and in the view.
CREATE FUNCTION authz.rewrite_masked_view(view regclass, shown name[], names name[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	present name[] := ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = view AND a.attnum > 0 ORDER BY a.attnum);
	query text := authz.masked_view_query(authz.masked_view_table(view), shown, names);
BEGIN
	IF names[1:cardinality(present)] = present AND shown[1:cardinality(present)] = authz.masked_view_columns(view) THEN
		EXECUTE format('CREATE OR REPLACE VIEW %s %s AS %s', view, authz.view_options(view), query);
		PERFORM authz.dress_masked_view(view);
	ELSE
		PERFORM authz.replace_masked_view(view, query, names);
	END IF;
END
$$;
COMMENT ON FUNCTION authz.rewrite_masked_view(regclass, name[], name[]) IS 'give a masked view these columns, under these names';

-- A column that is renamed in the table is renamed in the view, unless somebody gave it another name there.
CREATE FUNCTION authz.follow_in_views(touched oid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	renamed record;
BEGIN
	FOR renamed IN
		SELECT v.view, array_agg(a.attname ORDER BY c.position) AS in_view, array_agg(c.written ORDER BY c.position) AS written,
			array_agg(c.name ORDER BY c.position) AS names
		FROM (SELECT m.view FROM authz.masked_views() m WHERE m.relation = ANY (touched)) v,
			ROWS FROM (unnest(authz.masked_view_columns(v.view)), unnest(authz.masked_view_names(v.view))) WITH ORDINALITY c(name, written, position)
			JOIN LATERAL (SELECT a.* FROM pg_attribute a WHERE a.attrelid = v.view AND a.attnum = c.position) a ON true
		GROUP BY v.view HAVING bool_or(c.name <> c.written) ORDER BY v.view::oid
	LOOP
		FOR i IN 1 .. cardinality(renamed.names) LOOP
			CONTINUE WHEN renamed.names[i] = renamed.in_view[i] OR renamed.in_view[i] <> renamed.written[i] OR renamed.names[i] = ANY (renamed.in_view);
			EXECUTE format('ALTER VIEW %s RENAME COLUMN %I TO %I', renamed.view, renamed.in_view[i], renamed.names[i]);
			renamed.in_view[i] := renamed.names[i];
		END LOOP;
		PERFORM authz.rewrite_masked_view(renamed.view, renamed.names, renamed.in_view);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.follow_in_views(oid[]) IS 'renames columns of masked views that were renamed in these tables';

CREATE FUNCTION authz.shown_by(relation oid, column_name name) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT min(v.view::text) FROM authz.masked_views() v WHERE v.relation = shown_by.relation AND column_name = ANY (authz.masked_view_columns(v.view));
END;
COMMENT ON FUNCTION authz.shown_by(oid, name) IS 'a masked view that shows the column; NULL if none does';

CREATE FUNCTION authz.alter_masked_view(view regclass, columns name[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass := authz.masked_view_table(view);
	present name[] := authz.masked_view_columns(view);
	-- What somebody gave another name in the view keeps it.
	present_names name[] := ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = view AND a.attnum > 0 ORDER BY a.attnum);
	shown name[];
	names name[];
	twice name;
BEGIN
	PERFORM authz.require_masked_view(view);
	IF columns = '{}' THEN
		RAISE EXCEPTION 'a masked view needs a column' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	shown := CASE WHEN columns IS NULL THEN authz.resolve_columns(relation, NULL, present) ELSE authz.resolve_columns(relation, columns, '{}') END;
	shown := ARRAY(SELECT s.name FROM unnest(shown) WITH ORDINALITY s(name, position) GROUP BY s.name ORDER BY min(s.position));
	names := ARRAY(SELECT coalesce(present_names[array_position(present, s.name)], s.name) FROM unnest(shown) WITH ORDINALITY s(name, position) ORDER BY s.position);
	SELECT n INTO twice FROM unnest(names) n GROUP BY n HAVING count(*) > 1 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'masked view % already calls another column "%"', view, twice
			USING ERRCODE = 'duplicate_object', HINT = format('Rename that one with ALTER VIEW %s RENAME COLUMN, or give the columns that the view is to show.', view);
	END IF;
	PERFORM authz.rewrite_masked_view(view, shown, names);
END
$$;
COMMENT ON FUNCTION authz.alter_masked_view(regclass, name[]) IS
	'let a masked view show these columns in this order, NULL for those that it shows and all others that the table has; grants and comments stay';

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
			WHEN authz.masked_view_names(v.view) <> authz.masked_view_columns(v.view) THEN 'a column of its table was renamed; call authz.alter_masked_view'
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
	authz.masked_view_table(oid), authz.masked_view_columns(oid), authz.masked_view_names(oid), authz.write_masked_view(), authz.copy_defaults(oid),
	authz.build_masked_view(text, name, text, text), authz.view_options(regclass), authz.view_revokes(regclass), authz.view_properties(regclass, name[]),
	authz.replace_masked_view(regclass, text, name[]), authz.rewrite_masked_view(regclass, name[], name[]),
	authz.resolve_columns(regclass, name[], name[]), authz.masked_view_query(regclass, name[], name[]),
	authz.dress_masked_view(regclass), authz.bypasses_row_security(oid), authz.masked_view_owner(regclass),
	authz.make_masked_view(regclass, name, name, name[]), authz.masked_views(), authz.require_masked_view(regclass),
	authz.create_masked_view(regclass, text, name[]), authz.alter_masked_view(regclass, name[]),
	authz.drop_masked_view(regclass), authz.masked_view_status(), authz.is_masked(regclass, name, jsonb),
	authz.follow_in_views(oid[]), authz.shown_by(oid, name)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	authz.masked_view_table(oid), authz.masked_view_columns(oid), authz.masked_view_names(oid), authz.write_masked_view(), authz.copy_defaults(oid),
	authz.build_masked_view(text, name, text, text), authz.view_options(regclass), authz.view_revokes(regclass), authz.view_properties(regclass, name[]),
	authz.replace_masked_view(regclass, text, name[]), authz.rewrite_masked_view(regclass, name[], name[]),
	authz.resolve_columns(regclass, name[], name[]), authz.masked_view_query(regclass, name[], name[]),
	authz.dress_masked_view(regclass), authz.bypasses_row_security(oid), authz.masked_view_owner(regclass),
	authz.make_masked_view(regclass, name, name, name[]), authz.masked_views(), authz.require_masked_view(regclass),
	authz.create_masked_view(regclass, text, name[]), authz.alter_masked_view(regclass, name[]),
	authz.drop_masked_view(regclass), authz.masked_view_status()
	TO authz_admin;
GRANT EXECUTE ON FUNCTION authz.is_masked(regclass, name, jsonb) TO PUBLIC;
