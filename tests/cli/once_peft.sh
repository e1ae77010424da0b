#!/bin/sh
# Adapters against Hugging Face's peft.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/import/peer_peft.py" >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "peft agrees: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
finish
