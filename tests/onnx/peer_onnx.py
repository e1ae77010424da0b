#!/usr/bin/env python3
"""Has the onnx package check and read the files that onnx_test_write made.

    onnx_test_write DIR && peer_onnx.py DIR

Every DIR/NAME.onnx must pass onnx.checker, and what onnx reads in it must be, line for line, what DIR/NAME.txt says (if
it is there), which onnx_test_write wrote from the graph itself. The last line is "N passed, N failed"; the exit status is 1 if any
failed."""

import pathlib
import sys

import onnx
from onnx import checker, external_data_helper, numpy_helper, shape_inference


def dims_of(tensor_type):
    if not tensor_type.HasField("shape"):
        return "-1"
    parts = [str(len(tensor_type.shape.dim))]
    for dim in tensor_type.shape.dim:
        if dim.HasField("dim_param"):
            parts.append(dim.dim_param)
        elif dim.HasField("dim_value"):
            parts.append(str(dim.dim_value))
        else:
            parts.append("?")
    return " ".join(parts)


def tensor_of(tensor):
    head = " ".join([str(tensor.data_type), str(len(tensor.dims))] + [str(d) for d in tensor.dims])
    if tensor.data_type == onnx.TensorProto.STRING:
        return head + " = " + "".join("'%s'" % s.decode() for s in tensor.string_data)
    return head + " = " + tensor.raw_data[:4096].hex()


def attribute_of(attribute):
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type == onnx.AttributeProto.FLOAT:
        value = "%.9g" % value
    elif attribute.type == onnx.AttributeProto.STRING:
        value = value.decode()
    return "attribute %s %d %s" % (attribute.name, attribute.type, value)


def describe(model):
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    graph = model.graph
    yield "ir %d" % model.ir_version
    yield "opset %d" % opsets[""]
    yield "producer %s %s" % (model.producer_name, model.producer_version)
    yield "graph %s" % graph.name
    yield "doc %s" % graph.doc_string
    for entry in model.metadata_props:
        yield "metadata %s %s" % (entry.key, entry.value.replace("\n", "|"))
    for tensor in graph.initializer:
        yield "initializer %s %s" % (tensor.name, tensor_of(tensor))
    for what, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            kind = value.type.tensor_type
            yield "%s %s %d %s" % (what, value.name, kind.elem_type, dims_of(kind))
    for node in graph.node:
        inputs = " ".join(name or "-" for name in node.input)
        yield "node %s %s: %s -> %s" % (node.op_type, node.name, inputs, " ".join(node.output))
        yield from (attribute_of(attribute) for attribute in node.attribute)


def check_unknown(message, path):
    """A wrong field number would show as a field that onnx does not know."""
    from google.protobuf import unknown_fields

    if len(unknown_fields.UnknownFieldSet(message)):
        raise ValueError("%s has fields that onnx does not know" % path)
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            repeated = not hasattr(value, "ListFields")
            for part in value if repeated else [value]:
                check_unknown(part, path + "." + field.name)


def check_tensors(model):
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if list(array.shape) != list(tensor.dims):
            raise ValueError("%s has shape %s" % (tensor.name, array.shape))


def check_file(path):
    model = onnx.load(path)  # with its external data
    checker.check_model(str(path), full_check=True)
    check_unknown(onnx.load(path, load_external_data=False), "model")
    check_tensors(model)
    shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    for tensor in model.graph.initializer:
        if external_data_helper.uses_external_data(tensor):
            raise ValueError("%s was not loaded" % tensor.name)
    if not path.with_suffix(".txt").exists():
        return
    found = list(describe(model))
    wanted = path.with_suffix(".txt").read_text(encoding="utf-8").split("\n")[:-1]
    for a, b in zip(found, wanted):
        if a != b:
            raise ValueError("onnx reads %r where Hone wrote %r" % (a[:200], b[:200]))
    if len(found) != len(wanted):
        raise ValueError("onnx reads %d facts where Hone wrote %d" % (len(found), len(wanted)))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    passed = failed = 0
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
        try:
            check_file(path)
            passed += 1
        except Exception as error:  # whatever onnx raises is a failure of that file
            failed += 1
            print("%s: %s: %s" % (path, type(error).__name__, error))
    if passed + failed == 0:
        failed = 1
        print("%s: no .onnx files" % sys.argv[1])
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
