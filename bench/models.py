#!/usr/bin/env python3
"""Whole models: Hone against ONNX Runtime and OpenVINO on the same files, in turn in one run, in float32 or, all but ONNX Runtime, in
bfloat16.

    bench/models.py MODEL.onnx[@BATCH] ... [--peers ort ov] [--threads 1 2] [--rounds 5] [--seconds 0.3] [--precision bfloat16] [--json]

Each peer is loaded once into a process of its own and stopped between its turns, so that what disturbs the machine falls on all of
them alike. A figure is the least of the rounds' medians; a ratio is the peer's time by Hone's, above 1 where Hone is faster. Inputs
are random numbers (integers: ones) of the declared shape, where the first dimension that is not known is BATCH, the others 1."""
import argparse
import json
import math
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = {"ort": "ONNX Runtime", "ov": "OpenVINO"}


# --- the worker: `models.py --worker PEER MODEL BATCH THREADS PRECISION`, which then reads seconds and writes a median, line by line ---


def feeds(inputs, batch):
    """Random content for (name, type, shape) of each input."""
    import numpy as np

    rng, made = np.random.default_rng(0), {}
    for name, kind, shape in inputs:
        dims = [d if isinstance(d, int) and d > 0 else batch if i == 0 else 1 for i, d in enumerate(shape)]
        made[name] = rng.random(dims).astype("f") if "float" in kind else np.ones(dims, np.int64 if "64" in kind else np.int32)
    return made


def runner(peer, path, batch, threads, precision):
    """A function of nothing that runs the model once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    content = feeds([(i.name, i.type, i.shape) for i in session.get_inputs()], batch)
    if peer == "ort":
        return lambda: session.run(None, content)
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape({name: list(x.shape) for name, x in content.items()})
    compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
                                                 "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32"})
    request = compiled.create_infer_request()
    for name, x in content.items():
        request.set_tensor(name, openvino.Tensor(x))
    return request.infer


def work(peer, path, batch, threads, precision):
    run = runner(peer, path, int(batch), int(threads), precision)
    for _ in range(3):
        run()
    print("ready", flush=True)
    for line in sys.stdin:
        times, end = [], time.perf_counter() + float(line)
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(statistics.median(times) * 1e6, flush=True)


# --- the comparison ---


class Peer:
    def __init__(self, python, peer, path, batch, threads, precision):
        self.process = subprocess.Popen([python, __file__, "--worker", peer, path, str(batch), str(threads), precision], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(self.process.stderr.read().strip().splitlines()[-1:] or ["ended without a word"])
        self.process.send_signal(signal.SIGSTOP)

    def turn(self, seconds):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        median = float(self.process.stdout.readline())
        self.process.send_signal(signal.SIGSTOP)
        return median

    def close(self):
        self.process.kill()
        self.process.wait()


class Hone:
    def __init__(self, hone, path, batch, threads, precision):
        self.command = [str(hone), "bench", path, "--batch", str(batch), "--threads", str(threads), "--precision", precision, "--json"]

    def turn(self, seconds):
        done = subprocess.run([*self.command, "--seconds", str(seconds)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)["median_us"]

    def close(self):
        pass


def measure(path, batch, threads, args):
    """Microseconds by peer; one that can't run the model is told and left out."""
    runs = {"hone": Hone(args.build / "hone", path, batch, threads, args.precision)}
    for peer in args.peers:
        try:
            runs[peer] = Peer(args.python, peer, path, batch, threads, args.precision)
        except RuntimeError as error:
            print(f"{path}: {NAMES[peer]}: {error}", file=sys.stderr)
    try:
        rounds = [{name: run.turn(args.seconds) for name, run in runs.items()} for _ in range(args.rounds)]
    finally:
        for run in runs.values():
            run.close()
    return {name: min(r[name] for r in rounds) for name in runs}


def main():
    if sys.argv[1:2] == ["--worker"]:
        return work(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL[@BATCH]")
    parser.add_argument("--build", type=lambda name: pathlib.Path(name).resolve(), default=ROOT / "build/release", help="where hone is")
    parser.add_argument("--python", default=sys.executable, help="the Python that has onnxruntime and openvino")
    parser.add_argument("--peers", nargs="+", choices=list(NAMES), default=["ort"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32", help="of Hone and OpenVINO")
    parser.add_argument("--json", action="store_true", help="a line for machines in place of each row")
    args = parser.parse_args()
    ratios = {(peer, threads): [] for peer in args.peers for threads in args.threads}
    for model in args.models:
        path, _, batch = model.partition("@")
        if not os.path.exists(path):
            parser.error(f"{path} is not there")
        for threads in args.threads:
            times = measure(path, int(batch or 1), threads, args)
            row = {"model": os.path.basename(path), "batch": int(batch or 1), "threads": threads, "us": times}
            text = f"{row['model'][:32]:32} batch {row['batch']:<4} threads {threads}  hone {times['hone'] / 1e3:9.3f} ms"
            for peer in args.peers:
                if peer in times:
                    ratios[peer, threads].append(times[peer] / times["hone"])
                    text += f"  {peer} {times[peer] / 1e3:9.3f} ms {ratios[peer, threads][-1]:5.2f}"
            print(json.dumps(row) if args.json else text, flush=True)
    for (peer, threads), found in ratios.items():
        if len(found) > 1 and not args.json:
            print(f"geometric mean against {NAMES[peer]}, {threads} threads: {math.exp(sum(map(math.log, found)) / len(found)):.2f}")


if __name__ == "__main__":
    main()
