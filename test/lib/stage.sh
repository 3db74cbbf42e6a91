#!/usr/bin/env bash
# stage.sh SCRIPT
#	  Build the extension, install it below a work directory, copy the tree there
#	  and run a script of the copy as an unprivileged user.  Nothing goes into the
#	  system.
#
# The copy is there because a clone may lie where that user cannot go, and so
# that nothing but test/results changes in the clone.  With SANITIZE=1 the copy
# is what is built, with AddressSanitizer and UBSan.  KEEP=1 keeps the work
# directory.
#
# The script gets an environment without the caller's variables: WORK (its
# place), STAGE (where the extension is), TREE (the copy; also its working
# directory), BINDIR, PKGLIBDIR, SHAREDIR, PGXS_SRC, PG_CONFIG; and PARTS, ONLY,
# FUZZ_SECONDS, AUTHZ_SEED, SANITIZE as given.
set -u
. "$(dirname "$0")/common.sh"
cd "$ROOT"
find_server

# Nothing ran, and that is a failure, whatever the script was for.
fail() { say "$*"; say '0 passed, 1 failed'; exit 1; }

"$BINDIR/postgres" --describe-config | grep -q '^extension_destdir' ||
	die "$BINDIR/postgres cannot load an extension from another place (extension_destdir, a feature of Debian's
servers): use 'make install' and then 'make installcheck'."

make_work test
finish()
{
	stop_servers_below "$WORK"
	if [ -n "${KEEP:-}" ]; then say "kept: $WORK"; else rm -rf "$WORK"; fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

STAGE=$WORK/stage
TREE=$WORK/tree
mkdir -p "$STAGE" "$TREE" "$WORK/tmp" "$WORK/results"
rm -rf test/results

copy_tree()
{
	tar -C "$ROOT" --exclude=./.git --exclude='./authz-test.*' --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . | tar -C "$TREE" -xf -
}

started=$SECONDS
if [ -n "${SANITIZE:-}" ]; then
	copy_tree
	flags='-fsanitize=address,undefined -fno-omit-frame-pointer -fno-wrapv -g -O1'
	build "$TREE" COPT="$flags" all && build "$TREE" COPT="$flags" install DESTDIR="$STAGE" || fail 'the build failed'
else
	build "$ROOT" all && build "$ROOT" install DESTDIR="$STAGE" || fail 'the build failed'
	copy_tree
fi
printf '%-10s %5s s\n' build $((SECONDS - started))

[ "$(id -u)" != 0 ] || chown -R "$(run_user):" "$WORK"
cd "$TREE"
as_user env -i PATH="$PATH:/usr/sbin:/sbin" HOME="$WORK" TMPDIR="$WORK/tmp" LANG=C LC_ALL=C TERM="${TERM:-dumb}" \
	WORK="$WORK" STAGE="$STAGE" TREE="$TREE" BINDIR="$BINDIR" PKGLIBDIR="$PKGLIBDIR" SHAREDIR="$SHAREDIR" \
	PGXS_SRC="$PGXS_SRC" PG_CONFIG="$PG_CONFIG" PARTS="${PARTS:-}" ONLY="${ONLY:-}" FUZZ_SECONDS="${FUZZ_SECONDS:-}" AUTHZ_SEED="${AUTHZ_SEED:-20}" \
	SANITIZE="${SANITIZE:-}" BENCH_SECONDS="${BENCH_SECONDS:-}" BENCH_ROUNDS="${BENCH_ROUNDS:-}" bash "$TREE/$1"
status=$?

if [ -n "$(ls "$WORK/results")" ]; then
	mkdir -p "$ROOT/test/results" && cp -R "$WORK/results/." "$ROOT/test/results/"
fi
exit $status
