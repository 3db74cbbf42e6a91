-- Does all that is protected, masked and audited hold, can it be gone round, and how is that mended?

CREATE FUNCTION authz.is_granted(relation oid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT EXISTS (
		SELECT FROM pg_class c, LATERAL (
			SELECT x.grantee FROM aclexplode(c.relacl) x WHERE x.privilege_type = 'SELECT'
			UNION ALL SELECT x.grantee FROM pg_attribute a, aclexplode(a.attacl) x WHERE a.attrelid = c.oid AND x.privilege_type = 'SELECT') g
		WHERE c.oid = relation AND g.grantee <> c.relowner AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = g.grantee AND r.rolsuper));
END;
COMMENT ON FUNCTION authz.is_granted(oid) IS 'was anybody but the owner and superusers granted to read the relation?';

-- Tables whose columns have masks, and their parts.
CREATE FUNCTION authz.masked_tables() RETURNS SETOF regclass
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT m.relation FROM authz.mask m WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = m.relation)
	UNION
	SELECT t.relation FROM authz.protected_table t JOIN authz.mask m ON m.relation = t.logical
	WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation);
END;
COMMENT ON FUNCTION authz.masked_tables() IS 'tables whose columns have masks, and their parts';

-- What views and materialized views read, themselves and through others.
CREATE FUNCTION authz.views_of_tables() RETURNS TABLE (view regclass, kind "char", owner oid, is_invoker boolean, is_direct boolean, relation regclass, columns smallint[])
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH RECURSIVE direct AS (
		SELECT r.ev_class AS view, d.refobjid AS relation, array_agg(d.refobjsubid::smallint) AS columns
		FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
			JOIN pg_class c ON c.oid = r.ev_class
		WHERE d.refobjid <> r.ev_class AND d.refobjid >= 16384 AND c.relkind IN ('v', 'm') GROUP BY 1, 2),
	reads(view, relation) AS (
		SELECT d.view, d.relation FROM direct d
		UNION
		SELECT r.view, d.relation FROM reads r JOIN direct d ON d.view = r.relation)
	SELECT c.oid::regclass, c.relkind, c.relowner,
		coalesce(c.reloptions && '{security_invoker=true,security_invoker=on,security_invoker=1,security_invoker=yes}', false),
		d.view IS NOT NULL, r.relation::regclass, d.columns
	FROM reads r JOIN pg_class c ON c.oid = r.view LEFT JOIN direct d ON d.view = r.view AND d.relation = r.relation;
END;
COMMENT ON FUNCTION authz.views_of_tables() IS 'which views read which relations, and which columns if they do so directly';

-- Stored conditions and masks that deny when they are read: a new version of authz may know a function better, or a row came past the triggers.
CREATE FUNCTION authz.stored_text_problem(relation regclass, column_name name, stored text) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	reason text;
BEGIN
	RETURN 'it reads settings of the session, so it denies: ' || CASE
		WHEN column_name IS NULL THEN authz.condition_reads_settings(relation, stored)
		ELSE authz.mask_reads_settings(relation, column_name, stored) END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
	RETURN 'it cannot be read, so it denies: ' || reason;
END
$$;
COMMENT ON FUNCTION authz.stored_text_problem(regclass, name, text) IS
	'why a stored condition or, with a column, mask denies: it reads settings of the session, or it cannot be read; NULL: it does not';

-- Each finding, one branch of the union for each kind.  ok: it is as somebody asked for, and worth knowing.
-- A further kind of finding is a further branch.
CREATE FUNCTION authz.protection_findings() RETURNS TABLE (relation regclass, ok boolean, problem text, fix text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH protected AS MATERIALIZED (
		SELECT t.*, c.relrowsecurity, c.relforcerowsecurity FROM authz.protected_table t JOIN pg_class c ON c.oid = t.relation),
	masked AS MATERIALIZED (
		SELECT c.oid::regclass AS relation, c.relowner FROM authz.masked_tables() m JOIN pg_class c ON c.oid = m),
	-- Who is not bound, or can become somebody who is not.
	unbound AS MATERIALIZED (
		SELECT b.oid, b.rolname, (SELECT string_agg(quote_ident(m.rolname), ', ' ORDER BY m.rolname) FROM pg_roles m
			WHERE NOT m.rolsuper AND pg_has_role(m.oid, b.oid, 'MEMBER')) AS names
		FROM pg_roles b WHERE b.rolbypassrls AND NOT b.rolsuper),
	all_views AS MATERIALIZED (SELECT v.* FROM authz.views_of_tables() v),
	-- Read by somebody else, themselves or through another view.
	views AS MATERIALIZED (
		SELECT v.* FROM all_views v
		WHERE (v.relation IN (SELECT p.relation FROM protected p) OR v.relation IN (SELECT m.relation FROM masked m))
			AND v.view NOT IN (SELECT m.view FROM authz.masked_views() m WHERE m.relation IS NOT NULL)
			AND (authz.is_granted(v.view) OR EXISTS (SELECT FROM all_views w WHERE w.relation = v.view AND authz.is_granted(w.view))))

	-- Protected tables are as authz.protect made them.
	SELECT p.relation, false AS ok, x.problem,
		CASE WHEN x.problem ^@ 'permissive' THEN 'Drop that policy, or make it AS RESTRICTIVE.'
			ELSE format('SELECT authz.repair_protection(%L);', p.relation) END AS fix
	FROM protected p, LATERAL (SELECT CASE
		WHEN NOT p.relrowsecurity THEN 'row security is disabled: it is open'
		WHEN NOT p.relforcerowsecurity THEN 'row security is not forced: its owner is not filtered'
		ELSE coalesce(authz.native_policy_problem(p.relation), CASE WHEN NOT p.complete THEN 'its protection has not been seen complete' END) END) x(problem)
	WHERE x.problem IS NOT NULL
	UNION ALL
	SELECT t.relation, false, 'authz.protected_table lists it, and it does not exist', format('DELETE FROM authz.protected_table WHERE relation = %s::oid;', t.relation::oid)
	FROM authz.protected_table t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)
	UNION ALL
	SELECT p.polrelid::regclass, false, 'it has row security policies of authz, and is not listed as protected: permissions are not decided', format('SELECT authz.protect(%L);', p.polrelid::regclass)
	FROM pg_policy p WHERE p.polname IN ('authz_select', 'authz_insert', 'authz_update', 'authz_delete')
		AND NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = p.polrelid)
		AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refobjid = 'authz.permits(text, oid)'::regprocedure)
	GROUP BY p.polrelid

	-- Parents and parts.
	UNION ALL
	SELECT c.oid::regclass, a.relation IS NOT NULL AND c.relkind = 'f',
		format(CASE WHEN a.relation IS NOT NULL AND c.relkind = 'f' THEN 'a foreign table, allowed as a part of %s: ' || replace(a.reason, '%', '%%')
			ELSE 'it is a part of %s, and not protected itself' END, p.relation),
		CASE WHEN c.relkind <> 'f' THEN format('SELECT authz.repair_protection(%L);', p.relation)
			WHEN a.relation IS NULL THEN 'Detach it, or call authz.allow_foreign_table with a reason.' END
	FROM protected p JOIN pg_inherits i ON i.inhparent = p.relation JOIN pg_class c ON c.oid = i.inhrelid
		LEFT JOIN authz.allowed_foreign_table a ON a.relation = c.oid
	WHERE NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = c.oid)
	UNION ALL
	SELECT p.relation, false, format('it is read unfiltered through its parent %s, which is not protected', i.inhparent::regclass), format('SELECT authz.protect(%L);', i.inhparent::regclass)
	FROM protected p JOIN pg_inherits i ON i.inhrelid = p.relation
	WHERE NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = i.inhparent)

	-- Policies and masks without effect.
	UNION ALL
	SELECT x.relation, false, format('it is not protected: its %s have no effect', string_agg(x.what, ' and ' ORDER BY x.what DESC)), format('SELECT authz.protect(%L);', x.relation)
	FROM (SELECT p.relation, 'policies' FROM authz.policy p UNION SELECT m.relation, 'masks' FROM authz.mask m) x(relation, what)
	WHERE NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = x.relation) AND EXISTS (SELECT FROM pg_class c WHERE c.oid = x.relation)
	GROUP BY x.relation

	-- Policies and masks that deny, or that somebody lets read settings.
	UNION ALL
	SELECT t.relation, t.reads_settings IS NOT NULL, t.what || ': ' || coalesce('it reads settings of the session because: ' || t.reads_settings, x.problem),
		CASE WHEN t.reads_settings IS NULL THEN 'Write another condition or mask, or drop it: what stores it says which form is possible.' END
	FROM (
		SELECT p.relation, format('policy "%s"', p.name), NULL::name, c, p.reads_settings FROM authz.policy p, unnest(ARRAY[p.condition, p.check_condition]) c
		UNION ALL
		SELECT m.relation, format('mask "%s"', m.name), NULL, m.condition, m.reads_settings FROM authz.mask m
		UNION ALL
		SELECT m.relation, format('mask "%s"', m.name), m.column_name, m.mask, m.reads_settings FROM authz.mask m) t(relation, what, column_name, stored, reads_settings),
		LATERAL (SELECT CASE WHEN t.reads_settings IS NULL THEN authz.stored_text_problem(t.relation, t.column_name, t.stored) END) x(problem)
	WHERE t.stored IS NOT NULL AND (x.problem IS NOT NULL OR t.reads_settings IS NOT NULL) AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)
	GROUP BY 1, 2, 3, 4

	-- Protected schemas.
	UNION ALL
	SELECT c.oid::regclass, x.note IS NOT NULL, coalesce(x.note, 'it is in a protected schema, and not protected'),
		CASE WHEN x.note IS NULL AND c.relkind IN ('r', 'p') THEN format('SELECT authz.protect(%L);', c.oid::regclass)
			WHEN x.note IS NULL THEN 'Move it to another schema, or exempt it: authz.protect_schema(schema, exempt => ...).' END
	FROM authz.protected_schemas() s JOIN pg_class c ON c.relnamespace = s AND c.relkind IN ('r', 'p', 'f', 'm'), LATERAL (SELECT CASE
		WHEN authz.is_exempt(c.oid) THEN 'it is exempt from the protection of its schema'
		WHEN authz.extension_of(c.oid) IS NOT NULL THEN format('it belongs to extension "%s", and is exempt from the protection of its schema', authz.extension_of(c.oid))
		WHEN c.relkind = 'f' THEN (SELECT 'a foreign table, allowed: ' || a.reason FROM authz.allowed_foreign_table a WHERE a.relation = c.oid) END) x(note)
	WHERE NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = c.oid)
		AND NOT EXISTS (SELECT FROM pg_inherits i JOIN authz.protected_table t ON t.relation = i.inhparent WHERE i.inhrelid = c.oid)
	UNION ALL
	SELECT NULL, true, format('table %I.%I is exempt once the owner of the schema creates it', e.schema, e.waits_for), NULL
	FROM authz.exempt_table e WHERE e.waits_for IS NOT NULL

	-- Extensions' tables come back open from a dump.
	UNION ALL
	SELECT c.oid::regclass, true, format('it belongs to extension "%s": a dump does not bring back its protection and audit', authz.extension_of(c.oid)),
		format('After a restore: SELECT authz.repair_protection(%L);', c.oid::regclass)
	FROM pg_class c WHERE authz.extension_of(c.oid) IS NOT NULL AND (c.oid IN (SELECT p.relation FROM protected p)
		OR c.oid IN (SELECT a.relation FROM authz.audited_table a WHERE a.active))

	-- Readers past the masks.
	UNION ALL
	SELECT m.relation, false, format('%s can read masked columns in clear: %s', authz.role_name(r.role), array_to_string(r.columns, ', ')),
		format('REVOKE SELECT ON %s FROM %s; -- and grant a masked view', m.relation, authz.role_name(r.role))
	FROM masked m, authz.direct_readers(m.relation) r
	UNION ALL
	SELECT m.relation, false, format('%s can make triggers that see masked columns in clear', authz.role_name(x.grantee)),
		format('REVOKE TRIGGER ON %s FROM %s;', m.relation, authz.role_name(x.grantee))
	FROM masked m JOIN pg_class c ON c.oid = m.relation, aclexplode(c.relacl) x
	WHERE x.privilege_type = 'TRIGGER' AND x.grantee <> c.relowner AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = x.grantee AND r.rolsuper)
	UNION ALL
	SELECT m.relation, false, format('members of role %s can read masked columns in clear: %s', quote_ident(o.rolname), string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname)),
		format('REVOKE %I FROM %s;', o.rolname, string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname))
	FROM masked m JOIN pg_roles o ON o.oid = m.relowner OR o.rolname IN ('pg_read_all_data')
		JOIN pg_roles r ON NOT r.rolsuper AND r.oid NOT IN (o.oid, m.relowner) AND pg_has_role(r.oid, o.oid, 'MEMBER')
	GROUP BY m.relation, o.oid, o.rolname

	-- Readers past row security.  Superusers are not listed: nothing binds them.
	UNION ALL
	SELECT p.relation, false, format('row security does not bind role %I, which may read it; it can be used by: %s', u.rolname, u.names),
		format('ALTER ROLE %I NOBYPASSRLS; -- or REVOKE its rights', u.rolname)
	FROM protected p JOIN unbound u ON has_any_column_privilege(u.oid, p.relation, 'SELECT')
	UNION ALL
	SELECT NULL, false, format('role %I can become superuser %I, whom nothing binds', r.rolname, s.rolname), format('REVOKE %I FROM %I;', s.rolname, r.rolname)
	FROM pg_roles s JOIN pg_roles r ON s.rolsuper AND NOT r.rolsuper AND pg_has_role(r.oid, s.oid, 'MEMBER')
	UNION ALL
	SELECT v.view, false, format('it shows all rows of protected table %s: row security does not bind its owner %I', v.relation, pg_get_userbyid(v.owner)),
		format('ALTER VIEW %s SET (security_invoker = true);', v.view)
	FROM views v WHERE v.kind = 'v' AND v.is_direct AND NOT v.is_invoker AND authz.bypasses_row_security(v.owner)
		AND v.relation IN (SELECT p.relation FROM protected p)
	UNION ALL
	SELECT v.view, false, format('it reads masked columns of table %s with the rights of its owner: %s', v.relation, string_agg(a.attname, ', ' ORDER BY a.attnum)),
		'Let it read a masked view, or revoke it.'
	FROM views v, authz.masked_columns(v.relation) a
	WHERE v.kind = 'v' AND v.is_direct AND NOT v.is_invoker AND (a.attnum = ANY (v.columns) OR 0 = ANY (v.columns) AND cardinality(v.columns) = 1)
	GROUP BY v.view, v.relation
	UNION ALL
	SELECT v.view, authz.is_exempt(v.view), format('a materialized view: it holds rows of protected table %s as its owner saw them', v.relation), format('REVOKE SELECT ON %s FROM those who may not see them all.', v.view)
	FROM views v WHERE v.kind = 'm'

	-- Masked views.
	UNION ALL
	SELECT s.view, false, s.problem, format('Mend it, or SELECT authz.drop_masked_view(%L); make it again, and its grants.', s.view)
	FROM authz.masked_view_status() s WHERE s.problem IS NOT NULL

	-- The audit.
	UNION ALL
	SELECT a.relation, false, 'audit: ' || coalesce(x.problem, 'it has not been seen complete'),
		CASE WHEN x.problem ^@ 'it is gone' THEN format('SELECT authz.unaudit(%s::oid::regclass);', a.relation::oid)
			ELSE format('SELECT authz.repair_protection(%L);', a.relation) END
	FROM authz.audited_table a, LATERAL (SELECT authz.audit_problem(a)) x(problem) WHERE a.active AND (x.problem IS NOT NULL OR NOT a.complete)
	UNION ALL
	SELECT c.oid::regclass, authz.extension_of(c.oid) IS NOT NULL,
		coalesce('it belongs to extension "' || authz.extension_of(c.oid) || '", and is not audited with its schema', 'it is in an audited schema, and not audited'),
		CASE WHEN authz.extension_of(c.oid) IS NULL THEN format('SELECT authz.audit(%L);', c.oid::regclass) END
	FROM authz.audited_schema s JOIN pg_namespace n ON n.nspname = s.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
	WHERE NOT EXISTS (SELECT FROM authz.audited_table a WHERE a.relation = c.oid AND a.active)

	-- What keeps all this so.
	UNION ALL
	SELECT NULL, false, format('event trigger "%s" is disabled: DDL is not watched', e.evtname), format('ALTER EVENT TRIGGER %I ENABLE ALWAYS;', e.evtname)
	FROM pg_event_trigger e JOIN pg_depend d ON d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.refclassid = 'pg_extension'::regclass
		JOIN pg_extension x ON x.oid = d.refobjid
	WHERE x.extname = 'authz' AND e.evtenabled <> 'A';
END;
COMMENT ON FUNCTION authz.protection_findings() IS 'authz.protection_status, without the tables of which there is nothing to say';

CREATE FUNCTION authz.protection_status() RETURNS TABLE (relation regclass, ok boolean, problem text, fix text)
-- Compiling so large a query takes seconds.
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
	WITH found AS MATERIALIZED (SELECT f.* FROM authz.protection_findings() f)
	SELECT f.* FROM found f
	UNION ALL
	SELECT o.relation, true, NULL, NULL FROM (
		SELECT t.relation FROM authz.protected_table t UNION SELECT a.relation FROM authz.audited_table a WHERE a.active
		UNION SELECT p.relation FROM authz.policy p UNION SELECT m.relation FROM authz.mask m
		UNION SELECT v.view FROM authz.masked_views() v) o
	WHERE NOT EXISTS (SELECT FROM found f WHERE f.relation = o.relation)
	ORDER BY 2, 1, 3;
END;
COMMENT ON FUNCTION authz.protection_status() IS
	'every table that is protected, masked or audited, or could be gone round: is it as it should be, what is wrong, and what mends it';

-- What is complete must not be touched by DDL, not even to mend it.
CREATE FUNCTION authz.begin_repair(relations regclass[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	UPDATE authz.protected_table t SET complete = false FROM pg_class c
		WHERE t.relation = ANY (relations) AND t.complete AND c.oid = t.relation
			AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND authz.native_policy_problem(t.relation) IS NULL);
	UPDATE authz.audited_table t SET complete = false
		WHERE t.relation = ANY (relations) AND t.active AND t.complete AND authz.audit_problem(t) IS NOT NULL;
END
$$;
COMMENT ON FUNCTION authz.begin_repair(regclass[]) IS 'these tables may be mended, if they are not as they should be';

CREATE FUNCTION authz.finish_repair(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	audited authz.audited_table;
	settings jsonb;
BEGIN
	PERFORM authz.check_protection(ARRAY[relation::oid]);
	SELECT * INTO audited FROM authz.audited_table t WHERE t.relation = finish_repair.relation AND t.active FOR UPDATE;
	IF NOT FOUND OR audited.complete AND authz.audit_problem(audited) IS NULL THEN
		RETURN;
	END IF;
	PERFORM authz.remove_audit(relation, audited.actions);
	PERFORM authz.install_audit(audited);
	-- Changes may have gone unrecorded until now.
	settings := jsonb_build_object('actions', audited.actions, 'exclude_columns', audited.exclude_columns, 'clear_columns', audited.clear_columns);
	PERFORM authz.audit_event(authz.qualified_name(relation), audited.trail, 'audit', settings, settings || '{"repaired": true}');
	PERFORM authz.check_audit(ARRAY[relation::oid], 'audit');
END
$$;
COMMENT ON FUNCTION authz.finish_repair(regclass) IS 'the part of repair_protection that needs the rights of the extension''s owner: audit triggers, and what is complete';

CREATE FUNCTION authz.repair_protection(relation regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	item regclass;
	policies regclass;
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'table must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND pg_has_role(c.relowner, 'USAGE')) THEN
		RAISE EXCEPTION 'must be owner of table %', relation USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = repair_protection.relation)
		AND NOT EXISTS (SELECT FROM authz.audited_table t WHERE t.relation = repair_protection.relation AND t.active) THEN
		RAISE EXCEPTION 'table % is neither protected nor audited', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call authz.protect or authz.audit.';
	END IF;
	PERFORM authz.begin_repair(relation || ARRAY(SELECT d FROM authz.descendants(relation) d));
	FOR item IN SELECT relation UNION ALL SELECT d FROM authz.descendants(relation) d LOOP
		-- A part that nobody listed comes under the policies of what it is a part of.
		SELECT coalesce((SELECT t.logical FROM authz.protected_table t WHERE t.relation = item),
			(SELECT t.logical FROM pg_inherits i JOIN authz.protected_table t ON t.relation = i.inhparent WHERE i.inhrelid = item ORDER BY i.inhseqno LIMIT 1)) INTO policies;
		IF policies IS NOT NULL THEN
			PERFORM authz.protect_as(item, policies);
		END IF;
		PERFORM authz.finish_repair(item);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.repair_protection(regclass) IS
	'puts back what a protected or audited table and its parts lack of row security, policies and triggers, as after a restore of an extension''s table';

REVOKE ALL ON FUNCTION authz.is_granted(oid), authz.masked_tables(), authz.views_of_tables(), authz.stored_text_problem(regclass, name, text), authz.protection_findings(), authz.protection_status(),
	authz.begin_repair(regclass[]), authz.finish_repair(regclass), authz.repair_protection(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.protection_status() TO authz_admin, authz_auditor;
GRANT EXECUTE ON FUNCTION authz.begin_repair(regclass[]), authz.finish_repair(regclass), authz.repair_protection(regclass) TO authz_admin;
