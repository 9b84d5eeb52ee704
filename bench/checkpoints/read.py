"""Reading public checkpoints: tensors and plain containers come out, nothing runs, sizes are bounded."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import UserError

MOST_BYTES = (
    4 * 2**30
)  # the largest public checkpoint of these formats, with optimiser states, has a quarter of it
DATA_PARALLEL = "module."  # what torch.nn.DataParallel puts before every key


def check_file(path: Path) -> None:
    """Raises UserError unless `path` is a file of at most MOST_BYTES."""
    if not path.is_file():
        raise UserError(
            f"checkpoint {path} {'is a folder, not a file' if path.is_dir() else 'does not exist'}"
        )
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"checkpoint {path} has {size} bytes; at most {MOST_BYTES} are read")


def load(path: Path) -> Any:
    """What torch.save wrote, on the CPU: tensors, numbers, text and plain containers.

    Raises UserError for a missing, damaged or too large file, and, naming it, for anything else that the file
    refers to, which is neither imported nor called.
    """
    check_file(path)
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:  # a damaged file raises nearly anything
        raise UserError(f"checkpoint {path}: {_reason(error)}") from error


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        # A packed member may be a thousand times as large as the file says.
        if (size := sum(member.file_size for member in archive.infolist())) > MOST_BYTES:
            raise UserError(f"checkpoint {path} unpacks to {size} bytes; at most {MOST_BYTES} are read")
        if (bad := archive.testzip()) is not None:
            raise UserError(f"checkpoint {path} is damaged: member {bad} fails its checksum")


def _reason(error: Exception) -> str:
    """One line; torch's own would advise to load the file without restraint."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named:
        return f"refers to {named[1]}, which is not allowed: only tensors and plain containers are read"
    return f"damaged, or not a file of torch.save ({type(error).__name__})"


class Given:
    """The tensors of one network of a checkpoint, by the names they have there; each is taken once.

    where: the file and the network's role in it, for errors. what: the kind of network, for errors.
    """

    def __init__(self, tensors: Mapping[str, Tensor], where: str, what: str) -> None:
        self.where, self.what = where, what
        self._left = dict(tensors)

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def __iter__(self) -> Iterator[str]:
        """The names of what has not been taken yet, in the file's order."""
        return iter(self._left)

    def items(self) -> Collection[tuple[str, Tensor]]:
        """What has not been taken yet, unchecked, in the file's order."""
        return self._left.items()

    def take(self, key: str, dtype: torch.dtype = torch.float32) -> Tensor:
        """The tensor of that name. UserError if it is missing, of another dtype or not finite."""
        value = self.look(key, dtype)
        del self._left[key]
        return value

    def look(self, key: str, dtype: torch.dtype = torch.float32) -> Tensor:
        """`take`, and leave it there."""
        if key not in self._left:
            raise UserError(f"{self.where}: the key '{key}' is missing; every {self.what} has it")
        value = self._left[key]
        if not isinstance(value, Tensor):
            raise UserError(f"{self.where}: '{key}' is a {type(value).__name__}, must be a tensor")
        if value.dtype != dtype:
            raise UserError(f"{self.where}: '{key}' is {value.dtype}, must be {dtype}")
        if not value.numel():
            raise UserError(f"{self.where}: '{key}' has shape {tuple(value.shape)}, must not be empty")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(f"{self.where}: '{key}' holds values that are not finite; all weights must be")
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
        found = sorted({int(match[1]) for key in self._left if (match := pattern.match(key))})
        if found != list(range(first, first + len(found))):
            raise UserError(
                f"{self.where}: the keys '{prefix}N' have the numbers {', '.join(map(str, found))}; "
                f"a {self.what}'s run from {first} without a gap"
            )
        return len(found)

    def drop(self, chosen: Callable[[str], bool]) -> None:
        """Leave out what the networks here have no use for."""
        self._left = {key: value for key, value in self._left.items() if not chosen(key)}

    def finish(self) -> None:
        """UserError naming the first key that nobody took."""
        if self._left:
            raise UserError(
                f"{self.where}: the key '{min(self._left)}' is unexpected; a {self.what} of this size has none such"
            )


def state(value: Any, where: str, what: str) -> Given:
    """A state dict as Given, without DataParallel's prefix. UserError if it is not a dict with names as keys."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(key, str) for key in value):
        raise UserError(
            f"{where}: a {type(value).__name__}, must be a state dict (a {what}'s names to tensors)"
        )
    if all(key.startswith(DATA_PARALLEL) for key in value):
        value = {key.removeprefix(DATA_PARALLEL): tensor for key, tensor in value.items()}
    return Given(value, where, what)


def by_role(states: Sequence[tuple[Path, Any]], marks: Mapping[str, str], what: str) -> dict[str, Given]:
    """Role -> state, told apart by a key that only that role's networks have (`marks`: role -> such a key).

    UserError for a file of neither role, for two of one role, and where the generator is missing.
    """
    found: dict[str, Given] = {}
    for path, value in states:
        given = state(value, f"checkpoint {path}", what)
        roles = [role for role, key in marks.items() if key in given]
        if len(roles) != 1:
            wanted = " or ".join(f"'{key}' (a {role})" for role, key in marks.items())
            raise UserError(f"checkpoint {path} is not of a {what}: it must have one of the keys {wanted}")
        if roles[0] in found:
            raise UserError(f"checkpoint {path} is a second {roles[0]}; give one file of each")
        given.what = f"{what} {roles[0]}"
        found[roles[0]] = given
    if "generator" not in found:
        raise UserError(f"{what}: no generator among the files; one must have the key '{marks['generator']}'")
    return found
