#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx
works eval m.onnx --data idx:data --json
json 'sorted(d) == ["accuracy", "balanced_accuracy", "classes", "confusion", "loss", "macro_f1", "samples", "seconds", "top_5_accuracy"]'
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
says 2 "hone eval: --split is one of train|test|val|all, not 'some'" eval m.onnx --data idx:data --split some

# what is known beyond one number
works eval m.onnx --data idx:data --json --top 3
json 'sum(map(sum, d["confusion"])) == 500 and sum(d["confusion"][i][i] for i in range(10)) == round(d["accuracy"] * 500)'
json 'all(sum(r) == c["samples"] for r, c in zip(d["confusion"], d["classes"])) and d["accuracy"] <= d["top_3_accuracy"] <= 1'
works eval m.onnx --data idx:data --predictions p.csv
prints "which are taken for which"
holds "a line for each sample" [ "$(wc -l <p.csv)" -eq 501 ]
holds "predictions agree with the accuracy" python3 -c 'import csv, json
rows = list(csv.DictReader(open("p.csv")))
hits = sum(r["prediction"] == r["target"] for r in rows)
p = [float(rows[7]["p(%d)" % k]) for k in range(10)]
assert hits == round(json.load(open("one.json"))["accuracy"] * 500) and abs(sum(p) - 1) < 1e-4
assert max(p) == float(rows[7]["probability"])'
says 1 "hone eval: nowhere/p.csv: cannot write: No such file or directory" eval m.onnx --data idx:data --predictions nowhere/p.csv
finish
