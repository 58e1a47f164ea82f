"""Fits that are killed by SIGKILL at any moment, again and again, end as if nobody had killed them, to the bit."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sklkl.net import members_of
from tests._fit.killed_fits import CASES, fitted

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ROOT = str(Path(__file__).parents[2])


def killed(case, path, n_kills, share):
    """Kill a fit in processes of their own, so often at most; return at which epochs it was not at its end."""
    script = str(Path(__file__).with_name("killed_fits.py"))
    command = [sys.executable, script, case, str(path), str(n_kills), str(share)]
    environment = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


def assert_same(resumed, whole):
    for net, other in zip(members_of(resumed.net_), members_of(whole.net_), strict=True):
        pairs = zip(net.module_.state_dict().values(), other.module_.state_dict().values(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)
        for name in ("train_loss", "lr"):
            assert net.history[:, name] == other.history[:, name]


def check(case, path):
    """Go on with a fit that was killed."""
    whole, resumed = fitted(case), fitted(case, path)
    assert_same(resumed, whole)
    assert np.array_equal(resumed.predict_proba(np.eye(5)), whole.predict_proba(np.eye(5)))


def test_a_fit_that_is_killed_goes_on_in_another_process(fresh_process):
    assert len(fresh_process["killed"]) > 0
    check("one", fresh_process["folder"] / "fit")


@pytest.mark.faults
@pytest.mark.filterwarnings("ignore:The checkpoint has learned from")  # which a stream says of calls that are skipped
@pytest.mark.parametrize("case", CASES)
def test_many_kills(tmp_path, case):
    n_killed = 0
    for number in range(20):
        path = tmp_path / f"fit{number}"
        n_killed += len(killed(case, path, n_kills=4, share=0.5))
        check(case, path)
        if n_killed >= 10:
            return
    pytest.fail(f"only {n_killed} kills before the end")
