"""A net's network and optimiser while the engine trains them: their tensors are views of the engine's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from sklkl._engine import MLPStack, StackAdamW
from sklkl.modules import MLP

_OPTIONS = ("lr", "betas", "eps", "weight_decay")


def stack_of(modules: Sequence[nn.Module]) -> MLPStack:
    """Return a stack for networks of one shape, which does not have their weights yet."""
    first = modules[0]
    assert isinstance(first, MLP)
    linears = first.linears()
    sizes = [linears[0].in_features, *(layer.out_features for layer in linears)]
    weight = linears[0].weight
    return MLPStack(sizes, first.activation, len(modules), weight.dtype, weight.device)


def options_of(optimizer: Optimizer) -> dict[str, Any]:
    """Return the options of an optimiser of one group that the engine knows."""
    return {name: optimizer.param_groups[0][name] for name in _OPTIONS}


class SharedRate(dict[str, Any]):
    """The engine's group of parameters, whose rate is that of a net's optimiser: who sets one sets the other.

    Parameters
    ----------
    group : dict
        The engine's.
    optimizer : torch.optim.AdamW
        That of the net.
    """

    def __init__(self, group: dict[str, Any], optimizer: Optimizer) -> None:
        super().__init__(group)
        self.optimizer = optimizer

    def __getitem__(self, name: str) -> Any:
        return self.optimizer.param_groups[0][name] if name == "lr" else super().__getitem__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "lr":
            self.optimizer.param_groups[0]["lr"] = value
        else:
            super().__setitem__(name, value)


class Lent:
    """A net's network and optimiser in the hands of the engine, for the time of a training.

    Parameters
    ----------
    module : MLP
        The network.
    optimizer : torch.optim.AdamW
        Its optimiser.
    """

    _engine: StackAdamW | None
    _views: list[tuple[Tensor, Tensor]]
    _moments: list[tuple[Tensor, Tensor]]
    n_steps: Tensor

    def __init__(self, module: nn.Module, optimizer: Optimizer) -> None:
        assert isinstance(module, MLP)
        self.module, self.optimizer = module, optimizer
        self._activation, self._engine = module.activation, None
        self._parameters = [p for layer in module.linears() for p in (layer.weight, layer.bias)]

    def is_of(self, module: nn.Module) -> bool:
        """Whether this is still the network that it was."""
        same = list(map(id, module.parameters())) == list(map(id, self._parameters))
        return same and module is self.module and self.module.activation is self._activation

    def lend(self, stack: MLPStack, engine: StackAdamW, number: int) -> None:
        """Put what the net has in the engine's memory, as the network of this number, where it is not there already.

        To be called before every epoch, as callbacks may have changed it.
        """
        engine.options[number] = options_of(self.optimizer)
        if self._engine is not engine:
            self._engine, self.n_steps = engine, engine.n_steps[number]
            views = [stack.network(flat, number) for flat in (stack.flat, stack.gradient, *engine.moments)]
            self._views, self._moments = list(zip(*views[:2], strict=True)), list(zip(*views[2:], strict=True))
        for parameter, (weights, gradient) in zip(self._parameters, self._views, strict=True):
            if parameter.data_ptr() != weights.data_ptr():
                weights.copy_(parameter.detach())
                parameter.data = weights
            parameter.grad = gradient
        self._lend_moments()

    def _lend_moments(self) -> None:
        names = "step", "exp_avg", "exp_avg_sq"
        lent = [dict(zip(names, (self.n_steps, *moments), strict=True)) for moments in self._moments]
        states = [self.optimizer.state.get(parameter, {}) for parameter in self._parameters]
        for state, views in zip(states, lent, strict=True):
            for name, view in views.items():
                if not all(states):
                    view.zero_()
                elif state[name].data_ptr() != view.data_ptr():
                    view.copy_(state[name])
        self.optimizer.state.update(zip(self._parameters, lent, strict=True))

    def report(self, lr: float) -> None:
        """Let the optimiser know its rate; to be called after every epoch."""
        self.optimizer.param_groups[0]["lr"] = lr

    def take_back(self) -> None:
        """Give parameters and moments memory of their own."""
        for parameter in self._parameters:
            parameter.data, parameter.grad = parameter.data.clone(), None
            state = self.optimizer.state.get(parameter, {})
            state.update({name: values.clone() for name, values in state.items()})
