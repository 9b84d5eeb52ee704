"""YAML with manners: safe loading, duplicate keys refused, and mistakes reported as file:line: key."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from bench.errors import UserError, did_you_mean

Model = TypeVar("Model", bound=BaseModel)
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_SafeLoader):  # type: ignore[misc]
    """The safe loader, except that a repeated key is an error instead of a silent overwrite."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' stands twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError with file and line for a syntax mistake."""
    try:
        value = yaml.load(path.read_text(), Loader=_StrictLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: {error.problem}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}:1: must be a mapping of keys to values")
    return value


def validate(model: type[Model], value: Any, path: Path, prefix: tuple[str | int, ...] = ()) -> Model:
    """`value` (found in `path` below the keys `prefix`) as a `model`; UserError with line and key
    otherwise.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        keys = (*prefix, *first["loc"])
        line, found = _line_of(path, keys)
        name = ".".join(str(part) for part in found)
        message = first["msg"]
        if first["type"] == "extra_forbidden":
            known = _fields_at(model, first["loc"][:-1])
            message = f"unknown key; {did_you_mean(str(first['loc'][-1]), known)}"
        raise UserError(f"{path}:{line}: {name}: {message}") from error


def _fields_at(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys that the model nested at `location` accepts (as far as annotations tell)."""
    for part in location:
        field = getattr(model, "model_fields", {}).get(part)
        if field is not None:
            model = field.annotation
        candidates = [model, *getattr(model, "__args__", ())]
        model = next((one for one in candidates if hasattr(one, "model_fields")), model)
    return list(getattr(model, "model_fields", {}))


def _line_of(path: Path, keys: tuple[int | str, ...]) -> tuple[int, tuple[int | str, ...]]:
    """The line of the innermost of `keys` that the file has, and the keys up to it (a missing key: its
    parent).
    """
    node = yaml.compose(path.read_text(), Loader=_SafeLoader)
    line, found = 1, []
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if pair is None:
                found.append(key)
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            continue
        found.append(key)
    return line, tuple(found)
