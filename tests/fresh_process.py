"""What only a process of its own shows, which has done nothing yet: as a script, this prints all of it as JSON.

To start such a process takes as long as hundreds of tests, so there is one for all: first it says what was imported,
then it starts two that train together, forks while torch uses threads, and kills fits.
"""

import json
import os
import sys
import traceback
import warnings
from pathlib import Path


def values():
    """Return values of many kinds, the same in each process."""
    import numpy as np
    import torch
    from sklearn.ensemble import RandomForestClassifier

    from sklkl import KLClassifier

    def local(n):
        return lambda x: x + n

    X, y = np.random.RandomState(0).randn(40, 3), np.arange(40) % 2
    torch.manual_seed(0)
    fitted = RandomForestClassifier(3, random_state=0).fit(X, y)
    network = torch.nn.Linear(3, 2)
    return [1, "a", X, y, fitted, network, network.weight, local(1), {"b", "c", "a"}, torch.float32, KLClassifier()]


def packages():
    """Return the names of all packages that sklkl imports."""
    import sklkl  # noqa: F401

    return sorted({name.partition(".")[0] for name in sys.modules})


def fingerprints():
    """Return those of the values."""
    from sklkl._utils.fingerprints import fingerprint
    from tests.fresh_process import values  # by the name that it has for the tests

    return list(map(fingerprint, values()))


def own_code(folder):
    """Return the fingerprint of a module's code, which is written to the folder."""
    from sklkl._utils.own_code import code_fingerprint
    from tests._utils.test_own_code import imported

    sys.path.insert(0, folder)
    return code_fingerprint([imported(Path(folder)).Network])


def ranks(folder):
    """Return the exit codes of two processes that train together; none where torch has no gloo."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_gloo_available()):
        return []
    from tests.parallel.trainings import train_together

    return train_together(folder)


def forks():
    """Return what is wrong in children that were forked while torch used threads; nothing where there is no fork."""
    from tests.forks import check

    return failure(check) if hasattr(os, "fork") else ""


def killed(path):
    """Return at which epochs the fits were that were killed before their end."""
    from tests._fit.killed_fits import killed

    return killed("one", path, n_kills=3, share=0.5) if hasattr(os, "fork") else []


def failure(function):
    """Return the error of a function as a text, if it raises one."""
    try:
        function()
    except Exception:
        return traceback.format_exc()
    return ""


def main(folder):
    """Print what is found."""
    warnings.simplefilter("ignore")
    found = {"packages": packages(), "fingerprints": fingerprints(), "ranks": ranks(folder)}
    found |= {"forks": forks(), "own code": own_code(folder)}
    print(json.dumps(found | {"killed": killed(os.path.join(folder, "fit"))}))


if __name__ == "__main__":
    main(sys.argv[1])
