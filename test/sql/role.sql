-- Roles, inheritance, grants.
\set SHOW_CONTEXT never
LOAD 'authz';
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/test/sql/include/token.sql'
\set ECHO none
\i :include
\set ECHO all
SET TimeZone = 'UTC';

SELECT authz.create_role('regress_reader');
SELECT authz.create_role('regress_editor', '{regress_reader}', 'may change things');
SELECT authz.create_role('regress_chief', inherits => '{regress_editor}');
SELECT name, description FROM authz.role WHERE name LIKE 'regress_%' ORDER BY name;
SELECT role, inherits FROM authz.role_inheritance WHERE role LIKE 'regress_%' ORDER BY role;

-- Refused: known, reserved and bad names, unknown inheritance, cycles of any length.
SELECT authz.create_role('regress_reader');
SELECT authz.create_role('*');
SELECT authz.create_role('anonymous');
SELECT left(name, 5) AS name, pg_temp.attempt(format('SELECT authz.create_role(%L)', name))
FROM (VALUES (''), (E'a\nb'), (repeat('x', 256)), (NULL)) AS n (name);
SELECT authz.create_role('regress_other', '{regress_nobody}');
SELECT authz.add_inheritance('regress_reader', 'regress_reader');
SELECT authz.add_inheritance('regress_editor', 'regress_chief');
SELECT authz.add_inheritance('regress_reader', 'regress_chief');
INSERT INTO authz.role_inheritance VALUES ('regress_reader', 'regress_chief');
UPDATE authz.role_inheritance SET inherits = 'regress_chief' WHERE role = 'regress_editor';
SELECT role, inherits FROM authz.role_inheritance WHERE role LIKE 'regress_%' ORDER BY role;

-- A role brings what it inherits, at any distance, and nothing the other way round.
SELECT authz.assume('regress_ann', '{regress_chief}');
SELECT authz.identity() -> 'roles' AS roles;
SELECT authz.assume('regress_ann', '{regress_editor}');
SELECT authz.identity() -> 'roles' AS roles, authz.has_role('regress_reader') AS reader, authz.has_role('regress_chief') AS chief;

-- A change of the hierarchy binds the next statement.
SELECT authz.drop_inheritance('regress_editor', 'regress_reader');
SELECT authz.identity() -> 'roles' AS roles;
SELECT authz.drop_inheritance('regress_editor', 'regress_reader');
SELECT authz.add_inheritance('regress_editor', 'regress_reader');
SELECT authz.add_inheritance('regress_editor', 'regress_reader');
SELECT authz.identity() -> 'roles' AS roles;

-- A change that is rolled back does not.
BEGIN;
SELECT authz.drop_inheritance('regress_editor', 'regress_reader');
SELECT authz.identity() -> 'roles' AS roles;
ROLLBACK;
SELECT authz.identity() -> 'roles' AS roles;
BEGIN;
SAVEPOINT s;
SELECT authz.drop_inheritance('regress_editor', 'regress_reader');
SELECT authz.identity() -> 'roles' AS roles;
ROLLBACK TO s;
SELECT authz.identity() -> 'roles' AS roles;
COMMIT;

-- Grants: to the subject of any issuer, or of one.
SELECT authz.assume('regress_bob', '{}');
SELECT authz.identity() -> 'roles' AS roles, authz.has_role('*') AS anyone, authz.has_role('anonymous') AS nobody;
SELECT authz.grant_role('regress_bob', 'regress_reader', reason => 'joins the team');
SELECT authz.grant_role('regress_carol', 'regress_chief');
SELECT authz.identity() -> 'roles' AS roles;
SELECT authz.create_issuer('https://regress.example', '{api}');
SELECT authz.grant_role('regress_bob', 'regress_chief', issuer => 'https://regress.example');
SELECT authz.identity() -> 'roles' AS roles;
SELECT authz.grant_role('regress_bob', 'regress_editor', issuer => 'authz:internal');
SELECT authz.identity() -> 'roles' AS roles;
SELECT subject, issuer, role, valid_during, reason, granted_by = session_user AS by_me
FROM authz.role_grant WHERE subject = 'regress_bob' ORDER BY role;

-- The same grant again renews it.
SELECT authz.grant_role('regress_bob', 'regress_reader', reason => 'stays in the team');
SELECT count(*), min(reason) AS reason FROM authz.role_grant WHERE subject = 'regress_bob' AND role = 'regress_reader';

-- Refused: unknown role or issuer, no subject, no time.
SELECT authz.grant_role('regress_bob', 'regress_nobody');
SELECT authz.grant_role('regress_bob', 'regress_reader', issuer => 'https://nobody.example');
SELECT pg_temp.attempt($$SELECT authz.grant_role('', 'regress_reader')$$);
SELECT pg_temp.attempt($$SELECT authz.grant_role('regress_bob', 'regress_reader', 'empty')$$);
SELECT pg_temp.attempt($$SELECT authz.grant_role('regress_bob', NULL)$$);

-- Revoking: for one issuer, or all there is.
SELECT authz.revoke_role('regress_bob', 'regress_editor', 'https://regress.example');
SELECT authz.revoke_role('regress_bob', 'regress_editor', 'authz:internal');
SELECT authz.identity() -> 'roles' AS roles;
SELECT authz.revoke_role('regress_bob', 'regress_reader');
SELECT authz.revoke_role('regress_bob', 'regress_chief');
SELECT authz.identity() -> 'roles' AS roles;

-- Validity: not yet, no longer, now.
SELECT authz.grant_role('regress_bob', 'regress_reader', tstzrange(now() + '1 hour', NULL));
SELECT authz.grant_role('regress_bob', 'regress_chief', tstzrange(NULL, now() - interval '1 hour'));
SELECT authz.identity() -> 'roles' AS roles;
SELECT authz.grant_role('regress_bob', 'regress_editor', tstzrange(now() - interval '1 hour', now() + '1 hour'));
SELECT authz.identity() -> 'roles' AS roles;
SELECT authz.revoke_role('regress_bob', 'regress_editor');
SELECT authz.revoke_role('regress_bob', 'regress_chief');
SELECT authz.revoke_role('regress_bob', 'regress_reader');

-- A grant starts and ends by itself, also within a transaction.
SELECT authz.grant_role('regress_bob', 'regress_reader',
	tstzrange(clock_timestamp() + '0.5 s', clock_timestamp() + '1.5 s'));
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT authz.identity() -> 'roles' AS roles;
SELECT pg_sleep(0.7);
SELECT authz.identity() -> 'roles' AS roles;
SELECT pg_sleep(1);
SELECT authz.identity() -> 'roles' AS roles;
COMMIT;
SELECT authz.revoke_role('regress_bob', 'regress_reader');

-- Reserved names are nobody's by grant or token, even if somebody gets them past the triggers.
SET session_replication_role = replica;
INSERT INTO authz.role VALUES ('*'), ('anonymous');
INSERT INTO authz.role_inheritance VALUES ('regress_reader', 'anonymous'), ('regress_reader', 'regress_chief');
RESET session_replication_role;
SELECT authz.grant_role('regress_bob', 'anonymous');
SELECT authz.grant_role('regress_bob', 'regress_reader');
SELECT authz.identity() -> 'roles' AS roles, authz.has_role('anonymous') AS nobody;
SET session_replication_role = replica;
DELETE FROM authz.role_grant WHERE subject = 'regress_bob';
DELETE FROM authz.role_inheritance WHERE role = 'regress_reader';
DELETE FROM authz.role WHERE name IN ('*', 'anonymous');
RESET session_replication_role;

-- Dropping: not what is in use.
SELECT authz.grant_role('regress_bob', 'regress_editor');
SELECT authz.drop_role('regress_editor');
SELECT authz.drop_role('regress_nobody');
DELETE FROM authz.role WHERE name = 'regress_editor';

-- Nor what a policy names.
SELECT authz.create_role('regress_named');
CREATE TABLE regress_authz_thing (id integer);
SELECT authz.protect('regress_authz_thing');
SELECT authz.create_policy('by_name', 'regress_authz_thing', '{select}', roles => '{regress_named}');
SELECT authz.drop_role('regress_named');
UPDATE authz.role SET name = 'regress_renamed' WHERE name = 'regress_named';
SELECT authz.drop_policy('by_name', 'regress_authz_thing');
SELECT authz.drop_role('regress_named');
DROP TABLE regress_authz_thing;

-- Rights: an administrator may, others may not, nor look.
CREATE ROLE regress_authz_admin;
GRANT authz_admin TO regress_authz_admin;
CREATE ROLE regress_authz_user;
SET ROLE regress_authz_admin;
SELECT authz.create_role('regress_extra', '{regress_reader}');
SELECT authz.grant_role('regress_dan', 'regress_extra');
SELECT authz.revoke_role('regress_dan', 'regress_extra');
SELECT authz.drop_role('regress_extra');
SET ROLE regress_authz_user;
SELECT statement, pg_temp.attempt(statement) FROM (VALUES
	($$SELECT authz.create_role('regress_extra')$$),
	($$SELECT authz.drop_role('regress_reader')$$),
	($$SELECT authz.add_inheritance('regress_reader', 'regress_chief')$$),
	($$SELECT authz.drop_inheritance('regress_chief', 'regress_editor')$$),
	($$SELECT authz.grant_role('regress_dan', 'regress_reader')$$),
	($$SELECT authz.revoke_role('regress_bob', 'regress_editor')$$),
	($$SELECT authz.require_role('regress_reader')$$),
	($$SELECT FROM authz.role$$),
	($$SELECT FROM authz.role_inheritance$$),
	($$SELECT FROM authz.role_grant$$),
	($$INSERT INTO authz.role VALUES ('regress_extra')$$),
	($$DELETE FROM authz.role_grant$$)
) AS s (statement);
RESET ROLE;

RESET authz.token;
DELETE FROM authz.role_grant WHERE subject LIKE 'regress_%';
SELECT authz.drop_issuer('https://regress.example');
SELECT authz.drop_role(name) FROM (VALUES ('regress_chief'), ('regress_editor'), ('regress_reader')) AS r (name);
DROP ROLE regress_authz_admin, regress_authz_user;
