"""Small functions without state that every package may use.

Checks and their words (`checks`), labels among classes, rows of probabilities, columns and bins of tables, out-of-fold
predictions, seeds, and types of what users pass. scikit-learn's private functions are imported by `sklearn_private`
alone. May import: numpy, scipy, scikit-learn and torch; nothing of this package outside this folder.
"""
