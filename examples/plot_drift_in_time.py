"""
Did the market change?
======================

A model learned on old rows, and new rows come month by month. Are they still
like the old ones, and since when not? The rows here are monthly returns of
shares and of two indices from 1990 on, which matplotlib ships; the reference
are the years from 1991 to 1997.
"""

# %%
# Returns in the order of time
# ----------------------------
# The return of a month is the logarithm of the ratio of two prices. Months
# without a price, and companies that came later, are left out.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cbook import get_sample_data

from sklkl.drift import DriftDetector
from sklkl.inspection import DriftDisplay

with get_sample_data("Stocks.csv") as file:
    prices = pd.read_csv(file, comment="#", index_col="Date", parse_dates=True)
names = {"^GSPC": "S&P 500", "^IXIC": "Nasdaq"}
prices = prices.rename(columns=names).drop(columns=["AMZN", "DELL", "GOOGL"])
returns = np.log(prices.dropna()).diff().dropna()
reference = returns.loc["1991":"1997"]
print(f"{len(returns)} months, {returns.index[0]:%Y-%m} to ", end="")
print(f"{returns.index[-1]:%Y-%m}; {len(reference)} of them reference")

# %%
# One question for each period
# ----------------------------
# Each later period of three years is compared with the reference. A p-value
# is that of a permutation test of the population stability index with five
# bins; a column has drifted if it is small enough for one of seven columns.

detector = DriftDetector(n_bins=5, n_permutations=999, random_state=0)
detector.fit(reference)
starts = range(1998, returns.index[-1].year - 1, 3)
periods = {f"{y}-{y + 2}": returns.loc[str(y) : str(y + 2)] for y in starts}
reports = {name: detector.detect(rows) for name, rows in periods.items()}

print("p-values; * drifted, at the level 0.05 for all columns of a period")
print("period      " + "".join(f"{name:>9s}" for name in returns.columns))
for name, report in reports.items():
    marks = zip(report.p_value, report.drifted, strict=True)
    cells = [f"{p:8.3f}{'*' if drifted else ' '}" for p, drifted in marks]
    print(name + "   " + "".join(cells))

# %%
# Is it time, or chance?
# ----------------------
# The same months in a random order have no time, so every alarm about them is
# a false one. A period is counted as drifted if any of its columns is.

rng, n_orders = np.random.default_rng(0), 20
n_false = 0
for _ in range(n_orders):
    mixed = returns.iloc[rng.permutation(len(returns))]
    fast = DriftDetector(n_bins=5, n_permutations=199, random_state=0)
    fast.fit(mixed.iloc[: len(reference)])
    rest = mixed.iloc[len(reference) :]
    parts = [rest.iloc[k : k + 36] for k in range(0, 36 * len(periods), 36)]
    n_false += sum(fast.detect(part).drifted.any() for part in parts)
share = n_false / (n_orders * len(periods))
error = np.sqrt(share * (1 - share) / (n_orders * len(periods)))
n_found = sum(report.drifted.any() for report in reports.values())
print(f"periods with an alarm: {n_found} of {len(periods)} in time, ", end="")
print(f"{share:.1%} (standard error {error:.1%}) in random orders")

# %%
# The alarms are more than chance, and nearly all of them are about companies;
# of the indices only the S&P 500 has one. Two reservations: the companies are
# those that are still there, and months that follow each other are alike in
# how far prices move, which a permutation does not know.

fig, axis = plt.subplots(figsize=(8, 4), layout="constrained")
p_values = np.array([report.p_value for report in reports.values()]).T
norm = {"norm": "log", "cmap": "cividis", "vmin": 1e-3, "vmax": 1}
image = axis.imshow(p_values, **norm, aspect="auto")
fig.colorbar(image, label="p-value")
axis.set_xticks(range(len(periods)), periods, rotation=30, ha="right")
axis.set_yticks(range(len(returns.columns)), returns.columns)
for k, report in enumerate(reports.values()):
    for column in np.flatnonzero(report.drifted):
        axis.text(k, column, "drift", ha="center", va="center", color="white")
axis.set(title="monthly returns against 1991-1997", xlabel="years")
plt.show()

# %%
# What moved
# ----------
# The display shows the columns of one period and, for one of them, the shares
# of its bins before and after.

last = "2013-2015"
fig, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
display = DriftDisplay(reports[last])
display.plot(ax=axes[0]).ax_.set_title(f"{last} against 1991-1997")
display.plot_shares("ADBE", ax=axes[1])
axes[1].set_title("monthly returns of ADBE, logarithms")
plt.show()

spread = {"1991-1997": reference.std(), last: periods[last].std()}
print("standard deviation of monthly returns")
for name, values in spread.items():
    print(name + "   " + "".join(f"{value:9.3f}" for value in values))

# %%
# The spread, not the mean: large losses and gains of a single month have
# become rare. A model that was learned on the old rows meets no new kind of
# month in these years, only fewer of the extreme ones.
