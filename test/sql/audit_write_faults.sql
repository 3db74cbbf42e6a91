-- An error while a change is recorded, wherever it comes from, leaves neither the change nor a record.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_user;
CREATE SCHEMA regress_authz;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user;
SET search_path = regress_authz, public;
CREATE TABLE doc (id int PRIMARY KEY, t text);
CREATE TABLE part_of (id int PRIMARY KEY, doc int REFERENCES doc ON DELETE CASCADE);
CREATE TABLE unaudited (id int);
GRANT ALL ON doc, part_of, unaudited TO regress_authz_user;
SELECT authz.audit('doc'), authz.audit('part_of');
SELECT max(id) AS before FROM authz.audit_log \gset
CREATE TABLE before AS SELECT :before::bigint AS b;
SELECT 'authz.audit_log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMM') AS part \gset
CREATE VIEW recorded AS SELECT * FROM authz.audit_log WHERE id > (SELECT min(b) FROM before);
-- Rows of doc, records of it, and where what the records say is not what is there.
CREATE VIEW state AS
	WITH said AS (
		SELECT (r.key ->> 'id')::int AS id, (array_agg(r.action ORDER BY r.id DESC))[1] AS last,
			(array_agg(r.new_values ->> 't' ORDER BY r.id DESC) FILTER (WHERE r.new_values ? 't'))[1] AS t
		FROM recorded r WHERE r.relation = 'regress_authz.doc' AND r.key IS NOT NULL
			AND r.id > coalesce((SELECT max(x.id) FROM recorded x WHERE x.action = 'truncate' AND x.relation = 'regress_authz.doc'), 0)
		GROUP BY 1)
	SELECT (SELECT count(*) FROM doc) AS rows, (SELECT count(*) FROM recorded) AS records,
		(SELECT count(*) FROM (SELECT * FROM said WHERE last <> 'delete') s FULL JOIN doc d USING (id) WHERE s.t IS DISTINCT FROM d.t) AS differences;

-- A function of an administrator's index on the log: it raises for one value, and for all if it is told to.
CREATE FUNCTION spring(action text, old_values jsonb, new_values jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_setting('regress.trap', true) = 'raise' OR new_values ->> 't' = 'raise' THEN
		RAISE EXCEPTION 'sprung: %', action;
	ELSIF new_values ->> 't' = 'sleep' THEN
		PERFORM pg_sleep(600);
	END IF;
	RETURN new_values ->> 't';
END
$$;
CREATE INDEX regress_authz_trap ON :part (spring(action, old_values, new_values)) WHERE id > :before;
SET ROLE regress_authz_user;
INSERT INTO doc SELECT i, 'x' FROM generate_series(1, 5) i;
INSERT INTO part_of VALUES (1, 1), (2, 2);
RESET ROLE;
TABLE state;
SET ROLE regress_authz_user;
SET regress.trap = 'raise';
INSERT INTO doc VALUES (10, 'y');
UPDATE doc SET t = 'y' WHERE id = 1;
UPDATE doc SET id = 20 WHERE id = 3;
DELETE FROM doc WHERE id = 3;
DELETE FROM doc WHERE id = 1;
INSERT INTO doc VALUES (1, 'y') ON CONFLICT (id) DO UPDATE SET t = excluded.t;
MERGE INTO doc d USING (VALUES (1), (11)) v(id) ON d.id = v.id WHEN MATCHED THEN UPDATE SET t = 'y' WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'y');
WITH gone AS (DELETE FROM doc WHERE id = 3 RETURNING *) INSERT INTO unaudited SELECT id FROM gone;
COPY doc FROM stdin;
12	y
\.
TRUNCATE doc CASCADE;
-- What changes nothing, and what is not audited, goes on.
UPDATE doc SET t = t;
INSERT INTO unaudited VALUES (1);
RESET regress.trap;
RESET ROLE;
TABLE state;
SELECT count(*) AS unaudited FROM unaudited;
-- In the middle of many, when a thousand records are written already.
INSERT INTO doc SELECT i, CASE i WHEN 1500 THEN 'raise' ELSE 'x' END FROM generate_series(100, 2600) i;
TABLE state;
-- When its time is over.
SET statement_timeout = '200ms';
INSERT INTO doc SELECT i, CASE i WHEN 1500 THEN 'sleep' ELSE 'x' END FROM generate_series(100, 2600) i;
RESET statement_timeout;
TABLE state;

-- Caught: what was done within is gone with its record, what was done beside it stays with its own.
DO $$
BEGIN
	FOR i IN 30 .. 35 LOOP
		BEGIN
			INSERT INTO doc VALUES (i, 'kept or not');
			UPDATE doc SET t = CASE WHEN i % 3 = 0 THEN 'raise' ELSE 'kept' END WHERE id = i;
		EXCEPTION WHEN raise_exception THEN
			RAISE WARNING '%: %', i, SQLERRM;
		END;
	END LOOP;
END
$$;
TABLE state;
SELECT action, key, old_values, new_values FROM recorded WHERE (key ->> 'id')::int BETWEEN 30 AND 35 ORDER BY id;
BEGIN;
INSERT INTO doc VALUES (40, 'a');
SAVEPOINT s;
UPDATE doc SET t = 'raise' WHERE id = 40;
ROLLBACK TO s;
UPDATE doc SET t = 'b' WHERE id = 40;
SAVEPOINT s;
INSERT INTO doc VALUES (41, 'raise');
ROLLBACK TO s;
INSERT INTO doc VALUES (42, 'c');
COMMIT;
TABLE state;
SELECT action, key, new_values FROM recorded WHERE (key ->> 'id')::int BETWEEN 40 AND 42 ORDER BY id;
-- Prepared for later, and in a procedure that commits on its way.
BEGIN;
INSERT INTO doc VALUES (43, 'raise');
PREPARE TRANSACTION 'regress_authz';
ROLLBACK PREPARED 'regress_authz';
DO $$
BEGIN
	FOR i IN 44 .. 47 LOOP
		INSERT INTO doc VALUES (i, CASE i WHEN 47 THEN 'raise' ELSE 'x' END);
		IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
	END LOOP;
END
$$;
TABLE state;
DROP INDEX authz.regress_authz_trap;
-- A function in SQL leaves its state behind when it fails; the next statement, of the same transaction too, begins anew.
CREATE FUNCTION number(v jsonb) RETURNS int LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$ SELECT (v ->> 't')::int $$;
CREATE INDEX regress_authz_number ON :part (number(new_values)) WHERE action = 'insert' AND id > :before AND new_values ->> 't' ~ '^n?[0-9]+$';
BEGIN;
INSERT INTO doc VALUES (50, '1');
SAVEPOINT s;
INSERT INTO doc VALUES (51, 'n2');
ROLLBACK TO s;
INSERT INTO doc VALUES (52, '3'), (53, '4');
SAVEPOINT s;
INSERT INTO doc VALUES (54, '5'), (55, 'n6'), (56, '7');
ROLLBACK TO s;
INSERT INTO doc VALUES (57, '8');
COMMIT;
TABLE state;
SET enable_seqscan = off;
SELECT key, new_values FROM :part WHERE action = 'insert' AND id > :before AND new_values ->> 't' ~ '^n?[0-9]+$' AND number(new_values) > 0 ORDER BY number(new_values);
RESET enable_seqscan;
DROP INDEX authz.regress_authz_number;
-- One that changes audited rows itself is recorded too; where it fails at that, all is gone.
CREATE FUNCTION do_meddle(key jsonb) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	INSERT INTO regress_authz.part_of VALUES (1000 + (key ->> 'id')::int);
END
$$;
CREATE FUNCTION meddle(relation text, key jsonb) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF relation = 'regress_authz.doc' AND current_setting('regress.trap', true) = 'meddle' THEN
		PERFORM regress_authz.do_meddle(key);
	END IF;
	RETURN 1;
END
$$;
CREATE INDEX regress_authz_meddle ON :part (meddle(relation, key)) WHERE action = 'insert' AND id > :before;
SET regress.trap = 'meddle';
INSERT INTO doc VALUES (58, 'x'), (59, 'x');
INSERT INTO doc VALUES (1058, 'x');
DELETE FROM doc WHERE id = 59;
INSERT INTO doc VALUES (62, 'x'), (59, 'x');
INSERT INTO doc VALUES (62, 'x');
RESET regress.trap;
DROP INDEX authz.regress_authz_meddle;
TABLE state;
SELECT action, relation, key FROM recorded WHERE (key ->> 'id')::int IN (58, 59, 62, 1058, 1059, 1062, 2058) ORDER BY id;
-- An index of his that allows one record only.
CREATE UNIQUE INDEX regress_authz_one ON :part (key) WHERE action = 'update' AND key = '{"id": 4}' AND id > :before;
UPDATE doc SET t = 'once' WHERE id = 4;
UPDATE doc SET t = 'twice' WHERE id = 4;
UPDATE doc SET t = 'twice' WHERE id IN (4, 5);
TABLE state;
DROP INDEX authz.regress_authz_one;

-- Where the error comes from somebody else: a trigger after ours, one that waits for the end, the end itself.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused by %', TG_NAME; END $$;
CREATE TRIGGER zzz AFTER UPDATE ON doc FOR EACH STATEMENT EXECUTE FUNCTION refuse();
UPDATE doc SET t = 'z' WHERE id = 1;
DROP TRIGGER zzz ON doc;
CREATE CONSTRAINT TRIGGER at_end AFTER UPDATE ON doc DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
BEGIN;
UPDATE doc SET t = 'z' WHERE id = 1;
SELECT rows, records - (SELECT count(*) FROM recorded WHERE new_values <> '{"t": "z"}' OR new_values IS NULL) AS now, differences FROM state;
COMMIT;
BEGIN;
UPDATE doc SET t = 'z' WHERE id = 1;
SAVEPOINT s;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO s;
PREPARE TRANSACTION 'regress_authz';
ROLLBACK PREPARED 'regress_authz';
TABLE state;
DROP TRIGGER at_end ON doc;
-- What such a trigger changes at the end is recorded; a deferred foreign key that fails then leaves nothing.
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE regress_authz.doc SET t = 'followed ' || NEW.id WHERE id = 5; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_end AFTER INSERT ON doc DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION follow();
ALTER TABLE part_of ALTER CONSTRAINT part_of_doc_fkey DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO doc VALUES (60, 'x');
INSERT INTO part_of VALUES (60, 60);
COMMIT;
BEGIN;
INSERT INTO doc VALUES (61, 'x');
INSERT INTO part_of VALUES (61, 999);
COMMIT;
TABLE state;
SELECT action, relation, key, new_values FROM recorded WHERE key IN ('{"id": 60}', '{"id": 61}') OR new_values ->> 't' LIKE 'followed%' ORDER BY id;
DROP TRIGGER at_end ON doc;

-- Where the log is not as it should be, because a superuser took something away: nothing is changed.
CREATE FUNCTION without(command text) RETURNS SETOF state LANGUAGE plpgsql AS $$
DECLARE
	change text;
BEGIN
	BEGIN
		SET LOCAL session_replication_role = replica;
		ALTER EVENT TRIGGER authz_after_ddl DISABLE;
		ALTER EVENT TRIGGER authz_audit_after_ddl DISABLE;
		ALTER EVENT TRIGGER authz_audit_forget DISABLE;
		EXECUTE command;
		FOREACH change IN ARRAY '{INSERT INTO doc VALUES (70),UPDATE doc SET t = ''u'' WHERE id = 1,DELETE FROM part_of,TRUNCATE doc CASCADE}'::text[] LOOP
			BEGIN
				EXECUTE change;
				RAISE WARNING 'done: %', change;
			EXCEPTION WHEN OTHERS THEN
				RAISE WARNING '%', regexp_replace(SQLERRM, '_[0-9]{6}', '_MONTH');
			END;
		END LOOP;
		RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ001';
	EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
		RETURN QUERY TABLE state;
	END;
END
$$;
SELECT * FROM without(format('ALTER TABLE authz.audit_log DETACH PARTITION %s; ALTER TABLE authz.audit_log DETACH PARTITION authz.audit_log_default; ALTER TABLE authz.audit_log_default RENAME TO taken', :'part'));
SELECT * FROM without('ALTER SEQUENCE authz.record_id_seq RENAME TO taken');
-- (This is not undone by a rollback.)
SELECT last_value FROM authz.record_id_seq \gset
SELECT * FROM without('SELECT setval(''authz.record_id_seq'', 9223372036854775807)');
SELECT setval('authz.record_id_seq', :last_value) = :last_value AS back;
SELECT * FROM without('ALTER TABLE authz.audit_log ADD COLUMN more int');
TABLE state;
SELECT authz.audit_seal() > 0 AS sealed;
SELECT * FROM authz.audit_verify() WHERE NOT ok;

RESET search_path;
DROP SCHEMA regress_authz CASCADE;
DROP ROLE regress_authz_user;
