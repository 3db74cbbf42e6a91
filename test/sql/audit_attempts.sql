-- Attempts on the audit itself, where nothing is preloaded: all of them refused, with an error that says why. What is on
-- record of them is in test/t/052_audit_attempts.pl; here it goes to the server's log, and no error of recording it comes up.
\set SHOW_CONTEXT never
LOAD 'authz';
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE ROLE regress_authz_admin IN ROLE authz_admin;
CREATE ROLE regress_authz_auditor IN ROLE authz_auditor;
CREATE SCHEMA attempt AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA attempt TO PUBLIC;
SET ROLE regress_authz_owner;
CREATE TABLE attempt.ref (id int PRIMARY KEY);
CREATE TABLE attempt.doc (id int PRIMARY KEY, body text, secret text, ref int REFERENCES attempt.ref);
CREATE TABLE attempt.part (id int, body text) PARTITION BY LIST (id);
CREATE TABLE attempt.part_1 PARTITION OF attempt.part FOR VALUES IN (1);
CREATE TABLE attempt.bare (id int, body text, secret text, ref int);
CREATE TYPE attempt.form AS (id int, body text, secret text);
CREATE TABLE attempt.typed OF attempt.form;
CREATE TABLE attempt.empty (id int);
RESET ROLE;
SELECT authz.audit('attempt.doc', exclude_columns => '{secret}'), authz.audit('attempt.part'), authz.audit('attempt.empty'),
	authz.audit('attempt.typed', exclude_columns => '{secret}');
-- Does a table's audit still record?
CREATE FUNCTION pg_temp.records(command text) RETURNS SETOF text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	last bigint := (SELECT max(id) FROM authz.audit_log);
BEGIN
	EXECUTE command;
	RETURN QUERY SELECT concat_ws(' ', l.action, l.relation, l.old_values, l.new_values) FROM authz.audit_log l WHERE l.id > last ORDER BY l.id;
END
$$;
SELECT pg_temp.records('INSERT INTO attempt.doc VALUES (1, ''a'', ''s'')');

-- By the table's owner.  First what PostgreSQL refuses: to disable the trigger of a foreign key, which has a number in its name.
SET ROLE regress_authz_owner;
DO $$ BEGIN ALTER TABLE attempt.doc DISABLE TRIGGER ALL; EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'caught: %', regexp_replace(sqlerrm, '\d+', 'N'); END $$;
ALTER TABLE attempt.part DISABLE TRIGGER ALL;
ALTER TABLE attempt.doc DISABLE TRIGGER USER;
ALTER TABLE attempt.doc DISABLE TRIGGER authz_audit_update;
ALTER TABLE attempt.doc ENABLE TRIGGER authz_audit_update;
ALTER TABLE attempt.doc ENABLE REPLICA TRIGGER authz_audit_update;
DROP TRIGGER authz_audit_update ON attempt.doc;
ALTER TRIGGER authz_audit_update ON attempt.doc RENAME TO mine;
CREATE OR REPLACE TRIGGER authz_audit_update AFTER UPDATE ON attempt.doc FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE OR REPLACE TRIGGER authz_audit_row AFTER UPDATE ON attempt.doc FOR EACH ROW WHEN (false) EXECUTE FUNCTION suppress_redundant_updates_trigger();
DROP TABLE attempt.doc;
DROP TABLE attempt.part_1;
DROP TABLE attempt.part;
DROP SCHEMA attempt CASCADE;
DROP OWNED BY regress_authz_owner;
ALTER TABLE attempt.doc INHERIT attempt.bare;
CREATE RULE "_RETURN" AS ON SELECT TO attempt.empty DO INSTEAD SELECT 1 AS id;
SELECT authz.unaudit('attempt.doc');
SELECT authz.audit('attempt.doc', '{insert}');
SELECT authz.unaudit(NULL);
SELECT authz.do_unaudit('attempt.doc');
SELECT authz.do_audit('attempt.doc', '{insert}', false, '{}', '{}');
SET session_replication_role = replica;
-- A column that is not recorded stays so under another name, whatever kind of object the command calls the table.
ALTER TABLE attempt.doc RENAME COLUMN secret TO other_1;
ALTER VIEW attempt.doc RENAME COLUMN other_1 TO other_2;
ALTER MATERIALIZED VIEW attempt.doc RENAME COLUMN other_2 TO other_3;
ALTER FOREIGN TABLE attempt.doc RENAME COLUMN other_3 TO other;
RESET ROLE;
SELECT exclude_columns FROM authz.audited_table WHERE relation = 'attempt.doc'::regclass;
SET ROLE regress_authz_owner;
ALTER TABLE attempt.doc RENAME COLUMN other TO secret;
ALTER TABLE attempt.doc DROP COLUMN secret;
ALTER TYPE attempt.form RENAME ATTRIBUTE secret TO other CASCADE;
RESET ROLE;
SELECT exclude_columns FROM authz.audited_table WHERE relation = 'attempt.typed'::regclass;
SET ROLE regress_authz_owner;
ALTER TYPE attempt.form RENAME ATTRIBUTE other TO secret CASCADE;
ALTER TYPE attempt.form DROP ATTRIBUTE secret CASCADE;
DROP TYPE attempt.form CASCADE;
ALTER TYPE attempt.form ADD ATTRIBUTE more int CASCADE;
-- What an owner may do leaves the audit as it is.
ALTER TABLE attempt.part DETACH PARTITION attempt.part_1;
DROP TABLE attempt.part_1;
CREATE RULE instead AS ON DELETE TO attempt.doc DO INSTEAD NOTHING;
ALTER TABLE attempt.doc DISABLE RULE instead;
RESET ROLE;
GRANT regress_authz_user TO regress_authz_owner;
GRANT CREATE ON DATABASE :DBNAME TO regress_authz_owner;
GRANT CREATE ON SCHEMA attempt TO regress_authz_user;
SET ROLE regress_authz_owner;
CREATE SCHEMA attempt_2;
ALTER TABLE attempt.doc SET SCHEMA attempt_2;
ALTER TABLE attempt_2.doc SET SCHEMA attempt;
ALTER TABLE attempt.part_1 OWNER TO regress_authz_user;
DROP SCHEMA attempt_2;
RESET ROLE;
REVOKE regress_authz_user FROM regress_authz_owner;
SELECT pg_temp.records('UPDATE attempt.doc SET body = ''b'', secret = ''t''');
SELECT pg_temp.records('INSERT INTO attempt.part_1 VALUES (1, ''a'')');
SELECT pg_temp.records('INSERT INTO attempt.typed VALUES (1, ''a'', ''s'')');

-- By others.
SET ROLE regress_authz_user;
ALTER TABLE attempt.doc DISABLE TRIGGER USER;
ALTER TABLE attempt.part_1 INHERIT attempt.doc;
DROP TABLE attempt.doc;
DROP TRIGGER authz_audit_insert ON attempt.doc;
CREATE TRIGGER mine AFTER INSERT ON attempt.doc FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE RULE mine AS ON INSERT TO attempt.doc DO INSTEAD NOTHING;
SELECT authz.unaudit('attempt.doc');
SELECT authz.audit('attempt.doc');
SELECT authz.audit_retain('1 year');
SELECT authz.do_audit_retain('1 year', '{audit_log}');
DELETE FROM authz.audit_log;
DELETE FROM authz.audited_table;
DROP TABLE authz.audit_log_default;
ALTER TABLE authz.audit_log DETACH PARTITION authz.audit_log_default;
DO $$ BEGIN DELETE FROM authz.audit_batch; EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'caught: %', sqlerrm; END $$;
DROP SCHEMA authz CASCADE;
DROP EXTENSION authz;
ALTER EVENT TRIGGER authz_audit_check_drop DISABLE;
-- Everybody may say that he was refused; nothing but that.
SELECT authz.refuse_audit('drop table', 'attempt.doc'::regclass, 'records are insert-only', 'message', 'Detail.', 'Hint.');
SELECT authz.refuse_audit('drop table', NULL, 'changes would go unrecorded', 'message of 100%s');
SELECT authz.refuse_audit('free text', NULL, 'records are insert-only', 'message');
SELECT authz.refuse_audit('drop table', NULL, 'free text', 'message');
SELECT authz.refuse_audit('drop table', NULL, 'records are insert-only', NULL);
SELECT authz.refuse_audit('drop table', 1, 'records are insert-only', 'message');
SELECT authz.require_admin('unaudit');
SELECT authz.require_admin('free text');
SET ROLE regress_authz_auditor;
SELECT count(*) > 0 FROM authz.audit_log;
DELETE FROM authz.audit_log;
SELECT authz.unaudit('attempt.doc');
SELECT authz.audit_retain('1 year');

-- An administrator may end it, and a function of his for others; what is amiss is told as ever.
SET ROLE regress_authz_admin;
SELECT authz.require_admin('unaudit');
SELECT authz.unaudit('attempt.ref');
SELECT authz.unaudit(NULL);
SELECT authz.audit(NULL);
SELECT authz.audit_retain('-1 day');
ALTER TABLE attempt.doc DISABLE TRIGGER USER;
DROP TABLE attempt.doc;
SELECT authz.unaudit('attempt.empty');
RESET ROLE;
CREATE FUNCTION attempt.end_audit() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ SELECT authz.unaudit('attempt.part') $$;
SET ROLE regress_authz_user;
SELECT attempt.end_audit();
RESET ROLE;

-- A superuser is refused by triggers.
UPDATE authz.audit_log SET subject = 'nobody';
DELETE FROM authz.audit_log_default;
TRUNCATE authz.access_log;
DELETE FROM authz.denial_log;
DELETE FROM authz.audit_page;
ALTER TABLE authz.audit_batch DISABLE TRIGGER refuse_change;
ALTER TABLE authz.audit_log_default DISABLE TRIGGER ALL;
DROP TRIGGER refuse_change ON authz.audit_log_default;
DROP TABLE authz.audit_log_default;
ALTER TABLE attempt.doc DISABLE TRIGGER ALL;
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM authz.audit_log;
ROLLBACK;
SET session_replication_role = replica;
SELECT pg_temp.records('DELETE FROM attempt.doc');
RESET session_replication_role;
SELECT count(*) FROM authz.denial_log;

-- Masks follow a new name as well: of a table OF a type, renaming would have shown the column in the log.
SELECT authz.protect('attempt.typed'), authz.create_mask('attempt.typed', 'body', 'constant(''***'')');
SELECT pg_temp.records('UPDATE attempt.typed SET body = ''b''');
SET ROLE regress_authz_owner;
ALTER TYPE attempt.form RENAME ATTRIBUTE body TO other CASCADE;
RESET ROLE;
SELECT pg_temp.records('UPDATE attempt.typed SET other = ''c''');
SELECT authz.drop_mask('attempt.typed', 'other'), authz.unprotect('attempt.typed');

SET client_min_messages = warning;
DROP SCHEMA attempt CASCADE;
REVOKE CREATE ON DATABASE :DBNAME FROM regress_authz_owner;
DROP ROLE regress_authz_owner, regress_authz_user, regress_authz_admin, regress_authz_auditor;
