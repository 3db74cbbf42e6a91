-- The log is insert-only, auditors read it and nothing else, and its partitions are made ahead.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_auditor;
CREATE ROLE regress_authz_admin;
CREATE ROLE regress_authz_user;
GRANT authz_auditor TO regress_authz_auditor;
GRANT authz_admin TO regress_authz_admin;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_admin;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user, regress_authz_auditor;
SET search_path = regress_authz, public;
SELECT coalesce(max(id), 0) AS before FROM authz.audit_log \gset
SET ROLE regress_authz_admin;
CREATE TABLE doc (id int PRIMARY KEY, t text);
GRANT ALL ON doc TO regress_authz_user;
SELECT authz.audit('doc');
SET ROLE regress_authz_user;
INSERT INTO doc VALUES (1, 'a'), (2, 'b');
UPDATE doc SET t = 'c' WHERE id = 1;

-- Who writes: nobody but the triggers.
SELECT count(*) FROM authz.audit_log;
INSERT INTO authz.audit_log SELECT * FROM authz.audit_log;
UPDATE authz.audit_log SET subject = 'somebody';
DELETE FROM authz.audit_log;
TRUNCATE authz.audit_log;
DROP TABLE authz.audit_log;
ALTER TABLE authz.audit_log DISABLE TRIGGER ALL;
CREATE TRIGGER mine BEFORE INSERT ON authz.audit_log FOR EACH ROW EXECUTE FUNCTION authz.audit_row();
SELECT authz.audit_event('x', 1, 'x', NULL, NULL);
SELECT nextval('authz.record_id_seq');
SELECT setval('authz.record_id_seq', 1);
SELECT authz.audit_trail('doc', '{"id": 1}');
SELECT authz.extend_logs();
INSERT INTO authz.audited_table (relation, trail, actions, logical) VALUES ('doc', 1, '{insert}', 'doc');
UPDATE authz.audited_table SET active = false;
-- The administrator neither; he does not read it either, unless he is an auditor too.
SET ROLE regress_authz_admin;
SELECT count(*) FROM authz.audit_log;
INSERT INTO authz.audit_log SELECT * FROM authz.audit_log;
UPDATE authz.audit_log SET subject = 'somebody';
DELETE FROM authz.audit_log;
UPDATE authz.audited_table SET active = false;
SELECT authz.audit_event('x', 1, 'x', NULL, NULL);
SELECT relation, active FROM authz.audited_table WHERE relation = 'doc'::regclass;
-- The auditor reads, also of tables that he may not read.
SET ROLE regress_authz_auditor;
SELECT action, key, new_values FROM authz.audit_log WHERE id > :before ORDER BY id;
SELECT action, old_values, new_values FROM authz.audit_trail('doc', '{"id": 1}');
SELECT * FROM doc;
INSERT INTO authz.audit_log SELECT * FROM authz.audit_log;
UPDATE authz.audit_log SET subject = 'somebody';
DELETE FROM authz.audit_log;
TRUNCATE authz.audit_log;
SELECT authz.audit('doc');
SELECT authz.unaudit('doc');
SELECT count(*) FROM authz.policy;
-- A superuser is stopped too, as long as he does not take the triggers away; whichever partition he names.
RESET ROLE;
UPDATE authz.audit_log SET subject = 'somebody';
DELETE FROM authz.audit_log;
TRUNCATE authz.audit_log;
MERGE INTO authz.audit_log l USING (VALUES (1)) v(i) ON true WHEN MATCHED THEN DELETE;
DO $$
DECLARE
	command text;
	refused int := 0;
BEGIN
	FOR command IN SELECT format(c, p.relid) FROM pg_partition_tree('authz.audit_log') p,
			unnest(ARRAY['UPDATE %s SET id = 0', 'DELETE FROM %s', 'TRUNCATE %s', 'DROP TABLE %s', 'DROP TRIGGER refuse_change ON %s', 'ALTER TABLE %s DISABLE TRIGGER USER']) c
	LOOP
		BEGIN
			EXECUTE command;
			RAISE WARNING 'done: %', command;
		EXCEPTION WHEN insufficient_privilege OR dependent_objects_still_exist THEN
			refused := refused + 1;
		END;
	END LOOP;
	RAISE WARNING 'refused: %', refused;
END
$$;
SET session_replication_role = replica;
DELETE FROM authz.audit_log;
RESET session_replication_role;
ALTER TABLE authz.audit_log DISABLE TRIGGER refuse_change;
ALTER TABLE authz.audit_log_default DISABLE TRIGGER ALL;
DROP TRIGGER refuse_change ON authz.audit_log_default;
DROP TABLE authz.audit_log_default;
TRUNCATE authz.audited_table;
SELECT count(*) FROM authz.audit_log WHERE id > :before;

-- Partitions: this month and three more; each is protected, indexed, and nobody but auditors reads it.
SELECT s.log, count(*), bool_and(s.months) AS months, bool_and(s.guarded) AS guarded, array_agg(DISTINCT s.indexes) AS indexes, array_agg(DISTINCT s.acl) FROM (
	SELECT p.log, p.name ~ ('^' || p.log || '_(default|[0-9]{6})$') AS months,
		EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = p.oid AND t.tgname = 'refuse_change' AND t.tgenabled = 'A' AND t.tgtype = 58) AS guarded,
		(SELECT count(*) FROM pg_index i WHERE i.indrelid = p.oid) AS indexes,
		(SELECT array_agg(a.grantee::regrole || ' ' || a.privilege_type ORDER BY 1)::text FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = p.oid AND a.grantee <> c.relowner) AS acl
	FROM authz.log_partitions() p) s
	GROUP BY s.log ORDER BY s.log;
SELECT DISTINCT tableoid::regclass::text = to_char(now() AT TIME ZONE 'UTC', '"authz.audit_log_"YYYYMM') AS this_month FROM authz.audit_log WHERE id > :before;
-- A month that nobody made ready: the default partition takes it, and nothing is made in its place any more.
BEGIN;
ALTER EVENT TRIGGER authz_audit_forget DISABLE;
\set ECHO none
SELECT format('DROP TABLE authz.audit_log_%s', to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')) \gexec
\set ECHO all
INSERT INTO doc VALUES (10, 'late');
SELECT tableoid::regclass, action, key FROM authz.audit_log WHERE recorded_at >= now() ORDER BY id;
SELECT authz.extend_logs();
INSERT INTO doc VALUES (11, 'later');
SELECT tableoid::regclass, action, key FROM authz.audit_log WHERE recorded_at >= now() ORDER BY id;
ROLLBACK;
-- Indexes that an administrator adds are filled from then on, until he drops them; so is what a rolled back one leaves.
SELECT 'authz.audit_log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMM') AS part \gset
CREATE INDEX regress_authz_extra ON :part ((new_values ->> 't')) WHERE action = 'update';
BEGIN;
CREATE INDEX regress_authz_brin ON :part USING brin (id) WITH (autosummarize = off);
CREATE INDEX regress_authz_gin ON :part USING gin (new_values);
UPDATE doc SET t = 'by index' WHERE id = 1;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT count(*) FROM :part WHERE new_values ->> 't' = 'by index' AND action = 'update';
SET LOCAL enable_bitmapscan = on;
SELECT count(*) FROM :part WHERE new_values @> '{"t": "by index"}';
ROLLBACK;
UPDATE doc SET t = 'by index' WHERE id = 1;
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT count(*) FROM :part WHERE new_values ->> 't' = 'by index' AND action = 'update';
ROLLBACK;
DROP INDEX authz.regress_authz_extra;
UPDATE doc SET t = 'c' WHERE id = 1;
SELECT count(*) FROM authz.audit_trail('doc', '{"id": 1}') WHERE new_values ->> 't' IN ('c', 'by index');

-- Fail closed: no record, no change.
BEGIN;
SET LOCAL session_replication_role = replica;
SELECT authz.unaudit('doc');
SELECT authz.audit('doc');
UPDATE authz.audited_table SET exclude_columns = '{nosuch}' WHERE relation = 'doc'::regclass;
SAVEPOINT a;
INSERT INTO doc VALUES (20, 'x');
ROLLBACK TO a;
UPDATE authz.audited_table SET active = false WHERE relation = 'doc'::regclass;
SAVEPOINT a;
INSERT INTO doc VALUES (20, 'x');
ROLLBACK TO a;
ALTER EVENT TRIGGER authz_after_ddl DISABLE;
ALTER SEQUENCE authz.record_id_seq RENAME TO gone;
UPDATE authz.audited_table SET active = true, exclude_columns = '{}' WHERE relation = 'doc'::regclass;
INSERT INTO doc VALUES (20, 'x');
ROLLBACK;
SELECT count(*) FROM doc;

RESET search_path;
DROP SCHEMA regress_authz CASCADE;
DROP ROLE regress_authz_auditor, regress_authz_admin, regress_authz_user;
