-- Every change of policies and roles is numbered and kept with its author.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_admin;
GRANT authz_admin TO regress_authz_admin;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_admin;
SET ROLE regress_authz_admin;
SELECT authz.policy_version() AS before \gset
CREATE TABLE regress_authz.doc (id int, title text);
SELECT authz.create_role('reader'), authz.create_role('writer', '{reader}');
SELECT authz.assume('root@example.org', '{writer}');
SELECT authz.create_policy('p', 'regress_authz.doc', '{select}', 'id = 1', '{reader}');
SELECT authz.alter_policy('p', 'regress_authz.doc', condition => 'id = 2');
RESET authz.token;
SELECT authz.disable_policy('p', 'regress_authz.doc');
BEGIN;
SELECT authz.drop_policy('p', 'regress_authz.doc');
SELECT operation, name FROM authz.policy_history WHERE version = authz.policy_version();
ROLLBACK;
SELECT authz.drop_policy('p', 'regress_authz.doc');
SELECT authz.drop_inheritance('writer', 'reader');
SELECT authz.drop_role('writer'), authz.drop_role('reader');
SELECT row_number() OVER (ORDER BY version) AS n, object_type, operation, relation, name, subject,
		old ->> 'condition' AS old, new ->> 'condition' AS new, new ->> 'enabled' AS enabled, changed_by = session_user AS by_me
	FROM authz.policy_history WHERE version > :before ORDER BY version;
SELECT authz.policy_version() = max(version) AS current FROM authz.policy_history;

-- Nobody but the triggers writes it.
INSERT INTO authz.policy_history SELECT 0, now(), 'x', 'x', 'policy', 'drop', 'x', 'x', NULL, NULL;
UPDATE authz.policy_history SET changed_by = 'somebody';
DELETE FROM authz.policy_history;
TRUNCATE authz.policy_history;
RESET ROLE;
DROP SCHEMA regress_authz CASCADE;
DROP ROLE regress_authz_admin;
