# 045_audit_clock.pl
#	  The clock is set back, and ahead: every change keeps its record, in the partition of what the clock says;
#	  the order of records is that of their numbers; seals, digests and retention hold.
#
# The server alone is under libfaketime, which reads from a file how far its clock is off.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;

my ($library) = glob('/usr/lib/*-linux-gnu/faketime/libfaketime.so.1 /usr/lib64/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1');
plan skip_all => 'no libfaketime here, so no clock is set' if !defined $library || !-f $library;

my $offset = PostgreSQL::Test::Utils::tempdir . '/offset';

# Set the server's clock: so many seconds, or days, ahead or back.
sub set_clock
{
	open(my $out, '>', "$offset.new") or die;
	print $out "$_[0]\n";
	close $out;
	rename("$offset.new", $offset) or die;
}

# Start the server so; what the clock is not, intervals that are measured, stays right.
sub start
{
	local %ENV = (%ENV, LD_PRELOAD => $library, FAKETIME_TIMESTAMP_FILE => $offset, FAKETIME_NO_CACHE => 1, FAKETIME_DONT_FAKE_MONOTONIC => 1);

	$_[0]->start;
}

set_clock('+0');
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\nautovacuum = off\nsession_preload_libraries = 'authz'\n");
start($node);
my $session = AuthzSession->on($node);
my $now = sub { $session->query('SELECT extract(epoch FROM clock_timestamp())') - time };
set_clock('-3600');
cmp_ok(abs($now->() + 3600), '<', 30, 'the clock is an hour behind');
set_clock('+0');
cmp_ok(abs($now->()), '<', 30, 'and right again');

$session->query($_) =~ /^ERROR/ && die $session->{error}{M} for (
	'CREATE EXTENSION authz',
	'CREATE ROLE app LOGIN',
	'CREATE TABLE doc (id int PRIMARY KEY, n int)',
	'GRANT ALL ON doc TO app',
	q{SELECT authz.audit('doc', reads => true)},
	'INSERT INTO doc VALUES (1, 0), (2, 0)');
my $writer = AuthzSession->on($node, user => 'app');
my $n = 0;
my ($digest, @digests);

# Name of the partition of what the clock says.
sub month { $session->query(q{SELECT 'audit_log_' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMM')}) }
# Change, and say where the record went.
sub change
{
	$n++;
	die if $writer->query("UPDATE doc SET n = $n WHERE id = 1") =~ /^ERROR/;
	return $session->query(qq{SELECT tableoid::regclass::text FROM authz.audit_log WHERE key = '{"id": 1}' AND new_values = '{"n": $n}'});
}
# What must hold whatever the clock says.
sub holds
{
	my ($name) = @_;

	is($session->query(q{SELECT string_agg(new_values ->> 'n', ' ') FROM authz.audit_trail('doc', '{"id": 1}')}), join(' ', 0 .. $n), "$name: the trail is in the order of changes");
	push @digests, $session->query('SELECT authz.audit_digest()') if $session->query('SELECT authz.audit_seal()') !~ /^ERROR/;
	like($digests[-1], qr/^ey/, "$name: sealed");
	is($session->query("SELECT bool_and(ok) FROM authz.audit_verify('$_')"), 't', "$name: verified, with the digest of then")
		or diag $session->query('SELECT * FROM authz.audit_verify() WHERE NOT ok') for @digests;
	is($session->query('SELECT sum(records) = (SELECT count(*) FROM authz.audit_log) FROM authz.audit_batch WHERE kind = $$seal$$ AND partition LIKE $$audit%$$'), 't', "$name: every record is in one batch");
	is($session->query('SELECT authz.audit_seal() = max(batch) FROM authz.audit_batch'), 't', "$name: and nothing twice");
	is($session->query('SELECT count(*) = count(DISTINCT id) FROM authz.audit_log'), 't', "$name: no number twice");
}

my $this_month = month();
is(change(), "authz.$this_month", 'now: in its month');
holds('now');

# Back by an hour: may be another month, which then is not there.
set_clock('-3600');
change();
is($session->query(qq{SELECT recorded_at < (SELECT max(recorded_at) FROM authz.audit_log) - interval '59 min' FROM authz.audit_log WHERE new_values = '{"n": $n}'}), 't', 'an hour back: recorded at what the clock says');
holds('an hour back');
# While a transaction is under way: what it read first, it goes on with; its records are of two times.
$writer->query('BEGIN; UPDATE doc SET n = ' . ++$n . ' WHERE id = 1');
set_clock('-7200');
$writer->query('UPDATE doc SET n = ' . ++$n . ' WHERE id = 1; COMMIT');
is($session->query(qq{SELECT string_agg(new_values ->> 'n', ' ' ORDER BY recorded_at) FROM authz.audit_log WHERE transaction_id = (SELECT transaction_id FROM authz.audit_log WHERE new_values = '{"n": $n}')}),
	$n . ' ' . ($n - 1), 'back within a transaction: two times, the later one earlier');
holds('back within a transaction');

# Back by months, before the first partition: the default one, until somebody makes that month's.
set_clock('-70d');
my $old_month = month();
isnt($old_month, $this_month, 'two months back');
is(change(), 'authz.audit_log_default', 'there is no month of that: the default partition');
is($session->query('SELECT count(*) FROM doc'), 2, 'a read');
is($session->query('SELECT tableoid::regclass FROM authz.access_log ORDER BY id DESC LIMIT 1'), 'authz.access_log_default', 'is in its default partition');
holds('two months back');
is($session->query("SELECT to_regclass('authz.$old_month') IS NULL"), 't', 'no month is made whose records are in the default partition');
is(change(), 'authz.audit_log_default', 'so they go on there');
is($session->query(q{SELECT authz.audit_retain('0')}), '0', 'nothing is old');
set_clock('-400d');
my $older_month = month();
is($session->query('SELECT authz.audit_seal() > 0'), 't', 'a year back: sealed, which makes the months of then');
is(change(), "authz.$older_month", 'a year back: its own month');
holds('a year back');
set_clock('-11000d');
is(change() =~ s/_\d+$//r, 'authz.audit_log_default', 'thirty years back');
holds('thirty years back');

# Right again: goes on where it was.
set_clock('+0');
is(change(), "authz.$this_month", 'right again: in its month');
holds('right again');

# Ahead by a year.
set_clock('+400d');
is(change(), 'authz.audit_log_default', 'a year ahead: the default partition');
$session->query('SELECT authz.audit_seal()');
my $ahead = month();
set_clock('+435d');
my $later = month();
is(change(), "authz.$later", 'and a month later one that was made ahead');
holds('a year ahead');
# Retention believes the clock; but what it says is now is kept, and what goes is sealed and signed for.
my $there = $session->query('SELECT count(*) FROM authz.audit_log');
is($session->query("SELECT authz.audit_retain('0') > 0"), 't', 'a year ahead: months are old');
is($session->query("SELECT string_agg(relid::text, ' ' ORDER BY 1) FROM pg_partition_tree('authz.audit_log') WHERE relid::text ~ '[0-9]{6}\$' AND right(relid::text, 6) <= right('$later', 6)"),
	"authz.$later", 'the month in use is kept');
is($session->query("SELECT sum(records) + (SELECT count(*) FROM authz.audit_log) FROM authz.audit_batch WHERE kind = 'drop' AND partition LIKE 'audit%'"), $there, 'what is dropped is accounted for');
is($session->query("SELECT bool_and(ok) FROM authz.audit_verify('$_')"), 't', 'dropped: verified, with each digest') for @digests;

# Back from there: the month is made anew, and its name no trouble.
set_clock('+0');
is(change(), 'authz.audit_log_default', 'back: its month has been dropped');
is($session->query('SELECT authz.audit_seal() > 0'), 't', 'sealed');
is($session->query("SELECT to_regclass('authz.$this_month') IS NULL"), 't', 'the month is not made anew, for its records are in the default partition');
set_clock('-45d');
my $before = month();
is($session->query('SELECT authz.audit_seal() > 0'), 't', 'sealed, a month and a half back');
is(change(), $before eq $old_month ? 'authz.audit_log_default' : "authz.$before", 'and recorded');
set_clock('+0');
push @digests, $session->query('SELECT authz.audit_digest()');
is($session->query("SELECT bool_and(ok) FROM authz.audit_verify('$_')"), 't', 'verified, with each digest') for @digests;
$session->query('SELECT authz.audit_seal()');
is($session->query('SELECT bool_and(ok) FROM authz.audit_verify()'), 't', 'sealed, verified');

# A crash with the clock back; and the server starts with it back.
$writer->query("BEGIN; UPDATE doc SET n = -1 WHERE id = 1; PREPARE TRANSACTION 'p'");
$writer->query('UPDATE doc SET n = -2 WHERE id = 2');
$session->close;
$writer->close;
$node->stop('immediate');
set_clock('-3600');
start($node);
$session = AuthzSession->on($node);
is($session->query("COMMIT PREPARED 'p'"), '', 'crashed, started with the clock back: committed what was prepared');
is($session->query('SELECT authz.audit_seal() > 0'), 't', 'sealed');
is($session->query("SELECT bool_and(ok) FROM authz.audit_verify('$digests[-1]')"), 't', 'verified');
is($session->query(q{SELECT string_agg(d.id || ' ' || d.n || ' ' || (SELECT t.new_values ->> 'n' FROM authz.audit_trail('doc', jsonb_build_object('id', d.id)) t ORDER BY t.id DESC LIMIT 1), ',' ORDER BY d.id) FROM doc d}),
	'1 -1 -1,2 -2 -2', 'rows are what the records say');

$session->close;
$node->stop;
done_testing();
