#!/bin/sh
# Hugging Face directories of small random models against transformers.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/import/peer_transformers.py" >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "transformers agrees: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
finish
