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
works train --model cnn:8-12s2-24-p-32-24 --data $data --epochs 1 --train-samples 6000 --batch 64 --lr 0.05 --out cnn.onnx
for way in minmax percentile mse entropy; do
    works quantize cnn.onnx --mode static --data $data --calibration $way --calibration-samples 256 --out cnn-$way.onnx --json
    json 'd["quantized_nodes"] == 6 and d["float_nodes"] == 0'
    json 'd["after"]["accuracy"] > d["before"]["accuracy"] - 0.01'
    cp stdout $way.json
    for cpu in generic v2 v3; do
        HONE_CPU=$cpu works eval cnn-$way.onnx --data $data --json
        json "d['accuracy'] == json.load(open('$way.json'))['after']['accuracy']"
    done
done
works distill --teacher fp32.onnx --model mlp:784-32-10 --data $data --epochs 2 --train-samples 6000 --out student.onnx
zcat $fashion/t10k-images-idx3-ubyte.gz 2>/dev/null | tail -c +17 >pixels
perl -e 'local $/ = \78400; binmode STDIN; binmode STDOUT; while (<STDIN>) { print pack "f<*", map { $_ / 255 } unpack "C*", $_ }' \
    <pixels | npy x.npy '<f4' '10000, 1, 28, 28'
works quantize cnn.onnx --mode dynamic --data $data --out cnn-dynamic.onnx
for model in fp32 int8 int8-dynamic sparse half student cnn cnn-minmax cnn-mse cnn-dynamic; do
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
if "int8" in model or "cnn-" in model:
    assert same >= 0.999, same
else:
    assert same == 1 and difference <= 1e-4, (same, difference)
END
    status=$?
    holds "$model: $(tail -n 1 peer.log)" [ $status -eq 0 ]
    echo "$model: $(head -n 1 peer.log)"
done

# What an older file said by attributes is inputs in the file that is written.
"$HONE_PYTHON" - <<'END'
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])
y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
w = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "w")
nodes = [helper.make_node("Slice", ["x"], ["part"], axes=[1], starts=[2], ends=[6]), helper.make_node("MatMul", ["part", "w"], ["y"])]
graph = helper.make_graph(nodes, "older", [x], [y], [w])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4), "older.onnx")
END
works quantize older.onnx --mode dynamic --out newer.onnx
holds "newer.onnx" "$HONE_PYTHON" -c 'import onnx; onnx.checker.check_model("newer.onnx", full_check=True)'
finish
