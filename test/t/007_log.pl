# 007_log.pl
#	  What the server's log, messages and settings tell: never a token, never a claim,
#	  never a value of a row that is not the reader's; and nobody but the session
#	  itself sets an identity.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', <<~CONF);
	log_statement = none
	log_min_messages = debug1
	log_error_verbosity = verbose
	CONF
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	CREATE TABLE orders (id int PRIMARY KEY, tenant bigint, note text UNIQUE CHECK (note <> 'bad'), must text NOT NULL DEFAULT 'x');
	INSERT INTO orders SELECT g, g % 10, CASE g % 10 WHEN 3 THEN 'own' ELSE 'foreign' END || g FROM generate_series(1, 30) g;
	GRANT ALL ON orders TO app;
	SELECT authz.create_role('tenant');
	SELECT authz.protect('orders');
	SELECT authz.create_policy('tenant', 'orders', '{select,insert,update,delete}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	GRANT EXECUTE ON FUNCTION authz.assume TO app;
	SQL

my $count = 'SELECT count(*) FROM orders';
my $log = 0;

# Notes where the log ends; returns what came since.
sub mark_log { $log = -s $node->logfile }
sub new_log { return slurp_file($node->logfile, $log) }

# Neither token nor claim.
sub keeps_quiet
{
	my ($name, $text, $token) = @_;
	my ($header, $claims, $signature) = split /\./, $token;

	# ok, not unlike, which would print them
	ok($text !~ /\Q$claims\E|\Q$signature\E|eyJ|claimed/, "$name: neither token nor claim");
}

# An application that gives tokens as bind parameters, and one that gives them in the statement.
my $session = AuthzSession->on($node, user => 'app');
$session->query('SELECT authz.subject()');
$session->prepare('login', 'SELECT authz.login($1, false)');
my $good = token('claimed subject', ['tenant'], tenant => 3, mail => 'claimed@example');
my %bad = (
	'expired' => token('claimed subject', [], exp => time - 60),
	'for another audience' => token('claimed subject', [], aud => 'claimed audience'),
	'of an unknown issuer' => token('claimed subject', [], iss => 'https://claimed.example'),
	'forged' => AuthzToken::sign({ iss => ISSUER, aud => AUDIENCE, sub => 'claimed', exp => time + 60 }, secret => 'w' x 40),
	'with roles of a wrong form' => token('claimed subject', { claimed => 1 }),
	'with a subject of a wrong form' => token({ claimed => 'subject' }, []),
	'with an unknown key' => AuthzToken::sign({ iss => ISSUER, sub => 'claimed' }, kid => 'claimed key'),
	'garbled' => token('claimed subject', []) . 'x!',
	'too long' => token('claimed subject', [], fill => 'x' x 20000));

mark_log();
is($session->execute('login', $good), 'claimed subject', 'login');
is($session->query($count), '3', 'its rows');
keeps_quiet('login', new_log(), $good);

for my $what (sort keys %bad)
{
	mark_log();
	like($session->execute('login', $bad{$what}), qr/^ERROR 28000 token refused: /, "login $what is refused");
	keeps_quiet("login $what, to the client", join(' ', values %{ $session->{error} }), $bad{$what});
	like(new_log(), qr/ERROR:  28000: token refused/, "login $what, in the log: the reason");
	keeps_quiet("login $what, in the log", new_log(), $bad{$what});
	mark_log();
	like($session->query("SELECT authz.login('$bad{$what}')"), qr/^ERROR 28000 token refused: /, "login by literal $what is refused");
	keeps_quiet("login by literal $what, in the log", new_log(), $bad{$what});
	mark_log();
	like($session->query("SET authz.token = '$bad{$what}'"), qr/^ERROR 28000 token refused: /, "SET $what is refused");
	keeps_quiet("SET $what, to the client", join(' ', values %{ $session->{error} }), $bad{$what});
	keeps_quiet("SET $what, in the log", new_log(), $bad{$what});
	mark_log();
	like($session->query("SELECT set_config('authz.token', '$bad{$what}', false)"), qr/^ERROR 28000 token refused: /, "set_config $what is refused");
	keeps_quiet("set_config $what, to the client", join(' ', values %{ $session->{error} }), $bad{$what});
	keeps_quiet("set_config $what, in the log", new_log(), $bad{$what});
	$session->query('RESET authz.token');
}

# An assumed identity: nothing of the token that the extension makes.
mark_log();
is($session->query(q{SELECT authz.assume(substr('xassumed', 2), '{tenant}', '{"tenant": 3}')}), 'assumed', 'assume');
is($session->query($count), '3', 'its rows');
unlike(new_log(), qr/eyJ/, 'assume: no token in the log');
mark_log();
like($session->query(q{SELECT authz.assume('claimed', '{nonsense}', '{"a": "claimed"}')}), qr/^ERROR 42704/, 'assume with an unknown role');
unlike(join(' ', values %{ $session->{error} }), qr/claimed/, 'assume with an unknown role: no claim to the client');

# What settings show.
$session->query("SET authz.token = '$good'");
is($session->query('SHOW authz.token'), '<hidden>', 'SHOW');
is($session->query(q{SELECT current_setting('authz.token')}), '<hidden>', 'current_setting');
is($session->query("SELECT set_config('authz.token', '$good', false)"), '<hidden>', 'set_config');
is($session->query(q{SELECT count(*) FROM pg_settings WHERE setting || coalesce(reset_val, '') LIKE '%eyJ%'}), '0', 'pg_settings');
unlike($session->query('SHOW ALL'), qr/eyJ/, 'SHOW ALL');
unlike($session->query("EXPLAIN (SETTINGS, VERBOSE) $count"), qr/eyJ|claimed/, 'EXPLAIN');
$session->execute('login', $good);
is($node->safe_psql('postgres', "SELECT query FROM pg_stat_activity WHERE pid = $session->{pid}"), 'SELECT authz.login($1, false)', 'pg_stat_activity, login with a bind parameter');

# Statement texts and bind parameters are logged if somebody asks for it, tokens are not.
for my $setting ([ 'ddl', -1 ], [ 'mod', -1 ], [ 'all', 0 ], [ 'all', -1 ], [ 'all', 200 ])
{
	my ($statements, $length) = @$setting;
	my $other = AuthzSession->on($node, user => 'app');

	$node->safe_psql('postgres', "ALTER SYSTEM SET log_statement = '$statements'; ALTER SYSTEM SET log_parameter_max_length = $length; SELECT pg_reload_conf()");
	$node->poll_query_until('postgres', "SELECT current_setting('log_statement') = '$statements' AND (SELECT s.setting::int FROM pg_settings s WHERE s.name = 'log_parameter_max_length') = $length") or die;
	$other->query('SELECT 1');
	$other->prepare('login', 'SELECT authz.login($1, false)');
	mark_log();
	is($other->execute('login', $good), 'claimed subject', "log_statement = $statements, log_parameter_max_length = $length: login");
	keeps_quiet("log_statement = $statements, log_parameter_max_length = $length", new_log(), $good);
	like(new_log(), qr/parameters: \$1 = '<hidden>/, "log_statement = $statements, log_parameter_max_length = $length: the server logs bind parameters")
		if $statements eq 'all' && $length != 0;
	$other->close;
}
$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL; SELECT pg_reload_conf()');

# Values of rows that are not the reader's.
my $reader = AuthzSession->on($node, user => 'app');
$reader->query('SELECT authz.subject()');
$reader->query("SET authz.token = '$good'");
$node->safe_psql('postgres', q{CREATE FUNCTION leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END$$});
for my $case (
	[ 'a leaky function in WHERE', 'SELECT count(*) FROM orders WHERE leak(note)', qr/^3$/ ],
	[ 'a cast that fails', 'SELECT note::int FROM orders ORDER BY id', qr/^ERROR 22P02 .*own/ ],
	[ 'a unique value of another tenant', q{UPDATE orders SET note = (SELECT 'fo' || 'reign7') WHERE id = 3}, qr/^ERROR 23505/ ],
	[ 'a key of another tenant', q{INSERT INTO orders VALUES (3 + 4, 3, 'own')}, qr/^ERROR 23505/ ],
	[ 'ON CONFLICT with a row of another tenant', q{INSERT INTO orders VALUES (7, 3, 'own') ON CONFLICT (id) DO UPDATE SET note = 'mine'}, qr/^ERROR 42501/ ],
	[ 'a row moved to another tenant', 'UPDATE orders SET tenant = 7', qr/^ERROR 42501 permission denied to update row in table "orders"/ ],
	[ 'a row for another tenant', q{INSERT INTO orders VALUES (100, 7, 'x')}, qr/^ERROR 42501 permission denied to insert row in table "orders"/ ],
	[ 'a CHECK constraint', q{UPDATE orders SET note = 'bad' WHERE id = 3}, qr/^ERROR 23514/ ],
	[ 'a NOT NULL constraint', q{UPDATE orders SET must = NULL}, qr/^ERROR 23502/ ],
	[ 'an arithmetic error', 'SELECT count(*) FROM orders WHERE 1 / (tenant - 7) < 9', qr/^3$/ ])
{
	my ($name, $sql, $expected) = @$case;

	mark_log();
	$reader->{notice} = '';
	$reader->{error} = {};
	like($reader->query($sql), $expected, "$name: the answer");
	unlike(join(' ', $reader->{notice}, values %{ $reader->{error} }), qr/foreign/, "$name: no foreign value to the client");
	my $said = new_log();
	$said =~ s/^.*STATEMENT:.*$//mg;
	unlike($said, qr/foreign/, "$name: none in the log");
}

# A start-up option with a bad token: the connection works, what is protected raises.
mark_log();
my $startup = AuthzSession->on($node, user => 'app', options => "-c authz.token=$bad{expired}");
is($startup->query('SELECT 1'), '1', 'start-up option with an expired token: a connection');
is($startup->query($count), 'ERROR 28000 token refused: it has expired', 'start-up option with an expired token: no rows, no anonymity');
is($startup->query($count), 'ERROR 28000 token refused: it has expired', 'start-up option with an expired token: again');
is($startup->query("SET authz.token = '$good'; $count"), '3', 'start-up option with an expired token: a good one helps');
$startup->query('RESET authz.token');
is($startup->query($count), 'ERROR 28000 token refused: it has expired', 'RESET goes back to the start-up option');
is($startup->query("SELECT authz.logout(); $count"), "\n0", 'logout does not');
keeps_quiet('start-up option', new_log(), $bad{expired});

# Nobody else may plant an identity: refused where the library is loaded, without effect where it was not.
my $administrator = AuthzSession->on($node);
$administrator->query('SELECT authz.subject()');
for my $command ('ALTER ROLE app SET', 'ALTER ROLE ALL SET', 'ALTER DATABASE postgres SET', 'ALTER ROLE app IN DATABASE postgres SET', 'ALTER SYSTEM SET',
	'CREATE FUNCTION planted() RETURNS bigint LANGUAGE sql AS $$SELECT count(*) FROM orders$$ SET')
{
	mark_log();
	like($administrator->query("$command authz.token = '$good'"), qr/^ERROR 55P02/, "refused: $command");
	keeps_quiet("refused: $command, to the client", join(' ', values %{ $administrator->{error} }), $good);
}
is($administrator->query(q{SELECT count(*) FROM pg_db_role_setting}), '0', 'and nothing was stored');
my $unloaded = AuthzSession->on($node);
for my $command ('ALTER ROLE app SET', 'ALTER DATABASE postgres SET')
{
	my $reset = $command =~ s/SET$/RESET/r;

	is($unloaded->query("$command authz.token = '$good'"), '', "where no library is loaded: $command");
	mark_log();
	my $victim = AuthzSession->on($node, user => 'app');
	unlike($victim->query($count), qr/^3$/, "has no effect: $command");
	is($victim->query(q{SELECT authz.subject() IS NULL}), 't', "nobody's subject: $command");
	keeps_quiet("$command, in the log", new_log(), $good);
	$victim->close;
	$unloaded->query("$reset authz.token");
}
$node->append_conf('postgresql.conf', "authz.token = '$good'");
$node->reload;
my $configured = AuthzSession->on($node, user => 'app');
unlike($configured->query($count), qr/^3$/, 'a configuration file has no effect');
is($configured->query("SET authz.token = '$good'; $count"), '3', 'and a session can still set its own');

$node->stop;
done_testing();
