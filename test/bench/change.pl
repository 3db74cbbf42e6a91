#!/usr/bin/env perl
# change.pl
#	  A policy changes while a long query holds the table: how long until the
#	  change is made, and until another open session obeys?  Prints two lines.
use strict;
use warnings;
use IPC::Open2;
use Time::HiRes qw(time sleep);

my $READER_SECONDS = 1.5;
my $CHANGES = 10;

# An open session: psql behind a pipe.
sub open_session
{
	my ($role, @statements) = @_;
	my %session;
	$session{pid} = open2($session{out}, $session{in}, 'psql', '-qAtX', '-v', 'ON_ERROR_STOP=1', '-U', $role);
	ask(\%session, $_) for @statements;
	return \%session;
}

sub send_to
{
	my ($session, $statement) = @_;
	print { $session->{in} } "$statement;\n\\echo =done=\n";
	$session->{in}->flush;
	return;
}

sub answer
{
	my ($session) = @_;
	my $answer = '';
	while (defined(my $line = readline $session->{out}))
	{
		return $answer if $line eq "=done=\n";
		$answer .= $line;
	}
	die "a session ended\n";
}

sub ask { my ($session, $statement) = @_; send_to($session, $statement); return answer($session) }

# Wait until a query of the administrator's answers t.
sub wait_for
{
	my ($admin, $query) = @_;
	for (1 .. 500)
	{
		return if ask($admin, $query) eq "t\n";
		sleep 0.01;
	}
	die "in vain: $query\n";
}

my $READING = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')";
my $WAITING = 'SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)';

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ @sorted / 2 ] }

# Milliseconds that a sub takes.
sub took { my ($sub) = @_; my $started = time; $sub->(); return 1000 * (time - $started) }

my $token = `psql -AtX -c "SELECT token FROM token WHERE purpose = 'tenant' AND number = 1"`;
chomp $token;

# The change is made again and again while one reader holds the table.
sub changes_by_authz
{
	my $reader = open_session('bench_app', "SET authz.token = '$token'");
	my $user = open_session('bench_app', "SET authz.token = '$token'",
		'PREPARE rows AS SELECT count(*) FROM item', 'EXECUTE rows');
	my $admin = open_session('postgres');
	my (@change, @effect, @usual);
	my $seen = 0;

	send_to($reader, "SELECT pg_sleep($READER_SECONDS) FROM item LIMIT 1");
	wait_for($admin, $READING);
	my $until = time + $READER_SECONDS - 0.5;
	my $rounds = 0;
	while (time < $until && $rounds < $CHANGES)
	{
		my $condition = $rounds++ % 2 ? q{tenant_id = authz.attr_bigint(''tenant'')} : 'false';
		my $expected = $rounds % 2 ? 0 : 1000;
		push @change, took(sub { ask($admin, "SELECT authz.alter_policy('tenant', 'item', condition => '$condition')") });
		push @effect, took(sub { $seen++ if ask($user, 'EXECUTE rows') == $expected });
		push @usual, took(sub { ask($user, 'EXECUTE rows') });
	}
	die "the policy's change was not seen: $seen of $rounds\n" if $seen != $rounds;
	ask($admin, q{SELECT authz.alter_policy('tenant', 'item', condition => 'tenant_id = authz.attr_bigint(''tenant'')')});
	answer($reader);
	printf "authz.alter_policy: made in %.1f ms, obeyed by the next statement %d times of %d (it took %.1f ms, usually %.1f)\n",
	  median(@change), $seen, $rounds, median(@effect), median(@usual);
	return;
}

sub change_by_hand
{
	my $reader = open_session('bench_bare', 'SET bench.tenant = 1');
	my $user = open_session('bench_bare', 'SET bench.tenant = 1',
		'PREPARE rows AS SELECT count(*) FROM item_native', 'EXECUTE rows');
	my $admin = open_session('postgres');
	my $observer = open_session('postgres');
	my $blocked;

	send_to($reader, "SELECT pg_sleep($READER_SECONDS) FROM item_native LIMIT 1");
	wait_for($observer, $READING);
	my $change = took(sub {
		send_to($admin, 'ALTER POLICY bare ON item_native USING (false)');
		wait_for($observer, $WAITING);
		$blocked = took(sub { ask($user, 'EXECUTE rows') });
		answer($admin);
	});
	answer($reader);
	ask($admin, q{ALTER POLICY bare ON item_native USING (tenant_id = current_setting('bench.tenant')::bigint)});
	printf "ALTER POLICY:       made after %.0f ms, when the reader had ended; the next statement of others waited %.0f ms\n",
	  $change, $blocked;
	return;
}

changes_by_authz();
change_by_hand();
