#!/usr/bin/env python3
"""Checks the include law: which folder under src/ may include which. Prints each breach; the exit status tells."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# folder: what it may include besides itself. The longest key that a path begins with decides, so a folder without a
# row is part of the one around it; but once a room has rows for folders, each of its folders needs one. What is listed
# is another folder of the law or a single header. Public headers (hone/*.h) belong to nobody, see below.
FAMILIES = ["attention", "math", "nn", "linear", "tensor", "quant", "control", "sequence", "ml", "microsoft", "random",
            "recurrent", "signal", "text", "training", "vision"]
MAY = {
    "base": [],
    "kernels": ["base"],
    "image": ["base"],
    "graph": ["base"],
    # the engine below, families side by side, rewrites beside them
    "ops": ["graph", "base"],
    "ops/common": ["graph", "base"],
    "ops/engine": ["ops/common", "graph", "kernels", "base"],
    **{f"ops/{family}": ["ops/engine", "ops/common", "graph", "kernels", "base"] for family in FAMILIES},
    "ops/image": ["image", "ops/engine", "ops/common", "graph", "kernels", "base"],
    "ops/rewrites": ["ops/ops.h", "ops/engine/elementwise.h", "ops/engine/program.h", "ops/common", "graph", "base"],
    "onnx": ["graph", "base"],
    "runtime": ["graph", "base"],
    "text": ["base"],
    "data": ["image", "text", "kernels", "base", "graph/tensor.h"],
    "import": ["graph", "onnx", "text", "base"],
    "lm": ["runtime", "text", "graph", "base"],
    "train": ["runtime", "data", "text", "graph", "onnx", "base"],
    "compress": ["train", "runtime", "data", "graph", "onnx", "base"],
    "monitor": ["graph", "image", "base"],
    "explain": ["runtime", "graph", "image", "base"],
    "mpi": ["base/ranks.h"],
    "cli": [],
    # from the wire up
    "serve/format": ["base"],
    "serve/observe": ["serve/format", "monitor", "base"],
    "serve/request": ["serve/format", "serve/observe", "base"],
    "serve/tls": ["serve/format", "serve/observe", "base"],
    "serve/access": ["serve/request", "serve/tls", "base"],
    "serve/http": ["serve/request", "serve/format", "serve/observe", "base"],
    "serve/grpc": ["serve/request", "serve/format", "base"],
    "serve/net": ["serve/http", "serve/tls", "serve/access", "serve/request", "serve/format", "serve/observe", "base"],
    # from the model up
    "serve/language": ["lm", "import", "text", "base"],
    "serve/servable": ["serve/language", "serve/format", "serve/observe", "runtime", "graph", "base"],
    "serve/batching": ["serve/servable", "serve/request", "serve/observe", "base"],
    "serve/models": ["serve/batching", "serve/servable", "serve/language", "serve/request", "serve/format",
                     "serve/observe", "import", "onnx", "graph", "base"],
    # between both
    "serve/api": ["serve/models", "serve/batching", "serve/servable", "serve/request", "serve/format", "graph", "base"],
    "serve/tfs": ["serve/api", "serve/language", "serve/servable", "serve/grpc", "serve/models", "serve/request", "serve/format", "base"],
    "serve/oip": ["serve/api", "serve/grpc", "serve/models", "serve/request", "serve/format", "base"],
    "serve/openai": ["serve/api", "serve/models", "serve/servable", "serve/language", "serve/request", "serve/format",
                     "serve/observe", "lm", "text", "base"],
    "serve/page": ["serve/request", "serve/format", "base"],
    "serve": ["serve/page", "serve/openai", "serve/oip", "serve/tfs", "serve/api", "serve/models", "serve/batching", "serve/servable", "serve/net",
              "serve/grpc", "serve/http", "serve/access", "serve/tls", "serve/request", "serve/observe",
              "serve/format", "runtime", "onnx", "monitor", "graph", "base"],
}
# Public headers that speak of a room are that room's: who may not include the room may not include them either.
PUBLIC = {
    "arrays.h": "data",
    "adapter.h": "import", "generate.h": "lm", "import.h": "import",
    "compress.h": "compress", "data.h": "data", "energy.h": "base", "error.h": "base", "explain.h": "explain", "graph.h": "graph", "log.h": "base",
    "monitor.h": "monitor", "ranks.h": "base", "serve.h": "serve", "session.h": "runtime", "tensor.h": "base", "text.h": "text", "train.h": "train",
    "version.h": "base",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def folder_of(name, law=None):
    """The row of the law for a path under src/; None if there is none."""
    parts = name.split("/")[:-1]
    while parts and "/".join(parts) not in (law or MAY):
        parts.pop()
    return "/".join(parts) or None


def source_of(name):
    """The file under src/ that `name` is, or is made of: protoc-c makes ROOM/x.pb-c.h of src/ROOM/x.proto."""
    return ROOT / "src" / re.sub(r"\.pb-c\.h$", ".proto", name)


def breach(folder, path, quote, name):
    allowed = [folder, *MAY[folder]]
    if name.startswith("hone/"):
        owner = PUBLIC.get(name[5:])
        if owner is None:
            return "is a public header that this check does not know"
        own = folder == "cli" or owner in allowed or folder.startswith(owner + "/")
        return None if own else f"belongs to {owner}"
    if quote == "<":
        return None
    if "/" in name and source_of(name).exists():
        owner = folder_of(name)
        return None if owner in allowed or name in allowed else f"belongs to {owner}"
    if (path.parent / name).exists():
        return None
    return "is not found from src/"


def circles(law):
    """Rows that may include each other in a circle, in the order of the circle."""
    found, done = [], set()

    def walk(folder, way):
        if folder in way:
            found.append(way[way.index(folder):] + [folder])
        elif folder not in done:
            for other in law.get(folder, []):
                if other != folder:
                    walk(folder_of(other, law) if other.endswith(".h") else other, way + [folder])
            done.add(folder)

    for folder in law:
        walk(folder, [])
    return found


def sources():
    return sorted(p for p in (ROOT / "src").rglob("*.[ch]"))


def main():
    breaches = [f"the law has a circle: {' → '.join(c)}" for c in circles(MAY)]
    breaches += [f"{f} may include {o}, which is neither a folder of the law nor a header"
                 for f in MAY for o in MAY[f] if o not in MAY and not source_of(o).is_file()]
    parted = {key.split("/")[0] for key in MAY if "/" in key}
    for path in sources():
        name = str(path.relative_to(ROOT / "src"))
        folder = folder_of(name)
        if folder is None or (folder in parted and name.count("/") > folder.count("/") + 1):
            breaches.append(f"src/{name}: its folder is no row of the include law")
            continue
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            why = breach(folder, path, *match.groups())
            if why:
                line = text.count("\n", 0, match.start(2)) + 1
                breaches.append(f"src/{name}:{line}: {match.group(2)} {why}")
    if not sources():
        breaches.append("no source files found")
    for line in breaches:
        print(line)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
