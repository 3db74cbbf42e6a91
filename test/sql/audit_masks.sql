-- A masked column is recorded as everybody may see it, whoever changes it; in clear only if it is named.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_authz_admin;
CREATE ROLE regress_authz_user;
GRANT authz_admin TO regress_authz_admin;
SELECT authz.create_role('clerk'), authz.create_role('boss');
CREATE SCHEMA regress_authz;
GRANT USAGE, CREATE ON SCHEMA regress_authz TO regress_authz_user, regress_authz_admin;
SET search_path = regress_authz, public;
CREATE SEQUENCE seen;
SELECT setval('seen', coalesce(max(id), 0) + 1, false) > 0 AS ready FROM authz.audit_log;
-- What was recorded of changes since the last look.
CREATE FUNCTION since() RETURNS TABLE (action text, key jsonb, old_key jsonb, old_values jsonb, new_values jsonb)
LANGUAGE plpgsql AS $$
DECLARE
	last bigint := (SELECT CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - 1 END FROM regress_authz.seen s);
BEGIN
	RETURN QUERY SELECT l.action, l.key, l.old_key, l.old_values, l.new_values
		FROM authz.audit_log l WHERE l.id > last AND l.action <> 'audit' ORDER BY l.id;
	PERFORM setval('regress_authz.seen', (SELECT max(l.id) FROM authz.audit_log l));
END $$;

CREATE DOMAIN short AS varchar(20) CHECK (value <> 'never');
CREATE TABLE person (id int PRIMARY KEY, name text, email text, card short, salary numeric(10, 2), doubled numeric GENERATED ALWAYS AS (salary * 2) STORED,
	born date, notes jsonb, code uuid, tags text[], plain int);
GRANT ALL ON person TO regress_authz_user;
SELECT authz.protect('person');
SELECT authz.create_policy('all', 'person', '{select,insert,update,delete}');
SELECT authz.create_mask('person', 'email', 'clear', '{boss}', priority => 10);
SELECT authz.create_mask('person', 'email', 'email');
SELECT authz.create_mask('person', 'card', 'partial(0, 4)');
SELECT authz.create_mask('person', 'salary', 'round(1000)', '{boss}');
SELECT authz.create_mask('person', 'born', 'date(''year'')');
SELECT authz.create_mask('person', 'notes', 'json(''secret'')');
SELECT authz.create_mask('person', 'code', 'uuid');
SELECT authz.create_mask('person', 'name', 'hash(8)');
SELECT authz.create_mask('person', 'tags', 'null');
SET ROLE regress_authz_admin;
SELECT authz.audit('regress_authz.person');
RESET ROLE;

-- The writer is the boss, who sees them in clear: not so the log.  salary has a mask that not everybody sees, doubled none of its own.
SELECT authz.assume('ann', '{boss}');
SET ROLE regress_authz_user;
INSERT INTO person VALUES (1, 'Ann', 'ann@example.org', '4111111111111234', 1022.50, DEFAULT, '1970-02-23', '{"secret": 1, "open": 2}',
	'00000000-0000-0000-0000-000000000001', '{a,b}', 7);
RESET ROLE;
SELECT action, key, new_values - '{name,code}'::text[] AS new_values, new_values->>'name' ~ '^[0-9a-f]{8}$' AS name,
	new_values->>'code' ~ '^[0-9a-f-]{36}$' AND new_values->>'code' <> '00000000-0000-0000-0000-000000000001' AS code FROM since();
SELECT count(*) AS clear FROM authz.audit_log l WHERE relation = 'regress_authz.person' AND concat(key, old_key, old_values, new_values) ~ 'Ann|ann@|41111|1022|2045|02-23|"secret": 1|"a"';
SET ROLE regress_authz_user;
-- A change that the mask does not show is one; no change is none.
UPDATE person SET card = '5111111111111234', plain = 8;
UPDATE person SET card = card, salary = salary;
UPDATE person SET salary = 1023;
UPDATE person SET salary = NULL, email = NULL, tags = NULL;
DELETE FROM person;
RESET ROLE;
SELECT action, old_values - '{name,code}'::text[] AS old_values, new_values FROM since();
RESET authz.token;

-- In clear what is named, and nothing else; a generated column is not what it is computed from.
SET ROLE regress_authz_admin;
SELECT authz.audit('regress_authz.person', clear_columns => '{email,salary}', exclude_columns => '{notes,name,code,card}');
RESET ROLE;
INSERT INTO person VALUES (2, 'Ben', 'ben@example.org', '1', 1000, DEFAULT, '1980-12-31', '{}', NULL, NULL, 1);
SELECT * FROM since();

-- A change of the masks holds for the next statement, also of open sessions: this one.
SELECT authz.audit('person', exclude_columns => '{notes,name,code,card,doubled,salary,tags,plain}');
SELECT authz.alter_mask('person', 'email', 'partial(1, 1)');
UPDATE person SET email = 'bob@example.org';
SELECT authz.alter_mask('person', 'email', enabled => false);
UPDATE person SET email = 'bea@example.org';
SELECT authz.drop_mask('person', 'email');
UPDATE person SET email = 'bib@example.org';
SELECT authz.drop_mask('person', 'email', 10);
UPDATE person SET email = 'bob@example.org';
SELECT * FROM since();

-- What holds not for everybody, not at any time, in some rows, depends on who asks or reads other tables is no public
-- mask; nor is one behind a mask that is for everybody.
CREATE FUNCTION try(mask text, roles text[] DEFAULT '{*}', condition text DEFAULT 'true', valid_during tstzrange DEFAULT '(,)') RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
	recorded jsonb;
BEGIN
	PERFORM authz.create_mask('regress_authz.person', 'email', mask, roles, condition, valid_during => valid_during, reads_settings => 'it is tried');
	UPDATE regress_authz.person SET email = email || '.org';
	SELECT l.new_values->'email' INTO recorded FROM authz.audit_log l ORDER BY l.id DESC LIMIT 1;
	PERFORM authz.drop_mask('regress_authz.person', 'email');
	UPDATE regress_authz.person SET email = 'bob@example';
	RETURN recorded;
END $$;
SELECT try('email') AS public, try('email', '{clerk,*}') AS with_others, try('constant(null)') AS nothing,
	try('upper(left(email, 1))') AS expression, try('coalesce(name, email)') AS other_column;
SELECT try('email', '{clerk}') AS roles, try('email', '{*}', 'id > 0') AS rows, try('email', valid_during => '[2000-01-01,)') AS since,
	try('email', valid_during => '(,infinity)') AS until, try('clear') AS clear, try('person.email') AS itself;
SELECT try('case when authz.has_role(''boss'') then email end') AS identity, try('current_user || email') AS session,
	try('email || now()') AS time, try('email || current_setting(''my.x'', true)') AS setting, try('(select email)') AS sub_select;
SELECT authz.create_mask('person', 'email', 'clear', priority => 1);
SELECT try('email') AS behind_clear;
SELECT authz.drop_mask('person', 'email', 1);

-- An error in a mask stops the statement, and names no value of its own.
UPDATE person SET email = '7';
SELECT authz.create_mask('person', 'email', '(1 / (length(email) - 1))::text');
UPDATE person SET plain = 2;
UPDATE person SET email = '12';
SELECT email FROM person;
SELECT authz.alter_mask('person', 'email', 'left(email, 1)');
UPDATE person SET email = '12';
SELECT count(*) AS recorded FROM authz.audit_log WHERE relation = 'regress_authz.person' AND new_values->>'email' = '1';

-- A mask that calls a function of somebody's: as the writer, who may have to.
CREATE FUNCTION veil(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 'veil'; END $$;
SELECT authz.alter_mask('person', 'email', 'regress_authz.veil(email)');
REVOKE EXECUTE ON FUNCTION veil FROM PUBLIC;
SELECT authz.assume('cid', '{clerk}');
SET ROLE regress_authz_user;
UPDATE person SET email = 'x';
RESET ROLE;
GRANT EXECUTE ON FUNCTION veil TO regress_authz_user;
SET ROLE regress_authz_user;
UPDATE person SET email = 'x';
RESET ROLE;
RESET authz.token;
SELECT old_values, new_values FROM since() WHERE old_values->>'email' = 'veil';
-- It changes the same table, whose entry is made anew meanwhile.
CREATE TABLE audit_is (busy boolean);
CREATE FUNCTION meddle() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT busy FROM regress_authz.audit_is) THEN RETURN false; END IF;
	UPDATE regress_authz.audit_is SET busy = true;
	PERFORM authz.audit('regress_authz.person', exclude_columns => '{notes,name,code,card,salary,tags,plain}');
	UPDATE regress_authz.person SET email = email || '+';
	RETURN true;
END $$;
INSERT INTO audit_is VALUES (false);
CREATE OR REPLACE FUNCTION veil(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 'veil ' || regress_authz.meddle(); END $$;
UPDATE person SET email = 'y' RETURNING id;
SELECT * FROM since();
SELECT authz.alter_mask('person', 'email', 'null');

-- The key itself: the log has the masked one, by which its rows are found.
CREATE TABLE account (iban text PRIMARY KEY, balance int);
SELECT authz.protect('account');
SELECT authz.create_policy('all', 'account', '{select,insert,update,delete}');
SELECT authz.create_mask('account', 'iban', 'partial(2, 2)', roles => '{*}');
SELECT authz.audit('account');
SELECT count(*) FROM since();
INSERT INTO account VALUES ('DE0012', 1), ('FR0034', 2), ('DE9912', 3);
UPDATE account SET balance = 5 WHERE iban = 'DE0012';
UPDATE account SET iban = 'DE5512' WHERE iban = 'DE0012';
SELECT * FROM since();
SELECT action, key, new_values FROM authz.audit_trail('account', '{"iban": "DE***12"}');
SELECT action, key, new_values FROM authz.audit_trail('account', '{"iban": "DE0012"}');
SELECT authz.alter_mask('account', 'iban', roles => '{boss}');
DELETE FROM account WHERE iban = 'FR0034';
SELECT * FROM since();

-- Partitions and children, also with other positions of the columns, by the masks of their parent.
CREATE TABLE city (id int, name text, gone int, secret text) PARTITION BY LIST (id);
CREATE TABLE city_1 (secret text, junk int, id int, gone int, name text);
ALTER TABLE city_1 DROP junk;
ALTER TABLE city ATTACH PARTITION city_1 FOR VALUES IN (1);
ALTER TABLE city DROP gone;
SELECT authz.protect('city');
SELECT authz.create_mask('city', 'secret', 'partial(1, 0)');
SELECT authz.audit('city');
INSERT INTO city VALUES (1, 'Rome', 'aeterna');
INSERT INTO city_1 (id, name, secret) VALUES (1, 'Bonn', 'bundesdorf');
COPY city_1 (id, name, secret) FROM stdin;
1	Kiel	foerde
\.
UPDATE city SET secret = 'klein' WHERE name = 'Bonn';
SELECT * FROM since();
-- Not protected any more: a mask that shows nothing to anybody.
SELECT authz.unprotect('city');
UPDATE city SET secret = 'gross' WHERE name = 'Bonn';
SELECT * FROM since();

-- 1,000 columns, each masked by its length.
DO $$
BEGIN
	EXECUTE 'CREATE TABLE regress_authz.wide (id int PRIMARY KEY, ' || (SELECT string_agg(format('c%s text', i), ', ') FROM generate_series(1, 999) i) || ')';
	PERFORM authz.protect('regress_authz.wide');
	INSERT INTO authz.mask (relation, column_name, mask) SELECT 'regress_authz.wide', 'c' || i, format('length(c%s)::text', i) FROM generate_series(1, 999) i;
	PERFORM authz.audit('regress_authz.wide');
END $$;
INSERT INTO wide (id, c1, c500, c999) VALUES (1, 'a', 'bb', 'ccc');
UPDATE wide SET c500 = 'dddd';
SELECT action, (SELECT count(*) FROM jsonb_object_keys(new_values)) AS columns, new_values->'c1' AS c1, new_values->'c500' AS c500, new_values->'c2' AS c2 FROM since();

SET client_min_messages = error;
DROP SCHEMA regress_authz CASCADE;
SELECT authz.drop_role('clerk'), authz.drop_role('boss');
DROP ROLE regress_authz_admin, regress_authz_user;
