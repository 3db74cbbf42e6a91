# 052_audit_attempts.pl
#	  Denied attempts on the audit itself are on record: by whom, what, on which table, and
#	  why; also if a function caught the error, and after a rollback.  What is permitted, and
#	  what fails for another reason, is not.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use AuthzSession;
use AuthzToken;

my $n = 0;      # records there are
my ($privilege, $insert_only, $guards, $administrator, $unrecorded) =
  ('no privilege', 'records are insert-only', 'what guards records must stay', 'only an administrator of authz may', 'changes would go unrecorded');
my $node = PostgreSQL::Test::Cluster->new('main');

$node->init(extra => ['--encoding=UTF8', '--no-locale']);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'authz'\nlog_min_error_statement = panic\n");
$node->start;
$node->safe_psql('postgres', <<~'SQL' . issuer_sql());
	CREATE ROLE owner LOGIN;
	CREATE ROLE app LOGIN;
	CREATE ROLE auditor LOGIN;
	CREATE ROLE admin LOGIN;
	GRANT CREATE ON DATABASE postgres TO owner;
	CREATE EXTENSION authz;    -- after the commands above, and with the hooks there: it has no tables yet
	GRANT authz_auditor TO auditor;
	GRANT authz_admin TO admin;
	CREATE SCHEMA shop AUTHORIZATION owner;
	CREATE SCHEMA other;
	GRANT USAGE ON SCHEMA shop TO PUBLIC;
	GRANT ALL ON SCHEMA other TO PUBLIC;
	SET ROLE owner;
	CREATE TABLE shop.ref (id int PRIMARY KEY);
	CREATE TABLE shop.doc (id int PRIMARY KEY, body text, secret text, ref int REFERENCES shop.ref);
	CREATE TABLE shop.part (id int, body text) PARTITION BY LIST (id);
	CREATE TABLE shop.part_1 PARTITION OF shop.part FOR VALUES IN (1);
	CREATE TABLE shop.bare (id int, body text, secret text, ref int);
	CREATE TYPE shop.form AS (id int, secret text);
	CREATE TABLE shop.typed OF shop.form;
	CREATE TABLE shop."odd ""name" (id int);
	RESET ROLE;
	CREATE TABLE shop.closed (id int);
	CREATE FUNCTION shop.raise() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = 'insufficient_privilege'; END $$;
	SELECT authz.audit('shop.doc', exclude_columns => '{secret}'), authz.audit('shop.part'), authz.audit('shop.typed', exclude_columns => '{secret}'),
		authz.audit('shop."odd ""name"');
	CREATE VIEW other.log AS SELECT * FROM authz.audit_log;
	ALTER VIEW other.log OWNER TO app;
	GRANT SELECT ON other.log TO PUBLIC;
	SQL
my $month = $node->safe_psql('postgres', q{SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'authz.audit_log'::regclass AND inhrelid::regclass::text ~ '[0-9]$'});

# The records since the last call, once there are that many or more of them.
sub records
{
	my ($expected) = @_;
	my $from = $n;

	$n += $expected;
	# One that is missing is the fault of this call only.
	$n = $node->safe_psql('postgres', 'SELECT count(*) FROM authz.denial_log')
	  if !$node->poll_query_until('postgres', "SELECT count(*) >= $n FROM authz.denial_log");
	return $node->safe_psql('postgres', "SELECT kind, action, relation, reason, database_role, subject FROM authz.denial_log ORDER BY id OFFSET $from");
}

# A statement is refused with this error and leaves this one record (action, relation, reason).
sub denied
{
	my ($session, $sql, $error, @record) = @_;
	my $got = $session->query($sql);

	$got =~ s/_c_\d+"/_c_N"/;
	is($got, $error, $sql);
	is(records(1), join('|', 'audit', @record, $session->{user}, $session->{subject}), "on record: $sql");
}

# A statement leaves no record, whatever it does (to be seen by the next that does).
sub unrecorded { my ($session, $sql, $result) = @_; is($session->query($sql), $result, "no record: $sql") }

sub connect_as
{
	my ($user, $subject) = @_;
	my $session = AuthzSession->on($node, user => $user);

	@$session{qw(user subject)} = ($user, $subject // '');
	$session->query(q{SET authz.token = '} . token($subject, []) . q{'}) if $subject;
	return $session;
}

# By who has no right at all, and is known by his token.
my $app = connect_as('app', 'alice');
my $no = 'ERROR 42501 permission denied for table';
my $not_owner = 'ERROR 42501 must be owner of table';

for my $table (qw(audit_log access_log denial_log audit_batch audit_page audited_table audit_log_default access_log_default), $month =~ s/^authz\.//r)
{
	denied($app, "DELETE FROM authz.$table", "$no $table", 'delete', "authz.$table", $privilege);
}
denied($app, 'UPDATE authz.audit_log SET subject = NULL', "$no audit_log", 'update', 'authz.audit_log', $privilege);
denied($app, q{INSERT INTO authz.audited_table (relation) VALUES ('shop.closed')}, "$no audited_table", 'insert', 'authz.audited_table', $privilege);
denied($app, 'MERGE INTO authz.audit_page p USING (SELECT 1 AS x) q ON p.batch = q.x WHEN MATCHED THEN DELETE', "$no audit_page", 'merge', 'authz.audit_page', $privilege);
denied($app, 'WITH d AS (DELETE FROM authz.audit_batch RETURNING 1) SELECT * FROM d', "$no audit_batch", 'delete', 'authz.audit_batch', $privilege);
denied($app, 'EXPLAIN DELETE FROM authz.audit_log', "$no audit_log", 'delete', 'authz.audit_log', $privilege);
denied($app, 'SELECT count(*) FROM authz.audit_log', "$no audit_log", 'select', 'authz.audit_log', $privilege);
denied($app, 'SELECT * FROM authz.denial_log FOR UPDATE', "$no denial_log", 'select', 'authz.denial_log', $privilege);
denied($app, 'SELECT id FROM other.log', "$no audit_log", 'select', 'authz.audit_log', $privilege);
denied($app, 'CREATE TABLE other.mine AS SELECT * FROM authz.access_log', "$no access_log", 'select', 'authz.access_log', $privilege);
denied($app, 'COPY authz.audit_log TO STDOUT', "$no audit_log", 'copy', 'authz.audit_log', $privilege);
denied($app, 'COPY authz.audit_log FROM STDIN', "$no audit_log", 'copy from', 'authz.audit_log', $privilege);
denied($app, q{COPY authz.audit_log FROM '/dev/null'}, 'ERROR 42501 must be superuser or have privileges of the pg_read_server_files role to COPY from a file',
	'copy from', 'authz.audit_log', $privilege);
denied($app, 'TRUNCATE authz.audit_log', "$no audit_log", 'truncate', 'authz.audit_log', $privilege);
denied($app, 'TRUNCATE shop.ref, authz.access_log', "$no ref", 'truncate', 'authz.access_log', $privilege);
denied($app, 'ALTER TABLE authz.audit_log DISABLE TRIGGER ALL', "$not_owner audit_log", 'alter table', 'authz.audit_log', $privilege);
denied($app, "ALTER TABLE authz.audit_log DETACH PARTITION $month", "$not_owner audit_log", 'alter table', 'authz.audit_log', $privilege);
denied($app, 'ALTER TABLE authz.audit_log OWNER TO app', "$not_owner audit_log", 'alter table', 'authz.audit_log', $privilege);
denied($app, 'ALTER TABLE authz.audit_log RENAME TO gone', "$not_owner audit_log", 'alter table', 'authz.audit_log', $privilege);
denied($app, 'ALTER TABLE authz.audit_log SET SCHEMA other', "$not_owner audit_log", 'alter table', 'authz.audit_log', $privilege);
denied($app, 'ALTER SEQUENCE authz.record_id_seq RESTART', 'ERROR 42501 must be owner of sequence record_id_seq', 'alter sequence', 'authz.record_id_seq', $privilege);
denied($app, "DROP TABLE $month", $not_owner . $month =~ s/^authz\./ /r, 'drop table', $month, $privilege);
denied($app, 'DROP TRIGGER refuse_change ON authz.audit_log', 'ERROR 42501 must be owner of relation audit_log', 'drop trigger', 'authz.audit_log', $privilege);
denied($app, 'CREATE TRIGGER t AFTER INSERT ON authz.audit_log FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()', "$no audit_log",
	'create trigger', 'authz.audit_log', $privilege);
denied($app, 'CREATE RULE r AS ON INSERT TO authz.audit_batch DO INSTEAD NOTHING', "$not_owner audit_batch", 'create rule', 'authz.audit_batch', $privilege);
denied($app, 'CREATE TABLE other.child () INHERITS (authz.audit_batch)', "$not_owner audit_batch", 'create table', 'authz.audit_batch', $privilege);
denied($app, 'CREATE INDEX ON authz.audit_log (id)', "$not_owner audit_log", 'create index', 'authz.audit_log', $privilege);
denied($app, 'GRANT ALL ON authz.audit_log TO app', "$no audit_log", 'grant', 'authz.audit_log', $privilege);
denied($app, 'BEGIN; LOCK TABLE authz.audit_log', "$no audit_log", 'lock table', 'authz.audit_log', $privilege);
$app->query('ROLLBACK');
denied($app, 'DROP SCHEMA authz CASCADE', 'ERROR 42501 must be owner of schema authz', 'drop schema', '', $privilege);
denied($app, 'DROP EXTENSION authz', 'ERROR 42501 must be owner of extension authz', 'drop extension', '', $privilege);
denied($app, 'ALTER EVENT TRIGGER authz_audit_forget DISABLE', 'ERROR 42501 must be owner of event trigger authz_audit_forget', 'alter event trigger', '', $privilege);
denied($app, 'ALTER EVENT TRIGGER authz_audit_forget RENAME TO t', 'ERROR 42501 must be owner of event trigger authz_audit_forget', 'alter event trigger', '', $privilege);
denied($app, 'ALTER SCHEMA authz RENAME TO t', 'ERROR 42501 must be owner of schema authz', 'alter schema', '', $privilege);
denied($app, 'ALTER SCHEMA authz OWNER TO app', 'ERROR 42501 must be owner of schema authz', 'alter schema', '', $privilege);
denied($app, 'ALTER EXTENSION authz DROP TABLE authz.audit_log', 'ERROR 42501 must be owner of extension authz', 'alter extension', '', $privilege);

# The audited table of another.
denied($app, 'ALTER TABLE shop.doc DISABLE TRIGGER USER', "$not_owner doc", 'alter table', 'shop.doc', $privilege);
denied($app, 'DROP TABLE shop.bare, shop.doc', "$not_owner bare", 'drop table', 'shop.doc', $privilege);
denied($app, 'ALTER TRIGGER authz_audit_insert ON shop.doc RENAME TO t', "$not_owner doc", 'alter trigger', 'shop.doc', $privilege);
denied($app, 'DROP TRIGGER authz_audit_insert ON shop.part_1', 'ERROR 42501 must be owner of relation part_1', 'drop trigger', 'shop.part_1', $privilege);
denied($app, 'CREATE RULE r AS ON INSERT TO shop.doc DO INSTEAD NOTHING', "$not_owner doc", 'create rule', 'shop.doc', $privilege);
denied($app, 'SET search_path = shop; ALTER TABLE doc SET SCHEMA other', "$not_owner doc", 'alter table', 'shop.doc', $privilege);
denied($app, qq{SELECT authz.$_}, "ERROR 42501 permission denied for function " . s/\(.*//r, s/\(.*//r, /retain/ ? 'authz.' . s/_.*/_log/r : 'shop.doc', $administrator)
  for q{unaudit('shop.doc')}, q{audit('shop.doc', '{insert}')}, q{audit_retain('0')};

# Caught, prepared, in functions, rolled back.
is($app->query(q{DO $$ BEGIN FOR i IN 1 .. 3 LOOP BEGIN DELETE FROM authz.audit_log; EXCEPTION WHEN insufficient_privilege THEN END; END LOOP; END $$}), '', 'refusals that were caught');
is(records(3), join("\n", ("audit|delete|authz.audit_log|$privilege|app|alice") x 3), 'on record: each');
is($app->prepare('p', 'UPDATE authz.audit_batch SET hash = $1'), '', 'prepared');
is($app->execute('p', 'x'), "$no audit_batch", 'executed') for 1 .. 2;
is(records(2), join("\n", ("audit|update|authz.audit_batch|$privilege|app|alice") x 2), 'on record: executed, each');
$app->query(q{CREATE FUNCTION other.f() RETURNS bigint LANGUAGE sql AS 'DELETE FROM authz.audit_log RETURNING id'});
denied($app, 'SELECT other.f()', "$no audit_log", 'delete', 'authz.audit_log', $privilege);
denied($app, q{BEGIN; SELECT 1; SAVEPOINT s; DROP TABLE shop.doc}, "$not_owner doc", 'drop table', 'shop.doc', $privilege);
is($app->query('ROLLBACK TO s; DELETE FROM authz.audit_page'), "$no audit_page", 'and again');
$app->query('ROLLBACK');
is(records(1), "audit|delete|authz.audit_page|$privilege|app|alice", 'on record after the rollback');
denied($app, q{DO $$ BEGIN PERFORM authz.unaudit('shop.doc'); EXCEPTION WHEN OTHERS THEN RAISE; END $$}, 'ERROR 42501 permission denied for function unaudit', 'unaudit', 'shop.doc', $administrator);
denied($app, q{SELECT authz.refuse_audit('DROP table', 'shop.doc'::regclass, 'records are insert-only', 'by hand')}, 'ERROR 42501 by hand', 'drop table', 'shop.doc', $insert_only);

# Not an attempt on the audit, or not refused for want of a right.
unrecorded($app, 'SELECT * FROM shop.closed', "$no closed");
unrecorded($app, 'DELETE FROM shop.doc', "$no doc");
unrecorded($app, 'DROP TABLE shop.closed', "$not_owner closed");
unrecorded($app, 'DROP TABLE shop.nothing', 'ERROR 42P01 table "nothing" does not exist');
unrecorded($app, 'SELECT nothing FROM authz.audit_log', 'ERROR 42703 column "nothing" does not exist');
unrecorded($app, 'ALTER TABLE IF EXISTS authz.audit_nothing DISABLE TRIGGER ALL', '');
unrecorded($app, q{SELECT authz.refuse_audit('free text', NULL, 'records are insert-only', 'by hand')}, 'ERROR 22023 unknown action "free text"');
unrecorded($app, q{SELECT authz.refuse_audit('drop table', NULL, 'free text', 'by hand')}, 'ERROR 22023 unknown reason "free text"');
unrecorded($app, 'CREATE TABLE other.audit_log (id int); DROP TABLE other.audit_log', '');

# The table's owner.
my $owner = connect_as('owner');
my $audited = 'ERROR 55000 table shop.doc is audited';
my $kept = 'ERROR 42501 table shop.doc is audited';

denied($owner, 'ALTER TABLE shop.doc DISABLE TRIGGER ALL', 'ERROR 42501 permission denied: "RI_ConstraintTrigger_c_N" is a system trigger', 'alter table', 'shop.doc', $privilege);
denied($owner, 'ALTER TABLE shop.doc DISABLE TRIGGER USER', $audited, 'alter table', 'shop.doc', $unrecorded);
denied($owner, 'ALTER TABLE shop.doc ENABLE REPLICA TRIGGER authz_audit_delete', $audited, 'alter table', 'shop.doc', $unrecorded);
denied($owner, 'DROP TRIGGER authz_audit_insert ON shop.doc', $audited, 'drop trigger', 'shop.doc', $unrecorded);
denied($owner, 'ALTER TRIGGER authz_audit_insert ON shop.doc RENAME TO t', $audited, 'alter trigger', 'shop.doc', $unrecorded);
denied($owner, 'CREATE OR REPLACE TRIGGER authz_audit_insert AFTER INSERT ON shop.doc FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	$audited, 'create trigger', 'shop.doc', $unrecorded);
denied($owner, 'ALTER TABLE shop.doc INHERIT shop.bare', $audited, 'alter table', 'shop.doc', $unrecorded);
denied($owner, 'ALTER TABLE shop.doc DROP secret', $audited, 'alter table', 'shop.doc', $unrecorded);
denied($owner, 'ALTER TYPE shop.form DROP ATTRIBUTE secret CASCADE', 'ERROR 55000 table shop.typed is audited', 'alter type', 'shop.typed', $unrecorded);
denied($owner, 'DROP TABLE shop.doc', $kept, 'drop table', 'shop.doc', $administrator);
denied($owner, 'DROP TABLE shop.part_1', 'ERROR 42501 table shop.part_1 is audited', 'drop table', 'shop.part_1', $administrator);
denied($owner, 'DROP TABLE shop."odd ""name"', 'ERROR 42501 table shop."odd ""name" is audited', 'drop table', 'shop."odd ""name"', $administrator);
denied($owner, 'DROP OWNED BY owner CASCADE', $kept, 'drop owned', 'shop.doc', $administrator);
denied($owner, 'DROP TYPE shop.form CASCADE', 'ERROR 42501 table shop.typed is audited', 'drop type', 'shop.typed', $administrator);
denied($owner, q{DO $$ BEGIN DROP TABLE shop.doc; EXCEPTION WHEN insufficient_privilege THEN RAISE 'other'; END $$}, 'ERROR P0001 other', 'drop table', 'shop.doc', $administrator);
denied($owner, q{SELECT authz.unaudit('shop.doc')}, 'ERROR 42501 permission denied for function unaudit', 'unaudit', 'shop.doc', $administrator);
unrecorded($owner, 'INSERT INTO shop.doc VALUES (1)', '');
unrecorded($owner, 'ALTER TABLE shop.doc ADD more int DEFAULT shop.raise()', 'ERROR 42501 no');
unrecorded($owner, 'SET session_replication_role = replica', 'ERROR 42501 permission denied to set parameter "session_replication_role"');
unrecorded($owner, 'DELETE FROM shop.doc; ALTER TABLE shop.doc ADD more int; CREATE RULE r AS ON DELETE TO shop.doc DO INSTEAD NOTHING; ALTER TABLE shop.doc DISABLE RULE r', '');

# Who may read the logs, and nothing else.
my $auditor = connect_as('auditor');

unrecorded($auditor, 'SELECT count(*) > 0 FROM authz.audit_log', 't');
unrecorded($auditor, 'SELECT count(*) FROM authz.audit_verify() WHERE NOT ok', '0');
unrecorded($auditor, 'SELECT shop.raise() FROM authz.audit_log', 'ERROR 42501 no');
denied($auditor, 'DELETE FROM authz.denial_log', "$no denial_log", 'delete', 'authz.denial_log', $privilege);
denied($auditor, 'SELECT * FROM authz.audit_log FOR UPDATE', "$no audit_log", 'select', 'authz.audit_log', $privilege);
denied($auditor, q{SELECT authz.unaudit('shop.doc')}, 'ERROR 42501 permission denied for function unaudit', 'unaudit', 'shop.doc', $administrator);
denied($auditor, q{SELECT authz.audit_retain('0')}, 'ERROR 42501 permission denied for function audit_retain', 'audit_retain', 'authz.audit_log', $administrator);

# An administrator may; but for what he must not either.
my $admin = connect_as('admin');

unrecorded($admin, q{SELECT authz.unaudit('shop.part')}, '');
unrecorded($admin, q{SELECT authz.audit('shop.part')}, '');
denied($admin, 'UPDATE authz.audit_log SET subject = NULL', "$no audit_log", 'update', 'authz.audit_log', $privilege);
denied($admin, 'DROP TABLE shop.doc', "$not_owner doc", 'drop table', 'shop.doc', $privilege);

# A superuser.
my $super = connect_as('postgres');
my $fixed = 'ERROR 42501 records of table';

denied($super, 'UPDATE authz.audit_log SET subject = NULL', "$fixed authz.audit_log cannot be changed or deleted", 'update', 'authz.audit_log', $insert_only);
denied($super, "DELETE FROM $month", "$fixed $month cannot be changed or deleted", 'delete', $month, $insert_only);
denied($super, 'TRUNCATE authz.access_log', "$fixed authz.access_log cannot be changed or deleted", 'truncate', 'authz.access_log', $insert_only);
denied($super, 'DELETE FROM authz.denial_log', "$fixed authz.denial_log cannot be changed or deleted", 'delete', 'authz.denial_log', $insert_only);
denied($super, 'BEGIN; SET LOCAL session_replication_role = replica; DELETE FROM authz.audit_page', "$fixed authz.audit_page cannot be changed or deleted", 'delete', 'authz.audit_page', $insert_only);
$super->query('ROLLBACK');
denied($super, "ALTER TABLE $month DISABLE TRIGGER refuse_change", 'ERROR 42501 trigger "refuse_change" must stay enabled', 'alter table', $month, $guards);
denied($super, "DROP TRIGGER refuse_change ON $month", 'ERROR 42501 trigger "refuse_change" must stay', 'drop trigger', $month, $guards);
denied($super, "DROP TABLE $month", 'ERROR 42501 partitions of the logs are dropped by authz.audit_retain only', 'drop table', $month, $insert_only);
denied($super, 'ALTER TABLE shop.doc DISABLE TRIGGER ALL', $audited, 'alter table', 'shop.doc', $unrecorded);
is($super->query(q{SET session_replication_role = replica; INSERT INTO shop.doc (id, body) VALUES (7, 'x'); RESET session_replication_role;
	SELECT count(*) FROM authz.audit_log WHERE relation = 'shop.doc' AND key = '{"id": 7}'}), '1', 'session_replication_role: still audited');
unrecorded($super, 'DROP TABLE shop.doc', '');
is($super->query(q{SELECT count(*) FROM authz.audit_log WHERE relation = 'shop.doc' AND action = 'drop'}), '1', 'dropped by who may: recorded as that');

# Whoever is seen not to write: nothing came after the last.
sleep 1;
is(records(0), '', 'no further record');
is($node->safe_psql('postgres', 'SELECT logged FROM authz.denial_stats()'), '0', 'none went to the log');
is($node->safe_psql('postgres', q{SELECT count(*) FROM authz.denial_log WHERE kind = 'audit' AND attempt_transaction_id IS NULL}) > 0, 1, 'an attempt takes no transaction id');
is($node->safe_psql('postgres', q{SELECT denied > 0 FROM authz.activity WHERE subject = 'alice' AND relation = 'shop.doc' AND action = 'unaudit'}), 't', 'shown in authz.activity');
$node->stop;

# Without preloading: what authz itself refuses goes to the server's log; what PostgreSQL does, once the session has the library.
$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->start;
my $log = -s $node->logfile;
my $late = connect_as('app');
is($late->query('DELETE FROM authz.audit_log'), "$no audit_log", 'without the library: refused');
unlike(slurp_file($node->logfile, $log), qr/authz denial/, 'without the library: not recorded');
$late->query('SELECT authz.subject()');
is($late->query('DELETE FROM authz.audit_log'), "$no audit_log", 'with it: refused');
like(slurp_file($node->logfile, $log), qr/LOG:  authz denial: .*"database_role": "app".*"action": "delete", "relation": "authz.audit_log", .*"kind": "audit", "reason": "no privilege"/, 'with it: in the log');
$log = -s $node->logfile;
is(connect_as('postgres')->query('DELETE FROM authz.audit_log'), "$fixed authz.audit_log cannot be changed or deleted", 'a trigger brings it: refused');
like(slurp_file($node->logfile, $log), qr/"action": "delete", "relation": "authz.audit_log", .*"kind": "audit", "reason": "records are insert-only"/, 'a trigger brings it: in the log');
$node->stop;

done_testing();
