"""Two distributions side by side: what every divergence is computed from."""

from collections.abc import Callable
from functools import cached_property

from sklkl.divergences._core import (
    INF,
    Array,
    Namespace,
    constant,
    difference_of_logs,
    ignoring_rounding,
    log_ratio,
    log_softmax,
    safe_log,
)


class Pair:
    """Rows of `p` beside rows of `q`, of broadcastable shapes; everything else is derived when first asked for.

    Parameters
    ----------
    xp : namespace
        Array namespace of `p` and `q`.
    axis : int
        Axis along which each row lies.
    p, q : array
        Probabilities.
    normalized : bool
        Whether each row is known to sum to one, up to rounding that is not to be counted.

    Attributes
    ----------
    tolerance : float or None
        By how much sums differ by rounding, relative to their size; None is what the type of `p` says.
    """

    def __init__(self, xp: Namespace, axis: int, p: Array, q: Array, normalized: bool = False) -> None:
        self.xp, self.axis, self.p, self.q, self.normalized = xp, axis, p, q, normalized
        self.tolerance: float | None = None

    @cached_property
    def difference(self) -> Array:
        """``q - p``."""
        return self.q - self.p

    @cached_property
    def log_p(self) -> Array:
        """``log p``, ``-inf`` at zeros."""
        return safe_log(self.xp, self.p)

    @cached_property
    def log_q(self) -> Array:
        """``log q``, ``-inf`` at zeros."""
        return safe_log(self.xp, self.q)

    @cached_property
    def log_ratio(self) -> Array:
        """``log(q / p)``."""
        return log_ratio(self.xp, self.p, self.difference, self.log_p, self.log_q)

    def sum(self, terms: Array) -> Array:
        """Sum over each row; the axis is kept as a length of one."""
        return self.xp.sum(terms, axis=self.axis, keepdims=True)

    @cached_property
    def totals(self) -> tuple[Array, Array]:
        """``Σp`` and ``Σq`` of each row."""
        return self.sum(self.p), self.sum(self.q)

    def excess(self) -> Array:
        """Return ``Σp - Σq`` of each row, 0 where the two agree within rounding."""
        if self.normalized:
            return 0.0
        return 0.0 - ignoring_rounding(self.xp, self.sum(self.difference), sum(self.totals), self.tolerance)

    def either(self, balanced: Array, direct: Callable[[], Array]) -> Array:
        """Return `balanced` values, or `direct()` of the rows of which Σp and Σq differ by more than a factor of two.

        Balanced forms add Σq - Σp, which makes all terms non-negative, and subtract it again. Where one is much larger
        than the other nothing would be left of the digits of the result.
        """
        if self.normalized:
            return balanced
        total_p, total_q = self.totals
        beyond = (total_q > 2 * total_p) | (total_p > 2 * total_q)
        return self.xp.where(beyond, direct(), balanced) if _any(self.xp, beyond) else balanced

    def excess_over_one(self) -> Array:
        """Return ``Σp - 1`` of each row, 0 where that is rounding."""
        return 0.0 if self.normalized else ignoring_rounding(self.xp, self.totals[0] - 1, 1.0, self.tolerance)

    def smoothed(self, smoothing: float) -> "Pair":
        """Mix both with the uniform distribution: ``(1 - smoothing) p + smoothing Σp / K``."""
        keep = 1 - smoothing
        share = smoothing / self.difference.shape[self.axis]
        p, q = (keep * x + share * self.sum(x) for x in (self.p, self.q))
        pair = Pair(self.xp, self.axis, p, q, self.normalized)
        pair.tolerance = self.tolerance
        pair.difference = keep * self.difference + share * self.sum(self.difference)
        return pair


def _any(xp: Namespace, condition: Array) -> bool:
    """Return whether a condition holds anywhere; True where only another device knows, or a transformation."""
    if getattr(getattr(condition, "device", None), "type", "cpu") != "cpu":
        return True
    try:
        return bool(xp.any(condition))
    except RuntimeError:  # within torch.vmap no tensor has a value
        return True


def pair_from_probs(xp: Namespace, axis: int, p: Array, q: Array) -> Pair:
    """Pair up probabilities (or any non-negative measures); negative entries become NaN."""
    return Pair(xp, axis, xp.where(p < 0, xp.nan, p), xp.where(q < 0, xp.nan, q))


def pair_from_log_probs(xp: Namespace, axis: int, log_p: Array, log_q: Array) -> Pair:
    """Pair up logarithms of probabilities; ``-inf`` is probability 0."""
    return _pair_from_logs(xp, axis, log_p, log_q, difference_of_logs(xp, log_p, log_q))


def pair_from_logits(xp: Namespace, axis: int, a: Array, b: Array) -> Pair:
    """Pair up ``softmax(a)`` and ``softmax(b)``; a logit of ``-inf`` is probability 0."""
    log_p, log_q = log_softmax(xp, a, axis), log_softmax(xp, b, axis)
    pair = _pair_from_logs(xp, axis, log_p, log_q, _softmax_log_ratio(xp, axis, a, b, log_p, log_q))
    pair.normalized = True
    return pair


def _pair_from_logs(xp: Namespace, axis: int, log_p: Array, log_q: Array, d: Array) -> Pair:
    pair = Pair(xp, axis, xp.exp(log_p), xp.exp(log_q))
    pair.log_p, pair.log_q, pair.log_ratio = log_p, log_q, d
    near = xp.abs(d) < 1
    # q - p would lose the digits that d still has.
    pair.difference = xp.where(near, pair.p * xp.expm1(xp.where(near, d, 0.0)), pair.q - pair.p)
    return pair


def _softmax_log_ratio(xp: Namespace, axis: int, a: Array, b: Array, log_p: Array, log_q: Array) -> Array:
    """Return ``log_q - log_p`` without the rounding of the two normalisers.

    With ``e = b - a``, shifted to mean 0 under p, it is ``e - log1p(Σ p expm1(e))``, unless an e is so large that
    the sum is dominated by entries with tiny p.
    """
    p = xp.exp(log_p)
    change = difference_of_logs(xp, a, b)
    bounded = xp.where(xp.isinf(change), 0.0, change)
    shift = constant(xp.sum(p * bounded, axis=axis, keepdims=True))
    masked = (a == -INF) & (b == -INF)
    e = xp.where(masked, 0.0, change - shift)
    near = xp.max(e, axis=axis, keepdims=True) < 10
    e = xp.where(near, e, 0.0)
    close = e - xp.log1p(xp.sum(p * xp.expm1(e), axis=axis, keepdims=True))
    return xp.where(masked, 0.0, xp.where(near, close, log_q - log_p))
