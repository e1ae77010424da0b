#!/usr/bin/env python3
"""Has NumPy make the spectrogram that `hone train` puts in front of a network, and ONNX Runtime run what it writes.

    HONE=build/test/hone peer_sound.py DIR

Six voices of tones are written as WAV files, a small network is trained on five of them. The last line is "N passed, N
failed"; the exit status is 1 if any failed."""

import json
import os
import pathlib
import subprocess
import sys
import wave

try:
    import numpy
    import onnx
    import onnxruntime
except ImportError:
    sys.exit(77)

RATE, SIZE = 8000, 4000
counts = [0, 0]


def check(name, holds, shown=""):
    counts[not holds] += 1
    if not holds:
        print(f"FAILED: {name} {shown}")


def write(path, x):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((numpy.clip(x, -1, 1) * 32767).astype("<i2").tobytes())


def clips(root):
    """Rising, falling and steady tones."""
    rng = numpy.random.default_rng(1)
    t = numpy.arange(SIZE) / RATE
    for voice in range(6):
        for name, slope in (("rising", 900), ("falling", -900), ("steady", 0)):
            for k in range(8):
                start = rng.uniform(900, 1300)
                x = 0.4 * numpy.sin(2 * numpy.pi * (start * t + slope * t * t / 2)) + 0.01 * rng.standard_normal(SIZE)
                write(root / name / f"voice{voice}__{k}.wav", x)


def mel_weights(mels, size, rate, low, high):
    """As the ONNX standard tells of MelWeightMatrix."""
    bins = size // 2 + 1
    to_mel = lambda hertz: 2595 * numpy.log10(1 + hertz / 700)
    edges = to_mel(low) + numpy.arange(mels + 2) * (to_mel(high) - to_mel(low)) / (mels + 2)
    places = numpy.floor((size + 1) * (700 * (10 ** (edges / 2595) - 1)) / rate).astype(int)
    weights = numpy.zeros((bins, mels))
    for i in range(mels):
        low_bin, middle, high_bin = places[i:i + 3]
        if middle == low_bin:
            weights[middle, i] = 1
        else:
            for j in range(low_bin, middle + 1):
                weights[j, i] = (j - low_bin) / (middle - low_bin)
        if high_bin > middle:
            for j in range(middle, high_bin):
                weights[j, i] = (high_bin - j) / (high_bin - middle)
    return weights


def spectrogram(x):
    size, hop = RATE * 32 // 1000, RATE * 16 // 1000
    window = 0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(size) / size)
    frames = numpy.stack([x[i:i + size] * window for i in range(0, len(x) - size + 1, hop)])
    power = numpy.abs(numpy.fft.rfft(frames)) ** 2
    y = numpy.log(power @ mel_weights(32, size, RATE, 60, 0.475 * RATE) + 1e-6)
    y -= y.mean()
    return y / numpy.sqrt((y ** 2).mean() + 1e-5)


def main(folder):
    clips(folder / "tones")
    made = subprocess.run([os.environ["HONE"], "train", "--model", "dscnn:8-16", "--data", f"audio:{folder}/tones", "--rate", str(RATE),
                           "--recipe", "sound", "--epochs", "40", "--batch", "16", "--test", "0.17", "--threads", "1", "--json",
                           "--out", f"{folder}/t.onnx"], capture_output=True, text=True)
    check("it trains", made.returncode == 0, made.stderr)
    result = json.loads(made.stdout)
    check("a voice that was not trained on is known", result["test_accuracy"] > 0.9, str(result))
    rng = numpy.random.default_rng(2)
    x = (0.3 * rng.standard_normal((3, SIZE))).astype(numpy.float32)
    model = onnx.load(folder / "t.onnx")
    first = next(n for n in model.graph.node if n.op_type == "Conv")
    model.graph.output.extend([onnx.helper.make_tensor_value_info(first.input[0], onnx.TensorProto.FLOAT, None)])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    logits, seen = session.run(None, {"audio": x})
    wanted = numpy.stack([spectrogram(row.astype(float)) for row in x])
    check("the spectrogram is NumPy's", numpy.abs(seen.reshape(wanted.shape) - wanted).max() < 2e-3,
          f"{seen.shape} {numpy.abs(seen.reshape(wanted.shape) - wanted).max()}")
    numpy.save(folder / "x.npy", x)
    ran = subprocess.run([os.environ["HONE"], "run", f"{folder}/t.onnx", "--input", f"audio=@{folder}/x.npy", "--output", f"logits=@{folder}/y.npy"],
                         capture_output=True, text=True)
    check("it runs", ran.returncode == 0, ran.stderr)
    check("the answers are ONNX Runtime's", numpy.abs(numpy.load(folder / "y.npy") - logits).max() < 1e-3)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return counts[1] > 0


sys.exit(main(pathlib.Path(sys.argv[1])))
