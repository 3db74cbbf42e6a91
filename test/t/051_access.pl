# 051_access.pl
#	  Reads of audited tables that authz.access_log cannot hold go to the server's log, one line of JSON
#	  each: what is rolled back, what fails half-way, read-only transactions, a standby, parallel workers,
#	  prepared transactions.  No read is lost, and no token or value is in the log.
use strict;
use warnings;

use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ], allows_streaming => 1);
$node->append_conf('postgresql.conf', "log_statement = none\nlog_min_error_statement = panic\nshared_preload_libraries = 'authz'\n"
	  . "compute_query_id = on\nmax_prepared_transactions = 5\nrestart_after_crash = on\n");
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	CREATE TABLE item (id int PRIMARY KEY, tenant bigint, secret text);
	INSERT INTO item SELECT g, g % 2, 'hidden value ' || g FROM generate_series(1, 1000) g;
	CREATE TABLE big AS SELECT g AS id, 'x' AS text FROM generate_series(1, 50000) g;
	GRANT ALL ON item, big TO app;
	GRANT pg_read_all_stats TO app;	-- memory contexts
	SELECT authz.create_role('tenant');
	SELECT authz.protect('item');
	SELECT authz.create_policy('tenant', 'item', '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.audit('item', reads => true), authz.audit('big', '{}', reads => true);
	SQL
my $alice = token('alice', ['tenant'], tenant => 1, jti => 'a-1');
my $log = 0;

sub app
{
	my ($on, %with) = @_;
	my $session = AuthzSession->on($on, user => 'app', %with);

	die if $session->query("SET authz.token = '$alice'") =~ /^ERROR/;
	return $session;
}

# Records in the server's log since the last call, as perl data.
sub logged
{
	my ($on) = @_;
	my $text = slurp_file($on->logfile, $log);

	$log = -s $on->logfile;
	return map { JSON::PP->new->utf8->decode($_) } $text =~ /LOG:  authz access: (\{.*\})$/mg;
}

# The same as one line of text: cause, action, table, columns, rows.
sub summary { join "\n", map { "$_->{cause} $_->{action} $_->{relation} @{ $_->{clear_columns} } $_->{row_count}" } logged(@_) }

# How many records the table has.
sub rows { $_[0]->safe_psql('postgres', 'SELECT count(*) FROM authz.access_log') }

my $session = app($node, options => '-c application_name=shop');
is($session->query('SELECT id FROM item WHERE id < 6 ORDER BY id'), "1\n3\n5", 'a read');
is(rows($node), '1', 'is on record');
is($node->safe_psql('postgres', q{SELECT action, relation, clear_columns, row_count, subject, issuer, token_id, roles, database_role, application_name, query_id <> 0
	FROM authz.access_log}), 'select|public.item|{id}|3|alice|' . ISSUER . '|a-1|{tenant}|app|shop|t', 'what is on record');
is(summary($node), '', 'and not in the server\'s log');

# Who rolls back has seen the rows.
$session->query('BEGIN; SELECT secret FROM item WHERE id = 1');
my $xid = $session->query('SELECT pg_current_xact_id()');
is(summary($node), '', 'nothing is logged while the transaction is open');
$session->query('ROLLBACK');
my ($record, @others) = logged($node);
is(scalar(@others), 0, 'rolled back: one line');
ok(delete $record->{milliseconds} > 0 && delete $record->{query_id} && delete $record->{policy_version} && delete $record->{trail}, 'rolled back: time, query id, policy version, trail');
like(delete $record->{$_}, qr/^\d{4}-\d\d-\d\dT[\d:.]+\+00:00$/, "rolled back: $_") for qw(recorded_at statement_at);
is_deeply($record, { cause => 'aborted', database => 'postgres', transaction_id => $xid, pid => $session->{pid} + 0, database_role => 'app', subject => 'alice', issuer => ISSUER,
		token_id => 'a-1', roles => ['tenant'], application_name => 'shop', action => 'select', relation => 'public.item', clear_columns => [ 'id', 'secret' ],
		masked_columns => [], by_row_columns => [], row_count => 1 }, 'rolled back: what is logged');
is(rows($node), '1', 'rolled back: no row');

$session->query('BEGIN; SELECT id FROM item WHERE id = 1; SAVEPOINT a; SELECT secret FROM item WHERE id = 3; SAVEPOINT b; SELECT tenant FROM item WHERE id = 5');
$session->query('RELEASE b; ROLLBACK TO a; SAVEPOINT c; SELECT id, tenant FROM item WHERE id = 7; RELEASE c; COMMIT');
is(summary($node), "aborted select public.item id tenant 1\naborted select public.item id secret 1", 'savepoint: what was rolled back');
is(rows($node), '3', 'savepoint: the others have rows');
is($session->query('SELECT id, 1 / (id - 7) FROM item WHERE id < 20'), 'ERROR 22012 division by zero', 'a query that fails half-way');
is(summary($node), 'aborted select public.item id 3', 'a query that fails half-way: with the rows till then');
is($session->query(q{DO $$ BEGIN BEGIN PERFORM secret FROM item WHERE id = 9; RAISE 'no'; EXCEPTION WHEN raise_exception THEN END; END $$}), '', 'a function that catches');
is(summary($node), 'aborted select public.item id secret 1', 'a function that catches: logged');
$session->query('BEGIN; DECLARE c CURSOR FOR SELECT secret FROM item; FETCH 2 FROM c; ROLLBACK');
is(summary($node), 'aborted select public.item secret 2', 'an open cursor');
$session->query('BEGIN; DECLARE c CURSOR FOR SELECT id FROM item; SAVEPOINT s; FETCH 2 FROM c; ROLLBACK TO s; FETCH 1 FROM c; COMMIT');
is(summary($node), '', 'a cursor of before the savepoint: not logged');
is($node->safe_psql('postgres', 'SELECT row_count FROM authz.access_log ORDER BY id DESC LIMIT 1'), '3', 'a cursor of before the savepoint: all its rows');
$session->query(q{BEGIN; DECLARE c CURSOR FOR SELECT 1 / (id - 3) FROM item ORDER BY id; SAVEPOINT s; FETCH 1 FROM c});
is($session->query('FETCH 1 FROM c'), 'ERROR 22012 division by zero', 'a cursor that fails within a savepoint');
$session->query('ROLLBACK TO s; COMMIT');
is(summary($node), 'aborted select public.item id 1', 'a cursor that fails within a savepoint: logged at the end');
$session->query('BEGIN; SELECT id FROM item WHERE id = 1');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($session->{pid}, 10000)");
is(summary($node), 'aborted select public.item id 1', 'a session that is terminated');

# More than are kept: nothing is lost, nor does memory grow, also if each fails by itself.
my $n = rows($node);
$session = app($node);
$session->query('BEGIN');
is($session->query(q{DO $$ BEGIN FOR i IN 1 .. 2500 LOOP BEGIN PERFORM 1 / (id - 3) FROM item; EXCEPTION WHEN division_by_zero THEN END; END LOOP; END $$}), '', 'many that fail');
is(scalar(logged($node)), 2500, 'many that fail: each is logged');
is($session->query(q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'authz access'}), '0', 'many that fail: memory');
$session->query('COMMIT');
$session->query('BEGIN');
is($session->query(q{DO $$ BEGIN FOR i IN 1 .. 2500 LOOP PERFORM id FROM item WHERE id = i; END LOOP; END $$}), '', 'many in one transaction');
my @many = logged($node);
is(scalar(@many), 2000, 'many: logged as they come');
is(join(' ', sort { $a cmp $b } keys %{ { map { $_->{cause} => 1 } @many } }), 'many', 'many: and why');
is($session->query(q{SELECT count(*), sum(total_bytes) < 5000000 FROM pg_backend_memory_contexts WHERE name = 'authz access'}), '500|t', 'many: memory');
$session->query('ROLLBACK');
is(scalar(logged($node)), 500, 'many: the rest when it aborts');
is(rows($node), $n, 'many: no row');

# Who ends the recording, reads and rolls back would leave no trace in a table.
$n = rows($node);
for my $end (q{authz.unaudit('item')}, q{authz.audit('item')})
{
	$node->safe_psql('postgres', "BEGIN; SELECT $end; SELECT secret FROM item WHERE id = 1; ROLLBACK");
	is(summary($node), 'aborted unaudit public.item  0', "$end: rolled back");
}
$node->safe_psql('postgres', q{BEGIN; SELECT authz.unaudit('item'); SELECT authz.audit('item', reads => true); COMMIT});
is(summary($node), '', 'committed: that is in the audit log');
is($node->safe_psql('postgres', q{SELECT string_agg(action, ' ' ORDER BY id) FROM (SELECT id, action FROM authz.audit_log ORDER BY id DESC LIMIT 2) l}), 'unaudit audit', 'committed: there it is');
is(rows($node), $n, 'neither is a read');
# A name that never was: the trail tells.
$node->safe_psql('postgres', 'BEGIN; ALTER TABLE item RENAME secret TO harmless; ALTER TABLE item RENAME TO nothing; SELECT harmless FROM nothing LIMIT 1; ROLLBACK');
my ($renamed) = logged($node);
is($node->safe_psql('postgres', "SELECT relation FROM authz.audited_table WHERE trail = $renamed->{trail}") . " $renamed->{relation}", 'item public.nothing', 'renamed, read, rolled back');

# Rows are sent before the statement is cancelled, or its record cannot be written.
$session = app($node, options => '-c statement_timeout=500');
is($session->query('SELECT id, pg_sleep(0.2) FROM item'), 'ERROR 57014 canceling statement due to statement timeout', 'cancelled');
is(summary($node), 'aborted select public.item id 2', 'cancelled: with the rows till then');
$node->safe_psql('postgres', 'ALTER EVENT TRIGGER authz_after_ddl DISABLE; ALTER SEQUENCE authz.record_id_seq RENAME TO broken');
like($session->query('SELECT id FROM item WHERE id = 1'), qr/^ERROR/, 'a record that cannot be written fails the statement');
is(summary($node), 'aborted select public.item id 1', 'a record that cannot be written: logged');
$node->safe_psql('postgres', 'ALTER SEQUENCE authz.broken RENAME TO record_id_seq; ALTER EVENT TRIGGER authz_after_ddl ENABLE ALWAYS');

# Read-only transactions, the default too.
is($session->query('BEGIN READ ONLY; SELECT id FROM item WHERE id = 1'), '1', 'read-only');
is(summary($node), 'read_only select public.item id 1', 'read-only: logged at once');
$session->query('COMMIT');
is(summary($node), '', 'read-only: once');
$session->query('BEGIN READ ONLY; SELECT id FROM item WHERE id = 1; ROLLBACK');
is(summary($node), 'read_only select public.item id 1', 'read-only and rolled back: once');
is($node->safe_psql('postgres', 'SET default_transaction_read_only = on; SELECT count(*) FROM item'), '1000', 'a superuser, read-only by default');
is(summary($node), 'read_only select public.item  1', 'a superuser is recorded as anybody');
is($node->safe_psql('postgres', 'BEGIN READ ONLY; COPY big TO stdout') =~ tr/\n//, 49999, 'COPY');
is(summary($node), 'read_only copy public.big id text 50000', 'COPY: logged');
is($node->safe_psql('postgres', 'COPY item (id) TO stdout') =~ tr/\n//, 999, 'COPY, of a superuser');
is($session->query('COPY item (id) TO stdout'), '', 'COPY, filtered');
is($node->safe_psql('postgres', 'SELECT action, clear_columns, row_count FROM authz.access_log ORDER BY id DESC LIMIT 2'), "select|{id}|500\ncopy|{id}|1000", 'COPY: recorded');
is($session->query('COPY item (secret, nothing) TO stdout'), 'ERROR 42703 column "nothing" of relation "item" does not exist', 'COPY that fails');
logged($node);

# Parallel queries: the leader's, with all rows; what their functions read is logged by the workers.
$node->safe_psql('postgres', q{CREATE FUNCTION look(int) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$ BEGIN RETURN (SELECT count(*) FROM item WHERE id = $1); END $$});
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off;';
$n = rows($node);
like($node->safe_psql('postgres', "$parallel EXPLAIN SELECT id FROM big WHERE id % 1000 = 7"), qr/Gather/, 'a parallel plan');
is($node->safe_psql('postgres', "$parallel SELECT count(id) FROM (SELECT id FROM big WHERE id % 1000 = 7 OFFSET 0) s"), '50', 'a parallel query');
is($node->safe_psql('postgres', 'SELECT clear_columns, row_count FROM authz.access_log ORDER BY id DESC LIMIT 1'), '{id}|1', 'a parallel query: one record');
is(rows($node), $n + 1, 'a parallel query: and no other');
is(summary($node), '', 'a parallel query: none of the workers');
is($node->safe_psql('postgres', "$parallel SELECT sum(look(id)) FROM big WHERE id <= 5"), '5', 'a function in workers');
my @lines = split /\n/, summary($node);
is(scalar(grep { $_ eq 'parallel select public.item id 1' } @lines), 5, 'a function in workers: each of its queries is logged');

# Workers that build an index read nothing for a query, but its functions may; every call is on record.
$node->safe_psql('postgres', q{CREATE FUNCTION look_up(int) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$ BEGIN RETURN (SELECT secret FROM item WHERE id = $1); END $$;
	CREATE TABLE indexed AS SELECT g AS id FROM generate_series(1, 2000) g; ALTER TABLE indexed SET (parallel_workers = 2)});
$node->safe_psql('postgres', 'SET min_parallel_table_scan_size = 0; CREATE INDEX ON indexed (look_up(id % 10))');
my @builders = logged($node);
is(scalar(@builders), 2000, 'an index built in parallel: every call is logged');
cmp_ok(scalar(keys %{ { map { $_->{pid} => 1 } @builders } }), '>', 1, 'an index built in parallel: by more than one process');
$node->safe_psql('postgres', 'DROP TABLE indexed');

# A prepared transaction may be rolled back when nobody is there.
$session->query(q{BEGIN; SELECT id FROM item WHERE id = 1; PREPARE TRANSACTION 'p'});
is(summary($node), 'prepared select public.item id 1', 'prepared: logged');
$n = rows($node);
$node->restart;
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
is(rows($node), $n + 1, 'prepared: and after a restart and the commit in the table');
logged($node);

# Statements over the extended protocol.
$session = app($node);
$n = rows($node);
$session->prepare('q', 'SELECT id FROM item WHERE id = $1::int');
is($session->execute('q', 3), '3', 'a prepared statement') for 1 .. 7;
is(rows($node), $n + 7, 'a prepared statement: each time');

# Portals that are read in parts: once, with the rows that were fetched, when they are closed or the transaction ends.
sub portal
{
	my ($name, $limit) = @_;

	$session->message('E', "$name\0" . pack('N', $limit));
	$session->message('S', '');
	return $session->result;
}

sub bind_portal { $session->message('B', "$_[0]\0all\0" . pack('nnn', 0, 0, 0)) }

my $last = 'SELECT count(*), (array_agg(row_count ORDER BY id DESC))[1] FROM authz.access_log';
$session->prepare('all', 'SELECT id FROM item ORDER BY id');
bind_portal('');
is(portal('', 2), "1\n3", 'a portal, not read to its end');
is($node->safe_psql('postgres', $last), ($n + 8) . '|2', 'recorded at the end of its transaction');
$session->query('BEGIN');
bind_portal('p');
is(portal('p', 2), "1\n3", 'a portal, by and by');
is(portal('p', 1), '5', 'a portal, more of it');
$session->message('C', "Pp\0");
$session->message('S', '');
$session->result;
$session->query('COMMIT');
is($node->safe_psql('postgres', $last), ($n + 9) . '|3', 'one record, with all its rows');
bind_portal('');
$session->message('E', "\0" . pack('N', 0));
$session->message('P', "bad\0SELECT nothing\0" . pack('n', 0));
like(portal('', 0), qr/^ERROR 42703/, 'statements of one Sync, of which the second fails');
is(summary($node), 'aborted select public.item id 500', 'the first has been seen');

# A replication connection reads tables too.
$n = rows($node);
is($node->safe_psql('postgres', 'COPY item (id) TO stdout', connstr => $node->connstr('postgres') . ' replication=database') =~ tr/\n//, 999, 'COPY by a replication connection');
is(rows($node), $n + 1, 'is on record');

# Denied attempts count beside what was allowed.
is($session->query(q{INSERT INTO item VALUES (2000, 1, 'x')}), 'ERROR 42501 permission denied to insert row in table "item"', 'a denied attempt');
$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM authz.denial_log') or die;
is($node->safe_psql('postgres', q{SELECT action, allowed > 10, denied FROM authz.activity WHERE subject = 'alice' AND relation = 'public.item' ORDER BY 1}), "insert|f|1\nselect|t|0", 'activity');

# How often policies had a say: plans and checks, by the policy; of all sessions, rolled back or not, since the server started.
my $usage = q{SELECT name, effect, plans, checks, last_used_at > now() - '1 min'::interval FROM authz.stat_policy WHERE relation = 'counted'::regclass ORDER BY name};
$node->safe_psql('postgres', <<~'SQL');
	CREATE TABLE counted (id int, tenant bigint, state text);
	INSERT INTO counted SELECT g, g % 2, CASE WHEN g = 3 THEN 'closed' ELSE 'open' END FROM generate_series(1, 10) g;
	GRANT SELECT ON counted TO app;
	SELECT authz.create_role('other'), authz.protect('counted');
	SELECT authz.create_policy('own', 'counted', '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_policy('other', 'counted', '{select}', 'true', '{other}');
	SELECT authz.create_policy('closed', 'counted', '{select}', 'state = ''closed''', effect => 'forbid');
	SQL
is($node->safe_psql('postgres', $usage), "closed|forbid|0|0|\nother|permit|0|0|\nown|permit|0|0|", 'no policy has been used');
is($session->query('SELECT count(*) FROM counted'), '4', 'a plan');
is($node->safe_psql('postgres', $usage), "closed|forbid|1|0|t\nother|permit|0|0|\nown|permit|1|0|t", 'a plan: by those that applied');
is($session->query(q{SELECT count(*) FROM counted c WHERE authz.permits_row('select', c)}), '4', 'checks');
is($node->safe_psql('postgres', $usage), "closed|forbid|2|0|t\nother|permit|0|0|\nown|permit|2|4|t", 'checks: by those that permitted');
is($session->query(q{BEGIN; SELECT authz.permits_row('select', ROW(1, 1, 'closed')::counted); ROLLBACK}), 'f', 'a check that forbids, rolled back');
is($node->safe_psql('postgres', $usage), "closed|forbid|2|1|t\nother|permit|0|0|\nown|permit|2|4|t", 'a check that forbids: counted');
$session->prepare('c', 'SELECT count(*) FROM counted');
$session->execute('c') for 1 .. 3;
is($node->safe_psql('postgres', $usage), "closed|forbid|3|1|t\nother|permit|0|0|\nown|permit|3|4|t", 'a plan that is used again counts once');

# A standby: the same, to its own log.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$log = 0;
$session = app($standby);
is($session->query('SELECT count(secret) FROM item'), '500', 'standby');
is(summary($standby), 'standby select public.item secret 1', 'standby: logged');
is($session->query('BEGIN; SELECT id FROM item WHERE id = 1; ROLLBACK'), '1', 'standby: rolled back');
is(summary($standby), 'standby select public.item id 1', 'standby: rolled back: once');
$node->safe_psql('postgres', q{SELECT authz.audit('item')});
$node->wait_for_catchup($standby);
is($session->query('SELECT count(secret) FROM item'), '500', 'standby: no longer audited on the primary');
is(summary($standby), '', 'standby: then not here either');

# A dump keeps the records, and reading for it is on record itself.
$node->safe_psql('postgres', q{SELECT authz.audit('item', reads => true)});
$log = -s $node->logfile;
$node->command_ok([ 'pg_dump', '--file', $node->basedir . '/dump.sql', $node->connstr('postgres') ], 'pg_dump');
like(summary($node), qr/^read_only copy public.big id text 50000$/m, 'pg_dump is on record');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $node->basedir . '/dump.sql', '-d', $node->connstr('restored') ], 'restored');
is($node->safe_psql('restored', 'SELECT count(*) > 20, bool_and(reads) FROM authz.access_log, authz.audited_table WHERE active'), 't|t', 'restored: records and settings');
is($node->safe_psql('restored', 'SELECT secret FROM item WHERE id = 1; SELECT clear_columns FROM authz.access_log ORDER BY id DESC LIMIT 1'), "hidden value 1\n{id,secret}", 'restored: it goes on');

for my $on ($node, $standby)
{
	my $all = slurp_file($on->logfile);

	unlike($all, qr/hidden value/, $on->name . ': no value in the log');
	unlike($all, qr/\Q$alice\E/, $on->name . ': no token in the log');
	unlike($all, qr/PANIC|terminated by signal|TRAP/, $on->name . ': no crash');
}
$standby->stop;
$node->stop;
done_testing();
