#!/bin/sh
# grpcio's clients, which learn everything from the server's reflection, get the answers that REST gives.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
small_model m.onnx
start_server --model a=m.onnx
port=${url##*:}
timeout 600 "$HONE_PYTHON" "$root/tests/serve/peer_grpc.py" "$port" a >stdout 2>stderr
holds "grpcio: $(tail -n 5 stdout stderr)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' stdout
idle() { curl -s "$url/metrics" | grep -q '^hone_requests_in_flight 1$'; }
until_so idle
holds "only the question itself is counted as running" idle
kill -TERM "$pid"
wait "$pid"
status=$?
children=""
holds "SIGTERM: exit status 0, not $status" [ $status -eq 0 ]
finish
