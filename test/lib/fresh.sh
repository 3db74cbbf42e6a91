#!/usr/bin/env bash
# fresh.sh
#	  Run what the README promises, "make demo" and "make test", in a fresh Debian
#	  12 with its updates: what a stranger has.  Root, or sudo, is needed.
#
# Of this machine it gets a copy of the checkout (what git knows or would add,
# as it lies there), the mirror that apt uses here, how apt reaches it, and the
# certificates that this machine trusts.  Its processes and mounts are in
# namespaces of their own, so that they end with this script, however it ends.
#
# The last line is that of "make test".  The exit status is 0 if all passed, 1
# if something failed, and 77 if the fresh system cannot be set up: then nothing
# was tested.  ("make test-fresh" has make's own status, 2, and names this one.)
# PARTS, ONLY and AUTHZ_SEED are for the tests.
set -u
. "$(dirname "$0")/common.sh"

CANNOT=77
FRESH_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

cannot()
{
	say >&2
	say "NOT TESTED: $*" >&2
	exit $CANNOT
}

if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null && sudo -v || cannot 'a fresh system needs root, or sudo'
	exec sudo env PARTS="${PARTS:-}" ONLY="${ONLY:-}" AUTHZ_SEED="${AUTHZ_SEED:-}" TMPDIR="${TMPDIR:-}" bash "$0"
fi

finish() { [ -z "${WORK:-}" ] || rm -rf --one-file-system "$WORK"; }
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What makes the system.
install_mmdebstrap()
{
	command -v mmdebstrap >/dev/null && return
	command -v apt-get >/dev/null && (. /etc/os-release && [ "$ID $VERSION_ID" = 'debian 12' ]) 2>/dev/null ||
		cannot 'there is no mmdebstrap here, and only on Debian 12 it is installed for you'
	say 'fresh: installing mmdebstrap'
	{ apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install mmdebstrap; } \
		>"$WORK/log" 2>&1 </dev/null || { tail -n 20 "$WORK/log"; cannot 'mmdebstrap cannot be installed'; }
}

# Debian's mirror in apt's words, if this machine has one of bookworm; else nothing, and mmdebstrap takes Debian's own.
sources()
{
	local found

	found=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' \
		'Component: main' 2>/dev/null | grep -E ' bookworm(-updates|-security)? main$' | sort -u)
	if ! grep -q ' bookworm main$' <<<"$found" || ! grep -q ' bookworm-security main$' <<<"$found"; then
		found=
	fi
	[ -z "$found" ] || printf '%s\n' "$found"
}

make_system()
{
	local started=$SECONDS certificates=/usr/local/share/ca-certificates

	say 'fresh: making a Debian 12 with its updates'
	sources >"$WORK/sources.list"
	sed 's/^/  /' "$WORK/sources.list"
	# How the mirror is reached: proxies, certificates, what is not checked of a frozen mirror.
	apt-config dump 2>/dev/null | grep -E '^Acquire::(https?|Check-Valid-Until|Check-Date|Retries)\b.* "[^"]+";$' >"$WORK/apt.conf"
	mmdebstrap --quiet --variant=apt --include=git,make,ca-certificates --aptopt="$WORK/apt.conf" bookworm "$SYSTEM" \
		$([ ! -s "$WORK/sources.list" ] || echo "$WORK/sources.list") >"$WORK/log" 2>&1 </dev/null ||
		{ tail -n 20 "$WORK/log"; cannot 'the fresh system cannot be made; is the mirror reached?'; }
	if compgen -G "$certificates/*.crt" >/dev/null; then
		mkdir -p "$SYSTEM$certificates"
		cp -L "$certificates"/*.crt "$SYSTEM$certificates/"
		chroot "$SYSTEM" env -i PATH="$FRESH_PATH" update-ca-certificates >/dev/null 2>&1
	fi
	cp -L /etc/resolv.conf "$SYSTEM/etc/resolv.conf" 2>/dev/null
	say "fresh: made in $((SECONDS - started)) s"
}

# What git knows or would add, as it is in the directory.
copy_checkout()
{
	mkdir "$SYSTEM/root/authz"
	(
		export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
		cd "$ROOT" && git ls-files -z --cached --others --exclude-standard
	) >"$WORK/files" 2>/dev/null && [ -s "$WORK/files" ] || cannot 'this is no checkout that git can list'
	tar -C "$ROOT" --null --no-recursion --ignore-failed-read --owner=0 --group=0 -T "$WORK/files" -cf - 2>/dev/null |
		tar -C "$SYSTEM/root/authz" -xf -
	[ -f "$SYSTEM/root/authz/Makefile" ] || cannot 'the checkout cannot be copied'
}

# Run a command in the system; nothing of it survives.
inside()
{
	unshare --mount --pid --fork --kill-child --propagation private bash -c '
		mount -t proc proc "$1/proc" && mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm" || exit 77
		mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts" 2>/dev/null
		root=$1
		shift
		chroot "$root" env -i "$@"
	' inside "$SYSTEM" PATH="$FRESH_PATH" HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
		PARTS="${PARTS:-}" ONLY="${ONLY:-}" AUTHZ_SEED="${AUTHZ_SEED:-}" bash -c "cd /root/authz && $1" </dev/null
}

# Device nodes and set-user-id programs must work there.
WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/authz-fresh.XXXXXX") || cannot 'no place for it'
chmod 755 "$WORK"
SYSTEM=$WORK/system
say "fresh: \"make demo\" and \"make test\" in a Debian 12 of their own ($WORK, removed at the end)"
install_mmdebstrap
make_system
copy_checkout
inside 'true >/dev/null 2>&1' || cannot 'processes cannot run there (no right to mount, or a place without devices)'

say
say 'fresh: make demo'
inside 'make demo && make demo-stop'
demo=$?
[ $demo = 0 ] || say "fresh: the demonstration FAILED"

say
say 'fresh: make test'
inside 'make test'
status=$?
[ $status = 0 ] && [ $demo = 0 ] || { [ $status != 0 ] || say 'fresh: the tests passed, the demonstration did not'; exit 1; }
exit 0
