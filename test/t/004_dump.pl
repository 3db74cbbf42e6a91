# 004_dump.pl
#	  What pg_dump writes and pg_restore or psql reads decides the same for the same
#	  identities, keeps its history, and is protected as before.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_statement = none\n");
$node->start;
$node->safe_psql('postgres', <<~'SQL');
	CREATE ROLE app LOGIN;
	CREATE ROLE clara LOGIN IN ROLE app;
	CREATE ROLE leaver LOGIN;
	CREATE ROLE proprietor LOGIN;
	CREATE DATABASE original;
	CREATE DATABASE plain;
	CREATE DATABASE archive;
	CREATE DATABASE parallel;
	CREATE DATABASE inserts;
	CREATE DATABASE one_table;
	CREATE DATABASE bare;
	SQL
$node->safe_psql('original', "CREATE EXTENSION authz;\n" . issuer_sql() . <<~'SQL');
	CREATE SCHEMA shop AUTHORIZATION proprietor;
	GRANT USAGE ON SCHEMA shop TO app;
	GRANT CREATE ON SCHEMA public TO proprietor;
	GRANT authz_admin TO proprietor;
	ALTER DEFAULT PRIVILEGES FOR ROLE proprietor IN SCHEMA shop GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO app;

	SET SESSION AUTHORIZATION proprietor;
	CREATE TYPE shop.state AS ENUM ('open', 'closed');
	CREATE FUNCTION shop.is_open(s shop.state) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$SELECT s = 'open'$$;
	CREATE TABLE shop.orders (id int, tenant bigint, state shop.state, note text, place text DEFAULT 'here', shelf text,
		PRIMARY KEY (id, tenant)) PARTITION BY LIST (tenant);
	CREATE TABLE shop.orders_low PARTITION OF shop.orders FOR VALUES IN (0, 1, 2);
	CREATE TABLE shop.orders_high PARTITION OF shop.orders FOR VALUES IN (3, 4, 5) PARTITION BY LIST (tenant);
	CREATE TABLE shop.orders_3 PARTITION OF shop.orders_high FOR VALUES IN (3);
	CREATE TABLE shop.orders_rest PARTITION OF shop.orders_high FOR VALUES IN (4, 5);
	CREATE TABLE shop.document (id int PRIMARY KEY, owner text, title text DEFAULT 'untitled', "Secret Note" text);
	COMMENT ON TABLE shop.document IS 'what people wrote';
	COMMENT ON COLUMN shop.document."Secret Note" IS 'it''s secret';
	CREATE TABLE shop.letter (recipient text) INHERITS (shop.document);
	-- No policy reads it for anybody, but conditions do.
	CREATE TABLE shop.member (subject text, tenant bigint, PRIMARY KEY (subject, tenant));
	CREATE TABLE public.free (id int);
	GRANT ALL ON public.free TO app;
	INSERT INTO shop.orders SELECT g, g % 6, CASE g % 4 WHEN 0 THEN 'closed' ELSE 'open' END::shop.state, 'n' || g FROM generate_series(1, 120) g;
	INSERT INTO shop.document SELECT g, CASE g % 3 WHEN 0 THEN 'alice' WHEN 1 THEN 'bob' END, 't' || g, 's' || g FROM generate_series(1, 30) g;
	INSERT INTO shop.letter SELECT g, 'bob', 'l' || g, NULL, 'carol' FROM generate_series(31, 40) g;
	INSERT INTO shop.member VALUES ('carol', 1), ('carol', 3), ('bob', 4);
	INSERT INTO public.free SELECT generate_series(1, 3);
	SELECT authz.protect_schema('shop');
	SELECT authz.create_role('reader', description => 'reads'), authz.create_role('tenant', '{reader}'),
		authz.create_role('member'), authz.create_role('admin', '{tenant,member}'), authz.create_role('later');
	SET search_path = shop, public;
	SELECT authz.create_policy('admin', 'orders', '{select,insert,update,delete,truncate}', roles => '{admin}', description => 'it''s all');
	SELECT authz.create_policy('tenant', 'orders', '{select,insert,update}', 'tenant = authz.attr_bigint(''tenant'')', '{tenant}');
	SELECT authz.create_policy('member', 'orders', '{select,delete}',
		'is_open(state) AND tenant IN (SELECT m.tenant FROM member m WHERE m.subject = authz.subject())', '{member}');
	SELECT authz.create_policy('closed stays', 'orders', '{update,delete}', 'state = ''closed''', '{*}', effect => 'forbid');
	SELECT authz.create_policy('note only', 'orders', '{update}', 'id % 2 = 0', '{reader}',
		check_condition => 'note <> ''never''', columns => '{note}');
	SELECT authz.create_policy('own', 'document', '{select,insert,update,delete}', 'owner = authz.subject()', check_condition => 'owner = authz.subject() AND title <> ''''');
	SELECT authz.create_policy('Sec"ret', 'document', '{select}', '"Secret Note" = ''s1''', '{anonymous}');
	SELECT authz.create_policy('disabled', 'document', '{select}', roles => '{tenant}');
	SELECT authz.disable_policy('disabled', 'document');
	SELECT authz.create_policy('past', 'document', '{select}', roles => '{*,anonymous}', valid_during => '(,2020-01-01)');
	SELECT authz.create_policy('future', 'document', '{select}', roles => '{*,anonymous}', valid_during => '[2120-01-01,)');
	SELECT authz.create_policy('now', 'document', '{select}', 'id = 2', '{reader}', valid_during => '[2020-01-01,2120-01-01)');
	SELECT authz.create_policy('retitle', 'document', '{update}', 'id = 2', '{reader}', columns => '{title}');
	SELECT authz.alter_policy('tenant', 'orders', description => 'of his own');
	SELECT authz.create_policy('gone', 'orders', '{select}');
	SELECT authz.drop_policy('gone', 'orders');

	SELECT authz.create_mask('document', 'title', 'clear', '{reader}', 'owner = authz.subject()', 10),
		authz.create_mask('document', 'title', 'partial(1, 0)', description => 'it''s a title');
	SELECT authz.create_mask('document', 'Secret Note', 'clear', '{*,anonymous}', priority => 1, valid_during => '(,2020-01-01)'),
		authz.create_mask('document', 'Secret Note', 'clear', '{*,anonymous}', priority => 2),
		authz.create_mask('document', 'Secret Note', 'hash(12)', condition => 'EXISTS (SELECT FROM member m WHERE m.subject = authz.subject())'),
		authz.create_mask('document', 'Secret Note', 'constant(''sealed'')', '{anonymous}', priority => 200,
			valid_during => '[2020-01-01,2120-01-01)');
	SELECT authz.alter_mask('document', 'Secret Note', priority => 2, enabled => false);
	SELECT authz.create_mask('orders', 'state', 'CASE WHEN is_open(state) THEN state END'),
		authz.create_mask('orders', 'note', 'clear', '{admin}', priority => -1), authz.create_mask('orders', 'note', 'left(note, 1) || tenant'),
		authz.create_mask('orders', 'shelf', 'null');
	SELECT authz.drop_mask('orders', 'shelf');
	SELECT authz.create_masked_view('document', 'public.paper');
	SELECT authz.create_masked_view('orders', 'public."Pur chase"', '{id,tenant,note,state,place}');
	GRANT SELECT, INSERT, UPDATE, DELETE ON public.paper TO app;
	GRANT SELECT, UPDATE (note, state) ON public."Pur chase" TO app;
	GRANT SELECT ON public.paper TO clara WITH GRANT OPTION;
	-- Has another name in the view, and is masked under the table's.
	ALTER TABLE orders RENAME COLUMN place TO "the place";
	ALTER VIEW public."Pur chase" RENAME COLUMN "the place" TO place;
	SELECT authz.create_mask('orders', 'the place', 'null', '{reader}');
	CREATE VIEW public.headline WITH (security_barrier) AS SELECT id, title FROM public.paper WHERE title LIKE '%1%';
	GRANT SELECT ON public.headline TO app;

	SELECT authz.grant_role('dave', 'tenant', reason => 'stands in'), authz.grant_role('dave', 'admin', '(,2020-01-01)'),
		authz.grant_role('erin', 'admin', '[2020-01-01,2120-01-01)', issuer => 'https://issuer.example'),
		authz.grant_role('clara at the desk', 'member');
	SELECT authz.map_login('clara', 'clara at the desk'), authz.map_login('leaver', 'boss');
	INSERT INTO shop.member SELECT 'clara at the desk', 5 WHERE false;
	SELECT authz.create_issuer('https://other.example', '{x,y}', NULL, NULL, 'data.user', '{"*": "data", "tenant": "t.id"}', '10 s');
	SELECT authz.add_key('https://other.example', 'o', 'HS384', repeat('o', 48), '[2020-01-01,2120-01-01)');
	SELECT authz.revoke_token('https://issuer.example', 'stolen'), authz.revoke_session('https://issuer.example', 'lost'),
		authz.revoke_subject('https://issuer.example', 'mallory', now() + '1 day');
	RESET SESSION AUTHORIZATION;
	INSERT INTO shop.member VALUES ('clara at the desk', 5);
	CREATE VIEW public.open_orders WITH (security_barrier) AS SELECT id, tenant FROM shop.orders WHERE state = 'open';
	ALTER VIEW public.open_orders OWNER TO proprietor;
	GRANT SELECT ON public.open_orders TO app;
	SQL

# The OID of a dropped role would be another's elsewhere, so its row stays behind.
$node->safe_psql('postgres', 'DROP ROLE leaver');
is($node->safe_psql('original', q{SELECT database_role::text ~ '^[0-9]+$', subject FROM authz.login_map ORDER BY subject}),
	"t|boss\nf|clara at the desk", 'a mapped login was dropped');

# Who asks, and what they ask: each answer is part of the fingerprint of a database.
my %token = (
	nobody => '',
	alice => token('alice', ['tenant'], tenant => 3),
	bob => token('bob', ['member']),
	carol => token('carol', [ 'member', 'tenant' ], tenant => 2),
	dave => token('dave', [], tenant => 4),
	erin => token('erin', []),
	thief => token('alice', ['admin'], jti => 'stolen'),
	lost => token('alice', ['admin'], sid => 'lost'),
	mallory => token('mallory', ['admin']),
	forged => AuthzToken::sign({ iss => ISSUER, aud => AUDIENCE, sub => 'alice', exp => time + 60 }, secret => 'f' x 40));
my @asked = (
	"SELECT authz.identity() - 'expires_at' - 'issued_at'",
	(map { "SELECT count(*), min(id), max(id), sum(id * id) FROM $_" }
		qw(shop.orders shop.orders_low shop.orders_3 shop.orders_rest shop.document shop.letter public.open_orders public.free)),
	"SELECT count(*), sum(id) FROM shop.orders o WHERE authz.permits_row('select', o)",
	"UPDATE shop.orders SET note = 'new' RETURNING id",
	"UPDATE shop.orders SET note = 'never'",
	"UPDATE shop.orders SET note = note, state = state RETURNING id",
	"UPDATE shop.document SET title = ''",
	"DELETE FROM shop.orders RETURNING id",
	"DELETE FROM shop.document RETURNING id",
	"INSERT INTO shop.orders VALUES (1000, 3, 'open', 'x')",
	"INSERT INTO shop.orders_low VALUES (1000, 2, 'open', 'x')",
	"INSERT INTO shop.letter VALUES (1000, 'alice', 'x', NULL, 'bob')",
	'SELECT * FROM shop.member',
	q{SELECT p.*, authz.is_masked(p, 'title'), authz.is_masked(p, 'Secret Note') FROM public.paper p},
	q{SELECT note, state, place, count(*), sum(id), bool_or(authz.is_masked(p, 'place')) FROM public."Pur chase" p GROUP BY 1, 2, 3},
	q{SELECT authz.is_masked('public.paper', 'title', '{"id": 2}')},
	'SELECT count(*), min(title) FROM public.headline',
	q{UPDATE public.paper SET title = title || '!' WHERE id < 10 RETURNING *},
	q{UPDATE public."Pur chase" SET note = note, state = state RETURNING id},
	q{UPDATE public."Pur chase" SET note = 'new' WHERE id > 100 RETURNING id, note},
	q{UPDATE public."Pur chase" SET state = 'open' WHERE id > 100 RETURNING id},
	'UPDATE public."Pur chase" SET place = place',
	q{UPDATE public.paper SET "Secret Note" = 'x' WHERE id = 2},
	'INSERT INTO public.paper (id, owner) VALUES (1000, authz.subject()) RETURNING *',
	q{DELETE FROM public.paper WHERE title LIKE 't%' RETURNING id});

# Everything that everybody may do.
sub fingerprint
{
	my ($database, $on) = (@_, $node);
	my $result = '';

	for my $who (sort keys %token, 'clara')
	{
		my $session = AuthzSession->on($on, user => $who eq 'clara' ? 'clara' : 'app', database => $database);

		$result .= "$who: " . $session->query("SET authz.token = '" . ($token{$who} // '') . "'") . "\n";
		for my $sql (@asked)
		{
			$session->query('BEGIN');
			$result .= "$who: $sql: " . join(' ', sort split /\n/, $session->query($sql)) . "\n";
			$session->query('ROLLBACK');
		}
		$session->close;
	}
	return $result;
}

# What the administrator sees of it.
my @catalog = (
	'SELECT authz.policy_version()',
	'SELECT * FROM authz.policy_history ORDER BY version',
	q{SELECT (to_jsonb(p) - 'depends_on')::text FROM authz.policy p ORDER BY relation::text, name},
	'SELECT relation, logical, had_row_security, had_force, protected_by, protected_at, complete FROM authz.protected_table ORDER BY relation::text',
	'SELECT name, schema::regnamespace, protected_at, protected_by FROM authz.protected_schema',
	'SELECT * FROM authz.role ORDER BY name', 'SELECT * FROM authz.role_inheritance ORDER BY role, inherits',
	'SELECT * FROM authz.role_grant ORDER BY 1', 'SELECT * FROM authz.issuer WHERE NOT internal ORDER BY 1',
	q{SELECT * FROM authz.key WHERE issuer <> 'authz:internal' ORDER BY 1, 2},
	'SELECT * FROM authz.revoked_token', 'SELECT * FROM authz.revoked_session', 'SELECT * FROM authz.revoked_subject',
	# Not those of dropped roles.
	q{SELECT m.* FROM authz.login_map m JOIN pg_roles r ON r.oid = m.database_role},
	q{SELECT (to_jsonb(m) - 'depends_on')::text FROM authz.mask m ORDER BY relation::text, column_name, priority},
	'SELECT * FROM authz.mask_key',
	'SELECT * FROM authz.masked_view_status() ORDER BY view::text',
	# Masked views themselves, and who may do what with them and their tables.
	q{SELECT v.view, c.relowner::regrole, pg_get_viewdef(v.view), obj_description(v.view), pg_get_triggerdef(t.oid), t.tgenabled
		FROM authz.masked_views() v JOIN pg_class c ON c.oid = v.view JOIN pg_trigger t ON t.tgrelid = v.view ORDER BY v.view::text, t.tgname},
	q{SELECT a.attrelid::regclass, a.attname, col_description(a.attrelid, a.attnum), pg_get_expr(d.adbin, d.adrelid), (SELECT array_agg(g.grantee::regrole || ' ' || g.privilege_type ORDER BY 1) FROM aclexplode(a.attacl) g)
		FROM pg_attribute a JOIN authz.masked_views() v ON v.view = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attnum > 0 ORDER BY a.attrelid::regclass::text, a.attnum},
	q{SELECT c.oid::regclass, g.grantor::regrole, g.grantee::regrole, g.privilege_type, g.is_grantable FROM pg_class c, aclexplode(c.relacl) g
		WHERE c.relnamespace IN ('public'::regnamespace, 'shop'::regnamespace) ORDER BY c.oid::regclass::text, 2, 3, 4});
sub catalog
{
	my ($database, $on) = (@_, $node);
	my $session = AuthzSession->on($on, database => $database);

	return join "\n", map { $session->query($_) } @catalog;
}

# The lines in which two texts differ: the texts themselves are long.
sub is_same
{
	my ($got, $expected, $name) = @_;
	my (%in_got, %in_expected);

	$in_got{$_}++ for split /\n/, $got;
	$in_expected{$_}++ for split /\n/, $expected;
	is_deeply(
		[ grep { !$in_expected{$_} } split /\n/, $got ],
		[ grep { !$in_got{$_} } split /\n/, $expected ], $name)
	  or diag(map { "got:      $_\n" } (grep { !$in_expected{$_} } split /\n/, $got)[ 0 .. 4 ]);
}

my $decisions = fingerprint('original');
my $catalog = catalog('original');
like($decisions, qr/^alice: SELECT count.* FROM shop.orders: 20\|3\|117/m, 'a tenant has rows to lose');
like($decisions, qr/^nobody: SELECT count.* FROM shop.orders: 0\|/m, 'somebody has none to gain');
like($decisions, qr/^clara: SELECT count.* FROM shop.orders: 20\|/m, 'a mapped login has rows');
like($decisions, qr/^thief: SELECT count.* FROM shop.orders: ERROR 28000 token refused: it has been revoked/m, 'a token is revoked');

my $paper = q{SELECT p\.\*.*public\.paper p};
like($decisions, qr/^alice: $paper: 12\|alice\|t12\|\|f\|t .* 2\|\|t\*\*\*\|\|t\|t/m, 'a column is shown in some rows and masked in others');
like($decisions, qr/^bob: $paper: 10\|bob\|t\*\*\*\|[0-9a-f]{12}\|t\|t/m, 'a member reads pseudonyms');
like($decisions, qr/^nobody: $paper: 1\|bob\|\|sealed\|t\|t$/m, 'nobody reads a constant');
like($decisions, qr/^erin: SELECT note.*: n100\|\|\|1\|100\|t /m, 'an admin reads notes as they are');
like($decisions, qr/^alice: UPDATE public.paper SET "Sec.*: ERROR 42501 permission denied to update column "Secret Note" of table "document"$/m,
	'and does not write what she does not see');
unlike($catalog, qr/^ERROR/m, 'the administrator may see all of it');
like($catalog, qr/^"Pur chase"\|shop.orders\|\{shelf\}\|$/m, 'a view lacks a column, and nothing is wrong with it');
like($catalog, qr/^paper\|shop.document\|\{\}\|$/m, 'nor with the other');

my $directory = PostgreSQL::Test::Utils::tempdir();
my @superuser = ('-U', $node->safe_psql('postgres', 'SELECT current_user'));
command_ok([ 'pg_dump', '-d', $node->connstr('original'), '-f', "$directory/plain.sql" ], 'pg_dump, plain');
command_ok([ 'pg_dump', '-d', $node->connstr('original'), '-Fc', '-f', "$directory/archive" ], 'pg_dump, custom');
command_ok([ 'pg_dump', '-d', $node->connstr('original'), '--inserts', '-f', "$directory/inserts.sql" ], 'pg_dump, with INSERTs');
my $plain = slurp_file("$directory/plain.sql");
my $internal_key = $node->safe_psql('original', q{SELECT key FROM authz.key WHERE issuer = 'authz:internal'});
isnt($internal_key, '', 'there is an internal key');
unlike($plain, qr/\Q$internal_key\E|authz:internal/, 'it is not in the dump');
like($plain, qr/\Q@{[SECRET]}\E/, 'while the issuers\' keys are');

my %restore = (
	plain => [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$directory/plain.sql" ],
	archive => [ 'pg_restore', '--exit-on-error', '-d', $node->connstr('archive'), "$directory/archive" ],
	inserts => [ 'psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('inserts'), '-f', "$directory/inserts.sql" ]);
# A parallel restore does not keep foreign keys of an extension's tables in order, whoever's
# they are: their data comes first, and by one worker.
my @stage = (
	[ '--section=pre-data' ],
	[ '--section=data', '-n', 'authz' ],
	[ '--section=data', '-N', 'authz', '-j', '4' ],
	[ '--section=post-data', '-j', '4' ]);
for my $stage (@stage)
{
	command_ok([ 'pg_restore', '--exit-on-error', @$stage, '-d', $node->connstr('parallel'), "$directory/archive" ],
		"parallel: restored @$stage");
}
for my $database (sort keys %restore, 'parallel')
{
	command_ok($restore{$database}, "$database: restored") if $restore{$database};
	is_same(catalog($database), $catalog, "$database: policies, masks and their views, history, grants, issuers and keys are the same");
	is_same(fingerprint($database), $decisions, "$database: everybody is permitted and shown the same");
	is($node->safe_psql($database, 'SELECT * FROM authz.login_map'), 'clara|clara at the desk', "$database: mapped logins by name, no dropped one");
	isnt($node->safe_psql($database, q{SELECT key FROM authz.key WHERE issuer = 'authz:internal'}), $internal_key,
		"$database: an internal key of its own");
}

# A restored database is alive.
for my $database ('plain', 'archive')
{
	my $session = AuthzSession->on($node, database => $database);
	my $app = AuthzSession->on($node, user => 'app', database => $database);
	my $version = $session->query('SELECT authz.policy_version()');

	for my $command ('ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY', 'ALTER TABLE shop.orders_3 NO FORCE ROW LEVEL SECURITY',
		'DROP POLICY authz_select ON shop.document', 'CREATE POLICY mine ON shop.letter USING (true)')
	{
		like($session->query($command), qr/^ERROR 55000 table .* is protected by authz/, "$database: refused: $command");
	}
	like($session->query('DROP FUNCTION shop.is_open'), qr/^ERROR 2BP01 policy "member" on table shop.orders depends/, "$database: what a policy needs stays");
	like($session->query('ALTER TABLE shop.orders DROP COLUMN state CASCADE'), qr/^ERROR 2BP01/, "$database: a column, too");
	is($app->query(q{SET authz.token = ''; SELECT count(*) FROM shop.orders}), '0', "$database: nobody");
	$session->query(q{GRANT EXECUTE ON FUNCTION authz.assume TO app});
	is($app->query(q{SELECT authz.assume('zoe', '{tenant}', '{"tenant": 5}'); SELECT count(*) FROM shop.orders}), "zoe\n20", "$database: assume works");
	is($session->query(q{SELECT authz.create_policy('new', 'shop.orders', '{select}', 'id = 1', '{tenant}'); SELECT authz.policy_version()}),
		"\n" . ($version + 1), "$database: the next version follows the last");
	is($session->query(q{SELECT h.version, h.operation, h.name FROM authz.policy_history h ORDER BY h.version DESC LIMIT 1}),
		($version + 1) . '|create|new', "$database: and is in the history");
	is($app->query('SELECT count(*) FROM shop.orders'), '21', "$database: it binds");
	is($session->query(q{SELECT authz.grant_role('zoe', 'admin')}), '', "$database: a grant after the restored ones");
	is($app->query('SELECT count(*) FROM shop.orders'), '120', "$database: it binds");
	is($session->query('SET ROLE proprietor; CREATE TABLE shop.added AS SELECT 1 AS id; CREATE TABLE shop.orders_9 PARTITION OF shop.orders FOR VALUES IN (9); RESET ROLE'), '', "$database: new tables");
	is($session->query(q{SELECT relation, logical, complete FROM authz.protected_table WHERE relation IN ('shop.added'::regclass, 'shop.orders_9'::regclass) ORDER BY relation::text}),
		"shop.added|shop.added|t\nshop.orders_9|shop.orders|t", "$database: of a protected schema, a protected table, are protected");
	is($app->query('SELECT count(*) FROM shop.added'), '0', "$database: closed");
	is($session->query('ALTER TABLE shop.orders RENAME COLUMN "the place" TO where_to; SELECT column_name FROM authz.mask WHERE column_name ~ \'where\'; ALTER TABLE shop.orders RENAME COLUMN where_to TO "the place"'),
		'where_to', "$database: a mask follows its column");
	my $purchase = 'SELECT p.*, authz.is_masked(p, %s) FROM public."Pur chase" p WHERE id = 5';
	is($app->query(sprintf $purchase, q{'note'}), '5|5|n5|open||f', "$database: an admin by grant sees a note as it is");
	is($session->query(q{SELECT authz.alter_mask('shop.orders', 'note', 'constant(''no note'')', priority => -1)}), '', "$database: a mask changes");
	is($app->query(sprintf $purchase, q{'note'}), '5|5|no note|open||t', "$database: it binds");
	is($session->query(q{SELECT h.operation, h.object_type, h.name FROM authz.policy_history h ORDER BY h.version DESC LIMIT 1}),
		'alter|mask|note', "$database: and is in the history");
	is($session->query(q{SELECT authz.rotate_mask_key(); SELECT authz.create_mask('shop.orders', 'shelf', 'constant(''x'')')}), "\n", "$database: a key, a mask");
	is($session->query(q{SELECT authz.alter_masked_view('public."Pur chase"')}), '', "$database: a view follows its table");
	is($app->query(sprintf $purchase, q{'shelf'}), '5|5|no note|open||x|t', "$database: and shows what it lacked");
	is($session->query(q{SELECT authz.create_masked_view('shop.member', 'shop.club'); SELECT * FROM authz.masked_view_status() ORDER BY view::text}),
		qq{shop.club\n"Pur chase"|shop.orders|{}|\npaper|shop.document|{}|\nshop.club|shop.member|{}|}, "$database: a new view, nothing missing, nothing wrong");
	is($session->query(q{SELECT authz.unprotect_schema('shop'); SELECT authz.unprotect('shop.document')}), 'ERROR 2BP01 masked view public.paper shows table shop.document', "$database: unprotect waits for the views");
	is($session->query(q{DROP VIEW public.headline; SELECT authz.drop_masked_view('public.paper');
		SELECT to_regclass('public.paper') IS NULL, count(*) FROM authz.masked_view_status()}), "\nt|2", "$database: a view is dropped");
	is($session->query(q{SELECT authz.unprotect_schema('shop'); SELECT authz.unprotect('shop.document')}), "\n", "$database: unprotect works");
	is($app->query('SELECT count(*) FROM shop.document'), '40', "$database: and opens");
}
is_same(fingerprint('original'), $decisions, 'the original is as it was');

# Once more into the same database: fails, and changes nothing.
command_fails([ 'psql', '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('inserts'), '-f', "$directory/plain.sql" ], 'a second time: fails (psql)');
command_fails([ 'pg_restore', '-1', '-d', $node->connstr('inserts'), "$directory/archive" ], 'a second time: fails (pg_restore)');
is_same(catalog('inserts'), $catalog, 'a second time: nothing has changed');
# Not in one transaction, the errors of each command ignored.
$node->run_log([ 'pg_restore', '-d', $node->connstr('inserts'), "$directory/archive" ]);
is($node->safe_psql('inserts', 'SELECT authz.policy_version()'), $node->safe_psql('original', 'SELECT authz.policy_version()'), 'a second time, errors ignored: no new version');
is($node->safe_psql('inserts', q{SELECT count(*) FROM authz.policy}), $node->safe_psql('original', q{SELECT count(*) FROM authz.policy}), 'a second time, errors ignored: no policy twice');
is($node->safe_psql('inserts', q{SELECT (SELECT count(*) FROM authz.mask), v.* FROM authz.masked_view_status() v ORDER BY view::text}),
	$node->safe_psql('original', q{SELECT (SELECT count(*) FROM authz.mask), v.* FROM authz.masked_view_status() v ORDER BY view::text}),
	'a second time, errors ignored: no mask twice, views all right');

# Another cluster, whose administrator made the roles of people but not the extension's.
my $elsewhere = PostgreSQL::Test::Cluster->new('elsewhere');
$elsewhere->init;
$elsewhere->start;
$elsewhere->safe_psql('postgres', <<~'SQL');
	CREATE ROLE app LOGIN;
	CREATE ROLE clara LOGIN IN ROLE app;
	CREATE ROLE proprietor LOGIN;
	CREATE DATABASE archive;
	CREATE DATABASE plain;
	SQL
is($elsewhere->safe_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname LIKE 'authz%'}), '0', 'elsewhere: no authz_view, no authz_admin');
for my $database ('archive', 'plain')
{
	my @command = @{ $restore{$database} };

	s/^port=.*/$elsewhere->connstr($database)/e for @command;
	command_ok(\@command, "elsewhere, $database: restored");
	is_same(catalog($database, $elsewhere), $catalog, "elsewhere, $database: all is the same");
	is_same(fingerprint($database, $elsewhere), $decisions, "elsewhere, $database: everybody is permitted and shown the same");
}
is($elsewhere->safe_psql('plain', q{SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'authz_view'}), 'f|f|f',
	'elsewhere: authz_view is there, and is nobody');
$elsewhere->stop;

# A dump is complete or fails.
command_fails_like([ 'pg_dump', '-d', $node->connstr('original'), '-U', 'proprietor', '-t', 'shop.orders_low', '-f', "$directory/owner.sql" ],
	qr/query would be affected by row-level security policy for table "orders_low"/, 'pg_dump by an owner without BYPASSRLS fails');
unlike(slurp_file("$directory/owner.sql"), qr/n1$/m, 'and has no row in it');

# One table: closed in a database that knows nothing of its policies.
command_ok([ 'pg_dump', '-d', $node->connstr('original'), '-t', 'shop.document', '-t', 'shop.letter', '-t', 'public.paper', '-f', "$directory/table.sql" ], 'pg_dump -t');
$node->safe_psql('one_table', 'CREATE EXTENSION authz; CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO app');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('one_table'), '-f', "$directory/table.sql" ], 'one table: restored');
my $app = AuthzSession->on($node, user => 'app', database => 'one_table');
is($node->safe_psql('one_table', 'SELECT count(*) FROM shop.document'), '40', 'one table: the rows are there');
is($app->query('SELECT count(*) FROM shop.document'), '0', 'one table: nobody sees them');
like($app->query(q{INSERT INTO shop.document VALUES (1000, 'x')}), qr/^ERROR 42501/, 'one table: nor adds to them');
is($app->query('SELECT count(*) FROM public.paper'), 'ERROR 55000 table "document" is not protected', 'one table: nor through its masked view');
is($node->safe_psql('one_table', 'SELECT * FROM authz.masked_view_status()'), 'paper|shop.document|{}|its table is not protected', 'one table: the view says why');
$node->safe_psql('one_table', q{SELECT authz.protect('shop.document'); SELECT authz.create_policy('p', 'shop.document', '{select}', 'id <= 3', '{anonymous}')});
is($app->query('SELECT count(*) FROM shop.document'), '3', 'one table: protected again, policies work');
is($app->query('SELECT title FROM public.paper WHERE id = 1'), 't1', 'one table: its masks have stayed behind like its policies');
$node->safe_psql('one_table', q{SELECT authz.create_mask('shop.document', 'title', 'partial(1, 0)', '{*,anonymous}')});
is($app->query('SELECT title FROM public.paper WHERE id = 1'), 't***', 'one table: masks made again work');
$node->safe_psql('bare', 'CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO app');
$node->run_log([ 'psql', '-X', '-q', '-d', $node->connstr('bare'), '-f', "$directory/table.sql" ]);
$app = AuthzSession->on($node, user => 'app', database => 'bare');
is($node->safe_psql('bare', 'SELECT count(*) FROM shop.document'), '40', 'without the extension: the rows are there');
is($app->query('SELECT count(*) FROM shop.document'), '0', 'without the extension: nobody sees them');
like($app->query('SELECT count(*) FROM public.paper'), qr/^ERROR 42P01/, 'without the extension: there is no masked view');

$node->stop;
done_testing();
