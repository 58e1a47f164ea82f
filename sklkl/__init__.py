"""scikit-learn estimators around PyTorch networks with Kullback-Leibler divergence as a first-class lever."""

__version__ = "0.1.0.dev0"

from sklkl._utils.show_versions import show_versions
from sklkl.classifier import KLClassifier
from sklkl.distiller import Distiller
from sklkl.io import load, save
from sklkl.net import KLNet

__all__ = ["Distiller", "KLClassifier", "KLNet", "__version__", "load", "save", "show_versions"]
