#!/bin/sh
# Where `hone serve` listens: a second port, a Unix domain socket, a port for administration.
. "$(dirname "$0")/lib.sh"
command -v curl >/dev/null || exit 77
small_model m.onnx
start_server --model a=m.onnx --rest_api_port 0 --unix-socket s.sock --admin_port 0
rest=$(sed -n 's/^and at \(http.*\)/\1/p' serve.out)
admin=$(sed -n 's/^administration at //p' serve.out)
holds "the socket is told" grep -q '^and at the socket s.sock$' serve.out
told_of() { sed -n "s/^  $1  *//p" serve.out; }
holds "REST is told" [ "$(told_of REST)" = "$url/v1/models/NAME:predict, $url/v2/models/NAME/infer" ]
holds "gRPC is told" [ "$(told_of gRPC)" = "${url#http://}" ]
holds "metrics are told" [ "$(told_of metrics)" = "$admin/metrics" ]
holds "health is told" [ "$(told_of health)" = "$url/healthz, $url/readyz" ]
holds "the model is told" [ "$(told_of model)" = "a: m.onnx" ]
holds "the main port" curl -sf "$url/v1/models/a"
holds "the second port" curl -sf "$rest/v1/models/a"
holds "the socket" curl -sf --unix-socket s.sock http://localhost/v1/models/a
holds "HTTP/2 at the socket" curl -sf --http2-prior-knowledge --unix-socket s.sock http://localhost/v1/models/a
holds "the socket's mode" [ "$(stat -c %a s.sock)" = 600 ]
for base in "$url" "$rest"; do
    code=$(curl -s -o stdout -w '%{http_code}' "$base/metrics")
    holds "metrics elsewhere: 403, not $code" [ "$code" = 403 ]
    json 'd["error"] == "This is answered at the port for administration only"'
done
curl -s "$admin/metrics" >metrics
holds "metrics" grep -q '^# TYPE hone_' metrics
says 1 "hone serve: s.sock: a server listens there already" serve --port 0 --model a=m.onnx --unix-socket s.sock
kill -TERM "$pid"
wait "$pid"
holds "the socket is removed" [ ! -e s.sock ]

start_server --model a=m.onnx --unix-socket s.sock --unix-socket-mode 0660
kill -KILL "$pid"
wait "$pid" 2>/dev/null
holds "a killed server leaves it" [ -S s.sock ]
start_server --model a=m.onnx --unix-socket s.sock --unix-socket-mode 0660
holds "and another one replaces it" curl -sf --unix-socket s.sock http://localhost/healthz
holds "with the mode that was asked for" [ "$(stat -c %a s.sock)" = 660 ]
kill -TERM "$pid"
wait "$pid"
children=""

# descriptors: the soft limit is raised, and one that stays too low is told
(
    ulimit -Sn 64
    "$HONE" serve --port 0 --unix-socket n.sock --model a=m.onnx --max-connections 500 >out 2>err &
    echo $! >pid
)
until_so curl -sf --unix-socket n.sock http://localhost/readyz
hard=$(ulimit -Hn)
holds "the soft limit is the hard one, $hard" grep -q "^Max open files *$hard *$hard " "/proc/$(cat pid)/limits"
holds "nothing to be told: $(cat err)" [ ! -s err ]
kill -TERM "$(cat pid)"
until_so sh -c "! kill -0 $(cat pid)"
(
    ulimit -n 200
    "$HONE" serve --port 0 --unix-socket n.sock --model a=m.onnx --max-connections 500 >out 2>err &
    echo $! >pid
)
until_so curl -sf --unix-socket n.sock http://localhost/readyz
holds "a warning: $(cat err)" grep -q '^hone serve: warning: --max-connections 500 needs 600 file descriptors, and 200 ' err
kill -TERM "$(cat pid)"
until_so sh -c "! kill -0 $(cat pid)"

: >file
says 1 "hone serve: file: is there, and is no socket" serve --port 0 --model a=m.onnx --unix-socket file
says 2 "hone serve: --unix-socket-mode needs an octal mode from 0 to 0777, not '0888'" \
    serve --model a=m.onnx --unix-socket s.sock --unix-socket-mode 0888
finish
