"""What a user writes: it runs, and type checkers find no fault in it.

``assert_type`` says what the package returns; what scikit-learn and skorch return has no types, and a user says so.
"""

from typing import Any, assert_type

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sklkl import Distiller, KLClassifier, KLNet
from sklkl.callbacks import BestWeights
from sklkl.data import Batch, Batches, Rows
from sklkl.divergences import js_divergence, kl_divergence
from sklkl.drift import DensityRatioWeighter, DriftDetector, DriftReport
from sklkl.losses import CrossEntropy
from sklkl.metrics import get_scorer, mean_kl_divergence
from sklkl.modules import MLP, ActivationName
from sklkl.net import TrainingHistory
from sklkl.optim import KLAdaptiveLR, LearningRate, LearningRateName, OneCycle, RuleName, make_learning_rate, step_kl
from sklkl.penalties import Confidence, Prior

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def table(n_rows: int = 120) -> tuple[Floats, Labels]:
    """Return rows of two classes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 3))
    return X, (X[:, 0] + 0.3 * rng.normal(size=n_rows) > 0).astype(np.int64)


def classifier(X: Floats, y: Labels) -> Floats:
    """Train a classifier."""
    clf = KLClassifier(hidden_layer_sizes=(8,), kl_penalty="confidence", kl_strength=0.05, max_epochs=3)
    clf.fit(X, y, sample_weight=np.ones(len(y)))
    losses: list[float] = clf.history_[:, "train_loss"]
    assert len(losses) == assert_type(clf.n_iter_, int)
    assert_type(clf.history_, TrainingHistory)
    assert_type(clf.partial_fit(X, y), KLClassifier)
    labels = assert_type(clf.predict(X), np.ndarray)
    assert set(labels) <= set(clf.classes_)
    return assert_type(clf.predict_proba(X), np.ndarray)


def search(X: Floats, y: Labels) -> float:
    """Search the strength of a penalty, of a classifier in a pipeline."""
    student = KLClassifier(hidden_layer_sizes=(8,), kl_penalty=Prior(), max_epochs=2, random_state=0)
    pipeline: Pipeline = make_pipeline(StandardScaler(), student)
    grid: dict[str, list[Any]] = {"klclassifier__kl_strength": [0.03, 0.1]}
    found = GridSearchCV(pipeline, grid, scoring=get_scorer("neg_mean_kl"), cv=2)
    found.fit(X, y)
    return float(found.best_score_)


def net(X: Floats, y: Labels) -> Floats:
    """Train a net as with skorch."""
    own = KLNet(
        MLP,
        module__n_features=3,
        module__n_classes=2,
        criterion=CrossEntropy,
        learning_rate="kl_adaptive",
        kl_penalty=Confidence(),
        kl_strength=0.1,
        max_epochs=2,
        callbacks=[BestWeights(patience=2)],
        verbose=0,
    )
    assert_type(own.fit(X.astype(np.float32), y), KLNet)
    assert_type(own.predict_proba(X.astype(np.float32)), np.ndarray)
    proba: Floats = own.predict_proba(X.astype(np.float32))
    return proba


def divergences() -> float:
    """Compare distributions, as arrays and as tensors."""
    p, q = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    rows = assert_type(kl_divergence(p, q), np.ndarray)
    tensors = assert_type(kl_divergence(torch.from_numpy(p), torch.from_numpy(q), base=2), torch.Tensor)
    mean = assert_type(mean_kl_divergence(p, q), float)
    return float(rows[0]) + float(tensors[0]) + float(js_divergence(p, q)[0]) + mean


def loop(X: Floats, y: Labels, rule: RuleName = "lock") -> float:
    """Train a module of one's own with an adaptive rate."""
    inputs, targets = torch.from_numpy(X).float(), torch.from_numpy(y)
    module = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(module.parameters(), lr=1.0)
    rate = KLAdaptiveLR(optimizer, module, total_steps=20, rule=rule)
    for _ in range(20):
        optimizer.zero_grad()
        loss = cross_entropy(module(inputs), targets)
        loss.backward()
        rate.step(loss, inputs)
    report = assert_type(rate.report(), dict[str, float])
    rate.load_state_dict(rate.state_dict())
    rate.close()
    return float(rate.lr_) + report["rejected_steps"]


class Halving:
    """A learning rate of one's own: the rate is halved every `every` steps."""

    def __init__(self, optimizer: torch.optim.Optimizer, every: int) -> None:
        self.optimizer, self.every, self.n_steps = optimizer, every, 0
        self.lr_ = float(optimizer.param_groups[0]["lr"])

    def before_step(self) -> None:
        self.n_steps += 1
        if self.n_steps % self.every == 0:
            self.cut(0.5)

    def step(self, loss: Tensor, x: object, sample_weight: Tensor | None = None) -> None:
        self.before_step()
        self.optimizer.step()

    def report(self) -> dict[str, float]:
        return {}

    def cut(self, factor: float) -> None:
        self.lr_ *= factor
        self.close()

    def close(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr_

    def state_dict(self) -> dict[str, Any]:
        return {"n_steps": self.n_steps, "lr": self.lr_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.n_steps, self.lr_ = state["n_steps"], state["lr"]


def learning_rates() -> list[float]:
    """Make learning rates by name, by class, and one of one's own."""
    found: list[float] = []
    for name in ("constant", "onecycle", "kl_adaptive"):
        chosen: LearningRateName = name
        module = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        by_name = assert_type(make_learning_rate(chosen, optimizer, 10, predict=module), LearningRate)
        rates: list[LearningRate] = [by_name, OneCycle(optimizer, 10), Halving(optimizer, every=5)]
        found += [float(rate.lr_) for rate in rates]
    return found


def rows_and_modules(X: Floats, y: Labels) -> float:
    """Go over rows in batches."""
    activation: ActivationName = "tanh"
    module = MLP(3, 2, hidden_layer_sizes=(4,), activation=activation)
    rows = Rows(X.astype(np.float32), y, weight=np.ones(len(y), dtype=np.float32))
    total, optimizer = torch.zeros(()), torch.optim.SGD(module.parameters(), lr=0.1)
    for batch in Batches(rows, batch_size=32, shuffle=True):
        inputs, targets = assert_type(batch, Batch)
        assert_type(inputs, Tensor)
        weight = assert_type(batch.weight, Tensor | None)
        assert weight is not None
        before = module(inputs).detach()
        cross_entropy(module(inputs), targets).backward()
        optimizer.step()
        total += assert_type(step_kl(before, module(inputs).detach(), weight), Tensor)
    return total.item()


def distiller(X: Floats, y: Labels) -> dict[str, float]:
    """Distil a forest."""
    student = KLClassifier(hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    distilled = Distiller(student, RandomForestClassifier(n_estimators=3, random_state=0)).fit(X, y)
    assert_type(distilled.predict_proba(X), np.ndarray)
    proba: Floats = distilled.predict_proba(X)
    assert len(proba) == len(X)
    return assert_type(distilled.report_, dict[str, dict[str, float]])["student"]


def drift(X: Floats, y: Labels) -> tuple[DriftReport, Floats]:
    """Look for drift, and train in spite of it."""
    report = assert_type(DriftDetector().fit(X).detect(X + 1), DriftReport)
    weighted = DensityRatioWeighter(KLClassifier(hidden_layer_sizes=(4,), max_epochs=1)).fit(X, y, X_target=X + 0.1)
    return report, weighted.predict_proba(X)


def main() -> None:
    """Run everything."""
    X, y = table()
    assert classifier(X, y).shape == net(X, y).shape == (len(X), 2)
    print(search(X, y), divergences(), loop(X, y), learning_rates(), rows_and_modules(X, y), distiller(X, y))
    print(drift(X, y)[0])


if __name__ == "__main__":
    main()
