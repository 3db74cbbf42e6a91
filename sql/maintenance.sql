-- An owner at maintenance: migrations and jobs of who owns protected tables (maintenance.c).

CREATE FUNCTION authz.maintenance(reason text) RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'authz_maintenance';
COMMENT ON FUNCTION authz.maintenance(text) IS
	'until the end of the transaction or savepoint, policies do not filter the current database role on the tables that it owns; '
	'only where a superuser has set authz.allow_maintenance for the login, and nobody is logged in; leaves a record in authz.denial_log';

-- Everybody: it asks authz.allow_maintenance itself.
REVOKE ALL ON FUNCTION authz.maintenance(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.maintenance(text) TO PUBLIC;
