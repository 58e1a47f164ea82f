"""
A policy that changes by a given amount
=======================================

In reinforcement learning a step that is too long does lasting harm: the next
data come from the policy that it left behind. Packages of that field therefore
set the rate by the KL divergence between the policy before and after a step.
:class:`sklkl.optim.KLAdaptiveLR` with ``rule="band"`` does the same in any
loop. Here it drives an actor-critic that balances a pole on a cart.
"""

# %%
# A pole on a cart
# ----------------
# The cart is pushed to the left or to the right, 50 times a second. A pole has
# fallen when it leans by more than 12 degrees or the cart has left its track.
# Everything is done for several seeds at once: the first axis of all tensors
# is the seed, and each seed has networks of its own.

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from sklkl.optim import KLAdaptiveLR, step_kl

torch.set_num_threads(1)
n_seeds, n_poles, n_turns, longest = 5, 24, 32, 200


def pushed(state, action):
    """Return position, speed, angle and spin after 0.02 s.

    The push has 10 N, to the left (0) or to the right (1).
    """
    _, speed, angle, spin = state.unbind(-1)
    sin, cos = angle.sin(), angle.cos()
    push = (20.0 * action - 10.0 + 0.05 * spin**2 * sin) / 1.1
    spin_rate = (9.8 * sin - push * cos) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    speed_rate = push - 0.05 * spin_rate * cos / 1.1
    rates = torch.stack([speed, speed_rate, spin, spin_rate], -1)
    return state + 0.02 * rates


def fresh():
    return 0.1 * torch.rand(n_seeds, n_poles, 4) - 0.05


class Networks(nn.Module):
    """One network of 32 hidden units a seed; the outputs start near 0."""

    def __init__(self, n_outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_seeds, 4, 32) / 2)
        self.bias = nn.Parameter(torch.randn(n_seeds, 1, 32) / 2)
        self.output = nn.Parameter(0.01 * torch.randn(n_seeds, 32, n_outputs))

    def forward(self, state):
        hidden = torch.baddbmm(self.bias, state, self.weight)
        return torch.tanh(hidden) @ self.output


# %%
# Actor and critic
# ----------------
# Every step uses what 24 poles did in 32 turns, with advantages from the
# critic (GAE). Only the line of the actor's step differs: ``optimizer.step()``
# becomes ``rate.step(loss, states)``. The logits have the shape (seed, row,
# action), so each seed gets a rate of its own.


def played(actor, critic, state, age):
    """Return what many turns gave, and the lengths of ended episodes.

    These are states, actions, advantages and returns; and where all are now.
    """
    turns, ended, limit = [], [], np.radians(12)
    with torch.no_grad():
        for _ in range(n_turns):
            action = torch.bernoulli(actor(state).softmax(-1)[..., 1])
            after, age = pushed(state, action), age + 1
            place, _, angle, _ = after.abs().unbind(-1)
            over = (place > 2.4) | (angle > limit) | (age >= longest)
            turns.append((state, action.long(), over))
            ended.append(torch.where(over, age, torch.nan))
            state = torch.where(over[..., None], fresh(), after)
            age = torch.where(over, 0.0, age)
        of_turns = (torch.stack(part, 1) for part in zip(*turns, strict=True))
        states, actions, overs = of_turns
        visited = torch.cat([states, state[:, None]], 1)
        values = critic(visited.flatten(1, 2))
        values = values.view(n_seeds, n_turns + 1, n_poles)
        advantage, advantages = 0.0, []
        for t in reversed(range(n_turns)):
            goes_on = 0.99 * (~overs[:, t])
            surprise = 1.0 + goes_on * values[:, t + 1] - values[:, t]
            advantage = surprise + 0.95 * goes_on * advantage
            advantages.insert(0, advantage)
    advantages = torch.stack(advantages, 1)
    returns = advantages + values[:, :-1]
    parts = (states, actions, advantages, returns)
    rows = [part.flatten(1, 2) for part in parts]
    return rows, state, age, torch.stack(ended, 1).flatten(1)


def train(first_rate, rule=None, n_steps=120, **rule_params):
    """Return, for each step and seed, its KL and the length of episodes."""
    torch.manual_seed(0)
    actor, critic = Networks(2), Networks(1)
    optimizer = torch.optim.Adam(actor.parameters(), lr=first_rate)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=0.01)
    rate = None
    if rule is not None:
        rate = KLAdaptiveLR(optimizer, actor, rule=rule, **rule_params)
    state, age = fresh(), torch.zeros(n_seeds, n_poles)
    length, steps = torch.full((n_seeds,), 20.0), []
    for _ in range(n_steps):
        rows, state, age, ended = played(actor, critic, state, age)
        states, actions, advantages, returns = rows
        mean = advantages.mean(1, keepdim=True)
        advantages = (advantages - mean) / advantages.std(1, keepdim=True)
        logits = actor(states)
        log_proba = logits.log_softmax(-1).gather(-1, actions[..., None])
        loss = -(advantages * log_proba[..., 0]).mean(1)
        optimizer.zero_grad()
        loss.sum().backward()
        if rate is None:
            optimizer.step()
            kl = step_kl(logits.detach(), actor(states).detach()).numpy()
        else:
            rate.step(loss, states)
            kl = rate.step_kl_
        for _ in range(4):
            critic_optimizer.zero_grad()
            error = critic(states)[..., 0] - returns
            error.square().mean(1).sum().backward()
            critic_optimizer.step()
        new = 0.8 * length + 0.2 * ended.nanmean(1)
        length = torch.where(ended.isfinite().any(1), new, length)
        steps.append((kl, length.numpy()))
    return np.moveaxis(np.array(steps), 1, 0)


# %%
# Three rates to begin with
# -------------------------
# One of them is about right, the others are wrong by factors of 50 and more.
# The rule has three parameters here that are not its defaults; the table says
# what each is worth:
#
# - ``bounds``: a small policy needs rates above 0.01, the usual largest one;
# - ``factor``: the rate that is right changes from step to step, because each
#   batch is new, and 1.5 is slow to follow;
# - ``guard``: a step of more than twice the target is taken back to the
#   target. In public code such a step is kept, and only the next one is
#   shorter.

target = 0.002
band = {
    "rule": "band",
    "kl_target": target,
    "bounds": (1e-7, 1.0),
    "factor": 2.0,
    "guard": 2.01,
}
first_rates = [1e-6, 2e-2, 1.0]
runs = {("fixed", rate): train(rate) for rate in first_rates}
runs |= {("band", rate): train(rate, **band) for rate in first_rates}
for name in ("bounds", "factor", "guard"):
    usual = {key: value for key, value in band.items() if key != name}
    runs[f"band, usual {name}", 2e-2] = train(2e-2, **usual)
skrl = {"rule": "band", "kl_target": target, "guard": np.inf}
runs["skrl's constants", 2e-2] = train(2e-2, **skrl)

print(f"{n_seeds} seeds; all but the first 20 steps, lengths of the last 30")
print(f"{'':29s}  step KL / target: {'':11s} within a  length of")
print(f"{'':29s}  median (quartiles) {'':9s} factor 2  episodes")
for (name, rate), (kl, lengths) in runs.items():
    share = kl[20:] / target
    low, median, high = np.quantile(share, [0.25, 0.5, 0.75])
    within = np.mean((share >= 0.5) & (share <= 2))
    measured = f"{median:8.2g} ({low:.2g} to {high:.2g})"
    cells = f"{name:18s} from {rate:<6g}{measured:>28s}"
    print(f"{cells} {within:9.0%} {lengths[-30:].mean():9.0f}")

# %%
# Whatever it begins with, the rule brings the step to its target within some
# steps and then holds it: the upper edge of the band by its guard, the lower
# one as well as a rate can that is chosen before the gradient is seen.
# Divergences below 1e-8 are drawn at 1e-8.

# blue, orange and green of Okabe and Ito, which everybody can tell apart
colours = [("#0072B2", "-"), ("#E69F00", "--"), ("#009E73", ":")]
styles = dict(zip(first_rates, colours, strict=True))
grid = {"sharex": True, "sharey": "col", "layout": "constrained"}
fig, axes = plt.subplots(2, 2, figsize=(9, 6.5), **grid)
for (above, beside), name in zip(axes, ["fixed", "band"], strict=True):
    above.axhspan(target / 2, 2 * target, color="k", alpha=0.12, lw=0)
    for rate, (colour, line) in styles.items():
        kl, lengths = runs[name, rate]
        steps = np.arange(1, len(kl) + 1)
        dots = {"ms": 3, "color": colour, "alpha": 0.5}
        above.plot(steps, np.maximum(kl, 1e-8), ".", **dots)
        style = {"lw": 2, "color": colour, "label": f"{rate:g}"}
        beside.plot(steps, lengths.mean(1), line, **style)
        shade = {"color": colour, "alpha": 0.15, "lw": 0}
        beside.fill_between(steps, lengths.min(1), lengths.max(1), **shade)
    title = "fixed rate" if name == "fixed" else 'rule "band"'
    above.set(yscale="log", ylim=(5e-9, 20))
    above.set_ylabel(f"{title}\nKL of the step, nats")
    beside.set(ylim=(0, 205), ylabel="length of episodes, turns")
axes[0, 0].set_title("each dot a step of one seed")
axes[0, 1].set_title(f"mean and range of {n_seeds} seeds")
where, words = (118, 3.2 * target), "within a factor 2 of the target"
axes[1, 0].text(*where, words, ha="right", fontsize=9)
lines = axes[0, 1].get_legend_handles_labels()
fig.legend(*lines, title="first rate", loc="outside upper center", ncols=3)
for axis in axes[1]:
    axis.set_xlabel("step")
plt.show()

# %%
# The rule holds how far a policy moves, not whether it moves in the right
# direction: with a good fixed rate the pole is balanced as well. What is
# gained is that the rate need not be known.
