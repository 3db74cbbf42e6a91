#!/usr/bin/env bash
# run.sh
#	  The benchmarks: started by stage.sh, as an unprivileged user, in a copy of
#	  the tree.  Prints ratios, each of two things measured side by side.
#
# How it measures is in lib.sh.
set -u
. "$TREE/test/lib/common.sh"
. "$TREE/test/lib/cluster.sh"
. "$TREE/test/bench/lib.sh"

cluster=$WORK/cluster
config=$WORK/postgresql.conf
bench=$TREE/test/bench
began=$SECONDS

trap 'cluster_stop "$cluster"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

{
	cat "$bench/postgresql.conf"
	stage_settings "$STAGE"
} >"$config"

cluster_create "$cluster" "$config" && cluster_start "$cluster" || exit 1
createdb bench
export PGDATABASE=bench
mkdir "$WORK/bench" && cd "$WORK/bench" || exit 1

#
# Scripts for pgbench
#

# A statement with @ for the number of a tenant, chosen among 50 by :i, so that
# the identity changes nearly every time and the other statements stay the same.
choose()
{
	local statement=$1 low=${2:-1} high=${3:-50} middle

	if [ "$low" = "$high" ]; then
		printf '%s\n' "${statement//@/$low}"
		return
	fi
	middle=$(((low + high) / 2))
	printf '\\if :i <= %d\n' "$middle"
	choose "$statement" "$low" "$middle"
	printf '\\else\n'
	choose "$statement" $((middle + 1)) "$high"
	printf '\\endif\n'
}

# The same with SET: a literal, for SET takes no parameters.
choose_set()
{
	local what=$1 column=$2 number

	choose "$what = '<@>';" | while IFS= read -r line; do
		number=${line#*<}
		if [ "$number" != "$line" ] && [ "${line#\\}" = "$line" ]; then
			printf "%s = '%s';\n" "$what" "${value[$column${number%>*}]}"
		else
			printf '%s\n' "$line"
		fi
	done
}

write_scripts()
{
	local i='\set i random(1, 50)' id='\set id random(0, 999) * 1000 + :i'
	local total='SELECT count(*), sum(amount) FROM item' login='SELECT authz.login(:token@, false);'
	local claims="SELECT set_config('request.jwt.claims', :claims@, true);" relation

	say "$total;" >aggregate_session
	{ say '\set one 1'; say "$total WHERE tenant_id = :one;"; } >aggregate_one
	{ say "$i"; say "$total WHERE tenant_id = :i;"; } >aggregate_where
	{ say "$i"; say 'SELECT 1;'; say "$total WHERE tenant_id = :i;"; } >aggregate_after
	{ say "$i"; choose "$login"; say "$total;"; } >aggregate_authz
	{ say "$i"; say '\startpipeline'; choose "$login"; say "$total;"; say '\endpipeline'; } >aggregate_pipeline
	{ say "$i"; say "SELECT set_config('bench.tenant', :i::text, false);"; say "${total}_native;"; } >aggregate_native
	{
		say "$i"
		say 'BEGIN;'
		choose "SELECT set_config('role', 'bench_tenant', true), set_config('request.jwt.claims', :claims@, true);"
		say "${total}_native;"
		say 'COMMIT;'
	} >aggregate_postgrest

	{ say "$i"; say "$id"; say 'BEGIN;'; choose "$claims"
	  say 'SELECT amount FROM item_native WHERE id = :id;'; say 'COMMIT;'; } >point_claims
	{ say "$i"; say "$id"; say 'BEGIN;'; choose 'SELECT authz.login(:token@);'
	  say 'SELECT amount FROM item WHERE id = :id;'; say 'COMMIT;'; } >point_login
	{ say "$i"; say "$id"; say 'BEGIN;'; choose_set 'SET LOCAL authz.token' token
	  say 'SELECT amount FROM item WHERE id = :id;'; say 'COMMIT;'; } >point_set

	id='\set id random(1, 100000)'
	for relation in person person_plain person_masked; do
		{ say "$id"; say "SELECT salary FROM $relation WHERE address = 'person-' || :id || '@example.org';"; } >look_up_$relation
		{ say "$id"; say "UPDATE $relation SET visits = visits + 1 WHERE id = :id;"; } >update_$relation
	done

	{ say "$i"; choose "$login"; } >switch_login
	{ say "$i"; choose "${claims/true/false}"; } >switch_set_config
	{ say "$i"; choose_set 'SET authz.token' token; } >switch_set_token
	{ say "$i"; choose_set 'SET request.jwt.claims' claims; } >switch_set_claims
}

#
# Measuring
#

# Transactions per second of KEY, which is SCRIPT@ROLE[@PURPOSE]; the purpose's
# token is set from the connection's options.  The length is in seconds, or as in
# 3000x a number of transactions.
tps()
{
	local key=$1 length=-T$2 script role purpose output

	[ "$length" = "${length%x}" ] || length=-t${2%x}
	IFS=@ read -r script role purpose <<<"$key"
	output=$(PGOPTIONS="-c bench.role=tenant ${purpose:+-c authz.token=${value[$purpose]}}" \
		pgbench -n -M prepared -c 1 -j 1 "$length" -U "$role" "${variables[@]}" -f "$script" 2>&1) &&
		sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$output" | grep . || { say "$key: $output" >&2; return 1; }
}

# scans PURPOSE NUMBER AUTHZ BARE: single queries in turn in one session, for they
# are long enough: AUTHZ with the purpose's identity, and BARE as a role without
# row security.  Keys are authz_PURPOSE, bare_PURPOSE.
scans()
{
	local purpose=$1 number=$2 i

	{
		say "PREPARE authz AS $3;"
		say "PREPARE bare AS $4;"
		for ((i = 0; i <= number; i++)); do
			printf '%s\n' 'SET ROLE bench_app;' '\timing on' 'EXECUTE authz \g /dev/null' '\timing off' \
				'SET ROLE bench_plain;' '\timing on' 'EXECUTE bare \g /dev/null' '\timing off'
		done
	} | PGOPTIONS="-c authz.token=${value[$purpose]}" sql -f - |
		awk -v purpose="$purpose" '/^Time:/ { if (n >= 2) printf "%s_%s\t%d\t%s\n", n % 2 ? "bare" : "authz", purpose, n / 2, 1000 / $2; n++ }' >>"$results"
}

# As rounds wants them: microseconds inside the server.
switching() { sql -U bench_app -c "SELECT switching_time('tenant', ${1#switching_}, $2)"; }
planning()
{
	PGOPTIONS="-c bench.tenant=1 -c authz.token=${value[tenant]}" \
		sql -U bench_app -c "SELECT planning_time('SELECT kind FROM ${1#planning_} WHERE id = 1', $2)"
}
# The key is planning_wide_VIEW_PURPOSE.
planning_wide()
{
	local view purpose

	IFS=_ read -r _ _ view purpose <<<"$1"
	PGOPTIONS="-c authz.token=${value[$purpose]}" \
		sql -U bench_app -c "SELECT planning_time('SELECT * FROM wide_$view WHERE id = 1', $2)"
}

#
# Reporting
#

machine()
{
	say "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores; PostgreSQL $(sql -c 'SHOW server_version'); pgbench -M prepared, 1 client, unix socket"
	say "shared_buffers 1GB, everything cached; jit, parallel query, autovacuum, malloc trimming off; $ROUNDS rounds of $LENGTH s; load at start $(cut -d ' ' -f 1 /proc/loadavg)"
}

#
# Set-up
#

perl "$bench/tokens.pl" . || exit 1
sql -f "$bench/setup.sql" || exit 1
declare -A value				# of a tenant's number, or of a purpose
variables=()
while IFS=$'\t' read -r purpose number token claims; do
	if [ "$purpose" = tenant ]; then
		value[token$number]=$token
		value[claims$number]=$claims
		variables+=(-D "token$number=$token" -D "claims$number=$claims")
	fi
	[ "$number" != 1 ] || value[$purpose]=$token
done <token.tsv
write_scripts

# What is compared must do the same work.
same()
{
	local expected=$1 answer

	shift
	answer=$("$@") && [ "$answer" = "$expected" ] || die "not the same rows: $* gives '$answer', not '$expected'"
}
for role in bare bare_admin wrapped wrapped_admin; do
	PGOPTIONS='-c bench.tenant=1 -c bench.role=tenant' same 1000 sql -U bench_$role -c 'SELECT count(*) FROM item_native'
done
PGOPTIONS='-c request.jwt.claims={"tenant":1}' same 1000 sql -U bench_claims -c 'SELECT count(*) FROM item_native'
PGOPTIONS='-c request.jwt.claims={"tenant":1} -c role=bench_tenant' same 1000 sql -U bench_authenticator -c 'SELECT count(*) FROM item_native'
same 1000000 sql -U bench_plain -c 'SELECT count(*) FROM item'
for purpose in tenant admin by_column by_attribute by_role; do
	condition=$(sql -c "SELECT condition FROM authz.policy WHERE relation = 'item'::regclass AND name = '$purpose'")
	export PGOPTIONS="-c authz.token=${value[$purpose]}"
	same "$(sql -U bench_plain -c "SELECT count(*) FROM item AS resource WHERE $condition")" sql -U bench_app -c 'SELECT count(*) FROM item'
done
# Columns masked by policy and by hand: a purpose, where it is by hand, and the columns there.
cells='sum(length(address)), sum(salary)'
declare -A bare=(
	[clear]="SELECT $cells FROM person"
	[partly]="SELECT $cells FROM person_partly"
	[never]='SELECT sum(length(authz.mask_email(address))), sum(authz.mask_round(salary, 1000::bigint)) FROM person')
for purpose in "${!bare[@]}"; do
	export PGOPTIONS="-c authz.token=${value[$purpose]}"
	same "$(sql -U bench_plain -c "${bare[$purpose]}")" sql -U bench_app -c "SELECT $cells FROM person_masked"
done
export PGOPTIONS="-c authz.token=${value[clear]}"
same $'Index Scan using person_address_idx on person t\n  Index Cond: (address = \'x\'::text)' \
	sql -U bench_app -c "EXPLAIN (COSTS OFF) SELECT salary FROM person_masked WHERE address = 'x'"
unset PGOPTIONS
say "$(printf '%-10s %5s s' set-up $((SECONDS - began)))"

#
# The measurements
#

machine
line '' authz against ratio range best target ''

rounds "$ROUNDS" tps "$LENGTH" aggregate_session@bench_app@tenant aggregate_one@bench_plain
rounds "$ROUNDS" tps "$LENGTH" aggregate_authz@bench_app aggregate_{where,after}@bench_plain aggregate_pipeline@bench_app
rounds "$FEWER" tps "$LENGTH" aggregate_native@bench_{bare,bare_admin,wrapped,wrapped_admin} aggregate_postgrest@bench_authenticator
say "aggregate over one of 1,000 tenants' rows, per second"
row '  identity of the session, against WHERE' aggregate_session@bench_app@tenant aggregate_one@bench_plain '>= 0.95'
say '  the same, and each sets another identity first'
row '  against WHERE, no identity' aggregate_authz@bench_app aggregate_where@bench_plain '>= 0.95'
row '  against WHERE after a round trip (SELECT 1)' aggregate_authz@bench_app aggregate_after@bench_plain
row '  in one round trip (pipeline), against WHERE' aggregate_pipeline@bench_app aggregate_where@bench_plain
row '  RLS by current_setting' aggregate_authz@bench_app aggregate_native@bench_bare
row '  RLS by current_setting, or admin' aggregate_authz@bench_app aggregate_native@bench_bare_admin
row '  RLS by (SELECT current_setting)' aggregate_authz@bench_app aggregate_native@bench_wrapped
row '  RLS by (SELECT current_setting), or admin' aggregate_authz@bench_app aggregate_native@bench_wrapped_admin
row "  PostgREST's: role and claims, in a transaction" aggregate_authz@bench_app aggregate_postgrest@bench_authenticator

rounds "$ROUNDS" tps "$LENGTH" point_login@bench_app point_claims@bench_claims point_set@bench_app
say 'point look-up, identity set in the same transaction, per second'
row '  authz.login against set_config, RLS on claims' point_login@bench_app point_claims@bench_claims '>= 0.95'
row '  SET LOCAL authz.token against the same' point_set@bench_app point_claims@bench_claims '>= 0.95'

total='SELECT count(*), sum(amount) FROM item'
scans admin $((ROUNDS * 3)) "$total" "$total"
scans by_column $((ROUNDS * 3)) "$total" "$total WHERE amount % 10 < 5"
scans by_attribute $((ROUNDS * 3)) "$total" "$total WHERE region = authz.attr_bigint('tenant')"
scans by_role $((ROUNDS * 3)) "$total" "$total WHERE authz.has_role(kind)"
say 'full scan of 1,000,000 rows, per second'
row '  policy "true" against no RLS' authz_admin bare_admin '>= 0.98'
row '  amount % 10 < 5, against the same in WHERE' authz_by_column bare_by_column '<= 1.1'
row "  region = authz.attr_bigint('tenant'), the same" authz_by_attribute bare_by_attribute '<= 1.1'
row '  authz.has_role(kind), the same' authz_by_role bare_by_role '<= 1.1'

for purpose in clear partly never; do
	scans "$purpose" $((ROUNDS * 9)) "SELECT $cells FROM person_masked" "${bare[$purpose]}"
done
# Many short rounds: the difference is small, and what runs beside it is not.
rounds $((ROUNDS * 6)) tps 3000x look_up_person_masked@bench_app@clear look_up_{person,person_plain}@bench_plain
rounds "$FEWER" tps "$LENGTH" update_{person_masked,person}@bench_app@never
say 'two columns of 100,000 rows by a masked view, per second'
row '  seen clear, against the table without RLS' authz_clear bare_clear '>= 0.98'
row '  look-up by an index on a clear one, the same' look_up_person_masked@bench_app@clear look_up_person@bench_plain '>= 0.98'
row '  look-up by it, against an ordinary view' look_up_person_masked@bench_app@clear look_up_person_plain@bench_plain
row '  clear in some rows, against CASE by hand' authz_partly bare_partly '<= 1.1'
row '  never clear, against the mask functions' authz_never bare_never '<= 1.1'
row '  UPDATE of one row, against the table by authz' update_{person_masked,person}@bench_app@never

rounds "$FEWER" tps "$LENGTH" switch_{login,set_config,set_token,set_claims}@bench_app
rounds "$FEWER" switching 100 switching_false switching_true
say "switch to another cached identity, per second (ratio: of times); $(sql -c "SELECT min(length(token)) FROM token WHERE purpose = 'tenant'") bytes"
row '  authz.login against set_config' switch_login@bench_app switch_set_config@bench_app '<= 1.5'
row '  SET authz.token against SET of a parameter' switch_set_token@bench_app switch_set_claims@bench_app '<= 1.5'
row '  inside the server, us: authz.login, set_config' switching_false switching_true

say 'planning a look-up, us: authz against native RLS'
rounds "$FEWER" planning 200 planning_{native,one,all}{1,10,100}
for policies in 1 10 100; do
	row "  $policies policies, of which 1 applies to the role" "planning_one$policies" "planning_native$policies"
done
row '  100 policies, all apply' planning_all100 planning_native100

rounds "$FEWER" planning_wide 200 planning_wide_{masked,plain}_{clear,never,partly}
say 'planning a look-up of 20 columns of which 19 have masks, us: masked view against plain view'
row '  all clear' planning_wide_{masked,plain}_clear
row '  none clear' planning_wide_{masked,plain}_never
row '  19 CASE' planning_wide_{masked,plain}_partly

printf 'first use of a new token, us (then from the cache): '
for algorithm in HS256 RS256 ES256; do
	printf '  %s %s' "$algorithm" "$(sql -U bench_app <<-EOF | awk 'NR > 1 { printf "%.0f%s", $1, NR == 2 ? " (" : ")" }'
		SELECT authz.login(token, false) IS NULL FROM token WHERE purpose = '$algorithm' AND number = 0;
		SELECT switching_time('$algorithm', false, 1);
		SELECT switching_time('$algorithm', false, 1);
	EOF
	)"
done
say
say "permits_row: $(PGOPTIONS="-c authz.token=${value[by_column]}" sql -U postgres <<-'EOF' | awk '{ t[NR] = $2 } END { printf "%.1f us a call", (t[2] - t[1]) * 1000 / 20000 }'
	\timing on
	\o /dev/null
	SELECT count(*) FROM item AS t WHERE id <= 20000 AND (t).amount >= 0;
	SELECT count(*) FROM item AS t WHERE id <= 20000 AND authz.permits_row('select', t);
	EOF
	)"
say 'a change of policy while a query of 1.5 s holds the table'
perl "$bench/change.pl" | sed 's/^/  /'
say "$((SECONDS - began)) s; load at end $(cut -d ' ' -f 1 /proc/loadavg)"
