"""The ledger of a snapshot's modules: an attribute or init argument is what the network here has, or refused by name.

A module's expectations are one table, name -> Rule, for its attributes and for its init arguments alike: the original's
constructors give most arguments an attribute of the same name, and the rest show in other attributes and in shapes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.convert.modules import NUMPY, Modules
from bench.errors import UserError
from bench.files.inert_pickle import Name, Note, shown

# What torch.nn.Module has itself: no hook may be there, since hooks change what a module computes.
HOOKS = {
    "_backward_hooks", "_backward_pre_hooks", "_forward_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_state_dict_hooks",
    "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
}  # fmt: skip
# No number depends on them: whether it is in training mode (images are drawn in evaluation mode), which buffers a
# state dict leaves out, and how gradients' hooks are called.
OF_MODULES = {"training", "_non_persistent_buffers_set", "_is_full_backward_hook"}
INIT_ARGS, INIT_KWARGS = "_init_args", "_init_kwargs"


@dataclass(frozen=True)
class Rule:
    """Whether a value is what is built, and what it should be, in words."""

    fits: Callable[[Any], bool]
    right: str


def equal(right: Any) -> Rule:
    """This very value; numbers by value, True and False by kind."""
    return Rule(lambda value: _same(value, right), repr(right))


def near(right: float) -> Rule:
    """This number but for rounding."""
    return Rule(lambda value: _is_number(value) and math.isclose(float(value), right, rel_tol=1e-6), f"{right:.7g}")


def one_of(*right: Any) -> Rule:
    """One of these values."""
    return Rule(lambda value: any(_same(value, allowed) for allowed in right), " or ".join(map(repr, right)))


def number(least: float) -> Rule:
    """Any number from `least`: what has no effect on images."""
    return Rule(lambda value: _is_number(value) and float(value) >= least, f"a number from {least:g}")


Rules = Mapping[str, Rule]


@dataclass(frozen=True)
class Expected:
    """One module: its class, the names of its init arguments in order, the rules, and which attributes it must have.

    inner: init arguments that are dicts of another constructor's arguments -> the rules of those.
    """

    class_name: str
    order: Sequence[str]
    rules: Rules
    needed: Sequence[str] = ()
    inner: Mapping[str, Rules] | None = None


class Arguments:
    """The modules of one network of a snapshot; each is accounted for once."""

    def __init__(self, tree: Modules, where: str) -> None:
        self.where, self._tree, self._left = where, tree, set(tree.classes)

    def account(self, path: str, expected: Expected) -> None:
        """UserError naming the attribute or argument of this module that is not what is built, or is not known."""
        if path not in self._left:
            raise UserError(f"{self.where}: the module '{path}' is missing")
        self._left.remove(path)
        if self._tree.classes[path] != expected.class_name:
            raise UserError(
                f"{self.where}: {self._module(path)} is a {self._tree.classes[path]}, must be a {expected.class_name}"
            )
        attributes = self._tree.attributes[path]
        for key in expected.needed:
            if key not in attributes:
                raise UserError(
                    f"{self.where}: the attribute '{self._name(path, key)}' is missing; every snapshot has it"
                )
        for key, value in attributes.items():
            if key in HOOKS:
                if value:
                    raise UserError(
                        f"{self.where}: the attribute '{self._name(path, key)}' holds hooks, which are not run"
                    )
            elif key not in (*OF_MODULES, INIT_ARGS, INIT_KWARGS):
                self._check(f"attribute '{self._shown(path, key)}'", key, value, expected.rules)
        self._check_init(path, expected, attributes.get(INIT_ARGS, ()), attributes.get(INIT_KWARGS, {}))

    def finish(self) -> None:
        """UserError naming a module that nobody accounted for."""
        if self._left:
            raise UserError(
                f"{self.where}: the module {shown(min(self._left))} is unexpected; networks here do not have it"
            )

    def _check_init(self, path: str, expected: Expected, args: Any, kwargs: Any) -> None:
        label = f"init arguments of {self._module(path)}"
        if not isinstance(args, tuple) or not isinstance(kwargs, dict) or len(args) > len(expected.order):
            raise UserError(f"{self.where}: the {label} must be {len(expected.order)} at most, and a dict of more")
        for key, value in (*zip(expected.order, args, strict=False), *kwargs.items()):
            inner = (expected.inner or {}).get(key)
            if inner is None:
                self._check(f"init argument {shown(key)} of {self._module(path)}", key, value, expected.rules)
                continue
            if not isinstance(value, dict):
                raise UserError(
                    f"{self.where}: the init argument '{key}' of {self._module(path)} is {shown(value)}, must be a dict"
                )
            for name, argument in value.items():
                self._check(f"init argument {shown(name)} in '{key}' of {self._module(path)}", name, argument, inner)

    def _check(self, label: str, key: Any, value: Any, rules: Rules) -> None:
        rule = rules.get(key) if isinstance(key, str) else None
        if rule is None:
            raise UserError(f"{self.where}: the {label} is unexpected; networks here have nothing like it")
        if not rule.fits(plain(value)):
            raise UserError(f"{self.where}: the {label} is {shown(plain(value))}; networks here need {rule.right}")

    def _name(self, path: str, key: str) -> str:
        return f"{path}.{key}" if path else key

    def _shown(self, path: str, key: str) -> str:
        return shown(self._name(path, key))[1:-1]

    def _module(self, path: str) -> str:
        return f"'{path}'" if path else "the network"


def plain(value: Any) -> Any:
    """A scalar of numpy as Python's number; anything else as it is."""
    match value:
        case Note(name=name, args=(Note(name="numpy.dtype", args=(kind, *_)), bytes(data))) if name in NUMPY:
            code = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i"}.get(kind) if isinstance(kind, str) else None
            if code is not None and struct.calcsize(code) == len(data):
                return struct.unpack(code, data)[0]
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**63


def _same(value: Any, right: Any) -> bool:
    if isinstance(right, list | tuple):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(right)
            and all(_same(plain(item), other) for item, other in zip(value, right, strict=True))
        )
    if _is_number(right):
        return _is_number(value) and value == right
    return type(value) is type(right) and not isinstance(value, Name) and value == right
