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


class Without(KLClassifier):
    """The default classifier with a constant of the package set to 0."""

    name = "sklkl.modules._input_scaling.MOST_STEPS"

    def fit(self, X, y):
        with mock.patch(self.name, 0):
            return super().fit(X, y)


def compare(description, without):
    """Print log-losses and fit times of the default classifier relative to one without something."""
    parser = set_parser(description)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=3000, help="largest number of training rows")
    args = parser.parse_args()
    sets = chosen_sets(args)
    seeds, max_train = (1, 300) if args.quick else (args.seeds, args.max_train)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    KLClassifier(max_epochs=1, device="cpu").fit(np.eye(8), np.arange(8) % 2)  # imports what a first fit does
    with threadpool_limits(1):
        table = measured(sets, {"with it": KLClassifier(device="cpu"), "without": without}, seeds, max_train)
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
    compare(__doc__, Without(device="cpu"))
