#!/bin/sh
# Writes docs/cli.md, made of what `hone help` says, to stdout: scripts/make-cli-docs.sh HONE >docs/cli.md
set -eu
hone=${1:?usage: make-cli-docs.sh HONE}
cat <<'END'
# The command line

This page is made of what `hone help` says (scripts/make-cli-docs.sh); a test keeps it true.

- A model is an ONNX file at every stage: each command takes one and what it writes is one.
- Reports go to stdout, progress and messages to stderr. `--json` prints the report as one line of JSON.
- Exit status: 0 when all went well, 1 when something failed (one line on stderr says what, naming the file or node),
  2 when the command line is wrong, 128 + N when signal N ended it.
- Files appear whole or not at all: they are written beside their place and renamed. A place that cannot be written is
  found out before the work.
- Results depend on `--seed`, never on `--threads`.

Data sets:

| `--data` | what it reads |
|---|---|
| `fashion-mnist` | the files of Debian's package `dataset-fashion-mnist` |
| `idx:DIR` | MNIST's four files in a directory, gzipped or not |
| `npz:FILE` | NumPy's `np.savez`: `x_train`, `y_train`, `x_test`, `y_test`; or `x` and `y` alone, which `eval` takes whole, and from which training reports no test accuracy |

Samples are bytes, which a model sees as value / 255, or floats, taken as they are; labels are integers from 0. Images
are [n, height, width] or [n, channels, height, width]; anything else of [n, ...] goes, too. A model takes one sample as
one row of its input; `hone inspect` shows the shape.

END
printf '```\n'
"$hone" --help
printf '```\n'
"$hone" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | while read -r command; do
    printf '\n## hone %s\n\n```\n' "$command"
    "$hone" help "$command"
    printf '```\n'
done
