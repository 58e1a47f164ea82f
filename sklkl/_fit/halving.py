"""Which nets of a stack end their training because others are better: successive halving over epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sklkl._fit.calibration import likely_temperature
from sklkl._fit.row_losses import logits_of, row_losses, shares_of
from sklkl.data import Rows
from sklkl.net import KLNet


class Halving:
    """Ends, at some epochs, the trainings of the worse half of the nets that compete, by their validation log-losses.

    A penalty takes confidence away, which the temperature gives back in the end: so nets that get one are compared at
    theirs. They compete with those of the same seed, or with all if every one has its own, as long as they are trained.

    Parameters
    ----------
    nets : sequence of KLNet
        All nets of the stack.
    valid : sequence of Rows
        The validation part of each.
    calibrated : sequence of bool
        Whether each gets a temperature in the end.
    after : int >= 1
        Number of epochs before the first halving; the next ones come whenever it has doubled.

    References
    ----------
    Jamieson and Talwalkar (2016), Non-stochastic Best Arm Identification and Hyperparameter Optimization,
    arXiv:1502.07943.
    """

    def __init__(self, nets: Sequence[KLNet], valid: Sequence[Rows], calibrated: Sequence[bool], after: int) -> None:
        self.after = after
        self.judged_by = dict(zip(map(id, nets), zip(valid, calibrated, strict=True), strict=True))
        self.seeds = len({net.random_state for net in nets}) < len(nets)

    def __call__(self, epoch: int, nets: Sequence[KLNet]) -> list[KLNet]:
        """Return those of the nets still in training that are to stop after so many epochs."""
        n_times, rest = divmod(epoch, self.after)
        if rest or n_times & (n_times - 1):  # no power of two
            return []
        competing: dict[object, list[KLNet]] = {}
        for net in nets:
            competing.setdefault(net.random_state if self.seeds else None, []).append(net)
        return [net for group in competing.values() for net in self._worse_half(group)]

    def _worse_half(self, nets: list[KLNet]) -> list[KLNet]:
        order = sorted(nets, key=self._loss) if len(nets) > 1 else nets
        return order[-(-len(order) // 2) :]

    def _loss(self, net: KLNet) -> float:
        rows, calibrated = self.judged_by[id(net)]
        logits = logits_of(net, rows).double() / (likely_temperature(net, rows) if calibrated else 1.0)
        loss = float(row_losses(logits, rows.codes) @ shares_of(rows))
        return loss if math.isfinite(loss) else math.inf
