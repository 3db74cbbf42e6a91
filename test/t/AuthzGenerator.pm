# AuthzGenerator.pm
#	  Random policies, identities, rows and statements for 020_agreement.pl, and
#	  what must come of them, worked out here and not by the extension.
#
# Everything follows from the seed.  A condition is made once, as a template,
# and written in two ways: as a policy (accessors, columns named in several
# ways, tables with or without schema), and as plain SQL for one identity:
# literals in place of accessors, columns of the alias "r".
#
# Placeholders of templates: {c:column}, {o:column} (where a bare name would
# be another table's), {t:table}, {attr:type:name}, {role:name}, {scope:name},
# {subject}, {issuer}.
package AuthzGenerator;

use strict;
use warnings;

use AuthzToken;

# What a policy's condition is about; touched is what updates set.
my @columns = qw(id tenant big title flag at ref amount tags nums data note);
my %type = (
	id => 'int', tenant => 'int', big => 'bigint', title => 'text', flag => 'boolean', at => 'timestamptz',
	ref => 'uuid', amount => 'numeric', tags => 'text[]', nums => 'bigint[]', data => 'jsonb', note => 'text',
	touched => 'int');

# The tables that policies are made for, and where their rows are read and written.
my %targets = (docs => ['docs'], ledger => [ 'ledger', 'ledger', 'ledger_p2' ], base => [ 'base', 'base', 'base_child' ]);

my @roles = qw(tenant viewer editor auditor admin);
my %inherits = (admin => [ 'editor', 'auditor' ], editor => ['viewer']);
my @scopes = qw(read write audit);

sub new
{
	my ($class, $seed) = @_;

	srand($seed);
	return bless { identities => [ make_identities() ] }, $class;
}

# Random helpers: a number below n, a chance in percent, an element, some elements.
sub below  { return int(rand($_[0])) }
sub chance { return rand(100) < $_[0] }
sub pick   { return $_[ rand @_ ] }
sub some
{
	my @of = @_;
	my @taken = grep { chance(40) } @of;

	return @taken ? @taken : (pick(@of));
}

sub quote
{
	my ($text) = @_;

	return 'NULL' unless defined $text;
	(my $quoted = $text) =~ s/'/''/g;
	return "'$quoted'" unless $quoted =~ s/\\/\\\\/g;
	return "E'$quoted'";
}

#
# Values.  Small domains, so that things match; edges among them.
#
my %domain = (
	tenant => [ 1, 2, 2, 3, 3, 3, 4, 5, 6, 0, -1, 2147483647, -2147483648 ],
	big => [ 0, 1, 2, 3, 4, 5, 42, '9223372036854775807', '-9223372036854775808' ],
	title => [ 'a', 'b', 'c', 'A', 'abc', '', ' ', 'a%', 'a_b', 'a\\b', "it's", "Gr\xc3\xb6\xc3\x9fe", 'NULL', '42' ],
	flag => [ 'true', 'false' ],
	at => [
		'2020-01-01 00:00:00+00', '2021-03-04 05:06:07.891011+02', '2021-04-03 00:00:00-11', '2022-02-02 22:22:22+00',
		'2024-02-29 12:00:00+00', '2030-12-31 23:59:59.999999+00', 'infinity', '-infinity', '0044-03-15 00:00:00+00 BC' ],
	ref => [ map { "00000000-0000-4000-8000-00000000000$_" } 1 .. 5 ],
	amount => [ '0', '1', '1.5', '1.50', '-3.25', '42', '100000000000000000000', '0.000000000000000001', 'NaN', 'Infinity' ],
	tags => [ '{}', '{a}', '{a,b}', '{b,c}', '{NULL}', '{a,NULL}', '{b,NULL}', '{a,a}', q({"it's","a\\\\b",""}), '{{a,b},{c,d}}' ],
	nums => [ '{}', '{1}', '{1,2,3}', '{3,4}', '{NULL,3}', '{1,NULL}', '{9223372036854775807}', '{{1,2},{3,4}}' ],
	data => [
		'{}', '[]', 'null', '1', '"a"', '{"k": "v"}', '{"k": "w", "n": 1}', '{"k": null}', '{"n": 1.0}',
		'{"owner": "alice"}', '{"owner": "bob", "a": {"b": 2}}', '["a", "b"]', '{"a": {"b": [1, null]}}' ],
	note => [ 'x', 'y', 'alice', 'a\\b', 'a\\b' ]);

sub value
{
	my ($column) = @_;

	return 'NULL' if chance(6);
	return value_given($column);
}

# A constant for the column, never NULL, in one of the ways to write one.
sub value_given
{
	my ($column) = @_;
	my $value = pick(@{ $domain{$column} });

	return $value if $column eq 'flag' || ($column =~ /^(big|tenant)$/ && $value !~ /^-/ && chance(60));
	return "$type{$column} " . quote($value) if $column =~ /^(at|ref|amount|data)$/ && chance(30);
	return quote($value) . "::$type{$column}";
}

sub list
{
	my ($column) = @_;

	return join(', ', map { value($column) } 0 .. below(4));
}

# Rows of a table, as a VALUES list.  Some have nothing but their id.
sub rows
{
	my ($self, $from, $to) = @_;
	my @rows;

	for my $id ($from .. $to)
	{
		my $nulls = pick(5, 20, 20, 20, 60);
		push @rows, '(' . join(', ', $id,
			map { $id % 29 == 0 || chance($nulls) ? 'NULL' : quote(pick(@{ $domain{$_} })) . "::$type{$_}" } @columns[ 1 .. $#columns ]) . ')';
	}
	return join(",\n", @rows);
}

#
# Identities.  An attribute has the JSON value that the token states, and by
# accessor the literal that must come of it; no literal is NULL.
#
sub make_identities
{
	my $uuid = '00000000-0000-4000-8000-00000000000';
	my %full = (
		tenant => [ 3, bigint => '3', text => "'3'" ],
		level => [ '2', bigint => '2', text => "'2'" ],
		dept => [ 'a', text => "'a'" ],
		active => [ JSON::PP::true, boolean => 'true', text => "'true'" ],
		ref => [ $uuid . '2', uuid => "'${uuid}2'", text => "'${uuid}2'" ],
		since => [ '2022-02-02T22:22:22Z', timestamptz => "'2022-02-02 22:22:22+00'", text => "'2022-02-02T22:22:22Z'" ],
		tags => [ [ 'a', 'c' ], text_array => "'{a,c}'" ],
		nums => [ [ 2, '3' ], bigint_array => "'{2,3}'", text_array => "'{2,3}'" ],
		refs => [ [ $uuid . '1', $uuid . '4' ], uuid_array => "'{${uuid}1,${uuid}4}'", text_array => "'{${uuid}1,${uuid}4}'" ],
		prefs => [ { k => 'v' }, jsonb => q('{"k": "v"}') ]);
	my %other = (
		tenant => [ '2', bigint => '2', text => "'2'" ],
		level => [ -1, bigint => '-1', text => "'-1'" ],
		dept => [ "it's", text => "'it''s'" ],
		active => [ 'false', boolean => 'false', text => "'false'" ],
		since => [ 1640995200, timestamptz => "'2022-01-01 00:00:00+00'", text => "'1640995200'", bigint => '1640995200' ],
		tags => [ [], text_array => "'{}'", bigint_array => "'{}'", uuid_array => "'{}'" ],
		nums => [ [ 1, '9223372036854775807' ], bigint_array => "'{1,9223372036854775807}'", text_array => "'{1,9223372036854775807}'" ],
		prefs => [ { owner => 'bob' }, jsonb => q('{"owner": "bob"}') ]);
	# Each of another form than the accessor asks for.
	my %malformed = (
		tenant => [ '3 ', text => "'3 '" ],
		level => [ '1.5', text => "'1.5'" ],
		dept => [ ['a'], text_array => "'{a}'" ],
		active => [ 'yes', text => "'yes'" ],
		ref => [ "{$uuid}2", text => "'{$uuid}2'" ],
		since => [ '2022-02-02', text => "'2022-02-02'" ],
		tags => [ 'a', text => "'a'" ],
		nums => [ [ 1, 'x' ], text_array => "'{1,x}'" ],
		refs => [ [ 1, undef ] ],
		prefs => [undef]);

	my @identities = (
		{ name => 'anonymous', claims => undef },
		{ name => 'alice', roles => ['tenant'], scopes => 'read write', attributes => \%full },
		{ name => 'bob', roles => ['editor'], scopes => 'audit', attributes => \%other },
		{ name => 'carol', roles => ['auditor'], attributes => \%malformed },
		{ name => 'dave', roles => [], granted => ['tenant'], attributes => \%other, scopes => [ 'read', 'audit' ] },
		{ name => 'erin', roles => ['admin'], attributes => {}, scopes => '' },
		{ name => 'frank', roles => [ 'viewer', 'nobody', '*', 'anonymous' ], attributes => \%full },
		{ name => 'grace', roles => [ 'tenant', 'auditor' ], assumed => 1, attributes => \%full },
		{ name => 'heidi', roles => [], assumed => 1, attributes => {} },
		{ name => 'ivan', roles => 'viewer tenant', attributes => \%other, scopes => 'read' },
		{ name => 'judy', attributes => { tenant => [ JSON::PP::true, boolean => 'true', text => "'true'" ] } });

	my $issuer = 0;
	for my $identity (@identities)
	{
		my $roles = $identity->{roles};
		$identity->{claims} = { map { $_ => $identity->{attributes}{$_}[0] } keys %{ $identity->{attributes} // {} } };
		$identity->{has_role} = {
			map { $_ => 1 } closure(@{ $identity->{granted} // [] },
				grep { my $role = $_; grep { $role eq $_ } @roles } ref $roles ? @$roles : split(/ /, $roles // '')) };
		$identity->{has_scope} = { map { $_ => 1 } ref $identity->{scopes} ? @{ $identity->{scopes} } : split(/ /, $identity->{scopes} // '') };
		$identity->{has_role}{ $identity->{name} eq 'anonymous' ? 'anonymous' : '*' } = 1;
	}
	return @identities;
}

sub closure
{
	my (@names) = @_;

	return map { ($_, closure(@{ $inherits{$_} // [] })) } @names;
}

# SQL that takes the identity on until the end of the transaction.
sub become_sql
{
	my ($identity) = @_;

	return 'SELECT authz.logout()' if $identity->{name} eq 'anonymous';
	return sprintf('SELECT authz.assume(%s, %s, %s, \'1 h\', true)', quote($identity->{name}),
		quote('{' . join(',', @{ $identity->{roles} }) . '}'),
		quote(JSON::PP->new->canonical->encode($identity->{claims}))) if $identity->{assumed};
	return sprintf('SELECT authz.login(%s)', quote(token($identity->{name}, $identity->{roles},
		scope => $identity->{scopes}, attributes => $identity->{claims}, exp => time + 3600)));
}

# SQL that makes roles, what they inherit, grants and attributes known.
sub roles_sql
{
	my @attributes = qw(tenant level dept active ref since tags nums refs prefs);

	return sprintf("SELECT authz.alter_issuer(%s, attributes => '{%s}');\n", quote(ISSUER),
		join(', ', map { qq("$_": "attributes.$_") } @attributes)) . <<~'SQL';
		SELECT authz.create_role(r) FROM unnest('{tenant,viewer,auditor}'::text[]) AS r;
		SELECT authz.create_role('editor', '{viewer}');
		SELECT authz.create_role('admin', '{editor,auditor}');
		SELECT authz.grant_role('dave', 'tenant', '[2000-01-01,)');
		SELECT authz.grant_role('dave', 'admin', '[2000-01-01,2001-01-01)');
		SELECT authz.grant_role('dave', 'auditor', '[2100-01-01,)');
		SELECT authz.grant_role('bob', 'tenant', issuer => 'authz:internal');
		SQL
}

#
# Conditions
#

# A call of an accessor of the type.
sub accessor
{
	my ($type) = @_;
	my %names = (
		bigint => [qw(tenant tenant level since)], text => [qw(dept dept tenant level)], boolean => ['active'],
		uuid => ['ref'], timestamptz => ['since'], text_array => [qw(tags tags nums dept)],
		bigint_array => ['nums'], uuid_array => ['refs'], jsonb => ['prefs']);

	return "{attr:$type:" . (chance(5) ? 'missing' : pick(@{ $names{$type} })) . '}';
}

sub compared { return pick('=', '=', '=', '<>', '<', '>', '<=', '>=') . ' ' }

# Atoms over one column, by its name.
my %atoms = (
	id => [ sub { '{c:id} % ' . (2 + below(6)) . ' = ' . below(3) }, sub { '{c:id} BETWEEN ' . below(60) . ' AND ' . (40 + below(80)) } ],
	tenant => [
		sub { '{c:tenant} ' . compared() . value('tenant') },
		sub { '{c:tenant} ' . pick('IN', 'NOT IN') . ' (' . list('tenant') . ')' },
		sub { '{c:tenant} ' . pick('BETWEEN', 'NOT BETWEEN', 'BETWEEN SYMMETRIC') . ' ' . below(4) . ' AND ' . below(6) },
		(sub { '{c:tenant} ' . pick('= ANY', '<> ALL') . " ('{" . below(4) . ',' . pick('NULL', 'NULL', '3') . "}'::int[])" }) x 2,
		sub { '{c:tenant} = {attr:bigint:tenant}' },
		sub { '{c:tenant} ' . compared() . accessor('bigint') },
		sub { '{c:tenant} = ANY (' . accessor('bigint_array') . ')' },
		sub { '{c:tenant} <> ALL (' . accessor('bigint_array') . ')' },
		sub { '{c:tenant} IS ' . pick('', 'NOT ') . 'DISTINCT FROM ' . pick(value('tenant'), '{attr:bigint:tenant}') },
		sub { 'COALESCE({c:tenant}, ' . below(4) . ') = ' . pick(below(4), '{attr:bigint:level}') },
		sub { 'NULLIF({c:tenant}, 3) ' . compared() . below(4) },
		sub { '({c:tenant}, {c:title}) ' . pick('=', '<', '<>') . ' (' . below(4) . ', ' . value_given('title') . ')' },
		sub { 'GREATEST({c:tenant}, {c:big}) ' . compared() . below(6) },
		sub { "CASE {c:tenant} WHEN 1 THEN {c:flag} WHEN 2 THEN NULL WHEN 3 THEN " . pick('true', '{c:big} > 1') . pick('', ' ELSE {c:flag} IS NULL') . ' END' } ],
	big => [
		sub { '{c:big} ' . compared() . value('big') },
		sub { '{c:big} ' . compared() . '{c:tenant}' },
		sub { '{c:big} = ANY ({c:nums})' },
		sub { '{c:big} IN (' . list('big') . ', ' . accessor('bigint') . ')' },
		sub { accessor('bigint') . ' BETWEEN {c:big} AND {c:tenant}' } ],
	title => [
		sub { '{c:title} ' . compared() . value('title') },
		sub { '{c:title} ' . pick('IN', 'NOT IN') . ' (' . list('title') . ')' },
		sub { '{c:title} ' . pick('LIKE', 'NOT LIKE', 'ILIKE') . ' ' . quote(pick('a%', '%b', '_', '%', 'a\\%', 'a\\\\%', '%\\_%', "%'%")) },
		sub { "{c:title} LIKE {attr:text:dept} || '%'" },
		sub { '{c:title} ' . compared() . accessor('text') },
		sub { '{c:title} COLLATE "C" < ' . value_given('title') },
		sub { '{c:title} ' . pick('~', '!~', '~*') . ' ' . quote(pick('^a', 'b$', '[[:upper:]]', '^$', '\\\\')) },
		sub { 'length({c:title}) ' . compared() . below(4) },
		sub { 'upper({c:title}) = upper(' . pick('{c:note}', value_given('title'), '{attr:text:dept}') . ')' },
		sub { '({c:title} || {c:note}) IS NOT NULL' },
		sub { 'CASE WHEN {c:title} > ' . value_given('title') . ' THEN {c:flag} WHEN {c:note} IS NULL THEN false END' } ],
	flag => [
		sub { '{c:flag}' }, sub { 'NOT {c:flag}' },
		sub { '{c:flag} IS ' . pick('', 'NOT ') . pick('TRUE', 'FALSE', 'UNKNOWN', 'NULL') },
		sub { '{c:flag} ' . pick('=', '<>', 'IS DISTINCT FROM') . ' {attr:boolean:active}' },
		sub { 'COALESCE({c:flag}, ' . pick('true', '{attr:boolean:active}', '{c:tenant} = 3') . ')' } ],
	at => [
		sub { '{c:at} ' . compared() . value('at') },
		sub { '{c:at} ' . compared() . '{attr:timestamptz:since}' },
		sub { '{c:at} BETWEEN ' . value_given('at') . ' AND ' . value('at') },
		sub { "{c:at} + interval " . quote(pick('24:00:00', '10000:00:00', '-21:56:55.5', '-73:00:00')) . ' ' . compared() . pick(value_given('at'), '{attr:timestamptz:since}') },
		sub { "extract(year FROM {c:at} AT TIME ZONE 'UTC') " . compared() . pick(2020, 2022) },
		sub { 'isfinite({c:at})' } ],
	ref => [
		sub { '{c:ref} ' . compared() . value('ref') },
		sub { '{c:ref} = {attr:uuid:ref}' },
		sub { '{c:ref} ' . pick('= ANY', '<> ALL') . ' ({attr:uuid_array:refs})' },
		sub { '{c:ref} IN (' . list('ref') . ')' } ],
	amount => [
		sub { '{c:amount} ' . compared() . value('amount') },
		sub { '{c:amount} ' . compared() . pick('{c:tenant}', '{c:big}', accessor('bigint')) },
		sub { '{c:amount} BETWEEN ' . pick('0', '-4', '0.5e0') . ' AND ' . pick('1.5', '42', '1e19') },
		sub { 'round({c:amount}, 1) = ' . value_given('amount') },
		sub { "{c:amount} <> 'NaN' AND {c:amount} * 0.1 > " . pick('0.1', '0.15', '-1', '0.1::float8', "'0.30000000000000004'::float8") } ],
	tags => [
		sub { '{c:tags} ' . pick('&&', '@>', '<@', '=', '<>') . ' ' . value('tags') },
		sub { '{c:tags} ' . pick('&&', '@>', '<@', '=') . ' ' . accessor('text_array') },
		sub { pick('{c:title}', value_given('title'), '{attr:text:dept}') . ' ' . pick('= ANY', '<> ALL', '= ALL', '<> ANY') . ' ({c:tags})' },
		sub { '{c:title} ' . pick('= ANY', '<> ALL') . ' (' . pick(quote('{a,NULL,"NULL"}') . '::text[]', value_given('tags')) . ')' },
		sub { 'cardinality({c:tags}) ' . compared() . below(3) },
		sub { '{c:tags}[1] ' . compared() . value_given('title') } ],
	nums => [
		sub { '{c:nums} ' . pick('&&', '@>', '<@', '=') . ' ' . pick(value('nums'), accessor('bigint_array')) },
		sub { accessor('bigint') . ' ' . pick('= ANY', '<> ALL', '< ANY') . ' ({c:nums})' },
		sub { '{c:tenant} ' . pick('= ANY', '<> ALL', '> ALL') . ' ({c:nums})' } ],
	data => [
		sub { '{c:data} ' . pick('@>', '<@', '=') . ' ' . pick(value('data'), '{attr:jsonb:prefs}') },
		sub { "{c:data} ->> 'owner' = " . pick('{subject}', "'bob'", '{attr:text:dept}') },
		sub { '{c:data} ? ' . quote(pick('k', 'a', 'owner')) },
		sub { "{c:data} ->> 'k' " . pick("= 'v'", '<> \'v\'', 'IS NULL', 'IS NOT NULL', 'LIKE \'_\'') },
		sub { "{c:data} #>> '{a,b}' IS " . pick('', 'NOT ') . "DISTINCT FROM '2'" },
		sub { "jsonb_typeof({c:data}) IN ('object', " . quote(pick('array', 'null', 'number')) . ')' } ],
	note => [
		sub { '{c:note} = ' . pick('{subject}', value('note')) }, sub { '{c:note} IS ' . pick('', 'NOT ') . 'NULL' },
		sub { '{c:note} IS DISTINCT FROM {c:title}' } ]);

sub atom
{
	my $kind = below(100);
	my $column = pick(@columns);

	return pick('true', 'false', 'NULL', 'NULL::boolean', '{c:tenant} = NULL') if $kind < 4;
	return pick('{role:' . pick(@roles, '*', 'anonymous', 'nobody') . '}', '{scope:' . pick(@scopes) . '}',
		"{subject} = " . quote(pick(qw(alice bob grace))), '{subject} IS NOT NULL', '{issuer} LIKE \'https%\'',
		"{attr:text:dept} = 'a'", '{attr:boolean:active}', '{attr:bigint:level} > 1', "{attr:jsonb:prefs} ? 'k'",
		"{attr:timestamptz:since} < '2022-01-02 00:00:00+00'") if $kind < 14;
	return "{c:$column} IS " . pick('NULL', 'NOT NULL', 'NOT NULL') if $kind < 20;
	return pick(@{ $atoms{$column} })->();
}

# Look-up tables are the owner's; unit is protected and mark has the row's column names.
my @subselects = (
	sub { 'EXISTS (SELECT ' . pick('1', '', 'm.role') . ' FROM {t:member} AS m WHERE m.tenant = {o:tenant} AND m.subject = {subject})' },
	sub { '{c:tenant} ' . pick('IN', 'NOT IN') . ' (SELECT m.tenant FROM {t:member} AS m WHERE m.subject = ' . pick('{subject}', quote(pick(qw(alice bob carol)))) . ')' },
	sub { '({c:tenant}, {c:title}) ' . pick('IN', 'NOT IN') . ' (SELECT k.tenant, k.title FROM {t:mark} AS k' . pick('', ' WHERE k.note = {o:note}') . ')' },
	sub { '(SELECT u.active FROM {t:unit} AS u WHERE u.tenant = {o:tenant})' },
	sub { '{c:big} ' . compared() . '(SELECT ' . pick('max', 'min', 'count', 'sum') . '(m.level) FROM {t:member} AS m WHERE m.tenant ' . pick('=', '<') . ' {o:tenant})' },
	sub { 'EXISTS (SELECT 1 FROM {t:mark} WHERE ' . pick('tenant', 'mark.tenant') . ' = {o:tenant} AND ' . pick('title', 'note') . ' ' . compared() . pick('{o:note}', '{o:title}') . ')' },
	sub { '{c:big} ' . pick('<', '>', '=', '<>') . ' ' . pick('ANY', 'ALL') . ' (SELECT m.level FROM {t:member} AS m WHERE m.role = {o:note} OR m.tenant = {o:tenant})' },
	sub { 'NOT EXISTS (SELECT 1 FROM {t:unit} AS u WHERE u.tenant = {o:tenant} AND NOT (' . 'u.active OR {o:flag}' . '))' },
	# two levels down
	sub { 'EXISTS (SELECT 1 FROM {t:unit} AS u WHERE u.parent IN (SELECT m.tenant FROM {t:member} AS m WHERE m.subject = {subject} AND m.level < {o:big}) AND u.tenant = {o:tenant})' },
	sub { '{c:tenant} = (SELECT min(u.tenant) FROM {t:unit} AS u WHERE EXISTS (SELECT 1 FROM {t:mark} AS k WHERE k.tenant = u.tenant AND k.note IS NOT DISTINCT FROM {o:note}))' },
	sub { 'EXISTS (WITH w AS (SELECT m.tenant, m.level FROM {t:member} AS m WHERE m.subject = {subject}) SELECT 1 FROM w JOIN {t:unit} AS u USING (tenant) WHERE u.tenant = {o:tenant} OR w.level = {o:big})' },
	sub { 'EXISTS (SELECT 1 FROM unnest({o:tags}) AS g (tag) JOIN {t:mark} AS k ON k.title = g.tag WHERE k.tenant IS NOT NULL)' },
	sub { '{c:title} IN (SELECT k.title FROM {t:mark} AS k WHERE k.note = {o:note} UNION SELECT m.role FROM {t:member} AS m WHERE m.tenant = {o:tenant})' },
	sub { 'ARRAY(SELECT m.tenant FROM {t:member} AS m WHERE m.subject = {subject}) @> ARRAY[{c:tenant}]' },
	# other protected tables, and the table itself
	sub { 'EXISTS (SELECT 1 FROM {t:' . pick('docs', 'ledger', 'base') . '} AS d WHERE d.tenant = {o:tenant} AND d.id ' . pick('<', '>', '=') . ' {o:id} AND d.flag)' },
	sub { '{c:amount} >= (SELECT avg(d.tenant) FROM {t:' . pick('docs', 'ledger', 'base') . '} AS d WHERE d.title = {o:title})' },
	# a view, and a function with its owner's rights
	sub { '{c:tenant} IN (SELECT v.tenant FROM {t:active_unit} AS v)' },
	sub { '{t:level_in}({c:tenant}, {subject}) ' . compared() . pick('1', '{c:big}', '{attr:bigint:level}') });

sub condition
{
	my ($self, $depth) = @_;
	my $kind = below(100);

	if ($depth <= 0 || $kind < 35)
	{
		return chance(22) ? pick(@subselects)->() : atom();
	}
	return '(' . join(' AND ', map { $self->condition($depth - 1) } 0 .. 1 + below(2)) . ')' if $kind < 58;
	return '(' . join(' OR ', map { $self->condition($depth - 1) } 0 .. 1 + below(2)) . ')' if $kind < 80;
	return 'NOT (' . $self->condition($depth - 1) . ')' if $kind < 88;
	return '(' . $self->condition($depth - 1) . ') IS ' . pick('', 'NOT ') . pick('TRUE', 'FALSE', 'UNKNOWN') if $kind < 92;
	return 'COALESCE(' . $self->condition($depth - 1) . ', ' . $self->condition(0) . ')' if $kind < 95;
	my ($when, $then) = map { $self->condition($depth - 1) } 1 .. 2;
	$then =~ s/^NULL$/NULL::boolean/;		# or the CASE would be text
	return "CASE WHEN $when THEN $then" . pick('', ' ELSE ' . $self->condition(0)) . ' END';
}

# A template as an administrator would write it.
sub as_policy
{
	my ($template, $table) = @_;
	my $bare = !chance(25);

	$template =~ s/\{c:(\w+)\}/{ $bare ? $1 : pick('resource', $table) . ".$1" }/ge;
	$template =~ s/\{o:(\w+)\}/{ pick('resource', $table) . ".$1" }/ge;
	$template =~ s/\{t:(\w+)\}/{ pick('', 'app.') . $1 }/ge;
	$template =~ s/\{attr:text:(\w+)\}/authz.attr('$1')/g;
	$template =~ s/\{attr:(\w+):(\w+)\}/authz.attr_$1('$2')/g;
	$template =~ s/\{(role|scope):([^}]+)\}/authz.has_$1('$2')/g;
	$template =~ s/\{(subject|issuer)\}/authz.$1()/g;
	return $template;
}

# A template in plain SQL for an identity.
sub as_plain
{
	my ($template, $identity) = @_;
	my $known = $identity->{name} ne 'anonymous';
	my %sql_type = (text_array => 'text[]', bigint_array => 'bigint[]', uuid_array => 'uuid[]');
	my $attribute = sub {
		my ($type, $name) = @_;
		my (undef, %literals) = @{ $identity->{attributes}{$name} // [undef] };

		$literals{jsonb} //= quote(JSON::PP->new->canonical->allow_nonref->encode($identity->{claims}{$name}))
		  if $type eq 'jsonb' && defined $identity->{claims}{$name};
		return '(' . ($literals{$type} // 'NULL') . ')::' . ($sql_type{$type} // $type);
	};

	$template =~ s/\{[co]:(\w+)\}/r.$1/g;
	$template =~ s/\{t:active_unit\}/(SELECT u.tenant FROM app.unit AS u WHERE u.active)/g;	# a view would filter its owner
	$template =~ s/\{t:(\w+)\}/app.$1/g;
	$template =~ s/\{attr:(\w+):(\w+)\}/$attribute->($1, $2)/ge;
	$template =~ s/\{(role|scope):([^}]+)\}/$identity->{"has_$1"}{$2} ? 'true' : 'false'/ge;
	$template =~ s/\{subject\}/$known ? quote($identity->{name}) . '::text' : 'NULL::text'/ge;
	$template =~ s/\{issuer\}/$known ? quote($identity->{assumed} ? 'authz:internal' : ISSUER) . '::text' : 'NULL::text'/ge;
	return $template;
}

#
# Policies
#

# A validity, and whether it holds now.
sub validity
{
	my $kind = below(100);

	return ('(,)', 1) if $kind < 70;
	return (pick('[2000-01-01,)', '(,2100-01-01)', '[2000-01-01,2100-01-01)', '(-infinity,infinity)', '[2000-01-01,infinity]'), 1) if $kind < 84;
	return (pick('(,2001-01-01)', '[2000-01-01,2001-01-01]', '(-infinity,2020-01-01)'), 0) if $kind < 92;
	return (pick('[2100-01-01,)', '(2100-01-01,2101-01-01)', '[2100-01-01,infinity)'), 0);
}

sub policy
{
	my ($self, $table, $number, $effect) = @_;
	my @actions = chance(35) ? qw(select insert update delete) : some(qw(select insert update delete));
	my $writes = grep { /insert|update/ } @actions;
	my ($valid_during, $valid) = validity();
	my %policy = (
		name => pick('p', 'P ', "p'", 'pö') . $number,
		effect => $effect,
		actions => \@actions,
		roles => chance(40) ? ['*'] : [ some(@roles, chance(40) ? 'anonymous' : (), chance(10) ? '*' : ()) ],
		template => $self->condition($effect eq 'permit' ? below(4) : below(3)),
		valid_during => $valid_during,
		valid => $valid,
		enabled => !chance(8));

	$policy{roles} = [ 'anonymous', '*' ] if chance(10);
	$policy{check} = $self->condition(below(3)) if $writes && chance(35);
	$policy{columns} = [ chance($effect eq 'permit' ? 80 : 25) ? 'touched' : (), some(@columns) ] if $writes && chance($effect eq 'permit' ? 40 : 22);
	# Some that overlap in what statements set, so that they add up.
	$policy{columns} = [ some(qw(touched note title flag tenant id)) ] if $policy{columns} && $effect eq 'permit' && chance(50);
	$policy{may_hide} = 1 if $effect eq 'permit' && grep({ $_ eq 'update' } @actions) && chance(30);
	$policy{columns} = [ 'touched', @columns ] if $policy{columns} && $effect eq 'permit' && chance(30);
	$policy{text} = as_policy($policy{template}, $table);
	$policy{check_text} = as_policy($policy{check}, $table) if defined $policy{check};
	return \%policy;
}

# Settings of the session that stores a policy, and of the one that reads rows.
# None may change what a condition means.
sub settings
{
	my @settings = (
		[ DateStyle => 'SQL, DMY', 'German', 'Postgres, MDY' ], [ IntervalStyle => 'sql_standard', 'iso_8601' ],
		[ TimeZone => 'Asia/Kathmandu', 'America/St_Johns' ], [ extra_float_digits => '-15', '0' ], [ array_nulls => 'off' ],
		[ transform_null_equals => 'on' ], [ standard_conforming_strings => 'off' ], [ quote_all_identifiers => 'on' ],
		[ enable_seqscan => 'off' ], [ enable_hashjoin => 'off' ], [ enable_material => 'off' ]);
	my %settings = map { my ($name, @values) = @$_; ($name => pick(@values)) } grep { chance($_->[0] =~ /^(array_nulls|standard_conforming_strings)$/ ? 35 : 12) } @settings;

	$settings{force_parallel_mode} = 'on' if chance(3);		# workers take their time
	return \%settings;
}

sub policy_set
{
	my ($self, $number) = @_;
	my $table = pick(sort keys %targets);
	my $target = pick(@{ $targets{$table} });
	my $n = pick(1, 2, 3, 4, 4, 5, 5, 6, 6);
	my @effects = map { $_ == 0 && chance(92) ? 'permit' : chance(68) ? 'permit' : 'forbid' } 0 .. $n - 1;
	my @wide = map { chance(30) ? $_ : () } qw(note title tenant flag);
	my %set = (
		number => $number,
		table => $table,
		target => $target,
		definer => settings(),
		caller => settings(),
		policies => [ map { $self->policy($table, $_, $effects[$_]) } 0 .. $#effects ]);

	# What updates set, and inserts; a row may leave its partition only by way of the parent.
	delete $set{definer}{$_} for qw(transform_null_equals array_nulls enable_seqscan enable_hashjoin enable_material force_parallel_mode);
	@wide = grep { $_ ne 'tenant' } @wide if $target eq 'ledger_p2';
	$set{update} = { touched => '1', map { $_ => value($_) } chance(60) ? @wide : () };
	$set{insert} = [ 'id', 'touched', chance(40) ? @columns[ 1 .. $#columns ] : grep { chance(60) } @columns[ 1 .. $#columns ] ];
	push @{ $set{policies} }, $self->shared_permits($table, $n, \%set) if chance(25);
	$set{identities} = [ $self->identities_for(\%set, 3) ];
	return \%set;
}

# Two permits for everybody that share between them what the set's statements set, and have a little of it both.
sub shared_permits
{
	my ($self, $table, $number, $set) = @_;
	my %set = map { $_ => 1 } keys %{ $set->{update} }, @{ $set->{insert} };
	my %first = map { $_ => chance(50) } keys %set;
	my @permits = map { $self->policy($table, $number + $_, 'permit') } 0 .. 1;

	for my $i (0 .. 1)
	{
		my @columns = grep { $i == 0 ? $first{$_} : !$first{$_} || chance(20) } sort keys %set;

		@{ $permits[$i] }{qw(actions roles columns valid_during valid enabled)} =
		  ([qw(insert update)], [ '*', 'anonymous' ], @columns ? \@columns : ['touched'], '(,)', 1, 1);
	}
	return @permits;
}

# Some identities, half of them such that a policy of the set speaks of.
sub identities_for
{
	my ($self, $set, $n) = @_;
	my %seen;
	my @named = grep { my $identity = $_; grep { $identity->{has_role}{$_} } map { @{ $_->{roles} } } grep { $_->{effect} eq 'permit' } @{ $set->{policies} } }
	  @{ $self->{identities} };

	while (keys %seen < $n)
	{
		my $identity = chance(10) ? $self->{identities}[0] : @named && chance(60) ? pick(@named) : pick(@{ $self->{identities} });
		$seen{ $identity->{name} } = $identity;
	}
	return map { $seen{$_} } sort keys %seen;
}

#
# The rule
#

sub applies
{
	my ($policy, $identity, $action, $columns) = @_;
	my %listed = map { $_ => 1 } @{ $policy->{columns} // [] };
	my $stored_action = $action eq 'update_check' ? 'update' : $action;

	return 0 unless $policy->{enabled} && $policy->{valid};
	return 0 unless grep { $_ eq $stored_action } @{ $policy->{actions} };
	return 0 unless grep { $identity->{has_role}{$_} } @{ $policy->{roles} };
	return 1 if !$policy->{columns} || $policy->{effect} eq 'permit' || $action eq 'select' || $action eq 'delete';
	return !!grep({ $listed{$_} } @$columns);
}

# Does a permit cover a column?
sub covers
{
	my ($policy, $column) = @_;

	return !$policy->{columns} || grep { $_ eq $column } @{ $policy->{columns} };
}

# Permits of update that apply, or will: a plan may be kept until then.
sub permits_of_update
{
	my ($set, $identity) = @_;

	return grep { $_->{effect} eq 'permit' && applies({ %$_, valid => $_->{valid} || $_->{valid_during} =~ /^.2100/ }, $identity, 'update', []) }
	  @{ $set->{policies} };
}

# A column that an UPDATE sets and no permit covers, although there are permits.
sub uncovered
{
	my ($set, $identity, $columns) = @_;
	my @permits = permits_of_update($set, $identity);

	return 0 unless @permits;
	return scalar grep { my $column = $_; !grep { covers($_, $column) } @permits } @$columns;
}

# The WHERE that tells rows of which an UPDATE may make the new row invisible: each column has a permit with
# may_hide that covers it and whose check holds.  Where a permit without may_hide could have permitted the old
# row, only such permits count whose condition reads none of the columns, and it has to hold too.
sub hides
{
	my ($set, $identity, $columns) = @_;
	my @permits = permits_of_update($set, $identity);
	my $strict = grep { my $policy = $_; !$policy->{may_hide} && grep { covers($policy, $_) } @$columns } @permits;
	my @hiding = grep { $_->{may_hide} && $_->{valid} } @permits;
	my @terms;

	@hiding = grep { my $policy = $_; !grep { $policy->{template} =~ /\{[co]:$_\}/ } @$columns } @hiding if $strict;
	for my $column (@$columns)
	{
		push @terms, '(' . join(' OR ', 'false', map {
			my $check = sprintf('COALESCE((%s), false)', as_plain($_->{check} // $_->{template}, $identity));
			$strict ? sprintf('(%s AND COALESCE((%s), false))', $check, as_plain($_->{template}, $identity)) : $check
		} grep { covers($_, $column) } @hiding) . ')';
	}
	return join(' AND ', @terms);
}

# The WHERE that one would write by hand; never NULL.
sub where
{
	my ($set, $identity, $action, $columns) = @_;
	my %terms = (permit => [], forbid => []);
	my @covers;

	for my $policy (@{ $set->{policies} })
	{
		next unless applies($policy, $identity, $action, $columns // []);
		my $template = $action =~ /insert|update_check/ && defined $policy->{check} ? $policy->{check} : $policy->{template};
		push @covers, $policy if $policy->{effect} eq 'permit';
		push @{ $terms{ $policy->{effect} } },
		  sprintf('COALESCE((%s), %s)', as_plain($template, $identity), $policy->{effect} eq 'permit' ? 'false' : 'true');
	}
	return 'false' unless @{ $terms{permit} };
	# Each column by itself; without columns, any permit.
	my @permitted = map {
		my $column = $_;
		'(' . join(' OR ', 'false', map { $terms{permit}[$_] } grep { covers($covers[$_], $column) } 0 .. $#covers) . ')'
	} $action =~ /insert|update/ ? @{ $columns // [] } : ();
	@permitted = ('(' . join(' OR ', @{ $terms{permit} }) . ')') unless @permitted;
	return join(' AND ', @permitted) . ' AND NOT (' . join(' OR ', @{ $terms{forbid} }, 'false') . ')';
}

# How often conditions are NULL over the rows, as an SQL expression.
sub nulls_of
{
	my ($set, $identity) = @_;

	return join(' + ', map { 'count(*) FILTER (WHERE (' . as_plain($_->{template}, $identity) . ') IS NULL)' } @{ $set->{policies} });
}

#
# Statements over the protected tables, for comparing with copies that hold
# only what is permitted.
#
my @sources = qw(docs docs ledger ledger base base ledger_p2 base_child docs_v docs_iv both_v);

sub source
{
	my ($alias) = @_;

	return chance(6) ? 'docs_in(' . below(5) . ") AS $alias" : pick(@sources) . " AS $alias";
}

# A condition on an alias's columns id, tenant, title, big.
sub filter
{
	my ($alias) = @_;

	return pick(
		sub { "$alias.tenant " . compared() . below(5) }, sub { "$alias.id % " . (2 + below(4)) . ' = 0' },
		sub { "$alias.title " . pick('IS NULL', 'IS NOT NULL', "LIKE 'a%'", "< 'b'") },
		sub { "$alias.tenant IN (SELECT s.tenant FROM " . source('s') . " WHERE s.id > $alias.id)" },
		sub { "$alias.tenant NOT IN (SELECT s.tenant FROM " . source('s') . ' WHERE s.tenant IS NOT NULL)' },
		sub { pick('', 'NOT ') . 'EXISTS (SELECT 1 FROM ' . source('s') . " WHERE s.tenant = $alias.tenant AND s.id <> $alias.id)" },
		sub { "$alias.id > (SELECT " . pick('avg(s.id)', 'min(s.id)', 'count(*)') . ' FROM ' . source('s') . pick('', " WHERE s.tenant = $alias.tenant") . ')' },
		sub { "$alias.big " . compared() . below(4) })->();
}

# A query with the columns id, tenant, title, n.
sub query
{
	my ($depth) = @_;
	my $where = join(' AND ', map { filter('a') } 0 .. below(2));
	my @kinds = (
		sub { 'SELECT a.id, a.tenant, a.title, 0::bigint AS n FROM ' . source('a') . " WHERE $where" },
		sub { 'SELECT a.id, a.tenant, b.title, b.id::bigint AS n FROM ' . source('a') . ' ' . pick('JOIN', 'LEFT JOIN', 'RIGHT JOIN') . ' ' . source('b') . ' ON b.tenant = a.tenant' . pick('', ' AND a.id < b.id') . ' WHERE ' . filter('a') },
		sub { 'SELECT a.id, b.tenant, a.title, b.id::bigint AS n FROM ' . source('a') . ' FULL JOIN ' . source('b') . ' ON b.tenant = a.tenant WHERE ' . filter('a') },
		sub { 'SELECT max(a.id) AS id, a.tenant, min(a.title) AS title, count(*) AS n FROM ' . source('a') . " WHERE $where GROUP BY a.tenant" . pick('', ' HAVING count(*) > 1') },
		sub { 'SELECT a.id, a.tenant, a.title, ' . pick('row_number() OVER (ORDER BY a.id)', 'count(*) OVER (PARTITION BY a.tenant)', 'sum(a.id) OVER (PARTITION BY a.tenant ORDER BY a.id)', 'lag(a.id) OVER (ORDER BY a.id)') . '::bigint AS n FROM (SELECT DISTINCT ON (s.id) s.id, s.tenant, s.title, s.big FROM ' . source('s') . " ORDER BY s.id) AS a WHERE $where" },
		sub { 'SELECT DISTINCT NULL::int AS id, a.tenant, a.title, NULL::bigint AS n FROM ' . source('a') . " WHERE $where" },
		sub { 'SELECT a.id, a.tenant, l.title, l.n FROM ' . source('a') . ', LATERAL (SELECT min(b.title) AS title, count(*) AS n FROM ' . source('b') . " WHERE b.tenant = a.tenant) AS l WHERE $where" },
		sub { 'SELECT a.id, a.tenant, a.title, CASE WHEN EXISTS (SELECT 1 FROM ' . source('s') . ' WHERE s.id = a.tenant) THEN 1 ELSE 2 END::bigint AS n FROM ' . source('a') . " WHERE $where" },
		sub { 'SELECT * FROM (SELECT a.id, a.tenant, a.title, a.big AS n FROM docs AS a ORDER BY a.id LIMIT ' . (1 + below(20)) . ') AS f' });

	push @kinds, (
		sub { '(' . query($depth - 1) . ') ' . pick('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL') . ' (' . query($depth - 1) . ')' },
		sub { 'WITH w AS ' . pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ') . '(' . query($depth - 1) . ') SELECT w.id, w.tenant, a.title, w.n FROM w JOIN ' . source('a') . ' ON a.id = w.id OR a.tenant = w.n' },
		sub { 'SELECT q.id, q.tenant, q.title, count(*) AS n FROM (' . query($depth - 1) . ') AS q GROUP BY q.id, q.tenant, q.title' })
	  if $depth > 0;
	return pick(@kinds)->();
}

# Policy sets for all tables, identities, and statements to run under them.
# The sets have negative numbers: -(10 * group + table).
sub group
{
	my ($self, $number, $nstatements) = @_;
	my %group = (number => $number, sets => {});

	for my $table (sort keys %targets)
	{
		my $set = $group{sets}{$table} = $self->policy_set(-10 * $number - keys %{ $group{sets} });
		# Something must be visible to most.
		my $template = pick('{c:id} % 4 <> 1', '{c:tenant} IS DISTINCT FROM 2', "({c:title} > 'a' OR {c:id} < 50)",
			'EXISTS (SELECT 1 FROM {t:unit} AS u WHERE u.tenant = {o:tenant})');

		@$set{qw(table target)} = ($table, $table);
		# Statements nest what conditions read; not too deep.
		$set->{policies} = [ grep { $_->{template} !~ /\{t:(docs|ledger|base|level_in)\}/ }
			  map { $self->policy($table, $_, pick('permit', 'permit', 'forbid')) } 1 .. 1 + below(4) ];
		push @{ $set->{policies} },
		  { name => 'all', effect => 'permit', roles => [ '*', 'anonymous' ], template => $template, text => as_policy($template, $table),
			valid_during => '(,)', valid => 1, enabled => 1 };
		# So that what is visible can be changed.
		@$_{qw(actions columns check check_text may_hide)} = ([qw(select insert update delete)]) for @{ $set->{policies} };
	}
	$group{identities} = [ $self->identities_for($group{sets}{docs}, 3) ];
	$group{statements} = [ map { { number => $number * 1000 + $_, %{ $self->statement } } } 1 .. $nstatements ];
	return \%group;
}

sub statement
{
	my ($self) = @_;
	my $kind = below(100);
	my %statement = (settings => {}, with => '');

	if ($kind < 85)
	{
		$statement{from} = '(' . query(below(3)) . ')';
	}
	elsif ($kind < 90)
	{
		$statement{with} = 'WITH x AS (DELETE FROM docs AS a USING ' . source('b') . ' WHERE a.tenant = b.tenant AND ' . filter('a') . ' RETURNING a.id, a.title) ';
	}
	elsif ($kind < 95)
	{
		$statement{with} = 'WITH x AS (UPDATE ' . pick('docs', 'ledger', 'base') . ' AS a SET touched = 1 FROM ' . source('b') . ' WHERE a.tenant = b.tenant AND ' . filter('a') . ' RETURNING a.id, a.touched) ';
	}
	else
	{
		$statement{with} = 'WITH x AS (UPDATE base AS a SET touched = 1 WHERE ' . filter('a') . ' RETURNING a.*) ';
		$statement{from} = '(SELECT x.id, a.id AS other FROM x LEFT JOIN ' . source('a') . ' USING (tenant))';
	}
	$statement{from} //= 'x';
	# Free set-up would put a Gather below a nested loop, and start workers for every row.
	$statement{settings} = {
		max_parallel_workers_per_gather => 2, parallel_setup_cost => 10, parallel_tuple_cost => 0,
		min_parallel_table_scan_size => 0, $kind % 2 ? (parallel_leader_participation => 'off') : () }
	  if $kind < 85 && chance(15);
	$statement{settings}{ pick(qw(enable_hashjoin enable_mergejoin enable_nestloop enable_seqscan)) } = 'off' if chance(30);
	return \%statement;
}

1;
