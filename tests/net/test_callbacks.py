"""skorch's callbacks and a user's own work on ``KLNet``, and what nobody asks for is not done."""

import copy

import numpy as np
import pytest
import torch
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LoadInitState,
    LRScheduler,
    ProgressBar,
    TrainEndCheckpoint,
)
from skorch.helper import predefined_split
from tqdm import tqdm

from sklkl import KLNet
from sklkl.data import Rows
from sklkl.modules import MLP
from sklkl.optim import LEARNING_RATES


@pytest.fixture
def valid(make_table):
    """60 rows of the same kind as ``table32``, for validation."""
    X, y = make_table(180)
    return Rows(X[120:].astype(np.float32), y[120:])


@pytest.fixture
def train(quick_net, table32, valid):
    """Return ``train(*callbacks, **params) -> net`` trained with a validation part, four batches an epoch."""

    def make(*callbacks, **params):
        return quick_net(callbacks=list(callbacks), train_split=predefined_split(valid), **params).fit(*table32)

    return make


class Counter(Callback):
    """Count how often each hook is called."""

    def initialize(self):
        self.batches_ = {True: [0, 0], False: [0, 0]}
        self.epochs_ = self.trains_ = 0
        return self

    def on_train_begin(self, net, **kwargs):
        self.trains_ += 1

    def on_epoch_end(self, net, **kwargs):
        self.epochs_ += 1

    def on_batch_begin(self, net, batch, training, **kwargs):
        self.batches_[training][0] += 1

    def on_batch_end(self, net, batch, training, loss, y_pred, **kwargs):
        assert len(y_pred) == len(batch[0])
        assert torch.isfinite(loss)
        self.batches_[training][1] += 1


# Hooks and the history of batches


def test_a_users_callback_sees_every_batch(train):
    net = train(counter := Counter())
    assert counter.batches_ == {True: [12, 12], False: [6, 6]}
    assert (counter.trains_, counter.epochs_) == (1, 3)
    assert len(net.history[-1, "batches"]) == 6


def test_batches_are_in_the_history_only_if_a_callback_looks_at_them(train):
    class Epochs(Callback):
        def on_epoch_end(self, net, **kwargs):
            pass

    # one entry, not one a batch, may be there for callbacks that look at the last one, as skorch's Checkpoint does
    assert len(train(Epochs()).history[-1, "batches"]) <= 1
    assert len(train(Counter()).history[-1, "batches"]) == 6


def test_batch_losses_average_to_the_loss_of_the_epoch(train):
    history = train(Counter(), kl_strength=0.1).history
    for prefix in ("train", "valid"):
        columns = history[-1, "batches", :, [f"{prefix}_loss", f"{prefix}_batch_size"]]
        losses, sizes = zip(*columns, strict=True)
        assert np.average(losses, weights=sizes) == pytest.approx(history[-1, f"{prefix}_loss"], rel=1e-5)


def test_watching_batches_changes_nothing_in_training(train):
    plain, watched = train(), train(Counter())
    assert plain.history[:, "valid_loss"] == watched.history[:, "valid_loss"]


@pytest.mark.parametrize("hook", ["on_batch_begin", "on_batch_end"])
def test_a_hook_of_a_subclass_of_the_net_is_called(table32, hook):
    seen = []

    def note(self, net, **kwargs):
        getattr(KLNet, hook)(self, net, **kwargs)
        seen.append(kwargs["training"])

    Mine = type("Mine", (KLNet,), {hook: note})
    params = {"module__n_features": 5, "module__n_classes": 3, "train_split": None, "verbose": 0, "batch_size": 60}
    Mine(MLP, max_epochs=2, **params).fit(*table32)
    assert seen == [True] * 4


def test_gradients_can_be_looked_at(train):
    norms = []

    class Norms(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms.append(sum(p.grad.square().sum().item() for _, p in named_parameters))

    train(Norms())
    assert len(norms) == 12
    assert min(norms) > 0


def test_the_printed_log_shows_losses(train, capsys):
    train(verbose=1, kl_strength=0.1)
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("train_loss", "valid_loss", "train_kl_penalty", "dur"))
    assert len(printed.strip().splitlines()) == 2 + 3


def test_the_log_is_printed_if_asked_for_and_handed_to_who_takes_it(train, capsys):
    train(verbose=0)
    assert capsys.readouterr().out == ""
    lines = []
    train(verbose=0, callbacks__print_log__sink=lines.append)
    assert len(lines) == 2 + 3


# skorch's callbacks


def test_early_stopping(train):
    net = train(EarlyStopping(patience=2, threshold=0.9, sink=lambda text: None), max_epochs=20)
    assert len(net.history) == 3
    assert all("lr" in row for row in net.history)


def test_early_stopping_loads_the_best_weights(train, valid):
    stop = EarlyStopping(patience=3, load_best=True, sink=lambda text: None)
    net = train(stop, max_epochs=60, lr=0.3)
    assert len(net.history) < 60
    log_loss = -np.log(net.predict_proba(valid.X.numpy()))[np.arange(60), valid.y].mean()
    assert log_loss == pytest.approx(min(net.history[:, "valid_loss"]), rel=1e-5)


@pytest.mark.parametrize("policy", ["StepLR", torch.optim.lr_scheduler.ExponentialLR])
def test_a_scheduler_by_epoch_sets_the_rate(train, policy):
    params = {"gamma": 0.5, **({"step_size": 1} if policy == "StepLR" else {})}
    net = train(LRScheduler(policy=policy, **params), max_epochs=4)
    np.testing.assert_allclose(net.history[:, "lr"], [0.01, 0.005, 0.0025, 0.00125])


def test_a_scheduler_by_batch_sets_the_rate(train):
    net = train(LRScheduler(policy="ExponentialLR", gamma=0.5, step_every="batch"), max_epochs=2)
    assert net.history[-1, "lr"] == pytest.approx(0.01 * 0.5**8)


def test_reduce_on_plateau(train):
    net = train(LRScheduler("ReduceLROnPlateau", monitor="valid_loss", patience=0, threshold=10.0), max_epochs=3)
    assert net.history[-1, "lr"] < 0.01


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("on_train", [True, False])
def test_epoch_scoring(train, table32, valid, use_caching, on_train):
    scoring = EpochScoring("accuracy", lower_is_better=False, on_train=on_train, use_caching=use_caching, name="acc")
    net = train(scoring, lr=0.0)  # the weights stay: the score of each epoch is that of the net
    X, y = table32 if on_train else (valid.X.numpy(), valid.y.numpy())
    assert net.history[:, "acc"] == [pytest.approx(net.score(X, y))] * 3


@pytest.mark.parametrize("use_caching", [True, False])
def test_epoch_scoring_by_probabilities(train, use_caching):
    net = train(EpochScoring("neg_log_loss", use_caching=use_caching))
    np.testing.assert_allclose(net.history[:, "neg_log_loss"], -np.array(net.history[:, "valid_loss"]), rtol=1e-5)


@pytest.mark.parametrize("use_caching", [True, False])
def test_batch_scoring(train, valid, use_caching):
    net = train(BatchScoring("accuracy", lower_is_better=False, use_caching=use_caching))
    assert net.history[-1, "accuracy"] == pytest.approx(net.score(valid.X.numpy(), valid.y.numpy()))


def test_gradient_norm_clipping_bounds_the_step(quick_net, table32):
    def step_length(*callbacks):
        net = quick_net(
            optimizer=torch.optim.SGD, lr=1.0, batch_size=-1, max_epochs=1, callbacks=list(callbacks)
        ).initialize()
        before = [p.detach().clone() for p in net.module_.parameters()]
        net.partial_fit(*table32)
        moves = [(p - old).square().sum() for p, old in zip(net.module_.parameters(), before, strict=True)]
        return sum(moves).sqrt().item()

    assert step_length() > 0.01
    assert step_length(GradientNormClipping(0.01)) == pytest.approx(0.01, rel=1e-3)


def test_checkpoint_saves_the_best_epoch(train, table32, quick_net, tmp_path):
    checkpoint = Checkpoint(dirname=str(tmp_path), monitor="valid_loss_best")
    net = train(checkpoint, max_epochs=30, lr=0.3)
    best = int(np.argmin(net.history[:, "valid_loss"]))
    assert best < 29
    loaded = quick_net().initialize()
    loaded.load_params(checkpoint=checkpoint)
    assert len(loaded.history) == best + 1
    assert not np.array_equal(loaded.predict_proba(table32[0]), net.predict_proba(table32[0]))
    copied = quick_net(max_epochs=best + 1, lr=0.3).fit(*table32)
    np.testing.assert_allclose(loaded.predict_proba(table32[0]), copied.predict_proba(table32[0]), rtol=1e-5)


def test_training_goes_on_from_a_checkpoint(train, tmp_path):
    checkpoint = TrainEndCheckpoint(dirname=str(tmp_path))
    first = train(checkpoint)
    checkpoint = TrainEndCheckpoint(dirname=str(tmp_path))
    second = train(checkpoint, LoadInitState(checkpoint))
    assert len(second.history) == 6
    assert second.history[3, "train_loss"] < first.history[0, "train_loss"]


class RenewsOptimizer(Callback):
    """Make the optimiser anew in the middle of a training, with a group more or not."""

    def __init__(self, regrouped):
        self.regrouped = regrouped

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            if self.regrouped:
                net.optimizer__param_groups = [("*bias", {"lr": 1e-3})]
            net.initialize_optimizer()


@pytest.mark.parametrize("learning_rate", LEARNING_RATES)
@pytest.mark.parametrize("regrouped", [False, True])
@pytest.mark.parametrize("optimizer", [{}, {"optimizer": torch.optim.AdamW, "optimizer__fused": True}])
def test_a_rate_goes_on_with_an_optimiser_that_is_made_anew(train, learning_rate, regrouped, optimizer):
    net = train(RenewsOptimizer(regrouped), learning_rate=learning_rate, lr=0.01, max_epochs=4, **optimizer)
    assert len(net.optimizer_.param_groups) == 1 + regrouped
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]
    assert ("step_kl" in net.history[-1]) == ("step_kl" in net.history[0]) == (learning_rate == "kl_adaptive")


@pytest.mark.parametrize("learning_rate", LEARNING_RATES)
def test_steps_by_hand_have_the_rate_of_the_optimiser(train, table32, learning_rate):
    net = train(learning_rate=learning_rate, lr=0.01)
    before = net.module_.state_dict()["0.weight"].clone()
    batch = tuple(map(torch.tensor, table32))
    net.train_step(batch)
    net.run_single_epoch(net.get_iterator(net.get_dataset(*table32), training=True), True, "train", net.train_step)
    assert not torch.equal(net.module_.state_dict()["0.weight"], before)


@pytest.mark.parametrize("batches_per_epoch", ["auto", "count"])
def test_progress_bar(train, monkeypatch, batches_per_epoch):
    shown, set_postfix = [], tqdm.set_postfix
    monkeypatch.setattr(
        tqdm,
        "set_postfix",
        lambda bar, losses, **kw: shown.append((bar.total, losses)) or set_postfix(bar, losses, **kw),
    )
    train(ProgressBar(batches_per_epoch, detect_notebook=False))
    assert len(shown) == 18
    assert shown[-1][0] == 6
    assert {name for _, losses in shown for name in losses} == {"train_loss", "valid_loss"}


def test_freezer(train):
    net = train(Freezer("0.*"))
    assert not net.module_[0].weight.requires_grad
    assert net.module_[-1].weight.requires_grad


# The end of training


class Stop(Callback):
    """Raise in a hook of the second epoch."""

    def __init__(self, hook, error):
        self.hook = hook
        self.error = error

    def _maybe(self, name, net):
        if name == self.hook and len(net.history) == 2:
            raise self.error

    def on_epoch_begin(self, net, **kwargs):
        # the row of the epoch that begins is there already
        self._maybe("on_epoch_begin", net)

    def on_epoch_end(self, net, **kwargs):
        self._maybe("on_epoch_end", net)

    def on_batch_end(self, net, **kwargs):
        self._maybe("on_batch_end", net)

    def on_train_end(self, net, **kwargs):
        self.ended_ = True


class Interrupted(MLP):
    """Raise KeyboardInterrupt in a training step, as Ctrl-C would."""

    def __init__(self, *args, after, **kwargs):
        super().__init__(*args, **kwargs)
        self.left = after

    def forward(self, x):
        if self.training:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return super().forward(x)


@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_begin"])
def test_a_callback_that_stops_within_an_epoch_leaves_finished_epochs_only(train, hook):
    net = train(Stop(hook, KeyboardInterrupt()), max_epochs=9)
    assert len(net.history) == 1
    assert np.isfinite(net.history[:, "valid_loss"]).all()


def interrupted_net(quick_net, after, **params):
    return quick_net(Interrupted, module__n_features=5, module__n_classes=3, module__after=after, **params)


def test_an_interrupt_in_a_training_step_is_raised_again(quick_net, table32):
    net = interrupted_net(quick_net, after=6, callbacks=[("stop", Stop(None, None))])
    with pytest.raises(KeyboardInterrupt):
        net.fit(*table32)
    assert net.interrupted_
    assert len(net.history) == 1
    assert np.isfinite(net.history[:, "train_loss"]).all()
    assert dict(net.callbacks_)["stop"].ended_
    assert net.predict(table32[0]).shape == (120,)


def test_training_goes_on_after_an_interrupt(quick_net, table32):
    net = interrupted_net(quick_net, after=6)
    with pytest.raises(KeyboardInterrupt):
        net.fit(*table32)
    net.module_.left = 1000
    net.partial_fit(*table32)
    assert not net.interrupted_
    assert len(net.history) == 4


def test_another_error_in_training_is_raised_and_gives_the_rate_back(quick_net, table32):
    net = quick_net(callbacks=[Stop("on_epoch_end", RuntimeError("mine"))], learning_rate="onecycle")
    with pytest.raises(RuntimeError, match="mine"):
        net.fit(*table32)
    assert net.optimizer_.param_groups[0]["lr"] == 0.01


def test_callbacks_do_not_stop_a_copy_from_being_made(train):
    net = train(Counter(), EarlyStopping(sink=lambda text: None))
    assert len(copy.deepcopy(net).history) == len(net.history)
