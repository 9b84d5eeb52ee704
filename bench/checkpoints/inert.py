"""Reading a pickle of torch modules without building or calling anything that it names.

Every class or function of INERT becomes a Maker, whose calls do nothing but note their arguments; the three plain
containers are Python's own, whose types a pickle cannot change; any other name ends the reading. What a pickle may do
is thus to nest containers, numbers, text, bytes and notes. Notes of tensors are turned into tensors afterwards, one by
one, within the bounds of the bytes that came with them.
"""

from __future__ import annotations

import io
import math
import pickle
import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from bench.checkpoints.read import check_file
from bench.errors import UserError

PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"
TENSOR = "torch._utils._rebuild_tensor_v2"
PARAMETER = "torch._utils._rebuild_parameter"
STORAGE = "torch.storage._load_from_bytes"
INERT = {
    PERSISTENT,
    TENSOR,
    PARAMETER,
    STORAGE,
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
}
CONTAINERS: dict[str, type] = {
    "collections.OrderedDict": OrderedDict,
    "dnnlib.util.EasyDict": dict,  # a dict whose entries are attributes too
    "builtins.set": set,
    "__builtin__.set": set,
}
MOST_MODULES = 10_000  # a pickle can name one submodule exponentially often
MOST_AXES = 8


class Refused(Exception):
    """A pickle names something that is not allowed; the text is that name."""


class Note:
    """A call that was not made: the callee's name, the arguments, and the state that was to follow."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name, self.args, self.state = name, args, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Maker:
    """Stands for a class or function of INERT."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> Note:
        return Note(self.name, args)

    def __setstate__(self, state: Any) -> NoReturn:
        raise pickle.UnpicklingError(f"a state for {self.name} itself")


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in CONTAINERS:
            return CONTAINERS[full]
        if full in INERT:
            return Maker(full)
        raise Refused(full)


def read_pickle(path: Path) -> Any:
    """The pickle's containers, numbers and texts, with a Note where it has anything else.

    Raises UserError for a missing, damaged or too large file, and, naming it, for what is not in INERT.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            return _InertUnpickler(file).load()
    except Refused as error:
        raise UserError(
            f"checkpoint {path}: refers to {error}, which is not allowed; nothing of the file was executed"
        ) from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"checkpoint {path}: damaged, or not a pickle ({type(error).__name__})") from error


@dataclass
class Modules:
    """A tree of torch modules, flattened: dotted names -> tensors, and dotted paths -> plain attributes."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)


def modules(root: Any, where: str, class_name: str) -> Modules:
    """The tensors and attributes of a module of that class and of all below it. `where` names it in errors.

    Raises UserError for anything else than such a tree.
    """
    state = _state(root, where, "")
    if root.args[0].get("class_name") != class_name:
        raise UserError(f"{where}: a {root.args[0].get('class_name')}, must be a {class_name}")
    found = Modules()
    stack = [("", state)]
    while stack:
        path, state = stack.pop()
        if len(found.attributes) >= MOST_MODULES:
            raise UserError(f"{where}: more than {MOST_MODULES} modules")
        found.attributes[path] = {key: value for key, value in state.items() if isinstance(key, str)}
        for kind in ("_parameters", "_buffers"):
            for name, value in _dict(state, kind, where).items():
                if value is not None:
                    found.tensors[f"{path}{name}"] = _tensor(value, f"{where}: '{path}{name}'")
        for name, child in _dict(state, "_modules", where).items():
            if child is not None:
                stack.append((f"{path}{name}.", _state(child, where, f"{path}{name}")))
    return found


def _state(value: Any, where: str, path: str) -> dict[Any, Any]:
    """The attributes of a module."""
    meta = value.args[0] if isinstance(value, Note) and value.name == PERSISTENT and value.args else None
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("state"), dict):
        raise UserError(
            f"{where}: {repr(path) if path else 'it'} is not a module as {PERSISTENT} rebuilds them"
        )
    state: dict[Any, Any] = meta["state"]
    return state


def _dict(state: dict[Any, Any], key: str, where: str) -> dict[Any, Any]:
    value = state.get(key)
    if not isinstance(value, dict):
        raise UserError(f"{where}: the key '{key}' of a module is missing, or no dict")
    return value


def _tensor(value: Any, where: str) -> Tensor:
    """The tensor of a Note."""
    while isinstance(value, Note) and value.name == PARAMETER and value.args:
        value = value.args[0]
    if not isinstance(value, Note) or value.name != TENSOR or len(value.args) < 4:
        raise UserError(f"{where} is not a tensor as {TENSOR} rebuilds them")
    storage, offset, size, stride = value.args[:4]
    data = storage.args[0] if isinstance(storage, Note) and storage.name == STORAGE and storage.args else None
    if not isinstance(data, bytes):
        raise UserError(f"{where}: its numbers are not stored as {STORAGE} reads them")
    if not _are_sizes(offset) or not _are_sizes(size, stride):
        raise UserError(f"{where}: its offset, sizes and strides must be whole numbers from 0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # the file's format has typed storages, which torch gives up
            loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            flat = torch.empty(0, dtype=loaded.dtype).set_(loaded.untyped())
    except Exception as error:
        raise UserError(f"{where}: its numbers are damaged ({type(error).__name__})") from error
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if math.prod(size) and (last >= flat.numel() or math.prod(size) > flat.numel()):
        raise UserError(f"{where}: it has {flat.numel()} numbers, fewer than its shape {tuple(size)} needs")
    return flat.as_strided(size, stride, offset)


def _are_sizes(*values: Any) -> bool:
    """Whether each value is a whole number from 0, or all are tuples of them of one length."""
    if len(values) == 1:
        return type(values[0]) is int and values[0] >= 0
    whole = all(isinstance(value, tuple) and all(_are_sizes(one) for one in value) for value in values)
    return whole and len({len(value) for value in values}) == 1 and len(values[0]) <= MOST_AXES
