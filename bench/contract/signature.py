"""What a method part declares: its version, settings and sources, read without importing it (and so without torch).

A file in methods/ is read as a syntax tree: its class's keyword-only arguments with literal defaults are the settings,
its `version`, `sources`, `later`, `needs_labels`, `needs_attributes`, `of_sampler`, `splits`, `papers` and `trains_on`
the part's own. Parts from elsewhere are imported.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.contract.discovery import methods
from bench.errors import UserError
from bench.files.source_code import module_digest
from bench.spec.run import Part

DECLARED = (
    "version",
    "sources",
    "later",
    "needs_labels",
    "needs_attributes",
    "of_sampler",
    "splits",
    "papers",
    "trains_on",
)  # of a part's class


def needed_sources(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """The roles of the runs or weights that these parts start from: ("network",) for TransferGAN."""
    roles = set()
    for part in parts:
        declared = signature(methods().entry(part.name).target)
        roles |= {role for role, when in declared.sources.items() if not when or _is_set(when, part, declared)}
    return tuple(sorted(roles))


def needing(what: Literal["labels", "attributes"], parts: tuple[Part, ...]) -> str | None:
    """The first of these parts that cannot do without class labels, or without attributes; None where all can."""
    for part in parts:
        declared = signature(methods().entry(part.name).target)
        when = declared.needs_labels if what == "labels" else declared.needs_attributes
        if when is True or (when and _is_set(when, part, declared)):
            return part.name
    return None


def unsplit(parts: tuple[Part, ...]) -> tuple[str, str] | None:
    """The first of these parts that several cards cannot train together, and why; None where they can train all."""
    for part in parts:
        splits = signature(methods().entry(part.name).target).splits
        if splits is not True:
            return part.name, splits or "it does not say that its maths can be shared out (splits)"
    return None


def _is_set(setting: str, part: Part, declared: Signature) -> bool:
    """Whether a part has this setting, written as "prior=simclr"."""
    key, _, value = setting.partition("=")
    return str({**declared.settings, **part.settings}[key]) == value


def source_digest(target: str) -> str | None:
    """The digest of the code of a part from elsewhere; None for one of this project's."""
    module = target.partition(":")[0]
    return None if module.startswith("bench.methods.") else module_digest(module)


class Signature(NamedTuple):
    """What a method's class declares.

    settings: with their defaults. sources: roles of the runs or weights that it starts from. types: the settings'
    annotations. later: the settings that were added after runs had been recorded. needs_labels, needs_attributes:
    whether it cannot do without them, or the setting with which it cannot. of_sampler: the settings that only its
    sampler uses. splits: whether several cards may train it together, or why not. papers: (authors, year, title, link)
    of what it is from. trains_on: the extractors whose features its training sees.
    """

    version: int
    settings: dict[str, Any]
    sources: dict[str, str]
    types: dict[str, str]
    later: tuple[str, ...] = ()
    needs_labels: bool | str = False
    needs_attributes: bool | str = False
    of_sampler: tuple[str, ...] = ()
    splits: bool | str = False
    papers: tuple[tuple[str, int, str, str], ...] = ()
    trains_on: tuple[str, ...] = ()


@cache
def signature(target: str) -> Signature:
    """The declarations of a part, from its source where that is one of our files."""
    module, _, attribute = target.partition(":")
    if not module.startswith("bench.methods.") or attribute:
        return _imported_signature(target)
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text())
    class_name = Path(spec.origin).stem.replace("_", "")
    parts = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.lower() == class_name]
    if len(parts) != 1:
        raise UserError(f"{module}: the method's class must be named like its file")
    attributes = _class_attributes(parts[0])
    defaults, types = _keywords(parts[0], module)
    return Signature(
        attributes.get("version", 1),
        defaults,
        attributes.get("sources", {}),
        types,
        tuple(attributes.get("later", ())),
        attributes.get("needs_labels", False),
        attributes.get("needs_attributes", False),
        tuple(attributes.get("of_sampler", ())),
        attributes.get("splits", False),
        tuple(attributes.get("papers", ())),
        tuple(attributes.get("trains_on", ())),
    )


def _class_attributes(node: ast.ClassDef) -> dict[str, Any]:
    """The literal values of `DECLARED` in a class body."""
    attributes = {}
    for statement in node.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else statement.targets
        for target in targets:
            if isinstance(target, ast.Name) and target.id in DECLARED:
                attributes[target.id] = ast.literal_eval(statement.value)
    return attributes


def _keywords(node: ast.ClassDef, module: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The defaults and the annotations of the constructor's keyword-only arguments."""
    init = next(
        (
            statement
            for statement in node.body
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__"
        ),
        None,
    )
    if init is None:
        return {}, {}
    if len(init.args.args) != 1 or init.args.vararg or init.args.kwarg:
        raise UserError(f"{module}: settings must be keyword-only arguments of __init__")
    pairs = zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
    defaults = {argument.arg: ast.literal_eval(default) for argument, default in pairs if default is not None}
    types = {argument.arg: ast.unparse(argument.annotation) for argument in init.args.kwonlyargs if argument.annotation}
    return defaults, types


def _imported_signature(target: str) -> Signature:
    from bench.contract.base import Method  # here, for it imports torch

    name = next(entry.name for entry in methods() if entry.target == target)
    part = methods().load(name)
    if not (inspect.isclass(part) and issubclass(part, Method)):
        raise UserError(f"method '{name}' ({target}) is not a subclass of bench.train.Method")
    # Its settings
    own = part.__init__ is not object.__init__
    parameters = [p for p in inspect.signature(part.__init__).parameters.values() if own and p.name != "self"]
    for parameter in parameters:
        if parameter.kind is not parameter.KEYWORD_ONLY or parameter.default is parameter.empty:
            raise UserError(f"method '{name}': settings must be keyword-only arguments with defaults")
    types = {parameter.name: _annotation(parameter.annotation) for parameter in parameters}
    defaults = {parameter.name: parameter.default for parameter in parameters}
    # What its class says beside
    return Signature(
        part.version,
        defaults,
        part.sources,
        types,
        part.later,
        part.needs_labels,
        part.needs_attributes,
        part.of_sampler,
        part.splits,
        part.papers,
        part.trains_on,
    )


def _annotation(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
