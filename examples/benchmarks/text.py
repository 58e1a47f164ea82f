"""Training and prediction on sparse rows of 100,000 columns, beside scikit-learn's MLPClassifier.

Rows are made up as those of texts: a column is the rarer the higher its number, and each row has a few of them. One
hidden layer of 64 units, Adam, batches of 128 rows, no validation rows, float32, and the same number of epochs for
everyone. Processor time on one thread; memory is the largest that the process of its own had, less what it had before.

    python examples/benchmarks/text.py          # some minutes
    python examples/benchmarks/text.py --quick  # seconds, only to see that it runs
"""

import argparse
import multiprocessing
import resource
import time
import warnings

import numpy as np
import torch
from scipy import sparse
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier

EPOCHS = 3


def texts(n_rows, n_columns, n_words, seed=0):
    """Return rows of ``n_words`` words, with repetitions, and labels that follow from weights of the words."""
    random = np.random.RandomState(seed)
    words = (n_columns * random.rand(n_rows, n_words) ** 3).astype(int)
    ends = np.arange(0, words.size + 1, n_words)
    X = sparse.csr_matrix((np.ones(words.size, np.float32), words.ravel(), ends), (n_rows, n_columns))
    X.sum_duplicates()
    score = X @ random.randn(n_columns)
    return X, (score + score.std() * 0.5 * random.randn(n_rows) > 0).astype(int)


def contestant(name):
    if name == "MLPClassifier":
        return MLPClassifier((64,), batch_size=128, max_iter=EPOCHS, tol=0.0, random_state=0)
    rate = "kl_adaptive" if name == "KLClassifier" else "constant"
    return KLClassifier(
        (64,), "relu", batch_size=128, max_epochs=EPOCHS, early_stopping=False, learning_rate=rate, random_state=0
    )


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(name, n_rows, n_columns, n_words):
    """Return seconds of an epoch and of a prediction of all rows, megabytes, and the log-loss of other rows."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    X, y = texts(n_rows + n_rows // 10, n_columns, n_words)
    train, test = np.arange(n_rows), np.arange(n_rows, len(y))
    with threadpool_limits(1):
        clf = contestant(name).fit(X[:300, :10], y[:300])  # what is imported late
        before, start = megabytes(), time.process_time()
        clf.fit(X[train], y[train])
        fitted = time.process_time()
        clf.predict_proba(X[train])
        predicted, memory = time.process_time(), megabytes() - before
    loss = log_loss(y[test], clf.predict_proba(X[test]))
    return (fitted - start) / EPOCHS, predicted - fitted, memory, loss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows")
    n_rows = 1000 if parser.parse_args().quick else 100_000
    for n_words in (10, 100):
        print(f"\n{n_rows} rows, 100000 columns, {n_words} words a row")
        for name in ("KLClassifier", "constant rate", "MLPClassifier"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:  # for its own memory
                epoch, predicted, memory, loss = pool.apply(measured, (name, n_rows, 100_000, n_words))
            print(
                f"  {name:14s} epoch {epoch:7.2f} s   prediction {predicted:6.2f} s   memory {memory:6.0f} MB   "
                f"test log-loss {loss:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
