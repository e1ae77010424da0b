#!/bin/sh
# hone explain: the examples of its page, its forms of output, and what it refuses.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] && "$HONE_PYTHON" -c 'import numpy' 2>/dev/null || exit 77
run_page explaining
holds "of a table it says what the columns add" grep -q '^income' stdout

# A page, numbers, arrays; no picture of a text.
holds "the page has the words" grep -q 'click' why.html
works explain mails.onnx --input input_ids=@mail.txt --out why.json
json 'd["method"] == "integrated-gradients" and len(d["values"]["input_ids"][0]) > 5' why.json
works explain mails.onnx --input input_ids=@mail.txt --out why.npz
works explain mails.onnx --input input_ids=@mail.txt --json
tail -n 1 stdout >last.json
json 'abs(sum(d["values"]["input_ids"][0]) - (d["score"] - d["baseline_score"])) < 1e-3' last.json
says_like 1 '*is no picture*' explain mails.onnx --input input_ids=@mail.txt --out why.png
says_like 2 '*--out is a .html, .png, .json or .npz file*' explain mails.onnx --input input_ids=@mail.txt --out why.txt
says_like 2 '*no class of that name*' explain mails.onnx --input input_ids=@mail.txt --target eggs
says_like 2 '*--input is missing for: input_ids*' explain mails.onnx
says_like 1 '*has no output*' explain mails.onnx --input input_ids=@mail.txt --output nobody
printf 'see you\nat ten\n' >two.txt
says_like 1 '*one is explained at a time*' explain mails.onnx --input input_ids=@two.txt

# A picture.
"$HONE_PYTHON" -c '
import numpy
random = numpy.random.default_rng(1)
x = random.integers(0, 256, (60, 1, 12, 12), numpy.uint8)
y = (x[:, 0, :6].mean((1, 2)) > x[:, 0, 6:].mean((1, 2))).astype(numpy.int64)
numpy.savez("p.npz", x=x, y=y)
numpy.save("one.npy", x[:1].astype(numpy.float32) / 255)'
works train --model cnn:4-p-8 --data npz:p.npz --epochs 1 --out p.onnx
for method in saliency grad-cam occlusion; do
    works explain p.onnx --input @one.npy --method $method --out why.png
    holds "a picture by $method" "$HONE_PYTHON" -c '
import struct
data = open("why.png", "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">II", data[16:24]) == (216, 216), data[:30]'
done
finish
