-- Two tables of the same million rows, of 1,000 tenants, each tenant's all over
-- the table: "item" is protected by authz, "item_native" by hand-written
-- policies, one per kind, each for a database role of its own.  For masks a
-- smaller one, and views that are what the masked views become, by hand.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE EXTENSION authz;

CREATE ROLE bench_app LOGIN;			-- filtered by authz
CREATE ROLE bench_plain LOGIN BYPASSRLS;	-- filtered by nothing
CREATE ROLE bench_bare LOGIN;			-- and these by item_native's policies
CREATE ROLE bench_bare_admin LOGIN;
CREATE ROLE bench_wrapped LOGIN;
CREATE ROLE bench_wrapped_admin LOGIN;
CREATE ROLE bench_claims LOGIN;
CREATE ROLE bench_tenant NOLOGIN;		-- PostgREST's: switched to, by bench_authenticator
CREATE ROLE bench_admin NOLOGIN;
CREATE ROLE bench_authenticator LOGIN NOINHERIT IN ROLE bench_tenant, bench_admin;

CREATE TABLE item (
	id bigint NOT NULL,
	tenant_id bigint NOT NULL,
	region bigint NOT NULL,
	kind text NOT NULL,
	amount bigint NOT NULL
);
INSERT INTO item SELECT i, i % 1000, i % 7, 'kind-' || i % 3, i % 97 FROM generate_series(1, 1000000) AS i;
CREATE TABLE item_native AS SELECT * FROM item;
ALTER TABLE item ADD PRIMARY KEY (id);
ALTER TABLE item_native ADD PRIMARY KEY (id);
CREATE INDEX ON item (tenant_id);
CREATE INDEX ON item_native (tenant_id);
VACUUM (ANALYZE) item, item_native;

-- Small ones, for the cost of planning: by number of policies.
CREATE FUNCTION pg_temp.make_small(name text, policies integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id bigint PRIMARY KEY, tenant_id bigint NOT NULL, kind text NOT NULL)', name);
	EXECUTE format('INSERT INTO %I SELECT i, i %% 10, ''kind-'' || i %% 3 FROM generate_series(1, 1000) AS i', name);
	IF name LIKE 'native%' THEN
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
	ELSE
		PERFORM authz.protect(name::regclass);
	END IF;
	FOR i IN 1 .. policies LOOP
		IF name LIKE 'native%' THEN
			EXECUTE format('CREATE POLICY p%s ON %I FOR SELECT USING '
						   '(tenant_id = current_setting(''bench.tenant'')::bigint AND kind <> ''x%s'')', i, name, i);
		ELSE
			PERFORM authz.create_policy('p' || i, name::regclass, '{select}',
										format('tenant_id = authz.attr_bigint(''tenant'') AND kind <> ''x%s''', i),
										CASE WHEN i = 1 OR name LIKE 'all%' THEN '{tenant}'::text[] ELSE '{admin}' END);
		END IF;
	END LOOP;
END
$$;
SELECT authz.create_role(role) FROM unnest('{tenant,admin,by_column,by_attribute,by_role,clear,partly,never,kind-1}'::text[]) AS role \g /dev/null
SELECT pg_temp.make_small(kind || policies, policies) FROM unnest('{native,one,all}'::text[]) AS kind,
	unnest('{1,10,100}'::integer[]) AS policies \g /dev/null
ANALYZE;

-- Identities.
SELECT authz.create_issuer('https://issuer.example', '{bench}', attributes => '{"tenant": "tenant"}') \g /dev/null
CREATE TABLE key (algorithm text, key text);
CREATE TABLE token (purpose text, number integer, token text, claims text, PRIMARY KEY (purpose, number));
\copy key FROM 'key.tsv'
\copy token FROM 'token.tsv'
SELECT authz.add_key('https://issuer.example', algorithm, algorithm, key) FROM key \g /dev/null

-- authz: one policy per role.
SELECT authz.protect('item') \g /dev/null
SELECT authz.create_policy(role, 'item', '{select}', condition, ARRAY[role]) FROM (VALUES
	('tenant', $$tenant_id = authz.attr_bigint('tenant')$$),
	('admin', 'true'),
	('by_column', 'amount % 10 < 5'),
	('by_attribute', $$region = authz.attr_bigint('tenant')$$),
	('by_role', 'authz.has_role(kind)')) AS policy (role, condition) \g /dev/null

-- The same by hand.
ALTER TABLE item_native ENABLE ROW LEVEL SECURITY;
CREATE POLICY bare ON item_native TO bench_bare
	USING (tenant_id = current_setting('bench.tenant')::bigint);
CREATE POLICY bare_admin ON item_native TO bench_bare_admin
	USING (tenant_id = current_setting('bench.tenant')::bigint OR current_setting('bench.role') = 'admin');
CREATE POLICY wrapped ON item_native TO bench_wrapped
	USING (tenant_id = (SELECT current_setting('bench.tenant')::bigint));
CREATE POLICY wrapped_admin ON item_native TO bench_wrapped_admin
	USING (tenant_id = (SELECT current_setting('bench.tenant')::bigint) OR (SELECT current_setting('bench.role')) = 'admin');
CREATE POLICY claims ON item_native TO bench_claims
	USING (tenant_id = (current_setting('request.jwt.claims', true)::jsonb ->> 'tenant')::bigint);
CREATE POLICY postgrest_tenant ON item_native TO bench_tenant
	USING (tenant_id = (SELECT (current_setting('request.jwt.claims', true)::jsonb ->> 'tenant')::bigint));
CREATE POLICY postgrest_admin ON item_native TO bench_admin USING (true);

-- Columns: seen as they are by one role, in a tenth of the rows by another, and by a third never.
CREATE TABLE person (
	id bigint PRIMARY KEY,
	department integer NOT NULL,
	address text NOT NULL,
	salary bigint NOT NULL,
	visits integer NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
INSERT INTO person SELECT i, i % 10, 'person-' || i || '@example.org', 1000 + i * 7 % 9000 FROM generate_series(1, 100000) AS i;
CREATE INDEX ON person (address);
SELECT format('CREATE TABLE wide (id bigint PRIMARY KEY, %s)', string_agg(format('c%s text', i), ', ' ORDER BY i))
	FROM generate_series(1, 19) AS i \gexec
INSERT INTO wide SELECT i FROM generate_series(1, 1000) AS i;
VACUUM (ANALYZE) person, wide;
CREATE VIEW person_plain AS SELECT * FROM person;
CREATE VIEW person_partly AS SELECT id, department, visits,
	CASE WHEN department = 3 THEN address ELSE authz.mask_email(address) END AS address,
	CASE WHEN department = 3 THEN salary ELSE authz.mask_round(salary, 1000::bigint) END AS salary FROM person;
CREATE VIEW wide_plain AS SELECT * FROM wide;

SELECT authz.protect(relation),
	authz.create_policy('all', relation, '{select,update}', roles => '{clear,partly,never}')
	FROM unnest('{person,wide}'::regclass[]) AS relation \g /dev/null
SELECT authz.create_mask(relation, name, 'clear', '{clear}', priority => 10),
	authz.create_mask(relation, name, 'clear', '{partly}', condition, 20), authz.create_mask(relation, name, mask)
	FROM (SELECT 'person'::regclass, 'department = 3', * FROM (VALUES ('address', 'email'), ('salary', 'round(1000)')) AS v
		  UNION ALL SELECT 'wide', 'id < 500', 'c' || i, 'partial(1, 1)' FROM generate_series(1, 19) AS i)
		AS masked (relation, condition, name, mask) \g /dev/null
SELECT authz.create_masked_view('person', 'person_masked'), authz.create_masked_view('wide', 'wide_masked') \g /dev/null
GRANT UPDATE ON person, person_masked TO bench_app;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;

-- Microseconds per EXPLAIN of a query: parsing, rewriting, planning.
CREATE FUNCTION planning_time(query text, repetitions integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz;
BEGIN
	EXECUTE 'EXPLAIN ' || query;
	started := clock_timestamp();
	FOR i IN 1 .. repetitions LOOP
		EXECUTE 'EXPLAIN ' || query;
	END LOOP;
	RETURN extract(epoch FROM clock_timestamp() - started) * 1000000 / repetitions;
END
$$;

-- Microseconds per authz.login of a purpose's tokens, or (by claims) per set_config of the same
-- lengths: the median of the tokens', each the mean of its repetitions.
CREATE FUNCTION switching_time(purpose text, by_claims boolean, repetitions integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	texts text[] := ARRAY(SELECT CASE WHEN by_claims THEN t.claims ELSE t.token END FROM token AS t
						  WHERE t.purpose = switching_time.purpose AND t.number > 0 ORDER BY t.number);
	taken double precision[] := array_fill(0::double precision, ARRAY[cardinality(texts)]);
	started timestamptz;
BEGIN
	FOR i IN 1 .. repetitions LOOP
		FOR j IN 1 .. cardinality(texts) LOOP
			started := clock_timestamp();
			IF by_claims THEN
				PERFORM set_config('request.jwt.claims', texts[j], false);
			ELSE
				PERFORM authz.login(texts[j], false);
			END IF;
			taken[j] := taken[j] + extract(epoch FROM clock_timestamp() - started) * 1000000;
		END LOOP;
	END LOOP;
	RETURN (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t / repetitions) FROM unnest(taken) AS t);
END
$$;
CHECKPOINT;
