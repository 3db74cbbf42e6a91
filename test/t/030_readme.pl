# The README's tour, as a reader would type it: every block runs, and gives what its comments promise.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file("$ENV{TREE}/README.md");
my ($tour) = $readme =~ /^## A five-minute tour.*?$(.*?)^## /ms or die "no tour in the README";
my @blocks = $tour =~ /^```sql\n(.*?)^```/msg;
my ($tokens) = $readme =~ /^## Tokens from your identity provider$(.*?)^## /ms or die "no section on tokens";
push @blocks, $tokens =~ /^```sql\n(.*?)^```/msg;
my ($masks) = $readme =~ /^## Columns: masks$(.*?)^## /ms or die "no section on masks";
push @blocks, $masks =~ /^```sql\n(.*?)^```/msg;
my ($audit) = $readme =~ /^## Audit$(.*?)^## /ms or die "no section on audit";
push @blocks, $audit =~ /^```sql\n(.*?)^```/msg;
cmp_ok(scalar @blocks, '>=', 6, 'the README has its blocks');

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init;
$node->start;

# A statement and the comment behind it, which begins with what must come back.
my @steps;
for my $block (@blocks)
{
	for my $statement ($block =~ /\G(.*?;[^\n]*)\n/gs)
	{
		my ($sql, $promise) = $statement =~ /^(.*;)\s*(?:-- (.*))?$/s;
		push @steps, [ $sql, $promise ];
	}
}

# One session, so that what one statement sets the next one sees; a mark after each answer.
my $script = join '', map { "$steps[$_][0]\n\\echo ---- $_\n\\warn ---- $_\n" } 0 .. $#steps;
my ($stdout, $stderr) = ('', '');
IPC::Run::run([ 'psql', '-XAt', '-d', $node->connstr('postgres') ], '<', \$script, '>', \$stdout, '2>', \$stderr);
my @answers = split /^---- \d+\n?/m, $stdout . "\n";
my @errors = split /^---- \d+\n?/m, $stderr . "\n";

for my $i (0 .. $#steps)
{
	my ($sql, $promise) = @{ $steps[$i] };
	my $answer = $answers[$i] // '';
	my $error = $errors[$i] // '';

	(my $title = $sql) =~ s/\s+/ /g;
	$title = substr $title, 0, 60;
	if (($promise // '') =~ /^ERROR:  (.*)/)
	{
		like($error, qr/\Q$1\E/, "refused: $title");
		next;
	}
	is($error =~ s/^.*?(?:NOTICE|WARNING).*\n//mgr =~ /ERROR/ ? $error : '', '', "runs: $title");
	next if !defined $promise;
	if ($promise =~ /^(\d+)/)
	{
		like($answer, qr/^$1$/m, "gives $1: $title");
	}
	elsif ($promise =~ /^((?:INSERT 0|UPDATE) \d+)/)
	{
		like($answer, qr/^\Q$1\E$/m, "gives $1: $title");
	}
	else
	{
		my ($text) = $promise =~ /^Index Cond: \((\w+ = [\w.']+)/ or die "unknown promise: $promise";
		like($answer, qr/Index Cond: \(\Q$text\E/, "shows the plan: $title");
	}
}

done_testing();
