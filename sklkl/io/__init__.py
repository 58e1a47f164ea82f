"""Fitted estimators beyond their process: files without pickle.

What is optional, skops, is imported when it is needed. May import: all other rooms.
"""

from sklkl.io import _files
from sklkl.io._files import *

__all__: list[str] = []
__all__ += _files.__all__
