"""
Divergences of a coin from a fair one
=====================================

How far is a coin that shows heads with probability p from a fair one? Every divergence has its own answer: they agree
that p = ½ is no distance at all, and on nothing else.
"""

# %%
# One curve a divergence
# ----------------------
# The first argument is the reference. The KL divergence of the coin from the fair one is at most log 2: where the coin
# rules heads out, the fair coin is merely wasteful. The other way round it is infinite: the fair coin shows heads,
# which the other said could not happen. The Jensen-Shannon divergence is always finite, at most log 2.

import matplotlib.pyplot as plt
import numpy as np

from sklkl.divergences import get_divergence, js_divergence, kl_divergence

p = np.linspace(0, 1, 401)
coins = np.stack([p, 1 - p], axis=1)
fair = np.array([0.5, 0.5])

names = ["kl", "reverse_kl", "jeffreys", "js", "hellinger", "total_variation", "chi2", "renyi"]
fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for name in names:
    axes[0].plot(p, get_divergence(name)(coins, fair), label=name)
axes[0].set(xlabel="probability of heads, p", ylabel="divergence of the coin from the fair one", ylim=(0, 1.6))
axes[0].legend(ncols=2, fontsize="small")

# %%
# Close to equality
# -----------------
# Divergences are made of logarithms of numbers near 1, and the plain formula loses its digits there. At a distance of
# 1e-4 the KL divergence is 2e-8; in float32 the sum of p log(p/q) is rounding error of either sign.

steps = np.logspace(-6, -1, 60)
near = np.stack([0.5 + steps, 0.5 - steps], axis=1)
single, single_fair = near.astype(np.float32), fair.astype(np.float32)
truth = kl_divergence(single.astype(np.float64), fair, normalize=True)
plain = np.sum(single * (np.log(single) - np.log(single_fair)), axis=1)
ours = kl_divergence(single, single_fair, normalize=True)

axes[1].loglog(steps, np.abs(plain / truth - 1), ".", label="float32, sum of p log(p/q)")
axes[1].loglog(steps, np.maximum(np.abs(ours / truth - 1), 1e-9), ".", label="float32, kl_divergence")
axes[1].set(xlabel="p - ½", ylabel="relative error of KL")
axes[1].legend()
plt.show()

# %%
# The same as numbers
# -------------------
# For small differences all f-divergences are one: KL is half the squared distance over p, and Jensen-Shannon a quarter
# of KL.

for step in [0.1, 0.01, 0.001]:
    coin = np.array([0.5 + step, 0.5 - step])
    kl, js = kl_divergence(coin, fair), js_divergence(coin, fair)
    print(f"p - ½ = {step:5.3f}: KL {kl:.3e} nats, 2 (p - ½)² {2 * step**2:.3e}, KL / JS {kl / js:.3f}")
