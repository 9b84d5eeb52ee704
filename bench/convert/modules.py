"""Pickles of torch modules as StyleGAN2's code rebuilds them, read inertly: tensors and attributes by dotted name.

Their storages are bytes of their own within the pickle, each in torch.save's older format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files.foreign import check_file, check_tensors, mapped, storage_in_bytes
from bench.files.inert_pickle import Note, failure, read_inert, shown
from bench.files.tensors import NAMES

PERSISTENT = "torch_utils.persistence._reconstruct_persistent_obj"
STORAGE = "torch.storage._load_from_bytes"
NUMPY = {
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
}
MOST_MODULES = 10_000  # a pickle can name one submodule exponentially often
KINDS = ("_parameters", "_buffers", "_modules")


def read_pickle(path: Path) -> Any:
    """The pickle's containers, numbers and texts, with a Note where it has anything else.

    Raises UserError for a missing, damaged or too large file, naming it for what no snapshot refers to, and for a
    tensor anywhere in the file that is not of the sort that is read.
    """
    check_file(path)
    allowed = {PERSISTENT, STORAGE, *NUMPY, *NAMES}
    try:
        with mapped(path) as file:
            value = read_inert(file, allowed.__contains__, noted=_with_storage)
    except Exception as error:  # a damaged pickle raises nearly anything
        raise failure(f"checkpoint {path}", error, "a pickle") from error
    check_tensors(value, f"checkpoint {path}")
    return value


def _with_storage(note: Note) -> Any:
    if note.name != STORAGE or len(note.args) != 1 or not isinstance(note.args[0], bytes):
        return note
    try:
        return storage_in_bytes(note.args[0])
    except Exception:  # not a storage: the tensor that has it as its storage is refused by name
        return note


@dataclass
class Modules:
    """A tree of torch modules, flattened: dotted names -> tensors, and dotted paths -> class names and attributes."""

    tensors: dict[str, Any] = field(default_factory=dict)  # Notes
    classes: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)


def modules(root: Any, where: str, class_name: str) -> Modules:
    """The tensors and attributes of a module of that class and of all below it. `where` names it in errors.

    Raises UserError for anything else than such a tree.
    """
    name, state = _state(root, where, "")
    if name != class_name:
        raise UserError(f"{where}: a {name}, must be a {class_name}")
    tree = Modules()
    stack = [("", name, state)]
    while stack:
        path, name, state = stack.pop()
        if len(tree.attributes) >= MOST_MODULES:
            raise UserError(f"{where}: more than {MOST_MODULES} modules")
        # Its class and attributes
        tables = {kind: _dict(state, kind, where) for kind in KINDS}
        tree.classes[path] = name
        tree.attributes[path] = {key: value for key, value in state.items() if key not in KINDS}
        # Its tensors
        for key, value in (*tables["_parameters"].items(), *tables["_buffers"].items()):
            if value is None:  # a bias that a layer does not have
                tree.attributes[path].setdefault(key, None)
            elif tree.tensors.setdefault(_joined(path, key), value) is not value:
                raise UserError(f"{where}: '{_joined(path, key)}' is there twice")
        # The modules below it, later
        for key, child in tables["_modules"].items():
            if child is None:
                tree.attributes[path].setdefault(key, None)
            else:
                below = _joined(path, key)
                stack.append((below, *_state(child, where, below)))
    return tree


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _state(value: Any, where: str, path: str) -> tuple[str, dict[str, Any]]:
    """The class name and the attributes of a module."""
    meta = value.args[0] if isinstance(value, Note) and value.name == PERSISTENT and value.args else None
    state = meta.get("state") if isinstance(meta, dict) else None
    if (
        not isinstance(meta, dict)
        or meta.get("type") != "class"
        or not isinstance(meta.get("class_name"), str)
        or not isinstance(state, dict)
        or not all(isinstance(key, str) for key in state)
    ):
        raise UserError(f"{where}: {shown(path) if path else 'it'} is not a module as {PERSISTENT} rebuilds them")
    return shown(meta["class_name"])[1:-1], state


def _dict(state: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = state.get(key)
    if not isinstance(value, dict) or not all(isinstance(name, str) and "." not in name for name in value):
        raise UserError(f"{where}: the key '{key}' of a module is missing, or no dict of names")
    return value
