-- How one tests one's own masks: what each role sees, finds and may change through the view.
BEGIN;
SELECT plan(38);

CREATE ROLE regress_authz_app;
CREATE SCHEMA data;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO regress_authz_app;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_app;
CREATE TABLE data.patient (id int PRIMARY KEY, ward int NOT NULL, name text NOT NULL, email text, born date, diagnosis text DEFAULT 'unknown', bill numeric(10,2));
COMMENT ON COLUMN data.patient.born IS 'day of birth';
INSERT INTO data.patient SELECT i, i % 2, 'name ' || i, 'p' || i || '@example.org', '1980-05-17'::date + i, 'diagnosis ' || i, i * 111 FROM generate_series(1, 10) i;
SELECT authz.create_role('clerk'), authz.create_role('nurse'), authz.create_role('doctor', '{nurse}');

SELECT throws_ok($$SELECT authz.create_masked_view('data.patient', 'app.patient')$$, '55000', NULL, 'a masked view is for a protected table');
SELECT authz.protect('data.patient');
SELECT authz.create_policy('read', 'data.patient', '{select,insert}', roles => '{clerk,nurse}');
SELECT authz.create_policy('care', 'data.patient', '{update}', roles => '{nurse}', columns => '{ward,diagnosis}');
SELECT authz.create_masked_view('data.patient', 'app.patient');
GRANT SELECT, INSERT, UPDATE ON app.patient TO regress_authz_app;

-- The view looks like its table.
SELECT columns_are('app', 'patient', '{id,ward,name,email,born,diagnosis,bill}'::name[], 'the view has the columns of the table');
SELECT col_type_is('app', 'patient', 'born', 'date', 'of their types');
SELECT col_default_is('app', 'patient', 'diagnosis', 'unknown', 'with their defaults');
SELECT is(col_description('app.patient'::regclass, 5), 'day of birth', 'and comments');
SELECT view_owner_is('app', 'patient', 'authz_view', 'but it is nobody''s own');
SELECT is_empty('SELECT * FROM authz.masked_view_status() WHERE problem IS NOT NULL OR missing_columns <> ''{}''', 'it is in order, and shows every column');

-- Wrong masks are refused when they are made.
SELECT throws_ok($$SELECT authz.create_mask('data.patient', 'nosuch', 'null')$$, '42703', NULL, 'a mask is for a column that exists');
SELECT throws_ok($$SELECT authz.create_mask('data.patient', 'bill', 'email')$$, '42804', NULL, 'and of a type that it fits');
SELECT throws_ok($$SELECT authz.create_mask('data.patient', 'name', 'partial(-1, 2)')$$, '22023', NULL, 'its arguments make sense');
SELECT throws_ok($$SELECT authz.create_mask('data.patient', 'name', 'name || random()')$$, '42P17', NULL, 'its value does not change within a statement');

SELECT authz.create_mask('data.patient', 'diagnosis', 'clear', '{doctor}', priority => 1);
SELECT authz.create_mask('data.patient', 'diagnosis', 'clear', '{nurse}', 'ward = authz.attr_bigint(''ward'')', priority => 2);
SELECT authz.create_mask('data.patient', 'email', 'clear', '{doctor}', priority => 1);
SELECT authz.create_mask('data.patient', 'email', 'email');
SELECT authz.create_mask('data.patient', 'born', 'date(''year'')', '{clerk}');
SELECT authz.create_mask('data.patient', 'born', 'clear', '{nurse}', priority => 101);
SELECT authz.create_mask('data.patient', 'bill', 'round(500)', '{nurse}');
SELECT authz.create_mask('data.patient', 'bill', 'clear', '{clerk}', priority => 101);
SELECT authz.create_mask('data.patient', 'name', 'left(patient.name, 1) || ''***''', condition => 'ward = 0 AND authz.attr_boolean(''foreign'')');
SELECT authz.create_mask('data.patient', 'name', 'clear', priority => 101);

SET ROLE regress_authz_app;
SET search_path = app, public;
SELECT is_empty('SELECT * FROM patient', 'nobody sees a row');
SELECT throws_ok('SELECT * FROM data.patient', '42501', NULL, 'nor reads the table');

SELECT authz.assume('carl', '{clerk}');
SELECT row_eq('SELECT * FROM patient WHERE id = 3', ROW(3, 1, 'name 3', 'p***@e***.org', '1980-01-01'::date, NULL::text, 333.00::numeric)::patient, 'a clerk sees bills and no diagnosis');
SELECT is((SELECT count(*) FROM patient WHERE diagnosis IS NOT NULL)::int, 0, 'of nobody');
SELECT is_empty($$SELECT id FROM patient WHERE diagnosis = 'diagnosis 3'$$, 'cannot ask for one');
SELECT is_empty($$SELECT id FROM patient WHERE email = 'p3@example.org'$$, 'nor for an address');
SELECT is((SELECT count(DISTINCT born) FROM patient)::int, 1, 'groups by what is shown');
SELECT is((SELECT bool_and(authz.is_masked(p, 'diagnosis')) FROM patient p), true, 'and can tell a hidden value');
SELECT is(authz.is_masked('patient', 'bill', '{"id": 3}'), false, 'from one that is shown');
SELECT is_empty('UPDATE patient SET ward = 0 WHERE id = 3 RETURNING id', 'it changes nothing');
SELECT lives_ok($$INSERT INTO patient (id, ward, name, bill) VALUES (11, 1, 'new', 7)$$, 'but may admit somebody');
SELECT is((SELECT diagnosis FROM patient WHERE id = 11), NULL, 'and does not see the default');

SELECT authz.assume('nina', '{nurse}', '{"ward": 1}');
SELECT set_eq('SELECT id FROM patient WHERE diagnosis IS NOT NULL', '{1,3,5,7,9,11}'::int[], 'a nurse sees the diagnoses of the ward');
SELECT set_eq('SELECT id FROM patient p WHERE authz.is_masked(p, ''diagnosis'')', '{2,4,6,8,10}'::int[], 'and which are hidden');
SELECT set_eq('SELECT DISTINCT bill FROM patient', '{0,500,1000}'::numeric[], 'bills are rounded');
SELECT results_eq('UPDATE patient SET diagnosis = ''new'', bill = bill, email = email WHERE id = 3 RETURNING diagnosis, email, bill', $$VALUES ('new', 'p***@e***.org', 0::numeric)$$, 'a masked value that comes back is not written');
SELECT throws_ok('UPDATE patient SET bill = 1 WHERE id = 3', '42501', 'permission denied to update column "bill" of table "patient"', 'a changed one needs the right to the column');
SELECT authz.assume('nora', '{nurse}', '{"ward": 0, "foreign": true}');
SELECT set_eq('SELECT id FROM patient WHERE diagnosis IS NOT NULL', '{2,4,6,8,10}'::int[], 'the same for a nurse of another ward');
SELECT set_eq('SELECT DISTINCT name FROM patient WHERE ward = 0', '{n***}'::text[], 'a mask may go by the row and the identity');
SELECT authz.assume('dora', '{doctor}', '{"ward": 5}');
SELECT is((SELECT count(diagnosis) FROM patient)::int, 11, 'a doctor sees every diagnosis');
SELECT is((SELECT email FROM patient WHERE id = 3), 'p3@example.org', 'and what was written back masked is intact');

RESET ROLE;
RESET authz.token;
SELECT is((SELECT (email, bill)::text FROM data.patient WHERE id = 3), '(p3@example.org,333.00)', 'also in the table');
ALTER TABLE data.patient ADD COLUMN insurance text DEFAULT 'none';
SELECT results_eq('SELECT missing_columns FROM authz.masked_view_status() WHERE view = ''app.patient''::regclass', $$VALUES ('{insurance}'::name[])$$, 'a new column is not shown before one says so');
SELECT authz.create_mask('data.patient', 'insurance', 'null');
SELECT authz.alter_masked_view('app.patient');
SET ROLE regress_authz_app;
SELECT authz.assume('dora', '{doctor}');
SELECT is((SELECT count(insurance) FROM patient)::int, 0, 'and then as its masks say');
RESET ROLE;
RESET authz.token;

SELECT throws_ok($$SELECT authz.unprotect('data.patient')$$, '2BP01', NULL, 'a table with a masked view stays protected');
SELECT authz.drop_masked_view('app.patient');
SELECT hasnt_view('app', 'patient', 'until the view is dropped');
SELECT lives_ok($$SELECT authz.unprotect('data.patient')$$, 'then not');

SELECT * FROM finish();
ROLLBACK;
