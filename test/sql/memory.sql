-- A session of a pool sees any number of tables, temporary ones for instance: what authz keeps of tables does not grow with them.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE SCHEMA regress_authz_memory;
CREATE TABLE regress_authz_memory.doc (id int);
SELECT format('ALTER DATABASE %I SET session_preload_libraries = ''authz''', current_database()) AS preload \gexec
\c
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT authz.audit('regress_authz_memory.doc', '{}', reads => true);
SELECT 'CREATE SCHEMA regress_authz_many ' || string_agg(format('CREATE TABLE t%s (id int)', i), ' ') FROM generate_series(1, 1600) i \gexec
-- Each is read (is it audited?), and asked for its policies.
CREATE PROCEDURE regress_authz_memory.look_at(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN first..last LOOP
		BEGIN
			EXECUTE format('SELECT FROM regress_authz_many.t%s', i);
			EXECUTE format('SELECT authz.permits_row(''select'', ROW(1)::regress_authz_many.t%s)', i);
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			NULL;
		END;
		COMMIT;
	END LOOP;
END
$$;
CALL regress_authz_memory.look_at(1, 1600);
-- At 1,000 tables and 500 sets of policies, all are forgotten.
SELECT name, sum(total_bytes) <= CASE name WHEN 'authz policy set' THEN 1100000 ELSE 66000 END AS is_bounded
FROM pg_backend_memory_contexts WHERE name ~ '^authz (policy set|policy sets|tables audited for reads)$' GROUP BY name ORDER BY name;
-- Nothing is lost by it.
SELECT count(*) FROM regress_authz_memory.doc;
SELECT count(*) FROM authz.access_log WHERE relation = 'regress_authz_memory.doc';
SELECT authz.unaudit('regress_authz_memory.doc');
DROP SCHEMA regress_authz_memory, regress_authz_many CASCADE;
