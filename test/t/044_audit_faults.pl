# 044_audit_faults.pl
#	  What stops the writing of a record stops the change, and a read: a full disk (the log, its indexes, what it
#	  has out of line, the WAL), memory, a lock, a cancelled or terminated session.  Sealing too is all or nothing.
#
# PostgreSQL ignores SIGXFSZ, so a backend under RLIMIT_FSIZE sees what it would see of a full disk: it cannot
# extend a file.  The limit is that backend's alone and can be lifted again.  WAL segments of 1 MB stay below it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;

plan skip_all => 'no prlimit here (util-linux)' if system('prlimit --version >/dev/null 2>&1');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--wal-segsize=1', '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', <<~CONF);
	log_statement = none
	autovacuum = off
	restart_after_crash = on
	session_preload_libraries = 'authz'
	CONF
$node->start;
my $file = $node->basedir . '/rows.copy';
append_to_file($file, "900001\ty\n900002\ty\n");
$node->safe_psql('postgres', <<~'SQL');
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	GRANT pg_read_server_files TO app;
	CREATE TABLE doc (id int PRIMARY KEY, t text);
	CREATE TABLE part_of (id int PRIMARY KEY, doc int REFERENCES doc ON DELETE CASCADE);
	CREATE TABLE marker (id int);
	CREATE TABLE long (id int PRIMARY KEY, t text);
	CREATE TABLE unaudited (id int);
	CREATE TABLE patient (id int PRIMARY KEY, name text);
	INSERT INTO patient SELECT i, 'secret ' || i FROM generate_series(1, 10) i;
	CREATE TABLE large AS SELECT repeat('x', 100 * 1024 * 1024) AS t;
	GRANT ALL ON doc, part_of, marker, long, unaudited, patient, large TO app;
	CREATE FUNCTION caught(command text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE command;
		RETURN 'done';
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO unaudited VALUES (1);
		RETURN 'caught';
	END $$;
	CREATE PROCEDURE read_often(n int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. n LOOP
			PERFORM count(*) FROM patient;
			IF i % 500 = 0 THEN COMMIT; END IF;
		END LOOP;
	END $$;
	SELECT authz.audit(t) FROM unnest('{doc,part_of,marker,long}'::regclass[]) t;
	SELECT authz.audit('patient', reads => true);
	INSERT INTO doc SELECT i, 'x' FROM generate_series(1, 6000) i;
	INSERT INTO part_of SELECT i, i FROM generate_series(1, 10) i;
	SQL
my ($audit_log, $access_log) = map { $node->safe_psql('postgres', "SELECT 'authz.$_' || to_char(now() AT TIME ZONE 'UTC', '_YYYYMM')") } qw(audit_log access_log);

sub size { $node->safe_psql('postgres', "SELECT pg_relation_size('$_[0]')") }

# Let a session's files grow to so many bytes, or its memory by so many.
sub limit_files { command_ok([ 'prlimit', '--pid', $_[0]{pid}, "--fsize=$_[1]:" ], $_[2]) }
sub limit_memory
{
	my ($session, $more) = @_;
	my ($now) = slurp_file("/proc/$session->{pid}/status") =~ /^VmSize:\s+(\d+) kB/m or die;

	command_ok([ 'prlimit', '--pid', $session->{pid}, '--as=' . ($now * 1024 + $more) . ':' ], 'little memory');
}

# Rows and records of all that is audited, and where what the records of doc say is not what is there.
my $state = <<~'SQL';
	WITH said AS (
		SELECT (l.key ->> 'id')::int AS id, (array_agg(l.action ORDER BY l.id DESC))[1] AS last,
			(array_agg(l.new_values ->> 't' ORDER BY l.id DESC) FILTER (WHERE l.new_values ? 't'))[1] AS t
		FROM authz.audit_log l WHERE l.relation = 'public.doc' AND l.key IS NOT NULL GROUP BY 1)
	SELECT (SELECT count(*) FROM doc), (SELECT count(*) FROM part_of), (SELECT count(*) FROM long), (SELECT count(*) FROM authz.audit_log),
		(SELECT count(*) FROM (SELECT * FROM said WHERE last <> 'delete') s FULL JOIN doc d USING (id) WHERE s.t IS DISTINCT FROM d.t);
	SQL
sub state { $node->safe_psql('postgres', $state) }
sub sealed_and_verified
{
	my ($name) = @_;

	$node->safe_psql('postgres', 'SELECT authz.audit_seal()');
	is($node->safe_psql('postgres', 'SELECT count(*) > 0 AND bool_and(ok) FROM authz.audit_verify()'), 't', "$name: sealed, verified")
		or diag $node->safe_psql('postgres', 'SELECT * FROM authz.audit_verify() WHERE NOT ok');
	is($node->safe_psql('postgres', 'SELECT sum(records) = (SELECT count(*) FROM authz.audit_log) + (SELECT count(*) FROM authz.access_log) FROM authz.audit_batch'), 't', "$name: every record is in a batch");
}

my $full = qr/^ERROR \S+ could not (?:extend|write to|write block \d+ in) file/;
my $session = AuthzSession->on($node, user => 'app');

# The log itself is full: no way to change anything.
my $limit = size($audit_log);
cmp_ok($limit, '>', 1_100_000, 'the log is larger than a WAL segment');
cmp_ok($limit, '>', 2 * size('doc'), 'and than what is in it');
limit_files($session, $limit, 'full: the log');
# (Records of TRUNCATE are the smallest: they fill the last page.)
my $fill;
for (1 .. 200) { last if ($fill = $session->query('TRUNCATE marker')) =~ /^ERROR/ }
like($fill, $full, 'full');
like($session->{error}{M}, qr/"\Q@{[ $node->safe_psql('postgres', "SELECT pg_relation_filepath('$audit_log')") ]}\E"/, 'it is the log');
my $before = state();
for my $change (
	'INSERT INTO doc VALUES (900000, $$y$$)',
	'INSERT INTO doc SELECT i, $$y$$ FROM generate_series(900000, 903000) i',
	"COPY doc FROM '$file'",
	'UPDATE doc SET t = $$y$$ WHERE id = 1',
	'UPDATE doc SET t = $$y$$',
	'DELETE FROM doc WHERE id = 6000',
	'DELETE FROM doc WHERE id = 1',    # and of part_of
	'DELETE FROM doc',
	'INSERT INTO doc VALUES (1, $$y$$), (900000, $$y$$) ON CONFLICT (id) DO UPDATE SET t = excluded.t',
	'MERGE INTO doc USING (VALUES (1)) v(i) ON i = id WHEN MATCHED THEN UPDATE SET t = $$y$$',
	'WITH d AS (DELETE FROM part_of RETURNING id) INSERT INTO unaudited SELECT id FROM d',
	'BEGIN; INSERT INTO unaudited VALUES (2); UPDATE doc SET t = $$y$$ WHERE id = 2; COMMIT',
	'BEGIN; UPDATE doc SET t = $$y$$ WHERE id = 2; PREPARE TRANSACTION $$p$$',
	'SET session_replication_role = replica; UPDATE doc SET t = $$y$$ WHERE id = 2',
	'TRUNCATE doc CASCADE')
{
	my $as = $change =~ /^SET/ ? AuthzSession->on($node) : $session;

	limit_files($as, $limit, 'for a superuser too') if $as != $session;
	like($as->query($change), $full, "fails: $change");
	$session->query('ROLLBACK');
}
is(state(), $before, 'nothing is changed, nothing recorded');
is($node->safe_psql('postgres', 'SELECT count(*) FROM unaudited'), 0, 'nor what was changed with it');
is($session->query('SELECT caught($$UPDATE doc SET t = 1 WHERE id = 1$$)'), 'caught', 'caught in a function');
is($session->query('UPDATE doc SET t = t; SELECT count(*) FROM doc'), '6000', 'what changes nothing, and reading, go on');
is($session->query('BEGIN; INSERT INTO unaudited VALUES (3); SAVEPOINT s'), '', 'in a transaction');
like($session->query('DELETE FROM doc WHERE id = 3'), $full, 'a change fails');
is($session->query('ROLLBACK TO s; INSERT INTO unaudited VALUES (4); COMMIT'), '', 'back to the savepoint');
is($node->safe_psql('postgres', q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM unaudited}), '1 3 4', 'and what is not audited is there');
is(state(), $before, 'nothing is changed, nothing recorded, still');
sealed_and_verified('full');
limit_files($session, 'unlimited', 'room');
is($session->query('UPDATE doc SET t = $$z$$ WHERE id < 100; DELETE FROM doc WHERE id = 5; INSERT INTO doc SELECT i, $$y$$ FROM generate_series(900000, 901499) i'), '', 'all goes on');
is(state(), '7499|9|0|' . ((split /\|/, $before)[3] + 99 + 2 + 1500) . '|0', 'each change with its record');
sealed_and_verified('room');

# An index of it is full; what the log has out of line is full.
$node->safe_psql('postgres', <<~SQL);
	CREATE FUNCTION pad(id bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
		\$\$ SELECT string_agg(md5(id::text || i), '') FROM generate_series(1, 15) i \$\$;
	CREATE INDEX padded ON $audit_log (pad(id));
	INSERT INTO long SELECT i, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 250) WHERE i > 0) FROM generate_series(1, 1000) i;
	SQL
my $toast = $node->safe_psql('postgres', "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = '$audit_log'::regclass");
for my $part ([ 'authz.padded', 'INSERT INTO doc VALUES (%d, $$i$$)' ], [ $toast, 'UPDATE long SET t = (SELECT string_agg(md5(random()::text), $$$$) FROM generate_series(1, 250)) WHERE id = %d - 910000' ])
{
	my ($relation, $change) = @$part;
	my ($result, $n);

	$limit = size($relation);
	cmp_ok($limit, '>', size($audit_log) + 100_000, "$relation is larger than the log");
	$node->safe_psql('postgres', 'VACUUM long; DROP INDEX authz.padded') if $relation eq $toast;
	limit_files($session, $limit, "full: $relation");
	for $n (1 .. 300)
	{
		$before = state() if $n == 1 || $n % 10 == 0;
		last if ($result = $session->query(sprintf $change, 910000 + $n)) =~ /^ERROR/;
	}
	like($result, $full, "$relation: fails");
	like($session->{error}{M}, qr/"\Q@{[ $node->safe_psql('postgres', "SELECT pg_relation_filepath('$relation')") ]}\E"/, 'at that file');
	$before = state();
	like($session->query('INSERT INTO doc SELECT i, $$y$$ FROM generate_series(920000, 921000) i'), $full, 'many fail') if $relation ne $toast;
	like($session->query('UPDATE long SET t = upper(t)'), $full, 'long ones fail');
	is(state(), $before, "$relation: nothing is changed, nothing recorded");
	limit_files($session, 'unlimited', 'room');
	is($session->query(sprintf $change, 911000 - 1), '', 'goes on');
	sealed_and_verified($relation);
}
is((split /\|/, state())[4], 0, 'rows are what the records say');

# Reads: none without its record, but one line in the server's log of what may have been sent.
$node->safe_psql('postgres', 'CALL read_often(6000)');
$limit = size($access_log);
cmp_ok($limit, '>', 1_100_000, 'the log of reads is larger than a WAL segment');
limit_files($session, $limit, 'full: the log of reads');
my $result;
for (1 .. 100) { last if ($result = $session->query('SELECT count(*) FROM patient')) =~ /^ERROR/ }
like($result, $full, 'a read that cannot be recorded fails');
my $reads = $node->safe_psql('postgres', 'SELECT count(*) FROM authz.access_log');
my $mark = -s $node->logfile;
for my $read (
	'SELECT * FROM patient WHERE id = 3',
	'SELECT name FROM patient',
	'COPY patient TO STDOUT',
	'DO $$ BEGIN PERFORM name FROM patient; END $$',
	'BEGIN; DECLARE c CURSOR FOR SELECT * FROM patient; MOVE ALL IN c; CLOSE c',
	'CREATE TEMP TABLE copied AS SELECT * FROM patient',
	'INSERT INTO unaudited SELECT id FROM patient')
{
	like($session->query($read), $full, "fails: $read");
	$session->query('ROLLBACK');
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM authz.access_log'), $reads, 'nothing recorded');
my $logged = slurp_file($node->logfile, $mark);
is(scalar(() = $logged =~ /LOG:  authz access: \{.*"cause": ?"aborted"/g), 7, 'each is a line in the log');
unlike($logged, qr/secret \d/, 'that tells no value');
is($session->query('SELECT count(*) > 0 FROM doc'), 't', 'what is not audited for reads is read');
is($session->query('UPDATE doc SET t = $$w$$ WHERE id = 2; SELECT t FROM doc WHERE id = 2'), 'w', 'and changed');
limit_files($session, 'unlimited', 'room');
is($session->query('SELECT name FROM patient WHERE id = 3'), 'secret 3', 'goes on');
is($node->safe_psql('postgres', 'SELECT count(*) FROM authz.access_log'), $reads + 1, 'recorded');

# Memory: what is written is small, as it is compressed; the record needs it whole.
limit_memory($session, 60 * 1024 * 1024);
$before = state();
like($session->query('INSERT INTO long SELECT 5000, t FROM large'), qr/^ERROR 53200/, 'no memory for the record');
is(state(), $before, 'nothing is changed, nothing recorded');
is($session->query('SELECT caught($$INSERT INTO long SELECT 5000, t FROM large$$)'), 'caught', 'caught in a function');
is($session->query('INSERT INTO long VALUES (5001, $$small$$)'), '', 'a small one goes on');
command_ok([ 'prlimit', '--pid', $session->{pid}, '--as=unlimited:' ], 'memory');
is($session->query('INSERT INTO long SELECT 5000, t FROM large'), '', 'goes on');
is($node->safe_psql('postgres', q{SELECT new_values -> 't' -> 'length' FROM authz.audit_log WHERE relation = 'public.long' AND key = '{"id": 5000}'}), 100 * 1024 * 1024, 'with its record');

# A wait, for who has locked the log: its time runs out, it is cancelled, the session is terminated.
my $locker = AuthzSession->on($node);
my $waits = q{SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = %d)};
my $many = 'INSERT INTO doc SELECT i, $$y$$ FROM generate_series(930000, 931000) i';
$before = state();
$locker->query("BEGIN; LOCK TABLE $audit_log IN ACCESS EXCLUSIVE MODE");
like($session->query("SET lock_timeout = '50ms'; $many"), qr/^ERROR 55P03/, 'lock_timeout');
like($session->query("SET lock_timeout = 0; SET statement_timeout = '50ms'; $many"), qr/^ERROR 57014/, 'statement_timeout');
$session->query('RESET statement_timeout');
for my $how ([ pg_cancel_backend => qr/^ERROR 57014/ ], [ pg_terminate_backend => qr/^ERROR 57P01/ ])
{
	$session->send($many);
	$node->poll_query_until('postgres', sprintf $waits, $session->{pid}) or die;
	$node->safe_psql('postgres', "SELECT $how->[0]($session->{pid})");
	like($session->result, $how->[1], $how->[0]);
}
# Two who wait for each other.
my @pair = map { AuthzSession->on($node, user => $_) } 'app', 'postgres';
$pair[1]->query("SET deadlock_timeout = '20s'; BEGIN; LOCK TABLE part_of");
$locker->query('ROLLBACK');
$locker->close;
$pair[0]->query('BEGIN; UPDATE doc SET t = $$v$$ WHERE id = 4');
$pair[1]->send("LOCK TABLE $audit_log IN ACCESS EXCLUSIVE MODE");
$node->poll_query_until('postgres', sprintf $waits, $pair[1]{pid}) or die;
like($pair[0]->query('DELETE FROM part_of'), qr/^ERROR 40P01/, 'a deadlock');
$pair[0]->query('COMMIT');
$pair[1]->result;
$pair[1]->query('ROLLBACK');
is(state(), $before, 'nothing is changed, nothing recorded');

# Sealing on a full disk: no batch, no page of its list; later all of it.
$node->safe_psql('postgres', 'INSERT INTO doc SELECT i, $$s$$ FROM generate_series(1000000, 1070000) i; SELECT authz.audit_seal()');
my $pages = $node->safe_psql('postgres', q{SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'authz.audit_page'::regclass});
my $sealed = q{SELECT (SELECT count(*) FROM authz.audit_batch), (SELECT count(*) FROM authz.audit_page), (SELECT max(batch) FROM authz.audit_batch)};
my $digest = $node->safe_psql('postgres', 'SELECT authz.audit_digest()');
my $sealer = AuthzSession->on($node);
$limit = size($pages);
cmp_ok($limit, '>', 1_100_000, 'the lists of batches are larger than a WAL segment');
limit_files($sealer, $limit, 'full: the lists of batches');
$node->safe_psql('postgres', 'UPDATE doc SET t = $$t$$ WHERE id >= 1000000 AND id < 1005000');
$before = $node->safe_psql('postgres', $sealed);
like($sealer->query('SELECT authz.audit_seal()'), $full, 'sealing fails');
is($node->safe_psql('postgres', $sealed), $before, 'nothing is sealed, nor half of it');
is($node->safe_psql('postgres', "SELECT bool_and(ok) FROM authz.audit_verify('$digest')"), 't', 'what was, verifies');
like($sealer->query('SELECT authz.audit_retain($$1 year$$)'), $full, 'retention, which seals first, fails');
limit_files($sealer, 'unlimited', 'room');
is($sealer->query('SELECT authz.audit_seal()'), (split /\|/, $before)[2] + 1, 'sealed later, in the next batch');
is($node->safe_psql('postgres', "SELECT bool_and(ok) FROM authz.audit_verify('$digest')"), 't', 'verified');
$sealer->close;

# No room for the WAL: the server panics, and recovers to changes that have their records.  (In another database,
# where the log is smaller than a WAL segment.)
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', <<~'SQL');
	CREATE EXTENSION authz;
	CREATE TABLE doc (id int PRIMARY KEY, t text);
	GRANT ALL ON doc TO app;
	SELECT authz.audit('doc');
	INSERT INTO doc VALUES (0, 'first');
	SELECT authz.audit_seal();
	SQL
$digest = $node->safe_psql('other', 'SELECT authz.audit_digest()');
$session = AuthzSession->on($node, user => 'app', database => 'other');
limit_files($session, 600 * 1024, 'full: the WAL');
my $done;
for my $n (1 .. 100)
{
	last if ($result = $session->query("INSERT INTO doc SELECT i, 'w' FROM generate_series(100 * $n, 100 * $n + 99) i")) =~ /^ERROR/;
	$done = $n;
}
like($result, qr/^ERROR (?!XX000 could not extend)/, 'fails');
$node->poll_query_until('other', 'SELECT true') or die;
like(slurp_file($node->logfile), qr/PANIC: .*could not write to (?:log )?file/, 'panic');
my ($rows, $whole, $last) = split /\|/, $node->safe_psql('other', 'SELECT count(*), count(*) % 100 = 1, max(id) / 100 FROM doc');
cmp_ok($last, '>=', $done // 0, 'what was committed is there');
is($whole, 't', 'in whole statements');
is($node->safe_psql('other', <<~'SQL'), "$rows|$rows|$rows", 'and each row has one record');
	SELECT count(l.id), count(DISTINCT l.id), count(*) FROM doc d FULL JOIN (SELECT * FROM authz.audit_log WHERE relation = 'public.doc' AND action = 'insert') l
		ON l.key = jsonb_build_object('id', d.id) AND l.new_values ->> 't' = d.t
	SQL
is($node->safe_psql('other', "SELECT bool_and(ok) FROM authz.audit_verify('$digest')"), 't', 'verified, with the digest of before');
$node->safe_psql('other', 'SELECT authz.audit_seal()');
is($node->safe_psql('other', 'SELECT bool_and(ok) FROM authz.audit_verify()'), 't', 'sealed, verified');
is((split /\|/, state())[4], 0, 'so it is in the first database');
sealed_and_verified('recovered');

$node->stop;
done_testing();
