-- What a user relies on when rights change: the next statement obeys, also a prepared one.
BEGIN;
SELECT plan(21);

CREATE ROLE regress_authz_app;
CREATE TABLE doc (id int PRIMARY KEY, dept text, body text);
INSERT INTO doc SELECT i, (ARRAY['hr', 'it', 'law'])[1 + i % 3], 'text' FROM generate_series(1, 30) i;
GRANT SELECT, UPDATE ON doc TO regress_authz_app;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_app;
SELECT authz.create_role('clerk'), authz.create_role('lawyer');
SELECT authz.create_policy('hr', 'doc', '{select,update}', 'dept = ''hr''', '{clerk}');
SELECT authz.create_policy('law', 'doc', '{select}', 'dept = ''law''', '{lawyer}');
SELECT authz.protect('doc');

SET plan_cache_mode = force_generic_plan;
SET ROLE regress_authz_app;
SELECT authz.assume('ann', '{clerk}');
PREPARE n AS SELECT count(*)::int FROM doc;
SELECT results_eq('n', '{10}'::int[], 'a clerk reads his department');

RESET ROLE;
SELECT authz.grant_role('ann', 'lawyer');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{20}'::int[], 'a granted role counts at once');
SELECT ok(authz.has_role('lawyer'), 'has_role says so');
RESET ROLE;
SELECT authz.revoke_role('ann', 'lawyer');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{10}'::int[], 'a revoked one is gone at once');
SELECT ok(NOT authz.has_role('lawyer'), 'has_role says so too');

RESET ROLE;
SELECT authz.grant_role('ann', 'lawyer', tstzrange(now() + interval '1 hour', NULL), 'starts later');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{10}'::int[], 'a grant does not hold before its time');
RESET ROLE;
SELECT authz.grant_role('ann', 'lawyer', tstzrange(NULL, now() - interval '1 hour'), 'is over');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{10}'::int[], 'nor after it');

RESET ROLE;
SELECT authz.add_inheritance('clerk', 'lawyer');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{20}'::int[], 'a role that inherits another has its rights');
RESET ROLE;
SELECT throws_ok($$SELECT authz.add_inheritance('lawyer', 'clerk')$$, '0LP01', NULL, 'two roles do not inherit each other');
SELECT authz.drop_inheritance('clerk', 'lawyer');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{10}'::int[], 'until it does not any more');

RESET ROLE;
SELECT authz.alter_policy('hr', 'doc', condition => 'dept = ''hr'' AND id <= 15');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{5}'::int[], 'an altered policy decides at once');
RESET ROLE;
SAVEPOINT s;
SELECT authz.drop_policy('hr', 'doc');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{0}'::int[], 'a dropped one permits nothing');
ROLLBACK TO s;
SET ROLE regress_authz_app;
SELECT results_eq('n', '{5}'::int[], 'a change that is rolled back never was');
RESET ROLE;
SELECT authz.disable_policy('hr', 'doc');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{0}'::int[], 'a disabled policy does not apply');
RESET ROLE;
SELECT authz.enable_policy('hr', 'doc');
SELECT authz.alter_policy('hr', 'doc', valid_during => tstzrange(now() - interval '2 h', now() - interval '1 h'));
SET ROLE regress_authz_app;
SELECT results_eq('n', '{0}'::int[], 'nor does one whose time is over');
RESET ROLE;
SELECT authz.alter_policy('hr', 'doc', valid_during => tstzrange(now() - interval '2 h', now() + interval '1 h'), columns => '{body}');
SET ROLE regress_authz_app;
SELECT results_eq('n', '{5}'::int[], 'one whose time is now does');
SELECT isnt_empty('UPDATE doc SET body = body RETURNING id', 'columns: what a policy permits to set can be set');
SELECT throws_ok('UPDATE doc SET dept = dept RETURNING id', '42501', 'permission denied to update column "dept" of table "doc"', 'and nothing else');
SELECT throws_ok('UPDATE doc SET body = body, dept = dept', '42501', 'permission denied to update column "dept" of table "doc"', 'not even together with it');

RESET ROLE;
SELECT is((SELECT string_agg(operation, ' ' ORDER BY version) FROM authz.policy_history WHERE object_type = 'policy' AND name = 'hr'),
		  'create alter alter alter alter alter', 'history keeps every change that was committed');
SELECT throws_ok('TRUNCATE authz.policy', '0A000', NULL, 'and none goes by unrecorded');

SELECT * FROM finish();
ROLLBACK;
