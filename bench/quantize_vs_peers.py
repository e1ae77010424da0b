#!/usr/bin/env python3
"""Static int8 of one model by Hone and by others, on the same calibration images: accuracy, and how far answers are off.

    bench/quantize_vs_peers.py MODEL.onnx [--build DIR] [--samples 512] [--json]

MODEL takes Fashion-MNIST's images [batch, 1, 28, 28] in [0, 1] and gives logits. Peers: ONNX Runtime's static quantizer (per channel) and
NNCF, as far as this Python has them (pip install onnxruntime sympy nncf openvino). Every result runs in ONNX Runtime, so that it is the
numbers that differ, and not who computes them."""
import argparse
import contextlib
import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parents[1]
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")


def read(name, offset):
    return np.frombuffer(gzip.open(FASHION / f"{name}.gz").read(), np.uint8, offset=offset)


def as_floats(images):
    return (images.reshape(-1, 1, 28, 28) / np.float32(255)).astype(np.float32)


def write_idx(directory, images, labels):
    """What Hone is to calibrate on: these images, and no others."""
    for part in ("train", "t10k"):
        (directory / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, len(labels), 28, 28) + images.tobytes())
        (directory / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(labels)) + labels.tobytes())


def by_hone(build, model, directory, out, *more):
    command = [str(build / "hone"), "quantize", model, "--data", f"idx:{directory}", *more, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def by_onnxruntime(model, images, out):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static, shape_inference

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.batches = iter([{"input": images[i:i + 64]} for i in range(0, len(images), 64)])

        def get_next(self):
            return next(self.batches, None)

    prepared = out + ".prepared"
    shape_inference.quant_pre_process(model, prepared)
    quantize_static(prepared, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def by_nncf(model, images, out):
    import nncf

    data = nncf.Dataset([images[i:i + 1] for i in range(len(images))], lambda x: {"input": x})
    onnx.save(nncf.quantize(onnx.load(model), data, subset_size=len(images)), out)


def answers(model, images):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: images[i:i + 500]})[0] for i in range(0, len(images), 500)])


def row(name, logits, exact, labels, path):
    return {"by": name, "accuracy": float((logits.argmax(1) == labels).mean()),
            "logits_off_by": float(abs(logits - exact).mean() / abs(exact).mean()),
            "same_answer": float((logits.argmax(1) == exact.argmax(1)).mean()), "bytes": os.path.getsize(path)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("--build", type=lambda name: pathlib.Path(name).resolve(), default=ROOT / "build/release")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--json", action="store_true", help="one line for machines")
    args = parser.parse_args()
    chosen = np.random.default_rng(1).permutation(60000)[:args.samples]
    images = read("train-images-idx3-ubyte", 16).reshape(-1, 784)[chosen]
    labels = read("train-labels-idx1-ubyte", 8)[chosen]
    test, test_labels = as_floats(read("t10k-images-idx3-ubyte", 16)), read("t10k-labels-idx1-ubyte", 8)
    exact, rows = answers(args.model, test), []
    rows.append(row("float32", exact, exact, test_labels, args.model))
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        write_idx(directory, images, labels)
        all_samples = ("--calibration-samples", str(args.samples))
        ways = {
            "hone": lambda out: by_hone(args.build, args.model, directory, out, *all_samples),
            "hone --correct-bias": lambda out: by_hone(args.build, args.model, directory, out, *all_samples, "--correct-bias"),
            "hone --calibration mse": lambda out: by_hone(args.build, args.model, directory, out, *all_samples, "--calibration", "mse"),
            "hone --equalize": lambda out: by_hone(args.build, args.model, directory, out, *all_samples, "--equalize"),
            "ONNX Runtime": lambda out: by_onnxruntime(args.model, as_floats(images), out),
            "NNCF": lambda out: by_nncf(args.model, as_floats(images), out),
        }
        for way, make in ways.items():
            out = str(directory / "q.onnx")
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    make(out)
            except ImportError as lacking:
                print(f"without {way}: {lacking}", file=sys.stderr)
                continue
            rows.append(row(way, answers(out, test), exact, test_labels, out))
    if args.json:
        print(json.dumps(rows))
        return
    print(f"{'':24}{'accuracy':>10}{'logits off by':>15}{'same answer':>13}{'bytes':>10}")
    for r in rows:
        print(f"{r['by']:24}{100 * r['accuracy']:8.2f} %{100 * r['logits_off_by']:13.3f} %{100 * r['same_answer']:11.2f} %{r['bytes']:10,}")


if __name__ == "__main__":
    main()
