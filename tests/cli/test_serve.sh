#!/bin/sh
. "$(dirname "$0")/lib.sh"
need_fashion
works train --model mlp:784-32-10 --data fashion-mnist --train-samples 10000 --epochs 3 --out m.onnx

start_server --model fashion=m.onnx
holds "the address is told" [ -n "$url" ]
holds "healthy" curl -sf "$url/healthz"
holds "ready" curl -sf "$url/readyz"
curl -s "$url/v1/models/fashion" >stdout
json 'd["model_version_status"][0]["state"] == "AVAILABLE"'
curl -s "$url/v1/models/fashion/metadata" >stdout
json 'd["model_spec"]["name"] == "fashion"'

# real images: the server says what the model says in process, and mostly the right class
for i in 0 1 2 3; do
    test_image $i | npy x.npy '<f4' '1, 1, 28, 28'
    test_image $i | perl -e 'local $/; binmode STDIN; @x = unpack "f<*", <STDIN>;
        print "{\"instances\": [[[", join(",", map { "[" . join(",", @x[$_ * 28 .. $_ * 28 + 27]) . "]" } 0 .. 27), "]]]}"' >body
    "$HONE" run m.onnx --input input=@x.npy --json >run.json
    curl -s -d @body "$url/v1/models/fashion:predict" >stdout
    json 'all(abs(a - b) < 1e-4 for a, b in zip(d["predictions"][0], json.load(open("run.json"))["outputs"][0]["first"]))'
    label=$(echo $test_labels | cut -d' ' -f$((i + 1)))
    json "d['predictions'][0].index(max(d['predictions'][0])) == $label"
done

code=$(curl -s -o stdout -w '%{http_code}' -d '{"instances": [[1, 2' "$url/v1/models/fashion:predict")
holds "malformed JSON: 400, not $code" [ "$code" = 400 ]
json '"error" in d'
code=$(curl -s -o stdout -w '%{http_code}' -d '{"instances": [[1, 2]]}' "$url/v1/models/fashion:predict")
holds "wrong shape: 400, not $code" [ "$code" = 400 ]
json '"error" in d'
code=$(curl -s -o stdout -w '%{http_code}' "$url/v1/models/nobody")
holds "unknown model: 404, not $code" [ "$code" = 404 ]
curl -s "$url/metrics" >metrics
holds "metrics" grep -q '^# TYPE hone_' metrics

port=${url##*:}
says_like 1 "hone serve: *$port*" serve --model fashion=m.onnx --port "$port"

kill -TERM "$pid"
wait "$pid"
status=$?
holds "SIGTERM: exit status 0, not $status" [ $status -eq 0 ]
holds "nothing listens any more" sh -c "! curl -s $url/healthz"
start_server --model a=m.onnx --model b=m.onnx
holds "two models" sh -c "curl -sf $url/v1/models/a && curl -sf $url/v1/models/b"
kill -INT "$pid"
wait "$pid"
status=$?
children=""
holds "SIGINT: exit status 0, not $status" [ $status -eq 0 ]

says 2 "hone serve: --model needs NAME=PATH, not 'm.onnx'" serve --model m.onnx
echo 'model_config_list { config { name: "c" base_path: "m.onnx" } }' >config
says 2 "hone serve: --model can't be given with --model_config_file, which lists all models" \
    serve --model a=m.onnx --model_config_file config
start_server --model_config_file config --model_name b --model_base_path m.onnx --enable_batching \
    --rest_api_enable_cors_support=false
holds "the configuration is the whole set" curl -sf "$url/v1/models/c"
holds "--model_name is left out" grep -q -- '--model_name is left out' serve.err
holds "nor is it announced" sh -c "! grep -q m.onnx serve.out"
holds "flags of TensorFlow Serving's are left out" grep -q -- '--enable_batching is left out: ' serve.err
holds "also those that are off" grep -q -- '--rest_api_enable_cors_support is left out: ' serve.err
kill -TERM "$pid"
wait "$pid"
children=""
says_like 2 "hone serve: --rest_api_enable_cors_support is not taken here: *" \
    serve --model a=m.onnx --rest_api_enable_cors_support=true
echo 'max_batch_size { value: 4 } batch_timeout_micros { value: 0 } num_batch_threads { value: 2 }' >batching
start_server --model a=m.onnx --enable_batching=true --batching_parameters_file=batching
holds "TensorFlow Serving's batching parameters" curl -sf "$url/v1/models/a"
kill -TERM "$pid"
wait "$pid"
children=""
echo 'max_batch { value: 4 }' >batching
says_like 1 'hone serve: batching: the file of batching parameters has no field "max_batch"' \
    serve --model a=m.onnx --port 0 --batching_parameters_file batching
says 2 "hone serve: needs MODEL, --model, --repository or --model_config_file" serve
says_like 1 "hone serve: model a: none.onnx: *" serve --port 0 --model a=none.onnx
says 2 "hone serve: --port needs a whole number from 0 to 65535, not '70000'" serve --model a=m.onnx --port 70000
finish
