#!/usr/bin/env python3
"""Has NumPy do what `hone train` and `hone eval` do, and ONNX Runtime run what they write.

    HONE=build/test/hone peer_objectives.py DIR

A model of two inputs that the onnx package makes is trained from an NPZ file, full batches, with each objective; the
weights must be those of gradient descent in double precision, and the metrics those of ONNX Runtime's outputs. The last
line is "N passed, N failed"; the exit status is 1 if any failed."""

import json
import os
import pathlib
import subprocess
import sys

try:
    import numpy
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    sys.exit(77)

SAMPLES, EPOCHS, RATE, MOMENTUM = 40, 25, 0.2, 0.9
counts = [0, 0]


def check(name, holds, shown=""):
    counts[not holds] += 1
    if not holds:
        print("FAILED: %s %s" % (name, shown))


def hone(*arguments):
    done = subprocess.run([os.environ["HONE"], *arguments, "--json", "--threads", "1"], capture_output=True, text=True)
    if done.returncode:
        sys.exit("hone %s: %s" % (" ".join(arguments), done.stderr))
    return json.loads(done.stdout)


def make_model(path, outputs, seed):
    """tokens [batch, 3] wa + (marks [batch, 2] wb + bias)"""
    random = numpy.random.default_rng(seed)
    weights = {"wa": random.normal(size=(3, outputs)), "wb": random.normal(size=(2, outputs)), "bias": random.normal(size=outputs)}
    nodes = [helper.make_node("MatMul", ["tokens", "wa"], ["p"]), helper.make_node("Gemm", ["marks", "wb", "bias"], ["q"]),
             helper.make_node("Add", ["p", "q"], ["out"])]
    value = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
    graph = helper.make_graph(nodes, "two", [value("tokens", 3), value("marks", 2)], [value("out", outputs)],
                              [numpy_helper.from_array(w.astype(numpy.float32), n) for n, w in weights.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return {n: w.astype(numpy.float32).astype(float) for n, w in weights.items()}


def slope(objective, y, target):
    """The gradient of the mean loss to the outputs."""
    if objective == "mean-squared-error":
        return 2 * (y - target) / y.size
    if objective == "binary-cross-entropy":
        return (1 / (1 + numpy.exp(-y)) - target) / y.size
    e = numpy.exp(y - y.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    e[numpy.arange(len(y)), target] -= 1
    return e / len(y)


def loss_of(objective, y, target):
    if objective == "mean-squared-error":
        return ((y - target) ** 2).mean()
    if objective == "binary-cross-entropy":
        return (numpy.logaddexp(0, y) - y * target).mean()
    return (numpy.logaddexp.reduce(y, axis=1) - y[numpy.arange(len(y)), target]).mean()


def metrics_of(objective, y, target):
    if objective == "mean-squared-error":
        rest, spread = ((y - target) ** 2).sum(), ((target - target.mean(axis=0)) ** 2).sum()
        return {"mean_absolute_error": abs(y - target).mean(), "r2": 1 - rest / spread}
    if objective == "binary-cross-entropy":
        return {"accuracy": ((y > 0) == (target > 0.5)).mean()}
    return {"accuracy": (y.argmax(axis=1) == target).mean()}


def descend(objective, weights, tokens, marks, target):
    speed = {n: numpy.zeros_like(w) for n, w in weights.items()}
    for _ in range(EPOCHS):
        d = slope(objective, tokens @ weights["wa"] + marks @ weights["wb"] + weights["bias"], target)
        gradient = {"wa": tokens.T @ d, "wb": marks.T @ d, "bias": d.sum(axis=0)}
        for n in weights:
            speed[n] = MOMENTUM * speed[n] + gradient[n]
            weights[n] = weights[n] - RATE * speed[n]
    return weights


def data_for(objective, seed):
    random = numpy.random.default_rng(seed)
    tokens, marks = random.normal(size=(SAMPLES, 3)).astype(numpy.float32), random.normal(size=(SAMPLES, 2))
    target = {"mean-squared-error": random.normal(size=(SAMPLES, 4)),
              "binary-cross-entropy": random.integers(0, 2, size=(SAMPLES, 4)).astype(bool),
              "cross-entropy": random.integers(0, 4, size=SAMPLES).astype(numpy.int32)}[objective]
    return tokens, marks, target


def compare(directory, objective):
    model, trained, data = directory / "two.onnx", directory / ("%s.onnx" % objective), directory / "data.npz"
    tokens, marks, target = data_for(objective, 5)
    numpy.savez(data, tokens=tokens, second=marks, wanted=target, names=numpy.array(["a", "b"]), seed=3)
    weights = make_model(model, 4, 6)
    task = ["--objective", objective, "--target", "wanted", "--input", "marks=second"]
    report = hone("train", "--model", str(model), "--data", "npz:%s" % data, *task, "--epochs", str(EPOCHS), "--batch", str(SAMPLES),
                  "--lr", str(RATE), "--momentum", str(MOMENTUM), "--schedule", "constant", "--out", str(trained))
    exact = lambda x: x.astype(int) if objective == "cross-entropy" else x.astype(float)
    wanted = descend(objective, weights, tokens.astype(float), marks.astype(numpy.float32).astype(float), exact(target))
    written = {t.name: numpy_helper.to_array(t) for t in onnx.load(trained).graph.initializer}
    for name, w in wanted.items():
        off = abs(written[name] - w).max()
        check("%s: %s" % (objective, name), off < 2e-5, "is off by %g" % off)
    session = onnxruntime.InferenceSession(str(trained), providers=["CPUExecutionProvider"])
    y = session.run(None, {"tokens": tokens, "marks": marks.astype(numpy.float32)})[0].astype(float)
    # The model remembers its objective; columns are found by the same words.
    seen = hone("eval", str(trained), "--data", "npz:%s" % data, *task[2:])
    check("%s: loss" % objective, abs(seen["loss"] - loss_of(objective, y, exact(target))) < 1e-6, seen)
    for name, value in metrics_of(objective, y, exact(target)).items():
        check("%s: %s" % (objective, name), abs(seen[name] - value) < 1e-5, "%s, not %s" % (seen, value))
    check("%s: training tells its first metric" % objective, "train_" + list(metrics_of(objective, y, exact(target)))[0] in report, report)


directory = pathlib.Path(sys.argv[1])
for objective in ("cross-entropy", "mean-squared-error", "binary-cross-entropy"):
    compare(directory, objective)
print("%d passed, %d failed" % tuple(counts))
sys.exit(1 if counts[1] else 0)
