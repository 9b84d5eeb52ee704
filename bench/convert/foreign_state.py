"""The ledger of an import: every tensor of a file is taken once, in the shape it must have, or refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.errors import UserError
from bench.files.inert_pickle import shown
from bench.files.tensors import tensor_of

Shape = Sequence[int | None]  # None: any size
MOST_BYTES = 4 * 2**30  # of the tensors of one network, however often they name the same numbers


class ForeignState:
    """The tensors of one network of a checkpoint, by the names they have there; each is taken once.

    tensors: names to Notes of tensors, or to tensors. where: the file and the network's role in it, for errors.
    what: the kind of network, for errors.
    """

    def __init__(self, tensors: Mapping[str, Any], where: str, what: str) -> None:
        self.where, self.what = where, what
        self._left = dict(tensors)
        self._read: dict[str, Tensor] = {}
        self._bytes = 0

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def has(self, module: str) -> bool:
        """Whether anything below a module's name is left."""
        return any(key.startswith(f"{module}.") for key in self._left)

    def __iter__(self) -> Iterator[str]:
        """The names of what has not been taken yet, in the file's order."""
        return iter(self._left)

    def raw(self) -> dict[str, Any]:
        """What has not been taken yet, unread, in the file's order."""
        return dict(self._left)

    def take(self, key: str, dtype: torch.dtype = torch.float32, shape: Shape | None = None) -> Tensor:
        """The tensor of that name, as `look` gives it; from now on it is accounted for."""
        value = self.look(key, dtype, shape)
        del self._left[key], self._read[key]
        return value

    def look(self, key: str, dtype: torch.dtype = torch.float32, shape: Shape | None = None) -> Tensor:
        """The tensor of that name, without taking it.

        shape: what it must have, where the network that is built does not say. Raises UserError if
        it is missing, not of the sort that is read, empty, of another dtype or shape, or not finite.
        """
        if key not in self._left:
            raise UserError(f"{self.where}: the key '{key}' is missing; every {self.what} has it")
        if key not in self._read:
            self._read[key] = self._tensor(key)
        value = self._read[key]
        if value.dtype != dtype:
            raise UserError(f"{self.where}: '{key}' is {value.dtype}, must be {dtype}")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(f"{self.where}: '{key}' holds values that are not finite; all weights must be")
        if shape is not None and not _fits(value.shape, shape):
            raise UserError(f"{self.where}: '{key}' has shape {tuple(value.shape)}, must have {_shape(shape)}")
        return value

    def _tensor(self, key: str) -> Tensor:
        value = tensor_of(self._left[key], f"{self.where}: {shown(key)}")
        self._bytes += value.nbytes
        if self._bytes > MOST_BYTES:
            raise UserError(f"{self.where}: up to '{key}' its tensors have more than {MOST_BYTES} bytes")
        return value

    def size(self, key: str, axis: int, dims: int) -> int:
        """One size of a tensor that must have `dims` axes."""
        shape = self.look(key).shape
        if len(shape) != dims:
            raise UserError(f"{self.where}: '{key}' has shape {tuple(shape)}, must have {dims} axes")
        return shape[axis]

    def count(self, prefix: str, first: int = 0) -> int:
        """How many different numbers follow the prefix; they must run from `first` without a gap."""
        pattern = re.compile(re.escape(prefix) + r"([0-9]{1,4})\b")
        numbers = sorted({int(match[1]) for key in self._left if (match := pattern.match(key))})
        if numbers != list(range(first, first + len(numbers))):
            listed = ", ".join(map(str, numbers[:20]))
            raise UserError(
                f"{self.where}: the keys '{prefix}N' have the numbers {listed}; "
                f"a {self.what}'s run from {first} without a gap"
            )
        return len(numbers)

    def finish(self) -> None:
        """UserError naming the first key that nobody took."""
        if self._left:
            raise UserError(
                f"{self.where}: the key {shown(min(self._left))} is unexpected; "
                f"a {self.what} of this size does not have it"
            )


def _fits(shape: Sequence[int], allowed: Shape) -> bool:
    return len(shape) == len(allowed) and all(right in (None, size) for size, right in zip(shape, allowed, strict=True))


def _shape(shape: Shape) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)}{',' * (len(shape) == 1)})"
