# 054_maintenance.pl
#	  An owner at maintenance: which logins may, whatever a client asks for at its start, and the
#	  record that stays when the transaction does not.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use AuthzSession;

my $setup = <<~'SQL';
	CREATE EXTENSION authz;
	CREATE ROLE owner LOGIN;
	CREATE ROLE app LOGIN IN ROLE owner;
	CREATE ROLE migrator LOGIN IN ROLE owner;
	ALTER ROLE migrator SET authz.allow_maintenance = on;
	CREATE TABLE orders (id int);
	INSERT INTO orders VALUES (1), (2);
	ALTER TABLE orders OWNER TO owner;
	SELECT authz.protect('orders');
	SQL
my $migrate = q{BEGIN; SET LOCAL ROLE owner; SELECT FROM authz.maintenance('backfill %s'); SELECT count(*) FROM orders};

# How many rows of orders a transaction of maintenance sees.
sub migrated
{
	my ($session, $why) = @_;
	my $answer = $session->query(sprintf $migrate, $why);

	$session->query('ROLLBACK');
	return $answer =~ /^ERROR/ ? $answer : (split /\n/, $answer)[-1];
}

foreach my $preloaded (1, 0)
{
	my $node = PostgreSQL::Test::Cluster->new("preloaded_$preloaded");
	my $with = $preloaded ? 'preloaded' : 'not preloaded';

	$node->init;
	$node->append_conf('postgresql.conf', "log_statement = none\nlog_min_error_statement = panic\n"
		. ($preloaded ? "shared_preload_libraries = 'authz'\n" : ''));
	$node->start;
	$node->safe_psql('postgres', $setup);

	my $session = AuthzSession->on($node, user => 'migrator');
	is(migrated($session, 'one'), '2', "$with: a login to which a superuser allows it");
	is($session->query('SET ROLE owner; SELECT count(*) FROM orders'), '0', "$with: nothing of it is left");
	$session->close;

	$session = AuthzSession->on($node, user => 'app');
	like(migrated($session, 'two'), qr/^ERROR 42501 permission denied for authz.maintenance/, "$with: not another one");
	$session->close;
	$session = AuthzSession->on($node, user => 'owner');
	like(migrated($session, 'three'), qr/^ERROR 42501 permission denied for authz.maintenance/, "$with: not the owner itself");
	$session->close;

	# What a client asks for at its start, or before the library is there.
	foreach my $setting ('authz.allow_maintenance=on', 'authz.maintenance=10', 'authz.maintenance=' . $node->safe_psql('postgres', "SELECT 'owner'::regrole::oid"))
	{
		$session = AuthzSession->on($node, user => 'owner', options => "-c $setting", may_fail => 1);
		if ($session->{failed})
		{
			like($session->{failed}, qr/permission denied to set parameter/, "$with: no start with $setting");
			next;
		}
		is((split /\n/, $session->query('SELECT authz.subject(); SELECT count(*) FROM orders'))[-1], '0', "$with: no rows by a start with $setting");
		like(migrated($session, 'four'), qr/^ERROR 42501 /, "$with: nor the right");
		$session->close;
		$session = AuthzSession->on($node, user => 'owner');
		like($session->query("ALTER ROLE owner SET $setting"), qr/^ERROR 42501 /, "$with: nor for a next start");
		$session->query("SET $setting");
		is((split /\n/, $session->query('SELECT authz.subject(); SELECT count(*) FROM orders'))[-1], '0', "$with: no rows by an early SET $setting");
		like(migrated($session, 'five'), qr/^ERROR 42501 /, "$with: nor the right");
		$session->close;
	}

	# The record, although all was rolled back.
	if ($preloaded)
	{
		my $query = q{SELECT string_agg(database_role || ' ' || action || ' ' || reason, ', ' ORDER BY id) FROM authz.denial_log WHERE kind = 'maintenance'};
		my $expected = 'migrator begin as owner: backfill one, app refuse not allowed to this login, owner refuse not allowed to this login';
		$node->poll_query_until('postgres', "SELECT ($query) = '$expected'");
		is($node->safe_psql('postgres', $query), $expected, 'the records');
	}
	else
	{
		like(slurp_file($node->logfile), qr/authz denial: .*"database_role": "migrator".*"kind": "maintenance", "reason": "as owner: backfill one"/,
			'the record is in the log');
	}
	$node->stop;
}

done_testing();
