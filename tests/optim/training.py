"""What the tests of the rates train: small networks in float64, alone or as a stack, with several optimisers."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sklkl.optim import KLAdaptiveLR

OPTIMIZERS = {
    "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr=lr),
    "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr, weight_decay=0.3, fused=True),
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True),
    "rmsprop": lambda parameters, lr: torch.optim.RMSprop(parameters, lr=lr, momentum=0.5),
}


def table(n_rows=96, dtype=torch.float64):
    """Rows of 4 features, and one of 3 labels a row, of which some are wrong."""
    generator = torch.Generator().manual_seed(5)
    X = torch.randn(n_rows, 4, generator=generator, dtype=torch.float64)
    noise = torch.randn(n_rows, 3, generator=generator, dtype=torch.float64)
    scores = X @ torch.randn(4, 3, generator=generator, dtype=torch.float64) + noise
    return X.to(dtype), scores.argmax(1)


def network(seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


class Stack(nn.Module):
    """Networks as one: parameters (S, ...), rows (n, 4) or (S, n, 4), logits (S, n, 3)."""

    def __init__(self, networks):
        super().__init__()
        self.weights = nn.ParameterList(
            torch.stack([list(net.parameters())[i].detach() for net in networks]) for i in range(4)
        )

    def forward(self, x):
        w1, b1, w2, b2 = self.weights
        return (x @ w1.mT + b1[:, None]).tanh() @ w2.mT + b2[:, None]

    def alone(self, i):
        """The parameters of one network."""
        return [parameter.detach()[i] for parameter in self.weights]


def losses(logits, y):
    """The loss of each network, of shape () or (S,)."""
    return -torch.log_softmax(logits, -1).gather(-1, y.expand(logits.shape[:-1])[..., None]).mean((-1, -2))


def batches(X, y, n_steps, size=32):
    for step in range(n_steps):
        rows = (torch.arange(size) + step * size) % len(X)
        yield X[rows], y[rows]


def one_step(rate, net, x, y, loss=None, sample_weight=None):
    """One step of training; ``loss`` changes the loss before its gradient is taken."""
    rate.optimizer.zero_grad()
    value = losses(net(x), y)
    value = value if loss is None else loss(value)
    value.sum().backward()
    rate.step(value, x, sample_weight)
    return value.detach()


def train(rate, net, n_steps, watch=lambda rate: None, **params):
    """Train for some steps; return what ``watch`` saw after each."""
    seen = []
    for x, y in batches(*table(dtype=next(net.parameters()).dtype, **params), n_steps):
        one_step(rate, net, x, y)
        seen.append(watch(rate))
    return seen


def adaptive(net, optimizer="adam", lr=0.1, total_steps=100, **params):
    return KLAdaptiveLR(OPTIMIZERS[optimizer](net.parameters(), lr), net, total_steps, **params)


def copied(parameters):
    return [parameter.detach().clone() for parameter in parameters]


def loss_of(net, **params):
    x, y = table(dtype=next(net.parameters()).dtype, **params)
    return cross_entropy(net(x), y).item()
