-- Audited tables: every change of a row leaves a record in authz.audit_log.
-- C code reads and writes columns by their position: catalog.c (audited_table), record.h (audit_log).

CREATE TABLE authz.audited_table (
	relation		regclass PRIMARY KEY,
	trail			bigint NOT NULL,
	active			boolean NOT NULL DEFAULT true,
	exclude_columns	name[] NOT NULL DEFAULT '{}',
	clear_columns	name[] NOT NULL DEFAULT '{}',
	actions			text[] NOT NULL,
	logical			regclass NOT NULL,
	complete		boolean NOT NULL DEFAULT false,
	audited_at		timestamptz NOT NULL DEFAULT now(),
	audited_by		name NOT NULL DEFAULT session_user,
	reads			boolean NOT NULL DEFAULT false
);
CREATE INDEX audited_table_logical_idx ON authz.audited_table (logical);
CREATE SEQUENCE authz.audit_trail_seq;
COMMENT ON SEQUENCE authz.audit_trail_seq IS 'numbers of trails';
COMMENT ON TABLE authz.audited_table IS 'tables whose changes are recorded, with their partitions and children; filled by authz.audit';
COMMENT ON COLUMN authz.audited_table.relation IS 'an ordinary or partitioned table';
COMMENT ON COLUMN authz.audited_table.trail IS 'number of its records in authz.audit_log, whatever its name; partitions have that of their parent';
COMMENT ON COLUMN authz.audited_table.active IS 'false: it was audited once; its trail is there to be read';
COMMENT ON COLUMN authz.audited_table.exclude_columns IS 'columns whose values are never recorded';
COMMENT ON COLUMN authz.audited_table.clear_columns IS 'columns that are recorded in clear although they have a mask';
COMMENT ON COLUMN authz.audited_table.actions IS 'of insert, update, delete, truncate';
COMMENT ON COLUMN authz.audited_table.logical IS 'table that authz.audit was called for: itself, or the parent it is a part of';
COMMENT ON COLUMN authz.audited_table.complete IS 'its triggers have been seen in place, and must stay so';
COMMENT ON COLUMN authz.audited_table.audited_at IS 'since when';
COMMENT ON COLUMN authz.audited_table.audited_by IS 'session user who did it';
COMMENT ON COLUMN authz.audited_table.reads IS 'also statements that read it are recorded, in authz.access_log';

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON authz.audited_table
	FOR EACH ROW EXECUTE FUNCTION authz.table_changed();
ALTER TABLE authz.audited_table ENABLE ALWAYS TRIGGER changed;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.audited_table
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();

-- A dump brings the rows before the triggers of their tables.
CREATE FUNCTION authz.begin_audit() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	NEW.complete := false;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION authz.begin_audit() IS 'trigger: a new audit is complete when check_audit has seen it';
CREATE TRIGGER begin BEFORE INSERT ON authz.audited_table
	FOR EACH ROW EXECUTE FUNCTION authz.begin_audit();

-- Policies are numbered in policy_history; record.c keeps the last number until it hears of another.
CREATE TRIGGER changed AFTER INSERT ON authz.policy_history
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.policy_history ENABLE ALWAYS TRIGGER changed;

CREATE TABLE authz.audit_log (
	LIKE authz.record INCLUDING COMMENTS,
	key			jsonb,
	old_key		jsonb,
	old_values	jsonb,
	new_values	jsonb
) PARTITION BY RANGE (recorded_at);
ALTER TABLE authz.audit_log ALTER trail SET NOT NULL, ALTER policy_version SET NOT NULL, ALTER roles SET NOT NULL,
	ALTER database_role SET NOT NULL, ALTER relation SET NOT NULL;
COMMENT ON TABLE authz.audit_log IS 'what was done to rows of audited tables, by whom; written by the triggers of authz.audit only';
COMMENT ON COLUMN authz.audit_log.action IS 'insert, update, delete, truncate; alter, drop: ALTER TABLE, DROP TABLE; audit, unaudit: what was done to the audit itself';
COMMENT ON COLUMN authz.audit_log.relation IS 'table that the statement named, qualified, as it was called then';
COMMENT ON COLUMN authz.audit_log.key IS 'primary key of the row, after the change; NULL if the table has none';
COMMENT ON COLUMN authz.audit_log.old_key IS 'primary key before the change, if it was another';
COMMENT ON COLUMN authz.audit_log.old_values IS 'the row before; of an update only the changed columns, but all if the table has no primary key; masked columns as everybody may see them';
COMMENT ON COLUMN authz.audit_log.new_values IS 'the row after; of an update only the changed columns; masked columns as everybody may see them';

SELECT authz.finish_log('audit_log');

SELECT pg_catalog.pg_extension_config_dump('authz.audited_table', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation)');
SELECT pg_catalog.pg_extension_config_dump('authz.audit_trail_seq', '');

CREATE FUNCTION authz.audit_statement() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_audit_statement';
COMMENT ON FUNCTION authz.audit_statement() IS 'trigger: records what a statement changed';

CREATE FUNCTION authz.audit_row() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_audit_row';
COMMENT ON FUNCTION authz.audit_row() IS 'trigger: records what logical replication changed';

CREATE FUNCTION authz.audit_event(relation text, trail bigint, action text, old_values jsonb, new_values jsonb) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_audit_event';
COMMENT ON FUNCTION authz.audit_event(text, bigint, text, jsonb, jsonb) IS 'records what was done to the audit of a table';

CREATE FUNCTION authz.is_audited(relation oid) RETURNS boolean
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_is_audited';
COMMENT ON FUNCTION authz.is_audited(oid) IS 'is the table audited by now, whatever the transaction''s snapshot sees';

CREATE FUNCTION authz.qualified_name(relation regclass) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
BEGIN ATOMIC
	SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.oid = relation;
END;
COMMENT ON FUNCTION authz.qualified_name(regclass) IS 'name of a table with its schema, as records have it';

-- The triggers that a table must have and has not, as pg_trigger has them.  tgtype: 1 for each row, 4 insert,
-- 8 delete, 16 update, 32 truncate.  Rows are in ordinary tables only; a row trigger of a partitioned table would
-- be its partitions' as well, and in the way of attaching what has one of its own.
CREATE FUNCTION authz.missing_audit_triggers(audited authz.audited_table)
	RETURNS TABLE (name name, type smallint, enabled "char", function text, old_table name, new_table name)
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT w.name::name, w.type::smallint, w.enabled::"char", w.function, w.old_table::name, w.new_table::name
	FROM (
		SELECT 'authz_audit_' || a.action, a.type, 'A', 'authz.audit_statement', a.old_table, a.new_table
		FROM (VALUES ('insert', 4, NULL, 'authz_new'), ('update', 16, 'authz_old', 'authz_new'),
					 ('delete', 8, 'authz_old', NULL), ('truncate', 32, NULL, NULL)) a(action, type, old_table, new_table)
		WHERE a.action = ANY (audited.actions)
		UNION ALL
		SELECT 'authz_audit_row', 1 + sum(r.type), 'R', 'authz.audit_row', NULL, NULL
		FROM (VALUES ('insert', 4), ('update', 16), ('delete', 8)) r(action, type)
		WHERE r.action = ANY (audited.actions) AND (SELECT c.relkind = 'r' FROM pg_class c WHERE c.oid = audited.relation)
		HAVING count(*) > 0
	) w(name, type, enabled, function, old_table, new_table)
	WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = audited.relation AND t.tgname = w.name
		AND t.tgtype = w.type AND t.tgenabled = w.enabled::"char" AND t.tgfoid = (w.function || '()')::regprocedure
		AND t.tgqual IS NULL AND t.tgattr = ''
		AND t.tgoldtable IS NOT DISTINCT FROM w.old_table::name AND t.tgnewtable IS NOT DISTINCT FROM w.new_table::name);
END;
COMMENT ON FUNCTION authz.missing_audit_triggers(authz.audited_table) IS 'triggers that an audited table lacks, or has otherwise';

CREATE FUNCTION authz.audit_problem(audited authz.audited_table) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT coalesce(
		(SELECT 'it is gone, and no record says so' WHERE c.oid IS NULL),
		(SELECT format('it would be changed unrecorded through its parent %s', i.inhparent::regclass) FROM pg_inherits i
			WHERE i.inhrelid = c.oid AND audited.actions <> '{}'
				AND NOT EXISTS (SELECT FROM authz.audited_table p WHERE p.relation = i.inhparent AND p.active
					-- What it is audited for, by itself or for another parent, this one must be too.
					AND p.actions @> array_remove(audited.actions, 'truncate'))
			ORDER BY 1 LIMIT 1),
		(SELECT format('its part %s is a %s table, whose changes cannot be recorded', i.inhrelid::regclass, CASE f.relkind WHEN 'f' THEN 'foreign' ELSE 'temporary' END)
			FROM pg_inherits i JOIN pg_class f ON f.oid = i.inhrelid
			WHERE i.inhparent = c.oid AND (f.relkind = 'f' OR f.relpersistence = 't') ORDER BY 1 LIMIT 1),
		(SELECT format('column "%s", which the audit excludes or clears, does not exist', e) FROM unnest(audited.exclude_columns || audited.clear_columns) e
			WHERE NOT EXISTS (SELECT FROM pg_attribute a
				WHERE a.attrelid = c.oid AND a.attname = e AND a.attnum > 0 AND NOT a.attisdropped)
			ORDER BY 1 LIMIT 1),
		(SELECT format('column "%s", which the audit excludes, is part of the primary key', a.attname)
			FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
			WHERE i.indrelid = c.oid AND i.indisprimary AND (a.attname = ANY (audited.exclude_columns)
				-- what is generated from it is excluded, too
				OR EXISTS (SELECT FROM pg_attrdef d JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
						AND p.refclassid = 'pg_class'::regclass AND p.refobjid = c.oid
					JOIN pg_attribute s ON s.attrelid = c.oid AND s.attnum = p.refobjsubid
					WHERE d.adrelid = c.oid AND d.adnum = a.attnum AND s.attname = ANY (audited.exclude_columns)))
			ORDER BY 1 LIMIT 1),
		(SELECT format('trigger "%s" is missing, altered or disabled', w.name)
			FROM authz.missing_audit_triggers(audited) w ORDER BY w.name LIMIT 1))
	FROM (SELECT) one LEFT JOIN pg_class c ON c.oid = audited.relation;
END;
COMMENT ON FUNCTION authz.audit_problem(authz.audited_table) IS 'why changes of an audited table might go unrecorded; NULL if nothing is wrong';

-- Make the triggers of one table as its row in audited_table says; what is right already stays.
CREATE FUNCTION authz.install_audit(audited authz.audited_table) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	trigger record;
	enable text[] := '{}';
BEGIN
	FOR trigger IN
		SELECT w.*, array_to_string(ARRAY(SELECT e.event
				FROM (VALUES (1, 'INSERT', 4), (2, 'UPDATE', 16), (3, 'DELETE', 8), (4, 'TRUNCATE', 32)) e(number, event, bit)
				WHERE w.type & e.bit <> 0 ORDER BY e.number), ' OR ') AS events
		FROM authz.missing_audit_triggers(audited) w
	LOOP
		EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s %s %s FOR EACH %s EXECUTE FUNCTION %s()',
			trigger.name, trigger.events, audited.relation,
			CASE WHEN trigger.old_table IS NOT NULL OR trigger.new_table IS NOT NULL THEN 'REFERENCING' END,
			'OLD TABLE AS ' || trigger.old_table, 'NEW TABLE AS ' || trigger.new_table,
			CASE WHEN trigger.type & 1 = 1 THEN 'ROW' ELSE 'STATEMENT' END, trigger.function);
		enable := enable || format('ENABLE %s TRIGGER %I', CASE trigger.enabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, trigger.name);
	END LOOP;
	IF enable <> '{}' THEN
		EXECUTE format('ALTER TABLE %s %s', audited.relation, array_to_string(enable, ', '));
	END IF;
END
$$;
COMMENT ON FUNCTION authz.install_audit(authz.audited_table) IS 'the triggers of one audited table';

-- Triggers of ours for other actions than these.
CREATE FUNCTION authz.remove_audit(relation regclass, actions text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t
		WHERE t.tgrelid = relation
			AND (t.tgfoid = 'authz.audit_statement()'::regprocedure
					AND t.tgname <> ALL (ARRAY(SELECT 'authz_audit_' || a FROM unnest(actions) a))
				OR t.tgfoid = 'authz.audit_row()'::regprocedure
					AND NOT (t.tgname = 'authz_audit_row' AND actions && '{insert,update,delete}'))
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
COMMENT ON FUNCTION authz.remove_audit(regclass, text[]) IS 'drop the audit triggers of a table that are not for these actions';

-- Audit one table as `parent` is, or as it asks itself (parent.relation is itself then).
CREATE FUNCTION authz.audit_as(relation regclass, parent authz.audited_table) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	before authz.audited_table;
	audited authz.audited_table;
	is_itself boolean := relation = parent.relation;
BEGIN
	SELECT * INTO before FROM authz.audited_table t WHERE t.relation = audit_as.relation FOR UPDATE;
	IF NOT is_itself AND before.active IS NOT TRUE THEN
		PERFORM authz.refuse_extension_member(relation);
	END IF;
	audited := before;
	audited.relation := relation;
	-- Its own trail goes on, also after a time without audit; a new part goes on its parent's.
	audited.trail := coalesce(before.trail, CASE WHEN is_itself THEN nextval('authz.audit_trail_seq') ELSE parent.trail END);
	audited.logical := CASE WHEN NOT is_itself AND before.active THEN before.logical ELSE parent.logical END;
	audited.actions := parent.actions;
	audited.exclude_columns := parent.exclude_columns;
	audited.clear_columns := parent.clear_columns;
	audited.reads := parent.reads;
	-- What two parents ask for, or the part itself asked for before, holds together.
	IF NOT is_itself AND before.active THEN
		audited.actions := ARRAY(SELECT DISTINCT a FROM unnest(before.actions || parent.actions) a ORDER BY 1);
		audited.exclude_columns := ARRAY(SELECT DISTINCT e FROM unnest(before.exclude_columns || parent.exclude_columns) e ORDER BY 1);
		audited.clear_columns := ARRAY(SELECT e FROM unnest(before.clear_columns) e WHERE e = ANY (parent.clear_columns) ORDER BY 1);
		audited.reads := before.reads OR parent.reads;
	END IF;
	audited.active := true;
	audited.complete := false;
	IF before.relation IS NULL OR NOT before.active THEN
		audited.audited_at := now();
		audited.audited_by := session_user;
	END IF;
	-- The row comes first: the event trigger sees the commands below and must know of it.
	INSERT INTO authz.audited_table SELECT audited.*
		ON CONFLICT ON CONSTRAINT audited_table_pkey DO UPDATE SET active = true, complete = false, logical = excluded.logical,
			actions = excluded.actions, reads = excluded.reads, exclude_columns = excluded.exclude_columns, clear_columns = excluded.clear_columns,
			audited_at = excluded.audited_at, audited_by = excluded.audited_by;
	PERFORM authz.remove_audit(relation, audited.actions);
	PERFORM authz.install_audit(audited);
	PERFORM authz.audit_event(authz.qualified_name(relation), audited.trail, 'audit',
		CASE WHEN before.active THEN jsonb_build_object('actions', before.actions, 'exclude_columns', before.exclude_columns, 'clear_columns', before.clear_columns)
			|| CASE WHEN before.reads THEN '{"reads": true}' ELSE '{}' END::jsonb END,
		jsonb_build_object('actions', audited.actions, 'exclude_columns', audited.exclude_columns, 'clear_columns', audited.clear_columns)
			|| CASE WHEN audited.reads THEN '{"reads": true}' ELSE '{}' END::jsonb);
END
$$;
COMMENT ON FUNCTION authz.audit_as(regclass, authz.audited_table) IS 'audit one table as another or itself asks for';

-- A table without policies calls nothing of the extension's when it is read, and for who bypasses row security none does.
CREATE FUNCTION authz.require_loaded() RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- A setting of this role or session alone says nothing of the others'.
	IF NOT EXISTS (SELECT FROM pg_settings s, regexp_split_to_table(s.setting, ',') l
				   WHERE s.name IN ('shared_preload_libraries', 'session_preload_libraries')
						AND s.source NOT IN ('user', 'database user', 'client', 'session')
						AND regexp_replace(btrim(l, ' "'), '^.*/|\.so$', '', 'g') = 'authz') THEN
		RAISE EXCEPTION 'reads are recorded only in sessions that load authz when they start'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = format('Set shared_preload_libraries, or ALTER DATABASE %I SET session_preload_libraries = ''authz'' and connect again.', current_database());
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_loaded() IS 'raises if sessions may run without the library of authz';

CREATE FUNCTION authz.do_audit(on_table regclass, actions text[], reads boolean, exclude_columns name[], clear_columns name[],
	extension_member boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted authz.audited_table;
	class record;
	problem text;
	child regclass;
BEGIN
	IF on_table IS NULL OR actions IS NULL OR reads IS NULL OR exclude_columns IS NULL OR clear_columns IS NULL
		OR array_position(actions, NULL) IS NOT NULL OR array_position(exclude_columns || clear_columns, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'arguments of authz.audit must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF reads THEN
		PERFORM authz.require_loaded();
	END IF;
	SELECT a INTO problem FROM unnest(actions) a WHERE a NOT IN ('insert', 'update', 'delete', 'truncate');
	IF FOUND OR cardinality(actions) = 0 AND NOT reads THEN
		RAISE EXCEPTION 'unknown action "%"', coalesce(problem, '')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Actions are insert, update, delete and truncate.';
	END IF;
	SELECT c.relkind, c.relpersistence, c.relnamespace INTO class FROM pg_class c WHERE c.oid = on_table;
	IF class.relkind IS NULL THEN
		RAISE EXCEPTION 'relation with OID % does not exist', on_table::oid USING ERRCODE = 'undefined_table';
	END IF;
	IF class.relnamespace = 'authz'::regnamespace THEN
		RAISE EXCEPTION 'table % belongs to authz', on_table
			USING ERRCODE = 'wrong_object_type', DETAIL = 'It cannot be audited: changes of policies, masks and roles are in authz.policy_history, those of the audit itself in authz.audit_log.';
	END IF;
	IF class.relkind NOT IN ('r', 'p') OR class.relpersistence = 't'
		OR class.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) THEN
		RAISE EXCEPTION '% is not an ordinary or partitioned table', on_table
			USING ERRCODE = 'wrong_object_type', DETAIL = 'Views, foreign and temporary tables, and system catalogs cannot be audited.',
				HINT = 'Audit the tables that a view writes to.';
	END IF;
	IF extension_member IS NOT TRUE AND NOT EXISTS (SELECT FROM authz.audited_table t WHERE t.relation = on_table AND t.active) THEN
		PERFORM authz.refuse_extension_member(on_table);
	END IF;
	wanted.relation := on_table;
	wanted.logical := on_table;
	wanted.reads := reads;
	wanted.actions := ARRAY(SELECT DISTINCT a FROM unnest(actions) a ORDER BY 1);
	wanted.exclude_columns := ARRAY(SELECT DISTINCT e FROM unnest(exclude_columns) e ORDER BY 1);
	wanted.clear_columns := ARRAY(SELECT DISTINCT e FROM unnest(clear_columns) e ORDER BY 1);
	-- Nobody attaches a partition meanwhile; whoever changes rows has ended.
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE', on_table);
	problem := authz.audit_problem(wanted);
	IF problem IS NULL AND EXISTS (SELECT FROM authz.audited_table t WHERE t.relation = on_table AND t.active AND t.logical = on_table
			AND (t.actions, t.reads, t.exclude_columns, t.clear_columns) = (wanted.actions, wanted.reads, wanted.exclude_columns, wanted.clear_columns)) THEN
		RAISE NOTICE 'table % is audited already', on_table;
		RETURN;
	END IF;
	IF problem NOT LIKE 'trigger "authz\_audit\_%' THEN
		RAISE EXCEPTION 'table % cannot be audited so', on_table
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = upper(left(problem, 1)) || substr(problem, 2) || '.';
	END IF;
	PERFORM authz.extend_logs();
	-- As asked for now, also those that were parts already.
	UPDATE authz.audited_table t SET active = false, complete = false WHERE t.logical = on_table AND t.relation <> on_table;
	PERFORM authz.audit_as(on_table, wanted);
	SELECT * INTO wanted FROM authz.audited_table t WHERE t.relation = on_table;
	FOR child IN SELECT d FROM authz.descendants(on_table) d LOOP
		-- The event trigger has been at some of them.
		CONTINUE WHEN EXISTS (SELECT FROM authz.audited_table t WHERE t.relation = child AND t.active AND authz.audit_problem(t) IS NULL
			AND (t.actions, t.reads, t.exclude_columns, t.clear_columns) = (wanted.actions, wanted.reads, wanted.exclude_columns, wanted.clear_columns));
		PERFORM authz.audit_as(child, wanted);
	END LOOP;
	PERFORM authz.check_audit(ARRAY[on_table::oid] || ARRAY(SELECT d::oid FROM authz.descendants(on_table) d), 'audit');
	SELECT t.relation, authz.audit_problem(t) INTO child, problem FROM authz.audited_table t
		WHERE NOT t.complete AND t.relation IN (SELECT d FROM authz.descendants(on_table) d) ORDER BY t.relation::oid LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table %, part of table %, cannot be audited so', child, on_table
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = upper(left(problem, 1)) || substr(problem, 2) || '.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.do_audit(regclass, text[], boolean, name[], name[], boolean) IS 'authz.audit, for administrators';

CREATE FUNCTION authz.audit(on_table regclass, actions text[] DEFAULT '{insert,update,delete,truncate}', reads boolean DEFAULT false,
	exclude_columns name[] DEFAULT '{}', clear_columns name[] DEFAULT '{}', extension_member boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_admin('audit', on_table);
	PERFORM authz.do_audit(on_table, actions, reads, exclude_columns, clear_columns, extension_member);
END
$$;
COMMENT ON FUNCTION authz.audit(regclass, text[], boolean, name[], name[], boolean) IS
	'from now on every change of the table, its partitions and children leaves a record in authz.audit_log, with reads every statement '
	'that reads it one in authz.access_log; again: with other settings; extension_member: also if the table belongs to an extension, '
	'whose tables a dump restores without audit';

CREATE FUNCTION authz.do_unaudit(on_table regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	part authz.audited_table;
	parent regclass;
	ended regclass[];
BEGIN
	IF NOT EXISTS (SELECT FROM authz.audited_table t WHERE t.relation = on_table AND t.active AND t.logical = t.relation) THEN
		RAISE EXCEPTION 'table % is not audited by itself', on_table
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'The audit of a partition or child ends with its parent''s.';
	END IF;
	IF EXISTS (SELECT FROM authz.audited_schema s JOIN pg_namespace n ON n.nspname = s.schema JOIN pg_class c ON c.relnamespace = n.oid WHERE c.oid = on_table) THEN
		RAISE EXCEPTION 'schema of table % is audited', on_table
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call authz.unaudit_schema first.';
	END IF;
	SELECT i.inhparent::regclass INTO parent FROM pg_inherits i JOIN authz.audited_table t ON t.relation = i.inhparent
		WHERE i.inhrelid = on_table AND t.active ORDER BY i.inhseqno LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'table % is part of audited table %', on_table, parent
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Call authz.unaudit for the parent, or detach the part first.';
	END IF;
	ended := ARRAY(SELECT on_table UNION SELECT d FROM authz.descendants(on_table) d
		UNION SELECT t.relation FROM authz.audited_table t WHERE t.logical = on_table AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation));
	-- A part of another audited table goes on as part of that.
	UPDATE authz.audited_table t SET logical = p.logical
		FROM pg_inherits i JOIN authz.audited_table p ON p.relation = i.inhparent AND p.active
		WHERE i.inhrelid = t.relation AND t.active AND t.relation = ANY (ended) AND p.relation <> ALL (ended);
	FOR part IN
		WITH e AS (
			UPDATE authz.audited_table t SET active = false, complete = false
			WHERE t.active AND t.relation = ANY (ended) AND t.logical = ANY (ended) RETURNING t.*)
		SELECT * FROM e ORDER BY e.relation::oid
	LOOP
		PERFORM authz.audit_event(coalesce(authz.qualified_name(part.relation), part.relation::text), part.trail, 'unaudit', jsonb_build_object(
			'actions', part.actions, 'exclude_columns', part.exclude_columns, 'clear_columns', part.clear_columns)
			|| CASE WHEN part.reads THEN '{"reads": true}' ELSE '{}' END::jsonb, NULL);
		PERFORM authz.remove_audit(part.relation, '{}');
	END LOOP;
	DELETE FROM authz.audited_table t WHERE t.relation = ANY (ended) AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation);
END
$$;
COMMENT ON FUNCTION authz.do_unaudit(regclass) IS 'authz.unaudit, for administrators';

CREATE FUNCTION authz.unaudit(on_table regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_admin('unaudit', on_table);
	PERFORM authz.do_unaudit(on_table);
END
$$;
COMMENT ON FUNCTION authz.unaudit(regclass) IS 'undo authz.audit; what was recorded stays';

REVOKE ALL ON FUNCTION authz.begin_audit(), authz.require_loaded(), authz.audit_statement(), authz.audit_row(), authz.audit_event(text, bigint, text, jsonb, jsonb),
	authz.qualified_name(regclass), authz.missing_audit_triggers(authz.audited_table), authz.audit_problem(authz.audited_table),
	authz.install_audit(authz.audited_table), authz.remove_audit(regclass, text[]),
	authz.audit_as(regclass, authz.audited_table), authz.do_audit(regclass, text[], boolean, name[], name[], boolean),
	authz.do_unaudit(regclass), authz.audit(regclass, text[], boolean, name[], name[], boolean), authz.unaudit(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.do_audit(regclass, text[], boolean, name[], name[], boolean), authz.do_unaudit(regclass) TO authz_admin;
GRANT EXECUTE ON FUNCTION authz.audit(regclass, text[], boolean, name[], name[], boolean), authz.unaudit(regclass) TO PUBLIC;
-- Whoever drops a table runs it.
REVOKE ALL ON FUNCTION authz.is_audited(oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.is_audited(oid) TO PUBLIC;
REVOKE ALL ON TABLE authz.audited_table FROM PUBLIC;
GRANT SELECT ON TABLE authz.audited_table TO authz_admin, authz_auditor;
