#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx
works bench m.onnx --batch 1 --threads 1 --seconds 0.05 --warmup 0 --json
json 'd["runs"] >= 10 and 0 < d["median_us"] <= d["p99_us"] and d["throughput"] > 0 and d["batch"] == 1'
works bench m.onnx --batch 64 --threads 2 --seconds 0.05 --warmup 0 --profile --json
json 'd["batch"] == 64 and d["threads"] == 2 and len(d["steps"]) >= 2 and all(s["us"] >= 0 for s in d["steps"])'
works bench m.onnx --seconds 0.05 --profile
prints "runs at batch 1: median"
prints "kernel"
prints "operator"
says 2 "hone bench: --batch needs a whole number from 1 to 1048576, not '0'" bench m.onnx --batch 0
says 2 "hone bench: --seconds needs a number above 0 and up to 3600, not 'long'" bench m.onnx --seconds long
finish
