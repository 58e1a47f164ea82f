"""One drift check a week: how often a year without drift has an alarm, and how soon a real drift is found.

Each week 500 new rows of 20 columns are compared with the same 2,000 reference rows, for 52 weeks. A policy makes
verdicts of the weekly p-values, which are corrected for the columns by Holm's method. Printed are the share of years
without drift that have an alarm, beside what independent checks would give, and how many weeks pass on average until
a shift of one column by 0.3 standard deviations, which begins in week 27, is reported.

    python examples/benchmarks/repeated_checks.py          # about half a minute
    python examples/benchmarks/repeated_checks.py --quick  # seconds, only to see that it runs
"""

import argparse

import numpy as np
from threadpoolctl import threadpool_limits

from sklkl.drift import DriftDetector

ALPHA, N_WEEKS, N_COLUMNS, SHIFT, START = 0.05, 52, 20, 0.3, 26


def every_week(p_values):
    """Alarm where a check by itself is significant."""
    return p_values <= ALPHA


def shared_equally(p_values):
    """Alarm at the level divided by the number of checks planned (Bonferroni)."""
    return p_values <= ALPHA / N_WEEKS


def spent(p_values):
    """Spend the level over all weeks there will ever be, 6 / π² t² of it in week t."""
    return p_values <= ALPHA * 6 / (np.pi * np.arange(1, len(p_values) + 1)) ** 2


def twice_in_a_row(p_values):
    """Alarm where two checks in a row are significant."""
    return every_week(p_values) & np.concatenate([[False], every_week(p_values)[:-1]])


POLICIES = {
    "every check at 0.05": (every_week, 1 - (1 - ALPHA) ** N_WEEKS),
    "0.05 / 52 each": (shared_equally, 1 - (1 - ALPHA / N_WEEKS) ** N_WEEKS),
    "0.05 · 6 / π²t² in week t": (spent, 1 - np.prod(1 - ALPHA * 6 / (np.pi * np.arange(1, N_WEEKS + 1)) ** 2)),
    "0.05 twice in a row": (twice_in_a_row, 1 - (1 - ALPHA**2) ** (N_WEEKS - 1)),  # about
}


def year(rng, shift):
    """Return the smallest corrected p-value of each week; the first column is shifted from `START` on."""
    detector = DriftDetector(null="asymptotic").fit(rng.normal(size=(2000, N_COLUMNS)))
    weeks = rng.normal(size=(N_WEEKS, 500, N_COLUMNS))
    weeks[START:, :, 0] += shift
    return np.array([detector.detect(rows).adjusted_p_value.min() for rows in weeks])


def main(n_years):
    """Print the table."""
    rng = np.random.default_rng(0)
    calm, shifted = (np.array([year(rng, shift) for _ in range(n_years)]) for shift in (0, SHIFT))
    print(f"{'policy':28}{'years with a false alarm, %':>30}{'independent':>14}{'weeks to find the shift':>26}")
    for name, (policy, independent) in POLICIES.items():
        false = np.mean([policy(p).any() for p in calm])
        found = [policy(p)[START:] for p in shifted]
        weeks = np.mean([np.argmax(x) + 1 if x.any() else N_WEEKS - START for x in found])
        print(f"{name:28}{100 * false:30.1f}{100 * independent:14.1f}{weeks:26.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    with threadpool_limits(1):
        main(2 if parser.parse_args().quick else 40)
