"""Tokenizers of libhone.so for tests: HONE_BUILD says where it lies."""

import ctypes
import os
import pathlib

TEMPLATE, PLAIN = 1, 2
hone = ctypes.CDLL(str(pathlib.Path(os.environ.get("HONE_BUILD", "build")) / "libhone.so"))
hone.hone_tokenizer_json.restype = ctypes.c_void_p
hone.hone_tokenizer_pad.restype = ctypes.c_int32


class Error(ctypes.Structure):
    """hone_error."""

    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512), ("rest", ctypes.c_char * 448)]


def call(name, *args):
    err = Error()
    if getattr(hone, name)(*args, ctypes.byref(err)) != 0:
        raise ValueError(err.message.decode(errors="replace"))


class Slice(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Source(ctypes.Structure):
    """hone_vocabulary_source."""

    _fields_ = [("model", ctypes.c_char_p), ("pre", ctypes.c_char_p), ("tokens", ctypes.POINTER(Slice)), ("token_count", ctypes.c_size_t),
                ("scores", ctypes.POINTER(ctypes.c_float)), ("types", ctypes.POINTER(ctypes.c_int32)),
                ("merges", ctypes.POINTER(Slice)), ("merge_count", ctypes.c_size_t)]  # fmt: skip
    _fields_ += [(name, ctypes.c_int32) for name in ("bos", "eos", "unknown", "separator", "padding")]
    _fields_ += [(name, ctypes.c_int) for name in ("add_bos", "add_eos", "add_space_prefix", "remove_extra_spaces", "lowercase")]
    _fields_ += [("charsmap", ctypes.c_char_p), ("charsmap_size", ctypes.c_size_t)]


def slices(texts):
    return (Slice * len(texts))(*[Slice(t, len(t)) for t in texts])


class Hone:
    """A tokenizer of Hone's."""

    def __init__(self, handle):
        self.handle, self.encoder = handle, ctypes.c_void_p()
        call("hone_encoder_new", handle, ctypes.byref(self.encoder))

    @classmethod
    def parse(cls, text):
        data, handle = text if isinstance(text, bytes) else text.encode(), ctypes.c_void_p()
        call("hone_tokenizer_parse", data, ctypes.c_size_t(len(data)), ctypes.byref(handle))
        return cls(handle)

    @classmethod
    def train(cls, description, texts):
        trainer, handle = ctypes.c_void_p(), ctypes.c_void_p()
        call("hone_tokenizer_trainer_new", description.encode(), ctypes.byref(trainer))
        for text in texts:
            data = text.encode()
            call("hone_tokenizer_trainer_add", trainer, data, ctypes.c_size_t(len(data)))
        call("hone_tokenizer_trainer_finish", trainer, ctypes.byref(handle))
        hone.hone_tokenizer_trainer_free(trainer)
        return cls(handle)

    @classmethod
    def of_vocabulary(cls, model, tokens, pre=None, scores=None, types=None, merges=(), charsmap=b"", **ids):
        """What GGUF says in arrays; tokens and merges are bytes."""
        s = Source(model.encode(), pre and pre.encode(), slices(tokens), len(tokens))
        for name, _ in Source._fields_[8:18]:
            setattr(s, name, -1 if ids.get(name) is None else int(ids[name]))
        if scores is not None:
            s.scores = (ctypes.c_float * len(scores))(*scores)
        if types is not None:
            s.types = (ctypes.c_int32 * len(types))(*types)
        s.merges, s.merge_count, s.charsmap, s.charsmap_size = slices(merges), len(merges), charsmap, len(charsmap)
        handle = ctypes.c_void_p()
        call("hone_tokenizer_from_vocabulary", ctypes.byref(s), ctypes.byref(handle))
        return cls(handle)

    def free(self):
        hone.hone_encoder_free(self.encoder)
        hone.hone_tokenizer_free(self.handle)

    def json(self):
        size = ctypes.c_size_t()
        at = hone.hone_tokenizer_json(self.handle, ctypes.byref(size))
        return ctypes.string_at(at, size.value).decode()

    def encode(self, text, flags=TEMPLATE):
        data, ids, count = text.encode(), ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        call("hone_encoder_encode", self.encoder, data, ctypes.c_size_t(len(data)), ctypes.c_uint(flags),
             ctypes.byref(ids), ctypes.byref(count))  # fmt: skip
        return ids[: count.value]

    def decode(self, ids, special=False):
        array, text, size = (ctypes.c_int32 * len(ids))(*ids), ctypes.c_void_p(), ctypes.c_size_t()
        call("hone_encoder_decode", self.encoder, array, ctypes.c_size_t(len(ids)), ctypes.c_bool(special),
             ctypes.byref(text), ctypes.byref(size))  # fmt: skip
        return ctypes.string_at(text.value, size.value).decode(errors="replace")
