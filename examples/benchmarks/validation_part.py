"""What the validation part is used for: averaged weights and the network's confidence, one after the other.

Test log-loss and fit time of :class:`sklkl.KLClassifier`, relative to the weights of the best epoch as they are. Data
and preprocessing are those of ``quality.py``.

    python examples/benchmarks/validation_part.py --data FOLDER
    python examples/benchmarks/validation_part.py --quick
"""

import warnings

import numpy as np
import torch
from quality import chosen_sets, prepared, scores, set_parser
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier

SETTINGS = {
    "best epoch": {"averaged_epochs": 1, "n_iter_no_change": 30, "calibrate": False},
    "averaged": {"calibrate": False},
    "averaged, calibrated": {},
}
SIZES = {"default": {}, "64 units": {"hidden_layer_sizes": (64,)}}


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=3000)
    args = parser.parse_args()
    seeds, max_train = (1, 250) if args.quick else (args.seeds, args.max_train)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    names = [f"{size}, {setting}" for size in SIZES for setting in SETTINGS]
    print("| set | " + " | ".join(names) + " |")
    table = []
    with threadpool_limits(1):
        for name, load in chosen_sets(args).items():
            runs = [
                [
                    scores(KLClassifier(device="cpu", **size, **setting), *prepared(load, seed, max_train), seed)
                    for size in SIZES.values()
                    for setting in SETTINGS.values()
                ]
                for seed in range(seeds)
            ]
            table.append(np.mean(runs, axis=0))
            print(f"| {name} | " + " | ".join(f"{loss:.4f}" for loss in table[-1][:, 0]) + " |", flush=True)
    by_size = np.reshape(table, (len(table), len(SIZES), len(SETTINGS), -1))
    ratios = (by_size / by_size[:, :, :1]).reshape(len(table), len(names), -1)
    means = np.exp(np.log(ratios).mean(axis=0))
    for words, values in (
        ("log-loss, mean ratio", means[:, 0]),
        ("largest", ratios[:, :, 0].max(axis=0)),
        ("fit time, mean ratio", means[:, 2]),
    ):
        print(f"| {words} | " + " | ".join(f"{value:.3f}" for value in values) + " |")


if __name__ == "__main__":
    main()
