"""Speed of training and prediction beside plain skorch, a plain PyTorch loop and scikit-learn's MLPClassifier.

Every figure is processor time on one thread, the median of several rounds; the rounds of all contestants are
interleaved, so that a machine whose speed drifts slows them all. The work is the same for everyone: one hidden layer
of 64 units, Adam at a constant rate, float32 for torch, no validation rows. The KL-adaptive rate is compared in the
default network with one that measures nothing, and that network with one that is trained through autograd, as any other
network is.

    python examples/benchmarks/speed.py          # a few minutes
    python examples/benchmarks/speed.py --quick  # seconds, only to see that it runs
"""

import argparse
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits
from torch import nn

from sklkl import KLClassifier

UNITS = 64


def network(n_features, n_classes):
    return nn.Sequential(nn.Linear(n_features, UNITS), nn.ReLU(), nn.Linear(UNITS, n_classes))


def sklkl_classifier(batch_size, epochs, **params):
    return KLClassifier(
        (UNITS,), "relu", dropout=0.0, early_stopping=False, learning_rate="constant", lr=1e-3, weight_decay=0.0,
        batch_size=batch_size, max_epochs=epochs, device="cpu", random_state=0, **params,
    )  # fmt: skip


def mlp_classifier(batch_size, epochs):
    return MLPClassifier((UNITS,), alpha=0.0, batch_size=batch_size, max_iter=epochs, tol=0.0, n_iter_no_change=10**6)


def skorch_classifier(X, y, batch_size, epochs):
    net = network(X.shape[1], y.max() + 1)
    return NeuralNetClassifier(
        net, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, optimizer__fused=True, lr=1e-3,
        batch_size=batch_size, max_epochs=epochs, train_split=None, iterator_train__shuffle=True, verbose=0,
    )  # fmt: skip


def plain_loop(X, y, batch_size, epochs):
    net, X, y = network(X.shape[1], y.max() + 1), torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    for _ in range(epochs):
        order = torch.randperm(len(X))
        shuffled_X, shuffled_y = X[order], y[order]
        for start in range(0, len(X), batch_size):
            batch = slice(start, start + batch_size)
            optimizer.zero_grad()
            F.cross_entropy(net(shuffled_X[batch]), shuffled_y[batch]).backward()
            optimizer.step()
    return net


def processor_seconds(contestants, rounds):
    """Return the median processor time of each contestant, over interleaved rounds after one to warm up."""
    times = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, work in contestants.items():
            start = time.process_time()
            work()
            times[name].append(time.process_time() - start)
    return {name: float(np.median(values[1:])) for name, values in times.items()}


def report(title, seconds, ours="KLClassifier"):
    print(f"\n{title}")
    for name, value in seconds.items():
        ratio = "" if name == ours else f"{ours} / {name}: {seconds[ours] / value:.2f}"
        print(f"  {name:24s} {1e3 * value:10.3f} ms   {ratio}")


class Gradients(Callback):
    """Look at every gradient, which takes autograd."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        pass


def data(n_rows, n_features=50, n_classes=10):
    X, y = make_classification(n_rows, n_features, n_informative=20, n_classes=n_classes, random_state=0)
    return X.astype(np.float32), y


def training(X, y, batch_size, epochs, rounds):
    contestants = {
        "KLClassifier": lambda: sklkl_classifier(batch_size, epochs).fit(X, y),
        "KLClassifier, strength .1": lambda: sklkl_classifier(batch_size, epochs, kl_strength=0.1).fit(X, y),
        "the columns as they are": lambda: sklkl_classifier(batch_size, epochs, scale_inputs=False).fit(X, y),
        "plain PyTorch loop": lambda: plain_loop(X, y, batch_size, epochs),
        "MLPClassifier": lambda: mlp_classifier(batch_size, epochs).fit(X, y),
        "plain skorch": lambda: skorch_classifier(X, y, batch_size, epochs).fit(X, y),
    }
    title = (
        f"Training, {len(X)} x {X.shape[1]}, {UNITS} units, {y.max() + 1} classes, batch {batch_size}, {epochs} epochs"
    )
    report(title, processor_seconds(contestants, rounds))


def rates(X, y, epochs, rounds):
    """Compare rules for the learning rate in the default network, which goes through all epochs."""

    def fit(rule, callbacks=None):
        params = {"learning_rate": rule, "max_epochs": epochs, "n_iter_no_change": None, "callbacks": callbacks}
        return lambda: KLClassifier(device="cpu", random_state=0, **params).fit(X, y)

    contestants = {
        "KLClassifier": fit("kl_adaptive"),
        "one cycle": fit("onecycle"),
        "through autograd": fit("kl_adaptive", [Gradients()]),
    }
    title = f"KL-adaptive rate, {len(X)} x {X.shape[1]}, default network, batch 128, {epochs} epochs"
    report(title, processor_seconds(contestants, rounds))


def fixed_cost(X, y, rounds):
    """Compare what a short fit costs, most of which does not depend on the rows."""
    contestants = {
        "KLClassifier": lambda: sklkl_classifier(128, 3).fit(X, y),
        "MLPClassifier": lambda: mlp_classifier(128, 3).fit(X, y),
        "plain skorch": lambda: skorch_classifier(X, y, 128, 3).fit(X, y),
    }
    report(f"A short fit, {len(X)} x {X.shape[1]}, 3 epochs", processor_seconds(contestants, rounds))


def prediction(X, y, sizes, rounds):
    ours, mlp = sklkl_classifier(1024, 1).fit(X, y), mlp_classifier(1024, 1).fit(X.astype(float), y)
    plain = skorch_classifier(X, y, 1024, 1).fit(X, y)
    for n_rows in sizes:
        new = data(n_rows)[0].astype(np.float64) if n_rows > 1 else X[:1].astype(np.float64)
        repeats = max(1, 1000 // n_rows)

        def repeated(predict, new, repeats=repeats):
            return lambda: [predict(new) for _ in range(repeats)]

        contestants = {
            "KLClassifier": repeated(ours.predict_proba, new),
            "MLPClassifier": repeated(mlp.predict_proba, new),
            "plain skorch": repeated(plain.predict_proba, new.astype(np.float32)),
        }
        report(f"predict_proba, {n_rows} x {X.shape[1]}, {repeats} times", processor_seconds(contestants, rounds))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little data, one round")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rounds = 1 if quick else 7
    X, y = data(1_000 if quick else 10_000)
    with threadpool_limits(1):
        training(X, y, batch_size=128, epochs=1 if quick else 20, rounds=rounds)
        training(X, y, batch_size=1024, epochs=1 if quick else 20, rounds=rounds)
        fixed_cost(X[:150], y[:150], rounds)
        for n_rows in (500, 3000):
            rates(X[:n_rows], y[:n_rows], epochs=2 if quick else 100, rounds=rounds)
        prediction(X, y, sizes=[1, 1_000] if quick else [1, 1_000, 100_000], rounds=rounds)


if __name__ == "__main__":
    main()
