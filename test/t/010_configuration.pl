# 010_configuration.pl
#	  The configuration of a database goes to another one by the two commands of the README,
#	  without rows, logs and secrets; materialised views over protected tables in a restore.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE proprietor LOGIN; CREATE ROLE reporter NOLOGIN BYPASSRLS; CREATE ROLE app LOGIN; CREATE DATABASE staging; CREATE DATABASE production; CREATE DATABASE copy');
$node->safe_psql('staging', <<~'SQL');
	CREATE EXTENSION authz;
	GRANT CREATE ON SCHEMA public TO proprietor;
	GRANT authz_admin TO proprietor;
	SET SESSION AUTHORIZATION proprietor;
	CREATE TABLE note (id int PRIMARY KEY, tenant bigint, t text);
	INSERT INTO note SELECT g, g % 3, 'row of staging' FROM generate_series(1, 9) g;
	CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM note;
	CREATE MATERIALIZED VIEW reported AS SELECT count(*) FROM note;
	SELECT authz.protect('note'), authz.create_role('tenant');
	SELECT authz.create_policy('own', 'note', '{select,update}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_mask('note', 't', 'hash(8)', name => 'hidden');
	SELECT authz.create_masked_view('note', 'seen');
	GRANT SELECT ON note, seen TO app;
	SELECT authz.create_issuer('https://issuer.example', '{api}', attributes => '{"tenant": "t"}');
	SELECT authz.add_key('https://issuer.example', 'k', 'HS256', 'this secret stays where it is, 32 bytes');
	SELECT authz.grant_role('ann', 'tenant');
	RESET SESSION AUTHORIZATION;
	GRANT SELECT ON note TO reporter;
	ALTER MATERIALIZED VIEW reported OWNER TO reporter;
	SELECT authz.audit('note');
	UPDATE note SET t = 'recorded in staging' WHERE id = 1;
	SELECT authz.audit_seal();
	SQL

# The commands as the README has them.
my $directory = PostgreSQL::Test::Utils::tempdir();
my @command = map { /^ +(pg_dump --(?:schema|data)-only .*)/ ? [ split ' ', $1 =~ s/'//gr =~ s{-f (\S+)}{-f $directory/$1}r ] : () }
	split /\n/, slurp_file("$ENV{TREE}/README.md");
is(scalar @command, 2, 'the README has two commands');
command_ok([ @$_, '-d', $node->connstr('staging') ], "@$_[0, 1]") for @command;
my $carried = slurp_file("$directory/schema.sql") . slurp_file("$directory/authz.sql");
unlike($carried, qr/row of staging|recorded in staging/, 'no row, and none in the log');
unlike($carried, qr/this secret stays/, 'no key of an issuer');
unlike($carried, qr/^COPY authz\.(?:\w*_log|audit_|key|mask_key)/m, 'nothing of logs, seals and keys');
like($carried, qr/^COPY authz\.$_ /m, "but authz.$_") for qw(policy mask role role_grant issuer protected_table audited_table policy_history);

$node->command_ok([ 'psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('production'), '-f', "$directory/$_.sql" ], "restored $_.sql") for 'schema', 'authz';
$node->safe_psql('production', q{INSERT INTO note SELECT g, g % 3, 'row of production' FROM generate_series(1, 6) g});
my $asked = <<~'SQL';
	SELECT authz.assume('ann', '{}', '{"tenant": 1}') IS NULL;
	SET ROLE app;
	SELECT string_agg(id::text, ',' ORDER BY id) FROM note;
	SELECT count(*), bool_or(t LIKE 'row%') FROM seen;
	RESET authz.token;
	SELECT count(*) FROM note;
	SQL
like($node->safe_psql('production', $asked), qr/\n1,4\n2\|f\n0\z/, 'it decides and masks there');
is($node->safe_psql('production', q{SELECT name, enabled FROM authz.policy; SELECT count(*) FROM authz.key WHERE issuer <> 'authz:internal'}), "own|t\n0", 'policies, no keys');
is($node->safe_psql('production', q{SELECT count(*) FROM authz.audit_log WHERE action = 'insert'; SELECT authz.audit_seal() > 0; SELECT bool_and(ok) FROM authz.audit_verify()}),
	"6\nt\nt", 'it records and verifies there');
isnt($node->safe_psql('production', 'SELECT secret FROM authz.mask_key'), $node->safe_psql('staging', 'SELECT secret FROM authz.mask_key'), 'a mask key of its own');
my $version = $node->safe_psql('production', 'SELECT authz.policy_version()');
is($node->safe_psql('production', q{SELECT authz.create_role('later'); SELECT authz.policy_version()}), "\n" . ($version + 1), 'versions go on');

# Materialised views in a restore: one is filled by who bypasses row security, the other says that it cannot be.
$node->command_ok([ 'pg_dump', '-Fc', '-d', $node->connstr('staging'), '-f', "$directory/archive" ], 'pg_dump');
$node->command_fails_like([ 'pg_restore', '-d', $node->connstr('copy'), "$directory/archive" ],
	qr/query would be affected by row-level security policy for table "note".*REFRESH MATERIALIZED VIEW public.counted.*errors ignored on restore: 1$/s, 'pg_restore names the view that it cannot fill');
is($node->safe_psql('copy', 'SELECT count FROM reported'), '9', 'who has BYPASSRLS fills theirs');
is($node->safe_psql('copy', q{SELECT relispopulated FROM pg_class WHERE relname = 'counted'}), 'f', 'the other has nothing');

$node->stop;
done_testing();
