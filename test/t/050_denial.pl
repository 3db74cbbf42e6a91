# 050_denial.pl
#	  Denied attempts leave a record that outlives the rollback they cause: written to
#	  authz.denial_log by a worker, or to the server's log where there is none or it cannot
#	  keep up; counted either way, and never with a token, a claim of a refused one, or a row's value.
use strict;
use warnings;

use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

use AuthzSession;
use AuthzToken;

my $setup = <<~'SQL' . issuer_sql();
	CREATE EXTENSION authz;
	CREATE TABLE orders (id int, tenant bigint, note text);
	CREATE TABLE notes (id int, note text);
	GRANT ALL ON orders, notes TO app;
	SELECT authz.create_role('tenant');
	SELECT authz.protect('orders'), authz.protect('notes');
	SELECT authz.create_policy('tenant', 'orders', '{select,insert,update}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_policy('own', 'notes', '{insert}', 'note = ''own''', '{tenant}');
	GRANT EXECUTE ON FUNCTION authz.assume TO app;
	SQL
my $alice = token('alice', ['tenant'], tenant => 3, jti => 'a-1');
my $denied = q{INSERT INTO orders VALUES (1, 7, 'foreign value')};
my $refused = 'ERROR 42501 permission denied to insert row in table "orders"';
my $log = 0;

# A cluster with the library preloaded.
sub start
{
	my ($name, $settings, %with) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(extra => ['--encoding=UTF8', '--no-locale'], %with);
	$node->append_conf('postgresql.conf', "max_connections = 50\nlog_statement = none\nlog_min_error_statement = panic\nrestart_after_crash = on\n"
		  . "shared_preload_libraries = 'authz'\nauthz.audit_seal_interval = 0\n$settings\n");
	$node->start;
	$node->safe_psql('postgres', "CREATE ROLE app LOGIN; $setup");
	return $node;
}

# A session of alice's.
sub app
{
	my ($node, %with) = @_;
	my $session = AuthzSession->on($node, user => 'app', %with);

	die if $session->query("SET authz.token = '$alice'") =~ /^ERROR/;
	return $session;
}

sub mark_log { my ($node) = @_; $log = -s $node->logfile }

# Records in the server's log since then, as perl data.
sub logged
{
	my ($node) = @_;

	return map { JSON::PP->new->utf8->decode($_) } slurp_file($node->logfile, $log) =~ /LOG:  authz denial: (\{.*\})$/mg;
}

# Wait until the log of a database has so many rows; returns how many it has.
sub rows
{
	my ($node, $n, $database) = @_;

	$node->poll_query_until($database // 'postgres', "SELECT count(*) >= $n FROM authz.denial_log");
	return $node->safe_psql($database // 'postgres', 'SELECT count(*) FROM authz.denial_log');
}

# Statistics as a hash.
sub stats
{
	my ($node) = @_;
	my %stats;

	@stats{qw(size pending queued written logged waited)} = split /\|/, $node->safe_psql('postgres', 'SELECT * FROM authz.denial_stats()');
	return \%stats;
}

# Wait until the queue is empty.
sub drained { $_[0]->poll_query_until($_[1] // 'postgres', 'SELECT pending = 0 FROM authz.denial_stats()') or die 'the queue does not drain' }

# Keep writers out of the log until the session ends its transaction.
sub lock_log
{
	my ($node) = @_;
	my $session = AuthzSession->on($node);

	die if $session->query('BEGIN; LOCK TABLE authz.denial_log IN SHARE MODE') =~ /^ERROR/;
	return $session;
}

# Is a writer waiting for the lock?
sub writer_waits { $_[0]->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE relation = 'authz.denial_log'::regclass AND NOT granted}) or die }

# Those that need half a minute of waiting run beside the others: no place for a writer, and the queue switched off.
my $crowded = start('crowded', 'max_worker_processes = 2');    # the other one is logical replication's
$crowded->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}) or die;
my $crowded_session = app($crowded);
is($crowded_session->query($denied), $refused, 'no place for a writer: refused');
my $off = start('off', 'authz.denial_queue_size = 0');
mark_log($off);
is(app($off)->query($denied), $refused, 'a queue of size 0: refused');
is(scalar(logged($off)), 1, 'a queue of size 0: in the log');
is($off->safe_psql('postgres', q{SELECT string_agg(backend_type, ', ') FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}), 'authz launcher', 'a queue of size 0: no writer');
is($off->safe_psql('postgres', q{SELECT authz.denial_stats() IS NULL AND (SELECT count(*) FROM authz.denial_log) = 0}), 't', 'a queue of size 0: no statistics, no row');
$off->stop;

my $node = start('main', "authz.denial_queue_size = 8\ncompute_query_id = on\nmax_wal_senders = 4\nwal_level = replica", allows_streaming => 1);
is($node->safe_psql('postgres', q{SHOW authz.denial_queue_size}), '8', 'the size of the queue is a parameter when preloaded');
is($node->safe_psql('postgres', q{SELECT string_agg(backend_type, ', ') FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}),
	'authz launcher', 'one launcher, no writer');

# What a rollback takes back, and what it does not.
mark_log($node);
my $session = app($node, options => '-c application_name=shop');
$session->query(q{BEGIN; INSERT INTO orders VALUES (1, 3, 'mine')});
my $xid = $session->query('SELECT pg_current_xact_id()');
my $vxid = $session->query(q{SELECT virtualtransaction FROM pg_locks WHERE pid = pg_backend_pid() LIMIT 1});
is($session->query("SAVEPOINT s; $denied"), $refused, 'within a savepoint');
is($session->query("ROLLBACK TO s; UPDATE orders SET tenant = 4"), 'ERROR 42501 permission denied to update row in table "orders"', 'and again after it');
$session->query('ROLLBACK');
is(rows($node, 2), '2', 'rolled back: both attempts are on record');
is($node->safe_psql('postgres', 'SELECT count(*) FROM orders'), '0', 'rolled back: nothing else is');
is($node->safe_psql('postgres', q{SELECT id, attempt_transaction_id, virtual_transaction, pid, database_role, subject, issuer, token_id, roles, client_address,
	application_name, kind, action, relation, reason, query_id <> 0, now() - recorded_at BETWEEN '0 s' AND '1 min',
	recorded_at - statement_at BETWEEN '0 s' AND '1 min', policy_version = authz.policy_version(), trail, actor, transaction_id <> attempt_transaction_id FROM authz.denial_log ORDER BY id}),
	join("\n", map { "$_->[0]|$xid|$vxid|$session->{pid}|app|alice|" . ISSUER . "|a-1|{tenant}||shop|write|$_->[1]|public.orders|no policy permits the new row|t|t|t|t|||t" } [ 1, 'insert' ], [ 2, 'update' ]),
	'what is on record of them');
is($session->query('TRUNCATE notes'), 'ERROR 42501 permission denied to truncate table "notes"', 'TRUNCATE');
rows($node, 3);
is($node->safe_psql('postgres', q{SELECT kind, action, relation, subject, reason FROM authz.denial_log WHERE id = 3}),
	'truncate|truncate|public.notes|alice|no policy for truncate permits it', 'TRUNCATE: on record');
is($session->query(q{DO $$ BEGIN FOR i IN 1 .. 3 LOOP BEGIN INSERT INTO orders VALUES (i, 7); EXCEPTION WHEN insufficient_privilege THEN END; END LOOP; END $$}),
	'', 'refusals that a function caught');
is(rows($node, 6), '6', 'refusals that a function caught: on record, each');
is(AuthzSession->on($node, user => 'app')->query($denied), $refused, 'nobody known');
rows($node, 7);
is($node->safe_psql('postgres', q{SELECT subject IS NULL, issuer IS NULL, token_id IS NULL, roles FROM authz.denial_log WHERE id = 7}), 't|t|t|{}', 'nobody known: on record');
is(scalar(logged($node)), 0, 'none of all these in the server\'s log');

# A read-only transaction, and a database that is read-only by default.
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET default_transaction_read_only = on; ALTER DATABASE postgres SET synchronous_commit = off});
$session = AuthzSession->on($node, user => 'app');
is($session->query(q{BEGIN READ ONLY; SET LOCAL authz.token = 'a.b.c'}), 'ERROR 28000 token refused: not canonical base64url', 'read-only');
$session->query('ROLLBACK; RESET authz.token');
is(rows($node, 8), '8', 'read-only: on record');
$node->safe_psql('postgres', q{SET default_transaction_read_only = off; ALTER DATABASE postgres RESET ALL});

# Tokens: each SET once, what could not be verified at SET once for all uses.
my %bad = (
	'it has expired' => token('claimed subject', ['claimed role'], exp => time - 60),
	'it is for another audience' => token('claimed subject', [], aud => 'claimed audience'),
	'its signature does not hold' => AuthzToken::sign({ iss => ISSUER, aud => AUDIENCE, sub => 'claimed', exp => time + 60 }, secret => 'w' x 40));
my $n = 8;
$session = app($node);
for my $reason (sort keys %bad)
{
	is($session->query("SET authz.token = '$bad{$reason}'"), "ERROR 28000 token refused: $reason", "SET: $reason");
	like($session->query('SELECT count(*) FROM orders'), qr/^ERROR 28000 the last attempt/, "SET: $reason: nothing works") for 1 .. 3;
	is($session->query("SELECT authz.login('$bad{$reason}')"), "ERROR 28000 token refused: $reason", "login: $reason");
	$n += 2;
	is(rows($node, $n), $n, "$reason: two attempts, two records");
	is($node->safe_psql('postgres', "SELECT DISTINCT kind, action, relation, subject, issuer, token_id, roles, reason FROM authz.denial_log WHERE id > $n - 2"),
		"token|set||||||$reason", "$reason: nothing of the token on record");
}
$session = AuthzSession->on($node, user => 'app', options => "-c authz.token=$bad{'it has expired'}");
is($session->query('SELECT count(*) FROM orders'), 'ERROR 28000 token refused: it has expired', 'start-up option') for 1 .. 5;
$n++;
is(rows($node, $n), $n, 'start-up option: five uses, one record');
$session = app($node);
$node->safe_psql('postgres', q{SELECT authz.revoke_token('} . ISSUER . q{', 'a-1')});
is($session->query('SELECT count(*) FROM orders'), 'ERROR 28000 token refused: it has been revoked', 'revoked while in use') for 1 .. 5;
$n++;
is(rows($node, $n), $n, 'revoked while in use: five uses, one record');
is($node->safe_psql('postgres', q{SELECT action, reason FROM authz.denial_log ORDER BY id DESC LIMIT 2}), "use|it has been revoked\nuse|it has expired", 'their reasons');
$node->safe_psql('postgres', 'DELETE FROM authz.revoked_token');

# The identity is lost within the refused statement: the refusal stays what it is.
$node->safe_psql('postgres', q{CREATE FUNCTION revoke_own() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM authz.revoke_token('} . ISSUER . q{', 'a-1'); RETURN 1; END $$});
is(app($node)->query(q{INSERT INTO notes VALUES (revoke_own(), 'foreign value')}), 'ERROR 42501 permission denied to insert row in table "notes"', 'identity lost on the way');
$n += 2;
is(rows($node, $n), $n, 'identity lost on the way: on record, and that it was lost');
is($node->safe_psql('postgres', q{SELECT kind, relation, subject IS NULL FROM authz.denial_log ORDER BY id DESC LIMIT 2}), "write|public.notes|t\ntoken||t", 'identity lost on the way: without it');

# Values that do not fit are cut between characters.
my $long = 'ü' x 512;
$node->safe_psql('postgres', q{SELECT authz.create_role('role ' || g || repeat('x', 200)) FROM generate_series(10, 40) g; CREATE TABLE "quo""ted ü" (id int); GRANT ALL ON "quo""ted ü" TO app; SELECT authz.protect('"quo""ted ü"')});
$session = AuthzSession->on($node, user => 'app');
for my $subject ($long, "\x01\"\\" x 300)
{
	my $literal = $subject =~ s/\x01/\\001/gr =~ s/\\"/"/gr;

	is($session->query($subject eq $long ? "SELECT authz.assume('$long', (SELECT array_agg(name) FROM (SELECT 'role ' || g || repeat('x', 200) FROM generate_series(10, 40) g) r(name)), '{}')"
			: q{SELECT authz.assume(repeat(E'\001"\\\\', 300), '{tenant}', '{}')}), $subject, 'a long subject');
	is($session->query(q{INSERT INTO "quo""ted ü" VALUES (1)}), 'ERROR 42501 permission denied to insert row in table "quo"ted ü"', 'a long subject: refused');
	$n++;
	is(rows($node, $n), $n, 'a long subject: on record');
}
is($node->safe_psql('postgres', qq{SELECT octet_length(subject) < 1024, subject = left('$long', length(subject) - 3) || '...', roles[1] LIKE 'role 10xxx%', roles[cardinality(roles)], relation
	FROM authz.denial_log WHERE subject LIKE 'ü%'}), qq{t|t|t|...|public."quo""ted ü"}, 'a long subject: cut between characters, and marked');
is($node->safe_psql('postgres', q{SELECT subject = left(repeat(E'\001"\\\\', 300), length(subject) - 3) || '...', roles FROM authz.denial_log WHERE subject LIKE E'\001%'}), 't|{tenant}', 'a subject of characters that JSON escapes');
is(scalar(logged($node)), 0, 'still none in the server\'s log');

# Many clients at once, in two databases; more than the queue holds.
$node->safe_psql('postgres', 'CREATE DATABASE second; CREATE DATABASE bare; CREATE DATABASE imposture; CREATE DATABASE goes');
$node->safe_psql($_, $setup) for qw(second goes);
my $stats;
my $before = stats($node);
my @clients = map { app($node, database => $_ % 2 ? 'second' : 'postgres') } 1 .. 8;
mark_log($node);
$_->send(q{DO $$ BEGIN FOR i IN 1 .. 100 LOOP BEGIN INSERT INTO orders VALUES (i, 7); EXCEPTION WHEN insufficient_privilege THEN END; END LOOP; END $$}) for @clients;
is($_->result, '', 'a client among many') for @clients;
drained($node);
my $after = stats($node);
is($after->{written} - $before->{written} + $after->{logged} - $before->{logged}, 800, 'many clients: every attempt is on record');
is($after->{logged} - $before->{logged}, scalar(logged($node)), 'many clients: and counted where it is');
is($after->{queued}, $after->{written} + $after->{logged} - scalar(logged($node)), 'many clients: what was queued was written');
is($node->safe_psql('postgres', "SELECT count(*) FROM authz.denial_log WHERE id > $n") + $node->safe_psql('second', 'SELECT count(*) FROM authz.denial_log') + scalar(logged($node)),
	800, 'many clients: where the statistics say');
cmp_ok($after->{waited}, '>', 0, 'many clients: some had to wait');
is($node->safe_psql('postgres', "SELECT count(*) FROM (SELECT recorded_at < lag(recorded_at) OVER (PARTITION BY pid ORDER BY id) AS wrong FROM authz.denial_log WHERE id > $n) o WHERE wrong"),
	'0', 'many clients: each one\'s in their order');
$_->close for @clients;
$n = $node->safe_psql('postgres', 'SELECT count(*) FROM authz.denial_log');

# A writer ends soon, and stands in nobody's way.
is(app($node, database => 'goes')->query($denied), $refused, 'a database that is dropped');
$node->poll_query_until('goes', 'SELECT count(*) = 1 FROM authz.denial_log') or die;
is($node->psql('postgres', 'DROP DATABASE goes WITH (FORCE)'), 0, 'a database that is dropped: is dropped');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}), 'writers end when nothing comes');

# Databases without the extension: the log.  Somebody's table of that name is not taken for ours.
mark_log($node);
my $bare = AuthzSession->on($node, database => 'bare', user => 'app');
like($bare->query("SET authz.token = '$alice'"), qr/^ERROR 28000 token refused: the extension authz is not installed/, 'without the extension');
is_deeply([ map { "$_->{database} $_->{kind} $_->{reason}" } logged($node) ], [ 'bare token the extension authz is not installed in this database' ], 'without the extension: in the log');
$node->safe_psql('postgres', 'CREATE ROLE impostor LOGIN; ALTER DATABASE imposture OWNER TO impostor');
$node->safe_psql('imposture', 'SET ROLE impostor; CREATE SCHEMA authz; CREATE TABLE authz.denial_log AS SELECT 1 AS x');
mark_log($node);
like(AuthzSession->on($node, database => 'imposture', user => 'impostor')->query("SET authz.token = 'a.b.c'"), qr/^ERROR 28000/, 'an impostor');
is(scalar(logged($node)), 1, 'an impostor: in the log');
is($node->safe_psql('imposture', 'SELECT count(*) FROM authz.denial_log'), '1', 'an impostor: his table is not touched');

# Another encoding than UTF-8.
$node->safe_psql('postgres', q{CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0});
$node->safe_psql('latin', $setup);
$session = AuthzSession->on($node, database => 'latin', user => 'app');
like($session->query(q{SELECT authz.assume(U&'J\00fcrgen' || repeat(U&'\00fc', 1000), '{tenant}')}), qr/^J.+rgen/s, 'LATIN1: an identity');
is($session->query($denied), $refused, 'LATIN1: refused');
$session->close;
$node->poll_query_until('latin', 'SELECT count(*) = 1 FROM authz.denial_log') or die;
is($node->safe_psql('latin', q{SELECT subject = U&'J\00fcrgen' || repeat(U&'\00fc', length(subject) - 6), length(subject) FROM authz.denial_log}), 't|1006', 'LATIN1: on record');

# A table of that name that is not the extension's is nobody's to be written to by a superuser's worker.
$node->safe_psql('latin', 'ALTER EXTENSION authz DROP TABLE authz.denial_log');
$stats = stats($node);
mark_log($node);
is(app($node, database => 'latin')->query($denied), $refused, 'not the extension\'s table');
drained($node);
is_deeply([ map { "$_->{database} $_->{subject} $_->{relation}" } logged($node) ], ['latin alice public.orders'], 'not the extension\'s table: in the log');
is(stats($node)->{logged}, $stats->{logged} + 1, 'not the extension\'s table: counted');
$node->safe_psql('latin', 'ALTER EXTENSION authz ADD TABLE authz.denial_log');
# What fails inside it has the same end.
$node->safe_psql('latin', q{ALTER TABLE authz.denial_log ADD CONSTRAINT fails CHECK (relation <> 'public.orders') NOT VALID});
mark_log($node);
is(app($node, database => 'latin')->query($denied), $refused, 'a table that cannot be written to');
drained($node);
is(scalar(logged($node)), 1, 'a table that cannot be written to: in the log');
$node->safe_psql('latin', 'ALTER TABLE authz.denial_log DROP CONSTRAINT fails');

# The queue is full.
sub fill
{
	my ($node) = @_;
	my $lock = lock_log($node);
	my $client = app($node);

	is($client->query($denied), $refused, 'an attempt while the log is locked') for 1 .. 8;
	writer_waits($node);
	is(stats($node)->{pending}, 8, 'the queue is full');
	mark_log($node);
	return ($lock, $client);
}

my ($lock, $client) = fill($node);
$stats = stats($node);
my $began = Time::HiRes::time;
is($client->query($denied), $refused, 'full, wait: refused');
cmp_ok(Time::HiRes::time - $began, '>=', 0.9, 'full, wait: after a second');
cmp_ok(Time::HiRes::time - $began, '<', 5, 'full, wait: not much later');
is(scalar(logged($node)), 1, 'full, wait, in vain: in the log');
$client->send($denied);
$node->poll_query_until('postgres', "SELECT waited = $stats->{waited} + 2 FROM authz.denial_stats()") or die;
$lock->close;
is($client->result, $refused, 'full, wait: refused as before');
drained($node);
is_deeply([ @{ stats($node) }{qw(written logged waited)} ], [ $stats->{written} + 9, $stats->{logged} + 1, $stats->{waited} + 2 ], 'full, wait for room that comes: written');
is(rows($node, $n + 9), $n + 9, 'full, wait for room that comes: on record');
is(scalar(logged($node)), 1, 'full, wait for room that comes: not in the log');
$n += 9;

# Who cancels, or ends the session, cannot keep himself off the record.
($lock, $client) = fill($node);
for my $end (qw(pg_cancel_backend pg_terminate_backend))
{
	$stats = stats($node);
	$client->send($denied);
	$node->poll_query_until('postgres', "SELECT waited = $stats->{waited} + 1 FROM authz.denial_stats()") or die;
	is($node->safe_psql('postgres', "SELECT $end($client->{pid})"), 't', $end);
	like($client->result, $end eq 'pg_cancel_backend' ? qr/^\Q$refused\E$/ : qr/^(\Q$refused\E|ERROR 57P01.*)$/, "$end: it ends, in vain");
	$node->poll_query_until('postgres', "SELECT logged = $stats->{logged} + 1 FROM authz.denial_stats()") or die;
}
is(scalar(logged($node)), 2, 'cancelled and terminated while waiting: in the log');
$lock->close;
drained($node);
is(rows($node, $n + 8), $n + 8, 'the others: on record');
$n += 8;

# Nobody waits with a page locked: a function that an index calls while it splits one is refused something.
$node->safe_psql('postgres', <<~'SQL');
	CREATE FUNCTION attempt() RETURNS void LANGUAGE sql VOLATILE AS $$ INSERT INTO orders VALUES (1, 7, 'foreign value') $$;
	CREATE FUNCTION gap(a float8, b float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN IF current_setting('test.attempt', true) = 'on' THEN PERFORM attempt(); END IF; RETURN a - b; END $$;
	CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = gap);
	CREATE TABLE spans (s span);
	CREATE INDEX ON spans USING gist (s);
	GRANT INSERT ON spans TO app;
	SQL
($lock, $client) = fill($node);
$stats = stats($node);
$client->query('SET test.attempt = on');
is($client->query('INSERT INTO spans SELECT span(i, i + 1) FROM generate_series(1, 1000) i'), $refused, 'with a page locked: refused');
is(stats($node)->{waited}, $stats->{waited}, 'with a page locked: at once');
is(stats($node)->{logged}, $stats->{logged} + 1, 'with a page locked: counted');
is_deeply([ map { "$_->{action} $_->{kind} $_->{reason}" } logged($node) ], ['insert write no policy permits the new row'], 'with a page locked: in the log');
$lock->close;
drained($node);
is(rows($node, $n + 8), $n + 8, 'with a page locked: the others are on record');
$n += 8;

$node->append_conf('postgresql.conf', q{authz.denial_queue_full = 'log'});
$node->reload;
$node->poll_query_until('postgres', q{SELECT setting = 'log' FROM pg_settings WHERE name = 'authz.denial_queue_full'}) or die;
($lock, $client) = fill($node);
$stats = stats($node);
$began = Time::HiRes::time;
is($client->query($denied), $refused, 'full, log: refused') for 1 .. 3;
cmp_ok(Time::HiRes::time - $began, '<', 0.9, 'full, log: at once');
is_deeply([ map { "$_->{subject} $_->{action} $_->{relation}" } logged($node) ], [ ('alice insert public.orders') x 3 ], 'full, log: in the log');
is_deeply([ @{ stats($node) }{qw(pending logged waited)} ], [ 8, $stats->{logged} + 3, $stats->{waited} ], 'full, log: counted');
$lock->close;
drained($node);
is(rows($node, $n + 8), $n + 8, 'full, log: what was queued is on record');
$n += 8;

# A lock that is not given back: the log, and the queue lives on.
($lock, $client) = fill($node);
ok($node->poll_query_until('postgres', 'SELECT pending = 0 FROM authz.denial_stats()'), 'locked for long: the queue is drained');
is(scalar(logged($node)), 8, 'locked for long: into the log');
$lock->close;
is($client->query($denied), $refused, 'and after it');
is(rows($node, $n + 1), $n + 1, 'and after it: on record');
$n++;

# Workers that end.
sub pid { return $_[0]->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type ~ '^authz .*$_[1]\$' LIMIT 1") }

($lock, $client) = fill($node);
is($node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . pid($node, 'writer') . ')'), 't', 'a writer is told to end');
Time::HiRes::sleep(0.3);
is(scalar(logged($node)), 0, 'a writer is told to end: not before it has written');
$lock->close;
is(rows($node, $n + 8), $n + 8, 'a writer is told to end: all on record');
$n += 8;
my $launcher = pid($node, 'launcher');
mark_log($node);
is($node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)"), 't', 'the launcher is told to end');
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}) or die;
is($client->query($denied), $refused, 'without a launcher');
is(scalar(logged($node)), 1, 'without a launcher: in the log');
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}) or die;
isnt(pid($node, 'launcher'), $launcher, 'another launcher comes');
is($client->query($denied), $refused, 'with another launcher');
is(rows($node, $n + 1), $n + 1, 'with another launcher: on record');
$n++;

for my $which (qw(writer launcher))
{
	$lock = lock_log($node);
	$client = app($node);
	is($client->query($denied), $refused, "an attempt before the $which is killed");
	writer_waits($node);
	kill 'KILL', pid($node, $which);
	my $answer = '1';
	Time::HiRes::sleep(0.01) while ($answer = $client->query('SELECT 1')) eq '1';
	like($answer, qr/^ERROR (57P02|connection closed)/, "the $which is killed: the server starts again");
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}) or die;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM authz.denial_log'), $n, "the $which is killed: what was queued is lost, nothing else");
	is(join('|', @{ stats($node) }{qw(pending queued written logged)}), '0|0|0|0', "the $which is killed: counted from zero");
	is(app($node)->query($denied), $refused, "after the $which was killed");
	is(rows($node, $n + 1), $n + 1, "after the $which was killed: on record");
	$n++;
}

# Shutdown: what is queued is written first.
for my $mode (qw(fast smart))
{
	($lock, $client) = fill($node);
	if ($mode eq 'smart')
	{
		$_->close for $lock, $client;
	}
	$node->stop($mode);
	my $said = slurp_file($node->logfile, $log);
	unlike($said, qr/authz denial:/, "$mode shutdown: nothing in the log");
	$node->start;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM authz.denial_log'), $n + 8, "$mode shutdown: on record");
	$n += 8;
}
# A lock that outlives sessions: then the log.
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 5');
$node->restart;
$lock = lock_log($node);
$lock->query(q{PREPARE TRANSACTION 'p'});
is(app($node)->query($denied), $refused, 'shutdown under a lock');
writer_waits($node);
mark_log($node);
$node->stop('fast');
is(scalar(logged($node)), 1, 'shutdown under a lock that does not go: in the log');
$node->start;
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'p'});
is($node->safe_psql('postgres', 'SELECT count(*) FROM authz.denial_log'), $n, 'and not twice');

# A standby has no worker: the log.  After promotion it has.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
mark_log($standby);
$session = AuthzSession->on($standby, user => 'app');
is($session->query("SET authz.token = '$bad{'it has expired'}'"), 'ERROR 28000 token refused: it has expired', 'standby');
is_deeply([ map { "$_->{database} $_->{kind} $_->{action} $_->{reason}" } logged($standby) ], ['postgres token set it has expired'], 'standby: in the log');
is($session->query('RESET authz.token; SELECT pg_is_in_recovery()'), 't', 'standby: it is one');
is(join('|', @{ stats($standby) }{qw(size queued logged)}), '8|0|1', 'standby: counted');
$standby->promote;
$standby->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'authz%'}) or die;
is($session->query($denied), $refused, 'promoted');
is(rows($standby, $n + 1), $n + 1, 'promoted: on record');
$standby->stop;

# A dump carries the log, and what is restored can be written to.
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-d', $node->connstr('second'), '-f', $dump ], 'pg_dump');
command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'and restored');
is($node->safe_psql('restored', 'SELECT count(*), max(id) FROM authz.denial_log'), $node->safe_psql('second', 'SELECT count(*), max(id) FROM authz.denial_log'), 'the log is in the dump');
is(app($node, database => 'restored')->query($denied), $refused, 'in the restored database');
$node->poll_query_until('restored', q{SELECT max(id) > (SELECT count(*) - 1 FROM authz.denial_log) AND bool_or(recorded_at > now() - interval '1 min') FROM authz.denial_log}) or die;
is($node->safe_psql('restored', 'SELECT count(*) FROM authz.denial_log'), $node->safe_psql('second', 'SELECT count(*) + 1 FROM authz.denial_log'), 'in the restored database: on record');

# Who acts for another, and on which audited table, is on record.
$n = $node->safe_psql('postgres', q{SELECT authz.audit('orders'); SELECT count(*) FROM authz.denial_log});
$n =~ s/^\s+//;
$session = AuthzSession->on($node, user => 'app');
$session->query(q{SELECT authz.assume('bob', '{tenant}', '{"tenant": 3}')});
is($session->query($denied), $refused, 'somebody acts for another');
is(rows($node, $n + 1), $n + 1, 'somebody acts for another: on record');
is($node->safe_psql('postgres', q{SELECT subject, actor, trail = (SELECT trail FROM authz.audited_table) FROM authz.denial_log ORDER BY id DESC LIMIT 1}), 'bob|app|t', 'both, and the trail of the table');

# Sealed as changes are; who takes a record out is found.
$node->safe_psql('postgres', q{SELECT authz.unaudit('orders'); SELECT authz.audit_seal()});
is($node->safe_psql('postgres', q{SELECT sum(records) FROM authz.audit_batch WHERE partition LIKE 'denial%'}), $n + 1, 'sealed');
is($node->safe_psql('postgres', 'SELECT bool_and(ok) FROM authz.audit_verify()'), 't', 'verified');
is($node->safe_psql('postgres', <<~'SQL'), 'record missing|t', 'a superuser takes one out');
	BEGIN;
	UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'refuse_change';
	CREATE TEMP TABLE taken ON COMMIT DROP AS SELECT min(id) + 3 AS id FROM authz.denial_log;
	DELETE FROM authz.denial_log USING taken WHERE denial_log.id = taken.id;
	SELECT problem, first_bad_record = (SELECT id FROM taken) FROM authz.audit_verify() WHERE batch IS NOT NULL AND NOT ok;
	ROLLBACK;
	SQL

# No part of a token, no value of a row: neither in a table nor in a log that a record wrote.
my $everything = join("\n", map { $node->safe_psql($_, 'SELECT d FROM authz.denial_log d') } qw(postgres second));
ok($everything !~ /foreign value|claimed|eyJ/, 'no value, no claim, no token in the table');
ok(slurp_file($node->logfile) !~ /foreign value|claimed|eyJ/, 'nor in the log');

# The extension goes while a record is on its way.
$client = app($node);
$lock = lock_log($node);
is($client->query($denied), $refused, 'DROP EXTENSION: an attempt before');
writer_waits($node);
$client->close;
mark_log($node);
is($lock->query('DROP EXTENSION authz CASCADE; COMMIT'), '', 'DROP EXTENSION');
drained($node, 'second');
is_deeply([ map { $_->{relation} } logged($node) ], ['public.orders'], 'DROP EXTENSION: the record on its way is in the log');
$session = AuthzSession->on($node, user => 'app');
is($session->query("SET authz.token = '$alice'"), 'ERROR 28000 token refused: the extension authz is not installed in this database', 'after DROP EXTENSION');
is(scalar(logged($node)), 2, 'after DROP EXTENSION: in the log');
is($node->safe_psql('second', 'SELECT pending FROM authz.denial_stats()'), '0', 'after DROP EXTENSION: nothing is left in the queue');
$node->safe_psql('postgres', 'CREATE EXTENSION authz');
like($session->query("SET authz.token = '$alice'"), qr/^ERROR 28000/, 'created again: an unknown issuer');
is(rows($node, 1), '1', 'created again: on record');
$node->stop;

# No place for a writer: in the log at last, and at shutdown.
ok($crowded->poll_query_until('postgres', 'SELECT pending = 0 FROM authz.denial_stats()'), 'no place for a writer: not for ever in the queue');
$log = 0;
is(scalar(logged($crowded)), 1, 'no place for a writer: in the log');
is(join('|', @{ stats($crowded) }{qw(queued written logged)}), '1|0|1', 'no place for a writer: counted');
is($crowded_session->query($denied), $refused, 'no place for a writer: again');
$crowded->stop('fast');
is(scalar(logged($crowded)), 2, 'no place for a writer: logged at shutdown');

# A server's log that says nothing of a crash but those that were wanted.
for my $cluster ($node, $standby, $crowded, $off)
{
	unlike(slurp_file($cluster->logfile), qr/could not record|PANIC:|TRAP:|terminated by signal (?!9)|WARNING: .*(leak|still referenced)/, $cluster->name . ': a clean log');
}
done_testing();
