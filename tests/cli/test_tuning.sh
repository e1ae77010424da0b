#!/bin/sh
# Language models trained further: an adapter in a directory of its own, the model with it, and merged.
. "$(dirname "$0")/lib.sh"
python=${HONE_PYTHON:-python3}
"$python" -c 'import numpy' 2>/dev/null || exit 77
PYTHONPATH="$root/tests/import" PYTHONDONTWRITEBYTECODE=1 "$python" -c "import gguf_files
gguf_files.llama('m.gguf', 'Q4_1')" || exit 1
for i in 1 2 3 4 5 6 7 8; do echo "the thing and the other thing, and the thing again and again and again"; done >text
works import m.gguf --out m

perplexity() { # NAME MODEL OPTION...: the text's
    name=$1
    shift
    works eval "$@" --data text:text --context 32 --json
    mv stdout "$name"
}
perplexity before m
for model in m m.gguf m/model.onnx; do
    works train --model $model --lora 4 --data text:text --tokens 32 --batch 4 --epochs 20 --optimizer adamw \
        --lr 1e-2 --out adapter --json
    json 'd["test_loss"] is None and d["train_loss"] > 0'
    nothing_left adapter
    perplexity adapted m --lora adapter
    holds "the adapter of $model helps" python3 -c 'import json
assert json.load(open("adapted"))["perplexity"] < 0.7 * json.load(open("before"))["perplexity"]'
done
holds "peft's configuration" python3 -c 'import json
d = json.load(open("adapter/adapter_config.json"))
assert d["peft_type"] == "LORA" and d["r"] == 4 and d["lora_alpha"] == 16 and "q_proj" in d["target_modules"]
assert not any("embed" in x or "lm_head" in x for x in d["target_modules"])'

# the whole model: the same numbers
works import m --lora adapter --out merged
perplexity merged_one merged
holds "as with the adapter" python3 -c 'import json
a, b = json.load(open("adapted"))["perplexity"], json.load(open("merged_one"))["perplexity"]
assert abs(a - b) < 1e-4 * a, (a, b)'
works generate merged --prompt "the thing" --max-tokens 4
mv stdout merged_text
works generate m.gguf --lora adapter --prompt "the thing" --max-tokens 4
holds "the same answer" cmp -s stdout merged_text
works train --model m --lora 4 --merge --data lm:text --tokens 32 --batch 4 --epochs 2 --out whole
works generate whole --prompt "the thing" --max-tokens 2

# in fewer bits: only when asked for, and what costs too much is not written
says_like 1 "*in few bits already*" quantize m --mode weights --bits 4 --out q
works quantize m --requantize --mode weights --bits 8 --data lm:text --test-data lm:text --tokens 32 --gate perplexity:1% \
    --out q8 --json
json 'abs(d["after"]["perplexity"] - d["before"]["perplexity"]) < 0.01 * d["before"]["perplexity"]'
json 'd["after"]["file_bytes"] > 100000'
works generate q8 --prompt "the thing" --max-tokens 4
for rounding in nearest gptq; do
    works quantize m --requantize --mode weights --bits 3 --rounding $rounding --data lm:text --test-data lm:text \
        --tokens 32 --out q3 --json
    mv stdout $rounding
done
holds "GPTQ loses less" python3 -c 'import json
a, b = (json.load(open(x))["after"]["loss"] - json.load(open(x))["before"]["loss"] for x in ("gptq", "nearest"))
assert a < 0.7 * b, (a, b)'
hone quantize m --requantize --mode weights --bits 2 --rounding nearest --data lm:text --test-data lm:text --tokens 32 \
    --gate perplexity:1% --out q2
holds "exit status 3" [ "$status" -eq 3 ]
holds "says what would be lost" grep -q "of perplexity would be lost, more than --gate perplexity:1% allows: nothing is written" stderr
[ -e q2/model.onnx ] && fail "q2 was written" || pass
says_like 2 "*needs a metric*" quantize m --gate perplexity --mode weights --out q
says_like 2 "*language models with --lora*" train --model m --merge --data lm:text --out x
says_like 1 "*nowhere/adapter_config.json*" generate m --lora nowhere --prompt x
says_like 2 "*for language models*" eval m/model.onnx --lora adapter --data npz:x.npz
finish
