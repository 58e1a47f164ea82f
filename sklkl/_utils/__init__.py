"""Checks, seeds, frames, bins and out-of-fold predictions: small things without state that every room may use.

May import: numpy, scipy, scikit-learn, skorch and torch; nothing of this package.
"""
