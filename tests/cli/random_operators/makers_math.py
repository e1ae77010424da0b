"""Makers of elementwise operators, reductions, products and what else computes: (operator, inputs, outputs,
attributes)."""

import numpy as np

from draw import FLOATS, TYPES, dtype_of, maker
from library import element_type

RANGES = {
    "Acos": (-1, 1),
    "Asin": (-1, 1),
    "Atanh": (-0.95, 0.95),
    "Acosh": (1, 50),
    "Log": (0.01, 20),
    "Sqrt": (0, 50),
    "Reciprocal": (0.1, 5),
    "Tan": (-1.4, 1.4),
}
ALPHAS = {
    "Elu": ("alpha",),
    "Celu": ("alpha",),
    "LeakyRelu": ("alpha",),
    "Selu": ("alpha", "gamma"),
    "Swish": ("alpha",),
    "ThresholdedRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Shrink": ("bias", "lambd"),
}


@maker(
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Ceil",
    "Celu",
    "Cos",
    "Cosh",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "IsNaN",
    "BitwiseNot",
    "Not",
    "Identity",
)
def unary(d):
    param = {"IsNaN": "T1", "Identity": "V" if d.version >= 14 else "T"}.get(d.op, "T")
    type = d.type(param)
    if type not in FLOATS and d.op in ("Shrink", "Neg", "Abs"):
        d.special = False
    low, high = RANGES.get(d.op, (-6, 6))
    if d.chance(0.2) and d.op not in RANGES and d.op not in ("Sinh", "Cosh", "Exp"):
        low, high = low * 10, high * 10
    attributes = {}
    for name in ALPHAS.get(d.op, ()):
        if type.startswith("uint"):  # what is negative has no meaning there
            attributes[name] = float(d.integer(-3, 0) if name == "bias" else d.integer(0, 3))
        elif d.chance(0.6):
            attributes[name] = float(d.choice(0.5, 0.01, 1.0, 2.0, 0.3) if d.op in ("Celu", "Swish") else
                                     d.choice(0.0, 0.01, 0.3, 1.0, 2.0, -0.5))  # fmt: skip
    return d.op, [d.tensor(d.shape(), type, low, high)], 1, attributes


@maker("IsInf")
def is_inf(d):
    attributes = {n: d.integer(0, 1) for n in ("detect_negative", "detect_positive") if d.chance(0.5)}
    d.special = True
    return d.op, [d.tensor(d.shape(), d.type("T1"))], 1, attributes


@maker("Gelu")
def gelu(d):
    return d.op, [d.tensor(d.shape(), d.type())], 1, {"approximate": d.choice("none", "tanh")} if d.chance(0.7) else {}


def broadcast_pair(d, type, other=None, low=-4, high=4, low2=None, high2=None):
    shape = d.shape()
    x = d.tensor(shape, type, low, high)
    y = d.tensor(d.narrower(shape), other or type, low if low2 is None else low2, high if high2 is None else high2)
    return [x, y] if d.chance(0.7) or other else [y, x]


@maker("Add", "Sub", "Mul", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal", "Greater", "Less",
       "GreaterOrEqual", "LessOrEqual", "StringConcat")  # fmt: skip
def binary(d):
    return d.op, broadcast_pair(d, d.type()), 1, {}


@maker("Div")
def div(d):
    type = d.type()
    if type in FLOATS:
        return d.op, broadcast_pair(d, type, low2=0.5, high2=5), 1, {}
    d.special = False
    shape = d.shape()
    return d.op, [d.tensor(shape, type, -100, 100), d.put(d.array(d.narrower(shape), type, 1, 7))], 1, {}


@maker("Mod")
def mod(d):
    type = d.type()
    whole = type not in FLOATS
    shape = d.shape()
    if whole:
        d.special = False
    y = d.array(d.narrower(shape), type, 1, 7)
    if d.chance(0.5) and not type.startswith("u"):
        y = np.negative(y).astype(y.dtype)
    fmod = 1 if not whole else d.integer(0, 1)
    return d.op, [d.tensor(shape, type, -100, 100), d.put(y)], 1, {"fmod": fmod}


@maker("Pow")
def pow(d):
    type = d.type()
    other = d.type("T1") if d.version >= 12 else type
    if type not in FLOATS or other != type:
        d.special = False
    low2 = 0 if type not in FLOATS else -2
    shape = d.shape()
    low = 0.1 if other in FLOATS else 1
    y = d.choice(d.array([], other, low2, 3), d.array(d.narrower(shape), other, low2, 3))
    return d.op, [d.tensor(shape, type, low, 5), d.put(y)], 1, {}


@maker("BitShift")
def bit_shift(d):
    d.special = False
    type = d.type()
    bits = np.iinfo(dtype_of(type)).bits
    return d.op, broadcast_pair(d, type, type, 0, 100, 0, bits - 1), 1, {"direction": d.choice("LEFT", "RIGHT")}


@maker("PRelu")
def prelu(d):
    type, shape = d.type(), d.shape()
    return d.op, [d.tensor(shape, type), d.tensor(d.narrower(shape), type)], 1, {}


@maker("Max", "Min", "Sum", "Mean")
def variadic(d):
    type, shape = d.type(), d.shape()
    count = d.integer(1, 5)
    whole = d.integer(0, count - 1)
    return d.op, [d.tensor(shape if i == whole else d.narrower(shape), type) for i in range(count)], 1, {}


@maker("Where")
def where(d):
    shape, type = d.shape(), d.type()
    parts = [shape if i == 0 else d.narrower(shape) for i in range(3)]
    d.random.shuffle(parts)
    return d.op, [d.tensor(parts[0], "bool"), d.tensor(parts[1], type), d.tensor(parts[2], type)], 1, {}


@maker("Clip")
def clip(d):
    type = d.type()
    x = d.tensor(d.shape(), type)
    if d.version < 11:
        return d.op, [x], 1, {n: float(v) for n, v in (("min", -1), ("max", d.choice(2, -2, 6))) if d.chance(0.7)}
    plain, d.special = d.special, False
    limits = [
        d.put(d.array([], type, -2, 0)) if d.chance(0.7) else "",
        d.put(d.array([], type, 0, 3)) if d.chance(0.7) else "",
    ]
    d.special = plain
    while limits and not limits[-1]:
        limits.pop()
    return d.op, [x, *limits], 1, {}


# --- reductions ---


@maker("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
       "ReduceSum", "ReduceSumSquare", sums=True)  # fmt: skip
def reduce(d):
    without = () if d.op != "ReduceLogSumExp" else ("int32", "int64", "uint32", "uint64")  # rounded when, nobody says
    type, shape = d.type("T", without=without), d.shape(low=0 if d.op == "ReduceSum" else 1)
    low, high = (0.1, 3) if d.op == "ReduceLogSum" else (0.5, 1.3) if d.op == "ReduceProd" else (-4, 4)
    if type not in FLOATS and d.op in ("ReduceLogSum", "ReduceLogSumExp"):
        low, high = 1, 2
    if type not in FLOATS and d.op == "ReduceProd":
        low, high = -1, 1  # nothing overflows
    d.special = d.special and type in FLOATS
    if type == "bool":
        low, high = 0, 1
    x = d.tensor(shape, type, low, high)
    axes, keep = d.axes(len(shape), 1), {"keepdims": d.integer(0, 1)} if d.chance(0.7) else {}
    if not axes or d.chance(0.15):
        axes = None
    if d.version >= (13 if d.op == "ReduceSum" else 18):
        if d.chance(0.3):
            keep["noop_with_empty_axes"] = d.integer(0, 1)
        inputs = [x] if axes is None and d.chance(0.5) else [x, d.ints(axes or [], constant=True if not axes else None)]
        return d.op, inputs, 1, keep
    return d.op, [x], 1, dict(keep, axes=axes)


@maker("ArgMax", "ArgMin")
def arg(d):
    shape = d.shape(ranks=(1, 5), low=1)
    attributes = (
        {"axis": d.axis(len(shape)) if d.version >= 11 else d.integer(0, len(shape) - 1)} if d.chance(0.8) else {}
    )
    if d.chance(0.6):
        attributes["keepdims"] = d.integer(0, 1)
    if d.version >= 12 and d.chance(0.4):
        attributes["select_last_index"] = d.integer(0, 1)
    d.special = False
    return d.op, [d.tensor(shape, d.type())], 1, attributes


@maker("Softmax", "LogSoftmax", "Hardmax", sums=True, special=False)
def softmax(d):
    shape = d.shape(ranks=(1, 4))
    axis = d.axis(len(shape)) if d.version >= 11 else d.integer(0, len(shape) - 1)
    type = d.type()
    return (
        d.op,
        [d.tensor(shape, type, -8, 8)],
        1,
        {"axis": axis} if d.chance(0.8) or (d.version < 13 and len(shape) < 2) else {},
    )


@maker("CumSum", "CumProd", sums=True)
def cumulate(d):
    shape = d.shape(ranks=(1, 4))
    attributes = {n: d.integer(0, 1) for n in ("exclusive", "reverse") if d.chance(0.6)}
    low, high = (0.7, 1.2) if d.op == "CumProd" else (-4, 4)
    type = d.type()
    axis = d.ints(d.axis(len(shape)), d.choice("int32", "int64"))
    return d.op, [d.tensor(shape, type, low, high), axis], 1, attributes


@maker("TopK", special=False)
def top_k(d):
    shape = d.shape(ranks=(1, 4), low=1)
    axis = d.axis(len(shape)) if d.version >= 11 else d.integer(0, len(shape) - 1)
    size = shape[axis]
    k = d.integer(0 if d.chance(0.1) else 1, size)
    count = int(np.prod(shape))
    type = d.type()
    x = d.random.sample(range(count), count)  # no ties: which comes first is not defined
    if type in ("int8", "uint8") and count > 100 or type in ("float16", "bfloat16"):
        type = "float" if "float" in d.allowed("T") else type
    x = d.put(np.array(x).reshape(shape).astype(dtype_of(type)))
    attributes = {"axis": axis}
    if d.version >= 11:
        attributes.update({n: d.integer(0, 1) for n in ("largest",) if d.chance(0.6)})
    if d.version < 10:
        return d.op, [x], 2, dict(attributes, k=k)
    return d.op, [x, d.ints([k])], 2, attributes


@maker("LpNormalization", sums=True, special=False)
def lp_normalization(d):
    shape = d.shape(ranks=(1, 4))
    return d.op, [d.tensor(shape, d.type())], 1, {"axis": d.axis(len(shape)), "p": d.integer(1, 2)}


@maker("MeanVarianceNormalization", sums=True, special=False)
def mvn(d):
    shape = d.shape(rank=4, low=2, high=9)
    return (
        d.op,
        [d.tensor(shape, d.type())],
        1,
        {"axes": d.choice([0, 2, 3], [2, 3], [1], [0, 1, 2, 3])} if d.chance(0.6) else {},
    )


# --- products ---


@maker("MatMul", sums=True)
def matmul(d):
    d.special = d.special and d.chance(0.3)
    type = d.type()
    k, m, n = d.size(), d.size(), d.size()
    batch = d.shape(ranks=(0, 2), high=5)
    a, b = batch + [m, k], d.narrower(batch) + [k, n]
    if d.chance(0.15):
        a = [k]
    elif d.chance(0.15):
        b = [k]
    return d.op, [d.tensor(a, type, -2, 2), d.tensor(b, type, -2, 2)], 1, {}


@maker("Gemm", sums=True)
def gemm(d):
    d.special = d.special and d.chance(0.3)
    type = d.type()
    m, n, k = d.size(), d.size(), d.size()
    ta, tb = d.integer(0, 1), d.integer(0, 1)
    inputs = [d.tensor([k, m] if ta else [m, k], type, -2, 2), d.tensor([n, k] if tb else [k, n], type, -2, 2)]
    attributes = {"transA": ta, "transB": tb}
    whole = type not in FLOATS
    for name in ("alpha", "beta"):
        if d.chance(0.4):
            attributes[name] = float(d.choice(1, 2, -1) if whole else d.choice(0.5, 2.0, -1.0, 0.0))
    if d.version < 11 or d.chance(0.7):
        inputs.append(d.tensor(d.choice([n], [m, n], [1, n], [m, 1], [], [1]), type))
    return d.op, inputs, 1, attributes


@maker("Einsum", sums=True, special=False)
def einsum(d):
    sizes = {c: d.size(1, 9) for c in "abcde"}
    equation, terms = d.choice(
        ("ab,bc->ac", "ab bc"),
        ("abc,cd", "abc cd"),
        ("aab->b", "aab"),
        ("ab->ba", "ab"),
        ("abc,abd->acd", "abc abd"),
        ("ab,cb->ac", "ab cb"),
        ("abc->", "abc"),
        ("ab,ab->a", "ab ab"),
        ("a,b,c->abc", "a b c"),
        ("...b,bc->...c", "ab bc"),
        ("abc,abd,acd->ab", "abc abd acd"),
        ("abcd,abed->abce", "abcd abed"),
        ("aa", "aa"),
        ("ab , b -> a", "ab b"),
    )
    type = d.type("T", without=("bool",))
    inputs = [d.tensor([sizes[c] for c in t], type, -2, 2) for t in terms.split()]
    return d.op, inputs, 1, {"equation": equation}


@maker("Det", sums=True, special=False)
def det(d):
    n = d.size(1, 8)
    return d.op, [d.tensor(d.shape(ranks=(0, 2), high=4) + [n, n], d.type(), -1, 1)], 1, {}


# --- what makes numbers ---


@maker("Range")
@maker("Range", domain="com.microsoft")
def range_of(d):
    d.special = False
    type = d.type() if d.schema else d.choice("float", "double", "int16", "int32", "int64")
    start, delta = d.integer(-5, 5), d.choice(1, 2, 3, -1, -2)
    limit = start + delta * d.integer(-1, 40)
    given = (start, limit) if not d.schema and delta == 1 else (start, limit, delta)
    values = [np.array(v, dtype_of(type)) for v in given]
    return d.op, [d.put(v) for v in values], 1, {}


@maker("EyeLike")
def eye_like(d):
    type = d.type("T1")
    to = element_type(TYPES[d.type("T2")])
    return (
        d.op,
        [d.tensor(d.shape(rank=2), type)],
        1,
        dict({"k": d.integer(-5, 5)}, **({"dtype": to} if d.chance(0.6) else {})),
    )


@maker("ConstantOfShape")
def constant_of_shape(d):
    from onnx import numpy_helper

    value = d.array([1], d.type("T2", without=("string",)))
    attributes = {"value": numpy_helper.from_array(value)} if d.chance(0.8) else {}
    return d.op, [d.ints(d.shape())], 1, attributes


@maker("Cast", "CastLike")
def cast(d):
    param = "T1"
    type, to = d.type(param), d.type("T2")
    low, high = (0, 100) if to.startswith("u") else (-100, 100)
    d.special = d.special and to in FLOATS and type in FLOATS
    x = d.tensor(d.shape(), type, low, high)
    if type == "string":
        x = d.put(
            np.array(
                [
                    "1",
                    "-2",
                    "3.5" if to in FLOATS else "7",
                    "NaN" if to in FLOATS else "4",
                    "1e3" if to in FLOATS else "0",
                ],
                object,
            )
        )
    attributes = {}
    if d.version >= 19 and d.chance(0.3) and to.startswith("float8"):
        attributes["saturate"] = d.integer(0, 1)
    if d.op == "CastLike":
        return d.op, [x, d.tensor([2], to)], 1, attributes
    return d.op, [x], 1, dict(attributes, to=element_type(TYPES[to]))


@maker("BitCast")
def bit_cast(d):
    sized = {
        1: ("int8", "uint8", "bool"),
        2: ("int16", "uint16", "float16", "bfloat16"),
        4: ("int32", "uint32", "float"),
        8: ("int64", "uint64", "double"),
    }[d.choice(1, 2, 4, 8)]
    type, to = d.choice(*sized), d.choice(*sized)
    if "bool" in (type, to):
        type = to = "uint8"
    return d.op, [d.tensor(d.shape(), type)], 1, {"to": element_type(TYPES[to])}


# --- signals ---


@maker("BlackmanWindow", "HammingWindow", "HannWindow")
def window(d):
    to = d.choice("float", "double", "float16")
    attributes = {"output_datatype": element_type(TYPES[to])} if d.chance(0.5) else {}
    if d.chance(0.6):
        attributes["periodic"] = d.integer(0, 1)
    return d.op, [d.ints(d.integer(2, 40), d.type("T1"))], 1, attributes


@maker("MelWeightMatrix", sums=True)
def mel(d):
    length, rate = d.choice(16, 32, 64), d.choice(8000, 16000)
    low, high = float(d.choice(0, 20)), float(rate / d.choice(2, 3))
    return (
        d.op,
        [d.ints(v) for v in (d.integer(2, 8), length, rate)] + [d.put(np.float32(low)), d.put(np.float32(high))],
        1,
        {},
    )


@maker("DFT", sums=True, special=False)
def dft(d):
    type = d.type("T1", among=FLOATS)
    inverse, half = d.integer(0, 1), d.integer(0, 1)
    if inverse and half and d.version < 20:
        half = 0
    parts = 2 if inverse or (not half and d.chance(0.5)) else 1
    shape = d.shape(ranks=(2, 3), low=1, high=33)
    shape = [max(s, 2) for s in shape] if inverse and half else shape
    axis = d.integer(0 if d.version < 20 else -len(shape) - 1, len(shape) - 1)
    if d.version >= 20 and axis == -1:
        axis = -2
    if axis == -len(shape) - 1:
        axis = 0
    length = [d.ints(d.integer(1, 20))] if d.chance(0.4) else [""]
    if inverse and half:
        length = [""]
    x = d.tensor(shape + [parts], type)
    attributes = {"inverse": inverse, "onesided": half}
    if d.version < 20:
        return d.op, [x] + [n for n in length if n], 1, dict(attributes, axis=axis)
    return d.op, [x, *length, d.ints(axis)], 1, attributes


@maker("STFT", sums=True, special=False)
def stft(d):
    type = d.type("T1", among=("float", "double"))
    frame, step = d.choice(4, 8, 16, 5), d.integer(1, 5)
    x = d.tensor([d.integer(1, 2), d.integer(frame, 60), d.choice(1, 1, 2)], type)
    half = 0 if d.inputs.get(x) is not None and d.inputs[x].shape[-1] == 2 else d.integer(0, 1)
    window = [d.tensor([frame], type)] if d.chance(0.6) else [""]
    return d.op, [x, d.ints(step), *window, d.ints(frame)], 1, {"onesided": half if d.inputs.get(x) is not None else 0}
