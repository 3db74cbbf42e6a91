# 002_standby.pl
#	  A hot standby filters as its primary does: it verifies tokens without writing,
#	  and what changes on the primary binds there once it is replayed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "log_statement = none\n");
$primary->start;
$primary->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	GRANT authz_admin TO app;
	CREATE TABLE orders (id int, tenant bigint);
	INSERT INTO orders SELECT g, g % 10 FROM generate_series(1, 100) g;
	GRANT SELECT, INSERT ON orders TO app;
	SELECT authz.create_role(r) FROM unnest('{tenant,reader,admin}'::text[]) r;
	SELECT authz.protect('orders');
	SELECT authz.create_policy('tenant', 'orders', '{select,insert}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_policy('reader', 'orders', '{select}', 'id <= 5', '{reader}');
	SELECT authz.create_policy('admin', 'orders', '{select}', 'true', '{admin}');

	CREATE TABLE person (id int PRIMARY KEY, address text);
	INSERT INTO person SELECT g, 'p' || g || '@example.org' FROM generate_series(1, 3) g;
	SELECT authz.protect('person');
	SELECT authz.create_policy('all', 'person', '{select,update}', 'true');
	SELECT authz.create_mask('person', 'address', 'clear', '{admin}', priority => 10), authz.create_mask('person', 'address', 'hash');
	SELECT authz.create_masked_view('person', 'people');
	GRANT SELECT, UPDATE ON people TO app;
	SQL

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
# From here on a commit returns when the standby has replayed it.
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'\nsynchronous_commit = remote_apply\n");
$primary->reload;
$primary->poll_query_until('postgres', q{SELECT sync_state = 'sync' FROM pg_stat_replication}) or die 'no synchronous standby';

my $count = 'SELECT count(*) FROM orders';
my $alice = token('alice', ['tenant'], tenant => 3, jti => 'a-1', sid => 's-1');
my $bob = token('bob', ['admin'], jti => 'b-1');
my $session = AuthzSession->on($standby, user => 'app');

my $administrator = AuthzSession->on($primary);

# Change something on the primary; the standby has replayed it when this returns.
sub change
{
	my ($sql) = @_;
	my $answer = $administrator->query($sql);

	die "$sql: $answer\n" if $answer =~ /^ERROR/;
}

is($session->query('SELECT pg_is_in_recovery()'), 't', 'it is a standby');
is($session->query($count), '0', 'no token, no row');
is($session->query("SET authz.token = '$alice'"), '', 'a token is verified');
is($session->query($count), '10', 'its rows, and no others');
is($session->query('SELECT DISTINCT tenant FROM orders'), '3', 'namely the tenant\'s');
is($session->query("SET authz.token = '" . token('alice', ['admin'], exp => time - 5) . "'"),
	'ERROR 28000 token refused: it has expired', 'an expired one is refused');
like($session->query($count), qr/^ERROR 28000 the last attempt to set authz.token failed/, 'and leaves no identity');
is($session->query("SET authz.token = '" . AuthzToken::sign({ iss => ISSUER }, secret => 'f' x 40) . "'"),
	'ERROR 28000 token refused: its signature does not hold', 'a forged one is refused');

# Logging in and out writes nothing.
$session->prepare('login', 'SELECT authz.login($1, $2)');
is($session->execute('login', $alice, 'f'), 'alice', 'login');
is($session->query($count), '10', 'login: rows');
is($session->query('SELECT authz.logout()'), '', 'logout');
is($session->query($count), '0', 'logout: none');
is($session->query(q{SELECT authz.assume('bob', '{admin}')}), 'bob', 'assume');
is($session->query($count), '100', 'assume: rows');
is($session->query("BEGIN; SET LOCAL authz.token = '$alice'; $count; COMMIT; $count"), "10\n100", 'SET LOCAL');
is($session->query('SELECT authz.logout()'), '', 'logout again');
is($session->query(q{SELECT authz.policy_version() > 0}), 't', 'the version of policies can be asked for');
$session->query("SET authz.token = '$alice'");
is($session->query(q{SELECT count(*) FROM orders o WHERE authz.permits_row('select', o)}), '10', 'the run-time path agrees');
is($session->query('INSERT INTO orders VALUES (1, 3)'), 'ERROR 25006 cannot execute INSERT in a read-only transaction', 'writing is the primary\'s');

# Open sessions with prepared statements, one of them idle in a REPEATABLE READ transaction.
my $prepared = AuthzSession->on($standby, user => 'app');
my $in_transaction = AuthzSession->on($standby, user => 'app');
for ($prepared, $in_transaction)
{
	$_->query('SET plan_cache_mode = force_generic_plan');
	$_->query("SET authz.token = '$alice'");
	$_->prepare('count', $count);
}
$in_transaction->query('BEGIN ISOLATION LEVEL REPEATABLE READ');

# The next statement of every session obeys.  A statement whose plan was chosen before
# its transaction heard of the change may have to be run again.
sub binds
{
	my ($name, $expected) = @_;

	is($session->query($count), $expected, "$name: a session");
	is($prepared->execute('count'), $expected, "$name: a prepared statement");
	$in_transaction->query('SAVEPOINT again');
	my $answer = $in_transaction->execute('count');
	if ($answer =~ /^ERROR 40001/ && $expected !~ /^ERROR/)
	{
		$in_transaction->query('ROLLBACK TO again');
		$answer = $in_transaction->execute('count');
	}
	is($answer, $expected, "$name: in a REPEATABLE READ transaction");
	$in_transaction->query('ROLLBACK TO again') if $answer =~ /^ERROR/;
}

binds('before', '10');
change(q{SELECT authz.alter_policy('tenant', 'orders', condition => 'tenant = authz.attr_bigint(''tenant'') AND id <= 50')});
binds('policy altered', '5');
change(q{SELECT authz.disable_policy('tenant', 'orders')});
binds('policy disabled', '0');
change(q{SELECT authz.enable_policy('tenant', 'orders')});
binds('policy enabled', '5');
change(q{SELECT authz.create_policy('never', 'orders', '{select}', 'id < 20', '{*}', effect => 'forbid')});
binds('forbid created', '3');
change(q{SELECT authz.drop_policy('never', 'orders')});
binds('forbid dropped', '5');
change(q{SELECT authz.grant_role('alice', 'reader')});
binds('role granted', '9');
change(q{SELECT authz.revoke_role('alice', 'reader')});
binds('role revoked', '5');
change(q{SELECT authz.add_inheritance('tenant', 'reader')});
binds('inheritance added', '9');
change(q{SELECT authz.drop_inheritance('tenant', 'reader')});
binds('inheritance dropped', '5');
change("SELECT authz.drop_key('" . ISSUER . "', 'k1')");
binds('key dropped', 'ERROR 28000 token refused: its issuer has no valid key with its key id');
change("SELECT authz.add_key('" . ISSUER . "', 'k1', 'HS256', '" . SECRET . "')");
binds('key added', '5');
change("SELECT authz.revoke_session('" . ISSUER . "', 's-1')");
binds('session revoked', 'ERROR 28000 token refused: its session has been revoked');
is($session->query("SET authz.token = '$alice'"), 'ERROR 28000 token refused: its session has been revoked', 'nor can it be set again');
change('DELETE FROM authz.revoked_session');
is($session->query("SET authz.token = '$alice'"), '', 'revocation taken back');
binds('revocation taken back', '5');
change("SELECT authz.revoke_token('" . ISSUER . "', 'a-1')");
binds('token revoked', 'ERROR 28000 token refused: it has been revoked');

# Masks.
$alice = token('alice', ['tenant']);
for ($session, $prepared, $in_transaction)
{
	$_->query("SET authz.token = '$alice'");
	$_->prepare('people', q{SELECT address, authz.is_masked(p, 'address') FROM people p WHERE id = 1});
}

# What everybody sees of one cell.
sub shows
{
	my ($name, $expected) = @_;

	is($session->execute('people'), $expected, "$name: a session");
	is($prepared->execute('people'), $expected, "$name: a prepared statement");
	$in_transaction->query('SAVEPOINT again');
	my $answer = $in_transaction->execute('people');
	if ($answer =~ /^ERROR 40001/)
	{
		$in_transaction->query('ROLLBACK TO again');
		$answer = $in_transaction->execute('people');
	}
	is($answer, $expected, "$name: in a REPEATABLE READ transaction");
}

my $pseudonym = $primary->safe_psql('postgres', q{SELECT authz.mask_hash('p1@example.org')});
shows('a pseudonym, that of the primary', "$pseudonym|t");
is($session->query("BEGIN; SET LOCAL authz.token = '$bob'; SELECT address FROM people WHERE id = 1; COMMIT"), 'p1@example.org', 'clear for another identity');
change(q{SELECT authz.alter_mask('person', 'address', 'email')});
shows('mask altered', 'p***@e***.org|t');
change(q{SELECT authz.alter_mask('person', 'address', enabled => false)});
shows('mask disabled', '|t');
change(q{SELECT authz.drop_mask('person', 'address'), authz.drop_mask('person', 'address', 10)});
shows('masks dropped', 'p1@example.org|f');
change(q{SELECT authz.create_mask('person', 'address', 'hash')});
shows('mask created', "$pseudonym|t");
change('SELECT authz.rotate_mask_key()');
my $rotated = $primary->safe_psql('postgres', q{SELECT authz.mask_hash('p1@example.org')});
isnt($rotated, $pseudonym, 'the key of pseudonyms is another');
shows('key rotated', "$rotated|t");
is($session->query(q{UPDATE people SET address = 'x'}), 'ERROR 25006 cannot execute UPDATE in a read-only transaction', 'writing through a masked view is the primary\'s, too');

# A table protected later is protected there as well.
change('CREATE TABLE later AS SELECT * FROM orders; GRANT SELECT ON later TO app');
$session->query("SET authz.token = '$bob'");
is($session->query('SELECT count(*) FROM later'), '100', 'a table that is not protected');
change(q{SELECT authz.protect('later')});
is($session->query('SELECT count(*) FROM later'), '0', 'protected on the primary, closed on the standby');

# Start-up options.
is(AuthzSession->on($standby, user => 'app', options => "-c authz.token=$bob")->query($count), '100', 'a token of start-up options');

# Promoted, it goes on.
$standby->promote;
is($session->query($count), '100', 'promoted: an open session keeps its identity');
$standby->safe_psql('postgres', q{SELECT authz.disable_policy('admin', 'orders')});
is($session->query($count), '0', 'promoted: a change binds');

my $log = slurp_file($standby->logfile);
unlike($log, qr/(cannot .* during recovery|was terminated by signal|PANIC)/, 'no write was attempted');
$standby->stop;
$primary->stop;
done_testing();
