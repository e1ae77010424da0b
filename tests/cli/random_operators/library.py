"""Hone's library from Python: models and arrays in, arrays out. A tensor is an array, a sequence a list, an
optional value an Optional."""

import ctypes

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.helper import np_dtype_to_tensor_dtype

TENSOR, SEQUENCE, MAP, OPTIONAL = 1, 4, 5, 9


class Refused(Exception):
    pass


class Optional:
    """What may be there: `value` is None where it is not; `of` is the dtype of what it would be."""

    def __init__(self, value, of=np.float32):
        self.value, self.of = value, of


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512), ("file", ctypes.c_char * 256),
                ("node", ctypes.c_char * 128), ("op", ctypes.c_char * 64)]  # fmt: skip


class SessionOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("threads", ctypes.c_int), ("max_plans", ctypes.c_int)]


def element_type(dtype):
    if dtype == np.dtype(object):
        return TensorProto.STRING
    return np_dtype_to_tensor_dtype(np.dtype(dtype))


class Library:
    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        pointers = ("hone_tensor_data", "hone_tensor_dims", "hone_tensor_item", "hone_model_signature")
        for name in pointers:
            getattr(self.c, name).restype = ctypes.c_void_p
        for name in ("hone_tensor_count", "hone_tensor_bytes"):
            getattr(self.c, name).restype = ctypes.c_int64
        self.c.hone_tensor_string.restype = ctypes.c_void_p
        self.error = Error()

    def call(self, name, *arguments):
        if getattr(self.c, name)(*arguments, ctypes.byref(self.error)):
            parts = (self.error.node, self.error.op, self.error.message)
            raise Refused(f"{name}: " + " ".join(p.decode(errors="replace") for p in parts if p))

    # --- values ---

    def tensor(self, array):
        array = np.asarray(array)
        out = ctypes.c_void_p()
        dims = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
        self.call("hone_tensor_new", element_type(array.dtype), array.ndim, dims, ctypes.byref(out))
        if array.dtype == object:
            for i, text in enumerate(array.reshape(-1)):
                data = text if isinstance(text, bytes) else text.encode()
                self.call("hone_tensor_set_string", out, ctypes.c_int64(i), data, ctypes.c_size_t(len(data)))
        else:
            data = numpy_helper.from_array(np.ascontiguousarray(array)).raw_data
            ctypes.memmove(self.c.hone_tensor_data(out), data, len(data))
        return out

    def value(self, value):
        if isinstance(value, (list, Optional)):
            optional = isinstance(value, Optional)
            items = ([] if value.value is None else [value.value]) if optional else value
            made = [self.value(item) for item in items]
            of = value.of if optional else np.float32
            kind = OPTIONAL if optional else SEQUENCE
            dtype = self.c.hone_tensor_dtype(made[0]) if made else element_type(of)
            out = ctypes.c_void_p()
            array = (ctypes.c_void_p * max(len(made), 1))(*made)
            self.call("hone_tensor_of_items", kind, dtype, array, ctypes.c_int64(len(made)), ctypes.byref(out))
            for item in made:
                self.c.hone_tensor_free(item)
            return out
        return self.tensor(value)

    def back(self, pointer):
        t = ctypes.c_void_p(pointer)
        count, kind = self.c.hone_tensor_count(t), self.c.hone_tensor_kind(t)
        if kind != TENSOR:
            items = [self.back(self.c.hone_tensor_item(t, ctypes.c_int64(i))) for i in range(count)]
            if kind == SEQUENCE:
                return items
            if kind == OPTIONAL:
                return Optional(items[0] if items else None)
            values = items[1].reshape(-1).tolist() if isinstance(items[1], np.ndarray) else items[1]
            return dict(zip(items[0].reshape(-1).tolist(), values))
        rank, dtype = self.c.hone_tensor_rank(t), self.c.hone_tensor_dtype(t)
        dims = self.c.hone_tensor_dims(t)
        shape = (ctypes.c_int64 * rank).from_address(dims)[:] if rank else []
        if dtype == TensorProto.STRING:
            size, texts = ctypes.c_size_t(), []
            for i in range(count):
                data = self.c.hone_tensor_string(t, ctypes.c_int64(i), ctypes.byref(size))
                texts.append(ctypes.string_at(data, size.value).decode(errors="surrogateescape"))
            return np.array(texts, object).reshape(shape)
        raw = ctypes.string_at(self.c.hone_tensor_data(t), self.c.hone_tensor_bytes(t)) if count else b""
        return numpy_helper.to_array(TensorProto(data_type=dtype, dims=shape, raw_data=raw))

    # --- runs ---

    def run(self, model, feeds, outputs, threads):
        """The outputs of a model (bytes), once for each number of threads."""
        graph, compiled = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("hone_graph_load_memory", model, ctypes.c_size_t(len(model)), b"model", ctypes.byref(graph))
        self.call("hone_model_take", graph, None, ctypes.byref(compiled))
        tensors, results = [], []
        try:
            tensors = [self.value(v) for v in feeds]
            for n in threads:
                results.append(self.once(compiled, tensors, outputs, n))
        finally:
            for t in tensors:
                self.c.hone_tensor_free(t)
            self.c.hone_model_free(compiled)
        return results

    def once(self, model, tensors, outputs, threads):
        session, context = ctypes.c_void_p(), ctypes.c_void_p()
        options = SessionOptions(ctypes.sizeof(SessionOptions), threads, 4)
        self.call("hone_session_create", model, ctypes.byref(options), ctypes.byref(session))
        try:
            self.call("hone_context_create", session, ctypes.byref(context))
            given, got = (ctypes.c_void_p * max(len(tensors), 1))(*tensors), (ctypes.c_void_p * outputs)()
            self.call("hone_context_run", context, given, got)
            return [self.back(p) for p in got]
        finally:
            if context:
                self.c.hone_context_free(context)
            self.c.hone_session_free(session)
