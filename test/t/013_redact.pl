# 013_redact.pl
#	  A token that stands in a statement's text, or is bound to it, does not reach the server's log,
#	  whatever is logged and whichever statement of the text fails; nor does it stay in pg_stat_activity.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

use AuthzSession;
use AuthzToken;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<~CONF);
	shared_preload_libraries = 'authz,auto_explain'
	logging_collector = on
	log_destination = 'stderr,csvlog,jsonlog'
	log_directory = log
	log_filename = 'all.log'
	log_rotation_size = 0
	log_error_verbosity = verbose
	restart_after_crash = on
	log_statement = none
	CONF
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app SUPERUSER LOGIN;
	CREATE FUNCTION by_function(token text) RETURNS void LANGUAGE plpgsql AS
		$$BEGIN EXECUTE format('SET authz.token = %L', token); EXECUTE format('SELECT %L::int', token); END$$;
	SQL

my @mark;

# All logs since the mark.
sub logs { return map { $node->data_dir . "/log/all.$_" } qw(log csv json) }
sub mark_log { @mark = map { -s $_ // 0 } logs() }

sub new_log
{
	my $result = '';
	my @files = logs();

	# The collector writes a little later.
	usleep 150_000;
	$result .= slurp_file($files[$_], $mark[$_]) for 0 .. $#files;
	return $result;
}

my $good = token('claimed subject', [], mail => 'claimed@example');
my (undef, $claims, $signature) = split /\./, $good;
my $escaped = $good =~ s/^eyJ/\\x65yJ/r;
my ($front, $back) = (substr($good, 0, 10), substr($good, 10));
my $short = substr $good, 0, length($good) - 60;

sub keeps_quiet
{
	my ($name, $text) = @_;

	ok(length $text, "$name: something is logged");
	# ok, not unlike, which would print them
	ok($text !~ /\Q$claims\E|\Q@{[substr $claims, 0, 40]}\E|\Q$signature\E|eyJ|x65yJ|claimed\@|101 121 74/, "$name: neither token nor claim");
}

# Each in a session of its own, under what logs least and what logs most.
my %settings = (
	'log_min_error_statement = error' => [],
	'everything is logged' => [ q{log_statement = 'all'}, 'log_min_duration_statement = 0', 'log_duration = on', 'log_min_messages = debug5',
		'log_min_error_statement = debug5', 'debug_print_parse = on', 'debug_print_rewritten = on', 'debug_print_plan = on',
		'auto_explain.log_min_duration = 0', 'auto_explain.log_verbose = on', 'auto_explain.log_nested_statements = on' ]);
my @texts = (
	# name, text, the last error (SQLSTATE), are the parts of the token too short to be seen in what log_statement logs?
	[ 'a later statement fails', "SET authz.token = '$good'; SELECT 1/0", '22012' ],
	[ 'an earlier one fails', "SELECT 1/0; SET authz.token = '$good'", '22012' ],
	[ 'by set_config', "SELECT set_config('authz.token', '$good', false); SELECT 1/0", '22012' ],
	[ 'by login', "SELECT authz.login('$good', false); SELECT 1/0", '22012' ],
	[ 'in the same SELECT', "SELECT authz.login('$good', false), 1/(random() * 0)", '22012' ],
	[ 'quoted otherwise', "SET \"authz\".\"token\" = '$good'; SELECT 1/0", '22012' ],
	[ 'in dollar quotes', "SELECT authz.login(\$t\$$good\$t\$, false); SELECT 1/0", '22012' ],
	[ 'in a transaction', "BEGIN; SET LOCAL authz.token = '$good'; SELECT 1/0; COMMIT", '22012' ],
	[ 'a syntax error after it', "SET authz.token = '$good' rubbish", '42601' ],
	[ 'a syntax error that quotes it', "SET authz.token '$good'", '42601' ],
	[ 'a string that does not end', "SET authz.token = '$good", '42601' ],
	[ 'as an identifier', "SET authz.token = '$good'; SELECT \"$good\"", '42703' ],
	[ 'as a value of another type', "SELECT '$good'::int", '22P02' ],
	[ 'for another parameter', "SET authz.tokken = '$good'", '42602' ],
	[ 'cut off', "SET authz.token = '$short'; SELECT 1", '28000' ],
	[ 'in a function', "SELECT by_function('$good')", '22P02' ],
	[ 'in DO', "DO \$\$BEGIN PERFORM authz.login('$good', false); PERFORM 1/0; END\$\$", '22012' ],
	[ 'prepared', "PREPARE p AS SELECT authz.login('$good', false); EXECUTE p; SELECT 1/0", '22012' ],
	[ 'raised', "DO \$\$BEGIN RAISE 'seen %', '$good' USING DETAIL = 'd $good', HINT = 'h $good'; END\$\$", 'P0001' ],
	[ 'twice', "SET authz.token = '$good'; SELECT authz.login('$good', false), '$good'::int", '22P02' ],
	[ 'in escapes', "SET authz.token = E'$escaped'; SELECT 1/0", '22012', 1 ],
	[ 'in parts', "SELECT set_config('authz.token', '$front' || '$back', false); SELECT 1/0", '22012', 1 ],
	[ 'in parts, the parameter too', "SELECT set_config('authz' || '.token', '$front' || '$back', false); SELECT 1/0", '22012', 1 ]);
for my $settings (reverse sort keys %settings)
{
	$node->safe_psql('postgres', join '; ', map { "ALTER ROLE app SET $_" =~ s/ = / TO /r } @{ $settings{$settings} }) if @{ $settings{$settings} };
	for my $text (@texts)
	{
		my ($name, $sql, $state, $in_parts) = @$text;

		next if $in_parts && @{ $settings{$settings} };
		my $session = AuthzSession->on($node, user => 'app');
		mark_log();
		like($session->query($sql), qr/(^|\n)ERROR $state/, "$settings: $name: the error");
		$session->close;
		keeps_quiet("$settings: $name", new_log());
	}
	# Bound.
	my $session = AuthzSession->on($node, user => 'app');
	$session->prepare('p', 'SELECT authz.login($1, false), 1/(random() * 0)');
	mark_log();
	like($session->execute('p', $good), qr/^ERROR 22012/, "$settings: bound: the error");
	$session->prepare('q', 'SELECT $1::int');
	like($session->execute('q', $good), qr/^ERROR 22P02/, "$settings: bound to another: the error");
	keeps_quiet("$settings: bound", new_log());
	$session->close;
}
mark_log();
my $session = AuthzSession->on($node, user => 'app');
$session->query("SET authz.token = '$good'; SELECT 1/0");
like(new_log(), qr/statement: SET authz\.token = '<hidden>'; SELECT 1\/0/, 'the rest of a statement is logged');

# What holds no token is logged as ever.
$node->safe_psql('postgres', 'ALTER ROLE app RESET ALL');
$session = AuthzSession->on($node, user => 'app');
$session->query("SET authz.token = '$good'");
for my $sql ("SELECT 1/0 AS plain", "SELECT '1'::int/0", 'SELECT 1/0 FROM a_schema_with_a_long_name.e_table_2', "SELECT 'eyelid.of.the.needle.eyJoint.x'::int",
	"SELECT 'ZZZZZZZZZZZZZZZZZZZZZZ.eyJ'::int", 'SELECT $1::int/0')
{
	mark_log();
	like($session->query($sql), qr/^ERROR/, "without a token: $sql");
	like(new_log(), qr/STATEMENT:  \Q$sql\E$/m, "logged: $sql");
}

# pg_stat_activity, as other sessions see it.
for my $set ("SET authz.token = '%s'", "SELECT authz.login('%s', false)", "SELECT set_config('authz.token', '%s', false)", "BEGIN; SET LOCAL authz.token = '%s'")
{
	my $look = 'SELECT pg_stat_clear_snapshot(); SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()';
	my $text = sprintf($set, $good) . "; $look";

	like($session->query($text), qr/\Q@{[sprintf($set, '<hidden>')]}; $look\E$/, "pg_stat_activity: $set");
	$session->query('COMMIT');
	is($node->safe_psql('postgres', "SELECT query ~ 'eyJ' FROM pg_stat_activity WHERE pid = $session->{pid}"), 'f', "nor afterwards: $set");
}
$session->query("SET authz.token = E'$escaped'");
is($node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE pid = $session->{pid}"), '<hidden>', 'pg_stat_activity: in escapes');
$session->query('RESET authz.token');
is($node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE pid = $session->{pid}"), 'RESET authz.token', 'pg_stat_activity: RESET');

# The postmaster says what a process that crashed was running.
mark_log();
my $doomed = AuthzSession->on($node, user => 'app');
$doomed->send("SELECT pg_sleep(100), authz.login('$good', false)");
$node->poll_query_until('postgres', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $doomed->{pid}") or die;
kill 'KILL', $doomed->{pid};
usleep 100_000 until new_log() =~ /all server processes terminated|database system is ready/;
like(new_log(), qr/Failed process was running: SELECT pg_sleep\(100\), authz\.login\('<hidden>/, 'a crash');
keeps_quiet('a crash', new_log());

$node->poll_query_until('postgres', 'SELECT true');
$node->stop;
done_testing();
