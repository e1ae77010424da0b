#!/bin/sh
# The main job on all of Fashion-MNIST, with what must hold of it: accuracy over five seeds, and what each way of making
# the model smaller may cost.
. "$(dirname "$0")/lib.sh"
need_fashion
data="--data fashion-mnist"
for seed in 1 2 3 4 5; do
    # shellcheck disable=SC2086
    works train --model mlp:784-128-10 $data --epochs 10 --batch 64 --lr 0.01 --momentum 0.9 --schedule cosine \
        --seed $seed --out fp32-$seed.onnx --json
    cp stdout train-$seed.json
    # shellcheck disable=SC2086
    works eval fp32-$seed.onnx $data --json
    cp stdout eval-$seed.json
    json "d['accuracy'] >= 0.88 and d['samples'] == 10000"
    json "d['accuracy'] == json.load(open('train-$seed.json'))['test_accuracy']"
done
python3 -c 'import json
a = [json.load(open(f"eval-{s}.json"))["accuracy"] for s in range(1, 6)]
print("fp32, seeds 1 to 5:", a, "mean", sum(a) / 5)
raise SystemExit(sum(a) / 5 < 0.885)' >mean.txt
status=$?
cat mean.txt
holds "the mean of five seeds is at least 88.5 %" [ $status -eq 0 ]

lost='100 * (d["before"]["accuracy"] - d["after"]["accuracy"])'
ratio='d["after"]["file_bytes"] / d["before"]["file_bytes"]'
# shellcheck disable=SC2086
{
    works quantize fp32-1.onnx --mode static $data --out int8.onnx --json
    json "$lost <= 0.3 and $ratio <= 0.30 and d['quantized_nodes'] == 2 and d['float_nodes'] == 0"
    works quantize fp32-1.onnx --mode dynamic $data --out dynamic.onnx --json
    json "$lost <= 0.3 and $ratio <= 0.30 and d['quantized_nodes'] == 2"
    works prune fp32-1.onnx --sparsity 0.9 $data --finetune-epochs 5 --out sparse.onnx --json
    json "$lost <= 0.5 and d['zero_share'] >= 0.9"
    works prune fp32-1.onnx --structured 0.5 $data --finetune-epochs 5 --out half.onnx --json
    json "$lost <= 0.5 and $ratio <= 0.5 and d['after']['multiply_adds'] <= 0.5 * d['before']['multiply_adds']"
}
# runs in integers: no step of the plan multiplies in float
for model in int8 dynamic; do
    works bench $model.onnx --seconds 0.2 --profile --json
    json 'not [s for s in d["steps"] if "f32" in s["kernel"]]'
done

# shellcheck disable=SC2086
works train --model mlp:784-512-10 $data --epochs 10 --seed 1 --out teacher.onnx
for seed in 1 2 3 4 5; do
    # shellcheck disable=SC2086
    works distill --teacher teacher.onnx --model mlp:784-32-10 $data --temperature 4 --alpha 0.7 --epochs 50 \
        --train-samples 6000 --seed $seed --baseline --out student.onnx --json
    cp stdout distill-$seed.json
done
python3 -c 'import json
d = [json.load(open(f"distill-{s}.json")) for s in range(1, 6)]
alone = sum(x["alone"]["accuracy"] for x in d) / 5
distilled = sum(x["student"]["accuracy"] for x in d) / 5
print(f"student, mean of seeds 1 to 5: alone {alone:.4f}, distilled {distilled:.4f}")
raise SystemExit(distilled < alone + 0.015)' >mean.txt
status=$?
cat mean.txt
holds "distilled is at least 1.5 points above alone" [ $status -eq 0 ]
finish
