#!/bin/sh
# deploy/'s unit file: systemd understands all of it, and finds it locked down.
. "$(dirname "$0")/lib.sh"
need_peer systemd-analyze --version
sed "s,^ExecStart=hone ,ExecStart=$HONE ," "$root/deploy/systemd/hone.service" >hone.service
grep -q "^ExecStart=$HONE" hone.service || fail "the command is not in its place"
# Only what it says about this unit counts: where there is no systemd, others' units are missing.
# Without systemd on the machine, its own units are where the peer was unpacked.
verify() { SYSTEMD_UNIT_PATH="$peers/lib/systemd/system:" peer systemd-analyze verify --man=no "./$1" 2>&1 | grep -F "$1"; }
verify hone.service >said
holds "verified: $(cat said)" [ ! -s said ]
sed 's/^NoNewPrivileges=yes/NoNewPrivilege=yes/' hone.service >wrong.service
verify wrong.service >said
holds "and an error would be told" grep -q NoNewPrivilege said
peer systemd-analyze security --no-pager --offline=true --threshold=15 ./hone.service >stdout 2>stderr
status=$?
holds "an exposure of at most 1.5 of 10: $(tail -n 1 stdout)" [ $status -eq 0 ]

# the options that it is started with are there
set -- $(sed -n 's/^ExecStart=[^ ]* serve //p' "$root/deploy/systemd/hone.service" | tr ' ' '\n' | grep '^--')
works serve --help
for option in "$@"; do prints "  $option "; done
# and it is given the time that it takes
seconds() { sed -n "s/.*$1[ =]\([0-9]*\).*/\1/p" "$root/deploy/systemd/hone.service"; }
holds "it is stopped before it is killed" [ "$(seconds TimeoutStopSec)" -gt $((($(seconds --drain-delay) + $(seconds --drain-timeout)) / 1000)) ]
finish
