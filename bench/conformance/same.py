"""Whether two values are the very same, tensors and arrays bit for bit: how conformance compares two runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.run.training import Training


def different_attributes(first: Training, second: Training) -> list[str]:
    """Attributes of the parts that two trainings of one spec should agree on and do not."""
    lost = []
    for (name, one), (_, other) in zip(first.method.parts, second.method.parts, strict=True):
        for key in sorted(vars(one).keys() | vars(other).keys()):
            if not same(vars(one).get(key), vars(other).get(key)):
                lost.append(f"{name}.{key}")
    return lost


def same(one: Any, other: Any) -> bool:
    """Equality of plain values, tensors and containers; objects of other types are not judged here."""
    if isinstance(one, torch.Generator) and isinstance(other, torch.Generator):
        return torch.equal(one.get_state(), other.get_state())
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, int | float | str | bytes | None) or isinstance(
        other, int | float | str | bytes | None
    ):
        return type(one) is type(other) and one == other
    return True
