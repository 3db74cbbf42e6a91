#!/usr/bin/env bash
# run.sh
#	  Run the tests: started by stage.sh, as an unprivileged user, in a copy of
#	  the tree.
#
# Prints a line for every part that has tests, above it what failed, and last
# "N passed, N failed".  A test case is a regress file, an isolation spec, a
# TAP assertion, a fuzzer's run.  A part that dies counts as one failed.  The
# exit status is 0 only if something passed and nothing failed.
#
# PARTS picks parts (unit regress isolation pgtap tap fuzz); ONLY is a regular
# expression that files' names must match.
set -u
exec 2>&1
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/cluster.sh"
cd "$TREE"

passed=0
failed=0
skipped=0
cluster=$WORK/cluster
config=$WORK/postgresql.conf
fuzz_pid=

finish()
{
	[ -z "$fuzz_pid" ] || kill "$fuzz_pid" 2>/dev/null
	cluster_stop "$cluster"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Is this part wanted?
wanted() { [ -z "${PARTS:-}" ] || [[ " $PARTS " == *" $1 "* ]]; }

# Set FILES to the wanted files among the arguments (a glob that matched
# nothing is not one).
pick()
{
	local file

	FILES=()
	for file; do
		if [ -f "$file" ] && [[ $(basename "$file") =~ ${ONLY:-} ]]; then
			FILES+=("$file")
		fi
	done
	[ ${#FILES[@]} -gt 0 ]
}

# Add a part's counts and print its line.
account()
{
	local name=$1 started=$2 ok=$3 bad=$4 skip=${5:-0}

	passed=$((passed + ok))
	failed=$((failed + bad))
	skipped=$((skipped + skip))
	printf '%-10s %5s s  %4d passed  %4d failed%s\n' "$name" $((SECONDS - started)) "$ok" "$bad" \
		"$([ "$skip" = 0 ] || printf '  %4d skipped' "$skip")"
}

# Run TAP files (programs, .pl, .sql) and account for them.
run_tap()
{
	local name=$1 jobs=$2 started=$SECONDS result=$WORK/$1.count ok bad skip

	shift 2
	rm -f "$result"
	perl test/lib/tap.pl --jobs="$jobs" --result="$result" --lib="$PGXS_SRC/test/perl" --lib="$TREE/test/t" "$@"
	if read -r ok bad skip 2>/dev/null <"$result"; then
		account "$name" "$started" "$ok" "$bad" "$skip"
	else
		say "$name: the harness died"
		account "$name" "$started" 0 1
	fi
}

# Print the start of every file's differences.
show_differences()
{
	[ ! -f test/regression.diffs ] || awk '
		/^diff / { lines = 0 }
		++lines <= 80 { print }
		lines == 81 { print "... (the rest is in test/results)" }' test/regression.diffs
}

# Run pg_regress or pg_isolation_regress over test names.
run_regress()
{
	local name=$1 program=$2 started=$SECONDS ok bad

	shift 2
	rm -f test/regression.diffs test/regression.out
	timeout --foreground -k 10 1800 "$program" --inputdir=. --outputdir=test --bindir="$BINDIR" \
		--load-extension=authz --dbname="authz_$name" --launcher='bash test/lib/clean.sh' "$@" >"$WORK/results/$name.out.log" 2>&1
	ok=$(grep -cE '^(test)? .*\.\.\. ok ' "$WORK/results/$name.out.log")
	bad=$(($# - ok))
	if [ "$bad" -gt 0 ]; then
		grep -vE '\.\.\. ok |^=|^$|^(CREATE|ALTER|DROP|SET)|^\(using|^ [0-9]+ of |^The differences|^file "|^above is' \
			"$WORK/results/$name.out.log"
		show_differences | sed "s,$TREE/,,g"
		[ ! -f test/regression.diffs ] || cp test/regression.diffs "$WORK/results/$name.diffs"
	fi
	cp -R test/results/. "$WORK/results/" 2>/dev/null
	account "$name" "$started" "$ok" "$bad"
}

#
# Pure C: every test/unit/NAME_test.c is a program that prints TAP, every
# NAME_fuzz.c a libFuzzer target (seeds: test/unit/corpus).  They are linked
# with src/X.c for every "X.h" that they include, and with libcrypto.
#
unit_sources()
{
	local header

	echo "$1"
	sed -n 's/^#include "\(.*\)\.h".*/\1/p' "$1" | while read -r header; do
		[ ! -f "src/$header.c" ] || echo "src/$header.c"
	done
}

compile_unit()
{
	local file=$1 output=$2

	shift 2
	"$@" -std=gnu99 -g -O1 -Wall -fno-omit-frame-pointer -Isrc -Itest/unit $(unit_sources "$file") -o "$output" -lcrypto -ldl \
		>"$output.cc" 2>&1 || { say "$file: does not compile"; cat "$output.cc"; return 1; }
}

part_unit()
{
	local started=$SECONDS file programs=() broken=0 sanitize=

	mkdir -p "$WORK/unit"
	# Use the sanitizers where the compiler has them.
	echo 'int main(void) { return 0; }' >"$WORK/unit/probe.c"
	if gcc -fsanitize=address,undefined "$WORK/unit/probe.c" -o "$WORK/unit/probe" 2>/dev/null && "$WORK/unit/probe" 2>/dev/null; then
		sanitize='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
	fi
	for file in "${FILES[@]}"; do
		if compile_unit "$file" "$WORK/unit/$(basename "$file" .c)" gcc $sanitize; then
			programs+=("$WORK/unit/$(basename "$file" .c)")
		else
			broken=$((broken + 1))
		fi
	done
	[ $broken = 0 ] || account 'unit cc' "$started" 0 $broken
	[ ${#programs[@]} = 0 ] || run_tap unit 1 "${programs[@]}"
}

# A clang that can link a fuzzer.
find_fuzzer()
{
	local clang

	mkdir -p "$WORK/fuzz"
	echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }' >"$WORK/fuzz/probe.c"
	for clang in clang clang-14 clang-15 clang-16; do
		if "$clang" -fsanitize=fuzzer,address "$WORK/fuzz/probe.c" -o "$WORK/fuzz/probe" 2>/dev/null; then
			echo "$clang"
			return
		fi
	done
	return 1
}

# Runs in the background; prints nothing, leaves its output in files.
fuzz_all()
{
	local clang=$1 file name child= seeds=

	shift
	trap 'kill $child 2>/dev/null; exit' TERM
	[ ! -d test/unit/corpus ] || seeds=test/unit/corpus
	for file; do
		name=$(basename "$file" _fuzz.c)
		mkdir -p "$WORK/fuzz/$name"
		compile_unit "$file" "$WORK/fuzz/$name.run" "$clang" -fsanitize=fuzzer,address,undefined \
			-fno-sanitize-recover=undefined >"$WORK/fuzz/$name.log" || continue
		"$WORK/fuzz/$name.run" -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -print_final_stats=1 \
			-artifact_prefix="$WORK/results/$name-" "$WORK/fuzz/$name" $seeds >"$WORK/fuzz/$name.log" 2>&1 &
		child=$!
		if wait $child; then echo ok >"$WORK/fuzz/$name.result"; fi
	done
}

fuzz_start()
{
	local clang

	if clang=$(find_fuzzer); then
		FUZZ_FILES=("${FILES[@]}")
		fuzz_all "$clang" "${FILES[@]}" &
		fuzz_pid=$!
	else
		say 'fuzz: skipped, no clang with libFuzzer here'
		skipped=$((skipped + ${#FILES[@]}))
	fi
}

fuzz_end()
{
	local started=$SECONDS file name ok=0 bad=0 runs=0

	wait "$fuzz_pid"
	fuzz_pid=
	for file in "${FUZZ_FILES[@]}"; do
		name=$(basename "$file" _fuzz.c)
		if [ -f "$WORK/fuzz/$name.result" ]; then
			ok=$((ok + 1))
			runs=$((runs + $(sed -n 's/^stat::number_of_executed_units: *//p' "$WORK/fuzz/$name.log")))
		else
			bad=$((bad + 1))
			say "fuzz $name failed:"
			tail -n 40 "$WORK/fuzz/$name.log"
		fi
	done
	account fuzz "$started" $ok $bad
	[ $ok = 0 ] || say "           ($runs runs in ${FUZZ_SECONDS:-10} s each)"
}

part_pgtap()
{
	local file

	# A database for each file, so that none sees what another left.
	if ! { bash test/lib/clean.sh && createdb pgtap_template && psql -qX -d pgtap_template -c 'CREATE EXTENSION pgtap' -c 'CREATE EXTENSION authz'; }; then
		account pgtap $SECONDS 0 1
		return
	fi
	for file in "${FILES[@]}"; do
		createdb -T pgtap_template "pgtap_$(basename "$file" .sql)"
	done
	run_tap pgtap 1 "${FILES[@]}"
}

# What a TAP test gets: PostgreSQL::Test's own variables, and clusters that
# find the extension.
part_tap()
{
	mkdir -p "$WORK/tap"
	unset PGHOST PGPORT PGUSER PGDATABASE
	export TESTDIR=$WORK/tap TEMP_CONFIG=$config PG_REGRESS=$PGXS_SRC/test/regress/pg_regress PG_TEST_TIMEOUT_DEFAULT=60
	run_tap tap 2 "${FILES[@]}"
	stop_servers_below "$WORK/tap"
	cp "$WORK"/tap/tmp_check/log/* "$WORK/results/" 2>/dev/null
}

# A backend that crashed is a failure even if every test passed; so is what it
# forgot to release.
check_log()
{
	local pattern='was terminated by signal|PANIC:|TRAP:|ERROR: AddressSanitizer|runtime error:'

	pattern+='|WARNING: .*(reference leak|refcount leak|still referenced|not closed)'

	if grep -qE "$pattern" "$cluster/log"; then
		say "the server's log:"
		grep -E -m 5 -A 25 "$pattern" "$cluster/log" | head -n 120
		account 'server log' $SECONDS 0 "$(grep -cE "$pattern" "$cluster/log")"
	fi
}

# The servers under test run with the sanitizers' library loaded first.  The
# stub gives them two things: swift_demangle, without which the start hangs, and
# a dlopen that opens libjwt as the sanitizers can bear it (they abort on
# RTLD_DEEPBIND; so it is opened by dlmopen, through a library that brings
# their malloc along).
sanitize_server()
{
	local stub=$WORK/stub

	mkdir -p "$stub"
	cat >"$stub/stub.c" <<-'EOF'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		#include <stdlib.h>
		#include <string.h>

		char *swift_demangle(void) { return 0; }

		void *
		dlopen(const char *file, int mode)
		{
			void	   *(*next) (const char *, int) = (void *(*) (const char *, int)) dlsym(RTLD_NEXT, "dlopen");

			if ((mode & RTLD_DEEPBIND) && !(mode & RTLD_NOLOAD) && file && strstr(file, "libjwt"))
				return dlmopen(LM_ID_BASE, getenv("AUTHZ_TEST_LIBJWT"), mode);
			return next(file, mode & ~RTLD_DEEPBIND);
		}
	EOF
	gcc -shared -fPIC -o "$stub/stub.so" "$stub/stub.c" -ldl &&
		gcc -shared -fPIC -o "$stub/jwt.so" -x c /dev/null -Wl,--no-as-needed -lasan -ljwt || return 1
	SERVER_ENV=(
		LD_PRELOAD="$stub/stub.so:$(gcc -print-file-name=libasan.so)"
		AUTHZ_TEST_LIBJWT="$stub/jwt.so"
		ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=1:verify_asan_link_order=0
		UBSAN_OPTIONS=print_stacktrace=1
	)
	echo 'jit = off' >>"$config"
}

# Which minor release this was, and whether apt's lists have a newer one of the
# same server (what the users of a fresh machine get).
tell_server()
{
	local installed candidate

	say "on $("$BINDIR/postgres" --version | sed 's/^postgres (PostgreSQL)/PostgreSQL/')"
	[ "$BINDIR" = /usr/lib/postgresql/15/bin ] && command -v apt-cache >/dev/null || return 0
	installed=$(dpkg-query -W -f '${Version}' postgresql-15 2>/dev/null)
	candidate=$(apt-cache policy postgresql-15 2>/dev/null | sed -n 's/^  Candidate: //p')
	[ -n "$installed" ] && [ -n "$candidate" ] && dpkg --compare-versions "$candidate" gt "$installed" || return 0
	say "apt has the newer postgresql-15 $candidate, which these tests did not run on: 'make test-fresh' does"
}

# Everything that needs the one cluster.
parts_with_cluster()
{
	local regress=() isolation=() pgtap=() file

	if wanted regress && pick test/sql/*.sql; then
		for file in "${FILES[@]}"; do regress+=("$(basename "$file" .sql)"); done
	fi
	if wanted isolation && pick test/specs/*.spec; then
		for file in "${FILES[@]}"; do isolation+=("$(basename "$file" .spec)"); done
	fi
	if [ -z "${SANITIZE:-}" ] && wanted pgtap && pick test/pgtap/*.sql; then
		pgtap=("${FILES[@]}")
	fi
	[ $((${#regress[@]} + ${#isolation[@]} + ${#pgtap[@]})) -gt 0 ] || return

	if ! { cluster_create "$cluster" "$config" && cluster_start "$cluster"; }; then
		account cluster $SECONDS 0 1
		return
	fi
	[ ${#regress[@]} = 0 ] || run_regress regress "$PGXS_SRC/test/regress/pg_regress" "${regress[@]}"
	[ ${#isolation[@]} = 0 ] || run_regress isolation "$PGXS_SRC/test/isolation/pg_isolation_regress" "${isolation[@]}"
	if [ ${#pgtap[@]} -gt 0 ]; then
		FILES=("${pgtap[@]}")
		part_pgtap
	fi

	# Once more with every cache entry thrown away at once, where the server can.
	if [ -n "${SANITIZE:-}" ] && [ ${#regress[@]} -gt 0 ]; then
		if psql -qX -c 'SET debug_discard_caches = 1' 2>/dev/null; then
			PGOPTIONS='-c debug_discard_caches=1' \
				run_regress discard "$PGXS_SRC/test/regress/pg_regress" "${regress[@]}"
		else
			say 'discard: debug_discard_caches is not allowed by this server (built without assertions)'
		fi
	fi

	check_log
	cluster_stop "$cluster"
	cp "$cluster/log" "$WORK/results/server.log"
}

{ cat test/lib/postgresql.conf; stage_settings "$STAGE"; } >"$config"
if [ -n "${SANITIZE:-}" ]; then
	sanitize_server || account sanitize $SECONDS 0 1
fi

# The fuzzers have one core for themselves meanwhile.
if [ -z "${SANITIZE:-}" ] && wanted fuzz && pick test/unit/*_fuzz.c; then fuzz_start; fi
if wanted unit && pick test/unit/*_test.c; then part_unit; fi
parts_with_cluster
if [ -z "${SANITIZE:-}" ] && wanted tap && pick test/t/*.pl; then part_tap; fi
[ -z "$fuzz_pid" ] || fuzz_end

tell_server
[ $((passed + failed)) -gt 0 ] || say 'no test ran'
[ $skipped = 0 ] || say "$skipped skipped"
say "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
