# AuthzMaskGenerator.pm
#	  Random masks, rows and queries for 021_masks.pl, and by hand what a reader
#	  must get in place of a column.
#
# Everything follows from the seed of the AuthzGenerator that this stands on:
# its identities, conditions and policies, on tables that have its columns and
# more.  A mask is made once, as a template with its placeholders, and written
# in two ways: for authz.create_mask, and as plain SQL over the row "r" that
# uses none of the mask functions but the keyed ones.
#
# Queries compare whole results, so all that they leave open must not show:
# LIMIT only after a total order, aggregates that depend on order have one, and
# values that are equal look the same (numbers without trailing zeros, no 1.0
# in JSON, price always with two decimals).  Nor may an error depend on
# the plan, so nothing can fail but where "error" is asked for.
#
# Placeholders of queries: {x:table} is a table whose rows can be asked for
# {masked:alias:column}; {p} is a parameter.
package AuthzMaskGenerator;

use strict;
use warnings;

use AuthzGenerator ();

BEGIN
{
	no strict 'refs';
	*{$_} = \&{"AuthzGenerator::$_"} for qw(below chance pick some quote);
}

# The kinds that masks are counted by.
our @kinds = qw(clear null email hash partial date round json uuid constant expression sub-select);

# Columns: the type that queries know them by, and how they are declared.
our @columns = qw(id tenant big title flag at ref amount tags nums data note code day city mail price);
my %type = (
	id => 'int', tenant => 'int', big => 'bigint', title => 'text', flag => 'boolean', at => 'timestamptz', ref => 'uuid',
	amount => 'numeric', tags => 'text[]', nums => 'bigint[]', data => 'jsonb', note => 'text', code => 'text', day => 'date',
	city => 'text "C"', mail => 'text', price => 'price');
our %declared = (
	%type, code => 'varchar(40)', city => 'text COLLATE "C"', mail => 'app.mail', price => 'numeric(12,2)');

# Stored generated columns, by table, and what they are computed from.
our %generated = (
	docs => { twice => [ 'bigint', 'tenant::bigint * 2 + COALESCE(big % 100, 0)', 'tenant', 'big' ], initial => [ 'text', 'left(title, 1)', 'title' ] },
	ledger => { initial => [ 'text', 'left(title, 1) || left(note, 1) || left(code, 1)', 'title', 'note', 'code' ] },
	base => {});

# What masks are made of: not the keys of docs and ledger, by which cells are asked for one by one.
my %maskable = (map({ $_ => [ @columns[ 1 .. $#columns ] ] } qw(docs ledger)), base => \@columns);

sub new
{
	my ($class, $seed) = @_;
	my $generator = AuthzGenerator->new($seed);
	my %identity = map { $_->{name} => $_ } @{ $generator->{identities} };

	return bless { generator => $generator, identities => [ @identity{qw(anonymous alice bob carol heidi ivan)} ], kinds => {} }, $class;
}

#
# Rows
#
my %domain = (
	tenant => [ 1, 2, 2, 3, 3, 3, 4, 5, 6, 0, -1, 2147483647, -2147483648 ],
	big => [ 0, 1, 2, 3, 4, 5, 42, '9223372036854775807', '-9223372036854775808' ],
	title => [ 'a', 'b', 'c', 'A', 'abc', '', ' ', 'a%', 'a_b', 'a\\b', "it's", "Gr\xc3\xb6\xc3\x9fe", 'NULL', '42' ],
	flag => [ 'true', 'false' ],
	at => [
		'2020-01-01 00:00:00+00', '2021-03-04 05:06:07.891011+02', '2022-02-02 22:22:22+00', '2024-02-29 12:00:00+00',
		'2030-12-31 23:59:59.999999+00', 'infinity', '-infinity', '0044-03-15 00:00:00+00 BC' ],
	ref => [ map { "00000000-0000-4000-8000-00000000000$_" } 1 .. 5 ],
	amount => [ '0', '1', '1.5', '-3.25', '42', '100000000000000000000', '0.000000000000000001', 'NaN', 'Infinity' ],
	tags => [ '{}', '{a}', '{a,b}', '{b,c}', '{NULL}', '{a,NULL}', '{a,a}', q({"it's","a\\\\b",""}) ],
	nums => [ '{}', '{1}', '{1,2,3}', '{3,4}', '{NULL,3}', '{9223372036854775807}' ],
	data => [
		'{}', '[]', 'null', '1', '"a"', '{"k": "v"}', '{"k": "w", "n": 1}', '{"k": null}', '{"owner": "alice"}',
		'{"owner": "bob", "a": {"b": 2}}', '["a", "b"]', '{"a": {"b": [1, null], "c": "x"}}' ],
	note => [ 'x', 'y', 'alice', 'a\\b' ],
	code => [ 'AB-1234', 'AB-99', 'AB-12345', 'x', '', 'carol@example.org' ],
	day => [ '2020-01-01', '2021-07-31', '2024-02-29', '1999-12-31', '2024-03-01' ],
	city => [ 'Oslo', 'oslo', 'aachen', 'Zagreb', "\xc3\x85lesund", "z\xc3\xbcrich", '' ],
	mail => [ 'alice@example.org', 'bob@mail.example.com', 'x@y.de', 'no address', '', 'a b@example.org', 'root@localhost', 'Eve@example.org' ],
	price => [ '0.00', '1.50', '-2.25', '99.99', '1000.00', '1234.56' ]);

# Rows of a table, as a VALUES list; some differ from the one before in their id only.
sub rows
{
	my ($self, $from, $to) = @_;
	my (@rows, $values);

	for my $id ($from .. $to)
	{
		my $nulls = pick(5, 10, 20, 40);

		$values = join(', ', map { $id % 29 == 0 || chance($nulls) ? 'NULL' : quote(pick(@{ $domain{$_} })) } @columns[ 1 .. $#columns ])
		  unless defined $values && chance(15);
		push @rows, "($id, $values)";
	}
	return join(",\n", @rows);
}

#
# Masks: what is given to create_mask, and plain SQL for it; one text for both
# is an expression.
#

sub partial
{
	my ($column) = @_;
	my ($prefix, $suffix) = (below(3), below(3));

	return ("partial($prefix, $suffix)",
		"CASE WHEN length({c:$column}) <= $prefix + $suffix THEN '***' ELSE left({c:$column}, $prefix) || '***' || right({c:$column}, $suffix) END");
}

sub email
{
	my ($column) = @_;

	return ('email',
		"CASE WHEN {c:$column} IS NOT NULL THEN CASE WHEN {c:$column} ~ '^[^ @]+\@([a-z0-9-]+\\.)+[a-z]+\$' THEN left({c:$column}, 1) || '***\@' || "
		  . "left(split_part({c:$column}, '\@', 2), 1) || '***.' || substring({c:$column} FROM '[a-z]+\$') ELSE '***' END END");
}

sub hash
{
	my ($column) = @_;
	my $length = pick('', 8, 12, 24);

	return $length ? ("hash($length)", "authz.mask_hash({c:$column}, $length)") : ('hash', "authz.mask_hash({c:$column})");
}

sub date
{
	my ($column) = @_;
	my $unit = pick(qw(month quarter year week));

	return ("date('$unit')", $type{$column} eq 'date' ? "date_trunc('$unit', {c:$column}::timestamp)::date" : "date_trunc('$unit', {c:$column}, 'UTC')");
}

# By mod, because a quotient is rounded.  The lowest value there is stands for what is below.
sub rounded
{
	my ($column) = @_;
	my $step = $type{$column} eq 'price' ? pick('0.50', '10.00') : pick(2, 10, 1000);
	my %least = (int => -2147483648, bigint => '-9223372036854775808');
	my $x = "{c:$column}::numeric";
	my $multiple = "trunc($x - mod($x, $step) - CASE WHEN mod($x, $step) < 0 THEN $step ELSE 0 END, scale($step))";

	# GREATEST would make NULL the least.
	return ("round($step)", exists $least{ $type{$column} }
		? "CASE WHEN {c:$column} IS NOT NULL THEN GREATEST($multiple, $least{$type{$column}}) END"
		: "CASE WHEN $x IN ('NaN', 'Infinity') THEN $x ELSE $multiple END");
}

sub json
{
	my ($column) = @_;
	my $path = "CASE WHEN jsonb_typeof({c:$column}) = 'object' THEN jsonb_set({c:$column}, '{k}', 'null', false) ELSE {c:$column} END";
	my $nested = "CASE WHEN jsonb_typeof({c:$column} -> 'a') = 'object' THEN jsonb_set({c:$column}, '{a,b}', 'null', false) ELSE {c:$column} END";

	return pick(sub { ("json('k')", $path) }, sub { ("json('a.b')", $nested) },
		sub { ("json('a.b', 'k')", $nested =~ s/\{c:$column\}/($path)/gr) })->();
}

# The built-in masks of columns of a type, by kind.
my %built_in = (
	text => { email => \&email, hash => \&hash, partial => \&partial },
	'text "C"' => { hash => \&hash, partial => \&partial },
	int => { round => \&rounded }, bigint => { round => \&rounded }, numeric => { round => \&rounded }, price => { round => \&rounded },
	date => { date => \&date }, timestamptz => { date => \&date },
	jsonb => { json => \&json },
	uuid => { uuid => sub { ('uuid', "authz.mask_uuid({c:$_[0]})") } });

my %constants = (
	int => [ 0, 3, -1, '1 + 1', '{attr:bigint:level}' ], bigint => [ 0, 7, '2::smallint' ], numeric => [ 0, '1.5', 7 ], price => [ '9.99', '0.00' ],
	text => [ "'hidden'", "'a'", "''", "'it''s'", "upper('x')", '{attr:text:dept}' ], 'text "C"' => [ "'B'", "'hidden'" ],
	boolean => [ 'true', 'false' ], date => [ "'2000-01-01'" ], timestamptz => [ "'2001-02-03 04:05:06+00'", '{attr:timestamptz:since}' ],
	uuid => [ "'00000000-0000-4000-8000-000000000001'" ], 'text[]' => [ "'{}'", "'{a}'", "ARRAY['x', NULL]" ], 'bigint[]' => [ "'{1}'", "'{}'" ],
	jsonb => [ "'{}'", "'null'", q('{"k": "hidden"}') ]);

# Expressions over the row, some of a type that has yet to be assigned; {c:} is the column itself.
my $role = '(SELECT max(m.role) FROM {t:member} AS m WHERE m.tenant = {o:tenant})';
my $remark = '(SELECT k.note FROM {t:mark} AS k WHERE k.tenant = {o:tenant} ORDER BY k.note, k.title LIMIT 1)';
my $members = '(SELECT count(*) FROM {t:member} AS m WHERE m.tenant = {o:tenant})';
my $own = '(SELECT count(*) FROM {t:member} AS m WHERE m.subject = {subject})';
my $parent = '(SELECT u.parent FROM {t:unit} AS u WHERE u.tenant = {o:tenant})';
my $other = '(SELECT d.id FROM {t:docs} AS d WHERE d.id = {o:id} % 50 AND d.flag)';
my %expressions = (
	int => [ '{c:tenant} % 3', '{c:id} / 10', 'length({c:title})', 'LEAST({c:}, 3)', '{attr:bigint:level}', 'cardinality({c:tags})', '({c:id} % 5)::bigint',
		'{c:id} / 10.0', 'NULLIF({c:}, 3)', $parent, $own, $other ],
	bigint => [ '{c:tenant}', 'GREATEST({c:}, 0)', '{c:nums}[1]', '{attr:bigint:tenant}', 'CASE WHEN {c:flag} THEN {c:} END', $members, $parent ],
	numeric => [ '{c:tenant}', '{c:big}', 'NULLIF({c:}, 42)', 'COALESCE({c:}, 7)', 'CASE WHEN {c:tenant} = 3 THEN 0 ELSE {c:} END', $members,
		'(SELECT sum(m.level) FROM {t:member} AS m WHERE m.tenant < {o:tenant})' ],
	price => [ 'round({c:} / 3, 2)', '({c:id} * 1.255)::numeric(12,2)', 'NULLIF({c:}, 1.5)', 'CASE WHEN {c:} > 99 THEN 99.00 ELSE {c:} END', "$own\::numeric(12,2)", "$members\::numeric(12,2)" ],
	text => [ 'left({c:}, 1)', 'upper({c:note})', "{c:title} || '/' || {c:tenant}", 'COALESCE({c:code}, {c:title})', "CASE WHEN {c:flag} THEN {c:} ELSE 'x' END",
		"NULLIF({c:}, 'a')", '{attr:text:dept}', '{subject}', "{c:data} ->> 'k'", '{c:tags}[1]', 'left({c:mail}, 3)', '{c:city}', $role, $remark ],
	'text "C"' => [ 'left({c:}, 2)', 'lower({c:})', '{c:title}', "CASE WHEN {c:flag} THEN {c:} ELSE {c:note} END", "{c:} || '*'", '{attr:text:dept}', $role, $remark ],
	boolean => [ '{c:tenant} > 2', 'NOT {c:flag}', '{role:viewer}', '{c:title} IS NULL', '{attr:boolean:active}', "{c:data} ? 'k'",
		'EXISTS (SELECT 1 FROM {t:member} AS m WHERE m.tenant = {o:tenant} AND m.subject = {subject})', '(SELECT u.active FROM {t:unit} AS u WHERE u.tenant = {o:tenant})' ],
	date => [ '{c:day} - 1', "date '2020-01-01' + {c:id}", "CASE WHEN isfinite({c:at}) THEN ({c:at} AT TIME ZONE 'UTC')::date END", 'NULLIF({c:day}, \'2024-02-29\')',
		'(SELECT min(d.day) FROM {t:base} AS d WHERE d.id < {o:id} % 9)' ],
	timestamptz => [ "date_trunc('day', {c:at}, 'UTC')", '{attr:timestamptz:since}', '{c:day}::timestamp AT TIME ZONE \'UTC\'', "{c:at} + interval '24 hours'", 'CASE WHEN {c:flag} THEN {c:at} END' ],
	uuid => [ '{attr:uuid:ref}', 'md5({c:title})::uuid', 'CASE WHEN {c:tenant} > 2 THEN {c:ref} END', "COALESCE({c:ref}, '00000000-0000-4000-8000-000000000009')" ],
	'text[]' => [ 'ARRAY[{c:title}]', '{attr:text_array:tags}', '{c:tags}[1:1]', "array_remove({c:tags}, 'a')", 'ARRAY(SELECT m.role FROM {t:member} AS m WHERE m.tenant = {o:tenant} ORDER BY m.role, m.level)' ],
	'bigint[]' => [ 'ARRAY[{c:big}]', 'array_append({c:nums}, 7::bigint)', '{attr:bigint_array:nums}', "COALESCE({c:nums}, '{}')" ],
	jsonb => [ "jsonb_build_object('t', {c:title})", 'to_jsonb({c:tags})', '{attr:jsonb:prefs}', "{c:data} -> 'a'", "jsonb_build_object('n', $own)" ]);

# A mask of a column; the kind is by chance unless given.
sub mask
{
	my ($self, $column, $kind) = @_;
	my $t = $type{$column};
	my @built_in = sort keys %{ $built_in{$t} // {} };
	my ($plain_ones, $sub_selects) = map { my $wanted = $_; [ grep { /\bSELECT\b/ == $wanted } @{ $expressions{$t} } ] } (!1, 1);

	my ($text, $plain);

	$kind //= pick('clear', 'clear', 'null', 'constant', ('expression') x 3, (@built_in) x 3, @$sub_selects ? ('sub-select') x 2 : ());
	($text, $plain) =
		$kind eq 'clear' ? ('clear', "{c:$column}")
	  : $kind eq 'null' ? ('null', 'NULL')
	  : $kind eq 'constant' ? map { ("constant($_)", $_) } pick(@{ $constants{$t} })
	  : $kind eq 'expression' ? map { ($_, $_) } pick(@$plain_ones) =~ s/\{c:\}/{c:$column}/gr
	  : $kind eq 'sub-select' ? map { ($_, $_) } pick(@$sub_selects) =~ s/\{c:\}/{c:$column}/gr
	  : $built_in{$t}{$kind}->($column);
	return { kind => $kind, text => $text, plain => $plain };
}

# Conditions that are too slow for every cell of every query.
sub is_slow { return $_[0] =~ /\{t:(docs|ledger|base|level_in)\}/ }

sub condition
{
	my ($self, $depth) = @_;
	my $condition;

	do { $condition = $self->{generator}->condition($depth) } while is_slow($condition) && !chance(2);
	return $condition;
}

# The masks of a column, by their priority.
sub masks_of
{
	my ($self, $table, $column) = @_;
	my %priority;
	my @masks;

	return () if chance(20);
	$priority{ pick(1, 2, 10, 50, 100, 101, 1000, 32768) } = 1 for 0 .. below(4);
	for my $priority (sort { $a <=> $b } keys %priority)
	{
		my ($valid_during, $valid) = AuthzGenerator::validity();
		my $condition = chance(40) ? 'true' : $self->condition(below(2));

		push @masks, {
			%{ $self->mask($column) }, table => $table, column => $column, priority => $priority,
			roles => chance(35) ? ['*'] : chance(15) ? [ '*', 'anonymous' ] : [ some(qw(tenant viewer editor admin), chance(40) ? 'anonymous' : ()) ],
			condition => $condition, valid_during => $valid_during, valid => $valid, enabled => !chance(8) };
	}
	# Many a column is clear in some rows.
	unshift @masks, {
		%{ $self->mask($column, 'clear') }, table => $table, column => $column, priority => 0, roles => [ '*', chance(50) ? 'anonymous' : () ],
		condition => pick('{c:id} % 3 = 0', '{c:flag}', '{c:tenant} > 2', '{c:id} < 40', '{c:note} IS NOT NULL'), valid_during => '(,)', valid => 1, enabled => 1 }
	  if chance(30);
	push @masks, {
		%{ $self->mask($column, chance(60) ? 'clear' : undef) }, table => $table, column => $column, priority => 100000, roles => [ '*', 'anonymous' ],
		condition => chance(50) ? 'true' : $self->condition(0), valid_during => '(,)', valid => 1, enabled => 1 }
	  if chance(40);
	# Masks that are all disabled hide a column from everybody.
	if ($table eq 'base' && chance(12))
	{
		$_->{enabled} = 0 for @masks;
		return map { $self->finish_mask($_) } @masks;
	}
	# The auditor sees everything else.
	unshift @masks, {
		%{ $self->mask($column, 'clear') }, table => $table, column => $column, priority => -1, roles => ['auditor'],
		condition => 'true', valid_during => '(,)', valid => 1, enabled => 1 };
	return map { $self->finish_mask($_) } @masks;
}

sub finish_mask
{
	my ($self, $mask) = @_;

	$mask->{mask_text} = AuthzGenerator::as_policy($mask->{text}, $mask->{table});
	$mask->{condition_text} = AuthzGenerator::as_policy($mask->{condition}, $mask->{table});
	$self->{kinds}{ $mask->{kind} }++;
	return $mask;
}

# What an identity gets in place of the column, and whether that is not the
# column itself, as SQL over the row "r".
sub cell
{
	my ($masks, $identity, $table, $column) = @_;
	my @defined = grep { $_->{column} eq $column } @$masks;
	my (@value, @masked);

	if (my $generated = $generated{$table}{$column})
	{
		my ($type, undef, @from) = @$generated;
		my $any = join(' OR ', map { (cell($masks, $identity, $table, $_))[1] } @from);

		return ("CASE WHEN NOT ($any) THEN r.$column END", "($any)");
	}
	return ("r.$column", 'false') unless @defined;
	for my $mask (grep { $_->{enabled} && $_->{valid} } @defined)
	{
		next unless grep { $identity->{has_role}{$_} } @{ $mask->{roles} };
		my $condition = AuthzGenerator::as_plain($mask->{condition}, $identity);
		my $type = $declared{$column} =~ s/ COLLATE.*//r;

		push @value, "WHEN ($condition) THEN (" . AuthzGenerator::as_plain($mask->{plain}, $identity) . ")::$type";
		push @masked, "WHEN ($condition) THEN " . ($mask->{kind} eq 'clear' ? 'false' : 'true');
	}
	return ('NULL', 'true') unless @value;
	return ('CASE ' . join(' ', @value) . ' END', 'CASE ' . join(' ', @masked) . ' ELSE true END');
}

# Policies and masks for all tables, and queries to run under them.
sub group
{
	my ($self, $number, $nqueries) = @_;
	my %group = (number => $number);

	for my $table (qw(docs ledger base))
	{
		my $template = pick('{c:id} % 4 <> 1', '{c:tenant} IS DISTINCT FROM 2', "({c:title} > 'a' OR {c:id} < 40)",
			'EXISTS (SELECT 1 FROM {t:unit} AS u WHERE u.tenant = {o:tenant})');
		my @policies = grep { !is_slow($_->{template}) } map { $self->{generator}->policy($table, $_, pick('permit', 'permit', 'forbid')) } 1 .. below(4);

		# Most see something.
		push @policies, {
			name => 'all', effect => 'permit', roles => [ '*', chance(60) ? 'anonymous' : () ], template => $template,
			text => AuthzGenerator::as_policy($template, $table), valid_during => '(,)', valid => 1, enabled => 1 };
		$_->{actions} = ['select'] for @policies;
		$group{policies}{$table} = \@policies;
		$group{masks}{$table} = [ map { $self->masks_of($table, $_) } @{ $maskable{$table} } ];
	}
	my @statements = (map({ (every_cell($_), every_mark($_), every_order($_)) } qw(docs ledger base)), map { statement() } 10 .. $nqueries);
	$group{queries} = [ map { { number => $number * 1000 + $_, %{ $statements[ $_ - 1 ] } } } 1 .. @statements ];
	return \%group;
}

#
# Queries.  What can be read is a list of sources, each with an alias and its
# columns by type.
#
my $aliases;

my @types = ((qw(int text)) x 4, (qw(numeric bigint boolean date jsonb), 'text "C"') x 2, qw(timestamptz uuid price text[] bigint[]));

my %base_columns = map { $_ => [ @columns, sort keys %{ $generated{$_} } ] } qw(docs ledger base);
my %columns_of = (
	%base_columns, docs_some => [qw(id title amount data city mail)], docs_v => [qw(id tenant title price city)],
	docs_iv => [qw(id tenant title price city)], both_v => [qw(id tenant title note amount)],
	all_v => [qw(id tenant title city tags)], sum_v => [ 'tenant', [ bigint => 'n' ], [ text => 'lowest' ], [ numeric => 'total' ] ],
	docs_in => [qw(id title big)], ledger_in => [qw(id title big)], docs_of => [qw(id title big)], asked_v => [qw(id tenant title), [ boolean => 'asked' ]],
	asked_in => [ qw(id title), [ boolean => 'asked' ] ], asked_of => [ qw(id title), [ boolean => 'asked' ] ], twin => \@columns);

sub columns_by_type
{
	my (@names) = @_;
	my %by_type;

	for (@names)
	{
		my ($type, $name) = ref $_ ? @$_ : ($type{$_} // ($_ eq 'twice' ? 'bigint' : 'text'), $_);
		push @{ $by_type{$type} }, $name;
	}
	return \%by_type;
}

sub base_source
{
	my $name = pick((qw(docs ledger base)) x 4, qw(docs_some docs_some docs_v docs_iv both_v all_v sum_v docs_in ledger_in docs_of asked_v asked_in asked_of twin));
	my $alias = 'a' . ++$aliases;
	my %source = (alias => $alias, columns => columns_by_type(@{ $columns_of{$name} }));

	return { %source, text => "$name(" . below(5) . ") AS $alias" } if $name =~ /_(in|of)$/;
	return { %source, text => "{x:$name} AS $alias", can_ask => [ @{ $columns_of{$name} } ] } if $name =~ /^(docs|ledger|base|docs_some)$/ && chance(20);
	return { %source, text => "$name AS $alias", is_row => $name };
}

# A row source that is not large.
sub small_source
{
	my ($depth) = @_;
	my $alias = 'a' . ++$aliases;
	my @of = map { pick(@types) } 0 .. below(3);
	my @named = map { [ $of[$_], 'c' . ($_ + 1) ] } 0 .. $#of;
	my %source = (alias => $alias, columns => columns_by_type(@named));

	if ($depth > 0 && chance(60))
	{
		return { %source, text => '(' . pick(
			sub { query(\@of, $depth - 1) . ' ORDER BY ' . ordered(scalar @of) . ' LIMIT ' . (1 + below(20)) },
			sub { 'SELECT * FROM (' . query(\@of, $depth - 1) . ') AS i ORDER BY ' . ordered(scalar @of) . ' OFFSET ' . below(3) . ' LIMIT ' . (1 + below(20)) },
			sub { 'SELECT DISTINCT * FROM (' . query(\@of, $depth - 1) . ') AS i ORDER BY ' . ordered(scalar @of) . ' LIMIT 10' })->() . ") AS $alias" };
	}
	return { %source, columns => columns_by_type([ int => 'c1' ]), text => 'generate_series(-1, ' . (1 + below(5)) . ") AS $alias (c1)" } if chance(25);
	return { %source, text => '(VALUES ' . join(', ', map { '(' . join(', ', map { literal($_) } @of) . ')' } 0 .. below(4)) . ") AS $alias (" . join(', ', map { $_->[1] } @named) . ')' };
}

sub literal
{
	my ($t) = @_;
	my %of = (
		'text "C"' => $domain{city}, price => $domain{price}, map { $type{$_} => $domain{$_} } qw(tenant big title flag at ref amount tags nums data day));
	my %cast = (price => 'numeric(12,2)', 'text "C"' => 'text COLLATE "C"');

	return (chance(10) ? 'NULL' : quote(pick(@{ $of{$t} }))) . '::' . ($cast{$t} // $t);
}

sub ordered
{
	my ($n) = @_;
	my @order = map { $_ . pick('', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST') } 1 .. $n;

	return join(', ', @order);
}

# A column of the type, if there is one.
sub column
{
	my ($scope, $t) = @_;
	my @found = map { my $source = $_; map { "$source->{alias}.$_" } @{ $source->{columns}{$t} // [] } } @$scope;

	return @found ? pick(@found) =~ s/^\.//r : undef;
}

sub compared { return pick('=', '=', '<>', '<', '>', '<=', '>=') }

# Expressions by type: each is given a maker of expressions by type.
my %makers = (
	text => [
		sub { 'lower(' . $_[0]->('text') . ')' }, sub { 'upper(' . $_[0]->('text') . ')' }, sub { 'left(' . $_[0]->('text') . ', 2)' },
		sub { 'substr(' . $_[0]->('text') . ', 2, 3)' }, sub { '(' . $_[0]->('text') . " || '-' || " . $_[0]->('text') . ')' },
		(sub { 'COALESCE(' . $_[0]->('text') . ', ' . pick("'none'", $_[0]->('text')) . ')' }) x 2,
		sub { 'CASE WHEN ' . $_[0]->('boolean') . ' THEN ' . $_[0]->('text') . pick('', " ELSE 'other'") . ' END' },
		sub { $_[0]->('int') . '::text' }, sub { '(' . $_[0]->('jsonb') . " ->> 'k')" }, sub { '(' . $_[0]->('text[]') . ')[1]' }, sub { 'replace(' . $_[0]->('text') . ", 'a', 'x')" },
		sub { 'concat(' . $_[0]->('text') . ', ' . $_[0]->('int') . ')' }, sub { 'NULLIF(' . $_[0]->('text') . ", 'a')" },
		sub { '(' . $_[0]->('text "C"') . ' COLLATE "default")' }, sub { $_[0]->('price') . '::text' },
		sub { 'pg_typeof(' . $_[0]->(pick(@types)) . ')::text' } ],
	'text "C"' => [
		sub { '(' . $_[0]->('text') . ' COLLATE "C")' }, sub { 'lower(' . $_[0]->('text "C"') . ')' }, sub { 'left(' . $_[0]->('text "C"') . ', 1)' },
		sub { 'COALESCE(' . $_[0]->('text "C"') . ", 'none')" }, sub { 'CASE WHEN ' . $_[0]->('boolean') . ' THEN ' . $_[0]->('text "C"') . ' END' } ],
	int => [
		sub { 'length(' . $_[0]->(pick('text', 'text "C"')) . ')' }, sub { '(' . $_[0]->('int') . ' % 7)' }, sub { 'COALESCE(' . $_[0]->('int') . ', -5)' }, sub { 'NULLIF(' . $_[0]->('int') . ', 3)' },
		sub { 'CASE WHEN ' . $_[0]->('boolean') . ' THEN ' . $_[0]->('int') . pick('', ' ELSE 77') . ' END' }, sub { 'GREATEST(' . $_[0]->('int') . ', ' . $_[0]->('int') . ')' },
		sub { 'extract(year FROM ' . $_[0]->('date') . ')::int' }, sub { 'cardinality(' . $_[0]->('text[]') . ')' }, sub { "strpos(" . $_[0]->('text') . ", 'b')" } ],
	bigint => [
		sub { '(' . $_[0]->('int') . '::bigint * 2)' }, sub { '(' . $_[0]->('bigint') . ' % 10)' }, sub { 'COALESCE(' . $_[0]->('bigint') . ', ' . $_[0]->('int') . ')' },
		sub { '(' . $_[0]->('bigint[]') . ')[1]' }, sub { 'LEAST(' . $_[0]->('bigint') . ', ' . $_[0]->('int') . ')' } ],
	numeric => [
		sub { 'trim_scale(' . $_[0]->('numeric') . ' + 1.5)' }, sub { 'trim_scale(' . $_[0]->('price') . ')' }, sub { $_[0]->('int') . '::numeric' }, sub { 'trim_scale(round(' . $_[0]->('numeric') . ', 1))' },
		sub { 'COALESCE(' . $_[0]->('numeric') . ', 0)' }, sub { $_[0]->('bigint') . '::numeric' }, sub { 'trim_scale(' . $_[0]->('numeric') . ' * ' . $_[0]->('price') . ')' } ],
	price => [ sub { 'COALESCE(' . $_[0]->('price') . ', 0.00)' }, sub { 'CASE WHEN ' . $_[0]->('boolean') . ' THEN ' . $_[0]->('price') . ' END' } ],
	boolean => [
		(sub { my $t = pick(@types); '(' . $_[0]->($t) . ' ' . compared() . ' ' . $_[0]->($t) . ')' }) x 5,
		(sub { my $t = pick(@types); '(' . $_[0]->($t) . ' ' . compared() . ' ' . literal($t) . ')' }) x 4,
		(sub { '(' . $_[0]->(pick(@types)) . ' IS ' . pick('', 'NOT ') . 'NULL)' }) x 3,
		sub { my $t = pick(@types); '(' . $_[0]->($t) . ' IS ' . pick('', 'NOT ') . 'DISTINCT FROM ' . $_[0]->($t) . ')' },
		(sub { '(' . $_[0]->('text') . ' ' . pick('LIKE', 'NOT LIKE', 'ILIKE') . ' ' . quote(pick('a%', '%b', '_', '%', '%***%', 'a\\\\%', '%@%')) . ')' }) x 2,
		sub { '(' . $_[0]->('text') . ' ~ ' . quote(pick('^a', 'b$', '[[:upper:]]', '^$')) . ')' },
		sub { '(' . $_[0]->('int') . ' IN (' . join(', ', map { literal('int') } 0 .. 2) . '))' }, sub { '(' . $_[0]->('int') . ' BETWEEN 1 AND ' . $_[0]->('int') . ')' },
		sub { '(' . $_[0]->('int') . ' ' . compared() . ' {p})' }, sub { '(NOT ' . $_[0]->('boolean') . ')' }, sub { '(' . $_[0]->('boolean') . pick(' AND ', ' OR ') . $_[0]->('boolean') . ')' },
		sub { '(' . $_[0]->('text') . ' = ANY (' . $_[0]->('text[]') . '::text[]))' }, sub { '(' . $_[0]->('bigint') . ' = ANY (' . $_[0]->('bigint[]') . '::bigint[]))' },
		sub { '(' . $_[0]->('jsonb') . pick(' ? ', ' @> ') . quote(pick('"k"', '"owner"')) . ')' =~ s/( \? )'"(\w+)"'/$1'$2'/r },
		sub { '((' . $_[0]->('int') . ', ' . $_[0]->('text') . ') ' . pick('=', '<', '<>') . ' (' . $_[0]->('int') . ', ' . $_[0]->('text') . '))' },
		sub { '(' . $_[0]->('boolean') . ') IS ' . pick('', 'NOT ') . pick('TRUE', 'FALSE', 'UNKNOWN') } ],
	date => [ sub { '(' . $_[0]->('date') . ' + 1)' }, sub { 'COALESCE(' . $_[0]->('date') . ", '2020-02-02')" }, sub { 'NULLIF(' . $_[0]->('date') . ", '2024-02-29')" } ],
	timestamptz => [ sub { "date_trunc('year', " . $_[0]->('timestamptz') . ')' }, sub { 'COALESCE(' . $_[0]->('timestamptz') . ", '2020-02-02')" }, sub { $_[0]->('date') . '::timestamptz' } ],
	uuid => [ sub { 'COALESCE(' . $_[0]->('uuid') . ", '00000000-0000-4000-8000-000000000007')" }, sub { 'md5(' . $_[0]->('text') . ')::uuid' } ],
	'text[]' => [ sub { 'ARRAY[' . $_[0]->('text') . ', ' . $_[0]->('text') . ']::text[]' }, sub { 'COALESCE(' . $_[0]->('text[]') . ", '{}')" }, sub { 'string_to_array(' . $_[0]->('text') . ", 'b')" } ],
	'bigint[]' => [ sub { 'ARRAY[' . $_[0]->('bigint') . ']' }, sub { 'COALESCE(' . $_[0]->('bigint[]') . ", '{}')" } ],
	jsonb => [ sub { 'to_jsonb(' . $_[0]->(pick('text', 'int', 'numeric', 'boolean')) . ')' }, sub { '(' . $_[0]->('jsonb') . " -> 'a')" }, sub { "jsonb_build_object('k', " . $_[0]->('text') . ')' } ]);

# An expression over the scope; the deeper, the fewer columns as they are.
sub expression
{
	my ($t, $scope, $depth) = @_;
	my $column = column($scope, $t);
	my @rows = grep { $_->{is_row} } @$scope;
	my @can_ask = grep { $_->{can_ask} } @$scope;

	return $column if defined $column && ($depth <= 0 || chance($t eq 'boolean' ? 15 : 60));
	return literal($t) if $depth <= 0;
	return sub_select($t, $scope, $depth - 1) if chance($t eq 'boolean' ? 10 : 7);
	if ($t eq 'boolean' && @can_ask && chance(60))
	{
		my $source = pick(@can_ask);
		my $name = pick(@{ $source->{can_ask} });

		return "{masked:$source->{alias}:$name}";
	}
	if ($t eq 'text' && @rows && chance(15))
	{
		my $row = pick(@rows);

		return $row->{is_row} eq 'docs' && chance(60) ? pick("docs_text($row->{alias})", "$row->{alias}.docs_text") : "$row->{alias}::text";
	}
	return 'to_jsonb(' . pick(@rows)->{alias} . ')' if $t eq 'jsonb' && @rows && chance(25);
	return '(' . pick(@rows)->{alias} . pick(' IS NULL', ' IS NOT NULL', '.* IS NULL') . ')' if $t eq 'boolean' && @rows && chance(5);
	return pick(@{ $makers{$t} })->(sub { expression($_[0], $scope, $depth - 1) });
}

# An aggregate over the scope.
sub aggregate
{
	my ($t, $scope, $depth) = @_;
	my $e = sub { expression($_[0], $scope, $depth) };
	my $argument = $e->($t);
	my $element = $e->($t =~ s/\[\]//r);
	my $filter = chance(20) ? ' FILTER (WHERE ' . $e->('boolean') . ')' : '';

	return pick('min', 'max') . "($argument)$filter" if $t =~ /^(text|date|timestamptz|price)/ && chance(70);
	return 'string_agg(' . ($argument =~ /COLLATE/ ? '' : pick('', 'DISTINCT ')) . "$argument, ',' ORDER BY $argument)$filter" if $t =~ /^text( "C")?$/;
	return pick('min', 'max') . "($argument)$filter" if $t =~ /^(int|bigint|numeric)$/ && chance(40);
	return 'count(' . pick('*', $e->(pick(@types)), 'DISTINCT ' . $e->(pick(@types))) . ")$filter" if $t eq 'bigint' && chance(70);
	return 'sum(' . $e->('int') . ")$filter" if $t eq 'bigint';
	return 'count(' . $e->(pick(@types)) . ")$filter" . '::int' if $t eq 'int';
	return pick("trim_scale(sum($argument)$filter)", 'sum(' . $e->('bigint') . ")$filter", 'trim_scale(round(avg(' . $e->('int') . ")$filter, 3))") if $t eq 'numeric';
	return pick('bool_or', 'bool_and') . "($argument)$filter" if $t eq 'boolean';
	return "jsonb_agg($argument ORDER BY $argument)$filter" if $t eq 'jsonb';
	return "(array_agg($argument ORDER BY $argument)$filter)[1]" if $t eq 'uuid';
	return "array_agg($element ORDER BY $element)$filter" if $t =~ /\[\]$/;
	return "percentile_disc(0.5) WITHIN GROUP (ORDER BY $argument)$filter";
}

# A window function over the scope that does not tell peers apart.
sub window
{
	my ($t, $scope, $depth) = @_;
	my $e = sub { expression($_[0], $scope, $depth) };
	my $argument = $e->($t);
	my $partition = chance(60) ? 'PARTITION BY ' . $e->(pick(@types)) : '';
	my $order = 'ORDER BY ' . $e->(pick(@types)) . pick('', ' DESC');

	return pick('rank()', 'dense_rank()', 'count(*)', 'sum(' . $e->('int') . ')') . " OVER ($partition $order)" if $t eq 'bigint';
	return "trim_scale(sum($argument) OVER ($partition " . pick('', $order) . '))' if $t eq 'numeric';
	return pick('min', 'max') . "($argument) OVER ($partition " . pick('', $order) . ')' if $t =~ /^(text|int|date|timestamptz|price)/ && $t ne 'text[]' && chance(60);
	return pick('first_value', 'last_value') . "($argument) OVER ($partition ORDER BY $argument)";
}

# A sub-select as an expression; what it aggregates is its own.
sub sub_select
{
	my ($t, $outer, $depth) = @_;
	my $source = base_source();
	my $scope = [ $source, @$outer ];
	my $where = chance(80) ? ' WHERE ' . (chance(60) ? correlated($source, $outer) // 'true' : expression('boolean', $scope, $depth)) : '';

	return pick('', 'NOT ') . "EXISTS (SELECT 1 FROM $source->{text}$where)" if $t eq 'boolean' && chance(50);
	if ($t eq 'boolean' && chance(80))
	{
		my $of = pick(grep { $source->{columns}{$_} } @types);
		return '(' . expression($of, $outer, $depth) . pick(' IN', ' NOT IN', ' = ANY', ' <> ALL') . " (SELECT " . column([$source], $of) . " FROM $source->{text}$where))";
	}
	return "(SELECT " . aggregate($t, [$source], 0) . " FROM $source->{text}$where)" if chance(70);
	return "(SELECT " . expression($t, $scope, 1) . " AS c1 FROM $source->{text}$where ORDER BY 1 LIMIT 1)";
}

# An equality between a source and others.
sub correlated
{
	my ($source, $others) = @_;
	my @common = grep { my $t = $_; $t ne 'boolean' && $source->{columns}{$t} && grep { $_->{columns}{$t} } @$others } @types;
	my $t;

	return undef unless @common;
	$t = pick(@common);
	return column([$source], $t) . ' = ' . column($others, $t);
}

# FROM with one to three sources.
sub from_clause
{
	my ($depth, $outer) = @_;
	my $first = chance(88) ? base_source() : small_source($depth);
	my @scope = ($first);
	my $text = $first->{text};

	for my $n (2 .. (chance(50) ? 1 : chance(80) ? 2 : 3))
	{
		my $kind = below(100);
		my $next;

		if ($kind < 12 && $depth > 0)
		{
			my @of = map { pick(@types) } 0 .. below(2);
			my $array = column(\@scope, 'text[]');

			if (defined $array && chance(40))
			{
				$next = { alias => 'a' . ++$aliases, columns => columns_by_type([ text => 'c1' ]) };
				$text .= pick(' CROSS JOIN', ' LEFT JOIN') . " LATERAL unnest($array) AS $next->{alias} (c1)";
				$text .= ' ON true' if $text =~ /LEFT JOIN LATERAL unnest\(\S+\) AS \w+ \(c1\)$/;
				push @scope, $next;
				next;
			}
			$next = { alias => 'a' . ++$aliases, columns => columns_by_type(map { [ $of[$_], 'c' . ($_ + 1) ] } 0 .. $#of) };
			my $join = pick('CROSS', 'LEFT');
			$text .= " $join JOIN LATERAL (" . lateral(\@of, $depth - 1, [ @scope, @$outer ]) . ") AS $next->{alias}";
			$text .= ' ON ' . pick('true', expression('boolean', [ @scope, $next ], 1)) if $join eq 'LEFT';
			push @scope, $next;
			next;
		}
		$next = $n == 3 || $kind < 30 ? small_source($depth) : base_source();
		if ($n == 2 && $first->{is_row} && $next->{is_row} && chance(15))
		{
			# What is merged has no alias.
			my @common = grep { my $name = $_; grep { $_ eq $name } @{ $columns_of{ $next->{is_row} } } } grep { /^(id|tenant|title|city)$/ } @{ $columns_of{ $first->{is_row} } };

			if (@common)
			{
				my @merged = some(@common);

				push @scope, $next, { alias => '', columns => columns_by_type(@merged) };
				return ($text . pick('', ' LEFT', ' RIGHT', ' FULL') . " JOIN $next->{text} USING (" . join(', ', @merged) . ')', \@scope);
			}
		}
		my $equal = correlated($next, \@scope);
		my $join = pick('JOIN', ('LEFT JOIN') x 2, 'RIGHT JOIN', 'FULL JOIN');

		if (!defined $equal)
		{
			($join, $equal) = ('JOIN', expression('boolean', [ @scope, $next ], 1));
		}
		elsif ($join ne 'FULL JOIN' && chance(25))
		{
			$equal .= ' AND ' . expression('boolean', [ @scope, $next ], 1);
		}
		$text .= " $join $next->{text} ON $equal";
		push @scope, $next;
	}
	return ($text, \@scope);
}

# One row for each of the outer ones, or few.
sub lateral
{
	my ($of, $depth, $outer) = @_;
	my $source = base_source();
	my $where = correlated($source, $outer) // expression('boolean', [ $source, @$outer ], 1);

	return 'SELECT ' . join(', ', map { aggregate($of->[$_], [$source], 1) . ' AS c' . ($_ + 1) } 0 .. $#$of) . " FROM $source->{text} WHERE $where" if chance(50);
	return 'SELECT ' . join(', ', map { expression($of->[$_], [ $source, @$outer ], 1) . ' AS c' . ($_ + 1) } 0 .. $#$of)
	  . " FROM $source->{text} WHERE $where ORDER BY " . ordered(scalar @$of) . ' LIMIT ' . (1 + below(2));
}

sub where
{
	my ($scope) = @_;
	my @conditions = map { expression('boolean', $scope, 1 + below(2)) } 1 .. pick(0, 0, 1, 1, 2);

	return @conditions ? ' WHERE ' . join(' AND ', @conditions) : '';
}

sub simple
{
	my ($of, $depth, $prefix) = @_;
	my ($from, $scope) = from_clause($depth, []);

	return 'SELECT ' . ($prefix // '') . join(', ', map { expression($of->[$_], $scope, 2) . ' AS c' . ($_ + 1) } 0 .. $#$of) . " FROM $from" . where($scope);
}

sub grouped
{
	my ($of, $depth) = @_;
	my ($from, $scope) = from_clause($depth, []);
	my (@list, @by);
	my $sets = chance(30);
	my $having = chance(20) ? ' HAVING ' . aggregate('boolean', $scope, 1) : '';

	for my $n (1 .. @$of)
	{
		my $t = $of->[ $n - 1 ];
		# PostgreSQL loses the NULL that a grouping set has in place of a constant, below UNION for one.
		my $by = column($scope, $t) // ($sets ? undef : expression($t, $scope, 1));

		if (defined $by && chance(50))
		{
			if ($by !~ /^\w+\.\w+$/ || chance(70))
			{
				push @list, "$by AS c$n";
				push @by, $n;
			}
			else
			{
				push @list, ($t eq 'boolean' ? "($by IS NULL)" : $t eq 'int' && $sets ? "(GROUPING($by) + COALESCE($by, 0) % 5)" : "COALESCE($by, " . literal($t) . ')') . " AS c$n";
				push @by, $by;
			}
		}
		else
		{
			push @list, aggregate($t, $scope, 1) . " AS c$n";
		}
	}
	my $by = !@by ? '' : !$sets ? ' GROUP BY ' . join(', ', @by)
	  : ' GROUP BY ' . pick('ROLLUP (' . join(', ', @by) . ')', 'CUBE (' . join(', ', @by) . ')', "GROUPING SETS (($by[0]), (" . join(', ', @by) . '), ())', 'GROUPING SETS ((' . join(', ', @by) . "), ($by[-1]))");
	return 'SELECT ' . join(', ', @list) . " FROM $from" . where($scope) . $by . $having;
}

sub windowed
{
	my ($of, $depth) = @_;
	my ($from, $scope) = from_clause($depth, []);

	return 'SELECT ' . join(', ', map { (chance(50) ? window($of->[$_], $scope, 1) : expression($of->[$_], $scope, 1)) . ' AS c' . ($_ + 1) } 0 .. $#$of) . " FROM $from" . where($scope);
}

# A query with columns c1, c2, ... of the types, such that ORDER BY can follow.
sub query
{
	my ($of, $depth) = @_;
	my @all = map { "c$_" } 1 .. @$of;
	my $list = join(', ', @all);
	my @kinds = (
		(sub { simple($of, $depth) }) x 5,
		(sub { grouped($of, $depth) }) x 4,
		(sub { windowed($of, $depth) }) x 2,
		sub { simple($of, $depth, 'DISTINCT ') },
		sub { 'SELECT * FROM (' . simple($of, $depth, 'DISTINCT ON (1) ') . ' ORDER BY ' . ordered(scalar @$of) . ') AS d' },
		sub { 'SELECT * FROM (' . simple($of, $depth) . ' ORDER BY ' . ordered(scalar @$of) . ' LIMIT ' . (1 + below(15)) . pick('', ' OFFSET 2') . ') AS d' },
		sub { 'SELECT * FROM (' . simple($of, $depth) . ' ORDER BY 1' . pick('', ' DESC') . ' FETCH FIRST ' . (1 + below(9)) . ' ROWS WITH TIES) AS d' });

	push @kinds, (
		(sub { 'SELECT * FROM ((' . query($of, $depth - 1) . ') ' . pick('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL', 'INTERSECT ALL') . ' (' . query($of, $depth - 1) . ')) AS u' }) x 2,
		sub { 'SELECT * FROM (WITH w AS ' . pick('', 'MATERIALIZED ', 'NOT MATERIALIZED ') . '(' . query($of, $depth - 1) . ") SELECT $list FROM w " . pick("WHERE w.c1 IS NOT NULL", "UNION ALL SELECT $list FROM w", 'INTERSECT (' . query($of, 0) . ')') . ') AS w' },
		sub { my $w = numbered($of, $depth - 1); "SELECT $list FROM $w" },
		sub { "SELECT $list FROM (" . query($of, $depth - 1) . ') AS q GROUP BY ' . $list . pick('', ' HAVING count(*) > 1') })
	  if $depth > 0;
	return pick(@kinds)->();
}

# Rows numbered, or shifted, in a total order.
sub numbered
{
	my ($of, $depth) = @_;
	my $order = join(', ', map { "q.c$_" } 1 .. @$of);
	my @columns = map { chance(30) ? pick('lag', 'lead') . "(q.c$_) OVER (ORDER BY $order) AS c$_" : "q.c$_" } 1 .. @$of;

	return '(SELECT ' . join(', ', @columns, "row_number() OVER (ORDER BY $order) AS position") . ' FROM (' . query($of, $depth) . ') AS q) AS n WHERE n.position % ' . (1 + below(3)) . ' = 0';
}

sub recursive
{
	my ($start, $next) = map { my $s; do { $s = base_source() } until $s->{columns}{int} && $s->{columns}{text} && $s->{text} !~ /sum_v/; $s } 1 .. 2;

	return "WITH RECURSIVE r (c1, c2, c3) AS (SELECT " . column([$start], 'int') . ', ' . column([$start], 'text') . "::text, 0 FROM $start->{text} WHERE " . expression('boolean', [$start], 1)
	  . ' UNION SELECT ' . column([$next], 'int') . ', ' . column([$next], 'text') . "::text, r.c3 + 1 FROM r JOIN $next->{text} ON " . column([$next], 'int') . " = r.c1 % 5 WHERE r.c3 < 2)"
	  . pick(' SELECT * FROM r', ' SELECT c2 AS c1, count(*) AS c2 FROM r GROUP BY c2', ' SELECT r.c1, r.c2, s.c2 AS c3 FROM r LEFT JOIN r AS s ON s.c1 = r.c3');
}

# EXISTS, which the planner moves between the levels of a query, about a column of a
# function that it inlines, and around it tables that the column could be taken to be of.
sub beside
{
	my $column = pick(qw(title title big id));

	return 'SELECT s.c1, s.c2 FROM (SELECT a.id AS c1, ' . pick('', 'NOT ') . 'EXISTS (SELECT 1 FROM ' . pick(qw(twin twin docs ledger base)) . " AS b WHERE b.$column = a.$column"
	  . pick('', " AND a.id <> b.id", ' AND b.flag') . ") AS c2 FROM " . pick(qw(docs_in ledger_in)) . '(' . below(5) . ') AS a OFFSET 0) AS s' . join('', map { " JOIN twin AS x$_ ON x$_.id = 1" } 1 .. below(9));
}

# Queries that fail, or may; on one table, so that the plan has no say in it.
sub failing
{
	my $table = pick(qw(docs ledger base));
	my $text = pick(qw(title note code mail city));
	my $sql = pick(
		"SELECT a.$text\::int FROM $table AS a", "SELECT 10 / (a.tenant::bigint - 3) AS c1 FROM $table AS a", "SELECT count(*) AS c1 FROM $table AS a WHERE 10 / (a.tenant::bigint - 4) > 0",
		"SELECT (SELECT a.title FROM $table AS a WHERE a.tenant = 3) AS c1", "SELECT jsonb_array_length(a.data) AS c1 FROM $table AS a", "SELECT a.data::int AS c1 FROM $table AS a",
		"SELECT a.amount::numeric(3) AS c1 FROM $table AS a", "SELECT a.$text\::uuid AS c1 FROM $table AS a", "SELECT date_trunc(a.$text, a.at) AS c1 FROM $table AS a",
		"SELECT sqrt(a.amount) AS c1 FROM $table AS a", "SELECT a.big::int AS c1 FROM $table AS a", "SELECT sum(a.tenant)::int AS c1 FROM $table AS a", "SELECT a.$text LIKE 'a\\' AS c1 FROM $table AS a",
		"SELECT a.id AS c1 FROM $table AS a ORDER BY 1 LIMIT (SELECT min(b.tenant) FROM $table AS b)", "SELECT a.tags || '{{x,y}}'::text[] AS c1 FROM $table AS a",
		"SELECT (a.tenant + a.tenant) AS c1 FROM $table AS a", "SELECT count(*) AS c1 FROM $table AS a WHERE a.$text\::numeric > 3",
		# for the parser
		"SELECT a.nosuch FROM $table AS a", "SELECT a.title + 1 FROM $table AS a", "SELECT a.id, a.title FROM $table AS a GROUP BY a.id", "SELECT title FROM docs, $table",
		"SELECT a.title FROM $table AS a UNION SELECT a.data FROM $table AS a", "SELECT a.title = a.city FROM $table AS a", "SELECT max(a.tags), a.title FROM $table AS a",
		"SELECT COALESCE(a.title, a.tenant) FROM $table AS a", "SELECT a.title FROM $table AS a UNION SELECT a.city FROM $table AS a ORDER BY 1", "SELECT a.ctid FROM $table AS a LIMIT 0");

	return { sql => $sql, error => $table };
}

# All cells of a table; of each whether it is masked.
sub every_cell
{
	my ($table) = @_;

	return { sql => "SELECT a.* FROM $table AS a", settings => {}, manner => 'prepared' };
}

sub every_mark
{
	my ($table) = @_;
	my @names = @{ $columns_of{$table} };

	return {
		sql => 'SELECT ' . join(', ', map { "{masked:a:$names[$_]} AS c" . ($_ + 1) } 0 .. $#names) . " FROM {x:$table} AS a",
		settings => {}, manner => 'prepared' };
}

# The order of all columns, strings' by their collation, whatever that of a mask is.
sub every_order
{
	my ($table) = @_;
	my @names = @{ $columns_of{$table} };

	return {
		sql => 'SELECT ' . join(', ', map { "string_agg(a.$names[$_]::text, ',' ORDER BY a.$names[$_]) AS c" . ($_ + 1) } 0 .. $#names) . " FROM $table AS a",
		settings => {}, manner => 'prepared' };
}

sub statement
{
	my $kind = below(100);
	my %statement = (settings => {}, error => undef, manner => pick('prepared', 'prepared', 'prepared', 'cursor', 'table', 'view'));

	$aliases = 0;
	if ($kind < 5)
	{
		%statement = (%statement, %{ failing() });
		$statement{manner} = 'prepared';
	}
	elsif ($kind < 9)
	{
		$statement{sql} = recursive();
	}
	elsif ($kind < 12)
	{
		$statement{sql} = beside();
	}
	elsif ($kind < 14)
	{
		my $source;

		do { $source = base_source() } until $source->{is_row};
		$statement{sql} = "SELECT $source->{alias}.* FROM $source->{text}" . where([$source]);
	}
	else
	{
		my @of = map { pick(@types) } 0 .. below(4);
		$statement{sql} = query(\@of, below(3));
		$statement{sql} = 'SELECT row_number() OVER () AS n, o.* FROM (SELECT * FROM (' . $statement{sql} . ') AS i ORDER BY ' . ordered(scalar @of) . ') AS o' if chance(25);
	}
	if (!$statement{error})
	{
		# Free set-up would put a Gather below a nested loop, and start workers for every row.
		$statement{settings} = {
			max_parallel_workers_per_gather => 2, parallel_setup_cost => 10, parallel_tuple_cost => 0,
			min_parallel_table_scan_size => 0, chance(50) ? (parallel_leader_participation => 'off') : () }
		  if chance(8);
		$statement{settings}{force_parallel_mode} = 'on' if chance(5);		# workers take their time
		$statement{settings}{ pick(qw(enable_hashjoin enable_mergejoin enable_nestloop enable_seqscan enable_hashagg enable_sort enable_material enable_memoize)) } = 'off' if chance(30);
		$statement{settings}{geqo_threshold} = 2 if chance(8);
		$statement{settings}{ pick(qw(join_collapse_limit from_collapse_limit)) } = 1 if chance(8);
	}
	return \%statement;
}

# The query for the masked views, or for the copies.
sub of_views
{
	my ($sql) = @_;

	$sql =~ s/\{x:(\w+)\}/$1/g;
	$sql =~ s/\{masked:(\w+):(\w+)\}/authz.is_masked($1, '$2')/g;
	return $sql;
}

sub of_copies
{
	my ($sql) = @_;

	$sql =~ s/\{x:(\w+)\}/$1_m/g;
	$sql =~ s/\{masked:(\w+):(\w+)\}/($1.masked_ ->> '$2')::boolean/g;
	return $sql;
}

1;
