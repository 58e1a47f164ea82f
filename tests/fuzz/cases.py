"""Random cases: what is done with this package, from a seed. Most of it is ordinary, some is odd, some is wrong."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklkl import Distiller, KLClassifier, KLNet, divergences, feature_selection, metrics
from sklkl.drift import DensityRatioWeighter, DriftDetector
from sklkl.modules import MLP
from sklkl.preprocessing import DivergenceKernel, DivergenceToPrototypes, ProbaDivergence

from .draws import ARRAYS, INF, N_CLASSES, N_FEATURES, NAN, VALUES, Draw, contained, converted, inputs, labels, weights
from .judge import assert_numbers, assert_predicts
from .parts import COUNTS, NUMBERS, TEACHERS, classifier, predictions, value_of


@dataclass
class Case:
    """What is done, in words and as a function; what is given, which must stay as it is."""

    act: Callable[[], Any]
    words: list[str]
    given: list[Any] = field(default_factory=list)
    foreign: bool = False  # whether models of the user's own may fail in their own words


def fit_predict(estimator, X, *fit_args, **fit_params):
    """Fit and predict; an error leaves an estimator as it was, a fit leaves its parameters as they were."""
    before, params = dict(vars(estimator)), estimator.get_params(deep=False)
    try:
        estimator.fit(X, *fit_args, **fit_params)
    except Exception:
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[name] is value for name, value in before.items())
        raise
    assert all(estimator.get_params(deep=False)[name] is value for name, value in params.items())
    assert_predicts(estimator, X)


def fit(d):
    clf, foreign = classifier(d)
    X, n_rows = inputs(d)
    y, weight = labels(d, n_rows), weights(d, n_rows)
    more = {}
    if not foreign and d.chance(0.15):
        more["teacher_proba"] = predictions(d)
    if d.chance(0.4 if foreign else 0.04):
        d.words.append("X_unlabeled")
        more["X_unlabeled"] = inputs(d)[0]
    return Case(partial(fit_predict, clf, X, y, weight, **more), d.words, d.given, foreign)


def predict(d):
    clf, foreign = classifier(d, teacher=0, n_params=1)
    X = d.random.standard_normal((36, N_FEATURES))
    new = inputs(d, odd=0.6)[0]

    def act():
        clf.fit(X, np.arange(36) % N_CLASSES)
        assert_predicts(clf, new)

    return Case(act, d.words, d.given, foreign)


def stream(d):
    clf, foreign = classifier(d, teacher=0.1, n_params=2)
    batches = []
    for _ in range(3):
        X, n_rows = inputs(d, odd=0.1)
        batches.append((X, labels(d, n_rows, 0.08), weights(d, n_rows, 0.1)))
    some = {"known": range(3), "none": None, "fewer": [0, 1], "texts": ["a", "b"], "twice": [0, 0, 1, 2], "empty": []}
    some |= {"NaN": [0, 1, NAN], "number": 3, "None inside": [None, 1], "ragged": [[0], [1, 2]], "mixed": ["a", 1]}
    classes = d.odd(some, "classes: ", 0.3)

    def act():
        if not hasattr(clf, "partial_fit"):  # as with a teacher that is not fitted
            return
        for X, y, weight in batches:
            clf.partial_fit(X, y, classes, weight)
            assert_predicts(clf, X)

    return Case(act, d.words, d.given, foreign)


def refit(d):
    """Two fits, the second perhaps resumed from the first, or started from its weights."""
    clf, foreign = classifier(d, teacher=0.1, n_params=2)
    data = [(X, labels(d, n_rows, 0.1)) for X, n_rows in (inputs(d, odd=0.1) for _ in range(2))]
    frozen = d.chance(0.5)
    d.words.append("init_from" if frozen else "warm_start")

    def act():
        fit_predict(clf.set_params(warm_start=not frozen), *data[0])
        second = KLClassifier((4,), max_epochs=1, init_from=FrozenEstimator(clf)) if frozen else clf
        second.fit(*data[1])
        assert_predicts(second, data[1][0])

    return Case(act, d.words, d.given, foreign)


def distil(d):
    student, _ = classifier(d, teacher=0.02, n_params=1)
    if d.chance(0.4):
        d.words.append("a pipeline")
        student = make_pipeline(d.odd({"scaled": StandardScaler(), "as it is": FunctionTransformer()}), student)
    report = d.odd({"no report": None, "report": 0.3, **{str(value): value for value in NUMBERS}}, "report: ")
    distiller = Distiller(student, d.keep(d.one(TEACHERS, "teacher: ")()), report_fraction=report, random_state=0)
    X, n_rows = inputs(d, odd=0.15)
    more = {"X_unlabeled": inputs(d)[0]} if d.chance(0.2) else {}
    act = partial(fit_predict, distiller, X, labels(d, n_rows, 0.15), weights(d, n_rows, 0.15), **more)
    return Case(act, d.words, d.given, foreign=True)


def net(d):
    names = ("kl_penalty", "kl_strength", "learning_rate", "kl_target")
    params = {name: value_of(d, name) for name in names if d.chance(0.5)}
    net = KLNet(MLP, module__n_features=N_FEATURES, module__n_classes=N_CLASSES, max_epochs=2, verbose=0, **params)
    X = d.odd(VALUES, "X: ")(d.random.standard_normal((36, N_FEATURES)))
    X, y = d.keep(converted(X, ARRAYS["f4"])), np.arange(36) % N_CLASSES

    def act():
        assert np.shape(net.fit(X, y).predict_proba(X)) == (36, N_CLASSES)

    return Case(act, d.words, d.given)


SPLITS = [2, None, 100, [([0], [99])], [([0], [1])], [(0, 1)], [3], "a"]
FAMILIES = ["bernoulli", "poisson", "exponential", "laplace", "diagonal_gaussian", "gaussian", "dirichlet"]


def transform(d):
    numbers = {"1.0": 1.0, "median": "median", **{str(value): value for value in NUMBERS}}
    metric = d.odd({name: name for name in ("js", *divergences.DIVERGENCES, "cosine")}, "metric: ", 0.7)
    transformer = d.one(
        {
            "kernel": lambda: DivergenceKernel(metric, gamma=d.odd(numbers, "gamma: ")),
            "prototypes": lambda: DivergenceToPrototypes(metric, smoothing=d.odd(numbers, "smoothing: ")),
            "prior_count": lambda: DivergenceToPrototypes(prior_count=d.odd(numbers, "prior_count: ")),
            "proba": lambda: ProbaDivergence(GaussianNB(), divergence=metric, smoothing=d.odd(numbers, "smoothing: ")),
            "templates": lambda: ProbaDivergence(GaussianNB(), reference="templates", cv=d.one(SPLITS)),
            "weighter": lambda: DensityRatioWeighter(GaussianNB(), n_centers=d.one(COUNTS), random_state=0),
        }
    )()
    X, n_rows = inputs(d)
    y = labels(d, n_rows)
    X = d.keep(np.abs(X)) if isinstance(X, np.ndarray) and X.dtype.kind in "fi" and d.chance(0.9) else X

    def act():
        if isinstance(transformer, DensityRatioWeighter):
            transformer.fit(X, y, X_target=X).predict(X)
        else:
            found = transformer.fit(X, y).transform(X)
            assert isinstance(transformer, ProbaDivergence) or not np.isnan(found).any()

    return Case(act, d.words, d.given, foreign=isinstance(transformer, (ProbaDivergence, DensityRatioWeighter)))


def detect(d):
    params = {
        "statistic": ["psi", "js", "kl", "ks"],
        "null": ["permutation", "asymptotic", "other"],
        "n_bins": COUNTS,
        "pseudo_count": NUMBERS,
        "alpha": NUMBERS,
        "correction": ["holm", "fdr_bh", None, "other"],
        "categorical_features": ["from_dtype", None, [0], ["x1"], [True], [-9], "x1", [0.5], 0, [[0]], [None]],
        "bin_edges": [None, {0: [0.0, 1.0]}, {0: [1, 0]}, {9: [0]}, {0: "a"}, {0: [NAN]}, {0: []}, [0], {"x1": [0]}],
        "max_categories": COUNTS,
        "min_statistic": NUMBERS,
        "random_state": [1, None, -1, "a", 1.5, np.random.default_rng(0), np.random.RandomState],
    }
    chosen = {name: d.one(values, f"{name}=") for name, values in params.items() if d.chance(0.12)}
    detector = DriftDetector(n_permutations=d.odd({str(n): n for n in (20, *COUNTS)}), **{"random_state": 0, **chosen})
    X, Z = inputs(d)[0], inputs(d)[0]

    def act():
        report = detector.fit(X).detect(Z)
        assert_numbers(report.statistic, low=-1e-9)
        assert ((report.p_value >= 0) & (report.p_value <= 1)).all()

    return Case(act, d.words, d.given)


def score(d):
    n_rows, y = 36, labels(d, 36)
    proba = d.one({"even": None, "teacher": predictions}) or (lambda d: np.full((36, N_CLASSES), 1 / N_CLASSES))
    names = ["mean_kl_divergence", "mean_js_divergence", "d2_kl_score", "prior_shift_kl", "calibration_kl"]
    function = getattr(metrics, d.one(names))
    params = {"smoothing": NUMBERS, "labels": [range(3), [0, 1], ["a"], None, 3, [[0]], [0, 0, 1]]}
    chosen = {name: d.one(values, f"{name}=") for name, values in params.items() if d.chance(0.2)}
    given, weight = proba(d), weights(d, n_rows)

    def act():
        found = function(y, given, sample_weight=weight, **chosen)
        assert not np.isnan(found) or {"teacher_proba: times nan", "teacher_proba: None inside"} & set(d.words)

    return Case(act, d.words, d.given)


def select(d):
    function = getattr(feature_selection, d.one(feature_selection.__all__))
    X, n_rows = inputs(d)
    y = labels(d, n_rows)
    params = {"discrete_features": ["auto", True, False, [0], [True], ["x1"], [9], "x1", None, [0.5], [[0]]]}
    params |= {"n_bins": COUNTS, "pseudo_count": NUMBERS}
    chosen = {name: d.one(values, f"{name}=") for name, values in params.items() if d.chance(0.2)}
    return Case(lambda: assert_numbers(function(X, y, **chosen), low=-1e-9), d.words, d.given)


def diverge(d):
    """A divergence of distributions, of hostile numbers."""
    name = d.one([*divergences.DIVERGENCES, "entropy", "cross_entropy", "kl_to_uniform", "pairwise"])
    P, Q = (d.keep(contained(d, hostile(d), 0.15)) for _ in range(2))
    params = {"smoothing": NUMBERS, "base": NUMBERS, "normalize": [True, False], "from_": ["logits", "log_probs", 3]}
    params |= {"alpha": NUMBERS} if name in ("renyi", "tsallis", "alpha") else {}
    params |= {} if name == "pairwise" else {"axis": [0, 1, -1, 5, None, "a", (0, 1), 1.0], "keepdims": [True]}
    chosen = {key: d.one(values, f"{key}=") for key, values in params.items() if d.chance(0.2)}
    if name == "pairwise":
        function = divergences.pairwise_divergence
    else:
        function = divergences.DIVERGENCES[name] if name in divergences.DIVERGENCES else getattr(divergences, name)
    args = (P,) if name in ("entropy", "kl_to_uniform") else (P, Q)
    return Case(lambda: function(*args, **chosen), d.words, d.given)


def hostile(d):
    p = d.random.dirichlet(np.ones(N_CLASSES), size=d.odd({"5": 5, "none": 0, "one": 1}))
    change = d.odd(
        {
            "rows": lambda p: p,
            "one row": lambda p: p[0],
            "extreme": lambda p: p**200 / (p**200).sum(axis=1, keepdims=True),
            "zeros": lambda p: np.eye(N_CLASSES)[: len(p)],
            "other columns": lambda p: p[:, 1:],
            "no columns": lambda p: p[:, :0],
            "cube": lambda p: p[None],
            **{f"times {factor}": lambda p, f=factor: p * f for factor in (0, 3, -1, 1e-300, 1e300, NAN, INF)},
        },
        "p: ",
    )
    return change(p) if len(p) else p


def estimate(d):
    """A divergence of two samples."""
    names = ("knn_kl_divergence", "histogram_divergence", "population_stability_index", "classifier_kl_divergence")
    name = d.one(names)
    number = name in names[1:3]
    X, Y = (inputs(d)[0] for _ in range(2))
    X, Y = (Z[:, 0] if number and isinstance(Z, np.ndarray) and Z.ndim == 2 and Z.size else Z for Z in (X, Y))
    params = {"random_state": [1, None, -1, "a", 1.5], "confidence_level": [None, 0.9, 1, 0, "a", NAN]}
    params |= {"bins": [*COUNTS, [0.0], [1, 0], [], [NAN], "auto"], "pseudo_count": NUMBERS} if number else {}
    params |= {"categorical": [True, False, "a"]} if number else {}
    params |= {"k": COUNTS} if name == names[0] else {}
    chosen = {key: d.one(values, f"{key}=") for key, values in params.items() if d.chance(0.2)}
    few = {"n_resamples": 9} | ({"n_permutations": 9} if name == names[2] else {})
    function = getattr(divergences, name)
    return Case(lambda: function(X, Y, **few, **{"random_state": 0, **chosen}), d.words, d.given, name == names[3])


def closed_form(d):
    function = getattr(divergences, d.one(FAMILIES) + "_kl")
    args = []
    for _ in inspect.signature(function).parameters:
        values = d.odd(VALUES, "", 0.4)(np.abs(d.random.standard_normal((3, 3))))
        args.append(d.keep(contained(d, values, 0.15)))
    return Case(lambda: function(*args), d.words, d.given)


KINDS = {
    fit: 0.5,
    predict: 0.08,
    stream: 0.08,
    refit: 0.05,
    distil: 0.05,
    net: 0.03,
    transform: 0.04,
    detect: 0.03,
    score: 0.03,
    select: 0.02,
    diverge: 0.04,
    estimate: 0.03,
    closed_form: 0.02,
}


def draw(seed):
    """Return the case of a seed."""
    d = Draw(seed)
    kind = d.random.choice(list(KINDS), p=list(KINDS.values()))
    d.words.append(kind.__name__)
    return kind(d)
