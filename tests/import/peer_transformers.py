#!/usr/bin/env python3
"""Hugging Face directories against transformers: small random models of each family, their logits at each position, token by
token and all at once. Wants torch and transformers; exits with 77 where they are not there."""
import ctypes
import os
import sys

import numpy as np

try:
    import torch
    import transformers as tf
except ImportError as e:
    print(e)
    sys.exit(77)

LIBRARY = ctypes.CDLL(os.path.join(os.environ["HONE_BUILD"], "libhone.so"))
LIBRARY.hone_import_take_graph.restype = ctypes.c_void_p
LIBRARY.hone_lm_vocabulary.restype = ctypes.c_int64
passed = failed = 0


class Refused(Exception):
    pass


def call(name, *args):
    err = ctypes.create_string_buffer(1 << 16)
    if getattr(LIBRARY, name)(*args, err):
        raise Refused(bytes(err).replace(b"\0", b" ").decode(errors="replace").strip()[:300])


class Model:
    def __init__(self, path):
        m, self.lm, self.sequence = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        call("hone_import_open", path.encode(), None, ctypes.byref(m))
        graph = ctypes.c_void_p(LIBRARY.hone_import_take_graph(m))
        LIBRARY.hone_import_free(m)
        call("hone_lm_create", graph, None, ctypes.byref(self.lm))
        call("hone_lm_sequence_new", self.lm, ctypes.byref(self.sequence))
        self.vocabulary = LIBRARY.hone_lm_vocabulary(self.lm)

    def feed(self, ids):
        out = ctypes.POINTER(ctypes.c_float)()
        array = (ctypes.c_int32 * len(ids))(*ids)
        call("hone_lm_feed", self.sequence, array, ctypes.c_size_t(len(ids)), ctypes.byref(out))
        return np.ctypeslib.as_array(out, (self.vocabulary,)).copy()

    def close(self):
        LIBRARY.hone_lm_sequence_free(self.sequence)
        LIBRARY.hone_lm_free(self.lm)


def check(name, config, dtype=torch.float32, **save):
    global passed, failed
    torch.manual_seed(5)
    model = tf.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * (0.3 if p.dim() == 1 else 0.15) + (1 if "norm" in key and not (
                "gemma" in name) and key.endswith("weight") else 0))
    model = model.to(dtype)
    model.save_pretrained(name, **save)
    if dtype != torch.float32:  # what is computed once, as angles are, is not to be rounded
        model = tf.AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, attn_implementation="eager").eval()
    ids = np.random.default_rng(3).integers(0, config.vocab_size, 90).tolist()
    with torch.no_grad():
        want = model(torch.tensor([ids])).logits[0].float().numpy()
    try:
        m = Model(name)
    except Refused as e:
        failed += 1
        print("FAILED:", name, e)
        return
    size, worst = np.abs(want).max(), 0.0
    steps = list(range(1, 25)) + [60, 61, 90]
    for n in steps:
        worst = max(worst, np.abs(m.feed(ids[:n]) - want[n - 1]).max() / size)
    m.close()
    good = worst < 1e-4
    passed, failed = passed + good, failed + (not good)
    print("ok" if good else "FAILED:", name, f"{worst:.2e} of {size:.3g}", flush=True)


SMALL = dict(vocab_size=131, hidden_size=64, intermediate_size=112, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, pad_token_id=None, bos_token_id=1, eos_token_id=2)


def run():
    check("llama", tf.LlamaConfig(**SMALL, tie_word_embeddings=False))
    check("llama-bf16", tf.LlamaConfig(**SMALL, tie_word_embeddings=True), dtype=torch.bfloat16)
    check("llama-parts", tf.LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True), max_shard_size="100KB")
    check("llama3", tf.LlamaConfig(**SMALL, rope_parameters={
        "rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64}))
    check("llama-linear", tf.LlamaConfig(**SMALL, rope_parameters={"rope_type": "linear", "factor": 2.0,
                                                                   "rope_theta": 5000.0}))
    check("llama-yarn", tf.LlamaConfig(**SMALL, rope_parameters={
        "rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 64}))
    check("mistral", tf.MistralConfig(**SMALL, sliding_window=16))
    check("qwen2", tf.Qwen2Config(**SMALL, tie_word_embeddings=True))
    check("qwen3", tf.Qwen3Config(**SMALL, head_dim=32))
    check("smollm3", tf.SmolLM3Config(**dict(SMALL, num_hidden_layers=5)))
    check("granite", tf.GraniteConfig(**SMALL, embedding_multiplier=3.0, attention_multiplier=0.1,
                                      residual_multiplier=0.4, logits_scaling=2.5))
    check("phi3", tf.Phi3Config(**dict(SMALL, pad_token_id=0)))
    check("phi3-longrope", tf.Phi3Config(**dict(SMALL, pad_token_id=0), original_max_position_embeddings=128,
                                         rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0,
                                                          "short_factor": [1.0 + 0.1 * i for i in range(8)],
                                                          "long_factor": [2.0 + 0.2 * i for i in range(8)]}))
    check("gemma", tf.GemmaConfig(**SMALL, head_dim=16))
    check("gemma2", tf.Gemma2Config(**SMALL, head_dim=16, sliding_window=16, query_pre_attn_scalar=24))
    check("gemma3", tf.Gemma3TextConfig(**dict(SMALL, num_hidden_layers=7), head_dim=16, sliding_window=16,
                                        query_pre_attn_scalar=24))
    check("gpt2", tf.GPT2Config(vocab_size=131, n_embd=64, n_layer=3, n_head=4, n_positions=256))


tf.logging.set_verbosity_error()
tf.utils.logging.disable_progress_bar()
run()
print(f"{passed} passed, {failed} failed")
