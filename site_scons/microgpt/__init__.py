"""The learner in C, from Python: train, sample, ask, and move weights in and out as NumPy arrays.

`./sconsw host` builds the library. Errors carry the sentence that the chip would print.
"""

from microgpt.learner import Learner, Tensor
from microgpt.library import Error
from microgpt.plan import Plan, plan
from microgpt.text import Text

__all__ = ["Error", "Learner", "Plan", "Tensor", "Text", "plan"]
