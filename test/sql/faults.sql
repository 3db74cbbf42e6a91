-- What somebody put in behind the triggers, or broke on purpose, denies loudly: never open, never a crash.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_user;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_user;
SELECT authz.create_role('clerk');
CREATE SCHEMA regress_authz;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user;
CREATE TABLE regress_authz.doc AS SELECT i AS id, 'secret ' || i AS body FROM generate_series(1, 3) i;
GRANT ALL ON regress_authz.doc TO regress_authz_user;
SELECT authz.protect('regress_authz.doc');
SELECT authz.create_policy('fine', 'regress_authz.doc', '{select,insert,update,delete}');

-- Each row below gets past the triggers and, where need be, the constraints; then somebody else comes.
CREATE PROCEDURE regress_authz.plant(condition text, effect text = 'permit', actions text[] = '{select,insert,update,delete}', roles text[] = '{*}',
		columns name[] = NULL, valid tstzrange = '(,)') LANGUAGE plpgsql AS $$
DECLARE
	constraint_name name;
BEGIN
	ALTER EVENT TRIGGER authz_after_ddl DISABLE;
	ALTER EVENT TRIGGER authz_after_drop DISABLE;
	ALTER TABLE authz.policy DISABLE TRIGGER USER;
	FOR constraint_name IN SELECT conname FROM pg_constraint WHERE conrelid = 'authz.policy'::regclass AND contype = 'c' LOOP
		EXECUTE format('ALTER TABLE authz.policy DROP CONSTRAINT %I', constraint_name);
	END LOOP;
	INSERT INTO authz.policy VALUES ('regress_authz.doc', 'planted', effect, actions, roles, condition, NULL, columns, valid, true, NULL, 0, now(), 'x', '{}');
	ALTER TABLE regress_authz.doc SET (fillfactor = 90);	-- as if the session were new
END
$$;
CREATE PROCEDURE regress_authz.try() LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	SET LOCAL ROLE regress_authz_user;
	PERFORM authz.assume('ann', '{clerk}', is_local => true);
	BEGIN
		SELECT count(*) INTO n FROM regress_authz.doc;
		RAISE WARNING 'read % rows', n;
	EXCEPTION WHEN OTHERS THEN
		RAISE WARNING '% %', SQLSTATE, SQLERRM;
	END;
	BEGIN
		SELECT count(*) FILTER (WHERE authz.permits_row('select', d)) INTO n FROM (SELECT (1, 'x')::regress_authz.doc AS d) s;
		RAISE WARNING 'permitted % rows', n;
	EXCEPTION WHEN OTHERS THEN
		RAISE WARNING '% %', SQLSTATE, SQLERRM;
	END;
END
$$;
BEGIN; CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant('nosuch = 1'); CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant('id ='); CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant('true; SELECT 1'); CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant('true OR random() > 2'); CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant('id'); CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant('true', effect => 'allow'); CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant('true', actions => '{everything}'); CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant('true', actions => '{update}', columns => '{nosuch}'); CALL regress_authz.try(); ROLLBACK;
BEGIN; CALL regress_authz.plant(repeat('(', 10000)); CALL regress_authz.try(); ROLLBACK;
-- These are well-formed, but apply to nobody.
BEGIN; SELECT authz.disable_policy('fine', 'regress_authz.doc'); CALL regress_authz.plant('true', roles => '{}'); CALL regress_authz.try(); ROLLBACK;
BEGIN; SELECT authz.disable_policy('fine', 'regress_authz.doc'); CALL regress_authz.plant('true', valid => 'empty'); CALL regress_authz.try(); ROLLBACK;
-- An unreadable policy of a role that somebody has not is not his concern.
BEGIN; CALL regress_authz.plant('nosuch = 1', roles => '{auditor}'); CALL regress_authz.try(); ROLLBACK;

-- The condition raises on some row: no value of it in the message.
BEGIN;
SELECT authz.alter_policy('fine', 'regress_authz.doc', condition => '1 / (id - 2) IS NOT NULL');
CALL regress_authz.try();
ROLLBACK;

-- The record that says whose policies hold is gone: closed.
BEGIN;
DELETE FROM authz.protected_table;
CALL regress_authz.try();
ROLLBACK;
-- No policies at all: closed.
BEGIN;
DELETE FROM authz.policy;
CALL regress_authz.try();
ROLLBACK;

-- The function itself answers nobody.
SET ROLE regress_authz_user;
SELECT authz.permits('select', 'regress_authz.doc'::regclass);
SELECT authz.permits(action, 'regress_authz.doc'::regclass) FROM (VALUES ('select')) v(action);
SELECT count(*) FROM regress_authz.doc WHERE authz.permits('select', tableoid);
SELECT authz.denied('update', 'regress_authz.doc'::regclass);
SELECT authz.permits_row('select', ROW(1, 'x'));
SELECT authz.permits_row('select', NULL::regress_authz.doc);
SELECT authz.permits_row('read', (1, 'x')::regress_authz.doc);
SELECT authz.permits_row(NULL, (1, 'x')::regress_authz.doc);
CREATE TEMP TABLE mine (id int);
SELECT authz.permits_row('select', ROW(1)::mine);
DROP TABLE mine;
RESET ROLE;
CREATE TABLE regress_authz.checked (id int CHECK (authz.permits('select', 1259)));
INSERT INTO regress_authz.checked VALUES (1);

DROP SCHEMA regress_authz CASCADE;
SELECT authz.drop_role('clerk');
REVOKE ALL ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) FROM regress_authz_user;
DROP ROLE regress_authz_user;
