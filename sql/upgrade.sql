-- After pg_upgrade.  It keeps the OIDs of tables, types and roles, but those of functions, operators, collations and schemas
-- are new.  A policy or mask that names such an object denies then, because it seems to name another one than when it was stored.

CREATE FUNCTION authz.after_upgrade() RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	policy authz.policy;
	mask authz.mask;
	schemas authz.protected_schema[];
	reason text;
	mended bigint := 0;
BEGIN
	-- Triggers find the objects anew, by the names in the texts.
	FOR policy IN SELECT * FROM authz.policy p ORDER BY p.relation::oid, p.name LOOP
		BEGIN
			UPDATE authz.policy p SET condition = p.condition WHERE p.relation = policy.relation AND p.name = policy.name;
			mended := mended + 1;
		EXCEPTION
			WHEN deadlock_detected OR lock_not_available OR serialization_failure OR query_canceled THEN
				RAISE;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
				RAISE WARNING 'policy "%" on table % is not valid and denies', policy.name, policy.relation
					USING DETAIL = format('It fails: %s.', reason), HINT = 'Correct or drop it.';
		END;
	END LOOP;
	FOR mask IN SELECT * FROM authz.mask m ORDER BY m.relation::oid, m.column_name, m.priority LOOP
		BEGIN
			UPDATE authz.mask m SET mask = m.mask
				WHERE m.relation = mask.relation AND m.column_name = mask.column_name AND m.priority = mask.priority;
			mended := mended + 1;
		EXCEPTION
			WHEN deadlock_detected OR lock_not_available OR serialization_failure OR query_canceled THEN
				RAISE;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS reason = MESSAGE_TEXT;
				RAISE WARNING 'mask % of column "%" on table % is not valid and denies', mask.priority, mask.column_name, mask.relation
					USING DETAIL = format('It fails: %s.', reason), HINT = 'Correct or drop it.';
		END;
	END LOOP;
	-- All go before one comes back: the new OID of one may be the old one of another.
	WITH stale AS (
		DELETE FROM authz.protected_schema s
		WHERE EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = s.name AND n.oid <> s.schema) RETURNING s)
	SELECT array_agg(stale.s) INTO schemas FROM stale;
	INSERT INTO authz.protected_schema SELECT s.* FROM unnest(schemas) s;
	RETURN mended + coalesce(cardinality(schemas), 0);
END
$$;
COMMENT ON FUNCTION authz.after_upgrade() IS
	'to be called once after pg_upgrade, in every database: policies, masks and protected schemas find their functions and schemas again; returns how many of them hold';
REVOKE ALL ON FUNCTION authz.after_upgrade() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.after_upgrade() TO authz_admin;
