"""What is known of the judges and of Hone: what is not drawn, where the judges err, what Hone refuses on
purpose. Every line has its reason."""

import numpy as np
from onnx import helper

# Operators of Hone without a maker. Those of the standard that Hone lacks are in tests/ops/schema_gaps.txt.
RANDOM = "its numbers are its own: tests/ops/test_random.c"
TREES = "tables of trees: tests/ops/test_ml.c"
UNMADE = {
    ("", "Bernoulli"): RANDOM, ("", "Multinomial"): RANDOM, ("", "RandomNormal"): RANDOM,
    ("", "RandomNormalLike"): RANDOM, ("", "RandomUniform"): RANDOM, ("", "RandomUniformLike"): RANDOM,
    ("ai.onnx.preview", "FlexAttention"): "its scores are a subgraph's: tests/ops/test_flex_attention.c",
    ("ai.onnx.preview.training", "Gradient"): "its results are those of another graph's gradient",
    ("", "Constant"): "the reader makes a value of it",
    ("", "ImageDecoder"): "files of pictures: tests/image",
    ("ai.onnx.ml", "CastMap"): "maps come from ZipMap only: tests/ops/test_ml.c",
    ("ai.onnx.ml", "DictVectorizer"): "maps come from ZipMap only: tests/ops/test_ml.c",
    ("ai.onnx.ml", "TreeEnsemble"): TREES, ("ai.onnx.ml", "TreeEnsembleClassifier"): TREES,
    ("ai.onnx.ml", "TreeEnsembleRegressor"): TREES,
    ("com.microsoft", "QEmbedLayerNormalization"): "EmbedLayerNormalization, with bytes: tests/ops/test_microsoft.c",
    ("com.microsoft", "Tokenizer"): "pieces of texts: tests/ops/test_text.c",
    ("com.microsoft", "QLinearReduceMean"): "ONNX Runtime has no kernel for it",
}  # fmt: skip


def empty_texts(attributes, inputs):
    return bool(attributes.get("delimiter")) and (inputs[0] == "").any()


# (domain, operator, condition of (attributes, inputs), reason): the reference evaluator is asked before
# ONNX Runtime.
REFERENCE_FIRST = [
    ("", "QuantizeLinear", lambda a, i: i[0].dtype.itemsize == 2, "ONNX Runtime divides halves in float32"),
    ("", "Col2Im", lambda a, i: len(i[1]) != 2, "ONNX Runtime errs in images of three axes"),
    ("", "Gather", lambda a, i: i[0].dtype == object, "ONNX Runtime copies one text of each slice only"),
    ("", "MatMulInteger", lambda a, i: i[0].shape[-1] == 0, "ONNX Runtime leaves sums of nothing as memory has them"),
    ("", "Cast", lambda a, i: a["to"] in (21, 22, 25, 26), "ONNX Runtime rounds to integers of 4 bits"),
    ("", "CastLike", lambda a, i: i[1].dtype.itemsize == 1, "ONNX Runtime rounds to integers of 4 bits"),
    ("", "Cast", lambda a, i: a["to"] == 8, "ONNX Runtime writes more digits than are needed"),
    ("", "CastLike", lambda a, i: i[1].dtype == object, "ONNX Runtime writes more digits than are needed"),
    ("", "StringSplit", empty_texts, "ONNX Runtime counts no parts in an empty text, whatever the delimiter"),
]  # fmt: skip

# Quantized operators that compute in floats: of a result between two integers either may be given, an
# element here and there.
ONE_STEP = {"QLinearAdd", "QLinearMul", "QLinearWhere", "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax", "QGemm",
            "QLinearGlobalAveragePool", "QLinearAveragePool", "QLinearConcat", "QLinearConv", "QLinearMatMul",
            "DynamicQuantizeLinear"}  # fmt: skip

# Operators whose float64 the judges compute in float32, or with constants of float32.
COARSE = {
    "RNN",
    "GRU",
    "LSTM",
    "Attention",
    "Gelu",
    "HardSwish",
    "Erf",
    "GroupNormalization",
    "HammingWindow",
    "HannWindow",
    "BlackmanWindow",
    "LRN",
    "Resize",
    "GridSample",
    "Hardmax",
    "LpPool",
    "Shrink",
    "GlobalMaxPool",
    "GlobalLpPool",
    "Softsign",
    "BatchNormalization",
    "DFT",
    "STFT",
    "MeanVarianceNormalization",
}


def halves(inputs):
    return any(x is not None and x.dtype.itemsize == 2 and x.dtype.kind not in "iu" for x in inputs[:2])


def nan_among(attributes, inputs, text):
    return inputs[0].dtype.kind not in "iub" and np.isnan(inputs[0].astype(np.float64)).any()


# Differences that are none of Hone's faults: (domain, operator, condition of (attributes, inputs, text),
# reason).
NOT_COMPARED = [
    ("", "Erf", lambda a, i, t: i[0].dtype.kind in "iu", "refused on purpose: of integers, which have no use for it"),
    (
        "",
        "LayerNormalization",
        lambda a, i, t: i[0].dtype == np.float64 and "float64" in t,
        "refused on purpose: the statistics of float64 are float64",
    ),
    ("", "RMSNormalization", lambda a, i, t: "with the data" in t, "refused on purpose: a scale of unknown shape"),
    (
        "",
        "QuantizeLinear",
        lambda a, i, t: halves(i) and "refused" not in t,
        "the judges divide halves in several types",
    ),
    ("", "Unique", lambda a, i, t: not a.get("sorted", 1), "the reference sorts in any case"),
    ("", "StringSplit", lambda a, i, t: empty_texts(a, i), "ONNX Runtime counts no parts in an empty text"),
    ("", "ReduceMin", nan_among, "ONNX Runtime's least of numbers and NaN is a number"),
    ("", "ReduceMax", nan_among, "ONNX Runtime's largest of numbers and NaN is a number"),
    ("", "Trilu", lambda a, i, t: i[0].dtype == object, "the reference writes the number 0 between texts"),
    ("", "CenterCropPad", lambda a, i, t: i[0].dtype == object, "the reference writes the number 0 between texts"),
    *(
        (domain, op, lambda a, i, t: " of unknown s" in t, "refused on purpose: a function that needs to know sizes")
        for domain, op in (
            ("", "DeformConv"),
            ("com.microsoft", "Attention"),
            ("com.microsoft", "MultiHeadAttention"),
            ("com.microsoft", "GroupQueryAttention"),
            ("com.microsoft", "GatherBlockQuantized"),
        )
    ),
    ("", "Dropout", lambda a, i, t: t.count(" bool "), "ONNX Runtime's mask of opset 10 is zeros"),
    ("", "HannWindow", lambda a, i, t: " float16 " in t, "the reference computes in float16"),
    ("", "HammingWindow", lambda a, i, t: " float16 " in t, "the reference computes in float16"),
    ("", "BlackmanWindow", lambda a, i, t: " float16 " in t, "the reference computes in float16"),
]


def attributes_of(proto):
    return {a.name: helper.get_attribute_value(a) for a in proto.attribute}


def prefers_reference(proto, values):
    attributes = None
    for domain, op, holds, _ in REFERENCE_FIRST:
        if op == proto.op_type and domain == proto.domain:
            attributes = attributes or attributes_of(proto)
            if holds(attributes, [values[n] if n else None for n in proto.input]):
                return True
    return False


def excused(draw, proto, text, values):
    """The reason why a difference at this node does not count, or None."""
    for domain, op, holds, reason in NOT_COMPARED:
        if op == proto.op_type and domain == proto.domain:
            if holds(attributes_of(proto), [values.get(n) if n else None for n in proto.input], text):
                return reason
    return None
