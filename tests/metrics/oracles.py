"""The metrics by their definitions: scipy's terms and plain loops, rows that sum to one, no checks."""

import numpy as np
from scipy.special import rel_entr


def kl(p, q):
    return rel_entr(p, q).sum(-1)


def js(p, q):
    middle = (np.asarray(p) + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def smoothed(p, share):
    return (1 - share) * p + share / p.shape[-1]


def mean(values, w=None):
    return np.average(values, axis=0, weights=w)


def d2(t, p, w=None):
    prior = mean(t, w)
    return 1 - mean(kl(t, p), w) / mean(kl(t, prior), w)


def prior_shift(t, p, w=None):
    return kl(mean(t, w), mean(p, w))


def top1(t, p, w=None):
    return mean(t.argmax(1) == p.argmax(1), w)


def calibration(t, p, w=None, n_bins=10):
    """Row by row: the bin of a row is the share of its class's weight that lies below it."""
    w = np.ones(len(t)) if w is None else np.asarray(w)
    groups = {}
    for i in range(len(t)):
        k = p[i].argmax()
        same = [j for j in range(len(t)) if p[j].argmax() == k]
        own = max(1, int(n_bins * w[same].sum() / w.sum() + 0.5 + 1e-12))
        below = sum(w[j] for j in same if p[j].max() < p[i].max() - 1e-9) / w[same].sum()
        groups.setdefault((k, int(own * below + 1e-9)), []).append(i)
    values = [kl(mean(t[rows], w[rows]), mean(p[rows], w[rows])) for rows in groups.values()]
    return mean(values, [w[rows].sum() for rows in groups.values()])


# What a scorer of each name returns for true rows, predicted rows and weights.
SCORES = {
    "d2_kl": d2,
    "neg_calibration_kl": lambda t, p, w=None: -calibration(t, p, w),
    "neg_mean_js": lambda t, p, w=None: -mean(js(t, p), w),
    "neg_mean_kl": lambda t, p, w=None: -mean(kl(t, p), w),
    "neg_prior_shift_kl": lambda t, p, w=None: -prior_shift(t, p, w),
    "neg_teacher_js": lambda t, p, w=None: -mean(js(t, p), w),
    "neg_teacher_kl": lambda t, p, w=None: -mean(kl(t, p), w),
    "neg_teacher_reverse_kl": lambda t, p, w=None: -mean(kl(p, t), w),
    "teacher_top1": top1,
}
