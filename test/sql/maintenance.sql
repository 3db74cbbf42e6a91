-- An owner at maintenance: not filtered on the tables that they own, for a transaction, where a superuser allows it.

-- What an earlier run may have left.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS maintenance CASCADE;
DROP ROLE IF EXISTS regress_authz_owner, regress_authz_other, regress_authz_user, regress_authz_migrator, regress_authz_admin;
DELETE FROM authz.role WHERE name = 'reader';
RESET client_min_messages;

CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_other;
CREATE ROLE regress_authz_user;
CREATE ROLE regress_authz_admin CREATEROLE;
CREATE ROLE regress_authz_migrator IN ROLE regress_authz_owner;
GRANT authz_admin TO regress_authz_admin WITH ADMIN OPTION;
CREATE SCHEMA maintenance;
GRANT USAGE, CREATE ON SCHEMA maintenance TO regress_authz_owner, regress_authz_other, regress_authz_user;
SET search_path = maintenance;
SELECT authz.create_role('reader');
CREATE PROCEDURE act_as(subject text, roles text[]) LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC SELECT authz.assume(subject, roles); END;

SET ROLE regress_authz_owner;
CREATE TABLE note (id int PRIMARY KEY, tenant int, body text);
INSERT INTO note SELECT i, i % 2, 'body ' || i FROM generate_series(1, 10) i;
CREATE TABLE part_note (id int, day int) PARTITION BY LIST (day);
CREATE TABLE part_note_1 PARTITION OF part_note FOR VALUES IN (1);
INSERT INTO part_note VALUES (1, 1), (2, 1);
CREATE VIEW own_view AS SELECT * FROM note;
GRANT SELECT ON note, own_view, part_note TO regress_authz_user, regress_authz_other, regress_authz_migrator;
RESET ROLE;
SET ROLE regress_authz_other;
CREATE TABLE foreign_note (id int);
INSERT INTO foreign_note VALUES (1), (2);
GRANT ALL ON foreign_note TO regress_authz_owner;
CREATE VIEW foreign_view AS SELECT * FROM note;
GRANT SELECT ON foreign_view TO regress_authz_owner;
RESET ROLE;
SELECT authz.protect('note'), authz.protect('part_note'), authz.protect('foreign_note');
SELECT authz.create_policy('read', 'note', '{select}', 'id <= 3', '{reader}');
SELECT authz.create_masked_view('note', 'masked_note');

-- Off by default, and nobody but a superuser gives it: not the tables' owner, not an administrator of authz, not who may create roles.
SET SESSION AUTHORIZATION regress_authz_owner;
BEGIN;
SELECT authz.maintenance('backfill of body');
ROLLBACK;
SET authz.allow_maintenance = on;
SELECT set_config('authz.allow_maintenance', 'on', false);
SET authz.maintenance = '10';
SELECT set_config('authz.maintenance', (SELECT oid::text FROM pg_roles WHERE rolname = current_user), true);
CREATE FUNCTION sets() RETURNS int LANGUAGE sql SET authz.allow_maintenance = on AS 'SELECT 1';
SET SESSION AUTHORIZATION regress_authz_admin;
ALTER ROLE regress_authz_owner SET authz.allow_maintenance = on;
ALTER ROLE regress_authz_owner SET authz.maintenance = '10';
GRANT SET ON PARAMETER authz.allow_maintenance TO regress_authz_owner;
RESET SESSION AUTHORIZATION;
-- Not even a superuser sets the other one.
SET authz.maintenance = '10';
ALTER ROLE regress_authz_owner SET authz.maintenance = '10';

-- A superuser allows it (to a login by ALTER ROLE ... SET; this session stands for one).
SET authz.allow_maintenance = on;
SET SESSION AUTHORIZATION regress_authz_owner;
SHOW authz.allow_maintenance;
-- It says once why there is nothing.
SELECT count(*) FROM note;
UPDATE note SET body = 'x';
SELECT count(*) FROM part_note;
BEGIN;
SELECT authz.maintenance(NULL);
ROLLBACK;
BEGIN;
SELECT authz.maintenance(E' \n');
ROLLBACK;
-- Outside of a transaction it ends at once.
SELECT authz.maintenance('too short');
SELECT count(*) FROM note;

-- All a migration does.
BEGIN;
SELECT authz.maintenance('backfill of body');
SELECT count(*) FROM note;
EXPLAIN (COSTS OFF) SELECT * FROM note;
UPDATE note SET body = upper(body) WHERE id > 8 RETURNING id, body;
INSERT INTO note VALUES (11, 1, 'new') RETURNING id;
INSERT INTO note VALUES (11, 1, 'new') ON CONFLICT (id) DO UPDATE SET body = 'again' RETURNING id, body;
DELETE FROM note WHERE id = 11;
MERGE INTO note n USING (VALUES (1), (12)) v(id) ON n.id = v.id WHEN MATCHED THEN UPDATE SET body = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (v.id, 0, 'merged');
SELECT id FROM note WHERE body = 'merged' ORDER BY id;
SELECT count(*), (SELECT count(*) FROM part_note), (SELECT count(*) FROM part_note_1), (SELECT count(*) FROM own_view) FROM note;
COPY (SELECT id FROM note WHERE id < 3) TO STDOUT;
INSERT INTO masked_note VALUES (13, 1, 'new') RETURNING id, body;
UPDATE masked_note SET body = 'newer' WHERE id = 13 RETURNING id, body;
SELECT authz.permits_row('select', n) FROM note n WHERE id = 5;
TRUNCATE part_note;
ALTER TABLE note ADD COLUMN more text DEFAULT 'more';
UPDATE note SET more = body;
-- Not what belongs to somebody else, nor through their views, though as readers they may see it.
SELECT count(*) FROM foreign_note;
SELECT count(*) FROM foreign_view;
INSERT INTO foreign_note VALUES (3);
ROLLBACK;
SELECT count(*) FROM note;

-- Statements and functions that were planned before, meanwhile and afterwards.
CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM maintenance.note); END';
PREPARE q AS SELECT count(*) FROM note;
SET plan_cache_mode = force_generic_plan;
EXECUTE q;
SELECT counted();
BEGIN;
SELECT authz.maintenance('x');
EXECUTE q;
SELECT counted();
SAVEPOINT s;
ROLLBACK TO s;
EXECUTE q;
COMMIT;
EXECUTE q;
SELECT counted();
-- Until the end of the savepoint.
BEGIN;
SAVEPOINT s;
SELECT authz.maintenance('x');
EXECUTE q;
ROLLBACK TO s;
EXECUTE q;
SELECT counted();
SAVEPOINT t;
SELECT authz.maintenance('x');
RELEASE t;
EXECUTE q;
ROLLBACK;
EXECUTE q;
-- In a block with an exception, and in a function that may be called again.
DO $$
BEGIN
	BEGIN
		PERFORM authz.maintenance('x');
		RAISE INFO 'in the block: %', maintenance.counted();
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		RAISE INFO 'after it: %', maintenance.counted();
	END;
END
$$;
-- RESET ALL and DISCARD end it.
BEGIN;
SELECT authz.maintenance('x');
RESET ALL;
SET search_path = maintenance;
SELECT count(*) FROM note;
ROLLBACK;
RESET SESSION AUTHORIZATION;
SET authz.allow_maintenance = on;
SET SESSION AUTHORIZATION regress_authz_owner;
SET search_path = maintenance;
-- An open cursor keeps to what it was opened for.
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM note;
FETCH 1 FROM c;
SELECT authz.maintenance('x');
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
SELECT authz.maintenance('x');
DECLARE c CURSOR WITH HOLD FOR SELECT id FROM note;
ROLLBACK;

-- Nobody else is at maintenance: other roles, functions with others' rights, whoever logs in meanwhile.
RESET SESSION AUTHORIZATION;
CREATE FUNCTION as_other() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN (SELECT count(*) FROM maintenance.note); END';
ALTER FUNCTION as_other() OWNER TO regress_authz_other;
CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RAISE INFO 'the trigger sees % rows', (SELECT count(*) FROM maintenance.note); RETURN NEW; END $$;
ALTER FUNCTION spy() OWNER TO regress_authz_other;
CREATE TRIGGER spy BEFORE UPDATE ON note FOR EACH ROW EXECUTE FUNCTION spy();
CREATE FUNCTION definer_calls() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ SELECT authz.maintenance('from within') $$;
ALTER FUNCTION definer_calls() OWNER TO regress_authz_owner;
SET SESSION AUTHORIZATION regress_authz_owner;
BEGIN;
SELECT authz.maintenance('x');
SELECT count(*), as_other() FROM note;
UPDATE note SET body = body WHERE id = 1;
CALL act_as('alice', '{reader}');
SELECT count(*) FROM note;
EXECUTE q;
SELECT authz.logout();
EXECUTE q;
ROLLBACK;
RESET SESSION AUTHORIZATION;
DROP TRIGGER spy ON note;
BEGIN;
SET LOCAL ROLE regress_authz_owner;
SELECT authz.maintenance('x');
SELECT count(*) FROM note;
SET LOCAL ROLE regress_authz_other;
SELECT count(*) FROM note;
SET LOCAL ROLE regress_authz_migrator;
SELECT count(*) FROM note;
SET LOCAL ROLE regress_authz_owner;
SELECT count(*) FROM note;
ROLLBACK;
-- A function with its owner's rights does not get it for who calls it, also not at the owner's own call.
SET SESSION AUTHORIZATION regress_authz_user;
SELECT definer_calls();
SET SESSION AUTHORIZATION regress_authz_owner;
SELECT definer_calls();
-- Of who does not own the table it is of no use; a member of the owner's role becomes the owner first.
SET SESSION AUTHORIZATION regress_authz_migrator;
BEGIN;
SELECT authz.maintenance('x');
SELECT count(*) FROM note;
SET ROLE regress_authz_owner;
SELECT count(*) FROM note;
SELECT authz.maintenance('x');
SELECT count(*) FROM note;
ROLLBACK;
RESET ROLE;
-- Not while somebody is logged in, or the login stands for a subject.
CALL act_as('alice', '{reader}');
SELECT authz.maintenance('x');
SET authz.token = 'x';
SELECT authz.maintenance('x');
RESET authz.token;
RESET SESSION AUTHORIZATION;
SELECT authz.map_login('regress_authz_migrator', 'milo');
SET SESSION AUTHORIZATION regress_authz_migrator;
SELECT authz.maintenance('x');
RESET SESSION AUTHORIZATION;
SELECT authz.unmap_login('regress_authz_migrator');

-- Parallel workers.
CREATE TABLE wide AS SELECT i AS id FROM generate_series(1, 20000) i;
ALTER TABLE wide OWNER TO regress_authz_owner;
ALTER TABLE wide SET (parallel_workers = 2);
SELECT authz.protect('wide');
CREATE FUNCTION seen_in_worker(i int) RETURNS bigint LANGUAGE plpgsql PARALLEL SAFE STABLE AS 'BEGIN RETURN (SELECT count(*) FROM maintenance.note WHERE note.id <= 1); END';
SET SESSION AUTHORIZATION regress_authz_owner;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
BEGIN;
SELECT authz.maintenance('x');
EXPLAIN (COSTS OFF) SELECT count(*), sum(seen_in_worker(id)) FROM wide WHERE id <= 100;
SELECT count(*), sum(seen_in_worker(id)) FROM wide WHERE id <= 100;
COMMIT;
SELECT count(*), sum(seen_in_worker(id)) FROM wide WHERE id <= 100;
RESET SESSION AUTHORIZATION;

SELECT authz.drop_masked_view('masked_note');
SELECT authz.unprotect(r) FROM unnest('{note,part_note,foreign_note,wide}'::regclass[]) r;
SET client_min_messages = warning;
DROP SCHEMA maintenance CASCADE;
DELETE FROM authz.role WHERE name = 'reader';
DROP OWNED BY regress_authz_owner, regress_authz_other, regress_authz_user, regress_authz_migrator, regress_authz_admin;
DROP ROLE regress_authz_owner, regress_authz_other, regress_authz_user, regress_authz_migrator, regress_authz_admin;
