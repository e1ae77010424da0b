#!/usr/bin/env python3
"""Runs random graphs around every operator in Hone and compares with ONNX Runtime or the reference evaluator
of onnx.

    random_operators LIBRARY TABLE COUNT [SEED [OPERATOR]]

LIBRARY is libhone.so, TABLE what `ops_test_support_table --json` prints.

A seed draws an operator, one of its operator sets, element types, shapes, attributes, which inputs are
there and which are constant, and operators before and behind it; Hone runs the graph at an ISA level that
changes with the seed, by one and by two threads, which must give the same bits. `draw.py` says what is
drawn, `makers_*.py` how a node of each operator is made, `judge.py` who is right and how far apart numbers
may be, `known.py` what is left out and why. Models of graphs that differ stay in the working directory.
With HONE_TELL set, graphs that nobody judged and differences that are excused are told, too. The last line
is "N passed, N failed"."""

import collections
import json
import os
import signal
import sys
import traceback

import numpy as np
from onnx import helper

import draw
import judge
import known
import library
import makers  # noqa: F401

LEVELS = ("", "generic", "v2", "v3", "v3,-vnni", "v4,-vnni")
JOBS = 2
SECONDS = 60  # that one graph may take


def graph_of(seed, keys):
    """The drawn graph, its values, and who judged; NoJudge if nobody can run it."""
    d = draw.Draw(seed, *keys[seed % len(keys)])
    d.build()
    values, judges = dict(d.constants, **d.inputs), set()
    imports = d.imports()
    for node in d.nodes:
        judge.run_one(d, node, imports, values, judges)
    tips = [o for o in d.main.proto.output if o]
    for _ in range(d.choice(0, 1, 1, 2, 3, 4)):
        x = d.choice(*tips) if tips else None
        if x is None or not isinstance(values[x], np.ndarray):
            continue
        before, constants, inputs = len(d.nodes), dict(d.constants), dict(d.inputs)
        try:
            y = d.behind(x, values[x])
            values.update({n: v for n, v in {**d.constants, **d.inputs}.items() if n not in values})
            for node in d.nodes[before:]:
                judge.run_one(d, node, imports, values, judges)
        except judge.NoJudge:
            y, d.nodes[before:], d.constants, d.inputs = None, [], constants, inputs
        if y:
            tips.append(y)
    return d, values, judges


def outputs_of(d):
    used = {n for node in d.nodes for n in [*node.proto.input, *judge.captured(node.proto)]}
    made = [o for node in d.nodes for o in node.proto.output if o]
    return [o for o in made if o not in used or d.chance(0.1)]


def model_of(d, values, outputs):
    named = d.chance(0.4)
    infos = []
    for name, v in d.inputs.items():
        dims = None if not isinstance(v, np.ndarray) or v.ndim == 0 else named
        shape = [f"{name}_{i}" if d.chance(0.5) else s for i, s in enumerate(v.shape)] if dims else True
        infos.append(draw.value_info(name, v, shape))
    results = [draw.value_info(o, values[o], None) for o in outputs]
    constants = [draw.constant_proto(n, a) for n, a in d.constants.items()]
    graph = helper.make_graph([n.proto for n in d.nodes], "random", infos, results, constants)
    return helper.make_model(graph, opset_imports=d.imports(), ir_version=10)


def same_bits(a, b):
    for x, y in judge.parts_of(a, b):
        if isinstance(x, np.ndarray) and x.dtype != object:
            if x.tobytes() != y.tobytes():
                return False
        elif isinstance(x, np.ndarray) and (x != y).any():
            return False
    return True


def apart(name, ours, theirs, allowed):
    pairs = list(judge.parts_of(ours, theirs))
    for a, b in pairs:
        text = judge.difference(name, a, b, allowed if len(pairs) == 1 else 1e-4)
        if text:
            return text
    return None


def compare(d, values, outputs, ours):
    """The first difference that moving the numbers as far as they may be apart does not explain."""
    makes = {o: node for node in d.nodes for o in node.proto.output}
    base = {}
    for o in outputs:
        inputs = [values[n] for n in makes[o].proto.input if n]
        base[o] = judge.allowance(makes[o], inputs, values[o])
    found = [apart(o, y, values[o], base[o]) for o, y in zip(outputs, ours)]
    if not any(found):
        return None
    envelope = {o: np.zeros(np.shape(values[o])) if isinstance(values[o], np.ndarray) else 0 for o in outputs}
    generator = np.random.RandomState(1)
    for kind in range(6):
        noise = (
            (lambda s: np.ones(s), lambda s: -np.ones(s))[kind] if kind < 2 else lambda s: generator.uniform(-1, 1, s)
        )
        try:
            others, _ = judge.evaluate(d, noise)
        except judge.NoJudge:
            continue
        for o in outputs:
            x, y = values[o], others[o]
            if envelope[o] is None or not isinstance(x, np.ndarray) or x.dtype == object:
                continue
            if y.shape != x.shape:
                envelope[o] = None
                continue
            with np.errstate(all="ignore"):
                x, y = x.astype(np.float64), y.astype(np.float64)
                moved = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0, np.abs(x - y))
                envelope[o] = np.maximum(envelope[o], moved)  # NaN where one is finite and the other not
    for o, y in zip(outputs, ours):
        allowed = None if envelope[o] is None else base[o] + 2 * envelope[o]
        text = apart(o, y, values[o], allowed)
        if text:
            return text
    return None


def reason_not(d, text, values):
    for node in d.nodes:
        reason = known.excused(d, node.proto, text, values)
        if reason:
            return reason
    return None


def check(hone, seed, keys):
    """(what came of it, a text, who judged)."""
    try:
        d, values, judges = graph_of(seed, keys)
    except judge.NoJudge as error:
        return "unjudged", str(error), ()
    outputs = outputs_of(d)
    model = model_of(d, values, outputs)
    data = model.SerializeToString()
    with open(f"seed-{seed}.onnx", "wb") as file:
        file.write(data)
    what, text = "same", ""
    try:
        one, two = hone.run(data, list(d.inputs.values()), len(outputs), (1, 2))
        if not same_bits(one, two):
            what, text = "differs", "one and two threads give different bits"
        else:
            text = compare(d, values, outputs, one)
            what = "differs" if text else "same"
    except library.Refused as error:
        what, text = "refused", str(error)
    if what != "same":
        reason = reason_not(d, text, values)
        if reason:
            what, text = "excused", reason
    if what in ("same", "excused"):
        os.remove(f"seed-{seed}.onnx")
    else:
        np.savez(f"seed-{seed}.npz", **{n: v for n, v in d.inputs.items() if isinstance(v, np.ndarray)})
    return what, text or "", sorted(judges)


def work(path, level, seeds, keys, out):
    os.environ["HONE_CPU"] = level
    if not level:
        del os.environ["HONE_CPU"]
    hone = library.Library(path)
    for seed in seeds:
        print(json.dumps(["start", seed]), file=out, flush=True)
        signal.alarm(SECONDS)  # a graph that hangs ends the process
        try:
            result = check(hone, seed, keys)
        except Exception:  # a fault of the generator itself
            result = ("broken", traceback.format_exc(limit=-3), ())
        print(json.dumps([seed, *result]), file=out, flush=True)
    os._exit(0)


def start(path, level, seeds, keys):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        with os.fdopen(write, "w") as out:
            work(path, level, seeds, keys, out)
    os.close(write)
    return pid, os.fdopen(read), level, seeds


def collect(job, results):
    """Reads all that a process says; gives the seeds that a crash left over."""
    pid, lines, _, seeds = job
    current = None
    for line in lines:
        parts = json.loads(line)
        if parts[0] == "start":
            current = parts[1]
        else:
            results[parts[0]] = parts[1:]
            current = None
    _, status = os.waitpid(pid, 0)
    if current is not None:
        results[current] = ("crashed", f"signal {status & 127}" if status & 127 else f"exit status {status >> 8}", ())
    return [s for s in seeds if s not in results] if current is not None else []


def run_all(path, seeds, keys):
    waiting = [(level, [s for s in seeds if LEVELS[(s // len(keys) + s) % len(LEVELS)] == level]) for level in LEVELS]
    waiting = [(level, part) for level, part in waiting if part]
    running, results = [], {}
    while waiting or running:
        while waiting and len(running) < JOBS:
            level, part = waiting.pop(0)
            running.append(start(path, level, part, keys))
        job = running.pop(0)
        left = collect(job, results)
        if left:
            waiting.insert(0, (job[2], left))
    return results


def unaccounted(there):
    """Operators that are neither drawn nor listed, and lines of the list that are for nothing."""
    wrong = [f"neither drawn nor listed: {d}.{n}" for d, n in sorted(there - set(draw.MAKERS) - set(known.UNMADE))]
    return wrong + [f"listed, but drawn: {d}.{n}" for d, n in sorted(set(known.UNMADE) & set(draw.MAKERS))]


def main():
    path, table, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    first = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    there = {(o["domain"], o["name"]) for o in json.load(open(table)) if o["domain"] != "hone"}
    keys = sorted(set(draw.MAKERS) & there)
    if len(sys.argv) > 5:  # only operators of that name
        keys = [k for k in keys if k[1] == sys.argv[5] or ".".join(k) == sys.argv[5]]
    lacking = unaccounted(there)
    for line in lacking:
        print(f"FAILED: {line}")
    results = run_all(path, range(first, first + count), keys)
    kinds, operators = collections.Counter(r[0] for r in results.values()), set()
    judges = collections.Counter(who for r in results.values() for who in r[2])
    for seed, (what, text, _) in sorted(results.items()):
        name = ".".join(p for p in keys[seed % len(keys)] if p)
        if what in ("differs", "refused", "crashed", "broken"):
            print(f"FAILED: seed {seed}: {name}: {what}: {text}")
        elif what == "unjudged" and os.environ.get("HONE_TELL"):
            print(f"unjudged: seed {seed}: {name}: {text}")
        elif what == "excused" and os.environ.get("HONE_TELL"):
            print(f"excused: seed {seed}: {name}: {text}")
        if what == "same":
            operators.add(name)
    failed = sum(kinds[k] for k in ("differs", "refused", "crashed", "broken")) + len(lacking)
    print(f"{len(results)} graphs of {len(operators)} operators: {dict(kinds)}; judged by {dict(judges)}")
    print(f"{kinds['same'] + kinds['excused']} passed, {failed} failed")
    sys.exit(failed > 0 or kinds["same"] < 0.8 * count)


if __name__ == "__main__":
    main()
