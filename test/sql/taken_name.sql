-- A table that takes the name of a protected or audited one is neither, which is said.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP SCHEMA IF EXISTS regress_authz, regress_authz_new, regress_authz_old CASCADE;
RESET client_min_messages;
CREATE SCHEMA regress_authz;
SET search_path = regress_authz;
CREATE TABLE orders (id int);
CREATE TABLE orders_new (id int);
CREATE TABLE free (id int);
SELECT authz.protect('orders');
SELECT authz.audit('orders');

-- A swap, in one transaction and in two.
BEGIN;
ALTER TABLE orders RENAME TO orders_old;
\set VERBOSITY default
ALTER TABLE orders_new RENAME TO orders;
\set VERBOSITY terse
ROLLBACK;
ALTER TABLE orders RENAME TO orders_old;
ALTER INDEX IF EXISTS orders_new RENAME TO orders;
SELECT 'orders'::regclass::oid <> 'orders_old'::regclass::oid AS swapped, authz.is_protected('orders'::regclass);
-- Other DDL on it says nothing more, nor does giving the name back.
ALTER TABLE orders ADD COLUMN x int;
ALTER TABLE orders RENAME TO orders_new;
ALTER TABLE orders_old RENAME TO orders;
ALTER TABLE orders RENAME COLUMN id TO number;
ALTER TABLE orders RENAME COLUMN number TO id;
-- No swap: a name that was free, or that of an ordinary table.
ALTER TABLE orders RENAME TO purchase;
ALTER TABLE purchase RENAME TO orders;
ALTER TABLE free RENAME TO liberty;
CREATE TABLE free (id int);
-- A view may take the place.
ALTER TABLE orders RENAME TO orders_base;
CREATE VIEW orders AS SELECT 1 AS id;
DROP VIEW orders;
-- Created under the name, in every way; protected and audited alike it is all right.
CREATE TABLE orders (id int);
DROP TABLE orders;
CREATE TABLE orders AS SELECT 1 AS id;
DROP TABLE orders;
SELECT 1 AS id INTO orders;
DROP TABLE orders;
CREATE MATERIALIZED VIEW orders AS SELECT 1 AS id;
DROP MATERIALIZED VIEW orders;
SELECT authz.audit_schema('regress_authz');
CREATE TABLE orders (id int);
DROP TABLE orders;
SELECT authz.protect_schema('regress_authz');
CREATE TABLE orders (id int);
DROP TABLE orders;
SELECT authz.unprotect_schema('regress_authz'), authz.unaudit_schema('regress_authz');
ALTER TABLE orders_base RENAME TO orders;

-- Dropped and made again in one transaction.
BEGIN;
DROP TABLE orders;
CREATE TABLE orders (id int);
ROLLBACK;
BEGIN;
DROP SCHEMA regress_authz CASCADE;
CREATE SCHEMA regress_authz CREATE TABLE orders (id int);
ROLLBACK;
CREATE TABLE short (id int);
SELECT authz.protect('short');
DROP TABLE short;
CREATE TABLE short (id int);
DROP TABLE short;

-- By way of schemas.
CREATE SCHEMA regress_authz_new;
CREATE TABLE regress_authz_new.orders_2 (id int);
ALTER TABLE regress_authz_new.orders_2 RENAME TO orders;
BEGIN;
ALTER SCHEMA regress_authz RENAME TO regress_authz_old;
ALTER SCHEMA regress_authz_new RENAME TO regress_authz;
ROLLBACK;
DROP TABLE regress_authz_new.orders;
ALTER TABLE orders SET SCHEMA regress_authz_new;
-- Another session knows nothing of it, but of what it does itself.
\c
SET search_path = regress_authz;
\set VERBOSITY terse
CREATE TABLE orders (id int);
BEGIN;
DROP TABLE regress_authz_new.orders;
ALTER TABLE orders SET SCHEMA regress_authz_new;
ROLLBACK;
SELECT count(*) FROM authz.protected_table WHERE relation = 'regress_authz_new.orders'::regclass;

SET client_min_messages = error;
DROP SCHEMA regress_authz, regress_authz_new CASCADE;
