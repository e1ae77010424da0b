#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx 32
works prune m.onnx --sparsity 0.9 --data idx:data --finetune-epochs 2 --threads 1 --out p.onnx --json
json '0.8999 < d["zero_share"] < 0.9001 and d["after"]["parameters"] == d["before"]["parameters"]'
json 'd["after"]["accuracy"] > 0.4'
holds "fine-tuning shows its epochs" [ "$(grep -c '^fine-tuning epoch ' stderr)" -eq 2 ]
works prune m.onnx --structured 0.5 --data idx:data --finetune-epochs 2 --threads 1 --out s.onnx --json
for what in multiply_adds parameters file_bytes; do
    json "d['after']['$what'] <= 0.5 * d['before']['$what']"
done
works inspect s.onnx --json
json 'd["multiply_adds"] == 784 * 15 + 15 * 10'
works prune m.onnx --structured 0.5 --data idx:data --finetune-epochs 2 --threads 1 --logdir runs/s --out s2.onnx
holds "an event file of the fine-tuning" sh -c 'ls runs/s/events.out.tfevents.*'
holds "which changes nothing" cmp s.onnx s2.onnx
works prune m.onnx --sparsity 0.5 --finetune-epochs 0 --out z.onnx
prints "of the weights are zero"
prints "wrote z.onnx"
works eval z.onnx --data idx:data
says 2 "hone prune: give --sparsity, --structured or both" prune m.onnx --data idx:data --out z.onnx
says 2 "hone prune: fine-tuning needs --data; --finetune-epochs 0 goes without" prune m.onnx --sparsity 0.5 --out z.onnx
says 2 "hone prune: --sparsity needs a number of 0 or more and below 1, not '1'" prune m.onnx --sparsity 1 --out z.onnx
nothing_left .
finish
