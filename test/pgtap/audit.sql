-- How one tests one's own audit: who did what is on record, with which columns, for auditors and nobody else.
SELECT format('ALTER DATABASE %I SET session_preload_libraries = ''authz''', current_database()) \gexec
\c
BEGIN;
SELECT plan(35);

CREATE ROLE regress_authz_app;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_auditor IN ROLE authz_auditor;
CREATE SCHEMA data AUTHORIZATION regress_authz_owner;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA data TO regress_authz_auditor;	-- to name the table, no more
GRANT USAGE ON SCHEMA app TO regress_authz_app;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_app;
SET ROLE regress_authz_owner;
CREATE TABLE data.patient (id int PRIMARY KEY, ward int NOT NULL, name text NOT NULL, diagnosis text, pin text);
INSERT INTO data.patient SELECT i, i % 2, 'name ' || i, 'diagnosis ' || i, 'pin ' || i FROM generate_series(1, 10) i;
RESET ROLE;
SELECT authz.create_role('clerk'), authz.create_role('doctor');
SELECT authz.protect('data.patient');
SELECT authz.create_policy('read', 'data.patient', '{select}', roles => '{clerk,doctor}');
SELECT authz.create_policy('admit', 'data.patient', '{insert,update}', roles => '{clerk}', columns => '{id,ward,name}');
SELECT authz.create_policy('care', 'data.patient', '{update}', roles => '{doctor}', columns => '{diagnosis,pin}');
SELECT authz.create_mask('data.patient', 'diagnosis', 'clear', '{doctor}', priority => 1);
SELECT authz.create_mask('data.patient', 'diagnosis', 'null');
SELECT authz.create_masked_view('data.patient', 'app.patient');
GRANT SELECT, INSERT, UPDATE ON app.patient TO regress_authz_app;

-- What is asked for is checked, and can be looked up.
SELECT throws_ok($$SELECT authz.audit('data.patient', '{select}')$$, '22023', NULL, 'reads are no action: there is an argument for them');
SELECT throws_ok($$SELECT authz.audit('data.patient', exclude_columns => '{nosuch}')$$, '55000', NULL, 'columns that are left out exist');
SELECT throws_ok($$SELECT authz.audit('app.patient')$$, '42809', NULL, 'audited is the table, not its view');
SELECT authz.audit('data.patient', reads => true, exclude_columns => '{pin}');
SELECT results_eq($$SELECT active, reads, 'pin' = ANY (exclude_columns) FROM authz.audited_table WHERE relation = 'data.patient'::regclass$$, $$VALUES (true, true, true)$$, 'the table is audited');
SELECT is((SELECT action FROM authz.audit_log ORDER BY id DESC LIMIT 1), 'audit', 'that is on record itself');

-- A day of work.
SET ROLE regress_authz_app;
SELECT authz.assume('carl', '{clerk}');
SELECT lives_ok($$INSERT INTO app.patient (id, ward, name) VALUES (11, 1, 'new')$$, 'a clerk admits somebody');
SELECT lives_ok($$UPDATE app.patient SET ward = 0 WHERE id = 11$$, 'and moves him');
SELECT lives_ok($$UPDATE app.patient SET ward = 0 WHERE id = 11$$, 'twice');
SELECT throws_ok($$UPDATE app.patient SET pin = 'guess' WHERE id = 11$$, '42501', NULL, 'but sets no PIN');
SELECT is((SELECT count(*)::int FROM app.patient WHERE ward = 0), 6, 'he looks at a ward');
SELECT is((SELECT diagnosis FROM app.patient WHERE id = 3), NULL, 'and at a patient');
SELECT authz.assume('dora', '{doctor}');
SELECT lives_ok($$UPDATE app.patient SET diagnosis = 'influenza', pin = 'new pin' WHERE id = 11$$, 'a doctor writes a diagnosis');
SELECT is((SELECT diagnosis FROM app.patient WHERE id = 3), 'diagnosis 3', 'and reads one');
RESET authz.token;
SELECT throws_ok('SELECT * FROM authz.audit_log', '42501', NULL, 'an application does not read what is recorded');
SELECT throws_ok('SELECT * FROM authz.access_log', '42501', NULL, 'neither changes nor reads');
RESET ROLE;

-- What the auditor finds; he needs no right on the table.
SET ROLE regress_authz_auditor;
SELECT throws_ok('SELECT * FROM data.patient', '42501', NULL, 'an auditor does not read the table');
SELECT results_eq($$SELECT subject, roles::text, action, old_values, new_values FROM authz.audit_trail('data.patient', '{"id": 11}')$$, $$VALUES
	('carl', '{clerk}', 'insert', NULL::jsonb, '{"id": 11, "ward": 1, "name": "new", "diagnosis": null}'::jsonb),
	('carl', '{clerk}', 'update', '{"ward": 1}', '{"ward": 0}'),
	('dora', '{doctor}', 'update', '{"diagnosis": null}', '{"diagnosis": null}')$$, 'the trail of a row: who, and what changed; no update that changed nothing, no diagnosis, no PIN');
SELECT is((SELECT count(*)::int FROM authz.audit_log l WHERE l::text ~ 'influenza|new pin'), 0, 'what is masked or excluded is nowhere in the log');
SELECT is_empty($$SELECT FROM authz.audit_trail('data.patient', '{"id": 3}')$$, 'nobody changed the other patient');
SELECT results_eq($$SELECT subject, database_role = session_user, policy_version > 0 FROM authz.audit_trail('data.patient', '{"id": 11}') LIMIT 1$$, $$VALUES ('carl', true, true)$$, 'who connected, and under which policies');
SELECT results_eq($$SELECT subject, action, clear_columns::text, masked_columns::text FROM authz.access_log WHERE 'diagnosis' = ANY (clear_columns || masked_columns) ORDER BY id$$, $$VALUES
	('carl', 'select', '{id}', '{diagnosis}'), ('dora', 'select', '{id,diagnosis}', '{}')$$, 'who saw diagnoses, and who saw their mask');
SELECT results_eq($$SELECT subject, relation, row_count FROM authz.access_log WHERE clear_columns = '{ward}'$$, $$VALUES ('carl', 'data.patient', 1::bigint)$$, 'and who counted a ward');
SELECT set_eq($$SELECT DISTINCT subject FROM authz.activity WHERE relation = 'data.patient' AND action = 'select'$$, '{carl,dora}'::text[], 'who was active within the hour');

-- Nobody changes it or ends it.
SELECT throws_ok('UPDATE authz.audit_log SET subject = NULL', '42501', NULL, 'an auditor changes no record');
SELECT throws_ok('DELETE FROM authz.access_log', '42501', NULL, 'nor removes one');
SELECT throws_ok($$SELECT authz.unaudit('data.patient')$$, '42501', NULL, 'nor ends the audit');
SELECT is_empty('SELECT * FROM authz.audit_verify() WHERE NOT ok', 'but verifies it');
SELECT is(authz.audit_seal(), NULL, 'and seals it, when these transactions have ended');
SET ROLE regress_authz_owner;
SELECT throws_ok($$SELECT authz.unaudit('data.patient')$$, '42501', NULL, 'the owner of the table does not end it either');
SELECT throws_ok('ALTER TABLE data.patient DISABLE TRIGGER USER', '55000', NULL, 'nor switch it off');
SELECT throws_ok('DROP TABLE data.patient CASCADE', '42501', NULL, 'nor drop what is audited');
RESET ROLE;
SELECT throws_ok('DELETE FROM authz.audit_log', '42501', NULL, 'not even a superuser deletes a record by mistake');
SELECT throws_ok('TRUNCATE authz.access_log', '42501', NULL, 'of either kind');

SELECT authz.unaudit('data.patient');
UPDATE data.patient SET ward = 1 WHERE id = 11;
SELECT results_eq($$SELECT action, count(*)::int FROM authz.audit_log GROUP BY 1 ORDER BY 1$$, $$VALUES ('audit', 1), ('insert', 1), ('unaudit', 1), ('update', 2)$$, 'an administrator ends it; that is on record, and what was stays');
SELECT is((SELECT active FROM authz.audited_table WHERE relation = 'data.patient'::regclass), false, 'and the table''s history can still be asked for');

SELECT * FROM finish();
ROLLBACK;
