#!/bin/sh
# SIGHUP: new versions and configurations are taken; SIGTERM: a drain shows in readiness, not in liveness.
. "$(dirname "$0")/lib.sh"
small_model m.onnx

# comes WHAT COMMAND...: the command succeeds, soon.
comes() {
    what=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1 || [ $tries -gt 600 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
    holds "$what" "$@"
}
available() { curl -s "$url/v1/models/$1" | tr -d ' \n' | grep -q "\"version\":\"$2\",\"state\":\"AVAILABLE\""; }
config() {
    {
        echo 'model_config_list {'
        for name in "$@"; do echo "  config { name: \"$name\" base_path: \"$work/$name\" }"; done
        echo '}'
    } >"$work/models.new"
    mv "$work/models.new" "$work/models.config"
}

mkdir -p a/1 b/1
cp m.onnx a/1/model.onnx
cp m.onnx b/1/model.onnx
config a
start_server --model_config_file models.config --file_system_poll_wait_seconds 0
holds "version 1" available a 1
mkdir a/.new
cp m.onnx a/.new/model.onnx
mv a/.new a/2
config a b
holds "nobody has said anything yet" sh -c "! curl -sf $url/v1/models/b"
kill -HUP "$pid"
comes "version 2 after SIGHUP" available a 2
comes "it is told" grep -q '^hone serve: model a version 2 is served, loaded in ' serve.err
comes "the new model after SIGHUP" available b 1
# what is broken leaves everything as it is
echo 'model_config_list { config { name: "b" } }' >models.config
kill -HUP "$pid"
comes "a broken configuration is told of" grep -q 'models.config' serve.err
holds "both are served" sh -c "curl -sf $url/v1/models/a && curl -sf $url/v1/models/b"
config b
kill -HUP "$pid"
comes "a is gone" sh -c "[ \$(curl -s -o answer -w '%{http_code}' $url/v1/models/a/metadata) = 404 ]"
holds "b is not" available b 1
kill -TERM "$pid"
wait "$pid"
holds "SIGTERM: the server ends well" [ $? -eq 0 ]

# systemd is told when the models are loaded, by a socket in a directory or an abstract one
for name in notify.sock "@hone-test-$$"; do
    rm -f told # what the listener before this one said
    python3 - "$name" >told <<'END' &
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + name[1:] if name[0] == "@" else name)
s.settimeout(60)
print("bound", flush=True)
print(s.recv(100).decode(), flush=True)
END
    listener=$!
    comes "a socket to be told at" grep -q bound told
    export NOTIFY_SOCKET="$name"
    start_server --model a=m.onnx
    unset NOTIFY_SOCKET
    wait $listener
    holds "systemd is told: $(cat told)" grep -q -x READY=1 told
    kill -TERM "$pid"
    wait "$pid"
done

# closed standard streams: what is meant for them goes nowhere, and not to files or clients that were opened later
"$HONE" serve --model a=m.onnx --port 0 --unix-socket "$work/socket" --access-log - <&- >&- 2>&- &
pid=$!
children="$children $pid"
comes "it serves without standard streams" curl -sf --unix-socket "$work/socket" http://localhost/readyz
for stream in 0 1 2; do
    where=$(readlink /proc/$pid/fd/$stream)
    holds "stream $stream leads to $where" [ "$where" = /dev/null ]
done
kill -TERM "$pid"
wait "$pid"

# a drain that lasts until it is cut short
start_server --model a=m.onnx --drain-delay 600000
holds "ready" curl -sf "$url/readyz"
kill -TERM "$pid"
comes "not ready while it drains" sh -c "[ \$(curl -s -o answer -w '%{http_code}' $url/readyz) = 503 ]"
holds "but alive" curl -sf "$url/healthz"
holds "and serving" curl -sf "$url/v1/models/a/metadata"
holds "the Open Inference Protocol says so too" sh -c "[ \$(curl -s -o answer -w '%{http_code}' $url/v2/health/ready) != 200 ]"
holds "and its liveness" curl -sf "$url/v2/health/live"
curl -s "$url/metrics" >stdout
prints 'hone_ready 0'
kill -TERM "$pid"
wait "$pid"
status=$?
children=""
holds "a second SIGTERM kills: $status" [ $status -eq 143 ]
finish
