-- Row filtering, command by command: what policies permit happens, and only that.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE ROLE regress_authz_bypass BYPASSRLS;
CREATE ROLE regress_authz_stranger;
CREATE SCHEMA rows_basic AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA rows_basic TO regress_authz_user, regress_authz_bypass, regress_authz_stranger;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role(r) FROM unnest('{tenant,auditor,scribe,blind,cleaner}'::text[]) r;

SET search_path = rows_basic;
CREATE PROCEDURE act_as(subject text, roles text[], attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;

-- Show how many rows a command touched.
\set QUIET off
SET ROLE regress_authz_owner;
CREATE TABLE note (
	id int PRIMARY KEY,
	tenant bigint,
	author text,
	body text CHECK (body <> 'forbidden word')
);
INSERT INTO note VALUES
	(1, 1, 'alice', 'alice one'), (2, 1, 'alice', 'alice two'), (3, 1, 'anna', 'anna one'),
	(4, 2, 'bob', 'bob one'), (5, 2, 'bob', 'bob two'), (6, NULL, 'nobody', 'no tenant');
GRANT ALL ON note TO regress_authz_user, regress_authz_bypass;

--
-- Protected and without a policy: nothing for anybody, the owner included.
--
SELECT authz.protect('note');
SELECT count(*) FROM note;
UPDATE note SET body = 'x';
DELETE FROM note;
INSERT INTO note VALUES (9, 1, 'owner', 'x');
TRUNCATE note;
SET ROLE regress_authz_user;
SELECT count(*) FROM note;
CALL act_as('alice', '{tenant,auditor}', '{"tenant": 1}');
SELECT row_security_active('note'), count(*) FROM note;
UPDATE note SET body = 'x';
DELETE FROM note;
INSERT INTO note VALUES (9, 1, 'alice', 'x');

-- Nothing for database roles without privileges; everything for those that row security does not bind.
SET ROLE regress_authz_stranger;
SELECT count(*) FROM note;
SET ROLE regress_authz_bypass;
SELECT row_security_active('note'), count(*) FROM note;
RESET ROLE;
SELECT row_security_active('note'), count(*) FROM note;

-- With row_security off it is an error, not an unfiltered read.
SET ROLE regress_authz_user;
SET row_security = off;
SELECT count(*) FROM note;
UPDATE note SET body = 'x';
DELETE FROM note;
INSERT INTO note VALUES (9, 1, 'alice', 'x');
SET ROLE regress_authz_owner;
SELECT count(*) FROM note;
SET row_security = on;

--
-- Policies: a tenant reads its rows and writes those of its own authors, an
-- auditor reads all, a scribe only adds, the blind only change and delete.
--
SELECT authz.create_policy('read own', 'note', '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
SELECT authz.create_policy('write own', 'note', '{insert,update,delete}',
	'tenant = authz.attr_bigint(''tenant'') AND author = authz.subject()', '{tenant}');
SELECT authz.create_policy('read all', 'note', '{select}', roles => '{auditor}');
SELECT authz.create_policy('add', 'note', '{insert}', roles => '{scribe}');
SELECT authz.create_policy('change blindly', 'note', '{update,delete}', 'tenant = 2', '{blind}');

SET ROLE regress_authz_user;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
SELECT * FROM note ORDER BY id;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
SELECT * FROM note ORDER BY id;
CALL act_as('carol', '{tenant}', '{"tenant": 3}');
SELECT * FROM note ORDER BY id;
CALL act_as('carol', '{tenant}');
SELECT * FROM note ORDER BY id;
CALL act_as('carol', '{tenant}', '{"tenant": "one"}');
SELECT * FROM note ORDER BY id;
CALL act_as('eve', '{auditor}');
SELECT * FROM note ORDER BY id;
-- Without an identity, and with one that could not be taken on.
CALL act_as('eve', '{no such role}', '{"tenant": 1}');
SELECT * FROM note ORDER BY id;
INSERT INTO note VALUES (9, 1, 'alice', 'x');
RESET authz.token;
SELECT * FROM note ORDER BY id;
-- The owner is somebody only by a token.
SET ROLE regress_authz_owner;
SELECT * FROM note ORDER BY id;
CALL act_as('anna', '{tenant}', '{"tenant": 1}');
SELECT id FROM note ORDER BY id;

--
-- INSERT
--
SET ROLE regress_authz_user;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
BEGIN;
INSERT INTO note VALUES (10, 1, 'alice', 'ten') RETURNING *;
INSERT INTO note SELECT id + 10, tenant, 'alice', body FROM note WHERE id < 10;
SELECT * FROM note WHERE id > 9 ORDER BY id;
ROLLBACK;
INSERT INTO note VALUES (10, 2, 'alice', 'another tenant');
INSERT INTO note VALUES (10, 1, 'anna', 'another author');
INSERT INTO note VALUES (10, NULL, 'alice', 'no tenant');
INSERT INTO note VALUES (10, 1, 'alice', 'good'), (11, 2, 'alice', 'bad');
INSERT INTO note (id) VALUES (10);
INSERT INTO note SELECT id + 10, tenant, author, body FROM note;
SELECT count(*) FROM note WHERE id > 9;
CALL act_as('alice', '{auditor}', '{"tenant": 1}');
INSERT INTO note VALUES (10, 1, 'alice', 'auditors do not write');
RESET authz.token;
INSERT INTO note VALUES (10, 1, 'alice', 'nor does anybody');

-- RETURNING shows the row, so it must be permitted to select it.
CALL act_as('sam', '{scribe}');
BEGIN;
INSERT INTO note VALUES (10, 1, 'sam', 'unseen');
SELECT count(*) FROM note;
INSERT INTO note VALUES (11, 1, 'sam', 'shown') RETURNING id;
ROLLBACK;
CALL act_as('sam', '{scribe,auditor}');
BEGIN;
INSERT INTO note VALUES (11, 1, 'sam', 'shown') RETURNING id;
ROLLBACK;

--
-- UPDATE: condition on the old row and on the new one.
--
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
BEGIN;
UPDATE note SET body = body || '!' RETURNING *;
UPDATE note SET body = 'x' WHERE id = 3;
UPDATE note SET body = 'x' WHERE id IN (4, 6);
ROLLBACK;
UPDATE note SET tenant = 2 WHERE id = 1;
UPDATE note SET author = 'anna' WHERE id = 1;
UPDATE note SET tenant = NULL WHERE id = 1;
CALL act_as('eve', '{auditor}');
UPDATE note SET body = 'x';
RESET authz.token;
UPDATE note SET body = 'x';

-- A WHERE or RETURNING that reads columns needs the right to select.
CALL act_as('bill', '{blind}');
BEGIN;
UPDATE note SET body = 'changed';
UPDATE note SET body = 'changed' WHERE id = 4;
UPDATE note SET body = 'changed' RETURNING id;
UPDATE note SET tenant = 1;
ROLLBACK;
BEGIN;
UPDATE note SET body = 'changed';
CALL act_as('eve', '{auditor}');
SELECT id FROM note WHERE body = 'changed' ORDER BY id;
CALL act_as('bill', '{blind,auditor}');
UPDATE note SET body = 'again' WHERE id IN (1, 4) RETURNING id;
ROLLBACK;

-- The new row must be one to be seen, if the statement reads the table.
SET ROLE regress_authz_owner;
SELECT authz.alter_policy('change blindly', 'note', check_condition => 'tenant IN (2, 3)');
SET ROLE regress_authz_user;
CALL act_as('bill', '{blind,tenant}', '{"tenant": 2}');
BEGIN;
UPDATE note SET tenant = 3;
ROLLBACK;
UPDATE note SET tenant = 3 WHERE id = 4;
UPDATE note SET tenant = 3 RETURNING id;
UPDATE note SET tenant = 4;
SET ROLE regress_authz_owner;
SELECT authz.alter_policy('change blindly', 'note', check_condition => '');

--
-- DELETE
--
SET ROLE regress_authz_user;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
BEGIN;
DELETE FROM note WHERE id = 3;
DELETE FROM note WHERE id = 4;
DELETE FROM note RETURNING id, author;
SELECT id FROM note;
ROLLBACK;
CALL act_as('eve', '{auditor}');
DELETE FROM note;
RESET authz.token;
DELETE FROM note;
CALL act_as('bill', '{blind}');
BEGIN;
DELETE FROM note WHERE id > 0;
DELETE FROM note RETURNING id;
DELETE FROM note;
ROLLBACK;

--
-- A table that is only read in a write is under its select policies.
--
SET ROLE regress_authz_owner;
CREATE TABLE label (note int, text text);
INSERT INTO label SELECT i, 'label ' || i FROM generate_series(1, 6) i;
GRANT ALL ON label TO regress_authz_user;
SELECT authz.protect('label');
SELECT authz.create_policy('all', 'label', '{select,insert,update,delete}');
SET ROLE regress_authz_user;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
BEGIN;
UPDATE label SET text = author FROM note WHERE note.id = label.note RETURNING label.*;
DELETE FROM label USING note WHERE note.id = label.note RETURNING label.note;
INSERT INTO label SELECT id, body FROM note RETURNING *;
SELECT * FROM label ORDER BY note;
ROLLBACK;
BEGIN;
UPDATE note SET body = text FROM label WHERE note.id = label.note RETURNING note.id, body;
DELETE FROM note USING label WHERE note.id = label.note RETURNING note.id;
ROLLBACK;
-- What is made of the table holds the rows that were seen.
CREATE TEMPORARY TABLE copied AS SELECT * FROM note;
SELECT id INTO TEMPORARY copied_too FROM note;
SELECT (SELECT count(*) FROM copied), (SELECT count(*) FROM copied_too);
DROP TABLE pg_temp.copied, pg_temp.copied_too;

--
-- ON CONFLICT
--
-- The row in the way is seen, and not touched.
INSERT INTO note VALUES (1, 1, 'alice', 'new') ON CONFLICT DO NOTHING;
INSERT INTO note VALUES (1, 1, 'alice', 'new') ON CONFLICT (id) DO NOTHING;
-- The proposed row must be permitted even if it is not inserted.
INSERT INTO note VALUES (1, 2, 'alice', 'new') ON CONFLICT (id) DO NOTHING;
INSERT INTO note VALUES (1, 2, 'alice', 'new') ON CONFLICT (id) DO UPDATE SET body = 'new';
-- The row in the way is hidden.
INSERT INTO note VALUES (4, 1, 'alice', 'new') ON CONFLICT DO NOTHING;
INSERT INTO note VALUES (4, 1, 'alice', 'new') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
INSERT INTO note VALUES (4, 1, 'alice', 'new') ON CONFLICT (id) DO UPDATE SET body = note.body RETURNING *;
-- Seen, but not hers to change.
INSERT INTO note VALUES (3, 1, 'alice', 'new') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
-- Hers, but made something she may not.
INSERT INTO note VALUES (1, 1, 'alice', 'new') ON CONFLICT (id) DO UPDATE SET tenant = 2;
-- Hers.
BEGIN;
INSERT INTO note VALUES (1, 1, 'alice', 'new'), (10, 1, 'alice', 'ten')
	ON CONFLICT (id) DO UPDATE SET body = note.body || ' and ' || excluded.body RETURNING *;
INSERT INTO note VALUES (2, 1, 'alice', 'new')
	ON CONFLICT ON CONSTRAINT note_pkey DO UPDATE SET body = excluded.body WHERE note.body = 'else' RETURNING *;
ROLLBACK;
-- To insert is permitted, to update is not.
CALL act_as('sam', '{scribe,auditor}');
INSERT INTO note VALUES (1, 1, 'sam', 'new') ON CONFLICT (id) DO UPDATE SET body = excluded.body;
INSERT INTO note VALUES (1, 1, 'sam', 'new') ON CONFLICT (id) DO NOTHING;
-- An arbiter is read: not without the right to select.
CALL act_as('sam', '{scribe}');
INSERT INTO note VALUES (1, 1, 'sam', 'new') ON CONFLICT (id) DO NOTHING;
INSERT INTO note VALUES (10, 1, 'sam', 'new') ON CONFLICT (id) DO NOTHING;
BEGIN;
INSERT INTO note VALUES (10, 1, 'sam', 'new') ON CONFLICT DO NOTHING;
ROLLBACK;

--
-- MERGE
--
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
CREATE TEMPORARY TABLE wish (id int, tenant bigint, author text, body text);
INSERT INTO wish VALUES (1, 1, 'alice', 'merged'), (10, 1, 'alice', 'merged');
BEGIN;
MERGE INTO note USING wish ON note.id = wish.id
	WHEN MATCHED THEN UPDATE SET body = wish.body
	WHEN NOT MATCHED THEN INSERT VALUES (wish.id, wish.tenant, wish.author, wish.body);
SELECT * FROM note ORDER BY id;
MERGE INTO note USING wish ON note.id = wish.id WHEN MATCHED THEN DELETE;
SELECT id FROM note ORDER BY id;
ROLLBACK;
-- Seen, but not hers to change or delete; to leave it alone is fine.
UPDATE wish SET id = 3 WHERE id = 1;
MERGE INTO note USING wish ON note.id = wish.id WHEN MATCHED THEN UPDATE SET body = wish.body;
MERGE INTO note USING wish ON note.id = wish.id WHEN MATCHED THEN DELETE;
MERGE INTO note USING wish ON note.id = wish.id
	WHEN MATCHED AND note.author = 'alice' THEN DELETE
	WHEN MATCHED THEN DO NOTHING;
-- A new row of another tenant, by update and by insert.
UPDATE wish SET id = 1 WHERE id = 3;
MERGE INTO note USING wish ON note.id = wish.id WHEN MATCHED THEN UPDATE SET tenant = 2;
MERGE INTO note USING wish ON note.id = wish.id
	WHEN NOT MATCHED THEN INSERT VALUES (wish.id, 2, wish.author, wish.body);
-- A hidden row does not match, so that only its key is in the way.
UPDATE wish SET id = 4;
MERGE INTO note USING wish ON note.id = wish.id
	WHEN MATCHED THEN UPDATE SET body = wish.body
	WHEN NOT MATCHED THEN DO NOTHING;
DELETE FROM wish WHERE ctid <> (SELECT min(ctid) FROM wish);
MERGE INTO note USING wish ON note.id = wish.id
	WHEN MATCHED THEN UPDATE SET body = wish.body
	WHEN NOT MATCHED THEN INSERT VALUES (wish.id, wish.tenant, wish.author, wish.body);
-- As the source it is filtered too.
BEGIN;
MERGE INTO label USING note ON label.note = note.id
	WHEN MATCHED THEN UPDATE SET text = 'seen';
SELECT note FROM label WHERE text = 'seen' ORDER BY note;
ROLLBACK;
CALL act_as('eve', '{auditor}');
UPDATE wish SET id = 1;
MERGE INTO note USING wish ON note.id = wish.id WHEN MATCHED THEN UPDATE SET body = 'x';
RESET authz.token;
MERGE INTO note USING wish ON note.id = wish.id
	WHEN MATCHED THEN UPDATE SET body = 'x'
	WHEN NOT MATCHED THEN INSERT VALUES (wish.id + 10, wish.tenant, wish.author, wish.body);
DROP TABLE pg_temp.wish;

--
-- COPY
--
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
COPY note TO STDOUT;
COPY note (id, author) TO STDOUT;
COPY (SELECT id FROM note ORDER BY id) TO STDOUT;
BEGIN;
COPY (UPDATE note SET body = 'x' RETURNING id) TO STDOUT;
ROLLBACK;
RESET authz.token;
COPY note TO STDOUT;
SET row_security = off;
COPY note TO STDOUT;
SET row_security = on;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
\copy note FROM /dev/null
SET ROLE regress_authz_bypass;
COPY note (id, body) FROM STDIN;
12	copied in
\.
SELECT count(*) FROM note;
DELETE FROM note WHERE id = 12;

--
-- TRUNCATE: by policy only, and the condition sees no row.
--
SET ROLE regress_authz_owner;
SELECT authz.create_policy('clean up', 'note', '{truncate}', roles => '{cleaner}');
SELECT authz.create_policy('clean up', 'label', '{truncate}', 'text IS NOT NULL', '{cleaner}');
SELECT authz.create_policy('clean up', 'label', '{truncate}', 'authz.attr_boolean(''careful'')', '{cleaner}');
SET ROLE regress_authz_user;
TRUNCATE note;
TRUNCATE label, note;
CALL act_as('cleo', '{cleaner}');
BEGIN;
TRUNCATE note;
RESET ROLE;
SELECT count(*) FROM note;
ROLLBACK;
TRUNCATE label;
TRUNCATE note, label;
CALL act_as('cleo', '{cleaner}', '{"careful": true}');
BEGIN;
TRUNCATE note, label;
ROLLBACK;
SET ROLE regress_authz_owner;
SELECT authz.create_policy('keep', 'note', '{truncate}', 'authz.subject() = ''cleo''', '{cleaner}', effect => 'forbid');
SET ROLE regress_authz_user;
TRUNCATE note;
CALL act_as('carl', '{cleaner}');
BEGIN;
TRUNCATE note;
ROLLBACK;
RESET authz.token;
TRUNCATE note;
RESET ROLE;
BEGIN;
TRUNCATE note, label;
ROLLBACK;
SELECT count(*) FROM note;

--
-- Triggers and defaults come before the check on the new row.
--
SET ROLE regress_authz_owner;
CREATE FUNCTION set_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.tenant := CASE WHEN NEW.body LIKE 'to %' THEN substr(NEW.body, 4)::bigint ELSE NEW.tenant END;
	RETURN NEW;
END
$$;
CREATE TRIGGER set_tenant BEFORE INSERT OR UPDATE ON note FOR EACH ROW EXECUTE FUNCTION set_tenant();
ALTER TABLE note ALTER author SET DEFAULT authz.subject(), ALTER tenant SET DEFAULT authz.attr_bigint('tenant');
SET ROLE regress_authz_user;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
BEGIN;
INSERT INTO note (id, body) VALUES (10, 'mine') RETURNING *;
INSERT INTO note (id, tenant, body) VALUES (11, 2, 'to 1') RETURNING *;
ROLLBACK;
INSERT INTO note (id, body) VALUES (10, 'to 2');
UPDATE note SET body = 'to 2' WHERE id = 1;

--
-- Errors show nothing of hidden rows, nor of one's own.
--
INSERT INTO note (id, body) VALUES (4, 'the key of a hidden row');
UPDATE note SET id = 4 WHERE id = 1;
INSERT INTO note (id, body) VALUES (10, 'forbidden word');
UPDATE note SET body = 'forbidden word' WHERE id = 2;
INSERT INTO note (body) VALUES ('no key');
-- Statistics hold values, so they are shown to nobody who is filtered.
RESET ROLE;
ANALYZE note;
SET ROLE regress_authz_user;
SELECT count(*) FROM pg_stats WHERE tablename = 'note';
RESET ROLE;
SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'note';

--
-- Foreign keys see every row: to check one is not to read it.
--
SET ROLE regress_authz_owner;
CREATE TABLE remark (note int REFERENCES note ON UPDATE CASCADE ON DELETE CASCADE, text text);
GRANT ALL ON remark TO regress_authz_user;
SET ROLE regress_authz_user;
INSERT INTO remark VALUES (4, 'of a hidden row'), (1, 'of a row seen');
INSERT INTO remark VALUES (99, 'of no row');
BEGIN;
DELETE FROM note WHERE id = 1;
SELECT * FROM remark;
ROLLBACK;
SET ROLE regress_authz_owner;
SELECT authz.protect('remark');
SET ROLE regress_authz_user;
SELECT * FROM remark;
BEGIN;
-- It cascades to rows that she cannot see ...
UPDATE note SET id = 20 WHERE id = 1;
RESET ROLE;
SELECT * FROM remark ORDER BY note;
SET ROLE regress_authz_user;
DELETE FROM note WHERE id = 20;
RESET ROLE;
SELECT * FROM remark ORDER BY note;
ROLLBACK;
-- ... and is not stopped by them: they are rows all the same.
RESET ROLE;
ALTER TABLE remark DROP CONSTRAINT remark_note_fkey, ADD FOREIGN KEY (note) REFERENCES note;
SET ROLE regress_authz_user;
DELETE FROM note WHERE id = 1;

--
-- What was unprotected is as before, its policies without effect.
--
SET ROLE regress_authz_owner;
SELECT authz.unprotect('note');
SET ROLE regress_authz_user;
SELECT row_security_active('note'), count(*) FROM note;
SELECT authz.permits_row('select', note) FROM note;
SET ROLE regress_authz_owner;
SELECT authz.protect('note');
SET ROLE regress_authz_user;
SELECT row_security_active('note'), count(*) FROM note;

\set QUIET on
RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA rows_basic CASCADE;
SELECT authz.drop_role(r) FROM unnest('{tenant,auditor,scribe,blind,cleaner}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user, regress_authz_bypass, regress_authz_stranger;
