#!/bin/sh
# TensorFlow Serving's own client messages and Triton's own clients against `hone serve`, over HTTP and gRPC.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" -c 'import tritonclient.grpc, tritonclient.http, tensorflow_serving' 2>/dev/null || exit 77
clients="$root/tests/serve/peer_clients.py"
# The clients start threads and forks of their own: nothing of that needs a proxy.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

if command -v protoc-c >/dev/null; then
    protos="$root/src/serve/grpc/proto"
    # shellcheck disable=SC2046
    protoc-c --proto_path="$protos" --include_imports --descriptor_set_out=ours.bin \
        $(cd "$protos" && find . -name '*.proto' | sed 's,^\./,,')
    "$HONE_PYTHON" "$clients" messages ours.bin >messages.log 2>&1
    holds "our messages are the peers': $(tail -n 12 messages.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' messages.log
fi

mkdir models
"$HONE_PYTHON" "$clients" make models >make.log 2>&1
holds "models to serve: $(tail -n 5 make.log)" [ -s models/matrix.onnx ]
set --
for model in models/*.onnx; do
    name=$(basename "$model" .onnx)
    set -- "$@" --model "$name=$model"
done
start_server "$@"
holds "the server listens: $(cat serve.err)" [ -n "$url" ]
timeout 600 "$HONE_PYTHON" "$clients" serve "${url#http://}" >clients.log 2>&1
holds "the clients get what they want: $(tail -n 60 clients.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' clients.log
kill -TERM "$pid"
wait "$pid"
holds "the server ends well" [ $? -eq 0 ]

cat >config <<END
model_config_list {
  config {
    name: "m"
    base_path: "$work/models/versions"
    model_version_policy { all { } }
    version_labels { key: "stable" value: 1 }
  }
}
END
start_server --model_config_file config
holds "the server listens: $(cat serve.err)" [ -n "$url" ]
timeout 600 "$HONE_PYTHON" "$clients" labels "${url#http://}" >labels.log 2>&1
holds "labels and configurations: $(tail -n 30 labels.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' labels.log
finish
