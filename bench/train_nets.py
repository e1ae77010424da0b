"""Networks whose training steps are compared, as ONNX files with random weights: what train_nets_torch.py has as modules.

    python3 bench/train_nets.py DIR [NAME ...]    writes DIR/NAME.onnx

Weights are drawn as PyTorch's layers draw theirs, so that losses are of the same size; the batch is the dimension "N"."""
import math
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from train_nets_shapes import MOBILE, SHAPES

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Net:
    """A graph that grows by calls; each returns the name of its result."""

    def __init__(self, seed=0):
        self.rng, self.nodes, self.constants, self.count = np.random.default_rng(seed), [], [], 0
        self.trained = []  # beside what operators call weights

    def name(self, stem):
        self.count += 1
        return f"{stem}_{self.count}"

    def op(self, kind, *inputs, outputs=1, **attributes):
        out = [self.name(kind) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), out, name=out[0], **attributes))
        return out[0] if outputs == 1 else out

    def constant(self, array, stem="c"):
        name = self.name(stem)
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def normal(self, shape, deviation=1.0):
        return self.constant((self.rng.standard_normal(shape) * deviation).astype("f"), "weight")

    def uniform(self, shape, fan_in):
        bound = 1 / math.sqrt(fan_in)
        return self.constant(self.rng.uniform(-bound, bound, shape).astype("f"), "weight")

    def trains(self, name):
        self.trained.append(name)
        return name

    def filled(self, size, value):
        return self.constant(np.full(size, value, "f"), "weight")

    # --- layers ---

    def linear(self, x, i, o):
        return self.op("Gemm", x, self.uniform((o, i), i), self.uniform((o,), i), transB=1)

    def product(self, x, i, o, bias=True):
        """Linear, of any rank."""
        y = self.op("MatMul", x, self.uniform((i, o), i))
        return self.op("Add", y, self.trains(self.uniform((o,), i))) if bias else y

    def conv(self, x, i, o, kernel, stride=1, groups=1, pads=None, bias=False):
        pads = kernel // 2 if pads is None else pads
        fan = i // groups * kernel * kernel
        inputs = [x, self.uniform((o, i // groups, kernel, kernel), fan)] + ([self.uniform((o,), fan)] if bias else [])
        return self.op("Conv", *inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pads] * 4, group=groups)

    def norm(self, x, channels):
        return self.op("BatchNormalization", x, *[self.filled(channels, v) for v in (1, 0, 0, 1)])

    def act(self, x, kind):
        if kind == "relu6":
            return self.op("Clip", x, self.constant(np.float32(0)), self.constant(np.float32(6)))
        return self.op("Relu", x) if kind else x

    def cbr(self, x, i, o, kernel=3, stride=1, groups=1, act="relu"):
        return self.act(self.norm(self.conv(x, i, o, kernel, stride, groups), o), act)

    def pool(self, x, kernel, stride, pads=0):
        return self.op("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pads] * 4)

    def residual(self, x, i, o, stride=1):
        y = self.cbr(self.cbr(x, i, o, 3, stride), o, o, act=None)
        plain = i == o and stride == 1
        return self.act(self.op("Add", y, x if plain else self.cbr(x, i, o, 1, stride, act=None)), "relu")

    def separable(self, x, i, o, stride=1):
        return self.cbr(self.cbr(x, i, i, 3, stride, i), i, o, 1)

    def inverted(self, x, i, o, stride, expansion):
        h = i * expansion
        y = self.cbr(x, i, h, 1, act="relu6") if expansion > 1 else x
        y = self.cbr(self.cbr(y, h, h, 3, stride, h, "relu6"), h, o, 1, act=None)
        return self.op("Add", x, y) if stride == 1 and i == o else y

    def head(self, x, channels, classes):
        return self.linear(self.op("Flatten", self.op("GlobalAveragePool", x)), channels, classes)

    def layer_norm(self, x, d):
        return self.op("LayerNormalization", x, self.filled(d, 1), self.filled(d, 0))

    def attend(self, x, d, heads):
        """Of [N, T, D]: queries, keys and values by one product; heads cut as exporters do."""
        q3 = self.op("Reshape", self.product(x, d, 3 * d), self.ints(0, 0, 3, heads, d // heads))
        parts = self.op("Split", self.op("Transpose", q3, perm=[2, 0, 3, 1, 4]), outputs=3, axis=0, num_outputs=3)
        q, k, v = (self.op("Squeeze", p, self.ints(0)) for p in parts)
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.constant(np.float32(1 / math.sqrt(d // heads))))
        y = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        y = self.op("Reshape", self.op("Transpose", y, perm=[0, 2, 1, 3]), self.ints(0, 0, d))
        return self.product(y, d, d)

    def encoder_layer(self, x, d, heads, hidden):
        x = self.op("Add", x, self.attend(self.layer_norm(x, d), d, heads))
        y = self.op("Gelu", self.product(self.layer_norm(x, d), d, hidden))
        return self.op("Add", x, self.product(y, hidden, d))

    def causal_layer(self, x, positions, tables, d, heads, hidden):
        """RMS norm, rotary positions, SwiGLU, no biases."""
        h = self.op("RMSNormalization", x, self.filled(d, 1))
        q, k, v = (self.product(h, d, d, False) for _ in range(3))
        q, k = (self.op("RotaryEmbedding", y, *tables, positions, num_heads=heads) for y in (q, k))
        a = self.op("Attention", q, k, v, is_causal=1, q_num_heads=heads, kv_num_heads=heads)
        x = self.op("Add", x, self.product(a, d, d, False))
        h = self.op("RMSNormalization", x, self.filled(d, 1))
        gate, up = (self.product(h, d, hidden, False) for _ in range(2))
        gate = self.op("Mul", gate, self.op("Sigmoid", gate))
        return self.op("Add", x, self.product(self.op("Mul", gate, up), hidden, d, False))

    def words(self, ids, vocabulary, d, positions):
        """Embedded words plus learned positions."""
        x = self.op("Gather", self.normal((vocabulary, d)), ids)
        return self.op("Add", x, self.trains(self.normal((positions, d), 0.02)))

    def recurrent(self, kind, gates, x, i, hidden, both=False, **attributes):
        """Of [T, N, I], as [T, directions, N, H]."""
        n = 2 if both else 1
        weights = [self.uniform((n, gates * hidden, size), hidden) for size in (i, hidden)]
        bias = self.uniform((n, 2 * gates * hidden), hidden)
        return self.op(kind, x, *weights, bias, hidden_size=hidden, direction="bidirectional" if both else "forward", **attributes)


# --- the networks: of a Net and its input ---


def mlp(*sizes):
    def make(net, x):
        for n, (i, o) in enumerate(zip(sizes, sizes[1:])):
            x = net.linear(net.act(x, "relu" if n else None), i, o)
        return x

    return make


def cnn_small(net, x):
    x = net.pool(net.cbr(net.cbr(x, 1, 32, 5, 2), 32, 48), 2, 2)
    return net.head(net.cbr(net.cbr(x, 48, 64), 64, 64), 64, 10)


def cnn_resnet(net, x):
    x = net.pool(net.residual(net.cbr(net.cbr(x, 1, 24, 5, 2), 24, 48), 48, 48), 2, 2)
    return net.head(net.residual(net.residual(net.cbr(x, 48, 96), 96, 96), 96, 96), 96, 10)


def dscnn(net, x):
    x = net.cbr(x, 1, 48, 5, 2)
    for i, o, s in ((48, 48, 1), (48, 64, 2), (64, 64, 1), (64, 96, 2)):
        x = net.separable(x, i, o, s)
    return net.head(x, 96, 36)


def gru(net, x):
    x = net.op("Transpose", net.op("Squeeze", x, net.ints(1)), perm=[0, 2, 1])
    x = net.op("Conv", x, net.uniform((64, 32, 5), 160), net.uniform((64,), 160), kernel_shape=[5], strides=[2], pads=[2, 2])
    x = net.op("Transpose", net.op("Relu", x), perm=[2, 0, 1])
    y = net.op("Transpose", net.recurrent("GRU", 3, x, 64, 96, True, linear_before_reset=1), perm=[0, 2, 1, 3])
    y = net.op("Reshape", y, net.ints(0, 0, 192))
    return net.linear(net.op("ReduceMean", y, net.ints(0), keepdims=0), 192, 36)


def bag(net, ids):
    x = net.op("ReduceMean", net.op("Gather", net.normal((60000, 64)), ids), net.ints(1), keepdims=0)
    return net.linear(x, 64, 26)


def encoder(vocabulary, d, layers, heads, tokens, classes):
    def make(net, ids):
        x = net.words(ids, vocabulary, d, tokens)
        for _ in range(layers):
            x = net.encoder_layer(x, d, heads, 4 * d)
        return net.linear(net.op("ReduceMean", net.layer_norm(x, d), net.ints(1), keepdims=0), d, classes)

    return make


def lm(net, ids, vocabulary=4096, d=192, layers=4, heads=6, hidden=512, tokens=128):
    table, half = net.normal((vocabulary, d), 0.02), d // heads // 2
    angles = np.arange(tokens)[:, None] / 10000 ** (np.arange(half) / half)
    tables = [net.constant(f(angles).astype("f")) for f in (np.cos, np.sin)]
    positions = net.op("Expand", net.constant(np.arange(tokens, dtype=np.int64)[None]), net.op("Shape", ids))
    x = net.op("Gather", table, ids)
    for _ in range(layers):
        x = net.causal_layer(x, positions, tables, d, heads, hidden)
    x = net.op("Reshape", net.op("RMSNormalization", x, net.filled(d, 1)), net.ints(-1, d))
    return net.op("MatMul", x, net.op("Transpose", table, perm=[1, 0]))


def resnet18(net, x):
    x = net.pool(net.cbr(x, 3, 64, 7, 2), 3, 2, 1)
    for i, o, s in ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)):
        x = net.residual(x, i, o, s)
    return net.head(x, 512, 10)


def mobilenet(net, x):
    x = net.cbr(x, 3, 32, 3, 2, act="relu6")
    for i, o, count, stride, expansion in MOBILE:
        for n in range(count):
            x = net.inverted(x, o if n else i, o, 1 if n else stride, expansion)
    return net.head(net.cbr(x, 320, 1280, 1, act="relu6"), 1280, 10)


def two_convs(net, x):
    x = net.pool(net.act(net.conv(x, 1, 32, 3, bias=True), "relu"), 2, 2)
    x = net.pool(net.act(net.conv(x, 32, 64, 3, bias=True), "relu"), 2, 2)
    return net.linear(net.act(net.linear(net.op("Flatten", x), 64 * 49, 128), "relu"), 128, 10)


def resnet20(net, x):
    x, i = net.cbr(x, 3, 16), 16
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        for n in range(3):
            x, i = net.residual(x, i, width, 1 if n else stride), width
    return net.head(x, 64, 10)


def lstm(net, x):
    y = net.recurrent("LSTM", 4, net.op("Transpose", x, perm=[1, 0, 2]), 128, 128)
    last = net.op("Gather", net.op("Squeeze", y, net.ints(1)), net.constant(np.int64(-1)), axis=0)
    return net.linear(last, 128, 10)


MAKE = {
    "mlp": mlp(784, 128, 10),
    "lenet300": mlp(784, 300, 100, 10),
    "cnn-small": cnn_small,
    "cnn-resnet": cnn_resnet,
    "dscnn-kws": dscnn,
    "gru-kws": gru,
    "bag": bag,
    "encoder": encoder(8000, 128, 2, 4, 48, 26),
    "lm": lm,
    "mobilenetv2-96": mobilenet,
    "resnet18-224": resnet18,
    "two-conv": two_convs,
    "resnet20": resnet20,
    "transformer": encoder(8000, 256, 4, 8, 128, 4),
    "lstm": lstm,
}


def write(name, directory):
    """The file."""
    _, shape, is_words, classes = SHAPES[name]
    net = Net()
    net.nodes.append(helper.make_node("Identity", [MAKE[name](net, "x")], ["logits"]))
    graph = helper.make_graph(net.nodes, name, [helper.make_tensor_value_info("x", INT64 if is_words else FLOAT, ["N", *shape])],
                              [helper.make_tensor_value_info("logits", FLOAT, [None, classes])], net.constants)
    path = pathlib.Path(directory) / f"{name}.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
    if net.trained:
        helper.set_model_props(model, {"hone.trainable": "\n".join(net.trained)})
    onnx.save(model, path)
    return path


if __name__ == "__main__":
    for chosen in sys.argv[2:] or MAKE:
        print(write(chosen, sys.argv[1]))
