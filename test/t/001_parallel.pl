# 001_parallel.pl
#	  Parallel workers filter as the leader does: the identity reaches them, also
#	  from start-up options, and a condition runs where its functions may run.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

my $node = PostgreSQL::Test::Cluster->new('parallel');
$node->init;
$node->append_conf('postgresql.conf', <<~CONF);
	max_worker_processes = 8
	log_statement = none
	CONF
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	CREATE TABLE orders (id int, tenant bigint, amount int, kind text);
	INSERT INTO orders SELECT g, g % 10, g % 97, CASE g % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' END FROM generate_series(1, 5000) g;
	CREATE TABLE plain AS SELECT * FROM orders;
	CREATE TABLE tenant_of (subject text, tenant bigint);
	INSERT INTO tenant_of VALUES ('carol', 4), ('carol', 5);
	CREATE TABLE part (id int, tenant bigint, amount int, kind text) PARTITION BY LIST (tenant);
	CREATE TABLE part_low PARTITION OF part FOR VALUES IN (0, 1, 2, 3, 4);
	CREATE TABLE part_high PARTITION OF part FOR VALUES IN (5, 6, 7, 8, 9);
	INSERT INTO part SELECT * FROM orders;
	GRANT SELECT ON orders, plain, part, part_low, part_high TO app;
	ANALYZE;

	-- Is this no parallel worker?
	CREATE FUNCTION in_leader() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER AS
		'SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_catalog.pg_backend_pid() AND a.leader_pid IS NOT NULL)';
	CREATE FUNCTION restricted() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS
		'BEGIN RETURN public.in_leader(); END';
	-- A subtransaction is not possible in parallel mode, also not in the leader.
	CREATE FUNCTION unsafe() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS
		'BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN RETURN public.in_leader(); END';

	SELECT authz.create_role(r) FROM unnest('{tenant,member,clerk,admin,restricted,unsafe,all_restricted,all_unsafe}'::text[]) r;
	SELECT authz.protect(t) FROM unnest('{orders,part}'::regclass[]) t;
	SELECT authz.create_policy('admin', t, '{select}', 'true', '{admin}'),
		authz.create_policy('tenant', t, '{select}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}'),
		authz.create_policy('member', t, '{select}',
			'tenant IN (SELECT m.tenant FROM tenant_of m WHERE m.subject = authz.subject())', '{member}'),
		authz.create_policy('clerk', t, '{select}', 'amount > 50 AND authz.has_role(''clerk'')', '{clerk}'),
		authz.create_policy('no b', t, '{select}', 'kind = ''b''', '{clerk}', effect => 'forbid'),
		authz.create_policy('restricted', t, '{select}', 'tenant < 5 AND restricted()', '{restricted}'),
		authz.create_policy('unsafe', t, '{select}', 'tenant < 5 AND unsafe()', '{unsafe}')
		FROM unnest('{orders,part}'::regclass[]) t;

	SELECT authz.create_policy('all', 'part', '{select}', roles => '{all_restricted,all_unsafe}');
	SELECT authz.create_mask('part', 'kind', 'hash'), authz.create_mask('part', 'amount', 'clear', '{admin}', 'tenant < 5', 10),
		authz.create_mask('part', 'amount', 'CASE WHEN restricted() THEN 1 ELSE 0 END', '{all_restricted}', priority => 20),
		authz.create_mask('part', 'amount', 'CASE WHEN unsafe() THEN 1 ELSE 0 END', '{all_unsafe}', priority => 30),
		authz.create_mask('part', 'amount', 'round(10)');
	SELECT authz.create_masked_view('part', 'masked');
	GRANT SELECT ON masked TO app;
	SQL

my $parallel = <<~'SQL';
	SET max_parallel_workers_per_gather = 2;
	SET min_parallel_table_scan_size = 0;
	SET parallel_setup_cost = 0;
	SET parallel_tuple_cost = 0;
	SQL
my $session = AuthzSession->on($node, user => 'app');
is($session->query($parallel), '', 'a session that prefers parallel plans');

# The plan of a query, as executed.
sub analyze
{
	my ($on, $sql) = @_;

	return $on->query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $sql");
}

# Run with workers alone, then without any.
sub both
{
	my ($on, $sql) = @_;

	$on->query('SET parallel_leader_participation = off');
	my $workers = $on->query($sql);
	$on->query('SET parallel_leader_participation = on; SET max_parallel_workers_per_gather = 0');
	my $serial = $on->query($sql);
	$on->query('SET max_parallel_workers_per_gather = 2');
	return ($workers, $serial);
}

my %condition = (
	alice => 'tenant = 3',
	bob => 'true',
	carol => 'tenant IN (4, 5)',
	dave => "amount > 50 AND (kind = 'b') IS FALSE",
	nobody => 'false');
my %token = (
	alice => token('alice', ['tenant'], tenant => 3),
	bob => token('bob', ['admin']),
	carol => token('carol', ['member']),
	dave => token('dave', ['clerk']),
	nobody => token('nobody', []),
	ron => token('ron', ['restricted']),
	una => token('una', ['unsafe']),
	masked_ron => token('ron', ['all_restricted']),
	masked_una => token('una', ['all_unsafe']));

for my $table ('orders', 'part')
{
	for my $who (sort keys %condition)
	{
		my $sql = "SELECT count(*), sum(amount), sum(id) FROM $table";
		my $expected = $session->query("SELECT count(*), sum(amount), sum(id) FROM plain WHERE $condition{$who}");

		$session->query("SET authz.token = '$token{$who}'");
		my ($workers, $serial) = both($session, $sql);
		is($workers, $expected, "$table, $who: workers see the rows of the policies");
		is($serial, $expected, "$table, $who: so does a serial plan");
		next if $who eq 'nobody';
		like(analyze($session, $sql), qr/Gather.*Workers Launched: [12]/s, "$table, $who: and workers it was");
	}
	$session->query('RESET authz.token');
	is($session->query("SELECT count(*) FROM $table"), '0', "$table: no token, no row");
}

# Masks: the same cells from workers.  By hand as the superuser, who may call authz.mask_hash.
my %amount = (
	alice => 'amount / 10 * 10',
	bob => 'CASE WHEN tenant < 5 THEN amount ELSE amount / 10 * 10 END');
for my $who (sort keys %amount)
{
	my $expected = $node->safe_psql('postgres', <<~SQL);
		SELECT authz.mask_hash(kind), count(*), sum($amount{$who}), bool_and(kind IS NOT NULL), count(*) FILTER (WHERE '$who' <> 'bob' OR tenant >= 5)
			FROM plain WHERE $condition{$who} GROUP BY 1 ORDER BY 1
		SQL
	my $sql = q{SELECT kind, count(*), sum(amount), bool_and(kind IS NOT NULL), count(*) FILTER (WHERE authz.is_masked(m, 'amount'))
		FROM masked m GROUP BY 1 ORDER BY 1};

	$session->query("SET authz.token = '$token{$who}'");
	my ($workers, $serial) = both($session, $sql);
	is($workers, $expected, "masked, $who: workers show what the masks say");
	is($serial, $expected, "masked, $who: so does a serial plan");
	like(analyze($session, $sql), qr/Workers Launched: [12].*Partial.*Group Key: \(authz\.pseudonym\(t\.kind, 16\)\)/s, "masked, $who: and workers made the pseudonyms");
}
$session->query('RESET authz.token');
is($session->query('SELECT count(*) FROM masked'), '0', 'masked: no token, no row');

# The identity that a worker has is the leader's, not only what the planner folded.
$session->query("SET authz.token = '$token{alice}'");
$session->query('SET parallel_leader_participation = off');
my $evaluated = q{SELECT authz.subject(), authz.attr('tenant'), authz.has_role('tenant'), in_leader(), count(*) FROM plain p WHERE p.kind = 'a' GROUP BY 1, 2, 3, 4};
like(analyze($session, $evaluated), qr/Gather/, 'accessors run in workers');
is($session->query("SELECT DISTINCT authz.subject(), authz.attr('tenant'), in_leader() FROM plain WHERE id < 1000 AND authz.subject() = 'alice'"),
	'alice|3|f', 'and there they know the identity');

# Joins and sub-queries of two protected tables.
$session->query('SET parallel_leader_participation = on');
is(join(' ', both($session, 'SELECT count(*) FROM orders o JOIN part p USING (id) WHERE o.amount > 10')),
	join(' ', ($session->query('SELECT count(*) FROM plain WHERE tenant = 3 AND amount > 10')) x 2),
	'a join of protected tables');
is(join(' ', both($session, 'SELECT count(*) FROM plain x WHERE EXISTS (SELECT FROM orders o WHERE o.id = x.id)')),
	'500 500', 'a protected table in a sub-query');

# Switching the identity switches the workers, prepared statements included.
$session->query('SET plan_cache_mode = force_generic_plan');
$session->prepare('sum', 'SELECT count(*), sum(amount), sum(id) FROM orders WHERE id > $1');
for my $who ('alice', 'bob', 'carol', 'alice', 'nobody')
{
	my $expected = $session->query("SELECT count(*), sum(amount), sum(id) FROM plain WHERE id > 7 AND $condition{$who}");

	$session->query("SET authz.token = '$token{$who}'");
	is($session->execute('sum', 7), $expected, "prepared statement, now $who");
}
$session->query("BEGIN; SET LOCAL authz.token = '$token{bob}'");
is($session->query('SELECT count(*) FROM orders'), '5000', 'SET LOCAL reaches workers');
$session->query('ROLLBACK');
is($session->query('SELECT count(*) FROM orders'), '0', 'and ends with the transaction');
$session->query('RESET plan_cache_mode');

# Conditions whose functions may not run in a worker.
$session->query("SET authz.token = '$token{una}'");
my $few = $session->query('SELECT count(*) FROM plain WHERE tenant < 5');
my %query = (
	'alone' => ['SELECT count(*) FROM orders', $few],
	'partitioned' => ['SELECT count(*) FROM part', $few],
	'joined after' => ['SELECT count(*) FROM plain p JOIN orders o USING (id)', $few],
	'joined before' => ['SELECT count(*) FROM orders o JOIN plain p USING (id)', $few],
	'in a sub-query' => ['SELECT count(*) FROM plain p JOIN (SELECT id FROM orders OFFSET 0) o USING (id)', $few],
	'in a CTE' => ['WITH o AS MATERIALIZED (SELECT id FROM orders) SELECT count(*) FROM plain p JOIN o USING (id)', $few],
	'in a scalar sub-select' => ['SELECT count(*), (SELECT count(*) FROM orders) FROM plain', "5000|$few"],
	'in a NOT IN' => ['SELECT count(*) FROM plain p WHERE p.id NOT IN (SELECT id FROM orders)', 5000 - $few],
	'in the later of two sub-selects' =>
	  ['SELECT (SELECT count(*) FROM plain), (SELECT count(*) FROM orders)', "5000|$few"],
	'in the later of two sub-queries' =>
	  ['SELECT a.n, b.n FROM (SELECT count(*) AS n FROM plain) a, (SELECT count(*) AS n FROM orders) b', "5000|$few"],
	'in a union' => ['SELECT count(*) FROM (SELECT id FROM plain UNION ALL SELECT id FROM orders) u', 5000 + $few]);

for my $which (sort keys %query)
{
	my ($sql, $expected) = @{ $query{$which} };

	is($session->query($sql), $expected, "unsafe condition $which: the right rows");
	unlike(analyze($session, $sql), qr/Workers Launched: [12]/, "unsafe condition $which: no worker takes part");
}
$session->query("SET authz.token = '$token{ron}'");
for my $which (sort keys %query)
{
	my ($sql, $expected) = @{ $query{$which} };

	is($session->query($sql), $expected, "restricted condition $which: runs in the leader");
}
like(analyze($session, $query{'joined before'}[0]), qr/Gather.*Seq Scan on plain/s,
	'beside a restricted condition another table is read by workers');

# Masks whose functions may not, where the view itself may run anywhere.
my %cells = (
	'alone' => 'SELECT min(amount), count(*) FROM masked',
	'joined' => 'SELECT min(m.amount), count(*) FROM plain p JOIN masked m USING (id)',
	'in a sub-query' => 'SELECT min(m.amount), count(*) FROM plain p JOIN (SELECT id, amount FROM masked OFFSET 0) m USING (id)',
	'in a condition' => 'SELECT 1, count(*) FROM masked WHERE amount = 1',
	'in a scalar sub-select' => 'SELECT (SELECT min(amount) FROM masked), count(*) FROM plain',
	'in an outer join' => 'SELECT min(m.amount), count(*) FROM plain p LEFT JOIN masked m USING (id)',
	'in a union' => 'SELECT min(amount), count(*) / 2 FROM (SELECT amount FROM masked UNION ALL SELECT 1 FROM plain) u');
for my $which (sort keys %cells)
{
	$session->query("SET authz.token = '$token{masked_una}'");
	is($session->query($cells{$which}), '1|5000', "unsafe mask $which: runs in the leader");
	unlike(analyze($session, $cells{$which}), qr/Workers Launched: [12]/, "unsafe mask $which: no worker takes part");
	$session->query("SET authz.token = '$token{masked_ron}'");
	is($session->query($cells{$which}), '1|5000', "restricted mask $which: runs in the leader");
}

# With workers wherever they are allowed, whether they pay or not.
$session->query('SET force_parallel_mode = on');
for my $who ('una', 'ron')
{
	$session->query("SET authz.token = '$token{$who}'");
	for my $which (sort keys %query)
	{
		my ($sql, $expected) = @{ $query{$which} };

		is($session->query($sql), $expected, "force_parallel_mode, $who, $which");
	}
	$session->query("SET authz.token = '$token{qq(masked_$who)}'");
	is($session->query($cells{$_}), '1|5000', "force_parallel_mode, masks, $who, $_") for sort keys %cells;
}
$session->query("SET authz.token = '$token{alice}'");
is($session->query('SELECT count(*) FROM orders'), '500', 'force_parallel_mode, alice');
like(analyze($session, 'SELECT count(*) FROM orders WHERE id < 0'), qr/Gather/, 'force_parallel_mode gives a Gather');
$session->close;

# The identity of start-up options, verified at first use, which may be in a worker.
my $options = AuthzSession->on($node, user => 'app', options => "-c authz.token=$token{alice}");
$options->query($parallel);
$options->query('SET parallel_leader_participation = off');
is($options->query('SELECT count(*), min(tenant), max(tenant) FROM orders'), '500|3|3', 'start-up options: rows by workers');
like(analyze($options, 'SELECT count(*) FROM orders'), qr/Workers Launched: [12]/, 'and workers it was');
$options->close;

my $forged = AuthzSession->on($node, user => 'app', options => '-c authz.token=' . AuthzToken::sign({ sub => 'x' }, secret => 'wrong' x 8));
$forged->query($parallel);
is($forged->query('SELECT count(*) FROM orders'), 'ERROR 28000 token refused: it names no issuer', 'a bad token of start-up options raises');
is($forged->query('SELECT count(*) FROM orders'), 'ERROR 28000 token refused: it names no issuer', 'again and again');
$forged->close;

$node->stop;
done_testing();
