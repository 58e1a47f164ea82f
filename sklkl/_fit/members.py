"""Several nets in place of one: each has a seed and, where rows are set aside, a validation part of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from sklkl._fit import net_factory
from sklkl._fit.net_factory import new_net, resumed_net
from sklkl._fit.parameters import NetParams
from sklkl._fit.training_set import Training, can_stratify
from sklkl._utils.checks import invalid_input
from sklkl.data import Rows, TrainingSet
from sklkl.net import KLEnsemble, KLNet, members_of


def new_members(
    params: NetParams, classes: np.ndarray, training: Training, random_state: np.random.RandomState
) -> KLEnsemble:
    """Build and initialise the members, see `new_net`."""
    members: list[KLNet] = []
    for own_params, own in _of_each(params, training):
        members.append(new_net(own_params, classes, own, random_state, alike=members[0] if members else None))
    return KLEnsemble(members, params.codistill_strength)


def resumed_nets(net: KLNet, params: NetParams, training: Training) -> KLNet:
    """Return a net that resumes the training of another one, or of its members, see `resumed_net`."""
    if params.n_members == 1:
        return resumed_net(net, params, training)
    members = zip(members_of(net), _of_each(params, training), strict=True)
    return KLEnsemble([resumed_net(member, *own) for member, own in members], params.codistill_strength)


def check_structure(net: KLNet, params: NetParams) -> None:
    """See that what is resumed is what the parameters describe, see `net_factory.check_structure`.

    Raises
    ------
    ValueError
        If the number of members, or a parameter of the network, was changed.
    """
    members = members_of(net)
    if len(members) != params.n_members:
        allowed = f"{len(members)}, as in the training that is resumed"
        raise invalid_input("n_members", str(params.n_members), allowed, of="KLClassifier")
    net_factory.check_structure(members[0], params)


def with_own_parts(training: Training, rows: Rows, n_members: int, random_state: np.random.RandomState) -> Training:
    """Return a training in which each member has a validation part of its own, if that was set aside from the rows.

    Members share one that was given, and that beside which rows learn from other than their labels.
    """
    train, valid = training.data.train, training.data.valid
    if valid is None or len(train) + len(valid) != len(rows) or "teacher_proba" in train.columns:
        return training
    rows = rows.with_columns(number=None)
    numbers = validation_parts(rows.codes.cpu().numpy(), valid.codes.cpu().numpy(), n_members, random_state)
    parts = tuple(_split(rows, part) for part in numbers)
    return replace(training, data=parts[0], parts=parts)


def validation_parts(
    codes: np.ndarray, of_one: np.ndarray, n_parts: int, random_state: np.random.RandomState
) -> list[np.ndarray]:
    """Return the numbers of the rows of several validation parts, which together have each row about equally often.

    The rows of a class, in random order, are dealt one part after the other, over and over: the numbers of parts that
    two of them are in differ by one at most. All parts have as many rows, and as many of each class.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,) or (n_rows, n_labels)
        Class codes.
    of_one : ndarray of shape (n_valid,) or (n_valid, n_labels)
        Class codes of one part, whose shares of the classes all get; a part that is not stratified gives its size.
    n_parts : int
        Number of parts.
    random_state : RandomState
        Source of the order.
    """
    dealt = [
        _dealt(random_state.permutation(group), n_rows, n_parts) for group, n_rows in _groups(codes, of_one) if n_rows
    ]
    return [np.sort(np.concatenate(part)) for part in zip(*dealt, strict=True)]


def _groups(codes: np.ndarray, of_one: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Return groups of row numbers, and how many of each a part has: the classes, or all rows that it may have."""
    if codes.ndim == 2:
        return [(np.arange(len(codes)), len(of_one))]
    counts = np.bincount(codes)
    pool = np.flatnonzero(counts[codes] > 1)
    if not can_stratify(codes[pool], len(of_one)):
        return [(pool, len(of_one))]
    return [(np.flatnonzero(codes == code), int((of_one == code).sum())) for code in np.flatnonzero(counts > 1)]


def _dealt(rows: np.ndarray, n_each: int, n_parts: int) -> np.ndarray:
    """Return rows in turn, of shape (n_parts, n_each)."""
    return rows[np.arange(n_parts * n_each).reshape(n_parts, n_each) % len(rows)]


def _split(rows: Rows, valid: np.ndarray) -> TrainingSet:
    train = np.setdiff1d(np.arange(len(rows)), valid)
    return TrainingSet(*(rows.part(torch.from_numpy(numbers)) for numbers in (train, valid)))


def _of_each(params: NetParams, training: Training) -> list[tuple[NetParams, Training]]:
    """Return the parameters and the training of each member; the first shows the progress."""
    sets = training.parts or [training.data] * params.n_members
    quiet = replace(params, verbose=0)
    return [(quiet if number else params, replace(training, data=own, parts=())) for number, own in enumerate(sets)]
