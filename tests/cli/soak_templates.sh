#!/bin/sh
# Chat templates of real models, fetched once into build/text, against Python's jinja2.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/text/peer_templates.py" >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "real templates agree: $(grep -m 3 FAILED peer.log; tail -n 1 peer.log)" [ $status -eq 0 ]
finish
