#!/usr/bin/env python3
"""Making a model ready to run: Hone against ONNX Runtime on the same files, in turn in one run.

    bench/load.py MODEL.onnx ... [--threads 1 2] [--turns 5] [--rounds 3]

A turn is a fresh process that loads the model ROUNDS times. A figure is the median of all loads in milliseconds, and the memory that
the process had at most beyond what it had before (MB); ratios are Hone's by ONNX Runtime's, below 1 where Hone needs less."""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def memory(field):
    with open("/proc/self/status") as lines:
        return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def work(path, threads, rounds):
    """ONNX Runtime's turn: a line of JSON."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = int(threads), 3
    before, times = memory("VmRSS"), []
    for _ in range(int(rounds)):
        start = time.perf_counter()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        times.append(1e3 * (time.perf_counter() - start))
        del session
    print(json.dumps({"ms": times, "mb": memory("VmHWM") - before}))


def turn(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def figures(turns):
    return {"ms": statistics.median(ms for t in turns for ms in t["ms"]), "mb": statistics.median(t["mb"] for t in turns)}


def main():
    if sys.argv[1:2] == ["--worker"]:
        return work(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", help="where bench_load is")
    parser.add_argument("--python", default=sys.executable, help="the Python that has onnxruntime")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    ratios = {"ms": [], "mb": []}
    print(f"{'model':24} threads    Hone ms   ONNX Runtime   ratio     MB   ONNX Runtime   ratio")
    for path in args.models:
        for threads in args.threads:
            hone = [args.build.resolve() / "bench_load", path, "--threads", threads, "--rounds", args.rounds, "--json"]
            peer = [args.python, __file__, "--worker", path, threads, args.rounds]
            pairs = [(turn(hone), turn(peer)) for _ in range(args.turns)]
            ours, theirs = figures([h for h, _ in pairs]), figures([p for _, p in pairs])
            for name, list_ in ratios.items():
                list_.append(ours[name] / theirs[name])
            print(f"{pathlib.Path(path).stem:24} {threads:7} {ours['ms']:10.1f} {theirs['ms']:14.1f} {ratios['ms'][-1]:7.2f} "
                  f"{ours['mb']:6.0f} {theirs['mb']:14.0f} {ratios['mb'][-1]:7.2f}", flush=True)
    means = {name: math.exp(statistics.fmean(map(math.log, list_))) for name, list_ in ratios.items()}
    print(f"{'geometric mean':24} {'':7} {'':10} {'':14} {means['ms']:7.2f} {'':6} {'':14} {means['mb']:7.2f}")


if __name__ == "__main__":
    main()
