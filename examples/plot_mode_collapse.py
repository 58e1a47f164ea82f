"""
What a GAN's losses do not say
==============================

The two losses of a generative adversarial network say whether its
discriminator can be deceived, not what is generated. One that learns too
slowly is deceived by a generator that makes a part of the data only, and the
losses look as they should. The divergence between the modes that are generated
and those of the data sees it.
"""

# %%
# Eight modes on a ring
# ---------------------
# A generator and a discriminator of two layers in plain PyTorch. Four seeds
# are trained at once: the first axis of all tensors is the seed.

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sklkl.divergences import kl_divergence
from sklkl.metrics import mode_coverage_kl

torch.set_num_threads(1)
n_seeds, n_modes, n_rows, n_steps, every = 4, 8, 64, 1500, 50
angles = torch.arange(n_modes) * 2 * np.pi / n_modes
centres = 2 * torch.stack([angles.cos(), angles.sin()], 1)
everywhere = np.full(n_modes, 1 / n_modes)


class Networks(nn.Module):
    """Networks with two hidden layers of 64 units, one for each seed."""

    def __init__(self, n_outputs):
        super().__init__()
        sizes = [(2, 64), (64, 64), (64, n_outputs)]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for n_in, n_out in sizes:
            start = (2 / n_in) ** 0.5 * torch.randn(n_seeds, n_in, n_out)
            self.weights.append(start)
            self.biases.append(torch.zeros(n_seeds, 1, n_out))

    def forward(self, x):
        first, *others = zip(self.biases, self.weights, strict=True)
        x = torch.baddbmm(first[0], x, first[1])
        for bias, weight in others:
            x = torch.baddbmm(bias, F.leaky_relu(x, 0.2), weight)
        return x


def real(n):
    """Return points of the data: each mode has a standard deviation of 0.2."""
    mode = torch.randint(n_modes, (n_seeds, n))
    return centres[mode] + 0.2 * torch.randn(n_seeds, n, 2)


def noise(n):
    return torch.randn(n_seeds, n, 2)


# %%
# What is measured
# ----------------
# Of 1,000 generated points each belongs to the nearest mode. The reverse KL is
# that of their shares from equal ones, KL(generated‖data): 0 for all modes
# alike, log(8 / k) for k modes alike. The forward KL(data‖generated) asks how
# the data would be explained, and is infinite if a mode is missing; half a
# point is added to each mode to keep it finite.


def measured(points):
    """Return the reverse and the forward KL of each seed."""
    modes = torch.cdist(points, centres.expand(n_seeds, -1, -1)).argmin(-1)
    reverse, forward = [], []
    for mode in modes.numpy():
        counts = np.bincount(mode, minlength=n_modes) + 0.5
        reverse.append(mode_coverage_kl(mode, labels=range(n_modes)))
        forward.append(kl_divergence(everywhere, counts / counts.sum()))
    return reverse, forward


def train(rate, slower):
    """Return losses and divergences over time, and points at the end."""
    torch.manual_seed(0)
    generator, discriminator = Networks(2), Networks(1)
    adam = {"betas": (0.5, 0.999)}
    of_generator = torch.optim.Adam(generator.parameters(), rate, **adam)
    judged = discriminator.parameters()
    of_discriminator = torch.optim.Adam(judged, rate / slower, **adam)
    record = []
    for step in range(1, n_steps + 1):
        fake = generator(noise(n_rows))
        told = discriminator(real(n_rows)), discriminator(fake.detach())
        found = (F.softplus(-told[0]) + F.softplus(told[1])).mean((1, 2))
        of_discriminator.zero_grad()
        found.sum().backward()
        of_discriminator.step()
        deceived = F.softplus(-discriminator(fake)).mean((1, 2))
        of_generator.zero_grad()
        deceived.sum().backward()
        of_generator.step()
        if step % every == 0:
            with torch.no_grad():
                points = generator(noise(1000))
            losses = found.detach().numpy(), deceived.detach().numpy()
            record.append((*losses, *measured(points)))
    return np.moveaxis(np.array(record), 1, 0), points.numpy()


# %%
# Two discriminators
# ------------------
# Once both networks learn at the same rate, once the discriminator at an
# eighth of it.

slower = {"equal rates": 1, "slow discriminator": 8}
runs = {name: train(2e-3, factor) for name, factor in slower.items()}
names = ["discriminator", "generator", "reverse KL", "forward KL"]

print(f"second half of the steps, {n_seeds} seeds: mean ± standard error")
print(f"{'':19s}" + "".join(f"{name:>15s}" for name in names))
for name, (values, _) in runs.items():
    late = values[:, values.shape[1] // 2 :].mean(1)
    error = late.std(1, ddof=1) / np.sqrt(n_seeds)
    numbers = zip(late.mean(1), error, strict=True)
    cells = "".join(f"{mean:8.2f} ± {e:.2f}" for mean, e in numbers)
    print(f"{name:19s}{cells}")
print(f"a guess has the losses {2 * np.log(2):.2f} and {np.log(2):.2f}")

# %%
# By its losses the second run is the better one: they are those of a
# discriminator that can only guess (dotted). Its generator leaves out modes to
# the end, other ones from step to step, and both divergences say so: the
# reverse KL is between that of five modes of eight, 0.47, and that of four,
# 0.69. The forward KL counts more what is left out.

styles = {
    "equal rates": ("#0072B2", "-"),
    "slow discriminator": ("#D55E00", "--"),
}
steps = every * np.arange(1, n_steps // every + 1)
fig, axes = plt.subplots(2, 2, sharex=True, layout="constrained")
fig.set_size_inches(9, 6)
for k, (axis, what) in enumerate(zip(axes.flat, names, strict=True)):
    for name, (colour, line) in styles.items():
        values = runs[name][0][k]
        axis.plot(steps, values.mean(1), line, color=colour, label=name)
        low, high = values.min(1), values.max(1)
        axis.fill_between(steps, low, high, color=colour, alpha=0.15, lw=0)
    guess = [2 * np.log(2), np.log(2), 0, 0][k]
    axis.axhline(guess, color="k", lw=0.8, ls=":")
    loss = f"loss of the {what}" if k < 2 else f"{what} of the modes"
    axis.set(ylabel=f"{loss}, nats")
for axis in axes[1]:
    axis.set_xlabel("step")
handles = axes[0, 0].get_legend_handles_labels()
fig.legend(*handles, loc="outside upper center", ncols=2)
plt.show()

# %%
# What two generators make
# ------------------------
# Points of the first seed at the end, and circles of three standard deviations
# around the modes; some points are outside the picture.

# sphinx_gallery_thumbnail_number = 2
fig, axes = plt.subplots(1, 2, sharey=True, layout="constrained")
fig.set_size_inches(9, 4.5)
for axis, (name, (values, points)) in zip(axes, runs.items(), strict=True):
    axis.plot(*points[0].T, ".", ms=2, color=styles[name][0])
    for centre in centres.numpy():
        axis.add_patch(plt.Circle(centre, 0.6, fill=False, color="k", lw=0.8))
    reverse = values[2, -1, 0]
    title = f"{name}: reverse KL {reverse:.2f} nats"
    axis.set(title=title, aspect="equal")
    axis.set(xlabel="first coordinate", xlim=(-4, 4), ylim=(-4, 4))
axes[0].set_ylabel("second coordinate")
plt.show()

print("share of the points in a circle, all seeds")
for name, (_, points) in runs.items():
    from_modes = np.linalg.norm(points[:, :, None] - centres.numpy(), axis=-1)
    print(f"{name:19s} {np.mean(from_modes.min(-1) < 0.6):.0%}")

# %%
# The modes' shares say nothing of the points between them: a generator that
# spreads its points evenly would have a divergence of 0 too. The share of
# points in a circle is a number of its own.
