#!/bin/sh
# Random ONNX graphs give the same in Hone and in ONNX Runtime.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/cli/random_graphs.py" "$HONE" 5000 >stdout 2>stderr
status=$?
tail -n 2 stdout
holds "5000 graphs give the same" [ $status -eq 0 ]
[ $status -eq 0 ] || fail "$(grep FAILED stdout)"
finish
