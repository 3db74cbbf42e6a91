-- What several policies come to: permits add up, a forbid wins, and NULL never permits.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA rows_combining AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA rows_combining TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;

SET search_path = rows_combining;
CREATE PROCEDURE act_as(subject text, roles text[], attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;
SELECT authz.create_role('staff'), authz.create_role('editor'), authz.create_role('chief', '{editor,staff}');

SET ROLE regress_authz_owner;
CREATE TABLE note (id int PRIMARY KEY, grp int, secret boolean, title text, body text DEFAULT '');
INSERT INTO note VALUES
	(1, 1, false, 'one'), (2, 1, true, 'two'), (3, 1, NULL, 'three'),
	(4, 2, false, 'four'), (5, 2, true, 'five'), (6, NULL, false, 'six');
GRANT ALL ON note TO regress_authz_user;
SELECT authz.protect('note');
-- The rows that the current identity may see, and whether permits_row says so of every row there is.
RESET ROLE;
CREATE VIEW every_note AS SELECT note AS "row" FROM note;
CREATE VIEW seen WITH (security_invoker) AS
	SELECT f.ids, f.ids = r.ids AS agreed
	FROM (SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), 'nothing') AS ids FROM note) f,
		(SELECT coalesce(string_agg(("row").id::text, ' ' ORDER BY ("row").id), 'nothing') AS ids
		 FROM every_note WHERE authz.permits_row('select', "row")) r;
GRANT SELECT ON seen, every_note TO PUBLIC;
\set as_owner 'SET ROLE regress_authz_owner;'
\set as_user 'SET ROLE regress_authz_user;'

--
-- Permits add up; NULL is not one.
--
:as_owner
SELECT authz.create_policy('group one', 'note', '{select}', 'grp = 1', '{staff}');
:as_user
CALL act_as('a', '{staff}');
TABLE seen;
:as_owner
SELECT authz.create_policy('not secret', 'note', '{select}', 'NOT secret', '{editor}');
:as_user
TABLE seen;
CALL act_as('a', '{editor}');
TABLE seen;
CALL act_as('a', '{staff,editor}');
TABLE seen;
CALL act_as('a', '{chief}');
TABLE seen;
CALL act_as('a', '{}');
TABLE seen;
:as_owner
SELECT authz.create_policy('null', 'note', '{select}', 'NULL', '{staff}');
:as_user
CALL act_as('a', '{}');
TABLE seen;
CALL act_as('a', '{staff}');
TABLE seen;
:as_owner
SELECT authz.drop_policy('null', 'note');

--
-- A forbid wins over every permit, and forbids where it is NULL.
--
SELECT authz.create_policy('no secrets', 'note', '{select}', 'secret', '{staff}', effect => 'forbid');
:as_user
CALL act_as('a', '{staff}');
TABLE seen;
CALL act_as('a', '{editor}');
TABLE seen;
CALL act_as('a', '{chief}');
TABLE seen;
:as_owner
SELECT authz.create_policy('all', 'note', '{select}');
:as_user
CALL act_as('a', '{staff}');
TABLE seen;
CALL act_as('a', '{}');
TABLE seen;
:as_owner
SELECT authz.create_policy('nor group two', 'note', '{select}', 'grp = 2', '{staff}', effect => 'forbid');
:as_user
CALL act_as('a', '{staff}');
TABLE seen;
-- A missing attribute in a forbid forbids, in a permit it does not permit.
:as_owner
SELECT authz.drop_policy(p, 'note') FROM unnest('{group one,not secret,no secrets,nor group two}'::text[]) p;
SELECT authz.create_policy('blocked group', 'note', '{select}', 'grp = authz.attr_bigint(''blocked'')', effect => 'forbid');
:as_user
CALL act_as('a', '{staff}', '{"blocked": 1}');
TABLE seen;
CALL act_as('a', '{staff}', '{"blocked": 7}');
TABLE seen;
CALL act_as('a', '{staff}');
TABLE seen;
-- A forbid alone permits nothing; one that is never true takes nothing away, one that is NULL everything.
:as_owner
SELECT authz.alter_policy('blocked group', 'note', condition => 'false');
:as_user
TABLE seen;
:as_owner
SELECT authz.drop_policy('all', 'note');
:as_user
TABLE seen;
:as_owner
SELECT authz.create_policy('all', 'note', '{select}');
SELECT authz.alter_policy('blocked group', 'note', condition => 'NULL');
:as_user
TABLE seen;
EXPLAIN (COSTS OFF) SELECT id FROM note;
:as_owner
SELECT authz.alter_policy('blocked group', 'note', effect => 'permit');
:as_user
TABLE seen;
:as_owner
SELECT authz.drop_policy('blocked group', 'note');

--
-- '*' is everybody with an identity, anonymous nobody's; both together are everybody.
--
SELECT authz.alter_policy('all', 'note', condition => 'grp = 1');
:as_user
RESET authz.token;
TABLE seen;
:as_owner
SELECT authz.create_policy('public', 'note', '{select}', 'grp = 2', '{anonymous}');
:as_user
TABLE seen;
CALL act_as('a', '{}');
TABLE seen;
CALL act_as('a', '{chief}');
TABLE seen;
:as_owner
SELECT authz.alter_policy('public', 'note', roles => '{anonymous,*}');
:as_user
TABLE seen;
RESET authz.token;
TABLE seen;
:as_owner
SELECT authz.create_policy('not for strangers', 'note', '{select}', 'secret', '{anonymous}', effect => 'forbid');
:as_user
TABLE seen;
CALL act_as('a', '{}');
TABLE seen;
CALL act_as('a', '{*}');
TABLE seen;
CALL act_as('a', '{anonymous}');
TABLE seen;
RESET authz.token;
-- Roles are names, whatever they look like.
:as_owner
SELECT authz.drop_policy('not for strangers', 'note'), authz.drop_policy('public', 'note');
\set VERBOSITY terse
SELECT authz.create_policy('bad', 'note', '{select}', roles => '{no such role}');
SELECT authz.create_policy('bad', 'note', '{select}', roles => '{}');
SELECT authz.create_policy('bad', 'note', '{select}', roles => '{STAFF}');
\set VERBOSITY default

--
-- Time: past, future, now, and both ends.
--
SELECT authz.alter_policy('all', 'note', condition => 'true', valid_during => '(,2000-01-01)');
:as_user
CALL act_as('a', '{staff}');
TABLE seen;
EXPLAIN (COSTS OFF) SELECT id FROM note;
:as_owner
SELECT authz.alter_policy('all', 'note', valid_during => '[2100-01-01,)');
:as_user
TABLE seen;
:as_owner
SELECT authz.alter_policy('all', 'note', valid_during => '[2000-01-01,2100-01-01)');
:as_user
TABLE seen;
:as_owner
SELECT authz.alter_policy('all', 'note', valid_during => '[2000-01-01,)');
:as_user
TABLE seen;
EXPLAIN (COSTS OFF) SELECT id FROM note;
:as_owner
SELECT authz.alter_policy('all', 'note', valid_during => '(,2100-01-01]');
SELECT authz.create_policy('curfew', 'note', '{select}', 'grp = 1', effect => 'forbid', valid_during => '(,2000-01-01]');
:as_user
TABLE seen;
:as_owner
SELECT authz.alter_policy('curfew', 'note', valid_during => '(,2100-01-01]');
:as_user
TABLE seen;
:as_owner
SELECT authz.alter_policy('curfew', 'note', valid_during => '[2100-01-01,)');
:as_user
TABLE seen;
-- One that ends and one that starts in a moment, in one prepared statement.
:as_owner
SELECT authz.drop_policy('curfew', 'note');
SELECT authz.alter_policy('all', 'note', condition => 'grp = 1',
	valid_during => tstzrange(NULL, clock_timestamp() + '2 s'));
SELECT authz.create_policy('later', 'note', '{select}', 'grp = 2', valid_during => tstzrange(clock_timestamp() + '2 s', NULL));
:as_user
SET plan_cache_mode = force_generic_plan;
PREPARE looks AS SELECT string_agg(id::text, ' ' ORDER BY id) FROM note;
EXECUTE looks;
SELECT FROM pg_sleep(2.2);
EXECUTE looks;
DEALLOCATE looks;
RESET plan_cache_mode;
:as_owner
SELECT authz.drop_policy('later', 'note');
SELECT authz.alter_policy('all', 'note', condition => 'true', valid_during => '(,)');
\set VERBOSITY terse
SELECT authz.create_policy('bad', 'note', '{select}', valid_during => 'empty');
\set VERBOSITY default

--
-- Enabled, disabled, altered, dropped
--
:as_user
TABLE seen;
:as_owner
SELECT authz.disable_policy('all', 'note');
:as_user
TABLE seen;
:as_owner
SELECT authz.enable_policy('all', 'note'), authz.alter_policy('all', 'note', roles => '{editor}');
:as_user
TABLE seen;
CALL act_as('a', '{editor}');
TABLE seen;
:as_owner
SELECT authz.alter_policy('all', 'note', actions => '{insert}');
:as_user
TABLE seen;
:as_owner
SELECT authz.alter_policy('all', 'note', actions => '{select}', roles => '{*}', condition => 'grp = 2');
:as_user
TABLE seen;
-- An alteration that fails changes nothing.
:as_owner
SELECT authz.alter_policy('all', 'note', condition => 'no_such_column');
SELECT authz.alter_policy('all', 'note', actions => '{read}');
SELECT authz.alter_policy('nothing', 'note', condition => 'true');
:as_user
TABLE seen;
:as_owner
SELECT authz.create_policy('forbid', 'note', '{select}', 'id > 4', effect => 'forbid');
:as_user
TABLE seen;
:as_owner
SELECT authz.disable_policy('forbid', 'note');
:as_user
TABLE seen;
:as_owner
DELETE FROM authz.policy WHERE relation = 'note'::regclass AND name = 'forbid';
UPDATE authz.policy SET condition = 'grp = 1' WHERE relation = 'note'::regclass;
:as_user
TABLE seen;
:as_owner
SELECT authz.drop_policy('all', 'note');
:as_user
TABLE seen;

--
-- Each action is asked for by itself.
--
:as_owner
SELECT authz.create_policy('all', 'note', '{select}');
SELECT authz.create_policy('add', 'note', '{insert}', 'grp = 1');
SELECT authz.create_policy('change', 'note', '{update}', 'grp = 1', check_condition => 'grp IN (1, 2)');
SELECT authz.create_policy('remove', 'note', '{delete}', 'grp = 2');
SELECT authz.create_policy('never a secret', 'note', '{insert,update,delete}', 'secret', effect => 'forbid');
\set QUIET off
:as_user
BEGIN;
INSERT INTO note VALUES (10, 1, false, 'ten');
UPDATE note SET title = 'changed' RETURNING id;
UPDATE note SET grp = 2 WHERE id = 10;
DELETE FROM note RETURNING id;
ROLLBACK;
INSERT INTO note VALUES (10, 2, false, 'ten');
INSERT INTO note VALUES (10, 1, true, 'ten');
INSERT INTO note VALUES (10, 1, NULL, 'ten');
UPDATE note SET grp = 3 WHERE id = 1;
UPDATE note SET secret = true WHERE id = 1;
UPDATE note SET secret = NULL WHERE id = 1;
UPDATE note SET title = 'x' WHERE id IN (2, 3, 4);
DELETE FROM note WHERE id IN (1, 2, 3, 5);
-- check_condition is for the new row only: of an insert too, and of a forbid too.
:as_owner
SELECT authz.alter_policy('add', 'note', condition => 'false', check_condition => 'grp = 2');
SELECT authz.alter_policy('never a secret', 'note', check_condition => 'title = ''taboo''');
:as_user
BEGIN;
INSERT INTO note VALUES (10, 2, true, 'ten');
UPDATE note SET secret = true, title = 'x' WHERE id = 1;
UPDATE note SET title = 'x' WHERE id = 2;
ROLLBACK;
INSERT INTO note VALUES (10, 1, true, 'ten');
INSERT INTO note VALUES (10, 2, true, 'taboo');
INSERT INTO note VALUES (10, 2, true, NULL);
UPDATE note SET title = 'taboo' WHERE id = 1;
:as_owner
SELECT authz.alter_policy('add', 'note', condition => 'grp = 1', check_condition => '');
:as_user
BEGIN;
INSERT INTO note VALUES (10, 1, true, 'ten');
ROLLBACK;
INSERT INTO note VALUES (10, 2, true, 'ten');
:as_owner
\set VERBOSITY terse
SELECT authz.create_policy('bad', 'note', '{select,delete}', check_condition => 'true');
\set VERBOSITY default

--
-- Columns: a permit is for statements that set no other, a forbid for those that set one of these.
--
:as_owner
SELECT authz.drop_policy(name, 'note') FROM authz.policy WHERE relation = 'note'::regclass AND name <> 'all';
SELECT authz.create_policy('title and body', 'note', '{insert,update}', 'grp = 1', columns => '{id,grp,title,body}');
:as_user
BEGIN;
UPDATE note SET title = 'x' WHERE id = 1;
UPDATE note SET title = 'x', body = 'x' WHERE id = 1;
UPDATE note SET body = 'x' WHERE id = 4;
INSERT INTO note (id, grp, title) VALUES (10, 1, 'x');
INSERT INTO note (id, grp, title, body) SELECT 11, 1, 'x', 'x';
INSERT INTO note (id, grp) VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET title = 'upserted' RETURNING *;
MERGE INTO note USING (VALUES (10), (12)) v(id) ON note.id = v.id
	WHEN MATCHED THEN UPDATE SET title = 'merged'
	WHEN NOT MATCHED THEN INSERT (id, grp, title) VALUES (v.id, 1, 'merged');
SELECT * FROM note WHERE id > 9 ORDER BY id;
ROLLBACK;
UPDATE note SET secret = false WHERE id = 1;
UPDATE note SET title = 'x', secret = secret WHERE id = 1;
INSERT INTO note (id, grp, secret) VALUES (10, 1, false);
INSERT INTO note VALUES (10, 1, false, 'x');
BEGIN;
INSERT INTO note VALUES (10, 1);
ROLLBACK;
BEGIN;
INSERT INTO note (id, grp) VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET secret = false;
ROLLBACK;
INSERT INTO note (id, grp) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET secret = false;
MERGE INTO note USING (VALUES (1)) v(id) ON note.id = v.id WHEN MATCHED THEN UPDATE SET secret = false;
MERGE INTO note USING (VALUES (1)) v(id) ON note.id = v.id
	WHEN MATCHED AND false THEN UPDATE SET secret = false
	WHEN MATCHED THEN UPDATE SET title = 'x';
-- What a trigger or a default sets is not the statement's.
:as_owner
ALTER TABLE note ALTER secret SET DEFAULT false;
:as_user
BEGIN;
INSERT INTO note (id, grp) VALUES (10, 1) RETURNING secret;
ROLLBACK;
-- The same for a forbid.
:as_owner
SELECT authz.create_policy('write', 'note', '{insert,update}');
SELECT authz.create_policy('secret is fixed', 'note', '{update}', columns => '{secret}', effect => 'forbid');
SELECT authz.create_policy('group of secrets', 'note', '{update,delete}', 'secret', columns => '{grp}', effect => 'forbid');
:as_user
BEGIN;
UPDATE note SET title = 'x';
UPDATE note SET grp = 3 RETURNING id;
UPDATE note SET grp = 3, title = 'x' WHERE id IN (2, 3);
UPDATE note SET secret = false;
UPDATE note SET title = 'x', secret = false WHERE id = 1;
INSERT INTO note VALUES (10, 1, true, 'x');
ROLLBACK;
-- A delete sets no columns: the forbid holds for every one.
:as_owner
SELECT authz.create_policy('remove', 'note', '{delete}');
:as_user
BEGIN;
DELETE FROM note RETURNING id;
ROLLBACK;
:as_owner
\set VERBOSITY terse
SELECT authz.create_policy('bad', 'note', '{update}', columns => '{no_such_column}');
SELECT authz.create_policy('bad', 'note', '{select}', columns => '{title}');
SELECT authz.create_policy('bad', 'note', '{update}', columns => '{}');
\set VERBOSITY default
:as_user
SELECT authz.permits_row('update', note, '{title}'), authz.permits_row('update', note, '{title,secret}'),
	authz.permits_row('update', note), authz.permits_row('update', note, '{grp}'), authz.permits_row('insert', note, '{id,grp}')
FROM note WHERE id IN (1, 2) ORDER BY id;
\set QUIET on

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA rows_combining CASCADE;
SELECT authz.drop_role(r) FROM unnest('{chief,staff,editor}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user;
