"""The server against OpenAI's own client, and LangChain's if it is there.

    peer_openai.py make FILE.gguf    a model whose tokens are characters, behind each of which comes the next one of ASCII
    peer_openai.py embedder DIR      a model that embeds texts, for a tokenizer that is there: [1, id] for each token
    peer_openai.py serve URL         the clients against a server of both as "letters" and "embed", which takes the key
                                     "open-sesame"

The last line is "N passed, N failed"."""
import os
import sys
import traceback
from typing import Literal

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "import"))
import gguf_files  # noqa: E402

TEMPLATE = ("{% if tools %}+{% endif %}{% for m in messages %}{{ '<|user|>' if m.role == 'user' else '<|end|>' }}"
            "{{ m.content or '' }}{% endfor %}")


def make(path):
    tokens = ["<|end|>", "<|user|>", "\u0120"] + [chr(c) for c in range(33, 127)]
    count, width, inner, heads = len(tokens), 96, 32, 4
    keys = {"general.architecture": "llama", "llama.block_count": 1, "llama.context_length": 400,
            "llama.embedding_length": width, "llama.feed_forward_length": inner, "llama.attention.head_count": heads,
            "llama.attention.head_count_kv": heads, "llama.attention.layer_norm_rms_epsilon": 1e-5,
            "llama.rope.freq_base": 10000.0, "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
            "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [3, 3] + [1] * (count - 2),
            "tokenizer.ggml.merges": ["! !"], "tokenizer.ggml.eos_token_id": 0,
            "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.add_bos_token": False,
            "tokenizer.chat_template": TEMPLATE}
    keys["tokenizer.ggml.tokens"].append("!!")
    keys["tokenizer.ggml.token_type"].append(1)
    count += 1
    embed, head = np.zeros((count, width), np.float32), np.zeros((count, width), np.float32)
    for i in range(width):
        embed[i, i] = head[i + 1, i] = 1
    tensors = {"token_embd.weight": ("F32", embed.shape, embed.tobytes()),
               "output.weight": ("F32", head.shape, head.tobytes())}
    ones = np.ones(width, np.float32).tobytes()
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        tensors[f"{name}.weight"] = ("F32", [width], ones)
    for name, shape in {"attn_q": [width, width], "attn_k": [width, width], "attn_v": [width, width],
                        "attn_output": [width, width], "ffn_gate": [inner, width], "ffn_up": [inner, width],
                        "ffn_down": [width, inner]}.items():
        tensors[f"blk.0.{name}.weight"] = ("F32", shape, bytes(4 * shape[0] * shape[1]))
    gguf_files.write(path, keys, tensors)


def embedder(directory):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    table = np.stack([np.ones(98), np.arange(98)], axis=1).astype(np.float32)
    ids, mask = (helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
                 for name in ("input_ids", "attention_mask"))
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", 2])
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
             helper.make_node("Cast", ["attention_mask"], ["ones"], to=TensorProto.FLOAT),
             helper.make_node("Unsqueeze", ["ones", "last"], ["column"]),
             helper.make_node("Mul", ["rows", "column"], ["last_hidden_state"])]
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([-1], np.int64), "last")]
    graph = helper.make_graph(nodes, "embedder", [ids, mask], [out], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10),
              os.path.join(directory, "model.onnx"))


USER = [{"role": "user", "content": "uv"}]
TOOL = {"type": "function", "function": {"name": "weather", "description": "of a place", "parameters": {
    "type": "object", "properties": {"place": {"enum": ["Rome", "Oslo"]}}, "required": ["place"],
    "additionalProperties": False}}}
checks = []


def check(function):
    checks.append(function)
    return function


def chat(client, **more):
    return client.chat.completions.create(**{"model": "letters", "messages": USER, "temperature": 0, **more})


def fails(kind, call):
    try:
        call()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


@check
def answers(client, url):
    r = chat(client)
    assert r.choices[0].message.content == "wxyz{|}~" and r.choices[0].finish_reason == "stop", r
    assert (r.usage.prompt_tokens, r.usage.completion_tokens) == (3, 8), r.usage
    assert r.usage.prompt_tokens_details.cached_tokens is not None
    r = chat(client, n=2, max_tokens=3)
    assert [c.message.content for c in r.choices] == ["wxy"] * 2 and r.choices[1].finish_reason == "length", r
    assert chat(client, stop=["z{", "|"]).choices[0].message.content == "wxy"
    r = chat(client, logprobs=True, top_logprobs=3, max_tokens=1).choices[0].logprobs.content[0]
    assert r.token == "w" and r.bytes == [119] and len(r.top_logprobs) == 3 and r.logprob > -0.1, r
    a, b = (chat(client, temperature=2, seed=3, max_tokens=9).choices[0].message.content for _ in range(2))
    assert a == b
    r = chat(client, extra_body={"top_k": 1, "min_p": 0.1, "repetition_penalty": 1.1, "ignore_eos": True,
                                 "min_tokens": 2, "chat_template_kwargs": {"x": 1}}, temperature=1, max_tokens=9)
    assert r.usage.completion_tokens == 9, r


@check
def streams(client, url):
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].choices[0].delta.content == ""
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "wxyz{|}~"
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-1].usage.completion_tokens == 8
    assert len({c.id for c in chunks}) == 1
    with client.chat.completions.stream(model="letters", messages=USER, temperature=0) as s:
        for _ in s:
            pass
        assert s.get_final_completion().choices[0].message.content == "wxyz{|}~"
    texts = {}
    for c in chat(client, stream=True, n=3, temperature=2, seed=1, max_tokens=8):
        texts[c.choices[0].index] = texts.get(c.choices[0].index, "") + (c.choices[0].delta.content or "")
    whole = chat(client, n=3, temperature=2, seed=1, max_tokens=8)
    assert [texts[i] for i in range(3)] == [c.message.content for c in whole.choices]


@check
def leaves_in_the_middle(client, url):
    for chunk in chat(client, stream=True, max_tokens=300, extra_body={"ignore_eos": True}):
        break
    assert chat(client).choices[0].message.content == "wxyz{|}~"


@check
def completes(client, url):
    r = client.completions.create(model="letters", prompt=["a", "x"], max_tokens=3, temperature=0)
    assert [c.text for c in r.choices] == ["bcd", "yz{"], r
    r = client.completions.create(model="letters", prompt="ab", max_tokens=1, temperature=0, echo=True, logprobs=2)
    assert r.choices[0].text == "abc" and r.choices[0].logprobs.tokens == ["a", "b", "c"], r
    assert r.choices[0].logprobs.text_offset == [0, 1, 2] and r.choices[0].logprobs.token_logprobs[0] is None, r
    r = client.completions.create(model="letters", prompt="a", max_tokens=4, temperature=2, n=1, best_of=4, seed=1)
    assert len(r.choices) == 1 and r.usage.completion_tokens > 4, r
    chunks = list(client.completions.create(model="letters", prompt="a", max_tokens=3, temperature=0, stream=True))
    assert "".join(c.choices[0].text for c in chunks) == "bcd"


@check
def holds_to_schemas(client, url):
    from pydantic import BaseModel

    class Place(BaseModel):
        name: Literal["Rome", "Oslo"]
        rank: Literal[1, 2]

    r = client.chat.completions.parse(model="letters", messages=USER, temperature=0, response_format=Place)
    assert r.choices[0].message.parsed.rank in (1, 2), r
    import openai
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}}
    e = fails(openai.BadRequestError, lambda: chat(client, response_format={
        "type": "json_schema", "json_schema": {"name": "s", "schema": schema}}))
    assert "/properties/a/pattern" in e.message, e


@check
def calls_tools(client, url):
    r = chat(client, tools=[TOOL], tool_choice="required").choices[0]
    assert r.finish_reason == "tool_calls" and r.message.content is None, r
    call = r.message.tool_calls[0]
    assert call.function.name == "weather" and call.id and "place" in call.function.arguments, call
    name = arguments = ""
    for c in chat(client, tools=[TOOL], stream=True, tool_choice={"type": "function", "function": {"name": "weather"}}):
        for part in c.choices[0].delta.tool_calls or []:
            name += part.function.name or ""
            arguments += part.function.arguments or ""
    assert name == "weather" and '"place"' in arguments, (name, arguments)
    assert chat(client, tools=[TOOL]).choices[0].message.content == "wxyz{|}~"


@check
def tells_errors(client, url):
    import openai
    e = fails(openai.NotFoundError, lambda: chat(client, model="none"))
    assert e.code == "model_not_found" and e.param == "model" and e.type == "invalid_request_error", e
    e = fails(openai.BadRequestError, lambda: chat(client, max_tokens=100000))
    assert e.code == "context_length_exceeded", e
    e = fails(openai.BadRequestError, lambda: chat(client, temperature=3))
    assert e.param == "temperature", e
    for key in ("wrong", ""):
        other = openai.OpenAI(base_url=url, api_key=key or "x", max_retries=0)
        e = fails(openai.AuthenticationError, lambda: chat(other))
        assert e.code == "invalid_api_key", e


@check
def lists_models(client, url):
    models = client.models.list().data
    assert [m.id for m in models] == ["embed", "letters"] and models[0].object == "model", models
    m = client.models.retrieve("letters")
    assert m.id == "letters" and m.owned_by == "hone" and m.created == models[1].created, m


@check
def embeds(client, url):
    import openai
    for more in ({}, {"encoding_format": "float"}):  # base64 unless told otherwise
        r = client.embeddings.create(model="embed", input=["ab", "b"], **more)
        for vector, mean in zip(r.data, (67.5, 68)):
            wanted = np.array([1, mean]) / np.hypot(1, mean)
            assert np.abs(np.array(vector.embedding) - wanted).max() < 1e-6, (vector, wanted)
        assert r.usage.prompt_tokens == 3 and r.model == "embed", r
    r = client.embeddings.create(model="embed", input=["x" * k for k in range(1, 65)])
    assert [d.index for d in r.data] == list(range(64))
    e = fails(openai.BadRequestError, lambda: client.embeddings.create(model="letters", input="a"))
    assert "no embeddings" in e.message, e


@check
def serves_langchain(client, url):
    try:
        from langchain_openai import ChatOpenAI
    except ImportError:
        return
    model = ChatOpenAI(base_url=url, api_key="open-sesame", model="letters", temperature=0)
    assert model.invoke("uv").content == "wxyz{|}~"
    assert "".join(c.content for c in model.stream("uv")) == "wxyz{|}~"
    for answer in (model.bind_tools([TOOL], tool_choice="required").invoke("uv"),
                   sum_of(model.bind_tools([TOOL], tool_choice="required").stream("uv"))):
        assert answer.tool_calls[0]["name"] == "weather" and answer.tool_calls[0]["args"]["place"], answer


def sum_of(parts):
    whole = None
    for part in parts:
        whole = part if whole is None else whole + part
    return whole


def serve(url):
    import openai
    passed = 0
    client = openai.OpenAI(base_url=url, api_key="open-sesame", max_retries=0, timeout=120)
    for function in checks:
        try:
            function(client, url)
            passed += 1
        except Exception:  # the next check may still say something
            print(f"FAILED: {function.__name__}")
            traceback.print_exc(limit=-4, file=sys.stdout)
    print(f"{passed} passed, {len(checks) - passed} failed")
    sys.exit(passed < len(checks))


if __name__ == "__main__":
    {"make": make, "embedder": embedder, "serve": serve}[sys.argv[1]](sys.argv[2])
