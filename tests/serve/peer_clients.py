"""The server against other people's clients: TensorFlow Serving's messages and stubs (tensorflow-serving-api) and
tritonclient, over HTTP and gRPC.

    peer_clients.py make DIR             models to serve: DIR/NAME.onnx
    peer_clients.py messages SET.bin     our .proto files (as a FileDescriptorSet) against the peers' messages
    peer_clients.py serve HOST:PORT      the clients against a server of those models
    peer_clients.py labels HOST:PORT     … against one of DIR/versions as "m", all versions, 1 being "stable"

The last line is "N passed, N failed"."""
import gzip
import json
import os
import sys
import traceback
import urllib.error
import urllib.request

import numpy as np

checks = []
passed = failed = 0


def check(function):
    checks.append(function)
    return function


def run(*arguments):
    global passed, failed
    for function in checks:
        try:
            function(*arguments)
            passed += 1
        except Exception:  # the next check may still say something
            failed += 1
            print(f"FAILED: {function.__name__}")
            traceback.print_exc(limit=-4, file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


def equal(got, want):
    assert got == want, f"{got!r} is not {want!r}"


def same(got, want):
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype and got.shape == want.shape, (got.dtype, got.shape, want.dtype, want.shape)
    assert got.tobytes() == want.tobytes(), (got, want)


# ONNX's name, NumPy's, Triton's, TensorFlow's, and values at the edges.
TYPES = [
    ("FLOAT", "float32", "FP32", "DT_FLOAT", [1.5, -0.0, 3.4e38, 1e-45, float("inf"), 0.1]),
    ("DOUBLE", "float64", "FP64", "DT_DOUBLE", [1.5, -0.0, 1.7e308, 5e-324, float("-inf"), 0.1]),
    ("FLOAT16", "float16", "FP16", "DT_HALF", [1.5, -0.0, 65504, 6e-8, float("inf"), 0.1]),
    ("INT8", "int8", "INT8", "DT_INT8", [-128, 127, 0, 1, -1, 5]),
    ("UINT8", "uint8", "UINT8", "DT_UINT8", [0, 255, 128, 1, 2, 3]),
    ("INT16", "int16", "INT16", "DT_INT16", [-32768, 32767, 0, 1, -1, 5]),
    ("UINT16", "uint16", "UINT16", "DT_UINT16", [0, 65535, 32768, 1, 2, 3]),
    ("INT32", "int32", "INT32", "DT_INT32", [-(2**31), 2**31 - 1, 0, 1, -1, 5]),
    ("UINT32", "uint32", "UINT32", "DT_UINT32", [0, 2**32 - 1, 2**31, 1, 2, 3]),
    ("INT64", "int64", "INT64", "DT_INT64", [-(2**63), 2**63 - 1, 0, 1, -1, 5]),
    ("UINT64", "uint64", "UINT64", "DT_UINT64", [0, 2**64 - 1, 2**63, 1, 2, 3]),
    ("BOOL", "bool", "BOOL", "DT_BOOL", [True, False, False, True, True, False]),
]


def example(values, dtype):
    with np.errstate(over="ignore"):
        return np.array(values, dtype=dtype).reshape(2, 3)


def make(directory):
    import onnx
    from onnx import TensorProto, helper

    def save(name, nodes, inputs, outputs, constants=()):
        graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, f"{directory}/{name}.onnx")

    info = helper.make_tensor_value_info
    for onnx_name, name, *_ in TYPES:
        kind = getattr(TensorProto, onnx_name)
        save(f"echo_{name}", [helper.make_node("Identity", ["x"], ["y"])], [info("x", kind, ["batch", 3])],
             [info("y", kind, ["batch", 3])])
    real = TensorProto.FLOAT
    save("pair", [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])],
         [info("a", real, ["batch"]), info("b", real, ["batch"])],
         [info("sum", real, ["batch"]), info("difference", real, ["batch"])])
    weights = helper.make_tensor("W", real, [3, 2], [1, 2, 3, 4, 5, 6])
    save("matrix", [helper.make_node("MatMul", ["x", "W"], ["y"])], [info("x", real, ["batch", 3])],
         [info("y", real, ["batch", 2])], [weights])


    for version in (1, 2):
        os.makedirs(f"{directory}/versions/{version}")
        weights = helper.make_tensor("W", real, [1], [version])
        save(f"versions/{version}/model", [helper.make_node("Mul", ["x", "W"], ["y"])], [info("x", real, ["batch"])],
             [info("y", real, ["batch"])], [weights])


# --- messages ---


def messages(path):
    from google.protobuf import descriptor_pb2, descriptor_pool

    import tensorflow_protos  # noqa: F401
    import tensorflow_serving.apis.model_service_pb2  # noqa: F401
    import tensorflow_serving.apis.prediction_service_pb2  # noqa: F401
    import tritonclient.grpc.service_pb2  # noqa: F401

    with open(path, "rb") as f:
        ours = descriptor_pb2.FileDescriptorSet.FromString(f.read())
    theirs = descriptor_pool.Default()
    int32, enum = descriptor_pb2.FieldDescriptorProto.TYPE_INT32, descriptor_pb2.FieldDescriptorProto.TYPE_ENUM
    count = 0

    def compare_enum(name, mine):
        peer = theirs.FindEnumTypeByName(name)
        for value in mine.value:
            equal(value.number, peer.values_by_name[value.name].number)

    def compare_message(name, mine):
        nonlocal count
        peer = theirs.FindMessageTypeByName(name)
        for field in mine.field:
            other = peer.fields_by_name[field.name]
            where = f"{name}.{field.name}"
            equal((where, field.number), (where, other.number))
            equal((where, field.label == field.LABEL_REPEATED), (where, other.is_repeated))
            if field.type != int32 or other.type != enum:
                equal((where, field.type), (where, other.type))
            if field.type_name:
                equal((where, field.type_name[1:]), (where, (other.message_type or other.enum_type).full_name))
            count += 1
        for inner in mine.nested_type:
            compare_message(f"{name}.{inner.name}", inner)
        for inner in mine.enum_type:
            compare_enum(f"{name}.{inner.name}", inner)

    for file in ours.file:
        if not file.package.startswith(("tensorflow", "inference", "google")):
            continue
        for message in file.message_type:
            compare_message(f"{file.package}.{message.name}", message)
        for values in file.enum_type:
            compare_enum(f"{file.package}.{values.name}", values)
        for service in file.service:
            peer = theirs.FindServiceByName(f"{file.package}.{service.name}")
            for method in service.method:
                other = peer.methods_by_name[method.name]
                equal(method.input_type[1:], other.input_type.full_name)
                equal(method.output_type[1:], other.output_type.full_name)
                count += 1
    assert count > 150, count


# --- TensorFlow Serving ---


def stubs(address):
    import grpc

    import tensorflow_protos  # noqa: F401
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    channel = grpc.insecure_channel(address)
    return prediction_service_pb2_grpc.PredictionServiceStub(channel), model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(model, version=None, label=None, outputs=(), **inputs):
    import tensorflow_protos  # noqa: F401
    from tensorboard.util import tensor_util
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "serving_default"
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    request.output_filter.extend(outputs)
    for name, value in inputs.items():
        request.inputs[name].ParseFromString(tensor_util.make_tensor_proto(value).SerializeToString())
    return request


def as_array(proto):
    from tensorboard.compat.proto import tensor_pb2
    from tensorboard.util import tensor_util

    unsigned = {22: (np.uint32, "uint32_val"), 23: (np.uint64, "uint64_val")}  # which TensorBoard's reader lacks
    if proto.dtype in unsigned:
        dtype, field = unsigned[proto.dtype]
        return np.array(getattr(proto, field), dtype=dtype).reshape([d.size for d in proto.tensor_shape.dim])
    return tensor_util.make_ndarray(tensor_pb2.TensorProto.FromString(proto.SerializeToString()))


def grpc_failure(call, *arguments):
    import grpc

    try:
        call(*arguments, timeout=60)
    except grpc.RpcError as e:
        assert e.details(), "an error without a sentence"
        return e.code().name
    raise AssertionError("that should have failed")


@check
def tensorflow_predicts_all_types(address):
    predictor, _ = stubs(address)
    for _, name, _, _, values in TYPES:
        x = example(values, name)
        answer = predictor.Predict(predict_request(f"echo_{name}", x=x), timeout=60)
        same(as_array(answer.outputs["y"]), x)
        equal(answer.model_spec.name, f"echo_{name}")
        equal(answer.model_spec.version.value, 1)
        equal(answer.model_spec.signature_name, "serving_default")


@check
def tensorflow_predicts_from_lists(address):
    predictor, _ = stubs(address)
    lists = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val",
             "uint32": "uint32_val", "uint64": "uint64_val", "float16": "half_val"}
    for _, name, _, kind, values in TYPES:
        from tensorboard.compat.proto import types_pb2

        x = example(values, name)
        elements = x.reshape(-1).view(np.uint16) if name == "float16" else x.reshape(-1)
        for given in (6, 2, 1):  # the last one stands for the rest
            request = predict_request(f"echo_{name}")
            proto = request.inputs["x"]
            proto.dtype = getattr(types_pb2, kind)
            for size in x.shape:
                proto.tensor_shape.dim.add(size=size)
            getattr(proto, lists.get(name, "int_val")).extend(elements[:given].tolist())
            want = x.reshape(-1).copy()
            want[given:] = want[given - 1]
            same(as_array(predictor.Predict(request, timeout=60).outputs["y"]), want.reshape(2, 3))


@check
def tensorflow_filters_and_fails(address):
    predictor, _ = stubs(address)
    a, b = np.float32([1, 2]), np.float32([3, 5])
    answer = predictor.Predict(predict_request("pair", a=a, b=b), timeout=60)
    same(as_array(answer.outputs["sum"]), a + b)
    same(as_array(answer.outputs["difference"]), a - b)
    answer = predictor.Predict(predict_request("pair", 1, outputs=["difference"], a=a, b=b), timeout=60)
    equal(list(answer.outputs), ["difference"])
    equal(grpc_failure(predictor.Predict, predict_request("nobody", a=a)), "NOT_FOUND")
    equal(grpc_failure(predictor.Predict, predict_request("pair", 9, a=a, b=b)), "NOT_FOUND")
    equal(grpc_failure(predictor.Predict, predict_request("pair", label="none", a=a, b=b)), "INVALID_ARGUMENT")
    equal(grpc_failure(predictor.Predict, predict_request("pair", a=a)), "INVALID_ARGUMENT")
    equal(grpc_failure(predictor.Predict, predict_request("pair", a=a, b=np.float64([1, 2]))), "INVALID_ARGUMENT")
    equal(grpc_failure(predictor.Predict, predict_request("pair", a=a, b=b, c=b)), "INVALID_ARGUMENT")
    equal(grpc_failure(predictor.Predict, predict_request("pair", outputs=["no"], a=a, b=b)), "INVALID_ARGUMENT")
    from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

    equal(grpc_failure(predictor.Classify, classification_pb2.ClassificationRequest()), "UNIMPLEMENTED")
    equal(grpc_failure(predictor.Regress, regression_pb2.RegressionRequest()), "UNIMPLEMENTED")
    equal(grpc_failure(predictor.MultiInference, inference_pb2.MultiInferenceRequest()), "UNIMPLEMENTED")


@check
def tensorflow_large_batches(address):
    predictor, _ = stubs(address)
    x = np.random.default_rng(1).random((100000, 3), dtype=np.float32)
    answer = predictor.Predict(predict_request("echo_float32", x=x), timeout=60)
    same(as_array(answer.outputs["y"]), x)


@check
def tensorflow_metadata(address):
    predictor, _ = stubs(address)
    from tensorflow_serving.apis import get_model_metadata_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "matrix"
    answer = predictor.GetModelMetadata(request, timeout=60)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    equal(signature.method_name, "tensorflow/serving/predict")
    equal([(k, v.name, v.dtype, [d.size for d in v.tensor_shape.dim]) for k, v in signature.inputs.items()],
          [("x", "x", 1, [-1, 3])])
    equal([(k, v.name, v.dtype, [d.size for d in v.tensor_shape.dim]) for k, v in signature.outputs.items()],
          [("y", "y", 1, [-1, 2])])
    equal(answer.model_spec.version.value, 1)


@check
def tensorflow_status(address):
    _, models = stubs(address)
    from tensorflow_serving.apis import get_model_status_pb2

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "pair"
    answer = models.GetModelStatus(request, timeout=60)
    equal([(v.version, v.state, v.status.error_code) for v in answer.model_version_status], [(1, 30, 0)])
    request.model_spec.version.value = 7
    equal(grpc_failure(models.GetModelStatus, request), "NOT_FOUND")


@check
def tensorflow_refuses_a_bad_configuration(address):
    _, models = stubs(address)
    from tensorflow_serving.apis import model_management_pb2

    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="a/b", base_path="/nowhere")
    answer = models.HandleReloadConfigRequest(request, timeout=60)
    equal(answer.status.error_code, 3)
    assert answer.status.error_message


def post(address, path, body, **fields):
    request = urllib.request.Request(f"http://{address}{path}", data=body, headers=fields)
    try:
        with urllib.request.urlopen(request, timeout=60) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


@check
def rest_of_tensorflow(address):
    for _, name, _, _, values in TYPES:
        x = example(values, name)
        status, _, answer = post(address, f"/v1/models/echo_{name}:predict", json.dumps({"inputs": x.tolist()}).encode())
        equal((name, status), (name, 200))
        same(np.array(json.loads(answer)["outputs"], dtype=name), x)
    rows = {"instances": [{"a": 1, "b": 3}, {"a": 2, "b": 5}]}
    status, _, answer = post(address, "/v1/models/pair:predict", json.dumps(rows).encode())
    equal(json.loads(answer), {"predictions": [{"sum": 4.0, "difference": -2.0}, {"sum": 7.0, "difference": -3.0}]})
    body = gzip.compress(json.dumps({"instances": [[0.5, 1.5, 2.5]] * 1000}).encode())
    status, head, answer = post(address, "/v1/models/echo_float32:predict", body,
                                **{"Content-Encoding": "gzip", "Accept-Encoding": "gzip"})
    equal((status, head["Content-Encoding"]), (200, "gzip"))
    equal(json.loads(gzip.decompress(answer)), {"predictions": [[0.5, 1.5, 2.5]] * 1000})
    status, _, answer = post(address, "/v1/models/echo_float32:predict", b"garbage", **{"Content-Encoding": "gzip"})
    equal(status, 400)
    assert json.loads(answer)["error"]


# --- Triton's clients ---


def triton(address):
    import tritonclient.grpc
    import tritonclient.http

    return [(tritonclient.http, tritonclient.http.InferenceServerClient(address)),
            (tritonclient.grpc, tritonclient.grpc.InferenceServerClient(address))]


def given(module, name, array, datatype, **options):
    x = module.InferInput(name, list(array.shape), datatype)
    x.set_data_from_numpy(array, **options)
    return x


@check
def triton_infers_all_types(address):
    for module, client in triton(address):
        over_http = module.__name__.endswith("http")
        for _, name, datatype, _, values in TYPES:
            array = example(values, name)
            for binary in (True, False) if over_http else (True,):
                if not binary and name == "float16":
                    continue  # the client itself refuses
                if not binary and not np.isfinite(array).all():
                    array = np.nan_to_num(array, posinf=2.5, neginf=-2.5)
                options = {"binary_data": binary} if over_http else {}
                answer = client.infer(f"echo_{name}", [given(module, "x", array, datatype, **options)],
                                      outputs=[module.InferRequestedOutput("y", **options)], request_id="17")
                same(answer.as_numpy("y"), array)
                response = answer.get_response()
                if not over_http:
                    equal((response.id, response.model_name, response.model_version), ("17", f"echo_{name}", "1"))
                else:
                    equal((response["id"], response["model_name"], response["model_version"]),
                          ("17", f"echo_{name}", "1"))


@check
def triton_infers_pairs(address):
    a, b = np.float32([1, 2]), np.float32([3, 5])
    for module, client in triton(address):
        inputs = [given(module, "b", b, "FP32"), given(module, "a", a, "FP32")]
        answer = client.infer("pair", inputs)
        same(answer.as_numpy("sum"), a + b)
        same(answer.as_numpy("difference"), a - b)
        answer = client.infer("pair", inputs, model_version="1", outputs=[module.InferRequestedOutput("difference")])
        same(answer.as_numpy("difference"), a - b)
        assert answer.as_numpy("sum") is None


@check
def triton_compresses(address):
    module, client = triton(address)[0]
    x = np.tile(np.float32([0.5, 1.5, 2.5]), (1000, 1))
    answer = client.infer("echo_float32", [given(module, "x", x, "FP32")], request_compression_algorithm="gzip",
                          response_compression_algorithm="gzip")
    same(answer.as_numpy("y"), x)


@check
def triton_infers_large_batches(address):
    x = np.random.default_rng(2).random((100000, 3), dtype=np.float32)
    for module, client in triton(address):
        same(client.infer("echo_float32", [given(module, "x", x, "FP32")]).as_numpy("y"), x)


@check
def triton_in_parallel(address):
    module, client = triton(address)[1]
    import queue

    answers = queue.Queue()
    for i in range(50):
        x = np.float32([[i, i + 1, i + 2]])
        client.async_infer("echo_float32", [given(module, "x", x, "FP32")],
                           callback=lambda result, error, x=x: answers.put((x, result, error)))
    for _ in range(50):
        x, result, error = answers.get(timeout=60)
        assert error is None, error
        same(result.as_numpy("y"), x)


def triton_failure(call, *arguments, **options):
    from tritonclient.utils import InferenceServerException

    try:
        call(*arguments, **options)
    except InferenceServerException as e:
        assert e.message(), "an error without a sentence"
        return str(e.status()).split(".")[-1]
    raise AssertionError("that should have failed")


@check
def triton_failures(address):
    a = np.float32([1, 2])
    for module, client in triton(address):
        http = module.__name__.endswith("http")
        missing, bad = ("404", "400") if http else ("NOT_FOUND", "INVALID_ARGUMENT")
        x = [given(module, "a", a, "FP32")]
        equal(triton_failure(client.infer, "nobody", x), missing)
        equal(triton_failure(client.infer, "pair", x, model_version="9"), missing)
        equal(triton_failure(client.infer, "pair", x), bad)
        equal(triton_failure(client.infer, "pair", x + x), bad)
        equal(triton_failure(client.infer, "pair", x + [given(module, "b", np.int32([1, 2]), "INT32")]), bad)
        equal(triton_failure(client.get_model_metadata, "nobody"), missing)
        wanted = [module.InferRequestedOutput("nothing")]
        both = x + [given(module, "b", a, "FP32")]
        equal(triton_failure(client.infer, "pair", both, outputs=wanted), bad)
        wanted = [module.InferRequestedOutput("sum", class_count=2)]
        equal(triton_failure(client.infer, "pair", both, outputs=wanted), "501" if http else "UNIMPLEMENTED")


@check
def triton_asks_about_the_server(address):
    for module, client in triton(address):
        http = module.__name__.endswith("http")
        options = {} if http else {"as_json": True}
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("pair") and client.is_model_ready("pair", "1")
        assert not client.is_model_ready("pair", "2") and not client.is_model_ready("nobody")
        server = client.get_server_metadata(**options)
        equal(server["name"], "hone")
        assert "binary_tensor_data" in server["extensions"]
        model = client.get_model_metadata("matrix", **options)
        equal((model["name"], model["versions"], len(model["inputs"])), ("matrix", ["1"], 1))
        tensor = model["inputs"][0]
        equal((tensor["name"], tensor["datatype"], [int(d) for d in tensor["shape"]]), ("x", "FP32", [-1, 3]))
        config = client.get_model_config("matrix", **options)
        config = config if http else config["config"]
        equal((config["input"][0]["data_type"], [int(d) for d in config["output"][0]["dims"]]), ("TYPE_FP32", [-1, 2]))
        index = client.get_model_repository_index(**options)
        entries = index if http else index["models"]
        assert {"pair", "matrix"} <= {e["name"] for e in entries if e["state"] == "READY"}, entries


@check
def triton_asks_for_statistics(address):
    a = np.float32([1, 2, 3])
    for module, client in triton(address):
        options = {} if module.__name__.endswith("http") else {"as_json": True}

        def counts():
            stats = client.get_inference_statistics("pair", "1", **options)["model_stats"]
            equal(len(stats), 1)
            return int(stats[0]["inference_count"]), int(stats[0]["inference_stats"]["success"]["count"])

        rows, calls = counts()
        client.infer("pair", [given(module, "a", a, "FP32"), given(module, "b", a, "FP32")])
        equal(counts(), (rows + 3, calls + 1))
        names = {m["name"] for m in client.get_inference_statistics(**options)["model_stats"]}
        assert {"pair", "matrix"} <= names, names


@check
def triton_loads_and_unloads(address):
    """What is not in the repository can't be loaded; a model that is served can be unloaded, and is gone."""
    for (module, client), victim in zip(triton(address), ["echo_int8", "echo_uint8"]):
        http = module.__name__.endswith("http")
        equal(triton_failure(client.load_model, "nobody"), "404" if http else "NOT_FOUND")
        assert client.is_model_ready(victim)
        client.unload_model(victim)
        assert not client.is_model_ready(victim)
        client.load_model(victim)
        assert client.is_model_ready(victim)


# --- labels and configurations ---


def labels(address):
    predictor, models = stubs(address)
    x = np.float32([1, 2])

    def version_of(**options):
        answer = predictor.Predict(predict_request("m", x=x, **options), timeout=60)
        version = answer.model_spec.version.value
        same(as_array(answer.outputs["y"]), x * np.float32(version))
        return version

    def rest(path):
        status, _, answer = post(address, f"/v1/models/m{path}:predict", b'{"instances": [1, 2]}')
        return json.loads(answer)["predictions"] if status == 200 else status

    equal([version_of(), version_of(label="stable"), version_of(version=1)], [2, 1, 1])
    equal([rest(""), rest("/labels/stable"), rest("/versions/1"), rest("/labels/none")],
          [[2.0, 4.0], [1.0, 2.0], [1.0, 2.0], 400])
    with urllib.request.urlopen(f"http://{address}/v1/models/m/labels/stable", timeout=60) as r:
        equal([v["version"] for v in json.loads(r.read())["model_version_status"]], ["1"])

    from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "m"
    equal([v.version for v in models.GetModelStatus(status, timeout=60).model_version_status], [2, 1])
    status.model_spec.version_label = "stable"
    equal([v.version for v in models.GetModelStatus(status, timeout=60).model_version_status], [1])

    # The label moves, and a name is added; then only one version is left.
    request = model_management_pb2.ReloadConfigRequest()
    path = os.path.abspath("models/versions")
    for name in ("m", "n"):
        config = request.config.model_config_list.config.add(name=name, base_path=path, model_platform="onnx")
        config.model_version_policy.specific.versions.extend([1, 2])
        config.version_labels["stable"] = 2
    answer = models.HandleReloadConfigRequest(request, timeout=60)
    equal((answer.status.error_code, answer.status.error_message), (0, ""))
    equal(version_of(label="stable"), 2)
    answer = predictor.Predict(predict_request("n", label="stable", x=x), timeout=60)
    equal(answer.model_spec.version.value, 2)
    del request.config.model_config_list.config[1]
    config = request.config.model_config_list.config[0]
    config.model_version_policy.latest.num_versions = 1
    answer = models.HandleReloadConfigRequest(request, timeout=60)
    equal(answer.status.error_code, 0)
    equal(grpc_failure(predictor.Predict, predict_request("n", x=x)), "NOT_FOUND")
    equal(version_of(), 2)
    # A label for a version that is not there is refused, and stays where it was.
    config.version_labels["stable"] = 7
    answer = models.HandleReloadConfigRequest(request, timeout=60)
    equal(answer.status.error_code, 9)
    assert answer.status.error_message
    equal(version_of(label="stable"), 2)


def main():
    alone = {"make": make, "messages": messages, "labels": labels}
    if len(sys.argv) != 3 or sys.argv[1] not in ("serve", *alone):
        sys.exit(__doc__)
    if sys.argv[1] in alone:
        checks[:] = [alone[sys.argv[1]]]
    run(sys.argv[2])


main()
