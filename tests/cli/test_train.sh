#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_data data 2000 500

works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --out m.onnx
prints "steps in"
prints "500 test samples, looked at once, after the training"
prints "wrote m.onnx"
holds "one line an epoch on stderr" [ "$(grep -c '^epoch ' stderr)" -eq 3 ]
holds "no terminal, no bar" sh -c '! grep -q "$(printf "\r")" stderr'
nothing_left .

works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --out n.onnx --json
json 'd["model"] == "n.onnx" and d["epochs"] == 3 and d["steps"] == 3 * 32'
json '0.4 < d["test_accuracy"] <= 1 and 0 < d["test_loss"] < 3 and 0 < d["train_loss"] < 3 and d["seconds"] > 0'
holds "the same seed gives the same file" cmp m.onnx n.onnx
works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 2 --out n.onnx
holds "two threads give the same file" cmp m.onnx n.onnx
works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --seed 2 --out n.onnx
holds "another seed gives another file" sh -c '! cmp -s m.onnx n.onnx'
works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --schedule constant --momentum 0 \
    --weight-decay 0.01 --batch 100 --lr 0.1 --out n.onnx --json
json 'd["steps"] == 60'
works train --model mlp:784-16-10 --data=idx:data --epochs=1 --train-samples=640 --out=n.onnx --json
json 'd["steps"] == 10'
works train --model mlp:784-16-10 --data idx:data --epochs 1 --validation 500 --out n.onnx --json
json 'd["steps"] == 24'
holds "validation is shown" grep -q 'validation loss' stderr
says 1 "hone train: --validation 500 and --train-samples 1600 are more than the 2000 training samples" \
    train --model mlp:784-16-10 --data idx:data --train-samples 1600 --validation 500 --out n.onnx
says 1 "hone train: --validation 2000 leaves nothing of the 2000 training samples" \
    train --model mlp:784-16-10 --data idx:data --validation 2000 --out n.onnx
works train --model mlp:784-16-10 --data idx:data --epochs 1 --train-samples 3000 --out n.onnx
holds "too many samples are told of" grep -q '^hone train: --train-samples 3000: there are only 2,000$' stderr
works train --model m.onnx --data idx:data --epochs 1 --out more.onnx
holds "going on with a file changes it" sh -c '! cmp -s m.onnx more.onnx'

# adapters
works train --model m.onnx --data idx:data --epochs 1 --lora 2 --lora-alpha 4 --out adapted.onnx --json
json 'd["train_loss"] < 1'
holds "adapters change the weights" sh -c '! cmp -s m.onnx adapted.onnx'
holds "and add none" [ "$(wc -c <adapted.onnx)" -eq "$(wc -c <m.onnx)" ]

# checkpoints
works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --checkpoint ck --checkpoint-steps 20 --out n.onnx
holds "checkpoints change nothing" cmp m.onnx n.onnx
holds "LATEST is there" [ -s ck/LATEST ]
works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --checkpoint ck --resume ck --out n.onnx
prints "trained 16 steps (96 with those before)"
holds "resuming gives the same file" cmp m.onnx n.onnx
works train --model mlp:784-16-10 --data idx:data --epochs 1 --checkpoint ck --out n.onnx
holds "replacing a checkpoint is told" grep -q '^hone train: warning: the checkpoint in ck is replaced; --resume ck ' stderr
works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --checkpoint new --resume new --out n.onnx
holds "nothing to go on with is told" grep -q '^hone train: no checkpoint in new yet: starting anew$' stderr
holds "and starts anew" cmp m.onnx n.onnx
rm -f stderr
"$HONE" train --model mlp:784-16-10 --data idx:data --epochs 4000 --threads 1 --checkpoint ck2 --out stopped.onnx \
    >stdout 2>stderr </dev/null &
pid=$!
children=$pid
until_so [ -s stderr ]
kill -INT $pid
wait $pid
status=$?
children=""
holds "SIGINT: exit status 130, not $status" [ $status -eq 130 ]
holds "SIGINT says how to go on" grep -q '^hone train: interrupted after step [0-9]* of 128000; go on with --resume ck2$' stderr
holds "SIGINT leaves a checkpoint" [ -s ck2/LATEST ]
holds "SIGINT writes no model" [ ! -e stopped.onnx ]
nothing_left .

# npz: x and y alone are no test split
perl -e 'print pack "f<*", map { $_ % 7 } 1 .. 1000' | npy x.npy '<f4' '100, 10'
head -c 100 /dev/zero | npy y.npy '|u1' '100,'
npz() {
    python3 -c 'import sys, zipfile
z = zipfile.ZipFile(sys.argv[1], "w")
for name in sys.argv[2:]: z.write(name[0] + ".npy", name + ".npy")' "$@"
}
npz plain.npz x y
npz splits.npz x_train y_train x_test y_test
works train --model mlp:10-4-1 --data npz:plain.npz --epochs 1 --out z.onnx --json
json 'd["test_accuracy"] is None'
holds "no test split is told" grep -q '^hone train: no test split in plain.npz, so no test accuracy' stderr
works train --model mlp:10-4-1 --data npz:splits.npz --epochs 1 --out z.onnx --json
json 'd["test_accuracy"] == 1'
works eval z.onnx --data npz:plain.npz
prints "plain.npz (all, 100 samples): accuracy 100.00 %"
says 1 "hone eval: the model's input 'input' is float32[batch, 1, 28, 28], but a sample of plain.npz (all, 100 samples) is [10] (column 'x', float32)" \
    eval m.onnx --data npz:plain.npz
hone train --model m.onnx --data npz:plain.npz --out z.onnx
holds "the data does not fit: exit status 1" [ $status -eq 1 ]
holds "and both shapes are told" grep -q 'float32\[batch, 1, 28, 28\], but a sample of plain.npz (all, 100 samples) is \[10\] ' stderr

# event files
works train --model mlp:784-16-10 --data idx:data --epochs 1 --logdir runs/m --log-steps 10 --out n.onnx
holds "an event file" sh -c 'ls runs/m/events.out.tfevents.*'

says_like 1 "hone train: *" train --model mlp:784-x-10 --data idx:data --out n.onnx
says_like 1 "hone train: *784*" train --model mlp:100-16-10 --data idx:data --out n.onnx
says_like 1 "hone train: *nowhere*" train --model mlp:784-16-10 --data idx:data --resume nowhere --out n.onnx
finish
