#!/bin/sh
# Templates against Python's jinja2, as transformers sets it up.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/text/peer_template_parts.py" >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "templates agree: $(grep -m 3 FAILED peer.log; tail -n 1 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
finish
