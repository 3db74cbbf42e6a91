# 024_hot_row.pl
#	  Four sessions write one row through a masked view, again and again.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;

use constant { WRITERS => 4, ROUNDS => 25 };

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{shared_preload_libraries = 'authz'});
$node->start;
$node->safe_psql('postgres', <<~'SQL');
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	GRANT EXECUTE ON FUNCTION authz.assume TO app;
	SELECT authz.create_role('member');
	CREATE TABLE hot (id int PRIMARY KEY, n int, secret text);
	INSERT INTO hot SELECT i, 0, 'x' FROM generate_series(1, 3) i;
	SELECT authz.protect('hot');
	SELECT authz.create_policy('all', 'hot', ARRAY['select', 'insert', 'update', 'delete']);
	SELECT authz.create_mask('hot', 'secret', 'null');
	SELECT authz.create_masked_view('hot', 'hot_view');
	GRANT ALL ON hot, hot_view TO app;
	SQL

# How often the writers' statement got which answer.
sub hammer
{
	my ($isolation, $statement) = @_;
	my @writers = map { AuthzSession->on($node, user => 'app') } 1 .. WRITERS;
	my %answers;

	for my $writer (@writers)
	{
		$writer->query(q{SELECT authz.assume('alice', ARRAY['member'], '{}')});
		$writer->query("SET default_transaction_isolation = '$isolation'");
	}
	for (1 .. ROUNDS)
	{
		# All at once: what each has sent is at work before the first is read.
		$_->send($statement) for @writers;
		$answers{ substr $_->result, 0, 11 }++ for @writers;
	}
	return \%answers;
}

my $read = 'SELECT n FROM hot WHERE id =';
is_deeply(hammer('read committed', 'UPDATE hot_view SET n = n + 1 WHERE id = 1 AND secret IS NULL'), { '' => WRITERS * ROUNDS }, 'through the view: nobody fails');
is($node->safe_psql('postgres', "$read 1"), WRITERS * ROUNDS, 'through the view: nothing is lost');
is_deeply(hammer('read committed', 'UPDATE hot SET n = n + 1 WHERE id = 2'), { '' => WRITERS * ROUNDS }, 'on the table: the same');
is($node->safe_psql('postgres', "$read 2"), WRITERS * ROUNDS, 'on the table: the same count');

my $answers = hammer('repeatable read', 'UPDATE hot_view SET n = n + 1 WHERE id = 3');
is(join(' ', sort keys %$answers), ' ERROR 40001', 'REPEATABLE READ: written, or 40001');
is($node->safe_psql('postgres', "$read 3"), $answers->{''}, 'REPEATABLE READ: nothing is lost');

$node->stop;
done_testing();
