"""The first layer of the built-in network: it puts columns of any unit on a scale that a network learns from."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from scipy import sparse
from scipy.special import ndtri
from torch import Tensor, nn

from sklkl._utils.arrays import as_array
from sklkl._utils.checks import invalid_input
from sklkl._utils.quantile_summary import QuantileSummary, summarised

__all__ = ["DenseScaling", "Scaling", "SparseScaling", "input_scaling"]

# Where the smooth clip bends, in units of a column's scale.
BEND = 3.0
# At how many quantiles the third view has steps, unless that were more columns than this in all.
N_STEPS, MOST_STEPS = 4, 128
# What is farther from the median, in such units, looks the same: its square is finite in any floating type.
FARTHEST = 1e6
# From how many rows, drawn at random, the scales are learned.
MOST_ROWS = 20_000
# Up to how many numbers torch's own search is faster.
_ONE_BY_ONE = 2**12


class DenseScaling(nn.Module):
    """Three views of each column, learned from training rows: neither its unit nor its zero changes them.

    One is x / sqrt(1 + (x / 3)²), where x = (value - median) / interquartile range: a smooth clip, outliers stay in
    sight but within 3. The second is the normal score z of the value's rank, piecewise linear between quantiles. The
    third are steps at up to four quantiles of the column, z less the quantile's score, at most 1 and at least -1: a
    change at some value, which a network learns slowly from the first two, is there to begin with. A column of two
    values has the first view only, as has one that is constant, which is 0 there. All columns together have at most
    128 steps, as many each: of more than 128 columns none has any. Where half of the values or more are the same, the
    next wider range between quantiles that is not 0 stands for the interquartile range.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Training rows, finite numbers. Of more than 20,000 as many are drawn.
    weight : ndarray of shape (n_rows,), default=None
        Weights >= 0 of the rows.
    stream : bool, default=False
        Whether more rows may come, see :meth:`update`. Every column then has all views: one that has two values now
        may turn out to have more.

    Raises
    ------
    ValueError
        If these are no rows of numbers, or no weights of them.

    Attributes
    ----------
    n_outputs : int
        Number of columns that :meth:`forward` returns.

    References
    ----------
    The first view is that of Holzmüller, Grinsztajn and Steinwart (2024), Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data, arXiv:2407.04491. Steps, in other forms, are proposed by Gorishniy, Rubachev and
    Babenko (2022), On Embeddings for Numerical Features in Tabular Deep Learning, arXiv:2203.05556.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklkl.modules import DenseScaling
    >>> X = np.random.RandomState(0).randn(500, 2)
    >>> scaling, moved = DenseScaling(X), DenseScaling(1e3 * X + 7)
    >>> x = torch.tensor([[0.5, -1.0]])
    >>> torch.allclose(scaling(x), moved(1e3 * x + 7), atol=1e-4)
    True
    """

    center: Tensor
    inverse_scale: Tensor
    ranked: Tensor
    steps: Tensor
    knots: Tensor
    intercepts: Tensor
    slopes: Tensor
    values: Tensor
    mass: Tensor

    def __init__(self, X: np.ndarray, weight: np.ndarray | None = None, *, stream: bool = False) -> None:
        super().__init__()
        X, weight = _checked(X, weight)
        self.eps = float(np.finfo(X.dtype).eps) if X.dtype.kind == "f" else 0.0
        self.stream = stream
        for name, values in self._learned(X, weight).items():
            self.register_buffer(name, torch.from_numpy(values))
        n_steps = min(N_STEPS, MOST_STEPS // max(len(self.ranked), 1))
        # at the middles of as many equal shares
        self.register_buffer("steps", torch.from_numpy(ndtri((np.arange(n_steps) + 0.5) / max(n_steps, 1))))
        self.n_outputs = len(self.center) + len(self.ranked) * (1 + n_steps)

    @classmethod
    def from_buffers(cls, buffers: dict[str, Tensor], eps: float, stream: bool) -> DenseScaling:
        """Return a layer that has learned already: what it learned by name, and its attributes of these names."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made.eps, made.stream = eps, stream
        # what was stored before there were steps has none
        for name, values in ({"steps": torch.zeros(0, dtype=torch.float64)} | buffers).items():
            made.register_buffer(name, values)
        made.n_outputs = len(made.center) + len(made.ranked) * (1 + len(made.steps))
        return made

    def update(self, X: Any, weight: np.ndarray | None = None) -> None:
        """Learn from more rows of a stream, of the same columns; else the scales are those of the first rows."""
        if not self.stream:
            return
        before = QuantileSummary(*(buffer.double().cpu().numpy() for buffer in (self.values, self.mass)))
        for name, values in self._learned(X.toarray() if hasattr(X, "toarray") else X, weight, before).items():
            getattr(self, name).copy_(torch.from_numpy(values))

    @property
    def n_features(self) -> int:
        """Number of columns that :meth:`forward` takes."""
        return len(self.center)

    def unit(self) -> Tensor:
        """Return what is a moderate change of each column, of shape (n_features,); 0 for one that is constant."""
        return torch.where(self.inverse_scale > 0, 1 / self.inverse_scale, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the views, of shape (n_rows, n_outputs), in the floating type of x, of shape (n_rows, n_features)."""
        x = _floating(x)
        scaled = (x - self.center.to(x.dtype)) * self.inverse_scale.to(x.dtype)
        scaled = scaled.clamp(-FARTHEST, FARTHEST)
        clipped = _clipped(scaled)
        if not len(self.ranked):
            return clipped
        every = len(self.ranked) == x.shape[1]
        scores = self._normal_scores(scaled if every else scaled.index_select(1, self.ranked))
        if not len(self.steps):
            return torch.cat([clipped, scores], 1)
        beyond = scores.unsqueeze(1) - self.steps.to(x.dtype).unsqueeze(1)
        return torch.cat([clipped, scores, beyond.clamp(-1, 1).flatten(1)], 1)

    def _normal_scores(self, scaled: Tensor) -> Tensor:
        knots, intercepts, slopes = (b.to(scaled.dtype) for b in (self.knots, self.intercepts, self.slopes))
        scaled = scaled.clamp(knots[:, 0].contiguous(), knots[:, -1].contiguous())
        at = _pieces(knots, scaled)
        intercept, slope = (b.flatten().index_select(0, at.flatten()).view(at.shape) for b in (intercepts, slopes))
        return torch.addcmul(intercept, slope, scaled)

    def forward_numpy(self, x: np.ndarray) -> np.ndarray:
        """Return the views, computed by numpy: faster for a few rows."""
        known = {name: values.numpy() for name, values in self._buffers.items() if values is not None}
        scaled = ((x - known["center"]) * known["inverse_scale"]).astype(x.dtype, copy=False)
        scaled = np.minimum(np.maximum(scaled, -FARTHEST), FARTHEST)  # not np.clip, whose checks cost more
        clipped, n_ranked = _clipped_numpy(scaled), len(known["ranked"])
        if not n_ranked:
            return clipped
        ranked = scaled if n_ranked == x.shape[1] else scaled[:, known["ranked"]]
        scores = _normal_scores_numpy(ranked, known["knots"], known["intercepts"], known["slopes"])
        beyond = scores[:, None] - known["steps"].astype(x.dtype)[:, None]
        steps = np.minimum(np.maximum(beyond, -1), 1).reshape(len(x), -1)
        return np.concatenate([clipped, scores, steps], axis=1)

    def extra_repr(self) -> str:
        """Show the number of columns in the module's representation."""
        return f"n_features={self.n_features}, n_outputs={self.n_outputs}"

    def _learned(
        self, X: np.ndarray, weight: np.ndarray | None, before: QuantileSummary | None = None
    ) -> dict[str, np.ndarray]:
        """Return what is known of the columns, after the rows ``before`` where there were some, by buffer."""
        summary = summarised(*_drawn(X, weight), stream=self.stream)
        summary = summary if before is None else before.merged(summary)
        ranked = np.arange(X.shape[1]) if self.stream else np.flatnonzero(summary.n_values > 2)
        center, inverse_scale = summary.center_and_scale(self.eps)
        learned = {"center": center, "inverse_scale": inverse_scale, "ranked": ranked}
        if self.stream:  # what further rows are merged with
            learned |= {"values": summary.values, "mass": summary.mass}
            summary = summary.shortened()
        scores = summary.normal_scores()[ranked]
        # quarters, whose differences are finite whatever the values
        knots = ((summary.values / 4 - center[:, None] / 4) * (4 * inverse_scale[:, None]))[ranked]
        steps = knots[:, 1:] - knots[:, :-1]
        slopes = np.divide(scores[:, 1:] - scores[:, :-1], steps, out=np.zeros_like(steps), where=steps > 0)
        return learned | {"knots": knots, "intercepts": scores[:, :-1] - slopes * knots[:, :-1], "slopes": slopes}


class SparseScaling(nn.Module):
    """Columns of a sparse matrix in units of their own: scaling a column changes nothing, and zeros stay zeros.

    A column is divided by the geometric mean of the absolute values of its entries, clipped smoothly as x / sqrt(1 +
    (x / 3)²), and all are divided by the root of the number of entries that a row has on average, so that rows are
    about as long as one. A column without entries is 0.

    Parameters
    ----------
    X : CSR matrix of shape (n_rows, n_features)
        Training rows.
    weight : ndarray of shape (n_rows,), default=None
        Weights >= 0 of the rows.

    Attributes
    ----------
    n_outputs : int
        Number of columns that :meth:`forward` returns.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from scipy import sparse
    >>> from sklkl.modules import SparseScaling
    >>> X = sparse.csr_array(np.diag([1e-3, 1.0, 1e3]))
    >>> SparseScaling(X)(torch.tensor([[2e-3, 2.0, 0.0]]))
    tensor([[1.6641, 1.6641, 0.0000]])
    """

    log_sum: Tensor
    count: Tensor
    n_rows: Tensor
    factor: Tensor
    length: Tensor

    def __init__(self, X: Any, weight: np.ndarray | None = None) -> None:
        super().__init__()
        for name in ("log_sum", "count", "factor"):
            self.register_buffer(name, torch.zeros(X.shape[1], dtype=torch.float64))
        for name in ("n_rows", "length"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        self.n_outputs = X.shape[1]
        self.update(X, weight)

    @classmethod
    def from_buffers(cls, buffers: dict[str, Tensor]) -> SparseScaling:
        """Return a layer that has learned already: what it learned, by name."""
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        for name, values in buffers.items():
            made.register_buffer(name, values)
        made.n_outputs = len(made.factor)
        return made

    def update(self, X: Any, weight: np.ndarray | None = None) -> None:
        """Learn from more rows, of the same columns."""
        # rows of a stream may be dense later
        entries = sparse.coo_array(_canonical(X) if sparse.issparse(X) else X)
        mass = np.ones(X.shape[0]) if weight is None else weight / weight.mean()
        there = entries.data != 0
        row, column = entries.row[there], entries.col[there]
        logs = np.log(np.abs(entries.data[there].astype(np.float64)))
        n_features = X.shape[1]
        self.log_sum += torch.from_numpy(np.bincount(column, mass[row] * logs, n_features)).to(self.log_sum)
        self.count += torch.from_numpy(np.bincount(column, mass[row], n_features)).to(self.count)
        self.n_rows += mass.sum()
        self.factor.copy_(torch.where(self.count > 0, (-self.log_sum / self.count).exp(), 0))
        self.length.copy_((self.count.sum() / self.n_rows).clamp(min=1).sqrt())

    @property
    def n_features(self) -> int:
        """Number of columns that :meth:`forward` takes."""
        return len(self.factor)

    def unit(self) -> Tensor:
        """Return what is a moderate change of each column, of shape (n_features,); 0 for one without entries."""
        return torch.where(self.factor > 0, self.length / self.factor, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled columns, in the shape and floating type of x, (n_rows, n_features)."""
        x = _floating(x)
        scaled = (x * self.factor.to(x.dtype)).clamp(-FARTHEST, FARTHEST)
        return _clipped(scaled) / self.length.to(x.dtype)

    def scale(self, X: Any) -> Any:
        """Return the scaled columns of a CSR matrix of a floating type, as another one."""
        X = _canonical(X)
        factor = self.factor.numpy(force=True)[X.indices].astype(X.dtype)
        scaled = (X.data * factor).clip(-FARTHEST, FARTHEST)
        values = np.asarray(_clipped_numpy(scaled) / self.length.numpy(force=True), dtype=X.dtype)
        return type(X)((values, X.indices, X.indptr), shape=X.shape)

    def forward_numpy(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled columns, computed by numpy: faster for a few rows."""
        scaled = (x * self.factor.numpy()).astype(x.dtype).clip(-FARTHEST, FARTHEST)
        return np.asarray(_clipped_numpy(scaled) / self.length.numpy(), dtype=x.dtype)

    def extra_repr(self) -> str:
        """Show the number of columns in the module's representation."""
        return f"n_features={self.n_features}"


Scaling: TypeAlias = DenseScaling | SparseScaling


def input_scaling(X: Any, weight: np.ndarray | None = None, *, stream: bool = False) -> Scaling:
    """Return the layer for inputs of this kind, see :class:`DenseScaling` and :class:`SparseScaling`.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        Training rows.
    weight : ndarray of shape (n_rows,) or None
        Their weights >= 0.
    stream : bool, default=False
        Whether more rows may come.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import sparse
    >>> from sklkl.modules import input_scaling
    >>> input_scaling(sparse.csr_array(np.eye(3)))
    SparseScaling(n_features=3)
    """
    return SparseScaling(X, weight) if sparse.issparse(X) else DenseScaling(X, weight, stream=stream)


def _checked(X: Any, weight: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return rows and weights as arrays."""
    X, weight = (part if part is None or type(part) is np.ndarray else as_array("X", part) for part in (X, weight))
    if X.ndim != 2 or not len(X) or X.dtype.kind not in "biuf":
        allowed = "numbers of shape (n_rows, n_features), one row or more"
        raise invalid_input("X", f"{X.dtype} of shape {X.shape}", allowed)
    if weight is None:
        return X, None
    if weight.shape != (len(X),) or not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        allowed = f"{len(X)} finite numbers >= 0, one for each row and not all 0"
        raise invalid_input("weight", f"an array of shape {weight.shape}", allowed)
    return X, weight


def _floating(x: Tensor) -> Tensor:
    # in whole numbers scales would be 0
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def _canonical(X: Any) -> Any:
    """Return a CSR matrix in which entries of the same place are added."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _clipped(scaled: Tensor) -> Tensor:
    return scaled * torch.addcmul(scaled.new_ones(()), scaled, scaled, value=BEND**-2).rsqrt()


def _pieces(knots: Tensor, values: Tensor) -> Tensor:
    """Return the number of the piece between knots of its column that each value is in, counted through all columns."""
    n_columns, n_knots = knots.shape
    column = torch.arange(n_columns, dtype=torch.int32, device=knots.device)
    # what is compiled or exported is for any number of rows
    if torch.compiler.is_compiling() or not values.is_cpu or values.numel() < _ONE_BY_ONE:
        at = torch.searchsorted(knots, values.T.contiguous(), out_int32=True).T
        return (at - 1).clamp(0, n_knots - 2) + column * (n_knots - 1)  # NaN is beyond the last
    # a search for all values at once, several times as fast on a processor: the number of knots is a power of two
    at, flat, step = (column * n_knots).expand(values.shape), knots.flatten(), n_knots // 2
    while step:
        is_beyond = flat[step:].index_select(0, at.flatten()).view(at.shape) < values
        at, step = torch.add(at, is_beyond, alpha=step), step // 2
    return at - column


def _clipped_numpy(scaled: np.ndarray) -> np.ndarray:
    return np.asarray(scaled / np.sqrt(1 + scaled * scaled / BEND**2))


def _normal_scores_numpy(
    scaled: np.ndarray, knots: np.ndarray, intercepts: np.ndarray, slopes: np.ndarray
) -> np.ndarray:
    scaled = np.minimum(np.maximum(scaled, knots[:, 0]), knots[:, -1])
    n_pieces = slopes.shape[1]
    # a piece ends at the first knot that is not exceeded
    at = (scaled[..., None] <= knots[:, 1:]).argmax(axis=-1) + np.arange(0, slopes.size, n_pieces)
    return np.asarray(intercepts.ravel().take(at) + slopes.ravel().take(at) * scaled)


def _drawn(X: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return as many of the rows as are looked at, always the same ones."""
    if len(X) <= MOST_ROWS:
        return X, weight
    rows = drawn_rows(len(X))
    return X[rows], None if weight is None else weight[rows]


def drawn_rows(n_rows: int) -> np.ndarray:
    """Return the numbers of the rows that are looked at, of so many: always the same ones."""
    if n_rows <= MOST_ROWS:
        return np.arange(n_rows)
    return np.random.RandomState(0).choice(n_rows, MOST_ROWS, replace=False)
