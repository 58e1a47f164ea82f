"""What a case may do: give sound predictions, or refuse its input in words; and leave all else as it was."""

import dis
import pickle
import random
import re
import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import sklearn
import torch
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning
from sklearn.utils import validation

import sklkl

OURS, SKLEARN, TESTS = (str(Path(file).parent) for file in (sklkl.__file__, sklearn.__file__, __file__))
TOOLS = tuple(f"{SKLEARN}/{name}" for name in ("base.py", "utils", "model_selection"))
# What a refusal has to name: an argument, or a parameter in quotation marks or as a word.
NAMED = re.compile(
    r"\b[XyYPQpq]\b|'\w+'|\w+_\w+|labels|classes|teacher|module|learning rate|"
    r"samples|features|inputs|array-like|data passed|\w+="
)
DOCUMENTED = (ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning)


def fault(case):
    """Return what is wrong with what a case does, in words; None if nothing is."""
    before, state = list(map(snapshot, case.given)), global_state()
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            case.act()
        except Exception as raised:
            error = raised
    torch.set_warn_always(always)
    found = [f"warns {w.category.__name__}: {w.message} ({w.filename}:{w.lineno})" for w in caught if is_stray(w, case)]
    if error is not None and not is_refusal(error, case):
        found.append("raises " + "".join(traceback.format_exception(error, limit=-3)))
    if list(map(snapshot, case.given)) != before:
        found.append("changes what it was given")
    changed = [name for name, value in global_state().items() if value != state[name]]
    return "\n".join([*found, *(f"changes {name}" for name in changed)]) or None


def is_refusal(error, case):
    """Whether an error is ValueError or TypeError, raised on purpose by this package or by scikit-learn's checks."""
    trace = error.__traceback__
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace)]
    while trace.tb_next is not None:
        trace = trace.tb_next
    # what numpy and torch raise comes from a call, not from a statement
    on_purpose = dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"
    in_words = files[-1] == validation.__file__ or bool(NAMED.search(str(error)))
    ours = on_purpose and in_words and files[-1].startswith((OURS, SKLEARN))
    return (case.foreign and is_foreign(files)) or (ours and isinstance(error, (ValueError, TypeError)))


def is_foreign(files):
    """Whether the last of these files, in the order of their calls, are those of a model of scikit-learn's."""
    own = max(number for number, file in enumerate(files) if file.startswith((OURS, TESTS)))
    models = [file for file in files[own + 1 :] if file.startswith(SKLEARN) and not file.startswith(TOOLS)]
    return bool(models)


def is_stray(warning, case):
    """Whether a warning is neither a documented one nor a UserWarning of this package or scikit-learn."""
    if issubclass(warning.category, DOCUMENTED) or (case.foreign and not warning.filename.startswith((OURS, TESTS))):
        return False
    ours = warning.filename.startswith((OURS, SKLEARN, TESTS)) and bool(NAMED.search(str(warning.message)))
    return not (ours and warning.category is UserWarning) or "torch" in str(warning.message)


def snapshot(value):
    """Return bytes that are the same as long as an object of the caller is."""
    if sparse.issparse(value):
        entries = value.tocoo(copy=True)
        value = (value.format, value.shape, np.array(entries.row), np.array(entries.col), entries.data)
    elif isinstance(value, (pd.DataFrame, pl.DataFrame)):
        value = (list(value.columns), list(map(str, value.dtypes)), value.to_numpy())
    elif isinstance(value, (pd.Series, pl.Series)):
        value = (str(value.dtype), value.to_numpy())
    try:
        if isinstance(value, torch.nn.Module):
            value = [(name, tensor.detach().numpy()) for name, tensor in value.state_dict().items()]
        return pickle.dumps(value)
    except Exception:  # generators, layers that wait for their first input
        return b""


def global_state():
    """Return what a call must leave as it was."""
    return {
        "numpy's random state": np.random.get_state()[1].tobytes() + bytes(np.random.get_state()[2] % 256),
        "torch's random state": torch.get_rng_state().numpy().tobytes(),
        "Python's random state": random.getstate(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "numpy's error handling": np.geterr(),
    }


def assert_predicts(clf, X):
    """Fail unless a fitted classifier predicts finite float64 probabilities, and labels from ``classes_``."""
    proba, labels = clf.predict_proba(X), clf.predict(X)
    assert proba.dtype == np.float64
    assert proba.ndim == 2
    assert proba.shape[1] == len(clf.classes_)
    assert np.isfinite(proba).all()
    assert ((proba >= 0) & (proba <= 1)).all()
    if labels.ndim == 2:  # an indicator
        assert labels.shape == proba.shape
        assert np.isin(labels, [0, 1]).all()
        return
    assert labels.shape == (len(proba),)
    assert np.isin(labels, clf.classes_).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-9)


def assert_numbers(values, *, low=-np.inf):
    """Fail unless values are numbers >= low; infinity is one, NaN is none."""
    values = np.asarray(values, dtype=np.float64)
    assert (values >= low).all(), f"Got {values.min()}."
