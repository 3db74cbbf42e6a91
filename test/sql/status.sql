-- authz.protection_status finds what is not as it was made or can be gone round, and its fix mends it.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP SCHEMA IF EXISTS regress_authz, regress_authz_closed CASCADE;
DROP FOREIGN DATA WRAPPER IF EXISTS regress_authz_fdw CASCADE;
DROP ROLE IF EXISTS regress_authz_owner, regress_authz_user, regress_authz_member, regress_authz_backup, regress_authz_operator, regress_authz_root;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
CREATE SCHEMA regress_authz_closed AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user;
SET search_path = regress_authz;
CREATE VIEW status AS
	SELECT relation, ok, problem, fix FROM authz.protection_status()
	WHERE relation IS NULL OR relation IN (SELECT oid FROM pg_class WHERE relnamespace IN ('regress_authz'::regnamespace, 'regress_authz_closed'::regnamespace))
	ORDER BY ok, relation::text COLLATE "C", problem COLLATE "C";
-- What a superuser can do behind the event triggers' back.
CREATE PROCEDURE behind(command text) LANGUAGE plpgsql AS $$
DECLARE
	t name;
BEGIN
	FOR t IN SELECT evtname FROM pg_event_trigger WHERE evtname ^@ 'authz_' LOOP EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', t); END LOOP;
	EXECUTE command;
	FOR t IN SELECT evtname FROM pg_event_trigger WHERE evtname ^@ 'authz_' LOOP EXECUTE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', t); END LOOP;
END
$$;
CREATE PROCEDURE behind_and_fix(command text) LANGUAGE plpgsql AS $$
DECLARE
	s record;
BEGIN
	CALL behind(command);
	FOR s IN SELECT * FROM status WHERE NOT ok LOOP
		RAISE INFO '%: %', s.relation, s.problem;
		EXECUTE s.fix;
	END LOOP;
	FOR s IN SELECT * FROM status WHERE NOT ok LOOP
		RAISE INFO 'STILL %: %', s.relation, s.problem;
	END LOOP;
END
$$;
CREATE TABLE doc (id int PRIMARY KEY, tenant int, secret text, upper_secret text GENERATED ALWAYS AS (upper(secret)) STORED);
CREATE TABLE part (id int) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
ALTER TABLE doc OWNER TO regress_authz_owner;
ALTER TABLE part OWNER TO regress_authz_owner;
ALTER TABLE part_1 OWNER TO regress_authz_owner;
INSERT INTO doc VALUES (1, 1, 'a');
SELECT authz.protect('doc'), authz.protect('part'), authz.audit('doc'), authz.audit('part');
SELECT authz.create_policy('all', 'doc', '{select}', roles => '{*,anonymous}');
SELECT authz.create_mask('doc', 'secret', 'null');
SELECT authz.create_masked_view('doc', 'regress_authz.paper');
SELECT * FROM status;

-- What was taken away is put back: row security, policies, triggers, of tables and parts.
CALL behind_and_fix('ALTER TABLE doc DISABLE ROW LEVEL SECURITY');
CALL behind_and_fix('ALTER TABLE doc NO FORCE ROW LEVEL SECURITY');
CALL behind_and_fix('DROP POLICY authz_update ON doc');
CALL behind_and_fix('ALTER POLICY authz_select ON doc USING (true)');
CALL behind_and_fix('ALTER POLICY authz_select ON part_1 TO regress_authz_owner');
CALL behind_and_fix('DROP TRIGGER authz_truncate ON part');
CALL behind_and_fix('ALTER TABLE doc ENABLE TRIGGER authz_truncate');
CALL behind_and_fix('ALTER TABLE doc DISABLE TRIGGER ALL');
CALL behind_and_fix('ALTER TABLE doc ENABLE TRIGGER authz_audit_update');
CALL behind_and_fix('CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2)');
SELECT relation, logical, complete FROM authz.protected_table WHERE relation = 'part_2'::regclass;
SELECT action, new_values -> 'repaired' AS repaired FROM authz.audit_log WHERE relation = 'regress_authz.doc' ORDER BY id;
-- Its owner may repair, nobody else.
CALL behind('DROP POLICY authz_update ON doc; ALTER TABLE doc DISABLE TRIGGER ALL');
SET ROLE regress_authz_user;
SELECT authz.repair_protection('doc');
SELECT count(*) FROM authz.protection_status();
RESET ROLE;
GRANT authz_admin TO regress_authz_user;
SET ROLE regress_authz_user;
SELECT authz.repair_protection('doc');
RESET ROLE;
REVOKE authz_admin FROM regress_authz_user;
SET ROLE regress_authz_owner;
SELECT authz.repair_protection('doc');
SELECT count(*) FROM authz.protection_status() WHERE NOT ok AND relation = 'doc'::regclass;
SELECT authz.repair_protection('pg_class');
SELECT authz.repair_protection(NULL);
CREATE TABLE free (id int);
SELECT authz.repair_protection('free');
RESET ROLE;

-- What repair cannot decide is said.
CALL behind('CREATE POLICY anybody ON doc USING (true)');
SELECT * FROM status WHERE NOT ok;
SELECT authz.repair_protection('doc');
CALL behind('DROP POLICY anybody ON doc');
ALTER EVENT TRIGGER authz_after_ddl DISABLE;
SELECT * FROM status WHERE NOT ok;
ALTER EVENT TRIGGER authz_after_ddl ENABLE ALWAYS;
CALL behind('DROP TABLE free; CREATE TABLE free (id int); ALTER TABLE doc INHERIT free');
CALL behind('ALTER TABLE doc NO INHERIT free');
CALL behind('CREATE TABLE open_parent (id int); ALTER TABLE part_1 SET SCHEMA regress_authz; CREATE TABLE kid () INHERITS (open_parent)');
SELECT authz.protect('open_parent');
CALL behind('DELETE FROM authz.protected_table WHERE relation = ''open_parent''::regclass');
SELECT * FROM status WHERE NOT ok;
CALL behind('ALTER TABLE kid NO INHERIT open_parent');
CALL behind('DROP TABLE open_parent; DROP TABLE kid');
SELECT count(*) FROM authz.protection_status() WHERE NOT ok AND problem LIKE 'authz.protected_table lists it, and it does not exist';
DELETE FROM authz.protected_table t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation);
SELECT count(*) FROM status WHERE NOT ok;

-- Without effect.
RESET client_min_messages;
CREATE TABLE bare (id int, x text);
SELECT authz.create_policy('p', 'bare', '{select}'), authz.create_policy('q', 'bare', '{select}', roles => '{anonymous}');
SELECT authz.create_mask('bare', 'x', 'null');
SELECT * FROM status WHERE relation = 'bare'::regclass;
SELECT authz.protect('bare');
SELECT * FROM status WHERE relation = 'bare'::regclass;
SET client_min_messages = error;
DROP TABLE bare;

-- Readers past the masks: granted, through a group, of all data; and what they can not read is no finding.
CREATE ROLE regress_authz_member IN ROLE regress_authz_owner;
CREATE ROLE regress_authz_operator IN ROLE pg_read_all_data;
GRANT SELECT (id, tenant), INSERT, UPDATE, DELETE ON doc TO PUBLIC;
GRANT SELECT (upper_secret), TRIGGER ON doc TO regress_authz_user;
GRANT SELECT ON paper TO regress_authz_user;
SELECT * FROM status WHERE NOT ok;
REVOKE ALL ON doc FROM PUBLIC, regress_authz_user;
REVOKE regress_authz_owner FROM regress_authz_member;
REVOKE pg_read_all_data FROM regress_authz_operator;
SELECT * FROM status WHERE NOT ok;
-- Readers past row security, also those who can become one.
CREATE ROLE regress_authz_backup BYPASSRLS;
SELECT * FROM status WHERE NOT ok;
GRANT regress_authz_backup TO regress_authz_member;
GRANT SELECT (id) ON part_1 TO regress_authz_backup;
CREATE ROLE regress_authz_root SUPERUSER;
GRANT regress_authz_root TO regress_authz_operator;
SELECT * FROM status WHERE NOT ok;
DROP ROLE regress_authz_root;
REVOKE ALL ON part_1 FROM regress_authz_backup;
-- Views with their owner's rights.
CREATE VIEW of_superuser AS SELECT id, tenant FROM doc;
CREATE VIEW of_invoker WITH (security_invoker) AS SELECT * FROM doc;
CREATE VIEW of_owner AS SELECT id, tenant FROM doc WHERE secret IS NOT NULL;
ALTER VIEW of_owner OWNER TO regress_authz_owner;
CREATE VIEW harmless AS SELECT id FROM doc;
ALTER VIEW harmless OWNER TO regress_authz_owner;
CREATE MATERIALIZED VIEW copied AS SELECT id FROM harmless;
SELECT * FROM status WHERE NOT ok;
GRANT SELECT ON of_superuser, of_invoker, of_owner, harmless, copied TO regress_authz_user;
SELECT * FROM status WHERE NOT ok;
DROP MATERIALIZED VIEW copied;
DROP VIEW of_superuser, of_invoker, of_owner, harmless;
-- Masked views are part of it.
CALL behind('ALTER VIEW paper OWNER TO regress_authz_user');
SELECT relation, ok, problem FROM status WHERE NOT ok;
DROP VIEW paper;

-- Protected and audited schemas.
CALL behind('CREATE TABLE regress_authz_closed.early (id int)');
SELECT authz.protect_schema('regress_authz_closed', exempt => '{open,later}');
SELECT authz.audit_schema('regress_authz_closed');
SET ROLE regress_authz_owner;
CREATE TABLE regress_authz_closed.open (id int);
RESET ROLE;
CREATE FOREIGN DATA WRAPPER regress_authz_fdw;
CREATE SERVER regress_authz_server FOREIGN DATA WRAPPER regress_authz_fdw;
CALL behind('CREATE TABLE regress_authz_closed.forgotten (id int); CREATE MATERIALIZED VIEW regress_authz_closed.m AS SELECT 1; CREATE FOREIGN TABLE regress_authz_closed.f (id int) SERVER regress_authz_server');
SELECT * FROM status WHERE relation::text LIKE 'regress_authz_closed.%' OR relation IS NULL;
-- What denies because it reads settings or cannot be read, as one that was stored before, or came past the triggers; and what may read them.
SELECT authz.create_policy('may', 'doc', '{select}', 'current_date > ''2026-01-01''', reads_settings => 'days are those of the reader');
SELECT authz.create_policy('before', 'doc', '{select,insert}', 'id > 0');
SELECT authz.create_mask('doc', 'id', '1', name => 'stored before');
SET session_replication_role = replica;
UPDATE authz.policy SET condition = '(CURRENT_DATE > ''2026-01-01''::date)', check_condition = 'nosuch' WHERE relation = 'doc'::regclass AND name = 'before';
UPDATE authz.mask SET mask = '((CURRENT_DATE - ''2026-01-01''::date))' WHERE relation = 'doc'::regclass AND name = 'stored before';
RESET session_replication_role;
SELECT * FROM status WHERE relation = 'doc'::regclass AND problem ~ '^(policy|mask)';
-- It can be disabled all the same, and gets no other reason to stay.
UPDATE authz.policy SET check_condition = NULL WHERE relation = 'doc'::regclass AND name = 'before';
SELECT authz.disable_policy('before', 'doc');
SELECT authz.alter_policy('may', 'doc', reads_settings => '');
DELETE FROM authz.policy WHERE relation = 'doc'::regclass AND name IN ('may', 'before');
-- Views that nobody was granted, but others that read them.
CREATE TABLE below (id int, secret text);
ALTER TABLE below OWNER TO regress_authz_owner;
SELECT authz.protect('below');
SELECT authz.create_mask('below', 'secret', 'null');
SET ROLE regress_authz_owner;
CREATE VIEW below_1 AS SELECT secret FROM below;
CREATE VIEW below_2 AS SELECT * FROM below_1;
CREATE VIEW below_3 AS SELECT * FROM below_2;
RESET ROLE;
SELECT * FROM status WHERE relation::text LIKE 'below\_%';
GRANT SELECT ON below_3 TO regress_authz_user;
SELECT * FROM status WHERE relation::text LIKE 'below\_%';
-- Only administrators and auditors.
SELECT has_function_privilege('authz_auditor', 'authz.protection_status()', 'EXECUTE') AS auditor, has_function_privilege('public', 'authz.protection_status()', 'EXECUTE') AS everybody;

DROP SCHEMA regress_authz, regress_authz_closed CASCADE;
DROP FOREIGN DATA WRAPPER regress_authz_fdw CASCADE;
DROP ROLE regress_authz_owner, regress_authz_user, regress_authz_member, regress_authz_backup, regress_authz_operator;
