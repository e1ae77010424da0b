#!/bin/sh
# Tokenizers of real language models, fetched once into build/text, against Hugging Face's and what is written down.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
TOKENIZERS_PARALLELISM=false "$HONE_PYTHON" "$root/tests/text/peer_vocabularies.py" >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "real vocabularies agree: $(grep -A 1 FAILED peer.log; tail -n 1 peer.log)" [ $status -eq 0 ]
finish
