#!/usr/bin/env python3
"""Hone and llama.cpp on one GGUF file, turn by turn on one machine: tokens a second of a prompt and of an answer, seconds until
the first token, memory, and the plain read of the file's bytes from memory, which a token can't be faster than.

    bench/lm.py MODEL.gguf --bench build/bench_lm [--llama SOURCES BUILD] [--threads 1 2] [--rounds 3]

SOURCES has llama.cpp's include/ and ggml/include/, BUILD its libraries in bin/ (cmake -DGGML_NATIVE=ON, target llama)."""
import argparse
import json
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def compile_peer(sources, build, folder):
    program, libraries = os.path.join(folder, "lm_llama"), os.path.join(build, "bin")
    subprocess.run(["cc", "-O2", os.path.join(HERE, "lm_llama.c"), "-I", os.path.join(sources, "include"), "-I",
                    os.path.join(sources, "ggml", "include"), "-L", libraries, "-lllama", "-lggml", "-lggml-base",
                    "-Wl,-rpath," + libraries, "-o", program], check=True)
    return program


def better(a, b):
    """What is best of two runs, figure by figure."""
    return {k: min(a[k], b[k]) if k in ("load", "megabytes") else max(a[k], b[k]) for k in a}


def measure(programs, args, threads):
    best = {}
    for _ in range(args.rounds):
        for name, program in programs.items():
            command = [program, args.model, str(threads), str(args.prompt), str(args.tokens)]
            out = subprocess.run(command + ([args.precision] if args.precision and name == "hone" else []), check=True,
                                 capture_output=True, text=True).stdout
            figures = json.loads(out)
            best[name] = better(best[name], figures) if name in best else figures
    return best


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("model")
    p.add_argument("--bench", required=True)
    p.add_argument("--llama", nargs=2, metavar=("SOURCES", "BUILD"))
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--precision", choices=["bfloat16"], help="of Hone's arithmetic; else float32")
    p.add_argument("--prompt", type=int, default=512)
    p.add_argument("--tokens", type=int, default=128)
    p.add_argument("--rounds", type=int, default=3)
    args = p.parse_args()
    size = os.path.getsize(args.model) / 2**20
    with tempfile.TemporaryDirectory() as folder:
        programs = {"hone": args.bench}
        if args.llama:
            programs["llama.cpp"] = compile_peer(*args.llama, folder)
        for threads in args.threads:
            best = measure(programs, args, threads)
            print(f"{threads} thread{'s' if threads > 1 else ''}: plain read {best['hone']['read']:.1f} times a second "
                  f"({best['hone']['read'] * size / 1024:.1f} GiB/s), file {size:.1f} MiB")
            print(f"  {'':10}{'prompt/s':>10}{'tokens/s':>10}{'of read':>9}{'load s':>8}{'MiB':>8}")
            for name, f in best.items():
                print(f"  {name:10}{f['prefill']:10.1f}{f['decode']:10.1f}{f['decode'] / best['hone']['read']:9.2f}"
                      f"{f['load']:8.3f}{f['megabytes']:8.1f}")
            if args.llama:
                h, l = best["hone"], best["llama.cpp"]
                print(f"  {'ratio':10}{h['prefill'] / l['prefill']:10.2f}{h['decode'] / l['decode']:10.2f}{'':9}"
                      f"{h['load'] / l['load']:8.2f}{h['megabytes'] / l['megabytes']:8.2f}")


if __name__ == "__main__":
    main()
