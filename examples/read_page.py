#!/usr/bin/env python3
"""Reads a page: PP-OCR's detector finds lines of text, its recognizer reads them, `hone run` runs both.

    read_page.py HONE ZOO PICTURE

ZOO is a folder with vision/ppocr4-det.onnx, vision/ppocr4-rec.onnx and vision/ppocr4-keys.txt (docs/models.md says how to
get them). Lines have to be level. Needs numpy and Pillow."""

import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LIKELY = 0.3  # that a pixel is text
HEIGHT = 48  # of a line, as the recognizer wants it


def run(hone, model, picture, mean, std, output):
    """The output for a picture, whose channels the models want in the order blue, green, red."""
    x = (np.asarray(picture, np.float32)[:, :, ::-1] / 255 - mean) / std
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/x.npy", np.ascontiguousarray(x.transpose(2, 0, 1)[None], np.float32))
        files = ["--input", f"x=@{folder}/x.npy", "--output", f"{output}=@{folder}/y.npy"]
        subprocess.run([hone, "run", model, *files], check=True)
        return np.load(f"{folder}/y.npy")[0]


def lines_of(text):
    """Boxes around runs of rows with pixels of text: left, top, right, bottom."""
    rows = np.r_[0, (text > LIKELY).sum(1) > 4, 0]
    for top, bottom in np.flatnonzero(np.diff(rows)).reshape(-1, 2):
        columns = np.flatnonzero((text[top:bottom] > LIKELY).any(0))
        margin = max(2, (bottom - top) // 3)
        yield columns[0] - margin, top - margin, columns[-1] + margin, bottom + margin


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    hone, zoo, picture = sys.argv[1:]
    page = Image.open(picture).convert("RGB")
    page = page.resize([-(-2 * side // 32) * 32 for side in page.size])  # multiples of 32
    with open(f"{zoo}/vision/ppocr4-keys.txt", encoding="utf-8") as f:
        keys = ["", *f.read().split("\n")[:6623], " "]  # 0: no character
    text = run(hone, f"{zoo}/vision/ppocr4-det.onnx", page, MEAN, STD, "sigmoid_0.tmp_0")[0]
    for box in lines_of(text):
        line = page.crop([int(side) for side in box])
        line = line.resize((max(32, line.width * HEIGHT // line.height), HEIGHT))
        best = run(hone, f"{zoo}/vision/ppocr4-rec.onnx", line, 0.5, 0.5, "softmax_11.tmp_0").argmax(1)
        print("".join(keys[k] for i, k in enumerate(best) if k and (i == 0 or k != best[i - 1])))


if __name__ == "__main__":
    main()
