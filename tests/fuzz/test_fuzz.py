"""Random input of every kind is learned from or refused in words: no raw errors, stray warnings or side effects.

``fault(draw(seed))`` repeats a case.
"""

import pytest

from .cases import draw
from .judge import fault


def faults(seeds):
    found = {seed: (case := draw(seed), fault(case)) for seed in seeds}
    return [f"draw({seed}): {case.words}\n{wrong}" for seed, (case, wrong) in found.items() if wrong is not None]


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_random_input_is_learned_from_or_refused(first):
    pytest.importorskip("sklearn", minversion="1.9", reason="older ones let numpy's errors through")
    found = faults(range(first, first + 50))
    assert not found, "\n\n".join(found)


@pytest.mark.fuzz
@pytest.mark.parametrize("first", range(300, 4500, 100))
def test_much_random_input_is_learned_from_or_refused(first):
    found = faults(range(first, first + 100))
    assert not found, "\n\n".join(found)
