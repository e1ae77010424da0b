#!/bin/sh
# `hone train` on sound: the spectrogram in front of the network is NumPy's, and ONNX Runtime answers the same.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/train/peer_sound.py" . >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "NumPy and ONNX Runtime agree: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
finish
