"""A method as text and as data: `diffaugment + disp(prior=vgg16)` to parts with all their settings."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import yaml

from bench.contract.discovery import METHOD_NAME, methods
from bench.contract.signature import signature, source_digest
from bench.errors import UserError, did_you_mean
from bench.spec.run import Part

# The types of a value that each plain annotation allows. A bool is not accepted as an int.
PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
}


def parse_method(text: str) -> tuple[Part, ...]:
    """The parts of a method expression, in order, every setting filled in.

    Raises UserError for unknown parts or settings, repeated parts and malformed text.
    """
    parts = tuple(_parse_part(piece.strip(), text) for piece in _split(text, "+"))
    names = [part.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"method '{text}': the part '{name}' is given twice")
    return parts


def at_inference(parts: tuple[Part, ...], settings: Mapping[str, Any]) -> tuple[Part, ...]:
    """The parts with other values of settings that their samplers alone use: the same training, sampled otherwise.

    Raises UserError for a setting that no part uses at inference alone, and for a value of a wrong type.
    """
    changed = list(parts)
    for key, value in settings.items():
        declared = [signature(methods().entry(part.name).target) for part in parts]
        place = next((at for at, one in enumerate(declared) if key in one.of_sampler), None)
        if place is None:
            names, own = " + ".join(part.name for part in parts), [name for one in declared for name in one.of_sampler]
            has = did_you_mean(key, own) if own else "it has none"
            raise UserError(f"method '{names}' has no setting '{key}' that it uses at inference alone; {has}")
        part, kept = changed[place], declared[place]
        checked = _checked(f"method '{part.name}': {key}", value, kept.types.get(key, ""))
        values = {**part.settings, key: checked}
        if key in kept.later and checked == kept.settings[key]:
            del values[key]
        changed[place] = part.model_copy(update={"settings": values})
    return tuple(changed)


def _parse_part(piece: str, text: str) -> Part:
    match = re.fullmatch(rf"({METHOD_NAME})\s*(?:\((.*)\))?", piece, flags=re.DOTALL)
    if not match:
        raise UserError(f"method '{text}': cannot read '{piece}'; write parts as name or name(setting=value)")
    name, arguments = match.group(1), match.group(2) or ""
    declared = signature(methods().entry(name).target)
    settings = dict(declared.settings)

    # The defaults, overwritten by what the text sets.
    for argument in filter(None, (item.strip() for item in _split(arguments, ","))):
        key, equals, value = (side.strip() for side in argument.partition("="))
        if not equals:
            raise UserError(f"method '{text}': '{argument}' of '{name}' must be setting=value")
        if key not in settings:
            raise UserError(f"method '{name}' has no setting '{key}'; {did_you_mean(key, settings)}")
        settings[key] = _typed(f"method '{name}': {key}", value, declared.types.get(key, ""))

    # A setting that came later changes no older run's identity: at its default it is left out of the spec.
    kept = {
        key: value for key, value in settings.items() if key not in declared.later or value != declared.settings[key]
    }
    source = source_digest(methods().entry(name).target)
    return Part(name=name, version=declared.version, settings=kept, source=source)


def _typed(what: str, text: str, annotation: str) -> Any:
    """The value in `text`, read as YAML, if it is of the annotated type; UserError otherwise."""
    try:
        value = copy.deepcopy(_value(text))  # a list belongs to one part alone
    except yaml.YAMLError as error:
        raise UserError(f"{what}={text}: the value is not YAML") from error
    return _checked(what, value, annotation)


@cache
def _value(text: str) -> Any:
    """A setting's value as YAML has it; tables have the same few in many places."""
    return yaml.safe_load(text)


def _checked(what: str, value: Any, annotation: str) -> Any:
    """A value that YAML has read, if it is of the annotated type; UserError otherwise.

    YAML reads 1e-3 as text, which becomes a float where the annotation allows one. Values of other than plain types
    are checked by the method itself.
    """
    words = [word.strip() for word in annotation.split("|")]
    if isinstance(value, str) and "float" in words:
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{what} is {value}, must be finite")
    plain = all(word in PLAIN for word in words)
    if plain and not any(type(value) in PLAIN[word] for word in words):
        raise UserError(f"{what} is {value!r}, must be {' or '.join(words)}")
    return value


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside brackets and quotes."""
    pieces, depth, quote, start = [], 0, "", 0
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == separator and depth == 0:
            pieces.append(text[start:position])
            start = position + 1
    return [*pieces, text[start:]]
