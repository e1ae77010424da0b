#!/bin/sh
# Two replicas behind HAProxy with deploy/'s configuration, under load: one is killed, comes back, and the other one is
# stopped; no request is lost.
. "$(dirname "$0")/lib.sh"
need_peer haproxy -v
for tool in curl python3; do command -v $tool >/dev/null || exit 77; done
small_model m.onnx
perl -e 'print "{\"instances\": [", join(",", ("[[" . join(",", ("[" . join(",", (0.5) x 28) . "]") x 28) . "]]") x 8), "]}"' >body

# free_ports N: so many that nobody listens at.
free_ports() {
    python3 -c 'import socket, sys
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*[x.getsockname()[1] for x in s])' "$1"
}

# replica PORT: starts one there; sets $pid and $port.
replica() {
    again=0
    while :; do
        start_server_at "$1" --model a=m.onnx --drain-delay 5000
        port=${url##*:}
        # somebody's own connection may have had the port just now
        if [ -n "$port" ] || [ $again -eq 10 ]; then break; fi
        again=$((again + 1))
        sleep 0.5
    done
    needs "a replica listens: $(cat serve.err)" [ -n "$port" ]
}

# state NAME STATE: HAProxy has the replica in that state, soon.
state() {
    tries=0
    until curl -s "$admin/;csv" | grep "^rest,$1," | grep -q ",$2," || [ $tries -gt 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    needs "$1 is $2: $(tail -n 3 haproxy.log; curl -s "$admin/;csv" | grep "^rest,$1," | cut -d, -f18)" [ $tries -le 600 ]
}

# answered N: so many more predictions were answered, soon.
total() { curl -s "$admin/;csv" | grep '^rest,BACKEND,' | cut -d, -f8; }
answered() {
    goal=$(($(total) + $1))
    tries=0
    until [ "$(total || echo 0)" -ge $goal ] || [ $tries -gt 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    needs "the load goes on" [ $tries -le 600 ]
}

replica 0
pid1=$pid port1=$port
replica 0
pid2=$pid port2=$port
# shellcheck disable=SC2046
set -- $(free_ports 3)
rest=http://127.0.0.1:$1 grpc=http://127.0.0.1:$2 admin=http://127.0.0.1:$3
sed -e "s/192.0.2.1:8501/127.0.0.1:$port1/" -e "s/192.0.2.2:8501/127.0.0.1:$port2/" -e "s/bind :8501/bind 127.0.0.1:$1/" \
    -e 's/timeout \([a-z-]*\) .*/timeout \1 300s/' -e 's/body time .* unless/body time 300s unless/' -e "s/bind :8500/bind 127.0.0.1:$2/" -e "s/127.0.0.1:8404/127.0.0.1:$3/" "$root/deploy/haproxy/haproxy.cfg" >haproxy.cfg
peer haproxy -c -f haproxy.cfg >check.log 2>&1
needs "the configuration is good: $(cat check.log)" [ $? -eq 0 ]
holds "and nothing is to be said about it" sh -c "! grep -q -i -e warning -e alert check.log"
start_peer haproxy -db -f haproxy.cfg
haproxy=$peer_pid
state hone1 UP
state hone2 UP

curl -s -o direct -d @body "http://127.0.0.1:$port1/v1/models/a:predict"
curl -s -o stdout -d @body "$rest/v1/models/a:predict"
holds "the same answer through HAProxy" cmp -s direct stdout
printf '\0\0\0\0\0' >message
curl -s --http2-prior-knowledge -D head -o answer --data-binary @message -H 'content-type: application/grpc' \
    -H 'te: trailers' "$grpc/grpc.health.v1.Health/Check"
holds "gRPC: $(cat head)" grep -q '^grpc-status: 0' head
code=$(curl -s -o answer -w '%{http_code}' -X POST "$rest/v2/repository/models/a/unload")
holds "clients don't unload: 403, not $code" [ "$code" = 403 ]

python3 "$root/tests/cli/load.py" "$rest/v1/models/a:predict" body stop 8 >load.json 2>load.err &
load=$!
children="$children $load"
answered 200
kill -KILL $pid1
wait $pid1 2>/dev/null
answered 200
state hone1 DOWN
replica "$port1"
pid1=$pid
state hone1 UP
answered 200
kill -TERM $pid2
state hone2 DOWN
wait $pid2
holds "the other one ends well" [ $? -eq 0 ]
answered 200
touch stop
wait $load
cp load.json stdout
json 'd["failures"] == [] and list(d["answers"]) == ["200"] and d["answers"]["200"] >= 800'
curl -s "$admin/;csv" | grep '^rest,BACKEND,' | awk -F, '{ print $8 " requests, " $16 " asked again, " $17 " of another replica" }'
kill -TERM "$pid1" "$haproxy"
wait "$pid1"
children=""
finish
