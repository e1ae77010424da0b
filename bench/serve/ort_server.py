#!/usr/bin/env python3
"""ONNX Runtime behind the least of a server: Open Inference Protocol over HTTP/1.1 with binary tensors, a thread for
each connection, as many runs at a time as --runs says. A peer of bench/serve/models.py.

     ort_server.py MODEL.onnx PORT --runs 2 --threads 1"""
import argparse
import json
import socket
import threading

import numpy
import onnxruntime

DTYPES = {"FP32": numpy.float32, "INT64": numpy.int64, "INT32": numpy.int32}
NAMES = {numpy.dtype(v).name: k for k, v in DTYPES.items()}


def read_request(stream):
    """Body and length of the JSON in front of it; None at the end."""
    if not stream.readline():
        return None
    size = head = 0
    while (line := stream.readline().strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
        elif name.lower() == b"inference-header-content-length":
            head = int(value)
    return stream.read(size), head


def inputs_of(body, head):
    feeds, at = {}, head
    for tensor in json.loads(body[:head])["inputs"]:
        size = tensor["parameters"]["binary_data_size"]
        feeds[tensor["name"]] = numpy.frombuffer(body, DTYPES[tensor["datatype"]], count=size // DTYPES[
            tensor["datatype"]]().itemsize, offset=at).reshape(tensor["shape"])
        at += size
    return feeds


def answer_of(names, results):
    raw = [numpy.ascontiguousarray(r).tobytes() for r in results]
    head = json.dumps({"model_name": "model", "outputs": [
        {"name": n, "datatype": NAMES[r.dtype.name], "shape": r.shape, "parameters": {"binary_data_size": len(b)}}
        for n, r, b in zip(names, results, raw)]}).encode()
    fields = f"HTTP/1.1 200 OK\r\nContent-Length: {len(head) + sum(map(len, raw))}\r\n" \
             f"Inference-Header-Content-Length: {len(head)}\r\n\r\n"
    return b"".join([fields.encode(), head, *raw])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("port", type=int)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    free = threading.Semaphore(args.runs)

    def serve(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb", 1 << 20) as stream:
            while (request := read_request(stream)):
                feeds = inputs_of(*request)
                with free:
                    results = session.run(names, feeds)
                connection.sendall(answer_of(names, results))

    with socket.create_server(("127.0.0.1", args.port), backlog=1024) as listener:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
