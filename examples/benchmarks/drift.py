"""Drift tests and training under covariate shift: what ``sklkl.drift`` finds, misses and gains.

Four tables: how often ``DriftDetector`` reports a column that did not drift; how often it reports one that did, beside
SciPy's tests and the rule of thumb PSI > 0.1 (or 0.25); how well ``DensityRatioWeighter`` knows a density ratio; and
what its weights do to the test loss, beside no weights and the true ratio. Columns are simulated independently of each
other, so that one frame of 4,000 columns is 4,000 repetitions.

    python examples/benchmarks/drift.py          # about seven minutes
    python examples/benchmarks/drift.py --quick  # seconds, only to see that it runs
"""

import argparse
import math
import warnings

import numpy as np
from scipy.special import expit
from scipy.stats import chi2_contingency, ks_2samp
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sklkl.drift import DensityRatioWeighter, DriftDetector

STATISTICS = ("psi", "js", "kl")
FREQUENCIES = [0.5, 0.25, 0.15, 0.08, 0.02]
CHANGED = [0.45, 0.25, 0.15, 0.12, 0.03]
SAMPLERS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "Cauchy": lambda rng, size: rng.standard_cauchy(size),
    "Poisson(3)": lambda rng, size: rng.poisson(3, size),
    "5 categories": lambda rng, size: rng.choice(5, size, p=FREQUENCIES),
}


def report(X, Y, statistic="psi", null="permutation", categorical=False):
    """Return a report on columns one by one: without correction, and with few permutations as there are many."""
    columns = np.full(X.shape[1], categorical)
    detector = DriftDetector(
        statistic, null=null, n_permutations=199, correction=None, categorical_features=columns, random_state=0
    )
    return detector.fit(X).detect(Y)


def false_alarms(n_columns, sizes):
    deviation = 100 * math.sqrt(0.05 * 0.95 / n_columns)
    print(f"False alarms at alpha = 0.05, in % of {n_columns} columns without drift; due: 5 ± {deviation:.1f} (one sd)")
    print(f"{'':13s} {'':>12s}   {'permutation':^17s}   {'asymptotic':^17s}   {'PSI >':^11s}")
    print(f"{'column':13s} {'n':>6s} {'m':>5s}  " + "  ".join(f"{s:>5s}" for s in STATISTICS * 2) + "     0.1   0.25")
    rng = np.random.default_rng(0)
    for name, sampler in SAMPLERS.items():
        for n, m in sizes:
            X, Y = sampler(rng, (n, n_columns)), sampler(rng, (m, n_columns))
            reports = [
                report(X, Y, statistic, null, name == "5 categories")
                for null in ("permutation", "asymptotic")
                for statistic in STATISTICS
            ]
            rates = [r.drifted.mean() for r in reports] + [
                (reports[0].statistic > limit).mean() for limit in (0.1, 0.25)
            ]
            print(f"{name:13s} {n:6d} {m:5d}  " + "  ".join(f"{100 * rate:5.1f}" for rate in rates), flush=True)


ALTERNATIVES = {
    **{
        f"normal, mean + {d} sd": ("normal", lambda rng, size, d=d: rng.normal(d, 1, size))
        for d in (0.1, 0.2, 0.3, 0.5)
    },
    **{f"normal, sd * {s}": ("normal", lambda rng, size, s=s: rng.normal(0, s, size)) for s in (1.2, 1.5)},
    "5 categories, changed": ("5 categories", lambda rng, size: rng.choice(5, size, p=CHANGED)),
}


def peer(X, Y, categorical):
    """Return the p-value of SciPy's test for each column."""
    if not categorical:
        return np.array([ks_2samp(x, y).pvalue for x, y in zip(X.T, Y.T, strict=True)])
    counts = ([np.bincount(x, minlength=5) for x in columns] for columns in (X.T, Y.T))
    tables = (np.stack(both)[:, np.sum(both, axis=0) > 0] for both in zip(*counts, strict=True))
    return np.array([chi2_contingency(table).pvalue for table in tables])


def power(n_columns, sizes):
    print(f"\nDrift found at alpha = 0.05, in % of {n_columns} columns; SciPy: ks_2samp, chi2_contingency")
    print(f"{'drift':23s} {'n = m':>5s}  " + "  ".join(f"{s:>5s}" for s in STATISTICS) + "   SciPy  PSI>0.1  PSI>0.25")
    rng = np.random.default_rng(1)
    for name, (before, after) in ALTERNATIVES.items():
        for n in sizes:
            X, Y = SAMPLERS[before](rng, (n, n_columns)), after(rng, (n, n_columns))
            categorical = before == "5 categories"
            reports = [report(X, Y, statistic, categorical=categorical) for statistic in STATISTICS]
            found = [r.drifted.mean() for r in reports] + [(peer(X, Y, categorical) <= 0.05).mean()]
            rule = [(reports[0].statistic > limit).mean() for limit in (0.1, 0.25)]
            rates = "  ".join(f"{100 * rate:5.1f}" for rate in found)
            print(f"{name:23s} {n:5d}  {rates}    {100 * rule[0]:5.1f}     {100 * rule[1]:5.1f}", flush=True)


def gaussians(n_features, shift, scale):
    """Return samplers of N(0, I) and N(shift, scale² I) and the logarithm of the ratio of their densities."""

    def log_ratio(X):
        return (X**2 / 2 - (X - shift) ** 2 / (2 * scale**2) - math.log(scale)).sum(axis=1)

    return (
        lambda rng, n: rng.normal(size=(n, n_features)),
        lambda rng, n: rng.normal(shift, scale, size=(n, n_features)),
        log_ratio,
    )


METHODS = {
    "kliep": {"method": "kliep"},
    "classifier": {"method": "classifier"},
    "classifier, linear": {"method": "classifier", "classifier": make_pipeline(StandardScaler(), LogisticRegression())},
}


def weighter(estimator, method, seed):
    return DensityRatioWeighter(estimator, **METHODS[method], random_state=seed)


def ratios(n_seeds, sizes):
    print(
        f"\nDensity ratios of N(0, I) and N(shift, scale² I), means of {n_seeds} seeds: correlation with the true ratio"
    )
    print("at the training rows, and effective share of these rows, which was 'true' with the true ratio")
    print(
        f"{'d':>3s} {'shift':>6s} {'scale':>6s} {'n = m':>6s}  {'method':20s} {'correlation':>11s} {'share':>6s}   true"
    )
    for d, shift, scale in [(1, 0.5, 1.0), (1, 0.5, 0.7), (5, 0.3, 1.0), (5, 0.3, 0.8)]:
        train, target, log_ratio = gaussians(d, shift, scale)
        for n in sizes:
            for method in METHODS:
                rows = []
                for seed in range(n_seeds):
                    rng = np.random.default_rng(seed)
                    X = train(rng, n)
                    fitted = weighter(LinearRegression(), method, seed).fit(X, X[:, 0], target(rng, n))
                    true = np.exp(log_ratio(X))
                    share = true.sum() ** 2 / (true**2).sum() / n
                    rows.append([np.corrcoef(fitted.weights_, true)[0, 1], fitted.effective_sample_size_ / n, share])
                correlation, share, true = np.mean(rows, axis=0)
                print(f"{d:3d} {shift:6g} {scale:6g} {n:6d}  {method:20s} {correlation:11.3f} {share:6.2f} {true:6.2f}")


def toy(seed, n=150, n_target=500):
    """Sinc with noise, target inputs beside the training inputs: the toy problem of Sugiyama et al. 2008."""
    rng = np.random.default_rng(seed)
    X, X_target = rng.normal(1, 0.5, (n, 1)), rng.normal(2, 0.25, (n_target, 1))
    y, y_target = (np.sinc(x.ravel()) + rng.normal(0, 0.25, len(x)) for x in (X, X_target))
    ratio = 2 * np.exp(-((X - 2) ** 2) / (2 * 0.25**2) + (X - 1) ** 2 / (2 * 0.5**2)).ravel()
    return X, y, ratio, X_target, y_target


def biased(X, y, feature, strength, seed):
    """Return rows that were drawn for training, the more likely the lower a feature, and the other rows as target."""
    rng = np.random.default_rng(seed)
    Z = StandardScaler().fit_transform(X)
    chance = expit(-strength * Z[:, feature])
    drawn = rng.random(len(Z)) < chance
    return Z[drawn], y[drawn], ((1 - chance) / chance)[drawn], Z[~drawn], y[~drawn]


def cancer(seed):
    X, y = load_breast_cancer(return_X_y=True)
    return biased(X[:, [0, 1, 4, 8]], y, 0, 1.0, seed)  # radius, texture, smoothness, symmetry


def diabetes(seed):
    X, y = load_diabetes(return_X_y=True)
    return biased(X[:, [2, 3, 8]], (y - y.mean()) / y.std(), 0, 1.0, seed)  # body mass index, blood pressure, s5


PROBLEMS = {
    "sinc, straight line": (toy, LinearRegression(), mean_squared_error),
    "cancer, logistic regression": (cancer, LogisticRegression(), log_loss),
    "diabetes, linear": (diabetes, LinearRegression(), mean_squared_error),
}


def loss_of(fitted, metric, X, y):
    return metric(y, fitted.predict_proba(X) if metric is log_loss else fitted.predict(X))


def shift_losses(n_seeds):
    print(f"\nLoss on the target rows, means of {n_seeds} seeds, and in brackets the seeds in which weights lowered it")
    print(f"{'problem':28s} {'no weights':>10s}" + "".join(f" {name:>20s}" for name in [*METHODS, "true ratio"]))
    for name, (problem, estimator, metric) in PROBLEMS.items():
        losses = []
        for seed in range(n_seeds):
            X, y, ratio, X_target, y_target = problem(seed)
            fitted = [weighter(estimator, method, seed).fit(X, y, X_target) for method in METHODS]
            oracle = DensityRatioWeighter(estimator).fit(X, y, sample_weight=ratio / ratio.mean())
            plain = DensityRatioWeighter(estimator).fit(X, y)
            losses.append([loss_of(model, metric, X_target, y_target) for model in (plain, *fitted, oracle)])
        means, won = np.mean(losses, axis=0), np.sum(np.array(losses) < np.array(losses)[:, :1], axis=0)
        cells = "".join(f" {mean:13.4f} [{count:4d}]" for mean, count in zip(means[1:], won[1:], strict=True))
        print(f"{name:28s} {means[0]:10.4f}{cells}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few columns, seeds and sizes")
    quick = parser.parse_args().quick
    with threadpool_limits(1):
        false_alarms(50 if quick else 4000, [(100, 100)] if quick else [(1000, 200), (200, 1000), (100, 100)])
        power(20 if quick else 500, [500] if quick else [500, 2000])
        ratios(1 if quick else 10, [100] if quick else [200, 1000])
        shift_losses(2 if quick else 30)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
