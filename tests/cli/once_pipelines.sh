#!/bin/sh
# Pipelines of scikit-learn, XGBoost, LightGBM and CatBoost as their converters write them give what the originals do.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" "$root/tests/ops/peer_pipelines.py" "$HONE" >stdout 2>stderr
status=$?
[ $status -ne 77 ] || exit 77
if [ $status -eq 0 ]; then pass; else fail "$(cat stdout)"; fi
grep '^left out' stdout
tail -n 1 stdout
finish
