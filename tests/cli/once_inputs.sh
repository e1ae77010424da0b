#!/bin/sh
# Inputs and outputs of all kinds, from and to files that NumPy and onnx wrote and read.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
corpus=$root/fuzz/corpus
cp "$corpus/image/p6.ppm" four.ppm
needs "models of onnx" "$HONE_PYTHON" "$root/tests/onnx/peer_inputs.py" make

# notes LINE: the last command's stderr has it.
notes() {
    if grep -q -F -x -e "$1" stderr; then pass; else fail "stderr lacks: $1"; fi
}

# names: with quotes, blanks, colons and the signs that end a name
works run names.onnx --input '{"o": 1}=@two.npy' --input 'a=@b=@two.npy' --input 'a=@two.npy' \
    --input "q'u \"o:te=@two.npy" --input 'tail==@two.npy' --output '{"y": 2}=@y.npy' --output 'a=@b_out==@ab.npy'
holds "an output of a strange name" cmp y.npy ab.npy
works run names.onnx --input '{"{\"o\": 1}": "two.npy", "q'"'"'u \"o:te": "two.npy"}' --input @map.json --json
json 'len(d["outputs"]) == 5 and d["outputs"][0]["name"] == "{\"y\": 2}" and d["outputs"][0]["first"] == [-1, -2]'
says 2 "hone run: --input: names.onnx has no input 'b'; it has: {\"o\": 1}, a=@b, a, q'u \"o:te, tail=" \
    run names.onnx --input b=@two.npy
says 2 "hone run: --input a is given twice" run names.onnx --input '{"a": "two.npy"}' --input a=@two.npy
says 2 "hone run: --input: the object: 'a' needs the name of a file" run names.onnx --input '{"a": 1}'
says 2 "hone run: --input is missing for: {\"o\": 1}, q'u \"o:te" run names.onnx --input @map.json
says_like 1 "hone run: *none.json*" run names.onnx --input @none.json
echo '[' >broken.json
says_like 1 "hone run: broken.json:2: *" run names.onnx --input @broken.json
echo '[]' >list.json
says 1 "hone run: list.json: is not a JSON object of names and files" run names.onnx --input @list.json
works run nothing.onnx
prints 'y: float32 [2]'

# numbers of another type
works run dtypes.onnx --input f32=@f64.npy --input f16=@f64.npy --input i8=@i64.npy --input i64=@bool.npy \
    --input b=@bool.npy --output f16_y=@f16.npy
notes "hone run: f64.npy: float64 becomes float32 for input 'f32'"
notes "hone run: i64.npy: int64 becomes int8 for input 'i8'"
notes "hone run: bool.npy: bool becomes int64 for input 'i64'"
holds "no note where nothing changes" [ "$(wc -l <stderr)" -eq 4 ]
says 1 "hone run: large.npy: for input 'f32': float32 can't hold 1e+300" run dtypes.onnx --input f32=@large.npy
says 1 "hone run: 300.npy: for input 'i8': int8 can't hold 300" run dtypes.onnx --input i8=@300.npy
says 1 "hone run: f64.npy: is float64 [3], but input 'i64' is int64 [3]" run dtypes.onnx --input i64=@f64.npy
says 1 "hone run: i64.npy: for input 'b': bool can't hold -2" run dtypes.onnx --input b=@i64.npy

# inputs that are initializers, too
works run shaped.onnx --input x=@six.npy
prints 'z: float32 [2, 3]'
works run shaped.onnx --input x=@x.pb --input shape=@shape.npy --input w=@w.npy --json
json 'd["outputs"][0]["shape"] == [3, 2] and d["outputs"][0]["first"] == [0, 10, 20, 30, 40, 50]'
says 1 "hone run: long.npy: is int64 [3], but input 'shape' is int64 [2]" \
    run shaped.onnx --input x=@six.npy --input shape=@long.npy
says_like 1 "hone run: *Reshape*" run shaped.onnx --input x=@six.npy --input shape=@wrong.npy
works run shaped.onnx --input x=@by_name.npz
prints '0 2 4 6 8 10'

# sequences
works run sequences.onnx --input s=@seq.npz --input i=@zero.npy --output one=@one.npz
works run sequences.onnx --input s=@seq.npz --input i=@index.npy --output rest=@rest.npz
works run sequences.onnx --input s=@seq.npz --input i=@index.npy
prints 'one: float32 [3]'
prints 'rest: sequence of 10'
prints '  2: float32 [4]'
works run sequences.onnx --input s=@seq.pb --input i=@zero.npy --json
json 'd["outputs"][1]["kind"] == "sequence" and d["outputs"][1]["count"] == 1 and d["outputs"][1]["first"] == [{"dtype": "float32", "shape": [1, 2], "first": [2, 3]}]'
works run sequences.onnx --input s=@rest.npz --input i=@index.npy
says 1 "hone run: six.npy: input 's' is a sequence, which .npz and .pb files have" \
    run sequences.onnx --input s=@six.npy --input i=@zero.npy
says 1 "hone run: texts.npz: array 'arr_0': string can't become float32" \
    run sequences.onnx --input s=@texts.npz --input i=@zero.npy

# optional values and maps
works run optional.onnx --input o=@two.npy
prints 'same: float32 [2]'
works run optional.onnx --input o=@none.pb
prints 'same: nothing'
says 1 "hone run: none.npy: output 'same' holds nothing" run optional.onnx --input o=@none.pb --output same=@none.npy
works run optional.onnx --input o=@some.pb --json
json 'd["outputs"][0]["first"] == [1] and d["outputs"][1]["value"]["first"] == [2, 3]'
works run optional.onnx --input o=@none.pb --json
json 'd["outputs"][1] == {"name": "same", "kind": "optional", "value": None}'
works run maps.onnx --input z=@maps.pb --output z=@z.json
works run maps.onnx --input z=@maps.pb
prints 'z: sequence of 2'
prints '  0: map of 2'
prints '    "dög": 0.75'
works run maps.onnx --input z=@maps.pb --json
json 'd["outputs"][0]["first"][0] == {"kind": "map", "count": 2, "first": {"cat": 0.25, "dög": 0.75}}'
says 1 "hone run: z.npy: output 'z' has maps, which .json files have" run maps.onnx --input z=@maps.pb --output z=@z.npy
holds "no z.npy" [ ! -e z.npy ]
says 1 "hone run: rest.npy: output 'rest' is a sequence, which .npz files have" \
    run sequences.onnx --input s=@seq.npz --input i=@zero.npy --output rest=@rest.npy
says 1 "hone run: one.json: output 'one' is a tensor, which .npy and .npz files have" \
    run sequences.onnx --input s=@seq.npz --input i=@zero.npy --output one=@one.json
works inspect maps.onnx
prints "inputs          z: sequence"
works inspect sequences.onnx --json
json 'd["inputs"][0] == {"name": "s", "kind": "sequence"}'
works inspect optional.onnx --json
json 'd["inputs"][0] == {"name": "o", "kind": "optional"}'
holds "what NumPy and Python read" "$HONE_PYTHON" "$root/tests/onnx/peer_inputs.py" check

# pictures, sound, texts
works run nchw.onnx --input x=@four.ppm --json
json 'd["outputs"][0]["first"][:8] == [1, 0, 0, 1, 0, 1, 0, 1]'
holds "no note about a picture" [ ! -s stderr ]
works run nchw.onnx --input "x=@$corpus/image/photo.jpg" --resize 3 --mean 0.5,0.4,0.3 --std 0.25 --scale 255
works run nchw.onnx --input "x=@$corpus/image/photo.webp" --mean 0.5
works run nhwc.onnx --input "x=@$corpus/image/photo.png"
prints 'y: uint8 [1, 40, 48, 3]'
works run nhwc.onnx --input "x=@$corpus/image/photo.png" --resize 20x30
prints 'y: uint8 [1, 30, 20, 3]'
works run gray.onnx --input "x=@$corpus/image/gray.jpg"
prints 'y: float16 [4, 4]'
says 1 "hone run: four.ppm: is a picture, but input 'x' is uint8 [n, 5, h, w]" run pictures.onnx --input x=@four.ppm
says 2 "hone run: --resize needs N or WIDTHxHEIGHT, not '3y3'" run nchw.onnx --input x=@four.ppm --resize 3y3
says 2 "hone run: --mean needs one number or three, as 0.485,0.456,0.406, not '1,2'" \
    run nchw.onnx --input x=@four.ppm --mean 1,2
says 2 "hone run: --mean has three numbers, but the input has one channel" \
    run gray.onnx --input "x=@$corpus/image/gray.jpg" --mean 1,2,3
says_like 2 "hone run: --mean and --std are for inputs of floats; *" run nhwc.onnx --input x=@four.ppm --mean 1
works run nchw.onnx --input "x=@$corpus/image/lzw.tif"
works run nchw.onnx --input "x=@$corpus/image/photo.j2k"
says_like 1 "hone run: *moving.gif: an image in the format GIF" run nchw.onnx --input "x=@$corpus/image/moving.gif"
works run decoder.onnx --input x=@bytes.npy --json
json 'd["outputs"][0]["shape"] == [2, 2, 3] and d["outputs"][0]["first"][:6] == [0, 0, 255, 0, 255, 0]'
works run decoder.onnx --input x=@broken.npy --json
json 'd["outputs"][0]["shape"] == [0, 0, 3]'
works run sound.onnx --input "x=@$corpus/wav/pcm16.wav" --rate 16000
prints 'y: float32 [1, 4]'
says 1 "hone run: $corpus/wav/pcm16.wav: has 16000 samples a second, not 8000" \
    run sound.onnx --input "x=@$corpus/wav/pcm16.wav" --rate 8000
says 1 "hone run: $corpus/wav/float.wav: has 2 elements, but input 'x' is float32 [4]" \
    run fixed.onnx --input "x=@$corpus/wav/float.wav"
printf 'one line\nzwei\r\n\nend' >line.txt
works run texts.onnx --input x=@line.txt
prints 'y: string [4, 1]'
prints '  "one line" "zwei" "" "end"'

# bench takes the same files
says_like 1 "hone bench: dynamic.onnx: dimension 1 of input 'a' is not fixed: * --input gives it" bench dynamic.onnx
works bench dynamic.onnx --input a=@4x5.npy --seconds 0.02 --warmup 0 --profile --json
json 'd["batch"] == 4 and d["operators"][0]["op"] == "Add" and d["operators"][0]["steps"] == 1 and sum(o["share"] for o in d["operators"]) > 0.99'
works bench sequences.onnx --input s=@seq.npz --input i=@zero.npy --seconds 0.02 --warmup 0
works bench shaped.onnx --input shape=@shape.npy --seconds 0.02 --warmup 0

# a refusal says all, once
says 1 "hone run: lacking.onnx: not supported: operator Whirl of ai.onnx 17 (3 nodes, first n0)" run lacking.onnx
for command in run inspect bench; do
    exits 1 $command lacking.onnx --json
    json 'd["lacks"] == [{"what": "operator Whirl of ai.onnx 17", "operator": "Whirl", "domain": "", "opset": 17, "count": 3, "where": "node", "first": "n0"}]'
    holds "one line" [ "$(wc -l <stderr)" -eq 1 ]
done
nothing_left .
finish
