#!/usr/bin/env python3
"""Training steps: Hone and PyTorch on the CPU, the same networks, the same optimizer, in turn in one run.

    bench/train_vs_torch.py [--build DIR] [--python PYTHON] [--nets NAME ...] [--threads 1 2] [--modes eager compile] [--json]

A step is forward, loss (cross-entropy), backward and update, of one batch that stays. Hone trains what train_nets.py writes, as a file;
PyTorch (2.x, of PYTHON) the modules of train_nets_torch.py. Each runs in a process of its own that is stopped between its turns, so
that what disturbs the machine falls on all alike. A figure is the least of the rounds' medians; a ratio is PyTorch's time, of its
faster mode, by Hone's: above 1 Hone is faster; `cpu` is that of the processor time of a step, which says more where others use the
machine. `start` is the time from the start of the process to its first step.

What it needs: bench_step in DIR, onnx and numpy for this Python, torch for PYTHON (torch.compile also a C++ compiler)."""
import argparse
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import train_nets
from train_nets_shapes import SHAPES

HERE = pathlib.Path(__file__).resolve().parent


class Peer:
    """A program that says `ready …`, then takes numbers of seconds and answers the median step and the memory."""

    def __init__(self, command, threads):
        env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        self.times, self.spent, self.memory = [], [], 0.0
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=env, start_new_session=True)
        answer = self.process.stdout.readline().split()
        if answer[:1] != ["ready"]:
            said = self.process.stderr.read().strip().splitlines()
            raise RuntimeError(said[-1] if said else "ended without a word")
        self.version, self.trained, self.first = answer[1], int(answer[2]), float(answer[3])
        self.signal(signal.SIGSTOP)

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def turn(self, seconds):
        self.signal(signal.SIGCONT)
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        median, spent, self.memory = map(float, self.process.stdout.readline().split())
        self.signal(signal.SIGSTOP)
        self.times.append(median)
        self.spent.append(spent)

    def close(self):
        self.signal(signal.SIGKILL)
        self.process.wait()



def hone(args, path, name, threads):
    return Peer([args.build / "bench_step", path, "--batch", SHAPES[name][0], "--threads", threads, "--optimizer", args.optimizer], threads)


def torch(args, mode, name, threads):
    return Peer([args.python, HERE / "train_nets_torch.py", name, mode, threads, args.optimizer], threads)


def measure(args, path, name, threads):
    """A row of the table. A peer that can't run is left out, with what it said."""
    peers, row = {}, {"net": name, "threads": threads, "optimizer": args.optimizer}
    try:
        peers["hone"] = hone(args, path, name, threads)
        for mode in args.modes:
            try:
                peers[mode] = torch(args, mode, name, threads)
            except RuntimeError as failure:
                row[f"{mode}_failed"] = str(failure)
        for _ in range(args.rounds):
            for peer in peers.values():
                peer.turn(args.seconds)
    finally:
        for peer in peers.values():
            peer.close()
    for key, peer in peers.items():
        row[f"{key}_us"], row[f"{key}_cpu_us"] = min(peer.times), min(peer.spent)
        row[f"{key}_mb"], row[f"{key}_first_s"] = peer.memory, peer.first
    modes = [mode for mode in args.modes if mode in peers]
    row["trained"] = peers["hone"].trained
    if modes:
        if peers[modes[0]].trained != row["trained"]:
            row["differs"] = f"Hone trains {row['trained']} numbers, PyTorch {peers[modes[0]].trained}"
        row["torch"] = peers[modes[0]].version
        row["ratio"] = min(row[f"{m}_us"] for m in modes) / row["hone_us"]
        row["cpu"] = min(row[f"{m}_cpu_us"] for m in modes) / row["hone_cpu_us"]
        row["memory"] = row["hone_mb"] / min(row[f"{m}_mb"] for m in modes)
    return row


def geomean(numbers):
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def say(row, modes):
    cells = [f"{row['net']:15} {row['threads']}  {row['hone_us'] / 1e3:9.3f} ms"]
    cells += [f"{mode} {row[mode + '_us'] / 1e3:9.3f}" if mode + "_us" in row else f"{mode}         -" for mode in modes]
    if "ratio" in row:
        cells.append(f"{row['ratio']:5.2f} ×, cpu {row['cpu']:5.2f} ×")
        cells.append(f"memory {row['hone_mb']:5.0f} of {min(row[m + '_mb'] for m in modes if m + '_mb' in row):5.0f} MB")
    cells.append(f"start {row['hone_first_s']:.3f} s")
    notes = [row[key] for key in row if key.endswith("_failed") or key == "differs"]
    print("  ".join(cells), *notes, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=lambda name: pathlib.Path(name).resolve(), default=HERE.parent / "build/release", help="where bench_step is")
    parser.add_argument("--python", default=sys.executable, help="the Python that has torch")
    parser.add_argument("--nets", nargs="+", default=list(SHAPES), choices=list(SHAPES), metavar="NAME", help=", ".join(SHAPES))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--modes", nargs="*", default=["eager", "compile"], choices=["eager", "compile"])
    parser.add_argument("--optimizer", default="sgd", choices=["sgd", "adamw"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn")
    parser.add_argument("--json", action="store_true", help="a line for machines each")
    args = parser.parse_args()
    if not (args.build / "bench_step").exists():
        sys.exit(f"{args.build / 'bench_step'} is not there: build it, or say --build DIR")
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for name in args.nets:
            path = train_nets.write(name, directory)
            for threads in args.threads:
                try:
                    rows.append(measure(args, path, name, threads))
                except RuntimeError as failure:
                    print(f"{name}: {failure}", file=sys.stderr)
                    continue
                print(json.dumps(rows[-1])) if args.json else say(rows[-1], args.modes)
    for threads in args.threads:
        ratios = [row["ratio"] for row in rows if row["threads"] == threads and "ratio" in row]
        if ratios and not args.json:
            spent = geomean([row["cpu"] for row in rows if row["threads"] == threads and "cpu" in row])
            print(f"{threads} thread{'s' * (threads > 1)}: geomean {geomean(ratios):.2f} × (cpu {spent:.2f} ×), least {min(ratios):.2f} ×, of {len(ratios)} networks")


if __name__ == "__main__":
    main()
