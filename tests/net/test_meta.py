"""A training step on torch's meta device: no tensor is on another device, nothing is read back.

It stands in for a GPU where there is none: mixed devices and hidden synchronisation raise there.
"""

import numpy as np
import pytest
import torch
from scipy import sparse

from sklkl.data import Batches, Rows
from sklkl.distillation import DISTILL_DIVERGENCES, Distillation
from sklkl.modules import MLP, input_scaling
from sklkl.net._lent import stack_of
from sklkl.net._passes import StackPasses
from sklkl.optim import KLAdaptiveLR, make_learning_rate
from sklkl.penalties import PENALTIES, Confidence, Prior, make_penalty

each_penalty = pytest.mark.parametrize("penalty", [*PENALTIES, Prior([0.2, 0.3, 0.5])], ids=[*PENALTIES, "given prior"])


def first_batch(rows):
    return next(iter(Batches(rows, 32)))


def meta_net(quick_net, module, **params):
    net = quick_net(module, device="meta", optimizer=torch.optim.Adam, optimizer__fused=False, **params)
    return net.initialize()


def meta_step(net, rows, name):
    net.penalty_ = make_penalty(net.kl_penalty).fit(rows, 3)
    net.learning_rate_ = make_learning_rate(name, net.optimizer_, 10)
    return net.train_step(first_batch(rows.take(torch.randperm(len(rows)))))


@each_penalty
@pytest.mark.parametrize(("learning_rate", "weighted"), [("constant", False), ("onecycle", True)])
def test_a_training_step_on_the_meta_device(quick_net, table32, penalty, learning_rate, weighted):
    X, y = table32
    rows = Rows(X, y, weight=np.ones(120, dtype=np.float32) if weighted else None).to("meta")
    net = meta_net(quick_net, MLP, module__dropout=0.5, kl_penalty=penalty, kl_strength=0.1, classes=[0, 1, 2])
    step = meta_step(net, rows, learning_rate)
    assert step["loss"].device.type == "meta"
    assert {values.device.type for values in step["terms"].values()} == {"meta"}
    assert all(p.grad.device.type == "meta" for p in net.module_.parameters())


def test_a_validation_step_on_the_meta_device(quick_net, table32):
    rows = Rows(*table32).to("meta")
    net = meta_net(quick_net, MLP, module__dropout=0.5, kl_strength=0.1, classes=[0, 1, 2])
    assert net.validation_step(first_batch(rows))["loss"].device.type == "meta"


def test_shuffled_batches_on_the_meta_device(quick_net, table32):
    net = meta_net(quick_net, MLP, classes=[0, 1, 2])
    batches = list(net.get_iterator(Rows(*table32).to("meta"), training=True))
    assert [len(x) for x, _ in batches] == [30] * 4
    assert {x.device.type for x, _ in batches} == {"meta"}


def test_a_step_of_labels_on_the_meta_device(quick_net, table32):
    X, y = table32
    rows = Rows(X, np.eye(3, dtype=np.int64)[y]).to("meta")
    net = meta_net(quick_net, MLP, multilabel=True, kl_penalty="prior", kl_strength=0.1, classes=[0, 1, 2])
    net.penalty_ = make_penalty("prior").fit(rows, 2)
    net.learning_rate_ = make_learning_rate("constant", net.optimizer_, None)
    assert net.train_step(first_batch(rows))["loss"].device.type == "meta"


@pytest.mark.parametrize("divergence", DISTILL_DIVERGENCES)
@pytest.mark.parametrize(
    ("known", "temperature", "distill_rows"),
    [(None, 1.0, "all"), ([0, 2], 3.0, "unlabeled")],
    ids=["all classes", "some"],
)
def test_a_step_with_a_teacher_on_the_meta_device(quick_net, table32, divergence, known, temperature, distill_rows):
    X, y = table32
    n_known = 3 if known is None else len(known)
    rows = Rows(X, np.where(y == 1, -100, y), teacher_proba=np.full((120, n_known), 1 / n_known, np.float32)).to("meta")
    distillation = Distillation(divergence, temperature, known)
    params = {"distillation": distillation, "distill_rows": distill_rows, "kl_strength": 0.1}
    net = meta_net(quick_net, MLP, classes=[0, 1, 2], **params)
    net.unlabeled_rows_ = True
    step = meta_step(net, rows, "constant")
    assert set(step["terms"]) == {"data_fit", "distillation", "kl_penalty"}
    assert {values.device.type for values in step["terms"].values()} == {"meta"}


@pytest.mark.parametrize("penalty", ["rdrop", "vat"])
def test_a_step_of_labels_with_a_teacher_on_the_meta_device(quick_net, table32, penalty):
    X, y = table32
    rows = Rows(X, np.eye(3, dtype=np.int64)[y], teacher_proba=np.full((120, 3, 2), 0.5, np.float32)).to("meta")
    net = meta_net(quick_net, MLP, multilabel=True, kl_penalty=penalty, kl_strength=0.1, classes=[0, 1, 2])
    assert meta_step(net, rows, "constant")["loss"].device.type == "meta"


@each_penalty
def test_a_step_over_sparse_rows_on_the_meta_device(quick_net, table32, penalty):
    X, y = table32
    rows = Rows(sparse.csr_array(X), y, weight=np.ones(120, dtype=np.float32)).to("meta")
    net = meta_net(quick_net, MLP, kl_penalty=penalty, kl_strength=0.1, classes=[0, 1, 2])
    net.penalty_ = make_penalty(penalty).fit(rows, 3)
    net.learning_rate_ = make_learning_rate("constant", net.optimizer_, None)
    assert net.train_step(first_batch(rows))["loss"].device.type == "meta"


@pytest.mark.parametrize("penalty", ["rdrop", "vat"])
@pytest.mark.parametrize("n_networks", [1, 3])
def test_further_passes_of_the_engine_on_the_meta_device(quick_net, table32, penalty, n_networks):
    scaling = input_scaling(table32[0]).to("meta")
    net = quick_net(lambda: MLP(5, 3, (8,), dropout=0.5, scaling=scaling), device="meta").initialize()
    stack = stack_of([net.module_] * n_networks)
    passes = StackPasses(stack, [net], [net])
    x = torch.empty(32, 5, device="meta")
    log_proba = stack.forward(passes.take(x, as_given=True)).mT.log_softmax(-1)
    values = passes.penalties(make_penalty(penalty), log_proba)
    values.sum().backward()
    passes.add_gradient()
    assert values.shape == (n_networks, 32)
    assert values.device.type == stack.gradient.device.type == "meta"


@pytest.mark.parametrize("left", ["rows", "penalty"])
def test_the_meta_device_notices_what_is_left_elsewhere(quick_net, table32, left):
    """The guard above can fail: what stays on the CPU raises."""
    rows = Rows(*table32)
    net = meta_net(quick_net, MLP, kl_penalty="prior", kl_strength=0.1, classes=[0, 1, 2])
    net.penalty_ = make_penalty("prior").fit(rows if left == "penalty" else rows.to("meta"), 3)
    net.learning_rate_ = make_learning_rate("constant", net.optimizer_, None)
    batch = first_batch(rows if left == "rows" else rows.to("meta"))
    with pytest.raises(RuntimeError, match="(?i)meta"):
        net.train_step(batch)


def test_the_meta_device_notices_what_reads_back(quick_net, table32):
    """The guard above can fail: a penalty that looks at a number raises."""

    class Reads(Confidence):
        def __call__(self, log_proba, batch):
            return super().__call__(log_proba, batch) * log_proba.exp().max().item()

    net = meta_net(quick_net, MLP, kl_penalty=Reads(), kl_strength=0.1, classes=[0, 1, 2])
    with pytest.raises(RuntimeError, match="(?i)meta"):
        meta_step(net, Rows(*table32).to("meta"), "constant")


@pytest.mark.parametrize("kl", [1e-3, 1e9], ids=["near", "too far"])
@pytest.mark.parametrize("rule", ["lock", "band", "polyak"])
def test_steps_of_an_adaptive_rate_on_the_meta_device(quick_net, table32, rule, kl, monkeypatch):
    # this rate reads numbers back, which the meta device has none of: whatever is read shall be ``kl``
    monkeypatch.setattr(
        torch.Tensor, "numpy", lambda tensor, force=False: np.full(tensor.shape, tensor.dtype == torch.bool or kl)
    )
    # and whether all rows are near shall be true for the small one
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda tensor: kl < 1)
    X, y = table32
    rows = Rows(X, y, weight=np.ones(120, dtype=np.float32) if kl < 1 else None).to("meta")
    net = meta_net(quick_net, MLP, module__dropout=0.5, classes=[0, 1, 2])
    net.penalty_ = make_penalty(net.kl_penalty).fit(rows, 3)
    net.learning_rate_ = KLAdaptiveLR(net.optimizer_, net._measured, 10, rule=rule)
    for _ in range(2):
        assert net.train_step(first_batch(rows))["loss"].device.type == "meta"
    assert net.learning_rate_.n_measured_ >= 1
    assert (net.learning_rate_.n_rejected_ > 0) == (kl > 1)
