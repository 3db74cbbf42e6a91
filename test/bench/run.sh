#!/usr/bin/env bash
# run.sh
#	  The benchmarks: started by stage.sh, as an unprivileged user, in a copy of
#	  the tree.  Prints ratios, each of two things measured side by side.
set -u
. "$TREE/test/lib/common.sh"
. "$TREE/test/lib/cluster.sh"

cluster=$WORK/cluster
config=$WORK/postgresql.conf

trap 'cluster_stop "$cluster"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

{
	cat "$TREE/test/bench/postgresql.conf"
	stage_settings "$STAGE"
} >"$config"
cluster_create "$cluster" "$config" && cluster_start "$cluster" || exit 1
createdb bench
export PGDATABASE=bench
psql -qX -c 'CREATE EXTENSION authz' || exit 1

# The machine, for whoever quotes the numbers.
machine()
{
	say "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, $(psql -AtX -c 'SHOW server_version')"
}

machine
