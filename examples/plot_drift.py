"""
A threshold is no test
======================

The population stability index (PSI) compares two samples in bins, and a value
above 0.1 or 0.25 is often called a drift. But its size depends on the number
of rows as much as on the drift. A p-value knows how many rows there were.
"""

# %%
# Alarms
# ------
# Many columns at once, all from one normal distribution; in the new rows their
# mean is moved by some share of the standard deviation. Without a shift every
# alarm is a false one, and a test at the level 0.05 should raise one for 5 %
# of the columns.

import matplotlib.pyplot as plt
import numpy as np

from sklkl.drift import DriftDetector

shifts = [0.0, 0.1, 0.2, 0.3, 0.5, 0.7]
sizes = [100, 500, 5000]
n_columns = 200

detector = DriftDetector(n_permutations=199, correction=None, random_state=0)
rng = np.random.default_rng(0)
alarms = {}
for size in sizes:
    reference = rng.normal(size=(size, n_columns))
    detector.fit(reference)
    for shift in shifts:
        report = detector.detect(rng.normal(shift, size=(size, n_columns)))
        above = report.statistic > 0.1
        alarms[size, shift] = report.drifted.mean(), above.mean()

print("share of columns with an alarm: p-value <= 0.05 (PSI > 0.1)")
print("shift   " + "".join(f"{size:>8d} rows  " for size in sizes))
for shift in shifts:
    cells = ["{:6.2f} ({:4.2f})  ".format(*alarms[n, shift]) for n in sizes]
    print(f"{shift:5.1f}   " + "".join(cells))

# %%
# With 100 rows the threshold calls nearly everything a drift; with 5,000 it
# overlooks a shift by a fifth of a standard deviation, which the test never
# misses.

fig, axes = plt.subplots(
    1, 2, figsize=(10, 4.2), sharey=True, layout="constrained"
)
# blue, orange and green of Okabe and Ito, which everybody can tell apart
looks = [("o", "#0072B2"), ("s", "#E69F00"), ("^", "#009E73")]
styles = dict(zip(sizes, looks, strict=True))
for k, title in enumerate(["p-value ≤ 0.05", "PSI > 0.1"]):
    axis = axes[k]
    for size, (marker, colour) in styles.items():
        shares = [alarms[size, shift][k] for shift in shifts]
        style = {"marker": marker, "color": colour, "label": f"{size:,} rows"}
        axis.plot(shifts, shares, **style)
    axis.axhline(0.05, color="grey", linestyle=":")
    axis.set(title=title, xlabel="shift of the mean, standard deviations")
axes[0].set_ylabel("share of columns with an alarm")
lines = axes[0].get_legend_handles_labels()
fig.legend(*lines, loc="outside upper center", ncols=3)
plt.show()
