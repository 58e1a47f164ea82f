"""What a training prints of its epochs."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import PrintLog


class EpochLog(PrintLog):
    """The table of the epochs, not made where nobody would see it: beside a small network that takes long."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Print the last epoch, or hand it to whom it is for."""
        if net.verbose or self.sink is not print:
            super().on_epoch_end(net, **kwargs)
