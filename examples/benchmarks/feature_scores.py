"""The score function ``js_classif`` beside ``mutual_info_classif``: time and agreement on real data sets.

Both estimate the mutual information of a feature and the class, from bins and from nearest neighbours. Time is
processor time on one thread, agreement Spearman's rank correlation of the features' scores. Sets and preprocessing are
those of ``quality.py``; of categories only the one-hot columns are compared.

    python examples/benchmarks/feature_scores.py --data FOLDER
    python examples/benchmarks/feature_scores.py --openml credit-g phoneme segment
    python examples/benchmarks/feature_scores.py --quick      # two sets that scikit-learn ships, few rows
"""

import time
from functools import partial

import numpy as np
from quality import chosen_sets, prepared, set_parser
from scipy.stats import spearmanr
from sklearn.feature_selection import mutual_info_classif
from threadpoolctl import threadpool_limits

from sklkl.feature_selection import js_classif


def timed(score, X, y):
    """Return the scores and the processor time."""
    start = time.process_time()
    values = score(X, y)
    return values, time.process_time() - start


def compare(name, X, y):
    """Print and return how many times faster the bins are, and how well the scores agree."""
    bins, fast = timed(js_classif, X, y)
    neighbours, slow = timed(partial(mutual_info_classif, random_state=0), X, y)
    agreement = spearmanr(bins, neighbours).statistic
    print(
        f"{name:16s} {X.shape[0]:8d} {X.shape[1]:8d} {1e3 * fast:9.1f} {1e3 * slow:9.1f} {agreement:9.3f}", flush=True
    )
    return slow / fast, agreement


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--max-train", type=int, default=10_000, help="largest number of rows")
    args = parser.parse_args()
    sets = chosen_sets(args)
    max_train = 300 if args.quick else args.max_train
    print(f"{'set':16s} {'rows':>8s} {'features':>8s} {'bins, ms':>9s} {'knn, ms':>9s} {'Spearman':>9s}")
    with threadpool_limits(1):
        results = [compare(name, *prepared(load, 0, max_train)[::2]) for name, load in sets.items()]
    faster, agreement = np.array(results).T
    print(f"\ntimes faster: geometric mean {np.exp(np.log(faster).mean()):.1f}, least {faster.min():.1f}")
    print(f"Spearman: mean {agreement.mean():.3f}, least {agreement.min():.3f}")


if __name__ == "__main__":
    main()
