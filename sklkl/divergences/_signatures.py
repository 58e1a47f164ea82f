"""What the public functions take and give, for type checkers: NumPy's arrays and lists give NumPy's, others their own.

Of one row NumPy's result is a scalar, `numpy.floating`, which has an array's methods and is declared as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar, Unpack, cast, overload

import numpy as np

from sklkl.divergences._core import Array

__all__ = ["AnyDivergence", "From", "Keywords", "NumpyLike", "Other", "divergence", "of_one", "of_order", "of_several"]

From: TypeAlias = Literal["probs", "log_probs", "logits"]

# What becomes a NumPy array where no array of another library is beside it.
NumpyLike: TypeAlias = np.ndarray | np.generic | float | Sequence[Any]


class _DLPack(Protocol):
    """Arrays of other libraries, PyTorch's among them: all that know DLPack, the way between array libraries."""

    def __dlpack_device__(self) -> Any: ...


Other = TypeVar("Other", bound=_DLPack)


class Keywords(TypedDict, total=False):
    """The keyword arguments that all divergences share; `Options` holds the defaults."""

    axis: int
    keepdims: bool
    base: float | None
    normalize: bool
    from_: From
    smoothing: float


class Divergence(Protocol):
    """A divergence of two distributions, row by row."""

    __name__: str

    @overload
    def __call__(self, p: NumpyLike, q: NumpyLike, **options: Unpack[Keywords]) -> np.ndarray: ...
    @overload
    def __call__(self, p: Other | NumpyLike, q: Other | NumpyLike, **options: Unpack[Keywords]) -> Other: ...


class DivergenceOfOrder(Protocol):
    """A divergence with a parameter."""

    __name__: str

    @overload
    def __call__(
        self, p: NumpyLike, q: NumpyLike, *, alpha: float = ..., **options: Unpack[Keywords]
    ) -> np.ndarray: ...
    @overload
    def __call__(
        self, p: Other | NumpyLike, q: Other | NumpyLike, *, alpha: float = ..., **options: Unpack[Keywords]
    ) -> Other: ...


class DivergenceOfSeveral(Protocol):
    """A divergence of two or more distributions, which may be weighted."""

    __name__: str

    @overload
    def __call__(
        self,
        p: NumpyLike,
        q: NumpyLike,
        *more: NumpyLike,
        weights: Sequence[float] | None = ...,
        **options: Unpack[Keywords],
    ) -> np.ndarray: ...
    @overload
    def __call__(
        self,
        p: Other | NumpyLike,
        q: Other | NumpyLike,
        *more: Other | NumpyLike,
        weights: Sequence[float] | None = ...,
        **options: Unpack[Keywords],
    ) -> Other: ...


class FunctionOfOne(Protocol):
    """A function of one distribution, row by row."""

    __name__: str

    @overload
    def __call__(self, p: NumpyLike, **options: Unpack[Keywords]) -> np.ndarray: ...
    @overload
    def __call__(self, p: Other, **options: Unpack[Keywords]) -> Other: ...


# All of them take ``f(p, q, **options)``.
AnyDivergence: TypeAlias = Divergence | DivergenceOfOrder | DivergenceOfSeveral


def divergence(function: Callable[..., Array]) -> Divergence:
    """Declare a function of two distributions."""
    return cast(Divergence, function)


def of_order(function: Callable[..., Array]) -> DivergenceOfOrder:
    """Declare a function of two distributions and an order."""
    return cast(DivergenceOfOrder, function)


def of_several(function: Callable[..., Array]) -> DivergenceOfSeveral:
    """Declare a function of two or more distributions."""
    return cast(DivergenceOfSeveral, function)


def of_one(function: Callable[..., Array]) -> FunctionOfOne:
    """Declare a function of one distribution."""
    return cast(FunctionOfOne, function)
