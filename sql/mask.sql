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
	name			text COLLATE "C" NOT NULL,
	reads_settings	text,
	CONSTRAINT mask_pkey PRIMARY KEY (relation, column_name, priority),
	CONSTRAINT mask_name_key UNIQUE (relation, name),
	CONSTRAINT mask_name_given CHECK (name OPERATOR(pg_catalog.<>) ''),
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
COMMENT ON COLUMN authz.mask.name IS 'unique for the table; if none is given, made from the name of the column';
COMMENT ON COLUMN authz.mask.reads_settings IS 'why it may read settings of the session; NULL: it may not';

CREATE FUNCTION authz.canonicalise_mask() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_canonicalise_mask';
COMMENT ON FUNCTION authz.canonicalise_mask() IS 'trigger: checks mask and condition and stores them in canonical form';

CREATE FUNCTION authz.check_mask(relation regclass, column_name name, mask text, objects oid[]) RETURNS void
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_check_mask';
COMMENT ON FUNCTION authz.check_mask(regclass, name, text, oid[]) IS 'raises if a stored mask cannot be read any more, or names other objects than these';

CREATE FUNCTION authz.mask_reads_settings(relation regclass, column_name name, mask text) RETURNS text
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_mask_reads_settings';
COMMENT ON FUNCTION authz.mask_reads_settings(regclass, name, text) IS 'what in a stored mask reads settings of the session; NULL if nothing does';

-- Names the change, unless a superuser restores a row with all that says so.
CREATE FUNCTION authz.number_mask() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	number integer := 1;
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
	IF TG_OP = 'UPDATE' AND EXISTS (SELECT FROM authz.mask m
			WHERE m.relation = NEW.relation AND m.column_name = NEW.column_name AND m.priority = NEW.priority AND m.name NOT IN (OLD.name, NEW.name)) THEN
		RAISE EXCEPTION 'column "%" of table % already has a mask of priority %', NEW.column_name, NEW.relation, NEW.priority
			USING ERRCODE = 'duplicate_object', HINT = 'Give another priority: the mask of the lowest number that applies decides.';
	END IF;
	IF NEW.mask IS NULL OR NEW.priority IS NULL OR NEW.name = '' OR NEW.roles = '{}' OR isempty(NEW.valid_during) THEN
		RAISE EXCEPTION 'a mask needs a name, a priority, a mask, roles and a time in which it is valid'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF EXISTS (SELECT FROM authz.protected_table t WHERE t.relation = NEW.relation AND t.logical <> t.relation) THEN
		RAISE EXCEPTION 'table % is protected as a part of another table', NEW.relation
			USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'The masks of that table hold.',
				HINT = 'Mask the column there, or call authz.protect for this table first: its own policies and masks hold then.';
	END IF;
	PERFORM authz.require_roles(NEW.roles);
	NEW.version := authz.next_version();
	-- No other change is under way from here on, so the name is still free when the row is there.
	IF NEW.name IS NULL THEN
		NEW.name := NEW.column_name;
		WHILE EXISTS (SELECT FROM authz.mask m WHERE m.relation = NEW.relation AND m.name = NEW.name) LOOP
			number := number + 1;
			NEW.name := NEW.column_name || ' ' || number;
		END LOOP;
	END IF;
	NEW.changed_at := now();
	NEW.changed_by := session_user;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION authz.number_mask() IS 'trigger: version, time and author of a change';

-- Role * is no mask for anonymous.
CREATE FUNCTION authz.warn_of_unreachable_mask() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	behind authz.mask;
	before authz.mask;
BEGIN
	FOR behind IN
		SELECT m.* FROM authz.mask m
		WHERE m.relation = NEW.relation AND m.column_name = NEW.column_name AND m.priority >= NEW.priority AND m.enabled
		ORDER BY m.priority
	LOOP
		SELECT m.* INTO before FROM authz.mask m
			WHERE m.relation = NEW.relation AND m.column_name = NEW.column_name AND m.priority < behind.priority AND m.enabled
				AND (behind.name = NEW.name OR m.name = NEW.name)
				AND m.condition = 'true' AND m.valid_during = '(,)'
				AND (behind.roles <@ m.roles OR '*' = ANY (m.roles) AND 'anonymous' <> ALL (behind.roles))
			ORDER BY m.priority LIMIT 1;
		IF FOUND THEN
			RAISE WARNING 'mask "%" of column "%" never applies', behind.name, behind.column_name
				USING DETAIL = format('Mask "%s" of priority %s comes first, and applies to the same roles in every row at any time.', before.name, before.priority),
					HINT = format('Give mask "%s" a lower priority than %s.', behind.name, before.priority);
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION authz.warn_of_unreachable_mask() IS 'trigger: warns of a mask that another one before it leaves nothing to';

-- BEFORE triggers fire in the order of their names.
CREATE TRIGGER a_require_owner BEFORE INSERT OR UPDATE OR DELETE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.require_owner();
CREATE TRIGGER b_canonicalise BEFORE INSERT OR UPDATE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.canonicalise_mask();
CREATE TRIGGER c_number BEFORE INSERT OR UPDATE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.number_mask();
CREATE TRIGGER record AFTER INSERT OR UPDATE OR DELETE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.record_change('mask', 'name');
CREATE TRIGGER warn_of_unreachable AFTER INSERT OR UPDATE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.warn_of_unreachable_mask();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON authz.mask
	FOR EACH ROW EXECUTE FUNCTION authz.table_changed();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON authz.mask
	FOR EACH STATEMENT EXECUTE FUNCTION authz.refuse_truncate();
-- Also where rows come by logical replication.
ALTER TABLE authz.mask ENABLE ALWAYS TRIGGER changed;

SELECT pg_catalog.pg_extension_config_dump('authz.mask', 'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = relation)');

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

CREATE FUNCTION authz.find_mask(on_table regclass, column_name name, priority integer, name text) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	place integer;
BEGIN
	-- Locked, or somebody could drop it before it is changed.
	SELECT m.priority INTO place FROM authz.mask m
		WHERE m.relation = on_table AND m.column_name = find_mask.column_name
			AND CASE WHEN find_mask.name IS NOT NULL THEN m.name = find_mask.name COLLATE "C"
					 ELSE m.priority = coalesce(find_mask.priority, 100) END FOR UPDATE;
	IF NOT FOUND AND find_mask.name IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of table % has no mask "%"', column_name, on_table, name USING ERRCODE = 'undefined_object';
	ELSIF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of table % has no mask of priority %', column_name, on_table, coalesce(priority, 100)
			USING ERRCODE = 'undefined_object';
	END IF;
	RETURN place;
END
$$;
COMMENT ON FUNCTION authz.find_mask(regclass, name, integer, text) IS
	'priority of the column''s mask of this name, or else of this priority, or else of 100; raises if there is no such';

CREATE FUNCTION authz.place_mask(on_table regclass, column_name name, priority integer, name text) RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF priority IS NULL THEN
		RETURN coalesce(
			(SELECT m.priority FROM authz.mask m
			 WHERE m.relation = on_table AND m.column_name = place_mask.column_name AND m.name = place_mask.name COLLATE "C"),
			(SELECT greatest(100, max(m.priority) + 10) FROM authz.mask m
			 WHERE m.relation = on_table AND m.column_name = place_mask.column_name));
	END IF;
	IF EXISTS (SELECT FROM authz.mask m
			   WHERE m.relation = on_table AND m.column_name = place_mask.column_name AND m.priority = place_mask.priority
					AND m.name IS DISTINCT FROM place_mask.name COLLATE "C") THEN
		RAISE EXCEPTION 'column "%" of table % already has a mask of priority %', column_name, on_table, priority
			USING ERRCODE = 'duplicate_object', HINT = 'Give another priority: the mask of the lowest number that applies decides.';
	END IF;
	RETURN priority;
END
$$;
COMMENT ON FUNCTION authz.place_mask(regclass, name, integer, text) IS
	'priority for a mask of this name: the one given if it is free, else its present one, else after all that the column has';

CREATE FUNCTION authz.create_mask(
	on_table regclass, column_name name, mask text, roles text[] DEFAULT '{*}', condition text DEFAULT 'true',
	priority integer DEFAULT NULL, valid_during tstzrange DEFAULT '(,)', description text DEFAULT NULL,
	name text DEFAULT NULL, reads_settings text DEFAULT NULL, replace boolean DEFAULT false) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO authz.mask AS m (relation, column_name, priority, mask, roles, condition, valid_during, description, name, reads_settings)
		VALUES (on_table, create_mask.column_name, authz.place_mask(on_table, create_mask.column_name, create_mask.priority, create_mask.name),
				create_mask.mask, roles, condition, valid_during, description, create_mask.name, reads_settings)
		ON CONFLICT (relation, name) DO UPDATE SET
			column_name = excluded.column_name, priority = excluded.priority, mask = excluded.mask, roles = excluded.roles,
			condition = excluded.condition, valid_during = excluded.valid_during, description = excluded.description,
			reads_settings = excluded.reads_settings
		WHERE CASE WHEN authz.require_replace(replace, format('mask "%s" for table "%s" already exists', m.name, m.relation)) THEN
			(m.column_name, m.priority, m.mask, m.roles, m.condition, m.valid_during, m.description, m.reads_settings) IS DISTINCT FROM
			(excluded.column_name, excluded.priority, excluded.mask, excluded.roles, excluded.condition, excluded.valid_during,
			 excluded.description, excluded.reads_settings) END;
END;
COMMENT ON FUNCTION authz.create_mask(regclass, name, text, text[], text, integer, tstzrange, text, text, text, boolean) IS
	'mask a column for roles, where a condition is true; the lowest priority that applies decides, without one it comes last; replace: one of this name becomes as given, and stays enabled or disabled';

CREATE FUNCTION authz.alter_mask(
	on_table regclass, column_name name, mask text DEFAULT NULL, roles text[] DEFAULT NULL, condition text DEFAULT NULL,
	priority integer DEFAULT NULL, valid_during tstzrange DEFAULT NULL, description text DEFAULT NULL,
	enabled boolean DEFAULT NULL, name text DEFAULT NULL, reads_settings text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.find_mask(on_table, alter_mask.column_name, alter_mask.priority, alter_mask.name);
	UPDATE authz.mask m SET
		mask = coalesce(alter_mask.mask, m.mask),
		roles = coalesce(alter_mask.roles, m.roles),
		condition = coalesce(alter_mask.condition, m.condition),
		priority = coalesce(alter_mask.priority, m.priority),
		valid_during = coalesce(alter_mask.valid_during, m.valid_during),
		description = nullif(coalesce(alter_mask.description, m.description), ''),
		enabled = coalesce(alter_mask.enabled, m.enabled),
		reads_settings = nullif(coalesce(alter_mask.reads_settings, m.reads_settings), '')
	WHERE m.relation = on_table AND m.column_name = alter_mask.column_name
		AND m.priority = (SELECT authz.find_mask(on_table, alter_mask.column_name, alter_mask.priority, alter_mask.name));
END;
COMMENT ON FUNCTION authz.alter_mask(regclass, name, text, text[], text, integer, tstzrange, text, boolean, text, text) IS
	'change what is given of the mask with this name (priority is then its new one), or with this priority, or with 100; an empty description or reads_settings takes it away';

CREATE FUNCTION authz.drop_mask(on_table regclass, column_name name, priority integer DEFAULT NULL, name text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
	SELECT authz.find_mask(on_table, drop_mask.column_name, drop_mask.priority, drop_mask.name);
	DELETE FROM authz.mask m
		WHERE m.relation = on_table AND m.column_name = drop_mask.column_name
			AND m.priority = (SELECT authz.find_mask(on_table, drop_mask.column_name, drop_mask.priority, drop_mask.name));
END;
COMMENT ON FUNCTION authz.drop_mask(regclass, name, integer, text) IS
	'drop the mask with this name, or with this priority, or with 100; without its last one the column is shown as it is';

REVOKE ALL ON FUNCTION
	authz.canonicalise_mask(), authz.check_mask(regclass, name, text, oid[]), authz.mask_reads_settings(regclass, name, text), authz.number_mask(), authz.warn_of_unreachable_mask(), authz.masked_support(internal), authz.is_masked_support(internal),
	authz.find_mask(regclass, name, integer, text), authz.place_mask(regclass, name, integer, text),
	authz.create_mask(regclass, name, text, text[], text, integer, tstzrange, text, text, text, boolean),
	authz.alter_mask(regclass, name, text, text[], text, integer, tstzrange, text, boolean, text, text),
	authz.drop_mask(regclass, name, integer, text)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	authz.find_mask(regclass, name, integer, text), authz.place_mask(regclass, name, integer, text),
	authz.create_mask(regclass, name, text, text[], text, integer, tstzrange, text, text, text, boolean),
	authz.alter_mask(regclass, name, text, text[], text, integer, tstzrange, text, boolean, text, text),
	authz.drop_mask(regclass, name, integer, text)
	TO authz_admin;
-- Everybody: masked views call the first for whoever asks.
REVOKE ALL ON FUNCTION authz.masked(anyelement, text, oid), authz.is_masked(record, name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.masked(anyelement, text, oid), authz.is_masked(record, name) TO PUBLIC;
REVOKE ALL ON TABLE authz.mask FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE authz.mask TO authz_admin;
