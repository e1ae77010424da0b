#!/usr/bin/env python3
"""The operators as ONNX's own schemas have them, against Hone's descriptors: which are missing, at which operator sets,
with which attributes, defaults, numbers of inputs and element types, and which that ONNX differentiates have no gradient.

    peer_schemas.py OPERATORS.json GAPS.txt      OPERATORS.json is what `ops_test_support_table --json` prints

GAPS.txt lists the differences that are known, one a line, and why ("gap | reason"). Any other fails, and so does one that
is listed and not there. The last line is "N forms compared, N differences, N unknown"."""

import json
import sys

from onnx import defs

KINDS = {"tensor": 1, "seq": 4, "map": 5, "optional": 9}
TYPES = {"float": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "string": 8, "bool": 9,
         "float16": 10, "double": 11, "uint32": 12, "uint64": 13, "bfloat16": 16, "float8e4m3fn": 17,
         "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20, "uint4": 21, "int4": 22, "float4e2m1": 23,
         "float8e8m0": 24, "uint2": 25, "int2": 26}
DOMAINS = {"", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"}
VARIADIC = 2
DIFFERENTIABLE = defs.OpSchema.DifferentiationCategory.Differentiable


def innermost(text):
    """"seq(tensor(float))" to ("seq", "float"); a map is known by its keys."""
    kind, _, rest = text.partition("(")
    if kind == "map":
        return kind, rest.split(",")[0]
    while "(" in rest:
        rest = rest.partition("(")[2]
    return kind, rest.rstrip(")")


def allowed(schema, formal):
    for constraint in schema.type_constraints:
        if constraint.type_param_str == formal.type_str:
            return [innermost(t) for t in constraint.allowed_type_strs]
    return [innermost(formal.type_str)]


def slot_at(slots, index):
    if index < len(slots):
        return slots[index]
    return slots[-1] if slots and slots[-1]["flags"] & VARIADIC else None


def compare_slots(schema, op, what, gaps, name):
    formals = schema.inputs if what == "inputs" else schema.outputs
    for index, formal in enumerate(formals):
        slot = slot_at(op[what], index)
        if not slot:
            gaps.add(f"{name}: no {what[:-1]} {formal.name}")
            continue
        lacking = set()
        for kind, element in allowed(schema, formal):
            if element in ("complex64", "complex128"):
                continue
            kinds = slot["kinds"] or 1 << KINDS["tensor"]
            if kind not in KINDS or not kinds >> KINDS[kind] & 1:
                lacking.add(kind)
            elif element in TYPES and not slot["types"] >> TYPES[element] & 1:
                lacking.add(element)
        if lacking:
            gaps.add(f"{name}: {what[:-1]} {formal.name} lacks {' '.join(sorted(lacking))}")


def default_of(attribute):
    value = attribute.default_value
    return {1: value.f, 2: value.i, 3: value.s.decode()}.get(value.type)


def compare_attrs(schema, op, version, gaps, name):
    form = max((f for f in op["forms"] if f["since"] <= version), key=lambda f: f["since"], default=op["forms"][-1])
    if version >= op["since"]:
        form = op["forms"][0]
    attrs = {a["name"]: a for a in form["attrs"]}
    for key, attribute in schema.attributes.items():
        ours = attrs.get(key)
        if not ours:
            gaps.add(f"{name}: no attribute {key}")
            continue
        wanted = default_of(attribute)
        found = {1: ours["f"], 2: ours["i"], 3: ours["s"]}.get(ours["type"])
        same = abs(wanted - found) <= 1e-6 * abs(wanted) if isinstance(wanted, float) else wanted == found
        if wanted is not None and not same:
            gaps.add(f"{name}: attribute {key} is {found!r} by default, not {wanted!r}")


def main():
    ours = {(o["domain"], o["name"]): o for o in json.load(open(sys.argv[1]))}
    gaps, forms = set(), 0
    for schema in defs.get_all_schemas_with_history():
        if schema.domain not in DOMAINS or schema.support_level == defs.OpSchema.SupportType.EXPERIMENTAL and schema.domain == "":
            continue
        key = (schema.domain, schema.name)
        shown = f"{schema.domain}.{schema.name}" if schema.domain else schema.name
        if key == ("", "Constant"):
            continue  # the reader makes a value of it
        if key not in ours:
            gaps.add(f"{shown}: missing")
            continue
        op, version = ours[key], schema.since_version
        name = f"{shown} {version}"
        forms += 1
        if version < op["oldest"]:
            gaps.add(f"{name}: only from {op['oldest']} on")
            continue
        compare_slots(schema, op, "inputs", gaps, name)
        compare_slots(schema, op, "outputs", gaps, name)
        compare_attrs(schema, op, version, gaps, name)
        if any(i.differentiation_category == DIFFERENTIABLE for i in schema.inputs) and not op["gradient"]:
            gaps.add(f"{name}: no gradient")
    known = {line.split(" | ")[0].strip() for line in open(sys.argv[2]) if line.strip()}
    for gap in sorted(gaps - known):
        print(gap)
    for gap in sorted(known - gaps):
        print(f"listed, but not there: {gap}")
    print(f"{forms} forms compared, {len(gaps)} differences, {len(gaps - known)} unknown")
    return len(gaps ^ known) != 0


if __name__ == "__main__":
    sys.exit(main())
