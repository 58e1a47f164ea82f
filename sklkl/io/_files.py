"""``save`` and ``load``: skops, with the integrity of the file checked first and the old file replaced in one step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sklkl._fit.stored import optimizer_kept
from sklkl._utils.optional import optional
from sklkl._utils.replacing import replace_file
from sklkl.io._archive import check_archive
from sklkl.io._keys import check_keys
from sklkl.io._requests import register_requests
from sklkl.io._trusted import trusted_types

__all__ = ["load", "save"]


def save(estimator: Any, path: str | os.PathLike[str], *, with_optimizer: bool = False) -> None:
    """Store a fitted estimator in a file without pickle.

    The file is one of skops, which ``skops.io.load`` reads too: a zip archive of JSON and NumPy arrays. It holds what
    predicts, the parameters, the history, and no training rows, unless a part of the estimator keeps them itself. At
    any moment there is the old file or the new one, whole; the rights of the old one are kept.

    Parameters
    ----------
    estimator : estimator
        A :class:`sklkl.KLClassifier`, a :class:`sklkl.Distiller`, a search or a pipeline with them, or any other
        estimator that skops can store.
    path : str or path-like
        Where to.
    with_optimizer : bool, default=False
        Whether to store what the optimiser remembers too, two numbers more for each weight: training that is resumed
        after loading then goes on as if it had not been stored.

    Raises
    ------
    ImportError
        If skops is not installed.
    TypeError
        If a part of the estimator cannot be stored without pickle, such as a lambda, a network that was passed as an
        instance, or a dict whose keys are booleans or None (that of ``class_weight`` can).
    OSError
        If the file cannot be written. What was there before is as it was.

    See Also
    --------
    sklkl.load : Read such a file.

    Examples
    --------
    >>> import tempfile
    >>> import sklkl
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = sklkl.KLClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sklkl.save(clf, f"{folder}/iris.skops")
    ...     loaded = sklkl.load(f"{folder}/iris.skops")
    >>> bool((loaded.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    skops = optional("skops.io", "skops")
    register_requests()
    with optimizer_kept(with_optimizer):
        try:
            data = skops.dumps(estimator)
        except RecursionError as error:
            found = "a part of it refers back to what it is a part of"
            raise TypeError(f"{type(estimator).__name__} cannot be stored without pickle, as {found}") from error
        except RuntimeError as error:  # torch's, of a part that is a tensor
            found = f"a part of it is torch's own: {error}"
            raise TypeError(f"{type(estimator).__name__} cannot be stored without pickle, as {found}") from error
    check_keys(data)
    replace_file(os.fsdecode(path), data)


def load(path: str | os.PathLike[str], trusted: Sequence[str | type] = ()) -> Any:
    """Read an estimator from a file that :func:`sklkl.save` or skops wrote.

    Nothing is imported because a file says so: objects are made of types that skops trusts, of this package's own, of
    scikit-learn's searches and calibrations, and of those that ``trusted`` names. The file's checksums and the sizes of
    its arrays are checked first.

    Parameters
    ----------
    path : str or path-like
        Where from.
    trusted : sequence of str or type, default=()
        Further types, by their full names or as such: the class of a network of your own, for example.

    Returns
    -------
    estimator
        A fitted estimator. In the same process and on the same device it predicts what the stored one did, to the bit.

    Raises
    ------
    ImportError
        If skops is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, is no such file, or was written by a version of this package whose format is not known.
    TypeError
        If it names types that are not trusted.

    See Also
    --------
    sklkl.save : Write such a file, with an example.

    Examples
    --------
    >>> import tempfile
    >>> import sklkl
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     unfitted = sklkl.KLClassifier(kl_strength=0.1)
    ...     sklkl.save(unfitted, f"{folder}/unfitted.skops")
    ...     sklkl.load(f"{folder}/unfitted.skops")
    KLClassifier(kl_strength=0.1)
    """
    skops = optional("skops.io", "skops")
    refused = optional("skops.io.exceptions", "skops").UntrustedTypesFoundException
    known = [*trusted_types(), *([trusted] if isinstance(trusted, (str, type)) else trusted)]
    with open(path, "rb") as file:
        data = file.read()
    try:
        check_archive(data)
        return skops.loads(data, trusted=known)
    except refused as error:
        error.add_note(f"They are in the file {os.fspath(path)!r}. Those that you know and trust go into 'trusted'.")
        raise
    except Exception as error:  # whatever is wrong with a file that anybody may have written
        found = f"{type(error).__name__}: {error}"
        raise ValueError(f"The file {os.fspath(path)!r} is damaged, or no file of sklkl's: {found}") from error
