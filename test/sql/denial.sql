-- Denied attempts where nothing is preloaded: the same errors as ever, a log of them that nobody
-- writes, and no statistics.  What a worker writes is in test/t/050_denial.pl.
\set VERBOSITY terse
\set SHOW_CONTEXT never
LOAD 'authz';
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/test/sql/include/token.sql'
\set ECHO none
\i :include
\set ECHO all
CREATE ROLE regress_authz_user;
CREATE ROLE regress_authz_admin IN ROLE authz_admin;
CREATE ROLE regress_authz_auditor IN ROLE authz_auditor;
SELECT authz.create_issuer('https://idp.example', '{api}');
SELECT authz.add_key('https://idp.example', 'k1', 'HS256', pg_temp.secret());
SELECT authz.create_role('tenant');
CREATE TABLE denial_orders (id int PRIMARY KEY, tenant bigint, note text);
INSERT INTO denial_orders VALUES (1, 1, 'own'), (2, 2, 'foreign');
CREATE TABLE denial_notes (id int, note text);
GRANT ALL ON denial_orders, denial_notes TO regress_authz_user;
SELECT authz.protect('denial_orders'), authz.protect('denial_notes');
SELECT authz.create_policy('own', 'denial_notes', '{insert}', 'note = ''own''', '{tenant}');
SELECT authz.create_policy('tenant', 'denial_orders', '{select,insert,update}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
SELECT authz.create_mask('denial_orders', 'note', 'constant(''***'')');
SELECT authz.create_masked_view('denial_orders', 'denial_view');
SELECT authz.alter_policy('tenant', 'denial_orders', actions => '{select,insert}');
SELECT authz.create_policy('notes', 'denial_orders', '{update}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}', columns => '{tenant,id}');
GRANT ALL ON denial_view TO regress_authz_user;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_user;

-- Parameters: the queue's size is no parameter here, what to do when it is full has no effect, but is nobody's to set.
SHOW authz.denial_queue_full;
SHOW authz.denial_queue_size;
SET authz.denial_queue_full = 'drop';
SET authz.denial_queue_full = 'log';
RESET authz.denial_queue_full;

-- Every kind of attempt is refused as before, and no error of recording takes the place of the refusal.
SET ROLE regress_authz_user;
SET authz.denial_queue_full = 'log';
SELECT authz.assume('alice', '{tenant}', '{"tenant": 1}');
INSERT INTO denial_orders VALUES (3, 1, 'own');
INSERT INTO denial_orders VALUES (4, 2, 'foreign');
INSERT INTO denial_orders SELECT 5, 1, 'own' UNION ALL SELECT 6, 2, 'foreign';
UPDATE denial_orders SET tenant = 2 WHERE id = 1;
UPDATE denial_view SET note = 'clear' WHERE id = 1;
TRUNCATE denial_orders;
BEGIN;
INSERT INTO denial_orders VALUES (7, 1, 'own');
SAVEPOINT s;
INSERT INTO denial_orders VALUES (8, 2, 'foreign');
ROLLBACK TO s;
INSERT INTO denial_orders VALUES (9, 1, 'own');
COMMIT;
SELECT id FROM denial_orders ORDER BY id;
SELECT pg_temp.attempt('INSERT INTO denial_orders VALUES (10, 2, NULL)') FROM generate_series(1, 3);
SELECT authz.denied('insert', 'denial_orders'::regclass);
SELECT authz.denied('insert', 0);
SELECT authz.denied('nonsense', 'pg_class'::regclass);

-- Tokens: at SET, and once it is no longer good, at use.
SELECT pg_temp.verdict('a.b.c');
SELECT authz.subject();
SELECT pg_temp.verdict(pg_temp.token('{"aud": "others"}'));
SELECT pg_temp.verdict(pg_temp.token('{"jti": "t1", "roles": ["tenant"]}'));
RESET ROLE;
SELECT authz.revoke_token('https://idp.example', 't1');
SET ROLE regress_authz_user;
INSERT INTO denial_orders VALUES (11, 1, 'own');
SELECT authz.subject();
SELECT authz.subject();

-- The identity gone within the statement that is refused: still the refusal of the write.
RESET ROLE;
CREATE FUNCTION revoke_own() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	PERFORM authz.revoke_token('https://idp.example', 't2');
	RETURN 12;
END
$$;
SET ROLE regress_authz_user;
SELECT pg_temp.verdict(pg_temp.token('{"jti": "t2", "roles": ["tenant"]}'));
INSERT INTO denial_notes VALUES (revoke_own(), 'foreign');
SELECT authz.subject();

-- The log is empty, for nothing is preloaded; who may read it, and who may write it: nobody.
SELECT count(*) FROM authz.denial_log;
SELECT authz.denial_stats();
SET ROLE regress_authz_admin;
SELECT count(*) FROM authz.denial_log;
SELECT * FROM authz.denial_stats();
DELETE FROM authz.denial_log;
SET ROLE regress_authz_auditor;
SELECT count(*) FROM authz.denial_log;
SELECT size IS NULL AND pending IS NULL AND queued IS NULL AND written IS NULL AND logged IS NULL AND waited IS NULL AS no_queue
	FROM authz.denial_stats();
INSERT INTO authz.denial_log (id, statement_at, recorded_at, transaction_id, virtual_transaction, pid, kind, action, reason) VALUES (1, now(), now(), '3', '1/1', 1, 'write', 'insert', 'forged');
UPDATE authz.denial_log SET reason = 'none';
DELETE FROM authz.denial_log;
TRUNCATE authz.denial_log;
SELECT nextval('authz.record_id_seq');
SELECT count(*) FROM denial_orders;
RESET ROLE;
UPDATE authz.denial_log SET reason = 'none';
DELETE FROM authz.denial_log;
TRUNCATE authz.denial_log;
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM authz.denial_log;
ROLLBACK;
SELECT authz.refuse_change();
SELECT grantee::regrole, privilege_type FROM pg_class c, aclexplode(c.relacl) WHERE c.oid = 'authz.denial_log'::regclass AND grantee <> c.relowner ORDER BY 1;
SELECT a.attname FROM pg_attribute a WHERE a.attrelid = 'authz.denial_log'::regclass AND a.attnum > 0 AND a.attnotnull ORDER BY a.attnum;

RESET authz.token;
DROP VIEW denial_view;
SELECT authz.unprotect('denial_orders'), authz.unprotect('denial_notes');
DROP TABLE denial_orders, denial_notes;
DROP FUNCTION revoke_own();
SELECT authz.drop_role('tenant');
SELECT authz.drop_issuer('https://idp.example');
DELETE FROM authz.revoked_token;
REVOKE ALL ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) FROM regress_authz_user;
DROP ROLE regress_authz_user, regress_authz_admin, regress_authz_auditor;
