"""The learner in C, from Python: train, sample, ask, and move weights in and out as NumPy arrays.

`./sconsw host` builds the library. Errors carry the sentence that the chip would print.
"""

from microgpt.checkpoint import Checkpoint, CheckpointError, Tensor
from microgpt.learner import Learner
from microgpt.library import Error
from microgpt.plan import Plan, plan
from microgpt.text import Text

__all__ = ["Checkpoint", "CheckpointError", "Error", "Learner", "Plan", "Tensor", "Text", "plan"]
