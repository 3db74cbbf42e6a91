# 040_audit_crash.pl
#	  Every committed change has its record and no record lacks its change: writers
#	  and sealers at once, a server or a backend killed (by SIGKILL) under load of every
#	  kind, transactions of two phases.
#	  And nobody waits: writers for sealers, for new partitions, for dropped ones.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<~CONF);
	log_statement = none
	fsync = on
	checkpoint_timeout = 30s
	max_wal_size = 64MB
	restart_after_crash = on
	CONF
$node->start;
$node->safe_psql('postgres', <<~'SQL');
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	GRANT pg_read_server_files TO app;
	CREATE TABLE account (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client int, balance int NOT NULL DEFAULT 0);
	-- Half of what it does it takes back.
	CREATE FUNCTION try(client int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. 6 LOOP
			BEGIN
				INSERT INTO account (client, balance) VALUES (try.client, 1000 + i);
				UPDATE account SET balance = balance + 1 / (i % 2) WHERE id = (SELECT max(a.id) FROM account a WHERE a.client = try.client);
			EXCEPTION WHEN division_by_zero THEN
				UPDATE account SET balance = balance - 1 WHERE id = (SELECT max(a.id) FROM account a WHERE a.client = try.client);
			END;
		END LOOP;
	END $$;
	CREATE TABLE unaudited (id int);
	GRANT ALL ON account, unaudited TO app;
	SQL
is(($node->psql('postgres', 'SELECT authz.audit_digest()'))[2] =~ s/^.*ERROR:\s*//r =~ s/\n.*//sr, 'nothing is sealed yet', 'no digest before the first seal');
$node->safe_psql('postgres', q{SELECT authz.audit('account')});

# What the records say each row is now, beside what it is; the difference is what was lost or never was.
my $difference = <<~'SQL';
	WITH said AS (
		SELECT key, (array_agg(coalesce(new_values -> 'balance', old_values -> 'balance') ORDER BY id DESC)
				FILTER (WHERE coalesce(new_values, old_values) ? 'balance'))[1] AS balance,
			(array_agg(action ORDER BY id DESC))[1] AS last
		FROM authz.audit_log WHERE relation = 'public.account' AND key IS NOT NULL
			-- Nobody else writes when a TRUNCATE is recorded.
			AND id > coalesce((SELECT max(id) FROM authz.audit_log WHERE relation = 'public.account' AND action = 'truncate'), 0)
		GROUP BY key),
	is_so AS (SELECT jsonb_build_object('id', id) AS key, to_jsonb(balance) AS balance FROM account)
	SELECT count(*) FROM (SELECT key, balance FROM said WHERE last <> 'delete') s FULL JOIN is_so i USING (key)
	WHERE s.balance IS DISTINCT FROM i.balance;
	SQL
my $verify = q{SELECT count(*) > 0 AND bool_and(ok) FROM authz.audit_verify()};
my $problems = q{SELECT * FROM authz.audit_verify() WHERE NOT ok LIMIT 5};

my $script = $node->basedir . '/write.sql';
append_to_file($script, <<~'SQL');
	\set n random(1, 6)
	BEGIN;
	INSERT INTO account (client, balance) SELECT :client_id, i FROM generate_series(1, :n) i;
	UPDATE account SET balance = balance + 1 WHERE id IN (SELECT id FROM account WHERE client = :client_id ORDER BY id DESC LIMIT 3);
	SAVEPOINT a;
	DELETE FROM account WHERE id IN (SELECT id FROM account WHERE client = :client_id ORDER BY id LIMIT 2);
	\if :n = 1
	ROLLBACK TO a;
	\endif
	\if :n = 2
	ROLLBACK;
	\else
	COMMIT;
	\endif
	SQL
my $seal = $node->basedir . '/seal.sql';
append_to_file($seal, "SELECT authz.audit_seal();\n\\sleep 20 ms\n");

# The other ways to write.
my $rows = $node->basedir . '/rows.copy';
append_to_file($rows, join('', map { "$_\t$_\n" } 1 .. 50));
my %others = (
	'copy.sql@4' => "COPY account (client, balance) FROM '$rows'",
	'try.sql@8' => 'SELECT try(:client_id)',
	'truncate.sql@1' => 'TRUNCATE account',
	'prepare.sql@6' => <<~'SQL');
		BEGIN;
		INSERT INTO account (client, balance) VALUES (:client_id, 1), (:client_id, 2);
		DELETE FROM account WHERE id IN (SELECT id FROM account WHERE client = :client_id ORDER BY id LIMIT 1);
		PREPARE TRANSACTION 'p:client_id';
		COMMIT PREPARED 'p:client_id';
		SQL
for my $name (keys %others)
{
	append_to_file($node->basedir . '/' . $name =~ s/@.*//r, "$others{$name};\n" =~ s/;\n;/;/r);
}
my @everything = ("$script\@40", map { $node->basedir . "/$_" } sort keys %others);

sub pgbench
{
	my ($seconds, $clients, $files, $user) = @_;

	return [ 'pgbench', '-n', '-T', $seconds, '-c', $clients, (map { ('-f', $_) } ref $files ? @$files : $files), '-h', $node->host, '-p', $node->port, '-U', $user, 'postgres' ];
}

# Writers, and two sealers at once.
my $writers = IPC::Run::start(pgbench(4, 4, \@everything, 'app'), '>', \my $out, '2>', \my $errors);
command_ok(pgbench(3, 2, $seal, 'postgres'), 'two sealers at once do not fail');
$writers->finish;
is($writers->result(0), 0, 'nor do writers') or diag $errors;
$node->safe_psql('postgres', 'SELECT authz.audit_seal()');
is($node->safe_psql('postgres', $difference), '0', 'each change has its record, each record its change');
cmp_ok($node->safe_psql('postgres', 'SELECT max(batch) FROM authz.audit_batch'), '>', 20, 'many batches');
is($node->safe_psql('postgres', $verify), 't', 'verified') or diag $node->safe_psql('postgres', $problems);
is($node->safe_psql('postgres', 'SELECT sum(records) = (SELECT count(*) FROM authz.audit_log) FROM authz.audit_batch'), 't', 'every record is in one batch');

# Kill the server with all its children, at once: while it stands still there are no more of them, and none
# of them sees it go.
sub kill_all
{
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	kill('STOP', $postmaster);
	my @children = map { /^(\d+) \(.*\) \S (\d+)/s && $2 == $postmaster ? $1 : () }
		map { eval { slurp_file($_) } // '' } glob('/proc/[0-9]*/stat');
	cmp_ok(kill('KILL', @children, $postmaster), '>', 10, 'killed, server and children');
	$node->kill9;
	for (1 .. 500) { last if !kill(0, $postmaster); select(undef, undef, undef, 0.02) }
}

# Kill one of the writers; the server restarts by itself.
sub kill_one
{
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND state = 'active' LIMIT 1});

	is(kill('KILL', $pid || die), 1, 'killed, one backend');
}

# Killed under load.
my $numbers = 0;
for my $round (1 .. 3)
{
	my $digest = $node->safe_psql('postgres', 'SELECT authz.audit_digest()');
	my $load = IPC::Run::start(pgbench(60, 4, \@everything, 'app'), '>', \my $o, '2>', \my $e);
	my $sealing = IPC::Run::start(pgbench(60, 2, $seal, 'postgres'), '>', \my $so, '2>', \my $se);

	select(undef, undef, undef, 0.8 + $round / 3);
	$round == 2 ? kill_one() : kill_all();
	$load->finish;
	$sealing->finish;
	$round == 2 ? $node->poll_query_until('postgres', 'SELECT true') : $node->start;
	# What was prepared waits for its end; with either end its records are there or not.
	my @prepared = split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
	$node->safe_psql('postgres', ($_ % 2 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$prepared[$_]'") for 0 .. $#prepared;
	is($node->safe_psql('postgres', $difference), '0', "killed $round: each change has its record, each record its change");
	is($node->safe_psql('postgres', "SELECT bool_and(ok) FROM authz.audit_verify('$digest')"), 't', "killed $round: verified")
		or diag $node->safe_psql('postgres', $problems);
	$node->safe_psql('postgres', 'SELECT authz.audit_seal()');
	is($node->safe_psql('postgres', $verify), 't', "killed $round: sealed the rest, verified") or diag $node->safe_psql('postgres', $problems);
	is($node->safe_psql('postgres', 'SELECT count(*) = count(DISTINCT id) FROM authz.audit_log'), 't', "killed $round: no number twice");
	is($node->safe_psql('postgres', 'SELECT sum(records) = (SELECT count(*) FROM authz.audit_log) FROM authz.audit_batch'), 't', "killed $round: every record is in one batch");
	my $now = $node->safe_psql('postgres', 'SELECT count(*) FROM authz.audit_log');
	cmp_ok($now, '>', $numbers + 100, "killed $round: there was something to lose");
	$numbers = $now;
}
for my $action ('insert', 'update', 'delete', 'truncate')
{
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM authz.audit_log WHERE action = '$action'"), '>', $action eq 'truncate' ? 0 : 100, "$action among them");
}

# A transaction of two phases is sealed when it is over, also after a crash.
my $session = AuthzSession->on($node);
$session->query("BEGIN; INSERT INTO account (client) VALUES (100), (101); PREPARE TRANSACTION 'first'");
$session->query("BEGIN; INSERT INTO account (client) VALUES (200); PREPARE TRANSACTION 'second'");
$node->safe_psql('postgres', 'INSERT INTO account (client) VALUES (300)');
my $count = 'SELECT coalesce(sum(records), 0) FROM authz.audit_batch';
my $sealed = $node->safe_psql('postgres', $count);
$node->safe_psql('postgres', 'SELECT authz.audit_seal()');
is($node->safe_psql('postgres', $count), $sealed, 'prepared: nothing later is sealed yet');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{COMMIT PREPARED 'first'});
$node->safe_psql('postgres', 'SELECT authz.audit_seal()');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'second'});
$node->safe_psql('postgres', 'SELECT authz.audit_seal()');
is($node->safe_psql('postgres', $count), $sealed + 3, 'committed: sealed');
is($node->safe_psql('postgres', $difference), '0', 'with its changes');
is($node->safe_psql('postgres', $verify), 't', 'verified');

# Nobody waits.  An open writer stops neither sealer, nor partitions made or dropped.
$session = AuthzSession->on($node, user => 'app');
$session->query('BEGIN; INSERT INTO account (client) VALUES (400)');
$node->safe_psql('postgres', <<~'SQL');
	CREATE TABLE authz.audit_log_202001 (LIKE authz.audit_log);
	SELECT authz.prepare_partition('audit_log', 'authz.audit_log_202001');
	ALTER TABLE authz.audit_log ATTACH PARTITION authz.audit_log_202001 FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-02-01 00:00+00');
	SQL
# (The writer has locked its month only.)
is($node->safe_psql('postgres', q{SET lock_timeout = '3s'; SELECT authz.audit_retain('1 year')}), '1', 'dropped a partition beside an open writer');
is($session->query('COMMIT'), '', 'and the writer commits');
# A reader keeps the partitions; who drops one waits for him, and no writer behind them.
$node->safe_psql('postgres', <<~'SQL');
	CREATE TABLE authz.audit_log_202002 (LIKE authz.audit_log);
	SELECT authz.prepare_partition('audit_log', 'authz.audit_log_202002');
	ALTER TABLE authz.audit_log ATTACH PARTITION authz.audit_log_202002 FOR VALUES FROM ('2020-02-01 00:00+00') TO ('2020-03-01 00:00+00');
	SQL
my $reader = AuthzSession->on($node);
$reader->query('BEGIN; SELECT count(*) FROM authz.audit_log');
is($node->safe_psql('postgres', q{SET lock_timeout = '3s'; SELECT authz.audit_seal() > 0}), 't', 'a sealer does not wait for a reader');
my $dropper = AuthzSession->on($node);
$dropper->send(q{SELECT authz.audit_retain('1 year')});
$node->poll_query_until('postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%audit_retain%' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid())}) or die;
is($node->safe_psql('postgres', q{SET lock_timeout = '3s'; INSERT INTO account (client) VALUES (500) RETURNING client}, extra_params => [ '-q' ]), '500', 'a writer does not wait behind them');
$reader->query('COMMIT');
is($dropper->result, '1', 'dropped when the reader is gone');
$node->safe_psql('postgres', 'SELECT authz.audit_seal()');
is($node->safe_psql('postgres', $verify), 't', 'verified') or diag $node->safe_psql('postgres', $problems);

# A standby verifies.
$node->safe_psql('postgres', 'SELECT authz.audit_seal()');
my $digest = $node->safe_psql('postgres', 'SELECT authz.audit_digest()');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 0);
$standby->set_standby_mode;
$standby->start;
is($standby->safe_psql('postgres', "SELECT pg_is_in_recovery() AND bool_and(ok) FROM authz.audit_verify('$digest')"), 't', 'a standby verifies, with a digest');
$standby->stop;

$node->stop;
done_testing();
