#!/bin/sh
# Packed models: small where weights are sparse and clustered, read everywhere, and the same bytes when they are unpacked.
. "$(dirname "$0")/lib.sh"
small_model m.onnx 32
works prune m.onnx --sparsity 0.9 --data idx:data --finetune-epochs 1 --threads 1 --out sparse.onnx
works quantize sparse.onnx --mode clusters --clusters 8 --finetune-epochs 1 --data idx:data --threads 1 --out clustered.onnx --json
json 'd["mode"] == "clusters" and d["quantized_nodes"] == 2'
json 'd["after"]["loss"] < d["before"]["loss"] + 0.05'
works pack clustered.onnx --out packed.hone --json
json "d['bytes_before'] == $(wc -c <clustered.onnx) and d['bytes_after'] == $(wc -c <packed.hone)"
json 'd["bytes_after"] < d["bytes_before"] / 25'
works unpack packed.hone --out plain.onnx
prints "wrote plain.onnx"
holds "the same bytes" cmp plain.onnx clustered.onnx
# wherever a model is read
works eval clustered.onnx --data idx:data --json
cp stdout plain.json
works eval packed.hone --data idx:data --json
json 'all(d[k] == json.load(open("plain.json"))[k] for k in ("accuracy", "loss", "confusion"))'
works inspect packed.hone
works quantize packed.hone --data idx:data --out q.onnx
works quantize clustered.onnx --data idx:data --out q2.onnx
holds "quantized, it is the same" cmp q.onnx q2.onnx
works train --model packed.hone --data idx:data --epochs 1 --threads 1 --out t.onnx
works distill --teacher packed.hone --model mlp:784-8-10 --data idx:data --epochs 1 --threads 1 --out d.onnx
works quantize sparse.onnx --mode clusters --clusters 8 --pack --out direct.hone
works prune m.onnx --sparsity 0.9 --finetune-epochs 0 --pack --out pruned.hone
holds "pruned and packed" [ "$(wc -c <pruned.hone)" -lt $(($(wc -c <m.onnx) / 4)) ]
# a server serves it under the name that it wants
mkdir -p models/m/1
cp packed.hone models/m/1/model.onnx
start_server --repository models
until_so curl -sf "$url/v2/models/m/ready"
holds "it is served" curl -sf "$url/v2/models/m/ready"
says 1 "hone unpack: plain.onnx: is no packed model" unpack plain.onnx --out x.onnx
head -c 1000 packed.hone >cut.hone
says_like 1 "hone eval: cut.hone: is a damaged packed model: *" eval cut.hone --data idx:data
holds "nothing is written" [ ! -e x.onnx ]
nothing_left .
finish
