"""What a layout is: a publisher's arrangement of files, read as pictures with a class, a split and attributes.

A layout named `some-name` is the function `arrange` of the module `some_name` beside this file:

    arrange(source, items, options) -> Arranged

source: the open container, from which side files are read (bench.datasets.layouts.side_files)
items: all that the container offers, pictures and side files alike, sorted by name
options: those of the catalogue entry, such as {"classes": ["alley", "arch"]}

A layout reads names and side files, never a picture's pixels. It raises UserError where a side file is missing,
damaged, or names pictures that are not there.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

DEFAULT = "image-folder"
Layout = Callable[[Source, Sequence[Item], Mapping[str, Any]], "Arranged"]


@dataclass(frozen=True)
class Arranged:
    """The items of a container that are pictures of the set, and an account of all others.

    len(items) + left_out.total() is the number of items that the layout was given.
    """

    # In the order that a split is drawn from: by number where the publisher numbers his pictures, else by name. `split`
    # is None for all of them, or for none. A file that is no picture may be among them, as only the builder reads them.
    # An ItemTable where a set may have millions.
    items: Sequence[Item]
    class_names: tuple[str, ...] = ()  # a label is the place of `Item.label` in it; empty for a set without classes
    attribute_names: tuple[str, ...] = ()  # the keys of every item's `attributes`, in the publisher's order
    left_out: Counter[str] = field(default_factory=Counter)  # by kind: "of other classes", "side files"


def layout(name: str) -> Layout:
    """The layout of this name. UserError for a name that none has."""
    module = name.replace("-", "_")
    if re.fullmatch(r"[a-z0-9-]+", name) and module in _modules():
        found: Layout = importlib.import_module(f"bench.datasets.layouts.{module}").arrange
        return found
    known = ", ".join(sorted(module.replace("_", "-") for module in _modules()))
    raise UserError(f"layout '{name}' is unknown; known are {known}")


def _modules() -> set[str]:
    """The modules beside this one that define a layout."""
    files = Path(__file__).parent.glob("*.py")
    return {file.stem for file in files if re.search(r"^def arrange\(", file.read_text(), re.MULTILINE)}
