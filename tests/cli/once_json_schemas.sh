#!/bin/sh
# Texts that JSON schemas let through are valid for Python's jsonschema.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/text/peer_json_schemas.py" >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "texts are valid: $(grep -m 3 FAILED peer.log; tail -n 1 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
finish
