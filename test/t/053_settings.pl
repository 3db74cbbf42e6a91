# 053_settings.pl
#	  The same decisions, masks, checks of tokens, images of the audit and seals,
#	  whatever an unprivileged login does with its settings: every setting of
#	  pg_settings that it can change, with other values, by SET, by the start-up
#	  packet and by ALTER ROLE on itself.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

# No statement could be asked under these values, or they are the identity itself.
my %left_out = (
	'authz.token' => 'is the identity',
	'role' => 'is another login role',
	'session_authorization' => 'is another login role',
	'local_preload_libraries' => 'names files that must exist',
	'post_auth_delay' => 'delays the connection only');

# Values that end the question in another way; the answer must still hold no row: setting=value -> what it says instead.
my %refusing = (
	'row_security=off' => qr/^ERROR 42501 query would be affected by row-level security policy/,
	'restrict_nonsystem_relation_kind=view' => qr/^ERROR 55000 access to non-system view "doc_view" is restricted/,
	'statement_timeout=1' => qr/^ERROR 57014 canceling statement/,
	'default_transaction_read_only=on' => qr/^ERROR 25006/,
	'transaction_read_only=on' => qr/^ERROR 25006/,
	'exit_on_error=on' => qr/./);

# Other values of strings: every string setting has some here.
my %strings = (
	application_name => ['an application'],
	client_encoding => ['LATIN1', 'SQL_ASCII'],
	DateStyle => ['SQL, DMY', 'Postgres, MDY', 'German, DMY'],
	default_table_access_method => ['heap'],
	default_tablespace => ['pg_default'],
	default_text_search_config => ['pg_catalog.german'],
	lc_monetary => ['C.utf8', 'POSIX'],
	lc_numeric => ['C.utf8', 'POSIX'],
	lc_time => ['C.utf8', 'POSIX'],
	restrict_nonsystem_relation_kind => ['view'],
	search_path => ['evil, pg_catalog', ''],
	temp_tablespaces => ['pg_default'],
	TimeZone => ['Pacific/Kiritimati', 'America/New_York'],
	timezone_abbreviations => ['Australia', 'India']);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "log_min_messages = fatal\nlog_min_error_statement = panic\nautovacuum = off\n");
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE EXTENSION authz;
	CREATE ROLE app LOGIN;
	CREATE ROLE sealer LOGIN;
	GRANT authz_auditor TO sealer;
	GRANT SET ON PARAMETER log_connections, log_disconnections TO app;
	CREATE SCHEMA evil;
	GRANT USAGE ON SCHEMA evil TO PUBLIC;
	CREATE FUNCTION evil.yes(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
	CREATE FUNCTION evil.yes(date, date) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
	CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.yes);
	CREATE OPERATOR evil.>= (LEFTARG = date, RIGHTARG = date, FUNCTION = evil.yes);
	CREATE TABLE doc (id int PRIMARY KEY, tenant bigint, day date, moment timestamptz, long interval, ratio float8, price money,
		raw bytea, body text, tags text[], phone text, email text, born date, seen timestamptz, salary numeric, share float8,
		name text, card jsonb, secret text);
	INSERT INTO doc SELECT g, g % 2, '2026-01-01'::date + g * 20, '2026-01-01 12:00+00'::timestamptz + g * interval '500 hours',
		g * interval '1 day 3 hours', g / 3.0, g, decode(lpad(to_hex(g), 2, '0'), 'hex'), 'cats number ' || g, CASE WHEN g % 3 = 0 THEN ARRAY['a', NULL] END,
		'0123456789', 'person' || g || '@example.org', '1970-05-06', '1999-12-31 23:30+00', 12345.67, 0.1, 'name ' || g,
		'{"a": 1, "b": 2}', 'secret'
		FROM generate_series(1, 40) g;
	GRANT SELECT, UPDATE ON doc TO app;
	SELECT authz.create_role(r) FROM unnest('{member,staff}'::text[]) r;
	SELECT authz.protect('doc'), authz.audit('doc');
	SELECT authz.create_policy('tenant', 'doc', '{select,update}', 'tenant = authz.attr_bigint(''tenant'')', '{member}');
	SELECT authz.create_policy(n, 'doc', '{select,update}', c, '{member}', effect => 'forbid') FROM (VALUES
		('day', 'day >= ''2026-10-01'''),
		('month', 'to_char(day::timestamp, ''YYYY-MM'') = ''2026-03'''),
		('utc', '(moment AT TIME ZONE ''UTC'')::date = ''2026-05-06'''),
		('moment', 'moment BETWEEN ''2026-06-01'' AND ''2026-06-10'''),
		('interval', 'long = interval ''5 days 15:00'''),
		('money', 'price = ''7.00''::money'),
		('raw', 'raw = ''\x09'''),
		('words', 'to_tsvector(''english'', body) @@ to_tsquery(''english'', ''cats & 11'')'),
		('tags', 'tags IS NOT NULL AND tags = ''{a,NULL}'' AND id = 15'),
		('attribute', 'id = 17 AND authz.attr_timestamptz(''tenant'') IS NOT NULL'),
		('sub-select', 'EXISTS (SELECT FROM doc d WHERE d.id = doc.id AND d.ratio BETWEEN 6.3 AND 6.4)')) p(n, c);
	SELECT authz.create_mask('doc', c, m) FROM (VALUES ('phone', 'partial(2, 2)'), ('email', 'email'), ('born', 'date(''year'')'),
		('seen', 'date(''day'')'), ('salary', 'round(1000)'), ('share', 'round(0.25)'), ('name', 'hash'), ('card', 'json(''a'')')) p(c, m);
	-- Made in this order, so that the table's own order is another than that of the priorities.
	SELECT authz.create_mask('doc', 'secret', 'clear', '{*}', priority => 100);
	SELECT authz.create_mask('doc', 'secret', 'null', '{staff}', priority => 10);
	SQL
$node->safe_psql('postgres', q{SELECT authz.create_masked_view('doc', 'doc_view'); GRANT SELECT ON doc_view TO app});

my $good = token('alice', ['member', 'staff'], tenant => 1, iat => time - 60);
my $late = token('alice', ['member'], tenant => 1, iat => time - 600, exp => time - 300);
my $forged = token('alice', ['member'], tenant => 1) . 'A';
my $watcher = AuthzSession->on($node);
my $sealer = AuthzSession->on($node, user => 'sealer');

# Values that every session prints alike.
my $rows = q{SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', id, phone, email, born OPERATOR(pg_catalog.-) '2000-01-01'::pg_catalog.date,
	extract(epoch FROM seen), salary, share::pg_catalog.numeric, name, card, pg_catalog.coalesce(secret, 'none')), ', ' ORDER BY id) FROM public.doc_view};
$rows =~ s/pg_catalog\.coalesce/coalesce/;
my $decisions = q{SELECT pg_catalog.string_agg(pg_catalog.concat(id, authz.permits_row('update', doc), authz.permits_row('delete', doc)), ',' ORDER BY id) FROM public.doc};

sub answers
{
	my ($session) = @_;
	my $record = q{SELECT string_agg(concat_ws(' ', relation, subject, roles, key, old_values, new_values), ';') FROM
		(SELECT * FROM authz.audit_log WHERE action = 'update' ORDER BY id DESC LIMIT 1) l};

	# Loads the library: before that, a token is not looked at.
	$session->query('SELECT authz.subject()');
	my @answer = map { $session->query("SET authz.token = '$_'") } $late, $forged, $good;

	push @answer, map { $session->query($_) } "$rows; $decisions",
		# The rows' own values, which the image holds; what was changed is changed back.
		'UPDATE public.doc SET share = -share, born = born OPERATOR(pg_catalog.+) 0, body = body, seen = seen, moment = moment OPERATOR(pg_catalog.+) \'1 second\'::pg_catalog.interval,'
		. ' price = price OPERATOR(pg_catalog.*) 1, ratio = -ratio WHERE id OPERATOR(pg_catalog.=) 1';
	push @answer, $watcher->query($record . q{; UPDATE doc SET share = 0.1, moment = '2026-01-22 08:00+00', ratio = 1 / 3.0 WHERE id = 1});
	return join("\n", @answer);
}

sub connect_as_app
{
	my ($options) = @_;

	return AuthzSession->on($node, user => 'app', may_fail => 1, defined $options ? (options => $options) : ());
}

my $session = connect_as_app();
my $expected = answers($session);

like($expected, qr/token refused/, 'tokens are checked');
like($expected, qr/\b1 01\*\*\*89 p\*\*\*\@e\*\*\*\.org -10957 946598400\.000000 12000 0 [0-9a-f]{16} \{"a": null, "b": 2\} none/, 'masks');
unlike($expected, qr/name 1|person1|secret|0123456789/, 'and nothing else');
like($expected, qr/(?<!\d)1tf,13tf(?!\d)/, 'decisions') or diag($expected);
like($expected, qr/public\.doc alice \{member,staff\}/, 'images of the audit') or diag($expected);

# Settings with their other values.
my @settings;
for my $line (split /\n/, $watcher->query(q{SELECT name, context, vartype, current_setting(name), array_to_string(enumvals, ','), min_val, max_val
	FROM pg_settings WHERE context IN ('user', 'backend') OR name IN ('log_connections', 'log_disconnections') ORDER BY name}))
{
	my ($name, $context, $type, $value, $enum, $min, $max) = split /\|/, $line, -1;
	my @others =
		$type eq 'bool' ? ($value eq 'on' ? 'off' : 'on') :
		$type eq 'enum' ? grep { $_ ne $value } split /,/, $enum :
		$type eq 'string' ? @{ $strings{$name} // [] } : ($min, $max);

	push @others, 1 if $name eq 'statement_timeout';
	next if $left_out{$name};
	ok(@others > 0, "a value of $name is known") if @others == 0;
	push @settings, map { { name => $name, context => $context, value => $_ } } @others;
}
cmp_ok(scalar(@settings), '>', 200, 'settings are tried');

sub quoted { return "'" . $_[0] . "'"; }

# search_path is a list; every other value is one string.
sub assignment
{
	my ($setting) = @_;

	return "$setting->{name} TO " . ($setting->{name} eq 'search_path' && $setting->{value} ne '' ? $setting->{value} : quoted($setting->{value}));
}

sub holds
{
	my ($setting, $way, $got) = @_;
	my $refusal = $refusing{"$setting->{name}=$setting->{value}"};

	return 1 if $got eq $expected;
	return 1 if $refusal && grep { /$refusal/ } split /\n/, $got;
	diag("$setting->{name} = $setting->{value} by $way:\n$got\nexpected:\n$expected");
	return 0;
}

# By SET, and a seal under each.
my (@by_set, @seals);
for my $setting (grep { $_->{context} eq 'user' } @settings)
{
	my $set = $session->query('SET ' . assignment($setting));

	push @by_set, $setting->{name} if $set ne '' || !holds($setting, 'SET', answers($session));
	$session = connect_as_app() if $session->query("RESET $setting->{name}") =~ /closed/;
	next if $setting->{name} =~ /^(?:statement_timeout|default_transaction_isolation|transaction_|default_transaction_read_only|exit_on_error)/;
	$sealer->query('SET ' . assignment($setting));
	push @seals, "$setting->{name}=$setting->{value}" if $sealer->query('SELECT authz.audit_seal() IS NOT NULL') ne 't';
	$sealer->query("RESET $setting->{name}");
}
is("@by_set", '', 'by SET');
is("@seals", '', 'seals are made');

# By the start-up packet: one value of each.  The server refuses connections that set a transaction's parameters.
my (@by_packet, %in_packet);
for my $setting (grep { $_->{name} !~ /^transaction_/ && !$in_packet{ $_->{name} }++ } @settings)
{
	my $value = $setting->{value} =~ s/ /\\ /gr;
	my $fresh = connect_as_app("-c $setting->{name}=$value");

	push @by_packet, "$setting->{name}=$setting->{value}" if $fresh->{failed} || !holds($setting, 'the start-up packet', answers($fresh));
	$fresh->close;
}
is("@by_packet", '', 'by the start-up packet');
for my $options ('-P', '-fs -fi', '-P -c enable_sort=off -c DateStyle=SQL')
{
	my $fresh = connect_as_app($options);

	is(answers($fresh), $expected, "start-up options $options");
	$fresh->close;
}

# By ALTER ROLE on oneself, many at once: the first other value of each.
my (%seen, @altered);
for my $setting (grep { $_->{context} eq 'user' && !$refusing{"$_->{name}=$_->{value}"} && !$seen{ $_->{name} }++ } @settings)
{
	next if $setting->{name} =~ /^(?:transaction_|force_parallel_mode$)/;
	my $answer = $session->query('ALTER ROLE app SET ' . assignment($setting));
	push @altered, $setting->{name} if $answer eq '';
}
cmp_ok(scalar(@altered), '>', 100, 'a login alters itself');
my $altered = connect_as_app();
is(answers($altered), $expected, 'by ALTER ROLE');
$session->query('ALTER ROLE app RESET ALL');

# What was sealed under each holds under any.
for my $set ('', 'SET DateStyle = SQL; SET TimeZone = "Pacific/Kiritimati"; SET extra_float_digits = -15; SET bytea_output = escape',
	'SET search_path = evil, pg_catalog; SET quote_all_identifiers = on; SET IntervalStyle = sql_standard; SET enable_sort = off')
{
	$sealer->query($set) if $set;
	is($sealer->query('SELECT count(*) FILTER (WHERE ok), count(*) FILTER (WHERE NOT ok) FROM authz.audit_verify()') =~ s/^\d+\|//r, '0',
		'seals hold ' . ($set ? "under $set" : ''));
}

done_testing();
