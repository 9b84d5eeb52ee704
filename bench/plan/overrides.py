"""`--set key=value`: settings of a table replaced at every scale."""

from __future__ import annotations

import difflib
from itertools import product
from typing import Any

import yaml
from pydantic import ValidationError

from bench.errors import UserError, did_you_mean
from bench.files.yamlfile import first_problem
from bench.plan.completeness import cell_problem
from bench.plan.expand import Table
from bench.plan.names import names_problem
from bench.spec.run import ProtocolKeys, TrainSettings
from bench.spec.scale import PLACES

_SETTABLE = ("network", "train", "protocol", "sources", "evaluate", *PLACES)
_HIDING = ("train", "protocol", "evaluate")  # what one key of is meant for every cell, whatever a patch has there


def parse_setting(text: str) -> tuple[str, Any]:
    """`train.steps=50` as ("train.steps", 50); the value is read as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UserError(f"--set '{text}': write key=value, for example --set train.steps=50")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--set '{text}': the value is not YAML") from error


def overridden(value: dict[str, Any], spec: Table, settings: dict[str, Any]) -> Table:
    """The table with some settings replaced in every scale, in its plain data `value` too."""
    for key, setting in settings.items():
        for scale in value["scales"].values():
            _override(scale, key, setting)
        if key.startswith("evaluate."):  # rows and columns may have it beside their labels too
            for item in (*value["rows"], *value["columns"]):
                (item.get("evaluate") or {}).pop(key.partition(".")[2], None)
        override = f"--set {key}={setting}"
        try:
            spec = Table.model_validate(value)
            if key.endswith("train.steps") and not any(other.endswith("protocol.keep") for other in settings):
                spec = _keeping_what_is_reached(value, spec)
        except ValidationError as error:
            raise UserError(f"{override}: {first_problem(Table, error)[1]}") from error
        if problem := names_problem(spec) or cell_problem(spec):
            raise UserError(f"{override}: {problem[1]}")
    return spec


def _keeping_what_is_reached(value: dict[str, Any], spec: Table) -> Table:
    """The table without the kept steps that shorter trainings do not reach, which is written into `value` too."""
    shorter = False
    for name, scale in value["scales"].items():
        for row, column in product(spec.rows, spec.columns):
            said = spec.merged(column, name, row).said
            kept, steps = (said.get(of, {}).get(key) for of, key in (("protocol", "keep"), ("train", "steps")))
            if not kept or steps is None or max(kept) < steps:
                continue
            cells = scale["cells"] = scale.get("cells") or {}
            cell = cells[f"{row.id}/{column.id}"] = cells.get(f"{row.id}/{column.id}") or {}
            cell["protocol"] = {**(cell.get("protocol") or {}), "keep": [step for step in kept if step < steps] or None}
            shorter = True
    return Table.model_validate(value) if shorter else spec


def _override(scale: dict[str, Any], key: str, setting: Any) -> None:
    """Set one dotted key in a scale's plain data; validation finds a misspelt last key afterwards."""
    head, *rest = _pieces(scale, key)
    if head not in _SETTABLE or not rest:
        raise UserError(f"--set {key}: must start with one of {', '.join(_SETTABLE)}; {_suggestion(key)}")
    if head == "train" and rest[0] not in _train_keys():
        raise UserError(f"--set {key}: unknown setting; {did_you_mean(rest[0], _train_keys())}")
    if head == "network" and scale.get("network") is None:
        raise UserError(f"--set {key}: the scale has no network of its own; {_whose(scale, key)}")
    # Walk down to the group that holds the last key, and set it there.
    place: Any = scale
    for part in (head, *rest[:-1]):
        if place.get(part) is None:
            place[part] = {}
        place = place[part]
        if not isinstance(place, dict):
            raise UserError(f"--set {key}: '{part}' is not a group of settings")
    place[rest[-1]] = setting
    if head in _HIDING:  # a patch's own value would hide what the user has just asked for
        for kind in PLACES:
            for patch in (scale.get(kind) or {}).values():
                ((patch or {}).get(head) or {}).pop(rest[0], None)


def _pieces(scale: dict[str, Any], key: str) -> list[str]:
    """The keys of a dotted key; the id of a row may have dots of its own."""
    head, _, rest = key.partition(".")
    known = (scale.get(head) or {}) if head in PLACES else {}
    names = [name for name in known if rest.startswith(f"{name}.")]
    if not names:
        return key.split(".")
    name = max(names, key=len)
    return [head, name, *rest[len(name) + 1 :].split(".")]


def _whose(scale: dict[str, Any], key: str) -> str:
    """What to write in place of `network.name` where columns, groups, rows or cells have the networks."""
    places = [f"{kind}.{name}" for kind in PLACES for name, patch in (scale.get(kind) or {}).items()
              if (patch or {}).get("network")]  # fmt: skip
    return f"write --set {places[0]}.{key}=... for one of {', '.join(places)}" if places else "no place has one"


def _suggestion(key: str) -> str:
    """A clause that suggests a full key: for `steps`, "did you mean 'train.steps'?"."""
    whole = {f"{group}.{name}": name for group, model in (("train", TrainSettings), ("protocol", ProtocolKeys))
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
