"""Fitted estimators beyond their process: files without pickle, and graphs of ONNX.

What is optional, skops and skl2onnx, is imported when it is needed. May import: all other rooms.
"""

from sklkl.io import _files, _onnx
from sklkl.io._files import *
from sklkl.io._onnx import *

__all__: list[str] = []
__all__ += _files.__all__
__all__ += _onnx.__all__
