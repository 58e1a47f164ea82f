"""Networks of the user's own in a graph: torch's exporter makes one of them, whose nodes are taken over."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from sklkl._utils.optional import optional


def export_nodes(scope: Any, container: Any, module: nn.Module, x: str, shape: Sequence[Any]) -> str:
    """Add the nodes of a network to a graph that skl2onnx is building, and return the name of its output.

    Parameters
    ----------
    scope, container : objects of skl2onnx
        The graph, and what makes names in it.
    module : torch.nn.Module
        A network in evaluation mode.
    x : str
        Name of its input, of the network's floating type.
    shape : sequence of int
        Shape of a row.

    Raises
    ------
    RuntimeError
        If torch cannot export the network, or it has control flow.
    """
    graph = _exported(module, shape, container.target_opset)
    names = {graph.input[0].name: x}
    for tensor in graph.initializer:
        names[tensor.name] = scope.get_unique_variable_name("weight")
        renamed = type(tensor)()
        renamed.CopyFrom(tensor)
        renamed.name = names[tensor.name]
        container.initializers.append(renamed)
    for node in graph.node:
        _add(scope, container, node, names)
    return names[graph.output[0].name]


def _add(scope: Any, container: Any, node: Any, names: dict[str, str]) -> None:
    """Add a node of another graph, whose inputs have names in this one already."""
    onnx = optional("onnx", "onnx")
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    if any(isinstance(value, onnx.GraphProto) for value in attributes.values()):
        raise RuntimeError(f"It has control flow ({node.op_type}), which cannot be taken over into another graph.")
    names |= {name: scope.get_unique_variable_name(node.op_type.lower()) for name in node.output if name}
    since = onnx.defs.get_schema(node.op_type, container.target_opset, node.domain).since_version
    container.add_node(
        node.op_type,
        [names.get(name, "") for name in node.input],
        [names.get(name, "") for name in node.output],
        op_domain=node.domain,
        op_version=since,
        name=scope.get_unique_operator_name(node.op_type),
        **attributes,
    )


def _exported(module: nn.Module, shape: Sequence[Any], opset: int) -> Any:
    """Return the graph of a network that takes any number of rows of this shape."""
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 9):
        raise RuntimeError(f"It needs torch 2.9 or newer to be exported. Got {torch.__version__}.")
    optional("onnxscript", "onnx")
    if not all(isinstance(size, (int, np.integer)) for size in shape):
        raise RuntimeError(f"The graph's input must have a known number of columns. Got rows of shape {list(shape)}.")
    like = next(module.parameters())
    example = torch.zeros(2, *map(int, shape), dtype=like.dtype)
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                copy.deepcopy(module).cpu().eval(),
                (example,),
                dynamo=True,
                opset_version=opset,
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                verbose=False,
            )
    except Exception as error:  # whatever torch says of a network that it cannot export
        raise RuntimeError(f"torch.onnx.export says {type(error).__name__}: {error}") from error
    if program.model_proto.functions:
        raise RuntimeError("Its graph has functions, which cannot be taken over into another graph.")
    return program.model_proto.graph


@contextmanager
def _quiet() -> Iterator[None]:
    """Context without what torch's exporter says of itself: nobody who converts a pipeline can change that."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
