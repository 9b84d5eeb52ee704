"""Attributes of drawn pictures: drawn with probability 1/2 each, and read back from what DiceBear chose to draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.errors import UserError
from bench.seeds import numpy_stream

from .avatar_style import AvatarStyle
from .drawn_options import Drawn
from .slots import Split


def flags(name: str, split: Split, count: int, options: Drawn) -> np.ndarray:
    """Which attribute each of the first `count` images of a split shall have, (count, A) bool; alike for any count."""
    names = list(options.attributes)
    uniform = numpy_stream(0, name, "attributes", split).random((count, len(names)))
    chosen: np.ndarray = uniform < 0.5
    if options.agreement:
        one, other = (names.index(attribute) for attribute in options.agreement.of)
        chosen[:, other] = chosen[:, one] == (uniform[:, other] < options.agreement.share)
    return chosen


def options_of(options: Drawn, wanted: np.ndarray) -> dict[str, Any]:
    """The options of DiceBear that draw these attributes, (A,) bool."""
    drawn: dict[str, Any] = {}
    for attribute, has in zip(options.attributes.values(), wanted, strict=True):
        drawn.update(attribute.present if has else attribute.absent)
    return drawn


def names(options: Drawn) -> tuple[str, ...]:
    """The columns of `read`."""
    return (*options.attributes, *options.kinds)


def kinds(options: Drawn, style: AvatarStyle, owner: str) -> dict[str, list[str]]:
    """For an attribute that is a component: what its numbers stand for. UserError for an unknown component."""
    return {name: ["none", *style.variants(component, owner)] for name, component in options.kinds.items()}


def read(options: Drawn, style: AvatarStyle, resolved: dict[str, Any], owner: str) -> list[int]:
    """The attributes of a drawing that DiceBear resolved so. UserError for one that is neither there nor not."""
    values = []
    for name, attribute in options.attributes.items():
        present, absent = _shows(resolved, attribute.present), _shows(resolved, attribute.absent)
        if present == absent:
            raise UserError(f"{owner}: attribute '{name}': its options present and absent do not exclude each other")
        values.append(int(present))
    for component, names_of in zip(options.kinds.values(), kinds(options, style, owner).values(), strict=True):
        values.append(names_of.index(resolved.get(f"{component}Variant", "none")))
    return values


def _shows(resolved: dict[str, Any], options: dict[str, Any]) -> bool:
    """Whether a drawing is one that these options allow."""
    for key, value in options.items():
        if key.endswith("Probability"):
            there = f"{key.removesuffix('Probability')}Variant" in resolved
            fits = there == (value == 100)
        elif key.endswith("Color"):
            fits = set(resolved[key]) <= set(value)
        else:
            fits = resolved.get(key) in value
        if not fits:
            return False
    return True
