#!/usr/bin/env python3
"""Training steps a second: Hone and PyTorch on the CPU, the same network (784-128-10, ReLU), SGD with momentum, one
thread each, measured in turn in one run; and Hone on two threads against one.

    bench/train_vs_torch.py [--build DIR] [--python /usr/bin/python3] [--rounds 21] [--batch 64] [--json]

Both gather their batches from the same random images in a random order. PyTorch gets them as standardized floats; Hone
keeps bytes, converts them and standardizes inside the network, and also computes loss and accuracy: it does more.

What it needs beside Hone's build: PyTorch, and a BLAS that is worth comparing with:

    apt-get install python3-torch libopenblas0-pthread

Without libopenblas0-pthread Debian's PyTorch multiplies with the reference BLAS and is some 13 times slower: that
proves nothing, so the library that it really multiplies with is looked up, and no ratio is given then. Without
PyTorch only Hone is measured."""
import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
INSTALL = "apt-get install python3-torch libopenblas0-pthread"
TUNED_BLAS = ("openblas", "mkl", "blis", "atlas", "libtorch")
IMAGES, FEATURES, HIDDEN, CLASSES = 8192, 784, 128, 10

TORCH = r"""
import ctypes, sys, time
import torch
images, labels, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(1)
x = torch.frombuffer(bytearray(open(images, "rb").read()[16:]), dtype=torch.uint8).reshape(-1, %d).float() / 255
y = torch.frombuffer(bytearray(open(labels, "rb").read()[8:]), dtype=torch.uint8).long()
x = (x - x.mean()) / x.std()
net = torch.nn.Sequential(torch.nn.Linear(%d, %d), torch.nn.ReLU(), torch.nn.Linear(%d, %d))
loss_of = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

def batches():
    while True:
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch):
            chosen = order[i:i + batch]
            yield x[chosen], y[chosen]

source = batches()
def steps(n):
    for _ in range(n):
        xb, yb = next(source)
        optimizer.zero_grad(set_to_none=True)
        loss_of(net(xb), yb).backward()
        optimizer.step()

steps(50)

def multiplier():  # the library whose sgemm PyTorch calls; one of its own unless there is another
    code = [line.split() for line in open("/proc/self/maps") if "r-xp" in line and "/" in line]
    torch_path = next(c[-1] for c in code if "libtorch_cpu" in c[-1])
    sgemm = getattr(ctypes.CDLL(torch_path), "sgemm_", None)
    at = ctypes.cast(sgemm, ctypes.c_void_p).value if sgemm else 0
    ranges = [[int(x, 16) for x in c[0].split("-")] + [c[-1]] for c in code]
    return next((path for low, high, path in ranges if low <= at < high), torch_path)

print("ready", torch.__version__, multiplier(), flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    steps(int(line))
    print(time.perf_counter() - start, flush=True)
""" % (FEATURES, FEATURES, HIDDEN, HIDDEN, CLASSES)


def write_images(directory):
    """Random images as an idx:DIR."""
    pixels = os.urandom(IMAGES * FEATURES)
    labels = bytes(i % CLASSES for i in os.urandom(IMAGES))
    for part in ("train", "t10k"):
        (directory / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, IMAGES, 28, 28) + pixels)
        (directory / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, IMAGES) + labels)


class Peer:
    """A program that says `ready`, then takes numbers of steps and answers seconds."""

    def __init__(self, name, command):
        env = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
        self.name, self.times = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.greeting = self.process.stdout.readline().split()
        if not self.greeting or self.greeting[0] != "ready":
            sys.exit(f"{name} did not start: {' '.join(map(str, command))}")

    def run(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        seconds = float(self.process.stdout.readline())
        self.times.append(seconds / steps)
        return seconds

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def median(self):
        return statistics.median(self.times)


def ratio(slow, fast):
    """The median of the rounds' ratios: what slows a whole round down slows both."""
    return statistics.median(a / b for a, b in zip(slow.times, fast.times))


def measure(args, directory):
    write_images(directory)
    bench = [str(args.build / "bench_train"), "--rounds", "--data", f"idx:{directory}", "--batch", str(args.batch)]
    peers = [Peer("Hone, 1 thread", bench + ["--threads", "1"]), Peer("Hone, 2 threads", bench + ["--threads", "2"])]
    files = [str(directory / "train-images-idx3-ubyte"), str(directory / "train-labels-idx1-ubyte")]
    if subprocess.run([args.python, "-c", "import torch"], capture_output=True).returncode == 0:
        peers.append(Peer("PyTorch, 1 thread", [args.python, "-c", TORCH, *files, str(args.batch)]))
    per_round = [max(1, int(0.05 / (p.run(20) / 20))) for p in peers]
    for p in peers:
        p.times.clear()
    for _ in range(args.rounds):
        for p, steps in zip(peers, per_round):
            p.run(steps)
    for p in peers:
        p.close()
    return peers


def report(args, peers):
    one, two = peers[:2]
    out = {"batch": args.batch, "rounds": args.rounds,
           "hone_steps_per_second": 1 / one.median(), "hone_two_threads_steps_per_second": 1 / two.median(),
           "two_threads_over_one": ratio(one, two)}
    note = f"{args.python} cannot import torch: only Hone was measured. To compare: {INSTALL}"
    if len(peers) == 3:
        torch, blas = peers[2], peers[2].greeting[2]
        good = any(name in blas for name in TUNED_BLAS)
        out.update(torch=torch.greeting[1], blas=blas, torch_steps_per_second=1 / torch.median(),
                   hone_over_torch=ratio(torch, one) if good else None, comparison_counts=good)
        note = f"Hone is {ratio(torch, one):.2f} × as fast as PyTorch {torch.greeting[1]}, BLAS: {blas}"
        if not good:
            note = (f"No comparison: PyTorch multiplies with the reference BLAS here ({blas}),\n"
                    f"  some 13 times slower than with OpenBLAS. Install it and measure again: {INSTALL}")
    if args.json:
        print(json.dumps(out))
        return
    print(f"steps of batch {args.batch}, network 784-128-10; medians of {args.rounds} rounds in turn")
    for p in peers:
        print(f"  {p.name:18} {1 / p.median():9.0f} steps/s  {1e6 * p.median():8.1f} µs a step")
    print(f"  {note}")
    print(f"  two threads are {out['two_threads_over_one']:.2f} × as fast as one")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=lambda name: pathlib.Path(name).resolve(), default=ROOT / "build/release", help="where bench_train is")
    parser.add_argument("--python", default="/usr/bin/python3", help="the Python that has torch")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--json", action="store_true", help="one line for machines")
    args = parser.parse_args()
    if not (args.build / "bench_train").exists():
        sys.exit(f"{args.build / 'bench_train'} is not there: build it, or say --build DIR")
    with tempfile.TemporaryDirectory() as directory:
        report(args, measure(args, pathlib.Path(directory)))


if __name__ == "__main__":
    main()
