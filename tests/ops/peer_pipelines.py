#!/usr/bin/env python3
"""Pipelines of scikit-learn, XGBoost, LightGBM and CatBoost as their converters write them (ai.onnx.ml): what Hone
makes of new rows is what the Python original says of them.

    peer_pipelines.py HONE [PATTERN]    HONE is the command; of the cases only those whose name has PATTERN in it

Labels are equal, numbers within 1e-5 (relative to the largest, if that is above 1). Where a converter itself deviates
from its original, ONNX Runtime has the word, and the case says what the converter does instead (`judge`). What is not
installed is left out, and named. The last line is "N passed, N failed"; the exit status is 1 if any failed, 77 without
scikit-learn or its converter."""

import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np

try:
    import onnx
    import onnxruntime
    import skl2onnx
    import sklearn
except ImportError as missing:
    print(missing)
    sys.exit(77)
from skl2onnx.common.data_types import (DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType,
                                        guess_tensor_type)
from sklearn import (calibration, cluster, compose, decomposition, discriminant_analysis, ensemble, feature_extraction,
                     feature_selection, gaussian_process, impute, linear_model, mixture, multiclass, multioutput,
                     naive_bayes, neighbors, neural_network, pipeline, preprocessing, svm, tree)

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(4)
BOUND = 1e-5
OPSET = {"": 21, "ai.onnx.ml": 3}
random = np.random.RandomState(7)


# skl2onnx gives lists with NumPy's integers and truth values in them, which onnx no longer takes.
plain_attribute = onnx.helper.make_attribute


def make_attribute(key, value, *rest, **more):
    if isinstance(value, list):
        value = [int(v) if isinstance(v, (bool, np.bool_, np.integer)) else v for v in value]
    return plain_attribute(key, value, *rest, **more)


onnx.helper.make_attribute = make_attribute


# --- data ---

def rows(count, features=6, dtype=np.float32):
    return random.randn(count, features).astype(dtype)


def classes(x, count):
    """Classes that features tell apart, with some noise."""
    score = x[:, 0] * 1.5 + x[:, 1] * x[:, 2] + 0.3 * np.sin(3 * x[:, 3]) + 0.2 * random.randn(len(x))
    return np.digitize(score, np.quantile(score, np.arange(1, count) / count))


X, NEW = rows(240), rows(60)
TWO, THREE = classes(X, 2), classes(X, 3)
WORDS = np.array(["low", "mid", "high"])[THREE]
NUMBERS = X[:, 0] * 2 - X[:, 1] * X[:, 2] + 0.1 * random.randn(len(X))
HOLES, NEW_HOLES = X.copy(), NEW.copy()
HOLES[random.rand(*X.shape) < 0.15] = np.nan
NEW_HOLES[random.rand(*NEW.shape) < 0.15] = np.nan
COUNTS, NEW_COUNTS = (random.poisson(3, (n, 6)).astype(np.float32) for n in (240, 60))
CITIES = np.array(["Oslo", "Rom", "Łódź", "東京"])[random.randint(0, 4, (240, 2))].astype(object)
NEW_CITIES = np.array(["Oslo", "Rom", "Łódź", "東京"])[random.randint(0, 4, (60, 2))].astype(object)
TEXTS = [" ".join(random.choice("the an cat dog runs sleeps fast red blue house".split(), 8)) for _ in range(120)]


# --- one case ---

class Case:
    """A model, its inputs, and what its outputs are by the original: arrays, or a list of maps. `judge`: what the
    converter does otherwise."""

    def __init__(self, model, feeds, want, judge=None):
        self.model, self.feeds, self.want, self.judge = model, feeds, want, judge


def type_of(array):
    kinds = {np.float32: FloatTensorType, np.float64: DoubleTensorType, np.int64: Int64TensorType}
    return (StringTensorType if array.dtype == object else kinds[array.dtype.type])([None, array.shape[1]])


def convert(estimator, new, options=None, opset=None):
    feeds = new if isinstance(new, dict) else {"X": new}
    proto = skl2onnx.convert_sklearn(estimator, "pipeline", [(k, type_of(v)) for k, v in feeds.items()],
                                     options={id(estimator): options} if options else None,
                                     target_opset=opset or OPSET)
    return proto.SerializeToString(), feeds


def classifier(estimator, x=X, y=THREE, new=NEW, zipmap=False, raw=False, judge=None, scores=True, options=None):
    estimator.fit(x, y)
    if options is None:
        options = {"zipmap": zipmap, **({"raw_scores": True} if raw else {})} if scores else None
    model, feeds = convert(estimator, new, options)
    want = [estimator.predict(new)]
    if scores:
        score = estimator.decision_function(new) if raw else estimator.predict_proba(new)
        if score.ndim == 1:
            score = np.stack([-score, score], 1)
        want.append(zipped(estimator.classes_, score) if zipmap else score)
    return Case(model, feeds, want, judge)


def zipped(keys, scores):
    return [{str(k): float(v) for k, v in zip(keys, row)} for row in scores]


def regressor(estimator, x=X, y=NUMBERS, new=NEW, options=None, judge=None):
    estimator.fit(x, y)
    model, feeds = convert(estimator, new, options)
    return Case(model, feeds, [estimator.predict(new)], judge)


def transformer(estimator, x=X, new=NEW, y=None, options=None, judge=None):
    estimator.fit(x, y)
    model, feeds = convert(estimator, new, options)
    want = estimator.transform(new)
    return Case(model, feeds, [want.toarray() if hasattr(want, "toarray") else want], judge)


# --- running and comparing ---

def run_hone(hone, c, directory):
    (directory / "m.onnx").write_bytes(c.model)
    command = [hone, "run", str(directory / "m.onnx")]
    for name, value in c.feeds.items():
        if value.dtype == object:
            value = value.astype("U")
        np.save(directory / f"{name}.npy", value)
        command += ["--input", f"{name}=@{directory / name}.npy"]
    outputs = [(o.name, "npy" if o.type.HasField("tensor_type") else "json")
               for o in onnx.load_from_string(c.model).graph.output]
    for i, (name, kind) in enumerate(outputs):
        command += ["--output", f"{name}=@{directory / str(i)}.{kind}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr.strip())
    got = []
    for i, (_, kind) in enumerate(outputs):
        path = directory / f"{i}.{kind}"
        got.append(json.loads(path.read_text()) if kind == "json" else np.load(path))
    return got


def difference(got, want):
    """None, or what is not as wanted."""
    if isinstance(want, list) and want and isinstance(want[0], dict):
        if [list(m) for m in got] != [list(map(str, m)) for m in want]:
            return f"keys {list(got[0])}, not {list(want[0])}"
        got, want = (np.array([list(m.values()) for m in maps]) for maps in (got, want))
    want = np.asarray(want)
    got = np.asarray(got)
    if got.size != want.size:
        return f"shape {got.shape}, not {want.shape}"
    got = got.reshape(want.shape)
    if want.dtype.kind in "OUS":
        got = np.char.decode(got, "utf-8") if got.dtype.kind == "S" else got.astype("U")
        wrong = got != want.astype("U")
    elif want.dtype.kind in "iub" and got.dtype.kind in "iub":
        wrong = got != want
    else:
        got, want = got.astype(np.float64), want.astype(np.float64)
        largest = max(1.0, np.max(np.abs(want[np.isfinite(want)]), initial=0))
        wrong = ~((np.abs(got - want) <= BOUND * largest) | (np.isnan(got) & np.isnan(want)) | (got == want))
    if not wrong.any():
        return None
    at = np.argwhere(wrong)[0]
    return f"{wrong.sum()} of {wrong.size} differ: at {tuple(map(int, at))} {got[tuple(at)]}, not {want[tuple(at)]}"


def check(hone, c, directory):
    got = run_hone(hone, c, directory)
    want = c.want if not c.judge else onnxruntime.InferenceSession(c.model).run(None, c.feeds)
    for i, (g, w) in enumerate(zip(got, want)):
        wrong = difference(g, w)
        if wrong:
            raise AssertionError(f"output {i}: {wrong}")
    if c.judge and not any(difference(g, w) for g, w in zip(got, c.want)):
        raise AssertionError(f"agrees with the original, although {c.judge}")


# --- the cases ---

DOUBLE, NEW_DOUBLE = X.astype(np.float64), NEW.astype(np.float64)
COLUMNS = {"city": CITIES[:, :1], "shop": CITIES[:, 1:], "age": X[:, :1], "income": X[:, 1:3]}
NEW_COLUMNS = {"city": NEW_CITIES[:, :1], "shop": NEW_CITIES[:, 1:], "age": NEW[:, :1], "income": NEW[:, 1:3]}


def logistic(**settings):
    return linear_model.LogisticRegression(max_iter=300, **settings)


def forest(kind=ensemble.RandomForestClassifier, **settings):
    return kind(n_estimators=12, max_depth=6, random_state=0, **settings)


def mixed(last):
    """Columns of strings and of numbers, each with its own steps; the names are those of inputs."""
    steps = compose.ColumnTransformer([
        ("city", preprocessing.OneHotEncoder(handle_unknown="ignore"), [0, 1]),
        ("age", pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler()), [2]),
        ("income", preprocessing.RobustScaler(), [3, 4])])
    return pipeline.make_pipeline(steps, last)


def mixed_case(last, zipmap):
    train = np.concatenate([CITIES, X[:, :3].astype(object)], 1)
    new = np.concatenate([NEW_CITIES, NEW[:, :3].astype(object)], 1)
    p = mixed(last).fit(train, WORDS)
    feeds = {"places": NEW_CITIES, "numbers": NEW[:, :3]}
    model, _ = convert(p, feeds, {"zipmap": zipmap})
    score = p.predict_proba(new)
    return Case(model, feeds, [p.predict(new), zipped(p.classes_, score) if zipmap else score])


def text_case(vectorizer):
    x = np.array(TEXTS, object)
    p = pipeline.make_pipeline(vectorizer, naive_bayes.MultinomialNB()).fit(x, np.arange(len(x)) % 3)
    feeds = {"text": x[:40, None]}
    model, _ = convert(p, feeds, {"zipmap": False})
    return Case(model, feeds, [p.predict(x[:40]), p.predict_proba(x[:40])])


def voting(**settings):
    return ensemble.VotingClassifier([("a", logistic()), ("b", naive_bayes.GaussianNB()), ("c", forest())], **settings)


def stacking():
    return ensemble.StackingClassifier([("a", logistic()), ("b", forest())], final_estimator=logistic(), cv=3)


def gaussian(kernel=None, **settings):
    return gaussian_process.GaussianProcessRegressor(kernel, alpha=1e-2, optimizer=None, **settings)


RBF = gaussian_process.kernels.RBF
Constant, Dot = gaussian_process.kernels.ConstantKernel, gaussian_process.kernels.DotProduct
ALIKE = "all neighbours weigh alike"
SKLEARN = {
    # linear models
    "LogisticRegression": lambda: classifier(logistic()),
    "LogisticRegression, two": lambda: classifier(logistic(), y=TWO),
    "LogisticRegression, words, maps": lambda: classifier(logistic(), y=WORDS, zipmap=True),
    "LogisticRegression, raw": lambda: classifier(logistic(), raw=True),
    "LinearSVC": lambda: classifier(svm.LinearSVC(random_state=0), raw=True, options={"raw_scores": True}),
    "LinearSVC, two": lambda: classifier(svm.LinearSVC(random_state=0), y=TWO, raw=True, options={"raw_scores": True}),
    "SGDClassifier": lambda: classifier(linear_model.SGDClassifier(loss="log_loss", random_state=0), y=WORDS),
    "RidgeClassifier": lambda: classifier(linear_model.RidgeClassifier(), raw=True),
    "Perceptron": lambda: classifier(linear_model.Perceptron(random_state=0), raw=True),
    "LinearDiscriminantAnalysis": lambda: classifier(discriminant_analysis.LinearDiscriminantAnalysis()),
    "QuadraticDiscriminantAnalysis": lambda: classifier(discriminant_analysis.QuadraticDiscriminantAnalysis()),
    "LinearRegression": lambda: regressor(linear_model.LinearRegression()),
    "Ridge, two targets, double":
        lambda: regressor(linear_model.Ridge(), DOUBLE, np.stack([NUMBERS, -NUMBERS], 1), NEW_DOUBLE),
    "ElasticNet": lambda: regressor(linear_model.ElasticNet(0.1)),
    "PoissonRegressor": lambda: regressor(linear_model.PoissonRegressor(), y=np.exp(NUMBERS / 4)),
    # support vectors
    "SVC rbf, probabilities": lambda: classifier(svm.SVC(probability=True, random_state=0), y=WORDS),
    "SVC rbf, probabilities, two": lambda: classifier(svm.SVC(probability=True, random_state=0), y=TWO),
    "SVC poly, probabilities, double":
        lambda: classifier(svm.SVC(kernel="poly", probability=True, random_state=0), DOUBLE, THREE, NEW_DOUBLE),
    "SVC rbf, raw": lambda: classifier(svm.SVC(), raw=True),
    "SVC sigmoid, two, raw": lambda: classifier(svm.SVC(kernel="sigmoid"), y=TWO, raw=True),
    "NuSVC": lambda: classifier(svm.NuSVC(probability=True, random_state=0)),
    "NuSVR": lambda: regressor(svm.NuSVR()),
    "SVR linear": lambda: regressor(svm.SVR(kernel="linear")),
    "OneClassSVM": lambda: regressor(svm.OneClassSVM(), y=None),
    # neighbours
    "KNeighborsClassifier": lambda: classifier(neighbors.KNeighborsClassifier()),
    "KNeighborsClassifier, weighted, words":
        lambda: classifier(neighbors.KNeighborsClassifier(weights="distance"), y=WORDS, judge=ALIKE),
    "KNeighborsRegressor": lambda: regressor(neighbors.KNeighborsRegressor()),
    "KNeighborsRegressor, weighted, Manhattan":
        lambda: regressor(neighbors.KNeighborsRegressor(weights="distance", metric="manhattan"), judge=ALIKE),
    "KNeighborsRegressor, double": lambda: regressor(neighbors.KNeighborsRegressor(), DOUBLE, NUMBERS, NEW_DOUBLE),
    "KNNImputer": lambda: transformer(impute.KNNImputer(), HOLES, NEW_HOLES),
    # trees
    "DecisionTreeClassifier": lambda: classifier(tree.DecisionTreeClassifier(max_depth=8, random_state=0)),
    "DecisionTreeRegressor": lambda: regressor(tree.DecisionTreeRegressor(max_depth=8, random_state=0)),
    "RandomForestClassifier": lambda: classifier(forest()),
    "RandomForestClassifier, two, words, maps": lambda: classifier(forest(), y=np.where(TWO, "yes", "no"), zipmap=True),
    "RandomForestClassifier, double": lambda: classifier(forest(), DOUBLE, THREE, NEW_DOUBLE),
    "RandomForestClassifier, maps, double": lambda: classifier(forest(), DOUBLE, WORDS, NEW_DOUBLE, zipmap=True),
    "RandomForestRegressor": lambda: regressor(forest(ensemble.RandomForestRegressor)),
    "RandomForestRegressor, two targets":
        lambda: regressor(forest(ensemble.RandomForestRegressor), y=np.stack([NUMBERS, -NUMBERS], 1)),
    "RandomForestClassifier, holes": lambda: classifier(forest(), HOLES, THREE, NEW_HOLES, judge="NaNs all go one way"),
    "ExtraTreesClassifier": lambda: classifier(forest(ensemble.ExtraTreesClassifier), y=WORDS),
    "ExtraTreesRegressor": lambda: regressor(forest(ensemble.ExtraTreesRegressor)),
    "GradientBoostingClassifier":
        lambda: classifier(ensemble.GradientBoostingClassifier(n_estimators=15, random_state=0)),
    "GradientBoostingClassifier, two, maps":
        lambda: classifier(ensemble.GradientBoostingClassifier(n_estimators=15, random_state=0), y=TWO, zipmap=True),
    "GradientBoostingRegressor": lambda: regressor(ensemble.GradientBoostingRegressor(n_estimators=15, random_state=0)),
    "HistGradientBoostingClassifier, holes":
        lambda: classifier(ensemble.HistGradientBoostingClassifier(max_iter=12), HOLES, THREE, NEW_HOLES),
    "HistGradientBoostingClassifier, two":
        lambda: classifier(ensemble.HistGradientBoostingClassifier(max_iter=12), y=TWO),
    "HistGradientBoostingRegressor": lambda: regressor(ensemble.HistGradientBoostingRegressor(max_iter=12)),
    "AdaBoostClassifier": lambda: classifier(ensemble.AdaBoostClassifier(n_estimators=8, random_state=0)),
    "AdaBoostRegressor": lambda: regressor(ensemble.AdaBoostRegressor(n_estimators=8, random_state=0)),
    "BaggingClassifier": lambda: classifier(ensemble.BaggingClassifier(n_estimators=4, random_state=0)),
    "IsolationForest": lambda: isolation(X, NEW),
    # others
    "MLPClassifier": lambda: classifier(neural_network.MLPClassifier((8, 8), max_iter=80, random_state=0), y=WORDS),
    "MLPRegressor":
        lambda: regressor(neural_network.MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", max_iter=80)),
    "GaussianNB": lambda: classifier(naive_bayes.GaussianNB(), zipmap=True),
    "MultinomialNB": lambda: classifier(naive_bayes.MultinomialNB(), COUNTS, WORDS, NEW_COUNTS),
    "BernoulliNB": lambda: classifier(naive_bayes.BernoulliNB(), COUNTS, THREE, NEW_COUNTS),
    "ComplementNB": lambda: classifier(naive_bayes.ComplementNB(), COUNTS, THREE, NEW_COUNTS),
    "KMeans": lambda: groups(cluster.KMeans(4, n_init=2, random_state=0)),
    "GaussianMixture": lambda: mixture_case(),
    "GaussianProcessRegressor": lambda: regressor(gaussian(RBF(1.5)), DOUBLE, NUMBERS, NEW_DOUBLE),
    "GaussianProcessRegressor, product of kernels":
        lambda: regressor(gaussian(Constant(2.0) * RBF(2.0) + Dot()), DOUBLE, NUMBERS, NEW_DOUBLE),
    "CalibratedClassifierCV, sigmoid":
        lambda: classifier(calibration.CalibratedClassifierCV(svm.LinearSVC(random_state=0), cv=2)),
    "CalibratedClassifierCV, isotonic":
        lambda: classifier(calibration.CalibratedClassifierCV(naive_bayes.GaussianNB(), method="isotonic", cv=2),
                           y=TWO, judge="the nearest step is taken, not a point between two"),
    "VotingClassifier, soft": lambda: classifier(voting(voting="soft", flatten_transform=False)),
    "VotingClassifier, hard, words": lambda: classifier(voting(flatten_transform=False), y=WORDS, scores=False),
    "VotingRegressor":
        lambda: regressor(ensemble.VotingRegressor([("a", linear_model.Ridge()),
                                                    ("b", forest(ensemble.RandomForestRegressor))])),
    "StackingClassifier": lambda: classifier(stacking()),
    "StackingClassifier, words, maps": lambda: classifier(stacking(), y=WORDS, zipmap=True),
    "OneVsRestClassifier": lambda: classifier(multiclass.OneVsRestClassifier(logistic())),
    "OneVsOneClassifier": lambda: classifier(multiclass.OneVsOneClassifier(logistic()), scores=False),
    "MultiOutputRegressor":
        lambda: regressor(multioutput.MultiOutputRegressor(linear_model.Ridge()), y=np.stack([NUMBERS, -NUMBERS], 1)),
    # what comes before
    "PCA": lambda: transformer(decomposition.PCA(3, whiten=True)),
    "TruncatedSVD": lambda: transformer(decomposition.TruncatedSVD(3, random_state=0)),
    "IncrementalPCA, double": lambda: transformer(decomposition.IncrementalPCA(3), DOUBLE, NEW_DOUBLE),
    "KernelPCA": lambda: transformer(decomposition.KernelPCA(3, kernel="rbf"), DOUBLE, NEW_DOUBLE),
    "StandardScaler": lambda: transformer(preprocessing.StandardScaler()),
    "StandardScaler, double": lambda: transformer(preprocessing.StandardScaler(), DOUBLE, NEW_DOUBLE),
    "MinMaxScaler, clipped": lambda: transformer(preprocessing.MinMaxScaler(clip=True)),
    "MaxAbsScaler": lambda: transformer(preprocessing.MaxAbsScaler()),
    "RobustScaler": lambda: transformer(preprocessing.RobustScaler()),
    "Normalizer L1": lambda: transformer(preprocessing.Normalizer("l1")),
    "Normalizer L2, double": lambda: transformer(preprocessing.Normalizer("l2"), DOUBLE, NEW_DOUBLE),
    "Normalizer max":
        lambda: transformer(preprocessing.Normalizer("max"), judge="the largest divides, not the largest absolute"),
    "Binarizer": lambda: transformer(preprocessing.Binarizer(threshold=0.2)),
    "KBinsDiscretizer":
        lambda: transformer(preprocessing.KBinsDiscretizer(4, encode="onehot-dense", strategy="uniform")),
    "PowerTransformer": lambda: transformer(preprocessing.PowerTransformer()),
    "PolynomialFeatures": lambda: transformer(preprocessing.PolynomialFeatures(3, interaction_only=False)),
    "SimpleImputer": lambda: transformer(impute.SimpleImputer(strategy="median"), HOLES, NEW_HOLES),
    "SimpleImputer, strings":
        lambda: transformer(impute.SimpleImputer(missing_values="Rom", strategy="most_frequent"), CITIES, NEW_CITIES),
    "OneHotEncoder, strings": lambda: transformer(preprocessing.OneHotEncoder(), CITIES, NEW_CITIES),
    "OneHotEncoder, integers, dropped":
        lambda: transformer(preprocessing.OneHotEncoder(drop="first"), COUNTS.astype(np.int64) % 4,
                            NEW_COUNTS.astype(np.int64) % 4),
    "OrdinalEncoder": lambda: transformer(preprocessing.OrdinalEncoder(), CITIES, NEW_CITIES),
    "SelectKBest": lambda: transformer(feature_selection.SelectKBest(k=3), y=THREE),
    "ColumnTransformer of strings": lambda: mixed_case(logistic(), False),
    "ColumnTransformer of strings, trees, maps": lambda: mixed_case(forest(), True),
    "CountVectorizer": lambda: text_case(feature_extraction.text.CountVectorizer()),
    "TfidfVectorizer, two words": lambda: text_case(feature_extraction.text.TfidfVectorizer(ngram_range=(1, 2))),
    "scaled, reduced, classified":
        lambda: classifier(pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(4), forest()),
                           y=WORDS, zipmap=True),
}


def isolation(x, new):
    e = ensemble.IsolationForest(n_estimators=10, random_state=0).fit(x)
    model, feeds = convert(e, new)
    return Case(model, feeds, [e.predict(new), e.decision_function(new)])


def groups(e):
    e.fit(X)
    model, feeds = convert(e, NEW)
    return Case(model, feeds, [e.predict(NEW), e.transform(NEW)])


def mixture_case():
    e = mixture.GaussianMixture(3, random_state=0).fit(X)
    model, feeds = convert(e, NEW)
    return Case(model, feeds, [e.predict(NEW), e.predict_proba(NEW)])


# --- boosted trees of other packages ---

def tools(convert_with, model, new, **settings):
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType as Floats
    proto = getattr(onnxmltools, convert_with)(model, initial_types=[("X", Floats([None, new.shape[1]]))],
                                               target_opset=15, **settings)
    return proto.SerializeToString(), {"X": new}


def xgboost_cases():
    import xgboost

    def make(kind, x, y, new, **settings):
        m = kind(n_estimators=12, max_depth=4, random_state=0, **settings)
        m.fit(x, y)
        model, feeds = tools("convert_xgboost", m, new)
        want = [m.predict(new)]
        return Case(model, feeds, want + [m.predict_proba(new)] if hasattr(m, "predict_proba") else want)

    return {
        "XGBClassifier, two": lambda: make(xgboost.XGBClassifier, X, TWO, NEW),
        "XGBClassifier, holes": lambda: make(xgboost.XGBClassifier, HOLES, TWO, NEW_HOLES),
        "XGBClassifier": lambda: make(xgboost.XGBClassifier, X, THREE, NEW),
        "XGBRFClassifier": lambda: make(xgboost.XGBRFClassifier, X, TWO, NEW),
        "XGBRegressor": lambda: make(xgboost.XGBRegressor, X, NUMBERS, NEW),
        "XGBRegressor, holes": lambda: make(xgboost.XGBRegressor, HOLES, NUMBERS, NEW_HOLES),
        "XGBRegressor, Poisson":
            lambda: make(xgboost.XGBRegressor, X, np.exp(NUMBERS / 4), NEW, objective="count:poisson"),
    }


def lightgbm_cases():
    import lightgbm

    def make(kind, x, y, new, zipmap=False, categories="auto", judge=None, **settings):
        m = kind(n_estimators=12, num_leaves=15, random_state=0, verbose=-1, min_child_samples=5, **settings)
        m.fit(x, y, categorical_feature=categories)
        is_classifier = hasattr(m, "predict_proba")
        model, feeds = tools("convert_lightgbm", m, new, **({"zipmap": zipmap} if is_classifier else {}))
        want = [m.predict(new)]
        if is_classifier:
            score = m.predict_proba(new)
            want.append(zipped(m.classes_, score) if zipmap else score)
        return Case(model, feeds, want, judge)

    coded, new_coded = X.copy(), NEW.copy()
    coded[:, 4], new_coded[:, 4] = COUNTS[:, 0], NEW_COUNTS[:, 0] % 9
    target = NUMBERS + np.array([0, 5, -2, 3, 1, -4, 6, 2, 0, 1] * 3)[coded[:, 4].astype(int)]
    return {
        "LGBMClassifier, two": lambda: make(lightgbm.LGBMClassifier, X, TWO, NEW),
        "LGBMClassifier, words, maps": lambda: make(lightgbm.LGBMClassifier, X, WORDS, NEW, zipmap=True),
        "LGBMClassifier, holes": lambda: make(lightgbm.LGBMClassifier, HOLES, THREE, NEW_HOLES),
        "LGBMRegressor": lambda: make(lightgbm.LGBMRegressor, X, NUMBERS, NEW),
        "LGBMRegressor, holes": lambda: make(lightgbm.LGBMRegressor, HOLES, NUMBERS, NEW_HOLES),
        "LGBMRegressor, categories": lambda: make(lightgbm.LGBMRegressor, coded, target, new_coded, categories=[4]),
        "LGBMClassifier, forest":
            lambda: make(lightgbm.LGBMClassifier, X, TWO, NEW, boosting_type="rf", subsample=0.7, subsample_freq=1,
                         judge="averages are taken for probabilities"),
    }


def catboost_cases():
    import catboost

    def make(kind, y, x=X, new=NEW):
        m = kind(iterations=12, depth=4, verbose=False, random_seed=0, allow_writing_files=False).fit(x, y)
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            m.save_model(file.name, format="onnx")
            model = pathlib.Path(file.name).read_bytes()
        want = [np.asarray(m.predict(new)).reshape(-1)]
        if hasattr(m, "predict_proba"):
            want.append(zipped(m.classes_, m.predict_proba(new)))
        return Case(model, {"features": new}, want)

    return {
        "CatBoostClassifier, two": lambda: make(catboost.CatBoostClassifier, TWO),
        "CatBoostClassifier": lambda: make(catboost.CatBoostClassifier, THREE),
        "CatBoostClassifier, words": lambda: make(catboost.CatBoostClassifier, WORDS),
        "CatBoostRegressor": lambda: make(catboost.CatBoostRegressor, NUMBERS),
        "CatBoostRegressor, holes": lambda: make(catboost.CatBoostRegressor, NUMBERS, HOLES, NEW_HOLES),
    }


def all_cases():
    yield from SKLEARN.items()
    for make in (xgboost_cases, lightgbm_cases, catboost_cases):
        try:
            yield from make().items()
        except ImportError as missing:
            print(f"left out: {make.__name__}: {missing}")


def main():
    hone, pattern = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    passed = failed = 0
    for name, make in all_cases():
        if pattern not in name or not make:
            continue
        try:
            with tempfile.TemporaryDirectory() as directory:
                check(hone, make(), pathlib.Path(directory))
            passed += 1
        except Exception as wrong:
            failed += 1
            print(f"FAILED: {name}: {str(wrong)[:300] or type(wrong).__name__}")
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
