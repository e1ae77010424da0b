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
works prune m.onnx --structured 0.5 --data idx:data --finetune-epochs 1 --logdir pruned/m --out p.onnx
"$HONE_PYTHON" "$root/tests/monitor/peer_tensorboard.py" pruned >peer.log 2>&1
holds "TensorBoard reads the fine-tuning: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
if [ -x "${HONE_BUILD:-}/monitor_test_events" ]; then
    "$HONE_BUILD/monitor_test_events" --write example >stdout 2>stderr
    "$HONE_PYTHON" "$root/tests/monitor/peer_tensorboard.py" example >peer.log 2>&1
    holds "TensorBoard reads the example: $(tail -n 5 peer.log)" grep -q -E '^[1-9][0-9]* passed, 0 failed$' peer.log
fi
finish
