"""The epochs of a training as tasks of scikit-learn's callbacks."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import Callback

from sklkl._utils.progress import new_task
from sklkl.callbacks import StopTraining


class EpochTasks(Callback):
    """Tell scikit-learn's callbacks of a training and of its epochs, if any follow the fit that it is a part of.

    Examples
    --------
    >>> from sklkl import KLNet
    >>> from sklkl.modules import MLP
    >>> from sklkl.net import EpochTasks
    >>> net = KLNet(MLP, callbacks=[EpochTasks()])
    """

    def on_train_begin(self, net: Any, X: object = None, y: object = None, **kwargs: object) -> None:
        """Begin the task of the training."""
        self.estimator_, self.training_ = new_task("training", max_subtasks=net.max_epochs)
        if self.training_ is not None:
            self.training_.call_on_fit_task_begin(estimator=self.estimator_)

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin the task of an epoch."""
        if self.training_ is not None:
            self.epoch_ = self.training_.subcontext(task_name="epoch")
            self.epoch_.call_on_fit_task_begin(estimator=self.estimator_)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End it, and the training if a callback says so."""
        if self.training_ is not None and self.epoch_.call_on_fit_task_end(estimator=self.estimator_):
            raise StopTraining

    def on_train_end(self, net: Any, X: object = None, y: object = None, **kwargs: object) -> None:
        """End the task of the training; what is stored with the net has nothing of it."""
        if getattr(self, "training_", None) is not None:
            self.training_.call_on_fit_task_end(estimator=self.estimator_)
        self.__dict__ = {}
