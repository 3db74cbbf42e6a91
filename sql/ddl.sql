-- DDL that would break protection is refused, or protection follows it.
-- Event triggers run as the owner of the extension, whoever runs the DDL.

-- A column that is renamed or altered is so in partitions and children, tables of the type, and columns of that type.
CREATE FUNCTION authz.altered_with(touched oid[]) RETURNS oid[]
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH RECURSIVE o(oid) AS (
		SELECT unnest(touched)
		UNION
		SELECT a.oid FROM o, LATERAL (
			SELECT c.reltype FROM pg_class c WHERE c.oid = o.oid
			UNION ALL
			SELECT d.objid FROM pg_depend d WHERE d.refobjid = o.oid
				AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass) AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass)) a(oid))
	SELECT array_agg(o.oid) FROM o;
END;
COMMENT ON FUNCTION authz.altered_with(oid[]) IS 'these objects, and the tables and types that are altered with them';

-- Policies and masks whose objects were touched must still hold.
CREATE FUNCTION authz.check_policies(touched oid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	policy authz.policy;
	mask authz.mask;
	reason text;
BEGIN
	FOR policy IN SELECT * FROM authz.policy p WHERE p.depends_on && touched ORDER BY p.relation, p.name LOOP
		BEGIN
			PERFORM authz.check_condition(policy.relation, policy.condition);
			PERFORM authz.check_condition(policy.relation, policy.check_condition);
			IF EXISTS (SELECT FROM unnest(policy.columns) c WHERE NOT EXISTS (
					SELECT FROM pg_attribute a WHERE a.attrelid = policy.relation AND a.attname = c AND a.attnum > 0)) THEN
				RAISE EXCEPTION 'a column it limits does not exist any more';
			END IF;
		EXCEPTION
			WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
				RAISE;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
				RAISE EXCEPTION 'policy "%" on table % depends on what would change', policy.name, policy.relation
					USING ERRCODE = 'dependent_objects_still_exist',
						DETAIL = format('Its condition would fail: %s.', reason),
						HINT = 'Change or drop the policy first, in the same transaction if need be.';
		END;
	END LOOP;
	FOR mask IN SELECT * FROM authz.mask m WHERE m.depends_on && touched ORDER BY m.relation, m.column_name, m.priority LOOP
		BEGIN
			PERFORM authz.check_condition(mask.relation, mask.condition);
			PERFORM authz.check_mask(mask.relation, mask.column_name, mask.mask);
		EXCEPTION
			WHEN deadlock_detected OR lock_not_available OR serialization_failure THEN
				RAISE;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
				RAISE EXCEPTION 'mask % of column "%" on table % depends on what would change', mask.priority, mask.column_name, mask.relation
					USING ERRCODE = 'dependent_objects_still_exist',
						DETAIL = format('It would fail: %s.', reason),
						HINT = 'Change or drop the mask first, in the same transaction if need be.';
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.check_policies(oid[]) IS 'raises, naming the policy or mask, if one that depends on these objects does not hold';

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
				HINT = 'Call authz.unprotect for the table first.';
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
	FOR new IN
		SELECT c.oid::regclass AS relation FROM pg_class c JOIN authz.protected_schema s ON s.schema = c.relnamespace
		WHERE c.oid = ANY (touched) AND c.relkind IN ('r', 'p')
			AND NOT EXISTS (SELECT FROM authz.protected_table x WHERE x.relation = c.oid)
	LOOP
		PERFORM authz.protect(new.relation);
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
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	touched oid[] := (SELECT array_agg(DISTINCT c.objid) FROM pg_event_trigger_ddl_commands() c);
BEGIN
	IF touched IS NULL THEN
		RETURN;
	END IF;
	-- Protected after this transaction's snapshot was taken: what follows would not see it.
	IF EXISTS (SELECT FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid, unnest(ARRAY[c.oid, i.inhparent]) o
			   WHERE c.oid = ANY (touched) AND authz.is_protected(o)
					AND NOT EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = o)) THEN
		RAISE EXCEPTION 'could not see the protection of a table' USING ERRCODE = 'serialization_failure',
			DETAIL = 'The table was protected after this transaction began.', HINT = 'Run the transaction again.';
	END IF;
	PERFORM authz.check_policies(authz.altered_with((SELECT array_agg(DISTINCT c.objid) FROM pg_event_trigger_ddl_commands() c WHERE authz.may_break(c.command))));
	IF TG_TAG LIKE '%TABLE%' OR TG_TAG LIKE '%TRIGGER' OR TG_TAG LIKE '%POLICY' OR TG_TAG LIKE '%SCHEMA' OR TG_TAG LIKE 'SELECT%' THEN
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
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	dropped oid[] := (SELECT array_agg(DISTINCT o.objid) FROM pg_event_trigger_dropped_objects() o);
	tables oid[] := (SELECT array_agg(o.objid) FROM pg_event_trigger_dropped_objects() o
					 WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0);
BEGIN
	-- What was about a dropped table or schema goes with it.
	DELETE FROM authz.policy p WHERE p.relation = ANY (tables);
	DELETE FROM authz.mask m WHERE m.relation = ANY (tables);
	DELETE FROM authz.protected_table t WHERE t.relation = ANY (tables);
	-- A table that outlives the parent whose policies held has none now, and stays closed.
	UPDATE authz.protected_table t SET logical = t.relation WHERE t.logical = ANY (tables);
	DELETE FROM authz.protected_schema s WHERE s.schema IN (SELECT o.objid FROM pg_event_trigger_dropped_objects() o WHERE o.classid = 'pg_namespace'::regclass);
	PERFORM authz.check_policies(dropped);
	PERFORM authz.check_protection(ARRAY(
		SELECT to_regclass(format('%I.%I', o.address_names[1], o.address_names[2]))::oid
		FROM pg_event_trigger_dropped_objects() o WHERE o.object_type IN ('policy', 'trigger')));
END
$$;
COMMENT ON FUNCTION authz.after_drop() IS 'event trigger: forgets dropped tables, refuses to drop what a policy needs';

REVOKE ALL ON FUNCTION authz.altered_with(oid[]), authz.may_break(pg_ddl_command), authz.is_protected(oid), authz.check_policies(oid[]), authz.check_protection(oid[]), authz.extend_protection(oid[]),
	authz.after_ddl(), authz.after_drop() FROM PUBLIC;

CREATE FUNCTION authz.before_ddl() RETURNS event_trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_before_ddl';
COMMENT ON FUNCTION authz.before_ddl() IS 'event trigger: a column that is masked because it is generated stays generated';
REVOKE ALL ON FUNCTION authz.before_ddl() FROM PUBLIC;

CREATE EVENT TRIGGER authz_before_ddl ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION authz.before_ddl();
CREATE EVENT TRIGGER authz_after_ddl ON ddl_command_end EXECUTE FUNCTION authz.after_ddl();
CREATE EVENT TRIGGER authz_after_drop ON sql_drop EXECUTE FUNCTION authz.after_drop();
ALTER EVENT TRIGGER authz_before_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER authz_after_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER authz_after_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER authz_before_ddl IS 'authz: refuses to make an ordinary column of one that is masked because it is generated';
COMMENT ON EVENT TRIGGER authz_after_ddl IS 'authz: protection follows DDL, or refuses it';
COMMENT ON EVENT TRIGGER authz_after_drop IS 'authz: refuses to drop what a policy needs';
