#!/bin/sh
# Runs the examples of docs/compression.md.
. "$(dirname "$0")/lib.sh"
need_fashion
run_page compression
[ "$passed" -ge 6 ] || fail "docs/compression.md has six examples at least"
for model in int8 mixed dynamic one-scale smooth w4 ort4 half q4 q2 slim slim8 thin sparse n-m clustered small.hone plain best; do
    case $model in *.hone) file=$model ;; *) file=$model.onnx ;; esac
    works inspect "$file" --json
done
holds "a report was written" grep -q '<svg' report.html
finish
