"""What a graph should give: each node alone in ONNX Runtime without rewrites; where that has no kernel for the
types, in float32 between casts (halves) or in the reference evaluator of onnx. And how far apart two
answers may be."""

import warnings

import numpy as np
import onnxruntime
from onnx import AttributeProto, TensorProto, defs, helper
from onnx.reference import ReferenceEvaluator

from draw import FLOATS, NARROW, constant_proto, dtype_of, is_float, name_of, value_info
from known import COARSE, ONE_STEP, prefers_reference
from library import Optional

RECURRENT = ("RNN", "GRU", "LSTM")
# Of float64 in float32 by ONNX Runtime rather than by the reference, which has other faults in each.
IN_FLOAT = (*RECURRENT, "GridSample", "LRN", "Hardmax", "LpPool", "GlobalMaxPool", "GlobalLpPool",
            "MeanVarianceNormalization")  # fmt: skip
# Operators of which ONNX Runtime lacks the newest form, and the newest operator set in which it has the same.
SAME_BEFORE = {"GlobalLpPool": 21, "MaxRoiPool": 21, "GlobalMaxPool": 21, "GlobalAveragePool": 21, "OneHot": 27,
               "LpPool": 21, "Det": 21, "Mod": 27, "Einsum": 27, "Unique": 27, "Compress": 27, "ReverseSequence": 27,
               "LpNormalization": 21, "InstanceNormalization": 21, "GridSample": 21, "EyeLike": 21}  # fmt: skip
RELATIVE = {"float": 1e-5, "double": 1e-11, "float16": 2.0**-9, "bfloat16": 2.0**-6}
onnxruntime.set_default_logger_severity(4)
warnings.simplefilter("ignore")


class NoJudge(Exception):
    pass


def captured(proto):
    """Names that a node's subgraphs read of what is around it."""
    names = []
    for attribute in proto.attribute:
        if attribute.type == AttributeProto.GRAPH:
            inside = {i.name for i in attribute.g.input} | {i.name for i in attribute.g.initializer}
            for node in attribute.g.node:
                names += [n for n in [*node.input, *captured(node)] if n and n not in inside]
                inside.update(node.output)
            names += [o.name for o in attribute.g.output if o.name not in inside]
    return names


def model_of(protos, imports, feeds, constants, outputs):
    infos = [value_info(name, v) for name, v in feeds.items()]
    empty = [helper.make_empty_tensor_value_info(o) if isinstance(o, str) else o for o in outputs]
    graph = helper.make_graph(protos, "node", infos, empty, [constant_proto(n, a) for n, a in constants.items()])
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def foreign(value):
    """Is it of an element type that Python's ONNX Runtime can't take?"""
    return isinstance(value, np.ndarray) and (name_of(value) in NARROW or name_of(value) == "bfloat16")


def give(value):
    if isinstance(value, Optional):
        return value.value
    return value


def in_runtime(protos, imports, values, constants, outputs):
    constants = {n: values[n] for n in values if n in constants or foreign(values[n])}
    feeds = {n: v for n, v in values.items() if n not in constants}
    session = session_of(model_of(protos, imports, feeds, constants, outputs))
    types = [o.type for o in session.get_outputs()]
    odd = {o: t[7:-1] for o, t in zip(outputs, types) if t[7:-1] in (*NARROW, "bfloat16", "float4e2m1")}
    back = {}
    if odd:
        more = []
        for name, type in odd.items():
            wide = TensorProto.INT8 if "int" in type else TensorProto.FLOAT
            more.append(helper.make_node("Cast", [name], [name + "_wide"], to=wide))
            back[name + "_wide"] = type
        names = [o + "_wide" if o in odd else o for o in outputs]
        imports = (
            [i if i.domain else helper.make_opsetid("", max(i.version, 23)) for i in imports]
            if len(protos) > 1
            else imports
        )
        session = session_of(model_of(list(protos) + more, imports, feeds, constants, names))
        outputs = names
    results = session.run(None, {n: give(v) for n, v in feeds.items()})
    return [np.asarray(r).astype(dtype_of(back[o])) if o in back else plain(r) for o, r in zip(outputs, results)]


def plain(result):
    """A result in the forms of library.py."""
    if result is None or isinstance(result, (dict, Optional)):
        return result
    if isinstance(result, list):
        return [plain(r) for r in result]
    result = np.asarray(result)
    return result.astype(object) if result.dtype.kind in "US" else result


def in_older(proto, imports, values, constants, outputs):
    """In an operator set that ONNX Runtime has kernels of, where the newest only have more element types."""
    if proto.domain or proto.op_type not in SAME_BEFORE or imports[0].version <= SAME_BEFORE[proto.op_type]:
        raise NoJudge
    older = [helper.make_opsetid("", SAME_BEFORE[proto.op_type])] + list(imports[1:])
    try:
        return in_runtime([proto], older, values, constants, outputs)
    except Exception:
        return widened(proto, older, values, constants, outputs)


def widened(proto, imports, values, constants, outputs):
    """The node in float32, between casts of halves."""
    others = ("float16", "bfloat16", "double") if proto.op_type in IN_FLOAT else ("float16", "bfloat16")
    halves = {n for n, v in values.items() if isinstance(v, np.ndarray) and name_of(v) in others}
    if not halves or captured(proto) or any(a.name in ("dtype", "to", "output_dtype") for a in proto.attribute):
        raise NoJudge
    wide = {n: v.astype(np.float32) if n in halves else v for n, v in values.items()}
    results = in_runtime([proto], imports, wide, constants, outputs)
    return retyped(proto, imports, values, results, values[next(iter(halves))].dtype)


def retyped(proto, imports, values, results, otherwise=None):
    """Floats in the type that the schema says, that of an input; where it says none, `otherwise`."""
    version = next(i.version for i in imports if i.domain == proto.domain)
    schema = (
        defs.get_schema(proto.op_type, version, proto.domain)
        if defs.has(proto.op_type, version, proto.domain)
        else None
    )
    of = {}
    for i, name in enumerate(proto.input):
        if schema and name and isinstance(values[name], np.ndarray):
            of.setdefault(schema.inputs[min(i, len(schema.inputs) - 1)].type_str, values[name].dtype)
    typed, k = [], 0
    for i, name in enumerate(proto.output):
        if name:
            r, k = results[k], k + 1
            bound = schema and of.get(schema.outputs[min(i, len(schema.outputs) - 1)].type_str)
            dtype = bound or (otherwise if isinstance(r, np.ndarray) and r.dtype == np.float32 else None)
            floats = isinstance(r, np.ndarray) and r.dtype != object and is_float(r.dtype)
            whole = isinstance(r, np.ndarray) and r.dtype.kind in "iu"
            fits = dtype is not None and (floats and is_float(dtype) or whole and np.dtype(dtype).kind in "iu")
            typed.append(r.astype(dtype) if fits else r)
    return typed


def in_batches(proto, imports, values, constants, outputs):
    """A recurrent layer whose first axis is the batch, by one whose first axis is time."""
    attributes = {a.name: a.i for a in proto.attribute}
    if proto.op_type not in RECURRENT or not attributes.get("layout"):
        raise NoJudge
    turned = helper.make_node(proto.op_type, [], [])
    turned.CopyFrom(proto)
    for a in turned.attribute:
        if a.name == "layout":
            a.i = 0
    names = list(proto.input)
    swapped = [n for i, n in enumerate(names) if n and i in (0, 5, 6)]
    values = {n: np.swapaxes(v, 0, 1) if n in swapped else v for n, v in values.items()}
    try:
        results = in_runtime([turned], imports, values, constants, outputs)
    except Exception:
        results = widened(turned, imports, values, constants, outputs)
    first = proto.output[0] if proto.output[0] else None
    return [np.transpose(r, (2, 0, 1, 3)) if o == first else np.swapaxes(r, 0, 1) for o, r in zip(outputs, results)]


def of_optional(proto, values):
    if proto.op_type != "Optional" or not proto.input:
        raise NoJudge
    return [Optional(values[proto.input[0]])]


def by_reference(proto, imports, values, outputs):
    model = model_of([proto], imports, values, {}, outputs)
    results = ReferenceEvaluator(model).run(None, {n: give(v) for n, v in values.items()})
    return retyped(proto, imports, values, [plain(r) for r in results])


def run_node(proto, imports, values, constants):
    """Its outputs and who gave them."""
    names = dict.fromkeys([n for n in proto.input if n] + captured(proto))
    mine = {n: values[n] for n in names}
    outputs = [o for o in proto.output if o]
    first = [("the value itself", lambda: of_optional(proto, mine)),
             ("onnxruntime", lambda: in_runtime([proto], imports, mine, constants, outputs)),
             ("onnxruntime, older", lambda: in_older(proto, imports, mine, constants, outputs)),
        ("onnxruntime in float32", lambda: widened(proto, imports, mine, constants, outputs)),
             ("onnxruntime, time first", lambda: in_batches(proto, imports, mine, constants, outputs)),
             ("reference", lambda: by_reference(proto, imports, mine, outputs))]  # fmt: skip
    if prefers_reference(proto, mine):
        first = first[::-1]
    why = []
    for who, run in first:
        try:
            return run(), who
        except Exception as error:  # whatever they raise means that they do not run it
            why.append(f"{who}: {str(error)[:300]}" if str(error) else who)
    raise NoJudge(f"{proto.op_type}: " + "; ".join(why))


def finite_most(values):
    most = 0.0
    for v in values:
        if isinstance(v, np.ndarray) and v.dtype != object and is_float(v.dtype) and v.size:
            x = np.abs(v.astype(np.float64))
            most = max(most, float(np.max(x, initial=0, where=np.isfinite(x))))
    return most


def allowance(node, inputs, y):
    """How far apart elements of `y`, a result of `node`, may be: an array."""
    if not isinstance(y, np.ndarray) or y.dtype == object or name_of(y) not in FLOATS:
        return 0.0
    relative = RELATIVE[name_of(y)]
    if name_of(y) == "double" and node.proto.op_type in COARSE:
        relative = 1e-5
    size = np.abs(y.astype(np.float64))
    size = np.where(np.isfinite(size), size, 0)
    if node.sums:
        reach = max(finite_most([y]), min(finite_most(inputs), 1e4))
        terms = max([v.size for v in inputs if isinstance(v, np.ndarray)], default=1)
        return relative * (size + 0.3 * reach * max(1, np.sqrt(min(terms, 4096)) / 16))
    return relative * size + relative * 0.05


def moved_steps(node, y, noise):
    """Integers of which one here and there is the next one."""
    shift = np.sign(noise(y.shape)).astype(np.int64) * (node.proto.op_type in ONE_STEP)
    info = np.iinfo(y.dtype)
    return np.clip(y.astype(np.int64) + shift, info.min, info.max).astype(y.dtype)


def evaluate(draw, noise=None):
    """All values of the graph, and who judged. `noise`: a function of an array's shape to factors in [-1, 1] by which
    numbers are moved as far as they may be apart."""
    values = dict(draw.constants, **draw.inputs)
    judges = set()
    if noise:
        for name, v in values.items():
            if isinstance(v, np.ndarray) and v.dtype != object and name_of(v) in FLOATS:
                values[name] = moved(v, noise(v.shape) * np.abs(v.astype(np.float64)) * RELATIVE[name_of(v)] * 0.1)
    imports = draw.imports()
    for node in draw.nodes:
        run_one(draw, node, imports, values, judges, noise)
    return values, judges


def run_one(draw, node, imports, values, judges, noise=None):
    results, who = run_node(node.proto, imports, values, draw.constants)
    judges.add(who)
    inputs = [values[n] for n in node.proto.input if n]
    for name, y in zip([o for o in node.proto.output if o], results):
        if noise and isinstance(y, np.ndarray) and y.dtype != object and name_of(y) in FLOATS:
            y = moved(y, noise(y.shape) * allowance(node, inputs, y))
        elif noise and node.proto.op_type in ONE_STEP and y.dtype.kind in "iu":
            y = moved_steps(node, y, noise)
        values[name] = y


def moved(array, by):
    with np.errstate(all="ignore"):
        return np.asarray(np.where(np.isfinite(array), array.astype(np.float64) + by, array.astype(np.float64))).astype(
            array.dtype
        )


def described(v):
    if isinstance(v, np.ndarray):
        return f"{name_of(v)} {list(v.shape)}"
    return type(v).__name__


def parts_of(ours, theirs):
    """Pairs of arrays, of sequences too."""
    if isinstance(theirs, Optional):
        theirs = theirs.value
    if isinstance(ours, Optional):
        ours = ours.value
    if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        for a, b in zip(ours, theirs):
            yield from parts_of(a, b)
    elif isinstance(theirs, dict) and isinstance(ours, dict):
        yield from parts_of(list(ours), list(theirs))
        yield from parts_of([np.asarray(v) for v in ours.values()], [np.asarray(v) for v in theirs.values()])
    elif np.isscalar(theirs) and np.isscalar(ours):
        yield np.asarray(ours), np.asarray(theirs)
    else:
        yield ours, theirs


def difference(name, ours, theirs, allowed):
    """A sentence, or None. `allowed`: how far apart numbers may be; None: only types are compared."""
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
        ours, theirs = plain(ours), plain(theirs)
    else:
        return None if ours is None and theirs is None else f"{name}: {described(ours)}, not {described(theirs)}"
    if name_of(ours) != name_of(theirs) or (ours.shape != theirs.shape and allowed is not None):
        return f"{name}: {described(ours)}, not {described(theirs)}"
    if not ours.size or allowed is None:
        return None
    if ours.dtype == object:
        wrong = ours != np.vectorize(lambda t: t.decode() if isinstance(t, bytes) else t, otypes=[object])(theirs)
        return f"{name}: {ours[wrong][0]!r}, not {theirs[wrong][0]!r}" if wrong.any() else None
    if ours.dtype.kind in "iub" and theirs.dtype.kind in "iub" and not np.any(allowed):
        wrong = ours != theirs
        a, b = ours, theirs
    else:
        with np.errstate(all="ignore"):
            a, b = ours.astype(np.float64), theirs.astype(np.float64)
            same = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.isnan(allowed) if np.any(allowed) else False)
            wrong = ~same & ~(np.abs(a - b) <= allowed)
    if not wrong.any():
        return None
    at = tuple(int(i[0]) for i in np.nonzero(wrong)) if ours.ndim else ()
    return f"{name} {described(ours)}: {wrong.sum()} of {ours.size} differ, at {list(at)} {a[at]}, not {b[at]}"
