#!/bin/sh
# Networks that `hone train` builds, recipes, files of ONNX text without weights, and what is trained further.
. "$(dirname "$0")/lib.sh"
small_data data 2000 500

works train --list-models
for family in mlp cnn resnet mobilenet dscnn gru lstm FILE; do prints "$family"; done

# every family learns something, and what comes out is a model that others read
for spec in mlp:32 mlp:784-32-10 cnn:8-16s2-p-16-fc32 cnn:8k5s2-16-gap resnet:8x1-p-16x1 mobilenet:8-8t1-8s2x2-16 gru:16b lstm:16-16b \
    dscnn:8-8-16s2; do
    works train --model $spec --optimizer adamw --lr 0.01 --epochs 3 --dropout 0.1 --data idx:data --out m.onnx --json
    json 'd["test_accuracy"] > 0.35'
done
works inspect m.onnx
prints "dscnn:8-8-16s2"
says 1 'hone train: model "cnn:8-x": expected layers such as cnn:16-32s2-48-p-64-56' \
    train --model cnn:8-x --data idx:data --out n.onnx
says 1 'hone train: model "cnn:p-p-p-p-p": p: 1x1 cannot be halved' train --model cnn:p-p-p-p-p --data idx:data --out n.onnx
exits 1 train --model gan:8 --data idx:data --out n.onnx
holds "the families are named" grep -q 'neither a file nor known; there are mlp:' stderr

# recipes
works train --model cnn:8s2-p-8 --recipe small --epochs 2 --validation 0.1 --data idx:data --out r.onnx --json
json 'd["epochs"] == 2 and d["test_accuracy"] > 0.3'
holds "a recipe says what it is" grep -q '^hone train: recipe small: --optimizer adamw' stderr
says_like 2 "hone train: there is no recipe 'large'; there are small, strong, table, *" \
    train --model mlp:8 --recipe large --data idx:data --out n.onnx

# ONNX text: what is declared with a shape and made by no node is a parameter
cat >net.onnxtxt <<'TEXT'
<ir_version: 10, opset_import: ["" : 21, "net" : 1]>
small (float[batch, 1, 28, 28] image) => (float[batch, 10] scores)
<float[8, 1, 5, 5] "stem.weight", float[8] "stem.scale", float[8] "stem.bias", float[8] "stem.mean", float[8] "stem.var",
 float[8, 14, 14] places, float[10, 1568] "head.weight", float[10] "head.bias">
{
  a = net.conv <strides = [2, 2]> (image, "stem.weight", "stem.scale", "stem.bias", "stem.mean", "stem.var")
  p = Add (a, places)
  f = Flatten (p)
  scores = Gemm <transB = 1> (f, "head.weight", "head.bias")
}
<domain: "net", opset_import: ["" : 21]>
conv <strides: ints = [1, 1]> (x, w, scale, bias, mean, var) => (y)
{
  c = Conv <auto_pad = "SAME_UPPER", strides: ints = @strides> (x, w)
  n = BatchNormalization (c, scale, bias, mean, var)
  y = Relu (n)
}
TEXT
works train --model net.onnxtxt --optimizer adamw --lr 0.01 --epochs 3 --data idx:data --out t.onnx --json
json 'd["test_accuracy"] > 0.5'
works inspect t.onnx --json
json 'd["inputs"][0]["name"] == "image" and d["outputs"][0]["name"] == "scores"'
works train --model t.onnx --epochs 1 --data idx:data --out u.onnx
holds "places, which only Add reads, are noted as trainable" grep -qa 'hone.trainable.*places' t.onnx
works train --model t.onnx --init --seed 5 --epochs 3 --optimizer adamw --lr 0.01 --data idx:data --out v.onnx --json
json 'd["test_accuracy"] > 0.5'
sed 's/float\[10\] "head.bias"/float[k] "head.bias"/' net.onnxtxt >open.onnxtxt
exits 1 train --model open.onnxtxt --data idx:data --out n.onnx
holds "a parameter of unknown shape is named" grep -q 'head.bias.*parameter' stderr

# further: heads, frozen weights, more epochs
works train --model t.onnx --head replace --freeze 'stem.*' --epochs 1 --data idx:data --out h.onnx --json
json 'd["test_accuracy"] > 0.3'
works train --model mlp:16 --epochs 2 --data idx:data --checkpoint ck --logdir runs --out w.onnx
works train --model mlp:16 --epochs 3 --data idx:data --checkpoint ck --resume ck --logdir runs --out w.onnx --json
json 'd["steps"] == 3 * 32'
exits 1 train --model mlp:16 --epochs 1 --data idx:data --checkpoint ck --resume ck --out w.onnx
holds "fewer epochs than there were are refused" grep -q 'epochs 3, not 1' stderr
works train --model mlp:16 --epochs 1 --data idx:data --logdir runs --out w.onnx
holds "a second run in one directory is told of" grep -q 'runs has event files of 2 earlier runs' stderr
(
    ulimit -f 1
    hone train --model mlp:16 --epochs 1 --data idx:data --out big.onnx >stdout 2>stderr
    [ $? -eq 1 ]
)
holds "a file that may not grow is an error" grep -q 'big.onnx: cannot write: File too large' stderr
finish
