#!/bin/sh
# Every signal at every moment of `hone serve`: before it listens, while it loads, while it loads beside requests, under
# load, while it drains; and as the first process of a container.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" -c 'import onnx' 2>/dev/null || exit 77
for tool in curl mkfifo openssl python3; do command -v $tool >/dev/null || exit 77; done
ulimit -c 0

# halves: y = x / 2; endless: a loop that ends in years
"$HONE_PYTHON" - <<'END' || exit 1
import onnx
from onnx import TensorProto, helper

def info(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)

def save(path, nodes, constants):
    graph = helper.make_graph(
        nodes, "g", [info("x", TensorProto.FLOAT, ["batch"])], [info("y", TensorProto.FLOAT, ["batch"])], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)

half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
save("halves.onnx", [helper.make_node("Mul", ["x", "half"], ["y"])], [half])
body = helper.make_graph(
    [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Mul", ["v", "half"], ["w"])], "body",
    [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("v", TensorProto.FLOAT, ["batch"])],
    [info("on", TensorProto.BOOL, []), info("w", TensorProto.FLOAT, ["batch"])])
count = helper.make_tensor("count", TensorProto.INT64, [], [1 << 60])
save("endless.onnx", [helper.make_node("Loop", ["count", "", "x"], ["y"], body=body)], [half, count])
END
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost 2>openssl.log
echo '{"instances": [1.0]}' >body
socket=$work/socket

# repository MODEL...: halves as a, and these models as b.
repository() {
    rm -rf models
    mkdir -p models/a/1
    cp halves.onnx models/a/1/model.onnx
    [ $# -eq 0 ] || put "$1"
}
put() {
    mkdir -p models/.b/1
    cp "$1.onnx" models/.b/1/model.onnx
    mv models/.b models/b
}
ask() { curl -s -f --unix-socket "$socket" "http://localhost$1"; }
code() { [ "$(curl -s -o answer -w '%{http_code}' --unix-socket "$socket" "http://localhost$2")" = "$1" ]; }
state() { ask /v1/models/"$1" | grep -q "\"state\": \"$2\""; }
catches() { ! kill -0 "$pid" || [ $((0x0$(sed -n "s/^SigCgt:[^0-9a-f]*//p" "/proc/$pid/status") & 0x4000)) -ne 0 ]; }
gone() { ! kill -0 "$pid" 2>/dev/null; }

# serve ARGUMENT...: sets $pid; nobody waits for anything.
serve() {
    rm -f "$socket" serve.out
    "$HONE" serve --repository models --port 0 --unix-socket "$socket" --file_system_poll_wait_seconds 0 "$@" \
        >serve.out 2>serve.err </dev/null &
    pid=$!
    children=$pid
}
# The moments: each starts a server and waits until it is there. What follows them, when the signal has come.
before_listening() {
    repository endless
    rm -f openssl.cnf
    mkfifo openssl.cnf # OpenSSL waits for somebody who writes it
    export OPENSSL_CONF="$work/openssl.cnf"
    serve --tls-cert cert.pem --tls-key key.pem
    unset OPENSSL_CONF
    until_so catches
}
after_before_listening() { : >openssl.cnf; }
while_loading() {
    repository endless
    serve
    until_so state b LOADING
    holds "while loading it is alive" code 200 /healthz
    holds "and not ready" code 503 /readyz
}
while_reloading() {
    repository
    serve
    until_so code 200 /readyz
    put endless
    kill -HUP "$pid"
    until_so state b LOADING
    holds "while loading more it is ready" code 200 /readyz
}
under_load() {
    repository
    rm -f done
    serve
    until_so code 200 /readyz
    url=$(sed -n 's/^listening at //p' serve.out)
    python3 "$root/tests/cli/load.py" "$url/v1/models/a:predict" body "$work/done" 2 >load.json 2>load.err &
    load=$!
    until_so sh -c "curl -s --unix-socket $socket http://localhost/metrics | grep -q 'method=\"predict\",code=\"200\"} [1-9][0-9]'"
}
after_under_load() {
    touch done
    wait $load
    cp load.json stdout
    json 'list(d["answers"]) == ["200"]'
}
while_draining() {
    repository
    serve --drain-delay 600000
    until_so code 200 /readyz
    kill -TERM "$pid"
    until_so code 503 /readyz
}
afterwards() { # what follows a moment, if anything does
    case $1 in before_listening | under_load) after_"$1" ;; esac
}

for moment in before_listening while_loading while_reloading under_load while_draining; do
    # what ends it
    for signal in TERM INT; do
        $moment
        kill -$signal "$pid"
        [ $moment = under_load ] || afterwards $moment
        wait "$pid"
        status=$?
        [ $moment != under_load ] || afterwards $moment
        wanted=0
        if [ $moment = while_draining ]; then case $signal in TERM) wanted=143 ;; INT) wanted=130 ;; esac fi
        holds "SIG$signal $moment: status $status, not $wanted; $(cat serve.err)" [ $status -eq $wanted ]
        [ $wanted -ne 0 ] || holds "the socket is removed" [ ! -e "$socket" ]
    done
    # what does not
    for signal in HUP PIPE; do
        $moment
        kill -$signal "$pid"
        [ $moment != before_listening ] || afterwards $moment
        until_so sh -c "[ -S $socket ]"
        holds "SIG$signal $moment: it lives" ask /healthz
        if [ $moment = while_draining ]; then
            kill -KILL "$pid"
            wait "$pid" 2>/dev/null
            continue
        fi
        kill -TERM "$pid"
        wait "$pid"
        status=$?
        [ $moment != under_load ] || afterwards $moment
        holds "SIG$signal $moment, then SIGTERM: status $status; $(cat serve.err)" [ $status -eq 0 ]
    done
done

# a model that came before SIGHUP while others were loaded is found
repository
for i in $(seq 100); do
    mkdir -p "models/m$i/1"
    cp halves.onnx "models/m$i/1/model.onnx"
done
serve
until_so state m99 AVAILABLE
put halves
kill -HUP "$pid"
until_so state b AVAILABLE
holds "SIGHUP while loading is remembered" state b AVAILABLE
kill -TERM "$pid"
wait "$pid"

# a reader of standard output that has gone
repository
mkfifo out
"$HONE" serve --repository models --port 0 --unix-socket "$socket" >out 2>serve.err </dev/null &
pid=$!
children=$pid
: <out
until_so code 200 /readyz
holds "it serves though nobody reads what it prints" code 200 /v1/models/a
kill -TERM "$pid"
wait "$pid"

# the first process of a container: what is not handled does not reach it
inside() {
    rm -f "$socket"
    unshare --user --map-root-user --pid --fork --kill-child "$HONE" serve --repository models --port 0 \
        --unix-socket "$socket" "$@" >serve.out 2>serve.err </dev/null &
    outside=$!
    children=$outside
}
if unshare --user --map-root-user --pid --fork true 2>/dev/null; then
    repository endless
    inside
    until_so state b LOADING
    kill -TERM "$(ps -o pid= --ppid $outside)"
    wait $outside
    status=$?
    holds "SIGTERM to the first process while it loads: status $status" [ $status -eq 0 ]
    repository
    inside --drain-delay 600000
    until_so code 200 /readyz
    pid=$(ps -o pid= --ppid $outside)
    kill -TERM "$pid"
    until_so code 503 /readyz
    kill -TERM "$pid"
    wait $outside
    status=$?
    holds "a second one kills it: status $status" [ $status -eq 143 ]
fi
children=""
finish
