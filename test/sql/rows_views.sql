-- Views of every kind, and every shape of query around a protected table.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE ROLE regress_authz_viewer;
CREATE SCHEMA rows_views AUTHORIZATION regress_authz_owner;
GRANT USAGE, CREATE ON SCHEMA rows_views TO regress_authz_user, regress_authz_viewer;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user, regress_authz_viewer;
SELECT authz.create_role(r) FROM unnest('{tenant,auditor}'::text[]) r;

SET search_path = rows_views;
CREATE PROCEDURE act_as(subject text, roles text[], attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;

SET ROLE regress_authz_owner;
CREATE TABLE note (id int PRIMARY KEY, tenant bigint, body text);
INSERT INTO note VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c'), (4, 2, 'd'), (5, NULL, 'e');
CREATE TABLE tag (note int, text text);
INSERT INTO tag VALUES (1, 't1'), (2, 't2'), (3, 't3'), (4, 't4'), (5, 't5');
GRANT ALL ON note, tag TO regress_authz_user;
SELECT authz.protect('note');
SELECT authz.create_policy('read', 'note', '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
SELECT authz.create_policy('write', 'note', '{insert,update,delete}', 'tenant = authz.attr_bigint(''tenant'') AND id <> 2', '{tenant}');
SELECT authz.create_policy('read all', 'note', '{select}', roles => '{auditor}');

--
-- Whoever owns a view lends it his privileges, never an identity.
--
CREATE VIEW owner_view AS SELECT * FROM note;
CREATE VIEW owner_barrier WITH (security_barrier) AS SELECT * FROM note WHERE body < 'z';
CREATE VIEW nested_view AS SELECT v.id, v.body, t.text FROM owner_view v JOIN tag t ON t.note = v.id;
GRANT ALL ON owner_view, owner_barrier, nested_view TO regress_authz_user, regress_authz_viewer;
SET ROLE regress_authz_user;
CREATE VIEW user_view AS SELECT * FROM note;
CREATE VIEW user_invoker WITH (security_invoker) AS SELECT * FROM note;
GRANT ALL ON user_view, user_invoker TO regress_authz_viewer;
-- A view that is owned by somebody whom row security does not bind is not filtered.
RESET ROLE;
CREATE VIEW super_view AS SELECT * FROM note;
CREATE VIEW super_invoker WITH (security_invoker) AS SELECT * FROM note;
GRANT ALL ON super_view, super_invoker TO regress_authz_user, regress_authz_viewer;

SET ROLE regress_authz_user;
SELECT count(*) FROM owner_view;
SELECT count(*) FROM super_view;
SELECT count(*) FROM super_invoker;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
SELECT * FROM owner_view ORDER BY id;
SELECT * FROM owner_barrier ORDER BY id;
SELECT * FROM nested_view ORDER BY id;
SELECT * FROM user_view ORDER BY id;
SELECT * FROM user_invoker ORDER BY id;
SELECT count(*) FROM super_view;
SELECT * FROM super_invoker ORDER BY id;
-- The viewer may read the views, not the table.
SET ROLE regress_authz_viewer;
SELECT * FROM note;
SELECT * FROM owner_view ORDER BY id;
SELECT * FROM nested_view ORDER BY id;
SELECT * FROM user_view ORDER BY id;
SELECT * FROM user_invoker;
SELECT * FROM super_invoker;
CALL act_as('eve', '{auditor}');
SELECT count(*) FROM owner_view;
SELECT count(*) FROM user_view;
RESET authz.token;
SELECT count(*) FROM owner_view;
SELECT count(*) FROM user_view;
-- The same view under another identity, planned once.
PREPARE viewed AS SELECT id FROM owner_view ORDER BY id;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
EXECUTE viewed;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
EXECUTE viewed;
CALL act_as('eve', '{auditor}');
EXECUTE viewed;
RESET authz.token;
EXECUTE viewed;
DEALLOCATE viewed;
-- A materialised view holds what its owner saw.
SET ROLE regress_authz_owner;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
CREATE MATERIALIZED VIEW kept AS SELECT * FROM note;
SELECT count(*) FROM kept;
CALL act_as('eve', '{auditor}');
REFRESH MATERIALIZED VIEW kept;
RESET authz.token;
SELECT count(*) FROM kept;
REFRESH MATERIALIZED VIEW kept;
SELECT count(*) FROM kept;

--
-- Views that are written through
--
SET ROLE regress_authz_owner;
CREATE VIEW early AS SELECT * FROM note WHERE id < 100 WITH CHECK OPTION;
CREATE VIEW early_local AS SELECT * FROM early WHERE body < 'm' WITH LOCAL CHECK OPTION;
GRANT ALL ON early, early_local TO regress_authz_viewer, regress_authz_user;
SET ROLE regress_authz_viewer;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
\set QUIET off
BEGIN;
INSERT INTO early VALUES (10, 1, 'new') RETURNING *;
INSERT INTO early_local VALUES (11, 1, 'free') RETURNING *;
UPDATE early SET body = body || '!' RETURNING *;
UPDATE early SET body = 'x' WHERE id IN (3, 5);
DELETE FROM early_local WHERE body > 'a!' RETURNING id;
DELETE FROM early RETURNING id;
SELECT * FROM early;
ROLLBACK;
-- Refused by the policies ...
INSERT INTO early VALUES (10, 2, 'new');
UPDATE early SET tenant = 2 WHERE id = 1;
UPDATE owner_view SET id = 2 WHERE id = 1;
INSERT INTO owner_view VALUES (3, 1, 'x') ON CONFLICT (id) DO UPDATE SET body = 'x';
-- ... and by the view.
INSERT INTO early VALUES (100, 1, 'new');
INSERT INTO early_local VALUES (10, 1, 'z');
UPDATE early SET id = 100 WHERE id = 1;
BEGIN;
INSERT INTO owner_view VALUES (1, 1, 'x') ON CONFLICT (id) DO UPDATE SET body = 'upserted' RETURNING *;
ROLLBACK;
RESET authz.token;
INSERT INTO early VALUES (10, 1, 'new');
UPDATE early SET body = 'x';
DELETE FROM early;
-- Rules and INSTEAD OF triggers write with whose rights they run, and for the caller's identity.
SET ROLE regress_authz_owner;
CREATE VIEW by_trigger AS SELECT id, body FROM note;
CREATE FUNCTION write_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE note SET body = NEW.body WHERE id = OLD.id;
	RETURN CASE WHEN FOUND THEN NEW END;
END
$$;
CREATE TRIGGER write_note INSTEAD OF UPDATE ON by_trigger FOR EACH ROW EXECUTE FUNCTION write_note();
CREATE VIEW by_rule AS SELECT id, body FROM note;
CREATE RULE change AS ON UPDATE TO by_rule DO INSTEAD UPDATE note SET body = NEW.body WHERE id = OLD.id;
GRANT ALL ON by_trigger, by_rule TO regress_authz_user;
SET ROLE regress_authz_user;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
BEGIN;
UPDATE by_trigger SET body = 'triggered' RETURNING id;
UPDATE by_rule SET body = body || ' by rule' WHERE id IN (1, 2, 3);
SELECT * FROM note ORDER BY id;
ROLLBACK;
RESET authz.token;
UPDATE by_trigger SET body = 'x';
UPDATE by_rule SET body = 'x';
\set QUIET on

--
-- Common table expressions
--
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
WITH c AS (SELECT * FROM note) SELECT id FROM c ORDER BY id;
WITH c AS MATERIALIZED (SELECT * FROM note), d AS (SELECT * FROM c) SELECT c.id, d.id FROM c, d ORDER BY 1, 2;
WITH c AS (SELECT id FROM tag JOIN note ON id = note) SELECT * FROM c WHERE id IN (SELECT id FROM note) ORDER BY 1;
WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT n.id FROM c JOIN note n ON n.id = c.id + 1) SELECT * FROM c;
BEGIN;
WITH c AS (UPDATE note SET body = body RETURNING id) SELECT * FROM c;
WITH c AS (INSERT INTO note VALUES (10, 1, 'new') RETURNING *) SELECT * FROM c UNION ALL SELECT * FROM note ORDER BY id;
WITH c AS (DELETE FROM note RETURNING id) INSERT INTO tag SELECT id, 'deleted' FROM c RETURNING *;
ROLLBACK;
WITH c AS (UPDATE note SET tenant = 2 WHERE id = 1 RETURNING *) SELECT * FROM c;
WITH c AS (INSERT INTO note VALUES (10, 2, 'new') RETURNING *) SELECT * FROM c;
RESET authz.token;
WITH c AS MATERIALIZED (SELECT * FROM note) SELECT id FROM c;
WITH c AS (DELETE FROM note RETURNING id) SELECT * FROM c;

--
-- Sub-queries, joins, set operations, LATERAL, windows, grouping sets
--
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
SELECT note FROM tag WHERE note IN (SELECT id FROM note) ORDER BY 1;
SELECT note FROM tag WHERE note NOT IN (SELECT id FROM note) ORDER BY 1;
SELECT note FROM tag WHERE note = ANY (ARRAY(SELECT id FROM note)) ORDER BY 1;
SELECT note, (SELECT body FROM note WHERE id = note) FROM tag ORDER BY 1;
SELECT note FROM tag WHERE (SELECT count(*) FROM note WHERE id >= note) > 0 ORDER BY 1;
SELECT EXISTS (SELECT FROM note WHERE id = 3), EXISTS (SELECT FROM note WHERE id = 1);
SELECT tag.note, note.id FROM tag LEFT JOIN note ON id = note ORDER BY 1;
SELECT tag.note, note.id FROM note FULL JOIN tag ON id = note ORDER BY 1;
SELECT a.id, b.id FROM note a CROSS JOIN note b ORDER BY 1, 2;
SELECT a.id, b.id FROM note a LEFT JOIN note b ON b.id = a.id + 1 ORDER BY 1;
SELECT id FROM note NATURAL JOIN (SELECT 1 AS id UNION SELECT 3) s;
SELECT id FROM note UNION SELECT note FROM tag WHERE note = 5 ORDER BY 1;
SELECT note FROM tag INTERSECT SELECT id FROM note ORDER BY 1;
SELECT note FROM tag EXCEPT ALL SELECT id FROM note ORDER BY 1;
SELECT tag.note, l.n FROM tag, LATERAL (SELECT count(*) AS n FROM note WHERE id <= tag.note) l ORDER BY 1;
SELECT tag.note, l.id FROM tag LEFT JOIN LATERAL (SELECT id FROM note WHERE id = tag.note LIMIT 1) l ON true ORDER BY 1;
SELECT id, row_number() OVER (ORDER BY id DESC), sum(id) OVER () FROM note ORDER BY id;
SELECT tenant, count(*) FROM note GROUP BY ROLLUP (tenant) ORDER BY 1;
SELECT count(*), max(id), min(id) FROM note;
SELECT DISTINCT tenant FROM note;
SELECT id FROM note ORDER BY id DESC LIMIT 1;
SELECT id FROM note ORDER BY id OFFSET 1;
SELECT f.* FROM generate_series(1, 3) g, LATERAL (SELECT g, id FROM note WHERE id = g) f ORDER BY 1;
SELECT (n).id FROM (SELECT n FROM note n) s ORDER BY 1;
VALUES ((SELECT count(*) FROM note)), ((SELECT max(id) FROM note));
CALL act_as('eve', '{auditor}');
SELECT note FROM tag WHERE note NOT IN (SELECT id FROM note) ORDER BY 1;
SELECT count(*), max(id) FROM note;
RESET authz.token;
SELECT note FROM tag WHERE note NOT IN (SELECT id FROM note) ORDER BY 1;
SELECT tag.note, note.id FROM tag LEFT JOIN note ON id = note ORDER BY 1;
SELECT count(*), max(id) FROM note;
SELECT a.id FROM note a JOIN note b USING (id);

--
-- Row locks need what an update of the row needs; FOR SHARE and the like as well.
--
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
SELECT id FROM note ORDER BY id;
SELECT id FROM note ORDER BY id FOR UPDATE;
SELECT id FROM note ORDER BY id FOR NO KEY UPDATE;
SELECT id FROM note ORDER BY id FOR SHARE;
SELECT id FROM note ORDER BY id FOR KEY SHARE;
SELECT note.id, text FROM note JOIN tag ON note.id = tag.note ORDER BY 1 FOR UPDATE;
SELECT note.id, text FROM note JOIN tag ON note.id = tag.note ORDER BY 1 FOR UPDATE OF tag;
SELECT note.id, text FROM note JOIN tag ON note.id = tag.note ORDER BY 1 FOR SHARE OF note SKIP LOCKED;
SELECT id FROM (SELECT * FROM note FOR UPDATE) s ORDER BY id;
SELECT id FROM owner_view ORDER BY id FOR UPDATE;
SELECT a.id, b.id FROM note a JOIN note b USING (tenant) ORDER BY 1, 2 FOR UPDATE OF a;
CALL act_as('eve', '{auditor}');
SELECT id FROM note FOR UPDATE;
SELECT note.id, text FROM note JOIN tag ON note.id = tag.note ORDER BY 1 FOR UPDATE OF tag;
RESET authz.token;
SELECT id FROM note FOR KEY SHARE;

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA rows_views CASCADE;
SELECT authz.drop_role(r) FROM unnest('{tenant,auditor}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user, regress_authz_viewer;
DROP ROLE regress_authz_owner, regress_authz_user, regress_authz_viewer;
