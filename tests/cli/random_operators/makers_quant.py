"""Makers of quantization, and of operators of ONNX Runtime's domain: (operator, inputs, outputs, attributes)."""

import numpy as np

from draw import dtype_of, is_float, maker
from makers_math import gemm
from makers_nn import conv, spatial, window


def zero_point(d, shape, type):
    if is_float(dtype_of(type)):
        return np.zeros(shape, dtype_of(type))
    return d.array(shape, type, *((-3, 3) if type not in ("uint8", "uint16") else (100, 150)))


def scaled_along(d, shape):
    """Attributes, and the shape of scales: one for all, for each element of an axis, or for each block along it."""
    axis = d.integer(0, len(shape) - 1)
    attributes, of = {}, []
    if d.version >= 13 and d.chance(0.5):
        of, attributes["axis"] = [shape[axis]], axis - (len(shape) if d.chance(0.3) else 0)
        if d.version >= 21 and d.chance(0.4):
            block = d.choice(2, 4, 16)
            of = list(shape)
            of[axis] = -(-shape[axis] // block)
            attributes["block_size"] = block
    return attributes, of


@maker("QuantizeLinear", special=False)
def quantize(d):
    shape = d.shape(ranks=(1, 4), low=1)
    type = d.type("T1")
    to = d.type("T3" if d.version >= 23 else "T2", among=None)
    attributes, of = scaled_along(d, shape)
    scaled = (
        type if d.version < 23 and d.version >= 19 or type == "int32" else d.type("T2") if d.version >= 23 else "float"
    )
    if type == "int32" or scaled == "int32":
        scaled = "float" if d.version < 19 else type if d.version < 23 else scaled
    if type == "float":  # in which type numbers are divided by scales of another, the judges don't agree
        scaled = "float"
    scale = d.array(of, scaled, 0.01, 0.1) if scaled != "int32" else np.ones(of, np.int32)
    inputs = [d.tensor(shape, type, -4, 4), d.put(scale)]
    if d.chance(0.7) or to != "uint8":
        inputs.append(d.put(zero_point(d, of, to)))
    if d.version >= 19 and to.startswith("float8") and d.chance(0.5):
        attributes["saturate"] = d.integer(0, 1)
    return d.op, inputs, 1, attributes


@maker("DequantizeLinear", special=False)
def dequantize(d):
    shape = d.shape(ranks=(1, 4), low=1)
    type = d.type("T1" if d.version >= 19 else "T")
    attributes, of = scaled_along(d, shape)
    scaled = d.type("T2", without=("float8e8m0",)) if d.version >= 19 else "float"
    inputs = [d.put(d.array(shape, type, -128, 255)), d.put(d.array(of, scaled, 0.01, 0.1))]
    if d.chance(0.7):
        inputs.append(d.put(zero_point(d, of, type) if type != "int32" else np.zeros(of, np.int32)))
    return d.op, inputs, 1, attributes


@maker("DynamicQuantizeLinear", special=False)
def dynamic(d):
    return d.op, [d.tensor(d.shape(low=1), "float", -d.integer(0, 5), d.integer(1, 5))], 3, {}


def byte(d, what="uint8"):
    return d.array([], what, -20, 20) if what == "int8" else d.array([], what, 100, 150)


@maker("MatMulInteger", special=False)
def matmul_integer(d):
    a, b = d.type("T1"), d.type("T2")
    k, m, n = d.size(), d.size(), d.size()
    batch = d.shape(ranks=(0, 1), high=3)
    inputs = [d.put(d.array(batch + [m, k], a, -128, 255)), d.put(d.array(d.narrower(batch) + [k, n], b, -63, 63))]
    if d.chance(0.7):
        inputs.append(d.put(byte(d, a)))
        if d.chance(0.7):
            inputs.append(d.put(d.choice(byte(d, b), d.array([n], b, 0, 9))))
    return d.op, inputs, 1, {}


@maker("ConvInteger", special=False)
def conv_integer(d):
    size = spatial(d, 12)
    a, b = d.type("T1"), d.type("T2")
    kernel = [d.integer(1, 3) for _ in size]
    attributes = window(d, size, kernel)
    groups, per, out = d.choice(1, 1, 2, 3), d.integer(1, 5), d.integer(1, 5)
    if groups > 1:
        attributes["group"] = groups
    inputs = [
        d.put(d.array([d.integer(1, 2), per * groups, *size], a, -128, 255)),
        d.put(d.array([out * groups, per, *kernel], b, -63, 63)),
    ]
    if d.chance(0.7):
        inputs.append(d.put(byte(d, a)))
        if d.chance(0.6):
            inputs.append(d.put(d.array([], b, 0, 9)))
    return d.op, inputs, 1, attributes


@maker("QLinearConv", special=False)
def qlinear_conv(d):
    size = spatial(d, 12)
    a, b, c = d.choice(("uint8", "uint8", "uint8"), ("uint8", "int8", "uint8"), ("int8", "int8", "int8"))
    kernel = [d.integer(1, 3) for _ in size]
    attributes = window(d, size, kernel)
    groups, per, out = d.choice(1, 1, 2, 3), d.integer(1, 5), d.integer(1, 5)
    if groups > 1:
        attributes["group"] = groups
    of = [out * groups] if d.chance(0.4) else []
    inputs = [
        d.put(d.array([d.integer(1, 2), per * groups, *size], a, -128, 255)),
        d.put(np.float32(0.02)),
        d.put(byte(d, a)),
    ]
    inputs += [
        d.put(d.array([out * groups, per, *kernel], b, -63, 63), True),
        d.put(d.array(of, "float", 0.01, 0.03), True),
        d.put(np.zeros(of, dtype_of(b)), True),
    ]
    inputs += [d.put(np.float32(0.3)), d.put(byte(d, c))]
    if d.chance(0.5):
        inputs.append(d.put(d.array([out * groups], "int32", -1000, 1000), True))
    return d.op, inputs, 1, attributes


@maker("QLinearMatMul", special=False)
def qlinear_matmul(d):
    names = ("T1", "T2", "T3")
    a, b, c = (d.type(n, among=("int8", "uint8")) for n in names)
    k, m, n = d.size(1), d.size(1), d.size(1)
    scaled = "float" if d.version < 21 else d.type("TS", among=("float",))
    scale = lambda v: d.put(np.array(v, dtype_of(scaled)))  # noqa: E731
    inputs = [d.put(d.array([m, k], a, -128, 255)), scale(0.02), d.put(byte(d, a)), d.put(d.array([k, n], b, -63, 63))]
    return d.op, inputs + [scale(0.03), d.put(byte(d, b)), scale(0.3), d.put(byte(d, c))], 1, {}


# --- com.microsoft ---

FLOAT = ("float", "float", "float16")


@maker("Gelu", "QuickGelu", "FastGelu", "BiasGelu", domain="com.microsoft", sums=False)
def gelus(d):
    type, shape = d.choice(*(FLOAT if d.op != "BiasGelu" else ("float",))), d.shape(ranks=(1, 4))
    inputs = [d.tensor(shape, type)]
    if d.op == "BiasGelu" or d.op == "FastGelu" and d.chance(0.5):
        inputs.append(d.tensor(shape[-1:], type))
    return d.op, inputs, 1, {"alpha": d.choice(1.702, 1.0)} if d.op == "QuickGelu" and d.chance(0.6) else {}


@maker("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain="com.microsoft", sums=True, special=False)
def skip(d):
    type, shape = d.choice("float", "float", "float16"), [d.integer(1, 2), d.size(1, 9), d.size(2, 65)]
    inputs = [d.tensor(shape, type), d.tensor(shape, type), d.tensor(shape[-1:], type)]
    if d.op == "SkipLayerNormalization":
        inputs.append(d.tensor(shape[-1:], type) if d.chance(0.7) else "")
    inputs.append(d.tensor(shape[-1:], type) if d.chance(0.5) else "")
    while not inputs[-1]:
        inputs.pop()
    outputs = [d.fresh("v")] + (["", "", d.fresh("v")] if d.chance(0.5) else [])
    return d.op, inputs, outputs, {"epsilon": float(d.choice(1e-5, 1e-3))}


@maker("FusedMatMul", domain="com.microsoft", sums=True, special=False)
def fused_matmul(d):
    type = d.choice("float", "double", "float16")
    k, m, n = d.size(1), d.size(1), d.size(1)
    ta, tb = d.integer(0, 1), d.integer(0, 1)
    batch = d.shape(ranks=(0, 1), low=1, high=3)
    attributes = {"transA": ta, "transB": tb, "alpha": float(d.choice(1, 0.5, 2))}
    return (
        d.op,
        [d.tensor(batch + ([k, m] if ta else [m, k]), type), d.tensor(batch + ([n, k] if tb else [k, n]), type)],
        1,
        attributes,
    )


@maker("FusedGemm", domain="com.microsoft", sums=True, special=False)
def fused_gemm(d):
    d.types["T"] = "float"
    d.version = 13
    op, inputs, outputs, attributes = gemm(d)
    d.version = 1
    return (
        op,
        inputs,
        outputs,
        dict(attributes, activation=d.choice("Relu", "Tanh", "Sigmoid", "LeakyRelu"), activation_alpha=0.1),
    )


@maker("FusedConv", domain="com.microsoft", sums=True, special=False)
def fused_conv(d):
    d.types["T"] = "float"
    op, inputs, outputs, attributes = conv(d)
    return op, inputs, outputs, dict(attributes, activation=d.choice("Relu", "Tanh", "Sigmoid"))


@maker("Inverse", domain="com.microsoft", sums=True, special=False)
def inverse(d):
    n = d.size(1, 8)
    lead = d.shape(ranks=(0, 2), low=1, high=3)
    type = d.choice("float", "double")
    x = d.array(lead + [n, n], type, -1, 1) + 4 * np.eye(n)
    return d.op, [d.put(x.astype(dtype_of(type)))], 1, {}


@maker("MatMulIntegerToFloat", "DynamicQuantizeMatMul", domain="com.microsoft", sums=True, special=False)
def quantized_products(d):
    k, m, n = d.size(1), d.size(1), d.size(1)
    kind = d.choice("int8", "uint8")
    w, of = d.put(d.array([k, n], kind, -63, 63), True), [n] if d.chance(0.4) else []
    scale, zero = d.put(d.array(of, "float", 0.01, 0.03)), d.put(d.array(of, kind, 0, 5))
    last = [d.tensor([n], "float")] if d.chance(0.4) else []
    if d.op == "DynamicQuantizeMatMul":
        return d.op, [d.put(d.array([m, k], "float")), w, scale, zero, *last], 1, {}
    a = d.choice("int8", "uint8")
    return (
        d.op,
        [d.put(d.array([m, k], a, -128, 255)), w, d.put(np.float32(0.02)), scale, d.put(byte(d, a)), zero, *last],
        1,
        {},
    )


@maker("QLinearAdd", "QLinearMul", "QLinearWhere", domain="com.microsoft", special=False)
def qlinear_binary(d):
    type, shape = d.choice("uint8", "int8"), d.shape(ranks=(1, 4))
    parts = []
    for s in (shape, d.narrower(shape)):
        parts += [
            d.put(d.array(s, type, -128, 255)),
            d.put(np.float32(d.numbers.uniform(0.01, 0.05))),
            d.put(byte(d, type)),
        ]
    last = [d.put(np.float32(0.08)), d.put(byte(d, type))]
    if d.op == "QLinearWhere":
        constant = []
        for i, name in enumerate(parts):  # scales are constants of the model
            if i % 3 and name in d.inputs:
                d.constants[name] = d.inputs.pop(name)
        for name in last:
            if name in d.inputs:
                d.constants[name] = d.inputs.pop(name)
        return d.op, [d.put(d.array(d.narrower(shape), "bool")), *parts, *last, *constant], 1, {}
    return d.op, parts + last, 1, {}


@maker("QLinearLeakyRelu", "QLinearSigmoid", domain="com.microsoft", special=False)
def qlinear_unary(d):
    type = d.choice("uint8", "int8")
    x = d.put(d.array(d.shape(), type, -128, 255))
    inputs = [
        x,
        d.put(np.float32(0.04), True),
        d.put(byte(d, type), True),
        d.put(np.float32(0.01), True),
        d.put(byte(d, type), True),
    ]
    return d.op, inputs, 1, {"alpha": 0.1} if d.op == "QLinearLeakyRelu" else {}


@maker("QLinearSoftmax", domain="com.microsoft", special=False)
def qlinear_softmax(d):
    type, shape = d.choice("uint8", "int8"), d.shape(ranks=(2, 3), low=1)
    x = d.put(d.array(shape, type, -128, 255))
    zero = np.asarray(0 if type == "uint8" else -128, dtype_of(type))
    inputs = [
        x,
        d.put(np.float32(0.04), True),
        d.put(byte(d, type), True),
        d.put(np.float32(1 / 256), True),
        d.put(zero, True),
    ]
    return d.op, inputs, 1, {"axis": -1, "opset": 13}


@maker("QLinearGlobalAveragePool", "QLinearAveragePool", domain="com.microsoft", special=False)
def qlinear_pool(d):
    type = d.choice("uint8", "int8")
    size = [d.integer(3, 9), d.integer(3, 9)]
    x = d.put(d.array([d.integer(1, 2), d.integer(1, 9), *size], type, -128, 255))
    inputs = [
        x,
        d.put(np.float32(0.04), True),
        d.put(byte(d, type), True),
        d.put(np.float32(0.03), True),
        d.put(byte(d, type), True),
    ]
    if d.op == "QLinearGlobalAveragePool":
        return d.op, inputs, 1, {"channels_last": 0}
    attributes = {"kernel_shape": [d.integer(1, 3), d.integer(1, 3)], "strides": [d.integer(1, 2), d.integer(1, 2)]}
    return d.op, inputs, 1, dict(attributes, count_include_pad=d.integer(0, 1))


@maker("QLinearConcat", domain="com.microsoft", special=False)
def qlinear_concat(d):
    type, shape = d.choice("uint8", "int8"), d.shape(ranks=(1, 3), low=1, high=17)
    axis = d.axis(len(shape))
    inputs = [d.put(np.float32(0.05), True), d.put(byte(d, type), True)]
    for _ in range(d.integer(1, 3)):
        mine = list(shape)
        mine[axis] = d.size(1, 9)
        inputs += [
            d.put(d.array(mine, type, -128, 255), False),
            d.put(np.float32(d.choice(0.05, 0.03)), True),
            d.put(byte(d, type), True),
        ]
    return d.op, inputs, 1, {"axis": axis}


@maker("QGemm", domain="com.microsoft", sums=True, special=False)
def qgemm(d):
    a, b = "uint8", d.choice("uint8", "int8")
    m, n, k = d.size(1), d.size(1), d.size(1)
    ta, tb = d.integer(0, 1), d.integer(0, 1)
    w = d.array([n, k] if tb else [k, n], b, -63, 63)
    inputs = [
        d.put(d.array([k, m] if ta else [m, k], a, -128, 255)),
        d.put(np.float32(0.02)),
        d.put(byte(d, a)),
        d.put(w, True),
    ]
    inputs += [
        d.put(np.float32(0.03)),
        d.put(byte(d, b)),
        d.put(d.array([n], "int32", -500, 500)) if d.chance(0.6) else "",
    ]
    if d.chance(0.6):
        inputs += [d.put(np.float32(0.3)), d.put(byte(d, a))]
    while not inputs[-1]:
        inputs.pop()
    return d.op, inputs, 1, {"transA": ta, "transB": tb, "alpha": float(d.choice(1, 2))}


@maker("QuantizeLinear", "DequantizeLinear", domain="com.microsoft", special=False)
def quantize_of_microsoft(d):
    shape = d.shape(ranks=(1, 3), low=1)
    type = d.choice("uint8", "int8", "uint16", "int16")
    axis = d.integer(0, len(shape) - 1)
    of, attributes = ([shape[axis]], {"axis": axis}) if d.chance(0.5) else ([], {})
    last = [d.put(d.array(of, "float", 0.01, 0.1)), d.put(zero_point(d, of, type))]
    x = d.tensor(shape, "float") if d.op == "QuantizeLinear" else d.put(d.array(shape, type, -128, 255))
    return d.op, [x, *last], 1, attributes


@maker("MatMulNBits", domain="com.microsoft", sums=True, special=False)
def matmul_nbits(d):
    m, n, k, block = d.size(1, 17), d.size(1, 33), d.size(1, 65), d.choice(16, 32)
    blocks = -(-k // block)
    w = d.numbers.randint(0, 256, (n, blocks, block // 2)).astype(np.uint8)
    inputs = [d.tensor([m, k], "float", -1, 1), d.put(w, True), d.put(d.array([n * blocks], "float", 0.01, 0.1), True)]
    if d.chance(0.5):
        inputs.append(d.put(d.numbers.randint(0, 256, n * (-(-blocks // 2))).astype(np.uint8), True))
    return d.op, inputs, 1, {"K": k, "N": n, "bits": 4, "block_size": block}


@maker("RotaryEmbedding", domain="com.microsoft", sums=True, special=False)
def rotary_of_microsoft(d):
    batch, heads, length, size = d.integer(1, 2), d.integer(1, 3), d.integer(1, 6), d.choice(4, 8, 16)
    most = length + 3
    positions = d.choice(np.array([2]), d.numbers.randint(0, most, (batch, length)))
    inputs = [d.tensor([batch, length, heads * size], "float"), d.put(positions.astype(np.int64))]
    inputs += [d.tensor([most, size // 2], "float", -1, 1), d.tensor([most, size // 2], "float", -1, 1)]
    return d.op, inputs, 1, {"interleaved": d.integer(0, 1), "num_heads": heads}


@maker("SimplifiedLayerNormalization", sums=True, special=False)
def simplified(d):
    shape = d.shape(ranks=(1, 3), low=2)
    return d.op, [d.tensor(shape, "float"), d.tensor(shape[-1:], "float")], 1, {"axis": -1, "epsilon": 1e-5}


@maker("SampleOp", domain="com.microsoft")
def sample(d):
    return d.op, [d.tensor(d.shape(), "float")], 1, {}
