-- Ways to rows of a table audited with reads that are no plain query: what each leaves on record.
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT format('ALTER DATABASE %I SET session_preload_libraries = ''authz''', current_database()) AS preload \gexec
\c
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA regress_authz AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA regress_authz TO regress_authz_user;
SET search_path = regress_authz, public;
CREATE TABLE seen (id bigint);
INSERT INTO seen SELECT coalesce(max(id), 0) FROM authz.access_log;
CREATE FUNCTION since() RETURNS TABLE (action text, relation text, clear text, masked text, row_count bigint)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT l.action, replace(l.relation, 'regress_authz.', ''), array_to_string(l.clear_columns, ' '),
		array_to_string(l.masked_columns, ' '), l.row_count
		FROM authz.access_log l WHERE l.id > (SELECT s.id FROM regress_authz.seen s) ORDER BY l.id;
	UPDATE regress_authz.seen s SET id = coalesce((SELECT max(l.id) FROM authz.access_log l), 0);
END $$;
SET ROLE regress_authz_owner;
CREATE TABLE item (id int PRIMARY KEY, name text, price numeric CHECK (price > 0), note text);
INSERT INTO item SELECT g, 'n' || g, 10 - g, 'secret' FROM generate_series(1, 5) g;
CREATE TABLE leak (name text, note text);
RESET ROLE;
-- What this session alone has set is not what all sessions load.
SET session_preload_libraries = 'authz';
SELECT authz.audit('item', reads => true);
RESET session_preload_libraries;
SELECT authz.audit('item', reads => true);

-- Rules: the statement names nothing of what the rule takes; of the target, which only the owner's rule reads, all that is used counts.
SET ROLE regress_authz_owner;
CREATE RULE peek AS ON UPDATE TO item DO INSTEAD SELECT OLD.id, OLD.name;
UPDATE item SET price = 1;
UPDATE item SET price = 1 WHERE note = 'none';
DROP RULE peek ON item;
CREATE RULE peek AS ON DELETE TO item DO INSTEAD INSERT INTO leak VALUES (OLD.name, OLD.note);
DELETE FROM item;
DROP RULE peek ON item;
CREATE RULE peek AS ON UPDATE TO item DO ALSO UPDATE leak SET note = OLD.price WHERE leak.name = OLD.name;
UPDATE item SET note = 'rule';
DROP RULE peek ON item;
-- Nor do these read more than they say.
UPDATE item SET note = 'secret';
SELECT name FROM item WHERE id = 1 FOR UPDATE;
SELECT 1 FROM (SELECT id FROM item WHERE price = 9 FOR SHARE) s;
RESET ROLE;
SELECT * FROM since();

-- Conditions and orders that an index saves.
CREATE INDEX item_name ON item (id) WHERE name = 'n3';
CREATE INDEX item_price ON item (price, name);
SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;
SELECT id FROM item WHERE name = 'n3';
SELECT note FROM item WHERE name = 'n3';
SELECT array_agg(name) FROM (SELECT name FROM item ORDER BY price OFFSET 0) s;
RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_sort;
DROP INDEX item_name, item_price;
SELECT * FROM since();

-- Copies of the table are tables of their own, made by a read.
CREATE MATERIALIZED VIEW stored AS SELECT id, name FROM item;
REFRESH MATERIALIZED VIEW stored;
SELECT count(*) FROM stored;
SELECT price INTO TEMP copied FROM item;
PREPARE q AS SELECT name FROM item WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
CREATE TEMP TABLE copied_too AS EXECUTE q(1);
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE q(2);
RESET plan_cache_mode;
SELECT * FROM since();

-- Queries as text, cursors of functions, functions of indexes and constraints, COMMIT in a loop, deferred triggers.
SELECT query_to_xml('SELECT price FROM item WHERE id = 1', true, true, '') IS NULL AS xml;
DO $$ DECLARE c refcursor; r record; BEGIN OPEN c FOR SELECT name FROM regress_authz.item; FETCH c INTO r; MOVE FORWARD 2 FROM c; END $$;
BEGIN; DECLARE h CURSOR WITH HOLD FOR SELECT note FROM item; COMMIT;
FETCH 1 FROM h;
CLOSE h;
CREATE PROCEDURE walk() LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM regress_authz.item LOOP COMMIT; END LOOP; END $$;
CALL walk();
CREATE FUNCTION items() RETURNS SETOF text LANGUAGE sql AS 'SELECT name FROM regress_authz.item ORDER BY id';
SELECT items() LIMIT 1;
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM price FROM regress_authz.item; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER look AFTER INSERT ON leak DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION look();
INSERT INTO leak VALUES ('a', 'b');
DROP TRIGGER look ON leak;
CREATE FUNCTION name_of(int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT name FROM regress_authz.item WHERE id = $1); END $$;
CREATE INDEX leak_name ON leak (name_of(length(name))) WHERE name = 'a';
DROP INDEX leak_name;
-- It says that it is IMMUTABLE: it is called when the query is planned.
EXPLAIN (COSTS OFF) SELECT name_of(1);
SELECT * FROM since();

-- COPY that is refused has read nothing; one of some columns has read those.
GRANT SELECT (id) ON item TO regress_authz_user;
SET ROLE regress_authz_user;
COPY item TO stdout;
COPY item (id, name) TO stdout;
COPY item (id) TO stdout;
RESET ROLE;
SELECT * FROM since();

-- Writing through a masked view and seeing the row.
CREATE TABLE staff (id int PRIMARY KEY, email text DEFAULT 'x@example.org', code text DEFAULT 'c', pay numeric DEFAULT 5);
SELECT authz.create_role('clerk'), authz.protect('staff');
SELECT authz.create_policy('all', 'staff', '{select,insert,update,delete}', roles => '{clerk}');
SELECT authz.create_mask('staff', 'code', 'constant(''-'')'), authz.create_mask('staff', 'email', 'clear', '{clerk}');
SELECT authz.create_masked_view('staff', 'people');
GRANT ALL ON people TO regress_authz_user;
SELECT authz.audit('staff', reads => true);
SELECT authz.assume('carl', '{clerk}', '{}');
SET ROLE regress_authz_user;
INSERT INTO people (id) VALUES (1) RETURNING email, code;
INSERT INTO people (id) VALUES (2);
INSERT INTO people (id) VALUES (3) RETURNING 'done' AS what;
WITH i AS (INSERT INTO people (id) VALUES (4) RETURNING pay) SELECT count(*) FROM i;
UPDATE people SET pay = 6 WHERE id = 4 RETURNING code;
DELETE FROM people WHERE email IS NULL RETURNING code;
SELECT to_json(p) FROM people p WHERE id = 1;
COPY (SELECT code FROM people WHERE id = 1) TO stdout;
RESET ROLE;
RESET authz.token;
SELECT * FROM since();

-- Ways that leave no record: the README names them.
SET ROLE regress_authz_owner;
-- What a trigger is given,
CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO regress_authz.leak VALUES (OLD.name, OLD.note); RETURN NEW; END $$;
CREATE TRIGGER take BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION take();
UPDATE item SET note = 'secret';
DROP TRIGGER take ON item;
-- the row in an error about a constraint,
\set VERBOSITY default
UPDATE item SET price = -1;
\set VERBOSITY terse
-- a row of a part that is audited by itself, when an INSERT into its parent meets it.
RESET ROLE;
CREATE TABLE parted (id int, kind int, text text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE TABLE part PARTITION OF parted FOR VALUES IN (1);
INSERT INTO parted VALUES (1, 1, 'secret');
SELECT authz.audit('part', '{}', reads => true);
INSERT INTO parted VALUES (1, 1, 'x') ON CONFLICT (id, kind) DO UPDATE SET text = parted.text RETURNING text;
SELECT * FROM since();
UPDATE parted SET text = text RETURNING text;
SELECT * FROM since();

SELECT authz.unaudit('item'), authz.unaudit('staff'), authz.unaudit('part');
SELECT authz.drop_masked_view('people');
SET client_min_messages = error;
DROP TABLE copied, copied_too;
DROP SCHEMA regress_authz CASCADE;
SELECT authz.drop_role('clerk');
DROP ROLE regress_authz_owner, regress_authz_user;
SELECT format('ALTER DATABASE %I RESET session_preload_libraries', current_database()) AS preload \gexec
