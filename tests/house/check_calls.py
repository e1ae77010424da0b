#!/usr/bin/env python3
"""check_calls.py BUILD_DIR: no object needs a function of a folder that lies above its own in the include law. A header
in one folder whose functions lie in another would hide a circle from check_includes.py."""
import pathlib
import re
import subprocess
import sys

from check_includes import MAY, PUBLIC, ROOT, folder_of

# What a room declares and leaves on purpose to one above it to define.
GIVEN = {"hone_op_at", "hone_op_find", "hone_rewrite_at", "hone_pack_constant", "hone_packer_precision",
         "hone_prepare_packed"}
# The descriptors of operators, which ops.h declares for all of its room.
DESCRIPTOR = re.compile(r"hone_op_(?!at$|find$)[a-z0-9_]+$")


def beneath(folder):
    """Itself, and all that it may include, directly or through others."""
    found, todo = set(), [folder]
    while todo:
        here = todo.pop()
        if here not in found:
            found.add(here)
            todo += [folder_of(o) if o.endswith(".h") else o for o in MAY.get(here, [])]
    return found


def public():
    """Functions of the public headers, and the room that each belongs to."""
    text = {name: (ROOT / "include/hone" / name).read_text() for name in PUBLIC}
    return {f: PUBLIC[name] for name in text for f in re.findall(r"\b(hone_\w+)\s*\(", text[name])}


def symbols(objects, kinds):
    """(object, symbol) for those symbols that are of one of nm's kinds."""
    out = subprocess.run(["nm", "-A", *map(str, objects)], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        name, rest = line.rsplit(":", 1)
        *_, kind, symbol = rest.split()
        if kind in kinds and symbol.startswith("hone_"):
            yield name.split("_objects.dir/src/")[1], symbol


def main():
    objects = sorted(pathlib.Path(sys.argv[1]).glob("CMakeFiles/hone_*_objects.dir/src/**/*.c.o"))
    objects = [o for o in objects if (ROOT / "src" / str(o)[:-2].split("_objects.dir/src/")[1]).exists()] # not stale
    if not objects:
        print(f"no objects in {sys.argv[1]}")
        return 1
    owners = {symbol: folder_of(name) for name, symbol in symbols(objects, "TDBRVWC")} | public()
    below = {folder: beneath(folder) for folder in MAY}
    breaches = {f"src/{name[:-2]}: uses {symbol}, which is of {owners[symbol]}"
                for name, symbol in symbols(objects, "U")
                if symbol not in GIVEN and not DESCRIPTOR.match(symbol) and owners.get(symbol, "base") not in below[folder_of(name)]}
    for line in sorted(breaches):
        print(line)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
