-- Masks: what stands in the place of a column's value, for whom and in which rows.
-- C code reads columns by their position: catalog.h.

CREATE TABLE authz.mask (
	relation		regclass NOT NULL,
	column_name		name NOT NULL,
	priority		integer NOT NULL DEFAULT 100,
	mask			text NOT NULL,
	roles			text[] NOT NULL DEFAULT '{*}',
	condition		text NOT NULL DEFAULT 'true',
	valid_during	tstzrange NOT NULL DEFAULT '(,)',
	enabled			boolean NOT NULL DEFAULT true,
	description		text,
	version			bigint NOT NULL,
	changed_at		timestamptz NOT NULL,
	changed_by		name NOT NULL,
	depends_on		oid[] NOT NULL,
	reads_settings	text,
	CONSTRAINT mask_pkey PRIMARY KEY (relation, column_name, priority),
	CONSTRAINT mask_roles_given CHECK (
		pg_catalog.cardinality(roles) OPERATOR(pg_catalog.>) 0 AND
		pg_catalog.array_position(roles, NULL) IS NULL),
	CONSTRAINT mask_valid_during_not_empty CHECK (NOT pg_catalog.isempty(valid_during)),
	CONSTRAINT mask_reads_settings_has_reason CHECK (reads_settings OPERATOR(pg_catalog.<>) '')
);
COMMENT ON TABLE authz.mask IS 'masks; a change binds the next statement of every session';
COMMENT ON COLUMN authz.mask.relation IS 'protected table';
COMMENT ON COLUMN authz.mask.column_name IS 'whose value is masked where a masked view shows it; NULL where no mask of the column applies';
COMMENT ON COLUMN authz.mask.priority IS 'the mask of the lowest number that applies decides';
COMMENT ON COLUMN authz.mask.mask IS
	'clear, null, email, hash, uuid, constant(..), partial(..), date(..), round(..), json(..), or an SQL expression over the row';
COMMENT ON COLUMN authz.mask.roles IS 'roles it applies to; * is every identity, anonymous is no identity';
COMMENT ON COLUMN authz.mask.condition IS 'boolean expression over the row, called resource; it applies where that is true';
COMMENT ON COLUMN authz.mask.valid_during IS 'the time in which it applies';
COMMENT ON COLUMN authz.mask.enabled IS 'a disabled mask does not apply; its column is masked all the same';
COMMENT ON COLUMN authz.mask.description IS 'for people';
COMMENT ON COLUMN authz.mask.version IS 'number of the change that made it so, see authz.policy_history';
COMMENT ON COLUMN authz.mask.changed_at IS 'when the change was made: start of its transaction';
COMMENT ON COLUMN authz.mask.changed_by IS 'session user who made the change';
COMMENT ON COLUMN authz.mask.depends_on IS 'objects whose change may break the mask';
COMMENT ON COLUMN authz.mask.reads_settings IS 'why it may read settings of the session; NULL: it may not';

CREATE FUNCTION authz.canonicalise_mask() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_canonicalise_mask';
COMMENT ON FUNCTION authz.canonicalise_mask() IS 'trigger: checks mask and condition and stores them in canonical form';

CREATE FUNCTION authz.check_mask(relation regclass, column_name name, mask text) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_check_mask';
COMMENT ON FUNCTION authz.check_mask(regclass, name, text) IS 'raises if a stored mask cannot be read any more';

CREATE FUNCTION authz.mask_reads_settings(relation regclass, column_name name, mask text) RETURNS text
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_mask_reads_settings';
COMMENT ON FUNCTION authz.mask_reads_settings(regclass, name, text) IS 'what in a stored mask reads settings of the session; NULL if nothing does';

-- Names the change, unless a superuser restores a row with all that says so.
CREATE FUNCTION authz.number_mask() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'INSERT' AND NEW.version IS NOT NULL AND NEW.changed_at IS NOT NULL AND NEW.changed_by IS NOT NULL
		AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
		RETURN NEW;
	END IF;
	IF (TG_OP = 'INSERT' OR (NEW.relation, NEW.column_name, NEW.priority) <> (OLD.relation, OLD.column_name, OLD.priority)) AND EXISTS (
		SELECT FROM authz.mask m WHERE m.relation = NEW.relation AND m.column_name = NEW.column_name AND m.priority = NEW.priority) THEN
		RAISE EXCEPTION 'column "%" of table % already has a mask of priority %', NEW.column_name, NEW.relation, NEW.priority
			USING ERRCODE = 'duplicate_object', HINT = 'Give another priority: the mask of the lowest number that applies decides.';
	END IF;
	-- What the constraints refuse as well, for those who read messages.
	IF NEW.mask IS NULL OR NEW.priority IS NULL OR NEW.roles = '{}' OR isempty(NEW.valid_during) THEN
		RAISE EXCEPTION 'a mask needs a priority, a mask, roles and a time in which it is valid'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = NEW.relation AND t.logical <> t.relation) THEN
		RAISE EXCEPTION 'table % is protected as a part of another table', NEW.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The masks of that table hold.',
				HINT = 'Mask the column there, or call authz.protect for this table first: its own policies and masks hold then.';
	END IF;
	PERFORM authz.require_roles(NEW.roles);
	NEW.version := authz.next_version();
	NEW.changed_at := now();
	NEW.changed_by := session_user;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION authz.number_mask() IS 'trigger: version, time and author of a change';

-- BEFORE triggers fire in the order of their names.
CREATE TRIGGER a_require_owner BEFORE INSERT OR UPDATE OR DELETE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.require_owner();
CREATE TRIGGER b_canonicalise BEFORE INSERT OR UPDATE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.canonicalise_mask();
CREATE TRIGGER c_number BEFORE INSERT OR UPDATE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.number_mask();
CREATE TRIGGER record AFTER INSERT OR UPDATE OR DELETE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.record_change('mask', 'column_name', 'priority', ' ');
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.table_changed();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.mask
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();
-- Also where rows come by logical replication.
ALTER TABLE authz.mask ENABLE ALWAYS TRIGGER changed;

SELECT pg_catalog.pg_extension_config_dump('authz.mask', '');

-- What the planner calls.

CREATE FUNCTION authz.masked_support(internal) RETURNS internal
LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_masked_support';
COMMENT ON FUNCTION authz.masked_support(internal) IS 'planner support of authz.masked';

-- column_name is text: a name has a collation of its own, which would become the view's.
CREATE FUNCTION authz.masked(value anyelement, column_name text, relation oid) RETURNS anyelement
LANGUAGE c STABLE PARALLEL SAFE COST 10 SUPPORT authz.masked_support
AS 'MODULE_PATHNAME', 'authz_masked';
COMMENT ON FUNCTION authz.masked(anyelement, text, oid) IS
	'for the columns of masked views: the planner replaces it by what the identity may see of the column';

CREATE FUNCTION authz.is_masked_support(internal) RETURNS internal
LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'authz_is_masked_support';
COMMENT ON FUNCTION authz.is_masked_support(internal) IS 'planner support of authz.is_masked';

CREATE FUNCTION authz.is_masked("row" record, column_name name) RETURNS boolean
LANGUAGE c STABLE PARALLEL SAFE COST 10 SUPPORT authz.is_masked_support
AS 'MODULE_PATHNAME', 'authz_is_masked';
COMMENT ON FUNCTION authz.is_masked(record, name) IS
	'does this row of a masked view show anything but the value of the column? planned away, costs next to nothing';

-- The comfortable way to the table.  Bodies are parsed once (BEGIN ATOMIC) and set no search_path:
-- names in a mask resolve under the path of the caller.

CREATE FUNCTION authz.require_mask(on_table regclass, column_name name, priority integer) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- Locked, or somebody could drop it before it is changed.
	PERFORM FROM authz.mask m
		WHERE m.relation = on_table AND m.column_name = require_mask.column_name AND m.priority = require_mask.priority FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of table % has no mask of priority %', column_name, on_table, priority
			USING ERRCODE = 'undefined_object';
	END IF;
END
$$;
COMMENT ON FUNCTION authz.require_mask(regclass, name, integer) IS 'raises if there is no such mask';

CREATE FUNCTION authz.create_mask(
	on_table regclass, column_name name, mask text, roles text[] DEFAULT '{*}', condition text DEFAULT 'true',
	priority integer DEFAULT 100, valid_during tstzrange DEFAULT '(,)', description text DEFAULT NULL,
	reads_settings text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO authz.mask (relation, column_name, priority, mask, roles, condition, valid_during, description, reads_settings)
		VALUES (on_table, create_mask.column_name, create_mask.priority, create_mask.mask, roles, condition,
				valid_during, description, reads_settings);
END;
COMMENT ON FUNCTION authz.create_mask(regclass, name, text, text[], text, integer, tstzrange, text, text) IS
	'mask a column for roles, where a condition is true; the lowest priority that applies decides';

CREATE FUNCTION authz.alter_mask(
	on_table regclass, column_name name, mask text DEFAULT NULL, roles text[] DEFAULT NULL, condition text DEFAULT NULL,
	priority integer DEFAULT 100, valid_during tstzrange DEFAULT NULL, description text DEFAULT NULL,
	enabled boolean DEFAULT NULL, reads_settings text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.require_mask(on_table, column_name, priority);
	UPDATE authz.mask m SET
		mask = coalesce(alter_mask.mask, m.mask),
		roles = coalesce(alter_mask.roles, m.roles),
		condition = coalesce(alter_mask.condition, m.condition),
		valid_during = coalesce(alter_mask.valid_during, m.valid_during),
		description = nullif(coalesce(alter_mask.description, m.description), ''),
		enabled = coalesce(alter_mask.enabled, m.enabled),
		reads_settings = nullif(coalesce(alter_mask.reads_settings, m.reads_settings), '')
	WHERE m.relation = on_table AND m.column_name = alter_mask.column_name AND m.priority = alter_mask.priority;
END;
COMMENT ON FUNCTION authz.alter_mask(regclass, name, text, text[], text, integer, tstzrange, text, boolean, text) IS
	'change what is given of the mask with this priority; an empty description or reads_settings takes it away';

CREATE FUNCTION authz.drop_mask(on_table regclass, column_name name, priority integer DEFAULT 100) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.require_mask(on_table, column_name, priority);
	DELETE FROM authz.mask m
		WHERE m.relation = on_table AND m.column_name = drop_mask.column_name AND m.priority = drop_mask.priority;
END;
COMMENT ON FUNCTION authz.drop_mask(regclass, name, integer) IS
	'drop a mask; without its last one the column is shown as it is';

REVOKE ALL ON FUNCTION
	authz.canonicalise_mask(), authz.check_mask(regclass, name, text), authz.mask_reads_settings(regclass, name, text), authz.number_mask(), authz.masked_support(internal), authz.is_masked_support(internal),
	authz.require_mask(regclass, name, integer),
	authz.create_mask(regclass, name, text, text[], text, integer, tstzrange, text, text),
	authz.alter_mask(regclass, name, text, text[], text, integer, tstzrange, text, boolean, text),
	authz.drop_mask(regclass, name, integer)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	authz.require_mask(regclass, name, integer),
	authz.create_mask(regclass, name, text, text[], text, integer, tstzrange, text, text),
	authz.alter_mask(regclass, name, text, text[], text, integer, tstzrange, text, boolean, text),
	authz.drop_mask(regclass, name, integer)
	TO authz_admin;
-- Everybody: masked views call the first for whoever asks.
REVOKE ALL ON FUNCTION authz.masked(anyelement, text, oid), authz.is_masked(record, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.masked(anyelement, text, oid), authz.is_masked(record, name) TO PUBLIC;
REVOKE ALL ON TABLE authz.mask FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE authz.mask TO authz_admin;
