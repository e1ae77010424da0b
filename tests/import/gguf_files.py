"""GGUF files of small models, for tests: write(path, keys, tensors), and models with random weights."""
import struct

import numpy as np

ALIGN = 32
# number: weights and bytes of a block
BLOCKS = {"F32": (0, 1, 4), "F16": (1, 1, 2), "BF16": (30, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20),
          "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110),
          "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "IQ4_NL": (20, 32, 18),
          "IQ4_XS": (23, 256, 136), "MXFP4": (39, 32, 17)}
# where halves lie in a block
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}
# what brings random weights of a format to about 0.1
SIZES = {"Q4_0": 0.02, "Q4_1": 0.02, "Q5_0": 0.01, "Q5_1": 0.01, "Q8_0": 0.001, "Q2_K": 0.004, "Q3_K": 0.002,
         "Q4_K": 0.0004, "Q5_K": 0.0002, "Q6_K": 0.00005, "IQ4_NL": 0.002, "IQ4_XS": 0.0001}


def text(s):
    data = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(data)) + data


def value(x):
    """Type and bytes of a Python value."""
    if isinstance(x, bool):
        return 7, struct.pack("<B", x)
    if isinstance(x, int):
        return 4, struct.pack("<I", x)
    if isinstance(x, float):
        return 6, struct.pack("<f", x)
    if isinstance(x, (str, bytes)):
        return 8, text(x)
    kind = value(x[0])[0]
    return 9, struct.pack("<IQ", kind, len(x)) + b"".join(value(y)[1] for y in x)


def write(path, keys, tensors):
    """tensors: {name: (format, shape, bytes)}"""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, x in keys.items():
        kind, data = value(x)
        out += text(name) + struct.pack("<I", kind) + data
    data = b""
    for name, (kind, shape, raw) in tensors.items():
        out += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        out += struct.pack("<IQ", BLOCKS[kind][0], len(data))
        data += raw + b"\0" * (-len(raw) % ALIGN)
    with open(path, "wb") as f:
        f.write(out + b"\0" * (-len(out) % ALIGN) + data)


def blocks(rng, kind, count, size=1.0):
    """Random blocks with scales such that weights are about 0.1 · size."""
    _, weights, width = BLOCKS[kind]
    if weights == 1:
        x = (rng.standard_normal(count) * 0.1 * size).astype(np.float32)
        if kind == "BF16":
            return (x.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        return x.astype(np.float16 if kind == "F16" else np.float32).tobytes()
    raw = rng.integers(0, 256, (count // weights, width), dtype=np.uint8)
    if kind == "MXFP4":
        raw[:, 0] = rng.integers(123, 126, len(raw))
    for i, at in enumerate(HALVES.get(kind, [])):
        d = (rng.uniform(0.5, 1.5, len(raw)) * SIZES[kind] * size * (-8 if i and kind.endswith("1") else 1))
        raw[:, at:at + 2] = d.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return raw.tobytes()


def byte_tokens():
    """Names of the 256 bytes in vocabularies over bytes."""
    seen = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    names, more = {b: chr(b) for b in seen}, 0
    for b in range(256):
        if b not in names:
            names[b] = chr(256 + more)
            more += 1
    return [names[b] for b in range(256)]


def tokenizer():
    """A vocabulary of 256 bytes, a merge and three control tokens: 260 ids."""
    tokens = byte_tokens() + ["th", "<|im_start|>", "<|im_end|>", "<|endoftext|>"]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [1] * 257 + [3] * 3, "tokenizer.ggml.merges": ["t h"],
            "tokenizer.ggml.eos_token_id": 258, "tokenizer.ggml.bos_token_id": 257,
            "tokenizer.ggml.add_bos_token": False}


def llama(path, kind, layers=2, width=256, heads=4, kv_heads=2, inner=512, seed=1, with_tokenizer=True, change=None):
    """A model of the family llama whose matrices are in blocks of `kind`, its table of tokens in Q8_0."""
    rng = np.random.default_rng(seed)
    head = width // heads
    keys = {"general.architecture": "llama", "llama.block_count": layers, "llama.context_length": 256,
            "llama.embedding_length": width, "llama.feed_forward_length": inner, "llama.attention.head_count": heads,
            "llama.attention.head_count_kv": kv_heads, "llama.attention.layer_norm_rms_epsilon": 1e-5,
            "llama.rope.freq_base": 10000.0}
    if with_tokenizer:
        keys.update(tokenizer())
    tensors = {}

    def add(name, shape, kind, size=1.0):
        tensors[name] = (kind, shape, blocks(rng, kind, int(np.prod(shape)), size))

    def norm(name):
        tensors[name] = ("F32", [width], rng.uniform(0.5, 1.5, width).astype(np.float32).tobytes())

    add("token_embd.weight", [260, width], "Q8_0", 5)
    norm("output_norm.weight")
    for i in range(layers):
        norm(f"blk.{i}.attn_norm.weight")
        norm(f"blk.{i}.ffn_norm.weight")
        for name, shape in {"attn_q": [width, width], "attn_k": [kv_heads * head, width],
                            "attn_v": [kv_heads * head, width], "attn_output": [width, width],
                            "ffn_gate": [inner, width], "ffn_up": [inner, width], "ffn_down": [width, inner]}.items():
            add(f"blk.{i}.{name}.weight", shape, kind)
    if change:
        change(keys, tensors)
    write(path, keys, tensors)
