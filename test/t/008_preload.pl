# 008_preload.pl
#	  However the library comes into a backend - preloaded for all, for a session, or
#	  with the first function - the same rows; and databases with and without the extension.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# It makes sessions verify their tokens again, and these are counted below.
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->append_conf('postgresql.conf', "log_statement = none\n");
$node->start;
my $setup = <<~'SQL' . issuer_sql();
	CREATE EXTENSION authz;
	CREATE TABLE orders (id int, tenant bigint);
	INSERT INTO orders SELECT g, g % 10 FROM generate_series(1, 100) g;
	GRANT SELECT, INSERT ON orders TO app;
	SELECT authz.create_role('tenant'), authz.create_role('admin');
	SELECT authz.protect('orders');
	SELECT authz.create_policy('tenant', 'orders', '{select,insert}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_policy('admin', 'orders', '{select}', 'true', '{admin}');
	GRANT EXECUTE ON FUNCTION authz.assume TO app;
	SQL
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE DATABASE second; CREATE DATABASE bare');
$node->safe_psql('postgres', $setup);

my $count = 'SELECT count(*) FROM orders';
my $alice = token('alice', ['tenant'], tenant => 3);
my $bob = token('bob', ['admin']);
my $expired = token('bob', ['admin'], exp => time - 5);
my $refusal = qr/^ERROR 28000 (token refused: it has expired|the last attempt to set authz.token failed)/;

sub app { return AuthzSession->on($node, user => 'app', @_) }

# What must hold whenever the library is loaded.  Every case is a fresh session, whose first
# statement decides when that is.
sub behaves
{
	my ($name, $preloaded) = @_;

	is(app()->query($count), '0', "$name: no token, no row");
	is(app()->query("SET authz.token = '$alice'; $count"), '10', "$name: SET comes first");
	is(app(options => "-c authz.token=$alice")->query($count), '10', "$name: a start-up option");
	is(app()->query("SELECT authz.login('$alice', false); $count"), "alice\n10", "$name: login comes first");
	is(app()->query(q{SELECT authz.assume('x', '{admin}'); } . $count), "x\n100", "$name: assume comes first");
	is(app()->query("PREPARE p AS $count; SET authz.token = '$alice'; EXECUTE p"), '10', "$name: a prepared statement comes first");
	is(app()->query("SET authz.token = '$alice'; SELECT authz.subject()"), 'alice', "$name: an accessor comes first");
	like(app()->query("SET authz.token = '$alice'; INSERT INTO orders VALUES (1, 7)"),
		qr/^ERROR 42501/, "$name: a write comes first, and is refused");

	# Not verified until the library is there; then it is, and stays, refused.
	my $session = app();
	like($session->query("SET authz.token = '$expired'"), $preloaded ? $refusal : qr/^$/, "$name: a bad token comes first");
	like($session->query($count), $refusal, "$name: a bad token raises");
	like($session->query($count), $refusal, "$name: a bad token raises again");
	like($session->query(q{INSERT INTO orders VALUES (1, 3)}), $refusal, "$name: a bad token does not write");
	like($session->query("SET authz.token = '$expired'"), $refusal, "$name: it is refused when set now");
	is($session->query("SET authz.token = '$alice'"), '', "$name: a good one is taken");
	is($session->query($count), '10', "$name: and its rows are there");
	like($session->query("SET authz.token = 'nonsense'"), qr/^ERROR 28000 token refused/, "$name: nonsense is refused");
	like($session->query($count), $refusal, "$name: and the person before is not used");
	is($session->query("RESET authz.token; $count"), '0', "$name: RESET");
	like($session->query("SET authz.tokn = 'x'"), qr/^ERROR 42602 invalid configuration parameter name "authz.tokn"/, "$name: a typing error is found");

	# SET LOCAL before the library is there ends with its transaction all the same.
	$session = app();
	is($session->query("BEGIN; SET LOCAL authz.token = '$alice'"), '', "$name: SET LOCAL comes first");
	is($session->query($count), '10', "$name: SET LOCAL, its rows");
	is($session->query("SAVEPOINT s; SET LOCAL authz.token = '$bob'; $count; ROLLBACK TO s; $count"), "100\n10", "$name: SET LOCAL after a savepoint");
	is($session->query("COMMIT; $count"), '0', "$name: SET LOCAL is gone");
	$session = app();
	is($session->query("SET authz.token = '$bob'"), '', "$name: SET, then");
	$session->query("BEGIN; SET LOCAL authz.token = '$alice'; SAVEPOINT s; SET LOCAL authz.token = '$bob'");
	is($session->query($count), '100', "$name: SET LOCAL in a savepoint, first use");
	is($session->query("ROLLBACK TO s; $count"), '10', "$name: back to the savepoint");
	is($session->query("ROLLBACK; $count"), '100', "$name: back to the session's");
	$session = app();
	$session->query("BEGIN; SET LOCAL authz.token = '$expired'");
	like($session->query($count), $preloaded ? qr/^ERROR 25P02/ : $refusal, "$name: SET LOCAL of a bad token raises");
	$session->query('ROLLBACK');
	unlike($session->query($count), qr/^[1-9]/, "$name: and shows no row after it");
	$session->query("RESET authz.token; SET authz.token = '$alice'");
	is($session->query($count), '10', "$name: until a good one is set");
	is($session->query('SHOW authz.token'), '<hidden>', "$name: SHOW");
	$session->query('DISCARD ALL');
	is($session->query($count), '0', "$name: DISCARD ALL");
}

behaves('not preloaded', 0);

# A database without the extension: nothing is protected, and no token is good.
my $bare = app(database => 'bare');
is($bare->query("LOAD 'authz'"), 'ERROR 42501 access to library "authz" is not allowed', 'only a superuser loads it by hand');
$bare = AuthzSession->on($node, database => 'bare');
$bare->query("LOAD 'authz'");
is($bare->query("SET authz.token = '$alice'"), 'ERROR 28000 token refused: the extension authz is not installed in this database',
	'loaded where the extension is not: a token is refused, and the reason is clear');
is($bare->query('SELECT 1'), '1', 'loaded where the extension is not: what else there is works');
$bare->close;

# A second database is another world.
$node->safe_psql('second', $setup =~ s/g % 10/g % 5/r);
$node->safe_psql('second', q{SELECT authz.drop_policy('admin', 'orders')});
is(app(database => 'second')->query("SET authz.token = '$alice'; $count"), '20', 'a second database has rows of its own');
is(app(database => 'second')->query("SET authz.token = '$bob'; $count"), '0', 'and policies of its own');
my $assumed = app();
is($assumed->query(q{SELECT authz.assume('x', '{admin}'); } . $count), "x\n100", 'an identity assumed in the first');
isnt($node->safe_psql('second', q{SELECT key FROM authz.key WHERE issuer = 'authz:internal'}),
	$node->safe_psql('postgres', q{SELECT key FROM authz.key WHERE issuer = 'authz:internal'}), 'cannot be used in the second: its internal key is another');

for my $parameter ('session_preload_libraries', 'shared_preload_libraries')
{
	$node->append_conf('postgresql.conf', "$parameter = 'authz'");
	$node->restart;
	behaves($parameter, 1);
	$bare = app(database => 'bare');
	is($bare->query("SET authz.token = '$alice'"), 'ERROR 28000 token refused: the extension authz is not installed in this database',
		"$parameter: a token where the extension is not is refused");
	is($bare->query('CREATE TEMP TABLE t AS SELECT 1 AS x; SELECT x FROM t'), '1', "$parameter: everything else works there");
	$bare = app(database => 'bare', options => "-c authz.token=$alice");
	is($bare->query('SELECT 1'), '1', "$parameter: a start-up option where the extension is not does no harm");

	# Roles that do not exist are counted for all sessions where there is shared memory, else for each.
	my $typo = token('alice', [ 'tenant', 'tennant' ], tenant => 3);
	my $counts = 'SELECT role, verifications FROM authz.stat_unknown_role';
	my @session = map { app() } 1 .. 3;

	is($_->query("SET authz.token = '$typo'; $count"), '10', "$parameter: a token with a role that does not exist") for @session[ 0, 1 ];
	is($session[0]->query($count), '10', "$parameter: verified once");
	$session[2]->query("BEGIN; SET LOCAL authz.token = '$typo'");
	$session[2]->query('ROLLBACK');
	is($node->safe_psql('postgres', $counts), $parameter eq 'shared_preload_libraries' ? 'tennant|3' : '', "$parameter: seen by an administrator");
	is($node->safe_psql('second', $counts), '', "$parameter: not in another database");
	my $own = AuthzSession->on($node);
	$own->query("SET authz.token = '$typo'");
	is($own->query($counts), $parameter eq 'shared_preload_libraries' ? 'tennant|4' : 'tennant|1', "$parameter: of one's own session");
	is($own->query(q{BEGIN; SELECT authz.create_role('tennant'); } . $counts), '', "$parameter: not any more once there is such a role");
	$own->query('ROLLBACK');
	$node->append_conf('postgresql.conf', "$parameter = ''");
}

# Dropped under open sessions: it does not go quietly, and what it protected stays closed.
my $open = app(database => 'second');
$open->query("SET authz.token = '$alice'");
$open->query("PREPARE p AS $count");
is($open->query('EXECUTE p'), '20', 'a session');
my $administrator = AuthzSession->on($node, database => 'second');
like($administrator->query('DROP EXTENSION authz'), qr/^ERROR 2BP01/, 'DROP EXTENSION: refused while a table is protected');
is($open->query('EXECUTE p'), '20', 'which changes nothing');
is($administrator->query('DROP EXTENSION authz CASCADE'), '', 'DROP EXTENSION ... CASCADE');
is($open->query('EXECUTE p'), '0', 'a prepared statement: no row any more');
is($open->query($count), '0', 'an open session: no row');
is(app(database => 'second')->query($count), '0', 'a new session: no row');
like($open->query('INSERT INTO orders VALUES (1, 3)'), qr/^ERROR 42501/, 'nor a new one');
like($open->query("SET authz.token = '$bob'"), qr/^ERROR 28000 token refused: the extension authz is not installed in this database/, 'a token is refused');
is($administrator->query('SELECT count(*) FROM orders'), '100', 'the rows are all there');

# Created again under open sessions.
$open->query('RESET authz.token');
is($administrator->query('CREATE EXTENSION authz'), '', 'CREATE EXTENSION again');
unlike($administrator->query(issuer_sql() . <<~'SQL'), qr/^ERROR/, 'and the same again');
	ALTER TABLE orders DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
	SELECT authz.create_role('tenant');
	SELECT authz.protect('orders');
	SELECT authz.create_policy('tenant', 'orders', '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SQL
is($open->query("SET authz.token = '$alice'"), '', 'the open session logs in');
is($open->query('EXECUTE p'), '20', 'and its prepared statement works');
is($open->query($count), '20', 'as does another');

# Unprotected, it goes.
$administrator->query(q{SELECT authz.unprotect('orders')});
is($administrator->query('DROP EXTENSION authz'), '', 'unprotected, DROP EXTENSION needs no CASCADE');
is($open->query($count), '100', 'and the table is an ordinary one');

$node->stop;
done_testing();
