-- What a user relies on when a table is protected.
BEGIN;
SELECT plan(27);

CREATE ROLE regress_authz_app;
CREATE TABLE orders (id int PRIMARY KEY, tenant_id int NOT NULL, amount int NOT NULL, paid boolean NOT NULL DEFAULT false);
CREATE TABLE helper (order_id int REFERENCES orders, who text);
INSERT INTO orders SELECT i, i % 10, i FROM generate_series(1, 100) i;
INSERT INTO helper VALUES (7, 'carol'), (8, 'carol');
GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO regress_authz_app;
GRANT EXECUTE ON FUNCTION authz.assume(text, text[], jsonb, interval, boolean) TO regress_authz_app;
SELECT authz.create_role('tenant'), authz.create_role('auditor'), authz.create_role('chief', '{auditor}');

SELECT authz.protect('orders');
SET ROLE regress_authz_app;
SELECT is_empty('SELECT * FROM orders', 'a protected table shows nothing to nobody');
SELECT authz.assume('ann', '{tenant}', '{"tenant": 3}');
SELECT is_empty('SELECT * FROM orders', 'and nothing to somebody whom no policy permits');
RESET ROLE;

SELECT authz.create_policy('own', 'orders', '{select,insert,update,delete}', 'tenant_id = authz.attr_bigint(''tenant'')', '{tenant}');
SELECT authz.create_policy('all', 'orders', '{select}', roles => '{auditor}');
SELECT authz.create_policy('paid', 'orders', '{update,delete}', 'paid', check_condition => 'false', effect => 'forbid');
SELECT authz.create_policy('help', 'orders', '{select}', 'EXISTS (SELECT FROM helper WHERE order_id = orders.id AND who = authz.subject())');

SET ROLE regress_authz_app;
SELECT set_eq('SELECT id FROM orders', 'SELECT i FROM generate_series(3, 100, 10) i', 'a tenant sees its rows and no others');
SELECT is((SELECT count(*) FROM orders WHERE tenant_id = 4)::int, 0, 'also when it asks for others');
SELECT lives_ok('INSERT INTO orders VALUES (201, 3, 1)', 'it may add a row of its own');
SELECT throws_ok('INSERT INTO orders VALUES (202, 4, 1)', '42501', NULL, 'and not one of another tenant');
SELECT throws_ok('UPDATE orders SET tenant_id = 4 WHERE id = 3', '42501', NULL, 'it cannot give a row away');
SELECT lives_ok('UPDATE orders SET paid = true WHERE id = 3', 'it may change its own row');
SELECT is_empty('UPDATE orders SET amount = 0 WHERE id = 3 RETURNING id', 'but not one that a policy forbids to change');
SELECT is_empty('DELETE FROM orders WHERE id = 3 RETURNING id', 'nor delete it');
SELECT is_empty('UPDATE orders SET amount = 0 WHERE id = 4 RETURNING id', 'nor touch a hidden one');
SELECT results_eq('DELETE FROM orders WHERE id = 13 RETURNING id', '{13}'::int[], 'it may delete its own');

SELECT authz.assume('ann', '{tenant}', '{"tenant": 4}');
SELECT is((SELECT count(*) FROM orders)::int, 10, 'as another tenant the same session sees other rows');
SELECT authz.assume('ann', '{tenant}', '{"tenant": "4"}');
SELECT is((SELECT count(*) FROM orders)::int, 10, 'a number may come as a string');
SELECT authz.assume('ann', '{tenant}', '{"tenant": "4 OR true"}');
SELECT is((SELECT count(*) FROM orders)::int, 0, 'but what is no number matches nothing');
SELECT authz.assume('ann', '{tenant}');
SELECT is((SELECT count(*) FROM orders)::int, 0, 'and no attribute, no row');
SELECT authz.assume('bob', '{auditor}');
SELECT is((SELECT count(*) FROM orders)::int, 100, 'an auditor sees all');
SELECT is_empty('UPDATE orders SET amount = 0 RETURNING id', 'and changes nothing');
SELECT authz.assume('eve', '{chief}');
SELECT is((SELECT count(*) FROM orders)::int, 100, 'who inherits a role has it');
SELECT authz.assume('carol', '{}');
SELECT set_eq('SELECT id FROM orders', '{7,8}'::int[], 'a policy may look into tables that the caller cannot read');
SELECT throws_ok('SELECT * FROM helper', '42501', NULL, 'which stay unreadable');
SELECT authz.assume('dan', '{tenant,auditor}', '{"tenant": 3}');
SELECT is((SELECT count(*) FROM orders)::int, 100, 'of several permits one is enough');
SELECT is((SELECT count(*) FROM orders o WHERE authz.permits_row('update', o))::int, 9, 'permits_row tells what could be changed');

RESET ROLE;
SELECT authz.create_policy('closed', 'orders', '{select}', 'tenant_id = 5', effect => 'forbid');
SET ROLE regress_authz_app;
SELECT is((SELECT count(*) FROM orders)::int, 90, 'a forbid wins over every permit');
RESET authz.token;
SELECT is((SELECT count(*) FROM orders)::int, 0, 'who gives his identity up sees nothing again');
RESET ROLE;

SELECT authz.unprotect('orders');
SET ROLE regress_authz_app;
SELECT is((SELECT count(*) FROM orders)::int, 100, 'an unprotected table is as before');
RESET ROLE;
SELECT is((SELECT relrowsecurity FROM pg_class WHERE oid = 'orders'::regclass), false, 'without row security');

SELECT * FROM finish();
ROLLBACK;
