-- Functions in conditions and masks that read protected tables: a policy that leads back to itself (recursion.c).

-- Only what can be seen: a parsed body has its tables in pg_depend; in the text of another a table's name follows FROM or JOIN.
CREATE FUNCTION authz.reads_protected(function oid) RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT t.relation FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang JOIN pg_roles o ON o.oid = f.proowner,
			authz.protected_table t JOIN pg_class c ON c.oid = t.relation JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE f.oid = function AND l.lanname NOT IN ('c', 'internal')
			AND NOT (f.prosecdef AND (o.rolsuper OR o.rolbypassrls))
			AND (EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid
					AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.relation)
				OR f.prosqlbody IS NULL AND regexp_replace(f.prosrc, '--[^\n]*|/\*.*?\*/|''[^'']*''', ' ', 'g') ~*
					format('\m(from|join)\s+(only\s+)?("?%s"?\s*\.\s*)?"?%s(?![\w$])',
						regexp_replace(n.nspname, '(\W)', '\\\1', 'g'), regexp_replace(c.relname, '(\W)', '\\\1', 'g')))
		ORDER BY t.relation::text COLLATE "C" LIMIT 1;
END;
COMMENT ON FUNCTION authz.reads_protected(oid) IS
	'a protected table that the function''s body can be seen to read, filtered by the table''s policies; NULL if none is seen';

CREATE FUNCTION authz.warn_of_recursion() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found record;
BEGIN
	FOR found IN SELECT o::regprocedure AS function, authz.reads_protected(o) AS relation
			FROM unnest(NEW.depends_on) o WHERE authz.reads_protected(o) IS NOT NULL ORDER BY 1::text LOOP
		RAISE WARNING 'function % reads table %, which is protected', found.function, found.relation
			USING DETAIL = 'What it reads is filtered by that table''s policies. If one of them calls the function, that leads to an error.',
				HINT = 'Read the table in the condition itself, as in EXISTS (SELECT ...): there it is not filtered.';
	END LOOP;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION authz.warn_of_recursion() IS 'trigger: warns of functions that read protected tables';

CREATE TRIGGER warn_of_recursion AFTER INSERT OR UPDATE OF condition, check_condition ON authz.policy
	FOR EACH ROW EXECUTE FUNCTION authz.warn_of_recursion();
CREATE TRIGGER warn_of_recursion AFTER INSERT OR UPDATE OF condition, mask ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.warn_of_recursion();

REVOKE ALL ON FUNCTION authz.reads_protected(oid), authz.warn_of_recursion() FROM PUBLIC;
