#!/bin/sh
# Explanations beside Captum's, where PyTorch and Captum are.
[ -n "${HONE_PYTHON:-}" ] && "$HONE_PYTHON" -c 'import torch, captum.attr, onnx' 2>/dev/null || exit 77
exec "$HONE_PYTHON" "$(dirname "$0")/../explain/peer_captum.py" "$HONE"
