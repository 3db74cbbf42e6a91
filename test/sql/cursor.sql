-- Rows that wait in a portal belong to the identity that read them.  Raw messages of the protocol: 011_cursors.pl.

-- What an earlier run may have left.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS cursors CASCADE;
DO $$ BEGIN DROP OWNED BY regress_authz_user; EXCEPTION WHEN undefined_object THEN END $$;
DROP ROLE IF EXISTS regress_authz_user;
DELETE FROM authz.role WHERE name = 'tenant';
RESET client_min_messages;

CREATE ROLE regress_authz_user;
CREATE SCHEMA cursors;
GRANT USAGE, CREATE ON SCHEMA cursors TO regress_authz_user;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role('tenant');
SET search_path = cursors;
CREATE PROCEDURE act_as(subject text, tenant int) LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, '{tenant}', jsonb_build_object('tenant', tenant));
END;
CREATE TABLE note (id int PRIMARY KEY, tenant bigint, body text);
INSERT INTO note SELECT i, i % 2, 'body ' || i FROM generate_series(1, 200) i;
CREATE TABLE open_note (id int);
INSERT INTO open_note SELECT generate_series(1, 100);
GRANT ALL ON note, open_note TO regress_authz_user;
SELECT authz.protect('note');
SELECT authz.create_policy('own', 'note', '{select,insert,update,delete}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
SET ROLE regress_authz_user;
CREATE TABLE seen (id int, subject text);
CREATE VIEW note_view AS SELECT * FROM note;
-- Reads the table out of the planner's sight.
CREATE FUNCTION ids() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT id FROM cursors.note ORDER BY id; END $$;
CREATE FUNCTION one_id() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT min(id) FROM cursors.note); END $$;
CALL act_as('alice', 1);

-- WITH HOLD, whatever the way to the rows.
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM note;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT * FROM note_view;
DECLARE held CURSOR WITH HOLD FOR SELECT 1 FROM open_note WHERE id IN (SELECT id FROM note);
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT * FROM ids();
COMMIT;
BEGIN;
DECLARE held NO SCROLL CURSOR WITH HOLD FOR SELECT * FROM ids();
FETCH 1 FROM held;
COMMIT;
BEGIN;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT o.id, one_id() FROM open_note o;
FETCH 1 FROM held;
COMMIT;
SELECT name FROM pg_cursors;
-- It may be one over other tables, from the start or once the rows are read no more.
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM open_note;
SELECT count(*) FROM note;
COMMIT;
CALL act_as('bob', 0);
FETCH 1 FROM held;
CLOSE held;
CALL act_as('alice', 1);

-- A loop of a procedure over COMMIT or ROLLBACK: also if all its rows are read.
CREATE PROCEDURE walk(ends text, last int) LANGUAGE plpgsql AS $$
DECLARE
	r record;
	n int := 0;
BEGIN
	FOR r IN SELECT id FROM cursors.note WHERE id <= last ORDER BY id LOOP
		n := n + 1;
		RAISE INFO 'row %', r.id;
		IF ends = 'commit' THEN
			COMMIT;
		ELSIF ends = 'rollback' THEN
			ROLLBACK;
		END IF;
		CALL cursors.act_as('bob', 0);
	END LOOP;
END
$$;
CALL walk('commit', 200);
CALL walk('commit', 1);
CALL walk('rollback', 200);
SELECT authz.subject();
CREATE PROCEDURE walk_function() LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT * FROM cursors.ids() i LOOP
		COMMIT;
		CALL cursors.act_as('bob', 0);
		INSERT INTO cursors.seen VALUES (r.i, authz.subject());
	END LOOP;
END
$$;
CALL walk_function();
SELECT * FROM seen;
-- Rows that were read into an array first are the procedure's own.
CREATE PROCEDURE batch() LANGUAGE plpgsql AS $$
DECLARE
	keys int[] := ARRAY(SELECT id FROM cursors.note WHERE id <= 5 ORDER BY id);
	key int;
BEGIN
	FOREACH key IN ARRAY keys LOOP
		UPDATE cursors.note SET body = 'batch' WHERE id = key;
		COMMIT;
	END LOOP;
END
$$;
CALL batch();
SELECT id FROM note WHERE body = 'batch' ORDER BY id;
-- A loop over other tables goes on, with another identity for each round.
CREATE PROCEDURE for_each() LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT id FROM cursors.open_note WHERE id <= 3 ORDER BY id LOOP
		CALL cursors.act_as('subject ' || r.id, r.id % 2);
		RAISE INFO '% sees %', authz.subject(), (SELECT count(*) FROM cursors.note WHERE id <= 9);
		COMMIT;
	END LOOP;
END
$$;
CALL for_each();
-- The same statement under an identity that ends with the transaction, and after it.
CREATE PROCEDURE ends_with_transaction(ends text) LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	FOR i IN 1..4 LOOP
		IF i % 2 = 1 THEN
			PERFORM authz.assume('alice', '{tenant}', '{"tenant": 1}', is_local => true);
		END IF;
		SELECT count(*) INTO n FROM cursors.note WHERE id <= 9;
		RAISE INFO '% sees %', authz.subject(), n;
		IF ends = 'commit' THEN
			COMMIT;
		ELSE
			ROLLBACK;
		END IF;
	END LOOP;
END
$$;
SELECT authz.logout();
SET client_min_messages = error;
CALL ends_with_transaction('commit');
CALL ends_with_transaction('rollback');
RESET client_min_messages;
CALL act_as('alice', 1);

-- A loop over RETURNING: what waits is not for who logs in meanwhile, or for nobody.
CREATE FUNCTION loop_returning(what text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	r record;
	n int := 0;
BEGIN
	FOR r IN UPDATE cursors.note SET body = 'x' RETURNING id LOOP
		n := n + 1;
		IF n = 5 THEN
			EXECUTE what;
		END IF;
	END LOOP;
	RETURN n;
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RAISE INFO 'after % rows: %', n, regexp_replace(SQLERRM, '[0-9]+', 'N');
	RETURN NULL;
END
$$;
SELECT loop_returning('SELECT 1');
SELECT loop_returning('CALL cursors.act_as(''bob'', 0)');
SELECT loop_returning('RESET authz.token');
SELECT loop_returning('DO $d$ BEGIN PERFORM authz.login(''nonsense''); EXCEPTION WHEN OTHERS THEN END $d$');
CALL act_as('alice', 1);
SELECT loop_returning('SELECT authz.subject()');

-- A cursor over a function: the same, and FETCH looks whether the identity still stands.
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM ids();
FETCH 2 FROM c;
FETCH 1 FROM c;
CALL act_as('bob', 0);
FETCH 1 FROM c;
ROLLBACK;
CALL act_as('alice', 1);
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM ids();
FETCH 2 FROM c;
SAVEPOINT s;
RESET authz.token;
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM ids();
FETCH 2 FROM c;
SAVEPOINT s;
SET authz.token = 'nonsense';
ROLLBACK TO s;
FETCH 1 FROM c;
ROLLBACK;
RESET authz.token;
CALL act_as('alice', 1);
-- Before the first FETCH nothing has been read.
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM ids();
CALL act_as('bob', 0);
FETCH 2 FROM c;
COMMIT;
-- A cursor of the same name that is opened again is another one.
CREATE FUNCTION reopened() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c CURSOR FOR SELECT * FROM cursors.ids();
	first int;
	second int;
BEGIN
	OPEN c;
	FETCH c INTO first;
	CLOSE c;
	CALL cursors.act_as('alice', 1);
	OPEN c;
	FETCH c INTO second;
	FETCH c INTO second;
	RETURN first || ' ' || second;
END
$$;
SELECT reopened();
-- Who logs in within a statement is answered to its end.
CREATE FUNCTION as_two() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 0 .. 1 LOOP
		CALL cursors.act_as('subject ' || i, i);
		RETURN NEXT authz.subject() || ' sees ' || (SELECT min(id) FROM cursors.note);
	END LOOP;
END
$$;
SELECT * FROM as_two();
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM as_two();
FETCH ALL FROM c;
COMMIT;

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA cursors CASCADE;
DELETE FROM authz.role WHERE name = 'tenant';
DROP OWNED BY regress_authz_user;
DROP ROLE regress_authz_user;
