#!/usr/bin/env python3
"""Ensembles of decision trees in process: Hone and ONNX Runtime on the same model files, both through their C API, measured
in turn in one run (bench_infer does it): the three operators of ai.onnx.ml that hold trees, on random trees and rows.

    bench/trees_vs_ort.py [--build DIR] [--trees 500] [--depth 8] [--features 32] [--batch 1 100 10000] [--threads 1 2]
                          [--rounds 15] [--json]

A classifier has three classes, whose scores are its output. ONNX Runtime is the library inside the Python package
onnxruntime of the Python that runs this (or of --python)."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from infer_vs_ort import ROOT, need_library

CLASSES = 3


def grow(random, features, depth):
    """A tree as lists of (feature, threshold, yes, no), leaves with feature -1: each node cuts the box that leads to it, and
    one of ten ends early."""
    nodes = []

    def node(low, high, left):
        at = len(nodes)
        nodes.append(None)
        if left == 0 or (left < depth - 2 and random.random() < 0.1):
            nodes[at] = (-1, 0.0, 0, 0)
            return at
        feature = int(random.integers(features))
        cut = low[feature] + (high[feature] - low[feature]) * random.uniform(0.2, 0.8)
        below, above = high.copy(), low.copy()
        below[feature] = above[feature] = cut
        yes, no = node(low, below, left - 1), node(above, high, left - 1)
        nodes[at] = (feature, cut, yes, no)
        return at

    node(np.zeros(features), np.ones(features), depth)
    return nodes


def joined(forest, classes, random):
    """TreeEnsembleRegressor's and TreeEnsembleClassifier's attributes: a tree's leaves vote for one target or class."""
    nodes, votes = [], []
    for t, tree in enumerate(forest):
        for i, (feature, cut, yes, no) in enumerate(tree):
            leaf = feature < 0
            nodes.append((t, i, max(feature, 0), "LEAF" if leaf else "BRANCH_LEQ", cut, yes, no))
            if leaf:
                votes.append((t, i, t % classes, random.normal() / 10))
    names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    attributes = {f"nodes_{name}": list(column) for name, column in zip(names, zip(*nodes))}
    prefix = "target" if classes == 1 else "class"
    for name, column in zip(("treeids", "nodeids", "ids", "weights"), zip(*votes)):
        attributes[f"{prefix}_{name}"] = list(column)
    return attributes


def apart(forest, random):
    """TreeEnsemble's attributes."""
    inner, leaves, roots = [], [], []
    for tree in forest:
        place, count = {}, [len(inner), len(leaves)]
        for i, (feature, *_) in enumerate(tree):
            place[i] = (feature < 0, count[feature < 0])
            count[feature < 0] += 1
        roots.append(place[0][1])
        for feature, cut, yes, no in tree:
            if feature < 0:
                leaves.append((0, random.normal() / 10))
            else:
                inner.append((feature, cut, *place[yes], *place[no]))
    feature, cut, yes_leaf, yes, no_leaf, no = zip(*inner)
    tensor = lambda x, dtype: numpy_helper.from_array(np.array(x, dtype), "x")
    return {"nodes_featureids": feature, "nodes_splits": tensor(cut, np.float32),
            "nodes_modes": tensor([0] * len(inner), np.uint8), "nodes_trueleafs": list(map(int, yes_leaf)),
            "nodes_truenodeids": yes, "nodes_falseleafs": list(map(int, no_leaf)), "nodes_falsenodeids": no,
            "leaf_targetids": [t for t, _ in leaves], "leaf_weights": tensor([w for _, w in leaves], np.float32),
            "tree_roots": roots, "n_targets": 1}


def write_model(path, kind, forest, features):
    random = np.random.default_rng(5)
    classifier = kind == "TreeEnsembleClassifier"
    if kind == "TreeEnsemble":
        attributes = apart(forest, random)
    else:
        attributes = joined(forest, CLASSES if classifier else 1, random)
        attributes.update({"classlabels_int64s": list(range(CLASSES))} if classifier else {"n_targets": 1})
    node = helper.make_node(kind, ["x"], ["label", "y"] if classifier else ["y"], domain="ai.onnx.ml", **attributes)
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "trees", [value("x", TensorProto.FLOAT, ["n", features])],
                              [value("y", TensorProto.FLOAT, ["n", CLASSES if classifier else 1])])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5 if kind == "TreeEnsemble" else 3)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=lambda name: pathlib.Path(name).resolve(), default=ROOT / "build/release", help="where bench_infer is")
    parser.add_argument("--python", default=sys.executable, help="the Python that has onnxruntime")
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 100, 10000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="one line for machines")
    args = parser.parse_args()
    library = need_library(args)
    random = np.random.default_rng(3)
    forest = [grow(random, args.features, args.depth) for _ in range(args.trees)]
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for kind in ("TreeEnsembleRegressor", "TreeEnsembleClassifier", "TreeEnsemble"):
            path = pathlib.Path(directory) / f"{kind}.onnx"
            write_model(path, kind, forest, args.features)
            for batch in args.batch:
                for threads in args.threads:
                    done = subprocess.run([str(args.build / "bench_infer"), str(path), "--batch", str(batch), "--threads",
                                           str(threads), "--rounds", str(args.rounds), "--ort", library, "--json"],
                                          capture_output=True, text=True)
                    if done.returncode:
                        sys.exit(done.stderr)
                    rows.append(dict(json.loads(done.stdout), kind=kind))
    if args.json:
        print(json.dumps({"trees": args.trees, "depth": args.depth, "features": args.features, "rounds": args.rounds,
                          "results": rows}))
        return
    print(f"{args.trees} trees of depth {args.depth}, {args.features} features, ONNX Runtime {rows[0]['ort_version']}; "
          f"medians of {args.rounds} rounds in turn")
    print(f"  {'operator':24} {'batch':>5} {'threads':>7} {'Hone, µs':>10} {'ORT, µs':>10} {'ratio':>7}")
    for r in rows:
        print(f"  {r['kind']:24} {r['batch']:5} {r['threads']:7} {r['hone_us']:10.2f} {r['ort_us']:10.2f} "
              f"{r['ort_over_hone']:6.2f}×  within {r['max_difference']:.1g}")


if __name__ == "__main__":
    main()
