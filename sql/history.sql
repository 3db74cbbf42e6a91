-- Every change of policies and roles: numbered, with author and time.

CREATE SEQUENCE authz.version_seq;
COMMENT ON SEQUENCE authz.version_seq IS 'numbers of changes to policies and roles';

CREATE TABLE authz.policy_history (
	version		bigint PRIMARY KEY,
	changed_at	timestamptz NOT NULL,
	changed_by	name NOT NULL,
	subject		text,
	object_type	text NOT NULL,
	operation	text NOT NULL CHECK (operation OPERATOR(pg_catalog.=) ANY (ARRAY['create', 'alter', 'drop'])),
	relation	text,
	name		text NOT NULL,
	old			jsonb,
	new			jsonb
);
COMMENT ON TABLE authz.policy_history IS 'every change of a policy, mask, role or inheritance; filled by triggers only';
COMMENT ON COLUMN authz.policy_history.version IS 'number of the change; commits in this order';
COMMENT ON COLUMN authz.policy_history.changed_at IS 'start of the transaction that made the change';
COMMENT ON COLUMN authz.policy_history.object_type IS 'policy, mask, role or role_inheritance';
COMMENT ON COLUMN authz.policy_history.operation IS 'create, alter or drop';
COMMENT ON COLUMN authz.policy_history.name IS 'of the object; role -> inherited role of an inheritance';
COMMENT ON COLUMN authz.policy_history.changed_by IS 'session user';
COMMENT ON COLUMN authz.policy_history.subject IS 'authz.subject() at the time, if any';
COMMENT ON COLUMN authz.policy_history.relation IS 'table of a policy or mask, qualified';
COMMENT ON COLUMN authz.policy_history.old IS 'the row before, NULL for create';
COMMENT ON COLUMN authz.policy_history.new IS 'the row after, NULL for drop';

SELECT pg_catalog.pg_extension_config_dump('authz.version_seq', '');
SELECT pg_catalog.pg_extension_config_dump('authz.policy_history', '');

-- Changes are numbered one transaction after the other, so that numbers commit in order.
-- Only those who change policies wait for each other here.
CREATE FUNCTION authz.next_version() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	LOCK TABLE authz.policy_history IN SHARE ROW EXCLUSIVE MODE;
	RETURN nextval('authz.version_seq');
END
$$;
COMMENT ON FUNCTION authz.next_version() IS 'number for a change that this transaction makes';

CREATE FUNCTION authz.policy_version() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(max(h.version), 0) FROM authz.policy_history h;
END;
COMMENT ON FUNCTION authz.policy_version() IS 'number of the last change of a policy or role; 0 before the first';

-- AFTER row trigger.  Arguments: object type, then one or two columns that name the object, then what stands between them.
CREATE FUNCTION authz.record_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	old_row	jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) - 'depends_on' END;
	new_row	jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) - 'depends_on' END;
	either	jsonb := coalesce(new_row, old_row);
	number	bigint := (new_row ->> 'version')::bigint;
	relation text := either ->> 'relation';
	object_name text := (either ->> TG_ARGV[1]) || coalesce(TG_ARGV[3] || (either ->> TG_ARGV[2]), '');
	subject text;
BEGIN
	IF TG_OP = 'UPDATE' AND number IS NOT NULL AND new_row = old_row THEN
		RETURN NULL;
	END IF;
	-- A row that came with its version was restored from a dump, and so is its history.
	IF TG_OP = 'INSERT' AND number IS NOT NULL AND (new_row ->> 'changed_at')::timestamptz <> now() THEN
		RETURN NULL;
	END IF;
	-- So was a row that history already has as it is.
	IF TG_OP = 'INSERT' AND number IS NULL
		AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = session_user) AND new_row = (
		SELECT h.new FROM authz.policy_history h WHERE h.object_type = TG_ARGV[0] AND h.name = object_name
		ORDER BY h.version DESC LIMIT 1) THEN
		RETURN NULL;
	END IF;
	-- An unusable token is in nobody's way here; the session user is known anyway.
	BEGIN
		subject := authz.subject();
	EXCEPTION WHEN invalid_authorization_specification THEN
		NULL;
	END;
	-- A dropped table has lost its name; what was last recorded has it.
	IF relation ~ '^[0-9]+$' THEN
		relation := (SELECT h.relation FROM authz.policy_history h
					 WHERE h.version = (old_row ->> 'version')::bigint);
	END IF;
	INSERT INTO authz.policy_history
		VALUES (coalesce(number, authz.next_version()), now(), session_user, subject, TG_ARGV[0],
				CASE TG_OP WHEN 'INSERT' THEN 'create' WHEN 'UPDATE' THEN 'alter' ELSE 'drop' END,
				relation, object_name, old_row, new_row);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION authz.record_change() IS 'trigger: writes authz.policy_history';

CREATE FUNCTION authz.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'cannot truncate %', TG_RELID::regclass
		USING ERRCODE = 'feature_not_supported', HINT = 'Use DELETE, which is recorded row by row.';
END
$$;
COMMENT ON FUNCTION authz.refuse_truncate() IS 'trigger: a table whose changes are recorded is not truncated';

REVOKE ALL ON FUNCTION authz.next_version(), authz.policy_version(), authz.record_change(),
	authz.refuse_truncate() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.policy_version(), authz.next_version() TO authz_admin;
REVOKE ALL ON TABLE authz.policy_history FROM PUBLIC;
GRANT SELECT ON TABLE authz.policy_history TO authz_admin;
