#!/bin/sh
# The operators as ONNX's own schemas have them: what differs is listed, with its reason, in tests/ops/schema_gaps.txt.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
table=$(dirname "$HONE")/ops_test_support_table
[ -x "$table" ] || exit 77
"$table" --json >operators.json
if "$HONE_PYTHON" "$root/tests/ops/peer_schemas.py" operators.json "$root/tests/ops/schema_gaps.txt" >stdout 2>stderr; then
    pass
else
    fail "$(cat stdout stderr)"
fi
tail -n 1 stdout
finish
