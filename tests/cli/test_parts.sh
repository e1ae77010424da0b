#!/bin/sh
# Parts of a data set: for validation, for the test, of the training samples.
. "$(dirname "$0")/lib.sh"
# 200 samples, sorted by class; x tells the class; group i % 20
perl -e 'binmode STDOUT; print pack "f<*", map { ($_ >= 100) + ($_ % 10) / 10, $_ % 3 } 0 .. 199' | npy x.npy '<f4' '200, 2'
perl -e 'binmode STDOUT; print pack "C*", map { $_ >= 100 } 0 .. 199' | npy y.npy '|u1' '200,'
perl -e 'binmode STDOUT; print pack "C*", map { $_ % 20 } 0 .. 199' | npy g.npy '|u1' '200,'
perl -e 'binmode STDOUT; print pack "C*", map { $_ >= 195 } 0 .. 199' | npy rare.npy '|u1' '200,'
npz() {
    python3 -c 'import sys, zipfile
z = zipfile.ZipFile(sys.argv[1], "w")
for name in sys.argv[2:]: z.write(name + ".npy", name + ".npy")' "$@"
}
npz sorted.npz x y g
task="--data npz:sorted.npz --input input=x --lr 0.1 --epochs 4"

# of sorted samples the last ones are all of one class
# shellcheck disable=SC2086
works train --model mlp:2-2 $task --validation 0.25 --out m.onnx --json
json 'd["steps"] == 4 * 3'
cp m.onnx drawn.onnx
# shellcheck disable=SC2086
works train --model mlp:2-2 $task --validation 50 --out m.onnx
holds "a share and a number are the same" cmp m.onnx drawn.onnx
# shellcheck disable=SC2086
works train --model mlp:2-2 $task --validation 0.25 --split-by order --out m.onnx
holds "the order is another split" sh -c '! cmp -s m.onnx drawn.onnx'
# shellcheck disable=SC2086
works train --model mlp:2-2 $task --validation 0.25 --seed 2 --out m.onnx
holds "so is another seed" sh -c '! cmp -s m.onnx drawn.onnx'
# shellcheck disable=SC2086
works train --model mlp:2-2 $task --test 0.2 --out m.onnx --json
json 'd["test_accuracy"] > 0.9'
# shellcheck disable=SC2086
works train --model mlp:2-2 $task --test 0.2 --group g --out m.onnx
prints ": 40 test samples"
# shellcheck disable=SC2086
works train --model mlp:2-2 $task --test-data npz:sorted.npz --out m.onnx
prints ": 200 test samples"
# shellcheck disable=SC2086
works train --model mlp:2-2 $task --train-samples 64 --out m.onnx --json
json 'd["steps"] == 4'
# shellcheck disable=SC2086
says 1 "hone train: --validation 1.5 is neither a share of the samples nor their number" \
    train --model mlp:2-2 $task --validation 1.5 --test 5 --out m.onnx
# shellcheck disable=SC2086
says 1 "hone train: sorted.npz (all, 200 samples) has no column 'speaker' of groups" \
    train --model mlp:2-2 $task --test 0.2 --group speaker --out m.onnx

npz uneven.npz x rare
works train --model mlp:2-2 --data npz:uneven.npz --target rare --out m.onnx
holds "uneven classes are told of" \
    grep -q '^hone train: the classes are uneven: 5 of the 200 training samples are of class 1, 195 of class 0$' stderr
works quantize drawn.onnx --data npz:sorted.npz --input input=x --calibration-samples 20 --test 0.2 --out q.onnx
prints "test accuracy"
# the samples that were kept are the same ones, whatever target is named when they are looked at
cp y.npy kind.npy
npz kind.npz x kind
works train --model mlp:2-2 --data npz:kind.npz --input input=x --target kind --test 0.2 --lr 0.1 --epochs 4 --out k.onnx --json
cp stdout trained.json
works eval k.onnx --data npz:kind.npz --input input=x --json
holds "the test is the same" python3 -c 'import json
a, b = json.load(open("trained.json")), json.load(open("stdout"))
assert abs(a["test_loss"] - b["loss"]) < 1e-7, (a, b)'
# arrays as NumPy's users name and store them: labels as floats, as rows with a single 1, as [n, 1]
perl -e 'binmode STDOUT; print pack "d<*", map { $_ >= 100 } 0 .. 199' | npy floats.npy '<f8' '200,'
perl -e 'binmode STDOUT; print pack "C*", map { $_ >= 100 ? (0, 1) : (1, 0) } 0 .. 199' | npy rows.npy '|u1' '200, 2'
cp y.npy column.npy
perl -e 'binmode STDOUT; print pack "C*", map { $_ >= 100 } 0 .. 199' | npy column.npy '|u1' '200, 1'
for labels in floats rows column; do
    cp x.npy arr_0.npy
    cp $labels.npy arr_1.npy
    npz arrays.npz arr_0 arr_1
    works train --model mlp:2-2 --data arrays.npz --test 0.2 --lr 0.1 --epochs 4 --out l.onnx --json
    json 'd["test_accuracy"] > 0.9'
    works eval l.onnx --data arrays.npz --split all
    prints "accuracy"
done
holds "the guessed kind is told" grep -q '^hone eval: arrays.npz is read as npz:arrays.npz$' stderr
perl -e 'binmode STDOUT; print pack "f<*", map { $_ == 77 ? "nan" : $_ % 5 } 0 .. 399' | npy x.npy '<f4' '200, 2'
npz nan.npz x y
says_like 1 "hone train: nan.npz (all, 200 samples): column 'x' has a value that is no number (NaN or infinite): sample 38, value 1" \
    train --model mlp:2-2 --data npz:nan.npz --test-data npz:sorted.npz --out n.onnx
says_like 1 "hone eval: *column 'x' has a value in sample 38 that is no number, and so is the model's answer" \
    eval l.onnx --data npz:nan.npz --split all
finish
