#!/usr/bin/env python3
"""Adapters against Hugging Face's peft: what peft writes gives the same logits in Hone, and what Hone writes gives them in peft.
Wants torch, transformers and peft; exits with 77 where they are not there."""
import ctypes
import os
import sys

import numpy as np

try:
    import peft
    import torch
    import transformers as tf
except ImportError as e:
    print(e)
    sys.exit(77)

LIBRARY = ctypes.CDLL(os.path.join(os.environ["HONE_BUILD"], "libhone.so"))
LIBRARY.hone_import_take_graph.restype = ctypes.c_void_p
LIBRARY.hone_lm_vocabulary.restype = ctypes.c_int64
passed = failed = 0
SMALL = dict(vocab_size=131, hidden_size=64, intermediate_size=112, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, pad_token_id=None, bos_token_id=1, eos_token_id=2)
IDS = np.random.default_rng(3).integers(0, 131, 40).tolist()


def call(name, *args):
    err = ctypes.create_string_buffer(1 << 16)
    if getattr(LIBRARY, name)(*args, err):
        raise RuntimeError(bytes(err).replace(b"\0", b" ").decode(errors="replace").strip()[:300])


def by_hone(model, adapter, again, merge):
    """The last logits of the model with the adapter, which is also written into the directory `again`."""
    m, lm, sequence = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    call("hone_import_open", model.encode(), None, ctypes.byref(m))
    graph = ctypes.c_void_p(LIBRARY.hone_import_take_graph(m))
    LIBRARY.hone_import_free(m)
    call("hone_adapter_load", graph, adapter.encode())
    if again:
        call("hone_adapter_save", graph, again.encode(), model.encode())
    if merge:
        left = ctypes.c_int()
        call("hone_adapter_merge", graph, ctypes.byref(left))
        assert left.value == 0
    call("hone_lm_create", graph, None, ctypes.byref(lm))
    call("hone_lm_sequence_new", lm, ctypes.byref(sequence))
    out = ctypes.POINTER(ctypes.c_float)()
    call("hone_lm_feed", sequence, (ctypes.c_int32 * len(IDS))(*IDS), ctypes.c_size_t(len(IDS)), ctypes.byref(out))
    logits = np.ctypeslib.as_array(out, (LIBRARY.hone_lm_vocabulary(lm),)).copy()
    LIBRARY.hone_lm_sequence_free(sequence)
    LIBRARY.hone_lm_free(lm)
    return logits


def by_peft(model):
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0, -1].float().numpy()


def check(name, config, **lora):
    global passed, failed
    torch.manual_seed(5)
    base = tf.AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    base.save_pretrained(name)
    plain = by_peft(base)
    settings = dict(r=4, lora_alpha=12, target_modules="all-linear", task_type="CAUSAL_LM")
    settings.update(lora)
    model = peft.get_peft_model(base, peft.LoraConfig(**settings)).eval()
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "lora_" in key:
                p.copy_(torch.randn_like(p) * 0.1)
    model.save_pretrained(name + "-adapter", save_embedding_layers=False)
    want = by_peft(model)
    size = np.abs(want).max()
    assert np.abs(want - plain).max() > 0.01 * size
    try:
        got = [by_hone(name, name + "-adapter", name + "-again", False), by_hone(name, name + "-adapter", None, True)]
        base = tf.AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, attn_implementation="eager").eval()
        got.append(by_peft(peft.PeftModel.from_pretrained(base, name + "-again").eval()))
    except RuntimeError as e:
        failed += 1
        print("FAILED:", name, e)
        return
    worst = max(np.abs(x - want).max() / size for x in got)
    good = worst < 1e-4
    passed, failed = passed + good, failed + (not good)
    print("ok" if good else "FAILED:", name, f"{worst:.2e} of {size:.3g}", flush=True)


tf.logging.set_verbosity_error()
tf.utils.logging.disable_progress_bar()
check("llama", tf.LlamaConfig(**SMALL, tie_word_embeddings=False))
check("llama-tied", tf.LlamaConfig(**SMALL, tie_word_embeddings=True), target_modules=["q_proj", "v_proj"])
check("llama-root", tf.LlamaConfig(**SMALL), use_rslora=True)
check("llama-patterns", tf.LlamaConfig(**SMALL), alpha_pattern={"q_proj": 3}, rank_pattern={"down_proj": 2})
check("llama-head", tf.LlamaConfig(**SMALL, tie_word_embeddings=False), target_modules=["q_proj", "lm_head"])
check("qwen2", tf.Qwen2Config(**SMALL))
check("qwen3", tf.Qwen3Config(**SMALL, head_dim=32))
check("phi3", tf.Phi3Config(**dict(SMALL, pad_token_id=0)))
check("gemma2", tf.Gemma2Config(**SMALL, head_dim=16, sliding_window=16, query_pre_attn_scalar=24))
print(f"{passed} passed, {failed} failed")
