#!/bin/sh
# A server under changing load for a minute: bad requests, cut connections and good ones; it does not grow, its answers
# stay the same, and it ends with nobody cut off.
. "$(dirname "$0")/lib.sh"
small_model m.onnx
start_server --model a=m.onnx
perl -e 'print "{\"instances\": [", join(",", ("[[" . join(",", ("[" . join(",", (0.5) x 28) . "]") x 28) . "]]") x 16), "]}"' >good
head -c 3000 good >cut
curl -s -d @good "$url/v1/models/a:predict" >first
size() { awk '/VmRSS/ { print $2 }' /proc/$pid/status; }
end=$(($(date +%s) + 60))
grown=0
rounds=0
bad=0
while [ "$(date +%s)" -lt $end ]; do
    rounds=$((rounds + 1))
    for _ in 1 2 3 4 5 6 7 8; do
        curl -s -d @good "$url/v1/models/a:predict" "$url/v1/models/a:predict" -o answer.1 -o answer.2
        cmp -s answer.1 first && cmp -s answer.2 first || bad=$((bad + 1))
        curl -s -o /dev/null -d @cut "$url/v1/models/a:predict"
        curl -s "$url/metrics" "$url/v1/models/none" >/dev/null
        curl -s -m 0.002 -o /dev/null -d @good "$url/v1/models/a:predict"
    done
    [ $rounds -ne 20 ] || before=$(size)
done
after=$(size)
holds "$rounds rounds, $bad answers differ" [ $bad -eq 0 ]
grown=$((after - ${before:-0}))
holds "memory grows by $grown KB after the first rounds" [ $grown -lt 2048 ]
kill -TERM $pid
wait $pid
status=$?
children=""
holds "exit status 0, not $status" [ $status -eq 0 ]
finish
