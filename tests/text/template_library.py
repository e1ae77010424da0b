"""Templates of libhone.so, and of jinja2 as transformers sets it up, for tests."""

import ctypes
import datetime
import functools
import json

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox
from tokenizer_library import call, hone

NOW = 1_700_000_000


class Generation(jinja2.ext.Extension):
    """{% generation %}: what a model wrote; its text stays."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_pass"), [], [], body).set_lineno(line)

    def _pass(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime.fromtimestamp(NOW).strftime(f)
    return env


compiled = functools.lru_cache(maxsize=200)(environment().from_string)


def theirs(template, variables):
    """(text, None), or (None, error)."""
    try:
        return compiled(template).render(**variables), None
    except Exception as e:  # noqa: BLE001 templates raise anything
        return None, str(e)


class Piece(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("user", ctypes.c_bool)]


hone.hone_rendered_pieces.restype = ctypes.POINTER(Piece)


class Template:
    def __init__(self, text):
        data, self.handle = text.encode(), ctypes.c_void_p()
        call("hone_template_parse", data, ctypes.c_size_t(len(data)), ctypes.byref(self.handle))

    def __del__(self):
        hone.hone_template_free(self.handle)

    def pieces(self, variables):
        """[(bytes, from outside?), …]"""
        data, out, count = json.dumps(variables).encode(), ctypes.c_void_p(), ctypes.c_size_t()
        call("hone_template_render", self.handle, data, ctypes.c_size_t(len(data)), ctypes.c_int64(NOW), ctypes.byref(out))
        found = hone.hone_rendered_pieces(out, ctypes.byref(count))
        pieces = [(ctypes.string_at(found[i].data, found[i].size), found[i].user) for i in range(count.value)]
        hone.hone_rendered_free(out)
        return pieces


read = functools.lru_cache(maxsize=200)(Template)


def ours(template, variables):
    """(text, None), or (None, error)."""
    try:
        return b"".join(p for p, _ in read(template).pieces(variables)).decode(), None
    except ValueError as e:
        return None, str(e)
