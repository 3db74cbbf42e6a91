# lib.sh
#	  How the benchmarks measure and report; to be sourced after common.sh.
#
# What belongs together is measured in many short rounds, forwards and backwards
# in turn (ABBAAB...).  A ratio is the median of the rounds' ratios; beside it
# stand the least and the greatest, and the ratio of the best rounds of each.
# On a busy machine these tell what it is worth: a verdict has a question mark
# if the rounds differ much.  BENCH_ROUNDS (9) and BENCH_SECONDS (1, of one
# measurement) make it longer.

ROUNDS=${BENCH_ROUNDS:-9}
FEWER=$(((ROUNDS + 1) / 2))		# of what has no target
LENGTH=${BENCH_SECONDS:-1}		# s
results=$WORK/results.tsv		# key, round, value

# glibc gives memory back when a query ends and faults it in again for the next,
# or not, as chance lays out the heap: with a bitmap of 1,000 rows that was up to
# two thirds of the time, on either side of a ratio.  Here it keeps the memory.
SERVER_ENV=(MALLOC_TRIM_THRESHOLD_=67108864 MALLOC_MMAP_THRESHOLD_=67108864 MALLOC_TOP_PAD_=16777216)

sql() { psql -qAtX -v ON_ERROR_STOP=1 "$@"; }

# Append to the results: KEY ROUND VALUE
record() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results"; }

# rounds NUMBER FUNCTION ARGUMENT KEYS...: FUNCTION KEY ARGUMENT measures one.
rounds()
{
	local number=$1 function=$2 argument=$3 round key keys measured

	shift 3
	for ((round = 1; round <= number; round++)); do
		keys=("$@")
		if ((round % 2 == 0)); then mapfile -t keys < <(printf '%s\n' "$@" | tac); fi
		for key in "${keys[@]}"; do
			measured=$("$function" "$key" "$argument") || exit 1
			record "$key" "$round" "$measured"
		done
	done
}

# The median of a key's values.
median()
{
	awk -F '\t' -v key="$1" '$1 == key { print $3 }' "$results" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# "median least greatest best" of the rounds' ratios of two keys.
ratio()
{
	local best='>'

	case $1 in planning_* | switching_*) best='<' ;; esac
	awk -F '\t' -v a="$1" -v b="$2" -v best="$best" '
		function better(x, y) { return y == "" || (best == ">" ? x > y : x < y) ? x : y }
		$1 == a { x[$2] = $3; bestx = better($3 + 0, bestx) }
		$1 == b { y[$2] = $3; besty = better($3 + 0, besty) }
		END { for (r in x) if (r in y) print x[r] / y[r] | "sort -g"; close("sort -g"); print "best", bestx / besty }' "$results" |
		awk '$1 == "best" { print v[int((NR) / 2)], v[1], v[NR - 1], $2; next } { v[NR] = $1 }'
}

line() { printf '%-48s %9s %9s %6s %11s %5s  %-8s%s\n' "$@"; }

# row TITLE A B TARGET: the ratio A / B of what is measured per second, whose
# target is ">= x"; or, if the target is "<= x" or "<=" (none), B / A, the ratio of the times.
row()
{
	local title=$1 a=$2 b=$3 target=${4:-} middle least greatest best verdict=

	if [ "${target%% *}" = '<=' ]; then
		read -r middle least greatest best < <(ratio "$b" "$a")
	else
		read -r middle least greatest best < <(ratio "$a" "$b")
	fi
	if [[ $target = *' '* ]]; then
		verdict=$(awk -v r="$middle" -v t="$target" -v spread="$greatest $least" 'BEGIN {
			split(t, p, " "); split(spread, s, " ")
			print ((p[1] == ">=" ? r >= p[2] : r <= p[2]) ? "pass" : "MISS") (s[1] > 1.3 * s[2] ? "?" : "") }')
	fi
	line "$title" "$(printf %.4g "$(median "$a")")" "$(printf %.4g "$(median "$b")")" "$(printf %.2f "$middle")" \
		"$(printf '%.2f..%.2f' "$least" "$greatest")" "$(printf %.2f "$best")" "$target" "$verdict"
}
