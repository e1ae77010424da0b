#!/bin/sh
# Makes what the documents say about options of what `hone help` says: docs/cli.md, and the table in docs/serving.md.
#
#   scripts/make-cli-docs.sh HONE [DIRECTORY]     the directory is docs/, unless it is given
set -eu
hone=${1:?usage: make-cli-docs.sh HONE [DIRECTORY]}
docs=${2:-$(dirname "$0")/../docs}

overview() {
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
| `fashion-mnist` | the files of Debian's package `dataset-fashion-mnist`: columns `x` and `y` |
| `idx:DIR` | MNIST's four files in a directory, gzipped or not: likewise |
| `npz:FILE` | NumPy's `np.savez`: a column for each array, whose first axis is the samples. `NAME_train` and `NAME_test` are the column `NAME` of the two splits; arrays without such names `eval` takes whole, and from them training reports no test accuracy |

A data set is a table of named columns. An input of the model is fed by the column of its name, else by `x`, else by the
only one that is left; `--input NAME=COLUMN` says it. Bytes are seen as value / 255, other numbers as they are. Bytes
[n, height, width] are images of one channel; axes of 1 may be more or less than the input has. The target, which the
first output is compared with, is the column `y`, `label` or `target`, else the only one that is left; `--target` says it.

| `--objective` | first output | target | reported |
|---|---|---|---|
| `cross-entropy` | logits, [n, classes] | classes, integers from 0 | accuracy |
| `mean-squared-error` | numbers, [n, ...] | as many numbers | mean absolute error; r2, the share of the variance that is explained |
| `binary-cross-entropy` | logits, [n, ...] | as many numbers from 0 to 1 | accuracy: on the right side of 1/2 |

## Files for inputs

`hone run` and `hone bench` take, as `--input NAME=@FILE`:

| file | for | becomes |
|---|---|---|
| .npy | a tensor | NumPy's array; numbers of another type are converted, with a note, where nothing is lost in kind |
| .npz | a tensor; a sequence | the array of the input's name; all arrays |
| .pb | any input | ONNX's own messages, as in its test data |
| PNG, JPEG, WebP, TIFF, JPEG 2000, BMP, PNM | a tensor of numbers, [channels, height, width] or [height, width, channels], with or without a batch of one in front, or [height, width] | red, green and blue, or gray where the input has one channel, of the input's height and width where these are fixed. Floats are (byte / `--scale` - `--mean`) / `--std`, integers the bytes. A model that wants blue first needs an array |
| .wav | a tensor of floats | samples from -1 to 1, along the dimension that is free; several channels become their mean |
| any | a tensor of strings | its lines |

## hone

```
END
    "$hone" --help
    printf '```\n'
    "$hone" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | while read -r command; do
        printf '\n## hone %s\n\n```\n' "$command"
        "$hone" help "$command"
        printf '```\n'
    done
}

# The options of a command as rows of a table. In the help, an option stands behind two spaces, what it means in or
# below column 28, and its default in brackets at the end.
option_rows() {
    "$hone" help "$1" | awk '
        function row(   preset) {
            if (option == "") return
            preset = ""
            if (match(text, / \((default:? [^()]*|required|repeatable|required, repeatable)\)$/)) {
                preset = substr(text, RSTART + 2, RLENGTH - 3)
                text = substr(text, 1, RSTART - 1)
                sub(/^default:? /, "", preset)
            }
            gsub(/\|/, "\\|", option)
            gsub(/\|/, "\\|", text)
            printf "| `%s` | %s | %s |\n", option, preset, text
            option = ""
        }
        /^options:$/ { on = 1; next }
        /^$/ && on { exit }
        !on { next }
        /^  -/ {
            row()
            option = substr($0, 3)
            text = ""
            if (match(option, /  +/)) {
                text = substr(option, RSTART + RLENGTH)
                option = substr(option, 1, RSTART - 1)
            }
            next
        }
        { sub(/^ +/, ""); text = text (text == "" ? "" : " ") $0 }
        END { row() }'
}

# What stands between two lines of a file, taken from stdin.
between() { # FILE BEGIN END
    awk -v begin="$2" -v end="$3" '
        FNR == NR { rows = rows $0 "\n"; next }
        index($0, begin) { print; printf "%s", rows; skip = 1; next }
        index($0, end) { skip = 0 }
        !skip' - "$1"
}

overview >"$docs/cli.md.new"
mv "$docs/cli.md.new" "$docs/cli.md"
{
    printf '| option | default | meaning |\n|---|---|---|\n'
    option_rows serve
} | between "$docs/serving.md" '<!-- options:' '<!-- end of options -->' >"$docs/serving.md.new"
mv "$docs/serving.md.new" "$docs/serving.md"
