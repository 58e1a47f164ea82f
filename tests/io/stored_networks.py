"""Networks of a user's own, under names that a file can have, and changes of the built-in one."""

from torch import nn


class Wide(nn.Sequential):
    def __init__(self, n_features, n_classes, units=16):
        super().__init__(nn.Linear(n_features, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Linear(units, n_classes))


def make_wide(n_features, n_classes):
    return Wide(n_features, n_classes, units=4)


class Noted(Wide):
    def get_extra_state(self):
        return {"note": "not a tensor"}

    def set_extra_state(self, state):
        pass


# What makes of the built-in network another one.
CHANGES = {
    "layer": lambda module: setattr(module, "1", nn.Hardtanh()),
    "hook": lambda module: module[2].register_forward_hook(lambda layer, inputs, output: output * 0),
}
