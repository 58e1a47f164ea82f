"""A network as a teacher."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from sklkl._utils.arrays import to_numpy
from sklkl._utils.checks import invalid_input
from sklkl._utils.validation import checked_array
from sklkl._utils.whole_numbers import check_whole_numbers
from sklkl.distillation._function_teacher import FunctionTeacher
from sklkl.modules import warn_of_probabilities

__all__ = ["ModuleTeacher"]


class ModuleTeacher(FunctionTeacher):
    """A network that returns logits, one a label for multilabel targets; a copy is used, in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        Network from inputs of shape (n_rows, ...) to logits of shape (n_rows, n_classes).

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklkl.distillation import ModuleTeacher
    >>> teacher = ModuleTeacher(torch.nn.Linear(3, 2))
    >>> teacher.predict_proba(np.zeros((1, 3), dtype="float32")).shape
    (1, 2)
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__(copy.deepcopy(module).eval())

    def _proba(self, X: Any, multilabel: bool) -> np.ndarray:
        parameter = next((p for p in self.function.parameters() if p.is_floating_point()), torch.empty(0))
        x = _numbers(X, parameter.dtype).to(parameter.device, parameter.dtype)
        try:
            with torch.no_grad():
                logits = self.function(x)
        except Exception as error:  # whatever a network makes of inputs that it was not written for
            found = f"{type(error).__name__}: {error}"
            raise invalid_input("teacher", found, f"a network that takes X, here of shape {tuple(x.shape)}") from error
        if not isinstance(logits, torch.Tensor):
            raise invalid_input("teacher", type(logits).__name__, "a network that returns a tensor of logits")
        if not multilabel:
            warn_of_probabilities(logits, "teacher")
        logits = logits.double()
        return (logits.sigmoid() if multilabel else logits.softmax(-1)).cpu().numpy()


def _numbers(X: Any, dtype: torch.dtype) -> torch.Tensor:
    """Return numbers of any type and layout, as a student takes them: a copy, which a network may write to."""
    numpy_dtype = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        values = checked_array(
            "X", to_numpy("X", X), accept_sparse=True, dtype=numpy_dtype, allow_nd=True, ensure_all_finite=False
        )
    check_whole_numbers(X, numpy_dtype)
    return torch.from_numpy(np.array(values.toarray() if hasattr(values, "toarray") else values, order="C"))
