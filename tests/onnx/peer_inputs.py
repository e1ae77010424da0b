#!/usr/bin/env python3
"""Makes models and inputs of all kinds that values can be, for tests/cli/once_inputs.sh."""
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

OPSET = [h.make_opsetid("", 17), h.make_opsetid("ai.onnx.ml", 3)]


def save(name, nodes, inputs, outputs, initializers=()):
    g = h.make_graph(nodes, name, inputs, outputs, [numpy_helper.from_array(v, k) for k, v in initializers])
    onnx.save(h.make_model(g, opset_imports=OPSET, ir_version=8), f"{name}.onnx")


def tensor(name, dtype, shape):
    return h.make_tensor_value_info(name, dtype, shape)


def sequence(name, dtype):
    return h.make_tensor_sequence_value_info(name, dtype, None)


def models():
    names = ['{"o": 1}', "a=@b", "a", "q'u \"o:te", "tail="]
    save("names", [h.make_node("Neg", [n], [n + "_out" if n != names[0] else '{"y": 2}']) for n in names],
         [tensor(n, T.FLOAT, [2]) for n in names],
         [tensor(n + "_out" if n != names[0] else '{"y": 2}', T.FLOAT, [2]) for n in names])
    save("dtypes", [h.make_node("Identity", [n], [n + "_y"]) for n in ("f32", "f16", "i8", "i64", "b")],
         [tensor("f32", T.FLOAT, [3]), tensor("f16", T.FLOAT16, [3]), tensor("i8", T.INT8, [3]),
          tensor("i64", T.INT64, [3]), tensor("b", T.BOOL, [3])],
         [tensor("f32_y", T.FLOAT, [3]), tensor("f16_y", T.FLOAT16, [3]), tensor("i8_y", T.INT8, [3]),
          tensor("i64_y", T.INT64, [3]), tensor("b_y", T.BOOL, [3])])
    save("shaped", [h.make_node("Reshape", ["x", "shape"], ["y"]), h.make_node("Mul", ["y", "w"], ["z"])],
         [tensor("x", T.FLOAT, [6]), tensor("shape", T.INT64, [2]), tensor("w", T.FLOAT, [1])],
         [tensor("z", T.FLOAT, None)],
         [("shape", np.array([2, 3], np.int64)), ("w", np.array([2], np.float32))])
    save("sequences", [h.make_node("SequenceAt", ["s", "i"], ["one"]), h.make_node("SequenceErase", ["s", "i"], ["rest"])],
         [sequence("s", T.FLOAT), tensor("i", T.INT64, [])],
         [tensor("one", T.FLOAT, None), sequence("rest", T.FLOAT)])
    optional = h.make_optional_type_proto(h.make_tensor_type_proto(T.FLOAT, [2]))
    save("optional", [h.make_node("OptionalHasElement", ["o"], ["has"]), h.make_node("Identity", ["o"], ["same"])],
         [h.make_value_info("o", optional)], [tensor("has", T.BOOL, []), h.make_value_info("same", optional)])
    of_maps = h.make_sequence_type_proto(h.make_map_type_proto(T.STRING, h.make_tensor_type_proto(T.FLOAT, [])))
    save("maps", [], [h.make_value_info("z", of_maps)], [h.make_value_info("z", of_maps)])
    save("dynamic", [h.make_node("Add", ["a", "b"], ["y"])],
         [tensor("a", T.FLOAT, ["n", "m"]), tensor("b", T.FLOAT, ["n", "m"])], [tensor("y", T.FLOAT, ["n", "m"])])
    save("nothing", [h.make_node("ConstantOfShape", ["s"], ["y"])], [], [tensor("y", T.FLOAT, [2])],
         [("s", np.array([2], np.int64))])
    for name, dtype, shape in (("nchw", T.FLOAT, [1, 3, 2, 2]), ("nhwc", T.UINT8, ["n", "h", "w", 3]),
                               ("gray", T.FLOAT16, [4, 4]), ("sound", T.FLOAT, [1, "n"]), ("fixed", T.FLOAT, [4]),
                               ("texts", T.STRING, ["n", 1]), ("pictures", T.UINT8, ["n", 5, "h", "w"])):
        save(name, [h.make_node("Identity", ["x"], ["y"])], [tensor("x", dtype, shape)], [tensor("y", dtype, shape)])
    save("decoder", [h.make_node("ImageDecoder", ["x"], ["y"], pixel_format="BGR")], [tensor("x", T.UINT8, ["n"])],
         [tensor("y", T.UINT8, [None, None, 3])])
    m = onnx.load("decoder.onnx")
    m.opset_import[0].version = 20
    onnx.save(m, "decoder.onnx")
    g = h.make_graph([h.make_node("Whirl", ["x"], [f"y{i}"], f"n{i}") for i in range(3)], "lacking",
                     [tensor("x", T.FLOAT, [1])], [tensor(f"y{i}", T.FLOAT, [1]) for i in range(3)])
    onnx.save(h.make_model(g, opset_imports=OPSET, ir_version=8), "lacking.onnx")


def arrays():
    np.save("two.npy", np.array([1, 2], np.float32))
    np.save("f64.npy", np.array([0.5, 1.5, -2], np.float64))
    np.save("large.npy", np.array([0.5, 1e300, -2], np.float64))
    np.save("i64.npy", np.array([1, -2, 3]))
    np.save("300.npy", np.array([1, 300, 3]))
    np.save("bool.npy", np.array([True, False, True]))
    np.save("six.npy", np.arange(6, dtype=np.float32))
    np.save("shape.npy", np.array([3, 2], np.int32))
    np.save("long.npy", np.array([3, 2, 1]))
    np.save("wrong.npy", np.array([4, 2]))
    np.save("w.npy", np.array([10.0]))
    np.save("zero.npy", np.array(0))
    np.save("index.npy", np.array(2, np.uint8))
    np.save("4x5.npy", np.ones((4, 5), np.float32))
    np.savez("seq.npz", *[np.full((i + 1,), i, np.float64) for i in range(11)])
    np.save("bytes.npy", np.frombuffer(open("four.ppm", "rb").read(), np.uint8))
    np.save("broken.npy", np.frombuffer(open("four.ppm", "rb").read(), np.uint8)[:-1])
    np.savez("texts.npz", arr_0=np.array(["a"]))
    np.savez("by_name.npz", x=np.arange(6, dtype=np.float32), other=np.zeros(1))
    items = [np.array([1.5], np.float32), np.array([[2, 3]], np.float32)]
    pathlib.Path("seq.pb").write_bytes(numpy_helper.from_list(items, "s").SerializeToString())
    maps = onnx.SequenceProto(elem_type=onnx.SequenceProto.MAP)
    for row in ([0.25, 0.75], [1, 0]):
        m = maps.map_values.add(key_type=T.STRING, string_keys=[b"cat", "d\u00f6g".encode()])
        m.values.CopyFrom(numpy_helper.from_list([np.array(x, np.float32) for x in row]))
    pathlib.Path("maps.pb").write_bytes(maps.SerializeToString())
    some = numpy_helper.from_optional(items[1][0], "o", onnx.OptionalProto.TENSOR)
    pathlib.Path("some.pb").write_bytes(some.SerializeToString())
    pathlib.Path("none.pb").write_bytes(onnx.OptionalProto(name="o").SerializeToString())
    pathlib.Path("x.pb").write_bytes(numpy_helper.from_array(np.arange(6, dtype=np.float32)).SerializeToString())
    pathlib.Path("map.json").write_text(json.dumps({n: "two.npy" for n in ("a=@b", "a", "tail=")}))


def check():
    """What hone wrote."""
    rest = np.load("rest.npz")
    assert sorted(rest.files) == sorted(f"arr_{i}" for i in range(10)), rest.files
    for i in range(10):
        k = i + (i >= 2)
        assert rest[f"arr_{i}"].dtype == np.float32 and (rest[f"arr_{i}"] == np.full((k + 1,), k)).all()
    z = json.load(open("z.json"))
    assert z == [{"cat": 0.25, "dög": 0.75}, {"cat": 1.0, "dög": 0.0}], z
    assert (np.load("f16.npy") == np.array([0.5, 1.5, -2], np.float16)).all()
    assert (np.load("one.npz")["one"] == np.zeros(1)).all()


if sys.argv[1] == "make":
    models()
    arrays()
else:
    check()
