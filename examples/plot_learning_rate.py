"""
No rate to tune
===============

The learning rate is usually the first thing to search, over a grid of powers
of ten. It need not be: :class:`sklkl.optim.KLAdaptiveLR` measures how far a
step moves the predictions, and finds the rate at which they move as far as
wanted. Here is what that is worth from very bad first rates, what it looks
like on the way, and what it does not do.
"""

# %%
# A plain loop
# ------------
# A network with two hidden layers on a thousand handwritten digits, with
# dropout and weight decay. A stack of such networks is trained at once, each
# with weights of its own and, if there is a rule, a rate of its own. Of the
# loop, only the line of the step differs.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from sklkl.optim import KLAdaptiveLR

torch.set_num_threads(1)
X, y = load_digits(return_X_y=True)
X = ((X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)).astype("float32")
split = train_test_split(X, y, train_size=1000, stratify=y, random_state=0)
X_train, X_test, y_train, y_test = (
    torch.as_tensor(values) for values in split
)


class Networks(nn.Module):
    """A stack of networks of the same layout."""

    def __init__(self, n_networks, sizes, activation, dropout):
        super().__init__()
        self.activation, self.dropout = activation, nn.Dropout(dropout)
        layers = zip(sizes[:-1], sizes[1:], strict=True)
        shapes = [(n_networks, *layer) for layer in layers]
        # torch's own first weights, for each network of the stack
        self.weights = nn.ParameterList(
            (2 * torch.rand(shape) - 1) / shape[1] ** 0.5 for shape in shapes
        )
        self.biases = nn.ParameterList(
            (2 * torch.rand(n, 1, out) - 1) / width**0.5
            for n, width, out in shapes
        )

    def forward(self, x):
        first, *others = zip(self.biases, self.weights, strict=True)
        bias, weight = first
        x = torch.baddbmm(bias, x.expand(len(weight), -1, -1), weight)
        for bias, weight in others:
            hidden = self.dropout(self.activation(x))
            x = torch.baddbmm(bias, hidden, weight)
        return x


def log_losses(logits, y):
    """Return the log-loss of each network of a stack."""
    labels = y.expand(len(logits), -1)[..., None]
    return -logits.log_softmax(-1).gather(-1, labels).mean((-2, -1))


two_layers = {"sizes": [64, 64, 64, 10], "activation": torch.relu}
two_layers |= {"dropout": 0.3}


def decayed(parameters, lr):
    decay = {"weight_decay": 0.3, "fused": True}
    return torch.optim.AdamW(parameters, lr=lr, **decay)


def train(
    first_rate,
    rule,
    layout=two_layers,
    optimizer=decayed,
    n_networks=3,
    n_epochs=25,
    **rule_params,
):
    """Return a stack of networks and what its steps were.

    These are the mean loss, the rate and, if there is a rule, the KL.
    """
    torch.manual_seed(0)
    networks = Networks(n_networks, **layout)
    optimizer = optimizer(networks.parameters(), lr=first_rate)
    total_steps = n_epochs * 20
    rate = cycle = None
    if rule == "one-cycle":
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, first_rate, total_steps=total_steps
        )
    elif rule != "fixed":
        rate = KLAdaptiveLR(
            optimizer, networks, total_steps, rule=rule, **rule_params
        )
    steps = []
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X_train)).split(50):
            loss = log_losses(networks(X_train[rows]), y_train[rows])
            optimizer.zero_grad()
            loss.sum().backward()
            n_measured = rate.n_measured_ if rate else 0
            rate.step(loss, X_train[rows]) if rate else optimizer.step()
            measured = rate and rate.n_measured_ > n_measured
            kl = np.mean(rate.step_kl_) if measured else np.nan
            rate_now = optimizer.param_groups[0]["lr"]
            steps.append((loss.mean().item(), rate_now, kl))
            if cycle:
                cycle.step()
    names = ["loss", "rate", "kl"]
    return networks, dict(zip(names, np.array(steps).T, strict=True))


def test_losses(networks):
    with torch.no_grad():
        return log_losses(networks.eval()(X_test), y_test).numpy()


# %%
# From a millionth to ten
# -----------------------
# Three ways to set the rate of the same optimiser (AdamW): as it is given, one
# cycle with this peak, and the rule ``"lock"``, for which it is only where the
# rule begins. A loss that is not finite is drawn at the upper edge.

first_rates = [1e-6, 1e-4, 1e-3, 1e-2, 0.1, 10.0]
results = {
    rule: np.array([test_losses(train(rate, rule)[0]) for rate in first_rates])
    for rule in ["fixed", "one-cycle", "lock"]
}

print("test log-loss, means of three networks, by first rate")
print(f"{'':10s}" + "".join(f"{rate:>8g}" for rate in first_rates))
means = {rule: losses.mean(axis=1) for rule, losses in results.items()}
for rule, losses in means.items():
    print(f"{rule:10s}" + "".join(f"{loss:8.3f}" for loss in losses))
print(f"best fixed rate {np.nanmin(means['fixed']):.3f}", end=", ")
print(f"best cycle {np.nanmin(means['one-cycle']):.3f}", end=", ")
print(f"all of lock {means['lock'].mean():.3f}")

top = 6.0
# orange, green and blue of Okabe and Ito, which everybody can tell apart
orange, green, blue = "#E69F00", "#009E73", "#0072B2"
looks = [("o", orange), ("s", green), ("D", blue)]
fig, axis = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
for rule, (marker, colour) in zip(results, looks, strict=True):
    losses = np.minimum(np.nan_to_num(results[rule], nan=top), top)
    style = {"marker": marker, "color": colour, "label": rule}
    axis.plot(first_rates, losses.mean(axis=1), **style)
    ends = losses.min(axis=1), losses.max(axis=1)
    axis.fill_between(first_rates, *ends, color=colour, alpha=0.2, lw=0)
axis.axhline(np.log(10), color="grey", linestyle=":")
above = 1.05 * np.log(10)
axis.text(1e-2, above, "all classes alike", ha="center", fontsize=9)
axis.set(xscale="log", xlabel="rate that the optimiser is given")
axis.set(yscale="log", ylim=(0.07, top))
axis.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], ["0.1", "0.2", "0.5", "1", "2", "5"])
axis.set_ylabel("test log-loss, nats")
fig.legend(
    loc="outside upper center",
    ncols=3,
    title="rate (mean and range of three networks)",
)

# %%
# A rate that is given has to be right: a power of ten beside the best, the
# loss is larger by a third and more. ``"lock"`` comes to the very same
# networks from anywhere. The best fixed rate and the best cycle took six
# trainings each to find. How ``"lock"`` compares with them depends on its
# target, which it takes by itself here; see the end of this page. The other
# rules, ``"band"`` and ``"polyak"``, begin anywhere as well, but do not anneal
# the rate, which costs something.
#
# What happens on the way
# -----------------------
# The first step of ``"lock"`` is scaled until the predictions move by about as
# much as wanted. A first rate that is wrong by a factor of thousands is
# corrected at once, and as the scaled rate is one of a fixed grid, nothing of
# the first rate is left. Then rate and divergence rise together; the rate
# found is locked, and declines to nothing.

fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
ends = [(1e-6, "o", 6, blue), (10.0, "x", 4, orange)]
for first_rate, marker, size, colour in ends:
    steps = train(first_rate, "lock", n_networks=1)[1]
    second, largest = steps["rate"][1], max(steps["rate"][1:])
    rates = f"second step at the rate {second:.2g}, largest rate {largest:.2g}"
    print(f"lock from {first_rate:<6g}: {rates}")
    numbers = 1 + np.arange(len(steps["rate"]))
    # one lies on the other
    line = {"lw": size - 3, "label": f"from {first_rate:g}"}
    axes[0].plot(numbers, steps["rate"], color=colour, **line)
    axes[1].plot(numbers, steps["kl"], marker, ms=size, color=colour)
axes[0].set(yscale="log", xlabel="step", ylabel="rate", title="rate")
axes[0].legend()
axes[1].set(
    yscale="log",
    xlabel="step",
    ylabel="KL(before ‖ after), nats a row",
    title="KL of the steps measured",
)

# %%
# What it does not do
# -------------------
# Six hidden layers with sigmoids are a classic: the gradient of the first
# layer is a tiny part of that of the last, and plain SGD does not train them.
# It is often said that steps of a given length in prediction space cure this.
# They do not: the rule makes all layers' steps longer alike, the last layer
# alone can move the predictions as far as wanted, and the first stays where it
# was. Another activation does help, with the rule or without it; so does Adam,
# which scales the gradient of each weight.

deep = [64, *[64] * 6, 10]
sigmoid = {"sizes": deep, "activation": torch.sigmoid, "dropout": 0.0}
relu = sigmoid | {"activation": torch.relu}
sgd, adam = torch.optim.SGD, torch.optim.Adam
cases = {
    "sigmoid, SGD at 0.1": ((0.1, "fixed", sigmoid, sgd), orange, "-", 5),
    "sigmoid, SGD, lock": ((0.1, "lock", sigmoid, sgd), blue, "-", 2),
    "ReLU, SGD at 0.1": ((0.1, "fixed", relu, sgd), orange, "--", 2),
    "ReLU, SGD, lock": ((0.1, "lock", relu, sgd), blue, "--", 2),
    "sigmoid, Adam at 0.001": (
        (0.001, "fixed", sigmoid, adam),
        orange,
        ":",
        2,
    ),
    "sigmoid, Adam, lock": ((0.1, "lock", sigmoid, adam), blue, ":", 2),
}


def gradient_ratio(networks):
    """Return the ratio of the norms of the first and last gradient."""
    networks.zero_grad()
    log_losses(networks(X_train), y_train).sum().backward()
    first, last = networks.weights[0].grad, networks.weights[-1].grad
    ratio = first.flatten(1).norm(dim=1) / last.flatten(1).norm(dim=1)
    return ratio.mean().item()


print(f"{'means of 3 networks':24s} training loss   gradient, first / last")
untrained = gradient_ratio(Networks(3, **sigmoid))
print(f"{'sigmoid, before training':24s} {'':13s} {untrained:24.1g}")
fig, axis = plt.subplots(figsize=(9, 4.5), layout="constrained")
for name, (case, colour, line, width) in cases.items():
    networks, steps = train(*case)
    loss = steps["loss"].reshape(-1, 20).mean(axis=1)
    print(f"{name:24s} {loss[-1]:13.3f} {gradient_ratio(networks):24.1g}")
    style = {"color": colour, "lw": width, "label": name}
    axis.plot(1 + np.arange(len(loss)), loss, line, **style)
axis.set(xlabel="epoch", ylabel="training loss, nats", ylim=(0, 2.7))
axis.set_title("six hidden layers, means of three networks")
fig.legend(loc="outside right center")
plt.show()

# %%
# By SGD the loss of the sigmoids stays at log 10, that of no knowledge at all.
#
# How far to go
# -------------
# What is left to choose is ``kl_target``, on a much coarser scale than a rate:
# the rate goes with its root. It also says how far training goes in a given
# number of steps. Without dropout and weight decay nothing else keeps these
# networks from learning a thousand digits by heart, and the boldest of these
# targets make them much too confident.

bare = {"layout": two_layers | {"dropout": 0.0}, "optimizer": adam}
print("test log-loss             dropout and decay   without")


def mean_loss(*case, **params):
    return test_losses(train(*case, **params)[0]).mean()


kinds = [{}, bare]
for rate in (1e-3, 3e-3):
    losses = [mean_loss(rate, "fixed", **kind) for kind in kinds]
    print(f"fixed rate {rate:<18g} {losses[0]:10.3f} {losses[1]:12.3f}")
for target in (0.03, 0.01, 0.003):
    lock = {"rule": "lock", "kl_target": target}
    losses = [mean_loss(0.1, **lock, **kind) for kind in kinds]
    print(f"lock, kl_target={target:<13g} {losses[0]:10.3f} {losses[1]:12.3f}")
