#!/usr/bin/env python3
"""What small types and strings are, by onnx's and ml_dtypes' word.

    peer_types.py make DIR    models with constants that onnx wrote in every way there is, inputs, and what must come out
    peer_types.py check DIR   compares what `hone run` made of them: DIR/NAME.OUTPUT.npy with DIR/NAME.OUTPUT.want.npy

DIR/NAME.runs lists the arguments of `hone run`, one a line. The last line is "N passed, N failed"; the exit status is 1
if any failed."""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALL = ["FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0", "FLOAT4E2M1", "INT4", "UINT4",
         "INT2", "UINT2"]
SPECIAL = [0.0, -0.0, 0.3, -0.7, 1.0, 1.0625, 1.1875, 2.5, 3.5, 5.0, 17.0, 100.0, 240.0, 448.0, 464.0, 465.0, 57344.0,
           61440.0, 1e6, -1e6, 1e-3, 1e-7, -1e-9, np.inf, -np.inf]


def converted(x, dtype):
    """What Cast makes of float32, as ONNX's reference does."""
    if dtype == TensorProto.FLOAT8E8M0:
        return numpy_helper.to_float8e8m0(x, True, "up")
    target = helper.tensor_dtype_to_np_dtype(dtype)
    name = TensorProto.DataType.Name(dtype)
    return numpy_helper.saturate_cast(x, target) if name.startswith("FLOAT8") else x.astype(target)


def inputs_for(name):
    if name == "FLOAT8E8M0":  # zero and negative numbers have no power of two
        return np.array([0.124, 0.25, 0.5, 1.1, 2.0, 3.0, 8.0, 1e30, 1e-30, np.nan], np.float32)
    if name.startswith("FLOAT"):
        x = np.array(SPECIAL, np.float32)
        return x if name == "FLOAT4E2M1" else np.append(x, np.float32(np.nan))
    return np.append(np.arange(-9, 16), [0.5, 1.9, -0.9]).astype(np.float32)


def codes(name, shape):
    """Every code of the type, again and again."""
    dtype = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, name))
    bits = 8 if name.startswith("FLOAT8") else 4 if "4" in name else 2
    count = int(np.prod(shape))
    every = np.resize(np.arange(2**bits, dtype=np.uint8), count)
    if name in ("INT4", "INT2"):
        every = ((every.astype(np.int16) ^ (1 << (bits - 1))) - (1 << (bits - 1))).astype(np.int8)
    return (every.astype(dtype) if "INT" in name else every.view(dtype)).reshape(shape)


def small_model(directory, name):
    dtype = getattr(TensorProto, name)
    values = {"raw": codes(name, (7, 3)), "listed": codes(name, (259,)), "outside": codes(name, (5, 5, 3))}
    raw = numpy_helper.from_array(values["raw"], "raw")
    if name.startswith("FLOAT8") or name == "FLOAT4E2M1":
        flat = values["listed"].view(np.uint8).ravel()
        entries = numpy_helper._pack_4bitx2(flat) if name == "FLOAT4E2M1" else flat
    else:
        flat = values["listed"]
        entries = numpy_helper._pack_2bitx4(flat) if "2" in name else numpy_helper._pack_4bitx2(flat)
    listed = TensorProto(name="listed", data_type=dtype, dims=values["listed"].shape)
    listed.int32_data.extend(int(entry) for entry in entries)
    outside = numpy_helper.from_array(values["outside"], "outside")
    nodes = [helper.make_node("Cast", [n], [n + "_float"], to=TensorProto.FLOAT) for n in values]
    nodes += [helper.make_node("Transpose", ["raw"], ["turned"]),
              helper.make_node("Cast", ["turned"], ["raw_transposed"], to=TensorProto.FLOAT),
              helper.make_node("Transpose", ["outside"], ["moved"], perm=[1, 2, 0]),
              helper.make_node("Cast", ["moved"], ["outside_transposed"], to=TensorProto.FLOAT),
              helper.make_node("Cast", ["x"], ["small"], to=dtype),
              helper.make_node("Cast", ["small"], ["x_back"], to=TensorProto.FLOAT)]
    x = inputs_for(name)
    want = {n + "_float": v.astype(np.float32) for n, v in values.items()}
    want["raw_transposed"] = want["raw_float"].T
    want["outside_transposed"] = want["outside_float"].transpose(1, 2, 0)
    want["x_back"] = converted(x, dtype).astype(np.float32)
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [len(x)])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, w.shape) for n, w in want.items()], [raw, listed, outside])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=13)
    path = directory / (name + ".onnx")
    onnx.save(model, path, save_as_external_data=True, location=name + ".data", size_threshold=30)
    onnx.checker.check_model(str(path))
    np.save(directory / (name + ".x.npy"), x)
    write_runs(directory, name, {"x": "x"}, want)


def string_model(directory):
    texts = np.array([["a\0b", "é€😀", ""], ["c", "\n\"", "longer than the others"]])
    held = np.array([b"\xff\0x", "ü".encode()], object)
    nodes = [helper.make_node("Transpose", ["s"], ["transposed"]), helper.make_node("Flatten", ["s"], ["flat"], axis=0),
             helper.make_node("Identity", ["held"], ["held_back"])]
    to_bytes = np.vectorize(lambda s: s.encode(), otypes=[object])
    want = {"transposed": to_bytes(texts.T), "flat": to_bytes(texts.reshape(1, -1)), "held_back": held}
    constant = TensorProto(name="held", data_type=TensorProto.STRING, dims=[2], string_data=list(held))
    graph = helper.make_graph(
        nodes, "strings", [helper.make_tensor_value_info("s", TensorProto.STRING, texts.shape)],
        [helper.make_tensor_value_info(n, TensorProto.STRING, w.shape) for n, w in want.items()], [constant])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
              directory / "strings.onnx")
    np.save(directory / "strings.s.npy", texts)
    write_runs(directory, "strings", {"s": "s"}, {n: w.astype("S") for n, w in want.items()})


def write_runs(directory, name, inputs, want):
    words = [str(directory / (name + ".onnx"))]
    words += ["--input %s=@%s" % (n, directory / ("%s.%s.npy" % (name, f))) for n, f in inputs.items()]
    for output, array in want.items():
        np.save(directory / ("%s.%s.want.npy" % (name, output)), array)
        words.append("--output %s=@%s" % (output, directory / ("%s.%s.npy" % (name, output))))
    (directory / (name + ".runs")).write_text(" ".join(words) + "\n")


def check(directory):
    passed = failed = 0
    for path in sorted(directory.glob("*.want.npy")):
        ours = path.with_name(path.name.replace(".want.npy", ".npy"))
        try:
            a, b = np.load(ours), np.load(path)
            np.testing.assert_array_equal(a, b)
            if a.dtype.kind == "f":
                np.testing.assert_array_equal(np.signbit(a), np.signbit(np.where(np.isnan(b), a, b)))
            passed += 1
        except Exception as error:  # whatever is wrong is a failure of that array
            failed += 1
            print("%s: %s" % (ours.name, error))
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(0 if passed and not failed else 1)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "check"):
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "check":
        check(directory)
    directory.mkdir(exist_ok=True)
    for name in SMALL:
        small_model(directory, name)
    string_model(directory)


if __name__ == "__main__":
    main()
