#!/bin/sh
# Models as text: what onnx.printer and protobuf write of models gives the same answers as the models.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
needs "models of onnx" "$HONE_PYTHON" "$root/tests/onnx/peer_text.py"
for model in layers branches dtypes functions; do
    works run $model.onnx --input x=@$model.npy --json
    cp stdout wanted
    works run $model.parsed.onnx --input x=@$model.npy --json
    cp stdout parsed
    for form in json snake proto line text; do
        works run $model.$form.onnx --input x=@$model.npy --json
        [ $form = text ] && mv parsed wanted
        holds "$model as $form" cmp stdout wanted
        works inspect $model.$form.onnx
    done
done
sed 's/"opType": "Gemm"/"opType": 5/' layers.json.onnx >wrong.json
line=$(grep -n '"opType": 5' wrong.json | cut -d: -f1)
says 1 "hone run: wrong.json: line $line, column 19: op_type needs a string" run wrong.json
finish
