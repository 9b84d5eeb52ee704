"""A method as text and as data: `diffaugment + disp(prior=vgg16)` to parts with all their settings.

Settings are known without importing the method (and so without torch): a file in methods/ is read as a syntax
tree, its class's keyword-only arguments with literal defaults are the settings, its `version`, `sources` and
`later` the part's own.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import math
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict

from bench import registry
from bench.errors import UserError, did_you_mean
from bench.files.source_code import module_digest, module_file

# The values that a setting of a plain type may have. bool is no int here, whatever Python says.
PLAIN: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
}


class Part(BaseModel):
    """One part of a method with its resolved settings.

    source: the digest of the code of a part from outside this project (a plug-in, another package), which makes
    an edited one another run. None for our own parts, whose `version` does that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int = 1
    settings: dict[str, Any] = {}
    source: str | None = None


def parse_method(text: str) -> tuple[Part, ...]:
    """The parts of a method expression, in order, every setting filled in.

    Raises UserError for unknown parts or settings, repeated parts and malformed text.
    """
    parts = tuple(_parse_part(piece.strip(), text) for piece in _split(text, "+"))
    names = [part.name for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"method '{text}': the part '{name}' stands twice")
    return parts


def readable(parts: tuple[Part, ...]) -> str:
    """A short name for people: the parts' names, with a prior where one is set."""
    return "+".join(
        f"{part.name}-{part.settings['prior']}" if "prior" in part.settings else part.name for part in parts
    )


def needed_sources(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """The roles of the trainings or weights that these parts start from, e.g. ("network",) for
    TransferGAN.
    """
    roles = set()
    for part in parts:
        signature = _signature(registry.methods().entry(part.name).target)
        settings = {**signature.settings, **part.settings}
        for role, when in signature.sources.items():
            key, _, value = when.partition("=")
            if not when or str(settings[key]) == value:
                roles.add(role)
    return tuple(sorted(roles))


def build_method(parts: tuple[Part, ...]) -> Any:
    """The composition of the parts, imported and constructed.

    Raises UserError for bad values, and for a part whose code is not the one that the run was planned with.
    """
    from bench.contract.composition import Composition

    built = []
    for part in parts:
        target = registry.methods().entry(part.name).target
        if part.source is not None and part.source != _source(target):
            module = target.partition(":")[0]
            raise UserError(
                f"method '{part.name}': its source ({module_file(module)}, or a file that it imports) is not the "
                "one that this run was planned with; plan it again: with other code it is another run"
            )
        try:
            built.append((part.name, registry.methods().load(part.name)(**part.settings)))
        except (TypeError, ValueError) as error:
            raise UserError(f"method '{part.name}': {error}") from error
    return Composition(built)


def _parse_part(piece: str, text: str) -> Part:
    match = re.fullmatch(rf"({registry.METHOD_NAME})\s*(?:\((.*)\))?", piece, flags=re.DOTALL)
    if not match:
        raise UserError(f"method '{text}': cannot read '{piece}'; write parts as name or name(setting=value)")
    name, arguments = match.group(1), match.group(2) or ""
    signature = _signature(registry.methods().entry(name).target)
    settings = dict(signature.settings)
    for argument in filter(None, (one.strip() for one in _split(arguments, ","))):
        key, equals, value = (one.strip() for one in argument.partition("="))
        if not equals:
            raise UserError(f"method '{text}': '{argument}' of '{name}' must be setting=value")
        if key not in settings:
            raise UserError(f"method '{name}' has no setting '{key}'; {did_you_mean(key, settings)}")
        settings[key] = _typed(f"method '{name}': {key}", value, signature.types.get(key, ""))
    # A setting that came later changes no older run's identity: at its default it is left out of the spec.
    kept = {
        key: value
        for key, value in settings.items()
        if key not in signature.later or value != signature.settings[key]
    }
    source = _source(registry.methods().entry(name).target)
    return Part(name=name, version=signature.version, settings=kept, source=source)


def _source(target: str) -> str | None:
    """The digest of a part's code, if it is not one of this project's."""
    module = target.partition(":")[0]
    return None if module.startswith("bench.methods.") else module_digest(module)


def _typed(what: str, text: str, annotation: str) -> Any:
    """The value in `text`, read as YAML, if it is of the annotated type; UserError otherwise.

    YAML reads 1e-3 as text; where a float is wanted it is one. Annotations other than of plain values are
    left to the method itself.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{what}={text}: the value is not YAML") from error
    words = [word.strip() for word in annotation.split("|")]
    if isinstance(value, str) and "float" in words:
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{what} is {value}, must be finite")
    known = all(word in PLAIN for word in words)
    if known and not any(type(value) in PLAIN[word] for word in words):
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


class _Signature(NamedTuple):
    """What a method's class declares: its version, its settings with defaults, the sources it starts from,
    its settings' annotations, and which settings came after runs had been recorded.
    """

    version: int
    settings: dict[str, Any]
    sources: dict[str, str]
    types: dict[str, str]
    later: tuple[str, ...] = ()


@cache
def _signature(target: str) -> _Signature:
    """The declarations of a part, from its source where that is one of our files."""
    module, _, attribute = target.partition(":")
    if not module.startswith("bench.methods.") or attribute:
        return _imported_signature(target)
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    wanted = Path(spec.origin).stem.replace("_", "")
    parts = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.lower() == wanted]
    if len(parts) != 1:
        raise UserError(f"{module}: the method's class must be named like its file")
    attributes = _class_attributes(parts[0])
    defaults, types = _keywords(parts[0], module)
    return _Signature(
        attributes.get("version", 1),
        defaults,
        attributes.get("sources", {}),
        types,
        tuple(attributes.get("later", ())),
    )


def _class_attributes(node: ast.ClassDef) -> dict[str, Any]:
    """The literal `version`, `sources` and `later` of a class body."""
    found = {}
    for statement in node.body:
        targets = (
            [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id in ("version", "sources", "later"):
                found[target.id] = ast.literal_eval(statement.value)  # type: ignore[attr-defined]
    return found


def _keywords(node: ast.ClassDef, module: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The defaults and the annotations of the constructor's keyword-only arguments."""
    init = next(
        (one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None
    )
    if init is None:
        return {}, {}
    if len(init.args.args) != 1 or init.args.vararg or init.args.kwarg:
        raise UserError(f"{module}: settings must be keyword-only arguments of __init__")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    defaults = {one.arg: ast.literal_eval(default) for one, default in pairs if default is not None}
    return defaults, {one.arg: ast.unparse(one.annotation) for one in init.args.kwonlyargs if one.annotation}


def _imported_signature(target: str) -> _Signature:
    from bench.train import Method

    name = next(entry.name for entry in registry.methods() if entry.target == target)
    part = registry.methods().load(name)
    if not (inspect.isclass(part) and issubclass(part, Method)):
        raise UserError(f"method '{name}' ({target}) is not a subclass of bench.train.Method")
    own = part.__init__ is not object.__init__
    parameters = [p for p in inspect.signature(part.__init__).parameters.values() if own and p.name != "self"]
    for parameter in parameters:
        if parameter.kind is not parameter.KEYWORD_ONLY or parameter.default is parameter.empty:
            raise UserError(f"method '{name}': settings must be keyword-only arguments with defaults")
    types = {one.name: _annotation(one.annotation) for one in parameters}
    defaults = {one.name: one.default for one in parameters}
    return _Signature(part.version, defaults, part.sources, types, part.later)


def _annotation(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
