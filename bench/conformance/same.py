"""Whether two values are equal, tensors and arrays bit for bit: how conformance compares two runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.run.training import Training


def different_attributes(first: Training, second: Training) -> list[str]:
    """Attributes of the parts that two trainings of one spec should agree on and do not."""
    lost = []
    for (name, part), (_, other) in zip(first.method.parts, second.method.parts, strict=True):
        for key in sorted(vars(part).keys() | vars(other).keys()):
            if not same(vars(part).get(key), vars(other).get(key)):
                lost.append(f"{name}.{key}")
    return lost


def same(first: Any, second: Any) -> bool:
    """Whether plain values, tensors, containers or modules' states are equal; objects of other types count as equal."""
    if isinstance(first, torch.Generator) and isinstance(second, torch.Generator):
        return torch.equal(first.get_state(), second.get_state())
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    if isinstance(first, nn.Module) and isinstance(second, nn.Module):
        return same(first.state_dict(), second.state_dict())
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.array_equal(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    if isinstance(first, int | float | str | bytes | None) or isinstance(second, int | float | str | bytes | None):
        return type(first) is type(second) and first == second
    return True
