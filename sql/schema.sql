-- The extension's roles, and who may enter the schema.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'authz_admin') THEN
		CREATE ROLE authz_admin NOLOGIN;
		COMMENT ON ROLE authz_admin IS 'may administer authz: policies, roles, grants, issuers, keys';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'authz_view') THEN
		CREATE ROLE authz_view NOLOGIN;
		COMMENT ON ROLE authz_view IS 'owns masked views of tables whose own owner bypasses row security; has rights on these tables only, and no members';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'authz_auditor') THEN
		CREATE ROLE authz_auditor NOLOGIN;
		COMMENT ON ROLE authz_auditor IS 'may read and verify the audit log of authz, and nothing else';
	END IF;
END
$$;

CREATE SCHEMA authz;
GRANT USAGE ON SCHEMA authz TO PUBLIC;
COMMENT ON SCHEMA authz IS 'fine-grained access control: policies, identities, decisions';

-- For create_*(..., replace => true): stands in the WHERE of ON CONFLICT DO UPDATE, so that it is asked only where there is one already.
CREATE FUNCTION authz.require_replace(replace boolean, message text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF replace IS NOT TRUE THEN
		RAISE EXCEPTION '%', message USING ERRCODE = 'duplicate_object', HINT = 'With replace => true it is replaced.';
	END IF;
	RETURN true;
END
$$;
COMMENT ON FUNCTION authz.require_replace(boolean, text) IS 'raises the message as duplicate_object unless replace is true';
REVOKE ALL ON FUNCTION authz.require_replace(boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.require_replace(boolean, text) TO authz_admin;
