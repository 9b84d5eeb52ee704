"""Places365: pictures in a folder for each class and its first letter, a/art_gallery/00000001.jpg, and a list of them.

The option `classes` names those that are wanted as Places does, without the first slash: a/alley. The list
(places365_train_standard.txt) is checked where it is there: a picture of a wanted class that it names must exist, and
one that it does not name is left out. Validation and test pictures lie in no folder of a class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.data.sources.source import Item, Source
from bench.errors import UserError

from .arrangement import Arranged
from .side_files import find

LIST = "places365_train_standard.txt"


def arrange(source: Source, items: Sequence[Item], options: Mapping[str, Any]) -> Arranged:
    """The training pictures of the wanted classes. UserError for a class that is not there."""
    wanted = tuple(options["classes"])
    of_class: dict[str, dict[str, Item]] = {name: {} for name in wanted}
    for item in items:
        folder, _, file = f"/{item.name}".rpartition("/")
        label = next((name for name in wanted if folder.endswith(f"/{name}")), None)
        if label is not None:
            first = of_class[label].setdefault(file, item)
            if first is not item:
                raise UserError(f"{source.path}: has {label}/{file} twice: {first.name} and {item.name}")
    _check_list(source, items, of_class)
    absent = [name for name, found in of_class.items() if not found]
    if absent:
        raise UserError(f"{source.path}: has no pictures of {', '.join(absent)}")
    taken = tuple(Item(item.name, label) for label, found in of_class.items() for _, item in sorted(found.items()))
    return Arranged(taken, wanted, left_out=Counter({"of other classes, or no pictures": len(items) - len(taken)}))


def _check_list(source: Source, items: Sequence[Item], of_class: dict[str, dict[str, Item]]) -> None:
    """Hold what is there against the list, and drop what it does not name."""
    listed = find(source, items, LIST)
    if listed is None:
        return
    named: dict[str, set[str]] = {name: set() for name in of_class}
    for path, _ in listed.table(2):
        label, _, file = path.removeprefix("/").rpartition("/")
        if label in named:
            named[label].add(file)
    for label, files in named.items():
        missing = sorted(files - of_class[label].keys())
        if missing:
            raise UserError(
                f"{listed.where}: names {len(files):,} pictures of {label}, of which {len(missing):,} are missing, "
                f"such as {missing[0]}"
            )
        of_class[label] = {file: item for file, item in of_class[label].items() if file in files}
