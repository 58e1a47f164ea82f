"""Rules for the learning rate from initial rates over seven decades, beside the best of ten fixed rates.

Every rule starts from each of six initial rates; what counts is its worst test log-loss over them, divided by that of
the best of ten fixed rates (which is chosen by the test rows, so it is hard to beat). Log-losses are means over seeds.
"early" takes the epoch of the lowest validation log-loss, on both sides; "final" the last one. The rules:

fixed, cosine      the initial rate, constant, or along half a cosine to nothing
skrl, rsl_rl       the band rule with the constants of these packages of reinforcement learning
polyak, lock       rules of KLAdaptiveLR; lock is its default
prodigy, schedulefree  the packages prodigyopt (with a cosine) and schedulefree (AdamW), where installed, for Adam only

The sets are those of ``quality.py``, of up to ``--max-train`` training rows, 15 % of them for validation; a small
convolutional network is trained on sets of square images. All networks that differ in nothing but their rate are
trained as one stack, with the same batches and the same dropout.

    python examples/benchmarks/learning_rate.py --data FOLDER --plot learning_rate.png
    python examples/benchmarks/learning_rate.py --quick      # two small sets, few settings and epochs
"""

import copy
import importlib.util
import math
import time
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from quality import chosen_sets, prepared, set_parser
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from torch import nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from sklkl.optim import KLAdaptiveLR

INITIAL = [1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0]
FIXED = np.array([1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3])
HOPELESS = 1000.0  # stands for log-losses that are greater or not finite


@dataclass(frozen=True)
class Setting:
    """How networks are trained."""

    name: str
    batch: int = 32
    epochs: int = 50
    hidden: tuple[int, ...] = (64, 64)
    optimizer: str = "adam"
    regularised: bool = False
    flipped: float = 0.0
    images: bool = False


BASE = Setting("Adam, batch 32, 50 epochs")
SETTINGS = [
    BASE,
    replace(BASE, name="batch 256", batch=256),
    replace(BASE, name="5 epochs", epochs=5),
    replace(BASE, name="batch 256, 5 epochs", batch=256, epochs=5),
    replace(BASE, name="SGD", optimizer="sgd"),
    replace(BASE, name="batch norm, dropout", regularised=True),
    replace(BASE, name="6 layers", hidden=(64,) * 5),
    replace(BASE, name="30 % flipped labels", flipped=0.3),
]
IMAGES = Setting("convolutions, 10 epochs", epochs=10, images=True)


# Networks


def dense(n_features, n_classes, setting):
    """Return a multilayer perceptron."""
    layers = []
    for n_in, n_out in zip((n_features, *setting.hidden), setting.hidden, strict=False):
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out) if setting.regularised else nn.Identity(), nn.ReLU()]
        layers += [nn.Dropout(0.3)] * setting.regularised
    return nn.Sequential(*layers, nn.Linear(setting.hidden[-1], n_classes))


def convolutional(n_features, n_classes, setting):
    """Return a small network for square images."""
    side = math.isqrt(n_features)
    pooled = 4 if side >= 16 else 2
    return nn.Sequential(
        nn.Unflatten(-1, (1, side, side)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(pooled),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * (side // pooled) ** 2, n_classes),
    )


class Stack:
    """Networks with the same starting weights and their own from then on."""

    def __init__(self, network, size):
        self.parameters, self.buffers = stack_module_state([copy.deepcopy(network) for _ in range(size)])
        self.skeleton = copy.deepcopy(network).to("meta")
        self.forward = vmap(self._one, in_dims=(0, 0, None), randomness="same")

    def _one(self, parameters, buffers, x):
        return functional_call(self.skeleton, (parameters, buffers), (x,))

    def __call__(self, x):
        self.skeleton.train()
        return self.forward(self.parameters, self.buffers, x)

    def evaluate(self, x):
        self.skeleton.eval()
        with torch.no_grad():
            return self.forward(self.parameters, self.buffers, x)


# Rules: each takes an optimiser's step from the losses of a stack


class Given:
    """A given rate for each network of the stack, times a schedule."""

    def __init__(self, optimizer, rates, schedule):
        self.optimizer, self.rates, self.schedule, self.n_steps = optimizer, torch.as_tensor(rates), schedule, 0
        self.parameters = optimizer.param_groups[0]["params"]

    def step(self, losses, x):
        before = [p.detach().clone() for p in self.parameters]
        self.optimizer.step()  # at rate 1: all steps here are proportional to the rate
        rates = self.rates * self.schedule(self.n_steps)
        self.n_steps += 1
        with torch.no_grad():
            for p, old in zip(self.parameters, before, strict=True):
                p.copy_(old + rates.to(p).reshape(-1, *[1] * (p.ndim - 1)) * (p - old))


class Package:
    """An optimiser that finds its rate by itself."""

    def __init__(self, optimizer, scheduler=None):
        self.optimizer, self.scheduler = optimizer, scheduler

    def step(self, losses, x):
        self.optimizer.step()
        if self.scheduler:
            self.scheduler.step()


def plain_optimizer(stack, setting, lr=1.0):
    """Return the setting's optimiser for a stack."""
    parameters = list(stack.parameters.values())
    if setting.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True)
    return torch.optim.Adam(parameters, lr=lr)


def given(schedule):
    """Return a maker of rules with given rates; ``schedule`` gets the share of training that is over."""

    def make(stack, setting, rates, total_steps):
        return Given(plain_optimizer(stack, setting), rates, lambda step: schedule(step / total_steps))

    return make


def adaptive(name, **params):
    """Return a maker of a rule of KLAdaptiveLR."""

    def make(stack, setting, rates, total_steps):
        optimizer = plain_optimizer(stack, setting)
        return KLAdaptiveLR(optimizer, stack.evaluate, total_steps, rule=name, lr=rates, **params)

    return make


def prodigy(stack, setting, rates, total_steps):
    """Return Prodigy with a cosine, as its authors advise; the initial rate is its estimate of the distance."""
    from prodigyopt import Prodigy

    optimizer = Prodigy(list(stack.parameters.values()), lr=1.0, d0=rates[0])
    return Package(optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total_steps))


def schedulefree(stack, setting, rates, total_steps):
    """Return Schedule-Free AdamW."""
    from schedulefree import AdamWScheduleFree

    optimizer = AdamWScheduleFree(list(stack.parameters.values()), lr=rates[0])
    optimizer.train()
    return Package(optimizer)


RULES = {
    "fixed": given(lambda share: 1.0),
    "cosine": given(lambda share: (1 + math.cos(math.pi * share)) / 2),
    # no step is shortened there; rl_games has the constants of skrl
    "skrl": adaptive("band", kl_target=0.008, factor=1.5, bounds=(1e-6, 1e-2), guard=math.inf),
    "rsl_rl": adaptive("band", kl_target=0.01, factor=1.5, bounds=(1e-5, 1e-2), guard=math.inf),
    "polyak": adaptive("polyak"),
    "lock": adaptive("lock"),
    "prodigy": prodigy,
    "schedulefree": schedulefree,
}
PACKAGES = {"prodigy": "prodigyopt", "schedulefree": "schedulefree"}


# Training


def image_sets(folder):
    """Return {name: loader} for the digits that scikit-learn ships, and sets of square images in a folder."""

    def load(path):
        with np.load(path) as arrays:
            return arrays["X"], arrays["y"]

    paths = sorted(folder.glob("*.npz")) if folder else []
    digits = {"digits, images": lambda: load_digits(return_X_y=True)}
    return digits | {path.stem: lambda path=path: load(path) for path in paths}


def image_parts(load, seed, max_train, max_test):
    """Return training and test images with pixels from 0 to 1, and their labels."""
    X, y = load()
    n_test = min(max_test, int(0.3 * len(X)))
    return train_test_split(
        X / X.max(), y, train_size=min(max_train, len(X) - n_test), test_size=n_test, stratify=y, random_state=seed
    )


def tensors(load, seed, max_train, setting):
    """Return the training, validation and test rows as pairs of tensors, and the number of classes."""
    X, X_test, y, y_test = (image_parts if setting.images else prepared)(load, seed, max_train, max_test=5000)
    # a rare class may be in the test rows only
    encoder, rng = LabelEncoder().fit(np.concatenate([y, y_test])), np.random.default_rng(seed)
    order, n_valid = rng.permutation(len(X)), int(0.15 * len(X))

    def pair(X, y):
        codes, flips = encoder.transform(y), rng.random(len(y)) < setting.flipped
        codes[flips] = rng.integers(len(encoder.classes_), size=flips.sum())
        return torch.as_tensor(np.asarray(X, dtype=np.float32)), torch.as_tensor(codes)

    X, y = np.asarray(X)[order], np.asarray(y)[order]
    parts = pair(X[n_valid:], y[n_valid:]), pair(X[:n_valid], y[:n_valid]), pair(X_test, y_test)
    return parts, len(encoder.classes_)


def row_losses(logits, y):
    """Return the cross-entropies of a stack's rows, of shape (size, n_rows)."""
    return cross_entropy(logits.flatten(0, 1), y.repeat(len(logits)), reduction="none").view(len(logits), -1)


def log_losses(stack, optimizer, x, y):
    """Return the log-loss of each network of a stack."""
    for mode in ("eval", "train"):
        if mode == "train":
            losses = row_losses(stack.evaluate(x).double(), y).mean(1).numpy()
        if hasattr(optimizer, mode):  # schedulefree keeps two sets of weights
            getattr(optimizer, mode)()
    return np.where(losses < HOPELESS, losses, HOPELESS)


def trained(data, setting, rule, rates, seed):
    """Return the test log-losses at the last epoch and at the best one, arrays of shape (2, number of rates)."""
    (train, valid, test), n_classes = data
    torch.manual_seed(seed)
    network = (convolutional if setting.images else dense)(train[0].shape[1], n_classes, setting)
    stack, n_batches = Stack(network, len(rates)), math.ceil(len(train[0]) / setting.batch)
    rule = RULES[rule](stack, setting, rates, setting.epochs * n_batches)
    best_valid, best = np.full(len(rates), math.inf), np.full(len(rates), HOPELESS)
    for _ in range(setting.epochs):
        for rows in torch.randperm(len(train[0])).chunk(n_batches):
            rule.optimizer.zero_grad()
            losses = row_losses(stack(train[0][rows]), train[1][rows]).mean(1)
            losses.sum().backward()
            rule.step(losses, train[0][rows])
        losses_valid, losses_test = (log_losses(stack, rule.optimizer, *part) for part in (valid, test))
        best = np.where(losses_valid < best_valid, losses_test, best)
        best_valid = np.minimum(losses_valid, best_valid)
    return np.array([losses_test, best])


def from_all(data, setting, rule, seed):
    """Return the test log-losses of a rule from all initial rates, (2, number of initial rates)."""
    if rule in PACKAGES:  # they have one rate for all parameters
        return np.hstack([trained(data, setting, rule, [rate], seed) for rate in INITIAL])
    return trained(data, setting, rule, INITIAL, seed)


def ratios(load, setting, args, rules):
    """Return {rule: log-losses from all initial rates / best of the fixed rates}, final and early; means over seeds."""
    fixed, losses = [], {rule: [] for rule in rules}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        data = tensors(load, seed, args.max_train, setting)
        fixed.append(trained(data, setting, "fixed", FIXED * (10 if setting.optimizer == "sgd" else 1), seed))
        for rule in rules:
            losses[rule].append(from_all(data, setting, rule, seed))
    best = np.mean(fixed, axis=0).min(1, keepdims=True)
    return {rule: np.mean(values, axis=0) / best for rule, values in losses.items()}


def benchmark(table, sets, settings, args):
    """Add to {(setting, rule): [array (final or early, initial rate), ...]} for all sets, printing as it goes."""
    rules = [r for r in args.rules if r not in PACKAGES or importlib.util.find_spec(PACKAGES[r])]
    for name, load in sets.items():
        for setting in settings:
            start = time.perf_counter()
            found = ratios(load, setting, args, rules)
            for rule, values in found.items():
                table.setdefault((setting.name, rule), []).append(values)
            line = " ".join(f"{rule} {values[1].max():.3g}" for rule, values in found.items())
            print(f"{name:14s} {setting.name:26s} {line} ({time.perf_counter() - start:.0f} s)", flush=True)


def geometric_mean(values, axis=None):
    return np.exp(np.log(values).mean(axis))


def summary(table):
    """Print the worst ratio over initial rates: its geometric mean over sets, and its largest."""
    settings, rules = (list(dict.fromkeys(names)) for names in zip(*table, strict=True))
    for which, title in ((1, "early"), (0, "final")):
        print(f"\nWorst over initial rates / best fixed rate, {title}: geometric mean (largest)")
        print(f"{'':26s}" + "".join(f"{rule:>18s}" for rule in rules))
        for setting in settings:
            worst = [table[setting, rule][:, which].max(1) for rule in rules]
            print(f"{setting:26s}" + "".join(f"{geometric_mean(v):10.3g} ({v.max():.3g})".rjust(18) for v in worst))
        worst = [np.concatenate([table[s, rule][:, which].max(1) for s in settings]) for rule in rules]
        print(f"{'all':26s}" + "".join(f"{geometric_mean(v):10.3g} ({v.max():.3g})".rjust(18) for v in worst))


def plot(table, path):
    """Draw the ratio of each rule against the initial rate: geometric means over settings and sets."""
    settings, rules = (list(dict.fromkeys(names)) for names in zip(*table, strict=True))
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for rule in rules:
        values = geometric_mean(np.concatenate([table[setting, rule][:, 1] for setting in settings]), axis=0)
        axes.loglog(INITIAL, values, marker="o", label=rule, linewidth=3 if rule == "lock" else 1.5)
    axes.axhline(1, color="grey", linestyle=":")
    axes.set(xlabel="initial rate", ylabel="test log-loss / best of ten fixed rates", ylim=(0.9, 20))
    axes.legend()
    figure.savefig(path, dpi=150)


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--max-train", type=int, default=4000, help="largest number of training rows")
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=RULES)
    parser.add_argument("--settings", nargs="+", type=int, help=f"numbers of settings, 0 to {len(SETTINGS) - 1}")
    parser.add_argument("--no-images", dest="images", action="store_false", help="without the convolutional network")
    parser.add_argument("--plot", help="file of the picture")
    args = parser.parse_args()
    settings, images = SETTINGS if args.settings is None else [SETTINGS[i] for i in args.settings], IMAGES
    if args.quick:
        args.seeds, args.max_train, args.rules = 1, 300, ["fixed", "cosine", "lock"]
        settings, images = [replace(SETTINGS[i], epochs=5) for i in (0, 4)], replace(IMAGES, epochs=2)
    torch.set_num_threads(1)
    table = {}
    benchmark(table, chosen_sets(args), settings, args)
    if args.images:
        benchmark(table, image_sets(args.data), [images], args)
    table = {key: np.array(values) for key, values in table.items()}
    summary(table)
    if args.plot:
        plot(table, args.plot)


if __name__ == "__main__":
    main()
