"""What steps at quantiles of the columns are worth: default networks with that view of their inputs and without it.

Sets, preprocessing and seeds are those of ``quality.py``. How many steps there are, and how wide, was chosen on some of
the sets; the mean ratio of test log-losses is printed for these and for the others.

    python examples/benchmarks/steps.py --data FOLDER
    python examples/benchmarks/steps.py --quick      # two sets that scikit-learn ships, one seed
"""

import warnings
from unittest import mock

import numpy as np
import torch
from quality import chosen_sets, measured, set_parser
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier

CHOSEN_ON = {"credit_g", "digits", "phoneme", "segment", "vowel", "wine_quality"}


class WithoutSteps(KLClassifier):
    def fit(self, X, y):
        with mock.patch("sklkl.modules._input_scaling.MOST_STEPS", 0):
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
    classifiers = {"with steps": KLClassifier(device="cpu"), "without": WithoutSteps(device="cpu")}
    with threadpool_limits(1):
        table = measured(sets, classifiers, seeds, max_train)
    ratios = np.log(table[:, 0] / table[:, 1])
    is_chosen_on = np.array([name in CHOSEN_ON for name in sets])
    print("\nwith steps / without, geometric means")
    for title, rows in {"all": is_chosen_on | True, "chosen on": is_chosen_on, "others": ~is_chosen_on}.items():
        if rows.any():
            loss, _, seconds = np.exp(ratios[rows].mean(axis=0))
            print(f"  {title:10s} {rows.sum():2d} sets: log-loss {loss:.3f}, fit time {seconds:.2f}")


if __name__ == "__main__":
    main()
