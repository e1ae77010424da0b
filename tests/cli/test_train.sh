#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_data data 2000 500

works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --out m.onnx
prints "steps in"
prints "500 test images, looked at once, after the training"
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
works train --model m.onnx --data idx:data --epochs 1 --out more.onnx
holds "going on with a file changes it" sh -c '! cmp -s m.onnx more.onnx'

# checkpoints
works train --model mlp:784-16-10 --data idx:data --epochs 3 --threads 1 --checkpoint ck --checkpoint-steps 20 --out n.onnx
holds "checkpoints change nothing" cmp m.onnx n.onnx
holds "LATEST is there" [ -s ck/LATEST ]
rm -f stderr
"$HONE" train --model mlp:784-16-10 --data idx:data --epochs 4000 --threads 1 --checkpoint ck2 --out stopped.onnx \
    >stdout 2>stderr </dev/null &
pid=$!
children=$pid
tries=0
until [ -s stderr ] || [ $tries -gt 300 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -INT $pid
wait $pid
status=$?
children=""
holds "SIGINT: exit status 130, not $status" [ $status -eq 130 ]
holds "SIGINT says how to go on" grep -q '^hone train: interrupted after step [0-9]* of 128000; go on with --resume ck2$' stderr
holds "SIGINT leaves a checkpoint" [ -s ck2/LATEST ]
holds "SIGINT writes no model" [ ! -e stopped.onnx ]
nothing_left .

# event files
works train --model mlp:784-16-10 --data idx:data --epochs 1 --logdir runs/m --log-steps 10 --out n.onnx
holds "an event file" sh -c 'ls runs/m/events.out.tfevents.*'

says_like 1 "hone train: *" train --model mlp:784-x-10 --data idx:data --out n.onnx
says_like 1 "hone train: *784*" train --model mlp:100-16-10 --data idx:data --out n.onnx
says_like 1 "hone train: *nowhere*" train --model mlp:784-16-10 --data idx:data --resume nowhere --out n.onnx
finish
