#!/bin/sh
# Regression, yes or no, and what is said where columns do not fit.
. "$(dirname "$0")/lib.sh"
npz() {
    python3 -c 'import sys, zipfile
z = zipfile.ZipFile(sys.argv[1], "w")
for name in sys.argv[2:]: z.write(name + ".npy", name + ".npy")' "$@"
}
# 200 samples of three features; y = a + 2b - c, and whether that is above 0
perl -e 'srand 1; binmode STDOUT; print pack "f<*", map { rand(2) - 1 } 1 .. 600' >x.raw
perl -e 'local $/; my @x = unpack "f<*", <STDIN>; binmode STDOUT;
    print pack "f<*", map { $x[3 * $_] + 2 * $x[3 * $_ + 1] - $x[3 * $_ + 2] } 0 .. 199' <x.raw >y.raw
perl -e 'local $/; binmode STDOUT; print pack "C*", map { $_ > 0 } unpack "f<*", <STDIN>' <y.raw >above.raw
npy features.npy '<f4' '200, 3' <x.raw
npy price.npy '<f4' '200,' <y.raw
npy above.npy '|u1' '200, 1' <above.raw
npz table.npz features price
npz three.npz features price above

# the only column left feeds the input; the target is named, or the only one left then
task="--data npz:table.npz --objective mean-squared-error --target price"
# shellcheck disable=SC2086
works train --model mlp:3-16-1 $task --epochs 60 --lr 0.05 --threads 1 --out m.onnx --logdir runs --json
json 'd["train_mean_absolute_error"] < 0.1 and d["train_loss"] < 0.01 and d["test_mean_absolute_error"] is None'
holds "progress names the measure" grep -q '^epoch 60/60  loss 0.0[0-9]*  mean absolute error 0.0' stderr
# shellcheck disable=SC2086
works train --model mlp:3-16-1 $task --epochs 2 --validation 40 --out n.onnx
holds "validation, too" grep -q 'validation loss [0-9.]*  mean absolute error [0-9.]*  lr' stderr
prints "mean absolute error"
# the model knows its objective
works eval m.onnx --data npz:table.npz --target price --json
json 'sorted(d) == ["loss", "mean_absolute_error", "r2", "root_mean_squared_error", "samples", "seconds"] and d["r2"] > 0.99 and d["samples"] == 200'
works eval m.onnx --data npz:table.npz --target price
prints "mean absolute error 0.0"
prints ", r2 0.99"
works prune m.onnx --sparsity 0.5 --data npz:table.npz --target price --finetune-epochs 2 --out p.onnx --json
json 'd["after"]["loss"] is None and d["zeros"] >= 32'
works quantize m.onnx --data npz:table.npz --out q.onnx
works eval q.onnx --data npz:table.npz --target price --json
json 'd["r2"] > 0.98'

works train --model mlp:3-1 --data npz:three.npz --input input=features --target above --objective binary-cross-entropy \
    --epochs 60 --lr 0.5 --out b.onnx --json
json 'd["train_accuracy"] > 0.95 and d["train_loss"] < 0.3'
works eval b.onnx --data npz:three.npz --input input=features --target above
prints "accuracy 9"

# --loss: the first output without a name; others by theirs
works train --model mlp:3-1 --data npz:table.npz --objective mean-squared-error --target price --epochs 3 --threads 1 --out o.onnx
works train --model mlp:3-1 --data npz:table.npz --loss mean-squared-error@price --epochs 3 --threads 1 --out l.onnx
holds "a loss without an output is an objective" cmp o.onnx l.onnx
cat >two.onnxtxt <<'END'
<ir_version: 10, opset_import: ["" : 21]>
two (float[batch, 3] features) => (float[batch, 1] price, float[batch, 1] sure)
<float[3, 1] "price.weight", float[1] "price.bias", float[3, 1] "sure.weight", float[1] "sure.bias">
{
  price = Gemm (features, "price.weight", "price.bias")
  sure = Gemm (features, "sure.weight", "sure.bias")
}
END
works train --model two.onnxtxt --data npz:three.npz --loss price=mean-squared-error:0.5 --loss sure=binary-cross-entropy@above --test 0.2 \
    --target price --epochs 60 --lr 0.3 --out two.onnx --json
json 'd["test_r2"] > 0.99 and d["test_sure_accuracy"] > 0.9'
works eval two.onnx --data npz:three.npz --output sure --json
json 'd["accuracy"] > 0.9 and d["samples"] == 40'
works eval two.onnx --data npz:three.npz --target price --json
json 'd["r2"] > 0.99'
says 1 "hone eval: two.onnx: the model has no output 'sur'; there are 'price', 'sure'" eval two.onnx --data npz:three.npz --output sur
says 2 "hone train: --loss needs [OUTPUT=]NAME[:WEIGHT][@COLUMN], not '=huber'" \
    train --model two.onnxtxt --data npz:three.npz --loss =huber --out n.onnx
says 2 "hone train: --loss sure=huber:x: the weight is a number from 0 to 1e6" \
    train --model two.onnxtxt --data npz:three.npz --loss sure=huber:x --out n.onnx
says_like 2 "hone train: the objective of --loss is one of cross-entropy*, not 'hubert'; did you mean huber?" \
    train --model two.onnxtxt --data npz:three.npz --loss sure=hubert --out n.onnx

# two splits: the test split is looked at with the same words
cp price.npy price_train.npy
cp price.npy price_test.npy
cp features.npy features_train.npy
cp features.npy features_test.npy
npz splits.npz features_train price_train features_test price_test
works train --model mlp:3-1 --data npz:splits.npz --objective mean-squared-error --epochs 60 --lr 0.1 --target price \
    --out m2.onnx --json
json 'd["test_r2"] > 0.99 and d["test_loss"] < 0.01 and d["test_mean_absolute_error"] < 0.05'
npz halves.npz features_train price_train features_test
works train --model mlp:3-1 --data npz:halves.npz --objective mean-squared-error --target price --out m2.onnx
holds "a test split without targets is told of" grep -q "^hone train: no test accuracy: .*has no column 'price'" stderr

# refused TEXT ARGUMENT...: exit status 1, and the text stands on stderr.
refused() {
    text=$1
    shift
    exits 1 "$@"
    holds "$text" grep -qF "$text" stderr
}

# resuming with another target is another training
# shellcheck disable=SC2086
works train --model mlp:3-1 --data npz:three.npz --input input=features --objective mean-squared-error --target price \
    --epochs 2 --checkpoint ck --out m3.onnx
refused 'the checkpoint was made with objective "mean-squared-error", not "binary-cross-entropy"' \
    train --model mlp:3-1 --data npz:three.npz --input input=features --objective binary-cross-entropy --target above \
    --epochs 2 --resume ck --out m3.onnx
refused 'the checkpoint was made with columns ["features", "price"], not ["features", "above"]' \
    train --model mlp:3-1 --data npz:three.npz --input input=features --objective mean-squared-error --target above \
    --epochs 2 --resume ck --out m3.onnx

# what is said
says 2 "hone train: --objective is one of cross-entropy|mean-squared-error|huber|cosine|binary-cross-entropy|next-token|ctc|contrastive|info-nce, not 'mean-square-error'; did you mean mean-squared-error?" \
    train --model mlp:3-1 --data npz:table.npz --objective mean-square-error --out n.onnx
says 2 "hone train: --input needs NAME=COLUMN, not 'features'" \
    train --model mlp:3-1 --data npz:table.npz --input features --out n.onnx
says 1 "hone eval: the model has no input 'x' for column 'features'" \
    eval m.onnx --data npz:table.npz --input x=features
says 1 "hone eval: table.npz (all, 200 samples) has no column 'cost'; there are 'features', float32[3]; 'price', float32[]" \
    eval m.onnx --data npz:table.npz --target cost
refused "hone train: which column of three.npz (all, 200 samples) feeds the model's input 'input', float32[…]? There are 'features', float32[3]; 'price', float32[]; 'above', uint8[1]" \
    train --model mlp:3-1 --data npz:three.npz --objective mean-squared-error --out n.onnx
refused "hone train: cross-entropy of the output 'logits', float32[batch, 1], needs logits, float32 [batch, classes], and integer labels; column 'price', float32[], is no such target" \
    train --model mlp:3-1 --objective cross-entropy --data npz:table.npz --target price --out n.onnx
says 1 "hone eval: the model's input 'input' is float32[batch, 3], but a sample of three.npz (all, 200 samples) is [1] (column 'above', uint8)" \
    eval m.onnx --data npz:three.npz --input input=above --target price
finish
