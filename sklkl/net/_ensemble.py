"""Nets that are trained side by side and predict as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from skorch.history import History

from sklkl._utils.checks import invalid, refusal
from sklkl._utils.torch_state import insist
from sklkl.data import TrainingSet
from sklkl.modules import Ensemble, uncompiled
from sklkl.net._apart import why_apart
from sklkl.net._moments import Remade
from sklkl.net._net import KLNet
from sklkl.net._together import train_together
from sklkl.net._training_state import PartOfCheckpoint, TrainingCheckpoint, restore_ended


class KLEnsemble(KLNet):
    """Nets that are one: its network gives the mean of their probabilities, and is trained by training them.

    Parameters
    ----------
    members : sequence of KLNet
        Initialised nets of one kind.
    codistill_strength : float, default=0.0
        Weight of KL(net‖mean of nets) in the loss of each, see :func:`sklkl.net.train_together`.

    Attributes
    ----------
    members_ : list of KLNet
        The nets.
    history : skorch.history.History
        Of each epoch the means over the nets that got so far, and their number ``n_members``.
    lr_ : float
        Geometric mean of the rates of the nets, at their peaks.

    Examples
    --------
    >>> import torch
    >>> from sklkl.data import Rows, TrainingSet
    >>> from sklkl.modules import MLP
    >>> from sklkl.net import KLEnsemble, KLNet
    >>> rows = Rows(torch.randn(100, 3), torch.arange(100) % 2)
    >>> shape = {"module__n_features": 3, "module__n_classes": 2}
    >>> params = {**shape, "classes": [0, 1], "verbose": 0}
    >>> nets = [KLNet(MLP, **params, random_state=seed) for seed in range(4)]
    >>> ensemble = KLEnsemble([net.initialize() for net in nets])
    >>> ensemble.partial_fit(TrainingSet(rows)).predict_proba(rows).shape
    (100, 2)
    """

    def __init__(self, members: Sequence[KLNet], codistill_strength: float = 0.0) -> None:
        first = members[0]
        super().__init__(
            Ensemble,
            optimizer=Remade(torch.optim.Adam),  # it takes no step: the members have their own
            classes=first.classes,
            multilabel=first.multilabel,
            batch_size=first.batch_size,
            device=first.device,
            random_state=first.random_state,
            verbose=0,
            train_split=None,
            callbacks__print_log=None,
        )
        self.members_ = list(members)
        self.codistill_strength = codistill_strength
        self.initialize()
        self.optimizer = torch.optim.Adam

    def initialize_module(self) -> KLEnsemble:
        """Make one network of those of the nets, which stay theirs."""
        self.module_ = Ensemble([uncompiled(net.module_) for net in self.learned()], self.multilabel).eval()
        return self

    def learned(self) -> list[KLNet]:
        """Return the nets that have learned something; an interruption may come before the first epoch of some."""
        return [net for net in self.members_ if len(net.history)] or self.members_

    def train_on(
        self, X: Any, y: Any = None, *, checkpoint: TrainingCheckpoint | None = None, **fit_params: Any
    ) -> Self:
        """Train the nets further: as one stack if that is possible, else one after the other.

        Parameters
        ----------
        X : TrainingSet or sequence of them
            What all nets are trained on, or one for each.
        y, **fit_params
            Not used.
        checkpoint : object or None, default=None
            What keeps the state of the training, which goes on from there if it had kept one.

        Raises
        ------
        TypeError
            If X is neither.
        KeyboardInterrupt
            If training was interrupted, after every net has ended it in good order.
        """
        sets = [X] * len(self.members_) if isinstance(X, TrainingSet) else X
        if not isinstance(sets, (list, tuple)) or not all(isinstance(part, TrainingSet) for part in sets):
            allowed = "a TrainingSet, or one for each net, as KLClassifier makes them of rows for 'n_members' networks"
            raise TypeError(refusal("X", type(X).__name__, allowed, of="KLEnsemble"))
        self.interrupted_ = True
        try:
            self._train_members(sets, checkpoint)
            self.interrupted_ = False
        finally:
            if insist(self._gather):
                self.interrupted_ = True
                raise KeyboardInterrupt
        return self

    def _train_members(self, sets: Sequence[TrainingSet], checkpoint: TrainingCheckpoint | None) -> None:
        reason, strength = why_apart(self.members_, sets), self.codistill_strength
        if reason is not None:
            if strength:
                allowed = f"0 where networks cannot be trained as one stack: {reason}"
                raise invalid("codistill_strength", strength, allowed, of="KLClassifier")
            self._train_one_by_one(sets, checkpoint)
            return
        errors = train_together(self.members_, sets, checkpoint=checkpoint, codistill_strength=strength)
        error = next(filter(None, errors), None)
        if error is not None:
            raise error

    def _train_one_by_one(self, sets: Sequence[TrainingSet], checkpoint: TrainingCheckpoint | None) -> None:
        before = None if checkpoint is None else checkpoint.state
        states = [] if before is None else before["one_by_one"]
        for number, (net, data) in enumerate(zip(self.members_, sets, strict=True)):
            part = None if checkpoint is None else PartOfCheckpoint(checkpoint, states, number)
            if part is not None and part.state is not None and part.has_ended:
                restore_ended(net, data, part.state)
                continue
            net.train_on(data, checkpoint=part)
            if part is not None:
                part.end(net)

    def take_over(self, sets: Sequence[TrainingSet], states: Sequence[dict[str, Any]]) -> None:
        """Let the nets have learned what others of the same kind had at the end of their training on these sets."""
        for member in zip(self.members_, sets, states, strict=True):
            restore_ended(*member)
        self._gather()
        self.interrupted_ = False

    def _gather(self) -> None:
        """Take over what the nets have learned."""
        self.initialize_module()
        nets = self.learned()
        with np.errstate(all="ignore"):  # a training that failed has numbers of any kind
            self.history = mean_history([net.history for net in nets])
            self.lr_ = float(np.exp(np.mean(np.log([net.lr_ for net in nets]))))
        self.has_learned_ = any(net.has_learned_ for net in nets)

    # Copies and pickles

    def __sklearn_clone__(self) -> Any:
        raise TypeError(
            "A KLEnsemble cannot be cloned, as it is made of nets that are ready to be trained. Clone its classifier, "
            "or one of the 'members_'; copy.deepcopy copies it with what it has learned."
        )

    def __getstate__(self) -> dict[str, Any]:
        bare = object.__new__(type(self))
        bare.__dict__ = {name: value for name, value in vars(self).items() if name != "module_"}
        return KLNet.__getstate__(bare)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.initialize_module()

    def _share_generator(self) -> None:
        """Do nothing: each network draws from the generator of its own net."""


def members_of(net: KLNet) -> list[KLNet]:
    """Return the nets of an ensemble; any other net is the only one.

    Examples
    --------
    >>> from sklkl.modules import MLP
    >>> from sklkl.net import KLNet, members_of
    >>> len(members_of(KLNet(MLP)))
    1
    """
    return net.members_ if isinstance(net, KLEnsemble) else [net]


def mean_history(histories: Sequence[History]) -> History:
    """Return of each epoch the means over the histories that have it, and their number ``n_members``."""
    merged = History()
    for records in zip_longest(*histories):
        merged.append(_mean_record([record for record in records if record is not None]))
    return merged


def _mean_record(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first = records[0]
    if "epoch" not in first:  # forgotten, as the old epochs of a stream are
        return first
    names = [name for name, value in first.items() if _is_number(value) and all(name in record for record in records)]
    means = {name: float(np.mean([record[name] for record in records])) for name in names}
    return {"batches": [], **means, "epoch": first["epoch"], "n_members": len(records)}


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
