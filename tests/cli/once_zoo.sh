#!/bin/sh
# Small real models give what ONNX Runtime gives. They are fetched once, into build/zoo.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/zoo/zoo.py" "$HONE" "$root/build/zoo" --small >stdout 2>stderr
status=$?
[ $status -ne 77 ] || exit 77
tail -n 1 stdout
holds "small models of the zoo agree" [ $status -eq 0 ]
[ $status -eq 0 ] || fail "$(grep FAILED stdout)"
finish
