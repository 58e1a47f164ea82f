"""``DriftDetector``: whether new rows are still like the reference rows, column by column."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sklkl._utils.checks import invalid
from sklkl._utils.quantities import Quantity
from sklkl._utils.sklearn_private import Interval, StrOptions, _get_column_indices, _num_samples, check_params
from sklkl._utils.types import ArrayLike, MatrixLike
from sklkl.divergences._asymptotic import asymptotic_p_value
from sklkl.divergences._estimate import generator
from sklkl.divergences._permutation import permutation_p_value
from sklkl.divergences._references import BinnedReference, NumberReference, numeric_reference
from sklkl.divergences._sample_columns import check_edges, check_kinds
from sklkl.divergences._table import MOST_CATEGORIES, NULLS, Table, count_divergence
from sklkl.drift._frame_columns import (
    checked_table,
    column,
    is_categorical,
    numbers,
    objects,
    require_same_kind,
    require_same_quantity,
)
from sklkl.drift._references import ValueReference
from sklkl.drift._report import CORRECTIONS, DriftReport

__all__ = ["DriftDetector"]

# Names of the statistics, and the divergences they are.
STATISTICS = {"psi": "jeffreys", "js": "js", "kl": "kl"}

# A permutation test draws more than 2 / alpha splits of each column that is near it: with less it would never end.
_LEAST_ALPHA = 1e-6

_CONSTRAINTS: dict[str, list[Any]] = {
    "statistic": [StrOptions(set(STATISTICS))],
    "null": [StrOptions(set(NULLS))],
    "n_bins": [Interval(Integral, 2, None, closed="left")],
    "pseudo_count": [Interval(Real, 0, None, closed="left")],
    "n_permutations": [Interval(Integral, 1, None, closed="left")],
    "alpha": [Interval(Real, 0, 1, closed="neither")],
    "correction": [StrOptions(set(CORRECTIONS)), None],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "bin_edges": [dict, None],
    "max_categories": [Interval(Integral, 2, None, closed="left")],
    "min_statistic": [Interval(Real, 0, None, closed="left")],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


class DriftDetector(BaseEstimator):
    """Find columns whose values are distributed differently in new rows than in reference rows.

    :meth:`fit` sorts the reference values of each column into bins and keeps only their counts; :meth:`detect`
    counts new rows in the same bins and tests the divergence of the two distributions. Missing values are a bin of
    their own, so more (or fewer) of them are drift, and so is every category that the reference lacks.

    Numeric columns get bins of about equally many reference values; infinite values belong to the outermost ones. A
    value that is frequent enough for a bin has its own, and numbers beyond outermost values found five times are in
    bins of their own. A column of at most `n_bins` values, each found twice on average, gets a bin for each value,
    as categories do. Numbers that differ by rounding are the same, also in another floating type. Dates, durations
    and times of day are numbers, whatever their unit.

    Parameters
    ----------
    statistic : {"psi", "js", "kl"}, default="psi"
        Divergence, in nats: the population stability index, which is Jeffreys' divergence; Jensen-Shannon; or
        KL(reference‖new).
    null : {"permutation", "asymptotic"}, default="permutation"
        Distribution of the statistic without drift. ``"permutation"`` splits the pooled rows at random and makes
        quantile bins anew for each split; its p-values are correct for samples of any size, except that repeated
        numbers need ten reference rows for each bin. ``"asymptotic"`` takes a gamma distribution of about the same
        mean and variance for bins that stay as they are. It is deterministic and quicker for categories; for
        quantiles it has up to 7 % false alarms at an `alpha` of 5 % if the reference has ten rows for each bin, and
        more if it has fewer.
    n_bins : int >= 2, default=10
        Largest number of bins of a numeric column, that of the missing values not counted.
    pseudo_count : float >= 0, default=0.5
        Added to every count, so that no share is 0. With 0, an empty bin makes PSI (and KL, if the new
        rows lack it) infinite, in the random splits too, so that the test has no power.
    n_permutations : int >= 1, default=999
        Random splits of each column. The correction for many columns, or a small `alpha`, needs p-values smaller
        than these allow: columns for which fewer than ten splits reach the observed divergence get
        ``2 n_features / alpha`` splits if that is more (``2 / alpha`` without correction).
    alpha : float in (0, 1), default=0.05
        Level of the test, 1e-6 or more for ``null="permutation"``.
    correction : {"holm", "fdr_bh"} or None, default="holm"
        Correction for the number of columns. ``"holm"``: no column is reported without drift, up to a probability of
        `alpha`. ``"fdr_bh"`` (Benjamini-Hochberg): of the reported columns, a share of `alpha` at most is without
        drift on average. None tests each column by itself.
    categorical_features : "from_dtype", array-like of bool, int or str, or None, default="from_dtype"
        Which columns are categorical. ``"from_dtype"``: those of strings, booleans, a categorical type, or objects
        that are not all numbers, dates or durations. A mask, indices or names; all other columns are then numeric.
        None: no column.
    bin_edges : dict or None, default=None
        Ascending edges between the bins ``(edge, next edge]`` of numeric columns, by name or index of the column, in
        place of `n_bins`; values beyond the outermost edges have bins of their own. Those of a column of dates are
        dates.
    max_categories : int >= 2, default=1000
        Largest number of categories of a column that are compared one by one. Of more, in both samples together, the
        most frequent half of this number are, and all others are put together at random in groups, the other half.
    min_statistic : float >= 0, default=0.0
        Least divergence that counts as drift, however small its p-value: with many rows the smallest change has one.
    random_state : int, RandomState instance or None, default=None
        Seed of the random splits; with an int, :meth:`detect` gives the same report for the same rows.
    verbose : int, default=0
        Greater than 0: a progress bar over the columns that are tested by permutations.

    Attributes
    ----------
    references_ : list of length n_features
        Bins and counts of the reference columns.
    is_categorical_ : bool array of shape (n_features,)
        Which columns are categorical.
    n_samples_ : int
        Number of reference rows.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : array of str
        Names of the columns; only if all are strings.

    References
    ----------
    Yurdakul and Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation
    14, 2020 (why fixed thresholds such as PSI > 0.1 do not fit all sample sizes). Besag and Clifford, Sequential Monte
    Carlo p-values, Biometrika 78, 1991.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklkl.drift import DriftDetector
    >>> colours = ["red", "blue"] * 50
    >>> reference = pd.DataFrame({"size": range(100), "colour": colours})
    >>> colours = ["red"] * 40 + ["green"] * 10
    >>> new = pd.DataFrame({"size": range(0, 100, 2), "colour": colours})
    >>> report = DriftDetector(random_state=0).fit(reference).detect(new)
    >>> report.feature_names[report.drifted]
    array(['colour'], dtype=object)
    """

    _parameter_constraints = _CONSTRAINTS

    def __init__(
        self,
        statistic: Literal["psi", "js", "kl"] = "psi",
        *,
        null: Literal["permutation", "asymptotic"] = "permutation",
        n_bins: int = 10,
        pseudo_count: float = 0.5,
        n_permutations: int = 999,
        alpha: float = 0.05,
        correction: Literal["holm", "fdr_bh"] | None = "holm",
        categorical_features: ArrayLike | None = "from_dtype",
        bin_edges: dict[Any, ArrayLike] | None = None,
        max_categories: int = MOST_CATEGORIES,
        min_statistic: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.statistic = statistic
        self.null = null
        self.n_bins = n_bins
        self.pseudo_count = pseudo_count
        self.n_permutations = n_permutations
        self.alpha = alpha
        self.correction = correction
        self.categorical_features = categorical_features
        self.bin_edges = bin_edges
        self.max_categories = max_categories
        self.min_statistic = min_statistic
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        """Say that columns may be missing, categorical or strings, and X sparse."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: MatrixLike, y: None = None) -> DriftDetector:
        """Learn bins and counts of the reference rows.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features)
            Reference rows.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the shape of `X` is not allowed, or a numeric column holds something else.
        """
        self._check_params()
        X = checked_table(self, X, reset=True)
        self.is_categorical_ = self._categorical_mask(X)
        edges = self._given_edges(X)
        self.references_ = [self._reference(values, edges.get(j)) for j, values in enumerate(self._columns(X))]
        self.n_samples_ = _num_samples(X)
        return self

    def detect(self, X: MatrixLike) -> DriftReport:
        """Compare new rows with the reference rows.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_new, n_features)
            New rows, one or more, with the columns of the reference.

        Returns
        -------
        DriftReport
            Divergence, p-value and verdict for each column.

        Raises
        ------
        ValueError
            If the columns are not those of :meth:`fit`, or of another kind.
        """
        check_is_fitted(self)
        self._check_params()
        X = checked_table(self, X, reset=False)
        tables = list(self._tables(X))
        p_values = self._p_values(tables)
        adjusted = CORRECTIONS[self.correction](p_values) if self.correction else p_values.copy()
        statistic = np.asarray([self._divergence(table) for table in tables])
        return DriftReport(
            feature_names=np.asarray([self._name(j) for j in range(len(tables))], dtype=object),
            statistic=statistic,
            p_value=p_values,
            adjusted_p_value=adjusted,
            drifted=(adjusted <= self.alpha) & (statistic >= self.min_statistic),
            statistic_name=self.statistic,
            alpha=self.alpha,
            n_reference=self.n_samples_,
            n_new=_num_samples(X),
            tables=tuple(tables),
        )

    def _check_params(self) -> None:
        check_params(self)
        if self.null == "permutation" and self.alpha < _LEAST_ALPHA:
            allowed = f"{_LEAST_ALPHA:.0e} or more for null='permutation', which draws 2 / alpha splits and more"
            raise invalid("alpha", self.alpha, allowed, "DriftDetector")

    def _categorical_mask(self, X: Any) -> np.ndarray:
        chosen = self.categorical_features
        n_features = self.n_features_in_
        if isinstance(chosen, str):  # "from_dtype", the only string allowed
            return np.asarray([is_categorical(column(X, j)) for j in range(n_features)])
        mask = np.zeros(n_features, dtype=bool)
        if chosen is not None and np.size(chosen):
            mask[self._indices(X, np.asarray(chosen), "categorical_features")] = True
        return mask

    def _indices(self, X: Any, chosen: np.ndarray, parameter: str) -> list[int]:
        try:
            return list(_get_column_indices(X, chosen))
        except ValueError as error:
            allowed = f"indices from 0 to {self.n_features_in_ - 1}, or a mask of {self.n_features_in_} booleans"
            given = getattr(self, parameter)
            raise invalid(parameter, given, f"names of columns, {allowed}", "DriftDetector") from error

    def _columns(self, X: Any) -> Iterator[Any]:
        """Give the columns one at a time: numbers, or categories as Python objects."""
        for j, categorical in enumerate(self.is_categorical_):
            values = column(X, j)
            yield objects(values, self._name(j)) if categorical else numbers(values, self._name(j))

    def _reference(self, values: Any, edges: Quantity | None) -> BinnedReference | NumberReference | ValueReference:
        if isinstance(values, list):
            return ValueReference.fit(values)
        if edges is None:
            return numeric_reference(values, self.n_bins)
        check_kinds(("X", "bin_edges"), values, edges)
        return BinnedReference.by_edges(values, edges.values)

    def _given_edges(self, X: Any) -> dict[int, Quantity]:
        """Return the given edges by position of the column, checked."""
        edges = {}
        for key, given in (self.bin_edges or {}).items():
            j = self._indices(X, np.asarray([key]), "bin_edges")[0]
            if self.is_categorical_[j] or np.ndim(given) == 0:
                allowed = "edges of numeric columns, a sequence of ascending numbers each"
                raise invalid("bin_edges", self.bin_edges, allowed, "DriftDetector")
            edges[j] = check_edges(given)
        return edges

    def _tables(self, X: Any) -> Iterator[Table]:
        for j, (reference, values) in enumerate(zip(self.references_, self._columns(X), strict=True)):
            if isinstance(reference, ValueReference):
                require_same_kind(reference.counts, values, self._name(j))
                yield reference.table(values).grouped(self.max_categories)
            else:
                require_same_quantity(reference.kind, values, self._name(j))
                yield reference.table(values)

    def _name(self, j: int) -> str:
        return str(self.feature_names_in_[j]) if hasattr(self, "feature_names_in_") else f"x{j}"

    def _divergence(self, table: Table) -> float:
        return float(count_divergence(STATISTICS[self.statistic], table.a, table.b, self.pseudo_count))

    def _p_values(self, tables: list[Table]) -> np.ndarray:
        divergence, n = STATISTICS[self.statistic], self.n_permutations
        if self.null == "asymptotic":
            return np.asarray([asymptotic_p_value(divergence, t.a, t.b, self.pseudo_count) for t in tables])
        at_most = math.ceil(2 * (len(tables) if self.correction else 1) / self.alpha)
        generators = generator(self.random_state).spawn(len(tables))
        columns = tqdm(list(zip(tables, generators, strict=True)), unit="column", disable=not self.verbose)
        return np.asarray(
            [
                permutation_p_value(divergence, table, self.pseudo_count, n, rng, at_most=at_most)
                for table, rng in columns
            ]
        )
