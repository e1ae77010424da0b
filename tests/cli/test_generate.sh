#!/bin/sh
# Language models: hone import, generate and eval of a small GGUF file.
. "$(dirname "$0")/lib.sh"
python=${HONE_PYTHON:-python3}
"$python" -c 'import numpy' 2>/dev/null || exit 77
make_model() {
    PYTHONPATH="$root/tests/import" PYTHONDONTWRITEBYTECODE=1 "$python" -c "import gguf_files
def change(keys, tensors):
    ${2:-pass}
gguf_files.llama('$1', 'Q4_1', change=change)" || exit 1
}
make_model m.gguf
works import m.gguf --out m --json
json 'd["family"] == "llama" and d["tokenizer"] and not d["chat_template"] and d["parameters"] > 1000000'
for file in model.onnx model.onnx.data tokenizer.json generation_config.json; do
    [ -s m/$file ] && pass || fail "m/$file is not there"
done
nothing_left m
works inspect m/model.onnx --json
json '{"name": "input_ids", "dtype": "int64", "shape": ["batch_size", "sequence_length"]} in d["inputs"]'

works inspect m.gguf --json
json 'd["name"] == "llama" and d["parameters"] > 1000000'

# one tokenizer, wherever it is asked for
works tokenize m.gguf "the thing" --json
mv stdout tokens
for more in m m/model.onnx; do
    works tokenize $more "the thing" --json
    holds "the tokens by $more" cmp -s tokens stdout
done

# the same answer from the file and from the directory, with any number of threads
works generate m.gguf --prompt "the thing" --max-tokens 12 --json
json 'd["prompt_tokens"] == 7 and d["tokens"] <= 12 and d["finish"] in ("end", "length")'
mv stdout first
for more in "m.gguf --threads 1" "m --threads 2" "m/model.onnx --context 100"; do
    # shellcheck disable=SC2086
    works generate $more --prompt "the thing" --max-tokens 12 --json
    holds "the same answer of $more" python3 -c 'import json
a, b = json.load(open("first")), json.load(open("stdout"))
assert a["text"] == b["text"] and a["tokens"] == b["tokens"]'
done
printf 'the thing' >words
works generate m.gguf --file words --max-tokens 12
holds "the same text" python3 -c 'import json
assert open("stdout", errors="replace").read() == json.load(open("first"))["text"] + "\n"'
works generate m.gguf --prompt "the thing" --max-tokens 12 --temperature 1 --seed 3 --json
mv stdout first
works generate m.gguf --prompt "the thing" --max-tokens 12 --temperature 1 --seed 3 --json
holds "the same seed" python3 -c 'import json
assert json.load(open("first"))["text"] == json.load(open("stdout"))["text"]'
works generate m.gguf --prompt "<|im_end|>" --max-tokens 1 --json
json 'd["prompt_tokens"] == 10'
works generate m.gguf --prompt "<|im_end|>" --special --max-tokens 1 --json
json 'd["prompt_tokens"] == 1'

# by a template the prompt is what a user says
make_model t.gguf 'keys["tokenizer.chat_template"] = "{% for m in messages %}<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>{% endfor %}<|im_start|>"'
works generate t.gguf --prompt "hi <|im_end|>" --max-tokens 3 --json
json 'd["prompt_tokens"] == 21'
works generate t.gguf --prompt "hi <|im_end|>" --raw --max-tokens 3 --json
json 'd["prompt_tokens"] == 13'
works generate t.gguf --system "be" --prompt "hi" --max-tokens 3 --json
json 'd["prompt_tokens"] == 21'
printf 'hi\n\nyou\n' | "$HONE" generate t.gguf --chat --max-tokens 3 --json >stdout 2>stderr
holds "two answers" python3 -c 'import json
a, b = [json.loads(line) for line in open("stdout")]
assert a["prompt_tokens"] == 10 and b["prompt_tokens"] > 25'
works import t.gguf --out t
[ "$(head -c 9 t/chat_template.jinja)" = "{% for m " ] && pass || fail "the template"

# perplexity
python3 -c 'print("What does it make of this? " * 20)' >text
works eval m.gguf --data text:text --context 64 --json
json 'd["tokens"] == 256 and d["perplexity"] > 1'
mv stdout first
works eval m --data text:text --context 64 --json
holds "the same perplexity" python3 -c 'import json
assert abs(json.load(open("first"))["perplexity"] / json.load(open("stdout"))["perplexity"] - 1) < 1e-9'
works eval m.gguf --data text:text --context 64 --windows 2 --threads 1
prints "of 64 tokens"

# what is wrong is named
says 2 "hone generate: one of --prompt, --file and --chat is needed" generate m.gguf
says 2 "hone eval: a language model is measured on --data text:FILE, not 'fashion-mnist'" eval m.gguf --data fashion-mnist
says 1 "hone eval: a context of 600; the model has positions for 256" eval m.gguf --data text:text --context 600
says 1 "hone eval: a text of 7 tokens is shorter than a window of 64" eval m.gguf --data text:words --context 64
says_like 1 "hone generate: none.gguf: *" generate none.gguf --prompt a
says_like 1 "hone generate: *257 tokens, but a context of 256*" generate m.gguf --prompt "$(printf '%0257d' 0)" --max-tokens 0
mkdir empty
says 1 "hone generate: empty: there is neither model.onnx nor config.json in it" generate empty --prompt a
says 1 "hone generate: m.gguf: the model has no chat template" generate m.gguf --chat
cp -r t ends
echo '{"eos_token_id": "</s>"}' >ends/generation_config.json
says 1 "hone generate: ends/generation_config.json: eos_token_id is no id, and no list of ids" generate ends --prompt a
says_like 1 "hone serve: *a context of 2 has no room for an answer" serve m.gguf --context 2 --port 0
head -c 100000 m.gguf >cut.gguf
says_like 1 "hone import: cut.gguf: the tensor blk.*" import cut.gguf --out cut
make_model bad.gguf 'keys["general.architecture"] = "mamba"'
says 1 "hone import: bad.gguf: models of the architecture mamba" import bad.gguf --out bad
make_model bad.gguf 'del keys["llama.block_count"]'
says 1 "hone import: bad.gguf: lacks the key llama.block_count" import bad.gguf --out bad
make_model bad.gguf 'del tensors["blk.1.ffn_up.weight"]'
says 1 "hone import: bad.gguf: lacks the tensor blk.1.ffn_up.weight" import bad.gguf --out bad
make_model bad.gguf 'tensors["blk.0.odd.weight"] = tensors["output_norm.weight"]'
says 1 "hone import: bad.gguf: the tensor blk.0.odd.weight has no place in a model of the family llama" import bad.gguf --out bad
make_model bad.gguf 'tensors["blk.1.attn_k.weight"] = tensors["blk.1.attn_q.weight"]'
says 1 "hone import: bad.gguf: the tensor blk.1.attn_k.weight is not [128, 256]" import bad.gguf --out bad
make_model bad.gguf 'keys["tokenizer.ggml.pre"] = "strange"'
says_like 1 "hone import: bad.gguf: *strange*" import bad.gguf --out bad
[ -e bad/model.onnx ] && fail "something was written" || pass
finish
