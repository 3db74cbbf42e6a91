# 031_extension_member.pl
#	  A dump does not carry the row security and triggers of an extension's table.  Who
#	  protected and audited one all the same is told after a restore, and can mend it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = "$ENV{STAGE}$ENV{SHAREDIR}/extension";

sub write_file
{
	my ($name, $text) = @_;

	open(my $file, '>', "$directory/$name") or die "$name: $!";
	print $file $text;
	close $file;
}
write_file('authz_test_tiny.control', "default_version = '1'\nrelocatable = false\nschema = tiny\n");
write_file('authz_test_tiny--1.sql', <<~'SQL');
	CREATE TABLE tiny.config (id int PRIMARY KEY, tenant text);
	SELECT pg_catalog.pg_extension_config_dump('tiny.config', '');
	CREATE TABLE tiny.other (id int);
	SQL

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE app; CREATE DATABASE original; CREATE DATABASE plain; CREATE DATABASE archive');
$node->safe_psql('original', <<~'SQL');
	CREATE EXTENSION authz;
	CREATE EXTENSION authz_test_tiny;
	GRANT USAGE ON SCHEMA tiny TO app;
	GRANT SELECT ON tiny.config, tiny.other TO app;
	INSERT INTO tiny.config VALUES (1, 'a'), (2, 'b');
	CREATE TABLE public.free (id int);
	GRANT SELECT ON public.free TO app;
	INSERT INTO public.free VALUES (1);
	SELECT authz.protect('public.free');
	-- What is said of schemas and foreign tables is carried by name.
	CREATE SCHEMA closed;
	CREATE TABLE closed.open (id int PRIMARY KEY);
	SELECT authz.protect_schema('closed', exempt => '{open,later}');
	CREATE TABLE closed.tree (id int) PARTITION BY LIST (id);
	CREATE FOREIGN DATA WRAPPER nowhere;
	CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
	CREATE FOREIGN TABLE public.far (id int) SERVER nowhere;
	SELECT authz.allow_foreign_table('public.far', 'it decides itself');
	ALTER TABLE closed.tree ATTACH PARTITION public.far FOR VALUES IN (1);
	CREATE SCHEMA recorded;
	CREATE TABLE recorded.early (id int PRIMARY KEY);
	SELECT authz.audit_schema('recorded', '{insert}');
	SQL

my ($status, $out, $err) = $node->psql('original', "SELECT authz.protect('tiny.config')");
like($err, qr/table tiny.config belongs to extension "authz_test_tiny".*pass extension_member => true/s, 'protect refuses, and says what to do');
($status, $out, $err) = $node->psql('original', "SELECT authz.audit('tiny.config')");
like($err, qr/table tiny.config belongs to extension "authz_test_tiny".*pass extension_member => true/s, 'audit refuses, and says what to do');
($status, $out, $err) = $node->psql('original', "SELECT authz.protect_schema('tiny')");
is($status, 0, 'its schema can be protected');
like($err, qr/NOTICE:  table tiny.config is not protected: it belongs to extension "authz_test_tiny"/, '... and what is not is said');
is($node->safe_psql('original', 'SET ROLE app; SELECT count(*) FROM tiny.config'), '2', '... so that it stays readable');
$node->safe_psql('original', q{SELECT authz.unprotect_schema('tiny')});

$node->safe_psql('original', <<~'SQL');
	SELECT authz.protect('tiny.config', extension_member => true);
	SELECT authz.audit('tiny.config', extension_member => true);
	SELECT authz.create_policy('a', 'tiny.config', '{select}', 'tenant = ''a''', '{*,anonymous}');
	SQL
my $rows = 'SET ROLE app; SELECT count(*) FROM tiny.config';
my $not_ok = q{SELECT relation, problem FROM authz.protection_status() WHERE NOT ok ORDER BY 1, 2};
my $triggers = q{SELECT string_agg(tgname || ' ' || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'tiny.config'::regclass AND NOT tgisinternal};
is($node->safe_psql('original', $rows), '1', 'protected');
is($node->safe_psql('original', $not_ok), '', 'nothing is wrong');
is($node->safe_psql('original', q{SELECT ok, problem LIKE '%a dump does not bring back%' FROM authz.protection_status() WHERE relation = 'tiny.config'::regclass}),
	't|t', 'it is listed as what a dump does not carry');
my $made = $node->safe_psql('original', $triggers);

my $dump = $node->basedir . '/dump.sql';
my $custom = $node->basedir . '/dump.custom';
command_ok([ 'pg_dump', '-f', $dump, $node->connstr('original') ], 'dumped');
command_ok([ 'pg_dump', '-Fc', '-f', $custom, $node->connstr('original') ], 'dumped, custom format');
command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('plain') ], 'restored by psql');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('archive'), $custom ], 'restored by pg_restore');

for my $database ('plain', 'archive')
{
	is($node->safe_psql($database, $rows), '2', "$database: open after the restore");
	like($node->safe_psql($database, $not_ok),
		qr/^tiny\.config\|audit: trigger "authz_audit_delete" is missing.*^tiny\.config\|row security is disabled: it is open$/ms, "$database: protection_status tells");
	is($node->safe_psql($database, q{SELECT count(*) FROM authz.protection_status() WHERE NOT ok AND relation <> 'tiny.config'::regclass}), '0',
		"$database: and nothing else");
	is($node->safe_psql($database, q{SELECT DISTINCT fix FROM authz.protection_status() WHERE NOT ok}),
		q{SELECT authz.repair_protection('tiny.config');}, "$database: and how to mend it");
	$node->safe_psql($database, q{SELECT authz.repair_protection('tiny.config')});
	is($node->safe_psql($database, $rows), '1', "$database: closed when it is mended");
	is($node->safe_psql($database, $not_ok), '', "$database: nothing is wrong any more");
	is($node->safe_psql($database, $triggers), $made, "$database: the triggers are the same");
	is($node->safe_psql($database, q{SELECT complete FROM authz.protected_table WHERE relation = 'tiny.config'::regclass}), 't', "$database: and must stay so");
	$node->safe_psql($database, q{INSERT INTO tiny.config VALUES (3, 'c')});
	like(($node->psql($database, 'ALTER TABLE tiny.config DISABLE TRIGGER ALL'))[2], qr/HINT:.*--disable-triggers.*session_replication_role = replica/s,
		"$database: what disables triggers is refused, and what to do is said");
	is($node->safe_psql($database, q{SELECT string_agg(action, ' ' ORDER BY id) FROM authz.audit_log WHERE relation = 'tiny.config'}),
		'audit audit insert', "$database: changes are on record again, and that they were not");
	is($node->safe_psql($database, q{SELECT new_values -> 'repaired' FROM authz.audit_log WHERE action = 'audit' ORDER BY id DESC LIMIT 1}), 'true',
		"$database: as a repair");
	$node->safe_psql($database, 'SELECT authz.audit_seal()');
	is($node->safe_psql($database, q{SELECT bool_and(ok) FROM authz.audit_verify()}), 't', "$database: the log verifies");
	my $settings = q{SELECT schema, relation, waits_for FROM authz.exempt_table ORDER BY 2; SELECT relation, reason FROM authz.allowed_foreign_table;
		SELECT schema, actions, reads FROM authz.audited_schema};
	is($node->safe_psql($database, $settings), $node->safe_psql('original', $settings), "$database: the exemptions and schemas are the same");
	$node->safe_psql($database, 'CREATE TABLE closed.other (id int); CREATE TABLE closed.later (id int); CREATE TABLE recorded.later (id int)');
	is($node->safe_psql($database, q{SELECT authz.is_protected('closed.other'::regclass), authz.is_protected('closed.later'::regclass), authz.is_audited('recorded.later'::regclass)}),
		't|f|t', "$database: and hold for new tables");
	$node->safe_psql($database, q{SELECT authz.repair_protection('tiny.config')});
	is($node->safe_psql($database, q{SELECT count(*) FROM authz.audit_log WHERE action = 'audit' AND relation = 'tiny.config'}), '2', "$database: again: nothing to do");
}
unlink "$directory/authz_test_tiny.control", "$directory/authz_test_tiny--1.sql";
$node->stop;
done_testing();
