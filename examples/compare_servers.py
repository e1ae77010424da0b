#!/usr/bin/env python3
"""Asks two servers the same and compares what they answer: TensorFlow Serving and Hone, or two versions of a model.

    compare_servers.py [--tolerance X] URL URL FILE...

A URL is a model's: http://127.0.0.1:8501/v1/models/NAME, or with /versions/N behind it. A file holds the JSON body of a
predict request. Numbers may differ by the tolerance (default 1e-4), absolutely or relatively; all else must be equal. So
must be the names, types and ranks of inputs and outputs. The exit status is 1 if something differs."""
import argparse
import json
import math
import sys
import urllib.error
import urllib.request


def ask(url, body=None):
    """The status and the JSON document of the answer; of an error, the status alone."""
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None


def difference(a, b, tolerance, where="$"):
    """What is the first thing that differs, as a sentence; None if nothing does."""
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (a, b))
    if numbers:
        same = a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
        return None if same else f"{where}: {a} and {b}"
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        pairs = [(f"{where}.{key}", a[key], b[key]) for key in a]
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = [(f"{where}[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b))]
    else:
        return None if a == b and type(a) is type(b) else f"{where}: {str(a)[:60]} and {str(b)[:60]}"
    return next((d for place, x, y in pairs if (d := difference(x, y, tolerance, place))), None)


def answers_differ(urls, body, tolerance):
    """As difference, of what two models predict."""
    (status, a), (other, b) = (ask(url + ":predict", body) for url in urls)
    return difference(a, b, tolerance) if status == other else f"status {status} and {other}"


def signature(url):
    """{"inputs": {name: [dtype, rank]}, "outputs": …} of a model."""
    status, document = ask(url + "/metadata")
    if status != 200:
        return f"status {status}"
    definition = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
    return {part: {name: [info["dtype"], len(info["tensor_shape"].get("dim", []))]
                   for name, info in definition[part].items()} for part in ("inputs", "outputs")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("urls", metavar="URL", nargs=2)
    parser.add_argument("files", metavar="FILE", nargs="+")
    args = parser.parse_args()
    first, second = (url.rstrip("/") for url in args.urls)
    failures = 0

    def report(name, what):
        nonlocal failures
        failures += what is not None
        print(f"{name}: {what or 'the same'}")

    report("metadata", difference(signature(first), signature(second), 0))
    for name in args.files:
        with open(name, "rb") as file:
            body = file.read()
        report(name, answers_differ([first, second], body, args.tolerance))
    sys.exit(failures > 0)


main()
