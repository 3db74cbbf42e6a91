-- authz.visible: what a sub-select of a condition reads, filtered by the policies of what it reads,
-- as native row security does of itself.

\set SHOW_CONTEXT never
CREATE ROLE regress_authz_owner;
CREATE ROLE regress_authz_user;
CREATE SCHEMA visible AUTHORIZATION regress_authz_owner;
GRANT USAGE ON SCHEMA visible TO regress_authz_user;
GRANT authz_admin TO regress_authz_owner;
SELECT authz.create_role('admin');
SET search_path = visible;
CREATE PROCEDURE act_as(subject text, roles text[] DEFAULT '{}') LANGUAGE sql
BEGIN ATOMIC
	SELECT authz.assume(subject, roles, '{}');
END;

-- Three levels, once for authz and once (n_) for native row security.
SET ROLE regress_authz_owner;
CREATE TABLE project (id int PRIMARY KEY, owner text, open boolean, rank int);
CREATE TABLE issue (id int PRIMARY KEY, project_id int, title text);
CREATE TABLE comment (id int PRIMARY KEY, issue_id int, author text);
CREATE TABLE member (who text, project_id int);
INSERT INTO project SELECT i, CASE i % 4 WHEN 0 THEN 'alice' WHEN 1 THEN 'bob' WHEN 2 THEN 'carol' END, CASE WHEN i % 7 < 5 THEN i % 7 = 0 END, i % 5
	FROM generate_series(1, 20) i;
INSERT INTO issue SELECT i, CASE WHEN i % 11 > 0 THEN i % 23 END, 't' || i % 3 FROM generate_series(1, 60) i;
INSERT INTO comment SELECT i, i % 64, CASE i % 3 WHEN 0 THEN 'alice' WHEN 1 THEN 'bob' END FROM generate_series(1, 120) i;
INSERT INTO member VALUES ('alice', 1), ('alice', 2), ('bob', 3), ('dave', 4);
CREATE TABLE n_project AS TABLE project;
CREATE TABLE n_issue AS TABLE issue;
CREATE TABLE n_comment AS TABLE comment;
CREATE TABLE n_member AS TABLE member;
ANALYZE project, issue, comment;
GRANT SELECT ON project, issue, comment, n_project, n_issue, n_comment, n_member TO regress_authz_user;
SELECT authz.protect(t) FROM unnest('{project,issue,comment}'::regclass[]) t;
CREATE FUNCTION n_subject() RETURNS text LANGUAGE sql STABLE RETURN nullif(pg_catalog.current_setting('visible.subject', true), '');
CREATE FUNCTION n_admin() RETURNS boolean LANGUAGE sql STABLE RETURN coalesce(pg_catalog.current_setting('visible.subject', true), '') = 'zed';
ALTER TABLE n_project ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE n_issue ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE n_comment ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- What a policy on the child asks of its parent.  {p} is the filter that native row security adds to a sub-select's "p".
RESET ROLE;
CREATE TABLE template (n int GENERATED ALWAYS AS IDENTITY, child text, text text);
INSERT INTO template (child, text) VALUES
	('issue', 'EXISTS (SELECT FROM project p WHERE p.id = {c}.project_id AND {p})'),
	('issue', 'NOT EXISTS (SELECT FROM project p WHERE p.id = {c}.project_id AND {p})'),
	('issue', 'project_id IN (SELECT p.id FROM project p WHERE {p})'),
	('issue', 'project_id NOT IN (SELECT p.id FROM project p WHERE {p})'),
	('issue', '(SELECT p.rank FROM project p WHERE p.id = {c}.project_id AND {p}) > 1'),
	('issue', '(SELECT count(*) FROM project p WHERE p.rank = {c}.id % 5 AND {p}) > 2'),
	('issue', 'EXISTS (SELECT FROM project p WHERE p.id = {c}.project_id AND {p} OR p.id = 1 AND {p})'),
	('issue', 'EXISTS (SELECT FROM member m JOIN project p ON p.id = m.project_id WHERE p.rank = {c}.id % 5 AND {p})'),
	('issue', 'EXISTS (SELECT FROM member m JOIN project p ON p.id = m.project_id AND {p} WHERE p.rank = {c}.id % 5)'),
	('issue', 'EXISTS (SELECT FROM member m LEFT JOIN project p ON p.id = m.project_id AND {p} WHERE p.id IS NULL AND m.project_id = {c}.project_id)'),
	('issue', '{c}.id <= (SELECT sum(r.rank) FROM (SELECT p.rank FROM project p WHERE {p}) r)'),
	('issue', 'EXISTS (SELECT FROM member m WHERE EXISTS (SELECT FROM project p WHERE p.id = m.project_id AND {p}) AND m.project_id = {c}.project_id)'),
	('issue', 'EXISTS (WITH w AS (SELECT p.id FROM project p WHERE {p}) SELECT FROM w WHERE w.id = {c}.project_id)'),
	('issue', '{c}.project_id IN (SELECT p.id FROM project p WHERE {p} UNION SELECT p.id + 1 FROM project p WHERE {p})'),
	('issue', 'ARRAY(SELECT p.id FROM project p WHERE {p}) @> ARRAY[{c}.project_id]'),
	('issue', 'EXISTS (SELECT FROM project p WHERE p.id = {c}.project_id AND (p.rank = 1 OR EXISTS (SELECT FROM member m WHERE m.project_id > p.id AND {p})) AND {p})'),
	('issue', '(SELECT count(*) FILTER (WHERE {p}) FROM project p WHERE p.id >= {c}.project_id AND {p}) > 3'),
	('issue', 'EXISTS (SELECT FROM project p RIGHT JOIN member m ON p.id = m.project_id AND {p} WHERE p.id IS NULL AND m.project_id = {c}.id % 5)'),
	('issue', 'EXISTS (SELECT FROM member m, LATERAL (SELECT p.rank FROM project p WHERE p.id = m.project_id AND {p}) l WHERE l.rank = {c}.id % 5)'),
	('issue', 'CASE WHEN EXISTS (SELECT FROM project p WHERE p.id = {c}.project_id AND {p}) THEN {c}.id > 10 ELSE {c}.id < 5 END'),
	('comment', 'EXISTS (SELECT FROM issue p WHERE p.id = {c}.issue_id AND {p})'),
	('comment', 'EXISTS (SELECT FROM issue p WHERE p.id = {c}.issue_id AND EXISTS (SELECT FROM member m WHERE m.project_id <> p.project_id AND {p}))'),
	('comment', '(SELECT count(*) FILTER (WHERE {p} AND p.title = ''t1'') FROM issue p WHERE p.id <= {c}.issue_id AND {p}) BETWEEN 2 AND 6'),
	('comment', 'author IS NULL OR issue_id IN (SELECT p.id FROM issue p WHERE {p} AND p.title <> ''t1'')');
CREATE TABLE result (n int, subject text, way text, ids int[]);
GRANT SELECT ON template TO regress_authz_user;

SET client_min_messages = warning;
CREATE FUNCTION ids(query text) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	ids int[];
BEGIN
	EXECUTE query INTO ids;
	RETURN ids;
END
$$;
CREATE PROCEDURE compare(t template) LANGUAGE plpgsql AS $$
DECLARE
	who text;
	list text;
BEGIN
	DELETE FROM authz.policy WHERE relation IN ('project'::regclass, 'issue'::regclass, 'comment'::regclass);
	-- The parent: a permit that may be NULL, a role that sees all, a forbid.
	PERFORM authz.create_policy('own', 'project', '{select}', 'owner = authz.subject() OR open', roles => '{*,anonymous}'),
		authz.create_policy('all', 'project', '{select}', roles => '{admin}'),
		authz.create_policy('not these', 'project', '{select}', 'rank = 3 AND open', roles => '{*}', effect => 'forbid');
	IF t.child = 'comment' THEN
		PERFORM authz.create_policy('middle', 'issue', '{select}',
			'EXISTS (SELECT FROM project p WHERE p.id = issue.project_id AND authz.visible(p))', roles => '{*,anonymous}');
	END IF;
	PERFORM authz.create_policy('child', t.child::regclass, '{select}',
		replace(replace(t.text, '{c}', t.child), '{p}', 'authz.visible(p)'), roles => '{*,anonymous}');

	DROP POLICY IF EXISTS own ON n_project;
	DROP POLICY IF EXISTS middle ON n_issue;
	DROP POLICY IF EXISTS child ON n_issue;
	DROP POLICY IF EXISTS child ON n_comment;
	CREATE POLICY own ON n_project USING ((owner = n_subject() OR open OR n_admin()) AND (n_subject() IS NULL OR (rank = 3 AND open) IS FALSE));
	IF t.child = 'comment' THEN
		CREATE POLICY middle ON n_issue USING (EXISTS (SELECT FROM n_project p WHERE p.id = n_issue.project_id));
	END IF;
	EXECUTE format('CREATE POLICY child ON n_%s USING (%s)', t.child,
		regexp_replace(replace(replace(t.text, '{c}', 'n_' || t.child), '{p}', 'true'), '(FROM|JOIN) (project|issue|member)', '\1 n_\2', 'g'));

	FOREACH who IN ARRAY '{nobody,alice,bob,zed}'::text[] LOOP
		IF who = 'nobody' THEN
			PERFORM authz.logout(), set_config('visible.subject', '', true);
		ELSE
			PERFORM authz.assume(who, CASE who WHEN 'zed' THEN '{admin}' ELSE '{}' END::text[]), set_config('visible.subject', who, true);
		END IF;
		list := format('SELECT array_agg(id ORDER BY id) FROM %s', t.child);
		INSERT INTO result VALUES (t.n, who, 'permits_row', ids(format('%s WHERE authz.permits_row(''select'', %s)', list, t.child)));
		SET LOCAL ROLE regress_authz_user;
		INSERT INTO kept VALUES (t.n, who, 'inlined', ids(list)), (t.n, who, 'native', ids(replace(list, ' FROM ', ' FROM n_')));
		RESET ROLE;
	END LOOP;
END
$$;
CREATE VIEW kept AS TABLE result;
GRANT INSERT ON kept TO regress_authz_user;
SELECT format('CALL compare((%s, %L, %L))', n, child, text) FROM template ORDER BY n \gexec

-- No row here.
SELECT r.n, r.subject, r.way, r.ids, n.ids AS native
	FROM result r JOIN result n ON n.n = r.n AND n.subject = r.subject AND n.way = 'native'
	WHERE r.ids IS DISTINCT FROM n.ids ORDER BY 1, 2, 3;
SELECT way, count(*), count(ids) AS with_rows, count(DISTINCT ids) > 30 AS different FROM result GROUP BY way ORDER BY way;
RESET client_min_messages;

--
-- Stored, and how it reads; it is in the plan as the parent's own policies.
--
SET ROLE regress_authz_owner;
SELECT authz.drop_policy(name, relation) FROM authz.policy WHERE relation IN ('project'::regclass, 'issue'::regclass, 'comment'::regclass);
SELECT authz.create_policy('own', 'project', '{select}', 'owner = authz.subject()');
SELECT authz.create_policy('all', 'project', '{select}', roles => '{admin}');
SELECT authz.create_policy('parent', 'issue', '{select}', 'EXISTS (SELECT FROM project p WHERE p.id = issue.project_id AND authz.visible(p))');
SELECT authz.create_policy('parent', 'comment', '{select,insert,update}', 'EXISTS (SELECT FROM issue WHERE issue.id = comment.issue_id AND authz.visible("row" => issue))');
SELECT condition FROM authz.policy WHERE name = 'parent' ORDER BY condition COLLATE "C";
SELECT authz.alter_policy('parent', 'issue', description => 'the condition is stored again');
RESET ROLE;
GRANT EXECUTE ON FUNCTION authz.assume TO regress_authz_user;
SET ROLE regress_authz_user;
CALL act_as('alice');
EXPLAIN (COSTS OFF) SELECT * FROM issue;
EXPLAIN (COSTS OFF) SELECT * FROM comment WHERE id = 5;
SELECT count(*) FROM issue;
PREPARE counts AS SELECT (SELECT count(*) FROM issue), (SELECT count(*) FROM comment);
EXECUTE counts;
-- A change of the parent's policies binds the child's next statement, also a prepared one and permits_row.
RESET ROLE;
SELECT count(*) FILTER (WHERE authz.permits_row('select', issue)) FROM issue;
SELECT authz.alter_policy('own', 'project', condition => 'owner = authz.subject() AND id > 10');
SET ROLE regress_authz_user;
EXECUTE counts;
RESET ROLE;
SELECT count(*) FILTER (WHERE authz.permits_row('select', issue)) FROM issue;
SELECT authz.disable_policy('own', 'project');
SET ROLE regress_authz_user;
EXECUTE counts;
CALL act_as('zed', '{admin}');
EXECUTE counts;
EXPLAIN (COSTS OFF) SELECT * FROM issue;
RESET ROLE;
SELECT authz.enable_policy('own', 'project');

-- In what writes check, too.
GRANT INSERT, UPDATE ON comment TO regress_authz_user;
SET ROLE regress_authz_user;
CALL act_as('alice');
\set QUIET off
SELECT min(id), max(id) FROM issue;
BEGIN;
INSERT INTO comment VALUES (1000, (SELECT min(id) FROM issue), 'alice');
ROLLBACK;
INSERT INTO comment VALUES (1000, 1, 'alice');
UPDATE comment SET issue_id = 1;
\set QUIET on

-- The first statement of a session loads the library: filtered as any other.
RESET ROLE;
SELECT authz.alter_policy(name, relation, roles => '{*,anonymous}') FROM authz.policy WHERE name = 'parent';
SELECT authz.create_policy('public', 'project', '{select}', 'open', roles => '{anonymous}');
\c -
SET ROLE regress_authz_user;
SELECT count(*) FROM visible.comment;
SELECT count(*) FROM visible.comment;
RESET ROLE;
SET search_path = visible;
SELECT count(*) FROM comment WHERE authz.permits_row('select', comment);
SELECT count(*) FROM comment c JOIN issue i ON i.id = c.issue_id JOIN project p ON p.id = i.project_id WHERE p.open;

--
-- Never NULL, and not for a row that an outer join made up.
--
SELECT authz.drop_policy('public', 'project');
SET ROLE regress_authz_owner;
SELECT authz.alter_policy('own', 'project', condition => 'open');
SELECT authz.alter_policy('parent', 'issue', condition => 'NOT EXISTS (SELECT FROM project p WHERE NOT authz.visible(p) AND p.id = issue.project_id)');
RESET ROLE;
CALL act_as('alice');
SET ROLE regress_authz_user;
SELECT count(*) FROM issue;
RESET ROLE;
SELECT count(*) FROM issue i WHERE NOT EXISTS (SELECT FROM project p WHERE p.id = i.project_id AND p.open IS NOT TRUE);
SELECT authz.alter_policy('own', 'project', condition => 'true');
SELECT authz.alter_policy('parent', 'issue', condition =>
	'EXISTS (SELECT FROM member m LEFT JOIN project p ON p.id = m.project_id AND p.rank = 1 WHERE m.project_id = issue.project_id AND authz.visible(p))');
SET ROLE regress_authz_user;
SELECT array_agg(DISTINCT project_id) FROM issue;
RESET ROLE;

--
-- Partitions and children: as the parent.
--
SET ROLE regress_authz_owner;
CREATE TABLE part (id int, owner text) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_rest (gone int, owner text, id int);
ALTER TABLE part_rest DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION part_rest DEFAULT;
INSERT INTO part SELECT i, CASE WHEN i % 2 = 0 THEN 'alice' ELSE 'bob' END FROM generate_series(1, 8) i;
SELECT authz.protect('part');
SELECT authz.create_policy('own', 'part', '{select}', 'owner = authz.subject()');
SELECT authz.alter_policy('parent', 'issue', condition => 'EXISTS (SELECT FROM part WHERE part.id = issue.id AND authz.visible(part))');
RESET ROLE;
SET ROLE regress_authz_user;
SELECT array_agg(id ORDER BY id) FROM issue;
RESET ROLE;
SELECT authz.alter_policy('parent', 'issue', condition => 'EXISTS (SELECT FROM part_rest r WHERE r.id = issue.id AND authz.visible(r))');
SET ROLE regress_authz_user;
SELECT array_agg(id ORDER BY id) FROM issue;
RESET ROLE;

--
-- Policies of two tables that lead back to each other
--
SET ROLE regress_authz_owner;
SELECT authz.alter_policy('parent', 'issue', condition => 'EXISTS (SELECT FROM project p WHERE p.id = issue.project_id AND authz.visible(p))');
SELECT authz.create_policy('has issues', 'project', '{select}', 'EXISTS (SELECT FROM issue i WHERE i.project_id = project.id AND authz.visible(i))');
SET ROLE regress_authz_user;
SELECT count(*) FROM project;
SELECT count(*) FROM issue;
SELECT count(*) FROM comment;
RESET ROLE;
SELECT count(*) FROM issue WHERE authz.permits_row('select', issue);
-- A table and itself; two ways to the same parent are no circle.
SELECT authz.alter_policy('has issues', 'project', condition => 'EXISTS (SELECT FROM project p WHERE p.id = project.rank AND authz.visible(p))');
SET ROLE regress_authz_user;
SELECT count(*) FROM project;
RESET ROLE;
SELECT authz.drop_policy('has issues', 'project');
SELECT authz.alter_policy('parent', 'issue', condition => 'EXISTS (SELECT FROM project p WHERE p.id = issue.project_id AND authz.visible(p)) AND '
	'EXISTS (SELECT FROM project p JOIN project q ON q.id = p.id WHERE authz.visible(p) AND authz.visible(q))');
SET ROLE regress_authz_user;
SELECT count(*) FROM issue;
RESET ROLE;

--
-- What is no row of a table is refused when it is stored; so is the row that the condition is about.
--
SET ROLE regress_authz_owner;
CREATE VIEW project_view AS SELECT * FROM project;
CREATE FUNCTION projects() RETURNS SETOF project LANGUAGE sql STABLE AS 'SELECT * FROM visible.project';
CREATE MATERIALIZED VIEW project_copy AS SELECT * FROM project;
SELECT authz.create_masked_view('project', 'masked_project');
\set VERBOSITY terse
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM project_view v WHERE authz.visible(v))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM masked_project v WHERE authz.visible(v))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM project_copy v WHERE authz.visible(v))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM projects() v WHERE authz.visible(v))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM (SELECT * FROM project) v WHERE authz.visible(v))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (WITH v AS (SELECT * FROM project) SELECT FROM v WHERE authz.visible(v))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM (project p JOIN member m ON m.project_id = p.id) v WHERE authz.visible(v))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM project p WHERE authz.visible(ROW(p.*)))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM project p WHERE authz.visible((SELECT q FROM project q LIMIT 1)))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM project p WHERE authz.visible(NULL))');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM project p WHERE authz.visible(p.id))');
SELECT authz.create_mask('issue', 'title', 'redact()', condition => 'EXISTS (SELECT FROM project_view v WHERE authz.visible(v))');
\set VERBOSITY default
SELECT authz.create_policy('bad', 'issue', '{select}', 'authz.visible(issue)');
SELECT authz.create_policy('bad', 'issue', '{select}', 'EXISTS (SELECT FROM project_view v WHERE authz.visible(v))');
-- Elsewhere it is of no use.
SELECT authz.visible(v) FROM project_view v;
SELECT authz.visible(NULL);

--
-- Who stores a condition is told what it reads unfiltered, once for each table.
--
SELECT authz.create_policy('reads', 'issue', '{select}', 'project_id IN (SELECT id FROM project) OR EXISTS (SELECT FROM project "P" WHERE "P".id = 1)', '{admin}');
SELECT authz.create_policy('reads two', 'issue', '{select}', 'EXISTS (SELECT FROM project "P", comment c WHERE "P".id = 1 AND authz.visible(c))', '{admin}');
SELECT authz.create_policy('reads parts', 'issue', '{select}', 'id IN (SELECT r.id FROM part_rest r)', '{admin}');
-- Not of an ordinary look-up table, of the table itself, nor when the condition stays as it is.
SELECT authz.create_policy('members', 'issue', '{select}', 'project_id IN (SELECT m.project_id FROM member m WHERE m.who = authz.subject())', '{admin}');
SELECT authz.create_policy('itself', 'issue', '{select}', 'title = (SELECT min(i.title) FROM issue i)', '{admin}');
SELECT authz.alter_policy('reads', 'issue', description => 'as before');
-- What is not protected has no policies.
SELECT authz.create_policy('no policies', 'issue', '{select}', 'EXISTS (SELECT FROM member m WHERE authz.visible(m))', '{admin}');
SELECT authz.drop_policy(name, 'issue') FROM authz.policy WHERE relation = 'issue'::regclass AND name <> 'no policies';
RESET ROLE;
CALL act_as('zed', '{admin}');
SET ROLE regress_authz_user;
SELECT count(*) FROM issue;

RESET ROLE;
RESET authz.token;
SET client_min_messages = warning;
DROP SCHEMA visible CASCADE;
SELECT authz.drop_role('admin');
REVOKE EXECUTE ON FUNCTION authz.assume FROM regress_authz_user;
DROP ROLE regress_authz_owner, regress_authz_user;
