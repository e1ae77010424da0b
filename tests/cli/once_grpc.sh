#!/bin/sh
# grpcio's clients, which learn everything from the server's reflection, get the answers that REST gives.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
small_model m.onnx
: >serve.out
"$HONE" serve --port 0 --model a=m.onnx >serve.out 2>serve.err </dev/null &
pid=$!
children=$pid
tries=0
until grep -q '^listening at ' serve.out || [ $tries -gt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
port=$(sed -n 's/^listening at .*://p' serve.out)
timeout 240 "$HONE_PYTHON" "$root/tests/serve/peer_grpc.py" "$port" a >stdout 2>stderr
holds "grpcio: $(tail -n 5 stdout stderr)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' stdout
curl -s "http://127.0.0.1:$port/metrics" >metrics
holds "only the question itself is counted as running" grep -q '^hone_requests_in_flight 1$' metrics
kill -TERM "$pid"
wait "$pid"
status=$?
children=""
holds "SIGTERM: exit status 0, not $status" [ $status -eq 0 ]
finish
