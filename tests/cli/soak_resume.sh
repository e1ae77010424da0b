#!/bin/sh
# Kills training at random moments, many times, and goes on each time: the same file in the end as without.
. "$(dirname "$0")/lib.sh"
need_fashion
train="train --model mlp:784-32-10 --data fashion-mnist --epochs 8 --train-samples 20000 --checkpoint-steps 5"
# shellcheck disable=SC2086
works $train --threads 1 --out whole.onnx
random=1
round=0
while [ $round -lt 8 ]; do
    round=$((round + 1))
    kills=0
    resume=""
    rm -rf ck m.onnx
    while :; do
        # shellcheck disable=SC2086
        "$HONE" $train --threads $((round % 2 + 1)) --checkpoint ck $resume --out m.onnx >stdout 2>stderr </dev/null &
        pid=$!
        children=$pid
        random=$(((random * 1103515245 + 12345) % 2147483648))
        # the last try is left alone
        if [ $kills -lt 30 ]; then
            sleep "0.$((random / 65536 % 70 + 20))"
            kill -KILL $pid 2>/dev/null
        fi
        wait $pid 2>/dev/null
        status=$?
        children=""
        [ $status -eq 137 ] || break
        kills=$((kills + 1))
        if [ -e ck/LATEST ]; then resume="--resume ck"; fi
    done
    holds "round $round: ends well after $kills kills (status $status)" [ "$status" -eq 0 ]
    holds "round $round: the same bits after $kills kills" cmp m.onnx whole.onnx
    echo "round $round: $kills kills"
done
finish
