"""Makers of layers of neural networks: (operator, inputs, outputs, attributes)."""

import numpy as np

from draw import FLOATS, dtype_of, maker


def window(d, size, kernel, dilations=True, ceil=False):
    """Attributes of a window over axes of sizes `size`, drawn so that the output is not empty."""
    n = len(size)
    attributes = {}
    if d.chance(0.6):
        attributes["strides"] = [d.integer(1, 3) for _ in range(n)]
    if dilations and d.chance(0.4):
        attributes["dilations"] = [d.integer(1, 3) for _ in range(n)]
    spans = [(k - 1) * r + 1 for k, r in zip(kernel, attributes.get("dilations", [1] * n))]
    how = d.choice("", "", "NOTSET", "pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID")
    if how == "pads":
        attributes["pads"] = [d.integer(0, min(k - 1, 3)) for k in kernel + kernel]
    elif how:
        attributes["auto_pad"] = how
    if how.startswith("SAME") and "dilations" in attributes:
        attributes["dilations"], spans = [1] * n, list(kernel)
    if ceil and d.chance(0.4):
        attributes["ceil_mode"] = d.integer(0, 1)
    for i in range(n):  # large enough for a window
        size[i] = max(size[i], spans[i])
    return attributes


def spatial(d, most=20):
    n = d.choice(1, 2, 2, 2, 3)
    limit = most if n < 3 else 8
    return [d.integer(1, limit) for _ in range(n)]


@maker("Conv", sums=True)
def conv(d):
    d.special = d.special and d.chance(0.3)
    type, size = d.type(), spatial(d)
    kernel = [d.integer(1, d.choice(1, 3, 3, 5)) for _ in size]
    attributes = window(d, size, kernel)
    groups = d.choice(1, 1, 2, 3, d.size(1, 17))
    per, out = d.choice((1, 1), (d.integer(1, 5), d.integer(1, 5)), (1, 2), (d.size(1, 17), d.size(1, 33)))
    if groups == 1:
        per, out = d.size(1, 17), d.size(1, 33)
    elif per * groups > 40:
        per, out = 1, d.integer(1, 2)
    if groups > 1 or d.chance(0.2):
        attributes["group"] = groups
    if d.chance(0.6):
        attributes["kernel_shape"] = kernel
    x = d.tensor([d.choice(1, 1, 2, 3), per * groups, *size], type, -2, 2)
    w = d.tensor([out * groups, per, *kernel], type, -1, 1, True if d.chance(0.6) else None)
    return d.op, [x, w] + ([d.tensor([out * groups], type)] if d.chance(0.6) else []), 1, attributes


@maker("ConvTranspose", sums=True, special=False)
def conv_transpose(d):
    type, size = d.type(), spatial(d, 12)
    n = len(size)
    kernel = [d.integer(1, 4) for _ in size]
    groups, per, out = d.choice(1, 1, 2, 3), d.integer(1, 5), d.integer(1, 5)
    attributes = {"group": groups} if groups > 1 else {}
    strides = [d.integer(1, 3) for _ in size]
    if d.chance(0.7):
        attributes["strides"] = strides
    else:
        strides = [1] * n
    if d.chance(0.3):
        attributes["dilations"] = [d.integer(1, 2) for _ in size]
    if d.chance(0.4):
        attributes["kernel_shape"] = kernel
    how = d.choice("", "", "pads", "SAME_UPPER", "SAME_LOWER", "VALID", "shape")
    spans = [(k - 1) * r + 1 for k, r in zip(kernel, attributes.get("dilations", [1] * n))]
    whole = [(s - 1) * t + k for s, t, k in zip(size, strides, spans)]
    if how == "pads":
        attributes["pads"] = [d.integer(0, min(1, (w - 1) // 2)) for w in whole + whole]
    elif how == "shape":
        attributes["output_shape"] = [d.integer(max(1, w - 2), w) for w in whole]
    elif how:
        attributes["auto_pad"] = how
    if how in ("", "pads") and d.chance(0.4):
        attributes["output_padding"] = [d.integer(0, t - 1) for t in strides]
    x = d.tensor([d.integer(1, 2), per * groups, *size], type, -2, 2)
    w = d.tensor([per * groups, out, *kernel], type, -1, 1)
    return d.op, [x, w] + ([d.tensor([out * groups], type)] if d.chance(0.6) else []), 1, attributes


@maker("MaxPool", "AveragePool", "LpPool", sums=True)
def pool(d):
    type, size = d.type(), spatial(d)
    d.special = False  # whether the largest of numbers and NaN is NaN, nobody says
    kernel = [d.integer(1, 4) for _ in size]
    dilated = (
        d.op == "MaxPool"
        and d.version >= 10
        or d.op == "AveragePool"
        and d.version >= 19
        or d.version >= 18
        and d.op == "LpPool"
    )
    ceil = d.version >= 10 and d.op != "LpPool" or d.version >= 18
    attributes = dict(window(d, size, kernel, dilated, ceil), kernel_shape=kernel)
    outputs = 1
    if d.op == "AveragePool" and d.version >= 7 and d.chance(0.5):
        attributes["count_include_pad"] = d.integer(0, 1)
    if d.op == "LpPool" and d.chance(0.6):
        attributes["p"] = d.integer(1, 3)
    if d.op == "MaxPool" and d.version >= 8:
        outputs = d.integer(1, 2)
        if d.chance(0.3):
            attributes["storage_order"] = d.integer(0, 1)
    return d.op, [d.tensor([d.integer(1, 2), d.size(1, 17), *size], type)], outputs, attributes


@maker("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", sums=True, special=False)
def global_pool(d):
    attributes = {"p": d.integer(1, 3)} if d.op == "GlobalLpPool" and d.chance(0.6) else {}
    return d.op, [d.tensor([d.integer(1, 3), d.size(1, 33), *spatial(d)], d.type())], 1, attributes


@maker("LRN", sums=True, special=False)
def lrn(d):
    attributes = {
        n: float(v) for n, v in (("alpha", 0.001), ("beta", d.choice(0.75, 0.5, 1.0)), ("bias", 2.0)) if d.chance(0.5)
    }
    shape = [d.integer(1, 2), d.size(1, 33), d.size(1, 9), d.size(1, 9)]
    return d.op, [d.tensor(shape, d.type())], 1, dict(attributes, size=d.choice(1, 3, 5, 7))


# --- normalizations ---


@maker("BatchNormalization", sums=True, special=False)
def batch_normalization(d):
    c = d.size(1, 33)
    shape = [d.size(1, 5), c, *d.shape(ranks=(0, 3), low=1, high=9)]
    type = d.type("T")
    second = d.type("T1") if d.version >= 15 else type
    third = d.type("T2") if d.version >= 15 else d.type("U") if d.version >= 14 else type
    inputs = [
        d.tensor(shape, type),
        d.tensor([c], second),
        d.tensor([c], second),
        d.tensor([c], third),
        d.put(d.array([c], third, 0.2, 3)),
    ]
    attributes = {"epsilon": float(d.choice(1e-5, 1e-3, 0.1))} if d.chance(0.5) else {}
    if d.chance(0.3):
        attributes["momentum"] = 0.8
    if d.version >= 14 and d.chance(0.2):
        return d.op, inputs, 3, dict(attributes, training_mode=1)
    return d.op, inputs, 1, attributes


@maker("InstanceNormalization", "GroupNormalization", sums=True, special=False)
def group_normalization(d):
    groups = d.integer(1, 4)
    c = groups * d.integer(1, 5)
    type = d.type()
    shape = [d.integer(1, 3), c, *d.shape(ranks=(1, 3), low=2, high=9)]
    attributes = {"epsilon": float(d.choice(1e-5, 1e-3, 0.1))} if d.chance(0.6) else {}
    of = [groups] if d.op == "GroupNormalization" and d.version < 21 else [c]
    if d.op == "GroupNormalization":
        attributes["num_groups"] = groups
    return d.op, [d.tensor(shape, type), d.tensor(of, type), d.tensor(of, type)], 1, attributes


@maker("LayerNormalization", "RMSNormalization", sums=True, special=False)
def layer_normalization(d):
    shape = d.shape(ranks=(1, 4), low=1)
    axis = d.axis(len(shape))
    named = d.chance(0.7)
    shape[-1] = max(shape[-1], 2)
    rest = shape[axis if named else -1 :]
    type = d.type("T")
    attributes = {"axis": axis} if named else {}
    if d.chance(0.5):
        attributes["epsilon"] = float(d.choice(1e-5, 1e-3, 0.1))
    inputs = [d.tensor(shape, type)]
    if d.op == "RMSNormalization":  # of one type: the judges can't do with two
        return d.op, inputs + [d.tensor(d.choice(rest, d.narrower(rest)), type)], 1, attributes
    inputs += [d.tensor(rest, type)] + ([d.tensor(rest, type)] if d.chance(0.6) else [])
    return d.op, inputs, d.choice(1, 1, 1, 3), attributes


@maker("Dropout")
def dropout(d):
    type, shape = d.type("T", among=FLOATS), d.shape()
    outputs = d.integer(1, 2) if d.version >= 10 else 1
    if d.version < 12:
        return d.op, [d.tensor(shape, type)], outputs, {"ratio": 0.3}
    inputs = [d.tensor(shape, type)]
    if d.chance(0.5):
        d.special = False
        inputs.append(d.put(d.array([], d.type("T1"), 0.1, 0.9)))
        if d.chance(0.5):
            inputs.append(d.put(np.array(False)))
    return d.op, inputs, outputs, {}


# --- losses ---


@maker("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss", sums=True, special=False)
def loss(d):
    c, type = d.size(2, 17), d.type()
    rest = d.shape(ranks=(0, 2), low=1, high=7)
    n = d.size(1, 17)
    labels = d.numbers.randint(0, c, [n, *rest])
    attributes = {"reduction": d.choice("none", "sum", "mean")} if d.chance(0.8) else {}
    if d.chance(0.4):
        attributes["ignore_index"] = d.choice(0, c - 1, -1)
        if attributes["ignore_index"] < 0:
            labels.reshape(-1)[0] = -1
    of = d.type("Tind")
    scores = d.tensor([n, c, *rest], type)
    inputs = [scores, d.put(labels.astype(dtype_of(of)))]
    if d.chance(0.4):
        inputs.append(d.put(d.array([c], type, 0.2, 2)))
    outputs = d.integer(1, 2) if d.op == "SoftmaxCrossEntropyLoss" else 1
    return d.op, inputs, outputs, attributes


# --- sampling ---


@maker("Resize", sums=True, special=False)
def resize(d):
    n = d.choice(1, 2, 2, 3)
    size = [d.integer(1, 9) for _ in range(n)]
    lead = [d.integer(1, 2), d.integer(1, 5)] if d.chance(0.8) else []
    shape = lead + size
    mode = d.choice("nearest", "linear", "cubic") if d.version >= 11 else d.choice("nearest", "linear")
    if mode == "cubic":
        shape, lead, size, n = [1, 2, d.integer(2, 9), d.integer(2, 9)], [1, 2], None, 2
    attributes = {"mode": mode} if mode != "nearest" or d.chance(0.5) else {}
    type = d.type(
        "T1" if d.version >= 11 else "T",
        among=("float", "double", "float16", "uint8", "int8", "int32") if mode == "nearest" else FLOATS,
    )
    factors = [1.0] * len(lead) + [float(d.choice(1, 2, 0.5, 1.5, 3, 0.75)) for _ in range(n)]
    factors = [f if int(np.floor(s * f)) else 1.0 for s, f in zip(shape, factors)]
    x = d.tensor(shape, type)
    if d.version < 11:
        return d.op, [x, d.put(np.array(factors, np.float32), True)], 1, attributes
    how = d.choice(
        "half_pixel",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        *(("half_pixel_symmetric",) if d.version >= 19 else ()),
        *(("tf_crop_and_resize",) if mode != "cubic" else ()),
    )
    if how != "half_pixel" or d.chance(0.3):
        attributes["coordinate_transformation_mode"] = how
    if mode == "nearest" and d.chance(0.6):
        attributes["nearest_mode"] = d.choice("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if mode == "cubic":
        attributes["cubic_coeff_a"] = d.choice(-0.75, -0.5)
        attributes["exclude_outside"] = d.integer(0, 1)
    if mode != "nearest" and d.version >= 18 and d.chance(0.3) and how != "tf_crop_and_resize":
        attributes["antialias"] = 1
    roi, rank = "", len(shape)
    if how == "tf_crop_and_resize":
        roi = d.put(
            np.array(
                [0.0] * len(lead) + [d.choice(0.0, 0.2)] * n + [1.0] * len(lead) + [d.choice(1.0, 0.8, 1.3)] * n,
                np.float32,
            ),
            True,
        )
        attributes["extrapolation_value"] = float(d.choice(0, 7))
    elif d.version < 13:
        roi = d.put(np.zeros(0, np.float32), True)
    if d.chance(0.4):
        sizes = [max(1, int(s * f)) for s, f in zip(shape, factors)]
        if d.version >= 18 and d.chance(0.4) and how != "tf_crop_and_resize":
            attributes["axes"] = list(range(len(lead), rank))
            sizes = sizes[len(lead) :]
            if d.chance(0.5):
                attributes["keep_aspect_ratio_policy"] = d.choice("stretch", "not_larger", "not_smaller")
        scales = d.put(np.zeros(0, np.float32), True) if d.version < 13 else ""
        return d.op, [x, roi, scales, d.ints(sizes)], 1, attributes
    return d.op, [x, roi, d.put(np.array(factors, np.float32), d.chance(0.7))], 1, attributes


@maker("Upsample", special=False)
def upsample(d):
    shape = [1, d.integer(1, 4), d.integer(1, 9), d.integer(1, 9)]
    factors = [1.0, 1.0, float(d.integer(1, 3)), float(d.integer(1, 3))]
    mode = d.choice("nearest", "linear")
    x = d.tensor(
        shape, d.type("T", among=("float", "double", "float16", "int32", "uint8") if mode == "nearest" else FLOATS)
    )
    if d.version < 9:
        return d.op, [x], 1, {"mode": mode, "scales": factors}
    return d.op, [x, d.put(np.array(factors, np.float32), True)], 1, {"mode": mode}


@maker("GridSample", sums=True, special=False)
def grid_sample(d):
    n = 2 if d.version < 20 else d.choice(2, 2, 3)
    size, out = [d.integer(2, 7) for _ in range(n)], [d.integer(1, 7) for _ in range(n)]
    modes = (
        ("bilinear", "nearest", "bicubic") if d.version < 20 else ("linear", "nearest", *(("cubic",) if n == 2 else ()))
    )
    attributes = {"mode": d.choice(*modes)} if d.chance(0.8) else {}
    if d.chance(0.7):
        attributes["padding_mode"] = d.choice("zeros", "border", "reflection")
    if d.chance(0.6):
        attributes["align_corners"] = d.integer(0, 1)
    batch = d.integer(1, 2)
    x = d.tensor([batch, d.integer(1, 4), *size], d.type("T1", among=FLOATS))
    return (
        d.op,
        [x, d.tensor([batch, *out, n], d.type("T2") if d.types["T1"] == "double" else "float", -1.3, 1.3)],
        1,
        attributes,
    )


@maker("AffineGrid", sums=True, special=False)
def affine_grid(d):
    n, batch = d.choice(2, 3), d.integer(1, 3)
    theta = d.tensor([batch, n, n + 1], d.type("T1"), -1, 1)
    size = [batch, d.integer(1, 3)] + [d.integer(2, 6) for _ in range(n)]
    return d.op, [theta, d.ints(size)], 1, {"align_corners": d.integer(0, 1)} if d.chance(0.7) else {}


# --- recurrent layers ---


@maker("RNN", "GRU", "LSTM", sums=True, special=False)
def recurrent(d):
    type = d.type("T")
    length, batch, wide, hidden = d.size(1, 7), d.size(1, 9), d.size(1, 17), d.size(1, 17)
    direction = d.choice("forward", "reverse", "bidirectional")
    k = 2 if direction == "bidirectional" else 1
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[d.op]
    first = d.version >= 14 and d.chance(0.2)
    attributes = {"hidden_size": hidden}
    if direction != "forward" or d.chance(0.5):
        attributes["direction"] = direction
    if first:
        attributes["layout"] = 1
    each = {"RNN": 1, "GRU": 2, "LSTM": 3}[d.op]
    if d.chance(0.4):
        of = [d.choice("Tanh", "Sigmoid", "Relu", "HardSigmoid", "Softsign") for _ in range(each * k)]
        attributes["activations"] = of
    if d.chance(0.2):
        attributes["clip"] = 0.7
    if d.op == "GRU" and d.chance(0.5):
        attributes["linear_before_reset"] = d.integer(0, 1)
    if d.op == "LSTM" and d.chance(0.2):
        attributes["input_forget"] = 1
    x = d.tensor([batch, length, wide] if first else [length, batch, wide], type, -1, 1)
    w = d.tensor([k, gates * hidden, wide], type, -0.5, 0.5)
    r = d.tensor([k, gates * hidden, hidden], type, -0.5, 0.5)
    state = [batch, k, hidden] if first else [k, batch, hidden]
    more = [d.tensor([k, 2 * gates * hidden], type, -0.5, 0.5) if d.chance(0.6) else ""]
    more.append(d.put(d.numbers.randint(1, length + 1, batch).astype(np.int32)) if d.chance(0.4) else "")
    more.append(d.tensor(state, type, -1, 1) if d.chance(0.5) else "")
    if d.op == "LSTM":
        more.append(d.tensor(state, type, -1, 1) if d.chance(0.5) else "")
        more.append(d.tensor([k, 3 * hidden], type, -0.5, 0.5) if d.chance(0.3) else "")
    while more and not more[-1]:
        more.pop()
    count = 3 if d.op == "LSTM" else 2
    outputs = [d.fresh("v") if d.chance(0.75) else "" for _ in range(count)]
    while outputs and not outputs[-1]:
        outputs.pop()
    return d.op, [x, w, r, *more], outputs or [d.fresh("v")], attributes


# --- attention ---


@maker("Attention", sums=True, special=False)
def attention(d):
    type = d.type("T1")
    batch, heads, groups = d.integer(1, 2), d.integer(1, 3), d.integer(1, 2)
    queries, keys, size, values = d.size(1, 9), d.size(1, 17), d.choice(2, 4, 8, 16), d.choice(2, 4, 8, 3)
    past = d.choice(0, 0, 3) if d.chance(0.5) else 0
    flat = d.chance(0.4)
    attributes = {}
    if d.chance(0.4):
        attributes["is_causal"] = d.integer(0, 1)
    if d.chance(0.3):
        attributes["scale"] = 0.3
    if d.chance(0.3):
        attributes["softcap"] = float(d.choice(0, 5))
    shapes = [(heads * groups, queries, size), (heads, keys, size), (heads, keys, values)]
    if flat:
        attributes.update(q_num_heads=heads * groups, kv_num_heads=heads)
        inputs = [d.tensor([batch, rows, h * n], type, -1, 1) for h, rows, n in shapes]
    else:
        inputs = [d.tensor([batch, h, rows, n], type, -1, 1) for h, rows, n in shapes]
    more = [""]
    if d.chance(0.5):
        of = d.choice("bool", type)
        mask = d.array(d.choice([queries, keys + past], [batch, 1, queries, keys + past]), of, -3, 0)
        if of == "bool":
            mask[..., 0] = True
        more = [d.put(mask)]
    if past:
        more += [d.tensor([batch, heads, past, size], type, -1, 1), d.tensor([batch, heads, past, values], type, -1, 1)]
    while more and not more[-1]:
        more.pop()
    return d.op, inputs + more, 3 if past else 1, attributes


@maker("RotaryEmbedding", sums=True, special=False)
def rotary(d):
    type = d.type("T")
    batch, heads, length, size = d.integer(1, 2), d.integer(1, 3), d.integer(1, 6), d.choice(4, 8, 16)
    attributes = {"interleaved": d.integer(0, 1)} if d.chance(0.6) else {}
    turned = size
    if d.chance(0.3):
        turned = attributes["rotary_embedding_dim"] = size // 2
    flat = d.chance(0.4)
    if flat:
        attributes["num_heads"] = heads
    x = d.tensor([batch, length, heads * size] if flat else [batch, heads, length, size], type)
    angles = [batch, length, turned // 2]
    if d.chance(0.6):
        most = length + 3
        return d.op, [x, d.tensor([most, turned // 2], type, -1, 1), d.tensor([most, turned // 2], type, -1, 1),
                      d.put(d.numbers.randint(0, most, (batch, length)).astype(np.int64))], 1, attributes  # fmt: skip
    return d.op, [x, d.tensor(angles, type, -1, 1), d.tensor(angles, type, -1, 1)], 1, attributes


@maker("NonMaxSuppression", special=False)
def non_max_suppression(d):
    batch, classes, boxes = d.integer(1, 2), d.integer(1, 3), d.integer(1, 17)
    corner = d.numbers.uniform(0, 1, (batch, boxes, 2))
    size = d.numbers.uniform(0.1, 0.6, (batch, boxes, 2))
    center = d.integer(0, 1)
    x = np.concatenate([corner, size if center else corner + size], -1).astype(np.float32)
    inputs = [d.put(x), d.put(d.numbers.rand(batch, classes, boxes).astype(np.float32))]
    inputs += [d.ints([d.integer(1, 9)]), d.put(np.array([0.4], np.float32)), d.put(np.array([0.3], np.float32))][
        : d.integer(1, 3)
    ]
    return d.op, inputs, 1, {"center_point_box": center}
