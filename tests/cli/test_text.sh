#!/bin/sh
# Texts: trained, evaluated, tuned further, by files alone.
. "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || exit 77
mkdir reviews
python3 - <<'EOF'
import random
draw = random.Random(1)
fill = "the film was a story we saw with them there".split()
for part, n in ("train", 600), ("validation", 100), ("test", 200):
    with open(f"reviews/{part}.tsv", "w") as f:
        for _ in range(n):
            no, good = draw.random() < 0.5, draw.random() < 0.5
            words = draw.choices(fill, k=draw.randrange(5)) + ["not" if no else "indeed", "good" if good else "bad"]
            f.write(f"{'up' if good != no else 'down'}\t{' '.join(words)}\n")
with open("story.txt", "w") as f:
    f.write("one two three four five six seven eight nine ten. " * 200)
EOF
works train --model bag:16 --recipe bag --batch 32 --data text:reviews --out m.onnx --threads 1 --json
json 'd["test_accuracy"] > 0.97'
grep -q "^hone train: 600 texts" stderr && pass || fail "the size of the data is told"
holds "the tokenizer lies beside the model" [ -s m.tokenizer.json ]
works eval m.onnx --data text:reviews --json
json 'd["samples"] == 200 and d["accuracy"] > 0.97'
works tokenize m.onnx "NOT Good" --json
json 'd["pieces"] == ["not", "good"]'
# a line is a text
printf 'not good\nindeed good\n' >said.txt
works run m.onnx --input input_ids=@said.txt --json
works run m.onnx --input input_ids=@said.txt --output logits=@logits.npy
holds "two answers" [ -s logits.npy ]
# tuned further, with the tokenizer that it has
works train --model m.onnx --data text:reviews --out n.onnx --epochs 1 --threads 1 --json
json 'd["test_accuracy"] > 0.97'
holds "the same tokenizer" cmp m.tokenizer.json n.tokenizer.json
mkdir elsewhere
cp m.onnx elsewhere
says_like 1 "hone eval: *m.tokenizer.json*" eval elsewhere/m.onnx --data text:reviews
printf 'sideways\tgood\n' >other.tsv
says_like 1 "hone eval: other.tsv: the label 'sideways' is no class of the model" eval m.onnx --data text:other.tsv
says_like 1 "hone train: nowhere: *" train --model bag:16 --data text:nowhere --out x.onnx
says_like 1 'hone train: other.tsv: tokenizer "bpe:2": *' train --model bag:16 --data text:other.tsv --tokenizer bpe:2 --out x.onnx
holds "nothing half-written" [ ! -e x.onnx ] && nothing_left .
works train --model lm:1x32h2 --recipe lm --lr 1e-2 --batch 8 --epochs 5 --data lm:story.txt --test-data lm:story.txt \
    --tokenizer bpe:300 --tokens 32 --out l.onnx --threads 1 --json
json '0 < d["test_bits_per_byte"] < 0.5 and d["test_perplexity"] > 1'
works eval l.onnx --data lm:story.txt --split train
prints "bits per byte"
finish
