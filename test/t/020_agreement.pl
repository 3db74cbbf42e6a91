# 020_agreement.pl
#	  Three answers to one question are equal: the rows that a protected table
#	  lets through, those that authz.permits_row permits, and those of a
#	  hand-written WHERE, for some 2,000 random policies (AuthzGenerator.pm).
#	  And whole statements see a protected table as they would see a copy that
#	  holds only what is permitted.
#
# AUTHZ_SEED takes another seed, AUTHZ_SETS another number of policy sets.
# Comparing is done in the server, by schema agree; two sessions share it, each
# in a database of its own.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzGenerator;
use AuthzSession;
use AuthzToken;

use constant {
	BATCH => 50,             # policy sets of one assertion
	ROWS => 80,              # of a table
	GROUPS => 4,             # of policy sets, one for each table, that statements run under
	STATEMENTS => 30,        # of a group
	SHOWN => 5,              # differences of a batch
};

my $seed = $ENV{AUTHZ_SEED} // 20;
my $nsets = $ENV{AUTHZ_SETS} // 540;
my $generator = AuthzGenerator->new($seed);
my @databases = qw(agree_1 agree_2);

note "AUTHZ_SEED=$seed";

sub quote { return AuthzGenerator::quote($_[0]) }

# A text[] of names.
sub array { return defined $_[0] ? 'ARRAY[' . join(', ', map { quote($_) } @{ $_[0] }) . ']::text[]' : 'NULL' }

sub object
{
	my ($hash) = @_;

	return quote(JSON::PP->new->canonical->encode($hash)) . '::jsonb';
}

sub run
{
	my ($session, $sql) = @_;
	my $result = $session->query($sql);

	die "AUTHZ_SEED=$seed: $result\n" . substr($sql, 0, 2000) . "\n" if $result =~ /^ERROR/;
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
my $columns = <<~'SQL';
	tenant int, big bigint, title text, flag boolean, at timestamptz, ref uuid, amount numeric,
	tags text[], nums bigint[], data jsonb, note text
	SQL
my $shuffled = <<~'SQL';
	note text, data jsonb, amount numeric, at timestamptz, gone int, title text, touched int DEFAULT 0,
	nums bigint[], id int NOT NULL, flag boolean, tags text[], ref uuid, tenant int, big bigint
	SQL
my $names = 'id, tenant, big, title, flag, at, ref, amount, tags, nums, data, note';

my $schema = <<~SQL;
	CREATE SCHEMA app AUTHORIZATION owner;
	GRANT USAGE ON SCHEMA app TO reader;
	SET ROLE owner;
	SET search_path = app;
	CREATE TABLE docs (id int NOT NULL, gone text, $columns, touched int DEFAULT 0);
	ALTER TABLE docs DROP COLUMN gone;
	CREATE TABLE ledger (id int NOT NULL, $columns, touched int DEFAULT 0) PARTITION BY LIST (tenant);
	CREATE TABLE ledger_p1 PARTITION OF ledger FOR VALUES IN (1, 2);
	CREATE TABLE ledger_p2 ($shuffled);
	ALTER TABLE ledger_p2 DROP COLUMN gone;
	ALTER TABLE ledger ATTACH PARTITION ledger_p2 FOR VALUES IN (3, NULL);
	CREATE TABLE ledger_rest PARTITION OF ledger DEFAULT PARTITION BY RANGE (id);
	CREATE TABLE ledger_old PARTITION OF ledger_rest FOR VALUES FROM (MINVALUE) TO (1000);
	CREATE TABLE ledger_new PARTITION OF ledger_rest FOR VALUES FROM (1000) TO (MAXVALUE);
	CREATE TABLE base (touched int DEFAULT 0, id int NOT NULL, $columns);
	CREATE TABLE base_child (extra text, $shuffled);
	ALTER TABLE base_child DROP COLUMN gone;
	ALTER TABLE base_child INHERIT base;
	CREATE TABLE member (subject text, tenant int, level int, role text);
	CREATE TABLE unit (tenant int PRIMARY KEY, parent int, active boolean);
	CREATE TABLE mark (tenant int, title text, note text);
	CREATE VIEW active_unit AS SELECT u.tenant FROM unit AS u WHERE u.active;
	CREATE FUNCTION level_in(tenant int, subject text) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER
		SET search_path = pg_catalog, pg_temp
		AS 'SELECT max(m.level) FROM app.member AS m WHERE m.tenant = \$1 AND m.subject = \$2';
	INSERT INTO member VALUES ('alice', 3, 2, 'x'), ('alice', 1, NULL, 'y'), ('alice', NULL, 5, 'alice'), ('bob', 2, 1, 'x'),
		('bob', 3, 3, NULL), ('carol', 5, 0, 'a'), ('dave', 4, 42, 'y'), ('grace', 3, 1, 'b'), (NULL, 2, 2, 'x');
	INSERT INTO unit VALUES (1, NULL, true), (2, 1, false), (3, 1, true), (4, 3, NULL), (5, 2, true), (0, 0, false);
	INSERT INTO mark VALUES (1, 'a', 'x'), (3, 'b', NULL), (3, 'a', 'y'), (NULL, 'c', 'x'), (2, NULL, 'alice'), (4, 'abc', 'a\\b');
	INSERT INTO docs ($names) VALUES ${\ $generator->rows(1, ROWS) };
	INSERT INTO ledger ($names) VALUES ${\ $generator->rows(1, ROWS) };
	INSERT INTO base ($names) VALUES ${\ $generator->rows(1, ROWS / 2) };
	INSERT INTO base_child ($names) VALUES ${\ $generator->rows(ROWS / 2 + 1, ROWS) };
	CREATE INDEX ON docs (tenant);
	CREATE INDEX ON ledger (tenant);
	CREATE INDEX ON base USING gin (tags);
	GRANT SELECT, INSERT, UPDATE, DELETE ON docs, ledger, ledger_p2, base, base_child TO reader;
	SELECT authz.protect(t) FROM unnest('{docs,ledger,base,unit}'::regclass[]) AS t;
	RESET ROLE;
	RESET search_path;

	-- What a caller may put in front of everything.
	CREATE SCHEMA evil;
	GRANT USAGE ON SCHEMA evil TO reader;
	CREATE TABLE evil.member (subject text, tenant int, level int, role text);
	CREATE TABLE evil.mark (tenant int, title text, note text);
	CREATE FUNCTION evil.yes(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
	CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
	CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes);
	CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
	CREATE OPERATOR evil.< (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.yes);
	CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT NULL::text';
	CREATE FUNCTION evil.length(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
	GRANT SELECT ON ALL TABLES IN SCHEMA evil TO reader;
	SQL

#
# The comparison.
#
my $agree = <<~'SQL';
	CREATE SCHEMA agree;
	GRANT USAGE ON SCHEMA agree TO reader;
	CREATE TABLE agree.candidate (LIKE app.docs);
	GRANT SELECT ON agree.candidate TO reader;
	CREATE TABLE agree.policy_set (id int PRIMARY KEY, protected regclass, target regclass, update_columns jsonb,
		insert_columns text[], definer jsonb, caller jsonb, nulls text);
	CREATE TABLE agree.policy (set_id int, name text, effect text, actions text[], roles text[], condition text,
		check_condition text, columns text[], valid_during text, enabled boolean, may_hide boolean);
	CREATE INDEX ON agree.policy (set_id);
	CREATE TABLE agree.identity (name text PRIMARY KEY, become text);
	-- By action, the WHERE that tells the permitted rows; which new rows may be hidden; is there a column that no permit covers?
	CREATE TABLE agree.question (set_id int, identity text, selects text, updates text, checks text, inserts text, deletes text,
		hides text, uncovered boolean);
	CREATE INDEX ON agree.question (set_id);

	CREATE TABLE agree.decision (set_id int, identity text, action text, total int, permitted int);
	CREATE TABLE agree.null_count (set_id int, nulls bigint);
	CREATE TABLE agree.mismatch (set_id int, identity text, what text, missing text, extra text);

	CREATE FUNCTION agree.compare(set_id int, identity text, what text, expected int[], got int[]) RETURNS void
	LANGUAGE sql AS $$
		INSERT INTO agree.mismatch
		SELECT set_id, identity, what,
			ARRAY(SELECT unnest(expected) EXCEPT SELECT unnest(got) ORDER BY 1)::text,
			ARRAY(SELECT unnest(got) EXCEPT SELECT unnest(expected) ORDER BY 1)::text
		WHERE coalesce(expected, '{}') <> coalesce(got, '{}')
	$$;

	CREATE FUNCTION agree.count(set_id int, identity text, action text, total int, permitted int[]) RETURNS void
	LANGUAGE sql AS $$
		INSERT INTO agree.decision VALUES (set_id, identity, action, total, coalesce(cardinality(permitted), 0))
	$$;

	CREATE FUNCTION agree.is_subset(a int[], b int[]) RETURNS boolean
	LANGUAGE sql AS $$ SELECT coalesce(a, '{}') <@ coalesce(b, '{}') $$;

	CREATE FUNCTION agree.common(a int[], b int[]) RETURNS int[]
	LANGUAGE sql AS $$ SELECT array_agg(x ORDER BY x) FROM (SELECT unnest(a) INTERSECT SELECT unnest(b)) AS i (x) $$;

	CREATE FUNCTION agree.without(a int[], b int[]) RETURNS int[]
	LANGUAGE sql AS $$ SELECT array_agg(x ORDER BY x) FROM (SELECT unnest(a) EXCEPT SELECT unnest(b)) AS i (x) $$;

	-- Run a command as an ordinary role under settings of its own, and undo it.
	-- The ids are what the command returns, or what a query afterwards finds.
	CREATE FUNCTION agree.attempt(caller jsonb, command text, query text, OUT ids int[], OUT refused boolean)
	LANGUAGE plpgsql AS $$
	BEGIN
		refused := false;
		PERFORM set_config(c.key, c.value, true) FROM jsonb_each_text(caller) AS c;
		PERFORM set_config('role', 'reader', true), set_config('search_path', 'evil, pg_catalog, app', true);
		IF query IS NULL THEN
			EXECUTE command INTO ids;
		ELSE
			EXECUTE command;
			PERFORM pg_catalog.set_config('role', 'none', true), pg_catalog.set_config('search_path', 'pg_catalog', true);
			EXECUTE query INTO ids;
		END IF;
		RAISE EXCEPTION USING ERRCODE = 'AG000';
	EXCEPTION
		WHEN SQLSTATE 'AG000' THEN
			NULL;
		WHEN insufficient_privilege THEN
			IF SQLERRM !~ '^(permission denied to (insert|update) row in table|permission denied to (insert into|update) column|new row violates row-level security policy) ' THEN
				RAISE;
			END IF;
			refused := true;
	END
	$$;

	-- The set's policies, stored by the tables' owner, and nothing else.  Settings last until COMMIT.
	CREATE FUNCTION agree.store(s agree.policy_set) RETURNS boolean
	LANGUAGE plpgsql AS $$
	DECLARE
		policies agree.policy[] := ARRAY(SELECT p FROM agree.policy AS p WHERE p.set_id = s.id);
		p agree.policy;
	BEGIN
		DELETE FROM authz.policy AS x WHERE x.relation = s.protected;
		PERFORM set_config(c.key, c.value, true) FROM jsonb_each_text(s.definer) AS c;
		PERFORM set_config('search_path', 'app', true), set_config('role', 'owner', true);
		FOREACH p IN ARRAY policies LOOP
			PERFORM authz.create_policy(p.name, s.protected, p.actions, p.condition, p.roles, p.check_condition,
				p.columns::name[], p.effect, p.valid_during::tstzrange, may_hide => p.may_hide);
			IF NOT p.enabled THEN
				PERFORM authz.disable_policy(p.name, s.protected);
			END IF;
		END LOOP;
		PERFORM set_config('search_path', '', true), set_config('role', 'none', true);
		RETURN true;
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO agree.mismatch VALUES (s.id, p.name, 'cannot be stored', format('error %s %s', SQLSTATE, SQLERRM), NULL);
		RETURN false;
	END
	$$;

	-- A row of the target after an update, or of an insert, in terms of a row "r".
	CREATE FUNCTION agree.new_row(target regclass, is_insert boolean, assigned jsonb, given text[]) RETURNS text
	LANGUAGE sql AS $$
		SELECT format('ROW(%s)::%s', string_agg(CASE
			WHEN is_insert AND attname <> ALL (given) THEN 'NULL'
			WHEN NOT is_insert AND assigned ? attname THEN assigned ->> attname
			ELSE 'r.' || quote_ident(attname) END, ', ' ORDER BY attnum), target)
		FROM pg_attribute WHERE attrelid = target AND attnum > 0 AND NOT attisdropped
	$$;

	CREATE FUNCTION agree.read_rows(s agree.policy_set, q agree.question, OUT selects int[], OUT updates int[], OUT deletes int[])
	LANGUAGE plpgsql AS $$
	DECLARE
		updated text[] := ARRAY(SELECT jsonb_object_keys(s.update_columns));
		total int;
		ids int[];
		a record;
		r record;
	BEGIN
		EXECUTE format('SELECT count(*)::int, array_agg(r.id), array_agg(r.id ORDER BY r.id) FILTER (WHERE %s),
				array_agg(r.id ORDER BY r.id) FILTER (WHERE %s), array_agg(r.id ORDER BY r.id) FILTER (WHERE %s)
			FROM %s AS r', q.selects, q.updates, q.deletes, s.target) INTO total, ids, selects, updates, deletes;
		PERFORM agree.count(s.id, q.identity, 'select', total, selects),
			agree.count(s.id, q.identity, 'update', total, updates),
			agree.count(s.id, q.identity, 'delete', total, deletes);

		a := agree.attempt(s.caller, format('SELECT array_agg(id ORDER BY id) FROM %s', s.target), NULL);
		PERFORM agree.compare(s.id, q.identity, 'rows of SELECT', selects, a.ids);
		a := agree.attempt(s.caller, format('DELETE FROM %s', s.target),
			format('SELECT array_agg(id ORDER BY id) FROM unnest(%L::int[]) AS u (id) WHERE id NOT IN (SELECT id FROM %s)', ids, s.target));
		PERFORM agree.compare(s.id, q.identity, 'rows of DELETE', deletes, a.ids);
		a := agree.attempt(s.caller, format('WITH x AS (DELETE FROM %s RETURNING id) SELECT array_agg(id ORDER BY id) FROM x', s.target), NULL);
		PERFORM agree.compare(s.id, q.identity, 'rows of DELETE RETURNING', agree.common(selects, deletes), a.ids);

		EXECUTE format('SELECT array_agg(r.id ORDER BY r.id) FILTER (WHERE authz.permits_row(''select'', r)) AS selects,
				array_agg(r.id ORDER BY r.id) FILTER (WHERE authz.permits_row(''update'', r, %1$L)) AS updates,
				array_agg(r.id ORDER BY r.id) FILTER (WHERE authz.permits_row(''delete'', r)) AS deletes,
				array_agg(r.id ORDER BY r.id) FILTER (WHERE authz.permits_row(''update'', r, %1$L, true)) AS whole_updates,
				array_agg(r.id ORDER BY r.id) FILTER (WHERE authz.permits_row(''delete'', r, statement => true)) AS whole_deletes
			FROM %2$s AS r', updated, s.target) INTO r;
		PERFORM agree.compare(s.id, q.identity, 'permits_row update, whole statement', agree.common(selects, updates), r.whole_updates),
			agree.compare(s.id, q.identity, 'permits_row delete, whole statement', agree.common(selects, deletes), r.whole_deletes);
		PERFORM agree.compare(s.id, q.identity, 'permits_row select', selects, r.selects),
			agree.compare(s.id, q.identity, 'permits_row update', updates, r.updates),
			agree.compare(s.id, q.identity, 'permits_row delete', deletes, r.deletes);
	END
	$$;

	-- UPDATE sets constants, so that without RETURNING it reads nothing and SELECT's policies have no say.
	CREATE FUNCTION agree.update_rows(s agree.policy_set, q agree.question, selects int[], updates int[]) RETURNS void
	LANGUAGE plpgsql AS $$
	DECLARE
		updated text[] := ARRAY(SELECT jsonb_object_keys(s.update_columns));
		new_row text := agree.new_row(s.target, false, s.update_columns, NULL);
		command text := format('UPDATE %s SET %s', s.target,
			(SELECT string_agg(format('%I = %s', c.key, c.value), ', ') FROM jsonb_each_text(s.update_columns) AS c));
		touched text := format('SELECT array_agg(id ORDER BY id) FROM %s WHERE touched = 1', s.target);
		checks int[];
		visible int[];
		hidden int[];
		passing int[];
		readable int[] := agree.common(selects, updates);
		a record;
		one int;
		total int;
		by_function int[];
	BEGIN
		EXECUTE format('SELECT count(*)::int, array_agg(r.id ORDER BY r.id) FILTER (WHERE %s), array_agg(r.id ORDER BY r.id) FILTER (WHERE %s),
				array_agg(r.id ORDER BY r.id) FILTER (WHERE %s)
			FROM (SELECT (%s).* FROM %s AS r) AS r', q.checks, q.selects, q.hides, new_row, s.target) INTO total, checks, visible, hidden;
		passing := agree.common(checks, visible || hidden);
		PERFORM agree.count(s.id, q.identity, 'update_check', total, checks);

		a := agree.attempt(s.caller, command, touched);
		PERFORM agree.compare(s.id, q.identity, 'rows of ' || command,
			CASE WHEN agree.is_subset(updates, checks) AND NOT q.uncovered THEN updates ELSE '{-1}' END,
			CASE WHEN a.refused THEN '{-1}' ELSE a.ids END);
		a := agree.attempt(s.caller, command || ' WHERE id IS NOT NULL', touched);
		PERFORM agree.compare(s.id, q.identity, 'rows of ' || command || ' WHERE',
			CASE WHEN agree.is_subset(readable, passing) THEN readable ELSE '{-1}' END,
			CASE WHEN a.refused AND q.uncovered THEN '{}' WHEN a.refused THEN '{-1}' ELSE a.ids END);
		a := agree.attempt(s.caller, format('WITH x AS (%s RETURNING id) SELECT array_agg(id ORDER BY id) FROM x', command), NULL);
		PERFORM agree.compare(s.id, q.identity, 'rows of ' || command || ' RETURNING',
			CASE WHEN agree.is_subset(readable, agree.common(checks, visible)) THEN readable ELSE '{-1}' END,
			CASE WHEN a.refused AND q.uncovered THEN '{}' WHEN a.refused THEN '{-1}' ELSE a.ids END);

		-- The whole was refused: row by row.
		IF NOT agree.is_subset(readable, agree.common(checks, visible)) THEN
			FOR one IN SELECT id FROM (SELECT id, row_number() OVER (
					PARTITION BY id = ANY (checks), id = ANY (visible), id = ANY (hidden) ORDER BY id) AS n
				FROM unnest(readable) AS u (id)) AS n WHERE n.n <= 2
			LOOP
				a := agree.attempt(s.caller, format('%s WHERE id OPERATOR(pg_catalog.=) %s', command, one), touched);
				PERFORM agree.compare(s.id, q.identity, 'one row of ' || command,
					CASE WHEN agree.is_subset(ARRAY[one], passing) THEN ARRAY[one] ELSE '{-1}' END,
					CASE WHEN a.refused THEN '{-1}' ELSE a.ids END);
			END LOOP;
		END IF;

		EXECUTE format('SELECT array_agg(r.id ORDER BY r.id) FILTER (WHERE authz.permits_row(''update_check'', %s, %L)) FROM %s AS r',
			new_row, updated, s.target) INTO by_function;
		PERFORM agree.compare(s.id, q.identity, 'permits_row update_check', checks, by_function);
		EXECUTE format('SELECT array_agg(r.id ORDER BY r.id) FILTER (WHERE authz.permits_row(''update_check'', %s, %L, true)) FROM %s AS r',
			new_row, updated, s.target) INTO by_function;
		PERFORM agree.compare(s.id, q.identity, 'permits_row update_check, whole statement', passing, by_function);
		-- How often did it matter?
		INSERT INTO agree.decision SELECT s.id, q.identity, 'hide', total, cardinality(agree.without(passing, visible))
			WHERE agree.without(passing, visible) IS NOT NULL;
	END
	$$;

	CREATE FUNCTION agree.insert_rows(s agree.policy_set, q agree.question) RETURNS void
	LANGUAGE plpgsql AS $$
	DECLARE
		names text := (SELECT string_agg(quote_ident(c), ', ') FROM unnest(s.insert_columns) AS u (c));
		new_row text := agree.new_row(s.target, true, NULL, s.insert_columns);
		candidates text := CASE WHEN s.target = 'app.ledger_p2'::regclass AND 'tenant' = ANY (s.insert_columns)
			THEN '(SELECT * FROM agree.candidate WHERE tenant = 3 OR tenant IS NULL)' ELSE 'agree.candidate' END;
		command text := format('INSERT INTO %s (%s) SELECT %2$s FROM agree.candidate WHERE id OPERATOR(pg_catalog.=) ANY (%%L)', s.target, names);
		inserted text := format('SELECT array_agg(id ORDER BY id) FROM %s WHERE id > 1000', s.target);
		all_ids int[];
		inserts int[];
		by_function int[];
		a record;
		one int;
	BEGIN
		EXECUTE format('SELECT array_agg(r.id ORDER BY r.id), array_agg(r.id ORDER BY r.id) FILTER (WHERE %s) FROM (SELECT (%s).* FROM %s AS r) AS r',
			q.inserts, new_row, candidates) INTO all_ids, inserts;
		PERFORM agree.count(s.id, q.identity, 'insert', coalesce(cardinality(all_ids), 0), inserts);

		a := agree.attempt(s.caller, format(command, coalesce(inserts, '{}')), inserted);
		PERFORM agree.compare(s.id, q.identity, 'rows of ' || command, inserts, CASE WHEN a.refused THEN '{-1}' ELSE a.ids END);
		FOR one IN SELECT u FROM unnest(agree.without(all_ids, inserts)) AS u ORDER BY hashint4(u + s.id) LIMIT 3 LOOP
			a := agree.attempt(s.caller, format(command, ARRAY[one]), inserted);
			PERFORM agree.compare(s.id, q.identity, 'a row that must not pass ' || command, '{}', CASE WHEN a.refused THEN '{}' ELSE a.ids END);
		END LOOP;

		EXECUTE format('SELECT array_agg(r.id ORDER BY r.id) FILTER (WHERE authz.permits_row(''insert'', %s, %L)) FROM %s AS r',
			new_row, s.insert_columns, candidates) INTO by_function;
		PERFORM agree.compare(s.id, q.identity, 'permits_row insert', inserts, by_function);
	END
	$$;

	CREATE FUNCTION agree.answer(s agree.policy_set, q agree.question) RETURNS void
	LANGUAGE plpgsql AS $$
	DECLARE
		r record;
		context text;
	BEGIN
		EXECUTE (SELECT i.become FROM agree.identity AS i WHERE i.name = q.identity);
		r := agree.read_rows(s, q);
		PERFORM agree.update_rows(s, q, r.selects, r.updates);
		PERFORM agree.insert_rows(s, q);
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
		INSERT INTO agree.mismatch VALUES (s.id, q.identity, format('error %s %s', SQLSTATE, SQLERRM), left(context, 2000), NULL);
	END
	$$;

	-- Each set in a transaction of its own.
	CREATE PROCEDURE agree.run(from_set int, to_set int)
	LANGUAGE plpgsql AS $$
	DECLARE
		s agree.policy_set;
		q agree.question;
		n bigint;
	BEGIN
		FOR i IN from_set .. to_set LOOP
			SELECT * INTO s FROM agree.policy_set AS x WHERE x.id = i;
			CONTINUE WHEN NOT agree.store(s);
			COMMIT;
			PERFORM set_config('search_path', '', true);
			FOR q IN SELECT * FROM agree.question AS x WHERE x.set_id = i LOOP
				PERFORM agree.answer(s, q);
			END LOOP;
			EXECUTE format('SELECT %s FROM %s AS r', s.nulls, s.target) INTO n;
			INSERT INTO agree.null_count VALUES (i, n);
			COMMIT;
		END LOOP;
	END
	$$;
	SQL

#
# Whole statements.
#
my $statements = <<~'SQL';
	CREATE SCHEMA filtered AUTHORIZATION owner;
	SET ROLE owner;
	CREATE TABLE filtered.docs AS TABLE app.docs WITH NO DATA;
	CREATE TABLE filtered.ledger AS TABLE app.ledger WITH NO DATA;
	CREATE TABLE filtered.ledger_p2 AS TABLE app.ledger_p2 WITH NO DATA;
	CREATE TABLE filtered.base AS TABLE app.base WITH NO DATA;
	CREATE TABLE filtered.base_child AS TABLE app.base_child WITH NO DATA;
	DO $$
	DECLARE
		s text;
	BEGIN
		FOREACH s IN ARRAY '{app,filtered}'::text[] LOOP
			PERFORM set_config('search_path', s, true);
			CREATE VIEW docs_v AS SELECT id, tenant, title, big FROM docs;
			CREATE VIEW docs_iv WITH (security_invoker, security_barrier) AS SELECT id, tenant, title, big FROM docs WHERE id < 70;
			CREATE VIEW both_v AS SELECT d.id, d.tenant, l.title, l.big FROM docs AS d JOIN ledger AS l USING (id);
			EXECUTE format('CREATE FUNCTION docs_in(tenant int) RETURNS TABLE (id int, tenant int, title text, big bigint)
				LANGUAGE sql STABLE AS ''SELECT d.id, d.tenant, d.title, d.big FROM %I.docs AS d WHERE d.tenant = $1''', s);
		END LOOP;
	END
	$$;
	GRANT SELECT ON app.docs_v, app.docs_iv, app.both_v TO reader;
	RESET ROLE;

	CREATE TABLE agree.statement (id int, group_id int, prologue text, source text, settings jsonb);
	CREATE TABLE agree.visible (group_id int, identity text, relation text, selects text);
	CREATE TABLE agree.statement_result (statement int, identity text, manner text, expected text, got text);
	CREATE TABLE agree.parallel_plan (statement int);

	-- The statement as one line: number of rows, and a digest of all.
	CREATE FUNCTION agree.digest(s agree.statement, condition text) RETURNS text
	LANGUAGE sql AS $$
		SELECT format('%s SELECT count(*) || '' '' || md5(coalesce(string_agg(s::text, E''\n'' ORDER BY s::text), '''')) FROM %s AS s %s',
			s.prologue, s.source, condition)
	$$;

	-- Run and undo.
	CREATE FUNCTION agree.run_statement(command text, role text, path text, settings jsonb) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		result text;
	BEGIN
		PERFORM set_config(c.key, c.value, true) FROM jsonb_each_text(settings) AS c;
		PERFORM set_config('search_path', path, true), set_config('role', role, true);
		EXECUTE command INTO result;
		RAISE EXCEPTION USING ERRCODE = 'AG000';
	EXCEPTION
		WHEN SQLSTATE 'AG000' THEN
			RETURN result;
		WHEN OTHERS THEN
			RETURN format('error %s %s', SQLSTATE, SQLERRM);
	END
	$$;

	CREATE FUNCTION agree.fill_copies(which int, who text) RETURNS void
	LANGUAGE plpgsql AS $$
	DECLARE
		v agree.visible;
	BEGIN
		FOR v IN SELECT * FROM agree.visible AS x WHERE x.group_id = which AND x.identity = who LOOP
			EXECUTE format('DELETE FROM filtered.%I', v.relation);
			EXECUTE format('INSERT INTO filtered.%I SELECT r.* FROM app.%1$I AS r WHERE %s', v.relation, v.selects);
		END LOOP;
	END
	$$;

	-- Every statement for every identity of the group, at once and by a generic plan that
	-- outlives changes of the identity.
	CREATE PROCEDURE agree.run_group(which int)
	LANGUAGE plpgsql AS $$
	DECLARE
		s agree.statement;
		set_to_store agree.policy_set;
		who text;
		given text := 'WHERE s.id IS DISTINCT FROM $1';
		expected text;
	BEGIN
		FOR set_to_store IN SELECT x.* FROM agree.policy_set AS x WHERE -x.id / 10 = which AND x.id < 0 LOOP
			PERFORM agree.store(set_to_store);
		END LOOP;
		COMMIT;
		FOR s IN SELECT * FROM agree.statement AS x WHERE x.group_id = which LOOP
			PERFORM set_config('search_path', 'app', true), set_config('role', 'reader', true);
			EXECUTE format('PREPARE agree_%s (int) AS ', s.id) || format('%s SELECT count(*) || '' '' ||
				md5(coalesce(string_agg(s::text, E''\n'' ORDER BY s::text), '''')) FROM %s AS s %s', s.prologue, s.source, given);
			PERFORM set_config('role', 'none', true), set_config('search_path', '', true);
		END LOOP;
		FOR who IN SELECT DISTINCT x.identity FROM agree.visible AS x WHERE x.group_id = which ORDER BY 1 LOOP
			EXECUTE (SELECT i.become FROM agree.identity AS i WHERE i.name = who);
			PERFORM agree.fill_copies(which, who);
			FOR s IN SELECT * FROM agree.statement AS x WHERE x.group_id = which LOOP
				expected := agree.run_statement(agree.digest(s, ''), 'none', 'filtered', '{}');
				INSERT INTO agree.statement_result VALUES (s.id, who, 'at once', expected,
					agree.run_statement(agree.digest(s, ''), 'reader', 'app', s.settings));
				expected := agree.run_statement(agree.digest(s, replace(given, '$1', '7')), 'none', 'filtered', '{}');
				INSERT INTO agree.statement_result VALUES (s.id, who, 'prepared', expected,
					agree.run_statement(format('EXECUTE agree_%s (7)', s.id), 'reader', 'app', s.settings || '{"plan_cache_mode": "force_generic_plan"}'));
				IF s.settings ? 'parallel_setup_cost' THEN
					INSERT INTO agree.parallel_plan SELECT s.id
						WHERE agree.run_statement('EXPLAIN (COSTS OFF, FORMAT JSON) ' || agree.digest(s, ''), 'reader', 'app', s.settings) ~ '"Gather';
				END IF;
			END LOOP;
		END LOOP;
		DEALLOCATE ALL;
	END
	$$;
	SQL

#
# What goes in: rows, identities, policy sets with their questions, statements.
#
sub set_sql
{
	my ($set) = @_;
	my $sql = sprintf("INSERT INTO agree.policy_set VALUES (%d, %s, %s, %s, %s, %s, %s, %s);\n",
		$set->{number}, quote("app.$set->{table}"), quote("app.$set->{target}"), object($set->{update}), array($set->{insert}),
		object($set->{definer}), object($set->{caller}), quote(AuthzGenerator::nulls_of($set, $set->{identities}[0])));

	for my $policy (@{ $set->{policies} })
	{
		$sql .= sprintf("INSERT INTO agree.policy VALUES (%d, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);\n",
			$set->{number}, quote($policy->{name}), quote($policy->{effect}), array($policy->{actions}), array($policy->{roles}),
			quote($policy->{text}), quote($policy->{check_text}), array($policy->{columns}),
			quote($policy->{valid_during}), $policy->{enabled} ? 'true' : 'false', $policy->{may_hide} ? 'true' : 'false');
	}
	return $sql;
}

sub questions_sql
{
	my ($set) = @_;
	my @updated = sort keys %{ $set->{update} };
	my $sql = '';

	for my $identity (@{ $set->{identities} })
	{
		$sql .= sprintf("INSERT INTO agree.question VALUES (%d, %s, %s, %s, %s, %s, %s, %s, %s);\n",
			$set->{number}, quote($identity->{name}),
			(map { quote(AuthzGenerator::where($set, $identity, @$_)) }
			  [ 'select' ], [ 'update', \@updated ], [ 'update_check', \@updated ], [ 'insert', $set->{insert} ], ['delete']),
			quote(AuthzGenerator::hides($set, $identity, \@updated)),
			AuthzGenerator::uncovered($set, $identity, \@updated) ? 'true' : 'false');
	}
	return $sql;
}

sub identities_sql
{
	return join('', map { sprintf("INSERT INTO agree.identity VALUES (%s, %s);\n", quote($_->{name}), quote(AuthzGenerator::become_sql($_))) }
		@{ $generator->{identities} });
}

sub group_sql
{
	my ($group) = @_;
	my $sql = '';
	my %sets = %{ $group->{sets} };
	my %parts = (docs => ['docs'], ledger => [ 'ledger', 'ledger_p2' ], base => [ 'base', 'base_child' ]);

	for my $table (sort keys %sets)
	{
		$sql .= set_sql($sets{$table});
		for my $identity (@{ $group->{identities} })
		{
			$sql .= sprintf("INSERT INTO agree.visible VALUES (%d, %s, %s, %s);\n", $group->{number}, quote($identity->{name}),
				quote($_), quote(AuthzGenerator::where($sets{$table}, $identity, 'select')))
			  for @{ $parts{$table} };
		}
	}
	for my $statement (@{ $group->{statements} })
	{
		$sql .= sprintf("INSERT INTO agree.statement VALUES (%d, %d, %s, %s, %s);\n", $statement->{number}, $group->{number},
			quote($statement->{with}), quote($statement->{from}), object($statement->{settings}));
	}
	return $sql;
}

my @sets = map { $generator->policy_set($_) } 1 .. $nsets;
my @groups = map { $generator->group($_, STATEMENTS) } 1 .. GROUPS;

my $node = PostgreSQL::Test::Cluster->new('agreement');
$node->init;
$node->append_conf('postgresql.conf', <<~CONF);
	max_worker_processes = 8
	log_statement = none
	log_min_error_statement = panic
	log_min_messages = fatal
	jit = off
	autovacuum = off
	CONF
$node->start;
$node->safe_psql('postgres', "CREATE ROLE owner; CREATE ROLE reader; CREATE DATABASE $databases[0]");

my $session = AuthzSession->on($node, database => $databases[0]);
run($session, 'CREATE EXTENSION authz; GRANT authz_admin TO owner');
run($session, $_) for $schema, $agree, $statements, issuer_sql(), AuthzGenerator::roles_sql(), identities_sql();
run($session, "INSERT INTO agree.candidate ($names) VALUES " . $generator->rows(1001, 1024));
run($session, set_sql($_) . questions_sql($_)) for @sets;
run($session, join('', map { group_sql($_) } @groups));
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

# Has a set permits for what it updates of which none covers all columns, but all together do?
sub adds_up
{
	my ($set) = @_;
	my @updated = keys %{ $set->{update} };

	return grep {
		my $identity = $_;
		my @permits = grep { $_->{effect} eq 'permit' && AuthzGenerator::applies($_, $identity, 'update', \@updated) } @{ $set->{policies} };
		@permits && !AuthzGenerator::uncovered($set, $identity, \@updated)
		  && !grep { my $permit = $_; !grep { !AuthzGenerator::covers($permit, $_) } @updated } @permits
	} @{ $set->{identities} };
}

# Records that a query's string_agg made of rows, from all sessions.
sub records
{
	my ($columns, $from) = @_;
	my $sql = "SELECT string_agg(concat_ws(E'\\x02', $columns), E'\\x01') FROM $from";

	return map { [ split /\x02/, $_ ] } map { split /\x01/, $_ } run_everywhere(\@sessions, ($sql) x @sessions);
}

# What a reader needs to see what went wrong with a set.
sub describe
{
	my ($set) = @_;
	my $text = "set $set->{number} on $set->{table}, rows of $set->{target}; definer " . object($set->{definer}) . ', caller ' . object($set->{caller}) . "\n";

	for my $p (@{ $set->{policies} })
	{
		$text .= sprintf("  %s %s to {%s} for {%s}%s, valid %s%s\n    condition: %s\n%s", $p->{effect}, $p->{name},
			join(',', @{ $p->{roles} }), join(',', @{ $p->{actions} }), $p->{columns} ? ' of {' . join(',', @{ $p->{columns} }) . '}' : '',
			$p->{valid_during}, $p->{enabled} ? '' : ', disabled', $p->{text}, defined $p->{check_text} ? "    check: $p->{check_text}\n" : '');
	}
	return $text;
}

for (my $from = 1; $from <= $nsets; $from += BATCH)
{
	my $to = $from + BATCH - 1 > $nsets ? $nsets : $from + BATCH - 1;
	my $middle = int(($from + $to) / 2);
	my %shown;

	run_everywhere(\@sessions, "CALL agree.run($from, $middle)", "CALL agree.run($middle + 1, $to)");
	my @mismatches = records('set_id, identity, what, missing, extra', "agree.mismatch WHERE set_id BETWEEN $from AND $to");
	ok(!@mismatches, "sets $from to $to: inlined = at run time = by hand (AUTHZ_SEED=$seed)");
	for my $mismatch (@mismatches)
	{
		my ($number, $identity, $what, $missing, $extra) = @$mismatch;

		next if keys %shown == SHOWN && !$shown{$number};
		diag(describe($sets[ $number - 1 ])) unless $shown{$number}++;
		diag("  $identity: $what: " . (defined $extra ? "missing $missing, too many $extra" : $missing));
	}
}

my $policies = 0;
$policies += @{ $_->{policies} } for @sets;
my $rows = total('SELECT sum(total) FROM agree.decision');
my $permitted = total('SELECT sum(permitted) FROM agree.decision');
my $mixed = total('SELECT count(*) FROM agree.decision WHERE permitted > 0 AND permitted < total');
my $nulls = total('SELECT count(*) FROM agree.null_count WHERE nulls > 0');
my $forbids = grep { grep { $_->{effect} eq 'forbid' } @{ $_->{policies} } } @sets;
my $subselects = grep { grep { ($_->{text} . ($_->{check_text} // '')) =~ /\bSELECT\b/ } @{ $_->{policies} } } @sets;
note sprintf('%d policies in %d sets; %d decisions on rows, %.1f %% permitted; %d of %d answers neither all nor nothing; sets with forbid %d, with NULL %d, with sub-selects %d',
	$policies, $nsets, $rows, 100 * $permitted / $rows, $mixed, total('SELECT count(*) FROM agree.decision'), $forbids, $nulls, $subselects);
cmp_ok($policies, '>=', $ENV{AUTHZ_SETS} // 2000, 'enough policies were compared');
is(total('SELECT count(*) FROM agree.null_count'), $nsets, 'every set was compared');
cmp_ok($permitted / $rows, '>', 0.05, 'not nearly all rows were denied');
cmp_ok($permitted / $rows, '<', 0.95, 'not nearly all rows were permitted');
cmp_ok($mixed, '>', $nsets * 2, 'many answers are neither all rows nor none');
cmp_ok($forbids, '>', $nsets / 5, 'enough sets forbid');
cmp_ok($nulls, '>', $nsets / 3, 'enough sets have conditions that are NULL');
cmp_ok($subselects, '>', $nsets / 5, 'enough sets have sub-selects');
cmp_ok(total('SELECT count(*) FROM agree.question WHERE uncovered'), '>', $nsets / 10, 'often enough a column is covered by no permit');
cmp_ok(total(q{SELECT count(*) FROM agree.decision WHERE action = 'hide'}), '>', $nsets / 20, 'often enough a new row may be hidden');
cmp_ok(scalar(grep { adds_up($_) } @sets), '>', $nsets / 20, 'often enough permits of columns add up');

for (my $i = 1; $i <= GROUPS; $i += 2)
{
	run_everywhere(\@sessions, "CALL agree.run_group($i)", 'CALL agree.run_group(' . ($i + 1) . ')');
}
my %statement_of = map { $_->{number} => $_ } map { @{ $_->{statements} } } @groups;
for my $manner ('at once', 'prepared')
{
	my @different = records('statement, identity, expected, got',
		"agree.statement_result WHERE manner = '$manner' AND (expected IS DISTINCT FROM got OR expected ~ '^error')");

	ok(!@different, "statements $manner see what copies of the permitted rows hold (AUTHZ_SEED=$seed)");
	for my $difference (splice(@{ [@different] }, 0, SHOWN))
	{
		my ($number, $identity, $expected, $got) = @$difference;
		my $statement = $statement_of{$number};

		diag("statement $number for $identity: $got instead of $expected\n  $statement->{with}SELECT * FROM $statement->{from} AS s\n  " . object($statement->{settings}));
	}
}
my $with_rows = total("SELECT count(*) FROM agree.statement_result WHERE expected !~ '^0 '");
my $parallel = total('SELECT count(*) FROM agree.parallel_plan');
note sprintf('%d results of statements, %d with rows; %d parallel plans', total('SELECT count(*) FROM agree.statement_result'), $with_rows, $parallel);
is(total('SELECT count(DISTINCT statement) FROM agree.statement_result'), GROUPS * STATEMENTS, 'every statement was compared');
cmp_ok($with_rows, '>', GROUPS * STATEMENTS, 'enough statements return rows');
cmp_ok($parallel, '>', 5, 'some plans are parallel');

$_->close for @sessions;
$node->stop;
done_testing();
