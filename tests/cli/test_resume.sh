#!/bin/sh
# Killed before any rename or fsync, training goes on from its checkpoint to the very file that it would have written.
. "$(dirname "$0")/lib.sh"
small_data data 640 100
train="train --model mlp:784-16-10 --data idx:data --epochs 2 --threads 1 --seed 3 --checkpoint-steps 7"
# shellcheck disable=SC2086
works $train --out whole.onnx
n=0
while [ $n -lt 200 ]; do
    n=$((n + 1))
    rm -rf ck m.onnx
    # shellcheck disable=SC2086
    HONE_TEST_STOP_AT=$n hone $train --checkpoint ck --out m.onnx
    [ $status -eq 137 ] || break
    holds "stopped at $n: no half model" sh -c '[ ! -e m.onnx ] || cmp m.onnx whole.onnx'
    if [ -e ck/LATEST ]; then resume="--resume ck"; else resume=""; fi
    # shellcheck disable=SC2086
    works $train --checkpoint ck $resume --out m.onnx
    holds "stopped at $n: the same bits in the end" cmp m.onnx whole.onnx
done
echo "$((n - 1)) places to stop at"
holds "the run without a stop works, status $status" [ $status -eq 0 ]
holds "there are such places" [ $n -gt 10 ]

# stopped by a signal, and gone on with other threads
rm -rf ck stderr
"$HONE" train --model mlp:784-16-10 --data idx:data --epochs 4000 --threads 1 --checkpoint ck --out m.onnx >stdout 2>stderr &
pid=$!
children=$pid
until_so grep -q epoch stderr
kill -TERM $pid
wait $pid
status=$?
children=""
holds "SIGTERM: exit status 143, not $status" [ $status -eq 143 ]
holds "SIGTERM leaves a checkpoint" [ -s ck/LATEST ]
says_like 1 "hone train: *" train --model mlp:784-17-10 --data idx:data --epochs 4000 --resume ck --out m.onnx
says_like 1 "hone train: *" train --model mlp:784-16-10 --data idx:data --epochs 4000 --resume ck --seed 9 --out m.onnx
finish
