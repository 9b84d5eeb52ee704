"""What a step gives to the log: tensors that stay on the device until somebody looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from bench.contract.base import Logged


def floats(values: Mapping[str, float | Tensor]) -> dict[str, float]:
    """The values as floats, in their order, copied from the device in one go: one wait, not one a value."""
    read = {name: value for name, value in values.items() if not isinstance(value, Tensor)}
    tensors = {name: value.detach() for name, value in values.items() if isinstance(value, Tensor)}
    for names in _by_kind(tensors):
        read |= zip(names, torch.stack([tensors[name] for name in names]).tolist(), strict=True)
    return {name: read[name] for name in values}


def _by_kind(tensors: Mapping[str, Tensor]) -> Iterable[list[str]]:
    """The names of the tensors that can be stacked: of one dtype, on one device."""
    kinds: dict[tuple[torch.dtype, torch.device], list[str]] = {}
    for name, tensor in tensors.items():
        kinds.setdefault((tensor.dtype, tensor.device), []).append(name)
    return kinds.values()


class Watch:
    """Which logged value was not finite first, and in which step: noted on the device, read when asked for.

    A device that works ahead of Python need not wait for a check in every step, and no step is missed.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, ...], Tensor] = {}  # of the values of these names: the step (K,), 0 for none yet

    def see(self, step: int, values: Logged) -> None:
        """Look at the values that step 1, 2, ... gave, without a wait."""
        tensors = {name: value.detach() for name, value in values.items() if isinstance(value, Tensor)}
        for names in _by_kind(tensors):
            finite_K = torch.isfinite(torch.stack([tensors[name] for name in names]))
            self._note(tuple(names), step, finite_K)
        numbers = {name: value for name, value in values.items() if not isinstance(value, Tensor)}
        if numbers:
            self._note(tuple(numbers), step, torch.isfinite(torch.tensor(list(numbers.values()), dtype=torch.float64)))

    def _note(self, names: tuple[str, ...], step: int, finite_K: Tensor) -> None:
        first_K = self._first.get(names)
        if first_K is None:
            first_K = torch.zeros(len(names), dtype=torch.int64, device=finite_K.device)
        self._first[names] = torch.where(finite_K | (first_K > 0), first_K, step)

    def diverged(self) -> tuple[int, list[str]] | None:
        """The first step with a value that was not finite, and the names of its values that were not; None without.

        It waits for the device.
        """
        steps = {name: step for names, first_K in self._first.items() for name, step in zip(names, first_K.tolist())}
        bad = {name: step for name, step in steps.items() if step}
        if not bad:
            return None
        first = min(bad.values())
        return first, sorted(name for name, step in bad.items() if step == first)
