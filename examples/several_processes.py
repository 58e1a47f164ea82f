"""One training by two processes, each with half of every batch.

    torchrun --nproc-per-node 2 examples/several_processes.py

Started by python alone it calls torchrun itself.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch.distributed as dist
from sklearn.datasets import load_digits

import sklkl
from sklkl import KLClassifier
from sklkl.parallel import data_parallel


def train(file):
    dist.init_process_group("gloo")  # "nccl" for GPUs
    X, y = load_digits(return_X_y=True)
    clf = KLClassifier(max_epochs=20, batch_size=512, random_state=0)
    with data_parallel():
        clf.fit(X, y)
    if dist.get_rank() == 0:  # all have the same model
        sklkl.save(clf, file)
    dist.destroy_process_group()


def start(file):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", __file__, str(file)]
    subprocess.run(command, check=True)


def main():
    if dist.is_torchelastic_launched():
        train(sys.argv[1] if len(sys.argv) > 1 else "digits.skops")
        return
    with TemporaryDirectory() as folder:
        start(Path(folder, "digits.skops"))
        clf = sklkl.load(Path(folder, "digits.skops"))
    accuracy = clf.score(*load_digits(return_X_y=True))
    print(f"trained by two processes: training accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
