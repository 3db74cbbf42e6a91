-- DDL: audit follows it, or refuses it.  Event triggers run as the owner of the extension, whoever runs the DDL.

-- An older snapshot than the audit, or than a change of it, would have what follows decide by what is no more.
CREATE FUNCTION authz.require_visible_audit(touched oid[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Audited otherwise: locking the row finds that out.
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
		PERFORM FROM authz.audited_table t WHERE t.relation = ANY (touched) FOR SHARE;
	END IF;
	IF EXISTS (SELECT FROM unnest(touched) o WHERE authz.is_audited(o) AND NOT EXISTS (SELECT FROM authz.audited_table t WHERE t.relation = o AND t.active)) THEN
		RAISE EXCEPTION 'could not see the audit of a table' USING ERRCODE = 'serialization_failure',
			DETAIL = 'The table was audited after this transaction began.', HINT = 'Run the transaction again.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_visible_audit(oid[]) IS 'raises if one of these tables was audited, or audited otherwise, after the transaction''s snapshot was taken';

CREATE FUNCTION authz.check_audit(touched oid[], action text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	relation regclass;
	problem text;
BEGIN
	PERFORM authz.require_visible_audit(touched);
	UPDATE authz.audited_table t SET complete = true
		WHERE t.active AND NOT t.complete AND t.relation = ANY (touched) AND authz.audit_problem(t) IS NULL;
	SELECT t.relation, p INTO relation, problem FROM authz.audited_table t, authz.audit_problem(t) p
		-- What is not complete yet waits for its triggers; for the right parents it would wait in vain.
		WHERE t.active AND t.relation = ANY (touched) AND p IS NOT NULL AND (t.complete OR p LIKE 'it would be changed unrecorded%')
			-- One that is gone past the event triggers is in nobody's way; authz.audit_verify tells of it.
			AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation) ORDER BY t.relation::oid LIMIT 1;
	IF FOUND THEN
		PERFORM authz.refuse_audit(action, relation, 'changes would go unrecorded', format('table %s is audited', relation),
			format('With this command %s.', problem),
			CASE WHEN problem ^@ 'trigger ' THEN 'An administrator of authz may call authz.unaudit for the table. To load rows without other triggers (pg_restore --disable-triggers), '
				'SET session_replication_role = replica as a superuser instead: these are recorded all the same.'
				ELSE 'An administrator of authz may call authz.unaudit for the table, or authz.audit with other columns.' END);
	END IF;
END
$$;
COMMENT ON FUNCTION authz.check_audit(oid[], text) IS 'raises if changes of an audited table could go unrecorded';

-- New parts of audited tables are audited; parts that were detached stay so on their own.
CREATE FUNCTION authz.extend_audit(touched oid[], action text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new record;
	parent authz.audited_table;
	detached authz.audited_table;
BEGIN
	LOOP
		SELECT i.inhrelid, p.* INTO new
			FROM pg_inherits i JOIN authz.audited_table p ON p.relation = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
			WHERE p.active AND (i.inhrelid = ANY (touched) OR i.inhparent = ANY (touched)) AND c.relkind IN ('r', 'p')
				AND NOT EXISTS (SELECT FROM authz.audited_table t WHERE t.relation = i.inhrelid AND t.active
					AND t.actions @> p.actions AND t.reads >= p.reads AND t.exclude_columns @> p.exclude_columns AND t.clear_columns <@ p.clear_columns)
			ORDER BY i.inhrelid LIMIT 1;
		EXIT WHEN NOT FOUND;
		SELECT * INTO parent FROM authz.audited_table t WHERE t.relation = new.relation;
		PERFORM authz.audit_as(new.inhrelid::regclass, parent);
		touched := touched || new.inhrelid;
	END LOOP;
	FOR detached IN
		-- Materialized: there are few of these, and many parts.
		WITH alone AS MATERIALIZED (
			SELECT * FROM authz.audited_table t
			WHERE t.active AND t.logical <> t.relation
				AND t.logical IN (SELECT a.logical FROM authz.audited_table a WHERE a.relation = ANY (touched))
				AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)
				AND NOT EXISTS (SELECT FROM pg_inherits i JOIN authz.audited_table p ON p.relation = i.inhparent
								WHERE i.inhrelid = t.relation AND p.active AND p.logical = t.logical))
		SELECT * FROM alone t WHERE t.relation NOT IN (SELECT d FROM authz.descendants(t.logical) d)
	LOOP
		-- On its own, or as part of another parent; its own parts follow it.
		UPDATE authz.audited_table t SET logical = coalesce(
				(SELECT p.logical FROM pg_inherits i JOIN authz.audited_table p ON p.relation = i.inhparent
					WHERE i.inhrelid = detached.relation AND p.active ORDER BY i.inhseqno LIMIT 1), detached.relation)
			WHERE t.relation = detached.relation
				OR t.active AND t.logical = detached.logical AND t.relation IN (SELECT d FROM authz.descendants(detached.relation) d);
		PERFORM authz.check_audit(ARRAY[detached.relation::oid], action);
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.extend_audit(oid[], text) IS 'audits new parts of audited tables, and keeps those audited that were detached';

-- ALTER TYPE ... RENAME VALUE, DROP ATTRIBUTE, and ALTER TABLE of a row type change values in tables that they do not name.
CREATE FUNCTION authz.tables_of_types(touched oid[]) RETURNS SETOF oid
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH RECURSIVE y(oid) AS (
		SELECT t.oid FROM pg_type t WHERE t.oid = ANY (touched) OR t.typrelid = ANY (touched)
		UNION
		SELECT coalesce(c.reltype, d.objid) FROM y JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = y.oid
				LEFT JOIN pg_class c ON c.oid = d.objid AND d.classid = 'pg_class'::regclass
			WHERE d.classid = 'pg_type'::regclass OR d.classid = 'pg_class'::regclass AND d.objsubid > 0)
	SELECT DISTINCT d.objid FROM y JOIN pg_depend d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = y.oid
	WHERE d.classid = 'pg_class'::regclass AND d.objsubid > 0;
END;
COMMENT ON FUNCTION authz.tables_of_types(oid[]) IS 'tables with columns of these types, or of the row types of these tables, or made of such types';

CREATE FUNCTION authz.audit_after_ddl() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	touched oid[] := (SELECT array_agg(DISTINCT c.objid) FROM pg_event_trigger_ddl_commands() c);
BEGIN
	IF touched IS NULL OR NOT (TG_TAG LIKE '%TABLE%' OR TG_TAG LIKE '%TRIGGER' OR TG_TAG LIKE '%SCHEMA' OR TG_TAG LIKE '%INDEX'
			-- ALTER VIEW renames columns of tables as well, ALTER TYPE those of tables OF the type.
			OR TG_TAG LIKE '%VIEW' OR TG_TAG = 'ALTER TYPE') THEN
		RETURN;
	END IF;
	touched := touched || ARRAY(SELECT t.tgrelid FROM pg_trigger t WHERE t.oid = ANY (touched))
		|| ARRAY(SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = ANY (touched))
		|| ARRAY(SELECT c.oid FROM pg_type y JOIN pg_class c ON c.reloftype = y.oid WHERE y.typrelid = ANY (touched));
	-- Before parts of what is not seen would be taken for parts of nothing.
	PERFORM authz.require_visible_audit(touched || ARRAY(SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = ANY (touched)));
	-- What DDL does to values, no trigger sees; that there was some is on record.  (Commands of authz.audit itself
	-- come while it is not complete.)
	IF TG_TAG LIKE 'ALTER %' THEN
		PERFORM authz.audit_event(authz.qualified_name(t.relation), t.trail, 'alter', NULL, NULL)
			FROM authz.audited_table t WHERE t.active AND t.complete
				AND (t.relation = ANY (touched) OR t.relation IN (SELECT y FROM authz.tables_of_types(touched) y));
	END IF;
	PERFORM authz.extend_audit(touched, lower(TG_TAG));
	-- ATTACH and DETACH PARTITION name the parent only.
	PERFORM authz.check_audit(authz.altered_with(touched)
		|| ARRAY(SELECT unnest(ARRAY[i.inhrelid, i.inhparent]) FROM pg_inherits i WHERE touched && ARRAY[i.inhparent, i.inhrelid]), lower(TG_TAG));
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY (touched) AND c.relnamespace = 'authz'::regnamespace) THEN
		PERFORM authz.refuse_audit(lower(TG_TAG), t.tgrelid, 'what guards records must stay', 'trigger "refuse_change" must stay enabled')
			FROM pg_trigger t WHERE t.tgrelid = ANY (touched) AND t.tgname = 'refuse_change' AND t.tgfoid = 'authz.refuse_change()'::regprocedure
				AND t.tgenabled IN ('D', 'R');
		PERFORM authz.refuse_audit(lower(TG_TAG), t, 'what guards records must stay', format('table %s must stay as it is', t::regclass), format('With this command %s.', p))
			FROM authz.audit_tables() t, authz.log_problem(t) p
			-- A dump brings tables before their triggers.
			WHERE t = ANY (touched) AND p NOT LIKE 'trigger %';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.audit_after_ddl() IS 'event trigger: audit follows DDL, or refuses it';

-- Runs as whoever drops, to see who it is.
CREATE FUNCTION authz.audit_check_drop() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	dropped record;
BEGIN
	IF pg_has_role(current_user, 'authz_admin', 'USAGE') THEN
		RETURN;
	END IF;
	SELECT o.objid, o.object_identity INTO dropped FROM pg_event_trigger_dropped_objects() o
		WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND authz.is_audited(o.objid) ORDER BY o.objid LIMIT 1;
	IF FOUND THEN
		PERFORM authz.refuse_audit(lower(TG_TAG), dropped.objid, 'only an administrator of authz may', format('table %s is audited', dropped.object_identity),
			'Its rows would go unrecorded.', 'An administrator of authz may drop it, which is recorded.');
	END IF;
END
$$;
COMMENT ON FUNCTION authz.audit_check_drop() IS 'event trigger: only an administrator drops an audited table';

CREATE FUNCTION authz.audit_forget() RETURNS event_trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
DECLARE
	tables oid[] := ARRAY(SELECT o.objid FROM pg_event_trigger_dropped_objects() o
						  WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0);
	columns oid[] := ARRAY(SELECT o.objid FROM pg_event_trigger_dropped_objects() o
						   WHERE o.classid = 'pg_class'::regclass AND o.objsubid > 0);
	gone record;
BEGIN
	FOR gone IN
		WITH d AS (DELETE FROM authz.audited_table t WHERE t.relation = ANY (tables) RETURNING t.*)
		SELECT format('%I.%I', o.address_names[1], o.address_names[2]) AS name, d.* FROM d JOIN pg_event_trigger_dropped_objects() o
			ON o.classid = 'pg_class'::regclass AND o.objid = d.relation AND o.objsubid = 0
		WHERE d.active
	LOOP
		PERFORM authz.audit_event(gone.name, gone.trail, 'drop', NULL, NULL);
	END LOOP;
	UPDATE authz.audited_table t SET logical = t.relation WHERE t.logical = ANY (tables);
	-- Columns that went with their type or schema; ALTER TABLE is recorded at its end.
	IF TG_TAG NOT LIKE 'ALTER %' THEN
		PERFORM authz.audit_event(authz.qualified_name(t.relation), t.trail, 'alter', NULL, NULL)
			FROM authz.audited_table t WHERE t.active
				AND (t.relation = ANY (columns) OR t.relation IN (SELECT y FROM authz.tables_of_types(columns) y));
	END IF;
	PERFORM authz.check_audit(ARRAY(
		SELECT to_regclass(format('%I.%I', o.address_names[1], o.address_names[2]))::oid
		FROM pg_event_trigger_dropped_objects() o
		WHERE o.object_type IN ('trigger', 'table column', 'table constraint')), lower(TG_TAG));
	PERFORM authz.refuse_audit(lower(TG_TAG), to_regclass(format('%I.%I', o.address_names[1], o.address_names[2])),
			'what guards records must stay', 'trigger "refuse_change" must stay')
		FROM pg_event_trigger_dropped_objects() o
		WHERE o.object_type = 'trigger' AND o.address_names[1] = 'authz' AND o.address_names[3] = 'refuse_change'
			AND to_regclass(format('%I.%I', o.address_names[1], o.address_names[2])) IS NOT NULL;
	-- authz.audit_retain has left a record by now that it drops a partition.
	PERFORM authz.refuse_audit(lower(TG_TAG), o.objid, 'records are insert-only', 'partitions of the logs are dropped by authz.audit_retain only')
		FROM pg_event_trigger_dropped_objects() o
		WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND o.schema_name = 'authz' AND o.object_type = 'table' AND o.object_name ~ '^(access|audit|denial)_log_'
			AND (SELECT b.kind FROM authz.audit_batch b WHERE b.partition = o.object_name ORDER BY b.batch DESC LIMIT 1) IS DISTINCT FROM 'drop';
END
$$;
COMMENT ON FUNCTION authz.audit_forget() IS 'event trigger: records that an audited table was dropped, refuses to drop what records';

REVOKE ALL ON FUNCTION authz.require_visible_audit(oid[]), authz.check_audit(oid[], text), authz.extend_audit(oid[], text), authz.tables_of_types(oid[]), authz.audit_after_ddl(), authz.audit_check_drop(),
	authz.audit_forget() FROM PUBLIC;

-- sql_drop triggers fire in the order of their names: who may not is refused before anything is forgotten.
CREATE EVENT TRIGGER authz_audit_after_ddl ON ddl_command_end EXECUTE FUNCTION authz.audit_after_ddl();
CREATE EVENT TRIGGER authz_audit_check_drop ON sql_drop EXECUTE FUNCTION authz.audit_check_drop();
CREATE EVENT TRIGGER authz_audit_forget ON sql_drop EXECUTE FUNCTION authz.audit_forget();
ALTER EVENT TRIGGER authz_audit_after_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER authz_audit_check_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER authz_audit_forget ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER authz_audit_after_ddl IS 'authz: audit follows DDL, or refuses it';
COMMENT ON EVENT TRIGGER authz_audit_check_drop IS 'authz: only an administrator drops an audited table';
COMMENT ON EVENT TRIGGER authz_audit_forget IS 'authz: refuses to drop what records changes';
