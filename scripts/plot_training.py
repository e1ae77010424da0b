#!/usr/bin/env python3
"""Draws the curves of a training as an SVG picture.

    hone train … --validation 5000 --out m.onnx 2>&1 | scripts/plot_training.py > docs/training.svg
"""
import math
import re
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 240, 56, 34, 36
COLORS = {"training": "#2563eb", "validation": "#d97706"}
LINE = re.compile(r"epoch +(\d+)/\d+ +loss ([\d.]+) +accuracy ([\d.]+) %(?: +validation loss ([\d.]+) +accuracy ([\d.]+) %)?")


def read(lines):
    found = [m for m in map(LINE.search, lines) if m]
    epochs = [int(m[1]) for m in found]
    loss = {"training": [float(m[2]) for m in found]}
    accuracy = {"training": [float(m[3]) for m in found]}
    if found and all(m[4] for m in found):
        loss["validation"] = [float(m[4]) for m in found]
        accuracy["validation"] = [float(m[5]) for m in found]
    return epochs, loss, accuracy


def ticks(low, high):
    """Round values, some five of them, from at or below `low` to at or above `high`."""
    rough = (high - low or abs(high) or 1) / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * k for k in (1, 2, 2.5, 5, 10) if size * k >= rough * 0.8)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def panel(x0, title, unit, epochs, series):
    marks = ticks(min(min(v) for v in series.values()), max(max(v) for v in series.values()))
    low, high = marks[0], marks[-1]

    def px(epoch):
        return x0 + WIDTH * (epoch - epochs[0]) / max(1, epochs[-1] - epochs[0])

    def py(value):
        return TOP + HEIGHT * (high - value) / (high - low)

    out = [f'<text x="{x0 + WIDTH / 2:.0f}" y="20" text-anchor="middle" font-weight="bold">{title}</text>',
           f'<rect x="{x0}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#9ca3af"/>']
    for value in marks:
        out.append(f'<line x1="{x0}" x2="{x0 + WIDTH}" y1="{py(value):.1f}" y2="{py(value):.1f}" stroke="#e5e7eb"/>')
        out.append(f'<text x="{x0 - 6}" y="{py(value) + 4:.1f}" text-anchor="end">{value:.4g}{unit}</text>')
    for epoch in epochs[::(len(epochs) + 11) // 12]:
        out.append(f'<text x="{px(epoch):.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{epoch}</text>')
    for i, (name, values) in enumerate(series.items()):
        points = " ".join(f"{px(e):.1f},{py(v):.1f}" for e, v in zip(epochs, values))
        out.append(f'<polyline points="{points}" fill="none" stroke="{COLORS[name]}" stroke-width="2"/>')
        out.append(f'<text x="{x0 + 8 + 80 * i}" y="{TOP + HEIGHT + 34}" fill="{COLORS[name]}">{name}</text>')
    out.append(f'<text x="{x0 + WIDTH}" y="{TOP + HEIGHT + 34}" text-anchor="end">epoch</text>')
    return out


def main():
    epochs, loss, accuracy = read(sys.stdin)
    if not epochs:
        sys.exit("plot_training.py: no line such as \"epoch 1/10  loss 0.49  accuracy 82.1 %\" came in")
    total = 2 * (LEFT + WIDTH) + GAP
    body = panel(LEFT, "loss", "", epochs, loss)
    body += panel(2 * LEFT + WIDTH + GAP // 2, "accuracy", " %", epochs, accuracy)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {TOP + HEIGHT + 44}" font-family="sans-serif" '
          f'font-size="12"><rect width="100%" height="100%" fill="white"/>')
    print("\n".join(body))
    print("</svg>")


main()
