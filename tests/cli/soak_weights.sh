#!/bin/sh
# 256 MB of weights are in memory once, within a tenth: while they are loaded, run and served. Mapped, they take none
# before they are used.
. "$(dirname "$0")/lib.sh"
HONE_LONG=1 "$HONE_BUILD/runtime_test_weights" || fail "loading and running"
HONE_LONG=1 "$HONE_BUILD/runtime_test_weights" big.onnx || fail "making a model"

awk 'BEGIN { printf "{\"instances\": [["; for (i = 0; i < 1024; i++) printf i ? ", 1" : "1"; print "]]}" }' >request.json
# served MOST ARGUMENT...: serves the model, asks it, and took at most MOST MB of its own.
served() {
    most=$1
    shift
    start_server --model big=big.onnx "$@"
    holds "an answer ($*)" curl -sf -d @request.json "$url/v1/models/big:predict"
    peak=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$pid/status")
    echo "served $*: $peak MB"
    [ "$peak" -le "$most" ] || fail "serving 256 MB $* took $peak MB"
    kill "$pid" && wait "$pid"
}
served 281
served 281 --mmap-weights
finish
