"""Large tables are trained on where and as they are: the same training, and little memory beyond them."""

import tracemalloc

import numpy as np
import pytest

from sklkl._fit import in_place
from sklkl.data import _batches, _rows
from sklkl.modules import _input_scaling


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


KINDS = {
    "as it is": lambda X, folder: X,
    "Fortran order": lambda X, folder: np.asfortranarray(X),
    "float64": lambda X, folder: X.astype(np.float64),
    "memory map": mapped,
    "memory map of float64": lambda X, folder: mapped(X.astype(np.float64), folder),
    "memory map of integers": lambda X, folder: mapped(np.round(X).astype(np.int16), folder),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
@pytest.mark.parametrize("params", [{}, {"n_members": 2}, {"early_stopping": False}], ids=str)
def test_the_training_is_that_on_a_copy(quick, make_table, tmp_path, monkeypatch, kind, params):
    X, y = make_table(300)
    weight = np.arange(300) % 3
    given = KINDS[kind](X.astype(np.float32), tmp_path)
    expected = quick(**params).fit(np.array(given, dtype=np.float32, order="C"), y, weight).predict_proba(X)
    monkeypatch.setattr(_rows, "LARGE", 0)
    clf = quick(**params).fit(given, y, weight)
    # float32: the logits are near 1, to seven digits, after 9 steps
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-4)


def test_what_is_too_large_for_the_type_is_refused(quick, make_table, monkeypatch):
    monkeypatch.setattr(_rows, "LARGE", 0)
    X, y = make_table(300)
    X[200, 3] = 1e300
    with pytest.raises(ValueError, match="infinity or a value too large for dtype..float32"):
        quick().fit(X, y)


@pytest.fixture
def smaller(monkeypatch):
    """Return ``smaller(share)``, by which what counts as large, and what is held at a time, is that much less."""

    def change(share):
        monkeypatch.setattr(_batches, "_GATHER_ELEMENTS", int(share * 2**18))
        for module, name in ((_rows, "LARGE"), (_input_scaling, "MOST_ROWS"), (in_place, "_AT_ONCE")):
            monkeypatch.setattr(module, name, int(share * getattr(module, name)))

    return change


@pytest.mark.parametrize(
    ("kind", "n_rows", "share"),
    [
        ("Fortran order", 25_000, 0.1),
        ("float64", 25_000, 0.1),
        ("memory map", 100_000, 1),
        ("memory map of integers", 25_000, 0.1),
    ],
)
def test_a_fit_takes_little_memory_beyond_its_rows(quick, tmp_path, kind, n_rows, share, smaller):
    smaller(share)
    X = np.random.RandomState(0).standard_normal((n_rows, 50)).astype(np.float32)
    X, y = KINDS[kind](X, tmp_path), np.arange(n_rows) % 2
    clf = quick(max_epochs=1, early_stopping=True, batch_size=n_rows // 20, dropout=0.0)
    clf.fit(X[:300], y[:300])  # imports are none of its memory
    tracemalloc.start()
    try:
        clf.fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 160 * n_rows  # a copy takes 200 bytes a row; to split class codes takes 84
