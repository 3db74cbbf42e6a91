# The tests themselves: what one leaves behind, whatever it was, does not fail the next; and none has a line that psql of
# one minor release reads otherwise than psql of another.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# After a "COPY ... FROM stdin" that is refused before it reads, psql skips what follows up to "\." since 15.20; older ones
# run it, and "\." is an error to them.  So no such COPY is in a test: "\copy ... FROM /dev/null" is refused alike.
sub copies_that_do_not_end
{
	my ($text) = @_;
	my @found;

	while ($text =~ /^((?:COPY|\\copy)\b[^;\n]*\bFROM\s+stdin\b[^\n]*)\n(.*?)(^\\\.$|\z)/gmsi)
	{
		my ($copy, $data, $end) = ($1, $2, $3);

		push @found, $copy if !$end || $data =~ /;$/m;
	}
	return join "\n", @found;
}

sub copies_that_are_refused
{
	my ($text) = @_;

	return join "\n",
	  $text =~ /^(COPY\b[^;\n]*\bFROM\s+stdin\b[^\n]*)\n(?:psql:.*)?ERROR:  (?:permission denied for|COPY FROM not|cannot copy to)/gmi;
}

is(copies_that_do_not_end("COPY a FROM stdin;\n1\n\\.\nSELECT 1;\n"), '', 'a COPY that ends');
is(copies_that_do_not_end("COPY a FROM stdin;\nSELECT 1;\nCOPY b FROM STDIN;\n1\n\\.\n"), 'COPY a FROM stdin;', 'one that does not');
is(copies_that_do_not_end("SELECT 1;\ncopy a from stdin;\n"), 'copy a from stdin;', 'one at the end of a file');
is(copies_that_are_refused("COPY a FROM stdin;\nERROR:  permission denied for table a\n"), 'COPY a FROM stdin;', 'one that is refused');
for my $file (glob("$ENV{TREE}/test/sql/*.sql $ENV{TREE}/test/pgtap/*.sql $ENV{TREE}/test/sql/include/*.sql"))
{
	is(copies_that_do_not_end(scalar slurp_file($file)), '', "no COPY without its end: " . $file =~ s,^.*/test/,test/,r);
}
for my $file (glob("$ENV{TREE}/expected/*.out"))
{
	is(copies_that_are_refused(scalar slurp_file($file)), '', "no COPY that is refused: " . $file =~ s,^.*/expected/,expected/,r);
}

# A test that leaves all that one can leave, and dies; others must not see it.
my $node = PostgreSQL::Test::Cluster->new('tests');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$node->start;

my $directory = PostgreSQL::Test::Utils::tempdir();
mkdir "$directory/$_" for qw(sql specs expected);
append_to_file("$directory/sql/dies.sql", <<'EOF');
CREATE ROLE regress_authz_owner LOGIN;
CREATE SCHEMA left_behind AUTHORIZATION regress_authz_owner;
GRANT CONNECT ON DATABASE postgres TO regress_authz_owner;
ALTER ROLE authz_view LOGIN SUPERUSER;
GRANT authz_view TO regress_authz_owner;
ALTER ROLE authz_view RENAME TO regress_authz_view;
SELECT FROM authz.create_role('clerk');
SELECT format('ALTER DATABASE %I SET session_preload_libraries = ''authz''', current_database()) \gexec
\! psql -qX -d authz_regress -c 'SELECT pg_sleep(600)' </dev/null >/dev/null 2>&1 &
BEGIN;
CREATE TABLE left_behind.t ();
PREPARE TRANSACTION 'left behind';
SELECT pg_terminate_backend(pg_backend_pid());
EOF
append_to_file("$directory/expected/dies.out", "not what it gives\n");

my $found = <<'EOF';
SELECT 'role ' || rolname AS left_behind FROM pg_roles WHERE rolname LIKE 'regress\_authz\_%'
UNION ALL SELECT 'authz_view ' || count(*) FROM pg_roles WHERE rolname = 'authz_view' AND NOT rolsuper AND NOT rolcanlogin
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^authz$|^public$'
UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts
UNION ALL SELECT 'session ' || query FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'pg_sleep'
	AND pid <> pg_backend_pid()
UNION ALL SELECT setconfig::text FROM pg_db_role_setting
UNION ALL SELECT 'authz role ' || name FROM authz.role;
EOF
append_to_file("$directory/sql/starts.sql", "\\pset format unaligned\n\\t\n$found");
append_to_file("$directory/expected/starts.out", "\\pset format unaligned\n\\t\n${found}authz_view 1\n"
	  . "{lc_messages=C,lc_monetary=C,lc_numeric=C,lc_time=C,bytea_output=hex,timezone_abbreviations=Default}\n");
append_to_file("$directory/specs/begins.spec", <<'EOF');
session s
step role { CREATE ROLE regress_authz_owner; }
step schema { CREATE SCHEMA left_behind; }
permutation role schema
EOF
append_to_file("$directory/expected/begins.out", <<'EOF');
Parsed test spec with 1 sessions

starting permutation: role schema
step role: CREATE ROLE regress_authz_owner;
step schema: CREATE SCHEMA left_behind;
EOF

# Run a harness of PostgreSQL as run.sh and installcheck do; give the lines on its tests, without times.
sub harness
{
	my ($program, $database, @tests) = @_;

	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my ($stdout) = run_command([
			$program, "--inputdir=$directory", "--outputdir=$directory", "--bindir=$ENV{BINDIR}", '--load-extension=authz',
			"--dbname=$database", "--launcher=bash $ENV{TREE}/test/lib/clean.sh", @tests ]);
	return join ', ', map { /^test (\w+) +\.\.\. (\w+)/ ? "$1 $2" : () } split /\n/, $stdout;
}

my $regress = "$ENV{PGXS_SRC}/test/regress/pg_regress";
is(harness($regress, 'authz_regress', qw(dies starts dies)), 'dies FAILED, starts ok, dies FAILED', 'the next test finds nothing of one that died');
is(harness("$ENV{PGXS_SRC}/test/isolation/pg_isolation_regress", 'authz_isolation', qw(begins begins)), 'begins ok, begins ok',
	'nor does a test in another database, nor one run twice');
like($node->safe_psql('postgres', 'SELECT rolname FROM pg_roles'), qr/^regress_authz_owner$/m, 'the last one left its role');

# pgTAP's tests come after this.
$node->safe_psql('postgres', 'CREATE DATABASE mine');
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my @clean = ('bash', "$ENV{TREE}/test/lib/clean.sh");

	command_ok(\@clean, 'all that is left is removed');
	unlike($node->safe_psql('postgres', 'SELECT rolname FROM pg_roles'), qr/regress_authz/, 'and is gone');
	# What is not a test's is left alone.
	$node->safe_psql('mine', 'CREATE ROLE regress_authz_owner; CREATE SCHEMA hers AUTHORIZATION regress_authz_owner');
	command_fails_like(\@clean, qr/regress_authz_owner" cannot be dropped.*database mine/s, 'another database is not touched');
	is($node->safe_psql('mine', q(SELECT nspname FROM pg_namespace WHERE nspname = 'hers')), 'hers', 'what it holds is there');
}
$node->stop;
done_testing();
