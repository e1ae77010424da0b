#!/usr/bin/env python3
"""Whole models served: requests a second and their latency through `hone serve`, and through ONNX Runtime behind the
least of a server (ort_server.py), in turn, in one run.

     bench/serve/models.py resnet50.onnx minilm.onnx --build build/release

Open Inference Protocol with binary tensors over loopback, wrk with --connections connections that each send their next
request when they have the answer, so that both servers work at their limit; latency is what wrk measures at it. ONNX
Runtime runs with all threads for one request at a time, and with one thread for as many requests as there are threads: the
better one counts. Before anything is measured the answers of both are compared. Needs a Python with onnxruntime and numpy."""
import argparse
import json
import os
import pathlib
import re
import statistics
import sys
import tempfile

import numpy
import onnxruntime

from clients import Http1, run_program
from servers import ROOT, Hone, Peers, Process, free_port

TYPES = {"tensor(float)": (numpy.float32, "FP32"), "tensor(int64)": (numpy.int64, "INT64"),
         "tensor(int32)": (numpy.int32, "INT32")}


class Request:
    """One row of random numbers for each input; free dimensions but the first are --length."""

    def __init__(self, directory, model, length):
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        self.path, self.file = f"/v2/models/{model.stem}/infer", directory / f"{model.stem}.body"
        random, tensors, raw = numpy.random.default_rng(1), [], []
        for x in session.get_inputs():
            dtype, name = TYPES[x.type]
            shape = [d if isinstance(d, int) else 1 if i == 0 else length for i, d in enumerate(x.shape)]
            values = random.standard_normal(shape) if name == "FP32" else \
                numpy.ones(shape) if "mask" in x.name else \
                numpy.zeros(shape) if "type" in x.name else random.integers(1, 1000, shape)
            raw.append(numpy.ascontiguousarray(values, dtype).tobytes())
            tensors.append({"name": x.name, "shape": shape, "datatype": name,
                            "parameters": {"binary_data_size": len(raw[-1])}})
        head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
        self.body = b"".join([head, *raw])
        self.head = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        self.file.write_bytes(self.body)


class OrtServer(Process):
    def __init__(self, model, runs, threads):
        port = free_port()
        self.start([sys.executable, ROOT / "bench/serve/ort_server.py", model, port, "--runs", runs, "--threads", threads],
                   port=port)


def floats(answer):
    head, end = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
    return {o["name"]: o for o in head["outputs"]}, answer[end:]


def first_output(answer):
    outputs, raw = floats(answer)
    first = next(iter(outputs.values()))
    return numpy.frombuffer(raw, numpy.float32, count=int(numpy.prod(first["shape"])))


def ask(address, request):
    client = Http1(address)
    answer = client.send(request)
    client.close()
    return answer


def load(peers, server, request, seconds, connections):
    """Requests a second, and their latency in milliseconds: median and 99th percentile."""
    script = request.file.with_suffix(".lua")
    script.write_text('wrk.method = "POST"\nlocal body = assert(io.open(%s, "rb"))\nwrk.body = body:read("*a")\n' %
                      json.dumps(str(request.file)) +
                      "".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}\n" for k, v in request.head.items()))
    out = run_program(peers, [peers.path("wrk"), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency",
                              "--timeout", 60, "-s", script, server.url + request.path])
    if re.search(r"Non-2xx|Socket errors", out):
        raise RuntimeError(out)
    unit = {"us": 1e-3, "ms": 1, "s": 1e3}
    latency = {p: float(n) * unit[u] for p, n, u in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)", out)}
    return float(re.search(r"Requests/sec: *([\d.]+)", out).group(1)), latency["50"], latency["99"]


def measure(args, peers, directory, model):
    request = Request(directory, model, args.length)
    ways = [(1, args.threads), (args.threads, 1)] if args.threads > 1 else [(1, 1)]
    results = {"hone": [], **{way: [] for way in ways}}
    with Hone(args.build / "hone", {model.stem: model}, "--threads", args.threads) as hone:
        servers = {"hone": hone, **{way: OrtServer(model, *way) for way in ways}}
        try:
            expected = first_output(ask(servers[ways[0]].address, request))
            got = first_output(ask(hone.address, request))
            if not numpy.allclose(got, expected, rtol=1e-2, atol=1e-3 * float(numpy.abs(expected).max())):
                raise RuntimeError(f"{model.stem}: the answers differ by up to {numpy.abs(got - expected).max()}")
            for server in servers.values():
                load(peers, server, request, 1, args.connections)
            for _ in range(args.runs):
                for name, server in servers.items():
                    results[name].append(load(peers, server, request, args.seconds, args.connections))
        finally:
            for way in ways:
                servers[way].__exit__()
    medians = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in results.items()}
    best = max(ways, key=lambda way: medians[way][0])
    return medians["hone"], medians[best], best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 2), help="of each server (default 2)")
    parser.add_argument("--connections", type=int, default=8, help="(default 8)")
    parser.add_argument("--length", type=int, default=128, help="of free dimensions such as a sequence's (default 128)")
    parser.add_argument("--runs", type=int, default=3, help="of each server; figures are medians (default 3)")
    parser.add_argument("--seconds", type=float, default=4, help="of load in each run (default 4)")
    args = parser.parse_args()
    peers = Peers(args.build)
    print(f"{'model':24} {'':16} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8}")
    with tempfile.TemporaryDirectory() as directory:
        for model in args.models:
            ours, theirs, (runs, threads) = measure(args, peers, pathlib.Path(directory), model.resolve())
            print(f"{model.stem:24} {'hone':16} {ours[0]:8.1f} {ours[1]:8.1f} {ours[2]:8.1f}")
            print(f"{'':24} {f'ort {runs} x {threads}':16} {theirs[0]:8.1f} {theirs[1]:8.1f} {theirs[2]:8.1f}")
            print(f"{'':24} {'ratio':16} {ours[0] / theirs[0]:8.2f} {theirs[1] / ours[1]:8.2f} {theirs[2] / ours[2]:8.2f}",
                  flush=True)


if __name__ == "__main__":
    main()
