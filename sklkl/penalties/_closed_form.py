"""Penalties that are a formula of the predicted probabilities."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from torch import Tensor

from sklkl._utils.arrays import to_numpy
from sklkl._utils.checks import invalid_input
from sklkl.data import Batch, Rows
from sklkl.data._batch import has_label
from sklkl.losses import expectation
from sklkl.penalties._base import Penalty, PenaltyNet

__all__ = ["Confidence", "LabelSmoothing", "Prior"]


class Confidence(Penalty):
    """KL(p‖uniform) = log K − H(p): it grows with the confidence of a prediction.

    Parameters
    ----------
    entropy_threshold : float > 0 or None, default=None
        If set, only predictions of an entropy below it (in nats) are penalised: ``max(0, entropy_threshold - H(p))``.

    References
    ----------
    Pereyra, Tucker, Chorowski, Kaiser and Hinton (2017), Regularizing Neural Networks by Penalizing Confident Output
    Distributions, arXiv:1701.06548, sections 3.1 and 3.2.

    Examples
    --------
    >>> import torch
    >>> from sklkl.penalties import Confidence
    >>> Confidence()(torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log(), None)
    tensor([0.0000, 0.3681])
    """

    def __init__(self, entropy_threshold: float | None = None) -> None:
        self.entropy_threshold = entropy_threshold

    def fit(self, rows: Rows, n_classes: int) -> Self:
        """Check the threshold; nothing is learned from the rows.

        Raises
        ------
        ValueError
            If ``entropy_threshold`` is neither None nor a positive finite number.
        """
        threshold = self.entropy_threshold
        if threshold is not None and not (isinstance(threshold, Real) and 0 < threshold < math.inf):
            raise ValueError(
                "The 'entropy_threshold' parameter of Confidence must be None or a float in the range (0.0, inf). "
                f"Got {threshold!r} instead."
            )
        return self

    def __call__(self, log_proba: Tensor, batch: Batch | None, net: PenaltyNet | None = None) -> Tensor:
        """Return the penalty of each row in nats, of shape (..., n_rows)."""
        negative_entropy = expectation(log_proba.exp(), log_proba)
        if self.entropy_threshold is None:
            return negative_entropy + math.log(log_proba.shape[-1])
        return (negative_entropy + self.entropy_threshold).clamp(min=0)


class LabelSmoothing(Penalty):
    """KL(uniform‖p): it grows as any class is left out.

    Up to constants and a common factor, cross-entropy plus ``kl_strength`` times this penalty is cross-entropy with
    labels smoothed by ``kl_strength / (1 + kl_strength)``.

    References
    ----------
    Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), Rethinking the Inception Architecture for Computer Vision,
    section 7; its form as a KL penalty is in section 3.3 of Pereyra et al. (2017), arXiv:1701.06548.

    Examples
    --------
    >>> import torch
    >>> from sklkl.penalties import LabelSmoothing
    >>> LabelSmoothing()(torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log(), None)
    tensor([0.0000, 0.5108])
    """

    def __call__(self, log_proba: Tensor, batch: Batch | None, net: PenaltyNet | None = None) -> Tensor:
        """Return the penalty of each row in nats, of shape (..., n_rows)."""
        return -log_proba.mean(-1) - math.log(log_proba.shape[-1])


class Prior(Penalty):
    """KL(prior‖p), with the class frequencies as prior: label smoothing that respects imbalance.

    Parameters
    ----------
    class_prior : array-like of shape (n_classes,), default=None
        Probabilities in the order of the classes. None means the weighted class frequencies of the training rows.

    Attributes
    ----------
    prior_ : Tensor of shape (n_classes,), or (n_labels, 2) for a multilabel target
        The prior in use.

    Examples
    --------
    >>> import torch
    >>> from sklkl.data import Rows
    >>> from sklkl.penalties import Prior
    >>> rows = Rows(torch.zeros(4, 1), torch.tensor([0, 1, 1, 1]))
    >>> proba = torch.tensor([[0.25, 0.75], [0.75, 0.25]])
    >>> Prior().fit(rows, n_classes=2)(proba.log(), None)
    tensor([0.0000, 0.5493])
    """

    def __init__(self, class_prior: Any = None) -> None:
        self.class_prior = class_prior

    def fit(self, rows: Rows, n_classes: int) -> Self:
        """Learn the class frequencies, or check the prior that was given.

        Raises
        ------
        ValueError
            If ``class_prior`` is not a distribution over ``n_classes`` classes, or the rows have no codes of these.
        """
        self.counts_: Any = 0.0
        return self.partial_fit(rows, n_classes)

    def partial_fit(self, rows: Rows, n_classes: int) -> Self:
        """Add the class counts of further rows to those seen before; see :meth:`fit`."""
        if self.class_prior is None:
            self.counts_ = _class_counts(rows, n_classes) + self.counts_
            self.prior_ = (self.counts_ / self.counts_.sum(-1, keepdim=True)).to(_floating(rows))
        else:
            prior = _checked_prior(self.class_prior, n_classes)
            self.prior_ = torch.as_tensor(prior, dtype=_floating(rows), device=getattr(rows, "device", None))
        self._negative_entropy = torch.xlogy(self.prior_, self.prior_).sum(-1)
        return self

    def __call__(self, log_proba: Tensor, batch: Batch | None, net: PenaltyNet | None = None) -> Tensor:
        """Return the penalty of each row in nats, of shape (..., n_rows)."""
        if not hasattr(self, "prior_"):
            raise NotFittedError("This Prior is not fitted yet. Call 'fit' with the training rows first.")
        # a class without prior costs nothing, one with a prior and no probability infinitely much
        return self._negative_entropy - expectation(self.prior_, log_proba)


def _floating(rows: Rows) -> torch.dtype:
    """Return the rows' floating type."""
    dtype = getattr(rows, "dtype", None)
    if not isinstance(dtype, torch.dtype):  # another data set
        dtype = torch.float32
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def _class_counts(rows: Rows, n_classes: int) -> Tensor:
    """Return the weighted number of rows of each class; of each label, off and on, for a multilabel indicator."""
    y = getattr(rows, "y", None)
    if y is None:
        raise ValueError(f"Prior needs class codes, but {type(rows).__name__} has none; pass a 'class_prior'.")
    _check_codes(y, n_classes)
    # in float64, because float32 cannot count beyond 2**24
    weight = torch.ones(len(rows), device=y.device) if rows.weight is None else rows.weight
    weight, y = weight.double() * has_label(y), y.long().clamp(min=0)
    if y.ndim == 2:
        on = weight @ y.to(weight.dtype)
        return torch.stack([weight.sum() - on, on], dim=-1)
    return weight.new_zeros(n_classes).index_add_(0, y, weight)


def _check_codes(y: Tensor, n_classes: int) -> None:
    if y.is_meta or not y.numel():
        return
    if int(y.max()) >= n_classes or bool((y != y.long()).any()):
        raise invalid_input("y", f"others, up to {y.max():.3g}", f"class codes from 0 to {n_classes - 1}", of="Prior")


def _checked_prior(class_prior: Any, n_classes: int) -> np.ndarray:
    try:
        prior = np.asarray(to_numpy("class_prior", class_prior), dtype=np.float64)
    except (TypeError, ValueError):
        prior = np.array(math.nan)  # refused below
    if prior.shape != (n_classes,) or not (prior >= 0).all() or not math.isclose(prior.sum(), 1.0, rel_tol=1e-6):
        raise ValueError(
            f"The 'class_prior' parameter of Prior must be {n_classes} non-negative numbers that sum to 1, one a "
            f"class. Got {class_prior!r} instead."
        )
    return prior


ClosedFormName = Literal["confidence", "label_smoothing", "prior"]

CLOSED_FORM: dict[str, type[Penalty]] = {
    "confidence": Confidence,
    "label_smoothing": LabelSmoothing,
    "prior": Prior,
}
