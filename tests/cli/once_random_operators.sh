#!/bin/sh
# Random graphs around every operator give the same in Hone and in ONNX Runtime, or the reference evaluator of onnx.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
bin=$(dirname "$HONE")
[ -e "$bin/libhone.so" ] && [ -x "$bin/ops_test_support_table" ] || exit 77
"$bin/ops_test_support_table" --json >operators.json
count=${1:-300}
"$HONE_PYTHON" "$root/tests/cli/random_operators" "$bin/libhone.so" operators.json "$count" >stdout 2>stderr
status=$?
tail -n 2 stdout
holds "$count graphs give the same" [ $status -eq 0 ]
[ $status -eq 0 ] || fail "$(grep FAILED stdout)"
finish
