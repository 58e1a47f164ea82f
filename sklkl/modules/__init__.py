"""Networks: ``nn.Module`` classes that take ``(n_features, n_classes, ...)`` and return logits.

`MLP` is the built-in one, `input_scaling` makes its first layer; `build_module` makes a network of any kind, `Ensemble`
one of several.
May import: _utils.
"""

from sklkl.modules import _building, _ensemble, _gathered, _input_scaling, _mlp, _softmax
from sklkl.modules._building import *
from sklkl.modules._ensemble import *
from sklkl.modules._gathered import *
from sklkl.modules._input_scaling import *
from sklkl.modules._mlp import *
from sklkl.modules._softmax import *

__all__: list[str] = []
__all__ += _building.__all__
__all__ += _ensemble.__all__
__all__ += _gathered.__all__
__all__ += _input_scaling.__all__
__all__ += _mlp.__all__
__all__ += _softmax.__all__
