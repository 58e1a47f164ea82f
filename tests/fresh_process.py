"""What a process of its own finds once it has imported sklkl: as a script, this prints it as JSON."""

import json
import sys


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


def main():
    """Print which packages were imported, and the fingerprints of the values."""
    import sklkl  # noqa: F401

    packages = sorted({name.partition(".")[0] for name in sys.modules})
    from sklkl._utils.fingerprints import fingerprint
    from tests.fresh_process import values  # by the name that it has for the tests

    print(json.dumps({"packages": packages, "fingerprints": list(map(fingerprint, values()))}))


if __name__ == "__main__":
    main()
