#!/usr/bin/env python3
"""Small Keras models and TensorFlow functions as tf2onnx writes them.

    keras_exports.py FOLDER [--opsets 11,13,15,18] [--networks] [NAME ...]

Each goes out once for every operator set, with and without a named first dimension; --networks adds whole networks with random
weights. Beside NAME.onnx lies NAME.npz, what it can be run on. What tf2onnx cannot convert is counted, not shown. Needs
tensorflow-cpu 2.21.0, keras 3.15.1, tf2onnx 1.17.0 and onnx 1.23.2."""

import argparse
import os
import pathlib
import sys

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1")
import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers as L

tf.get_logger().setLevel("ERROR")
tf.autograph.set_verbosity(0)
keras.utils.set_random_seed(1)


def real(*shape):
    return np.random.uniform(-1, 1, shape).astype(np.float32)


def whole(most, *shape, dtype=np.int32):
    return np.random.randint(0, most, shape).astype(dtype)


IMAGE, ROWS, SEQUENCE = (2, 9, 11, 4), (3, 8), (2, 7, 8)
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "selu", "silu", "mish", "softplus", "softsign", "softmax", "log_softmax",
               "sigmoid", "hard_sigmoid", "hard_silu", "tanh", "tanh_shrink", "hard_tanh", "hard_shrink", "soft_shrink", "exponential", "glu",
               "log_sigmoid", "squareplus", "sparse_plus", "threshold", "sparsemax")  # fmt: skip
POINTWISE = ("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp", "floor", "is_finite",
             "is_inf", "is_nan", "log", "negative", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "softplus",
             "sqrt", "square", "tan", "tanh", "rint")  # fmt: skip
BINARY = ("add", "subtract", "multiply", "divide", "pow", "maximum", "minimum", "floordiv", "floormod", "squared_difference",
          "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "atan2", "divide_no_nan")  # fmt: skip
INTEGERS = ("add", "subtract", "multiply", "floordiv", "floormod", "maximum", "minimum", "equal", "less")
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "logsumexp", "std", "variance")


def models():
    """name: (layer or function, inputs)"""
    yield from activations()
    yield from images()
    yield from sequences()
    yield from numbers()
    yield from moves()
    yield from signals()
    yield from control()
    yield from texts()


def activations():
    for name in ACTIVATIONS:
        given = (0.1, 20.0) if name == "threshold" else ()
        yield name, keras.Sequential([L.Dense(6), L.Activation(lambda x, f=getattr(keras.activations, name), g=given: f(x, *g))]), (real(*ROWS),)
    for kind in (L.PReLU, L.LeakyReLU, L.ELU, L.ReLU, L.Softmax):
        given = {L.PReLU: {"shared_axes": [1, 2]}, L.ReLU: {"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.1}}.get(kind, {})
        yield f"layer-{kind.__name__}".lower(), kind(**given), (real(*IMAGE),)
    for layer in (L.Dropout(0.5), L.GaussianNoise(0.5), L.SpatialDropout2D(0.5), L.ActivityRegularization(), L.Rescaling(2.0, -1.0)):
        yield f"layer-{type(layer).__name__}".lower(), layer, (real(*IMAGE),)


def images():
    inputs = {1: real(2, 17, 4), 2: real(*IMAGE), 3: real(1, 7, 8, 9, 4)}
    for d, x in inputs.items():
        for size, stride, pad, dilation in ((3, 1, "same", 1), (3, 2, "valid", 1), (3, 2, "same", 1), (2, 1, "same", 2), (1, 1, "valid", 1)):
            tag = f"{d}-{size}s{stride}{pad}d{dilation}"
            yield f"conv{tag}", getattr(L, f"Conv{d}D")(8, size, stride, pad, dilation_rate=dilation, activation="relu"), (x,)
            yield f"deconv{tag}", getattr(L, f"Conv{d}DTranspose")(5, size, stride, pad, dilation_rate=dilation), (x,)
            if d < 3:
                yield f"depthwise{tag}", getattr(L, f"DepthwiseConv{d}D")(size, stride, pad, depth_multiplier=2, dilation_rate=dilation), (x,)
                yield f"separable{tag}", getattr(L, f"SeparableConv{d}D")(6, size, stride, pad, dilation_rate=dilation), (x,)
        for kind in ("MaxPooling", "AveragePooling"):
            for pad in ("same", "valid"):
                yield f"{kind}{d}-{pad}".lower(), getattr(L, f"{kind}{d}D")(3, 2, pad), (x,)
                yield f"{kind}{d}-{pad}-1".lower(), getattr(L, f"{kind}{d}D")(2, 1, pad), (x,)
            yield f"adaptive-{kind}{d}".lower(), getattr(L, f"Adaptive{kind}{d}D")(3), (x,)
        for kind in ("GlobalMaxPooling", "GlobalAveragePooling"):
            yield f"{kind}{d}".lower(), getattr(L, f"{kind}{d}D")(), (x,)
            yield f"{kind}{d}-keep".lower(), getattr(L, f"{kind}{d}D")(keepdims=True), (x,)
        yield f"zeropadding{d}", getattr(L, f"ZeroPadding{d}D")((1, 2) if d == 1 else ((1, 2),) * d), (x,)
        yield f"cropping{d}", getattr(L, f"Cropping{d}D")((1, 2) if d == 1 else ((1, 2),) * d), (x,)
        yield f"upsampling{d}", getattr(L, f"UpSampling{d}D")(2), (x,)
    yield "conv2-grouped", lambda x: tf.nn.conv2d(x, tf.constant(real(3, 2, 2, 6)), 2, "SAME"), (inputs[2],)
    yield "conv1-causal", L.Conv1D(6, 3, padding="causal", dilation_rate=2), (inputs[1],)
    yield "conv2-first", keras.Sequential([L.Permute((3, 1, 2)), L.Permute((2, 3, 1)), L.Conv2D(3, (2, 3))]), (inputs[2],)
    for name in ("nearest", "bilinear", "bicubic"):
        yield f"upsampling-{name}", L.UpSampling2D((2, 3), interpolation=name), (inputs[2],)
        yield f"resizing-{name}", L.Resizing(6, 15, interpolation=name), (inputs[2],)
        yield f"resize-{name}", lambda x, n=name: tf.image.resize(x, (13, 7), n), (inputs[2],)
        old = getattr(tf.compat.v1.image, f"resize_{'nearest_neighbor' if name == 'nearest' else name}")
        yield f"resize-{name}-corners", lambda x, f=old: f(x, (13, 7), align_corners=True), (inputs[2],)
        yield f"resize-{name}-plain", lambda x, f=old: f(x, (13, 7)), (inputs[2],)
        yield f"resize-{name}-twice", lambda x, f=old: f(x, tf.shape(x)[1:3] * 2, half_pixel_centers=True), (inputs[2],)
    yield "resize-crop", L.Resizing(6, 6, crop_to_aspect_ratio=True), (inputs[2],)
    yield "centercrop", L.CenterCrop(5, 6), (inputs[2],)
    yield "croppad", lambda x: tf.image.resize_with_crop_or_pad(x, 12, 6), (inputs[2],)
    boxes = np.array([[0.1, 0.1, 0.8, 0.9], [0, 0, 1, 1], [0.2, 0.1, 0.5, 1.25]], np.float32)
    yield "cropresize", lambda x, b: tf.image.crop_and_resize(x, b, tf.constant([0, 1, 0]), (4, 5)), (inputs[2], boxes)
    yield "cropresize-nearest", lambda x, b: tf.image.crop_and_resize(x, b, tf.constant([0, 1, 0]), (4, 5), "nearest"), (inputs[2], boxes)
    scores = np.array([0.5, 0.9, 0.7], np.float32)
    yield "nms", lambda b, s: tf.image.non_max_suppression(b, s, 2, 0.4), (boxes, scores)
    yield "nms-scores", lambda b, s: tf.image.non_max_suppression_with_scores(b, s, 3, 0.4, 0.1, 0.5)[:2], (boxes, scores)
    yield "nms-padded", lambda b, s: tf.image.non_max_suppression_padded(b, s, 3, 0.4, pad_to_max_output_size=True), (boxes[None], scores[None])
    yield "nms-classes", lambda b, s: tuple(tf.image.combined_non_max_suppression(b, s, 3, 3, 0.4)), (real(1, 6, 1, 4), real(1, 6, 2))
    yield "flips", lambda x: (tf.image.flip_left_right(x), tf.image.flip_up_down(x), tf.image.transpose(x), tf.image.rot90(x)), (inputs[2],)
    yield "gray", lambda x: tf.image.rgb_to_grayscale(x[..., :3]), (inputs[2],)
    yield "contrast", lambda x: tf.image.adjust_contrast(tf.image.adjust_brightness(x, 0.2), 1.5), (inputs[2],)
    yield "standardized", tf.image.per_image_standardization, (inputs[2],)
    yield "yuv", lambda x: tf.image.rgb_to_yuv(x[..., :3]), (inputs[2],)
    yield "patches", lambda x: tf.image.extract_patches(x, (1, 3, 3, 1), (1, 2, 2, 1), (1, 1, 1, 1), "VALID"), (inputs[2],)
    yield "patches-same", lambda x: tf.image.extract_patches(x, (1, 2, 3, 1), (1, 2, 2, 1), (1, 2, 1, 1), "SAME"), (inputs[2],)
    yield "edges", tf.image.sobel_edges, (inputs[2],)
    yield "gradients", tf.image.image_gradients, (inputs[2],)
    yield "spacedepth", lambda x: tf.nn.space_to_depth(x[:, :8, :10], 2), (inputs[2],)
    yield "depthspace", lambda x: tf.nn.depth_to_space(x, 2), (inputs[2],)
    yield "spacebatch", lambda x: tf.space_to_batch(x[:, :8, :10], [2, 2], [[0, 0], [2, 0]]), (inputs[2],)
    yield "batchspace", lambda x: tf.batch_to_space(x, [2, 1], [[1, 0], [0, 2]]), (inputs[2],)
    yield "pool-argmax", lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "SAME"), (inputs[2],)
    yield "localresponse", lambda x: tf.nn.local_response_normalization(x, 2, 1.0, 0.5, 0.6), (inputs[2],)
    for mode in ("CONSTANT", "REFLECT", "SYMMETRIC"):
        yield f"pad-{mode}".lower(), lambda x, m=mode: tf.pad(x, ((0, 0), (1, 2), (2, 0), (0, 0)), m), (inputs[2],)
    for layer in (L.BatchNormalization(), L.BatchNormalization(axis=1, scale=False), L.LayerNormalization(), L.LayerNormalization(axis=(1, 2, 3)),
                  L.GroupNormalization(2), L.GroupNormalization(-1), L.UnitNormalization(), L.RMSNormalization(), L.SpectralNormalization(L.Conv2D(3, 2)),
                  L.Flatten(), L.RepeatVector(3), L.Reshape((-1, 3)), L.Permute((3, 1, 2))):  # fmt: skip
        tag = type(layer).__name__ + ("-" + str(layer.axis) if hasattr(layer, "axis") else "") + (str(layer.groups) if hasattr(layer, "groups") else "")
        yield f"layer-{tag}".lower().replace(" ", ""), layer, (real(3, 5) if isinstance(layer, L.RepeatVector) else inputs[2],)
    x = L.Input(IMAGE[1:])
    y = L.Conv2D(4, 3, padding="same", use_bias=False)(x)
    y = L.Add()([x, L.ReLU(6.0)(L.BatchNormalization()(y))])
    z = L.Multiply()([y, L.Dense(4, "sigmoid")(L.Dense(2, "swish")(L.GlobalAveragePooling2D(keepdims=True)(y)))])
    yield "residual", keras.Model(x, L.Concatenate()([z, L.SeparableConv2D(3, 3, padding="same")(z)])), (inputs[2],)
    down = L.MaxPooling2D(2, padding="same")(L.Conv2D(6, 3, padding="same", activation="relu")(x))
    up = L.Conv2DTranspose(6, 2, 2, padding="same")(L.LeakyReLU()(L.Conv2D(8, 3, padding="same")(down)))
    yield "unet", keras.Model(x, L.Conv2D(2, 1, activation="softmax")(L.Concatenate()([x, L.CenterCrop(9, 11)(up)]))), (inputs[2],)


def sequences():
    x, tokens = real(*SEQUENCE), whole(20, 2, 7)
    tokens[:, 5:] = 0
    for kind in (L.LSTM, L.GRU, L.SimpleRNN):
        name = kind.__name__.lower()
        for tag, given in (("", {}), ("-all", {"return_sequences": True}), ("-back", {"go_backwards": True, "return_sequences": True}),
                           ("-states", {"return_state": True, "return_sequences": True}), ("-bare", {"use_bias": False}),
                           ("-relu", {"activation": "relu"}), ("-unrolled", {"unroll": True})):  # fmt: skip
            yield f"{name}{tag}", kind(6, **given), (x,)
        for mode in ("concat", "sum", "mul", "ave", None):
            yield f"{name}-both-{mode}".lower(), L.Bidirectional(kind(5, return_sequences=mode != "sum"), merge_mode=mode), (x,)
        yield f"{name}-deep", keras.Sequential([kind(5, return_sequences=True), L.Bidirectional(kind(4, return_sequences=True)), kind(3)]), (x,)
        yield f"{name}-masked", keras.Sequential([L.Embedding(20, 6, mask_zero=True), kind(5)]), (tokens,)
        yield f"{name}-masking", keras.Sequential([L.Masking(0.0), kind(5, return_sequences=True)]), (np.where(np.arange(7)[:, None] < 5, x, 0).astype(np.float32),)
        cell = {L.LSTM: L.LSTMCell, L.GRU: L.GRUCell, L.SimpleRNN: L.SimpleRNNCell}[kind]
        yield f"{name}-cell", L.RNN([cell(5), cell(4)]), (x,)
    yield "lstm-given", lambda x, h, c, m=L.LSTM(6): m(x, initial_state=[h, c]), (x, real(2, 6), real(2, 6))
    yield "gru-before", L.GRU(6, reset_after=False), (x,)
    yield "lstm-hard", L.LSTM(6, recurrent_activation="hard_sigmoid"), (x,)
    yield "convlstm1", L.ConvLSTM1D(3, 2), (real(2, 3, 8, 4),)
    yield "convlstm2", L.ConvLSTM2D(3, 2, return_sequences=True), (real(1, 3, 5, 6, 4),)
    yield "distributed", L.TimeDistributed(L.Dense(3)), (x,)
    yield "embedding", L.Embedding(20, 6), (tokens,)
    yield "positions", lambda t, e=L.Embedding(20, 6), p=L.Embedding(7, 6): e(t) + p(tf.range(tf.shape(t)[1])), (tokens,)
    yield "category", L.CategoryEncoding(20, "multi_hot"), (tokens,)
    yield "category-count", L.CategoryEncoding(20, "count"), (tokens,)
    for tag, given in (("", {}), ("-value", {"value_dim": 3, "output_shape": 5}), ("-axes", {"attention_axes": (1,)})):
        yield f"attention{tag}", lambda x, m=L.MultiHeadAttention(2, 4, **given): m(x, x), (x,)
    yield "attention-causal", lambda x, m=L.MultiHeadAttention(2, 4): m(x, x, use_causal_mask=True), (x,)
    yield "attention-mask", lambda x, k, m=L.MultiHeadAttention(2, 4): m(x, x, attention_mask=k[:, None] > 0), (x, tokens)
    yield "attention-scores", lambda x, m=L.MultiHeadAttention(2, 4): m(x, x, return_attention_scores=True), (x,)
    yield "attention-grouped", lambda x, m=L.GroupQueryAttention(4, 4, 2): m(x, x), (x,)
    yield "attention-dot", lambda a, b, m=L.Attention(): m([a, b]), (x, real(2, 5, 8))
    yield "attention-additive", lambda a, b, m=L.AdditiveAttention(): m([a, b]), (x, real(2, 5, 8))
    yield "einsumdense", L.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="de"), (x,)
    yield "einsumdense-full", L.EinsumDense("abc,bcd->ad", 5), (x,)
    a = L.Input((7, 8))
    y = L.LayerNormalization()(a + L.MultiHeadAttention(2, 4)(a, a, use_causal_mask=True))
    yield "encoder", keras.Model(a, L.LayerNormalization()(y + L.Dense(8)(L.Dense(16, lambda z: keras.activations.gelu(z, approximate=True))(y)))), (x,)
    for kind in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate):
        yield f"layer-{kind.__name__}".lower(), lambda a, b, m=kind(): m([a, b]), (x, real(*SEQUENCE))
    yield "dot", lambda a, b, m=L.Dot((2, 2)): m([a, b]), (x, real(2, 5, 8))
    yield "dot-normalized", lambda a, b, m=L.Dot(1, normalize=True): m([a, b]), (real(*ROWS), real(*ROWS))
    yield "dense-3", L.Dense(5, "relu"), (x,)
    yield "ctc", lambda x: tf.nn.ctc_greedy_decoder(tf.transpose(x, (1, 0, 2)), [7, 6])[0][0].values, (x,)


def numbers():
    x, rows = real(*SEQUENCE), real(*ROWS)
    for name in POINTWISE:
        yield f"math-{name}", getattr(tf.math, name), (np.abs(rows) * 0.8 + (1.1 if name == "acosh" else 0.1),)
    for name in BINARY:
        f = getattr(tf, name, None) or getattr(tf.math, name)
        yield f"math-{name}", f, (np.abs(x) + 0.3, np.abs(real(7, 1)) + 0.4)
        yield f"math-{name}-double", f, (x.astype(np.float64), np.abs(real(8)).astype(np.float64) + 0.1)
    for name in INTEGERS:
        for dtype in (np.int32, np.int64):
            yield f"math-{name}-{np.dtype(dtype).name}", getattr(tf, name, None) or getattr(tf.math, name), (whole(50, *ROWS, dtype=dtype) - 25, whole(9, 8, dtype=dtype) + 1)
    for name in REDUCTIONS:
        f = getattr(tf.math, f"reduce_{name}")
        yield f"reduce-{name}", lambda x, f=f: (f(x, 1), f(x, (0, -1), keepdims=True)), (x,)
        yield f"reduce-{name}-whole", f, (x,)
    for name in ("any", "all"):
        yield f"reduce-{name}", lambda x, f=getattr(tf.math, f"reduce_{name}"): (f(x > 0, 1), f(x > 0, keepdims=True)), (x,)
    for name in ("argmax", "argmin", "cumsum", "cumprod", "l2_normalize", "reduce_variance"):
        yield name, lambda x, f=getattr(tf.math, name): f(x, 1), (x,)
    yield "cumsum-reverse", lambda x: (tf.cumsum(x, 1, exclusive=True), tf.cumsum(x, 2, reverse=True)), (x,)
    yield "matmul", tf.matmul, (x, real(2, 8, 3))
    yield "matmul-transposed", lambda a, b: tf.matmul(a, b, transpose_a=True, transpose_b=True), (real(2, 8, 7), real(2, 3, 8))
    yield "matmul-double", tf.matmul, (x.astype(np.float64), real(8, 3).astype(np.float64))
    yield "matmul-int", tf.matmul, (whole(9, 3, 4), whole(9, 4, 5))
    yield "tensordot", lambda a, b: tf.tensordot(a, b, ((1, 2), (0, 1))), (x, real(7, 8, 3))
    for text in ("bij,bkj->bik", "bij,jk->bk", "bij->bji", "bii->bi", "bij,bij->", "bi...,bj...->bij..."):
        shapes = [(2, 7, 7) if "ii" in text else SEQUENCE for _ in text.split("->")[0].split(",")]
        shapes = [(8, 3) if term == "jk" else s for term, s in zip(text.split("->")[0].split(","), shapes)]
        yield f"einsum-{text}".replace(",", "_").replace("->", "-"), lambda *a, t=text: tf.einsum(t, *a), tuple(real(*s) for s in shapes)
    yield "bits", lambda a, b: (tf.bitwise.bitwise_and(a, b), tf.bitwise.bitwise_or(a, b), tf.bitwise.bitwise_xor(a, b), tf.bitwise.invert(a)), (whole(50, 3, 8), whole(50, 8))
    yield "shifts", lambda a, b: (tf.bitwise.left_shift(a, b), tf.bitwise.right_shift(a, b)), (whole(50, 3, 8, dtype=np.uint8), whole(7, 8, dtype=np.uint8))
    yield "logic", lambda a, b: (tf.logical_and(a > 0, b > 0), tf.logical_or(a > 0, b > 0), tf.math.logical_xor(a > 0, b > 0), tf.logical_not(a > 0)), (x, real(8))
    yield "clip", lambda x: (tf.clip_by_value(x, -0.3, 0.4), tf.clip_by_norm(x, 0.5, 1)), (x,)
    yield "losses", lambda a, t: (tf.nn.sparse_softmax_cross_entropy_with_logits(t, a), tf.nn.softmax_cross_entropy_with_logits(tf.one_hot(t, 8), a)), (rows, whole(8, 3))
    yield "moments", lambda x: tf.nn.moments(x, (0, 1)), (x,)
    yield "casts", lambda x: tuple(tf.cast(x * 9, t) for t in (tf.int32, tf.int64, tf.float64, tf.bool, tf.float16, tf.uint8)), (np.abs(rows),)
    yield "half", lambda x: tf.cast(tf.matmul(tf.cast(x, tf.float16), tf.cast(x, tf.float16), transpose_b=True), tf.float32), (rows,)
    yield "fakequant", lambda x: tf.quantization.fake_quant_with_min_max_args(x, -0.7, 0.8), (x,)
    yield "quantize-dequantize", lambda x: tf.quantization.quantize_and_dequantize_v2(x, -1.0, 1.0, range_given=True), (x,)
    yield "det", tf.linalg.det, (real(2, 3, 3) + np.eye(3, dtype=np.float32),)
    yield "norm", lambda x: (tf.norm(x, 1, 1), tf.norm(x), tf.norm(x, np.inf, 2)), (x,)
    yield "trace", tf.linalg.trace, (real(2, 3, 3),)
    yield "random", lambda x: tf.shape(tf.random.uniform(tf.shape(x))), (x,)


def moves():
    x, rows = real(*SEQUENCE), real(*ROWS)
    yield "slices", lambda x: (x[:, 1:-2:2], x[..., -3:], x[0], x[:, tf.newaxis], x[::-1], x[:, 5:1:-1]), (x,)
    yield "slice-begin", lambda x, i: tf.slice(x, (0, i[0], 1), (-1, 3, 4)), (x, whole(3, 1))
    yield "stridedslice-run", lambda x, i: x[:, i[0] : i[0] + 2, i[1]], (x, whole(3, 2))
    yield "split", lambda x: (*tf.split(x, [2, 1, 4], 1), *tf.split(x, 2, 2)), (x,)
    yield "unstack", lambda x: tf.unstack(x, axis=1), (x,)
    yield "stack", lambda a, b: tf.stack((a, b), 1), (rows, real(*ROWS))
    yield "concat", lambda a, b: tf.concat((a, b, a), -1), (rows, real(3, 2))
    yield "expand", lambda x: tf.squeeze(tf.expand_dims(x, 1), 1), (x,)
    yield "tile", lambda x: tf.tile(x, (1, 2, 3)), (x,)
    yield "repeat", lambda x: tf.repeat(x, 3, 1), (x,)
    yield "repeat-each", lambda x: tf.repeat(x, [1, 0, 2], 0), (rows,)
    yield "broadcast", lambda x: tf.broadcast_to(x[:, :1], (2, 5, 8)), (x,)
    yield "roll", lambda x: tf.roll(x, (2, -1), (1, 2)), (x,)
    yield "reverse", lambda x: tf.reverse(x, (1, 2)), (x,)
    yield "reversesequence", lambda x, n: tf.reverse_sequence(x, n, 1, 0), (x, whole(7, 2) + 1)
    yield "transpose", lambda x: tf.transpose(x, (2, 0, 1)), (x,)
    yield "bands", lambda x: (tf.linalg.band_part(x, -1, 0), tf.linalg.band_part(x, 0, -1), tf.linalg.band_part(x, 1, 2)), (x,)
    yield "diagonal", lambda x: (tf.linalg.diag_part(x), tf.linalg.diag(x[:, 0]), tf.linalg.set_diag(x, x[:, :, 1])), (real(2, 5, 5),)
    yield "diagonals", lambda x: (tf.linalg.diag_part(x, k=(-1, 1)), tf.linalg.diag(x[:, 0], k=1)), (real(2, 5, 5),)
    yield "gather", lambda x, i: (tf.gather(x, i, axis=1), tf.gather(x, i, axis=-1)), (x, whole(7, 2, 3))
    yield "gather-batch", lambda x, i: tf.gather(x, i, axis=1, batch_dims=1), (x, whole(7, 2, 3))
    yield "gathernd", tf.gather_nd, (x, np.stack((whole(2, 5), whole(7, 5)), -1))
    yield "gathernd-batch", lambda x, i: tf.gather_nd(x, i, batch_dims=1), (x, whole(7, 2, 3, 1))
    yield "scatternd", lambda i, u: tf.scatter_nd(i, u, (7, 8)), (np.array([[1], [4], [0]], np.int32), real(3, 8))
    yield "scatternd-twice", lambda i, u: tf.scatter_nd(i, u, (7, 8)), (np.array([[1], [4], [1]], np.int32), real(3, 8))
    for name in ("update", "add", "sub", "max", "min"):
        yield f"scatter-{name}", lambda x, i, u, f=getattr(tf, f"tensor_scatter_nd_{name}"): f(x, i, u), (rows, np.array([[2], [0]], np.int32), real(2, 8))
    for name in ("sum", "mean", "max", "min", "prod"):
        yield f"segment-{name}", getattr(tf.math, f"segment_{name}"), (real(5, 4), np.array([0, 0, 1, 2, 2], np.int32))
        if name != "mean":
            yield f"unsorted-segment-{name}", lambda x, i, f=getattr(tf.math, f"unsorted_segment_{name}"): f(x, i, 4), (real(5, 4), np.array([2, 0, 1, 2, 0], np.int32))
    yield "where", lambda x, y: tf.where(x > y, x, y * 2), (x, real(7, 8))
    yield "nonzero", lambda x: tf.where(x > 0), (x,)
    yield "booleanmask", lambda x: (tf.boolean_mask(x, x > 0), tf.boolean_mask(x, x[:, :, 0] > 0)), (x,)
    yield "topk", lambda x: tf.math.top_k(x, 3), (x,)
    yield "sort", lambda x: (tf.sort(x, 1), tf.argsort(x, 2, "DESCENDING")), (x,)
    yield "unique", lambda x: tf.unique(x), (whole(5, 12),)
    yield "unique-counts", lambda x: tf.unique_with_counts(x), (whole(5, 12),)
    yield "setdiff", lambda x: tf.sparse.to_dense(tf.sparse.from_dense(x)), (whole(3, 4, 4),)
    yield "onehot", lambda x: (tf.one_hot(x, 6), tf.one_hot(x, 6, 2.0, -1.0, 0)), (whole(7, 3, 2),)
    yield "bincount", lambda x: tf.math.bincount(x, minlength=6, maxlength=6), (whole(6, 12),)
    yield "range", lambda x: tf.range(tf.shape(x)[1]) + tf.cast(x[0, :, 0] * 4, tf.int32), (x,)
    yield "linspace", lambda x: tf.linspace(0.0, x[0, 0, 0], 5), (x,)
    yield "fill", lambda x: tf.fill(tf.shape(x)[:2], 2.5) + tf.zeros_like(x[..., 0]) + tf.ones_like(x[..., 1]), (x,)
    yield "eye", lambda x: tf.eye(8) + tf.eye(tf.shape(x)[0], 8), (real(8, 8),)
    yield "meshgrid", lambda a, b: tf.meshgrid(a, b), (real(3), real(4))
    yield "sizes", lambda x: (tf.size(x), tf.rank(x), tf.shape(x)), (x,)
    yield "reshape-shape", lambda x: tf.reshape(x, (tf.shape(x)[0] * tf.shape(x)[1], -1, 2)), (x,)
    yield "sequencemask", lambda n: tf.sequence_mask(n, 6), (whole(6, 4),)
    yield "confusion", lambda a, b: tf.math.confusion_matrix(a, b, 4), (whole(4, 9), whole(4, 9))
    yield "dynamicstitch", lambda a, b: tf.dynamic_stitch([[0, 2], [1, 3]], [a, b]), (real(2, 3), real(2, 3))
    yield "dynamicpartition", lambda x, p: tf.dynamic_partition(x, p, 2), (real(6, 3), whole(2, 6))
    yield "ragged", lambda x: tf.RaggedTensor.from_row_lengths(x, [2, 0, 3]).to_tensor(-1.0), (real(5),)


def signals():
    x = real(2, 64)
    yield "stft", lambda x: tf.abs(tf.signal.stft(x, 16, 8)), (x,)
    yield "stft-odd", lambda x: tf.abs(tf.signal.stft(x, 12, 5, 16, pad_end=True)), (x,)
    yield "rfft", lambda x: tf.abs(tf.signal.rfft(x)), (x,)
    yield "rfft2", lambda x: tf.abs(tf.signal.rfft2d(x)), (real(2, 8, 8),)
    yield "frame", lambda x: tf.signal.frame(x, 16, 7), (x,)
    yield "mel", lambda x: tf.math.log(tf.matmul(tf.abs(tf.signal.stft(x, 16, 8)), tf.signal.linear_to_mel_weight_matrix(5, 9, 8000, 100.0, 3900.0)) + 1e-3), (x,)
    yield "window", lambda x: x * tf.signal.hann_window(64) + tf.signal.hamming_window(64), (x,)


def control():
    x = real(*ROWS)

    def collatz(x):
        n, y = tf.constant(0), x
        while tf.reduce_sum(tf.abs(y)) > 0.5 and n < 9:
            y, n = y * 0.6, n + 1
        return y, n

    def halves(x):
        out = tf.TensorArray(tf.float32, size=tf.shape(x)[0])
        for i in tf.range(tf.shape(x)[0]):
            out = out.write(i, tf.reduce_sum(x[i]) if x[i, 0] > 0 else tf.reduce_max(x[i]))
        return out.stack()

    def growing(x):
        y, i = x[:1], tf.constant(0)
        while i < 3:
            tf.autograph.experimental.set_loop_options(shape_invariants=[(y, tf.TensorShape([None, 8]))])
            y, i = tf.concat((y, x[:1] * tf.cast(i, tf.float32)), 0), i + 1
        return y

    def greedy(x):
        w, out = tf.constant(real(8, 8)), tf.TensorArray(tf.int64, size=4)
        for i in tf.range(4):
            x = tf.nn.tanh(tf.matmul(x, w))
            out = out.write(i, tf.argmax(x, 1))
        return tf.transpose(out.stack())

    def nested(x):
        total = tf.zeros_like(x[0])
        for i in tf.range(3):
            for j in tf.range(i + 1):
                total += x[i] * tf.cast(j + 1, tf.float32)
        return total

    yield "while", collatz, (x,)
    yield "array", halves, (x,)
    yield "growing", growing, (x,)
    yield "greedy", greedy, (x,)
    yield "nested", nested, (x,)
    yield "cond", lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: x - 1), (x,)
    yield "case", lambda x: tf.case([(x[0, 0] > 0, lambda: x + 1), (x[0, 1] > 0, lambda: x + 2)], default=lambda: x), (x,)
    yield "map", lambda x: tf.map_fn(lambda r: tf.reduce_sum(r) * r, x), (x,)
    yield "foldl", lambda x: tf.foldl(lambda a, r: a * 0.5 + r, x), (x,)
    yield "vectorized", lambda x: tf.vectorized_map(lambda r: tf.matmul(r[None], tf.transpose(r[None])), x), (x,)
    yield "assert", lambda x: tf.debugging.check_numerics(tf.identity(x) + 1, "odd"), (x,)


def texts():
    words = np.array([["red", "green"], ["blue", "rot"], ["", "green"]])
    yield "strings", lambda w: (tf.concat((w, w), 1), tf.reshape(w, (-1,)), tf.transpose(w)), (words,)
    yield "strings-where", lambda w: tf.where(tf.constant([[True, False]]), w, "none"), (words,)
    yield "strings-number", lambda w: tf.strings.to_number(w), (np.array(["1.5", "-3", "7e2"]),)
    yield "strings-of", lambda x: tf.strings.as_string(x), (whole(9, 3, 2),)
    yield "strings-lower", lambda w: tf.strings.lower(w), (words,)


def networks():
    from keras import applications as A

    image = np.random.uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)
    for make, given in ((A.MobileNet, {"alpha": 0.25}), (A.MobileNetV2, {"alpha": 0.35}), (A.MobileNetV3Small, {}), (A.MobileNetV3Large, {}),
                        (A.EfficientNetV2B0, {"include_preprocessing": False}), (A.ResNet50, {}), (A.ResNet50V2, {}), (A.DenseNet121, {}),
                        (A.NASNetMobile, {}), (A.ConvNeXtTiny, {}), (A.Xception, {}), (A.InceptionV3, {}), (A.InceptionResNetV2, {}), (A.VGG16, {})):  # fmt: skip
        size = 96 if make in (A.Xception, A.InceptionV3, A.InceptionResNetV2) else 32 if make is A.VGG16 else 64
        x = image if size == 64 else np.random.uniform(0, 1, (1, size, size, 3)).astype(np.float32)
        yield f"net-{make.__name__}".lower(), lambda m=make, g=given, s=size: m(weights=None, input_shape=(s, s, 3), classes=10, classifier_activation=None, **g), (x,)


def blurred(layer):
    """Biases, scales and statistics that are all zero or one tell little."""
    for w in getattr(layer, "weights", ()):
        if w.dtype == "float32" and len(w.shape) == 1:
            w.assign(w.numpy() + np.random.uniform(0, 0.2, w.shape).astype(np.float32))


def export(layer, inputs, path, opset, dynamic):
    spec = [tf.TensorSpec([None, *x.shape[1:]] if dynamic and x.ndim else x.shape, tf.string if x.dtype.kind == "U" else x.dtype, name=f"x{i}") for i, x in enumerate(inputs)]
    model, _ = tf2onnx.convert.from_function(tf.function(layer, input_signature=spec), spec, opset=opset)
    unknown = {n.op_type for n in model.graph.node if not n.domain and not onnx.defs.has(n.op_type)}
    if unknown:
        raise ValueError(f"left as they were: {' '.join(sorted(unknown))}")
    if len(model.graph.input) != len(inputs):
        raise ValueError("constants became inputs")
    onnx.save(model, path)
    np.savez(path[: -len("onnx")] + "npz", **{f"x{i}": x for i, x in enumerate(inputs)})


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("names", nargs="*", metavar="NAME")
    options.add_argument("--opsets", default="11,13,15,18")
    options.add_argument("--networks", action="store_true", help="whole networks")
    args = options.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    made = refused = 0
    for count, (name, layer, inputs) in enumerate(networks() if args.networks else models()):
        if args.names and name not in args.names:
            continue
        for i, opset in enumerate(int(v) for v in args.opsets.split(",")):
            dynamic = (count + i) % 2 == 0
            tag = f"{name}-tf{opset}{'-dynamic' if dynamic else ''}"
            try:
                if i == 0:
                    layer = layer() if args.networks else layer
                    tf.function(layer)(*map(tf.constant, inputs))  # makes its weights
                    blurred(layer)
                export(layer, inputs, str(args.folder / f"{tag}.onnx"), opset, dynamic)
                made += 1
            except Exception as e:  # whatever a converter raises
                refused += 1
                print(f"not exported: {tag}: {str(e).strip().splitlines()[0][:100] if str(e).strip() else type(e)}", file=sys.stderr)
    print(f"{made} files, {refused} that tf2onnx does not convert")


if __name__ == "__main__":
    main()
