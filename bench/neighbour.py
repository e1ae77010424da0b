#!/usr/bin/env python3
"""What a busy neighbour costs: whole models with one thread and with one for each CPU, beside a process that spins on one CPU, and
without it.

    bench/neighbour.py MODEL.onnx ... [--threads 2] [--rounds 10] [--seconds 0.2] [--build DIR]

All turns of a round follow each other, so that what else disturbs the machine falls on all alike. A figure is the median of the rounds'
medians, and behind it the least. A thread that loses half of its CPU cannot do its half: what is fair for two threads lies between the
times of two threads and of one without a neighbour, or a little above."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def spin(cpu):
    os.sched_setaffinity(0, {cpu})
    while True:
        pass


def turn(args, model, threads, busy):
    neighbour = subprocess.Popen([sys.executable, __file__, "--spin", str(args.cpu)]) if busy else None
    try:
        done = subprocess.run([args.build / "hone", "bench", model, "--threads", str(threads), "--seconds", str(args.seconds), "--json"],
                              capture_output=True, text=True, check=True)
    finally:
        if neighbour:
            neighbour.kill()
            neighbour.wait()
    return json.loads(done.stdout)["median_us"]


def main():
    if sys.argv[1:2] == ["--spin"]:
        spin(int(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--build", type=lambda name: pathlib.Path(name).resolve(), default=ROOT / "build/release", help="where hone is")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)), help="where the neighbour spins")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a turn")
    args = parser.parse_args()
    kinds = [(1, False), (args.threads, False), (1, True), (args.threads, True)]
    for model in args.models:
        rounds = [[turn(args, model, *kind) for kind in kinds] for _ in range(args.rounds)]
        print(f"{os.path.basename(model)[:32]:32}", end="")
        for (threads, busy), times in zip(kinds, zip(*rounds)):
            print(f"  {threads} thread{'s' if threads > 1 else ''}{', neighbour' if busy else ''}"
                  f" {statistics.median(times) / 1e3:.3f} ({min(times) / 1e3:.3f})", end="")
        print(" ms", flush=True)


if __name__ == "__main__":
    main()
