#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx
works quantize m.onnx --mode static --data idx:data --out q.onnx --json
json 'd["mode"] == "static" and d["quantized_nodes"] == 2 and d["float_nodes"] == 0'
json 'd["after"]["file_bytes"] < 0.35 * d["before"]["file_bytes"]'
json 'abs(d["after"]["accuracy"] - d["before"]["accuracy"]) < 0.03'
works eval q.onnx --data idx:data --json
cp stdout fast.json
for cpu in generic v2 v3; do
    HONE_CPU=$cpu works eval q.onnx --data idx:data --json
    json 'd["accuracy"] == json.load(open("fast.json"))["accuracy"]'
done
works quantize m.onnx --mode static --data idx:data --calibration-samples 100 --out q2.onnx
prints "test accuracy"
prints "2 nodes multiply in integers, 0 in float"
says_like 1 "hone quantize: nothing in the model can be quantized: * (is quantized already); *" \
    quantize q2.onnx --data idx:data --out q3.onnx
works quantize m.onnx --mode dynamic --data idx:data --out d.onnx --json
json 'd["mode"] == "dynamic" and d["quantized_nodes"] == 2'
json 'abs(d["after"]["accuracy"] - d["before"]["accuracy"]) < 0.03'
works quantize m.onnx --mode dynamic --out d2.onnx
holds "dynamic does not look at the data" cmp d.onnx d2.onnx
cp m.onnx same.onnx
works quantize same.onnx --mode dynamic --out same.onnx --json
json "d['before']['file_bytes'] == $(wc -c <m.onnx) and d['after']['file_bytes'] == $(wc -c <d.onnx)"
name=$(printf 'q\377.onnx')
works quantize m.onnx --mode dynamic --out "$name" --json
json 'd["model"] == "q\ufffd.onnx"'
says 2 "hone quantize: --mode static needs --data, to find the ranges of activations" quantize m.onnx --out q.onnx
says 2 "hone quantize: --mode is one of static|dynamic|weights|fp16|bf16|clusters, not 'int4'" quantize m.onnx --mode int4 --out q.onnx
works quantize m.onnx --mode weights --bits 4 --rounding gptq --data idx:data --out w.onnx --json
json 'd["mode"] == "weights" and d["quantized_nodes"] == 2 and d["after"]["file_bytes"] < 0.4 * d["before"]["file_bytes"]'
works quantize m.onnx --mode weights --bits 4 --edge-bits 4 --block 0 --out w.onnx
prints "2 weights are kept in fewer bits, 0 as they are"
works quantize m.onnx --mode fp16 --out h.onnx --json
json 'd["mode"] == "fp16" and d["after"]["file_bytes"] < 0.55 * d["before"]["file_bytes"]'
works quantize m.onnx --bits 2 --edge-bits 2 --data idx:data --threads 1 --out p2.onnx --json
cp stdout plain.json
works quantize m.onnx --bits 2 --edge-bits 2 --data idx:data --finetune-epochs 4 --threads 1 --out t2.onnx --json
json 'd["after"]["loss"] < 0.9 * json.load(open("plain.json"))["after"]["loss"]'
holds "training shows its epochs" [ "$(grep -c '^fine-tuning epoch ' stderr)" -eq 4 ]
# what each weight costs, and those that cost most are kept finer
works quantize m.onnx --bits 2 --edge-bits 2 --keep-worst 1 --data idx:data --threads 1 --out k.onnx --json
json 'len(d["sensitivity"]) == 2 and d["kept"] == [d["sensitivity"][0]["weight"]] and d["sensitivity"][0]["error"] > d["sensitivity"][1]["error"]'
json 'd["after"]["loss"] < json.load(open("plain.json"))["after"]["loss"]'
works quantize m.onnx --keep layer2.weight --data idx:data --sensitivity --out k.onnx
prints "1 nodes multiply in integers, 1 in float: "
prints "(is kept so)"
prints "quantized alone"
says 2 "hone quantize: --bits and --edge-bits are 8, 4, 3 or 2" quantize m.onnx --mode weights --bits 6 --out w.onnx
says 2 "hone quantize: --rounding gptq, --correct-bias, --smooth, --sensitivity, --keep-worst and --finetune-epochs need --data" \
    quantize m.onnx --mode weights --rounding gptq --out w.onnx
says_like 1 "hone quantize: *blocks of 24 weights*" quantize m.onnx --mode weights --block 24 --out w.onnx
nothing_left .
finish
