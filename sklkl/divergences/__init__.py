"""Kullback-Leibler divergence and its relatives, as pure functions on arrays.

Every function of two distributions has the form ``f(p, q, *, axis=-1, keepdims=False, base=None, normalize=False,
from_="probs", smoothing=0.0)``: `p` is the reference (truth, teacher, before), `q` the approximation (model, student,
after), both broadcast, and the result has one value per row. Nothing is averaged and nothing is clipped:
``0 log 0 = 0``, p > 0 where q = 0 is ``inf``, NaN stays NaN, and p == q gives exactly 0. NumPy, PyTorch (CPU, CUDA,
gradients finite at zeros) and other array API libraries share one definition.

Where there are samples instead of distributions, `knn_kl_divergence`, `classifier_kl_divergence`,
`histogram_divergence` and `population_stability_index` estimate them, on request with a confidence interval.

The definitions are functions of a `Pair` of aligned rows (`_pair`), faster forms stand in `_kernels` and `_pairwise`,
estimators from samples in `_knn`, `_classifier` and `_histogram`. May import: `sklkl._utils`, array-api-compat, numpy,
scipy and scikit-learn; not torch, whose tensors are met through the array API.
"""

from sklkl.divergences import _distances, _kl, _power
from sklkl.divergences._classifier import classifier_kl_divergence
from sklkl.divergences._closed_forms import (
    bernoulli_kl,
    categorical_kl,
    diagonal_gaussian_kl,
    dirichlet_kl,
    exponential_kl,
    gaussian_kl,
    laplace_kl,
    poisson_kl,
)
from sklkl.divergences._distances import *
from sklkl.divergences._entropy import cross_entropy, entropy, kl_to_uniform
from sklkl.divergences._estimate import Estimate
from sklkl.divergences._histogram import StabilityIndex, histogram_divergence, population_stability_index
from sklkl.divergences._kl import *
from sklkl.divergences._knn import knn_kl_divergence
from sklkl.divergences._pairwise import pairwise_divergence
from sklkl.divergences._power import *
from sklkl.divergences._registry import DIVERGENCES, get_divergence

# a new divergence needs no line here
__all__ = [
    "DIVERGENCES",
    "Estimate",
    "StabilityIndex",
    "bernoulli_kl",
    "categorical_kl",
    "classifier_kl_divergence",
    "cross_entropy",
    "diagonal_gaussian_kl",
    "dirichlet_kl",
    "entropy",
    "exponential_kl",
    "gaussian_kl",
    "get_divergence",
    "histogram_divergence",
    "kl_to_uniform",
    "knn_kl_divergence",
    "laplace_kl",
    "pairwise_divergence",
    "poisson_kl",
    "population_stability_index",
]
__all__ += _distances.__all__
__all__ += _kl.__all__
__all__ += _power.__all__
