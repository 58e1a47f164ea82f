"""``partial_fit``: a call trains for one pass over its rows, or is known by a checkpoint to have been learned from.

The checkpoint of a stream has the network after so many calls and a fingerprint of all that was given in them, which
is rolled from call to call, so it takes as much room after a million calls as after one.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sklkl._fit.attempt import Attempt, Previous
from sklkl._fit.checkpoint import FORMAT, REMOVE, file_at, place_of, read_checkpoint, write_or_warn
from sklkl._fit.comparison import Described, differences, what_is_fitted, what_is_learned
from sklkl._fit.fitting import fit_net
from sklkl._fit.inputs import is_first_call
from sklkl._fit.parameters import FitData, FitParams
from sklkl._fit.stored import POSITION
from sklkl._utils.fingerprints import fingerprint
from sklkl.net import KLNet, members_of
from sklkl.net._training_state import ended_state

_PARTS = {"first", "marks", "random_state", "members"}

# After each of so many first calls of a stream there is a mark.
_FIRST = 64


def fit_stream(attempt: Attempt, params: FitParams, data: FitData, classes: Any) -> None:
    """Let an estimator's draft learn from the rows of a call of ``partial_fit``.

    Parameters
    ----------
    attempt : Attempt
        The call.
    params : FitParams
        Validated parameters.
    data : FitData
        What was given to it.
    classes : array-like or None
        All labels, as given.

    Raises
    ------
    ValueError
        If the checkpoint is that of another stream; else as :meth:`sklkl.KLClassifier.partial_fit`.
    """
    draft = attempt.draft
    previous = None if is_first_call(draft, classes) else Previous(draft.net_, draft.classes_)
    if params.checkpoint.checkpoint is None:
        draft.__dict__.pop(POSITION, None)
        _train(attempt, params, data, previous)
        return
    before, described = _position_of(draft, params), what_is_learned(params, data)
    found = None
    if before is None:
        before, found = _begun(params, data, previous, draft.classes_)
    position = before.after(described)
    setattr(draft, POSITION, asdict(position))  # plain data, so that copies and files of the estimator have it too
    if position.n_calls > before.n_learned:
        _train(attempt, params, data, previous)
        if position.n_calls % params.checkpoint.checkpoint_every == 0:
            setattr(draft, POSITION, asdict(_written(position, draft.net_, params)))
    elif found is not None:
        _restore(attempt, params, data, previous, found)


def _train(attempt: Attempt, params: FitParams, data: FitData, previous: Previous | None, **more: Any) -> None:
    draft = attempt.draft
    kept = params.checkpoint.checkpoint is not None
    try:
        trained = fit_net(attempt, params, data, previous=previous, classes=draft.classes_, stream=True, **more)
        if trained.interrupted and kept:
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        if kept:  # a call was learned from by all networks or by none
            attempt.trainings.clear()
        raise
    trained.publish(draft)


@dataclass(frozen=True)
class Position:
    """How far an estimator has come in a stream.

    Parameters
    ----------
    place, file : str
        The parameter ``checkpoint``, and the file that it means.
    first : dict
        What was fitted to what in the first call.
    n_learned : int
        From how many calls the network has learned, in this process or another one.
    marks : list of [int, str]
        The fingerprints after each of the first calls, then after 128, 256, ... of them and after the last one: another
        stream is found out early.
    n_calls : int
        How many calls there were in this process.
    digest : str
        The fingerprint after them.
    known : tuple of int or None
        The file as this estimator has found or written it; None before there is one.
    """

    place: str
    file: str
    first: Described
    n_learned: int = 0
    marks: tuple[tuple[int, str], ...] = ()
    n_calls: int = 0
    digest: str = ""
    known: tuple[int, int, int] | None = None

    def after(self, described: Described) -> Position:
        """Return the position after a call, in which that was given.

        Raises
        ------
        ValueError
            If it, or what was given in a call before, is not what the network has learned from.
        """
        n_calls = self.n_calls + 1
        digest = str(fingerprint((self.digest, [own for own, _ in described.values()])))
        if n_calls > self.n_learned:
            marks = [mark for mark in self.marks if mark[0] <= _FIRST or mark[0].bit_count() == 1]
            marks.append((n_calls, digest))
            return replace(self, n_calls=n_calls, digest=digest, n_learned=n_calls, marks=tuple(marks))
        self._check(n_calls, digest)
        return replace(self, n_calls=n_calls, digest=digest)

    def _check(self, n_calls: int, digest: str) -> None:
        if dict(self.marks).get(n_calls, digest) != digest:
            same = max((number for number, _ in self.marks if number < n_calls), default=0)
            raise ValueError(
                f"The checkpoint {self.file!r} is that of another stream: rows or parameters of the calls of "
                f"partial_fit from {same + 1} to {n_calls} are not those that were learned. {REMOVE}"
            )


def _position_of(estimator: Any, params: FitParams) -> Position | None:
    """Return how far an estimator has come in the stream of this checkpoint; None if it has not begun."""
    kept = vars(estimator).get(POSITION)
    if kept is None or kept["place"] != _place(params):
        return None
    marks = tuple((number, digest) for number, digest in kept["marks"])  # lists, if they come from a file
    known = kept["known"] and tuple(kept["known"])
    return Position(**{**kept, "marks": marks, "known": known})


def _place(params: FitParams) -> str:
    return os.fsdecode(params.checkpoint.checkpoint or "")


def _begun(
    params: FitParams, data: FitData, previous: Previous | None, classes: np.ndarray
) -> tuple[Position, dict[str, Any] | None]:
    """Return the position at the beginning of a stream, and what the file has that is there.

    Raises
    ------
    ValueError
        If it is that of another stream, or no checkpoint of one.
    """
    described = what_is_fitted(params, data, None if previous is None else previous.net, None, None)
    first = {**described, "classes": (str(fingerprint(classes)), str(classes.tolist()))}
    file = place_of(params, first)
    begun = Position(_place(params), file, first)
    if not os.path.exists(file):
        return begun, None
    found, known = read_checkpoint(file, _PARTS, "a stream of partial_fit")
    others = differences(found["first"], first)
    if others:
        raise ValueError(f"The checkpoint {file!r} is that of another stream: {'; '.join(others)}. {REMOVE}")
    return replace(begun, n_learned=found["marks"][-1][0], marks=tuple(found["marks"]), known=known), found


def _restore(
    attempt: Attempt, params: FitParams, data: FitData, previous: Previous | None, found: dict[str, Any]
) -> None:
    """Let the network be made as it was in the first call, and have learned what it had in the last.

    Warns
    -----
    UserWarning
        If there were more calls than this one: what is predicted before they are repeated is not what it was then.
    """
    n_calls = found["marks"][-1][0]
    if n_calls > 1:
        warnings.warn(
            f"The checkpoint has learned from {n_calls} calls of partial_fit. They are skipped when they are repeated, "
            "and until then predictions and scores are those of the network after all of them.",
            UserWarning,
            stacklevel=5,
        )
    _train(attempt, params, data, previous, learned=found["members"])
    if found["random_state"] is not None:
        params.random_state.set_state(found["random_state"])


def _is_of_another(position: Position) -> bool:
    """Whether the file is of other calls; a copy is not, nor what an interrupted call has written."""
    if file_at(position.file) in (None, position.known):
        return False
    found, _ = read_checkpoint(position.file, _PARTS, "a stream of partial_fit")
    own = dict(position.marks)
    return any(own.get(number, digest) != digest for number, digest in found["marks"])


def _written(position: Position, net: KLNet, params: FitParams) -> Position:
    """Write the checkpoint, unless that is another estimator's, and return the position that knows the file.

    Warns
    -----
    UserWarning
        If the file cannot be written, or another estimator or process writes it, to which it is left.
    """
    if _is_of_another(position):
        why = "is written by another estimator or process, whose first call was the same, and is left to that"
        warnings.warn(f"The checkpoint {position.file!r} {why}.", UserWarning, stacklevel=5)
        return position
    own = params.random_state
    content = {
        "format": FORMAT,
        "first": position.first,
        "marks": list(position.marks),
        "random_state": own.get_state() if isinstance(own, np.random.RandomState) else None,
        "members": [ended_state(member) for member in members_of(net)],
    }
    write_or_warn(position.file, content)
    return replace(position, known=file_at(position.file))
