"""How a net is copied and stored: by value, without a device, and without what only its last training needed.

Tensors are stored as bytes, so what was trained on a GPU loads without one. The rest is left to the pickler, so that
cloudpickle and joblib can ship networks whose class cannot be imported.
"""

from __future__ import annotations

import copy
import gc
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np
import skorch
import torch
from sklearn.exceptions import InconsistentVersionWarning
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sklkl._utils.tensor_bytes import tensor_bytes
from sklkl._utils.torch_state import usable

# A copy shares these with its origin and does not look into them.
_ATOMS = (type, ModuleType, FunctionType, CodeType, FrameType, str, bytes, int, float, np.ndarray)

Part = Tensor | torch.Generator


def parts_in(root: Any, kept: Iterable[int] = ()) -> Iterator[Part]:
    """Yield every tensor and generator that an object refers to, directly or not; ``kept`` are ids to pass over."""
    seen, todo = {id(root), *kept}, [root]
    while todo:
        item = todo.pop()
        if isinstance(item, Part):
            yield item
            continue
        new = [x for x in gc.get_referents(item) if not isinstance(x, _ATOMS) and id(x) not in seen]
        seen.update(map(id, new))
        todo += new


def copied(value: Any, memo: dict[int, Any], change: Callable[[Part], Any] | None = None) -> Any:
    """Return a deep copy.

    Parameters
    ----------
    value : object
        Anything.
    memo : dict
        What is to stand in the copy for objects, by their ids, as in :func:`copy.deepcopy`.
    change : callable or None
        What becomes of a tensor or generator; None copies it, also a tensor that is the result of a computation.
    """
    if change is None:
        tried = dict(memo)
        try:
            result = copy.deepcopy(value, tried)
        except RuntimeError:  # torch copies no tensor that is the result of a computation
            change = copied_part
        else:
            # deepcopy keeps alive under its memo's id what must not be freed, as another object would get the number
            alive = tried.pop(id(tried), [])
            memo.update(tried)
            memo.setdefault(id(memo), []).extend(alive)
            return result
    # what stands in for something else must not be looked into
    memo.update({id(part): change(part) for part in parts_in(value, kept=list(memo)) if id(part) not in memo})
    return copy.deepcopy(value, memo)


def copied_part(part: Part) -> Part:
    """Return a copy of a tensor or generator, where it is."""
    if isinstance(part, torch.Generator):
        return torch.Generator(part.device).set_state(part.get_state())
    return copy.deepcopy(part) if part.is_leaf else part.detach().clone()


class StoredTensor(Tensor):
    """A tensor that is pickled as its bytes; what is loaded is a tensor of the original kind."""

    original: Tensor

    def __reduce_ex__(self, protocol: Any) -> Any:
        part = self.original
        values = tensor_bytes(part)
        kind = (part.dtype, tuple(part.shape), part.requires_grad and part.is_leaf, isinstance(part, nn.Parameter))
        return _tensor, (values, *kind, str(part.device))


class StoredGenerator:
    """A generator that is pickled as the bytes of its state."""

    def __init__(self, generator: torch.Generator) -> None:
        self.state = generator.get_state().cpu().numpy()
        self.device = str(generator.device)

    def __reduce__(self) -> Any:
        return _generator, (self.state, self.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> StoredGenerator:
        # not what is loaded: a net within another one is made ready for storage once more
        return self


def stored(part: Part) -> Any:
    """Return what is to be pickled in place of a tensor or generator; a tensor of an unusual kind stays as it is."""
    if isinstance(part, torch.Generator):
        return StoredGenerator(part)
    if (
        type(part) not in (Tensor, nn.Parameter)
        or part.layout is not torch.strided
        or part.is_meta
        or part.is_quantized
    ):
        return part
    # a tensor, because those in whose place it is asked for its kind are
    result = Tensor._make_subclass(StoredTensor, part.detach())
    result.original = part
    return result


def _tensor(
    values: np.ndarray, dtype: torch.dtype, shape: tuple[int, ...], requires_grad: bool, parameter: bool, device: str
) -> Tensor:
    # in memory of torch's own, whose alignment decides the last digit of a prediction
    data = torch.empty(shape, dtype=dtype, device="cpu")
    data.reshape(-1).view(torch.uint8).numpy()[:] = values
    data = data if device == "cpu" else data.to(usable(device))
    return nn.Parameter(data, requires_grad) if parameter else data.requires_grad_(requires_grad)


def _generator(state: np.ndarray, device: str) -> torch.Generator:
    found = usable(device)
    generator = torch.Generator(found)
    if found.type == torch.device(device).type:
        return generator.set_state(torch.from_numpy(np.array(state)))
    return generator.manual_seed(int.from_bytes(state[:8].tobytes(), "little"))  # each kind of device has its own


def without_parametrizations(modules: Iterable[nn.Module]) -> list[tuple[nn.Module, list[str]]]:
    """Give layers that are parametrised, as by ``weight_norm``, back their class: torch makes theirs at run time.

    Returns
    -------
    list of pairs
        The layers, and the names of what is parametrised, for `parametrized_again`.
    """
    changed = []
    for layer in {id(layer): layer for module in modules for layer in module.modules()}.values():
        if parametrize.is_parametrized(layer):
            layer.__class__ = type(layer).__bases__[0]
            names: Any = layer.parametrizations
            changed.append((layer, list(names)))
    return changed


def parametrized_again(changed: list[tuple[nn.Module, list[str]]]) -> None:
    """Undo `without_parametrizations`."""
    for layer, names in changed:
        parametrize._inject_new_class(layer)
        for name in names:
            parametrize._inject_property(layer, name)


def versions() -> dict[str, str]:
    """Return the versions of what a stored net is made with, without a build's name."""
    found = {"sklkl": sys.modules["sklkl"].__version__, "skorch": skorch.__version__, "torch": torch.__version__}
    return {name: str(version).split("+")[0] for name, version in found.items()}


def warn_of_other_versions(owner: str, then: dict[str, str]) -> None:
    """Warn of what a stored net was made with, if that is not what is installed."""
    for name, now in versions().items():
        if then.get(name) != now:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=f"{owner} ({name})",
                    current_sklearn_version=now,
                    original_sklearn_version=then.get(name, "unknown"),
                ),
                stacklevel=3,
            )
