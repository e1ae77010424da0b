#!/usr/bin/env python3
"""Has the real TensorBoard read a log directory that Hone wrote: peer_tensorboard.py DIR [--no-server]

Every record's checksums are verified by the code below; then TensorBoard's own readers, and its server with the Python
loader and with the fast one, must give exactly the values that are in the files. Where a run has an expect.json (see
test_events.c), they must be the values that were meant to be written, too. Last line: "N passed, N failed".
"""

import collections
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "upb")
from tensorboard.backend.event_processing import event_accumulator, event_file_loader  # noqa: E402
from tensorboard.compat.proto import event_pb2, graph_pb2  # noqa: E402
from tensorboard.util import tensor_util  # noqa: E402

passed = failed = 0


def check(what, condition, detail=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what} {detail}")


# --- our own reader ---

TABLE = []
for byte in range(256):
    crc = byte
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    TABLE.append(crc)


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_records(path):
    with open(path, "rb") as f:
        data = f.read()
    records, at = [], 0
    while at < len(data):
        head = data[at : at + 12]
        if len(head) < 12:
            check(f"{path}: the last record is whole", False)
            break
        size, head_crc = struct.unpack("<QI", head)
        body, tail = data[at + 12 : at + 12 + size], data[at + 12 + size : at + 16 + size]
        if len(body) < size or len(tail) < 4:
            check(f"{path}: the last record is whole", False)
            break
        good = head_crc == masked_crc(head[:8]) and struct.unpack("<I", tail)[0] == masked_crc(body)
        check(f"{path}: checksums of the record at {at}", good)
        records.append(body)
        at += 16 + size
    return records


class Run:
    """What one directory holds, by our own reading."""

    def __init__(self, directory, files):
        self.directory = directory
        self.files = files
        self.values = collections.defaultdict(lambda: collections.defaultdict(list))  # plugin → tag → (step, array)
        self.graph = None
        for path in files:
            records = read_records(path)
            raw = [bytes(r) for r in event_file_loader.RawEventFileLoader(path).Load()]
            check(f"{path}: TensorBoard's raw reader sees the same records", raw == records, f"{len(raw)}")
            events = [event_pb2.Event.FromString(r) for r in records]
            first = events[0].file_version if events else ""
            check(f"{path}: begins with its version", first == "brain.Event:2", first)
            check(f"{path}: times do not go back", all(a.wall_time <= b.wall_time + 1 for a, b in zip(events, events[1:])))
            for event in events:
                self.take(event)

    def take(self, event):
        if event.WhichOneof("what") == "graph_def":
            self.graph = graph_pb2.GraphDef.FromString(event.graph_def)
        for value in event.summary.value:
            array = tensor_util.make_ndarray(value.tensor)
            plugin = value.metadata.plugin_data.plugin_name
            self.values[plugin][value.tag].append((event.step, array))
            if plugin == "scalars":
                fine = array.shape == () and array.dtype == "float32"
                if not fine:
                    check(f"{value.tag}: a float of rank 0", False, f"{array.dtype} {array.shape}")
            elif plugin == "histograms":
                fine = array.ndim == 2 and array.shape[1] == 3 and array.dtype == "float64"
                check(f"{value.tag}: [k, 3] doubles", fine, f"{array.dtype} {array.shape}")
                check(f"{value.tag}: edges fit", all(array[1:, 0] >= array[:-1, 0]) and all(array[:, 1] >= array[:, 0]))


def same(a, b):
    if isinstance(b, str):
        b = float(b)
    return a == b or (math.isnan(a) and math.isnan(b))


def text_of(array):
    item = array.item() if array.ndim == 0 else array[0]
    return item.decode() if isinstance(item, bytes) else str(item)


# --- what was meant ---


def check_expected(run, expected):
    for tag, points in expected.get("scalars", {}).items():
        have = [(step, float(x)) for step, x in run.values["scalars"][tag]]
        want = [(step, struct.unpack("f", struct.pack("f", x))[0]) for step, x in points]
        check(f"expected scalars {tag}", have == want, f"{have[:3]} {want[:3]}")
    for tag, points in expected.get("histograms", {}).items():
        have = [[step, int(x[:, 2].sum())] for step, x in run.values["histograms"][tag]]
        check(f"expected histograms {tag}", have == points, f"{have}")
    for tag, points in expected.get("texts", {}).items():
        have = [[step, text_of(x)] for step, x in run.values["text"][tag]]
        check(f"expected texts {tag}", have == points, f"{have}")
    if "graph" in expected:
        have = {n.name: n.op for n in run.graph.node} if run.graph else None
        check("expected graph", have == expected["graph"], f"{have}")


def check_graph(graph):
    names = [n.name for n in graph.node]
    check("graph: names are unique", len(names) == len(set(names)))
    known = set(names)
    loose = [i for n in graph.node for i in n.input if i.split(":")[0].lstrip("^") not in known]
    check("graph: every input is a node", not loose, str(loose[:5]))


# --- TensorBoard's readers ---


def check_accumulator(run):
    guidance = {key: 0 for key in ("tensors", "scalars", "images", "audio", "histograms", "compressedHistograms")}
    accumulator = event_accumulator.EventAccumulator(run.directory, size_guidance=guidance)
    accumulator.Reload()
    tags = {tag for plugin in run.values.values() for tag in plugin}
    check("accumulator: tags", set(accumulator.Tags()["tensors"]) == tags, str(accumulator.Tags()["tensors"]))
    for plugin, by_tag in run.values.items():
        check(f"accumulator: tags of {plugin}", set(accumulator.PluginTagToContent(plugin)) == set(by_tag))
        for tag, points in by_tag.items():
            read = [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in accumulator.Tensors(tag)]
            content = text_of if plugin == "text" else lambda x: x.tolist() if x.dtype == object else x.tobytes()
            equal = [(step, content(x)) for step, x in read] == [(step, content(x)) for step, x in points]
            check(f"accumulator: {tag}", equal, f"{len(read)} of {len(points)}")
    if run.graph:
        check("accumulator: graph", accumulator.Graph() == run.graph)


class Server:
    """The real TensorBoard, as a user starts it."""

    def __init__(self, directory, fast):
        self.log = tempfile.TemporaryFile("w+")
        many = "scalars=1000000,histograms=1000000,text=1000000,tensors=1000000"
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", directory, "--port", "0", "--host", "127.0.0.1"]
        command += ["--load_fast", "true" if fast else "false", "--samples_per_plugin", many]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.url = None
        for _ in range(600):
            self.log.seek(0)
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.log.read())
            if found:
                self.url = found.group(0)
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.log.seek(0)
        raise RuntimeError("TensorBoard does not start: " + self.log.read()[-2000:])

    def get(self, route, **query):
        with urllib.request.urlopen(self.url + "data/" + route + "?" + urllib.parse.urlencode(query), timeout=30) as r:
            return r.read()

    def json(self, route, **query):
        return json.loads(self.get(route, **query))

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def wait_for(server, runs):
    """Loading goes on in the background: until the last point of every curve is there."""
    for _ in range(300):
        try:
            tags = server.json("plugin/scalars/tags")
            loaded = all(
                len(server.json("plugin/scalars/scalars", run=name, tag=tag)) == len(points)
                for name, run in runs.items()
                if name in tags
                for tag, points in run.values["scalars"].items()
                if tag in tags[name]
            )
            if loaded and all(set(run.values["scalars"]) <= set(tags.get(name, {})) for name, run in runs.items()):
                return
        except urllib.error.HTTPError:
            pass
        time.sleep(0.1)


def check_server(directory, runs, fast):
    kind = "fast" if fast else "Python"
    server = Server(directory, fast)
    try:
        wait_for(server, runs)
        check(f"server ({kind}): runs", set(server.json("runs")) == set(runs), str(server.json("runs")))
        for name, run in runs.items():
            check_run(server, kind, name, run)
    finally:
        server.close()


def check_run(server, kind, name, run):
    for tag, points in run.values["scalars"].items():
        have = server.json("plugin/scalars/scalars", run=name, tag=tag)
        equal = len(have) == len(points) and all(h[1] == p[0] and same(float(p[1]), h[2]) for h, p in zip(have, points))
        check(f"server ({kind}): {name}: scalars {tag}", equal, f"{len(have)} of {len(points)}")
    for tag, points in run.values["histograms"].items():
        have = server.json("plugin/histograms/histograms", run=name, tag=tag)
        equal = len(have) == len(points) and all(h[1] == p[0] and h[2] == p[1].tolist() for h, p in zip(have, points))
        check(f"server ({kind}): {name}: histograms {tag}", equal, f"{len(have)} of {len(points)}")
    for tag, points in run.values["text"].items():
        have = server.json("plugin/text/text", run=name, tag=tag)
        check(f"server ({kind}): {name}: text {tag}", [h["step"] for h in have] == [p[0] for p in points], str(have)[:200])
    if run.graph:
        text = server.get("plugin/graphs/graph", run=name, limit_attr_size=1024, large_attrs_key="_too_large_attrs").decode()
        missing = [n.name for n in run.graph.node if f'name: "{n.name}"' not in text]
        check(f"server ({kind}): {name}: graph", not missing, str(missing[:5]))


def check_directory(directory, use_server):
    runs = {}
    for where, _, names in sorted(os.walk(directory)):
        files = sorted(os.path.join(where, n) for n in names if "tfevents" in n)
        if files:
            runs[os.path.relpath(where, directory)] = Run(where, files)
    check("there is a run", bool(runs))
    for run in runs.values():
        if run.graph:
            check_graph(run.graph)
        path = os.path.join(run.directory, "expect.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                check_expected(run, json.load(f))
        check_accumulator(run)
    if not use_server:
        return
    check_server(directory, runs, fast=False)
    try:
        import tensorboard_data_server  # noqa: F401
    except ImportError:
        print("the fast loader is not installed: not checked")
    else:
        check_server(directory, runs, fast=True)


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if len(arguments) != 1:
        print(__doc__)
        return 2
    try:
        check_directory(arguments[0], "--no-server" not in sys.argv)
    except Exception as error:  # a reader that gives up is a failure like any other
        check("TensorBoard reads it", False, repr(error))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
