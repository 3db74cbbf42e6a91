#!/usr/bin/env bash
# deps.sh [demo]
#	  Set-up: what building and testing need, or only what building and the
#	  demonstration need, is there, or is installed (Debian 12), or is named
#	  (elsewhere; then the exit status is 1).
#
# Nothing that is there is touched: only missing packages are asked for, and a
# package that must match an installed one (headers and their library) is asked
# for in that version, so that apt does not upgrade a server in use.  Silent
# when nothing is missing.
#
# What comes from npm is the exception: it goes into test/orm/node_modules, by
# the lock file there, and where that cannot be done its test is skipped.
set -u
. "$(dirname "$0")/common.sh"

SCOPE=${1:-test}

has_header() { printf '#include <%s>\n' "$1" | gcc ${2:+-I"$2"} -E - >/dev/null 2>&1; }
has_module() { perl -M"$1" -e 1 >/dev/null 2>&1; }
# The system's Python, which is the one that distributions make packages for.
has_python() { /usr/bin/python3 -c "import importlib.util as u, sys; sys.exit(not u.find_spec('$1'))" >/dev/null 2>&1; }

is_debian_12()
{
	command -v apt-get >/dev/null && command -v dpkg-query >/dev/null &&
		(. /etc/os-release && [ "$ID $VERSION_ID" = 'debian 12' ]) 2>/dev/null
}

# Print a line "package<TAB>what" for everything missing.
missing()
{
	local server=

	lack() { printf '%s\t%s\n' "$1" "$2"; }

	command -v "${MAKE:-make}" >/dev/null || lack make 'GNU make'
	command -v gcc >/dev/null || lack gcc 'gcc'
	command -v openssl >/dev/null || lack openssl 'the openssl program'
	has_header stdio.h || lack libc6-dev "the C library's headers"
	has_header openssl/evp.h || lack libssl-dev "OpenSSL's headers (openssl/evp.h)"
	has_header jwt.h || lack libjwt-dev 'libjwt (jwt.h)'

	if find_pg_config; then
		case $("$PG_CONFIG" --version) in
			'PostgreSQL 15'*) server=$("$PG_CONFIG" --bindir) ;;
			*) lack - "PostgreSQL 15 ($PG_CONFIG is of $("$PG_CONFIG" --version))"; return ;;
		esac
	fi
	[ -x "${server:-/usr/lib/postgresql/15/bin}/postgres" ] ||
		lack postgresql-15 'PostgreSQL 15 server (postgres, initdb)'
	[ -n "$server" ] && [ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ] && [ -f "$("$PG_CONFIG" --pgxs)" ] ||
		lack postgresql-server-dev-15 'PostgreSQL 15 server headers and PGXS (pg_config, postgres.h)'
	if [ "$SCOPE" = demo ]; then
		command -v psql >/dev/null || [ -n "$server" ] && [ -x "$server/psql" ] || lack postgresql-client-15 'psql'
		command -v perl >/dev/null || lack perl 'Perl'
		return
	fi
	[ -n "$server" ] && [ -x "$(dirname "$("$PG_CONFIG" --pgxs)")/../test/isolation/pg_isolation_regress" ] ||
		lack postgresql-client-15 "PostgreSQL 15's test programs (pg_regress, pg_isolation_regress)"
	[ -n "$server" ] && [ -f "$("$PG_CONFIG" --sharedir)/extension/pgtap.control" ] ||
		lack postgresql-15-pgtap 'pgTAP (pgtap.control)'
	[ -n "$server" ] && [ -f "$("$PG_CONFIG" --sharedir)/extension/pgaudit.control" ] ||
		lack postgresql-15-pgaudit 'pgAudit, to compare with (pgaudit.control)'
	has_module TAP::Parser::SourceHandler::pgTAP || lack libtap-parser-sourcehandler-pgtap-perl 'pg_prove'
	has_module IPC::Run || lack libipc-run-perl "Perl's IPC::Run"
	# Only for the fuzzers; elsewhere they are skipped without it.
	! is_debian_12 || compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a' >/dev/null ||
		lack libclang-rt-14-dev "clang's libFuzzer"
	# Only for tests of a clock that is set; elsewhere they are skipped without it.
	! is_debian_12 || compgen -G '/usr/lib/*-linux-gnu/faketime/libfaketime.so.1' >/dev/null ||
		lack libfaketime 'libfaketime, to set the clock of a server'
	{ command -v pgbouncer || [ -x /usr/sbin/pgbouncer ]; } >/dev/null || lack pgbouncer 'PgBouncer'
	has_python psycopg2 || lack python3-psycopg2 "Python's psycopg2"
	has_python sqlalchemy || lack python3-sqlalchemy 'SQLAlchemy'
	has_python django || lack python3-django 'Django'
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# The package, and what it alone would pull up with it, in the version of an
# installed package that it must match, if apt still has that one.
in_version_of()
{
	local version

	version=$(dpkg-query -W -f '${Version}' "$2" 2>/dev/null)
	if is_installed "$2" && apt-cache madison "$1" | awk '{print $3}' | grep -qxF "$version"; then
		echo "$1=$version"
	else
		echo "$1"
	fi
}

apt()
{
	local log try

	log=$(mktemp)
	for try in 1 2 3 4; do
		[ $try = 1 ] || sleep $((try * 5))
		if as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" \
			>"$log" 2>&1 </dev/null; then
			rm -f "$log"
			return 0
		fi
	done
	tail -n 30 "$log"
	rm -f "$log"
	return 1
}

# Freshly installed servers are not to be started: tests run their own.
hold_services()
{
	[ -e /usr/sbin/policy-rc.d ] && return
	trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
	printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
	as_root chmod +x /usr/sbin/policy-rc.d
}

install_packages()
{
	local package wanted=()

	say "set-up: installing $*"
	apt update || die 'set-up: apt-get update failed'
	hold_services
	for package; do
		case $package in
			libc6-dev) wanted+=("$(in_version_of libc6-dev libc6)") ;;
			libssl-dev) wanted+=("$(in_version_of libssl-dev libssl3)") ;;
			libjwt-dev) wanted+=("$(in_version_of libjwt-dev libjwt0)") ;;
			postgresql-server-dev-15)
				wanted+=("$(in_version_of postgresql-server-dev-15 postgresql-15)")
				is_installed libpq-dev || wanted+=("$(in_version_of libpq-dev libpq5)")
				is_installed libssl-dev || wanted+=("$(in_version_of libssl-dev libssl3)")
				is_installed libc6-dev || wanted+=("$(in_version_of libc6-dev libc6)")
				;;
			*) wanted+=("$package") ;;
		esac
	done
	apt install -y --no-install-recommends --no-upgrade "${wanted[@]}" || die 'set-up: apt-get install failed'
}

# What test/orm/package.json names, for whom has npm and a registry.
install_node_modules()
{
	local directory=$ROOT/test/orm log

	command -v node >/dev/null && command -v npm >/dev/null ||
		{ say 'set-up: no Node.js with npm here, so SQLAlchemy and Django are tested, Sequelize is not'; return; }
	[ "$directory/node_modules/.package-lock.json" -nt "$directory/package-lock.json" ] && return
	say 'set-up: installing what test/orm/package.json names'
	log=$(mktemp)
	if ! timeout 120 npm ci --prefix "$directory" --ignore-scripts --no-audit --no-fund --no-update-notifier \
		--fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=20000 >"$log" 2>&1 </dev/null; then
		tail -n 5 "$log"
		rm -rf "$directory/node_modules"
		say 'set-up: npm could not install it, so SQLAlchemy and Django are tested, Sequelize is not'
	fi
	rm -f "$log"
}

[ "$SCOPE" = demo ] || install_node_modules
lacking=$(missing)
[ -n "$lacking" ] || exit 0

if is_debian_12; then
	# A server that is not Debian's gets nothing of Debian's server.
	foreign=
	case ${PG_CONFIG:-pg_config} in
		pg_config | /usr/bin/pg_config | /usr/lib/postgresql/15/bin/pg_config) ;;
		*) foreign=1 ;;
	esac
	packages=()
	while IFS=$'\t' read -r package what; do
		case ${foreign:+foreign-}$package in
			- | foreign-- | foreign-postgresql*) ;;
			*) is_installed "$package" || packages+=("$package") ;;
		esac
	done <<<"$lacking"
	if [ ${#packages[@]} -gt 0 ]; then
		install_packages "${packages[@]}"
		hash -r
		lacking=$(missing)
		[ -n "$lacking" ] || exit 0
	fi
else
	say 'set-up: this is not Debian 12, so nothing is installed for you.'
fi

say 'set-up: missing:'
cut -f 2 <<<"$lacking" | sed 's/^/  * /'
exit 1
