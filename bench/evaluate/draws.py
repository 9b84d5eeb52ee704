"""Random draws that measures share."""

from __future__ import annotations

import numpy as np
import torch


def in_turn(count: int, samples: int, trials: int, stream: torch.Generator) -> np.ndarray:
    """Positions of `samples` of `count` images for each trial, (trials * samples,).

    Those of a trial are drawn without repetition; where there are fewer images, all of them again and again.
    """
    rounds = -(-samples // count)
    drawn = [
        torch.cat([torch.randperm(count, generator=stream) for _ in range(rounds)])[:samples] for _ in range(trials)
    ]
    return torch.cat(drawn).numpy()
