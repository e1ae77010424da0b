#!/usr/bin/env python3
"""How well `hone train` does on scikit-learn's bundled tables, beside scikit-learn's own models.

    bench/tables.py [--hone build/hone] [--seeds 3] [--model mlp:32-32] [-- --recipe table]

Each table is written as CSV and cut into five folds by seed 0; each fold is the test part once. What is printed is the mean
over folds and seeds, and the CPU seconds that one run over all five folds takes.
"""
import argparse
import csv
import json
import os
import resource
import subprocess
import tempfile

import numpy
from sklearn import datasets, linear_model, model_selection, pipeline, preprocessing

# table, what is measured, what it should reach
TABLES = [
    ("wine", "accuracy", 0.97),
    ("breast_cancer", "accuracy", 0.965),
    ("digits", "accuracy", 0.975),
    ("diabetes", "r2", 0.42),
]


def load(name):
    return getattr(datasets, "load_" + name)(**({"scaled": False} if name == "diabetes" else {}))


def folds(data, metric):
    kind = model_selection.StratifiedKFold if metric == "accuracy" else model_selection.KFold
    return kind(5, shuffle=True, random_state=0).split(data.data, data.target)


def write(path, data, test):
    with open(path, "w", newline="", encoding="utf-8") as f:
        table = csv.writer(f)
        table.writerow([*data.feature_names, "split", "target"])
        for i, (x, y) in enumerate(zip(data.data, data.target)):
            name = data.target_names[y] if hasattr(data, "target_names") else y
            table.writerow([*map(repr, map(float, x)), "test" if i in test else "train", name])


def train(hone, path, arguments, seed, work):
    out = subprocess.run([hone, "train", "--data", "csv:" + path, *arguments, "--seed", str(seed), "--out",
                          os.path.join(work, "m.onnx"), "--json"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(out.stdout)


def used():
    """CPU seconds of the trainings so far: a busy machine does not lengthen them."""
    times = resource.getrusage(resource.RUSAGE_CHILDREN)
    return times.ru_utime + times.ru_stime


def plain(data, train_part, test_part, metric):
    """What a linear model reaches."""
    model = linear_model.LogisticRegression(max_iter=5000) if metric == "accuracy" else linear_model.Ridge(1.0)
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), model)
    model.fit(data.data[train_part], data.target[train_part])
    return model.score(data.data[test_part], data.target[test_part])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hone", default=os.path.join(os.path.dirname(__file__), "..", "build", "hone"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="mlp:32-32")
    parser.add_argument("options", nargs="*", default=["--recipe", "table"], help="of hone train, behind --")
    args = parser.parse_args()
    arguments = ["--model", args.model, *args.options]
    missed = False
    print(f"{'':14} {'hone':>16} {'linear':>8} {'reach':>7} {'seconds':>8}")
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "fold.csv")
        for name, metric, reach in TABLES:
            data = load(name)
            scores = numpy.zeros((args.seeds, 5))
            linear, seconds = [], 0
            for k, (train_part, test_part) in enumerate(folds(data, metric)):
                write(path, data, set(test_part.tolist()))
                linear.append(plain(data, train_part, test_part, metric))
                start = used()
                for seed in range(args.seeds):
                    scores[seed, k] = train(args.hone, path, arguments, seed + 1, work)["test_" + metric]
                seconds += (used() - start) / args.seeds
            means = scores.mean(axis=1)
            missed |= means.mean() < reach or seconds > 10
            print(f"{name:14} {means.mean():8.4f} ± {means.std():.4f} {numpy.mean(linear):8.4f} {reach:7.3f} {seconds:8.1f}"
                  + ("  missed" if means.mean() < reach or seconds > 10 else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
