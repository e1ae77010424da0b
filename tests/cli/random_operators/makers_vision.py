"""Makers of operators of vision, and of the newest layers: (operator, inputs, outputs, attributes)."""

import numpy as np

from draw import FLOATS, dtype_of, maker


@maker("Col2Im", sums=True, special=False)
def col_to_image(d):
    n = d.choice(1, 2, 2, 3)
    image, block = [d.integer(3, 7) for _ in range(n)], [d.integer(1, 3) for _ in range(n)]
    strides, dilations = [d.integer(1, 2) for _ in range(n)], [1] * n
    pads = [d.integer(0, 1) for _ in range(2 * n)]
    attributes = {"strides": strides, "pads": pads}
    if d.chance(0.3):
        attributes["dilations"] = dilations = [d.integer(1, 2) if image[i] > 4 else 1 for i in range(n)]
    places = 1
    for i in range(n):
        span = (block[i] - 1) * dilations[i] + 1
        places *= (image[i] + pads[i] + pads[n + i] - span) // strides[i] + 1
    x = d.tensor([d.integer(1, 2), d.integer(1, 4) * int(np.prod(block)), places], d.type("T", among=FLOATS))
    return d.op, [x, d.ints(image), d.ints(block)], 1, attributes


@maker("DeformConv", sums=True, special=False)
def deform_conv(d):
    type, size, kernel = d.type("T"), [d.integer(3, 7), d.integer(3, 7)], [d.integer(1, 3), d.integer(1, 3)]
    groups, parts, per, out = d.integer(1, 2), d.integer(1, 2), 2 * d.integer(1, 2), d.integer(1, 3)
    strides, pads = [d.integer(1, 2), d.integer(1, 2)], [d.integer(0, 1) for _ in range(4)]
    result = [(size[i] + pads[i] + pads[2 + i] - kernel[i]) // strides[i] + 1 for i in range(2)]
    batch, taps = d.integer(1, 2), kernel[0] * kernel[1]
    inputs = [d.tensor([batch, per * groups, *size], type), d.tensor([out * groups, per, *kernel], type, -1, 1)]
    inputs += [d.tensor([batch, parts * taps * 2, *result], type, -1.5, 1.5)]
    inputs += [d.tensor([out * groups], type) if d.chance(0.5) else ""]
    if d.chance(0.5):
        inputs.append(d.tensor([batch, parts * taps, *result], type, 0, 1))
    while not inputs[-1]:
        inputs.pop()
    return d.op, inputs, 1, {"strides": strides, "pads": pads, "group": groups, "offset_group": parts}


@maker("MaxUnpool", special=False)
def max_unpool(d):
    n = d.choice(1, 2, 2, 3)
    small, kernel = [d.integer(1, 4) for _ in range(n)], [d.integer(1, 3) for _ in range(n)]
    large = [s * k for s, k in zip(small, kernel)]
    lead, plane = [d.integer(1, 2), d.integer(1, 3)], int(np.prod(small))
    channels, whole = lead[0] * lead[1], int(np.prod(large))
    of = [c * whole + p for c in range(channels) for p in d.random.sample(range(whole), plane)]
    x = d.tensor(lead + small, d.type("T1"))
    at = d.put(np.array(of, np.int64).reshape(lead + small))
    more = [d.ints(lead + large)] if d.chance(0.3) else []
    return d.op, [x, at, *more], 1, {"kernel_shape": kernel, "strides": kernel}


def boxes(d, count, most):
    corner = d.numbers.uniform(0, most / 2, (count, 2))
    return np.concatenate([corner, corner + d.numbers.uniform(1, most / 2, (count, 2))], 1)


@maker("RoiAlign", sums=True, special=False)
def roi_align(d):
    type, batch, count = d.type("T1"), d.integer(1, 2), d.integer(1, 4)
    attributes = {"output_height": d.integer(1, 4), "output_width": d.integer(1, 4), "sampling_ratio": d.integer(0, 3)}
    attributes["spatial_scale"] = float(d.choice(1, 0.5))
    if d.chance(0.5):
        attributes["mode"] = d.choice("avg", "max")
    if d.version >= 16 and d.chance(0.6):
        attributes["coordinate_transformation_mode"] = d.choice("half_pixel", "output_half_pixel")
    x = d.tensor([batch, d.integer(1, 3), d.integer(4, 9), d.integer(4, 9)], type)
    rois = d.put(boxes(d, count, 8).astype(dtype_of(type)))
    return d.op, [x, rois, d.put(d.numbers.randint(0, batch, count).astype(np.int64))], 1, attributes


@maker("MaxRoiPool", special=False)
def max_roi_pool(d):
    type, batch, count = d.type("T"), d.integer(1, 2), d.integer(1, 4)
    x = d.tensor([batch, d.integer(1, 3), d.integer(4, 9), d.integer(4, 9)], type)
    of = np.concatenate([d.numbers.randint(0, batch, (count, 1)), np.round(boxes(d, count, 8))], 1)
    attributes = {"pooled_shape": [d.integer(1, 4), d.integer(1, 4)], "spatial_scale": float(d.choice(1, 0.5))}
    return d.op, [x, d.put(of.astype(dtype_of(type)))], 1, attributes


@maker("SwiGLU")
def swiglu(d):
    type, shape = d.type(), d.shape()
    return (
        d.op,
        [d.tensor(shape, type), d.tensor(shape, type)],
        1,
        {"alpha": d.choice(1.0, 1.7)} if d.chance(0.6) else {},
    )


@maker("LinearAttention", sums=True, special=False)
def linear_attention(d):
    type, rule = d.type("T"), d.choice("linear", "gated", "delta", "gated_delta")
    d.types["S"] = type
    batch, length, heads, groups = d.integer(1, 2), d.size(1, 9), d.integer(1, 2), d.integer(1, 2)
    keys, values = d.choice(2, 4, 8), d.choice(2, 3, 8)
    widths = (heads * groups * keys, heads * keys, heads * values)
    inputs = [d.tensor([batch, length, w], type, -0.5, 0.5) for w in widths]
    inputs.append(d.tensor([batch, heads, keys, values], type, -1, 1) if d.chance(0.5) else "")
    inputs.append(d.tensor([batch, length, heads * keys], type, -1, 0) if "gated" in rule else "")
    inputs.append(d.tensor([batch, length, heads], type, 0, 1) if "delta" in rule else "")
    while not inputs[-1]:
        inputs.pop()
    attributes = {"q_num_heads": heads * groups, "kv_num_heads": heads, "update_rule": rule}
    if d.chance(0.5):
        attributes["scale"] = 0.5
    return d.op, inputs, 2, attributes


@maker("CausalConvWithState", sums=True, special=False)
def causal_conv(d):
    type, channels, taps = d.type("T"), d.size(1, 17), d.integer(1, 4)
    batch, length = d.integer(1, 2), d.size(1, 17)
    inputs = [d.tensor([batch, channels, length], type), d.tensor([channels, 1, taps], type)]
    inputs.append(d.tensor([channels], type) if d.chance(0.5) else "")
    inputs.append(d.tensor([batch, channels, taps - 1], type) if d.chance(0.5) and taps > 1 else "")
    while not inputs[-1]:
        inputs.pop()
    return d.op, inputs, 2, {"activation": d.choice("none", "silu", "swish")} if d.chance(0.6) else {}
