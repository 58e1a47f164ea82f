"""A network as nodes of an ONNX graph: the built-in one, layer by layer, in either floating type, or one of torch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from torch import Tensor, nn

from sklkl._utils.optional import optional
from sklkl.io._onnx_export import export_nodes
from sklkl.modules import MLP, DenseScaling, Ensemble, SparseScaling
from sklkl.modules._input_scaling import BEND, FARTHEST

# ONNX's numbers of the types that are used here.
FLOAT, INT64, STRING, DOUBLE = 1, 7, 8, 11
_NUMPY_TYPES = {FLOAT: np.float32, DOUBLE: np.float64, INT64: np.int64}


class Graph:
    """What adds nodes and constants to a graph that skl2onnx is building.

    Parameters
    ----------
    scope, container : objects of skl2onnx
        The graph, and what makes names in it.
    dtype : int
        The floating type of constants: ``FLOAT`` or ``DOUBLE``.
    shape : sequence of int
        Shape of a row of the input, for networks of the user's own.
    """

    def __init__(self, scope: Any, container: Any, dtype: int, shape: Sequence[Any]) -> None:
        self.scope, self.container, self.dtype, self.shape = scope, container, dtype, shape
        self.scaled: dict[tuple[Any, ...], str] = {}

    def node(self, kind: str, inputs: Sequence[str], output: str | None = None, domain: str = "", **attrs: Any) -> str:
        """Add a node and return the name of its output."""
        output = output or self.scope.get_unique_variable_name(kind.lower())
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(kind, list(inputs), output, op_domain=domain, name=name, **attrs)
        return output

    def constant(self, values: Any, kind: int | None = None) -> str:
        """Add an array of a type, the graph's own by default, and return its name."""
        kind = kind or self.dtype
        array = np.asarray(values.detach().cpu().numpy() if isinstance(values, Tensor) else values)
        texts = kind == STRING
        content = [text.encode() for text in array] if texts else array.astype(_NUMPY_TYPES[kind]).ravel()
        name = self.scope.get_unique_variable_name("constant")
        self.container.add_initializer(name, kind, array.shape, content)
        return name

    def labels(self, classes: np.ndarray) -> str:
        """Add labels, texts or whole numbers."""
        return self.constant(classes, STRING if isinstance(classes[0], str) else INT64)

    def numbers(self, name: str, values: np.ndarray) -> dict[str, Any]:
        """Return an attribute of trees that has numbers of the graph's floating type."""
        if self.dtype == FLOAT:
            return {name: values.ravel().astype(np.float32).tolist()}
        from_array: Any = optional("onnx.numpy_helper", "onnx").from_array
        return {f"{name}_as_tensor": from_array(values.ravel().astype(np.float64))}

    def cast(self, name: str, kind: int, output: str | None = None) -> str:
        """Add a conversion to another type."""
        return self.node("Cast", [name], output, to=kind)

    def network(self, module: nn.Module, x: str) -> str:
        """Add a network and return the name of its logits, or, of an ensemble's, of the mean of the probabilities."""
        if isinstance(module, Ensemble):
            logits = [self.network(member, x) for member in module.members]
            proba = [self.proba(name, module.multilabel) for name in logits]
            return self._mean(proba)
        if not isinstance(module, MLP):
            return export_nodes(self.scope, self.container, module, x, self.shape)
        for layer in module:
            x = self._layer(layer, x)
        return x

    def _mean(self, names: list[str]) -> str:
        # not by one node for all: onnxruntime has that in float32 only
        total = reduce(lambda before, name: self.node("Add", [before, name]), names)
        return self.node("Mul", [total, self.constant(1 / len(names))])

    def proba(self, logits: str, multilabel: bool) -> str:
        """Add what makes probabilities of logits."""
        return self.node("Sigmoid", [logits]) if multilabel else self.node("Softmax", [logits], axis=-1)

    def _layer(self, layer: nn.Module, x: str) -> str:
        if isinstance(layer, (DenseScaling, SparseScaling)):
            return self._scaling(layer, x)
        if isinstance(layer, nn.Linear):
            return self.node("Gemm", [x, self.constant(layer.weight), self.constant(layer.bias)], transB=1)
        make = _ACTIVATIONS.get(type(layer))
        return x if make is None else make(self, x)  # without one is dropout, which predicts nothing else

    def _scaling(self, layer: DenseScaling | SparseScaling, x: str) -> str:
        """Add the scaling of inputs; members that have the same share it."""
        key = (x, *(values.cpu().numpy().tobytes() for values in layer.buffers()))
        if key not in self.scaled:
            add = _dense_scaling if isinstance(layer, DenseScaling) else _sparse_scaling
            self.scaled[key] = add(self, layer, x)  # type: ignore[arg-type]
        return self.scaled[key]


# Scalings


def _dense_scaling(graph: Graph, layer: DenseScaling, x: str) -> str:
    centred = graph.node("Sub", [x, graph.constant(layer.center)])
    scaled = _bounded(graph, graph.node("Mul", [centred, graph.constant(layer.inverse_scale)]))
    clipped = _clipped(graph, scaled)
    if not len(layer.ranked):
        return clipped
    ranked = graph.node("Gather", [scaled, graph.constant(layer.ranked, INT64)], axis=1)
    scores = _normal_scores(graph, layer, ranked)
    return graph.node("Concat", [clipped, scores, *_steps(graph, layer, scores)], axis=1)


def _sparse_scaling(graph: Graph, layer: SparseScaling, x: str) -> str:
    scaled = _bounded(graph, graph.node("Mul", [x, graph.constant(layer.factor)]))
    return graph.node("Div", [_clipped(graph, scaled), graph.constant(layer.length)])


def _bounded(graph: Graph, x: str, farthest: float = FARTHEST) -> str:
    return graph.node("Max", [graph.node("Min", [x, graph.constant(farthest)]), graph.constant(-farthest)])


def _clipped(graph: Graph, x: str) -> str:
    square = graph.node("Mul", [graph.node("Mul", [x, x]), graph.constant(BEND**-2)])
    return graph.node("Div", [x, graph.node("Sqrt", [graph.node("Add", [square, graph.constant(1.0)])])])


def _normal_scores(graph: Graph, layer: DenseScaling, x: str) -> str:
    """Add the piecewise linear view: trees find the piece of each value, tables have its line.

    A line is given by its value at the knot before, as a large intercept would cost digits.
    """
    knots, intercepts, slopes = (b.double().cpu().numpy() for b in (layer.knots, layer.intercepts, layer.slopes))
    starts = intercepts + slopes * knots[:, :-1]
    low, high = graph.constant(knots[:, 0]), graph.constant(knots[:, -1])
    x = graph.node("Min", [graph.node("Max", [x, low]), high])
    n_columns, n_pieces = slopes.shape
    first = graph.constant(np.arange(n_columns) * n_pieces, INT64)
    place = graph.node("Add", [graph.cast(_pieces(graph, knots[:, 1:-1], x), INT64), first])
    tables = (graph.constant(values.ravel()) for values in (slopes, knots[:, :-1], starts))
    slope, knot, start = (graph.node("Gather", [table, place]) for table in tables)
    return graph.node("Add", [graph.node("Mul", [slope, graph.node("Sub", [x, knot])]), start])


def _steps(graph: Graph, layer: DenseScaling, scores: str) -> list[str]:
    """Add the view of steps: of each step the columns that have one."""
    steps = layer.steps.tolist()
    return [_bounded(graph, graph.node("Sub", [scores, graph.constant(step)]), 1.0) for step in steps]


def _pieces(graph: Graph, knots: np.ndarray, x: str) -> str:
    """Add a search for the number of knots below each value, in each column its own, of shape (n_columns, n_knots).

    ONNX has no such search but in trees: one for each column, whose leaves are numbers of knots.
    """
    n_trees, tree = len(knots), _search_tree(knots.shape[1])
    of_tree = np.repeat(np.arange(n_trees), len(tree["node"]))
    is_leaf, number = tree["is_leaf"], tree["number"]
    inner = np.where(is_leaf, 0, number)
    thresholds = np.where(is_leaf, 0, knots[:, np.minimum(inner, max(knots.shape[1] - 1, 0))]) if knots.size else 0.0
    leaves, of_leaf = np.flatnonzero(is_leaf), np.repeat(np.arange(n_trees), is_leaf.sum())
    return graph.node(
        "TreeEnsembleRegressor",
        [x],
        domain="ai.onnx.ml",
        op_version=1 if graph.dtype == FLOAT else 3,
        n_targets=n_trees,
        nodes_treeids=of_tree.tolist(),
        nodes_featureids=of_tree.tolist(),
        nodes_nodeids=np.tile(tree["node"], n_trees).tolist(),
        nodes_modes=np.tile(np.where(is_leaf, "LEAF", "BRANCH_LEQ"), n_trees).tolist(),
        nodes_truenodeids=np.tile(tree["true"], n_trees).tolist(),
        nodes_falsenodeids=np.tile(tree["false"], n_trees).tolist(),
        target_treeids=of_leaf.tolist(),
        target_ids=of_leaf.tolist(),
        target_nodeids=np.tile(leaves, n_trees).tolist(),
        **graph.numbers("nodes_values", np.broadcast_to(thresholds, (n_trees, len(is_leaf)))),
        **graph.numbers("target_weights", np.tile(number[is_leaf], n_trees)),
    )


def _search_tree(n_knots: int) -> dict[str, np.ndarray]:
    """Return the nodes of a balanced tree that counts the knots below a value."""
    nodes: list[list[int]] = []

    def add(low: int, high: int) -> int:
        node, middle = len(nodes), (low + high) // 2
        nodes.append([node, low == high, middle, 0, 0])
        if low < high:
            nodes[node][3:] = [add(low, middle), add(middle + 1, high)]
        return node

    add(0, n_knots)
    node, is_leaf, number, true, false = np.array(nodes).T
    return {"node": node, "is_leaf": is_leaf.astype(bool), "number": number, "true": true, "false": false}


# Activations, of operators that every runtime has in both floating types


def _elu(graph: Graph, x: str) -> str:
    below = graph.node("Exp", [graph.node("Min", [x, graph.constant(0.0)])])
    return graph.node("Add", [graph.node("Relu", [x]), graph.node("Sub", [below, graph.constant(1.0)])])


def _gelu(graph: Graph, x: str) -> str:
    scaled = graph.node("Mul", [x, graph.constant(math.sqrt(0.5))])
    erf = graph.node("Erf", [scaled]) if graph.dtype == FLOAT else _erf_in_float(graph, scaled)
    share = graph.node("Mul", [graph.node("Add", [erf, graph.constant(1.0)]), graph.constant(0.5)])
    return graph.node("Mul", [x, share])


def _erf_in_float(graph: Graph, x: str) -> str:
    return graph.cast(graph.node("Erf", [graph.cast(x, FLOAT)]), DOUBLE)


def _silu(graph: Graph, x: str) -> str:
    # not by a sigmoid, which some versions of onnxruntime fuse with the product and then lack in float64
    growth = graph.node("Exp", [graph.node("Neg", [x])])
    return graph.node("Div", [x, graph.node("Add", [growth, graph.constant(1.0)])])


def _leaky_relu(graph: Graph, x: str) -> str:
    return graph.node("Max", [x, graph.node("Mul", [x, graph.constant(0.01)])])


_ACTIVATIONS: dict[type[nn.Module], Callable[[Graph, str], str]] = {
    nn.ELU: _elu,
    nn.GELU: _gelu,
    nn.LeakyReLU: _leaky_relu,
    nn.ReLU: lambda graph, x: graph.node("Relu", [x]),
    nn.SiLU: _silu,
    nn.Sigmoid: lambda graph, x: graph.node("Sigmoid", [x]),
    nn.Tanh: lambda graph, x: graph.node("Tanh", [x]),
}
