"""Makers of ONNX Runtime's attention, embeddings and quantized weights: (operator, inputs, outputs,
attributes)."""

import numpy as np

from draw import maker


def trimmed(inputs):
    while inputs and not inputs[-1]:
        inputs.pop()
    return inputs


@maker("Attention", domain="com.microsoft", sums=True, special=False)
def attention(d):
    batch, length, heads, size = d.integer(1, 2), d.size(1, 9), d.integer(1, 3), d.choice(2, 4, 8)
    wide, hidden = d.size(1, 17), heads * size
    inputs = [d.tensor([batch, length, wide], "float", -1, 1), d.tensor([wide, 3 * hidden], "float", -0.5, 0.5)]
    inputs.append(d.tensor([3 * hidden], "float", -0.5, 0.5) if d.chance(0.7) else "")
    if d.chance(0.4):
        inputs.append(d.put(d.numbers.randint(1, length + 1, batch).astype(np.int32)))
    attributes = {"num_heads": heads}
    if d.chance(0.4):
        attributes["unidirectional"] = d.integer(0, 1)
    if d.chance(0.3):
        attributes["scale"] = 0.3
    return d.op, trimmed(inputs), 1, attributes


@maker("MultiHeadAttention", domain="com.microsoft", sums=True, special=False)
def multi_head(d):
    batch, queries, keys = d.integer(1, 2), d.size(1, 9), d.size(1, 9)
    heads, size = d.integer(1, 3), d.choice(2, 4, 8)
    hidden = heads * size
    inputs = [d.tensor([batch, n, hidden], "float", -1, 1) for n in (queries, keys, keys)]
    inputs.append(d.tensor([3 * hidden], "float", -0.5, 0.5) if d.chance(0.4) else "")
    inputs.append(d.put(d.numbers.randint(1, keys + 1, batch).astype(np.int32)) if d.chance(0.3) else "")
    inputs.append(
        d.tensor([d.choice(1, batch), d.choice(1, heads), queries, keys], "float", -1, 1) if d.chance(0.4) else ""
    )
    attributes = {"num_heads": heads}
    if d.chance(0.3):
        attributes["scale"] = 0.3
    if d.chance(0.3) and queries == keys:  # else the last row of ONNX Runtime sees all
        attributes["unidirectional"] = d.integer(0, 1)
    return d.op, trimmed(inputs), 1, attributes


@maker("GroupQueryAttention", domain="com.microsoft", sums=True, special=False)
def group_query(d):
    batch, length, heads, groups, size = (
        d.integer(1, 2),
        d.size(1, 7),
        d.integer(1, 2),
        d.integer(1, 3),
        d.choice(16, 32),
    )
    past = d.choice(0, 4)
    if past:
        length = 1
    inputs = [d.tensor([batch, length, h * size], "float", -1, 1) for h in (heads * groups, heads, heads)]
    cache = [d.put(d.array([batch, heads, past, size], "float", -1, 1)) for _ in range(2)] if past else ["", ""]
    total = past + length
    inputs += [*cache, d.put(np.full(batch, total - 1, np.int32)), d.put(np.array(total, np.int32))]
    attributes = {"num_heads": heads * groups, "kv_num_heads": heads}
    if d.chance(0.5):
        attributes.update(do_rotary=1, rotary_interleaved=d.integer(0, 1))
        inputs += [d.put(d.array([total + 2, size // 2], "float", -1, 1)) for _ in range(2)]
    if d.chance(0.3):
        attributes["local_window_size"] = d.integer(1, 4)
    if d.chance(0.3):
        attributes["softcap"] = 5.0
    return d.op, inputs, 3, attributes


@maker("QAttention", domain="com.microsoft", sums=True, special=False)
def quantized_attention(d):
    batch, length, heads, size = d.integer(1, 2), d.size(1, 9), d.integer(1, 3), d.choice(2, 4, 8)
    wide, hidden = d.size(1, 17), heads * size
    inputs = [
        d.put(d.array([batch, length, wide], "uint8", 0, 255)),
        d.put(d.array([wide, 3 * hidden], "int8", -63, 63)),
    ]
    inputs += [d.put(d.array([3 * hidden], "float", -0.5, 0.5)), d.put(np.float32(0.01)), d.put(np.float32(0.01))]
    inputs += [d.put(d.numbers.randint(1, length + 1, batch).astype(np.int32)) if d.chance(0.3) else ""]
    inputs += [d.put(np.uint8(128)), d.put(np.int8(0))]
    return d.op, inputs, 1, {"num_heads": heads, "unidirectional": d.integer(0, 1)}


@maker("EmbedLayerNormalization", domain="com.microsoft", sums=True, special=False)
def embed(d):
    batch, length, hidden, words = d.integer(1, 3), d.size(1, 9), d.size(2, 33), d.integer(2, 9)
    ids = lambda n: d.put(d.numbers.randint(0, n, (batch, length)).astype(np.int32))  # noqa: E731
    segments = d.chance(0.6)
    inputs = [
        ids(words),
        ids(2) if segments else "",
        d.tensor([words, hidden], "float"),
        d.tensor([length + 2, hidden], "float"),
    ]
    inputs += [
        d.tensor([2, hidden], "float") if segments else "",
        d.tensor([hidden], "float"),
        d.tensor([hidden], "float"),
    ]
    if d.chance(0.4):
        inputs.append(ids(2))
    return d.op, inputs, 2, {"epsilon": 1e-5} if d.chance(0.5) else {}


@maker("GatherBlockQuantized", domain="com.microsoft", special=False)
def gather_block_quantized(d):
    rows, columns, block = d.size(1, 9), d.size(16, 65), d.choice(16, 32)
    type = d.choice("int4", "uint4")
    blocks = -(-columns // block)
    inputs = [d.put(d.array([rows, columns], type, -8, 15), True)]
    inputs.append(
        d.put(d.numbers.randint(-rows, rows, d.shape(ranks=(0, 2), low=1, high=5)).astype(d.choice(np.int64, np.int32)))
    )
    inputs.append(d.put(d.array([rows, blocks], "float", 0.01, 0.1), True))
    if d.chance(0.5):
        inputs.append(d.put(d.array([rows, blocks], type, 0, 3), True))
    return d.op, inputs, 1, {"gather_axis": 0, "quantize_axis": 1, "block_size": block}


@maker("DynamicQuantizeLSTM", domain="com.microsoft", sums=True, special=False)
def quantized_lstm(d):
    length, batch, wide, hidden = d.size(1, 5), d.size(1, 4), d.size(1, 9), d.size(1, 9)
    k = d.integer(1, 2)
    kind = d.choice("int8", "uint8")
    inputs = [d.put(d.array([length, batch, wide], "float", -1, 1))]
    inputs += [d.put(d.array([k, n, 4 * hidden], kind, -63, 63), True) for n in (wide, hidden)]
    inputs += [d.put(d.array([k, 8 * hidden], "float", -0.5, 0.5)) if d.chance(0.6) else "", "", "", "", ""]
    for _ in range(2):
        inputs += [d.put(d.array([k], "float", 0.005, 0.01), True), d.put(d.array([k], kind, 0, 3), True)]
    return (
        d.op,
        inputs,
        3,
        {"hidden_size": hidden, "direction": "bidirectional" if k > 1 else d.choice("forward", "reverse")},
    )
