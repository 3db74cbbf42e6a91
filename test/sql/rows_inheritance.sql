-- Partitions and inheritance children are under their parent's policies,
-- however they are read and whenever they came.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA rows_inheritance AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA rows_inheritance TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SELECT authz.create_role(r) FROM unnest('{tenant,auditor}'::text[]) r;

SET search_path = rows_inheritance;
CREATE PROCEDURE act_as(subject text, roles text[], attributes jsonb DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, attributes);
END;

--
-- Partitions, two levels deep, with columns at other positions.
--
SET ROLE regress_authz_owner;
CREATE TABLE event (id int, tenant bigint NOT NULL, day date NOT NULL, body text) PARTITION BY LIST (tenant);
CREATE TABLE event_1 PARTITION OF event FOR VALUES IN (1);
CREATE TABLE event_2 PARTITION OF event FOR VALUES IN (2) PARTITION BY RANGE (day);
CREATE TABLE event_2_old PARTITION OF event_2 FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE event_2_new (body text, gone int, day date NOT NULL, tenant bigint NOT NULL, id int);
ALTER TABLE event_2_new DROP gone;
ALTER TABLE event_2 ATTACH PARTITION event_2_new FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE event_rest PARTITION OF event DEFAULT;
INSERT INTO event VALUES
	(1, 1, '2020-05-01', 'one'), (2, 1, '2021-05-01', 'one'), (3, 2, '2020-05-01', 'two'),
	(4, 2, '2021-05-01', 'two'), (5, 3, '2020-05-01', 'three'), (6, 4, '2020-05-01', 'four');
GRANT ALL ON event, event_1, event_2, event_2_old, event_2_new, event_rest TO regress_authz_user;
SELECT authz.protect('event');
SELECT relation, logical FROM authz.protected_table WHERE logical = 'event'::regclass ORDER BY relation::text;
SELECT authz.create_policy('own', 'event', '{select,insert,update,delete}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
SELECT authz.create_policy('all', 'event', '{select,truncate}', roles => '{auditor}');
SELECT authz.create_policy('not the old', 'event', '{select,insert,update,delete}', 'day < ''2020-02-01''', effect => 'forbid');

SET ROLE regress_authz_user;
-- Without an identity nothing; through the parent and directly the same.
SELECT count(*) FROM event;
SELECT count(*) FROM event_2_new;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
SELECT tableoid::regclass, * FROM event ORDER BY id;
SELECT tableoid::regclass, * FROM event_2 ORDER BY id;
SELECT * FROM event_2_old;
SELECT * FROM event_2_new;
SELECT * FROM ONLY event_2_new;
SELECT * FROM event_1;
SELECT * FROM event_rest;
SELECT * FROM ONLY event;
CALL act_as('carol', '{tenant}', '{"tenant": 3}');
SELECT * FROM event_rest;
CALL act_as('eve', '{auditor}');
SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM event_1), (SELECT count(*) FROM event_2),
	(SELECT count(*) FROM event_2_new), (SELECT count(*) FROM event_rest);

-- A partition of another's rows is pruned when the plan is made, and when it starts.
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
EXPLAIN (COSTS OFF) SELECT * FROM event;
EXPLAIN (COSTS OFF) SELECT * FROM event WHERE day = '2021-05-01';
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) SELECT * FROM event;
PREPARE by_day(date) AS SELECT id FROM event WHERE day >= $1 ORDER BY id;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_day('2020-01-01');
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE by_day('2021-01-01');
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
EXECUTE by_day('2020-01-01');
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE by_day('2021-01-01');
CALL act_as('eve', '{auditor}');
EXECUTE by_day('2020-01-01');
EXPLAIN (COSTS OFF) EXECUTE by_day('2021-01-01');
RESET authz.token;
EXECUTE by_day('2020-01-01');
EXPLAIN (COSTS OFF) EXECUTE by_day('2020-01-01');
RESET plan_cache_mode;
DEALLOCATE by_day;

--
-- Writes
--
\set QUIET off
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
BEGIN;
INSERT INTO event VALUES (10, 2, '2020-06-01', 'new') RETURNING tableoid::regclass, id;
INSERT INTO event_2 VALUES (11, 2, '2021-06-01', 'new') RETURNING tableoid::regclass, id;
INSERT INTO event_2_new (id, tenant, day, body) VALUES (12, 2, '2021-07-01', 'new') RETURNING id;
UPDATE event SET body = body || '!';
UPDATE event_2_new SET body = body || '?';
UPDATE event_1 SET body = 'hidden';
DELETE FROM event_rest;
SELECT tableoid::regclass, id, body FROM event ORDER BY id;
DELETE FROM event_2_old;
DELETE FROM event RETURNING id;
ROLLBACK;
INSERT INTO event VALUES (10, 1, '2020-06-01', 'new');
INSERT INTO event_1 VALUES (10, 1, '2020-06-01', 'new');
INSERT INTO event_rest VALUES (10, 3, '2020-06-01', 'new');
INSERT INTO event VALUES (10, 2, '2020-01-01', 'too old');
INSERT INTO event_2_old VALUES (10, 2, '2020-01-01', 'too old');

-- A row that moves to another partition: the new row is checked as where it came from.
BEGIN;
UPDATE event SET day = '2021-08-01' WHERE id = 3 RETURNING tableoid::regclass, id;
UPDATE event_2 SET day = '2020-08-01' WHERE id = 4 RETURNING tableoid::regclass, id;
ROLLBACK;
UPDATE event SET tenant = 1 WHERE id = 3;
UPDATE event SET tenant = 3 WHERE id = 3;
UPDATE event SET day = '2020-01-01' WHERE id = 4;
UPDATE event_2 SET day = '2020-01-01' WHERE id = 4;
UPDATE event SET tenant = 2 WHERE tenant = 1;

-- MERGE and ON CONFLICT
BEGIN;
MERGE INTO event USING (VALUES (3, 'merged'), (1, 'merged'), (20, 'merged')) v(id, body) ON event.id = v.id
	WHEN MATCHED THEN UPDATE SET body = v.body
	WHEN NOT MATCHED AND v.id > 1 THEN INSERT VALUES (v.id, 2, '2021-09-01', v.body);
SELECT tableoid::regclass, id, body FROM event ORDER BY id;
ROLLBACK;
RESET ROLE;
CREATE UNIQUE INDEX ON event (id, tenant, day);
SET ROLE regress_authz_user;
BEGIN;
INSERT INTO event VALUES (4, 2, '2021-05-01', 'upserted')
	ON CONFLICT (id, tenant, day) DO UPDATE SET body = excluded.body RETURNING *;
ROLLBACK;
INSERT INTO event VALUES (1, 1, '2020-05-01', 'upserted')
	ON CONFLICT (id, tenant, day) DO UPDATE SET body = excluded.body;
CALL act_as('eve', '{auditor}');
INSERT INTO event VALUES (4, 2, '2021-05-01', 'upserted')
	ON CONFLICT (id, tenant, day) DO UPDATE SET body = excluded.body;

-- TRUNCATE of the parent, of a part, of a part's part
BEGIN;
TRUNCATE event_2_new;
SELECT count(*) FROM event;
TRUNCATE event_2;
SELECT count(*) FROM event;
TRUNCATE event;
SELECT count(*) FROM event;
ROLLBACK;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
TRUNCATE event_2_new;
TRUNCATE event_2;
TRUNCATE event;
TRUNCATE ONLY event_2_old;
COPY event_2_old TO STDOUT;
COPY event_1 TO STDOUT;

--
-- Parts come and go.
--
SET ROLE regress_authz_owner;
-- Created as a part; with rows, attached as a part; with parts of its own.
CREATE TABLE event_5 PARTITION OF event FOR VALUES IN (5);
CREATE TABLE event_6 (LIKE event);
INSERT INTO event_6 VALUES (60, 6, '2020-05-01', 'six');
ALTER TABLE event ATTACH PARTITION event_6 FOR VALUES IN (6);
CREATE TABLE event_7 (LIKE event) PARTITION BY RANGE (day);
CREATE TABLE event_7_all PARTITION OF event_7 DEFAULT;
INSERT INTO event_7 VALUES (70, 7, '2020-05-01', 'seven');
ALTER TABLE event ATTACH PARTITION event_7 FOR VALUES IN (7);
GRANT ALL ON event_5, event_6, event_7, event_7_all TO regress_authz_user;
SELECT relation, logical FROM authz.protected_table WHERE relation::text LIKE 'event\_%' ORDER BY relation::text;
SET ROLE regress_authz_user;
SELECT count(*) FROM event_6;
SELECT count(*) FROM event_7_all;
CALL act_as('six', '{tenant}', '{"tenant": 6}');
SELECT * FROM event;
SELECT * FROM event_6;
SELECT * FROM event_7_all;
INSERT INTO event_5 VALUES (50, 5, '2020-05-01', 'five');
CALL act_as('seven', '{tenant}', '{"tenant": 7}');
SELECT * FROM event_6;
SELECT * FROM event_7_all;
CALL act_as('five', '{tenant}', '{"tenant": 5}');
INSERT INTO event_5 VALUES (50, 5, '2020-05-01', 'five') RETURNING tableoid::regclass;
-- Detached, it stays under the policies that it was under.
SET ROLE regress_authz_owner;
ALTER TABLE event DETACH PARTITION event_6;
ALTER TABLE event_7 DETACH PARTITION event_7_all;
SELECT relation, logical FROM authz.protected_table WHERE relation IN ('event_6'::regclass, 'event_7_all'::regclass) ORDER BY 1;
SET ROLE regress_authz_user;
SELECT count(*) FROM event_6;
CALL act_as('six', '{tenant}', '{"tenant": 6}');
SELECT * FROM event_6;
SELECT * FROM event;
CALL act_as('seven', '{tenant}', '{"tenant": 7}');
SELECT * FROM event_6;
SELECT * FROM event_7_all;
-- A part that is protected itself has its own policies when it is read directly.
SET ROLE regress_authz_owner;
SELECT authz.protect('event_5');
SET ROLE regress_authz_user;
CALL act_as('five', '{tenant}', '{"tenant": 5}');
SELECT count(*) FROM event_5;
SELECT count(*) FROM event;
SET ROLE regress_authz_owner;
SELECT authz.create_policy('three only', 'event_5', '{select}', 'authz.attr_bigint(''tenant'') = 3', '{tenant}');
SET ROLE regress_authz_user;
SELECT count(*) FROM event_5;
CALL act_as('carol', '{tenant}', '{"tenant": 3}');
SELECT count(*) FROM event_5;
SELECT count(*) FROM event WHERE tenant = 5;
-- Dropped, it is forgotten.
SET ROLE regress_authz_owner;
DROP TABLE event_5, event_6, event_7_all;
SELECT count(*) FROM authz.policy WHERE name = 'three only';

--
-- Inheritance, two levels deep; a child has columns of its own.
--
CREATE TABLE item (id int, tenant bigint, body text);
CREATE TABLE book (pages int) INHERITS (item);
CREATE TABLE atlas (maps int) INHERITS (book);
INSERT INTO item VALUES (1, 1, 'item'), (2, 2, 'item');
INSERT INTO book VALUES (3, 1, 'book', 100), (4, 2, 'book', 200);
INSERT INTO atlas VALUES (5, 1, 'atlas', 10, 1), (6, 2, 'atlas', 20, 2);
GRANT ALL ON item, book, atlas TO regress_authz_user;
SELECT authz.protect('item');
SELECT authz.create_policy('own', 'item', '{select,insert,update,delete}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
SET ROLE regress_authz_user;
RESET authz.token;
SELECT count(*) FROM item;
SELECT count(*) FROM atlas;
CALL act_as('alice', '{tenant}', '{"tenant": 1}');
SELECT tableoid::regclass, * FROM item ORDER BY id;
SELECT * FROM ONLY item;
SELECT tableoid::regclass, * FROM book ORDER BY id;
SELECT * FROM ONLY book;
SELECT * FROM atlas;
SELECT id FROM item WHERE item.tableoid = 'atlas'::regclass;
EXPLAIN (COSTS OFF) SELECT * FROM book;
BEGIN;
INSERT INTO atlas VALUES (7, 1, 'atlas', 30, 3);
UPDATE item SET body = body || '!' RETURNING tableoid::regclass, id;
UPDATE book SET pages = pages + 1 RETURNING tableoid::regclass, id, pages;
DELETE FROM ONLY book RETURNING id;
DELETE FROM item RETURNING tableoid::regclass, id;
ROLLBACK;
INSERT INTO atlas VALUES (7, 2, 'atlas', 30, 3);
INSERT INTO item VALUES (7, 2, 'item');
UPDATE item SET tenant = 2 WHERE id = 5;
UPDATE atlas SET tenant = 2;
-- Later children, by creation and by ALTER TABLE.
SET ROLE regress_authz_owner;
CREATE TABLE globe (radius int) INHERITS (atlas);
CREATE TABLE film (minutes int, body text, tenant bigint, id int);
INSERT INTO film VALUES (90, 'film', 1, 8), (95, 'film', 2, 9);
ALTER TABLE film INHERIT item;
GRANT ALL ON globe, film TO regress_authz_user;
SET ROLE regress_authz_user;
INSERT INTO globe VALUES (10, 2, 'globe', 0, 0, 1);
INSERT INTO globe VALUES (10, 1, 'globe', 0, 0, 1);
SELECT * FROM film;
SELECT tableoid::regclass, * FROM item ORDER BY id;
CALL act_as('bob', '{tenant}', '{"tenant": 2}');
SELECT * FROM film;
SELECT * FROM globe;
SET ROLE regress_authz_owner;
ALTER TABLE film NO INHERIT item;
SET ROLE regress_authz_user;
SELECT * FROM film;
RESET authz.token;
SELECT * FROM film;
-- A table is part of one protected table only.
SET ROLE regress_authz_owner;
CREATE TABLE other (id int, tenant bigint);
SELECT authz.protect('other');
\set VERBOSITY terse
ALTER TABLE book INHERIT other;
\set VERBOSITY default
SELECT relation, logical FROM authz.protected_table WHERE relation IN ('book'::regclass, 'atlas'::regclass) ORDER BY 1;

-- Unprotected with its parent.
SELECT authz.unprotect('event_2');
SELECT authz.unprotect('event');
SELECT relation, logical FROM authz.protected_table WHERE logical = 'event'::regclass;
SET ROLE regress_authz_user;
SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM event_2_new);

\set QUIET on
RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA rows_inheritance CASCADE;
SELECT authz.drop_role(r) FROM unnest('{tenant,auditor}'::text[]) r;
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user;
