"""``KLNet``: skorch's training loop with named loss terms, whole-tensor batches and no host round trip a batch."""

from __future__ import annotations

import copy
import sys
from contextlib import suppress
from importlib import import_module
from threading import Thread
from typing import Any

import torch
from skorch.callbacks import Callback, EpochTimer
from skorch.dataset import ValidSplit
from torch.utils.data import IterableDataset

from sklkl._utils.checks import check_choice, check_integer, check_number, invalid_input
from sklkl._utils.seeding import borrowed_global_state, make_generator
from sklkl._utils.torch_state import OwnTorchState
from sklkl.data import Batches, Rows, TrainingSet
from sklkl.distillation import DISTILL_ROWS, Distillation
from sklkl.losses import CrossEntropy
from sklkl.modules import Dropout, uncompiled
from sklkl.net._datasets import check_columns, own_rows, rule_params
from sklkl.net._history import EpochRecords
from sklkl.net._log import EpochLog
from sklkl.net._moments import Remade, copy_moments
from sklkl.net._penalty import fitted_penalty, pop_params, with_params
from sklkl.net._schedulers import warn_of_schedulers
from sklkl.net._shares import check_shared
from sklkl.net._steps import TrainStep
from sklkl.net._storage import copied
from sklkl.optim import LearningRateName
from sklkl.optim._validation import closure_default
from sklkl.penalties import adapted

__all__ = ["KLNet"]


class KLNet(TrainStep):
    """A skorch net with a KL penalty, for people who bring their own module, data, callbacks or loop.

    It is a :class:`skorch.NeuralNet`: everything said there holds, but for these differences. Data in memory are
    held as whole tensors and handed out as slices (:class:`sklkl.data.Rows`, :class:`sklkl.data.Batches`); training
    rows are shuffled. The module returns logits; a batch's loss is a sum of named terms, each a weighted mean over
    rows, and the history has each under its own name (``train_data_fit``, ``train_kl_penalty``, ...). Losses are
    read from the device once an epoch; per-batch hooks run, and per-batch history is written, only if a callback
    has such a hook. A :class:`KeyboardInterrupt` ends training and is raised again.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        Network that returns logits of shape (n_rows, n_classes).
    *args, **kwargs
        Parameters of :class:`skorch.NeuralNet`.
    criterion : torch.nn.Module class, default=CrossEntropy
        Data fit: called with log-probabilities (which are valid logits) and class codes, returns one value a row.
    optimizer : torch.optim.Optimizer class, default=torch.optim.Adam
        Optimiser.
    lr : float, default=1e-3
        Learning rate, the peak of a cycle, or only the starting point for ``"kl_adaptive"``.
    learning_rate : {"constant", "onecycle", "kl_adaptive"}, default="constant"
        Rule for the rate, see :mod:`sklkl.optim`.
    kl_target : float > 0 or None, default=None
        How far a step may move the predictions; None finds it, see :class:`sklkl.optim.Lock`: in a long training it is
        larger if a validation part and :class:`sklkl.callbacks.BestWeights` choose the epoch that is kept.
    kl_penalty : str or object, default="confidence"
        Penalty, see :mod:`sklkl.penalties`.
    kl_strength : float >= 0, default=0.0
        Weight of the penalty in the loss.
    distill_weight : float in [0, 1], default=0.5
        Weight of the distillation term, used where the rows have a column ``teacher_proba``; the data fit gets the
        rest. A row of the class code -100 (as in torch's losses) has no label: it carries the distillation term only.
    distill_rows : {"all", "unlabeled"}, default="all"
        Which rows carry the distillation term. With ``"unlabeled"`` a row that has a label carries its whole data fit
        and nothing else.
    distillation : Distillation, default=Distillation()
        The distillation term, see :class:`sklkl.distillation.Distillation`.
    averaged_epochs : int >= 1, default=1
        Over about how many epochs the weights are averaged, if there is a validation part: between epochs the network
        has the mean. Not for networks with running statistics, as of a batch norm.
    stream : bool, default=False
        Whether training has no known end, as with :meth:`partial_fit`: each training then resumes the rate and the
        penalty of the one before, and a cycle of the rate is constant.
    multilabel : bool, default=False
        Whether y is an indicator of shape (n_rows, n_labels): each logit is then that of one label, on its own, and a
        row's loss is the sum over its labels.
    random_state : int, RandomState instance or None, default=None
        Seed of the starting weights, the order of the rows and dropout. torch's global state is left as it was.
    dataset, iterator_train, iterator_valid
        As in skorch. For data that are not in memory: a data set of your own and ``torch.utils.data.DataLoader``.

    Attributes
    ----------
    penalty_ : object
        The fitted penalty, whose parameters are checked even where ``kl_strength`` is 0.
    lr_ : float
        The learning rate of the last training, at its peak.
    interrupted_ : bool
        Whether the last training was interrupted from the keyboard.
    why_autograd_ : str or None
        Why the last training went through autograd; None if its gradients and steps were written out, which is the
        same training but for rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl import KLNet
    >>> from sklkl.modules import MLP
    >>> X = np.random.RandomState(0).randn(100, 3).astype("float32")
    >>> y = (X[:, 0] > 0).astype("int64")
    >>> shape = {"module__n_features": 3, "module__n_classes": 2}
    >>> net = KLNet(MLP, **shape, kl_strength=0.1, verbose=0, random_state=0)
    >>> net = net.fit(X, y)
    >>> terms = [key for key in net.history[-1] if key.startswith("train_")]
    >>> sorted(term for term in terms if "batch" not in term)
    ['train_data_fit', 'train_kl_penalty', 'train_loss', 'train_loss_best']
    """

    callbacks_: list[tuple[str, Any]]
    classes_: Any
    train_split: Any
    # the net that this one resumes, while its parts are made
    _resumed: KLNet | None = None

    def __init__(
        self,
        module: Any,
        *args: Any,
        criterion: Any = CrossEntropy,
        optimizer: Any = torch.optim.Adam,
        lr: float = 1e-3,
        learning_rate: LearningRateName = "constant",
        kl_target: float | None = None,
        kl_penalty: Any = "confidence",
        kl_strength: float = 0.0,
        distill_weight: float = 0.5,
        distill_rows: str = "all",
        distillation: Any = Distillation(),  # noqa: B008
        averaged_epochs: int = 1,
        stream: bool = False,
        multilabel: bool = False,
        random_state: Any = None,
        dataset: Any = Rows,
        iterator_train: Any = Batches,
        iterator_valid: Any = Batches,
        **kwargs: Any,
    ) -> None:
        self.learning_rate = learning_rate
        self.kl_target = kl_target
        self.kl_penalty = _with_own_params(kl_penalty, kwargs)
        self.kl_strength = kl_strength
        self.distill_weight = distill_weight
        self.distill_rows = distill_rows
        self.distillation = distillation
        self.averaged_epochs = averaged_epochs
        self.stream = stream
        self.multilabel = multilabel
        self.random_state = random_state
        kwargs.setdefault("iterator_train__shuffle", True)
        super().__init__(
            module,
            *args,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            dataset=dataset,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            **kwargs,
        )

    def initialize(self) -> KLNet:
        """Make every part afresh, the random generator first.

        Raises
        ------
        ValueError
            If a parameter is invalid.
        TypeError
            If this is a net of a subclass with a ``get_loss`` of its own, as skorch has it, but no step that calls it.
        """
        with OwnTorchState():
            return self.make_parts()

    def make_parts(self) -> KLNet:
        """Do as `initialize` in torch's state as it is: for who has made it their own before."""
        check_parameters(self.kl_strength, self.distill_weight, self.distill_rows)
        check_integer("averaged_epochs", self.averaged_epochs, 1, of="KLNet")
        if type(self).get_loss is not TrainStep.get_loss and not self.has_own_step():
            raise TypeError(
                f"{type(self).__name__} has a 'get_loss', which KLNet does not call: override 'loss_terms'."
            )
        self.generator_ = make_generator(self.random_state)
        self.penalty_ = None
        self.unlabeled_rows_ = False
        if not isinstance(self.optimizer, Remade):
            import_whole("torch._dynamo")  # torch's optimisers do so, which takes seconds the first time
        if self.history_ is None:
            self.history_ = EpochRecords()
        return super().initialize()

    def set_params(self, **params: Any) -> KLNet:
        """Set parameters, see :meth:`skorch.NeuralNet.set_params`; those of a net that is initialised are checked."""
        if self.initialized_:
            names = ("kl_strength", "distill_weight", "distill_rows")
            check_parameters(*(params.get(name, getattr(self, name)) for name in names))
        nested = pop_params("kl_penalty", params)
        renewed = self.initialized_ and "optimizer" in params  # of which skorch says that something went wrong
        if renewed:
            self.optimizer = params.pop("optimizer")
        super().set_params(**params)
        if renewed:
            self.initialize_optimizer()
        if self.initialized_:  # skorch would call those that were dropped
            self.callbacks_ = [item for item in self.callbacks_ if item[1] is not None]
        if nested:
            self.kl_penalty = with_params(self.kl_penalty, nested)
        return self

    def resume(self, net: KLNet) -> KLNet:
        """Initialise this net to continue the training of another one, which is left as it is.

        The network is a copy of the other's; history, random state and the optimiser's moments (those of an optimiser
        of the same kind) are the other's too, in a ``stream`` also the penalty and the rate. All else is as this net's
        parameters say.

        Parameters
        ----------
        net : KLNet
            A trained net.

        Returns
        -------
        self : KLNet
            This net, initialised.
        """
        self._resumed = net
        try:
            self.initialize()
        finally:
            self._resumed = None
        self.generator_.set_state(net.generator_.get_state())
        self.history = EpochRecords(net.history)
        copy_moments(net.optimizer_, self.optimizer_)
        if self.stream:
            self.penalty_, self.rate_state_ = copy.deepcopy((net.penalty_, net.rate_state_))
        return self

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        # the epoch loop records the losses itself, so skorch's PassthroughScoring would find nothing to do
        return [("epoch_timer", EpochTimer()), ("print_log", EpochLog())]

    def initialize_module(self) -> KLNet:
        """Make the module; its randomness comes from this net's generator."""
        if self._resumed is not None:
            old = self._resumed
            # its dropout draws from the new generator
            self.module_ = copied(uncompiled(old.module_), {id(old.generator_): self.generator_})
            return self
        borrowed = borrowed_global_state(self.generator_, torch.device(self.device or "cpu"))
        try:
            with borrowed:
                super().initialize_module()
        finally:
            borrowed.give_back()
        self._share_generator()
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.initialized_:
            self._share_generator()

    def _share_generator(self) -> None:
        """Let this package's layers draw from this net's generator, where that is possible."""
        quiet = torch.device(self.device or "cpu").type == "cpu" and not self.compile
        for layer in self.module_.modules():
            if isinstance(layer, Dropout):
                layer.generator = self.generator_ if quiet else None

    def initialize_criterion(self) -> KLNet:
        """Make the criterion; one of torch's that would take the mean gives one value a row instead."""
        super().initialize_criterion()
        if getattr(self.criterion_, "reduction", "none") != "none":
            self.criterion_ = copy.copy(self.criterion_)
            self.criterion_.reduction = "none"
        return self

    def initialize_optimizer(self, *args: Any, **kwargs: Any) -> KLNet:
        """Make the optimiser."""
        super().initialize_optimizer(*args, **kwargs)
        # Only an optimiser that evaluates the loss several times a step, such as LBFGS, needs skorch's closure.
        self._grad_hooks = False
        self._needs_closure = closure_default(self.optimizer_) is not None
        self.lr_ = self.lr
        if self._rate_runs:  # a callback wants another one
            self._stop_by_hand()
            self._renew_learning_rate()
        return self

    # Data

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Split the data, unless X is a ``TrainingSet``; parts of ``Rows`` become rows of their own, on the device."""
        parts = (X.train, X.valid) if isinstance(X, TrainingSet) else self._split(X, y, **fit_params)
        train, valid = (own_rows(part, self.device) for part in parts)
        self.unlabeled_rows_ = isinstance(train, Rows) and train.y is not None and not bool(train.has_label.all())
        self._labelled_rows = train.labelled() if self.unlabeled_rows_ else None
        if self.kl_strength or isinstance(train, Rows):
            n_classes = 2 if self.multilabel else len(self.classes_)
            counted = train.counted if isinstance(train, Rows) else train
            self.penalty_ = fitted_penalty(self.kl_penalty, self.penalty_, counted, n_classes)
        if self.kl_strength:
            adapted(self.penalty_).check_net(self)
        self.rule_params_ = rule_params(self, train, valid)
        warn_of_schedulers(self)
        check_shared(self, train, valid)
        return train, valid

    def _split(self, X: Any, y: Any, **fit_params: Any) -> tuple[Any, Any]:
        given = self.train_split
        if self.multilabel and isinstance(given, ValidSplit) and given.stratified:
            # skorch's own choice, which is made for one label a row
            self.train_split = copy.copy(given)
            self.train_split.stratified = False
        try:
            train, valid = super().get_split_datasets(X, y, **fit_params)
        finally:
            self.train_split = given
        check_columns(train)
        check_columns(valid)
        return train, valid

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return an iterator over batches; shuffled ``Batches`` draw from this net's generator."""
        if isinstance(dataset, Rows) and not len(dataset):
            raise invalid_input("X", "no rows", "one row or more", of="KLNet")
        shuffle = vars(self).get("iterator_train__shuffle")
        if isinstance(dataset, IterableDataset):  # it has an order of its own
            self.__dict__.pop("iterator_train__shuffle", None)
        try:
            iterator = super().get_iterator(dataset, training=training)
        finally:
            if shuffle is not None:
                self.iterator_train__shuffle = shuffle
        if isinstance(iterator, Batches):
            iterator.generator = iterator.generator or getattr(self, "generator_", None)
        elif isinstance(dataset, Rows) and dataset.columns:
            raise ValueError(
                f"{type(iterator).__name__} would lose {sorted(dataset.columns)} of the rows; use Batches."
            )
        return iterator


def import_whole(name: str) -> None:
    """Import a module that takes long in a thread, where no interruption strikes, unless it was imported before.

    Python removes a module whose import is interrupted but keeps what that has imported so far, and for a package such
    as torch's compiler all later imports in this process may fail. An error is left to who uses the module.
    """

    def run() -> None:
        with suppress(Exception):
            import_module(name)

    if name not in sys.modules:
        thread = Thread(target=run)
        thread.start()
        thread.join()


def check_parameters(kl_strength: Any, distill_weight: Any, distill_rows: Any) -> None:
    """Raise a ValueError for a parameter that is invalid."""
    check_number("kl_strength", kl_strength, "a finite number >= 0", of="KLNet")
    check_number("distill_weight", distill_weight, "a number from 0 to 1", high=1.0, of="KLNet")
    check_choice("distill_rows", distill_rows, DISTILL_ROWS, of="KLNet")


def _with_own_params(kl_penalty: Any, params: dict[str, Any]) -> Any:
    """Return a penalty with those parameters of a net that are named ``kl_penalty__...``, which are taken out."""
    own = any(name.startswith("kl_penalty__") for name in params)
    return with_params(kl_penalty, pop_params("kl_penalty", params)) if own else kl_penalty
