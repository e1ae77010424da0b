#!/bin/sh
# What quantize writes opens in ONNX Runtime and gives the same numbers there.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] && "$HONE_PYTHON" -c 'import numpy, onnxruntime' 2>/dev/null || exit 77
small_model m.onnx 64
"$HONE_PYTHON" -c 'import numpy
numpy.save("x.npy", numpy.random.default_rng(1).random((40, 1, 28, 28), dtype=numpy.float32))'
cat >same.py <<'END'
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()  # real numbers as they are, not rounded to bytes
options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
want = session.run(None, {"input": numpy.load("x.npy")})[0]
got = numpy.load("y.npy")
assert abs(want - got).max() < float(sys.argv[2]) * abs(want).max(), abs(want - got).max()
END
# same WHAT ARGUMENT...: the model made so gives the same in both.
same() {
    bound=$1
    shift
    works quantize m.onnx "$@" --out q.onnx
    works run q.onnx --input @x.npy --output logits=@y.npy
    holds "quantize $*: the same in ONNX Runtime" "$HONE_PYTHON" same.py q.onnx "$bound"
}
for bits in 8 4 3 2; do
    for dialect in onnx ort; do
        same 1e-5 --mode weights --bits $bits --edge-bits $bits --dialect $dialect
        same 1e-5 --mode weights --bits $bits --edge-bits 2 --block 64 --asymmetric --dialect $dialect
    done
    same 1e-5 --mode weights --bits $bits --edge-bits $bits --block 0
    same 0.02 --mode static --bits $bits --edge-bits $bits --data idx:data --rounding gptq --correct-bias
done
same 1e-5 --mode fp16
same 1e-5 --mode bf16
# convolutions
works train --model cnn:8-16s2-p-24 --data idx:data --epochs 1 --threads 1 --out m.onnx
for bits in 4 2; do
    same 1e-5 --mode weights --bits $bits --edge-bits $bits
    same 0.02 --mode static --bits $bits --edge-bits $bits --data idx:data
done
finish
