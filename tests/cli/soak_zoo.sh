#!/bin/sh
# Real models give what ONNX Runtime gives, at each level of instructions. They are fetched once, into build/zoo.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
for level in v4 v3 generic; do
    HONE_CPU=$level "$HONE_PYTHON" "$root/tests/zoo/zoo.py" "$HONE" "$root/build/zoo" >stdout 2>stderr
    status=$?
    [ $status -ne 77 ] || exit 77
    echo "HONE_CPU=$level: $(tail -n 1 stdout)"
    holds "models of the zoo agree, HONE_CPU=$level" [ $status -eq 0 ]
    [ $status -eq 0 ] || fail "$(grep FAILED stdout)"
done
finish
