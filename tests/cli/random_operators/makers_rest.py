"""Makers of operators of sequences, optional values, subgraphs, texts and classical models: (operator, inputs,
outputs, attributes)."""

import numpy as np
from onnx import TensorProto, helper

from draw import TYPES, dtype_of, maker
from library import element_type

TENSORS = ("float", "int64", "double", "bool", "int32", "string")

# --- sequences and optional values ---


def sequence(d, type, count=None, same=False):
    """A sequence: an input, or made of tensors by the graph."""
    d.special = False
    count = d.integer(1, 4) if count is None else count
    shape = d.shape(ranks=(1, 3), low=1, high=9)
    shapes = [shape if same else [d.size(1, 5), *shape[1:]] for _ in range(count)]
    if d.chance(0.4) and type != "string":
        return d.put([d.array(s, type) for s in shapes], False), count, shapes
    return d.emit("SequenceConstruct", [d.put(d.array(s, type)) for s in shapes]), count, shapes


@maker("SequenceConstruct")
def sequence_construct(d):
    type = d.choice(*TENSORS)
    return d.op, [d.tensor(d.shape(high=9), type) for _ in range(d.integer(1, 4))], 1, {}


@maker("SequenceEmpty")
def sequence_empty(d):
    of = d.choice("float", "int64", "double")
    name = d.emit("SequenceEmpty", [], dtype=element_type(TYPES[of]))
    return "SequenceInsert", [name, d.tensor(d.shape(high=9), of)], 1, {}


@maker("SequenceAt", "SequenceErase", "SequenceInsert", "SequenceLength")
def sequence_item(d):
    type = d.choice(*TENSORS)
    name, count, _ = sequence(d, type)
    if d.op == "SequenceLength":
        return d.op, [name], 1, {}
    if d.op == "SequenceInsert":
        at = [d.ints(d.integer(-count, count), d.choice("int64", "int32"))] if d.chance(0.6) else []
        return d.op, [name, d.tensor(d.shape(high=7), type), *at], 1, {}
    at = d.ints(d.integer(-count, count - 1), d.choice("int64", "int32"))
    return d.op, [name, at] if d.op == "SequenceAt" or d.chance(0.7) else [name], 1, {}


@maker("ConcatFromSequence")
def concat_from_sequence(d):
    new = d.integer(0, 1)
    name, _, shapes = sequence(d, d.choice("float", "int64", "double"), same=True)
    rank = len(shapes[0])
    return d.op, [name], 1, {"axis": d.integer(-rank - new, rank - 1 + new), "new_axis": new}


@maker("SplitToSequence")
def split_to_sequence(d):
    shape = d.shape(ranks=(1, 3), low=1, high=17)
    axis = d.axis(len(shape))
    x = d.tensor(shape, d.choice("float", "int64", "double", "int32"))
    how = d.choice("none", "chunk", "sizes")
    if how == "none":
        return d.op, [x], 1, {"axis": axis, "keepdims": d.integer(0, 1)}
    cut = d.integer(0, shape[axis])
    return d.op, [x, d.ints(d.integer(1, 5)) if how == "chunk" else d.ints([cut, shape[axis] - cut])], 1, {"axis": axis}


@maker("Optional", "OptionalGetElement", "OptionalHasElement")
def optional(d):
    d.special = False
    type = d.choice("float", "int64", "double")
    x = d.put(d.array(d.shape(high=9), type), False)
    if d.op == "Optional":
        return d.op, [x], 1, {}
    if d.op == "OptionalHasElement" and d.opset >= 18 and d.chance(0.5):
        return d.op, d.choice([], [""], [x]), 1, {}
    if d.opset >= 18 and d.chance(0.5):
        return d.op, [x], 1, {}
    return d.op, [d.emit("Optional", [x])], 1, {}


# --- subgraphs ---


def body(nodes, inputs, outputs, name="body"):
    tensor = lambda n, t, s=None: helper.make_tensor_value_info(n, t, s)  # noqa: E731
    return helper.make_graph(nodes, name, [tensor(*i) for i in inputs], [tensor(*o) for o in outputs])


@maker("If")
def if_of(d):
    type = d.choice("float", "double", "int32")
    x, y = d.tensor(d.shape(), type), d.tensor([], type)
    of = element_type(TYPES[type])
    then = body([helper.make_node("Add", [x, y], ["then_y"])], [], [("then_y", of)])
    other = body(
        [helper.make_node("Mul", [x, x], ["m"]), helper.make_node("Sub", ["m", y], ["else_y"])], [], [("else_y", of)]
    )
    d.special = False
    return d.op, [d.put(np.array(d.chance(0.5)))], 1, {"then_branch": then, "else_branch": other}


@maker("Loop", special=False)
def loop(d):
    type = d.choice("float", "double")
    of = element_type(TYPES[type])
    x, y = d.tensor(d.shape(ranks=(0, 2)), type, -1, 1), d.tensor([], type, 0.5, 0.9)
    stop = d.integer(1, 5)
    limit = helper.make_node("Constant", [], ["limit"], value=helper.make_tensor("l", TensorProto.INT64, [], [stop]))
    more = ("Less", ["i", "limit"]) if d.opset >= 9 else ("Identity", ["go"])
    nodes = [limit, helper.make_node(*more, ["more"]), helper.make_node("Mul", ["state", y], ["scaled"]),
             helper.make_node("Add", ["scaled", y], ["next"]), helper.make_node("Neg", ["next"], ["scan"])]  # fmt: skip
    g = body(
        nodes,
        [("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("state", of)],
        [("more", TensorProto.BOOL, []), ("next", of), ("scan", of)],
    )
    trips = d.ints(d.integer(1, 6)) if d.chance(0.8) or d.opset < 9 else ""
    go = d.put(np.array(True)) if d.chance(0.7) or not trips else ""
    return d.op, [trips, go, x], 2, {"body": g}


@maker("Scan", special=False)
def scan(d):
    type = d.choice("float", "double")
    of = element_type(TYPES[type])
    length, size = d.integer(1, 7), d.size(1, 17)
    axis, out, back, reverse = d.integer(0, 1), d.integer(0, 1), d.integer(0, 1), d.integer(0, 1)
    nodes = [helper.make_node("Add", ["state", "item"], ["next"]), helper.make_node("Mul", ["next", "item"], ["scan"])]
    g = body(nodes, [("state", of), ("item", of)], [("next", of), ("scan", of)])
    attributes = {"body": g, "num_scan_inputs": 1}
    if d.chance(0.6):
        attributes.update(
            scan_input_axes=[axis],
            scan_output_axes=[out],
            scan_input_directions=[back],
            scan_output_directions=[reverse],
        )
    else:
        axis = 0
    return d.op, [d.tensor([size], type), d.tensor([size, length] if axis else [length, size], type)], 2, attributes


@maker("SequenceMap", special=False)
def sequence_map(d):
    name, _, _ = sequence(d, "float")
    y = d.tensor([], "float")
    nodes = [helper.make_node("Add", ["item", y if d.chance(0.3) else "item"], ["out"])]
    return d.op, [name], 1, {"body": body(nodes, [("item", TensorProto.FLOAT)], [("out", TensorProto.FLOAT)])}


# --- texts ---


@maker("StringSplit")
def string_split(d):
    attributes = {"delimiter": d.choice("", ",", " ", "l")} if d.chance(0.7) else {}
    if d.chance(0.4):
        attributes["maxsplit"] = d.integer(1, 3)
    return d.op, [d.put(d.array(d.shape(ranks=(0, 2), high=9), "string"))], 2, attributes


@maker("StringNormalizer")
def string_normalizer(d):
    attributes = {"case_change_action": d.choice("LOWER", "UPPER", "NONE")} if d.chance(0.8) else {}
    if d.chance(0.5) and attributes.get("case_change_action", "NONE") != "NONE":
        attributes.update(stopwords=d.choice(["a"], ["Abc", "hello"], ["ABC"]), is_case_sensitive=d.integer(0, 1))
    words = np.array([d.choice("a", "b", "Abc", "hello", "HELLO", "x y", "1") for _ in range(d.integer(1, 9))], object)
    return d.op, [d.put(words if d.chance(0.6) else words[None])], 1, attributes


@maker("RegexFullMatch")
def regex(d):
    pattern = d.choice("a.*", "[a-z]+", "(?i)hello( world)?", "-?[0-9.]+", "", ".*l{2}.*", "a|b|ab", "[^ ]*")
    return d.op, [d.put(d.array(d.shape(ranks=(0, 3), high=9), "string"))], 1, {"pattern": pattern}


@maker("TfIdfVectorizer")
def tf_idf(d):
    d.special = False
    low, high = d.choice((1, 1), (1, 2), (2, 2))
    pool, counts, width = [1, 2, 3, 4, 2, 3, 5, 1, 4, 4], [0, 4], 7
    attributes = {
        "mode": d.choice("TF", "IDF", "TFIDF"),
        "min_gram_length": low,
        "max_gram_length": high,
        "max_skip_count": d.integer(0, 2),
        "ngram_counts": counts,
        "ngram_indexes": d.random.sample(range(width), width),
        "pool_int64s": pool,
    }
    if d.chance(0.5):
        attributes["weights"] = [float(d.integer(1, 5)) for _ in range(width)]
    return (
        d.op,
        [d.put(d.array(d.choice([d.integer(1, 9)], [2, d.integer(1, 9)]), d.choice("int32", "int64"), 1, 5))],
        1,
        attributes,
    )


# --- ai.onnx.ml ---

NUMBERS = ("float", "float", "double", "int64", "int32")


def rows(d, columns, type=None):
    return d.tensor([d.size(1, 17), columns], type or d.choice(*NUMBERS))


@maker("ArrayFeatureExtractor", domain="ai.onnx.ml")
def array_feature_extractor(d):
    columns = d.size(1, 17)
    of = d.numbers.randint(0, columns, (1, d.integer(1, 5))).astype(np.int64)
    return d.op, [rows(d, columns), d.put(of)], 1, {}


@maker("Binarizer", domain="ai.onnx.ml")
def binarizer(d):
    return d.op, [d.tensor(d.shape(ranks=(1, 3)), d.choice("float"))], 1, {"threshold": float(d.choice(0, 0.5, -1))}


@maker("Imputer", domain="ai.onnx.ml", special=False)
def imputer(d):
    columns = d.size(1, 9)
    type = d.choice("float", "int64")
    count = d.choice(1, columns)
    if type == "float":
        return (
            d.op,
            [rows(d, columns, type)],
            1,
            {"imputed_value_floats": [1.5] * count, "replaced_value_float": d.choice(0.5, float("nan"))},
        )
    return (
        d.op,
        [rows(d, columns, type)],
        1,
        {"imputed_value_int64s": [7] * count, "replaced_value_int64": d.integer(-2, 2)},
    )


@maker("LabelEncoder", domain="ai.onnx.ml")
def label_encoder(d):
    d.special = False
    d.version = max(d.version, 2)
    a, b = d.choice("string", "int64", "float"), d.choice("string", "int64", "float")
    if a == b == "float" or d.version == 2 and a == b:
        a, b = "int64", "string"
    keys = {"string": ["a", "Abc", "1"], "int64": [1, 2, -3], "float": [1.0, -2.0, 0.5]}
    attributes = {f"keys_{a}s": keys[a], f"values_{b}s": keys[b]}
    if d.chance(0.5):
        attributes[f"default_{b}"] = {"string": "?", "int64": 9, "float": 9.0}[b]
    return d.op, [d.put(d.array(d.shape(ranks=(1, 2), high=17), a))], 1, attributes


@maker("CategoryMapper", domain="ai.onnx.ml")
def category_mapper(d):
    d.special = False
    attributes = {
        "cats_strings": ["a", "Abc", "1"],
        "cats_int64s": [1, 2, -3],
        "default_int64": -7,
        "default_string": "?",
    }
    return d.op, [d.put(d.array(d.shape(ranks=(1, 2), high=17), d.choice("string", "int64")))], 1, attributes


@maker("LinearRegressor", domain="ai.onnx.ml", sums=True, special=False)
def linear_regressor(d):
    columns, targets = d.size(1, 17), d.integer(1, 3)
    attributes = {"coefficients": d.array([targets * columns], "float").tolist(), "targets": targets}
    if d.chance(0.6):
        attributes["intercepts"] = d.array([targets], "float").tolist()
    if d.chance(0.3) and targets > 1:  # of one target ONNX Runtime leaves it out
        attributes["post_transform"] = d.choice("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")
    return d.op, [rows(d, columns, "float")], 1, attributes


@maker("LinearClassifier", domain="ai.onnx.ml", sums=True, special=False)
def linear_classifier(d):
    columns, classes = d.size(1, 17), d.integer(2, 4)
    attributes = {
        "coefficients": d.array([classes * columns], "float").tolist(),
        "intercepts": d.array([classes], "float").tolist(),
    }
    labels = (
        {"classlabels_ints": list(range(3, 3 + classes))}
        if d.chance(0.5)
        else {"classlabels_strings": list("abcd")[:classes]}
    )
    attributes["post_transform"] = d.choice("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")
    return d.op, [rows(d, columns)], 2, dict(attributes, **labels)


@maker("Normalizer", domain="ai.onnx.ml", special=False)
def normalizer(d):
    return d.op, [rows(d, d.size(1, 17))], 1, {"norm": d.choice("MAX", "L1", "L2")}


@maker("OneHotEncoder", domain="ai.onnx.ml")
def one_hot_encoder(d):
    d.special = False
    type = d.choice("int64", "int32", "float", "double", "string")
    cats = {"cats_strings": ["a", "Abc", "1"]} if type == "string" else {"cats_int64s": [1, 2, -3, 0]}
    x = (
        d.put(d.array(d.shape(ranks=(1, 2), high=17), type))
        if type in ("string", "int64")
        else d.put(d.numbers.randint(-3, 4, (5, 1)).astype(dtype_of(type)))
    )
    return d.op, [x], 1, dict(cats, zeros=1)


@maker("Scaler", domain="ai.onnx.ml")
def scaler(d):
    columns = d.size(1, 17)
    count = d.choice(1, columns)
    return (
        d.op,
        [rows(d, columns)],
        1,
        {
            "offset": d.array([count], "float", -2, 2).tolist() if not d.special else [0.5] * count,
            "scale": [0.5] * count,
        },
    )


@maker("FeatureVectorizer", domain="ai.onnx.ml", special=False)
def feature_vectorizer(d):
    n, type = d.size(1, 9), d.choice("float", "int64", "double")
    columns = [d.integer(1, 5) for _ in range(d.integer(1, 3))]
    return d.op, [d.put(d.array([n, c], type)) for c in columns], 1, {"inputdimensions": columns}


@maker("SVMRegressor", domain="ai.onnx.ml", sums=True, special=False)
def svm_regressor(d):
    columns, n = d.size(1, 9), d.integer(1, 6)
    kernel = d.choice("LINEAR", "POLY", "RBF", "SIGMOID")
    attributes = {
        "kernel_type": kernel,
        "kernel_params": [0.3, 0.1, 2.0],
        "n_supports": n,
        "rho": [0.2],
        "coefficients": d.array([n], "float").tolist(),
        "support_vectors": d.array([n * columns], "float", -1, 1).tolist(),
    }
    return d.op, [d.tensor([d.size(1, 17), columns], "float", -1, 1)], 1, attributes


@maker("SVMClassifier", domain="ai.onnx.ml", sums=True, special=False)
def svm_classifier(d):
    columns, classes = d.size(1, 9), d.integer(2, 4)
    each = [d.integer(1, 3) for _ in range(classes)]
    n, pairs = sum(each), classes * (classes - 1) // 2
    attributes = {
        "kernel_type": d.choice("LINEAR", "POLY", "RBF", "SIGMOID"),
        "kernel_params": [0.3, 0.1, 2.0],
        "vectors_per_class": each,
        "rho": d.array([pairs], "float", -1, 1).tolist(),
        "classlabels_ints": list(range(classes)),
        "coefficients": d.array([n * (classes - 1)], "float").tolist(),
        "support_vectors": d.array([n * columns], "float", -1, 1).tolist(),
        "post_transform": d.choice("NONE", "SOFTMAX" if classes > 2 else "NONE", "LOGISTIC"),
    }
    if d.chance(0.4):
        attributes.update(prob_a=[-1.0] * pairs, prob_b=[0.1] * pairs)
    return d.op, [d.tensor([d.size(1, 17), columns], d.choice("float"), -1, 1)], 2, attributes


@maker("ZipMap", domain="ai.onnx.ml", special=False)
def zip_map(d):
    n = d.integer(2, 4)
    attributes = (
        {"classlabels_int64s": list(range(5, 5 + n))} if d.chance(0.5) else {"classlabels_strings": list("abcd")[:n]}
    )
    return d.op, [d.tensor([d.size(1, 9), n], "float")], 1, attributes


# --- optimizers ---


@maker("Adagrad", "Adam", "Momentum", domain="ai.onnx.preview.training", special=False)
def optimizer(d):
    type, shape = d.choice("float", "double"), d.shape(low=1)
    tensors = [d.tensor(shape, type, -1, 1), d.tensor(shape, type, -1, 1)]
    states = {"Adagrad": 1, "Adam": 2, "Momentum": 1}[d.op]
    tensors += [d.tensor(shape, type, 0.1, 1) for _ in range(states)]
    attributes = {"norm_coefficient": 0.01}
    if d.op == "Adagrad":
        attributes.update(epsilon=1e-5, decay_factor=0.1)
    elif d.op == "Adam":
        attributes.update(alpha=0.9, beta=0.99, epsilon=1e-5)
    else:
        attributes.update(alpha=0.9, beta=1.0, mode=d.choice("standard", "nesterov"))
    return d.op, [d.put(np.array(0.1, dtype_of(type))), d.ints(d.integer(0, 5)), *tensors], 1 + states, attributes
