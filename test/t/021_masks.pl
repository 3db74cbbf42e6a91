# 021_masks.pl
#	  A masked view is what a table would be whose cells had been replaced by the
#	  masks: random queries over masked views, by readers with several identities,
#	  have the results that they have over copies whose cells were replaced, and
#	  whose rows were chosen, by hand-written SQL (AuthzMaskGenerator.pm).
#
# AUTHZ_SEED takes another seed, AUTHZ_QUERIES another number of queries of a
# group.  Comparing is done in the server, by schema agree; two sessions share
# it, each in a database of its own.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzMaskGenerator;
use AuthzSession;
use AuthzToken;

use constant {
	GROUPS => 10,            # of policies and masks, for all tables, that queries run under
	ROWS => 64,              # of a table
	SHOWN => 5,              # queries of a group that differ
};

my $seed = $ENV{AUTHZ_SEED} // 20;
my $nqueries = $ENV{AUTHZ_QUERIES} // 120;
my $generator = AuthzMaskGenerator->new($seed);
my @tables = qw(docs ledger base);
my @databases = qw(agree_1 agree_2);
my @columns = @AuthzMaskGenerator::columns;
my %generated = %AuthzMaskGenerator::generated;

note "AUTHZ_SEED=$seed";

sub quote { return AuthzGenerator::quote($_[0]) }

# A text[] of names.
sub array { return 'ARRAY[' . join(', ', map { quote($_) } @{ $_[0] }) . ']::text[]' }

sub run
{
	my ($session, $sql) = @_;
	my $result = $session->query($sql);

	die "AUTHZ_SEED=$seed: $result\n" . substr($sql, 0, 3000) . "\n" if $result =~ /^ERROR/;
	return $result;
}

# Run a statement in every session at once; results in their order.
sub run_everywhere
{
	my ($sessions, @sql) = @_;
	my @results;

	$sessions->[$_]->send($sql[$_]) for 0 .. $#sql;
	for my $i (0 .. $#sql)
	{
		push @results, $sessions->[$i]->result;
		die "AUTHZ_SEED=$seed: $results[$i]\n$sql[$i]\n" if $results[$i] =~ /^ERROR/;
	}
	return @results;
}

#
# Tables.  The parts of ledger and base have other column numbers than the whole.
#
sub declarations
{
	my ($table, @names) = @_;

	return join(', ', map {
		my $from = $generated{$table}{$_};
		"$_ " . ($from ? "$from->[0] GENERATED ALWAYS AS ($from->[1]) STORED" : $AuthzMaskGenerator::declared{$_} . ($_ eq 'id' ? ' NOT NULL' : '')) } @names);
}

my %declarations = map { $_ => declarations($_, @columns, sort keys %{ $generated{$_} }) } @tables;
my %shuffled = map { $_ => declarations($_, qw(note data), sort(keys %{ $generated{$_} }), qw(city amount at title nums price id mail flag tags ref day tenant big code)) } @tables;
my $plain = declarations('base', @columns);
my $names = join(', ', @columns);

my $schema = <<~SQL;
	CREATE SCHEMA app AUTHORIZATION owner;
	CREATE SCHEMA shown AUTHORIZATION owner;
	GRANT USAGE ON SCHEMA shown TO reader;
	SET ROLE owner;
	SET search_path = app;
	CREATE DOMAIN mail AS text CHECK (length(VALUE) < 80);
	CREATE TABLE docs (gone text, $declarations{docs});
	ALTER TABLE docs DROP COLUMN gone;
	CREATE TABLE ledger ($declarations{ledger}) PARTITION BY LIST (tenant);
	CREATE TABLE ledger_p1 PARTITION OF ledger FOR VALUES IN (1, 2);
	CREATE TABLE ledger_p2 (gone int, $shuffled{ledger}, gone_too text);
	ALTER TABLE ledger_p2 DROP COLUMN gone, DROP COLUMN gone_too;
	ALTER TABLE ledger ATTACH PARTITION ledger_p2 FOR VALUES IN (3, NULL);
	CREATE TABLE ledger_rest PARTITION OF ledger DEFAULT PARTITION BY RANGE (id);
	CREATE TABLE ledger_old PARTITION OF ledger_rest FOR VALUES FROM (MINVALUE) TO (40);
	CREATE TABLE ledger_new PARTITION OF ledger_rest FOR VALUES FROM (40) TO (MAXVALUE);
	CREATE TABLE base ($declarations{base});
	CREATE TABLE base_child (extra text, $shuffled{base});
	ALTER TABLE base_child INHERIT base;
	CREATE TABLE member (subject text, tenant int, level int, role text);
	CREATE TABLE unit (tenant int PRIMARY KEY, parent int, active boolean);
	CREATE TABLE mark (tenant int, title text, note text);
	CREATE VIEW active_unit AS SELECT u.tenant FROM unit AS u WHERE u.active;
	CREATE FUNCTION level_in(tenant int, subject text) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER
		SET search_path = pg_catalog, pg_temp
		AS 'SELECT max(m.level) FROM app.member AS m WHERE m.tenant = \$1 AND m.subject = \$2';
	INSERT INTO member VALUES ('alice', 3, 2, 'x'), ('alice', 1, NULL, 'y'), ('alice', NULL, 5, 'alice'), ('bob', 2, 1, 'x'),
		('bob', 3, 3, NULL), ('carol', 5, 0, 'a'), ('ivan', 4, 42, 'y'), ('ivan', 3, 1, 'b'), (NULL, 2, 2, 'x');
	INSERT INTO unit VALUES (1, NULL, true), (2, 1, false), (3, 1, true), (4, 3, NULL), (5, 2, true), (0, 0, false);
	INSERT INTO mark VALUES (1, 'a', 'x'), (3, 'b', NULL), (3, 'a', 'y'), (NULL, 'c', 'x'), (2, NULL, 'alice'), (4, 'abc', 'a\\b');
	INSERT INTO docs ($names) VALUES ${\ $generator->rows(1, ROWS) };
	INSERT INTO ledger ($names) VALUES ${\ $generator->rows(1, ROWS) };
	INSERT INTO base ($names) VALUES ${\ $generator->rows(1, ROWS / 2) };
	INSERT INTO base_child ($names) VALUES ${\ $generator->rows(ROWS / 2 + 1, ROWS) };
	CREATE UNIQUE INDEX ON docs (id);
	CREATE INDEX ON docs (tenant);
	CREATE INDEX ON docs (title);
	CREATE INDEX ON docs (city, price);
	CREATE INDEX ON ledger (tenant);
	CREATE INDEX ON base USING gin (tags);
	SELECT authz.protect(t) FROM unnest('{docs,ledger,base,unit}'::regclass[]) AS t;
	SELECT authz.create_masked_view(t.name::regclass, 'shown.' || t.name) FROM unnest('{docs,ledger,base}'::text[]) AS t (name);
	SELECT authz.create_masked_view('docs', 'shown.docs_some', '{id,title,amount,data,city,mail}');
	-- One without masks, that readers may read as it is.
	CREATE TABLE shown.twin ($plain);
	INSERT INTO shown.twin ($names) VALUES ${\ $generator->rows(1, 12) };
	SELECT authz.protect('shown.twin');
	RESET ROLE;
	RESET search_path;

	-- The copies: what queries see, and the same with what was masked.
	CREATE SCHEMA copied;
	SELECT set_config('search_path', 'copied', false);
	CREATE TABLE docs_m AS TABLE app.docs WITH NO DATA;
	CREATE TABLE ledger_m AS TABLE app.ledger WITH NO DATA;
	CREATE TABLE base_m AS TABLE app.base WITH NO DATA;
	ALTER TABLE docs_m ADD COLUMN masked_ jsonb;
	ALTER TABLE ledger_m ADD COLUMN masked_ jsonb;
	ALTER TABLE base_m ADD COLUMN masked_ jsonb;
	CREATE TABLE twin AS TABLE shown.twin;
	CREATE VIEW docs AS SELECT ${\ join(', ', @columns, sort keys %{ $generated{docs} }) } FROM docs_m;
	CREATE VIEW ledger AS SELECT ${\ join(', ', @columns, sort keys %{ $generated{ledger} }) } FROM ledger_m;
	CREATE VIEW base AS SELECT $names FROM base_m;
	CREATE VIEW docs_some AS SELECT id, title, amount, data, city, mail FROM docs_m;
	CREATE VIEW docs_some_m AS SELECT id, title, amount, data, city, mail, masked_ FROM docs_m;
	RESET search_path;

	-- Views and a function over the masked views, and over the copies.
	DO \$do\$
	DECLARE
		s text;
	BEGIN
		FOREACH s IN ARRAY '{shown,copied}'::text[] LOOP
			IF s = 'shown' THEN
				SET LOCAL ROLE owner;
			ELSE
				RESET ROLE;
			END IF;
			PERFORM set_config('search_path', s, true);
			CREATE VIEW docs_v AS SELECT id, tenant, title, price, city FROM docs;
			CREATE VIEW docs_iv WITH (security_invoker, security_barrier) AS SELECT id, tenant, title, price, city FROM docs WHERE id < 50;
			CREATE VIEW both_v AS SELECT d.id, d.tenant, l.title, l.note, d.amount FROM docs AS d LEFT JOIN ledger AS l USING (id);
			CREATE VIEW all_v AS SELECT id, tenant, title, city, tags FROM docs UNION ALL SELECT id, tenant, note, city, tags FROM base;
			CREATE VIEW sum_v AS SELECT tenant, count(*) AS n, min(title) AS lowest, trim_scale(sum(amount)) AS total FROM docs GROUP BY tenant;
			EXECUTE format('CREATE FUNCTION docs_in(tenant int) RETURNS TABLE (id int, title text, big bigint)
				LANGUAGE sql STABLE AS ''SELECT d.id, d.title, d.big FROM %I.docs AS d WHERE d.tenant = \$1''', s);
			EXECUTE format('CREATE FUNCTION ledger_in(tenant int) RETURNS TABLE (id int, title text, big bigint)
				LANGUAGE sql STABLE AS ''SELECT l.id, l.title, l.big FROM %I.ledger AS l WHERE l.tenant = \$1''', s);
			-- Some that are not inlined, and keep their plans; and one of a row.
			EXECUTE format('CREATE FUNCTION docs_of(tenant int) RETURNS TABLE (id int, title text, big bigint)
				LANGUAGE plpgsql STABLE AS ''BEGIN RETURN QUERY SELECT d.id, d.title, d.big FROM %I.docs AS d WHERE d.tenant = \$1; END''', s);
			EXECUTE format('CREATE FUNCTION asked_in(tenant int) RETURNS TABLE (id int, title text, asked boolean)
				LANGUAGE sql STABLE AS ''SELECT l.id, l.title, %s FROM %I.%I AS l WHERE l.tenant = \$1''',
				CASE s WHEN 'shown' THEN 'authz.is_masked(l, ''''title'''')' ELSE '(l.masked_ ->> ''''title'''')::boolean' END, s,
				CASE s WHEN 'shown' THEN 'ledger' ELSE 'ledger_m' END);
			EXECUTE format('CREATE FUNCTION asked_of(tenant int) RETURNS TABLE (id int, title text, asked boolean)
				LANGUAGE plpgsql STABLE AS ''BEGIN RETURN QUERY SELECT a.* FROM %I.asked_in(\$1) AS a; END''', s);
			EXECUTE format('CREATE VIEW asked_v AS SELECT id, tenant, title, %s AS asked FROM %I AS d',
				CASE s WHEN 'shown' THEN 'authz.is_masked(d, ''title'')' ELSE '(masked_ ->> ''title'')::boolean' END,
				CASE s WHEN 'shown' THEN 'docs' ELSE 'docs_m' END);
			CREATE FUNCTION docs_text(d docs) RETURNS text
				LANGUAGE sql STABLE AS 'SELECT concat_ws('','', d.id, d.title, d.price, d.initial)';
		END LOOP;
	END
	\$do\$;
	GRANT SELECT ON ALL TABLES IN SCHEMA shown TO reader;
	SQL

#
# The comparison.
#
my $agree = <<~'SQL';
	CREATE SCHEMA agree;
	GRANT USAGE ON SCHEMA agree TO reader;
	CREATE TABLE agree.identity (name text PRIMARY KEY, become text);
	-- How a copy of a table is filled for an identity.
	CREATE TABLE agree.copy (group_id int, identity text, relation text, fill text);
	CREATE TABLE agree.query (id int PRIMARY KEY, group_id int, of_views text, of_copies text, manner text, settings jsonb, nonempty text);
	CREATE INDEX ON agree.query (group_id);

	-- Under the rules of which group; a query may be of an earlier one.
	CREATE TABLE agree.result (group_id int, query int, identity text, manner text, expected text, got text, same boolean);
	CREATE TABLE agree.cell (group_id int, identity text, relation text, clear int, masked int, hidden int);
	CREATE TABLE agree.asked (group_id int, identity text, relation text, id int, name text, expected boolean, got boolean);
	CREATE TABLE agree.parallel_plan (query int);

	-- A query as one line: number of rows, and a digest of all.
	CREATE FUNCTION agree.digest(query text) RETURNS text
	LANGUAGE sql AS $$
		SELECT format('SELECT count(*) || '' '' || md5(coalesce(string_agg(q::text, E''\n'' ORDER BY q::text COLLATE "C"), '''')) FROM (%s) AS q', query)
	$$;

	-- The same of rows that are here.
	CREATE FUNCTION agree.digest_rows(all_rows text[]) RETURNS text
	LANGUAGE sql AS $$
		SELECT count(*) || ' ' || md5(coalesce(string_agg(r, E'\n' ORDER BY r COLLATE "C"), '')) FROM unnest(all_rows) AS u (r)
	$$;

	-- Read a query by a cursor to the end and back; rows that no order tells apart may come in another one.
	CREATE FUNCTION agree.fetch_rows(query text) RETURNS text[]
	LANGUAGE plpgsql AS $$
	DECLARE
		c refcursor;
		r record;
		forth text[] := '{}';
		back text[] := '{}';
	BEGIN
		OPEN c SCROLL FOR EXECUTE query;
		LOOP
			FETCH NEXT FROM c INTO r;
			EXIT WHEN NOT FOUND;
			forth := forth || r::text;
		END LOOP;
		LOOP
			FETCH PRIOR FROM c INTO r;
			EXIT WHEN NOT FOUND;
			back := back || r::text;
		END LOOP;
		CLOSE c;
		RETURN CASE WHEN agree.digest_rows(back) = agree.digest_rows(forth) THEN forth ELSE ARRAY['reads another way back'] || back END;
	END
	$$;

	-- Run and undo.  The manner is how a reader comes to the rows.
	CREATE FUNCTION agree.run_query(query text, manner text, role text, path text, settings jsonb) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		result text;
		all_rows text[];
	BEGIN
		PERFORM set_config(c.key, c.value, true) FROM jsonb_each_text(settings) AS c;
		PERFORM set_config('search_path', path, true), set_config('role', role, true);
		CASE manner
			WHEN 'at once' THEN
				EXECUTE agree.digest(query) INTO result;
			WHEN 'prepared' THEN
				PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
				EXECUTE query INTO result;
			WHEN 'cursor' THEN
				all_rows := agree.fetch_rows(query);
			WHEN 'table' THEN
				EXECUTE 'CREATE TEMP TABLE rows_of_query AS ' || query;
				EXECUTE agree.digest('TABLE rows_of_query') INTO result;
			WHEN 'view' THEN
				EXECUTE 'CREATE TEMP VIEW rows_of_query AS ' || query;
				EXECUTE agree.digest('TABLE rows_of_query') INTO result;
		END CASE;
		RAISE EXCEPTION USING ERRCODE = 'AG000';
	EXCEPTION
		WHEN SQLSTATE 'AG000' THEN
			RETURN coalesce(result, agree.digest_rows(all_rows));
		WHEN OTHERS THEN
			RETURN format('error %s %s', SQLSTATE, SQLERRM);
	END
	$$;

	CREATE FUNCTION agree.compare(group_id int, query int, identity text, manner text, expected text, got text) RETURNS void
	LANGUAGE sql AS $$
		INSERT INTO agree.result VALUES (group_id, query, identity, manner, expected, got,
			CASE WHEN expected ~ '^error' THEN left(expected, 11) = left(got, 11) ELSE expected = got END)
	$$;

	-- The copies of what an identity sees.
	CREATE FUNCTION agree.fill_copies(which int, who text) RETURNS void
	LANGUAGE plpgsql AS $$
	DECLARE
		c agree.copy;
	BEGIN
		FOR c IN SELECT * FROM agree.copy AS x WHERE x.group_id = which AND x.identity = who LOOP
			EXECUTE format('DELETE FROM copied.%I_m', c.relation);
			EXECUTE c.fill;
			EXECUTE format('INSERT INTO agree.cell
				SELECT %L, %L, %L, count(*) FILTER (WHERE NOT m.masked), count(*) FILTER (WHERE m.masked AND c.value <> ''null''),
					count(*) FILTER (WHERE m.masked AND c.value = ''null'')
				FROM copied.%I_m AS r, jsonb_each(to_jsonb(r)) AS c, LATERAL (SELECT (r.masked_ ->> c.key)::boolean AS masked) AS m',
				which, who, c.relation, c.relation);
		END LOOP;
	END
	$$;

	-- Every query for every identity of the group: at once, and in one other manner.  The
	-- generic plans of prepared statements outlive changes of the identity, and some of them the
	-- change to the rules of the next group of the session.
	CREATE PROCEDURE agree.run_group(which int, before int, identities text[])
	LANGUAGE plpgsql AS $$
	DECLARE
		q agree.query;
		who text;
		expected text;
		empty boolean;
		earlier text;
	BEGIN
		FOR q IN SELECT * FROM agree.query AS x WHERE x.group_id = which AND x.manner = 'prepared' LOOP
			PERFORM set_config('search_path', 'shown', true), set_config('role', 'reader', true);
			BEGIN
				EXECUTE format('PREPARE agree_%s (int) AS ', q.id) || agree.digest(replace(q.of_views, '{p}', '$1'));
			EXCEPTION WHEN OTHERS THEN
				NULL;		-- its EXECUTE will tell
			END;
			PERFORM set_config('role', 'none', true), set_config('search_path', '', true);
		END LOOP;
		FOREACH who IN ARRAY identities LOOP
			EXECUTE (SELECT i.become FROM agree.identity AS i WHERE i.name = who);
			PERFORM agree.fill_copies(which, who);
			FOR q IN SELECT * FROM agree.query AS x WHERE x.group_id = which LOOP
				-- An error in a mask that is a constant comes with the plan, rows or not.
				IF q.nonempty IS NOT NULL THEN
					EXECUTE format('SELECT NOT EXISTS (SELECT FROM copied.%I)', q.nonempty) INTO empty;
					CONTINUE WHEN empty;
				END IF;
				expected := agree.run_query(replace(q.of_copies, '{p}', '3'), 'at once', 'none', 'copied', '{}');
				PERFORM agree.compare(which, q.id, who, 'at once', expected,
					agree.run_query(replace(q.of_views, '{p}', '3'), 'at once', 'reader', 'shown', q.settings));
				CONTINUE WHEN expected ~ '^error 42';		-- was not prepared
				PERFORM agree.compare(which, q.id, who, q.manner, expected,
					agree.run_query(CASE q.manner WHEN 'prepared' THEN format('EXECUTE agree_%s (3)', q.id) ELSE replace(q.of_views, '{p}', '3') END,
						q.manner, 'reader', 'shown', q.settings));
				IF q.settings ?| '{parallel_setup_cost,force_parallel_mode}' THEN
					INSERT INTO agree.parallel_plan SELECT q.id
						WHERE agree.run_query('EXPLAIN (COSTS OFF, FORMAT JSON) ' || replace(q.of_views, '{p}', '3'), 'prepared', 'reader', 'shown', q.settings) ~ '"Gather';
				END IF;
			END LOOP;
			FOR q IN SELECT * FROM agree.query AS x WHERE x.group_id = before AND x.manner = 'prepared' AND x.nonempty IS NULL AND x.id % 3 = 0 LOOP
				expected := agree.run_query(replace(q.of_copies, '{p}', '3'), 'at once', 'none', 'copied', '{}');
				CONTINUE WHEN expected ~ '^error 42';
				PERFORM agree.compare(which, q.id, who, 'prepared earlier', expected, agree.run_query(format('EXECUTE agree_%s (3)', q.id), 'prepared', 'reader', 'shown', q.settings));
			END LOOP;
		END LOOP;
		FOR earlier IN SELECT name FROM pg_prepared_statements WHERE substr(name, 7)::int / 1000 = before LOOP
			EXECUTE 'DEALLOCATE ' || earlier;
		END LOOP;
	END
	$$;

	-- Ask for cells one by one, by key: some of each column.
	CREATE FUNCTION agree.ask(which int, who text, name_of_table text, names text[]) RETURNS void
	LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE (SELECT i.become FROM agree.identity AS i WHERE i.name = who);
		PERFORM agree.fill_copies(which, who);
		EXECUTE format('INSERT INTO agree.asked SELECT %L, %L, %L, r.id, n, (r.masked_ ->> n)::boolean
			FROM copied.%I_m AS r, unnest(%L::text[]) AS u (n) WHERE (hashtext(n) + r.id) %% 16 = 0', which, who, name_of_table, name_of_table, names);
		UPDATE agree.asked AS a SET got = agree.ask_as_reader(name_of_table, a.name, a.id)
			WHERE a.group_id = which AND a.identity = who AND a.relation = name_of_table;
	END
	$$;

	CREATE FUNCTION agree.ask_as_reader(name_of_table text, name text, id int) RETURNS boolean
	LANGUAGE plpgsql SET search_path = shown AS $$
	DECLARE
		answer boolean;
	BEGIN
		PERFORM set_config('role', 'reader', true);
		EXECUTE format('SELECT authz.is_masked(%L, %L, %L)', name_of_table, name, jsonb_build_object('id', id)) INTO answer;
		PERFORM set_config('role', 'none', true);
		RETURN answer;
	END
	$$;

	-- The rows in which a query differs, the first ones.
	CREATE FUNCTION agree.show(of_group int, which int, who text) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		q agree.query;
		expected text[];
		got text[];
	BEGIN
		SELECT * INTO q FROM agree.query AS x WHERE x.id = which;
		EXECUTE (SELECT i.become FROM agree.identity AS i WHERE i.name = who);
		PERFORM agree.fill_copies(of_group, who);
		PERFORM set_config('search_path', 'copied', true);
		EXECUTE format('SELECT array_agg(q::text) FROM (%s) AS q', replace(q.of_copies, '{p}', '3')) INTO expected;
		PERFORM set_config(c.key, c.value, true) FROM jsonb_each_text(q.settings) AS c;
		PERFORM set_config('search_path', 'shown', true), set_config('role', 'reader', true);
		EXECUTE format('SELECT array_agg(q::text) FROM (%s) AS q', replace(q.of_views, '{p}', '3')) INTO got;
		RESET role;
		RETURN format('missing %s, too many %s',
			ARRAY(SELECT * FROM (SELECT unnest(expected) EXCEPT ALL SELECT unnest(got)) AS m ORDER BY 1 LIMIT 3),
			ARRAY(SELECT * FROM (SELECT unnest(got) EXCEPT ALL SELECT unnest(expected)) AS m ORDER BY 1 LIMIT 3));
	EXCEPTION WHEN OTHERS THEN
		RETURN format('error %s %s', SQLSTATE, SQLERRM);
	END
	$$;
	SQL

#
# What goes in: policies and masks; how copies are filled; queries.
#
sub rules_sql
{
	my ($group) = @_;
	my $sql = 'DELETE FROM authz.policy; DELETE FROM authz.mask; SET ROLE owner; SET search_path = app;'
	  . "SELECT authz.create_policy('all', 'shown.twin', '{select}', roles => '{*,anonymous}');";

	for my $table (@tables)
	{
		for my $p (@{ $group->{policies}{$table} })
		{
			$sql .= sprintf("SELECT authz.create_policy(%s, %s, '{select}', %s, %s, effect => %s, valid_during => %s);\n",
				(map { quote($_) } $p->{name}, $table, $p->{text}), array($p->{roles}), quote($p->{effect}), quote($p->{valid_during}));
			$sql .= sprintf("SELECT authz.disable_policy(%s, %s);\n", quote($p->{name}), quote($table)) unless $p->{enabled};
		}
		for my $m (@{ $group->{masks}{$table} })
		{
			$sql .= sprintf("SELECT authz.create_mask(%s, %s, %s, roles => %s, condition => %s, priority => %d, valid_during => %s);\n",
				(map { quote($_) } $table, $m->{column}, $m->{mask_text}), array($m->{roles}), quote($m->{condition_text}), $m->{priority}, quote($m->{valid_during}));
			$sql .= sprintf("SELECT authz.alter_mask(%s, %s, priority => %d, enabled => false);\n", quote($table), quote($m->{column}), $m->{priority})
			  unless $m->{enabled};
		}
	}
	return "$sql RESET ROLE; RESET search_path;";
}

sub fill_sql
{
	my ($group, $identity, $table) = @_;
	my @all = (@columns, sort keys %{ $generated{$table} });
	my %cell = map { $_ => [ AuthzMaskGenerator::cell($group->{masks}{$table}, $identity, $table, $_) ] } @all;
	my $masked = join(', ', map { "'$_', $cell{$_}[1]" } @all);

	return sprintf("INSERT INTO copied.%s_m (%s, masked_) SELECT %s, jsonb_build_object(%s) FROM app.%s AS r WHERE %s",
		$table, join(', ', @all), join(', ', map { $cell{$_}[0] } @all), $masked, $table,
		AuthzGenerator::where({ policies => $group->{policies}{$table} }, $identity, 'select'));
}

sub group_sql
{
	my ($group) = @_;
	my $sql = '';

	for my $identity (@{ $generator->{identities} })
	{
		$sql .= sprintf("INSERT INTO agree.copy VALUES (%d, %s, %s, %s);\n", $group->{number}, map { quote($_) } $identity->{name}, $_, fill_sql($group, $identity, $_))
		  for @tables;
	}
	for my $q (@{ $group->{queries} })
	{
		$sql .= sprintf("INSERT INTO agree.query VALUES (%d, %d, %s, %s, %s, %s, %s);\n", $q->{number}, $group->{number},
			map { quote($_) } AuthzMaskGenerator::of_views($q->{sql}), AuthzMaskGenerator::of_copies($q->{sql}), $q->{manner},
			JSON::PP->new->canonical->encode($q->{settings}), $q->{error});
	}
	return $sql;
}

my @groups = map { $generator->group($_, $nqueries) } 1 .. GROUPS;
my @identities = map { $_->{name} } @{ $generator->{identities} };

my $node = PostgreSQL::Test::Cluster->new('masks');
$node->init;
$node->append_conf('postgresql.conf', <<~CONF);
	max_worker_processes = 8
	log_statement = none
	log_min_error_statement = panic
	log_min_messages = fatal
	jit = off
	autovacuum = off
	TimeZone = UTC
	CONF
$node->start;
# "C" and the database's collation differ.
$node->safe_psql('postgres', <<~SQL);
	CREATE ROLE owner;
	CREATE ROLE reader;
	CREATE DATABASE $databases[0] TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en';
	SQL

my $session = AuthzSession->on($node, database => $databases[0]);
run($session, 'CREATE EXTENSION authz; GRANT authz_admin TO owner');
run($session, $_) for issuer_sql(), AuthzGenerator::roles_sql();
run($session, $_) for $schema, $agree;
run($session, sprintf('INSERT INTO agree.identity VALUES (%s, %s)', quote($_->{name}), quote(AuthzGenerator::become_sql($_)))) for @{ $generator->{identities} };
run($session, group_sql($_)) for @groups;
run($session, 'VACUUM ANALYZE');
$session->close;
$node->safe_psql('postgres', "CREATE DATABASE $databases[1] TEMPLATE $databases[0]");
my @sessions = map { AuthzSession->on($node, database => $_) } @databases;

# A number summed over the sessions.
sub total
{
	my ($sql) = @_;
	my $sum = 0;

	$sum += ($_ || 0) for run_everywhere(\@sessions, ($sql) x @sessions);
	return $sum;
}

# Records that a query's string_agg made of rows, from the session of a group.
sub records
{
	my ($group, $columns, $from) = @_;

	return map { [ split /\x02/, $_ ] } map { split /\x01/, $_ }
	  run($sessions[ ($group->{number} - 1) % @sessions ], "SELECT string_agg(concat_ws(E'\\x02', $columns), E'\\x01') FROM $from");
}

# The masks of the tables in a query.
sub describe
{
	my ($group, $sql) = @_;
	my $text = '';

	for my $table (@tables)
	{
		next unless $sql =~ /\b$table/ || ($table eq 'docs' && $sql =~ /\b(both|sum)_v\b/) || ($table eq 'ledger' && $sql =~ /\bboth_v\b/);
		for my $m (@{ $group->{masks}{$table} })
		{
			next unless $sql =~ /\b$m->{column}\b/;
			$text .= sprintf("    %s.%s %d: %s for {%s} if %s%s%s\n", $table, $m->{column}, $m->{priority}, $m->{mask_text}, join(',', @{ $m->{roles} }), $m->{condition_text},
				$m->{valid} ? '' : ', not valid now', $m->{enabled} ? '' : ', disabled');
		}
	}
	return $text;
}

for (my $i = 0; $i < @groups; $i += @sessions)
{
	my @some = @groups[ $i .. $i + $#sessions ];
	my $list = array(\@identities);

	run_everywhere(\@sessions, map { rules_sql($_) } @some);
	run_everywhere(\@sessions, map { sprintf('CALL agree.run_group(%d, %d, %s)', $_->{number}, $_->{number} - @sessions, $list) } @some);
	for my $table (qw(docs ledger))
	{
		my $names = array([ @columns, sort keys %{ $generated{$table} } ]);
		run_everywhere(\@sessions, map { "SELECT agree.ask($_->{number}, who, '$table', $names) FROM unnest($list) AS u (who)" } @some);
	}
	for my $group (@some)
	{
		my %query = map { $_->{number} => $_ } map { @{ $_->{queries} } } @groups;
		my @different = records($group, 'query, identity, manner, expected, got', "agree.result WHERE group_id = $group->{number} AND same IS NOT TRUE");

		ok(!@different, "group $group->{number}: masked views are what copies with the masks in their cells are (AUTHZ_SEED=$seed)");
		diag(@different . ' differ') if @different;
		my $shown = 0;
		for my $difference (@different)
		{
			my ($number, $identity, $manner, $expected, $got) = @$difference;
			my $q = delete $query{$number} or next;

			last if $shown++ == SHOWN;
			diag("query $number for $identity, $manner: $got instead of $expected\n  $q->{sql}\n  " . JSON::PP->new->canonical->encode($q->{settings}) . "\n  "
				  . run($sessions[ ($group->{number} - 1) % @sessions ], "SELECT agree.show($group->{number}, $number, '$identity')") . "\n" . describe($group, $q->{sql}));
		}
		my @asked = records($group, "identity, relation, name, id, expected, coalesce(got::text, 'NULL')", "agree.asked WHERE group_id = $group->{number} AND expected IS DISTINCT FROM got");
		ok(!@asked, "group $group->{number}: is_masked by key tells what was masked (AUTHZ_SEED=$seed)");
		diag(join(' ', @$_)) for splice(@{ [@asked] }, 0, SHOWN);
	}
}

# The comparison can fail: one cell of a copy, or one row, is not as it should be.
{
	my ($planted, $noticed) = (0, 0);
	my $in_group = 'FROM agree.result AS r JOIN agree.query AS q ON q.id = r.query'
	  . " WHERE r.group_id = 1 AND r.manner = 'at once' AND r.got !~ '^error' AND r.got <> agree.run_query(replace(q.of_copies, '{p}', '3'), 'at once', 'none', 'copied', '{}')";

	for my $where (map { my $name = $_; map { [ $name, $_ ] } qw(docs ledger base) } grep { $_ ne 'carol' } @identities)
	{
		my ($name, $table) = @$where;
		my $count = "SELECT count(*) $in_group AND r.identity = '$name'";

		run($sessions[0], "SELECT agree.fill_copies(1, '$name')");
		is(run($sessions[0], $count), 0, "the copies for $name are those that were compared") if $table eq 'docs';
		for my $column (qw(title tenant city))
		{
			run($sessions[0], "SELECT agree.fill_copies(1, '$name')");
			next unless run($sessions[0], <<~SQL);
				UPDATE copied.${table}_m AS m SET $column = t.$column FROM app.$table AS t WHERE t.id = m.id AND t.id = (
					SELECT min(m.id) FROM copied.${table}_m AS m JOIN app.$table AS t USING (id)
					WHERE (m.masked_ ->> '$column')::boolean AND m.$column IS DISTINCT FROM t.$column) RETURNING 1
				SQL
			$planted++;
			$noticed++ if run($sessions[0], $count);
		}
	}
	cmp_ok($planted, '>', 2, 'masked cells of copies are planted in clear');
	is($noticed, $planted, 'each is noticed');
	# The first of them that sees rows.
	for my $name (@identities)
	{
		run($sessions[0], "SELECT agree.fill_copies(1, '$name')");
		next unless run($sessions[0], 'DELETE FROM copied.docs_m WHERE id = (SELECT max(id) FROM copied.docs_m) RETURNING 1');
		cmp_ok(run($sessions[0], "SELECT count(*) $in_group AND r.identity = '$name'"), '>', 0, 'so is a row that is missing');
		last;
	}
}

my $compared = total('SELECT count(*) FROM agree.result');
my $at_once = total("SELECT count(*) FROM agree.result WHERE manner = 'at once'");
my $with_rows = total("SELECT count(*) FROM agree.result WHERE expected !~ '^0 ' AND manner = 'at once'");
my $unlike = total("SELECT count(*) FROM (SELECT query FROM agree.result WHERE manner = 'at once' GROUP BY query HAVING count(DISTINCT expected) > 2) AS q");
my $failed = total("SELECT count(*) FROM agree.result WHERE expected ~ '^error' AND query IN (SELECT id FROM agree.query WHERE nonempty IS NOT NULL)");
my $unmeant = total("SELECT count(*) FROM agree.result WHERE (expected ~ '^error' AND query IN (SELECT id FROM agree.query WHERE nonempty IS NULL)) OR expected ~ '^error XX'");
my %cells = map { $_ => total("SELECT sum($_) FROM agree.cell") } qw(clear masked hidden);
my $cells = $cells{clear} + $cells{masked} + $cells{hidden};
my $asked = total('SELECT count(*) FROM agree.asked');
my $parallel = total('SELECT count(DISTINCT query) FROM agree.parallel_plan');
my $masks = 0;
$masks += $_ for values %{ $generator->{kinds} };
note sprintf('%d masks: %s', $masks, join(', ', map { "$_ $generator->{kinds}{$_}" } sort keys %{ $generator->{kinds} }));
note sprintf('cells: %.0f %% clear, %.0f %% masked, %.0f %% hidden; %d asked for by key', (map { 100 * $cells{$_} / $cells } qw(clear masked hidden)), $asked);
note sprintf('%d comparisons, %d of them at once: %d of these with rows; %d queries with three results or more; %d errors compared, %d not meant; %d parallel plans',
	$compared, $at_once, $with_rows, $unlike, $failed, $unmeant, $parallel);
cmp_ok($at_once, '>=', $ENV{AUTHZ_QUERIES} // 5000, 'enough queries were compared');
ok(!(grep { !$generator->{kinds}{$_} } @AuthzMaskGenerator::kinds), 'with masks of every kind');
cmp_ok($cells{$_} / $cells, '>', 0.1, "enough cells are $_") for sort keys %cells;
cmp_ok($with_rows, '>', $at_once * 0.4, 'enough queries return rows');
cmp_ok($unlike, '>', $nqueries * GROUPS / 3, 'many queries have other results for other identities');
cmp_ok($failed, '>', $nqueries * GROUPS / 50, 'some fail, as they should');
cmp_ok($unmeant, '<', $at_once / 100, 'hardly any that should not');
cmp_ok($asked, '>', 1000, 'enough cells were asked for by key');
cmp_ok($parallel, '>', 3, 'some plans are parallel');
is(total("SELECT count(*) FROM agree.cell WHERE identity = 'carol' AND relation <> 'base' AND masked + hidden > 0"), 0, 'the auditor sees cells in clear');

$_->close for @sessions;
$node->stop;
done_testing();
