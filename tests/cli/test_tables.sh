#!/bin/sh
# Tables of text: the model takes raw rows.
. "$(dirname "$0")/lib.sh"
# price = 1000 (size + 20 of Rome, - 10 of Oslo); some sizes are missing; sold: is it above 60,000
perl -e 'print "size,city,id,sold,price\n"; srand 3;
for my $i (1 .. 400) {
    my $s = 20 + int rand 80; my $c = ("Rome", "Oslo", "Bern")[rand 3];
    my $p = 1000 * ($s + ($c eq "Rome" ? 20 : $c eq "Oslo" ? -10 : 0));
    printf "%s,%s,k%d,%s,%d\n", $i % 20 ? $s : "", $i % 33 ? $c : "\"Rome\"", $i, $p > 60000 ? "yes" : "no", $p }' >houses.csv

works train --model mlp:5-32-1 --data csv:houses.csv --target price --ignore sold --test 0.2 --epochs 60 --lr 0.03 --out p.onnx --json
json 'd["test_r2"] > 0.8 and d["test_mean_absolute_error"] < 9000'
test_error=$(python3 -c 'import json; print(json.load(open("stdout"))["test_mean_absolute_error"])')
holds "what the target is, is told" grep -q "^hone train: the target 'price' is numbers: regression$" stderr
holds "what is left out, too" grep -q "^hone train: column 'id' is left out: almost every row has a text of its own$" stderr
works inspect p.onnx --json
json '[(i["name"], i["dtype"]) for i in d["inputs"]] == [("size", "float32"), ("city", "string")]'
# of the same samples those are looked at that the model was not trained on
works eval p.onnx --data csv:houses.csv --json
json 'd["samples"] == 80 and abs(d["mean_absolute_error"] - '"$test_error"') < 1'
holds "which is told" grep -q 'these are the 80 samples that were kept for the test when the model was trained' stderr
works eval p.onnx --data csv:houses.csv --split train --json
json 'd["samples"] == 320'
works eval p.onnx --data houses.csv --split all --json
json 'd["r2"] > 0.8 and d["samples"] == 400'
holds "the guessed kind is told" grep -q '^hone eval: houses.csv is read as csv:houses.csv$' stderr

works train --model mlp:5-16-2 --data csv:houses.csv --target sold --ignore price --validation 0.1 --test 0.2 --epochs 30 --lr 0.1 --out s.onnx --json
json 'd["test_accuracy"] > 0.85'
holds "classes are told" grep -q "^hone train: the target 'sold' is 2 classes: no, yes$" stderr
# another file, of which not all classes are there, in another order of columns, without the other column
perl -F, -lane 'print join ",", @F[3, 1, 0] if $. == 1 or $F[3] eq "yes"' houses.csv >yes.csv
works eval s.onnx --data csv:yes.csv --json
json '0.7 < d["accuracy"] and d["samples"] < 300'
printf 'sold,city,size\nmaybe,Rome,3\n' >maybe.csv
says_like 1 "hone eval: maybe.csv: line 2: 'maybe' in column 'sold' is none of the model's 2 classes*" eval s.onnx --data csv:maybe.csv
# predictions need no target
cut -d, -f1-2 houses.csv >raw.csv
works eval s.onnx --data csv:raw.csv --predictions answers.csv
prints "no target to compare with"
holds "a prediction for each row" [ "$(wc -l <answers.csv)" -eq 401 ]
holds "of names of classes" grep -q '^3,\(yes\|no\),0[.0-9]*,' answers.csv
printf 'sold,city\nyes,Rome\n' >less.csv
says_like 1 "hone eval: which column of less.csv (all, 1 samples) feeds the model's input 'size'*" eval s.onnx --data csv:less.csv
works quantize s.onnx --data csv:houses.csv --test 0.2 --out q.onnx --json
json 'd["after"]["accuracy"] > 0.85'
says 1 "hone train: houses.csv: no column 'cost'; there are 'size', 'city', 'id', 'sold', 'price'" \
    train --model mlp:5-1 --data csv:houses.csv --target cost --out x.onnx
works train --model mlp:2-16-2 --data csv:houses.csv --target sold --ignore price --group city --test 0.3 --epochs 1 --out g.onnx
finish
