"""Makers of operators that move elements: (operator, inputs, outputs, attributes)."""

import numpy as np

from draw import FLOATS, dtype_of, maker


@maker("Transpose")
def transpose(d):
    shape = d.shape(ranks=(0, 6), high=17)
    perm = d.random.sample(range(len(shape)), len(shape)) if d.chance(0.8) and shape else None
    return d.op, [d.tensor(shape, d.type())], 1, {"perm": perm}


@maker("Reshape")
def reshape(d):
    shape = d.shape()
    count, rest = int(np.prod(shape)), int(np.prod(shape))
    wanted = []
    attributes = {}
    if count:
        for factor in (2, 3, 5, 4, 16):
            if rest % factor == 0 and d.chance(0.6):
                wanted.append(factor)
                rest //= factor
        wanted.append(rest)
        d.random.shuffle(wanted)
        if d.chance(0.3) and shape and wanted[0] == shape[0]:
            wanted[0] = 0
        if d.chance(0.4):
            wanted[d.integer(0, len(wanted) - 1)] = -1
    else:
        wanted = list(reversed(shape))
        if d.version >= 14:
            attributes["allowzero"] = 1
        else:
            wanted = list(shape)
    return d.op, [d.tensor(shape, d.type()), d.ints(wanted)], 1, attributes


@maker("Flatten")
def flatten(d):
    shape = d.shape(ranks=(1 if d.version < 13 else 0, 5))
    axis = d.integer(-len(shape) if d.version >= 11 else 0, len(shape))
    return d.op, [d.tensor(shape, d.type())], 1, {"axis": axis} if d.chance(0.8) and shape else {"axis": 0}


@maker("Squeeze")
def squeeze(d):
    shape = d.shape(high=9)
    ones = [
        i - len(shape) if d.version >= 11 and d.chance(0.3) else i
        for i, s in enumerate(shape)
        if s == 1 and d.chance(0.7)
    ]
    x = d.tensor(shape, d.type())
    if not ones:
        return d.op, [x], 1, {}
    if d.version < 13:
        return d.op, [x], 1, {"axes": ones}
    return d.op, [x, d.ints(ones)], 1, {}


@maker("Unsqueeze")
def unsqueeze(d):
    shape, more = d.shape(ranks=(0, 3), high=17), d.integer(1, 3)
    rank = len(shape) + more
    axes = d.random.sample(range(rank), more)
    axes = [a - rank if d.version >= 11 and d.chance(0.3) else a for a in axes]
    x = d.tensor(shape, d.type())
    if d.version < 13:
        return d.op, [x], 1, {"axes": sorted(axes) if d.version < 11 else axes}
    return d.op, [x, d.ints(axes)], 1, {}


@maker("Shape", "Size")
def shape_of(d):
    shape = d.shape()
    attributes = {}
    if d.op == "Shape" and d.version >= 15:
        attributes = {n: d.integer(-len(shape) - 1, len(shape) + 1) for n in ("start", "end") if d.chance(0.5)}
    return d.op, [d.tensor(shape, d.type())], 1, attributes


@maker("Slice")
def slice_of(d):
    shape = d.shape(ranks=(1, 5))
    param = "T"
    x = d.tensor(shape, d.type(param))
    axes = d.random.sample(range(len(shape)), d.integer(1, len(shape)))
    starts, ends, steps = [], [], []
    for a in axes:
        step = d.choice(1, 1, 1, 2, 3, -1, -2) if d.version >= 10 else 1
        low, high = d.integer(-shape[a] - 2, shape[a] + 2), d.integer(-shape[a] - 2, shape[a] + 2)
        if step < 0 and d.chance(0.4):
            low, high = d.choice(-1, 1 << 40), -(1 << 40)
        elif step > 0 and d.chance(0.3):
            low, high = 0, (1 << 31) - 1
        starts, ends, steps = starts + [low], ends + [high], steps + [step]
    named = d.chance(0.8) or axes != list(range(len(axes)))
    if d.version < 10:
        return d.op, [x], 1, {"starts": starts, "ends": ends, "axes": axes if named else None}
    axes = [a - len(shape) if d.version >= 11 and d.chance(0.3) else a for a in axes]
    of, fixed = d.choice("int64", "int64", "int32"), d.chance(0.7)
    if of == "int32":
        starts, ends = [[max(min(v, 2**31 - 1), -(2**31)) for v in part] for part in (starts, ends)]
    stepped = any(s != 1 for s in steps) or d.chance(0.4)
    last = [d.ints(axes, of, fixed) if named else ""] + ([d.ints(steps, of, fixed)] if stepped else [])
    while last and not last[-1]:
        last.pop()
    return d.op, [x, d.ints(starts, of, fixed), d.ints(ends, of, fixed), *last], 1, {}


@maker("Split")
def split(d):
    shape = d.shape(ranks=(1, 4), low=1)
    axis = d.axis(len(shape)) if d.version >= 11 else d.integer(0, len(shape) - 1)
    size, parts = shape[axis], d.integer(1, 4)
    x = d.tensor(shape, d.type())
    attributes = {"axis": axis}
    even = size % parts == 0 and d.chance(0.5)
    cuts = sorted(d.integer(0, size) for _ in range(parts - 1))
    sizes = [b - a for a, b in zip([0] + cuts, cuts + [size])]
    if d.version >= 18 and (even or d.chance(0.2)) and -(-size // parts) * (parts - 1) < size:
        return d.op, [x], parts, dict(attributes, num_outputs=parts)
    if even and d.version < 18:
        return d.op, [x], parts, attributes
    if d.version < 13:
        return d.op, [x], parts, dict(attributes, split=sizes)
    return d.op, [x, d.ints(sizes)], parts, attributes


@maker("Concat")
def concat(d):
    shape = d.shape(ranks=(1, 5), high=33)
    axis = d.axis(len(shape)) if d.version >= 11 else d.integer(0, len(shape) - 1)
    type, inputs = d.type(), []
    for _ in range(d.integer(1, 4)):
        mine = list(shape)
        mine[axis] = d.size(0, 17)
        inputs.append(d.tensor(mine, type))
    return d.op, inputs, 1, {"axis": axis}


@maker("Expand")
def expand(d):
    shape = d.shape(high=17)
    return d.op, [d.tensor(d.narrower(shape), d.type()), d.ints(shape)], 1, {}


@maker("Tile")
def tile(d):
    shape = d.shape(ranks=(1, 4), high=9)
    return d.op, [d.tensor(shape, d.type()), d.ints([d.integer(0 if d.chance(0.1) else 1, 3) for _ in shape])], 1, {}


@maker("Pad")
def pad(d):
    shape = d.shape(ranks=(1, 4), low=2, high=17)
    mode = d.choice("constant", "constant", "reflect", "edge", "wrap" if d.version >= 19 else "edge")
    type = d.type()
    if type == "bool" and d.version < 13:
        type = d.types["T"] = "float"
    x = d.tensor(shape, type)
    chosen = d.axes(len(shape), 1) if d.version >= 18 and d.chance(0.4) else None
    sizes = [shape[a] for a in chosen] if chosen else shape
    cut = -1 if mode == "constant" and d.chance(0.3) else 0
    pads = [d.integer(cut, min(s - 1, 4)) for s in sizes + sizes]
    if d.version < 11:
        return d.op, [x], 1, {"mode": mode, "pads": pads, "value": float(d.choice(0, 1.5))}
    inputs = [x, d.ints(pads)]
    value = d.chance(0.5)
    if value or chosen:
        inputs.append(d.put(d.array([], type)) if value else "")
    if chosen:
        inputs.append(d.ints(chosen, d.choice("int64", "int32")))
    return d.op, inputs, 1, {"mode": mode} if mode != "constant" or d.chance(0.5) else {}


@maker("DepthToSpace", "SpaceToDepth")
def depth_to_space(d):
    block, type = d.integer(1, 3), d.type()
    n, c, h, w = d.size(1, 3), d.size(1, 17), d.size(1, 9), d.size(1, 9)
    attributes = {"blocksize": block}
    if d.op == "DepthToSpace":
        if d.version >= 11 and d.chance(0.7):
            attributes["mode"] = d.choice("DCR", "CRD")
        return d.op, [d.tensor([n, c * block * block, h, w], type)], 1, attributes
    return d.op, [d.tensor([n, c, h * block, w * block], type)], 1, attributes


# --- by index ---


def indices(d, shape, size, type=None, negative=True):
    x = d.numbers.randint(-size if negative else 0, size, shape)
    return d.put(np.asarray(x).astype(dtype_of(type or d.choice("int64", "int64", "int32"))), d.chance(0.4))


@maker("Gather")
def gather(d):
    shape = d.shape(ranks=(1, 4), low=1)
    axis = d.axis(len(shape))
    return (
        d.op,
        [d.tensor(shape, d.type()), indices(d, d.shape(ranks=(0, 3), high=7), shape[axis], negative=d.version >= 11)],
        1,
        {"axis": axis},
    )


@maker("GatherElements")
def gather_elements(d):
    shape = d.shape(ranks=(1, 4), low=1)
    axis = d.axis(len(shape))
    wanted = [d.integer(1, s) for s in shape]
    wanted[axis] = d.integer(1, 9)
    return d.op, [d.tensor(shape, d.type()), indices(d, wanted, shape[axis])], 1, {"axis": axis}


@maker("GatherND")
def gather_nd(d):
    shape = d.shape(ranks=(1, 4), low=1, high=17)
    batch = d.integer(0, min(1, len(shape) - 1)) if d.version >= 12 else 0
    depth = d.integer(1, len(shape) - batch)
    lead = shape[:batch] + d.shape(ranks=(1, 2), low=1, high=5)
    of = np.stack([d.numbers.randint(-s, s, lead) for s in shape[batch : batch + depth]], -1)
    return d.op, [d.tensor(shape, d.type()), d.put(of.astype(np.int64))], 1, {"batch_dims": batch} if batch else {}


@maker("Scatter", "ScatterElements")
def scatter_elements(d):
    shape = d.shape(ranks=(1, 4), low=1, high=17)
    axis, type = d.axis(len(shape)), d.type()
    wanted = [d.integer(1, s) for s in shape]
    attributes = {"axis": axis}
    if d.op == "ScatterElements" and d.version >= 16 and type not in ("string", "bool") and d.chance(0.6):
        attributes["reduction"] = d.choice("add", "mul", *(("max", "min") if d.version >= 18 else ()))
    along = shape[axis]
    if "reduction" in attributes:
        of = d.numbers.randint(-along, along, wanted)
    else:  # each place once: which of several wins is not defined
        of = np.argsort(d.numbers.rand(*[along if i == axis % len(shape) else s for i, s in enumerate(wanted)]), axis)
        of = of[tuple(slice(0, s) for s in wanted)] - (along if d.version >= 11 and d.chance(0.3) else 0)
    d.special = False
    return (
        d.op,
        [d.tensor(shape, type), d.put(of.astype(d.choice(np.int64, np.int32))), d.tensor(wanted, type)],
        1,
        attributes,
    )


@maker("ScatterND")
def scatter_nd(d):
    shape = d.shape(ranks=(1, 4), low=1, high=9)
    depth, type = d.integer(1, len(shape)), d.type()
    places = int(np.prod(shape[:depth]))
    attributes = {}
    if d.version >= 16 and type not in ("string", "bool") and d.chance(0.6):
        attributes["reduction"] = d.choice("add", "mul", *(("max", "min") if d.version >= 18 else ()))
    count = d.integer(1, min(places, 6))
    flat = d.numbers.randint(0, places, count) if attributes else np.array(d.random.sample(range(places), count))
    of = np.stack(np.unravel_index(flat, shape[:depth]), -1).astype(np.int64)
    d.special = False
    return d.op, [d.tensor(shape, type), d.put(of), d.tensor([count] + shape[depth:], type)], 1, attributes


@maker("TensorScatter")
def tensor_scatter(d):
    shape = d.shape(ranks=(2, 4), low=1, high=9)
    axis = d.integer(1, len(shape) - 1)
    update, batch = list(shape), shape[0]
    update[axis] = d.integer(1, shape[axis])
    circular = d.chance(0.4)
    last = shape[axis] - 1 if circular else shape[axis] - update[axis]
    at = [d.put(d.numbers.randint(0, last + 1, batch).astype(np.int64))] if d.chance(0.8) else []
    attributes = {"axis": axis, "mode": "circular" if circular else "linear"}
    return d.op, [d.tensor(shape, d.type()), d.tensor(update, d.type()), *at], 1, attributes


@maker("OneHot")
def one_hot(d):
    d.special = False
    depth, shape = d.integer(1, 9), d.shape(ranks=(0, 3), high=7)
    type = d.type("T1")
    low = 0 if type.startswith("u") or d.version < 11 else -depth
    ids = d.tensor(shape, type, low, depth - 1)
    if type in FLOATS:
        ids = d.put(d.numbers.randint(low, depth, shape).astype(dtype_of(type)))
    of = d.type("T2", among=("int64", "int32", "float"))
    depth = d.ints(depth if d.version < 11 and d.chance(0) else [depth] if d.chance(0.5) else depth, of)
    return (
        d.op,
        [ids, depth, d.tensor([2], d.type("T3"))],
        1,
        {"axis": d.integer(-len(shape) - 1, len(shape))} if d.chance(0.6) else {},
    )


@maker("NonZero")
def non_zero(d):
    d.special = False
    return d.op, [d.tensor(d.shape(ranks=(1, 4)), d.type("T", without=("string",)), -1, 1)], 1, {}


@maker("Compress")
def compress(d):
    shape = d.shape(ranks=(1, 4), low=1)
    axis = d.axis(len(shape)) if d.version >= 11 else d.integer(0, len(shape) - 1)
    flat = d.chance(0.3)
    size = int(np.prod(shape)) if flat else shape[axis]
    return d.op, [d.tensor(shape, d.type()), d.tensor([d.integer(0, size)], "bool")], 1, {} if flat else {"axis": axis}


@maker("Unique")
def unique(d):
    d.special = False
    shape = d.shape(ranks=(1, 3), high=17, low=1)
    attributes = {"sorted": d.integer(0, 1)} if d.chance(0.7) else {}
    if d.chance(0.5):
        attributes["axis"] = d.axis(len(shape))
    outputs = d.integer(1, 4)
    return d.op, [d.tensor(shape, d.type(), -2, 2)], outputs, attributes


@maker("ReverseSequence")
def reverse_sequence(d):
    shape = d.shape(ranks=(2, 4), low=1, high=17)
    batch = d.integer(0, 1)
    lengths = d.numbers.randint(1, shape[1 - batch] + 1, shape[batch])
    return (
        d.op,
        [d.tensor(shape, d.type()), d.put(lengths.astype(np.int64))],
        1,
        {"batch_axis": batch, "time_axis": 1 - batch},
    )


@maker("Trilu")
def trilu(d):
    shape = d.shape(ranks=(2, 4), high=17)
    k = [d.ints(d.integer(-6, 6))] if d.chance(0.6) else []
    return d.op, [d.tensor(shape, d.type()), *k], 1, {"upper": d.integer(0, 1)} if d.chance(0.7) else {}


@maker("CenterCropPad")
def center_crop_pad(d):
    shape = d.shape(ranks=(1, 4), low=1, high=17)
    axes = d.axes(len(shape), 1) if d.chance(0.6) else None
    wanted = [d.integer(1, 12) for _ in axes or shape]
    return d.op, [d.tensor(shape, d.type()), d.ints(wanted, d.choice("int64", "int32"))], 1, {"axes": axes}


@maker("Trilu", "Pad", domain="com.microsoft")
def moves_of_microsoft(d):
    type = "float" if d.op == "Pad" else d.choice("float", "int64", "double")
    shape = d.shape(ranks=(2, 4), low=2, high=17)
    if d.op == "Trilu":
        return (
            d.op,
            [d.tensor(shape, type), *([d.ints(d.integer(-6, 6))] if d.chance(0.6) else [])],
            1,
            {"upper": d.integer(0, 1)},
        )
    mode = d.choice("constant", "reflect", "edge")
    pads = [d.integer(0, min(s - 1, 4)) for s in shape + shape]
    return (
        d.op,
        [d.tensor(shape, type), d.ints(pads), *([d.put(d.array([], type))] if d.chance(0.5) else [])],
        1,
        {"mode": mode},
    )
