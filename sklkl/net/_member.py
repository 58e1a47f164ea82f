"""A net that is trained with others."""

from __future__ import annotations

from sklkl.data import TrainingSet
from sklkl.net._lent import Lent
from sklkl.net._net import KLNet


class Member:
    """A net of the stack, with what its training needs."""

    def __init__(self, net: KLNet, data: TrainingSet) -> None:
        self.net, self.data = net, data
        self.n_before = net._open()
        self.lent = Lent(net.module_, net.optimizer_)
        self.error: Exception | None = None
        self.has_begun = False

    def begin(self) -> None:
        """Tell the callbacks, and get the data as the net holds them."""
        self.has_begun = True
        self.net.notify("on_train_begin", X=self.data, y=None)
        self.train, self.valid = self.net.get_split_datasets(self.data)
        self.kwargs = {"dataset_train": self.train, "dataset_valid": self.valid}

    def leave(self) -> None:
        """Take back what the stack has trained."""
        self.lent.take_back()
        self.net._end_epochs()

    def end(self, interrupted: bool) -> None:
        """End the training in good order, if it has begun: callbacks do not expect it otherwise."""
        if not self.has_begun:
            return
        try:
            self.net._close(self.data, None, self.n_before, interrupted)
        except KeyboardInterrupt:
            if not interrupted:
                raise
            # of which the stack tells once all have ended
        except Exception as error:  # one net's trouble is not that of the others
            self.error = error
        self.net._labelled_rows = None
