#!/usr/bin/env python3
"""Files that other tools wrote, in Hone and in ONNX Runtime, on the same inputs.

    exports.py HONE FOLDER [--variants] [NAME ...]

FOLDER holds NAME.onnx and, beside each, NAME.npz with its inputs, as torch_exports.py and keras_exports.py write them.
--variants also tries what ONNX Runtime's optimizer and quantizers and ONNX's version converter make of them, and onnxsim 0.8
and onnxslim 0.1 where they are installed. All that ONNX Runtime runs has to run and to agree, but for what CONTRADICTED names;
what it refuses is counted. Quantized files may round otherwise, as far as ONNX Runtime's own answers move with its inputs, and
agreeing with it without its optimizations will do. The last line is "N passed, N failed"."""

import argparse
import concurrent.futures
import logging
import os
import pathlib
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import version_converter
from onnxruntime import quantization as q

import zoo

logging.disable(logging.WARNING)
ort.set_default_logger_severity(4)
LEVELS = {"basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC, "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED}
ROUNDED = {"rms": 0.08}  # of quantized values
HALF = {"atol": 4e-3, "rtol": 4e-3}
# ONNX's node tests divide by the scaled length (2.4 - 1 for 4 elements times 0.6), ONNX Runtime by the whole one (2 - 1).
CONTRADICTED = ("resize-bilinear-corners-0.6", "resize-bicubic-corners-0.6")


class Samples(q.CalibrationDataReader):
    def __init__(self, feeds):
        self.left = [feeds]

    def get_next(self):
        return self.left.pop() if self.left else None


def optimized(level):
    def make(path, out, _):
        options = ort.SessionOptions()
        options.graph_optimization_level, options.optimized_model_filepath = LEVELS[level], out
        ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    return make


def quantized(form, **given):
    def make(path, out, feeds):
        q.quantize_static(path, out, Samples(feeds), quant_format=form, **given)

    return make


def dynamic(path, out, _):
    q.quantize_dynamic(path, out)


def converted(version):
    def make(path, out, _):
        model = onnx.load(path)
        if model.opset_import[0].version == version:
            raise ValueError("the same version")
        onnx.save(version_converter.convert_version(model, version), out)

    return make


def simplified(path, out, _):
    import onnxsim

    onnx.save(onnxsim.simplify(onnx.load(path))[0], out)


def slimmed(path, out, _):
    import onnxslim

    onnx.save(onnxslim.slim(onnx.load(path)), out)


QDQ, QOPERATOR, INT8, INT16 = q.QuantFormat.QDQ, q.QuantFormat.QOperator, q.QuantType.QInt8, q.QuantType.QInt16
VARIANTS = {
    "basic": (optimized("basic"), {}),
    "extended": (optimized("extended"), {}),
    "dynamic": (dynamic, ROUNDED),
    "qdq": (quantized(QDQ), ROUNDED),
    "qdq-s8-channels": (quantized(QDQ, activation_type=INT8, weight_type=INT8, per_channel=True), ROUNDED),
    "qdq-s16": (quantized(QDQ, activation_type=INT16), ROUNDED),
    "qoperator": (quantized(QOPERATOR), ROUNDED),
    "qoperator-channels": (quantized(QOPERATOR, per_channel=True, weight_type=INT8), ROUNDED),
    "opset21": (converted(21), {}),
    "opset18": (converted(18), {}),
    "onnxsim": (simplified, {}),
    "onnxslim": (slimmed, {}),
}


def compare(hone, path, feeds, near):
    """None: ONNX Runtime does not run it; "": the same; or what differs."""
    try:
        names = {i.name for i in ort.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()}
        feeds = {name: x for name, x in feeds.items() if name in names}
        theirs = zoo.expected(path, feeds)
    except Exception:  # it has many kinds
        return None
    if any(not isinstance(t, np.ndarray) for t in theirs.values()):
        return None
    try:
        ours = zoo.computed(hone, path, feeds, list(theirs))
    except RuntimeError as e:
        return str(e).replace(str(path), "")
    if all(t.dtype == np.float16 for t in theirs.values()):
        near = near or HALF
    what = differences(ours, theirs, near)
    if what and any("Quant" in n.op_type or "QLinear" in n.op_type for n in onnx.load(path).graph.node):
        near = {"rms": max(ROUNDED["rms"], min(1.2 * sensitivity(path, feeds, theirs), 0.6))}
        what = differences(ours, theirs, near) and differences(ours, zoo.expected(path, feeds, plain=True), near)
    return what


def sensitivity(path, feeds, theirs):
    """How far ONNX Runtime's answers move (root mean square, of all outputs the most) when inputs move by up to 0.2 %: a
    deep quantized network makes much of one value that is rounded up instead of down."""
    draw = np.random.default_rng(1).uniform
    moved = {n: (x * (1 + draw(-2e-3, 2e-3, x.shape))).astype(x.dtype) if x.dtype.kind == "f" else x for n, x in feeds.items()}
    there = zoo.expected(path, moved)
    return max((zoo.share(there[o], t) for o, t in theirs.items() if t.dtype.kind == "f" and t.size and t.shape == there[o].shape), default=0.0)


def differences(ours, theirs, near):
    with np.errstate(invalid="ignore"):
        found = {o: zoo.difference(*finite(ours[o], t), **near) for o, t in theirs.items()}
    return "; ".join(f"{o}: {what}" for o, what in found.items() if what)


def finite(ours, theirs):
    """Infinite and undefined numbers must be the same; what is left is compared by how near it is."""
    if theirs.dtype == object:  # strings
        return np.char.decode(ours, "utf-8").astype(object) if ours.dtype.kind == "S" else ours, theirs
    if theirs.dtype.kind != "f" or ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return ours, theirs
    odd = ~np.isfinite(theirs)
    if odd.any() and np.array_equal(ours[odd], theirs[odd], equal_nan=True):
        return np.where(odd, 0, ours).astype(ours.dtype), np.where(odd, 0, theirs).astype(theirs.dtype)
    return ours, theirs


def check(hone, path, variants):
    """[(name, what compare() says)]"""
    feeds = dict(np.load(path.with_suffix(".npz")))
    results = [(path.stem, compare(hone, str(path), feeds, {}))]
    if not variants or results[0][1] is None:
        return results
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, near) in VARIANTS.items():
            out = os.path.join(folder, "m.onnx")
            try:
                make(str(path), out, feeds)
                if onnx.load(out).graph == onnx.load(path).graph:
                    continue
            except Exception:  # the tool does not do it
                continue
            what = compare(hone, out, feeds, near)
            if what:
                os.replace(out, path.with_name(f"{path.stem}-{name}.failed"))
            results.append((f"{path.stem} {name}", what))
    return results


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("hone")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("names", nargs="*", metavar="NAME", help="what names begin with")
    options.add_argument("--variants", action="store_true", help="also what tools make of them")
    args = options.parse_args()
    paths = sorted(p for p in args.folder.glob("*.onnx") if p.name.startswith(tuple(args.names) or "") and not p.name.startswith(CONTRADICTED))
    passed = failed = refused = 0
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        for results in pool.map(check, [args.hone] * len(paths), paths, [args.variants] * len(paths), chunksize=4):
            for name, what in results:
                if what is None:
                    refused += 1
                    continue
                passed, failed = passed + (not what), failed + bool(what)
                if what:
                    print(f"FAILED: {name}: {what[:300]}", flush=True)
    print(f"{refused} that ONNX Runtime does not run")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main()
