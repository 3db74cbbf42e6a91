# 003_pgbouncer.pl
#	  Several clients of several tenants over one server connection: PgBouncer in
#	  transaction mode, an identity per transaction.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

IPC::Run::run([ 'pgbouncer', '--version' ], '>', \my $version, '2>&1') or plan skip_all => 'no pgbouncer here';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\n");
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	CREATE TABLE orders (id int, tenant bigint);
	INSERT INTO orders SELECT g, g % 10 FROM generate_series(1, 100) g;
	INSERT INTO orders VALUES (0, 0);
	GRANT SELECT, INSERT ON orders TO app;
	SELECT authz.create_role(r) FROM unnest('{tenant,admin}'::text[]) r;
	SELECT authz.protect('orders');
	SELECT authz.create_policy('tenant', 'orders', '{select,insert}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_policy('public', 'orders', '{select}', 'id = 0', '{anonymous}');
	ALTER TABLE orders ADD note text DEFAULT 'secret';
	SELECT authz.create_mask('orders', 'note', 'clear', '{*}', 'tenant = 3', 10), authz.create_mask('orders', 'note', 'partial(1, 0)');
	SELECT authz.create_masked_view('orders', 'shown');
	GRANT SELECT ON shown TO app;
	SQL

my @poolers;

# Start a pooler over the node; the socket's path is returned.
sub start_pooler
{
	my ($pool_size, $settings) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir_short();
	my ($host, $port) = ($node->host, $node->port);

	append_to_file("$directory/users", qq("app" ""\n));
	append_to_file("$directory/pgbouncer.ini", <<~INI);
		[databases]
		postgres = host=$host port=$port dbname=postgres
		[pgbouncer]
		listen_addr =
		listen_port = 6432
		unix_socket_dir = $directory
		auth_type = trust
		auth_file = $directory/users
		pool_mode = transaction
		default_pool_size = $pool_size
		$settings
		INI
	push @poolers, IPC::Run::start([ 'pgbouncer', "$directory/pgbouncer.ini" ],
		'<', \undef, '>', "$directory/log", '2>&1');
	for (1 .. 600)
	{
		return $directory if -S "$directory/.s.PGSQL.6432";
		select(undef, undef, undef, 0.1);
	}
	die 'pgbouncer did not start: ' . slurp_file("$directory/log");
}

END
{
	my $status = $?;
	$_->signal('INT'), $_->finish for @poolers;
	$? = $status;
}

my $pooler = start_pooler(1, '');
my $count = 'SELECT count(*), min(tenant), max(tenant) FROM orders';
my $anonymous = '1|0|0';
my ($tenant3, $tenant7) = ('10|3|3', '10|7|7');
my $alice = token('alice', ['tenant'], tenant => 3);
my $bob = token('bob', ['tenant'], tenant => 7);
my $expired = token('alice', ['tenant'], tenant => 3, exp => time - 5);

sub client { return AuthzSession->new(socket => "$pooler/.s.PGSQL.6432", user => 'app') }

my ($a, $b, $c) = map { client() } 1 .. 3;

# Transactions one after the other.
my $server = $a->query('SELECT pg_backend_pid()');
is($b->query('SELECT pg_backend_pid()'), $server, 'two clients share a server connection');
is($a->query($count), $anonymous, 'without a token: what is for everybody');
for my $round (1 .. 2)
{
	is($a->query("BEGIN; SET LOCAL authz.token = '$alice'; $count; COMMIT"), $tenant3, "round $round: one tenant's transaction");
	is($b->query($count), $anonymous, "round $round: nothing of it is left for another client");
	is($b->query("BEGIN; SET LOCAL authz.token = '$bob'; $count; COMMIT"), $tenant7, "round $round: another tenant's");
	is($a->query($count), $anonymous, "round $round: nothing of that either");
	is($c->query($count), $anonymous, "round $round: nor for one who never had a token");
}

# Interleaved: a statement of another client waits for the server connection.
$a->query('BEGIN');
is($a->query("SET LOCAL authz.token = '$alice'"), '', 'a transaction stays open');
$b->send("BEGIN; SET LOCAL authz.token = '$bob'; $count; COMMIT");
$c->send($count);
is($a->query($count), $tenant3, 'while others wait');
is($a->query('INSERT INTO orders VALUES (1000, 7)'), 'ERROR 42501 permission denied to insert row in table "orders"', 'it cannot write for another tenant');
$a->query('ROLLBACK');
is($b->result, $tenant7, 'then the next');
is($c->result, $anonymous, 'and the next');
is($a->query('SELECT pg_backend_pid()'), $server, 'all on the same server connection');

# By function, with the token as a bind parameter.
for my $pair ([ $a, $alice, $tenant3, 'alice' ], [ $b, $bob, $tenant7, 'bob' ])
{
	my ($client, $token, $rows, $subject) = @$pair;

	$client->query('BEGIN');
	$client->prepare('', 'SELECT authz.login($1)');
	is($client->execute('', $token), $subject, 'login in a transaction');
	is($client->query($count), $rows, 'its rows');
	$client->query('COMMIT');
	is($client->query($count), $anonymous, 'gone with the transaction');
	is($c->query($count), $anonymous, 'for others, too');
}
$a->query("BEGIN; SET LOCAL authz.token = '$alice'");
is($a->query('SAVEPOINT s'), '', 'a savepoint');
is($a->query("SET LOCAL authz.token = '$bob'; $count"), $tenant7, 'another identity after a savepoint');
is($a->query("ROLLBACK TO s; $count"), $tenant3, 'rolled back to the first');
$a->query('COMMIT');
is($b->query($count), $anonymous, 'nothing is left');

# One prepared statement on a masked view: each client has the cells of his own identity.
for my $mode ('force_custom_plan', 'force_generic_plan')
{
	$a->query("SET plan_cache_mode = $mode");
	$a->query(q{PREPARE cells AS SELECT min(note), max(note), bool_or(authz.is_masked(s, 'note')), count(*) FROM shown s});
	for my $round (1 .. 2)
	{
		is($a->query("BEGIN; SET LOCAL authz.token = '$alice'; EXECUTE cells; COMMIT"), 'secret|secret|f|10', "$mode, round $round: clear cells");
		is($b->query("BEGIN; SET LOCAL authz.token = '$bob'; EXECUTE cells; COMMIT"), 's***|s***|t|10', "$mode, round $round: masked for the next client");
		is($c->query('EXECUTE cells'), '||t|1', "$mode, round $round: NULL for nobody");
	}
	is($b->query('SELECT pg_backend_pid()'), $server, "$mode: all on the same server connection");
	$a->query('DEALLOCATE cells');
}
$a->query('RESET plan_cache_mode');

# A token that fails in one client's transaction.
is($a->query("BEGIN; SET LOCAL authz.token = '$expired'"), 'ERROR 28000 token refused: it has expired', 'a bad token');
$a->query('ROLLBACK');
is($b->query("BEGIN; SET LOCAL authz.token = '$bob'; $count; COMMIT"), $tenant7, 'another client that sets its own is not harmed');
is($b->query($count), $anonymous, 'and after it nothing is left of either');
$a->query("BEGIN; SET LOCAL authz.token = '$expired'");
$a->query('ROLLBACK');
like($c->query($count), qr/^ERROR 28000 the last attempt to set authz.token failed/,
	'one that sets nothing is refused: the server cannot know that it is another client');
is($c->query('SELECT authz.subject()'), 'ERROR 28000 the last attempt to set authz.token failed', 'nor told who it is');
is($c->query('SELECT 1'), '1', 'what is not protected works');
is($c->query("BEGIN; SELECT authz.logout(); $count; COMMIT"), "\n$anonymous", 'logout is a way to say: nobody');
is($b->query($count), $anonymous, 'and ends it for all');

# A client that vanishes within its transaction.
$a->query("BEGIN; SET LOCAL authz.token = '$alice'");
is($a->query($count), $tenant3, 'a client in a transaction');
$a->{socket}->close;
is($b->query($count), $anonymous, 'vanished: nothing of it is left');
$a = client();

# What does not suit transaction mode.
$a->query("SET authz.token = '$alice'");
is($b->query($count), $tenant3, 'a SET without LOCAL stays on the server connection: SET LOCAL or authz.login(token) it must be');
$a->query('RESET authz.token');
my $refused = AuthzSession->new(
	socket => "$pooler/.s.PGSQL.6432",
	user => 'app',
	options => "-c authz.token=$alice",
	may_fail => 1);
like($refused->{failed}, qr/unsupported startup parameter: options/, 'start-up options do not pass the pooler unheard');

# A reset query that runs after each transaction takes care of both cases.
$pooler = start_pooler(1, <<~'INI');
	server_reset_query = RESET authz.token
	server_reset_query_always = 1
	INI
($a, $b) = (client(), client());
is($a->query('SELECT pg_backend_pid()'), $b->query('SELECT pg_backend_pid()'), 'with a reset query: one server connection');
$a->query("SET authz.token = '$alice'");
is($b->query($count), $anonymous, 'with a reset query: a SET without LOCAL is gone');
$a->query("BEGIN; SET LOCAL authz.token = '$expired'");
$a->query('ROLLBACK');
is($b->query($count), $anonymous, 'with a reset query: so is the failure of another');

# Many at once over two server connections; a wrong row divides by zero.
$pooler = start_pooler(2, '');
my $check = "SELECT 1 / (count(*) = 10 AND min(tenant) = %d AND max(tenant) = %d)::int FROM orders;\n";
my @scripts;
for my $script (
	[ 'alice', "BEGIN;\nSET LOCAL authz.token = '$alice';\n" . sprintf($check, 3, 3) . "COMMIT;\n" ],
	[ 'bob', "BEGIN;\nSELECT authz.login('$bob');\n" . sprintf($check, 7, 7) . "COMMIT;\n" ],
	[ 'nobody', "SELECT 1 / (count(*) = 1 AND max(id) = 0)::int FROM orders;\n" ],
	[ 'rolled_back', "BEGIN;\nSET LOCAL authz.token = '$bob';\n" . sprintf($check, 7, 7) . "ROLLBACK;\n" ])
{
	my $file = "$pooler/$script->[0].sql";
	append_to_file($file, $script->[1]);
	push @scripts, '-f', $file;
}
command_like([ 'pgbench', '-n', '-h', $pooler, '-p', '6432', '-U', 'app', '-c', '8', '-t', '100', '-M', 'simple', @scripts, 'postgres' ],
	qr{number of transactions actually processed: 800/800}, 'eight clients mixed: nobody sees a row of another');

$node->stop;
done_testing();
