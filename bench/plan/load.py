"""Reading a table's YAML: `extends:` another table, then `--set` overrides, then validation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bench import paths
from bench.errors import UserError, did_you_mean
from bench.files.yamlfile import first_problem, load_yaml, merge, mistake, validate
from bench.plan.expand import Table
from bench.plan.names import names_problem
from bench.plan.set_columns import add_columns, sets_among
from bench.spec.run import Protocol, TrainSettings

TABLES = paths.PACKAGE / "tables"


def table_names() -> list[str]:
    """Every table that ships with the project, e.g. "disp/table1"."""
    return sorted(str(path.relative_to(TABLES).with_suffix("")) for path in TABLES.glob("*/*.yaml"))


def resolve_table(name: str) -> str:
    """The full name of a table: a bare `table1` is `disp/table1`."""
    names = table_names()
    full = name if "/" in name else f"disp/{name}"
    if full not in names:
        raise UserError(f"unknown table '{name}'; {did_you_mean(full, names)}")
    return full


def load_table(name: str, overrides: dict[str, Any] | None = None, columns: Iterable[str] = ()) -> Table:
    """The table of a name, or of a YAML file of the user's.

    overrides: replace settings in every scale ({"train.steps": 50}): the `--set` of the command line.
    columns: those that are to be there; a data set that is no column of the table becomes one (`--columns`).
    Raises UserError naming file, line and key of a mistake, and for a column that is neither.
    """
    if name.endswith((".yaml", ".yml")):
        return read_table(Path(name), Path(name).stem, overrides, columns)
    full = resolve_table(name)
    return read_table(TABLES / f"{full}.yaml", full, overrides, columns)


def read_table(path: Path, name: str, overrides: dict[str, Any] | None = None, columns: Iterable[str] = ()) -> Table:
    """The validated table of a file. Raises UserError naming file, line and key, or the override."""
    value = _merged(path)
    value["name"] = name
    spec = validate(Table, value, path)
    if problem := names_problem(spec):
        raise mistake(path, *problem)
    # Settings of columns come last: an added column's counts depend on the others, and can be set themselves.
    settings: dict[str, Any] = {}
    of_columns: dict[str, Any] = {}
    for key, setting in (overrides or {}).items():
        (of_columns if key.startswith("columns.") else settings)[key] = setting
    spec = _overridden(value, spec, settings)
    if sets := sets_among(spec, columns):
        add_columns(value, spec, sets)
        spec = Table.model_validate(value)
    return _overridden(value, spec, of_columns)


def _overridden(value: dict[str, Any], spec: Table, settings: dict[str, Any]) -> Table:
    """The table with some settings replaced in every scale, in its plain data `value` too."""
    for key, setting in settings.items():
        for scale in value["scales"].values():
            _override(scale, key, setting)
        override = f"--set {key}={setting}"
        try:
            spec = Table.model_validate(value)
        except ValidationError as error:
            raise UserError(f"{override}: {first_problem(Table, error)[1]}") from error
        if problem := names_problem(spec):
            raise UserError(f"{override}: {problem[1]}")
    return spec


def parse_setting(text: str) -> tuple[str, Any]:
    """`train.steps=50` as ("train.steps", 50); the value is read as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UserError(f"--set '{text}': write key=value, for example --set train.steps=50")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--set '{text}': the value is not YAML") from error


def _merged(path: Path) -> dict[str, Any]:
    value = load_yaml(path)
    if "extends" not in value:
        return value
    parent = resolve_table(str(value.pop("extends")))
    return merge(_merged(TABLES / f"{parent}.yaml"), value)


_SETTABLE = ("network", "train", "protocol", "columns", "rows", "sources")


def _override(scale: dict[str, Any], key: str, setting: Any) -> None:
    """Set one dotted key in a scale's plain data; validation finds a misspelt last key afterwards."""
    head, *rest = key.split(".")
    if head not in _SETTABLE or not rest:
        raise UserError(f"--set {key}: must start with one of {', '.join(_SETTABLE)}; {_suggestion(key)}")
    if head == "train" and rest[0] not in _train_keys():
        raise UserError(f"--set {key}: unknown setting; {did_you_mean(rest[0], _train_keys())}")
    # Walk down to the group that holds the last key, and set it there.
    place = scale.setdefault(head, {})
    for part in rest[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise UserError(f"--set {key}: '{part}' is not a group of settings")
    place[rest[-1]] = setting
    if head == "train":  # a row's own value would hide what the user has just asked for
        for row in scale.get("rows", {}).values():
            (row.get("train") or {}).pop(rest[0], None)


def _suggestion(key: str) -> str:
    """A clause that suggests a full key: for `steps`, "did you mean 'train.steps'?"."""
    whole = {f"{group}.{name}": name for group, model in (("train", TrainSettings), ("protocol", Protocol))
             for name in model.model_fields}  # fmt: skip
    last = key.rpartition(".")[2]
    same = [setting for setting, name in whole.items() if name == last]
    if same:
        return f"did you mean {' or '.join(repr(setting) for setting in same)}?"
    near = difflib.get_close_matches(last, whole.values(), n=1, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(repr(setting) for setting, name in whole.items() if name == near[0])}?"
    return did_you_mean(key.partition(".")[0], _SETTABLE)


def _train_keys() -> list[str]:
    return list(TrainSettings.model_fields)
