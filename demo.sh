#!/bin/bash
# The life of one model, on two cores in a few minutes: installs what is missing, builds, trains a classifier on
# Fashion-MNIST, makes it smaller in several ways, serves it and asks it about a real image. Results: build/demo/.
#   ./demo.sh          a small convolutional network
#   ./demo.sh --mlp    a perceptron of one hidden layer; a minute
#   ./demo.sh --lm     a language model of 135 million parameters, fetched (98 MB), asked and served; a minute
set -eu
cd "$(dirname "$0")"
. scripts/packages.sh
life=cnn
case "${1:-}" in
"") ;;
--mlp) life=mlp ;;
--lm) life=lm ;;
*)
    echo "usage: ./demo.sh [--mlp|--lm]" >&2
    exit 2
    ;;
esac
data=fashion-mnist

mkdir -p build
# shellcheck disable=SC2086 # lists of words
need_packages $packages_build $packages_demo
# shellcheck disable=SC2086
[ $life != lm ] || need_packages $packages_demo_lm
need_llhttp
say "building Hone"
configure release -DCMAKE_BUILD_TYPE=Release -DHONE_TESTS=OFF
cmake --build build/release -j "$(jobs)" >build/release/build.log 2>&1 || {
    tail -n 40 build/release/build.log
    exit 1
}
hone=$PWD/build/release/hone
"$hone" version
out=build/demo
rm -rf "$out"
mkdir -p "$out"
cd "$out"
started=$SECONDS

step() {
    say "$1"
    shift
    echo "\$ hone $*"
    "$hone" "$@"
}
# start_server NAME=MODEL: sets $url; what it says is in server.log.
start_server() {
    echo "\$ hone serve --model $1 --port 0"
    "$hone" serve --model "$1" --port 0 >server.log 2>&1 &
    server=$!
    trap 'kill $server 2>/dev/null' EXIT
    for _ in $(seq 600); do
        grep -q '^listening at ' server.log && break
        sleep 0.1
    done
    url=$(sed -n 's/^listening at //p' server.log)
}
stop_server() {
    kill -TERM $server
    wait $server || true
    trap - EXIT
}
if [ $life = lm ]; then
    . ../../scripts/demo_lm.sh
    exit 0
fi
field() { sed -n "s/.*\"$2\":\([-0-9.e+]*\).*/\1/p" "$1"; }

make_cnn() {
    step "train: five convolutions with normalizations and a layer on top, inputs standardized inside the model" \
        train --model cnn:16-32s2-48-p-64-56 --recipe small --data $data --seed 1 --out fp32.onnx --logdir runs/fp32
    step "quantize: 8-bit integers, ranges from training images" \
        quantize fp32.onnx --mode static --data $data --out int8.onnx
    step "quantize: 8-bit integers, ranges found at every run" \
        quantize fp32.onnx --mode dynamic --data $data --out int8-dynamic.onnx
    tuning="--data $data --optimizer adamw --batch 128 --lr 2e-3 --weight-decay 0.01 --warmup 0.1"
    # shellcheck disable=SC2086 # a list of words
    step "prune: 90 % of the weights become zero" \
        prune fp32.onnx --sparsity 0.9 --finetune-epochs 3 $tuning --out sparse.onnx
    # shellcheck disable=SC2086
    step "prune: half of the channels go for good" \
        prune fp32.onnx --structured 0.5 --finetune-epochs 2 $tuning --out half.onnx
    step "quantize what is left" \
        quantize half.onnx --mode static --data $data --out half-int8.onnx
    step "distill: a student of a quarter of the weights, 6,000 labelled images, with and without the teacher" \
        distill --teacher fp32.onnx --model cnn:8-16s2-24-p-32 --data $data --temperature 4 --alpha 0.9 \
        --train-samples 6000 --epochs 15 --optimizer adamw --lr 4e-3 --weight-decay 0.05 --warmup 0.1 --baseline \
        --out student.onnx
}

make_mlp() {
    step "train: 784-128-10, inputs standardized inside the model" \
        train --model mlp:784-128-10 --data $data --epochs 10 --batch 64 --lr 0.01 --momentum 0.9 --schedule cosine \
        --seed 1 --out fp32.onnx --logdir runs/fp32
    step "quantize: 8-bit integers, ranges from training images" \
        quantize fp32.onnx --mode static --data $data --out int8.onnx
    step "quantize: 8-bit integers, ranges found at every run" \
        quantize fp32.onnx --mode dynamic --data $data --out int8-dynamic.onnx
    step "prune: 90 % of the weights become zero" \
        prune fp32.onnx --sparsity 0.9 --data $data --finetune-epochs 5 --out sparse.onnx
    step "prune: half of the hidden units go for good" \
        prune fp32.onnx --structured 0.5 --data $data --finetune-epochs 5 --out half.onnx
    step "train a teacher for the next step: 784-512-10" \
        train --model mlp:784-512-10 --data $data --epochs 10 --seed 1 --out teacher.onnx
    step "distill: a student of 32 hidden units, 6,000 labelled images, with and without the teacher" \
        distill --teacher teacher.onnx --model mlp:784-32-10 --data $data --temperature 4 --alpha 0.7 --epochs 50 \
        --train-samples 6000 --baseline --out student.onnx
}
make_$life

say "serve: a real image over HTTP"
start_server fashion=int8.onnx
cat server.log
# The first image of the test set, as JSON: 28 rows of 28 numbers in [0, 1].
zcat /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz 2>/dev/null | tail -c +17 | head -c 784 |
    od -An -v -tu1 -w28 | awk '{ row = ""
        for (i = 1; i <= NF; i++) row = row (i > 1 ? "," : "") sprintf("%.6f", $i / 255)
        rows = rows (NR > 1 ? "," : "") "[" row "]" }
        END { print "{\"instances\":[[[" rows "]]]}" }' >image.json
echo "\$ curl -d @image.json $url/v1/models/fashion:predict"
curl -sS --fail-with-body -d @image.json "$url/v1/models/fashion:predict" | tee answer.json
echo
best=$(tr -d '[]{} \n' <answer.json | sed 's/.*predictions"://' | tr ',' '\n' |
    awk 'NR == 1 || $1 > top { top = $1; best = NR - 1 } END { print best }')
class=$("$hone" inspect int8.onnx | sed -n "s/^classes  */  /; s/^  *$best \([A-Z].*\)/\1/p")
echo "the image is an ankle boot; the server says: $class"
stop_server
[ "$class" = "Ankle boot" ] || exit 1

say "measuring"
{
    printf '%-26s %9s %8s %9s %8s %14s %9s\n' model accuracy "vs fp32" "file, KB" "vs fp32" multiply-adds "us/image"
    echo "-------------------------- --------- -------- --------- -------- -------------- ---------"
} >table.txt
base=""
base_bytes=""
row() { # NAME FILE
    "$hone" eval "$2" --data $data --json >eval.json
    "$hone" inspect "$2" --json >inspect.json
    "$hone" bench "$2" --batch 1 --threads 1 --seconds 1 --json >bench.json
    accuracy=$(field eval.json accuracy) bytes=$(field inspect.json file_bytes)
    base=${base:-$accuracy} base_bytes=${base_bytes:-$bytes}
    awk -v n="$1" -v a="$accuracy" -v b="$base" -v f="$bytes" -v g="$base_bytes" \
        -v m="$(field inspect.json multiply_adds)" -v t="$(field bench.json median_us)" 'BEGIN {
            printf "%-26s %8.2f%% %+8.2f %9.1f %8.3f %14d %9.2f\n", n, 100 * a, 100 * (a - b), f / 1000, f / g, m, t }' \
        >>table.txt
}
rows_cnn() {
    row "fp32 (16-32-48-64-56)" fp32.onnx
    row "int8, static" int8.onnx
    row "int8, dynamic" int8-dynamic.onnx
    row "90 % zeros" sparse.onnx
    row "half of the channels" half.onnx
    row "half, in int8" half-int8.onnx
    row "student (8-16-24-32), 6000" student.onnx
}
rows_mlp() {
    row "fp32 (784-128-10)" fp32.onnx
    row "int8, static" int8.onnx
    row "int8, dynamic" int8-dynamic.onnx
    row "90 % zeros" sparse.onnx
    row "half of the hidden units" half.onnx
    row "teacher (784-512-10)" teacher.onnx
    row "student (784-32-10), 6000" student.onnx
}
rows_$life
say "results on the 10,000 test images (also in $out/table.txt)"
cat table.txt
echo
echo "vs fp32: points of accuracy, ratio of file sizes; us/image: one image at a time, one thread, the median"
echo "Every model is an ONNX file in $out; curves for TensorBoard: tensorboard --logdir $out/runs"
echo "done in $((SECONDS - started)) s, apart from building"
