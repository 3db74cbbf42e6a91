# 012_upgrade.pl
#	  pg_upgrade takes a cluster with authz along.  What names functions denies until
#	  authz.after_upgrade() was called, and then decides as before.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = PostgreSQL::Test::Cluster->new('old');
$old->init;
$old->start;
# OIDs of the new cluster will be others: what was there first is gone.
$old->safe_psql('postgres', 'CREATE FUNCTION f' . $_ . '() RETURNS int LANGUAGE sql RETURN 1') for 1 .. 20;
$old->safe_psql('postgres', 'DROP FUNCTION f' . $_ . '()') for 1 .. 20;
$old->safe_psql('postgres', <<~'SQL');
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	CREATE ROLE manager LOGIN IN ROLE authz_admin;
	CREATE ROLE proprietor;
	CREATE SCHEMA shop AUTHORIZATION proprietor;
	CREATE SCHEMA guarded;
	GRANT USAGE ON SCHEMA shop TO app;
	GRANT CREATE ON SCHEMA guarded TO proprietor;
	CREATE FUNCTION shop.is_even(int) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 % 2 = 0;
	CREATE TYPE shop.state AS ENUM ('open', 'closed');
	SET ROLE proprietor;
	CREATE TABLE shop.orders (id int PRIMARY KEY, email text, tenant int, state shop.state DEFAULT 'open');
	CREATE TABLE shop.plain (id int PRIMARY KEY, tenant int);
	RESET ROLE;
	GRANT SELECT, INSERT, UPDATE, DELETE ON shop.orders, shop.plain TO app;
	SELECT authz.create_role('clerk');
	SELECT authz.protect('shop.orders'), authz.protect('shop.plain'), authz.protect_schema('guarded');
	SELECT authz.create_policy('even', 'shop.orders', '{select,update}', 'shop.is_even(id) AND state = ''open''', '{clerk}');
	SELECT authz.create_policy('insert', 'shop.orders', '{insert}', roles => '{clerk}');
	SELECT authz.create_policy('tenant', 'shop.plain', '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{clerk}');
	SELECT authz.create_mask('shop.orders', 'email', 'email');
	SELECT authz.create_masked_view('shop.orders', 'shop.shown');
	GRANT SELECT ON shop.shown TO app;
	SELECT authz.audit('shop.orders');
	GRANT EXECUTE ON FUNCTION authz.assume TO app;
	SELECT authz.assume('ann', '{clerk}', '{"tenant": 1}');
	INSERT INTO shop.orders SELECT i, 'ann' || i || '@example.org', i % 3, CASE i WHEN 8 THEN 'closed' ELSE 'open' END::shop.state FROM generate_series(1, 9) i;
	INSERT INTO shop.plain VALUES (1, 1), (2, 2);
	SELECT authz.audit_seal();
	SQL

my $assume = q{SET search_path = shop; SELECT authz.assume('ann', '{clerk}', '{"tenant": 1}') \g /dev/null
};
my $state = $assume . q{SELECT 'orders', id FROM orders ORDER BY id; SELECT 'shown', id, email FROM shown ORDER BY id; SELECT 'plain', id FROM plain;};
sub query { my ($node, $sql, $user) = @_; my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $user // 'app' ]); return $status ? $err : $out }

my $before = query($old, $state);
is($before, "orders|2\norders|4\norders|6\nshown|2|a***\@e***.org\nshown|4|a***\@e***.org\nshown|6|a***\@e***.org\nplain|1", 'decided before');
my $version = $old->safe_psql('postgres', 'SELECT authz.policy_version()');
my $history = $old->safe_psql('postgres', 'SELECT count(*) FROM authz.policy_history');
my $digest = $old->safe_psql('postgres', 'SELECT authz.audit_digest()');
$old->stop;

my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
my $bindir = $new->config_data('--bindir');
# It writes where it runs.
chdir($new->basedir) or die;
command_ok([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bindir, '-B', $bindir,
		'-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade')
	or do { diag(slurp_file($_)) for glob($new->data_dir . '/pg_upgrade_output.d/*/*.txt'), glob($new->data_dir . '/pg_upgrade_output.d/*/log/*') };
$new->start;

# Whether an OID is another is chance for a single one, and sure for all of them together.
is($new->safe_psql('postgres', q{SELECT count(*) FROM authz.policy p WHERE p.name = 'even' AND p.depends_on @> ARRAY['shop.is_even'::regproc::oid, 'shop'::regnamespace::oid]}),
	'0', 'its functions have other OIDs');

# Fail closed, and say what to do.
my $hint = qr/After pg_upgrade, an administrator of authz calls authz.after_upgrade\(\)/;
like(query($new, "$assume SELECT * FROM orders"), qr/policy "even" on table "orders" is not valid, access denied.*$hint/s, 'a policy that names a function denies');
like(query($new, "$assume SELECT * FROM shown"), qr/is not valid, access denied.*$hint/s, 'a masked view too');
like(query($new, "$assume INSERT INTO orders VALUES (20)"), qr/is not valid, access denied.*$hint/s, 'an audited write whose columns have masks too');
# A new table of a protected schema is closed also now.
$new->safe_psql('postgres', 'SET ROLE proprietor; CREATE TABLE guarded.early (id int)');
is($new->safe_psql('postgres', q{SELECT relrowsecurity FROM pg_class WHERE relname = 'early'}), 't', 'a new table of a protected schema is protected before');

like(query($new, 'SELECT authz.after_upgrade()'), qr/permission denied/, 'not everybody mends');
is(query($new, 'SELECT authz.after_upgrade()', 'manager'), '5', 'an administrator mends all at once');
is($new->safe_psql('postgres', q{SELECT name, schema::regnamespace FROM authz.protected_schema}), 'guarded|guarded', 'the schema is found again');

is(query($new, $state), $before, 'decides as before');
is(query($new, "$assume INSERT INTO orders VALUES (20, 'bob\@example.org'); UPDATE orders SET tenant = 7 WHERE id = 20; SELECT tenant FROM orders WHERE id = 20"), '7', 'audited writes');
is($new->safe_psql('postgres', q{SELECT string_agg(action || coalesce(' ' || subject, ''), ', ') FROM authz.audit_trail('shop.orders', '{"id": 20}')}),
	'insert ann, update ann', 'are recorded');
is($new->safe_psql('postgres', q{SELECT count(*) FROM authz.audit_log l WHERE l::text LIKE '%bob@example%'}), '0', 'by their masks');
is($new->safe_psql('postgres', 'SELECT bool_and(ok) FROM authz.audit_verify()'), 't', 'the audit verifies')
	or diag $new->safe_psql('postgres', 'SELECT * FROM authz.audit_verify() WHERE NOT ok');
is($new->safe_psql('postgres', "SELECT authz.audit_seal() > 0; SELECT bool_and(ok) FROM authz.audit_verify('$digest')"), "t\nt", 'goes on, and knows its digest')
	or diag $new->safe_psql('postgres', "SELECT * FROM authz.audit_verify('$digest') WHERE NOT ok");
is($new->safe_psql('postgres', 'SELECT authz.policy_version()'), $version, 'the version did not move');
is($new->safe_psql('postgres', 'SELECT count(*) FROM authz.policy_history'), $history, 'nor is there a change in history');
$new->safe_psql('postgres', 'SET ROLE proprietor; CREATE TABLE guarded.late (id int)');
is($new->safe_psql('postgres', q{SELECT relrowsecurity FROM pg_class WHERE relname = 'late'}), 't', 'a new table of a protected schema is protected after');
# DDL is watched as before.
like(query($new, 'DROP FUNCTION shop.is_even(int)', 'postgres'), qr/policy "even" on table shop.orders depends on function shop.is_even/, 'a function in use stays');
$new->safe_psql('postgres', 'ALTER FUNCTION shop.is_even RENAME TO even; ALTER SCHEMA shop RENAME TO store; ALTER SCHEMA guarded RENAME TO watched');
is($new->safe_psql('postgres', q{SELECT condition FROM authz.policy WHERE name = 'even'}), q{(store.even(resource.id) AND (resource.state = 'open'::store.state))}, 'and is followed');
is($new->safe_psql('postgres', q{SELECT name FROM authz.protected_schema}), 'watched', 'as a protected schema is');
is($new->safe_psql('postgres', 'SELECT authz.after_upgrade()'), '4', 'once more does no harm');
is($new->safe_psql('postgres', q{SELECT (authz.policy_version() - } . $version . q{)::text}), '2', 'and makes no version');

# A text that names nothing any more is told of, and denies; the rest is mended.
$new->safe_psql('postgres', q{
	ALTER EVENT TRIGGER authz_after_drop DISABLE;
	DROP FUNCTION store.even(int);
	ALTER EVENT TRIGGER authz_after_drop ENABLE ALWAYS});
my ($status, $out, $err) = $new->psql('postgres', 'SELECT authz.after_upgrade()');
is($out, '3', 'all but one');
like($err, qr/WARNING:  policy "even" on table store.orders is not valid and denies/, 'which is named');

$new->stop;
done_testing();
