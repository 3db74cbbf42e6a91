-- What a statement does after it has set or reset its token is recorded with its query id.
\set VERBOSITY terse
SET client_min_messages = warning;
SET compute_query_id = on;
CREATE SCHEMA regress_authz_query;
CREATE TABLE regress_authz_query.doc (id int);
SELECT authz.audit('regress_authz_query.doc');
DO $$ BEGIN INSERT INTO regress_authz_query.doc VALUES (1); RESET authz.token; INSERT INTO regress_authz_query.doc VALUES (2); SET authz.token = ''; INSERT INTO regress_authz_query.doc VALUES (3); END $$;
SELECT count(*), count(query_id), count(DISTINCT query_id) FROM authz.audit_log WHERE relation = 'regress_authz_query.doc' AND action = 'insert';
SELECT authz.unaudit('regress_authz_query.doc');
DROP SCHEMA regress_authz_query CASCADE;
