#!/usr/bin/env python3
"""peer_grpc.py PORT MODEL [DIRECTORY]: grpcio's clients against a server that serves MODEL (one input of 784 floats a
row), over TLS with ca.crt, client.crt and client.key of DIRECTORY. Knows no .proto file: all messages come from the
server's reflection. The last line is "N passed, N failed"."""
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
import json

import grpc
import numpy as np
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PORT, MODEL = int(sys.argv[1]), sys.argv[2]
TLS = sys.argv[3] if len(sys.argv) > 3 else None
TARGET = f"127.0.0.1:{PORT}"
passed = failed = 0


def check(what, good, *more):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print("FAILED:", what, *more)


def code_of(call, *args, **more):
    try:
        call(*args, **more)
        return grpc.StatusCode.OK, ""
    except grpc.RpcError as e:
        return e.code(), e.details()


def tls_file(name):
    return os.path.join(TLS, name)


def read_tls(name):
    with open(tls_file(name), "rb") as f:
        return f.read()


def tls_context():
    context = ssl.create_default_context(cafile=tls_file("ca.crt"))
    context.load_cert_chain(tls_file("client.crt"), tls_file("client.key"))
    return context


def rest(path, body=None):
    data = json.dumps(body).encode() if body else None
    if TLS:
        r = urllib.request.urlopen(f"https://{TARGET}{path}", data, context=tls_context())
    else:
        r = urllib.request.urlopen(f"http://{TARGET}{path}", data)
    with r:
        return json.load(r)


def images(count):
    return np.random.default_rng(count).random((count, 1, 28, 28), dtype=np.float32)


class Services:
    """Stubs and messages made from what the server says about itself."""

    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def method(self, service, name):
        m = self.pool.FindServiceByName(service).methods_by_name[name]
        answer = message_factory.GetMessageClass(m.output_type)
        return self.channel.unary_unary(f"/{service}/{name}",
                                        request_serializer=lambda x: x.SerializeToString(),
                                        response_deserializer=answer.FromString)

    def predict(self, x):
        request = self.message("tensorflow.serving.PredictRequest")()
        request.model_spec.name = MODEL
        t = request.inputs[self.input_name()]
        t.dtype = 1
        for n in x.shape:
            t.tensor_shape.dim.add().size = n
        t.tensor_content = x.tobytes()
        return request

    def input_name(self):
        d = rest(f"/v1/models/{MODEL}/metadata")
        return next(iter(d["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]))


def floats(answer):
    t = next(iter(answer.outputs.values()))
    if t.tensor_content:
        return np.frombuffer(t.tensor_content, np.float32)
    return np.array(t.float_val, np.float32)


def test_health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    check("health", stub.Check(health_pb2.HealthCheckRequest()).status == serving)
    named = health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService")
    check("health of a service", stub.Check(named).status == serving)
    code, _ = code_of(stub.Check, health_pb2.HealthCheckRequest(service="nobody"))
    check("health of nobody", code == grpc.StatusCode.NOT_FOUND, code)
    for service, state in (("", serving), ("a", serving), ("nobody", health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)):
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=service))
        told = next(watch).status
        check(f"watching {service!r}", told == state, told)
        watch.cancel()


def test_reflection(s):
    names = set(s.database.get_services())
    want = {"grpc.health.v1.Health", "tensorflow.serving.PredictionService", "inference.GRPCInferenceService",
            "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
    check("services", want <= names, names)
    for name in names:
        service = s.pool.FindServiceByName(name)
        check(f"the methods of {name}", len(service.methods) > 0)
        for m in service.methods:
            check(f"the messages of {m.full_name}", m.input_type.full_name and m.output_type.full_name)
    try:
        s.pool.FindMessageTypeByName("no.such.Thing")
        check("an unknown type", False)
    except KeyError:
        check("an unknown type", True)


def test_reflection_v1(s):
    """A client that keeps its stream open and asks one question after the other."""
    request = s.message("grpc.reflection.v1.ServerReflectionRequest")
    answer = s.message("grpc.reflection.v1.ServerReflectionResponse")
    ask = s.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                  request_serializer=lambda x: x.SerializeToString(),
                                  response_deserializer=answer.FromString)
    go_on = threading.Semaphore(1)

    def questions():
        for q in ({"list_services": ""}, {"file_containing_symbol": "inference.GRPCInferenceService.ModelInfer"},
                  {"file_by_filename": "no.proto"}):
            go_on.acquire()
            yield request(host="h", **q)
        go_on.acquire()

    got = []
    for a in ask(questions(), timeout=60):
        got.append(a)
        go_on.release()
        if len(got) == 3:
            go_on.release()
    check("a conversation", [a.WhichOneof("message_response") for a in got] ==
          ["list_services_response", "file_descriptor_response", "error_response"], got)
    check("it is told apart", got[2].error_response.error_code == 5 and got[0].valid_host == "h", got[2])


def test_predict(s):
    predict = s.method("tensorflow.serving.PredictionService", "Predict")
    for count in (1, 7):
        x = images(count)
        ours = floats(predict(s.predict(x), timeout=60))
        theirs = np.array(rest(f"/v1/models/{MODEL}:predict", {"instances": x.tolist()})["predictions"], np.float32)
        check(f"{count} images as by REST", np.allclose(ours, theirs.ravel(), atol=1e-5), ours[:4], theirs.ravel()[:4])
    x = images(4000)  # 12 MB in, more than any window
    ours = floats(predict(s.predict(x), timeout=60)).reshape(len(x), -1)
    check("many images", np.allclose(ours[17], floats(predict(s.predict(x[17:18]))), atol=1e-5))
    requests = [s.predict(images(n)) for n in range(1, 9)]
    want = [floats(predict(r)) for r in requests]
    futures = [(i % 8, predict.future(requests[i % 8], timeout=60)) for i in range(400)]
    check("400 calls at once", all(np.allclose(floats(f.result()), want[i], atol=1e-5) for i, f in futures))


def test_packing(s):
    """What is packed on the way gives the same answers: one call, and a channel that packs all of its calls."""
    predict = s.method("tensorflow.serving.PredictionService", "Predict")
    for count in (1, 300):
        request = s.predict(images(count))
        want = predict(request, timeout=60).SerializeToString()
        packed = predict(request, timeout=60, compression=grpc.Compression.Gzip).SerializeToString()
        check(f"{count} images in a packed call", packed == want)
    with open_channel(compression=grpc.Compression.Gzip) as channel:
        test_health(channel)
        packing = Services(channel)
        predict = packing.method("tensorflow.serving.PredictionService", "Predict")
        request = packing.predict(images(300))
        check("a channel that packs", predict(request, timeout=60).SerializeToString() == want)
        status = packing.message("tensorflow.serving.GetModelStatusRequest")()
        status.model_spec.name = MODEL
        check("and its status", packing.method("tensorflow.serving.ModelService", "GetModelStatus")(status, timeout=60)
              .model_version_status[0].state == 30)


def test_errors(s):
    predict = s.method("tensorflow.serving.PredictionService", "Predict")
    good = s.predict(images(1))
    bad = s.predict(images(1))
    bad.model_spec.name = "nobody"
    check("an unknown model", code_of(predict, bad)[0] == grpc.StatusCode.NOT_FOUND)
    bad = s.predict(images(1))
    next(iter(bad.inputs.values())).tensor_content = b"123"
    check("a wrong tensor", code_of(predict, bad)[0] == grpc.StatusCode.INVALID_ARGUMENT, code_of(predict, bad))
    raw = s.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    check("no message at all", code_of(raw, b"\xff\xff\xff")[0] == grpc.StatusCode.INVALID_ARGUMENT)
    code, text = code_of(predict, good, compression=grpc.Compression.Deflate)
    check("packed as nobody does", code == grpc.StatusCode.UNIMPLEMENTED and "gzip" in text, code, text)
    for path in ("/no.Such/Method", "/tensorflow.serving.PredictionService/NoSuch", "/x"):
        code, text = code_of(s.channel.unary_unary(path), b"")
        check(f"unknown: {path}", code == grpc.StatusCode.UNIMPLEMENTED and path in text, code, text)
    code, _ = code_of(predict, s.predict(images(4000)), timeout=0.0001)
    check("a deadline", code == grpc.StatusCode.DEADLINE_EXCEEDED, code)
    large = bytes(70 << 20)
    code, text = code_of(raw, large, timeout=60)
    check("a message that is too large", code == grpc.StatusCode.RESOURCE_EXHAUSTED, code, text)
    check("and the connection goes on", code_of(predict, good)[0] == grpc.StatusCode.OK)


def test_cancelling(s):
    predict = s.method("tensorflow.serving.PredictionService", "Predict")
    request = s.predict(images(500))
    for _ in range(20):
        predict.future(request).cancel()
    time.sleep(0.05)
    check("after cancelled calls", code_of(predict, s.predict(images(1)), timeout=60)[0] == grpc.StatusCode.OK)


def open_channel(**more):
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    if not TLS:
        return grpc.insecure_channel(TARGET, options=options, **more)
    credentials = grpc.ssl_channel_credentials(read_tls("ca.crt"), read_tls("client.key"), read_tls("client.crt"))
    return grpc.secure_channel(TARGET, credentials, options=options, **more)


def test_strangers():
    ca, request = read_tls("ca.crt"), health_pb2.HealthCheckRequest()
    channels = {"no certificate": grpc.secure_channel(TARGET, grpc.ssl_channel_credentials(ca)),
                "no TLS": grpc.insecure_channel(TARGET),
                "a stranger's certificate": grpc.secure_channel(TARGET, grpc.ssl_channel_credentials(
                    ca, read_tls("stranger.key"), read_tls("stranger.crt")))}
    for what, channel in channels.items():
        with channel:
            code, _ = code_of(health_pb2_grpc.HealthStub(channel).Check, request, timeout=60)
            check(what, code == grpc.StatusCode.UNAVAILABLE, code)


def main():
    if TLS:
        test_strangers()
    with open_channel() as channel:
        test_health(channel)
        s = Services(channel)
        test_reflection(s)
        test_reflection_v1(s)
        test_predict(s)
        test_packing(s)
        test_errors(s)
        test_cancelling(s)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
