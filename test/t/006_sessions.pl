# 006_sessions.pl
#	  What changes binds the next statement of every open session: idle, in a
#	  REPEATABLE READ transaction, with statements prepared by SQL and by the protocol;
#	  and the one who changes waits for nobody.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

use AuthzSession;
use AuthzToken;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\n");
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	CREATE TABLE orders (id int PRIMARY KEY, tenant bigint, note text);
	INSERT INTO orders SELECT g, g % 10 FROM generate_series(1, 100) g;
	CREATE TABLE member (subject text, tenant bigint);
	INSERT INTO member VALUES ('alice', 4);
	GRANT SELECT, UPDATE ON orders TO app;
	SELECT authz.create_role(r) FROM unnest('{tenant,member,reader,admin}'::text[]) r;
	SELECT authz.protect('orders');
	SELECT authz.create_policy('tenant', 'orders', '{select,update}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_policy('member', 'orders', '{select}',
		'tenant IN (SELECT m.tenant FROM member m WHERE m.subject = authz.subject())', '{member}');
	SELECT authz.create_policy('reader', 'orders', '{select}', 'id <= 5', '{reader}');
	SELECT authz.create_policy('admin', 'orders', '{select}', 'true', '{admin}');
	SQL

my $count = 'SELECT count(*) FROM orders';
my $issuer = ISSUER;

# A session with alice's identity and both kinds of prepared statements.
sub open_session
{
	my ($token, $mode) = @_;
	my $session = AuthzSession->on($node, user => 'app');

	$session->query('SET plan_cache_mode = force_generic_plan');
	$session->query('SELECT authz.subject()');
	is($session->query("SET authz.token = '$token'"), '', 'a session');
	$session->query("PREPARE by_sql AS $count");
	$session->prepare('by_protocol', "$count WHERE id > \$1");
	$session->query($mode) if $mode;
	return $session;
}

# The administrator, who gives up rather than wait.
my $administrator = AuthzSession->on($node);
$administrator->query("SET lock_timeout = '1s'; SET statement_timeout = '5s'");

# A reader who holds the table and never ends.
my $holder = AuthzSession->on($node, user => 'app');
$holder->query('SELECT authz.subject()');
$holder->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
$holder->query($count);
$holder->send('SELECT pg_sleep(3600) FROM orders');
my $writer = AuthzSession->on($node);
$writer->query('BEGIN; UPDATE orders SET note = id WHERE id = 50; LOCK TABLE orders IN ROW EXCLUSIVE MODE');

my $alice = token('alice', ['tenant'], tenant => 3, jti => 'a-1', sid => 's-1', iat => int(time) - 20);
my %mode = (
	'idle' => '',
	'idle in transaction' => 'BEGIN',
	'REPEATABLE READ' => 'BEGIN ISOLATION LEVEL REPEATABLE READ',
	'SERIALIZABLE' => 'BEGIN ISOLATION LEVEL SERIALIZABLE');
my %session = map { $_ => open_session($alice, $mode{$_}) } sort keys %mode;

# One statement of a session, with nothing before it that might tell the session of a change.
# An error ends a transaction, so another is begun.  A plan chosen before its session heard of
# the change may fail with 40001, and is retried.
sub statement
{
	my ($mode, $run) = @_;
	my $session = $session{$mode};
	my $answer;

	for my $attempt (1, 2)
	{
		$answer = $run->($session);
		$session->query("ROLLBACK; $mode{$mode}") if $mode{$mode} && $answer =~ /^ERROR/;
		last if $answer !~ /^ERROR 40001 could not use a plan/;
		$main::retried++;
	}
	return $answer;
}

our $retried = 0;

# Which way of asking comes first changes from call to call: it is the one that must hear of the change.
my $turn = 0;

sub binds
{
	my ($name, $expected) = @_;
	my @way = (
		sub { $_[0]->execute('by_protocol', 0) },
		sub { $_[0]->query('EXECUTE by_sql') },
		sub { $_[0]->query($count) });

	push @way, splice(@way, 0, $turn++ % 3);
	for my $mode (sort keys %session)
	{
		is(join(' / ', map { statement($mode, $_) } @way), join(' / ', ($expected) x 3), "$name: $mode");
	}
}

# A change, by somebody who does not wait.
sub change
{
	my ($name, $sql, $expected) = @_;
	my $answer = $administrator->query($sql);

	unlike($answer, qr/^ERROR/, "$name: nobody to wait for");
	binds($name, $expected);
}

my $refused = 'ERROR 28000 token refused:';

binds('before', '10');
change('policy altered', q{SELECT authz.alter_policy('tenant', 'orders', condition => 'tenant = authz.attr_bigint(''tenant'') AND id <= 50')}, '5');
change('policy altered to a constant', q{SELECT authz.alter_policy('tenant', 'orders', condition => 'false')}, '0');
change('and back', q{SELECT authz.alter_policy('tenant', 'orders', condition => 'tenant = authz.attr_bigint(''tenant'')')}, '10');
change('policy disabled', q{SELECT authz.disable_policy('tenant', 'orders')}, '0');
change('policy enabled', q{SELECT authz.enable_policy('tenant', 'orders')}, '10');
change('forbid created', q{SELECT authz.create_policy('never', 'orders', '{select}', 'id < 20', '{*}', effect => 'forbid')}, '8');
change('forbid for others', q{SELECT authz.alter_policy('never', 'orders', roles => '{admin}')}, '10');
change('forbid dropped', q{SELECT authz.drop_policy('never', 'orders')}, '10');
change('role granted', q{SELECT authz.grant_role('alice', 'reader')}, '14');
change('role revoked', q{SELECT authz.revoke_role('alice', 'reader')}, '10');
change('inheritance added', q{SELECT authz.add_inheritance('tenant', 'member')}, '20');
change('another level of it', q{SELECT authz.add_inheritance('member', 'admin')}, '100');
change('inheritance dropped', q{SELECT authz.drop_inheritance('tenant', 'member')}, '10');
change('attributes mapped otherwise', qq{SELECT authz.alter_issuer('$issuer', attributes => '{}')}, '0');
change('attributes mapped again', qq{SELECT authz.alter_issuer('$issuer', attributes => '{"tenant": "tenant"}')}, '10');
change('audience changed', qq{SELECT authz.alter_issuer('$issuer', audience => '{other}')}, "$refused it is for another audience");
change('audience changed back', qq{SELECT authz.alter_issuer('$issuer', audience => '{@{[AUDIENCE]}}')}, '10');
change('key dropped', qq{SELECT authz.drop_key('$issuer', 'k1')}, "$refused its issuer has no valid key with its key id");
change('another key by that name', qq{SELECT authz.add_key('$issuer', 'k1', 'HS256', repeat('x', 40))}, "$refused its signature does not hold");
change('the key again', qq{SELECT authz.drop_key('$issuer', 'k1'), authz.add_key('$issuer', 'k1', 'HS256', '@{[SECRET]}')}, '10');
change('token revoked', qq{SELECT authz.revoke_token('$issuer', 'a-1')}, "$refused it has been revoked");
change('taken back', q{DELETE FROM authz.revoked_token}, '10');
change('session revoked', qq{SELECT authz.revoke_session('$issuer', 's-1')}, "$refused its session has been revoked");
change('taken back', q{DELETE FROM authz.revoked_session}, '10');
change('subject revoked', qq{SELECT authz.revoke_subject('$issuer', 'alice')}, "$refused tokens of its subject have been revoked");
change('taken back', q{DELETE FROM authz.revoked_subject}, '10');
change('issuer dropped', qq{SELECT authz.drop_issuer('$issuer')}, "$refused its issuer is not known");
change('issuer made again', issuer_sql(), '10');

# A change that is rolled back binds nobody.
$administrator->query(q{BEGIN; SELECT authz.alter_policy('tenant', 'orders', condition => 'true'); SELECT authz.grant_role('alice', 'admin')});
binds('a change not committed', '10');
$administrator->query('ROLLBACK');
binds('a change rolled back', '10');

# Plans that were chosen before a change may fail once; most do not.
note "$retried statements had to be run again";
cmp_ok($retried, '<', 30, 'few statements have to be run again');

# DDL on a protected table makes nobody wait who touches another one.
my $ddl = AuthzSession->on($node);
is($ddl->query(q{CREATE TABLE other (id int); SELECT authz.protect('other')}), '', 'another protected table');
is($ddl->query('BEGIN; ALTER TABLE other ADD COLUMN x int'), '', 'which is being altered');
is($administrator->query('CREATE TEMP TABLE mine (id int)'), '', 'a temporary table meanwhile');
is($administrator->query('CREATE TABLE unrelated (id int); ALTER TABLE unrelated ADD COLUMN x int; DROP TABLE unrelated'), '', 'another table meanwhile');
is($administrator->query(q{SELECT authz.disable_policy('tenant', 'orders'), authz.enable_policy('tenant', 'orders')}), '|', 'a policy of another table meanwhile');
$ddl->query('ROLLBACK');

# The holder and the writer have been there all the time.
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'AccessShareLock' AND pid = } . $holder->{pid}), '1', 'the long reader still reads');
is($writer->query('COMMIT'), '', 'the writer ends undisturbed');
$administrator->query("SELECT pg_terminate_backend($holder->{pid})");
$_->close for values %session;

# An open cursor goes on with the rows it was opened for; a change of identity under it is refused.
my $cursor = open_session($alice, 'BEGIN');
$cursor->query("DECLARE c CURSOR FOR SELECT id FROM orders ORDER BY id");
is($cursor->query('FETCH 2 FROM c'), "3\n13", 'a cursor');
$cursor->query('SAVEPOINT s');
is($cursor->query('SET authz.token = \'' . token('bob', ['admin']) . '\''),
	'ERROR 55006 authz.token cannot change while a query is open under its present value', 'the identity cannot change under it');
$cursor->query('ROLLBACK');
$cursor->close;

# By the clock: exp within an open session, grants that begin and end.  All start together.
my $start = int(time) + 1;
sleep($start - time);
my $expires = open_session(token('alice', ['tenant'], tenant => 3, exp => $start + 2), 'BEGIN ISOLATION LEVEL REPEATABLE READ');
my $begins = open_session(token('carol', []), 'BEGIN ISOLATION LEVEL REPEATABLE READ');
my $ends = open_session(token('dave', []), 'BEGIN ISOLATION LEVEL REPEATABLE READ');
my $key_ends = open_session(token('erin', ['reader']), '');
my $policy = open_session(token('frank', []), 'BEGIN');
my $moment = "to_timestamp($start + 2)";
$administrator->query(<<~SQL);
	SELECT authz.grant_role('carol', 'reader', tstzrange($moment, NULL));
	SELECT authz.grant_role('dave', 'reader', tstzrange(NULL, $moment));
	SELECT authz.create_policy('from', 'orders', '{select}', 'id <= 2', '{*}', valid_during => tstzrange($moment, NULL));
	SELECT authz.create_policy('until', 'orders', '{select}', 'id > 97', '{*}', valid_during => tstzrange(NULL, $moment));
	SQL

# Run both prepared statements; 40001 may come once.
sub both
{
	my ($session) = @_;
	my @answer;

	for my $run (sub { $session->execute('by_protocol', 0) }, sub { $session->query('EXECUTE by_sql') })
	{
		$session->query('SAVEPOINT s');
		my $answer = $run->();
		if ($answer =~ /^ERROR 40001/)
		{
			$session->query('ROLLBACK TO s');
			$answer = $run->();
		}
		$session->query('ROLLBACK TO s') if $answer =~ /^ERROR/;
		push @answer, $answer;
	}
	return join(' / ', @answer);
}

is(both($expires), '13 / 13', 'before the moment: a token');
is(both($begins), '3 / 3', 'before the moment: a grant that has not begun');
is(both($ends), '8 / 8', 'before the moment: a grant that has not ended');
is(both($policy), '3 / 3', 'before the moment: a policy that has not ended');
cmp_ok(time, '<', $start + 2, 'all that was before the moment');
sleep($start + 2.05 - time) if time < $start + 2.05;
is(both($expires), join(' / ', ("$refused it has expired") x 2), 'after the moment: the token has expired');
is(both($begins), '5 / 5', 'after the moment: the grant has begun');
is(both($ends), '2 / 2', 'after the moment: the grant has ended');
is(both($policy), '2 / 2', 'after the moment: one policy has ended, another begun');
$_->query('ROLLBACK') for $expires, $begins, $ends, $policy;
is($expires->query($count), "$refused it has expired", 'and it stays expired');

# A key that ends.
is($key_ends->query($count), '5', 'a key');
$administrator->query(qq{UPDATE authz.key SET valid_during = tstzrange(NULL, clock_timestamp() + '0.4 s') WHERE issuer = '$issuer'});
is($key_ends->execute('by_protocol', 0), '5', 'before its end');
sleep(0.5);
is($key_ends->execute('by_protocol', 0), "$refused its issuer has no valid key with its key id", 'after its end');

# Many clients with prepared statements of the protocol, while policies and grants change beneath them:
# whatever they read is one of the right answers, and the last is the last.
is($administrator->query(qq{UPDATE authz.key SET valid_during = '(,)' WHERE issuer = '$issuer'; DELETE FROM authz.policy WHERE name IN ('from', 'until')}), '', 'as it was');
my $directory = PostgreSQL::Test::Utils::tempdir();
append_to_file("$directory/alice.sql", "SELECT 1 / (count(*) IN (10, 14, 0))::int FROM orders;\n");
my $bench = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '4', '-T', '2', '-M', 'prepared', '--max-tries=3', '-f', "$directory/alice.sql", '-U', 'app',
		'-h', $node->host, '-p', $node->port, 'postgres' ],
	'<', \undef, '>', \my $output, '2>', \my $errors,
	init => sub { $ENV{PGOPTIONS} = "-c authz.token=$alice" });
my $changes = 0;
my $end = time + 1.7;
while (time < $end)
{
	$administrator->query($_), $changes++
	  for q{SELECT authz.grant_role('alice', 'reader')}, q{SELECT authz.revoke_role('alice', 'reader')},
	  q{SELECT authz.disable_policy('tenant', 'orders')}, q{SELECT authz.enable_policy('tenant', 'orders')};
}
$bench->finish;
unlike($errors, qr/ERROR:  (?!could not use a plan made for other rights)/, 'pgbench under changing policies: no wrong rows');
like($output, qr/number of failed transactions: 0 /, 'pgbench under changing policies: no failed transactions');
like($output, qr/actually processed: \d{3}/, 'pgbench under changing policies: hundreds of them');
cmp_ok($changes, '>', 20, 'there were changes');
note "$changes changes";

# A mapped login that is renamed or dropped while its session goes on, and the one that gets its name.
$administrator->query(q{CREATE ROLE desk LOGIN IN ROLE app; SELECT authz.map_login('desk', 'alice'), authz.grant_role('alice', 'admin')});
my $desk = AuthzSession->on($node, user => 'desk');
is($desk->query("SELECT authz.subject(); $count"), "alice\n100", 'a mapped login');
$administrator->query('ALTER ROLE desk RENAME TO desk_before; CREATE ROLE desk LOGIN IN ROLE app');
is($desk->query("SELECT authz.subject(); $count"), "alice\n100", 'renamed: who they were');
my $namesake = AuthzSession->on($node, user => 'desk');
is($namesake->query("SELECT authz.subject(); $count"), "\n0", 'another role of the old name: nobody');
$administrator->query('DROP ROLE desk_before');
is($desk->query('SELECT authz.subject()'), '', 'dropped under an open session: nobody');
unlike($desk->query($count), qr/^[1-9]/, 'and no row');
is($namesake->query("SELECT authz.subject(); $count"), "\n0", 'the other one is nobody still');
is($administrator->query(q{SELECT authz.revoke_role('alice', 'admin')}), '1', 'the grant ends');

$node->stop;
done_testing();
