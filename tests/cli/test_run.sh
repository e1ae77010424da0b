#!/bin/sh
. "$(dirname "$0")/lib.sh"
small_model m.onnx
for i in 0 1 2 3 4; do test_image $i; done | npy x.npy '<f4' '5, 1, 28, 28'
test_image 1 | npy one.npy '<f4' '1, 1, 28, 28'
works run m.onnx --input input=@x.npy --output logits=@y.npy
holds "silent when all went well" [ ! -s stdout ] && [ ! -s stderr ]
holds "an array of 5 x 10 floats" [ "$(wc -c <y.npy)" -eq $((128 + 200)) ]
holds "its shape" grep -a -q "'shape': (5, 10)" y.npy
works run m.onnx --input input=@one.npy --output logits=@one_y.npy
works run m.onnx --input @one.npy --output @alone_y.npy
holds "one input needs no name" cmp one_y.npy alone_y.npy
tail -c +169 y.npy | head -c 40 >second
tail -c +129 one_y.npy >alone
holds "one sample alone gives the same bits as in a batch" cmp second alone
works run m.onnx --input input=@x.npy
prints "logits: float32 [5, 10]"
works run m.onnx --input input=@x.npy --json
json 'd["outputs"][0]["name"] == "logits" and d["outputs"][0]["shape"] == [5, 10] and len(d["outputs"][0]["first"]) == 10'

says 2 "hone run: --input: m.onnx has no input 'x'; it has: input" run m.onnx --input x=@x.npy
says 2 "hone run: --output: m.onnx has no output 'y'; it has: logits" run m.onnx --input input=@x.npy --output y=@y.npy
says 2 "hone run: --input needs NAME=@FILE, not 'x.npy'" run m.onnx --input x.npy
cat >two.onnxtxt <<'END'
<ir_version: 10, opset_import: ["" : 21]>
g (float[2] a, float[2] b) => (float[2] y, float[2] z) { y = Add(a, b) z = Sub(a, b) }
END
says 2 "hone run: --input @one.npy: two.onnxtxt has several inputs, so it needs NAME=@one.npy" \
    run two.onnxtxt --input @one.npy
says 2 "hone run: --output @y.npy: two.onnxtxt has several outputs, so it needs NAME=@y.npy" \
    run two.onnxtxt --output @y.npy
says 2 "hone run: --input input is given twice" run m.onnx --input input=@x.npy --input input=@x.npy
says 2 "hone run: --input is missing for: input" run m.onnx
test_image 0 | npy flat.npy '<f4' '784,'
says 1 "hone run: flat.npy: is float32 [784], but input 'input' is float32 [batch, 1, 28, 28]" run m.onnx --input input=@flat.npy
head -c 784 /dev/zero | npy bytes.npy '|u1' '1, 1, 28, 28'
works run m.onnx --input input=@bytes.npy --output logits=@y.npy
holds "a note" grep -q -x "hone run: bytes.npy: uint8 becomes float32 for input 'input'" stderr
head -c 784 /dev/zero | npy texts.npy '|S1' '1, 1, 28, 28'
says 1 "hone run: texts.npy: is string [1, 1, 28, 28], but input 'input' is float32 [batch, 1, 28, 28]" \
    run m.onnx --input input=@texts.npy
head -c 3000 one.npy >short.npy
head -c 100 one.npy >header.npy
says 1 "hone run: header.npy: the file ends too early: its header has 118 bytes" run m.onnx --input input=@header.npy
cat >large.onnxtxt <<'END'
<ir_version: 10, opset_import: ["" : 21]>
g () => (float[A, B] y) { shape = Constant <value_ints = [1073741824, 1073741824]> () y = ConstantOfShape(shape) }
END
# a sanitizer's allocator is to fail as others do, though it says so, too
ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}allocator_may_return_null=1" hone run large.onnxtxt
holds "what memory has no room for" grep -q -x \
    "hone run: large.onnxtxt: out of memory: intermediate values take 4611686018427387904 bytes" stderr
says_like 1 "hone run: short.npy: *" run m.onnx --input input=@short.npy
says_like 1 "hone run: nowhere/y.npy: cannot write: No such file or directory" \
    run m.onnx --input input=@one.npy --output logits=@nowhere/y.npy
nothing_left .
finish
