# 043_audit_sealer.pl
#	  The audit log is sealed without being asked: in each database where something was
#	  recorded and nowhere else, whatever happens to a sealer, a transaction, a database
#	  or the server meanwhile.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

use AuthzSession;

my $setup = <<~'SQL';
	CREATE EXTENSION authz;
	CREATE TABLE doc (id bigint GENERATED ALWAYS AS IDENTITY, t text);
	SELECT authz.audit('doc');
	CREATE TABLE seen (id int);
	SELECT authz.audit('seen', '{}', reads => true);
	CREATE TABLE kept (id int);
	SELECT authz.protect('kept');
	GRANT INSERT ON kept TO app;
	SQL
my $write = q{INSERT INTO doc (t) VALUES ('x')};
my $unsealed = 'SELECT (SELECT count(*) FROM authz.audit_log) + (SELECT count(*) FROM authz.access_log) + (SELECT count(*) FROM authz.denial_log)
	- (SELECT coalesce(sum(records), 0) FROM authz.audit_batch)';
my $batches = 'SELECT count(*) FROM authz.audit_batch';

sub sql { my ($node, $sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql) }

# Change the interval, and let a sealer end that has just begun.
sub interval
{
	my ($node, $seconds) = @_;

	$node->append_conf('postgresql.conf', "authz.audit_seal_interval = $seconds");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT setting = '$seconds' FROM pg_settings WHERE name = 'authz.audit_seal_interval'") or die;
	Time::HiRes::sleep(0.1);
	wait_for_end($node);
}

# How many sealers have been started.
sub starts { return scalar(() = slurp_file($_[0]->logfile) =~ /starting background worker process "authz audit sealer/g) }

# Wait until none is at work.
sub wait_for_end { $_[0]->poll_query_until('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'authz audit sealer'}, '0') or die }

# Wait until so many more have begun, and ended.
sub wait_for_sealers
{
	my ($node, $n) = @_;
	my $until = starts($node) + $n;

	for (1 .. 500)
	{
		last if starts($node) >= $until;
		Time::HiRes::sleep(0.02);
	}
	die 'no sealer comes' if starts($node) < $until;
	wait_for_end($node);
}

# Is everything sealed, within seconds, and as it should be?
sub sealed
{
	my ($node, $name, $database) = @_;

	ok($node->poll_query_until($database // 'postgres', "$unsealed = 0", 't'), "$name: sealed");
	is(sql($node, 'SELECT count(*) > 0 AND bool_and(ok) FROM authz.audit_verify()', $database), 't', "$name: verified");
}

# Keep sealers out until the session ends its transaction.
sub lock_batches
{
	my ($node) = @_;
	my $session = AuthzSession->on($node);

	die if $session->query('BEGIN; LOCK TABLE authz.audit_batch IN SHARE MODE') =~ /^ERROR/;
	return $session;
}

# The sealer that waits for the lock.
sub waiting
{
	my ($node) = @_;
	my $pid = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'authz audit sealer' AND wait_event_type = 'Lock'};

	$node->poll_query_until('postgres', "SELECT EXISTS ($pid)") or die;
	return sql($node, $pid);
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
# DEBUG1 tells when a worker starts.
$node->append_conf('postgresql.conf', <<~CONF);
	shared_preload_libraries = 'authz'
	authz.audit_seal_interval = 1
	log_min_messages = debug1
	log_statement = none
	restart_after_crash = on
	autovacuum = off
	max_prepared_transactions = 5
	CONF
$node->start;
sql($node, "CREATE ROLE app LOGIN; $setup");
is(sql($node, q{SELECT setting, unit, context, boot_val FROM pg_settings WHERE name = 'authz.audit_seal_interval'}), '1|s|sighup|60', 'the interval is a parameter');
is(AuthzSession->on($node)->query('SET authz.audit_seal_interval = 0'), 'ERROR 55P02 parameter "authz.audit_seal_interval" cannot be changed now', 'not of a session');
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'authz launcher'}), '1', 'a launcher');

sql($node, $write);
sealed($node, 'a change');
is(sql($node, q{SELECT DISTINCT kind, sealed_by = current_user FROM authz.audit_batch}), 'seal|t', 'by the superuser of the cluster');
my $before = sql($node, $batches);
# One may have come while the change was in progress, and another one for what that left; then there is nothing to come for.
my $starts;
for (1 .. 5)
{
	$starts = starts($node);
	Time::HiRes::sleep(1.3);
	last if starts($node) == $starts;
}
is(starts($node), $starts, 'nothing new: no sealer comes');
is(sql($node, $batches), $before, 'nothing new: no batch');

# The other logs: a read; a denied attempt, which a writer records.
sql($node, 'SELECT * FROM seen');
is(sql($node, 'SELECT count(*) FROM authz.access_log'), '1', 'a read is on record');
sealed($node, 'a read');
is(AuthzSession->on($node, user => 'app')->query('INSERT INTO kept VALUES (1)'), 'ERROR 42501 permission denied to insert row in table "kept"', 'a denied attempt');
$node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM authz.denial_log') or die;
sealed($node, 'a denied attempt');
$before = sql($node, $batches);

# Only marked databases; whatever their owners, who are no superusers, have set: who the sealer is, where the
# tables are that it makes (of the month that is missing), that it is a template.
sql($node, 'CREATE ROLE owner; CREATE DATABASE second OWNER owner');
my $owner = AuthzSession->on($node, database => 'second');
sql($node, "SET ROLE owner; ALTER DATABASE second $_") for (map { "SET $_" } 'role = owner', 'session_authorization = owner', 'default_transaction_read_only = on',
	q{default_transaction_isolation = 'serializable'}, q{statement_timeout = '1ms'}, q{search_path = ''}, 'synchronous_commit = off', q{DateStyle = 'SQL, DMY'},
	q{TimeZone = 'Asia/Kolkata'}, 'bytea_output = escape', 'default_tablespace = pg_global'), 'IS_TEMPLATE true';
my $ahead = $owner->query(q{SELECT to_char(now() AT TIME ZONE 'UTC' + '3 months', '"authz.audit_log_"YYYYMM')});
$owner->query($_) =~ /^ERROR/ && die $owner->{error}{M} for split(/;\n/, $setup), 'ALTER EVENT TRIGGER authz_audit_forget DISABLE', "DROP TABLE $ahead",
	'ALTER EVENT TRIGGER authz_audit_forget ENABLE ALWAYS';
is($owner->query($write), '', 'a second database');
for (1 .. 50)
{
	last if $owner->query($unsealed) eq '0';
	Time::HiRes::sleep(0.1);
}
is($owner->query("$unsealed; SELECT bool_and(ok), to_regclass('$ahead') FROM authz.audit_verify()"), "0\nt|$ahead", 'a second database: sealed and verified, its month made');
sql($node, 'ALTER DATABASE second RESET ALL; ALTER DATABASE second IS_TEMPLATE false');
is(sql($node, $batches), $before, 'a second database: none in the first');

# A transaction that is open when a sealer comes, then prepared; the only one, so that none is newer.
my $session = AuthzSession->on($node);
my $had = sql($node, 'SELECT count(*) FROM authz.audit_log');
is($session->query("BEGIN; $write"), '', 'a transaction');
wait_for_sealers($node, 1);
is(sql($node, "SELECT count(*), ($unsealed) FROM authz.audit_log"), "$had|0", 'open: not sealed');
is($session->query(q{PREPARE TRANSACTION 'p'}), '', 'prepared');
wait_for_sealers($node, 1);
is(sql($node, "SELECT count(*), ($unsealed) FROM authz.audit_log"), "$had|0", 'prepared: not sealed');
is($session->query(q{COMMIT PREPARED 'p'}), '', 'committed');
$session->close;
sealed($node, 'committed');
is(sql($node, 'SELECT count(*) FROM authz.audit_log'), $had + 1, 'committed: on record');

# The interval is the configuration's, at any time.
interval($node, 0);
$starts = starts($node);
sql($node, $write);
Time::HiRes::sleep(1.2);
is(sql($node, $unsealed), '1', 'switched off: not sealed');
is(starts($node), $starts, 'switched off: no sealer');
interval($node, 1);
sealed($node, 'switched on again');

# A sealer is kept waiting, and ended.
my $log = -s $node->logfile;
my $lock = lock_batches($node);
sql($node, $write);
is(sql($node, 'SELECT pg_terminate_backend(' . waiting($node) . ')'), 't', 'a sealer is told to end');
$node->wait_for_log(qr/is not sealed now/, $log);
is(sql($node, $unsealed), '1', 'kept out: not sealed');
$lock->close;
sealed($node, 'let in again');
my $said = slurp_file($node->logfile, $log);
like($said, qr/FATAL:  terminating background worker "authz audit sealer" due to administrator command/, 'told to end: ends at once');
like($said, qr/LOG:  audit log of database "postgres" is not sealed now: a table of it is locked/, 'kept out: the log says it');
unlike($said, qr/ERROR:/, 'kept out: as no error');

# A synchronous standby that is not there keeps no sealer, nor its lock, nor any other database waiting.
$node->append_conf('postgresql.conf', q{synchronous_standby_names = 'nobody'});
$node->reload;
$node->poll_query_until('postgres', q{SELECT setting = 'nobody' FROM pg_settings WHERE name = 'synchronous_standby_names'}) or die;
for my $database (qw(postgres second postgres))
{
	sql($node, "SET synchronous_commit = local; $write", $database);
	sealed($node, "no standby, $database", $database);
}
sql($node, q{SET synchronous_commit = local; SELECT authz.audit_seal()});
# Who takes a digest waits: what it vouches for must not be lost with this server.
my $keeper = AuthzSession->on($node);
$keeper->send('SELECT length(authz.audit_digest()) > 100');
ok($node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%audit_digest()) >%' AND wait_event = 'SyncRep' AND pid <> pg_backend_pid())}),
	'no standby: a digest waits for it');
$node->append_conf('postgresql.conf', q{synchronous_standby_names = ''});
$node->reload;
$node->poll_query_until('postgres', q{SELECT setting = '' FROM pg_settings WHERE name = 'synchronous_standby_names'}) or die;
is($keeper->result, 't', 'no standby: until none is asked for');
$keeper->close;

# One that takes long keeps the others waiting: the log says it, once.
$log = -s $node->logfile;
sql($node, q{CREATE FUNCTION slow() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(12); RETURN true; END';
	ALTER TABLE authz.audit_batch ADD CONSTRAINT slow CHECK (slow()) NOT VALID});
sql($node, $write);
$node->wait_for_log(qr/LOG:  sealing the audit log of database with OID \d+ takes longer than 10 seconds/, $log);
ok($node->poll_query_until('postgres', "$unsealed = 0", 't'), 'slow: sealed');
is(scalar(() = slurp_file($node->logfile, $log) =~ /takes longer than/g), 1, 'slow: said once');
wait_for_end($node);
sql($node, 'ALTER TABLE authz.audit_batch DROP CONSTRAINT slow; DROP FUNCTION slow');

# Sealing fails.
$before = sql($node, 'SELECT max(batch) FROM authz.audit_batch');
sql($node, "ALTER TABLE authz.audit_batch ADD CONSTRAINT full_up CHECK (batch <= $before)");
$log = -s $node->logfile;
sql($node, $write);
my $began = Time::HiRes::time();
wait_for_sealers($node, 1);
$said = slurp_file($node->logfile, $log);
my $errors = () = $said =~ /ERROR:  new row for relation "audit_batch" violates check constraint "full_up"/g;
cmp_ok($errors, '>=', 1, 'failing: in the log');
cmp_ok($errors, '<=', Time::HiRes::time() - $began + 1, 'failing: once at each interval');
like($said, qr/CONTEXT: .*\n\tsealing the audit log of database "postgres"$/ms, 'failing: with the database');
sql($node, 'ALTER TABLE authz.audit_batch DROP CONSTRAINT full_up');
sealed($node, 'no longer failing');

# Databases that come and go, while there is always something to seal in them.
my $open = AuthzSession->on($node);
$open->query("BEGIN; $write");
is($owner->query($write), '', 'to be copied');
$owner->close;
is($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE second'), 0, 'a marked database is copied');
is(sql($node, "$write RETURNING t", 'copy') =~ s/\n.*//sr, 'x', 'a change in the copy');
my $dropped = sql($node, q{SELECT string_agg(oid::text, '|') FROM pg_database WHERE datname IN ('second', 'copy')});
$log = -s $node->logfile;
is($node->psql('postgres', 'DROP DATABASE second'), 0, 'a marked database is dropped');
wait_for_sealers($node, 1);
$open->query('COMMIT');
sealed($node, 'a copy', 'copy');
sql($node, $write, 'copy');
is($node->psql('postgres', 'DROP DATABASE copy WITH (FORCE)'), 0, 'a copy is dropped, with force');
unlike(slurp_file($node->logfile, $log), qr/ERROR:|FATAL:(?!  terminating background worker| .*does not exist)/, 'dropped: no error');
$log = -s $node->logfile;

# What is not ours is not called by a superuser's worker, nor templates; all databases are looked at when the server starts.
sql($node, 'CREATE ROLE impostor LOGIN');
sql($node, 'CREATE DATABASE imposture OWNER impostor');
sql($node, q{SET ROLE impostor; CREATE SCHEMA authz; CREATE TABLE authz.audit_batch (x int);
	CREATE FUNCTION authz.audit_seal() RETURNS bigint LANGUAGE sql AS 'INSERT INTO authz.audit_batch VALUES (1) RETURNING 1::bigint'}, 'imposture');
sql($node, 'CREATE DATABASE closed ALLOW_CONNECTIONS false');
sql($node, $write);
wait_for_sealers($node, 1);
interval($node, 86400);
unlike(slurp_file($node->logfile, $log), qr/"authz audit sealer for database ($dropped)"/, 'dropped: no sealer comes for it');

# Recorded, and the server crashes: sealed at once when it is there again.  A prepared transaction stays for later.
sql($node, "BEGIN; $write; PREPARE TRANSACTION 'p'");
sql($node, $write);
$node->stop('immediate');
$log = -s $node->logfile;
$node->start;
interval($node, 86400);
is(sql($node, $unsealed), '1', 'after a crash: what is newer than a prepared transaction is not sealed');
sql($node, q{COMMIT PREPARED 'p'});
interval($node, 1);
sealed($node, 'after a crash, and a prepared transaction');
interval($node, 86400);
sql($node, "$write; $write");
is(sql($node, $unsealed), '2', 'before another crash: not sealed');
$node->stop('immediate');
$node->start;
sealed($node, 'after another crash, without waiting for the interval');
is(sql($node, 'SELECT count(*) FROM authz.audit_batch', 'imposture'), '0', 'an impostor: not called');
my @looked_at = slurp_file($node->logfile, $log) =~ /starting background worker process "authz audit sealer for database (\d+)"/g;
is(sql($node, "SELECT string_agg(DISTINCT datname, ' ' ORDER BY datname) FROM pg_database WHERE oid IN (" . join(', ', @looked_at) . ')'), 'imposture postgres', 'no template, and none that takes no connection');

# Sealers, writers and who seals by hand at once; a sealer is killed and the server starts again.
interval($node, 1);
my $script = $node->basedir . '/write.sql';
append_to_file($script, "BEGIN;\n$write;\n$write;\nCOMMIT;\n");
my $seal = $node->basedir . '/seal.sql';
append_to_file($seal, "SELECT authz.audit_seal();\n\\sleep 50 ms\n");
my @pgbench = ('pgbench', '-n', '-h', $node->host, '-p', $node->port, '-T', 1);
my $writers = IPC::Run::start([ @pgbench, '-c', 2, '-f', $script, 'postgres' ], '>', \my $out, '2>', \my $complaints);
command_ok([ @pgbench, '-c', 1, '-f', $seal, 'postgres' ], 'beside who seals by hand');
$writers->finish;
is($writers->result(0), 0, 'beside writers') or diag $complaints;
sealed($node, 'under load');
$lock = lock_batches($node);
sql($node, $write);
kill 'KILL', waiting($node);
Time::HiRes::sleep(0.02) while $lock->query('SELECT 1') eq '1';
$node->poll_query_until('postgres', 'SELECT true') or die;
sealed($node, 'a sealer was killed');

# Shutdown does not wait for a sealer that waits for a lock that outlives sessions.
sql($node, q{BEGIN; LOCK TABLE authz.audit_batch IN SHARE MODE; PREPARE TRANSACTION 'lock'});
sql($node, $write);
for my $mode (qw(fast smart))
{
	waiting($node);
	$began = Time::HiRes::time();
	$node->stop($mode);
	cmp_ok(Time::HiRes::time() - $began, '<', 3, "$mode shutdown while a sealer waits");
	$node->start if $mode eq 'fast';
}

# No place for a sealer (the other one is logical replication's): said once, and it can be done by hand.
$log = -s $node->logfile;
$node->append_conf('postgresql.conf', "max_worker_processes = 2\nauthz.denial_queue_size = 0");
$node->start;
sql($node, q{ROLLBACK PREPARED 'lock'});
Time::HiRes::sleep(1.3);
is(sql($node, $unsealed), '1', 'no place for a sealer: not sealed');
is(sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'authz launcher'}), '1', 'a launcher, also without a queue of denials');
is(scalar(() = slurp_file($node->logfile, $log) =~ /LOG:  no background worker is free to seal audit logs/g), 1, 'no place for a sealer: the log says it once');
sql($node, 'SELECT authz.audit_seal()');
is(sql($node, $unsealed), '0', 'no place for a sealer: by hand');
sql($node, "DROP DATABASE $_") for qw(imposture closed);
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;

# A standby seals when it has become a primary.
interval($node, 0);
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'authz.audit_seal_interval = 1');
$standby->start;
sql($node, $write);
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(sql($standby, $unsealed), '1', 'standby: not sealed');
is(sql($standby, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}), '0', 'standby: no worker');
$standby->promote;
sealed($standby, 'promoted');
is(sql($node, $unsealed), '1', 'and the old one has not sealed');
$standby->stop;

# The extension goes, and comes.
interval($node, 1);
sealed($node, 'before the extension goes');
sql($node, "$write; DROP EXTENSION authz CASCADE");
wait_for_sealers($node, 1);
sql($node, 'DROP TABLE doc, seen, kept; ' . $setup);
sealed($node, 'the extension came again');
$node->stop;

for my $cluster ($node, $standby)
{
	unlike(slurp_file($cluster->logfile), qr/PANIC:|TRAP:|terminated by signal (?!9)|WARNING: .*(leak|still referenced)/, $cluster->name . ': a clean log');
}
done_testing();
