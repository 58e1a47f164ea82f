"""What the least KL target of a long training is worth: default networks with it and without it.

Where held-out rows choose the epoch that is kept, the target of the KL-adaptive rate does not become ever smaller as
steps become more. Sets, preprocessing and seeds are those of ``quality.py``, with more training rows where there are
more. How large it is was chosen on some of the sets; the mean ratio of test log-losses is printed for these and for the
others.

    python examples/benchmarks/least_target.py --data FOLDER
    python examples/benchmarks/least_target.py --data FOLDER --max-train 10000 --sets adult letter wine_quality
    python examples/benchmarks/least_target.py --quick  # two sets that scikit-learn ships, one seed
"""

import warnings
from unittest import mock

import numpy as np
import torch
from quality import chosen_sets, measured, set_parser
from steps import CHOSEN_ON
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier


class WithoutLeast(KLClassifier):
    def fit(self, X, y):
        with mock.patch("sklkl.optim._lock.LEAST_TARGET", 0.0):
            return super().fit(X, y)


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=3000, help="largest number of training rows")
    args = parser.parse_args()
    sets = chosen_sets(args)
    seeds, max_train = (1, 300) if args.quick else (args.seeds, args.max_train)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    KLClassifier(max_epochs=1, device="cpu").fit(np.eye(8), np.arange(8) % 2)  # imports what a first fit does
    classifiers = {"with it": KLClassifier(device="cpu"), "without": WithoutLeast(device="cpu")}
    with threadpool_limits(1):
        table = measured(sets, classifiers, seeds, max_train)
    print("\n| set | log-loss | with it / without | fit time |\n|---|---|---|---|")
    ratios = table[:, 0] / table[:, 1]
    for name, (loss, _, _), (ratio, _, seconds) in zip(sets, table[:, 0], ratios, strict=True):
        print(f"| {name} | {loss:.4f} | {ratio:.3f} | {seconds:.2f} |")
    is_chosen_on = np.array([name in CHOSEN_ON for name in sets])
    for title, rows in {"all": is_chosen_on | True, "chosen on": is_chosen_on, "others": ~is_chosen_on}.items():
        if rows.any():
            loss, _, seconds = np.exp(np.log(ratios[rows]).mean(axis=0))
            print(f"| geometric mean, {title} ({rows.sum()}) | | {loss:.3f} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
