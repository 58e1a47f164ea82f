"""Figures without windows, closed after each test."""

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def legend_of():
    """Return ``legend_of(ax)``: the texts of its legend."""
    return lambda ax: [text.get_text() for text in ax.get_legend().get_texts()]
