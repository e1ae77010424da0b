#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx

# options
says 2 "hone train: unknown option --epoch; did you mean --epochs?" train --epoch 3
says 2 "hone train: unknown option --frobnicate; \`hone train --help\` lists them" train --frobnicate
says 2 "hone train: unknown option -x; \`hone train --help\` lists them" train -x
says 2 "hone train: --epochs needs a value: N" train --epochs
says 2 "hone train: --epochs needs a whole number from 1 to 1000000, not 'ten'" train --epochs ten
says 2 "hone train: --epochs needs a whole number from 1 to 1000000, not '0'" train --epochs 0
says 2 "hone train: --epochs needs a whole number from 1 to 1000000, not '99999999999999999999'" train --epochs 99999999999999999999
says 2 "hone train: --epochs needs a whole number from 1 to 1000000, not ''" train --epochs=
says 2 "hone train: --epochs is given twice" train --epochs 1 --epochs 2
says 2 "hone train: --lr needs a number above 0 and up to 1000000, not '0'" train --lr 0
says 2 "hone train: --lr needs a number above 0 and up to 1000000, not 'nan'" train --lr nan
says 2 "hone train: --momentum needs a number of 0 or more and below 1, not '1'" train --momentum 1
says 2 "hone train: --seed needs a whole number from 0 to 2^64-1, not '-1'" train --seed -1
says 2 "hone train: --json takes no value" train --json=yes
says 2 "hone train: --out is missing: ONNX file to write" train --model mlp:784-8-10 --data idx:data
says 2 "hone train: --out is empty" train --out=
says 2 "hone eval: unexpected argument 'b.onnx'" eval a.onnx b.onnx

# files that are not there, or not what they should be
says_like 1 "hone eval: none.onnx: *No such file or directory" eval none.onnx --data idx:data
says_like 1 "hone eval: *nowhere*" eval m.onnx --data idx:nowhere
says_like 1 "hone eval: *" eval m.onnx --data cifar
says_like 1 "hone eval: data: there is neither model.onnx nor config.json in it" eval data --data idx:data
: >empty.onnx
says_like 1 "hone eval: empty.onnx: *" eval empty.onnx --data idx:data
size=$(wc -c <m.onnx)
for part in 1 10 100 1000 $((size / 2)) $((size - 1)); do
    head -c "$part" m.onnx >short.onnx
    says_like 1 "hone inspect: short.onnx: *" inspect short.onnx
done
head -c 100000 data/train-images-idx3-ubyte >noise.onnx
says_like 1 "hone eval: noise.onnx: *" eval noise.onnx --data idx:data
mkdir cut && cp data/* cut/ && head -c 5000 data/t10k-images-idx3-ubyte >cut/t10k-images-idx3-ubyte
says_like 1 "hone eval: *t10k-images-idx3-ubyte*" eval m.onnx --data idx:cut
echo text >x.npz
says_like 1 "hone eval: x.npz: *" eval m.onnx --data npz:x.npz

# places that cannot be written are found out before the work, not after it
train="train --model mlp:784-8-10 --data idx:data --epochs 100000"
# shellcheck disable=SC2086
{
    says 1 "hone train: nowhere/m.onnx: cannot write: No such file or directory" $train --out nowhere/m.onnx
    says 1 "hone train: data: cannot write: Is a directory" $train --out data
    says 1 "hone train: data/: cannot write: not the name of a file" $train --out data/
    says 1 "hone train: m.onnx/x: cannot write: Not a directory" $train --out m.onnx/x
    says 1 "hone train: /dev/full: cannot write: not a regular file" $train --out /dev/full
    says_like 1 "hone train: /proc/m.onnx: cannot write: *" $train --out /proc/m.onnx
    long=$(printf 'n%.0s' $(seq 300))
    says_like 1 "hone train: nnn*: cannot write: File name too long" $train --out "$long"
    says_like 1 "hone train: m.onnx: *Not a directory" $train --out n.onnx --logdir m.onnx/runs
    says_like 1 "hone train: m.onnx/ck: *Not a directory" $train --out n.onnx --checkpoint m.onnx/ck
}
says 1 "hone quantize: nowhere/q.onnx: cannot write: No such file or directory" \
    quantize m.onnx --data idx:data --out nowhere/q.onnx
"$HONE" eval m.onnx --data idx:data >/dev/full 2>stderr
holds "a report on a full disk: exit status 1" [ $? -eq 1 ]
holds "a report on a full disk: the reason" grep -q '^hone eval: standard output: No space left on device$' stderr

# a full disk
mkdir tiny
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=16k none tiny 2>/dev/null; then
    cp m.onnx before.onnx
    exits 1 train --model mlp:784-16-10 --data idx:data --epochs 1 --train-samples 64 --out tiny/m.onnx
    holds "a full disk: the reason" grep -q -x 'hone train: tiny/m.onnx: cannot write: No space left on device' stderr
    holds "a full disk leaves nothing" [ -z "$(ls -A tiny)" ]
    umount tiny
else
    echo "no tmpfs can be mounted here: the full disk is left out"
fi
# what fails behind loading names the file and its node, also where another operator has taken the node's place
cat >attend.onnxtxt <<'END'
<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>
g (float[1,2,8] q, float[1,2,4] k, float[1,2,4] v, float[1,2,3,2] p, int32[1] ends, int32 total) => (float[1,2,8] y)
{
   [attend] y = com.microsoft.GroupQueryAttention<num_heads: int = 4, kv_num_heads: int = 2>(q, k, v, p, p, ends, total)
}
END
head -c 64 /dev/zero | npy q.npy '<f4' '1, 2, 8'
head -c 32 /dev/zero | npy k.npy '<f4' '1, 2, 4'
head -c 48 /dev/zero | npy p.npy '<f4' '1, 2, 3, 2'
printf '\003\000\000\000' | npy ends.npy '<i4' '1,'
printf '\001\000\000\000' | npy total.npy '<i4' ''
for command in run bench; do
    says 1 "hone $command: attend.onnxtxt: node attend (GroupQueryAttention): 2 rows at 2 do not fit into a cache of 3" \
        $command attend.onnxtxt --input q=@q.npy --input k=@k.npy --input v=@k.npy --input p=@p.npy \
        --input ends=@ends.npy --input total=@total.npy
done
nothing_left .
finish
