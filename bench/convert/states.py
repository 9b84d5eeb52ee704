"""The networks of a checkpoint, each as the tensors that an importer reads (bench.convert.foreign_state)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.convert.foreign_state import ForeignState
from bench.errors import UserError
from bench.files.inert_pickle import shown

DATA_PARALLEL = "module."  # what torch.nn.DataParallel puts before every key


def state(value: Any, where: str, what: str) -> ForeignState:
    """A state dict as a ForeignState, without DataParallel's prefix. UserError if it is not a dict by name."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(key, str) for key in value):
        kind = "an empty dict" if value == {} else f"a {type(value).__name__}"
        raise UserError(f"{where}: {kind}, must be a state dict (a {what}'s names to tensors)")
    if all(key.startswith(DATA_PARALLEL) for key in value):
        value = {key.removeprefix(DATA_PARALLEL): tensor for key, tensor in value.items()}
    return ForeignState(value, where, what)


def entries(value: Any, path: Path, what: str, needed: Sequence[str], left_out: Mapping[str, str]) -> dict[str, Any]:
    """A checkpoint's dict of networks and more. left_out: the entries that may be there and are not built, and why.

    Raises UserError naming an entry that is missing, or one that is neither needed nor known to have no effect.
    """
    for key in needed:
        if not isinstance(value, dict) or key not in value:
            raise UserError(f"checkpoint {path}: the key '{key}' is missing; every {what} checkpoint has it")
    for key in value:
        if key not in needed and key not in left_out:
            raise UserError(f"checkpoint {path}: the key {shown(key)} is unexpected; no {what} checkpoint has it")
    state: dict[str, Any] = value
    return state


def by_role(states: Sequence[tuple[Path, Any]], marks: Mapping[str, str], what: str) -> dict[str, ForeignState]:
    """Role -> state, told apart by a key that only that role's networks have (`marks`: role -> such a key).

    UserError for a file of neither role, for two of one role, and where the generator is missing.
    """
    networks: dict[str, ForeignState] = {}
    for path, value in states:
        foreign = state(value, f"checkpoint {path}", what)
        roles = [role for role, key in marks.items() if key in foreign]
        if len(roles) != 1:
            keys = " or ".join(f"'{key}' (a {role})" for role, key in marks.items())
            raise UserError(f"checkpoint {path} is not of a {what}: it must have one of the keys {keys}")
        if roles[0] in networks:
            raise UserError(f"checkpoint {path} is a second {roles[0]}; give one file of each")
        foreign.what = f"{what} {roles[0]}"
        networks[roles[0]] = foreign
    if "generator" not in networks:
        raise UserError(f"{what}: no generator among the files; one must have the key '{marks['generator']}'")
    return networks
