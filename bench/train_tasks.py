#!/usr/bin/env python3
"""Trains on real tasks by protocols that let nothing leak, and prints what is reached.

    bench/train_tasks.py HONE [--task NAME ...] [--seeds N] [--data DIR] [--threads N]

HONE is the command. Data are fetched by apt and npm (bench/train_tasks_data.py) into DIR (default: build/tasks). Each task
is trained N times (default 3), with seeds 1 … N; the test part is looked at once, by what validation has chosen. Seconds
are of the whole command, reading and tokenizing included: as the clock has it, and of all CPUs together."""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import train_tasks_data as data

# name: data, what is trained (a list of commands: later ones begin with the model of the first), metric, goal
TASKS = {
    "topic": (data.topic, ["--model bag:64 --recipe bag --tokenizer words:60000"], "accuracy", ">= 0.795"),
    "topic-encoder": (data.topic, ["--model encoder:2x128h4 --recipe encoder --tokenizer words:60000"], "accuracy", ">= topic"),
    "spam": (data.spam, ["--model bag:64 --recipe bag --batch 64 --tokenizer words:60000 --tokens 400"], "accuracy", ">= 0.965"),
    "sotu": (data.addresses, ["--model lm:4x192h6 --recipe lm --train-samples 10560"], "bits_per_byte", "<= 1.65"),
    "sotu-3": (data.addresses, ["--model lm:4x192h6 --recipe lm --epochs 3"], "bits_per_byte", "<= 1.5"),
    "words": (data.words, ["--model dscnn:48-48-64s2-64-96s2 --recipe sound --rate 8000 --seconds 1 --keep-last"], "accuracy", ">= 0.85"),
    "moby": (data.whale, None, "bits_per_byte", "<= 2.45"),
    "moby-lora": (data.whale, None, "bits_per_byte", "<= 2.75"),
}
ADAPT = {"moby": "--lr 1e-3", "moby-lora": "--lora 8 --lr 5e-3"}


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(arguments):
    """The command's JSON, and its seconds: wall, CPU."""
    start, before = time.monotonic(), cpu()
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}\n{done.stderr}")
    return json.loads(done.stdout), time.monotonic() - start, cpu() - before


def train(hone, spec, options, out, seed, threads):
    return run([hone, "train", "--data", spec, "--out", str(out), "--seed", str(seed), "--threads", str(threads), "--json",
                *options.split()])


def once(hone, name, folder, work, seed, threads):
    """Metrics of the test part, and seconds."""
    get, commands, metric, _ = TASKS[name]
    path = get(folder)
    kind = "audio" if get is data.words else "lm" if metric == "bits_per_byte" else "text"
    if commands:
        out = work / f"{name}.{seed}.onnx"
        result, wall, used = train(hone, f"{kind}:{path}", commands[0], out, seed, threads)
        more = ""
        if get is data.words:
            human, _, _ = run([hone, "eval", str(out), "--data", f"audio:{folder}/words-human", "--json"])
            more = f"human {human['accuracy']:.3f}"
        return result["test_" + metric], wall, used, more
    base = work / f"sotu.{seed}.onnx"
    if not base.exists():
        train(hone, f"lm:{data.addresses(folder)}", TASKS["sotu"][1][0], base, seed, threads)
    before, _, _ = run([hone, "eval", str(base), "--data", f"lm:{path}", "--json", "--threads", str(threads)])
    result, wall, used = train(hone, f"lm:{path}", f"--model {base} --optimizer adamw --batch 16 --train-samples 2400 --epochs 1 --beta2 0.95 "
                               f"--warmup 0.1 --clip-norm 1 {ADAPT[name]}", work / f"{name}.onnx", seed, threads)
    return result["test_" + metric], wall, used, f"from {before[metric]:.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hone")
    parser.add_argument("--task", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("build/tasks"))
    args = parser.parse_args()
    work = args.data / "models"
    work.mkdir(parents=True, exist_ok=True)
    print(f"{'task':14} {'metric':14} {'mean':>8} {'each':26} {'goal':>10} {'wall s':>8} {'CPU s':>8}")
    for name in args.task:
        runs = [once(args.hone, name, args.data, work, seed, args.threads) for seed in range(1, args.seeds + 1)]
        values = [r[0] for r in runs]
        print(f"{name:14} {TASKS[name][2]:14} {statistics.mean(values):8.4f} {' '.join(f'{v:.4f}' for v in values):26} {TASKS[name][3]:>10} "
              f"{statistics.mean(r[1] for r in runs):8.1f} {statistics.mean(r[2] for r in runs):8.1f}  {'; '.join(r[3] for r in runs if r[3])}", flush=True)


if __name__ == "__main__":
    main()
