"""Networks as a user may write them."""

from torch import nn


def normalised(n_features, n_classes):
    """Make a network of batch normalisation and convolution."""
    first = nn.Sequential(nn.Unflatten(1, (1, n_features)), nn.Conv1d(1, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU())
    return nn.Sequential(first, nn.Flatten(), nn.Linear(4 * n_features, n_classes))


def noisy(n_features, n_classes):
    return nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, n_classes))


class Recurrent(nn.Module):
    """Reads the features of a row one after the other."""

    def __init__(self, n_classes):
        super().__init__()
        self.cell, self.out = nn.GRU(1, 4, batch_first=True), nn.Linear(4, n_classes)

    def forward(self, x):
        return self.out(self.cell(x[..., None])[0][:, -1])


def recurrent(n_features, n_classes):
    return Recurrent(n_classes)
