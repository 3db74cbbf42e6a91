# 042_audit_dump.pl
#	  The audit log, its seals and what is audited go with pg_dump; in the other
#	  cluster the log verifies and goes on.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', <<~'SQL');
	CREATE EXTENSION authz;
	CREATE SCHEMA shop;
	CREATE TABLE shop.doc (id int PRIMARY KEY, t text, secret text, at timestamptz DEFAULT now(), n numeric, j jsonb, a int[]);
	CREATE TABLE shop.part (id int PRIMARY KEY) PARTITION BY RANGE (id);
	CREATE TABLE shop.part_1 PARTITION OF shop.part FOR VALUES FROM (0) TO (10);
	SELECT authz.create_role('clerk');
	SELECT authz.audit('shop.doc', exclude_columns => '{secret}'), authz.audit('shop.part');
	-- Transactions of this cluster have high numbers.
	DO $$ BEGIN FOR i IN 1 .. 3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$;
	SELECT authz.assume('ann', '{clerk}');
	INSERT INTO shop.doc (id, t, secret, n, j, a) SELECT i, E'a\n"' || i, 'geheim', i * 1.10, jsonb_build_object('x', i / 3.0, 'y', ARRAY[i, NULL]), ARRAY[i, NULL] FROM generate_series(1, 1500) i;
	INSERT INTO shop.part VALUES (1);
	SELECT authz.audit_seal();
	UPDATE shop.doc SET n = 1e-7 WHERE id < 20;
	SELECT authz.audit_seal();
	-- Not sealed.
	UPDATE shop.doc SET t = 'x' WHERE id = 1;
	SQL
my $digest = $node->safe_psql('postgres', 'SELECT authz.audit_digest()');
my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dumped');
my $custom = $node->basedir . '/dump.custom';
command_ok([ 'pg_dump', '-Fc', '-f', $custom, $node->connstr('postgres') ], 'dumped, custom format');

my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->start;
$other->safe_psql('postgres', 'CREATE DATABASE plain; CREATE DATABASE archive');
command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $other->connstr('plain') ], 'restored by psql');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $other->connstr('archive'), $custom ], 'restored by pg_restore');

my $state = <<~'SQL';
	SET timezone = 'UTC';
	SELECT * FROM authz.audit_log ORDER BY id;
	SELECT * FROM authz.audit_batch ORDER BY batch;
	SELECT relation, trail, active, exclude_columns, actions, logical, complete FROM authz.audited_table ORDER BY relation::text;
	SELECT t.tgrelid::regclass, t.tgname, t.tgenabled FROM pg_trigger t WHERE t.tgname LIKE 'authz_audit%' OR t.tgname = 'refuse_change' ORDER BY t.tgrelid::regclass::text, 2;
	SELECT i.indrelid::regclass, count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname LIKE 'audit_log%' GROUP BY 1 ORDER BY 1::text;
	SQL
for my $database ('plain', 'archive')
{
	my $transactions = $other->safe_psql($database, q{SELECT pg_current_xact_id() < (SELECT max(to_transaction) FROM authz.audit_batch)});

	is($other->safe_psql($database, $state), $node->safe_psql('postgres', $state), "$database: the same");
	is($other->safe_psql($database, 'SELECT bool_and(ok) FROM authz.audit_verify()'), 't', "$database: verifies")
		or diag $other->safe_psql($database, 'SELECT * FROM authz.audit_verify() WHERE NOT ok');
	is($transactions, 't', "$database: transactions have lower numbers here");
	# What came along is sealed before anything new is there, or with it.
	$other->safe_psql($database, 'SELECT authz.audit_seal()') if $database eq 'plain';
	$other->safe_psql($database, q{INSERT INTO shop.doc (id, secret) VALUES (5000, 'geheim'); UPDATE shop.doc SET t = 'y' WHERE id = 1});
	is($other->safe_psql($database, q{SELECT string_agg(action || coalesce(' ' || subject, ''), ', ') FROM authz.audit_trail('shop.doc', '{"id": 1}')}),
		'insert ann, update ann, update ann, update', "$database: the trail goes on");
	is($other->safe_psql($database, q{SELECT count(*) FROM authz.audit_log l WHERE l::text LIKE '%geheim%'}), '0', "$database: what was excluded still is");
	is($other->safe_psql($database, 'SELECT bool_and(ok) FROM authz.audit_verify()'), 't', "$database: verifies beside what is new")
		or diag $other->safe_psql($database, 'SELECT * FROM authz.audit_verify() WHERE NOT ok');
	$other->safe_psql($database, 'SELECT authz.audit_seal()');
	is($other->safe_psql($database, 'SELECT bool_and(ok) FROM authz.audit_verify()'), 't', "$database: sealed what came along and what is new, verifies")
		or diag $other->safe_psql($database, 'SELECT * FROM authz.audit_verify() WHERE NOT ok');
	is($other->safe_psql($database, q{SELECT sum(records) = (SELECT count(*) FROM authz.audit_log) FROM authz.audit_batch}), 't', "$database: every record is in a batch");
	$other->safe_psql($database, q{DELETE FROM shop.doc WHERE id = 2; SELECT authz.audit_seal()});
	is($other->safe_psql($database, 'SELECT bool_and(ok) FROM authz.audit_verify()'), 't', "$database: and on");
	like(($other->psql($database, "SELECT authz.audit_verify('$digest')"))[2], qr/digest refused: it was not signed by this database/, "$database: a digest of the first is not of this");
	like(($other->psql($database, 'ALTER TABLE shop.doc DISABLE TRIGGER ALL'))[2], qr/table shop.doc is audited/, "$database: and is guarded");
}

$other->stop;
$node->stop;
done_testing();
