#!/bin/sh
# TensorBoard's own reader loads what `hone train --logdir` writes, and the test program's example of every kind.
. "$(dirname "$0")/lib.sh"
[ -n "${HONE_PYTHON:-}" ] || exit 77
small_data data 2000 500
works train --model mlp:784-16-10 --data idx:data --epochs 2 --log-steps 10 --validation 200 --logdir runs/m --out m.onnx
"$HONE_PYTHON" "$root/tests/monitor/peer_tensorboard.py" runs >peer.log 2>&1
holds "TensorBoard reads the training: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
"$HONE_PYTHON" - runs/m <<'END' >tags.log 2>&1
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
a = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0})
a.Reload()
tags = set(a.Tags()["tensors"])
want = {"loss", "accuracy", "learning_rate", "validation/loss", "validation/accuracy"}
assert want <= tags, tags
weights = sorted(t for t in tags if t.startswith("weights/"))
assert len(weights) >= 4 and all(len(a.Tensors(t)) == 2 for t in weights), weights
loss = [(e.step, float(make_ndarray(e.tensor_proto))) for e in a.Tensors("loss")]
assert [s for s, _ in loss] == sorted({s for s, _ in loss}) and len(loss) >= 5, loss
assert loss[0][1] > loss[-1][1] > 0, loss
ops = {n.op for n in a.Graph().node}
assert "Relu" in ops and "Gemm" in ops, ops
END
status=$?
holds "the curves, the weights and the graph: $(tail -n 1 tags.log)" [ $status -eq 0 ]
# the server itself: pictures, what is taken for what, precision and recall, settings, the map of outputs
"$HONE_PYTHON" - runs <<'END' >served.log 2>&1
import json, re, subprocess, sys, time, urllib.request
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
p = subprocess.Popen([sys.executable, "-m", "tensorboard.main", "--logdir", sys.argv[1], "--port", "0", "--load_fast=false"],
                     stderr=subprocess.PIPE, text=True)
try:
    url = next(m.group(0) for m in (re.search(r"http://\S+?:\d+/", line) for line in p.stderr) if m)
    url = re.sub(r"//[^:]+:", "//127.0.0.1:", url)

    def get(path, body=None):
        for _ in range(60):  # until the run is loaded
            asked = urllib.request.Request(url + path, body and json.dumps(body).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(asked, timeout=60) as r:
                answer = r.read()
            if answer.strip() not in (b"{}", b"[]"):
                return answer
            time.sleep(0.5)
        return answer

    images = json.loads(get("data/plugin/images/tags"))["m"]
    assert {"answers/examples", "answers/confusion"} <= set(images), images
    listed = json.loads(get("data/plugin/images/images?run=m&tag=answers%2Fexamples&sample=0"))
    picture = get("data/plugin/images/individualImage?" + listed[0]["query"])
    assert picture.startswith(b"\x89PNG"), picture[:20]
    assert int.from_bytes(picture[16:20], "big") == 6 * 30 and int.from_bytes(picture[20:24], "big") == 4 * 33
    curves = json.loads(get("data/plugin/pr_curves/tags"))["m"]
    assert len(curves) == 10, curves
    curve = json.loads(get("data/plugin/pr_curves/pr_curves?run=m&tag=" + next(iter(curves)).replace("/", "%2F")))["m"][0]
    assert len(curve["precision"]) > 10 and 0 <= min(curve["precision"]) <= max(curve["precision"]) <= 1, curve
    groups = json.loads(get("data/plugin/hparams/session_groups",
                            {"experimentName": "", "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_RUNNING"],
                             "colParams": [], "startIndex": 0, "sliceSize": 10}))["sessionGroups"]
    assert groups[0]["hparams"]["optimizer"] == "sgd" and groups[0]["hparams"]["epochs"] == 2, groups
    config = json.loads(get("data/plugin/projector/info?run=m"))
    assert config["embeddings"][0]["tensorPath"] == "outputs.tsv", config
    points = get("data/plugin/projector/tensor?run=m&name=outputs")
    assert len(points) == 500 * 10 * 4, len(points)
finally:
    p.kill()
END
status=$?
holds "the server shows all of it: $(tail -n 1 served.log)" [ $status -eq 0 ]
works prune m.onnx --structured 0.5 --data idx:data --finetune-epochs 1 --logdir pruned/m --out p.onnx
"$HONE_PYTHON" "$root/tests/monitor/peer_tensorboard.py" pruned >peer.log 2>&1
holds "TensorBoard reads the fine-tuning: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
if [ -x "${HONE_BUILD:-}/monitor_test_events" ]; then
    "$HONE_BUILD/monitor_test_events" --write example >stdout 2>stderr
    "$HONE_PYTHON" "$root/tests/monitor/peer_tensorboard.py" example >peer.log 2>&1
    holds "TensorBoard reads the example: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
fi
finish
