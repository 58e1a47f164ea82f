"""In-place NumPy forms of the hottest divergences; the array API forms remain the definition."""

from collections.abc import Callable

from sklkl.divergences._arrays import rounding
from sklkl.divergences._core import Array, ignoring_rounding, np

# Rows whose divergence is a smaller share of their sum are left to the definition, which does not cancel.
_SMALL = 1e-3


class KLRows:
    """KL divergence of each row of two NumPy blocks, in float64 inside.

    One logarithm, ``p log(p/q)``, serves ordinary rows. Rows that are nearly equal, infinite or NaN come from
    `definition`; quotients that overflow or vanish make a row infinite or NaN, so that it is recomputed too.
    """

    def __init__(self, definition: Callable[..., Array], normalize: bool = False) -> None:
        self.definition, self.normalize, self.work = definition, normalize, np.empty(0)

    def __call__(self, p: Array, q: Array) -> Array:
        """Return the values as a column."""
        least, ones = least_number(p), np.ones(p.shape[-1])
        logs = self._log_ratio(p, q)
        if least <= 0:
            np.copyto(logs, 0.0, where=p == 0)
            least = min(least, least_number(q))  # behind a zero of p a negative q would go unseen
        values, scale = np.vecdot(np.broadcast_to(p, logs.shape), logs), p @ ones
        if self.normalize:  # KL(p/P‖q/Q) = KL(p‖q) / P - log(P/Q), without another pass over the rows
            log_totals = np.log(scale / (q @ ones))
            values, scale = values / scale - log_totals, 1 + np.abs(log_totals)
        else:
            excess = scale - q @ ones
            values = values - (excess - ignoring_rounding(np, excess, 2 * scale, rounding(np, p)))
        ordinary = (values >= _SMALL * scale) & (values < np.inf) & (least >= 0)
        return _completed(values, ordinary, self.definition, p, q)

    def _log_ratio(self, p: Array, q: Array) -> Array:
        shape = np.broadcast_shapes(p.shape, q.shape)
        if self.work.shape != shape:  # kept from block to block: fresh memory costs half as much again
            self.work = np.empty(shape)
        np.divide(p, q, out=self.work, dtype=np.float64)
        return np.log(self.work, out=self.work)


class JSRows:
    """Equally weighted Jensen-Shannon divergence of each row of two NumPy blocks, in float64 inside."""

    def __init__(self, definition: Callable[..., Array], normalize: bool = False) -> None:
        self.definition, self.normalize = definition, normalize

    def __call__(self, p: Array, q: Array) -> Array:
        """Return the values as a column."""
        if self.normalize:
            p, q = (x / x.sum(axis=-1, keepdims=True) for x in (p, q))
        least, total = min(least_number(p), least_number(q)), p.sum(axis=-1)
        p1, q1 = lifted(p), lifted(q)
        values = (shifted_negentropy(p1) + shifted_negentropy(q1) - negentropy(p1 + q1)) / 2
        return _completed(values, (values >= _SMALL * total) & (values < np.inf) & (least >= 0), self.definition, p, q)


def least_number(p: Array) -> float:
    """Return the smallest entry that is not NaN."""
    return float(np.fmin.reduce(p, axis=None, initial=np.inf))


def lifted(p: Array) -> Array:
    """Return `p` in float64 with zeros replaced by 1e-300: its products with logarithms are not NaN but nearly 0."""
    return np.maximum(p, 1e-300, dtype=np.float64)


def negentropy(p: Array) -> Array:
    """Return ``Σ p log p`` along the last axis."""
    return np.vecdot(p, np.log(p))


def shifted_negentropy(p: Array) -> Array:
    """Return ``Σ p log(2 p)``; the two entropies so shifted need only ``Σ (p + q) log(p + q)`` to give 2 JS."""
    return np.vecdot(p, np.log(2 * p))


def _completed(values: Array, done: Array, definition: Callable[..., Array], p: Array, q: Array) -> Array:
    """Return `values` as a column, those not `done` taken from the definition, in the floating type of `p`."""
    values = values.astype(p.dtype, copy=False)
    if not done.all():
        rest = (np.broadcast_to(x, (*done.shape, x.shape[-1]))[~done] for x in (p, q))
        rest = (x.reshape((1,) * (done.ndim - 1) + x.shape) for x in rest)  # the definition's axis is that of p
        values[~done] = definition(*rest).ravel()
    return values[..., None]
