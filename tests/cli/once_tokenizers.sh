#!/bin/sh
# Tokenizers against Hugging Face's: both read the files of the other, and give the same ids and texts.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
TOKENIZERS_PARALLELISM=false "$HONE_PYTHON" "$root/tests/text/peer_tokenizers.py" >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "tokenizers agree: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
finish
