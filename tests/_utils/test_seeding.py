"""Randomness is a function of ``random_state`` alone, and global states stay as they were."""

import threading
import time

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold

from sklkl._utils.seeding import borrowed_global_state, local_random_state, make_generator, seeded

CPU = torch.device("cpu")


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_the_same_seed_gives_the_same_numbers(seed):
    first, second = (torch.rand(5, generator=make_generator(seed)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("seed", [0, 2**32 - 1, np.int64(7)])
def test_a_seed_gives_the_state_that_numpy_makes_of_it(seed):
    np.testing.assert_array_equal(local_random_state(seed).rand(3), np.random.RandomState(seed).rand(3))


def test_other_seeds_and_no_seed_give_other_numbers():
    seeds = [0, 1, None, None]
    assert len({torch.rand(1, generator=make_generator(seed)).item() for seed in seeds}) == len(seeds)


def test_a_random_state_is_drawn_from():
    random_state = np.random.RandomState(0)
    first, second = (torch.rand(1, generator=make_generator(random_state)) for _ in range(2))
    assert first != second
    assert local_random_state(random_state) is random_state


def test_no_seed_leaves_the_global_states_alone(global_state_untouched):
    with global_state_untouched():
        local_random_state(None).rand()
        torch.rand(1, generator=make_generator(None))


def test_borrowing_seeds_the_global_state_and_gives_it_back(global_state_untouched):
    def draw():
        with borrowed_global_state(make_generator(0), CPU):
            return torch.rand(5)

    with global_state_untouched():
        assert torch.equal(draw(), draw())


def test_borrowing_gives_back_after_an_error(global_state_untouched):
    def fail():
        with borrowed_global_state(make_generator(0), CPU):
            torch.rand(1)
            raise RuntimeError("in training")

    with global_state_untouched(), pytest.raises(RuntimeError, match="in training"):
        fail()


def test_borrowing_twice_in_a_row_goes_on_in_the_generator():
    generator, drawn = make_generator(0), []
    for _ in range(2):
        with borrowed_global_state(generator, CPU):
            drawn.append(torch.rand(1).item())
    assert drawn[0] != drawn[1]


def test_borrowing_may_be_nested(global_state_untouched):
    with (
        global_state_untouched(),
        borrowed_global_state(make_generator(0), CPU),
        borrowed_global_state(make_generator(1), CPU),
    ):
        torch.rand(1)


def test_threads_borrow_one_after_the_other(global_state_untouched):
    def draw(seed, results):
        with borrowed_global_state(make_generator(seed), CPU):
            numbers = []
            for _ in range(20):
                numbers.append(torch.rand(1))
                time.sleep(0.001)  # let the other threads run
            results[seed] = torch.cat(numbers)

    alone, together = {}, {}
    for seed in range(4):
        draw(seed, alone)
    with global_state_untouched():
        threads = [threading.Thread(target=draw, args=(seed, together)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=3600)
    assert all(torch.equal(together[seed], alone[seed]) for seed in range(4))


def test_splitters_get_a_seed_too():
    random_state = np.random.RandomState(0)
    shuffled = KFold(3, shuffle=True)
    found = seeded(shuffled, random_state)
    assert found.random_state is not None
    assert shuffled.random_state is None
    for steady in (KFold(3), KFold(3, shuffle=True, random_state=5), 5, None):
        assert seeded(steady, random_state) is steady
    frozen = FrozenEstimator(RandomForestClassifier())
    assert seeded(frozen, random_state) is frozen
