"""TensorFlow Serving's own message classes without TensorFlow: the package tensorflow-serving-api imports a few of
TensorFlow's messages, which TensorBoard ships under another package name. Importing this module puts them where that
package looks for them."""
import importlib
import sys
import types

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Where TensorFlow keeps what TensorBoard has as tensorboard/compat/proto/NAME.proto.
FRAMEWORK = ["types", "tensor_shape", "resource_handle", "tensor", "attr_value", "full_type", "node_def", "op_def",
             "function", "variable", "versions", "graph_debug_info", "graph"]
PROTOBUF = ["struct", "saver", "trackable_object_graph", "saved_object_graph", "meta_graph"]
PLACE = {**{n: f"tensorflow/core/framework/{n}.proto" for n in FRAMEWORK},
         **{n: f"tensorflow/core/protobuf/{n}.proto" for n in PROTOBUF}}
# Of these only the names are needed: what is served has no such messages.
EMPTY = {"tensorflow/core/example/example.proto": ["Example"]}


def _module_name(path):
    return path[: -len(".proto")].replace("/", ".") + "_pb2"


def _publish(path, file):
    """Makes `import tensorflow.core.….x_pb2` find the messages and enums of a file."""
    name = _module_name(path)
    module = types.ModuleType(name)
    module.DESCRIPTOR = file
    for message in file.message_types_by_name.values():
        setattr(module, message.name, message_factory.GetMessageClass(message))
    for enum in file.enum_types_by_name.values():
        for value in enum.values:
            setattr(module, value.name, value.number)
    parts = name.split(".")
    for i in range(1, len(parts)):
        package = ".".join(parts[:i])
        if package not in sys.modules:
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = []
    sys.modules[name] = module
    setattr(sys.modules[".".join(parts[:-1])], parts[-1], module)
    return module


def _renamed(path, source):
    """The descriptor of a file of TensorBoard's under TensorFlow's name."""
    file = descriptor_pb2.FileDescriptorProto.FromString(source.serialized_pb)
    file.name = path
    file.package = "tensorflow"
    for i, dependency in enumerate(file.dependency):
        stem = dependency.rsplit("/", 1)[-1][: -len(".proto")]
        if dependency.startswith("tensorboard/"):
            file.dependency[i] = PLACE[stem]
    pending = list(file.message_type)
    while pending:
        message = pending.pop()
        pending.extend(message.nested_type)
        for field in message.field:
            if field.type_name.startswith(".tensorboard."):
                field.type_name = ".tensorflow." + field.type_name[len(".tensorboard."):]
    return file


def load():
    pool = descriptor_pool.Default()
    for path, messages in EMPTY.items():
        file = descriptor_pb2.FileDescriptorProto(name=path, package="tensorflow", syntax="proto3")
        for name in messages:
            file.message_type.add(name=name)
        pool.AddSerializedFile(file.SerializeToString())
        _publish(path, pool.FindFileByName(path))
    codes = descriptor_pb2.FileDescriptorProto(name="tensorflow/core/protobuf/error_codes.proto",
                                               package="tensorflow.error", syntax="proto3")
    enum = codes.enum_type.add(name="Code")
    for number, name in enumerate(["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
                                   "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
                                   "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
                                   "UNAUTHENTICATED"]):
        enum.value.add(name=name, number=number)
    pool.AddSerializedFile(codes.SerializeToString())
    module = _publish(codes.name, pool.FindFileByName(codes.name))
    # The file that TensorFlow's passes on to its users.
    module.xla_dot_tsl_dot_protobuf_dot_error__codes__pb2 = module
    added = set()

    def add(stem):
        if stem in added:
            return
        added.add(stem)
        source = importlib.import_module(f"tensorboard.compat.proto.{stem}_pb2").DESCRIPTOR
        for dependency in source.dependencies:
            if dependency.name.startswith("tensorboard/"):
                add(dependency.name.rsplit("/", 1)[-1][: -len(".proto")])
        if stem not in PLACE:
            raise KeyError(f"where does TensorFlow keep {stem}.proto?")
        pool.AddSerializedFile(_renamed(PLACE[stem], source).SerializeToString())
        _publish(PLACE[stem], pool.FindFileByName(PLACE[stem]))

    for stem in ["types", "tensor_shape", "tensor", "meta_graph"]:
        add(stem)


load()
