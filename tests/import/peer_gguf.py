#!/usr/bin/env python3
"""GGUF files against Python's gguf and ONNX Runtime: the numbers of all formats, bit for bit; what is imported holds the same
numbers, and gives in ONNX Runtime the perplexity that Hone tells of the GGUF file."""
import json
import os
import subprocess
import sys

import numpy as np

try:
    import gguf
    import onnx
    import onnxruntime
    from onnx import numpy_helper
except ImportError as e:
    print(e)
    sys.exit(77)
import gguf_files

HONE, BUILD = os.environ["HONE"], os.environ["HONE_BUILD"]
passed = failed = 0


def check(what, good):
    global passed, failed
    passed, failed = passed + good, failed + (not good)
    if not good:
        print("FAILED:", what)


def to_floats(raw, kind, shape):
    with np.errstate(all="ignore"):
        return gguf.dequantize(np.frombuffer(raw, np.uint8).reshape(shape[0], -1), gguf.GGMLQuantizationType(
            gguf_files.BLOCKS[kind][0])).astype(np.float32)


def same(a, b):
    nan = np.isnan(a) & np.isnan(b)
    return np.array_equal(a.view(np.uint32)[~nan], b.view(np.uint32)[~nan])


def check_numbers(kind):
    """All bit patterns, those of NaN and infinite scales, too."""
    number, weights, width = gguf_files.BLOCKS[kind]
    rng = np.random.default_rng(number)
    rows, row = 64, max(weights, 32)
    raw = rng.integers(0, 256, (rows * row // weights, width), dtype=np.uint8).tobytes()
    if kind == "F32":
        raw = np.frombuffer(raw, np.uint8).tobytes()
    out = subprocess.run([os.path.join(BUILD, "import_test_blocks"), str(number), str(rows * row)], input=raw,
                         stdout=subprocess.PIPE, check=True).stdout
    got = np.frombuffer(out, np.float32)
    check(f"{kind}: numbers", same(to_floats(raw, kind, [rows]).reshape(-1), got))


def unpaired(w, head):
    """Rows of pairs of neighbours as halves."""
    return w.reshape(-1, head // 2, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def weight_values(model):
    """{initializer's name: name of the value [N, K] that goes into Transpose}"""
    made = {o: n for n in model.graph.node for o in n.output}
    known = {i.name for i in model.graph.initializer}
    found = {}
    for n in model.graph.node:
        if n.op_type != "Transpose":
            continue
        at = n.input[0]
        while at not in known:
            at = made[at].input[0]
        found[at] = n.input[0]
    return found


def perplexity(path, ids, window, begin=None):
    s = onnxruntime.InferenceSession(path)
    loss, count = 0.0, 0
    for first in range(0, len(ids) - window + 1, window):
        part = np.array([ids[first:first + window]], np.int64)
        feed = {"input_ids": part, "position_ids": np.arange(window, dtype=np.int64)[None]}
        for i in s.get_inputs():
            if i.name.startswith("past"):
                feed[i.name] = np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32)
        x = s.run(["logits"], feed)[0][0].astype(np.float64)
        x -= x.max(axis=1, keepdims=True)
        p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        for i in range(window // 2, window):
            loss -= p[i - 1, part[0, i]]
            count += 1
    return float(np.exp(loss / count))


def check_model(kind):
    tensors = {}
    gguf_files.llama("m.gguf", kind, change=lambda keys, t: tensors.update(t))
    subprocess.run([HONE, "import", "m.gguf", "--out", "m"], check=True, stdout=subprocess.DEVNULL)
    onnx.checker.check_model("m/model.onnx")
    model = onnx.load("m/model.onnx")
    values = weight_values(model)
    for name in values.values():
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    s = onnxruntime.InferenceSession(model.SerializeToString())
    feed = {"input_ids": np.zeros((1, 1), np.int64), "position_ids": np.zeros((1, 1), np.int64)}
    for i in s.get_inputs():
        if i.name.startswith("past"):
            feed[i.name] = np.zeros((1, i.shape[1], 0, i.shape[3]), np.float32)
    got = dict(zip(values, s.run(list(values.values()), feed)))
    pairs = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
             "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    exact = True
    for to, name in pairs.items():
        for layer in range(2):
            _, shape, raw = tensors[f"blk.{layer}.{name}.weight"]
            want = to_floats(raw, kind, shape)
            if name in ("attn_q", "attn_k"):
                want = unpaired(want, 64)
            exact &= same(want, got[f"model.layers.{layer}.{to}.weight"])
    check(f"{kind}: what is imported has the same numbers", exact)
    words = "What does it make of this? Nothing yet, but it was not told what to say. " * 6
    open("words.txt", "w").write(words[:400])
    told = json.loads(subprocess.run([HONE, "eval", "m.gguf", "--data", "text:words.txt", "--context", "64", "--json"],
                                     check=True, stdout=subprocess.PIPE).stdout)
    ids = json.loads(subprocess.run([HONE, "tokenize", "m/tokenizer.json", "--file", "words.txt", "--json"], check=True,
                                    stdout=subprocess.PIPE).stdout)["ids"]
    want = perplexity("m/model.onnx", ids, 64)
    check(f"{kind}: perplexity {told['perplexity']}, ONNX Runtime's {want}",
          abs(told["perplexity"] / want - 1) < 2e-5)


for kind in gguf_files.BLOCKS:
    check_numbers(kind)
for kind in gguf_files.BLOCKS:
    check_model(kind)
print(f"{passed} passed, {failed} failed")
