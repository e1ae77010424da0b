#!/bin/sh
# float8, float4, integers of 4 and 2 bits, and strings: what onnx wrote is read right, computed right, and shown right;
# what Hone writes, onnx reads.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
works_python() {
    if "$HONE_PYTHON" "$@" >stdout 2>stderr; then pass; else fail "$*"; fi
}
works_python "$root/tests/onnx/peer_types.py" make made
for runs in made/*.runs; do
    # shellcheck disable=SC2046
    works run $(cat "$runs")
done
works_python "$root/tests/onnx/peer_types.py" check made
tail -n 1 stdout

works run made/strings.onnx --input s=@made/strings.s.npy
prints 'flat: string [1, 6]'
prints '  "a\x00b" "é€😀" "" "c" "\n\"" "longer than the others"'
works run made/strings.onnx --input s=@made/strings.s.npy --json
json '[o for o in d["outputs"] if o["name"] == "flat"][0]["first"][0] == "a\0b"'
json '[o for o in d["outputs"] if o["name"] == "held_back"][0]["first"] == [{"b64": "/wB4"}, "ü"]'
works inspect made/INT4.onnx
works inspect made/strings.onnx
prints 's: string [2, 3]'

writer=$(dirname "$HONE")/onnx_test_write
if [ -x "$writer" ]; then
    holds "the writer's test" "$writer" written
    works_python "$root/tests/onnx/peer_onnx.py" written
    tail -n 1 stdout
fi
finish
