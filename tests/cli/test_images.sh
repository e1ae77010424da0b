#!/bin/sh
# Folders of pictures.
. "$(dirname "$0")/lib.sh"
# bright ones and dark ones, in colour, of two sizes
perl -e 'srand 1;
for my $c ("bright", "dark") { for my $part ("train", "test") { mkdir "p"; mkdir "p/$part"; mkdir "p/$part/$c";
for my $i (1 .. 40) {
    my ($w, $h) = $i % 2 ? (12, 10) : (20, 16); my $b = $c eq "bright" ? 130 : 60;
    open my $f, ">", sprintf("p/$part/$c/%02d.ppm", $i) or die; binmode $f;
    print $f "P6\n$w $h\n255\n", pack "C*", map { $b + int rand 60 } 1 .. 3 * $w * $h } } }' || exit 1
printf 'P6\n9 9\n255\nshort' >p/train/dark/99.ppm

works train --model mlp:192-8-2 --data images:p --resize 8x8 --epochs 3 --lr 0.1 --threads 1 --out m.onnx --json
json 'd["test_accuracy"] == 1 and d["steps"] == 6'
holds "damaged files are told of" grep -q '^hone train: 1 of 81 pictures are left out, damaged: p/train/dark/99.ppm: ' stderr
works train --model mlp:192-8-2 --data p --resize 8x8 --epochs 3 --lr 0.1 --threads 2 --out n.onnx
holds "a folder is taken for images, which is told" grep -q '^hone train: p is read as images:p$' stderr
holds "threads change nothing" cmp m.onnx n.onnx
works eval m.onnx --data images:p
prints "accuracy 100.00 %"
works eval m.onnx --data images:p --split train --json
json 'd["samples"] == 80'
# one folder of classes, parted here
works train --model mlp:192-8-2 --data images:p/train --resize 8x8 --validation 0.1 --test 0.25 --epochs 2 --out n.onnx
prints ": 20 test samples"
# a model that takes pictures with their channels last
python3 - <<'END' || exit 1
import struct, zipfile
def npy(kind, shape, data):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode() + data
n = 40
x = b"".join(bytes([(i % 2) * 100 + (k * 7 + i) % 60 for k in range(8 * 6 * 3)]) for i in range(n))
with zipfile.ZipFile("last.npz", "w") as z:
    z.writestr("x.npy", npy("|u1", (n, 8, 6, 3), x))
    z.writestr("y.npy", npy("|u1", (n,), bytes(i % 2 for i in range(n))))
END
works train --model cnn:4s2-gap --data npz:last.npz --epochs 2 --lr 0.1 --out last.onnx
works inspect last.onnx
prints "[batch, 8, 6, 3]"
works train --model last.onnx --data images:p --epochs 6 --lr 0.1 --augment flip --out further.onnx --json
json 'd["test_accuracy"] > 0.9'
works eval further.onnx --data images:p
prints "accuracy"
works train --model mlp:12288-2 --data images:p/train --epochs 1 --out n.onnx
holds "the size is told" grep -q '(width and height): each becomes 64 x 64; --resize WIDTHxHEIGHT would be another size$' stderr
says 1 "hone train: --resize needs WIDTHxHEIGHT, not '8'" train --model mlp:192-2 --data images:p --resize 8 --out n.onnx
says 1 "hone train: p/train/bright: no folders of pictures, one for each class, here" \
    train --model mlp:192-2 --data images:p/train/bright --out n.onnx
finish
