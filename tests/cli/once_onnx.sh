#!/bin/sh
# Whatever the commands write passes onnx.checker in full, and ONNX Runtime gives the same answers: on all 10,000 test
# images the same class for float models and on 99.9 % for integer ones; float outputs within 1e-4.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
need_fashion
data=fashion-mnist
works train --model mlp:784-128-10 --data $data --epochs 2 --out fp32.onnx
works quantize fp32.onnx --mode static --data $data --out int8.onnx
works quantize fp32.onnx --mode dynamic --data $data --out int8-dynamic.onnx
works prune fp32.onnx --sparsity 0.9 --data $data --finetune-epochs 1 --out sparse.onnx
works prune fp32.onnx --structured 0.5 --data $data --finetune-epochs 1 --out half.onnx
works distill --teacher fp32.onnx --model mlp:784-32-10 --data $data --epochs 2 --train-samples 6000 --out student.onnx
zcat $fashion/t10k-images-idx3-ubyte.gz 2>/dev/null | tail -c +17 >pixels
perl -e 'local $/ = \78400; binmode STDIN; binmode STDOUT; while (<STDIN>) { print pack "f<*", map { $_ / 255 } unpack "C*", $_ }' \
    <pixels | npy x.npy '<f4' '10000, 1, 28, 28'
for model in fp32 int8 int8-dynamic sparse half student; do
    works run $model.onnx --input input=@x.npy --output logits=@$model.npy
    "$HONE_PYTHON" - $model.onnx $model.npy <<'END' >peer.log 2>&1
import sys
import numpy as np
import onnx
import onnxruntime
model, ours = sys.argv[1], np.load(sys.argv[2])
onnx.checker.check_model(model, full_check=True)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
theirs = session.run(["logits"], {"input": np.load("x.npy")})[0]
same = (ours.argmax(1) == theirs.argmax(1)).mean()
difference = np.abs(ours - theirs).max()
print(f"same class {same:.4%}, largest difference {difference:.3g}")
if "int8" in model:
    assert same >= 0.999, same
else:
    assert same == 1 and difference <= 1e-4, (same, difference)
END
    status=$?
    holds "$model: $(tail -n 1 peer.log)" [ $status -eq 0 ]
    echo "$model: $(head -n 1 peer.log)"
done
finish
