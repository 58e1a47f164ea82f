"""
Divergences of a coin from a fair one
=====================================

How far is a coin that shows heads with probability p from a fair one? Every
divergence has its own answer: they agree that p = ½ is no distance at all, and
on nothing else.
"""

# %%
# One curve a divergence
# ----------------------
# The first argument is the reference. The KL divergence of the coin from the
# fair one is at most log 2: where the coin rules heads out, the fair coin is
# merely wasteful. The other way round it is infinite: the fair coin shows
# heads, which the other said could not happen. The Jensen-Shannon divergence
# is always finite, at most log 2.

import matplotlib.pyplot as plt
import numpy as np

from sklkl.divergences import get_divergence, js_divergence, kl_divergence

p = np.linspace(0, 1, 401)
coins = np.stack([p, 1 - p], axis=1)
fair = np.array([0.5, 0.5])

styles = {
    "kl": ("#0072B2", "-"),
    "reverse_kl": ("#D55E00", "-"),
    "jeffreys": ("#009E73", "-"),
    "js": ("#CC79A7", "-"),
    "hellinger": ("#0072B2", "--"),
    "total_variation": ("#D55E00", "--"),
    "chi2": ("#009E73", "--"),
    "renyi": ("#E69F00", "-."),
}
fig, axis = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
for name, (colour, style) in styles.items():
    divergence = get_divergence(name)(coins, fair)
    axis.plot(p, divergence, color=colour, linestyle=style, label=name)
axis.set(
    xlabel="probability of heads, p",
    ylabel="divergence of the coin from the fair one",
    ylim=(0, 1.6),
)
fig.legend(loc="outside upper center", ncols=4)
plt.show()

# %%
# Hellinger distance and total variation are distances between 0 and 1, chi2 is
# a mean square; the others are in nats.
#
# Close to equality
# -----------------
# Divergences are made of logarithms of numbers near 1, and the plain formula
# loses its digits there. At a distance of 1e-4 the KL divergence is 2e-8; in
# float32 the sum of p log(p/q) is rounding error of either sign.

steps = np.logspace(-6, -1, 60)
near = np.stack([0.5 + steps, 0.5 - steps], axis=1)
single, single_fair = near.astype(np.float32), fair.astype(np.float32)
double = single.astype(np.float64)
truth = kl_divergence(double, fair, normalize=True)
plain = np.sum(single * (np.log(single) - np.log(single_fair)), axis=1)
ours = kl_divergence(single, single_fair, normalize=True)

fig, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
kinds = {
    "sum of p log(p/q)": (plain, "o", "#D55E00"),
    "kl_divergence": (ours, "^", "#0072B2"),
}
for name, (values, marker, colour) in kinds.items():
    error = np.maximum(np.abs(values / truth - 1), 1e-9)
    axis.loglog(steps, error, marker, color=colour, label=name, markersize=5)
axis.set(
    xlabel="distance from a fair coin, p - ½",
    ylabel="relative error of KL in float32\n(1e-9 and less at the bottom)",
)
fig.legend(loc="outside upper center", ncols=2)
plt.show()

# %%
# The same as numbers
# -------------------
# For small differences all f-divergences are one: KL is half the squared
# distance over p, and Jensen-Shannon a quarter of KL.

for step in [0.1, 0.01, 0.001]:
    coin = np.array([0.5 + step, 0.5 - step])
    kl, js = kl_divergence(coin, fair), js_divergence(coin, fair)
    print(
        f"p - ½ = {step:5.3f}: KL {kl:.3e} nats,",
        f"2 (p - ½)² {2 * step**2:.3e}, KL / JS {kl / js:.3f}",
    )
