"""From a user's parameters and rows to a trained net, and from a trained net to predictions.

May import: everything but the estimators.
"""
