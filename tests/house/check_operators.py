#!/usr/bin/env python3
"""Drivers never branch on an operator's name: they ask its descriptor. Checks that the names of the operators in
ops.def do not appear in the drivers' sources outside of comments and of calls that emit or look up a node."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVERS = ["graph", "runtime", "train", "compress"]
BUILDERS = ["HONE_EMIT", "hone_op_find", "hone_graph_emit", "hone_spec_node"]


def operator_names():
    """The .name of each descriptor hone_op_ID that ops.def lists."""
    listing = re.sub(r"/\*.*?\*/", "", (ROOT / "src/ops/ops.def").read_text(), flags=re.S)
    ids = re.findall(r"^\s*X\((\w+)", listing, re.M)
    sources = "\n".join(p.read_text() for p in sorted((ROOT / "src/ops").rglob("*.c")))
    names = set(re.findall(r'\.name\s*=\s*"([A-Z]\w+)"', sources))
    # Families whose descriptors a macro makes: hone_op_ID comes from the name given to it.
    # Names that ONNX has, too, go by their domain: microsoft_gelu.
    lowered = {i.removeprefix("microsoft_").replace("_", "") for i in ids}
    names |= {n for n in re.findall(r'"([A-Z][A-Za-z0-9]+)"', sources) if n.lower() in lowered}
    for token in set(re.findall(r"\b([A-Z][A-Za-z0-9]+)\b", sources)):
        if token.lower() in lowered:
            names.add(token)
    lacking = sorted(i for i in lowered if i not in {n.lower() for n in names})
    return names, ids, lacking


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def without_builders(text):
    """Blanks the arguments of builder calls, parentheses counted."""
    for name in BUILDERS:
        at = 0
        while (found := re.compile(r"\b%s\s*\(" % name).search(text, at)):
            depth, end = 1, found.end()
            while depth and end < len(text):
                depth += {"(": 1, ")": -1}.get(text[end], 0)
                end += 1
            text = text[: found.end()] + re.sub(r"[^\n]", " ", text[found.end():end]) + text[end:]
            at = end
    return text


def main():
    names, ids, lacking = operator_names()
    if not ids or lacking:
        print(f"no descriptor's name found for: {', '.join(lacking) or 'any row of ops.def'}")
        return 1
    quoted = re.compile(r'"(%s)"' % "|".join(sorted(names)))
    failed = 0
    for room in DRIVERS:
        for path in sorted((ROOT / "src" / room).rglob("*.[ch]")):
            text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, path.read_text(), flags=re.S)
            for match in quoted.finditer(without_builders(text)):
                line = text.count("\n", 0, match.start()) + 1
                print(f"{path.relative_to(ROOT)}:{line}: names the operator {match.group(1)}")
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
