"""What the least KL target of a long training is worth: default networks with it and without it.

Where held-out rows choose the epoch that is kept, the target of the KL-adaptive rate does not become ever smaller as
steps become more. Sets, preprocessing and seeds are those of ``quality.py``, with more training rows where there are
more. How large it is was chosen on some of the sets; the mean ratio of test log-losses is printed for these and for the
others.

    python examples/benchmarks/least_target.py --data FOLDER
    python examples/benchmarks/least_target.py --data FOLDER --max-train 10000 --sets adult letter wine_quality
    python examples/benchmarks/least_target.py --quick  # two sets that scikit-learn ships, one seed
"""

from steps import Without, compare


class WithoutLeast(Without):
    name = "sklkl.optim._lock.LEAST_TARGET"


if __name__ == "__main__":
    compare(__doc__, WithoutLeast(device="cpu"))
