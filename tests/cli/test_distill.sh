#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model t.onnx 64
works distill --teacher t.onnx --model mlp:784-8-10 --data idx:data --temperature 4 --alpha 0.7 --epochs 3 \
    --train-samples 600 --threads 1 --out s.onnx --json
json '"alone" not in d and d["steps"] == 3 * 10'
json 'd["student"]["multiply_adds"] == 784 * 8 + 80 and d["teacher"]["multiply_adds"] == 784 * 64 + 640'
json '0.2 < d["student"]["accuracy"] <= 1 and 0.4 < d["teacher"]["accuracy"] <= 1'
works distill --teacher t.onnx --model mlp:784-8-10 --data idx:data --epochs 2 --train-samples 600 --threads 1 \
    --baseline --logdir runs --out s2.onnx
holds "event files of both students" sh -c 'ls runs/events.out.tfevents.* && ls runs/alone/events.out.tfevents.*'
prints "student alone"
prints "student distilled"
works train --model mlp:784-8-10 --data idx:data --epochs 2 --train-samples 600 --threads 1 --out a.onnx
works distill --teacher t.onnx --model mlp:784-8-10 --data idx:data --epochs 2 --train-samples 600 --threads 1 \
    --alpha 0 --out a0.onnx
holds "the teacher matters" sh -c '! cmp -s s2.onnx a0.onnx'
says_like 1 "hone distill: none.onnx: *" distill --teacher none.onnx --model mlp:784-8-10 --data idx:data --out s.onnx
says 2 "hone distill: --alpha needs a number from 0 to 1, not '1.5'" distill --teacher t.onnx --model mlp:784-8-10 \
    --data idx:data --alpha 1.5 --out s.onnx
says 2 "hone distill: --teacher is missing: ONNX file to learn from" distill --model mlp:784-8-10 --data idx:data --out s.onnx
nothing_left .
finish
