-- Permits of columns add up: each column that a statement sets needs a permit that covers it.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA columns_add_up AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA columns_add_up TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role('author'), authz.create_role('member');
SET search_path = columns_add_up;
CREATE PROCEDURE act_as(roles text[]) LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume('alice', roles, '{}');
END;
-- A plan without OIDs
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		RETURN NEXT regexp_replace(line, '''\d+''::oid', 'OID');
	END LOOP;
END
$$;
\set as_owner 'SET ROLE regress_authz_owner;'
\set as_user 'SET ROLE regress_authz_user;'

:as_owner
CREATE TABLE note (id int PRIMARY KEY, author text, grp int NOT NULL, title text, body text, state text, ref int DEFAULT 7);
INSERT INTO note VALUES (1, 'alice', 1, 'a'), (2, 'alice', 2, 'b'), (3, 'bob', 1, 'c'), (4, 'bob', 2, 'd');
GRANT ALL ON note TO regress_authz_user;
SELECT authz.protect('note');
SELECT authz.create_policy('see', 'note', '{select}');
SELECT authz.create_policy('author', 'note', '{update}', 'author = authz.subject()', '{author}', columns => '{title,body}');
SELECT authz.create_policy('member', 'note', '{update}', 'grp = 1', '{member}', columns => '{state}');
SELECT authz.create_policy('author inserts', 'note', '{insert}', 'author = authz.subject()', '{author}', columns => '{id,author,title}');
SELECT authz.create_policy('member inserts', 'note', '{insert}', 'grp = 1', '{member}', columns => '{id,grp,state}');

\set QUIET off
--
-- UPDATE: the old row by both permits
--
:as_user
CALL act_as('{author,member}');
BEGIN;
UPDATE note SET title = 'x', state = 'y' RETURNING id;
ROLLBACK;
EXPLAIN (COSTS OFF) UPDATE note SET title = 'x', state = 'y';
-- One permit covers both columns: it is asked for once.
EXPLAIN (COSTS OFF) UPDATE note SET title = 'x', body = 'y';
UPDATE note SET title = 'x', state = 'y' WHERE id IN (2, 3, 4);
-- The new row too: what one may set of his own, the other may not have.
:as_owner
SELECT authz.alter_policy('author', 'note', check_condition => 'title <> ''taboo''');
SELECT authz.alter_policy('member', 'note', check_condition => 'state IN (''open'', ''closed'')');
:as_user
UPDATE note SET title = 'taboo', state = 'open' WHERE id = 1;
UPDATE note SET title = 'x', state = 'lost' WHERE id = 1;
UPDATE note SET title = 'x', state = 'open' WHERE id = 1;
-- The new row of a permit for one column may be what only the other's check would refuse.
UPDATE note SET state = 'closed' WHERE id = 3;
SELECT id, authz.permits_row('update', note, '{title,state}') AS both, authz.permits_row('update', note, '{title}') AS title,
	authz.permits_row('update', note, '{state}') AS state, authz.permits_row('update', note, '{}') AS none,
	authz.permits_row('update', note, '{title,grp}') AS uncovered, authz.permits_row('update_check', note, '{title,state}') AS "check"
FROM note ORDER BY id;

--
-- A column that nobody covers
--
UPDATE note SET title = 'x', grp = 1 WHERE id = 1;
-- Whatever the rows are: nothing is told of those that are not visible.
:as_owner
SELECT authz.alter_policy('see', 'note', condition => 'id <> 3');
:as_user
UPDATE note SET grp = 1 WHERE id = 3;
UPDATE note SET grp = 1 WHERE id = 33;
UPDATE note SET title = 'x', grp = grp FROM generate_series(1, 2) g WHERE g = note.id AND false;
SELECT plan('UPDATE note SET grp = 1 WHERE id = 3');
SELECT count(*) FROM note, LATERAL (SELECT FROM note n WHERE n.id = note.id FOR UPDATE) l;
PREPARE regroup AS UPDATE note SET grp = $1 WHERE id = 3;
EXECUTE regroup (1);
-- Whom no permit of update is for: not even an error.
CALL act_as('{}');
EXECUTE regroup (1);
UPDATE note SET grp = 1;
UPDATE note SET title = 'x', state = 'y';
-- One role of the two
CALL act_as('{member}');
UPDATE note SET title = 'x', state = 'open';
BEGIN;
UPDATE note SET state = 'open' RETURNING id;
ROLLBACK;
:as_owner
SELECT authz.create_policy('regroup', 'note', '{update}', columns => '{grp}', roles => '{member}');
:as_user
BEGIN;
EXECUTE regroup (2);
UPDATE note SET grp = 2 WHERE id = 1;
ROLLBACK;
:as_owner
SELECT authz.drop_policy('regroup', 'note');
SELECT authz.alter_policy('see', 'note', condition => 'true');

--
-- INSERT, ON CONFLICT DO UPDATE, MERGE
--
:as_user
CALL act_as('{author,member}');
BEGIN;
INSERT INTO note (id, author, grp, title, state) VALUES (10, 'alice', 1, 'x', 'y');
INSERT INTO note (id, grp) VALUES (11, 1);
ROLLBACK;
INSERT INTO note (id, author, grp, title, state) VALUES (10, 'bob', 1, 'x', 'y');
INSERT INTO note (id, author, grp) VALUES (10, 'alice', 2);
INSERT INTO note (id, author, grp, body) VALUES (10, 'alice', 1, 'x');
CALL act_as('{}');
INSERT INTO note (id, author, grp, body) VALUES (10, 'alice', 1, 'x');
CALL act_as('{author,member}');
BEGIN;
INSERT INTO note (id, grp) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET title = 'x', state = 'open';
INSERT INTO note (id, grp) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET title = 'x', grp = 2;
ROLLBACK;
INSERT INTO note (id, grp) VALUES (3, 1) ON CONFLICT (id) DO UPDATE SET title = 'x', state = 'open';
INSERT INTO note (id, grp) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET title = 'x', grp = 2;
BEGIN;
MERGE INTO note USING (VALUES (1), (20)) v(id) ON note.id = v.id
	WHEN MATCHED AND v.id > 5 THEN UPDATE SET state = 'open'
	WHEN MATCHED THEN UPDATE SET title = 'x'
	WHEN NOT MATCHED THEN INSERT (id, author, grp) VALUES (v.id, 'alice', 1);
ROLLBACK;
-- All that the actions set counts for each.
MERGE INTO note USING (VALUES (3)) v(id) ON note.id = v.id
	WHEN MATCHED AND v.id > 5 THEN UPDATE SET title = 'x'
	WHEN MATCHED THEN UPDATE SET state = 'open';
MERGE INTO note USING (VALUES (1)) v(id) ON note.id = v.id
	WHEN MATCHED AND v.id > 5 THEN UPDATE SET grp = 3
	WHEN MATCHED THEN UPDATE SET state = 'open';
-- If no column is set, some permit has to hold.
:as_owner
CREATE TABLE bare (id int PRIMARY KEY DEFAULT 1, kind text NOT NULL DEFAULT 'a', note text);
GRANT ALL ON bare TO regress_authz_user;
SELECT authz.protect('bare');
SELECT authz.create_policy('kind', 'bare', '{insert,update}', 'kind = ''a''', columns => '{kind}');
SELECT authz.create_policy('see', 'bare', '{select}');
:as_user
INSERT INTO bare DEFAULT VALUES;
SELECT count(*) FROM (SELECT FROM bare FOR UPDATE) b;
:as_owner
SELECT authz.alter_policy('kind', 'bare', condition => 'kind = ''b''');
:as_user
INSERT INTO bare DEFAULT VALUES;
SELECT count(*) FROM (SELECT FROM bare FOR UPDATE) b;
--
-- A forbid is of any of its columns, as ever; a permit without columns covers all.
--
:as_owner
SELECT authz.create_policy('closed', 'note', '{update}', 'grp = 1', columns => '{body,ref}', effect => 'forbid');
:as_user
BEGIN;
UPDATE note SET title = 'x', state = 'open' WHERE id = 1;
UPDATE note SET title = 'x', body = 'y' WHERE id IN (1, 2);
ROLLBACK;
:as_owner
SELECT authz.drop_policy('closed', 'note');
SELECT authz.create_policy('all of group 2', 'note', '{update}', 'grp = 2', '{member}');
:as_user
BEGIN;
UPDATE note SET title = 'x', state = 'open', ref = 1 WHERE id = 2;
UPDATE note SET ref = 1 RETURNING id;
EXPLAIN (COSTS OFF) UPDATE note SET title = 'x', state = 'open', ref = 1;
ROLLBACK;
:as_owner
SELECT authz.drop_policy('all of group 2', 'note');
-- A permit whose time has ended covers nothing; one whose time has not come lets no row pass yet.
SELECT authz.create_policy('ended', 'note', '{update}', columns => '{ref}', valid_during => '(,2000-01-01)');
:as_user
UPDATE note SET ref = 1;
:as_owner
SELECT authz.alter_policy('ended', 'note', valid_during => '[2100-01-01,)');
:as_user
UPDATE note SET ref = 1;
:as_owner
SELECT authz.drop_policy('ended', 'note');

--
-- Partitions with other column numbers, children, views
--
CREATE TABLE part (id int, kind int, title text, state text) PARTITION BY LIST (kind);
CREATE TABLE part_1 (gone int, state text, title text, kind int, id int);
ALTER TABLE part_1 DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2);
INSERT INTO part SELECT i, 1 + i % 2, 't', 's' FROM generate_series(1, 6) i;
CREATE VIEW part_view AS SELECT id, state AS status, title AS name FROM part;
GRANT ALL ON part, part_1, part_2, part_view TO regress_authz_user;
SELECT authz.protect('part');
SELECT authz.create_policy('see', 'part', '{select}');
SELECT authz.create_policy('title', 'part', '{update}', 'id < 4', columns => '{title}');
SELECT authz.create_policy('state', 'part', '{update}', 'id > 2', columns => '{state}');
:as_user
BEGIN;
UPDATE part SET title = 'x', state = 'y' RETURNING id;
UPDATE part_1 SET title = 'x' RETURNING id;
UPDATE part_1 SET title = 'x', state = 'y' RETURNING id;
UPDATE part_view SET name = 'x', status = 'y' RETURNING id;
ROLLBACK;
UPDATE part SET title = 'x', id = id;
UPDATE part_1 SET title = 'x', id = id;
UPDATE part_view SET id = id;
-- An inner side that is never read raises nothing.
UPDATE part SET id = 1 FROM (SELECT 1 WHERE false) nothing;

--
-- Through a masked view: the columns that change
--
:as_owner
SELECT authz.create_mask('note', 'ref', 'clear', '{author}'), authz.create_mask('note', 'ref', 'constant(0)', '{member}', priority => 200);
SELECT authz.create_masked_view('note', 'note_view');
GRANT ALL ON note_view TO regress_authz_user;
:as_user
CALL act_as('{author,member}');
BEGIN;
UPDATE note_view SET title = 'v', state = 'open', grp = grp, ref = ref WHERE id = 1;
UPDATE note_view SET title = 'v', state = 'open' WHERE id IN (1) RETURNING id, title, state;
ROLLBACK;
UPDATE note_view SET title = 'v', state = 'open' WHERE id = 2;
UPDATE note_view SET title = 'v', state = 'open', grp = 5 WHERE id = 1;
UPDATE note_view SET title = 'v', ref = 8 WHERE id = 1;
INSERT INTO note_view (id, author, grp, body) VALUES (10, 'alice', 1, 'x');
BEGIN;
INSERT INTO note_view (id, author, grp, title, state) VALUES (10, 'alice', 1, 'x', 'y');
ROLLBACK;
-- An equal value in another form is no change where nobody may write it.
:as_owner
CREATE TABLE price (id int PRIMARY KEY, amount numeric, name text);
INSERT INTO price VALUES (1, 1.5, 'a');
SELECT authz.protect('price'), authz.create_policy('see', 'price', '{select}'),
	authz.create_policy('name', 'price', '{update}', columns => '{name}'), authz.create_mask('price', 'amount', 'clear'),
	authz.create_masked_view('price', 'price_view');
GRANT ALL ON price_view TO regress_authz_user;
:as_user
UPDATE price_view SET amount = 1.50, name = 'b';
SELECT * FROM price_view;
UPDATE price_view SET amount = 1.51, name = 'c';
SELECT * FROM price_view;
\set QUIET on

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA columns_add_up CASCADE;
SELECT authz.drop_role(r) FROM unnest('{author,member}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user;
