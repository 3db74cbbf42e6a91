-- Policies and masks that have no effect, or can be gone round: said when they are made and at the GRANT.

CREATE FUNCTION authz.granted_tables(command pg_ddl_command) RETURNS oid[]
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_granted_tables';
COMMENT ON FUNCTION authz.granted_tables(pg_ddl_command) IS 'tables that a GRANT lets somebody read; NULL for other commands';

CREATE FUNCTION authz.granted_roles(command pg_ddl_command) RETURNS oid[]
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_granted_roles';
COMMENT ON FUNCTION authz.granted_roles(pg_ddl_command) IS 'whom a GRANT lets read tables, 0 is PUBLIC; NULL for other commands';

CREATE FUNCTION authz.role_name(role oid) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END;
END;
COMMENT ON FUNCTION authz.role_name(oid) IS 'name of a database role as a GRANT has it, 0 is PUBLIC';

CREATE FUNCTION authz.masked_columns(relation oid) RETURNS SETOF pg_attribute
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	-- Of a part, those of the table that it is a part of.  What is generated from a masked column is masked as well.
	WITH named AS (
		SELECT a.attnum FROM pg_attribute a
		WHERE a.attrelid = relation AND a.attnum > 0 AND a.attname IN (SELECT m.column_name FROM authz.mask m
			WHERE m.relation = coalesce((SELECT t.logical::oid FROM authz.protected_table t WHERE t.relation = masked_columns.relation), masked_columns.relation)))
	SELECT a.* FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum IN (
		SELECT n.attnum FROM named n
		UNION
		SELECT f.adnum FROM pg_attrdef f JOIN pg_attribute g ON g.attrelid = f.adrelid AND g.attnum = f.adnum AND g.attgenerated <> ''
			JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
				AND d.refclassid = 'pg_class'::regclass AND d.refobjid = relation
			JOIN named n ON n.attnum = d.refobjsubid
		WHERE f.adrelid = relation);
END;
COMMENT ON FUNCTION authz.masked_columns(oid) IS 'columns of a table that have masks, by themselves, through the table that it is a part of, or because they are generated';

CREATE FUNCTION authz.direct_readers(relation oid) RETURNS TABLE (role oid, columns name[])
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT r.grantee, array_agg(DISTINCT a.attname ORDER BY a.attname)
	FROM authz.masked_columns(relation) a JOIN pg_class c ON c.oid = a.attrelid,
		LATERAL (SELECT x.grantee FROM aclexplode(c.relacl) x WHERE x.privilege_type = 'SELECT'
				 UNION SELECT x.grantee FROM aclexplode(a.attacl) x WHERE x.privilege_type = 'SELECT') r
	WHERE r.grantee <> c.relowner AND pg_get_userbyid(r.grantee) <> 'authz_view'
		AND NOT EXISTS (SELECT FROM pg_roles s WHERE s.oid = r.grantee AND s.rolsuper)
	GROUP BY 1;
END;
COMMENT ON FUNCTION authz.direct_readers(oid) IS 'who was granted to read masked columns of a table, past its masked views; 0 is PUBLIC';

CREATE FUNCTION authz.warn_reader(relation regclass, role oid, columns name[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	column_names text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(columns) c);
BEGIN
	RAISE WARNING '% can read masked columns of table % in clear: %', authz.role_name(role), relation, column_names
		USING DETAIL = 'Masks are shown by masked views only, not by the table itself.',
			HINT = format('Grant a masked view instead, and REVOKE SELECT ON %s FROM %s.', relation, authz.role_name(role));
END
$$;
COMMENT ON FUNCTION authz.warn_reader(regclass, oid, name[]) IS 'warns that somebody can read masked columns';

CREATE FUNCTION authz.after_grant() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.warn_reader(t::regclass, r.role, r.columns)
		FROM pg_event_trigger_ddl_commands() d, unnest(authz.granted_tables(d.command)) t, authz.direct_readers(t) r
		WHERE r.role = ANY (authz.granted_roles(d.command))
			AND EXISTS (SELECT FROM authz.mask)
		ORDER BY t::regclass::text, r.role;
END
$$;
COMMENT ON FUNCTION authz.after_grant() IS 'event trigger: warns of a GRANT on a table that goes round its masks';

CREATE FUNCTION authz.warn_unprotected() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = NEW.relation) THEN
		RAISE WARNING 'table % is not protected: the % has no effect', NEW.relation, TG_TABLE_NAME
			USING HINT = format('SELECT authz.protect(%L).', NEW.relation);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION authz.warn_unprotected() IS 'trigger: warns of a policy or mask for a table that is not protected';

CREATE FUNCTION authz.warn_readers() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Said once for a column.
	PERFORM authz.warn_reader(t, r.role, ARRAY[NEW.column_name])
		FROM (SELECT NEW.relation UNION SELECT p.relation FROM authz.protected_table p WHERE p.logical = NEW.relation) x(t)
			-- Without an ACL nobody was granted anything: the usual case costs nothing.
			JOIN pg_class c ON c.oid = t AND (c.relacl IS NOT NULL OR EXISTS (
				SELECT FROM pg_attribute a WHERE a.attrelid = t AND a.attname = NEW.column_name AND a.attacl IS NOT NULL)),
			authz.direct_readers(t) r
		WHERE NEW.column_name = ANY (r.columns) AND NOT EXISTS (SELECT FROM authz.mask m
			WHERE m.relation = NEW.relation AND m.column_name = NEW.column_name AND m.priority <> NEW.priority)
		ORDER BY t::regclass::text, r.role;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION authz.warn_readers() IS 'trigger: warns of those who can read a newly masked column in clear';

-- Rows of a restored dump are older than the transaction: their tables are protected later.
CREATE TRIGGER warn_unprotected AFTER INSERT ON authz.policy
	FOR EACH ROW WHEN (new.changed_at = pg_catalog.now()) EXECUTE FUNCTION authz.warn_unprotected();
CREATE TRIGGER warn_unprotected AFTER INSERT ON authz.mask
	FOR EACH ROW WHEN (new.changed_at = pg_catalog.now()) EXECUTE FUNCTION authz.warn_unprotected();
CREATE TRIGGER warn_readers AFTER INSERT ON authz.mask
	FOR EACH ROW WHEN (new.changed_at = pg_catalog.now()) EXECUTE FUNCTION authz.warn_readers();

REVOKE ALL ON FUNCTION authz.granted_tables(pg_ddl_command), authz.granted_roles(pg_ddl_command), authz.role_name(oid), authz.masked_columns(oid),
	authz.direct_readers(oid), authz.warn_reader(regclass, oid, name[]), authz.after_grant(), authz.warn_unprotected(), authz.warn_readers() FROM PUBLIC;

-- CREATE SCHEMA may hold a GRANT, for which nothing fires by itself.
CREATE EVENT TRIGGER authz_after_grant ON ddl_command_end WHEN TAG IN ('GRANT', 'CREATE SCHEMA') EXECUTE FUNCTION authz.after_grant();
ALTER EVENT TRIGGER authz_after_grant ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER authz_after_grant IS 'authz: warns of a GRANT on a table that goes round its masks';
