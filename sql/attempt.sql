-- Attempts on the audit itself that are denied leave a record in authz.denial_log (attempt.c).

-- Everybody: who is refused calls it.
CREATE FUNCTION authz.refuse_audit(action text, relation oid, reason text, message text, detail text DEFAULT NULL, hint text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_refuse_audit';
COMMENT ON FUNCTION authz.refuse_audit(text, oid, text, text, text, text) IS
	'records that an attempt on the audit was denied, and raises; action: of a command its tag, or truncate, audit, unaudit, audit_schema, unaudit_schema, audit_retain';

-- Functions of administrators that are to leave such a record are executed by PUBLIC, check by this, and leave the
-- work to one with do_ before its name that only administrators may execute.
CREATE FUNCTION authz.require_admin(action text, relation oid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pg_has_role(current_user, 'authz_admin', 'USAGE') THEN
		RETURN;
	END IF;
	PERFORM authz.refuse_audit(action, relation, 'only an administrator of authz may', format('permission denied for function %s', action),
		hint => 'Members of role authz_admin may call it.');
END
$$;
COMMENT ON FUNCTION authz.require_admin(text, oid) IS 'raises, and leaves a record of it, unless the current user is an administrator';

REVOKE ALL ON FUNCTION authz.refuse_audit(text, oid, text, text, text, text), authz.require_admin(text, oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.refuse_audit(text, oid, text, text, text, text), authz.require_admin(text, oid) TO PUBLIC;
