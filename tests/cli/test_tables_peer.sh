#!/bin/sh
# A model of a table takes raw rows in ONNX Runtime as in Hone, missing numbers and unknown texts included.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] && "$HONE_PYTHON" -c 'import numpy, onnxruntime' 2>/dev/null || exit 77
perl -e 'print "size,city,key,price\n"; srand 5;
for my $i (1 .. 300) { my $s = 20 + int rand 80; my $c = ("Rome", "Oslo", "Bern")[rand 3];
    printf "%s,%s,k%d,%d\n", $i % 20 ? $s : "", $c, rand 90, 1000 * ($s + ($c eq "Rome" ? 20 : 0)) + rand 5000 }' >houses.csv
works train --model mlp:16 --recipe table --epochs 20 --data csv:houses.csv --out m.onnx
# embedded keys (more than 64 of them), one-hot cities, a number that is missing
printf 'size,city,key\n50,Rome,k3\n,Paris,k999\n1e3,,k4\n' >rows.csv
works eval m.onnx --data csv:rows.csv --predictions p.csv
holds "ONNX Runtime gives the same" "$HONE_PYTHON" -c 'import csv, numpy, onnxruntime
session = onnxruntime.InferenceSession("m.onnx")
rows = list(csv.DictReader(open("rows.csv")))
feed = {}
for i in session.get_inputs():
    texts = [r[i.name] for r in rows]
    feed[i.name] = (numpy.array(texts, dtype=object) if i.type == "tensor(string)" else
                    numpy.array([float(t or "nan") for t in texts], dtype=numpy.float32)).reshape(-1, 1)
assert sorted(feed) == ["city", "key", "size"]
got = session.run(None, feed)[0].ravel()
wanted = [float(r["prediction"]) for r in csv.DictReader(open("p.csv"))]
assert numpy.allclose(got, wanted, rtol=1e-4), (got, wanted)'
finish
