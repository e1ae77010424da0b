#!/bin/sh
# GGUF files against Python's gguf and ONNX Runtime.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
HONE="$HONE" "$HONE_PYTHON" "$root/tests/import/peer_gguf.py" >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "GGUF agrees: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
finish
