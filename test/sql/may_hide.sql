-- may_hide: the new row of an UPDATE need not be visible, as when it is a soft delete;
-- and what authz.permits_row says of a whole statement.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA may_hide AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA may_hide TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role('editor');
SET search_path = may_hide;
CREATE PROCEDURE act_as(subject text, roles text[] DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, '{}');
END;
\set as_owner 'SET ROLE regress_authz_owner;'
\set as_user 'SET ROLE regress_authz_user;'

:as_owner
CREATE TABLE doc (id int PRIMARY KEY, owner text NOT NULL, title text NOT NULL DEFAULT '', deleted_at timestamptz);
INSERT INTO doc SELECT i, CASE WHEN i % 2 = 0 THEN 'alice' ELSE 'bob' END FROM generate_series(1, 8) i;
GRANT ALL ON doc TO regress_authz_user;
SELECT authz.protect('doc');
SELECT authz.create_policy('read', 'doc', '{select}', 'deleted_at IS NULL');
SELECT authz.create_policy('own', 'doc', '{insert,update,delete}', 'owner = authz.subject()');
\set QUIET off

-- Without it, row security's own rule: an UPDATE that reads the table may not make a row invisible.
:as_user
CALL act_as('alice');
UPDATE doc SET deleted_at = now() WHERE id = 2;
:as_owner
SELECT authz.alter_policy('own', 'doc', may_hide => true);
SELECT may_hide FROM authz.policy WHERE relation = 'doc'::regclass ORDER BY name;
:as_user
BEGIN;
UPDATE doc SET deleted_at = now() WHERE id = 2;
SELECT id FROM doc ORDER BY id;
UPDATE doc SET deleted_at = NULL WHERE id = 2;
ROLLBACK;
-- Only rows that the policy permits; and what is returned has to be visible.
UPDATE doc SET deleted_at = now() WHERE id = 1;
UPDATE doc SET deleted_at = now(), owner = 'bob' WHERE id = 2;
UPDATE doc SET deleted_at = now() WHERE id = 2 RETURNING id;
WITH d AS (UPDATE doc SET deleted_at = now() WHERE id = 2 RETURNING 1) SELECT count(*) FROM d;
BEGIN;
UPDATE doc SET title = 'x' WHERE id = 2 RETURNING title;
WITH d AS (UPDATE doc SET deleted_at = now() WHERE id = 4) SELECT count(*) FROM doc;
SELECT count(*) FROM doc;
MERGE INTO doc USING (VALUES (6)) v(id) ON doc.id = v.id WHEN MATCHED THEN UPDATE SET deleted_at = now();
SELECT count(*) FROM doc;
INSERT INTO doc (id, owner) VALUES (8, 'alice') ON CONFLICT (id) DO UPDATE SET deleted_at = now();
SELECT count(*) FROM doc;
ROLLBACK;
INSERT INTO doc (id, owner) VALUES (8, 'alice') ON CONFLICT (id) DO UPDATE SET deleted_at = now() RETURNING id;
-- An INSERT is no UPDATE.
INSERT INTO doc (id, owner, deleted_at) VALUES (20, 'alice', now()) RETURNING id;

-- A prepared statement follows the policy, and the identity.
PREPARE hide AS UPDATE doc SET deleted_at = now() WHERE id = $1;
BEGIN;
EXECUTE hide (2);
ROLLBACK;
:as_owner
SELECT authz.alter_policy('own', 'doc', may_hide => false);
:as_user
EXECUTE hide (2);
:as_owner
SELECT authz.alter_policy('own', 'doc', may_hide => true, roles => '{editor}');
SELECT authz.create_policy('all', 'doc', '{update}');
:as_user
EXECUTE hide (2);
CALL act_as('alice', '{editor}');
BEGIN;
EXECUTE hide (2);
ROLLBACK;

-- Where another permit may have permitted the old row, the condition is looked at too: it permits no row of bob's.
EXECUTE hide (1);
UPDATE doc SET deleted_at = now(), owner = 'alice' WHERE id = 1;
:as_owner
SELECT authz.alter_policy('own', 'doc', condition => 'owner = authz.subject()', check_condition => 'true');
:as_user
EXECUTE hide (1);
BEGIN;
EXECUTE hide (2);
ROLLBACK;
-- If it reads what the statement sets, nobody can tell: the row has to be visible.
:as_owner
SELECT authz.alter_policy('own', 'doc', condition => 'owner = authz.subject() AND deleted_at IS NULL');
:as_user
EXECUTE hide (2);
:as_owner
SELECT authz.drop_policy('all', 'doc');
:as_user
BEGIN;
EXECUTE hide (2);
ROLLBACK;
EXECUTE hide (1);
BEGIN;
UPDATE doc SET owner = 'bob' WHERE id = 2;
ROLLBACK;

-- By columns: each that is set needs such a permit.
:as_owner
SELECT authz.alter_policy('own', 'doc', condition => 'owner = authz.subject()', check_condition => '', roles => '{*}',
	columns => '{deleted_at}');
SELECT authz.create_policy('title', 'doc', '{update}', columns => '{title}');
:as_user
BEGIN;
EXECUTE hide (2);
ROLLBACK;
UPDATE doc SET deleted_at = now(), title = 'x' WHERE id = 2;
BEGIN;
UPDATE doc SET title = 'x' WHERE id = 2;
ROLLBACK;
:as_owner
SELECT authz.drop_policy('title', 'doc');
-- A forbid for update stands; one for select does not hide more than it did.
SELECT authz.create_policy('kept', 'doc', '{update}', 'id = 2', effect => 'forbid');
SELECT authz.create_policy('gone', 'doc', '{select}', 'deleted_at IS NOT NULL AND deleted_at < ''infinity''', effect => 'forbid');
SELECT authz.alter_policy('read', 'doc', condition => 'true');
:as_user
EXECUTE hide (2);
BEGIN;
EXECUTE hide (4);
SELECT count(*) FROM doc;
ROLLBACK;
-- So does a restrictive policy of one's own.
:as_owner
CREATE POLICY mine ON doc AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK (deleted_at < 'infinity' OR deleted_at IS NULL);
CREATE POLICY seen ON doc AS RESTRICTIVE FOR SELECT USING (id <> 4 OR deleted_at IS NULL);
:as_user
EXECUTE hide (4);
UPDATE doc SET deleted_at = 'infinity' WHERE id = 6;
:as_owner
DROP POLICY mine ON doc;
DROP POLICY seen ON doc;
SELECT authz.drop_policy('kept', 'doc');

-- The same of a condition that reads a column that is generated from one that is set.
:as_owner
CREATE TABLE note (id int PRIMARY KEY, title text, kind text GENERATED ALWAYS AS (lower(title)) STORED, seen boolean DEFAULT true);
INSERT INTO note (id, title) VALUES (1, 'kept'), (2, 'Draft');
GRANT ALL ON note TO regress_authz_user;
SELECT authz.protect('note');
SELECT authz.create_policy('read', 'note', '{select}', 'seen');
SELECT authz.create_policy('all', 'note', '{update}');
SELECT authz.create_policy('drafts', 'note', '{update}', 'kind = ''draft''', may_hide => true);
:as_user
UPDATE note SET title = 'draft', seen = false WHERE id = 1;
UPDATE note SET seen = false WHERE id = 1;
BEGIN;
UPDATE note SET seen = false WHERE id = 2;
SELECT id FROM note;
ROLLBACK;
:as_owner

--
-- Through views, and a masked view
--
CREATE VIEW doc_view AS SELECT id, deleted_at FROM doc;
SELECT authz.create_mask('doc', 'title', 'constant(''*'')'), authz.create_masked_view('doc', 'masked_doc');
GRANT ALL ON doc_view, masked_doc TO regress_authz_user;
:as_user
BEGIN;
UPDATE doc_view SET deleted_at = now() WHERE id = 2;
SELECT count(*) FROM doc_view;
ROLLBACK;
UPDATE doc_view SET deleted_at = now() WHERE id = 2 RETURNING id;
BEGIN;
UPDATE masked_doc SET deleted_at = now() WHERE id = 2;
SELECT count(*) FROM masked_doc;
UPDATE masked_doc SET deleted_at = now() WHERE id = 2;
ROLLBACK;
UPDATE masked_doc SET deleted_at = now() WHERE id = 2 RETURNING id;
UPDATE masked_doc SET deleted_at = now() WHERE id = 1;
-- Not hidden, it is returned as the view shows it.
BEGIN;
UPDATE masked_doc SET deleted_at = NULL WHERE id = 2 RETURNING id, title;
ROLLBACK;
:as_owner
SELECT authz.alter_policy('own', 'doc', may_hide => false);
:as_user
UPDATE masked_doc SET deleted_at = now() WHERE id = 2;
:as_owner
SELECT authz.alter_policy('own', 'doc', may_hide => true);
DROP VIEW doc_view;
SELECT authz.drop_masked_view('masked_doc');
\set QUIET on

--
-- A whole statement: what it looks for has to be visible, and what it makes of it, unless it may be hidden.
--
RESET ROLE;
INSERT INTO doc VALUES (30, 'alice', '', now()), (31, 'bob', '', now());
CALL act_as('alice');
CREATE VIEW answer AS
	SELECT action, statement, array_agg(doc.id ORDER BY doc.id) AS ids
	FROM doc, unnest('{select,update,update_check,delete,insert}'::text[]) action, unnest('{false,true}'::boolean[]) statement
	WHERE authz.permits_row(action, doc, CASE WHEN action ~ 'update' THEN '{deleted_at}' END::name[], statement) GROUP BY 1, 2;
SELECT * FROM answer ORDER BY 1, 2;
SELECT authz.alter_policy('own', 'doc', may_hide => false);
SELECT * FROM answer WHERE action = 'update_check' ORDER BY 2;
SELECT authz.alter_policy('own', 'doc', may_hide => true);
SELECT authz.permits_row('update', doc, statement => NULL) AS is_null, authz.permits_row('update_hide', doc) FROM doc LIMIT 1;

--
-- Soft delete as the manual has it: what is deleted is seen and changed by nobody.
--
SET ROLE regress_authz_owner;
SET client_min_messages = notice;
SELECT authz.drop_policy(name, 'doc') FROM authz.policy WHERE relation = 'doc'::regclass;
SELECT authz.create_policy('read', 'doc', '{select}', 'owner = authz.subject()');
SELECT authz.create_policy('deleted', 'doc', '{select,update}', 'deleted_at IS NOT NULL', check_condition => 'false', effect => 'forbid');
SELECT authz.create_policy('edit', 'doc', '{update}', 'owner = authz.subject()', may_hide => true);
\set QUIET off
:as_user
BEGIN;
UPDATE doc SET deleted_at = now() WHERE id = 4;
UPDATE doc SET deleted_at = NULL WHERE id = 4;
SELECT count(*) FROM doc;
UPDATE doc SET deleted_at = NULL;
UPDATE doc SET title = 'x';
SELECT count(*) FROM doc;
ROLLBACK;
UPDATE doc SET deleted_at = now() WHERE id = 4 RETURNING id;
UPDATE doc SET owner = 'bob' WHERE id = 4;
\set QUIET on
RESET ROLE;
SELECT authz.drop_policy('deleted', 'doc');
SELECT authz.alter_policy('read', 'doc', condition => 'deleted_at IS NULL');
SELECT authz.alter_policy('edit', 'doc', condition => 'true', roles => '{*,anonymous}'), authz.alter_policy('read', 'doc', roles => '{*,anonymous}');

--
-- In the first statement of a session, which loads the library; but not what is returned.
--
\c -
SET ROLE regress_authz_user;
UPDATE may_hide.doc SET deleted_at = now() WHERE id = 2;
UPDATE may_hide.doc SET deleted_at = now() WHERE id = 2;
SELECT count(*) FROM may_hide.doc;
\c -
SET ROLE regress_authz_user;
UPDATE may_hide.doc SET deleted_at = now() WHERE id = 4 RETURNING id;
RESET ROLE;
SET search_path = may_hide;
SET client_min_messages = notice;

-- What it is for
SELECT authz.create_policy('bad', 'doc', '{select}', may_hide => true);
SELECT authz.create_policy('bad', 'doc', '{update}', effect => 'forbid', may_hide => true);
SELECT authz.alter_policy('edit', 'doc', actions => '{insert}');
SELECT new -> 'may_hide' FROM authz.policy_history WHERE relation = 'may_hide.doc' AND name = 'own' ORDER BY version LIMIT 2;

RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA may_hide CASCADE;
SELECT authz.drop_role('editor');
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user;
