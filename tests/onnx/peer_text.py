#!/usr/bin/env python3
"""Writes models as onnx and protobuf write them as text, each beside the model itself: for tests/cli/once_text.sh."""
import numpy as np
import onnx
from google.protobuf import json_format, text_format
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper, parser, printer

OPSETS = [h.make_opsetid("", 17), h.make_opsetid("my.own", 1)]
rng = np.random.default_rng(1)


def tensor(name, dtype, shape):
    return h.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, initializers=(), functions=(), name="g/1 of me"):
    held = [numpy_helper.from_array(v, k) for k, v in initializers]
    m = h.make_model(h.make_graph(nodes, name, inputs, outputs, held), opset_imports=OPSETS, ir_version=8,
                     functions=list(functions), producer_name='a "maker" \\ of models')
    m.metadata_props.add(key="what", value="says\nmore")
    return m


def layers():
    w = [rng.standard_normal(s).astype(np.float32) for s in ((8, 3, 3, 3), (8,), (8 * 4 * 4, 5))]
    return model([h.make_node("Conv", ["x", "w0", "w1"], ["c"], name="conv/1", pads=[1, 1, 1, 1], strides=[2, 2]),
                  h.make_node("Clip", ["c", "", "most"], ["r"]), h.make_node("Flatten", ["r"], ["f"], axis=1),
                  h.make_node("Gemm", ["f", "w2"], ["y"], alpha=0.5)],
                 [tensor("x", T.FLOAT, [1, 3, 8, 8])], [tensor("y", T.FLOAT, [1, 5])],
                 [(f"w{i}", v) for i, v in enumerate(w)] + [("most", np.array(1.5, np.float32))])


def branches():
    one = h.make_graph([h.make_node("Neg", ["x"], ["a"])], "one", [], [tensor("a", T.FLOAT, [3])])
    two = h.make_graph([h.make_node("Mul", ["x", "k"], ["b"])], "two", [], [tensor("b", T.FLOAT, [3])])
    return model([h.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.array([1, 2, 3], np.float32))),
                  h.make_node("ReduceSum", ["x"], ["sum"], keepdims=0), h.make_node("Constant", [], ["zero"], value_float=0.0),
                  h.make_node("Greater", ["sum", "zero"], ["c"]),
                  h.make_node("If", ["c"], ["y"], then_branch=one, else_branch=two)],
                 [tensor("x", T.FLOAT, [3])], [tensor("y", T.FLOAT, [3])])


def dtypes():
    values = {"f64": np.array([1.25, -1e300]), "f16": np.array([1.5, -2], np.float16), "i8": np.array([-128, 5], np.int8),
              "u64": np.array([2**64 - 1, 1], np.uint64), "b": np.array([True, False]), "u32": np.array([7, 4294967295], np.uint32),
              "i64": np.array([-(2**63), 4]), "s": np.array(["a\"b\\", "cé\n"], dtype=object)}
    return model([h.make_node("Identity", [k], [k + "_y"]) for k in values],
                 [tensor("x", T.FLOAT, [1])],
                 [tensor(k + "_y", h.np_dtype_to_tensor_dtype(v.dtype), [2]) for k, v in values.items()], values.items())


def functions():
    f = h.make_function("my.own", "scaled", ["a"], ["b"],
                        [h.make_node("Constant", [], ["by"], value_floats=[2.0]), h.make_node("Mul", ["a", "by"], ["b"])],
                        [h.make_opsetid("", 17)], [])
    return model([h.make_node("scaled", ["x"], ["h"], domain="my.own"), h.make_node("scaled", ["h"], ["y"], domain="my.own")],
                 [tensor("x", T.FLOAT, ["n"])], [tensor("y", T.FLOAT, ["n"])], functions=[f])


def main():
    for name, make, shape in (("layers", layers, (1, 3, 8, 8)), ("branches", branches, (3,)), ("dtypes", dtypes, (1,)),
                              ("functions", functions, (4,))):
        m = make()
        onnx.checker.check_model(m)
        onnx.save(m, f"{name}.onnx")
        np.save(f"{name}.npy", rng.standard_normal(shape).astype(np.float32))
        # by name of none of them: what they are is told by their content
        open(f"{name}.json.onnx", "w").write(json_format.MessageToJson(m))
        open(f"{name}.snake.onnx", "w").write(json_format.MessageToJson(m, preserving_proto_field_name=True, indent=None))
        open(f"{name}.proto.onnx", "w").write(text_format.MessageToString(m))
        open(f"{name}.line.onnx", "w").write(text_format.MessageToString(m, as_one_line=True))
        text = printer.to_text(m)
        # six digits of a float are left in it: what onnx itself reads of it is what counts
        onnx.save(m if name == "dtypes" else parser.parse_model(text), f"{name}.parsed.onnx")
        open(f"{name}.text.onnx", "w").write(text)
        print(name)


main()
