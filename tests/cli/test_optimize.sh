#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx 32
try() { works optimize m.onnx --data idx:data --finetune-epochs 1 --threads 1 "$@"; }
try --gate accuracy:10 --out best.onnx --report r.html --json
cp stdout first.json
json 'd["metric"] == "accuracy" and len(d["points"]) >= 12'
json 'sum(p.get("best", False) for p in d["points"]) >= 3'
json 'all("file" in p or p["not_made"] for p in d["points"])'
# nothing that is best is beaten by another one
json 'not any(a["accuracy"] > b["accuracy"] and a["file_bytes"] < b["file_bytes"] and a["ms_1_thread"] < b["ms_1_thread"]
              for a in d["points"] if "file" in a for b in d["points"] if b.get("best"))'
json 'min(p["file_bytes"] for p in d["points"] if "file" in p and
          p["accuracy"] >= d["points"][0]["accuracy"] - 0.1) == [p for p in d["points"] if p["name"] == d["taken"]][0]["file_bytes"]'
taken=$(python3 -c 'import json; print(json.load(open("first.json"))["taken"])')
holds "the taken one is written" cmp best.onnx "$(ls best.onnx.d/"$taken".*)"
json 'any(p["name"] == "sparse80-packed" and "--pack" in p["command"] and p["file"].endswith(".hone") for p in d["points"])' first.json
json 'len(d["sensitivity"]) == 2 and d["sensitivity"][0]["error"] >= d["sensitivity"][1]["error"] > 0'
json 'all(0 < p["joules"] < 1 for p in d["points"] if "file" in p) and d["energy_source"] in ("rapl", "estimate")'
json 'any(p["name"] == "int4-mixed" and "--keep-worst 1" in p["command"] for p in d["points"])'
holds "the page has a table of weights" grep -q "What each weight costs" r.html
holds "the page has two plots" [ "$(grep -c '<svg' r.html)" -eq 2 ]
# again: nothing is made anew, and another gate chooses among what is there; the same where some is lost
try --gate accuracy:10 --out best.onnx --json
holds "the same answer" cmp stdout first.json
rm best.onnx.d/weights2-trained.onnx best.onnx.d/channels70.onnx
try --gate accuracy:10 --out best.onnx --json
json '([(p["name"], p.get("accuracy"), p.get("test"), p.get("file_bytes")) for p in d["points"]] ==
      [(p["name"], p.get("accuracy"), p.get("test"), p.get("file_bytes")) for p in json.load(open("first.json"))["points"]])'
try --target latency --out best.onnx
prints "wrote best.onnx, the model "
# nobody passes; other data, options or budget
says 2 "hone optimize: --budget needs a time as 90s, 20m or 2h, not '1ms'" \
    optimize m.onnx --data idx:data --budget 1ms --out x.onnx
says 2 "hone optimize: --gate needs a metric and what may be lost, as accuracy:0.5 or perplexity:1%, not 'accuracy'" \
    optimize m.onnx --data idx:data --gate accuracy --out x.onnx
exits 3 optimize m.onnx --data idx:data --budget 0.001s --gate accuracy:0.5 --out y.onnx
prints "not made: channels70: no time was left"
holds "nothing is written" [ ! -e y.onnx ]
hone optimize m.onnx --data idx:data --finetune-epochs 1 --seed 2 --budget 0.001s --gate accuracy:90 --dir best.onnx.d --out z.onnx
holds "what was made otherwise is not taken for granted" grep -q 'all is made anew' stderr
nothing_left .
finish
