# 041_audit_replication.pl
#	  Changes that logical replication applies are recorded, once each: first copy,
#	  rows, TRUNCATE; in ordinary and partitioned tables.  Of a publication FOR ALL TABLES
#	  the tables of the extension itself take nothing.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->start;

my $tables = <<~'SQL';
	CREATE TABLE doc (id int PRIMARY KEY, t text);
	CREATE TABLE part (id int PRIMARY KEY, t text) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
	CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
	SQL
$publisher->safe_psql('postgres', $tables . <<~'SQL');
	INSERT INTO doc SELECT i, 'copied' FROM generate_series(1, 3) i;
	INSERT INTO part VALUES (1, 'copied'), (11, 'copied');
	CREATE PUBLICATION p FOR TABLE doc, part WITH (publish_via_partition_root = true);
	SQL
$subscriber->safe_psql('postgres', $tables . <<~'SQL');
	CREATE EXTENSION authz;
	SELECT authz.audit('doc'), authz.audit('part');
	SQL
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '$connection' PUBLICATION p");
$subscriber->wait_for_subscription_sync($publisher, 's') if $subscriber->can('wait_for_subscription_sync');
$subscriber->poll_query_until('postgres', q{SELECT count(*) = 2 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel}) or die 'no first copy';

my $last = 0;
sub records
{
	my $rows = $subscriber->safe_psql('postgres', <<~SQL);
		SELECT action, relation, key ->> 'id', coalesce(new_values, old_values) ->> 't', subject IS NULL, database_role = current_user
		FROM authz.audit_log WHERE id > $last AND action <> 'audit' ORDER BY relation, id
		SQL

	$last = $subscriber->safe_psql('postgres', 'SELECT max(id) FROM authz.audit_log');
	return $rows =~ s/\|t\|t$//mgr;
}

is(records(), <<~'ROWS' =~ s/\n\z//r, 'the first copy');
	insert|public.doc|1|copied
	insert|public.doc|2|copied
	insert|public.doc|3|copied
	insert|public.part_1|1|copied
	insert|public.part_2|11|copied
	ROWS

$publisher->safe_psql('postgres', <<~'SQL');
	INSERT INTO doc VALUES (4, 'new'), (5, 'new');
	UPDATE doc SET t = 'changed' WHERE id = 1;
	UPDATE doc SET t = t WHERE id = 2;
	DELETE FROM doc WHERE id = 3;
	INSERT INTO part VALUES (2, 'new');
	UPDATE part SET t = 'changed' WHERE id = 2;
	UPDATE part SET id = 12 WHERE id = 2;
	DELETE FROM part WHERE id = 11;
	SQL
$publisher->wait_for_catchup('s');
is(records(), <<~'ROWS' =~ s/\n\z//r, 'rows');
	insert|public.doc|4|new
	insert|public.doc|5|new
	update|public.doc|1|changed
	delete|public.doc|3|copied
	insert|public.part_1|2|new
	update|public.part_1|2|changed
	delete|public.part_1|2|changed
	insert|public.part_2|12|changed
	delete|public.part_2|11|copied
	ROWS

$publisher->safe_psql('postgres', 'TRUNCATE doc');
$publisher->wait_for_catchup('s');
is(records(), 'truncate|public.doc||', 'TRUNCATE');

# Beside it a user's own session, with the role of a replica too, is recorded once.
$subscriber->safe_psql('postgres', q{INSERT INTO doc VALUES (50, 'here'); SET session_replication_role = replica; UPDATE doc SET t = 'there'});
is(records(), "insert|public.doc|50|here\nupdate|public.doc|50|there", 'a session beside it');
$subscriber->safe_psql('postgres', 'SELECT authz.audit_seal()');
is($subscriber->safe_psql('postgres', 'SELECT bool_and(ok) FROM authz.audit_verify()'), 't', 'verified');

# A publication FOR ALL TABLES has the tables of schema authz as well.  Those of the subscriber stay its own.
for my $node ($publisher, $subscriber)
{
	$node->safe_psql('postgres', 'CREATE DATABASE whole');
	$node->safe_psql('whole', <<~SQL);
		CREATE EXTENSION authz;
		CREATE TABLE note (id int PRIMARY KEY, t text);
		SELECT authz.protect('note'), authz.audit('note'), authz.create_role('reader');
		SELECT authz.create_policy('read', 'note', '{select}', 'id < 100', '{reader}', description => '@{[$node->name]}');
		SELECT authz.create_mask('note', 't', 'partial(1, 0)'), authz.create_issuer('https://issuer.example', '{api}');
		SELECT authz.grant_role('ann', 'reader', reason => '@{[$node->name]}');
		SQL
}
$publisher->safe_psql('whole', q{INSERT INTO note SELECT g, 'published' FROM generate_series(1, 3) g; SELECT authz.audit_seal(); CREATE PUBLICATION whole FOR ALL TABLES});

sub own_tables
{
	return $subscriber->safe_psql('whole', <<~'SQL');
		SELECT c.relname, md5(query_to_xml(format('SELECT * FROM %s x WHERE x::text NOT LIKE ''%%published%%'' ORDER BY x::text', c.oid::regclass), true, false, '')::text)
		FROM pg_class c WHERE c.relnamespace = 'authz'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname !~ '^audit_log'
		ORDER BY 1
		SQL
}
my $before = own_tables();
$subscriber->safe_psql('whole', "CREATE SUBSCRIPTION whole CONNECTION '@{[$publisher->connstr]} dbname=whole' PUBLICATION whole");
$subscriber->poll_query_until('whole', q{SELECT count(*) > 20 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE s.subname = 'whole'})
	or die 'no first copy of all tables';
is($subscriber->safe_psql('whole', 'SELECT count(*) FROM note'), '3', 'all tables: rows come');
is(own_tables(), $before, 'all tables: the first copy leaves the tables of the extension as they were');
$publisher->safe_psql('whole', <<~'SQL');
	INSERT INTO note VALUES (4, 'published');
	SELECT authz.alter_policy('read', 'note', condition => 'true'), authz.drop_mask('note', 't'), authz.revoke_role('ann', 'reader');
	SELECT authz.create_policy('more', 'note', '{update}'), authz.revoke_token('https://issuer.example', 'x'), authz.audit_seal();
	SQL
$publisher->wait_for_catchup('whole');
is($subscriber->safe_psql('whole', 'SELECT count(*) FROM note'), '4', 'all tables: a new row comes');
is(own_tables(), $before, 'all tables: changes of the extension\'s tables do not');
is($subscriber->safe_psql('whole', q{SELECT count(*) FROM authz.audit_log WHERE new_values ->> 't' IS NOT NULL}), '4', 'all tables: the subscriber records what it applied, once');
is($subscriber->safe_psql('whole', q{SELECT authz.audit_seal() > 0; SELECT bool_and(ok) FROM authz.audit_verify()}), "t\nt", 'all tables: and verifies');
like(slurp_file($subscriber->logfile), qr/WARNING:  rows that logical replication brings for tables of schema authz are ignored/, 'all tables: the log says so');
$before = own_tables();
$publisher->safe_psql('whole', 'TRUNCATE authz.revoked_token');
$subscriber->poll_query_until('postgres', "SELECT pg_read_file('" . $subscriber->logfile . "') ~ 'must not truncate table .revoked_token'") or die 'truncated';
is(own_tables(), $before, 'all tables: a TRUNCATE of the extension\'s tables is refused');

$subscriber->stop;
$publisher->stop;
done_testing();
