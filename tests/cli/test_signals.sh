#!/bin/sh
# A signal that meets a file being written: the file gets whole, and nothing is left beside it.
. "$(dirname "$0")/lib.sh"
small_data data 100 50
works train --model mlp:784-8192-10 --data idx:data --epochs 1 --out m.onnx

# met SIGNAL: prunes into p.onnx; true when the signal was sent while the file was written. Leaves $status.
met() {
    rm -f p.onnx
    "$HONE" prune m.onnx --sparsity 0.01 --finetune-epochs 0 --out p.onnx >stdout 2>stderr </dev/null &
    pid=$!
    children=$pid
    while kill -0 $pid 2>/dev/null; do
        set -- "$1" .p.onnx.tmp-*
        [ -e "$2" ] || continue
        kill -"$1" $pid 2>/dev/null
        break
    done
    wait $pid 2>/dev/null
    status=$?
    children=""
    [ $status -gt 128 ]
}

for signal in TERM INT HUP; do
    tries=0
    until met $signal || [ $tries -gt 200 ]; do tries=$((tries + 1)); done
    holds "SIG$signal: the file was not met in the making" [ $tries -le 200 ]
    works inspect p.onnx
    nothing_left .
done
finish
