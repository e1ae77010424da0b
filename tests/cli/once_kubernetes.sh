#!/bin/sh
# deploy/kubernetes and deploy/kserve: the manifests are valid, what they start serves, and what they ask is answered.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
"$HONE_PYTHON" -c 'import kubernetes_validate, yaml' 2>/dev/null || exit 77
command -v curl >/dev/null || exit 77
check() { "$HONE_PYTHON" "$root/tests/cli/kubernetes.py" "$1" . >said 2>&1; }
check "$root"
needs "the manifests are valid: $(cat said)" [ $? -eq 0 ]
# and an error is found
mkdir wrong
cp -r "$root/deploy" wrong
for break in 's/containerPort: 8501/containerport: 8501/ kubernetes/hone.yaml' 's/ \/readyz/ readyz: x/ kubernetes/hone.yaml' \
    's/GracePeriodSeconds: 45/GracePeriodSeconds: 20/ kubernetes/hone.yaml' 's/storageUri:/storageURI:/ kserve/half_plus.yaml' \
    's/supportedModelFormats/modelFormats/ kserve/runtime.yaml'; do
    file=wrong/deploy/${break##* }
    cp "$file" kept
    sed "${break% *}" kept >"$file"
    holds "found wrong: ${break% *}" sh -c "! cmp -s kept $file && ! '$HONE_PYTHON' '$root/tests/cli/kubernetes.py' wrong wrong"
    cp kept "$file"
done

small_model m.onnx
mkdir -p models/digits/1
cp m.onnx models/digits/1/model.onnx
# started NAME PATH DIR: the server as the container has it, with PATH at DIR and a free port; what is asked is answered.
started() {
    sed -e 1d -e "s,=$2\$,=$3," -e 's/{{.Name}}/digits/' "$1.args" | grep -v -e '^--host=' -e '^--port=' >args
    # shellcheck disable=SC2046 # words
    start_server $(cat args)
    needs "$1 starts: $(cat serve.err)" [ -n "$url" ]
    while read -r path; do holds "$1 answers $path" curl -sf "$url$path"; done <"$1.probes"
    holds "$1 serves the model" curl -sf "$url/v2/models/digits/ready"
    curl -s "$url/metrics" >metrics
    kill -TERM "$pid"
    sleep 0.2 # it is not ready, and still there: the drain's delay
    kill -TERM "$pid"
    wait "$pid" 2>/dev/null
    children=""
}
started kubernetes /models "$work/models"
holds "what it scales by is there" grep -q "^# TYPE $(cat metric) gauge" metrics
started kserve /mnt/models "$work/models/digits"
finish
