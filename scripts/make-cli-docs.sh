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

END
printf '```\n'
"$hone" --help
printf '```\n'
"$hone" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | while read -r command; do
    printf '\n## hone %s\n\n```\n' "$command"
    "$hone" help "$command"
    printf '```\n'
done
