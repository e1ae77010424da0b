#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx
works eval m.onnx --data idx:data --json
json 'sorted(d) == ["accuracy", "loss", "samples", "seconds"]'
json 'd["samples"] == 500 and 0.4 < d["accuracy"] <= 1 and 0 < d["loss"] < 3 and d["seconds"] > 0'
cp stdout one.json
works eval m.onnx --data idx:data --json --threads 2
json 'd["accuracy"] == json.load(open("one.json"))["accuracy"] and d["loss"] == json.load(open("one.json"))["loss"]'
works eval --data idx:data --split train --json m.onnx
json 'd["samples"] == 2000'
works eval m.onnx --data idx:data
prints "500 samples"
prints "accuracy"
says 2 "hone eval: MODEL is missing: ONNX file to read" eval --data idx:data
says 2 "hone eval: --split is one of train|test, not 'all'" eval m.onnx --data idx:data --split all
finish
