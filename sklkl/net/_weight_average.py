"""Weights averaged over the last epochs: what a network is validated with, not what it is trained with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklkl._utils.torch_state import insist


class WeightAverage:
    """The mean of a network's weights at the ends of epochs, of which the last ones count most.

    Between epochs the network has the mean, so that is what is validated and kept, and what callbacks see; while it is
    trained it has its own weights. The mean is exponential, and without bias: the first epoch counts no more than it
    should.

    Parameters
    ----------
    n_epochs : int >= 1
        About how many epochs it is over: that before the last counts 1 - 1 / n_epochs as much as the last.

    References
    ----------
    Izmailov et al. (2018), Averaging Weights Leads to Wider Optima and Better Generalization, arXiv:1803.05407.
    """

    def __init__(self, n_epochs: int) -> None:
        self.decay = 1 - 1 / n_epochs
        self.n_averaged = 0
        self.own: list[Tensor] = []
        self.mean: list[Tensor] = []

    def put_in(self, module: nn.Module) -> None:
        """Add a network's weights to the mean, and give it that; begin anew if it has others than before."""
        weights = _weights(module)
        alike = [values.shape for values in weights] == [values.shape for values in self.mean]
        self.own, self.n_averaged = [values.clone() for values in weights], self.n_averaged * alike + 1
        share = (1 - self.decay) / (1 - self.decay**self.n_averaged)
        self.mean = (
            [torch.lerp(mean, own, share) for mean, own in zip(self.mean, self.own, strict=True)]
            if self.n_averaged > 1
            else self.own
        )
        _copy(self.mean, weights)

    def take_out(self, module: nn.Module) -> None:
        """Give a network its own weights again, or begin anew if something has changed them since."""
        if not self.n_averaged:
            return
        weights = _weights(module)
        if len(weights) == len(self.mean) and all(map(torch.equal, weights, self.mean)):
            _copy(self.own, weights)
        else:
            self.n_averaged = 0


def _weights(module: nn.Module) -> list[Tensor]:
    # whole numbers, as of a quantised layer, have no mean
    return [p.detach() for p in module.parameters() if p.is_floating_point() or p.is_complex()]


def _copy(values: Sequence[Tensor], weights: Sequence[Tensor]) -> None:
    def copy() -> None:
        for target, source in zip(weights, values, strict=True):
            target.copy_(source)

    if insist(copy):  # all or none
        raise KeyboardInterrupt
