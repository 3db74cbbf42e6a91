# 025_change.pl
#	  A change of identities or policies disturbs only sessions that are in a transaction; all of
#	  them obey it at once, with plans that they had prepared.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'authz'\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', <<~'SQL');
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	GRANT EXECUTE ON FUNCTION authz.assume TO app;
	SELECT authz.create_role('member');
	CREATE TABLE doc (id int);
	INSERT INTO doc VALUES (1);
	GRANT SELECT ON doc TO app;
	SELECT authz.protect('doc');
	SELECT authz.create_policy('all', 'doc', ARRAY['select']);
	SQL

my @sessions = map { AuthzSession->on($node, user => 'app') } 1 .. 8;
for my $session (@sessions)
{
	$session->query(q{SELECT authz.assume('alice', ARRAY['member'], '{}')});
	$session->prepare('read', 'SELECT count(*) FROM doc');
	# So often that the plan is a generic one.
	is($session->execute('read'), '1', 'a session reads') for 1 .. 6;
}
my @in_transaction = @sessions[ 0, 1 ];
$_->query('BEGIN; SELECT count(*) FROM doc') for @in_transaction;

my $admin = AuthzSession->on($node);
$admin->query('SET log_min_messages = debug2');

# How many sessions a change disturbs.
sub disturbed
{
	my ($change) = @_;
	my $log = -s $node->logfile;

	die if $admin->query($change) =~ /^ERROR/;
	return join ' ', slurp_file($node->logfile, $log) =~ /asked (\d+) sessions to read a change/g;
}

is(disturbed(q{SELECT authz.create_role('other')}), 2, 'what identities are made of: who is in a transaction');
is(disturbed(q{SELECT authz.disable_policy('all', 'doc')}), 2, 'a policy: who is in a transaction');
is($_->execute('read'), '0', 'obeyed by the next statement, in and outside of a transaction') for @sessions;
is(disturbed(q{BEGIN; SELECT authz.enable_policy('all', 'doc'); ROLLBACK}), '', 'rolled back: nobody');
$_->query('COMMIT') for @in_transaction;
is(disturbed(q{SELECT authz.enable_policy('all', 'doc')}), 0, 'nobody is in a transaction');
is($_->execute('read'), '1', 'obeyed all the same') for @sessions;

$node->stop;
done_testing();
