# cluster.sh
#	  Throw-away clusters: unix socket only, in a directory that nobody else
#	  enters (which is why "trust" is enough), not durable.  To be sourced after
#	  common.sh and find_server.
#
# A directory holds data/, socket/ and log.  The port is always 5432: the
# socket's directory makes it unique.

# Create one.  The configuration file is appended to the cluster's own.
cluster_create()
{
	local directory=$1 config=$2

	as_user mkdir -p -m 700 "$directory" "$directory/socket" &&
	as_user "$BINDIR/initdb" -D "$directory/data" -U postgres -A trust --no-sync --no-locale -E UTF8 \
		>"$directory/initdb.log" 2>&1 || { cat "$directory/initdb.log"; return 1; }
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$directory/socket'"
		echo 'port = 5432'
		cat "$config"
	} >>"$directory/data/postgresql.conf"
}

# Start it, and let clients find it.  SERVER_ENV, if set, is an array of
# environment variables for the server.
cluster_start()
{
	local directory=$1

	as_user env "${SERVER_ENV[@]+"${SERVER_ENV[@]}"}" "$BINDIR/pg_ctl" start -s -w -t 60 -D "$directory/data" \
		-l "$directory/log" || { tail -n 30 "$directory/log"; return 1; }
	export PGHOST=$directory/socket PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

# Stop it, politely at first.  Fine if it does not run.
cluster_stop()
{
	local directory=$1

	[ -f "$directory/data/postmaster.pid" ] || return 0
	as_user "$BINDIR/pg_ctl" stop -s -D "$directory/data" -m fast -t 20 >/dev/null 2>&1 ||
		as_user "$BINDIR/pg_ctl" stop -s -D "$directory/data" -m immediate >/dev/null 2>&1
}

# Print the settings with which a server finds the extension below a stage
# directory and not, or not only, in the system.
stage_settings()
{
	echo "extension_destdir = '$1'"
	echo "dynamic_library_path = '$1$PKGLIBDIR:\$libdir'"
}
