"""Reading a site profile: by path or shipped name, with `extends`, and mistakes reported as file:line: key."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import paths
from bench.errors import UserError, did_you_mean
from bench.files.yamlfile import Keys, first_problem, load_yaml, merge, mistake
from bench.launch.slurm.profile import Profile, without_none
from bench.launch.slurm.quoting import FIELD_OF, one_line, shown
from bench.plan.project import project_file

VARIABLE = "BENCH_SLURM_PROFILE"


def shipped() -> dict[str, Path]:
    """The profiles that come with the project (slurm/, also inside a wheel), by name."""
    return {path.stem: path for path in sorted(paths.shipped("slurm").glob("*.yaml"))}


def load_profile(name: str | None) -> Profile:
    """The profile of a YAML file or a shipped name; None: that of $BENCH_SLURM_PROFILE or the project file.

    `extends: other` starts from another profile, by its path from this file or its shipped name. Maps are merged, other
    values are replaced, and null removes a key. Raises UserError: `file:line: key: what is wrong; what would be right`.
    """
    if not (named := name if name is not None else usual_profile()):
        raise UserError(f"no site profile: give --profile or set {VARIABLE}; known: {', '.join(shipped())}")
    # From the farthest file to the nearest, so that the nearest counts
    chain = _chain(_locate(named, Path()), [])
    merged: dict[str, Any] = {}
    for _, value in reversed(chain):
        merged = merge(merged, value)
    merged = {
        key: without_none(value) if isinstance(value, dict) else value for key, value in without_none(merged).items()
    }
    try:
        return Profile.model_validate(merged)
    except ValidationError as error:
        keys, message = _first_problem(error)
        raise mistake(_origin(chain, keys), keys, message) from error


def usual_profile() -> str | None:
    """The profile that the environment names, else the one that the project file names."""
    project = project_file()
    return os.environ.get(VARIABLE) or (project.profile if project else None)


def _locate(name: str, folder: Path) -> Path:
    if name.isprintable() and name.endswith((".yaml", ".yml")):
        return folder / Path(name).expanduser()
    if name not in shipped():
        raise UserError(f"unknown profile {shown(name)}; {did_you_mean(name, shipped())} (or a .yaml file)")
    return shipped()[name]


def _chain(path: Path, below: list[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """The file and what it extends, nearest first; `below` are the files that led here."""
    value = load_yaml(path)
    _refuse_odd_numbers(path)
    if "extends" not in value:
        return [(path, value)]
    try:
        other = _locate(one_line(value.pop("extends")), path.parent)
    except (ValueError, UserError) as error:
        raise mistake(path, ("extends",), str(error)) from error
    below = [*below, path.resolve()]
    if other.resolve() in below:
        raise mistake(path, ("extends",), f"{other} extends this file; a profile cannot extend itself")
    return [(path, value), *_chain(other, below)]


def _refuse_odd_numbers(path: Path) -> None:
    """Refuse numbers that YAML reads as others, such as 010 (8) and 1_0 (10)."""
    for line, text in enumerate(path.read_text().splitlines(), 1):
        if match := re.fullmatch(r"\s*([\w-]+): +([0-9]+(?:_[0-9.]+)+|0[0-9_]+)\s*(#.*)?", text):
            key, number = match[1], match[2]
            raise UserError(
                f"{path}:{line}: {key}: YAML reads {number} as another number; write it plainly, or quote it"
            )


def _first_problem(error: ValidationError) -> tuple[Keys, str]:
    """The printable keys of the first problem, and what would be right."""
    first = error.errors()[0]
    keys, message = first_problem(Profile, error)
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        return keys, f"unknown key {shown(name)}; {_meant(name)}"
    if first["type"] == "missing":
        return keys, "is missing; write how long a job may take, such as 12h"
    return keys, message.replace("tuple", "list").replace("Tuple", "List")


def _meant(name: str) -> str:
    """A suggestion for an unknown key, which may be sbatch's word for a key of ours or a misspelt one."""
    ours = FIELD_OF.get(name.replace("_", "-"))
    if ours is None:
        return did_you_mean(name, Profile.model_fields)
    return f"did you mean '{ours}'" + (" (or gres: gpu:1)?" if ours == "gpus_per_node" else "?")


def _origin(chain: list[tuple[Path, dict[str, Any]]], keys: Keys) -> Path:
    """The nearest of the files that has a value at `keys`; the nearest of all if none has."""
    head, *rest = [*map(str, keys)] or [""]
    for path, value in chain:
        inner = value.get(head)
        if head in value and not (rest and isinstance(inner, dict) and rest[0] not in inner):
            return path
    return chain[0][0]
