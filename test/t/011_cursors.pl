# 011_cursors.pl
#	  Rows that wait in a portal, read by raw messages of the protocol: they are for the identity
#	  that the statement ran under, as long as it lasts, and for nobody afterwards.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

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
	GRANT SELECT, UPDATE ON orders TO app;
	SELECT authz.create_role('tenant');
	SELECT authz.protect('orders');
	SELECT authz.create_policy('tenant', 'orders', '{select,update}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	CREATE FUNCTION ids() RETURNS SETOF int LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT id FROM orders ORDER BY id; END';
	SQL

my $administrator = AuthzSession->on($node);
my %token = (bob => token('bob', ['tenant'], tenant => 4), dave => token('dave', ['tenant'], tenant => 3));
my $names = 0;
my $issuer = ISSUER;
my $stopped = qr/^ERROR 55000 (portal "p" cannot be run|the identity that this query was opened under has been given up)/;

# What returns rows in parts.
my %statement = (
	'UPDATE RETURNING' => 'UPDATE orders SET note = id WHERE id < 40 RETURNING id',
	'WITH UPDATE RETURNING' => 'WITH x AS (UPDATE orders SET note = id RETURNING id) SELECT id FROM x WHERE id < 40 ORDER BY id',
	'EXECUTE' => 'EXECUTE by_sql',
	'FETCH' => 'FETCH ALL FROM c',
	'EXPLAIN ANALYZE' => 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM orders',
	'SELECT of a function' => 'SELECT id FROM ids() id WHERE id < 40',
	'SELECT' => 'SELECT id FROM orders WHERE id < 40 ORDER BY id');

# A new subject's session, with two rows read of a portal "p".
sub begin_reading
{
	my ($sql) = @_;
	my $subject = 'alice' . ++$names;
	my $session = AuthzSession->on($node, user => 'app');

	$session->query('SELECT authz.subject()');
	$session->query("SET authz.token = '" . token($subject, ['tenant'], tenant => 3) . "'");
	$session->query('BEGIN');
	$session->query('PREPARE by_sql AS SELECT id FROM orders WHERE id < 40 ORDER BY id');
	$session->query('DECLARE c CURSOR FOR SELECT id FROM orders WHERE id < 40 ORDER BY id');
	$session->query('SAVEPOINT s') if $sql !~ /FETCH/;
	$session->prepare('s', $sql);
	$session->bind('p', 's');
	return ($session, $subject, $session->read_rows('p', 2));
}

foreach my $name (sort keys %statement)
{
	my $sql = $statement{$name};
	my ($session, $subject, $rows) = begin_reading($sql);

	if ($name ne 'EXPLAIN ANALYZE')
	{
		is($rows, "3\n13", "$name: the first rows");
		is($session->query('SELECT 1'), '1', "$name: something in between");
		is($session->read_rows('p', 1), '23', "$name: the next one");
		is($session->read_rows('p', 0), '33', "$name: the rest");
	}
	$session->close;

	# FETCH has an executor open, which refuses another identity.
	($session, $subject) = begin_reading($sql);
	$session->query('CLOSE c');
	my $answer = $session->query("SET authz.token = '$token{dave}'");
	if ($name =~ /^SELECT$/)
	{
		like($answer, qr/^ERROR 55006 /, "$name: no other identity");
	}
	else
	{
		is($answer, '', "$name: another identity");
		like($session->read_rows('p', 1), $stopped, "$name: is not given the rows");
	}
	$session->close;

	($session, $subject) = begin_reading($sql);
	$session->query('CLOSE c');
	$session->query('RESET authz.token');
	like($session->read_rows('p', 1), qr/^ERROR (55000|28000) /, "$name: nobody is given the rows");
	$session->close;

	if ($name ne 'FETCH')
	{
		($session, $subject) = begin_reading($sql);
		$session->query('CLOSE c; SAVEPOINT t');
		like($session->query("SET authz.token = 'nonsense'"), qr/^ERROR (28000|55006) /, "$name: a token that is refused");
		$session->query('ROLLBACK TO t');
		like($session->read_rows('p', 1), qr/^ERROR (55000|28000) /, "$name: ends the reading");
		$session->close;
	}

	($session, $subject) = begin_reading($sql);
	$administrator->query("SELECT authz.revoke_subject('$issuer', '$subject', now() + '1 hour')");
	sleep 0.3;
	like($session->read_rows('p', 1), qr/^ERROR (55000|28000) /, "$name: who is revoked is given no more");
	$session->close;
}

# FETCH of SQL from a portal of the client's.
my ($session) = begin_reading($statement{'UPDATE RETURNING'});
is($session->query('FETCH 1 FROM p'), '23', 'FETCH from a portal');
$session->query("CLOSE c; SET authz.token = '$token{bob}'");
like($session->query('FETCH 1 FROM p'), qr/^ERROR 55000 /, 'FETCH from it by somebody else');
$session->close;

# FETCH looks whether the token still stands, also where no change was heard of: it expires.
$session = AuthzSession->on($node, user => 'app');
$session->query('SELECT authz.subject()');
$session->query("SET authz.token = '" . token('erin', ['tenant'], tenant => 3, exp => time + 5) . "'");
$session->query('BEGIN');
$session->prepare('s', $statement{'UPDATE RETURNING'});
$session->bind('p', 's');
is($session->read_rows('p', 1), '3', 'a token that ends soon');
sleep 6;
like($session->query('FETCH 1 FROM p'), qr/^ERROR 28000 token refused/, 'FETCH after it has expired');
$session->close;

# WITH HOLD: nothing is kept for a portal that no hook would see.
$session = AuthzSession->on($node, user => 'app');
$session->query('SELECT authz.subject()');
$session->query("SET authz.token = '$token{dave}'");
$session->prepare('d', 'DECLARE held CURSOR WITH HOLD FOR SELECT id FROM orders');
like($session->execute('d'), qr/^ERROR 0A000 a cursor over protected tables cannot be WITH HOLD/, 'WITH HOLD is refused');
like($session->read_rows('held', 0), qr/^ERROR 34000 /, 'so there is none');
$session->query('BEGIN');
$session->query('DECLARE held CURSOR WITH HOLD FOR SELECT * FROM ids()');
is($session->read_rows('held', 1), '3', 'over a function it can be declared');
like($session->query('COMMIT'), qr/^ERROR 0A000 /, 'but not kept');
like($session->read_rows('held', 0), qr/^ERROR 34000 /, 'nor read');
is($session->query('SELECT count(*) FROM orders'), '10', 'the session goes on');
$session->query('DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 5)');
$session->query("SET authz.token = '$token{bob}'");
is($session->read_rows('held', 2), "1\n2", 'one over other rows is kept');
$session->close;

# What is asked of a command is found out before it runs.
$session = AuthzSession->on($node, user => 'app');
$session->query('SELECT authz.subject()');
$session->prepare($_, $_) foreach 'DISCARD ALL', 'RESET ALL', 'ROLLBACK';
foreach my $command ('RESET ALL', 'DISCARD ALL')
{
	$session->query("SET authz.token = 'nonsense'");
	like($session->query('SELECT count(*) FROM orders'), qr/^ERROR 28000 /, 'a token that is refused');
	$session->query('BEGIN');
	is($session->execute('ROLLBACK'), '', 'a prepared ROLLBACK');
	like($session->query('SELECT count(*) FROM orders'), qr/^ERROR 28000 /, 'does not make good for it');
	is($session->execute($command), '', "a prepared $command");
	is($session->query('SELECT count(*) FROM orders'), '0', 'does');
}
$session->close;

$node->stop;
done_testing();
