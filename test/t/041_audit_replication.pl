# 041_audit_replication.pl
#	  Changes that logical replication applies are recorded, once each: first copy,
#	  rows, TRUNCATE; in ordinary and partitioned tables.
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

$subscriber->stop;
$publisher->stop;
done_testing();
