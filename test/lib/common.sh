# common.sh
#	  What every script here shares: messages, the server's places, the user who
#	  runs servers, a work directory.  To be sourced.
#
# PostgreSQL refuses to run as root.  So a script that is root gives the work
# directory to an unprivileged user and starts everything below it through
# as_user; a script that is not root is that user itself.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# Find the pg_config of PostgreSQL 15 and set PG_CONFIG, or fail.  What the
# caller named is taken as it is; the name alone means: the one in PATH, if it
# is of 15, else the places where distributions put 15.
find_pg_config()
{
	local candidate

	if [ "${PG_CONFIG:=pg_config}" != pg_config ]; then
		command -v "$PG_CONFIG" >/dev/null
		return
	fi
	for candidate in pg_config /usr/lib/postgresql/15/bin/pg_config /usr/pgsql-15/bin/pg_config; do
		case $("$candidate" --version 2>/dev/null) in
			'PostgreSQL 15'*)
				PG_CONFIG=$candidate
				return 0
				;;
		esac
	done
	return 1
}

# Set BINDIR, PKGLIBDIR, SHAREDIR and PGXS_SRC from PG_CONFIG.
find_server()
{
	find_pg_config || die 'no pg_config of PostgreSQL 15 found'
	BINDIR=$("$PG_CONFIG" --bindir)
	PKGLIBDIR=$("$PG_CONFIG" --pkglibdir)
	SHAREDIR=$("$PG_CONFIG" --sharedir)
	PGXS_SRC=$(dirname "$(dirname "$("$PG_CONFIG" --pgxs)")")
	PATH=$BINDIR:$PATH
	export PG_CONFIG BINDIR PKGLIBDIR SHAREDIR PGXS_SRC PATH
}

# The user who runs servers.
run_user()
{
	if [ "$(id -u)" != 0 ]; then
		id -un
	elif id postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

as_user()
{
	if [ "$(id -u)" != 0 ]; then
		"$@"
	elif command -v setpriv >/dev/null; then
		setpriv --reuid="$(run_user)" --regid="$(id -g "$(run_user)")" --init-groups -- "$@"
	else
		runuser -u "$(run_user)" -- "$@"
	fi
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root or sudo: $*"
	fi
}

# Make a directory that only the unprivileged user enters and set WORK.  Not
# in a TMPDIR that this user cannot reach, or so long that a socket's path
# would not fit.
make_work()
{
	local parent=${TMPDIR:-/tmp}

	if [ ${#parent} -gt 50 ] || ! (cd / && as_user test -w "$parent" -a -x "$parent"); then
		parent=/tmp
	fi
	WORK=$(mktemp -d "$parent/authz-$1.XXXXXX") || die "cannot make a directory in $parent"
	[ "$(id -u)" != 0 ] || chown "$(run_user):" "$WORK"
}

# Stop what still runs below a directory.
stop_servers_below()
{
	local file

	find "$1" -name postmaster.pid 2>/dev/null | while read -r file; do
		(cd / && as_user "$BINDIR/pg_ctl" stop -s -D "$(dirname "$file")" -m immediate) >/dev/null 2>&1
	done
}

# Run make for the extension, quietly; its messages are shown if it fails.
build()
{
	local directory=$1 log

	shift
	log=$(mktemp)
	if ! "${MAKE:-make}" -s -j "$(nproc)" --no-print-directory -C "$directory" PG_CONFIG="$PG_CONFIG" "$@" >"$log" 2>&1; then
		cat "$log"
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}
