#!/usr/bin/env python3
"""Finds faces by BlazeFace, which `hone run` runs, and draws them.

    find_faces.py HONE ZOO PICTURE OUT

ZOO is a folder with vision/blazeface-front.onnx (docs/models.md says how to get it). Needs numpy and Pillow."""

import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageDraw

SIDE = 128  # of the picture that the model sees
OUTPUTS = ("Identity:0", "Identity_1:0", "Identity_2:0", "Identity_3:0")  # scores of both grids, then boxes


def grid(size, each):
    """The middles of the squares of a grid, each `each` times."""
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    return np.repeat((np.stack((x, y), -1).reshape(-1, 2) + 0.5) * SIDE / size, each, 0)


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    hone, zoo, name, out = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        files = [f for i, o in enumerate(OUTPUTS) for f in ("--output", f"{o}=@{folder}/{i}.npy")]
        model = ["run", f"{zoo}/vision/blazeface-front.onnx", "--input", f"input:0=@{name}", "--mean", "0.5", "--std", "0.5"]
        subprocess.run([hone, *model, *files], check=True)
        near, far, boxes, far_boxes = (np.load(f"{folder}/{i}.npy")[0] for i in range(4))
    scores = np.concatenate((near, far))[:, 0]
    boxes, anchors = np.concatenate((boxes, far_boxes)), np.concatenate((grid(16, 2), grid(8, 6)))
    picture = Image.open(name).convert("RGB")
    scale, draw, found = np.array(picture.size) / SIDE, ImageDraw.Draw(picture), []
    for i in np.argsort(-scores):
        middle = anchors[i] + boxes[i, :2]
        if scores[i] < 1 or any(np.abs(middle - other).max() < SIDE / 8 for other in found):
            continue
        found.append(middle)
        half = boxes[i, 2:4] / 2
        draw.rectangle([*((middle - half) * scale), *((middle + half) * scale)], outline="lime", width=4)
        for point in (anchors[i] + boxes[i, 4:].reshape(-1, 2)) * scale:  # eyes, nose, mouth, ears
            draw.ellipse([*(point - 4), *(point + 4)], fill="red")
    picture.save(out)
    print(f"faces found: {len(found)}; drawn into {out}")


if __name__ == "__main__":
    main()
