-- DDL that would break protection is refused, or protection follows it.
-- Event triggers run as the owner of the extension, whoever runs the DDL.

-- What is renamed, moved or altered with these objects: columns in partitions and children, tables of a type, columns of that
-- type, members of an extension.
-- These run for every DDL command.  PL/pgSQL keeps its plans, SQL would plan them anew each time.
CREATE FUNCTION authz.altered_with(touched oid[]) RETURNS oid[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (WITH RECURSIVE o(oid) AS (
		SELECT unnest(touched)
		UNION
		SELECT a.oid FROM o, LATERAL (
			SELECT c.reltype FROM pg_class c WHERE c.oid = o.oid
			UNION ALL
			SELECT d.objid FROM pg_depend d WHERE d.refobjid = o.oid
				AND (d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass) AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass)
					OR d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')) a(oid))
	SELECT array_agg(o.oid) FROM o);
END
$$;
COMMENT ON FUNCTION authz.altered_with(oid[]) IS 'these objects, and what is renamed, moved or altered with them';

CREATE FUNCTION authz.refuse_ddl(message text, detail text, hint text) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_refuse_ddl';
COMMENT ON FUNCTION authz.refuse_ddl(text, text, text) IS 'raises dependent_objects_still_exist, without saying where in the code';

-- Policies and masks that depend on what changed must still hold.  `names` says what changed, in the same order.
CREATE FUNCTION authz.check_policies(changed oid[], names text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	touched oid[] := authz.altered_with(changed);
	policy authz.policy;
	mask authz.mask;
	reason text;
BEGIN
	FOR policy IN SELECT * FROM authz.policy p WHERE p.depends_on && touched ORDER BY p.relation, p.name LOOP
		BEGIN
			reason := NULL;
			PERFORM authz.check_condition(policy.relation, policy.condition, policy.depends_on);
			PERFORM authz.check_condition(policy.relation, policy.check_condition, policy.depends_on);
			SELECT format('column "%s", which it limits, does not exist', c) INTO reason FROM unnest(policy.columns) c WHERE NOT EXISTS (
				SELECT FROM pg_attribute a WHERE a.attrelid = policy.relation AND a.attname = c AND a.attnum > 0) LIMIT 1;
		EXCEPTION
			WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
				RAISE;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
		END;
		PERFORM authz.refuse_ddl(format('policy "%s" on table %s depends on %s', policy.name, policy.relation,
				coalesce((SELECT c.name FROM unnest(changed, names) c(oid, name) WHERE c.oid = ANY (policy.depends_on) LIMIT 1), names[1])),
			format('It would fail: %s.', reason), 'Change or drop the policy first, in the same transaction if need be.') WHERE reason IS NOT NULL;
	END LOOP;
	FOR mask IN SELECT * FROM authz.mask m WHERE m.depends_on && touched ORDER BY m.relation, m.column_name, m.priority LOOP
		BEGIN
			reason := NULL;
			PERFORM authz.check_condition(mask.relation, mask.condition, mask.depends_on);
			PERFORM authz.check_mask(mask.relation, mask.column_name, mask.mask, mask.depends_on);
		EXCEPTION
			WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
				RAISE;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
		END;
		PERFORM authz.refuse_ddl(format('mask %s of column "%s" on table %s depends on %s', mask.priority, mask.column_name, mask.relation,
				coalesce((SELECT c.name FROM unnest(changed, names) c(oid, name) WHERE c.oid = ANY (mask.depends_on) LIMIT 1), names[1])),
			format('It would fail: %s.', reason), 'Change or drop the mask first, in the same transaction if need be.') WHERE reason IS NOT NULL;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.check_policies(oid[], text[]) IS 'raises, naming the policy or mask, if one that depends on these objects does not hold';

-- The extension's own objects stay as its script made them.  Tables of the audit have refusals of their own.
CREATE FUNCTION authz.is_own(class oid, object oid) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own record;
BEGIN
	FOR own IN
		SELECT o.class, o.object FROM (
			SELECT is_own.class, is_own.object
			UNION ALL SELECT 'pg_class'::regclass, t.tgrelid FROM pg_trigger t WHERE is_own.class = 'pg_trigger'::regclass AND t.oid = is_own.object
			UNION ALL SELECT 'pg_class'::regclass, p.polrelid FROM pg_policy p WHERE is_own.class = 'pg_policy'::regclass AND p.oid = is_own.object
			UNION ALL SELECT 'pg_class'::regclass, r.ev_class FROM pg_rewrite r WHERE is_own.class = 'pg_rewrite'::regclass AND r.oid = is_own.object
			UNION ALL SELECT 'pg_class'::regclass, x.stxrelid FROM pg_statistic_ext x WHERE is_own.class = 'pg_statistic_ext'::regclass AND x.oid = is_own.object
			UNION ALL SELECT 'pg_class'::regclass, i.indrelid FROM pg_index i WHERE is_own.class = 'pg_class'::regclass AND i.indexrelid = is_own.object
			UNION ALL SELECT 'pg_class'::regclass, i.inhparent FROM pg_inherits i WHERE is_own.class = 'pg_class'::regclass AND i.inhrelid = is_own.object) o(class, object)
			-- OFFSET 0: object by object, not from all that belongs to authz.
			JOIN LATERAL (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'authz'
				WHERE d.classid = o.class AND d.objid = o.object AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' OFFSET 0) belongs ON true
	LOOP
		IF NOT (own.class = 'pg_class'::regclass AND own.object IN (SELECT t FROM authz.audit_tables() t)) THEN
			RETURN true;
		END IF;
	END LOOP;
	RETURN false;
END
$$;
COMMENT ON FUNCTION authz.is_own(oid, oid) IS 'is it an object of the extension''s, or on one of its tables, other than a table of the audit?';

CREATE FUNCTION authz.in_own_script() RETURNS boolean
LANGUAGE c STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_in_own_script';
COMMENT ON FUNCTION authz.in_own_script() IS 'is this the script of CREATE or ALTER EXTENSION authz?';

CREATE FUNCTION authz.refuse_own(object text) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT authz.refuse_ddl(object || ' belongs to authz', 'What the extension made stays as it made it; grants and comments may change.',
		'Use functions of authz to change what its tables hold, ALTER EXTENSION authz UPDATE to change the extension. Leave schema authz out of what tools compare.');
END;
COMMENT ON FUNCTION authz.refuse_own(text) IS 'refuses DDL on an object of the extension''s';

-- Every protected table still has row security as authz.protect made it.
CREATE FUNCTION authz.check_protection(touched oid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	problem text;
BEGIN
	UPDATE authz.protected_table t SET complete = true FROM pg_class c
		WHERE NOT t.complete AND t.relation = ANY (touched) AND c.oid = t.relation AND c.relrowsecurity AND c.relforcerowsecurity
			AND authz.native_policy_problem(t.relation) IS NULL;
	SELECT t.relation, p.problem INTO relation, problem
		FROM authz.protected_table t JOIN pg_class c ON c.oid = t.relation,
			LATERAL (SELECT CASE WHEN NOT c.relrowsecurity THEN 'row security would be disabled'
								 WHEN NOT c.relforcerowsecurity THEN 'row security would not be forced on its owner'
								 WHEN EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = t.relation
										AND i.inhparent <> ALL (t.open_parents)
										AND NOT EXISTS (SELECT FROM authz.protected_table x WHERE x.relation = i.inhparent))
									THEN 'it would be read unfiltered through a parent that is not protected'
								 ELSE authz.native_policy_problem(t.relation) END) p(problem)
		WHERE t.complete AND t.relation = ANY (touched) AND p.problem IS NOT NULL ORDER BY t.relation::oid LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table % is protected by authz', relation
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = format('With this command %s.', problem),
				HINT = CASE WHEN problem ^@ 'trigger ' THEN 'Call authz.unprotect for the table first. To load rows without triggers (pg_restore --disable-triggers), '
					'SET session_replication_role = replica as a superuser instead.' ELSE 'Call authz.unprotect for the table first.' END;
	END IF;
END
$$;
COMMENT ON FUNCTION authz.check_protection(oid[]) IS 'raises if a protected table has lost its row security';

-- Children of protected tables, and tables of protected schemas, that are not protected yet.
CREATE FUNCTION authz.extend_protection(touched oid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new record;
BEGIN
	LOOP
		SELECT i.inhrelid::regclass AS relation, t.logical INTO new
			FROM pg_inherits i JOIN authz.protected_table t ON t.relation = i.inhparent
				JOIN pg_class c ON c.oid = i.inhrelid
			WHERE (i.inhrelid = ANY (touched) OR i.inhparent = ANY (touched)) AND c.relkind IN ('r', 'p')
				AND NOT EXISTS (SELECT FROM authz.protected_table x
								WHERE x.relation = i.inhrelid AND (x.logical = t.logical OR x.logical = x.relation))
			ORDER BY i.inhrelid, i.inhseqno LIMIT 1;
		EXIT WHEN NOT FOUND;
		PERFORM authz.protect_as(new.relation, new.logical);
	END LOOP;
	PERFORM authz.require_allowed_foreign_table(i.inhrelid::regclass)
		FROM pg_inherits i JOIN authz.protected_table t ON t.relation = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
		WHERE (i.inhrelid = ANY (touched) OR i.inhparent = ANY (touched)) AND c.relkind = 'f';
	PERFORM authz.bind_exempt_tables();
	FOR new IN
		SELECT c.oid::regclass AS relation, c.relkind AS kind, authz.extension_of(c.oid) AS extension
		FROM pg_class c
		WHERE c.relnamespace IN (SELECT authz.protected_schemas()) AND c.oid = ANY (touched) AND c.relkind IN ('r', 'p', 'f', 'm')
			AND NOT EXISTS (SELECT FROM authz.protected_table x WHERE x.relation = c.oid) AND NOT authz.is_exempt(c.oid)
	LOOP
		PERFORM authz.protect_in_schema(new.relation, new.kind, new.extension);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.extend_protection(oid[]) IS 'protects new children of protected tables and new tables of protected schemas';

CREATE FUNCTION authz.is_protected(relation oid) RETURNS boolean
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_is_protected';
COMMENT ON FUNCTION authz.is_protected(oid) IS 'is the table protected by now, whatever the transaction''s snapshot sees';

CREATE FUNCTION authz.may_break(command pg_ddl_command) RETURNS boolean
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_may_break';
COMMENT ON FUNCTION authz.may_break(pg_ddl_command) IS 'can the command break a condition or mask? constraints and row security do not';

CREATE FUNCTION authz.after_ddl() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
DECLARE
	touched oid[] := (SELECT array_agg(DISTINCT c.objid) FROM pg_event_trigger_ddl_commands() c);
	changed oid[];
	names text[];
BEGIN
	IF touched IS NULL THEN
		RETURN;
	END IF;
	PERFORM authz.refuse_own(c.object_type || ' ' || c.object_identity) FROM pg_event_trigger_ddl_commands() c
		WHERE c.command_tag NOT IN ('COMMENT', 'SECURITY LABEL') AND authz.is_own(c.classid, c.objid) AND NOT authz.in_own_script();
	PERFORM authz.follow_in_views(authz.altered_with(touched)) WHERE TG_TAG LIKE 'ALTER %';
	UPDATE authz.protected_schema s SET name = n.nspname FROM pg_namespace n
		WHERE TG_TAG = 'ALTER SCHEMA' AND n.oid = s.schema AND n.oid = ANY (touched) AND s.name <> n.nspname;
	-- Protected after this transaction's snapshot was taken: what follows would not see it.
	IF EXISTS (SELECT FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid, unnest(ARRAY[c.oid, i.inhparent]) o
			   WHERE c.oid = ANY (touched) AND authz.is_protected(o)
					AND NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = o)) THEN
		RAISE EXCEPTION 'could not see the protection of a table' USING ERRCODE = 'serialization_failure',
			DETAIL = 'The table was protected after this transaction began.', HINT = 'Run the transaction again.';
	END IF;
	SELECT array_agg(c.objid), array_agg(CASE c.command_tag WHEN 'ALTER TABLE' THEN 'columns of ' ELSE c.object_type || ' ' END || c.object_identity)
		INTO changed, names FROM pg_event_trigger_ddl_commands() c WHERE authz.may_break(c.command);
	PERFORM authz.check_policies(changed, names);
	IF TG_TAG LIKE '%TABLE%' OR TG_TAG LIKE '%TRIGGER' OR TG_TAG LIKE '%POLICY' OR TG_TAG LIKE '%SCHEMA' OR TG_TAG LIKE 'SELECT%'
		OR TG_TAG LIKE '%MATERIALIZED VIEW' OR TG_TAG = 'ALTER EXTENSION' THEN
		-- ALTER EXTENSION ... DROP names no table: one that the extension gives up is an ordinary one from now on.
		IF TG_TAG = 'ALTER EXTENSION' THEN
			touched := touched || ARRAY(SELECT c.oid FROM pg_class c
				WHERE c.relnamespace IN (SELECT authz.protected_schemas()) AND c.relkind IN ('r', 'p', 'f', 'm') AND NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = c.oid));
			PERFORM authz.warn_extension_members(touched);
		END IF;
		PERFORM authz.extend_protection(touched);
		-- Only these: deparsing a policy locks its table, and two commands would wait for each other.
		PERFORM authz.check_protection(touched || ARRAY(SELECT p.polrelid FROM pg_policy p WHERE p.oid = ANY (touched))
			|| ARRAY(SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = ANY (touched))
			-- ATTACH PARTITION names the parent only.
			|| ARRAY(SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = ANY (touched)));
	END IF;
END
$$;
COMMENT ON FUNCTION authz.after_ddl() IS 'event trigger: protection follows DDL, or refuses it';

CREATE FUNCTION authz.after_drop() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
DECLARE
	dropped oid[];
	names text[];
	tables oid[] := (SELECT array_agg(o.objid) FROM pg_event_trigger_dropped_objects() o
					 WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0);
BEGIN
	-- What was about a dropped table or schema goes with it.
	DELETE FROM authz.policy p WHERE p.relation = ANY (tables);
	DELETE FROM authz.mask m WHERE m.relation = ANY (tables);
	DELETE FROM authz.protected_table t WHERE t.relation = ANY (tables);
	-- A table that outlives the parent whose policies held has none now, and stays closed.
	UPDATE authz.protected_table t SET logical = t.relation WHERE t.logical = ANY (tables);
	DELETE FROM authz.protected_schema s WHERE s.schema IN (SELECT o.objid FROM pg_event_trigger_dropped_objects() o WHERE o.classid = 'pg_namespace'::regclass)
		AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = s.name);
	PERFORM authz.refuse_own(o.object_type || ' ' || o.object_identity) FROM pg_event_trigger_dropped_objects() o
		WHERE NOT authz.in_own_script()
			AND (o.object_type IN ('trigger', 'policy', 'rule', 'table constraint', 'table column', 'default value')
					AND authz.is_own('pg_class'::regclass, to_regclass(format('%I.%I', o.address_names[1], o.address_names[2])))
				-- Its table is not known any more.
				OR o.object_type = 'index' AND o.schema_name = 'authz' AND EXISTS (SELECT FROM pg_class c
					WHERE c.relnamespace = 'authz'::regnamespace AND c.relkind = 'r' AND o.object_name ^@ (c.relname || '_') AND authz.is_own('pg_class'::regclass, c.oid)));
	SELECT array_agg(o.objid ORDER BY NOT o.original), array_agg(o.object_type || ' ' || o.object_identity ORDER BY NOT o.original)
		INTO dropped, names FROM pg_event_trigger_dropped_objects() o;
	PERFORM authz.check_policies(dropped, names);
	PERFORM authz.check_protection(ARRAY(
		SELECT to_regclass(format('%I.%I', o.address_names[1], o.address_names[2]))::oid
		FROM pg_event_trigger_dropped_objects() o WHERE o.object_type IN ('policy', 'trigger')));
END
$$;
COMMENT ON FUNCTION authz.after_drop() IS 'event trigger: forgets dropped tables, refuses to drop what a policy needs';

REVOKE ALL ON FUNCTION authz.altered_with(oid[]), authz.refuse_ddl(text, text, text), authz.is_own(oid, oid), authz.in_own_script(), authz.refuse_own(text),
	authz.may_break(pg_ddl_command), authz.is_protected(oid), authz.check_policies(oid[], text[]), authz.check_protection(oid[]), authz.extend_protection(oid[]),
	authz.after_ddl(), authz.after_drop() FROM PUBLIC;

-- Whoever alters a masked view calls it.
GRANT EXECUTE ON FUNCTION authz.refuse_ddl(text, text, text) TO authz_admin;

CREATE FUNCTION authz.before_ddl() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_before_ddl';
COMMENT ON FUNCTION authz.before_ddl() IS 'event trigger: notes what a rename will change, and refuses what nobody could tell afterwards';
CREATE FUNCTION authz.adopt_names() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'authz_adopt_names';
COMMENT ON FUNCTION authz.adopt_names() IS 'event trigger: stores policies, masks and audited columns with the names that hold after a rename';
REVOKE ALL ON FUNCTION authz.before_ddl(), authz.adopt_names() FROM PUBLIC;

CREATE EVENT TRIGGER authz_before_ddl ON ddl_command_start EXECUTE FUNCTION authz.before_ddl();
-- Event triggers fire in the order of their names: what comes later reads by name.
CREATE EVENT TRIGGER authz_adopt_names ON ddl_command_end EXECUTE FUNCTION authz.adopt_names();
CREATE EVENT TRIGGER authz_after_ddl ON ddl_command_end EXECUTE FUNCTION authz.after_ddl();
CREATE EVENT TRIGGER authz_after_drop ON sql_drop EXECUTE FUNCTION authz.after_drop();
ALTER EVENT TRIGGER authz_before_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER authz_adopt_names ENABLE ALWAYS;
ALTER EVENT TRIGGER authz_after_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER authz_after_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER authz_before_ddl IS 'authz: notes what a rename will change, refuses what would show a masked column';
COMMENT ON EVENT TRIGGER authz_adopt_names IS 'authz: policies, masks and audits adopt new names';
COMMENT ON EVENT TRIGGER authz_after_ddl IS 'authz: protection follows DDL, or refuses it';
COMMENT ON EVENT TRIGGER authz_after_drop IS 'authz: refuses to drop what a policy needs';
