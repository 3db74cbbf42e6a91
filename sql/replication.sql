-- The tables of the extension are each database's own: what logical replication brings for them
-- (a publication FOR ALL TABLES has them) is not taken.  Last, when all tables are there.

CREATE FUNCTION authz.ignore_replication() RETURNS trigger
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'authz_ignore_replication';
COMMENT ON FUNCTION authz.ignore_replication() IS 'trigger: takes no row, and refuses a TRUNCATE, that logical replication brings';
REVOKE ALL ON FUNCTION authz.ignore_replication() FROM PUBLIC;

DO $$
DECLARE
	tab regclass;
BEGIN
	-- Partitions have the row trigger of their log.
	FOR tab IN
		SELECT c.oid::regclass FROM pg_catalog.pg_class c
		WHERE c.relnamespace OPERATOR(pg_catalog.=) 'authz'::pg_catalog.regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
	LOOP
		EXECUTE pg_catalog.format('CREATE TRIGGER ignore_replication BEFORE INSERT OR UPDATE OR DELETE ON %s
			FOR EACH ROW EXECUTE FUNCTION authz.ignore_replication()', tab);
		EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER ignore_replication', tab);
		-- The logs have a trigger that refuses every TRUNCATE.
		CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) tab AND t.tgname OPERATOR(pg_catalog.=) 'refuse_change');
		EXECUTE pg_catalog.format('CREATE TRIGGER ignore_replicated_truncate BEFORE TRUNCATE ON %s
			FOR EACH STATEMENT EXECUTE FUNCTION authz.ignore_replication()', tab);
		EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER ignore_replicated_truncate', tab);
	END LOOP;
END
$$;
