"""YAML files: safe loading, duplicate keys refused, and mistakes reported as file:line: key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from bench.errors import RuleError, UserError, did_you_mean

Keys = tuple[int | str, ...]
Model = TypeVar("Model", bound=BaseModel)
# The safe loader in C where that library is there, which is faster
SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MOST_CHARACTERS, MOST_BRACKETS = 1_000_000, 5_000


_TEXT = "tag:yaml.org,2002:str"
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?$")


class _StrictLoader(SafeLoader):
    """The safe loader, except that a repeated key is an error instead of a silent overwrite, and that 24:00:00 is text.

    YAML 1.1 reads digits with colons in base 60, 24:00:00 as 86400, which no user means.
    """

    yaml_implicit_resolvers = {
        first: [(_TEXT, _SEXAGESIMAL), *resolvers] for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a word or a number", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice", key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UserError with file and line for a syntax mistake."""
    try:
        text = path.read_text()
        _refuse_bombs(path, text)
        value = yaml.load(text, Loader=_StrictLoader)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}:1: is not YAML text: {str(error).splitlines()[0]}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}:1: must be a mapping of keys to values")
    return value


def _refuse_bombs(path: Path, text: str) -> None:
    """Deep nesting crashes libyaml, and aliases of aliases grow without bound once they are read out."""
    if len(text) > MOST_CHARACTERS or text.count("[") + text.count("{") > MOST_BRACKETS:
        raise UserError(f"{path}:1: is too large for a file of settings (over a megabyte, or 5,000 brackets)")
    if "&" in text and "*" in text:
        for event in yaml.parse(text, Loader=SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise UserError(f"{path}:{line}: *{event.anchor}: write it out, aliases are not read")


def validate(model: type[Model], value: Any, path: Path, prefix: Keys = ()) -> Model:
    """`value` (found in `path` below the keys `prefix`) as a `model`; else UserError with line and key."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        keys, message = first_problem(model, error)
        raise mistake(path, (*prefix, *keys), message) from error


def first_problem(model: type[BaseModel], error: ValidationError) -> tuple[Keys, str]:
    """Where the first problem of a failed validation lies, and what would be right."""
    first = error.errors()[0]
    keys = _keys(model, first["loc"])
    broken = first.get("ctx", {}).get("error")
    if isinstance(broken, RuleError):
        return (*keys, broken.key), str(broken)
    if first["type"] == "extra_forbidden":
        *above, name = first["loc"]  # the user's key, which may be in capitals too
        keys = keys if name in keys or not str(name).isprintable() else (*keys, name)
        return keys, f"unknown key; {did_you_mean(str(name), _fields_at(model, tuple(above)))}"
    return keys, first["msg"].removeprefix("Value error, ")


def _keys(model: Any, location: Keys) -> Keys:
    """Those pieces of a location that are printable keys of the file.

    pydantic also says which member of a union it tried, in capitals (the models' own keys are all lower case; those of
    a mapping are the user's), and with "[key]" that a mapping's key is wrong, not its value.
    """
    keys = []
    for part in location:
        member = isinstance(part, str) and part[:1].isupper() and get_origin(model) is not dict
        if part != "[key]" and not member and str(part).isprintable():
            keys.append(part)
        model = _descend(model, part)
    return tuple(keys)


def merge(base: dict[str, Any], top: dict[str, Any], *, keep_null: bool = False) -> dict[str, Any]:
    """The content of a file that `extends` another: mappings merge key by key, and null removes a key.

    Anything else, lists included, is replaced.
    keep_null: null stays instead, for a reader to whom it says that the key is removed from what is under it.
    """
    merged = dict(base)
    for key, value in top.items():
        if value is None and not keep_null:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value, keep_null=keep_null)
        else:
            merged[key] = copied(value)
    untouched = merged.keys() - top.keys()
    return {key: copied(value) if key in untouched else value for key, value in merged.items()}


def copied(value: Any) -> Any:
    """A copy of what YAML has read: mappings and lists are new, what they hold cannot be changed."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def mistake(path: Path, keys: Keys, message: str) -> UserError:
    """The error for a mistake at `keys` of a file: `file:line: a.b.c: message`."""
    line, reached = _line_of(path, keys)
    return UserError(": ".join(filter(None, (f"{path}:{line}", ".".join(map(str, reached)), message))))


def _fields_at(model: Any, location: Keys) -> list[str]:
    """The keys that the model nested at `location` accepts (as far as annotations tell)."""
    for part in location:
        model = _descend(model, part)
    members = (model, *get_args(model))
    return list(next((member.model_fields for member in members if hasattr(member, "model_fields")), {}))


def _descend(annotation: Any, part: int | str) -> Any:
    """The annotation of what `part` names inside a value with this annotation, or None."""
    if get_origin(annotation) is Annotated:
        return _descend(get_args(annotation)[0], part)
    if hasattr(annotation, "model_fields"):
        if annotation.__name__ == part:  # pydantic names the member of a union
            return annotation
        return annotation.model_fields[part].annotation if part in annotation.model_fields else None
    arguments = get_args(annotation)
    if get_origin(annotation) in (dict, tuple, list):
        return arguments[1] if get_origin(annotation) is dict else arguments[0]
    inner = (_descend(argument, part) for argument in arguments)
    return next((argument for argument in inner if argument is not None), None)


def _line_of(path: Path, keys: Keys) -> tuple[int, Keys]:
    """The line of the innermost of `keys` that the file has, and all the keys.

    A key that is absent, or that only the extended table has, gets the line of the mapping that would hold it.
    """
    node = yaml.compose(path.read_text(), Loader=SafeLoader)
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(key)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line, keys
