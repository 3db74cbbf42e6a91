# 005_crash.pl
#	  A crash loses nothing that was committed, keeps nothing that was not, and opens
#	  nothing: of the server, of one backend, and with a prepared transaction.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<~CONF);
	log_statement = none
	restart_after_crash = on
	CONF
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	CREATE TABLE orders (id int, tenant bigint);
	INSERT INTO orders SELECT g, g % 10 FROM generate_series(1, 100) g;
	GRANT SELECT ON orders TO app;
	SELECT authz.create_role('tenant'), authz.create_role('admin');
	SELECT authz.protect('orders');
	SELECT authz.create_policy('tenant', 'orders', '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_policy('admin', 'orders', '{select}', 'true', '{admin}');
	SELECT authz.grant_role('bob', 'admin');
	SQL

my $count = 'SELECT count(*) FROM orders';
my $alice = token('alice', ['tenant'], tenant => 3, jti => 'a-1');
my $bob = token('bob', []);
my $catalog = <<~'SQL';
	SELECT h.* FROM authz.policy_history h ORDER BY h.version;
	SELECT to_jsonb(p) FROM authz.policy p ORDER BY p.name;
	SELECT to_jsonb(g) FROM authz.role_grant g ORDER BY g.id;
	SELECT to_jsonb(t) FROM authz.protected_table t;
	SELECT * FROM authz.key ORDER BY issuer;
	SELECT * FROM authz.revoked_token;
	SELECT authz.policy_version();
	SQL

sub rows_are
{
	my ($name, %expected) = @_;

	for my $who (sort keys %expected)
	{
		my $session = AuthzSession->on($node, user => 'app');
		my $token = { alice => $alice, bob => $bob, nobody => '' }->{$who};

		$session->query("SET authz.token = '$token'");
		is($session->query($count), $expected{$who}, "$name: $who");
		$session->close;
	}
}

rows_are('before', alice => '10', bob => '100', nobody => '0');
my $before = $node->safe_psql('postgres', $catalog);

# The server, with changes open in two sessions: one that loosens, one that tightens.
my $loosens = AuthzSession->on($node);
is($loosens->query(q{BEGIN; SELECT authz.alter_policy('tenant', 'orders', condition => 'true'); SELECT authz.create_policy('all', 'orders', '{select}', roles => '{anonymous}')}),
	"\n", 'a change that is not committed');
my $tightens = AuthzSession->on($node);
is($tightens->query(q{BEGIN; SELECT authz.revoke_token('https://issuer.example', 'a-1'); SELECT authz.revoke_role('bob', 'admin')}), "\n1", 'another one');
my $client = AuthzSession->on($node, user => 'app', options => "-c authz.token=$alice");
is($client->query($count), '10', 'a session with an identity');
$node->stop('immediate');
like($client->query($count), qr/^ERROR (57P0|connection closed)/, 'is gone with the server');
$node->start;
is($node->safe_psql('postgres', $catalog), $before, 'crashed: policies, history, grants and keys are as they were');
rows_are('crashed', alice => '10', bob => '100', nobody => '0');

# Numbers go on, and never back.
my $last = $node->safe_psql('postgres', 'SELECT authz.policy_version()');
my $next = $node->safe_psql('postgres', q{SET client_min_messages = error; SELECT FROM authz.create_policy('new', 'orders', '{select}', 'id <= 2', '{anonymous}'); SELECT authz.policy_version()});
$next =~ s/^\s+//;
cmp_ok($next, '>', $last, 'a change after the crash has a higher number');
rows_are('changed', alice => '10', bob => '100', nobody => '2');
is($node->safe_psql('postgres', q{BEGIN; SET LOCAL ROLE app; SELECT count(*) FROM orders; RESET ROLE; SELECT FROM authz.assume('x', '{admin}', is_local => true); SET LOCAL ROLE app; SELECT count(*) FROM orders; COMMIT}) =~ s/\n+/ /gr,
	'2 100', 'assume works');

# What was committed the moment before the crash holds after it.
$node->safe_psql('postgres', q{SELECT authz.drop_policy('new', 'orders'); SELECT authz.revoke_token('https://issuer.example', 'a-1'); SELECT authz.disable_policy('admin', 'orders')});
$node->stop('immediate');
$node->start;
rows_are('committed and crashed', alice => 'ERROR 28000 token refused: it has been revoked', bob => '0', nobody => '0');
$node->safe_psql('postgres', q{DELETE FROM authz.revoked_token; SELECT authz.enable_policy('admin', 'orders')});

# One backend dies: the others are restarted, and filter again.
$before = $node->safe_psql('postgres', $catalog);
$client = AuthzSession->on($node, user => 'app', options => "-c authz.token=$alice");
is($client->query($count), '10', 'a session beside one that dies');
my $log;
my $victim = AuthzSession->on($node);
$victim->query(q{BEGIN; SELECT authz.create_policy('all', 'orders', '{select}', roles => '{*,anonymous}')});
$log = -s $node->logfile;
kill 'KILL', $victim->{pid};
is($victim->query('SELECT 1'), 'ERROR connection closed', 'killed');
my $end = '';
for (1 .. 600)
{
	$end = $client->query($count);
	last if $end ne '10';
	select(undef, undef, undef, 0.1);
}
like($end, qr/^ERROR (57P02|connection closed)/, 'the other session ends, too');
$node->wait_for_log(qr/database system is ready to accept connections/, $log);
is($node->safe_psql('postgres', $catalog), $before, 'after the kill: policies, history, grants and keys are as they were');
rows_are('after the kill', alice => '10', bob => '100', nobody => '0');

# A backend in the middle of a protected statement.
$victim = AuthzSession->on($node, user => 'app', options => "-c authz.token=$bob");
$victim->query('SELECT 1');
$victim->send('SELECT count(*), pg_sleep(60) FROM orders GROUP BY id');
$node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $victim->{pid}") or die 'it does not sleep';
$log = -s $node->logfile;
kill 'KILL', $victim->{pid};
is($victim->result, 'ERROR connection closed', 'killed while it read');
$node->wait_for_log(qr/database system is ready to accept connections/, $log);
rows_are('killed while it read', alice => '10', bob => '100', nobody => '0');

# A prepared transaction outlives the crash and binds when it is committed.
my $two_phases = AuthzSession->on($node);
$two_phases->query(q{BEGIN; SELECT authz.alter_policy('tenant', 'orders', condition => 'tenant = authz.attr_bigint(''tenant'') AND id < 50'); SELECT authz.grant_role('alice', 'admin', valid_during => '(,2020-01-01)')});
is($two_phases->query(q{PREPARE TRANSACTION 'change'}), '', 'a prepared change');
rows_are('prepared', alice => '10');
$node->stop('immediate');
$node->start;
rows_are('prepared and crashed', alice => '10');
my $reader = AuthzSession->on($node, user => 'app', options => "-c authz.token=$alice");
$reader->query('SET plan_cache_mode = force_generic_plan');
$reader->prepare('count', $count);
is($reader->execute('count'), '10', 'an open session before the second phase');
is($node->safe_psql('postgres', q{COMMIT PREPARED 'change'}), '', 'the second phase');
is($reader->execute('count'), '5', 'binds its next statement');
rows_are('committed', alice => '5', bob => '100', nobody => '0');
$two_phases = AuthzSession->on($node);
$two_phases->query(q{BEGIN; SELECT authz.create_policy('all', 'orders', '{select}', roles => '{*,anonymous}'); PREPARE TRANSACTION 'other'});
is($two_phases->query(q{ROLLBACK PREPARED 'other'}), '', 'a change rolled back in its second phase');
rows_are('rolled back', alice => '5', nobody => '0');

$node->stop;
done_testing();
