#!/usr/bin/env bash
# audit.sh
#	  What recording changes and reads costs: started by stage.sh as run.sh is.
#
# The same statements on a table that is audited and on one that is not, in one
# cluster; and in another one, which preloads pgAudit, with and without it.
# pgAudit writes a line of text for a statement, not for a row.
set -u
. "$TREE/test/lib/common.sh"
. "$TREE/test/lib/cluster.sh"
. "$TREE/test/bench/lib.sh"

ROWS=200000
began=$SECONDS

trap 'cluster_stop "$WORK/pgaudit"; cluster_stop "$WORK/authz"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Start a cluster: NAME SETTING...
start()
{
	local name=$1

	shift
	{ cat "$TREE/test/bench/postgresql.conf"; stage_settings "$STAGE"; printf '%s\n' "$@"; } >"$WORK/$name.conf"
	cluster_create "$WORK/$name" "$WORK/$name.conf" && cluster_start "$WORK/$name" || exit 1
	touch_buffers "$name"
}

# A buffer that is used for the first time costs a page fault, more than a record does; a log that grows uses new
# ones all the time.  In a server that has run for a while they are not new.
touch_buffers()
{
	on "$1" sql -d postgres <<-'EOF'
		CREATE UNLOGGED TABLE filler (v char(500)) WITH (fillfactor = 10);
		INSERT INTO filler SELECT '' FROM generate_series(1, 140000);
		DROP TABLE filler;
	EOF
}

on() { PGHOST=$WORK/$1/socket "${@:2}"; }

# The tables of one side: "item" and "gone", and those of pgbench.
setup_side()
{
	createdb "$1" && pgbench -i -q -s 10 "$1" >/dev/null 2>&1 && sql -d "$1" <<-'EOF'
		CREATE EXTENSION authz;
		CREATE TABLE item (id bigint PRIMARY KEY, tenant_id int, name text, amount numeric, at timestamptz DEFAULT now());
		INSERT INTO item SELECT i, i % 100, 'name ' || i, i * 1.5 FROM generate_series(1, 100000) i;
		CREATE TABLE gone (LIKE item INCLUDING ALL);
		INSERT INTO gone SELECT i, i % 100, 'name ' || i, i * 1.5 FROM generate_series(1, 1000000) i;
		CREATE TABLE bulk (LIKE item INCLUDING ALL);
		CREATE TABLE person (LIKE item INCLUDING ALL);
		INSERT INTO person TABLE item;
		CREATE SEQUENCE next START 1000000;
		CREATE SEQUENCE first;
	EOF
}

# Statements per second of a script: SIDE_SCRIPT LENGTH.  Sides are databases; pgbench's own script has two clients.
tps()
{
	local side=${1%%_*} script=${1#*_} cluster=authz options=() clients=1 output

	case $side in
		pgaudit) cluster=pgaudit options=(-c pgaudit.log=write) ;;
		pgread) cluster=pgaudit side=pgaudit options=(-c pgaudit.log=read) ;;
		bare) cluster=pgaudit side=pgaudit options=(-c pgaudit.log=none) ;;
	esac
	[ "$script" != tpcb ] || clients=2
	output=$(PGOPTIONS="${options[*]}" on $cluster pgbench -n -M prepared -c $clients -j $clients -T "$2" \
		$([ "$script" = tpcb ] && echo -b tpcb-like || echo -f "$WORK/$script") "$side" 2>&1) &&
		sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$output" | grep . || { say "$1: $output" >&2; return 1; }
}

# Rows per second of the three bulk statements, one round of one side.
bulk()
{
	local side=${1%%_*} cluster=authz options=()

	case $side in
		pgaudit) cluster=pgaudit options=(-c pgaudit.log=write) ;;
		bare) cluster=pgaudit side=pgaudit options=(-c pgaudit.log=none) ;;
	esac
	PGOPTIONS="${options[*]}" on $cluster sql -d "$side" <<-EOF |
		TRUNCATE bulk;
		CHECKPOINT;
		\timing on
		INSERT INTO bulk SELECT i, i % 100, 'name ' || i, i * 1.5 FROM generate_series(1, $ROWS) i;
		UPDATE bulk SET amount = amount + 1;
		DELETE FROM bulk;
	EOF
		awk -v rows=$ROWS '/^Time:/ { print rows * 1000 / $2 }'
}

bulk_rounds()
{
	local round side sides=(audited plain pgaudit bare) kind kinds=(insert update delete) i values

	for ((round = 1; round <= $1; round++)); do
		for side in "${sides[@]}"; do
			mapfile -t values < <(bulk "$side")
			[ ${#values[@]} = 3 ] || exit 1
			for i in 0 1 2; do record "${side}_bulk_${kinds[i]}" "$round" "${values[i]}"; done
		done
	done
}

start authz "session_preload_libraries = 'authz'"
for side in plain audited; do setup_side $side || exit 1; done
sql -d audited -c "SELECT authz.audit(r) FROM unnest('{item,gone,bulk,pgbench_accounts,pgbench_branches,pgbench_tellers,pgbench_history}'::regclass[]) r" >/dev/null
sql -d audited -c "SELECT authz.audit('person', '{}', reads => true)" >/dev/null
start pgaudit "shared_preload_libraries = 'pgaudit'" "session_preload_libraries = 'authz'"
setup_side pgaudit && sql -d pgaudit -c 'CREATE EXTENSION pgaudit' || exit 1
for side in plain audited; do on authz sql -d $side -c 'VACUUM ANALYZE' -c CHECKPOINT; done
on pgaudit sql -d pgaudit -c 'VACUUM ANALYZE' -c CHECKPOINT

printf '%s\n' '\set id random(1, 100000)' '\set v random(1, 1000000)' 'UPDATE item SET amount = :v WHERE id = :id;' >"$WORK/update"
echo "INSERT INTO item (id, tenant_id, name, amount) VALUES (nextval('next'), 5, 'name', 3.5);" >"$WORK/insert"
echo "DELETE FROM gone WHERE id = (SELECT nextval('first'));" >"$WORK/delete"
printf '%s\n' '\set id random(1, 100000)' 'SELECT name FROM person WHERE id = :id;' >"$WORK/point"
printf '%s\n' '\set id random(1, 99000)' 'SELECT id, name, amount FROM person WHERE id BETWEEN :id AND :id + 999;' >"$WORK/thousand"
echo 'SELECT count(*), sum(amount) FROM person;' >"$WORK/aggregate"
for kind in update insert delete; do ln -s $kind "$WORK/durable_$kind"; done
say "$(printf '%-10s %5s s' set-up $((SECONDS - began)))"

line '' audited plain ratio range best target ''
for kind in update insert delete tpcb; do rounds "$ROUNDS" tps "$LENGTH" {audited,plain,pgaudit,bare}_$kind; done
# As servers run: a commit waits for the disk.
on authz sql -d postgres -c 'ALTER SYSTEM SET fsync = on' -c 'SELECT pg_reload_conf()' >/dev/null
for kind in update insert delete; do rounds "$ROUNDS" tps "$LENGTH" {audited,plain}_durable_$kind; done
on authz sql -d postgres -c 'ALTER SYSTEM RESET fsync' -c 'SELECT pg_reload_conf()' >/dev/null
say 'one row, one transaction, per second (ratio: of times)'
for kind in update insert delete; do row "  ${kind^^}" {audited,plain}_$kind '<= 1.3'; done
for kind in update insert delete; do row "  ${kind^^}, with fsync" {audited,plain}_durable_$kind '<='; done
for kind in update insert delete; do row "  ${kind^^}, pgAudit" {pgaudit,bare}_$kind '<='; done
say "TPC-B-like, 2 clients, all four tables, per second (ratio: of times)"
row '  audited' {audited,plain}_tpcb '<='
row '  pgAudit' {pgaudit,bare}_tpcb '<='

# Bytes of what those left, before the bulk.
size="FROM pg_inherits i WHERE i.inhparent = 'authz.audit_log'::regclass"
say "bytes of audit_log per change, with its indexes: $(on authz sql -d audited -c "SELECT sum(pg_total_relation_size(i.inhrelid))::bigint / (SELECT count(*) FROM authz.audit_log) $size")"
say "bytes of the server's log per statement, pgAudit: $(grep AUDIT: "$WORK/pgaudit/log" | awk '{ n += length($0) + 1 } END { printf "%d", n / NR }')"

bulk_rounds "$FEWER"
say "$ROWS rows by one statement, rows per second (ratio: of times)"
row '  INSERT' {audited,plain}_bulk_insert '<= 4'
for kind in update delete; do row "  ${kind^^}" {audited,plain}_bulk_$kind '<='; done
for kind in insert update delete; do row "  ${kind^^}, pgAudit (one line for all rows)" {pgaudit,bare}_bulk_$kind '<='; done

on authz sql -d audited <<-EOF | awk '/^Time:/ { t[++n] = $2; next } { v[++m] = $0 }
	END { printf "%d records, %d MB: sealed at %.0f MB/s, verified at %.0f MB/s (goal >= 100): %s\n", v[1], v[2] / 1e6, v[2] / 1e3 / t[1], v[2] / 1e3 / t[2], v[3] == "t" ? "ok" : "NOT OK" }'
	SELECT count(*) FROM authz.audit_log;
	SELECT sum(pg_relation_size(i.inhrelid)) $size;
	\timing on
	SELECT authz.audit_seal() \g /dev/null
	SELECT bool_and(ok) FROM authz.audit_verify();
EOF

for kind in point thousand aggregate; do rounds "$FEWER" tps "$LENGTH" {audited,plain,pgread,bare}_$kind; done
say 'reads: statements per second (ratio: of times)'
row '  SELECT of 1 row, by its key' {audited,plain}_point '<='
row '  SELECT of 1,000 rows' {audited,plain}_thousand '<='
row '  aggregate over 100,000 rows' {audited,plain}_aggregate '<='
row '  SELECT of 1 row, pgAudit' {pgread,bare}_point '<='
row '  SELECT of 1,000 rows, pgAudit' {pgread,bare}_thousand '<='
row '  aggregate over 100,000 rows, pgAudit' {pgread,bare}_aggregate '<='
say "bytes of access_log per read, with its index: $(on authz sql -d audited -c "SELECT sum(pg_total_relation_size(i.inhrelid))::bigint / (SELECT count(*) FROM authz.access_log)
	FROM pg_inherits i WHERE i.inhparent = 'authz.access_log'::regclass")"
say "$((SECONDS - began)) s; load at end $(cut -d ' ' -f 1 /proc/loadavg)"
