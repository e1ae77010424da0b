#!/usr/bin/env python3
"""One prediction in process: Hone and ONNX Runtime on the same model files, one thread each, both through their C API,
measured in turn in one run (bench_infer does it): the network 784-128-10 in fp32 and as int8 (static QDQ).

    bench/infer_vs_ort.py [--build DIR] [--model M.onnx] [--int8 Q.onnx] [--rounds 31] [--batch 1 64] [--json]

ONNX Runtime is the library inside the Python package onnxruntime of the Python that runs this (or of --python)."""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
FIND = """import glob, os, onnxruntime
print((glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so.*")) or [""])[0])"""


def need_library(args):
    """Where ONNX Runtime's library is; ends the program if that, or bench_infer, is not there."""
    if not (args.build / "bench_infer").exists():
        sys.exit(f"{args.build / 'bench_infer'} is not there: build it, or say --build DIR")
    found = subprocess.run([args.python, "-c", FIND], capture_output=True, text=True)
    path = found.stdout.strip().splitlines()[-1:] if found.returncode == 0 else []
    if not path or not path[0]:
        sys.exit(f"{args.python} has no onnxruntime: pip install onnxruntime, or say --python")
    return path[0]


def make_models(build, directory):
    """A network trained for a moment on random images (what it has learnt changes no time), and its int8 form."""
    images, pixels = 4096, 784
    for part in ("train", "t10k"):
        (directory / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, images, 28, 28) + os.urandom(images * pixels))
        (directory / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, images) + bytes(i % 10 for i in os.urandom(images)))
    data, model, int8 = f"idx:{directory}", str(directory / "fp32.onnx"), str(directory / "int8.onnx")
    for command in (["train", "--model", "mlp:784-128-10", "--data", data, "--epochs", "1", "--out", model],
                    ["quantize", model, "--mode", "static", "--data", data, "--out", int8]):
        done = subprocess.run([str(build / "hone"), *command], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
    return model, int8


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=lambda name: pathlib.Path(name).resolve(), default=ROOT / "build/release", help="where bench_infer is")
    parser.add_argument("--python", default=sys.executable, help="the Python that has onnxruntime")
    parser.add_argument("--model", help="an fp32 model; without, one is made")
    parser.add_argument("--int8", help="its int8 form")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--json", action="store_true", help="one line for machines")
    args = parser.parse_args()
    library = need_library(args)
    with tempfile.TemporaryDirectory() as directory:
        models = [("fp32", args.model), ("int8", args.int8)]
        if not args.model and not args.int8:
            models = list(zip(("fp32", "int8"), make_models(args.build, pathlib.Path(directory))))
        rows = []
        for kind, path in models:
            for batch in args.batch if path else []:
                done = subprocess.run([str(args.build / "bench_infer"), path, "--batch", str(batch), "--rounds",
                                       str(args.rounds), "--ort", library, "--json"], capture_output=True, text=True)
                if done.returncode:
                    sys.exit(done.stderr)
                rows.append(dict(json.loads(done.stdout), kind=kind))
    if args.json:
        print(json.dumps({"rounds": args.rounds, "results": rows}))
        return
    print(f"one prediction, one thread, ONNX Runtime {rows[0]['ort_version']}; medians of {args.rounds} rounds in turn")
    print(f"  {'model':6} {'batch':>5} {'Hone, µs':>10} {'ORT, µs':>10} {'ratio':>7}  outputs")
    for r in rows:
        same = "same classes" if r["same_classes"] else "OTHER CLASSES"
        print(f"  {r['kind']:6} {r['batch']:5} {r['hone_us']:10.2f} {r['ort_us']:10.2f} {r['ort_over_hone']:6.2f}×  "
              f"{same}, within {r['max_difference']:.1g}")


if __name__ == "__main__":
    main()
