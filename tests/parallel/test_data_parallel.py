"""Two processes that train together give what one does: weights, losses, rates and what a rate measures."""

import numpy as np
import pytest
import torch.distributed as dist

from sklkl.parallel import data_parallel
from tests.parallel import trainings

pytestmark = pytest.mark.skipif(not (dist.is_available() and dist.is_gloo_available()), reason="this torch has no gloo")


@pytest.fixture(scope="module")
def ranks(fresh_process):
    """What each of two processes got."""
    assert fresh_process["ranks"] == [0, 0]
    return [np.load(fresh_process["folder"] / f"{rank}.npz") for rank in range(2)]


@pytest.mark.parametrize("name", trainings.TRAININGS)
def test_two_processes_give_what_one_does(name, ranks, same_but_for_rounding):
    alone = trainings.TRAININGS[name]()
    for key, expected in alone.items():
        together = [rank[f"{name}/{key}"] for rank in ranks]
        same_but_for_rounding(together[0], expected)
        np.testing.assert_array_equal(*together)


def test_processes_without_a_seed_have_the_same_one(ranks):
    np.testing.assert_array_equal(*(rank["unseeded"] for rank in ranks))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("rows", "must be the same rows, in the same order, on all processes. Got"),
        ("settings", "or other settings"),
        ("strength", "or other settings"),
        ("rate", "or other settings"),
        ("dropout", "or other settings"),
        ("patience", "or other settings"),
        ("batch norm", "cannot be shared by data_parallel if the module has statistics of batches"),
        ("closure", "the optimizer LBFGS evaluates the loss several times a step"),
        ("nested", "within another data_parallel"),
    ],
)
def test_what_cannot_be_shared_is_refused_by_all(case, message, ranks):
    for rank in ranks:
        assert message in str(rank[f"refused/{case}"])


def test_processes_have_to_be_started():
    with pytest.raises(RuntimeError, match="call torch.distributed.init_process_group before"):
        data_parallel().__enter__()
