-- A condition or mask that leads back to itself through a function ends soon, with one error that says how to write it.

-- What an earlier run may have left.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS recursion CASCADE;
DROP ROLE IF EXISTS regress_authz_owner, regress_authz_user;
RESET client_min_messages;

CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA recursion AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA recursion TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
SET search_path = recursion;

SET ROLE regress_authz_owner;
CREATE TABLE doc (id int PRIMARY KEY, parent int, owner text);
INSERT INTO doc SELECT i, i - 1, 'somebody' FROM generate_series(0, 100) i;
CREATE TABLE folder (id int PRIMARY KEY);
INSERT INTO folder VALUES (1), (2);
GRANT ALL ON doc, folder TO regress_authz_user;

-- Ways to get there: with the owner's rights or the caller's, in SQL or PL/pgSQL, as text or parsed, through a wrapper, an operator.
CREATE FUNCTION is_there(d int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = recursion, pg_temp
	AS 'SELECT EXISTS (SELECT FROM doc WHERE id = d)';
CREATE FUNCTION parsed(d int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
	BEGIN ATOMIC SELECT EXISTS (SELECT FROM recursion.doc WHERE id = d); END;
CREATE FUNCTION invoked(d int) RETURNS boolean LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN EXISTS (SELECT FROM recursion.doc WHERE id = d); END $$;
CREATE FUNCTION invoked_sql(d int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM recursion.doc WHERE id = d)';
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT count(*) FROM recursion.doc';
CREATE FUNCTION wrapped(d int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT recursion.invoked(d)';
CREATE FUNCTION is_like(d int, e int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM recursion.doc); END $$;
CREATE OPERATOR ~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = is_like);
CREATE FUNCTION catching(d int) RETURNS boolean LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN EXISTS (SELECT FROM recursion.doc WHERE id = d); EXCEPTION WHEN division_by_zero THEN RETURN false; END $$;
CREATE FUNCTION in_folder(d int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM recursion.folder); END $$;
CREATE FUNCTION in_doc(d int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN EXISTS (SELECT FROM recursion.doc); END $$;
-- Reads nothing; a loop of its own.
CREATE FUNCTION harmless(d int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN d <= 1 OR recursion.harmless(d - 1); END $$;
-- Ends by short-circuit.
CREATE FUNCTION leads_to_root(d int) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
	AS $$ BEGIN RETURN d = 0 OR EXISTS (SELECT FROM recursion.doc WHERE id = d - 1); END $$;
SELECT authz.protect('doc'), authz.protect('folder');

-- Nothing calls them yet, but they are seen.
SELECT authz.create_policy('p', 'doc', '{select}', 'is_there(id)', '{anonymous}');
SELECT authz.alter_policy('p', 'doc', condition => 'parsed(id)');
SELECT authz.alter_policy('p', 'doc', condition => 'invoked(id)');
SELECT authz.alter_policy('p', 'doc', condition => 'invoked_sql(id)');
-- Not of these.
SELECT authz.alter_policy('p', 'doc', condition => 'harmless(id)');
SELECT authz.disable_policy('p', 'doc'), authz.enable_policy('p', 'doc');
RESET ROLE;
ALTER FUNCTION is_there OWNER TO CURRENT_USER;
SELECT authz.alter_policy('p', 'doc', condition => 'is_there(id)');
SET ROLE regress_authz_user;
SELECT count(*) FROM doc;
RESET ROLE;
ALTER FUNCTION is_there OWNER TO regress_authz_owner;

-- One error each, without lines of context, whatever the way, however often.
SET client_min_messages = error;
CREATE PROCEDURE try(VARIADIC conditions text[]) LANGUAGE plpgsql AS $$
DECLARE
	tried text;
	started timestamptz;
	context text;
	took float;
BEGIN
	FOREACH tried IN ARRAY conditions LOOP
		PERFORM authz.alter_policy('p', 'recursion.doc', condition => tried);
		SET LOCAL ROLE regress_authz_user;
		FOR i IN 1 .. 5 LOOP
			BEGIN
				started := clock_timestamp();
				PERFORM count(*) FROM recursion.doc;
				RAISE INFO '%: passed', tried;
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
				took := least(took, extract(epoch FROM clock_timestamp() - started) * 1000);
				IF i = 1 THEN
					RAISE INFO '%: % %, context: "%"', tried, SQLSTATE, SQLERRM, context;
				END IF;
			END;
		END LOOP;
		-- 1 to 6 ms, if the machine has nothing else to do.
		RAISE INFO 'soon: %', took < 30;
		RESET ROLE;
	END LOOP;
END
$$;
CALL try('is_there(id)', 'parsed(id)', 'invoked(id)', 'invoked_sql(id)', 'id < counted()', 'wrapped(id)', 'id ~~~ 3', 'catching(id)',
	'EXISTS (SELECT FROM generate_series(1, 2) g WHERE recursion.invoked(g + id))', 'CASE WHEN id > 0 THEN invoked(id) END');
SET ROLE regress_authz_user;
\set SHOW_CONTEXT always
SELECT count(*) FROM doc;
-- Prepared, in a function, in a cursor: the same.
PREPARE q AS SELECT count(*) FROM doc;
EXECUTE q;
EXECUTE q;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM doc;
FETCH 1 FROM c;
ROLLBACK;
-- As a condition of a write.
RESET ROLE;
SELECT authz.create_policy('w', 'doc', '{insert}', 'in_doc(id)', '{anonymous}');
SET ROLE regress_authz_user;
INSERT INTO doc VALUES (200);
RESET ROLE;

-- Each function leads to the other's table.
SELECT authz.alter_policy('p', 'doc', condition => 'in_folder(id)');
SELECT authz.create_policy('f', 'folder', '{select}', 'in_doc(id)', '{anonymous}');
SET ROLE regress_authz_user;
SELECT count(*) FROM doc;
SELECT count(*) FROM folder;
RESET ROLE;
SELECT authz.drop_policy('f', 'folder');

-- What ends by itself may be nested; too deep is refused and not cut short; afterwards all is as before.
SELECT authz.alter_policy('p', 'doc', condition => 'leads_to_root(id)');
SET ROLE regress_authz_user;
SELECT id FROM doc WHERE id IN (0, 1, 15) ORDER BY id;
SELECT id FROM doc WHERE id = 16;
SELECT id FROM doc WHERE id IN (0, 1, 15) ORDER BY id;
-- Its user may call it as deep as they like, and nest functions of their own over the table.
RESET ROLE;
SELECT authz.alter_policy('p', 'doc', condition => 'harmless(id)');
CREATE FUNCTION depth(d int) RETURNS int LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN (SELECT coalesce(max(recursion.depth(parent)), 0) + 1 FROM recursion.doc WHERE id = d); END $$;
SET ROLE regress_authz_user;
SELECT depth(60), harmless(60), count(*) FROM doc;
RESET ROLE;

-- Masks.
SELECT authz.alter_policy('p', 'doc', condition => 'true');
SELECT authz.create_mask('doc', 'owner', 'clear', '{anonymous}');
SELECT authz.create_masked_view('doc', 'doc_view');
GRANT SELECT ON doc_view TO regress_authz_user;
CREATE FUNCTION seen(d int) RETURNS boolean LANGUAGE plpgsql STABLE
	AS $$ BEGIN RETURN EXISTS (SELECT FROM recursion.doc_view WHERE owner = 'somebody'); END $$;
SET ROLE regress_authz_user;
SELECT owner FROM doc_view WHERE id = 3;
RESET ROLE;
UPDATE authz.mask SET condition = 'recursion.seen(id)' WHERE relation = 'doc'::regclass;
SET ROLE regress_authz_user;
SELECT owner FROM doc_view WHERE id = 3;
RESET ROLE;

RESET client_min_messages;
DROP SCHEMA recursion CASCADE;
DROP OWNED BY regress_authz_owner;
DROP ROLE regress_authz_owner, regress_authz_user;
