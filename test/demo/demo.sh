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
. "$(dirname "$0")/walk.sh"

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
			homepage text,
			PRIMARY KEY (package, architecture)
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
		CLUSTER package USING package_address_idx;
		VACUUM ANALYZE package;
	EOF
}

# Three database logins: who owns the table and administers authz, what an
# application connects as, and who reads the audit log.  No superuser: authz does
# not filter those.
create_logins()
{
	demo_sql <<-'EOF' || exit 1
		CREATE ROLE admin LOGIN;
		GRANT authz_admin TO admin;
		ALTER TABLE package OWNER TO admin;
		GRANT CREATE ON SCHEMA public TO admin;
		CREATE ROLE app LOGIN;
		GRANT SELECT ON package TO app;
		CREATE ROLE auditor LOGIN;
		GRANT authz_auditor TO auditor;
	EOF
}

copy_packages()
{
	apt-cache dumpavail | LC_ALL=C awk -f "$ROOT/test/demo/packages.awk" | demo_sql -c 'COPY package FROM STDIN'
}

# How to go on.  The place is closed to who called sudo.
farewell()
{
	local sudo=${SUDO_USER:+sudo }

	say
	say 'It still runs. Be alice, bob or carol; be the administrator; remove it all:'
	say "  ${sudo:+sudo env }PSQLRC=$STATE/psqlrc $psql -h $STATE/socket -U app demo"
	say "  $sudo$psql -h $STATE/socket -U admin demo"
	say '  make demo-stop'
}

case ${1:-} in
	start)
		check_show
		introduce
		bash "$ROOT/test/lib/deps.sh" demo || exit 1
		hash -r
		command -v openssl >/dev/null && command -v perl >/dev/null ||
			die 'the demonstration makes its keys and tokens with openssl and perl, and they are not both here'
		psql=$(command -v psql)
		find_server
		psql=${psql:+psql} psql=${psql:-$BINDIR/psql}
		demo_stop
		demo_install
		demo_cluster
		demo_sql -c 'CREATE EXTENSION authz' || exit 1
		load_packages
		create_logins
		walk
		write_psqlrc
		farewell
		;;
	stop)
		find_server
		if [ -e "$STATE" ] || [ -L "$STATE" ]; then
			demo_stop
			say "$STATE is removed. The extension stays installed; \"make uninstall\" removes it."
		fi
		;;
	*)
		die 'usage: demo.sh start|stop'
		;;
esac
