#!/usr/bin/env python3
"""Runs random ONNX graphs in Hone and in ONNX Runtime and compares.

    random_graphs.py HONE COUNT [SEED]

The graphs are those of seeds SEED (1) and following: every operator, shapes with sizes of 0 and 1 and around those of
vectors and tiles, broadcasting, QDQ, dynamic quantization, older operator sets. All values stay finite. ONNX Runtime
runs them as they are written, without rewrites, Hone with all of its rewrites and at an ISA level that changes with the
seed. A value within rounding's reach of the edge between two integers may be quantized either way: of such a graph only
the types of the outputs are compared. Files of graphs that differ stay in the working directory. The last line is
"N passed, N failed"."""

import os
import random
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

# Between 0 and 1 they give away how large their inputs were, and with that how large an error may be.
SQUASHING = {"Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Gelu"}
LEVELS = ("", "generic", "v2", "v3", "v3,-vnni", "v4,-vnni")
SIZES = (1, 1, 2, 3, 4, 5, 7, 8, 10, 15, 16, 17, 31, 33, 48, 49, 64, 65)
MOST = 100000  # elements of a value


class Value:
    def __init__(self, name, shape, dtype=TensorProto.FLOAT, bounded=False):
        self.name, self.shape, self.dtype, self.bounded = name, tuple(shape), dtype, bounded

    def size(self):
        return int(np.prod(self.shape))


class Maker:
    def __init__(self, seed):
        self.random, self.numbers = random.Random(seed), np.random.RandomState(seed)
        self.nodes, self.constants, self.values, self.inputs = [], [], [], []
        self.quantized = []  # (input of a quantization, its scale, or None for a dynamic one)
        self.opset = self.random.choice((11, 13, 13, 17, 18, 21))
        self.count = 0

    def chance(self, share):
        return self.random.random() < share

    def fresh(self, letter):
        self.count += 1
        return f"{letter}{self.count}"

    def constant(self, array):
        name = self.fresh("c")
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def numbers_of(self, shape, scale=1.0):
        return np.asarray(self.numbers.uniform(-1, 1, shape) * scale, np.float32)

    def emit(self, op, inputs, shape, dtype=TensorProto.FLOAT, bounded=False, **attributes):
        value = Value(self.fresh("v"), shape, dtype, bounded)
        names = [i.name if isinstance(i, Value) else i for i in inputs]
        self.nodes.append(helper.make_node(op, names, [value.name], name=self.fresh("n"), **attributes))
        self.values.append(value)
        return value

    def pick(self):
        floats = [v for v in self.values if v.dtype == TensorProto.FLOAT]
        return self.random.choice(floats[-6:] if self.chance(0.8) else floats)

    def bound(self, value):
        """The value, or one in [-1, 1] made of it."""
        return value if value.bounded else self.emit("Tanh", [value], value.shape, bounded=True)

    def narrower(self, shape):
        """A shape that broadcasts to `shape`."""
        start = self.random.randrange(len(shape) + 1) if self.chance(0.6) else 0
        return [1 if self.chance(0.3) else d for d in shape[start:]]

    # --- quantization ---

    def scale_and_zero(self, signed, channels=None):
        dtype, low = (np.int8, -128) if signed else (np.uint8, 0)
        shape = () if channels is None else (channels,)
        scale = self.numbers.uniform(0.002, 0.05, shape).astype(np.float32)
        zero = self.numbers.randint(low, low + 256, shape) if self.chance(0.5) else np.zeros(shape)
        return self.constant(scale), self.constant(np.asarray(zero).astype(dtype))

    def quantize(self, value):
        signed = self.chance(0.5)
        scale, zero = self.scale_and_zero(signed)
        dtype = TensorProto.INT8 if signed else TensorProto.UINT8
        self.quantized.append((value.name, scale))
        whole = self.emit("QuantizeLinear", [value, scale, zero], value.shape, dtype)
        return self.emit("DequantizeLinear", [whole, scale, zero], value.shape)

    def table(self, v):
        v = self.quantize(v)
        self.unary(v)
        self.quantize(self.values[-1])

    def quantized_weight(self, shape, axis):
        signed = self.chance(0.8)
        dtype, low = (np.int8, -128) if signed else (np.uint8, 0)
        whole = self.constant(self.numbers.randint(low, low + 256, shape).astype(dtype))
        channels = self.opset >= 13 and self.chance(0.7)
        scale, zero = self.scale_and_zero(signed, shape[axis] if channels else None)
        name = self.fresh("w")
        attributes = {"axis": axis if self.chance(0.5) else axis - len(shape)} if channels else {}
        self.nodes.append(helper.make_node("DequantizeLinear", [whole, scale, zero], [name], **attributes))
        return name

    # --- one step each ---

    def unary(self, v):
        op = self.random.choice(("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Neg", "Exp", "Sqrt", "Identity", "Gelu"))
        if op == "Exp":
            v = self.bound(v)
        if op == "Sqrt":
            v = self.emit("Sigmoid", [v], v.shape, bounded=True)
        if op == "Gelu" and self.opset < 20:
            op = "Relu"
        attributes = {"alpha": self.random.choice((0.0, 0.01, 0.3, 2.0))} if op == "LeakyRelu" else {}
        self.emit(op, [v], v.shape, bounded=op in ("Sigmoid", "Tanh"), **attributes)

    def binary(self, v):
        op = self.random.choice(("Add", "Sub", "Mul", "Div"))
        other = self.pick()
        try:
            shape = np.broadcast_shapes(v.shape, other.shape)
        except ValueError:
            shape = None
        if op == "Div":
            divisor = self.numbers_of(self.narrower(v.shape))
            self.emit("Div", [v, self.constant(divisor + np.copysign(np.float32(0.5), divisor))], v.shape)
        elif shape is not None and int(np.prod(shape)) <= MOST and self.chance(0.5):
            self.emit(op, [self.bound(v), self.bound(other)] if op == "Mul" else [v, other], shape)
        else:
            constant = self.constant(self.numbers_of(self.narrower(v.shape), self.random.choice((1, 0.1, 4))))
            self.emit(op, [v, constant] if self.chance(0.7) else [constant, v], v.shape)

    def gemm(self, v):
        if len(v.shape) != 2:
            axis = self.random.randint(0, len(v.shape))
            shape = (int(np.prod(v.shape[:axis])), int(np.prod(v.shape[axis:])))
            v = self.emit("Flatten", [v], shape, axis=axis)
        trans_a, trans_b, quantized = self.chance(0.15), self.chance(0.4), self.chance(0.4)
        rows, inner = v.shape[::-1] if trans_a else v.shape
        columns = self.random.choice(SIZES)
        x = self.quantize(self.bound(v)) if quantized else v
        shape = (columns, inner) if trans_b else (inner, columns)
        if quantized:
            inputs = [x, self.quantized_weight(shape, 0 if trans_b else 1)]
        else:
            inputs = [x, self.constant(self.numbers_of(shape, 0.3))]
        attributes = {"transA": int(trans_a), "transB": int(trans_b)}
        if self.chance(0.3):
            attributes["alpha"] = self.random.choice((0.5, 2.0, 1.0, -1.0))
        if self.chance(0.7):
            biases = ([columns], [1, columns], [rows, 1], [1], [], [rows, columns], [1, 1])
            inputs.append(self.constant(self.numbers_of([columns] if quantized else self.random.choice(biases))))
            if self.chance(0.3):
                attributes["beta"] = self.random.choice((0.5, 2.0, 0.0, -1.0))
        y = self.emit("Gemm", inputs, (rows, columns), **attributes)
        if quantized and self.chance(0.5):
            y = self.emit("Relu", [y], y.shape) if self.chance(0.4) else y
            self.quantize(self.emit("Mul", [y, self.constant(np.float32(0.1))], y.shape) if self.chance(0.3) else y)

    def matmul(self, v):
        if not v.shape:
            return
        inner, columns, quantized = v.shape[-1], self.random.choice(SIZES), self.chance(0.4)
        batch = [self.random.choice((1, 2))] if self.chance(0.2) and len(v.shape) < 3 else []
        x = self.quantize(self.bound(v)) if quantized else v
        shape = batch + [inner, columns]
        if quantized:
            w = self.quantized_weight(shape, len(shape) - 1)
        elif self.chance(0.1):
            self.emit("MatMul", [x, self.constant(self.numbers_of([inner], 0.3))], v.shape[:-1])
            return
        elif not batch and self.chance(0.2):
            w = self.fresh("w")
            transposed = self.constant(self.numbers_of([columns, inner], 0.3))
            self.nodes.append(helper.make_node("Transpose", [transposed], [w], perm=[1, 0]))
        else:
            w = self.constant(self.numbers_of(shape, 0.3))
        result = list(np.broadcast_shapes(v.shape[:-2], tuple(batch))) + list(v.shape[-2:-1]) + [columns]
        y = self.emit("MatMul", [x, w], result)
        if self.chance(0.5):
            bias = self.constant(self.numbers_of([columns] if self.chance(0.8) else self.narrower(result)))
            y = self.emit("Add", [y, bias] if self.chance(0.7) else [bias, y], result)
        if self.chance(0.3):
            y = self.emit(self.random.choice(("Relu", "Sigmoid", "Gelu" if self.opset >= 20 else "Tanh")), [y], result)
        if quantized and self.chance(0.5):
            self.quantize(y)

    def softmax(self, v):
        if v.shape:
            axis = self.random.randrange(-len(v.shape), len(v.shape))
            self.emit(self.random.choice(("Softmax", "LogSoftmax")), [v], v.shape, axis=axis)

    def transpose(self, v):
        order = self.random.sample(range(len(v.shape)), len(v.shape))
        attributes = {"perm": order} if order else {}
        self.emit("Transpose", [v], [v.shape[i] for i in order], bounded=v.bounded, **attributes)

    def reshape(self, v):
        size = v.size()
        shapes = [[size], [size, 1], [1, size], [1, *v.shape]]
        if v.shape and v.shape[0]:
            shapes.append([v.shape[0], size // v.shape[0]])
        shape = self.random.choice([s for s in shapes if len(s) <= 8])
        if 0 in shape:
            return
        wanted = list(shape)
        if self.chance(0.5):
            wanted[self.random.randrange(len(wanted))] = -1
        self.emit("Reshape", [v, self.constant(np.array(wanted, np.int64))], shape, bounded=v.bounded)

    def reduce(self, v):
        if not v.shape or 0 in v.shape:
            return
        op, keep = self.random.choice(("ReduceMean", "ReduceSum")), self.random.randrange(2)
        axes = sorted(self.random.sample(range(len(v.shape)), self.random.randint(1, len(v.shape))))
        shape = [1 if i in axes else d for i, d in enumerate(v.shape) if keep or i not in axes]
        axes = [a if self.chance(0.7) else a - len(v.shape) for a in axes]
        if self.opset >= (13 if op == "ReduceSum" else 18):
            self.emit(op, [v, self.constant(np.array(axes, np.int64))], shape, keepdims=keep)
        else:
            self.emit(op, [v], shape, axes=axes, keepdims=keep)

    def dynamic(self, v):
        if not v.shape or v.size() == 0:
            return
        columns, per_column = self.random.choice(SIZES), self.chance(0.5)
        names = [self.fresh("q") for _ in range(3)]
        self.nodes.append(helper.make_node("DynamicQuantizeLinear", [v.name], names))
        self.quantized.append((v.name, None))
        # 7 bits: ONNX Runtime's sums of pairs saturate on CPUs without VNNI
        inputs = [names[0], self.constant(self.numbers.randint(-63, 64, (v.shape[-1], columns)).astype(np.int8))]
        inputs += [names[2], self.constant(np.int8(self.random.randint(-1, 1)))]
        shape = list(v.shape[:-1]) + [columns]
        sums = self.emit("MatMulInteger", inputs[: self.random.choice((3, 4))], shape, TensorProto.INT32)
        sums = self.emit("Cast", [sums], shape, to=TensorProto.FLOAT)
        scales = self.numbers.uniform(0.002, 0.02, [columns] if per_column else []).astype(np.float32)
        both = self.emit("Mul", [names[1], self.constant(scales)], scales.shape)
        self.emit("Mul", [sums, both], shape)

    # --- the whole ---

    def build(self):
        batch = self.random.choice((1, 1, 2, 3, 5, 17)) if self.chance(0.97) else 0
        for i in range(self.random.choice((1, 1, 1, 2))):
            rank = self.random.choice((0, 1, 2, 2, 2, 2, 3, 4))
            sizes = self.random.choices((1, 2, 3, 4, 5, 8, 16, 17, 33), k=3)
            shape = [batch, *sizes][:rank]
            named = ["batch", *shape[1:]] if rank and self.chance(0.5) else shape
            info = helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, named)
            self.inputs.append((info, self.numbers_of(shape, 2)))
            self.values.append(Value(f"x{i}", shape))
        steps = ((self.unary, 3), (self.binary, 4), (self.gemm, 3), (self.matmul, 3), (self.softmax, 1),
                 (self.transpose, 2), (self.reshape, 2), (self.reduce, 2), (self.dynamic, 1),
                 (self.quantize, 1), (self.table, 1))  # fmt: skip
        for step in self.random.choices([s for s, _ in steps], [w for _, w in steps], k=self.random.randint(2, 14)):
            step(self.pick())
        if not self.nodes:
            self.emit("Relu", [self.values[0]], self.values[0].shape)
        used = {name for node in self.nodes for name in node.input}
        made = [v for v in self.values if v.name[0] == "v"]
        outputs = [v for v in made if v.name not in used or self.chance(0.1)]
        return self.model(outputs)

    def model(self, outputs, extra=()):
        infos = [helper.make_tensor_value_info(v.name, v.dtype, None) for v in outputs]
        infos += [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in extra]
        graph = helper.make_graph(self.nodes, "random", [i for i, _ in self.inputs], infos, self.constants)
        imports = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8), outputs


def run_peer(model, feeds):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def on_edge(maker, values, reach):
    """Is a quantized value so near to the middle of two integers that rounding before it may decide?"""
    scales = {t.name: numpy_helper.to_array(t) for t in maker.constants}
    for name, scale in maker.quantized:
        x = values[name]
        if not x.size:
            continue
        if scale is None:  # a changed range changes the scale
            low, high = min(float(x.min()), 0), max(float(x.max()), 0)
            step = (high - low) / 255 or 1
            zero = -low / step
            if abs(zero % 1 - 0.5) < 1e-3:
                return True
        else:
            step = float(scales[scale])
        steps = x.astype(np.float64) / step
        near = np.abs(steps % 1 - 0.5) < 1e-5 * (10 + np.abs(steps)) + 1e-6 * reach / step
        if (near & (np.abs(steps) < 400)).any():
            return True
    return False


def difference(name, ours, theirs, reach, strict):
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return f"{name}: {ours.dtype} {ours.shape}, not {theirs.dtype} {theirs.shape}"
    if not strict or not ours.size or np.array_equal(ours, theirs, equal_nan=True):
        return None
    if ours.dtype != np.float32:
        return f"{name}: {(ours != theirs).sum()} of {ours.size} integers differ"
    apart = np.abs(ours.astype(np.float64) - theirs)
    worst = float(np.max(apart))
    if worst <= 2e-5 * (1 + float(np.max(np.abs(theirs)))) + 1e-6 * reach:
        return None
    return f"{name}: apart by {worst:.3g} where values go up to {float(np.max(np.abs(theirs))):.3g}"


def check(hone, seed):
    """What differs, or None; and whether values were compared."""
    maker = Maker(seed)
    model, outputs = maker.build()
    feeds = {info.name: data for info, data in maker.inputs}
    onnx.save(model, "m.onnx")
    squashed = [node.input[0] for node in maker.nodes if node.op_type in SQUASHING]
    present = {o.name for o in model.graph.output} | set(feeds)
    looked_at = dict.fromkeys(squashed + [name for name, _ in maker.quantized])
    more, _ = maker.model(outputs, [name for name in looked_at if name not in present])
    theirs = dict(feeds, **dict(zip([o.name for o in more.graph.output], run_peer(more, feeds))))
    reach = max([float(np.max(np.abs(theirs[name]), initial=0)) for name in squashed], default=0)
    strict = not on_edge(maker, theirs, reach)
    command = [hone, "run", "m.onnx"]
    for name, data in feeds.items():
        np.save(f"{name}.npy", data)
        command += ["--input", f"{name}=@{name}.npy"]
    for v in outputs:
        command += ["--output", f"{v.name}=@{v.name}.npy"]
    level = LEVELS[seed % len(LEVELS)]
    environment = dict(os.environ, HONE_CPU=level) if level else os.environ
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"exit status {done.returncode}: {done.stderr.strip()}", strict
    for v in outputs:
        what = difference(v.name, np.load(f"{v.name}.npy"), theirs[v.name], reach, strict)
        if what:
            return f"{what} (HONE_CPU={level})", strict
    return None, strict


def main():
    hone, count, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    failed = compared = 0
    for seed in range(first, first + count):
        what, strict = check(hone, seed)
        compared += strict
        if what:
            failed += 1
            os.replace("m.onnx", f"seed-{seed}.onnx")
            print(f"FAILED: seed {seed}: {what}", flush=True)
    print(f"{count} graphs: values of {compared} compared, types of all")
    print(f"{count - failed} passed, {failed} failed")
    sys.exit(failed > 0 or compared < count / 2)


if __name__ == "__main__":
    main()
