"""What a random graph is made of: shapes, element types, numbers, and the operators before and behind the one
that is tested. MAKERS has a function for each operator that draws a node of it."""

import random

import ml_dtypes
import numpy as np
from onnx import TensorProto, defs, helper, numpy_helper

from library import Optional, element_type

TYPES = {
    "float": np.float32, "double": np.float64, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64, "uint8": np.uint8, "uint16": np.uint16,
    "uint32": np.uint32, "uint64": np.uint64, "bool": np.bool_, "string": object, "int4": ml_dtypes.int4,
    "uint4": ml_dtypes.uint4, "int2": ml_dtypes.int2, "uint2": ml_dtypes.uint2,
    "float8e4m3fn": ml_dtypes.float8_e4m3fn, "float8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8e5m2": ml_dtypes.float8_e5m2, "float8e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "float4e2m1": ml_dtypes.float4_e2m1fn, "float8e8m0": ml_dtypes.float8_e8m0fnu,
}  # fmt: skip
NAMES = {np.dtype(t): name for name, t in TYPES.items()}
FLOATS = ("float", "double", "float16", "bfloat16")
NARROW = ("int4", "uint4", "int2", "uint2", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz",
          "float4e2m1", "float8e8m0")  # fmt: skip
BITS = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}
SIZES = (0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 11, 13, 15, 16, 17, 31, 32, 33, 64, 65)
WORDS = ("", "a", "b", "ab", "Abc", "hello", "HELLO world", "1", "-2.5", "x,y,,z", " pad ", "ä", "日本", "0", "nan")
MOST = 20000  # elements of a value
OLDEST, NEWEST = 7, 28
FIRST = {"Scan": 9}  # its form of opset 8 has batches, and lengths of sequences
LAST = {"Scatter": 10, "Upsample": 9}  # operator sets of what is deprecated

BEHIND = (
    "Add",
    "Mul",
    "Relu",
    "Sigmoid",
    "Transpose",
    "Reshape",
    "Cast",
    "Reduce",
    "QDQ",
    "Softmax",
    "Slice",
    "Concat",
    "Neg",
    "Flatten",
    "Sub",
    "Max",
    "MatMul",
    "Clip",
    "Gather",
    "Pad",
    "Unsqueeze",
    "Squeeze",
    "Split",
    "Where",
    "ArgMax",
    "Expand",
    "Affine",
    "Tanh",
    "LeakyRelu",
    "HardSigmoid",
    "Erf",
    "Gelu",
    "Conv",
    "Norm",
)

MAKERS = {}  # (domain, operator): Maker


class Maker:
    """`sums`: results are sums of many products, so that errors grow with the largest term; `special`: NaN, infinities
    and the like may be among its numbers."""

    def __init__(self, function, sums, special):
        self.function, self.sums, self.special = function, sums, special


def maker(*names, domain="", sums=False, special=True):
    def register(function):
        for name in names:
            assert (domain, name) not in MAKERS, name
            MAKERS[domain, name] = Maker(function, sums, special)
        return function

    return register


def dtype_of(name):
    return np.dtype(TYPES[name])


def name_of(array):
    return NAMES[np.asarray(array).dtype]


def is_float(dtype):
    return NAMES[np.dtype(dtype)] in FLOATS or NAMES[np.dtype(dtype)].startswith("float")


class Node:
    """A node and what is known of it: `proto`, and whether its results are sums."""

    def __init__(self, proto, sums=False):
        self.proto, self.sums = proto, sums


class Draw:
    def __init__(self, seed, domain, op):
        self.random, self.numbers = random.Random(seed), np.random.RandomState(seed % (1 << 32))
        self.domain, self.op, self.maker = domain, op, MAKERS[domain, op]
        self.nodes, self.constants, self.inputs = [], {}, {}
        self.count, self.types = 0, {}
        self.draw_version()
        self.special = self.maker.special and self.chance(0.2)
        self.alone = self.chance(0.35)  # no operators before it

    def draw_version(self):
        history = sorted(s.since_version for s in defs.get_all_schemas_with_history()
                         if (s.domain, s.name) == (self.domain, self.op))  # fmt: skip
        self.opset, self.version = self.random.choice((9, 11, 13, 16, 18, 20, 21, 22, 23)), 1
        if self.domain == "" and history:
            ends = history[1:] + [NEWEST + 1]
            spans = [
                (max(a, OLDEST), b - 1)
                for a, b in zip(history, ends)
                if b > FIRST.get(self.op, OLDEST) and a <= LAST.get(self.op, a)
            ]
            low, high = self.random.choice(spans)
            high = min(high, LAST.get(self.op, high))
            self.opset = self.version = self.random.randint(low, high)
        elif history:
            self.version = self.random.choice(history)
        self.schema = defs.get_schema(self.op, self.version, self.domain) if history else None

    # --- chances ---

    def chance(self, share):
        return self.random.random() < share

    def choice(self, *of):
        return self.random.choice(of)

    def integer(self, low, high):
        return self.random.randint(low, high)

    def fresh(self, letter):
        self.count += 1
        return f"{letter}{self.count}"

    def size(self, low=0, high=65):
        return self.random.choice([s for s in SIZES if low <= s <= high])

    def shape(self, rank=None, low=0, high=65, ranks=(0, 5)):
        """Sizes of 0 are rare, and the whole is not large."""
        if rank is None:
            rank = self.random.randint(*ranks)
        if low == 0 and not self.chance(0.1):
            low = 1
        shape = [self.size(low, high) for _ in range(rank)]
        while int(np.prod([max(s, 1) for s in shape])) > MOST:
            at = shape.index(max(shape))
            shape[at] = max(shape[at] // 4, 1)
        return shape

    def narrower(self, shape, most=None):
        """A shape that broadcasts to `shape`."""
        start = self.random.randint(0, len(shape)) if self.chance(0.5) else 0
        return [1 if self.chance(0.3) else s for s in shape[start:]]

    def axis(self, rank):
        return self.random.randint(-rank, rank - 1) if rank else 0

    def axes(self, rank, least=0):
        """Distinct axes in any order, some counted from the end (from opset 11 on all operators can)."""
        some = self.random.sample(range(rank), self.random.randint(min(least, rank), rank))
        return [a - rank if self.opset >= 11 and self.chance(0.3) else a for a in some]

    # --- element types ---

    def allowed(self, param):
        for constraint in self.schema.type_constraints:
            if constraint.type_param_str == param:
                texts = constraint.allowed_type_strs
                return [t[7:-1] for t in texts if t.startswith("tensor(") and t[7:-1] in TYPES]
        return [param[7:-1]]  # the type itself: tensor(int64)

    def type(self, param="T", among=None, without=()):
        if param not in self.types:
            names = [n for n in self.allowed(param) if n not in without and (among is None or n in among)]
            wide = [n for n in names if n not in NARROW] or names
            names = names if self.chance(0.15) else wide
            if "float" in names and self.chance(0.35):
                names = ["float"]
            self.types[param] = self.random.choice(sorted(names))
        return self.types[param]

    # --- values ---

    def array(self, shape, type, low=-4.0, high=4.0):
        shape = tuple(shape)
        dtype = dtype_of(type)
        if type == "string":
            return np.array([self.random.choice(WORDS) for _ in range(int(np.prod(shape)))], object).reshape(shape)
        if type == "bool":
            return self.numbers.randint(0, 2, shape).astype(bool)
        if is_float(dtype):
            if type == "float8e8m0":
                return np.asarray(2.0 ** self.numbers.randint(-3, 4, shape), np.float32).astype(dtype)
            x = np.asarray(self.numbers.uniform(low, high, shape), np.float64)
            if self.chance(0.2):
                x = np.clip(np.round(x * 2) / 2, low, high)  # ties
            x = np.asarray(x).astype(np.float32 if type != "double" else np.float64).astype(dtype)
            return np.asarray(self.sprinkle(x))
        least, most = BITS.get(type) or (np.iinfo(dtype).min, np.iinfo(dtype).max)
        x = self.numbers.randint(max(int(np.floor(low)), least), min(int(np.ceil(high)), most) + 1, shape, np.int64)
        return np.asarray(self.sprinkle(np.asarray(x).astype(dtype)))

    def sprinkle(self, x):
        if not self.special or not x.size or NAMES[x.dtype] in NARROW:
            return x
        flat = x.reshape(-1).copy()
        if NAMES[x.dtype] in FLOATS:
            info = ml_dtypes.finfo(x.dtype)
            odd = [np.nan, np.inf, -np.inf, -0.0, 0.0, float(info.smallest_subnormal) * 3, float(info.max)]
            if self.maker.sums:
                odd.pop()  # whether sums and products overflow on the way depends on their order
            odd = self.random.choice((odd, odd[:1], odd[1:3], odd[3:6]))
        else:
            odd = [np.iinfo(x.dtype).min, np.iinfo(x.dtype).max, 0]
        for _ in range(max(1, flat.size // 16)):
            flat[self.random.randrange(flat.size)] = self.random.choice(odd)
        return flat.reshape(x.shape)

    def put(self, array, constant=None):
        """A value of the graph: a constant, or an input."""
        if not isinstance(array, (list, Optional)):
            array = np.asarray(array)
        constant = self.chance(0.3) if constant is None else constant
        name = self.fresh("c" if constant else "x")
        (self.constants if constant else self.inputs)[name] = array
        return name

    def ints(self, values, type="int64", constant=None):
        """Sizes, axes, indices: mostly constant."""
        return self.put(np.array(values, dtype_of(type)), self.chance(0.7) if constant is None else constant)

    def tensor(self, shape, type, low=-4.0, high=4.0, constant=None):
        """A value of that shape and type, often made by other operators."""
        if self.alone or constant or not self.chance(0.35) or type == "string" or type in NARROW:
            return self.put(self.array(shape, type, low, high), constant)
        return self.before(list(shape), type, low, high)

    def emit(self, op, inputs, outputs=1, domain="", sums=False, **attributes):
        names = outputs if isinstance(outputs, list) else [self.fresh("v") for _ in range(outputs)]
        attributes = {k: v for k, v in attributes.items() if v is not None}
        proto = helper.make_node(op, list(inputs), names, name=self.fresh("n"), domain=domain, **attributes)
        self.nodes.append(Node(proto, sums))
        return names[0]

    def before(self, shape, type, low, high):
        """One operator that gives such a value; numbers stay in their range."""
        how = self.choice("Transpose", "Reshape", "Cast", "Unsqueeze", "Identity", "Slice", "Concat", "QDQ", "Clip")
        if how == "Transpose" and len(shape) > 1:
            order = self.random.sample(range(len(shape)), len(shape))
            turned = [0] * len(shape)
            for i, a in enumerate(order):
                turned[a] = shape[i]
            return self.emit("Transpose", [self.put(self.array(turned, type, low, high))], perm=order)
        if how == "Reshape" and shape and 0 not in shape:
            flat = [int(np.prod(shape))] if self.chance(0.5) else [1] + shape
            return self.emit("Reshape", [self.put(self.array(flat, type, low, high)), self.ints(shape)])
        if how == "Cast" and type in ("float", "double", "float16", "int32", "int64"):
            other = self.choice("float16", "double") if type == "float" else "float" if type in FLOATS else "int8"
            x = self.put(self.array(shape, other, low, high))
            return self.emit("Cast", [x], to=element_type(TYPES[type]))
        if how == "Unsqueeze" and shape.count(1):
            at = shape.index(1)
            x = self.put(self.array(shape[:at] + shape[at + 1 :], type, low, high))
            if self.opset >= 13:
                return self.emit("Unsqueeze", [x, self.ints([at])])
            return self.emit("Unsqueeze", [x], axes=[at])
        if how == "Slice" and shape and self.opset >= 10 and type != "bfloat16":
            at = self.integer(0, len(shape) - 1)
            wide = shape[:at] + [shape[at] + 2] + shape[at + 1 :]
            x = self.put(self.array(wide, type, low, high))
            return self.emit("Slice", [x, self.ints([1]), self.ints([shape[at] + 1]), self.ints([at])])
        if how == "Concat" and shape and shape[-1] > 1:
            first = self.integer(1, shape[-1] - 1)
            parts = [self.put(self.array(shape[:-1] + [n], type, low, high)) for n in (first, shape[-1] - first)]
            return self.emit("Concat", parts, axis=len(shape) - 1)
        if how == "QDQ" and type == "float" and self.opset >= 10 and low < -1 and not self.special:
            x = self.put(self.array(shape, type, low, high))
            return self.quantized_pair(x)
        if how == "Clip" and type == "float" and self.opset >= 11 and low <= 0 <= high:
            return self.emit("Clip", [self.put(self.array(shape, type, low, high)), self.put(np.float32(0), True)])
        return self.emit("Identity", [self.put(self.array(shape, type, low, high))])

    def quantized_pair(self, x):
        scale = self.put(np.float32(self.numbers.uniform(0.01, 0.05)), True)
        zero = self.put(np.asarray(self.integer(0, 255), np.uint8), True)
        whole = self.emit("QuantizeLinear", [x, scale, zero])
        return self.emit("DequantizeLinear", [whole, scale, zero])

    def behind(self, x, array):
        """One more operator on a value, of which `array` is the content; None if none fits."""
        type, shape = name_of(array), list(array.shape)
        if type == "string" or type in NARROW or array.ndim > 6 or array.size > MOST:
            return None
        how = self.choice(*BEHIND)
        plain, self.special = self.special, False
        try:
            return self.one_behind(how, x, array, type, shape)
        finally:
            self.special = plain

    def one_behind(self, how, x, array, type, shape):
        rank = len(shape)
        number = (
            type in FLOATS
            or type in ("int32", "int64")
            and (not array.size or np.abs(array.astype(np.float64)).max() < 1e6)
        )
        if how in ("Add", "Mul", "Sub") and number:
            other = self.put(self.array(self.narrower(shape), type, 1, 3))
            return self.emit(how, [x, other] if self.chance(0.7) else [other, x])
        if how == "Max" and type in FLOATS and self.opset >= 8:
            return self.emit("Max", [x, self.put(self.array(self.narrower(shape), type))])
        if how in ("Relu", "Sigmoid", "Neg") and type in FLOATS:
            return self.emit(how, [x])
        if how == "Transpose" and rank:
            return self.emit("Transpose", [x], perm=self.random.sample(range(rank), rank))
        if how == "Reshape":
            return self.emit(
                "Reshape", [x, self.ints(self.choice([-1], [array.size, 1], [1, array.size]) if array.size else [0])]
            )
        if how == "Flatten" and self.opset >= 9:
            return self.emit("Flatten", [x], axis=self.integer(0, rank))
        if how == "Cast" and type != "bool":
            to = self.choice("float", "double", "float16") if type in FLOATS else self.choice("float", "int64", "int32")
            return self.emit("Cast", [x], to=element_type(TYPES[to]))
        if how == "Reduce" and rank and number and 0 not in shape:
            axes, keep = sorted(self.random.sample(range(rank), self.integer(1, rank))), self.integer(0, 1)
            op = self.choice("ReduceSum", "ReduceMean", "ReduceMax")
            if type in FLOATS and np.isnan(array.astype(np.float64)).any():
                op = "ReduceSum"  # the largest of numbers and NaN is one or the other
            if self.opset >= (13 if op == "ReduceSum" else 18):
                return self.emit(op, [x, self.ints(axes)], sums=True, keepdims=keep)
            return self.emit(op, [x], sums=True, axes=axes, keepdims=keep)
        if how == "QDQ" and type == "float" and self.opset >= 10 and np.isfinite(array).all():
            return self.quantized_pair(x)
        if how == "Softmax" and type in FLOATS and rank:
            return self.emit("Softmax", [x], sums=True, axis=self.integer(0, rank - 1))
        if how == "Slice" and rank and self.opset >= 10 and type in ("float", "int32", "int64", "double"):
            at = self.integer(0, rank - 1)
            return self.emit("Slice", [x, self.ints([self.integer(0, 2)]), self.ints([1 << 40]), self.ints([at])])
        if how == "Concat" and rank:
            return self.emit("Concat", [x, x], axis=self.integer(0, rank - 1))
        if how == "MatMul" and type in ("float", "double") and rank and shape[-1]:
            w = self.put(self.array([shape[-1], self.size(1, 33)], type, -0.5, 0.5))
            return self.emit("MatMul", [x, w], sums=True)
        return self.one_more_behind(how, x, array, type, shape)

    def one_more_behind(self, how, x, array, type, shape):
        rank, new = len(shape), self.opset >= 13
        real = type in ("float", "double", "float16")
        if how in ("Tanh", "LeakyRelu", "HardSigmoid") and real or how == "Erf" and type == "float" and self.opset >= 9:
            return self.emit(how, [x])
        if how == "Gelu" and type in ("float", "float16") and self.opset >= 20:
            return self.emit("Gelu", [x], approximate=self.choice("none", "tanh"))
        if how == "Clip" and real and self.opset >= 11:
            return self.emit("Clip", [x, self.put(np.array(-1, dtype_of(type))), self.put(np.array(2, dtype_of(type)))])
        if how == "Gather" and rank:
            at = self.integer(0, rank - 1)
            if shape[at]:
                of = self.numbers.randint(0, shape[at], self.choice([], [2], [3, 1]))
                return self.emit("Gather", [x, self.put(np.array(of, np.int64))], axis=at)
        if how == "Pad" and rank and real and self.opset >= 11:
            return self.emit("Pad", [x, self.ints([self.integer(0, 2) for _ in range(2 * rank)])])
        if how == "Unsqueeze" and rank < 5:
            at = self.integer(0, rank)
            return self.emit("Unsqueeze", [x, self.ints([at])]) if new else self.emit("Unsqueeze", [x], axes=[at])
        if how == "Squeeze" and 1 in shape:
            at = shape.index(1)
            return self.emit("Squeeze", [x, self.ints([at])]) if new else self.emit("Squeeze", [x], axes=[at])
        if how == "Split" and rank and shape[-1] > 1 and type != "bool":
            cut = self.integer(1, shape[-1] - 1)
            sizes = [cut, shape[-1] - cut]
            if new:
                return self.emit("Split", [x, self.ints(sizes)], 2, axis=rank - 1)
            return self.emit("Split", [x], 2, axis=rank - 1, split=sizes)
        if how == "Where" and real and self.opset >= 9:
            kept = self.put(self.array(self.narrower(shape), "bool"))
            return self.emit("Where", [kept, x, self.put(self.array([], type))])
        if (
            how == "ArgMax"
            and type == "float"
            and rank
            and np.isfinite(array).all()
            and 0 not in shape
            and len(np.unique(array)) == array.size
        ):
            return self.emit("ArgMax", [x], axis=self.integer(0, rank - 1), keepdims=self.integer(0, 1))
        if how == "Expand" and self.opset >= 8 and array.size <= MOST // 3 and type != "bool":
            return self.emit("Expand", [x, self.ints([3] + [1] * rank)])
        if how == "Affine" and real and rank > 1:
            row = [1, shape[1]] + [1] * (rank - 2)
            y = self.emit("Mul", [x, self.put(self.array(row, type, 0.5, 2), True)])
            return self.emit("Add", [y, self.put(self.array(row, type, 0.5, 2), True)])
        if how == "Conv" and type == "float" and rank in (3, 4) and 0 not in shape and shape[1] < 40:
            w = self.put(self.array([self.size(1, 9), shape[1]] + [1] * (rank - 2), type, -0.5, 0.5), True)
            return self.emit("Conv", [x, w], sums=True)
        if how == "Norm" and type == "float" and rank and self.opset >= 17 and 2 <= shape[-1] < 100:
            scale = self.put(self.array(shape[-1:], type, 0.5, 2), True)
            return self.emit("LayerNormalization", [x, scale], sums=True, axis=-1)
        return None

    def build(self):
        """Draws the operator's node; its inputs are there behind it."""
        op, inputs, outputs, attributes = self.maker.function(self)
        if isinstance(outputs, int):
            outputs = [self.fresh("v") for _ in range(outputs)]
        self.emit(op, inputs, outputs, domain=self.domain, sums=self.maker.sums, **attributes)
        self.main = self.nodes[-1]

    def imports(self):
        imports = [helper.make_opsetid("", self.opset)]
        used = {n.proto.domain for n in self.nodes} - {""}
        return imports + [helper.make_opsetid(d, self.version) for d in sorted(used)]


def value_info(name, value, shape=True):
    if isinstance(value, Optional):
        inner = value_info(name, value.value if value.value is not None else np.zeros(1, value.of), False)
        return helper.make_value_info(name, helper.make_optional_type_proto(inner.type))
    if isinstance(value, list):
        if not value or isinstance(value[0], dict):
            return helper.make_empty_tensor_value_info(name)
        of = element_type(value[0].dtype)
        return helper.make_tensor_sequence_value_info(name, of, None)
    if isinstance(value, dict):
        key = TensorProto.STRING if isinstance(next(iter(value)), str) else TensorProto.INT64
        of = TensorProto.STRING if isinstance(next(iter(value.values())), str) else TensorProto.FLOAT
        inner = helper.make_tensor_type_proto(of, None)
        return helper.make_value_info(name, helper.make_map_type_proto(key, inner))
    return helper.make_tensor_value_info(
        name, element_type(value.dtype), list(value.shape) if shape is True else shape or None
    )


def constant_proto(name, array):
    if array.dtype == object:
        flat = [t.encode() for t in array.reshape(-1)]
        return helper.make_tensor(name, TensorProto.STRING, array.shape, flat)
    return numpy_helper.from_array(array, name)
