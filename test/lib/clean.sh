#!/usr/bin/env bash
# clean.sh [COMMAND ARGUMENT...]
#	  Remove what earlier tests may have left in a cluster, then run the command.
#	  pg_regress and pg_isolation_regress start every test through it
#	  (--launcher), so that a test that failed or died does not fail the others.
#
# The command finds its database as pg_regress makes it, new, with nothing in
# it but the extension; no role regress_authz_*; and authz_view as the extension
# makes it.  Only databases of the names below are dropped.  A test role that
# has something in another database is an error, and fails the test.
#
# New databases are copies of a template with the extension, made once in a run
# (told by the process that runs the tests): a copy takes a fraction of the time.
#
# Silent if all goes well: what it prints would be the test's output.
set -u

TEST_DATABASES="('authz_regress', 'authz_isolation', 'authz_discard', 'isolation_regression')"

# The database of the command: psql's -d NAME, isolationtester's dbname=NAME.
database=
previous=
for argument; do
	case $previous$argument in
		-d?*) database=${argument#-d} ;;
		dbname=*) database=${argument#dbname=} ;;
	esac
	previous=
	[ "$argument" != -d ] || previous=-d
done

psql=psql
case ${1:-} in
	*/psql) psql=$1 ;;
esac

# The options of the tests' sessions are not for these.
sql()
{
	local name=$1

	shift
	PGOPTIONS='-c client_min_messages=warning' "$psql" -qXAt -v ON_ERROR_STOP=1 -v database="$database" -d "$name" "$@" || exit 1
}

# A prepared transaction ends in its own database only, and holds it.
end_prepared()
{
	local name

	for name in $(sql postgres -c "SELECT DISTINCT database FROM pg_catalog.pg_prepared_xacts WHERE database IN $TEST_DATABASES"); do
		sql "$name" <<-'EOF'
			SELECT pg_catalog.format('ROLLBACK PREPARED %L', gid) FROM pg_catalog.pg_prepared_xacts
				WHERE database = pg_catalog.current_database() \gexec
		EOF
	done
}

# The database as pg_regress made it, with the extension.
make_template()
{
	[ -z "$(sql postgres -c "SELECT 1 FROM pg_catalog.pg_database d WHERE d.datname = 'authz_test_template'
		AND pg_catalog.shobj_description(d.oid, 'pg_database') = 'run $PPID'")" ] || return 0
	sql postgres <<-EOF
		DROP DATABASE IF EXISTS authz_test_template WITH (FORCE);
		SELECT pg_catalog.format('CREATE DATABASE authz_test_template TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
				pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype)
			FROM pg_catalog.pg_database WHERE datname = :'database' \gexec
	EOF
	sql authz_test_template -c 'CREATE EXTENSION authz'
	sql postgres -c "COMMENT ON DATABASE authz_test_template IS 'run $PPID'"
}

clean()
{
	[ -z "$database" ] || make_template
	end_prepared
	sql postgres <<-EOF
		SELECT pg_catalog.format('DROP DATABASE %I WITH (FORCE)', datname)
			FROM pg_catalog.pg_database WHERE datname IN $TEST_DATABASES \gexec
		SELECT pg_catalog.format('CREATE DATABASE %I TEMPLATE authz_test_template', :'database') WHERE :'database' <> '' \gexec
		SELECT pg_catalog.format('ALTER DATABASE %I SET %s TO %L', :'database', name, value)
			FROM (VALUES ('lc_messages', 'C'), ('lc_monetary', 'C'), ('lc_numeric', 'C'), ('lc_time', 'C'),
				('bytea_output', 'hex'), ('timezone_abbreviations', 'Default')) AS s (name, value)
			WHERE :'database' <> '' \gexec

		-- The role that the extension made: a test gives it another name, and other attributes.
		SELECT 'ALTER ROLE regress_authz_view RENAME TO authz_view' FROM pg_catalog.pg_roles WHERE rolname = 'regress_authz_view'
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'authz_view') \gexec
		SELECT 'ALTER ROLE authz_view NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
			FROM pg_catalog.pg_roles WHERE rolname = 'authz_view' \gexec
		SELECT pg_catalog.format('DROP OWNED BY %I; DROP ROLE %1\$I', rolname)
			FROM pg_catalog.pg_roles WHERE rolname LIKE 'regress\_authz\_%' \gexec
	EOF
}

# Standard input is the test.
clean </dev/null
[ $# = 0 ] || exec "$@"
