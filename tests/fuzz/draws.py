"""Random inputs, labels and weights, from a seed: a shape, values and what they are in, mostly ordinary, some odd."""

import tempfile
import warnings

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse

NAN, INF = float("nan"), float("inf")
N_FEATURES, N_CLASSES = 4, 3


class Draw:
    """Choices from a seed, and what was chosen in words."""

    def __init__(self, seed):
        self.random, self.words, self.given = np.random.RandomState(seed), [], []

    def chance(self, probability):
        return self.random.uniform() < probability

    def one(self, options, what=""):
        names = list(options)
        name = names[self.random.randint(len(names))]
        self.words.append(f"{what}{name}" if isinstance(options, dict) else f"{what}{name!r:.80}")
        return options[name] if isinstance(options, dict) else name

    def odd(self, options, what="", odd=0.3):
        """Return one of the options with this probability, the first of them else."""
        return self.one(options, what) if self.chance(odd) else next(iter(options.values()))

    def keep(self, value):
        self.given.append(value)
        return value


# Inputs: a shape, its values, what they are in

SHAPES = {
    "table": (36, N_FEATURES),
    "one row": (1, N_FEATURES),
    "two rows": (2, N_FEATURES),
    "no rows": (0, N_FEATURES),
    "one column": (36, 1),
    "no columns": (36, 0),
    "wide": (12, 300),
    "1-D": (36,),
    "3-D": (24, 3, 2),
    "0-D": (),
    "250 rows": (250, N_FEATURES),
}


def with_one(value):
    def changed(X):
        X = X.copy()
        X.flat[: min(1, X.size)] = value
        return X

    return changed


VALUES = {
    "normal": lambda X: X,
    "counts": lambda X: np.floor(np.abs(3 * X)),
    "zeros": lambda X: 0 * X,
    "constant": lambda X: 0 * X + 7,
    "binary": lambda X: (X > 0).astype(float),
    **{f"x {scale:g}": lambda X, s=scale: X * s for scale in (1e-300, 1e-30, 1e4, 1e19, 1e30, 1e38, 1e300)},
    **{f"+ {offset:g}": lambda X, o=offset: X + o for offset in (1e4, 1e8, 1e30)},
    "columns of all sizes": lambda X: X * 10.0 ** (20 * (np.arange(X.size).reshape(X.shape) % 4) - 30),
    **{f"one {value}": with_one(value) for value in (NAN, INF, -INF, 1e30, 1e300)},
}


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def memmap(X):
    # anonymous: the file is gone with the last reference to it
    values = np.memmap(tempfile.TemporaryFile(), X.dtype, "w+", shape=X.shape) if X.size else X  # noqa: SIM115
    values[...] = X
    return values


def unaligned(X):
    values = np.zeros(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
    values[...] = X
    return values


def with_names(names):
    return lambda X: pd.DataFrame(X, columns=names(X.shape[1]))


def with_missing(kind):
    def make(X):
        frame = pd.DataFrame(X).astype(kind)
        if frame.size:
            frame.iloc[0, 0] = pd.NA
        return frame

    return make


# for arrays of any shape
ARRAYS = {
    "float64": lambda X: X,
    **{name: lambda X, n=name: X.astype(n) for name in ("f2", "f4", ">f8", ">i2", "longdouble", "i8", "i4", "u1", "?")},
    **{name: lambda X, n=name: X.astype(n) for name in ("O", "U", "S", "c16", "M8[s]", "m8[s]")},
    "strings": lambda X: X.astype(np.dtypes.StringDtype()),
    "records": lambda X: np.zeros(len(X), [("a", float), ("b", int)]),
    "F order": np.asfortranarray,
    "backwards": lambda X: X[::-1].copy()[::-1],
    "a part": lambda X: np.repeat(X, 2, axis=-1)[..., ::2],
    "broadcast": lambda X: np.broadcast_to(X[:1], X.shape),
    "read-only": read_only,
    "memmap": memmap,
    "unaligned": unaligned,
    "masked": lambda X: np.ma.MaskedArray(X, np.abs(X) > 1),
    "list": lambda X: X.tolist(),
    "tuple": lambda X: tuple(map(tuple, X)),
    "list of arrays": list,
    "ragged": lambda X: [row[: 1 + i % 3].tolist() for i, row in enumerate(X)],
    "ragged objects": lambda X: np.array([*(row[: 1 + i % 3] for i, row in enumerate(X)), None], dtype=object)[:-1],
    "list of texts": lambda X: [["a"] * X.shape[1]] * len(X),
    "list with None": lambda X: [[None, *row[1:]] for row in X.tolist()],
    "list of dicts": lambda X: [{"a": 1}] * len(X),
    "tensor": torch.tensor,
    "tensor with a history": lambda X: torch.tensor(X, requires_grad=True) * 1,
    "bfloat16": lambda X: torch.tensor(X, dtype=torch.bfloat16),
    "None": lambda X: None,
    "number": lambda X: 3.0,
    "text": lambda X: "abc",
    "dict": lambda X: {"a": [1]},
    "iterator": iter,
    "set": lambda X: {1, 2},
    "object()": lambda X: object(),
    "function": lambda X: len,
}
# for tables only
TABLES = {
    **{kind: lambda X, k=kind: sparse.coo_matrix(X).asformat(k) for kind in ("csr", "csc", "coo", "lil", "dok", "bsr")},
    "dia": lambda X: sparse.coo_matrix(X).asformat("dia"),
    "csr array": sparse.csr_array,
    "csr of float32": lambda X: sparse.csr_matrix(X.astype("f4")),
    "csr of integers": lambda X: sparse.csr_matrix(X.astype("i8")),
    "matrix": np.asmatrix,
    "frame": pd.DataFrame,
    "frame with names": with_names(lambda n: [f"x{i}" for i in range(n)]),
    "frame with mixed names": with_names(lambda n: ["a", *range(n - 1)][:n]),
    "frame with the same names": with_names(lambda n: ["a"] * n),
    **{
        f"frame of {k}": lambda X, k=k: pd.DataFrame(X).astype(k)
        for k in ("category", "str", "Float64", "Sparse[float]")
    },
    **{f"frame of {k} with NA": with_missing(k) for k in ("Float64", "object")},
    "frame with text": lambda X: pd.DataFrame(X).assign(text="a"),
    "frame with dates": lambda X: pd.DataFrame(X).assign(date=pd.Timestamp("2020-01-01")),
    "arrow frame": lambda X: pd.DataFrame(X).convert_dtypes(dtype_backend="pyarrow"),
    "polars": lambda X: pl.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])]),
    "polars with null": lambda X: pl.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])]).with_columns(z=None),
    "lazy polars": lambda X: pl.DataFrame(X).lazy(),
}


def inputs(d, odd=0.12):
    """Return X in some container, and its number of rows."""
    shape = d.odd(SHAPES, "X: ", odd)
    X = d.odd(VALUES, "X: ", odd)(d.random.standard_normal(shape))
    return d.keep(contained(d, X, odd)), len(X) if shape else 1


def contained(d, X, odd=0.3):
    kinds = ARRAYS | TABLES if X.ndim == 2 else ARRAYS
    return converted(X, d.odd(kinds, "in: ", odd))


def converted(values, kind):
    """Return values as another kind, or as they are where they cannot be that."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        try:
            return kind(values)
        except (TypeError, ValueError, OverflowError, IndexError, AttributeError):
            return values


# Labels: classes, what they are in

CLASSES = {
    "0, 1, 2": lambda c: c,
    "texts": lambda c: np.array(["b", "a", "c"])[c],
    "two": lambda c: c % 2,
    "one": lambda c: 0 * c,
    "booleans": lambda c: c == 0,
    "floats": lambda c: c.astype(float),
    "halves": lambda c: c / 2,
    "numbers far apart": lambda c: np.array([-(2**62), 0, 2**62])[c],
    "u8": lambda c: np.array([0, 2**63, 2**64 - 1], dtype=np.uint64)[c],
    "all different": lambda c: np.arange(len(c)),
    "a rare one": lambda c: np.where(np.arange(len(c)) == 0, 2, c % 2),
    "bytes": lambda c: np.array([b"b", b"a", b"c"])[c],
    "dates": lambda c: np.datetime64("2020-01-01") + c,
    "complex": lambda c: c * 1j,
    "with NaN": lambda c: np.where(np.arange(len(c)) == 1, NAN, c),
    "with inf": lambda c: np.where(np.arange(len(c)) == 1, INF, c),
    "with None": lambda c: np.array([None, *map(str, c[1:])], dtype=object),
    "mixed": lambda c: np.array(["a", *c[1:].tolist()], dtype=object),
    "tuples": lambda c: [(i, i) for i in c],
    "sets": lambda c: [{i} for i in c.tolist()],
    "too many": lambda c: np.append(c, 0),
    "too few": lambda c: c[1:],
    "indicator": lambda c: np.eye(3, dtype=int)[c],
    "indicator of booleans": lambda c: np.eye(3, dtype=bool)[c],
    "indicator of floats": lambda c: np.eye(3)[c],
    "indicator of one": lambda c: (c[:, None] > 0).astype(int),
    "indicator with constants": lambda c: np.stack([0 * c, 0 * c + 1, c % 2], axis=1),
    "indicator of nothing": lambda c: np.zeros((len(c), 0), dtype=int),
    "sparse indicator": lambda c: sparse.csr_matrix(np.eye(3, dtype=int)[c]),
    "several outputs": lambda c: np.stack([c, c], axis=1),
    "cube": lambda c: np.zeros((len(c), 2, 2), dtype=int),
}
HOLDERS = {
    "array": lambda y: y,
    "list": lambda y: y.tolist(),
    "objects": lambda y: y.astype(object),
    "column": lambda y: y[:, None],
    "series": pd.Series,
    "series with another index": lambda y: pd.Series(y, index=np.arange(len(y)) + 5),
    "category": lambda y: pd.Series(y).astype("category"),
    "nullable": lambda y: pd.Series(y).convert_dtypes(),
    "nullable with NA": lambda y: pd.Series(y).convert_dtypes().where(np.arange(len(y)) > 0),
    "frame": pd.DataFrame,
    "polars": lambda y: pl.Series(y),
    "tensor": torch.tensor,
    "read-only": read_only,
    "None": lambda y: None,
    "text": lambda y: "abc",
    "iterator": iter,
}


def labels(d, n_rows, odd=0.15):
    codes = d.random.permutation(np.arange(n_rows) % N_CLASSES)
    y = d.odd(CLASSES, "y: ", odd)(codes)
    return d.keep(converted(y, d.odd(HOLDERS, "y: ", odd)))


WEIGHTS = {
    "none": lambda w: None,
    "random": lambda w: w,
    "ones": lambda w: 0 * w + 1,
    "zeros": lambda w: 0 * w,
    "some zero": lambda w: w * (np.arange(len(w)) % 2),
    "one": lambda w: 1.0 * (np.arange(len(w)) == 0),
    "huge": lambda w: w * 1e300,
    "tiny": lambda w: w * 1e-300,
    "huge and tiny": lambda w: np.where(w > 0.5, 1e300, 1e-300),
    "integers": lambda w: (9 * w).astype(int),
    "booleans": lambda w: w > 0.5,
    "float16": lambda w: w.astype("f2"),
    "a number": lambda w: 2.0,
    "negative": lambda w: w - 0.5,
    "NaN": with_one(NAN),
    "inf": with_one(INF),
    "too few": lambda w: w[1:],
    "two axes": lambda w: w[:, None],
    "list": lambda w: w.tolist(),
    "series": lambda w: pd.Series(w, index=np.arange(len(w)) + 5),
    "polars": lambda w: pl.Series(w),
    "tensor": torch.tensor,
    "objects": lambda w: w.astype(object),
    "huge integers": lambda w: [10**400] * len(w),
    "texts": lambda w: ["a"] * len(w),
    "text": lambda w: "balanced",
    "None inside": lambda w: [None] * len(w),
    "ragged": lambda w: [[1.0], [1.0, 2.0]] * (len(w) // 2),
    "complex": lambda w: w * 1j,
    "sparse": lambda w: sparse.csr_matrix(w[:, None]),
    "dict": lambda w: {0: 1},
    "object()": lambda w: object(),
}


def weights(d, n_rows, odd=0.15):
    return d.keep(d.odd(WEIGHTS, "weights: ", odd)(d.random.uniform(size=n_rows)))
