#!/bin/sh
# A separable network whose channels differ a lot: with one scale for a weight it collapses, and equalized it does not.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] && "$HONE_PYTHON" -c 'import numpy, onnx, onnxruntime' 2>/dev/null || exit 77
small_data data 4000 500
works train --model dscnn:16-24-32s2 --data idx:data --optimizer adamw --lr 3e-3 --epochs 3 --threads 1 --out m.onnx
# normalizations get channels of sizes 0.03 … 30, and what reads them takes that back: the same network
cat >uneven.py <<'END_OF'
import sys, numpy, onnx
from onnx import numpy_helper
model = onnx.load("m.onnx")
weights = {t.name: t for t in model.graph.initializer}
random = numpy.random.default_rng(1)
factors = None
def scale(name, f, axis):
    w = numpy_helper.to_array(weights[name])
    shape = [1] * w.ndim
    shape[axis] = -1
    weights[name].CopyFrom(numpy_helper.from_array((w * f.reshape(shape)).astype(w.dtype), name))
for n in model.graph.node:
    if n.op_type == "Conv" and factors is not None:
        alone = any(a.name == "group" and a.i > 1 for a in n.attribute)
        scale(n.input[1], 1 / factors, 0 if alone else 1)
    if n.op_type == "BatchNormalization":
        factors = 10 ** random.uniform(-1.5, 1.5, len(numpy_helper.to_array(weights[n.input[1]])))
        scale(n.input[1], factors, 0)
        scale(n.input[2], factors, 0)
scale("head.weight", 1 / factors, 0)
onnx.save(model, "uneven.onnx")
END_OF
needs "the network is made uneven" "$HONE_PYTHON" uneven.py
quantize() { works quantize uneven.onnx --data idx:data --threads 1 --json "$@"; }
lost='100 * (d["before"]["accuracy"] - d["after"]["accuracy"])'
quantize --per-tensor --out collapsed.onnx
json "$lost > 20"
quantize --per-tensor --equalize --out q.onnx
json "$lost <= 1 and d['rescaled'] == 5"
cat >same.py <<'END_OF'
import numpy, onnxruntime
session = onnxruntime.InferenceSession("q.onnx", providers=["CPUExecutionProvider"])
want = session.run(None, {"input": numpy.load("x.npy")})[0]
assert abs(want - numpy.load("y.npy")).max() < 0.05 * abs(want).max()
END_OF
"$HONE_PYTHON" -c 'import numpy
numpy.save("x.npy", numpy.random.default_rng(1).random((40, 1, 28, 28), dtype=numpy.float32))'
works run q.onnx --input @x.npy --output logits=@y.npy
holds "the same in ONNX Runtime" "$HONE_PYTHON" same.py
# activations with a scale for all channels suffer, too
quantize --out own.onnx
quantize --smooth 0.5 --out smooth.onnx
json "$lost <= 1 and d['rescaled'] == 5"
finish
