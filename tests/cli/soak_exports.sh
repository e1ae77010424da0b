#!/bin/sh
# What PyTorch exports, and what tools make of that, gives what ONNX Runtime gives.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] && /usr/bin/python3 -c 'import torch' 2>/dev/null || exit 77
/usr/bin/python3 "$root/tests/zoo/torch_exports.py" files --opsets 11,13,16 >stdout 2>stderr || fail "files are exported"
tail -n 1 stdout
for option in "" --variants; do
    # shellcheck disable=SC2086 # none or one
    "$HONE_PYTHON" "$root/tests/zoo/exports.py" "$HONE" files $option >stdout 2>stderr
    status=$?
    tail -n 2 stdout
    holds "exported files agree $option" [ $status -eq 0 ]
    [ $status -eq 0 ] || fail "$(grep FAILED stdout)"
    rm -f files/*-trace11* files/*-trace16*
done
finish
