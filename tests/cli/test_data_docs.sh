#!/bin/sh
# Runs the examples of docs/data.md.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] && "$HONE_PYTHON" -c 'import numpy' 2>/dev/null || exit 77
run_page data
holds "predictions were written" [ "$(wc -l <predictions.csv)" -eq 11 ]
holds "of rows without a target, too" [ "$(wc -l <new-prices.csv)" -eq 3 ]
tail -n 1 stdout >last.json
json '0.8 < d["accuracy"] <= 1 and d["samples"] == 200' last.json
finish
