"""Training: the Method base class that adapters extend, the adversarial step, checkpoints and the run
loop.
"""

from bench.train.context import Batch, Context, DStep, GStep
from bench.train.method import Method

__all__ = ["Batch", "Context", "DStep", "GStep", "Method"]
