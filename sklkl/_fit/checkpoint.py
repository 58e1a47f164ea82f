"""The checkpoint of a fit: a file that holds how far it has come, for the next one of the same data and parameters.

Of the data it holds no rows: what is made of them is made again, from the random state with which the fit began. What
a teacher has said of them is in the file, as it may be dear, or say something else when it is asked again.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from sklkl._fit.comparison import Described, check_comparable, differences, what_is_fitted
from sklkl._fit.parameters import FitData, FitParams
from sklkl._fit.soft_targets import Settled, SoftTargets
from sklkl._fit.training_set import Training
from sklkl._utils.checks import invalid, invalid_input
from sklkl._utils.fingerprints import fingerprint
from sklkl._utils.plain_file import from_bytes, to_bytes
from sklkl._utils.ranks import active_ranks
from sklkl._utils.replacing import replace_file
from sklkl._utils.seeding import local_random_state
from sklkl.net import KLEnsemble, KLNet, members_of
from sklkl.net._training_state import ended_state, restore_ended

# The number goes up when what is stored is no longer understood by code that knows the one before.
FORMAT = 1

# Which file there is at a place, by number, size and time: each write makes another one.
_File = tuple[int, int, int]
# The last ones that this process has written, by place: fits of the same data and parameters share one.
_WRITTEN: dict[str, _File] = {}

_PARTS = {"described", "begun_with", "drawn_with", "settled", "generation", "targets", "state", "ended", "n_together"}
REMOVE = "Pass the same, or another 'checkpoint', or a folder, which has a file for each fit; or remove the file."


class FitCheckpoint:
    """How far a fit has come, in a file, if there is one.

    Parameters
    ----------
    path : str or None
        The file; None keeps nothing.
    every : int
        Every how many epochs it is written.
    described : dict
        What is fitted to what.

    Attributes
    ----------
    state : dict or None
        State of the training from which this fit goes on.
    n_together : int
        How many networks were trained as one stack with that of this fit, itself included.
    """

    def __init__(self, path: str | None = None, every: int = 1, described: Described | None = None) -> None:
        self.path, self.every, self.described = path, every, described or {}
        self.generation, self.targets, self.n_together = 0, list[Tensor](), 1
        self.settled: Settled | None = None
        self.state: dict[str, Any] | None = None
        self.ended: list[dict[str, Any]] | None = None
        self._begun_with: Any = None
        self._drawn_with: Any = None
        # the file as this fit knows it, None before there is one
        self._known: _File | None = None
        self._is_left = False
        if path is not None and os.path.exists(path):
            found, self._known = read_checkpoint(path, _PARTS, "a fit")
            self._take(found)

    def _take(self, found: dict[str, Any]) -> None:
        """Go on with what was kept, or begin anew where that is another fit that has ended."""
        others = differences(found["described"], self.described)
        if others and found["ended"] is None:
            raise ValueError(f"The checkpoint {self.path!r} is that of another fit: {'; '.join(others)}. {REMOVE}")
        if others:
            return
        self.generation, self.targets, self.state = found["generation"], found["targets"], found["state"]
        self.n_together = found["n_together"]
        self.settled = None if found["settled"] is None else Settled(*found["settled"])
        self.ended, self._begun_with, self._drawn_with = found["ended"], found["begun_with"], found["drawn_with"]

    def begun(self, params: FitParams) -> FitParams:
        """Return parameters by which a fit begins with the random state of the one that it goes on with."""
        random_state = local_random_state(params.random_state)
        if self._begun_with is not None:
            random_state.set_state(self._begun_with)
        self._begun_with = random_state.get_state()
        return replace(params, random_state=random_state)

    def begin_generation(self, generation: int, random_state: np.random.RandomState) -> None:
        """Let the net of a later generation be made with the random state of the one that it goes on with."""
        if self._drawn_with is not None and generation == self.generation:
            random_state.set_state(self._drawn_with)
        elif self.path is not None:
            self._drawn_with = random_state.get_state()

    def settle(self, soft_targets: SoftTargets, training: Training) -> None:
        """Remember what was found out before the training, or see that the rows are those of which it was.

        Raises
        ------
        ValueError
            If synthetic rows are others than before.
        """
        rows, columns = training.data.train, training.data.train.columns
        digest = str(fingerprint(rows.X))
        if self.settled is not None and digest != self.settled.rows:
            allowed = "a function of its arguments alone, which with a 'checkpoint' makes the same rows again"
            raise invalid_input("augment", "other rows than before", allowed, of="KLClassifier")
        proba, known = columns.get("teacher_proba"), training.data.known_classes
        drawn = soft_targets.random_state_after
        self.settled = Settled(training.distill_weight, soft_targets.share, drawn, digest, proba, known)

    def begin_training(self, generation: int, targets: Sequence[Tensor]) -> FitCheckpoint | None:
        """Return what keeps the state of the training of a generation, which learns from these targets; None if none.

        Raises
        ------
        OSError
            If the file cannot be written.

        Warns
        -----
        UserWarning
            If another process has written it since this fit has looked, to which it is left.
        """
        if self.path is None:
            return None
        if self.state is None or generation > self.generation:
            self.generation, self.targets, self.state = generation, list(targets), None
            if not self._is_left_to_others():
                self._write(None)
        return self

    def keep(self, state: dict[str, Any]) -> None:
        """Write the state of the training; if that fails, the file is as it was, and training goes on.

        Warns
        -----
        UserWarning
            If the file cannot be written, or another process writes it, to which it is left.
        """
        if self._is_left_to_others():
            return
        with _told_of(self.path):
            self._write(state)

    def end(self, net: KLNet) -> None:
        """Write what was learned; see `keep`."""
        if self.path is not None:
            self.ended = [ended_state(member) for member in members_of(net)]
            self.keep({})

    def remove(self) -> None:
        """Remove the file, which is of no more use, unless it is left to another process."""
        if self.path is not None and not self._is_left_to_others():
            with suppress(FileNotFoundError):
                os.unlink(self.path)

    def restore(self, net: KLNet, training: Training) -> None:
        """Let a net have learned what was learned in a fit that has ended."""
        assert self.ended is not None
        if isinstance(net, KLEnsemble):
            net.take_over(training.parts or [training.data] * len(self.ended), self.ended)
        else:
            restore_ended(net, training.data, self.ended[0])

    def _is_left_to_others(self) -> bool:
        """Whether there is a file that neither this fit nor its process knows; it is left as it is from then on."""
        found = None if self.path is None else file_at(self.path)
        if not self._is_left and found not in (None, self._known, _WRITTEN.get(str(self.path))):
            self._is_left = True
            why = "is written by another process too, and is left to that; training goes on"
            warnings.warn(f"The checkpoint {self.path!r} {why}.", UserWarning, stacklevel=3)
        return self._is_left

    def _write(self, state: dict[str, Any] | None) -> None:
        assert self.path is not None
        settled = None if self.settled is None else tuple(self.settled)
        content = {
            "format": FORMAT,
            "described": self.described,
            "begun_with": self._begun_with,
            "drawn_with": self._drawn_with,
            "settled": settled,
            "generation": self.generation,
            "targets": self.targets,
            "state": state,
            "ended": self.ended,
            "n_together": self.n_together,
        }
        replace_file(self.path, to_bytes(content))
        self._known = file_at(self.path)
        if self._known is not None:
            _WRITTEN[self.path] = self._known


NO_CHECKPOINT = FitCheckpoint()


def checkpoint_of(
    params: FitParams,
    data: FitData,
    previous: KLNet | None = None,
    same_data: Described | None = None,
    halved_with: Any = None,
) -> FitCheckpoint:
    """Return the checkpoint of a fit, with what it can go on with.

    Parameters
    ----------
    params : FitParams
        Validated parameters.
    data : FitData
        What was given to ``fit``.
    previous : KLNet or None
        A net whose training is to be resumed.
    same_data : dict or None
        What is known of another fit to the same data.
    halved_with : object
        Whom the net competes with, if only the better ones are trained to the end.

    Raises
    ------
    ValueError
        If there is the checkpoint of another fit that has not ended, or a file that is damaged or none; if a folder
        was given and no seed; if several processes train one network.
    TypeError
        If the data, or for a file in a folder a parameter, cannot be compared with those of another process.
    FileNotFoundError
        If the folder in which the file is to be is not there.
    """
    if params.checkpoint.checkpoint is None:
        return NO_CHECKPOINT
    described = what_is_fitted(params, data, previous, same_data, halved_with)
    return FitCheckpoint(place_of(params, described), params.checkpoint.checkpoint_every, described)


def place_of(params: FitParams, described: Described) -> str:
    """Return the file in which what is fitted to what is kept; in a folder, which is made, its own.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        As `checkpoint_of`.
    """
    path = os.fsdecode(params.checkpoint.checkpoint or "")
    if active_ranks() is not None:
        allowed = "None where several processes train one network, each with random numbers of its own"
        raise invalid("checkpoint", path, allowed, of="KLClassifier")
    if not is_folder(path):
        _check_place(path)
        return path
    if params.random_state is None:
        allowed = "an int or a RandomState where 'checkpoint' is a folder, in which a fit finds its file by it"
        raise invalid("random_state", None, allowed, of="KLClassifier")
    check_comparable(described)
    os.makedirs(path, exist_ok=True)
    return _file_in(path, described)


def checkpoint_of_stack(checkpoints: Sequence[FitCheckpoint]) -> FitCheckpoint:
    """Return the checkpoint of fits that are trained as one stack, in the folder where each has its own.

    Fits without a folder, which would all have one file, have none.
    """
    paths = {checkpoint.path for checkpoint in checkpoints}
    if None in paths or len(paths) < max(2, len(checkpoints)):
        return NO_CHECKPOINT
    paths_and_all = enumerate(checkpoint.path for checkpoint in checkpoints)
    described = {f"fit {number}": (os.path.basename(str(path)), "") for number, path in paths_and_all}
    path = _file_in(os.path.dirname(str(checkpoints[0].path)), described)
    return FitCheckpoint(path, max(checkpoint.every for checkpoint in checkpoints), described)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path is that of a folder, or is to become one, as the separator at its end says."""
    return os.path.isdir(path) or os.fsdecode(path).endswith(os.sep)


def leave_file(classifier: Any) -> None:
    """Let a classifier leave the file of its checkpoint to another training; in a folder each has its own."""
    if classifier.checkpoint is not None and not is_folder(classifier.checkpoint):
        classifier.set_params(checkpoint=None)


def _check_place(path: str) -> None:
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, f"The folder of the 'checkpoint' {path!r} is not there", folder)


def _file_in(folder: str, described: Described) -> str:
    name = fingerprint({name: digest for name, (digest, _) in described.items()})
    return os.path.join(folder, f"{name}.checkpoint")


def file_at(path: str) -> _File | None:
    """Return which file is at a place; None if there is none."""
    try:
        return _file_of(os.stat(path))
    except FileNotFoundError:
        return None


def _file_of(found: os.stat_result) -> _File:
    return found.st_ino, found.st_size, found.st_mtime_ns


def write_or_warn(path: str, content: dict[str, Any]) -> None:
    """Write a checkpoint; if that fails, the file is as it was, and a warning says so."""
    with _told_of(path):
        replace_file(path, to_bytes(content))


@contextmanager
def _told_of(path: str | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"The checkpoint {path!r} could not be written ({error}) and is as it was; training goes on."
        warnings.warn(message, UserWarning, stacklevel=4)


def read_checkpoint(path: str, parts: Collection[str], kind: str) -> tuple[dict[str, Any], _File]:
    """Return what the checkpoint of a fit, or of another kind of training, has: these parts; and which file it is.

    Raises
    ------
    ValueError
        If the file is damaged, or has another kind or format.
    """
    with open(path, "rb") as file:
        data, known = file.read(), _file_of(os.fstat(file.fileno()))
    try:
        content: dict[str, Any] = from_bytes(data)
        number = content["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(path, error) from error
    if number != FORMAT:
        raise ValueError(f"The checkpoint {path!r} is of format {number!r}; this version knows {FORMAT}. {REMOVE}")
    if not content.keys() >= set(parts):
        raise _unusable(path, f"its parts are {', '.join(map(str, content))}, which are not those of {kind}")
    return content, known


def _unusable(path: str, why: object) -> ValueError:
    return ValueError(f"The 'checkpoint' {path!r} is damaged, or no checkpoint: {why}. Pass another one, or remove it.")
