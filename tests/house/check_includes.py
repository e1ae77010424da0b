#!/usr/bin/env python3
"""Checks the include law: which room under src/ may include which. Prints each breach; the exit status tells."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# room: the rooms it may include besides itself. Public headers (hone/*.h) belong to nobody, see below.
MAY = {
    "base": [],
    "kernels": ["base"],
    "graph": ["base"],
    "ops": ["graph", "kernels", "base"],
    "onnx": ["graph", "base"],
    "runtime": ["graph", "base"],
    "data": ["base", "graph/tensor.h"],
    "train": ["runtime", "data", "graph", "onnx", "base"],
    "compress": ["train", "runtime", "data", "graph", "onnx", "base"],
    "monitor": ["graph", "base"],
    "explain": ["runtime", "graph", "base"],
    "serve": ["runtime", "onnx", "monitor", "graph", "base"],
    "cli": [],
}
# Public headers that speak of a room are that room's: who may not include the room may not include them either.
PUBLIC = {
    "compress.h": "compress", "data.h": "data", "error.h": "base", "graph.h": "graph", "log.h": "base",
    "monitor.h": "monitor", "serve.h": "serve", "session.h": "runtime", "tensor.h": "base", "train.h": "train",
    "version.h": "base",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def source_of(name):
    """The file under src/ that `name` is, or is made of: protoc-c makes ROOM/x.pb-c.h of src/ROOM/x.proto."""
    return ROOT / "src" / re.sub(r"\.pb-c\.h$", ".proto", name)


def breach(room, path, quote, name):
    allowed = [room, *MAY[room]]
    if name.startswith("hone/"):
        owner = PUBLIC.get(name[5:])
        if owner is None:
            return "is a public header that this check does not know"
        return None if room == "cli" or owner in allowed else f"belongs to {owner}"
    if quote == "<":
        return None
    first = name.split("/")[0]
    if "/" in name and source_of(name).exists():
        return None if first in allowed or name in allowed else f"belongs to {first}"
    if (path.parent / name).exists():
        return None
    return "is not found from src/"


def main():
    breaches = 0
    rooms = sorted(p for p in (ROOT / "src").iterdir() if p.is_dir())
    files = 0
    for room in rooms:
        for path in sorted(room.rglob("*.[ch]")):
            files += 1
            if room.name not in MAY:
                print(f"{path.relative_to(ROOT)}: src/{room.name} is no room of the include law")
                breaches += 1
                continue
            for match in INCLUDE.finditer(path.read_text()):
                why = breach(room.name, path, *match.groups())
                if why:
                    line = path.read_text().count("\n", 0, match.start(2)) + 1
                    print(f"{path.relative_to(ROOT)}:{line}: {match.group(2)} {why}")
                    breaches += 1
    if files == 0:
        print("no source files found")
        breaches += 1
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
