#!/usr/bin/env python3
"""Texts drawn at random from what a JSON schema lets through: Python's jsonschema finds each of them valid.

    HONE_BUILD=build/test peer_json_schemas.py [TIMES]

The last line is "N passed, N failed"; the exit status is 1 if any failed."""

import ctypes
import json
import random
import sys
import time

try:
    import jsonschema
except ImportError:
    sys.exit(77)

from tokenizer_library import Hone, call, hone

TEXT = {"type": "string"}
SCHEMAS = [
    True, {}, TEXT, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}, {"type": "array"}, {"type": "object"},
    {"type": ["string", "null", "integer"]}, {"enum": ["a", "b c", 1, 12, None, {"x": [1]}, "é\"\\"]}, {"const": {"a": [1, 2, "x"]}}, {"type": "string", "enum": ["a", 1, "b"]},
    {"type": "string", "minLength": 3}, {"type": "string", "maxLength": 5}, {"type": "string", "minLength": 2, "maxLength": 2}, {"type": "string", "maxLength": 0},
    {"type": "integer", "minimum": 0}, {"type": "integer", "minimum": -5, "maximum": 120}, {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}, {"type": "integer", "maximum": -7},
    {"type": "integer", "minimum": 95, "maximum": 1003}, {"type": "integer", "minimum": 12345, "maximum": 12345}, {"type": "integer", "minimum": 0.5, "maximum": 2.5},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4}, {"type": "array", "items": TEXT, "minItems": 1}, {"type": "array", "maxItems": 1}, {"type": "array", "maxItems": 0},
    {"type": "array", "prefixItems": [{"type": "integer"}, TEXT], "items": False, "minItems": 1}, {"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "boolean"}},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": TEXT, "c": {"type": "boolean"}}, "required": ["b"], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": TEXT}}, {"properties": {"a": {"type": "integer"}}, "type": "object", "required": ["a", "z"]},
    {"type": "object", "properties": {"name": {"const": 1}, "nam": {"const": 2}, "n": {"const": 3}}, "additionalProperties": {"type": "boolean"}},
    {"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "object", "required": ["k"], "additionalProperties": {"type": "null"}}, {"type": "object", "additionalProperties": False},
    {"type": "object", "properties": {"a/b~c\"": {"type": "null"}}, "required": ["a/b~c\""]}, {"anyOf": [TEXT, {"type": "integer"}, {"type": "array", "items": {"type": "null"}}]},
    {"oneOf": [{"type": "object", "properties": {"kind": {"const": "x"}, "v": {"type": "integer"}}, "required": ["kind", "v"], "additionalProperties": False},
               {"type": "object", "properties": {"kind": {"const": "y"}, "w": TEXT}, "required": ["kind"], "additionalProperties": False}]},
    {"allOf": [{"$ref": "#/$defs/p"}], "$defs": {"p": {"type": "object", "properties": {"q": {"$ref": "#/$defs/r"}}, "required": ["q"]}, "r": {"enum": [1, 2]}}},
    {"$defs": {"tree": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}, "required": ["v", "next"]}}, "$ref": "#/$defs/tree"},
    {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2}, "name": {"type": "string", "maxLength": 8}}, "required": ["name"]},
    {"title": "Person", "description": "d", "type": "object", "properties": {"name": {"type": "string", "description": "n"}, "age": {"type": "integer", "minimum": 0, "maximum": 150}, "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
     "address": {"type": "object", "properties": {"street": TEXT, "zip": {"type": ["string", "integer"]}}, "required": ["street"]}}, "required": ["name", "age"]},
]  # fmt: skip
REFUSED = [
    ({"type": "string", "pattern": "^a"}, "/pattern"), ({"properties": {"a": {"not": {}}}}, "/properties/a/not"), ({"type": "number", "minimum": 1}, "/minimum"),
    ({"type": "array", "items": {"type": "integer", "multipleOf": 2}}, "/items/multipleOf"), ({"type": "object", "patternProperties": {}}, "/patternProperties"),
    ({"$defs": {"a/b": {"if": {}}}, "$ref": "#/$defs/a~1b"}, "/$ref/if"), ({"$ref": "http://x/y"}, "/$ref"), ({"$ref": "#/$defs/none"}, "/$ref"), ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "/$ref"),
    ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "/oneOf"), ({"allOf": [{}, {}]}, "/allOf"), ({"type": "string", "maxLength": 99999}, "/maxLength"), ({"type": "text"}, ""), ({"type": "array", "uniqueItems": True}, "/uniqueItems"),
    ({"enum": [1], "minimum": 3}, "/minimum"), ({"type": "object", "properties": {"a": False}}, "/properties/a"), ({"type": "integer", "minimum": 3, "maximum": 2}, ""), ({"type": "string", "surprise": 1}, "/surprise"),
    ({"anyOf": [{"type": "string"}, {"type": "string", "contentSchema": {}}]}, "/anyOf/1/contentSchema"), ({"type": "object", "required": ["a"], "additionalProperties": False}, ""), (3, ""), ({"enum": []}, ""),
]  # fmt: skip


class Grammar:
    def __init__(self, schema):
        data, self.handle = json.dumps(schema).encode(), ctypes.c_void_p()
        call("hone_grammar_from_schema", data, ctypes.c_size_t(len(data)), ctypes.byref(self.handle))

    def __del__(self):
        hone.hone_grammar_free(self.handle)


class Constraint:
    def __init__(self, grammar, trie):
        self.handle = ctypes.c_void_p()
        call("hone_constraint_new", grammar.handle, trie, ctypes.byref(self.handle))

    def __del__(self):
        hone.hone_constraint_free(self.handle)

    def mask(self, words):
        """(a number with a bit for each token, may the text end?)"""
        mask, may_end = ctypes.c_void_p(), ctypes.c_bool()
        call("hone_constraint_mask", self.handle, ctypes.byref(mask), ctypes.byref(may_end))
        return ctypes.string_at(mask.value, 4 * words), may_end.value

    def accept(self, token):
        call("hone_constraint_accept", self.handle, ctypes.c_int32(token))


def trie_of(tokenizer):
    trie = ctypes.c_void_p()
    call("hone_token_trie_new", tokenizer.handle, ctypes.byref(trie))
    return trie


def tokens_of(mask):
    number = int.from_bytes(mask, "little")
    found = []
    while number:
        low = number & -number
        found.append(low.bit_length() - 1)
        number ^= low
    return found


def sample(grammar, trie, words, draw, most=120):
    """A text; where it grows long, what ends it first is taken."""
    c, ids = Constraint(grammar, trie), []
    for i in range(3000):
        mask, may_end = c.mask(words)
        if may_end and (i > most or not any(mask) or draw.random() < 0.2):
            return ids
        tokens = tokens_of(mask)
        if not tokens:
            return None
        if i > most:  # quotes, brackets and what is short
            tokens = sorted(tokens, key=lambda t: (t not in closing, t))[:3]
        token = draw.choice(tokens)
        c.accept(token)
        ids.append(token)
    return None


closing = set()


def vocabulary():
    texts = ['{"name": "value", "age": 12, "a": [true, false, null], "b": {"c": -1.5e3}, "kind": "x"}\n  "text é 日本 😀 with words"', "the cat sat on the mat and the dog ate it\n" * 3]
    return Hone.train("bpe:420", texts)


def main():
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    tokenizer, draw = vocabulary(), random.Random(11)
    trie, words = trie_of(tokenizer), (hone.hone_tokenizer_size(tokenizer.handle) + 31) // 32
    for text in ('"', "}", "]", "1", ":", "}", "l"):
        closing.update(tokenizer.encode(text, 0))
    passed = failed = cut = 0
    for schema in SCHEMAS:
        grammar, validator = Grammar(schema), jsonschema.Draft202012Validator(schema)
        for _ in range(times):
            ids = sample(grammar, trie, words, draw)
            if ids is None:
                cut += 1
                continue
            text = tokenizer.decode(ids, True)
            try:
                wrong = [e.message for e in validator.iter_errors(json.loads(text))]
            except ValueError as e:
                wrong = [str(e)]
            passed, failed = passed + (not wrong), failed + bool(wrong)
            if wrong and failed < 20:
                print(f"FAILED: {schema}: {text!r}: {wrong[0]}")
    for schema, place in REFUSED:
        try:
            Grammar(schema)
            good, said = False, "it was taken"
        except ValueError as e:
            said = str(e)
            good = f"at '{place}'" in said
        passed, failed = passed + good, failed + (not good)
        if not good:
            print(f"FAILED: {schema}: {said}")
    if cut > times * len(SCHEMAS) // 10:
        failed += 1
        print(f"FAILED: {cut} texts did not end")
    failed += exact(tokenizer, trie, words)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


def exact(tokenizer, trie, words):
    """A token is in a mask just when all of its bytes may come, one after the other: by a trie of single bytes."""
    draw, wrong = random.Random(5), 0
    single = [b for b in range(2, 258) if len(tokenizer.decode([b], True).encode()) == 1]
    spelled = {tokenizer.decode([b], True): b for b in single if tokenizer.decode([b], True).isascii()}
    for schema in SCHEMAS:
        grammar = Grammar(schema)
        said = []
        for _ in range(6):
            c = Constraint(grammar, trie)
            for t in said:
                c.accept(t)
            tokens = set(tokens_of(c.mask(words)[0]))
            for token in draw.sample(range(258, hone.hone_tokenizer_size(tokenizer.handle)), 20):
                text = tokenizer.decode([token], True)
                if not text or not all(x in spelled for x in text):
                    continue
                by_bytes = Constraint(grammar, trie)
                try:
                    for t in said + [spelled[x] for x in text]:
                        by_bytes.accept(t)
                    may = True
                except ValueError:
                    may = False
                if may != (token in tokens):
                    wrong += 1
                    print(f"FAILED: {schema}, behind {tokenizer.decode(said, True)!r}: {text!r} {may}")
            if not tokens:
                break
            said.append(draw.choice(sorted(tokens)))
    return wrong


sys.exit(main())
