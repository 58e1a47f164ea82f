"""Converters of this package's classifiers for skl2onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklkl._fit.prediction import NetClassifier
from sklkl._utils.optional import optional
from sklkl.classifier import KLClassifier
from sklkl.distiller import Distiller
from sklkl.model_selection import StackedGridSearchCV, StackedRandomizedSearchCV
from sklkl.modules import MLP, is_built_in, uncompiled
from sklkl.net import members_of

__all__ = ["register_onnx_converters"]

_NUMBERS = ("Float", "Double", "Int64", "Int32", "Int8", "UInt8", "Boolean")
_OPTIONS = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]}


def register_onnx_converters() -> None:
    """Tell skl2onnx how to convert this package's classifiers; to be called once, before ``skl2onnx.to_onnx``.

    After that pipelines, searches and other estimators of scikit-learn that skl2onnx knows convert with a
    :class:`sklkl.KLClassifier`, a :class:`sklkl.Distiller` or a stacked search in them. The graph gives what
    ``predict`` and ``predict_proba`` of a fitted one give, of any number of rows at once; the scaling of inputs and the
    softmax (for multilabel targets the sigmoid) are in it. It computes in the floating type of its input, or in float64
    if the network is of that. A network of your own is exported by torch, if it can export it (without control flow, in
    the network's own floating type), which needs torch 2.9 and onnxscript.

    The options of skl2onnx's own classifiers are ``zipmap``, ``nocl`` and ``output_class_labels``.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklkl import KLClassifier
    >>> from sklkl.io import register_onnx_converters
    >>> X, y = load_iris(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), KLClassifier(max_epochs=20))
    >>> pipeline = pipeline.fit(X, y)
    >>> register_onnx_converters()
    >>> row = X[:1].astype("float32")
    >>> graph = to_onnx(pipeline, row, options={"zipmap": False})
    >>> [output.name for output in graph.graph.output]
    ['label', 'probabilities']
    """
    register = optional("skl2onnx", "onnx").update_registered_converter
    register(KLClassifier, "SklklKLClassifier", _shapes, _convert, options=_OPTIONS)
    for kind, fitted in _MADE_OF.items():
        parser, convert = _parser(fitted), _conversion(fitted)
        register(kind, f"Sklkl{kind.__name__}", _any_shapes, convert, parser=parser, options="passthrough")


# What stands for an estimator in the graph, by the name of its attribute.
_MADE_OF: dict[type[Any], str] = {
    Distiller: "student_",
    StackedGridSearchCV: "best_estimator_",
    StackedRandomizedSearchCV: "best_estimator_",
}


def _parser(fitted: str) -> Any:
    """Return what reads, in place of an estimator, the one that it has fitted."""
    parse = optional("skl2onnx._parse", "onnx").parse_sklearn

    def parser(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        model_in_place, options = getattr(model, fitted), scope.get_options(model)
        if options:
            scope.add_options(id(_final(model_in_place)), options)
        return parse(scope, model_in_place, inputs, custom_parsers=custom_parsers)

    return parser


def _final(model: Any) -> Any:
    return _final(model.steps[-1][1]) if isinstance(model, Pipeline) else model


def _any_shapes(operator: Any) -> None:
    """Leave the outputs to the estimator that was fitted."""


def _conversion(fitted: str) -> Any:
    """Return what converts, in place of an estimator within a vote or another one, that which it has fitted."""
    parse = optional("skl2onnx._parse", "onnx").parse_sklearn

    def convert(scope: Any, operator: Any, container: Any) -> None:
        model = getattr(operator.raw_operator, fitted)
        scope.add_options(id(_final(model)), {"zipmap": False})  # who asks for it in here wants arrays
        for found, wanted in zip(parse(scope, model, operator.inputs), operator.outputs, strict=True):
            found.init_status(is_leaf=False)  # it is no output of the graph
            container.add_node("Identity", found.full_name, wanted.full_name, name=scope.get_unique_operator_name("Id"))

    return convert


def _shapes(operator: Any) -> None:
    """Set types and shapes of the outputs: labels, and probabilities in the floating type of the input."""
    check_is_fitted(operator.raw_operator)
    model, types = operator.raw_operator, optional("skl2onnx.common.data_types", "onnx")
    _check(model, operator, types)
    n_rows, n_classes = operator.inputs[0].get_first_dimension(), len(model.classes_)
    shape = [n_rows, n_classes] if model.net_.multilabel else [n_rows]
    of_texts = isinstance(_classes(operator)[0], str) and not model.net_.multilabel
    operator.outputs[0].set_type((types.StringTensorType if of_texts else types.Int64TensorType)(shape))
    operator.outputs[1].type.shape = [n_rows, n_classes]


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of a fitted classifier."""
    from sklkl.io._onnx_graph import DOUBLE, FLOAT, INT64, Graph

    model = operator.raw_operator
    net, module, types = model.net_, uncompiled(model.module_), optional("skl2onnx.common.data_types", "onnx")
    of_double = isinstance(operator.inputs[0].type, types.DoubleTensorType)
    wide = (of_double and is_built_in(module)) or next(module.parameters()).dtype == torch.float64
    graph = Graph(scope, container, DOUBLE if wide else FLOAT, operator.inputs[0].type.shape[1:])
    try:
        logits = graph.network(module, graph.cast(operator.inputs[0].full_name, graph.dtype))
    except RuntimeError as error:
        owner = f"The 'module' of {type(model).__name__}, {_name(module)}, does not convert"
        raise RuntimeError(f"{owner}. {error}") from error
    proba = logits if hasattr(net, "members_") else graph.proba(logits, net.multilabel)
    label, proba_output = (output.full_name for output in operator.outputs)
    graph.cast(proba, DOUBLE if of_double else FLOAT, proba_output)
    if net.multilabel:
        graph.cast(graph.node("Greater", [proba, graph.constant(0.5)]), INT64, label)
    else:
        place = graph.node("ArgMax", [proba], axis=1, keepdims=0)
        graph.node("Gather", [graph.labels(_classes(operator)), place], label)


def _classes(operator: Any) -> np.ndarray:
    """Return the labels that the graph gives, by skl2onnx's rules: with the option ``nocl`` their numbers."""
    get: Any = optional("skl2onnx.common.utils_classifier", "onnx").get_label_classes
    return np.asarray(get(operator.scope_inst, operator.raw_operator))


def _check(model: NetClassifier, operator: Any, types: Any) -> None:
    """Raise a RuntimeError, as skl2onnx does, for what cannot be in a graph."""
    name = type(model).__name__
    networks: list[Any] = [uncompiled(net.module_) for net in members_of(model.net_)]
    if any(type(network) is MLP and not network.is_as_made() for network in networks):
        raise RuntimeError(f"The built-in network of {name} was changed since it was made; it does not convert.")
    kinds = tuple(getattr(types, f"{kind}TensorType") for kind in _NUMBERS)
    if len(operator.inputs) != 1 or not isinstance(operator.inputs[0].type, kinds):
        found = [type(variable.type).__name__ for variable in operator.inputs]
        raise RuntimeError(f"{name} converts with one input, a table of numbers. Got {found}.")
    if not isinstance(model.classes_[0], (str, int, np.integer, np.bool_)) and not _are_whole(model.classes_):
        raise RuntimeError(
            f"{name} converts with labels that are texts, whole numbers or booleans, the types that a graph has. Got "
            f"{model.classes_[:3]}."
        )


def _name(module: Any) -> str:
    networks = {type(network).__name__ for network in getattr(module, "members", [module])}
    return " and ".join(sorted(networks))


def _are_whole(classes: np.ndarray) -> bool:
    return classes.dtype.kind == "f" and bool((classes == classes.astype(np.int64)).all())
