#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx
works inspect m.onnx --json
json 'd["file"] == "m.onnx" and d["inputs"] == [{"name": "input", "dtype": "float32", "shape": ["batch", 1, 28, 28]}]'
json 'd["outputs"] == [{"name": "logits", "dtype": "float32", "shape": ["batch", 10]}]'
json 'd["operators"]["Relu"] == 1 and d["operators"]["Flatten"] == 1 and sum(d["operators"].values()) == d["nodes"]'
json 'd["multiply_adds"] == 784 * 16 + 16 * 10 and d["parameters"] == 784 * 16 + 16 + 160 + 10'
json 'd["file_bytes"] == '"$(wc -c <m.onnx)"' and d["parameter_bytes"] >= 4 * d["parameters"]'
works inspect m.onnx
prints "inputs          input: float32 [batch, 1, 28, 28]"
prints "outputs         logits: float32 [batch, 10]"
prints "multiply-adds   12,704 a sample"
prints "operator"
works train --model mlp:784-4-10 --data fashion-mnist --train-samples 64 --epochs 1 --out named.onnx
works inspect named.onnx --json
json 'd["classes"][0] == "T-shirt/top" and d["classes"][9] == "Ankle boot" and len(d["classes"]) == 10'
works inspect named.onnx
prints "9 Ankle boot"
says 2 "hone inspect: unexpected argument 'n.onnx'" inspect m.onnx n.onnx
finish
