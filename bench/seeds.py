"""Seeds derived by name: every purpose has its own stream, so no draw of one disturbs another.

A stream is a function of (seed, purpose, step) alone. Nothing random is ever pickled: a run that is killed
and started again derives the very same streams from its step, and seed i means the same latents, subset and
order for every method, which is what makes comparisons paired.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed from a base seed and a purpose such as ("augment", step).

    The parts are joined unambiguously before hashing: ("ab", "c") and ("a", "bc") differ.
    """
    text = "\x1f".join([str(seed), *(f"{type(part).__name__}:{part}" for part in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator for this purpose."""
    import numpy as np  # here, as torch below: planning derives seeds and draws nothing

    return np.random.default_rng(derive(seed, *purpose))


def torch_stream(seed: int, *purpose: str | int) -> torch.Generator:
    """A torch CPU generator for this purpose; draw on the CPU and move, so that every device sees equal
    numbers.
    """
    import torch

    return torch.Generator().manual_seed(derive(seed, *purpose))
