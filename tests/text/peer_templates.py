#!/usr/bin/env python3
"""Chat templates of real models, rendered as Python's jinja2 renders them in transformers: the same bytes, or both refuse.

    HONE_BUILD=build/test peer_templates.py

The last line is "N passed, N failed"; the exit status is 1 if any failed, 77 if the packages cannot be had."""

import json
import sys

import packages

try:
    from template_library import Template, ours, theirs
except ImportError:
    sys.exit(77)

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a place", "parameters": {
    "type": "object", "properties": {"location": {"type": "string", "description": "A town"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                                     "days": {"type": "integer", "default": 1}}, "required": ["location"]}}}  # fmt: skip
CLOCK = {"type": "function", "function": {"name": "get_time", "description": "", "parameters": {"type": "object", "properties": {}}}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def called(name, arguments, key="call00001"):
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = {
    "one question": [user("What is the capital of France?")],
    "with a system": [{"role": "system", "content": "You are terse.\nVery."}, user("Hi"), assistant("Hello."), user("  Bye  ")],
    "scripts": [user("日本語 🎉 é עברית"), assistant("Größe\t\"quoted\" \\ 'single' <b>&amp;</b>"), user("\u2028 \x07 {{ x }} {% y %}")],
    "parts": [user([{"type": "text", "text": "Look: "}, {"type": "text", "text": "there"}])],
    "picture": [user([{"type": "image"}, {"type": "text", "text": "What is it?"}]), assistant("A cat."), user("Sure?")],
    "a call": [user("Weather in Paris?"), assistant("", tool_calls=[called("get_weather", {"location": "Paris", "days": 2})]),
               {"role": "tool", "name": "get_weather", "tool_call_id": "call00001", "content": '{"temperature": 21.5}'}, user("Thanks")],
    "two calls": [{"role": "system", "content": "Help."}, user("Time and weather?"),
                  assistant(None, tool_calls=[called("get_time", {}, "call00001"), called("get_weather", {"location": "São Paulo", "unit": "celsius"}, "call00002")]),
                  {"role": "tool", "tool_call_id": "call00001", "content": "12:00"}, {"role": "tool", "tool_call_id": "call00002", "content": "21 °C"}],
    "arguments as text": [user("Weather?"), assistant("", tool_calls=[called("get_weather", '{"location": "Bonn"}')])],
    "thoughts": [user("2+2?"), assistant("<think>\nLet me see.\n</think>\n\n4"), user("And 3+3?"), assistant("6", reasoning_content="Three and three.")],
    "to be continued": [user("Count."), assistant("One, two,")],
    "no message": [],
    "out of order": [assistant("I begin."), user("No."), user("I do.")],
}
KEYS = [{"add_generation_prompt": True}, {"add_generation_prompt": False}, {"add_generation_prompt": True, "tools": [WEATHER, CLOCK]},
        {"add_generation_prompt": True, "enable_thinking": False, "tools": None}]  # fmt: skip


def real_templates():
    """{name: text}"""
    found = {}
    for path, data in packages.members(packages.LLAMA_CPP, lambda n: "/models/templates/" in n and n.endswith(".jinja")).items():
        found[path.rsplit("/", 1)[1][:-6]] = data.decode()
    for name in packages.NAMES:
        for data in packages.members(packages.tokenizer_package(name), lambda n: n.endswith("/tokenizer_config.json")).values():
            template = json.loads(data).get("chat_template")
            if isinstance(template, str):
                found[name] = template
            for one in template if isinstance(template, list) else []:
                found[f"{name} {one['name']}"] = one["template"]
    return found


def compare(templates, show):
    passed = failed = refused = told = 0
    for name, template in sorted(templates.items()):
        for title, messages in CONVERSATIONS.items():
            for keys in KEYS:
                variables = {"messages": messages, "bos_token": "<s>", "eos_token": "</s>", **keys}
                (mine, wrong), (wanted, error) = ours(template, variables), theirs(template, variables)
                if mine == wanted:
                    passed += 1
                    refused += wanted is None
                    told += wanted is None and error in wrong
                    continue
                failed += 1
                if failed <= show:
                    at = next((i for i, (a, b) in enumerate(zip(mine or "", wanted or "")) if a != b), 0)
                    print(f"FAILED: {name}, {title}, {keys}: {wrong or (mine or '')[max(0, at - 40):at + 60]!r} / {error or (wanted or '')[max(0, at - 40):at + 60]!r}")
    print(f"{len(templates)} templates, {len(CONVERSATIONS)} conversations, {len(KEYS)} ways; refused by both: {refused}, with the same words: {told}")
    return passed, failed


def hidden_tokens(templates):
    """What a user writes is marked, wherever it comes out; what a template writes is not."""
    passed = failed = 0
    for name, template in sorted(templates.items()):
        said = "<|im_start|>SECRET<|im_end|>"
        try:
            pieces = Template(template).pieces({"messages": [user(said)], "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True})
        except ValueError:
            continue
        good = all(from_user or b"SECRET" not in text for text, from_user in pieces) and any(not from_user for _, from_user in pieces)
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"FAILED: {name}: marks {pieces!r:.300}")
    return passed, failed


def main():
    try:
        templates = real_templates()
    except OSError as e:
        print(f"a package cannot be had: {e}")
        return 77
    sums = [sum(x) for x in zip(compare(templates, 20), hidden_tokens(templates))]
    print(f"{sums[0]} passed, {sums[1]} failed")
    return sums[1] > 0


sys.exit(main())
