#!/bin/sh
# What `hone train` makes of a model of two inputs, with each objective, is what NumPy's gradient descent makes of it, and
# `hone eval` tells of it what ONNX Runtime's outputs tell.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/train/peer_objectives.py" . >peer.log 2>&1
status=$?
[ $status -ne 77 ] || exit 77
holds "NumPy and ONNX Runtime agree: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
finish
