# walk.sh
#	  What the demonstration shows, and that it is so: every result is checked,
#	  and one that is not what the text says ends the demonstration with an error.
#	  To be sourced by demo.sh, which has set up the cluster and its rows.
#
# Every line that is run is shown behind the name of the session that ran it,
# with what came back below, and behind "=>" what that shows.  Sessions stay
# open: psql in the background, fed through a pipe.
#
# In a terminal it waits between sections, each of which fits on a screen of 40
# lines.  SHOW, a list of numbers, picks sections; the others run without a
# word, for the later ones build on them.

ISSUER=https://id.example
SECTIONS=(
	'Policies are rows of a table, and tokens are checked against keys that the database knows'
	'One table, one database login, three people: each sees other rows, by a plan of their own'
	'Tokens that are forged, expired or for another service are refused'
	'A role is taken away: an open session obeys from its very next statement on'
	'A policy changes while a long query holds the table: nobody waits'
	'Columns: the same view shows a value, a mask or a pseudonym, as its reader may see it'
	'Audit: changes, reads and denied attempts leave records'
	'Seals: a record that a superuser changed is found'
)
declare -A session_input session_sent session_shown token claims
result=

# session_open NAME DATABASE-ROLE [psql's options]
session_open()
{
	local name=$1 role=$2 descriptor

	shift 2
	mkfifo "$STATE/$name.in"
	psql -qXAt -P pager=off -P fieldsep=' | ' -P null=- -U "$role" "$@" <"$STATE/$name.in" >"$STATE/$name.out" 2>&1 &
	exec {descriptor}>"$STATE/$name.in"
	session_input[$name]=$descriptor
	session_sent[$name]=0
	session_shown[$name]=0
}

# Send a statement; do not wait for it.
session_send()
{
	session_sent[$1]=$((session_sent[$1] + 1))
	printf '%s\n\\echo =done %d=\n' "$2" "${session_sent[$1]}" >&"${session_input[$1]}"
}

# Wait for what was sent, and set "result" to what came back, without the
# lines without a value that functions returning void leave.
session_wait()
{
	local tries

	for ((tries = 0; ; tries++)); do
		! grep -q "^=done ${session_sent[$1]}=$" "$STATE/$1.out" || break
		[ $tries -lt 1500 ] || die "no answer to the statement of $1"
		sleep 0.02
	done
	result=$(tail -n "+$((session_shown[$1] + 1))" "$STATE/$1.out" | grep -v -e '^=done [0-9]*=$' -e '^[ |-]*$')
	session_shown[$1]=$(wc -l <"$STATE/$1.out")
}

session_close_all()
{
	local name descriptor

	for name in "${!session_input[@]}"; do
		descriptor=${session_input[$name]}
		exec {descriptor}>&-
	done
	wait
	rm -f "$STATE"/*.in "$STATE"/*.out
}

list_sections()
{
	local i

	for i in "${!SECTIONS[@]}"; do say "  $((i + 1)). ${SECTIONS[i]}"; done
}

# Only sections that there are.
check_show()
{
	local number

	for number in ${SHOW:-}; do
		[[ $number =~ ^[1-9]$ ]] && [ "$number" -le ${#SECTIONS[@]} ] ||
			die "SHOW=$number: there is no such section. These are:
$(list_sections)"
	done
}

# What a stranger should know first.
introduce()
{
	say 'authz decides inside PostgreSQL who sees and changes which rows and columns, by signed tokens and policies.'
	say "This builds and installs it, starts a PostgreSQL of its own, loads Debian's list of packages, and shows:"
	list_sections
	say '"bob>" is what a session runs, below it stands what came back, and behind "=>" what that shows (it is checked).'
}

# section NUMBER FUNCTION: show it, or run it without a word.
section()
{
	local number=$1 answer

	if [ -n "${SHOW:-}" ] && [[ " $SHOW " != *" $number "* ]]; then
		"$2" >/dev/null
		return
	fi
	if [ -t 0 ] && [ -t 1 ]; then
		printf '\n-- Enter: section %s; q: no more --' "$number"
		read -r answer
		if [ "$answer" = q ]; then
			SHOW=none
			"$2" >/dev/null
			return
		fi
	fi
	printf '\n%s. %s\n' "$number" "${SECTIONS[number - 1]}"
	"$2"
}

# Print what a session runs, tokens shortened; show_result prints what came back.
show_run()
{
	printf '%-7s %s\n' "$1>" "${2//$'\n'/$'\n        '}" | sed -E "s/'(eyJ[[:alnum:]_-]{17})[[:alnum:]_.-]*([[:alnum:]_-]{6})'/'\1...\2'/"
}

show_result() { [ -z "$result" ] || sed 's/^/        /' <<<"$result"; }

# run NAME SQL: show a statement, run it, show what comes back.
run()
{
	show_run "$1" "$2"
	session_send "$1" "$2"
	session_wait "$1"
	show_result
}

# check WHAT COMMAND...: what the text claims must be so.
check()
{
	local what=$1

	shift
	"$@" || die "The demonstration failed: it claims that $what. What came back: ${result:-nothing}"
}

# claim WHAT COMMAND...: the same, and say it.
claim()
{
	check "$@"
	say "     => $1"
}

gave() { [ "$result" = "$1" ]; }
gave_like() { [[ $result =~ $1 ]]; }

# A value, read past every policy.
truth() { demo_sql -At -c "$1"; }

# Wait until a query says so.
wait_for()
{
	local i

	for ((i = 0; i < 100; i++)); do
		[ "$(truth "$1")" != t ] || return 0
		sleep 0.1
	done
	die "The demonstration failed: in vain it waited for $1"
}

# Two private keys, of which the database gets the public halves.
make_keys()
{
	mkdir -m 700 "$STATE/keys"
	openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$STATE/keys/rsa" 2>/dev/null
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$STATE/keys/ec" 2>/dev/null
	openssl pkey -in "$STATE/keys/rsa" -pubout -out "$STATE/keys/rsa.pub" &&
		openssl pkey -in "$STATE/keys/ec" -pubout -out "$STATE/keys/ec.pub" || die 'openssl could not make keys'
}

# issue NAME ALGORITHM KEY OWN-CLAIMS [AUDIENCE [SECONDS]]: sign a token.
issue()
{
	local name=$1 algorithm=$2 key=$3 audience=${5:-archive} seconds=${6:-43200} now

	now=$(date +%s)
	claims[$name]="{$4}"
	token[$name]=$(bash "$ROOT/test/demo/token.sh" "$algorithm" "$STATE/keys/$key" "$key" \
		"{\"iss\":\"$ISSUER\",\"aud\":\"$audience\",\"iat\":$((now - 7200)),\"exp\":$((now + seconds)),$4}") ||
		die 'openssl could not sign a token'
}

# The token in $1 with other claims $2 under its signature.
forge()
{
	local head=${1%%.*} signature=${1##*.}

	printf '%s.%s.%s\n' "$head" "$(printf '%s' "$2" | openssl base64 -A | tr '+/' '-_' | tr -d '=')" "$signature"
}

# A team with a handful of packages; PostgreSQL's own, if it is there.
pick_team()
{
	truth "SELECT address FROM package WHERE address <> '$ORPHANED' GROUP BY 1 HAVING count(*) BETWEEN 20 AND 500
		ORDER BY address = 'team+postgresql@tracker.debian.org' DESC, count(*) DESC, 1 LIMIT 1"
}

walk()
{
	make_keys
	ORPHANED=packages@qa.debian.org
	TEAM=$(pick_team)
	ALL=$(truth 'SELECT count(*) FROM package')
	OWN=$(truth "SELECT count(*) FROM package WHERE address = '$TEAM'")
	[ "${OWN:-0}" -gt 0 ] && [ "$OWN" -lt "$ALL" ] || die 'the demonstration finds no team of maintainers in the metadata'
	OWN_AND_ORPHANED=$(truth "SELECT count(*) FROM package WHERE address IN ('$TEAM', '$ORPHANED')")
	issue alice ES256 ec "\"sub\":\"alice\",\"roles\":[\"maintainer\"],\"email\":\"$TEAM\""
	issue bob RS256 rsa '"sub":"bob"'
	issue carol RS256 rsa '"sub":"carol"'
	session_open admin admin -v rsa="$(cat "$STATE/keys/rsa.pub")" -v ec="$(cat "$STATE/keys/ec.pub")"
	session_open alice app
	session_open bob app
	session_open carol app -v VERBOSITY=terse
	session_open report app
	session_open audit auditor
	session_open root postgres -v VERBOSITY=terse

	say
	say "The rows: $ALL packages of the Debian archive, in table \"package\". Their maintainers' addresses decide below."
	section 1 show_protect
	section 2 show_people
	section 3 show_refusals
	section 4 show_revocation
	section 5 show_policy_change
	section 6 show_masks
	section 7 show_audit
	section 8 show_seals

	rm -rf "$STATE/keys"
	session_close_all
}

show_protect()
{
	local statement

	set_up "SELECT authz.protect('package');" 'from now on nobody sees a row that no policy permits'
	set_up "SELECT authz.create_role('maintainer'), authz.create_role('archivist');" 'roles of authz, not of the database'
	set_up "SELECT authz.create_policy('own', 'package', '{select}', \$\$address = authz.attr('email')\$\$, '{maintainer}');" \
		'maintainers see the packages that have the e-mail address of their token'
	set_up "SELECT authz.create_policy('all', 'package', '{select}', 'true', '{archivist}');" 'archivists see all packages'
	set_up "SELECT authz.grant_role('bob', 'archivist');" 'bob is an archivist, because the database says so'
	set_up "SELECT authz.create_issuer('$ISSUER', audience => '{archive}', attributes => '{\"email\": \"email\"}');" \
		'tokens of this identity provider are accepted'
	set_up "SELECT authz.add_key('$ISSUER', 'rsa', 'RS256', :'rsa'),
       authz.add_key('$ISSUER', 'ec', 'ES256', :'ec');" 'if one of these two public keys verifies them (openssl made them just now)'
}

# set_up SQL WHAT: a statement of the administrator that gives nothing back.
set_up()
{
	run admin "$1"
	claim "$2" gave ''
}

# show_person NAME TOKEN ROWS PLAN REMARK: somebody's rows and their plan.
show_person()
{
	local name=$1

	session_send "$name" "SET authz.token = '${token[$name]}';"
	session_wait "$name"
	check 'the token is accepted' gave ''
	printf '%-7s %s\n' "$name" "$2"
	session_send "$name" 'SELECT count(*), min(package), max(package) FROM package;'
	session_wait "$name"
	show_result
	claim "$name sees $3 packages (of $ALL)" gave_like "^$3 \\| "
	session_send "$name" 'EXPLAIN (COSTS OFF) SELECT * FROM package;'
	session_wait "$name"
	show_result
	check "the plan is $4" gave_like "$4"
	say "     => the plan: $5"
}

show_people()
{
	say 'Each of them runs these three. Below: the algorithm and the claims of their token, and what came back.'
	say "        SET authz.token = '<their signed token>';"
	say '        SELECT count(*), min(package), max(package) FROM package;   EXPLAIN (COSTS OFF) SELECT * FROM package;'
	show_person alice "ES256 ${claims[alice]}" "$OWN" \
		$'^Index Scan using package_address_idx on package\n *Index Cond: \(address = authz.attr\(\'email\'::text\)\)$' \
		'the policy is an index condition, as if it stood in the query'
	show_person bob "RS256 ${claims[bob]}, and the role granted above" "$ALL" '^Seq Scan on package$' 'no filter at all, for nothing is to be hidden'
	show_person carol "RS256 ${claims[carol]}, no role" 0 $'^Result\n *One-Time Filter: false$' 'the table is not even read'
}

show_refusals()
{
	local now

	now=$(date +%s)
	issue expired RS256 rsa '"sub":"bob"' archive -3600
	issue elsewhere RS256 rsa '"sub":"bob"' payroll
	token[forged]=$(forge "${token[carol]}" \
		"{\"iss\":\"$ISSUER\",\"aud\":\"archive\",\"iat\":$now,\"exp\":$((now + 3600)),\"sub\":\"carol\",\"roles\":[\"archivist\"]}")

	refuse forged 'hers, with "roles":["archivist"] written into it' 'its signature does not hold'
	refuse expired "bob's, expired an hour ago" 'it has expired'
	refuse elsewhere "bob's for another service, \"aud\":\"payroll\"" 'it is for another audience'
	run carol 'SELECT count(*) FROM package;'
	claim 'no rows: the token before is not in force any more' gave_like '^ERROR:  the last attempt to set authz.token failed'
}

refuse()
{
	run carol "SET authz.token = '${token[$1]}';"
	check "the token is refused because $3" gave "ERROR:  token refused: $3"
	say "     => refused: $2"
}

show_revocation()
{
	run bob 'BEGIN ISOLATION LEVEL REPEATABLE READ;  SELECT count(*) FROM package;'
	claim 'bob, an archivist, sees all packages' gave "$ALL"
	run admin "SELECT authz.revoke_role('bob', 'archivist');"
	claim 'one grant is taken back, in another session' gave 1
	run bob 'SELECT count(*) FROM package;'
	claim 'bob sees nothing any more, in the same transaction' gave 0
	session_send bob 'ROLLBACK;'
	session_wait bob
}

# Is the long query still at work, and does it hold its lock on the table?
report_runs()
{
	[ "$(truth "SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
		WHERE l.relation = 'package'::regclass AND l.granted AND a.state = 'active' AND a.query LIKE '%pg_sleep%'
			AND a.usename = 'app'")" = 1 ]
}

show_policy_change()
{
	local pause tries long

	pause=$(LC_ALL=C awk "BEGIN { printf \"%.3f\", 4 / $OWN }")
	long="SELECT count(pg_sleep($pause)) FROM package;"

	session_send report "SET authz.token = '${token[alice]}';"
	session_wait report
	show_run report "$long  -- alice once more, for 4 seconds"
	session_send report "$long"
	for ((tries = 0; tries < 100; tries++)); do
		! report_runs || break
		sleep 0.02
	done
	claim 'the long query runs and holds its lock on the table' report_runs
	run admin "SET lock_timeout = '500ms';  ALTER POLICY authz_select ON package USING (true);  -- the native way: waits"
	claim 'a native row security policy cannot be changed meanwhile' gave 'ERROR:  canceling statement due to lock timeout'
	session_send admin '\timing on'
	session_send alice '\timing on'
	run admin "SELECT authz.alter_policy('own', 'package',
       condition => \$\$address IN (authz.attr('email'), '$ORPHANED')\$\$);"
	claim 'a policy of authz can, at once' gave_like '^Time: [0-9]{1,3}\.[0-9]+ ms$'
	run alice "SELECT count(*) FROM package;  -- hers, and those that nobody maintains"
	claim "alice sees the orphaned packages too, from her next statement on ($OWN before)" gave_like "^$OWN_AND_ORPHANED"$'\nTime: [0-9]{1,3}\.[0-9]+ ms$'
	check 'those are more than before' [ "$OWN_AND_ORPHANED" -gt "$OWN" ]
	claim 'the long query is still running' report_runs
	session_wait report
	show_run report "-- ends, by the policy that it began with"
	show_result
	claim 'the long query saw what it had begun with' gave "$OWN"
}

# look NAME STATEMENT WHAT ANSWER: somebody runs a statement that stands above; the answer is a regular
# expression, of which the first match is shown.
look()
{
	session_send "$1" "$2"
	session_wait "$1"
	check "$3" gave_like "$4"
	result=${BASH_REMATCH[0]}
	printf '%-7s %s\n' "$1" "${result//$'\n' /,}"
	say "     => $3"
}

show_masks()
{
	local package name section statement plan address shown

	package=$(truth "SELECT package FROM package WHERE address = '$TEAM' GROUP BY 1 HAVING count(*) = 1
		ORDER BY package = 'postgresql' DESC, 1 LIMIT 1")
	section=$(truth "SELECT section FROM package WHERE package = '$package'")
	address=${TEAM//./\\.}
	address=${address//+/\\+}
	statement="SELECT section, address FROM listing WHERE package = '$package';"
	plan="EXPLAIN (COSTS OFF) SELECT * FROM listing WHERE address = '$TEAM';"
	for name in admin alice; do
		session_send "$name" '\timing off'
		session_wait "$name"
	done
	session_send carol "SET authz.token = '${token[carol]}';"
	session_wait carol

	run admin "SELECT authz.create_masked_view('package', 'listing') \\g /dev/null
GRANT SELECT, UPDATE ON listing TO app;  REVOKE ALL ON package FROM app;"
	claim 'a view with masks; its readers have no right on the table' gave ''
	run admin "SELECT authz.grant_role('carol', 'archivist'),
       authz.create_policy('sort', 'package', '{update}', 'true', '{archivist}', columns => '{section}');"
	claim 'carol becomes an archivist, and these may change the section, no other column' gave ''
	say "        $statement"
	look carol "$statement" 'carol sees the address: nothing is masked yet' "^$section \| $address$"
	run admin "SELECT authz.create_mask('package', 'address', 'email'),
       authz.create_mask('package', 'address', 'clear', '{maintainer}', priority => 10);"
	claim 'maintainers go on seeing addresses, all others see a mask' gave ''
	look carol "$statement" 'carol sees a mask' "^$section \| .\*\*\*@.\*\*\*\.[a-z]+$"
	shown=${result#* | }
	say "        $plan"
	look carol "$plan" 'when carol searches, masks are compared: she cannot find out a value by a WHERE' $'^Seq Scan on package t\n +Filter: \\(authz.mask_email\\(address\\) = .*$'
	look alice "$plan" 'alice sees it clear, so her search uses the index' '^Index Scan using package_address_idx on package t'
	run carol "UPDATE listing SET section = 'misc', address = '$shown' WHERE package = '$package';"
	claim 'carol sends back what she read, mask included, with another section' gave ''
	say "        $statement"
	look alice "$statement" 'the section has changed, the mask did not overwrite the address' "^misc \| $address$"
	run admin "SELECT authz.alter_mask('package', 'address', 'hash');"
	claim 'another mask, while she is connected' gave ''
	look carol "$statement" 'carol sees a pseudonym, from her next statement on' '^misc \| [0-9a-f]{16}$'
}

show_audit()
{
	local package key

	package=$(truth "SELECT package FROM package WHERE address = '$TEAM' GROUP BY 1 HAVING count(*) = 1
		ORDER BY package = 'postgresql' DESC, 1 LIMIT 1")
	key=$(truth "SELECT jsonb_build_object('package', package, 'architecture', architecture) FROM package WHERE package = '$package'")
	run admin "SELECT authz.audit('package', reads => true);"
	claim 'changes and reads of the table are recorded from now on' gave ''
	run carol "UPDATE listing SET section = 'database' WHERE package = '$package';"
	claim 'carol changes the section back' gave ''
	run audit "SELECT subject, roles, database_role, action, old_values, new_values
       FROM authz.audit_trail('package', '$key');"
	claim 'the person, not only the login they share, with the values before and after' gave 'carol | {archivist} | app | update | {"section": "misc"} | {"section": "database"}'
	run carol "SELECT section, address FROM listing WHERE package = '$package';"
	claim 'carol only looks, and sees a pseudonym' gave_like '^database \| [0-9a-f]{16}$'
	run audit "SELECT subject, action, clear_columns, masked_columns, row_count FROM authz.access_log ORDER BY id DESC LIMIT 1;"
	claim 'that too is on record: which columns she saw clear, which masked, how many rows' gave 'carol | select | {package,section} | {address} | 1'
	run carol "SELECT authz.unaudit('package');"
	claim 'carol may not switch it off' gave_like '^ERROR:  permission denied for function unaudit'
	wait_for "SELECT count(*) = 1 FROM authz.denial_log WHERE kind = 'audit'"
	run audit "SELECT subject, kind, action, reason FROM authz.denial_log ORDER BY id DESC LIMIT 1;"
	claim 'her transaction is gone, her attempt is on record' gave 'carol | audit | unaudit | only an administrator of authz may'
	run audit "SELECT subject, action, allowed, denied FROM authz.activity WHERE subject = 'carol' AND relation = 'public.package';"
	claim 'what carol did within the hour: allowed, denied' gave $'carol | select | 1 | 0\ncarol | unaudit | 0 | 1\ncarol | update | 1 | 0'
	run audit 'SELECT count(*) FROM package;'
	claim 'the auditor reads the log without any right on the table' gave 'ERROR:  permission denied for table package'
}

show_seals()
{
	local record

	record=$(truth "SELECT max(id) FROM authz.audit_log WHERE action = 'update'")
	run audit 'SELECT authz.audit_seal();'
	claim 'three logs sealed: of changes, reads, denials (a worker does it every minute; not in this cluster)' gave 3
	run root "UPDATE authz.audit_log SET subject = 'alice' WHERE id = $record;"
	claim 'a superuser is refused, too' gave_like '^ERROR:  records of table authz.audit_log cannot be changed or deleted'
	run root "BEGIN;  ALTER EVENT TRIGGER authz_audit_after_ddl DISABLE;
ALTER TABLE authz.audit_log DISABLE TRIGGER refuse_change;
UPDATE authz.audit_log SET subject = 'alice' WHERE id = $record;
ALTER TABLE authz.audit_log ENABLE ALWAYS TRIGGER refuse_change;
ALTER EVENT TRIGGER authz_audit_after_ddl ENABLE ALWAYS;  COMMIT;"
	claim 'a superuser who does not give up can force it' gave ''
	run audit 'SELECT * FROM authz.audit_verify() WHERE NOT ok;'
	claim "found: batch 2 of the log does not hold, record $record was changed" gave "2 | f | record changed | $record"
}

# The tokens, for the user's own psql.
write_psqlrc()
{
	local name

	{
		for name in alice bob carol; do
			printf "\\\\set %s 'SET authz.token = ''%s'';'\n" "$name" "${token[$name]}"
		done
		cat <<-'END'
			\set PROMPT1 '%/%R%x%# '
			\echo 'Be somebody: type :alice, :bob (his role is revoked) or :carol. Then ask: SELECT * FROM listing LIMIT 10;'
			\echo 'Tokens are good for 12 hours. Who am I: SELECT jsonb_pretty(authz.identity());'
		END
	} >"$STATE/psqlrc"
}
