"""Other people's clients that show secrets: grpcio with metadata, tritonclient with headers.

    peer_auth.py HOST:PORT MODEL PREDICT ADMIN     the secret of who may predict, and of who may administer

MODEL takes floats. The last line is "N passed, N failed"."""
import sys
import traceback

import grpc
import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

passed = failed = 0


def equal(what, got, want):
    global passed, failed
    if got == want:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}: {got!r} is not {want!r}")


def outcome(call, *arguments, **options):
    """OK, or what gRPC or HTTP calls the failure."""
    try:
        call(*arguments, **options)
        return "OK"
    except InferenceServerException as e:
        return e.status() or e.message()
    except grpc.RpcError as e:
        return e.code().name


def main(address, model, predict, admin):
    taken = tritonclient.grpc.InferenceServerClient(address).get_model_metadata(
        model, headers={"x-api-key": predict}).inputs[0]
    shape = [max(n, 1) for n in taken.shape]
    for module, codes in ((tritonclient.http, ("401", "403")),
                          (tritonclient.grpc, ("StatusCode.UNAUTHENTICATED", "StatusCode.PERMISSION_DENIED"))):
        client = module.InferenceServerClient(address)
        x = module.InferInput(taken.name, shape, "FP32")
        x.set_data_from_numpy(np.zeros(shape, np.float32))

        def infer(headers):
            return outcome(client.infer, model, [x], headers=headers)

        def load(headers):
            return outcome(client.get_model_repository_index, headers=headers)

        what = module.__name__
        equal(f"{what}: ready for everybody", client.is_server_ready(), True)
        equal(f"{what}: bearer", infer({"Authorization": f"Bearer {predict}"} if "http" in what
                                       else {"authorization": f"Bearer {predict}"}), "OK")
        equal(f"{what}: key", infer({"x-api-key": predict}), "OK")
        equal(f"{what}: nothing", infer({}), codes[0])
        equal(f"{what}: unknown", infer({"x-api-key": "nobody's secret"}), codes[0])
        equal(f"{what}: wrong scope", infer({"x-api-key": admin}), codes[1])
        equal(f"{what}: administration", load({"x-api-key": admin}), "OK")
        equal(f"{what}: administration with the wrong scope", load({"x-api-key": predict}), codes[1])
        equal(f"{what}: time", outcome(client.infer, model, [x], headers={"x-api-key": predict}, timeout=1),
              "504" if "http" in what else "StatusCode.DEADLINE_EXCEEDED")

    channel = grpc.insecure_channel(address)
    reflect = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    list_services = b"\x3a\x00"

    def services(metadata):
        return outcome(lambda: list(reflect(iter([list_services]), metadata=metadata, timeout=60)))

    equal("grpcio: health", outcome(check, b"", timeout=60), "OK")
    equal("grpcio: reflection", services([("authorization", f"Bearer {predict}")]), "OK")
    equal("grpcio: reflection without", services([]), "UNAUTHENTICATED")
    equal("grpcio: reflection with another", services([("x-api-key", admin)]), "PERMISSION_DENIED")


try:
    main(*sys.argv[1:])
except Exception:
    failed += 1
    traceback.print_exc(file=sys.stdout)
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
