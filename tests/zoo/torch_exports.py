#!/usr/bin/env python3
"""Small modules as PyTorch's exporters write them.

    torch_exports.py FOLDER [--opsets 11,13,17] [--dynamo 18,21] [NAME ...]

Each module goes out once for every operator set, by the exporter that traces and, with --dynamo, by the one that captures
programs; with and without named dimensions. Beside NAME.onnx lies NAME.npz, what it can be run on. What PyTorch itself
cannot export is counted, not shown. Needs torch; torchvision's operators come too where it is there."""

import argparse
import pathlib
import sys
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore")
torch.manual_seed(1)


class Of(nn.Module):
    """A function as a module, with the modules it uses."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *x):
        return self.function(*self.parts, *x)


class Doubling(nn.Module):
    """A loop and a branch, which scripting keeps."""

    def forward(self, x, n: int):
        for i in range(n):
            x = x * 2 if bool(x.sum() < 10) else x - i
        return x


class Block(nn.Module):
    """A residual block as in ResNet, or inverted as in MobileNet."""

    def __init__(self, channels, inverted):
        super().__init__()
        inner = channels * (4 if inverted else 1)
        groups, size = (inner, 1) if inverted else (1, 3)
        self.body = nn.Sequential(
            nn.Conv2d(channels, inner, size, padding=size // 2, bias=False), nn.BatchNorm2d(inner), nn.ReLU6(),
            nn.Conv2d(inner, inner, 3, padding=1, groups=groups, bias=False), nn.BatchNorm2d(inner), nn.Hardswish(),
            nn.Conv2d(inner, channels, 1, bias=False), nn.BatchNorm2d(channels))  # fmt: skip

    def forward(self, x):
        return F.relu(x + self.body(x))


class Excite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Sequential(nn.Conv2d(channels, 2, 1), nn.ReLU(), nn.Conv2d(2, channels, 1), nn.Hardsigmoid())

    def forward(self, x):
        return x * self.fc(F.adaptive_avg_pool2d(x, 1))


class Decoder(nn.Module):
    """A step of a language model with rotary positions, grouped heads and a cache."""

    def __init__(self, size=32, heads=4, groups=2):
        super().__init__()
        self.size, self.heads, self.groups = size, heads, groups
        self.embed, self.norm = nn.Embedding(50, size), nn.LayerNorm(size)
        self.q, self.kv = nn.Linear(size, size), nn.Linear(size, 2 * size * groups // heads)
        self.out, self.up, self.down = nn.Linear(size, size), nn.Linear(size, 64), nn.Linear(64, size)

    def rotate(self, x, first):
        half = x.shape[-1] // 2
        at = torch.arange(x.shape[2], device=x.device) + first
        angle = at[:, None].float() * 0.1 ** torch.arange(half)[None].float()
        a, b = x[..., :half], x[..., half:]
        return torch.cat((a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()), -1)

    def forward(self, ids, past_k, past_v):
        x = self.embed(ids)
        b, t = ids.shape
        h, d = self.norm(x), self.size // self.heads
        q = self.rotate(self.q(h).view(b, t, self.heads, d).transpose(1, 2), past_k.shape[2])
        k, v = self.kv(h).view(b, t, 2, self.groups, d).permute(2, 0, 3, 1, 4)
        k, v = torch.cat((past_k, self.rotate(k, past_k.shape[2])), 2), torch.cat((past_v, v), 2)
        wide = [z.repeat_interleave(self.heads // self.groups, 1) for z in (k, v)]
        scores = q @ wide[0].transpose(-1, -2) / d**0.5
        mask = torch.ones(t, k.shape[2], dtype=torch.bool).tril(k.shape[2] - t)
        y = (scores.masked_fill(~mask, float("-inf")).softmax(-1) @ wide[1]).transpose(1, 2).reshape(b, t, self.size)
        x = x + self.out(y)
        return x + self.down(F.silu(self.up(x))), k, v


def real(*shape):
    return torch.rand(shape) * 2 - 1


def whole(most, *shape):
    return torch.randint(0, most, shape)


IMAGE, ROWS, SEQUENCE = (2, 4, 9, 11), (3, 8), (2, 7, 8)
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus,
               nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Sigmoid, nn.LogSigmoid,
               nn.Tanh, nn.Tanhshrink, nn.Threshold, nn.GLU, nn.Softmax, nn.LogSoftmax, nn.Softmin)  # fmt: skip
POINTWISE = ("abs", "neg", "exp", "log1p", "expm1", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "tan", "asin", "acos", "atan",
             "sinh", "cosh", "asinh", "acosh", "atanh", "erf", "floor", "ceil", "round", "trunc", "frac", "sign", "square",
             "exp2", "log2", "log10", "sigmoid", "isnan", "isinf", "logical_not")  # fmt: skip
REDUCTIONS = ("sum", "mean", "amax", "amin", "prod", "std", "var", "logsumexp", "argmax", "argmin", "norm", "cumsum", "cumprod",
              "median", "any", "all", "count_nonzero", "nansum", "log_softmax", "sort", "argsort")  # fmt: skip
BINARY = ("add", "sub", "mul", "div", "pow", "fmod", "remainder", "maximum", "minimum", "atan2", "eq", "ne", "lt", "le", "gt",
          "ge", "floor_divide", "hypot", "logical_and", "logical_or", "logical_xor")  # fmt: skip
INTEGERS = ("bitwise_and", "bitwise_or", "bitwise_xor", "add", "sub", "mul", "floor_divide", "remainder", "fmod", "maximum")


def modules():
    """name: (module, inputs)"""
    for kind in ACTIVATIONS:
        given = {nn.Threshold: (0.1, 20.0), nn.GLU: (1,), nn.Softmax: (1,), nn.LogSoftmax: (-1,), nn.Softmin: (1,)}.get(kind, ())
        yield kind.__name__.lower(), nn.Sequential(nn.Linear(8, 6), kind(*given)), (real(*ROWS),)
    for name in POINTWISE:
        x = real(*ROWS).abs() * 0.8 + 0.1 + (1 if name == "acosh" else 0)
        yield name, Of(getattr(torch, name)), (x,)
    for name in REDUCTIONS:
        for dim in (1, -1):
            yield f"{name}{dim}", Of(lambda x, f=getattr(torch, name), dim=dim: f(x, dim=dim)), (real(*SEQUENCE),)
        if name in ("sum", "mean", "amax", "std", "any", "norm"):
            yield f"{name}-keep", Of(lambda x, f=getattr(torch, name): f(x, dim=(1, 2), keepdim=True)), (real(*SEQUENCE),)
    for name in BINARY:
        yield name, Of(getattr(torch, name)), (real(*SEQUENCE).abs() + 0.3, real(7, 1).abs() + 0.4)
        yield f"{name}-scalar", Of(lambda x, f=getattr(torch, name): f(x, torch.tensor(1.5))), (real(*ROWS).abs() + 0.3,)
    for name in INTEGERS:
        yield f"{name}-int", Of(getattr(torch, name)), (whole(50, *ROWS), whole(9, 8) + 1)
        yield f"{name}-int32", Of(getattr(torch, name)), (whole(50, *ROWS).int(), whole(9, 8).int() + 1)
    yield from images()
    yield from sequences()
    yield from moves()


def images():
    for size, stride, pad, dilation, groups in ((3, 1, 1, 1, 1), (3, 2, 0, 1, 2), (5, 1, 4, 2, 1), (1, 1, 0, 1, 4), (3, 3, 1, 1, 4)):
        tag = f"{size}s{stride}p{pad}d{dilation}g{groups}"
        yield f"conv2-{tag}", nn.Conv2d(4, 8, size, stride, pad, dilation, groups), (real(*IMAGE),)
        yield f"conv1-{tag}", nn.Conv1d(4, 8, size, stride, pad, dilation, groups), (real(2, 4, 17),)
        yield f"conv3-{tag}", nn.Conv3d(4, 4, size, stride, pad, dilation, groups), (real(1, 4, 9, 9, 10),)
        if size >= stride:
            yield f"deconv2-{tag}", nn.ConvTranspose2d(4, 8, size, stride, 0, stride - 1, groups, dilation=max(dilation, stride)), (real(2, 4, 5, 6),)
            yield f"deconv1-{tag}", nn.ConvTranspose1d(4, 8, size, stride, 0, 0, groups), (real(2, 4, 6),)
    yield "conv-same", nn.Conv2d(4, 4, 3, padding="same", padding_mode="zeros"), (real(*IMAGE),)
    yield "conv-reflect", nn.Conv2d(4, 4, 3, padding=2, padding_mode="reflect"), (real(*IMAGE),)
    for d, x in ((1, real(2, 4, 13)), (2, real(*IMAGE)), (3, real(1, 2, 7, 8, 9))):
        for name in ("MaxPool", "AvgPool", "LPPool"):
            kind = getattr(nn, f"{name}{d}d", None)
            if kind:
                first = (2.0,) if name == "LPPool" else ()
                yield f"{name}{d}".lower(), kind(*first, 3, 2), (x,)
                yield f"{name}{d}-ceil".lower(), kind(*first, 2, 2, ceil_mode=True), (x,)
        yield f"maxpool{d}-indices", getattr(nn, f"MaxPool{d}d")(2, 2, return_indices=True), (x,)
        yield f"maxpool{d}-dilated", getattr(nn, f"MaxPool{d}d")(2, 1, 1, dilation=2), (x,)
        yield f"avgpool{d}-pad", getattr(nn, f"AvgPool{d}d")(3, 1, 1, count_include_pad=False), (x,)
        yield f"adaptive{d}", getattr(nn, f"AdaptiveAvgPool{d}d")(1), (x,)
        yield f"adaptive-max{d}", getattr(nn, f"AdaptiveMaxPool{d}d")(1), (x,)
        yield f"batchnorm{d}", getattr(nn, f"BatchNorm{d}d")(x.shape[1]), (x,)
        yield f"instancenorm{d}", getattr(nn, f"InstanceNorm{d}d")(x.shape[1], affine=True), (x,)
    yield "groupnorm", nn.GroupNorm(2, 4), (real(*IMAGE),)
    yield "localresponse", nn.LocalResponseNorm(3), (real(*IMAGE),)
    yield "residual", Block(4, False), (real(*IMAGE),)
    yield "inverted", Block(4, True), (real(*IMAGE),)
    yield "excite", Excite(4), (real(*IMAGE),)
    yield "pixelshuffle", nn.PixelShuffle(2), (real(*IMAGE),)
    yield "pixelunshuffle", nn.PixelUnshuffle(3), (real(1, 2, 9, 6),)
    yield "channelshuffle", nn.ChannelShuffle(2), (real(*IMAGE),)
    for mode in ("nearest", "bilinear", "bicubic"):
        for corners in (None,) if mode == "nearest" else (False, True):
            for how in ({"scale_factor": 2.0}, {"size": (7, 20)}, {"scale_factor": 0.6}):
                tag = f"resize-{mode}{'-corners' if corners else ''}-{'-'.join(map(str, how.values()))}".replace(" ", "")
                yield tag, Of(lambda x, h=how, m=mode, c=corners: F.interpolate(x, mode=m, align_corners=c, **h)), (real(*IMAGE),)
    yield "resize-like", Of(lambda x, y: F.interpolate(x, size=y.shape[2:], mode="bilinear", align_corners=False) + y), (real(2, 4, 5, 5), real(*IMAGE))
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield f"pad-{mode}", Of(lambda x, m=mode: F.pad(x, (1, 2, 2, 0), mode=m)), (real(*IMAGE),)
    yield "crop", Of(lambda x: F.pad(x, (-1, -1, 2, -2))), (real(*IMAGE),)
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            yield f"gridsample-{mode}-{padding}", Of(lambda x, g, m=mode, p=padding: F.grid_sample(x, g * 1.3, m, p, False)), (real(*IMAGE), real(2, 5, 6, 2))
    yield "affinegrid", Of(lambda t: F.affine_grid(t, (2, 3, 5, 7), False)), (real(2, 2, 3),)
    yield "unfold", nn.Unfold(3, padding=1, stride=2), (real(*IMAGE),)
    yield "fold", nn.Fold((9, 11), 3, padding=1, stride=2), (real(2, 36, 30),)
    try:
        from torchvision import ops
    except ImportError:
        return
    boxes = torch.tensor([[1.0, 1, 6, 6], [2, 2, 7, 7], [0, 0, 3, 3], [5, 4, 9, 8]])
    yield "nms", Of(lambda b, s: ops.nms(b, s, 0.4)), (boxes, torch.tensor([0.6, 0.9, 0.5, 0.8]))
    rois = torch.cat((torch.tensor([[0.0], [1], [0], [1]]), boxes), 1)
    yield "roialign", Of(lambda x, r: ops.roi_align(x, r, (3, 3), 0.5, 2, True)), (real(*IMAGE), rois)
    yield "deformconv", ops.DeformConv2d(4, 4, 3, padding=1), (real(*IMAGE), real(2, 18, 9, 11))


def sequences():
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        for tag, given in (("", {}), ("-bi", {"bidirectional": True}), ("-deep", {"num_layers": 2, "batch_first": True}), ("-bare", {"bias": False})):
            yield f"{kind.__name__}{tag}".lower(), Of(lambda m, x: m(x)[0], kind(8, 6, **given)), (real(*SEQUENCE),)
    yield "lstm-states", Of(lambda m, x, h, c: m(x, (h, c)), nn.LSTM(8, 6)), (real(*SEQUENCE), real(1, 7, 6), real(1, 7, 6))
    yield "lstm-cell", Of(lambda m, x: m(x)[1], nn.LSTMCell(8, 6)), (real(*ROWS),)
    yield "gru-cell", nn.GRUCell(8, 6), (real(*ROWS),)
    yield "embedding", nn.Embedding(20, 6, padding_idx=0), (whole(20, 2, 7),)
    yield "embeddingbag", nn.EmbeddingBag(20, 6, mode="mean"), (whole(20, 3, 4),)
    yield "attention", Of(lambda m, x: m(x, x, x)[0], nn.MultiheadAttention(8, 2, batch_first=True)), (real(*SEQUENCE),)
    yield "sdpa", Of(lambda q, k, v: F.scaled_dot_product_attention(q, k, v)), (real(2, 2, 5, 4), real(2, 2, 6, 4), real(2, 2, 6, 4))
    yield "sdpa-causal", Of(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True)), (real(2, 2, 5, 4),)
    for norm_first in (False, True):
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=norm_first)
        yield f"encoder{int(norm_first)}", nn.Sequential(layer, layer), (real(*SEQUENCE),)
    yield "decoder", Decoder(), (whole(50, 1, 3), real(1, 2, 4, 8), real(1, 2, 4, 8))
    yield "layernorm", nn.LayerNorm((7, 8)), (real(*SEQUENCE),)
    if hasattr(nn, "RMSNorm"):
        yield "rmsnorm", nn.RMSNorm(8), (real(*SEQUENCE),)
    yield "normalize", Of(lambda x: F.normalize(x, dim=1)), (real(*SEQUENCE),)
    yield "cosine", nn.CosineSimilarity(1), (real(*ROWS), real(*ROWS))
    yield "cdist", Of(torch.cdist), (real(2, 4, 5), real(2, 3, 5))
    yield "bilinear", nn.Bilinear(8, 8, 5), (real(*ROWS), real(*ROWS))
    yield "einsum", Of(lambda a, b: torch.einsum("bij,bkj->bik", a, b)), (real(*SEQUENCE), real(2, 3, 8))
    yield "matmul", Of(torch.matmul), (real(2, 3, 7, 8), real(8, 5))
    yield "bmm", Of(torch.bmm), (real(*SEQUENCE), real(2, 8, 3))
    yield "addmm", Of(lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2.0)), (real(3, 5), real(*ROWS), real(8, 5))
    yield "crossentropy", Of(F.cross_entropy), (real(*ROWS), whole(8, 3))
    yield "crossentropy-ignored", Of(lambda x, t: F.cross_entropy(x, t, ignore_index=1, reduction="sum")), (real(2, 4, 5), whole(4, 2, 5))
    yield "nll", Of(lambda x, t: F.nll_loss(x.log_softmax(1), t, reduction="none")), (real(*ROWS), whole(8, 3))
    yield "mse", Of(F.mse_loss), (real(*ROWS), real(*ROWS))
    yield "bce", Of(F.binary_cross_entropy_with_logits), (real(*ROWS), real(*ROWS).abs())
    yield "huber", Of(F.smooth_l1_loss), (real(*ROWS) * 3, real(*ROWS))
    yield "dropout", nn.Sequential(nn.Linear(8, 4), nn.Dropout(0.5)), (real(*ROWS),)


def moves():
    x, rows = real(*SEQUENCE), real(*ROWS)
    at = whole(7, 2, 3, 8)
    yield "view", Of(lambda x: x.view(x.shape[0], -1)), (x,)
    yield "flatten", nn.Flatten(), (real(*IMAGE),)
    yield "permute", Of(lambda x: x.permute(2, 0, 1).contiguous()), (x,)
    yield "chunk", Of(lambda x: torch.chunk(x, 3, 1)), (x,)
    yield "split", Of(lambda x: torch.split(x, [2, 1, 4], 1)), (x,)
    yield "unbind", Of(lambda x: torch.unbind(x, 0)), (x,)
    yield "stack", Of(lambda a, b: torch.stack((a, b), 1)), (rows, real(*ROWS))
    yield "slices", Of(lambda x: (x[:, 1:-2:2], x[..., -3:], x[0], x[:, None])), (x,)
    yield "expand", Of(lambda x: x[:, :1].expand(-1, 5, -1)), (x,)
    yield "repeat", Of(lambda x: x.repeat(1, 2, 3)), (x,)
    yield "tile", Of(lambda x: torch.tile(x, (2, 1))), (rows,)
    yield "repeatinterleave", Of(lambda x: x.repeat_interleave(3, 1)), (x,)
    yield "roll", Of(lambda x: torch.roll(x, (2, -1), (1, 2))), (x,)
    yield "flip", Of(lambda x: torch.flip(x, (1, 2))), (x,)
    yield "rot90", Of(lambda x: torch.rot90(x, 1, (1, 2))), (x,)
    yield "triangles", Of(lambda x: (torch.tril(x, 1), torch.triu(x, -1))), (x,)
    yield "gather", Of(lambda x, i: torch.gather(x, 1, i)), (x, at)
    yield "scatter", Of(lambda x, i, y: x.scatter(1, i, y)), (x, whole(1, 2, 1, 8), real(2, 1, 8))
    yield "scatteradd", Of(lambda x, i, y: x.scatter_add(1, i, y)), (x, at, real(2, 3, 8))
    yield "indexselect", Of(lambda x, i: torch.index_select(x, 1, i)), (x, whole(7, 4))
    yield "index", Of(lambda x, i, j: x[i, j]), (x, whole(2, 5), whole(7, 5))
    yield "indexput", Of(lambda x, i, y: x.clone().index_put((i,), y)), (rows, torch.tensor([2, 0]), real(2, 8))
    yield "indexadd", Of(lambda x, i, y: x.index_add(0, i, y)), (rows, torch.tensor([2, 0]), real(2, 8))
    yield "assign", Of(lambda x: torch.cat((x[:, :1] * 0, x[:, 1:]), 1)), (x,)
    yield "mask", Of(lambda x: x.masked_fill(x > 0.2, -1.0)), (x,)
    yield "maskedselect", Of(lambda x: torch.masked_select(x, x > 0)), (x,)
    yield "where", Of(lambda x, y: torch.where(x > y, x, y * 2)), (x, real(7, 8))
    yield "nonzero", Of(lambda x: torch.nonzero(x > 0)), (x,)
    yield "topk", Of(lambda x: torch.topk(x, 3, 1)), (x,)
    yield "unique", Of(lambda x: torch.unique(x)), (whole(5, 12),)
    yield "onehot", Of(lambda x: F.one_hot(x, 6)), (whole(6, 3, 2),)
    yield "bucketize", Of(lambda x: torch.bucketize(x, torch.tensor([-0.5, 0.0, 0.5]))), (x,)
    yield "arange", Of(lambda x: torch.arange(x.shape[1]) + x.sum(2)), (x,)
    yield "linspace", Of(lambda x: torch.linspace(0, 1, 5) + x[:, :5, 0]), (x,)
    yield "full", Of(lambda x: torch.full_like(x, 2.5) + torch.zeros(x.shape[0], 1, 1) + torch.ones_like(x)), (x,)
    yield "eye", Of(lambda x: torch.eye(8) + x), (real(8, 8),)
    yield "meshgrid", Of(lambda a, b: torch.meshgrid(a, b, indexing="ij")), (real(3), real(4))
    yield "outer", Of(torch.outer), (real(3), real(4))
    yield "clamp", Of(lambda x: (x.clamp(-0.3, 0.4), x.clamp(min=0.1), x.clamp(max=0.0))), (x,)
    yield "clamp-tensor", Of(lambda x, low: torch.clamp(x, low, low + 0.5)), (x, real(8))
    yield "lerp", Of(lambda a, b: torch.lerp(a, b, 0.3)), (rows, real(*ROWS))
    yield "addcmul", Of(lambda a, b, c: torch.addcmul(a, b, c, value=0.5)), (rows, real(*ROWS), real(*ROWS))
    yield "casts", Of(lambda x: ((x * 9).int(), (x * 9).long(), x.double(), x.bool(), (x * 9).to(torch.uint8).float())), (rows.abs(),)
    yield "half", Of(lambda m, x: m(x.half() * 2).float() if False else (x.half() * 2).float(), nn.Identity()), (rows,)
    yield "double", nn.Linear(8, 4).double(), (rows.double(),)
    yield "shape", Of(lambda x: x.reshape(x.shape[0] * x.shape[1], x.shape[2] // 2, 2)), (x,)
    yield "numel", Of(lambda x: x / x.numel() + x.shape[1]), (x,)
    yield "squeeze", Of(lambda x: x.unsqueeze(1).squeeze(1).unsqueeze(-1)), (x,)
    yield "diagonal", Of(lambda x: torch.diagonal(x, 0, 1, 2)), (x,)
    yield "unfold-dim", Of(lambda x: x.unfold(1, 3, 2)), (x,)
    yield "var-mean", Of(lambda x: torch.var_mean(x, 1, unbiased=False)), (x,)
    yield "det", Of(torch.det), (real(2, 3, 3) + torch.eye(3),)
    yield "loop", torch.jit.script(Doubling()), (rows, torch.tensor(4))


def named(inputs):
    """Every second dimension of inputs, beginning with the first, gets a name."""
    return {f"x{i}": {0: f"n{i}"} for i, x in enumerate(inputs) if x.dim()}


def export(module, inputs, path, opset, dynamo, dynamic):
    names = [f"x{i}" for i in range(len(inputs))]
    given = {"opset_version": opset, "input_names": names}
    if dynamo:
        shapes = tuple({0: torch.export.Dim.AUTO} if x.dim() else {} for x in inputs)
        if dynamic:
            given["dynamic_shapes"] = (shapes,) if isinstance(module, Of) else shapes
        torch.onnx.export(module, inputs, path, dynamo=True, external_data=False, verbose=False, **given)
    else:
        old = {"dynamo": False} if "dynamo" in torch.onnx.export.__code__.co_varnames else {}
        torch.onnx.export(module, inputs, path, dynamic_axes=named(inputs) if dynamic else None, **given, **old)
    np.savez(path[: -len("onnx")] + "npz", **{n: x.numpy() for n, x in zip(names, inputs)})


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("names", nargs="*", metavar="NAME")
    options.add_argument("--opsets", default="11,13,16")
    options.add_argument("--dynamo", default="")
    args = options.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    versions = [(int(v), False) for v in args.opsets.split(",") if v] + [(int(v), True) for v in args.dynamo.split(",") if v]
    made = refused = 0
    for count, (name, module, inputs) in enumerate(modules()):
        if args.names and name not in args.names:
            continue
        module.eval()
        for i, (opset, dynamo) in enumerate(versions):
            dynamic = (count + i) % 2 == 0
            tag = f"{'dynamo' if dynamo else 'trace'}{opset}{'-dynamic' if dynamic else ''}"
            try:
                export(module, inputs, str(args.folder / f"{name}-{tag}.onnx"), opset, dynamo, dynamic)
                made += 1
            except Exception as e:  # whatever an exporter raises
                refused += 1
                print(f"not exported: {name}-{tag}: {str(e).strip().splitlines()[0][:100] if str(e).strip() else type(e)}", file=sys.stderr)
    print(f"{made} files, {refused} that PyTorch does not export")


if __name__ == "__main__":
    main()
