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
says 2 "hone prune: give --sparsity, --structured, --low-rank, or some of them" prune m.onnx --data idx:data --out z.onnx
says 2 "hone prune: fine-tuning needs --data; --finetune-epochs 0 goes without" prune m.onnx --sparsity 0.5 --out z.onnx
for bad in 1 4:2 2:4x x; do
    says 2 "hone prune: --sparsity needs a number of 0 or more and below 1, or N:M as 2:4, not '$bad'" \
        prune m.onnx --sparsity $bad --out z.onnx
done
small_model three.onnx 32-32
works prune three.onnx --sparsity 2:4 --data idx:data --finetune-epochs 1 --threads 1 --out g.onnx --json
json 'd["zeros"] == 32 * 32 / 2'
says_like 1 "hone prune: *no weight between the first and the last*groups of 4*" \
    prune m.onnx --sparsity 2:4 --finetune-epochs 0 --out g.onnx
works prune m.onnx --low-rank 0.5 --data idx:data --finetune-epochs 1 --threads 1 --out l.onnx --json
json 'd["split"] == 1 and d["low_rank"] == 0.5 and d["after"]["multiply_adds"] <= 0.5 * d["before"]["multiply_adds"]'
json 'd["after"]["accuracy"] > d["before"]["accuracy"] - 0.05'
works quantize l.onnx --data idx:data --out l8.onnx
nothing_left .
finish
