#!/usr/bin/env bash
# demo.sh start|stop
#	  The demonstration: install the extension, start a throw-away cluster, load
#	  the metadata of the Debian archive, walk through what authz does.
#
# Its place is fixed, so that "stop" and a second "start" find it; it belongs to
# the user who runs the cluster, and nobody else enters it.
set -u
. "$(dirname "$0")/../lib/common.sh"
. "$(dirname "$0")/../lib/cluster.sh"

# The caller's settings are for the caller's servers.
for variable in "${!PG@}"; do
	[ "$variable" = PG_CONFIG ] || unset "$variable"
done

STATE=${TMPDIR:-/tmp}
if [ ${#STATE} -gt 50 ] || ! (cd / && as_user test -w "$STATE" -a -x "$STATE"); then STATE=/tmp; fi
STATE=$STATE/authz-demo-$(id -un)

# The place, if it is there, must be ours: its name can be guessed.
check_state()
{
	[ ! -L "$STATE" ] && [ -d "$STATE" ] && [ "$(stat -c %U "$STATE")" = "$(run_user)" ] ||
		die "$STATE is there, but is not a directory of $(run_user); remove it first"
}

demo_stop()
{
	[ -e "$STATE" ] || [ -L "$STATE" ] || return 0
	check_state
	cd /
	cluster_stop "$STATE"
	rm -rf "$STATE"
}

# Install into the system, as root if the place wants it.
demo_install()
{
	build "$ROOT" all || die 'the build failed'
	if [ -w "$PKGLIBDIR" ] && [ -w "$SHAREDIR/extension" ]; then
		build "$ROOT" install || die 'the installation failed'
	else
		as_root "${MAKE:-make}" -s --no-print-directory -C "$ROOT" PG_CONFIG="$PG_CONFIG" install >/dev/null ||
			die 'the installation failed'
	fi
}

demo_cluster()
{
	(umask 077 && cd / && as_user mkdir "$STATE") || die "cannot make $STATE"
	cd /
	cluster_create "$STATE" "$ROOT/test/demo/postgresql.conf" && cluster_start "$STATE" || die 'the cluster does not start'
	psql -qX -c 'CREATE DATABASE demo' || exit 1
	export PGDATABASE=demo
}

# psql for the demonstration's own use: stops at an error, says nothing.
demo_sql() { psql -qX -v ON_ERROR_STOP=1 "$@"; }

# Load the archive's metadata into the table "package".
load_packages()
{
	local count

	demo_sql -f - <<-'EOF' || exit 1
		CREATE TABLE package (
			package text NOT NULL,
			version text NOT NULL,
			architecture text NOT NULL,
			section text NOT NULL,
			priority text,
			maintainer text NOT NULL,
			address text NOT NULL,
			installed_size bigint,
			size bigint,
			homepage text
		);
		COMMENT ON TABLE package IS 'the metadata of the Debian archive as apt holds it';
		COMMENT ON COLUMN package.installed_size IS 'bytes';
		COMMENT ON COLUMN package.size IS 'bytes';
	EOF
	command -v apt-cache >/dev/null ||
		die 'the demonstration shows the metadata of the Debian archive, and there is no apt-cache here'
	copy_packages
	count=$(demo_sql -At -c 'SELECT count(*) FROM package')
	if [ "$count" -lt 1000 ]; then
		# Images often come without apt's lists.
		say 'apt has no package lists yet: fetching them'
		as_root apt-get -q update >/dev/null 2>&1
		demo_sql -c 'TRUNCATE package'
		copy_packages
		count=$(demo_sql -At -c 'SELECT count(*) FROM package')
		[ "$count" -ge 1000 ] || die "apt holds the metadata of only $count packages"
	fi
	demo_sql <<-'EOF'
		CREATE INDEX package_address_idx ON package (address);
		CREATE INDEX package_section_idx ON package (section);
		VACUUM ANALYZE package;
	EOF
}

copy_packages()
{
	apt-cache dumpavail | LC_ALL=C awk -f "$ROOT/test/demo/packages.awk" | demo_sql -c 'COPY package FROM STDIN'
}

# step TITLE SQL [psql's options]: show what is run and what comes back.
# Errors are part of the show.
step()
{
	local title=$1 sql=$2

	shift 2
	printf '\n-- %s\n%s\n' "$title" "$sql"
	psql -qX -P pager=off "$@" <<<"$sql" 2>&1
}

#
# Open sessions: psql in the background, fed through a pipe.
#   session_open NAME [psql's options]
#   session_send NAME SQL     does not wait
#   session_show NAME         waits for what was sent, and shows what came back
#
declare -A session_input session_sent session_shown

session_open()
{
	local name=$1 descriptor

	shift
	mkfifo "$STATE/$name.in"
	psql -qX -P pager=off "$@" <"$STATE/$name.in" >"$STATE/$name.out" 2>&1 &
	exec {descriptor}>"$STATE/$name.in"
	session_input[$name]=$descriptor
	session_sent[$name]=0
	session_shown[$name]=0
}

session_send()
{
	session_sent[$1]=$((session_sent[$1] + 1))
	printf '%s\n\\echo =done %d=\n' "$2" "${session_sent[$1]}" >&"${session_input[$1]}"
}

session_show()
{
	local tries

	for ((tries = 0; tries < 600; tries++)); do
		grep -q "^=done ${session_sent[$1]}=$" "$STATE/$1.out" && break
		sleep 0.05
	done
	tail -n "+$((session_shown[$1] + 1))" "$STATE/$1.out" | grep -v '^=done [0-9]*=$'
	session_shown[$1]=$(wc -l <"$STATE/$1.out")
}

# The walk.
walk()
{
	step 'The rows: what apt knows about the packages of this machine' \
		'SELECT count(*), count(DISTINCT section) AS sections, count(DISTINCT address) AS maintainers FROM package;'
}

case ${1:-} in
	start)
		find_server
		demo_stop
		demo_install
		demo_cluster
		demo_sql -c 'CREATE EXTENSION authz' || exit 1
		load_packages
		walk
		printf '\nIt still runs. Look around:  psql -h %s -U postgres demo\nRemove it:  make demo-stop\n' "$STATE/socket"
		;;
	stop)
		find_server
		demo_stop
		;;
	*)
		die 'usage: demo.sh start|stop'
		;;
esac
