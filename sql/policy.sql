-- Policies: who may do what with which rows of which table.
-- C code reads columns by their position: catalog.h.

CREATE TABLE authz.policy (
	relation		regclass NOT NULL,
	name			text COLLATE "C" NOT NULL,
	effect			text NOT NULL DEFAULT 'permit',
	actions			text[] NOT NULL,
	roles			text[] NOT NULL DEFAULT '{*}',
	condition		text NOT NULL DEFAULT 'true',
	check_condition	text,
	columns			name[],
	valid_during	tstzrange NOT NULL DEFAULT '(,)',
	enabled			boolean NOT NULL DEFAULT true,
	description		text,
	version			bigint NOT NULL,
	changed_at		timestamptz NOT NULL,
	changed_by		name NOT NULL,
	depends_on		oid[] NOT NULL,
	may_hide		boolean NOT NULL DEFAULT false,
	reads_settings	text,
	CONSTRAINT policy_pkey PRIMARY KEY (relation, name),
	CONSTRAINT policy_name_given CHECK (name OPERATOR(pg_catalog.<>) ''),
	CONSTRAINT policy_effect_known CHECK (effect OPERATOR(pg_catalog.=) ANY (ARRAY['permit', 'forbid'])),
	CONSTRAINT policy_actions_known CHECK (
		pg_catalog.cardinality(actions) OPERATOR(pg_catalog.>) 0 AND
		actions OPERATOR(pg_catalog.<@) ARRAY['select', 'insert', 'update', 'delete', 'truncate']),
	CONSTRAINT policy_roles_given CHECK (
		pg_catalog.cardinality(roles) OPERATOR(pg_catalog.>) 0 AND
		pg_catalog.array_position(roles, NULL) IS NULL),
	CONSTRAINT policy_check_condition_has_new_row CHECK (
		check_condition IS NULL OR actions OPERATOR(pg_catalog.&&) ARRAY['insert', 'update']),
	CONSTRAINT policy_columns_are_set CHECK (
		columns IS NULL OR (pg_catalog.cardinality(columns) OPERATOR(pg_catalog.>) 0 AND
							actions OPERATOR(pg_catalog.&&) ARRAY['insert', 'update'])),
	CONSTRAINT policy_valid_during_not_empty CHECK (NOT pg_catalog.isempty(valid_during)),
	CONSTRAINT policy_may_hide_is_of_update CHECK (
		NOT may_hide OR (effect OPERATOR(pg_catalog.=) 'permit' AND actions OPERATOR(pg_catalog.@>) ARRAY['update'])),
	CONSTRAINT policy_reads_settings_has_reason CHECK (reads_settings OPERATOR(pg_catalog.<>) '')
);
COMMENT ON TABLE authz.policy IS 'policies; a change binds the next statement of every session';
COMMENT ON COLUMN authz.policy.relation IS 'protected table whose rows are the resource';
COMMENT ON COLUMN authz.policy.effect IS 'permit or forbid; a forbid that applies wins over every permit';
COMMENT ON COLUMN authz.policy.actions IS 'of select, insert, update, delete, truncate';
COMMENT ON COLUMN authz.policy.roles IS 'roles it applies to; * is every identity, anonymous is no identity';
COMMENT ON COLUMN authz.policy.condition IS 'boolean expression over the row, called resource; NULL permits nothing and forbids';
COMMENT ON COLUMN authz.policy.check_condition IS 'on the new row of insert and update; NULL means condition';
COMMENT ON COLUMN authz.policy.columns IS
	'permit: covers these of the columns that a statement sets; forbid: the statement sets one of these; NULL is any';
COMMENT ON COLUMN authz.policy.valid_during IS 'the time in which the policy applies';
COMMENT ON COLUMN authz.policy.name IS 'unique for the table';
COMMENT ON COLUMN authz.policy.enabled IS 'a disabled policy does not apply';
COMMENT ON COLUMN authz.policy.description IS 'for people';
COMMENT ON COLUMN authz.policy.changed_at IS 'when the change was made: start of its transaction';
COMMENT ON COLUMN authz.policy.version IS 'number of the change that made it so, see authz.policy_history';
COMMENT ON COLUMN authz.policy.changed_by IS 'session user who made the change';
COMMENT ON COLUMN authz.policy.depends_on IS 'objects whose change may break a condition';
COMMENT ON COLUMN authz.policy.may_hide IS 'the new row of an UPDATE that this policy permits need not be visible afterwards';
COMMENT ON COLUMN authz.policy.reads_settings IS 'why it may read settings of the session; NULL: it may not';

CREATE FUNCTION authz.require_owner() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_require_owner';
COMMENT ON FUNCTION authz.require_owner() IS 'trigger: only the owner of the table named in the row may change it';

CREATE FUNCTION authz.canonicalise_policy() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_canonicalise_policy';
COMMENT ON FUNCTION authz.canonicalise_policy() IS 'trigger: checks conditions and stores them in canonical form';

CREATE FUNCTION authz.table_changed() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_table_changed';
COMMENT ON FUNCTION authz.table_changed() IS 'trigger: tells every session that policies of a table changed';

CREATE FUNCTION authz.check_condition(relation regclass, condition text, objects oid[]) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_check_condition';
COMMENT ON FUNCTION authz.check_condition(regclass, text, oid[]) IS 'raises if a stored condition cannot be read any more, or names other objects than these';

CREATE FUNCTION authz.condition_reads_settings(relation regclass, condition text) RETURNS text
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_condition_reads_settings';
COMMENT ON FUNCTION authz.condition_reads_settings(regclass, text) IS 'what in a stored condition reads settings of the session; NULL if nothing does';

CREATE FUNCTION authz.require_roles(roles text[]) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
BEGIN
	-- Locked, or somebody could drop the role before what names it is there to be seen.
	SELECT r INTO unknown FROM unnest(roles) r
		WHERE r NOT IN ('*', 'anonymous')
			AND NOT EXISTS (SELECT FROM authz.role x WHERE x.name = r COLLATE "C" FOR KEY SHARE);
	IF FOUND THEN
		RAISE EXCEPTION 'role "%" does not exist', unknown
			USING ERRCODE = 'undefined_object', HINT = 'Create it with authz.create_role.';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_roles(text[]) IS 'raises if one of these roles does not exist';

-- Names the change, unless a superuser restores a row with all that says so.
CREATE FUNCTION authz.number_policy() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
BEGIN
	IF TG_OP = 'INSERT' AND NEW.version IS NOT NULL AND NEW.changed_at IS NOT NULL AND NEW.changed_by IS NOT NULL
		AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RETURN NEW;
	END IF;
	-- authz.after_upgrade, and whoever changes nothing.
	IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'depends_on' = to_jsonb(OLD) - 'depends_on' THEN
		RETURN NEW;
	END IF;
	-- What the constraints refuse as well, for those who read messages.
	IF NEW.name = '' OR NEW.actions = '{}' OR NEW.roles = '{}' OR isempty(NEW.valid_during) THEN
		RAISE EXCEPTION 'a policy needs a name, actions, roles and a time in which it is valid'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF NEW.effect NOT IN ('permit', 'forbid') THEN
		RAISE EXCEPTION 'unknown effect "%"', NEW.effect
			USING ERRCODE = 'invalid_parameter_value', HINT = 'An effect is permit or forbid.';
	END IF;
	IF (NEW.check_condition IS NOT NULL OR NEW.columns IS NOT NULL) AND NOT NEW.actions && '{insert,update}' THEN
		RAISE EXCEPTION 'check_condition and columns are for insert and update'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Make a policy of its own for the other actions.';
	END IF;
	IF NEW.may_hide AND (NEW.effect <> 'permit' OR 'update' <> ALL (NEW.actions)) THEN
		RAISE EXCEPTION 'may_hide is for permits of update'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT a INTO unknown FROM unnest(NEW.actions) a
		WHERE a NOT IN ('select', 'insert', 'update', 'delete', 'truncate');
	IF FOUND THEN
		RAISE EXCEPTION 'unknown action "%"', unknown
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Actions are select, insert, update, delete and truncate.';
	END IF;
	PERFORM authz.require_roles(NEW.roles);
	NEW.version := authz.next_version();
	NEW.changed_at := now();
	NEW.changed_by := session_user;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION authz.number_policy() IS 'trigger: version, time and author of a change';

-- BEFORE triggers fire in the order of their names.
CREATE TRIGGER a_require_owner BEFORE INSERT OR UPDATE OR DELETE ON authz.policy
	FOR EACH ROW EXECUTE FUNCTION authz.require_owner();
CREATE TRIGGER b_canonicalise BEFORE INSERT OR UPDATE ON authz.policy
	FOR EACH ROW EXECUTE FUNCTION authz.canonicalise_policy();
CREATE TRIGGER c_number BEFORE INSERT OR UPDATE ON authz.policy
	FOR EACH ROW EXECUTE FUNCTION authz.number_policy();
CREATE TRIGGER record AFTER INSERT OR UPDATE OR DELETE ON authz.policy
	FOR EACH ROW EXECUTE FUNCTION authz.record_change('policy', 'name');
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON authz.policy
	FOR EACH ROW EXECUTE FUNCTION authz.table_changed();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.policy
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();
-- Also where rows come by logical replication.
ALTER TABLE authz.policy ENABLE ALWAYS TRIGGER changed;

CREATE TRIGGER record AFTER INSERT OR UPDATE OR DELETE ON authz.role
	FOR EACH ROW EXECUTE FUNCTION authz.record_change('role', 'name');
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.role
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();
CREATE TRIGGER record AFTER INSERT OR UPDATE OR DELETE ON authz.role_inheritance
	FOR EACH ROW EXECUTE FUNCTION authz.record_change('role_inheritance', 'role', 'inherits', ' -> ');
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.role_inheritance
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();

-- Rows of a table that is gone would come back as numbers, and those might be of other tables there.
SELECT pg_catalog.pg_extension_config_dump('authz.policy', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation)');

-- What the planner calls.

CREATE FUNCTION authz.permits_support(internal) RETURNS internal
LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_permits_support';
COMMENT ON FUNCTION authz.permits_support(internal) IS 'planner support of authz.permits';

CREATE FUNCTION authz.permits(action text, relation oid) RETURNS boolean
LANGUAGE c STRICT STABLE PARALLEL SAFE COST 10 SUPPORT authz.permits_support
AS 'MODULE_PATHNAME', 'authz_permits';
COMMENT ON FUNCTION authz.permits(text, oid) IS
	'for row security policies of protected tables: the planner replaces it by the conditions that apply';

CREATE FUNCTION authz.denied(action text, relation oid) RETURNS boolean
LANGUAGE c STRICT VOLATILE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_denied';
COMMENT ON FUNCTION authz.denied(text, oid) IS 'refuses a new row that no policy permits (SQLSTATE 42501)';

CREATE FUNCTION authz.denied_column(action text, relation oid, column_name name) RETURNS boolean
LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_denied_column';
COMMENT ON FUNCTION authz.denied_column(text, oid, name) IS 'refuses to set a column that no policy permits to set (SQLSTATE 42501)';

CREATE FUNCTION authz.visible("row" record) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'authz_visible';
COMMENT ON FUNCTION authz.visible(record) IS
	'in a sub-select of a condition: may the current identity select this row of a protected table?';

CREATE FUNCTION authz.permits_row(
	action text, "row" record, columns name[] DEFAULT NULL, statement boolean DEFAULT false) RETURNS boolean
LANGUAGE c STABLE PARALLEL UNSAFE COST 1000 AS 'MODULE_PATHNAME', 'authz_permits_row';
COMMENT ON FUNCTION authz.permits_row(text, record, name[], boolean) IS
	'may the current identity do this with this row of a protected table? columns: those a write sets, NULL for all; '
	'statement: as a statement that looks for the row, which has to be visible too';

-- The comfortable way to the table.  Bodies are parsed once (BEGIN ATOMIC) and set no search_path:
-- names in a condition resolve under the path of the caller.

CREATE FUNCTION authz.require_policy(name text, on_table regclass) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Locked, or somebody could drop it before it is changed.
	PERFORM FROM authz.policy p WHERE p.relation = on_table AND p.name = require_policy.name COLLATE "C" FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'policy "%" for table "%" does not exist', name, on_table
			USING ERRCODE = 'undefined_object';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_policy(text, regclass) IS 'raises if there is no such policy';

CREATE FUNCTION authz.create_policy(
	name text, on_table regclass, actions text[], condition text DEFAULT 'true', roles text[] DEFAULT '{*}',
	check_condition text DEFAULT NULL, columns name[] DEFAULT NULL, effect text DEFAULT 'permit',
	valid_during tstzrange DEFAULT '(,)', description text DEFAULT NULL, may_hide boolean DEFAULT false,
	reads_settings text DEFAULT NULL, replace boolean DEFAULT false) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO authz.policy AS p (relation, name, effect, actions, roles, condition, check_condition, columns,
								   valid_during, description, may_hide, reads_settings)
		VALUES (on_table, create_policy.name, effect, actions, roles, condition, check_condition, columns,
				valid_during, description, may_hide, reads_settings)
		ON CONFLICT (relation, name) DO UPDATE SET
			effect = excluded.effect, actions = excluded.actions, roles = excluded.roles, condition = excluded.condition,
			check_condition = excluded.check_condition, columns = excluded.columns,
			valid_during = excluded.valid_during, description = excluded.description, may_hide = excluded.may_hide,
			reads_settings = excluded.reads_settings
		WHERE CASE WHEN authz.require_replace(replace, format('policy "%s" for table "%s" already exists', p.name, p.relation)) THEN
			(p.effect, p.actions, p.roles, p.condition, p.check_condition, p.columns, p.valid_during, p.description, p.may_hide, p.reads_settings) IS DISTINCT FROM
			(excluded.effect, excluded.actions, excluded.roles, excluded.condition, excluded.check_condition, excluded.columns,
			 excluded.valid_during, excluded.description, excluded.may_hide, excluded.reads_settings) END;
END;
COMMENT ON FUNCTION authz.create_policy(text, regclass, text[], text, text[], text, name[], text, tstzrange, text, boolean, text, boolean) IS
	'make a policy; it binds the next statement of every session; replace: one of this name becomes as given, and stays enabled or disabled';

CREATE FUNCTION authz.alter_policy(
	name text, on_table regclass, actions text[] DEFAULT NULL, condition text DEFAULT NULL, roles text[] DEFAULT NULL,
	check_condition text DEFAULT NULL, columns name[] DEFAULT NULL, effect text DEFAULT NULL,
	valid_during tstzrange DEFAULT NULL, description text DEFAULT NULL, may_hide boolean DEFAULT NULL,
	reads_settings text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.require_policy(name, on_table);
	UPDATE authz.policy p SET
		actions = coalesce(alter_policy.actions, p.actions),
		condition = coalesce(alter_policy.condition, p.condition),
		roles = coalesce(alter_policy.roles, p.roles),
		check_condition = nullif(coalesce(alter_policy.check_condition, p.check_condition), ''),
		columns = nullif(coalesce(alter_policy.columns, p.columns), '{}'),
		effect = coalesce(alter_policy.effect, p.effect),
		valid_during = coalesce(alter_policy.valid_during, p.valid_during),
		description = nullif(coalesce(alter_policy.description, p.description), ''),
		may_hide = coalesce(alter_policy.may_hide, p.may_hide),
		reads_settings = nullif(coalesce(alter_policy.reads_settings, p.reads_settings), '')
	WHERE p.relation = on_table AND p.name = alter_policy.name COLLATE "C";
END;
COMMENT ON FUNCTION authz.alter_policy(text, regclass, text[], text, text[], text, name[], text, tstzrange, text, boolean, text) IS
	'change what is given; an empty check_condition, columns, description or reads_settings takes that one away';

CREATE FUNCTION authz.drop_policy(name text, on_table regclass) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.require_policy(name, on_table);
	DELETE FROM authz.policy p WHERE p.relation = on_table AND p.name = drop_policy.name COLLATE "C";
END;
COMMENT ON FUNCTION authz.drop_policy(text, regclass) IS 'drop a policy';

CREATE FUNCTION authz.enable_policy(name text, on_table regclass) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.require_policy(name, on_table);
	UPDATE authz.policy p SET enabled = true
		WHERE p.relation = on_table AND p.name = enable_policy.name COLLATE "C" AND NOT p.enabled;
END;
COMMENT ON FUNCTION authz.enable_policy(text, regclass) IS 'let a disabled policy apply again';

CREATE FUNCTION authz.disable_policy(name text, on_table regclass) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.require_policy(name, on_table);
	UPDATE authz.policy p SET enabled = false
		WHERE p.relation = on_table AND p.name = disable_policy.name COLLATE "C" AND p.enabled;
END;
COMMENT ON FUNCTION authz.disable_policy(text, regclass) IS 'keep a policy but do not apply it';

REVOKE ALL ON FUNCTION
	authz.require_owner(), authz.canonicalise_policy(), authz.table_changed(), authz.number_policy(),
	authz.check_condition(regclass, text, oid[]), authz.condition_reads_settings(regclass, text), authz.permits_support(internal),
	authz.require_roles(text[]), authz.require_policy(text, regclass),
	authz.create_policy(text, regclass, text[], text, text[], text, name[], text, tstzrange, text, boolean, text, boolean),
	authz.alter_policy(text, regclass, text[], text, text[], text, name[], text, tstzrange, text, boolean, text),
	authz.drop_policy(text, regclass), authz.enable_policy(text, regclass), authz.disable_policy(text, regclass)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	authz.require_roles(text[]), authz.require_policy(text, regclass),
	authz.create_policy(text, regclass, text[], text, text[], text, name[], text, tstzrange, text, boolean, text, boolean),
	authz.alter_policy(text, regclass, text[], text, text[], text, name[], text, tstzrange, text, boolean, text),
	authz.drop_policy(text, regclass), authz.enable_policy(text, regclass), authz.disable_policy(text, regclass)
	TO authz_admin;
-- Everybody: row security calls the first three for whoever asks, visible stands in conditions, permits_row tells them about themselves.
REVOKE ALL ON FUNCTION
	authz.permits(text, oid), authz.denied(text, oid), authz.denied_column(text, oid, name), authz.visible(record),
	authz.permits_row(text, record, name[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	authz.permits(text, oid), authz.denied(text, oid), authz.denied_column(text, oid, name), authz.visible(record),
	authz.permits_row(text, record, name[], boolean) TO PUBLIC;
REVOKE ALL ON TABLE authz.policy FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE authz.policy TO authz_admin;
