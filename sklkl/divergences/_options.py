"""The keyword arguments all divergences share: their defaults, their checks, and the way from arrays to rows."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, TypeVar

from array_api_compat import is_numpy_array

from sklkl._utils.checks import check_choice, check_number, invalid
from sklkl.divergences._arrays import align, in_blocks, rounding, widened
from sklkl.divergences._core import Array, Namespace, np, scalar
from sklkl.divergences._pair import Pair, pair_from_log_probs, pair_from_logits, pair_from_probs
from sklkl.divergences._signatures import From

_PAIRS = {"probs": pair_from_probs, "log_probs": pair_from_log_probs, "logits": pair_from_logits}

INPUTS = """Parameters
    ----------
    p, q : array of shape (..., K)
        Reference and approximation, one distribution per row; broadcast against each other. NumPy, PyTorch or any
        array API library; lists follow the other input or become NumPy arrays, integers become floats."""

INPUT = """Parameters
    ----------
    p : array of shape (..., K)
        One distribution per row; any array library, as in `kl_divergence`."""

OPTIONS = """axis : int, default=-1
        Axis along which a distribution lies; all inputs need the same length there.
    keepdims : bool, default=False
        Keep `axis` with length one.
    base : float, optional
        Unit of the result: 2 gives bits; nats by default. Refused by divergences that are numbers without a unit.
    normalize : bool, default=False
        Divide each row by its sum first.
    from_ : {"probs", "log_probs", "logits"}, default="probs"
        What the inputs hold. ``-inf`` as logarithm or logit is probability 0.
    smoothing : float, default=0.0
        Share of the uniform distribution mixed into each row, in [0, 1].

    Returns
    -------
    array of shape (...)
        One value per row, of one NumPy row a scalar; NaN where an input is NaN or a probability is negative.

    Raises
    ------
    ValueError
        If an option is outside its range, or the lengths along `axis` differ.
    TypeError
        If the inputs are complex or come from different array libraries."""

Kernel = Callable[[Callable[..., Array], bool], Callable[..., Array]]
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Options:
    """Values of the shared keyword arguments, checked; `OPTIONS` describes them."""

    axis: int = -1
    keepdims: bool = False
    base: float | None = None
    normalize: bool = False
    from_: From = "probs"
    smoothing: float = 0.0

    def __new__(cls, **given: object) -> "Options":
        for name in given.keys() - cls.__dataclass_fields__.keys():
            allowed = ", ".join(cls.__dataclass_fields__)
            raise TypeError(f"There is no keyword argument {name!r}; those of all divergences are {allowed}.")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if not hasattr(self.axis, "__index__"):
            raise invalid("axis", self.axis, "one integer")
        if self.base is not None and not (isinstance(self.base, Real) and 0 < self.base < math.inf and self.base != 1):
            raise invalid("base", self.base, "None or a finite number > 0 other than 1")
        check_choice("from_", self.from_, _PAIRS)
        check_number("smoothing", self.smoothing, "a number in [0, 1]", high=1.0)

    def without_unit(self, name: str) -> "Options":
        """Return these options for a divergence that has no unit, hence takes no `base`."""
        if self.base is not None:
            raise invalid("base", self.base, "None, because the result is a number without a unit", name)
        return self

    def rows(self, function: Callable[..., Array], *arrays: Array, kernel: Kernel | None = None) -> Array:
        """Return ``function(pair, ...)`` of the first array paired with each of the others, row by row.

        `kernel(definition, normalize)` makes its in-place replacement for NumPy probabilities along the last axis.
        """
        xp, arrays, axis = align(arrays, self.axis)
        tolerance, dtype = rounding(xp, arrays[0]), arrays[0].dtype

        def definition(*block: Array) -> Array:
            first, *others = widened(xp, *block)
            values = function(*(self.pair(xp, axis, first, other, tolerance) for other in others))
            return xp.astype(values, dtype, copy=False)

        work = kernel(definition, self.normalize) if kernel and self._plain(arrays[0], axis) else definition
        with np.errstate(all="ignore"):  # zeros, infinities and NaN are handled where they arise
            values = in_blocks(xp, work, arrays, axis)
        values = values if self.base is None else values / math.log(self.base)
        return values if self.keepdims else scalar(xp.squeeze(values, axis=axis))

    def _plain(self, x: Array, axis: int) -> bool:
        return self.from_ == "probs" and not self.smoothing and is_numpy_array(x) and axis == x.ndim - 1 > 0

    def pair(self, xp: Namespace, axis: int, p: Array, q: Array, tolerance: float | None = None) -> Pair:
        """Return `p` beside `q` as these options say they are to be read; `tolerance` is that of `Pair`."""
        if self.from_ == "log_probs" and self.normalize:
            pair = pair_from_logits(xp, axis, p, q)  # logarithms of unnormalised measures are logits
        elif self.normalize and self.from_ == "probs":
            pair = pair_from_probs(xp, axis, normalized(xp, p, axis), normalized(xp, q, axis))
            pair.normalized = True
        else:
            pair = _PAIRS[self.from_](xp, axis, p, q)
        pair.tolerance = tolerance
        return pair.smoothed(self.smoothing) if self.smoothing else pair


def normalized(xp: Namespace, x: Array, axis: int) -> Array:
    """Return `x` divided by its sums along `axis`."""
    return x / xp.sum(x, axis=axis, keepdims=True)


def document(function: Function) -> Function:
    """Fill the shared descriptions into a docstring and show the shared keywords in the signature."""
    for name, text in (("{inputs}", INPUTS), ("{input}", INPUT), ("{options}", OPTIONS)):
        function.__doc__ = (function.__doc__ or "").replace(name, text)
    own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    shared = [inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default) for f in fields(Options)]
    function.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return function
