-- Conditions with sub-selects: they read with the rights of the table's owner,
-- unfiltered by its tables' own policies, whoever asks.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_other;
CREATE ROLE regress_authz_user;
CREATE SCHEMA rows_subselect AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA rows_subselect TO regress_authz_user;
GRANT USAGE, CREATE ON SCHEMA rows_subselect TO regress_authz_other;
GRANT authz_admin TO regress_authz_owner, regress_authz_other;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role(r) FROM unnest('{member,clerk}'::text[]) r;

SET search_path = rows_subselect;
CREATE PROCEDURE act_as(subject text, roles text[], attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;

SET ROLE regress_authz_owner;
CREATE TABLE project (id int PRIMARY KEY, name text, parent int, open boolean);
INSERT INTO project VALUES (1, 'one', NULL, true), (2, 'two', 1, false), (3, 'three', NULL, false), (4, 'four', 2, true);
CREATE TABLE member (project int, subject text, until date);
INSERT INTO member VALUES (1, 'alice', NULL), (2, 'alice', '2000-01-01'), (2, 'bob', NULL), (3, 'bob', NULL), (NULL, 'carol', NULL);
CREATE TABLE task (id int PRIMARY KEY, project int, title text);
INSERT INTO task VALUES (1, 1, 't1'), (2, 1, 't2'), (3, 2, 't3'), (4, 3, 't4'), (5, NULL, 't5'), (6, 4, 't6');
-- The caller may read projects and tasks, not who is a member.
GRANT SELECT, INSERT, UPDATE, DELETE ON project, task TO regress_authz_user;
SELECT authz.protect('task'), authz.protect('project');
\set as_owner 'SET ROLE regress_authz_owner;'
\set as_user 'SET ROLE regress_authz_user;'

--
-- EXISTS, IN, NOT IN, = ANY, a scalar, an array: over a table that the caller cannot read.
--
SELECT authz.create_policy('members', 'task', '{select,insert,update,delete}',
	'EXISTS (SELECT FROM member m WHERE m.project = task.project AND m.subject = authz.subject())', '{member}');
:as_user
SELECT count(*) FROM member;
SELECT id FROM task ORDER BY id;
CALL act_as('alice', '{member}');
SELECT id FROM task ORDER BY id;
SELECT id, authz.permits_row('select', task) FROM task ORDER BY id;
EXPLAIN (COSTS OFF) SELECT id FROM task;
CALL act_as('bob', '{member}');
SELECT id FROM task ORDER BY id;
CALL act_as('carol', '{member}');
SELECT id FROM task ORDER BY id;
CALL act_as('bob', '{clerk}');
SELECT id FROM task ORDER BY id;
\set QUIET off
CALL act_as('bob', '{member}');
BEGIN;
INSERT INTO task VALUES (10, 3, 'new') RETURNING id;
UPDATE task SET title = title || '!' RETURNING id;
UPDATE task SET project = 2 WHERE id = 4;
DELETE FROM task WHERE id < 4 RETURNING id;
INSERT INTO task VALUES (4, 2, 'x') ON CONFLICT (id) DO UPDATE SET title = excluded.title RETURNING *;
MERGE INTO task USING (VALUES (4), (1), (11)) v(id) ON task.id = v.id
	WHEN MATCHED THEN UPDATE SET title = 'merged'
	WHEN NOT MATCHED AND v.id > 9 THEN INSERT VALUES (v.id, 3, 'merged');
SELECT * FROM task ORDER BY id;
ROLLBACK;
INSERT INTO task VALUES (10, 1, 'new');
INSERT INTO task VALUES (10, NULL, 'new');
UPDATE task SET project = 1 WHERE id = 3;
UPDATE task SET title = 'x' WHERE project = 1;
DELETE FROM task WHERE project = 1;
\set QUIET on
:as_owner
SELECT authz.alter_policy('members', 'task', condition => 'project IN (SELECT m.project FROM member m WHERE m.subject = authz.subject())');
:as_user
CALL act_as('alice', '{member}');
SELECT id FROM task ORDER BY id;
EXPLAIN (COSTS OFF) SELECT id FROM task;
CALL act_as('carol', '{member}');
SELECT id FROM task ORDER BY id;
:as_owner
SELECT authz.alter_policy('members', 'task', condition => 'project NOT IN (SELECT m.project FROM member m WHERE m.subject = authz.subject())');
:as_user
CALL act_as('alice', '{member}');
SELECT id FROM task ORDER BY id;
-- NOT IN over a NULL is NULL: no permit.
CALL act_as('carol', '{member}');
SELECT id FROM task ORDER BY id;
:as_owner
SELECT authz.alter_policy('members', 'task', condition => 'project = ANY (ARRAY(SELECT m.project FROM member m WHERE m.subject = authz.subject()))');
:as_user
CALL act_as('bob', '{member}');
SELECT id FROM task ORDER BY id;
:as_owner
SELECT authz.alter_policy('members', 'task', condition => 'project >= (SELECT max(m.project) FROM member m WHERE m.subject = authz.subject())');
:as_user
SELECT id FROM task ORDER BY id;
CALL act_as('nobody', '{member}');
SELECT id FROM task ORDER BY id;
:as_owner
SELECT authz.alter_policy('members', 'task', condition => $$project IN (
	WITH RECURSIVE below(id) AS (
		SELECT m.project FROM member m WHERE m.subject = authz.subject()
		UNION
		SELECT p.id FROM project p JOIN below b ON p.parent = b.id)
	SELECT id FROM below)$$);
:as_user
CALL act_as('alice', '{member}');
SELECT id FROM task ORDER BY id;
SELECT id, authz.permits_row('select', task) FROM task ORDER BY id;
CALL act_as('bob', '{member}');
SELECT id FROM task ORDER BY id;
-- A scalar sub-select that returns two rows is an error, and shows none.
:as_owner
SELECT authz.alter_policy('members', 'task', condition => 'project = (SELECT m.project FROM member m WHERE m.subject = authz.subject())');
:as_user
SELECT id FROM task;
SELECT authz.permits_row('select', ROW(1, 1, 't')::task);
-- Views and functions in it: of a view the owner's rights count, as everywhere.
:as_owner
CREATE VIEW membership AS SELECT project, subject FROM member WHERE until IS NULL;
SELECT authz.alter_policy('members', 'task', condition => 'EXISTS (SELECT FROM membership m WHERE m.project = task.project AND m.subject = authz.subject())');
:as_user
CALL act_as('alice', '{member}');
SELECT id FROM task ORDER BY id;
SELECT count(*) FROM membership;

--
-- The table that is looked up is protected: its policies are for callers, not for the condition.
--
:as_owner
GRANT SELECT, INSERT ON member TO regress_authz_user;
SELECT authz.protect('member');
:as_user
SELECT id FROM task ORDER BY id;
SELECT count(*) FROM member;
:as_owner
SELECT authz.create_policy('own', 'member', '{select}', 'subject = authz.subject()', '{member}');
:as_user
SELECT project FROM member ORDER BY 1;
SELECT id FROM task ORDER BY id;
SELECT task.id, member.project FROM task JOIN member USING (project) ORDER BY 1;
INSERT INTO member VALUES (3, 'alice');
RESET authz.token;
SELECT id FROM task;
-- A table of another owner that this owner may not read.
RESET ROLE;
SET ROLE regress_authz_other;
CREATE TABLE foreign_member (project int, subject text);
INSERT INTO foreign_member VALUES (1, 'alice'), (3, 'alice');
:as_owner
SELECT authz.create_policy('foreign', 'task', '{select}', 'project IN (SELECT f.project FROM foreign_member f WHERE f.subject = authz.subject())', '{clerk}');
:as_user
CALL act_as('alice', '{clerk}');
SELECT id FROM task ORDER BY id;
SELECT authz.permits_row('select', ROW(1, 1, 't')::task);
SET ROLE regress_authz_other;
GRANT SELECT ON foreign_member TO regress_authz_owner, regress_authz_user;
:as_user
SELECT id FROM task ORDER BY id;
-- Protected by its own owner, it is filtered for the task's owner as for anybody.
SET ROLE regress_authz_other;
SELECT authz.protect('foreign_member');
:as_user
SELECT id FROM task ORDER BY id;
SET ROLE regress_authz_other;
SELECT authz.create_policy('one', 'foreign_member', '{select}', 'project = 1', '{clerk}');
:as_user
SELECT project FROM foreign_member;
SELECT id FROM task ORDER BY id;
SELECT authz.permits_row('select', ROW(1, 3, 't')::task), authz.permits_row('select', ROW(1, 1, 't')::task);
CALL act_as('alice', '{clerk,member}');
SELECT id FROM task ORDER BY id;

--
-- Two tables whose policies read each other, and one that reads itself.
--
:as_owner
SELECT authz.create_policy('with tasks', 'project', '{select}', 'EXISTS (SELECT FROM task t WHERE t.project = project.id AND t.title < ''t4'')', '{member}');
SELECT authz.alter_policy('members', 'task', condition => 'EXISTS (SELECT FROM project p WHERE p.id = task.project AND p.open)');
:as_user
CALL act_as('alice', '{member}');
SELECT id FROM task ORDER BY id;
SELECT id FROM project ORDER BY id;
SELECT task.id, project.id FROM task LEFT JOIN project ON project.id = task.project ORDER BY 1;
:as_owner
SELECT authz.alter_policy('with tasks', 'project', condition =>
	'parent IS NULL OR EXISTS (SELECT FROM project p WHERE p.id = project.parent AND p.parent IS NULL)');
:as_user
SELECT id FROM project ORDER BY id;
:as_owner
SELECT authz.create_policy('grow', 'project', '{insert,update}', 'id > (SELECT max(p.id) FROM project p)', '{member}',
	check_condition => 'id = 1 + (SELECT max(p.id) FROM project p)');
:as_user
\set QUIET off
BEGIN;
INSERT INTO project VALUES (5, 'five');
INSERT INTO project VALUES (7, 'seven');
ROLLBACK;
UPDATE project SET name = 'x';
\set QUIET on

-- Two owners whose tables' policies read each other: each is filtered for the other, in a circle.
:as_owner
GRANT SELECT ON task TO regress_authz_other;
SELECT authz.alter_policy('members', 'task', condition => 'EXISTS (SELECT FROM foreign_member f WHERE f.project = task.project)');
SET ROLE regress_authz_other;
SELECT authz.alter_policy('one', 'foreign_member', roles => '{member}',
	condition => 'EXISTS (SELECT FROM task t WHERE t.project = foreign_member.project)');
:as_user
SELECT id FROM task;
SELECT project FROM foreign_member;
SELECT authz.permits_row('select', ROW(1, 1, 't')::task);
-- Broken at one place, it is a circle no more.
SET ROLE regress_authz_other;
SELECT authz.alter_policy('one', 'foreign_member', condition => 'project = 3');
:as_user
SELECT id FROM task ORDER BY id;
SELECT project FROM foreign_member;

--
-- With another owner the condition reads with his rights.
--
:as_owner
SELECT authz.alter_policy('members', 'task', condition => 'EXISTS (SELECT FROM member m WHERE m.project = task.project AND m.subject = authz.subject())');
:as_user
SELECT id FROM task ORDER BY id;
RESET ROLE;
ALTER TABLE task OWNER TO regress_authz_other;
:as_user
SELECT id FROM task ORDER BY id;
RESET ROLE;
ALTER TABLE task OWNER TO regress_authz_owner;
:as_user
SELECT id FROM task ORDER BY id;

-- Nothing of what the caller may do changes what a condition reads.
SET row_security = off;
SELECT id FROM task;
SET row_security = on;
CREATE TEMPORARY TABLE member AS SELECT 3 AS project, 'alice' AS subject;
SET search_path = pg_temp, rows_subselect;
SELECT id FROM task ORDER BY id;
SET search_path = rows_subselect;
DROP TABLE pg_temp.member;
-- A prepared statement follows what its condition reads.
PREPARE tasks AS SELECT string_agg(id::text, ' ' ORDER BY id) FROM task;
SET plan_cache_mode = force_generic_plan;
EXECUTE tasks;
:as_owner
RESET ROLE;
INSERT INTO member VALUES (3, 'alice');
:as_user
EXECUTE tasks;
RESET ROLE;
DELETE FROM member WHERE subject = 'alice';
:as_user
EXECUTE tasks;
DEALLOCATE tasks;

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA rows_subselect CASCADE;
SELECT authz.drop_role(r) FROM unnest('{member,clerk}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_other, regress_authz_user;
