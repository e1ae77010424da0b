#!/bin/sh
# promtool has nothing to say about the server's metrics, idle and after requests.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PROMTOOL:-}" ] || exit 77
small_model m.onnx
start_server --model a=m.onnx
curl -s "$url/metrics" >idle.txt
curl -s -o answer -d '{"instances": [1]}' "$url/v1/models/a:predict"
curl -s -o answer "$url/v1/models/a" "$url/v1/models/b"
curl -s "$url/metrics" >used.txt
PROMTOOL=$HONE_PROMTOOL "$root/tests/monitor/peer_promtool.sh" idle.txt used.txt >stdout 2>stderr
holds "promtool is silent" grep -q '^2 passed, 0 failed$' stdout
finish
