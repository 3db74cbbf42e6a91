-- The administrator's role, and who may enter the schema.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) 'authz_admin') THEN
		CREATE ROLE authz_admin NOLOGIN;
		COMMENT ON ROLE authz_admin IS 'may administer authz: policies, roles, grants, issuers, keys';
	END IF;
END
$$;

CREATE SCHEMA authz;
GRANT USAGE ON SCHEMA authz TO PUBLIC;
COMMENT ON SCHEMA authz IS 'fine-grained access control: policies, identities, decisions';
